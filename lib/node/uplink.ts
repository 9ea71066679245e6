// The way to the dispatch, one connection or session after the other: dials, shows who we are, and dials again when it is lost, with waits that
// grow and are spread. It is open when the dispatch has answered a PING. Knows no document and no handler. PROTOCOL.md sections 8 and 9.
import { WsdError } from '../fault.js';
import type { PackageCarrier } from '../link/package-carriers.js';
import type { PackageLinkSettings } from '../link/package-settings.js';
import { carryPackages, type PackageLink } from '../link/packages.js';
import { Session } from '../link/session.js';
import { NODE_CLOSE } from '../package/codes.js';
import { PING } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import type { Peer } from '../package/peer.js';
import { type Reconnect, waitBefore } from '../packet/reconnect.js';
import type { NodeRoad, NodeWay } from './road.js';
import { pause, waitFor } from './waits.js';

/** connecting: it never was open. lost: it was, and is looked for. closed: for good. */
export type NodeState = 'connecting' | 'open' | 'lost' | 'closed';

/** How a way to the dispatch ended. */
export interface WayEnd {
  /** The close code of its last connection, or the code of its session; undefined: it had none then. */
  readonly code: number | string | undefined;
  readonly reason: string;
}

export interface UplinkTerms {
  readonly reconnect: Reconnect | undefined;
  /** The first opening is tried again as well. */
  readonly patient: boolean;
  /** ms for the first answer of the dispatch. */
  readonly hello: number;
}

export interface UplinkSink<Data> {
  settings(way: NodeWay): PackageLinkSettings<Data>;
  /** The dispatch has answered what was sent then. */
  opened(sentAt: number): void;
  lost(why: WayEnd): void;
  retry(retry: { readonly attempt: number; readonly wait: number; readonly cause: Error }): void;
  closed(end: WayEnd): void;
  failed(error: Error): void;
}

/** At least so many ms after a dispatch has not believed us: that may be mended, but not by us. */
const DISTRUSTED_MS = 5_000;
/** Calls that wait for a connection. */
const MOST_WAITING = 1_024;

type Link<Data> = PackageLink<Data, PackageCarrier>;

export class Uplink<Data> {
  readonly #road: NodeRoad;
  readonly #terms: UplinkTerms;
  readonly #sink: UplinkSink<Data>;
  readonly #over = new AbortController();
  readonly #waiting = new Set<{ done(peer: Peer<Data>): void; failed(error: Error): void }>();
  #state: NodeState = 'connecting';
  #link: Link<Data> | undefined;
  #end: WayEnd | undefined;
  #attempt = 0;

  constructor(road: NodeRoad, terms: UplinkTerms, sink: UplinkSink<Data>) {
    this.#road = road;
    this.#terms = terms;
    this.#sink = sink;
  }

  get state(): NodeState {
    return this.#state;
  }

  /** While it is open. */
  get peer(): Peer<Data> | undefined {
    return this.#state === 'open' ? this.#link?.peer : undefined;
  }

