// What the fuzzer owes the wire: frames encoded in memory of their own, with how they are to be handed to TCP. Judges nothing, since
// bad frames are its trade. Knows no socket and no testee.
import { encodeFrame } from '../frame/encode.js';
import { headerSize, writeHeader } from '../frame/header.js';
import { mask } from '../frame/mask.js';

/** Bytes for one or more TCP writes. chop > 0: in pieces of that size. alone: not joined with what stands beside it. */
export interface Write {
  readonly bytes: Uint8Array;
  readonly chop: number;
  readonly alone: boolean;
}

export interface RawFrame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly rsv: number;
}

export class Outbox {
  /** A fresh mask key for every frame; undefined when the fuzzer plays the server and masks nothing. */
  readonly #key: (() => number) | undefined;
  #writes: Write[] = [];
  /** The frame a header announced: key and how much of it has gone out. */
  #openKey: number | undefined;
  #openSent = 0;

  constructor(key: (() => number) | undefined) {
    this.#key = key;
  }

  take(): Write[] {
    const writes = this.#writes;
    this.#writes = [];
    return writes;
  }

  #push(bytes: Uint8Array, chop = 0, alone = false): void {
    this.#writes.push({ bytes, chop, alone });
  }

  frame(frame: RawFrame, payload: Uint8Array, chop = 0, alone = false): void {
    const key = this.#key?.();
    this.#push(
      encodeFrame(key === undefined ? { ...frame, payload } : { ...frame, payload, maskKey: key }),
      chop,
      alone,
    );
  }

  /** A message in frames of `size` bytes, in one piece of memory. The last frame is empty when `size` divides the length. */
  message(opcode: number, rsv: number, payload: Uint8Array, size: number): number {
    if (size === 0) {
      this.frame({ opcode, fin: true, rsv }, payload);
      return 1;
    }
    const masked = this.#key !== undefined;
    const whole = Math.floor(payload.length / size);
    const last = payload.length - whole * size;
    const total = whole * (headerSize(size, masked) + size) + headerSize(last, masked) + last;
    const out = new Uint8Array(total);
    let at = 0;
    for (let i = 0; i <= whole; i++) {
      const length = i < whole ? size : last;
      const first = (i === whole ? 0x80 : 0) | (i === 0 ? (rsv << 4) | opcode : 0);
      const key = this.#key?.();
      at += writeHeader(out, at, first, length, key);
      out.set(payload.subarray(i * size, i * size + length), at);
      if (key !== undefined) mask(out, key, at, at + length);
      at += length;
    }
    this.#push(out);
    return whole + 1;
  }

  header(frame: RawFrame, length: number): void {
    const key = this.#key?.();
    const out = new Uint8Array(headerSize(length, key !== undefined));
    writeHeader(out, 0, (frame.fin ? 0x80 : 0) | (frame.rsv << 4) | frame.opcode, length, key);
    this.#openKey = key;
    this.#openSent = 0;
    this.#push(out);
  }

  bytes(payload: Uint8Array): void {
    const out = new Uint8Array(payload);
    if (this.#openKey !== undefined) mask(out, this.#openKey, 0, out.length, this.#openSent);
    this.#openSent += out.length;
    this.#push(out);
  }
}
