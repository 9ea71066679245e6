// A session on a stream: one object from the first connection to the end, whatever happens to the connections between. Joins connections
// (legs), the client's handshakes and the conversation; says when it opened, was cut, and is over. Owns no socket, no clock and no
// randomness; never throws for what a peer sent. A server's come from registry.ts. PROTOCOL.md sections 5.5, 6.1 and 7.
import { closeCodeOf, PACKET_CODES, type PacketCode } from './codes.js';
import { Conversation, jointOf, USED_UP, type Verdict } from './conversation.js';
import { countFailure, newCounters, type SessionCounters } from './counters.js';
import { isError } from './error-packet.js';
import type { HandshakeStep, ResumeOffer, Secrets } from './handshake.js';
import type { ClientHandshake } from './handshake-client.js';
import { newClientHandshake } from './handshake-new.js';
import { Resumption } from './resumption.js';
import type {
  Carrier,
  Detachment,
  EndCode,
  HandshakeFailure,
  Leg,
  PacketSession,
  SendOptions,
  SendResult,
  SessionEnd,
  SessionSecurity,
  SessionSink,
  SessionState,
  Undelivered,
} from './session-types.js';
import type { SessionSettings } from './settings.js';
import { type LegTarget, Transport } from './transport.js';

/** Who has to know where a session stands besides its sink: the registry of a server. */
export interface SessionOwner {
  detached(session: Session, now: number): void;
  closed(session: Session): void;
}

/** PROTOCOL.md section 7, 2.1: how long a server waits for acknowledgements after its farewell. */
const FAREWELL_MS = 2000;
const GOING_AWAY = 1001;
const TAKEN_OVER = 4002;

