// Messages that were lent to a handler and are sent on with `transfer`: to a reader that is slow, while other messages use the memory again. Every
// octet arrives as it was, whatever the message lay in: the read buffer, memory of its own, or what inflating left.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { duplexPair } from 'node:stream';
import t, { type Test } from 'tap';
import { type Connection, connect, type ServerOptions } from '../../lib/index.js';
import { open, until } from './scene.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** No two messages alike, nor two places of one; a quarter of it compresses. */
const messageOf = (size: number, n: number): Buffer => {
  const bytes = Buffer.allocUnsafeSlow(size);
  let state = (n + 1) * 2654435761;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = (i & 3) === 0 ? n : state >>> 24;
  }
  return bytes;
};

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Senders in, readers out: each message goes to every reader, by reference where it can, and the readers are slow. */
const passOn = async (test: Test, sizes: readonly number[], options: ServerOptions<undefined>): Promise<void> => {
  const readers: Connection<undefined>[] = [];
  const scene = await open(test, { lend: true, maxBuffered: 256 * MIB, ...options }, (connection) => {
    if (connection.request.query === 'reader') readers.push(connection as Connection<undefined>);
    else
      connection.on('message', (data) => {
        for (const reader of readers) reader.send(data, { transfer: true });
      });
  });
  const deflate = options.deflate !== undefined;
  const url = scene.listening.url;
  const dial = async (query: string): Promise<Connection> => {
    const connection = await connect(`${url}?${query}`, { maxBuffered: 256 * MIB, deflate });
    test.teardown(() => connection.terminate());
    return connection;
  };
  const heard = await Promise.all(
    [0, 1].map(async () => {
      const reader = await dial('reader');
      const hashes: string[] = [];
      reader.on('message', (data) => hashes.push(hashOf(data as Uint8Array)));
      reader.pause();
      return { reader, hashes };
    }),
  );
  test.ok(await until(() => readers.length === 2));
  const sender = await dial('sender');
  const expected: string[] = [];
  let n = 0;
  // More than all buffers on the way hold.
  const rounds = Math.max(4, Math.ceil((24 * MIB) / sizes.reduce((sum, size) => sum + size, 0)));
  for (let round = 0; round < rounds; round++) {
    for (const size of sizes) {
      const message = messageOf(size, n++);
      expected.push(hashOf(message));
      sender.send(message);
    }
    // One of them catches up in between, and its memory is used again while the other one waits.
    if (round === rounds >> 1) heard[0]?.reader.resume();
    await until(() => sender.bufferedAmount === 0);
  }
  heard[1]?.reader.resume();
  test.ok(await until(() => heard.every(({ hashes }) => hashes.length === n), 20_000), 'all arrived');
  for (const { hashes } of heard) test.strictSame(hashes, expected, 'each as it was sent, in order');
};

t.test('large ones, which have memory of their own', (test) => passOn(test, [MIB, 3 * MIB, 700 * KIB, MIB], {}));

t.test('those that lie whole in the read buffer', (test) =>
  passOn(test, [20 * KIB, 64 * KIB, 100 * KIB, 200 * KIB, 17 * KIB, 64 * KIB, 40 * KIB], {}),
);

t.test('all of them, in one go', (test) => passOn(test, [10, 300 * KIB, 64 * KIB, 2 * MIB, 20 * KIB, 130 * KIB], {}));

t.test('the same without shared reads and direct writes', (test) =>
  passOn(test, [300 * KIB, 64 * KIB, 2 * MIB, 20 * KIB], { sharedReads: false, directWrites: false }),
);

t.test('what was inflated', (test) => passOn(test, [20 * KIB, 300 * KIB, 64 * KIB, 900 * KIB], { deflate: true }));

t.test('what was inflated, to readers without compression', (test) =>
  passOn(test, [20 * KIB, 300 * KIB, 64 * KIB, 900 * KIB], { deflate: { threshold: 64 * MIB } }),
);

t.test('a stream that is no socket may keep what it was given', async (test) => {
  const [ours, theirs] = duplexPair();
  const chunks: Buffer[] = [];
  ours.on('data', (chunk: Buffer) => chunks.push(chunk));
  const messages = [1, 2, 3, 4].map((n) => messageOf(600 * KIB, n));
  const { server } = await open(test, {}, async (connection) => {
    for (const message of messages) await connection.send(message);
    await connection.drained();
  });
  const rawHeaders = [
    ...['Host', 'localhost', 'Upgrade', 'websocket', 'Connection', 'Upgrade'],
    ...['Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ];
  const request = { method: 'GET', url: '/', rawHeaders } as unknown as IncomingMessage;
  server.upgrade(request, theirs, Buffer.alloc(0));
  const all = (): Buffer => Buffer.concat(chunks);
  test.ok(await until(() => chunks.reduce((sum, { length }) => sum + length, 0) > 4 * 600 * KIB + 40));
  let at = all().indexOf('\r\n\r\n') + 4;
  for (const message of messages) {
    test.ok(
      all()
        .subarray(at + 10, at + 10 + message.length)
        .equals(message),
    );
    at += 10 + message.length;
  }
});

t.test('an echo of what was lent, many times over the same memory', async (test) => {
  const scene = await open(test, { lend: true }, (connection) => {
    connection.on('message', (data) => connection.send(data, { transfer: true }));
  });
  const client = await connect(scene.listening.url);
  const hashes: string[] = [];
  client.on('message', (data) => hashes.push(hashOf(data as Uint8Array)));
  const expected: string[] = [];
  for (let n = 0; n < 24; n++) {
    const message = messageOf(MIB + n, n);
    expected.push(hashOf(message));
    client.send(message);
    if (n % 6 === 5) test.ok(await until(() => hashes.length === n + 1, 10_000));
  }
  test.strictSame(hashes, expected);
  await client.close();
});
