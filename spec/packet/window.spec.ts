// The small memories of a session: which numbers came, what is owed, what waits, what is put together, in which order. Each against a
// plain model where there is one. PROTOCOL.md sections 3.5, 4, 5.1, 5.2, 5.3, 5.5.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { AckDebts, readAck } from '../../lib/packet/acks.js';
import { addCounters, COUNTER_NAMES, countFailure, newCounters } from '../../lib/packet/counters.js';
import { Heartbeat } from '../../lib/packet/heartbeat.js';
import { Ledger, RESERVE } from '../../lib/packet/ledger.js';
import { Order } from '../../lib/packet/order.js';
import type { Packet } from '../../lib/packet/packet.js';
import { Reassembly } from '../../lib/packet/reassembly.js';
import { parseResumeState, RESUME_STATE_SIZE, writeResumeState } from '../../lib/packet/resume-state.js';
import { NumberWindow, WINDOW } from '../../lib/packet/window.js';

const rng = seedFromEnv('packet window');

t.test('a window remembers what was added, for 1,024 numbers, as a set does', async (t) => {
  for (const start of [0, 5, 0xfff0, 2 ** 32 - 600, 2 ** 33]) {
    const window = new NumberWindow(start);
    const model = new Set<number>();
    for (let i = 0; i < 3000; i += 1) {
      const step = rng.pick([0, 1, 1, 1, 2, 30, 500, 1023, 1024, 1025, 5000]);
      window.advance(window.next + step);
      const n = window.next - 1 - rng.int(1100);
      if (rng.next() < 0.6) {
        window.add(n);
        if (n >= start && n >= window.next - WINDOW && n < window.next && n >= 0) model.add(n);
      }
      const asked = window.next + 5 - rng.int(1100);
      const known = asked >= 0 && asked < window.next && asked >= window.next - WINDOW;
      if (asked >= start && window.has(asked) !== (known && model.has(asked)))
        t.fail(`has(${asked}) of next ${window.next}`);
      if (window.covers(asked) !== known) t.fail(`covers(${asked})`);
    }
    const { next } = window;
    window.advance(next - 10);
    t.equal(window.next, next, 'never back');
  }
});

t.test('ACK Bits name ID-1 to ID-16, the leftmost bit ID-1', async (t) => {
  const window = new NumberWindow(0);
  window.advance(0x103);
  for (const n of [0x102, 0x101, 0xff, 0xf2]) window.add(n);
  t.equal(window.ackBits(0x102), 0xa001, 'the vector of section 11.1');
  t.equal(window.ackBits(0), 0);
});

t.test('an ACK acknowledges ascending what it says, and refuses what was never sent', async (t) => {
  const read = (id: number, bits: number, next: number): number[] | false => {
    const numbers: number[] = [];
    return readAck(id, bits, next, (n) => numbers.push(n)) && numbers;
  };
  t.strictSame(read(0x102, 0xa001, 0x200), [0xf2, 0xff, 0x101, 0x102]);
  t.strictSame(read(0, 0, 1), [0]);
  t.equal(read(1, 0, 1), false, 'the next number');
  t.equal(read(0, 0, 0), false, 'nothing was sent');
  t.equal(read(0xffff, 0, 5), false, 'the number before 0');
  t.strictSame(read(0xffff, 0x8000, 0x10000), [0xfffe, 0xffff]);
  t.strictSame(read(0, 0x8000, 0x10001), [0xffff, 0x10000], 'across the wrap');
  t.strictSame(read(0xffff, 0, 0x10002), [0xffff]);
  t.equal(read(3, 0x1000, 10) as unknown, false, 'bit 4 of ID 3 is number -1');
  t.strictSame(read(4, 0x1000, 10), [0, 4]);
});

t.test('debts are paid newest first, with as few ACKs as it takes', async (t) => {
  for (let round = 0; round < 200; round += 1) {
    const window = new NumberWindow(rng.int(100_000));
    const debts = new AckDebts();
    const owed = new Set<number>();
    const begin = window.next;
    window.advance(begin + 1 + rng.int(300));
    for (let i = 0; i < 1 + rng.int(40); i += 1) {
      const n = begin + rng.int(window.next - begin);
      if (owed.has(n)) continue;
      owed.add(n);
      window.add(n);
      debts.owe(n, 10, 25);
    }
    t.equal(debts.due, 35);
    const ids: number[] = [];
    debts.pay(window, (id, bits) => {
      ids.push(id);
      readAck(id % 65536, bits, window.next, (n) => owed.delete(n));
      return true;
    });
    t.equal(owed.size, 0, 'all are covered');
    t.strictSame(
      ids,
      [...ids].sort((a, b) => b - a),
    );
    t.equal(debts.due, Number.POSITIVE_INFINITY);
    t.notOk(debts.stuck);
  }
});

