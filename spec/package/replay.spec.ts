// Ids of tokens and their memory: what was received is never received twice while it holds, what was not is never called a replay, and the
// memory is bounded for counting issuers, for random ones and for hostile ones.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { isJti } from '../../lib/package/identifier.js';
import { JtiSource } from '../../lib/package/jti.js';
import { ReplayCache } from '../../lib/package/replay.js';

const random = seedFromEnv('replay');
const NOW = 1_700_000_000;
const ms = (seconds: number): number => seconds * 1000;

const take = (cache: ReplayCache, jti: string, { iss = 'svc-a', exp = NOW + 60, now = NOW } = {}): string =>
  cache.take(iss, jti, exp, ms(now))?.code ?? 'new';

t.test('ids are valid, all different, and count up under one prefix', async (t) => {
  const source = new JtiSource((size) => random.bytes(size));
  const ids = Array.from({ length: 10_000 }, () => source.next());
  t.ok(ids.every(isJti));
  t.equal(new Set(ids).size, ids.length);
  t.equal(new Set(ids.map((id) => id.slice(0, -6))).size, 1);
  t.equal(new Set(ids.map((id) => id.length)).size, 1, 'all of one length');
  t.strictSame(
    ids.slice(0, 3).map((id) => id.slice(-6)),
    ['AAAAAA', 'AAAAAB', 'AAAAAC'],
  );
  t.equal(ids[64]?.slice(-6), 'AAAABA', 'the carry');
  t.equal(ids[4096]?.slice(-6), 'AAABAA', 'the carry of the carry');
  const other = new JtiSource((size) => random.bytes(size));
  t.not(other.next().slice(0, -6), ids[0]?.slice(0, -6), 'another source has another prefix');
});

t.test('after the last count comes another prefix, and the memory goes on', async (t) => {
  const source = new JtiSource((size) => random.bytes(size), 64 ** 6 - 64);
  const ids = Array.from({ length: 200 }, () => source.next());
  t.equal(ids[63]?.slice(-6), '______', 'the last');
  t.equal(ids[64]?.slice(-6), 'AAAAAA', 'the first again');
  t.equal(new Set(ids).size, 200);
  t.equal(new Set(ids.map((id) => id.slice(0, -6))).size, 2);
  const cache = new ReplayCache(0);
  t.ok(ids.every((id) => take(cache, id) === 'new'));
  t.ok(ids.every((id) => take(cache, id) === 'replayed'));
  t.equal(cache.size, 2);
});

t.test('a hundred thousand ids of one source are one run, and each of them is known', async (t) => {
  const source = new JtiSource((size) => random.bytes(size));
  const cache = new ReplayCache(0);
  const ids = Array.from({ length: 100_000 }, () => source.next());
  for (const id of ids) if (take(cache, id) !== 'new') t.fail(`${id} is not new`);
  t.equal(cache.size, 1);
  for (const id of ids) if (take(cache, id) !== 'replayed') t.fail(`${id} is not known`);
});

t.test('however a run arrives, it ends as one, and every id is taken once', async (t) => {
  for (let round = 0; round < 200; round++) {
    const source = new JtiSource((size) => random.bytes(size));
    const ids = Array.from({ length: 1 + random.int(100) }, () => source.next());
    const mixed = ids.map((id) => ({ id, at: random.next() })).sort((a, b) => a.at - b.at);
    const cache = new ReplayCache(0);
    for (const { id } of mixed) {
      if (take(cache, id) !== 'new') t.fail(`${id} is not new, seed ${random.seed}`);
      if (take(cache, id) !== 'replayed') t.fail(`${id} passes twice, seed ${random.seed}`);
    }
    if (cache.size !== 1) t.fail(`${cache.size} runs, seed ${random.seed}`);
  }
});

