// Links against a puppet that says and hears bytes, on a clock of our own: sending, waiting, pings, and every way to end.
import { constants, deflateRawSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { decode, frameSize, type WireFrame } from '../../fixtures/rig/wire.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import type { Outcome } from '../../lib/websocket/ending.js';
import { Prepared } from '../../lib/websocket/prepared.js';
import { codecOf, type EndOptions, Puppet, pairOf } from './pair.js';

const KEY = 0x01020304;
const frame = (opcode: number, payload: string | Uint8Array = '', more: object = {}): Uint8Array =>
  encodeFrame({ opcode, payload: Buffer.from(payload as string), maskKey: KEY, ...more });
const close = (code: number, reason = ''): Uint8Array =>
  frame(8, Buffer.concat([Uint8Array.of(code >> 8, code & 255), Buffer.from(reason)]));

const framesOf = (bytes: Uint8Array): WireFrame[] => {
  const frames: WireFrame[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const size = frameSize(rest);
    if (size === undefined) throw new Error(`half a frame: ${Buffer.from(rest.subarray(0, 20)).toString('hex')}`);
    frames.push(decode(rest.subarray(0, size)));
    rest = rest.subarray(size);
  }
  return frames;
};
const said = (puppet: Puppet): string[] =>
  framesOf(puppet.takeHeard()).map(({ opcode, fin, payload }) => {
    const text = payload.length > 40 ? `${payload.length} octets` : Buffer.from(payload).toString('latin1');
    if (opcode !== 8) return `${opcode}${fin ? '' : '+'} ${text}`;
    return payload.length < 2 ? '8' : `8 ${Buffer.from(payload).readUInt16BE()} ${text.slice(2)}`.trimEnd();
  });

/** A server's end whose peer takes a thousand octets and no more. */
const slow = (options: EndOptions = {}): Puppet => {
  const puppet = new Puppet('server', {
    capacity: 1000,
    ...options,
    settings: { highWater: 2000, maxBuffered: 10_000, ...options.settings },
  });
  puppet.reads = false;
  return puppet;
};

// ---- sending

t.test('whoever waits for the queue is told, whatever filled it', async (t) => {
  const puppet = new Puppet('server', { settings: { highWater: 0 } });
  const { connection } = puppet.end;
  let drains = 0;
  connection.on('drain', () => drains++);
  void connection.ping();
  const waits = connection.drained();
  await puppet.network.settle();
  t.equal(await waits, undefined);
  t.equal(connection.bufferedAmount, 0);
  t.equal(drains, 0, 'no send was told full');
});

t.test('what waits behind a streamed message presses back like anything else', async (t) => {
  const puppet = new Puppet('server', { settings: { highWater: 2000 } });
  const { connection } = puppet.end;
  let drains = 0;
  connection.on('drain', () => drains++);
  const stream = connection.stream('binary');
  void stream.write(Buffer.from('begun'));
  await puppet.network.settle();
  t.equal(connection.send(Buffer.alloc(1000)).status, 'ok');
  const full = connection.send(Buffer.alloc(1000));
  t.equal(full.status, 'full');
  let went = false;
  const waits = Promise.resolve(full).then((status) => {
    went = true;
    return status;
  });
  await puppet.network.settle();
  t.notOk(went);
  void stream.end();
  await puppet.network.settle();
  t.equal(await waits, 'ok');
  t.equal(drains, 1);
  t.strictSame(said(puppet), ['2+ begun', '0 ', '2 1000 octets', '2 1000 octets']);
});

t.test('what nobody took is waited for after an end of theirs, not after one of ours', async (t) => {
  for (const [ours, waits] of [
    [true, 0],
    [false, 5_000],
  ] as const) {
    const puppet = new Puppet('server', { settings: { closeTimeout: 5_000 } });
    const { connection } = puppet.end;
    let ended = false;
    void connection.closed.then(() => {
      ended = true;
    });
    await puppet.say(frame(1, 'for nobody'));
    if (ours) void connection.close();
    else await puppet.say(close(1000));
    await puppet.network.settle();
    if (ours) await puppet.say(close(1000));
    await puppet.leave();
    t.equal(ended, waits === 0);
    t.equal(puppet.end.stays, waits === 0 ? 0 : 1, 'the process stays as long');
    await puppet.network.advance(waits + 100);
    t.ok(ended);
    t.equal(puppet.end.stays, 0);
  }
});

t.test('send says what became of the message', async (t) => {
  const puppet = slow();
  const { connection } = puppet.end;
  t.equal(connection.send('a'.repeat(500)).status, 'ok');
  t.equal(connection.send(Buffer.alloc(1600)).status, 'full', 'above the high-water mark');
  t.equal(connection.bufferedAmount, 504 + 1604);
  connection.on('error', () => {});
  t.equal(connection.send(Buffer.alloc(9000)).status, 'dropped', 'above what may be queued');
  t.equal(connection.state, 'closing', 'and the policy is to close');
  t.equal(connection.send('x').status, 'closed');
  t.equal(connection.dropped, 1);
  puppet.reads = true;
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1 500 octets', '2 1600 octets', '8 1008 reader too slow']);
});

t.test('one message larger than all that may be queued is taken when nothing waits', async (t) => {
  const puppet = slow();
  t.equal(puppet.end.connection.send(Buffer.alloc(50_000)).status, 'full');
});

t.test('await send waits until the queue is below the mark, and learns when it never will be', async (t) => {
  for (const many of [false, true]) {
    const puppet = slow({ settings: { maxBuffered: 1 << 20 } });
    const { connection } = puppet.end;
    t.equal(await connection.send('small'), 'ok');
    let sent = connection.send('');
    if (many) for (let i = 0; i < 50; i++) sent = connection.send(Buffer.alloc(100));
    else sent = connection.send(Buffer.alloc(5000));
    t.equal(sent.status, 'full');
    let status: string | undefined;
    void sent.then((value) => {
      status = value;
    });
    void connection.drained();
    await puppet.network.settle();
    t.equal(status, undefined, 'the peer does not read');
    puppet.reads = true;
    await puppet.network.settle();
    t.equal(status, 'ok');
    puppet.reads = false;
    const last = connection.send(Buffer.alloc(5000));
    connection.terminate();
    await puppet.network.settle();
    t.equal(await last, 'closed');
    t.equal(await connection.send('late'), 'closed');
    await connection.drained();
  }
});

t.test('await send comes back also when the wire takes everything at once', async (t) => {
  const puppet = new Puppet('server', { settings: { highWater: 2000 } });
  const { connection } = puppet.end;
  await Promise.resolve();
  let sent = connection.send('');
  for (let i = 0; i < 30; i++) sent = connection.send(Buffer.alloc(100));
  t.equal(sent.status, 'full');
  let status: string | undefined;
  void sent.then((value) => {
    status = value;
  });
  await Promise.resolve();
  await puppet.network.settle();
  t.equal(status, 'ok');
});

t.test('a drain event follows a send that said full, whether or not anybody waits for it', async (t) => {
  const puppet = slow();
  const { connection } = puppet.end;
  let drains = 0;
  connection.on('drain', () => drains++);
  connection.send('a');
  await puppet.network.settle();
  t.equal(drains, 0, 'nothing was full');
  t.equal(connection.send(Buffer.alloc(5000)).status, 'full');
  await puppet.network.settle();
  t.equal(drains, 0);
  puppet.reads = true;
  await puppet.network.settle();
  t.equal(drains, 1);
  connection.send('b');
  await puppet.network.settle();
  t.equal(drains, 1, 'and once for each time');
});

t.test('the policy drop-newest refuses what does not fit, and keeps the connection', async (t) => {
  const puppet = slow({ settings: { policy: 'drop-newest' } });
  const { connection } = puppet.end;
  const statuses = Array.from({ length: 12 }, (_, i) => connection.send(Buffer.alloc(996, i)).status);
  // Each costs 1,000 octets and what a piece costs beside them.
  t.strictSame(statuses, ['ok', 'ok', ...Array(6).fill('full'), ...Array(4).fill('dropped')]);
  t.equal(connection.dropped, 4);
  t.equal(connection.bufferedAmount, 8000, 'only octets are told');
  puppet.reads = true;
  await puppet.network.settle();
  t.strictSame(
    framesOf(puppet.takeHeard()).map(({ payload }) => payload[0]),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  t.equal(connection.state, 'open');
  t.equal(connection.send('again').status, 'ok');
});

t.test('the policy drop-oldest makes room, and says how much it dropped', async (t) => {
  const puppet = slow({ settings: { policy: 'drop-oldest' } });
  const { connection } = puppet.end;
  connection.send(Buffer.alloc(1500, 100));
  await puppet.network.settle();
  for (let i = 0; i < 12; i++) t.not(connection.send(Buffer.alloc(996, i)).status, 'dropped');
  void connection.ping('kept').catch(() => {});
  t.equal(connection.dropped, 4);
  t.equal(connection.bufferedAmount, 504 + 8 * 1000 + 6, 'what the wire has not taken, eight messages, a ping');
  puppet.reads = true;
  await puppet.network.settle();
  const frames = framesOf(puppet.takeHeard());
  const firsts = frames.filter(({ opcode }) => opcode === 2).map(({ payload }) => payload[0]);
  t.strictSame(firsts, [100, 4, 5, 6, 7, 8, 9, 10, 11], 'the newest are left, in order');
  t.equal(frames.at(-1)?.opcode, 9, 'control frames are never dropped');
});

t.test('the policy drop-oldest does not take what can never fit', async (t) => {
  const puppet = slow({ settings: { policy: 'drop-oldest' } });
  const { connection } = puppet.end;
  connection.send(Buffer.alloc(1500, 100));
  await puppet.network.settle();
  void connection.ping('kept').catch(() => {});
  t.equal(connection.send(Buffer.alloc(20_000)).status, 'dropped');
  t.equal(connection.dropped, 1);
  puppet.reads = true;
  await puppet.network.settle();
  t.strictSame(said(puppet), ['2 1500 octets', '9 kept']);
});

t.test('what may be dropped is nothing that later messages refer to', async (t) => {
  const noise = (seed: number): string =>
    Array.from({ length: 300 }, (_, i) =>
      String.fromCharCode(33 + ((Math.imul(i * 7 + seed, 0x9e3779b1) >>> 20) % 90)),
    ).join('');
  const settings = { policy: 'drop-oldest', maxBuffered: 450, threshold: 10 } as const;
  const { network, server, client } = pairOf({ takeover: true, settings });
  const got: unknown[] = [];
  const errors: string[] = [];
  client.connection
    .on('message', (data) => void got.push(data))
    .on('error', (error) => void errors.push(error.message));
  server.connection.send(noise(1));
  server.connection.send(noise(2));
  await network.settle();
  server.connection.send(noise(1));
  await network.settle();
  t.strictSame(errors, []);
  t.strictSame(got.at(-1), noise(1));
});

t.test('a message that still waits under its key is replaced', async (t) => {
  const puppet = slow();
  const { connection } = puppet.end;
  connection.send(Buffer.alloc(1500));
  await puppet.network.settle();
  for (let i = 0; i < 100; i++) {
    connection.send(`price ${i}`, { key: 'price' });
    connection.send(`mood ${i}`, { key: 'mood' });
  }
  t.ok(connection.bufferedAmount < 1600);
  puppet.reads = true;
  await puppet.network.settle();
  t.strictSame(said(puppet), ['2 1500 octets', '1 price 99', '1 mood 99']);
});

t.test('misuse is thrown at the call, and nothing leaves', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const shared = new SharedArrayBuffer(4);
  const detached = new ArrayBuffer(4);
  structuredClone(detached, { transfer: [detached] });
  for (const wrong of [undefined, null, 5, {}, [], shared, new Uint8Array(shared), detached]) {
    t.throws(() => connection.send(wrong as string), TypeError);
    if (wrong !== undefined) t.throws(() => connection.ping(wrong as string), TypeError);
  }
  t.throws(() => connection.send(Uint8Array.of(0xff), { binary: false }), TypeError, 'a text must be UTF-8');
  t.throws(() => connection.ping('x'.repeat(126)), RangeError);
  t.throws(() => connection.pong(Buffer.alloc(126)), RangeError);
  t.throws(() => connection.close(1006), RangeError);
  t.throws(() => connection.close(1000, 'x'.repeat(124)), RangeError);
  // A cut of nothing would never come to an end: only asked when the harmless ones were refused.
  const cuts = [Number.NaN, 1.5, 0, -1];
  t.ok(cuts.every((fragment) => t.throws(() => connection.send('abc', { fragment }), RangeError, `${fragment}`)));
  // What would do nothing, or cut what must stay whole.
  const prepared = new Prepared('to all');
  t.throws(() => connection.send(prepared, { fragment: 2 }), TypeError, 'a Prepared has its one frame');
  t.throws(() => connection.send('abc', { fragment: 2, key: 'k' }), TypeError, 'fragments cannot be replaced');
  await puppet.network.settle();
  t.equal(puppet.takeHeard().length, 0);
  t.equal(connection.state, 'open');
});

t.test('what is sent is what it was at the call', async (t) => {
  const puppet = new Puppet('server');
  const data = Buffer.from('before');
  puppet.end.connection.send(data);
  data.fill('x');
  const view = new DataView(Uint8Array.of(0, 1, 2, 3).buffer, 1, 2);
  puppet.end.connection.send(view);
  puppet.end.connection.send(Uint16Array.of(0x4142).buffer);
  puppet.end.connection.send('as bytes', { binary: true });
  puppet.end.connection.send(Buffer.from('as text'), { binary: false });
  await puppet.network.settle();
  t.strictSame(said(puppet), ['2 before', '2 \u0001\u0002', '2 BA', '2 as bytes', '1 as text']);
});

// ---- streams and broadcasts

t.test('a streamed message is one message; others wait behind it, control frames do not', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const writer = connection.stream('text');
  t.throws(() => connection.stream('binary'), TypeError, 'one at a time');
  writer.write('a');
  const behind = Buffer.from('behind');
  t.equal(connection.send(behind).status, 'ok');
  behind.fill('x');
  connection.send(new Prepared('prepared'));
  connection.pong('!');
  await puppet.say(frame(9, 'ping'));
  writer.write(Buffer.from([0xe2, 0x82]));
  writer.write(Buffer.from([0xac]));
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1+ a', '10 !', '10 ping', '0+ \u00e2\u0082', '0+ \u00ac']);
  writer.end('z');
  await puppet.network.settle();
  t.strictSame(said(puppet), ['0 z', '2 behind', '1 prepared']);
  t.throws(() => writer.write('more'), TypeError, 'it is finished');
  connection.stream('binary').end();
  await puppet.network.settle();
  t.strictSame(said(puppet), ['2 ']);
});

