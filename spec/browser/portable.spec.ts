// The client of pages in Node, with the WebSocket of browsers and portable cryptography, against a server with Node's: everything but the
// browser, which is chromium.spec.ts.

import t, { type Test } from 'tap';
import { reachableFrom, wrapCommonJs } from '../../fixtures/rig/page.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { connectSession, type PageSessionOptions, type Session } from '../../lib/browser/index.js';
import { createServer, type Outcome, WebSocket } from '../../lib/index.js';
import { DEFLATE_ME, newCertificate, pinOf, setUp } from './scene.js';

t.setTimeout(40_000);

// Node 20 has none of its own.
const world = globalThis as unknown as { WebSocket?: unknown };
world.WebSocket ??= WebSocket;

const QUICK = { min: 1, max: 20 } as const;

const join = async (t: Test, url: string, options: PageSessionOptions): Promise<Session> => {
  const session = await connectSession(url, { reconnect: QUICK, ...options });
  t.teardown(() => session.close());
  return session;
};

/** The next message. */
const next = (session: Session): Promise<Uint8Array> =>
  new Promise((done) => session.once('message', (data) => done(data)));

/** So many messages, in the order in which they come. */
const collect = (session: Session, count: number): Promise<Uint8Array[]> =>
  new Promise((done) => {
    const all: Uint8Array[] = [];
    session.on('message', (data) => {
      if (all.length === count) return;
      all.push(data);
      if (all.length === count) done(all);
    });
  });

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

t.test('nothing that a page loads is of Node', async (t) => {
  const { files, outside } = reachableFrom('browser/index.js');
  t.strictSame(outside, [
    '@noble/ciphers/chacha.js',
    '@noble/hashes/hkdf.js',
    '@noble/hashes/hmac.js',
    '@noble/hashes/sha2.js',
    'buffer-crc32',
    'elliptic',
    'pako',
  ]);
  t.ok(files.has('packet/session.js') && files.has('link/session.js'), 'the graph is not cut short');
  const names = [...files.keys()];
  t.notOk(names.some((file) => /^(?:net|server|client|cli|options)\b/.test(file)));
  // A checksum lends a page a Buffer, where there is none.
  const uses = (graph: ReadonlyMap<string, string>): string[] =>
    [...graph].filter(([, code]) => /(?<![.\w])(?:Buffer|process|require)\b/.test(code)).map(([file]) => file);
  t.strictSame(uses(files), [], 'nor its globals');
  const whole = reachableFrom('index.js');
  t.ok(whole.outside.includes('node:net') && uses(whole.files).length > 0, 'what is of Node would be seen');
});

t.test('types of a page need no types of Node', async (t) => {
  const { files, outside } = reachableFrom('browser/index.d.ts');
  t.strictSame(outside, []);
  t.strictSame(
    [...files].filter(([, code]) => /\b(?:Buffer|NodeJS)\b/.test(code)).map(([file]) => file),
    [],
  );
  t.ok(files.has('packet/session-types.d.ts'));
  t.ok(reachableFrom('index.d.ts').outside.includes('node:net'), 'and those of Node would be seen');
});

t.test('a package of CommonJS becomes one module without Node', async (t) => {
  const text = wrapCommonJs('elliptic');
  const module = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
    readonly default: { readonly ec: new (name: string) => { genKeyPair: unknown } };
  };
  t.type(new module.default.ec('p256').genKeyPair, 'function');
});

t.test('a page opens a session with the server whose certificate it has pinned', async (t) => {
  const { line, pin, sessions } = await setUp(t);
  const session = await join(t, line.url, { pins: [pin] });
  t.equal(session.state, 'open');
  t.equal(session.role, 'client');
  t.equal(session.identity, pin.sha256);
  t.strictSame(session.peer, { fingerprint: pin.sha256 });
  t.equal(sessions[0]?.identity, 'anonymous');
  t.equal(session.id, sessions[0]?.id);
  t.match(session.id, /^[0-9a-f]{32}$/);
  t.strictSame(session.exporter, sessions[0]?.exporter, 'both have the same secret');
  t.equal(sessions[0]?.request?.fields.get('sec-websocket-protocol'), 'v0.packet.wsd');
  t.strictSame([session.request, session.data, session.remoteAddress], [undefined, undefined, '']);
  const rtt = new Promise<number>((done) => session.once('heartbeat', done));
  t.equal(session.ping(), true);
  t.ok((await rtt) >= 0);
  t.strictSame(await session.close(), { code: '2.2 CLIENT DISCONNECT', by: 'local', detail: undefined });
  t.equal(await sessions[0]?.closed.then(({ by }) => by), 'remote');
});

