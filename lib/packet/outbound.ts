// The sending half of an open session on a stream: takes messages, gives them numbers, keeps the RELIABLE ones until they are acknowledged,
// and writes every packet that leaves. Between connections it still takes RELIABLE messages, which leave with the next one. Knows no
// clock. PROTOCOL.md sections 3, 5.1, 5.3 and 5.5.
import { readAck } from './acks.js';
import { PACKET_CODES, type PacketCode } from './codes.js';
import type { SessionCounters } from './counters.js';
import { MAX_TEXT } from './error-packet.js';
import { Ledger, type LedgerEntry, RESERVE } from './ledger.js';
import { Encoder } from './pipeline.js';
import type { Protector } from './protect.js';
import type { ResumeState } from './resume-state.js';
import type { SendOptions, SendResult, Undelivered } from './session-types.js';
import type { SessionSettings } from './settings.js';
import { FLAG, LAST_NUMBER, MAX_DATA, TAG, TYPE } from './wire.js';

type Transmit = (packet: Uint8Array) => void;

/** Datagram: what leaves may have to leave again. */
export interface Recorder {
  /** A packet of a RELIABLE message, before it leaves for the first time. */
  record(number: number, packet: Uint8Array): void;
  /** Whether the peer can put together one more message. */
  mayFragment(): boolean;
}

export class Outbound {
  /** The number of the next new packet. */
  next: number;
  readonly #settings: SessionSettings;
  readonly #counters: SessionCounters;
  readonly #ledger: Ledger;
  readonly #encoder: Encoder;
  readonly #recorder: Recorder | undefined;
  /** Undefined: no connection. */
  #transmit: Transmit | undefined;
  /** Section 6.5: what the peer takes. */
  #peerMax = Number.POSITIVE_INFINITY;
  /** Octets of the message that found no room; -1: none did. */
  #refused = -1;

  constructor(settings: SessionSettings, counters: SessionCounters, first: number, recorder?: Recorder) {
    this.#settings = settings;
    this.#recorder = recorder;
    this.#counters = counters;
    this.#ledger = new Ledger(settings.maxUnacked, settings.maxUnackedBytes);
    this.#encoder = new Encoder(settings.suite, settings.mode === 'required');
    this.next = first;
  }

  get unacknowledged(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#ledger.size, bytes: this.#ledger.bytes };
  }

  /** Section 3.4: the next number must not seal anything but the farewell. */
  get isExhausted(): boolean {
    return this.#settings.mode === 'required' && this.next >= LAST_NUMBER;
  }

  connect(protector: Protector | undefined, peerMax: number, transmit: Transmit): void {
    this.#encoder.rekey(protector);
    this.#peerMax = peerMax;
    this.#transmit = transmit;
  }

  disconnect(): void {
    this.#encoder.rekey(undefined);
    this.#transmit = undefined;
  }

  /** The numbers begin afresh. What was not acknowledged is handed back. */
  restart(first: number): Undelivered[] {
    this.next = first;
    const undelivered = this.#ledger.takeUndelivered();
    this.#counters.undelivered += undelivered.length;
    return undelivered;
  }

