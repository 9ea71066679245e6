// Randomness from the operating system, fetched in blocks: RFC 6455 section 5.3 asks for masking keys from a strong source, and a call
// a frame would cost more than the frame.
import { randomBytes, randomFillSync } from 'node:crypto';

const block = new Uint32Array(1024);
let used = block.length;

/** 32 fresh random bits. */
export const random32 = (): number => {
  if (used === block.length) {
    randomFillSync(block);
    used = 0;
  }
  return block[used++] as number;
};

/** A number in [0, 1): for jitter. */
export const randomFraction = (): number => random32() / 0x100000000;

/** A Sec-WebSocket-Key: 16 random bytes in base64 (RFC 6455 section 4.1). */
export const randomKey = (): string => randomBytes(16).toString('base64');
