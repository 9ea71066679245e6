// Foreign text and bytes → something a terminal and a log can show safely. A peer chooses its path, its headers and its messages,
// so a control character in them must never reach a terminal as itself: it could move the cursor, set the title or forge a log line.
import type { Style } from './style.js';

/** C0, DEL, C1, the line separators, and the characters that turn the direction of text round. */
const isUnsafe = (code: number): boolean =>
  code < 0x20 ||
  (code >= 0x7f && code <= 0x9f) ||
  code === 0x61c ||
  (code >= 0x200e && code <= 0x200f) ||
  (code >= 0x2028 && code <= 0x202e) ||
  (code >= 0x2066 && code <= 0x2069) ||
  code === 0xfeff ||
  (code >= 0xd800 && code <= 0xdfff);

const SHORT: Readonly<Record<number, string>> = { 8: '\\b', 9: '\\t', 10: '\\n', 12: '\\f', 13: '\\r' };

const escapeOne = (code: number): string =>
  SHORT[code] ??
  (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`);

/** Same text, with everything that a terminal would obey instead of show written as an escape. `keep` lets some characters through. */
export const escapeControl = (text: string, keep = ''): string => {
  let out = '';
  let from = 0;
  for (let i = 0; i < text.length; ) {
    const code = text.codePointAt(i) as number;
    const size = code > 0xffff ? 2 : 1;
    if (isUnsafe(code) && !keep.includes(String.fromCodePoint(code))) {
      out += text.slice(from, i) + escapeOne(code);
      from = i + size;
    }
    i += size;
  }
  return from === 0 ? text : out + text.slice(from);
};

/** In quotation marks, escaped, and cut to `limit` characters with the full length told. */
export const quote = (text: string, limit = 96): string => {
  if (text.length <= limit) return `"${escapeControl(text)}"`;
  // never cut a surrogate pair in two
  const last = text.charCodeAt(limit - 1);
  const end = last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit;
  return `"${escapeControl(text.slice(0, end))}"… (${count(text.length, 'character')})`;
};

export const hexOf = (bytes: Uint8Array, separator = ' '): string =>
  Array.from(bytes, (octet) => octet.toString(16).padStart(2, '0')).join(separator);

/** Lines of sixteen bytes: offset, hexadecimal, printable ASCII. */
export const hexDump = (bytes: Uint8Array, style: Style, options: { limit?: number; base?: number } = {}): string[] => {
  const limit = options.limit ?? 256;
  const base = options.base ?? 0;
  const shown = bytes.subarray(0, limit);
  const lines: string[] = [];
  for (let at = 0; at < shown.length; at += 16) {
    const row = shown.subarray(at, at + 16);
    const left = hexOf(row.subarray(0, 8)).padEnd(23);
    const right = hexOf(row.subarray(8)).padEnd(23);
    const ascii = Array.from(row, (octet) => (octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : '·')).join(
      '',
    );
    const offset = (base + at).toString(16).padStart(8, '0');
    lines.push(`${style.dim(offset)}  ${left}  ${right}  ${style.cyan(ascii)}`);
  }
  if (bytes.length > limit) lines.push(style.dim(`… ${count(bytes.length - limit, 'more byte')}`));
  return lines;
};

/** `1 byte`, `2 bytes`, `1,024 bytes`. */
export const count = (n: number, noun: string): string => `${group(n)} ${noun}${n === 1 ? '' : 's'}`;

const group = (n: number): string => (Number.isFinite(n) ? n.toLocaleString('en-US') : 'more than 2^53');

export const milliseconds = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;

/** How much of a path or a header a line may take: the whole of it may be 8 KiB. */
const LONGEST = 200;
export const clip = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
