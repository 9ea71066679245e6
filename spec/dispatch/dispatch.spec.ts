// The dispatch as its nodes meet it, through a live server: the examples of the package document, each error code, hand-over and its failures,
// forwarding, and several dispatches on one bus. PROTOCOL.md sections 8 and 9. Leases are short here; nothing sleeps.
import t, { type Test } from 'tap';
import * as z from 'zod/mini';
import { memoryBus } from '../../lib/bus/memory.js';
import type { Bus, BusMessage } from '../../lib/dispatch/ports.js';
import { PACKAGE_CODES } from '../../lib/package/codes.js';
import { PING, UD_REQ_OWNERSHIP, UD_REVOKE, UD_SAVE, UD_TRANSFER } from '../../lib/package/core-scopes.js';
import { KeyRing, oneKey } from '../../lib/package/key-ring.js';
import { Router } from '../../lib/package/router.js';
import { defineScope } from '../../lib/package/scope.js';
import { createDispatch } from '../../lib/server/dispatch.js';
import { memoryStore } from '../../lib/store/memory.js';
import {
  DISPATCH_KEY,
  dispatchRecord,
  dispatchSigner,
  type End,
  Net,
  type Pkg,
  type Read,
  recordOf,
  until,
  within,
} from './net.js';
import { MoodyStore } from './scene.js';

const USER = '175928847299117063';
const OTHER = '175928847299117064';
const CHANNEL = '42';

const body = z.strictObject({ n: z.int() });
const DOUBLE = defineScope({ id: 1000, name: 'DOUBLE', body, reply: body });
const NOTE = defineScope({ id: 1001, name: 'NOTE', body });

/** As a node of the library answers 102: with what it has. */
const letGo = (router: Router<string>, doc: () => object): Router<string> =>
  router.on(UD_REVOKE, ({ user, epoch }) => ({
    ...(user === undefined ? {} : { user }),
    epoch,
    userData: { ...doc() },
  }));

const own = (end: End, user?: string): ReturnType<typeof end.peer.call<typeof UD_REQ_OWNERSHIP>> =>
  end.peer.call(UD_REQ_OWNERSHIP, { nodeID: end.node, ...(user === undefined ? {} : { user }) });

const save = (end: End, epoch: number | undefined, userData: object, user?: string): Promise<{ version: number }> =>
  end.peer.call(UD_SAVE, {
    epoch: epoch as number,
    userData: { ...userData },
    ...(user === undefined ? {} : { user }),
  });

// ---- the package document

t.test('the four examples of the document are sent verbatim, and get what its tables promise', async (t) => {
  const net = await Net.open(t, { 'svc-a': { endpoints: ['something.url/endpoint'] } });
  const a = await net.raw('svc-a', true);
  const ping = await a.ask({ header: { scope: 0, internal: true, body: false } });
  t.match(ping.header, { scope: 1, internal: true, body: false });
  t.equal(ping.body, undefined);
  t.equal(ping.claims.iss, 'dispatch');

  const got = a.got.length;
  a.say({ header: { scope: 1, internal: true, body: false } });
  const asked: Pkg = {
    header: { scope: 100, internal: true, body: true, footerInclude: ['dt'], destination: 'dispatch' },
    body: { endpoint: 'something.url/endpoint' },
  };
  const transfer = await a.ask(asked);
  t.equal(a.got.length, got + 1, 'PING_RESPONSE is not answered');
  t.match(transfer.header, { scope: 101, internal: true, body: true });
  t.same(transfer.body, { epoch: 1, userData: {} }, 'the shared document carries no user');
  t.match(transfer.footer, { t: Number, dt: Number });
  t.notOk('op' in (transfer.footer ?? {}), 'dt was asked for, op was not');

  // To another destination it is none of its business.
  const example = { scope: 101, internal: true, body: true, footerInclude: ['dt'] };
  const stray = await a.ask({ header: { ...example, destination: 'nodeID' }, body: { userData: {} } });
  t.match(stray.body, { code: 'forbidden', scope: 101 });
  const stale = await a.ask({ header: { ...example, destination: 'dispatch' }, body: { userData: {} } });
  t.match(stale.body, { code: 'stale_epoch', scope: 101 }, 'unasked, and without an epoch');

  // As the answer to 102 it needs none.
  const b = await net.join('svc-b').catch((error: Error) => error);
  t.ok(b instanceof Error, 'a node nobody knows');
  net.know('svc-b');
  const second = own(await net.join('svc-b'));
  const revoke = await a.next('102', ({ header }) => header['scope'] === 102);
  t.match(revoke, {
    header: { internal: true },
    body: { epoch: 1, to: 'svc-b', deadline: Number },
    claims: { iss: 'dispatch' },
  });
  t.notOk('org' in revoke.claims);
  a.say(
    { header: { ...example, destination: 'dispatch' }, body: { userData: { kept: true } } },
    { re: revoke.claims.jti },
  );
  t.same(await within(second, 'the hand-over'), { epoch: 2, userData: { kept: true } });
});

