// The documents of a node: granted, saved, asked back, let go, and lost in time when the dispatch cannot be reached. Against a scripted dispatch,
// since most of it is about one that is slow, silent, gone or early. PROTOCOL.md section 9.1.

import t, { type Test } from 'tap';
import * as z from 'zod';
import { type Document, type Node, type NodeOptions, type PackageError, Revoked } from '../../lib/index.js';
import { PING, UD_REQ_OWNERSHIP, UD_REVOKE, UD_SAVE, UD_TRANSFER } from '../../lib/package/core-scopes.js';
import { until, within } from '../hostile/stage.js';
import { Dispatch, USER } from './dispatch.js';

const lostBy = (why: string): Error => Object.assign(Object.create(null) as Error, { name: 'Revoked', why });

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

interface Scene {
  readonly dispatch: Dispatch;
  readonly node: Node;
  readonly errors: Error[];
}

const setUp = async (test: Test, options: Partial<NodeOptions> = {}): Promise<Scene> => {
  const dispatch = await Dispatch.open(test);
  const node = await dispatch.node(test, options);
  const errors: Error[] = [];
  node.on('error', (error) => errors.push(error));
  return { dispatch, node, errors };
};

/** Something that somebody else opens. */
const gate = (): { readonly opened: Promise<void>; readonly open: () => void } => {
  let open = (): void => {};
  const opened = new Promise<void>((done) => {
    open = done;
  });
  return { opened, open };
};

t.test('a document is granted, saved, and let go', async (test) => {
  const { dispatch, node, errors } = await setUp(test);
  for (const user of [USER, undefined]) {
    dispatch.of(user).doc = { coffee: 'black' };
    const document = await node.own(user);
    test.match(document, { user, epoch: 1, version: undefined, data: { coffee: 'black' } });
    test.equal(document.revoked.aborted, false);
    test.strictSame(node.documents, [document]);
    document.data['sugar'] = 2;
    test.strictSame(dispatch.of(user).doc, { coffee: 'black' }, 'what is not saved is nobody else’s');
    test.equal(await document.save(), 1);
    test.equal(await document.save({ sugar: 3 }), 2);
    test.equal(document.version, 2);
    test.strictSame(document.data, { sugar: 3 });
    test.strictSame(dispatch.of(user), { epoch: 1, version: 2, owner: 'svc-a', doc: { sugar: 3 } });
    document.data['sugar'] = 4;
    await document.release();
    test.strictSame(dispatch.of(user), { epoch: 1, version: 4, owner: null, doc: { sugar: 4 } });
    test.equal(document.revoked.aborted, true);
    test.match(document.revoked.reason, { name: 'Revoked', why: 'released', user });
    await test.rejects(document.save(), Revoked);
    await document.release();
    test.strictSame(node.documents, []);
    const again = await node.own(user);
    test.match(again, { epoch: 2, data: { sugar: 4 } });
    await again.release();
    test.equal(dispatch.of(user).version, 5, 'what is stored is not stored again before it goes');
  }
  test.match(node.counters(), { owned: 4, saved: 6, released: 4, revoked: 0, fenced: 0, stale: 0 });
  test.strictSame([errors, dispatch.errors, dispatch.conflicts], [[], [], []]);
});

t.test('what a document is not is said at the call', async (test) => {
  const { dispatch, node } = await setUp(test);
  await test.rejects(node.own('0123'), TypeError);
  await test.rejects(node.own(USER, { timeout: 0 }), RangeError);
  const front = await dispatch.node(test, { credential: dispatch.credential('front-a', { role: 'front' }) });
  await test.rejects(front.own(USER), { name: 'TypeError', message: /front/ });
  const document = await node.own(USER);
  const endless: { [name: string]: unknown } = {};
  endless['self'] = endless;
  const rows: readonly (readonly [string, unknown, { readonly name: string; readonly message?: RegExp }])[] = [
    ['a list', [1], { name: 'TypeError' }],
    ['a number', 1, { name: 'TypeError' }],
    ['null', null, { name: 'TypeError' }],
    ['a circle', endless, { name: 'TypeError' }],
    ['half a character', { a: '\ud800' }, { name: 'TypeError', message: /bad_body/ }],
    ['too much', { a: 'x'.repeat(47_104) }, { name: 'RangeError', message: /too_long/ }],
    ['a long name', { ['n'.repeat(129)]: 1 }, { name: 'RangeError', message: /too_long/ }],
  ];
  for (const [name, data, error] of rows) await test.rejects(document.save(data as never), error, name);
  test.strictSame(document.data, {}, 'and changes nothing');
  test.equal(dispatch.count(UD_SAVE.id), 0);
  test.equal(await document.save({ kept: 1, dropped: undefined }), 1);
  test.strictSame(dispatch.of(USER).doc, { kept: 1 });
});