t.test('sealed packets go both ways: whole, in fragments, deflated, unreliable', async (t) => {
  const { line, pin, sessions } = await setUp(t);
  const session = await join(t, line.url, { pins: [pin] });
  const rng = seedFromEnv('portable');
  for (const size of [0, 1, 971, 972, 973, 988, 5000, 100_000, 251_924]) {
    const data = Uint8Array.from(rng.bytes(size));
    if (size > 0) data[0] = 1;
    const back = next(session);
    const fate = session.send(data);
    t.ok(same(await back, data), `${size} octets come back`);
    t.equal(await fate, 'acknowledged');
  }
  const text = new Uint8Array(700_000).fill(0x61);
  text[0] = DEFLATE_ME;
  const back = next(session);
  t.equal(await session.send(text, { compress: true, checksum: true }), 'acknowledged');
  t.ok(same(await back, text), 'much that deflates well');
  const { packetsIn = 0 } = (sessions[0]?.counters() ?? {}) as { readonly packetsIn?: number };
  t.ok(packetsIn < 1000, 'and was deflated on its way');

  const loose = next(session);
  t.equal(await session.send('héllo', { reliable: false }), 'sent');
  t.equal(new TextDecoder().decode(await loose), 'héllo');
  const pushed = next(session);
  t.equal(await sessions[0]?.send('unasked'), 'acknowledged');
  t.equal(new TextDecoder().decode(await pushed), 'unasked');
  t.throws(() => session.send(new Uint8Array(2_000_000)), RangeError);
});

t.test('a server that is another one is refused', async (t) => {
  const { line, pin, server } = await setUp(t);
  const other = newCertificate();
  await t.rejects(connectSession(line.url, { pins: [pinOf(other)] }), { code: 'WSD_DIAL_SESSION', message: /1\.2/ });
  // The right certificate under another's key: its signature does not fit.
  const wrong = { sha256: pin.sha256, publicKey: pinOf(other).publicKey };
  await t.rejects(connectSession(line.url, { pins: [wrong] }), { code: 'WSD_DIAL_SESSION' });
  t.equal(server.sessions.length, 0);
  const both = await join(t, line.url, { pins: [pinOf(other), pin] });
  t.equal(both.identity, pin.sha256, 'one of several pins is enough');
});

t.test('whoever does not mind takes any server, and a context binds it all the same', async (t) => {
  const { line } = await setUp(t, { packets: { context: 'a room' } });
  await t.rejects(connectSession(line.url, { anonymous: true }), { code: 'WSD_DIAL_SESSION' });
  for (const context of ['a room', new TextEncoder().encode('a room')]) {
    const session = await join(t, line.url, { anonymous: true, context });
    t.equal(session.state, 'open');
  }
});

t.test('without security both ends speak at once', async (t) => {
  const { line, sessions } = await setUp(t, { packets: { mode: 'none' } });
  const session = await join(t, line.url, { mode: 'none' });
  t.strictSame([session.state, session.identity, session.id], ['open', undefined, undefined]);
  const back = next(session);
  t.equal(await session.send('clear', { checksum: true }), 'acknowledged');
  t.equal(new TextDecoder().decode(await back), 'clear');
  t.equal(sessions.length, 1);
});

