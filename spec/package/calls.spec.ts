// What becomes of our own packages: each call ends once, with its answer or with the reason why there is none, and packages of a scope wait
// when the peer says so. lib/package/PROTOCOL.md sections 8.1, 8.2, 8.5 and 10.

import t, { type Test } from 'tap';
import * as z from 'zod/mini';
import { PING, UD_REQ_OWNERSHIP } from '../../lib/package/core-scopes.js';
import { Delays } from '../../lib/package/delays.js';
import { PackageError } from '../../lib/package/errors.js';
import { defineScope } from '../../lib/package/scope.js';
import { Timeouts } from '../../lib/package/timeouts.js';
import { type Ends, type EndsOptions, last, pairOf, read, WALL } from './ends.js';

const ECHO = defineScope({
  id: 1000,
  name: 'ECHO',
  body: z.object({ text: z.string() }),
  reply: z.object({ text: z.string() }),
  lengths: { text: 60_000 },
});
const NOTE = defineScope({ id: 1001, name: 'NOTE', body: z.object({ n: z.number() }) });
const ASK = defineScope({ id: 1002, name: 'ASK', reply: { scope: 1003, body: z.object({ n: z.number() }) } });
const SAYS = defineScope({ id: 1003, name: 'SAYS', body: z.object({ n: z.number() }) });
const LIKE = defineScope({ id: 1005, name: 'LIKE', body: z.object({ n: z.number() }) });

/** A call, and how it ended as soon as that is known. */
const outcome = (promise: Promise<unknown>): { readonly ended: () => unknown } => {
  let ended: unknown = 'pending';
  promise.then(
    (value) => {
      ended = value;
    },
    (reason: unknown) => {
      ended = reason instanceof PackageError ? reason.code : reason;
    },
  );
  return { ended: () => ended };
};

const withEcho = (options: EndsOptions = {}): Ends => {
  const ends = pairOf(options);
  ends.b.router.on(ECHO, ({ text }) => ({ text }));
  return ends;
};

t.test('a call resolves with the body of its answer, or with all that came', async (t) => {
  const { a, b, run, clock } = withEcho();
  b.router.on(ASK, () => ({ n: 7 }));
  const first = a.peer.call(ECHO, { text: 'é < ü' });
  const second = a.peer.ask(ASK, undefined, { footerInclude: ['dt', 'op', 'weather'] });
  const ping = a.peer.call(PING);
  t.equal(b.told.heard.length, 0, 'nothing has arrived yet');
  await run();
  t.same(await first, { text: 'é < ü' });
  t.match(await second, {
    body: { n: 7 },
    footer: { t: WALL, dt: 0, op: 2 },
    from: 'dispatch',
    claims: { iss: 'dispatch' },
  });
  t.equal(await ping, undefined);
  t.same(a.peer.counters(), { received: 3, sent: 3, answers: 3, stray: 0, taken: 0, failed: 0, faults: {} });
  t.equal(a.peer.deadline(), Number.POSITIVE_INFINITY, 'nothing is waited for');
  t.equal(clock.now(), 1_000);
});

t.test('options become the header, and the timeout becomes exp', async (t) => {
  const { a } = withEcho();
  const rows: (readonly [object, object, number])[] = [
    [{}, { scope: 1000, internal: true, body: true }, 10],
    [{ timeout: 1_500 }, { scope: 1000, internal: true, body: true }, 2],
    [{ timeout: 300_000 }, { scope: 1000, internal: true, body: true }, 300],
    [{ timeout: 1 }, { scope: 1000, internal: true, body: true }, 1],
    [{ destination: 'svc-b' }, { scope: 1000, internal: true, body: true, destination: 'svc-b' }, 10],
    [
      { user: '1', channel: '18446744073709551615', footerInclude: ['dt'] },
      { scope: 1000, internal: false, body: true, user: '1', channel: '18446744073709551615', footerInclude: ['dt'] },
      10,
    ],
  ];
  for (const [options, header, ttl] of rows) {
    outcome(a.peer.call(ECHO, { text: '' }, options));
    const said = read(last(a.sent));
    t.same(said.header, header);
    t.match(said.claims, { iss: 'svc-a', iat: WALL / 1000, exp: WALL / 1000 + ttl });
    t.same(said.footer, { t: WALL });
  }
  outcome(a.peer.call(UD_REQ_OWNERSHIP, { nodeID: 'svc-a' }));
  t.match(read(last(a.sent)).claims, { exp: WALL / 1000 + 30 }, 'ownership may take longer');
  a.peer.send(NOTE, { n: 1 });
  t.match(read(last(a.sent)).claims, { exp: WALL / 1000 + 60 }, 'nobody waits for a note');
});

