// Masking, RFC 6455 section 5.3: octet i of the payload is XORed with octet i modulo 4 of the key. The same step masks and
// unmasks. Works in place, by 32-bit words where the memory is aligned. Knows nothing of frames.

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

const swap = (n: number): number => (n << 24) | ((n & 0xff00) << 8) | ((n >>> 8) & 0xff00) | (n >>> 24) | 0;

/** From this size on a view of words pays for its making (about 60 ns). */
const WORDS_FROM = 48;

let viewed: ArrayBufferLike | undefined;
let words: Int32Array = new Int32Array(0);

/** A read buffer serves many frames: its view of words is made once, for the buffer seen last. */
const wordsOf = (buffer: ArrayBufferLike): Int32Array => {
  if (buffer !== viewed) {
    viewed = buffer;
    words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  }
  return words;
};

/** Lets go of the memory seen last, so that the cache keeps no large message alive. */
export const forgetView = (): void => {
  viewed = undefined;
  words = new Int32Array(0);
};

/** XORs `bytes[start, end)` with the key (four octets as a big-endian number); `phase` is the offset of `start` in its payload, modulo 4. */
export const mask = (bytes: Uint8Array, key: number, start = 0, end: number = bytes.length, phase = 0): void => {
  let at = start;
  const turn = (phase & 3) << 3;
  // The key as it applies at `at`: rotated so that its first octet is the one for this place.
  let k = turn === 0 ? key | 0 : (key << turn) | (key >>> (32 - turn));
  if (end - at >= WORDS_FROM) {
    while (((bytes.byteOffset + at) & 3) !== 0) {
      bytes[at] = (bytes[at] as number) ^ (k >>> 24);
      k = (k << 8) | (k >>> 24);
      at++;
    }
    const view = wordsOf(bytes.buffer);
    const word = littleEndian ? swap(k) : k;
    let i = (bytes.byteOffset + at) >> 2;
    const last = (bytes.byteOffset + end) >> 2;
    at = (last << 2) - bytes.byteOffset;
    for (; i < last; i++) view[i] = (view[i] as number) ^ word;
  }
  const k0 = k >>> 24;
  const k1 = (k >>> 16) & 255;
  const k2 = (k >>> 8) & 255;
  const k3 = k & 255;
  for (; at + 4 <= end; at += 4) {
    bytes[at] = (bytes[at] as number) ^ k0;
    bytes[at + 1] = (bytes[at + 1] as number) ^ k1;
    bytes[at + 2] = (bytes[at + 2] as number) ^ k2;
    bytes[at + 3] = (bytes[at + 3] as number) ^ k3;
  }
  if (at < end) bytes[at] = (bytes[at] as number) ^ k0;
  if (at + 1 < end) bytes[at + 1] = (bytes[at + 1] as number) ^ k1;
  if (at + 2 < end) bytes[at + 2] = (bytes[at + 2] as number) ^ k2;
};
