// The fast path in: a frame that is a whole message and lies whole in the chunk. It may assume: no message is under way, and
// FIN is set, no RSV bit, opcode text or binary. Anything else, and anything that breaks a rule, is left to the full reader,
// which judges it by rules.ts; so this file decides nothing but speed. No object is made: results lie in `whole`.
// RFC 6455 sections 5.2 and 5.3.
import { mask } from '../frame/mask.js';

const FIN_TEXT = 0x81;
const FIN_BINARY = 0x82;

/** The payload that was found: offsets into the chunk, unmasked in place; `sum` is the OR of its octets where it was masked. */
export const whole: { start: number; end: number; text: boolean; sum: number } = {
  start: 0,
  end: 0,
  text: false,
  sum: 0,
};

/** Where the next frame begins; 0 when the full reader must look at this one. `masked` is what the rules demand of the peer. */
export const readWhole = (bytes: Uint8Array, at: number, end: number, masked: boolean, limit: number): number => {
  if (end - at < 2) return 0;
  const first = bytes[at] as number;
  if (first !== FIN_TEXT && first !== FIN_BINARY) return 0;
  const second = bytes[at + 1] as number;
  if (second > 0x7f !== masked) return 0;
  let length = second & 0x7f;
  let start = at + 2;
  if (length === 126) {
    if (end - at < 4) return 0;
    length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    if (length < 126) return 0;
    start = at + 4;
  } else if (length === 127) {
    // A whole frame fits in a chunk, and no chunk is near 2^31 bytes.
    if (
      end - at < 10 ||
      ((bytes[at + 2] as number) |
        (bytes[at + 3] as number) |
        (bytes[at + 4] as number) |
        (bytes[at + 5] as number)) !==
        0
    )
      return 0;
    length =
      ((bytes[at + 6] as number) << 24) |
      ((bytes[at + 7] as number) << 16) |
      ((bytes[at + 8] as number) << 8) |
      (bytes[at + 9] as number);
    if (length < 0x10000) return 0;
    start = at + 10;
  }
  if (length > limit) return 0;
  if (masked) start += 4;
  const stop = start + length;
  if (stop > end) return 0;
  if (masked) {
    const key =
      ((bytes[start - 4] as number) << 24) |
      ((bytes[start - 3] as number) << 16) |
      ((bytes[start - 2] as number) << 8) |
      (bytes[start - 1] as number);
    whole.sum = mask(bytes, key, start, stop);
  } else whole.sum = -1;
  whole.start = start;
  whole.end = stop;
  whole.text = first === FIN_TEXT;
  return stop;
};
