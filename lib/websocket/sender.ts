// Messages → frames in the outbox: one size, one place in memory, one fill (RFC 6455 sections 5.2-5.5, 6.1; RFC 7692 section 6).
// Judges nothing about the state of the connection; its machine does. A client's frames are masked with fresh randomness
// (section 5.3), a server's are not.
import { hold } from '../bytes/loans.js';
import { headerSize, writeHeader } from '../frame/header.js';
import { mask } from '../frame/mask.js';
import { OPCODE } from '../frame/opcode.js';
import type { Codec } from './codec.js';
import { GATHER } from './gather.js';
import { type Outbox, room } from './outbox.js';
import type { Piece } from './queue.js';
import type { ConnectionSettings } from './settings.js';

const FIN = 0x80;
const RSV1 = 0x40;

export interface SendOptions {
  /** Overrules the threshold; without effect when deflate was not agreed. */
  readonly compress?: boolean | undefined;
  /** The bytes are given away and never changed again: large ones go out without a copy. */
  readonly transfer?: boolean | undefined;
  /** A message that still waits under the same key is replaced. */
  readonly key?: string | undefined;
  /** Cut the message into frames of at most that many bytes. */
  readonly fragment?: number | undefined;
}

/** From this size on a list of two pieces costs less than a copy. */
const REFERENCE_FROM = 16 * 1024;

export class Sender {
  readonly #outbox: Outbox;
  readonly #codec: Codec | undefined;
  readonly #settings: ConnectionSettings;
  readonly #entropy: (() => number) | undefined;

  constructor(
    outbox: Outbox,
    codec: Codec | undefined,
    settings: ConnectionSettings,
    entropy: (() => number) | undefined,
  ) {
    this.#outbox = outbox;
    this.#codec = codec;
    this.#settings = settings;
    this.#entropy = entropy;
  }

  /** Text given as a string; well-formed UTF-8 whatever the string holds. */
  text(text: string, options: SendOptions | undefined): void {
    const size = text.length < 42 ? -1 : Buffer.byteLength(text, 'utf8');
    if ((size >= 0 && this.#compresses(size, options)) || options?.fragment !== undefined) {
      return this.bytes(Buffer.from(text, 'utf8'), OPCODE.text, options);
    }
    if (size < 0) return this.#shortText(text, options);
    const keyed = this.#entropy !== undefined;
    this.#outbox.reserve(headerSize(size, keyed) + size, true, options?.key);
    const { memory, at } = room;
    const key = this.#entropy?.();
    const start = at + writeHeader(memory, at, FIN | OPCODE.text, size, key);
    memory.write(text, start, size, 'utf8');
    if (key !== undefined) mask(memory, key, start, start + size);
  }

  /** Up to 41 code units make at most 125 octets: one octet of length, patched in after the text is written. */
  #shortText(text: string, options: SendOptions | undefined): void {
    let size = 0;
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) > 0x7f) {
        size = Buffer.byteLength(text, 'utf8');
        break;
      }
      size++;
    }
    if (this.#compresses(size, options)) return this.bytes(Buffer.from(text, 'utf8'), OPCODE.text, options);
    this.#outbox.reserve(headerSize(size, this.#entropy !== undefined) + size, true, options?.key);
    const { memory, at } = room;
    const key = this.#entropy?.();
    const start = at + writeHeader(memory, at, FIN | OPCODE.text, size, key);
    if (size === text.length) for (let i = 0; i < size; i++) memory[start + i] = text.charCodeAt(i);
    else memory.write(text, start, size, 'utf8');
    if (key !== undefined) mask(memory, key, start, start + size);
  }

  /** A message given as bytes. */
  bytes(payload: Uint8Array, opcode: number, options: SendOptions | undefined): void {
    const compressed = this.#compresses(payload.length, options);
    const packed = compressed && this.#codec !== undefined ? this.#codec.compress(payload) : undefined;
    // RFC 7692 section 6.1: what did not shrink may go as it is, unless later messages refer back to it.
    const smaller = packed !== undefined && (packed.length < payload.length || this.#codec?.discardable === false);
    const body = smaller ? packed : payload;
    const first = opcode | (smaller ? RSV1 : 0);
    // What later messages refer back to must arrive.
    const droppable = !smaller || this.#codec?.discardable === true;
    const cut = options?.fragment ?? Infinity;
    if (body.length <= cut)
      this.#frame(FIN | first, body, options?.transfer === true && !smaller, droppable, options?.key);
    else this.#fragments(first, body, cut);
  }

  /** One frame of a message that is sent in parts. */
  part(opcode: number, payload: Uint8Array, fin: boolean): void {
    this.#frame((fin ? FIN : 0) | opcode, payload, false, false, undefined);
  }

  /** A frame that was encoded for many receivers. */
  prepared(frame: Piece, key: string | undefined): void {
    if (key === undefined) this.#outbox.share(frame);
    else this.#outbox.push(frame.bytes, true, key);
  }

  control(opcode: number, payload: Uint8Array): void {
    this.#frame(FIN | opcode, payload, false, false, undefined);
  }

  pong(payload: Uint8Array): void {
    const key = this.#entropy?.();
    const frame = Buffer.allocUnsafe(headerSize(payload.length, key !== undefined) + payload.length);
    const start = writeHeader(frame, 0, FIN | OPCODE.pong, payload.length, key);
    frame.set(payload, start);
    if (key !== undefined) mask(frame, key, start);
    this.#outbox.pong(frame);
  }

  close(body: Uint8Array): void {
    this.control(OPCODE.close, body);
  }

  #compresses(size: number, options: SendOptions | undefined): boolean {
    return this.#codec !== undefined && (options?.compress ?? size >= this.#settings.threshold) && size > 0;
  }

  /** Section 5.4: the first frame says what it is, the others continue it; RSV1 only on the first (RFC 7692 section 6.1). */
  #fragments(first: number, body: Uint8Array, cut: number): void {
    for (let at = 0; at < body.length; at += cut) {
      const end = Math.min(body.length, at + cut);
      this.#frame(
        (end === body.length ? FIN : 0) | (at === 0 ? first : 0),
        body.subarray(at, end),
        false,
        false,
        undefined,
      );
    }
  }

  #frame(
    first: number,
    payload: Uint8Array,
    transfer: boolean,
    droppable: boolean,
    queueKey: string | undefined,
  ): void {
    const length = payload.length;
    const key = this.#entropy?.();
    const size = headerSize(length, key !== undefined);
    if (transfer && key === undefined && queueKey === undefined && length >= REFERENCE_FROM && hold(payload)) {
      const header = Buffer.allocUnsafe(size);
      writeHeader(header, 0, first, length);
      this.#outbox.refer(header, payload);
      return;
    }
    if (length > GATHER && queueKey === undefined && this.#outbox.gathering) {
      this.#outbox.reserve(size, false);
      writeHeader(room.memory, room.at, first, length, key);
      this.#outbox.append(payload, key);
      return;
    }
    this.#outbox.reserve(size + length, droppable, queueKey);
    const { memory, at } = room;
    const start = at + writeHeader(memory, at, first, length, key);
    memory.set(payload, start);
    if (key !== undefined) mask(memory, key, start, start + length);
  }
}
