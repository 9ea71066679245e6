// Packages of a server without a dispatch: which connections carry them, who a node is and for how long, what ends what, and the same in packet
// sessions. lib/package/PROTOCOL.md sections 1 and 8.2.
import t, { type Test } from 'tap';
import * as z from 'zod/mini';
import { connect as dial, encode, upgrade, upgradeRequest } from '../../fixtures/rig/wire.js';
import { openSession } from '../../lib/client/session.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import {
  connect,
  createServer,
  type PackageOptions,
  type Server,
  type ServerOptions,
  type Session,
} from '../../lib/index.js';
import { carryPackages, PACKAGE_PROTOCOL, type PackageLink, SECURE_PACKAGE_PROTOCOL } from '../../lib/link/packages.js';
import { sessionKeys } from '../../lib/link/session-keys.js';
import { now, wall } from '../../lib/net/clock.js';
import { Pacer } from '../../lib/net/pacer.js';
import { resolveClient } from '../../lib/options/options.js';
import { PING } from '../../lib/package/core-scopes.js';
import { KeyRing } from '../../lib/package/key-ring.js';
import type { Grant, KeySource, Signer } from '../../lib/package/package.js';
import { Router } from '../../lib/package/router.js';
import { defineScope } from '../../lib/package/scope.js';
import { dispatchSigner, keysOf, RawNode, recordOf } from '../dispatch/net.js';
import { closeOf, until, within } from '../hostile/stage.js';
import { ANYBODY, QUICK } from '../link/ends.js';
import { Line } from '../link/line.js';
import { isEmpty } from './scene.js';

const ECHO = defineScope({
  id: 1000,
  name: 'ECHO',
  body: z.object({ n: z.number() }),
  reply: z.object({ n: z.number() }),
});
const WHO = defineScope({ id: 1001, name: 'WHO', reply: z.object({ node: z.string(), data: z.string() }) });

interface Scene {
  readonly server: Server<unknown>;
  readonly port: number;
  readonly url: string;
  readonly ring: KeyRing;
  readonly links: PackageLink[];
  readonly errors: Error[];
}

const open = async (
  t: Test,
  packages: Partial<PackageOptions> = {},
  options: ServerOptions<unknown> = {},
): Promise<Scene> => {
  const ring = new KeyRing(wall, [recordOf('svc-a'), recordOf('svc-b', { es256: true })]);
  const router = new Router()
    .on(ECHO, ({ n }) => ({ n }))
    .on(WHO, (_body, { grant, data }) => ({ node: grant.node, data: String(data) }));
  const server = createServer<unknown>({
    closeTimeout: 200,
    ...options,
    packages: { key: dispatchSigner(), keys: ring, router, ...packages },
  });
  t.teardown(() => server.close({ drain: 50 }));
  const links: PackageLink[] = [];
  const errors: Error[] = [];
  server.on('node', (link) => links.push(link)).on('error', (error) => errors.push(error));
  const { port = 0, url } = await server.listen(0);
  return { server, port, url, ring, links, errors };
};

const HEADERS = { 'Sec-WebSocket-Protocol': PACKAGE_PROTOCOL };
const PINGED = { header: { scope: 0, internal: true, body: false } };

const raw = async (t: Test, { url }: Scene, node = 'svc-a', kid = `${node}.1`): Promise<RawNode> => {
  const connection = await connect(url, { subprotocols: [PACKAGE_PROTOCOL], closeTimeout: 200 });
  t.teardown(() => connection.terminate());
  return new RawNode(connection, node, keysOf(node, { es256: node === 'svc-b' }, kid).signer);
};

