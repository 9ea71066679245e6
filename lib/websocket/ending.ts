// How a connection comes to its end: who began it, what the peer said, what was wrong, and who waits to hear of it. Made when the end
// begins; an open connection has none.
import { closeCodeOf, type FaultCode, phraseOf } from '../fault.js';
import type { CloseBody } from '../frame/close.js';

/** How a connection ended. */
export interface Outcome {
  /** The code of the peer's Close frame; without one, the code we failed the connection with, or 1006. */
  readonly code: number;
  readonly reason: string;
  /** Both Close frames were exchanged. */
  readonly clean: boolean;
  /** Who sent the first Close frame; none: the connection broke. */
  readonly initiator: 'local' | 'remote' | 'none';
  readonly fault?: FaultCode;
}

export class Ending {
  /** Somebody of ours cut the connection. */
  cut = false;
  /** The wire is gone. */
  over = false;
  /** When a consumer that makes no progress is given up, and how far it was. */
  giveUpAt = 0;
  deliveredBefore = 0;
  #initiator: Outcome['initiator'] = 'none';
  #theirs: CloseBody | undefined;
  #fault: FaultCode | undefined;
  #outcome: Outcome | undefined;
  #waiters: ((outcome: Outcome) => void)[] | undefined;

  /** The first of them counts. */
  begunBy(who: 'local' | 'remote'): void {
    if (this.#initiator === 'none') this.#initiator = who;
  }

  theirs(body: CloseBody): void {
    this.#theirs = body;
  }

  /** The first fault is the cause. */
  blame(fault: FaultCode): void {
    this.#fault ??= fault;
  }

  get fault(): FaultCode | undefined {
    return this.#fault;
  }

  get known(): boolean {
    return this.#outcome !== undefined;
  }

  outcome(): Promise<Outcome> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome);
    return new Promise((resolve) => {
      this.#waiters ??= [];
      this.#waiters.push(resolve);
    });
  }

  /** Tells everybody. `exchanged`: both Close frames are out. */
  settle(exchanged: boolean): Outcome {
    const clean = exchanged && this.#theirs !== undefined;
    const failedWith = this.#fault === undefined ? 1006 : closeCodeOf(this.#fault);
    const outcome: Outcome = {
      code: this.#theirs?.code ?? failedWith,
      reason: this.#theirs?.reason ?? (this.#fault === undefined ? '' : phraseOf(this.#fault)),
      clean,
      initiator: this.#initiator,
      ...(this.#fault === undefined || clean ? {} : { fault: this.#fault }),
    };
    this.#outcome = outcome;
    if (this.#waiters !== undefined) for (const waiter of this.#waiters) waiter(outcome);
    this.#waiters = undefined;
    return outcome;
  }
}
