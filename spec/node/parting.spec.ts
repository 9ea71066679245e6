// How documents go: a last state is saved and acknowledged before the document is let go, whatever the dispatch refuses on the way, and what cannot
// be handed over is told. Against a scripted dispatch, and with many documents against a real one. PROTOCOL.md section 9.1.

import t, { type Test } from 'tap';
import { type Document, defineScope, type Node, type NodeEnd, type NodeOptions, Unsaved } from '../../lib/index.js';
import { Left } from '../../lib/node/left.js';
import { Turns } from '../../lib/node/turns.js';
import { type PackageCode, packageFault } from '../../lib/package/codes.js';
import { PING, UD_REQ_OWNERSHIP, UD_REVOKE, UD_SAVE, UD_TRANSFER } from '../../lib/package/core-scopes.js';
import { until, within } from '../hostile/stage.js';
import { Dispatch, USER } from './dispatch.js';

interface Scene {
  readonly dispatch: Dispatch;
  readonly node: Node;
  readonly errors: Error[];
  readonly refused: (readonly [string, number | undefined])[];
}

const setUp = async (test: Test, options: Partial<NodeOptions> = {}): Promise<Scene> => {
  const dispatch = await Dispatch.open(test);
  const node = await dispatch.node(test, options);
  const errors: Error[] = [];
  const refused: Scene['refused'][number][] = [];
  node.on('error', (error) => errors.push(error));
  node.on('refused', ({ code, scope }) => refused.push([code, scope]));
  return { dispatch, node, errors, refused };
};

/** The next packages of that scope are refused so. */
const refuse = (dispatch: Dispatch, scope: number, codes: PackageCode[], delay?: number): void => {
  dispatch.router.use((ctx, next) => {
    const code = ctx.scope.id === scope ? codes.shift() : undefined;
    return code === undefined ? next() : ctx.refuse(packageFault(code, { delay }));
  });
};

t.test('a last state that is refused is handed over in the end, before the node leaves', async (test) => {
  for (const code of ['busy', 'rate_limited', 'internal'] as const) {
    const { dispatch, node, errors } = await setUp(test);
    await node.own(USER, { flush: () => ({ last: code }) });
    refuse(dispatch, UD_SAVE.id, [code, code]);
    refuse(dispatch, UD_TRANSFER.id, [code]);
    test.strictSame(await within(node.close(), code), { code: 1000, reason: '', unsaved: 0 });
    test.strictSame(dispatch.of(USER), { epoch: 1, version: 2, owner: null, doc: { last: code } }, code);
    test.match(node.counters(), { saved: 1, released: 1, unsaved: 0 });
    test.strictSame(errors, []);
  }
});

t.test('what is not handed over in time is told, each with its state, and counted', async (test) => {
  const { dispatch, node, errors } = await setUp(test);
  const saved = await node.own('1', { flush: () => ({ last: 1 }) });
  await node.own('2', { flush: () => ({ last: 2 }) });
  await node.own('3');
  const stuck = await node.own('4');
  await saved.save({ n: 1 });
  dispatch.router.use((ctx, next) => (ctx.scope.id === UD_SAVE.id ? ctx.refuse('busy') : next()));
  const late = stuck.save({ n: 4 }).catch((error: unknown) => error);
  const ends: NodeEnd[] = [];
  node.on('close', (end) => ends.push(end));
  const end = { code: 1000, reason: '', unsaved: 3 };
  test.strictSame(await within(node.close({ timeout: 300 }), 'close'), end);
  test.strictSame([ends, await node.closed], [[end], end]);
  test.equal(node.counters().unsaved, 3);
  test.match(await late, { name: 'Revoked', why: 'closed' });
  const told = errors.map((error) => (error instanceof Unsaved ? [error.user, error.epoch, error.data] : error));
  test.strictSame(
    new Set(told.map((one) => JSON.stringify(one))),
    new Set(['["1",1,{"last":1}]', '["2",1,{"last":2}]', '["4",1,{"n":4}]']),
  );
  test.match(errors[0], {
    name: 'Unsaved',
    message: 'the last state of the document of 1 may not be stored',
    cause: { code: 'lost' },
  });
  test.match(dispatch.of('3'), { owner: null }, 'what is stored goes');

  const other = await setUp(test);
  await other.node.own(USER, { flush: () => ({ never: 1 }) });
  refuse(other.dispatch, UD_SAVE.id, ['forbidden']);
  const gone = within(other.node.close(), 'not for the whole of its time');
  test.match(await gone, { unsaved: 1 }, 'what will not pass is not tried again');
  test.match(other.errors, [{ name: 'Unsaved', cause: { code: 'forbidden' } }]);
});

