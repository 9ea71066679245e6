// A node against a dispatch on a real server: how it becomes one, what it hears and says, how it comes back when its connection is lost, and when
// it does not. Its documents are in document.spec.ts.

import { createServer as createTcp } from 'node:net';
import t from 'tap';
import * as z from 'zod';
import {
  createNode,
  defineScope,
  type Node,
  type NodeOptions,
  PackageError,
  writeCredential,
} from '../../lib/index.js';
import { PING, UD_REQ_OWNERSHIP } from '../../lib/package/core-scopes.js';
import { until, within } from '../hostile/stage.js';
import { Dispatch, QUICK, USER } from './dispatch.js';

const ADD = defineScope({
  id: 1000,
  name: 'ADD',
  body: z.object({ a: z.number(), b: z.number() }),
  reply: z.object({ sum: z.number() }),
});
const NOTE = defineScope({ id: 1001, name: 'NOTE', body: z.object({ text: z.string() }) });

/** What happens to a node, as words. */
const storyOf = (node: Node): string[] => {
  const story: string[] = [];
  node.on('open', () => story.push('open'));
  node.on('lost', ({ code }) => story.push(`lost ${code}`));
  node.on('retry', ({ attempt }) => story.push(`retry ${attempt}`));
  node.on('close', ({ code, reason }) => story.push(`close ${code} ${reason}`));
  return story;
};

t.test('a credential makes a node: it shows who it is, calls, is called, and ends', async (test) => {
  for (const alg of ['ES256', 'HS256'] as const) {
    const dispatch = await Dispatch.open(test);
    dispatch.router.on(ADD, ({ a, b }, ctx) => {
      test.equal(ctx.from, 'svc-a');
      return { sum: a + b };
    });
    const notes: string[] = [];
    dispatch.router.on(NOTE, ({ text }) => notes.push(text));
    const credential = writeCredential(dispatch.credential('svc-a', { alg }));
    const node = await dispatch.node(test, { credential });
    test.match(node, { nodeID: 'svc-a', role: 'service', state: 'open' }, alg);
    test.equal(dispatch.heard[0]?.header.scope, PING.id, 'its first word is a sign of life');
    test.strictSame(await node.call(ADD, { a: 2, b: 40 }), { sum: 42 });
    const answer = await node.ask(ADD, { a: 1, b: 1 }, { footerInclude: ['dt', 'op'] });
    test.match(answer, { body: { sum: 2 }, from: 'dispatch', footer: { op: 3, dt: Number } });
    test.match(node.send(NOTE, { text: 'one way' }), /^[\w-]{8,64}$/);
    test.ok(await until(() => notes[0] === 'one way'));
    const asked: Node[] = [];
    node.on(NOTE, (_, ctx) => asked.push(ctx.data));
    node.on(1002, { body: z.object({ n: z.int() }), reply: z.object({ n: z.int() }) }, ({ n }) => ({ n: n + 1 }));
    const UP = defineScope({ id: 1002, name: 'UP', body: z.object({ n: z.int() }), reply: z.object({ n: z.int() }) });
    test.strictSame(await dispatch.link.peer.call(UP, { n: 1 }), { n: 2 });
    dispatch.link.peer.send(NOTE, { text: 'to you' });
    test.ok(await until(() => asked.length === 1));
    test.equal(asked[0], node, 'handlers get their node');
    test.match(node.counters(), { opened: 1, owned: 0, peer: { answers: 3 } });
    const story = storyOf(node);
    test.strictSame(await node.close(), { code: 1000, reason: '', unsaved: 0 });
    test.strictSame(await node.closed, { code: 1000, reason: '', unsaved: 0 });
    test.equal(node.close(), node.close(), 'it closes once');
    test.strictSame(story, ['close 1000 '], 'and tells it once');
    test.equal(node.state, 'closed');
    await test.rejects(node.call(ADD, { a: 1, b: 1 }), { code: 'lost' });
    await test.rejects(node.own(USER), { code: 'lost' });
    test.throws(() => node.send(NOTE, { text: 'late' }), { code: 'lost' });
    test.strictSame(dispatch.errors, []);
  }
});

