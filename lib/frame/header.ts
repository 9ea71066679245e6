// The frame header of RFC 6455 section 5.2: bytes ↔ fields, as pure functions over a contiguous view. Judges nothing: what is
// allowed is rules.ts. A length beyond 2^53 is told as Infinity, since no limit can be above it.

export interface FrameHeader {
  readonly fin: boolean;
  /** RSV1 = 4, RSV2 = 2, RSV3 = 1. */
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly length: number;
  /** The four octets read as one big-endian number; 0 when not masked. */
  readonly maskKey: number;
  /** How many bytes the header itself takes. */
  readonly size: number;
  /** Section 5.2: the shortest form of the length MUST be used. */
  readonly minimal: boolean;
  /** Section 5.2: the most significant bit of a 64-bit length MUST be 0. */
  readonly topBit: boolean;
}

const u32 = (b: Uint8Array, at: number): number =>
  (((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) | (b[at + 3] as number)) >>>
  0;

/** undefined while bytes are missing. */
export const parseHeader = (bytes: Uint8Array, at = 0, end: number = bytes.length): FrameHeader | undefined => {
  if (end - at < 2) return undefined;
  const first = bytes[at] as number;
  const second = bytes[at + 1] as number;
  const masked = second > 0x7f;
  const short = second & 0x7f;
  const size = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (masked ? 4 : 0);
  if (end - at < size) return undefined;
  let length = short;
  let minimal = true;
  let topBit = false;
  if (short === 126) {
    length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    minimal = length > 125;
  } else if (short === 127) {
    const high = u32(bytes, at + 2);
    length = high > 0x1fffff ? Infinity : high * 0x100000000 + u32(bytes, at + 6);
    topBit = high > 0x7fffffff;
    minimal = length > 0xffff;
  }
  return {
    fin: first > 0x7f,
    rsv: (first >> 4) & 7,
    opcode: first & 15,
    masked,
    length,
    maskKey: masked ? u32(bytes, at + size - 4) : 0,
    size,
    minimal,
    topBit,
  };
};

export const headerSize = (length: number, masked: boolean): number =>
  2 + (length < 126 ? 0 : length < 0x10000 ? 2 : 8) + (masked ? 4 : 0);

/** `first` is the octet of FIN, RSV and opcode. Returns how many bytes were written. */
export const writeHeader = (out: Uint8Array, at: number, first: number, length: number, maskKey?: number): number => {
  const maskBit = maskKey === undefined ? 0 : 0x80;
  let to = at;
  out[to++] = first;
  if (length < 126) out[to++] = maskBit | length;
  else if (length < 0x10000) {
    out[to++] = maskBit | 126;
    out[to++] = length >> 8;
    out[to++] = length & 255;
  } else {
    out[to++] = maskBit | 127;
    to = writeU32(out, to, Math.floor(length / 0x100000000));
    to = writeU32(out, to, length >>> 0);
  }
  if (maskKey !== undefined) to = writeU32(out, to, maskKey);
  return to - at;
};

const writeU32 = (out: Uint8Array, at: number, value: number): number => {
  out[at] = value >>> 24;
  out[at + 1] = (value >>> 16) & 255;
  out[at + 2] = (value >>> 8) & 255;
  out[at + 3] = value & 255;
  return at + 4;
};
