// Documents that are not ours to write any longer, and what becomes of their last state: it is saved by 103, which is answered, over and over
// until the dispatch has stored it or kept it aside; only then is the document let go by 101, which has no answer. PROTOCOL.md section 9.1.
import { UD_SAVE, UD_TRANSFER } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { REQUEST_TIMEOUT } from '../package/limits.js';
import type { PeerFace } from '../package/peer-types.js';
import type { Document } from './document.js';
import { keyOf } from './left.js';
import type { NodeRoad } from './road.js';
import type { Turns } from './turns.js';
import { Unsaved } from './unsaved.js';

export interface PartingPort extends Pick<NodeRoad, 'after' | 'chance' | 'now'> {
  /** Aborted when the node is closed. */
  readonly over: AbortSignal;
  readonly peer: Pick<PeerFace, 'call' | 'send'> | undefined;
  opened(scope: number, signal?: AbortSignal, timeout?: number): Promise<Pick<PeerFace, 'call' | 'send'>>;
  /** What was sent then has had a good answer. */
  prove(sentAt: number): void;
  /** A sign of life, answered. */
  ping(): Promise<void>;
  /** A package of ours was refused, and whoever sent it does not wait. */
  refused(error: PackageError, re: string | undefined): void;
  failed(error: unknown): void;
}

export interface PartingCounters {
  saved: number;
  stale: number;
  released: number;
  unsaved: number;
}

/** What passes: a last state is worth waiting for a store that has failed, too. */
const AGAIN: readonly string[] = ['busy', 'rate_limited', 'timeout', 'lost', 'internal'];
/** ms before the next try where nobody says how long, and as much again at most, so that those who were told together do not come back so. */
const AGAIN_MS = 250;

export class Parting {
  readonly #port: PartingPort;
  readonly #turns: Turns;
  readonly #counters: PartingCounters;
  /** Last states on their way. */
  readonly #settling = new Map<Document, Promise<boolean>>();
  readonly #going = new Set<Promise<void>>();
  /** Somebody else has them: there is nothing to let go. */
  readonly #aside = new WeakSet<Document>();
  /** By their jti: 101s of which nobody has said that they were heard, and what was said of them. */
  readonly #sent = new Map<string, PackageError | undefined>();
  /** Who waits for another try: there may be more of them than should listen to one signal. */
  readonly #naps = new Set<() => void>();
  /** Monotonic ms: until then the dispatch takes no 101. */
  #quiet = Number.NEGATIVE_INFINITY;
  #proof: Promise<void> | undefined;
  #proving: Promise<void> = Promise.resolve();

  constructor(port: PartingPort, turns: Turns, counters: PartingCounters) {
    this.#port = port;
    this.#turns = turns;
    this.#counters = counters;
  }

  /** Something is on its way. */
  get busy(): boolean {
    return this.#settling.size + this.#going.size > 0;
  }