t.test('a schema gives a document its type, also one that is new', async (test) => {
  const { dispatch, node } = await setUp(test);
  const Account = z.object({ coins: z.int().default(10) });
  const document = await node.own(USER, { schema: Account });
  const coins: number = document.data.coins;
  test.equal(coins, 10);
  document.data.coins += 5;
  await document.save();
  test.strictSame(dispatch.of(USER).doc, { coins: 15 });
  await test.rejects(document.save({ coins: 1.5 }), { name: 'TypeError', message: /coins/ });
  await test.rejects(node.own(USER), { name: 'TypeError', message: /schema/ }, 'it is one document');
  test.equal(await node.own(USER, { schema: Account }), document);
  await document.release();
  dispatch.of(USER).doc = { coins: 'many' };
  await test.rejects(node.own(USER, { schema: Account }), { name: 'TypeError', message: /coins/ });
  test.ok(await until(() => dispatch.of(USER).owner === null), 'it goes back');
  test.strictSame(dispatch.of(USER).doc, { coins: 'many' }, 'as it came');
});

t.test('saves that wait for one become one, with the newest state', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  const { opened, open } = gate();
  dispatch.saving = () => opened;
  const saves = [1, 2, 3, 4].map((n) => {
    const saved = document.save({ n });
    document.data['n'] = 'changed later';
    return saved;
  });
  test.ok(await until(() => dispatch.count(UD_SAVE.id) === 1));
  open();
  test.strictSame(await Promise.all(saves), [1, 2, 2, 2]);
  test.strictSame(dispatch.of(USER).doc, { n: 4 }, 'as it was when it was said');
  test.equal(dispatch.count(UD_SAVE.id), 2);
});

t.test('callers that ask for one document get one', async (test) => {
  const { dispatch, node } = await setUp(test);
  const { opened, open } = gate();
  dispatch.rule = async () => {
    await opened;
    return 'grant' as const;
  };
  const control = new AbortController();
  const first = node.own(USER, { signal: control.signal });
  const second = node.own(USER);
  const short = node.own(USER, { timeout: 20 });
  control.abort('not me');
  await test.rejects(first, { code: 'aborted', cause: 'not me' });
  await test.rejects(short, { code: 'timeout' });
  open();
  const document = await second;
  test.equal(await node.own(USER), document);
  test.equal(dispatch.count(UD_REQ_OWNERSHIP.id), 1);
  test.match(
    dispatch.heard.find(({ header }) => header.scope === UD_REQ_OWNERSHIP.id),
    {
      header: { internal: true },
      body: { nodeID: 'svc-a', user: USER },
    },
  );
});

t.test('what nobody waits for any more, and is granted all the same, goes back', async (test) => {
  const { dispatch, node } = await setUp(test);
  dispatch.of(USER).doc = { dear: true };
  const { opened, open } = gate();
  dispatch.rule = async () => {
    await opened;
    return 'grant' as const;
  };
  const control = new AbortController();
  const given = node.own(USER, { signal: control.signal });
  test.ok(await until(() => dispatch.count(UD_REQ_OWNERSHIP.id) === 1));
  control.abort();
  await test.rejects(given, { code: 'aborted' });
  open();
  test.ok(await until(() => dispatch.of(USER).epoch === 1 && dispatch.of(USER).owner === null));
  test.strictSame(dispatch.of(USER).doc, { dear: true });
  test.strictSame(node.documents, []);
  test.match(await node.own(USER), { epoch: 2 });
});

