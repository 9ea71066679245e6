// Text that a peer wrote → text that may stand in an error message, and so on one line of a log or a terminal: what could move a cursor,
// break a line or turn the direction of writing becomes an escape. Bounded. Knows no protocol.

const NAMED: ReadonlyMap<number, string> = new Map([
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
]);

/** Controls, lone surrogates, and characters that are not seen but change how others are. */
const mustEscape = (code: number): boolean =>
  code < 0x20 ||
  (code >= 0x7f && code <= 0x9f) ||
  (code >= 0x200b && code <= 0x200f) ||
  (code >= 0x2028 && code <= 0x202e) ||
  (code >= 0x2060 && code <= 0x206f) ||
  (code >= 0xd800 && code <= 0xdfff) ||
  code === 0xfeff;

/** At most `most` characters of it, with a mark where it was cut. */
export const readable = (text: string, most: number): string => {
  let out = '';
  let count = 0;
  for (const character of text) {
    if (count++ === most) return `${out}…`;
    const code = character.codePointAt(0) ?? 0;
    out += mustEscape(code) ? (NAMED.get(code) ?? `\\u{${code.toString(16)}}`) : character;
  }
  return out;
};