  /** Resolves when nothing is on its way any more, however it has ended. */
  async all(): Promise<void> {
    while (this.busy) await Promise.allSettled([...this.#settling.values(), ...this.#going]);
  }

  /** Of that user, if it is on its way: whoever asks for the document anew waits for it. */
  of(key: string): Promise<boolean> | undefined {
    for (const [document, settling] of this.#settling) if (keyOf(document) === key) return settling;
    return undefined;
  }

  /** True: the last state of a document that was revoked is stored, or kept aside. False: it may not be, and that was told. */
  settle(document: Document): Promise<boolean> {
    const found = this.#settling.get(document);
    if (found !== undefined) return found;
    const settling = this.#settle(document).finally(() => this.#settling.delete(document));
    this.#settling.set(document, settling);
    return settling;
  }

  /** Settles it, and makes it nobody's. Rejects when that cannot be. */
  letGo(document: Document): Promise<void> {
    const going = this.#letGo(document).finally(() => this.#going.delete(going));
    this.#going.add(going);
    return going;
  }

  /** Everything that was sent before has been heard when it resolves: one PING for all who ask meanwhile. */
  prove(): Promise<void> {
    this.#proof ??= this.#proving.then(() => {
      this.#proof = undefined;
      const proof = this.#port.ping();
      this.#proving = proof.catch(() => {});
      return proof;
    });
    return this.#proof;
  }

  /** Of a package of ours that nobody waits for. True: it was one of these. */
  refused(error: PackageError, re: string | undefined): boolean {
    if (re === undefined || !this.#sent.has(re)) return false;
    this.#sent.set(re, error);
    this.#quiet = Math.max(this.#quiet, this.#port.now() + (error.delay ?? 0));
    return true;
  }

  /** It will never be settled. */
  giveUp(document: Document, cause: unknown): void {
    if (!document.giveUp()) return;
    this.#counters.unsaved++;
    this.#port.failed(new Unsaved(document.user, document.epoch, document.kept, cause));
  }

  /** The node is closed: what is on its way will not arrive, as far as we shall ever know. */
  end(cause: unknown): void {
    for (const document of this.#settling.keys()) this.giveUp(document, cause);
    this.#turns.end(cause);
    for (const wake of [...this.#naps]) wake();
  }

  async #settle(document: Document): Promise<boolean> {
    const { over } = this.#port;
    // What is under way comes first, and may be the same.
    await document.idle();
    while (document.owes()) {
      try {
        await this.#turns.run(() => this.#save(document));
      } catch (reason) {
        if (over.aborted) return false;
        if (reason instanceof PackageError && reason.code === 'stale_epoch') this.#late(document, reason);
        else if (isPassing(reason)) await this.#wait(reason);
        else this.giveUp(document, reason);
      }
    }
    return !document.isGivenUp;
  }

  async #save(document: Document): Promise<void> {
    const { kept } = document;
    const peer = this.#port.peer ?? (await this.#port.opened(UD_SAVE.id));
    const sentAt = this.#port.now();
    await peer.call(UD_SAVE, { ...bodyOf(document), userData: kept }, { timeout: REQUEST_TIMEOUT });
    this.#port.prove(sentAt);
    this.#counters.saved++;
    document.stored(kept);
  }

  /** Somebody else has the document: what we had is among the conflicts. */
  #late(document: Document, error: PackageError): void {
    this.#counters.stale++;
    document.stored(document.kept);
    this.#aside.add(document);
    this.#port.refused(error, undefined);
  }

  async #letGo(document: Document): Promise<void> {
    const { over } = this.#port;
    if (!(await this.settle(document))) throw gone(undefined);
    if (this.#aside.has(document)) return;
    for (;;) {
      try {
        const error = await this.#turns.run(() => this.#transfer(document));
        if (error === undefined) this.#counters.released++;
        else if (error.code === 'stale_epoch') this.#port.refused(error, undefined);
        else throw error;
        return;
      } catch (reason) {
        if (over.aborted) throw gone(reason);
        if (!isPassing(reason)) throw reason;
        await this.#wait(reason);
      }
    }
  }

  /** What the dispatch says against it; undefined: it has heard it. */
  async #transfer(document: Document): Promise<PackageError | undefined> {
    const { over, now } = this.#port;
    for (;;) {
      // What is sent before would wait in a line, and the PING would pass it.
      for (let left = this.#quiet - now(); left > 0; left = this.#quiet - now()) {
        await this.#nap(left);
        over.throwIfAborted();
      }
      const peer = this.#port.peer ?? (await this.#port.opened(UD_TRANSFER.id));
      const jti = peer.send(UD_TRANSFER, { ...bodyOf(document), userData: document.kept });
      this.#sent.set(jti, undefined);
      try {
        await this.prove();
        const error = this.#sent.get(jti);
        // Over another connection nothing was proven.
        if (error !== undefined || this.#port.peer === peer) return error;
      } finally {
        this.#sent.delete(jti);
      }
    }
  }

  /** A connection that was lost is waited for anyway. */
  async #wait({ code, delay }: PackageError): Promise<void> {
    if (code !== 'lost') await this.#nap((delay ?? AGAIN_MS) + AGAIN_MS * this.#port.chance());
  }

  #nap(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#port.over.aborted) return resolve();
      const wake = (): void => {
        cancel();
        this.#naps.delete(wake);
        resolve();
      };
      const cancel = this.#port.after(ms, wake);
      this.#naps.add(wake);
    });
  }
}

const bodyOf = ({ user, epoch }: Document): { readonly user?: string; readonly epoch: number } =>
  user === undefined ? { epoch } : { user, epoch };

const gone = (cause: unknown): PackageError => new PackageError('lost', { scope: UD_TRANSFER.id, cause });

const isPassing = (reason: unknown): reason is PackageError =>
  reason instanceof PackageError && AGAIN.includes(reason.code);
