// All sessions of a server: takes connections, finds the session a client wants to go on with, keeps detached ones for a while, and says when
// there is no room. Bounded: so many sessions with a connection, a quarter as many without. Owns no timer: it is ticked.
// PROTOCOL.md sections 5.5, 6.1 (capacity before crypto) and 10.
import { Arrival, type ArrivalPort } from './arrival.js';
import { closeCodeOf, PACKET_CODES, packetFault } from './codes.js';
import { addCounters, newCounters, type SessionCounters } from './counters.js';
import { errorPacket } from './error-packet.js';
import { ANONYMOUS, type Detached, type Secrets, type SessionsPort } from './handshake.js';
import { Session, type SessionOwner } from './session.js';
import type { Carrier, HandshakeFailure, Leg, SessionSink } from './session-types.js';
import type { SessionSettings } from './settings.js';

export interface ServerSettings {
  /** Sessions with a connection, those in a handshake counted. */
  readonly maxSessions: number;
  /** Milliseconds a session outlives its connection. */
  readonly resumeTtl: number;
  readonly clientCertificate: 'none' | 'optional' | 'required';
  /** A new session is about to open on this leg: where it tells. It may have been given no connection yet, so nothing can be sent here. */
  admit(session: Session, leg: Leg): SessionSink;
  /** A handshake came to nothing; the connection is being closed. */
  refused?(failure: HandshakeFailure, leg: Leg): void;
}

export type RegistrySettings = SessionSettings & ServerSettings;

export interface AcceptOptions {
  /** Of this connection, when it is not that of the settings: PROTOCOL.md section 6.3. */
  readonly prologue?: Uint8Array;
}

const ID_SIZE = 16;