t.test('packages are served beside plain messages, and are told from them by the subprotocol', async (t) => {
  const plain: string[] = [];
  const scene = await open(t, {}, { authorize: () => ({ data: 'mine' }), subprotocols: ['chat'], deflate: true });
  scene.server.on('connection', (connection) => connection.on('message', (data) => void plain.push(String(data))));
  const a = await raw(t, scene);
  t.same((await a.ask({ header: { scope: 1001, internal: true, body: false } })).body, { node: 'svc-a', data: 'mine' });
  t.equal(scene.links.length, 1);
  t.equal(scene.server.nodes.length, 1);
  t.equal(scene.server.nodes[0], scene.links[0]);
  t.equal(scene.links[0]?.peer.record?.node, 'svc-a');
  t.equal(scene.server.connections.size, 0, 'its connection is none of the embedder');
  const chat = await connect(scene.url, { subprotocols: ['chat'] });
  chat.send('hello');
  t.ok(await until(() => plain.length === 1));
  t.equal(scene.server.connections.size, 1);
  await chat.close();

  const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  const wire = await upgrade(scene.port, { headers: { ...HEADERS, ...offer } });
  t.notMatch(
    wire.head,
    /sec-websocket-extensions/i,
    'nothing is deflated: a token has secrets of one and texts of another',
  );
  wire.destroy();
  const none = createServer();
  t.teardown(() => none.close());
  const bare = await upgrade((await none.listen(0)).port ?? 0, { headers: HEADERS });
  t.notMatch(bare.head, /sec-websocket-protocol/i, 'without the option nobody serves them');
  bare.destroy();
});

t.test('a package that comes in one segment with the request is heard', async (t) => {
  const scene = await open(t);
  const { signer } = keysOf('svc-a');
  const iat = Math.floor(wall() / 1000);
  const token = signer.sign(JSON.stringify({ ...PINGED, iss: 'svc-a', iat, exp: iat + 60, jti: 'with-the-request' }));
  const wire = await dial(scene.port);
  wire.write(
    Buffer.concat([
      Buffer.from(upgradeRequest(scene.port, { headers: HEADERS })),
      encode({ opcode: 1, payload: token }),
    ]),
  );
  t.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
  t.equal((await wire.readFrame()).opcode, 1, 'its answer');
  wire.destroy();
  t.ok(await isEmpty(scene.server));
});

t.test('who sends what is no package is sent away', async (t) => {
  const scene = await open(t);
  for (const [name, frame, code, reason] of [
    ['bytes', { opcode: 2, payload: Buffer.from('a.b.c') }, 1003, 'packages are text'],
    ['no token', { opcode: 1, payload: 'hello' }, 1008, 'bad_token'],
    ['nothing', { opcode: 1, payload: '' }, 1008, 'bad_token'],
    ['an octet too much', { opcode: 1, payload: 'x'.repeat(65_537) }, 1009, undefined],
  ] as const) {
    const wire = await upgrade(scene.port, { headers: HEADERS });
    wire.sendFrame(frame);
    const { opcode, payload } = await wire.readFrame();
    t.equal(opcode, 8, name);
    t.equal(closeOf(payload).code, code, name);
    if (reason !== undefined) t.equal(closeOf(payload).reason, reason, name);
    wire.destroy();
  }
  t.equal(scene.server.counters()['package:bad_token'], 2);
  t.equal(scene.links.length, 0);
  t.ok(await isEmpty(scene.server));
});

t.test('a connection has so long to show who it is', async (t) => {
  const scene = await open(t, { identifyTimeout: 150 });
  const a = await raw(t, scene);
  const mute = await raw(t, scene);
  await a.ping();
  t.match(await mute.ended(), { code: 1008, reason: 'no package came in time' });
  await a.ping();
  t.equal(a.outcome, undefined, 'who has shown it stays');
});

t.test('a node has one connection: the newer one wins, also on another server that shares the nodes', async (t) => {
  const scene = await open(t);
  const first = await (await raw(t, scene)).ping();
  const second = await (await raw(t, scene)).ping();
  t.match(await first.ended(), { code: 4001, reason: 'replaced' });
  await second.ping();
  t.equal(scene.server.nodes.length, 1);
  t.equal(scene.links.length, 2);
  t.match(await within(scene.links[0]?.closed ?? Promise.reject(), 'its link'), { code: 4001 });
  // A token that was seen is no token: it takes nobody's place.
  const token = second.token(PINGED);
  second.connection.send(token);
  await second.ping();
  const thief = await raw(t, scene);
  thief.connection.send(token);
  t.match(await thief.next('replayed', ({ body }) => body?.['code'] === 'replayed'), { header: { scope: 2 } });
  await second.ping();
  t.equal(second.outcome, undefined);
});

