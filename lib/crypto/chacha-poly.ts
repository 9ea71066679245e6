// ChaCha20-Poly1305 (RFC 8439) as a WebAssembly module: a packet is sealed or opened in one call, in memory of the module, four blocks of key
// stream at a time. Node's cipher objects make each packet pay for a cipher context, several objects and their collection; this pays for two
// copies. Only additions, XORs, shifts and 64-bit products, no look-up and no branch by a secret, so the time tells sizes alone.
// Knows neither keys' owners nor packets: node-aead.ts puts things into the memory and takes them out.

import {
  add32,
  add64,
  addLanes,
  and32,
  and64,
  assemble,
  type Code,
  call,
  get,
  i32,
  i64,
  isAnySet,
  isBelow32,
  load32,
  loadLanes,
  loadVector,
  loop,
  mul64,
  orVector,
  pick,
  type Routine,
  set,
  shlLanes,
  shr32,
  shr64,
  shrLanes,
  store32,
  store64,
  storeVector,
  sub32,
  TYPE,
  tee,
  vector,
  widen,
  xorVector,
} from './assembler.js';

/** The longest plaintext, and the longest additional data (one block of Poly1305). */
export const MOST_PLAIN = 4096;
export const MOST_AAD = 16;

/** Where things lie. `aad` is followed by zeros up to 16 octets; `data` is the input, and the output of `seal`; `plain` that of `open`. */
export const AT = { key: 0, nonce: 32, aad: 48, tag: 64, data: 256, plain: 4864 } as const;

const { i32: I32, i64: I64, v128: V128 } = TYPE;
const SIXTEEN = Array.from({ length: 16 }, (_, index) => index);
const FOUR = [0, 1, 2, 3];

// (stream $from $to $groups): XORs the key stream, from block 0 on, with what lies at $from into $to, in groups of four blocks.
// Local x(i) holds word i of the state for four blocks, one in each lane.

const FROM = 0;
const TO = 1;
const GROUPS = 2;
const x = (index: number): number => 3 + index;
const COUNTERS = 19;
const ROUNDS = 20;
const HELD = 21;

/** RFC 8439 section 2.1. */
const rotate = (value: Code, bits: number): Code =>
  orVector(shlLanes(tee(HELD, value), i32(bits)), shrLanes(get(HELD), i32(32 - bits)));

const quarterRound = (a: number, b: number, c: number, d: number): Code =>
  (
    [
      [a, b, d, 16],
      [c, d, b, 12],
      [a, b, d, 8],
      [c, d, b, 7],
    ] as const
  ).flatMap(([sum, term, turned, bits]) => [
    ...set(x(sum), addLanes(get(x(sum)), get(x(term)))),
    ...set(x(turned), rotate(xorVector(get(x(turned)), get(x(sum))), bits)),
  ]);

/** Section 2.3: four column rounds, four diagonal rounds. */
const DOUBLE_ROUND: Code = [
  ...FOUR.flatMap((i) => quarterRound(i, 4 + i, 8 + i, 12 + i)),
  ...FOUR.flatMap((i) => quarterRound(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))),
];

/** Section 2.3: constants, key, block counter, nonce. */
const initial = (index: number): Code => {
  if (index < 4) {
    const word = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574][index] as number;
    return vector(word, word, word, word);
  }
  if (index === 12) return get(COUNTERS);
  return loadLanes(i32(index < 12 ? AT.key + 4 * (index - 4) : AT.nonce + 4 * (index - 13)));
};

/** Words 4k to 4k + 3 of four blocks: from a word a vector to a block a vector, and out. */
const writeWords = (k: number): Code => {
  const [a, b, c, d] = [x(4 * k), x(4 * k + 1), x(4 * k + 2), x(4 * k + 3)];
  const low = pick(0, 4, 1, 5);
  const high = pick(2, 6, 3, 7);
  const lower = pick(0, 1, 4, 5);
  const upper = pick(2, 3, 6, 7);
  const write = (block: number, words: Code): Code =>
    storeVector(get(TO), xorVector(loadVector(get(FROM), 64 * block + 16 * k), words), 64 * block + 16 * k);
  return [
    ...set(HELD, low(get(a), get(b))),
    ...set(b, high(get(a), get(b))),
    ...set(a, low(get(c), get(d))),
    ...set(d, high(get(c), get(d))),
    ...write(0, lower(get(HELD), get(a))),
    ...write(1, upper(get(HELD), get(a))),
    ...write(2, lower(get(b), get(d))),
    ...write(3, upper(get(b), get(d))),
  ];
};