t.test('a streamed text that is not UTF-8 is refused at the part that shows it', async (t) => {
  const puppet = new Puppet('server');
  const writer = puppet.end.connection.stream('text');
  writer.write(Uint8Array.of(0xe2));
  t.throws(() => writer.write(Uint8Array.of(0x41)), TypeError);
  const open = new Puppet('server').end.connection.stream('text');
  open.write(Uint8Array.of(0xe2));
  t.throws(() => open.end(), TypeError, 'a character is missing its end');
});

t.test('a part that is refused was never there: the stream goes on, ends, or is given up', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const writer = connection.stream('text');
  writer.write(Uint8Array.of(0xe2, 0x82));
  t.throws(() => writer.write(Uint8Array.of(0xff)), TypeError);
  t.throws(() => writer.write(Uint8Array.of(0xac, 0xff)), TypeError);
  t.throws(() => writer.end('z'), TypeError, 'a character is not finished');
  t.throws(() => writer.end(), TypeError);
  writer.write(Uint8Array.of(0xac));
  t.throws(() => writer.end(Uint8Array.of(0x41, 0xe2)), TypeError);
  t.throws(() => writer.write({} as string), TypeError);
  t.equal(connection.send('behind').status, 'ok');
  t.equal(writer.end('z').status, 'ok');
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1+ \u00e2\u0082', '0+ \u00ac', '0 z', '1 behind']);
});

