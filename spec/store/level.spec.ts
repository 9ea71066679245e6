// The durable store: what it promises about the disk, and what it says when the disk is not as it should be.
import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import type { OwnershipRecord } from '../../lib/dispatch/ports.js';
import { openLevelStore } from '../../lib/store/level.js';

const NONE = { epoch: 0, version: 0 };
const first: OwnershipRecord = { epoch: 1, owner: 'svc-a', leaseUntil: 5, doc: { a: ['é'] }, version: 1 };
const late = { key: '1', node: 'svc-b', epoch: 1, currentEpoch: 2, doc: { late: true }, at: 7 };

/** Every batch that is written while `during` runs; `fail`: none is. */
async function watchBatches(during: () => Promise<unknown>, fail = false): Promise<{ size: number; sync: unknown }[]> {
  const batches: { size: number; sync: unknown }[] = [];
  const { prototype } = ClassicLevel;
  const inherited = Reflect.get(prototype, 'batch') as (...args: unknown[]) => Promise<void>;
  Object.defineProperty(prototype, 'batch', {
    configurable: true,
    value(operations: readonly unknown[], options: { readonly sync?: boolean }) {
      batches.push({ size: operations.length, sync: options.sync });
      return fail ? Promise.reject(new Error('no space left')) : inherited.call(this, operations, options);
    },
  });
  try {
    await during();
  } finally {
    Reflect.deleteProperty(prototype, 'batch');
  }
  return batches;
}

async function raw(directory: string, change: (database: ClassicLevel) => Promise<void>): Promise<void> {
  const database = new ClassicLevel(directory);
  await database.open();
  await change(database);
  await database.close();
}

t.test('what was committed is there when the directory is opened again', async (t) => {
  const directory = join(t.testdir(), 'made', 'when', 'missing');
  const store = await openLevelStore(directory);
  await Promise.all([store.commit('1', NONE, first), store.keepConflict(late)]);
  await store.close();
  const again = await openLevelStore(directory);
  t.strictSame(await again.get('1'), first);
  t.strictSame(await again.conflicts('1'), [late]);
  t.notOk(await again.commit('1', NONE, first));
  t.ok(await again.commit('1', first, { ...first, version: 2 }));
  await again.close();
});

t.test('every batch is synced, and writers that come together share one', async (t) => {
  const store = await openLevelStore(t.testdir());
  const batches = await watchBatches(() =>
    Promise.all(Array.from({ length: 500 }, (_, i) => store.commit(`${i + 1}`, NONE, first))),
  );
  t.ok(batches.length >= 1 && batches.length <= 3, `${batches.length} batches for 500 documents`);
  t.equal(
    batches.reduce((sum, { size }) => sum + size, 0),
    500,
  );
  t.ok(batches.every(({ sync }) => sync === true));
  const refused = await watchBatches(() => store.commit('1', NONE, first));
  t.strictSame(refused, [], 'a compare-and-set that is lost costs no write');
  await store.close();
});

t.test('a batch that cannot be written fails all that share it, and the store goes on', async (t) => {
  const directory = t.testdir();
  const store = await openLevelStore(directory);
  const failed = { name: 'StoreError', code: 'failed', message: `${directory} cannot be written: no space left` };
  await watchBatches(async () => {
    const asked: readonly Promise<unknown>[] = [
      store.commit('1', NONE, first),
      store.commit('2', NONE, first),
      store.keepConflict(late),
    ];
    for (const outcome of await Promise.allSettled(asked)) t.match(outcome, { status: 'rejected', reason: failed });
  }, true);
  t.equal(await store.get('1'), undefined);
  t.ok(await store.commit('1', NONE, first));
  await store.close();
});

