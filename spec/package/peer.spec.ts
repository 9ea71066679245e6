// The receive path of one peer: what is refused with which code and in which order, who is told what, what runs beside what, and what a
// dispatch may do. lib/package/PROTOCOL.md sections 8.2 to 8.5, 9 and 10; HOSTILE 69 to 79.

import t from 'tap';
import * as z from 'zod/mini';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { packageFault } from '../../lib/package/codes.js';
import { ERROR, PING, UD_REQ_OWNERSHIP, UD_TRANSFER } from '../../lib/package/core-scopes.js';
import { Refusal } from '../../lib/package/errors.js';
import { Line } from '../../lib/package/line.js';
import type { JsonObject } from '../../lib/package/package.js';
import type { Incoming, PeerFace } from '../../lib/package/peer-types.js';
import { Rates } from '../../lib/package/rates.js';
import { defineScope } from '../../lib/package/scope.js';
import { writeToken } from '../../lib/package/token.js';
import { type Ends, type EndsOptions, last, pairOf, read, WALL } from './ends.js';

const ECHO = defineScope({
  id: 1000,
  name: 'ECHO',
  body: z.object({ text: z.string() }),
  reply: z.object({ text: z.string() }),
  lengths: { text: 8 },
});
const NOTE = defineScope({ id: 1001, name: 'NOTE', body: z.object({ n: z.number() }) });
const FRONT = defineScope({ id: 1002, name: 'FRONT', roles: ['front'], reply: { scope: 1003 } });
const LAZY = defineScope({
  id: 1004,
  name: 'LAZY',
  body: z.object({ n: z.number() }),
  reply: z.object({ n: z.number() }),
});

const INTERNAL = { internal: true, body: false };
const head = (scope: unknown, more: JsonObject = {}): JsonObject => ({ scope, ...INTERNAL, ...more });
const USER = { internal: false, user: '42', channel: '7' };

const withEcho = (options: EndsOptions = {}): Ends => {
  const ends = pairOf(options);
  ends.b.router.on(ECHO, ({ text }) => ({ text }));
  return ends;
};

/** The ERROR that was sent last. */
const errorOf = ({ b }: Ends): JsonObject => {
  const { header, body } = read(last(b.sent));
  if (header['scope'] !== 2 || header['internal'] !== true || body === undefined) throw new Error('that is no ERROR');
  return body;
};

interface Row {
  readonly name: string;
  readonly options?: EndsOptions;
  readonly header: unknown;
  readonly body?: unknown;
  readonly footer?: unknown;
  readonly claims?: object;
  readonly code: string;
  readonly issue?: readonly (string | number)[];
}

const FAULTS: readonly Row[] = [
  { name: 'no header', header: undefined, code: 'bad_header', issue: ['header'] },
  { name: 'a scope that is no number', header: head('1000'), code: 'bad_header', issue: ['header', 'scope'] },
  { name: 'a scope below 0', header: head(-1), code: 'bad_header', issue: ['header', 'scope'] },
  { name: 'a scope with a fraction', header: head(1.5), code: 'bad_header', issue: ['header', 'scope'] },
  { name: 'a scope of 2^53', header: head(2 ** 53), code: 'bad_header', issue: ['header', 'scope'] },
  {
    name: 'a body that the header denies',
    header: head(1000),
    body: { text: '' },
    code: 'bad_header',
    issue: ['header', 'body'],
  },
  {
    name: 'a footer with more in it',
    header: head(0),
    footer: { t: 1, ip: 'x' },
    code: 'bad_header',
    issue: ['footer'],
  },
  { name: 'a front for itself', options: { grant: { role: 'front' } }, header: head(1000), code: 'forbidden' },
  {
    name: 'a scope that was not granted',
    options: { grant: { scopes: [1001] } },
    header: head(1000),
    code: 'forbidden',
  },
  { name: 'a user that is not his', options: { grant: { users: ['1'] } }, header: head(1000, USER), code: 'forbidden' },
  {
    name: 'the data of a user that is not his',
    options: { grant: { users: ['42'] } },
    header: head(100, { ...USER, body: true }),
    body: { nodeID: 'svc-a', user: '43' },
    code: 'forbidden',
  },
  {
    name: 'the shared document, where only users were granted',
    options: { grant: { users: ['42'] } },
    header: head(100, { body: true }),
    body: { nodeID: 'svc-a' },
    code: 'forbidden',
  },
  { name: 'a scope for fronts', header: head(1002), code: 'forbidden' },
  { name: 'a scope of the dispatch alone', header: head(102, { body: true }), body: { epoch: 1 }, code: 'forbidden' },
  { name: 'a scope nobody handles', header: head(4711), code: 'unknown_scope' },
  { name: 'a reserved scope', header: head(500), code: 'unknown_scope' },
  { name: 'a scope of the protocol that is not handled here', header: head(103), code: 'unknown_scope' },
  {
    name: 'a long text',
    header: head(1000, { body: true }),
    body: { text: 'nine char' },
    code: 'too_long',
    issue: ['body', 'text'],
  },
  {
    name: 'a long destination',
    header: head(0, { destination: 'x'.repeat(65) }),
    code: 'too_long',
    issue: ['header', 'destination'],
  },
  { name: 'no body', header: head(1000), code: 'bad_body', issue: ['body'] },
  {
    name: 'another body',
    header: head(1000, { body: true }),
    body: { text: 1 },
    code: 'bad_body',
    issue: ['body', 'text'],
  },
  {
    name: 'a text that is not clean',
    header: head(1000, { body: true }),
    body: { text: 'a\u0000' },
    code: 'bad_body',
    issue: ['body', 'text'],
  },
  { name: 'a body where none belongs', header: head(0, { body: true }), body: {}, code: 'bad_body', issue: ['body'] },
  { name: 'another destination', header: head(0, { destination: 'svc-z' }), code: 'unknown_destination' },
  {
    name: 'an old token',
    header: head(0),
    claims: { iat: WALL / 1000 - 100, exp: WALL / 1000 - 40 },
    code: 'token_expired',
  },
  {
    name: 'a token of tomorrow',
    header: head(0),
    claims: { iat: WALL / 1000 + 40, exp: WALL / 1000 + 90 },
    code: 'token_expired',
  },
];

