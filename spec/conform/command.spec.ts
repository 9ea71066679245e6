// `wsd conform` as a person or a script meets it: words in; table, JSON, report and exit code out. Against our own server and client,
// and against servers that are wrong on purpose.
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { main } from '../../lib/cli/main.js';
import { createServer } from '../../lib/index.js';
import { type FakeIo, fakeIo } from '../cli/fake-io.js';
import { CERT, KEY } from '../cli/keys.js';

const FEW = '1.1.1,2.1,6.4.1,7.1.6,9.7.1,H.1,H.101';

const echoUrl = async (t: { teardown(after: () => unknown): unknown }, answer = true): Promise<string> => {
  const server = createServer({ text: 'bytes' }, (connection) => {
    connection.on('message', (data, binary) => (answer ? void connection.send(data, { binary }) : undefined));
  });
  const { url } = await server.listen();
  t.teardown(() => server.close({ drain: 0 }));
  return url;
};

const wsd = async (io: FakeIo, ...words: string[]): Promise<number> => main(['conform', ...words], io);

t.test('a server that passes: a table, a sum, exit code 0', async (t) => {
  const io = fakeIo();
  t.equal(await wsd(io, await echoUrl(t), '--cases', FEW, '--quick'), 0);
  t.match(io.stdout.text, /✓ {2}1 {2}Framing +1 of {3}1\n/);
  t.match(io.stdout.text, /✓ {2}7 {2}Closing +1 of {3}1 {2}1 informational\n/);
  t.match(io.stdout.text, /✓ {2}H {2}Opening handshake +1 of {3}1\n/);
  t.match(io.stdout.text, /\n5 of 5 cases; opening handshake 1 of 1 \(quick\), [\d.]+ m?s\n$/);
  t.match(io.stderr.text, '6 of 6 cases done\n');
  t.notMatch(io.stdout.text + io.stderr.text, '\u001b', 'no colours and no cursor moves where no terminal is');
});

t.test('a server that fails: what was expected, what was seen, exit code 1', async (t) => {
  const io = fakeIo();
  t.equal(await wsd(io, await echoUrl(t, false), '--cases', '1.1.1,2.1'), 1);
  t.match(io.stdout.text, '✗  1  Framing');
  t.match(io.stdout.text, '1.1.1  FAILED, closing WRONG CODE');
  t.match(
    io.stdout.text,
    /expected: text of no bytes; a clean close with 1000 or no code\n {2}seen: {5}nothing back; the time of the case was up/,
  );
  t.match(io.stdout.text, '1 of 2 cases');
  t.match(io.stderr.text, 'failed: 1.1.1: nothing back');
});

t.test('a server without compression is told apart from one that is wrong', async (t) => {
  const io = fakeIo();
  t.equal(await wsd(io, await echoUrl(t), '--cases', '12.1.*,13.7.1', '--quick', '-q'), 1);
  t.match(io.stdout.text, /18 not implemented/);
  t.match(io.stdout.text, 'not implemented: 12.1.1, 12.1.2, 12.1.3, 12.1.4, 12.1.5, 12.1.6 and 13 more');
  t.equal(io.stderr.text, '');
});

t.test('on a terminal there is a bar, in colour unless that is not wanted', async (t) => {
  const url = await echoUrl(t);
  const io = fakeIo({ tty: true });
  t.equal(await wsd(io, url, '--cases', '1.1.*'), 0);
  t.match(io.stderr.text, '█');
  t.match(io.stderr.text, / 8 of 8 /);
  t.ok(io.stderr.text.endsWith('\r\u001b[K'), 'and it is gone at the end');
  t.match(io.stdout.text, '\u001b[32m');
  const plain = fakeIo({ tty: true, env: { NO_COLOR: '1' } });
  await wsd(plain, url, '--cases', '1.1.*');
  t.notMatch(plain.stdout.text, '\u001b');
});

