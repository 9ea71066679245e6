// Who sends a package, and of which scope → may it pass, or how long to wait. A bucket for each sender and scope that has a limit, made when it is
// first needed and forgotten when it is full again; kept for all peers at once, since a bucket that ended with its connection would be full
// for who comes again. PROTOCOL.md sections 8.1 (delay) and 8.4 (rate).
import { type Rate, TokenBucket } from '../bytes/rate.js';
import { PING, PING_RESPONSE, UD_REVOKE, UD_SAVE, UD_SAVED, UD_TRANSFER } from './core-scopes.js';

/** So many are senders we know, each with many scopes. Above it the oldest go, which forgives and never grows. */
const MOST = 65_536;

/** What keeps a document to one owner and its last state safe has no limit but one of its own: it answers, or ends, what was granted before. */
const UNLIMITED: ReadonlySet<number> = new Set(
  [PING, PING_RESPONSE, UD_TRANSFER, UD_REVOKE, UD_SAVE, UD_SAVED].map(({ id }) => id),
);

interface Kept {
  readonly limit: Rate;
  readonly bucket: TokenBucket;
}

export class Rates {
  /** Scopes that nobody declared share one: there are as many of them as a peer can name. */
  static readonly UNDECLARED = -1;
  readonly #most: number;
  #kept: Map<string, Kept> | undefined;
  #hand: Iterator<[string, Kept]> | undefined;

  constructor(most: number = MOST) {
    if (!(most >= 1)) throw new RangeError('rates must hold at least one');
    this.#most = most;
  }

  get size(): number {
    return this.#kept?.size ?? 0;
  }

  /** The limit of a scope that has none of its own. */
  static general(scope: number, limit: Rate | undefined): Rate | undefined {
    return UNLIMITED.has(scope) ? undefined : limit;
  }

  /** ms to wait; 0: it passes. */
  take(from: string, scope: number, limit: Rate | undefined, now: number): number {
    if (limit === undefined) return 0;
    const bucket = this.#bucket(`${scope} ${from}`, limit, now);
    return bucket.take(1, now) ? 0 : bucket.delay(now);
  }

  /** ms until the next one would pass: told with an answer, it spares the peer a refusal. */
  delay(from: string, scope: number, now: number): number {
    return this.size === 0 ? 0 : (this.#kept?.get(`${scope} ${from}`)?.bucket.delay(now) ?? 0);
  }

  #bucket(key: string, limit: Rate, now: number): TokenBucket {
    this.#kept ??= new Map();
    const known = this.#kept.get(key);
    // Scopes can be declared anew.
    if (known !== undefined && isSame(known.limit, limit)) return known.bucket;
    this.#kept.delete(key);
    this.#sweep(this.#kept, now);
    const bucket = new TokenBucket(limit);
    this.#kept.set(key, { limit, bucket });
    return bucket;
  }

  /** With every new one two others are looked at, so that those of who has gone are forgotten too. */
  #sweep(kept: Map<string, Kept>, now: number): void {
    for (let i = 0; i < 2; i++) {
      const next = this.#hand?.next();
      if (next === undefined || next.done === true) this.#hand = kept.entries();
      else if (next.value[1].bucket.delay(now, next.value[1].limit.burst) === 0) kept.delete(next.value[0]);
    }
    if (kept.size < this.#most) return;
    for (const oldest of kept.keys()) return void kept.delete(oldest);
  }
}

const isSame = (a: Rate, b: Rate): boolean => a === b || (a.perSecond === b.perSecond && a.burst === b.burst);
