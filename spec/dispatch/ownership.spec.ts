// PROTOCOL.md section 9.1, a sentence at a time: who gets the document when, and what becomes of what comes too late.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { Deadlines } from '../../lib/dispatch/deadlines.js';
import { Leases } from '../../lib/dispatch/lease.js';
import { OWNERSHIP_DEFAULTS } from '../../lib/dispatch/ownership-types.js';
import { MoodyStore, Scene, settle, WALL } from './scene.js';

/** A scene in which `svc-a` owns document 1 in epoch 1 since more than the minimum hold. */
async function owned(settings: ConstructorParameters<typeof Scene>[0] = {}): Promise<Scene> {
  const scene = new Scene(settings);
  scene.connect('a', 'b', 'c', 'd');
  await scene.request('a');
  await scene.save('a', 1, { n: 1 });
  await scene.advance(2000, ['a']);
  scene.take();
  return scene;
}

t.test('the first who asks gets an empty document, and what the owner saves is what the next one gets', async (t) => {
  const scene = new Scene();
  scene.connect('a', 'b');
  await scene.request('a');
  t.strictSame(scene.take(), ['granted 1/1 to a: {} v0']);
  await scene.save('a', 1, { n: 1 });
  await scene.save('a', 1, { n: 2 });
  t.strictSame(scene.take(), ['save 1/1 of a: v1', 'save 1/1 of a: v2']);
  await scene.transfer('a', 1, { n: 3 });
  t.strictSame(scene.take(), ['transfer 1/1 of a: v3'], 'nobody waits: it lets go');
  const past = [{ node: 'a', epoch: 1 }];
  t.strictSame(await scene.record(), { epoch: 1, owner: null, leaseUntil: undefined, doc: { n: 3 }, version: 3, past });
  await scene.request('b');
  t.strictSame(scene.take(), ['granted 1/2 to b: {"n":3} v3'], 'at once: nobody has to be asked');
  await scene.request('b', { key: 'shared' });
  t.strictSame(scene.take(), ['granted shared/1 to b: {} v0'], 'documents have nothing to do with each other');
});

t.test('an owner that asks again gets what is stored under a new epoch, which fences what it was before', async (t) => {
  const scene = await owned();
  await scene.request('a');
  t.strictSame(scene.take(), ['granted 1/2 to a: {"n":1} v1']);
  await scene.save('a', 1, { former: true });
  t.strictSame(scene.take(), ['refused save of a: stale_epoch']);
  t.strictSame(await scene.store.conflicts('1'), [
    { key: '1', node: 'a', epoch: 1, currentEpoch: 2, doc: { former: true }, at: WALL + 2000 },
  ]);
});

t.test('an owner that answers 102 in time hands its last state over', async (t) => {
  const scene = await owned();
  await scene.request('b');
  t.strictSame(scene.take(), ['revoke#1 1/1 of a for b in 5000']);
  await scene.advance(4000, ['a', 'b']);
  await scene.save('a', 1, { n: 2 });
  t.strictSame(scene.take(), ['save 1/1 of a: v2'], 'it may still flush');
  await scene.transfer('a', 1, { n: 3 }, '#1');
  t.strictSame(scene.take(), ['transfer 1/1 of a: v3', 'granted 1/2 to b: {"n":3} v3']);
  await scene.save('a', 1, { n: 4 });
  t.strictSame(scene.take(), ['refused save of a: stale_epoch']);
  t.strictSame(
    (await scene.store.conflicts('1')).map(({ doc }) => doc),
    [{ n: 4 }],
  );
  t.strictSame((await scene.record())?.doc, { n: 3 });
  const { granted, handedOver, takenOver, stale, conflicts } = scene.ownership.counters();
  t.strictSame([granted, handedOver, takenOver, stale, conflicts], [2, 1, 0, 1, 1]);
});

t.test('a transfer without an epoch has that of the revoke it answers, and none otherwise', async (t) => {
  for (const [re, expected] of [
    ['#1', ['transfer 1/1 of a: v2', 'granted 1/2 to b: {"n":2} v2']],
    ['#2', ['refused transfer of a: stale_epoch']],
    [undefined, ['refused transfer of a: stale_epoch']],
  ] as const) {
    const scene = await owned();
    await scene.request('b');
    scene.take();
    await scene.transfer('a', undefined, { n: 2 }, re);
    t.strictSame(scene.take(), expected, `${re}`);
  }
});

