// Hostile packages: HOSTILE lines 68 to 81 against a live server with a dispatch. Each is played on the stage of this folder, so the neighbour is
// answered and nothing is left in the books; beside it an honest node has its packages answered before, between and after.
import t, { type Test } from 'tap';
import * as z from 'zod/mini';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { upgrade } from '../../fixtures/rig/wire.js';
import { memoryBus } from '../../lib/bus/memory.js';
import { openSession } from '../../lib/client/session.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { makeNodeKey, writeJwk, writePem } from '../../lib/crypto/package-keys.js';
import type { Dispatch } from '../../lib/dispatch/dispatch.js';
import type { DispatchOptions, OwnerChange } from '../../lib/dispatch/dispatch-types.js';
import type { Bus } from '../../lib/dispatch/ports.js';
import { connect, type Session } from '../../lib/index.js';
import { carryPackages, PACKAGE_PROTOCOL, SECURE_PACKAGE_PROTOCOL } from '../../lib/link/packages.js';
import { sessionKeys } from '../../lib/link/session-keys.js';
import { now, wall } from '../../lib/net/clock.js';
import { Pacer } from '../../lib/net/pacer.js';
import { resolveClient } from '../../lib/options/options.js';
import { PING } from '../../lib/package/core-scopes.js';
import { scopesFromDeclarations } from '../../lib/package/json-schema.js';
import { KeyRing, oneKey } from '../../lib/package/key-ring.js';
import type { Grant } from '../../lib/package/package.js';
import { Router } from '../../lib/package/router.js';
import { defineScope } from '../../lib/package/scope.js';
import { createDispatch } from '../../lib/server/dispatch.js';
import { memoryStore } from '../../lib/store/memory.js';
import {
  DISPATCH_KEY,
  dispatchRecord,
  dispatchSigner,
  type Given,
  keysOf,
  type Pkg,
  RawNode,
  recordOf,
} from '../dispatch/net.js';
import { ANYBODY } from '../link/ends.js';
import { base64url, es256, hs256 } from '../package/forge.js';
import { onStage, type Stage, until, within } from './stage.js';

const random = seedFromEnv('hostile packages');
const USER = '175928847299117063';
const OTHER = '175928847299117064';
const PINGED: Pkg = { header: { scope: 0, internal: true, body: false } };
const body = z.strictObject({ n: z.number() });
const ECHO = defineScope({ id: 1000, name: 'ECHO', body, reply: body });
const BROKEN = defineScope({
  id: 1001,
  name: 'BROKEN',
  body: z.looseObject({}).check(
    z.refine(() => {
      throw new Error('a refinement');
    }),
  ),
});
const LISTS = defineScope({ id: 1002, name: 'LISTS', body: z.strictObject({ list: z.array(z.number()) }) });

interface Siege {
  readonly t: Test;
  readonly stage: Stage;
  readonly dispatch: Dispatch;
  readonly ring: KeyRing;
  readonly owners: OwnerChange[];
  readonly errors: Error[];
  /** Registered, unless `silent`. */
  readonly node: (name: string, silent?: boolean) => Promise<RawNode>;
  /** On a connection of its own: how it was sent away. */
  readonly thrown: (name: string, token: string, code?: number) => Promise<void>;
  /** The honest node is answered. */
  readonly honest: () => Promise<void>;
}

interface Setting {
  readonly nodes?: Readonly<Record<string, Given>>;
  readonly dispatch?: Partial<DispatchOptions>;
  readonly sessionNode?: () => Grant | undefined;
}

