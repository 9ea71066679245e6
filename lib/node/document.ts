// A document that this node owns for now: its data, how it is saved, and the signal that says when it must not be written any more. Saves are
// whole documents, so those that wait for one under way become one. Who reaches the dispatch for it, and when its lease is over, is the
// port's. PROTOCOL.md section 9.1.
import type { JsonObject } from '../package/package.js';
import { Revoked, type RevokedWhy } from './revoked.js';
import { type DocumentSchema, type JsonDocument, stateOf } from './state.js';

/** Why and until when the last state is wanted. */
export interface FlushTerms {
  readonly why: 'asked' | 'closed';
  /** Who comes next, where that was told. */
  readonly to: string | undefined;
  /** ms that are left; later than that, what was saved last is handed over. */
  readonly deadline: number;
  /** Aborted when they are over. */
  readonly signal: AbortSignal;
}

/** The last state: what is returned, or without that `data` as it stands then. Nothing can be saved any more when it is called. */
export type Flush<Data extends object> = (
  document: Document<Data>,
  terms: FlushTerms,
  // biome-ignore lint/suspicious/noConfusingVoidType: the result of a function that returns nothing
) => Data | undefined | void | PromiseLike<Data | undefined | void>;

/** What a document needs of its node. */
export interface DocumentPort {
  /** Durable when it resolves, with the version. */
  save(document: Document, state: JsonObject): Promise<number>;
  /** Its last state is on its way to the dispatch, and known there when it resolves. */
  letGo(document: Document): Promise<void>;
  /** Revokes what must be, by the clock. */
  look(): void;
  after(ms: number, call: () => void): () => void;
  failed(error: unknown): void;
  /** It is not owned any longer. */
  left(document: Document): void;
}

export interface DocumentParts {
  readonly user: string | undefined;
  readonly epoch: number;
  readonly state: JsonObject;
  readonly data: object;
  readonly schema: DocumentSchema | undefined;
  readonly flush: ((document: Document, terms: FlushTerms) => unknown) | undefined;
}

/** What a save that waits, or is under way, will be answered with. */
class Saving {
  readonly promise: Promise<number>;
  state: JsonObject;
  resolve: (version: number) => void = () => {};
  reject: (reason: unknown) => void = () => {};

