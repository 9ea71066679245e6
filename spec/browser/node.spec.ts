// Nodes of pages, in Node with the WebSocket of browsers and portable cryptography, against a real dispatch: by the secret of a login in text
// messages, by the same in a sealed session, and by the keys of the session alone.

import t, { type Test } from 'tap';
import { reachableFrom } from '../../fixtures/rig/page.js';
import { connectNode, type Node, type PageNodeOptions } from '../../lib/browser/node.js';
import { WebSocket } from '../../lib/index.js';
import { until, within } from '../hostile/stage.js';
import { ADD, dispatchFor, type PageDispatch, SECRET } from './dispatch.js';
import { newCertificate, pinOf } from './scene.js';

// Node 20 has none of its own.
const world = globalThis as unknown as { WebSocket?: unknown };
world.WebSocket ??= WebSocket;

const QUICK = { min: 1, max: 5 };
const BEHALF = { user: '7', channel: '8' };

interface Scene extends PageDispatch {
  readonly join: (options: Partial<PageNodeOptions>, prepare?: (node: Node) => unknown) => Promise<Node>;
}

const setUp = async (test: Test): Promise<Scene> => {
  const scene = await dispatchFor(test);
  return {
    ...scene,
    join: async (options, prepare) => {
      const usual = { node: 'page-1', reconnect: QUICK, lease: 900, timeout: 300 };
      const node = await connectNode(scene.url, { ...usual, ...options }, prepare);
      test.teardown(() => node.close({ timeout: 0 }));
      return node;
    },
  };
};

t.test('a page is a node: by its login, in a session, and by its session alone', async (test) => {
  const { dispatch, line, session, login, join } = await setUp(test);
  const rows: readonly (readonly [string, Partial<PageNodeOptions>])[] = [
    ['a login', { login }],
    ['the octets of its secret', { login: { ...login, secret: SECRET } }],
    ['a login in a session', { login, session }],
    ['a session', { node: 'page-2', session }],
  ];
  for (const [name, options] of rows) {
    const node = await join(options, (made) => made.on(ADD, ({ a, b }) => ({ sum: a * b })));
    test.equal(node.state, 'open', name);
    test.strictSame(await node.call(ADD, { a: 2, b: 3 }, BEHALF), { sum: 5 }, `${name}: it calls`);
    test.strictSame(await dispatch.call(node.nodeID, ADD, { a: 2, b: 3 }), { sum: 6 }, `${name}: it is called`);
    await test.rejects(node.call(ADD, { a: 2, b: 3 }), { code: 'forbidden' }, 'a front speaks for its users');
    await test.rejects(node.call(ADD, { a: 2, b: 3 }, { ...BEHALF, user: '9' }), { code: 'forbidden' }, 'for its own');
    const lost = new Promise((done) => node.once('lost', done));
    const opened = new Promise((done) => node.on('open', () => done(true)));
    line.cut();
    await within(lost, `${name}: lost`);
    test.strictSame(await within(node.call(ADD, { a: 1, b: 1 }, BEHALF), name), { sum: 2 }, `${name}: it comes back`);
    test.equal(await opened, true);
    test.equal(typeof (await within(node.close(), name)).reason, 'string');
    test.ok(await until(() => [...dispatch.nodes].length === 0), 'and is gone');
  }
});

t.test('a page is told why it is no node', async (test) => {
  const { join, session, login } = await setUp(test);
  const rows: readonly (readonly [
    string,
    object,
    { readonly name?: string; readonly code?: string; readonly message?: RegExp },
  ])[] = [
    ['a secret of somebody else', { login: { kid: 'login.1', secret: new Uint8Array(32) } }, { code: 'bad_token' }],
    ['a session of another node', { node: 'page-3', session }, { code: 'bad_token' }],
    ['another server', { login, session: { pins: [pinOf(newCertificate())] } }, { code: 'WSD_DIAL_SESSION' }],
    ['a signal', { login, signal: AbortSignal.abort() }, { code: 'WSD_DIAL_ABORTED' }],
    ['nothing that signs', {}, { name: 'TypeError', message: /login/ }],
    ['a session in the clear', { session: { mode: 'none' } }, { name: 'TypeError', message: /login/ }],
    ['a secret that is short', { login: { kid: 'k', secret: 'AAAA' } }, { name: 'RangeError' }],
    ['one that is no base64url', { login: { kid: 'k', secret: '=' } }, { name: 'TypeError', message: /base64url/ }],
    ['a kid that is none', { login: { ...login, kid: '../etc' } }, { name: 'TypeError', message: /kid/ }],
    ['the name of the dispatch', { node: 'dispatch', login }, { name: 'TypeError', message: /node/ }],
    ['a role', { role: 'dispatch', login }, { name: 'TypeError', message: /role/ }],
    ['an option that is not known', { login, nodeID: 'a' }, { name: 'TypeError', message: /nodeID/ }],
    ['a lease that is none', { login, lease: 0 }, { name: 'TypeError', message: /lease/ }],
    ['waits that are none', { login, reconnect: { max: 0 } }, { name: 'TypeError', message: /reconnect/ }],
    ['scopes that are no list', { login, scopes: {} }, { name: 'TypeError', message: /scopes/ }],
  ];
  for (const [name, options, error] of rows) {
    const failed = join(options).then(
      () => new Error('it became one'),
      (reason: unknown) => reason,
    );
    test.match(await within(failed, name), error, name);
  }
  await test.rejects(connectNode('ws://127.0.0.1:1/', { node: 'a', login }), { code: 'WSD_DIAL_CONNECT' });
});

t.test('nothing that such a page loads is of Node, and pages with sessions alone load no schemas', (test) => {
  const { files, outside } = reachableFrom('browser/node.js');
  test.strictSame(
    outside.filter((name) => name.startsWith('node:') || name === 'jsonwebtoken'),
    [],
  );
  test.ok(outside.includes('zod/mini') && files.has('node/node.js'), 'the graph is not cut short');
  test.notOk([...files.keys()].some((file) => /^(?:net|server|client|cli|options)\b/.test(file)));
  const uses = [...files].filter(([, code]) => /(?<![.\w])(?:Buffer|process|require)\b/.test(code));
  test.strictSame(
    uses.map(([file]) => file),
    [],
    'nor its globals',
  );
  test.notOk(reachableFrom('browser/index.js').outside.some((name) => name.startsWith('zod')));
  const types = reachableFrom('browser/node.d.ts');
  test.strictSame(
    types.outside.filter((name) => name.startsWith('node:')),
    [],
  );
  test.strictSame(
    [...types.files].filter(([, code]) => /\b(?:Buffer|NodeJS)\b/.test(code)).map(([file]) => file),
    [],
  );
  test.end();
});
