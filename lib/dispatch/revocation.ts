// One owner is asked to let go of one document: when it was told, until when it has time to answer, and when its lease ends if it does
// not. PROTOCOL.md section 9.1. The lease is frozen the moment 102 is sent: nothing that the owner sends afterwards prolongs it. An owner
// that is not there to be told has a lease that runs on; when it comes back it is told then, and that moment freezes it.
import type { Leases } from './lease.js';
import type { OwnershipCounters, OwnershipSettings, OwnershipSink } from './ownership-types.js';
import type { OwnershipRecord } from './ports.js';

interface RevocationGround {
  readonly sink: Pick<OwnershipSink<never, never>, 'revoke'>;
  readonly settings: OwnershipSettings;
  readonly leases: Leases;
  readonly counters: OwnershipCounters;
}

/** 102s of one revocation whose answers are known by their ids alone. */
const MOST_IDS = 16;

export class Revocation {
  readonly owner: string;
  readonly epoch: number;
  readonly #to: string;
  readonly #key: string;
  readonly #ground: RevocationGround;
  readonly #ids: string[] = [];
  #until: number;
  #leaseEnd: number;

  /** Sends 102 where that is possible. */
  constructor(
    key: string,
    ground: RevocationGround,
    record: OwnershipRecord & { owner: string },
    to: string,
    now: number,
  ) {
    this.owner = record.owner;
    this.epoch = record.epoch;
    this.#to = to;
    this.#key = key;
    this.#ground = ground;
    this.#leaseEnd = ground.leases.end(this.owner, record.leaseUntil, now);
    this.#until = now;
    this.#send(now + ground.settings.revokeDeadline, now);
  }

  /** A 102 could be sent. */
  get told(): boolean {
    return this.#ids.length > 0;
  }

  /** Whether that is the id of one of its 102s. */
  isAnsweredBy(re: string | undefined): boolean {
    return re !== undefined && this.#ids.includes(re);
  }

  /** Until then the owner may answer, whatever its lease says. */
  get until(): number {
    return this.#until;
  }

  get leaseEnd(): number {
    return this.#leaseEnd;
  }

  /** The owner is there, perhaps again, or has not answered: what was sent to it before may be lost. */
  reach(now: number): void {
    const { leases, settings } = this.#ground;
    const deadline = now + settings.revokeDeadline;
    if (this.told) this.#send(Math.max(this.#until, Math.min(deadline, this.#leaseEnd)), now);
    // Connected, and yet not to be told: then what it sends must not prolong its lease either.
    else if (this.#send(deadline, now)) this.#leaseEnd = leases.end(this.owner, undefined, now);
  }

  /** It is the owner no longer, or may not be, whatever it has heard: one more 102 of that epoch ends what it may still believe. */
  over(now: number): void {
    const until = this.#until;
    this.#send(now + this.#ground.settings.revokeDeadline, now);
    this.#until = until;
  }

  #send(until: number, now: number): boolean {
    const { counters, leases, sink } = this.#ground;
    if (!leases.reaches(this.owner)) return false;
    const terms = { epoch: this.epoch, to: this.#to, deadline: Math.max(0, until - now) };
    const id = sink.revoke(this.owner, this.#key, terms);
    if (id === undefined) return false;
    counters.revoked += 1;
    this.#ids.push(id);
    if (this.#ids.length > MOST_IDS) this.#ids.shift();
    this.#until = until;
    return true;
  }
}
