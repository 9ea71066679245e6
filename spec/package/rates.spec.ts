// How often who has sent what: a bucket for each sender and scope, kept for all connections and not for ever. lib/package/PROTOCOL.md section 8.4.
import t from 'tap';
import { Rates } from '../../lib/package/rates.js';

const LIMIT = { perSecond: 1, burst: 2 };

t.test('each sender has a bucket for each scope', async (t) => {
  const rates = new Rates();
  const take = (from: string, scope: number, now = 0): number => rates.take(from, scope, LIMIT, now);
  t.strictSame([take('a', 1), take('a', 1), take('a', 1)], [0, 0, 1000]);
  t.strictSame([take('b', 1), take('a', 2), take('a', Rates.UNDECLARED)], [0, 0, 0]);
  t.strictSame([rates.delay('a', 1, 0), rates.delay('b', 1, 0), rates.delay('c', 1, 0)], [1000, 0, 0]);
  t.equal(take('a', 1, 1000), 0);
  t.equal(rates.take('z', 1, undefined, 0), 0, 'no limit');
  t.equal(rates.size, 4, 'and nothing to remember');
});

t.test('a bucket that is full again is forgotten, and others only when there are too many', async (t) => {
  const rates = new Rates(100);
  for (let i = 0; i < 1_000; i++) rates.take(`gone-${i}`, 1, LIMIT, i * 10_000);
  t.ok(rates.size < 5, `${rates.size} of those who have gone`);
  const crowd = new Rates(100);
  for (let i = 0; i < 1_000; i++) crowd.take(`here-${i}`, 1, LIMIT, 0);
  t.equal(crowd.size, 100);
  t.equal(crowd.take('here-999', 1, LIMIT, 0), 0);
  t.equal(crowd.take('here-999', 1, LIMIT, 0), 1000, 'the newest are known');
  t.throws(() => new Rates(0), RangeError);
});

t.test('a scope that is declared anew has its new limit at once', async (t) => {
  const rates = new Rates();
  t.strictSame([rates.take('a', 1, { ...LIMIT }, 0), rates.take('a', 1, { ...LIMIT }, 0)], [0, 0]);
  t.equal(rates.take('a', 1, { ...LIMIT }, 0), 1000, 'the same limit said again changes nothing');
  t.equal(rates.take('a', 1, { perSecond: 10, burst: 1 }, 0), 0);
  t.equal(rates.take('a', 1, { perSecond: 10, burst: 1 }, 0), 100);
});

t.test('the general limit is not for what keeps a document to one owner', async (t) => {
  const limited = [0, 1, 2, 100, 101, 102, 103, 104, 1000].filter((scope) => Rates.general(scope, LIMIT) !== undefined);
  t.strictSame(limited, [2, 100, 1000]);
});
