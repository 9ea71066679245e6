// When to give a sign of life, and until when what we own is safely ours. A lease runs from the last package that the dispatch has heard of us,
// which only its answers prove: what it sends by itself says nothing of what reaches it. So the time counts from which an answered package
// was sent, which is before it was heard: this end of the lease never comes after the other one's. PROTOCOL.md section 9.1.
import type { Paced } from '../link/traveller.js';

export interface LeasePort {
  /** Ask for a sign of life, and tell `answered` what became of it. */
  ping(): void;
  /** The lease is over: nothing may be written any more. */
  fenced(): void;
  /** Something is owned. */
  holds(): boolean;
}

/** A lease has so many signs of life, so that two may be lost. */
const PINGS = 3;
/** Part of it that is left unused: clocks differ, and who must stop needs a moment. */
const MARGIN = 30;

export class Lease implements Paced {
  readonly #lease: number;
  readonly #port: LeasePort;
  #up = false;
  #asking = false;
  #asked = Number.NEGATIVE_INFINITY;
  #proven = Number.NEGATIVE_INFINITY;

  /** `lease`: the dispatch's, in ms. */
  constructor(lease: number, port: LeasePort) {
    this.#lease = lease;
    this.#port = port;
  }

  /** ms between two signs of life, and for the answer to one. */
  get beat(): number {
    return this.#lease / PINGS;
  }

  /** When what was answered last was sent. */
  get proven(): number {
    return this.#proven;
  }

  /** Monotonic ms: from then on somebody else may own what we own. */
  get end(): number {
    return this.#proven + this.#lease - this.#lease / MARGIN;
  }

  isOver(now: number): boolean {
    return now >= this.end;
  }

  /** There is a connection over which to ask. */
  up(): void {
    this.#up = true;
    this.#asking = false;
  }

  down(): void {
    this.#up = false;
    this.#asking = false;
  }

  /** A package that was sent then has had a good answer. */
  prove(sentAt: number): void {
    if (sentAt > this.#proven) this.#proven = sentAt;
  }

  answered(): void {
    this.#asking = false;
  }

  deadline(): number {
    const fence = this.#port.holds() ? this.end : Number.POSITIVE_INFINITY;
    return this.#up && !this.#asking ? Math.min(fence, this.#next()) : fence;
  }

  tick(now: number): void {
    if (this.isOver(now) && this.#port.holds()) this.#port.fenced();
    if (!this.#up || this.#asking || now < this.#next()) return;
    this.#asking = true;
    this.#asked = now;
    this.#port.ping();
  }

  #next(): number {
    return Math.max(this.#asked, this.#proven) + this.beat;
  }
}
