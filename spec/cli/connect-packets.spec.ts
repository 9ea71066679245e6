import { join } from 'node:path';
import t, { type Test } from 'tap';
import { EXIT } from '../../lib/cli/command.js';
import { main } from '../../lib/cli/main.js';
import {
  createServer,
  type Listening,
  type ListenOptions,
  makeCertificate,
  type ServerPacketOptions,
  type Session,
} from '../../lib/index.js';
import { type FakeIo, fakeIo } from './fake-io.js';
import { CERT, KEY } from './keys.js';
import { relay } from './relay.js';

const SERVER = makeCertificate({ now: Date.now(), names: ['127.0.0.1'], subject: 'echo server' });
const PIN = SERVER.info.fingerprint;
const OWN = { certificate: SERVER.certificatePem, key: SERVER.keyPem };

type OnSession = (session: Session) => void;

/** Waits for room, in order. */
const echo: OnSession = (session) => {
  let last: PromiseLike<unknown> = Promise.resolve();
  session.on('message', (data, { reliable }) => {
    last = last.then(async () => {
      while (session.send(data, { reliable }).status === 'full') await session.drained();
    });
  });
};

const listen = async (
  t: Test,
  packets: ServerPacketOptions = OWN,
  onSession: OnSession = echo,
  where: ListenOptions = {},
): Promise<Listening> => {
  const server = createServer({ packets });
  server.on('session', onSession);
  t.teardown(() => server.close({ drain: 100 }));
  return server.listen(where);
};

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const ran = async (io: FakeIo, args: readonly string[]): Promise<Ran> => {
  const code = await main(['connect', '--packets', ...args], io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

const run = (args: readonly string[], stdin?: string | Uint8Array): Promise<Ran> =>
  ran(fakeIo(stdin === undefined ? {} : { stdin }), args);

t.test('lines of stdin are RELIABLE messages, answers are lines of stdout, and the server is named', async (t) => {
  const reliable: boolean[] = [];
  const { url } = await listen(t, OWN, (session) => {
    session.on('message', (data, message) => {
      reliable.push(message.reliable);
      void session.send(data);
    });
  });
  const { code, out, err } = await run([url, '--pin', PIN, '--wait', '200'], 'eins\nzwei\n\nümläut 😀');
  t.strictSame([code, out], [0, 'eins\nzwei\n\nümläut 😀\n']);
  t.equal(
    err,
    `connected ${url}, packet session, sealed, with CN=echo server (pin ${PIN})\nclosed: 2.2 CLIENT DISCONNECT, by us\n`,
  );
  t.strictSame(reliable, [true, true, true, true]);
  t.strictSame(await run([url, '--anonymous', '--once', '--quiet'], 'a\n'), { code: 0, out: 'a\n', err: '' });
  t.match((await run([url, '--anonymous', '-1'], 'a\n')).err, /sealed, but the server has proved nothing/);
  reliable.length = 0;
  t.match(await run([url, '--pin', PIN, '--once', '--unreliable', '--compress'], `${'a'.repeat(99)}\n`), { code: 0 });
  t.strictSame(reliable, [false]);
});

t.test('more than there is room for waits for its turn, whatever it is', async (t) => {
  const { url } = await listen(t);
  const lines = Array.from({ length: 1500 }, (_, i) => `line ${i}\n`).join('');
  t.strictSame(await run([url, '--pin', PIN, '--quiet'], lines), { code: 0, out: lines, err: '' });
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 255);
  const io = fakeIo({ stdin: bytes });
  t.equal((await ran(io, [url, '--pin', PIN, '--quiet', '--binary'])).code, 0);
  t.ok(Buffer.from(io.stdout.bytes).equals(bytes));
  t.match(await run([url, '--pin', PIN, '-1', '--hex'], '00 ff\n'), { code: 0, out: '00ff\n' });
  t.match(await run([url, '--pin', PIN, '--hex'], '00\nxyz\n'), { code: 1, err: /line 2 of stdin is not hexadecimal/ });
  const dir = t.testdir({ 'a.txt': 'some\nlines' });
  t.match(await run([url, '--pin', PIN, '-1', '--file', join(dir, 'a.txt')], ''), { code: 0, out: 'some\nlines\n' });
  t.match(await run([url, '--pin', PIN], `${'x'.repeat(300_000)}\n`), {
    code: 1,
    err: /a message of 300000 bytes is longer than this session carries/,
  });
});

t.test('a cut is told and mended: nothing is lost, nothing comes twice', async (t) => {
  const { url } = await listen(t);
  const between = await relay(t, url);
  const io = fakeIo();
  const done = ran(io, [between.url, '--pin', PIN, '--wait', '200']);
  await io.stderr.until('connected');
  for (let i = 0; i < 3; i++) {
    io.stdin.write(`${i} before\n`);
    await io.stdout.until(`${i} before\n`);
    between.cut();
    io.stdin.write(`${i} after\n`);
    await io.stdout.until(`${i} after\n`);
  }
  io.stdin.end();
  const { code, out, err } = await done;
  t.equal(code, 0);
  t.equal(out, [0, 1, 2].map((i) => `${i} before\n${i} after\n`).join(''));
  t.equal(err.match(/^detached: the connection is lost/gm)?.length, 3);
  t.equal(err.match(/^attempt 1 in [\d.]+ m?s$/gm)?.length, 3);
  t.equal(err.match(/^resumed: the session goes on where it was cut$/gm)?.length, 3);
});

t.test('with --json every event is an object', async (t) => {
  const { url } = await listen(t);
  const between = await relay(t, url);
  const io = fakeIo();
  const done = ran(io, [between.url, '--pin', PIN, '--json', '--wait', '50']);
  await io.stdout.until('"open"');
  between.cut();
  await io.stdout.until('"resume"');
  io.stdin.end('hello\n');
  const { code, err } = await done;
  t.strictSame([code, err], [0, '']);
  t.match(
    io.stdout.lines.map((line) => JSON.parse(line)),
    [
      {
        type: 'open',
        again: false,
        url: between.url,
        identity: PIN,
        subject: 'CN=echo server',
        session: /^[0-9a-f]{32}$/,
      },
      { type: 'detached', why: 'lost', unacknowledged: 0 },
      { type: 'retry', attempt: 1 },
      { type: 'resume', identity: PIN },
      { type: 'message', binary: false, data: 'hello', reliable: true },
      { type: 'close', code: '2.2 CLIENT DISCONNECT', by: 'local', clean: true, undelivered: 0 },
    ],
  );
});

t.test('a server that does not come back: what it never had is told, and the exit code is 3', async (t) => {
  const server = createServer({ packets: OWN });
  server.on('session', echo);
  const listening = await server.listen();
  const between = await relay(t, listening.url);
  const io = fakeIo();
  const done = ran(io, [between.url, '--pin', PIN, '--reconnect', '1', '--quiet']);
  io.stdin.write('one\n');
  await io.stdout.until('one\n');
  const [session] = server.sessions;
  // An acknowledgement may take its time: that of the first message is there when those of later ones are.
  for (const news of ['news', 'more news']) t.equal(await session?.send(news), 'acknowledged');
  listening.close();
  const gone = new Promise((resolve) => session?.once('detached', resolve));
  between.cut();
  await gone;
  io.stdin.end('two\nthree\u001b[2J\n');
  const { code, err } = await done;
  t.equal(code, EXIT.undelivered);
  t.match(err, /^undelivered: 2 messages, (never left|may have arrived)\n {2}"two"\n {2}"three\\x1b\[2J"$/m);
  t.match(err, /^given up: no way back, 2 messages undelivered$/m);
  await server.close({ drain: 0 });
});

t.test('a server that was killed and started again: a new session, and the exact list', async (t) => {
  const first = createServer({ packets: OWN });
  first.on('session', () => {});
  const listening = await first.listen();
  const { port } = listening;
  const between = await relay(t, listening.url);
  const io = fakeIo();
  const done = ran(io, [between.url, '--pin', PIN, '--json', '--wait', '100']);
  await io.stdout.until('"open"');
  listening.close();
  const gone = new Promise((resolve) => [...first.sessions][0]?.once('detached', resolve));
  between.cut();
  await gone;
  await first.close({ drain: 0 });
  await io.stdout.until('"detached"');
  io.stdin.write('to nobody\n');
  await listen(t, OWN, echo, { port: port as number });
  await io.stdout.until('"undelivered"');
  io.stdin.end('to somebody\n');
  const { code } = await done;
  t.equal(code, EXIT.undelivered);
  const events = io.stdout.lines.map((line) => JSON.parse(line));
  t.match(
    events.filter(({ type }) => type !== 'retry' && type !== 'detached'),
    [
      { type: 'open', again: false },
      { type: 'undelivered', messages: [{ base64: Buffer.from('to nobody').toString('base64') }] },
      { type: 'open', again: true },
      { type: 'message', data: 'to somebody' },
      { type: 'close', clean: false, undelivered: 1 },
    ],
  );
});

t.test('the end by the server is told', async (t) => {
  const { url } = await listen(t, OWN, (session) => {
    session.on('open', () => void session.close());
  });
  const { code, err } = await run([url, '--pin', PIN, '--wait', 'forever'], '');
  t.equal(code, 0);
  t.match(err, /^closed: 2\.0 DISCONNECT \(the session was ended\), by the server$/m);
});

t.test('who is not to be trusted is not talked to, and what may help is said', async (t) => {
  const { url } = await listen(t);
  const anonymous = await listen(t, {});
  const plain = createServer();
  t.teardown(() => plain.close());
  const noPackets = await plain.listen();
  const alice = makeCertificate({ now: Date.now(), names: [], subject: 'alice', usage: ['client'] });
  const strict = await listen(t, { clientCertificate: 'required', pins: [alice.info.fingerprint] });
  const dir = t.testdir({ 'cert.pem': alice.certificatePem, 'key.pem': alice.keyPem, 'other.pem': KEY });
  const own = ['--packet-cert', join(dir, 'cert.pem'), '--packet-key'];
  const cases: [string[], RegExp][] = [
    [
      [url, '--pin', '00'.repeat(32)],
      /^wsd: cannot connect to ws:.*: the packet session could not be opened: 1\.2 CERTIFICATE INVALID: .*\ncompare --pin/,
    ],
    [[anonymous.url, '--pin', PIN], /the server shows no certificate\nif that is meant to be: --anonymous$/m],
    [[noPackets.url, '--anonymous'], /does not speak v0\.packet\.wsd\n.*wsd serve --echo --packets$/m],
    [
      [strict.url, '--anonymous'],
      /1\.2 CERTIFICATE INVALID.*\nthe server wants another certificate of ours: --packet-cert/,
    ],
    [[strict.url, '--anonymous', ...own, join(dir, 'other.pem')], /the key does not belong to the certificate/],
    [[url, '--anchor', join(dir, 'cert.pem')], /is not the certificate of a CA: to trust it alone, pin it/],
    [[url, '--anchor', join(dir, 'key.pem')], /key\.pem: a certificate is expected: this is a private key/],
  ];
  for (const [args, err] of cases) t.match(await run(args, 'secret\n'), { code: 1, out: '', err }, args.join(' '));
  const json = await run([url, '--pin', '00'.repeat(32), '--json'], '');
  t.match(JSON.parse(json.out), { type: 'error', code: 'WSD_DIAL_SESSION', hint: /compare --pin/ });
  t.match(await run([strict.url, '--anonymous', ...own, join(dir, 'key.pem'), '-1'], 'x\n'), { code: 0, out: 'x\n' });
});

t.test('a CA vouches for a server by its name', async (t) => {
  const ca = makeCertificate({ now: Date.now(), subject: 'our CA', ca: true, names: [] });
  const issuer = { certificate: ca.certificatePem, key: ca.keyPem };
  const made = makeCertificate({ now: Date.now(), names: ['chat.example.com'], issuer });
  const { url } = await listen(t, { certificate: made.certificatePem, key: made.keyPem });
  const anchor = ['--anchor', join(t.testdir({ 'ca.pem': ca.certificatePem }), 'ca.pem')];
  t.match(await run([url, ...anchor, '--name', 'chat.example.com', '-1'], 'x\n'), {
    code: 0,
    err: /with CN=chat\.example\.com \(pin/,
  });
  t.match(await run([url, ...anchor], 'x\n'), { code: 1, err: /for another name\ncompare .*--name$/m });
});

t.test('both ends must be of one mode', async (t) => {
  const clear = await listen(t, { mode: 'none' });
  const sealed = await listen(t);
  t.match(await run([clear.url, '--packet-mode', 'none', '-1'], 'x\n'), { code: 0, out: 'x\n', err: /in clear/ });
  t.match(await run([clear.url, '--anonymous'], 'x\n'), { code: 1, err: /both ends must be of one --packet-mode/ });
  t.match(await run([sealed.url, '--packet-mode', 'none'], 'x\n'), {
    code: EXIT.undelivered,
    out: '',
    err: /^undelivered: 1 message[\s\S]*^ended: 1\.0 CONNECTION [\s\S]*^both ends must be of one --packet-mode$/m,
  });
});

t.test('words that make no sense, or leave out whom to trust, are usage errors', async (t) => {
  const url = 'ws://127.0.0.1:9';
  for (const [args, err] of [
    [[url], /which server is meant\? Add --pin SHA256 .* or --anchor FILE .*; or --anonymous/],
    [[url, '--pin', 'abc'], /--pin takes the SHA-256 of a certificate: 64 hexadecimal digits/],
    [[url, '--pin', PIN, '--anonymous'], /--anonymous and --pin exclude each other/],
    [[url, '--pin', PIN, '--name', 'x'], /--name goes with --anchor/],
    [[url, '--packet-mode', 'none', '--pin', PIN], /has no handshake: --pin would do nothing/],
    [[url, '--anonymous', '--packet-cert', 'x'], /--packet-cert and --packet-key go together/],
    [[url, '--anonymous', '--subprotocol', 'x'], /--packets excludes --subprotocol/],
    [[url, '--anonymous', '--deflate'], /--packets excludes --deflate/],
    [[url, '--anonymous', '--close', '1000'], /--packets excludes --close/],
    [[url, '--anonymous', '--reconnect', '-1'], /--reconnect/],
    [[url, '--anonymuos'], /unknown option --anonymuos: did you mean --anonymous\?/],
  ] as const) {
    t.match(await run(args, ''), { code: 2, out: '', err }, args.join(' '));
  }
  const io = fakeIo({ stdin: '' });
  t.equal(await main(['connect', url, '--pin', PIN], io), 2);
  t.match(io.stderr.text, /--pin is for packet sessions: add --packets/);
});

t.test('at a terminal one types lines and commands', async (t) => {
  const { url } = await listen(t);
  const between = await relay(t, url);
  const io = fakeIo({ tty: true });
  const done = ran(io, [between.url, '--pin', PIN]);
  await io.stdout.until('connected');
  const type = async (line: string, answer: string): Promise<void> => {
    io.stdin.write(`${line}\n`);
    await io.stdout.until(answer);
  };
  await type('hello', '<\u001b[39m hello');
  await type('//slash', '/slash');
  await type('/hex 01 02 ff', '01 02 ff');
  await type('/ping', 'pong');
  await type('/help', 'tell the round-trip time');
  await type('/nonsense', 'unknown /nonsense');
  await type('/file /nonexistent/x', 'ENOENT');
  between.cut();
  await io.stdout.until('detached');
  await type('/ping', 'there is no connection at the moment');
  await io.stdout.until('resumed');
  await type('/close', 'closed');
  const { code, out } = await done;
  t.equal(code, 0);
  t.match(out, /closed\S*: 2\.2 CLIENT DISCONNECT, by us/);
});

t.test('--ping tells round trips, and a signal ends the session with its exit code', async (t) => {
  const { url } = await listen(t);
  for (const [signal, code] of [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const) {
    const io = fakeIo();
    const done = ran(io, [url, '--pin', PIN, '--ping', '1']);
    await io.stderr.until('pong');
    io.raise(signal);
    t.match(await done, { code, err: /closed: 2\.2 CLIENT DISCONNECT, by us/ });
  }
  const typed = fakeIo({ tty: true });
  const end = ran(typed, [url, '--pin', PIN]);
  await typed.stdout.until('connected');
  typed.stdin.write('\u0004');
  t.match(await end, { code: 0, out: /closed/ });
  const broken = fakeIo({ tty: true });
  const cut = ran(broken, [url, '--pin', PIN]);
  await broken.stdout.until('connected');
  broken.stdin.write('\u0003');
  t.match(await cut, { code: EXIT.interrupted });
});

t.test('it goes through TLS as well', async (t) => {
  const { url } = await listen(t, OWN, echo, { tls: { cert: CERT, key: KEY } });
  t.match(await run([url, '--pin', PIN, '-1'], 'x\n'), { code: 1, err: /TLS failed/ });
  t.match(await run([url, '--pin', PIN, '-1', '--insecure'], 'x\n'), { code: 0, out: 'x\n' });
  const ca = ['--ca', join(t.testdir({ 'ca.pem': CERT }), 'ca.pem')];
  t.match(await run([url, '--anonymous', '-1', ...ca], 'x\n'), { code: 0, err: /with the server that TLS has proved/ });
  t.match(await run([url, '--anonymous', '-1', '-k'], 'x\n'), { code: 0, err: /somebody in between could read it/ });
});

t.test('--help knows the flags', async (t) => {
  const io = fakeIo();
  t.equal(await main(['connect', '--help'], io), 0);
  for (const words of [
    '--packets ',
    '--pin SHA256',
    '--anchor FILE',
    '--name NAME',
    '--anonymous ',
    '--packet-cert FILE',
    '--packet-key FILE',
    '--packet-mode required|none',
    '--unreliable ',
    '--compress ',
    '--reconnect N',
    '3 a message of a packet session',
  ]) {
    t.ok(io.stdout.text.includes(words), words);
  }
  t.ok(
    io.stdout.lines.every((line) => line.length <= 110),
    'lines fit',
  );
});
