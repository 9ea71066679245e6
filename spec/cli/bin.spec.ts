import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { PATIENCE } from './fake-io.js';

const BIN = fileURLToPath(new URL('../../../bin/wsd', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly said: (wanted: string) => Promise<string>;
}

/** A real process; killed if the test leaves it behind or it takes too long. */
const start = (t: Test, args: readonly string[], bin = BIN): Running => startNode(t, [bin, ...args]);

const startNode = (t: Test, words: readonly string[]): Running => {
  const child = spawn(process.execPath, words, {
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1' },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  let err = '';
  const waiting: (() => void)[] = [];
  child.stdout.on('data', (chunk) => {
    out += chunk;
    for (const look of waiting) look();
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(timer);
    return { code, signal, out, err };
  });
  const said = (wanted: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (out.includes(wanted)) resolve(out);
      };
      waiting.push(look);
      look();
      ended.then(() => reject(new Error(`it ended and said only: ${out}${err}`)), reject);
    });
  return { child, ended, said };
};

t.test('the executable serves, connects to itself, and drains at SIGTERM', async (t) => {
  const server = start(t, ['serve', '--echo', '--port', '0', '--quiet']);
  const url = (await server.said('\n')).trim();
  const client = start(t, ['connect', url, '--once', '--quiet']);
  client.child.stdin?.end('hello\n');
  t.strictSame(await client.ended, { code: 0, signal: null, out: 'hello\n', err: '' });
  server.child.kill('SIGTERM');
  t.match(await server.ended, { code: 0, signal: null });
});

t.test('a second signal ends a drain at once', async (t) => {
  const server = start(t, ['serve', '--echo', '--port', '0', '--quiet', '--drain', '60s', '--close-timeout', '60s']);
  const url = (await server.said('\n')).trim();
  const socket = (await import('node:net')).connect(Number(new URL(url.replace('ws', 'http')).port), '127.0.0.1');
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  socket.write(
    'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await once(socket, 'data');
  server.child.kill('SIGINT');
  // the Close frame shows that the first signal arrived
  await once(socket, 'data');
  server.child.kill('SIGINT');
  t.match(await server.ended, { code: 130 });
});

t.test('a signal to a client is its exit code', async (t) => {
  const server = start(t, ['serve', '--echo', '--port', '0', '--quiet']);
  const url = (await server.said('\n')).trim();
  const client = start(t, ['connect', url, '--json']);
  await client.said('"open"');
  client.child.kill('SIGTERM');
  t.match(await client.ended, { code: 143, out: /"type":"close","code":1000/ });
  server.child.kill('SIGTERM');
  await server.ended;
});

t.test('a reader that goes away ends a command quietly', async (t) => {
  const { child, ended } = start(t, ['decode', '--raw']);
  child.stdout?.once('data', () => child.stdout?.destroy());
  child.stdin?.on('error', () => {});
  child.stdin?.end(new Uint8Array(400_000).fill(0x8a));
  t.match(await ended, { code: 0, signal: null, err: '' });
});

t.test('usage errors, failures and help have their exit codes', async (t) => {
  const [nothing, mistake, help] = await Promise.all([[], ['conect'], ['--help']].map((args) => start(t, args).ended));
  t.match(nothing, { code: 2, out: '', err: /usage: wsd COMMAND/ });
  t.match(mistake, { code: 2, out: '', err: /did you mean connect\?/ });
  t.match(help, { code: 0, err: '', out: /usage: wsd COMMAND/ });
});

t.test('without a build it says how to make one', async (t) => {
  const dir = t.testdir({ 'package.json': '{"type":"module"}' });
  await mkdir(join(dir, 'bin'));
  // The file itself, not the link that names it.
  const copy = join(dir, 'bin', 'wsd.js');
  await copyFile(await realpath(BIN), copy);
  t.match(await start(t, ['--help'], copy).ended, {
    code: 1,
    out: '',
    err: /^wsd is not built: run `make build` in its folder first\n$/,
  });
});

t.test('a Node that is too old is told so in one sentence, by a file that it can read', async (t) => {
  const { engines } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    engines: { node: string };
  };
  t.equal(engines.node, '>=20.19');
  for (const [node, tooOld] of [
    ['14.0.0', true],
    ['18.20.8', true],
    ['20.9.0', true],
    ['20.18.3', true],
    ['20.19.0', false],
    ['22.1.0', false],
  ] as const) {
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })`;
    const { code, out, err } = await startNode(t, [
      '--import',
      `data:text/javascript,${encodeURIComponent(pretend)}`,
      BIN,
      '--version',
    ]).ended;
    if (tooOld) {
      t.strictSame([code, out, err], [1, '', `wsd needs Node 20.19 or later, and this is Node ${node}\n`]);
    } else t.match({ code, err }, { code: 0, err: '' }, node);
  }
  const text = await readFile(await realpath(BIN), 'utf8');
  t.notMatch(
    text,
    /^\s*(?:const .*= )?await\b|'node:|\?\?=|\|\|=|&&=|#[a-z]\w* [=(]/m,
    'nothing that came after Node 14.0',
  );
});
