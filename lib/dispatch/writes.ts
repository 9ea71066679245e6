// The writes of one document that wait for the store, in the order in which they came, and how many of them go before the first that waits for
// the document is looked at. PROTOCOL.md section 9.1. Knows no store and no owner.

/** A write, and when it has come. */
export interface Came<Write> {
  readonly write: Write;
  /** Monotonic ms. */
  readonly at: number;
}

export class Writes<Write> {
  readonly #line: Came<Write>[] = [];
  #ahead = 1;

  get length(): number {
    return this.#line.length;
  }

  add(write: Write, at: number): void {
    this.#line.push({ write, at });
  }

  /** To the front: it was taken, and is not written yet. */
  putBack(came: Came<Write>): void {
    this.#line.unshift(came);
  }

  /** `due`: somebody waits who can be looked at now. Then it is turn about: an owner that writes without pause must hear of it all the same. */
  take(due: boolean): Came<Write> | undefined {
    if (due && this.#ahead === 0) return undefined;
    this.#ahead = Math.max(0, this.#ahead - 1);
    return this.#line.shift();
  }

  /** Whoever waits is looked at: one write is next. */
  turn(): void {
    this.#ahead = 1;
  }

  /** All that came before that time are next. False: there are none. */
  goFirst(before: number): boolean {
    const count = this.#line.findLastIndex(({ at }) => at < before) + 1;
    if (count > 0) this.#ahead = count;
    return count > 0;
  }
}
