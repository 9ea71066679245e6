import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { main } from '../../lib/cli/main.js';
import { createLog } from '../../lib/cli/serve-log.js';
import { version } from '../../lib/cli/version.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { OPCODE } from '../../lib/frame/opcode.js';
import { makeCertificate } from '../../lib/index.js';
import { type FakeIo, fakeIo, PATIENCE } from './fake-io.js';
import { CERT, KEY, OTHER_KEY } from './keys.js';

interface Served {
  readonly io: FakeIo;
  readonly url: string;
  readonly port: number;
  readonly code: Promise<number>;
}

/** Starts `wsd serve --echo --port 0` and waits for its URL; ends it with the test. */
const serve = async (t: Test, ...args: string[]): Promise<Served> => {
  const io = fakeIo();
  const code = main(['serve', '--echo', '--port', '0', ...args], io);
  t.teardown(async () => {
    io.raise('SIGTERM');
    await code;
  });
  const first = (await Promise.race([io.stdout.until('\n'), code.then(() => io.stderr.text)])).split('\n')[0] as string;
  const url = first.startsWith('{') ? (JSON.parse(first).url as string) : first;
  return { io, url, port: Number(new URL(url.replace(/^ws/, 'http')).port), code };
};

const refuse = async (...args: string[]): Promise<{ code: number; err: string; out: string }> => {
  const io = fakeIo();
  const code = await main(['serve', ...args], io);
  return { code, err: io.stderr.text, out: io.stdout.text };
};

const request = (path = '/', ...fields: string[]): string =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
    '',
    '',
  ].join('\r\n');

/** A peer of plain bytes: what it says, and all that it hears until `enough` holds. */
const exchange = async (
  where: number | string,
  say: Uint8Array | string,
  enough: (heard: Buffer) => boolean,
): Promise<[Buffer, Socket]> => {
  const socket = typeof where === 'number' ? dial(where, '127.0.0.1') : dial(where);
  const timer = setTimeout(() => socket.destroy(new Error('the server said too little')), PATIENCE);
  socket.on('error', () => {});
  socket.write(say);
  let heard = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    heard = Buffer.concat([heard, chunk]);
    if (enough(heard)) break;
  }
  clearTimeout(timer);
  return [heard, socket];
};

const opened = (heard: Buffer): boolean => heard.includes('\r\n\r\n');