t.test('an owner that does not let go keeps it for its revoke and its lease, whatever else it sends', async (t) => {
  // [ms since the owner was last heard, ms until somebody else gets the document, how long each 102 after the first gives it]
  for (const [quiet, wait, again] of [
    [0, 15_000, [5000, 5000]],
    [4000, 11_000, [5000, 1000]],
    [12_000, 5000, []],
    [100_000, 5000, []],
  ] as const) {
    const scene = await owned();
    scene.ownership.heard('a', scene.now);
    await scene.advance(quiet);
    await scene.request('b');
    t.strictSame(scene.take(), ['revoke#1 1/1 of a for b in 5000']);
    await scene.advance(wait - 1, ['a', 'b'], 100);
    t.strictSame(
      scene.take(),
      again.map((ms, i) => `revoke#${i + 2} 1/1 of a for b in ${ms}`),
      `${quiet}: its PINGs do not help it, but its time is its own, and it is told again`,
    );
    await scene.advance(1);
    t.strictSame(
      scene.take(),
      [`revoke#${again.length + 2} 1/1 of a for b in 5000`, 'granted 1/2 to b: {"n":1} v1'],
      `${quiet}: then it is taken, and hears of that too`,
    );
    t.equal(scene.ownership.counters().takenOver, 1);
  }
});

t.test('an owner that is gone has its lease, counted from its last package', async (t) => {
  const scene = await owned();
  await scene.advance(5000);
  await scene.disconnect('a');
  await scene.request('b');
  await scene.advance(9999);
  t.strictSame(scene.take(), []);
  await scene.advance(1);
  t.strictSame(scene.take(), ['granted 1/2 to b: {"n":1} v1']);

  const later = await owned();
  await later.disconnect('a');
  await later.advance(20_000);
  await later.request('b');
  t.strictSame(later.take(), ['granted 1/2 to b: {"n":1} v1'], 'a lease that is over keeps nobody waiting');
});

t.test('an owner that comes back is told first of all, and then its time begins', async (t) => {
  const scene = await owned();
  await scene.disconnect('a');
  await scene.request('b');
  await scene.advance(10_000);
  t.strictSame(scene.take(), []);
  scene.connect('a');
  t.strictSame(
    scene.take(),
    ['revoke#1 1/1 of a for b in 5000'],
    'from within connected(), before anything is sent to it',
  );
  await scene.advance(14_999, ['a'], 100);
  t.strictSame(scene.take(), ['revoke#2 1/1 of a for b in 5000', 'revoke#3 1/1 of a for b in 5000']);
  await scene.advance(1);
  t.strictSame(scene.take(), ['revoke#4 1/1 of a for b in 5000', 'granted 1/2 to b: {"n":1} v1']);

  const flapping = await owned();
  await flapping.request('b');
  for (let i = 0; i < 12; i += 1) {
    await flapping.advance(1000);
    await flapping.disconnect('a');
    flapping.connect('a');
    await settle();
  }
  const lines = flapping.take();
  t.equal(lines.filter((line) => line.startsWith('revoke')).length, 13, 'told again each time');
  t.equal(lines[1], 'revoke#2 1/1 of a for b in 5000', 'with its time');
  t.equal(lines[12], 'revoke#13 1/1 of a for b in 3000', 'or with what is left of its lease');
  await flapping.transfer('a', undefined, { n: 2 }, '#13');
  t.strictSame(flapping.take(), ['transfer 1/1 of a: v2', 'granted 1/2 to b: {"n":2} v2']);

  const mute = await owned();
  await mute.request('b');
  for (let i = 0; i < 14; i += 1) {
    await mute.advance(1000);
    await mute.disconnect('a');
    mute.connect('a');
  }
  mute.take();
  await mute.advance(1000);
  t.match(mute.take(), [/^revoke/, 'granted 1/2 to b: {"n":1} v1'], 'coming back again and again prolongs nothing');

  const alone = await owned();
  await alone.disconnect('a');
  await alone.request('b', { timeout: 500 });
  await alone.advance(1000);
  alone.connect('a');
  t.strictSame(alone.take(), ['refused b: owner_timeout 14500'], 'nobody waits any longer: it need not know');
});

t.test('an owner that comes back while its document is being taken is told as well', async (t) => {
  const scene = await owned();
  await scene.disconnect('a');
  await scene.request('b');
  scene.store.hold();
  await scene.advance(15_000);
  scene.store.release();
  scene.store.hold();
  await settle();
  scene.connect('a');
  t.strictSame(scene.take(), ['revoke#1 1/1 of a for b in 5000']);
  scene.store.release();
  await settle();
  t.strictSame(scene.take(), ['revoke#2 1/1 of a for b in 5000', 'granted 1/2 to b: {"n":1} v1']);
});

