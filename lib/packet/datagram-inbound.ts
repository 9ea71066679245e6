// The receiving half of an open session on datagrams: packets come late, twice, out of order, changed or never. What is wrong before it is
// authentic is dropped and counted; authentic nonsense ends the session; everything else is delivered once, in any order. Sends nothing and
// knows no clock. PROTOCOL.md sections 3.5, 5.1 (datagram rule), 5.2 and 7.
import { type PacketFault, packetFault } from './codes.js';
import type { SessionCounters } from './counters.js';
import { parsePacket } from './header.js';
import { nearest, numberOf } from './number.js';
import type { Packet, ParseContext } from './packet.js';
import { Decoder } from './pipeline.js';
import type { Protector } from './protect.js';
import { Reassembly } from './reassembly.js';
import type { Deliver, Receiver } from './receiver.js';
import type { SessionSettings } from './settings.js';
import { NumberWindow } from './window.js';
import { FLAG, TYPE } from './wire.js';

export class DatagramInbound implements Receiver {
  readonly accepted: NumberWindow;
  packet: Packet | undefined;
  number = 0;
  data: Uint8Array | undefined;
  /** Nothing is resumed. */
  readonly early = false;
  readonly isProven = true;
  repeated = -1;
  readonly #settings: SessionSettings;
  readonly #context: ParseContext;
  readonly #counters: SessionCounters;
  readonly #deliver: Deliver;
  readonly #seen: NumberWindow;
  readonly #decoder: Decoder;
  readonly #reassembly: Reassembly;
  readonly #secured: boolean;
  /** The fragments of a message that is there already all come again: one ACK answers them. */
  #answered = { number: -1, at: Number.NEGATIVE_INFINITY };

  constructor(settings: SessionSettings, counters: SessionCounters, first: number, deliver: Deliver) {
    this.#secured = settings.mode === 'required';
    this.#settings = settings;
    this.#counters = counters;
    this.#deliver = deliver;
    const { maxCertificate } = settings;
    this.#context = { secured: this.#secured, keys: this.#secured, open: true, finished: false, maxCertificate };
    this.#decoder = new Decoder(settings.suite, settings.maxMessage);
    this.#reassembly = new Reassembly(settings);
    this.accepted = new NumberWindow(first);
    this.#seen = new NumberWindow(first);
    // The handshake's own numbers were seen, whatever comes of them now.
    for (let number = 0; number < first; number += 1) this.#seen.add(number);
  }

  connect(protector: Protector | undefined): void {
    this.#decoder.rekey(protector);
  }

  disconnect(): void {
    this.#decoder.rekey(undefined);
    this.#reassembly.clear();
  }

  /** Section 5.5 is for streams. */
  resume(): void {
    throw new TypeError('a datagram session is not resumed');
  }

  take(bytes: Uint8Array, now: number): PacketFault | undefined {
    this.forget();
    this.repeated = -1;
    const packet = parsePacket(bytes, this.#context);
    if ('kind' in packet) {
      this.#counters.droppedUnreadable += 1;
      return undefined;
    }
    const sealed = (packet.flags & FLAG.encrypted) !== 0;
    const { next } = this.#seen;
    const number = sealed ? numberOf(packet.initVector, packet.sequence) : nearest(packet.sequence, next);
    // Section 5.1: older than the window, or seen.
    if (number < next && !this.#isFresh(number, now)) return undefined;
    let { data } = packet;
    const fragment = (packet.flags & FLAG.frag) !== 0;
    if (fragment) {
      const whole = this.#collect(packet, number, now);
      if (whole === undefined) return undefined;
      data = whole;
    }
    const code = this.#decoder.decode(packet, number, data, fragment);
    if (code !== undefined) {
      // What is not sealed may have been changed on its way.
      if (this.#secured && code !== 'INIT_VECTOR') return packetFault(code, `number ${number}`);
      this.#counters[code === 'INIT_VECTOR' ? 'droppedUnopened' : 'droppedUnreadable'] += 1;
      return undefined;
    }
    // Only now is it authentic, and moves the window.
    this.#seen.advance(number + 1);
    this.#seen.add(number);
    this.accepted.advance(number + 1);
    if ((packet.flags & FLAG.reliable) !== 0 && packet.type === TYPE.default) this.accepted.add(number);
    this.packet = packet;
    this.number = number;
    this.data = this.#decoder.message;
    return undefined;
  }

  forget(): void {
    this.packet = undefined;
    this.data = undefined;
  }

  deliver(packet: Packet, number: number, data: Uint8Array): void {
    const reliable = (packet.flags & FLAG.reliable) !== 0;
    this.#counters.messagesIn += 1;
    if (reliable) this.#counters.reliableIn += 1;
    this.#deliver(data, reliable, number, this.#decoder.owned);
  }

  deadline(): number {
    return this.#reassembly.deadline();
  }

  /** Section 3.5: 30 s without progress, and it is forgotten; a RELIABLE one may come again. */
  tick(now: number): undefined {
    while (this.#reassembly.deadline() <= now) {
      const stalest = this.#reassembly.stalest();
      if (stalest === undefined) return;
      this.#reassembly.drop(stalest);
      this.#counters.droppedReassembly += 1;
    }
  }

  /** Nothing waits for anything. */
  flush(): void {
    this.#reassembly.clear();
  }

  #isFresh(number: number, now: number): boolean {
    if (!this.#seen.covers(number)) {
      this.#counters.droppedOld += 1;
      return false;
    }
    if (!this.#seen.has(number)) return true;
    this.#counters.droppedDuplicate += 1;
    if (!this.accepted.has(number)) return false;
    const { number: last, at } = this.#answered;
    if (number !== last || now >= at + this.#settings.ackDelay) {
      this.#answered = { number, at: now };
      this.repeated = number;
    }
    return false;
  }

  /** All Data, when this was the last fragment missing. */
  #collect(packet: Packet, number: number, now: number): Uint8Array | undefined {
    const reassembly = this.#reassembly;
    let why = reassembly.check(number, packet, packet.data.length);
    while (why === 'many' || why === 'large') {
      if (!this.#makeRoom(number, packet.flags)) break;
      why = reassembly.check(number, packet, packet.data.length);
    }
    const repeats = why === undefined ? reassembly.repeats(number, packet.fragmentId, packet.data) : 'other';
    if (repeats !== 'no') {
      this.#counters[repeats === 'same' ? 'droppedDuplicate' : 'droppedFragment'] += 1;
      return undefined;
    }
    return reassembly.add(number, packet, now);
  }

  /**
   * Unreliable messages that miss a fragment never become complete, so they go first, the oldest of them; then, for a RELIABLE one, the
   * RELIABLE group with the highest number. So the lowest always gets on, and nobody waits for ever. False: nothing goes for this one.
   */
  #makeRoom(number: number, flags: number): boolean {
    const all = this.#reassembly.numbers(0);
    const reliable = new Set(this.#reassembly.numbers(FLAG.reliable));
    const unreliable = all.filter((other) => !reliable.has(other) && other !== number);
    let victim = unreliable.length > 0 ? Math.min(...unreliable) : undefined;
    if (victim === undefined && (flags & FLAG.reliable) !== 0) {
      const highest = Math.max(...reliable);
      if (highest > number) victim = highest;
    }
    if (victim === undefined) return false;
    this.#reassembly.drop(victim);
    this.#counters.droppedReassembly += 1;
    return true;
  }
}