t.test('what our own caller does wrong is thrown at him, and nothing is sent', async (t) => {
  const { a } = pairOf();
  const long = 'x'.repeat(60_001);
  const rows: (readonly [unknown, object, RegExp])[] = [
    [{ text: 1 }, {}, /scope 1000 \(ECHO\): bad_body: body.text must be a string/],
    [undefined, {}, /body is missing/],
    [{ text: '\ud800' }, {}, /body.text/],
    [{ text: long }, {}, /too_long: body.text must be at most 60000 octets/],
    [{ text: 'x'.repeat(50_000) }, {}, /at most 65536/],
    [{ text: '' }, { destination: 'no such.' }, /header.destination/],
    [{ text: '' }, { user: '1' }, /header.channel is missing/],
    [{ text: '' }, { user: '01', channel: '1' }, /header.user/],
    [{ text: '' }, { footerInclude: ['x'.repeat(17)] }, /header.footerInclude.0/],
    [{ text: '' }, { timeout: 0 }, /timeout must be above 0/],
    [{ text: '' }, { timeout: 300_001 }, /at most 300000/],
    [{ text: '' }, { timeout: Number.NaN }, /timeout/],
  ];
  for (const [body, options, message] of rows) {
    const failed = await a.peer.call(ECHO, body as { text: string }, options).then(
      () => 'answered',
      (reason: unknown) => reason,
    );
    t.ok(failed instanceof TypeError || failed instanceof RangeError, String(failed));
    t.match(failed, { message });
  }
  t.throws(() => a.peer.send(NOTE, { n: 'one' } as never), { name: 'TypeError', message: /body.n must be a number/ });
  await t.rejects(a.peer.call(NOTE as never, { n: 1 } as never), { name: 'TypeError', message: /nobody answers/ });
  t.same(a.sent, []);
  t.equal(a.peer.deadline(), Number.POSITIVE_INFINITY, 'and nothing is waited for');
});

t.test('a call ends at its timeout, not before, and the late answer is dropped', async (t) => {
  const { a, b, advance, run } = pairOf();
  let answer: (value: { text: string }) => void = () => {};
  b.router.on(ECHO, () => new Promise((resolve) => (answer = resolve)));
  const call = outcome(a.peer.call(ECHO, { text: 'x' }, { timeout: 2_000 }));
  const other = outcome(a.peer.call(ECHO, { text: 'y' }, { timeout: 9_000 }));
  await run();
  await advance(1_999);
  t.equal(call.ended(), 'pending');
  await advance(1);
  t.equal(call.ended(), 'timeout');
  t.equal(other.ended(), 'pending');
  answer({ text: 'late' });
  await run();
  t.same(other.ended(), { text: 'late' }, 'the last one was asked');
  const stray = a.peer.counters().stray;
  t.equal(stray, 0);
  const third = outcome(a.peer.call(ECHO, { text: 'z' }, { timeout: 1_000 }));
  await run();
  await advance(1_000);
  t.equal(third.ended(), 'timeout');
  answer({ text: 'too late' });
  await run();
  t.equal(a.peer.counters().stray, 1);
  t.same(a.told.refused, []);
  t.same(b.peer.counters().faults, {}, 'and nobody is told off for it');
});

t.test('a late answer of another scope goes to the handler of that scope', async (t) => {
  const { a, b, advance, run } = pairOf();
  const got: unknown[] = [];
  let answer: (value: { n: number }) => void = () => {};
  b.router.on(ASK, () => new Promise((resolve) => (answer = resolve)));
  a.router.on(SAYS, ({ n }, ctx) => got.push([n, ctx.claims.re]));
  const call = outcome(a.peer.call(ASK, undefined, { timeout: 1_000 }));
  await run();
  await advance(1_000);
  t.equal(call.ended(), 'timeout');
  answer({ n: 5 });
  await run();
  t.same(got, [[5, read(a.sent[0] as string).claims['jti']]]);
});

