// Packages of one peer, scope by scope → may this one pass, or how long to wait. A bucket for each scope that has a limit, made when it is
// first needed. PROTOCOL.md sections 8.1 (delay) and 8.4 (rate).
import { type Rate, TokenBucket } from '../bytes/rate.js';

export class Rates {
  /** Scopes that nobody declared share one: there are as many of them as a peer can name. */
  static readonly UNDECLARED = -1;
  #buckets: Map<number, TokenBucket> | undefined;

  /** ms to wait; 0: it passes. */
  take(scope: number, limit: Rate | undefined, now: number): number {
    if (limit === undefined) return 0;
    this.#buckets ??= new Map();
    let bucket = this.#buckets.get(scope);
    if (bucket === undefined) {
      bucket = new TokenBucket(limit);
      this.#buckets.set(scope, bucket);
    }
    return bucket.take(1, now) ? 0 : bucket.delay(now);
  }

  /** ms until the next one would pass: told with an answer, it spares the peer a refusal. */
  delay(scope: number, now: number): number {
    return this.#buckets?.get(scope)?.delay(now) ?? 0;
  }
}
