// What a dispatch relies on in every store, run against each of them: one more store is one more line of the table.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import type { ConflictCopy, OwnershipRecord, Store } from '../../lib/dispatch/ports.js';
import { MAX_CONFLICTS, MAX_NODE_CONFLICTS } from '../../lib/package/limits.js';
import { openLevelStore } from '../../lib/store/level.js';
import { memoryStore } from '../../lib/store/memory.js';

const STORES: Readonly<Record<string, (directory: string) => Promise<Store>>> = {
  memory: async () => memoryStore(),
  level: openLevelStore,
};

const NONE = { epoch: 0, version: 0 };
const record = (epoch: number, version: number, more: Partial<OwnershipRecord> = {}): OwnershipRecord => ({
  epoch,
  owner: 'svc-a',
  leaseUntil: undefined,
  doc: { n: version },
  version,
  ...more,
});
const copy = (key: string, n: number, node = `svc-${n % 5}`): ConflictCopy => ({
  key,
  node,
  epoch: n,
  currentEpoch: n + 1,
  doc: { n },
  at: 1_700_000_000_000 + n,
});

type Tap = Pick<typeof t, 'testdir' | 'teardown'>;

for (const [name, open] of Object.entries(STORES)) {
  t.test(`the ${name} store`, async (t) => {
    const opened = async (t: Tap): Promise<Store> => {
      const store = await open(t.testdir());
      t.teardown(() => store.close());
      return store;
    };

    t.test('gives back what was committed, whatever is in it', async (t) => {
      const store = await opened(t);
      t.equal(await store.get('shared'), undefined, 'nobody has written it yet');
      const docs = [
        {},
        { text: 'line\nline\r\n\u2028\0"\\', list: [1, null, { deep: [[]] }], '': false, '1': 1.5e300 },
        JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":1}}') as OwnershipRecord['doc'],
        { big: 'é'.repeat(24_000) },
      ];
      let version = 0;
      for (const doc of docs) {
        for (const more of [
          { owner: null },
          { owner: 'svc-a', leaseUntil: 1_700_000_000_123 },
          { owner: 'b', past: [] },
          { owner: 'c', past: [{ node: 'svc-a', epoch: 1 }] },
        ]) {
          const next = record(version + 1, version + 1, { doc, ...more });
          t.ok(await store.commit('shared', { epoch: version, version }, next));
          version += 1;
          // As text: an own member __proto__ is more than a comparison of objects understands.
          const { doc: found, ...rest } = (await store.get('shared')) as OwnershipRecord;
          t.equal(JSON.stringify(found), JSON.stringify(doc));
          t.strictSame({ ...rest, doc }, next);
        }
      }
      t.equal(({} as Record<string, unknown>)['polluted'], undefined);
    });

    t.test('refuses a commit that expects anything but what is there, and changes nothing', async (t) => {
      const store = await opened(t);
      t.notOk(await store.commit('1', { epoch: 1, version: 1 }, record(2, 2)), 'there is nothing');
      t.equal(await store.get('1'), undefined);
      t.ok(await store.commit('1', NONE, record(3, 7)));
      for (const expect of [NONE, { epoch: 3, version: 6 }, { epoch: 3, version: 8 }, { epoch: 2, version: 7 }]) {
        t.notOk(await store.commit('1', expect, record(9, 9)), JSON.stringify(expect));
      }
      t.strictSame(await store.get('1'), record(3, 7));
      t.ok(await store.commit('1', { epoch: 3, version: 7 }, record(3, 7, { leaseUntil: 5 })), 'neither has to grow');
    });

    t.test('lets one of many win that expect the same, and all that expect each other', async (t) => {
      const store = await opened(t);
      const race = Array.from({ length: 50 }, (_, i) => store.commit('1', NONE, record(1, 1, { owner: `n${i}` })));
      const won = (await Promise.all(race)).flatMap((written, i) => (written ? [`n${i}`] : []));
      t.equal(won.length, 1);
      t.equal((await store.get('1'))?.owner, won[0]);
      const chain = Array.from({ length: 50 }, (_, i) =>
        store.commit('2', { epoch: i, version: i }, record(i + 1, i + 1)),
      );
      t.ok(
        (await Promise.all(chain)).every((written) => written),
        'without waiting for each other',
      );
      t.equal((await store.get('2'))?.epoch, 50);
    });

    t.test('keeps its own copy: a document that was handed in or out may be changed', async (t) => {
      const store = await opened(t);
      const doc = { list: [1] };
      const committed = store.commit('1', NONE, record(1, 1, { doc }));
      doc.list.push(2);
      await committed;
      (((await store.get('1')) as OwnershipRecord).doc as typeof doc).list.push(3);
      t.strictSame((await store.get('1'))?.doc, { list: [1] });
    });

    t.test('never takes one key for another, and takes no key that is none', async (t) => {
      const store = await opened(t);
      const keys = ['1', '10', '1-', '1_0', '18446744073709551615', 'shared', 'Shared', 'x'.repeat(128)];
      for (const [i, key] of keys.entries()) {
        await store.commit(key, NONE, record(i + 1, i + 1));
        await store.keepConflict(copy(key, i + 1));
      }
      for (const [i, key] of keys.entries()) {
        t.equal((await store.get(key))?.epoch, i + 1, key);
        t.strictSame(await store.conflicts(key), [copy(key, i + 1)], key);
      }
      for (const key of ['', '/', 'a/b', 'a.b', 'a b', 'ü', '\0', 'x'.repeat(129)]) {
        await t.rejects(store.get(key), TypeError, JSON.stringify(key));
        await t.rejects(store.commit(key, NONE, record(1, 1)), TypeError);
        await t.rejects(store.keepConflict(copy(key, 1)), TypeError);
        await t.rejects(store.conflicts(key), TypeError);
      }
    });

    t.test('keeps the newest conflict copies of a document in order, and the same one once', async (t) => {
      const store = await opened(t);
      t.strictSame(await store.conflicts('1'), []);
      const copies = Array.from({ length: MAX_CONFLICTS + 9 }, (_, i) => copy('1', i));
      for (const one of copies.slice(0, 5)) await store.keepConflict(one);
      await store.keepConflict({ ...copy('1', 3), at: 9, currentEpoch: 99 });
      t.strictSame(await store.conflicts('1'), copies.slice(0, 5), 'a second copy of one of them is not kept');
      await Promise.all(copies.slice(5).map((one) => store.keepConflict(one)));
      t.strictSame(await store.conflicts('1'), copies.slice(-MAX_CONFLICTS));
      await store.keepConflict(copy('1', 99));
      t.strictSame(await store.conflicts('1'), [...copies.slice(1 - MAX_CONFLICTS), copy('1', 99)]);
    });

    t.test('lets no node push out the conflict copies of another', async (t) => {
      const store = await opened(t);
      const nodes = async (): Promise<string> => (await store.conflicts('1')).map(({ node }) => node).join('');
      await store.keepConflict(copy('1', 1, 'a'));
      await store.keepConflict(copy('1', 2, 'b'));
      for (let n = 10; n < 40; n += 1) await store.keepConflict(copy('1', n, 'r'));
      t.strictSame(await store.conflicts('1'), [
        copy('1', 1, 'a'),
        copy('1', 2, 'b'),
        ...Array.from({ length: MAX_NODE_CONFLICTS }, (_, i) => copy('1', 40 - MAX_NODE_CONFLICTS + i, 'r')),
      ]);
      let n = 50;
      for (const node of ['c', 'c', 'c', 'd', 'd', 'e', 'e', 'f', 'f', 'g'])
        await store.keepConflict(copy('1', n++, node));
      t.equal(await nodes(), 'abrrrrcccddeeffg', 'as many as may be');
      for (const node of ['h', 'i', 'j']) await store.keepConflict(copy('1', n++, node));
      t.equal(await nodes(), 'abrrccddeeffghij', 'then whoever has the most makes room');
    });

    t.test('does what was asked before it was closed, and nothing after', async (t) => {
      const store = await opened(t);
      const asked = [store.commit('1', NONE, record(1, 1)), store.commit('2', NONE, record(1, 1))];
      await Promise.all([store.close(), store.close()]);
      t.strictSame(await Promise.all(asked), [true, true]);
      const closed = { name: 'StoreError', code: 'closed' };
      await t.rejects(store.get('1'), closed);
      await t.rejects(store.commit('1', NONE, record(1, 1)), closed);
      await t.rejects(store.keepConflict(copy('1', 1)), closed);
      await t.rejects(store.conflicts('1'), closed);
    });

    t.test('agrees with a table, whatever is done to it', async (t) => {
      const random = seedFromEnv(`${name} store`);
      const store = await opened(t);
      const table = new Map<string, OwnershipRecord>();
      for (let turn = 0; turn < 60; turn += 1) {
        // A handful in one turn: they share a batch, and each sees the ones before it.
        const asked = Array.from({ length: 1 + random.int(6) }, () => {
          const key = random.pick(['1', '2', '3']);
          const { epoch, version } = table.get(key) ?? NONE;
          const expect = random.int(4) === 0 ? { epoch, version: version + 1 } : { epoch, version };
          const next = record(epoch + random.int(2), version + 1, { owner: random.pick(['a', 'b', null]) });
          const should = expect.version === version;
          if (should) table.set(key, next);
          return { should, done: store.commit(key, expect, next) };
        });
        for (const { should, done } of asked) if ((await done) !== should) t.fail(`turn ${turn}, seed ${random.seed}`);
      }
      for (const [key, expected] of table) t.strictSame(await store.get(key), expected, `seed ${random.seed}`);
    });
  });
}
