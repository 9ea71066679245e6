// What a node may do to another one through the dispatch: no more than it may say unasked. Answers that are none, roles that the dispatch does not
// know, limits that others use up, documents for who may not have them. lib/package/PROTOCOL.md sections 8.2, 8.4, 8.5 and 9.
import t, { type Test } from 'tap';
import * as z from 'zod/mini';
import { memoryBus } from '../../lib/bus/memory.js';
import { ERROR, PING, UD_REQ_OWNERSHIP, UD_TRANSFER } from '../../lib/package/core-scopes.js';
import { KeyRing, oneKey } from '../../lib/package/key-ring.js';
import { Router } from '../../lib/package/router.js';
import { type AnyScope, defineScope } from '../../lib/package/scope.js';
import { memoryStore } from '../../lib/store/memory.js';
import { dispatchRecord, type End, type Given, Net, type Pkg, type RawNode, recordOf, until } from './net.js';

const USER = '175928847299117063';
const any = z.looseObject({});
const ERASE = defineScope({ id: 1000, name: 'ERASE', body: any, roles: ['service'] });
const PUSH = defineScope({ id: 1001, name: 'PUSH', body: any });
const ASK = defineScope({ id: 1002, name: 'ASK', body: any, reply: { scope: 1003, body: any } });
const SAYS = defineScope({ id: 1003, name: 'SAYS', body: any });
const OPEN = defineScope({ id: 1004, name: 'OPEN', body: any, reply: any });
const FREE = defineScope({ id: 1005, name: 'FREE', body: any });

const GATE: Given = { role: 'front', users: [USER], scopes: [PUSH.id, OPEN.id, FREE.id] };

interface Scene {
  readonly net: Net;
  readonly svc: End;
  readonly gate: RawNode;
  /** Scopes whose handlers ran at the service. */
  readonly ran: number[];
  /** Of everything that is sent there, when it has arrived. */
  readonly settled: () => Promise<void>;
}

const sceneOf = async (test: Test, scopes: readonly AnyScope[], gate: Given = GATE): Promise<Scene> => {
  const net = await Net.open(test, { 'svc-a': {}, gate }, { scopes });
  const ran: number[] = [];
  const router = new Router<string>();
  for (const scope of [ERASE, PUSH, SAYS, FREE, UD_TRANSFER]) router.on(scope, () => void ran.push(scope.id));
  const svc = await net.join('svc-a', router);
  const raw = await net.raw('gate');
  const settled = async (): Promise<void> => {
    await raw.ping();
    await svc.peer.call(PING);
  };
  return { net, svc, gate: raw, ran, settled };
};

const pushed = async ({ svc, gate }: Pick<Scene, 'svc' | 'gate'>, scope = PUSH): Promise<string> => {
  const before = gate.got.length;
  svc.peer.send(scope, {}, { destination: 'gate' });
  await until(() => gate.got.slice(before).some(({ header }) => header['scope'] === scope.id));
  return gate.got.slice(before).find(({ header }) => header['scope'] === scope.id)?.claims.jti as string;
};

const SPEAKS = { internal: false, user: USER, channel: '1', body: true };
const TRANSFER = { userData: {}, user: USER, epoch: 1_000_000 };

/** Everything a front may want to run at a service. */
const WANTED: readonly Pkg[] = [
  { header: { scope: ERASE.id, internal: true, body: true, destination: 'svc-a' }, body: {} },
  { header: { scope: ERASE.id, ...SPEAKS, user: '999', destination: 'svc-a' }, body: {} },
  { header: { scope: ERASE.id, ...SPEAKS, destination: 'svc-a' }, body: {} },
  { header: { scope: ERASE.id, ...SPEAKS }, body: {} },
  { header: { scope: PUSH.id, ...SPEAKS }, body: {} },
  { header: { scope: FREE.id, ...SPEAKS }, body: {} },
  { header: { scope: SAYS.id, ...SPEAKS }, body: {} },
  { header: { scope: UD_TRANSFER.id, ...SPEAKS }, body: TRANSFER },
  { header: { scope: UD_TRANSFER.id, internal: true, body: true }, body: TRANSFER },
  { header: { scope: PING.id, internal: true, body: false } },
];

