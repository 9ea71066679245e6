// Masking, RFC 6455 section 5.3: octet i of the payload is XORed with octet i modulo 4 of the key. The same step masks and
// unmasks. Works in place: by 16 octets where simd.ts owns the memory, else by 32-bit words. Knows nothing of frames.

import { simd } from './simd.js';

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

const swap = (n: number): number => (n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24) | 0;

/** From this size on a call into WebAssembly pays. */
const SIMD_FROM = 32;

/** From this size on a view of words pays for its making (about 60 ns). */
const WORDS_FROM = 48;

/** A buffer up to this size may stay alive in the cache of views. */
const CACHED_TO = 1 << 20;

let viewed: ArrayBufferLike | undefined;
let words: Int32Array = new Int32Array(0);

/** A read buffer serves many frames: its view of words is made once, for the buffer seen last. */
const wordsOf = (buffer: ArrayBufferLike): Int32Array => {
  if (buffer === viewed) return words;
  const view = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  if (buffer.byteLength <= CACHED_TO) {
    viewed = buffer;
    words = view;
  }
  return view;
};

/** Whether what `mask` returned says that every octet it wrote is ASCII. */
export const isAsciiSum = (sum: number): boolean => (sum & 0x80808080) === 0;

/**
 * XORs `bytes[start, end)` with the key (four octets as a big-endian number); `phase` is the offset of `start` in its payload,
 * modulo 4. Returns the OR of what it wrote, so that a caller who has text need not look at it again to see that it is ASCII.
 */
export const mask = (bytes: Uint8Array, key: number, start = 0, end: number = bytes.length, phase = 0): number => {
  let at = start;
  let sum = 0;
  const turn = (phase & 3) << 3;
  // The key as it applies at `at`: rotated so that its first octet is the one for this place.
  let k = turn === 0 ? key | 0 : (key << turn) | (key >>> (32 - turn));
  if (end - at >= SIMD_FROM && simd !== undefined && bytes.buffer === simd.memory) {
    const size = (end - at) & ~15;
    sum = simd.xor(bytes.byteOffset + at, size, swap(k));
    at += size;
  } else if (end - at >= WORDS_FROM) {
    while (((bytes.byteOffset + at) & 3) !== 0) {
      const octet = (bytes[at] as number) ^ (k >>> 24);
      sum |= octet;
      bytes[at++] = octet;
      k = (k << 8) | (k >>> 24);
    }
    const view = wordsOf(bytes.buffer);
    const word = littleEndian ? swap(k) : k;
    let i = (bytes.byteOffset + at) >> 2;
    const last = (bytes.byteOffset + end) >> 2;
    at = (last << 2) - bytes.byteOffset;
    for (; i < last; i++) {
      const plain = (view[i] as number) ^ word;
      sum |= plain;
      view[i] = plain;
    }
  }
  for (; at < end; at++) {
    const octet = (bytes[at] as number) ^ (k >>> 24);
    sum |= octet;
    bytes[at] = octet;
    k = (k << 8) | (k >>> 24);
  }
  return sum;
};
