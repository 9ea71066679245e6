import { once } from 'node:events';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { EXIT } from '../../lib/cli/command.js';
import { main } from '../../lib/cli/main.js';
import {
  type Connection,
  createServer,
  type Listening,
  type ListenOptions,
  type ServerOptions,
} from '../../lib/index.js';
import { type FakeIo, fakeIo } from './fake-io.js';
import { CERT, KEY } from './keys.js';

type OnConnection = (connection: Connection<undefined>) => void;

const echo: OnConnection = (connection) => {
  connection.on('message', (data, binary) => connection.send(data, { binary }));
};

const listen = async (
  t: Test,
  onConnection: OnConnection = echo,
  options: ServerOptions = {},
  where: ListenOptions = {},
): Promise<Listening> => {
  const server = createServer(options, onConnection);
  t.teardown(() => server.close({ drain: 100 }));
  return server.listen(where);
};

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const ran = async (io: FakeIo, args: readonly string[]): Promise<Ran> => {
  const code = await main(['connect', ...args], io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

const run = (args: readonly string[], stdin?: string | Uint8Array): Promise<Ran> =>
  ran(fakeIo(stdin === undefined ? {} : { stdin }), args);

t.test('lines of stdin are text messages, and answers are lines of stdout', async (t) => {
  const { url } = await listen(t);
  const { code, out, err } = await run([url, '--wait', '200'], 'eins\nzwei\n\nümläut 😀');
  t.equal(code, 0);
  t.equal(out, 'eins\nzwei\n\nümläut 😀\n');
  t.match(err, new RegExp(`^connected ${url}\\nclosed 1000 normal closure, by us\\n$`));
});

t.test('--once closes after the first answer, however long it takes', async (t) => {
  const { url } = await listen(t, (connection) => {
    connection.on('message', () => {
      connection.send('first');
      connection.send('second');
    });
  });
  t.strictSame(await run([url, '--once', '--quiet'], 'hello\n'), { code: 0, out: 'first\n', err: '' });
});

t.test('--wait forever stays until the server closes', async (t) => {
  const { url } = await listen(t, (connection) => {
    connection.send('news');
    void connection.close(1000, 'that was all');
  });
  const { code, out, err } = await run([url, '--wait', 'forever'], '');
  t.strictSame([code, out], [0, 'news\n']);
  t.match(err, /closed 1000 normal closure "that was all", by the server/);
});

t.test('a server that closes with a verdict of its own is a failure, one that is done or leaves is none', async (t) => {
  for (const [closing, expected] of [
    [1000, 0],
    [1001, 0],
    [1008, 1],
    [1011, 1],
    [4001, 1],
  ] as const) {
    const { url } = await listen(t, (connection) => void connection.close(closing));
    t.match(await run([url, '--wait', 'forever'], ''), { code: expected, err: new RegExp(`closed ${closing} `) });
  }
  const { url } = await listen(t, echo, { maxMessage: 10 });
  const file = join(t.testdir({ big: 'x'.repeat(11) }), 'big');
  t.match(await run([url, '--file', file, '--wait', 'forever'], ''), { code: 1, err: /1009/ });
  t.match(await run([url, '--wait', 'forever'], `${'x'.repeat(11)}\n`), { code: 1, err: /1009/ });
});

t.test('an end of ours that crosses a verdict of the server does not hide it', async (t) => {
  // The server is told to close while our close is on its way: it answers with a code of its own.
  const { url } = await listen(t, (connection) => {
    connection.on('message', () => {
      void connection.close(4001);
    });
  });
  t.match(await run([url, '--wait', '0', '--close', '4000'], 'x\n'), { code: 1, err: /4001/ });
});

t.test('--binary sends bytes as they are and writes bytes as they come', async (t) => {
  const { url } = await listen(t);
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31) & 255);
  const io = fakeIo({ stdin: bytes });
  const { code } = await ran(io, [url, '--binary', '--quiet', '--wait', '300']);
  t.equal(code, 0);
  t.ok(Buffer.from(io.stdout.bytes).equals(bytes));
});

t.test('--hex speaks hexadecimal both ways, and refuses what is none', async (t) => {
  const { url } = await listen(t);
  t.match(await run([url, '--hex', '--once'], '00 ff 81\n'), { code: 0, out: '00ff81\n' });
  t.match(await run([url, '--hex', '--once'], '00\nxyz\n'), { code: 1, err: /line 2 of stdin is not hexadecimal/ });
});

