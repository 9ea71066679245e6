// One whole frame → bytes, in memory of its own: for tools, tests and the rare frame. The connection's own path writes into its
// output buffer instead. Judges nothing, so that the conformance tools can build bad frames with it.
import { headerSize, writeHeader } from './header.js';
import { mask } from './mask.js';

export interface FrameParts {
  readonly opcode: number;
  /** Default true. */
  readonly fin?: boolean;
  /** RSV1 = 4, RSV2 = 2, RSV3 = 1. Default 0. */
  readonly rsv?: number;
  readonly payload?: Uint8Array;
  /** Present: the frame is masked with this key. */
  readonly maskKey?: number;
}

const NOTHING = new Uint8Array(0);

/** A Buffer, because a socket would wrap anything else in one, for each receiver anew. */
export const encodeFrame = (parts: FrameParts): Buffer => {
  const payload = parts.payload ?? NOTHING;
  const first = (parts.fin === false ? 0 : 0x80) | ((parts.rsv ?? 0) << 4) | parts.opcode;
  const out = Buffer.allocUnsafeSlow(headerSize(payload.length, parts.maskKey !== undefined) + payload.length);
  const size = writeHeader(out, 0, first, payload.length, parts.maskKey);
  out.set(payload, size);
  if (parts.maskKey !== undefined) mask(out, parts.maskKey, size);
  return out;
};