t.test('handlers that come right after it miss nothing, nor do those that are prepared', async (test) => {
  const dispatch = await Dispatch.open(test);
  const calls: Promise<unknown>[] = [];
  dispatch.greet = (link) => {
    for (let n = 0; n < 20; n++) calls.push(link.peer.call(ADD, { a: n, b: 1 }));
  };
  const order: number[] = [];
  const add = ({ a, b }: { readonly a: number; readonly b: number }): { sum: number } => {
    order.push(a);
    return { sum: a + b };
  };
  const after = await dispatch.node(test);
  after.on(ADD, add);
  const sums = Array.from({ length: 20 }, (_, n) => ({ sum: n + 1 }));
  test.strictSame(await Promise.all(calls), sums);
  test.strictSame(
    order,
    [...order].sort((a, b) => a - b),
    'in order',
  );

  calls.length = 0;
  const states: string[] = [];
  await dispatch.node(test, { name: 'svc-b' }, async (node) => {
    states.push(node.state);
    node.on(ADD, add);
    await Promise.resolve();
    test.equal(dispatch.links.length, 1, 'nothing is dialled before');
  });
  test.strictSame(states, ['connecting']);
  test.strictSame(await Promise.all(calls), sums);
});

t.test(
  'middleware runs around handlers, what a handler throws is an error here, and a listener that throws ends nothing',
  async (test) => {
    const dispatch = await Dispatch.open(test);
    const node = await dispatch.node(test);
    const errors: Error[] = [];
    node.on('error', (error) => errors.push(error));
    node.use((ctx, next) => (ctx.header.user === '7' ? ctx.refuse('forbidden') : next()));
    node.on(ADD, ({ a, b }) => {
      if (a === 0) throw new Error('zero');
      return { sum: a + b };
    });
    const { peer } = dispatch.link;
    await test.rejects(peer.call(ADD, { a: 1, b: 1 }, { user: '7', channel: '8' }), { code: 'forbidden' });
    await test.rejects(peer.call(ADD, { a: 0, b: 1 }), { code: 'internal' });
    test.match(errors, [{ message: 'zero' }]);
    test.throws(() => node.on(ADD, () => ({ sum: 1 })), RangeError, 'one handler a scope');
    test.throws(() => node.on(UD_REQ_OWNERSHIP, 'no function' as never), TypeError);
    node.on('lost', () => {
      throw new Error('a listener');
    });
    node.on('open', async () => {
      throw new Error('another');
    });
    dispatch.line.cut();
    test.ok(await until(() => errors.length === 3));
    test.same(
      errors.map(({ message }) => message),
      ['zero', 'a listener', 'another'],
    );
    test.strictSame(await peerOf(dispatch, node), { sum: 3 });
  },
);

const peerOf = async (dispatch: Dispatch, node: Node): Promise<unknown> => {
  await until(() => node.state === 'open');
  return dispatch.link.peer.call(ADD, { a: 1, b: 2 });
};

t.test('what keeps it from becoming a node is told, once, and without secrets', async (test) => {
  const dispatch = await Dispatch.open(test);
  const stranger = await Dispatch.open(test);
  const good = dispatch.credential('svc-a');
  if (good.alg !== 'ES256') return;
  const { url } = good;
  const nobody = createTcp();
  await new Promise<void>((done) => nobody.listen(0, '127.0.0.1', done));
  const { port } = nobody.address() as { readonly port: number };
  await new Promise((done) => nobody.close(done));
  const foreign = stranger.credential('svc-a');
  const wrongDispatch = { ...good, dispatch: (foreign as typeof good).dispatch };
  const rows: readonly (readonly [string, Partial<NodeOptions>, object])[] = [
    [
      'a key that is not known',
      { credential: { ...foreign, url } },
      { name: 'PackageError', code: 'bad_token', from: 'dispatch' },
    ],
    [
      'a dispatch with another key',
      { credential: wrongDispatch },
      { code: 'bad_token', cause: /not signed by the dispatch/ },
    ],
    ['nobody listens', { url: `ws://127.0.0.1:${port}/` }, { code: 'WSD_DIAL_CONNECT' }],
    ['no URL of a WebSocket', { url: 'http://127.0.0.1/' }, { code: 'WSD_DIAL_URL' }],
    ['a signal that is aborted', { signal: AbortSignal.abort('no') }, { code: 'WSD_DIAL_ABORTED', cause: 'no' }],
    ['an option that is not known', { lese: 1 } as never, { name: 'TypeError', message: /lese/ }],
    ['an option of the connection that is not known', { connection: { heders: {} } as never }, { message: /heders/ }],
    ['a lease that is none', { lease: 0 }, { name: 'TypeError', message: /lease/ }],
    [
      "a lease longer than the dispatch's",
      { credential: { ...good, lease: 2000 }, lease: 2001 },
      { name: 'TypeError', message: /^createNode: lease must be at most 2000, the lease of the dispatch/ },
    ],
    ['a text that is no credential', { credential: 'hunter2' }, { name: 'TypeError', message: /not JSON/ }],
    ['a credential without its key', { credential: { ...good, key: 'hunter2' } }, { name: 'TypeError' }],
    ['a scope that is none', { scopes: [1000] as never }, { name: 'TypeError', message: /scopes/ }],
  ];
  for (const [name, options, error] of rows) {
    const failed = createNode({ credential: good, ...options }).then(
      () => new Error('it became one'),
      (reason: unknown) => reason as Error,
    );
    const reason = await within(failed, name);
    test.match(reason, error, name);
    test.notMatch(reason.message, /hunter2|[A-Za-z0-9+/]{40}/, 'no secret is told');
  }
  const { links } = dispatch;
  test.ok(await until(() => links.every(({ peer }) => peer.state === 'ended')), 'no connection is left');
});