for (const [name, scopes] of [
  ['that is declared', [ERASE, PUSH, ASK, SAYS]],
  ['that nobody declared', [ERASE]],
  ['where nothing is declared', []],
] as const) {
  t.test(`a note ${name} is no leave to send back anything`, async (t) => {
    const scene = await sceneOf(t, scopes);
    const { net, svc, gate, ran, settled } = scene;
    for (const pkg of WANTED) {
      const re = await pushed(scene);
      gate.say(pkg, { re });
    }
    await settled();
    t.strictSame(ran, []);
    t.strictSame(net.errors, []);
    // An ERROR about it is what there is to say.
    const re = await pushed(scene);
    gate.say({ header: { scope: ERROR.id, internal: true, body: true }, body: { code: 'busy', message: '' } }, { re });
    t.ok(await until(() => svc.refused.some(({ code, from }) => code === 'busy' && from === 'gate')));
  });

  t.test(`nor is a call ${name} whose time is over there, but not at the dispatch`, async (t) => {
    const scene = await sceneOf(t, scopes);
    const { svc, gate, ran, settled } = scene;
    for (const pkg of WANTED) {
      const before = gate.got.length;
      const call = svc.peer.call(ASK, {}, { destination: 'gate', timeout: 1 });
      await t.rejects(call, { code: 'timeout' });
      await until(() => gate.got.slice(before).some(({ header }) => header['scope'] === ASK.id));
      const asked = gate.got.slice(before).find(({ header }) => header['scope'] === ASK.id);
      gate.say(pkg, { re: asked?.claims.jti as string });
    }
    await settled();
    t.strictSame(ran, []);
  });
}

t.test('a service takes no document from another one by answering a note', async (t) => {
  const scene = await sceneOf(t, [], { role: 'service' });
  const { gate, ran, settled } = scene;
  for (const header of [{ scope: UD_TRANSFER.id, internal: true, body: true }]) {
    const re = await pushed(scene);
    t.match((await gate.ask({ header, body: TRANSFER }, { re })).body, { code: 'bad_header' });
  }
  await settled();
  t.strictSame(ran, []);
});

t.test(
  'who is asked what nobody declared answers what it may say, and on nobody’s behalf where it was asked so',
  async (t) => {
    const { svc, gate } = await sceneOf(t, []);
    const asked = async (options: object): Promise<readonly [Promise<unknown>, string]> => {
      const before = gate.got.length;
      const call = svc.peer.call(OPEN, {}, { destination: 'gate', ...options }).catch((error: unknown) => error);
      await until(() => gate.got.slice(before).some(({ header }) => header['scope'] === OPEN.id));
      return [call, gate.got.slice(before).find(({ header }) => header['scope'] === OPEN.id)?.claims.jti as string];
    };
    const [first, one] = await asked({});
    gate.say({ header: { scope: OPEN.id, internal: true, body: true }, body: { n: 1 } }, { re: one });
    t.strictSame(await first, { n: 1 });
    const [second, two] = await asked({ user: USER, channel: '1' });
    const told = await gate.ask(
      { header: { scope: OPEN.id, internal: true, body: true }, body: { n: 2 } },
      { re: two },
    );
    t.match(told.body, { code: 'forbidden' });
    t.match(await second, { code: 'internal' }, 'and who has asked need not wait');
  },
);

// ---- roles

const roleOfGate = async (test: Test, scopes: readonly AnyScope[]): Promise<void> => {
  const net = await Net.open(test, { 'svc-a': {}, 'svc-b': {}, gate: { role: 'front' } }, { scopes });
  const told: unknown[] = [];
  const router = new Router<string>()
    .on(ERASE, (_body, { from, role, grant, claims }) => void told.push([from, role, grant.role, claims.rol]))
    .on(OPEN, { roles: ['front'] }, (_body, { role }) => ({ role }));
  await net.join('svc-a', router);
  const [svc, gate] = [await net.join('svc-b'), await net.join('gate')];
  const to = { destination: 'svc-a' };
  gate.peer.send(ERASE, {}, { ...to, user: USER, channel: '1' });
  test.ok(await until(() => gate.refused.some(({ code }) => code === 'forbidden')));
  test.same(await gate.peer.call(OPEN, {}, { ...to, user: USER, channel: '1' }), { role: 'front' });
  await test.rejects(svc.peer.call(OPEN, {}, to), { code: 'forbidden' }, 'of a route as well');
  svc.peer.send(ERASE, {}, to);
  test.ok(await until(() => told.length > 0));
  test.strictSame(told, [['svc-b', 'service', 'dispatch', 'service']]);
  net.dispatch.node('svc-a')?.peer.send(ERASE, {});
  test.ok(await until(() => told.length > 1));
  test.strictSame(told[1], ['dispatch', 'dispatch', 'dispatch', undefined], 'the dispatch itself');
};

t.test('roles hold at a node also for what the dispatch does not know', (t) => roleOfGate(t, []));
t.test('and for what it knows', (t) => roleOfGate(t, [ERASE, OPEN]));

