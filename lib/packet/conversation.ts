// An open session between two ends on a stream, in its three phases: connected (packets flow), cut (it remembers), over. Joins the receiving and
// the sending half with what must be done in time: ACKs, heartbeats, groups that stall. Knows no handshake and no connection: it is told of
// keys and a way to transmit, and tells the session when something ends it. PROTOCOL.md sections 4, 5 and 7.
import { AckDebts } from './acks.js';
import { PACKET_CODES, type PacketCode, type PacketFault, packetFault } from './codes.js';
import type { SessionCounters } from './counters.js';
import { DatagramInbound } from './datagram-inbound.js';
import { faultOfError } from './error-packet.js';
import type { Secrets } from './handshake.js';
import { Heartbeat } from './heartbeat.js';
import { Inbound } from './inbound.js';
import { Outbound } from './outbound.js';
import type { Protector } from './protect.js';
import type { Receiver } from './receiver.js';
import { parseResumeState, type ResumeState, writeResumeState } from './resume-state.js';
import { Retransmission } from './retransmission.js';
import type { SendOptions, SendResult, SessionSink, Undelivered } from './session-types.js';
import type { SessionSettings } from './settings.js';
import { HEARTBEAT, TYPE } from './wire.js';

/** What a call led to, when that is more than events. */
export type Verdict =
  | { readonly kind: 'fault'; readonly fault: PacketFault }
  /** The peer's ERROR. */
  | { readonly kind: 'error'; readonly fault: PacketFault }
  /** The same, but about the handshake of this connection: the session can be resumed on another. */
  | { readonly kind: 'lost'; readonly fault: PacketFault }
  /** No PONG: the transport is dead. */
  | { readonly kind: 'silent' };

/** Keys, numbers and limits a connection begins with. */
export interface Joint {
  readonly send: Protector | undefined;
  readonly receive: Protector | undefined;
  /** Octets of the longest message the peer takes. */
  readonly peerMax: number;
  readonly transmit: (packet: Uint8Array) => void;
}

/** `secrets`: of the handshake; none in mode none. */
export const jointOf = (secrets: Secrets | undefined, transmit: (packet: Uint8Array) => void): Joint => ({
  send: secrets?.send,
  receive: secrets?.receive,
  peerMax: secrets?.params?.maxMessage ?? Number.POSITIVE_INFINITY,
  transmit,
});

const TOKEN_SIZE = 8;
const NOTHING = new Uint8Array(0);

const NEVER_SENT: Verdict = {
  kind: 'fault',
  fault: packetFault('SEQUENCE_ID', 'an ACK of a number that was never sent'),
};

/** Section 5.1, from the receiver's side. */
const TOO_FAR: Verdict = {
  kind: 'fault',
  fault: packetFault('SEQUENCE_ID', 'a number too far from one that has no ACK'),
};

/** Section 5.4. */
const IN_VAIN: Verdict = { kind: 'fault', fault: packetFault('DISCONNECT', 'ten transmissions of a message in vain') };

/** Section 4: on datagrams a PING is repeated once. */
const REPEAT_MS = 3000;

/** Section 3.4: no number near the end of the number space is used but for the farewell. */
export const USED_UP: Verdict = { kind: 'fault', fault: packetFault('DISCONNECT', 'the packet numbers are used up') };