  constructor(state: JsonObject) {
    this.state = state;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

export class Document<Data extends object = JsonDocument> {
  /** Whose; undefined: the one that all services share. */
  readonly user: string | undefined;
  /** Grows with every change of owner. */
  readonly epoch: number;
  /** Plain JSON, yours to change. Others see what was saved. */
  data: Data;
  readonly #parts: DocumentParts;
  readonly #port: DocumentPort;
  readonly #over = new AbortController();
  /** What was given to save last, or what came. */
  #kept: JsonObject;
  /** What the dispatch has for certain; undefined: a save is under way, or nobody knows what became of one. */
  #stored: JsonObject | undefined;
  /** The last state is being asked for. */
  #flushing = false;
  #givenUp = false;
  #version: number | undefined;
  #saving: Saving | undefined;
  #next: Saving | undefined;
  #handing: Promise<JsonObject> | undefined;

  /** Made by `node.own` only. */
  constructor(parts: DocumentParts, port: DocumentPort) {
    this.#parts = parts;
    this.#port = port;
    this.user = parts.user;
    this.epoch = parts.epoch;
    this.data = parts.data as Data;
    this.#kept = parts.state;
    this.#stored = parts.state;
  }

  /** Of the last save; undefined before the first one. */
  get version(): number | undefined {
    return this.#version;
  }

  /** Aborted, with a Revoked as its reason, when it must not be written any more. It is looked up by the clock each time it is asked for. */
  get revoked(): AbortSignal {
    this.#port.look();
    return this.#over.signal;
  }

  /**
   * Resolves with the version when `data`, or what was saved after it, is durable. It is tried again over a lost connection. Rejects with the
   * Revoked when the document is lost first, a TypeError for what is no JSON or not what the schema says, a RangeError for what is too long.
   */
  async save(data: Data = this.data): Promise<number> {
    this.revoked.throwIfAborted();
    const state = stateOf(data, this.#parts.schema);
    this.data = data;
    this.#kept = state;
    if (this.#saving === undefined) return this.#begin(new Saving(state));
    this.#next ??= new Saving(state);
    this.#next.state = state;
    return this.#next.promise;
  }

  /** Saves what is not saved yet, and lets go: the next owner need not wait. Resolves when the dispatch knows. */
  async release(data: Data = this.data): Promise<void> {
    if (this.revoked.aborted) return;
    const state = stateOf(data, this.#parts.schema);
    if (this.#stored === undefined || !isSame(state, this.#stored)) await this.save(data);
    if (this.#over.signal.aborted) return;
    this.revoke('released');
    await this.#port.letGo(this as unknown as Document);
  }

  /** @internal */
  get schema(): DocumentSchema | undefined {
    return this.#parts.schema;
  }

  /** @internal What is handed over when nobody is asked for more. */
  get kept(): JsonObject {
    return this.#kept;
  }

  /** @internal The dispatch may not have its last state, and is to have it: one that was refused for good was told when it was. */
  get dirty(): boolean {
    return (this.#flushing || this.#kept !== this.#stored) && !this.#givenUp && this.why !== 'stale';
  }

  /** @internal The same of what is known by now, looked at more closely. */
  owes(): boolean {
    if (this.#stored !== undefined && isSame(this.#kept, this.#stored)) this.#kept = this.#stored;
    return this.#kept !== this.#stored && !this.#givenUp;
  }

  /** @internal The dispatch has it now, or has kept it aside. */
  stored(state: JsonObject): void {
    this.#stored = state;
  }

  /** @internal Its last state is not to be had any more. False: that was known, or it is stored. */
  giveUp(): boolean {
    if ((!this.owes() && !this.#flushing) || this.#givenUp || this.why === 'stale') return false;
    this.#givenUp = true;
    return true;
  }

  /** @internal */
  get isGivenUp(): boolean {
    return this.#givenUp;
  }

  /** @internal Resolves when no save is under way. */
  async idle(): Promise<void> {
    while (this.#saving !== undefined) await this.#saving.promise.catch(() => {});
  }

  /** @internal Why it is lost; undefined: it is not. */
  get why(): RevokedWhy | undefined {
    return (this.#over.signal.reason as Revoked | undefined)?.why;
  }

  /** @internal From now on nothing can be saved. False: it was so already. */
  revoke(why: RevokedWhy, to?: string): boolean {
    if (this.#over.signal.aborted) return false;
    const reason = new Revoked(why, this.user, to);
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) {
      // Behind what is under way, and before the document itself goes.
      if (why === 'asked' || why === 'closed' || why === 'released') void this.#begin(next);
      else next.reject(reason);
    }
    this.#over.abort(reason);
    this.#port.left(this as unknown as Document);
    return true;
  }

  /** @internal The last state, within `deadline` ms: the same one however often it is asked for. */
  handOver(why: 'asked' | 'closed', deadline: number, to?: string): Promise<JsonObject> {
    this.#handing ??= this.#handOver(why, deadline, to);
    return this.#handing;
  }

  async #handOver(why: 'asked' | 'closed', deadline: number, to: string | undefined): Promise<JsonObject> {
    const owned = this.revoke(why, to);
    const { flush, schema } = this.#parts;
    // What was lost before is not asked for again: it may have been written without the right to it.
    if (!owned || flush === undefined) return this.#kept;
    this.#flushing = true;
    try {
      const given = await this.#within(deadline, (signal) =>
        flush(this as unknown as Document, { why, to, deadline, signal }),
      );
      if (given !== LATE) this.#kept = stateOf(given ?? this.data, schema);
      else this.#port.failed(new Error(`flush of the document of ${this.user ?? 'all'} took more than ${deadline} ms`));
    } catch (reason) {
      this.#port.failed(reason);
    }
    this.#flushing = false;
    return this.#kept;
  }

  #within(ms: number, run: (signal: AbortSignal) => unknown): Promise<unknown> {
    const control = new AbortController();
    return new Promise((resolve, reject) => {
      const cancel = this.#port.after(ms, () => {
        control.abort();
        resolve(LATE);
      });
      new Promise((done) => done(run(control.signal))).then(resolve, reject).finally(cancel);
    });
  }

  #begin(saving: Saving): Promise<number> {
    this.#saving = saving;
    this.#stored = undefined;
    const { state } = saving;
    this.#port
      .save(this as unknown as Document, state)
      .then(
        (version) => {
          this.#version = Math.max(version, this.#version ?? 0);
          this.#stored = state;
          saving.resolve(version);
        },
        (reason: unknown) => saving.reject(reason),
      )
      .finally(() => {
        if (this.#saving !== saving) return;
        const next = this.#next;
        this.#saving = undefined;
        this.#next = undefined;
        if (next !== undefined) void this.#begin(next);
      });
    return saving.promise;
  }
}

const LATE = Symbol('late');

const isSame = (a: JsonObject, b: JsonObject): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
