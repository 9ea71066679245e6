// The chunks of an HTTP body → its content, as far as somebody wants to read it. Forgiving, since what it reads is only shown: anything
// that is no chunk ends the body. RFC 9112 section 7.1; each octet is read once.
import { CR, hexOf, LF } from '../http/ascii.js';

const SIZE = 0;
const EXTENSION = 1;
const DATA = 2;
const DATA_END = 3;

export class Dechunker {
  ended = false;
  #state: typeof SIZE | typeof EXTENSION | typeof DATA | typeof DATA_END = SIZE;
  #left = 0;

  /** The content that these bytes hold, at most `most` octets of it. */
  receive(bytes: Uint8Array, most: number): Uint8Array {
    const out = new Uint8Array(Math.min(most, bytes.length));
    let size = 0;
    for (let i = 0; i < bytes.length && !this.ended && size < out.length; i++) {
      const byte = bytes[i] as number;
      if (this.#state === DATA) {
        out[size++] = byte;
        if (--this.#left === 0) this.#state = DATA_END;
      } else if (this.#state === DATA_END) {
        if (byte === LF) this.#state = SIZE;
        else if (byte !== CR) this.ended = true;
      } else if (byte === LF) {
        if (this.#left === 0) this.ended = true;
        this.#state = DATA;
      } else if (this.#state === SIZE) this.#readSize(byte);
    }
    return out.subarray(0, size);
  }

  #readSize(byte: number): void {
    const digit = hexOf(byte);
    if (digit < 0) this.#state = EXTENSION;
    else this.#left = Math.min(this.#left * 16 + digit, Number.MAX_SAFE_INTEGER);
  }
}
