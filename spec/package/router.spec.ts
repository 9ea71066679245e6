// Scopes, their handlers and what runs around them: who may be registered, in which order things run, and that types hold without a cast.
// lib/package/PROTOCOL.md section 8.5.

import t from 'tap';
import * as z from 'zod';
import * as mini from 'zod/mini';
import { compose } from '../../lib/package/compose.js';
import { PING, UD_REQ_OWNERSHIP, UD_SAVE } from '../../lib/package/core-scopes.js';
import type { Context, PeerFace } from '../../lib/package/peer-types.js';
import { Router } from '../../lib/package/router.js';
import { type AnyScope, defineScope } from '../../lib/package/scope.js';
import { pairOf } from './ends.js';

const ADD = defineScope({
  id: 1000,
  name: 'ADD',
  body: z.object({ a: z.number(), b: z.number() }),
  reply: z.object({ sum: z.number() }),
});
const NOTE = defineScope({ id: 1001, name: 'NOTE', body: mini.object({ text: mini.string() }) });

const nothing = (): void => {};

t.test('a number has one handler, and its range must be the embedder’s', (t) => {
  const router = new Router();
  t.equal(
    router.on(ADD, () => ({ sum: 1 })),
    router,
    'chains',
  );
  t.throws(() => router.on(ADD, () => ({ sum: 2 })), { name: 'RangeError', message: /1000 \(ADD\) has a handler/ });
  t.throws(() => router.on(1000, {}, nothing), { name: 'RangeError', message: /1000 \(ADD\) has a handler/ });
  for (const id of [0, 99, 100, 199, 200, 999, -1, 1.5, Number.NaN]) {
    t.throws(() => router.on(id, {}, nothing), RangeError, `scope ${id}`);
  }
  t.throws(() => router.on(NOTE, undefined as never), { name: 'TypeError', message: /handler must be a function/ });
  t.throws(() => router.use(1 as never), TypeError);
  t.equal(router.find(1001), undefined, 'nothing stays of what threw');
  t.end();
});

t.test('scopes of the protocol are known to everybody, and take a handler once', (t) => {
  const router = new Router();
  t.equal(router.scope(103), UD_SAVE);
  t.equal(router.find(103), undefined);
  router.on(UD_SAVE, (_body, ctx) => ctx.refuse('stale_epoch'));
  t.ok(router.find(103));
  t.throws(() => router.on(UD_SAVE, (_body, ctx) => ctx.refuse('busy')), RangeError);
  const impostor = { ...UD_SAVE, name: 'ELSE' };
  t.throws(() => router.on(impostor, (_body, ctx) => ctx.refuse('busy')), RangeError, 'another scope of that number');
  t.end();
});

t.test('what is declared is known without a handler, and may get one', (t) => {
  const router = new Router().declare(ADD, NOTE);
  t.equal(router.scope(1000), ADD);
  t.equal(router.find(1000), undefined);
  router.on(ADD, ({ a, b }) => ({ sum: a + b }));
  t.equal(router.find(1000)?.scope, ADD);
  t.throws(() => router.declare(ADD), RangeError, 'twice');
  t.throws(() => router.on(1001, {}, nothing), RangeError, 'one that was made elsewhere');
  t.same(
    router.list().map(({ id }) => id),
    [0, 1, 2, 100, 101, 102, 103, 104, 1000, 1001],
  );
  t.end();
});

t.test('a scope may be declared where it is handled', (t) => {
  const router = new Router();
  router.on(1002, { roles: ['service'], limit: { perSecond: 1, burst: 2 }, waits: true }, nothing);
  const route = router.find(1002);
  t.match(route, { waits: true, roles: ['service'], limit: { perSecond: 1, burst: 2 } });
  t.equal(route?.scope.name, 'scope 1002');
  t.equal(router.find(1003), undefined);
  router.on(1003, { name: 'THREE', body: z.object({ n: z.number() }), reply: { scope: 1004 } }, nothing);
  t.match(router.find(1003), { waits: false, roles: undefined, limit: undefined, scope: { name: 'THREE' } });
  t.same(router.find(1003)?.scope.reply, { scope: 1004, body: undefined });
  t.end();
});

t.test(
  'middleware runs around every handler, in the order of use, also around those that were there before',
  async (t) => {
    const { a, b, run } = pairOf();
    const trace: string[] = [];
    b.router.on(ADD, ({ a, b }) => {
      trace.push('handler');
      return { sum: a + b };
    });
    b.router.use((ctx, next) => {
      trace.push(`first ${ctx.scope.name} of ${ctx.from}`);
      const value = next();
      trace.push('first after');
      return value;
    });
    b.router.use(async (_ctx, next) => {
      trace.push('second');
      const value = (await next()) as { sum: number };
      return { sum: value.sum * 10 };
    });
    const answer = a.peer.call(ADD, { a: 1, b: 2 });
    await run();
    t.same(await answer, { sum: 30 });
    t.same(trace, ['first ADD of svc-a', 'second', 'handler', 'first after']);
  },
);

