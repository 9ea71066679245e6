// The npm package ws: its client against the real executable, its server against our client. More of the latter is in spec/client.

import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { connect } from '../../lib/index.js';
import { within } from '../hostile/stage.js';
import { startDaemon } from './daemon.js';

const rng = seedFromEnv('ws');

/** As much of the package as is used here; it ships no types. */
interface Socket {
  readonly protocol: string;
  on(event: string, listener: (...args: never[]) => void): void;
  once(event: string, listener: (...args: never[]) => void): void;
  send(data: string | Uint8Array, options?: { fin?: boolean; binary?: boolean; compress?: boolean }): void;
  ping(data: string): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}
interface Package {
  new (url: string, protocols: readonly string[], options: object): Socket;
  readonly WebSocketServer: new (
    options: object,
  ) => {
    readonly clients: Set<Socket>;
    on(event: 'connection', listener: (socket: Socket) => void): void;
    once(event: 'listening', listener: () => void): void;
    address(): AddressInfo;
    close(): void;
  };
}
const Ws = createRequire(import.meta.url)('ws') as Package;

const next = <Args extends readonly unknown[]>(socket: Socket, event: string): Promise<Args> =>
  within(
    new Promise((done, failed) => {
      socket.once(event, (...args: never[]) => done(args as never));
      socket.once('error', (error: never) => failed(error as Error));
    }),
    event,
  );

t.test('the client of ws speaks with the executable in every way of compressing', async (t) => {
  const daemon = await startDaemon(t, '--subprotocol', 'two', '--quiet');
  const ways: readonly (readonly [object | boolean, RegExp])[] = [
    [false, /^$/],
    [true, /^permessage-deflate; server_no_context_takeover; client_no_context_takeover/],
    [{ threshold: 0 }, /^permessage-deflate; server_no_context_takeover/],
    [
      { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
      /server_max_window_bits=9.*client_max_window_bits=10/,
    ],
    [{ threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }, /^permessage-deflate; server_no/],
  ];
  for (const [perMessageDeflate, extensions] of ways) {
    const name = JSON.stringify(perMessageDeflate);
    const socket = new Ws(daemon.url, ['one', 'two'], { perMessageDeflate });
    const [[{ headers }]] = await Promise.all([
      next<[{ headers: Record<string, string> }]>(socket, 'upgrade'),
      next(socket, 'open'),
    ]);
    t.match(headers['sec-websocket-extensions'] ?? '', extensions, name);
    t.equal(socket.protocol, 'two');
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
      const text = 'The quick brown fox – jumps. '.repeat(Math.ceil(size / 29)).slice(0, size);
      for (const data of [text, rng.bytes(size)]) {
        const answer = next<[Buffer, boolean]>(socket, 'message');
        socket.send(data);
        const [back, binary] = await answer;
        t.equal(binary, typeof data !== 'string');
        t.ok(back.equals(Buffer.from(data)), `${name}: ${size} ${binary ? 'bytes' : 'characters'}`);
      }
    }
    const pong = next<[Buffer]>(socket, 'pong');
    const whole = next<[Buffer]>(socket, 'message');
    for (const part of ['in ', 'many ', '']) socket.send(part, { fin: false });
    socket.ping('are you there?');
    socket.send('parts', { fin: true });
    t.equal((await pong)[0].toString(), 'are you there?', `${name}: a ping between the parts`);
    t.equal((await whole)[0].toString(), 'in many parts');
    const closed = next<[number, Buffer]>(socket, 'close');
    socket.close(4321, 'göödbye');
    const [code, reason] = await closed;
    t.same([code, reason.toString()], [4321, ''], `${name}: the close`);
  }
});

t.test('what ws would do wrong on purpose is told by the executable', async (t) => {
  const daemon = await startDaemon(t, '--quiet', '--max-message', '1k');
  const socket = new Ws(daemon.url, [], {});
  await next(socket, 'open');
  const closed = next<[number, Buffer]>(socket, 'close');
  socket.send('x'.repeat(1_025));
  t.match((await closed)[0], 1009);
});

t.test('our client speaks with the server of ws', async (t) => {
  const server = new Ws.WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } });
  t.teardown(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  server.on('connection', (socket) => {
    socket.on('message', ((data: Buffer, binary: boolean) => {
      // In parts, the way a stream does it.
      const middle = data.length >> 1;
      socket.send(data.subarray(0, middle), { fin: false, binary });
      socket.ping('between');
      socket.send(data.subarray(middle), { fin: true, binary });
    }) as never);
  });
  await new Promise<void>((done) => server.once('listening', done));
  for (const deflate of [false, true, { contextTakeover: true, threshold: 0 }]) {
    const connection = await connect(`ws://127.0.0.1:${server.address().port}`, { deflate });
    const incoming = connection[Symbol.asyncIterator]();
    for (const size of [1, 1_000, 100_000]) {
      const text = 'é'.repeat(size);
      connection.send(text);
      t.ok(
        (await within(incoming.next(), 'the text')).value === text,
        `${JSON.stringify(deflate)}: ${size} characters`,
      );
      const bytes = rng.bytes(size);
      connection.send(bytes);
      const { value } = await within(incoming.next(), 'the bytes');
      t.ok(Buffer.from(value as Uint8Array).equals(bytes), `${JSON.stringify(deflate)}: ${size} bytes`);
    }
    t.ok((await connection.ping()) >= 0);
    t.match(await connection.close(3_333, 'bye'), { code: 3_333, reason: 'bye', clean: true, initiator: 'local' });
  }
});
