import { join } from 'node:path';
import t, { type Test } from 'tap';
import { main } from '../../lib/cli/main.js';
import { Echo } from '../../lib/cli/serve-packets.js';
import { connect, makeCertificate, type Session } from '../../lib/index.js';
import { type FakeIo, fakeIo } from './fake-io.js';
import { CERT, KEY, OTHER_KEY } from './keys.js';
import { relay } from './relay.js';

interface Served {
  readonly io: FakeIo;
  readonly url: string;
  readonly code: Promise<number>;
}

const serve = async (t: Test, ...args: string[]): Promise<Served> => {
  const io = fakeIo();
  const code = main(['serve', '--echo', '--packets', '--port', '0', ...args], io);
  t.teardown(async () => {
    io.raise('SIGTERM');
    await code;
  });
  const first = (await Promise.race([io.stdout.until('\n'), code.then(() => io.stderr.text)])).split('\n')[0] as string;
  return { io, url: first.startsWith('{') ? (JSON.parse(first).url as string) : first, code };
};

const refuse = async (...args: string[]): Promise<{ code: number; err: string; out: string }> => {
  const io = fakeIo();
  const code = await main(['serve', '--echo', ...args], io);
  return { code, err: io.stderr.text, out: io.stdout.text };
};

const SERVER = makeCertificate({ now: Date.now(), names: ['127.0.0.1'], subject: 'echo server' });
const ALICE = makeCertificate({ now: Date.now(), subject: 'alice', names: [], usage: ['client'] });

t.test('what an echo leaves waiting is bounded in messages too, for the empty ones cost as well', async (t) => {
  let room = 0;
  let sent = 0;
  const closed: string[] = [];
  let drain = (): void => {};
  const session = {
    on: (_name: string, listener: () => void) => {
      drain = listener;
    },
    send: () => {
      if (room === 0) return { status: 'full' };
      room--;
      sent++;
      return { status: 'ok' };
    },
    close: (why: string) => closed.push(why),
  } as unknown as Session;
  const echo = new Echo(session, () => {});
  const most = (16 * 1024 * 1024) / 256;
  const empty = new Uint8Array(0);
  for (let i = 0; i < most; i++) echo.take(empty, true);
  t.strictSame(closed, []);
  room = 10;
  drain();
  t.equal(sent, 10);
  for (let i = 0; i < 10; i++) echo.take(empty, true);
  t.strictSame(closed, [], 'what was sent does not count any more');
  echo.take(empty, true);
  t.strictSame(closed, ['too much of the echo is not taken']);
});

const files = (t: Test): Readonly<Record<'cert' | 'key' | 'alice' | 'other' | 'bad', string>> => {
  const dir = t.testdir({
    'cert.pem': SERVER.certificatePem,
    'key.pem': SERVER.keyPem,
    'alice.pem': ALICE.certificatePem,
    'other.pem': OTHER_KEY,
    'bad.pem': 'not a certificate',
  });
  const file = (name: string): string => join(dir, `${name}.pem`);
  return { cert: file('cert'), key: file('key'), alice: file('alice'), other: file('other'), bad: file('bad') };
};

const next = (session: Session): Promise<[string, boolean]> =>
  new Promise((resolve) => {
    session.once('message', (data, { reliable }) => resolve([Buffer.from(data).toString(), reliable]));
  });

const logOf = ({ stderr }: FakeIo): Record<string, unknown>[] => stderr.lines.map((line) => JSON.parse(line));

t.test('it says how to connect, and echoes every message by its own reliability', async (t) => {
  const { cert, key } = files(t);
  const { io, url } = await serve(t, '--packet-cert', cert, '--packet-key', key);
  const pin = SERVER.info.fingerprint;
  t.match(io.stderr.text, `try: wsd connect ${url}\n     wsd connect --packets --pin ${pin} ${url}\n`);
  const session = await connect(url, { packets: { pins: [pin] } });
  t.match(session.peer, { subject: 'CN=echo server' });
  for (const reliable of [true, false]) {
    const answer = next(session);
    session.send(`hello ${reliable}`, { reliable });
    t.strictSame(await answer, [`hello ${reliable}`, reliable]);
  }
  // It fits into 255 fragments deflated only.
  const long = 'x'.repeat(500_000);
  const answer = next(session);
  t.equal(await session.send(long, { compress: true }), 'acknowledged');
  t.equal((await answer)[0], long, 'what came deflated may have to go back so');
  const plain = await connect(url);
  const echo = new Promise((resolve) => plain.on('message', resolve));
  plain.send('plain');
  t.equal(String(await echo), 'plain', 'plain messages are served beside');
  await plain.close();
  await session.close();
  await io.stderr.until('closed 2.2');
  t.match(io.stderr.text, /· session 1 opened by 127\.0\.0\.1, anonymous\n/);
  t.match(
    io.stderr.text,
    /session 1 closed 2\.2 CLIENT DISCONNECT \(the client is leaving\), by the client, after .*, 3 messages, 500,021 bytes/,
  );
});

