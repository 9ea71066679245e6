// The receiving half of an open session on a stream: one packet in, judged in the order of section 7, and out comes a message in its place,
// a control packet, or the code that ends the session. Keeps which numbers came and what is not complete, across connections. Sends
// nothing and knows no clock. PROTOCOL.md sections 5.1, 5.2 and 7.
import { type PacketCode, type PacketFault, packetFault } from './codes.js';
import type { SessionCounters } from './counters.js';
import { parsePacket } from './header.js';
import { nearest, numberOf, vectorOf } from './number.js';
import { Order } from './order.js';
import type { Packet, ParseContext } from './packet.js';
import { Decoder } from './pipeline.js';
import type { Protector } from './protect.js';
import { Reassembly } from './reassembly.js';
import type { Deliver, Receiver } from './receiver.js';
import type { ResumeState } from './resume-state.js';
import type { SessionSettings } from './settings.js';
import { NumberWindow, WINDOW } from './window.js';
import { FLAG, TYPE } from './wire.js';
import { headerSize } from './write.js';

export class Inbound implements Receiver {
  /** Its `next` is the number a new packet must have. */
  readonly accepted: NumberWindow;
  packet: Packet | undefined;
  number = 0;
  data: Uint8Array | undefined;
  early = false;
  /** Never: a repetition ends the session. */
  readonly repeated = -1;
  readonly #settings: SessionSettings;
  readonly #context: ParseContext;
  readonly #decoder: Decoder;
  readonly #reassembly: Reassembly;
  readonly #order: Order;
  readonly #deliver: Deliver;
  readonly #counters: SessionCounters;
  /** One above the highest number of which something was opened: only that is certainly the peer's. */
  #opened: number;
  /** Numbers below it may come again with this connection: it is the `next` with which the connection began. */
  #resumedAt = 0;
  /** Until something is opened after a resume: the number of an ERROR by which the peer may say that its handshake failed. */
  #early = -1;
  /** When the groups that lost their connection began to wait for their retransmission. */
  #cutAt = Number.POSITIVE_INFINITY;