t.test('each error code is provoked, with its phrase', async (t) => {
  const store = new MoodyStore();
  const net = await Net.open(
    t,
    { 'svc-a': {}, 'svc-b': {}, 'front-1': { role: 'front', users: [USER] }, 'svc-bad': {} },
    {
      store,
      scopes: [defineScope({ id: 1002, name: 'RARE', limit: { perSecond: 0.01, burst: 1 } })],
      maxWaiting: 1,
    },
  );
  const a = await net.raw('svc-a');
  const front = await net.raw('front-1');
  const b = await net.raw('svc-b');
  const iat = Math.floor(Date.now() / 1000);
  const plain = { scope: 1000, internal: true, body: false };
  const codes = new Set<string>();
  const refused = async (
    who: typeof a,
    pkg: Pkg,
    claims: Parameters<typeof a.ask>[1],
    code: string,
    more: object = {},
  ): Promise<void> => {
    const answer = await who.ask(pkg, claims);
    t.match(
      answer,
      { header: { scope: 2 }, body: { code, message: PACKAGE_CODES[code as 'internal'].phrase }, ...more },
      code,
    );
    codes.add(code);
  };
  const nodes = 'a'.repeat(65);
  await refused(a, { header: plain }, { iat: iat - 200, exp: iat - 100 }, 'token_expired');
  const token = a.token({ header: plain }, { jti: 'once-and-again' });
  a.connection.send(token);
  a.connection.send(token);
  await a.next('replayed', ({ body }) => body?.['code'] === 'replayed');
  codes.add('replayed');
  await refused(a, { header: { ...plain, destination: nodes } }, {}, 'too_long');
  await refused(a, { header: { ...plain, body: true } }, {}, 'bad_header');
  await refused(a, { header: { ...plain, scope: 103, body: true }, body: { epoch: 0, userData: {} } }, {}, 'bad_body', {
    body: { issues: [{ path: ['body', 'epoch'] }] },
  });
  await refused(a, { header: { ...plain, scope: 500 } }, {}, 'unknown_scope');
  await refused(a, { header: plain }, {}, 'unknown_scope');
  await refused(a, { header: { ...plain, destination: 'svc-z' } }, {}, 'unknown_destination');
  await refused(front, { header: plain }, {}, 'forbidden');
  await refused(front, { header: { ...plain, internal: false, user: OTHER, channel: CHANNEL } }, {}, 'forbidden');
  a.say({ header: { ...plain, scope: 1002, destination: 'svc-b' } });
  await refused(a, { header: { ...plain, scope: 1002, destination: 'svc-b' } }, {}, 'rate_limited', {
    footer: { delay: Number },
  });

  // not_escaped: only of fronts, and only in what they write themselves.
  const raw = front.token({ header: { scope: 0, internal: true, body: false } }).split('.');
  const spaced = Buffer.from(raw[1] ?? '', 'base64url')
    .toString()
    .replace('{"header"', '{ "header"');
  const signed = front.signer.sign(spaced.replace(/"jti":"[^"]+"/, '"jti":"spaced-out"'));
  front.connection.send(signed);
  await front.next('not_escaped', ({ body, claims }) => body?.['code'] === 'not_escaped' && claims.re === 'spaced-out');
  codes.add('not_escaped');

  // A owns and says nothing; B waits; another one cannot.
  const ask = (who: typeof a): Pkg => ({
    header: { ...plain, scope: 100, body: true },
    body: { nodeID: who.node, user: USER },
  });
  const epoch = (await a.ask(ask(a))).body?.['epoch'] as number;
  await until(() => net.owners.length === 1);
  const waits = b.say(ask(b), { iat, exp: iat + 1 });
  net.know('svc-c');
  const c = await net.raw('svc-c');
  await refused(c, ask(c), {}, 'busy', { footer: { delay: Number } });
  await b.next('owner_timeout', ({ body, claims }) => body?.['code'] === 'owner_timeout' && claims.re === waits);
  codes.add('owner_timeout');
  await refused(
    a,
    { header: { ...plain, scope: 103, body: true }, body: { user: USER, epoch: epoch + 7, userData: {} } },
    {},
    'stale_epoch',
  );
  store.failures.push({ which: 'get' });
  await refused(
    a,
    { header: { ...plain, scope: 103, body: true }, body: { user: OTHER, epoch: 1, userData: {} } },
    {},
    'internal',
  );
  t.match(net.errors, [/the store has failed with the document/], 'and the operator hears why');

  const bad = await net.raw('svc-bad');
  bad.connection.send('a.b.c');
  t.match(await bad.ended(), { code: 1008, reason: 'bad_token' });
  codes.add('bad_token');
  t.strictSame([...codes].sort(), Object.keys(PACKAGE_CODES).sort(), 'all of them');
});

// ---- ownership

t.test('A owns, B asks, A is revoked, B has its last state; what A writes late is stale and kept', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': { es256: true } }, { minimumHold: 0 });
  let doc: object = {};
  const a = await net.join(
    'svc-a',
    letGo(new Router<string>(), () => doc),
  );
  const b = await net.join('svc-b');
  t.same(await own(a, USER), { user: USER, epoch: 1, userData: {} });
  t.same(await save(a, 1, { n: 1 }, USER), { user: USER, epoch: 1, version: 1 });
  doc = { n: 2 };
  t.same(await own(b, USER), { user: USER, epoch: 2, userData: { n: 2 } });
  await t.rejects(save(a, 1, { n: 'late' }, USER), { code: 'stale_epoch' });
  t.same(await save(b, 2, { n: 3 }, USER), { user: USER, epoch: 2, version: 3 });
  t.strictSame(net.owners, [
    { user: USER, owner: 'svc-a', epoch: 1 },
    { user: USER, owner: 'svc-b', epoch: 2 },
  ]);
  t.match(net.conflicts, [{ key: USER, node: 'svc-a', epoch: 1, currentEpoch: 2, doc: { n: 'late' } }]);
  t.match(await net.dispatch.conflicts(USER), net.conflicts, 'and can be asked for');
  t.same(await net.dispatch.conflicts(), [], 'the shared document has none');
  t.match(net.dispatch.counters().ownership, { granted: 2, handedOver: 1, conflicts: 1, stale: 1, waiting: 0 });
  t.equal(net.dispatch.counters().pending, 0);
});

