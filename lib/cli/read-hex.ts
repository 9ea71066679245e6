// Pasted hexadecimal text → bytes. Takes what people have at hand: `81 05 48`, `8105`, `0x81,0x05`, `\x81\x05`, `81:05`, lines
// that begin with #, and the dumps of xxd, hexdump -C, od -tx1 and tcpdump -X with their offsets and text columns.

/** undefined for anything else. An empty text gives no bytes. */
export const readHex = (text: string): Uint8Array | undefined => {
  const out: number[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const octets = readPlain(stripDump(line, out.length));
    if (octets === undefined) return undefined;
    for (const octet of octets) out.push(octet);
  }
  return Uint8Array.from(out);
};

/** The hexadecimal part of a line of a dump. An offset is one only where it says how many bytes came before. */
const stripDump = (line: string, before: number): string => {
  // xxd and tcpdump: the offset ends in a colon, two spaces part the bytes from the text
  const colon = /^(?:0x)?([0-9a-f]{4,16}):\s*/i.exec(line);
  if (colon !== null && Number.parseInt(colon[1] as string, 16) === before) {
    const rest = line.slice(colon[0].length);
    const gap = rest.search(/\s{2,}/);
    return gap < 0 ? rest : rest.slice(0, gap);
  }
  // hexdump -C: eight digits, the text between bars; od: seven octal digits; both end with a line of the offset alone
  const offset = /^([0-9a-f]{7,8})(?:\s+|$)/i.exec(line);
  if (offset !== null) {
    const digits = offset[1] as string;
    if (Number.parseInt(digits, digits.length === 7 ? 8 : 16) === before) {
      const rest = line.slice(offset[0].length);
      if (rest !== '' || before > 0) {
        const bar = rest.indexOf('|');
        return bar < 0 ? rest : rest.slice(0, bar);
      }
    }
  }
  return line;
};

const readPlain = (text: string): number[] | undefined => {
  const octets: number[] = [];
  for (const word of text.split(/[\s,;:{}[\]-]+|\\x|\b0x/i)) {
    if (word === '') continue;
    if (!/^(?:[0-9a-f]{2})+$/i.test(word)) return undefined;
    for (let i = 0; i < word.length; i += 2) octets.push(Number.parseInt(word.slice(i, i + 2), 16));
  }
  return octets;
};

/** One line of plain hexadecimal, where a number at its beginning is never an offset; undefined for anything else. */
export const readHexLine = (line: string): Uint8Array | undefined => {
  const octets = readPlain(line);
  return octets === undefined ? undefined : Uint8Array.from(octets);
};

/** Whether a first line is that of a dump: an offset of nothing but zeros, set apart as no octets would be. */
export const isDump = (line: string): boolean => /^\s*(?:(?:0x)?0{4,16}:|0{7}\s|0{8}\s{2,})/i.test(line);