const two = async (test: Test, given: Readonly<Record<string, Given>>): Promise<readonly [Net, Net]> => {
  const keys = new KeyRing(
    Date.now,
    Object.entries(given).map(([node, grant]) => recordOf(node, grant)),
  );
  const options = { store: memoryStore(), keys, bus: memoryBus(), busKeys: oneKey(dispatchRecord), minimumHold: 0 };
  return [await Net.open(test, {}, options), await Net.open(test, {}, options)];
};

t.test('and from one dispatch to the other', async (t) => {
  const [here, there] = await two(t, { 'svc-a': {}, 'svc-b': {}, gate: { role: 'front' } });
  await there.join(
    'svc-a',
    new Router<string>().on(OPEN, { roles: ['service'] }, (_body, { from, role }) => ({ from, role })),
  );
  const [svc, gate] = [await here.join('svc-b'), await here.join('gate')];
  const answer = await svc.peer.ask(OPEN, {}, { destination: 'svc-a' });
  t.match(answer, { body: { from: 'svc-b', role: 'service' }, claims: { org: 'svc-a', rol: 'service' } });
  const asked = gate.peer.call(OPEN, {}, { destination: 'svc-a', user: USER, channel: '1' });
  await t.rejects(asked, { code: 'forbidden', from: 'svc-a' });
});

t.test('what another dispatch lets pass as an answer is looked at once more', async (t) => {
  const keys = new KeyRing(Date.now, [recordOf('svc-a'), recordOf('gate', { role: 'front' })]);
  const common = { store: memoryStore(), keys, bus: memoryBus(), busKeys: oneKey(dispatchRecord) };
  const here = await Net.open(t, {}, { ...common, scopes: [ASK, PUSH] });
  const there = await Net.open(t, {}, common);
  const ran: number[] = [];
  const svc = await here.join(
    'svc-a',
    new Router<string>().on(FREE, () => void ran.push(FREE.id)),
  );
  there.know('gate', { role: 'front' });
  const gate = await there.raw('gate');
  const re = await pushed({ svc, gate });
  gate.say({ header: { scope: FREE.id, ...SPEAKS }, body: {} }, { re });
  t.ok(await until(() => here.dispatch.counters().broken === 1));
  await svc.peer.call(PING);
  t.strictSame([ran, svc.peer.counters().stray], [[], 1], 'only told that it was none');
});

// ---- limits

t.test('a limit is not reset by coming again, and is not another sender’s', async (t) => {
  const limit = { perSecond: 0.001, burst: 2 };
  const LIMITED = defineScope({ id: 1010, name: 'LIMITED', body: any, reply: any, limit });
  const net = await Net.open(t, { 'svc-a': {}, 'svc-b': {}, 'svc-c': {} });
  net.dispatch.router.on(LIMITED, () => ({}));
  const codes: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    const raw = await net.raw('svc-a');
    const answer = await raw.ask({ header: { scope: LIMITED.id, internal: true, body: true }, body: {} });
    codes.push(answer.body?.['code']);
    await raw.connection.close();
    await until(() => net.dispatch.nodes.length === 0);
  }
  t.strictSame(codes, [undefined, undefined, 'rate_limited', 'rate_limited']);

  const own = defineScope({ id: 1011, name: 'THERE', body: any, reply: any, limit });
  await net.join(
    'svc-a',
    new Router<string>().on(own, () => ({})),
  );
  const [b, c] = [await net.raw('svc-b'), await net.raw('svc-c')];
  const ask = async (raw: RawNode): Promise<unknown> => {
    const header = { scope: own.id, internal: true, body: true, destination: 'svc-a' };
    return (await raw.ask({ header, body: {} })).body?.['code'];
  };
  t.strictSame([await ask(b), await ask(b), await ask(b)], [undefined, undefined, 'rate_limited']);
  t.strictSame([await ask(c), await ask(c), await ask(c)], [undefined, undefined, 'rate_limited']);
});

// ---- documents

t.test(
  'a document is assigned to nobody whom this dispatch does not know to be a service that may have it',
  async (t) => {
    const [here, there] = await two(t, {
      boss: { permissions: ['assign'] },
      gate: { role: 'front' },
      'svc-a': {},
      'svc-b': { users: ['1'] },
    });
    for (const node of ['gate', 'svc-a', 'svc-b']) await there.join(node);
    const boss = await here.join('boss');
    for (const nodeID of ['gate', 'svc-a', 'svc-b', 'svc-z']) {
      const asked = boss.peer.call(UD_REQ_OWNERSHIP, { nodeID, user: USER });
      await t.rejects(asked, { code: 'unknown_destination' }, nodeID);
    }
    t.equal(await here.store.get(USER), undefined, 'nothing was written');
    const own = await boss.peer.call(UD_REQ_OWNERSHIP, { nodeID: 'boss', user: USER });
    t.match(own, { epoch: 1 });
  },
);
