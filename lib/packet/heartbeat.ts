// Is the other end alive, how far is it, and does it ask too often: the times of what was heard and asked, nothing else. Writes no packet
// and draws no token: it says when to ask, and is told. PROTOCOL.md section 4.
import type { SessionLimits } from './settings.js';

/** More PINGs than this within a second are a flood. */
const MAX_PINGS = 10;
const SECOND = 1000;

export class Heartbeat {
  readonly #limits: Pick<SessionLimits, 'heartbeat' | 'heartbeatTimeout'>;
  /** Datagram: an unanswered PING is sent once more after this long. Stream: never. */
  readonly #repeat: number;
  #heard = 0;
  #asked = 0;
  /** A PING is out and nothing was heard since. */
  #silent = false;
  #repeated = true;
  #token: Uint8Array | undefined;
  readonly #pings: number[] = new Array<number>(MAX_PINGS).fill(Number.NEGATIVE_INFINITY);
  #ping = 0;
  rtt: number | undefined;

  constructor(
    limits: Pick<SessionLimits, 'heartbeat' | 'heartbeatTimeout'>,
    repeat: number = Number.POSITIVE_INFINITY,
  ) {
    this.#limits = limits;
    this.#repeat = repeat;
  }

  /** A new transport. */
  start(now: number): void {
    this.heard(now);
    this.#token = undefined;
    this.#pings.fill(Number.NEGATIVE_INFINITY);
  }

  heard(now: number): void {
    this.#heard = now;
    this.#silent = false;
  }

  /** A PING is out whose PONG would tell the round trip; after a while it is not expected any more. */
  isWaiting(now: number): boolean {
    return this.#token !== undefined && now < this.#asked + this.#limits.heartbeatTimeout;
  }

  deadline(): number {
    if (!this.#silent) return this.#heard + this.#limits.heartbeat;
    const end = this.#asked + this.#limits.heartbeatTimeout;
    return this.#repeated ? end : Math.min(end, this.#asked + this.#repeat);
  }

  judge(now: number): 'fine' | 'ask' | 'repeat' | 'dead' {
    if (now < this.deadline()) return 'fine';
    if (!this.#silent) return 'ask';
    return now >= this.#asked + this.#limits.heartbeatTimeout ? 'dead' : 'repeat';
  }

  asked(token: Uint8Array, now: number): void {
    this.#token = token;
    this.#asked = now;
    this.#repeated = this.#repeat === Number.POSITIVE_INFINITY;
    this.#silent = true;
  }

  /** The token to ask with once more. */
  repeated(): Uint8Array | undefined {
    this.#repeated = true;
    return this.#token;
  }

  /** The round trip; undefined: nobody asked for this PONG. */
  answered(token: Uint8Array, now: number): number | undefined {
    const own = this.#token;
    if (own === undefined || own.length !== token.length) return undefined;
    for (let i = 0; i < own.length; i += 1) if (own[i] !== token[i]) return undefined;
    this.#token = undefined;
    this.rtt = now - this.#asked;
    return this.rtt;
  }

  /** A PING of the peer. True: that is the eleventh within a second. */
  isFlood(now: number): boolean {
    const oldest = this.#pings[this.#ping] as number;
    this.#pings[this.#ping] = now;
    this.#ping = (this.#ping + 1) % MAX_PINGS;
    return now - oldest < SECOND;
  }
}
