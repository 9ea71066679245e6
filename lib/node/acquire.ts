// One request for a document, for however many callers ask for it meanwhile: asked again, with a new jti, when the answer is that it makes sense
// to, or when the connection was lost, until nobody waits any longer. PROTOCOL.md section 9.1 (R retries).
import { UD_REQ_OWNERSHIP } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { OWNERSHIP_TIMEOUT } from '../package/limits.js';
import type { Document } from './document.js';
import type { NodeRoad } from './road.js';
import { pause, waitFor } from './waits.js';

export interface AcquirePort extends Pick<NodeRoad, 'after' | 'chance' | 'now'> {
  /** Asks once: a document that is owned, or undefined when it is lost already. */
  ask(signal: AbortSignal, timeout: number): Promise<Document | undefined>;
  /** Nobody waits any longer, or it is over: `settled` false: it may still be given to us. */
  over(acquire: Acquire, settled: boolean): void;
}

/** What another try may mend. `timeout` is ours: the dispatch may have been busy with the store. */
const AGAIN: readonly string[] = ['owner_timeout', 'busy', 'rate_limited', 'timeout', 'lost'];
/** ms between two tries where nobody says how long; spread, so that those who were told together do not come back together. */
const PAUSE = 500;

interface Caller {
  /** Monotonic ms. */
  readonly until: number;
  done(document: Document): void;
  failed(error: Error): void;
}

export class Acquire {
  readonly #port: AcquirePort;
  readonly #over = new AbortController();
  readonly #callers = new Set<Caller>();
  #last: PackageError | undefined;

  constructor(port: AcquirePort) {
    this.#port = port;
  }

  /** When somebody waits. */
  begin(closed: AbortSignal): void {
    void this.#run(closed);
  }

  /** Rejects with the PackageError of the last try, `timeout` when there was none; `aborted` when its caller wants it no more. */
  wait(signal: AbortSignal | undefined, timeout: number): Promise<Document> {
    const scope = UD_REQ_OWNERSHIP.id;
    const patience = {
      signal,
      timeout,
      late: () => this.#last ?? new PackageError('timeout', { scope }),
      aborted: (cause: unknown) => new PackageError('aborted', { scope, cause }),
    };
    return waitFor(
      (ms, call) => this.#port.after(ms, call),
      patience,
      (done, failed) => {
        const caller = { until: this.#port.now() + timeout, done, failed };
        this.#callers.add(caller);
        return () => {
          this.#callers.delete(caller);
          if (this.#callers.size === 0) this.#leave();
        };
      },
    );
  }

  /** What a caller waits for has come another way. */
  give(document: Document): void {
    const callers = [...this.#callers];
    this.#callers.clear();
    this.#over.abort();
    for (const caller of callers) caller.done(document);
  }

  /** Nobody shall wait any longer: the node is about to close. */
  cancel(): void {
    const lost = new PackageError('lost', { scope: UD_REQ_OWNERSHIP.id });
    for (const caller of [...this.#callers]) caller.failed(lost);
  }

  async #run(closed: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#over.signal, closed]);
    try {
      while (!signal.aborted) {
        const document = await this.#try(signal);
        if (document === undefined) continue;
        this.#port.over(this, true);
        return this.give(document);
      }
    } catch (reason) {
      this.#port.over(this, true);
      for (const caller of [...this.#callers]) caller.failed(reason as Error);
      return;
    }
    this.cancel();
  }

  async #try(signal: AbortSignal): Promise<Document | undefined> {
    try {
      return await this.#port.ask(signal, this.#longest());
    } catch (reason) {
      if (signal.aborted) return undefined;
      if (!(reason instanceof PackageError) || !AGAIN.includes(reason.code)) throw reason;
      this.#last = reason;
      // A connection that was lost is waited for anyway.
      if (reason.code === 'lost') return undefined;
      const told = reason.delay ?? PAUSE;
      const wait = told + this.#port.chance() * Math.min(told, PAUSE);
      await pause((ms, call) => this.#port.after(ms, call), wait, signal);
      return undefined;
    }
  }

  /** The request dies at the dispatch when nobody waits for it here. */
  #longest(): number {
    const until = Math.max(...[...this.#callers].map((caller) => caller.until));
    return Math.min(OWNERSHIP_TIMEOUT, Math.max(1, until - this.#port.now()));
  }

  #leave(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#port.over(this, false);
  }
}