t.test('files are whole messages: text if they are UTF-8, else binary', async (t) => {
  const { url } = await listen(t, (connection) => {
    connection.on('message', (data, binary) => connection.send(`${binary ? 'binary' : 'text'} of ${data.length}`));
  });
  const dir = t.testdir({ 'a.txt': 'some\nlines\n', 'b.bin': Buffer.from([0xff, 0xfe]) });
  const files = ['--file', join(dir, 'a.txt'), '-f', join(dir, 'b.bin')];
  t.match(await run([url, ...files, '--wait', '200'], ''), { code: 0, out: 'text of 11\nbinary of 2\n' });
  t.match(await run([url, '--file', join(dir, 'none')], ''), {
    code: 1,
    err: /cannot read .*none: there is no such file/,
  });
});

t.test('headers, subprotocols and the origin reach the server; a header may come from a file', async (t) => {
  const seen: Record<string, string | undefined>[] = [];
  const { url } = await listen(
    t,
    (connection) => {
      const { fields, origin } = connection.request;
      seen.push({
        token: fields.get('authorization'),
        extra: fields.get('x-extra'),
        origin,
        subprotocol: connection.subprotocol,
      });
      void connection.close(1000);
    },
    { subprotocols: ['superchat', 'chat'], origins: 'any' },
  );
  const dir = t.testdir({ 'token.txt': 'Authorization: Bearer hunter2\n\nX-Extra: 1\n' });
  const args = [
    url,
    '-H',
    `@${join(dir, 'token.txt')}`,
    '-s',
    'chat',
    '-s',
    'superchat',
    '--origin',
    'https://app.example',
    '-v',
  ];
  const { code, out, err } = await run(args);
  t.equal(code, 0);
  t.strictSame(seen, [
    { token: 'Bearer hunter2', extra: '1', origin: 'https://app.example', subprotocol: 'superchat' },
  ]);
  t.match(err, /subprotocol superchat/);
  t.notMatch(out + err, 'hunter2', 'secrets are not printed');
});

t.test('headers that none may be are refused without repeating their value', async (t) => {
  for (const header of ['hunter2', ': hunter2', 'Na me: hunter2', 'Name: hunter2\r\nEvil: 1', 'Name: hunter2\u0000']) {
    const { code, err } = await run(['ws://127.0.0.1:9', '-H', header], '');
    t.equal(code, 2);
    t.notMatch(err, 'hunter2');
  }
});

t.test('a refusal is told with its status, and the exit code is 1', async (t) => {
  const { url } = await listen(t, echo, { path: '/chat' });
  const { code, out, err } = await run([`${url}/secret?token=hunter2`], '');
  t.strictSame([code, out], [1, '']);
  t.match(err, /^wsd: cannot connect to ws:\/\/127\.0\.0\.1:\d+\/secret\?…: .*404/);
  t.notMatch(err, 'hunter2');
  t.equal(err.trimEnd().split('\n').length, 1);
  const json = await run([url, '--json'], '');
  t.match(JSON.parse(json.out), { type: 'error', status: 404 });
});

t.test('nobody there, no HTTP there and no URL are three different sentences', async (t) => {
  const free = createNetServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as { port: number };
  free.close();
  await once(free, 'close');
  t.match(await run([String(port)], ''), {
    code: 1,
    err: /^wsd: cannot connect to ws:\/\/127\.0\.0\.1:\d+: nobody listens there \(ECONNREFUSED 127\.0\.0\.1:\d+\)\n$/,
  });
  const babble = createNetServer((socket) => {
    socket.on('error', () => {});
    socket.end('220 smtp.example ESMTP\r\n');
  }).listen(0, '127.0.0.1');
  await once(babble, 'listening');
  t.teardown(() => babble.close());
  const other = (babble.address() as { port: number }).port;
  t.match(await run([String(other)], ''), { code: 1, err: /the answer is not HTTP/ });
  t.match(await run(['ftp://127.0.0.1/'], ''), { code: 2, err: /not a ws or wss URL/ });
  t.match(await run(['ws://127.0.0.1/', 'more'], ''), { code: 2, err: /what is "more"\?/ });
});

t.test('a connection that breaks is an unclean close with exit code 1', async (t) => {
  const { url } = await listen(t, (connection) => {
    connection.on('message', () => connection.terminate());
  });
  t.match(await run([url, '--wait', 'forever'], 'x\n'), { code: 1, err: /closed uncleanly 1006/ });
});

t.test('--close says with what to close', async (t) => {
  const outcomes: Promise<{ code: number; reason: string }>[] = [];
  const { url } = await listen(t, (connection) => {
    echo(connection);
    outcomes.push(connection.closed);
  });
  t.match(await run([url, '--close', '4000:see you', '--wait', '0'], ''), { code: 0 });
  t.match(await outcomes[0], { code: 4000, reason: 'see you', clean: true, initiator: 'remote' });
  t.match(await run([url, '--close', '1006'], ''), { code: 2, err: /a close code is/ });
});

t.test('--ping tells round-trip times', async (t) => {
  const { url } = await listen(t);
  const io = fakeIo();
  const done = ran(io, [url, '--ping', '0.01']);
  await io.stderr.until('pong');
  io.stdin.end();
  t.match(await done, { code: 0, out: '', err: /pong \d+\.\d\d ms|pong \d+ ms/ });
});

