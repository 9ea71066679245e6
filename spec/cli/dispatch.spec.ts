import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { main } from '../../lib/cli/main.js';
import { version } from '../../lib/cli/version.js';
import { connect, createNode, defineScope, type Node, scopesFromDeclarations } from '../../lib/index.js';
import { type FakeIo, fakeIo, PATIENCE } from './fake-io.js';
import { CERT, KEY } from './keys.js';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const run = async (args: readonly string[], stdin: string | Uint8Array = '', env = {}): Promise<Ran> => {
  const io = fakeIo({ stdin, env });
  const code = await main(args, io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

interface Served {
  readonly io: FakeIo;
  readonly url: string;
  readonly data: string;
  /** Raises SIGTERM and settles with the exit code. */
  readonly stop: () => Promise<number>;
  readonly credential: (node: string) => string;
}

/** Starts `wsd serve` on a free port and waits for its URL; ends it with the test. */
const serve = async (t: Test, data: string, ...args: string[]): Promise<Served> => {
  const io = fakeIo();
  const code = main(['serve', '--data', data, '--port', '0', ...args], io);
  const stop = async (): Promise<number> => {
    io.raise('SIGTERM');
    return code;
  };
  t.teardown(stop);
  const first = await Promise.race([io.stdout.until('\n'), code.then(() => io.stderr.text)]);
  const line = first.split('\n')[0] as string;
  const url = line.startsWith('{') ? (JSON.parse(line).url as string) : line;
  return { io, url, data, stop, credential: (node) => join(data, 'credentials', `${node}.json`) };
};

const node = async (t: Test, file: string, prepare?: (node: Node) => unknown): Promise<Node> => {
  const made = await createNode({ credential: await readFile(file, 'utf8'), reconnect: false }, prepare);
  t.teardown(() => made.close());
  return made;
};

const KEYS = /PRIVATE KEY|MIG[A-Za-z0-9+/]{8}|"secret"/;

/** Everything in a text that is a secret of this data directory. */
const secretsIn = async (data: string): Promise<string[]> => {
  const secrets: string[] = [];
  for (const folder of ['', 'nodes', 'credentials']) {
    for (const name of await readdir(join(data, folder))) {
      if (!/\.(?:json|pem)$/.test(name)) continue;
      const text = await readFile(join(data, folder, name), 'utf8');
      for (const [, secret] of text.matchAll(/"secret": "([^"]+)"/g)) secrets.push(secret as string);
      for (const [, key] of text.matchAll(/BEGIN PRIVATE KEY-----(?:\\n|\n)([A-Za-z0-9+/]{40})/g))
        secrets.push(key as string);
    }
  }
  return secrets;
};

t.test('the first start makes everything and says exactly what to type', async (t) => {
  const data = join(t.testdir(), 'wsd');
  const { io, url, stop, credential } = await serve(t, data);
  await io.stderr.until('--packets --pin');
  t.equal(io.stdout.text, `${url}\n`, 'nothing else is on stdout');
  t.match(io.stderr.text, `made the keys of a new dispatch in ${data}`);
  t.match(io.stderr.text, `a first service: ${credential('service-1')}`);
  t.match(io.stderr.text, `a first front:   ${credential('front-1')}`);
  const commands = [...io.stderr.text.matchAll(/wsd (call .*)$/gm)].map(([, words]) => (words as string).split(' '));
  t.equal(commands.length, 3);
  for (const words of commands) {
    const ran = await run(words);
    t.match(ran, { code: 0, out: '', err: /answered by dispatch after/ }, words.join(' '));
  }
  const [, words = ''] = /wsd (token .*)$/m.exec(io.stderr.text) ?? [];
  t.match(await run(words.replace('NAME', 'svc-a').split(' ')), { code: 0 }, words);
  await io.stderr.until('service-1 is here: service, key service-1.1.');
  const secrets = await secretsIn(data);
  t.ok(secrets.length >= 6);
  t.equal(await stop(), 0);
  for (const secret of secrets) t.notOk(`${io.stdout.text}${io.stderr.text}`.includes(secret), 'no secret is told');
  t.match(io.stderr.text, /SIGTERM: 0 nodes are told\n.* closed 0 cleanly, cut 0/);
});

t.test('the second start keeps what is there; with --json the first line is one object', async (t) => {
  const data = join(t.testdir(), 'wsd');
  t.match(await run(['init', '--data', data, '--json']), { code: 0, err: '' });
  const { io, url } = await serve(t, data, '--json');
  const first = JSON.parse(io.stdout.text) as Record<string, unknown>;
  t.match(first, { url, pid: process.pid, version, directory: data, pin: /^[0-9a-f]{64}$/ });
  t.notOk('service' in first, 'made before');
  const secure = await run([
    'call',
    url,
    'ping',
    '-c',
    join(data, 'credentials', 'front-1.json'),
    '--user',
    '1',
    '--channel',
    '2',
    '--packets',
    '--pin',
    String(first['pin']),
  ]);
  t.match(secure, { code: 0 });
  await io.stderr.until('"event":"gone"');
  const events = io.stderr.lines.map((line) => JSON.parse(line) as { event: string });
  t.match(
    events.find(({ event }) => event === 'node'),
    { level: 'info', node: 'front-1', role: 'front', kid: /^front-1\.1\.[0-9a-f]{8}$/ },
  );
});

t.test('one data directory has one daemon', async (t) => {
  const data = join(t.testdir(), 'wsd');
  const { url, stop } = await serve(t, data);
  const second = await run(['serve', '--data', data, '--port', '0']);
  t.match(second, {
    code: 1,
    out: '',
    err: `another wsd serves the data directory ${data} (process ${process.pid}, ${url}): stop it, or choose another with --data`,
  });
  t.equal(await stop(), 0);
  const third = await serve(t, data);
  t.equal(await third.stop(), 0, 'free again');
});

t.test('nodes are let in, get new keys and are shut out while it runs', async (t) => {
  const data = join(t.testdir(), 'wsd');
  const { io, url, credential } = await serve(t, data);
  const added = await run([
    'token',
    '--node',
    'svc-a',
    '--role',
    'service',
    '--data',
    data,
    '--users',
    '7, 8',
    '--assign',
  ]);
  t.match(added, {
    code: 0,
    out: /^key +svc-a\.1\.[0-9a-f]{8}, ES256$/m,
    err: `wsd call ${url} PING --credential ${credential('svc-a')}`,
  });
  t.notMatch(added.out + added.err, KEYS);
  t.match(JSON.parse(await readFile(credential('svc-a'), 'utf8')), { url, node: 'svc-a', role: 'service' });
  const one = await node(t, credential('svc-a'));
  await io.stderr.until('svc-a is here');
  const own = credential('service-1');
  const rotated = await run(['token', '--node', 'svc-a', '--rotate', '--grace', '1m', '--data', data, '--json']);
  t.match(JSON.parse(rotated.out), { file: credential('svc-a'), kid: /^svc-a\.2\.[0-9a-f]{8}$/, alg: 'ES256' });
  t.notMatch(rotated.out, KEYS);
  await one.call(defineScope({ id: 1000, name: 'X', reply: { scope: 1 } }), undefined, { timeout: 2000 }).then(
    () => t.fail('nobody answers that'),
    (error: unknown) => t.match(error, { code: 'unknown_scope' }, 'the old key is still good'),
  );
  t.match(await run(['call', 'PING', '-c', credential('svc-a')]), { code: 0 }, 'and so is the new one');
  const two = await node(t, credential('svc-a'));
  t.match(await run(['token', '--node', 'svc-a', '--revoke', '--data', data]), { code: 0, out: 'svc-a is shut out\n' });
  t.match(await two.closed, { code: 4003 }, 'its connection ends');
  await io.stderr.until('svc-a is shut out');
  await t.rejects(stat(credential('svc-a')));
  // Shut out and let in again at once, between two looks: who comes by the old credential is not who was let in.
  const token = (...more: string[]): Promise<Ran> => run(['token', '--node', 'svc-b', ...more, '--data', data]);
  t.match(await token('--role', 'service', '--alg', 'HS256'), { code: 0 });
  const thief = await node(t, credential('svc-b'));
  t.match(await token('--revoke'), { code: 0 });
  t.match(await token('--role', 'service', '--alg', 'HS256'), { code: 0 });
  t.match(await thief.closed, { code: 4003, reason: 'revoked' }, 'its connection ends');
  await node(t, credential('svc-b'));
  t.match(await run(['call', url, 'PING', '-c', own]), { code: 0 }, 'others stay');
  const wrong: readonly [string[], Ran][] = [
    [['--node', 'svc-z', '--revoke'], { code: 1, out: '', err: /svc-z is not known/ as never }],
    [
      ['--node', 'service-1', '--role', 'service'],
      { code: 1, out: '', err: /service-1 is known already: --rotate/ as never },
    ],
    [['--role', 'service'], { code: 2, out: '', err: /say which node: --node NAME/ as never }],
    [['--node', 'x'], { code: 2, out: '', err: /say what the node is: --role/ as never }],
    [['--node', '../x', '--role', 'service'], { code: 2, out: '', err: /a node is named by/ as never }],
    [['--node', 'x', '--role', 'service', '--users', 'a'], { code: 2, out: '', err: /a user is a Snowflake/ as never }],
    [
      ['--node', 'x', '--role', 'service', '--scopes', '1;2'],
      { code: 2, out: '', err: /--scopes takes whole numbers/ as never },
    ],
    [
      ['--node', 'x', '--role', 'service', '--url', 'http:'],
      { code: 2, out: '', err: /url must begin with ws/ as never },
    ],
    [['--node', 'x', '--role', 'dispatch'], { code: 2, out: '', err: /--role takes service or front/ as never }],
    [['--node', 'x', '--rotate', '--revoke'], { code: 2, out: '', err: /--rotate excludes --revoke/ as never }],
    [['--node', 'x', '--rotate', '--users', '1'], { code: 2, out: '', err: /--rotate excludes --users/ as never }],
    [['--node', 'x', '--revoke', '--out', 'f'], { code: 2, out: '', err: /--revoke excludes --out/ as never }],
    [
      ['--node', 'x', '--role', 'service', '--grace', '1m'],
      { code: 2, out: '', err: /--grace goes with --rotate/ as never },
    ],
    [['x', '--role', 'service'], { code: 2, out: '', err: /what is "x"\? name the node with --node/ as never }],
  ];
  for (const [args, expected] of wrong)
    t.match(await run(['token', ...args, '--data', data]), expected, args.join(' '));
  t.match(await run(['token', '--node', 'x', '--role', 'service', '--data', join(data, 'no')]), {
    code: 1,
    err: /is no data directory: wsd init makes one/,
  });
});

t.test('credentials say the lease of the daemon, wherever its configuration lies', async (t) => {
  const folder = t.testdir({ 'wsd.json': '{"lease":2000}', 'long.json': '{"lease":60000}' });
  const data = join(folder, 'wsd');
  const { credential } = await serve(t, data, '--config', join(folder, 'wsd.json'));
  const leaseOf = async (name: string): Promise<unknown> => JSON.parse(await readFile(credential(name), 'utf8')).lease;
  const token = (name: string, ...more: string[]): Promise<Ran> =>
    run(['token', '--node', name, ...more, '--data', data]);
  t.equal(await leaseOf('service-1'), 2000);
  t.match(await token('svc-a', '--role', 'service'), { code: 0 });
  t.equal(await leaseOf('svc-a'), 2000, 'of the daemon that runs');
  t.match(await token('svc-a', '--rotate', '--config', join(folder, 'long.json')), { code: 0 });
  t.equal(await leaseOf('svc-a'), 2000, 'the shorter one, while it runs');
  const one = await node(t, credential('svc-a'));
  t.equal(one.state, 'open');
});

t.test('a call prints the answer, through the dispatch and from the dispatch', async (t) => {
  const folder = t.testdir({
    'wsd.json': JSON.stringify({
      scopes: [
        {
          id: 1000,
          name: 'GREET',
          body: {
            type: 'object',
            properties: { name: { type: 'string', maxLength: 5 } },
            required: ['name'],
            additionalProperties: false,
          },
          reply: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
        },
        { id: 1001, name: 'NOTE', body: { type: 'object' } },
      ],
    }),
  });
  const [data, config] = [join(folder, 'wsd'), join(folder, 'wsd.json')];
  const { url, credential } = await serve(t, data, '--config', config);
  t.match(await run(['token', '--node', 'svc-b', '--role', 'service', '--data', data]), { code: 0 });
  const declared = JSON.parse(await readFile(config, 'utf8')) as { scopes: unknown };
  const [greet, note] = scopesFromDeclarations(declared.scopes);
  const notes: unknown[] = [];
  await node(t, credential('svc-b'), (b) => {
    b.on(
      greet as never,
      (body: { name: string }, ctx: { from: string }) =>
        ({ text: `${body.name} <- ${ctx.from} \u202e\u2028` }) as never,
    );
    b.on(note as never, (body: unknown) => void notes.push(body) as never);
    b.on(1002, { body: undefined, reply: undefined } as never, () => undefined as never);
  });
  const call = (...args: string[]): Promise<Ran> =>
    run(['call', url, ...args, '-c', credential('service-1'), '--config', config]);
  const to = ['--destination', 'svc-b'];
  const answered = await call('GREET', ...to, '--body', '{"name":"Ada"}');
  t.match(answered, { code: 0, err: '' });
  t.equal(JSON.parse(answered.out).text, 'Ada <- service-1 \u202e\u2028');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding none is the point
  t.notMatch(answered.out, /[\u0000-\u0009\u000b-\u001f\u2028\u202e]/, 'nothing a terminal would obey');
  const json = await call('1000', ...to, '--body', '{"name":"Ada"}', '--json');
  t.match(JSON.parse(json.out), {
    scope: 1000,
    from: 'svc-b',
    body: { text: /^Ada/ },
    footer: { t: Number, dt: Number, op: Number },
  });
  const file = join(folder, 'body.json');
  await writeFile(file, '{"name":"Bob"}');
  t.match((await call('greet', ...to, '-b', `@${file}`)).out, 'Bob <- service-1');
  const piped = await run(
    ['call', url, '1000', ...to, '--body', '-', '-c', credential('service-1'), '--config', config],
    '{"name":"Eve"}',
  );
  t.match(piped, { code: 0, out: /Eve <- service-1/ });
  t.match(await call('NOTE', ...to, '--body', '{"a":1}'), { code: 0, out: '', err: '' }, 'nobody answers: sent');
  t.strictSame(notes, [{ a: 1 }]);
  const front = await run([
    'call',
    'GREET',
    ...to,
    '-b',
    '{"name":"Ada"}',
    '-c',
    credential('front-1'),
    '--user',
    '1',
    '--channel',
    '2',
    '--config',
    config,
  ]);
  t.match(front, { code: 0, out: /Ada <- front-1/ }, 'where the credential says, as a front');
  const refused: readonly [string[], number, RegExp][] = [
    [['GREET', ...to, '--body', '{"name":5}'], 2, /name must be a string/],
    [['GREET', ...to], 2, /body/],
    [['UD_SAVE', '-b', '{"epoch":5,"userData":{}}'], 1, /^wsd: stale_epoch: the epoch is over/],
    [['PING', '-d', 'nobody'], 1, /^wsd: unknown_destination/],
    [['NOTE', '-d', 'nobody', '-b', '{}'], 1, /^wsd: unknown_destination/],
    [['2000', ...to, '-b', '{}'], 1, /^wsd: unknown_scope/],
    [['500', ...to], 2, /scope 500 .* is not free/],
    [['GRET'], 2, /no scope is called "GRET": did you mean GREET\?/],
    [['frobnicate'], 2, /wsd scopes shows them/],
    [['GREET', '--user', '1'], 2, /--user and --channel go together/],
    [['GREET', '-b', '[1]'], 2, /--body must be a JSON object/],
    [['GREET', '-b', '{'], 2, /--body is not JSON/],
    [['GREET', '-b', `@${file}x`], 1, /cannot read/],
    [['GREET', '--timeout', '10m'], 2, /at most 5 minutes/],
    [['GREET', '--pin', 'x'], 2, /--pin is for packet sessions: add --packets/],
    [['GREET', '--packets'], 2, /say whom to trust with --packets/],
    [['a', 'b'], 2, /takes a URL and a scope/],
  ];
  for (const [args, code, err] of refused) t.match(await call(...args), { code, out: '', err }, args.join(' '));
  const failed = await call('GREET', '-d', 'nobody', '-b', '{"name":"x"}', '--json');
  t.match(failed, { code: 1, err: '' });
  t.match(JSON.parse(failed.out), { error: { code: 'unknown_destination', scope: 1000, from: 'dispatch' } });
  t.match(await run(['call', 'PING']), { code: 2, err: /say who we are: --credential FILE/ });
  t.match(await run(['call', 'PING', '-c', join(folder, 'none')]), { code: 1, err: /there is no such file/ });
  const broken = join(folder, 'broken.json');
  await writeFile(broken, (await readFile(credential('service-1'), 'utf8')).replace('PRIVATE KEY-----', 'PRIVATE'));
  const told = await run(['call', 'PING', '-c', broken]);
  t.match(told, { code: 1, err: /broken.json: the credential is not valid/ });
  t.notMatch(told.err, /MIG[A-Za-z0-9+/]{8}/, 'and not quoted');
  const whole = await readFile(credential('front-1'), 'utf8');
  for (const secret of ['AAAA', '***']) {
    await writeFile(broken, whole.replace(/"secret": "[^"]+"/, `"secret": "${secret}"`));
    const fault = await run(['call', 'PING', '-c', broken]);
    t.match(fault, { code: 1, err: /broken.json: the credential is not valid: secret: / }, secret);
    t.notMatch(fault.err, secret);
  }
  t.match(await run(['call', 'ws://127.0.0.1:1', 'PING', '-c', credential('service-1')]), {
    code: 1,
    err: /^wsd: cannot connect to ws:\/\/127\.0\.0\.1:1: nobody listens there \(ECONNREFUSED 127\.0\.0\.1:1\)\n$/,
  });
  const stale = join(folder, 'stale.json');
  await writeFile(
    stale,
    JSON.stringify({
      ...JSON.parse(await readFile(credential('service-1'), 'utf8')),
      url: 'ws://127.0.0.1:1/?t=hunter2',
    }),
  );
  const lost = await run(['call', 'PING', '-c', stale]);
  t.equal(
    lost.err,
    `wsd: cannot connect to ws://127.0.0.1:1/?…, where ${stale} says the dispatch is: nobody listens there (ECONNREFUSED 127.0.0.1:1)
if it is elsewhere: wsd call URL PING …, or a new credential: wsd token --node service-1 --rotate --url URL
`,
  );
  t.equal(lost.code, 1);
});

t.test('a credential that is not known is refused, and the call says so', async (t) => {
  const folder = t.testdir();
  const { url } = await serve(t, join(folder, 'one'));
  t.match(await run(['init', '--data', join(folder, 'two')]), { code: 0 });
  const other = join(folder, 'two', 'credentials', 'service-1.json');
  const ran = await run(['call', url, 'PING', '-c', other]);
  t.match(ran, { code: 1, out: '', err: /^wsd: cannot connect to .*(bad_token|lost|1008)/ });
});

t.test('a packet session without packages opens, and ends when it sends what nobody takes', async (t) => {
  const { io, url } = await serve(t, join(t.testdir(), 'wsd'));
  const session = await connect(url, { packets: { anonymous: true, reconnect: false } });
  const closed = new Promise((resolve) => session.on('close', resolve));
  void session.send('hello');
  t.match(await closed, { by: 'remote', code: '2.0 DISCONNECT' });
  await io.stderr.until('ended a session of 127.0.0.1 that sent data without packages: v0.secure-package.wsd carries');
});

t.test('whoever offers no packages is told what to offer', async (t) => {
  const { io, url } = await serve(t, join(t.testdir(), 'wsd'));
  const port = Number(new URL(url.replace('ws', 'http')).port);
  const socket = dial(port, '127.0.0.1');
  socket.setTimeout(PATIENCE, () => socket.destroy());
  socket.write(
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  let heard = '';
  for await (const chunk of socket) heard += chunk;
  t.match(heard, /^HTTP\/1\.1 400 [\s\S]*offer the subprotocol v0\.package\.wsd or v0\.secure-package\.wsd/);
  await io.stderr.until('refused 127.0.0.1');
});

t.test('a broken configuration starts nothing, and is told by line and column', async (t) => {
  const folder = t.testdir({ 'bad.json': '{\n  "lisen": {}\n}', 'late.json': '{"server": {"origins": ["nonsense"]}}' });
  const data = join(folder, 'wsd');
  const bad = await run(['serve', '--data', data, '--config', join(folder, 'bad.json')]);
  t.match(bad, { code: 1, out: '', err: `wsd: ${join(folder, 'bad.json')}:2:3: lisen is not known\n` });
  await t.rejects(stat(data), 'nothing was made');
  const late = await run(['serve', '--data', data, '--config', join(folder, 'late.json'), '--port', '0']);
  t.match(late, { code: 1, out: '', err: /late.json:1:24: server.origins: origin "nonsense" must/ });
  for (const command of ['init', 'scopes'] as const) {
    t.match(await run([command, '--data', data, '--config', join(folder, 'bad.json')]), { code: 1, err: /:2:3: / });
  }
  t.match(await run(['serve', '--data', data, '--config', join(folder, 'none.json')]), {
    code: 1,
    err: /it does not exist/,
  });
});

t.test('SIGHUP reads the configuration again; a broken one changes nothing', async (t) => {
  const data = join(t.testdir(), 'wsd');
  await run(['init', '--data', data]);
  const config = join(data, 'config.json');
  const scope = (name: string, type: string): string =>
    JSON.stringify({
      scopes: [{ id: 1000, name, body: { type: 'object', properties: { a: { type } } }, reply: { type: 'object' } }],
    });
  await writeFile(config, scope('ONE', 'string'));
  const { io, url, credential, stop } = await serve(t, data);
  const [any] = scopesFromDeclarations([
    { id: 1000, name: 'ANY', body: { type: 'object' }, reply: { type: 'object' } },
  ]);
  await run(['token', '--node', 'b', '--role', 'service', '--data', data]);
  await node(t, credential('b'), (b) => b.on(any as never, () => ({}) as never));
  const asked = async (): Promise<Ran> =>
    run([
      'call',
      url,
      '1000',
      '-d',
      'b',
      '-b',
      '{"a":5}',
      '-c',
      credential('service-1'),
      '--config',
      join(data, 'none-needed.json'),
    ]);
  await writeFile(join(data, 'none-needed.json'), '{}');
  t.match(await asked(), { code: 1, err: /bad_body.*body.a must be a string/s }, 'validated by the dispatch');
  await writeFile(config, '{"scopes": [');
  t.equal(io.hangUp(), true);
  await io.stderr.until('the old configuration is kept');
  t.match(io.stderr.text, /config.json:1:13: a value is expected.*but the file ends/);
  t.match(await asked(), { code: 1, err: /bad_body/ }, 'still the old one');
  await writeFile(config, scope('TWO', 'number'));
  for (let i = 0; i < 50; i++) io.hangUp();
  await io.stderr.until('the configuration was read again');
  t.match(await asked(), { code: 0, out: '{}\n' }, 'the new one');
  await writeFile(config, JSON.stringify({ lease: 20_000, listen: { port: 1 }, log: { level: 'warn' } }));
  io.hangUp();
  await io.stderr.until('changed, but only at the next start: ');
  t.match(io.stderr.text, /only at the next start: (?:lease, listen|listen, lease)/);
  const lines = io.stderr.lines.filter((line) => line.includes('was read again')).length;
  t.ok(lines <= 4, `a storm of signals is one or two readings: ${lines} lines`);
  t.equal(await stop(), 0);
  t.equal(io.hangUp(), false, 'SIGHUP ends it again');
});

t.test('wss and a Unix socket, from the configuration', async (t) => {
  const folder = t.testdir({
    'wsd.json': '{"listen": {"tls": {"certificate": "c.pem", "key": "k.pem"}}, "url": "wss://localhost"}',
  });
  const ca = join(folder, 'c.pem');
  await writeFile(ca, CERT);
  await writeFile(join(folder, 'k.pem'), KEY);
  const data = join(folder, 'wsd');
  const { io, url, credential, stop } = await serve(t, data, '--config', join(folder, 'wsd.json'));
  t.match(url, /^wss:/);
  t.match(
    JSON.parse(await readFile(credential('service-1'), 'utf8')),
    { url: 'wss://localhost' },
    'as the configuration says',
  );
  const call = ['call', url.replace('127.0.0.1', 'localhost'), 'PING', '-c', credential('service-1')];
  t.match(await run([...call, '--ca', ca]), { code: 0 });
  t.match(await run(call), { code: 1, err: /cannot connect to .*self-signed.*\n.*--ca FILE/ }, 'not trusted by itself');
  await io.stderr.until('--packets --pin');
  const tries = [...io.stderr.text.matchAll(/wsd (call .*)$/gm)].map(([, words]) => words as string);
  t.equal(tries.length, 3);
  for (const words of tries) t.match(words, ` --ca ${ca}`, 'what to type works as it is');
  t.match(io.stderr.text, `connection: { tls: { ca: await readFile('${ca}') } }`);
  t.match(await run((tries[0] as string).replace('wss://localhost', url).split(' ')), { code: 0 });
  t.match(await run([...call, '--insecure']), { code: 0 });
  io.hangUp();
  await io.stderr.until('the configuration was read again');
  t.match(await run([...call, '--ca', ca]), { code: 0 }, 'with the certificate that was read again');
  t.equal(await stop(), 0);
  const short = await mkdtemp(join(tmpdir(), 'wsd-')); // the path of a socket must be short
  t.teardown(() => rm(short, { recursive: true, force: true }));
  const ended = fakeIo();
  const code = main(['serve', '--data', data, '--unix', join(short, 'w')], ended);
  await ended.stdout.until('\n');
  await ended.stderr.until('PING');
  t.match(ended.stderr.text, /^try: wsd call .* PING --credential .*service-1\.json/m, 'what to type, every time');
  t.match(await run(['call', ended.stdout.text.trim(), 'PING', '-c', credential('service-1')]), { code: 0 });
  ended.raise('SIGINT');
  t.equal(await code, 0);
});

t.test('init makes what serve would make, once', async (t) => {
  const home = t.testdir();
  const state = join(home, '.local', 'state', 'wsd');
  const ran = await run(['init'], '', { HOME: home });
  t.match(ran, { code: 0, out: new RegExp(`^directory +${state}$`, 'm'), err: /^try: wsd serve\n/ });
  t.match(ran.out, /^session pin +[0-9a-f]{64}$/m);
  t.notMatch(ran.out + ran.err, KEYS);
  t.match(await run(['init'], '', { HOME: home }), { code: 0, out: /was there: nothing has changed/ });
  const xdg = await run(['init', '--json', '--url', 'wss://x.example'], '', {
    HOME: home,
    XDG_STATE_HOME: join(home, 'x'),
  });
  const made = JSON.parse(xdg.out) as { directory: string; service: string };
  t.match(made, { directory: join(home, 'x', 'wsd'), made: true, pin: /^[0-9a-f]{64}$/ });
  t.match(JSON.parse(await readFile(made.service, 'utf8')), { url: 'wss://x.example' });
  t.match(await run(['init', 'word'], '', { HOME: home }), { code: 2, err: /what is "word"\?/ });
  t.match(await run(['init'], '', { XDG_STATE_HOME: 'relative' }), { code: 2, err: /there is no home directory/ });
  await chmod(state, 0o755);
  t.match(await run(['init'], '', { HOME: home }), { code: 1, err: /is open to others \(mode 755\)/ });
  await rm(state, { recursive: true });
  await writeFile(state, '');
  t.match(await run(['init'], '', { HOME: home }), { code: 1, err: /is not a folder|a part of the path/ });
});

t.test('the help of each command fits into 100 columns and names its exit codes', async (t) => {
  for (const name of ['serve', 'init', 'token', 'call', 'scopes']) {
    const { out } = await run(['help', name]);
    for (const line of out.split('\n')) t.ok(line.length <= 100, `${name}: ${line}`);
    t.match(out, /^exit code: 0 /m, name);
    t.match(out, /^examples:$/m, name);
  }
});

t.test('scopes are a table, JSON Schema, and what can be declared again', async (t) => {
  const folder = t.testdir({
    'wsd.json':
      '{"scopes": [{"id": 1000, "name": "CHAT", "body": {"type": "object", "properties": {"to": {"type": "string", "format": "snowflake"}}, "required": ["to"]}, "roles": ["front"], "limit": {"perSecond": 5, "burst": 10}}]}',
  });
  const config = join(folder, 'wsd.json');
  const plain = await run(['scopes']);
  t.match(plain, {
    code: 0,
    err: '',
    out: /^ +103 +UD_SAVE +\{user\?, epoch, userData\} +scope 104 \{user\?, epoch, version\} +service$/m,
  });
  const table = await run(['scopes', '--config', config]);
  t.match(table.out, /^ 1000 +CHAT +\{to, …\} +none +front +5\/s, 10 at once$/m);
  const schema = JSON.parse((await run(['scopes', '--config', config, '--json'])).out) as { $defs: object };
  t.ok('scope-1000' in schema.$defs);
  const declared = await run(['scopes', '--config', config, '--declare']);
  await writeFile(join(folder, 'again.json'), declared.out);
  t.match(await run(['scopes', '--config', join(folder, 'again.json')]), { code: 0, err: '', out: table.out });
  t.match(await run(['scopes', '--json', '--declare']), { code: 2 });
  t.match(await run(['scopes', 'x']), { code: 2 });
});