t.test('a refusal that may pass is asked again, after the wait it tells; others are the answer', async (test) => {
  const { dispatch, node } = await setUp(test);
  const codes = [
    ['owner_timeout', 30],
    ['busy', 20],
    ['rate_limited', 10],
  ] as const;
  const left = codes.map(([code, delay]) => ({ code, delay }));
  dispatch.rule = () => left.shift() ?? 'grant';
  const since = performance.now();
  test.match(await within(node.own(USER), 'granted in the end'), { epoch: 1 });
  test.ok(performance.now() - since >= 60, 'not before');
  const jtis = dispatch.heard
    .filter(({ header }) => header.scope === UD_REQ_OWNERSHIP.id)
    .map(({ claims }) => claims.jti);
  test.equal(new Set(jtis).size, 4, 'each with a jti of its own');
  for (const code of ['forbidden', 'internal', 'unknown_destination'] as const) {
    dispatch.rule = () => ({ code });
    await test.rejects(node.own('7'), { name: 'PackageError', code });
  }
  dispatch.rule = () => ({ code: 'owner_timeout', delay: 1 });
  await test.rejects(node.own('7', { timeout: 500 }), { code: 'owner_timeout' }, 'the last reason is told');
});

t.test('asked back, it stops, flushes, and hands over', async (test) => {
  const { dispatch, node, errors } = await setUp(test);
  const rows: readonly (readonly [string, Parameters<Node['own']>[1], object])[] = [
    ['nothing to ask: what was saved', {}, { saved: 1 }],
    ['what flush returns', { flush: () => ({ flushed: 1 }) }, { flushed: 1 }],
    [
      'what it returns later',
      { flush: async (document) => sleep(5).then(() => ({ ...document.data, later: 1 })) },
      { saved: 1, unsaved: 1, later: 1 },
    ],
    [
      'or what the data is then',
      { flush: ({ data }) => void Object.assign(data, { last: 1 }) },
      { saved: 1, unsaved: 1, last: 1 },
    ],
    [
      'a flush that throws: what was saved',
      {
        flush: () => {
          throw new Error('flush failed');
        },
      },
      { saved: 1 },
    ],
    ['one that gives no JSON', { flush: () => ({ a: 'x'.repeat(50_000) }) }, { saved: 1 }],
    ['one that comes too late', { flush: () => sleep(400).then(() => ({ late: 1 })) }, { saved: 1 }],
  ];
  for (const [name, options, expected] of rows) {
    const document = await node.own(USER, options);
    await document.save({ saved: 1 });
    document.data['unsaved'] = 1;
    let aborted = false;
    document.revoked.addEventListener('abort', () => {
      aborted = true;
    });
    const answer = await within(dispatch.revoke(USER, { deadline: 100, to: 'svc-b' }), name);
    test.strictSame(answer, { user: USER, epoch: document.epoch, userData: expected }, name);
    test.ok(aborted, 'its signal told');
    test.match(document.revoked.reason, { why: 'asked', to: 'svc-b', user: USER });
    await test.rejects(document.save(), lostBy('asked'));
  }
  test.match(errors, [{ message: 'flush failed' }, { name: 'RangeError' }, { message: /took more than 90 ms/ }]);
  test.equal(node.counters().revoked, rows.length);
  await sleep(350);
  test.strictSame(dispatch.conflicts, [], 'what came too late went nowhere');
});

t.test('what is under way when it is asked back is saved first', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  const saved = document.save({ n: 1 });
  const queued = document.save({ n: 2 });
  const revoked = dispatch.revoke(USER);
  test.strictSame(await Promise.all([saved, queued]), [1, 2]);
  test.match(await revoked, { userData: { n: 2 } });
});

t.test('a revoke right behind the grant, and one that crosses with a release, are answered', async (test) => {
  const { dispatch, node } = await setUp(test);
  dispatch.of(USER).doc = { quick: 1 };
  const revoked = new Promise((done) => {
    dispatch.rule = (_, ctx) => {
      ctx.reply(dispatch.grant('svc-a', USER));
      done(dispatch.revoke(USER));
      return new Promise(() => {});
    };
  });
  const own = node.own(USER).catch((error: unknown) => error);
  test.match(await within(revoked, 'at once'), { epoch: 1, userData: { quick: 1 } });
  dispatch.rule = () => 'grant';
  const document = (await within(own, 'a second try')) as Document;
  test.match(document, { user: USER });
  if (document.revoked.aborted) test.match(document.revoked.reason, { why: 'asked' });
  const owned = await node.own(USER);
  const { epoch } = owned;
  await owned.release({ done: 1 });
  const revoke = (body: { user?: string; epoch: number }): Promise<unknown> =>
    dispatch.link.peer.call(UD_REVOKE, body, { destination: 'svc-a' });
  const late = await revoke({ user: USER, epoch });
  test.strictSame(late, { user: USER, epoch, userData: { done: 1 } });
  await test.rejects(revoke({ user: USER, epoch: epoch + 7 }), { code: 'stale_epoch' });
  await test.rejects(revoke({ epoch: 1 }), { code: 'stale_epoch' }, 'never owned');
});

