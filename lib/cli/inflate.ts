// Compressed messages of a capture → their plain bytes, one sender at a time and in order, so that a context taken over from the
// message before is there (RFC 7692 section 7.2.3.2). For `wsd decode` only: slow, simple, bounded. Uses documented zlib alone.
import { constants, inflateRawSync } from 'node:zlib';
import type { Fault } from '../index.js';

/** Section 7.2.2: what the sender cut off the end. */
const TAIL = Uint8Array.of(0, 0, 0xff, 0xff);
const WINDOW = 32768;
const LIMIT = 64 * 1024 * 1024;

export class Inflater {
  #window: Uint8Array = new Uint8Array(0);

  inflate(payload: Uint8Array, limit: number = LIMIT): Uint8Array | Fault {
    try {
      const plain = inflateRawSync(Buffer.concat([payload, TAIL]), {
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: limit,
        ...(this.#window.length === 0 ? {} : { dictionary: this.#window }),
      });
      // A sender that gave up its context never points back, so keeping the window is right in both cases.
      this.#window =
        plain.length >= WINDOW ? plain.subarray(-WINDOW) : Buffer.concat([this.#window, plain]).subarray(-WINDOW);
      return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ERR_BUFFER_TOO_LARGE')
        return { kind: 'fault', code: 'WSD_DEFLATE_SIZE', detail: `over ${limit} bytes` };
      return { kind: 'fault', code: 'WSD_DEFLATE_DATA', detail: (error as Error).message };
    }
  }
}
