// The bytes of one message under way: pieces in, one contiguous piece of memory out. Knows no frames.
// Memory follows what has arrived, not what a header announces: room grows to eight times the bytes at hand towards an announced size,
// and to twice where nobody knows how many fragments will follow. So a peer cannot make us hold memory that it did not pay for, and
// each byte is copied a bounded number of times, however small the pieces are.

import { giveMemory, takeMemory } from '../bytes/spares.js';

const SMALLEST = 4096;
const GROWTH_ANNOUNCED = 8;
const GROWTH_UNKNOWN = 2;
const NOTHING = Buffer.alloc(0);

export class Assembly {
  #room: Buffer = NOTHING;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Copies `bytes[start, end)` to the end. The current frame ends at `announced`; with `more`, others follow it. */
  append(bytes: Uint8Array, start: number, end: number, announced: number, more = false): void {
    const size = this.#size + end - start;
    if (size > this.#room.length) this.#grow(size, announced, more);
    this.#room.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.#size);
    this.#size = size;
  }

  /** The memory behind, for work in place on the part that was appended last. */
  get room(): Buffer {
    return this.#room;
  }

  /** What was gathered, in memory that from now on belongs to the caller. */
  take(): Buffer {
    const whole = this.#size === this.#room.length ? this.#room : this.#room.subarray(0, this.#size);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#room = NOTHING;
    this.#size = 0;
  }

  #grow(size: number, announced: number, more: boolean): void {
    const towards = Math.min(announced, Math.max(size * GROWTH_ANNOUNCED, SMALLEST));
    const wanted = Math.max(size, towards, more ? Math.max(size * GROWTH_UNKNOWN, SMALLEST) : 0);
    const room = takeMemory(wanted, Math.max(wanted, size * GROWTH_ANNOUNCED));
    if (this.#size > 0) this.#room.copy(room, 0, 0, this.#size);
    giveMemory(this.#room);
    this.#room = room;
  }
}
