// Nodes and a real dispatch on real connections: two services hand over the document of a user, a front calls a service, and what is cut or
// killed on the way loses nothing that was acknowledged. Plain connections and sealed sessions.

import t, { type Test } from 'tap';
import * as z from 'zod';
import { makeCertificate } from '../../lib/crypto/make-certificate.js';
import { makeNodeKey, makeSecret, writePem, writeSecret } from '../../lib/crypto/package-keys.js';
import {
  type Credential,
  createDispatch,
  createNode,
  createServer,
  type Dispatch,
  defineScope,
  type Node,
  type NodeOptions,
  type OwnershipRecord,
  type Role,
  type Store,
} from '../../lib/index.js';
import { wall } from '../../lib/net/clock.js';
import { nodeRecord } from '../../lib/package/key-record.js';
import { KeyRing } from '../../lib/package/key-ring.js';
import { nodeSigner } from '../../lib/package/token-node.js';
import { memoryStore } from '../../lib/store/memory.js';
import { until, within } from '../hostile/stage.js';
import { Line } from '../link/line.js';
import { QUICK, USER } from './dispatch.js';

const LEASE = 900;

interface World {
  readonly dispatch: Dispatch;
  readonly errors: Error[];
  /** Of its own, so that one node can be cut off and no other. */
  node(
    name: string,
    options?: Partial<NodeOptions> & {
      readonly role?: Role;
      readonly alg?: 'ES256' | 'HS256';
      readonly known?: Credential;
    },
  ): Promise<{ node: Node; line: Line; credential: Credential }>;
}

const open = async (
  test: Test,
  kind: 'plain' | 'sealed',
  { store = memoryStore(), lease = LEASE }: { readonly store?: Store; readonly lease?: number } = {},
): Promise<World> => {
  const ring = new KeyRing(wall);
  const key = makeNodeKey();
  const signer = nodeSigner({ kid: 'dispatch.1', alg: 'ES256', key: key.privateKey, node: 'dispatch' });
  const dispatch = createDispatch({
    store,
    key: signer,
    keys: ring,
    lease,
    minimumHold: 1,
    revokeDeadline: 400,
  });
  const errors: Error[] = [];
  dispatch.on('error', (error) => errors.push(error));
  const made = makeCertificate({ now: Date.now(), names: ['127.0.0.1'], subject: 'dispatch' });
  const packets = kind === 'plain' ? {} : { packets: { certificate: made.certificatePem, key: made.keyPem } };
  const server = createServer<unknown>({ packages: dispatch.packages, ...packets, closeTimeout: 100 });
  test.teardown(async () => {
    dispatch.close();
    await server.close({ drain: 100 });
  });
  const { port = 0 } = await server.listen();
  return {
    dispatch,
    errors,
    node: async (name, { role = 'service', alg = 'ES256', known, ...options } = {}) => {
      const line = await Line.to(test, port);
      const kid = `${name}.${ring.size + 1}`;
      const common = { url: line.url, node: name, role: role as 'service', kid };
      const grant = { node: name, role };
      const pair = makeNodeKey();
      const secret = makeSecret();
      if (known === undefined)
        ring.add(nodeRecord(grant, alg === 'ES256' ? { kid, alg, key: pair.publicKey } : { kid, alg, secret }));
      const fresh: Credential =
        alg === 'HS256'
          ? { ...common, alg, secret: writeSecret(secret) }
          : {
              ...common,
              alg,
              key: writePem(pair.privateKey),
              dispatch: { kid: 'dispatch.1', alg, key: writePem(key.publicKey) },
            };
      const credential = known ?? fresh;
      const sealed = kind === 'plain' ? {} : { packets: { pins: [made.info.fingerprint] } };
      const node = await createNode({
        credential,
        ...sealed,
        reconnect: QUICK,
        lease,
        timeout: 400,
        ...options,
      });
      test.teardown(() => node.close({ timeout: 0 }));
      return { node, line, credential };
    },
  };
};

