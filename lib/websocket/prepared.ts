// A message encoded once for many receivers (a broadcast). Servers do not mask, so one frame serves all of them; compressed forms
// are made once for each set of parameters that allows sharing.
import { isUtf8 } from '../bytes/utf8.js';
import { encodeFrame } from '../frame/encode.js';
import { OPCODE } from '../frame/opcode.js';
import type { Codec } from './codec.js';
import { bytesOf, type Payload } from './payload.js';
import type { Piece } from './queue.js';

export class Prepared {
  readonly opcode: number;
  readonly payload: Uint8Array;
  readonly compress: boolean | undefined;
  #plain: Piece | undefined;
  #packed: Map<string, Piece> | undefined;

  constructor(
    data: Payload,
    options?: { readonly binary?: boolean | undefined; readonly compress?: boolean | undefined },
  ) {
    const text = typeof data === 'string' ? options?.binary !== true : options?.binary === false;
    this.payload = typeof data === 'string' ? Buffer.from(data, 'utf8') : Uint8Array.from(bytesOf(data));
    if (text && typeof data !== 'string' && !isUtf8(this.payload)) throw new TypeError('a text message must be UTF-8');
    this.opcode = text ? OPCODE.text : OPCODE.binary;
    this.compress = options?.compress;
  }

  plain(): Piece {
    this.#plain ??= {
      bytes: encodeFrame({ opcode: this.opcode, payload: this.payload }),
      droppable: true,
      key: undefined,
    };
    return this.#plain;
  }

  /** The compressed frame for all connections with the same parameters. */
  packed(codec: Codec): Piece {
    const shareKey = codec.shareKey ?? '';
    let frame = this.#packed?.get(shareKey);
    if (frame === undefined) {
      const bytes = encodeFrame({ opcode: this.opcode, rsv: 4, payload: codec.compress(this.payload) });
      frame = { bytes, droppable: true, key: undefined };
      this.#packed ??= new Map();
      this.#packed.set(shareKey, frame);
    }
    return frame;
  }
}