t.test('a signal calls it off, before or while', async (t) => {
  const { a, run } = withEcho();
  const before = AbortSignal.abort('why');
  const error = await a.peer.call(ECHO, { text: 'x' }, { signal: before }).catch((reason: unknown) => reason);
  t.match(error, { name: 'PackageError', code: 'aborted', cause: 'why', scope: 1000 });
  t.same(a.sent, [], 'nothing left');
  const controller = new AbortController();
  const call = outcome(a.peer.call(ECHO, { text: 'x' }, { signal: controller.signal }));
  const done = outcome(a.peer.call(ECHO, { text: 'y' }, { signal: controller.signal }));
  a.wire.reverse();
  controller.abort();
  await run();
  t.same([call.ended(), done.ended()], ['aborted', 'aborted']);
  t.equal(a.peer.counters().stray, 2);
  const later = new AbortController();
  const fine = outcome(a.peer.call(ECHO, { text: 'z' }, { signal: later.signal }));
  await run();
  later.abort();
  await run();
  t.same(fine.ended(), { text: 'z' }, 'an answer is an answer');
});

t.test('the loss of the peer ends every call, and nothing is taken after it', async (t) => {
  const { a, clock, run } = withEcho();
  const calls = [1, 2, 3].map(() => outcome(a.peer.call(ECHO, { text: '' })));
  a.peer.lost(clock.now());
  a.peer.lost(clock.now());
  await run();
  t.same(
    calls.map(({ ended }) => ended()),
    ['lost', 'lost', 'lost'],
  );
  t.equal(a.peer.state, 'ended');
  await t.rejects(a.peer.call(ECHO, { text: '' }), { code: 'lost' });
  t.throws(() => a.peer.send(NOTE, { n: 1 }), { name: 'PackageError', code: 'lost' });
  t.equal(a.peer.forward({ header: { scope: 1000, internal: true, body: false }, exp: WALL }), undefined);
  t.equal(a.peer.deadline(), Number.POSITIVE_INFINITY);
  t.same(a.told.closed, [], 'who was lost need not be closed');
  t.equal(a.sent.length, 3);
});

t.test('so many calls may wait for an answer, and no more', async (t) => {
  const { a, run } = withEcho({ a: { maxCalls: 2 } });
  const calls = [1, 2, 3].map((n) => outcome(a.peer.call(ECHO, { text: `${n}` })));
  await Promise.resolve();
  await run();
  t.same(
    calls.map(({ ended }) => ended()),
    [{ text: '1' }, { text: '2' }, 'busy'],
  );
  const after = outcome(a.peer.call(ECHO, { text: '4' }));
  await run();
  t.same(after.ended(), { text: '4' });
  for (const name of ['maxCalls', 'maxQueued', 'maxConcurrent', 'maxWaiting']) {
    t.throws(() => pairOf({ a: { [name]: 0 } }), { name: 'RangeError', message: new RegExp(name) });
  }
});

t.test('an ERROR rejects its call with code, issues, delay and who said it', async (t) => {
  const { a, b, run } = pairOf();
  b.router.on(ECHO, (_body, ctx) => {
    ctx.delay(400);
    return ctx.refuse('owner_timeout');
  });
  const error = await Promise.all([a.peer.call(ECHO, { text: '' }).catch((reason: unknown) => reason), run()]);
  t.match(error[0], {
    name: 'PackageError',
    code: 'owner_timeout',
    scope: 1000,
    delay: 400,
    from: 'dispatch',
    issues: [],
  });
  t.match(error[0], { message: 'owner_timeout: the owner has not let go in time' });
  const unknown = outcome(a.peer.call(ASK));
  await run();
  t.equal(unknown.ended(), 'unknown_scope');
});