t.test(
  'a user that the header speaks for, one that the body names, and the shared document are three documents',
  async (t) => {
    const net = await Net.open(t, { 'svc-a': {} });
    const a = await net.join('svc-a');
    const header = { user: USER, channel: CHANNEL };
    t.match(await a.peer.call(UD_REQ_OWNERSHIP, { nodeID: 'svc-a' }, header), { user: USER, epoch: 1 });
    t.match(await a.peer.call(UD_REQ_OWNERSHIP, { nodeID: 'svc-a', user: OTHER }, header), { user: OTHER, epoch: 1 });
    t.strictSame(await own(a), { epoch: 1, userData: {} });
    t.same(await a.peer.call(UD_SAVE, { epoch: 1, userData: { of: 'header' } }, header), {
      user: USER,
      epoch: 1,
      version: 1,
    });
    t.same((await own(a, USER)).userData, { of: 'header' });
    t.same((await own(a)).userData, {});
  },
);

t.test('the owner that lets go unasked is followed at once, and nobody owns in between', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} });
  const a = await net.join('svc-a');
  const b = await net.join('svc-b');
  await own(a, USER);
  a.peer.send(UD_TRANSFER, { user: USER, epoch: 1, userData: { left: 'here' } });
  await until(() => net.owners.length === 2);
  t.strictSame(net.owners[1], { user: USER, owner: null, epoch: 1 });
  t.same(await own(b, USER), { user: USER, epoch: 2, userData: { left: 'here' } });
  t.equal(net.dispatch.counters().ownership.revoked, 0, 'no 102 was needed');
  a.peer.send(UD_TRANSFER, { user: USER, epoch: 1, userData: { left: 'again' } });
  t.ok(await until(() => a.refused.length === 1));
  t.match(a.refused, [{ code: 'stale_epoch', scope: 101 }], 'a late one is refused, though it was no call');
});

t.test('an owner that says nothing, or will not, loses the document when its frozen lease is over', async (t) => {
  for (const [name, router] of [
    ['silent', new Router<string>().on(UD_REVOKE, () => new Promise<never>(() => {}))],
    ['unwilling', new Router<string>().on(UD_REVOKE, (_body, ctx) => ctx.refuse('internal'))],
    ['ignorant', new Router<string>()],
  ] as const) {
    const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { lease: 300, revokeDeadline: 100, minimumHold: 0 });
    const a = await net.join('svc-a', router);
    const b = await net.join('svc-b');
    await own(a, USER);
    await save(a, 1, { n: 1 }, USER);
    // Its signs of life do not prolong the lease that 102 has frozen.
    const beat = setInterval(() => void a.peer.call(PING).catch(() => {}), 20);
    t.teardown(() => clearInterval(beat));
    const start = performance.now();
    t.same(await own(b, USER), { user: USER, epoch: 2, userData: { n: 1 } }, name);
    t.ok(performance.now() - start > 250, `${name}: not before`);
    clearInterval(beat);
    t.match(net.dispatch.counters().ownership, { takenOver: 1, handedOver: 0 });
  }
});

t.test(
  'an owner that is gone is not waited for longer than its lease, and hears of 102 when it comes back before',
  async (t) => {
    const net = await Net.open(
      t,
      { 'svc-a': {}, 'svc-b': {} },
      { lease: 10_000, revokeDeadline: 5_000, minimumHold: 0 },
    );
    const a = await net.join('svc-a');
    const b = await net.join('svc-b');
    await own(a, USER);
    await save(a, 1, { n: 1 }, USER);
    await a.link.close();
    t.ok(await until(() => net.dispatch.node('svc-a') === undefined));
    const waits = own(b, USER);
    await until(() => net.dispatch.counters().ownership.waiting === 1);
    const back = await net.raw('svc-a', true);
    back.say({ header: { scope: 0, internal: true, body: false } });
    const revoke = await back.next('102', ({ header }) => header['scope'] === 102);
    t.equal(back.got.indexOf(revoke), 0, 'before the answer to its PING');
    back.say(
      { header: { scope: 101, internal: true, body: true }, body: { user: USER, userData: { n: 2 } } },
      { re: revoke.claims.jti },
    );
    t.same(await waits, { user: USER, epoch: 2, userData: { n: 2 } });
  },
);

t.test('writes are on their way before a PING behind them is answered, and bounded of each node', async (t) => {
  const store = new MoodyStore();
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { store });
  const a = await net.raw('svc-a');
  const b = await net.raw('svc-b');
  store.hold();
  const save = (from: typeof a, user: number): string =>
    from.say({
      header: { scope: user % 2 === 0 ? 103 : 101, internal: true, body: true },
      body: { user: String(user), epoch: 1, userData: {} },
    });
  for (let user = 1; user <= 520; user += 1) save(a, user);
  await a.ping();
  const codes = (): unknown[] => a.got.filter(({ header }) => header['scope'] === 2).map(({ body }) => body?.['code']);
  t.same(codes(), Array(8).fill('busy'), '512 of them wait for the store, of whichever document');
  t.match(net.dispatch.counters().ownership, { documents: 512 });
  save(b, 1_000);
  await b.ping();
  t.match(net.dispatch.counters().ownership, { documents: 513 }, 'which is nothing to others');
  store.release();
  t.ok(await until(() => codes().length === 520), 'each has its answer');
  save(a, 1);
  t.ok(await until(() => codes().length === 521 && codes().at(-1) === 'stale_epoch'), 'and there is room again');
});

t.test('an owner that goes on is told that it is one no longer, whatever it has made of being asked', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { lease: 300, revokeDeadline: 100, minimumHold: 0 });
  const a = await net.raw('svc-a');
  const b = await net.join('svc-b');
  await a.ask({
    header: { scope: 100, internal: true, body: true },
    body: { nodeID: 'svc-a', user: USER },
  });
  await own(b, USER);
  const revokes = (): typeof a.got => a.got.filter(({ header }) => header['scope'] === 102);
  t.ok(await until(() => revokes().length >= 3), 'asked, asked again, told');
  t.ok(revokes().every(({ body }) => body?.['epoch'] === 1 && body['to'] === 'svc-b'));
  const late = {
    header: { scope: 101, internal: true, body: true },
    body: { user: USER, epoch: 1, userData: { n: 1 } },
  };
  const answer = await a.ask(late, { re: revokes().at(-1)?.claims.jti as string });
  t.match(answer, { header: { scope: 2 }, body: { code: 'stale_epoch' } });
  t.match(await net.store.conflicts(USER), [{ node: 'svc-a', doc: { n: 1 } }], 'what it says then is kept');
});

