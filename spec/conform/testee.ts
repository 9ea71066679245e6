// An endpoint of memory for the specs of the fuzzer: it echoes by the book, or is wrong in one chosen way. And `play`, which lets a
// case run against it on a virtual clock, without a port and without waiting.
import { Utf8Check } from '../../lib/bytes/utf8.js';
import type { Case, CaseResult } from '../../lib/conform/case.js';
import { CaseRun } from '../../lib/conform/run.js';
import { parseClose } from '../../lib/frame/close.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { type FrameHeader, parseHeader } from '../../lib/frame/header.js';
import { mask } from '../../lib/frame/mask.js';

/** One way to be wrong each. */
export interface Flaws {
  /** Answers text with binary data and the reverse. */
  readonly wrongType?: boolean;
  /** Loses the last byte of every message. */
  readonly shortens?: boolean;
  readonly echoesNothing?: boolean;
  readonly echoesTwice?: boolean;
  /** Never answers a Close. */
  readonly noClose?: boolean;
  /** Answers a Close only after so many ms. */
  readonly lateClose?: number;
  /** As a server: never ends TCP. */
  readonly keepsTcp?: boolean;
  /** Ends TCP without a Close where one is due. */
  readonly noCloseFrame?: boolean;
  /** The code of every Close it sends. */
  readonly closeCode?: number;
  /** Text is not judged. */
  readonly anyText?: boolean;
  /** Text is judged at its end only. */
  readonly lateText?: boolean;
  readonly noPong?: boolean;
  /** Answers pings in the wrong order. */
  readonly pongsReversed?: boolean;
  /** Answers every ping with an empty pong. */
  readonly emptyPong?: boolean;
  /** Reserved bits, opcodes, fragments out of place: all the same to it. */
  readonly careless?: boolean;
  /** Goes on after a Close. */
  readonly livesOn?: boolean;
  /** Masks where it must not, or does not where it must. */
  readonly wrongMask?: boolean;
  /** Sets RSV1 on what it sends. */
  readonly reservedBit?: boolean;
  /** Sends a message as soon as the connection opens. */
  readonly talksFirst?: boolean;
  /** Says goodbye by itself after the first message. */
  readonly closesFirst?: boolean;
  /** Sends text that is not UTF-8. */
  readonly spoilsText?: boolean;
  /** Sends lengths in a longer form than needed. */
  readonly longForm?: boolean;
}

const EMPTY = new Uint8Array(0);

export class Testee {
  readonly #role: 'server' | 'client';
  readonly #flaws: Flaws;
  readonly #utf8 = new Utf8Check();
  #rest: Uint8Array = EMPTY;
  #header: FrameHeader | undefined;
  #got: Uint8Array[] = [];
  #size = 0;
  #message: { readonly opcode: number; readonly parts: Uint8Array[] } | undefined;
  #out: Uint8Array[] = [];
  #pongs: Uint8Array[] = [];
  #closed = false;
  #closeAt = Infinity;
  #closeBody: Uint8Array = EMPTY;
  ended = false;

  constructor(role: 'server' | 'client', flaws: Flaws) {
    this.#role = role;
    this.#flaws = flaws;
    if (flaws.talksFirst === true) this.#send(1, Buffer.from('welcome'));
  }

