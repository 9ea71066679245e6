// Links on real sockets of this machine: plain and TLS, read into the shared buffer and not. Every wait is bounded.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createNetServer, connect as dial, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as dialTls } from 'node:tls';
import t, { type Test } from 'tap';
import { connect, encode, upgrade, upgradeRequest, type Wire } from '../../fixtures/rig/wire.js';
import type { ServerOptions } from '../../lib/options/types.js';
import { createServer, type Server } from '../../lib/server/server.js';
import type { Connection } from '../../lib/websocket/connection.js';
import type { Outcome } from '../../lib/websocket/ending.js';

const TLS = new URL('../../../fixtures/tls/', import.meta.url);
const pem = { cert: readFileSync(new URL('cert.pem', TLS)), key: readFileSync(new URL('key.pem', TLS)) };

interface Rig {
  readonly server: Server;
  readonly port: number;
  /** The next connection that opens. */
  readonly opened: Promise<Connection<undefined>>;
}

const rig = async (t: Test, options: ServerOptions = {}, secure = false): Promise<Rig> => {
  const server = createServer(options);
  const opened = once(server, 'connection').then(([connection]) => connection as Connection<undefined>);
  const { port } = await server.listen(secure ? { tls: pem } : {});
  t.teardown(() => server.close({ drain: 100 }));
  return { server, port: port as number, opened };
};

const bounded = <T>(promise: PromiseLike<T>, what: string, ms = 5_000): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const text = (payload: string): Uint8Array => encode({ opcode: 1, payload });
const ways: readonly (readonly [name: string, options: ServerOptions])[] = [
  ['the fast ways', {}],
  ['reads of its own', { sharedReads: false }],
  ['writes by the stream', { directWrites: false }],
];

t.test('the 101 leaves, whether or not anybody listens or sends', async (t) => {
  const { port } = await rig(t);
  const wire = await bounded(upgrade(port), '101');
  wire.destroy();
});