t.test('streamed text may be cut inside a character, given as bytes or as strings', async (t) => {
  const { network, server, client } = pairOf();
  const got: unknown[] = [];
  client.connection.on('message', (data) => void got.push(data));
  const texts = ['a\u{1f600}b', '\u{10ffff}', 'x\ud800y', '\udc00\ud83d', '\ud83d\ud83d\ude00'];
  for (const text of texts) {
    const writer = server.connection.stream('text');
    for (const unit of text.split('')) {
      writer.write(unit);
      writer.write('');
    }
    writer.end();
  }
  const mixed = server.connection.stream('text');
  mixed.write('\ud83d');
  mixed.write(Buffer.from('-'));
  mixed.write('\ud83d');
  mixed.end('\ude00');
  await network.settle();
  t.strictSame(
    got,
    [...texts, '\ufffd-\u{1f600}'].map((text) => Buffer.from(text).toString()),
  );
});

t.test('a stream that is given up ends the connection, unless nothing of it was sent', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const errors: unknown[] = [];
  connection.on('error', (error) => void errors.push(error));
  const early = connection.stream('text');
  connection.send('behind');
  early.abort();
  early.abort();
  t.throws(() => early.write('x'), TypeError, 'it is over');
  const done = connection.stream('binary');
  done.end('x');
  done.abort();
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1 behind', '2 x'], 'the others go on');

  const late = connection.stream('text');
  late.write('a');
  connection.send('never');
  late.abort();
  t.equal(connection.state, 'closing');
  t.equal(connection.send('x').status, 'closed');
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1+ a', '8 1011 message aborted']);
  t.match(errors, [{ code: 'WSD_MESSAGE_ABORTED' }]);
  await puppet.leave();
  t.match(await connection.closed, { code: 1011, fault: 'WSD_MESSAGE_ABORTED', initiator: 'local' });

  const ended = new Puppet('server');
  const orphan = ended.end.connection.stream('text');
  orphan.write('a');
  await ended.leave();
  orphan.abort();
  t.match(
    await ended.end.connection.closed,
    { fault: 'WSD_SOCKET_ENDED' },
    'and where there is no connection, nothing',
  );
});

t.test('what waits behind a stream is counted like everything that waits', async (t) => {
  const puppet = slow({ settings: { policy: 'drop-newest' } });
  const { connection } = puppet.end;
  const writer = connection.stream('binary');
  writer.write('x');
  const statuses = Array.from({ length: 100 }, () => connection.send(Buffer.alloc(1000)).status);
  t.ok(statuses.includes('dropped'), 'the limit holds');
  t.ok(connection.bufferedAmount > 5000, `${connection.bufferedAmount} octets wait`);
});

t.test('a stream on a connection that ends says so', async (t) => {
  const puppet = new Puppet('server');
  const writer = puppet.end.connection.stream('binary');
  writer.write('x');
  puppet.end.connection.send('behind');
  await puppet.leave();
  t.equal(writer.write('y').status, 'closed');
  t.equal(writer.end().status, 'closed');
});