t.test('--json is one document, --report a file of either form', async (t) => {
  const url = await echoUrl(t);
  const folder = t.testdir();
  const io = fakeIo();
  t.equal(await wsd(io, url, '--cases', '1.1.1,H.1', '--json', '--report', join(folder, 'a.html')), 0);
  const document = JSON.parse(io.stdout.text) as { mode: string; summary: { text: string }; results: { id: string }[] };
  t.equal(document.mode, 'server');
  t.equal(document.summary.text, '1 of 1 cases; opening handshake 1 of 1');
  t.equal(document.results[0]?.id, '1.1.1');
  t.match(await readFile(join(folder, 'a.html'), 'utf8'), /^<!doctype html>[\s\S]*id="1\.1\.1"[\s\S]*<\/html>\n$/);
  t.equal(await wsd(fakeIo(), url, '--cases', '1.1.1', '-q', '-o', join(folder, 'b.json')), 0);
  t.equal((JSON.parse(await readFile(join(folder, 'b.json'), 'utf8')) as { results: unknown[] }).results.length, 1);
  const bad = fakeIo();
  t.equal(await wsd(bad, url, '--cases', '1.1.1', '-o', join(folder, 'none', 'c.html')), 1);
  t.match(bad.stderr.text, /wsd: cannot write .*c\.html: ENOENT\n/);
});

const WRONG: readonly (readonly [words: string[], code: number, said: RegExp])[] = [
  [['http://127.0.0.1/'], 2, /not a ws:\/\/ or wss:\/\/ URL/],
  [['nonsense'], 2, /not a ws:\/\/ or wss:\/\/ URL: nonsense/],
  [['ws://127.0.0.1', 'ws://127.0.0.2'], 2, /one URL at a time/],
  [['ws://127.0.0.1', '--listen', '0'], 2, /one of these/],
  [['ws://127.0.0.1', '--cases', '8.*'], 2, /no case is named 8\.\*/],
  [['ws://127.0.0.1', '--cases', 'H.101'], 2, /no case is named/],
  [['--listen', '0', '--cases', 'H.1'], 2, /no case is named/],
  [['ws://127.0.0.1', '--jobs', '0'], 2, /--jobs takes a whole number from 1 to 64/],
  [['ws://127.0.0.1', '--case', '1.*'], 2, /unknown option --case: did you mean --cases\?/],
  [['--client', 'ws://127.0.0.1', '--quick'], 2, /--quick is for the fuzzing side/],
  [['wss://127.0.0.1:1', '--ca', '/nowhere/ca.pem'], 1, /cannot read \/nowhere\/ca\.pem: ENOENT/],
  [['ws://127.0.0.1:1'], 1, /cannot reach ws:\/\/127\.0\.0\.1:1: ECONNREFUSED/],
  [['--client', 'ws://127.0.0.1:1'], 1, /cannot run the cases of ws:\/\/127\.0\.0\.1:1: /],
];

for (const [words, code, said] of WRONG) {
  t.test(`\`wsd conform ${words.join(' ')}\` ends with ${code} and a sentence`, async (t) => {
    const io = fakeIo();
    t.equal(await wsd(io, ...words), code);
    t.match(io.stderr.text, said);
    t.notMatch(io.stderr.text, /\n {4}at /, 'no stack');
    t.equal(io.stdout.text, '');
  });
}

t.test('a server that refuses every handshake is told in one sentence, not case by case', async (t) => {
  for (const [options, said] of [
    [{ path: '/chat' }, '404 Not Found'],
    [{ authorize: () => ({ status: 401 }) }, '401 Unauthorized'],
  ] as const) {
    let asked = 0;
    const server = createServer(options);
    server.on('refused', () => void asked++);
    const { url } = await server.listen();
    t.teardown(() => server.close({ drain: 0 }));
    for (const cases of [[], ['--cases', '9.*']]) {
      asked = 0;
      const io = fakeIo();
      t.equal(await wsd(io, url, ...cases), 1);
      t.equal(io.stderr.text, `wsd: no case can be played at ${url}: the answer was "HTTP/1.1 ${said}"\n`);
      t.equal(io.stdout.text, '');
      t.ok(asked < 20, `${asked} were enough`);
    }
    const few = fakeIo();
    t.equal(await wsd(few, url, '--cases', '1.1.1,1.1.2'), 1);
    t.match(few.stdout.text, /0 of 2 cases/, 'a few that were asked for are reported');
  }
});