  send(data: Uint8Array, { reliable, checksum, compress, transfer }: SendOptions): SendResult {
    const size = data.length;
    const keep = reliable === true;
    if (size > this.#settings.maxMessage || size > this.#peerMax || (keep && !this.#ledger.fits(size)))
      return this.#large();
    // Section 5.1: also on a stream, where a resume has to tell of it in a window.
    const room = keep ? this.#hasRoom(size) : this.#transmit !== undefined;
    if (!room || !this.#ledger.mayUse(this.next, RESERVE.message)) return this.#full(keep ? size : 0);
    const flags =
      (keep ? FLAG.reliable : 0) | (checksum === true ? FLAG.checksum : 0) | (compress === true ? FLAG.compressed : 0);
    if (!this.#encoder.prepare(data, flags)) return this.#large();
    const number = this.next;
    this.next += 1;
    this.#counters.messagesOut += 1;
    const transmit = this.#transmit;
    if (keep) {
      this.#counters.reliableOut += 1;
      const kept = transfer === true ? data : this.#ledger.copy(data);
      this.#ledger.add({ number, data: kept, flags, sent: transmit !== undefined });
    }
    if (transmit !== undefined) this.#write(number, keep, transmit);
    return number;
  }

  /** Section 5.5: the numbers the peer says it has. */
  acknowledgedBy(state: ResumeState): number[] {
    const numbers: number[] = [];
    for (const { number } of this.#ledger.entries()) if (state.has(number)) numbers.push(number);
    for (const number of numbers) this.#ledger.acknowledge(number);
    this.#counters.acknowledged += numbers.length;
    return numbers;
  }

  /** Section 5.5 (3): all that is unacknowledged, ascending, under the keys of this connection. */
  sendAll(): void {
    const transmit = this.#transmit;
    if (transmit === undefined) return;
    for (const entry of this.#ledger.entries()) this.#sendAgain(entry, transmit);
  }

  /** An ACK of the peer. False: it covers a number that was never sent. */
  acknowledge(id: number, bits: number, acknowledged: (number: number) => void): boolean {
    this.#counters.acksIn += 1;
    return readAck(id, bits, this.next, (number) => {
      if (this.#ledger.acknowledge(number) === undefined) {
        this.#counters.droppedAck += 1;
        return;
      }
      this.#counters.acknowledged += 1;
      acknowledged(number);
    });
  }

  /** Whether a message was refused that would find room now; asked once. */
  takeRoom(): boolean {
    if (this.#refused < 0 || this.#transmit === undefined) return false;
    if (!this.#hasRoom(this.#refused) || !this.#ledger.mayUse(this.next, RESERVE.message)) return false;
    this.#refused = -1;
    return true;
  }

  /** False: section 5.1 gives it no number now. */
  sendAck(id: number, bits: number): boolean {
    if (!this.#sendOther(RESERVE.answer, { type: TYPE.ack, ackId: id % 0x10000, ackBits: bits })) return false;
    this.#counters.acksOut += 1;
    return true;
  }

  sendHeartbeat(heartbeat: number, data: Uint8Array): boolean {
    if (!this.#sendOther(RESERVE.message, { type: TYPE.heartbeat, heartbeat, data })) return false;
    if (heartbeat === 0) this.#counters.pingsOut += 1;
    else this.#counters.pongsOut += 1;
    return true;
  }

  /** `said`: a word for the peer, from who rides on the session. */
  sendError(code: PacketCode, said?: string): boolean {
    const { major, minor, phrase } = PACKET_CODES[code];
    // Section 7: a log text; ours is fixed, for it must not tell what we know.
    const data = new TextEncoder().encode(said ?? phrase).subarray(0, MAX_TEXT);
    return this.#sendOther(RESERVE.answer, { type: TYPE.error, major, minor, data });
  }

  #sendOther(reserve: number, fields: Parameters<Encoder['writeOther']>[1]): boolean {
    const transmit = this.#transmit;
    if (transmit === undefined || !this.#ledger.mayUse(this.next, reserve)) return false;
    const number = this.next;
    this.next += 1;
    transmit(this.#encoder.writeOther(number, fields));
    return true;
  }

  #sendAgain(entry: LedgerEntry, transmit: Transmit): void {
    if (entry.sent) this.#counters.retransmissions += 1;
    entry.sent = true;
    this.#encoder.prepare(entry.data, entry.flags);
    this.#write(entry.number, true, transmit);
  }

  #write(number: number, keep: boolean, transmit: Transmit): void {
    const recorder = this.#recorder;
    if (recorder === undefined || !keep) {
      this.#encoder.write(number, transmit);
      return;
    }
    this.#encoder.write(number, (packet) => {
      recorder.record(number, packet);
      transmit(packet);
    });
  }

  /** For a RELIABLE message. */
  #hasRoom(size: number): boolean {
    if (!this.#ledger.hasRoom(size)) return false;
    return this.#recorder === undefined || size <= MAX_DATA - TAG || this.#recorder.mayFragment();
  }

  #large(): 'large' {
    this.#counters.large += 1;
    return 'large';
  }

  #full(size: number): 'full' {
    this.#counters.full += 1;
    if (size > this.#refused) this.#refused = size;
    return 'full';
  }
}
