// Packages over real connections and sessions: what carries them, what ends what, and that a slow end slows the other and nobody else.
// lib/package/PROTOCOL.md sections 1, 8 and 10.

import t, { type Test } from 'tap';
import * as z from 'zod/mini';
import { nodeSuite } from '../../lib/crypto/node.js';
import { type Connection, connect, createServer, type ServerOptions, type Session } from '../../lib/index.js';
import {
  carryPackages,
  type LinkEnd,
  PACKAGE_PROTOCOL,
  type PackageEvents,
  type PackageLink,
  type PackageLinkSettings,
} from '../../lib/link/packages.js';
import { sessionKeys } from '../../lib/link/session-keys.js';
import { now, wall } from '../../lib/net/clock.js';
import { Pacer } from '../../lib/net/pacer.js';
import { PING } from '../../lib/package/core-scopes.js';
import { oneKey } from '../../lib/package/key-ring.js';
import type { Grant } from '../../lib/package/package.js';
import type { PeerSettings } from '../../lib/package/peer-settings.js';
import { Router } from '../../lib/package/router.js';
import { defineScope } from '../../lib/package/scope.js';
import { writeToken } from '../../lib/package/token.js';
import { portableSigner, portableVerifier } from '../../lib/package/token-portable.js';
import { until, within } from '../hostile/stage.js';
import { ANYBODY, join, open } from './ends.js';
import { Line } from './line.js';

const ECHO = defineScope({
  id: 1000,
  name: 'ECHO',
  body: z.object({ n: z.number(), pad: z.optional(z.string()) }),
  reply: z.object({ n: z.number(), pad: z.optional(z.string()) }),
});

const SECRET = new Uint8Array(32).fill(9);
const DISPATCH: Grant = { node: 'dispatch', role: 'dispatch' };
const SERVICE: Grant = { node: 'svc-a', role: 'service' };
const KID = 'svc-a.1';

const keysOf = (mine: Grant, theirs: Grant): Pick<PeerSettings, 'keys' | 'signer'> => ({
  keys: oneKey({ ...theirs, kid: KID, verifier: portableVerifier(SECRET, nodeSuite) }),
  signer: portableSigner({ kid: KID, secret: SECRET, node: mine.node, suite: nodeSuite }),
});

type More = Partial<PackageLinkSettings<undefined>>;

const settingsOf = (
  keys: Pick<PeerSettings, 'keys' | 'signer'>,
  router: Router<undefined>,
  more: More,
): PackageLinkSettings<undefined> => ({
  ...keys,
  router,
  now,
  wall,
  random: (size) => nodeSuite.random(size),
  data: undefined,
  pace: (paced) => new Pacer(paced),
  ...more,
});

interface Scene {
  readonly client: PackageLink<undefined, Connection<unknown>>;
  readonly server: PackageLink<undefined, Connection<unknown>>;
  readonly routers: { readonly client: Router<undefined>; readonly server: Router<undefined> };
}

const scene = async (
  test: Test,
  { server: ofServer = {}, client: ofClient = {} }: { readonly server?: More; readonly client?: More } = {},
  options: ServerOptions<undefined> = {},
): Promise<Scene> => {
  const routers = { client: new Router<undefined>(), server: new Router<undefined>() };
  let theirs: PackageLink<undefined, Connection<unknown>> | undefined;
  const server = createServer({ closeTimeout: 200, ...options, subprotocols: [PACKAGE_PROTOCOL] });
  test.teardown(() => server.close({ drain: 100 }));
  server.on('connection', (connection) => {
    theirs = carryPackages(
      connection as Connection<unknown>,
      settingsOf(keysOf(DISPATCH, SERVICE), routers.server, ofServer),
    );
  });
  const { url } = await server.listen(0);
  const connection = await connect(url, { timeout: 4_000, subprotocols: [PACKAGE_PROTOCOL] });
  test.teardown(() => connection.terminate());
  const client = carryPackages(connection, settingsOf(keysOf(SERVICE, DISPATCH), routers.client, ofClient));
  if (!(await until(() => theirs !== undefined))) throw new Error('the server has no connection');
  return { client, server: theirs as PackageLink<undefined, Connection<unknown>>, routers };
};

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  within(
    promise.then(
      () => 'answered',
      (reason: unknown) => (reason as { code: unknown }).code,
    ),
    'the end of a call',
  );

t.test('both ends of a connection call each other', async (test) => {
  const told: string[] = [];
  const events: PackageEvents = {
    identified: ({ node }) => told.push(`is ${node}`),
    heard: ({ header }) => told.push(`heard ${header.scope}`),
  };
  const { client, server, routers } = await scene(test, { server: { events } });
  routers.server.on(ECHO, async ({ n }, ctx) => ({ n: n + (await ctx.peer.call(ECHO, { n: 10 })).n }));
  routers.client.on(ECHO, ({ n }) => ({ n: n * 2 }));
  test.same(await within(client.peer.call(ECHO, { n: 1 }), 'an answer'), { n: 21 });
  test.same(told, ['is svc-a', 'heard 1000', 'heard 1000']);
  test.equal(server.peer.record?.node, 'svc-a');
  const end: Promise<LinkEnd> = server.close(4001, 'replaced');
  const waiting = failureOf(client.peer.call(ECHO, { n: 1 }));
  test.same(await within(client.closed, 'the close'), { code: 4001, reason: 'replaced' });
  test.equal((await within(end, 'the close there')).code, 4001);
  test.equal(await waiting, 'lost');
  test.equal(client.peer.state, 'ended');
});