t.test('thousands of messages at once come back, all and in order', async (t) => {
  const { url } = await serve(t, '--quiet');
  const session = await connect(url, { packets: { anonymous: true } });
  const got: number[] = [];
  const all = new Promise<void>((resolve) => {
    session.on('message', (data) => {
      if (got.push(Number(Buffer.from(data).toString())) === 2000) resolve();
    });
  });
  for (let i = 0; i < 2000; i++) while (session.send(String(i)).status === 'full') await session.drained();
  await all;
  t.strictSame(
    got,
    Array.from({ length: 2000 }, (_, i) => i),
  );
  await session.close();
});

t.test('a session that is cut is resumed, and the log tells it in JSON', async (t) => {
  const { io, url } = await serve(t, '--json');
  const between = await relay(t, url);
  const session = await connect(between.url, { packets: { anonymous: true, reconnect: { min: 1, max: 5 } } });
  const { id } = session;
  const resumed = new Promise((resolve) => session.once('open', resolve));
  between.cut();
  await io.stderr.until('"session-detach"');
  t.equal(await resumed, 'resumed');
  const answer = next(session);
  t.equal(await session.send('after'), 'acknowledged');
  await answer;
  await session.close();
  await io.stderr.until('"session-close"');
  t.match(logOf(io), [
    { level: 'info', event: 'session-open', session: 1, id, remote: '127.0.0.1', identity: 'anonymous' },
    { level: 'info', event: 'session-detach', session: 1, reason: 'lost', unacknowledged: 0 },
    { level: 'info', event: 'session-resume', session: 1, id },
    {
      level: /info|warn/,
      event: 'session-close',
      session: 1,
      code: '2.2 CLIENT DISCONNECT',
      by: 'remote',
      messages: 1,
      bytes: 5,
    },
  ]);
});

t.test('a session nobody comes back to ends, and says so', async (t) => {
  const { io, url } = await serve(t, '--json', '--resume-ttl', '20');
  const between = await relay(t, url);
  const session = await connect(between.url, { packets: { anonymous: true, reconnect: false } });
  between.cut();
  t.match(await session.closed, { by: 'local' });
  await io.stderr.until('"session-close"');
  t.match(logOf(io).at(-1), { level: 'warn', event: 'session-close', by: 'expiry', clean: false });
});

t.test('clients show certificates where that is wanted', async (t) => {
  const pin = ALICE.info.fingerprint;
  const own = { certificate: ALICE.certificatePem, key: ALICE.keyPem };
  const { io, url } = await serve(t, '--json', '--client-certificate', 'required', '--pin', pin);
  const alice = await connect(url, { packets: { anonymous: true, ...own } });
  await io.stderr.until('session-open');
  t.match(logOf(io)[0], { event: 'session-open', identity: pin, subject: 'CN=alice' });
  await alice.close();
  await t.rejects(connect(url, { packets: { anonymous: true } }), { code: 'WSD_DIAL_SESSION' });
  await io.stderr.until('session-refuse');
  t.match(logOf(io).at(-1), {
    level: 'warn',
    event: 'session-refuse',
    code: '1.2 CERTIFICATE INVALID',
    theirs: false,
    remote: '127.0.0.1',
    detail: 'the client shows no certificate',
  });
  const optional = await serve(t, '--client-certificate', 'optional', '--pin', pin);
  for (const more of [own, {}]) {
    await (await connect(optional.url, { packets: { anonymous: true, ...more } })).close();
  }
  await optional.io.stderr.until('session 2 closed');
  t.match(optional.io.stderr.text, `session 1 opened by 127.0.0.1, CN=alice (pin ${pin})`);
  t.match(optional.io.stderr.text, 'session 2 opened by 127.0.0.1, anonymous');
});

t.test('a client that does not trust the server is told of, and so is another mode', async (t) => {
  const { io, url } = await serve(t);
  await t.rejects(connect(url, { packets: { pins: ['00'.repeat(32)] } }));
  t.match(
    await io.stderr.until('1.2'),
    /! 127\.0\.0\.1 refused the session: 1\.2 CERTIFICATE INVALID \(the certificate is not accepted\)/,
  );
  const other = await connect(url, { packets: { mode: 'none' } });
  other.send('in clear');
  t.match(await other.closed, { by: 'remote', code: '1.0 CONNECTION' });
  t.match(
    io.stderr.text,
    /refused a session of 127\.0\.0\.1: 1\.0 CONNECTION \(the other end has another security mode\)/,
  );
});

t.test('mode none serves clear packets', async (t) => {
  const { io, url } = await serve(t, '--packet-mode', 'none', '--max-message', '64k');
  t.match(io.stderr.text, `wsd connect --packets --packet-mode none ${url}`);
  const session = await connect(url, { packets: { mode: 'none' } });
  const answer = next(session);
  session.send('clear');
  t.strictSame(await answer, ['clear', true]);
  await session.close();
  t.match(io.stderr.text, 'session 1 opened by 127.0.0.1, in clear');
});

