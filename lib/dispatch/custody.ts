// The ownership of one document while something goes on about it: who waits for it, what its owner writes, whom it was asked back from.
// One store operation at a time; between two of them nothing is half done, since owner and document are one record. PROTOCOL.md section
// 9.1. Owns no clock and no store: each input and each answer of the store comes with the time.
import type { PackageCode } from '../package/codes.js';
import { type Ask, Desk } from './desk.js';
import type { Ground } from './ground.js';
import { copyOf, isSameDocument, pastOf } from './late.js';
import type { OwnershipRequest, OwnershipWrite } from './ownership-types.js';
import type { OwnershipRecord } from './ports.js';
import { Revocation } from './revocation.js';
import { Waiting } from './waiting.js';
import { type Came, Writes } from './writes.js';

const NOBODY: OwnershipRecord = { epoch: 0, owner: null, leaseUntil: undefined, doc: {}, version: 0 };
const NEVER = Number.NEGATIVE_INFINITY;

/** ms between two looks at a record that another dispatch may change. */
const LOOK = 250;

export class Custody<Request extends OwnershipRequest, Write extends OwnershipWrite> {
  readonly key: string;
  readonly #ground: Ground<Request, Write>;
  readonly #desk: Desk;
  readonly #waiting = new Waiting<Request>();
  readonly #writes = new Writes<Write>();
  #told: Revocation | undefined;
  /** The epoch whose frozen lease stands in the record. */
  #frozen = 0;
  /** Whose ownership ends if the commit under way succeeds. */
  #leaving: Revocation | undefined;
  #advancing = false;
  /** Before, nothing can be done for the first that waits. */
  #rest = NEVER;
  #holdEpoch = 0;
  #holdUntil = NEVER;

  constructor(key: string, ground: Ground<Request, Write>, ask: Ask) {
    this.key = key;
    this.#ground = ground;
    this.#desk = new Desk(key, ground.store, ground.counters, ask, (now) => this.#advance(now));
  }

  request(request: Request, now: number): void {
    const has = this.#waiting.has(request.node);
    if (!has && this.#waiting.size >= this.#ground.settings.maxWaiting) {
      return this.#refuse(request, 'busy', this.#delay(now));
    }
    // A node has one request open: the newer one is a retry, and nobody waits for the answer to the older any longer.
    const older = this.#waiting.add(request);
    if (older !== undefined) this.#refuse(older, 'busy', undefined);
    this.#advance(now);
  }