t.test('nobody becomes another one on a connection, and nobody is the dispatch', async (t) => {
  const scene = await open(t);
  const a = await (await raw(t, scene)).ping();
  const b = await raw(t, scene, 'svc-b');
  a.connection.send(b.token(PINGED));
  t.match(await a.ended(), { code: 1008, reason: 'bad_token' });
  scene.ring.add({ ...recordOf('svc-c'), node: 'dispatch', kid: 'c.1' });
  scene.ring.add({ ...recordOf('svc-c'), role: 'dispatch', kid: 'c.2' });
  for (const [kid, node] of [
    ['c.1', 'dispatch'],
    ['c.2', 'svc-c'],
  ] as const) {
    const { connection } = await raw(t, scene);
    const { signer } = keysOf('svc-c', {}, kid);
    const iat = Math.floor(wall() / 1000);
    connection.send(signer.sign(JSON.stringify({ ...PINGED, iss: node, iat, exp: iat + 60, jti: `i-am-${node}-now` })));
    t.match(await within(connection.closed, 'it is sent away'), { code: 1008, reason: 'bad_token' }, kid);
  }
  t.equal(scene.links.length, 1);
});

t.test('a node whose key is removed or over is sent away, though it says nothing', async (t) => {
  const scene = await open(t);
  const a = await (await raw(t, scene)).ping();
  const b = await (await raw(t, scene, 'svc-b')).ping();
  // Another key of the same node: who signs by it now stays.
  scene.ring.add(recordOf('svc-a', {}, 'svc-a.2'));
  const iat = Math.floor(wall() / 1000);
  const { signer } = keysOf('svc-a', {}, 'svc-a.2');
  a.connection.send(
    signer.sign(JSON.stringify({ ...PINGED, iss: 'svc-a', iat, exp: iat + 60, jti: 'by-the-new-key' })),
  );
  await a.next('its answer', ({ claims }) => claims.re === 'by-the-new-key');
  scene.ring.remove('svc-a.1');
  scene.ring.retire('svc-b.1', wall());
  t.match(await within(b.connection.closed, 'svc-b is sent away', 8_000), { code: 4003, reason: 'revoked' });
  t.equal(a.outcome, undefined);
  a.say(PINGED);
  t.match(await a.ended(), { code: 1008, reason: 'bad_token' }, 'the old key is good for nothing at once');
});

t.test('a kid that is given again is not the key it was: who came by that is sent away', async (t) => {
  const scene = await open(t);
  const made = await (await raw(t, scene)).ping();
  const b = await (await raw(t, scene, 'svc-b')).ping();
  // Between two looks, as by two quick commands: another secret, and the other one made anew from the same key.
  scene.ring.remove('svc-a.1');
  scene.ring.add({ ...recordOf('svc-c', {}, 'svc-a.1'), node: 'svc-a' });
  scene.ring.remove('svc-b.1');
  scene.ring.add(recordOf('svc-b', { es256: true }));
  t.match(await within(made.connection.closed, 'svc-a is sent away', 8_000), { code: 4003, reason: 'revoked' });
  await b.ping();
  t.equal(b.outcome, undefined, 'the same key is the same, whoever made the record of it');
});