t.test('a prepared message is encoded once, compressed once, and fits every peer', async (t) => {
  for (const takeover of [undefined, false, true]) {
    const options = takeover === undefined ? {} : { takeover };
    const ends = Array.from({ length: 3 }, () => pairOf(options));
    const text = 'to all of you '.repeat(20);
    const prepared = [
      new Prepared(text),
      new Prepared(Buffer.from(text)),
      new Prepared(Buffer.from(text), { binary: false }),
      new Prepared(text, { binary: true, compress: false }),
    ];
    const got: unknown[][] = [];
    for (const { network, server, client } of ends) {
      const mine: unknown[] = [];
      got.push(mine);
      for (const end of [server, client])
        end.connection.on('message', (data, binary) => void mine.push([String(data), binary]));
      for (const message of prepared) {
        server.connection.send(message);
        client.connection.send(message);
      }
      await network.settle();
    }
    const want = [false, true, false, true].map((binary) => [text, binary]);
    for (const mine of got) t.strictSame(mine.length, 8);
    for (const mine of got) t.strictSame(mine.slice(0, 4), want);
  }
  const codec = codecOf('server', false);
  const message = new Prepared('x'.repeat(500));
  t.equal(message.packed(codec), message.packed(codecOf('server', false)), 'the same frame for the same parameters');
  t.equal(message.plain(), message.plain());
  t.throws(() => new Prepared(Uint8Array.of(0xff), { binary: false }), TypeError);
});

t.test('a broadcast goes the short way where nothing stands in it, and the long way elsewhere, in order', async (t) => {
  const message = new Prepared('to all');
  const puppet = slow();
  const { connection } = puppet.end;
  connection.send('before');
  t.equal(connection.deliver(message), 'ok');
  connection.send('after');
  await puppet.network.settle();
  puppet.reads = true;
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1 before', '1 to all', '1 after']);
  const writer = connection.stream('text');
  writer.write('a');
  t.equal(connection.deliver(message), 'ok');
  writer.end('z');
  await puppet.network.settle();
  t.strictSame(said(puppet), ['1+ a', '0 z', '1 to all'], 'behind a stream');
  puppet.reads = false;
  connection.send(Buffer.alloc(5000));
  t.equal(connection.deliver(message), 'full');
  void connection.close();
  t.equal(connection.deliver(message), 'closed');
});

// ---- pings

t.test('waiting may be called off: what was waited for goes on', async (t) => {
  const puppet = slow();
  const { connection } = puppet.end;
  const stop = new AbortController();
  connection.send(Buffer.alloc(5000));
  const waits = [connection.drained(stop.signal), connection.ping('p', stop.signal)];
  const all = Promise.allSettled(waits);
  await puppet.network.settle();
  stop.abort(new Error('enough'));
  t.match(await all, [
    { status: 'rejected', reason: { message: 'enough' } },
    { status: 'rejected', reason: { message: 'enough' } },
  ]);
  await t.rejects(connection.ping('q', AbortSignal.abort(new Error('before'))), { message: 'before' });
  puppet.reads = true;
  await puppet.network.settle();
  t.equal(connection.state, 'open');
  await connection.drained(new AbortController().signal);
  const answered = connection.ping('r', new AbortController().signal);
  await puppet.say(frame(10, 'r'));
  t.equal(await answered, 0);
});

t.test('a ping resolves with its round trip, an answer settles the older ones', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const [first, second, own] = [connection.ping(), connection.ping(), connection.ping('mine')];
  await puppet.network.settle();
  const [, two] = framesOf(puppet.takeHeard()).map(({ payload }) => payload);
  puppet.network.clock.advance(30);
  await puppet.say(frame(10, 'unasked'), frame(10, two as Uint8Array));
  t.strictSame(await Promise.all([first, second]), [30, 30]);
  puppet.network.clock.advance(12);
  await puppet.say(frame(10, 'mine'));
  t.equal(await own, 42);
});

t.test('a ping rejects when the connection ends first, and at once when it is not open', async (t) => {
  for (const end of ['fin', 'reset', 'broken', 'terminate'] as const) {
    const puppet = new Puppet('server');
    const { connection } = puppet.end;
    const answer = connection.ping();
    const wanted = t.rejects(answer, { name: 'WsdError' }, end);
    if (end === 'broken') await puppet.say(frame(3));
    else if (end === 'terminate') connection.terminate();
    else await puppet.leave(end);
    await puppet.network.settle();
    await wanted;
    await t.rejects(connection.ping(), { code: 'WSD_SOCKET_ENDED' });
    connection.pong();
  }
});

t.test('a ping that nobody waits for does not end the process when the connection does', async (t) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const puppet = new Puppet('server');
  void puppet.end.connection.ping();
  await puppet.leave();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  t.strictSame(unhandled, []);
});

t.test('pings without end are refused before they fill memory', async (t) => {
  const puppet = new Puppet('server');
  const pings = Array.from({ length: 1025 }, () => puppet.end.connection.ping());
  const all = Promise.allSettled(pings);
  await t.rejects(pings[1024] as Promise<number>, { code: 'WSD_PEER_SILENT' });
  await puppet.leave();
  const settled = await all;
  t.equal(framesOf(puppet.takeHeard()).length, 1024, 'and not sent');
  t.ok(settled.every(({ status }) => status === 'rejected'));
});

// ---- the end

interface Ending {
  readonly name: string;
  readonly run: (puppet: Puppet) => Promise<void>;
  readonly outcome: Partial<Outcome>;
  readonly heard: readonly string[];
  readonly over?: Puppet['over'];
}

