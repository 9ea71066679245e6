// The one timer of all connections, on real time: about a second in all.
import t from 'tap';
import { now } from '../../lib/net/clock.js';
import { after } from '../../lib/net/wait.js';
import { arm, disarm, type Timed } from '../../lib/net/wheel.js';

/** One slot, and what a busy machine may add. */
const SLOT = 64;
const SLACK = 150;

class Alarm implements Timed {
  slot = 0;
  place = -1;
  due: number;
  asked = 0;
  readonly rang: number[] = [];
  readonly #then: ((alarm: Alarm) => void) | undefined;

  constructor(inMs: number, then?: (alarm: Alarm) => void) {
    this.due = now() + inMs;
    this.#then = then;
  }

  deadline(): number {
    this.asked++;
    return this.due;
  }

  tick(time: number): void {
    this.rang.push(time - this.due);
    this.due = Infinity;
    this.#then?.(this);
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

t.test('deadlines are met never early and at most about a slot late', async (t) => {
  const alarms = Array.from({ length: 60 }, (_, i) => new Alarm(i * 7));
  for (const alarm of alarms) arm(alarm);
  await wait(60 * 7 + SLOT + SLACK);
  for (const [i, { rang }] of alarms.entries()) {
    if (rang.length !== 1) t.fail(`alarm ${i} rang ${rang.length} times`);
    const late = rang[0] as number;
    if (late < 0 || late > SLOT + SLACK) t.fail(`alarm ${i} was ${late} ms late`);
  }
  t.ok(alarms.every((alarm) => alarm.slot === 0));
});

t.test('a deadline that moves later is asked again when its slot comes, and costs nothing until then', async (t) => {
  const alarm = new Alarm(100);
  arm(alarm);
  const { slot } = alarm;
  alarm.asked = 0;
  for (let i = 0; i < 1000; i++) {
    alarm.due = now() + 300;
    arm(alarm);
  }
  t.equal(alarm.slot, slot, 'it stays where it was');
  await wait(200);
  t.strictSame(alarm.rang, [], 'it does not ring at its old time');
  t.ok(alarm.asked <= 1004, 'and was asked once or twice');
  await wait(100 + SLOT + SLACK);
  t.equal(alarm.rang.length, 1);
});

t.test('a deadline that comes nearer is met', async (t) => {
  const alarm = new Alarm(60_000);
  arm(alarm);
  alarm.due = now() + 20;
  arm(alarm);
  await wait(20 + SLOT + SLACK);
  t.equal(alarm.rang.length, 1);
});

t.test('who is disarmed does not ring, who has no deadline does not wait', async (t) => {
  const alarm = new Alarm(10);
  arm(alarm);
  disarm(alarm);
  disarm(alarm);
  const never = new Alarm(Infinity);
  arm(never);
  t.equal(never.slot, 0);
  await wait(10 + SLOT + 20);
  t.strictSame(alarm.rang, []);
});

t.test('deadlines beyond the turn of the wheel wait in it, and are put further from there', async (t) => {
  const far = new Alarm(3_600_000);
  arm(far);
  t.ok(far.slot * SLOT < far.due, 'nearer than it wants to be');
  t.ok(far.slot * SLOT > now() + 60_000, 'but as far as the wheel goes');
  disarm(far);
  t.equal(far.slot, 0);
});

t.test('an alarm may set, move and remove others while it rings', async (t) => {
  const other = new Alarm(80);
  const next = new Alarm(0);
  const first = new Alarm(20, () => {
    disarm(other);
    next.due = now() + 10;
    arm(next);
  });
  const again = new Alarm(20, (alarm) => {
    if (alarm.rang.length < 2) alarm.due = now() + 20;
  });
  for (const alarm of [first, other, again]) arm(alarm);
  await wait(20 + 10 + 3 * SLOT + SLACK);
  t.equal(first.rang.length, 1);
  t.equal(next.rang.length, 1);
  t.strictSame(other.rang, []);
  t.equal(again.rang.length, 2);
});

t.test('a wait calls back once, unless it is called off', async (t) => {
  const log: string[] = [];
  after(5, () => log.push('rang'));
  const off = after(5, () => log.push('never'));
  off();
  await wait(40);
  t.strictSame(log, ['rang']);
  off();
});
