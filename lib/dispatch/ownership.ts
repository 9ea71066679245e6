// The ownership of all documents: one owner each, handed over by revoke and transfer, taken when a lease is over, fenced by epochs that
// only grow. PROTOCOL.md sections 9 and 9.1. A machine over the port Store: requests, writes, nodes coming and going, and time go in;
// revokes, grants, answers and the next deadline come out. Owns no clock, no timer, no connection; knows no package and no token.
//
// Requests and writes of one document are served one at a time. What the store answers is looked at in `tick`, which the sink is asked
// for by `wake`: so every step knows what time it is. Nothing is kept of a document about which nothing goes on.
import { Custody } from './custody.js';
import { Deadlines } from './deadlines.js';
import type { Ground } from './ground.js';
import { Leases } from './lease.js';
import {
  OWNERSHIP_DEFAULTS,
  type OwnershipCounters,
  type OwnershipRequest,
  type OwnershipSettings,
  type OwnershipSink,
  type OwnershipWrite,
} from './ownership-types.js';
import type { Store } from './ports.js';

/** A store that throws instead of rejecting has failed in the same way. */
async function attempt<Answer>(operation: () => Promise<Answer>): Promise<Answer> {
  return operation();
}

export class Ownership<
  Request extends OwnershipRequest = OwnershipRequest,
  Write extends OwnershipWrite = OwnershipWrite,
> {
  readonly #ground: Ground<Request, Write>;
  readonly #custodies = new Map<string, Custody<Request, Write>>();
  readonly #deadlines = new Deadlines<Custody<Request, Write>>();
  /** In which documents a node plays a part: who comes or goes is not looked for in all of them. */
  readonly #parts = new Map<string, Set<Custody<Request, Write>>>();
  readonly #players = new Map<Custody<Request, Write>, readonly string[]>();
  /** What the store has answered since the last tick. */
  #answers: ((now: number) => void)[] = [];
  #closed = false;

  constructor(
    store: Store,
    sink: OwnershipSink<Request, Write>,
    settings: Partial<OwnershipSettings> & Pick<OwnershipSettings, 'wall'>,
    now: number,
  ) {
    const terms = { ...OWNERSHIP_DEFAULTS, ...settings };
    this.#ground = {
      store,
      sink,
      settings: terms,
      leases: new Leases(terms, now),
      counters: {
        granted: 0,
        handedOver: 0,
        takenOver: 0,
        saved: 0,
        released: 0,
        revoked: 0,
        refused: 0,
        stale: 0,
        conflicts: 0,
        lost: 0,
        failed: 0,
      },
    };
  }

  /** Scope 100. It is answered by `granted` or `refused`, once. */
  request(request: Request, now: number): void {
    const custody = this.#custody(request.key);
    if (custody === undefined) return this.#refuseBusy(request);
    custody.request(request, now);
    this.#settle(custody, now);
  }

  /** Scopes 101 and 103. It is answered by `saved` or `refused`, once. */
  write(write: Write, now: number): void {
    const custody = this.#custody(write.key);
    if (custody === undefined) return this.#refuseBusy(write);
    custody.write(write, now);
    this.#settle(custody, now);
  }

  /** Before anything is sent to it: a revoke that it has missed goes first. */
  connected(node: string, now: number): void {
    this.#ground.leases.connected(node, now);
    for (const custody of [...(this.#parts.get(node) ?? [])]) {
      custody.returned(node, now);
      this.#settle(custody, now);
    }
  }

  /** A package has come from it. */
  heard(node: string, now: number): void {
    this.#ground.leases.heard(node, now);
  }

  /** It is gone; not when a newer connection of the same node has taken the place of the old. */
  disconnected(node: string, now: number): void {
    this.#ground.leases.disconnected(node, now);
    for (const custody of [...(this.#parts.get(node) ?? [])]) {
      custody.left(node, now);
      this.#settle(custody, now);
    }
  }

  tick(now: number): void {
    if (this.#closed) return;
    while (this.#answers.length > 0) {
      const answers = this.#answers;
      this.#answers = [];
      for (const answer of answers) answer(now);
    }
    for (let due = this.#deadlines.take(now); due !== undefined; due = this.#deadlines.take(now)) {
      due.tick(now);
      this.#settle(due, now);
    }
  }

  /** When `tick` is wanted; undefined: not before something comes in. */
  deadline(): number | undefined {
    return this.#closed ? undefined : this.#deadlines.next();
  }

  counters(): Readonly<OwnershipCounters> & { readonly documents: number; readonly waiting: number } {
    let waiting = 0;
    for (const custody of this.#custodies.values()) waiting += custody.waiting;
    return { ...this.#ground.counters, documents: this.#custodies.size, waiting };
  }

  /** Nothing is told any longer: what is open is retried by those who have asked, elsewhere or after a restart. */
  close(): void {
    this.#closed = true;
    this.#answers = [];
    this.#custodies.clear();
    this.#parts.clear();
    this.#players.clear();
  }

  #custody(key: string): Custody<Request, Write> | undefined {
    if (this.#closed) throw new TypeError('the ownership machine is closed');
    const found = this.#custodies.get(key);
    if (found !== undefined) return found;
    if (this.#custodies.size >= this.#ground.settings.maxKeys) return undefined;
    const custody = new Custody<Request, Write>(key, this.#ground, (operation, then, failed) => {
      attempt(operation).then(
        (answer) => this.#answered(custody, (now) => then(answer, now)),
        (error: unknown) => this.#answered(custody, (now) => this.#failed(custody, error, failed, now)),
      );
    });
    this.#custodies.set(key, custody);
    return custody;
  }

  #refuseBusy(ask: Request | Write): void {
    this.#ground.counters.refused += 1;
    this.#ground.sink.refused(ask, 'busy', this.#ground.settings.minimumHold);
  }

  #failed(custody: Custody<Request, Write>, error: unknown, failed: (now: number) => void, now: number): void {
    this.#ground.counters.failed += 1;
    this.#ground.sink.failed(error, custody.key);
    failed(now);
  }

  #answered(custody: Custody<Request, Write>, step: (now: number) => void): void {
    if (this.#closed) return;
    this.#answers.push((now) => {
      if (this.#closed) return;
      step(now);
      this.#settle(custody, now);
    });
    this.#ground.sink.wake();
  }

  /** After each step: who plays a part in it now, when it is due, or that it is over. */
  #settle(custody: Custody<Request, Write>, now: number): void {
    if (this.#custodies.get(custody.key) !== custody) return;
    const done = custody.isDone(now);
    this.#deadlines.set(custody, done ? undefined : custody.deadline());
    this.#note(custody, done ? [] : custody.nodes());
    if (done) this.#custodies.delete(custody.key);
  }

  #note(custody: Custody<Request, Write>, nodes: readonly string[]): void {
    const before = this.#players.get(custody);
    if (before === undefined && nodes.length === 0) return;
    for (const node of before ?? []) {
      const part = this.#parts.get(node);
      if (nodes.includes(node) || part === undefined) continue;
      part.delete(custody);
      if (part.size === 0) this.#parts.delete(node);
    }
    for (const node of nodes) {
      const part = this.#parts.get(node);
      if (part === undefined) this.#parts.set(node, new Set([custody]));
      else part.add(custody);
    }
    if (nodes.length === 0) this.#players.delete(custody);
    else this.#players.set(custody, nodes);
  }
}