t.test('deadlines are kept by whatever paces the link', async (test) => {
  const { client, routers } = await scene(test);
  const aborted = new Promise<unknown>((resolve) => {
    routers.server.on(ECHO, (_body, { signal }) => {
      signal.addEventListener('abort', () => resolve(signal.reason));
      return new Promise(() => {});
    });
  });
  test.equal(await failureOf(client.peer.call(ECHO, { n: 1 }, { timeout: 30 })), 'timeout');
  test.match(await within(aborted, 'the signal', 4_000), { code: 'timeout' });
});

t.test('what is no package ends the connection: 1008, 1009, 1003', async (test) => {
  const rows: (readonly [string, string | Uint8Array, number, string])[] = [
    ['text', 'hello', 1008, 'bad_token'],
    ['a long text', 'x'.repeat(65_537), 1009, 'too_long'],
    ['bytes', new Uint8Array(3), 1003, 'packages are text'],
  ];
  for (const [name, message, code, reason] of rows) {
    const { client, server } = await scene(test);
    client.carrier.send(message);
    test.same(await within(client.closed, name), { code, reason }, name);
    await within(server.closed, name);
    test.equal(server.peer.counters().sent, 0, 'not a word');
  }
});

t.test('a listener of ours that throws is told of, and ends nothing', async (test) => {
  const failed: string[] = [];
  const events: PackageEvents = {
    identified: () => {
      throw new Error('at identified');
    },
    heard: () => {
      throw new Error('at heard');
    },
    failed: (error) => {
      failed.push(error.message);
      throw error;
    },
    ended: () => {
      throw new Error('at ended');
    },
  };
  const { client, server } = await scene(test, { server: { events } });
  await within(client.peer.call(PING), 'a ping');
  test.same(failed, ['at identified', 'at heard']);
  await within(client.close(), 'the close');
  await within(server.closed, 'the close there');
  test.same(failed, ['at identified', 'at heard', 'at ended']);
});

t.test('while handlers are at work nothing is read, and everything is answered in the end', async (test) => {
  const { client, server, routers } = await scene(test, { server: { maxConcurrent: 4, maxWaiting: 300 } });
  const held: (() => void)[] = [];
  routers.server.on(ECHO, ({ n }) => new Promise((resolve) => held.push(() => resolve({ n }))));
  const calls = Array.from({ length: 600 }, (_, n) => client.peer.call(ECHO, { n }));
  const all = Promise.all(calls);
  test.ok(await until(() => server.carrier.paused));
  test.equal(held.length, 4);
  test.ok(server.peer.counters().received < 300, `${server.peer.counters().received} were read`);
  const free = async (): Promise<void> => {
    for (let release = held.shift(); release !== undefined; release = held.shift()) {
      release();
      await Promise.resolve();
    }
  };
  let answered = false;
  void all.then(() => {
    answered = true;
  });
  test.ok(
    await until(() => {
      void free();
      return answered;
    }),
  );
  test.same(
    (await all).map(({ n }) => n),
    calls.map((_, n) => n),
  );
  test.same(server.peer.counters().faults, {}, 'nobody was refused');
  test.equal(server.carrier.paused, false);
});

t.test('whoever does not take his answers is not read any more', async (test) => {
  const { client, server, routers } = await scene(test, {}, { highWater: 64 * 1024 });
  const pad = 'x'.repeat(40_000);
  routers.server.on(ECHO, ({ n }) => ({ n, pad }));
  client.carrier.pause();
  const calls = Promise.all(
    Array.from({ length: 1_000 }, (_, n) => client.peer.call(ECHO, { n }, { timeout: 60_000 })),
  );
  test.ok(await until(() => server.carrier.paused, 10_000));
  const { received } = server.peer.counters();
  test.ok(received < 1_000, `${received} were read`);
  test.ok(server.carrier.bufferedAmount < 1024 * 1024, `${server.carrier.bufferedAmount} wait`);
  client.carrier.resume();
  test.equal((await within(calls, 'all answers', 20_000)).length, 1_000);
  test.equal(server.carrier.paused, false);
});

interface Secured {
  readonly client: PackageLink<undefined, Session>;
  readonly server: PackageLink<undefined, Session>;
  readonly routers: Scene['routers'];
  readonly line: Line;
}