for (const [name, options] of ways) {
  t.test(`${name}: one write for all that one chunk provokes`, async (t) => {
    const { server } = await rig(t, options);
    let writes = 0;
    const net = createNetServer({ allowHalfOpen: true }, (socket) => {
      // Whichever way bytes go, this is what they come to.
      const handle = (socket as unknown as { _handle: Record<string, (...args: unknown[]) => unknown> })._handle;
      for (const name of ['writeBuffer', 'writev', 'writeLatin1String', 'writeUtf8String']) {
        const write = handle[name]?.bind(handle);
        handle[name] = (...args) => {
          writes++;
          return write?.(...args);
        };
      }
      server.adopt(socket);
    }).listen(0, '127.0.0.1');
    t.teardown(() => net.close());
    await once(net, 'listening');
    server.on('connection', (connection) => void connection.on('message', (data) => void connection.send(data)));
    const wire = await bounded(upgrade((net.address() as { port: number }).port), '101');
    writes = 0;
    wire.write(
      Buffer.concat([...Array.from({ length: 200 }, (_, i) => text(`m${i}`)), encode({ opcode: 9, payload: 'p' })]),
    );
    for (let i = 0; i < 200; i++) t.equal(Buffer.from((await wire.readFrame()).payload).toString(), `m${i}`);
    t.equal((await wire.readFrame()).opcode, 10, 'the pong in its place');
    t.equal(writes, 1);
    wire.destroy();
  });

  t.test(`${name}: large and small messages come back as they were`, async (t) => {
    const { port, server } = await rig(t, options);
    server.on(
      'connection',
      (connection) => void connection.on('message', (data, binary) => void connection.send(data, { binary })),
    );
    const wire = await bounded(upgrade(port), '101');
    for (const size of [0, 1, 1000, 65_536, 200_000, 3_000_000]) {
      const payload = Buffer.alloc(size, 'abcdefg');
      wire.sendFrame({ opcode: 2, payload });
      const frame = await wire.readFrame();
      t.ok(payload.equals(frame.payload), `${size} octets`);
    }
    wire.destroy();
  });

  t.test(`${name}: the peer's FIN ends the connection, ours follows`, async (t) => {
    const { port, opened } = await rig(t, options);
    const wire = await bounded(upgrade(port), '101');
    const connection = await opened;
    const got: unknown[] = [];
    connection.on('message', (data) => void got.push(data));
    wire.write(text('last words'));
    wire.end();
    t.match(await bounded(connection.closed, 'close'), { code: 1006, fault: 'WSD_SOCKET_ENDED', initiator: 'none' });
    t.strictSame(got, ['last words']);
    t.equal(await wire.ended(), 'end');
    wire.destroy();
  });

  t.test(`${name}: what came before the FIN is delivered, however slow the handler`, async (t) => {
    const { port, opened } = await rig(t, options);
    const wire = await bounded(upgrade(port), '101');
    const connection = await opened;
    let got = 0;
    connection.on('message', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      got++;
    });
    wire.write(
      Buffer.concat([...Array.from({ length: 1000 }, () => text('x')), encode({ opcode: 8, payload: '\u0003\u00e8' })]),
    );
    wire.end();
    await bounded(connection.closed, 'close');
    await wait(20);
    t.equal(got, 1000);
    wire.destroy();
  });

  t.test(`${name}: a reset is one close, with its fault`, async (t) => {
    const { port, opened } = await rig(t, options);
    const wire = await bounded(upgrade(port), '101');
    const connection = await opened;
    const outcomes: Outcome[] = [];
    connection.on('close', (outcome) => void outcomes.push(outcome));
    connection.on('message', () => wire.reset());
    wire.write(text('x'));
    await bounded(connection.closed, 'close');
    await wait(20);
    t.match(outcomes, [{ code: 1006, clean: false, initiator: 'none' }]);
    t.match(outcomes[0]?.fault, /^WSD_SOCKET_/);
  });

  t.test(`${name}: after the closing handshake the server ends TCP, and the peer may talk on in vain`, async (t) => {
    const { port, opened } = await rig(t, options);
    const wire = await bounded(upgrade(port), '101');
    const connection = await opened;
    wire.write(Buffer.concat([encode({ opcode: 8, payload: Buffer.from([3, 232]) }), text('late')]));
    t.strictSame(Buffer.from((await wire.readFrame()).payload), Buffer.from([3, 232]));
    t.equal(await wire.ended(), 'end', 'no reset, although more was said');
    for (let i = 0; i < 5; i++) wire.write(text('and later'));
    wire.end();
    t.match(await bounded(connection.closed, 'close'), { code: 1000, clean: true, initiator: 'remote' });
    wire.destroy();
  });
}

