// Text → how many octets its UTF-8 has, without writing it. Fixed lengths are counted in octets. PROTOCOL.md section 8.4.

export const octetsOf = (text: string): number => {
  let octets = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    // A surrogate is half of four octets, and a lone one is written as the three of U+FFFD.
    if (code < 0x800) octets++;
    else if (code < 0xd800 || code > 0xdfff) octets += 2;
    else if (code < 0xdc00 && isLow(text.charCodeAt(i + 1))) {
      octets += 2;
      i++;
    } else octets += 2;
  }
  return octets;
};

const isLow = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff;

/** Whether it has more than `most`; a long text is measured only where that decides. */
export const isLonger = (text: string, most: number): boolean =>
  text.length > most || (text.length * 3 > most && octetsOf(text) > most);
