// The load of a case: lines, each with a number of requests under way; holds what comes back against what was sent. Knows nothing of processes
// and of how time is measured: it counts, whoever asks.
import type { LoadMessages } from '../rounds.js';
import type { Case } from './cases.js';
import { type Line, openLine } from './lines.js';
import type { Keys } from './nodes.js';
import { isNote, noteOf } from './note.js';

export interface PackageLoadOptions {
  readonly url: string;
  readonly measured: Case;
  readonly keys: Keys;
}

/** Messages: requests that were answered. */
export interface PackageLoadCount extends LoadMessages {
  /** Lines that are open. */
  readonly open: number;
}

/** Opened side by side. */
const OPENING = 64;

export class PackageLoad {
  readonly #options: PackageLoadOptions;
  readonly #lines: Line[] = [];
  #state: 'running' | 'finishing' = 'running';
  #messages = 0;
  #error: string | undefined;
  #loops: Promise<void>[] = [];

  constructor(options: PackageLoadOptions) {
    this.#options = options;
  }

  /** Opens all lines, then begins to ask. */
  async start(): Promise<void> {
    const { connections, depth } = this.#options.measured.workload;
    let place = 0;
    const openSome = async (): Promise<void> => {
      while (place < connections && this.#error === undefined) await this.#open(place++);
    };
    await Promise.all(Array.from({ length: Math.min(OPENING, connections) }, openSome));
    this.#loops = this.#lines.flatMap((line) => Array.from({ length: depth }, (_, at) => this.#ask(line, at)));
  }

  count(): PackageLoadCount {
    const counts = { messages: this.#messages, open: this.#lines.length };
    return this.#error === undefined ? counts : { ...counts, error: this.#error };
  }

  /** Asks nothing more, waits for what is under way, closes everything. */
  async finish(): Promise<void> {
    this.#state = 'finishing';
    if (this.#error === undefined) await Promise.all(this.#loops);
    await Promise.all(this.#lines.map((line) => line.close()));
  }

  async #open(place: number): Promise<void> {
    const { url, measured, keys } = this.#options;
    const ended = (why: string): void => {
      if (this.#state === 'running') this.#fail(why);
    };
    try {
      this.#lines.push(await openLine({ url, keys, ended }, measured.service, place, measured.workload.depth === 0));
    } catch (reason) {
      this.#fail(String(reason));
    }
  }

  async #ask(line: Line, first: number): Promise<void> {
    try {
      for (let place = first; this.#state === 'running' && this.#error === undefined; place++) {
        const note = noteOf(place);
        if (!isNote(await line.ask(note), note)) return this.#fail('a reply is not what was sent');
        this.#messages++;
      }
    } catch (reason) {
      this.#fail(String(reason));
    }
  }

  #fail(what: string): void {
    this.#error ??= what;
  }
}
