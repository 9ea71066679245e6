// A packet session of a client, on one connection after the other: opens it, and dials again whenever its connection is lost, with waits that
// grow and are spread, until somebody ends it. The first attempt is the caller's to hear of; later ones are events. How one dials, waits and
// draws is the road's: Node has one, a page another. lib/packet/PROTOCOL.md section 5.5.
import { WsdError } from '../fault.js';
import { codeText } from '../packet/codes.js';
import { isHopeless, type Reconnect, waitBefore } from '../packet/reconnect.js';
import { Session as Machine } from '../packet/session.js';
import type { Carrier, Detachment, Leg, SessionSink } from '../packet/session-types.js';
import type { SessionSettings } from '../packet/settings.js';
import { type Drive, Session } from './session.js';
import type { Origin } from './session-events.js';

/** A connection that is open and speaks the packet subprotocol. */
export interface Way {
  readonly carrier: Carrier;
  /** What users may see of it; a page shows nothing. */
  readonly connection: Origin | undefined;
  /** So much waits in it that unreliable messages are refused; `drained` then tells when it does not any more. */
  choked(): boolean;
  /** From now on what arrives goes to the leg. `moved`: told after each call that may have brought a deadline nearer. */
  carry(leg: Leg, moved: () => void, drained: () => void): void;
}

/** What has deadlines and no clock. */
export interface Paced {
  deadline(): number;
  tick(now: number): void;
}

/** Ticks it when a deadline is there. */
export interface Pace {
  /** A deadline may have come nearer. */
  moved(): void;
  stop(): void;
}

export interface Road {
  /** `signal`: nobody waits for it any more. Rejects with an Error that says why there is no way. */
  dial(signal: AbortSignal): Promise<Way>;
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls back once; the returned function calls it off. */
  after(ms: number, call: () => void): () => void;
  /** In [0, 1): for jitter. */
  random(): number;
  /** A copy, to be handed out. */
  keep(data: Uint8Array): Uint8Array;
  pace(paced: Paced): Pace;
}

export class Traveller implements Drive {
  readonly session: Session = new Session(this);
  readonly #road: Road;
  readonly #reconnect: Reconnect | undefined;
  readonly #machine: Machine;
  readonly #pace: Pace;
  /** Ends a dial that is under way when the session is over. */
  readonly #over: AbortController = new AbortController();
  #way: Way | undefined;
  #attempt = 0;
  #cancel: (() => void) | undefined;
  /** Of the first opening, until it is decided. */
  #first: { readonly done: () => void; readonly failed: (error: Error) => void } | undefined;

  /** `reconnect`: undefined for a session that ends with its connection. */
  constructor(road: Road, settings: SessionSettings, reconnect: Reconnect | undefined) {
    this.#road = road;
    this.#reconnect = reconnect;
    this.#machine = new Machine('client', settings, this.#sink());
    this.#pace = road.pace(this.#machine);
    this.session.bind(this.#machine);
  }

  get connection(): Origin | undefined {
    return this.#way?.connection;
  }

  now(): number {
    return this.#road.now();
  }

  moved(): void {
    this.#pace.moved();
  }

  choked(): boolean {
    return this.#way?.choked() ?? false;
  }

  keep(data: Uint8Array): Uint8Array {
    return this.#road.keep(data);
  }

  /** The first time: rejects when there is no session in the end. `signal` is about that, and no reason to give up later. */
  async begin(signal: AbortSignal | undefined): Promise<Session> {
    const opened = new Promise<void>((done, failed) => {
      this.#first = { done, failed };
    });
    opened.catch(() => {});
    const abort = (): void => {
      this.#fail(new WsdError('WSD_DIAL_ABORTED', undefined, { cause: signal?.reason }));
      // Whoever calls it off waits for nobody's farewell.
      this.#way?.carrier.abort();
    };
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([opened, this.#dial()]);
      await opened;
      return this.session;
    } catch (reason) {
      this.session.end('CLIENT_DISCONNECT');
      throw reason;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async #dial(): Promise<void> {
    const way = await this.#road.dial(this.#over.signal);
    if (this.#machine.state === 'closed') return way.carrier.abort();
    this.#way = way;
    const leg = this.#machine.connected(way.carrier, this.now());
    way.carry(
      leg,
      () => this.moved(),
      () => this.session.unchoked(),
    );
    this.moved();
  }

  #sink(): SessionSink {
    const { sink } = this.session;
    return {
      ...sink,
      opened: (how, machine) => {
        this.#attempt = 0;
        this.#first?.done();
        this.#first = undefined;
        sink.opened(how, machine);
      },
      detached: (why) => {
        // Before it ever was open there is nothing to go on with.
        if (this.#first !== undefined) return this.#fail(errorOf(why));
        sink.detached(why);
        if (isHopeless(why)) this.session.end('CLIENT_DISCONNECT', 'refused');
        else this.#again(typeof why === 'string' ? undefined : errorOf(why), why);
      },
      ended: (end) => {
        this.#cancel?.();
        this.#over.abort();
        this.#pace.stop();
        this.#first?.failed(new WsdError('WSD_DIAL_SESSION', codeText(end.code)));
        this.#first = undefined;
        sink.ended(end);
      },
    };
  }

  #fail(error: WsdError): void {
    this.#first?.failed(error);
    this.#first = undefined;
    this.session.end('CLIENT_DISCONNECT');
  }

  #again(cause: Error | undefined, why?: Detachment): void {
    const reconnect = this.#reconnect;
    if (this.#machine.state === 'closed') return;
    if (reconnect === undefined || this.#attempt >= reconnect.attempts) {
      this.session.end('CLIENT_DISCONNECT', reconnect === undefined ? 'connection lost' : 'no way back');
      return;
    }
    const wait = waitBefore(this.#attempt, reconnect, why, this.#road.random());
    this.#attempt++;
    this.session.tell('retry', [{ attempt: this.#attempt, wait, cause }]);
    // Whoever was told may have had enough.
    if (this.#over.signal.aborted) return;
    this.#cancel = this.#road.after(wait, () => {
      this.#dial().catch((reason: unknown) => this.#again(reason instanceof Error ? reason : undefined));
    });
  }
}

const errorOf = (why: Detachment): WsdError => {
  if (typeof why === 'string') return new WsdError('WSD_DIAL_SESSION', why);
  const { code, detail } = why.fault;
  return new WsdError('WSD_DIAL_SESSION', detail === undefined ? codeText(code) : `${codeText(code)}: ${detail}`);
};