t.test('a release resolves when the dispatch has heard it, and not because a PING was answered', async (test) => {
  const { dispatch, node, errors, refused } = await setUp(test);
  const documents = [await node.own('1'), await node.own('2'), await node.own('3')];
  refuse(dispatch, UD_TRANSFER.id, ['busy', 'busy', 'busy'], 40);
  await within(Promise.all(documents.map((document) => document.release({ ...document.data, n: 1 }))), 'all of them');
  for (const user of ['1', '2', '3']) test.match(dispatch.of(user), { owner: null, doc: { n: 1 } });
  test.strictSame([errors, refused], [[], []], 'what was mended is not told');

  const taken = await node.own('7');
  await taken.save({ n: 7 });
  dispatch.grant('svc-b', '7');
  await within(taken.release(), 'it is not ours to release');
  test.strictSame(refused, [['stale_epoch', UD_TRANSFER.id]]);
  test.equal(dispatch.of('7').owner, 'svc-b');
});

t.test('a PING on another connection proves nothing of what was sent before', async (test) => {
  const { dispatch, node } = await setUp(test);
  const first = await node.own('1');
  const second = await node.own('2');
  dispatch.line.hold();
  // The PING of the one is under way when the other goes, whose own is sent when that has failed.
  const released = [first.release()];
  await new Promise((done) => setTimeout(done, 20));
  released.push(second.release());
  await new Promise((done) => setTimeout(done, 20));
  dispatch.line.release();
  dispatch.line.cut();
  await within(Promise.all(released), 'in the end');
  for (const user of ['1', '2']) test.match(dispatch.of(user), { owner: null });
});

t.test('many documents share a PING, and not too many writes are under way', async (test) => {
  const { dispatch, node } = await setUp(test);
  let under = 0;
  let most = 0;
  dispatch.saving = async () => {
    most = Math.max(most, ++under);
    await new Promise((done) => setTimeout(done, 2));
    under--;
  };
  const users = Array.from({ length: 200 }, (_, i) => String(i + 1));
  await Promise.all(users.map((user) => node.own(user, { flush: () => ({ last: user }) })));
  const pings = dispatch.count(PING.id);
  test.match(await node.close(), { unsaved: 0 });
  test.ok(most > 8 && most <= 32, `${most} at a time`);
  for (const user of users) {
    const { owner, doc } = dispatch.of(user);
    if (owner !== null || doc['last'] !== user) test.fail(`${user}: ${owner} ${JSON.stringify(doc)}`);
  }
  test.ok(dispatch.count(PING.id) - pings < 100, `${dispatch.count(PING.id) - pings} signs of life`);
});

t.test(
  'a node that closes while its connection is lost waits for it, and asks for last states at once',
  async (test) => {
    const { dispatch, node, errors } = await setUp(test, { reconnect: { min: 150, max: 200 } });
    const whys: string[] = [];
    const document = await node.own(USER, {
      flush: (_, { why }) => {
        whys.push(`${why} ${node.state}`);
        return { last: 1 };
      },
    });
    dispatch.line.cut();
    test.ok(await until(() => node.state === 'lost'));
    const closed = node.close();
    test.match(document.revoked.reason, { why: 'closed' });
    test.strictSame(whys, ['closed lost']);
    test.match(await within(closed, 'close'), { code: 1000, unsaved: 0 });
    test.match(dispatch.of(USER), { owner: null, doc: { last: 1 } });
    test.strictSame(errors, []);

    const alone = await setUp(test, { reconnect: { min: 60_000, max: 60_000 } });
    await alone.node.own(USER, { flush: () => ({ last: 2 }) });
    await alone.node.own('7', { flush: () => undefined });
    alone.dispatch.line.cut();
    test.ok(await until(() => alone.node.state === 'lost'));
    test.match(await within(alone.node.close({ timeout: 100 }), 'no longer than that'), { unsaved: 1 });
    test.match(alone.errors, [{ name: 'Unsaved', user: USER, data: { last: 2 } }], 'the other one has nothing to lose');
  },
);