t.test('a request dies with its package, and says when another try makes sense', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { minimumHold: 0 });
  const a = await net.join(
    'svc-a',
    new Router<string>().on(UD_REVOKE, () => new Promise<never>(() => {})),
  );
  const b = await net.raw('svc-b');
  await own(a, USER);
  const iat = Math.floor(Date.now() / 1000);
  const answer = await b.ask(
    { header: { scope: 100, internal: true, body: true }, body: { nodeID: 'svc-b', user: USER } },
    { iat, exp: iat + 1 },
  );
  t.match(answer, { body: { code: 'owner_timeout', scope: 100 }, footer: { delay: Number } });
  t.same(await save(a, 1, { still: 'mine' }, USER), { user: USER, epoch: 1, version: 1 });
});

t.test('an answer to 102 about another document, or of another scope, is refused', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { minimumHold: 0, revokeDeadline: 2_000 });
  const a = await net.raw('svc-a');
  const b = await net.join('svc-b');
  const ask = { header: { scope: 100, internal: true, body: true }, body: { nodeID: 'svc-a', user: USER } };
  const revoked = async (): Promise<string> => {
    await a.ask(ask);
    const before = a.got.length;
    void own(b, USER).catch(() => {});
    const one = await a.next('102', (got) => got.header['scope'] === 102 && a.got.indexOf(got) >= before);
    return one.claims.jti;
  };
  const re = await revoked();
  const header = { scope: 101, internal: true, body: true };
  const wrong = await a.ask({ header, body: { user: OTHER, userData: { stolen: true } } }, { re });
  t.match(wrong.body, { code: 'bad_body', issues: [{ path: ['body', 'user'] }] });
  // Its one answer was given; what comes now is a write of its own, in the current epoch.
  a.say({ header, body: { user: USER, epoch: 1, userData: { mine: true } } }, { re });
  t.ok(await until(() => net.owners.at(-1)?.owner === 'svc-b'));
  t.same((await own(b, USER)).userData, { mine: true });
  const stray = a.say({ header: { scope: 1, internal: true, body: false } }, { re: 'nobody-asked' });
  await a.ping();
  t.notOk(
    a.got.some(({ claims }) => claims.re === stray),
    'what nobody has asked is not answered',
  );
});

t.test('what the dispatch says by itself is for one node, and names it', async (t) => {
  const net = await Net.open(t, {
    'svc-a': { es256: true },
    'svc-b': { es256: true, permissions: ['assign'] },
  });
  const a = await net.raw('svc-a');
  const b = await net.join('svc-b', new Router<string>());
  const scopeIs = (scope: number) => (one: Read) => one.header['scope'] === scope;
  const ask = { header: { scope: 100, internal: true, body: true }, body: { nodeID: 'svc-a', user: USER } };
  t.match(await a.ask(ask), { header: { scope: 101, destination: 'svc-a' } }, 'in answers too: they may come late');
  void b.peer.call(UD_REQ_OWNERSHIP, { nodeID: 'svc-b', user: USER }).catch(() => {});
  t.match(await a.next('102', scopeIs(102)), { header: { destination: 'svc-a' } });
  await b.peer.call(UD_REQ_OWNERSHIP, { nodeID: 'svc-a', user: OTHER });
  const given = await a.next('101 unasked', (one) => scopeIs(101)(one) && one.claims.re === undefined);
  t.match(given, { header: { destination: 'svc-a' }, body: { user: OTHER } });
  void net.dispatch.call('svc-a', DOUBLE, { n: 1 }).catch(() => {});
  t.match(await a.next('a call', scopeIs(DOUBLE.id)), { header: { destination: 'svc-a' } });
});

t.test('who may assign makes another service the owner, which hears of it unasked', async (t) => {
  const net = await Net.open(t, {
    'front-1': { role: 'front', users: [USER], permissions: ['assign'] },
    'front-2': { role: 'front' },
    'svc-a': { endpoints: ['a.example/data'] },
    'svc-b': { users: [OTHER] },
  });
  let given: object | undefined;
  const a = await net.join(
    'svc-a',
    new Router<string>().on(UD_TRANSFER, (body, { claims }) => {
      given = { ...body, re: claims.re };
    }),
  );
  await net.join('svc-b');
  const front = await net.join('front-1');
  const powerless = await net.join('front-2');
  const speaks = { user: USER, channel: CHANNEL };
  const ask = (end: End, what: object, of = speaks): Promise<unknown> => end.peer.call(UD_REQ_OWNERSHIP, what, of);
  t.same(await ask(front, { endpoint: 'a.example/data' }), { user: USER, epoch: 1, userData: {} });
  t.ok(await until(() => given !== undefined));
  t.same(given, { user: USER, epoch: 1, userData: {}, re: undefined });
  t.same(await save(a, 1, { n: 1 }, USER), { user: USER, epoch: 1, version: 1 }, 'it owns');
  t.same(await ask(front, { endpoint: 'a.example/data', nodeID: 'svc-a' }), {
    user: USER,
    epoch: 2,
    userData: { n: 1 },
  });
  await t.rejects(ask(front, { endpoint: 'a.example/data', nodeID: 'svc-b' }), {
    code: 'bad_body',
    issues: [{ path: ['body', 'endpoint'] }],
  });
  await t.rejects(
    ask(front, { endpoint: 'http://169.254.169.254/' }),
    { code: 'unknown_destination' },
    'looked up, never dialled',
  );
  await t.rejects(ask(front, { nodeID: 'svc-z' }), { code: 'unknown_destination' });
  await t.rejects(ask(front, { nodeID: 'svc-b' }), { code: 'forbidden' }, 'not for that user');
  await t.rejects(ask(front, { nodeID: 'front-2' }), { code: 'forbidden' }, 'a front owns nothing');
  await t.rejects(ask(front, { nodeID: 'svc-a', user: OTHER }), { code: 'forbidden' }, 'not its user');
  await t.rejects(ask(powerless, { nodeID: 'svc-a' }), { code: 'forbidden' }, 'no permission');
  await t.rejects(ask(powerless, { nodeID: 'front-2' }), { code: 'forbidden' }, 'nor for itself');
  t.match(
    net.owners,
    [
      { owner: 'svc-a', epoch: 1 },
      { owner: 'svc-a', epoch: 2 },
    ],
    'refusals have changed nothing',
  );
});

