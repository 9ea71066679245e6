// A socket that arrives → a seat, or the fault to refuse it with, before any byte of it is parsed, hashed or authorised. Counts what is
// there: all, per address (IPv6 by its /64), half-open, waiting for the authoriser; and how fast it comes. Two numbers per address
// that is present and nothing for one that is gone. Knows no sockets, no HTTP and no clock: time and entropy are arguments.

import { KeyedBuckets, type Rate, TokenBucket } from '../bytes/rate.js';
import { type Fault, fault } from '../fault.js';
import { accountingKey } from './cidr.js';

/** Infinity where there shall be no limit. */
export interface AdmissionLimits {
  /** Sockets of every state. */
  readonly total: number;
  readonly perAddress: number;
  /** Accepted and not answered yet: the head is incomplete, or the authoriser has not decided. */
  readonly halfOpen: number;
  readonly halfOpenPerAddress: number;
  /** Authorisers running at once; part of halfOpen. */
  readonly pendingAuthorize: number;
  readonly acceptRate?: Rate | undefined;
  readonly acceptRatePerAddress?: Rate | undefined;
}

export interface AdmissionCounts {
  readonly open: number;
  readonly halfOpen: number;
  readonly authorizing: number;
  readonly addresses: number;
}

interface Tally {
  readonly key: string;
  seats: number;
  halfOpen: number;
}

/** What an Admission and its seats count in together. */
interface Book {
  readonly limits: AdmissionLimits;
  readonly rates: KeyedBuckets | undefined;
  readonly addresses: Map<string, Tally>;
  seats: number;
  halfOpen: number;
  authorizing: number;
  /** Those who were sent away and will come back, forgotten at the rate at which they can be let in. */
  waiting: number;
}

// Each remembered address costs about 200 bytes; two generations of these are 4 MB under attack.
const REMEMBERED_ADDRESSES = 10_000;
// Spread of the retries when no accept rate says how many may come in a second.
const PLAIN_SPREAD = 5;
const LONGEST_RETRY = 120;

const isRoom = (limit: number, name: string): void => {
  if (!(limit >= 1)) throw new RangeError(`${name} must be at least 1, not ${limit}`);
};

const checkAddress = (book: Book, key: string, now: number): Fault | undefined => {
  const tally = book.addresses.get(key);
  if (tally !== undefined) {
    if (tally.seats >= book.limits.perAddress) return fault('WSD_UPGRADE_RATE', 'perAddress');
    if (tally.halfOpen >= book.limits.halfOpenPerAddress) return fault('WSD_UPGRADE_RATE', 'halfOpenPerAddress');
  }
  return book.rates?.take(key, now) === false ? fault('WSD_UPGRADE_RATE', 'acceptRatePerAddress') : undefined;
};

/** The place one socket holds. Its steps go one way (half-open, authorizing, open, gone), and each may be said twice. */
export class Seat {
  readonly #book: Book;
  #tally: Tally | undefined;
  #state: 'half-open' | 'authorizing' | 'open' | 'gone' = 'half-open';

  /** Made by Admission.arrive(). */
  constructor(book: Book, key: string | undefined) {
    this.#book = book;
    book.seats++;
    book.halfOpen++;
    if (key !== undefined) this.#count(key);
  }

  get kind(): 'seat' {
    return 'seat';
  }

  /** The name it is counted under; undefined while a proxy has not told the client's address. */
  get key(): string | undefined {
    return this.#tally?.key;
  }

  #count(key: string): void {
    let tally = this.#book.addresses.get(key);
    if (tally === undefined) {
      tally = { key, seats: 0, halfOpen: 0 };
      this.#book.addresses.set(key, tally);
    }
    tally.seats++;
    if (this.#state !== 'open') tally.halfOpen++;
    this.#tally = tally;
  }