const besiege = async (t: Test, setting: Setting, play: (siege: Siege) => Promise<void>): Promise<void> => {
  const given: Readonly<Record<string, Given>> = { honest: {}, ...setting.nodes };
  const ring = new KeyRing(
    wall,
    Object.entries(given).map(([node, one]) => recordOf(node, one)),
  );
  const options = { store: memoryStore(), key: dispatchSigner(), keys: ring, scopes: [BROKEN, LISTS] };
  const dispatch = createDispatch({ ...options, ...setting.dispatch });
  dispatch.router.on(ECHO, ({ n }) => ({ n }));
  const owners: OwnerChange[] = [];
  const errors: Error[] = [];
  dispatch.on('owner', (change) => owners.push(change)).on('error', (error) => errors.push(error));
  const { sessionNode } = setting;
  const packages = { ...dispatch.packages, ...(sessionNode === undefined ? {} : { sessionNode }) };
  const connections: { terminate(): void }[] = [];
  const packets = sessionNode === undefined ? {} : { packets: {} };
  await onStage(t, { options: { packages, ...packets } }, async (stage) => {
    const dial = async (): ReturnType<typeof connect> => {
      const connection = await connect(`ws://127.0.0.1:${stage.port}/`, {
        subprotocols: [PACKAGE_PROTOCOL],
        closeTimeout: 100,
      });
      connections.push(connection);
      return connection;
    };
    const node = async (name: string, silent = false): Promise<RawNode> => {
      const raw = new RawNode(await dial(), name, keysOf(name, given[name]).signer, setting.dispatch?.audience);
      return silent ? raw : raw.ping();
    };
    const good = await node('honest');
    const honest = async (): Promise<void> => {
      t.match(
        (await good.ask({ header: { scope: 1000, internal: true, body: true }, body: { n: 7 } })).body,
        { n: 7 },
        'the honest node is answered',
      );
    };
    const thrown = async (name: string, token: string, code = 1008): Promise<void> => {
      const connection = await dial();
      const heard: unknown[] = [];
      connection.on('message', (data) => heard.push(data));
      connection.send(token);
      const outcome = await within(connection.closed, name);
      t.equal(outcome.code, code, name);
      t.strictSame(heard, [], `${name}: and nothing is said`);
    };
    await play({ t, stage, dispatch, ring, owners, errors, node, thrown, honest });
    await honest();
    for (const connection of connections) connection.terminate();
  });
  t.strictSame(Object.keys(Object.prototype), [], 'the prototype of all objects is as it was');
  dispatch.close();
};

const payloadOf = (node: string, more: object = {}): string => {
  const iat = Math.floor(wall() / 1000);
  const jti = `hostile-${random.int(2 ** 31)}`;
  return JSON.stringify({ ...PINGED, iss: node, iat, exp: iat + 60, jti, ...more });
};

t.test('68: tokens that some library has fallen for are 1008, and a long one 1009', async (t) => {
  const mine = makeNodeKey();
  const publicPem = writePem(DISPATCH_KEY.publicKey);
  await besiege(t, { nodes: { 'svc-e': { es256: true } } }, async ({ thrown, honest, stage, dispatch, node }) => {
    const part = (header: object): string => `${base64url(JSON.stringify(header))}.${base64url(payloadOf('svc-e'))}`;
    const es = { alg: 'ES256', typ: 'JWT', kid: 'svc-e.1' };
    const none = part({ ...es, alg: 'none' });
    await thrown('alg none', `${none}.`);
    await thrown('alg none with a signature', `${none}.${es256(none, mine.privateKey)}`);
    const swapped = part({ ...es, alg: 'HS256' });
    await thrown('a public key as a secret', `${swapped}.${hs256(swapped, Buffer.from(publicPem))}`);
    for (const [name, value] of Object.entries({
      jwk: writeJwk(mine.publicKey),
      jku: 'https://attacker.example/k',
      x5u: 'https://attacker.example/c',
      crit: ['b64'],
    })) {
      const signed = part({ ...es, [name]: value });
      await thrown(name, `${signed}.${es256(signed, mine.privateKey)}`);
    }
    for (const kid of ['../../dev/null', "' OR 1=1 --", '__proto__', 'session', 'dispatch.1', '']) {
      const signed = part({ ...es, kid });
      await thrown(`kid ${kid}`, `${signed}.${es256(signed, mine.privateKey)}`);
    }
    const { signer } = keysOf('svc-e', { es256: true });
    for (const [name, more] of Object.entries({
      'no exp': { exp: undefined },
      'exp a text': { exp: '9999999999' },
      'nbf in the future': { nbf: 9_999_999_999 },
      'an unknown claim': { admin: true },
    })) {
      await thrown(name, signer.sign(payloadOf('svc-e', more)));
    }
    await thrown('a megabyte', `${part(es)}.${'A'.repeat(2 ** 20)}`, 1009);
    await honest();
    t.equal(dispatch.node('svc-e'), undefined, 'nobody became that node');
    t.ok((stage.server.counters()['package:bad_token'] ?? 0) >= 15);
    await node('svc-e');
    t.ok(dispatch.node('svc-e'), 'the node itself does');
  });
});