const endings: readonly Ending[] = [
  {
    name: 'the peer closes',
    run: async (puppet) => {
      await puppet.say(close(4000, 'enough'));
      await puppet.leave();
    },
    outcome: { code: 4000, reason: 'enough', clean: true, initiator: 'remote' },
    heard: ['8 4000'],
  },
  {
    name: 'the peer closes without a code',
    run: async (puppet) => {
      await puppet.say(frame(8));
      await puppet.leave();
    },
    outcome: { code: 1005, reason: '', clean: true, initiator: 'remote' },
    heard: ['8'],
  },
  {
    name: 'the peer closes and is gone at once',
    run: async (puppet) => {
      await puppet.say(close(1001));
      await puppet.leave('reset');
    },
    outcome: { code: 1001, clean: true, initiator: 'remote' },
    heard: ['8 1001'],
  },
  {
    name: 'we close and the peer answers',
    run: async (puppet) => {
      void puppet.end.connection.close(1000, 'done');
      await puppet.network.settle();
      await puppet.say(close(1000));
      await puppet.leave();
    },
    outcome: { code: 1000, reason: '', clean: true, initiator: 'local' },
    heard: ['8 1000 done'],
  },
  {
    name: 'both close at the same time',
    run: async (puppet) => {
      void puppet.end.connection.close(1001);
      await puppet.say(close(4001, 'me too'));
      await puppet.leave();
    },
    outcome: { code: 4001, reason: 'me too', clean: true, initiator: 'local' },
    heard: ['8 1001'],
  },
  {
    name: 'we close twice',
    run: async (puppet) => {
      void puppet.end.connection.close(1000);
      void puppet.end.connection.close(1001);
      await puppet.say(close(1000));
      await puppet.leave();
    },
    outcome: { code: 1000, clean: true, initiator: 'local' },
    heard: ['8 1000'],
  },
  {
    name: 'we close and the peer never answers',
    run: async (puppet) => {
      void puppet.end.connection.close(1000);
      await puppet.network.advance(6_000);
    },
    outcome: { code: 1006, clean: false, initiator: 'local', fault: 'WSD_CLOSE_TIMEOUT' },
    heard: ['8 1000'],
    over: 'fin',
  },
  {
    name: 'we close and the peer only ends',
    run: async (puppet) => {
      void puppet.end.connection.close(1000);
      await puppet.network.settle();
      await puppet.leave();
    },
    outcome: { code: 1006, clean: false, initiator: 'local', fault: 'WSD_SOCKET_ENDED' },
    heard: ['8 1000'],
  },
  {
    name: 'the peer ends without a word',
    run: (puppet) => puppet.leave(),
    outcome: { code: 1006, clean: false, initiator: 'none', fault: 'WSD_SOCKET_ENDED' },
    heard: [],
  },
  {
    name: 'the peer resets',
    run: (puppet) => puppet.leave('reset'),
    outcome: { code: 1006, clean: false, initiator: 'none', fault: 'WSD_SOCKET_ERROR' },
    heard: [],
  },
  {
    name: 'the peer ends inside a message',
    run: async (puppet) => {
      await puppet.say(frame(1, 'half', { fin: false }), frame(0, 'a frame').subarray(0, 8));
      await puppet.leave();
    },
    outcome: { code: 1006, clean: false, initiator: 'none', fault: 'WSD_SOCKET_ENDED' },
    heard: [],
  },
  {
    name: 'the peer breaks a rule',
    run: async (puppet) => {
      await puppet.say(frame(3));
      await puppet.leave();
    },
    outcome: { code: 1002, reason: 'reserved opcode', clean: false, initiator: 'local', fault: 'WSD_FRAME_OPCODE' },
    heard: ['8 1002 reserved opcode'],
    over: 'fin',
  },
  {
    name: 'the peer breaks a rule, keeps talking and does not end',
    run: async (puppet) => {
      await puppet.say(frame(1, Uint8Array.of(0xff)));
      for (let i = 0; i < 10; i++) {
        await puppet.network.advance(1_000);
        await puppet.say(frame(1, 'and another thing'), close(1000));
      }
    },
    outcome: { code: 1007, clean: false, initiator: 'local', fault: 'WSD_MESSAGE_UTF8' },
    heard: ['8 1007 text not UTF-8'],
    over: 'fin',
  },
  {
    name: 'the peer answers our Close with nonsense',
    run: async (puppet) => {
      void puppet.end.connection.close(1000);
      await puppet.network.settle();
      await puppet.say(close(1006));
      await puppet.leave();
    },
    outcome: { code: 1002, clean: false, initiator: 'local', fault: 'WSD_FRAME_CLOSE_CODE' },
    heard: ['8 1000'],
    over: 'fin',
  },
  {
    name: 'we terminate',
    run: async (puppet) => {
      puppet.end.connection.terminate();
      puppet.end.connection.terminate();
      await puppet.network.settle();
    },
    outcome: { code: 1006, reason: 'terminated', clean: false, initiator: 'none', fault: 'WSD_TERMINATED' },
    heard: [],
    over: 'fin',
  },
  {
    name: 'a handler throws',
    run: async (puppet) => {
      puppet.end.connection.on('message', () => {
        throw new Error('a secret of ours');
      });
      await puppet.say(frame(1, 'boom'), frame(1, 'never read'));
      await puppet.leave();
    },
    outcome: { code: 1011, reason: 'internal error', clean: false, initiator: 'local', fault: 'WSD_HANDLER_FAILED' },
    heard: ['8 1011 internal error'],
    over: 'fin',
  },
  {
    name: 'a handler rejects',
    run: async (puppet) => {
      puppet.end.connection.on('message', () => Promise.reject(new Error('a secret of ours')));
      await puppet.say(frame(1, 'boom'));
      await puppet.leave();
    },
    outcome: { code: 1011, clean: false, initiator: 'local', fault: 'WSD_HANDLER_FAILED' },
    heard: ['8 1011 internal error'],
    over: 'fin',
  },
];

const run = async (t: Test, { name, run: act, outcome, heard, over }: Ending): Promise<void> => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const log: string[] = [];
  let told: Outcome | undefined;
  connection.on('error', () => void log.push('error'));
  connection.on('message', () => void log.push('message'));
  connection.on('ping', () => void log.push('ping'));
  connection.on('close', (end) => {
    log.push('close');
    told = end;
  });
  const before = connection.closed;
  await act(puppet);
  await puppet.network.advance(10_000);
  t.match(told, outcome, name);
  t.equal('fault' in (told ?? {}), outcome.fault !== undefined, 'a fault, or none');
  t.equal(log.indexOf('close'), log.length - 1, `close is last and once: ${log.join(', ')}`);
  t.strictSame(
    [await before, await connection.closed, await connection.close()],
    [told, told, told],
    'one outcome for all',
  );
  t.equal(connection.state, 'closed');
  t.strictSame(said(puppet), heard, 'what the peer heard');
  if (over !== undefined) t.equal(puppet.over, over);
  const size = log.length;
  await puppet.say(frame(1, 'late'), frame(9, 'late'), frame(3));
  t.equal(connection.send('late').status, 'closed');
  await puppet.network.advance(100_000);
  t.equal(log.length, size, 'nothing is told after the end');
  t.equal(puppet.takeHeard().length, 0, 'and nothing is written');
  t.equal(connection.bufferedAmount, 0, 'or kept');
};