t.test('an answer that is not what the scope promises is their fault, and they are told', async (t) => {
  const scenes: (readonly [string, object, object | undefined, object])[] = [
    ['another scope', { scope: 1001, body: true }, { n: 1 }, { code: 'bad_header' }],
    [
      'another body',
      { scope: 1000, body: true },
      { text: 1 },
      { code: 'bad_body', issues: [{ path: ['body', 'text'] }] },
    ],
    ['no body', { scope: 1000, body: false }, undefined, { code: 'bad_body' }],
    ['an ERROR that is none', { scope: 2, body: true }, { wrong: true }, { code: 'bad_body' }],
  ];
  for (const [name, header, body, told] of scenes) {
    const { a, b, run, clock } = pairOf();
    const call = a.peer.ask(ECHO, { text: '' }).catch((reason: unknown) => reason);
    const { claims } = read(last(a.sent));
    b.peer.receive(a.wire.shift() as string, clock.now());
    b.wire.length = 0;
    b.sent.length = 0;
    b.peer.forward({
      header: { internal: true, ...header } as never,
      ...(body === undefined ? {} : { body: body as never }),
      re: claims['jti'] as string,
      exp: WALL / 1000 + 10,
    });
    await run();
    t.match(await call, { code: 'bad_answer', from: 'dispatch' }, name);
    const isError = (header as { scope: number }).scope === 2;
    t.equal(a.sent.length, isError ? 1 : 2, 'ERROR is never answered');
    if (!isError) t.match(read(last(a.sent)), { header: { scope: 2 }, body: told }, name);
    t.equal(b.peer.counters().stray, isError ? 0 : 1);
  }
});

t.test('a code nobody knows is internal', async (t) => {
  const { a, b, run, clock } = pairOf();
  const call = a.peer.call(ECHO, { text: '' }).catch((reason: unknown) => reason);
  b.peer.receive(a.wire.shift() as string, clock.now());
  b.wire.length = 0;
  b.peer.forward({
    header: { scope: 2, internal: true, body: true },
    body: { code: 'toString', message: 'x' },
    re: read(last(a.sent)).claims['jti'] as string,
    exp: WALL / 1000 + 10,
  });
  await run();
  t.match(await call, { code: 'internal' });
});

t.test('an answer counts for its own call alone', async (t) => {
  const { a, b, run, clock } = pairOf();
  const first = outcome(a.peer.call(ECHO, { text: 'first' }));
  const second = outcome(a.peer.call(ECHO, { text: 'second' }));
  const jtis = a.sent.map((token) => read(token).claims['jti'] as string);
  for (const token of a.wire.splice(0)) b.peer.receive(token, clock.now());
  b.wire.length = 0;
  const header = { scope: 1000, internal: true, body: true };
  b.peer.forward({ header, body: { text: 'to the second' }, re: jtis[1] as string, exp: WALL / 1000 + 10 });
  b.peer.forward({ header, body: { text: 'again' }, re: jtis[1] as string, exp: WALL / 1000 + 10 });
  await run();
  t.same([first.ended(), second.ended()], ['pending', { text: 'to the second' }]);
  t.equal(a.peer.counters().stray, 1);
});

const delayed = async (t: Test, options: EndsOptions = {}): Promise<Ends> => {
  const ends = withEcho(options);
  const { b, a, run } = ends;
  let once = true;
  b.router.on(ASK, (_body, ctx) => {
    if (once) ctx.delay(500);
    once = false;
    return { n: 1 };
  });
  const call = a.peer.ask(ASK);
  await run();
  t.match((await call).footer, { delay: 500 }, 'told, asked or not');
  return ends;
};

t.test('after a delay packages of that scope wait, others do not', async (t) => {
  const { a, advance, run, clock } = await delayed(t);
  const calls = [1, 2, 3].map(() => outcome(a.peer.call(ASK)));
  const other = outcome(a.peer.call(ECHO, { text: 'x' }));
  await run();
  t.same(other.ended(), { text: 'x' });
  t.equal(a.sent.length, 2, 'what must wait has not left');
  t.equal(a.peer.deadline(), clock.now() + 500);
  await advance(499);
  t.equal(a.sent.length, 2);
  await advance(1);
  const ended = (): number => calls.filter((call) => call.ended() !== 'pending').length;
  t.equal(ended(), 1, 'then one by one, as far apart');
  await advance(500);
  t.equal(ended(), 2);
  await advance(500);
  t.equal(ended(), 3);
  await advance(500);
  const free = outcome(a.peer.call(ASK));
  await run();
  t.same(free.ended(), { n: 1 }, 'and then at once');
});

