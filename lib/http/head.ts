// Bytes as they come from a socket → the head of one HTTP/1.1 message, for both sides, and the bytes after its blank line.
// Every byte is judged when it arrives and never again, so a peer that sends one byte at a time costs what one large chunk
// costs; the first wrong byte ends the parse, wherever the stream was cut. Refuses whatever two readers could read
// differently: bare LF or CR, folded lines, space before the colon, control characters, 8-bit names.
// Implements RFC 9112 sections 2 to 5. Must not know what the fields mean, nor any socket or clock.

import { Buffer } from 'node:buffer';
import { type Fault, type FaultCode, fault, phraseOf } from '../fault.js';
import { CR, isSpace, isValueCode, LF, SP } from './ascii.js';
import { Fields } from './fields.js';
import { checkMethod, checkRequestVersion, METHOD_LIMIT, parseStatus } from './start-line.js';
import { isTokenCode } from './tokens.js';

export { Fields } from './fields.js';

/** `line`: bytes of one line without its CR LF. `total`: bytes of the head with its blank line. `fields`: field lines. */
export interface HeadLimits {
  readonly line: number;
  readonly total: number;
  readonly fields: number;
}

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly fields: Fields;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
}

/** `rest` is a view of the last chunk: the bytes after the blank line, not judged in any way. */
export type HeadResult =
  | { readonly kind: 'more' }
  | { readonly kind: 'request'; readonly head: RequestHead; readonly rest: Uint8Array }
  | { readonly kind: 'response'; readonly head: ResponseHead; readonly rest: Uint8Array }
  | Fault;

/**
 * Where the parts of the fields begin and end, two bytes an offset: one memory for all heads that come in one chunk, as nearly all do.
 * A head that comes in more has its own from its second chunk on.
 */
let scratch: Buffer = Buffer.alloc(8 * 128);
/** What two bytes can tell. */
const NARROW = 0x10000;

const MORE: HeadResult = { kind: 'more' };
const NOTHING = new Uint8Array(0);
const COLON = 0x3a;
const TLS_HANDSHAKE = 0x16;

// Where in the head the next byte belongs. Numbers, not words: one is compared for every run of bytes.
const AT_BEGIN = 0;
const AT_BEGIN_LF = 1;
const IN_START = 2;
const AT_START_LF = 3;
const AT_LINE = 4;
const IN_NAME = 5;
const IN_SPACE = 6;
const IN_VALUE = 7;
const AT_VALUE_LF = 8;
const AT_BLANK_LF = 9;

export class HeadParser {
  readonly #side: 'request' | 'response';
  readonly #limits: HeadLimits;
  #state = AT_BEGIN;
  #ended = false;
  /** The bytes of earlier chunks; untouched while the head comes in one chunk, as it nearly always does. */
  #held: Uint8Array = NOTHING;
  #size = 0;
  /** Where the line being read starts, where the start line's two spaces and its end are, and what it said. */
  #line = 0;
  #first = 0;
  #space = 0;
  #space2 = 0;
  #startEnd = 0;
  #start = 0; // of the value being read
  #status = 0;
  #offsets: Buffer = scratch;
  #count = 0; // offsets so far, four a field
  /** The offsets instead, where two bytes an offset might not do. */
  readonly #wide: number[] | undefined;

  constructor(side: 'request' | 'response', limits: HeadLimits) {
    this.#side = side;
    this.#limits = limits;
    this.#wide = limits.total > NARROW ? [] : undefined;
  }