t.test('what is wrong is answered with its code and where it is, and the connection stays', async (t) => {
  for (const { name, options = {}, header, body, footer, claims = {}, code, issue } of FAULTS) {
    const ends = withEcho(options);
    ends.b.router.on(FRONT, () => {});
    await ends.inject({ header, body, footer }, { jti: 'abcdefgh', ...claims });
    const error = errorOf(ends);
    t.equal(error['code'], code, name);
    t.equal(read(last(ends.b.sent)).claims['re'], 'abcdefgh', 'it finds its way back');
    const scope = (header as JsonObject | undefined)?.['scope'];
    t.equal(error['scope'], Number.isSafeInteger(scope) && (scope as number) >= 0 ? scope : undefined);
    if (issue !== undefined) t.same((error['issues'] as { path: unknown }[])[0]?.path, issue, name);
    t.match(ends.b.told.rejected, [[{ code }, { jti: 'abcdefgh' }]], 'and we are told');
    t.same(ends.b.told.failed, []);
    // A destination that is not there is no fault of the package.
    t.equal(ends.b.told.heard.length, code === 'unknown_destination' ? 1 : 0, 'no lease is renewed by it');
    t.equal(ends.b.peer.counters().faults[code as 'busy'], 1);
    ends.a.peer.call(PING).catch(() => {});
    await ends.run();
    t.equal(ends.b.peer.state, 'open');
    t.equal(read(last(ends.b.sent)).header['scope'], 1, 'still answered');
  }
});

t.test('the faults come in the order of section 8.4: the first of them is told', async (t) => {
  // All of them at once; each line mends the first that is left.
  const wrong = {
    header: { scope: 1000, internal: true, body: false, destination: 'svc-z' } as JsonObject,
    body: { text: 'much too long', more: 1 } as JsonObject,
  };
  const ends = withEcho({
    grant: { role: 'front', scopes: [1000, 4711] },
    b: { limit: { perSecond: 0.001, burst: 1 } },
  });
  const { inject } = ends;
  await inject({ header: head(0) }, { jti: 'repeated' });
  const steps: (readonly [string, () => void, object?])[] = [
    ['token_expired', () => {}, { iat: 1, exp: 2, jti: 'repeated' }],
    ['replayed', () => {}, { jti: 'repeated' }],
    ['bad_header', () => {}],
    ['forbidden', () => Object.assign(wrong.header, { body: true })],
    ['unknown_scope', () => Object.assign(wrong.header, USER, { scope: 4711 })],
    ['too_long', () => Object.assign(wrong.header, { scope: 1000 })],
    ['bad_body', () => Object.assign(wrong, { body: { test: 'short' } })],
    ['unknown_destination', () => Object.assign(wrong, { body: { text: 'short' } })],
    ['rate_limited', () => {}],
  ];
  for (const [code, mend, claims] of steps) {
    mend();
    await inject(structuredClone(wrong), claims);
    t.equal(errorOf(ends)['code'], code);
  }
  t.equal(ends.b.peer.state, 'open');
});

t.test('what is not signed as it should be ends the connection with 1008 and not a word', async (t) => {
  const bad: (readonly [string, (ends: Ends) => string])[] = [
    ['no token', () => 'hello'],
    ['nothing', () => ''],
    [
      'another key',
      ({ b }) =>
        writeToken(b.signer, { header: head(0) as never }, { iat: WALL / 1000, exp: WALL / 1000 + 9, jti: 'abcdefgh' }),
    ],
    [
      'the signature of another payload',
      ({ a }) => {
        const claims = { iat: WALL / 1000, exp: WALL / 1000 + 9 };
        const one = writeToken(a.signer, { header: head(0) as never }, { ...claims, jti: 'abcdefgh' });
        const two = writeToken(a.signer, { header: head(0) as never }, { ...claims, jti: 'abcdefgi' });
        return `${one.slice(0, one.lastIndexOf('.'))}${two.slice(two.lastIndexOf('.'))}`;
      },
    ],
  ];
  for (const [name, make] of bad) {
    const ends = withEcho();
    const waiting = ends.b.peer.call(PING).catch((reason: unknown) => reason);
    ends.b.wire.length = 0;
    ends.b.peer.receive(make(ends), ends.clock.now());
    t.same(ends.b.told.closed, [[1008, 'bad_token']], name);
    t.equal(ends.b.sent.length, 1, 'nothing but the ping before it');
    t.match(ends.b.told.rejected, [[{ code: 'bad_token' }, undefined]]);
    t.match(await waiting, { code: 'lost' });
    t.same(ends.b.told.identified, []);
    ends.a.peer.send(NOTE, { n: 1 });
    await ends.run();
    t.equal(ends.b.peer.counters().received, 1, 'nothing is read after it');
  }
  const long = withEcho();
  long.b.peer.receive('x'.repeat(65_537), long.clock.now());
  t.same(long.b.told.closed, [[1009, 'too_long']]);
});

t.test('a connection belongs to the node of its first token', async (t) => {
  const keys = { find: (kid: string) => both.find((record) => record.kid === kid) };
  const ends = withEcho({ b: { keys } });
  const verifier = { alg: 'HS256' as const, verify: () => true };
  const both = [
    { kid: 'svc-a.1', node: 'svc-a', role: 'service' as const, verifier },
    { kid: 'svc-a.2', node: 'svc-a', role: 'service' as const, verifier },
    { kid: 'svc-b.1', node: 'svc-b', role: 'service' as const, verifier },
  ];
  const say = (kid: string, node: string, jti: string): void =>
    ends.b.peer.receive(
      writeToken(
        { ...ends.a.signer, node, sign: (payload) => forge(kid, payload) },
        { header: head(0) as never },
        {
          iat: WALL / 1000,
          exp: WALL / 1000 + 9,
          jti,
        },
      ),
      ends.clock.now(),
    );
  const forge = (kid: string, payload: string): string =>
    [JSON.stringify({ alg: 'HS256', typ: 'JWT', kid }), payload, 'x'.repeat(32)]
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.');
  say('svc-a.1', 'svc-a', 'abcdefg1');
  t.equal(ends.b.peer.record?.kid, 'svc-a.1');
  say('svc-a.2', 'svc-a', 'abcdefg2');
  t.equal(ends.b.peer.record?.kid, 'svc-a.2', 'its next key');
  t.match(ends.b.told.identified, [{ node: 'svc-a' }], 'told once');
  say('svc-b.1', 'svc-b', 'abcdefg3');
  t.same(ends.b.told.closed, [[1008, 'bad_token']]);
  t.equal(ends.b.told.heard.length, 2);
});

