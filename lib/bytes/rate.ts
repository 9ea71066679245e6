// Events and the time they happen → may this one pass. A token bucket that holds two numbers and no timer, and the same for many keys
// in bounded memory. Time is an argument; what is counted (messages, bytes, connections) is the caller's.

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

// Elapsed time times a rate is rounded: the token that is due at 1.0 may be there as 0.9999999999.
const ROUNDING = 1e-6;

const checkRate = ({ perSecond, burst }: Rate): void => {
  if (!(perSecond > 0 && Number.isFinite(perSecond)))
    throw new RangeError(`perSecond must be above 0, not ${perSecond}`);
  if (!(burst >= 1 && Number.isFinite(burst))) throw new RangeError(`burst must be at least 1, not ${burst}`);
};

export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #level: number;
  #at = -Infinity;

  constructor(rate: Rate) {
    checkRate(rate);
    this.#perSecond = rate.perSecond;
    this.#burst = rate.burst;
    this.#level = rate.burst;
  }

  /** A clock that steps back neither gives nor takes. */
  #refill(now: number): void {
    if (now <= this.#at) return;
    this.#level = Math.min(this.#burst, this.#level + ((now - this.#at) * this.#perSecond) / 1000);
    this.#at = now;
  }

  /**
   * Takes `n` tokens if they are there; otherwise takes nothing and says false. More than the burst passes once the bucket is full and
   * leaves it in debt: one big message is possible, the long-run rate holds.
   */
  take(n: number, now: number): boolean {
    this.#refill(now);
    if (this.#level + ROUNDING < Math.min(n, this.#burst)) return false;
    this.#level -= n;
    return true;
  }

  /** Milliseconds from `now` until `take(n)` passes; 0 when it does already. */
  delay(now: number, n = 1): number {
    this.#refill(now);
    const missing = Math.min(n, this.#burst) - this.#level;
    return missing <= ROUNDING ? 0 : Math.ceil((missing * 1000) / this.#perSecond);
  }
}

/**
 * One bucket per key. A bucket must outlive the connections it counted, or leaving and coming back would fill it: so the buckets live
 * in two generations, and after the time an empty bucket needs to fill, the older generation holds only full ones and is dropped
 * whole. `keys` bounds each generation; a flood of keys above it drops the older one early, which forgives, and never grows.
 */
export class KeyedBuckets {
  readonly #rate: Rate;
  readonly #keys: number;
  readonly #lifetime: number;
  #recent = new Map<string, TokenBucket>();
  #older = new Map<string, TokenBucket>();
  #since = -Infinity;

  constructor(rate: Rate, keys: number) {
    checkRate(rate);
    if (!(keys >= 1)) throw new RangeError(`keys must be at least 1, not ${keys}`);
    this.#rate = rate;
    this.#keys = keys;
    this.#lifetime = (rate.burst * 1000) / rate.perSecond;
  }

  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  take(key: string, now: number): boolean {
    const idle = now - this.#since;
    if (idle >= this.#lifetime || this.#recent.size >= this.#keys) {
      this.#older = idle >= 2 * this.#lifetime ? new Map() : this.#recent;
      this.#recent = new Map();
      this.#since = now;
    }
    let bucket = this.#recent.get(key);
    if (bucket === undefined) {
      bucket = this.#older.get(key) ?? new TokenBucket(this.#rate);
      this.#older.delete(key);
      this.#recent.set(key, bucket);
    }
    return bucket.take(1, now);
  }
}
