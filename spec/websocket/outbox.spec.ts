// What is owed: in order, in few pieces, within bounds. Two outboxes at a time, because they share memory.
import t from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { decode, frameSize } from '../../fixtures/rig/wire.js';
import { Budget } from '../../lib/websocket/budget.js';
import { Outbox, room } from '../../lib/websocket/outbox.js';
import { PIECE_COST } from '../../lib/websocket/queue.js';
import { Puppet } from './pair.js';

const put = (outbox: Outbox, text: string, droppable = true, key?: string): void => {
  const bytes = Buffer.from(text);
  outbox.reserve(bytes.length, droppable, key);
  room.memory.set(bytes, room.at);
};
/** What leaves, and in how many pieces. */
const takenIn = (outbox: Outbox, lend = true): readonly [text: string, pieces: number] => {
  const pieces = outbox.take(lend).map((piece) => Buffer.from(piece).toString());
  outbox.settle(false);
  return [pieces.join(''), pieces.length];
};
const taken = (outbox: Outbox, lend = true): string => takenIn(outbox, lend)[0];

t.test('answers given while a chunk is read leave as one piece, others in pieces of their own', async (t) => {
  const outbox = new Outbox();
  outbox.begin();
  put(outbox, 'a');
  put(outbox, 'b');
  t.equal(outbox.size, 2);
  t.ok(outbox.gathering);
  t.strictSame(takenIn(outbox), ['ab', 1]);
  t.equal(outbox.size, 0);
  put(outbox, 'c');
  outbox.push(Buffer.from('d'), false);
  t.equal(taken(outbox), 'cd');
  t.equal(taken(outbox), '');
  outbox.begin();
  put(outbox, 'e');
  t.equal(taken(outbox, false), 'e', 'a copy, for who may not be lent to');
});

t.test(
  'order is kept when the shared buffer overflows, and when bytes are queued by reference meanwhile',
  async (t) => {
    const outbox = new Outbox();
    outbox.begin();
    put(outbox, 'a');
    outbox.push(Buffer.from('b'), false);
    put(outbox, 'c');
    t.equal(taken(outbox), 'abc');
    outbox.begin();
    const words: string[] = [];
    for (let i = 0; i < 100; i++) {
      words.push(String(i).padEnd(3000, '.'));
      put(outbox, words[i] as string);
    }
    t.equal(outbox.size, 300_000);
    t.equal(taken(outbox), words.join(''));
    outbox.begin();
    put(outbox, 'x'.repeat(200_000));
    t.equal(taken(outbox).length, 200_000, 'larger than the shared buffer');
  },
);

t.test('connections never see each other in the shared buffer', async (t) => {
  const [a, b] = [new Outbox(), new Outbox()];
  a.begin();
  put(a, 'a1');
  put(b, 'b1');
  b.begin();
  put(b, 'b2');
  put(a, 'a2');
  t.equal(taken(b), 'b1b2');
  put(a, 'a3');
  t.equal(taken(a), 'a1a2a3');
  a.begin();
  put(a, 'gone');
  a.clear();
  b.begin();
  put(b, 'b3');
  t.equal(taken(b), 'b3');
  t.equal(taken(a), '');
});

t.test('memory that a socket still refers to is not written to again', async (t) => {
  const outbox = new Outbox();
  outbox.begin();
  put(outbox, 'first');
  const [kept] = outbox.take(true);
  outbox.settle(true);
  outbox.begin();
  put(outbox, 'XXXXX');
  t.equal(Buffer.from(kept as Uint8Array).toString(), 'first');
  t.equal(taken(outbox), 'XXXXX');
});