/** Its owner says connected, send, ping, end, tick; a registry says attach, takeOver, expire; the rest is what a connection brings. */
export class Session implements PacketSession {
  readonly role: 'client' | 'server';
  readonly #settings: SessionSettings;
  readonly #sink: SessionSink;
  readonly #owner: SessionOwner | undefined;
  readonly #counters = newCounters();
  readonly #conversation: Conversation;
  readonly #transport: Transport;
  readonly #target: LegTarget = {
    receive: (bytes, now) => this.#receive(bytes, now),
    lost: (now) => this.#lose('lost', now),
    tick: (now) => this.tick(now),
    deadline: () => this.deadline(),
  };
  /** The first number we use in a fresh session: above those of the handshake. */
  readonly #first: number;
  #state: SessionState = 'idle';
  #handshake: ClientHandshake | undefined;
  readonly #resumption = new Resumption();
  #endAt = Number.POSITIVE_INFINITY;

  /** A function: it is asked once, with the session, for where it tells. */
  constructor(
    role: 'client' | 'server',
    settings: SessionSettings,
    sink: SessionSink | ((session: Session) => SessionSink),
    owner?: SessionOwner,
  ) {
    this.role = role;
    this.#settings = settings;
    this.#owner = owner;
    this.#first = settings.mode === 'none' ? 0 : role === 'client' ? 2 : 3;
    this.#conversation = new Conversation(settings, this.#counters, this.#first, () => this.#sink);
    this.#transport = new Transport(this, this.#counters, settings.trace);
    this.#sink = typeof sink === 'function' ? sink(this) : sink;
  }

  get state(): SessionState {
    return this.#state;
  }

  get security(): SessionSecurity | undefined {
    return this.#resumption.security;
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

  /** Client: a connection is there. One that was there before is dropped. */
  connected(carrier: Carrier, now: number): Leg {
    if (this.role === 'server') throw new TypeError('the registry gives a server its connections');
    const former = this.#transport.drop();
    if (former !== undefined) {
      this.#lose('taken over', now);
      former.abort();
    }
    const leg = this.#transport.begin(carrier, this.#target);
    if (this.#state === 'closed') {
      this.#transport.close(GOING_AWAY, 'the session is over');
    } else if (this.#settings.mode === 'none') {
      this.#openNew(undefined, now);
    } else {
      this.#state = 'handshake';
      this.#handshake = newClientHandshake(this.#settings, 'stream', this.#offer());
      this.#transport.transmit(this.#handshake.start(now, this.#settings.wall?.() ?? 0));
    }
    return leg;
  }

  /** Server: the handshake on this connection is over; in mode none there was none. */
  attach(carrier: Carrier, secrets: Secrets | undefined, now: number): Leg {
    const leg = this.#transport.begin(carrier, this.#target);
    if (secrets?.resumed === undefined) this.#openNew(secrets, now);
    else this.#openAgain(secrets, now);
    return leg;
  }

  send(data: Uint8Array, options: SendOptions, now: number): SendResult {
    if (this.#state === 'closed' || this.#state === 'ending') return 'closed';
    if (this.#conversation.isExhausted) {
      this.#judge(USED_UP, undefined, now);
      return 'closed';
    }
    return this.#conversation.send(data, options, now);
  }

  ping(now: number): boolean {
    return this.#state === 'open' && this.#conversation.ping(now);
  }

  end(code: EndCode, now: number, detail?: string, said?: string): void {
    if (this.#state === 'closed' || this.#state === 'ending') return;
    if (this.#state === 'open') {
      this.#conversation.payDebts();
      this.#conversation.sendError(code, said);
      if (code === 'SERVER_DISCONNECT' && this.#conversation.unacknowledged.messages > 0) {
        this.#state = 'ending';
        this.#endAt = now + FAREWELL_MS;
        return;
      }
    } else for (const packet of this.#handshake?.fail(code).send ?? []) this.#transport.transmit(packet);
    this.#finish(code, 'local', detail);
  }

  deadline(): number {
    if (this.#state === 'open') return this.#conversation.deadline();
    return this.#handshake?.deadline() ?? this.#endAt;
  }

  tick(now: number): void {
    if (now < this.deadline()) return;
    if (this.#state === 'open') {
      const verdict = this.#conversation.tick(now);
      if (verdict !== undefined) this.#judge(verdict, undefined, now);
    } else if (this.#state === 'handshake') {
      const step = this.#handshake?.tick(now);
      if (step !== undefined) this.#step(step, now);
    } else if (this.#state === 'ending') this.#finish('SERVER_DISCONNECT', 'local', undefined);
  }

  get binderKeys(): readonly Uint8Array[] {
    return this.#resumption.binderKeys;
  }

  get prologue(): Uint8Array {
    return this.#settings.prologue;
  }

  /** Section 5.5: the new connection has proved that it is this session's. Our RS; undefined: it is over, since the peer's contradicts it. */
  takeOver(peerState: Uint8Array, binderKey: Uint8Array): Uint8Array | undefined {
    this.#replace();
    // Whoever was told may have ended it.
    if (this.#state === 'closed') return undefined;
    const state = this.#conversation.judgeState(peerState);
    if (state === undefined) {
      this.#counters.CONNECTION += 1;
      this.#finish('CONNECTION', 'local', 'the two halves of a resume contradict each other');
      return undefined;
    }
    this.#resumption.agree(state, binderKey);
    return this.#conversation.state();
  }

  /** The connection it has makes way; its owner need not know, for it has the next one already. */
  #replace(): void {
    const former = this.#transport.drop();
    if (former === undefined) return;
    this.#counters.takenOver += 1;
    this.#counters.detached += 1;
    this.#conversation.cut();
    this.#state = 'detached';
    this.#sink.detached('taken over');
    former.close(TAKEN_OVER, 'taken over');
  }

  /** It was detached for too long, or there is no room to keep it any longer. */
  expire(): void {
    this.#counters.expired += 1;
    this.#finish('DISCONNECT', 'expiry', 'detached for too long');
  }

  #receive(bytes: Uint8Array, now: number): void {
    if (this.#state === 'handshake') {
      const step = this.#handshake?.receive(bytes);
      if (step !== undefined) this.#step(step, now);
      return;
    }
    const ending = this.#state === 'ending';
    const verdict = ending ? this.#conversation.receiveLast(bytes, now) : this.#conversation.receive(bytes, now);
    if (verdict !== undefined) this.#judge(verdict, bytes, now);
    // The peer uses the keys of this connection, so it has its CONFIRM.
    else if (this.#conversation.isProven) this.#resumption.prove();
    if (ending && this.#conversation.unacknowledged.messages === 0)
      this.#finish('SERVER_DISCONNECT', 'local', undefined);
  }

  #judge(verdict: Verdict, offending: Uint8Array | undefined, now: number): void {
    if (this.#state === 'ending') {
      this.#finish('SERVER_DISCONNECT', 'local', undefined);
    } else if (verdict.kind === 'silent') {
      this.#counters.silent += 1;
      this.#abandon('silent', now);
    } else if (verdict.kind === 'lost') {
      this.#part({ fault: verdict.fault, theirs: true }, now);
    } else if (this.#state === 'open') {
      const { code, detail } = verdict.fault;
      const theirs = verdict.kind === 'error';
      countFailure(this.#counters, code, theirs);
      // Section 7: an ERROR is never answered with an ERROR. A server that goes waits for what we owe.
      if (!theirs && (offending === undefined || !isError(offending))) this.#conversation.sendError(code);
      if (theirs && code === 'SERVER_DISCONNECT') this.#conversation.payDebts();
      this.#finish(code, theirs ? 'remote' : 'local', detail);
    }
  }

  #offer(): ResumeOffer | undefined {
    return this.#resumption.offer(
      () => this.#conversation.state(),
      (bytes) => this.#conversation.judgeState(bytes),
    );
  }

  #step(step: HandshakeStep, now: number): void {
    for (const packet of step.send) this.#transport.transmit(packet);
    if (step.kind === 'failed') {
      const { fault, theirs } = step;
      if (step.silent !== true) return this.#part({ fault, theirs }, now);
      countFailure(this.#counters, fault.code, theirs);
      this.#abandon({ fault, theirs }, now);
    } else if (step.kind === 'done') {
      this.#handshake = undefined;
      if (step.secrets.resumed !== undefined) this.#openAgain(step.secrets, now);
      else {
        const undelivered = step.secrets.refused ? this.#conversation.restart(this.#first) : [];
        if (step.secrets.refused) this.#counters.resumesRefused += 1;
        this.#openNew(step.secrets, now, undelivered);
      }
    }
  }

  /** A handshake came to nothing, and both ends know it. */
  #part(why: HandshakeFailure, now: number): void {
    const { code } = why.fault;
    countFailure(this.#counters, code, why.theirs);
    this.#transport.close(closeCodeOf(code), PACKET_CODES[code].name);
    this.#lose(why, now);
  }

  /** Without a word. */
  #abandon(why: Detachment, now: number): void {
    const carrier = this.#transport.drop();
    this.#lose(why, now);
    carrier?.abort();
  }

  #openNew(secrets: Secrets | undefined, now: number, undelivered: readonly Undelivered[] = []): void {
    this.#counters.opened += 1;
    if (secrets !== undefined) this.#resumption.begin(secrets);
    this.#state = 'open';
    this.#conversation.begin(jointOf(secrets, this.#transport.transmit), secrets?.nextReceive ?? 0, now);
    if (undelivered.length > 0) this.#sink.undelivered(undelivered);
    this.#tellOpened('new');
  }

  #openAgain(secrets: Secrets, now: number): void {
    const state = this.#resumption.renew(secrets);
    if (state === undefined) return;
    this.#counters.resumes += 1;
    this.#state = 'open';
    const early = this.role === 'server' ? secrets.nextReceive : -1;
    const acknowledged = this.#conversation.resume(jointOf(secrets, this.#transport.transmit), state, early, now);
    this.#tellOpened('resumed');
    for (const number of acknowledged) this.#sink.acknowledged(number);
  }

  #tellOpened(how: 'new' | 'resumed'): void {
    if (this.state === 'open') this.#sink.opened(how, this);
    if (this.state === 'open' && this.#conversation.takeRoom()) this.#sink.room();
  }

  /** No connection any more. */
  #lose(why: Detachment, now: number): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'ending') {
      this.#finish('SERVER_DISCONNECT', 'local', undefined);
      return;
    }
    this.#transport.drop();
    this.#handshake = undefined;
    this.#conversation.cut();
    if (this.security === undefined && this.role === 'server') {
      this.#finish('DISCONNECT', 'loss', undefined);
      return;
    }
    this.#counters.detached += 1;
    // Without security nothing can be resumed: what is not acknowledged is not known to have arrived, and the numbers begin afresh.
    const undelivered =
      this.#state === 'open' && this.security === undefined ? this.#conversation.restart(this.#first) : [];
    this.#state = this.security === undefined ? 'idle' : 'detached';
    if (undelivered.length > 0) this.#sink.undelivered(undelivered);
    this.#sink.detached(why);
    this.#owner?.detached(this, now);
  }

  #finish(code: PacketCode, by: SessionEnd['by'], detail: string | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#endAt = Number.POSITIVE_INFINITY;
    this.#handshake = undefined;
    const closeCode = code === 'SERVER_DISCONNECT' && by === 'local' ? GOING_AWAY : closeCodeOf(code);
    this.#transport.close(closeCode, PACKET_CODES[code].name);
    const undelivered = this.#conversation.finish();
    this.#conversation.cut();
    this.#resumption.end();
    this.#owner?.closed(this);
    if (undelivered.length > 0) this.#sink.undelivered(undelivered);
    this.#sink.ended({ code, by, closeCode, detail });
  }
}
