// The daemon over restarts, in this process: what it has heard before it is started again, who it knows, and what lies in its data directory.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { addNode } from '../../lib/daemon/credentials.js';
import { type Daemon, startDaemon } from '../../lib/daemon/daemon.js';
import { type Home, openHome } from '../../lib/daemon/home.js';
import { type Config, NO_CONFIG } from '../../lib/daemon/index.js';
import { Rejections } from '../../lib/daemon/rejections.js';
import { connect, type ListenOptions } from '../../lib/index.js';
import { PACKAGE_PROTOCOL } from '../../lib/link/packages.js';
import { packageFault } from '../../lib/package/codes.js';
import { nodeCredential } from '../../lib/package/token-node.js';
import { RawNode } from '../dispatch/net.js';

const URL_ = 'ws://127.0.0.1:8080';
const PING = { header: { scope: 0, internal: true, body: false } };

const openAt = (directory: string): Promise<Home> => openHome(directory, { make: true, wall: Date.now() });

interface Started {
  readonly daemon: Daemon;
  readonly lines: string[];
}

const start = async (
  t: Test,
  home: Home,
  config: Config = NO_CONFIG,
  where: ListenOptions = { port: 0 },
): Promise<Started> => {
  const lines: string[] = [];
  const log = { write: (level: string, event: string, text: string) => void lines.push(`${level} ${event} ${text}`) };
  const daemon = await startDaemon({ home, config, where, log });
  t.teardown(() => daemon.close({ drain: 50 }));
  return { daemon, lines };
};

const dial = async (t: Test, { url }: Daemon, node: string, credential: Parameters<typeof nodeCredential>[0]) => {
  const connection = await connect(url, { subprotocols: [PACKAGE_PROTOCOL], closeTimeout: 200 });
  t.teardown(() => connection.terminate());
  return new RawNode(connection, node, nodeCredential(credential).signer);
};

t.test('what a daemon has heard is not heard again by the next one, however soon that comes', async (t) => {
  const directory = join(t.testdir(), 'wsd');
  const home = await openAt(directory);
  const { credential } = await addNode(home, { node: 'svc-a', role: 'service', alg: 'HS256', url: URL_ });
  const first = await start(t, home);
  const a = await dial(t, first.daemon, 'svc-a', credential);
  const token = a.token(PING, { jti: 'heard-by-the-first' });
  const answers = (one: RawNode) => one.next('an answer', ({ claims }) => claims.re === 'heard-by-the-first');
  a.connection.send(token);
  t.match(await answers(a), { header: { scope: 1 } });
  await first.daemon.close({ drain: 50 });

  const second = await start(t, await openAt(directory));
  const thief = await dial(t, second.daemon, 'svc-a', credential);
  thief.connection.send(token);
  t.match(await answers(thief), { header: { scope: 2 }, body: { code: 'token_expired' } });
  t.equal(second.daemon.nodes, 0);
  const again = await dial(t, second.daemon, 'svc-a', credential);
  await again.ping();
  t.equal(second.daemon.nodes, 1, 'what is signed now is heard');
  t.match(
    second.lines.filter((line) => line.includes('reject')),
    [/^warn reject refused svc-a at 127.0.0.1: token_expired \(signed \d+ s before this end began: /],
    'the operator sees it',
  );
});

t.test('who is not believed is told, and not without end', async (t) => {
  const lines: string[] = [];
  let now = 0;
  const log = { write: (level: string, _event: string, text: string) => void lines.push(`${level} ${text}`) };
  const rejections = new Rejections(log, () => now);
  const bad = packageFault('bad_token', { detail: 'the kid x is not known' });
  for (let i = 0; i < 1000; i++) rejections.tell(bad, undefined, '10.0.0.1');
  rejections.tell(packageFault('token_expired'), 'svc-a', undefined);
  rejections.tell(packageFault('bad_body'), 'svc-a', undefined);
  now += 10_000;
  rejections.tell(bad, undefined, '10.0.0.2');
  t.strictSame(lines, [
    'warn refused somebody at 10.0.0.1: bad_token (the kid x is not known)',
    'warn refused svc-a: token_expired',
    'debug refused svc-a: bad_body',
    'warn refused somebody at 10.0.0.2: bad_token (the kid x is not known), and 999 more before',
  ]);
});

t.test('a lease that is shorter than before is told: credentials say the longer one', async (t) => {
  const directory = join(t.testdir(), 'wsd');
  const leases = [undefined, 20_000, 20_000, 2000] as const;
  const told: string[][] = [];
  for (const lease of leases) {
    const { daemon, lines } = await start(
      t,
      await openAt(directory),
      lease === undefined ? NO_CONFIG : { scopes: [], lease },
    );
    told.push(lines.filter((line) => line.startsWith('warn lease')));
    await daemon.close({ drain: 50 });
  }
  t.match(told, [[], [], [], [/the lease is 2000 ms and was 20000: .* wsd token --rotate/]]);
});

t.test('whatever is written into a data directory is for nobody else, and the umask comes back', async (t) => {
  const folder = t.testdir();
  const directory = join(folder, 'wsd');
  const umask = process.umask(0o022);
  t.teardown(() => process.umask(umask));
  const home = await openAt(directory);
  const socket = join(await mkdtemp(join(tmpdir(), 'wsd-')), 'socket');
  t.teardown(() => rm(dirname(socket), { recursive: true }));
  const { daemon } = await start(t, home, NO_CONFIG, { path: socket });
  t.equal((await stat(socket)).mode & 0o777, 0o660, 'who may connect is said by the server');
  const all = await readdir(directory, { recursive: true, withFileTypes: true });
  t.ok(all.some(({ parentPath }) => parentPath.endsWith('store')));
  for (const entry of all) {
    const path = join(entry.parentPath, entry.name);
    t.equal(((await stat(path)).mode & 0o777).toString(8), entry.isDirectory() ? '700' : '600', path);
  }
  await daemon.close({ drain: 50 });
  t.equal(process.umask(), 0o022);
});