t.test('of the pongs for a peer that reads nothing only the newest is kept', async (t) => {
  const outbox = new Outbox();
  outbox.pong(Buffer.from('1'));
  outbox.pong(Buffer.from('2'));
  t.equal(taken(outbox), '12', 'as long as it reads, each is sent');
  outbox.block(0);
  for (let i = 0; i < 1000; i++) outbox.pong(Buffer.from(`p${i}`));
  t.equal(outbox.size, 4);
  outbox.unblock();
  t.equal(taken(outbox), 'p999');
});

t.test('a pong never lands inside a frame that has left in part', async (t) => {
  for (const [first, size] of [
    [10_000, 100_000],
    [60_000, 600_000],
    [140_000, 100],
    [140_000, 140_000],
    [600_000, 10],
  ] as const) {
    const order = [`${first} a`, `${size} c`];
    const puppet = new Puppet('server', { capacity: 50_000, settings: { maxBuffered: 1 << 24 } });
    puppet.reads = false;
    puppet.end.connection.send(Buffer.alloc(first, 'a'));
    puppet.end.connection.send(Buffer.alloc(size, 'c'));
    await puppet.network.settle();
    await puppet.say(Buffer.from('8985010203046162636465', 'hex'));
    puppet.reads = true;
    await puppet.network.settle();
    let rest: Uint8Array = puppet.takeHeard();
    const seen: string[] = [];
    for (let n = frameSize(rest); n !== undefined; n = frameSize(rest)) {
      const { opcode, payload } = decode(rest.subarray(0, n));
      const pure = payload.every((byte) => byte === payload[0]);
      seen.push(
        opcode === 10 ? 'pong' : `${payload.length} ${pure ? String.fromCharCode(payload[0] as number) : 'mixed'}`,
      );
      rest = rest.subarray(n);
    }
    const data = seen.filter((frame) => frame !== 'pong');
    t.strictSame(data, order, `${first} and ${size} octets`);
    t.equal(seen.length - data.length, 1, 'and the pong is there');
    t.equal(rest.length, 0, 'and nothing else');
  }
});

t.test('a message that waits under a key is replaced in its place', async (t) => {
  const outbox = new Outbox();
  put(outbox, 'a', true, 'x');
  put(outbox, 'b');
  put(outbox, 'c', true, 'y');
  put(outbox, 'AA', true, 'x');
  t.equal(outbox.size, 4);
  t.equal(taken(outbox), 'AAbc');
  put(outbox, 'again', true, 'x');
  t.equal(taken(outbox), 'again', 'what has left is not replaced');
});

t.test('the oldest whole messages are dropped until the new one fits, control frames never', async (t) => {
  const outbox = new Outbox();
  put(outbox, 'aa');
  put(outbox, 'ping', false);
  put(outbox, 'bb');
  put(outbox, 'cc');
  const all = 10 + 4 * PIECE_COST;
  t.equal(outbox.dropOldest(2, all + 2), 0, 'what just fits costs nobody his place');
  t.equal(outbox.dropOldest(2, all + 1), 1);
  t.equal(outbox.weight, all - 2 - PIECE_COST);
  t.equal(outbox.dropOldest(2, all - PIECE_COST), 0, 'what is gone costs nothing any more');
  t.equal(taken(outbox), 'pingbbcc');
  put(outbox, 'ping', false);
  put(outbox, 'aa');
  put(outbox, 'bb');
  t.equal(outbox.dropOldest(100, 10), 2);
  t.equal(outbox.weight, 4 + PIECE_COST);
  t.equal(taken(outbox), 'ping');
  for (const word of ['a', 'b', 'c', 'd', 'e']) put(outbox, word, true, word);
  t.equal(outbox.dropOldest(0, 2 * (1 + PIECE_COST)), 3);
  put(outbox, 'D', true, 'd');
  put(outbox, 'A', true, 'a');
  t.equal(outbox.weight, 3 * (1 + PIECE_COST));
  t.equal(taken(outbox), 'DeA', 'a key finds its message where the gaps were, and none that was dropped');
});