t.test('69: a token is good once, at one place, in one direction', async (t) => {
  const nodes = { 'svc-a': {}, 'svc-b': { es256: true } };
  await besiege(t, { nodes, dispatch: { audience: 'here' } }, async ({ t, node, thrown, dispatch, honest }) => {
    const a = await node('svc-a');
    const b = await node('svc-b');
    const token = a.token(PINGED);
    a.connection.send(token);
    a.connection.send(token);
    await a.next('replayed', (one) => one.body?.['code'] === 'replayed');
    // On a connection that is nobody's yet it makes nobody of it.
    const thief = await node('svc-a', true);
    thief.connection.send(token);
    await thief.next('replayed', (one) => one.body?.['code'] === 'replayed');
    await a.ping();
    t.equal(dispatch.node('svc-a')?.peer.state, 'open', 'and the node stays');
    await honest();
    await thrown('for another deployment', a.token(PINGED, { aud: 'there' }));
    await thrown('for no deployment', new RawNode(thief.connection, 'svc-a', a.signer).token(PINGED));
    // Back to where it came from: what the dispatch signed, by the same secret and kid, or by its own.
    const got: string[] = [];
    for (const { connection } of [a, b]) connection.on('message', (data) => got.push(String(data)));
    await a.ping();
    await b.ping();
    t.equal(got.length, 2);
    for (const back of got) await thrown('reflected', back);
    // As another node, on its connection.
    b.connection.send(a.token(PINGED));
    t.match(await b.ended(), { code: 1008 });
    await a.ping();
  });
});

t.test('70: the signature covers every octet of header, body and footer, in one text', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {} } }, async ({ t, node, thrown, honest }) => {
    const a = await node('svc-a', true);
    const pkg: Pkg = { header: { scope: 1000, internal: true, body: true }, body: { n: 1 }, footer: { t: 5 } };
    const token = a.token(pkg);
    const [head = '', payload = '', signature = ''] = token.split('.');
    const text = Buffer.from(payload, 'base64url').toString();
    const swap = (from: string, to: string): string => `${head}.${base64url(text.replace(from, to))}.${signature}`;
    t.not(swap('"n":1', '"n":2'), token);
    await thrown('another body', swap('"n":1', '"n":2'));
    await thrown('another footer', swap('"t":5', '"t":6'));
    await thrown('another scope', swap('1000', '1001'));
    await thrown('the same value in another text', swap('"n":1', '"n":1.0'));
    await thrown('padding', `${head}.${payload}=.${signature}`);
    await thrown('a line break', `${token}\n`);
    await thrown('the payload of another token', `${head}.${a.token(pkg).split('.')[1]}.${signature}`);
    for (let i = 0; i < 20; i++) {
      const at = random.int(token.length);
      const code = token.charCodeAt(at);
      const other = String.fromCharCode(code === 0x41 ? 0x42 : 0x41);
      if (token[at] === '.') continue;
      await thrown(`octet ${at}`, token.slice(0, at) + other + token.slice(at + 1));
    }
    await honest();
    t.match((await a.ask(pkg)).body, { n: 1 }, 'untouched it is good');
  });
});

t.test('71: a scope is a whole number that somebody has declared', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {}, 'front-1': { role: 'front' } } }, async ({ t, node, honest }) => {
    const a = await node('svc-a');
    const values = ['-1', '1.5', '9007199254740992', '1e400', '"1000"', 'null', 'true', '[1000]', '{}', '-0.1'];
    for (const [at, value] of values.entries()) {
      const text = payloadOf('svc-a', { jti: `scope-jti-${at}` }).replace('"scope":0', `"scope":${value}`);
      a.connection.send(a.signer.sign(text));
      const { body } = await a.next(value, ({ claims }) => claims.re === `scope-jti-${at}`);
      t.match(body, { code: 'bad_header' }, value);
    }
    for (const scope of [3, 99, 199, 200, 999, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const { body } = await a.ask({ header: { scope, internal: true, body: false } });
      t.match(body, { code: 'unknown_scope' }, `${scope}: nobody has declared it here`);
    }
    const front = await node('front-1');
    front.connection.send(
      front.signer.sign(payloadOf('front-1', { jti: 'a-scope-twice' }).replace('"scope":0', '"scope":1000,"scope":0')),
    );
    t.match((await front.next('twice', ({ claims }) => claims.re === 'a-scope-twice')).body, { code: 'not_escaped' });
    await honest();
  });
});