t.test('a directory in use, damaged, of another version or of somebody else is named in the error', async (t) => {
  const directory = t.testdir();
  const store = await openLevelStore(directory);
  const locked = { code: 'locked', message: `${directory} is in use by another process: a store has one` };
  await t.rejects(openLevelStore(directory), locked);
  await store.close();

  await raw(directory, (database) => database.put('wsd/schema', '2'));
  const version = { code: 'version', message: `${directory} has schema 2, and this version of wsd reads 1` };
  await t.rejects(openLevelStore(directory), version);
  await t.rejects(openLevelStore(directory), version, 'and it is closed again after that');
  await raw(directory, (database) => database.del('wsd/schema'));
  await raw(directory, (database) => database.put('theirs', 'data'));
  await t.rejects(openLevelStore(directory), {
    code: 'version',
    message: `${directory} is a database, but not one of wsd`,
  });

  const manifest = readdirSync(directory).find((name) => name.startsWith('MANIFEST')) as string;
  writeFileSync(join(directory, manifest), 'not a manifest at all');
  await t.rejects(openLevelStore(directory), { name: 'StoreError', code: 'corrupt' });
  const file = join(t.testdir({ file: 'text' }), 'file');
  await t.rejects(openLevelStore(file), { name: 'StoreError', code: 'failed' });
});

t.test('a record that is not what was written is an error that names it, and only its own', async (t) => {
  const good = JSON.stringify({ epoch: 1, version: 1, owner: null });
  const values: readonly string[] = [
    '',
    'x',
    '{}',
    `${good}`,
    `${good}\n`,
    `${good}\n[]`,
    `${good}\nnull`,
    `{"epoch":-1,"version":1,"owner":null}\n{}`,
    `{"epoch":1,"version":1.5,"owner":null}\n{}`,
    `{"epoch":1,"version":1}\n{}`,
    `{"epoch":1,"version":1,"owner":null,"leaseUntil":"soon"}\n{}`,
    `{"epoch":1,"version":1,"owner":null,"past":{}}\n{}`,
    `{"epoch":1,"version":1,"owner":null,"past":[{"node":"a","epoch":-1}]}\n{}`,
    `{"epoch":1,"version":1,"owner":null,"past":[{"epoch":1}]}\n{}`,
  ];
  for (const value of values) {
    const directory = t.testdir();
    await (await openLevelStore(directory)).close();
    await raw(directory, async (database) => {
      await database.put('record/1', value);
      await database.put('conflict/1/0000000000000001', value);
    });
    const store = await openLevelStore(directory);
    const message = `the record of 1 in ${directory} is not what was written: the store is damaged`;
    await t.rejects(store.get('1'), { code: 'corrupt', message }, JSON.stringify(value));
    await t.rejects(store.conflicts('1'), { code: 'corrupt', message });
    const asked = [store.keepConflict(late), store.commit('2', NONE, first)] as const;
    await t.rejects(asked[0], { code: 'corrupt', message });
    t.ok(await asked[1], 'a neighbour in the same batch is written');
    await store.close();
  }
  const directory = t.testdir();
  await (await openLevelStore(directory)).close();
  await raw(directory, (database) => database.put('record/1', '{"epoch":"1","version":1,"owner":null}\n{}'));
  const store = await openLevelStore(directory);
  await t.rejects(store.commit('1', NONE, first), { code: 'corrupt' }, 'it is not overwritten either');
  await store.close();
});