t.test('--max-sessions turns away whoever comes after', async (t) => {
  const { io, url } = await serve(t, '--max-sessions', '1');
  const first = await connect(url, { packets: { anonymous: true } });
  await t.rejects(connect(url, { packets: { anonymous: true } }), { message: /1\.1 NO SPACE/ });
  await io.stderr.until('1.1 NO SPACE');
  await first.close();
});

t.test('the first signal says farewell to the sessions, and the exit code is 0', async (t) => {
  const { io, url, code } = await serve(t);
  const session = await connect(url, { packets: { anonymous: true } });
  io.raise('SIGTERM');
  t.match(await session.closed, { code: '2.1 SERVER DISCONNECT', by: 'remote' });
  t.equal(await code, 0);
  t.match(io.stderr.text, 'SIGTERM: closing 0 connections, 1 session\n');
  t.match(io.stderr.text, /session 1 closed 2\.1 SERVER DISCONNECT, by us/);
});

t.test('what is wrong with the certificates is told with exit code 1', async (t) => {
  const { cert, key, other, bad } = files(t);
  for (const [args, err] of [
    [
      ['--packet-cert', bad, '--packet-key', key],
      /^wsd: .*bad\.pem: a certificate is expected: this is neither PEM nor DER$/,
    ],
    [['--packet-cert', cert, '--packet-key', other], /the key does not belong to the certificate$/],
    [['--packet-cert', 'none.pem', '--packet-key', key], /cannot read none\.pem: there is no such file$/],
    [
      ['--anchor', cert, '--client-certificate', 'required'],
      /is not the certificate of a CA: to trust it alone, pin it$/,
    ],
  ] as const) {
    const ran = await refuse('--packets', ...args);
    t.match({ ...ran, err: ran.err.trimEnd() }, { code: 1, out: '', err });
    t.equal(ran.err.trimEnd().split('\n').length, 1, 'one line');
  }
  const tls = t.testdir({ 'cert.pem': CERT, 'key.pem': KEY });
  const wss = await serve(t, '--tls-cert', join(tls, 'cert.pem'), '--tls-key', join(tls, 'key.pem'));
  t.match(wss.io.stderr.text, `wsd connect --packets --anonymous ${wss.url} --ca ${join(tls, 'cert.pem')}`);
});

t.test('flags that say nothing, or contradict each other, are usage errors', async (t) => {
  const pin = '0'.repeat(64);
  for (const [args, err] of [
    [['--packet-cert', 'x'], /--packet-cert is for packet sessions: add --packets/],
    [['--max-sessions', '5'], /add --packets/],
    [['--packets', '--packet-key', 'x'], /--packet-cert and --packet-key go together/],
    [['--packets', '--packet-mode', 'clear'], /--packet-mode takes required or none, not "clear"/],
    [['--packets', '--client-certificate', 'maybe'], /--client-certificate takes none, optional or required/],
    [['--packets', '--client-certificate', 'required'], /needs to know whom to trust: add --pin or --anchor/],
    [['--packets', '--pin', pin], /add --client-certificate required or optional/],
    [['--packets', '--pin', 'abc', '--client-certificate', 'required'], /--pin takes the SHA-256 of a certificate/],
    [['--packets', '--packet-mode', 'none', '--packet-cert', 'x'], /has no handshake: --packet-cert would do nothing/],
    [['--packets', '--max-sessions', '0'], /--max-sessions takes a whole number from 1/],
    [['--packet'], /unknown option --packet: did you mean --packets\?/],
  ] as const) {
    t.match(await refuse(...args), { code: 2, out: '', err }, args.join(' '));
  }
});

t.test('--help and completion know the flags', async (t) => {
  const io = fakeIo();
  t.equal(await main(['serve', '--help'], io), 0);
  for (const words of [
    '--packets ',
    '--packet-cert FILE',
    '--packet-key FILE',
    '--client-certificate none|optional|required',
    '--pin SHA256',
    '--anchor FILE',
    '--packet-mode required|none',
    '--max-sessions N',
    '(default 10000)',
    '--resume-ttl MS',
    'wsd serve --echo --packets --packet-cert wsd-cert.pem --packet-key wsd-key.pem',
  ]) {
    t.ok(io.stdout.text.includes(words), words);
  }
  t.ok(
    io.stdout.lines.every((line) => line.length <= 100),
    'no line is longer than 100 characters',
  );
  const shell = fakeIo();
  t.equal(await main(['completion', 'bash'], shell), 0);
  t.match(shell.stdout.text, /serve\) flags='[^']*--packets --packet-cert [^']*--resume-ttl/);
  t.match(shell.stdout.text, /connect\) flags='[^']*--packets --pin [^']*--reconnect/);
});
