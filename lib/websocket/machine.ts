// One side of an open WebSocket as a machine: bytes, ticks and commands in; messages to a sink and bytes to an outbox out.
// Owns no socket, no clock, no timer and no randomness, and never throws for what a peer sent.
// Four kinds of methods: read (state, deadline), feed (receive, tick), command (send, ping, close, fail), drain (outbox).
// RFC 6455 sections 5, 6, 7; RFC 7692 section 6. The opening handshake is in opening-*.ts; the first byte after it comes here.
import { endLoan, lend } from '../bytes/loans.js';
import { isUtf8 } from '../bytes/utf8.js';
import { closeCodeOf, type Fault, type FaultCode, fault, phraseOf } from '../fault.js';
import { type CloseBody, parseClose, writeClose } from '../frame/close.js';
import { type FrameHeader, parseHeader } from '../frame/header.js';
import { isAsciiSum, mask } from '../frame/mask.js';
import { isControl, OPCODE } from '../frame/opcode.js';
import { checkHeader } from '../frame/rules.js';
import type { Codec } from './codec.js';
import { Incoming } from './incoming.js';
import { Liveness } from './liveness.js';
import { Outbox } from './outbox.js';
import { Sender } from './sender.js';
import type { ConnectionSettings } from './settings.js';
import { readWhole, whole } from './whole.js';

/** How the bytes of a message are to be read. */
export const KIND = { binary: 0, text: 1, ascii: 2 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Where a machine tells what happened. Bytes are the machine's until the call returns, unless `owned`. */
export interface Sink {
  message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): void;
  pinged(payload: Uint8Array): void;
  ponged(payload: Uint8Array): void;
  /** Much was inflated in one go: others should have their turn before this goes on. */
  tired?(): void;
  /** The peer's Close frame. */
  closing(body: CloseBody): void;
  /** The peer broke a rule or a limit; the Close frame that says so is already in the outbox. */
  broken(fault: Fault): void;
}

/**
 * open → closing (our Close is out) → closed (both are out), or open → closed when the peer began; failed: we sent Close because of a
 * fault and read no further.
 */
export type State = 'open' | 'closing' | 'closed' | 'failed';

/** No string can be longer in the engine; a text above it is too big before it is decoded. */
const LONGEST_STRING = 0x1fffffe8;
/** What takes about 5 ms to inflate: a chunk of a few KiB can ask for a second's work. */
const MUCH = 4 * 1024 * 1024;
/**
 * What does not compress grows, and what counts is its size inflated: an eighth allows letters of 9 bits, the longest of the fixed codes,
 * and stored blocks of 40 octets with their 5 each (RFC 1951 sections 3.2.4 and 3.2.6; zlib's are never smaller than 127). The first and
 * last blocks of a short message have room besides.
 */
const GROWTH = 64;
const NOTHING = Buffer.alloc(0);

export class Machine {
  readonly outbox: Outbox = new Outbox();
  readonly sender: Sender;
  readonly liveness: Liveness;
  readonly role: 'server' | 'client';
  readonly settings: ConnectionSettings;
  readonly #sink: Sink;
  readonly codec: Codec | undefined;
  #state: State = 'open';
  #held = false;
  #rest: Buffer = NOTHING; // bytes that wait for more: the start of a frame header, or all that came while held
  #incoming: Incoming | undefined;

  constructor(
    role: 'server' | 'client',
    settings: ConnectionSettings,
    sink: Sink,
    codec: Codec | undefined,
    entropy: () => number,
    now: number,
  ) {
    this.role = role;
    this.settings = settings;
    this.#sink = sink;
    this.codec = codec;
    this.sender = new Sender(this.outbox, codec, settings, role === 'client' ? entropy : undefined);
    this.liveness = new Liveness(settings, now);
  }

  get state(): State {
    return this.#state;
  }

  /** Bytes of a message and of unread chunks held in memory. */
  get holding(): number {
    return this.#rest.length + (this.#incoming?.assembly.size ?? 0);
  }

  // ---- feed