t.test('a server that only refuses some is reported, with all that it refused', async (t) => {
  let asked = 0;
  const server = createServer({
    authorize: () => (asked++ < 6 ? { status: asked < 4 ? 503 : 429 } : { data: undefined }),
  });
  server.on('connection', (connection) => {
    connection.on('message', (data, binary) => connection.send(data, { binary }));
  });
  const { url } = await server.listen();
  t.teardown(() => server.close({ drain: 0 }));
  const io = fakeIo();
  t.equal(await wsd(io, url, '--cases', '1.1.*', '--jobs', '1'), 1);
  t.match(io.stdout.text, '2 of 8 cases');
  t.match(io.stderr.text, /failed: 1\.1\.1: .*503/);
  t.match(io.stderr.text, '8 of 8 cases done');
});

t.test('a certificate that nobody vouches for is told with the flag that trusts it', async (t) => {
  const server = createServer();
  const { url } = await server.listen({ tls: { cert: CERT, key: KEY } });
  t.teardown(() => server.close({ drain: 0 }));
  const io = fakeIo();
  t.equal(await wsd(io, url), 1);
  t.match(io.stderr.text, /^wsd: cannot reach wss:.*: DEPTH_ZERO_SELF_SIGNED_CERT; --ca FILE trusts its certificate/);
});

t.test('the fuzzing server and our client, each as a command, meet', async (t) => {
  const io = fakeIo();
  const fuzzer = wsd(io, '--listen', '0', '--once', '--cases', FEW, '--quick');
  await io.stderr.until('cases: connect to');
  const url = io.stdout.lines[0] ?? '';
  const client = fakeIo();
  t.equal(await wsd(client, '--client', url, '--agent', 'me & myself', '--jobs', '2'), 0);
  t.equal(client.stdout.text, '6 of 6 cases\n');
  t.equal(await fuzzer, 0);
  t.match(io.stdout.text, '5 of 5 cases; opening handshake 1 of 1');
});

t.test('the fuzzing server tells what it knows when a signal ends it', async (t) => {
  const io = fakeIo();
  const fuzzer = wsd(io, '--listen', '0', '--cases', '1.1.*', '--json');
  await io.stderr.until('cases: connect to');
  const url = io.stderr.lines[0] ?? '';
  const client = fakeIo();
  t.equal(await wsd(client, '--client', url, '--json'), 0);
  t.equal((JSON.parse(client.stdout.text) as { grades: unknown[] }).grades.length, 8);
  io.raise('SIGINT');
  t.equal(await fuzzer, 0);
  t.equal((JSON.parse(io.stdout.text) as { results: unknown[] }).results.length, 8);
  const idle = fakeIo();
  const silent = wsd(idle, '--listen', '0');
  await idle.stderr.until('cases: connect to');
  idle.raise('SIGTERM');
  t.equal(await silent, 0, 'and nothing is wrong when nobody came');
});

t.test('a port in use is told in one sentence', async (t) => {
  const taken = createTcpServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const io = fakeIo();
  t.equal(await wsd(io, '--listen', String(port)), 1);
  t.match(io.stderr.text, `cannot listen on 127.0.0.1:${port}: EADDRINUSE`);
});

t.test('a signal ends a run of many cases at once', async (t) => {
  const io = fakeIo();
  const run = wsd(io, await echoUrl(t), '--cases', '6.4.*,5.*,9.7.*');
  setImmediate(() => io.raise('SIGINT'));
  t.equal(await run, 130);
});

t.test('without a word the server and the client of this package are tested', async (t) => {
  const folder = t.testdir();
  const io = fakeIo();
  t.equal(await wsd(io, '--cases', FEW, '--quick', '-q', '-o', join(folder, 'own.html')), 0);
  t.match(
    io.stdout.text,
    /^server\n[\s\S]*5 of 5 cases; opening handshake 1 of 1[\s\S]*\nclient\n[\s\S]*5 of 5 cases; opening handshake 1 of 1/,
  );
  t.match(await readFile(join(folder, 'own.html'), 'utf8'), 'the server of this package');
  t.match(await readFile(join(folder, 'own-client.html'), 'utf8'), 'the client of this package');
  const json = fakeIo();
  t.equal(await wsd(json, '--cases', '1.1.1', '--json', '-q'), 0);
  t.same(
    (JSON.parse(json.stdout.text) as { mode: string }[]).map(({ mode }) => mode),
    ['server', 'client'],
  );
});
