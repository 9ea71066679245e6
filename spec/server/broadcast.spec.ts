// One message to many: encoded once, the same for all, and a reader that does not read is nobody's problem but its own.

import { inflateRawSync } from 'node:zlib';
import t from 'tap';
import { encode, upgrade, type Wire } from '../../fixtures/rig/wire.js';
import { type Connection, Prepared } from '../../lib/index.js';
import { open, until } from './scene.js';

const OFFER = { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } };
const silent = (): void => {};
const many = (port: number, count: number, options = {}): Promise<Wire[]> =>
  Promise.all(Array.from({ length: count }, () => upgrade(port, options)));
const inflate = (payload: Uint8Array): string =>
  inflateRawSync(Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]), { finishFlush: 2 }).toString();

t.test('everybody gets it, as text or as bytes, and the count says how many', async (t) => {
  const { server, port } = await open(t, {}, silent);
  t.equal(server.broadcast('to nobody'), 0);
  const wires = await many(port, 3);
  const rows: readonly [string | Uint8Array | ArrayBuffer, boolean | undefined, number, string][] = [
    ['a text', undefined, 1, 'a text'],
    ['é', true, 2, 'é'],
    [Buffer.from('bytes'), undefined, 2, 'bytes'],
    [Buffer.from('é'), false, 1, 'é'],
    [Uint8Array.of(65, 66).buffer, undefined, 2, 'AB'],
    ['', undefined, 1, ''],
    ['x'.repeat(70_000), undefined, 1, 'x'.repeat(70_000)],
  ];
  for (const [data, binary, opcode, text] of rows) {
    t.equal(server.broadcast(data, { binary }), 3);
    for (const wire of wires) {
      const frame = await wire.readFrame();
      t.match(frame, { fin: true, rsv: 0, opcode, masked: false });
      t.ok(Buffer.from(text).equals(frame.payload), `${text.slice(0, 10)} as ${opcode}`);
    }
  }
  t.throws(() => server.broadcast(Uint8Array.of(0xff), { binary: false }), TypeError, 'a text must be UTF-8');
  t.throws(() => server.broadcast(7 as never), TypeError);
  for (const wire of wires) wire.destroy();
});

t.test('one may be left out, or all that a filter does not name', async (t) => {
  const { server, port, connections } = await open<number>(
    t,
    { authorize: ({ query }) => ({ data: Number(query) }) },
    silent,
  );
  const wires: Wire[] = [];
  for (const room of [1, 2, 1, 2]) wires.push(await upgrade(port, { path: `/?${room}` }));
  const [first] = connections as [Connection<number>];
  t.equal(server.broadcast('a', { except: first }), 3);
  t.equal(server.broadcast('b', { filter: ({ data }) => data === 2 }), 2);
  t.equal(server.broadcast('c', { filter: ({ data }) => data === 1, except: first }), 1);
  t.equal(server.broadcast('d'), 4);
  for (const [i, expected] of ['d', 'abd', 'acd', 'abd'].entries()) {
    let heard = '';
    while (heard.length < expected.length)
      heard += Buffer.from((await wires[i]?.readFrame())?.payload ?? []).toString();
    t.equal(heard, expected, `number ${i}`);
  }
  void connections[1]?.close();
  t.equal(server.broadcast('e'), 3, 'who is closing does not count');
  for (const wire of wires) wire.destroy();
});

t.test('connections may come and go while it runs', async (t) => {
  const { server, port, connections } = await open(t, {}, silent);
  const wires = await many(port, 4);
  const seen: number[] = [];
  const taken = server.broadcast('a', {
    filter: (connection) => {
      seen.push(connections.indexOf(connection));
      if (seen.length === 1) connections[2]?.terminate();
      return true;
    },
  });
  t.ok(taken >= 3, `${taken} took it`);
  for (const i of [0, 1, 3]) t.equal((await wires[i]?.readFrame())?.opcode, 1);
  t.ok(await until(() => server.connections.size === 3));
  for (const wire of wires) wire.destroy();
});

t.test('a message that is prepared once can be sent by anybody at any time', async (t) => {
  const data = Buffer.from('prepared '.repeat(300));
  const prepared = new Prepared(data, { binary: false });
  data.fill(0);
  const plainly = await open(t, {}, silent);
  const packed = await open(t, { deflate: true }, silent);
  const [one] = (await many(plainly.port, 1)) as [Wire];
  const [two, three] = (await many(packed.port, 2, OFFER)) as [Wire, Wire];
  for (let i = 0; i < 2; i++) {
    t.equal(plainly.server.broadcast(prepared), 1);
    t.equal(packed.server.broadcast(prepared), 2);
    packed.connections[0]?.send(prepared);
  }
  const text = 'prepared '.repeat(300);
  for (let i = 0; i < 2; i++) t.equal(Buffer.from((await one.readFrame()).payload).toString(), text);
  for (const [wire, count] of [
    [two, 2],
    [three, 2],
  ] as const) {
    for (let i = 0; i < count; i++) {
      const { rsv, payload } = await wire.readFrame();
      t.equal(rsv, 4);
      t.equal(inflate(payload), text);
    }
  }
  for (const wire of [one, two, three]) wire.destroy();
});