t.test('each piece that waits costs something beside its bytes, and only its bytes are told', async (t) => {
  const outbox = new Outbox();
  const cost = (): readonly [size: number, pieces: number] => {
    const beside = outbox.weight - outbox.size;
    return [outbox.size, beside / PIECE_COST];
  };
  t.strictSame(cost(), [0, 0]);
  put(outbox, 'abc');
  outbox.push(Buffer.from('de'), false);
  outbox.share({ bytes: Buffer.from('f'), droppable: true, key: undefined });
  t.strictSame(cost(), [6, 3]);
  put(outbox, 'key', true, 'k');
  put(outbox, 'other', true, 'k');
  t.strictSame(cost(), [11, 4], 'a message in the place of another');
  taken(outbox);
  t.strictSame(cost(), [0, 0]);
  outbox.begin();
  put(outbox, 'gathered');
  t.strictSame(cost(), [8, 0], 'what is gathered is no piece');
  outbox.push(Buffer.from('!'), false);
  t.strictSame(cost(), [9, 2], 'until something is queued behind it');
  outbox.clear();
  t.strictSame(cost(), [0, 0]);
});

t.test('pieces that are small together leave as one, larger ones as they are', async (t) => {
  const most = 64 * 1024;
  for (const [sizes, pieces] of [
    [[1, 2, 3], 1],
    [[most - 1, 1], 1],
    [[most, 1], 2],
    [[10, most, 10], 3],
    [[0, 0], 1],
  ] as const) {
    const outbox = new Outbox();
    for (const [i, size] of sizes.entries()) outbox.push(Buffer.alloc(size, 97 + i), true);
    const want = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size)).join('');
    t.strictSame(takenIn(outbox), [want, pieces], sizes.join(' and '));
  }
  const outbox = new Outbox();
  for (const word of ['a', 'b', 'c', 'd']) put(outbox, word);
  outbox.dropOldest(0, 3 * (1 + PIECE_COST));
  t.strictSame(takenIn(outbox), ['bcd', 1], 'what was dropped leaves no trace');
  outbox.push(Buffer.alloc(most, 'x'), false);
  const [alone] = outbox.take(true);
  t.equal(alone?.length, most, 'one piece alone is not copied');
});

t.test('the same messages for many are joined once for all of them', async (t) => {
  const shared = ['one', 'two'].map((word) => ({ bytes: Buffer.from(word), droppable: true, key: undefined }));
  const [first, second] = [new Outbox(), new Outbox()].map((outbox) => {
    for (const piece of shared) outbox.share(piece);
    return outbox.take(true);
  });
  t.strictSame(first?.map(String), [String(Buffer.from('onetwo'))]);
  t.equal(first?.[0], second?.[0]);
  const swapped = new Outbox();
  for (const piece of [...shared].reverse()) swapped.share(piece);
  t.equal(taken(swapped), 'twoone');
  const more = new Outbox();
  for (const piece of [...shared, ...shared]) more.share(piece);
  t.equal(taken(more), 'onetwoonetwo');
});

t.test('while nothing leaves and nothing may be dropped, small frames lie together', async (t) => {
  const outbox = new Outbox();
  outbox.block(0);
  const words = Array.from({ length: 5000 }, (_, i) => `message ${i};`);
  for (const word of words) put(outbox, word);
  const size = words.join('').length;
  t.equal(outbox.size, size);
  const beside = (outbox.weight - size) / PIECE_COST;
  t.ok(beside <= Math.ceil(size / 16_000), `${beside} pieces for ${size} octets`);
  t.equal(taken(outbox), words.join(''));
  t.equal(outbox.weight, 0);

  put(outbox, 'a');
  put(outbox, 'b');
  outbox.push(Buffer.from('-'), false);
  put(outbox, 'c');
  put(outbox, 'L'.repeat(4097));
  put(outbox, 'd');
  put(outbox, 'k', true, 'key');
  put(outbox, 'K', true, 'key');
  t.equal(outbox.weight - outbox.size, 6 * PIECE_COST);
  t.equal(taken(outbox), `ab-c${'L'.repeat(4097)}dK`, 'in order, whatever lies between');

  put(outbox, 'first');
  const [kept] = outbox.take(true);
  put(outbox, 'XXXXX');
  t.equal(String(Buffer.from(kept as Uint8Array)), 'first', 'what has left is not written to again');
  outbox.clear();

  outbox.dropsNothing = false;
  put(outbox, 'a');
  put(outbox, 'b');
  put(outbox, 'ping', false);
  put(outbox, 'pong', false);
  t.equal(outbox.weight - outbox.size, 3 * PIECE_COST, 'what may be dropped lies alone, control frames need not');
  t.equal(outbox.dropOldest(0, 0), 2);
  t.equal(taken(outbox), 'pingpong');
});

