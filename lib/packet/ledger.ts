// The RELIABLE messages that wait for an ACK, by number: what is kept until the peer has it, how much of that there may be, and which
// numbers may be used meanwhile. Keeps the message as the application gave it, so that it can be sealed again under the keys of another
// connection, or handed back. Knows no packet, no time. PROTOCOL.md sections 5.1 (reserve), 5.3 (bounds) and 5.5 (resume).
import type { Undelivered } from './session-types.js';
import { Slab } from './slab.js';

/** Section 5.1: how far new numbers may run ahead of the oldest unacknowledged one, so that a retransmission still falls into the window. */
export const RESERVE = { message: 512, answer: 1024 } as const;

export interface LedgerEntry {
  readonly number: number;
  readonly data: Uint8Array;
  /** As the application asked: RELIABLE, CHECKSUM, COMPRESSED. */
  readonly flags: number;
  sent: boolean;
}

export class Ledger<Entry extends LedgerEntry = LedgerEntry> {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  /** In the order of their numbers, for that is how they are added. */
  readonly #entries = new Map<number, Entry>();
  readonly #slab = new Slab(1024, 8192);
  #bytes = 0;
  #oldest = Number.POSITIVE_INFINITY;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Infinity: nothing waits. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Whether a message of that size could ever be kept. */
  fits(size: number): boolean {
    return size <= this.#maxBytes;
  }

  hasRoom(size: number): boolean {
    return this.#entries.size < this.#maxMessages && this.#bytes + size <= this.#maxBytes;
  }

  /** Section 5.1: whether `number` may be used while the oldest still waits. */
  mayUse(number: number, reserve: number): boolean {
    return number - this.#oldest < reserve;
  }

  /** Octets to keep in an entry, safe from a caller that goes on using its own. */
  copy(data: Uint8Array): Uint8Array {
    return this.#slab.copy(data);
  }

  add(entry: Entry): void {
    this.#entries.set(entry.number, entry);
    this.#bytes += entry.data.length;
    if (entry.number < this.#oldest) this.#oldest = entry.number;
  }

  /** Undefined: it was acknowledged before, or never was RELIABLE. */
  acknowledge(number: number): Entry | undefined {
    const entry = this.#entries.get(number);
    if (entry === undefined) return undefined;
    this.#entries.delete(number);
    this.#bytes -= entry.data.length;
    if (number === this.#oldest) this.#oldest = this.#first();
    if (this.#entries.size === 0) this.#slab.reset();
    return entry;
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** Hands all of it back and forgets it. */
  takeUndelivered(): Undelivered[] {
    // Copies: what is handed out shares no memory with anything.
    const all = Array.from(
      this.#entries.values(),
      ({ number, data, sent }): Undelivered => ({ number, data: new Uint8Array(data), sent }),
    );
    this.#entries.clear();
    this.#slab.reset();
    this.#bytes = 0;
    this.#oldest = Number.POSITIVE_INFINITY;
    return all;
  }

  #first(): number {
    for (const number of this.#entries.keys()) return number;
    return Number.POSITIVE_INFINITY;
  }
}
