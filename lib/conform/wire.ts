// What went over the wire during one case, kept for the report: the first and the last entries, and how many lie between.
// A case of 65,537 frames must cost no more memory here than one of five. Knows frames only as fields to be shown.
import { opcodeName } from '../frame/opcode.js';
import type { WireEntry } from './case.js';
import { headOf } from './payload.js';

const FIRST = 40;
const LAST = 24;

export interface SeenFrame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly rsv: number;
}

const frameText = (frame: SeenFrame): string => {
  const bits = [
    frame.rsv & 4 ? ' rsv1' : '',
    frame.rsv & 2 ? ' rsv2' : '',
    frame.rsv & 1 ? ' rsv3' : '',
    frame.fin ? '' : ' (more follow)',
  ];
  return opcodeName(frame.opcode) + bits.join('');
};

export class WireLog {
  readonly #first: WireEntry[] = [];
  readonly #last: WireEntry[] = [];
  #skipped = 0;
  #start = 0;

  /** Times are told from here on. */
  open(now: number): void {
    this.#start = now;
  }

  frame(way: 'in' | 'out', frame: SeenFrame, payload: Uint8Array, length: number, now: number): void {
    this.#add({ at: now - this.#start, way, what: frameText(frame), length, head: headOf(payload) });
  }

  raw(way: 'in' | 'out', what: string, bytes: Uint8Array, now: number): void {
    this.#add({ at: now - this.#start, way, what, length: bytes.length, head: headOf(bytes) });
  }

  note(what: string, now: number): void {
    this.#add({ at: now - this.#start, way: 'note', what });
  }

  /** Frames that were sent together and are not listed one by one. */
  skip(count: number): void {
    this.#skipped += count;
  }

  #add(entry: WireEntry): void {
    if (this.#first.length < FIRST) {
      this.#first.push(entry);
      return;
    }
    this.#last.push(entry);
    if (this.#last.length > LAST) {
      this.#last.shift();
      this.#skipped++;
    }
  }

  entries(): readonly WireEntry[] {
    if (this.#skipped === 0) return [...this.#first, ...this.#last];
    const at = this.#last[0]?.at ?? this.#first.at(-1)?.at ?? 0;
    return [...this.#first, { at, way: 'note', what: `${this.#skipped} entries not shown` }, ...this.#last];
  }
}