t.test('a front that is asked for ownership asks the dispatch, and relays the answer', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'front-1': { role: 'front', permissions: ['assign'] } });
  const router = new Router<string>();
  const front = await net.join('front-1', router);
  router.on(UD_REQ_OWNERSHIP, ({ user = USER }, ctx) =>
    front.peer.call(UD_REQ_OWNERSHIP, { nodeID: ctx.from, user }, { user, channel: CHANNEL }),
  );
  const a = await net.join('svc-a');
  const answer = await a.peer.ask(UD_REQ_OWNERSHIP, { nodeID: 'svc-a', user: USER }, { destination: 'front-1' });
  t.same(answer.body, { user: USER, epoch: 1, userData: {} });
  t.match(answer, { from: 'front-1', claims: { iss: 'dispatch', org: 'front-1' } });
  t.match(net.owners, [{ owner: 'svc-a' }]);
});

// ---- forwarding

t.test('what is forwarded is signed anew, says who sent it and until when, and its answer finds back', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': { es256: true } }, { scopes: [DOUBLE] });
  const a = await net.raw('svc-a');
  const b = await net.raw('svc-b');
  const iat = Math.floor(Date.now() / 1000);
  const jti = a.say(
    {
      header: {
        scope: 1000,
        internal: false,
        user: USER,
        channel: CHANNEL,
        body: true,
        destination: 'svc-b',
        footerInclude: ['dt', 'op'],
      },
      body: { n: 4 },
      footer: { t: 7, delay: 100_000 },
    },
    { exp: iat + 17 },
  );
  const there = await b.next('1000', ({ header }) => header['scope'] === 1000);
  t.match(there, {
    header: { destination: 'svc-b', user: USER, channel: CHANNEL, footerInclude: ['dt', 'op'] },
    body: { n: 4 },
    claims: { iss: 'dispatch', org: 'svc-a', exp: iat + 17 },
  });
  t.strictSame(there.footer, { t: 7 }, 'a delay is for answers');
  t.not(there.claims.jti, jti);
  b.say(
    {
      header: { scope: 1000, internal: false, user: USER, channel: CHANNEL, body: true },
      body: { n: 8 },
      footer: { t: 8, dt: 3, op: 2, delay: 5 },
    },
    { re: there.claims.jti },
  );
  const back = await a.next('its answer', ({ claims }) => claims.re === jti);
  t.match(back, { header: { scope: 1000 }, body: { n: 8 }, claims: { iss: 'dispatch', org: 'svc-b' } });
  t.strictSame(back.footer, { t: 8, dt: 3, op: 2, delay: 5 }, 'the footer of an answer travels along');
  b.say({ header: { scope: 1000, internal: true, body: true }, body: { n: 9 } }, { re: there.claims.jti });
  await b.ping();
  t.equal(a.got.filter(({ claims }) => claims.re === jti).length, 1, 'one answer, and no second one');
  t.match(net.dispatch.counters(), { forwarded: 1, answered: 1, pending: 0 });
});

t.test('an ERROR finds back as well; who is not here, or leaves meanwhile, is told of at once', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {}, 'svc-c': {} }, { scopes: [DOUBLE] });
  const a = await net.join('svc-a');
  const router = new Router<string>().on(DOUBLE, ({ n }, ctx) =>
    n === 0 ? ctx.refuse('forbidden') : n === 1 ? new Promise<never>(() => {}) : { n: 2 * n },
  );
  const b = await net.join('svc-b', router);
  const call = (n: number, destination = 'svc-b'): Promise<{ n: number }> =>
    a.peer.call(DOUBLE, { n }, { destination });
  t.same(await call(21), { n: 42 });
  await t.rejects(call(0), { code: 'forbidden', from: 'svc-b', scope: 1000 });
  await t.rejects(call(1, 'svc-c'), { code: 'unknown_destination', from: 'dispatch' }, 'known, and not here');
  await t.rejects(call(1, 'svc-z'), { code: 'unknown_destination', from: 'dispatch' });
  const open = call(1).catch((error: Error) => error);
  await until(() => net.dispatch.counters().pending === 1);
  const start = performance.now();
  await b.link.close();
  t.match(await open, { code: 'unknown_destination' });
  t.ok(performance.now() - start < 2_000, 'long before its time is over');
  const again = await net.join(
    'svc-b',
    new Router<string>().on(DOUBLE, () => new Promise<never>(() => {})),
  );
  const taken = call(1).catch((error: Error) => error);
  await until(() => net.dispatch.counters().pending === 1);
  await net.join(
    'svc-b',
    new Router<string>().on(DOUBLE, ({ n }) => ({ n })),
  );
  t.match(await taken, { code: 'unknown_destination' }, 'the newer one was not asked');
  t.match(await again.link.closed, { code: 4001, reason: 'replaced' });
  t.same(await call(5), { n: 5 });
  t.equal(net.dispatch.counters().pending, 0);
});