t.test('--json writes every event as one object a line', async (t) => {
  const { url } = await listen(t, (connection) => {
    echo(connection);
    connection.send(Uint8Array.of(0, 255));
  });
  const { code, out, err } = await run([url, '--json', '--wait', '200'], 'hello\n');
  t.strictSame([code, err], [0, '']);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(events, [
    { type: 'open', url, subprotocol: '', extensions: '' },
    { type: 'message', binary: true, base64: 'AP8=' },
    { type: 'message', binary: false, data: 'hello' },
    { type: 'close', code: 1000, reason: '', clean: true, initiator: 'local' },
  ]);
  t.ok(events.every(({ time }) => !Number.isNaN(Date.parse(time))));
});

t.test('--deflate offers compression, --no-deflate does not', async (t) => {
  const { url } = await listen(t, echo, { deflate: true });
  t.match((await run([url, '--deflate', '--once'], 'squeeze me\n')).err, /connected .*permessage-deflate/);
  t.notMatch((await run([url, '--no-deflate', '--once'], 'squeeze me\n')).err, /permessage-deflate/);
});

t.test('--max-message limits what comes in', async (t) => {
  const { url } = await listen(t);
  t.match(await run([url, '--max-message', '1k', '--wait', 'forever'], `${'x'.repeat(1025)}\n`), {
    code: 1,
    err: /1009/,
  });
});

t.test('TLS is verified unless --insecure, or --ca trusts it', async (t) => {
  const { url } = await listen(t, echo, {}, { tls: { cert: CERT, key: KEY } });
  t.match(url, /^wss:/);
  t.match(await run([url, '--once'], 'x\n'), {
    code: 1,
    err: /: TLS failed: self-signed certificate\n.*--ca FILE trusts its certificate/,
  });
  t.match(JSON.parse((await run([url, '--once', '--json'], 'x\n')).out), { code: 'WSD_DIAL_TLS', hint: /--ca FILE/ });
  t.match(await run([url, '--once', '-k'], 'x\n'), { code: 0, out: 'x\n' });
  const ca = join(t.testdir({ 'ca.pem': CERT }), 'ca.pem');
  t.match(await run([url, '--once', '--ca', ca], 'x\n'), { code: 0, out: 'x\n' });
});

t.test('a signal closes the connection and is the exit code', async (t) => {
  const { url } = await listen(t);
  for (const [signal, code] of [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const) {
    const io = fakeIo();
    const done = ran(io, [url]);
    await io.stderr.until('connected');
    io.raise(signal);
    t.match(await done, { code, err: /closed 1000/ });
  }
});

t.test('a signal while it still connects ends it as well', async (t) => {
  const silent = createNetServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const { port } = silent.address() as { port: number };
  const io = fakeIo();
  const done = ran(io, [String(port)]);
  await once(silent, 'connection');
  io.raise('SIGINT');
  t.match(await done, { code: EXIT.interrupted, out: '' });
  t.match(await run([String(port), '--timeout', '50'], ''), { code: 1, err: /the opening handshake took too long/ });
});

t.test('at a terminal one types lines and commands, and what comes cannot move the cursor', async (t) => {
  const { url } = await listen(t, (connection) => {
    connection.on('message', (data, binary) => {
      connection.send(binary ? data : `got ${data as string}\u001b[2J`, { binary });
    });
  });
  const io = fakeIo({ tty: true });
  const done = ran(io, [url]);
  await io.stdout.until('connected');
  const type = async (line: string, answer: string): Promise<void> => {
    io.stdin.write(`${line}\n`);
    await io.stdout.until(answer);
  };
  await type('hello', 'got hello\\x1b[2J');
  await type('//slash', 'got /slash');
  await type('/hex 01 02 ff', '01 02 ff');
  await type('/ping', 'ms');
  await type('/help', '/close [CODE [REASON]]');
  await type('/nonsense', 'unknown /nonsense');
  await type('/file /nonexistent/x', 'ENOENT');
  await type('/close 4000 bye', 'closed');
  const { code, out } = await done;
  t.equal(code, 0);
  t.match(out, /closed\S* 4000 private, by us/);
});

t.test('the end of typing closes with 1000, and Ctrl-C is the exit code 130', async (t) => {
  const { url } = await listen(t);
  const typed = fakeIo({ tty: true });
  const first = ran(typed, [url]);
  await typed.stdout.until('connected');
  typed.stdin.write('\u0004');
  t.match(await first, { code: 0, out: /1000 normal closure/ });
  const broken = fakeIo({ tty: true });
  const second = ran(broken, [url]);
  await broken.stdout.until('connected');
  broken.stdin.write('\u0003');
  t.match(await second, { code: EXIT.interrupted });
});