t.test('middleware may refuse, and a second next() is our fault', async (t) => {
  const { a, b, run } = pairOf();
  let handled = 0;
  b.router.on(ADD, () => {
    handled++;
    return { sum: 1 };
  });
  let step: 'refuse' | 'twice' = 'refuse';
  b.router.use((ctx, next) => {
    if (step === 'refuse') return ctx.refuse('forbidden');
    next();
    return next();
  });
  const refused = a.peer.call(ADD, { a: 1, b: 2 });
  await run();
  await t.rejects(refused, { name: 'PackageError', code: 'forbidden' });
  t.equal(handled, 0);
  step = 'twice';
  const failed = a.peer.call(ADD, { a: 1, b: 2 });
  await run();
  await t.rejects(failed, { code: 'internal' });
  t.equal(handled, 1, 'the handler ran once');
  t.match(b.told.failed, [{ message: 'next() was called twice' }]);
});

t.test('compose gives back what is synchronous synchronously, and nothing around it costs nothing', (t) => {
  const last = (n: number): number => n + 1;
  t.equal(compose([], last), last);
  const run = compose<number>([(_n, next) => (next() as number) * 2, (n, next) => (n === 0 ? -1 : next())], last);
  t.equal(run(1), 4);
  t.equal(run(0), -2, 'a step that does not go on');
  t.equal(run(2), 6, 'nothing is left over from the run before');
  t.end();
});

t.test('bodies and answers have their types without a cast', (t) => {
  // Never run: whether it compiles is the test. An expected error that is none does not compile either.
  const typed = async (peer: PeerFace, router: Router<{ readonly n: number }>): Promise<void> => {
    router.on(ADD, ({ a, b }, ctx) => ({ sum: a + b + ctx.data.n }));
    router.on(ADD, async ({ a }, ctx) => ctx.reply({ sum: a }));
    router.on(NOTE, ({ text }) => text.length);
    router.on(PING, () => {});
    router.on(1002, { body: z.object({ x: z.string() }), reply: z.object({ y: z.string() }) }, ({ x }) => ({ y: x }));
    router.on(1003, { reply: { scope: 1004, body: mini.object({ ok: mini.boolean() }) } }, async () => ({ ok: true }));
    // @ts-expect-error the answer has a number
    router.on(ADD, () => ({ sum: 'three' }));
    // @ts-expect-error the answer has a number, also later
    router.on(ADD, async () => ({ sum: 'three' }));
    // @ts-expect-error the answer has a number, also when it is told
    router.on(ADD, (_body, ctx) => ctx.reply({ total: 3 }));
    // @ts-expect-error somebody waits for an answer
    router.on(ADD, () => {});
    // @ts-expect-error there is no such member
    router.on(ADD, ({ c }) => ({ sum: c }));
    // @ts-expect-error a PING is answered without a body
    router.on(PING, () => ({ pong: true }));
    // @ts-expect-error the same where the scope is declared on the spot
    router.on(1002, { body: z.object({ x: z.string() }), reply: z.object({ y: z.string() }) }, ({ x }) => ({ z: x }));
    // @ts-expect-error a number says nothing about its body
    router.on(1002, nothing);

    const { sum } = await peer.call(ADD, { a: 1, b: 2 });
    const total: number = sum;
    await peer.call(PING);
    await peer.call(PING, undefined, { timeout: total });
    const { userData, epoch } = await peer.call(UD_REQ_OWNERSHIP, { nodeID: 'svc-a' });
    const both: readonly [object, number | undefined] = [userData, epoch];
    peer.send(NOTE, { text: String(both) });
    // @ts-expect-error b is missing
    await peer.call(ADD, { a: 1 });
    // @ts-expect-error nobody knows scope 4711
    await peer.call(4711, {});
    // @ts-expect-error nobody answers it
    await peer.call(NOTE, { text: '' });
    // @ts-expect-error it has a body
    peer.send(NOTE);
    // @ts-expect-error it has no body
    await peer.call(PING, { text: '' });
    // @ts-expect-error the sum is a number
    const text: string = (await peer.call(ADD, { a: 1, b: 2 })).sum;
    nothing.call(text);
  };
  t.type(typed, 'function');
  const loose: (ctx: Context<AnyScope>) => unknown = ({ scope }) => scope.name;
  t.type(loose, 'function');
  t.end();
});
