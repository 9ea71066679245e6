// The client against a server that somebody else wrote: the npm package `ws`. What both understand in the same way is on the wire.

import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { connect } from '../../lib/client/connect.js';
import { WebSocket } from '../../lib/client/standard.js';
import type { DeflateOptions } from '../../lib/options/types.js';
import type { Connection } from '../../lib/websocket/connection.js';
import type { Message } from '../../lib/websocket/inbox.js';

const rng = seedFromEnv('peer');

interface Socket {
  readonly extensions: string;
  readonly protocol: string;
  on(event: 'message', listener: (data: Buffer, binary: boolean) => void): void;
  on(event: 'ping' | 'pong', listener: (data: Buffer) => void): void;
  on(event: 'close', listener: (code: number, reason: Buffer) => void): void;
  send(data: string | Uint8Array, options?: { binary?: boolean; compress?: boolean; fin?: boolean }): void;
  ping(data: string): void;
  close(code?: number, reason?: string): void;
}
interface PeerServer {
  readonly clients: Set<Socket & { terminate(): void }>;
  on(event: 'connection', listener: (socket: Socket) => void): void;
  on(event: 'listening', listener: () => void): void;
  address(): AddressInfo;
  close(): void;
}
interface Peer {
  // The name of the package's own class.
  readonly WebSocketServer: new (
    options: Readonly<Record<string, unknown>>,
  ) => PeerServer;
}
const { WebSocketServer } = createRequire(import.meta.url)('ws') as Peer;

async function listen(
  t: Test,
  options: Readonly<Record<string, unknown>>,
  onConnection: (socket: Socket) => void,
): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 64 * 1024 * 1024, ...options });
  server.on('connection', onConnection);
  t.teardown(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await new Promise<void>((done) => server.on('listening', done));
  return `ws://127.0.0.1:${server.address().port}/`;
}

const echo = (socket: Socket): void => socket.on('message', (data, binary) => socket.send(data, { binary }));

async function* answers(connection: Connection<undefined>, messages: readonly Message[]): AsyncGenerator<Message> {
  const incoming = connection[Symbol.asyncIterator]();
  for (const message of messages) {
    connection.send(message);
    const { value, done } = await incoming.next();
    if (done === true) return;
    yield value;
  }
}

const sizes = [0, 1, 125, 126, 127, 1023, 1024, 4096, 65_535, 65_536, 300_000];
const words = (size: number): string => 'The quick brown fox – jumps. '.repeat(Math.ceil(size / 29)).slice(0, size);
const MESSAGES: readonly Message[] = sizes.flatMap((size) => [words(size), rng.bytes(size), Buffer.alloc(size, 'ab')]);

interface Way {
  readonly says: string;
  readonly ours: boolean | DeflateOptions;
  readonly theirs: unknown;
  readonly agreed: RegExp;
}
const WAYS: readonly Way[] = [
  { says: 'no compression', ours: false, theirs: false, agreed: /^$/ },
  { says: 'an offer that is declined', ours: true, theirs: false, agreed: /^$/ },
  { says: 'no context takeover', ours: true, theirs: true, agreed: /server_no_context_takeover/ },
  { says: 'context takeover', ours: { contextTakeover: true }, theirs: true, agreed: /^permessage-deflate$/ },
  {
    says: 'a server that keeps no context and limits both windows',
    ours: { contextTakeover: true, threshold: 0 },
    theirs: { serverNoContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 9, threshold: 0 },
    agreed: /client_max_window_bits=9/,
  },
  {
    says: 'the documented engine with small windows of our own',
    ours: { contextTakeover: true, engine: 'documented', serverBits: 9, clientBits: 9, threshold: 0 },
    theirs: { threshold: 0 },
    agreed: /server_max_window_bits=9/,
  },
];