t.test('a session that is cut finds its way back, and every message comes once, in order', async (t) => {
  const { line, pin, sessions, fates } = await setUp(t);
  const session = await join(t, line.url, { pins: [pin], maxUnacked: 1024 });
  const opened: string[] = [];
  const broken: unknown[] = [];
  session.on('open', (how) => opened.push(how));
  session.on('detached', (why) => broken.push(why));
  const COUNT = 120;
  const back = collect(session, COUNT);
  const sent = Array.from({ length: COUNT }, (_, at) => {
    const data = new Uint8Array(at % 7 === 0 ? 3000 : 40).fill(at);
    data[0] = at % 5 === 0 ? DEFLATE_ME : 1;
    data[1] = at;
    return data;
  });
  const deliveries = sent.map((data, at) => {
    if (at % 30 === 29) line.cut();
    return session.send(data, { compress: data[0] === DEFLATE_ME });
  });
  line.cut();
  await new Promise((done) => session.once('detached', done));
  t.equal(session.state, 'detached');
  const late = session.send(Uint8Array.of(1, 200), { reliable: true });
  t.equal(late.status, 'ok', 'what is sent meanwhile waits');
  const received = await back;
  t.strictSame(
    received.map((data) => data[1]),
    sent.map((_, at) => at),
  );
  t.ok(received.every((data, at) => same(data, sent[at] as Uint8Array)));
  t.strictSame(new Set(await Promise.all([...deliveries, late])), new Set(['acknowledged']));
  t.equal(sessions.length, 1, 'it is the same session');
  t.ok(opened.length >= 1 && opened.every((how) => how === 'resumed'));
  t.ok(broken.every((why) => why === 'lost'));
  while (fates.length < COUNT + 1) await new Promise((done) => setTimeout(done, 2));
  t.ok(fates.every((fate) => fate === 'acknowledged'));
});

t.test('a server that has forgotten the session tells which messages are undelivered', async (t) => {
  const { line, pin, server } = await setUp(t, { packets: { resumeTtl: 1 } });
  const session = await join(t, line.url, { pins: [pin] });
  const opened = new Promise((done) => session.once('open', done));
  const lost = new Promise<readonly { readonly data: Uint8Array; readonly sent: boolean }[]>((done) =>
    session.once('undelivered', done),
  );
  line.hold();
  const fate = session.send('is it there?');
  line.cut();
  // Connections are taken in the meantime, and nothing passes.
  while (server.sessions.length > 0) await new Promise((done) => setTimeout(done, 2));
  line.release();
  line.cut();
  t.equal(await opened, 'new');
  t.match(await lost, [{ sent: true }]);
  t.equal(await fate, 'undelivered');
  t.equal(session.state, 'open');
  t.equal(await session.send('again'), 'acknowledged');
});

t.test('dialling fails with a code, and stops when nobody waits any more', async (t) => {
  const { line, pin } = await setUp(t);
  const pins = [pin];
  // A server without packets, and one that says it has them but sends something else: deflated messages.
  for (const options of [{}, { subprotocols: ['v0.packet.wsd'], deflate: true }]) {
    const plain = createServer(options);
    t.teardown(() => plain.close({ drain: 20 }));
    const { url } = await plain.listen();
    // Platforms differ in whether they take an answer without a subprotocol.
    await t.rejects(connectSession(url, { pins }), { code: /^WSD_DIAL_(?:PROTOCOL|CONNECT|EXTENSION)$/ });
  }
  await t.rejects(connectSession('no url at all', { pins }), { code: 'WSD_DIAL_URL' });
  await t.rejects(connectSession(line.url, { pins, signal: AbortSignal.abort('enough') }), {
    code: 'WSD_DIAL_ABORTED',
    cause: 'enough',
  });
  line.hold();
  await t.rejects(connectSession(line.url, { pins, timeout: 30 }), { code: 'WSD_DIAL_TIMEOUT' });
  const control = new AbortController();
  const waiting = connectSession(line.url, { pins, signal: control.signal });
  control.abort('enough');
  await t.rejects(waiting, { code: 'WSD_DIAL_ABORTED', cause: 'enough' });
  line.release();
  await line.close();
  await t.rejects(connectSession(line.url, { pins }), { code: 'WSD_DIAL_CONNECT' });
});

t.test('what is no packet ends the connection before a session sees it', async (t) => {
  const cases: readonly (readonly [message: string | Uint8Array, reason: string])[] = [
    ['text', 'packets are binary'],
    [new Uint8Array(10_000), 'longer than any packet'],
  ];
  for (const [message, reason] of cases) {
    const outcomes: Outcome[] = [];
    const server = createServer({ subprotocols: ['v0.packet.wsd'] }, async (connection) => {
      connection.on('message', () => void connection.send(message));
      outcomes.push(await connection.closed);
    });
    t.teardown(() => server.close({ drain: 20 }));
    const { url } = await server.listen();
    await t.rejects(connectSession(url, { anonymous: true }), { code: 'WSD_DIAL_SESSION', message: /lost/ });
    while (outcomes.length === 0) await new Promise((done) => setTimeout(done, 2));
    t.match(outcomes, [{ code: 1000, reason, clean: true }]);
  }
});

