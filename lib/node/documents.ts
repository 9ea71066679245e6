// The documents of one node: asked for, granted, saved, asked back, and lost when the dispatch was not reached for a lease. Each user has at most
// one document here. What was let go is remembered for a while, since a revoke may come twice, or after the fact; how it goes is parting.ts's.
// PROTOCOL.md section 9.1.
import { UD_SAVE } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { isSnowflake } from '../package/identifier.js';
import { OWNERSHIP_TIMEOUT, REQUEST_TIMEOUT, REVOKE_DEADLINE } from '../package/limits.js';
import type { JsonObject } from '../package/package.js';
import { Asking } from './asking.js';
import { Document, type DocumentPort, type Flush, type FlushTerms } from './document.js';
import { keyOf, Left } from './left.js';
import { Parting, type PartingCounters, type PartingPort } from './parting.js';
import type { RevokedWhy } from './revoked.js';
import { type DocumentSchema, type JsonDocument, readState } from './state.js';
import { Turns } from './turns.js';
import { pause } from './waits.js';

export interface OwnOptions<Data extends object = JsonDocument> {
  /** Asked for the last state when somebody else is to have the document, or the node closes. Absent: what was saved last. */
  readonly flush?: Flush<Data> | undefined;
  /** Of zod: what the data is, also of a document that is new and empty. */
  readonly schema?: DocumentSchema<Data> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** ms for all tries. Default 30,000. */
  readonly timeout?: number | undefined;
}

export interface DocumentsPort extends PartingPort {
  readonly node: string;
  isOver(now: number): boolean;
  /** Something is owned, or nothing any more. */
  moved(): void;
}

/** Of the dispatch: it is ours by this epoch. */
export interface Grant {
  readonly user?: string | undefined;
  readonly epoch?: number | undefined;
  readonly userData: JsonObject;
}

/** What the owner's caller knows of it. */
type Wanted = Pick<OwnOptions<never>, 'flush' | 'schema'>;

export interface DocumentCounters extends PartingCounters {
  owned: number;
  /** Writes that were acknowledged. */
  saved: number;
  /** By 102. */
  revoked: number;
  fenced: number;
  /** Writes that came too late. */
  stale: number;
  /** Let go unasked. */
  released: number;
  /** Last states that may not be stored: each was told. */
  unsaved: number;
}

/** ms before a save is tried again, where nobody says how long. */
const AGAIN_MS = 250;
const SAVE_AGAIN: readonly string[] = ['busy', 'rate_limited', 'timeout', 'lost'];
/** Part of the time to let go that is left for the way to the dispatch. */
const ON_THE_WAY = 0.1;
/**
 * Writes under way, of all documents together: what is answered `busy`, because a session takes no more or the dispatch does not, comes later
 * than what has waited here.
 */
const MOST_WRITES = 32;

export class Documents implements DocumentPort {
  readonly counters: DocumentCounters = {
    owned: 0,
    saved: 0,
    revoked: 0,
    fenced: 0,
    stale: 0,
    released: 0,
    unsaved: 0,
  };
  readonly #port: DocumentsPort;
  readonly #live = new Map<string, Document>();
  readonly #asking: Asking<Wanted>;
  readonly #left: Left;
  readonly #turns = new Turns(MOST_WRITES);
  readonly #parting: Parting;
  /** Last states that are being asked for. */
  readonly #handing = new Set<Promise<unknown>>();