t.test('a node that ends in another way tells what it has not stored', async (test) => {
  const { dispatch, node, errors } = await setUp(test);
  const document = await node.own(USER);
  dispatch.saving = () => new Promise(() => {});
  const save = document.save({ n: 1 }).catch((error: unknown) => error);
  test.ok(await until(() => dispatch.count(UD_SAVE.id) === 1));
  dispatch.link.peer.end(4001, 'replaced');
  test.strictSame(await within(node.closed, 'the end'), { code: 4001, reason: 'replaced', unsaved: 1 });
  test.match(await save, { name: 'Revoked', why: 'closed' });
  test.match(errors, [{ name: 'Unsaved', user: USER, data: { n: 1 } }]);

  const flushing = await setUp(test, { reconnect: false });
  const asked = await flushing.node.own(USER, { flush: () => new Promise(() => {}) });
  await asked.save({ n: 2 });
  flushing.dispatch.revoke(USER).catch(() => {});
  test.ok(await until(() => asked.revoked.aborted));
  flushing.dispatch.link.peer.end(4000, 'anything');
  test.match(await within(flushing.node.closed, 'the end'), { unsaved: 1 }, 'nor what it was still being asked for');
  test.match(flushing.errors, [{ name: 'Unsaved', user: USER, data: { n: 2 } }]);
});

t.test('what was fenced is brought until it is stored, and asked for anew only then', async (test) => {
  const { dispatch, node, errors } = await setUp(test, { lease: 400, timeout: 100 });
  const document = await node.own(USER);
  dispatch.line.hold();
  const late = document.save({ n: 'late' }).catch((error: unknown) => error);
  test.match(await within(late, 'the fence'), { name: 'Revoked', why: 'fenced' });
  const own = node.own(USER);
  const order: number[] = [];
  let busy = 2;
  dispatch.router.use((ctx, next) => {
    const { id } = ctx.scope;
    if (id === UD_REQ_OWNERSHIP.id || id === UD_SAVE.id) order.push(id);
    return id === UD_SAVE.id && busy-- > 0 ? ctx.refuse('busy') : next();
  });
  dispatch.line.release();
  test.match(await within(own, 'again'), { data: { n: 'late' } }, 'what was saved is in it');
  test.equal(order.at(-1), UD_REQ_OWNERSHIP.id);
  test.strictSame(errors, []);
});

t.test('asked back, it saves what may not be stored before it answers', async (test) => {
  const { dispatch, node } = await setUp(test);
  const document = await node.own(USER, { flush: () => ({ last: 1 }) });
  refuse(dispatch, UD_SAVE.id, ['busy']);
  test.match(await within(dispatch.revoke(USER), 'answered'), { userData: { last: 1 } });
  test.match(dispatch.of(USER), { version: 1 }, 'stored once already');
  test.equal(document.revoked.aborted, true);

  await node.own('7', { flush: () => ({ last: 7 }) });
  dispatch.saving = () => new Promise(() => {});
  const answer = await within(dispatch.revoke('7', { deadline: 100 }), 'in its time, stored or not');
  test.match(answer, { userData: { last: 7 } });
});

