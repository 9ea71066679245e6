// A memory of the last 1,024 packet numbers: which of them are in the set. A session keeps the RELIABLE numbers it accepted in one (for
// ACK Bits and for the window of a resume); the datagram profile keeps all it has seen in a second (replay). Knows no packet, no time.
// PROTOCOL.md sections 5.1, 5.3 and 5.5. It moves when its owner says so, which is never before a packet is authentic.

/** PROTOCOL.md section 10. */
export const WINDOW = 1024;

const MASK = WINDOW - 1;
const WORDS = WINDOW / 32;

export class NumberWindow {
  /** One above the highest number seen; what lies below `next - WINDOW` is forgotten. */
  next: number;
  readonly #bits = new Uint32Array(WORDS);

  constructor(next: number) {
    this.next = next;
  }

  /** The numbers from `next` to just below `next` begin as not in the set. Never moves back. */
  advance(next: number): void {
    const steps = next - this.next;
    if (steps <= 0) return;
    if (steps >= WINDOW) this.#bits.fill(0);
    else for (let n = this.next; n < next; n += 1) this.#clear(n & MASK);
    this.next = next;
  }

  /** Back to `next`: nothing was added from there on. */
  retreat(next: number): void {
    if (next < this.next) this.next = next;
  }

  /** A number below `next`; an older one than the window is not remembered. */
  add(number: number): void {
    if (!this.covers(number)) return;
    const at = number & MASK;
    this.#bits[at >>> 5] = (this.#bits[at >>> 5] as number) | (1 << (at & 31));
  }

  has(number: number): boolean {
    const at = number & MASK;
    return this.covers(number) && (((this.#bits[at >>> 5] as number) >>> (at & 31)) & 1) === 1;
  }

  /** Whether the window still knows about this number. */
  covers(number: number): boolean {
    return number >= 0 && number < this.next && number >= this.next - WINDOW;
  }

  /** PROTOCOL.md section 5.3: bit i, 1 the leftmost, says that `id - i` is in the set. */
  ackBits(id: number): number {
    let bits = 0;
    for (let i = 1; i <= 16; i += 1) bits = (bits << 1) | (this.has(id - i) ? 1 : 0);
    return bits;
  }

  #clear(at: number): void {
    this.#bits[at >>> 5] = (this.#bits[at >>> 5] as number) & ~(1 << (at & 31));
  }
}
