// A machine ∘ a socket: feeds bytes and ticks, writes what is owed, keeps one timer. The only pump of this room. Chopped and lone
// writes go out one per turn of the event loop, so that they reach TCP apart. Judges nothing.
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Write } from './outbox.js';

export interface Drivable {
  open(now: number): void;
  receive(bytes: Uint8Array, now: number): void;
  /** TCP was ended by the other side. */
  end(now: number): void;
  tick(now: number): void;
  /** Infinity when there is nothing to wait for. */
  deadline(): number;
  takeWrites(): Write[];
  readonly finished: boolean;
  readonly peer: { readonly wish: 'keep' | 'end' | 'abort' };
}

/** Milliseconds that only go forward. */
export const clock = (): number => performance.now();

/** How long a testee may take to end its half of TCP after we ended ours. */
const LINGER_MS = 1000;

interface Queued {
  readonly bytes: Uint8Array;
  readonly size: number;
  at: number;
}

/** Runs the machine on an open connection until TCP is gone. `rest`: bytes that came with the opening handshake. */
export const drive = (socket: Socket, run: Drivable, rest: Uint8Array, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => pump(socket, run, rest, signal, resolve));

const pump = (
  socket: Socket,
  run: Drivable,
  rest: Uint8Array,
  signal: AbortSignal | undefined,
  resolve: () => void,
): void => {
  const queue: Queued[] = [];
  let sending = false;
  let timer: NodeJS.Timeout | undefined;
  let armed = Infinity;
  let over = false;

  const finish = (): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    socket.destroy();
    resolve();
  };
  const stop = (): void => finish();

  const sendNext = (): void => {
    const item = queue[0];
    if (over || item === undefined || socket.destroyed) {
      sending = false;
      settle();
      return;
    }
    const end = item.size === 0 ? item.bytes.length : Math.min(item.at + item.size, item.bytes.length);
    socket.write(item.bytes.subarray(item.at, end));
    item.at = end;
    if (end === item.bytes.length) queue.shift();
    if (socket.writableNeedDrain) socket.once('drain', sendNext);
    else setImmediate(sendNext);
  };

  const write = (): void => {
    const writes = run.takeWrites();
    if (writes.length === 0) return;
    socket.cork();
    for (const { bytes, chop, alone } of writes) {
      if (chop === 0 && !alone && queue.length === 0) socket.write(bytes);
      else queue.push({ bytes, size: chop, at: 0 });
    }
    socket.uncork();
    if (queue.length > 0 && !sending) {
      sending = true;
      sendNext();
    }
  };

  const arm = (): void => {
    const at = run.deadline();
    if (at >= armed) return;
    clearTimeout(timer);
    armed = at;
    // What the kernel already holds has arrived in time: it is read before the tick, in the poll phase this immediate comes after.
    timer = setTimeout(() => setImmediate(ticked), Math.max(0, at - clock()));
  };

  const ticked = (): void => {
    armed = Infinity;
    if (over) return;
    const now = clock();
    if (now >= run.deadline()) run.tick(now);
    settle();
  };

  /** After every input: write, see whether TCP should end, arm the timer. */
  const settle = (): void => {
    if (over) return;
    write();
    if (run.peer.wish === 'abort') return finish();
    if (run.peer.wish === 'end' && queue.length === 0 && !socket.writableEnded) {
      socket.end();
      clearTimeout(timer);
      timer = setTimeout(finish, LINGER_MS);
      return;
    }
    if (!run.finished) arm();
  };

  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    if (over || run.finished) return;
    run.receive(chunk, clock());
    settle();
  });
  socket.on('end', () => {
    run.end(clock());
    settle();
  });
  // An error is always followed by close.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    run.end(clock());
    finish();
  });
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted === true || socket.destroyed) finish();
  else {
    const now = clock();
    run.open(now);
    if (rest.length > 0) run.receive(new Uint8Array(rest), now);
    settle();
    socket.resume();
  }
};
