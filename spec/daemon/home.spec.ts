import { spawnSync } from 'node:child_process';
import { chmod, link, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { addNode, type NewCredential, removeNode, rotateKey } from '../../lib/daemon/credentials.js';
import { DaemonError } from '../../lib/daemon/daemon-error.js';
import { firstNodes, firstService } from '../../lib/daemon/first-nodes.js';
import { fileOfNode, type Home, openHome, placeIn } from '../../lib/daemon/home.js';
import { readLastRun, writeLastRun } from '../../lib/daemon/last-run.js';
import { locked } from '../../lib/daemon/lock.js';
import { type Changes, NodeKeySource } from '../../lib/daemon/node-keys.js';
import { readPrivate, sweepFolder, writePrivate } from '../../lib/daemon/private-files.js';
import { parseCredential } from '../../lib/package/credential.js';
import { nodeCredential } from '../../lib/package/token-node.js';

const URL_ = 'ws://127.0.0.1:8080';
const START = Date.parse('2026-01-01T00:00:00Z');
const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

const newHome = async (t: Test): Promise<Home> =>
  openHome(join(t.testdir(), 'state', 'wsd'), { make: true, wall: START });

interface Watched {
  readonly keys: NodeKeySource;
  readonly changes: Changes[];
  readonly errors: string[];
  /** Looks, as if enough time had gone by. */
  look(): void;
}

const watch = (home: Home): Watched => {
  const changes: Changes[] = [];
  const errors: string[] = [];
  let clock = 0;
  const keys = new NodeKeySource({
    folder: placeIn(home.directory, 'nodes'),
    wall: () => Date.now(),
    now: () => clock,
    changed: (what) => void changes.push(what),
    failed: ({ message }) => void errors.push(message),
  });
  const look = (): void => {
    clock += 1000;
    keys.look();
  };
  return { keys, changes, errors, look };
};

t.test('a data directory is made with its keys, for nobody else to read, and found again as it is', async (t) => {
  const home = await newHome(t);
  t.match(home, { made: true, unknown: true });
  const { directory } = home;
  for (const folder of ['.', 'nodes', 'credentials']) t.equal(await modeOf(join(directory, folder)), '700', folder);
  for (const file of ['dispatch.json', 'session.pem']) t.equal(await modeOf(join(directory, file)), '600', file);
  t.notOk(
    (await readdir(directory)).some((name) => name.endsWith('.new')),
    'nothing is left over',
  );
  const again = await openHome(directory, { make: false, wall: START });
  t.match(again, { made: false, unknown: false, publicKey: home.publicKey, session: home.session });
  t.equal(again.signer.kid, 'dispatch.1');
});

t.test('two that begin at once agree on one key', async (t) => {
  const directory = join(t.testdir(), 'wsd');
  const homes = await Promise.all([1, 2, 3].map(() => openHome(directory, { make: true, wall: START })));
  t.equal(new Set(homes.map(({ publicKey }) => publicKey)).size, 1);
  t.equal(new Set(homes.map(({ session }) => session.pin)).size, 1);
  t.equal(homes.filter(({ made }) => made).length, 1);
});

t.test('what is not as it must be is refused in a sentence, and no key is told', async (t) => {
  const { directory } = await newHome(t);
  const open = (): Promise<Home> => openHome(directory, { make: true, wall: START });
  const key = join(directory, 'dispatch.json');
  const text = await readFile(key, 'utf8');
  const refused = async (message: RegExp, what: string): Promise<void> => {
    const error = await open().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    t.ok(error instanceof DaemonError, what);
    t.match((error as Error).message, message, what);
    t.notMatch((error as Error).message, /MIG|BEGIN PRIVATE/, what);
  };
  await chmod(key, 0o640);
  await refused(/dispatch.json is open to others \(mode 640\): chmod 600 it/, 'key');
  await chmod(key, 0o600);
  await chmod(directory, 0o755);
  await refused(/is open to others \(mode 755\).*chmod 700/, 'folder');
  await chmod(directory, 0o700);
  await writeFile(key, text.replace('"ES256"', '"RS256"'));
  await refused(/dispatch.json:4:10: alg must be "ES256"/, 'algorithm');
  await writeFile(key, text.slice(0, 100));
  await refused(/dispatch.json:5:\d+: this text has no end/, 'cut');
  await writeFile(key, text.replace(/MIG[^"]+/, 'MIGabc'));
  await refused(/dispatch.json:5:10: key: this is not a private key in PEM/, 'broken key');
  await writeFile(key, text);
  await writeFile(join(directory, 'session.pem'), 'x');
  await refused(/session.pem has no private key/, 'certificate');
  await rm(join(directory, 'session.pem'));
  await mkdir(join(directory, 'session.pem'));
  await refused(/session.pem/, 'a folder in its place');
  await t.rejects(openHome(join(t.testdir({ file: '' }), 'file', 'x'), { make: true, wall: START }), /not a folder/);
  await t.rejects(openHome(join(directory, 'none'), { make: false, wall: START }), {
    name: 'DaemonError',
    message: /none is no data directory: wsd init makes one/,
  });
});

t.test('a private file is there whole or not at all', async (t) => {
  const folder = t.testdir({ taken: 'old' });
  const path = join(folder, 'new');
  await writePrivate(path, 'one', 'keep');
  t.equal(await modeOf(path), '600');
  await t.rejects(writePrivate(path, 'two', 'keep'), { message: /new exists already/ });
  t.equal(await readPrivate(path), 'one');
  await writePrivate(path, 'two', 'replace');
  t.equal(await readPrivate(path), 'two');
  await chmod(join(folder, 'taken'), 0o644);
  await writePrivate(join(folder, 'taken'), 'secret', 'replace');
  t.equal(await modeOf(join(folder, 'taken')), '600', 'the mode of the old one is not kept');
  const results = await Promise.allSettled(
    [1, 2, 3, 4].map((n) => writePrivate(join(folder, 'one-of'), `${n}`, 'keep')),
  );
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  await t.rejects(writePrivate(join(folder, 'none', 'x'), '', 'keep'), { message: /its folder does not exist/ });
  t.equal(await readPrivate(join(folder, 'nothing')), undefined);
  await writeFile(join(folder, '.a.json.1.1.new'), 'left over');
  await writeFile(join(folder, '.b.json.2.1.new'), 'being written');
  await utimes(join(folder, '.a.json.1.1.new'), START / 1000, START / 1000);
  await sweepFolder(folder, Date.now());
  t.strictSame((await readdir(folder)).sort(), ['.b.json.2.1.new', 'new', 'one-of', 'taken']);
});

t.test('a node is let in: its credential fits what the daemon knows of it', async (t) => {
  const home = await newHome(t);
  const watched = watch(home);
  for (const [wanted, alg] of [
    [{ node: 'svc-a', role: 'service' }, 'ES256'],
    [{ node: 'gate-1', role: 'front', users: ['1', '18446744073709551615'] }, 'HS256'],
    [{ node: 'svc-b', role: 'service', alg: 'HS256', scopes: [0, 1000], endpoints: ['b.internal/x'] }, 'HS256'],
    [{ node: 'n'.repeat(64), role: 'service', permissions: ['assign'] }, 'ES256'],
    [{ node: `${'n'.repeat(63)}m`, role: 'service' }, 'ES256'],
  ] as const satisfies readonly (readonly [Omit<NewCredential, 'url'>, string])[]) {
    const { node, role, ...grants } = wanted;
    const { file, credential } = await addNode(home, { ...wanted, url: URL_, audience: 'prod' });
    t.equal(await modeOf(file), '600');
    t.equal(await modeOf(fileOfNode(home.directory, node)), '600');
    const read = parseCredential(await readFile(file, 'utf8'));
    t.strictSame(read, credential);
    t.match(read, { url: URL_, node, role, alg, audience: 'prod' });
    const record = watched.keys.find(credential.kid);
    const { alg: _, ...rights } = { alg, ...grants } as Record<string, unknown>;
    t.match(record, { kid: credential.kid, node, role, ...rights }, 'known at the first look at an unknown kid');
    const token = nodeCredential(read).signer.sign('{}');
    t.equal(record?.verifier.verify(token), true, 'what it signs is taken');
    const answer = (record?.signer ?? home.signer).sign('{}');
    const theirs = nodeCredential(read).keys.find(record?.signer?.kid ?? home.signer.kid);
    t.equal(theirs?.verifier.verify(answer), true, 'and it takes what the dispatch signs');
    const known = await readFile(fileOfNode(home.directory, node), 'utf8');
    t.equal(known.includes('PRIVATE'), false, 'no private key stays with the daemon');
  }
  await t.rejects(addNode(home, { node: 'svc-a', role: 'service', url: URL_ }), { message: /svc-a is known already/ });
  t.equal(watched.keys.nodes.includes('svc-a'), true, 'it is known as before');
});

t.test('what is no node, no user and no scope is refused before anything is written', async (t) => {
  const home = await newHome(t);
  const cases: readonly [Partial<NewCredential>, RegExp][] = [
    [{ node: '../x' }, /a node is named by/],
    [{ node: '' }, /a node is named by/],
    [{ node: 'n'.repeat(65) }, /a node is named by/],
    [{ node: 'dispatch' }, /the name of the dispatch itself/],
    [{ users: ['01'] }, /a user is a Snowflake/],
    [{ scopes: [-1] }, /a scope is a whole number/],
    [{ endpoints: [''] }, /an endpoint has 1 to 256 bytes/],
  ];
  for (const [wanted, message] of cases) {
    const given = { node: 'a', role: 'service', url: URL_, ...wanted } as const;
    await t.rejects(addNode(home, given), { name: 'RangeError', message });
  }
  await t.rejects(addNode(home, { node: 'a', role: 'service', url: 'http://x' }), {
    name: 'TypeError',
    message: /url/,
  });
  const out = join(home.directory, 'none', 'a.json');
  await t.rejects(addNode(home, { node: 'a', role: 'service', url: URL_, out }), { message: /folder does not exist/ });
  const taken = join(home.directory, 'taken.json');
  await writeFile(taken, 'old', { mode: 0o600 });
  await t.rejects(addNode(home, { node: 'a', role: 'service', url: URL_, out: taken }), { message: /exists already/ });
  t.equal(await readFile(taken, 'utf8'), 'old');
  t.strictSame(await readdir(placeIn(home.directory, 'nodes')), []);
  t.strictSame(await readdir(placeIn(home.directory, 'credentials')), []);
});

t.test('a new key takes over while the old one is still good for a while', async (t) => {
  const home = await newHome(t);
  const watched = watch(home);
  const { credential: old } = await addNode(home, { node: 'svc-a', role: 'service', url: URL_, users: ['7'] });
  t.match(old.kid, /^svc-a\.1\.[0-9a-f]{8}$/);
  t.ok(watched.keys.find(old.kid));
  const wall = Date.now();
  const next = await rotateKey(home, { node: 'svc-a', url: URL_, grace: 60_000, wall });
  watched.look();
  t.match(next.credential, { kid: /^svc-a\.2\.[0-9a-f]{8}$/, role: 'service', alg: 'ES256' });
  t.match(watched.keys.find(next.credential.kid), { node: 'svc-a', users: ['7'] }, 'its rights stay');
  t.ok(watched.keys.find(old.kid));
  t.strictSame(parseCredential(await readFile(next.file, 'utf8')), next.credential, 'in the place of the old one');
  const third = await rotateKey(home, { node: 'svc-a', url: URL_, grace: 0, wall: wall + 120_000, alg: 'HS256' });
  t.match(third.credential.kid, /^svc-a\.3\./);
  const file = JSON.parse(await readFile(fileOfNode(home.directory, 'svc-a'), 'utf8')) as { keys: { kid: string }[] };
  t.strictSame(
    file.keys.map(({ kid }) => kid),
    [next.credential.kid, third.credential.kid],
    'the first is forgotten: its time was over',
  );
  await t.rejects(rotateKey(home, { node: 'b', url: URL_, grace: 0, wall }), { message: /b is not known in/ });
  await removeNode(home, 'svc-a');
  watched.look();
  t.equal(watched.keys.find(third.credential.kid), undefined, 'shut out');
  await t.rejects(readFile(next.file), 'its credential is gone');
  await t.rejects(removeNode(home, 'svc-a'), { message: /svc-a is not known/ });
  const kept = await addNode(home, { node: 'svc-a', role: 'front', url: URL_ });
  t.match(watched.keys.find(kept.credential.kid), { role: 'front' });
  t.match(kept.credential.kid, /^svc-a\.1\./);
  t.not(kept.credential.kid, old.kid, 'a kid is never given again');
  t.equal(watched.keys.find(old.kid), undefined);
});

t.test('of several commands at once none undoes what another has done', async (t) => {
  const home = await newHome(t);
  await addNode(home, { node: 'svc-a', role: 'service', url: URL_, alg: 'HS256' });
  const rotate = (n: number): ReturnType<typeof rotateKey> =>
    rotateKey(home, {
      node: 'svc-a',
      url: URL_,
      grace: 60_000,
      wall: Date.now(),
      out: join(home.directory, `${n}.json`),
    });
  const handed = await Promise.all([1, 2, 3, 4, 5, 6].map(rotate));
  const watched = watch(home);
  for (const { credential } of handed) {
    const token = nodeCredential(credential).signer.sign('{}');
    t.equal(watched.keys.find(credential.kid)?.verifier.verify(token), true, `${credential.kid} is known`);
  }
  t.equal(
    new Set(handed.map(({ credential }) => credential.kid.split('.')[1])).size,
    6,
    'numbered one after the other',
  );
  const results = await Promise.allSettled([
    removeNode(home, 'svc-a'),
    addNode(home, { node: 'svc-b', role: 'service', url: URL_ }),
    addNode(home, { node: 'svc-b', role: 'front', url: URL_ }),
  ]);
  t.strictSame(results.map(({ status }) => status).sort(), ['fulfilled', 'fulfilled', 'rejected']);
  t.strictSame((await readdir(placeIn(home.directory, 'nodes'))).sort(), ['svc-b.json']);
  t.strictSame(
    (await readdir(home.directory)).filter((name) => name.includes('lock')),
    [],
    'nothing is left over',
  );
});

t.test('a lock that was left over is taken away, one that is held is waited for, and not for ever', async (t) => {
  const { directory } = await newHome(t);
  const place = placeIn(directory, 'lock');
  const work = async (): Promise<string> => {
    t.equal((await readFile(place, 'utf8')).trim(), String(process.pid), 'it is ours now');
    t.equal(await modeOf(place), '600');
    return 'done';
  };
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  await writeFile(place, `${gone}\n`);
  t.equal(await locked(directory, work), 'done', 'its process is gone');
  await writeFile(place, `${process.pid}\n`);
  await utimes(place, START / 1000, START / 1000);
  t.equal(await locked(directory, work), 'done', 'nobody works that long');
  await writeFile(place, '');
  await utimes(place, START / 1000, START / 1000);
  t.equal(await locked(directory, work), 'done', 'killed before it said who it is');
  await writeFile(place, `${process.pid}\n`);
  await t.rejects(locked(directory, work, 1), {
    name: 'DaemonError',
    message: `another command (process ${process.pid}) changes ${directory}: try again; if there is none, remove ${place}`,
  });
  const waiting = locked(directory, work);
  await rm(place);
  t.equal(await waiting, 'done');
  await t.rejects(
    locked(directory, async () => {
      throw new Error('the work');
    }),
    { message: 'the work' },
  );
  t.equal(await locked(directory, work), 'done', 'who fails leaves no lock');
  await t.rejects(locked(join(directory, 'none'), work), { name: 'DaemonError', message: /cannot write .*lock/ });
});

t.test('two that begin at once make the first nodes once', async (t) => {
  const directory = join(t.testdir(), 'wsd');
  const both = await Promise.allSettled(
    [1, 2].map(async () => firstNodes(await openHome(directory, { make: true, wall: START }), { url: URL_ })),
  );
  t.strictSame(
    both.map(({ status }) => status),
    ['fulfilled', 'fulfilled'],
  );
  t.equal(both.filter((one) => one.status === 'fulfilled' && one.value !== undefined).length, 1);
});

t.test('a credential says the lease where it is not the usual one', async (t) => {
  const home = await newHome(t);
  const lease = async (node: string, given: number | undefined): Promise<number | undefined> =>
    (await addNode(home, { node, role: 'service', url: URL_, lease: given })).credential.lease;
  t.equal(await lease('a', 2000), 2000);
  t.equal(await lease('b', 15_000), undefined);
  t.equal(await lease('c', undefined), undefined);
  const renewed = await rotateKey(home, { node: 'a', url: URL_, grace: 0, wall: Date.now(), lease: 3000 });
  t.equal(parseCredential(await readFile(renewed.file, 'utf8')).lease, 3000);
});

t.test('a retired key is refused when its time is over', async (t) => {
  const home = await newHome(t);
  const old = (await addNode(home, { node: 'svc-a', role: 'service', url: URL_ })).credential;
  const next = (await rotateKey(home, { node: 'svc-a', url: URL_, grace: 5000, wall: Date.now() })).credential;
  let wall = Date.now();
  const folder = placeIn(home.directory, 'nodes');
  const keys = new NodeKeySource({ folder, wall: () => wall, now: () => 0, changed: () => {}, failed: () => {} });
  t.ok(keys.find(old.kid));
  wall += 6000;
  t.equal(keys.find(old.kid), undefined);
  t.ok(keys.find(next.kid));
});

t.test('changes are seen and told, and a broken file changes nothing', async (t) => {
  const home = await newHome(t);
  const a = (await addNode(home, { node: 'a', role: 'service', url: URL_ })).credential.kid;
  const watched = watch(home);
  const { keys, changes, errors } = watched;
  const b = (await addNode(home, { node: 'b', role: 'service', url: URL_ })).credential.kid;
  watched.look();
  t.strictSame(changes.pop(), { added: ['b'], changed: [], removed: [] });
  watched.look();
  t.equal(changes.length, 0, 'nothing new');
  const file = fileOfNode(home.directory, 'a');
  const text = await readFile(file, 'utf8');
  await writePrivate(file, text.replace('"service"', '"root"'), 'replace');
  watched.look();
  t.match(errors.pop(), /a.json:4:11: role must be one of "front", "service"/);
  t.match(keys.find(a), { role: 'service' }, 'kept as it was');
  watched.look();
  watched.keys.look(true);
  t.equal(errors.length, 0, 'told once');
  await writePrivate(file, text.replace('"node": "a"', '"node": "b"'), 'replace');
  watched.look();
  t.match(errors.pop(), /a.json:3:11: node must be a, as the file is called/);
  await writePrivate(file, text.replace(a, b), 'replace');
  watched.look();
  t.equal(errors.pop(), `the kid ${b} is given twice: to a and to b`);
  t.equal(keys.find(b)?.node, 'b');
  await writePrivate(file, text.replace(/-----BEGIN[^"]+/, 'YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo'), 'replace');
  watched.look();
  t.match(errors.at(-1), /a.json:9:14: keys\[0\]: this is not a public key in PEM/);
  t.notMatch(errors.pop(), 'YWJj', 'nothing of it is quoted');
  await chmod(file, 0o644);
  await writeFile(join(home.directory, 'nodes', 'x.txt'), 'not ours');
  watched.look();
  t.match(errors.pop(), /a.json is open to others/);
  await chmod(file, 0o600);
  await writePrivate(file, text.replace('"service"', '"front"'), 'replace');
  watched.look();
  t.match(keys.find(a), { role: 'front' });
  t.strictSame(changes.pop(), { added: [], changed: ['a'], removed: [] });
  await rename(file, join(home.directory, 'a.json'));
  watched.look();
  t.strictSame(changes.pop(), { added: [], changed: [], removed: ['a'] });
  t.equal(keys.find(a), undefined);
  t.strictSame(keys.nodes, ['b']);
  await rename(join(home.directory, 'nodes'), join(home.directory, 'gone'));
  watched.look();
  t.match(errors.pop(), /cannot read .*nodes: it does not exist/);
  t.ok(keys.find(b), 'a folder that is gone shuts nobody out');
  await rename(join(home.directory, 'gone'), join(home.directory, 'nodes'));
  for (let again = 0; again < 2; again++) {
    await writePrivate(file, '{', 'replace');
    watched.look();
    t.match(errors.pop(), /a.json:1:2/, 'broken once more, and told once more');
    await rm(file);
    watched.look();
    t.equal(errors.length, 0);
  }
  await writePrivate(file, '{', 'replace');
  t.throws(() => watch(home), { name: 'DaemonError', message: /a.json:1:2: a name/ }, 'no start with it');
});

t.test('unknown kids read nothing again, however many come', async (t) => {
  const home = await newHome(t);
  const watched = watch(home);
  t.equal(watched.keys.find('svc.1'), undefined);
  const { kid } = (await addNode(home, { node: 'svc', role: 'service', url: URL_ })).credential;
  t.ok(watched.keys.find(kid), 'known the moment it is there');
  const file = fileOfNode(home.directory, 'svc');
  const folder = placeIn(home.directory, 'nodes');
  const text = await readFile(file, 'utf8');
  // Long ago, as far as the folder says.
  await utimes(folder, START / 1000, START / 1000);
  watched.look();
  await writeFile(file, text.replace('service', 'front'));
  for (let i = 0; i < 1000; i++) watched.keys.find(`nobody.${i}`);
  watched.look();
  t.match(watched.keys.find(kid), { role: 'service' }, 'a folder does not show what is changed in its place');
  watched.keys.look(true);
  t.match(watched.keys.find(kid), { role: 'front' }, 'a close look does');
  for (const path of ['../dispatch', '__proto__', 'constructor', '', 'svc.1/']) {
    t.equal(watched.keys.find(path), undefined, 'a kid is never a path');
  }
});

t.test('the first nodes are made once', async (t) => {
  const home = await newHome(t);
  const first = await firstNodes(home, { url: URL_ });
  t.match(first?.service.credential, { node: 'service-1', role: 'service', alg: 'ES256' });
  t.match(first?.front.credential, { node: 'front-1', role: 'front', alg: 'HS256' });
  t.equal(await firstService(home), first?.service.file);
  await removeNode(home, 'service-1');
  await removeNode(home, 'front-1');
  t.equal(await firstService(home), undefined, 'nobody is told to try with what was taken back');
  const again = await openHome(home.directory, { make: true, wall: START });
  t.equal(await firstNodes(again, { url: URL_ }), undefined, 'who was shut out does not come back');
});

t.test('who ran last is remembered, and forgotten rather than believed', async (t) => {
  const { directory } = await newHome(t);
  t.equal(await readLastRun(directory), undefined);
  await writeLastRun(directory, { pid: 5, url: URL_ });
  t.strictSame(await readLastRun(directory), { pid: 5, url: URL_ });
  await writeLastRun(directory, { pid: 5, url: URL_, lease: 2000 });
  t.strictSame(await readLastRun(directory), { pid: 5, url: URL_, lease: 2000 });
  for (const text of ['', 'null', '5', '{"pid":"5","url":"x"}', '{']) {
    await writePrivate(placeIn(directory, 'daemon'), text, 'replace');
    t.equal(await readLastRun(directory), undefined);
  }
});

t.test('files with two names and pipes are read as what they are', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'a');
  await writePrivate(path, 'x', 'keep');
  await link(path, join(folder, 'b'));
  t.equal(await readPrivate(join(folder, 'b')), 'x');
  const long = await open(join(folder, 'long'), 'w', 0o600);
  await long.truncate(17 * 1024 * 1024);
  await long.close();
  await t.rejects(readPrivate(join(folder, 'long')), { message: /too long to be a file of a data directory/ });
});
