// Questions about one character code, and case-insensitive comparison of ASCII text without making a copy.
// HTTP names, schemes and tokens compare in ASCII case only (RFC 9110 sections 5.1 and 4.2.3): the language's own
// lower-casing knows Unicode (a Kelvin sign is a k there) and allocates.

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;

/** OWS of RFC 9110 section 5.6.3: space or tab. */
export const isSpace = (code: number): boolean => code === SP || code === TAB;

export const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

export const isLetter = (code: number): boolean => (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;

export const lowerOf = (code: number): number => (code >= 0x41 && code <= 0x5a ? code + 0x20 : code);

/** The value of a hexadecimal digit, or -1. */
export const hexOf = (code: number): number => {
  if (isDigit(code)) return code - 0x30;
  const low = code | 0x20;
  return low >= 0x61 && low <= 0x66 ? low - 0x57 : -1;
};

/** A byte of a field value or reason phrase: visible, space, tab, or obs-text (RFC 9110 section 5.5). */
export const isValueCode = (code: number): boolean =>
  (code >= SP && code < 0x7f) || (code >= 0x80 && code <= 0xff) || code === TAB;

/** Whether `text` holds `lower` at `at`, whatever the case of the text. `lower` must be in lower case. */
export const matchesAt = (text: string, at: number, lower: string): boolean => {
  for (let i = 0; i < lower.length; i++) {
    if (lowerOf(text.charCodeAt(at + i)) !== lower.charCodeAt(i)) return false;
  }
  return true;
};
