// Bytes ↔ hexadecimal text, for tools and messages to people. Accepts what people paste: white space, 0x, colons, commas.

export const toHex = (bytes: Uint8Array): string => {
  let text = '';
  for (const octet of bytes) text += (octet >> 4).toString(16) + (octet & 15).toString(16);
  return text;
};

const nibble = (code: number): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
};

const isSeparator = (code: number): boolean => code <= 0x20 || code === 0x3a || code === 0x2c || code === 0x2d;

/** undefined for anything that is not pairs of hexadecimal digits. */
export const fromHex = (text: string): Uint8Array | undefined => {
  const out = new Uint8Array(text.length >> 1);
  let size = 0;
  let high = -1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (high < 0) {
      if (isSeparator(code)) continue;
      // a prefix 0x opens a group
      if (code === 0x30 && (text.charCodeAt(i + 1) | 0x20) === 0x78) {
        i++;
        continue;
      }
    }
    const value = nibble(code);
    if (value < 0) return undefined;
    if (high < 0) high = value;
    else {
      out[size++] = (high << 4) | value;
      high = -1;
    }
  }
  return high < 0 ? out.subarray(0, size) : undefined;
};