t.test('an owner to whom nothing can be sent loses it when its lease is over', async (t) => {
  const scene = await owned();
  scene.deaf.add('a');
  scene.ownership.heard('a', scene.now);
  await scene.request('b');
  await scene.advance(14_999, ['a'], 100);
  await scene.disconnect('a');
  scene.connect('a');
  await settle();
  t.strictSame(scene.take(), []);
  await scene.advance(1);
  t.strictSame(scene.take(), ['granted 1/2 to b: {"n":1} v1']);
});

t.test('a restarted dispatch honours what is left of a lease, and no more than one lease', async (t) => {
  const scene = await owned();
  await scene.request('b');
  await scene.advance(4999, ['a']);
  t.equal((await scene.record())?.leaseUntil, undefined, 'a hand-over in time costs no write');
  await scene.advance(1, ['a']);
  t.equal((await scene.record())?.leaseUntil, WALL + 2000 + 15_000, 'frozen when 102 was sent');
  await scene.save('a', 1, { n: 2 });
  t.equal((await scene.record())?.leaseUntil, WALL + 2000 + 15_000, 'and a save does not thaw it');
  scene.ownership.close();
  // [how far the wall clock has jumped, ms until it is taken]: what is recorded longer ago than a lease says nothing.
  for (const [jump, wait] of [
    [0, 9000],
    [-3000, 12_000],
    [-1e9, 15_000],
    [8000, 1000],
    [9000, 0],
    [23_000, 0],
    [24_001, 15_000],
    [1e9, 15_000],
  ] as const) {
    const store = new MoodyStore();
    t.ok(await store.commit('1', { epoch: 0, version: 0 }, (await scene.record())!));
    const again = new Scene({}, store, 8000);
    again.wallError = jump;
    again.connect('b');
    await again.request('b');
    if (wait > 0) {
      await again.advance(wait - 1);
      t.strictSame(again.take(), [], `${jump}`);
      await again.advance(1);
    }
    t.strictSame(again.take(), ['granted 1/2 to b: {"n":2} v2'], `${jump}: after ${wait}`);
  }
});

t.test(
  'after a restart an owner of whom nothing is heard has a lease from the start, and one that is heard its own',
  async (t) => {
    const { store } = await owned();
    const silent = new Scene({}, store, 50_000);
    silent.connect('b');
    await silent.advance(6000);
    await silent.request('b', { timeout: 9000 });
    await silent.advance(8999);
    t.strictSame(silent.take(), []);
    await silent.advance(1);
    t.strictSame(
      silent.take(),
      ['refused b: owner_timeout 1000'],
      'the lease and the request end together: the request was first',
    );
    const back = new Scene({}, store, 70_000);
    back.connect('b', 'a');
    await back.advance(20_000, ['a']);
    await back.request('b');
    t.strictSame(back.take(), ['revoke#1 1/1 of a for b in 5000']);
    await back.transfer('a', 1, { n: 2 }, '#1');
    t.strictSame(back.take(), ['transfer 1/1 of a: v2', 'granted 1/2 to b: {"n":2} v2']);
  },
);

t.test(
  'first come, first served: each has the document for a second, and the seventeenth is told to come back',
  async (t) => {
    const scene = await owned();
    const nodes = Array.from({ length: 17 }, (_, i) => `n${i}`);
    scene.connect(...nodes);
    for (const node of nodes) await scene.request(node);
    t.strictSame(scene.take(), ['revoke#1 1/1 of a for n0 in 5000', 'refused n16: busy 15000']);
    await scene.transfer('a', 1, { n: 2 }, '#1');
    t.strictSame(scene.take(), ['transfer 1/1 of a: v2', 'granted 1/2 to n0: {"n":2} v2']);
    for (const [i, node] of nodes.slice(0, 15).entries()) {
      await scene.advance(999);
      t.strictSame(scene.take(), [], 'the minimum hold');
      await scene.advance(1);
      t.strictSame(scene.take(), [`revoke#${i + 2} 1/${i + 2} of ${node} for n${i + 1} in 5000`]);
      await scene.transfer(node, i + 2, { by: node }, `#${i + 2}`);
      t.equal(scene.take()[1], `granted 1/${i + 3} to n${i + 1}: {"by":"${node}"} v${i + 3}`);
    }
  },
);

t.test('a node has one request for a document: the newer takes the place of the older', async (t) => {
  const scene = await owned();
  await scene.request('b', { name: 'b1' });
  await scene.request('c');
  await scene.request('b', { name: 'b2' });
  t.strictSame(scene.take(), ['revoke#1 1/1 of a for b in 5000', 'refused b1: busy']);
  await scene.transfer('a', 1, { n: 2 }, '#1');
  t.equal(scene.take()[1], 'granted 1/2 to b2: {"n":2} v2', 'and not c, who came after the older');
});

