// Large memory that is used again.
import t from 'tap';
import { collectGarbage } from '../../fixtures/rig/garbage.js';
import { giveMemory, takeMemory } from '../../lib/bytes/spares.js';

const MIB = 1024 * 1024;

t.test('memory that was given back is found again by who needs about as much', async (t) => {
  const one = takeMemory(5 * MIB);
  giveMemory(one.subarray(0, 100));
  t.equal(takeMemory(4 * MIB).buffer, one.buffer, 'all of it, also when a part was given back');
  t.not(takeMemory(4 * MIB).buffer, one.buffer, 'to one at a time');
  giveMemory(one);
  t.not(takeMemory(2 * MIB).buffer, one.buffer, 'not for much less');
  t.not(takeMemory(6 * MIB).buffer, one.buffer, 'not for more');
  t.equal(takeMemory(2 * MIB, 8 * MIB).buffer, one.buffer, 'unless one asks for it');
});

t.test('several wait at once, and what is small is not kept', async (t) => {
  const all = Array.from({ length: 4 }, () => takeMemory(3 * MIB));
  for (const memory of all) giveMemory(memory);
  const again = new Set(all.map(() => takeMemory(3 * MIB).buffer));
  t.strictSame(again, new Set(all.map((memory) => memory.buffer)));
  const small = takeMemory(1000);
  t.equal(small.length, 1000);
  giveMemory(small);
  t.not(takeMemory(1000).buffer, small.buffer);
});

t.test('memory that others share is not taken', async (t) => {
  const shared = Buffer.from(new SharedArrayBuffer(4 * MIB));
  giveMemory(shared);
  t.not(takeMemory(4 * MIB).buffer, shared.buffer);
});

t.test('what nobody needs is left to the collector: the list does not grow', async (t) => {
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 400; i++) {
    giveMemory(Buffer.allocUnsafeSlow(4 * MIB));
    // What is held weakly stays until the turn is over.
    if (i % 16 === 0) await new Promise((done) => setImmediate(done));
  }
  await new Promise((done) => setImmediate(done));
  collectGarbage();
  t.ok(process.memoryUsage().arrayBuffers - before < 8 * MIB, 'of 1600 MiB the latest is left');
});