const STREAM: Routine = {
  parameters: [I32, I32, I32],
  results: [],
  locals: [...SIXTEEN.map(() => V128), V128, I32, V128],
  body: [
    ...set(COUNTERS, vector(0, 1, 2, 3)),
    ...loop(
      [
        ...SIXTEEN.flatMap((i) => set(x(i), initial(i))),
        ...set(ROUNDS, i32(10)),
        ...loop([...DOUBLE_ROUND, ...set(ROUNDS, sub32(get(ROUNDS), i32(1)))], get(ROUNDS)),
        ...SIXTEEN.flatMap((i) => set(x(i), addLanes(get(x(i)), initial(i)))),
        ...FOUR.flatMap(writeWords),
        ...set(COUNTERS, addLanes(get(COUNTERS), vector(4, 4, 4, 4))),
        ...set(FROM, add32(get(FROM), i32(256))),
        ...set(TO, add32(get(TO), i32(256))),
        ...set(GROUPS, sub32(get(GROUPS), i32(1))),
      ],
      get(GROUPS),
    ),
  ],
};

// (authenticate $size $aadSize $oneTimeKey): the tag over the additional data before AT.data and the ciphertext there, to AT.tag.
// Numbers of 130 bits are five limbs of 32; a clamped r leaves room for the sums (section 2.5).

const SIZE = 0;
const AAD_SIZE = 1;
const ONE_TIME_KEY = 2;
const CURSOR = 3;
const END = 4;
const r = (limb: number): number => 5 + limb;
/** r / 4 · 5: what a product's part beyond 2^130 is worth, as 2^130 = 5. */
const folded = (limb: number): number => 9 + limb;
const h = (limb: number): number => 13 + limb;
const s = (limb: number): number => 18 + limb;
const product = (limb: number): number => 23 + limb;
const TOP = 27;
const CARRY = 28;

const low32 = (value: Code): Code => and64(value, i64(0xffffffff));
const high32 = (value: Code): Code => shr64(value, i64(32));
const sum = (first: Code, ...terms: readonly Code[]): Code => terms.reduce(add64, first);
/** Up to a whole block of 16. */
const whole = (size: Code): Code => and32(add32(size, i32(15)), i32(-16));

/** The part of s · r that has the weight 2^(32 limb). */
const multiply = (limb: number): Code =>
  sum(
    mul64(get(s(4)), get(folded(limb))),
    ...FOUR.map((i) => mul64(get(s(i)), get(i <= limb ? r(limb - i) : folded(4 + limb - i)))),
  );

const BLOCK: Code = [
  // Section 2.5.1: the block with a one behind it, added; each block here is whole.
  ...FOUR.flatMap((i) => set(s(i), add64(get(h(i)), load32(get(CURSOR), 4 * i)))),
  ...set(s(4), add64(get(h(4)), i64(1))),
  ...FOUR.flatMap((i) => set(product(i), multiply(i))),
  ...set(TOP, add64(mul64(get(s(4)), and64(get(r(0)), i64(3))), high32(get(product(3))))),
  ...set(CARRY, add64(mul64(shr64(get(TOP), i64(2)), i64(5)), low32(get(product(0))))),
  ...set(h(0), low32(get(CARRY))),
  ...[1, 2, 3].flatMap((i) => [
    ...set(CARRY, sum(high32(get(CARRY)), low32(get(product(i))), high32(get(product(i - 1))))),
    ...set(h(i), low32(get(CARRY))),
  ]),
  ...set(h(4), add64(high32(get(CARRY)), and64(get(TOP), i64(3)))),
];

