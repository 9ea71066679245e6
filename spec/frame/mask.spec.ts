// Masking against the sentence of RFC 6455 section 5.3, octet by octet, in memory of both kinds: plain, and that of the vector unit.
import t from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { isAsciiSum, mask } from '../../lib/frame/mask.js';
import { simd } from '../../lib/frame/simd.js';

const rng = seedFromEnv('frame/mask');

/** j = i MOD 4; transformed[i] = original[i] XOR key[j] */
const slow = (bytes: Uint8Array, key: number, start: number, end: number, phase: number): Uint8Array => {
  const octets = [24, 16, 8, 0].map((shift) => (key >>> shift) & 255);
  return bytes.map((byte, i) => (i < start || i >= end ? byte : byte ^ (octets[(i - start + phase) & 3] as number)));
};

/** Memory for the bytes at any alignment, with a frame around it that must stay as it is. */
const places: readonly (readonly [name: string, place: (bytes: Uint8Array, at: number) => Uint8Array])[] = [
  [
    'memory of its own',
    (bytes, at) => {
      const room = new Uint8Array(at + bytes.length + 9);
      room.set(bytes, at);
      return room.subarray(at, at + bytes.length);
    },
  ],
  [
    'the memory of the vector unit',
    (bytes, at) => {
      const view = new Uint8Array((simd?.memory ?? new ArrayBuffer(100_000)) as ArrayBuffer, 64 + at, bytes.length);
      view.set(bytes);
      return view;
    },
  ],
  [
    'a large buffer',
    (bytes, at) => {
      const room = new Uint8Array((1 << 20) + 4 + bytes.length + at);
      room.set(bytes, at);
      return room.subarray(at, at + bytes.length);
    },
  ],
];

for (const [name, place] of places) {
  t.test(`in ${name}, every size, alignment, range and phase gives what the sentence says`, async (t) => {
    const rounds = name === 'a large buffer' ? 50 : 4000;
    for (let i = 0; i < rounds; i++) {
      const size = rng.int(2) === 0 ? rng.int(70) : rng.int(600);
      const original = rng.int(3) === 0 ? rng.bytes(size).map((byte) => byte & 0x7f) : rng.bytes(size);
      const key = rng.pick([0, 0xffffffff, 0x80000000, 0x01020304, Math.floor(rng.next() * 2 ** 32)]);
      const start = rng.int(Math.min(size, 9) + 1);
      const end = size - rng.int(Math.min(size - start, 9) + 1);
      const phase = rng.int(4);
      const bytes = place(original, rng.int(16));
      const sum = mask(bytes, key, start, end, phase);
      const want = slow(original, key, start, end, phase);
      if (Buffer.compare(bytes, want) !== 0) return t.fail(`size ${size}, ${start}-${end}, phase ${phase}, key ${key}`);
      const ascii = want.subarray(start, end).every((byte) => byte < 0x80);
      if (isAsciiSum(sum) !== ascii) return t.fail(`ASCII or not: size ${size}, seed ${rng.seed}`);
      mask(bytes, key, start, end, phase);
      if (Buffer.compare(bytes, original) !== 0) return t.fail('the same step unmasks');
    }
    return t.pass(`${rounds} of them`);
  });
}

t.test('a payload masked in pieces is the payload masked whole', async (t) => {
  const original = rng.bytes(5000);
  const whole = original.slice();
  mask(whole, 0x9abcdef0);
  const pieces = original.slice();
  for (let at = 0; at < pieces.length; ) {
    const size = Math.min(1 + rng.int(200), pieces.length - at);
    mask(pieces, 0x9abcdef0, at, at + size, at & 3);
    at += size;
  }
  t.strictSame(pieces, whole);
});

t.test('the vector unit is there on this machine, so that both ways are measured and tested', async (t) => {
  t.ok(simd !== undefined);
});

t.test('masking takes the same time for every octet', async (t) => {
  const sizes = [1024, 16_384, 262_144, 1 << 22, 1 << 24];
  const bytes = new Map(sizes.map((size) => [size, new Uint8Array(size)]));
  const { exponent } = await costCurve((size) => void mask(bytes.get(size) as Uint8Array, 0x37fa213d), sizes, {
    repeats: 3,
    floor: 2,
  });
  t.ok(exponent < 1.15, `size^${exponent.toFixed(2)}`);
});