t.test('a token is good once, on whatever connection', async (t) => {
  const { ReplayCache } = await import('../../lib/package/replay.js');
  const replay = new ReplayCache(WALL);
  const [one, two] = [withEcho({ b: { replay } }), withEcho({ b: { replay } })];
  await one.inject({ header: head(0) }, { jti: 'abcdefgh' });
  await two.inject({ header: head(0) }, { jti: 'abcdefgh' });
  t.equal(errorOf(two)['code'], 'replayed');
  t.equal(one.b.told.heard.length, 1);
});

t.test('a node whose clock is some seconds behind is let in as soon as it has come to the beginning', async (t) => {
  const { a, b, run, advance } = pairOf({ skew: -3_000 });
  const first = a.peer.call(PING).catch((error: unknown) => error);
  await run();
  t.match(await first, { code: 'token_expired', from: 'dispatch' });
  t.strictSame(b.told.identified, [], 'it has not shown who it is');
  t.strictSame(b.told.closed, [], 'and is not sent away');
  t.match(b.told.rejected, [[{ code: 'token_expired', detail: /the clock of svc-a is behind/ }, { iss: 'svc-a' }]]);
  await advance(2_999);
  const second = a.peer.call(PING).catch((error: unknown) => error);
  await run();
  t.match(await second, { code: 'token_expired' });
  await advance(1);
  await Promise.all([a.peer.call(PING), run()]);
  t.equal(b.told.identified.length, 1);
});

t.test('who has just begun takes nothing from before, by whatever clock it was signed', async (t) => {
  const seconds = WALL / 1000;
  const { a, b, clock, run } = pairOf({ skew: 3_000 });
  const notes: number[] = [];
  a.router.on(NOTE, (_, { claims }) => void notes.push(claims.iat));
  const receive = async (iat: number, jti: string): Promise<void> => {
    const note = { header: head(NOTE.id, { body: true }) as never, body: { n: 1 } };
    a.peer.receive(writeToken(b.signer, note, { iat, exp: iat + 60, jti }), clock.now());
    await run();
  };
  await receive(seconds, 'before-the-answer');
  t.strictSame(notes, [], 'nobody knows yet how wrong the clocks are');
  await Promise.all([a.peer.call(PING), run()]);
  t.equal(a.told.rejected.length, 1, 'the answer is good, though by our clock it was signed before we began');
  await receive(seconds - 1, 'heard-in-a-former-life');
  t.strictSame(notes, []);
  await receive(seconds, 'after-the-answer');
  t.strictSame(notes, [seconds]);
  t.strictSame(
    a.told.rejected.map(([{ code }]) => code),
    ['token_expired', 'token_expired'],
  );
});

t.test('PING is answered by the peer itself, unless there is a handler', async (t) => {
  const { a, b, run, inject } = pairOf({ grant: { role: 'front', scopes: [1000] } });
  const answer = await Promise.all([a.peer.ask(PING, undefined, { footerInclude: ['op'] }), run()]);
  t.match(answer[0], { body: undefined, footer: { op: 1 } });
  t.same(read(last(b.sent)).header, { scope: 1, internal: true, body: false });
  await inject({ header: head(0, USER) });
  t.same(read(last(b.sent)).header, { scope: 1, body: false, ...USER }, 'on behalf of whom it was asked');
  let pings = 0;
  b.router.on(PING, () => {
    pings++;
  });
  await Promise.all([a.peer.call(PING), run()]);
  t.equal(pings, 1);
});

t.test('answers and errors nobody waits for are dropped, never answered', async (t) => {
  const ends = withEcho();
  const { b, inject } = ends;
  await inject({ header: head(1) });
  await inject({ header: head(1) }, { re: 'nobodyasked' });
  await inject({ header: head(1000, { body: true }), body: { text: 'x' } }, { re: 'nobodyasked' });
  await inject({ header: head(4711) }, { re: 'nobodyasked' });
  await inject({
    header: head(2, { body: true }),
    body: { code: 'busy', message: 'x', scope: 1001 },
    footer: { t: 1, delay: 5 },
  });
  await inject({ header: head(2, { body: true }), body: { code: 'busy', message: 'x' } }, { re: 'nobodyasked' });
  await inject({ header: head(2) });
  t.same(b.sent, []);
  t.equal(b.peer.counters().stray, 7);
  t.match(b.told.refused, [
    [{ code: 'busy', scope: 1001, delay: 5 }, undefined],
    [{ code: 'busy', scope: undefined }, 'nobodyasked'],
  ]);
  t.equal(b.told.refused.length, 2, 'an ERROR that is none says nothing');
  const errors: unknown[] = [];
  b.router.on(ERROR, ({ code }, ctx) => errors.push([code, ctx.claims.re]));
  await inject({ header: head(2, { body: true }), body: { code: 'busy', message: 'x' } }, { re: 'nobodyasked' });
  await inject({ header: head(2, { body: true }), body: { code: 'busy', message: 'x', z: 1 } });
  t.same(errors, [['busy', 'nobodyasked']]);
  t.same(b.sent, [], 'also where somebody listens');
  t.match(b.told.rejected, [[{ code: 'bad_body' }]]);
});