t.test('beside a plain set of ids: the same answers while they hold, in bounded memory', async (t) => {
  const tally = new Map<string, number>();
  for (let round = 0; round < 40; round++) {
    const cache = new ReplayCache(0, { perIssuer: 40, total: 100 });
    /** What was accepted, and until when it counts. */
    const accepted = new Map<string, number>();
    let now = NOW;
    for (let step = 0; step < 1_500; step++) {
      if (random.int(10) === 0) now += random.int(20);
      const iss = `svc-${random.int(4)}`;
      const jti = `prefix${random.int(3)}${String(random.int(60)).padStart(6, 'A')}`;
      const exp = now - 29 + random.int(120);
      const before = accepted.get(`${iss} ${jti}`);
      const said = take(cache, jti, { iss, exp, now });
      tally.set(said, (tally.get(said) ?? 0) + 1);
      const where = `${iss} ${jti} at ${now}, seed ${random.seed}`;
      if (said === 'new') {
        if (before !== undefined && now < before + 30) t.fail(`received twice: ${where}`);
        accepted.set(`${iss} ${jti}`, exp);
      } else if (said === 'replayed') {
        if (before === undefined) t.fail(`never received: ${where}`);
      } else if (said === 'rate_limited') {
        if (cache.size < 40) t.fail(`there was room: ${where}`);
      } else t.fail(`${said}: ${where}`);
      if (cache.size > 200 || cache.issuers > 4) t.fail(`${cache.size} runs of ${cache.issuers} issuers: ${where}`);
    }
  }
  for (const said of ['new', 'replayed', 'rate_limited']) {
    t.ok((tally.get(said) ?? 0) > 10, `${said} ${tally.get(said)} times, seed ${random.seed}`);
  }
});

t.test('an id is kept until exp and 30 seconds, and then forgotten', async (t) => {
  const cache = new ReplayCache(0);
  t.equal(take(cache, 'AAAAAAAA', { exp: NOW + 60 }), 'new');
  t.equal(take(cache, 'AAAAAAAA', { exp: NOW + 60, now: NOW + 89 }), 'replayed');
  t.equal(take(cache, 'ZZZZZZZZ', { iss: 'svc-b', exp: NOW + 150, now: NOW + 119 }), 'new');
  t.equal(cache.size, 1, 'the other issuer was looked at on the way');
  t.equal(cache.issuers, 1);
});

t.test('who has more open than he may is refused, is told for how long, and nothing of his is forgotten', async (t) => {
  const cache = new ReplayCache(0);
  const jti = (n: number): string => `${String(n).padStart(8, '0')}AAAAAA`;
  for (let n = 0; n < 10_000; n++) {
    // The first of them holds shortest.
    if (take(cache, jti(n), { exp: NOW + 60 + Math.min(n, 200) }) !== 'new') t.fail(`${n} has no room`);
  }
  const now = NOW + 5;
  const fault = cache.take('svc-a', jti(10_000), NOW + 60, ms(now));
  t.match(fault, { code: 'rate_limited', close: undefined, delay: 85_000 }, 'until the first is over: exp and 30 s');
  t.equal(take(cache, jti(0), { now }), 'replayed');
  t.equal(take(cache, jti(9_999), { now }), 'replayed');
  t.equal(cache.size, 10_000);
  t.equal(take(cache, jti(1), { iss: 'svc-b', now }), 'new', 'another issuer has room');
  const next = `${jti(77).slice(0, -1)}B`;
  t.equal(take(cache, next, { now }), 'new', 'what continues a run needs none');
  t.equal(take(cache, jti(10_000), { exp: NOW + 140, now: NOW + 90 }), 'new', 'the first is over');
  t.equal(take(cache, jti(10_001), { exp: NOW + 140, now: NOW + 90 }), 'rate_limited', 'only the first');
});

t.test('all issuers together are bounded: the large give way, the small do not notice', async (t) => {
  const cache = new ReplayCache(0, { perIssuer: 1_000, total: 1_000 });
  const fill = (iss: string, count: number): number => {
    let passed = 0;
    for (let n = 0; n < count; n++) if (take(cache, `${n}`.padStart(14, '0'), { iss }) === 'new') passed += 1;
    return passed;
  };
  // Decimal counts: ten in a row are consecutive digits, the next ten another run.
  t.ok(fill('svc-greedy', 20_000) < 20_000);
  t.equal(cache.size, 1_000);
  for (let node = 0; node < 50; node++) t.equal(fill(`svc-${node}`, 10), 10, `svc-${node}`);
  fill('svc-second', 20_000);
  t.ok(cache.size <= 2_000, `${cache.size} runs`);
});