  take(): Uint8Array[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  deadline(): number {
    return this.#closeAt;
  }

  tick(now: number): void {
    if (now >= this.#closeAt) {
      this.#closeAt = Infinity;
      this.#close(this.#closeBody);
    }
  }

  #send(opcode: number, payload: Uint8Array): void {
    const masked = (this.#role === 'client') !== (this.#flaws.wrongMask === true);
    const rsv = this.#flaws.reservedBit === true ? 4 : 0;
    const frame = encodeFrame({ opcode, rsv, payload, ...(masked ? { maskKey: 0x0badcafe } : {}) });
    if (this.#flaws.longForm === true && payload.length < 126 && !masked) {
      this.#out.push(Buffer.concat([Buffer.from([frame[0] as number, 126, 0, payload.length]), payload]));
    } else this.#out.push(frame);
  }

  #close(body: Uint8Array): void {
    const code = this.#flaws.closeCode;
    if (this.#flaws.noCloseFrame !== true) {
      this.#send(8, code === undefined ? body : Buffer.from([code >> 8, code & 255]));
    }
    this.#closed = true;
    if (this.#flaws.keepsTcp !== true && (this.#role === 'server' || this.#flaws.noCloseFrame === true))
      this.ended = true;
  }

  #fail(code: number): void {
    if (this.#closed) return;
    this.#close(Buffer.from([code >> 8, code & 255]));
  }

  receive(chunk: Uint8Array, now: number): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (!this.ended && (!this.#closed || this.#flaws.livesOn === true)) {
      this.#header ??= parseHeader(bytes);
      const header = this.#header;
      if (header === undefined) break;
      if (this.#size === 0 && this.#got.length === 0) {
        bytes = bytes.subarray(header.size);
        if (this.#flaws.careless !== true && this.#isWrong(header)) {
          this.#fail(1002);
          return;
        }
      }
      const part = new Uint8Array(bytes.subarray(0, header.length - this.#size));
      if (header.masked) mask(part, header.maskKey, 0, part.length, this.#size & 3);
      this.#got.push(part);
      this.#size += part.length;
      bytes = bytes.subarray(part.length);
      if (!this.#judgeText(header, part)) {
        this.#fail(1007);
        return;
      }
      if (this.#size < header.length) break;
      const payload = this.#got.length === 1 ? part : Buffer.concat(this.#got);
      this.#header = undefined;
      this.#got = [];
      this.#size = 0;
      this.#frame(header, payload, now);
    }
    this.#rest = new Uint8Array(bytes);
    if (this.#pongs.length > 0) {
      for (const pong of this.#pongs.reverse()) this.#send(10, pong);
      this.#pongs = [];
    }
  }

  #isWrong(h: FrameHeader): boolean {
    if (h.rsv !== 0 || h.masked !== (this.#role === 'server')) return true;
    if (h.opcode > 7) return h.opcode > 10 || !h.fin || h.length > 125;
    return h.opcode > 2 || (h.opcode === 0) !== (this.#message !== undefined);
  }

  #judgeText(header: FrameHeader, part: Uint8Array): boolean {
    if (this.#flaws.anyText === true || this.#flaws.lateText === true || header.opcode > 2) return true;
    const text = header.opcode === 1 || (header.opcode === 0 && this.#message?.opcode === 1);
    if (!text) return true;
    if (header.opcode === 1 && this.#size === part.length) this.#utf8.reset();
    return this.#utf8.push(part) && (!header.fin || this.#size < header.length || this.#utf8.finish());
  }

  #frame(header: FrameHeader, payload: Uint8Array, now: number): void {
    if (header.opcode === 8) this.#closeFrame(payload, now);
    else if (header.opcode === 9) this.#ping(payload);
    else if (header.opcode < 8) {
      const message =
        header.opcode === 0 && this.#message !== undefined ? this.#message : { opcode: header.opcode, parts: [] };
      message.parts.push(payload);
      this.#message = header.fin ? undefined : message;
      if (header.fin) this.#echo(message.opcode, Buffer.concat(message.parts));
    }
  }

  #ping(payload: Uint8Array): void {
    if (this.#flaws.noPong === true) return;
    if (this.#flaws.pongsReversed === true) this.#pongs.push(payload);
    else this.#send(10, this.#flaws.emptyPong === true ? EMPTY : payload);
  }

  #echo(opcode: number, payload: Uint8Array): void {
    const flaws = this.#flaws;
    if (opcode === 1 && flaws.lateText === true && !(this.#utf8.push(payload) && this.#utf8.finish())) {
      this.#fail(1007);
      return;
    }
    if (flaws.echoesNothing === true) return;
    const type = flaws.wrongType === true ? 3 - opcode : opcode;
    const bytes = flaws.spoilsText === true && opcode === 1 ? Buffer.concat([payload, Buffer.from([0xff])]) : payload;
    this.#send(type, flaws.shortens === true ? bytes.subarray(0, -1) : bytes);
    if (flaws.echoesTwice === true) this.#send(type, bytes);
    if (flaws.closesFirst === true) this.#fail(1000);
  }

  #closeFrame(payload: Uint8Array, now: number): void {
    if (this.#flaws.noClose === true) return;
    const body = parseClose(payload);
    const bad = 'kind' in body && this.#flaws.careless !== true;
    this.#closeBody = bad
      ? Buffer.from([0x03, 'kind' in body && body.code === 'WSD_FRAME_CLOSE_REASON' ? 0xef : 0xea])
      : payload;
    if (this.#flaws.lateClose === undefined) this.#close(this.#closeBody);
    else this.#closeAt = now + this.#flaws.lateClose;
  }
}

/** Runs one case to its end. `testee` is the side under test. Pieces of `cut` bytes arrive at the fuzzer when it is given. */
export const play = (
  test: Case,
  testee: 'server' | 'client',
  flaws: Flaws = {},
  cut: number = Infinity,
): CaseResult => {
  let now = 0;
  let seed = 1;
  const key = (): number => {
    seed = (seed * 48271) >>> 0;
    return seed;
  };
  const run = new CaseRun(test, testee === 'server' ? 'client' : 'server', key);
  const other = new Testee(testee, flaws);
  run.open(now);
  for (let turn = 0; !run.finished; turn++) {
    if (turn > 100_000) throw new Error(`${test.id} does not end`);
    // What is written together arrives together.
    let pending: Uint8Array[] = [];
    const deliver = (): void => {
      if (pending.length > 0) other.receive(Buffer.concat(pending), now);
      pending = [];
    };
    for (const { bytes, chop, alone } of run.takeWrites()) {
      if (chop === 0) pending.push(bytes);
      if (chop === 0 && !alone) continue;
      deliver();
      for (let at = 0; chop > 0 && at < bytes.length; at += chop) other.receive(bytes.subarray(at, at + chop), now);
    }
    deliver();
    const answers = other.take();
    for (const bytes of answers) {
      for (let at = 0; at < bytes.length; at += cut) run.receive(new Uint8Array(bytes.subarray(at, at + cut)), now);
    }
    if (answers.length > 0) continue;
    if (other.ended) run.end(now);
    if (run.finished) break;
    const next = Math.min(run.deadline(), other.deadline());
    if (next === Infinity) throw new Error(`${test.id} waits for nothing`);
    now = Math.max(now, next);
    other.tick(now);
    run.tick(now);
  }
  return run.result(now);
};