  constructor(settings: SessionSettings, counters: SessionCounters, first: number, deliver: Deliver) {
    const secured = settings.mode === 'required';
    this.#settings = settings;
    this.#counters = counters;
    // An ACK with RELIABLE is the client's FINISHED, so none may come here.
    this.#context = { secured, keys: secured, open: true, finished: false, maxCertificate: settings.maxCertificate };
    this.#decoder = new Decoder(settings.suite, settings.maxMessage);
    this.#reassembly = new Reassembly(settings);
    this.#deliver = deliver;
    this.#order = new Order(settings.maxReassemblyBytes + settings.maxMessage, (data, number, owned) =>
      this.#report(data, true, number, owned),
    );
    this.accepted = new NumberWindow(first);
    this.#opened = first;
  }

  get isProven(): boolean {
    return this.#early < 0;
  }

  connect(protector: Protector | undefined, now: number): void {
    this.#decoder.rekey(protector);
    this.#cutAt = this.#order.open > 0 ? now : Number.POSITIVE_INFINITY;
  }

  /**
   * Section 5.5: the octets of half-received groups are forgotten. That they were open is not, if something behind them was opened; else
   * even their numbers may be somebody else's invention.
   */
  disconnect(): void {
    this.#decoder.rekey(undefined);
    this.#reassembly.clear();
    this.accepted.retreat(this.#opened);
    this.#order.forget(this.#opened);
    this.#cutAt = Number.POSITIVE_INFINITY;
  }

  /** Section 5.5 (2): what the peer sent and we never saw is either sent again or was never to arrive. */
  resume(state: ResumeState, early: number): void {
    this.accepted.advance(state.nextSend);
    this.#opened = state.nextSend;
    this.#resumedAt = state.nextSend;
    this.#early = early;
  }

  take(bytes: Uint8Array, now: number): PacketFault | undefined {
    const packet = parsePacket(bytes, this.#context);
    if ('kind' in packet) return this.#sooner(bytes, packet);
    const sealed = (packet.flags & FLAG.encrypted) !== 0;
    const { next } = this.accepted;
    const number = sealed ? numberOf(packet.initVector, packet.sequence) : nearest(packet.sequence, next);
    const fragment = (packet.flags & FLAG.frag) !== 0;
    const further = fragment && this.#reassembly.has(number);
    let { data } = packet;
    if (fragment) {
      // Steps 6 and 7. On a stream nothing comes twice.
      const why = this.#reassembly.check(number, packet, data.length);
      if (why !== undefined) return packetFault('FRAGMENT_NUMBER', `a fragment of ${number}: ${why}`);
      if (further && this.#reassembly.repeats(number, packet.fragmentId, data) !== 'no') {
        return packetFault('FRAGMENT_ID', `Fragment ID ${packet.fragmentId} of ${number} again`);
      }
    }
    // Steps 10 and 11; section 5.1.
    const early = packet.type === TYPE.error && number === this.#early;
    if (!early && !further && number !== next && !this.#isRetransmission(packet, number)) {
      const code = sealed && packet.initVector !== vectorOf(next) ? 'INIT_VECTOR' : 'SEQUENCE_ID';
      return packetFault(code, `number ${number} instead of ${next}`);
    }
    this.packet = packet;
    this.number = number;
    this.data = undefined;
    const reliable = (packet.flags & FLAG.reliable) !== 0;
    if (fragment) {
      if (number === next) this.accepted.advance(number + 1);
      if (reliable) this.#order.begin(number);
      const whole = this.#reassembly.add(number, packet, now);
      if (whole === undefined) return undefined;
      data = whole;
    }
    // Steps 12 to 14.
    const code = this.#decoder.decode(packet, number, data, fragment);
    if (code !== undefined) return packetFault(code, `number ${number}`);
    this.early = early;
    this.#early = -1;
    if (number === next) this.accepted.advance(number + 1);
    // A number of its handshake is none of the session.
    if (!early && number >= this.#opened) this.#opened = number + 1;
    const { message } = this.#decoder;
    if (reliable && packet.type === TYPE.default) {
      if (!this.#order.hasRoom(number, message.length))
        return packetFault('FRAGMENT_NUMBER', 'too much waits for a group');
      this.accepted.add(number);
    }
    this.data = message;
    return undefined;
  }

  forget(): void {
    this.packet = undefined;
    this.data = undefined;
  }

  deliver(packet: Packet, number: number, data: Uint8Array): void {
    if ((packet.flags & FLAG.reliable) !== 0) this.#order.complete(number, data, this.#decoder.owned);
    else this.#report(data, false, number, this.#decoder.owned);
  }

  /** When a group has waited too long. */
  deadline(): number {
    return Math.min(this.#reassembly.deadline(), this.#cutAt + this.#settings.reassemblyTimeout);
  }

  /** Section 3.5: 30 s without progress. */
  tick(now: number): PacketFault | undefined {
    if (now < this.deadline()) return undefined;
    // A group that is being sent again has its own time.
    if (this.#reassembly.deadline() > now && !this.#isCut()) {
      this.#cutAt = Number.POSITIVE_INFINITY;
      return undefined;
    }
    return packetFault('FRAGMENT_NUMBER', 'a message did not become complete in time');
  }

  /** The session is over: messages that were acknowledged and waited for their turn have it now. */
  flush(): void {
    this.#order.flush();
  }

  #report(data: Uint8Array, reliable: boolean, number: number, owned: boolean): void {
    this.#counters.messagesIn += 1;
    if (reliable) this.#counters.reliableIn += 1;
    this.#deliver(data, reliable, number, owned);
  }

  /** Section 5.1 (b): an earlier connection lost it, and nothing after it was delivered. */
  #isRetransmission(packet: Packet, number: number): boolean {
    return (
      (packet.flags & FLAG.reliable) !== 0 &&
      packet.type === TYPE.default &&
      number < this.#resumedAt &&
      number >= this.accepted.next - WINDOW &&
      number > this.#order.last &&
      !this.accepted.has(number)
    );
  }

  #isCut(): boolean {
    return this.#order.open > this.#reassembly.numbers(FLAG.reliable).length;
  }

  /**
   * A packet that breaks step 7 or 8 by itself may break step 6 or 7 against its group, which comes first. Only on the way to the end of
   * the session, so it reads the header a second time.
   */
  #sooner(bytes: Uint8Array, fault: PacketFault): PacketFault {
    const flags = bytes[1] ?? 0;
    if ((flags & FLAG.frag) === 0 || !LATER.has(fault.code) || bytes.length < headerSize(flags)) return fault;
    const u16 = (at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    const sealed = (flags & FLAG.encrypted) !== 0;
    const number = sealed ? numberOf(u16(6), u16(2)) : nearest(u16(2), this.accepted.next);
    const checksum = (flags & FLAG.checksum) === 0 ? 0 : u16(sealed ? 8 : 6);
    const head = { type: TYPE.default, flags, fragmentCount: bytes[5] as number, checksum };
    const why = this.#reassembly.check(number, head, 0);
    if (why !== undefined) return packetFault('FRAGMENT_NUMBER', `a fragment of ${number}: ${why}`);
    const id = bytes[4] as number;
    if (this.#reassembly.repeats(number, id, NOTHING) === 'no') return fault;
    return packetFault('FRAGMENT_ID', `Fragment ID ${id} of ${number} again`);
  }
}

const NOTHING = new Uint8Array(0);

/** The codes of steps 7 and 8; 3.0 is that of steps 1 and 5 as well, but then the header is cut off. */
const LATER: ReadonlySet<PacketCode> = new Set(['FRAGMENT_ID', 'PACKET']);
