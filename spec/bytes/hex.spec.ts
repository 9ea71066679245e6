import t from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { fromHex, toHex } from '../../lib/bytes/hex.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

t.test('what people paste as hexadecimal is read', async (t) => {
  const cases: readonly (readonly [text: string, expected: Uint8Array | undefined])[] = [
    ['', bytes()],
    ['  \t\r\n', bytes()],
    ['00ff10', bytes(0, 255, 16)],
    ['DE ad\nbe\tEF', bytes(0xde, 0xad, 0xbe, 0xef)],
    ['0x81 0x05', bytes(0x81, 5)],
    ['0X8105', bytes(0x81, 5)],
    ['81:05:48', bytes(0x81, 5, 0x48)],
    ['81-05, 48', bytes(0x81, 5, 0x48)],
    ['8', undefined],
    ['8 1', undefined],
    ['81 0', undefined],
    ['8g', undefined],
    ['zz', undefined],
    ['81 @0', undefined],
    ['0x8', undefined],
    ['8`', undefined],
    ['\u0661\u0661', undefined],
  ];
  for (const [text, expected] of cases) t.strictSame(fromHex(text), expected, JSON.stringify(text));
});

t.test('bytes become hexadecimal and bytes again, also from the middle of a buffer', async (t) => {
  const rng = seedFromEnv('bytes/hex');
  for (let i = 0; i < 200; i++) {
    const memory = rng.bytes(rng.int(60));
    const part = memory.subarray(rng.int(5));
    t.strictSame(new Uint8Array(fromHex(toHex(part)) as Uint8Array), new Uint8Array(part));
  }
});

t.test('reading takes the same time for every digit', async (t) => {
  const sizes = [1024, 16_384, 262_144, 1 << 22];
  const texts = new Map(sizes.map((size) => [size, 'a5 '.repeat(size / 3)]));
  const { exponent } = await costCurve((size) => void fromHex(texts.get(size) as string), sizes, { repeats: 3 });
  t.ok(exponent < 1.15, `size^${exponent.toFixed(2)}`);
});