const GREET = defineScope({
  id: 1000,
  name: 'GREET',
  body: z.object({ name: z.string() }),
  reply: z.object({ text: z.string() }),
});

for (const kind of ['plain', 'sealed'] as const) {
  t.test(`${kind}: nodes call one another by their names, a front on behalf of its users`, async (test) => {
    const world = await open(test, kind);
    const { node: a } = await world.node('svc-a');
    const { node: b } = await world.node('svc-b', { alg: 'HS256' });
    const { node: front } = await world.node('front-a', { role: 'front' });
    a.on(GREET, ({ name }, { from, header }) => ({
      text: `hello ${name}, says ${from} for ${header.user ?? 'itself'}`,
    }));
    test.strictSame(await b.call(GREET, { name: 'b' }, { destination: 'svc-a' }), {
      text: 'hello b, says svc-b for itself',
    });
    const behalf = { destination: 'svc-a', user: USER, channel: '9' };
    test.strictSame(await front.call(GREET, { name: 'user' }, behalf), {
      text: `hello user, says front-a for ${USER}`,
    });
    await test.rejects(front.call(GREET, { name: 'user' }, { destination: 'svc-a' }), { code: 'forbidden' });
    await test.rejects(b.call(GREET, { name: 'b' }, { destination: 'svc-c' }), { code: 'unknown_destination' });
    await test.rejects(a.call(GREET, { name: 'a' }, { destination: 'svc-b' }), { code: 'unknown_scope' });
    test.strictSame(world.errors, []);
  });

  t.test(`${kind}: a document goes from one service to the next, and back`, async (test) => {
    const world = await open(test, kind);
    const { node: a } = await world.node('svc-a');
    const { node: b } = await world.node('svc-b');
    const mine = await a.own(USER, { flush: ({ data }) => ({ ...data, flushed: true }) });
    mine.data['coins'] = 1;
    test.equal(await mine.save(), 1);
    const theirs = await within(b.own(USER), 'handed over');
    test.match(theirs, { epoch: mine.epoch + 1, data: { coins: 1, flushed: true } });
    test.match(mine.revoked.reason, { why: 'asked', to: 'svc-b' });
    await test.rejects(mine.save(), { name: 'Revoked' });
    await theirs.save({ coins: 2 });
    await theirs.release();
    test.match(await within(a.own(USER), 'let go'), { data: { coins: 2 } });
    await a.close();
    test.match(await within(b.own(USER), 'closed'), { data: { coins: 2 } }, 'who closes lets go');
    const shared = await b.own();
    await shared.save({ all: 1 });
    test.equal(shared.user, undefined);
    test.strictSame(await world.dispatch.conflicts(USER), []);
    test.strictSame(world.errors, []);
  });

  t.test(
    `${kind}: an owner that cannot be reached stops before the next one begins, and its late write is kept`,
    async (test) => {
      const world = await open(test, kind);
      const { node: a, line } = await world.node('svc-a');
      const { node: b } = await world.node('svc-b');
      const mine = await a.own(USER);
      await mine.save({ n: 1 });
      line.hold();
      const late = mine.save({ n: 'late' });
      let stopped = Number.POSITIVE_INFINITY;
      mine.revoked.addEventListener('abort', () => {
        stopped = performance.now();
      });
      const asked = b.own(USER).then((document) => ({ document, began: performance.now() }));
      await test.rejects(within(late, 'it is fenced'), { name: 'Revoked' });
      const { document: theirs, began } = await within(asked, 'taken over');
      test.ok(stopped < began, `it stopped ${Math.round(began - stopped)} ms before the other one began`);
      test.match(mine.revoked.reason, { why: 'fenced' });
      test.match(theirs.data, { n: 1 });
      await theirs.save({ n: 2 });
      line.release();
      test.ok(await until(() => a.state === 'open', 8_000), 'it comes back');
      const conflicts = async (): Promise<readonly { readonly doc: object }[]> => world.dispatch.conflicts(USER);
      const limit = performance.now() + 4_000;
      while ((await conflicts()).length === 0 && performance.now() < limit)
        await new Promise((done) => setTimeout(done, 10));
      test.match(await conflicts(), [{ node: 'svc-a', epoch: mine.epoch, doc: { n: 'late' } }]);
      test.equal(theirs.revoked.aborted, false);
      test.equal(await theirs.save({ n: 3 }), 3);
    },
  );

  t.test(
    `${kind}: a node that closes with many documents hands all of them over, however slow the store is`,
    async (test) => {
      const inner = memoryStore();
      const slow = async <Answer>(operation: () => Promise<Answer>): Promise<Answer> => {
        await new Promise((done) => setTimeout(done, 2));
        return operation();
      };
      const store: Store = {
        get: (key) => slow(() => inner.get(key)),
        commit: (...args) => slow(() => inner.commit(...args)),
        keepConflict: (copy) => inner.keepConflict(copy),
        conflicts: (key) => inner.conflicts(key),
        close: () => inner.close(),
      };
      const world = await open(test, kind, { store, lease: 15_000 });
      const { node } = await world.node('svc-a');
      // More than run side by side and wait at the dispatch.
      const users = Array.from({ length: 450 }, (_, i) => String(i + 1));
      const documents = await Promise.all(
        users.map((user) => node.own(user, { flush: ({ data }) => ({ ...data, last: true }) })),
      );
      await Promise.all(documents.map((document) => document.save({ n: 1 })));
      test.match(await node.close({ timeout: 60_000 }), { code: 1000, unsaved: 0 });
      const records = async (): Promise<OwnershipRecord[]> =>
        (await Promise.all(users.map((user) => inner.get(user)))).filter((record) => record !== undefined);
      test.strictSame(
        (await records()).filter(({ doc }) => doc['last'] !== true),
        [],
        'when it has closed all of it is stored',
      );
      let owned = users.length;
      for (const limit = performance.now() + 15_000; owned > 0 && performance.now() < limit; ) {
        await new Promise((done) => setTimeout(done, 5));
        owned = (await records()).filter(({ owner }) => owner !== null).length;
      }
      test.equal(owned, 0, 'and was let go before it left');
      test.strictSame(world.errors, []);
    },
  );

  t.test(`${kind}: cut again and again under load, nothing that was acknowledged is lost`, async (test) => {
    const world = await open(test, kind, { lease: 10_000 });
    const { node: a, line } = await world.node('svc-a');
    const document = await a.own(USER);
    let acknowledged = 0;
    for (let n = 1; n <= 60; n++) {
      const saved = document.save({ n });
      if (n % 10 === 5) line.cut();
      await within(saved, `save ${n}`);
      acknowledged = n;
    }
    test.equal(document.revoked.aborted, false);
    const { node: b } = await world.node('svc-b');
    test.match(await within(b.own(USER), 'the last one'), { epoch: document.epoch + 1, data: { n: acknowledged } });
    test.strictSame(world.errors, []);
  });
}

for (const kind of ['plain', 'sealed'] as const) {
  t.test(
    `${kind}: another process with the same credential takes its place, and asks for its documents anew`,
    async (test) => {
      const world = await open(test, kind);
      const { node: a, credential } = await world.node('svc-a');
      const mine = await a.own(USER);
      await mine.save({ n: 1 });
      const { node: other } = await world.node('svc-a', { known: credential });
      const code = kind === 'plain' ? 4001 : '2.0 DISCONNECT';
      test.strictSame(
        await within(a.closed, 'replaced'),
        { code, reason: 'replaced', unsaved: 0 },
        'for good: it would throw the other one out',
      );
      test.match(mine.revoked.reason, { why: 'closed' });
      test.match(await within(other.own(USER), 'its own'), { epoch: mine.epoch + 1, data: { n: 1 } });
      const { node: b } = await world.node('svc-b');
      const shared = await other.own();
      await shared.save({ n: 2 });
      test.match(await within(b.own(), 'the shared one'), { data: { n: 2 } });
    },
  );
}
