// permessage-deflate for the fuzzer (RFC 7692 section 7.2), by the one-shot functions of node:zlib with the last window as
// dictionary. Deliberately shares nothing with lib/deflate: an oracle that leans on what it tests proves nothing.
import { constants, deflateRawSync, type InputType, inflateRawSync, type ZlibOptions } from 'node:zlib';

/** What both ends agreed on, as the fuzzer sees it. */
export interface CodecTerms {
  readonly sendBits: number;
  readonly sendNoContext: boolean;
  readonly receiveBits: number;
  readonly receiveNoContext: boolean;
}

const TAIL = new Uint8Array([0, 0, 0xff, 0xff]);
const NOTHING = new Uint8Array(0);

/** The last `size` bytes of what has gone through. */
const slide = (window: Uint8Array, bytes: Uint8Array, size: number): Uint8Array => {
  if (bytes.length >= size) return new Uint8Array(bytes.subarray(bytes.length - size));
  const kept = Math.min(window.length, size - bytes.length);
  return Buffer.concat([window.subarray(window.length - kept), bytes]);
};

/** The typings leave out `info`, which tells how many bytes of the input were read. */
type WithInfo = (
  input: InputType,
  options: ZlibOptions & { info: true },
) => { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };

export class Codec {
  readonly #terms: CodecTerms;
  #sent: Uint8Array = NOTHING;
  #received: Uint8Array = NOTHING;

  constructor(terms: CodecTerms) {
    this.#terms = terms;
  }

  compress(bytes: Uint8Array): Uint8Array {
    const { sendBits, sendNoContext } = this.#terms;
    const options: ZlibOptions = { windowBits: sendBits, memLevel: 8, finishFlush: constants.Z_SYNC_FLUSH };
    if (this.#sent.length > 0) options.dictionary = this.#sent;
    const out = deflateRawSync(bytes, options);
    if (!sendNoContext) this.#sent = slide(this.#sent, bytes, 1 << sendBits);
    // 7.2.1: the four bytes a sync flush ends with are cut.
    return out.subarray(0, out.length - TAIL.length);
  }

  /** undefined when the bytes are not what a window of the agreed size can hold. */
  inflate(bytes: Uint8Array): Uint8Array | undefined {
    const { receiveBits, receiveNoContext } = this.#terms;
    // Output pieces as large as the window: a distance far beyond it finds nothing to copy from and is caught.
    const chunkSize = 1 << receiveBits;
    const parts: Uint8Array[] = [];
    let window = this.#received;
    let left: Uint8Array = Buffer.concat([bytes, TAIL]);
    try {
      // 7.2.3.4: a block may be final; what follows it is a deflate stream of its own on the same window.
      while (left.length > 0) {
        const options: ZlibOptions & { info: true } = {
          windowBits: receiveBits,
          chunkSize,
          finishFlush: constants.Z_SYNC_FLUSH,
          info: true,
        };
        if (window.length > 0) options.dictionary = window;
        const { buffer, engine } = (inflateRawSync as unknown as WithInfo)(left, options);
        if (engine.bytesWritten === 0) break;
        parts.push(buffer);
        window = slide(window, buffer, 1 << receiveBits);
        left = left.subarray(engine.bytesWritten);
      }
    } catch {
      return undefined;
    }
    if (!receiveNoContext) this.#received = window;
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  }
}
