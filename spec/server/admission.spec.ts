import t from 'tap';
import { KeyedBuckets, TokenBucket } from '../../lib/bytes/rate.js';
import { Admission, type AdmissionLimits, type Seat } from '../../lib/server/admission.js';

const WIDE: AdmissionLimits = {
  total: Infinity,
  perAddress: Infinity,
  halfOpen: Infinity,
  halfOpenPerAddress: Infinity,
  pendingAuthorize: Infinity,
};

const seatOf = (found: ReturnType<Admission['arrive']>): Seat => {
  if (found.kind !== 'seat') throw new Error(`refused: ${found.code} ${found.detail}`);
  return found;
};

/** How many of `count` get in, and what the first one refused is told. */
const crowd = (
  admission: Admission,
  count: number,
  address: (i: number) => string | undefined,
  now = 0,
): readonly [Seat[], string | undefined] => {
  const seats: Seat[] = [];
  let told: string | undefined;
  for (let i = 0; i < count; i++) {
    const found = admission.arrive(address(i), now);
    if (found.kind === 'seat') seats.push(found);
    else told ??= `${found.code} ${found.detail}`;
  }
  return [seats, told];
};

const distinct = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

t.test('each limit refuses the one too many, with its own fault', (t) => {
  const rate = { perSecond: 1, burst: 3 };
  const table: readonly (readonly [Partial<AdmissionLimits>, (i: number) => string | undefined, string])[] = [
    [{ total: 3 }, distinct, 'WSD_UPGRADE_BUSY total'],
    [{ halfOpen: 3 }, distinct, 'WSD_UPGRADE_BUSY halfOpen'],
    [{ perAddress: 3 }, () => '192.0.2.1', 'WSD_UPGRADE_RATE perAddress'],
    [{ halfOpenPerAddress: 3 }, () => '192.0.2.1', 'WSD_UPGRADE_RATE halfOpenPerAddress'],
    [{ acceptRate: rate }, distinct, 'WSD_UPGRADE_BUSY acceptRate'],
    [{ acceptRatePerAddress: rate }, () => '192.0.2.1', 'WSD_UPGRADE_RATE acceptRatePerAddress'],
    [{ perAddress: 3 }, (i) => `2001:db8:1:2:${i.toString(16)}::1`, 'WSD_UPGRADE_RATE perAddress'],
    [{ perAddress: 3 }, (i) => (i % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1'), 'WSD_UPGRADE_RATE perAddress'],
  ];
  for (const [limits, address, expected] of table) {
    const [seats, told] = crowd(new Admission({ ...WIDE, ...limits }), 5, address);
    t.strictSame([seats.length, told], [3, expected], expected);
  }
  const [others] = crowd(new Admission({ ...WIDE, perAddress: 1 }), 5, (i) => `2001:db8:1:${i}::1`);
  t.equal(others.length, 5, 'another /64 is another subscriber');
  t.end();
});

t.test('a seat counts where it stands, and each step may be said twice', (t) => {
  const admission = new Admission({ ...WIDE, total: 10, pendingAuthorize: 1 });
  const counts = (): readonly number[] => {
    const { open, halfOpen, authorizing, addresses } = admission.counts();
    return [open, halfOpen, authorizing, addresses];
  };
  const first = seatOf(admission.arrive('192.0.2.1', 0));
  const second = seatOf(admission.arrive('192.0.2.1', 0));
  t.equal(first.key, '192.0.2.1');
  t.strictSame(counts(), [0, 2, 0, 1]);
  t.equal(first.authorize(), undefined);
  t.equal(first.authorize(), undefined);
  t.strictSame(counts(), [0, 2, 1, 1], 'authorising is half-open still');
  t.match(second.authorize(), { kind: 'fault', code: 'WSD_UPGRADE_BUSY', detail: 'pendingAuthorize' });
  first.settle();
  first.settle();
  t.strictSame(counts(), [1, 1, 0, 1]);
  t.equal(second.authorize(), undefined, 'there is room now');
  second.leave();
  second.leave();
  second.settle();
  t.equal(second.authorize(), undefined);
  t.strictSame(counts(), [1, 0, 0, 1], 'who leaves meanwhile leaves everything');
  first.leave();
  first.leave();
  t.strictSame(counts(), [0, 0, 0, 0], 'nothing is kept of an address that is gone');
  t.end();
});

t.test('who leaves makes room', (t) => {
  const admission = new Admission({ ...WIDE, total: 2, perAddress: 1, halfOpen: 1 });
  const first = seatOf(admission.arrive('192.0.2.1', 0));
  t.match(admission.arrive('192.0.2.2', 0), { code: 'WSD_UPGRADE_BUSY', detail: 'halfOpen' });
  first.settle();
  t.match(admission.arrive('192.0.2.1', 0), { code: 'WSD_UPGRADE_RATE' });
  const second = seatOf(admission.arrive('192.0.2.2', 0));
  t.match(admission.arrive('192.0.2.3', 0), { code: 'WSD_UPGRADE_BUSY', detail: 'total' });
  first.leave();
  second.settle();
  t.equal(admission.arrive('192.0.2.1', 0).kind, 'seat');
  t.end();
});

t.test('behind a proxy the client is counted once it is named', (t) => {
  const admission = new Admission({ ...WIDE, perAddress: 2, halfOpenPerAddress: 2 });
  const [seats] = crowd(admission, 4, () => undefined);
  t.equal(seats.length, 4, 'the proxy itself is no address');
  const [first, second, third, fourth] = seats as [Seat, Seat, Seat, Seat];
  t.equal(first.key, undefined);
  t.equal(first.claim('192.0.2.1', 0), undefined);
  t.equal(first.key, '192.0.2.1');
  second.settle();
  t.equal(second.claim('192.0.2.1', 0), undefined, 'an open one is named late');
  t.match(third.claim('::ffff:192.0.2.1', 0), { code: 'WSD_UPGRADE_RATE', detail: 'perAddress' });
  third.leave();
  t.throws(() => first.claim('192.0.2.9', 0), TypeError);
  fourth.leave();
  t.equal(fourth.claim('192.0.2.9', 0), undefined, 'too late to count');
  t.strictSame(admission.counts(), { open: 1, halfOpen: 1, authorizing: 0, addresses: 1 });
  first.leave();
  second.leave();
  t.strictSame(admission.counts(), { open: 0, halfOpen: 0, authorizing: 0, addresses: 0 });
  t.end();
});

t.test('one noisy address does not use up what all share', (t) => {
  const admission = new Admission({ ...WIDE, perAddress: 2, acceptRate: { perSecond: 1, burst: 4 } });
  crowd(admission, 1000, () => '192.0.2.1');
  const [others] = crowd(admission, 3, (i) => `198.51.100.${i}`);
  t.equal(others.length, 2);
  t.end();
});

t.test('leaving and coming back does not fill the bucket of an address', (t) => {
  const admission = new Admission({ ...WIDE, acceptRatePerAddress: { perSecond: 10, burst: 2 } });
  let admitted = 0;
  for (let now = 0; now < 1000; now += 10) {
    const found = admission.arrive('192.0.2.1', now);
    if (found.kind !== 'seat') continue;
    admitted++;
    found.leave();
  }
  t.ok(admitted === 11 || admitted === 12, `${admitted} of 100: the burst and ten a second`);
  t.equal(admission.counts().addresses, 0);
  t.end();
});

t.test('a random life of many seats ends with nothing counted', (t) => {
  let seed = 90_125;
  t.comment(`seed ${seed}`);
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  const limits = { total: 40, perAddress: 6, halfOpen: 20, halfOpenPerAddress: 4, pendingAuthorize: 5 };
  const admission = new Admission({ ...limits, acceptRate: { perSecond: 500, burst: 50 } });
  const seats: Seat[] = [];
  for (let now = 0; now < 5000; now++) {
    const seat = seats[below(seats.length || 1)];
    switch (below(5)) {
      case 0:
      case 1: {
        const found = admission.arrive(below(4) === 0 ? undefined : `192.0.2.${below(12)}`, now);
        if (found.kind === 'seat') seats.push(found);
        break;
      }
      case 2:
        seat?.authorize();
        if (seat?.key === undefined) seat?.claim(`192.0.2.${below(12)}`, now);
        break;
      case 3:
        seat?.settle();
        break;
      default:
        if (seat !== undefined) {
          seat.leave();
          seats.splice(seats.indexOf(seat), 1);
        }
    }
    const { open, halfOpen, authorizing, addresses } = admission.counts();
    const held =
      open + halfOpen === seats.length && seats.length <= 40 && halfOpen <= 20 && authorizing <= 5 && addresses <= 12;
    if (!held || authorizing < 0 || open < 0 || halfOpen < 0)
      t.fail(`at ${now}: ${open} ${halfOpen} ${authorizing} ${addresses}`);
  }
  for (const seat of seats) seat.leave();
  t.strictSame(admission.counts(), { open: 0, halfOpen: 0, authorizing: 0, addresses: 0 });
  t.end();
});

t.test('retries are spread over the time it takes to let them in', (t) => {
  const plain = new Admission({ ...WIDE, total: 1 });
  t.equal(plain.retryAfter(0, 0), 1);
  t.equal(plain.retryAfter(0, 0.999), 5);

  const admission = new Admission({ ...WIDE, acceptRate: { perSecond: 100, burst: 100 } });
  t.equal(admission.retryAfter(0, 0), 1, 'never 0');
  crowd(admission, 3100, distinct);
  t.equal(admission.retryAfter(0, 0), 1);
  t.equal(admission.retryAfter(0, 0.9999), 30, '3,000 sent away at 100 a second');
  t.equal(admission.retryAfter(20_000, 0.9999), 10, 'a third of them is left');
  t.equal(admission.retryAfter(3_600_000, 0.9999), 5, 'an hour later none');

  const slow = new Admission({ ...WIDE, acceptRate: { perSecond: 0.001, burst: 1 } });
  crowd(slow, 50, distinct);
  t.equal(slow.retryAfter(0, 0.5), 120, 'there is an end to it');
  const storm = new Admission({ ...WIDE, acceptRate: { perSecond: 10, burst: 1 } });
  crowd(storm, 100_000, distinct);
  const answers = new Set(Array.from({ length: 500 }, (_, i) => storm.retryAfter(0, i / 500)));
  t.equal(answers.size, 120, 'and up to there no second is preferred');
  t.equal(Math.max(...answers), 120);
  t.end();
});

t.test('limits that admit nobody are refused', (t) => {
  for (const name of ['total', 'perAddress', 'halfOpen', 'halfOpenPerAddress', 'pendingAuthorize'] as const) {
    for (const value of [0, -1, Number.NaN])
      t.throws(() => new Admission({ ...WIDE, [name]: value }), RangeError, `${name} ${value}`);
  }
  t.throws(() => new Admission({ ...WIDE, acceptRate: { perSecond: 0, burst: 1 } }), RangeError);
  t.throws(() => new Admission({ ...WIDE, acceptRatePerAddress: { perSecond: 1, burst: 0 } }), RangeError);
  t.end();
});

t.test('a bucket gives its burst at once and then its rate', (t) => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 });
  t.strictSame(
    [1, 2, 3, 4].map(() => bucket.take(1, 1000)),
    [true, true, true, false],
  );
  t.equal(bucket.delay(1000), 100);
  t.equal(bucket.take(1, 1099), false);
  t.equal(bucket.take(1, 1100), true);
  t.equal(bucket.take(1, 900), false, 'a clock that steps back gives nothing');
  t.equal(bucket.delay(1100, 3), 300);
  t.equal(bucket.take(3, 1400), true);
  t.equal(bucket.take(3, 1_000_000), true);
  t.equal(bucket.take(1, 1_000_000), false, 'a long rest fills it to the burst only');
  t.equal(bucket.take(0, 1_000_000), true, 'nothing costs nothing');

  const bytes = new TokenBucket({ perSecond: 1000, burst: 500 });
  t.equal(bytes.take(1, 0), true);
  t.equal(bytes.take(2000, 0), false, 'more than the burst waits for a full bucket');
  t.equal(bytes.delay(0, 2000), 1);
  t.equal(bytes.take(2000, 1), true);
  t.equal(bytes.delay(1), 1501, 'and is paid back at the rate');

  for (const perSecond of [3, 7, 1 / 3, 99.9, 12_345]) {
    const odd = new TokenBucket({ perSecond, burst: 1 });
    let now = 0.1;
    for (let i = 0; i < 200; i++) {
      now += odd.delay(now);
      if (!odd.take(1, now)) t.fail(`${perSecond}: what delay() promised at ${now}`);
    }
    t.ok(now >= (199 * 1000) / perSecond - 1, `${perSecond} a second is not exceeded`);
  }
  for (const rate of [
    { perSecond: 0, burst: 1 },
    { perSecond: Infinity, burst: 1 },
    { perSecond: Number.NaN, burst: 1 },
    { perSecond: 1, burst: 0.5 },
    { perSecond: 1, burst: Infinity },
  ]) {
    t.throws(() => new TokenBucket(rate), RangeError);
  }
  t.end();
});

t.test('buckets of many keys stay bounded and forget only the full ones', (t) => {
  const buckets = new KeyedBuckets({ perSecond: 1, burst: 2 }, 100);
  t.equal(buckets.take('a', 0), true);
  t.equal(buckets.take('a', 0), true);
  t.equal(buckets.take('a', 0), false);
  t.equal(buckets.take('b', 2500), true, 'the generations change');
  t.equal(buckets.take('a', 2500), true);
  t.equal(buckets.take('a', 2500), true);
  t.equal(buckets.take('a', 2500), false, 'two came back in 2.5 seconds, not more');
  t.equal(buckets.take('a', 4400), true);
  t.equal(buckets.take('a', 4400), false);
  t.equal(buckets.take('c', 60_000), true);
  t.equal(buckets.size, 1, 'a quiet time leaves nothing behind');
  for (let i = 0; i < 10_000; i++) buckets.take(`key ${i}`, 60_000);
  t.ok(buckets.size <= 200, `${buckets.size} of 10,000 keys`);
  t.throws(() => new KeyedBuckets({ perSecond: 1, burst: 1 }, 0), RangeError);
  t.end();
});