export class Conversation {
  readonly #settings: SessionSettings;
  readonly #counters: SessionCounters;
  readonly #sink: () => SessionSink;
  readonly #heartbeat: Heartbeat;
  readonly #debts = new AckDebts();
  readonly #outbound: Outbound;
  /** Datagram only. */
  readonly #retransmission: Retransmission | undefined;
  #inbound: Receiver;
  #connected = false;
  /** Of the call under way. */
  #now = 0;
  #transmit: Joint['transmit'] | undefined;
  /** A PONG that could not be given a number yet: the newest is enough. */
  #pong: Uint8Array | undefined;
  readonly #acknowledged = (number: number): void => {
    this.#retransmission?.acknowledged(number, this.#now);
    this.#sink().acknowledged(number);
  };
  readonly #payOne = (id: number, bits: number): boolean => this.#outbound.sendAck(id, bits);

  constructor(
    settings: SessionSettings,
    counters: SessionCounters,
    firstSend: number,
    sink: () => SessionSink,
    profile: 'stream' | 'datagram' = 'stream',
  ) {
    this.#settings = settings;
    this.#counters = counters;
    this.#sink = sink;
    const again = profile === 'datagram' ? new Retransmission() : undefined;
    this.#retransmission = again;
    this.#heartbeat = new Heartbeat(settings, again && REPEAT_MS);
    const recorder = again && {
      record: (number: number, packet: Uint8Array) => again.record(number, packet, this.#now),
      mayFragment: () => again.fragmented < settings.maxReassemblies,
    };
    this.#outbound = new Outbound(settings, counters, firstSend, recorder);
    this.#inbound = this.#newInbound(0);
  }

  get rtt(): number | undefined {
    return this.#heartbeat.rtt;
  }

  get unacknowledged(): { readonly messages: number; readonly bytes: number } {
    return this.#outbound.unacknowledged;
  }

  get isExhausted(): boolean {
    return this.#outbound.isExhausted;
  }

  /** A fresh session's numbers. What an older one had not delivered is handed back. */
  restart(firstSend: number): Undelivered[] {
    this.#inbound.flush();
    return this.#outbound.restart(firstSend);
  }

  /** A fresh session has a connection; messages that waited for it leave now. */
  begin(joint: Joint, firstReceive: number, now: number): void {
    this.#inbound = this.#newInbound(firstReceive);
    this.#connect(joint, now);
    this.#outbound.sendAll();
  }

  /** Section 5.5: our half of what both ends tell. */
  state(): Uint8Array {
    return writeResumeState(this.#inbound.accepted, this.#outbound.next);
  }

  /** The peer's half; undefined: it contradicts ours. */
  judgeState(bytes: Uint8Array): ResumeState | undefined {
    const state = parseResumeState(bytes);
    if (state === undefined) return undefined;
    const fits = state.nextReceive <= this.#outbound.next && state.nextSend >= this.#inbound.accepted.next;
    return fits && state.nextSend <= 2 ** 32 ? state : undefined;
  }

  /** The peer has used the keys of this connection as those of the session. */
  get isProven(): boolean {
    return this.#inbound.isProven;
  }

  /** Section 5.5 (1) to (3), in their order. `early`: as the receiving half is told. Returns the numbers the peer turned out to have. */
  resume(joint: Joint, state: ResumeState, early: number, now: number): number[] {
    const acknowledged = this.#outbound.acknowledgedBy(state);
    this.#inbound.resume(state, early);
    this.#connect(joint, now);
    this.#outbound.sendAll();
    return acknowledged;
  }

  /** The connection is gone. ACKs that were owed are told by the window, if ever. */
  cut(): void {
    this.#connected = false;
    this.#debts.clear();
    this.#pong = undefined;
    this.#retransmission?.clear();
    this.#inbound.disconnect();
    this.#outbound.disconnect();
  }

  send(data: Uint8Array, options: SendOptions, now: number): SendResult {
    this.#now = now;
    return this.#outbound.send(data, options);
  }

  /** False: one is under way, or there is no number for it. */
  ping(now: number): boolean {
    if (!this.#connected || this.#heartbeat.isWaiting(now)) return false;
    const token = this.#settings.suite.random(TOKEN_SIZE);
    if (!this.#outbound.sendHeartbeat(HEARTBEAT.ping, token)) return false;
    this.#heartbeat.asked(token, now);
    return true;
  }

  sendError(code: PacketCode, said?: string): boolean {
    return this.#outbound.sendError(code, said);
  }

  takeRoom(): boolean {
    return this.#outbound.takeRoom();
  }

  /** All ACKs at once: nothing more will be said. */
  payDebts(): void {
    this.#debts.pay(this.#inbound.accepted, this.#payOne);
  }

  /** Section 7: messages that were acknowledged and waited for their turn, and then those of ours that were not. */
  finish(): Undelivered[] {
    this.#inbound.flush();
    return this.#outbound.restart(this.#outbound.next);
  }

  /** One packet. */
  receive(bytes: Uint8Array, now: number): Verdict | undefined {
    this.#now = now;
    const inbound = this.#inbound;
    const fault = inbound.take(bytes, now);
    if (fault !== undefined) return { kind: 'fault', fault };
    const { packet, number, data } = inbound;
    if (inbound.repeated >= 0) this.#answerAgain(inbound.repeated, now);
    if (packet === undefined) return undefined;
    // Nothing of what came in is kept alive.
    inbound.forget();
    this.#heartbeat.heard(now);
    if (data === undefined) return undefined;
    switch (packet.type) {
      case TYPE.default:
        // Owed before it is delivered: the receiver may answer, or end the session.
        if (inbound.accepted.has(number) && !this.#owe(number, now)) return TOO_FAR;
        inbound.deliver(packet, number, data);
        break;
      case TYPE.ack:
        if (!this.#outbound.acknowledge(packet.ackId, packet.ackBits, this.#acknowledged)) return this.#neverSent();
        this.#afterAck();
        break;
      case TYPE.heartbeat:
        if (packet.heartbeat === HEARTBEAT.pong) this.#answered(data, now);
        else return this.#asked(data, now);
        break;
      default:
        return this.#ended(faultOfError(packet, data));
    }
    if (this.#debts.isUrgent(inbound.accepted.next)) this.payDebts();
    return this.#outbound.isExhausted ? USED_UP : undefined;
  }

  /** At our farewell only ACKs matter. */
  receiveLast(bytes: Uint8Array, now: number): Verdict | undefined {
    this.#now = now;
    const fault = this.#inbound.take(bytes, now);
    if (fault !== undefined) return { kind: 'fault', fault };
    const { packet, data } = this.#inbound;
    this.#inbound.forget();
    if (packet?.type === TYPE.error) return { kind: 'error', fault: faultOfError(packet, data ?? NOTHING) };
    if (packet?.type === TYPE.ack) this.#outbound.acknowledge(packet.ackId, packet.ackBits, this.#acknowledged);
    else this.#counters.droppedAfterEnd += 1;
    return undefined;
  }

  deadline(): number {
    if (!this.#connected) return Number.POSITIVE_INFINITY;
    const due = Math.min(this.#debts.due, this.#heartbeat.deadline(), this.#inbound.deadline());
    return this.#retransmission === undefined ? due : Math.min(due, this.#retransmission.deadline());
  }

  tick(now: number): Verdict | undefined {
    if (!this.#connected) return undefined;
    this.#now = now;
    if (now >= this.#debts.due) this.payDebts();
    if (this.#retransmission?.tick(now, this.#sendAgain) === false) return IN_VAIN;
    const fault = this.#inbound.tick(now);
    if (fault !== undefined) return { kind: 'fault', fault };
    const state = this.#heartbeat.judge(now);
    if (state === 'dead') return { kind: 'silent' };
    if (state === 'ask') this.#ask(now);
    else if (state === 'repeat') this.#outbound.sendHeartbeat(HEARTBEAT.ping, this.#heartbeat.repeated() ?? NOTHING);
    return undefined;
  }

  #newInbound(first: number): Receiver {
    const Half = this.#retransmission === undefined ? Inbound : DatagramInbound;
    return new Half(this.#settings, this.#counters, first, (data, reliable, number, owned) =>
      this.#sink().message(data, reliable, number, owned),
    );
  }

  #connect({ send, receive, peerMax, transmit }: Joint, now: number): void {
    this.#connected = true;
    this.#now = now;
    this.#transmit = transmit;
    this.#heartbeat.start(now);
    this.#inbound.connect(receive, now);
    this.#outbound.connect(send, peerMax, transmit);
  }

  /** Without a number for the PING it waits for an answer all the same: a peer that acknowledges nothing is as good as gone. */
  #ask(now: number): void {
    const token = this.#settings.suite.random(TOKEN_SIZE);
    this.#heartbeat.asked(token, now);
    this.#outbound.sendHeartbeat(HEARTBEAT.ping, token);
  }

  /** On datagrams a number may be owed once more although its first ACK arrived, so there the distance proves nothing. */
  #owe(number: number, now: number): boolean {
    return this.#debts.owe(number, now, this.#settings.ackDelay) || this.#retransmission !== undefined;
  }

  /** A client that has not seen CONFIRM can mean to leave; of everything else its handshake is the reason. */
  #ended(fault: PacketFault): Verdict {
    const lost = this.#inbound.early && PACKET_CODES[fault.code].major !== 2;
    return { kind: lost ? 'lost' : 'error', fault };
  }

  /** Section 5.3: a RELIABLE packet came twice, so its ACK was lost. */
  #answerAgain(number: number, now: number): void {
    if (!this.#outbound.sendAck(number, this.#inbound.accepted.ackBits(number))) this.#debts.owe(number, now, 0);
  }

  /** An ACK that nobody sealed may have been changed on its way. */
  #neverSent(): Verdict | undefined {
    if (this.#retransmission === undefined || this.#settings.mode === 'required') return NEVER_SENT;
    this.#counters.droppedAck += 1;
    return undefined;
  }

  readonly #sendAgain = (_number: number, packets: readonly Uint8Array[]): void => {
    this.#counters.retransmissions += 1;
    for (const packet of packets) this.#transmit?.(packet);
  };

  #asked(token: Uint8Array, now: number): Verdict | undefined {
    this.#counters.pingsIn += 1;
    if (this.#heartbeat.isFlood(now)) return { kind: 'fault', fault: packetFault('DISCONNECT', 'a flood of PINGs') };
    if (!this.#outbound.sendHeartbeat(HEARTBEAT.pong, token)) this.#pong = new Uint8Array(token);
    return undefined;
  }

  #answered(token: Uint8Array, now: number): void {
    this.#counters.pongsIn += 1;
    const rtt = this.#heartbeat.answered(token, now);
    if (rtt === undefined) this.#counters.droppedPong += 1;
    else this.#sink().heartbeat(rtt);
  }

  /** What section 5.1 held back may leave now. */
  #afterAck(): void {
    if (this.#debts.stuck) this.payDebts();
    const pong = this.#pong;
    if (pong !== undefined && this.#outbound.sendHeartbeat(HEARTBEAT.pong, pong)) this.#pong = undefined;
    if (this.#outbound.takeRoom()) this.#sink().room();
  }
}
