// What the platform gives, and nothing else of the packet layer's client needs to know: a clock, timers, chance, and the WebSocket of the
// WebSockets living standard, as far as it is used. The only place of this room that reaches for globals.
import type { Pace, Paced } from '../link/traveller.js';

/** The part of the standard that a session needs: any runtime with this much will do. */
export interface PlatformSocket {
  binaryType: string;
  readonly protocol: string;
  readonly extensions: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

interface Platform {
  readonly WebSocket?: new (url: string, protocols: string) => PlatformSocket;
}

/** Throws what the platform throws for a URL it does not like. */
export const newSocket = (url: string, protocol: string): PlatformSocket => {
  const { WebSocket } = globalThis as unknown as Platform;
  if (WebSocket === undefined) throw new TypeError('there is no WebSocket here');
  return new WebSocket(url, protocol);
};

/** Whole numbers, as everywhere. */
export const now = (): number => Math.floor(performance.now());

export const wall = (): number => Date.now();

export const after = (ms: number, call: () => void): (() => void) => {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
};

/** In [0, 1). */
export const random = (): number => (crypto.getRandomValues(new Uint32Array(1))[0] as number) / 0x100000000;

/** What a timer can wait; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/** One timer for one session. It is moved only when a deadline comes nearer: one that moves away is seen when the timer fires. */
export class PagePace implements Pace {
  readonly #paced: Paced;
  #due: number = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(paced: Paced) {
    this.#paced = paced;
  }

  moved(): void {
    const due = this.#paced.deadline();
    if (this.#stopped || due >= this.#due) return;
    this.#cancel?.();
    this.#due = due;
    this.#cancel = after(Math.min(LONGEST, Math.max(1, due - now())), () => {
      this.#due = Number.POSITIVE_INFINITY;
      this.#paced.tick(now());
      this.moved();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }
}