t.test('a debt is urgent when its number is 16 behind the newest', async (t) => {
  const debts = new AckDebts();
  t.notOk(debts.isUrgent(1000));
  debts.owe(100, 0, 25);
  t.notOk(debts.isUrgent(116));
  t.ok(debts.isUrgent(117));
  debts.pay(new NumberWindow(117), () => false);
  t.ok(debts.stuck, 'no number may be used: the debt stays');
  t.equal(debts.due, Number.POSITIVE_INFINITY, 'and does not ask for the clock');
  t.ok(debts.owe(101, 5, 25));
  t.equal(debts.due, Number.POSITIVE_INFINITY, 'as little as a new one beside it');
  t.notOk(debts.isUrgent(200), 'nor is it tried again packet after packet');
  debts.clear();
  t.notOk(debts.stuck);
});

t.test('debts may be forgotten while they are paid', async (t) => {
  const debts = new AckDebts();
  for (const n of [100, 140, 180]) debts.owe(n, 0, 25);
  debts.pay(new NumberWindow(181), () => {
    debts.clear();
    return false;
  });
  t.notOk(debts.stuck, 'the connection is gone, and so are they');
  t.ok(debts.owe(2000, 0, 25));
  t.equal(debts.due, 25);
});

t.test('debts are told when they lie 512 apart, and are never more than a window', async (t) => {
  const debts = new AckDebts();
  t.ok(debts.owe(1000, 0, 25));
  t.ok(debts.owe(1511, 0, 25));
  t.ok(debts.owe(1000, 0, 25), 'the same once more is no other');
  t.notOk(debts.owe(1512, 0, 25));
  const below = new AckDebts();
  below.owe(1512, 0, 25);
  t.notOk(below.owe(1000, 0, 25), 'also when the lower one comes later');
  for (let n = 1513; n < 5000; n += 1) below.owe(n, 0, 25);
  const window = new NumberWindow(5000);
  const ids: number[] = [];
  below.pay(window, (id) => ids.push(id) > 0);
  t.equal(ids.at(-1), 3979, 'the last 1,024, in ACKs of 17');
  t.equal(ids.length, 61);
});

t.test('a ledger keeps copies in order, counts octets and knows the oldest', async (t) => {
  const ledger = new Ledger(4, 100);
  t.equal(ledger.oldest, Number.POSITIVE_INFINITY);
  t.ok(ledger.fits(100));
  t.notOk(ledger.fits(101));
  const data = Uint8Array.of(1, 2, 3);
  for (const number of [5, 6, 9]) ledger.add({ number, data: ledger.copy(data), flags: 0, sent: number !== 9 });
  data.fill(0);
  t.strictSame([ledger.size, ledger.bytes, ledger.oldest], [3, 9, 5]);
  t.ok(ledger.hasRoom(91));
  t.notOk(ledger.hasRoom(92));
  t.ok(ledger.mayUse(5 + RESERVE.message - 1, RESERVE.message));
  t.notOk(ledger.mayUse(5 + RESERVE.message, RESERVE.message));
  t.equal(ledger.acknowledge(7), undefined);
  t.equal(ledger.acknowledge(5)?.number, 5);
  t.equal(ledger.acknowledge(5), undefined, 'once');
  t.equal(ledger.oldest, 6);
  ledger.add({ number: 12, data: new Uint8Array(0), flags: 0, sent: false });
  ledger.add({ number: 13, data: new Uint8Array(0), flags: 0, sent: false });
  t.notOk(ledger.hasRoom(0), 'four messages');
  t.strictSame(
    ledger.takeUndelivered().map((one) => [one.number, [...one.data], one.sent]),
    [
      [6, [1, 2, 3], true],
      [9, [1, 2, 3], false],
      [12, [], false],
      [13, [], false],
    ],
  );
  t.strictSame([ledger.size, ledger.bytes, ledger.oldest], [0, 0, Number.POSITIVE_INFINITY]);
});