for (const ending of endings) t.test(`the end: ${ending.name}`, (t) => run(t, ending));

t.test('a client waits for the server to end TCP, and cuts it when that takes too long', async (t) => {
  const bare = (opcode: number, payload: Uint8Array): Uint8Array => encodeFrame({ opcode, payload });
  const puppet = new Puppet('client');
  await puppet.say(bare(8, Uint8Array.of(3, 232)));
  t.equal(puppet.over, undefined, 'the Close is answered, TCP stays');
  await puppet.leave();
  t.match(await puppet.end.connection.closed, { code: 1000, clean: true });
  const stuck = new Puppet('client');
  await stuck.say(bare(8, Uint8Array.of(3, 232)));
  await stuck.network.advance(6_000);
  t.match(await stuck.end.connection.closed, { code: 1000, clean: true });
});

t.test('close has a time of its own when asked', async (t) => {
  const puppet = new Puppet('server');
  const outcome = puppet.end.connection.close(1001, '', 100);
  await puppet.network.advance(99);
  t.equal(puppet.end.connection.state, 'closing');
  await puppet.network.advance(2);
  t.match(await outcome, { fault: 'WSD_CLOSE_TIMEOUT' });
});

t.test('a time that is none is refused before anything is closed; none at all is Infinity', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  for (const wrong of [Number.NaN, -5, 2 ** 31, -Infinity]) {
    t.throws(() => connection.close(1000, '', wrong), RangeError, String(wrong));
  }
  for (const wrong of ['100', null, {}, true]) {
    t.throws(() => connection.close(1000, '', wrong as number), TypeError, String(wrong));
  }
  await puppet.network.settle();
  t.equal(connection.state, 'open');
  t.equal(puppet.takeHeard().length, 0);
  const outcome = connection.close(1000, '', Infinity);
  await puppet.network.advance(2 ** 31);
  t.strictSame(said(puppet), ['8 1000']);
  t.equal(connection.state, 'closing', 'it waits for the peer');
  await puppet.say(close(1000));
  await puppet.leave();
  t.match(await outcome, { code: 1000, clean: true });
  const longest = new Puppet('server');
  void longest.end.connection.close(1000, '', 2 ** 31 - 1);
  await longest.network.advance(2 ** 31);
  t.match(await longest.end.connection.closed, { fault: 'WSD_CLOSE_TIMEOUT' });
});

t.test('what is queued leaves before the Close', async (t) => {
  const puppet = slow();
  for (let i = 0; i < 5; i++) puppet.end.connection.send(`${i}`.repeat(1000));
  void puppet.end.connection.close(1000);
  await puppet.network.settle();
  puppet.reads = true;
  await puppet.network.settle();
  t.strictSame(said(puppet), [...Array<string>(5).fill('1 1000 octets'), '8 1000']);
});

t.test('messages that said ok leave before the Close also from behind a stream', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const writer = connection.stream('text');
  writer.write('a');
  const { status } = connection.send('behind');
  void connection.close(1000);
  await puppet.network.settle();
  const heard = said(puppet);
  t.equal(heard.at(-1), '8 1000');
  t.ok(status !== 'ok' || heard.includes('1 behind') || connection.dropped > 0, 'or it is said that they did not');
});

// ---- limits

/** Letters of fixed codes and nothing else (RFC 1951 section 3.2.6): what the simplest encoder makes of octets from 144 on. */
const fixed = (bytes: Uint8Array): Uint8Array => {
  const bits: number[] = [0, 1, 0]; // not the last block; fixed codes, the lower bit first
  for (const byte of bytes) for (let bit = 8; bit >= 0; bit--) bits.push(((0b110010000 + byte - 144) >> bit) & 1);
  bits.push(0, 0, 0, 0, 0, 0, 0); // the end of the block
  bits.push(0, 0, 0); // the empty stored block of which RFC 7692 section 7.2.1 takes the rest
  const out = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [at, bit] of bits.entries()) out[at >> 3]! |= bit << (at & 7);
  return out;
};
const stored = (bytes: Uint8Array, size: number): Uint8Array => {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    pieces.push(Uint8Array.of(0, piece.length, piece.length >> 8, ~piece.length, ~piece.length >> 8), piece);
  }
  return Buffer.concat([...pieces, Uint8Array.of(0)]);
};

t.test('a message is as large as it is inflated, whatever its compressor made of it', async (t) => {
  const rng = seedFromEnv('growth');
  for (const size of [1, 200, 65_536]) {
    const bytes = Uint8Array.from({ length: size }, () => 144 + rng.int(112));
    const sync = { finishFlush: constants.Z_SYNC_FLUSH };
    const rows: readonly (readonly [string, Uint8Array])[] = [
      ['zlib with the least memory', deflateRawSync(bytes, { ...sync, memLevel: 1 }).subarray(0, -4)],
      ['zlib that stores', deflateRawSync(bytes, { ...sync, memLevel: 1, level: 0 }).subarray(0, -4)],
      ['stored blocks of 127 octets', stored(bytes, 127)],
      ['stored blocks of 48 octets', stored(bytes, 48)],
      ['letters of nine bits', fixed(bytes)],
    ];
    for (const [name, packed] of rows) {
      for (const cut of [packed.length, Math.ceil(packed.length / 3)]) {
        const puppet = new Puppet('server', { takeover: false, settings: { maxMessage: size } });
        const got: unknown[] = [];
        puppet.end.connection.on('message', (data) => void got.push(Buffer.from(data as Uint8Array).equals(bytes)));
        const frames: Uint8Array[] = [];
        for (let at = 0; at < packed.length; at += cut) {
          const fin = at + cut >= packed.length;
          frames.push(frame(at === 0 ? 2 : 0, packed.subarray(at, at + cut), { rsv: at === 0 ? 4 : 0, fin }));
        }
        await puppet.say(...frames);
        t.strictSame(got, [true], `${name}: ${size} octets in ${packed.length}, ${frames.length} frames`);
      }
      const small = new Puppet('server', { takeover: false, settings: { maxMessage: Math.max(1, size - 1) } });
      await small.say(frame(2, packed, { rsv: 4 }));
      t.equal(small.end.connection.state, size === 1 ? 'open' : 'closing', `${name}: one octet more is too large`);
    }
    const much = new Puppet('server', { takeover: false, settings: { maxMessage: size } });
    await much.say(frame(2, new Uint8Array(Math.ceil(size * 1.125) + 65), { rsv: 4 }).subarray(0, 14));
    await much.leave();
    const { fault } = await much.end.connection.closed;
    t.equal(fault, 'WSD_MESSAGE_SIZE', 'what no encoder makes is refused by its header');
  }
});

