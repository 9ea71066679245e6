// How many bytes of messages have not left yet, by the standard's count: without what frames and masks add, and with what was sent after
// the end, which never leaves. Knows the queue only by its total: what was queued first leaves first.

interface Entry {
  readonly size: number;
  /** What the message takes in the queue, compressed and framed. */
  readonly queued: number;
}

export class Unsent {
  #entries: Entry[] = [];
  #size = 0;
  #queued = 0;
  #lost = 0;

  sent(size: number, queued: number, total: number): void {
    this.#forget(total - queued);
    this.#entries.push({ size, queued });
    this.#size += size;
    this.#queued += queued;
  }

  /** Will never be sent. */
  lost(size: number): void {
    this.#lost += size;
  }

  /** `total`: all that is queued now. */
  amount(total: number): number {
    this.#forget(total);
    return this.#size + this.#lost;
  }

  #forget(total: number): void {
    let gone = 0;
    for (const { size, queued } of this.#entries) {
      if (this.#queued - queued < total && total > 0) break;
      this.#size -= size;
      this.#queued -= queued;
      gone++;
    }
    if (gone > 0) this.#entries = this.#entries.slice(gone);
  }
}