t.test('the state of a resume is 144 octets, and says of 1,024 numbers which were accepted', async (t) => {
  for (const [start, length] of [
    [0, 3],
    [0, 2000],
    [2 ** 32 - 1500, 1400],
    [2 ** 40, 77],
  ] as const) {
    const window = new NumberWindow(start);
    window.advance(start + length);
    const set = new Set(Array.from({ length: 300 }, () => start + rng.int(length)));
    for (const n of set) window.add(n);
    const bytes = writeResumeState(window, 2 ** 33 + 5);
    t.equal(bytes.length, RESUME_STATE_SIZE);
    const state = parseResumeState(bytes);
    t.equal(state?.nextReceive, start + length);
    t.equal(state?.nextSend, 2 ** 33 + 5);
    for (let n = start + length - 1100; n < start + length + 3; n += 1) {
      const expected = n >= start + length - WINDOW && n < start + length && set.has(n);
      if (state?.has(n) !== expected) t.fail(`number ${n}`);
    }
  }
  const vector = new NumberWindow(0);
  vector.advance(10);
  vector.add(9);
  vector.add(1);
  const bytes = writeResumeState(vector, 3);
  t.strictSame([...bytes.subarray(0, 18)], [0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 3, 0x80, 0x80]);
  t.equal(parseResumeState(bytes.subarray(1)), undefined);
  bytes[0] = 0xff;
  t.equal(parseResumeState(bytes), undefined, 'a number no session can have reached');
});

const fragment = (id: number, count: number, data: Uint8Array, more: Partial<Packet> = {}): Packet => ({
  type: 0,
  flags: 8,
  sequence: 0,
  fragmentId: id,
  fragmentCount: count,
  initVector: 0,
  checksum: 0,
  ackId: 0,
  ackBits: 0,
  heartbeat: 0,
  major: 0,
  minor: 0,
  publicKey: data,
  certificate: undefined,
  data,
  tsfStart: 0,
  tsfEnd: 0,
  bytes: data,
  ...more,
});

t.test('fragments in any order become the message; what they bring is copied', async (t) => {
  for (let round = 0; round < 50; round += 1) {
    const reassembly = new Reassembly({ maxReassemblies: 8, maxReassemblyBytes: 1e6, reassemblyTimeout: 30_000 });
    const message = rng.bytes(988 * (1 + rng.int(5)) + 1 + rng.int(988));
    const count = Math.ceil(message.length / 988);
    const ids = Array.from({ length: count }, (_, id) => id).sort(() => rng.next() - 0.5);
    let whole: Uint8Array | undefined;
    for (const id of ids) {
      t.equal(whole, undefined);
      const data = message.slice(id * 988, (id + 1) * 988);
      t.equal(reassembly.check(4, fragment(id, count, data), data.length), undefined);
      whole = reassembly.add(4, fragment(id, count, data), round);
      data.fill(0);
    }
    t.ok(whole !== undefined && Buffer.compare(whole, message) === 0);
    t.strictSame([reassembly.size, reassembly.bytes], [0, 0]);
    t.equal(reassembly.deadline(), Number.POSITIVE_INFINITY);
  }
});

t.test('a reassembly has limits', async (t) => {
  const reassembly = new Reassembly({ maxReassemblies: 3, maxReassemblyBytes: 4000, reassemblyTimeout: 30_000 });
  const data = new Uint8Array(988);
  for (const [number, now] of [
    [1, 5],
    [2, 3],
    [3, 9],
  ] as const)
    reassembly.add(number, fragment(0, 4, data), now);
  t.equal(reassembly.check(4, fragment(0, 4, data), 988), 'many');
  t.equal(reassembly.check(1, fragment(1, 5, data), 988), 'differs');
  t.equal(reassembly.check(1, fragment(1, 4, data, { checksum: 1 }), 988), 'differs');
  t.equal(reassembly.check(1, fragment(1, 4, data, { flags: 0x88 }), 988), 'differs');
  t.equal(reassembly.check(1, fragment(1, 4, data), 988), undefined);
  reassembly.add(1, fragment(1, 4, data), 6);
  t.equal(reassembly.check(1, fragment(2, 4, data), 988), 'large');
  t.equal(reassembly.repeats(1, 1, data), 'same');
  t.equal(reassembly.repeats(1, 1, new Uint8Array(988).fill(1)), 'other');
  t.equal(reassembly.repeats(1, 1, data.subarray(1)), 'other');
  t.equal(reassembly.repeats(1, 2, data), 'no');
  t.equal(reassembly.stalest(), 2);
  t.equal(reassembly.deadline(), 30_003);
  reassembly.drop(2);
  reassembly.drop(2);
  t.strictSame([reassembly.size, reassembly.bytes, reassembly.deadline()], [2, 3 * 988, 30_006]);
  t.strictSame(reassembly.numbers(8), [1, 3]);
  t.strictSame(reassembly.numbers(0x80), []);
  reassembly.clear();
  t.equal(reassembly.stalest(), undefined);
});