  /** Reads a chunk. The chunk is unmasked in place and is the caller's again when the call returns. */
  receive(chunk: Buffer, now: number): void {
    if (this.#state === 'failed' || this.#state === 'closed') return; // section 7.1.1: what follows is discarded
    this.liveness.heard(now);
    const own = this.#rest.length > 0;
    const bytes = own ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = NOTHING;
    this.#read(bytes, own, now);
  }

  /** Whether what arrives is still looked at. */
  get reads(): boolean {
    return this.#state === 'open' || this.#state === 'closing';
  }

  /** Bytes wait that were read before the hold. */
  get unread(): boolean {
    return this.#held && this.#rest.length > 0;
  }

  /** While held nothing more is read; the bytes at hand wait. */
  hold(): void {
    this.#held = true;
  }

  /** Goes on with what waited. */
  release(now: number): void {
    this.#held = false;
    if (this.#rest.length === 0 || this.#state === 'failed' || this.#state === 'closed') return;
    const bytes = this.#rest;
    this.#rest = NOTHING;
    this.#read(bytes, true, now);
  }

  tick(now: number): void {
    if (this.#state === 'failed' || this.#state === 'closed') return;
    const verdict = this.liveness.tick(now, this.#state === 'open', this.#held);
    if (verdict === 'ping') this.sender.control(OPCODE.ping, NOTHING);
    else if (verdict !== undefined) this.fail(fault(verdict), now);
  }

  // ---- commands

  /** Section 7.1.2: starts the closing handshake. False when it was started already. */
  close(body: Uint8Array, now: number, within: number = this.settings.closeTimeout): boolean {
    if (this.#state !== 'open') return false;
    this.#state = 'closing';
    this.sender.close(body);
    this.liveness.closing(now, within);
    return true;
  }

  /** Section 7.1.7: fails the connection: a Close frame that says why, and nothing is read after it. */
  fail(what: Fault, now: number): void {
    if (this.#state === 'failed' || this.#state === 'closed') return;
    const code = closeCodeOf(what.code);
    if (this.#state === 'open' && code !== 1006) this.sender.close(writeClose(code, phraseOf(what.code)));
    this.#state = 'failed';
    this.liveness.closing(now);
    this.#forget();
    this.#sink.broken(what);
  }

  /** The socket is gone: lets go of everything. */
  end(): void {
    if (this.#state !== 'failed') this.#state = 'closed';
    this.#forget();
    this.outbox.clear();
    this.codec?.close();
  }

  // ---- reading

  /** `own`: the bytes are ours to keep, not the driver's. */
  #read(bytes: Buffer, own: boolean, now: number): void {
    const end = bytes.length;
    const masked = this.role === 'server';
    if (this.#incoming !== undefined) this.#incoming.inflated = 0;
    let at = 0;
    while (at < end && !this.#held && (this.#state === 'open' || this.#state === 'closing')) {
      const incoming = this.#incoming;
      if (incoming !== undefined && incoming.left > 0) {
        at = this.#readBody(incoming, bytes, at, end, now);
        continue;
      }
      const between = incoming === undefined || incoming.opcode === 0;
      const next = between ? readWhole(bytes, at, end, masked, this.settings.maxMessage) : 0;
      if (next > 0) {
        at = next;
        this.#deliverWhole(bytes, now);
        continue;
      }
      const h = parseHeader(bytes, at, end);
      if (h === undefined) break;
      const broken = this.#judge(h);
      if (broken !== undefined) return this.fail(fault(broken), now);
      if (isControl(h.opcode)) {
        if (end - at - h.size < h.length) break; // at most 125 octets: wait for all of them
        const payload = Buffer.from(bytes.subarray(at + h.size, at + h.size + h.length));
        if (h.masked) mask(payload, h.maskKey);
        at += h.size + h.length;
        if (this.#counted(now)) this.#readControl(h.opcode, payload, now);
      } else {
        at += h.size;
        this.#beginFrame(h, now);
      }
    }
    if (at < end && (this.#state === 'open' || this.#state === 'closing')) {
      this.#rest = own ? bytes.subarray(at) : Buffer.from(bytes.subarray(at));
    }
  }

  /** All that can be said against a frame before its payload is there, so that nothing is allocated for it. */
  #judge(h: FrameHeader): FaultCode | undefined {
    const incoming = this.#incoming;
    const open = incoming !== undefined && incoming.opcode !== 0;
    const broken = checkHeader(h, { masked: this.role === 'server', open, deflate: this.codec !== undefined });
    if (broken !== undefined) return broken;
    if (isControl(h.opcode)) return undefined;
    const compressed = open ? incoming.compressed : (h.rsv & 4) !== 0;
    const text = (open ? incoming.opcode : h.opcode) === OPCODE.text;
    const size = (open ? incoming.assembly.size : 0) + h.length;
    const limit = text ? Math.min(this.settings.maxMessage, LONGEST_STRING) : this.settings.maxMessage;
    if (size > (compressed ? limit + (limit >>> 3) + GROWTH : limit)) return 'WSD_MESSAGE_SIZE';
    return open && incoming.frames >= this.settings.maxFragments ? 'WSD_MESSAGE_FRAGMENTS' : undefined;
  }

  #counted(now: number): boolean {
    if (this.liveness.count(now)) return true;
    this.fail(fault('WSD_MESSAGE_RATE'), now);
    return false;
  }

  #deliverWhole(bytes: Buffer, now: number): void {
    const { start, end, text } = whole;
    let kind: Kind = KIND.binary;
    if (text) {
      const ascii = whole.sum !== -1 && isAsciiSum(whole.sum);
      if (!ascii && !isUtf8(bytes.subarray(start, end))) return this.fail(fault('WSD_MESSAGE_UTF8'), now);
      kind = ascii ? KIND.ascii : KIND.text;
    }
    if (!this.#counted(now)) return;
    this.liveness.message(now);
    this.#sink.message(bytes, start, end, kind, false);
  }

  #beginFrame(h: FrameHeader, now: number): void {
    this.#incoming ??= new Incoming();
    if (this.#incoming.begin(h)) this.liveness.messageBegan(now);
    if (this.#incoming.whole) this.#finishMessage(this.#incoming, now);
  }

  #readBody(incoming: Incoming, bytes: Buffer, at: number, end: number, now: number): number {
    const stop = at + Math.min(incoming.left, end - at);
    if (!incoming.read(bytes, at, stop, this.role === 'server')) {
      this.fail(fault('WSD_MESSAGE_UTF8'), now);
      return end;
    }
    if (incoming.whole) this.#finishMessage(incoming, now);
    return stop;
  }

  #finishMessage(incoming: Incoming, now: number): void {
    const { assembly, compressed } = incoming;
    const text = incoming.opcode === OPCODE.text;
    const whole = incoming.finish();
    this.liveness.messageEnded();
    if (!whole) return this.fail(fault('WSD_MESSAGE_UTF8'), now);
    if (!this.#counted(now)) return;
    const taken = assembly.take();
    let bytes: Buffer = taken;
    if (compressed) {
      const limit = text ? Math.min(this.settings.maxMessage, LONGEST_STRING) : this.settings.maxMessage;
      const plain = (this.codec as Codec).inflate(bytes, limit);
      if ('kind' in plain) return this.fail(plain, now);
      bytes = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
      if (text && !isUtf8(bytes)) return this.fail(fault('WSD_MESSAGE_UTF8'), now);
    }
    this.liveness.message(now);
    // Its own memory goes to the consumer, unless it is only lent to it or becomes a string.
    const given = !compressed && !this.settings.lend && !(text && this.settings.text === 'string');
    const loan = given ? undefined : lend(taken);
    this.#sink.message(bytes, 0, bytes.length, text ? KIND.text : KIND.binary, given);
    if (loan !== undefined) endLoan(loan);
    if (!compressed) return;
    incoming.inflated += bytes.length;
    if (incoming.inflated > MUCH) this.#sink.tired?.();
  }

  #readControl(opcode: number, payload: Buffer, now: number): void {
    if (opcode === OPCODE.ping) {
      // Section 5.5.2: a Pong MUST answer, with the same application data, unless a Close went out.
      if (this.#state === 'open') this.sender.pong(payload);
      this.#sink.pinged(payload);
    } else if (opcode === OPCODE.pong) this.#sink.ponged(payload);
    else this.#readClose(payload, now);
  }

  #readClose(payload: Buffer, now: number): void {
    const body = parseClose(payload);
    if ('kind' in body) return this.fail(body, now);
    // Section 5.5.1: answer with a Close, typically echoing the code. A reason of theirs is not ours to repeat.
    if (this.#state === 'open') this.sender.close(payload.subarray(0, 2));
    this.#state = 'closed';
    this.liveness.closing(now);
    this.#forget();
    this.#sink.closing(body);
  }

  #forget(): void {
    this.#rest = NOTHING;
    this.#incoming = undefined;
  }
}
