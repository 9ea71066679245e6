// The client of pages in a real browser: the compiled modules as they are, with portable cryptography, against a server with Node's. Needs
// Chromium.

import { chromium, type Page } from 'playwright-core';
import t from 'tap';
import { need } from '../../fixtures/rig/need.js';
import { type PageServer, servePage } from '../../fixtures/rig/page.js';
import { dispatchFor } from './dispatch.js';
import { DEFLATE_ME, newCertificate, pinOf, type Scene, setUp } from './scene.js';

t.setTimeout(50_000);

/** What runs in the page: opens a session, and leaves it where later programs find it. */
const OPEN = `async ({ url, pins }) => {
  const began = performance.now();
  const { connectSession } = await import('/lib/browser/index.js');
  const loaded = performance.now();
  const seen = { opened: [], broken: [], received: [], undelivered: 0 };
  const session = await connectSession(url, {
    pins: pins.map(({ sha256, publicKey }) => ({ sha256, publicKey: Uint8Array.from(publicKey) })),
    reconnect: { min: 5, max: 50 },
  });
  const open = performance.now();
  session.on('open', (how) => seen.opened.push(how));
  session.on('detached', (why) => seen.broken.push(why));
  session.on('undelivered', (messages) => { seen.undelivered += messages.length; });
  session.on('message', (data) => seen.received.push(data));
  Object.assign(globalThis, { session, seen });
  const { id, state, identity, peer } = session;
  return { id, state, identity, peer, buffer: typeof Buffer, process: typeof process, load: loaded - began, open: open - loaded };
}`;

/** Sends messages of these sizes in one go, and tells the fates and whether each came back, in order, as it was. */
const SAY = `async ({ sizes, deflateMe }) => {
  const { session, seen } = globalThis;
  const from = seen.received.length;
  const sent = sizes.map((size, at) => {
    const compress = at % 2 === 1;
    const data = crypto.getRandomValues(new Uint8Array(Math.min(size, 65536)));
    const whole = new Uint8Array(size);
    for (let i = 0; i < size; i += 65536) whole.set(data.subarray(0, size - i), i);
    if (compress) whole.fill(at);
    if (size > 0) whole[0] = compress ? deflateMe : 1;
    return { whole, delivery: session.send(whole, { compress }) };
  });
  const fates = await Promise.all(sent.map(({ delivery }) => delivery));
  while (seen.received.length < from + sizes.length) await new Promise((done) => setTimeout(done, 2));
  const back = seen.received.slice(from);
  const same = sent.every(({ whole }, at) => whole.length === back[at].length && whole.every((octet, i) => octet === back[at][i]));
  return { fates: [...new Set(fates)], same, state: session.state, id: session.id, opened: seen.opened, broken: seen.broken,
    undelivered: seen.undelivered };
}`;

const SIZES: readonly number[] = [0, 1, 64, 972, 973, 988, 5000, 5001, 100_000, 100_001, 251_924];

interface Opened {
  readonly id: string;
  readonly state: string;
  readonly load: number;
  readonly open: number;
}

const run = async <Result>(page: Page, program: string, argument: unknown): Promise<Result> =>
  (await page.evaluate(`(${program})(${JSON.stringify(argument)})`)) as Result;

const open = async (page: Page, { line, pin }: Pick<Scene, 'line' | 'pin'>): Promise<Opened> =>
  run(page, OPEN, { url: line.url, pins: [{ ...pin, publicKey: [...(pin.publicKey as Uint8Array)] }] });

