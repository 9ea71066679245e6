// Puts RELIABLE messages into the order of their numbers: one that is complete waits while a group with a lower number is open, also
// across connections, where the group waits for its retransmission. Bounded: who is made to wait is ours to keep. Knows no packet.
// PROTOCOL.md section 5.2, stream profile.

/** Section 5.1 lets a sender run 512 numbers ahead of what it has not seen acknowledged, so no honest peer makes us keep more. */
const MAX_HELD = 512;

interface Held {
  readonly number: number;
  readonly data: Uint8Array;
}

export class Order {
  readonly #maxBytes: number;
  readonly #deliver: (data: Uint8Array, number: number, owned: boolean) => void;
  /** RELIABLE groups that are not complete, ascending not needed: there are eight at most. */
  readonly #open = new Set<number>();
  #held: Held[] = [];
  #heldBytes = 0;
  /** The highest number that was delivered. */
  last = -1;

  constructor(maxBytes: number, deliver: (data: Uint8Array, number: number, owned: boolean) => void) {
    this.#maxBytes = maxBytes;
    this.#deliver = deliver;
  }

  /** How many groups are open. */
  get open(): number {
    return this.#open.size;
  }

  begin(number: number): void {
    this.#open.add(number);
  }

  /** Groups from this number on were none: nothing that was delivered or kept lies above them. */
  forget(from: number): void {
    for (const number of this.#open) if (number >= from) this.#open.delete(number);
  }

  /** Whether the message could be delivered or kept. */
  hasRoom(number: number, size: number): boolean {
    if (this.#open.size === 0 || number <= this.#lowest()) return true;
    return this.#held.length < MAX_HELD && this.#heldBytes + size <= this.#maxBytes;
  }

  /** A message is complete: it is delivered, and what waited for it as well; or it is kept. */
  complete(number: number, data: Uint8Array, owned: boolean): void {
    if (this.#open.size > 0) {
      this.#open.delete(number);
      if (number > this.#lowest()) {
        this.#hold(number, owned ? data : new Uint8Array(data));
        return;
      }
    }
    this.last = number;
    this.#deliver(data, number, owned);
    if (this.#held.length > 0) this.#release(this.#lowest());
  }

  /** The end: what is complete was acknowledged, so it is delivered; what is missing, its sender is told. */
  flush(): void {
    this.#open.clear();
    this.#release(Number.POSITIVE_INFINITY);
  }

  #lowest(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const number of this.#open) if (number < lowest) lowest = number;
    return lowest;
  }

  #hold(number: number, data: Uint8Array): void {
    let at = this.#held.length;
    while (at > 0 && (this.#held[at - 1] as Held).number > number) at -= 1;
    this.#held.splice(at, 0, { number, data });
    this.#heldBytes += data.length;
  }

  /** One by one: a receiver may end the session, which flushes the rest from within. */
  #release(below: number): void {
    for (let next = this.#held[0]; next !== undefined && next.number < below; next = this.#held[0]) {
      this.#held.shift();
      this.#heldBytes -= next.data.length;
      this.last = next.number;
      this.#deliver(next.data, next.number, true);
    }
  }
}
