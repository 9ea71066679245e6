// The last bytes of one direction, as plain text: the LZ77 window of RFC 7692 section 7.1.1, kept outside of zlib so that no zlib
// object has to stay alive for it. A ring that begins small and grows to 2^bits only when that much was sent. Knows no zlib.

const FIRST = 1024;

export class History {
  readonly #most: number;
  #ring: Uint8Array = new Uint8Array(0);
  #next = 0;
  #length = 0;

  constructor(bits: number) {
    this.#most = 2 ** bits;
  }

  /** How many bytes are remembered. */
  get length(): number {
    return this.#length;
  }

  /** Bytes held. */
  get memory(): number {
    return this.#ring.length;
  }

  push(bytes: Uint8Array): void {
    const count = bytes.length;
    if (count === 0) return;
    if (count >= this.#most) {
      this.#grow(this.#most);
      this.#ring.set(bytes.subarray(count - this.#most));
      this.#next = 0;
      this.#length = this.#most;
      return;
    }
    if (this.#length + count > this.#ring.length) this.#grow(this.#length + count);
    const first = this.#ring.length - this.#next;
    if (count <= first) this.#ring.set(bytes, this.#next);
    else {
      this.#ring.set(bytes.subarray(0, first), this.#next);
      this.#ring.set(bytes.subarray(first));
    }
    this.#next = (this.#next + count) % this.#ring.length;
    this.#length = Math.min(this.#most, this.#length + count);
  }

  /** The newest `count` bytes, oldest first, as one or two views that live until the next push. */
  newest(count: number): readonly [Uint8Array, Uint8Array] {
    const size = Math.min(count, this.#length);
    const from = this.#next - size;
    if (from >= 0) return [this.#ring.subarray(from, this.#next), this.#ring.subarray(0, 0)];
    return [this.#ring.subarray(this.#ring.length + from), this.#ring.subarray(0, this.#next)];
  }

  /** All of it in one piece, as zlib wants a dictionary; undefined when there is nothing, which zlib would refuse. */
  dictionary(): Uint8Array | undefined {
    if (this.#length === 0) return undefined;
    const [older, newer] = this.newest(this.#length);
    if (newer.length === 0) return older;
    const whole = new Uint8Array(this.#length);
    whole.set(older);
    whole.set(newer, older.length);
    return whole;
  }

  /** Room for `wanted`, in powers of two up to the whole window, with the content moved to the front. */
  #grow(wanted: number): void {
    let size = Math.max(this.#ring.length, Math.min(FIRST, this.#most));
    while (size < wanted && size < this.#most) size *= 2;
    if (size === this.#ring.length) return;
    const larger = new Uint8Array(size);
    // Below its full size the ring has never wrapped: everything lies in one piece, ending at #next or at the very end.
    const [older, newer] = this.newest(this.#length);
    larger.set(older);
    larger.set(newer, older.length);
    this.#ring = larger;
    this.#next = this.#length % size;
  }
}