t.test('it says its URL on stdout, hints on stderr, and echoes', async (t) => {
  const { io, url, port } = await serve(t);
  t.equal(io.stdout.text, `ws://127.0.0.1:${port}\n`, 'nothing else is on stdout');
  t.match(io.stderr.text, `try: wsd connect ${url}`);
  const hello = encodeFrame({ opcode: OPCODE.text, payload: Buffer.from('hello'), maskKey: 7 });
  const [heard, socket] = await exchange(port, Buffer.concat([Buffer.from(request('/some/path')), hello]), (bytes) =>
    bytes.includes('hello'),
  );
  t.match(heard.toString('latin1'), /^HTTP\/1\.1 101 /);
  t.same(heard.subarray(-7), Buffer.from([0x81, 5, ...Buffer.from('hello')]));
  socket.end(encodeFrame({ opcode: OPCODE.close, payload: Uint8Array.of(3, 232), maskKey: 7 }));
  await io.stderr.until('1 message, 5 bytes');
  t.match(io.stderr.text, /#\d+ opened by 127\.0\.0\.1 at \/some\/path/);
  t.match(io.stderr.text, /#\d+ closed 1000 after .*, 1 message, 5 bytes/);
});

t.test('what to type over TLS names the certificate where nobody trusts it unasked', async (t) => {
  const ca = makeCertificate({ now: Date.now(), subject: 'an authority', ca: true });
  const issued = makeCertificate({
    now: Date.now(),
    names: ['127.0.0.1'],
    issuer: { certificate: ca.certificatePem, key: ca.keyPem },
  });
  const folder = t.testdir({
    'own.pem': CERT,
    'own-key.pem': KEY,
    'issued.pem': issued.certificatePem,
    'issued-key.pem': issued.keyPem,
  });
  const own = await serve(t, '--tls-cert', join(folder, 'own.pem'), '--tls-key', join(folder, 'own-key.pem'));
  const [, words = ''] = /try: wsd (connect .*)$/m.exec(own.io.stderr.text) ?? [];
  t.equal(words, `connect ${own.url} --ca ${join(folder, 'own.pem')}`);
  const io = fakeIo({ stdin: 'hello\n' });
  t.equal(await main([...words.split(' '), '--once'], io), 0, 'and it can be typed');
  const other = await serve(t, '--tls-cert', join(folder, 'issued.pem'), '--tls-key', join(folder, 'issued-key.pem'));
  t.match(other.io.stderr.text, `try: wsd connect ${other.url}\n`, 'its authority may be trusted');
});

t.test('with --json the first line is one object, and so is every line of the log', async (t) => {
  const { io, url, port } = await serve(t, '--json');
  t.same(JSON.parse(io.stdout.text), { url, pid: process.pid, version });
  const [, socket] = await exchange(port, request('/x', 'Origin: http://127.0.0.1'), opened);
  socket.destroy();
  await io.stderr.until('"event":"close"');
  const [open, close] = io.stderr.lines.map((line) => JSON.parse(line));
  t.match(open, { level: 'info', event: 'open', remote: '127.0.0.1', path: '/x', origin: 'http://127.0.0.1' });
  t.match(close, { level: 'warn', event: 'close', code: 1006, clean: false, messages: 0 });
});

t.test('nothing of a peer reaches the log with a control character in it', async (t) => {
  for (const args of [[], ['--json']]) {
    const { io, port } = await serve(t, ...args);
    const [, socket] = await exchange(port, request('/%1b[31m', 'Origin: http://\u001b[2J\u009b1m'), opened);
    socket.destroy();
    await io.stderr.until('127.0.0.1');
    await io.stderr.until(args.length === 0 ? 'refused' : '"refuse"');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding none is the point
    t.notMatch(io.stderr.text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  }
});

t.test('a plain request gets an answer that helps, another origin and another path a refusal', async (t) => {
  const { io, port } = await serve(t, '--path', '/chat', '--origin', 'https://app.example');
  const ended = (): boolean => false;
  const [plain] = await exchange(port, 'GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', ended);
  t.match(plain.toString(), /^HTTP\/1\.1 426 [\s\S]*wsd connect/);
  const [path] = await exchange(port, request('/other'), ended);
  t.match(path.toString(), /^HTTP\/1\.1 404 /);
  const [origin] = await exchange(port, request('/chat', 'Origin: https://evil.example'), ended);
  t.match(origin.toString(), /^HTTP\/1\.1 403 /);
  const [good, socket] = await exchange(port, request('/chat', 'Origin: https://app.example'), opened);
  t.match(good.toString(), /^HTTP\/1\.1 101 /);
  socket.destroy();
  t.match(io.stderr.text, /refused 127\.0\.0\.1 at \/other: 404 No WebSocket at this path/);
  t.match(io.stderr.text, /403 This origin may not connect/);
});

t.test('the URL it says has the one path it serves', async (t) => {
  const { url, port } = await serve(t, '--path', '/chat');
  t.equal(url, `ws://127.0.0.1:${port}/chat`);
});

t.test('limits and subprotocols from flags reach the server', async (t) => {
  const { port } = await serve(t, '--max-message', '1k', '--subprotocol', 'b', '-s', 'a', '--deflate');
  const big = encodeFrame({ opcode: OPCODE.binary, payload: new Uint8Array(1025), maskKey: 7 });
  const fields = ['Sec-WebSocket-Protocol: a, b', 'Sec-WebSocket-Extensions: permessage-deflate'];
  const [heard, socket] = await exchange(port, Buffer.concat([Buffer.from(request('/', ...fields)), big]), (bytes) =>
    bytes.includes(Buffer.from([0x03, 0xf1])),
  );
  t.match(heard.toString('latin1'), /Sec-WebSocket-Protocol: b\r\n/i);
  t.match(heard.toString('latin1'), /Sec-WebSocket-Extensions: permessage-deflate/i);
  t.ok(heard.includes(Buffer.from([0x03, 0xf1])), 'close code 1009');
  socket.destroy();
});

t.test('the first signal drains, says how many were closed, and the exit code is 0', async (t) => {
  const { io, port, code } = await serve(t, '--drain', '5s');
  const [, polite] = await exchange(port, request(), opened);
  const going = once(polite, 'data');
  io.raise('SIGTERM');
  const [frame] = (await going) as [Buffer];
  t.same(frame.subarray(2, 4), Buffer.from([0x03, 0xe9]), 'the peer is told 1001');
  polite.end(encodeFrame({ opcode: OPCODE.close, payload: frame.subarray(2, 4), maskKey: 7 }));
  t.equal(await code, 0);
  t.match(io.stderr.text, /SIGTERM: closing 1 connection\n/);
  t.match(io.stderr.text, /closed 1 cleanly, cut 0\n/);
});

t.test('a peer that does not close is cut at the end of the drain', async (t) => {
  const { io, port, code } = await serve(t, '--drain', '50');
  const [, rude] = await exchange(port, request(), opened);
  rude.on('error', () => {});
  io.raise('SIGINT');
  t.equal(await code, 0);
  t.match(io.stderr.text, /closed 0 cleanly, cut 1\n/);
  rude.destroy();
});

t.test('--quiet prints the URL and nothing more, --log-level decides for itself', async (t) => {
  const quiet = await serve(t, '--quiet');
  const [, socket] = await exchange(quiet.port, request(), opened);
  socket.destroy();
  quiet.io.raise('SIGTERM');
  await quiet.code;
  t.equal(quiet.io.stderr.text, '');
  const warn = await serve(t, '--log-level', 'warn', '--quiet');
  await exchange(warn.port, 'GET /x HTTP/1.0\r\n\r\n', () => false);
  t.match(await warn.io.stderr.until('refused'), /505 HTTP\/1\.1 is required/);
});

t.test('what hinders listening is told in one sentence with exit code 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  const dir = t.testdir({
    'cert.pem': CERT,
    'key.pem': KEY,
    'other.pem': OTHER_KEY,
    'bad.pem': 'not a certificate',
  });
  const file = (name: string): string => join(dir, name);
  const cases: [string[], RegExp][] = [
    [
      ['--port', String(port)],
      /^wsd: port \d+ of 127\.0\.0\.1 is in use: choose another with --port, or any free one with --port 0$/,
    ],
    [['--host', '192.0.2.1', '--port', '0'], /^wsd: this machine has no address 192\.0\.2\.1$/],
    [
      ['--tls-cert', file('none.pem'), '--tls-key', file('key.pem')],
      /^wsd: cannot read .*none\.pem: there is no such file$/,
    ],
    [
      ['--tls-cert', file('bad.pem'), '--tls-key', file('key.pem')],
      /certificate and key are not usable: both must be PEM files/,
    ],
    [['--tls-cert', file('cert.pem'), '--tls-key', file('other.pem')], /the key does not belong to the certificate$/],
    [['--unix', '/dev/null'], /\/dev\/null exists and is not a socket: it is left alone$/],
    [['--unix', '/nonexistent/socket'], /its folder does not exist$/],
  ];
  for (const [args, message] of cases) {
    const ran = await refuse('--echo', ...args);
    t.match(ran.err.trimEnd(), message);
    t.equal(ran.err.trimEnd().split('\n').length, 1, 'one line');
    t.match(ran, { code: 1, out: '' });
  }
});

