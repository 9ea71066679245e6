// The fuzzer as a strict endpoint of RFC 6455: bytes from the testee → messages and pongs, and a Close of its own for whatever is
// wrong. Owns no socket and no timer; `now` comes with every call. Written apart from lib/websocket, which it is there to judge.
// Sections 5 (frames), 5.5.1 and 7 (closing), 8.1 (text); RFC 7692 section 6 through the codec.
import { Utf8Check } from '../bytes/utf8.js';
import { type FrameHeader, parseHeader } from '../frame/header.js';
import { mask } from '../frame/mask.js';
import type { Codec } from './codec.js';
import { Outbox, type RawFrame, type Write } from './outbox.js';
import { judgeCloseBody, judgeFrame } from './strict.js';
import { WireLog } from './wire.js';

/** How long a testee may take to answer a Close, and a server to end TCP after that. */
const REPLY_MS = 1000;
const DROP_MS = 1000;

export interface PeerSink {
  message(binary: boolean, payload: Uint8Array, now: number): void;
  pong(payload: Uint8Array, now: number): void;
}

interface Incoming {
  readonly header: FrameHeader;
  parts: Uint8Array[];
  got: number;
  /** The frame broke a rule and is only read past. */
  readonly skipped: boolean;
}

interface OpenMessage {
  readonly binary: boolean;
  readonly compressed: boolean;
  readonly parts: Uint8Array[];
  length: number;
}

const joined = (parts: readonly Uint8Array[]): Uint8Array =>
  parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);

export class Peer {
  readonly role: 'client' | 'server';
  readonly log: WireLog = new WireLog();
  readonly #outbox: Outbox;
  readonly #sink: PeerSink;
  readonly #codec: Codec | undefined;
  readonly #utf8 = new Utf8Check();
  #rest: Uint8Array | undefined;
  #frame: Incoming | undefined;
  #message: OpenMessage | undefined;
  #replyBy = Infinity;
  #dropBy = Infinity;

  state: 'open' | 'closing' | 'gone' = 'open';
  /** The first Close frame on this connection was ours. */
  closedFirst = false;
  /** Both Close frames were exchanged, and nobody had to be forced. */
  clean = false;
  /** We ended TCP because the testee did not. */
  dropped = false;
  closeSeen = false;
  closeCode: number | undefined;
  /** Why we closed or dropped, as a sentence; undefined when nothing was wrong. */
  complaint: string | undefined;
  /** What the driver should do with TCP once all writes are out. */
  wish: 'keep' | 'end' | 'abort' = 'keep';

  constructor(role: 'client' | 'server', sink: PeerSink, key: () => number, codec?: Codec) {
    this.role = role;
    this.#sink = sink;
    this.#codec = codec;
    this.#outbox = new Outbox(role === 'client' ? key : undefined);
  }

  takeWrites(): Write[] {
    return this.#outbox.take();
  }

  sendFrame(frame: RawFrame, payload: Uint8Array, now: number, chop = 0, alone = false): void {
    if (this.state === 'gone') return;
    this.log.frame('out', frame, payload, payload.length, now);
    this.#outbox.frame(frame, payload, chop, alone);
  }

  sendMessage(binary: boolean, payload: Uint8Array, fragment: number, now: number): void {
    if (this.state === 'gone') return;
    const opcode = binary ? 2 : 1;
    const body = this.#codec === undefined ? payload : this.#codec.compress(payload);
    const rsv = this.#codec === undefined ? 0 : 4;
    // Compressed messages that fit stay whole; a script cuts in any case.
    const size = this.#codec !== undefined && body.length <= fragment ? 0 : fragment;
    this.log.frame('out', { opcode, rsv, fin: size === 0 }, body, size === 0 ? body.length : size, now);
    this.log.skip(this.#outbox.message(opcode, rsv, body, size) - 1);
  }

  sendHeader(frame: RawFrame, length: number, now: number): void {
    if (this.state === 'gone') return;
    this.log.note(`out: the header of a frame of ${length} bytes`, now);
    this.#outbox.header(frame, length);
  }

  sendBytes(payload: Uint8Array, now: number): void {
    if (this.state === 'gone') return;
    this.log.raw('out', 'payload bytes', payload, now);
    this.#outbox.bytes(payload);
  }

  /** A Close frame with exactly this body. From here on we are the ones who closed first. */
  sendClose(body: Uint8Array, now: number): void {
    if (this.state === 'gone') return;
    this.log.frame('out', { opcode: 8, fin: true, rsv: 0 }, body, body.length, now);
    this.#outbox.frame({ opcode: 8, fin: true, rsv: 0 }, body);
    if (this.state === 'closing') return;
    this.state = 'closing';
    this.closedFirst = true;
    this.#replyBy = now + REPLY_MS;
  }

  close(code: number | undefined, reason: string, now: number): void {
    if (this.state !== 'open') return;
    const text = Buffer.from(reason, 'latin1');
    this.sendClose(code === undefined ? text : Buffer.concat([Buffer.from([code >> 8, code & 255]), text]), now);
  }

  /** Section 7.1.7: Close when that is still possible, else the end of TCP. */
  fail(code: number, reason: string, why: string, now: number): void {
    if (this.state === 'gone') return;
    this.complaint ??= why;
    this.log.note(why, now);
    if (this.state === 'open') this.close(code, reason, now);
    else this.#drop('TCP dropped', now);
  }

  /** The testee, or the network, ended TCP. */
  end(now: number): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.log.note('TCP ended by the other side', now);
    if (this.wish === 'keep') this.wish = 'end';
  }