t.test('who has asked and left leaves nothing behind', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { scopes: [DOUBLE] });
  const a = await net.join('svc-a');
  let answer: (n: { n: number }) => void = () => {};
  await net.join(
    'svc-b',
    new Router<string>().on(DOUBLE, () => new Promise((resolve) => (answer = resolve))),
  );
  const lost = a.peer.call(DOUBLE, { n: 1 }, { destination: 'svc-b' }).catch((error: Error) => error);
  await until(() => net.dispatch.counters().pending === 1);
  await a.link.close();
  t.match(await lost, { code: 'lost' });
  t.ok(await until(() => net.dispatch.counters().pending === 0));
  answer({ n: 2 });
  const back = await net.join('svc-a');
  await back.peer.call(PING);
  t.strictSame(back.refused, [], 'the answer finds nobody');
});

t.test('declared scopes are validated both ways, the others pass as they are', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { scopes: [DOUBLE, NOTE] });
  const a = await net.raw('svc-a');
  const b = await net.raw('svc-b');
  const to = { internal: true, body: true, destination: 'svc-b' };
  t.match((await a.ask({ header: { ...to, scope: 1000 }, body: { n: 'four' } })).body, {
    code: 'bad_body',
    issues: [{ path: ['body', 'n'] }],
  });
  a.say({ header: { ...to, scope: 4711 }, body: { any: ['thing', { at: 'all' }] } });
  const there = await b.next('4711', ({ header }) => header['scope'] === 4711);
  t.same(there.body, { any: ['thing', { at: 'all' }] });
  b.say({ header: { scope: 4712, internal: true, body: false } }, { re: there.claims.jti });
  t.ok(await until(() => a.got.some(({ header }) => header['scope'] === 4712)), 'and so do their answers');
  // An answer that is not what its scope says is of no use to who has asked.
  const jti = a.say({ header: { ...to, scope: 1000 }, body: { n: 1 } });
  const asked = await b.next('1000', ({ header }) => header['scope'] === 1000);
  const told = await b.ask(
    { header: { scope: 1000, internal: true, body: true }, body: { n: 'two' } },
    { re: asked.claims.jti },
  );
  t.match(told.body, { code: 'bad_body' });
  t.match((await a.next('internal', ({ claims }) => claims.re === jti)).body, { code: 'internal' });
  t.match(net.dispatch.counters(), { broken: 1, pending: 0 });

  const strict = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { scopes: [NOTE], undeclared: 'refuse' });
  const c = await strict.raw('svc-a');
  const d = await strict.raw('svc-b');
  t.match((await c.ask({ header: { ...to, scope: 4711 }, body: {} })).body, { code: 'unknown_scope' });
  c.say({ header: { ...to, scope: 1001 }, body: { n: 1 } });
  t.ok(await until(() => d.got.some(({ header }) => header['scope'] === 1001)));
});

t.test('only the answer of who was asked is taken, and no answer goes where its sender says', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {}, 'svc-c': {} });
  const [a, b, c] = [await net.raw('svc-a'), await net.raw('svc-b'), await net.raw('svc-c')];
  a.say({ header: { scope: 2000, internal: true, body: false, destination: 'svc-b' } });
  const { claims } = await b.next('2000', ({ header }) => header['scope'] === 2000);
  c.say({ header: { scope: 2000, internal: true, body: false } }, { re: claims.jti });
  c.say({ header: { scope: 2000, internal: true, body: false, destination: 'svc-a' } }, { re: claims.jti });
  await c.ping();
  await a.ping();
  t.notOk(a.got.some(({ header }) => header['scope'] === 2000));
  b.say({ header: { scope: 2000, internal: true, body: false, destination: 'svc-c' } }, { re: claims.jti });
  t.match(await a.next('2000', ({ header }) => header['scope'] === 2000), { claims: { org: 'svc-b' } });
  await c.ping();
  t.notOk(
    c.got.some(({ header }) => header['scope'] === 2000),
    'it went to who has asked',
  );
  t.equal(net.dispatch.node('svc-c')?.peer.counters().stray, 2);
  c.say(
    { header: { scope: 101, internal: true, body: true, destination: 'svc-a' }, body: { userData: {} } },
    { re: 'what-is-this' },
  );
  await c.ping();
  await a.ping();
  t.notOk(a.got.some(({ header }) => header['scope'] === 101));
  t.equal(net.dispatch.counters().stray, 1);
});

t.test('a package of a clock that is slow is passed on as long as the tolerance lasts', async (t) => {
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} }, { age: 60_000 });
  const a = await net.raw('svc-a');
  const b = await net.raw('svc-b');
  const iat = Math.floor(Date.now() / 1000) - 20;
  a.say({ header: { scope: 2000, internal: true, body: false, destination: 'svc-b' } }, { iat, exp: iat + 10 });
  t.match(await b.next('2000', ({ header }) => header['scope'] === 2000), { claims: { iat, exp: iat + 10 } });
});

t.test('a dispatch that has just begun takes nothing from before: it may have been taken then', async (t) => {
  const net = await Net.open(t, { 'svc-a': {} });
  const a = await net.raw('svc-a', true);
  const iat = Math.floor(Date.now() / 1000) - 20;
  const ping = { header: { scope: 0, internal: true, body: false } };
  const refused = await a.ask(ping, { iat, exp: iat + 60 });
  t.match(refused, { header: { scope: 2 }, body: { code: 'token_expired' } });
  t.strictSame(net.dispatch.nodes, [], 'nor does it show who somebody is');
  await a.ping();
  t.equal(net.dispatch.nodes.length, 1, 'what is signed now does, on the same connection');
});

