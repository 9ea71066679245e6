// A session on datagrams, for one peer: the handshake whose packets may be lost, then the conversation, then the end. There is no resume: when
// the peer falls silent the session is over. Owns no socket, no clock and no randomness; never throws for what a peer sent.
// PROTOCOL.md sections 1, 5.4, 6.1 and 7. Version 0 validates no addresses: not for the open Internet.
import { closeCodeOf, PACKET_CODES, type PacketCode } from './codes.js';
import { Conversation, jointOf, USED_UP, type Verdict } from './conversation.js';
import { countFailure, newCounters, type SessionCounters } from './counters.js';
import type { HandshakeStep, Secrets, SessionsPort } from './handshake.js';
import type { ClientHandshake } from './handshake-client.js';
import { newClientHandshake, newServerHandshake } from './handshake-new.js';
import type { ServerHandshake } from './handshake-server.js';
import type {
  Carrier,
  EndCode,
  Leg,
  PacketSession,
  SendOptions,
  SendResult,
  SessionEnd,
  SessionSecurity,
  SessionSink,
  SessionState,
} from './session-types.js';
import type { SessionSettings } from './settings.js';
import { Transport } from './transport.js';
import { TYPE } from './wire.js';

export interface DatagramSettings extends SessionSettings {
  /** Server only; `none` unless told. */
  readonly clientCertificate?: 'none' | 'optional' | 'required';
}

/** PROTOCOL.md section 7, 2.1. */
const FAREWELL_MS = 2000;
const ID_SIZE = 16;
/** Section 6.1 leaves the timer open: that of RFC 6298 at first, and then often enough to have six tries within the handshake's 10 s. */
const FIRST_FLIGHT_MS = 1000;
const NEXT_FLIGHT_MS = 2000;

export class DatagramSession implements PacketSession {
  readonly role: 'client' | 'server';
  readonly #settings: DatagramSettings;
  readonly #sink: SessionSink;
  readonly #counters = newCounters();
  readonly #conversation: Conversation;
  readonly #transport: Transport;
  #state: SessionState = 'idle';
  #client: ClientHandshake | undefined;
  /** Stays after its end, until the client has used its keys: CONFIRM may have to be sent again. */
  #server: ServerHandshake | undefined;
  #security: SessionSecurity | undefined;
  /** Section 6.1: how often our flight was sent, and when it is next. */
  #flights = 0;
  #flightDue = Number.POSITIVE_INFINITY;
  #endAt = Number.POSITIVE_INFINITY;

  constructor(role: 'client' | 'server', settings: DatagramSettings, sink: SessionSink) {
    this.role = role;
    this.#settings = settings;
    this.#sink = sink;
    const first = settings.mode === 'none' ? 0 : role === 'client' ? 2 : 3;
    this.#conversation = new Conversation(settings, this.#counters, first, () => this.#sink, 'datagram');
    this.#transport = new Transport(this, this.#counters, settings.trace);
  }

  get state(): SessionState {
    return this.#state;
  }

  get security(): SessionSecurity | undefined {
    return this.#security;
  }

  get rtt(): number | undefined {
    return this.#conversation.rtt;
  }

  get unacknowledged(): { readonly messages: number; readonly bytes: number } {
    return this.#conversation.unacknowledged;
  }

  counters(): Readonly<SessionCounters> {
    return this.#counters;
  }