t.test('text and binary come back as they were sent', async (t) => {
  for (const { says, ours, theirs, agreed } of WAYS) {
    const url = await listen(t, { perMessageDeflate: theirs }, echo);
    const connection = await connect(url, { deflate: ours });
    t.match(connection.extensions, agreed, says);
    let at = 0;
    for await (const answer of answers(connection, MESSAGES)) {
      const sent = MESSAGES[at++] as Message;
      const same = typeof sent === 'string' ? sent === answer : Buffer.compare(sent, answer as Uint8Array) === 0;
      if (!same) t.fail(`${says}: message ${at} of ${sent.length} came back different`);
    }
    t.equal(at, MESSAGES.length, says);
    t.match(await connection.close(1000, 'done'), { code: 1000, reason: 'done', clean: true, initiator: 'local' });
  }
});

t.test('pings go both ways', async (t) => {
  const seen: string[] = [];
  const url = await listen(t, {}, (socket) => {
    socket.on('ping', (data) => seen.push(`ping ${data}`));
    socket.on('pong', (data) => socket.send(`pong ${data}`));
    socket.ping('from there');
  });
  const connection = await connect(url);
  t.equal((await connection[Symbol.asyncIterator]().next()).value, 'pong from there');
  t.ok((await connection.ping('from here')) >= 0);
  t.strictSame(seen, ['ping from here']);
  t.match(await connection.close(), { clean: true });
});

t.test('a close of either side is one both agree on', async (t) => {
  const theirs: unknown[] = [];
  let closeIt: ((socket: Socket) => void) | undefined;
  const url = await listen(t, { handleProtocols: (offered: Set<string>) => [...offered][1] }, (socket) => {
    socket.on('close', (code, reason) => theirs.push([code, String(reason)]));
    closeIt?.(socket);
  });
  const first = await connect(url, { subprotocols: ['one', 'two'] });
  t.equal(first.subprotocol, 'two');
  t.match(await first.close(4001, 'wir gehen'), { code: 4001, clean: true, initiator: 'local' });
  closeIt = (socket) => socket.close(4002, 'sie gehen');
  const second = await connect(url, { subprotocols: ['one', 'two'] });
  t.match(await second.closed, { code: 4002, reason: 'sie gehen', clean: true, initiator: 'remote' });
  closeIt = (socket) => socket.close();
  const third = await connect(url, { subprotocols: ['one', 'two'] });
  t.match(await third.closed, { code: 1005, reason: '', clean: true, initiator: 'remote' });
  t.match(theirs[0], [4001, 'wir gehen']);
});

t.test('messages in fragments are put together', async (t) => {
  const url = await listen(t, { perMessageDeflate: true }, (socket) => {
    socket.send('one ', { fin: false });
    socket.send('and ', { fin: false });
    socket.send('two', { fin: true });
    echo(socket);
  });
  for (const deflate of [false, true]) {
    const connection = await connect(url, { deflate });
    const incoming = connection[Symbol.asyncIterator]();
    t.equal((await incoming.next()).value, 'one and two');
    const long = words(100_000);
    connection.send(long, { fragment: 1000, compress: deflate });
    t.equal((await incoming.next()).value, long);
    t.match(await connection.close(), { clean: true });
  }
});

t.test('the standard WebSocket speaks to it as well', async (t) => {
  const url = await listen(t, { perMessageDeflate: true }, echo);
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const got: unknown[] = [];
  const over = new Promise<unknown>((done) => {
    socket.onclose = ({ code, wasClean }) => done([code, wasClean]);
  });
  socket.onopen = () => {
    t.equal(socket.extensions, 'permessage-deflate');
    socket.send(words(5000));
    socket.send(new Uint8Array([1, 2, 3]));
    socket.send(new Blob(['b', 'lob']));
  };
  socket.onmessage = ({ data }) => {
    got.push(typeof data === 'string' ? data.length : Buffer.from(data as ArrayBuffer).toString('hex'));
    if (got.length === 3) socket.close(1000);
  };
  t.strictSame(await over, [1000, true]);
  t.strictSame(got, [5000, '010203', Buffer.from('blob').toString('hex')]);
});