t.test('a page in Chromium has packet sessions', async (t) => {
  const executablePath = need(t, 'chromium');
  if (executablePath === undefined) return;
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  t.teardown(() => browser.close());
  const served: PageServer = await servePage(t);
  const scene = await setUp(t, { origins: [served.origin] });
  const { line, pin, sessions, fates } = scene;
  const page = await browser.newPage();
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));
  await page.goto(served.origin);

  await t.test('it knows the server by the pin of its certificate', async (t) => {
    const opened = await open(page, scene);
    t.match(opened, {
      id: sessions[0]?.id,
      state: 'open',
      identity: pin.sha256,
      peer: { fingerprint: pin.sha256 },
      buffer: 'undefined',
      process: 'undefined',
    });
    t.equal(sessions[0]?.request?.origin, served.origin);
    t.equal(sessions[0]?.request?.fields.get('sec-websocket-extensions') !== undefined, true, 'it offers an extension');
    t.comment(`modules in ${Math.round(opened.load)} ms, session in ${Math.round(opened.open)} ms`);
  });

  await t.test('sealed packets go both ways', async (t) => {
    t.match(await run(page, SAY, { sizes: SIZES, deflateMe: DEFLATE_ME }), {
      fates: ['acknowledged'],
      same: true,
      undelivered: 0,
    });
    t.equal(await sessions[0]?.send('unasked'), 'acknowledged');
    const last = 'new TextDecoder().decode(globalThis.seen.received.at(-1))';
    t.equal(await page.evaluate(last), 'unasked');
    while (fates.length < SIZES.length) await new Promise((done) => setTimeout(done, 2));
    t.ok(
      fates.every((fate) => fate === 'acknowledged'),
      'the server knows it too',
    );
  });

  await t.test('a connection that is dropped is resumed, and nothing is lost or doubled', async (t) => {
    const id = sessions[0]?.id;
    for (let round = 1; round <= 3; round += 1) {
      const saying = run(page, SAY, { sizes: [...SIZES].reverse(), deflateMe: DEFLATE_ME });
      const resumed = new Promise((done) => sessions[0]?.once('open', done));
      // In the middle of it: at its first message.
      await new Promise((done) => sessions[0]?.once('message', done));
      line.cut();
      t.equal(await resumed, 'resumed');
      t.match(await saying, {
        fates: ['acknowledged'],
        same: true,
        state: 'open',
        id,
        opened: new Array(round).fill('resumed'),
        broken: new Array(round).fill('lost'),
        undelivered: 0,
      });
    }
    t.equal(sessions.length, 1);
  });

  await t.test('its end is told to both', async (t) => {
    const closed = await page.evaluate('globalThis.session.close()');
    t.match(closed, { code: '2.2 CLIENT DISCONNECT', by: 'local' });
    t.match(await sessions[0]?.closed, { code: '2.2 CLIENT DISCONNECT', by: 'remote' });
  });

  await t.test('another server is refused, and the page is told why', async (t) => {
    const failed = open(page, { line, pin: pinOf(newCertificate()) });
    await t.rejects(failed, /the packet session could not be opened: 1\.2 CERTIFICATE INVALID/);
  });

  t.strictSame(served.missing, [], 'every module was there');
  t.strictSame(errors, [], 'nothing went wrong aside');
  for (const kind of ['/lib/', '/packages/', '/wrapped/', '/']) {
    const some = served.loaded.filter(({ path }) => path.startsWith(kind));
    const sum = (name: 'bytes' | 'gzipped'): number => some.reduce((total, one) => total + one[name], 0);
    t.comment(`${kind}: ${some.length} modules, ${sum('bytes')} octets, ${sum('gzipped')} gzipped`);
  }
});

/** What runs in the page: becomes a node, calls, is called, and tells what it has seen. */
const NODE = `async ({ url, kid, secret, pin }) => {
  const { connectNode, defineScope } = await import('/lib/browser/node.js');
  const z = await import('zod/mini');
  const ADD = defineScope({ id: 1000, name: 'ADD', body: z.object({ a: z.number(), b: z.number() }), reply: z.object({ sum: z.number() }) });
  const session = pin === undefined ? undefined : { pins: [{ ...pin, publicKey: Uint8Array.from(pin.publicKey) }] };
  const node = await connectNode(url, { node: 'page-1', login: { kid, secret }, ...(session === undefined ? {} : { session }) });
  let asked;
  const called = new Promise((done) => { asked = done; });
  node.on(ADD, ({ a, b }) => { asked(a); return { sum: a * b }; });
  const { sum } = await node.call(ADD, { a: 2, b: 3 }, { user: '7', channel: '8' });
  const failed = await node.call(ADD, { a: 2, b: 3 }).catch(({ code }) => code);
  await called;
  await node.close();
  return { sum, failed, state: node.state };
}`;

t.test('a page in Chromium is a node, in text messages and in a sealed session', async (t) => {
  const executablePath = need(t, 'chromium');
  if (executablePath === undefined) return;
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  t.teardown(() => browser.close());
  const served = await servePage(t);
  const { dispatch, login, url, pin, ADD } = await dispatchFor(t, served.origin);
  const page = await browser.newPage();
  await page.goto(served.origin);
  const answers: unknown[] = [];
  dispatch.on('node', (_, node) => void dispatch.call(node, ADD, { a: 2, b: 3 }).then(({ sum }) => answers.push(sum)));
  for (const pinned of [undefined, { ...pin, publicKey: [...(pin.publicKey as Uint8Array)] }]) {
    t.strictSame(await run(page, NODE, { url, ...login, pin: pinned }), {
      sum: 5,
      failed: 'forbidden',
      state: 'closed',
    });
  }
  t.strictSame(answers, [6, 6], 'it was called');
  t.strictSame(served.missing, [], 'every module was there');
});
