import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { giveMemory } from '../../lib/bytes/spares.js';
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
  giveMemory(memory);
  const next = new Assembly();
  next.append(Buffer.alloc(50_000, 2), 0, 50_000, 90_000);
  t.equal(next.room.buffer, memory.buffer, 'a large message finds the memory of the last');
  t.strictSame(next.take(), Buffer.alloc(50_000, 2));
  giveMemory(memory);
  const small = new Assembly();
  small.append(Buffer.alloc(10, 3), 0, 10, 2 ** 30);
  t.ok(small.room.length <= 4096, `ten bytes hold ${small.room.length}`);
});

/** A message in pieces, as one announced frame or in fragments; calls back after each piece. */
const gather = (size: number, piece: number, more: boolean, then?: (assembly: Assembly) => void): void => {
  const chunk = Buffer.alloc(piece);
  const assembly = new Assembly();
  for (let at = 0; at < size; at += piece) {
    const end = Math.min(at + piece, size);
    assembly.append(chunk, 0, end - at, more ? end : size, more && end < size);
    then?.(assembly);
  }
};

// Counted and not timed: fetching fresh pages costs more than the copies do, and not in proportion.
t.test('each octet is copied a bounded number of times, whatever the pieces', async (t) => {
  for (const size of [5000, 65_536, 1 << 20, (1 << 23) + 1]) {
    for (const piece of [size < 65_536 ? 1 : 100, 1024, 65_536]) {
      for (const more of [false, true]) {
        let [room, before, copied, fetched] = [0, 0, 0, 0];
        gather(size, piece, more, (assembly) => {
          if (assembly.room.length !== room) {
            copied += before;
            fetched += assembly.room.length;
          }
          room = assembly.room.length;
          before = assembly.size;
        });
        const name = `${size} in pieces of ${piece} ${more ? 'as fragments' : 'as one frame'}`;
        t.ok(copied <= size * (more ? 2 : 8 / 7), `${name}: ${(copied / size).toFixed(2)} copies`);
        t.ok(fetched <= size * (more ? 4 : 15 / 7) + 4096, `${name}: ${(fetched / size).toFixed(2)} times the memory`);
      }
    }
  }
});
