// What is owed: in order, in few pieces, within bounds. Two outboxes at a time, because they share memory.
import t from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { decode, frameSize } from '../../fixtures/rig/wire.js';
import { Budget } from '../../lib/websocket/budget.js';
import { Outbox, room } from '../../lib/websocket/outbox.js';
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
  outbox.blocked = true;
  for (let i = 0; i < 1000; i++) outbox.pong(Buffer.from(`p${i}`));
  t.equal(outbox.size, 4);
  outbox.blocked = false;
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
  t.equal(outbox.dropOldest(2, 10), 1);
  t.equal(taken(outbox), 'pingbbcc');
  put(outbox, 'ping', false);
  t.equal(outbox.dropOldest(100, 10), 0);
  t.equal(taken(outbox), 'ping');
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
    outbox.dropOldest(60, outbox.size);
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
  t.equal(budget.used, 3030);
  t.ok(budget.exceeds(7000));
  t.notOk(budget.exceeds(6970));
  a.dropOldest(1, 50);
  t.equal(budget.used, 2030);
  taken(a);
  t.equal(budget.used, 2000);
  b.clear();
  t.equal(budget.used, 0);
  put(b, 'one');
  t.ok(b.takeOne());
  t.equal(budget.used, 0);
});

t.test('a connection over the budget of all is treated as over its own', async (t) => {
  const puppet = new Puppet('server', { capacity: 100, settings: { policy: 'drop-newest' } });
  const budget = new Budget(5_000);
  puppet.end.link.machine.outbox.budget = budget;
  puppet.reads = false;
  puppet.end.connection.send(Buffer.alloc(200));
  await puppet.network.settle();
  const statuses = Array.from({ length: 8 }, () => puppet.end.connection.send(Buffer.alloc(1000)).status);
  t.strictSame(
    statuses.map((status) => status === 'dropped'),
    [false, false, false, false, true, true, true, true],
  );
});