  deadline(): number {
    return this.state === 'gone' ? Infinity : Math.min(this.#replyBy, this.#dropBy);
  }

  tick(now: number): void {
    if (this.state === 'gone') return;
    if (now >= this.#replyBy) {
      this.complaint ??= 'no Close came back within a second';
      this.#drop('no Close came back within a second: TCP dropped', now);
    } else if (now >= this.#dropBy) {
      this.complaint ??= 'the server did not end TCP within a second of the closing handshake';
      this.#drop('TCP was not ended by the server: dropped', now);
    }
  }

  #drop(why: string, now: number): void {
    this.log.note(why, now);
    this.state = 'gone';
    this.clean = false;
    this.dropped = true;
    this.wish = 'abort';
  }

  receive(chunk: Uint8Array, now: number): void {
    let bytes = chunk;
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = undefined;
    }
    let at = 0;
    while (this.state !== 'gone') {
      if (this.#frame === undefined) {
        const header = parseHeader(bytes, at);
        if (header === undefined) {
          if (at < bytes.length) this.#rest = new Uint8Array(bytes.subarray(at));
          return;
        }
        at += header.size;
        this.#begin(header, now);
        if (this.#frame === undefined) return;
      }
      const frame: Incoming = this.#frame;
      const take = Math.min(frame.header.length - frame.got, bytes.length - at);
      if (take > 0) {
        this.#payload(frame, bytes.subarray(at, at + take), now);
        at += take;
      }
      if (frame.got < frame.header.length) return;
      this.#frame = undefined;
      this.#finish(frame, now);
    }
  }

  #begin(header: FrameHeader, now: number): void {
    const wrong = judgeFrame(header, this.role, this.#message !== undefined, this.#codec !== undefined);
    this.#frame = { header, parts: [], got: 0, skipped: wrong !== undefined };
    if (wrong === undefined) {
      if (header.opcode === 1 || header.opcode === 2) {
        this.#message = { binary: header.opcode === 2, compressed: (header.rsv & 4) !== 0, parts: [], length: 0 };
        this.#utf8.reset();
      }
      return;
    }
    this.log.frame('in', header, new Uint8Array(0), header.length, now);
    this.fail(1002, 'protocol error', wrong, now);
    // Nothing after a length that cannot be trusted can be read as a frame.
    if (header.topBit || !header.minimal) this.#drop('the rest cannot be read: TCP dropped', now);
  }

  #payload(frame: Incoming, bytes: Uint8Array, now: number): void {
    const { header } = frame;
    if (header.masked) mask(bytes, header.maskKey, 0, bytes.length, frame.got & 3);
    frame.got += bytes.length;
    if (frame.skipped) return;
    frame.parts.push(bytes);
    const message = header.opcode < 8 ? this.#message : undefined;
    if (message === undefined || message.binary || message.compressed) return;
    // Section 8.1: text is judged while it arrives.
    if (!this.#utf8.push(bytes)) {
      this.#message = undefined;
      this.fail(1007, 'not UTF-8', 'the text that came back is not UTF-8', now);
    }
  }

  #finish(frame: Incoming, now: number): void {
    if (frame.skipped) return;
    const { header } = frame;
    const payload = header.length === 0 ? new Uint8Array(0) : joined(frame.parts);
    this.log.frame('in', header, payload, header.length, now);
    if (header.opcode === 8) this.#closeFrame(payload, now);
    else if (header.opcode === 9) this.#ping(payload, now);
    else if (header.opcode === 10) this.#sink.pong(payload, now);
    else this.#data(header, payload, now);
  }

  #ping(payload: Uint8Array, now: number): void {
    if (this.state === 'open') this.sendFrame({ opcode: 10, fin: true, rsv: 0 }, payload, now);
  }

  #data(header: FrameHeader, payload: Uint8Array, now: number): void {
    const message = this.#message;
    if (message === undefined) return;
    message.parts.push(payload);
    message.length += payload.length;
    if (!header.fin) return;
    this.#message = undefined;
    let whole: Uint8Array | undefined = message.length === 0 ? new Uint8Array(0) : joined(message.parts);
    if (message.compressed) {
      whole = this.#codec?.inflate(whole);
      if (whole === undefined) {
        this.fail(1007, 'bad compressed data', 'the compressed message cannot be inflated with the agreed window', now);
        return;
      }
      if (!message.binary && !this.#utf8.push(whole)) {
        this.fail(1007, 'not UTF-8', 'the text that came back is not UTF-8', now);
        return;
      }
    }
    if (!message.binary && !this.#utf8.finish()) {
      this.fail(1007, 'not UTF-8', 'the text that came back ends inside a code point', now);
      return;
    }
    this.#sink.message(message.binary, whole, now);
  }

  #closeFrame(body: Uint8Array, now: number): void {
    if (this.closeSeen) return;
    const verdict = judgeCloseBody(body);
    if ('wrong' in verdict) {
      this.fail(verdict.failWith, 'bad close frame', verdict.wrong, now);
      return;
    }
    this.closeSeen = true;
    this.closeCode = verdict.code;
    this.clean = true;
    this.#replyBy = Infinity;
    // Section 7.1.1: the server ends TCP first; a client waits for it.
    if (this.state === 'open') {
      this.state = 'closing';
      const reply = Buffer.from([0x03, 0xe8]);
      this.log.frame('out', { opcode: 8, fin: true, rsv: 0 }, reply, 2, now);
      this.#outbox.frame({ opcode: 8, fin: true, rsv: 0 }, reply);
    }
    if (this.role === 'client') this.#dropBy = now + DROP_MS;
    else {
      this.state = 'gone';
      this.wish = 'end';
      this.log.note('TCP ended after the closing handshake', now);
    }
  }
}
