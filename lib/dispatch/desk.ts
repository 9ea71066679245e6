// The store as one document sees it: one operation at a time, and how often in a row somebody else was faster. PROTOCOL.md section 9.1,
// compare-and-set. Knows what was asked, not why.
import type { OwnershipCounters } from './ownership-types.js';
import type { OwnershipRecord, Store } from './ports.js';

export type Ask = <Answer>(
  operation: () => Promise<Answer>,
  then: (answer: Answer, now: number) => void,
  failed: (now: number) => void,
) => void;

/** Compare-and-sets lost in a row, after which it is given up. */
const MAX_LOSSES = 8;

export class Desk {
  readonly #key: string;
  readonly #store: Store;
  readonly #counters: OwnershipCounters;
  readonly #ask: Ask;
  readonly #after: (now: number) => void;
  #asking = false;
  #answering = false;
  #losses = 0;

  /** `after` is called when an operation has ended and its answer was dealt with. */
  constructor(key: string, store: Store, counters: OwnershipCounters, ask: Ask, after: (now: number) => void) {
    this.#key = key;
    this.#store = store;
    this.#counters = counters;
    this.#ask = ask;
    this.#after = after;
  }

  /** An operation is under way, or its answer is being dealt with: whoever is called back in that must not begin another one. */
  get asking(): boolean {
    return this.#asking || this.#answering;
  }

  ask<Answer>(
    operation: (store: Store) => Promise<Answer>,
    then: (answer: Answer, now: number) => void,
    failed: (now: number) => void,
  ): void {
    if (this.#asking) throw new Error('one operation of a document at a time');
    this.#asking = true;
    this.#ask(
      () => operation(this.#store),
      (answer, now) => this.#answered(() => then(answer, now), now),
      (now) => this.#answered(() => failed(now), now),
    );
  }

  #answered(step: () => void, now: number): void {
    this.#asking = false;
    this.#answering = true;
    step();
    this.#answering = false;
    this.#after(now);
  }

  /** `then` learns whether it was written, or somebody else has been faster. */
  commit(
    record: OwnershipRecord,
    next: OwnershipRecord,
    then: (written: boolean, now: number) => void,
    failed: (now: number) => void,
  ): void {
    const { epoch, version } = record;
    this.ask(
      (store) => store.commit(this.#key, { epoch, version }, next),
      (written, now) => {
        this.#losses = written ? 0 : this.#losses + 1;
        if (!written) this.#counters.lost += 1;
        then(written, now);
      },
      failed,
    );
  }

  /** Others are at it all the time: to be told, not to be tried for ever. */
  hasLostTooOften(): boolean {
    if (this.#losses < MAX_LOSSES) return false;
    this.#losses = 0;
    return true;
  }
}