/** Over a packet session on a line that can be cut. */
const secured = async (test: Test, mode: 'required' | 'none' = 'required'): Promise<Secured> => {
  const routers = { client: new Router<undefined>(), server: new Router<undefined>() };
  const links: PackageLink<undefined, Session>[] = [];
  const { port } = await open(test, mode === 'none' ? { mode } : {}, (session) => {
    const keys = sessionKeys(session, { grant: SERVICE, node: 'dispatch', suite: nodeSuite });
    links.push(carryPackages(session, settingsOf(keys, routers.server, {})));
  });
  const line = await Line.to(test, port);
  const session = await join(test, line.url, mode === 'none' ? { ...ANYBODY, mode } : ANYBODY);
  const keys = sessionKeys(session, { grant: DISPATCH, node: 'svc-a', suite: nodeSuite });
  const client = carryPackages(session, settingsOf(keys, routers.client, {}));
  const [server] = links;
  if (server === undefined) throw new Error('the server has no session');
  return { client, server, routers, line };
};

t.test('in a packet session the keys are those of the session, one for each direction', async (test) => {
  const { client, server, routers } = await secured(test);
  routers.server.on(ECHO, async ({ n }, ctx) => ({ n: n + (await ctx.peer.call(ECHO, { n: 10 })).n }));
  routers.client.on(ECHO, ({ n }) => ({ n: n * 2 }));
  test.same(await within(client.peer.call(ECHO, { n: 1 }), 'an answer'), { n: 21 });
  test.match(server.peer.record, { kid: 'session', node: 'svc-a', role: 'service' });
  const ours = sessionKeys(client.carrier, { grant: DISPATCH, node: 'svc-a', suite: nodeSuite });
  const claims = { iat: Math.floor(wall() / 1000), exp: Math.floor(wall() / 1000) + 9, jti: 'abcdefgh' };
  const token = writeToken(ours.signer(), { header: { scope: 0, internal: true, body: false } }, claims);
  test.equal(ours.keys.find('session')?.verifier.verify(token), false, 'ours does not come back as theirs');
  const theirs = sessionKeys(server.carrier, { grant: SERVICE, node: 'dispatch', suite: nodeSuite });
  test.equal(theirs.keys.find('session')?.verifier.verify(token), true);
  test.equal(theirs.keys.find(KID), undefined);
  test.equal(theirs.signer(), theirs.signer(), 'made once');
});

t.test('a call outlives the connection under it, and the count of operations goes on', async (test) => {
  const { client, server, routers, line } = await secured(test);
  routers.server.on(ECHO, ({ n }) => ({ n }));
  const ask = { footerInclude: ['op'] };
  test.match(await within(client.peer.ask(ECHO, { n: 1 }, ask), 'the first'), { footer: { op: 1 } });
  const resumed = new Promise((resolve) => client.carrier.on('open', resolve));
  line.hold();
  const call = client.peer.ask(ECHO, { n: 2 }, ask);
  line.cut();
  line.release();
  test.equal(server.peer.counters().received, 1, 'it has not arrived');
  test.equal(await within(resumed, 'another connection'), 'resumed');
  test.match(await within(call, 'the answer'), { body: { n: 2 }, footer: { op: 2 } });
  test.equal(server.peer.state, 'open');
});

t.test('what is no package ends the session; so does a message that may be lost', async (test) => {
  const messages: (readonly [string, boolean])[] = [
    ['hello', true],
    ['hello', false],
  ];
  for (const [text, reliable] of messages) {
    const { client, server } = await secured(test);
    client.carrier.send(text, { reliable });
    test.match(await within(server.closed, 'the end'), {
      code: '2.0 DISCONNECT',
      reason: reliable ? 'bad_token' : 'packages are RELIABLE',
    });
    await within(client.closed, 'the end here');
    test.equal(client.peer.state, 'ended');
  }
});

t.test('more than a session takes at once waits its turn, up to a bound', async (test) => {
  const { client, server, routers, line } = await secured(test);
  const got: number[] = [];
  routers.server.on(ECHO, ({ n }) => {
    got.push(n);
    return { n };
  });
  const calls = Promise.all(Array.from({ length: 700 }, (_, n) => client.peer.call(ECHO, { n }, { timeout: 60_000 })));
  test.equal((await within(calls, 'all answers', 10_000)).length, 700);
  test.same(
    got,
    got.map((_, n) => n),
    'in order',
  );
  line.hold();
  const lost = failureOf(client.peer.call(PING, undefined, { timeout: 60_000 }));
  for (let n = 0; n < 1_400 && client.peer.state === 'open'; n++) {
    client.peer.call(ECHO, { n }, { timeout: 60_000 }).catch(() => {});
  }
  test.equal(client.peer.state, 'ended', 'nobody takes them');
  test.equal(await lost, 'lost');
  await within(client.closed, 'the end');
  test.equal(server.peer.counters().faults.bad_token, undefined);
});

t.test('a session without encryption has no keys, and nothing in it is believed', async (test) => {
  const { client, server } = await secured(test, 'none');
  const error = await client.peer.call(PING).catch((reason: unknown) => reason);
  test.match(error, { name: 'TypeError', message: /no keys/ });
  const signer = portableSigner({ kid: 'session', secret: SECRET, node: 'svc-a', suite: nodeSuite });
  const iat = Math.floor(wall() / 1000);
  client.carrier.send(
    writeToken(signer, { header: { scope: 0, internal: true, body: false } }, { iat, exp: iat + 9, jti: 'abcdefgh' }),
  );
  test.match(await within(server.closed, 'the end'), { reason: 'bad_token' });
});