const AUTHENTICATE: Routine = {
  // Seen outside only so that its arithmetic can be tried with one-time keys that no nonce gives.
  name: 'authenticate',
  parameters: [I32, I32, I32],
  results: [],
  locals: [I32, I32, ...new Array<number>(24).fill(I64)],
  body: [
    ...[0x0fffffff, 0x0ffffffc, 0x0ffffffc, 0x0ffffffc].flatMap((clamp, i) =>
      set(r(i), and64(load32(get(ONE_TIME_KEY), 4 * i), i64(clamp))),
    ),
    ...FOUR.flatMap((i) => set(folded(i), mul64(shr64(get(r(i)), i64(2)), i64(5)))),
    // Section 2.8.1: padding, and the two lengths behind it.
    ...storeVector(get(SIZE), vector(0, 0, 0, 0), AT.data),
    ...set(END, whole(get(SIZE))),
    ...store64(get(END), widen(get(AAD_SIZE)), AT.data),
    ...store64(get(END), widen(get(SIZE)), AT.data + 8),
    ...set(END, add32(get(END), i32(AT.data + 16))),
    ...set(CURSOR, sub32(i32(AT.data), whole(get(AAD_SIZE)))),
    ...loop([...BLOCK, ...set(CURSOR, add32(get(CURSOR), i32(16)))], isBelow32(get(CURSOR), get(END))),
    // One last time modulo 2^130 - 5: h + 5 reaches 2^130 exactly when h is not below the modulus.
    ...set(CARRY, add64(i64(5), get(h(0)))),
    ...[1, 2, 3, 4].flatMap((i) => set(CARRY, add64(high32(get(CARRY)), get(h(i))))),
    ...set(CARRY, mul64(shr64(get(CARRY), i64(2)), i64(5))),
    ...FOUR.flatMap((i) => [
      ...set(CARRY, sum(get(CARRY), get(h(i)), load32(get(ONE_TIME_KEY), 16 + 4 * i))),
      ...store32(i32(AT.tag), get(CARRY), 4 * i),
      ...set(CARRY, high32(get(CARRY))),
    ]),
  ],
};

// (seal $size $aadSize) and (open $size $aadSize) → whether the tag behind the ciphertext is wrong. Block 0 of the key stream, the one-time
// key (section 2.6), falls on the 64 octets before the data: zeros go in. In `open` the output lies elsewhere, so that the
// ciphertext is still there to be authenticated; nobody looks at the output when the tag is wrong.

const BEFORE = 64;
const begin = (to: number): Code => [
  ...FOUR.flatMap((i) => storeVector(i32(AT.data - BEFORE), vector(0, 0, 0, 0), 16 * i)),
  ...call(0, i32(AT.data - BEFORE), i32(to - BEFORE), shr32(add32(get(SIZE), i32(BEFORE + 255)), i32(8))),
];
const authenticate = (oneTimeKey: number): Code => [
  ...storeVector(i32(AT.data - MOST_AAD), loadVector(i32(AT.aad))),
  ...call(1, get(SIZE), get(AAD_SIZE), i32(oneTimeKey)),
];

const SEAL: Routine = {
  name: 'seal',
  parameters: [I32, I32],
  results: [],
  locals: [],
  body: [
    ...begin(AT.data),
    ...authenticate(AT.data - BEFORE),
    ...storeVector(get(SIZE), loadVector(i32(AT.tag)), AT.data),
  ],
};

const GIVEN_TAG = 2;
const OPEN: Routine = {
  name: 'open',
  parameters: [I32, I32],
  results: [I32],
  locals: [V128],
  body: [
    ...begin(AT.plain),
    ...set(GIVEN_TAG, loadVector(get(SIZE), AT.data)),
    ...authenticate(AT.plain - BEFORE),
    ...isAnySet(xorVector(get(GIVEN_TAG), loadVector(i32(AT.tag)))),
  ],
};

export const chachaPolyModule = (): Uint8Array<ArrayBuffer> => assemble([STREAM, AUTHENTICATE, SEAL, OPEN]);