t.test(
  'a package that only just fits does not fit with the name of its sender: it is refused, not dropped',
  async (t) => {
    const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {} });
    const a = await net.raw('svc-a');
    await net.raw('svc-b');
    const pkg = (pad: number): Pkg => ({
      header: { scope: 2000, internal: true, body: true, destination: 'svc-b' },
      body: { pad: 'x'.repeat(pad) },
    });
    const fits = (pad: number): boolean => {
      try {
        return a.token(pkg(pad)).length > 0;
      } catch {
        return false;
      }
    };
    let pad = 48_000;
    while (fits(pad + 16)) pad += 1;
    t.match((await a.ask(pkg(pad))).body, { code: 'too_long' });
  },
);

// ---- the dispatch itself

t.test('the dispatch calls nodes, answers scopes of its own, and tells who comes and goes', async (t) => {
  const net = await Net.open(t, { 'svc-a': {} });
  const told: string[] = [];
  net.dispatch.on('node', (_link, node) => told.push(`+${node}`));
  net.dispatch.on('gone', (node) => told.push(`-${node}`));
  net.dispatch.router.on(NOTE, () => void told.push('note'));
  net.dispatch.router.on(DOUBLE, ({ n }) => ({ n: 2 * n }));
  const a = await net.join(
    'svc-a',
    new Router<string>().on(DOUBLE, ({ n }) => ({ n: -n })),
  );
  t.equal(net.dispatch.nodeID, 'dispatch');
  t.equal(net.dispatch.nodes.length, 1);
  t.same(await net.dispatch.call('svc-a', DOUBLE, { n: 5 }), { n: -5 });
  await t.rejects(net.dispatch.call('svc-z', DOUBLE, { n: 5 }), { code: 'unknown_destination' });
  a.peer.send(NOTE, { n: 1 });
  for (const destination of [undefined, 'dispatch'] as const)
    t.same(await a.peer.call(DOUBLE, { n: 5 }, { destination }), { n: 10 });
  await a.link.close();
  t.ok(await until(() => told.length === 3));
  t.strictSame(told, ['+svc-a', 'note', '-svc-a']);
});

t.test('listeners that throw or reject end nothing, and are told of where somebody listens', async (t) => {
  const net = await Net.open(t, { 'svc-a': {} });
  net.dispatch.on('node', () => {
    throw new Error('thrown');
  });
  net.dispatch.on('node', async () => {
    throw new Error('rejected');
  });
  net.dispatch.on('owner', async () => Promise.reject(new Error('owner')));
  const a = await net.join('svc-a');
  await own(a);
  await a.peer.call(PING);
  t.ok(await until(() => net.errors.length === 2));
  t.same(
    net.errors.map(({ message }) => message).sort(),
    ['owner', 'thrown'],
    'a throw keeps later listeners from being asked',
  );
  const silent = createDispatch({ store: memoryStore(), key: dispatchSigner(), keys: new KeyRing(Date.now) });
  silent.on('gone', async () => Promise.reject(new Error('nobody hears')));
  silent.emit('gone', 'x');
  await new Promise((resolve) => setImmediate(resolve));
  silent.close();
});

t.test('a dispatch that closes sends everybody away, and keeps the store', async (t) => {
  const net = await Net.open(t, { 'svc-a': {} });
  const a = await net.join('svc-a');
  await own(a, USER);
  net.dispatch.close();
  net.dispatch.close();
  t.match(await within(a.link.closed, 'it is sent away'), { code: 1001 });
  t.match(await net.store.get(USER), { owner: 'svc-a', epoch: 1 });
  const late = await net.raw('svc-a', true);
  late.say({ header: { scope: 0, internal: true, body: false } });
  t.match(await late.ended(), { code: 1001 });
});

t.test('options that are wrong are named', async (t) => {
  const good = { store: memoryStore(), key: dispatchSigner(), keys: new KeyRing(Date.now) };
  t.doesNotThrow(() => createDispatch(good).close());
  for (const [name, options, message] of [
    ['no store', { ...good, store: undefined }, /createDispatch: store: must be a Store/],
    ['no key', { ...good, key: DISPATCH_KEY.privateKey }, /key: must be a Signer/],
    ['another name', { ...good, key: dispatchSigner('dispatch-eu') }, /key: must be a Signer of the node `dispatch`/],
    ['no ring', { ...good, keys: {} }, /keys: must be a KeyRing/],
    ['an unknown one', { ...good, leaes: 5 }, /leaes/],
    ['a lease of nothing', { ...good, lease: 0 }, /lease/],
    ['half a bus', { ...good, bus: memoryBus() }, /bus and busKeys belong together/],
    ['a scope that is none', { ...good, scopes: [1000] }, /scopes\.0: must be a scope/],
  ] as const) {
    t.throws(() => createDispatch(options as unknown as typeof good), { name: 'TypeError', message }, name);
  }
  t.throws(() => createDispatch({ ...good, scopes: [DOUBLE, DOUBLE] }), RangeError, 'a scope twice');
});

// ---- several dispatches

const busKeys = oneKey(dispatchRecord);

const two = async (test: Test, bus: Bus = memoryBus()): Promise<readonly [Net, Net]> => {
  const store = memoryStore();
  const keys = new KeyRing(Date.now, [recordOf('svc-a'), recordOf('svc-b')]);
  const options = { store, keys, bus, busKeys, minimumHold: 0, lease: 8_000, revokeDeadline: 4_000, scopes: [DOUBLE] };
  return [await Net.open(test, {}, options), await Net.open(test, {}, options)];
};

