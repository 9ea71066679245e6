// The documents of one node: asked for, granted, saved, asked back, and lost when the dispatch was not reached for a lease. Each user has at most
// one document here. What was let go is remembered for a while, since a revoke may come twice, or after the fact. PROTOCOL.md section 9.1.
import { UD_REQ_OWNERSHIP, UD_SAVE, UD_TRANSFER } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { isSnowflake } from '../package/identifier.js';
import { OWNERSHIP_TIMEOUT, REQUEST_TIMEOUT, REVOKE_DEADLINE } from '../package/limits.js';
import type { JsonObject } from '../package/package.js';
import type { PeerFace } from '../package/peer-types.js';
import { Acquire } from './acquire.js';
import { Document, type DocumentPort, type Flush, type FlushTerms } from './document.js';
import { keyOf, Left } from './left.js';
import type { RevokedWhy } from './revoked.js';
import type { NodeRoad } from './road.js';
import { type DocumentSchema, type JsonDocument, readState } from './state.js';
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

/** The other end. */
type Dispatch = Pick<PeerFace, 'call' | 'send'>;

export interface DocumentsPort extends Pick<NodeRoad, 'after' | 'chance' | 'now'> {
  readonly node: string;
  /** Aborted when the node is closed. */
  readonly over: AbortSignal;
  /** While there is a connection. */
  readonly peer: Dispatch | undefined;
  opened(scope: number, signal?: AbortSignal, timeout?: number): Promise<Dispatch>;
  /** What was sent then has had a good answer. */
  prove(sentAt: number): void;
  isOver(now: number): boolean;
  /** A sign of life, answered. */
  ping(): Promise<void>;
  /** Something is owned, or nothing any more. */
  moved(): void;
  failed(error: unknown): void;
}

/** Of the dispatch: it is ours by this epoch. */
export interface Grant {
  readonly user?: string | undefined;
  readonly epoch?: number | undefined;
  readonly userData: JsonObject;
}

/** What the owner's caller knows of it. */
type Wanted = Pick<OwnOptions<never>, 'flush' | 'schema'>;

export interface DocumentCounters {
  owned: number;
  saved: number;
  /** By 102. */
  revoked: number;
  fenced: number;
  /** Writes that came too late. */
  stale: number;
  released: number;
}

/** How long a grant may come late, in ms. */
const UNWANTED_MS = 2 * OWNERSHIP_TIMEOUT;
/** ms before a save is tried again, where nobody says how long. */
const AGAIN_MS = 250;
const SAVE_AGAIN: readonly string[] = ['busy', 'rate_limited', 'timeout', 'lost'];
/** Part of the time to let go that is left for the way to the dispatch. */
const ON_THE_WAY = 0.1;

export class Documents implements DocumentPort {
  readonly counters: DocumentCounters = { owned: 0, saved: 0, revoked: 0, fenced: 0, stale: 0, released: 0 };
  readonly #port: DocumentsPort;
  readonly #live = new Map<string, Document>();
  readonly #asked = new Map<string, Acquire>();
  /** Asked for and given up: what is granted all the same goes back. */
  readonly #unwanted = new Map<string, number>();
  readonly #left: Left;
  /** Last states that are being asked for. */
  readonly #handing = new Set<Promise<JsonObject>>();

  constructor(port: DocumentsPort, lease: number) {
    this.#port = port;
    this.#left = new Left(lease);
  }