t.test('flags that contradict each other are usage errors', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /there is no home directory: say with --data where the data directory is/],
    [['word'], /what is "word"\?/],
    [['--echo', '--data', 'x'], /--data is for the dispatch/],
    [['--echo', '--config', 'x'], /--config is for the dispatch/],
    [['--data', 'x', '--subprotocol', 'chat'], /--subprotocol goes with --echo/],
    [['--data', 'x', '--packets'], /--packets goes with --echo/],
    [['--data', 'x', '--max-message', '1m'], /--max-message goes with --echo/],
    [['--echo', 'word'], /what is "word"\?/],
    [['--echo', '--port', '70000'], /--port takes a whole number/],
    [['--echo', '--unix', '/x', '--port', '1'], /--unix excludes --host and --port/],
    [['--echo', '--unix', `/${'x'.repeat(200)}`], /a path of 201 bytes is too long for a socket/],
    [['--echo', '--tls-cert', '/x'], /go together/],
    [['--echo', '--max-message', 'huge'], /--max-message takes a size/],
    [['--echo', '--max-message', '0'], /maxMessage/],
    [['--echo', '--log-level', 'loud'], /--log-level takes debug, info, warn, error or silent, not "loud"/],
    [['--echo', '--origin', 'nonsense'], /origin/],
  ];
  for (const [args, message] of cases)
    t.match(await refuse(...args), { code: 2, out: '', err: message }, args.join(' '));
});

t.test('on a Unix socket: mode 0660, a dead one is replaced, a living one is not', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'wsd-')); // short: the path of a socket must be
  t.teardown(() => rm(dir, { recursive: true }));
  const path = join(dir, 'wsd.sock');
  const start = async (): Promise<[FakeIo, Promise<number>]> => {
    const io = fakeIo();
    const code = main(['serve', '--echo', '--unix', path], io);
    await io.stdout.until('\n');
    return [io, code];
  };
  const [first, firstCode] = await start();
  t.match(first.stdout.text, /^ws\+unix:.*wsd\.sock\n$/);
  t.equal((await stat(path)).mode & 0o777, 0o660);
  const [heard, socket] = await exchange(path, request(), opened);
  t.match(heard.toString(), /^HTTP\/1\.1 101 /);
  socket.destroy();
  t.match(await refuse('--echo', '--unix', path), { code: 1, err: /another process listens on/ });
  first.raise('SIGTERM');
  await firstCode;
  // A process that was killed leaves its socket behind, as this one does: the file stays, nobody listens.
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  t.ok((await stat(path)).isSocket());
  const [second, secondCode] = await start();
  second.raise('SIGTERM');
  t.equal(await secondCode, 0);
});

t.test('a flood of events does not become a flood of lines', async (t) => {
  const io = fakeIo();
  let time = 5_000;
  const log = createLog(io, 'info', true, () => new Date(time));
  for (let i = 0; i < 1000; i++) log.write('info', 'open', 'opened', { i });
  log.write('error', 'error', 'failed', {});
  t.equal(io.stderr.lines.length, 201, 'errors are always told');
  time += 1000;
  log.write('debug', 'x', 'not asked for', {});
  log.write('info', 'open', 'opened', {});
  t.match(JSON.parse(io.stderr.lines.at(-2) as string), { event: 'skipped', lines: 800 });
  t.match(JSON.parse(io.stderr.lines.at(-1) as string), { event: 'open' });
});