t.test('a request dies with its time, leaves the owner as it is, and says when to come back', async (t) => {
  const scene = await owned();
  await scene.request('b', { timeout: 3000 });
  await scene.request('c', { timeout: 4000 });
  scene.take();
  await scene.advance(3000, ['a']);
  t.strictSame(scene.take(), ['refused b: owner_timeout 12000']);
  await scene.advance(1000, ['a']);
  t.strictSame(scene.take(), ['refused c: owner_timeout 11000']);
  t.equal((await scene.record())?.owner, 'a');
  await scene.request('d', { timeout: 0 });
  t.strictSame(scene.take(), ['refused d: owner_timeout 11000'], 'dead when it comes');
  await scene.advance(11_000, ['a']);
  await scene.request('b', { timeout: 1 });
  t.match(
    scene.take(),
    [/^revoke/, 'granted 1/2 to b: {"n":1} v1'],
    'who comes back when told gets it: an owner cannot outlast all',
  );
});

t.test('an owner that lets go although nobody waits any longer is believed', async (t) => {
  const scene = await owned();
  await scene.request('b', { timeout: 3000 });
  await scene.advance(3000);
  scene.take();
  await scene.transfer('a', undefined, { n: 2 }, '#1');
  t.strictSame(scene.take(), ['transfer 1/1 of a: v2']);
  t.equal((await scene.record())?.owner, null);
});

t.test('a slow store: what has not begun dies in time, what is written is told', async (t) => {
  const scene = await owned();
  scene.store.hold();
  await scene.request('b', { timeout: 1000 });
  await scene.advance(1000);
  t.strictSame(scene.take(), ['refused b: owner_timeout 1000'], 'it was read only');
  scene.store.release();
  await settle();
  t.strictSame(scene.take(), []);
  await scene.transfer('a', 1, { n: 2 });
  scene.take();
  scene.store.hold();
  await scene.request('b', { timeout: 1000 });
  scene.store.release();
  scene.store.hold();
  await settle();
  await scene.advance(5000);
  t.strictSame(scene.take(), [], 'the commit is under way');
  scene.store.release();
  await settle();
  t.strictSame(scene.take(), ['granted 1/2 to b: {"n":2} v2'], 'it is the owner, and learns it');
});

t.test('who is not there gets nothing', async (t) => {
  const scene = await owned();
  await scene.request('nobody');
  t.strictSame(scene.take(), ['refused nobody: unknown_destination']);
  await scene.request('b');
  await scene.request('c');
  await scene.disconnect('b');
  t.strictSame(scene.take(), ['revoke#1 1/1 of a for b in 5000', 'refused b: unknown_destination']);
  await scene.transfer('a', 1, { n: 2 }, '#1');
  t.strictSame(scene.take(), ['transfer 1/1 of a: v2', 'granted 1/2 to c: {"n":2} v2']);

  const late = await owned();
  await late.request('b');
  late.take();
  late.store.hold();
  await late.transfer('a', 1, { n: 2 }, '#1');
  await late.disconnect('b');
  late.store.release();
  await settle();
  t.strictSame(late.take(), ['refused b: unknown_destination', 'transfer 1/1 of a: v2']);
  t.equal((await late.record())?.owner, null, 'nobody is left to hand it to');

  const undelivered = await owned();
  await undelivered.request('b');
  undelivered.take();
  undelivered.store.hold();
  await undelivered.transfer('a', 1, { n: 2 }, '#1');
  undelivered.store.release();
  undelivered.store.hold();
  await settle();
  await undelivered.disconnect('b');
  undelivered.store.release();
  await settle();
  t.match(undelivered.take(), ['transfer 1/1 of a: v2', 'granted 1/2 to b: {"n":2} v2']);
  await undelivered.request('c');
  await undelivered.advance(12_999, ['c']);
  t.strictSame(undelivered.take(), [], 'it stays the owner until its lease ends');
  await undelivered.advance(1);
  t.strictSame(undelivered.take(), ['granted 1/3 to c: {"n":2} v2']);
});

