// Bytes ↔ base64url without padding, as tokens and keys are written (RFC 4648 section 5, RFC 7515 section 2). Canonical both ways: one text for
// one value, so no padding, no white space, and no bits behind the last octet. Runs in a page: nothing of Node, no `atob`.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const DIGITS: Int8Array = new Int8Array(128).fill(-1);
for (let digit = 0; digit < 64; digit++) DIGITS[ALPHABET.charCodeAt(digit)] = digit;

/** 0 to 63; -1 for a character that is none of the alphabet. */
export const base64urlDigit = (code: number): number => (code < 128 ? (DIGITS[code] as number) : -1);

export const base64urlCharacter = (digit: number): string => ALPHABET[digit] as string;

/** RFC 4648 section 3.5: the bits of the last character that belong to no octet are zero. */
const hasNoSpareBits = (text: string, end: number, size: number): boolean => {
  const over = size % 4;
  if (over === 0) return true;
  if (over === 1) return false;
  return (base64urlDigit(text.charCodeAt(end - 1)) & (over === 2 ? 0x0f : 0x03)) === 0;
};

/** Whether that part of the text is what toBase64url writes. */
export const isBase64url = (text: string, from = 0, end: number = text.length): boolean => {
  if (!hasNoSpareBits(text, end, end - from)) return false;
  // All digits and all codes together: one branch for the whole of it. A digit that is none is negative.
  let digits = 0;
  let codes = 0;
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i);
    codes |= code;
    digits |= DIGITS[code & 0x7f] as number;
  }
  return digits >= 0 && codes < 0x80;
};

/** undefined for a text, or part of it, that is not canonical. */
export const fromBase64url = (text: string, from = 0, end: number = text.length): Uint8Array | undefined => {
  const size = end - from;
  if (!hasNoSpareBits(text, end, size)) return undefined;
  const out = new Uint8Array((size * 3) >> 2);
  const whole = end - (size % 4);
  let digits = 0;
  let codes = 0;
  let at = 0;
  for (let i = from; i < whole; i += 4) {
    const w = text.charCodeAt(i);
    const x = text.charCodeAt(i + 1);
    const y = text.charCodeAt(i + 2);
    const z = text.charCodeAt(i + 3);
    codes |= w | x | y | z;
    const a = DIGITS[w & 0x7f] as number;
    const b = DIGITS[x & 0x7f] as number;
    const c = DIGITS[y & 0x7f] as number;
    const d = DIGITS[z & 0x7f] as number;
    digits |= a | b | c | d;
    out[at] = (a << 2) | (b >> 4);
    out[at + 1] = (b << 4) | (c >> 2);
    out[at + 2] = (c << 6) | d;
    at += 3;
  }
  for (let i = whole, before = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    const digit = DIGITS[code & 0x7f] as number;
    codes |= code;
    digits |= digit;
    if (i === whole + 1) out[at++] = (before << 2) | (digit >> 4);
    if (i === whole + 2) out[at++] = (before << 4) | (digit >> 2);
    before = digit;
  }
  return digits < 0 || codes >= 0x80 ? undefined : out;
};

export const toBase64url = (bytes: Uint8Array): string => {
  let out = '';
  const whole = bytes.length - (bytes.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const a = bytes[i] as number;
    const b = bytes[i + 1] as number;
    const c = bytes[i + 2] as number;
    out +=
      (ALPHABET[a >> 2] as string) +
      ALPHABET[((a & 3) << 4) | (b >> 4)] +
      ALPHABET[((b & 15) << 2) | (c >> 6)] +
      ALPHABET[c & 63];
  }
  if (whole === bytes.length) return out;
  const a = bytes[whole] as number;
  const b = whole + 1 < bytes.length ? (bytes[whole + 1] as number) : undefined;
  out += (ALPHABET[a >> 2] as string) + ALPHABET[((a & 3) << 4) | ((b ?? 0) >> 4)];
  return b === undefined ? out : out + ALPHABET[(b & 15) << 2];
};
