// Memory that is lent and passed on: used again when the last holder is done, and not a moment before.
import t from 'tap';
import { endLoan, hold, lend, markRestless, own, recycle } from '../../lib/bytes/loans.js';
import { giveMemory, takeMemory } from '../../lib/bytes/spares.js';

const MIB = 1024 * 1024;

/** Whether the next one who needs memory of this size gets this one. */
const isFree = (memory: Buffer): boolean => {
  const next = takeMemory(memory.length);
  if (next.buffer !== memory.buffer) giveMemory(next);
  return next.buffer === memory.buffer;
};

t.test('what nobody held is free when the loan ends', async (t) => {
  const memory = takeMemory(3 * MIB);
  const loan = lend(memory);
  t.notOk(isFree(memory));
  endLoan(loan);
  t.ok(isFree(memory));
});

t.test('what was passed on is free when the last holder is done, in whatever order', async (t) => {
  const memory = takeMemory(5 * MIB);
  const loan = lend(memory);
  const [whole, part] = [memory.subarray(0), memory.subarray(MIB, 2 * MIB)];
  t.ok(hold(whole));
  t.ok(hold(part));
  t.ok(hold(part), 'to two receivers');
  recycle([part]);
  endLoan(loan);
  t.notOk(isFree(memory));
  recycle([new Uint8Array(1), part]);
  t.notOk(isFree(memory));
  recycle([whole]);
  t.ok(isFree(memory));
});

t.test('a holder that is done before the lender', async (t) => {
  const memory = takeMemory(7 * MIB);
  const loan = lend(memory);
  t.ok(hold(memory));
  recycle([memory]);
  t.notOk(isFree(memory));
  endLoan(loan);
  t.ok(isFree(memory));
});

t.test('a loan within a loan: both are counted', async (t) => {
  const [outer, inner] = [takeMemory(13 * MIB), takeMemory(17 * MIB)];
  const first = lend(outer);
  const second = lend(inner);
  t.ok(hold(outer), 'lent before, and still');
  endLoan(second);
  t.ok(isFree(inner));
  const part = outer.subarray(10);
  t.ok(hold(part));
  endLoan(first);
  recycle([outer]);
  t.notOk(isFree(outer));
  recycle([part]);
  t.ok(isFree(outer));
});

t.test("anybody's own bytes may be held, and are nobody else's afterwards", async (t) => {
  const mine = Buffer.allocUnsafeSlow(9 * MIB);
  t.ok(hold(mine));
  recycle([mine]);
  t.notOk(isFree(mine));
  const tail = Buffer.allocUnsafeSlow(11 * MIB);
  own(tail);
  recycle([tail]);
  t.ok(isFree(tail), 'unless they were made for this');
});

t.test('memory that is written again whatever happens is never held', async (t) => {
  const memory = Buffer.allocUnsafeSlow(MIB);
  markRestless(memory.buffer);
  t.notOk(hold(memory));
  t.notOk(hold(memory.subarray(10, 20)));
  const loan = lend(memory);
  t.notOk(hold(memory), 'lent or not');
  endLoan(loan);
});
