import t from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { Assembly } from '../../lib/frame/assembly.js';

const rng = seedFromEnv('frame/assembly');

t.test('pieces of any size become one message, in memory of its own', async (t) => {
  for (let i = 0; i < 300; i++) {
    const whole = Buffer.from(rng.bytes(rng.int(20_000)));
    const assembly = new Assembly();
    for (let at = 0; at < whole.length; ) {
      const size = Math.min(1 + rng.int(rng.pick([3, 300, 9000])), whole.length - at);
      const chunk = Buffer.from(whole.subarray(at, at + size));
      assembly.append(chunk, 0, size, rng.pick([whole.length, at + size, Infinity]));
      chunk.fill(0);
      at += size;
      if (assembly.size !== at) t.fail('size');
    }
    const taken = assembly.take();
    if (!taken.equals(whole)) t.fail(`seed ${rng.seed}`);
    if (assembly.size !== 0) t.fail('what is taken is gone');
  }
  t.pass('300 messages');
});

t.test('room follows the bytes at hand, and never passes what was announced', async (t) => {
  const assembly = new Assembly();
  assembly.append(Buffer.alloc(10), 0, 10, 2 ** 30);
  t.equal(assembly.room.length, 4096, 'a little, at first');
  assembly.append(Buffer.alloc(5000), 0, 5000, 2 ** 30);
  t.equal(assembly.room.length, 5010 * 8);
  assembly.append(Buffer.alloc(60_000), 0, 60_000, 65_010);
  t.equal(assembly.room.length, 65_010);
  assembly.clear();
  t.equal(assembly.size, 0);
  t.equal(assembly.take().length, 0);
});

t.test('memory that comes back is used again, and never larger than eight times what is at hand', async (t) => {
  const big = new Assembly();
  big.append(Buffer.alloc(100_000, 1), 0, 100_000, 100_000);
  const memory = big.take();
  Assembly.recycle(memory);
  const next = new Assembly();
  next.append(Buffer.alloc(50_000, 2), 0, 50_000, 90_000);
  t.equal(next.room.buffer, memory.buffer, 'a large message finds the memory of the last');
  t.strictSame(next.take(), Buffer.alloc(50_000, 2));
  Assembly.recycle(memory);
  const small = new Assembly();
  small.append(Buffer.alloc(10, 3), 0, 10, 2 ** 30);
  t.ok(small.room.length <= 4096, `ten bytes hold ${small.room.length}`);
});

t.test('gathering takes the same time for every octet, whatever the pieces', async (t) => {
  // From where the room of a message is memory fetched for it, so that all sizes cost alike what an octet costs.
  const sizes = [1 << 17, 1 << 19, 1 << 21, 1 << 23];
  for (const piece of [1024, 65_536]) {
    const chunk = Buffer.alloc(piece);
    for (const more of [false, true]) {
      const { exponent } = await costCurve(
        (size) => {
          const assembly = new Assembly();
          for (let at = 0; at < size; at += piece) {
            const end = Math.min(piece, size - at);
            assembly.append(chunk, 0, end, more ? at + end : size, more && at + end < size);
          }
        },
        sizes,
        { repeats: 3, floor: 2 },
      );
      const announced = more ? 'as fragments' : 'as one frame';
      t.ok(exponent < 1.25, `pieces of ${piece} ${announced}: size^${exponent.toFixed(2)}`);
    }
  }
});
