import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { History } from '../../lib/deflate/history.js';
import { Scratch } from '../../lib/deflate/scratch.js';

t.test('a history is the end of everything that was pushed', async (t) => {
  const rng = seedFromEnv('history');
  for (const bits of [8, 10, 12]) {
    const history = new History(bits);
    const most = 2 ** bits;
    let all: Uint8Array = new Uint8Array(0);
    t.equal(history.dictionary(), undefined, 'nothing yet');
    for (let turn = 0; turn < 100; turn++) {
      const size = rng.pick([0, 1, 2, rng.int(40), rng.int(most), most - 1, most, most + 1, most * 3]);
      // Few large pieces at the start, so that it grows step by step.
      const piece = rng.bytes(turn < 30 ? size % 97 : size);
      history.push(piece);
      all = Buffer.concat([all, piece]).subarray(-most);
      if (history.length !== all.length || !all.every((byte, i) => byte === history.dictionary()?.[i]))
        throw new Error(`bits ${bits}, turn ${turn}, piece of ${piece.length}`);
      const count = rng.int(most + 10);
      const newest = Buffer.concat(history.newest(count));
      if (!newest.equals(all.subarray(all.length - Math.min(count, all.length))))
        throw new Error(`the newest ${count}`);
    }
    t.equal(history.memory, most);
  }
});

t.test('a history holds no more than was said, rounded up', async (t) => {
  const history = new History(15);
  t.equal(history.memory, 0);
  history.push(new Uint8Array(10));
  t.equal(history.memory, 1024);
  history.push(new Uint8Array(3000));
  t.equal(history.memory, 4096);
  const small = new History(8);
  small.push(new Uint8Array(1));
  t.equal(small.memory, 256);
});

t.test('a scratch room is reused, grows with its content, and is not kept when it is huge', async (t) => {
  const scratch = new Scratch();
  const room = scratch.take(10);
  t.equal(scratch.take(room.length), room, 'the same one again');
  room.fill(7);
  const larger = scratch.grow(room, room.length, 1 << 20);
  t.equal(larger.length, room.length * 2);
  t.ok(larger.subarray(0, room.length).every((byte) => byte === 7));
  t.equal(
    scratch.grow(larger, 0, larger.length + 5).length,
    larger.length * 2,
    'not below the usual growth when it is kept',
  );
  const huge = scratch.take((1 << 20) + 1);
  t.equal(huge.length, (1 << 20) + 1);
  t.not(scratch.take((1 << 20) + 1), huge);
  t.ok(scratch.take(10).length <= 1 << 20);
});
