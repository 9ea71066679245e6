// The table of what was passed on: who may answer, how much of it one node may have, and that nothing stays when a node goes or the time is over.
import t from 'tap';
import { EndpointTable } from '../../lib/dispatch/endpoints.js';
import { type Asker, type Entry, Pending } from '../../lib/dispatch/pending.js';
import type { NodeLink } from '../../lib/package/nodes.js';

const LINK = {} as NodeLink;
const header = { scope: 1000, internal: true, body: false };
const asker = (node: string): Asker => ({
  kind: 'node',
  node,
  link: LINK,
  header,
  claims: { iss: node, iat: 0, exp: 60, jti: `asked-by-${node}` },
});
const entry = (jti: string, by: string, to: string, more: Partial<Entry> = {}): Entry => ({
  jti,
  asker: asker(by),
  to,
  deadline: 1_000,
  loose: false,
  ...more,
});
const nobody = (): boolean => false;

t.test('an answer is taken once, and only from who was asked', async (t) => {
  const pending = new Pending(nobody);
  pending.add(entry('one', 'a', 'b'));
  t.equal(pending.get('one', 'c'), undefined);
  t.equal(pending.take('one', 'a'), undefined, 'not from who has asked');
  t.equal(pending.take('two', 'b'), undefined);
  t.match(pending.take('one', 'b'), { jti: 'one', to: 'b' });
  t.equal(pending.take('one', 'b'), undefined);
  pending.add(entry('two', 'a', 'b'));
  t.match(pending.take('two', undefined), { jti: 'two' }, 'a dispatch answers for whomever');
  t.equal(pending.size, 0);
});

t.test(
  'one node has so many; what may stay without an answer makes room, what must be answered does not',
  async (t) => {
    const pending = new Pending(nobody, 2, 5);
    for (const jti of ['f1', 'f2']) {
      t.ok(pending.hasRoom('a', false));
      pending.add(entry(jti, 'a', 'b'));
    }
    t.notOk(pending.hasRoom('a', false), 'a third is too much');
    t.ok(pending.hasRoom('c', false), 'of this node');
    for (const jti of ['l1', 'l2']) {
      t.ok(pending.hasRoom('a', true));
      pending.add(entry(jti, 'a', 'b', { loose: true }));
    }
    t.ok(pending.hasRoom('a', true));
    t.equal(pending.forgotten, 1);
    t.equal(pending.get('l1', 'b'), undefined, 'the oldest one made room');
    pending.add(entry('l3', 'a', 'b', { loose: true }));
    pending.add(entry('f3', 'c', 'b'));
    t.equal(pending.size, 5);
    t.notOk(pending.hasRoom('d', false), 'all together are full');
    t.notOk(pending.hasRoom('d', true), 'who has none of his own to forget waits');
    t.ok(pending.hasRoom('a', true));
    t.equal(pending.size, 4);
    pending.take('f1', 'b');
    t.ok(pending.hasRoom('a', false), 'an answer makes room');
  },
);

t.test('what a node was asked comes back when it goes, what it has asked is forgotten', async (t) => {
  const pending = new Pending(nobody);
  pending.add(entry('one', 'a', 'b'));
  pending.add(entry('two', 'b', 'a'));
  pending.add(entry('three', 'c', 'b', { loose: true }));
  pending.add(entry('four', 'b', 'b'));
  pending.add({ ...entry('five', 'x', 'b'), asker: { kind: 'revoke', key: 'shared' } });
  t.same(
    pending.takeOf('b').map(({ jti }) => jti),
    ['one', 'three', 'five'],
  );
  t.equal(pending.size, 0);
  t.same(pending.takeOf('b'), []);
  t.same(pending.takeOf('a'), []);
});

t.test('what nobody answers is over at its deadline', async (t) => {
  const pending = new Pending((node) => node === 'a');
  t.equal(pending.deadline(), Infinity);
  pending.add(entry('one', 'a', 'b', { deadline: 2_000 }));
  pending.add(entry('two', 'a', 'b', { deadline: 1_000 }));
  t.equal(pending.deadline(), 1_000);
  t.equal(pending.tick(999), 0);
  t.equal(pending.tick(1_000), 1);
  t.equal(pending.get('two', 'b'), undefined);
  t.equal(pending.tick(5_000), 1);
  t.equal(pending.size, 0);
  t.same(pending.takeOf('b'), []);
});

t.test('an endpoint is a name in a table: the operator first, then the first node that came', async (t) => {
  const table = new EndpointTable({ 'fixed.example': 'svc-f' });
  table.set('svc-a', ['one.example', 'fixed.example']);
  table.set('svc-b', ['one.example', 'two.example']);
  t.equal(table.find('fixed.example'), 'svc-f');
  t.equal(table.find('one.example'), 'svc-a');
  table.set('svc-a', ['three.example']);
  t.equal(table.find('one.example'), 'svc-b', 'it has come again under other names');
  table.remove('svc-b');
  t.equal(table.find('one.example'), undefined);
  for (const name of ['__proto__', 'constructor', '']) t.equal(table.find(name), undefined);
});