t.test('nodes of two dispatches reach one another, and their answers find back', async (t) => {
  const [here, there] = await two(t);
  const a = await here.join('svc-a');
  const router = new Router<string>().on(DOUBLE, ({ n }, ctx) => (n === 0 ? ctx.refuse('busy') : { n: 2 * n }));
  const b = await there.join('svc-b', router);
  const answer = await a.peer.ask(DOUBLE, { n: 4 }, { destination: 'svc-b', footerInclude: ['dt'] });
  t.match(answer, { body: { n: 8 }, from: 'svc-b', footer: { dt: Number }, claims: { iss: 'dispatch', org: 'svc-b' } });
  await t.rejects(a.peer.call(DOUBLE, { n: 0 }, { destination: 'svc-b' }), { code: 'busy', from: 'svc-b' });
  await t.rejects(a.peer.call(DOUBLE, { n: 1 }, { destination: 'svc-z' }), { code: 'unknown_destination' });
  await b.link.close();
  t.ok(await until(() => there.dispatch.nodes.length === 0));
  await t.rejects(a.peer.call(DOUBLE, { n: 1 }, { destination: 'svc-b' }), { code: 'unknown_destination' });
  t.match(here.dispatch.counters(), { pending: 0, rejected: 0 });
  t.match(there.dispatch.counters(), { pending: 0, rejected: 0 });
});

t.test('a document is handed over from one dispatch to the other', async (t) => {
  const [here, there] = await two(t);
  const a = await here.join(
    'svc-a',
    letGo(new Router<string>(), () => ({ n: 2 })),
  );
  const b = await there.join('svc-b');
  t.match(await own(a, USER), { epoch: 1 });
  t.same(await own(b, USER), { user: USER, epoch: 2, userData: { n: 2 } });
  t.match(there.dispatch.counters().ownership, { handedOver: 1 });
  await t.rejects(save(a, 1, { late: true }, USER), { code: 'stale_epoch' });
  t.match(here.conflicts, [{ node: 'svc-a', doc: { late: true } }]);
  t.same(await save(b, 2, { n: 3 }, USER), { user: USER, epoch: 2, version: 2 });
});

t.test('a bus that delivers twice, late, forged, in circles or not at all does no harm', async (t) => {
  const inner = memoryBus();
  const sent: (readonly [string, BusMessage])[] = [];
  let mood: 'honest' | 'twice' | 'broken' | 'throws' = 'honest';
  const bus: Bus = {
    attach: (node, receive) => inner.attach(node, receive),
    close: () => inner.close(),
    deliver: (node, message) => {
      sent.push([node, message]);
      if (mood === 'throws') throw new Error('no bus at all');
      if (mood === 'broken') return Promise.reject(new Error('the bus is broken'));
      if (mood === 'twice') void inner.deliver(node, message);
      return inner.deliver(node, message);
    },
  };
  const [here, there] = await two(t, bus);
  const a = await here.join('svc-a');
  const seen: number[] = [];
  await there.join(
    'svc-b',
    new Router<string>().on(DOUBLE, ({ n }) => {
      seen.push(n);
      return { n: 2 * n };
    }),
  );
  const call = (n: number, destination = 'svc-b'): Promise<{ n: number }> =>
    a.peer.call(DOUBLE, { n }, { destination });
  mood = 'twice';
  t.same(await call(1), { n: 2 });
  t.same(seen, [1], 'once there');
  t.ok(await until(() => there.dispatch.counters().rejected >= 1));
  mood = 'broken';
  await t.rejects(call(2), { code: 'unknown_destination' });
  t.match(here.errors.at(-1), /the bus is broken/);
  mood = 'throws';
  await t.rejects(call(3), { code: 'unknown_destination' });
  mood = 'honest';
  t.same(await call(4), { n: 8 });
  const [to, good] = sent[0] as readonly [string, BusMessage];
  const rejected = (): number => there.dispatch.counters().rejected;
  const before = rejected();
  await inner.deliver(to, good); // again, much later
  await inner.deliver(to, { ...good, token: `${good.token.slice(0, -4)}AAAA` });
  await inner.deliver(to, { ...good, token: 'what.is.this' });
  await inner.deliver(to, { ...good, token: 'x'.repeat(100_000) });
  t.equal(rejected() - before, 4);
  t.same(seen, [1, 4]);

  // Nobody has it, and everybody says it is elsewhere.
  const lost = sent.length;
  const off = inner.attach('svc-ghost', (message) => {
    if (message.hops < 10) void bus.deliver('svc-ghost', { ...message, hops: message.hops + 1 });
  });
  const ghost = call(5, 'svc-ghost').catch((error: Error) => error);
  await until(() => sent.length > lost + 3);
  off();
  t.match(await Promise.race([ghost, a.peer.call(PING)]), undefined, 'and the dispatch goes on');
  await a.link.close();
  t.match(await ghost, { code: 'lost' });
});

t.test('a package passes four dispatches at most', async (t) => {
  const inner = memoryBus();
  let hops = 0;
  const bus: Bus = {
    attach: (node, receive) => inner.attach(node, receive),
    close: () => inner.close(),
    // Each time it is sent on there is another dispatch that has heard of the node, and none where it is.
    deliver: async (node, message) => {
      hops = Math.max(hops, message.hops);
      if (node !== 'svc-b') return inner.deliver(node, message);
      const next = await Net.open(t, {}, { store: memoryStore(), keys, bus, busKeys });
      nets.push(next);
      inner.attach('svc-b', () => {});
      const relay = addresses.at(-1);
      return relay === undefined ? false : inner.deliver(relay, message);
    },
  };
  const addresses: string[] = [];
  const nets: Net[] = [];
  const attach = bus.attach.bind(bus);
  bus.attach = (node, receive) => {
    if (node.startsWith('@')) addresses.push(node);
    return attach(node, receive);
  };
  const keys = new KeyRing(Date.now, [recordOf('svc-a')]);
  const here = await Net.open(t, {}, { store: memoryStore(), keys, bus, busKeys });
  const a = await here.join('svc-a');
  await t.rejects(a.peer.call(DOUBLE, { n: 1 }, { destination: 'svc-b' }), { code: 'unknown_destination' });
  t.equal(hops, 4);
  t.equal(nets.length, 4);
});