t.test('while much waits to leave, unreliable messages are refused, and it is told when that is over', async (t) => {
  const { line, pin } = await setUp(t);
  const Platform = world.WebSocket as typeof WebSocket;
  let waits = 0;
  world.WebSocket = class extends Platform {
    override get bufferedAmount(): number {
      return waits;
    }
  };
  t.teardown(() => {
    world.WebSocket = Platform;
  });
  const session = await join(t, line.url, { pins: [pin] });
  t.equal(session.send('a', { reliable: false }).status, 'ok');
  waits = 1_000_000;
  t.equal(session.send('b', { reliable: false }).status, 'full');
  t.equal(session.send('c').status, 'ok', 'reliable ones are kept anyway');
  const drained = Promise.all([session.drained(), new Promise<void>((done) => session.once('drain', done))]);
  waits = 0;
  await drained;
  t.equal(session.send('b', { reliable: false }).status, 'ok');
});

t.test('a session gives up when it was told to, and not before', async (t) => {
  const { line, pin } = await setUp(t);
  const fickle = await connectSession(line.url, { pins: [pin], reconnect: false });
  const stubborn = await connectSession(line.url, { pins: [pin], reconnect: { min: 1, max: 2, attempts: 3 } });
  const tired = await connectSession(line.url, { pins: [pin], reconnect: { min: 1, max: 2 } });
  const attempts: number[] = [];
  stubborn.on('retry', ({ attempt }) => attempts.push(attempt));
  tired.on('retry', ({ attempt, cause }) => {
    if (attempt === 2) t.match(cause, { code: 'WSD_DIAL_CONNECT' });
    if (attempt === 2) void tired.close('enough');
  });
  await line.close();
  t.match(await fickle.closed, { by: 'local', detail: 'connection lost' });
  t.match(await stubborn.closed, { by: 'local', detail: 'no way back' });
  t.strictSame(attempts, [1, 2, 3]);
  t.match(await tired.closed, { detail: 'enough' });
});

t.test('options are checked at once, by name', async (t) => {
  const pin = pinOf(newCertificate());
  const cases: readonly (readonly [options: unknown, message: RegExp])[] = [
    [undefined, /options are needed/],
    [{}, /which server is meant/],
    [{ pins: [] }, /which server is meant/],
    [{ pins: [pin.sha256] }, /pins: a page needs both/],
    [{ pins: pin }, /pins: must be a list/],
    [{ pins: [{ ...pin, sha256: 'ff' }] }, /sha256 of a pin/],
    [{ pins: [{ ...pin, publicKey: new Uint8Array(65) }] }, /publicKey of a pin/],
    [{ anonymous: 1 }, /anonymous: must be/],
    [{ anonymous: true, mode: 'some' }, /mode: must be/],
    [{ anonymous: true, context: 1 }, /context: must be/],
    [{ anonymous: true, signal: 1 }, /signal: must be/],
    [{ anonymous: true, maxUnacked: 1025 }, /maxUnacked: must be a whole number from 1 to 1024/],
    [{ anonymous: true, heartbeat: 0.5 }, /heartbeat: must be/],
    [{ anonymous: true, timeout: '1' }, /timeout: must be/],
    [{ anonymous: true, reconnect: true }, /reconnect: must be/],
    [{ anonymous: true, reconnect: { attempts: 0 } }, /reconnect.attempts: must be/],
    [{ anonymous: true, reconnect: { min: 0 } }, /reconnect.min: must be/],
    [{ anonymous: true, reconnect: { often: 1 } }, /often: is no option of a reconnect/],
    [{ anonymous: true, certificate: 'x' }, /certificate: is no option of a session/],
    [{ mode: 'none', pins: [pin] }, /mode 'none' has no handshake: pins would do nothing/],
    [{ mode: 'none', context: 'x' }, /context would do nothing/],
  ];
  for (const [options, message] of cases) {
    await t.rejects(connectSession('ws://127.0.0.1:1/', options as PageSessionOptions), { name: 'TypeError', message });
  }
});