t.test('a reader that stops for a while gets everything, and the sender knows when to go on', async (t) => {
  const { port, opened } = await rig(t, { maxBuffered: 1 << 26 });
  const wire = await bounded(upgrade(port), '101');
  const connection = await opened;
  wire.socket.pause();
  let sent = connection.send('');
  let count = 1;
  while (connection.bufferedAmount < 1 << 20) {
    sent = connection.send(Buffer.alloc(100_000, count));
    count++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(sent.status, 'full');
  let drains = 0;
  connection.on('drain', () => drains++);
  wire.socket.resume();
  t.equal(await bounded(sent, 'the queue to drain'), 'ok');
  t.ok(drains > 0);
  t.ok(connection.bufferedAmount <= 256 * 1024);
  for (let i = 0; i < count; i++) {
    const { payload } = await wire.readFrame();
    if (!payload.every((byte) => byte === (i & 255))) t.fail(`message ${i}`);
  }
  wire.destroy();
});

t.test('await send comes back when the kernel took everything at once', async (t) => {
  const { port, opened } = await rig(t);
  const wire = await bounded(upgrade(port), '101');
  const connection = await opened;
  await Promise.resolve();
  let sent = connection.send('');
  for (let i = 0; i < 200; i++) sent = connection.send(Buffer.alloc(2000));
  t.equal(sent.status, 'full');
  t.equal(await bounded(sent, 'the send', 1_000).catch((error: Error) => error.message), 'ok');
  wire.destroy();
});

t.test('a stream that is no socket and keeps what it was given never sees it change', async (t) => {
  const { server } = await rig(t);
  const kept: Uint8Array[] = [];
  const stream = new Duplex({
    read: () => {},
    write: (chunk: Uint8Array, _encoding, done) => {
      kept.push(chunk);
      done();
    },
  });
  server.on('connection', (connection) => void connection.on('message', (data) => void connection.send(data)));
  server.adopt(stream as Socket, Buffer.from(upgradeRequest(80)));
  for (const word of ['first', 'again', 'third']) {
    stream.push(text(word));
    await wait(1);
  }
  const heard = Buffer.concat(kept).toString('latin1').split('\r\n\r\n')[1];
  t.equal(heard, '\x81\x05first\x81\x05again\x81\x05third');
  stream.destroy();
});

t.test('TLS: messages, large ones, and each way to end', async (t) => {
  const { port, server } = await rig(t, { maxMessage: 1 << 24 }, true);
  server.on(
    'connection',
    (connection) => void connection.on('message', (data, binary) => void connection.send(data, { binary })),
  );
  const open = async (): Promise<{ socket: Socket; frame: (size: number) => Promise<Buffer> }> => {
    const socket = dialTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    let held = Buffer.alloc(0);
    const until = async (size: number): Promise<Buffer> => {
      while (held.length < size) {
        const [chunk] = (await bounded(once(socket, 'data'), `${size} octets`)) as [Buffer];
        held = Buffer.concat([held, chunk]);
      }
      const taken = held.subarray(0, size);
      held = held.subarray(size);
      return taken;
    };
    socket.write(upgradeRequest(port));
    while (!held.includes('\r\n\r\n'))
      await until(held.length + 1).then((taken) => (held = Buffer.concat([taken, held])));
    held = held.subarray(held.indexOf('\r\n\r\n') + 4);
    return { socket, frame: until };
  };
  const one = await open();
  for (const size of [5, 20_000, 2_000_000]) {
    const payload = Buffer.alloc(size, 'tls');
    one.socket.write(encode({ opcode: 2, payload }));
    const head = size < 126 ? 2 : size < 65_536 ? 4 : 10;
    const frame = await one.frame(head + size);
    t.ok(frame.subarray(head).equals(payload), `${size} octets`);
  }
  const [connection] = server.connections;
  one.socket.end(encode({ opcode: 8, payload: Buffer.from([3, 232]) }));
  t.match(await bounded((connection as Connection).closed, 'close'), { code: 1000, clean: true });
  const two = await open();
  const second = [...server.connections][0] as Connection;
  two.socket.destroy();
  t.match(await bounded(second.closed, 'close'), { code: 1006, clean: false });
});

t.test('TLS: what came before the FIN is delivered, however slow the handler', async (t) => {
  const { port, server } = await rig(t, {}, true);
  let got = 0;
  server.on('connection', (connection) => {
    connection.on('message', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      got++;
    });
  });
  const socket = dialTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.write(upgradeRequest(port));
  await bounded(once(socket, 'data'), '101');
  const connection = [...server.connections][0] as Connection;
  socket.end(
    Buffer.concat([
      ...Array.from({ length: 1000 }, () => text('x')),
      encode({ opcode: 8, payload: Buffer.from([3, 232]) }),
    ]),
  );
  t.match(await bounded(connection.closed, 'close'), { clean: true, code: 1000 });
  t.equal(got >= 999, true, `${got} of 1000`);
  socket.destroy();
});

t.test('a loop that was blocked hears what its peers said meanwhile before it judges them silent', async (t) => {
  const { port, opened } = await rig(t, { pingInterval: 100, pingTimeout: 100, closeTimeout: 100 });
  const wire = await bounded(upgrade(port), '101');
  const connection = await opened;
  for (let round = 0; round < 2; round++) {
    const ping = await wire.readFrame(2_000);
    t.equal(ping.opcode, 9);
    wire.sendFrame({ opcode: 10, payload: ping.payload });
    const until = performance.now() + 350;
    while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(connection.state, 'open');
  }
  t.match(await bounded(connection.closed, 'the dead peer to be noticed'), { fault: 'WSD_PEER_SILENT' });
  wire.destroy();
});