t.test('what waits runs out of time there too, is called off there, and has its bound', async (t) => {
  const { a, advance, run, clock } = await delayed(t, { a: { maxQueued: 2 } });
  const controller = new AbortController();
  const short = outcome(a.peer.call(ASK, undefined, { timeout: 100 }));
  const off = outcome(a.peer.call(ASK, undefined, { signal: controller.signal }));
  const many = outcome(a.peer.call(ASK));
  await Promise.resolve();
  await Promise.resolve();
  t.equal(many.ended(), 'rate_limited');
  controller.abort();
  await advance(100);
  t.same([short.ended(), off.ended()], ['timeout', 'aborted']);
  const next = outcome(a.peer.call(ASK));
  const then = outcome(a.peer.call(ASK));
  await advance(400);
  t.same(next.ended(), { n: 1 }, 'they have left their places');
  t.equal(a.sent.length, 2);
  a.peer.lost(clock.now());
  await run();
  t.equal(then.ended(), 'lost');
});

t.test('notes wait as well, and one whose time is over is told to us, not sent', async (t) => {
  const { a, b, advance, run } = pairOf();
  const got: number[] = [];
  b.router.on(NOTE, { limit: { perSecond: 1, burst: 1 } }, ({ n }) => got.push(n));
  a.peer.send(NOTE, { n: 1 });
  a.peer.send(NOTE, { n: 2 });
  await run();
  t.same(got, [1]);
  t.match(a.told.refused, [
    [{ code: 'rate_limited', scope: 1001, delay: 1000 }, read(a.sent[1] as string).claims['jti']],
  ]);
  a.peer.send(NOTE, { n: 3 });
  a.peer.send(NOTE, { n: 4 }, { timeout: 900 });
  a.peer.send(NOTE, { n: 5 });
  await advance(1_000);
  t.same(got, [1, 3]);
  await advance(1_000);
  t.match(a.told.failed, [{ name: 'PackageError', code: 'timeout', scope: 1001 }]);
  await advance(1_000);
  t.same(got, [1, 3, 5]);
  t.same(b.peer.counters().faults, { rate_limited: 1 }, 'nobody was refused again');
});

t.test('who is told in time to wait is never refused', async (t) => {
  const { a, b, advance, run } = pairOf();
  b.router.on(ECHO, { limit: { perSecond: 10, burst: 2 } }, ({ text }) => ({ text }));
  let done = 0;
  const chain = (async () => {
    for (let i = 0; i < 12; i++) {
      await a.peer.call(ECHO, { text: `${i}` });
      done++;
    }
  })();
  await run();
  t.equal(done, 2, 'the burst');
  await advance(1_000);
  t.equal(done, 12);
  await chain;
  t.same(b.peer.counters().faults, {});
});

/** What the dispatch of `b` says of the how manyth package of `a`; `org`: that it is another node that says so. */
const tell = async (
  { b, a, run, clock }: Ends,
  at: number,
  code: 'busy' | 'rate_limited' | undefined,
  delay: number,
  org?: string,
): Promise<void> => {
  const { header, claims } = read(a.sent[at] as string);
  const body = code === undefined ? { text: 'x' } : { code, message: '', scope: header['scope'] };
  b.peer.forward({
    header: { scope: code === undefined ? (header['scope'] as number) : 2, internal: true, body: true },
    body,
    footer: { t: 1, delay },
    re: claims['jti'] as string,
    exp: Math.floor((WALL + clock.now()) / 1000) + 60,
    ...(org === undefined ? {} : { org, rol: 'front' }),
  });
  await run();
};

const deaf: EndsOptions = { b: { undeclared: 'route', route: () => 'taken' } };
const sentTo = ({ a }: Ends, node: string): number =>
  a.sent.filter((token) => read(token).header['destination'] === node).length;

t.test('a delay of one node is for what goes there, whatever it says', async (t) => {
  for (const [name, code, delay] of [
    ['an answer', undefined, 300_000],
    ['a refusal', 'busy', 300_000],
    ['a rate', 'rate_limited', 300_000],
  ] as const) {
    const ends = pairOf(deaf);
    const { a, run, advance } = ends;
    const call = a.peer.call(ECHO, { text: 'x' }, { destination: 'bad' }).catch((error: unknown) => error);
    await run();
    await tell(ends, 0, code, delay, 'bad');
    t.match(await call, code === undefined ? { text: 'x' } : { code, delay });
    const send = (destination: string): unknown =>
      a.peer.call(ECHO, { text: 'x' }, { destination, timeout: 60_000 }).catch(() => {});
    for (const destination of ['bad', 'good', 'bad', 'good']) send(destination);
    a.peer.call(ECHO, { text: 'x' }).catch(() => {});
    await run();
    t.strictSame([sentTo(ends, 'good'), sentTo(ends, 'bad'), a.sent.length], [2, 1, 4], name);
    await advance(9_999);
    t.equal(sentTo(ends, 'bad'), 1);
    await advance(1);
    t.equal(sentTo(ends, 'bad'), 2, 'and not for minutes');
  }
});

