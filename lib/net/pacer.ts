// Lets something that has deadlines but no clock wait in the wheel.
import { arm, disarm, type Timed } from './wheel.js';

/** What is ticked. */
export interface Paced {
  deadline(): number;
  tick(now: number): void;
}

export class Pacer implements Timed {
  slot = 0;
  place = -1;
  readonly #paced: Paced;

  constructor(paced: Paced) {
    this.#paced = paced;
  }

  deadline(): number {
    return this.#paced.deadline();
  }

  tick(now: number): void {
    this.#paced.tick(now);
  }

  /** A deadline may have come nearer. */
  moved(): void {
    arm(this);
  }

  stop(): void {
    disarm(this);
  }
}