t.test('72: what JSON can be made to say harms nobody, here or where it is passed on', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {}, 'svc-b': {} } }, async ({ t, node, thrown, honest }) => {
    const a = await node('svc-a');
    const b = await node('svc-b');
    let count = 0;
    const refused = async (name: string, body: string, code: string): Promise<void> => {
      const jti = `json-number-${count++}`;
      const text = payloadOf('svc-a', {
        header: { scope: 2000, internal: true, body: true, destination: 'svc-b' },
        body: 'HERE',
        jti,
      });
      a.connection.send(a.signer.sign(text.replace('"HERE"', body)));
      t.match((await a.next(name, ({ claims }) => claims.re === jti)).body, { code }, name);
    };
    await refused('__proto__', '{"__proto__":{"polluted":true}}', 'bad_body');
    await refused('__proto__ within', '{"a":[{"__proto__":1}]}', 'bad_body');
    await refused('a lone surrogate', '{"a":"\\ud800"}', 'bad_body');
    await refused('NUL', '{"a":"\\u0000"}', 'bad_body');
    await refused('a name with DEL', '{"\\u007f":1}', 'bad_body');
    await refused('33 levels', `{"a":${'['.repeat(33)}${']'.repeat(33)}}`, 'bad_body');
    await refused('20,000 levels', `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 'bad_body');
    await refused('a list', '[]', 'bad_body');
    await refused('a text', '"text"', 'bad_body');
    for (const [name, text] of [
      ['trailing data', `${payloadOf('svc-a')} x`],
      ['a BOM', `\ufeff${payloadOf('svc-a')}`],
      ['two values', `${payloadOf('svc-a')}{}`],
      ['no object', '[]'],
    ] as const) {
      await thrown(name, a.signer.sign(text));
    }
    // A thousand names are a body like any other, and so are those of every object.
    const names = Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`n${at}`, at]));
    a.say({
      header: { scope: 2000, internal: true, body: true, destination: 'svc-b' },
      body: { ...names, constructor: { prototype: { polluted: true } }, toString: 1 },
    });
    const there = await b.next('the names', ({ header }) => header['scope'] === 2000);
    t.match(there.body, { n2999: 2_999, constructor: { prototype: { polluted: true } }, toString: 1 });
    t.notOk('polluted' in {});
    t.equal(b.got.filter(({ header }) => header['scope'] === 2000).length, 1, 'what was refused did not come through');
    await honest();
  });
});

t.test('73: a schema costs what the package is long, fails alone, and answers briefly', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {}, 'svc-b': {} } }, async ({ t, node, errors, stage, honest }) => {
    const a = await node('svc-a');
    const header = (scope: number): Pkg['header'] => ({ scope, internal: true, body: true, destination: 'svc-b' });
    const sizes: number[] = [];
    a.connection.on('message', (data) => sizes.push(String(data).length));
    t.match(
      (await a.ask({ header: header(1001), body: { any: 1 } })).body,
      { code: 'internal' },
      'a refinement that throws',
    );
    t.ok(await until(() => stage.errors.length > 0), 'is ours to hear of');
    const wrong = await a.ask({ header: header(1002), body: { list: Array.from({ length: 9_000 }, () => 'x') } });
    t.equal(wrong.body?.['code'], 'bad_body');
    t.match(wrong.body?.['issues'], { length: 8 });
    const long = await a.ask({
      header: header(1002),
      body: { list: [], ...Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`${at}${'y'.repeat(800)}`, 1])) },
    });
    t.equal(long.body?.['code'], 'bad_body');
    t.ok(
      sizes.every((size) => size < 8_192),
      `no answer is long: ${Math.max(...sizes)}`,
    );
    const evil = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
    const declare = (): unknown => scopesFromDeclarations([{ id: 1003, name: 'EVIL', body: evil }]);
    t.throws(declare, /pattern/, 'an expression of a configuration runs over nothing');
    t.same(errors, []);
    await honest();
  });
});

t.test('74: names are names before they are keys, addresses or subjects', async (t) => {
  await besiege(
    t,
    {
      nodes: { 'svc-a': { permissions: ['assign'] } },
      dispatch: { bus: memoryBus(), busKeys: oneKey(dispatchRecord) },
    },
    async ({ t, node, dispatch, honest }) => {
      const a = await node('svc-a');
      const bad = [
        '',
        '.',
        '..',
        'a.',
        '.a',
        '*',
        '>',
        'svc.*',
        'svc.>',
        'a b',
        'a\u0000b',
        'a/b',
        '@abcdefgh',
        '$SYS',
        '\u0430',
        'a\r\nb',
      ];
      for (const name of bad) {
        const where = JSON.stringify(name);
        t.match(
          (await a.ask({ header: { scope: 2000, internal: true, body: false, destination: name } })).body,
          { code: 'bad_header' },
          where,
        );
        t.match(
          (await a.ask({ header: { scope: 100, internal: true, body: true }, body: { nodeID: name } })).body,
          { code: 'bad_body' },
          where,
        );
        t.match(
          (await a.ask({ header: { scope: 100, internal: true, body: true }, body: { nodeID: 'svc-a', user: name } }))
            .body,
          { code: 'bad_body' },
          where,
        );
      }
      const kilobyte = 'a'.repeat(1_024);
      t.match((await a.ask({ header: { scope: 2000, internal: true, body: false, destination: kilobyte } })).body, {
        code: 'too_long',
      });
      t.match((await a.ask({ header: { scope: 100, internal: true, body: true }, body: { nodeID: kilobyte } })).body, {
        code: 'too_long',
      });
      t.match(
        (await a.ask({ header: { scope: 100, internal: true, body: true }, body: { endpoint: kilobyte } })).body,
        { code: 'too_long' },
      );
      t.match(
        (await a.ask({ header: { scope: 100, internal: true, body: true }, body: { endpoint: 'http://127.0.0.1/' } }))
          .body,
        { code: 'unknown_destination' },
      );
      t.equal(dispatch.counters().ownership.granted, 0);
      await honest();
    },
  );
});

t.test('75: who somebody is comes from his key alone', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {}, 'svc-b': {} } }, async ({ t, node, thrown, dispatch, stage, honest }) => {
    const a = await node('svc-a', true);
    await thrown('another iss', a.signer.sign(payloadOf('svc-b')));
    await thrown('iss the dispatch', a.signer.sign(payloadOf('dispatch')));
    await thrown('an org', a.signer.sign(payloadOf('svc-a', { org: 'svc-b' })));
    await thrown('an org of his own', a.signer.sign(payloadOf('svc-a', { org: 'svc-a' })));
    const wire = await upgrade(stage.port, {
      headers: { 'Sec-WebSocket-Protocol': PACKAGE_PROTOCOL, 'X-Node-ID': 'svc-b', Authorization: 'Bearer svc-b' },
    });
    wire.sendFrame({ opcode: 1, payload: a.token(PINGED) });
    await wire.readFrame();
    t.ok(dispatch.node('svc-a'));
    t.equal(dispatch.node('svc-b'), undefined, 'a header of the request says nothing');
    wire.destroy();
    const first = await node('svc-b');
    const second = await node('svc-b');
    t.match(await first.ended(), { code: 4001, reason: 'replaced' }, 'the second login wins, and the first hears why');
    await second.ping();
    await honest();
  });
});

t.test('76: nobody has, takes or writes what is of a user that is not his', async (t) => {
  const nodes = {
    'svc-a': { users: [USER] },
    'svc-b': {},
    'front-1': { role: 'front', users: [USER], permissions: ['assign'] },
  } as const;
  await besiege(t, { nodes }, async ({ t, node, owners, dispatch, honest }) => {
    const [a, b, front] = [await node('svc-a'), await node('svc-b'), await node('front-1')];
    const forbidden = async (who: RawNode, scope: number, header: object, body: object): Promise<void> => {
      const answer = await who.ask({ header: { scope, internal: true, ...header, body: true }, body: { ...body } });
      t.match(answer.body, { code: 'forbidden' }, `${who.node} ${scope} ${JSON.stringify(body)}`);
    };
    await b.ask({ header: { scope: 100, internal: true, body: true }, body: { nodeID: 'svc-b', user: OTHER } });
    const mine = { internal: false, user: USER, channel: '1' };
    await forbidden(a, 100, {}, { nodeID: 'svc-a', user: OTHER });
    await forbidden(a, 100, mine, { nodeID: 'svc-a', user: OTHER });
    await forbidden(a, 100, {}, { nodeID: 'svc-a' });
    await forbidden(a, 100, { internal: false, user: OTHER, channel: '1' }, { nodeID: 'svc-a', user: USER });
    await forbidden(a, 101, {}, { user: OTHER, epoch: 1, userData: { stolen: true } });
    await forbidden(a, 103, {}, { user: OTHER, epoch: 1, userData: { stolen: true } });
    await forbidden(a, 101, mine, { user: OTHER, epoch: 1, userData: { stolen: true } });
    await forbidden(front, 100, mine, { nodeID: 'svc-b', user: OTHER });
    await forbidden(front, 103, mine, { user: USER, epoch: 1, userData: {} });
    await forbidden(front, 101, mine, { user: USER, epoch: 1, userData: {} });
    for (const [scope, body] of [
      [102, { user: OTHER, epoch: 1 }],
      [104, { user: OTHER, epoch: 1, version: 1 }],
    ] as const) {
      await forbidden(b, scope, {}, body);
      await forbidden(b, scope, { destination: 'svc-a' }, body);
    }
    // A write by somebody else, in the epoch of the owner, is no write and leaves no copy.
    const c = await node('svc-a');
    t.match(
      (await c.ask({ header: { scope: 103, ...mine, body: true }, body: { epoch: 1, userData: { x: 1 } } })).body,
      { code: 'stale_epoch' },
    );
    t.same(await dispatch.conflicts(OTHER), []);
    t.same(await dispatch.conflicts(USER), []);
    t.match(owners, [{ user: OTHER, owner: 'svc-b', epoch: 1 }]);
    t.equal(owners.length, 1);
    await honest();
  });
});

t.test(
  '77: many ask, write late, and say everything twice: one owner an epoch, and no acknowledged write is lost',
  async (t) => {
    const names = Array.from({ length: 8 }, (_, at) => `svc-${at}`);
    const nodes = Object.fromEntries(names.map((name) => [name, {}]));
    await besiege(t, { nodes, dispatch: { minimumHold: 0 } }, async ({ t, node, owners, dispatch, honest }) => {
      const all = await Promise.all(names.map((name) => node(name)));
      const acknowledged: number[] = [];
      let written = 0;
      for (const one of all) {
        let doc: { n: number } = { n: 0 };
        one.connection.on('message', () => {
          const last = one.got.at(-1);
          if (last?.header['scope'] === 101) doc = last.body?.['userData'] as typeof doc;
          if (last?.header['scope'] !== 102) return;
          const answer: Pkg = {
            header: { scope: 101, internal: true, body: true },
            body: { user: USER, epoch: last.body?.['epoch'], userData: doc },
          };
          // Twice, by different tokens.
          one.say(answer, { re: last.claims.jti });
          one.say(answer, { re: last.claims.jti });
        });
      }
      const work = async (one: RawNode): Promise<void> => {
        for (let round = 0; round < 6; round++) {
          const got = await one.ask({
            header: { scope: 100, internal: true, body: true },
            body: { nodeID: one.node, user: USER },
          });
          if (got.header['scope'] !== 101) continue;
          const n = ++written;
          const { epoch } = got.body as { epoch: number };
          const save: Pkg = {
            header: { scope: 103, internal: true, body: true },
            body: { user: USER, epoch, userData: { n } },
          };
          const [first, second] = await Promise.all([one.ask(save), one.ask(save)]);
          for (const { header, body } of [first, second]) {
            if (header['scope'] === 104) acknowledged.push(body?.['version'] as number);
            else t.equal(body?.['code'], 'stale_epoch');
          }
        }
      };
      await within(Promise.all(all.map(work)), 'everybody had his turns', 20_000);
      const epochs = owners.map(({ epoch }) => epoch);
      t.same(
        epochs,
        [...epochs].sort((x, y) => x - y),
        'epochs only grow',
      );
      t.equal(new Set(epochs).size, epochs.length, 'and none has two owners');
      t.equal(new Set(acknowledged).size, acknowledged.length, 'no version was given twice');
      const store = dispatch.counters().ownership;
      t.ok(store.granted >= 40, `${store.granted} grants`);
      t.equal(store.waiting, 0);
      t.equal(dispatch.counters().pending, 0);
      await honest();
    });
  },
);

t.test(
  '78: no loop, one package for one, what is never answered ends, and who takes nothing is not buried',
  async (t) => {
    const scopes = [defineScope({ id: 3000, name: 'ASKED', body: z.looseObject({}), reply: z.looseObject({}) })];
    await besiege(
      t,
      { nodes: { 'svc-a': {}, 'svc-b': {}, 'svc-c': {} }, dispatch: { scopes } },
      async ({ t, node, dispatch, honest }) => {
        const [a, b, c] = [await node('svc-a'), await node('svc-b'), await node('svc-c')];
        // Two nodes that send everything on to one another: each hop is a package of their own, and has a rate and an end of its own.
        const before = dispatch.counters().forwarded;
        a.say({ header: { scope: 2000, internal: true, body: false, destination: 'svc-a' } });
        await a.next('itself', ({ header, claims }) => header['scope'] === 2000 && claims.org === 'svc-a');
        await b.ping();
        await c.ping();
        t.notOk(
          [...b.got, ...c.got].some(({ header }) => header['scope'] === 2000),
          'one package goes to one node',
        );
        t.equal(dispatch.counters().forwarded - before, 1);
        for (const destination of ['svc-b,svc-c', ['svc-b', 'svc-c']]) {
          t.match((await a.ask({ header: { scope: 2000, internal: true, body: false, destination } })).body, {
            code: 'bad_header',
          });
        }
        // What nobody answers is remembered for its time, and no more of it than one node may have open.
        const start = dispatch.counters().pending;
        const iat = Math.floor(wall() / 1000);
        for (let i = 0; i < 10_000; i++) {
          a.say(
            { header: { scope: 3000, internal: true, body: true, destination: 'svc-b' }, body: {} },
            { iat, exp: iat + 20 },
          );
          if (i % 500 === 0) await a.ping();
        }
        await a.ping();
        const full = await a.ask({
          header: { scope: 3000, internal: true, body: true, destination: 'svc-b' },
          body: {},
        });
        t.match(full, { body: { code: 'busy' }, footer: { delay: Number } });
        t.ok(dispatch.counters().pending <= 10_000 + start);
        c.say({ header: { scope: 3000, internal: true, body: true, destination: 'svc-b' }, body: { of: 'c' } });
        await b.next('another one', ({ body }) => body?.['of'] === 'c');
        t.ok(
          b.got.every(
            ({ header, claims }) => header['scope'] !== 3000 || claims.org === 'svc-c' || claims.exp === iat + 20,
          ),
          'the deadline is in each',
        );
        await a.connection.close();
        t.ok(await until(() => dispatch.counters().pending <= 1), 'and ends with who has asked');
        await honest();
      },
    );
  },
);

t.test('78: a node that reads nothing is spared, and so is who sends to it', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {}, 'svc-b': {} } }, async ({ t, node, dispatch, stage, honest }) => {
    const a = await node('svc-a');
    const wire = await upgrade(stage.port, { headers: { 'Sec-WebSocket-Protocol': PACKAGE_PROTOCOL } });
    const { signer } = keysOf('svc-b');
    wire.sendFrame({ opcode: 1, payload: signer.sign(payloadOf('svc-b')) });
    await wire.readFrame();
    wire.socket.pause();
    const big: Pkg = {
      header: { scope: 2000, internal: true, body: true, destination: 'svc-b' },
      body: { pad: 'x'.repeat(40_000) },
    };
    let refused = '';
    for (let i = 0; i < 2_000 && refused === ''; i++) {
      a.say(big);
      if (i % 20 === 0) await a.ping();
      refused = String(a.got.find(({ body }) => body?.['code'] !== undefined)?.body?.['code'] ?? '');
    }
    t.equal(refused, 'busy');
    t.equal(dispatch.node('svc-b')?.peer.state, 'open', 'nobody was cut');
    t.ok(dispatch.counters().busy > 0);
    await honest();
    wire.destroy();
    t.ok(await until(() => dispatch.node('svc-b') === undefined));
  });
});

const openInside = async (port: number): Promise<Session> => {
  const options = resolveClient({ timeout: 4_000, packets: ANYBODY });
  if (options.rest.packets === undefined) throw new Error('no packets');
  return openSession(`ws://127.0.0.1:${port}/`, options, options.rest.packets, SECURE_PACKAGE_PROTOCOL);
};

t.test(
  '79: the keys of a session end with it, and with the login: guessed, stolen or used again they are nobody',
  async (t) => {
    let login: Grant | undefined = { node: 'front-1', role: 'front', users: [USER] };
    await besiege(t, { sessionNode: () => login }, async ({ t, stage, dispatch, honest }) => {
      const grant: Grant = { node: 'dispatch', role: 'dispatch' };
      const keysIn = (session: Session): ReturnType<typeof sessionKeys> =>
        sessionKeys(session, { grant, node: 'front-1', suite: nodeSuite });
      const settings = {
        router: new Router(),
        now,
        wall,
        random: (size: number) => nodeSuite.random(size),
        data: undefined,
        pace: (paced: ConstructorParameters<typeof Pacer>[0]) => new Pacer(paced),
      };
      const session = await openInside(stage.port);
      const own = keysIn(session);
      const link = carryPackages(session, { ...settings, keys: own.keys, signer: () => own.signer() });
      await link.peer.call(PING);
      t.ok(dispatch.node('front-1'));
      const stolen = own.signer();
      await session.close();
      t.ok(await until(() => dispatch.node('front-1') === undefined));
      // Another session, and the keys of the one before.
      const other = await openInside(stage.port);
      other.send(stolen.sign(payloadOf('front-1')));
      t.match(await within(other.closed, 'the thief'), { by: 'remote', detail: 'bad_token' });
      // Back to who signed it: each direction has a key of its own.
      const third = await openInside(stage.port);
      const heard: string[] = [];
      third.on('message', (data) => heard.push(Buffer.from(data).toString()));
      third.send(keysIn(third).signer().sign(payloadOf('front-1')));
      t.ok(await until(() => heard.length === 1));
      third.send(heard[0] as string);
      t.match(await within(third.closed, 'the mirror'), { detail: 'bad_token' });
      // After the logout the session is nobody's, although it lives.
      const fourth = await openInside(stage.port);
      const fresh = keysIn(fourth);
      const last = carryPackages(fourth, { ...settings, keys: fresh.keys, signer: () => fresh.signer() });
      await last.peer.call(PING);
      login = undefined;
      const late = last.peer.call(PING).catch((error: Error) => error);
      t.match(await within(fourth.closed, 'logged out'), { by: 'remote' });
      t.match(await late, { code: 'lost' });
      // On a connection without a session nobody has that kid.
      const bare = await connect(`ws://127.0.0.1:${stage.port}/`, { subprotocols: [PACKAGE_PROTOCOL] });
      bare.send(stolen.sign(payloadOf('front-1')));
      t.match(await within(bare.closed, 'no session'), { code: 1008 });
      await honest();
    });
  },
);

t.test('80: who is sent away in the middle of a connection is gone, silent or not', async (t) => {
  await besiege(t, { nodes: { 'svc-a': {}, 'svc-b': {} } }, async ({ t, node, ring, dispatch, honest }) => {
    const a = await node('svc-a');
    const b = await node('svc-b');
    await a.ask({ header: { scope: 100, internal: true, body: true }, body: { nodeID: 'svc-a', user: USER } });
    ring.remove('svc-a.1');
    ring.retire('svc-b.1', wall() + 300);
    t.match(await a.ended(), { code: 4003, reason: 'revoked' });
    t.match(await b.ended(), { code: 4003, reason: 'revoked' }, 'its time was over');
    t.ok(await until(() => dispatch.nodes.length === 1));
    const back = await node('svc-a', true);
    back.say(PINGED);
    t.match(await back.ended(), { code: 1008, reason: 'bad_token' });
    await honest();
  });
});

t.test('81: a bus that is parted, slow or out of order loses nothing that was acknowledged', async (t) => {
  const inner = memoryBus();
  let parted = false;
  const held: (() => void)[] = [];
  const bus: Bus = {
    attach: (node, receive) => inner.attach(node, receive),
    close: () => inner.close(),
    deliver: (node, message) => {
      if (!parted) return inner.deliver(node, message);
      // It says that it has taken it, and delivers in the end, the last one first.
      held.unshift(() => void inner.deliver(node, message));
      return Promise.resolve(true);
    },
  };
  const store = memoryStore();
  const shared = { store, bus, busKeys: oneKey(dispatchRecord), lease: 300, revokeDeadline: 100, minimumHold: 0 };
  await besiege(t, { nodes: { 'svc-a': {}, 'svc-b': {} }, dispatch: shared }, async ({ t, node, dispatch }) => {
    await besiege(
      t,
      { nodes: { 'svc-a': {}, 'svc-b': {} }, dispatch: shared },
      async ({ node: there, dispatch: far }) => {
        const a = await node('svc-a');
        const b = await there('svc-b');
        const ask = (who: RawNode): Promise<{ body: unknown }> =>
          who.ask({ header: { scope: 100, internal: true, body: true }, body: { nodeID: who.node, user: USER } });
        const save = (who: RawNode, epoch: number, doc: object): Promise<{ body: unknown }> =>
          who.ask({
            header: { scope: 103, internal: true, body: true },
            body: { user: USER, epoch, userData: { ...doc } },
          });
        t.match((await ask(a)).body, { epoch: 1 });
        t.match((await save(a, 1, { n: 1 })).body, { version: 1 });
        parted = true;
        // The owner cannot be reached: its lease ends, and what it had acknowledged is there.
        t.match((await ask(b)).body, { epoch: 2, userData: { n: 1 } });
        t.match((await save(a, 1, { n: 'late' })).body, { code: 'stale_epoch' });
        t.match((await save(b, 2, { n: 2 })).body, { version: 2 });
        parted = false;
        for (const deliver of held.splice(0)) deliver();
        const revokes = (): typeof a.got => a.got.filter(({ header }) => header['scope'] === 102);
        t.ok(await until(() => revokes().length === far.counters().ownership.revoked), 'asked more than once');
        for (const { claims } of revokes()) {
          a.say(
            { header: { scope: 101, internal: true, body: true }, body: { user: USER, userData: { n: 'later' } } },
            { re: claims.jti },
          );
        }
        t.ok(await until(() => dispatch.counters().pending + far.counters().pending === 0));
        t.match(await store.get(USER), { epoch: 2, owner: 'svc-b', doc: { n: 2 } }, 'what came late changes nothing');
        t.match(await dispatch.conflicts(USER), [{ doc: { n: 'late' } }, { doc: { n: 'later' } }], 'and is kept');
      },
    ).catch((error: Error) => t.fail(error.message));
  });
});
