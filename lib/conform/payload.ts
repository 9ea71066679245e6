// Payloads as the fixtures write them ↔ bytes: 'words', x48656c6c6f, 2a*65536 (a pattern repeated and cut to a length), or nothing.
// Knows no frames. Bytes are made when asked for and not kept.
import { fromHex, toHex } from '../bytes/hex.js';
import type { Payload } from './case.js';

const bytesOf = (hex: string): Uint8Array => {
  const bytes = fromHex(hex);
  if (bytes === undefined) throw new TypeError(`not hexadecimal: ${hex}`);
  return bytes;
};

/** `pattern` again and again, cut to `length`. */
export const repeat = (pattern: Uint8Array, length: number): Uint8Array => {
  const out = new Uint8Array(length);
  if (length === 0) return out;
  out.set(pattern.subarray(0, length));
  for (let filled = Math.min(pattern.length, length); filled < length; filled *= 2) out.copyWithin(filled, 0, filled);
  return out;
};

export const EMPTY: Payload = { length: 0, text: '', bytes: () => new Uint8Array(0) };

export const hexPayload = (hex: string): Payload => {
  const bytes = bytesOf(hex);
  return { length: bytes.length, text: `x${hex}`, bytes: () => bytes.slice() };
};

export const parsePayload = (text: string): Payload => {
  if (text === '') return EMPTY;
  if (text.startsWith("'")) {
    const words = Buffer.from(text.slice(1, -1), 'latin1');
    return { length: words.length, text, bytes: () => new Uint8Array(words) };
  }
  if (text.startsWith('x')) return hexPayload(text.slice(1));
  const star = text.indexOf('*');
  const length = Number(text.slice(star + 1));
  if (star < 0 || !Number.isInteger(length)) throw new TypeError(`not a payload: ${text}`);
  const pattern = bytesOf(text.slice(0, star));
  return { length, text, bytes: () => repeat(pattern, length) };
};

/** A payload short enough for a sentence. */
export const brief = (payload: Payload): string => {
  if (payload.length === 0) return 'no bytes';
  const text = payload.text.length > 44 ? `${payload.text.slice(0, 40)}…` : payload.text;
  return `${payload.length} byte${payload.length === 1 ? '' : 's'} (${text})`;
};

export const headOf = (bytes: Uint8Array, limit = 16): string => toHex(bytes.subarray(0, limit));
