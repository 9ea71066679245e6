// Where a server listens, and what becomes of the listener: over real sockets of every kind.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, connect as dial } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type PeerCertificate, connect as startTls, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { upgrade, upgradeRequest, Wire } from '../../fixtures/rig/wire.js';
import { connect, createServer, type ListenOptions } from '../../lib/index.js';
import { ask, echo, open, roundTrip, until, within } from './scene.js';

const pem = (name: string): string =>
  readFileSync(new URL(`../../../fixtures/tls/${name}.pem`, import.meta.url), 'utf8');
const LOCALHOST = { cert: pem('cert'), key: pem('key') };
const OTHER = { cert: pem('wrong-cert'), key: pem('wrong-key') };
/** The name of a Unix socket must be short. */
const folder = (t: Test): string => {
  const dir = mkdtempSync(join(tmpdir(), 'wsd-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** A client of ours says a word and hears it, then leaves. */
const converse = async (url: string): Promise<string> => {
  const connection = await connect(url, { tls: { ca: LOCALHOST.cert }, timeout: 5_000 });
  connection.send('a word');
  const heard = await new Promise((done) => connection.once('message', done));
  await connection.close();
  return String(heard);
};

const secureWire = async (port: number, options: object = {}): Promise<{ wire: Wire; socket: TLSSocket }> => {
  const socket = startTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  const wire = new Wire(socket);
  await within(once(socket, 'secureConnect'), 'the TLS handshake');
  return { wire, socket };
};

t.test('it listens on 127.0.0.1 at a free port unless told otherwise, and tells what to dial', async (t) => {
  const rows: readonly [string, ListenOptions | number | undefined, RegExp][] = [
    ['nothing said', undefined, /^ws:\/\/127\.0\.0\.1:\d+$/],
    ['a number', 0, /^ws:\/\/127\.0\.0\.1:\d+$/],
    ['every IPv4 address', { host: '0.0.0.0' }, /^ws:\/\/localhost:\d+$/],
    ['IPv6', { host: '::1' }, /^ws:\/\/\[::1\]:\d+$/],
    ['every address', { host: '::' }, /^ws:\/\/localhost:\d+$/],
    ['TLS', { tls: LOCALHOST }, /^wss:\/\/127\.0\.0\.1:\d+$/],
  ];
  if (!hasIPv6) t.comment('this machine has no ::1');
  const here = rows.filter(([, where]) => hasIPv6 || typeof where !== 'object' || where.host?.includes(':') !== true);
  const server = createServer({}, echo);
  t.teardown(() => server.close({ drain: 20 }));
  for (const [name, where, url] of here) {
    const listening = await server.listen(where);
    t.match(listening.url, url, name);
    t.equal(listening.port, Number(new URL(listening.url.replace(/^ws/, 'http')).port), `${name}: the port`);
    t.equal(listening.secure, listening.url.startsWith('wss'), `${name}: secure`);
    t.equal(listening.path, undefined);
    t.equal(await converse(listening.url), 'a word', `${name}: it is served`);
  }
  t.equal(server.listening.size, here.length, 'all at once');
});

t.test('a number is a port', async (t) => {
  const { listening, port } = await open(t);
  listening.close();
  const again = createServer({}, echo);
  t.teardown(() => again.close({ drain: 20 }));
  t.equal((await again.listen(port)).port, port);
  t.equal(await converse(`ws://127.0.0.1:${port}`), 'a word');
});

t.test('a Unix socket has mode 0660 or the one that was asked for, and goes with its listener', async (t) => {
  const dir = folder(t);
  const server = createServer({}, echo);
  t.teardown(() => server.close({ drain: 20 }));
  for (const [name, mode] of [
    ['a.sock', undefined],
    ['b.sock', 0o600],
    ['c d%41?#.sock', undefined],
  ] as const) {
    const path = join(dir, name);
    const listening = await server.listen({ path, mode });
    t.match(listening, { path, port: undefined, host: undefined, secure: false });
    t.equal(statSync(path).mode & 0o777, mode ?? 0o660, `${name}: the mode`);
    t.equal(await converse(listening.url), 'a word', `${name}: served at ${listening.url.slice(-20)}`);
    listening.close();
    t.notOk(statSync(path, { throwIfNoEntry: false }), `${name}: gone`);
  }
  const long = join(dir, 'x'.repeat(120));
  await t.rejects(server.listen({ path: long }), RangeError, 'a path that would be cut off is refused');
});

t.test('a client on a Unix socket has no address, and every limit but that of one address holds', async (t) => {
  const path = join(folder(t), 's');
  const { server, connections } = await open(t, { maxPerAddress: 1, maxConnections: 2 }, echo, { path });
  const wires = await Promise.all(
    [1, 2].map(async () => {
      const wire = new Wire(dial(path));
      wire.write(upgradeRequest(80));
      t.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
      return wire;
    }),
  );
  t.same(server.counts(), { open: 2, halfOpen: 0, authorizing: 0, addresses: 0 });
  t.equal(connections[0]?.remoteAddress, '');
  const third = new Wire(dial(path));
  t.match(await third.readHead(), /^HTTP\/1\.1 503 /);
  for (const wire of [...wires, third]) wire.destroy();
});

t.test('a descriptor that a parent process listens on is taken over', async (t) => {
  const parent = createTcpServer();
  await new Promise<void>((done) => parent.listen(0, '127.0.0.1', done));
  const { fd } = (parent as unknown as { _handle: { fd: number } })._handle;
  const { port } = parent.address() as { port: number };
  const program = `
    import { createServer } from ${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)};
    const server = createServer({}, (c) => void c.on('message', (data) => c.send(data)));
    console.log((await server.listen({ fd: 3 })).url);
    process.stdin.on('end', async () => console.log(JSON.stringify(await server.close()))).resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit', fd],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const line = async (): Promise<unknown> => (await within(lines.next(), 'a line of the child')).value;
  t.equal(await line(), `ws://127.0.0.1:${port}`);
  // The child has a descriptor of its own; the parent must not take its clients away.
  parent.close();
  t.equal(await converse(`ws://127.0.0.1:${port}`), 'a word');
  const ended = once(child, 'close');
  child.stdin?.end();
  t.match(await line(), /"cut":0/);
  t.equal((await within(ended, 'the child ends'))[0], 0, 'by itself');
});

t.test('one of several listeners ends without the others and without its connections', async (t) => {
  const { server, port, listening } = await open(t);
  const second = await server.listen();
  const wire = await upgrade(port);
  listening.close();
  listening.close();
  t.equal(server.listening.size, 1);
  await t.rejects(converse(listening.url), { code: 'WSD_DIAL_CONNECT' });
  t.equal(await roundTrip(wire, 'still here'), 'still here');
  t.equal(await converse(second.url), 'a word');
  t.ok(server.listening.has(second), 'what listen() gave is what the set holds');
  wire.destroy();
});

t.test('a signal ends the listener and nothing else', async (t) => {
  const { server } = await open(t);
  const ending = new AbortController();
  const listening = await server.listen({ signal: ending.signal });
  const wire = await upgrade(listening.port ?? 0);
  ending.abort();
  await t.rejects(converse(listening.url), { code: 'WSD_DIAL_CONNECT' });
  t.equal(await roundTrip(wire, 'still here'), 'still here');
  t.equal(server.listening.size, 1, 'it is not listed any more');
  wire.destroy();

  await t.rejects(server.listen({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  const early = new AbortController();
  const pending = server.listen({ signal: early.signal });
  early.abort();
  t.teardown(async () => (await pending.catch(() => undefined))?.close());
  await t.rejects(pending, { name: 'AbortError' }, 'also one that comes while it begins to listen');
  t.equal(server.listening.size, 1);
});

t.test('where it cannot listen it rejects with the reason, and listens elsewhere', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), '');
  const { server, port } = await open(t);
  const path = join(dir, 's');
  await server.listen({ path });
  const rows: readonly [string, ListenOptions, { readonly code: string | RegExp }][] = [
    ['a port in use', { port }, { code: 'EADDRINUSE' }],
    ['a socket in use', { path }, { code: 'EADDRINUSE' }],
    ['a file in its place', { path: join(dir, 'file') }, { code: 'EADDRINUSE' }],
    ['a folder that is not there', { path: join(dir, 'no', 's') }, { code: /^E/ }],
    ['an address of somebody else', { host: '192.0.2.1' }, { code: 'EADDRNOTAVAIL' }],
    ['a descriptor that is none', { fd: 9_999 }, { code: /^E/ }],
    ['a port that is none', { port: 65_536 }, { code: 'ERR_SOCKET_BAD_PORT' }],
    ['a certificate that is none', { tls: { cert: 'x', key: 'y' } }, { code: /^ERR_OSSL/ }],
    ['the key of another certificate', { tls: { cert: LOCALHOST.cert, key: OTHER.key } }, { code: /^ERR_OSSL/ }],
  ];
  for (const [name, where, error] of rows) await t.rejects(server.listen(where), error, name);
  t.equal(server.listening.size, 2);
  t.equal(await converse((await server.listen()).url), 'a word');
});

t.test('a server that is closed listens no more, not even when it was about to', async (t) => {
  const server = createServer();
  const pending = server.listen().then(
    (listening) => listening,
    (reason: unknown) => reason,
  );
  await server.close();
  await t.rejects(server.listen(), TypeError);
  const late = await pending;
  t.equal(server.listening.size, 0);
  t.type(late, Error, 'it rejects');
  if (!(late instanceof Error)) (late as { close(): void }).close();
});

t.test('over TLS it speaks http/1.1, and a renewed certificate is for those who come later', async (t) => {
  const { listening, port } = await open(t, {}, echo, { tls: LOCALHOST });
  const subject = (certificate: PeerCertificate): string => certificate.subjectaltname ?? '';
  const before = await secureWire(port, { ALPNProtocols: ['h2', 'http/1.1'] });
  t.equal(before.socket.alpnProtocol, 'http/1.1');
  t.match(subject(before.socket.getPeerCertificate()), /localhost/);
  before.wire.write(upgradeRequest(port));
  t.match(await before.wire.readHead(), /^HTTP\/1\.1 101 /);

  listening.renew(OTHER);
  const after = await secureWire(port);
  t.match(subject(after.socket.getPeerCertificate()), /wrong\.example/);
  t.equal(await roundTrip(before.wire, 'still here'), 'still here', 'who was there stays');
  t.throws(() => listening.renew({ cert: 'x', key: 'y' }), /PEM/i, 'nonsense is refused');
  const still = await secureWire(port);
  t.match(subject(still.socket.getPeerCertificate()), /wrong\.example/, 'and changes nothing');
  for (const { wire } of [before, after, still]) wire.destroy();

  const bare = await open(t);
  t.throws(() => bare.listening.renew(LOCALHOST), TypeError);
});

t.test('who dials the wrong kind of port is told so where that can be told', async (t) => {
  const { server, port, connections, refused } = await open(t);
  const secure = await server.listen({ tls: LOCALHOST });
  const wire = new Wire(dial(secure.port ?? 0, '127.0.0.1'));
  wire.write(upgradeRequest(secure.port ?? 0));
  await wire.ended();
  await t.rejects(converse(`wss://127.0.0.1:${port}`), { code: 'WSD_DIAL_TLS' });
  t.match(refused, [{ code: 'WSD_HTTP_TLS', status: 400, remoteAddress: '127.0.0.1' }]);
  await until(() => server.counts().halfOpen + server.counts().open === 0);
  t.same(server.counts(), { open: 0, halfOpen: 0, authorizing: 0, addresses: 0 });
  t.equal(connections.length, 0);
  t.equal(await converse(secure.url), 'a word');
});

t.test('a TLS handshake that breaks off or never ends leaves nothing behind', async (t) => {
  const { server, port, errors } = await open(t, { handshakeTimeout: 100 }, echo, { tls: LOCALHOST });
  const hello = Buffer.from('16030100c8010000c40303', 'hex');
  const [reset, silent, half] = [dial(port, '127.0.0.1'), dial(port, '127.0.0.1'), dial(port, '127.0.0.1')];
  const all = [reset, silent, half].map((socket) => once(socket.on('error', () => {}).resume(), 'close'));
  await until(() => server.counts().halfOpen === 3);
  for (const socket of [reset, half]) socket.write(hello);
  half.end();
  reset.resetAndDestroy();
  await within(Promise.all(all), 'all are gone');
  t.ok(await until(() => server.counts().halfOpen + server.counts().open === 0), 'no seat is held');
  t.same(errors, []);
  t.equal(await converse(`wss://127.0.0.1:${port}`), 'a word');
});

t.test('client certificates are verified where they are asked for', async (t) => {
  const mutual = { ...LOCALHOST, ca: LOCALHOST.cert, requestCert: true };
  const rows: readonly [string, object, object, boolean][] = [
    ['a certificate of the authority', {}, LOCALHOST, true],
    ['no certificate', {}, {}, false],
    ['a certificate of nobody', {}, OTHER, false],
    ['a certificate of nobody, said outright', { rejectUnauthorized: true }, OTHER, false],
    ['no certificate, said outright', { rejectUnauthorized: true }, {}, false],
    ['no certificate where that is allowed', { rejectUnauthorized: false }, {}, true],
    ['a certificate of nobody where that is allowed', { rejectUnauthorized: false }, OTHER, true],
  ];
  for (const [name, extra, own, served] of rows) {
    const { server, listening } = await open(t, {}, echo, { tls: { ...mutual, ...extra } });
    const dialled = connect(listening.url, { tls: { ca: LOCALHOST.cert, ...own }, timeout: 5_000 });
    const got = await dialled.then(
      (connection) => {
        connection.terminate();
        return 'served';
      },
      () => 'refused',
    );
    t.equal(got, served ? 'served' : 'refused', name);
    if (!served) t.equal(server.counters()['opened'], undefined, `${name}: no connection came of it`);
  }
});

t.test('a TLS session is resumed, with client certificates too', async (t: Test) => {
  for (const requestCert of [false, true]) {
    const tls = { ...LOCALHOST, ca: LOCALHOST.cert, requestCert };
    const { port } = await open(t, {}, echo, { tls });
    const own = requestCert ? LOCALHOST : {};
    const first = await secureWire(port, { ...own, maxVersion: 'TLSv1.2' });
    const session = first.socket.getSession();
    first.wire.write(upgradeRequest(port));
    t.match(await first.wire.readHead(), /^HTTP\/1\.1 101 /);
    first.wire.destroy();
    const second = await secureWire(port, { ...own, session, maxVersion: 'TLSv1.2' });
    second.wire.write(upgradeRequest(port));
    t.match(await second.wire.readHead(), /^HTTP\/1\.1 101 /);
    t.ok(second.socket.isSessionReused(), `resumed; client certificates: ${requestCert}`);
    second.wire.destroy();
  }
});

t.test('the system says no to a port that was closed', async (t) => {
  const { server, port } = await open(t);
  await server.close();
  await t.rejects(ask(port, ''), { code: 'ECONNREFUSED' });
});