t.test('who has other rights than he came with is closed, and comes back with those', async (t) => {
  const scene = await open(t);
  const a = await (await raw(t, scene)).ping();
  scene.ring.remove('svc-a.1');
  scene.ring.add(recordOf('svc-a', { users: ['7', '8'] }));
  // What it says meanwhile is judged by the new rights already, and does not hide that they have changed.
  a.say(PINGED);
  const end = { code: 1012, reason: 'its rights have changed' };
  t.match(await within(a.connection.closed, 'it is closed', 8_000), end);
  const again = await (await raw(t, scene)).ping();
  t.strictSame(scene.links.at(-1)?.peer.record?.users, ['7', '8']);
  scene.ring.remove('svc-a.1');
  scene.ring.add(recordOf('svc-a', { users: ['8', '7'] }));
  const b = await (await raw(t, scene, 'svc-b')).ping();
  scene.ring.remove('svc-b.1');
  t.match(await within(b.connection.closed, 'a look has been', 8_000), { code: 4003 });
  await again.ping();
  t.equal(again.outcome, undefined, 'the same rights in another order');
});

t.test('a handler or a listener that fails is told of, and ends nothing but its own', async (t) => {
  const router = new Router().on(ECHO, () => {
    throw new Error('the handler');
  });
  const scene = await open(t, { router });
  const a = await raw(t, scene);
  t.match((await a.ask({ header: { scope: 1000, internal: true, body: true }, body: { n: 1 } })).body, {
    code: 'internal',
  });
  t.match(scene.errors, [{ message: 'the handler' }]);
  scene.server.on('node', () => {
    throw new Error('the listener');
  });
  const b = await raw(t, scene, 'svc-b');
  b.say(PINGED);
  t.match(await b.ended(), { code: 1011 });
  await a.ping();
});

t.test('a server that closes says so to its nodes, and its calls are over', async (t) => {
  const scene = await open(t);
  const a = await (await raw(t, scene)).ping();
  const call = scene.links[0]?.peer.call(ECHO, { n: 1 }).catch((error: Error) => error);
  t.same(await scene.server.close({ drain: 2_000 }), { clean: 1, cut: 0 });
  t.match(await a.ended(), { code: 1001 });
  t.match(await call, { code: 'lost' });
  t.equal(scene.server.nodes.length, 0);
});

t.test('options that are wrong are named at once', async (t) => {
  const key = dispatchSigner();
  const keys = new KeyRing(wall);
  for (const [options, message] of [
    [{ keys }, /createServer: packages\.key: must be a Signer/],
    [{ key, keys: new Map() }, /packages\.keys: must be a KeyRing/],
    [{ key, keys, router: {} }, /packages\.router: must be a Router/],
    [{ key, keys, identifyTimeout: 0 }, /packages\.identifyTimeout/],
    [{ key, keys, limit: { perSecond: 0, burst: 1 } }, /packages\.limit\.perSecond/],
    [{ key, keys, sessionNodes: () => {} }, /sessionNodes/],
  ] as const) {
    t.throws(() => createServer<unknown>({ packages: options as unknown as PackageOptions }), {
      name: 'TypeError',
      message,
    });
  }
});

// ---- in packet sessions

interface Inside {
  readonly session: Session;
  readonly link: PackageLink<undefined, Session>;
}

const inside = async (t: Test, url: string, by: 'session' | 'pair' = 'session'): Promise<Inside> => {
  const options = resolveClient({ timeout: 4_000, packets: { ...ANYBODY, reconnect: QUICK } });
  const { packets } = options.rest;
  if (packets === undefined) throw new Error('no packets');
  const session = await openSession(url, options, packets, SECURE_PACKAGE_PROTOCOL);
  t.teardown(() => session.close());
  const grant: Grant = { node: 'dispatch', role: 'dispatch' };
  const own = sessionKeys(session, { grant, node: 'front-1', suite: nodeSuite });
  const byPair = keysOf('svc-b', { es256: true });
  const security: { signer: Signer | (() => Signer); keys: KeySource } =
    by === 'session' ? { signer: () => own.signer(), keys: own.keys } : byPair;
  const link = carryPackages(session, {
    ...security,
    router: new Router<undefined>(),
    now,
    wall,
    random: (size) => nodeSuite.random(size),
    data: undefined,
    pace: (paced) => new Pacer(paced),
  });
  return { session, link };
};

const FRONT: Grant = { node: 'front-1', role: 'front', users: ['7'] };