t.test('copies of a transfer change nothing; what differs from the document is kept', async (t) => {
  const scene = await owned();
  await scene.request('b');
  await scene.transfer('a', 1, { n: 2 }, '#1');
  scene.take();
  await scene.transfer('a', 1, { n: 2 }, '#1');
  t.strictSame(scene.take(), ['transfer 1/1 of a: v2'], 'the same once more');
  await scene.save('a', 1, { n: 2 });
  t.strictSame(scene.take(), ['refused save of a: stale_epoch'], 'it is not the owner, though nothing is missing');
  t.strictSame(await scene.store.conflicts('1'), []);
  await scene.save('b', 2, { n: 3 });
  await scene.transfer('a', 1, { n: 2 }, '#1');
  t.strictSame(scene.take().slice(1), ['refused transfer of a: stale_epoch']);
  await scene.transfer('b', 2, { n: 4 });
  await scene.save('b', 2, { n: 5 });
  await scene.transfer('b', 2, { n: 4 });
  t.strictSame(scene.take(), ['transfer 1/2 of b: v4', 'refused save of b: stale_epoch', 'transfer 1/2 of b: v4']);
  t.strictSame(
    (await scene.store.conflicts('1')).map(({ node, doc }) => [node, doc]),
    [
      ['a', { n: 2 }],
      ['b', { n: 5 }],
    ],
  );
});

t.test('who writes without pause is asked to let go at once, and loses it when its time is over', async (t) => {
  const scene = await owned();
  let left = 200;
  let n = 2;
  const save = (): void => scene.write({ kind: 'save', key: '1', node: 'a', epoch: 1, doc: { n: n++ } });
  scene.heard = (line) => {
    if (!line.startsWith('save') || left === 0) return;
    left -= 1;
    save();
  };
  for (let i = 0; i < 8; i += 1) save();
  await scene.request('b');
  const lines = scene.take();
  t.ok(lines.indexOf('revoke#1 1/1 of a for b in 5000') <= 1, 'after one of them at most');
  t.equal(lines.length, 1 + 8 + 200, 'and all of them are written meanwhile');
  await scene.advance(14_999, ['a']);
  scene.take();
  scene.store.hold();
  for (let i = 0; i < 3; i += 1) save();
  await scene.advance(1);
  left = 50;
  for (let i = 0; i < 3; i += 1) save();
  scene.store.release();
  await settle();
  const [one, two, three, last, granted, ...late] = scene.take();
  t.strictSame(
    [one, two, three],
    ['save 1/1 of a: v210', 'save 1/1 of a: v211', 'save 1/1 of a: v212'],
    'came in time',
  );
  t.strictSame([last, granted], ['revoke#4 1/1 of a for b in 5000', 'granted 1/2 to b: {"n":212} v212']);
  t.equal(late.length, 6);
  t.ok(
    late.every((line) => line === 'refused save of a: stale_epoch'),
    'what comes later is too late, however much it is',
  );
});

t.test('an owner may answer any of the 102s it was sent', async (t) => {
  for (const re of ['#1', '#2', '#3']) {
    const scene = await owned();
    await scene.request('b');
    await scene.advance(11_000, ['a']);
    t.equal(scene.take().length, 3);
    await scene.transfer('a', undefined, { n: 2 }, re);
    t.strictSame(scene.take(), ['transfer 1/1 of a: v2', 'granted 1/2 to b: {"n":2} v2'], re);
  }
  const deaf = await owned();
  await deaf.request('b');
  deaf.deaf.add('a');
  await deaf.advance(14_999, ['a']);
  t.equal(deaf.take().length, 1);
  await deaf.advance(1);
  t.strictSame(deaf.take(), ['granted 1/2 to b: {"n":1} v1'], 'who cannot be told again loses it all the same');
});

t.test('only who owned it once has its late writes kept', async (t) => {
  const scene = await owned();
  const kept = async (): Promise<string> =>
    (await scene.store.conflicts('1')).map(({ node, epoch }) => node + epoch).join(' ');
  const change = async (node: string, epoch: number, to: string): Promise<void> => {
    await scene.transfer(node, epoch, { by: node });
    await scene.request(to);
  };
  await change('a', 1, 'b');
  for (const node of ['c', 'd', 'b']) {
    await scene.save(node, 1, { false: node });
    await scene.transfer(node, undefined, { false: node });
  }
  t.equal(await kept(), 'b0', 'the owner itself, which has said no epoch');
  await scene.save('a', 1, { late: 1 });
  t.equal(await kept(), 'b0 a1');
  await change('b', 2, 'a');
  await change('a', 3, 'b');
  await scene.save('a', 2, { late: 2 });
  await scene.save('a', 3, { late: 3 });
  await scene.save('c', 3, { false: 3 });
  await scene.save('b', 3, { false: 3 });
  t.equal(await kept(), 'b0 a1 a2 a3', 'it was one after that epoch');
  t.strictSame((await scene.record())?.past, [
    { node: 'b', epoch: 2 },
    { node: 'a', epoch: 3 },
  ]);
  const others = Array.from({ length: 8 }, (_, i) => `n${i}`);
  scene.connect(...others);
  let before = 'b';
  for (const [i, node] of others.entries()) {
    await change(before, 4 + i, node);
    before = node;
  }
  t.equal((await scene.record())?.past?.length, 8, 'a few of them');
  await scene.save('a', 3, { late: 4 });
  t.equal(await kept(), 'b0 a1 a2 a3', 'that was too long ago');
  await scene.save('b', 4, { late: 5 });
  t.equal(await kept(), 'b0 a1 a2 a3 b4');
});