t.test(
  'a dispatch that has only just begun, and a clock that is behind: it comes again until it is heard',
  async (test) => {
    const dispatch = await Dispatch.open(test);
    let early = 0;
    dispatch.router.on(PING, (_, ctx) => (early-- > 0 ? ctx.refuse('token_expired') : undefined));
    const node = await dispatch.node(test);
    const story = storyOf(node);
    const causes: unknown[] = [];
    node.on('retry', ({ cause }) => causes.push(cause));
    early = 2;
    dispatch.line.cut();
    test.ok(await until(() => story.at(-1) === 'open'));
    test.strictSame(story, ['lost 1006', 'retry 1', 'retry 2', 'retry 3', 'open'], 'by its usual waits');
    test.match(causes.slice(1), [
      { code: 'token_expired', from: 'dispatch', cause: /has only just started and our clock is behind/ },
      { code: 'token_expired' },
    ]);
    early = 1;
    const credential = dispatch.credential('svc-b');
    await test.rejects(dispatch.node(test, { credential }), { code: 'token_expired' }, 'the first try is the only one');
    early = 1;
    const patient = await dispatch.node(test, { credential, patient: true });
    test.equal(patient.state, 'open', 'unless it is patient');
  },
);

t.test('a server that does not speak packages is left', async (test) => {
  const dispatch = await Dispatch.open(test);
  const { createServer } = await import('../../lib/index.js');
  const plain = createServer();
  test.teardown(() => plain.close());
  const { url } = await plain.listen();
  await test.rejects(dispatch.node(test, { url }), { code: /^WSD_DIAL_/ });
  test.ok(await until(() => plain.connections.size === 0));
});

t.test('a patient one tries again until somebody is there', async (test) => {
  const dispatch = await Dispatch.open(test);
  const credential = dispatch.credential('svc-a');
  const { port } = dispatch.line;
  await dispatch.line.close();
  const control = new AbortController();
  const retries: number[] = [];
  const options = { credential, patient: true, reconnect: QUICK, signal: control.signal };
  const never = createNode(options, (node) => {
    node.on('retry', ({ attempt }) => {
      retries.push(attempt);
      if (attempt === 3) control.abort();
    });
  });
  await test.rejects(within(never, 'aborted'), { code: 'WSD_DIAL_ABORTED' });
  test.strictSame(retries, [1, 2, 3]);
  const other = await Dispatch.open(test);
  const known = other.credential('svc-a');
  const later = createNode(
    { credential: known, url: `ws://127.0.0.1:${port}/`, patient: true, reconnect: QUICK },
    (node) => {
      node.once('retry', () => other.server.listen(port));
    },
  );
  const node = await within(later, 'somebody came');
  test.equal(node.state, 'open');
  await node.close();
  const distrusted = other.node(test, { credential: { ...credential, url: other.line.url }, patient: true });
  await test.rejects(within(distrusted, 'no use'), { code: 'bad_token' }, 'patience does not mend a credential');
});

