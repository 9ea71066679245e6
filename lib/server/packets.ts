// The packet sessions of a server: connections of the packet subprotocol → sessions, new ones and resumed ones, and their end. Keeps the
// connections under them, which are no connections of the embedder.
import { copyOut } from '../crypto/pool.js';
import { CARRYING, ConnectionCarrier, carry, isChoked } from '../link/carrier.js';
import { SECURE_PACKAGE_PROTOCOL } from '../link/packages.js';
import { PACKET_PROTOCOL, prologueOf } from '../link/protocol.js';
import { type Drive, Session } from '../link/session.js';
import { serverSettings } from '../link/settings.js';
import { Bag } from '../net/bag.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import type { ServerPackets } from '../options/packets-types.js';
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
  /** A new session of that subprotocol is about to open: its listeners are put on here. */
  session(session: Session, protocol: string): void;
  refused(refused: RefusedSession): void;
}

/** One connection and what it carries. */
class Ride {
  readonly connection: Connection<unknown>;
  readonly pacer: Pacer;
  leg: Leg | undefined;
  /** Whom it carried last: a connection finds its session once. */
  machine: PacketSession | undefined;

  constructor(connection: Connection<unknown>) {
    this.connection = connection;
    this.pacer = new Pacer({
      deadline: () => this.leg?.deadline() ?? Infinity,
      tick: (time) => this.leg?.tick(time),
    });
  }

  moved(): void {
    this.pacer.moved();
  }

  choked(): boolean {
    return isChoked(this.connection);
  }
}

/** A session rides on one connection after the other. */
class Rider implements Drive {
  ride: Ride;

  constructor(ride: Ride) {
    this.ride = ride;
  }

  keep(data: Uint8Array): Uint8Array {
    return copyOut(data, 0, data.length);
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
  /** Section 6.3: the subprotocol is part of every key, so a session cannot be resumed as one of another. */
  readonly #prologues: ReadonlyMap<string, { readonly prologue: Uint8Array }>;
  #carrying: ConnectionSettings | undefined;
  /** Whose bytes are being read while they belong to no session yet: one may open, or be resumed, before this returns. */
  #coming: Ride | undefined;

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
    this.#prologues = new Map(
      [PACKET_PROTOCOL, SECURE_PACKAGE_PROTOCOL].map((name) => [name, { prologue: prologueOf(options.context, name) }]),
    );
  }

  /** What becomes of the settings of a connection that carries packets. */
  settings(settings: ConnectionSettings): ConnectionSettings {
    this.#carrying ??= { ...settings, ...CARRYING };
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
    const prologue = this.#prologues.get(connection.subprotocol);
    const leg = this.#registry.accept(new ConnectionCarrier(connection), now(), prologue);
    this.#coming = undefined;
    ride.leg = leg;
    this.#rides.set(leg, ride);
    carry(connection, this.#announced(leg, ride), now, () => this.#moved(ride));
    connection.on('drain', () => this.#faceOf(leg)?.unchoked());
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
    // The farewell has a deadline of its own.
    for (const machine of this.#faces.keys()) this.#riders.get(machine)?.moved();
    return [...this.#connections];
  }

  /** The leg, which says whose it is as long as it has no session. */
  #announced(leg: Leg, ride: Ride): Leg {
    return {
      get session() {
        return leg.session;
      },
      receive: (bytes, time) => {
        if (leg.session !== undefined) return leg.receive(bytes, time);
        this.#coming = ride;
        try {
          leg.receive(bytes, time);
        } finally {
          this.#coming = undefined;
        }
      },
      lost: (time) => leg.lost(time),
      tick: (time) => leg.tick(time),
      deadline: () => leg.deadline(),
    };
  }

  #moved(ride: Ride): void {
    // A resumed session has changed its ride.
    const machine = ride.leg?.session;
    if (machine !== undefined && machine !== ride.machine) this.#ride(machine, ride);
    ride.moved();
    if (this.#registry.detached > 0) this.#pacer.moved();
  }

  #ride(machine: PacketSession, ride: Ride): void {
    const rider = this.#riders.get(machine);
    ride.machine = machine;
    if (rider !== undefined) rider.ride = ride;
  }

  #admit(machine: PacketSession, leg: Leg): SessionSink {
    const ride = this.#rides.get(leg) ?? this.#coming;
    if (ride === undefined) throw new TypeError('a session without a connection');
    const rider = new Rider(ride);
    this.#riders.set(machine, rider);
    const session = new Session(rider);
    session.bind(machine);
    this.#faces.set(machine, session);
    try {
      this.#host.session(session, ride.connection.subprotocol);
    } catch (reason) {
      session.fail(reason);
    }
    const { sink } = session;
    return {
      ...sink,
      opened: (how, opened) => {
        // Resumed on another connection, and its listeners may ask which.
        rider.ride = this.#coming ?? rider.ride;
        sink.opened(how, opened);
      },
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