/** What the disk does when it is full, without one: a file has a largest size, and a write that goes beyond it is done by half. */
const ofSmallFiles = async (program: string, directory: string): Promise<string> => {
  // What tap puts into each process of Node, by the environment, writes files of its own, too large ones.
  const limited = 'unset NODE_OPTIONS NODE_V8_COVERAGE; ulimit -f 512 && exec "$0" "$@"';
  const words = ['-c', limited, process.execPath, program, directory];
  const child = spawn('sh', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    out += text;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return out;
};

t.test('what is acknowledged after a write that failed is there when the directory is opened again', async (t) => {
  const directory = t.testdir();
  const said = await ofSmallFiles(fileURLToPath(new URL('./level-full.js', import.meta.url)), directory);
  const { acknowledged, failures, unread } = JSON.parse(said) as {
    readonly acknowledged: Readonly<Record<string, number>>;
    readonly failures: readonly string[];
    readonly unread: number;
  };
  t.ok(failures.length > 0 && failures.length < 20, `${failures.length} of 400 commits failed, each for its own log`);
  t.match(failures[0], /cannot be written: .*File too large/);
  t.equal(unread, 0);
  const store = await openLevelStore(directory);
  const lost: string[] = [];
  for (const [key, version] of Object.entries(acknowledged)) {
    if (((await store.get(key))?.version ?? 0) < version) lost.push(key);
  }
  t.strictSame(lost, []);
  await store.close();
});

t.test('a log that a write has torn is not written to again; what is asked meanwhile waits', async (t) => {
  const directory = t.testdir();
  const store = await openLevelStore(directory);
  t.ok(await store.commit('1', NONE, first));
  const logs = (): readonly string[] => readdirSync(directory).filter((name) => name.endsWith('.log'));
  const before = logs();
  await watchBatches(() => t.rejects(store.commit('2', NONE, first), { code: 'failed' }), true);
  t.strictSame(await store.get('1'), first, 'it can still be read');
  t.strictSame(logs(), before);
  const [written, read, kept, conflicts] = await Promise.all([
    store.commit('2', NONE, first),
    store.get('1'),
    store.keepConflict(late),
    store.conflicts('9'),
  ]);
  t.strictSame([written, read, kept, conflicts], [true, first, undefined, []]);
  t.strictSame(
    logs().filter((name) => before.includes(name)),
    [],
    'another log',
  );
  t.strictSame(await store.get('2'), first);
  await watchBatches(() => t.rejects(store.commit('3', NONE, first), { code: 'failed' }), true);
  await store.close();
  const again = await openLevelStore(directory);
  t.strictSame(await again.get('2'), first);
  await again.close();
});

t.test('after kill -9 at any moment every commit that was acknowledged is there', { timeout: 60_000 }, async (t) => {
  const random = seedFromEnv('kill -9');
  const directory = t.testdir();
  const writer = fileURLToPath(new URL('./level-writer.js', import.meta.url));
  let most = 0;
  for (let round = 0; round < 5; round += 1) {
    const child = spawn(process.execPath, [writer, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const acknowledged = new Map<string, number>();
    const after = 1 + random.int(400);
    let lines = 0;
    let rest = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() as string;
      for (const line of parts) {
        const [key, version] = line.split(' ') as [string, string];
        acknowledged.set(key, Number(version));
        lines += 1;
      }
      if (lines >= after) child.kill('SIGKILL');
    });
    const signal = await new Promise((resolve) => child.once('close', (_code, by) => resolve(by)));
    t.equal(signal, 'SIGKILL');
    const store = await openLevelStore(directory);
    for (const [key, version] of acknowledged) {
      const found = await store.get(key);
      const stored = found?.version ?? 0;
      if (stored < version) t.fail(`${key}: ${version} was acknowledged, ${stored} is there (seed ${random.seed})`);
      t.strictSame(found?.doc, { version: stored });
      most = Math.max(most, version);
    }
    await store.close();
  }
  t.ok(most > 0, `up to version ${most}`);
});

t.test('where classic-level is not installed, the error says what to install', async (t) => {
  const hook = `export const resolve = async (name, context, next) => {
    if (name === 'classic-level') throw new Error('cannot be found');
    return next(name, context);
  };`;
  const url = `data:text/javascript,${encodeURIComponent(hook)}`;
  const script = `import { register } from 'node:module';
    register(${JSON.stringify(url)});
    const { openLevelStore } = await import(${JSON.stringify(new URL('../../lib/store/level.js', import.meta.url).href)});
    await openLevelStore('unused').catch((error) => console.log(error.code, error.message));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  await new Promise((resolve) => child.once('close', resolve));
  t.equal(out, 'missing a durable store needs the package classic-level: npm install classic-level\n');
});
