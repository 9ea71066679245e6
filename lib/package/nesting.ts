// JSON text → is it nested no deeper than that. Counted on the text, before anything is parsed: recursive readers of a text that is all
// brackets end in a RangeError. It judges nothing else; a text that is no JSON gets its verdict from the parser. PROTOCOL.md section 8.4.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** True: objects and arrays stand in one another at most `most` deep. One pass, brackets inside strings do not count. */
export const nestingOf = (text: string, most: number): boolean => {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = endOfString(text, i + 1);
      if (i < 0) return true;
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > most) return false;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return true;
};

/** Where the quotation mark stands that ends the string; -1 when there is none. */
const endOfString = (text: string, from: number): number => {
  let at = text.indexOf('"', from);
  for (let since = from; at >= 0; at = text.indexOf('"', at + 1)) {
    // An odd number of backslashes before it: it belongs to the string. None is counted twice.
    let backslashes = 0;
    while (at - 1 - backslashes >= since && text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
    since = at + 1;
  }
  return -1;
};
