// iss, jti, exp → was this token received before. Ids that count up under one prefix, as jti.ts makes them, are kept as one run, whatever
// their number; others are runs of one. Nothing is ever forgotten before its time: an eviction would let a replay through, so who has more
// runs open than he may is refused (rate_limited) until some are over. It remembers from its making on: what was signed before that may have
// been received before that too, and is refused (token_expired). PROTOCOL.md sections 8.2, 8.4 and 10; HOSTILE 69.
//
// Why runs: a token is remembered for its life and 30 s more, 90 s as a rule. 10,000 single ids would allow a node 111 packages a second.
import { base64urlDigit } from '../bytes/base64url.js';
import { type PackageFault, packageFault } from './codes.js';
import { COUNT_LENGTH } from './jti.js';
import { CLOCK_TOLERANCE, MAX_JTIS, MAX_TOKEN_TTL } from './limits.js';
import type { Claims } from './package.js';

/** Counts from `first` to `last`, all received. */
interface Run {
  first: number;
  last: number;
  /** The latest exp among them, seconds. */
  until: number;
}

/** Seconds between two looks for what is over. */
const SWEEP_EVERY = 30;
const MOST_RUNS = 1_000_000;
/** Seconds after which nothing from before the making can be good any more, however much clocks differ. */
const YOUNG = 2 * MAX_TOKEN_TTL;

/** One node's. */
class Issuer {
  /** By prefix; in the order of their counts, never touching one another. */
  readonly runs = new Map<string, Run[]>();
  size = 0;
  /** When it was last looked at, and the earliest exp that was left: seconds. */
  sweptAt: number;
  earliest: number;

  constructor(now: number) {
    this.sweptAt = now;
    this.earliest = now;
  }
}

export interface ReplayLimits {
  /** Runs of one issuer. */
  readonly perIssuer?: number | undefined;
  /** Runs of all: above it nobody may have more than his share of it. */
  readonly total?: number | undefined;
}

export class ReplayCache {
  readonly #perIssuer: number;
  readonly #total: number;
  readonly #issuers = new Map<string, Issuer>();
  #size = 0;
  /** The latest exp of what was forgotten. */
  #forgotten = 0;
  /** Seconds: since when it remembers, and by the clocks of those who have answered us. */
  #since: number;
  readonly #sinceBy = new Map<string, number>();
  #hand: Iterator<[string, Issuer]> = this.#issuers.entries();

  /** `wall`: ms since 1970. */
  constructor(wall: number, { perIssuer = MAX_JTIS, total = MOST_RUNS }: ReplayLimits = {}) {
    if (!(perIssuer >= 1) || !(total >= 1)) throw new RangeError('a replay cache must hold at least one');
    if (!Number.isFinite(wall)) throw new RangeError('the time since when a replay cache remembers must be a number');
    this.#since = Math.floor(wall / 1000);
    this.#perIssuer = perIssuer;
    this.#total = total;
  }

  /** Runs that are held. */
  get size(): number {
    return this.#size;
  }

  get issuers(): number {
    return this.#issuers.size;
  }