t.test('a record of which no past is known keeps what is late from whomever it may be', async (t) => {
  const scene = new Scene();
  scene.connect('a', 'b', 'c');
  const old = { epoch: 3, owner: 'a', leaseUntil: undefined, doc: { n: 1 }, version: 7 };
  t.ok(await scene.store.commit('1', { epoch: 0, version: 0 }, old));
  await scene.save('b', 2, { late: 'b' });
  await scene.save('a', 3, { n: 2 });
  t.equal((await scene.record())?.past, undefined);
  await scene.transfer('a', 3, { n: 3 });
  await scene.request('b');
  await scene.save('c', 2, { false: 'c' });
  t.strictSame(
    (await scene.store.conflicts('1')).map(({ doc }) => doc),
    [{ late: 'b' }],
  );
  t.strictSame((await scene.record())?.past, [{ node: 'a', epoch: 3 }]);
});

t.test('a false epoch is refused, and pushes no real copy out', async (t) => {
  const scene = await owned();
  for (const [node, epoch] of [
    ['b', 1],
    ['a', 0],
    ['a', 2],
    ['a', -1],
    ['b', 99],
  ] as const) {
    await scene.save(node, epoch, { evil: true });
    await scene.transfer(node, epoch, { evil: true });
    t.strictSame(scene.take(), [`refused save of ${node}: stale_epoch`, `refused transfer of ${node}: stale_epoch`]);
  }
  await scene.save('b', 1, { evil: true }, '2');
  await scene.transfer('b', undefined, { evil: true }, undefined, '2');
  t.equal(scene.take().length, 2, 'nobody has ever owned that one');
  t.strictSame(await scene.store.conflicts('1'), []);
  t.strictSame(await scene.store.conflicts('2'), []);
  t.strictSame((await scene.record())?.doc, { n: 1 });
});

t.test('a store that fails is told to who asked, once, and stops nobody', async (t) => {
  const scene = await owned();
  const { failures } = scene.store;
  failures.push({ which: 'get' });
  await scene.save('a', 1, { n: 2 });
  failures.push({ which: 'commit' });
  await scene.save('a', 1, { n: 2 });
  failures.push({ which: 'get', sync: true });
  await scene.request('b');
  t.strictSame(scene.take(), [
    'failed 1: get has failed',
    'refused save of a: internal',
    'failed 1: commit has failed',
    'refused save of a: internal',
    'failed 1: get has thrown',
    'refused b: internal',
  ]);
  failures.push({ which: 'keepConflict' });
  await scene.request('a');
  await scene.save('a', 1, { n: 9 });
  t.strictSame(scene.take().slice(1), ['failed 1: keepConflict has failed', 'refused save of a: stale_epoch']);
  failures.push({ which: 'commit' });
  await scene.request('a');
  t.strictSame(scene.take(), ['failed 1: commit has failed', 'refused a: internal']);

  // A hand-over that fails: who waits goes on waiting, and whatever has become of it comes out.
  for (const after of [false, true]) {
    const half = await owned();
    await half.request('b');
    half.take();
    half.store.failures.push({ which: 'commit', after });
    await half.transfer('a', 1, { n: 2 }, '#1');
    const [failed, refused, ...granted] = half.take();
    t.strictSame([failed, refused], ['failed 1: commit has failed', 'refused transfer of a: internal']);
    t.strictSame(granted, after ? ['granted 1/3 to b: {"n":2} v2'] : [], 'it was written, or it was not');
    await half.transfer('a', 1, { n: 2 }, '#1');
    t.equal(half.take().at(-1), after ? 'refused transfer of a: stale_epoch' : 'granted 1/2 to b: {"n":2} v2');
    t.strictSame(await half.store.conflicts('1'), []);
  }
  t.equal(scene.ownership.counters().failed, 5);
});

