// Tokens and comma-separated lists of tokens: text of a field value → its elements, or a yes or no.
// One pass, no regular expressions: values come from the peer and may be built to hurt a backtracking matcher.
// Implements RFC 9110 sections 5.6.1 (lists) and 5.6.2 (tokens). Knows nothing of which field the value came from.

import { isSpace, matchesAt } from './ascii.js';

const COMMA = 0x2c;

// RFC 9110 section 5.6.2: tchar
const TCHAR = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TCHAR[character.charCodeAt(0)] = 1;
}

export const isTokenCode = (code: number): boolean => TCHAR[code] === 1;

export const isToken = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (!isTokenCode(text.charCodeAt(i))) return false;
  return text.length > 0;
};

/** The elements of a `#token` list, or undefined when an element is no token. An empty list is a list. */
export const parseTokenList = (value: string): string[] | undefined => {
  const tokens: string[] = [];
  const end = value.length;
  let i = 0;
  for (;;) {
    while (i < end && isSpace(value.charCodeAt(i))) i++;
    const start = i;
    while (i < end && isTokenCode(value.charCodeAt(i))) i++;
    // RFC 9110 section 5.6.1.2: a recipient must accept and ignore empty elements.
    if (i > start) tokens.push(value.slice(start, i));
    while (i < end && isSpace(value.charCodeAt(i))) i++;
    if (i === end) return tokens;
    if (value.charCodeAt(i) !== COMMA) return undefined;
    i++;
  }
};

/**
 * Whether one element of the lists is this token, in any case. Elements that are no tokens match nothing but do not
 * spoil the others: `Connection` lines are written by every box on the way.
 */
export const hasToken = (values: readonly string[], token: string): boolean => {
  const wanted = token.toLowerCase();
  for (const value of values) {
    let i = 0;
    while (i <= value.length) {
      let comma = value.indexOf(',', i);
      if (comma < 0) comma = value.length;
      let end = comma;
      while (i < end && isSpace(value.charCodeAt(i))) i++;
      while (end > i && isSpace(value.charCodeAt(end - 1))) end--;
      if (end - i === wanted.length && end > i && matchesAt(value, i, wanted)) return true;
      i = comma + 1;
    }
  }
  return false;
};