  get list(): readonly Document[] {
    return [...this.#live.values()];
  }

  /** There is something to let go, or something under way. */
  get busy(): boolean {
    return this.#live.size + this.#handing.size + this.#asked.size > 0;
  }

  own<Data extends object>(user: string | undefined, options: OwnOptions<Data>): Promise<Document<Data>> {
    const { signal, timeout = OWNERSHIP_TIMEOUT, schema } = options;
    if (user !== undefined && !isSnowflake(user)) throw new TypeError('own: the user is not a valid Snowflake');
    if (!(timeout > 0)) throw new RangeError(`own: timeout must be above 0, not ${timeout}`);
    const key = keyOf({ user });
    this.look();
    const live = this.#live.get(key);
    if (live !== undefined) return Promise.resolve(live as unknown as Document<Data>).then(sameSchema(schema));
    const asked = this.#asked.get(key);
    const acquire = asked ?? this.#ask(user, options as Wanted);
    const waiting = acquire.wait(signal, timeout) as unknown as Promise<Document<Data>>;
    if (asked === undefined) acquire.begin(this.#port.over);
    return waiting.then(sameSchema(schema));
  }

  /** A grant that no request waits for: somebody has made us the owner, or we have given up too early. Undefined: it is not wanted. */
  granted(grant: Grant): Document | undefined {
    const key = keyOf(grant);
    const live = this.#live.get(key);
    const { epoch = 0 } = grant;
    // What is asked for comes again, in a newer epoch.
    if (this.#asked.has(key) || (live !== undefined && live.epoch >= epoch)) return undefined;
    live?.revoke('stale');
    const document = this.#adopt(grant, {});
    if (!this.#unwanted.delete(key)) return document;
    this.giveBack(document);
    return undefined;
  }

  /** The dispatch asks for a document. Undefined: it is not ours, and we do not write it. */
  async handOver(
    user: string | undefined,
    epoch: number,
    { to, deadline = REVOKE_DEADLINE }: { readonly to?: string | undefined; readonly deadline?: number | undefined },
  ): Promise<JsonObject | undefined> {
    const found = this.#find(user, epoch) ?? (await this.#findLater(user, epoch));
    if (found === undefined) return undefined;
    const was = found.revoked.aborted;
    if (!was) this.counters.revoked++;
    const state = found.handOver('asked', deadline * (1 - ON_THE_WAY), to);
    this.#handing.add(state);
    return state.finally(() => {
      this.#handing.delete(state);
      this.#left.handed(found, this.#port.now());
    });
  }

  /** All that is owned goes, with its last state, within so many ms. */
  async closeAll(deadline: number): Promise<void> {
    for (const acquire of [...this.#asked.values()]) acquire.cancel();
    const going = this.list.map(async (document) => {
      await document.handOver('closed', deadline * (1 - ON_THE_WAY));
      this.#transfer(document);
    });
    await Promise.all([...going, ...this.#handing]);
  }

  revokeAll(why: RevokedWhy): void {
    for (const document of this.list) {
      if (why === 'fenced') this.counters.fenced++;
      document.revoke(why);
    }
  }

  /**
   * There is a connection again: what was lost meanwhile, or handed over on one that broke, goes where it belongs if something in it may not be
   * stored: into the record, or among the conflicts. `proven`: before this connection.
   */
  returned(proven: number): void {
    for (const document of this.#left.unsure(proven)) this.#transfer(document);
  }

  forget(now: number): void {
    this.#left.forget(now);
    for (const [key, until] of this.#unwanted) if (until <= now) this.#unwanted.delete(key);
  }

  /** As it came: nobody here wants it. */
  giveBack(document: Document): void {
    document.revoke('released');
    this.letGo(document).catch((reason: unknown) => this.failed(reason));
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
    const { user, epoch } = document;
    const body = { ...(user === undefined ? {} : { user }), epoch, userData };
    for (;;) {
      try {
        const peer = this.#port.peer ?? (await this.#port.opened(UD_SAVE.id, document.revoked));
        const sentAt = this.#port.now();
        const { version } = await peer.call(UD_SAVE, body, { timeout: REQUEST_TIMEOUT });
        this.#port.prove(sentAt);
        this.counters.saved++;
        return version;
      } catch (reason) {
        await this.#saveFailed(document, reason);
      }
    }
  }

  async letGo(document: Document): Promise<void> {
    this.counters.released++;
    for (;;) {
      try {
        await this.#port.opened(UD_TRANSFER.id);
        this.#transfer(document);
        // Packages are heard in their order: whoever answers this has heard that.
        return await this.#port.ping();
      } catch (reason) {
        if (!(reason instanceof PackageError) || !SAVE_AGAIN.includes(reason.code) || this.#port.over.aborted)
          throw reason;
      }
    }
  }

  // ---- inside

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

  #ask(user: string | undefined, wanted: Wanted): Acquire {
    const key = keyOf({ user });
    const { after, chance, now } = this.#port;
    const acquire: Acquire = new Acquire({
      after,
      chance,
      now,
      ask: (signal, timeout) => this.#askOnce(user, wanted, signal, timeout),
      over: (which, settled) => {
        if (this.#asked.get(key) === which) this.#asked.delete(key);
        if (!settled) this.#unwanted.set(key, now() + UNWANTED_MS);
      },
    });
    this.#asked.set(key, acquire);
    this.#unwanted.delete(key);
    return acquire;
  }

  async #askOnce(
    user: string | undefined,
    wanted: Wanted,
    signal: AbortSignal,
    timeout: number,
  ): Promise<Document | undefined> {
    const { node } = this.#port;
    const peer = this.#port.peer ?? (await this.#port.opened(UD_REQ_OWNERSHIP.id, signal));
    const sentAt = this.#port.now();
    const body = { nodeID: node, ...(user === undefined ? {} : { user }) };
    const grant = await peer.call(UD_REQ_OWNERSHIP, body, { signal, timeout });
    this.#port.prove(sentAt);
    if (grant.user !== user || grant.epoch === undefined) {
      throw new PackageError('bad_answer', { scope: UD_REQ_OWNERSHIP.id, from: 'dispatch' });
    }
    const document = this.#adopt(grant, wanted);
    // It may have waited long for an owner that did not let go, longer than our own lease is proven: then the next try proves it.
    return document.revoked.aborted ? undefined : document;
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

  #transfer({ user, epoch, kept }: Document): void {
    const body = { ...(user === undefined ? {} : { user }), epoch, userData: kept };
    this.#port.peer?.send(UD_TRANSFER, body);
  }

  #find(user: string | undefined, epoch: number): Document | undefined {
    const key = keyOf({ user });
    const live = this.#live.get(key);
    return live?.epoch === epoch ? live : this.#left.find(key, epoch);
  }

  /** It may have been granted by the very package before: then whoever asked for it has not been told yet. */
  async #findLater(user: string | undefined, epoch: number): Promise<Document | undefined> {
    if (!this.#asked.has(keyOf({ user }))) return undefined;
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
