import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { nearest, numberOf, sequenceOf, vectorOf } from '../../lib/packet/number.js';
import { LAST_NUMBER } from '../../lib/packet/wire.js';

t.test('a Sequence ID is the number nearest to the next one (PROTOCOL.md 11.5)', async (t) => {
  const cases: readonly (readonly [sequence: number, next: number, number: number])[] = [
    [0x0000, 0x0, 0x0],
    [0xffff, 0x10000, 0xffff],
    [0x0000, 0xffff, 0x10000],
    [0xffff, 0x5, 0xffff],
    [0x0000, 0x18000, 0x20000],
    [0x0001, 0x18000, 0x10001],
    [0x7fff, 0x1ffff, 0x27fff],
    [0x8000, 0x10000, 0x18000],
    [0x8001, 0x10000, 0x8001],
    // clear sessions go on where sealed ones must end
    [0x0000, 2 ** 32 - 1, 2 ** 32],
    [0xffff, 2 ** 32, 2 ** 32 - 1],
    [0x0003, 2 ** 48 + 1, 2 ** 48 + 3],
  ];
  for (const [sequence, next, number] of cases) {
    t.equal(nearest(sequence, next), number, `${sequence.toString(16)} at ${next.toString(16)}`);
  }
});

t.test('every number within half the span of the next one comes back', async (t) => {
  const random = seedFromEnv('nearest');
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) {
    const next = Math.floor(random.next() * random.pick([2 ** 17, 2 ** 32, 2 ** 48]));
    const number = Math.max(0, next - 0x7fff + random.int(0xffff));
    if (nearest(sequenceOf(number), next) !== number) wrong++;
  }
  t.equal(wrong, 0);
});

t.test('of two numbers equally near the higher one is meant', async (t) => {
  t.equal(nearest(0, 0x18000), 0x20000);
  t.equal(nearest(0x7fff, 0xffff), 0x17fff);
});

t.test('the two halves of a number carry it whole', async (t) => {
  for (const number of [0, 1, 0xffff, 0x10000, 0x10003, 0xffffff, 2 ** 31, LAST_NUMBER, 2 ** 32 - 1]) {
    t.equal(numberOf(vectorOf(number), sequenceOf(number)), number, String(number));
  }
  t.equal(vectorOf(LAST_NUMBER), 0xffff);
  t.equal(sequenceOf(LAST_NUMBER), 0);
  t.equal(sequenceOf(2 ** 40 + 5), 5, 'a clear session counts on');
});
