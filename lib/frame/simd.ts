// Sixteen octets at a time: the XOR of section 5.3 as a WebAssembly function over memory of its own. A read buffer that lies in this
// memory is unmasked where it lies, several times faster than by 32-bit words in JavaScript, without native code. The module is
// assembled here, instruction by instruction; where WebAssembly or its SIMD is missing, `simd` is undefined and mask.ts does without.
//
//   (func (export "x") (param $at i32) (param $size i32) (param $key i32) (result i32))
//   XORs $size octets at $at, a multiple of 16, with $key (little-endian, as it applies at $at); returns the OR of all results folded
//   to 32 bits.

const PAGE = 64 * 1024;
/** The read buffer's share: what one connection may have read before others have their turn. */
export const SHARED_SIZE: number = 256 * 1024;

const I32 = 0x7f;
const V128 = 0x7b;
const V128_CONST_ZERO = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];

/** Unsigned LEB128. */
const leb = (value: number): number[] => {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    out.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return out;
};
const vector = (items: number[][]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, body: number[]): number[] => [id, ...leb(body.length), ...body];
const name = (text: string): number[] => [...leb(text.length), ...Buffer.from(text, 'latin1')];

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const op = (code: number): number[] => [0xfd, ...leb(code)];
const load = (offset: number): number[] => [...op(0x00), 0, ...leb(offset)];
const store = (offset: number): number[] => [...op(0x0b), 0, ...leb(offset)];
const XOR = op(0x51);
const OR = op(0x50);

const assemble = (): Uint8Array<ArrayBuffer> => {
  const [AT, SIZE, , SUM, MASK, END] = [0, 1, 2, 3, 4, 5];
  const step = (offset: number): number[] => [
    // memory[at + offset] ^= mask; sum |= the result
    ...get(AT),
    ...get(AT),
    ...load(offset),
    ...get(MASK),
    ...XOR,
    0x22,
    6,
    ...store(offset),
    ...get(6),
    ...get(SUM),
    ...OR,
    ...set(SUM),
  ];
  const body = [
    // locals: sum v128, mask v128, end i32, and one v128 for the value at hand
    ...vector([
      [2, V128],
      [1, I32],
      [1, V128],
    ]),
    ...V128_CONST_ZERO,
    ...set(SUM),
    ...get(2),
    ...op(0x11),
    ...set(MASK), // i32x4.splat
    ...get(AT),
    ...get(SIZE),
    0x6a,
    ...set(END),
    0x02,
    0x40, // block
    0x03,
    0x40, // loop: 64 octets a turn
    ...get(AT),
    0x41,
    0xc0,
    0x00,
    0x6a,
    ...get(END),
    0x4b,
    0x0d,
    1, // at + 64 > end: leave
    ...step(0),
    ...step(16),
    ...step(32),
    ...step(48),
    ...get(AT),
    0x41,
    0xc0,
    0x00,
    0x6a,
    ...set(AT),
    0x0c,
    0,
    0x0b,
    0x0b,
    0x02,
    0x40,
    0x03,
    0x40, // and 16 octets a turn
    ...get(AT),
    ...get(END),
    0x4f,
    0x0d,
    1, // at >= end: leave
    ...step(0),
    ...get(AT),
    0x41,
    0x10,
    0x6a,
    ...set(AT),
    0x0c,
    0,
    0x0b,
    0x0b,
    ...get(SUM),
    ...op(0x1b),
    0,
    ...get(SUM),
    ...op(0x1b),
    1,
    0x72, // lanes 0 | 1
    ...get(SUM),
    ...op(0x1b),
    2,
    0x72,
    ...get(SUM),
    ...op(0x1b),
    3,
    0x72,
    0x0b,
  ];
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, vector([[0x60, ...vector([[I32], [I32], [I32]]), ...vector([[I32]])]])),
    ...section(3, vector([[0]])),
    ...section(5, vector([[0x01, ...leb(SHARED_SIZE / PAGE), ...leb(SHARED_SIZE / PAGE)]])),
    ...section(
      7,
      vector([
        [...name('x'), 0, 0],
        [...name('m'), 2, 0],
      ]),
    ),
    ...section(10, vector([[...leb(body.length), ...body]])),
  ]);
};

export interface Simd {
  readonly memory: ArrayBuffer;
  /** `at` and `size` in octets, `size` a multiple of 16; the key little-endian as it applies at `at`. */
  readonly xor: (at: number, size: number, key: number) => number;
}

/** As much of WebAssembly as is used; Node's own types leave it out. */
interface Assembly {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

const make = (): Simd | undefined => {
  const engine = (globalThis as { readonly WebAssembly?: Assembly }).WebAssembly;
  if (engine === undefined) return undefined;
  try {
    const { exports } = new engine.Instance(new engine.Module(assemble()));
    const memory = (exports['m'] as { readonly buffer: ArrayBuffer }).buffer;
    return { memory, xor: exports['x'] as Simd['xor'] };
  } catch {
    return undefined;
  }
};

export const simd: Simd | undefined = make();