t.test('another dispatch that is faster costs another look, and at last patience', async (t) => {
  const scene = await owned({ several: true });
  const write = (more: object) => async (key: string) => {
    const record = (await scene.record(key))!;
    const next = { ...record, version: record.version + 1, doc: { other: true }, ...more };
    t.ok(await scene.store.inner.commit(key, record, next));
  };
  scene.store.before = write({});
  await scene.save('a', 1, { n: 2 });
  t.strictSame(scene.take(), ['save 1/1 of a: v3'], 'it is still the owner');
  scene.store.before = write({ epoch: 2, owner: 'x' });
  await scene.save('a', 1, { n: 3 });
  t.strictSame(scene.take(), ['refused save of a: stale_epoch'], 'it is not');
  t.equal((await scene.store.conflicts('1')).length, 1);
  t.equal(scene.ownership.counters().lost, 2);
  const always = (more: object) => {
    const again = async (key: string): Promise<void> => {
      await write(more)(key);
      scene.store.before = again;
    };
    scene.store.before = again;
  };
  await write({ owner: null })('1');
  always({});
  await scene.request('b');
  t.strictSame(scene.take(), ['refused b: busy 1000']);
  await write({ owner: 'a' })('1');
  await scene.save('a', 2, { n: 4 });
  t.strictSame(scene.take(), ['refused save of a: busy 1000']);
  await scene.request('b');
  scene.take();
  await scene.transfer('a', 2, { n: 4 });
  t.strictSame(scene.take(), ['refused transfer of a: busy 1000'], 'whoever waits goes on waiting');
  scene.store.before = undefined;
  await scene.transfer('a', 2, { n: 4 });
  t.match(scene.take(), [/^transfer 1\/2 of a/, /^granted 1\/3 to b/]);
  t.equal(scene.ownership.counters().lost, 2 + 8 + 8 + 8);
});

t.test('with several dispatches an owner may live elsewhere: it is told by the bus, and looked after', async (t) => {
  const elsewhere = new Set(['x']);
  const settings = { several: true, reachable: (node: string) => elsewhere.has(node) };
  const remote = async (): Promise<Scene> => {
    const scene = new Scene(settings, new MoodyStore(), 1e6);
    scene.connect('b');
    await scene.store.commit(
      '1',
      { epoch: 0, version: 0 },
      { epoch: 1, owner: 'x', leaseUntil: undefined, doc: {}, version: 1 },
    );
    await scene.request('b');
    return scene;
  };
  const lets = await remote();
  t.strictSame(lets.take(), ['revoke#1 1/1 of x for b in 5000']);
  await lets.advance(1000);
  await lets.store.commit(
    '1',
    { epoch: 1, version: 1 },
    { epoch: 1, owner: null, leaseUntil: undefined, doc: { n: 1 }, version: 2 },
  );
  await lets.advance(250);
  t.strictSame(lets.take(), ['granted 1/2 to b: {"n":1} v2'], 'what it has told its own dispatch is seen soon');

  const mute = await remote();
  await mute.advance(14_999);
  t.equal(mute.take().length, 3, 'told, and told again');
  await mute.advance(1);
  t.strictSame(
    mute.take(),
    ['revoke#4 1/1 of x for b in 5000', 'granted 1/2 to b: {} v1'],
    'nobody here knows when it was last heard: a lease from the revoke',
  );

  elsewhere.clear();
  const gone = await remote();
  await gone.advance(6000);
  t.strictSame(gone.take(), []);
  elsewhere.add('x');
  await gone.advance(250);
  t.strictSame(gone.take(), ['revoke#1 1/1 of x for b in 5000'], 'it has come back there');
  await gone.transfer('x', 1, { n: 2 }, '#1');
  t.strictSame(gone.take(), ['transfer 1/1 of x: v2', 'granted 1/2 to b: {"n":2} v2']);
});

t.test('what waits is bounded, and what is over is forgotten', async (t) => {
  const scene = await owned({ maxWrites: 3, maxKeys: 4 });
  scene.store.hold();
  for (let i = 0; i < 6; i += 1) scene.write({ kind: 'save', key: '1', node: 'a', epoch: 1, doc: { i } });
  t.strictSame(
    scene.take(),
    Array.from({ length: 2 }, () => 'refused save of a: busy 1000'),
    'one is under way, three wait',
  );
  for (const key of ['2', '3', '4', '5', '6']) await scene.request('b', { key, name: key });
  await scene.save('b', 1, {}, '7');
  t.strictSame(scene.take(), ['refused 5: busy 1000', 'refused 6: busy 1000', 'refused save of b: busy 1000']);
  t.match(scene.ownership.counters(), { documents: 4, waiting: 3, refused: 5 });
  scene.store.release();
  await settle();
  t.equal(scene.take().length, 4 + 3, 'each was answered, in one way or the other');
  await scene.request('c');
  await scene.advance(40_000, ['a']);
  t.match(scene.ownership.counters(), { documents: 0, waiting: 0 });
  t.equal(scene.ownership.deadline(), undefined);
  t.throws(() => {
    scene.ownership.close();
    scene.write({ kind: 'save', key: '1', node: 'a', epoch: 1, doc: {} });
  }, TypeError);
});