t.test('in a session a node signs by the keys of the session, or by its own', async (t) => {
  const asked: unknown[] = [];
  const scene = await open(
    t,
    {
      sessionNode: (session) => {
        asked.push(session.identity);
        return FRONT;
      },
    },
    { packets: { mode: 'required' }, authorize: () => ({ data: 'mine' }) },
  );
  const front = await inside(t, scene.url);
  t.same(await front.link.peer.call(WHO, undefined, { user: '7', channel: '1' }), { node: 'front-1', data: 'mine' });
  t.ok(asked.every((one) => one === 'anonymous') && asked.length > 0, 'the embedder is asked whose it is');
  const service = await inside(t, scene.url, 'pair');
  t.same(await service.link.peer.call(WHO), { node: 'svc-b', data: 'mine' });
  t.equal(scene.server.nodes.length, 2);
  await t.rejects(front.link.peer.call(WHO), { code: 'forbidden' }, 'a front speaks for its users');
  await front.session.close();
  t.ok(await until(() => scene.server.nodes.length === 1));
});

t.test('a session that nobody claims has no keys, nor has one where asking fails', async (t) => {
  let answer: () => Grant | undefined = () => undefined;
  const scene = await open(t, { sessionNode: () => answer() }, { packets: {} });
  for (const one of [
    () => undefined,
    () => {
      throw new Error('nobody knows');
    },
  ]) {
    answer = one;
    const front = await inside(t, scene.url);
    const call = front.link.peer.call(PING).catch((error: Error) => error);
    t.match(await within(front.session.closed, 'it is ended'), { by: 'remote', detail: 'bad_token' });
    t.match(await call, { code: 'lost' });
  }
  t.match(scene.errors, [{ message: 'nobody knows' }]);
  t.equal(scene.links.length, 0);
  const without = await open(t, {}, { packets: {} });
  const front = await inside(t, without.url);
  void front.link.peer.call(PING).catch(() => {});
  t.match(await within(front.session.closed, 'it is ended'), { detail: 'bad_token' }, 'without sessionNode neither');
});

t.test('a session that is taken from its node ends, and one that is resumed goes on as the same node', async (t) => {
  let grant: Grant | undefined = FRONT;
  const scene = await open(t, { sessionNode: () => grant }, { packets: {} });
  const line = await Line.to(t, scene.port);
  const { session, link } = await inside(t, line.url);
  const call = (): Promise<{ node: string }> => link.peer.call(WHO, undefined, { user: '7', channel: '1' });
  t.match(await call(), { node: 'front-1' });
  const resumed = new Promise<string>((resolve) => session.on('open', resolve));
  line.cut();
  const waiting = call();
  t.equal(await within(resumed, 'it comes back'), 'resumed');
  t.match(await within(waiting, 'what was asked meanwhile'), { node: 'front-1' });
  t.equal(scene.links.length, 1, 'one link for both connections');
  t.equal(scene.links[0]?.peer.counters().received, 2);
  grant = undefined;
  t.match(await within(session.closed, 'it is taken away', 8_000), { by: 'remote', detail: 'revoked' });
});

t.test(
  'a session of packages is none of packets: it cannot be opened without both, nor resumed as the other',
  async (t) => {
    const scene = await open(t, { sessionNode: () => FRONT });
    await t.rejects(inside(t, scene.url), { code: 'WSD_DIAL_PROTOCOL' }, 'without the option packets');
    const both = await open(t, { sessionNode: () => FRONT }, { packets: {} });
    const sessions: Session[] = [];
    both.server.on('session', (session) => sessions.push(session));
    const { link } = await inside(t, both.url);
    await link.peer.call(PING);
    const plain = await connect(both.url, { packets: ANYBODY });
    t.teardown(() => plain.close());
    t.equal(sessions.length, 1, 'sessions of packages are not told as sessions');
    t.equal(both.server.sessions.length, 2, 'but they are');
    t.same(await within(both.server.close({ drain: 2_000 }), 'the end'), { clean: 2, cut: 0 });
  },
);