t.test('compressed once it is the same octets for all who agreed on the same, and plain for the others', async (t) => {
  const text = 'so much of the same, '.repeat(200);
  for (const takeover of [false, true]) {
    const { server, port } = await open(t, { deflate: { contextTakeover: takeover, threshold: 64 } }, silent);
    const offers = [
      'permessage-deflate',
      'permessage-deflate',
      'permessage-deflate; server_max_window_bits=9',
      undefined,
    ];
    const wires: Wire[] = [];
    for (const offer of offers) wires.push(await upgrade(port, { headers: { 'Sec-WebSocket-Extensions': offer } }));
    const rows: readonly [string, boolean | undefined, boolean][] = [
      [text, undefined, true],
      [text, undefined, true],
      ['short', undefined, false],
      [text, false, false],
      ['short', true, true],
    ];
    for (const [i, [data, compress, packed]] of rows.entries()) {
      t.equal(server.broadcast(data, { compress }), 4);
      const frames = await Promise.all(wires.map((wire) => wire.readFrame()));
      t.same(
        frames.map(({ rsv }) => rsv),
        [...Array.from({ length: 3 }, () => (packed ? 4 : 0)), 0],
        `takeover ${takeover}, message ${i}: who gets it compressed`,
      );
      t.same(frames[0]?.payload, frames[1]?.payload, 'the same octets');
      t.equal(Buffer.from(frames[3]?.payload ?? []).toString(), data);
      if (takeover || !packed) continue;
      for (const { payload } of frames.slice(0, 3)) t.equal(inflate(payload), data, 'each can be read by itself');
    }
    for (const wire of wires) wire.destroy();
  }
});

for (const policy of ['close', 'drop-newest', 'drop-oldest'] as const)
  t.test(`a reader that stops reading does not stop the others: ${policy}`, async (t) => {
    const { server, port, connections } = await open(
      t,
      { policy, maxBuffered: 512 * 1024, highWater: 64 * 1024, closeTimeout: 100 },
      silent,
    );
    const [slow, one, two] = (await many(port, 3)) as [Wire, Wire, Wire];
    // Which connection is whose: the slow one says so.
    const named = new Promise<Connection<undefined>>((done) => {
      for (const connection of connections) connection.once('message', () => done(connection));
    });
    slow.sendFrame({ opcode: 1, payload: 'me' });
    const lazy = await named;
    slow.socket.pause();
    const rounds = 250;
    const message = Buffer.alloc(64 * 1024, 'a');
    const read = async (wire: Wire): Promise<number> => {
      for (let i = 0; i < rounds; i++) {
        const { payload } = await wire.readFrame();
        if (Buffer.from(payload).readUInt32BE(0) !== i) return i;
      }
      return rounds;
    };
    const readers = Promise.all([read(one), read(two)]);
    let taken = 0;
    let most = 0;
    for (let i = 0; i < rounds; i++) {
      message.writeUInt32BE(i);
      taken += server.broadcast(message);
      most = Math.max(most, lazy.bufferedAmount);
      // The readers keep up: a broadcaster that cares waits for them.
      for (const connection of connections) if (connection !== lazy) await connection.drained();
    }
    t.same(await readers, [rounds, rounds], 'the others got all of it, in order');
    t.ok(taken >= 2 * rounds, `${taken} taken`);
    t.ok(most <= 2 * 512 * 1024, `at most ${most} bytes waited for the slow one`);
    if (policy === 'close') {
      t.ok(taken < 3 * rounds, 'the slow one took less');
      t.match(await lazy.closed, { code: 1008, fault: 'WSD_PEER_SLOW' });
      t.equal(server.counters()['fault:WSD_PEER_SLOW'], 1);
    } else {
      t.ok(lazy.dropped > 0, `${lazy.dropped} were dropped`);
      t.equal(lazy.state, 'open');
      slow.socket.resume();
      let last = -1;
      let got = 0;
      const expected = rounds - lazy.dropped;
      while (got < expected) {
        const number = Buffer.from((await slow.readFrame()).payload).readUInt32BE(0);
        if (number <= last) t.fail(`${number} after ${last}`);
        last = number;
        got++;
      }
      t.equal(last === rounds - 1, policy === 'drop-oldest', 'the newest is among them only where the oldest go');
    }
    for (const wire of [slow, one, two]) wire.destroy();
  });

t.test('under a key only the newest waits', async (t) => {
  const { server, port, connections } = await open(t, { maxBuffered: 64 * 1024 * 1024 }, silent);
  const wire = await upgrade(port);
  wire.socket.pause();
  const [connection] = connections as [Connection<undefined>];
  const block = new Uint8Array(4 * 1024 * 1024);
  while (connection.bufferedAmount === 0 && connection.send(block).status !== 'closed') await new Promise(setImmediate);
  connection.send(block);
  for (let i = 0; i < 100; i++) server.broadcast(`price ${i}`, { key: 'price' });
  server.broadcast('the end');
  wire.socket.resume();
  const texts: string[] = [];
  while (texts.at(-1) !== 'the end') {
    const { opcode, payload } = await wire.readFrame(10_000);
    if (opcode === 1) texts.push(Buffer.from(payload).toString());
  }
  t.same(texts, ['price 99', 'the end']);
  wire.destroy();
});

t.test('a message that everybody answers at once is answered to all', async (t) => {
  const { server, port } = await open(t, {}, (connection) => {
    connection.on('message', (data) => void server.broadcast(data));
  });
  const wires = await many(port, 5);
  for (const [i, wire] of wires.entries()) wire.write(encode({ opcode: 1, payload: `from ${i}` }));
  for (const wire of wires) {
    const heard = new Set<string>();
    for (let i = 0; i < wires.length; i++) heard.add(Buffer.from((await wire.readFrame()).payload).toString());
    t.equal(heard.size, wires.length);
    wire.destroy();
  }
});