  constructor(port: DocumentsPort, lease: number) {
    this.#port = port;
    this.#left = new Left(lease);
    this.#parting = new Parting(port, this.#turns, this.counters);
    this.#asking = new Asking(port, {
      before: (key) => this.#parting.of(key),
      adopt: (grant, wanted) => this.#adopt(grant, wanted),
    });
  }

  get list(): readonly Document[] {
    return [...this.#live.values()];
  }

  /** There is something to let go, or something under way. */
  get busy(): boolean {
    const under = this.#live.size + this.#handing.size + this.#asking.size;
    return under > 0 || this.#parting.busy || this.#left.unsure().length > 0;
  }

  own<Data extends object>(user: string | undefined, options: OwnOptions<Data>): Promise<Document<Data>> {
    const { signal, timeout = OWNERSHIP_TIMEOUT, schema } = options;
    if (user !== undefined && !isSnowflake(user)) throw new TypeError('own: the user is not a valid Snowflake');
    if (!(timeout > 0)) throw new RangeError(`own: timeout must be above 0, not ${timeout}`);
    const key = keyOf({ user });
    this.look();
    const live = this.#live.get(key);
    if (live !== undefined) return Promise.resolve(live as unknown as Document<Data>).then(sameSchema(schema));
    const waiting = this.#asking.wait(user, options as Wanted, signal, timeout);
    return (waiting as unknown as Promise<Document<Data>>).then(sameSchema(schema));
  }

  /** A grant that no request waits for: somebody has made us the owner, or we have given up too early. Undefined: it is not wanted. */
  granted(grant: Grant): Document | undefined {
    const key = keyOf(grant);
    const live = this.#live.get(key);
    const { epoch = 0 } = grant;
    if (live !== undefined && live.epoch >= epoch) return undefined;
    live?.revoke('stale');
    // What is asked for comes again, in a newer epoch.
    if (this.#asking.has(key)) return undefined;
    const document = this.#adopt(grant, {});
    if (!this.#asking.takeUnwanted(key)) return document;
    this.giveBack(document);
    return undefined;
  }

  /** The dispatch asks for a document: it, with its last state. Undefined: it is not ours, and we do not write it. */
  async handOver(
    user: string | undefined,
    epoch: number,
    { to, deadline = REVOKE_DEADLINE }: { readonly to?: string | undefined; readonly deadline?: number | undefined },
  ): Promise<Document | undefined> {
    const live = this.#live.get(keyOf({ user }));
    if (live !== undefined && live.epoch < epoch) live.revoke('stale');
    const found = this.#find(user, epoch) ?? (await this.#findLater(user, epoch));
    if (found !== undefined) await this.#hand(found, deadline, to);
    return found;
  }

  /** It has asked, and its package was refused: nobody answers it, and what it has asked for is no less lost. Undefined: of whatever epoch. */
  askedInVain(user: string | undefined, epoch: number | undefined): void {
    const live = this.#live.get(keyOf({ user }));
    if (live === undefined || (epoch !== undefined && epoch < live.epoch)) return;
    void this.#hand(live, REVOKE_DEADLINE, undefined).then(() => this.sendOff(live));
  }

  /** All that is owned goes, with its last state, within so many ms. */
  async closeAll(deadline: number): Promise<void> {
    this.#asking.cancel();
    const going = this.list.map(async (document) => {
      await document.handOver('closed', deadline * (1 - ON_THE_WAY));
      await this.letGo(document);
    });
    const fenced = this.#fenced().map((document) => this.letGo(document));
    let answers = this.#handing.size > 0;
    await Promise.allSettled([...going, ...fenced]);
    for (; this.#handing.size > 0; answers = true) await Promise.allSettled(this.#handing);
    await this.#parting.all();
    // An answer to who has asked is no call: whoever answers what comes after it has heard it.
    if (!answers) return;
    await pause((ms, call) => this.after(ms, call), 0, this.#port.over);
    await this.#parting.prove();
  }

  /** For good. */
  end(): void {
    const cause = new PackageError('lost', { scope: UD_SAVE.id });
    this.revokeAll('closed');
    for (const document of this.#left.unsure()) this.#parting.giveUp(document, cause);
    this.#parting.end(cause);
  }

  revokeAll(why: RevokedWhy): void {
    for (const document of this.list) {
      if (why === 'fenced') this.counters.fenced++;
      document.revoke(why);
    }
  }

  /** There is a connection again: what was lost meanwhile goes where it belongs, into the record or among the conflicts. */
  returned(): void {
    for (const document of this.#fenced()) this.sendOff(document);
  }

  /** Of a package of ours that nobody waits for. True: it was one of those by which documents go. */
  refused(error: PackageError, re: string | undefined): boolean {
    return this.#parting.refused(error, re);
  }

  forget(now: number): void {
    this.#left.forget(now);
    this.#asking.forget(now);
  }

  /** As it came: nobody here wants it. */
  giveBack(document: Document): void {
    document.revoke('released');
    this.sendOff(document);
  }

  /** Nobody waits for it. A last state that is lost was told already. */
  sendOff(document: Document): void {
    this.letGo(document).catch((reason: unknown) => {
      if (!document.isGivenUp && !this.#port.over.aborted) this.failed(reason);
    });
  }

  // ---- what documents ask for

  look(): void {
    if (this.#live.size > 0 && this.#port.isOver(this.#port.now())) this.revokeAll('fenced');
  }

  after(ms: number, call: () => void): () => void {
    return this.#port.after(ms, call);
  }

  failed(error: unknown): void {
    this.#port.failed(error);
  }

  left(document: Document): void {
    const key = keyOf(document);
    if (this.#live.get(key) === document) this.#live.delete(key);
    this.#left.add(document, this.#port.now());
    this.#port.moved();
  }

  async save(document: Document, userData: JsonObject): Promise<number> {
    for (;;) {
      try {
        return await this.#turns.run(() => this.#saveOnce(document, userData), document.revoked);
      } catch (reason) {
        await this.#saveFailed(document, reason);
      }
    }
  }

  letGo(document: Document): Promise<void> {
    return this.#parting.letGo(document);
  }

  // ---- inside

  async #saveOnce(document: Document, userData: JsonObject): Promise<number> {
    const { user, epoch } = document;
    const body = { ...(user === undefined ? {} : { user }), epoch, userData };
    const peer = this.#port.peer ?? (await this.#port.opened(UD_SAVE.id, document.revoked));
    const sentAt = this.#port.now();
    const { version } = await peer.call(UD_SAVE, body, { timeout: REQUEST_TIMEOUT });
    this.#port.prove(sentAt);
    this.counters.saved++;
    return version;
  }

  /** Somebody else is to have it. Resolves when its last state is there and stored, or the time for that is over. */
  async #hand(document: Document, deadline: number, to: string | undefined): Promise<void> {
    if (!document.revoked.aborted) this.counters.revoked++;
    const handing = this.#settle(document, deadline * (1 - ON_THE_WAY), to);
    this.#handing.add(handing);
    await handing.finally(() => this.#handing.delete(handing));
  }

  async #settle(document: Document, deadline: number, to: string | undefined): Promise<void> {
    const until = this.#port.now() + deadline;
    await document.handOver('asked', deadline, to);
    const settled = new AbortController();
    // What is not stored by then the answer has with it all the same.
    const late = pause((ms, call) => this.after(ms, call), Math.max(0, until - this.#port.now()), settled.signal);
    await Promise.race([this.#parting.settle(document), late]);
    settled.abort();
  }

  /** Lost while there was no connection, with a last state that is still to go. */
  #fenced(): readonly Document[] {
    return this.#left.unsure().filter(({ why }) => why === 'fenced');
  }

  /** Returns when it may be tried again. */
  async #saveFailed(document: Document, reason: unknown): Promise<void> {
    if (reason instanceof PackageError && reason.code === 'stale_epoch') {
      this.counters.stale++;
      document.revoke('stale');
    }
    const { revoked } = document;
    if (revoked.aborted) throw revoked.reason;
    if (!(reason instanceof PackageError) || !SAVE_AGAIN.includes(reason.code)) throw reason;
    if (this.#port.over.aborted) throw reason;
    if (reason.code !== 'lost') await pause((ms, call) => this.after(ms, call), reason.delay ?? AGAIN_MS, revoked);
  }

  /** A TypeError: its data is not what the schema says; then it goes back as it came. */
  #adopt({ user, epoch = 0, userData }: Grant, { flush, schema }: Wanted): Document {
    const key = keyOf({ user });
    const parts = {
      user,
      epoch,
      state: userData,
      schema,
      flush: flush as ((document: Document, terms: FlushTerms) => unknown) | undefined,
    };
    let data: object | undefined;
    let wrong: unknown;
    try {
      data = schema === undefined ? structuredClone(userData) : readState(structuredClone(userData), schema);
    } catch (reason) {
      wrong = reason;
    }
    const document = new Document({ ...parts, data: data ?? {} }, this);
    this.#live.get(key)?.revoke('stale');
    this.#live.set(key, document);
    this.counters.owned++;
    this.#port.moved();
    if (data !== undefined) return document;
    this.giveBack(document);
    throw wrong;
  }

  #find(user: string | undefined, epoch: number): Document | undefined {
    const key = keyOf({ user });
    const live = this.#live.get(key);
    return live?.epoch === epoch ? live : this.#left.find(key, epoch);
  }

  /** It may have been granted by the very package before: then whoever asked for it has not been told yet. */
  async #findLater(user: string | undefined, epoch: number): Promise<Document | undefined> {
    if (!this.#asking.has(keyOf({ user }))) return undefined;
    await pause((ms, call) => this.after(ms, call), 0, this.#port.over);
    return this.#find(user, epoch);
  }
}

const sameSchema =
  (schema: unknown) =>
  <Data extends object>(document: Document<Data>): Document<Data> => {
    if (document.schema === schema) return document;
    throw new TypeError('own: the document is owned here already, with another schema');
  };