  /** Once: packets come and go through this carrier. A server is started by the client's first packet, which is given to the leg then. */
  connected(carrier: Carrier, now: number): Leg {
    if (this.#state !== 'idle') throw new TypeError('a datagram session has one connection');
    const leg = this.#transport.begin(carrier, {
      receive: (bytes, at) => this.#receive(bytes, at),
      lost: () => this.#finish('DISCONNECT', 'loss', undefined),
      tick: (at) => this.tick(at),
      deadline: () => this.deadline(),
    });
    if (this.#settings.mode === 'none') {
      this.#open(undefined, now);
      return leg;
    }
    this.#state = 'handshake';
    const wall = this.#settings.wall?.() ?? 0;
    if (this.role === 'client') {
      this.#client = newClientHandshake(this.#settings, 'datagram', undefined);
      this.#client.start(now, wall);
      this.#sendFlight(now);
    } else {
      const { clientCertificate = 'none' } = this.#settings;
      this.#server = newServerHandshake(this.#settings, 'datagram', clientCertificate, this.#port());
      this.#server.start(now, wall);
    }
    return leg;
  }

  send(data: Uint8Array, options: SendOptions, now: number): SendResult {
    if (this.#state === 'closed' || this.#state === 'ending') return 'closed';
    if (this.#conversation.isExhausted) {
      this.#judge(USED_UP);
      return 'closed';
    }
    return this.#conversation.send(data, options, now);
  }

  ping(now: number): boolean {
    return this.#state === 'open' && this.#conversation.ping(now);
  }

  /** A server that shuts down first waits for its acknowledgements: an ERROR could overtake what it sent before. */
  end(code: EndCode, now: number, detail?: string): void {
    if (this.#state === 'closed' || this.#state === 'ending') return;
    if (this.#state === 'open') {
      this.#conversation.payDebts();
      if (code === 'SERVER_DISCONNECT' && this.#conversation.unacknowledged.messages > 0) {
        this.#state = 'ending';
        this.#endAt = now + FAREWELL_MS;
        return;
      }
      this.#conversation.sendError(code);
    } else this.#sendAll(this.#handshake?.fail(code).send ?? []);
    this.#finish(code, 'local', detail);
  }

  deadline(): number {
    switch (this.#state) {
      case 'open':
        return this.#conversation.deadline();
      case 'ending':
        return Math.min(this.#endAt, this.#conversation.deadline());
      case 'handshake':
        return Math.min(this.#flightDue, this.#handshake?.deadline() ?? Number.POSITIVE_INFINITY);
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  tick(now: number): void {
    if (now < this.deadline()) return;
    if (this.#state === 'handshake') {
      const step = this.#handshake?.tick(now);
      if (step !== undefined) this.#step(step, now);
      else if (now >= this.#flightDue) this.#sendFlight(now);
      return;
    }
    const verdict = this.#conversation.tick(now);
    if (verdict !== undefined) this.#judge(verdict);
    else if (now >= this.#endAt) this.#leave();
  }

  get #handshake(): ClientHandshake | ServerHandshake | undefined {
    return this.#client ?? this.#server;
  }

  #receive(bytes: Uint8Array, now: number): void {
    if (this.#state === 'handshake') {
      const step = this.#handshake?.receive(bytes);
      if (step !== undefined) this.#step(step, now);
      return;
    }
    if (this.#server !== undefined && ((bytes[0] ?? 0) & 15) === TYPE.ack && this.#server.repeats(bytes)) {
      this.#sendAll(this.#server.flight());
      return;
    }
    const before = this.#counters.messagesIn;
    const ending = this.#state === 'ending';
    const verdict = ending ? this.#conversation.receiveLast(bytes, now) : this.#conversation.receive(bytes, now);
    // A message under the new keys: its sender is open, so it has CONFIRM.
    if (this.#counters.messagesIn > before) this.#server = undefined;
    if (verdict !== undefined) this.#judge(verdict);
    else if (ending && this.#conversation.unacknowledged.messages === 0) this.#leave();
  }

  #judge(verdict: Verdict): void {
    if (this.#state !== 'open' && this.#state !== 'ending') return;
    if (verdict.kind === 'silent') {
      this.#counters.silent += 1;
      this.#transport.drop()?.abort();
      this.#finish('DISCONNECT', 'loss', 'silent');
      return;
    }
    const { code, detail } = verdict.fault;
    const theirs = verdict.kind === 'error';
    countFailure(this.#counters, code, theirs);
    // Section 7: an ERROR is never answered with an ERROR.
    if (!theirs) this.#conversation.sendError(code);
    this.#finish(code, theirs ? 'remote' : 'local', detail);
  }

  #step(step: HandshakeStep, now: number): void {
    if (step.kind === 'failed') {
      this.#sendAll(step.send);
      countFailure(this.#counters, step.fault.code, step.theirs);
      this.#finish(step.fault.code, step.theirs ? 'remote' : 'local', step.fault.detail);
      return;
    }
    if (step.kind === 'more' && step.dropped !== undefined) this.#counters.droppedEarly += 1;
    if (step.send.length > 0) {
      this.#sendAll(step.send);
      this.#flights = 1;
      this.#flightDue = now + FIRST_FLIGHT_MS;
    }
    if (step.kind === 'done') this.#open(step.secrets, now);
  }

  #open(secrets: Secrets | undefined, now: number): void {
    this.#client = undefined;
    this.#flightDue = Number.POSITIVE_INFINITY;
    this.#state = 'open';
    this.#counters.opened += 1;
    if (secrets !== undefined) {
      const { identity, peer, exporter, packageKeys, sessionId } = secrets;
      this.#security = { identity, peer, exporter, packageKeys, sessionId };
    }
    this.#conversation.begin(jointOf(secrets, this.#transport.transmit), secrets?.nextReceive ?? 0, now);
    this.#sink.opened('new', this);
    if (this.state === 'open' && this.#conversation.takeRoom()) this.#sink.room();
  }

  /** Section 6.1: verbatim, until the next flight of the peer is here. */
  #sendFlight(now: number): void {
    const flight = this.#handshake?.flight() ?? [];
    if (this.#flights > 0) this.#counters.retransmissions += flight.length;
    this.#sendAll(flight);
    this.#flights += 1;
    this.#flightDue =
      flight.length === 0 ? Number.POSITIVE_INFINITY : now + (this.#flights === 1 ? FIRST_FLIGHT_MS : NEXT_FLIGHT_MS);
  }

  /** Copies: the handshake keeps what it may have to send again. */
  #sendAll(packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.#transport.transmit(new Uint8Array(packet));
  }

  /** One peer, one session: there is always room, and nothing to resume. */
  #port(): SessionsPort {
    const id = this.#settings.suite.random(ID_SIZE);
    return { full: () => false, find: () => undefined, fresh: () => ({ id, ttl: 0 }) };
  }

  #leave(): void {
    this.#conversation.sendError('SERVER_DISCONNECT');
    this.#finish('SERVER_DISCONNECT', 'local', undefined);
  }

  #finish(code: PacketCode, by: SessionEnd['by'], detail: string | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#client = undefined;
    this.#server = undefined;
    const closeCode = closeCodeOf(code);
    this.#transport.close(closeCode, PACKET_CODES[code].name);
    const undelivered = this.#conversation.finish();
    this.#conversation.cut();
    if (undelivered.length > 0) this.#sink.undelivered(undelivered);
    this.#sink.ended({ code, by, closeCode, detail });
  }
}