t.test('messages come in the order of their numbers, whatever is complete first', async (t) => {
  const delivered: number[] = [];
  const order = new Order(100, (_data, number) => delivered.push(number));
  const one = Uint8Array.of(1);
  order.complete(3, one, true);
  order.begin(4);
  order.begin(6);
  order.complete(5, one, true);
  order.complete(8, one, true);
  order.complete(7, one, true);
  t.strictSame(delivered, [3]);
  order.complete(4, one, true);
  t.strictSame(delivered, [3, 4, 5]);
  order.complete(6, one, true);
  t.strictSame(delivered, [3, 4, 5, 6, 7, 8]);
  t.equal(order.last, 8);
  order.begin(9);
  t.ok(order.hasRoom(10, 100));
  t.notOk(order.hasRoom(10, 101));
  t.ok(order.hasRoom(9, 1000), 'the one all wait for');
  order.complete(10, new Uint8Array(60), true);
  t.notOk(order.hasRoom(11, 41));
  order.flush();
  t.strictSame(delivered.slice(-1), [10], 'at the end what was acknowledged is delivered');
  t.equal(order.open, 0);
});

t.test('a message that is held is a copy, and holding has a limit of 512', async (t) => {
  const got: Uint8Array[] = [];
  const order = new Order(1e6, (data) => got.push(data));
  order.begin(1);
  const view = Uint8Array.of(7);
  order.complete(2, view, false);
  view[0] = 0;
  for (let n = 3; n < 514; n += 1) order.complete(n, view, true);
  t.notOk(order.hasRoom(514, 0));
  order.complete(1, view, true);
  t.equal(got.length, 513);
  t.equal(got[1]?.[0], 7);
});

t.test('a receiver may end the session in the middle of what was held', async (t) => {
  const delivered: number[] = [];
  const order: Order = new Order(100, (_data, number) => {
    delivered.push(number);
    if (number === 2) order.flush();
  });
  order.begin(1);
  for (const n of [2, 3, 4]) order.complete(n, new Uint8Array(0), true);
  order.complete(1, new Uint8Array(0), true);
  t.strictSame(delivered, [1, 2, 3, 4]);
});

t.test('a heartbeat asks after 15 s of silence, and gives up 10 s later', async (t) => {
  const beat = new Heartbeat({ heartbeat: 15_000, heartbeatTimeout: 10_000 });
  beat.start(100);
  t.equal(beat.deadline(), 15_100);
  beat.heard(200);
  t.equal(beat.judge(15_199), 'fine');
  t.equal(beat.judge(15_200), 'ask');
  const token = Uint8Array.of(1, 2);
  beat.asked(token, 15_200);
  t.ok(beat.isWaiting(15_200));
  t.notOk(beat.isWaiting(25_200));
  t.equal(beat.judge(25_199), 'fine');
  t.equal(beat.judge(25_200), 'dead');
  t.equal(beat.answered(Uint8Array.of(1, 3), 15_300), undefined);
  t.equal(beat.answered(Uint8Array.of(1), 15_300), undefined);
  t.equal(beat.answered(token, 15_230), 30);
  t.equal(beat.answered(token, 15_231), undefined, 'once');
  t.equal(beat.rtt, 30);
  beat.heard(15_230);
  t.equal(beat.deadline(), 30_230);
  beat.asked(token, 15_230);
  beat.heard(15_230);
  t.equal(beat.deadline(), 30_230, 'heard in the same millisecond');
});

t.test('on datagrams a PING is repeated once after 3 s', async (t) => {
  const beat = new Heartbeat({ heartbeat: 15_000, heartbeatTimeout: 10_000 }, 3000);
  beat.start(0);
  beat.asked(Uint8Array.of(1), 15_000);
  t.equal(beat.judge(18_000), 'repeat');
  t.strictSame([...(beat.repeated() ?? [])], [1]);
  t.equal(beat.deadline(), 25_000);
  t.equal(beat.judge(25_000), 'dead');
});

t.test('the eleventh PING within a second is a flood', async (t) => {
  const beat = new Heartbeat({ heartbeat: 15_000, heartbeatTimeout: 10_000 });
  beat.start(0);
  for (let i = 0; i < 10; i += 1) t.notOk(beat.isFlood(i * 10));
  t.ok(beat.isFlood(999));
  beat.start(0);
  for (let i = 0; i < 200; i += 1) t.notOk(beat.isFlood(i * 100), 'ten a second are none');
});

t.test('counters have a number for each reason, and add up', async (t) => {
  const sum = newCounters();
  t.ok(COUNTER_NAMES.every((name) => sum[name] === 0));
  const one = newCounters();
  one.packetsIn = 3;
  countFailure(one, 'CHECKSUM', false);
  countFailure(one, 'CHECKSUM', true);
  addCounters(sum, one);
  addCounters(sum, one);
  t.strictSame([sum.packetsIn, sum.CHECKSUM, sum['remote.CHECKSUM']], [6, 2, 2]);
  t.equal(new Set(COUNTER_NAMES).size, COUNTER_NAMES.length);
});
