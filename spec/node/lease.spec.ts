// The lease of a node on a clock that a spec moves: when it gives signs of life, and that it always stops before the dispatch may think it gone,
// whatever is lost or late in either direction. PROTOCOL.md section 9.1.

import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { Lease } from '../../lib/node/lease.js';

interface Told {
  pings: number[];
  fenced: number[];
}

const leaseOf = (ms: number, holds = true): { lease: Lease; told: Told; run: (from: number, to: number) => void } => {
  const told: Told = { pings: [], fenced: [] };
  let now = 0;
  let held = holds;
  const lease = new Lease(ms, {
    ping: () => told.pings.push(now),
    fenced: () => {
      held = false;
      told.fenced.push(now);
    },
    holds: () => held,
  });
  return {
    lease,
    told,
    run: (from, to) => {
      now = from;
      for (;;) {
        const due = Math.max(now, lease.deadline());
        if (due > to) break;
        now = due;
        const before = told.pings.length + told.fenced.length;
        lease.tick(now);
        if (told.pings.length + told.fenced.length === before) throw new Error(`nothing was due at ${now}`);
      }
      now = to;
    },
  };
};

t.test('a sign of life thrice a lease, one at a time, and none without a connection', (test) => {
  const { lease, told, run } = leaseOf(15_000, false);
  test.equal(lease.deadline(), Number.POSITIVE_INFINITY, 'not before there is a connection');
  lease.prove(1_000);
  lease.up();
  run(1_000, 6_500);
  test.strictSame(told.pings, [6_000]);
  run(6_500, 20_000);
  test.strictSame(told.pings, [6_000], 'nothing more while it is not answered');
  lease.prove(6_000);
  lease.answered();
  run(20_000, 20_000);
  test.strictSame(told.pings, [6_000, 20_000], 'what is overdue comes at once');
  lease.answered();
  run(20_000, 25_100);
  test.strictSame(told.pings, [6_000, 20_000, 25_000], 'one without a good answer is followed by the next');
  lease.down();
  test.equal(lease.deadline(), Number.POSITIVE_INFINITY);
  lease.prove(30_000);
  lease.up();
  run(30_000, 36_000);
  test.strictSame(told.pings, [6_000, 20_000, 25_000, 35_000], 'another connection begins afresh');
  lease.prove(33_000);
  lease.answered();
  test.equal(lease.deadline(), 40_000, 'whatever was answered is a sign of life');
  lease.prove(32_000);
  test.equal(lease.end, 33_000 + 14_500, 'an older one takes nothing back');
  test.end();
});

t.test('what is owned is safe for a lease from what was answered, less a thirtieth', (test) => {
  const { lease, told, run } = leaseOf(15_000);
  lease.prove(1_000);
  test.equal(lease.end, 15_500);
  test.equal(lease.isOver(15_499), false);
  test.equal(lease.isOver(15_500), true);
  run(1_000, 20_000);
  test.strictSame(told.fenced, [15_500], 'once');
  const late = leaseOf(15_000);
  late.lease.prove(0);
  late.run(60_000, 60_000);
  test.strictSame(late.told.fenced, [60_000], 'a process that slept hears of it first of all');
  const never = leaseOf(15_000);
  test.equal(never.lease.isOver(0), true, 'nothing proven, nothing owned');
  test.end();
});

t.test('it never outlasts the lease at the dispatch: 2,000 seeded lines that lose and delay', (test) => {
  const rng = seedFromEnv('lease');
  let fences = 0;
  for (let round = 0; round < 2_000; round++) {
    const LEASE = 1_000;
    const { lease, told } = leaseOf(LEASE);
    /** At the dispatch. */
    let heardAt = 0;
    const onTheWay: { at: number; run: () => void }[] = [];
    const delay = (): number => rng.int(rng.int(4) === 0 ? 900 : 60);
    const lost = (): boolean => rng.int(10) < round % 7;
    let now = 0;
    lease.prove(0);
    lease.up();
    while (told.fenced.length === 0 && now < 8_000) {
      now += 1;
      const due = onTheWay.filter(({ at }) => at <= now);
      for (const one of due) {
        onTheWay.splice(onTheWay.indexOf(one), 1);
        one.run();
      }
      if (lease.deadline() > now) continue;
      const pings = told.pings.length;
      lease.tick(now);
      if (told.pings.length === pings) continue;
      const sentAt = now;
      // It is dialled again when there is no answer: then the next one is sent.
      onTheWay.push({ at: now + lease.beat, run: () => lease.answered() });
      if (lost()) continue;
      onTheWay.push({
        at: now + delay(),
        run: () => {
          heardAt = now;
          if (!lost()) onTheWay.push({ at: now + delay(), run: () => lease.prove(sentAt) });
        },
      });
    }
    if (told.fenced.length === 0) continue;
    fences++;
    if (now >= heardAt + LEASE) test.fail(`round ${round}: it stopped at ${now}, heard last at ${heardAt}`);
  }
  test.ok(fences > 500, `${fences} of them ended`);
  test.end();
});
