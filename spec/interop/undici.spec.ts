// The WebSocket of undici, which is also Node's own, against the real executable; and ours against the same things.

import t from 'tap';
import { WebSocket as UndiciWebSocket } from 'undici';
import { WebSocket as OurWebSocket } from '../../lib/index.js';
import { within } from '../hostile/stage.js';
import { startDaemon } from './daemon.js';

/** As much of the standard as all have. */
interface Standard {
  binaryType: string;
  readonly extensions: string;
  readonly protocol: string;
  send(data: string | ArrayBuffer): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: never) => void): void;
  removeEventListener(type: string, listener: (event: never) => void): void;
}
type Class = new (url: string, protocols?: string[]) => Standard;

const next = <Event>(socket: Standard, type: string): Promise<Event> =>
  within(
    new Promise<Event>((done) => {
      const once = (event: never): void => {
        socket.removeEventListener(type, once);
        done(event);
      };
      socket.addEventListener(type, once);
    }),
    type,
  );

const builtIn = Reflect.get(globalThis, 'WebSocket') as Class | undefined;
const CLASSES: readonly (readonly [name: string, one: Class])[] = [
  ['undici', UndiciWebSocket as unknown as Class],
  ['ours', OurWebSocket as unknown as Class],
  ...(builtIn === undefined ? [] : [['the one of this Node', builtIn] as const]),
];
if (builtIn === undefined) t.comment(`Node ${process.version} has no WebSocket of its own`);

const SIZES = [0, 1, 125, 126, 1_000, 65_535, 65_536, 1 << 20];

t.test('standard sockets exchange text and binary with the executable', async (t) => {
  const daemon = await startDaemon(t, '--subprotocol', 'two', '--quiet');
  for (const [name, one] of CLASSES) {
    const socket = new one(`${daemon.url}/a?b`, ['one', 'two']);
    socket.binaryType = 'arraybuffer';
    await next(socket, 'open');
    t.equal(socket.protocol, 'two', `${name}: the subprotocol`);
    if (name !== 'ours') t.match(socket.extensions, /^permessage-deflate/, `${name}: compressed`);
    for (const size of SIZES) {
      const text = 'é €'.repeat(Math.ceil(size / 3)).slice(0, size);
      const answer = next<{ data: unknown }>(socket, 'message');
      socket.send(text);
      t.ok((await answer).data === text, `${name}: a text of ${size}`);
      const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7) & 255);
      const back = next<{ data: ArrayBuffer }>(socket, 'message');
      socket.send(bytes.buffer);
      t.ok(Buffer.from((await back).data).equals(bytes), `${name}: ${size} bytes`);
    }
    const closed = next<{ code: number; reason: string; wasClean: boolean }>(socket, 'close');
    socket.close(4000, 'göödbye');
    const { code, reason, wasClean } = await closed;
    t.same({ code, reason, wasClean }, { code: 4000, reason: '', wasClean: true }, `${name}: the close`);
  }
});

t.test('many messages at once come back in order', async (t) => {
  const daemon = await startDaemon(t, '--quiet');
  for (const [name, one] of CLASSES) {
    const socket = new one(daemon.url);
    await next(socket, 'open');
    const heard: unknown[] = [];
    const sent = Array.from({ length: 2_000 }, (_, i) => `${i} ${'x'.repeat(i)}`);
    const all = within(
      new Promise<void>((done) => {
        socket.addEventListener('message', ({ data }: { data: unknown }) => {
          if (heard.push(data) === sent.length) done();
        });
      }),
      'all of them',
      10_000,
    );
    for (const text of sent) socket.send(text);
    await all;
    t.ok(
      heard.every((data, i) => data === sent[i]),
      name,
    );
    const closed = next(socket, 'close');
    socket.close();
    await closed;
  }
});