t.test('a machine that is closed says nothing, whatever the store still answers', async (t) => {
  const scene = await owned();
  scene.store.hold();
  await scene.request('b');
  await scene.save('a', 1, { n: 2 });
  scene.ownership.close();
  scene.store.release();
  await settle();
  await scene.advance(60_000);
  t.strictSame(scene.take(), []);
});

t.test('it may be called back from what it says', async (t) => {
  const scene = new Scene();
  scene.connect('a', 'b');
  scene.heard = (line) => {
    // The owner hands over the moment it is asked, and the new one saves the moment it is told.
    if (line.startsWith('revoke'))
      scene.write({ kind: 'transfer', key: '1', node: 'a', epoch: 1, doc: { n: 2 }, re: '#1' });
    if (line.startsWith('granted 1/1')) scene.write({ kind: 'save', key: '1', node: 'a', epoch: 1, doc: { n: 1 } });
    if (line.startsWith('save'))
      scene.ownership.request({ key: '1', node: 'b', name: 'b', deadline: 30_000 }, scene.now);
    if (line.startsWith('granted 1/2')) scene.ownership.disconnected('b', scene.now);
  };
  await scene.request('a');
  await scene.advance(1000);
  t.strictSame(scene.take(), [
    'granted 1/1 to a: {} v0',
    'save 1/1 of a: v1',
    'revoke#1 1/1 of a for b in 5000',
    'transfer 1/1 of a: v2',
    'granted 1/2 to b: {"n":2} v2',
  ]);
});

t.test('whoever is told in the middle of a step that it is over for him may ask again in it', async (t) => {
  const elsewhere = new Set(['x', 'y']);
  const scene = await owned({ reachable: (node) => elsewhere.has(node) });
  await scene.request('x', { timeout: 9000 });
  await scene.request('y', { timeout: 9000 });
  scene.take();
  elsewhere.clear();
  scene.heard = (line) => {
    if (!line.startsWith('refused y')) return;
    for (const node of ['b', 'c']) scene.ownership.request({ key: '1', node, name: node, deadline: 30_000 }, scene.now);
  };
  await scene.transfer('a', 1, { n: 2 }, '#1');
  t.strictSame(scene.take(), [
    'refused x: unknown_destination',
    'refused y: unknown_destination',
    'transfer 1/1 of a: v2',
    'granted 1/2 to b: {"n":2} v2',
  ]);
  await scene.advance(1000);
  t.strictSame(scene.take(), ['revoke#2 1/2 of b for c in 5000']);
});

t.test('nodes that are gone are forgotten after a lease', (t) => {
  const leases = new Leases({ ...OWNERSHIP_DEFAULTS, wall: () => WALL }, 0);
  for (let i = 0; i < 1000; i += 1) {
    leases.connected(`n${i}`, i * 100);
    leases.heard(`n${i}`, i * 100 + 50);
    leases.disconnected(`n${i}`, i * 100 + 60);
    leases.heard(`n${i}`, i * 100 + 70);
    if (leases.end(`n${i}`, undefined, i * 100 + 80) !== i * 100 + 50 + 15_000) t.fail(`the lease of n${i}`);
  }
  t.equal(leases.size, 150);
  leases.connected('n999', 200_000);
  leases.disconnected('nobody', 300_000);
  t.equal(leases.size, 1, 'who is connected is not forgotten');
  t.ok(leases.reaches('n999'));
  t.notOk(leases.reaches('n998'));
  t.end();
});

t.test('of many deadlines the first is known, however often they change', (t) => {
  const random = seedFromEnv('deadlines');
  const deadlines = new Deadlines<number>();
  const table = new Map<number, number>();
  for (let step = 0; step < 20_000; step += 1) {
    const thing = random.int(200);
    const at = random.int(5) === 0 ? undefined : random.int(1e6);
    deadlines.set(thing, at);
    if (at === undefined) table.delete(thing);
    else table.set(thing, at);
    const first = table.size === 0 ? undefined : Math.min(...table.values());
    if (deadlines.next() !== first || deadlines.size !== table.size) return t.fail(`step ${step}, seed ${random.seed}`);
    if (deadlines.weight > 4 * 200 + 64) return t.fail(`${deadlines.weight} entries, seed ${random.seed}`);
    if (first !== undefined && random.int(10) === 0) {
      t.equal(deadlines.take(first - 1), undefined);
      const taken = deadlines.take(first) as number;
      if (table.get(taken) !== first) return t.fail(`step ${step}, seed ${random.seed}`);
      table.delete(taken);
    }
  }
  return t.end();
});
