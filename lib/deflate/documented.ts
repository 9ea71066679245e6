// Both halves with documented API only: the one-shot functions of node:zlib, with the last window as `dictionary`. The fallback of
// step.ts, and its yardstick: the same specs run on both. A zlib object is made and destroyed for each message, none is ever kept.
// RFC 7692 sections 7.2.1 and 7.2.2. Must not know frames.

import { constants, deflateRawSync, type InflateRaw, inflateRawSync } from 'node:zlib';
import { type Fault, fault } from '../fault.js';
import { History } from './history.js';
import { ceilingOf, type Inbound, streamsAllowed } from './inbound.js';
import { EMPTY_MESSAGE, type Outbound } from './outbound.js';
import type { Shape } from './step.js';

export class DocumentedOutbound implements Outbound {
  readonly #shape: Shape;
  readonly #history: History | undefined;

  constructor(shape: Shape, takeover: boolean) {
    this.#shape = shape;
    this.#history = takeover ? new History(shape.bits) : undefined;
  }

  compress(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return EMPTY_MESSAGE;
    const { bits, level, memLevel } = this.#shape;
    const options = { windowBits: bits, level, memLevel, finishFlush: constants.Z_SYNC_FLUSH };
    const dictionary = this.#history?.dictionary();
    const packed = deflateRawSync(bytes, dictionary === undefined ? options : { ...options, dictionary });
    this.#history?.push(bytes);
    return packed.subarray(0, packed.length - 4);
  }

  rest(): void {}
  close(): void {}

  get memory(): number {
    return this.#history?.memory ?? 0;
  }
}

/**
 * Section 7.2.2: the octets the sender cut off; then a final empty block, so that the decoder ends where the message should and
 * says so when it does not.
 */
const TAIL = Buffer.from([0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]);
const CUT_OFF = 4;

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: InflateRaw;
}

export class DocumentedInbound implements Inbound {
  readonly #bits: number;
  readonly #maxRatio: number;
  readonly #history: History | undefined;

  constructor(bits: number, takeover: boolean, maxRatio: number) {
    this.#bits = bits;
    this.#maxRatio = maxRatio;
    this.#history = takeover ? new History(bits) : undefined;
  }

  inflate(bytes: Uint8Array, limit: number): Uint8Array | Fault {
    const { most, code } = ceilingOf(bytes.length, limit, this.#maxRatio);
    const input = Buffer.concat([bytes, TAIL]);
    // What a later stream of the same message may refer to, when no window is kept across messages.
    const history = this.#history ?? new History(this.#bits);
    const parts: Buffer[] = [];
    let made = 0;
    let at = 0;
    let streams = streamsAllowed(bytes.length);
    for (;;) {
      const step = this.#step(input.subarray(at), most - made, history.dictionary());
      if (step === 'large') return fault(code);
      if (step === 'broken') return fault('WSD_DEFLATE_DATA');
      parts.push(step.buffer);
      made += step.buffer.length;
      if (made > most) return fault(code);
      history.push(step.buffer);
      at += step.engine.bytesWritten;
      if (at >= bytes.length) break;
      if (--streams < 0) return fault('WSD_DEFLATE_DATA', 'too many final blocks');
    }
    // All of TAIL is left, or all but the final block, when the sender's own last block was final; or nothing.
    if (at !== bytes.length && at !== bytes.length + CUT_OFF && at !== input.length)
      return fault('WSD_DEFLATE_DATA', 'the last block is not complete');
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  get memory(): number {
    return this.#history?.memory ?? 0;
  }

  #step(input: Buffer, most: number, dictionary: Uint8Array | undefined): Inflated | 'large' | 'broken' {
    const options = { windowBits: this.#bits, maxOutputLength: Math.max(1, most), info: true };
    try {
      // With `info` the function answers with the engine too, which the types do not tell.
      const answer: unknown = inflateRawSync(input, dictionary === undefined ? options : { ...options, dictionary });
      return answer as Inflated;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'large' : 'broken';
    }
  }
}