  /** Names the client once it is known (trusted proxy, PROXY header): the limits of one address are judged now. Refused, it leaves. */
  claim(address: string, now: number): Fault | undefined {
    if (this.key !== undefined) throw new TypeError(`this seat is counted under ${this.key} already`);
    if (this.#state === 'gone') return undefined;
    const key = accountingKey(address);
    const refused = checkAddress(this.#book, key, now);
    if (refused === undefined) this.#count(key);
    return refused;
  }

  /** The authoriser is about to be asked. */
  authorize(): Fault | undefined {
    if (this.#state !== 'half-open') return undefined;
    if (this.#book.authorizing >= this.#book.limits.pendingAuthorize) {
      this.#book.waiting++;
      return fault('WSD_UPGRADE_BUSY', 'pendingAuthorize');
    }
    this.#state = 'authorizing';
    this.#book.authorizing++;
    return undefined;
  }

  /** The answer is decided: half-open no more. */
  settle(): void {
    if (this.#state === 'authorizing') this.#book.authorizing--;
    else if (this.#state !== 'half-open') return;
    this.#state = 'open';
    this.#book.halfOpen--;
    if (this.#tally !== undefined) this.#tally.halfOpen--;
  }

  /** The socket is gone, in whatever state. */
  leave(): void {
    if (this.#state === 'gone') return;
    this.settle();
    this.#state = 'gone';
    this.#book.seats--;
    const tally = this.#tally;
    if (tally !== undefined && --tally.seats === 0) this.#book.addresses.delete(tally.key);
  }
}

export class Admission {
  readonly #book: Book;
  readonly #rate: TokenBucket | undefined;
  #forgotten = -Infinity;

  constructor(limits: AdmissionLimits) {
    isRoom(limits.total, 'total');
    isRoom(limits.perAddress, 'perAddress');
    isRoom(limits.halfOpen, 'halfOpen');
    isRoom(limits.halfOpenPerAddress, 'halfOpenPerAddress');
    isRoom(limits.pendingAuthorize, 'pendingAuthorize');
    const { acceptRate, acceptRatePerAddress } = limits;
    this.#rate = acceptRate && new TokenBucket(acceptRate);
    this.#book = {
      limits,
      rates: acceptRatePerAddress && new KeyedBuckets(acceptRatePerAddress, REMEMBERED_ADDRESSES),
      addresses: new Map(),
      seats: 0,
      halfOpen: 0,
      authorizing: 0,
      waiting: 0,
    };
  }

  counts(): AdmissionCounts {
    const { seats, halfOpen, authorizing, addresses } = this.#book;
    return { open: seats - halfOpen, halfOpen, authorizing, addresses: addresses.size };
  }

  /**
   * A socket was accepted. `address` is undefined for a trusted proxy and for a Unix socket: their connections belong to many clients,
   * so they are counted under an address only at claim(). The limits of one address are asked before the bucket that all share: who is
   * over them spends no token of it.
   */
  arrive(address: string | undefined, now: number): Seat | Fault {
    const { limits, seats, halfOpen } = this.#book;
    if (seats >= limits.total) return this.#sendAway('total', now);
    if (halfOpen >= limits.halfOpen) return this.#sendAway('halfOpen', now);
    const key = address === undefined ? undefined : accountingKey(address);
    const refused = key === undefined ? undefined : checkAddress(this.#book, key, now);
    if (refused !== undefined) return refused;
    if (this.#rate?.take(1, now) === false) return this.#sendAway('acceptRate', now);
    return new Seat(this.#book, key);
  }

  /**
   * Seconds for Retry-After. All who are sent away in one storm would come back in one storm: so the answers spread over the time it
   * takes to let that many in. `entropy` is in [0, 1).
   */
  retryAfter(now: number, entropy: number): number {
    this.#forget(now);
    const perSecond = this.#book.limits.acceptRate?.perSecond;
    const base = Math.max(1, Math.ceil((this.#rate?.delay(now) ?? 0) / 1000));
    const spread = perSecond === undefined ? PLAIN_SPREAD : Math.max(PLAIN_SPREAD, this.#book.waiting / perSecond);
    // The cap narrows the spread, not each answer: capped answers would all be the same second
    return base >= LONGEST_RETRY
      ? LONGEST_RETRY
      : base + Math.floor(entropy * Math.min(spread, LONGEST_RETRY - base + 1));
  }

  #sendAway(limit: string, now: number): Fault {
    this.#forget(now);
    this.#book.waiting++;
    return fault('WSD_UPGRADE_BUSY', limit);
  }

  #forget(now: number): void {
    const perSecond = this.#book.limits.acceptRate?.perSecond;
    if (perSecond === undefined || now <= this.#forgotten) return;
    this.#book.waiting = Math.max(0, this.#book.waiting - ((now - this.#forgotten) * perSecond) / 1000);
    this.#forgotten = now;
  }
}