t.test('a clock that is set back lets nothing through that was forgotten', async (t) => {
  const cache = new ReplayCache(0);
  t.equal(take(cache, 'AAAAAAAA', { exp: NOW + 60 }), 'new');
  t.equal(take(cache, 'BBBBBBBB', { iss: 'svc-b', exp: NOW + 200, now: NOW + 100 }), 'new', 'the first is forgotten');
  t.equal(take(cache, 'AAAAAAAA', { exp: NOW + 60, now: NOW }), 'token_expired');
  t.equal(take(cache, 'BBBBBBBB', { iss: 'svc-b', exp: NOW + 200, now: NOW }), 'replayed');
  t.equal(take(cache, 'CCCCCCCC', { exp: NOW + 61, now: NOW }), 'new', 'what ends later was never forgotten');
});

t.test('a clock that leaps forward and comes back does not lock an issuer out', async (t) => {
  const cache = new ReplayCache(0, { perIssuer: 2 });
  const far = NOW + 10_000_000;
  t.equal(take(cache, 'AAAAAAAA', { exp: far + 60, now: far }), 'new');
  t.equal(take(cache, 'BAAAAAAA', { exp: NOW + 10, now: NOW }), 'new');
  t.equal(take(cache, 'CAAAAAAA', { exp: NOW + 60, now: NOW }), 'rate_limited');
  t.equal(take(cache, 'CAAAAAAA', { exp: NOW + 60, now: NOW + 41 }), 'new', 'what was over made room');
});

const age = (cache: ReplayCache, iat: number, { iss = 'dispatch', now = NOW, asked = false } = {}): string =>
  cache.checkAge({ iss, iat }, ms(now), asked)?.code ?? 'good';

t.test('what was signed before it began to remember is refused, for as long as that could be good', async (t) => {
  const cache = new ReplayCache(ms(NOW) + 999);
  t.equal(age(cache, NOW), 'good', 'of the same second: no token says more');
  t.equal(age(cache, NOW + 30), 'good', 'of a clock that is fast');
  t.equal(age(cache, NOW - 1), 'token_expired');
  t.match(cache.checkAge({ iss: 'svc-a', iat: NOW - 3 }, ms(NOW), false), {
    detail: /signed 3 s before this end began: .* the clock of svc-a is behind/,
  });
  t.equal(age(cache, NOW - 1, { now: NOW + 329 }), 'token_expired', 'a token of 300 s could still be good');
  t.equal(age(cache, NOW - 1, { now: NOW + 600 }), 'good', 'by then it is over by itself');
  t.throws(() => new ReplayCache(Number.NaN), RangeError);
});

t.test('an answer is never from before, and says by what clock its issuer signs', async (t) => {
  // The clock of the dispatch is three seconds behind ours.
  const slow = new ReplayCache(ms(NOW));
  t.equal(age(slow, NOW - 3), 'token_expired');
  t.equal(age(slow, NOW - 2, { asked: true }), 'good', 'it answers what we have asked');
  t.equal(age(slow, NOW - 2), 'good', 'and what comes after that is new');
  t.equal(age(slow, NOW - 3), 'token_expired', 'what came before is not');
  t.equal(age(slow, NOW - 1, { iss: 'other' }), 'token_expired', "another's clock is another");
  t.equal(age(slow, NOW + 5, { asked: true, now: NOW + 5 }), 'good');
  t.equal(age(slow, NOW - 2, { now: NOW + 5 }), 'good', 'the first answer alone tells it');
  // Three seconds ahead.
  const fast = new ReplayCache(ms(NOW));
  t.equal(age(fast, NOW + 3, { asked: true }), 'good');
  t.equal(age(fast, NOW + 2), 'token_expired', 'from before we asked, although our clock says that it is new');
  t.equal(age(fast, NOW + 3), 'good');
});

t.test('a clock that was wrong when it began, and is set back, locks nobody out', async (t) => {
  const cache = new ReplayCache(ms(NOW + 3600));
  t.equal(age(cache, NOW), 'good', 'since now, by the clock as it is now');
  t.equal(age(cache, NOW - 1), 'token_expired');
  t.equal(age(cache, NOW + 10, { now: NOW + 10 }), 'good');
});

t.test('limits that are none are refused', async (t) => {
  for (const limits of [{ perIssuer: 0 }, { total: 0 }, { perIssuer: Number.NaN }, { total: -1 }]) {
    t.throws(() => new ReplayCache(0, limits), RangeError);
  }
});