t.test('the rest of a frame whose front has left goes first, then the pong, then what waits', async (t) => {
  const outbox = new Outbox();
  const left: string[] = [];
  outbox.wire = {
    flush: () => {
      left.push(taken(outbox));
      outbox.block(0);
    },
  };
  outbox.begin();
  put(outbox, 'head:');
  const body = Buffer.alloc(300_000, 'abcdefg');
  outbox.append(body, undefined);
  t.ok(left.length === 1 && left[0]?.startsWith('head:abc'));
  const rest = 300_005 - (left[0]?.length ?? 0);
  t.equal(outbox.size, rest, 'the rest waits in memory of its own');
  body.fill('!');
  put(outbox, 'behind');
  outbox.pong(Buffer.from('pong1'));
  outbox.pong(Buffer.from('pong2'));
  t.equal(outbox.size, rest + 6 + 5);
  t.equal(outbox.takeOne(true), undefined, 'not the piece alone');
  outbox.unblock();
  outbox.begin();
  t.notOk(outbox.gathering, 'nothing overtakes it');
  const whole = left.join('') + taken(outbox);
  t.equal(whole, `head:${'abcdefg'.repeat(50_000).slice(0, 300_000)}pong2behind`);
  t.equal(outbox.size, 0);
});

/** Microseconds for one more message, with so many of them waiting. */
const atTheCap = async (waiting: readonly number[], send: (outbox: Outbox, i: number) => void): Promise<number> => {
  const full = new Map(
    waiting.map((count) => {
      const outbox = new Outbox();
      for (let i = 0; i < count; i++) put(outbox, 'x'.repeat(60), true, `k${i}`);
      return [count, outbox];
    }),
  );
  let i = 0;
  const { exponent } = await costCurve((count) => send(full.get(count) as Outbox, i++), waiting, {
    repeats: 3,
    floor: 3,
  });
  return exponent;
};

t.test('a slow reader makes a send no dearer, however much waits for it', async (t) => {
  const waiting = [500, 2000, 8000, 32_000];
  const drop = await atTheCap(waiting, (outbox, i) => {
    outbox.dropOldest(60, outbox.weight);
    put(outbox, 'x'.repeat(60), true, `n${i}`);
  });
  t.ok(drop < 0.35, `dropping the oldest: waiting^${drop.toFixed(2)}`);
  const replace = await atTheCap(waiting, (outbox) => put(outbox, 'y'.repeat(60), true, 'k3'));
  t.ok(replace < 0.35, `replacing by key: waiting^${replace.toFixed(2)}`);
});

t.test('a connection that is over does not keep the shared buffer from its neighbours', async (t) => {
  const gone = new Puppet('server');
  await gone.say(Buffer.from('8380010203048380', 'hex'));
  await gone.say(Buffer.from('still talking'));
  const neighbour = new Puppet('server');
  let gathering = false;
  neighbour.end.connection.on('message', () => {
    gathering = neighbour.end.link.machine.outbox.gathering;
  });
  await neighbour.say(Buffer.from('818101020304', 'hex'), Buffer.from([0x60]));
  t.ok(gathering);
});