  write(write: Write, now: number): void {
    if (this.#writes.length >= this.#ground.settings.maxWrites)
      return this.#refuse(write, 'busy', this.#ground.settings.minimumHold);
    this.#writes.add(write, now);
    this.#advance(now);
  }

  tick(now: number): void {
    this.#expire(now);
    this.#advance(now);
  }

  /** The node is connected, perhaps again. A revoke that it may have missed is the first that it gets. */
  returned(node: string, now: number): void {
    const told = this.#leaving ?? this.#told;
    if (told?.owner === node) {
      this.#rest = NEVER;
      if (told.told || this.#waiting.size > 0 || this.#leaving !== undefined) told.reach(now);
      else this.#told = undefined;
    }
    this.#advance(now);
  }

  left(node: string, now: number): void {
    this.#drop(node);
    this.#advance(now);
  }

  /** When `tick` is wanted at the latest; undefined: only an answer of the store changes anything. */
  deadline(): number | undefined {
    const expiry = this.#waiting.deadline();
    if (this.#desk.asking) return expiry < Number.POSITIVE_INFINITY ? expiry : undefined;
    return this.#waiting.size > 0 ? Math.min(expiry, this.#rest) : this.#forgetAt();
  }

  /** Nothing goes on, and nothing has to be remembered. */
  isDone(now: number): boolean {
    if (this.#desk.asking || this.#advancing || this.#waiting.size > 0 || this.#writes.length > 0) return false;
    return this.#forgetAt() <= now;
  }

  /** The nodes whose coming and going means something here. */
  nodes(): readonly string[] {
    const owner = (this.#leaving ?? this.#told)?.owner;
    return owner === undefined ? this.#waiting.nodes() : [owner, ...this.#waiting.nodes()];
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * A revoke that nobody waits for any longer is remembered for a lease after the frozen one: an owner that was told and does not let go
   * cannot outlast those who ask one after the other, and one that has missed it hears of it before it hears anything else.
   */
  #forgetAt(): number {
    return Math.max(
      this.#holdUntil,
      this.#told === undefined ? NEVER : this.#told.leaseEnd + this.#ground.settings.lease,
    );
  }

  #advance(now: number): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (!this.#desk.asking) {
      this.#expire(now);
      const head = this.#waiting.head;
      const due = head !== undefined && now >= this.#rest;
      const came = this.#writes.take(due);
      if (came !== undefined) this.#look(came);
      else if (!due) break;
      else if (this.#ground.leases.reaches(head.node)) this.#look(undefined);
      else this.#drop(head.node);
    }
    this.#advancing = false;
  }

  /** Reads the record: for a write, or for the first that waits. */
  #look(came: Came<Write> | undefined): void {
    if (came === undefined) this.#writes.turn();
    this.#desk.ask(
      (store) => store.get(this.key),
      (found, now) => {
        const record = found ?? NOBODY;
        if (came === undefined) this.#acquire(record, now);
        else this.#judge(came, record, now);
      },
      () => {
        const ask = came?.write ?? this.#waiting.takeHead();
        if (ask !== undefined) this.#refuse(ask, 'internal', undefined);
      },
    );
  }

  /** A write is accepted if and only if owner and epoch are those of the record. */
  #judge(came: Came<Write>, record: OwnershipRecord, now: number): void {
    const { write } = came;
    const told = this.#told;
    const answers = write.kind === 'transfer' && told?.isAnsweredBy(write.re) === true;
    const epoch = write.epoch ?? (answers ? told?.epoch : undefined);
    if (record.owner !== write.node || record.epoch !== epoch) this.#refuseLate(write, epoch, record);
    else if (write.kind === 'save') this.#save(came, record, record.owner);
    else if (this.#hasTaker(now)) this.#grant(record, came);
    else this.#save(came, record, null);
  }

  /** `owner` null: it lets go, and nobody waits. */
  #save(came: Came<Write>, record: OwnershipRecord, owner: string | null): void {
    const { write } = came;
    const leaseUntil = owner !== null && this.#frozen === record.epoch ? record.leaseUntil : undefined;
    const past = owner === null ? pastOf(record) : record.past;
    const next = { ...record, owner, leaseUntil, doc: write.doc, version: record.version + 1, past };
    this.#desk.commit(
      record,
      next,
      (written) => {
        if (!written) return this.#writeAgain(came);
        if (owner === null) {
          this.#told = undefined;
          this.#rest = NEVER;
          this.#ground.counters.released += 1;
        }
        this.#saved(write, next.epoch, next.version, owner === null);
      },
      () => this.#refuse(write, 'internal', undefined),
    );
  }

