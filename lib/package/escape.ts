// Values ↔ the escaped JSON text of packages: printable ASCII, safe inside HTML, script blocks, log lines and terminals, and one text for one
// value, so that a receiver can verify it. And: is a text clean, so that it may be shown and stored. PROTOCOL.md section 8.3.

const HEX = '0123456789abcdef';
const SHORT_ESCAPE = '\\u00';

const mustEscape = (code: number): boolean =>
  // < > & ' and everything from DEL on
  code === 0x3c || code === 0x3e || code === 0x26 || code === 0x27 || code >= 0x7f;

const escapeOne = (code: number): string =>
  code < 0x100
    ? SHORT_ESCAPE + HEX[code >> 4] + HEX[code & 15]
    : `\\u${HEX[code >> 12]}${HEX[(code >> 8) & 15]}${HEX[(code >> 4) & 15]}${HEX[code & 15]}`;

/** JSON.stringify, and what is not harmless in it as `\uXXXX`. Such characters stand only inside strings, so the value stays the same. */
export const escapeJson = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`${typeof value} has no JSON text`);
  let out = '';
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!mustEscape(code)) continue;
    out += text.slice(from, i) + escapeOne(code);
    from = i + 1;
  }
  return from === 0 ? text : out + text.slice(from);
};

/** Whether `raw`, which was parsed to `value`, is what escapeJson writes. Also false for doubled members, white space, `1.0`, `-0`, `1e3`. */
export const isEscaped = (raw: string, value: unknown): boolean => escapeJson(value) === raw;

/** Well-formed Unicode without U+0000–08, 0B–1F and 7F. */
export const isCleanText = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 ? code !== 0x09 && code !== 0x0a : code === 0x7f) return false;
    if (code < 0xd800 || code > 0xdfff) continue;
    // A low surrogate that follows no high one, or a high one that no low one follows.
    const next = code < 0xdc00 ? text.charCodeAt(++i) : Number.NaN;
    if (!(next >= 0xdc00 && next <= 0xdfff)) return false;
  }
  return true;
};

/**
 * Where the first text stands that is not clean, names of members included; undefined: all are. A member called `__proto__` is none
 * either: copied carelessly it changes what the copy inherits, and no honest document has one.
 */
export const uncleanPath = (value: unknown): (string | number)[] | undefined => {
  if (typeof value === 'string') return isCleanText(value) ? undefined : [];
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const path = uncleanPath(value[i]);
      if (path !== undefined) return [i, ...path];
    }
    return undefined;
  }
  for (const name of Object.keys(value)) {
    // The name itself is not repeated: it is what is unclean.
    if (name === '__proto__' || !isCleanText(name)) return [];
    const path = uncleanPath((value as Readonly<Record<string, unknown>>)[name]);
    if (path !== undefined) return [name, ...path];
  }
  return undefined;
};
