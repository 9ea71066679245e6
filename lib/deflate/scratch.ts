// One piece of memory that a step writes its output into again and again. What was written is handed out as a view, valid until the
// next step of the same kind anywhere in the process: its taker copies or decodes it at once. Knows no protocol.

import { markRestless } from '../bytes/loans.js';

/** Up to here a room is kept for the next message; a larger one belongs to the message it was made for. */
const KEPT = 1 << 20;
const LEAST = 1 << 16;

export class Scratch {
  #room: Buffer = Buffer.alloc(0);

  /** A room of at least `size` bytes; what is in it is from before. */
  take(size: number): Buffer {
    if (size <= this.#room.length) return this.#room;
    const room = Buffer.allocUnsafeSlow(Math.max(size, Math.min(this.#room.length * 2, KEPT), LEAST));
    if (room.length <= KEPT) {
      this.#room = room;
      markRestless(room.buffer);
    }
    return room;
  }

  /** A room twice as large, up to `most`, that begins with the `used` bytes of this one. */
  grow(room: Buffer, used: number, most: number): Buffer {
    const larger = this.take(Math.min(most, room.length * 2));
    larger.set(room.subarray(0, used));
    return larger;
  }
}