t.test('a handler learns who asks, and answers once, in whatever way', async (t) => {
  const { a, b, run } = pairOf({ grant: { permissions: ['assign'] } });
  const seen: unknown[] = [];
  b.router.on(ECHO, (body, ctx) => {
    const { pkg, header, claims, from, grant, data, scope, footer } = ctx;
    seen.push({
      body,
      pkg,
      header,
      from,
      node: grant.node,
      may: grant.permissions,
      data,
      scope: scope.name,
      t: footer?.t,
      jti: claims.jti,
    });
    return ctx.reply({ text: body.text.toUpperCase() });
  });
  const answer = await Promise.all([
    a.peer.call(ECHO, { text: 'x' }, { user: '42', channel: '7', footerInclude: ['dt'] }),
    run(),
  ]);
  t.same(answer[0], { text: 'X' });
  const header = { scope: 1000, internal: false, body: true, user: '42', channel: '7', footerInclude: ['dt'] };
  const jti = read(last(a.sent)).claims['jti'];
  t.match(seen, [
    {
      body: { text: 'x' },
      header,
      from: 'svc-a',
      node: 'svc-a',
      may: ['assign'],
      data: 'dispatch',
      scope: 'ECHO',
      t: WALL,
      jti,
    },
  ]);
  t.match(seen, [{ pkg: { header, body: { text: 'x' }, footer: { t: WALL } } }]);
  t.same(read(last(b.sent)).header, { scope: 1000, internal: false, body: true, user: '42', channel: '7' });
});

t.test('what a handler does wrong is internal to the peer and an error here', async (t) => {
  const rows: (readonly [string, Parameters<Ends['b']['router']['on']>[1], RegExp])[] = [
    [
      'throws',
      () => {
        throw new Error('secret');
      },
      /secret/,
    ],
    [
      'throws what is no error',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- that is the case
        throw 'secret text';
      },
      /secret text/,
    ],
    [
      'rejects',
      async () => {
        throw new Error('later secret');
      },
      /later secret/,
    ],
    [
      'answers badly',
      () => ({ text: 5 }),
      /answer to scope 1000 \(ECHO\) is not valid: bad_body: body.text must be a string/,
    ],
    ['answers nothing', () => undefined, /body is missing/],
    ['answers too much', () => ({ text: 'x'.repeat(70_000) }), /65536/],
    ['answers the answer of another', (_body: unknown, _ctx: unknown) => foreign, /answer of another package/],
    [
      'passes on what others told it',
      async (_body: unknown, ctx: { peer: Ends['b']['peer'] }) => ctx.peer.call(NOTE as never, {} as never),
      /nobody answers/,
    ],
  ] as never;
  let foreign: unknown;
  const { a, b, run } = pairOf();
  b.router.on(LAZY, (_body, ctx) => {
    foreign = ctx.reply({ n: 1 });
    return foreign as never;
  });
  await Promise.all([a.peer.call(LAZY, { n: 1 }), run()]);
  for (const [name, handler, message] of rows) {
    const ends = pairOf();
    ends.b.router.on(ECHO, handler as never);
    const call = ends.a.peer.call(ECHO, { text: '' }).catch((reason: unknown) => reason);
    await ends.run();
    const error = await call;
    t.match(error, { code: 'internal', message: 'internal: something failed here', issues: [] }, name);
    t.equal(ends.b.told.failed.length, 1, name);
    t.match(ends.b.told.failed[0], { message });
    t.notMatch(JSON.stringify(ends.b.sent.map(read)), 'secret', 'and not told to anybody');
    t.equal(ends.b.peer.counters().failed, 1);
  }
});

t.test('an answer is given once: the second is our mistake, and is not sent', async (t) => {
  const { a, b, run } = pairOf();
  b.router.on(ECHO, (_body, ctx) => {
    ctx.reply({ text: 'one' });
    return { text: 'two' };
  });
  b.router.on(LAZY, (_body, ctx) => {
    ctx.reply({ n: 1 });
    return ctx.refuse('busy');
  });
  b.router.on(NOTE, (_body, ctx) => ctx.reply(undefined as never));
  t.same((await Promise.all([a.peer.call(ECHO, { text: '' }), run()]))[0], { text: 'one' });
  t.same((await Promise.all([a.peer.call(LAZY, { n: 0 }), run()]))[0], { n: 1 });
  a.peer.send(NOTE, { n: 1 });
  await run();
  t.match(
    b.told.failed,
    [/returned another answer/, /answered twice/, /nobody answers scope 1001/].map((message) => ({ message })),
  );
  t.equal(b.sent.length, 3, 'the third is the ERROR about the note');
  t.match(a.told.refused, [[{ code: 'internal', scope: 1001 }]]);
});

t.test(
  'a handler refuses with a code, by returning or by throwing; what it only passes on is no refusal',
  async (t) => {
    const { a, b, run } = pairOf();
    const refusals = [
      (ctx: { refuse: (what: 'stale_epoch') => unknown }) => ctx.refuse('stale_epoch'),
      () => {
        throw new Refusal('forbidden', {
          detail: 'for the log',
          issues: [{ path: ['body', 'text'], message: 'is rude' }],
          delay: 3,
        });
      },
      async () => {
        throw new Refusal('busy', { delay: 10 });
      },
    ];
    b.router.on(ECHO, (_body, ctx) => refusals.shift()?.(ctx) as never);
    const errors: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const call = a.peer.call(ECHO, { text: '' }).catch((reason: unknown) => errors.push(reason));
      await run();
      await Promise.resolve();
      if (i === 1) a.peer.tick(2_000);
      if (i < 2) await call;
    }
    t.match(errors[0], { code: 'stale_epoch' });
    t.match(errors[1], { code: 'forbidden', issues: [{ path: ['body', 'text'], message: 'is rude' }], delay: 3 });
    t.notMatch(JSON.stringify(b.sent.map(read)), 'for the log');
    t.same(b.told.failed, []);
    const loose = pairOf();
    const ANY = defineScope({ id: 1005, name: 'ANY', body: z.looseObject({}), reply: z.looseObject({}) });
    loose.b.router.on(ANY, (body) => body);
    const fault = { ...packageFault('forbidden'), code: 'toString' };
    const echoed = await Promise.all([loose.a.peer.call(ANY, JSON.parse(JSON.stringify(fault))), loose.run()]);
    t.match(echoed[0], { kind: 'package-fault', code: 'toString' });
  },
);