t.test('what all connections together have queued is counted, and never counted twice or for ever', async (t) => {
  const budget = new Budget(10_000);
  const [a, b] = [new Outbox(), new Outbox()];
  a.budget = budget;
  b.budget = budget;
  put(a, 'x'.repeat(1000));
  put(a, 'y'.repeat(10), true, 'key');
  put(a, 'z'.repeat(30), true, 'key');
  put(b, 'x'.repeat(2000));
  t.equal(budget.used, 3030 + 3 * PIECE_COST);
  const left = 10_000 - budget.used;
  t.ok(budget.exceeds(left + 1));
  t.notOk(budget.exceeds(left));
  a.dropOldest(1, 31 + PIECE_COST);
  t.equal(budget.used, 2030 + 2 * PIECE_COST);
  taken(a);
  t.equal(budget.used, 2000 + PIECE_COST);
  b.clear();
  t.equal(budget.used, 0);
  put(b, 'one');
  t.ok(b.takeOne(true));
  t.equal(budget.used, 0);
  a.block(0);
  for (let i = 0; i < 100; i++) put(a, '0123456789');
  t.equal(budget.used, 1000 + PIECE_COST, 'what lies together is one piece');
  a.push(Buffer.from('x'), false);
  a.share({ bytes: Buffer.from('yy'), droppable: true, key: undefined });
  a.pong(Buffer.from('pong'));
  t.equal(budget.used, 1003 + 3 * PIECE_COST);
  taken(a);
  t.equal(budget.used, 0);
  b.begin();
  put(b, 'gathered');
  b.push(Buffer.from('!'), false);
  t.equal(budget.used, 9 + 2 * PIECE_COST);
  b.clear();
  t.equal(budget.used, 0);
  for (let i = 0; i < 10; i++) put(b, 'abc', true, `k${i}`);
  b.dropOldest(0, 4 * (3 + PIECE_COST));
  t.equal(budget.used, 4 * (3 + PIECE_COST));
  taken(b);
  t.equal(budget.used, 0, 'also with gaps');
});

t.test('a connection over the budget of all is treated as over its own', async (t) => {
  const piece = 1004 + PIECE_COST;
  // What the line was given and has not delivered counts as well.
  const given = 204;
  for (const [limit, taken] of [
    [given + 3 * piece + 1000 + PIECE_COST, 4],
    [given + 3 * piece + 1000 + PIECE_COST - 1, 3],
  ] as const) {
    const puppet = new Puppet('server', { capacity: 100, settings: { policy: 'drop-newest' } });
    const budget = new Budget(limit);
    puppet.end.link.machine.outbox.budget = budget;
    puppet.reads = false;
    puppet.end.connection.send(Buffer.alloc(200));
    await puppet.network.settle();
    const statuses = Array.from({ length: 8 }, () => puppet.end.connection.send(Buffer.alloc(1000)).status);
    t.strictSame(
      statuses.map((status) => status !== 'dropped'),
      Array.from({ length: 8 }, (_, i) => i < taken),
      `${limit} for all`,
    );
    t.equal(budget.used, given + taken * piece);
    puppet.reads = true;
    await puppet.network.settle();
    t.equal(budget.used, 0);
  }
});

t.test('the rest of a frame whose front has left is counted in the budget of all', async (t) => {
  const outbox = new Outbox();
  outbox.budget = new Budget(1 << 30);
  outbox.wire = {
    flush: () => {
      taken(outbox);
      outbox.block(0);
    },
  };
  outbox.begin();
  put(outbox, 'head:');
  outbox.append(Buffer.alloc(10_000_000), undefined);
  t.ok(outbox.budget.used >= outbox.size, `${outbox.budget.used} of ${outbox.size}`);
  outbox.clear();
  t.equal(outbox.budget.used, 0);
});