t.test('who merely sends through the dispatch takes and gives nothing', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  const refused: unknown[] = [];
  const { peer } = dispatch.link;
  const exp = Math.ceil(Date.now() / 1000) + 60;
  dispatch.router.on(1000, { body: z.object({}) }, () => {});
  const forward = (scope: number, body: object): void =>
    void peer.forward({
      header: { scope, internal: true, body: true, destination: 'svc-a' },
      body: body as never,
      org: 'svc-b',
      exp,
    });
  const events = dispatch.links[0];
  forward(UD_REVOKE.id, { user: USER, epoch: document.epoch });
  forward(UD_TRANSFER.id, { user: '7', epoch: 9, userData: {} });
  node.on('assigned', (one) => refused.push(one));
  await peer.call(PING);
  test.equal(document.revoked.aborted, false);
  test.strictSame([node.documents, refused], [[document], []]);
  test.equal(events?.peer.counters().stray, 2, 'both were refused');
});

t.test('what the dispatch has said to another node, or to nobody by name, takes and gives nothing', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  const assigned: Document[] = [];
  node.on('assigned', (one) => assigned.push(one));
  const { peer } = dispatch.link;
  const revoke = { user: USER, epoch: document.epoch };
  await test.rejects(peer.call(UD_REVOKE, revoke), { code: 'forbidden' }, 'one key signs for all nodes');
  await test.rejects(peer.call(UD_REVOKE, revoke, { destination: 'svc-b' }), { code: 'unknown_destination' });
  const grant = { user: '7', epoch: 9, userData: { n: 1 } };
  peer.send(UD_TRANSFER, grant);
  peer.send(UD_TRANSFER, grant, { destination: 'svc-b' });
  // An answer to a request of another node, which nobody here has asked.
  const exp = Math.ceil(Date.now() / 1000) + 60;
  const header = { scope: UD_TRANSFER.id, internal: true, body: true };
  peer.forward({ header, body: grant, re: 'asked-by-another', exp });
  await peer.call(PING);
  test.strictSame([node.documents, assigned], [[document], []]);
  test.equal(document.revoked.aborted, false);
  test.equal(dispatch.links[0]?.peer.counters().stray, 3, 'all were refused');
  dispatch.assign('svc-a', '7');
  test.ok(await until(() => assigned.length === 1), 'by name it is for us');
});

t.test(
  'a document that others assign to us is ours when somebody listens, and goes back when nobody does',
  async (test) => {
    const { dispatch, node } = await setUp(test);
    dispatch.of(USER).doc = { n: 1 };
    dispatch.assign('svc-a', USER);
    test.ok(await until(() => dispatch.of(USER).version === 1));
    test.match(dispatch.of(USER), { owner: null, doc: { n: 1 } });
    const assigned: Document[] = [];
    node.on('assigned', (document) => assigned.push(document));
    dispatch.assign('svc-a', USER);
    test.ok(await until(() => assigned.length === 1));
    test.match(assigned[0], { user: USER, epoch: 2, data: { n: 1 } });
    test.equal(await node.own(USER), assigned[0]);
    dispatch.assign('svc-a', USER);
    test.ok(await until(() => assigned.length === 2));
    test.match(assigned[0]?.revoked.reason, { why: 'stale' }, 'one epoch ends the other');
    test.equal(assigned[1]?.revoked.aborted, false);
  },
);

t.test('a lost connection loses no save and no document', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  dispatch.saving = () => new Promise(() => {});
  const under = document.save({ n: 1 });
  test.ok(await until(() => dispatch.count(UD_SAVE.id) === 1));
  dispatch.line.cut();
  const next = document.save({ n: 2 });
  dispatch.saving = async () => {};
  test.ok(await until(() => node.state === 'open' && dispatch.links.length === 2));
  test.equal(await within(under, 'it is sent again'), 1);
  test.equal(await within(next, 'and the next'), 2);
  test.equal(document.revoked.aborted, false);
  test.equal(dispatch.of(USER).epoch, 1, 'nothing is asked for anew');
  test.equal(await document.save({ n: 3 }), 3);

  const asked: (() => void)[] = [];
  dispatch.rule = () => new Promise((done) => asked.push(() => done('grant')));
  const own = node.own('7');
  test.ok(await until(() => asked.length === 1));
  dispatch.line.cut();
  test.ok(await until(() => asked.length === 2), 'a request is asked again');
  asked[1]?.();
  test.match(await within(own, 'own'), { user: '7', epoch: 1 });
});