t.test('an ERROR is short, whatever the handler or the schema says', async (t) => {
  const { a, b, run } = pairOf();
  const MANY = defineScope({ id: 1006, name: 'MANY', body: z.record(z.string(), z.number()) });
  b.router.on(MANY, () => {});
  const body = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${'k'.repeat(60)}${i}`, 'x']));
  a.peer.forward({ header: head(1006, { body: true }) as never, body, exp: WALL / 1000 + 9 });
  await run();
  const token = last(b.sent);
  t.equal((errorOf({ b } as Ends)['issues'] as unknown[]).length, 8);
  t.ok(token.length < 4_000, `${token.length}`);
  b.router.on(NOTE, () => {
    const issue = { path: Array.from({ length: 200 }, () => 'step'), message: `${'é'.repeat(999)}` };
    throw new Refusal('bad_body', { issues: Array.from({ length: 20 }, () => issue) });
  });
  a.peer.send(NOTE, { n: 1 });
  await run();
  t.ok(last(b.sent).length < 4_500, `${last(b.sent).length}`);
  t.match(last(a.told.refused), [{ code: 'bad_body' }], 'and it is an ERROR its receiver takes');
});

t.test('footers: t always, dt and op when asked for, delay when there is one', async (t) => {
  const { a, b, run, advance } = pairOf();
  let answer: (value: { text: string }) => void = () => {};
  b.router.on(ECHO, () => new Promise((resolve) => (answer = resolve)));
  await Promise.all([a.peer.call(PING), run()]);
  const call = a.peer.ask(ECHO, { text: '' }, { footerInclude: ['dt', 'op', 'delay'] });
  await run();
  await Promise.all([a.peer.call(PING), run()]);
  await advance(130);
  answer({ text: 'x' });
  await run();
  t.same((await call).footer, { t: WALL + 130, dt: 130, op: 2, delay: 0 });
  const plain = a.peer.ask(PING);
  await run();
  t.same((await plain).footer, { t: WALL + 130 });
});

t.test(
  'the signal of a request is aborted when nobody waits any more: its time is over, or the peer is gone',
  async (t) => {
    const { a, b, run, advance, clock } = pairOf();
    const signals: AbortSignal[] = [];
    const held: (() => void)[] = [];
    b.router.on(LAZY, ({ n }, ctx) => {
      if (n < 9) signals.push(ctx.signal);
      return new Promise((resolve) => held.push(() => resolve({ n: n < 9 ? n : ctx.signal.aborted ? 1 : 0 })));
    });
    const calls = [2_000, 5_000, 9_000].map((timeout, n) => a.peer.call(LAZY, { n }, { timeout }).catch(() => n));
    a.peer.call(LAZY, { n: 9 }, { timeout: 9_000 }).catch(() => {});
    await run();
    t.equal(b.peer.deadline(), clock.now() + 2_000);
    await advance(1_999);
    t.equal(signals[0]?.aborted, false);
    await advance(1);
    t.match(signals[0]?.reason, { name: 'PackageError', code: 'timeout' });
    held[1]?.();
    await run();
    t.same(await calls[1], { n: 1 });
    b.peer.lost(clock.now());
    t.equal(signals[1]?.aborted, false, 'it has answered');
    t.match(signals[2]?.reason, { code: 'lost' });
    held[2]?.();
    held[3]?.();
    await run();
    t.equal(b.sent.length, 1, 'nothing is sent after the end');
    t.same(b.told.failed, []);
  },
);

t.test(
  'synchronous handlers run in the order of arrival; asynchronous ones side by side, so many, and reading waits',
  async (t) => {
    const ends = pairOf({ b: { maxConcurrent: 2, maxWaiting: 3 } });
    const { a, b, run } = ends;
    const begun: number[] = [];
    const held = new Map<number, () => void>();
    b.router.on(LAZY, ({ n }) => {
      begun.push(n);
      return n >= 100 ? { n } : new Promise((resolve) => held.set(n, () => resolve({ n })));
    });
    const results: unknown[] = [];
    const call = (n: number): void =>
      void a.peer.call(LAZY, { n }).then(
        ({ n }) => results.push(n),
        (reason) => results.push(reason.code),
      );
    for (const n of [1, 2, 3, 101, 4, 5]) call(n);
    await run();
    t.same(begun, [1, 2], 'the others wait in line, also those that would be done at once');
    t.same(results, ['busy'], 'and the line is short');
    t.equal(b.peer.pressure(), true);
    t.same(b.told.pressure, [true]);
    t.match(last(b.told.rejected), [{ code: 'busy', delay: 1000 }]);
    held.get(2)?.();
    await run();
    t.same(begun, [1, 2, 3], 'one goes, one comes');
    held.get(1)?.();
    await run();
    t.same(begun, [1, 2, 3, 101, 4]);
    t.equal(b.peer.pressure(), true);
    held.get(3)?.();
    held.get(4)?.();
    await run();
    t.equal(b.peer.pressure(), false);
    t.same(results, ['busy', 2, 1, 101, 3, 4]);
  },
);

t.test('reading never waits while we wait for an answer of the same peer', async (t) => {
  const { a, b, run } = pairOf({ b: { maxConcurrent: 2 } });
  b.router.on(LAZY, async ({ n }, ctx) => {
    const { text } = await ctx.peer.call(ECHO, { text: `${n}` });
    return { n: Number(text) };
  });
  a.router.on(ECHO, ({ text }) => ({ text: `${text}0` }));
  const calls = Promise.all([1, 2, 3, 4, 5].map((n) => a.peer.call(LAZY, { n })));
  await run();
  t.same(
    await calls,
    [10, 20, 30, 40, 50].map((n) => ({ n })),
  );
  t.notOk(b.told.pressure.includes(true) && b.peer.pressure());
  t.equal(b.peer.pressure(), false);
});

t.test('who waits for others takes no place in the line', async (t) => {
  const { a, b, run } = pairOf({ b: { maxConcurrent: 1 } });
  const held: (() => void)[] = [];
  b.router.on(LAZY, { waits: true }, ({ n }) => new Promise((resolve) => held.push(() => resolve({ n }))));
  b.router.on(ECHO, async ({ text }) => ({ text }));
  const lazy = Promise.all([1, 2, 3].map((n) => a.peer.call(LAZY, { n })));
  const echo = a.peer.call(ECHO, { text: 'x' });
  await run();
  t.equal(held.length, 3);
  t.same(await echo, { text: 'x' });
  for (const release of held) release();
  await run();
  t.same(await lazy, [{ n: 1 }, { n: 2 }, { n: 3 }]);
});

t.test('line: so many octets may wait, and nothing begins after it was cleared', async (t) => {
  let changes = 0;
  const line = new Line({ concurrent: 1, waiting: 10, size: 100 }, () => changes++);
  let release: () => void = () => {};
  const began: number[] = [];
  const work = (n: number) => (): PromiseLike<void> => {
    began.push(n);
    return new Promise((resolve) => (release = resolve));
  };
  t.equal(line.enter(work(1), 1_000), true, 'nothing waits, so nothing is counted');
  t.equal(line.enter(work(2), 60), true);
  t.equal(line.enter(work(3), 60), false);
  t.equal(line.enter(work(4), 40), true);
  t.same([line.length, line.busy, changes], [2, true, 1]);
  release();
  await Promise.resolve();
  t.same([began, line.length], [[1, 2], 1]);
  line.clear();
  release();
  await Promise.resolve();
  t.same([began, line.length, line.busy], [[1, 2], 0, false]);
});

t.test('a rate is kept scope by scope, scopes nobody declared share one, and answers have none', async (t) => {
  const limit = { perSecond: 1, burst: 2 };
  const ends = pairOf({
    b: { limit, undeclared: 'route', route: ({ header }) => (header.scope > 1_999 ? 'taken' : 'here') },
  });
  const { a, b, run, inject, advance } = ends;
  b.router.on(ECHO, ({ text }) => ({ text }));
  b.router.on(NOTE, { limit: { perSecond: 1, burst: 4 } }, () => {});
  for (let i = 0; i < 5; i++) await inject({ header: head(1001, { body: true }), body: { n: i } });
  t.equal(b.peer.counters().faults.rate_limited, 1, 'its own limit');
  await inject({ header: head(0) });
  await inject({ header: head(0) });
  t.equal(b.peer.counters().faults.rate_limited, 1, 'another scope, another bucket');
  for (let i = 0; i < 3; i++) await inject({ header: head(2_000 + i) });
  t.equal(b.peer.counters().faults.rate_limited, 2, 'not one for each number a peer can think of');
  t.match(read(last(b.sent)).footer, { delay: 1_000 }, 'and when it will pass');
  await advance(1_000);
  await inject({ header: head(2_003) });
  t.equal(b.peer.counters().faults.rate_limited, 2);
  a.router.on(LAZY, ({ n }) => ({ n }));
  const calls = Promise.all([1, 2, 3, 4, 5].map((n) => b.peer.call(LAZY, { n })));
  await run();
  t.equal((await calls).length, 5);
});

t.test('a limit is one of each who sent it first, and documents have none but their own', async (t) => {
  const limit = { perSecond: 0.001, burst: 1 };
  const rates = new Rates();
  const { a, b, run } = pairOf({ a: { limit, rates } });
  let saved = 0;
  a.router.on(UD_TRANSFER, () => void saved++).on(NOTE, () => {});
  await Promise.all([a.peer.call(PING), run()]);
  const exp = WALL / 1000 + 60;
  const send = (scope: number, body: JsonObject, org?: string): unknown =>
    b.peer.forward({ header: { scope, internal: true, body: true }, body, exp, ...(org === undefined ? {} : { org }) });
  for (let i = 0; i < 5; i++) send(UD_TRANSFER.id, { userData: {} });
  for (const org of ['x', 'y', 'x', undefined, 'y']) send(NOTE.id, { n: 1 }, org);
  await run();
  t.equal(saved, 5);
  t.same(a.peer.counters().faults, { rate_limited: 2 });
  t.equal(rates.size, 3);
  const own = pairOf({ a: { limit } });
  own.a.router.on(UD_TRANSFER, { limit }, () => {});
  await Promise.all([own.a.peer.call(PING), own.run()]);
  for (let i = 0; i < 2; i++) {
    own.b.peer.forward({ header: { scope: 101, internal: true, body: true }, body: { userData: {} }, exp });
  }
  await own.run();
  t.same(own.a.peer.counters().faults, { rate_limited: 1 }, 'a limit of the route is one');
});

t.test('roles are those of who sent it first, and only where a dispatch says what he is', async (t) => {
  const { a, b, run } = pairOf();
  const got: unknown[] = [];
  a.router
    .on(ECHO, { roles: ['service'] }, ({ text }, ctx) => {
      got.push([ctx.from, ctx.role, ctx.incoming.role]);
      return { text };
    })
    .on(NOTE, (_body, ctx) => got.push([ctx.from, ctx.role]));
  await Promise.all([a.peer.call(PING), run()]);
  const exp = WALL / 1000 + 60;
  const say = async (scope: number, body: JsonObject, more: object): Promise<void> => {
    b.peer.forward({ header: { scope, internal: true, body: true }, body, exp, ...more });
    await run();
  };
  await say(1000, { text: 'x' }, { org: 'svc-z', rol: 'service' });
  for (const more of [{ org: 'gate', rol: 'front' }, { org: 'svc-z' }]) await say(1000, { text: 'x' }, more);
  await say(1000, { text: 'x' }, {});
  await say(1001, { n: 1 }, { org: 'svc-z' });
  t.strictSame(got, [
    ['svc-z', 'service', 'service'],
    ['dispatch', 'dispatch', 'dispatch'],
    ['svc-z', undefined],
  ]);
  t.same(a.peer.counters().faults, { forbidden: 2 });
  // Which documents are whose is between a node and its dispatch.
  a.router.on(UD_TRANSFER, () => got.push('a document'));
  await say(101, { userData: {} }, { org: 'svc-z', rol: 'service' });
  t.same(a.peer.counters().faults, { forbidden: 3 });
  t.equal(got.length, 3);
});

t.test('route decides where a package goes, and sees it as it came', async (t) => {
  const seen: Incoming[] = [];
  let where: () => 'here' | 'taken' | ReturnType<typeof packageFault> = () => 'taken';
  const ends = pairOf({
    b: {
      undeclared: 'route',
      route: (incoming) => {
        seen.push(incoming);
        return where();
      },
    },
  });
  const { b, inject } = ends;
  const SHIFT = defineScope({
    id: 1007,
    name: 'SHIFT',
    body: z.pipe(
      z.object({ n: z.string() }),
      z.transform(({ n }) => ({ n: Number(n) })),
    ),
  });
  const got: unknown[] = [];
  b.router.declare(ECHO).on(SHIFT, (body) => got.push(body));
  const body = { n: '5' };
  await inject({ header: head(1007, { body: true, destination: 'svc-b' }), body, footer: { t: 1 } });
  t.match(seen[0], {
    body: { n: '5' },
    header: { destination: 'svc-b' },
    footer: { t: 1 },
    from: 'svc-a',
    op: 1,
    receivedAt: 1_000,
  });
  t.same(got, []);
  t.equal(b.peer.counters().taken, 1);
  where = () => 'here';
  await inject({ header: head(1007, { body: true }), body });
  t.same(got, [{ n: 5 }], 'a handler gets what the schema made of it');
  await inject({ header: head(1000, { body: true }), body: { text: 'x' } });
  t.equal(errorOf(ends)['code'], 'unknown_scope', 'declared, but nobody here handles it');
  where = () => packageFault('unknown_destination');
  await inject({ header: head(0) });
  t.equal(errorOf(ends)['code'], 'unknown_destination');
  where = () => {
    throw new Error('broken');
  };
  await inject({ header: head(0) });
  t.equal(errorOf(ends)['code'], 'internal');
  t.match(b.told.failed, [{ message: 'broken' }]);
  t.equal(b.told.failed.length, 1);
  const before = seen.length;
  await inject({ header: head(1000, { body: true }), body: { text: 1 } });
  t.equal(errorOf(ends)['code'], 'bad_body', 'what is declared is checked first');
  await inject({ header: head(5_000, { body: true }), body: ['x'] });
  await inject({ header: head(5_000, { body: true }), body: { t: '\u0007' } });
  t.same(
    b.told.rejected.slice(-2).map(([{ code }]) => code),
    ['bad_body', 'bad_body'],
    'and of the others, that it is clean',
  );
  await inject({ header: head(999) });
  t.equal(errorOf(ends)['code'], 'unknown_scope', 'reserved is reserved');
  t.equal(seen.length, before);
});

const ASKED = defineScope({
  id: 1000,
  name: 'ASK',
  body: z.object({ q: z.string() }),
  reply: z.object({ a: z.number() }),
});

t.test('what is awaited by somebody else needs no permission and is checked as an answer', async (t) => {
  const seen: Incoming[] = [];
  const ends = pairOf({
    grant: { role: 'front', scopes: [] },
    b: {
      undeclared: 'route',
      awaited: (re) => (re === 'forwarded' ? { id: 1000, scope: ASKED, internal: true } : undefined),
      route: (incoming) => {
        seen.push(incoming);
        return 'taken';
      },
    },
  });
  const { b, inject } = ends;
  b.router.declare(ASKED);
  await inject({ header: head(1000, { body: true }), body: { a: 1 } }, { re: 'forwarded' });
  t.equal(seen.length, 1);
  await inject({ header: head(1000, { body: true }), body: { q: 'x' } }, { re: 'forwarded' });
  t.equal(errorOf(ends)['code'], 'bad_body');
  await inject({ header: head(2, { body: true }), body: { code: 'busy', message: '' } }, { re: 'forwarded' });
  t.equal(seen.length, 2);
  await inject({ header: head(5_000) }, { re: 'forwarded' });
  t.match(errorOf(ends), { code: 'bad_header', issues: [{ path: ['header', 'scope'], message: 'must be 1000 or 2' }] });
  await inject({ header: head(1000, { body: true }), body: { a: 1 } }, { re: 'nobodyasked' });
  t.equal(seen.length, 2, 'who was asked chooses no scope');
  t.equal(b.peer.counters().stray, 1);
});

t.test(
  'a dispatch forwards what it was given: the deadline travels along, and who sent it first is said',
  async (t) => {
    const { a, b, run } = pairOf();
    const got: unknown[] = [];
    a.router.on(ECHO, ({ text }, ctx) => {
      got.push([ctx.from, ctx.claims.exp, ctx.grant.node, ctx.footer]);
      return { text };
    });
    await Promise.all([a.peer.call(PING), run()]);
    const header = { scope: 1000, internal: true, body: true, destination: 'svc-a' };
    const exp = WALL / 1000 + 7;
    const jti = b.peer.forward({ header, body: { text: 'x' }, footer: { t: 5 }, org: 'svc-z', exp });
    await run();
    t.same(got, [['svc-z', exp, 'dispatch', { t: 5 }]]);
    t.equal(read(last(a.sent)).claims['re'], jti);
    t.match(read(last(b.sent)).claims, { org: 'svc-z', exp, iss: 'dispatch' });
    t.equal(b.peer.forward({ header, exp: WALL / 1000 }), undefined, 'its time is over');
    t.throws(() => b.peer.forward({ header, body: { text: 'x'.repeat(70_000) }, exp }), RangeError);
  },
);

t.test('a dispatch refuses later what it took', async (t) => {
  const taken: Incoming[] = [];
  const route = (incoming: Incoming): 'taken' => {
    taken.push(incoming);
    return 'taken';
  };
  const { a, b, run } = pairOf({ b: { undeclared: 'route', route } });
  const call = a.peer.call(ECHO, { text: '' }).catch((reason: unknown) => reason);
  await run();
  b.peer.refuse(last(taken), packageFault('owner_timeout', { delay: 20 }));
  await run();
  t.match(await call, { code: 'owner_timeout', delay: 20 });
  t.equal(b.peer.counters().faults.owner_timeout, 1);
});

t.test('the signer may depend on who is there: one secret and one kid for both ends', async (t) => {
  const asked: unknown[] = [];
  const { a, b, run } = withEcho({});
  const ends = withEcho({
    b: {
      signer: (to) => {
        asked.push(to?.kid);
        return b.signer;
      },
    },
  });
  t.same((await Promise.all([ends.a.peer.call(ECHO, { text: 'x' }), ends.run()]))[0], { text: 'x' });
  t.ok(asked.every((kid) => kid === 'svc-a.1'));
  t.ok(asked.length > 0);
  await Promise.all([a.peer.call(PING), run()]);
});

t.test('who ends the peer while being told of a package has nothing more to do with it', async (t) => {
  const route = (_incoming: Incoming, peer: PeerFace): 'here' => {
    peer.end(4001, 'replaced');
    return 'here';
  };
  const ends = pairOf({ b: { route } });
  let handled = 0;
  ends.b.router.on(NOTE, () => handled++);
  ends.b.router.on(ECHO, (_body, ctx) => {
    ctx.peer.end(1000, '');
    return { text: '' };
  });
  ends.a.peer.send(NOTE, { n: 1 });
  ends.a.peer.send(NOTE, { n: 1 });
  await ends.run();
  t.same(ends.b.told.closed, [[4001, 'replaced']], 'once');
  t.equal(ends.b.peer.counters().received, 1);
  t.same(ends.b.sent, []);
  t.equal(handled, 0, 'also not with the one that is under way');
});

t.test('the examples of the package document get what its tables promise', async (t) => {
  const ends = pairOf({ b: { route: () => 'here' } });
  const { b, inject } = ends;
  b.router.on(UD_REQ_OWNERSHIP, { waits: true }, async ({ endpoint }) => ({ userData: { of: endpoint } }));
  const transfers: unknown[] = [];
  b.router.on(UD_TRANSFER, ({ userData }) => transfers.push(userData));
  await inject({ header: { scope: 0, internal: true, body: false } });
  t.match(read(last(b.sent)), { header: { scope: 1, internal: true, body: false }, claims: { re: 'injected-1' } });
  await inject({ header: { scope: 1, internal: true, body: false } });
  t.equal(b.sent.length, 1, 'no answer');
  await inject({
    header: { scope: 100, internal: true, body: true, footerInclude: ['dt'], destination: 'dispatch' },
    body: { endpoint: 'something.url/endpoint' },
  });
  const answer = read(last(b.sent));
  t.match(answer, {
    header: { scope: 101 },
    body: { userData: { of: 'something.url/endpoint' } },
    footer: { t: WALL, dt: 0 },
  });
  await inject({
    header: { scope: 101, internal: true, body: true, footerInclude: ['dt'], destination: 'nodeID' },
    body: { userData: {} },
  });
  t.same(transfers, [{}]);
  t.equal(b.sent.length, 2, 'no answer');
});

t.test('nothing a peer sends makes it throw: whatever is signed, and whatever is not', async (t) => {
  const chance = seedFromEnv('package peer');
  const texts = ['', 'x', '__proto__', 'constructor', '\ud800', '\u0000', 'dispatch', '1', 'x'.repeat(300)];
  const numbers = [0, 1, 2, 100, 101, 102, 1000, 1001, -1, 1.5, 2 ** 53, 1e308];
  const value = (depth: number): unknown => {
    switch (chance.int(depth > 3 ? 4 : 7)) {
      case 0:
        return chance.pick(texts);
      case 1:
        return chance.pick(numbers);
      case 2:
        return chance.pick([true, false, null]);
      case 3:
        return undefined;
      case 4:
        return Array.from({ length: chance.int(4) }, () => value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: chance.int(5) }, () => [
            chance.pick([...texts, 'scope', 'internal', 'body', 'text', 'user', 'code', 't', 'delay']),
            value(depth + 1),
          ]),
        );
    }
  };
  const header = (): unknown =>
    chance.int(4) === 0
      ? value(0)
      : {
          scope: chance.pick(numbers),
          internal: chance.pick([true, true, false]),
          body: chance.pick([true, false]),
          ...(chance.int(3) === 0 ? { footerInclude: value(2) } : {}),
          ...(chance.int(3) === 0 ? { destination: chance.pick(texts) } : {}),
        };
  let ends = withEcho();
  let answered = 0;
  for (let i = 0; i < 1_500; i++) {
    if (ends.b.peer.state === 'ended') ends = withEcho();
    const call = ends.b.peer.call(PING).catch(() => {});
    const re = chance.pick([undefined, undefined, 'nobodyasked', read(last(ends.b.sent)).claims['jti'] as string]);
    const before = ends.b.sent.length;
    const claims = { jti: `fuzzed-${i}`, ...(re === undefined ? {} : { re }) };
    const pkg = { header: header(), body: value(0), footer: chance.int(3) === 0 ? value(0) : undefined };
    await ends.inject(pkg, claims);
    answered += ends.b.sent.length - before;
    if (ends.b.sent.length - before > 1) t.fail(`more than one answer to ${JSON.stringify(pkg)}`);
    // The same token with one character changed, or cut.
    const token = writeToken(ends.a.signer, pkg as never, { iat: 1, exp: 2, jti: 'abcdefgh' });
    const at = chance.int(token.length);
    const broken = chance.int(2) === 0 ? token.slice(0, at) : `${token.slice(0, at)}!${token.slice(at + 1)}`;
    ends.b.peer.receive(broken, ends.clock.now());
    if (ends.b.peer.state !== 'ended') t.fail(`${broken} was taken`);
    await call;
  }
  t.ok(answered > 500, `${answered} were answered`);
  t.same(ends.b.told.failed, []);
});