t.test('so it is with notes, of which nobody waits for an answer', async (t) => {
  const ends = pairOf(deaf);
  const { a, run } = ends;
  for (const destination of ['bad', 'good']) a.peer.send(NOTE, { n: 1 }, { destination });
  await run();
  // What is told by the dispatch, and by a node; of what was never sent nobody is believed.
  await tell(ends, 0, 'busy', 1_000);
  await tell(ends, 1, 'busy', 0, 'good');
  const { b } = ends;
  for (const org of [undefined, 'evil']) {
    const header = { scope: 2, internal: true, body: true };
    const body = { code: 'busy', message: '', scope: org === undefined ? 1000 : NOTE.id };
    b.peer.forward({ header, body, footer: { t: 1, delay: 1_000 }, exp: WALL / 1000 + 60, re: 'never-sent', org });
  }
  await run();
  t.equal(a.told.refused.length, 4);
  for (const destination of ['bad', 'good', 'other']) a.peer.send(NOTE, { n: 2 }, { destination });
  a.peer.send(NOTE, { n: 2 });
  await run();
  t.strictSame([sentTo(ends, 'bad'), sentTo(ends, 'good'), sentTo(ends, 'other'), a.sent.length], [1, 2, 1, 5]);
});

t.test('a rate of the dispatch itself counts all packages of the scope, to whomever, and in turns', async (t) => {
  const ends = pairOf(deaf);
  const { a, run, advance } = ends;
  a.peer.send(NOTE, { n: 0 }, { destination: 'x' });
  await run();
  await tell(ends, 0, 'rate_limited', 100);
  for (let i = 0; i < 3; i++) for (const destination of ['x', 'y']) a.peer.send(NOTE, { n: i }, { destination });
  a.peer.send(LIKE, { n: 1 }, { destination: 'x' });
  await run();
  t.equal(a.sent.length, 2, 'another scope is another matter');
  const left: number[] = [];
  for (let i = 0; i < 6; i++) {
    await advance(100);
    left.push(sentTo(ends, 'y'));
  }
  t.strictSame(left, [0, 1, 1, 2, 2, 3]);
  t.equal(a.sent.length, 8);
  await advance(100);
  a.peer.send(NOTE, { n: 9 }, { destination: 'x' });
  t.equal(a.sent.length, 9, 'then at once');
});

t.test('who was too busy once is soon sent as much as before', async (t) => {
  const ends = pairOf({ ...deaf, a: { maxQueued: 5_000 } });
  const { a, run, advance } = ends;
  a.peer.send(NOTE, { n: 0 });
  await run();
  await tell(ends, 0, 'busy', 1_000);
  for (let i = 0; i < 1_000; i++) a.peer.send(NOTE, { n: i });
  await advance(999);
  t.equal(a.sent.length, 1);
  await advance(1);
  t.equal(a.sent.length, 2, 'one first');
  await advance(499);
  t.equal(a.sent.length, 2, 'time for another no');
  await advance(501);
  t.ok(a.sent.length > 8 && a.sent.length < 50, `${a.sent.length} a second later`);
  await advance(2_000);
  t.equal(a.sent.length, 1_001);
});

t.test('delays: nobody fills the places of all', async (t) => {
  const delays = new Delays(10);
  const slow = { ms: 1_000, steady: true, foreign: false };
  for (const node of ['a', 'b']) delays.told(1, node, slow, 0);
  const wait = (to: string): string => {
    const waiting = delays.wait(1, to, () => {}, 0);
    return typeof waiting === 'string' ? waiting : 'waits';
  };
  for (let i = 0; i < 10; i++) t.equal(wait('a'), 'waits');
  t.equal(wait('a'), 'full');
  for (let i = 0; i < 5; i++) t.equal(wait('b'), 'waits');
  t.equal(wait('b'), 'full');
  t.equal(wait('c'), 'now');
  t.equal(delays.size, 15);
  // Who is sent may end all of it.
  delays.told(3, undefined, { ...slow, ms: 10 }, 0);
  for (let i = 0; i < 2; i++) delays.wait(3, undefined, () => delays.clear(), 0);
  delays.tick(10);
  t.strictSame([delays.size, delays.deadline()], [0, Number.POSITIVE_INFINITY]);
});

