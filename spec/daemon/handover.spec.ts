// Four processes: the daemon, two services and a front. User data goes from service A to service B through the real thing.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openLevelStore } from '../../lib/store/level.js';
import { Actor, wsd } from './processes.js';

const USER = '175928847299117063';
const LEASE = 5000;

t.test('A owns, B asks, A is revoked, B has what A has saved; what A writes late is a conflict copy', async (t) => {
  const folder = t.testdir();
  const data = join(folder, 'wsd');
  const config = join(folder, 'wsd.json');
  await writeFile(config, JSON.stringify({ lease: LEASE, revokeDeadline: 1000, log: { level: 'debug' } }));
  const daemon = wsd(t, 'serve', '--data', data, '--config', config, '--port', '0');
  const url = await daemon.line();
  const file = (node: string): string => join(data, 'credentials', `${node}.json`);
  const tokens = [
    wsd(t, 'token', '--node', 'svc-a', '--role', 'service', '--data', data),
    wsd(t, 'token', '--node', 'svc-b', '--role', 'service', '--data', data),
  ];
  for (const token of tokens) t.match(await token.ended, { code: 0 }, token.err);
  const [a, b, front] = ['svc-a', 'svc-b', 'front-1'].map((node) => new Actor(t, file(node), LEASE)) as [
    Actor,
    Actor,
    Actor,
  ];
  for (const [actor, node] of [
    [a, 'svc-a'],
    [b, 'svc-b'],
    [front, 'front-1'],
  ] as const) {
    t.strictSame(JSON.parse(await actor.process.line()), { open: node });
  }

  t.strictSame(await a.tell({ do: 'own', user: USER, last: { coins: 3 } }), { epoch: 1, data: {} });
  t.match(await a.tell({ do: 'save', user: USER, data: { coins: 1 } }), { epoch: 1 });
  t.match(await a.tell({ do: 'save', user: USER, data: { coins: 2 } }), { epoch: 1 });
  const atA = { do: 'read', user: USER, destination: 'svc-a' };
  t.strictSame(await front.tell(atA), { data: { coins: 2 }, by: 'svc-a' }, 'the front reads it at A');

  t.strictSame(await b.tell({ do: 'own', user: USER }), { epoch: 2, data: { coins: 3 } }, "A's last state, flushed");
  t.strictSame(await a.tell({ do: 'seen', user: USER }), { seen: ['revoked', 'flush asked svc-b'], revoked: true });
  t.match(await a.tell({ do: 'save', user: USER, data: { coins: 9 } }), { error: /Revoked/ }, 'A knows');
  t.strictSame(await a.tell({ do: 'late', user: USER, epoch: 1, data: { coins: 99 } }), { error: 'stale_epoch' });
  t.match(await b.tell({ do: 'save', user: USER, data: { coins: 4 } }), { epoch: 2 });
  t.strictSame(await front.tell({ ...atA, destination: 'svc-b' }), { data: { coins: 4 }, by: 'svc-b' });

  // B is killed while it owns: its lease must end before A has it again.
  const before = performance.now();
  await b.process.kill('SIGKILL');
  t.strictSame(await a.tell({ do: 'own', user: USER }), { epoch: 3, data: { coins: 4 } }, 'what B has saved is there');
  t.ok(performance.now() - before < LEASE + 5000);
  t.match(await front.tell({ ...atA, destination: 'svc-b' }), { error: 'unknown_destination' });

  // The daemon is killed and comes back in the same place: A is still the owner.
  await daemon.kill('SIGKILL');
  const again = wsd(t, 'serve', '--data', data, '--config', config, '--port', new URL(url).port);
  t.equal(await again.line(), url);
  t.match(await a.tell({ do: 'save', user: USER, data: { coins: 5 } }), { epoch: 3 });
  for (const actor of [a, front]) {
    await actor.tell({ do: 'close' });
    actor.process.child.stdin.end();
    t.match(await actor.process.ended, { code: 0 }, actor.process.err);
  }
  t.match(await again.kill('SIGTERM'), { code: 0 });
  t.match(daemon.err, `svc-b owns the data of user ${USER}, epoch 2`);
  t.match(daemon.err, /svc-a wrote \d+ in epoch 1, which is over \(2 is now\): kept as a conflict copy/);

  const store = await openLevelStore(join(data, 'store'));
  const copies = await store.conflicts(USER);
  t.match(copies, [{ node: 'svc-a', epoch: 1, currentEpoch: 2, doc: { coins: 99 } }]);
  t.match(await store.get(USER), { doc: { coins: 5 }, owner: null }, 'A has let it go when it closed');
  await store.close();
});

t.test(
  'a real process: SIGHUP reads the configuration, SIGTERM ends it, and nothing of a key is among its words',
  async (t) => {
    const folder = t.testdir();
    const config = join(folder, 'wsd.json');
    await writeFile(config, '{}');
    const daemon = wsd(t, 'serve', '--data', join(folder, 'wsd'), '--config', config, '--port', '0');
    await daemon.line();
    await daemon.said('sealed from end to end');
    daemon.child.kill('SIGHUP');
    await daemon.said('the configuration was read again');
    await writeFile(config, '{"a": 1}');
    daemon.child.kill('SIGHUP');
    await daemon.said('wsd.json:1:2: a is not known');
    t.match(await daemon.kill('SIGTERM'), { code: 0, signal: null }, daemon.err);
    t.notMatch(daemon.out + daemon.err, /PRIVATE KEY|"secret"/);
  },
);