t.test('a socket that is gone before it is driven is over at once', async (t) => {
  const { server } = await rig(t);
  const net = createNetServer((socket) => {
    server.adopt(socket, Buffer.from(upgradeRequest(80)));
  }).listen(0, '127.0.0.1');
  t.teardown(() => net.close());
  await once(net, 'listening');
  const outcomes: Promise<Outcome>[] = [];
  server.on('connection', (connection) => {
    connection.terminate();
    outcomes.push(connection.closed);
  });
  const socket = dial((net.address() as { port: number }).port, '127.0.0.1');
  socket.on('error', () => {});
  await bounded(once(socket, 'close'), 'the end');
  t.match(await bounded(Promise.all(outcomes), 'close'), [{ fault: 'WSD_TERMINATED' }]);
});

t.test('a client that leaves at each octet of its first frames leaves nothing behind', async (t) => {
  // Without a consumer a message waits for one, but no longer than a closing handshake may take.
  for (const consumer of [true, false]) {
    const { port, server } = await rig(t, consumer ? {} : { closeTimeout: 300 });
    let got = 0;
    if (consumer) server.on('connection', (connection) => void connection.on('message', () => void got++));
    const bytes = Buffer.concat([text('hello'), encode({ opcode: 9, payload: 'p' })]);
    const wires: Wire[] = [];
    for (let n = 0; n <= bytes.length; n++) {
      const wire = await connect(port);
      wires.push(wire);
      wire.write(upgradeRequest(port));
      await wire.readHead();
      wire.write(bytes.subarray(0, n));
      if (n % 2 === 0) wire.reset();
      else wire.end();
    }
    const until = performance.now() + 10_000;
    while (server.connections.size > 0 && performance.now() < until) await wait(5);
    t.equal(server.connections.size, 0);
    t.strictSame([server.counts().open, server.counts().halfOpen], [0, 0]);
    const whole = wires.filter((_, n) => n >= text('hello').length && n % 2 === 1).length;
    t.ok(!consumer || got >= whole, `${got} messages were delivered, ${whole} had arrived for sure`);
    for (const wire of wires) wire.destroy();
  }
});

for (const late of ['listener', 'resume'] as const) {
  t.test(`a consumer that comes back after the socket is gone gets what waits: ${late}`, async (t) => {
    const { port, opened } = await rig(t);
    const wire = await bounded(upgrade(port), '101');
    const connection = await opened;
    wire.write(Buffer.concat([text('a'), text('b'), encode({ opcode: 8, payload: Buffer.from([3, 232]) })]));
    const got: unknown[] = [];
    if (late === 'resume') {
      connection.on('message', (data) => {
        got.push(data);
        return wait(50);
      });
    }
    wire.end();
    const until = performance.now() + 10_000;
    while (connection.state !== 'closed' && performance.now() < until) await wait(5);
    if (late === 'resume') {
      connection.pause();
      await wait(100);
      connection.resume();
    } else connection.on('message', (data) => void got.push(data));
    await bounded(connection.closed, 'close', 1_000).catch(() => t.fail('it waits in vain'));
    t.strictSame(got, ['a', 'b']);
    wire.destroy();
  });
}

t.test('server.close cuts at its deadline also who is gone and has messages waiting', async (t) => {
  const server = createServer();
  const { port } = await server.listen();
  const wire = await bounded(upgrade(port as number), '101');
  wire.write(text('nobody listens'));
  wire.end();
  const until = performance.now() + 10_000;
  while ([...server.connections][0]?.state !== 'closed' && performance.now() < until) await wait(5);
  const began = performance.now();
  t.strictSame(await bounded(server.close({ drain: 50 }), 'the end', 8_000), { clean: 0, cut: 1 });
  t.ok(performance.now() - began < 1_000, `${(performance.now() - began).toFixed(0)} ms`);
  wire.destroy();
});