  /** Aborted when it is closed. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Resolves when it is open; rejects with what is wrong when it never will be. */
  async begin(signal: AbortSignal | undefined): Promise<void> {
    const abort = (): void => this.#finish({ code: undefined, reason: 'aborted' });
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await this.#travel(true);
    } catch (reason) {
      this.#finish({ code: undefined, reason: 'never opened' });
      if (signal?.aborted === true) throw new WsdError('WSD_DIAL_ABORTED', undefined, { cause: signal.reason });
      throw reason;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The peer, as soon as there is one. Rejects with a PackageError: lost (for good), timeout, aborted, busy. */
  opened(scope: number, signal?: AbortSignal, timeout?: number): Promise<Peer<Data>> {
    const { peer } = this;
    if (peer !== undefined) return Promise.resolve(peer);
    const wrong = (code: 'lost' | 'busy' | 'timeout'): PackageError => new PackageError(code, { scope });
    if (this.#state === 'closed') return Promise.reject(wrong('lost'));
    if (this.#waiting.size >= MOST_WAITING) return Promise.reject(wrong('busy'));
    const patience = {
      signal,
      timeout,
      late: () => wrong('timeout'),
      aborted: (cause: unknown) => new PackageError('aborted', { scope, cause }),
    };
    return waitFor(
      (ms, call) => this.#road.after(ms, call),
      patience,
      (done, failed) => {
        const waiting = { done, failed: () => failed(wrong('lost')) };
        this.#waiting.add(waiting);
        return () => this.#waiting.delete(waiting);
      },
    );
  }

  /** Nobody answers any more: it is dialled again. */
  drop(): void {
    if (this.#link !== undefined) this.#road.leave(this.#link.carrier);
  }

  /** For good. */
  async close(code: number, reason: string): Promise<WayEnd> {
    const link = this.#link;
    this.#finish({ code: link === undefined ? undefined : code, reason });
    await link?.close(code, reason);
    return this.#end as WayEnd;
  }

  /** Until it is open, or another try makes no sense. */
  async #travel(first: boolean): Promise<void> {
    for (;;) {
      try {
        return await this.#reach();
      } catch (reason) {
        const error = reason instanceof Error ? reason : new Error('it could not be reached', { cause: reason });
        const { reconnect } = this.#terms;
        const again = reconnect !== undefined && this.#attempt < reconnect.attempts && !this.#over.signal.aborted;
        if (!again || (first && (!this.#terms.patient || isDistrusted(error)))) throw error;
        await this.#wait(reconnect, error);
        if (this.#over.signal.aborted) throw error;
      }
    }
  }

  async #wait(reconnect: Reconnect, cause: Error): Promise<void> {
    const least = isDistrusted(cause) ? DISTRUSTED_MS : 0;
    const wait = least + waitBefore(this.#attempt, reconnect, undefined, this.#road.chance());
    this.#attempt++;
    this.#sink.retry({ attempt: this.#attempt, wait, cause });
    await pause((ms, call) => this.#road.after(ms, call), wait, this.#over.signal);
  }

  async #reach(): Promise<void> {
    const way = await this.#road.dial(this.#over.signal);
    if (this.#over.signal.aborted) {
      this.#road.leave(way.carrier);
      throw new PackageError('aborted', { scope: PING.id });
    }
    let distrust: string | undefined;
    let greeted = false;
    const settings = this.#sink.settings(way);
    const link: Link<Data> = carryPackages(way.carrier, {
      ...settings,
      events: {
        ...settings.events,
        rejected: (fault, claims) => {
          if (fault.code === 'bad_token') distrust = fault.detail ?? fault.code;
          settings.events?.rejected?.(fault, claims);
        },
        ended: (end) => {
          if (this.#link !== link) return;
          this.#link = undefined;
          if (greeted) this.#lose(end);
        },
      },
    });
    this.#link = link;
    try {
      await this.#greet(link);
    } catch (reason) {
      const error = await whyNot(reason, link, distrust);
      this.#road.leave(link.carrier);
      throw error;
    }
    greeted = true;
    if (link.carrier instanceof Session) this.#follow(link.carrier, link);
  }

  /** Shows who we are, which is what makes us a node. */
  async #greet(link: Link<Data>): Promise<void> {
    const sentAt = this.#road.now();
    await link.peer.call(PING, undefined, { timeout: this.#terms.hello });
    if (this.#link !== link || this.#over.signal.aborted) throw new PackageError('lost', { scope: PING.id });
    this.#attempt = 0;
    this.#state = 'open';
    this.#sink.opened(sentAt);
    for (const waiting of [...this.#waiting]) waiting.done(link.peer);
  }

  /** A session finds its way back by itself, and what waits for answers survives that. */
  #follow(session: Session, link: Link<Data>): void {
    session.on('detached', (why) => {
      if (this.#link !== link || this.#state !== 'open') return;
      this.#state = 'lost';
      this.#sink.lost({ code: undefined, reason: typeof why === 'string' ? why : why.code });
    });
    session.on('open', (how) => {
      if (this.#link !== link) return;
      // A server that has forgotten the session has forgotten what it was asked in it.
      if (how === 'new') this.#road.leave(session);
      else this.#greet(link).catch(() => this.#road.leave(session));
    });
  }

  #lose(end: WayEnd): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'open') {
      this.#state = 'lost';
      this.#sink.lost(end);
    }
    const cause = new PackageError('lost', { scope: PING.id, cause: new Error(`closed: ${end.code} ${end.reason}`) });
    const { reconnect } = this.#terms;
    // Whoever was told may have closed it.
    if (this.#over.signal.aborted) return;
    // Another process is this node now, or nobody may be it any more: to come back would only throw the other one out.
    if (reconnect === undefined || isForGood(end)) return this.#finish(end);
    this.#wait(reconnect, cause)
      .then(() => this.#travel(false))
      .catch((reason: unknown) => {
        if (this.#state === 'closed') return;
        this.#sink.failed(reason as Error);
        this.#finish({ ...end, reason: 'no way back' });
      });
  }

  #finish(end: WayEnd): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#end = end;
    this.#over.abort();
    for (const waiting of [...this.#waiting]) waiting.failed(new Error(end.reason));
    this.#sink.closed(end);
  }
}

const isDistrusted = (error: Error): boolean => error instanceof PackageError && error.code === 'bad_token';

/** Of a session the reason alone tells. */
const isForGood = ({ code, reason }: WayEnd): boolean =>
  Object.entries(NODE_CLOSE).some(([word, close]) => close === code || (typeof code === 'string' && word === reason));

/** The first PING had no answer: why. */
const whyNot = async (
  reason: unknown,
  link: Pick<PackageLink, 'closed'>,
  distrust: string | undefined,
): Promise<Error> => {
  const error = reason as Error;
  const scope = PING.id;
  if (error instanceof PackageError && error.code === 'token_expired') {
    const { from } = error;
    const cause = new Error(
      'the dispatch has only just started and our clock is behind its own, or the two differ by more than half a minute',
    );
    return new PackageError('token_expired', { scope, from, cause });
  }
  if (!(error instanceof PackageError) || error.code !== 'lost') return error;
  if (distrust !== undefined) {
    const cause = new Error(`what came was not signed by the dispatch of this credential: ${distrust}`);
    return new PackageError('bad_token', { scope, cause });
  }
  const end = await link.closed;
  const cause = new Error(`closed: ${end.code} ${end.reason}`);
  return new PackageError(end.reason === 'bad_token' ? 'bad_token' : 'lost', { scope, from: 'dispatch', cause });
};
