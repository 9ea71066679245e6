// A second opinion for specs: a raw DEFLATE stream → its bytes, and the farthest it refers back (RFC 1951). Slow and simple on purpose:
// zlib accepts longer distances than a window as long as the bytes are still in its output, so it cannot measure them.

const LENGTHS: readonly (readonly [base: number, extra: number])[] = steps(
  3,
  [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5],
);
const DISTANCES: readonly (readonly [base: number, extra: number])[] = steps(
  1,
  [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13],
);
const ORDER: readonly number[] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function steps(first: number, extras: readonly number[]): (readonly [number, number])[] {
  let base = first;
  return extras.map((extra) => {
    const step = [base, extra] as const;
    base += 2 ** extra;
    return step;
  });
}

/** Symbols by length and code, as one key. */
function codesOf(lengths: readonly number[]): Map<number, number> {
  const codes = new Map<number, number>();
  let code = 0;
  for (let length = 1; length <= 15; length++) {
    for (const [symbol, own] of lengths.entries()) if (own === length) codes.set(length * 65536 + code++, symbol);
    code *= 2;
  }
  return codes;
}

export function measure(stream: Uint8Array): { readonly bytes: Uint8Array; readonly farthest: number } {
  const out: number[] = [];
  let farthest = 0;
  let at = 0;
  const bit = (): number => {
    const byte = stream[at >> 3];
    if (byte === undefined) throw new RangeError('the stream ends too early');
    return (byte >> (at++ & 7)) & 1;
  };
  const bits = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) value |= bit() << i;
    return value;
  };
  const symbol = (codes: Map<number, number>): number => {
    let code = 0;
    for (let length = 1; length <= 15; length++) {
      code = code * 2 + bit();
      const found = codes.get(length * 65536 + code);
      if (found !== undefined) return found;
    }
    throw new RangeError('no such code');
  };
  while (at < stream.length * 8) {
    bit();
    const type = bits(2);
    if (type === 0) {
      at = (at + 7) & ~7;
      const size = bits(16);
      bits(16);
      for (let i = 0; i < size; i++) out.push(bits(8));
      continue;
    }
    let literals: number[] = [];
    let distances: number[] = Array<number>(30).fill(5);
    if (type === 1) literals = Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8));
    else {
      const counts = [257 + bits(5), 1 + bits(5), 4 + bits(4)] as const;
      const sizes = Array<number>(19).fill(0);
      for (let i = 0; i < counts[2]; i++) sizes[ORDER[i] as number] = bits(3);
      const codes = codesOf(sizes);
      const all: number[] = [];
      while (all.length < counts[0] + counts[1]) {
        const next = symbol(codes);
        if (next < 16) all.push(next);
        else {
          const value = next === 16 ? (all.at(-1) as number) : 0;
          const repeat = next === 16 ? 3 + bits(2) : next === 17 ? 3 + bits(3) : 11 + bits(7);
          for (let i = 0; i < repeat; i++) all.push(value);
        }
      }
      literals = all.slice(0, counts[0]);
      distances = all.slice(counts[0]);
    }
    const literalCodes = codesOf(literals);
    const distanceCodes = codesOf(distances);
    for (;;) {
      const next = symbol(literalCodes);
      if (next === 256) break;
      if (next < 256) out.push(next);
      else {
        const [base, extra] = next === 285 ? [258, 0] : (LENGTHS[next - 257] as readonly [number, number]);
        const length = base + bits(extra);
        const [from, more] = DISTANCES[symbol(distanceCodes)] as readonly [number, number];
        const distance = from + bits(more);
        if (distance > out.length) throw new RangeError('before the beginning');
        farthest = Math.max(farthest, distance);
        for (let i = 0; i < length; i++) out.push(out[out.length - distance] as number);
      }
    }
  }
  return { bytes: Uint8Array.from(out), farthest };
}