t.test('a late answer of another node is dropped, whatever its scope: who knows what it was asked', async (t) => {
  const ends = pairOf(deaf);
  const { a, b, advance, run } = ends;
  const got: unknown[] = [];
  a.router.on(SAYS, ({ n }) => got.push(n)).on(NOTE, ({ n }) => got.push(n));
  const call = outcome(a.peer.call(ASK, undefined, { destination: 'other', timeout: 1_000 }));
  await run();
  await advance(1_000);
  t.equal(call.ended(), 'timeout');
  const re = read(a.sent[0] as string).claims['jti'] as string;
  const exp = WALL / 1000 + 60;
  for (const scope of [SAYS.id, NOTE.id]) {
    const header = { scope, internal: true, body: true };
    b.peer.forward({ header, body: { n: 1 }, re, exp, org: 'other', rol: 'service' });
    if (scope === NOTE.id) b.peer.forward({ header, body: { n: 2 }, re, exp });
  }
  await run();
  t.strictSame(got, []);
  t.equal(a.peer.counters().stray, 3);
});

t.test('delays: longer than a package lives is as good as never, and many scopes are not kept', (t) => {
  const delays = new Delays(10);
  const sent: number[] = [];
  delays.told(1, undefined, { ms: Number.MAX_SAFE_INTEGER, steady: true, foreign: false }, 0);
  delays.told(2, undefined, { ms: -5, steady: true, foreign: false }, 0);
  delays.told(3, undefined, { ms: Number.NaN, steady: true, foreign: false }, 0);
  t.equal(
    delays.wait(2, undefined, () => sent.push(2), 0),
    'now',
  );
  t.equal(
    delays.wait(3, undefined, () => sent.push(3), 0),
    'now',
  );
  t.type(
    delays.wait(1, undefined, () => sent.push(1), 0),
    'object',
  );
  t.equal(delays.deadline(), 300_000);
  for (let scope = 0; scope < 5_000; scope++)
    delays.told(10 + scope, undefined, { ms: 1_000, steady: true, foreign: false }, 0);
  t.equal(
    delays.wait(5_000, undefined, () => {}, 0),
    'now',
    'beyond the bound nothing is remembered',
  );
  delays.told(6_000, undefined, { ms: 50, steady: true, foreign: false }, 2_000);
  t.type(
    delays.wait(6_000, undefined, () => {}, 2_000),
    'object',
    'what is over makes room',
  );
  delays.told(1, undefined, { ms: 10, steady: true, foreign: false }, 299_000);
  t.equal(delays.size, 2);
  delays.tick(300_000);
  t.same(sent, [1], 'a shorter delay takes nothing back');
  delays.clear();
  t.same([delays.size, delays.deadline()], [0, Number.POSITIVE_INFINITY]);
  t.end();
});

t.test('timeouts: the earliest deadline is never missed, whoever left before', (t) => {
  const timeouts = new Timeouts<string, { readonly deadline: number }>();
  t.equal(timeouts.deadline, Number.POSITIVE_INFINITY);
  timeouts.set('a', { deadline: 30 });
  timeouts.set('b', { deadline: 10 });
  timeouts.set('c', { deadline: 20 });
  t.equal(timeouts.deadline, 10);
  t.same(timeouts.take('b'), { deadline: 10 });
  t.equal(timeouts.take('b'), undefined);
  t.ok(timeouts.deadline <= 20);
  t.same(timeouts.due(10), []);
  t.equal(timeouts.deadline, 20, 'found anew');
  t.same(timeouts.due(25), [{ deadline: 20 }]);
  t.equal(timeouts.deadline, 30);
  t.same(timeouts.clear(), [{ deadline: 30 }]);
  timeouts.set('d', { deadline: 99 });
  t.equal(timeouts.deadline, 99);
  t.end();
});