t.test('a connection that is lost is found again: calls under way are lost, later ones wait for it', async (test) => {
  const dispatch = await Dispatch.open(test);
  let held = 0;
  dispatch.router.on(ADD, async ({ a, b }, ctx) => {
    if (a === 0) {
      held++;
      await new Promise((done) => ctx.signal.addEventListener('abort', done));
    }
    return { sum: a + b };
  });
  const node = await dispatch.node(test);
  const story = storyOf(node);
  const under = node.call(ADD, { a: 0, b: 1 });
  test.ok(await until(() => held === 1));
  dispatch.line.cut();
  await test.rejects(under, { name: 'PackageError', code: 'lost', scope: 1000 });
  test.ok(await until(() => node.state === 'lost'));
  test.throws(() => node.send(NOTE, { text: 'now' }), { code: 'lost' }, 'what is not answered does not wait');
  const body = { a: 1, b: 2 };
  const later = node.call(ADD, body);
  body.a = 1000;
  const short = node.call(ADD, { a: 1, b: 2 }, { timeout: 1 });
  const off = new AbortController();
  const aborted = node.call(ADD, { a: 1, b: 2 }, { signal: off.signal });
  off.abort('enough');
  await test.rejects(aborted, { code: 'aborted', cause: 'enough' });
  await short.catch((error: unknown) => test.match(error, { code: 'timeout' }));
  test.strictSame(await within(later, 'the next connection'), { sum: 3 }, 'as it was when it was said');
  test.strictSame(story, ['lost 1006', 'retry 1', 'open']);
  test.equal(dispatch.links.length, 2);
  for (let round = 0; round < 3; round++) {
    dispatch.line.cut();
    test.strictSame(await within(node.call(ADD, { a: round + 1, b: 1 }).catch(again(node, round)), 'again'), {
      sum: round + 2,
    });
  }
  test.equal(node.counters().opened, 5);
});

/** A call may be under way when its connection breaks. */
const again =
  (node: Node, round: number) =>
  (error: unknown): Promise<unknown> => {
    if (!(error instanceof PackageError) || error.code !== 'lost') throw error;
    return node.call(ADD, { a: round + 1, b: 1 });
  };

t.test('it ends for good when it may not come back, or shall not', async (test) => {
  const rows = [
    ['replaced', 4001, QUICK],
    ['revoked', 4003, QUICK],
    ['anything', 4000, false],
  ] as const;
  for (const [reason, code, reconnect] of rows) {
    const dispatch = await Dispatch.open(test);
    const node = await dispatch.node(test, { reconnect });
    const story = storyOf(node);
    const waiting = node.own(USER);
    dispatch.rule = () => new Promise(() => {});
    dispatch.link.peer.end(code, reason);
    test.strictSame(await within(node.closed, reason), { code, reason, unsaved: 0 });
    await test.rejects(
      waiting.then((document) => document.revoked.throwIfAborted()),
      Error,
    );
    test.strictSame(story, [`lost ${code}`, `close ${code} ${reason}`]);
    await new Promise((done) => setTimeout(done, 20));
    test.equal(dispatch.links.length, 1, 'nobody dials any more');
  }
  const dispatch = await Dispatch.open(test);
  const node = await dispatch.node(test, { reconnect: { ...QUICK, attempts: 2 } });
  const story = storyOf(node);
  await dispatch.line.close();
  test.match(await within(node.closed, 'attempts'), { reason: 'no way back' });
  test.strictSame(story, ['lost 1006', 'retry 1', 'retry 2', 'close 1006 no way back']);
});

t.test('a dispatch that does not answer is left and dialled again, before the lease is over', async (test) => {
  const dispatch = await Dispatch.open(test);
  const node = await dispatch.node(test, { lease: 600, timeout: 200 });
  const story = storyOf(node);
  test.ok(await until(() => dispatch.count(PING.id) >= 3), 'signs of life, thrice a lease');
  dispatch.line.hold();
  const since = performance.now();
  test.ok(await until(() => node.state === 'lost'));
  test.ok(performance.now() - since < 600, 'within a lease');
  dispatch.line.release();
  test.ok(await until(() => node.state === 'open'));
  test.match(story.at(-1), 'open');
  test.equal(dispatch.links.length, 2);
});

t.test('what the dispatch refuses unasked is told', async (test) => {
  const dispatch = await Dispatch.open(test);
  const node = await dispatch.node(test);
  const refused: unknown[] = [];
  node.on('refused', (error, re) => refused.push([error.code, error.scope, re]));
  const jti = node.send(NOTE, { text: 'nobody wants it' });
  test.ok(await until(() => refused.length === 1));
  test.strictSame(refused, [['unknown_scope', 1001, jti]]);
});