export class Registry {
  readonly #settings: RegistrySettings;
  readonly #counters = newCounters();
  /** Of required mode by session id, and of mode none by themselves. */
  readonly #sessions = new Map<string, Session>();
  readonly #clear = new Set<Session>();
  readonly #ids = new WeakMap<Session, string>();
  /** In the order in which they lost their connection, which is the order in which they expire. */
  readonly #detached = new Map<Session, number>();
  /** Handshakes that have begun to cost something. */
  readonly #pending = new Set<Arrival>();
  readonly #arrivals = new Set<Arrival>();
  readonly #owner: SessionOwner = {
    detached: (session, now) => this.#keep(session, now),
    closed: (session) => this.#forget(session),
  };
  #closing = false;

  constructor(settings: RegistrySettings) {
    this.#settings = settings;
  }

  /** All sessions, detached ones counted. */
  get size(): number {
    return this.#sessions.size + this.#clear.size;
  }

  get detached(): number {
    return this.#detached.size;
  }

  *sessions(): Iterable<Session> {
    yield* this.#sessions.values();
    yield* this.#clear;
  }

  /** Sums: what handshakes counted, what sessions that are over counted, and the living. */
  counters(): Readonly<SessionCounters> {
    const sum = newCounters();
    addCounters(sum, this.#counters);
    for (const session of this.sessions()) addCounters(sum, session.counters());
    return sum;
  }

  /** A connection is there. */
  accept(carrier: Carrier, now: number, options: AcceptOptions = {}): Leg {
    const { prologue } = options;
    const settings = prologue === undefined ? this.#settings : { ...this.#settings, prologue };
    if (settings.mode === 'none') return this.#acceptClear(carrier, settings, now);
    const arrival: Arrival = new Arrival(
      carrier,
      this.#portFor(settings, () => arrival),
      now,
    );
    this.#arrivals.add(arrival);
    return arrival;
  }

  deadline(): number {
    for (const expiry of this.#detached.values()) return expiry;
    return Number.POSITIVE_INFINITY;
  }

  tick(now: number): void {
    for (const [session, expiry] of this.#detached) {
      if (expiry > now) return;
      session.expire();
    }
  }

  /** All sessions end, handshakes come to nothing, and there is no room for new ones. */
  end(code: 'DISCONNECT' | 'SERVER_DISCONNECT', now: number): void {
    this.#closing = true;
    for (const arrival of [...this.#arrivals]) arrival.end(code, now);
    for (const session of [...this.sessions()]) session.end(code, now);
  }

  get #isFull(): boolean {
    return this.#closing || this.size - this.#detached.size + this.#pending.size >= this.#settings.maxSessions;
  }

  #acceptClear(carrier: Carrier, settings: RegistrySettings, now: number): Leg {
    if (this.#isFull) {
      const packet = errorPacket(settings.suite, undefined, 0, 'NO_SPACE');
      this.#counters.NO_SPACE += 1;
      carrier.transmit(packet);
      carrier.close(closeCodeOf('NO_SPACE'), PACKET_CODES.NO_SPACE.name);
      settings.refused?.({ fault: packetFault('NO_SPACE'), theirs: false }, DEAF);
      return DEAF;
    }
    const later = new LateLeg();
    const session = new Session('server', settings, (made) => settings.admit(made, later), this.#owner);
    this.#clear.add(session);
    later.leg = session.attach(carrier, undefined, now);
    return later;
  }

  #portFor(settings: RegistrySettings, self: () => Arrival): ArrivalPort {
    let found: Session | undefined;
    const sessions: SessionsPort = {
      full: () => {
        if (this.#isFull) return true;
        this.#pending.add(self());
        return false;
      },
      find: (id) =>
        this.#find(id, (session) => {
          found = session;
        }),
      fresh: () => ({ id: settings.suite.random(ID_SIZE), ttl: Math.floor(settings.resumeTtl / 1000) }),
    };
    return {
      settings,
      clientCertificate: settings.clientCertificate,
      counters: this.#counters,
      sessions,
      bind: (secrets, arrival) => {
        if (secrets.resumed === undefined || found === undefined) return this.#create(settings, secrets, arrival);
        this.#detached.delete(found);
        return found;
      },
      failed: (failure, arrival) => settings.refused?.(failure, arrival),
      left: () => {
        this.#pending.delete(self());
        this.#arrivals.delete(self());
      },
    };
  }

  #find(id: Uint8Array, taken: (session: Session) => void): Detached | undefined {
    const session = this.#sessions.get(nameOf(id));
    const security = session?.security;
    if (session === undefined || security === undefined || session.state === 'ending') return undefined;
    return {
      binderKeys: session.binderKeys,
      identity: security.identity,
      prologue: session.prologue,
      accepts: (peerState, binderKey) => {
        taken(session);
        return session.takeOver(peerState, binderKey);
      },
    };
  }

  #create(settings: RegistrySettings, secrets: Secrets, arrival: Leg): Session {
    const session = new Session('server', settings, (made) => settings.admit(made, arrival), this.#owner);
    const name = nameOf(secrets.sessionId);
    this.#sessions.set(name, session);
    this.#ids.set(session, name);
    return session;
  }

  #keep(session: Session, now: number): void {
    // Its owner may have ended it when it was told.
    if (session.state !== 'detached') return;
    this.#detached.delete(session);
    this.#detached.set(session, now + this.#settings.resumeTtl);
    // Section 10: detached sessions ≤ maxSessions / 4.
    while (this.#detached.size > this.#settings.maxSessions / 4) {
      const victim = this.#dispensable() as Session;
      this.#detached.delete(victim);
      victim.expire();
    }
  }

  /** The oldest has waited longest in vain; but anybody can make anonymous ones, and would push out the others with them. */
  #dispensable(): Session | undefined {
    let oldest: Session | undefined;
    for (const session of this.#detached.keys()) {
      if (session.security?.identity === ANONYMOUS) return session;
      oldest ??= session;
    }
    return oldest;
  }

  #forget(session: Session): void {
    this.#detached.delete(session);
    this.#clear.delete(session);
    const name = this.#ids.get(session);
    if (name !== undefined) this.#sessions.delete(name);
    addCounters(this.#counters, session.counters());
  }
}

/** In mode none the session is there before its leg. */
class LateLeg implements Leg {
  leg: Leg = DEAF;

  get session(): Leg['session'] {
    return this.leg.session;
  }

  receive(bytes: Uint8Array, now: number): void {
    this.leg.receive(bytes, now);
  }

  lost(now: number): void {
    this.leg.lost(now);
  }

  tick(now: number): void {
    this.leg.tick(now);
  }

  deadline(): number {
    return this.leg.deadline();
  }
}

const DEAF: Leg = {
  session: undefined,
  receive: () => undefined,
  lost: () => undefined,
  tick: () => undefined,
  deadline: () => Number.POSITIVE_INFINITY,
};

/** A session id as the key of a map. */
const nameOf = (id: Uint8Array): string => {
  let name = '';
  for (const octet of id) name += String.fromCharCode(octet);
  return name;
};
