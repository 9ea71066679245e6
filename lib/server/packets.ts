// The packet sessions of a server: connections of the packet subprotocol → sessions, new ones and resumed ones, and their end. Keeps the
// connections under them, which are no connections of the embedder.
import { ConnectionCarrier, carry } from '../link/carrier.js';
import { type Drive, Session } from '../link/session.js';
import { LARGEST_PACKET, serverSettings } from '../link/settings.js';
import { Bag } from '../net/bag.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import type { ServerPackets } from '../option-packets.js';
import { codeText } from '../packet/codes.js';
import type { SessionCounters } from '../packet/counters.js';
import { Registry } from '../packet/registry.js';
import type { HandshakeFailure, Leg, PacketSession, SessionSink } from '../packet/session-types.js';
import type { Connection } from '../websocket/connection.js';
import type { ConnectionSettings } from '../websocket/settings.js';

/** A handshake of the packet layer that came to nothing, for logs and metrics. */
export interface RefusedSession {
  /** `1.2 CERTIFICATE INVALID` */
  readonly code: string;
  /** The client said so. */
  readonly theirs: boolean;
  readonly detail: string | undefined;
  readonly remoteAddress: string;
}

/** What the server does with them. */
export interface PacketHost {
  /** A new session is about to open: its listeners are put on here. */
  session(session: Session): void;
  refused(refused: RefusedSession): void;
}

/** How much of a connection may wait before unreliable messages are refused. */
const CHOKED_FROM = 256 * 1024;

/** One connection and what it carries. */
class Ride implements Drive {
  readonly connection: Connection<unknown>;
  readonly pacer: Pacer;
  leg: Leg | undefined;

  constructor(connection: Connection<unknown>) {
    this.connection = connection;
    this.pacer = new Pacer({
      deadline: () => this.leg?.deadline() ?? Infinity,
      tick: (time) => this.leg?.tick(time),
    });
  }

  now(): number {
    return now();
  }

  moved(): void {
    this.pacer.moved();
  }

  choked(): boolean {
    return this.connection.bufferedAmount > CHOKED_FROM;
  }
}

/** A session rides on one connection after the other. */
class Rider implements Drive {
  ride: Ride;

  constructor(ride: Ride) {
    this.ride = ride;
  }

  now(): number {
    return now();
  }

  moved(): void {
    this.ride.moved();
  }

  get connection(): Connection<unknown> {
    return this.ride.connection;
  }

  choked(): boolean {
    return this.ride.choked();
  }
}

export class Packets {
  readonly #host: PacketHost;
  readonly #registry: Registry;
  readonly #pacer: Pacer;
  readonly #connections: Bag<Connection<unknown>> = new Bag();
  readonly #rides: WeakMap<Leg, Ride> = new WeakMap();
  readonly #riders: WeakMap<PacketSession, Rider> = new WeakMap();
  readonly #faces: Map<PacketSession, Session> = new Map();
  #carrying: ConnectionSettings | undefined;
  #coming: Ride | undefined; // in mode none a session opens before its leg is known

  constructor(options: ServerPackets, host: PacketHost) {
    this.#host = host;
    this.#registry = new Registry({
      ...serverSettings(options, wall),
      maxSessions: options.maxSessions,
      resumeTtl: options.resumeTtl,
      clientCertificate: options.clientCertificate,
      admit: (machine, leg) => this.#admit(machine, leg),
      refused: (failure, leg) => this.#refused(failure, leg),
    });
    this.#pacer = new Pacer(this.#registry);
  }

  /** A connection of packets takes bytes, one packet a message, and keeps none of them. */
  settings(settings: ConnectionSettings): ConnectionSettings {
    this.#carrying ??= { ...settings, text: 'bytes', lend: true, maxMessage: LARGEST_PACKET, idleTimeout: 0 };
    return this.#carrying;
  }

  /** Every session, detached ones included. */
  get sessions(): readonly Session[] {
    return [...this.#faces.values()];
  }

  counters(): Readonly<SessionCounters> {
    return this.#registry.counters();
  }

  /** A connection that is open and has said nothing yet. */
  take(connection: Connection<unknown>): void {
    this.#connections.add(connection);
    const ride = new Ride(connection);
    this.#coming = ride;
    const leg = this.#registry.accept(new ConnectionCarrier(connection), now());
    this.#coming = undefined;
    ride.leg = leg;
    this.#rides.set(leg, ride);
    carry(connection, leg, now, () => this.#moved(ride));
    connection.on('drain', () => this.#faceOf(leg)?.tell('drain', []));
    connection.on('close', () => {
      this.#connections.delete(connection);
      ride.pacer.stop();
    });
    if (leg.session !== undefined) this.#ride(leg.session, ride);
    ride.moved();
  }

  /** Every session hears that the server leaves, and has a moment to acknowledge; the connections end by themselves. */
  end(): readonly Connection<unknown>[] {
    this.#registry.end('SERVER_DISCONNECT', now());
    return [...this.#connections];
  }

  #moved(ride: Ride): void {
    // A resumed session has changed its ride.
    if (ride.leg?.session !== undefined) this.#ride(ride.leg.session, ride);
    ride.moved();
    this.#pacer.moved();
  }

  #ride(machine: PacketSession, ride: Ride): void {
    const rider = this.#riders.get(machine);
    if (rider !== undefined) rider.ride = ride;
  }

  #admit(machine: PacketSession, leg: Leg): SessionSink {
    const ride = this.#rides.get(leg) ?? this.#coming;
    if (ride === undefined) throw new TypeError('a session without a connection');
    const rider = new Rider(ride);
    this.#riders.set(machine, rider);
    const session = new Session(rider);
    session.bind(machine, (reason) => {
      session.tell('error', [reason instanceof Error ? reason : new Error('a listener failed')]);
      session.end('DISCONNECT');
    });
    this.#faces.set(machine, session);
    this.#host.session(session);
    const { sink } = session;
    return {
      ...sink,
      ended: (end) => {
        this.#faces.delete(machine);
        sink.ended(end);
      },
    };
  }

  #refused({ fault, theirs }: HandshakeFailure, leg: Leg): void {
    const remoteAddress = (this.#rides.get(leg) ?? this.#coming)?.connection.remoteAddress ?? '';
    this.#host.refused({ code: codeText(fault.code), theirs, detail: fault.detail, remoteAddress });
  }

  #faceOf(leg: Leg): Session | undefined {
    return leg.session === undefined ? undefined : this.#faces.get(leg.session);
  }
}
