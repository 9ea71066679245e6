// One connection of a server, from its first packet: the handshake, and then the leg of the session it turned out to belong to, a new one or
// one that is resumed. Knows the sessions through a port. PROTOCOL.md sections 5.5 and 6.1.
import { closeCodeOf, PACKET_CODES } from './codes.js';
import { countFailure, type SessionCounters } from './counters.js';
import type { HandshakeStep, Secrets, SessionsPort } from './handshake.js';
import { newServerHandshake } from './handshake-new.js';
import type { ServerHandshake } from './handshake-server.js';
import type { Session } from './session.js';
import type { Carrier, HandshakeFailure, Leg } from './session-types.js';
import type { SessionSettings } from './settings.js';

/** What an arrival needs of the registry. */
export interface ArrivalPort {
  readonly settings: SessionSettings;
  readonly clientCertificate: 'none' | 'optional' | 'required';
  readonly counters: SessionCounters;
  readonly sessions: SessionsPort;
  /** The session this connection is for now: the new one, or the one that its handshake found. */
  bind(secrets: Secrets, arrival: Leg): Session;
  failed(failure: HandshakeFailure, arrival: Leg): void;
  /** It will never be a session, or is one now. */
  left(arrival: Leg): void;
}

export class Arrival implements Leg {
  readonly #carrier: Carrier;
  readonly #port: ArrivalPort;
  readonly #handshake: ServerHandshake;
  /** Where everything goes once the handshake is over. */
  #leg: Leg | undefined;
  #over = false;

  constructor(carrier: Carrier, port: ArrivalPort, now: number) {
    this.#carrier = carrier;
    this.#port = port;
    this.#handshake = newServerHandshake(port.settings, 'stream', port.clientCertificate, port.sessions);
    this.#handshake.start(now, port.settings.wall?.() ?? 0);
  }

  get session(): Leg['session'] {
    return this.#leg?.session;
  }

  receive(bytes: Uint8Array, now: number): void {
    if (this.#leg !== undefined) {
      this.#leg.receive(bytes, now);
    } else if (!this.#over) {
      const { counters, settings } = this.#port;
      counters.packetsIn += 1;
      counters.bytesIn += bytes.length;
      settings.trace?.('in', bytes, undefined);
      this.#step(this.#handshake.receive(bytes), now);
    }
  }

  lost(now: number): void {
    if (this.#leg !== undefined) this.#leg.lost(now);
    else this.#leave();
  }

  tick(now: number): void {
    if (this.#leg !== undefined) this.#leg.tick(now);
    else if (!this.#over) {
      const step = this.#handshake.tick(now);
      if (step !== undefined) this.#step(step, now);
    }
  }

  deadline(): number {
    if (this.#leg !== undefined) return this.#leg.deadline();
    return this.#over ? Number.POSITIVE_INFINITY : this.#handshake.deadline();
  }

  /** The server ends it before it is anything. */
  end(code: 'DISCONNECT' | 'SERVER_DISCONNECT', now: number): void {
    if (this.#leg === undefined && !this.#over) this.#step(this.#handshake.fail(code), now);
  }

  #step(step: HandshakeStep, now: number): void {
    const { counters, settings } = this.#port;
    for (const packet of step.send) {
      counters.packetsOut += 1;
      counters.bytesOut += packet.length;
      settings.trace?.('out', packet, undefined);
      this.#carrier.transmit(packet);
    }
    if (step.kind === 'failed') {
      const { fault, theirs } = step;
      countFailure(counters, fault.code, theirs);
      this.#leave();
      const { name } = PACKET_CODES[fault.code];
      this.#carrier.close(fault.code === 'SERVER_DISCONNECT' ? 1001 : closeCodeOf(fault.code), name);
      this.#port.failed({ fault, theirs }, this);
    } else if (step.kind === 'done') {
      if (step.secrets.refused) counters.resumesRefused += 1;
      this.#leave();
      const session = this.#port.bind(step.secrets, this);
      this.#leg = session.attach(this.#carrier, step.secrets, now);
    }
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#port.left(this);
  }
}