// ---- by itself

t.test('keep-alive: a silent peer is pinged and given up, any octet keeps it', async (t) => {
  const settings = { pingInterval: 1_000, pingTimeout: 500 };
  const puppet = new Puppet('server', { settings });
  await puppet.network.advance(999);
  t.strictSame(said(puppet), []);
  await puppet.network.advance(1);
  t.strictSame(said(puppet), ['9 ']);
  await puppet.say(frame(1, 'alive').subarray(0, 1));
  await puppet.network.advance(999);
  t.strictSame(said(puppet), [], 'one octet was enough');
  await puppet.network.advance(1);
  t.strictSame(said(puppet), ['9 ']);
  await puppet.network.advance(500);
  t.strictSame(said(puppet), ['8 1011 keepalive timeout']);
  await puppet.network.advance(5_000);
  t.match(await puppet.end.connection.closed, {
    code: 1011,
    clean: false,
    fault: 'WSD_PEER_SILENT',
    initiator: 'local',
  });
});

const many = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => frame(1, `${i}`));

t.test('a peer that we do not read is not silent', async (t) => {
  const settings = { pingInterval: 1_000, pingTimeout: 500 };
  const puppet = new Puppet('server', { settings });
  const { connection } = puppet.end;
  let got = 0;
  connection.on('message', () => void got++);
  connection.pause();
  await puppet.say(...many(128));
  t.ok(puppet.end.paused, 'enough waits');
  await puppet.network.advance(10_000);
  t.equal(connection.state, 'open', 'held by us');
  t.strictSame(said(puppet), Array(10).fill('9 '), 'but asked, each interval');
  connection.resume();
  await puppet.say(frame(10));
  t.equal(got, 128);
  t.notOk(puppet.end.paused);
  await puppet.network.advance(1_400);
  t.equal(connection.state, 'open');
  await puppet.network.advance(100);
  t.equal(said(puppet).at(-1), '8 1011 keepalive timeout', 'and read again, it has to be heard again');

  const busy = new Puppet('server', { settings });
  let release = (): void => {};
  busy.end.connection.on('message', () => new Promise<void>((done) => (release = done)));
  await busy.say(...many(200));
  t.ok(busy.end.paused);
  await busy.network.advance(10_000);
  t.equal(busy.end.connection.state, 'open', 'held by a slow handler');
  t.equal(said(busy).length, 10);
  release();
});

t.test('a peer that is read has to be heard, also while its messages wait', async (t) => {
  const settings = { pingInterval: 1_000, pingTimeout: 500 };
  for (const how of ['paused', 'no listener', 'a handler at work'] as const) {
    const puppet = new Puppet('server', { settings });
    const { connection } = puppet.end;
    if (how === 'paused') connection.on('message', () => {}).pause();
    if (how === 'a handler at work') connection.on('message', () => new Promise(() => {}));
    await puppet.say(...many(127));
    t.notOk(puppet.end.paused, how);
    await puppet.network.advance(1_000);
    t.strictSame(said(puppet), ['9 ']);
    await puppet.network.advance(499);
    await puppet.say(frame(10));
    await puppet.network.advance(1_000);
    t.equal(connection.state, 'open', 'its answer is heard');
    await puppet.network.advance(500);
    t.equal(said(puppet).at(-1), '8 1011 keepalive timeout');
    connection.terminate();
  }
});

t.test('a message does not grow old while we do not read it', async (t) => {
  const puppet = new Puppet('server', { settings: { messageTimeout: 2_000 } });
  const { connection } = puppet.end;
  const got: unknown[] = [];
  connection.on('message', (data) => void got.push(data));
  connection.pause();
  await puppet.say(...many(128), frame(1, 'begun', { fin: false }));
  await puppet.network.advance(10_000);
  t.equal(connection.state, 'open');
  connection.resume();
  await puppet.network.settle();
  t.equal(got.length, 128);
  await puppet.network.advance(1_999);
  await puppet.say(frame(0, ' and ended'));
  t.equal(got.at(-1), 'begun and ended');

  const read = new Puppet('server', { settings: { messageTimeout: 2_000 } });
  read.end.connection.on('message', () => {});
  read.end.connection.pause();
  await read.say(frame(1, 'begun', { fin: false }));
  await read.network.advance(1_999);
  t.equal(read.end.connection.state, 'open');
  await read.network.advance(1);
  t.strictSame(said(read), ['8 1008 message took too long'], 'but it does while we only let it wait');
});

t.test('resumed, the rest is read when others have had their turn', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const got: unknown[] = [];
  connection.on('message', (data) => void got.push(data));
  connection.pause();
  await puppet.say(...many(300));
  t.ok(puppet.end.paused);
  t.ok(puppet.end.link.machine.unread);
  connection.resume();
  t.ok(puppet.end.paused, 'not from inside the call');
  t.strictSame(got, []);
  await puppet.network.settle();
  t.notOk(puppet.end.paused);
  t.notOk(puppet.end.link.machine.unread);
  t.strictSame(
    got,
    Array.from({ length: 300 }, (_, i) => `${i}`),
  );
});

// ---- what waits for a consumer when the wire is gone

t.test('at the end, messages that nobody took wait as long as a closing handshake may take', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  await puppet.say(frame(1, 'a'), frame(1, 'b'));
  let told: Outcome | undefined;
  connection.on('close', (outcome) => {
    told = outcome;
  });
  await puppet.leave();
  t.equal(connection.state, 'closed');
  await puppet.network.advance(4_999);
  t.equal(told, undefined);
  await puppet.network.advance(1);
  t.match(told, { code: 1006, fault: 'WSD_SOCKET_ENDED' });
  t.strictSame(await connection[Symbol.asyncIterator]().next(), { value: undefined, done: true });
});