t.test('the same revoke over another connection gets the same document', async (test) => {
  const { dispatch, node } = await setUp(test);
  let flushed = 0;
  const { opened, open } = gate();
  const document = await node.own(USER, { flush: () => opened.then(() => ({ flushed: ++flushed })) });
  const first = dispatch.revoke(USER);
  test.ok(await until(() => document.revoked.aborted));
  dispatch.line.cut();
  await test.rejects(first, { code: 'lost' });
  test.ok(await until(() => node.state === 'open' && dispatch.links.length === 2));
  const second = dispatch.revoke(USER);
  open();
  test.match(await within(second, 'again'), { epoch: 1, userData: { flushed: 1 } });
  test.equal(flushed, 1);
});

t.test('the lease is the one that the credential says, or a shorter one', async (test) => {
  const dispatch = await Dispatch.open(test);
  for (const [theirs, lease] of [
    [300, undefined],
    [60_000, 300],
  ] as const) {
    const credential = { ...dispatch.credential('svc-a'), lease: theirs };
    const node = await dispatch.node(test, { credential, lease, timeout: 100 });
    const document = await node.own(USER);
    dispatch.line.hold();
    const stopped = new Promise((done) => document.revoked.addEventListener('abort', done));
    await within(stopped, `${theirs} ${lease}`, 8_000);
    test.match(document.revoked.reason, { why: 'fenced' });
    dispatch.line.release();
    await node.close({ timeout: 0 });
  }
});

t.test('a dispatch that is not reached for a lease has given it away: it stops before', async (test) => {
  // Its thirtieth, by which a node stops sooner, is longer than a busy machine keeps a timer waiting.
  const LEASE = 4_500;
  const { dispatch, node } = await setUp(test, { lease: LEASE, timeout: 100 });
  const clean = await node.own('7');
  await clean.save({ n: 1 });
  const document = await node.own(USER, { flush: () => ({ never: 1 }) });
  await document.save({ n: 1 });
  const heardAt = (): number => dispatch.heard.at(-1)?.receivedAt ?? 0;
  dispatch.line.hold();
  const last = heardAt();
  const save = document.save({ n: 2 });
  save.catch(() => {});
  const stopped = new Promise<number>((done) =>
    document.revoked.addEventListener('abort', () => done(Math.floor(performance.now()))),
  );
  const at = await within(stopped, 'the fence');
  test.ok(at < last + LEASE, `it stopped ${at - last} ms after the dispatch has heard of it, with a lease of ${LEASE}`);
  test.ok(at > last + LEASE / 2, 'and no sooner than it must');
  test.match(document.revoked.reason, { why: 'fenced' });
  await test.rejects(within(save, 'a save under way'), lostBy('fenced'));
  test.strictSame(node.documents, []);
  test.equal(node.counters().fenced, 2);
  dispatch.line.release();
  test.ok(await until(() => dispatch.of(USER).owner === null), 'when it is back, what it had saved last is brought');
  test.strictSame(dispatch.of(USER).doc, { n: 2 });
  test.strictSame(
    dispatch.of('7'),
    { epoch: 1, version: 1, owner: 'svc-a', doc: { n: 1 } },
    'of the clean one nothing is missing',
  );
  test.match(await dispatch.revoke('7'), { userData: { n: 1 } }, 'and it is handed over when it is asked for');
  test.match(await node.own(USER), { epoch: 2, data: { n: 2 } });
});

t.test('what was fenced and given away meanwhile is a conflict, and told', async (test) => {
  const { dispatch, node } = await setUp(test, { lease: 240, timeout: 100 });
  const refused: PackageError[] = [];
  node.on('refused', (error) => refused.push(error));
  const document = await node.own(USER);
  dispatch.line.hold();
  await test.rejects(within(document.save({ late: 1 }), 'never'), lostBy('fenced'));
  dispatch.grant('svc-b', USER);
  dispatch.line.release();
  test.ok(await until(() => refused.length === 1));
  test.match(refused[0], { code: 'stale_epoch', scope: UD_SAVE.id });
  test.strictSame(dispatch.conflicts, [{ user: USER, epoch: 1, userData: { late: 1 } }]);
});

