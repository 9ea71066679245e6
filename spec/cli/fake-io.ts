// Streams of memory for running a command inside a spec: what it wrote can be read, awaited, and its signal raised.
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { Io, Out } from '../../lib/cli/command.js';

/** Every wait of these specs ends here at the latest. */
export const PATIENCE = 30_000;

export class FakeOut extends EventEmitter implements Out {
  readonly isTTY: boolean;
  readonly columns = 100;
  readonly #chunks: Buffer[] = [];
  readonly #waiting: { readonly until: (text: string) => boolean; readonly tell: () => void }[] = [];

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  write(data: string | Uint8Array): boolean {
    this.#chunks.push(Buffer.from(data as Uint8Array));
    for (const { until, tell } of this.#waiting) if (until(this.text)) tell();
    return true;
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }

  /** Settles with all that was written once that contains `wanted`. */
  until(wanted: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`never written: ${wanted}\nonly: ${this.text}`)), PATIENCE);
      const until = (text: string): boolean => text.includes(wanted);
      const tell = (): void => {
        clearTimeout(timer);
        resolve(this.text);
      };
      if (until(this.text)) tell();
      else this.#waiting.push({ until, tell });
    });
  }
}

export interface FakeIo extends Io {
  readonly stdin: PassThrough & { isTTY?: boolean };
  readonly stdout: FakeOut;
  readonly stderr: FakeOut;
  readonly raise: (signal: string) => void;
  /** SIGHUP; false when nobody listens, and it would have ended the command. */
  readonly hangUp: () => boolean;
}

/** `stdin` as text or bytes is all of it; left out, it stays open and empty until the spec writes to it. */
export const fakeIo = (
  given: { stdin?: string | Uint8Array; tty?: boolean; env?: Record<string, string> } = {},
): FakeIo => {
  const stdin: PassThrough & { isTTY?: boolean } = new PassThrough();
  if (given.tty === true) stdin.isTTY = true;
  if (given.stdin !== undefined) stdin.end(given.stdin);
  const controller = new AbortController();
  const hangups = new Set<() => void>();
  return {
    stdin,
    stdout: new FakeOut(given.tty),
    stderr: new FakeOut(given.tty),
    env: given.env ?? {},
    signal: controller.signal,
    raise: (signal) => controller.abort(signal),
    onHangup: (listener) => {
      hangups.add(listener);
      return () => void hangups.delete(listener);
    },
    hangUp: () => {
      for (const listener of hangups) listener();
      return hangups.size > 0;
    },
  };
};