t.test('at the end, a consumer that comes late gets what waits, and the close after it', async (t) => {
  const late = new Puppet('server');
  const log: unknown[] = [];
  await late.say(frame(1, 'a'), frame(1, 'b'), close(1000));
  await late.leave();
  await late.network.advance(4_000);
  late.end.connection.on('close', ({ code }) => void log.push(code)).on('message', (data) => void log.push(data));
  t.strictSame(log, []);
  await late.network.settle();
  t.strictSame(log, ['a', 'b', 1000]);

  const loop = new Puppet('server');
  await loop.say(frame(1, 'a'), frame(1, 'b'));
  await loop.leave();
  await loop.network.advance(4_000);
  const got: unknown[] = [];
  for await (const message of loop.end.connection) got.push(message);
  t.strictSame(got, ['a', 'b']);
  t.match(await loop.end.connection.closed, { code: 1006 });
});

t.test('at the end, a consumer that goes on may finish, one that does not is given up', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const got: unknown[] = [];
  let next = (): void => {};
  connection.on('message', (data) => {
    got.push(data);
    return new Promise<void>((done) => (next = done));
  });
  let told: Outcome | undefined;
  connection.on('close', (outcome) => {
    told = outcome;
  });
  await puppet.say(...many(6), close(1000));
  await puppet.leave();
  for (let i = 0; i < 4; i++) {
    await puppet.network.advance(4_000);
    next();
    await puppet.network.settle();
  }
  t.strictSame(got, ['0', '1', '2', '3', '4'], 'one each four seconds');
  t.equal(told, undefined);
  await puppet.network.advance(10_000);
  t.match(told, { code: 1000, clean: true }, 'then it never came back');
  next();
  await puppet.network.settle();
  t.equal(got.length, 5, 'and nothing is delivered after the close');
});

t.test('terminated, a connection is closed at once and delivers nothing more', async (t) => {
  const inside = new Puppet('server');
  const got: unknown[] = [];
  inside.end.connection.on('message', (data) => {
    got.push(data);
    inside.end.connection.terminate();
    t.equal(inside.end.connection.state, 'closed');
    t.equal(inside.end.connection.send('late').status, 'closed');
  });
  await inside.say(...many(5));
  t.strictSame(got, ['0'], 'from inside a handler');
  t.match(await inside.end.connection.closed, { fault: 'WSD_TERMINATED' });
  t.equal(inside.takeHeard().length, 0);

  for (const count of [3, 300]) {
    const waiting = new Puppet('server');
    const { connection } = waiting.end;
    let told = 0;
    connection.on('message', () => void told++);
    connection.pause();
    await waiting.say(...many(count));
    connection.terminate();
    connection.resume();
    t.equal(connection.state, 'closed');
    await waiting.say(...many(3));
    t.equal(told, 0, `${count} waited`);
    t.match(await connection.closed, { code: 1006, fault: 'WSD_TERMINATED' }, 'and the end waits for nobody');
  }

  const loop = new Puppet('server');
  const pending = loop.end.connection[Symbol.asyncIterator]().next();
  loop.end.connection.terminate();
  await loop.network.settle();
  t.strictSame(await pending, { value: undefined, done: true });

  const queued = slow();
  const sent = queued.end.connection.send(Buffer.alloc(5000));
  queued.end.connection.terminate();
  await queued.network.settle();
  t.equal(await sent, 'closed');
  t.equal(queued.end.connection.bufferedAmount, 0);
});

t.test('an idle connection is closed with 1001', async (t) => {
  const puppet = new Puppet('server', { settings: { idleTimeout: 1_000, pingInterval: 300 } });
  for (let i = 0; i < 3; i++) {
    await puppet.network.advance(300);
    await puppet.say(frame(10));
  }
  puppet.end.connection.on('message', () => {});
  await puppet.say(frame(1, 'busy'));
  await puppet.network.advance(900);
  puppet.end.connection.send('busy too');
  await puppet.network.advance(900);
  await puppet.say(frame(10));
  t.equal(puppet.end.connection.state, 'open');
  await puppet.network.advance(100);
  t.equal(said(puppet).at(-1), '8 1001 idle timeout');
});

t.test('a message that takes too long ends the connection with 1008', async (t) => {
  const puppet = new Puppet('server', { settings: { messageTimeout: 1_000 } });
  await puppet.say(frame(1, 'a', { fin: false }));
  for (let i = 0; i < 9; i++) {
    await puppet.network.advance(100);
    await puppet.say(frame(0, 'b', { fin: false }));
  }
  t.equal(puppet.end.connection.state, 'open');
  await puppet.network.advance(100);
  t.strictSame(said(puppet), ['8 1008 message took too long']);
});

t.test('the time to close is not moved by what the peer still says', async (t) => {
  const puppet = new Puppet('server');
  puppet.end.connection.on('message', () => {});
  const outcome = puppet.end.connection.close(1000);
  for (let i = 0; i < 49; i++) {
    await puppet.network.advance(100);
    await puppet.say(frame(1, 'talking'));
  }
  t.equal(puppet.end.connection.state, 'closing');
  await puppet.network.advance(100);
  t.match(await outcome, { fault: 'WSD_CLOSE_TIMEOUT' });
});

t.test('a quiet connection trades its compressor for its window, and goes on with it', async (t) => {
  const { network, server, client } = pairOf({ takeover: true });
  const got: unknown[] = [];
  client.connection.on('message', (data) => void got.push(data));
  const text = 'the same again and again '.repeat(10);
  for (let i = 0; i < 3; i++) {
    server.connection.send(text);
    await network.advance(5_000);
  }
  t.strictSame(got, [text, text, text]);
});

t.test('terminated after the wire is gone, what waits is given up at once', async (t) => {
  const puppet = new Puppet('server');
  await puppet.say(frame(1, 'nobody listens'));
  await puppet.leave();
  let told = false;
  puppet.end.connection.on('close', () => {
    told = true;
  });
  puppet.end.connection.terminate();
  await puppet.network.settle();
  t.ok(told);
});

t.test('under drop-oldest a message that can never fit costs no other its place', async (t) => {
  const puppet = slow({ settings: { policy: 'drop-oldest' } });
  const { connection } = puppet.end;
  connection.send(Buffer.alloc(1500));
  await puppet.network.settle();
  for (let i = 0; i < 5; i++) connection.send(Buffer.alloc(996));
  t.equal(connection.send(Buffer.alloc(20_000)).status, 'dropped');
  t.equal(connection.dropped, 1);
});