t.test('packages that come prove nothing: it is what we send that must arrive', async (test) => {
  const { dispatch, node } = await setUp(test, { lease: 240, timeout: 100 });
  const document = await node.own(USER);
  dispatch.router.use((ctx, next) => (ctx.scope.id === PING.id ? new Promise(() => {}) : next()));
  dispatch.router.on(PING, () => undefined);
  const { peer } = dispatch.link;
  const beat = setInterval(() => peer.state === 'open' && void peer.call(PING).catch(() => {}), 20);
  test.teardown(() => clearInterval(beat));
  await within(new Promise((done) => document.revoked.addEventListener('abort', done)), 'the fence');
  test.match(document.revoked.reason, { why: 'fenced' });
});

t.test('a save of an epoch that is over loses the document, and the others that wait', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  dispatch.grant('svc-b', USER);
  const saves = [document.save({ n: 1 }), document.save({ n: 2 })];
  for (const { status } of await Promise.allSettled(saves)) test.equal(status, 'rejected');
  await test.rejects(async () => saves[0], lostBy('stale'));
  test.match(document.revoked.reason, { why: 'stale' });
  test.strictSame(
    dispatch.conflicts.map(({ userData }) => userData),
    [{ n: 1 }],
  );
  test.equal(node.counters().stale, 1);
});

t.test('a save that the dispatch has no time for is tried again; one that it cannot store is told', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER);
  const left = ['busy', 'rate_limited'] as const;
  let at = 0;
  dispatch.router.use((ctx, next) => {
    const code = ctx.scope.id === UD_SAVE.id ? left[at++] : undefined;
    return code === undefined ? next() : ctx.refuse(code);
  });
  test.equal(await within(document.save({ n: 1 }), 'in the end'), 1);
  dispatch.router.use((ctx, next) => (ctx.scope.id === UD_SAVE.id ? ctx.refuse('internal') : next()));
  await test.rejects(document.save({ n: 2 }), { code: 'internal' });
  test.equal(document.revoked.aborted, false);
});

t.test('a node that closes lets everything go, within its time', async (test) => {
  const { dispatch, node, errors } = await setUp(test);
  dispatch.of('7').doc = { n: 7 };
  const document = await node.own(USER, { flush: ({ data }, { why }) => ({ ...data, why }) });
  const hanging = await node.own('8', { flush: () => new Promise(() => {}) });
  await node.own('7');
  await document.save({ n: 1 });
  dispatch.rule = () => new Promise(() => {});
  const waiting = node.own('9');
  const closed = node.close({ timeout: 800 });
  await test.rejects(waiting, { code: 'lost' });
  test.strictSame(await within(closed, 'close'), { code: 1000, reason: '', unsaved: 0 });
  test.match(document.revoked.reason, { why: 'closed' });
  test.match(hanging.revoked.reason, { why: 'closed' });
  test.strictSame(dispatch.of(USER), { epoch: 1, version: 3, owner: null, doc: { n: 1, why: 'closed' } });
  test.match(dispatch.of('7'), { owner: null, doc: { n: 7 } });
  test.match(dispatch.of('8'), { owner: null });
  test.match(errors, [{ message: /took more than/ }]);

  const other = await dispatch.node(test, { name: 'svc-b' });
  dispatch.rule = () => 'grant';
  await other.own(USER);
  const { heard } = dispatch;
  const before = heard.length;
  await within(other.close({ timeout: 0 }), 'at once');
  test.equal(heard.length, before, 'without a word');
});

t.test(
  'a last state that was handed over on a connection that broke is brought again, and a close waits for one under way',
  async (test) => {
    const { dispatch, node } = await setUp(test);
    const { opened, open } = gate();
    const document = await node.own(USER, { flush: () => opened.then(() => ({ flushed: 1 })) });
    const first = dispatch.revoke(USER);
    test.ok(await until(() => document.revoked.aborted));
    // The answer leaves into a line on which nothing arrives.
    dispatch.line.hold();
    open();
    await sleep(10);
    dispatch.line.release();
    dispatch.line.cut();
    await test.rejects(first, { code: 'lost' });
    test.ok(await until(() => dispatch.of(USER).owner === null), 'it comes without being asked for');
    test.match(dispatch.of(USER), { epoch: 1, doc: { flushed: 1 } });

    const other = await node.own('7', { flush: () => sleep(30).then(() => ({ slow: 1 })) });
    const second = dispatch.revoke('7');
    test.ok(await until(() => other.revoked.aborted));
    await node.close();
    test.match(await within(second, 'answered before the end'), { userData: { slow: 1 } });
  },
);
