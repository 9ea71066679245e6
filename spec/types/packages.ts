// What does not compile: each directive below names the error that the line after it must be. The usual compiler run fails when one of them is
// none any more; packages.spec.ts looks whether each is the error that is meant. Beside each stands what does compile. Nothing here ever runs.

import * as z from 'zod';
import * as mini from 'zod/mini';
import { createNode, type Document, defineScope, type Node, PING, type Router, UD_SAVE } from '../../lib/index.js';

const ADD = defineScope({
  id: 1000,
  name: 'ADD',
  body: z.object({ a: z.number(), b: z.number() }),
  reply: z.object({ sum: z.number() }),
});
/** One way, with zod/mini. */
const NOTE = defineScope({ id: 1001, name: 'NOTE', body: mini.object({ text: mini.string() }) });
/** No body, and an answer with another number. */
const LIST = defineScope({
  id: 1002,
  name: 'LIST',
  reply: { scope: 1003, body: z.object({ names: z.array(z.string()) }) },
});
/** What goes in is not what comes out. */
const AT = defineScope({
  id: 1004,
  name: 'AT',
  body: z.object({ at: z.string().transform(Number) }),
  reply: z.object({}),
});
/** No body in either direction. */
const NUDGE = defineScope({ id: 1005, name: 'NUDGE', reply: { scope: 1006 } });

export const bodies = async (node: Node): Promise<void> => {
  await node.call(ADD, { a: 1, b: 2 });
  // @ts-expect-error TS2322 a member of another type
  await node.call(ADD, { a: 1, b: '2' });
  // @ts-expect-error TS2741 a member that is missing
  await node.call(ADD, { a: 1 });
  // @ts-expect-error TS2353 a member too many
  await node.call(ADD, { a: 1, b: 2, c: 3 });
  // @ts-expect-error TS2554 no body where there is one
  await node.call(ADD);
  await node.call(LIST);
  await node.call(LIST, undefined, { timeout: 1 });
  // @ts-expect-error TS2345 a body where there is none
  await node.call(LIST, { names: [] });
  await node.call(AT, { at: '7' });
  // @ts-expect-error TS2322 what the handler gets, not what is sent
  await node.call(AT, { at: 7 });
  node.send(NOTE, { text: 'x' });
  // @ts-expect-error TS2322 the same one way
  node.send(NOTE, { text: 7 });
  // @ts-expect-error TS2741 a scope of the protocol
  await node.call(UD_SAVE, { userData: {} });
  // @ts-expect-error TS2561 an option that is misspelt
  await node.call(PING, undefined, { destinaton: 'svc-b' });
};

export const replies = async (node: Node): Promise<void> => {
  const { sum } = await node.call(ADD, { a: 1, b: 2 });
  const twice: number = sum * 2;
  // @ts-expect-error TS2322 the answer is no text
  const text: string = (await node.call(ADD, { a: 1, b: 2 })).sum;
  // @ts-expect-error TS2339 the answer has no such member
  const total: unknown = (await node.call(ADD, { a: 1, b: 2 })).total;
  const { names } = await node.call(LIST);
  // @ts-expect-error TS2322 the answer that has another number
  const first: number = names.at(0);
  const nothing: undefined = await node.call(NUDGE);
  const { body, footer } = await node.ask(ADD, { a: 1, b: 2 });
  // @ts-expect-error TS2322 the same with all that came
  const wrong: string = body.sum;
  void [twice, text, total, first, nothing, footer?.dt, wrong];
};

export const scopes = async (node: Node): Promise<void> => {
  // @ts-expect-error TS2345 a number in the place of a scope
  await node.call(1000, { a: 1, b: 2 });
  // @ts-expect-error TS2345 a text
  await node.call('ADD', { a: 1, b: 2 });
  // @ts-expect-error TS2304 a scope that nobody defined
  await node.call(SUBTRACT);
  // @ts-expect-error TS2379 nobody answers it: it is sent
  await node.call(NOTE, { text: 'x' });
  // @ts-expect-error TS2345 no scope at all
  node.send({ id: 1000 }, { a: 1, b: 2 });
  // @ts-expect-error TS2353 a body that is no schema
  defineScope({ id: 1010, name: 'BAD', body: { a: 'number' } });
  // @ts-expect-error TS2322 a body that is no object
  defineScope({ id: 1010, name: 'BAD', body: z.string() });
  // @ts-expect-error TS2322 a role that there is not
  defineScope({ id: 1010, name: 'BAD', roles: ['admin'] });
};

export const handlers = (node: Node, router: Router<{ readonly since: number }>): void => {
  node.on(ADD, ({ a, b }) => ({ sum: a + b }));
  node.on(ADD, async ({ a, b }, ctx) => ctx.reply({ sum: a + b }));
  node.on(NUDGE, () => {});
  node.on(NOTE, () => 'whatever it is, nobody is answered');
  // @ts-expect-error TS2769 an answer of another type
  node.on(ADD, ({ a, b }) => ({ sum: `${a + b}` }));
  // @ts-expect-error TS2769 no answer where there is one
  node.on(ADD, () => {});
  // @ts-expect-error TS2769 the same later
  node.on(ADD, async () => {});
  // @ts-expect-error TS2339 a member that the body has not
  node.on(ADD, ({ c }) => ({ sum: c }));
  node.on(AT, ({ at }) => {
    const number: number = at;
    // @ts-expect-error TS2322 what is sent, not what the handler gets
    const text: string = at;
    return [number, text].length > 0 ? {} : {};
  });
  // @ts-expect-error TS2322 through the context
  node.on(ADD, (_, ctx) => ctx.reply({ sum: 'x' }));
  // @ts-expect-error TS2345 a code that there is not
  node.on(ADD, (_, ctx) => ctx.refuse('teapot'));
  node.on(1020, { body: z.object({ n: z.number() }), reply: z.object({ n: z.number() }) }, ({ n }) => ({ n }));
  // @ts-expect-error TS2769 a scope that is declared where it is handled
  node.on(1021, { body: z.object({ n: z.number() }), reply: z.object({ n: z.number() }) }, ({ n }) => ({ n: `${n}` }));
  // @ts-expect-error TS2769 an event that there is not
  node.on('opened', () => {});
  router.on(ADD, ({ a }, { data }) => ({ sum: a + data.since }));
  // @ts-expect-error TS2339 what is kept with a peer
  router.on(ADD, ({ a }, { data }) => ({ sum: a + data.until }));
};

export const documents = async (node: Node): Promise<void> => {
  const loose: Document = await node.own('1');
  loose.data['anything'] = 1;
  const account = await node.own('1', { schema: z.object({ coins: z.int() }) });
  account.data.coins += 1;
  await account.save({ coins: 1 });
  // @ts-expect-error TS2322 a member of another type
  account.data.coins = 'many';
  // @ts-expect-error TS2322 the same when it is saved
  await account.save({ coins: 'many' });
  // @ts-expect-error TS2345 data that is no object
  await loose.save('text');
  // @ts-expect-error TS2769 a flush that gives something else
  await node.own('1', { schema: z.object({ coins: z.int() }), flush: () => ({ coins: 'many' }) });
  // @ts-expect-error TS2540 an epoch is the dispatch's
  account.epoch = 2;
  // @ts-expect-error TS2345 a user is a text: a number would not be exact
  await node.own(17592884729911);
};

export const options = async (): Promise<void> => {
  await createNode({ credential: '{}', reconnect: { min: 1 } });
  // @ts-expect-error TS2741 who it is must be said
  await createNode({});
  // @ts-expect-error TS2353 an option that is not known
  await createNode({ credential: '{}', nodeId: 'svc-a' });
};