  /**
   * Whether it is from before we began to remember. `asked`: it answers a package of ours, so it is not; and what its issuer signed before our
   * beginning was not signed later by his clock, which may be wrong by some seconds. Times of tokens are whole seconds, and so is this.
   */
  checkAge({ iss, iat }: Pick<Claims, 'iss' | 'iat'>, wall: number, asked: boolean): PackageFault | undefined {
    const now = Math.floor(wall / 1000);
    // The clock was wrong when we began: it was set back behind that.
    if (now < this.#since) this.#since = now;
    if (now >= this.#since + YOUNG) {
      this.#sinceBy.clear();
      return undefined;
    }
    if (asked) {
      if (!this.#sinceBy.has(iss)) this.#sinceBy.set(iss, iat);
      return undefined;
    }
    const early = (this.#sinceBy.get(iss) ?? this.#since) - iat;
    if (early <= 0) return undefined;
    const perhaps = `received before that perhaps, or the clock of ${iss} is behind`;
    return packageFault('token_expired', { detail: `signed ${early} s before this end began: ${perhaps}` });
  }

  /**
   * Remembers the token, or says why it is refused. For tokens whose signature and times were found good: `iss` is a node we know, so
   * that there are never more issuers than keys. `exp` in seconds; `wall` in ms since 1970.
   */
  take(iss: string, jti: string, exp: number, wall: number): PackageFault | undefined {
    const now = Math.floor(wall / 1000);
    // Only when the wall clock was set back: it may be one of those that were forgotten.
    if (exp <= this.#forgotten) return packageFault('token_expired', { detail: 'from before the clock was set back' });
    this.#sweepNext(now);
    let issuer = this.#issuers.get(iss);
    if (issuer === undefined) {
      issuer = new Issuer(now);
      this.#issuers.set(iss, issuer);
    }
    const fault = this.#remember(issuer, jti, exp, now);
    if (issuer.size === 0) this.#issuers.delete(iss);
    return fault;
  }

  #remember(issuer: Issuer, jti: string, exp: number, now: number): PackageFault | undefined {
    const cut = jti.length - COUNT_LENGTH;
    const prefix = jti.slice(0, cut);
    const count = countOf(jti, cut);
    const runs = issuer.runs.get(prefix);
    const before = runs === undefined ? -1 : lastUpTo(runs, count);
    const left = runs?.[before];
    if (left !== undefined && count <= left.last) return packageFault('replayed');
    const right = runs?.[before + 1];
    if (left !== undefined && left.last + 1 === count) {
      left.last = count;
      left.until = Math.max(left.until, exp);
      if (right?.first === count + 1) {
        // The gap between two runs is closed.
        left.last = right.last;
        left.until = Math.max(left.until, right.until);
        runs?.splice(before + 1, 1);
        this.#grow(issuer, -1);
      }
      return undefined;
    }
    if (right?.first === count + 1) {
      right.first = count;
      right.until = Math.max(right.until, exp);
      return undefined;
    }
    const full = this.#checkRoom(issuer, now);
    if (full !== undefined) return full;
    const run = { first: count, last: count, until: exp };
    // Making room may have dropped the array.
    const current = issuer.runs.get(prefix);
    if (current === undefined) issuer.runs.set(prefix, [run]);
    else current.splice(lastUpTo(current, count) + 1, 0, run);
    this.#grow(issuer, 1);
    return undefined;
  }

  /** Bounded by twice the total: the shares of all together are one total. */
  #isFull(issuer: Issuer): boolean {
    if (issuer.size >= this.#perIssuer) return true;
    return this.#size >= this.#total && issuer.size >= this.#total / this.#issuers.size;
  }

  #checkRoom(issuer: Issuer, now: number): PackageFault | undefined {
    if (!this.#isFull(issuer)) return undefined;
    // A look a second at most: nothing ends between two seconds.
    this.#sweep(issuer, now, 1);
    if (!this.#isFull(issuer)) return undefined;
    const wait = Math.max(1, issuer.earliest + CLOCK_TOLERANCE - now);
    return packageFault('rate_limited', { detail: 'too many ids of tokens to remember', delay: wait * 1000 });
  }

  /** With every token one other issuer is looked at, so that those who have gone are forgotten too. */
  #sweepNext(now: number): void {
    let next = this.#hand.next();
    if (next.done === true) {
      this.#hand = this.#issuers.entries();
      next = this.#hand.next();
      if (next.done === true) return;
    }
    const [iss, issuer] = next.value;
    this.#sweep(issuer, now, SWEEP_EVERY);
    if (issuer.size === 0) this.#issuers.delete(iss);
  }

  /** Forgets what is over, unless it was looked for less than `pause` seconds ago, by a clock that may be set. */
  #sweep(issuer: Issuer, now: number, pause: number): void {
    if (Math.abs(now - issuer.sweptAt) < pause) return;
    issuer.sweptAt = now;
    issuer.earliest = Number.POSITIVE_INFINITY;
    for (const [prefix, runs] of issuer.runs) {
      const left: Run[] = [];
      for (const run of runs) {
        if (now < run.until + CLOCK_TOLERANCE) {
          left.push(run);
          issuer.earliest = Math.min(issuer.earliest, run.until);
        } else this.#forgotten = Math.max(this.#forgotten, run.until);
      }
      this.#grow(issuer, left.length - runs.length);
      if (left.length === 0) issuer.runs.delete(prefix);
      else issuer.runs.set(prefix, left);
    }
  }

  #grow(issuer: Issuer, by: number): void {
    issuer.size += by;
    this.#size += by;
  }
}

/** The last characters as a number to the base of 64. */
const countOf = (jti: string, from: number): number => {
  let count = 0;
  for (let i = from; i < jti.length; i++) count = count * 64 + base64urlDigit(jti.charCodeAt(i));
  return count;
};

/** The last run that begins at or before the count; -1: none does. As a rule it is the last of all. */
const lastUpTo = (runs: readonly Run[], count: number): number => {
  let low = -1;
  let high = runs.length - 1;
  if (high >= 0 && (runs[high] as Run).first <= count) return high;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((runs[middle] as Run).first <= count) low = middle;
    else high = middle - 1;
  }
  return low;
};
