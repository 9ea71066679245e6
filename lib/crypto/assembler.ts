// Expressions → a WebAssembly module, for the few inner loops that JavaScript is too slow for. An instruction is a function of the code that
// gives its operands, so a formula is written here as it stands in its RFC; there is no text format and nothing to compile at build time.
// Knows the binary format (WebAssembly Core 2.0, section 5) as far as it is used, and no cipher.

export type Code = readonly number[];

export const TYPE = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

/** Unsigned LEB128 (section 5.2.2). */
const unsigned = (value: number): number[] => {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    out.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return out;
};

/** Signed LEB128: the constants. */
const signed = (value: number): number[] => {
  const out: number[] = [];
  for (let rest = BigInt(value); ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = rest === ((low & 0x40) === 0 ? 0n : -1n);
    out.push(isLast ? low : low | 0x80);
    if (isLast) return out;
  }
};

const simd = (code: number): number[] => [0xfd, ...unsigned(code)];

type One = (a: Code) => Code;
type Two = (a: Code, b: Code) => Code;
const one =
  (opcode: Code): One =>
  (a) => [...a, ...opcode];
const two =
  (opcode: Code): Two =>
  (a, b) => [...a, ...b, ...opcode];

type Load = (at: Code, offset?: number) => Code;
type Store = (at: Code, value: Code, offset?: number) => Code;
const load =
  (opcode: Code): Load =>
  (at, offset = 0) => [...at, ...opcode, 0, ...unsigned(offset)];
const store =
  (opcode: Code): Store =>
  (at, value, offset = 0) => [...at, ...value, ...opcode, 0, ...unsigned(offset)];

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
/** Sets and gives the value at once. */
export const tee = (local: number, value: Code): Code => [...value, 0x22, ...unsigned(local)];
export const call = (index: number, ...operands: readonly Code[]): Code => [
  ...operands.flat(),
  0x10,
  ...unsigned(index),
];
/** Runs at least once, and again while `condition` is not 0. */
export const loop = (body: Code, condition: Code): Code => [0x03, 0x40, ...body, ...condition, 0x0d, 0, 0x0b];

export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const isBelow32: Two = two([0x49]);
export const add32: Two = two([0x6a]);
export const sub32: Two = two([0x6b]);
export const and32: Two = two([0x71]);
export const shr32: Two = two([0x76]);

export const i64 = (value: number): Code => [0x42, ...signed(value)];
export const add64: Two = two([0x7c]);
export const mul64: Two = two([0x7e]);
export const and64: Two = two([0x83]);
export const shr64: Two = two([0x88]);
export const widen: One = one([0xad]);
/** 32 bits of memory as 64. */
export const load32: Load = load([0x35]);
export const store32: Store = store([0x3e]);
export const store64: Store = store([0x37]);

export const loadVector: Load = load(simd(0));
/** The 32 bits there, in all four lanes. */
export const loadLanes: Load = load(simd(9));
export const storeVector: Store = store(simd(11));
export const vector = (...lanes: readonly number[]): Code => [
  ...simd(12),
  ...lanes.flatMap((lane) => [lane & 0xff, (lane >>> 8) & 0xff, (lane >>> 16) & 0xff, lane >>> 24]),
];
/** Four 32-bit lanes out of eight: 0 to 3 are those of `a`. */
export const pick =
  (...lanes: readonly number[]): Two =>
  (a, b) => [...a, ...b, ...simd(13), ...lanes.flatMap((lane) => [0, 1, 2, 3].map((octet) => 4 * lane + octet))];
export const xorVector: Two = two(simd(81));
export const orVector: Two = two(simd(80));
export const addLanes: Two = two(simd(174));
export const shlLanes: Two = two(simd(171));
export const shrLanes: Two = two(simd(173));
export const isAnySet: One = one(simd(83));

export interface Routine {
  /** Its name outside; without one it is only called from within. */
  readonly name?: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly locals: readonly number[];
  readonly body: Code;
}

const list = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const sized = (body: Code): Code => [...unsigned(body.length), ...body];
const section = (id: number, items: readonly Code[]): Code => [id, ...sized(list(items))];
const text = (characters: string): Code => list([...characters].map((one) => [one.charCodeAt(0)]));
const types = (of: readonly number[]): Code => list(of.map((type) => [type]));

/** A module with these routines, called by their place in the list, and one page (64 KiB) of memory that is seen as `memory`. */
export const assemble = (routines: readonly Routine[]): Uint8Array<ArrayBuffer> => {
  const named = routines.flatMap(({ name }, index) => (name === undefined ? [] : [[...text(name), 0, index]]));
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      routines.map(({ parameters, results }) => [0x60, ...types(parameters), ...types(results)]),
    ),
    ...section(
      3,
      routines.map((_, index) => unsigned(index)),
    ),
    ...section(5, [[1, 1, 1]]),
    ...section(7, [...named, [...text('memory'), 2, 0]]),
    ...section(
      10,
      routines.map(({ locals, body }) => sized([...list(locals.map((type) => [1, type])), ...body, 0x0b])),
    ),
  ]);
};

/** As much of WebAssembly as is used; Node's own types leave it out. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

export interface Instance {
  readonly memory: ArrayBuffer;
  readonly routine: (name: string) => (...operands: readonly number[]) => number;
}

/** undefined: this runtime has no WebAssembly, or not all of it that is used. */
export const instantiate = (bytes: Uint8Array): Instance | undefined => {
  const engine = (globalThis as { readonly WebAssembly?: Engine }).WebAssembly;
  if (engine === undefined) return undefined;
  try {
    const { exports } = new engine.Instance(new engine.Module(bytes));
    return {
      memory: (exports['memory'] as { readonly buffer: ArrayBuffer }).buffer,
      routine: (name) => exports[name] as (...operands: readonly number[]) => number,
    };
  } catch {
    return undefined;
  }
};