t.test('a 102 that is refused here is no less true', async (test) => {
  const FIRST = defineScope({ id: 1000, name: 'FIRST' });
  const rows: readonly (readonly [string, Partial<NodeOptions>, ((node: Node) => unknown) | undefined, object])[] = [
    ['by a limit', { limit: { perSecond: 0.001, burst: 1 } }, undefined, {}],
    ['by a middleware', {}, (node) => node.use((ctx) => ctx.refuse('forbidden')), {}],
    ['by a middleware that never ends', {}, (node) => node.use(() => new Promise(() => {})), {}],
    ['for a member that is newer', {}, undefined, { newer: true }],
    ['for an epoch that is none', {}, undefined, { epoch: 'x' }],
    ['for its time', {}, undefined, { exp: -100 }],
  ];
  for (const [name, options, prepare, { exp = 60, ...more }] of rows as readonly (readonly [
    string,
    Partial<NodeOptions>,
    ((node: Node) => unknown) | undefined,
    { readonly exp?: number },
  ])[]) {
    const dispatch = await Dispatch.open(test);
    const node = await dispatch.node(test, options, prepare);
    node.on(FIRST, () => {});
    await node.own('7', {});
    const document = await node.own(USER, { flush: () => ({ last: name }) });
    // The first one uses the limit up.
    const wall = Math.floor(Date.now() / 1000);
    const ask = (user: string): string | undefined =>
      dispatch.link.peer.forward({
        header: { scope: UD_REVOKE.id, internal: true, destination: node.nodeID, body: true },
        body: { user, epoch: 1, ...more },
        exp: wall + 60,
        ...(exp < 0 ? { iat: wall + 1_000 } : {}),
      });
    ask('7');
    ask(USER);
    test.ok(await until(() => document.revoked.aborted), name);
    test.match(document.revoked.reason, { why: 'asked' }, name);
    test.ok(await until(() => dispatch.of(USER).doc['last'] === name), `${name}: its last state comes`);
  }
});

t.test('a document of which a newer epoch is heard is written no more', async (test) => {
  const { dispatch, node } = await setUp(test);
  const first = await node.own(USER);
  const { peer } = dispatch.link;
  await test.rejects(peer.call(UD_REVOKE, { user: USER, epoch: 5 }, { destination: node.nodeID }), {
    code: 'stale_epoch',
  });
  test.match(first.revoked.reason, { why: 'stale' });
  const second = await node.own(USER);
  await within(
    peer.call(UD_REVOKE, { user: USER, epoch: first.epoch }, { destination: node.nodeID }),
    'what it had before',
  );
  test.equal(second.revoked.aborted, false, 'an older one changes nothing');
  const assigned: Document[] = [];
  node.on('assigned', (document) => assigned.push(document));
  peer.send(UD_TRANSFER, { user: USER, epoch: 9, userData: {} }, { destination: node.nodeID });
  test.ok(await until(() => assigned.length === 1));
  test.match(second.revoked.reason, { why: 'stale' });
});

t.test('what is not stored is not forgotten, however much of it there is', (test) => {
  const left = new Left(1_000);
  const documents = Array.from({ length: 3_000 }, (_, i) => ({ user: String(i), epoch: 1, dirty: i % 2 === 0 }));
  for (const document of documents) left.add(document as unknown as Document, 0);
  test.equal(left.unsure().length, 1_500);
  left.forget(1_000_000);
  test.equal(left.unsure().length, 1_500, 'nor however long it takes');
  for (const document of documents) document.dirty = false;
  left.forget(1_000_000);
  test.equal(left.find('0', 1), undefined);
  test.end();
});

t.test('turns are taken in order, so many at a time, and given up', async (test) => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const off = new AbortController();
  const enter = (n: number, signal?: AbortSignal): Promise<unknown> =>
    turns
      .run(() => {
        begun.push(n);
        return new Promise<void>((done) => ends.push(done));
      }, signal)
      .catch((reason: unknown) => reason);
  const runs = [enter(0), enter(1), enter(2), enter(3, off.signal), enter(4), enter(5)];
  test.strictSame(begun, [0, 1], 'at once');
  off.abort('enough');
  test.equal(await runs[3], 'enough');
  test.equal(await enter(6, off.signal), 'enough', 'too late to wait');
  ends[1]?.();
  await runs[1];
  ends[0]?.();
  await runs[0];
  test.strictSame(begun, [0, 1, 2, 4]);
  turns.end('over');
  test.equal(await runs[5], 'over');
  ends[2]?.();
  ends[3]?.();
  await Promise.all([runs[2], runs[4]]);
  for (const n of [7, 8, 9]) void enter(n);
  test.strictSame(begun, [0, 1, 2, 4, 7, 8], 'every place is free again');
});