  /** Whoever comes too late is told so, and what he wrote is kept aside. */
  #refuseLate(write: Write, epoch: number | undefined, record: OwnershipRecord): void {
    const { counters, settings, sink } = this.#ground;
    const same = isSameDocument(write.doc, record.doc);
    // A second copy of a transfer that was accepted: nothing of it is missing.
    if (write.kind === 'transfer' && same && (epoch === record.epoch || epoch === record.epoch - 1) && epoch > 0) {
      return this.#saved(write, epoch, record.version);
    }
    counters.stale += 1;
    const stale = (): void => this.#refuse(write, 'stale_epoch', undefined);
    const copy = same ? undefined : copyOf(write, epoch, record, settings.wall());
    if (copy === undefined) return stale();
    const kept = (): void => {
      counters.conflicts += 1;
      sink.conflict?.(copy);
      stale();
    };
    this.#desk.ask((store) => store.keepConflict(copy), kept, stale);
  }

  /** PROTOCOL.md section 9.1, acquire: for the first that waits. */
  #acquire(record: OwnershipRecord, now: number): void {
    if (!this.#hasTaker(now)) return;
    const { owner, epoch } = record;
    const to = (this.#waiting.head as Request).node;
    if (owner === null || owner === to) return this.#grant(record, undefined);
    const reached = this.#ground.leases.reaches(owner);
    if (this.#told?.epoch !== epoch) {
      if (reached && this.#holdEpoch === epoch && now < this.#holdUntil) return this.#pause(this.#holdUntil, now);
      this.#told = new Revocation(this.key, this.#ground, { ...record, owner }, to, now);
    } else if (!this.#told.told && reached) this.#told.reach(now);
    const { told, until, leaseEnd } = this.#told;
    if (now < until) this.#pause(until, now);
    else if (now >= leaseEnd) {
      // What its owner has sent before still counts, though the store was too slow for it.
      if (!this.#writes.goFirst(leaseEnd)) this.#grant(record, undefined);
    } else if (!told) this.#pause(leaseEnd, now);
    else if (this.#frozen !== epoch) this.#freeze(record, leaseEnd - now);
    else this.#remind(this.#told, now);
  }

  /** Each revoke deadline once more, until its lease is over: it may not have heard, or not have understood. */
  #remind(told: Revocation, now: number): void {
    told.reach(now);
    this.#pause(told.until > now ? told.until : told.leaseEnd, now);
  }

  /** Into the record: who asks after a restart waits for what is left of the lease, and not for another whole one. */
  #freeze(record: OwnershipRecord, left: number): void {
    this.#frozen = record.epoch;
    const leaseUntil = this.#ground.settings.wall() + left;
    const nothing = (): void => {};
    this.#desk.commit(record, { ...record, leaseUntil }, nothing, nothing);
  }

  #pause(until: number, now: number): void {
    this.#rest = this.#ground.settings.several ? Math.min(until, now + LOOK) : until;
  }

  /** To the first that waits: with what the owner hands over, or with the document as stored. */
  #grant(record: OwnershipRecord, came: Came<Write> | undefined): void {
    const write = came?.write;
    const request = this.#waiting.takeHead() as Request;
    const version = write === undefined ? record.version : record.version + 1;
    const doc = write?.doc ?? record.doc;
    const next = {
      epoch: record.epoch + 1,
      owner: request.node,
      leaseUntil: undefined,
      doc,
      version,
      past: pastOf(record),
    };
    const taken = write === undefined && record.owner !== null && record.owner !== request.node;
    const leaving = taken ? this.#told : undefined;
    this.#leaving = leaving;
    this.#desk.commit(
      record,
      next,
      (written, now) => {
        this.#leaving = undefined;
        if (written) {
          if (taken) this.#ground.counters.takenOver += 1;
          if (write !== undefined) this.#ground.counters.handedOver += 1;
          leaving?.over(now);
          return this.#granted(request, write, next, now);
        }
        if (came !== undefined) {
          this.#putBack(request);
          this.#writeAgain(came);
        } else if (this.#desk.hasLostTooOften()) this.#refuse(request, 'busy', this.#delay(now));
        else this.#putBack(request);
      },
      (now) => {
        this.#leaving = undefined;
        leaving?.over(now);
        // Whether it was written is not known. Who waits finds out with the next look; who has written is told, and may write again.
        if (write === undefined) return this.#refuse(request, 'internal', undefined);
        this.#rest = NEVER;
        this.#putBack(request);
        this.#refuse(write, 'internal', undefined);
      },
    );
  }

  #granted(request: Request, write: Write | undefined, next: OwnershipRecord, now: number): void {
    const { counters, settings, sink } = this.#ground;
    const { epoch, doc, version } = next;
    this.#told = undefined;
    this.#rest = NEVER;
    this.#holdEpoch = epoch;
    this.#holdUntil = now + settings.minimumHold;
    counters.granted += 1;
    if (write !== undefined) this.#saved(write, epoch - 1, version);
    sink.granted(request, { epoch, doc, version });
  }

  #saved(write: Write, epoch: number, version: number, released = false): void {
    this.#ground.counters.saved += 1;
    this.#ground.sink.saved(write, { epoch, version, released });
  }

  #refuse(ask: Request | Write, code: PackageCode, delay: number | undefined): void {
    this.#ground.counters.refused += 1;
    this.#ground.sink.refused(ask, code, delay);
  }

  #expire(now: number): void {
    const expired = this.#waiting.takeExpired(now);
    if (expired.length > 0) this.#rest = NEVER;
    for (const request of expired) this.#refuse(request, 'owner_timeout', this.#delay(now));
  }

  /** It is not there to be given anything. */
  #drop(node: string): void {
    const gone = this.#waiting.takeOf(node);
    if (gone.length > 0) this.#rest = NEVER;
    for (const request of gone) this.#refuse(request, 'unknown_destination', undefined);
  }

  /** ms until another try has a chance. */
  #delay(now: number): number {
    const told = this.#told;
    const free = told === undefined ? this.#holdUntil : Math.max(told.until, told.leaseEnd);
    return Math.ceil(Math.max(free - now, this.#ground.settings.minimumHold));
  }

  /** Whether somebody waits who can be given the document; who cannot any longer is told so. */
  #hasTaker(now: number): boolean {
    this.#expire(now);
    for (let head = this.#waiting.head; head !== undefined; head = this.#waiting.head) {
      if (this.#ground.leases.reaches(head.node)) return true;
      this.#drop(head.node);
    }
    return false;
  }

  #putBack(request: Request): void {
    if (this.#waiting.has(request.node)) this.#refuse(request, 'busy', undefined);
    else this.#waiting.putBack(request);
  }

  #writeAgain(came: Came<Write>): void {
    if (this.#desk.hasLostTooOften()) this.#refuse(came.write, 'busy', this.#ground.settings.minimumHold);
    else this.#writes.putBack(came);
  }
}