  /** Takes the next bytes. After any answer but `more` the parser has ended and must not be fed again. */
  receive(chunk: Uint8Array): HeadResult {
    if (this.#ended) throw new TypeError('this head has ended: the bytes after it belong to somebody else');
    const from = this.#size;
    if (from === 0) this.#offsets = scratch;
    const end = Math.min(from + chunk.length, this.#limits.total);
    const bytes = from === 0 ? chunk : this.#hold(chunk, end - from);
    const verdict = this.#scan(bytes, from, end);
    if (typeof verdict === 'string') return this.#fail(verdict);
    if (verdict > 0) return this.#finish(bytes, verdict, chunk, verdict - from);
    if (end === this.#limits.total) return this.#fail(this.#tooLarge());
    if (from === 0) this.#hold(chunk, end);
    if (this.#offsets === scratch) this.#offsets = Buffer.from(scratch);
    return MORE;
  }

  #fail(code: FaultCode): Fault {
    this.#ended = true;
    this.#held = NOTHING;
    // The detail names the place by what was read, not by how it was cut: the same bytes give the same fault.
    const where = this.#state < AT_LINE ? 'in the start line' : `in field line ${(this.#count + 3) >> 2}`;
    if (this.#side === 'request') return fault(code, where);
    const large = code === 'WSD_HTTP_HEAD_LARGE' || code === 'WSD_HTTP_FIELDS';
    return fault(large ? 'WSD_DIAL_LARGE' : 'WSD_DIAL_ANSWER', `${phraseOf(code)}, ${where}`);
  }

  #hold(chunk: Uint8Array, count: number): Uint8Array {
    const size = this.#size + count;
    if (size > this.#held.length) {
      // Doubling keeps the copies linear; the total limit bounds what a slow peer can make us keep.
      const larger = new Uint8Array(Math.min(this.#limits.total, Math.max(512, size, 2 * this.#held.length)));
      larger.set(this.#held.subarray(0, this.#size));
      this.#held = larger;
    }
    if (count === 1) this.#held[this.#size] = chunk[0]!;
    else this.#held.set(count === chunk.length ? chunk : chunk.subarray(0, count), this.#size);
    this.#size = size;
    return this.#held;
  }

  #finish(bytes: Uint8Array, size: number, chunk: Uint8Array, used: number): HeadResult {
    this.#ended = true;
    this.#held = NOTHING;
    const rest = used === chunk.length ? NOTHING : chunk.subarray(used);
    const text = latin1(bytes, size);
    const fields = new Fields(text, this.#wide ?? this.#offsets.toString('utf16le', 0, 2 * this.#count), true);
    if (this.#side === 'response') {
      const reason = text.slice(Math.min(this.#first + 13, this.#startEnd), this.#startEnd);
      return { kind: 'response', head: { status: this.#status, reason, fields }, rest };
    }
    const method = text.slice(this.#first, this.#space);
    const target = text.slice(this.#space + 1, this.#space2);
    return { kind: 'request', head: { method, target, fields }, rest };
  }

  #tooLarge(): FaultCode {
    return this.#state <= IN_START && this.#side === 'request' ? 'WSD_HTTP_TARGET_LONG' : 'WSD_HTTP_HEAD_LARGE';
  }

  #mark(offset: number): void {
    const at = 2 * this.#count++;
    if (this.#wide !== undefined) this.#wide.push(offset);
    else {
      if (at === this.#offsets.length) this.#widen();
      this.#offsets[at] = offset & 0xff;
      this.#offsets[at + 1] = offset >> 8;
    }
  }

  #widen(): void {
    const shared = this.#offsets === scratch;
    this.#offsets = Buffer.concat([this.#offsets], 2 * this.#offsets.length);
    if (shared) scratch = this.#offsets;
  }

  /** Judges bytes[from, end): the size of the head when its last byte is among them, 0 when not, or what is wrong. */
  #scan(bytes: Uint8Array, from: number, end: number): number | FaultCode {
    let i = from;
    while (i < end) {
      // Nothing but a line end may stand at the edge of a line. A run stops there, or at the first byte not its own.
      const edge = Math.min(end, this.#line + this.#limits.line);
      switch (this.#state) {
        case AT_BEGIN: {
          const byte = bytes[i]!;
          if (byte === TLS_HANDSHAKE && i === 0) return 'WSD_HTTP_TLS';
          // RFC 9112 section 2.2: one empty line before a request is ignored.
          if (byte === CR && i === 0 && this.#side === 'request') {
            this.#state = AT_BEGIN_LF;
            i++;
            break;
          }
          this.#first = this.#line = i;
          this.#space = this.#space2 = 0;
          this.#state = IN_START;
          break;
        }
        case AT_BEGIN_LF:
          if (bytes[i] !== LF) return 'WSD_HTTP_LINE_END';
          this.#state = AT_BEGIN;
          i++;
          break;
        case IN_START: {
          const next = this.#side === 'request' ? this.#scanRequestLine(bytes, i, edge) : runOfValue(bytes, i, edge);
          if (typeof next === 'string') return next;
          i = next;
          if (i === end) break;
          if (bytes[i] !== CR) {
            if (i >= this.#line + this.#limits.line) return this.#tooLarge();
            return bytes[i] === LF ? 'WSD_HTTP_LINE_END' : 'WSD_HTTP_REQUEST_LINE';
          }
          const wrong = this.#checkStart(bytes, i);
          if (wrong !== undefined) return wrong;
          this.#startEnd = i++;
          this.#state = AT_START_LF;
          break;
        }
        case AT_START_LF:
        case AT_VALUE_LF:
          // RFC 9112 section 2.2 lets a recipient take a bare LF for a line end; a bare CR it must not. We take neither.
          if (bytes[i] !== LF) return 'WSD_HTTP_LINE_END';
          this.#line = ++i;
          this.#state = AT_LINE;
          break;
        case AT_LINE:
          if (bytes[i] === CR) {
            this.#state = AT_BLANK_LF;
            i++;
            break;
          }
          if (this.#count >= 4 * this.#limits.fields) return 'WSD_HTTP_FIELDS';
          this.#mark(i);
          this.#state = IN_NAME;
          break;
        case IN_NAME: {
          while (i < edge && isTokenCode(bytes[i]!)) i++;
          if (i === end) break;
          if (i === edge) return 'WSD_HTTP_HEAD_LARGE';
          if (bytes[i] !== COLON || i === this.#line) {
            // RFC 9112 sections 5.1 and 5.2: no space before the colon, no folded line. 8-bit names end here too.
            return bytes[i] === LF ? 'WSD_HTTP_LINE_END' : 'WSD_HTTP_FIELD';
          }
          this.#mark(i++);
          this.#state = IN_SPACE;
          break;
        }
        case IN_SPACE:
          while (i < edge && isSpace(bytes[i]!)) i++;
          if (i === end) break;
          this.#mark(i);
          this.#start = i;
          this.#state = IN_VALUE;
          break;
        case IN_VALUE: {
          i = runOfValue(bytes, i, edge);
          if (i === end) break;
          if (bytes[i] !== CR) {
            if (i === edge) return 'WSD_HTTP_HEAD_LARGE';
            return bytes[i] === LF ? 'WSD_HTTP_LINE_END' : 'WSD_HTTP_FIELD';
          }
          let stop = i;
          while (stop > this.#start && isSpace(bytes[stop - 1]!)) stop--;
          this.#mark(stop);
          this.#state = AT_VALUE_LF;
          i++;
          break;
        }
        case AT_BLANK_LF:
          if (bytes[i] !== LF) return 'WSD_HTTP_LINE_END';
          i++;
          if (this.#side === 'request' || this.#status >= 200 || this.#status === 101) return i;
          // RFC 9110 section 15.2: other 1xx answers may come before the real one. They count into the same total.
          this.#count = 0;
          if (this.#wide !== undefined) this.#wide.length = 0;
          this.#state = AT_BEGIN;
          break;
      }
    }
    return 0;
  }

  /** RFC 9112 section 3: method SP request-target SP HTTP-version, one space each. Stops at the CR or the edge. */
  #scanRequestLine(bytes: Uint8Array, from: number, edge: number): number | FaultCode {
    let i = from;
    for (;;) {
      while (i < edge && bytes[i]! > SP && bytes[i]! < 0x7f) i++;
      if (this.#space === 0 && i > this.#first) {
        // A method that cannot be one is told at once: these peers wait for a greeting and would not end the line.
        const wrong = checkMethod(bytes, this.#first, Math.min(i, this.#first + METHOD_LIMIT + 1));
        if (wrong !== undefined) return wrong;
      }
      if (i === edge || bytes[i] === CR) return i;
      const byte = bytes[i]!;
      if (byte === LF) return 'WSD_HTTP_LINE_END';
      if (this.#space === 0 && (byte !== SP || i === this.#first)) return 'WSD_HTTP_NOT_HTTP';
      if (byte !== SP && this.#space2 === 0) return 'WSD_HTTP_TARGET';
      if (byte !== SP || this.#space2 > 0) return 'WSD_HTTP_REQUEST_LINE';
      if (this.#space === 0) this.#space = i;
      else if (i > this.#space + 1) this.#space2 = i;
      else return 'WSD_HTTP_REQUEST_LINE';
      i++;
    }
  }

  #checkStart(bytes: Uint8Array, end: number): FaultCode | undefined {
    if (this.#side === 'request') {
      if (this.#space === 0) return 'WSD_HTTP_NOT_HTTP';
      return this.#space2 === 0 ? 'WSD_HTTP_REQUEST_LINE' : checkRequestVersion(bytes, this.#space2 + 1, end);
    }
    const status = parseStatus(bytes, this.#first, end);
    if (status === undefined) return 'WSD_HTTP_REQUEST_LINE';
    this.#status = status;
    return undefined;
  }
}

const latin1 = (bytes: Uint8Array, size: number): string =>
  (bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, size)).toString('latin1', 0, size);

const runOfValue = (bytes: Uint8Array, from: number, edge: number): number => {
  let i = from;
  while (i < edge && isValueCode(bytes[i]!)) i++;
  return i;
};
