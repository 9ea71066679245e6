import t from 'tap';
import { Emitter } from '../../lib/websocket/emitter.js';

interface Events {
  a: [n: number];
  b: [];
}

class Source extends Emitter<Events> {
  readonly asked: unknown[] = [];
  fire(n: number, returned?: (value: unknown) => void): boolean {
    return this.dispatch('a', [n], returned);
  }
  protected override added(name: keyof Events): void {
    this.asked.push(name);
  }
}

t.test('listeners run in the order in which they were added, and are told apart by their event', async (t) => {
  const source = new Source();
  const log: string[] = [];
  source
    .on('a', (n) => log.push(`first ${n}`))
    .addListener('a', (n) => log.push(`second ${n}`))
    .on('b', () => log.push('never'));
  t.ok(source.fire(1));
  t.strictSame(log, ['first 1', 'second 1']);
  t.strictSame(source.asked, ['a', 'a', 'b']);
  t.equal(source.listenerCount('a'), 2);
  t.notOk(new Source().fire(1), 'nobody listened');
});

t.test('once is once, also beside the same function that stays', async (t) => {
  for (const order of [
    ['once', 'on'],
    ['on', 'once'],
  ] as const) {
    const source = new Source();
    let calls = 0;
    const listener = (): void => void calls++;
    for (const how of order) source[how]('a', listener);
    source.fire(1);
    source.fire(2);
    source.fire(3);
    t.equal(calls, 4, order.join(' then '));
    t.equal(source.listenerCount('a'), 1);
  }
  const source = new Source();
  let calls = 0;
  source.once('a', () => {
    calls++;
    source.fire(0);
  });
  source.fire(1);
  t.equal(calls, 1, 'not even when it fires the event itself');
});

t.test('one function serves many emitters: it is called with the emitter as this', async (t) => {
  const seen: unknown[] = [];
  const shared = function (this: Source): void {
    seen.push(this);
  };
  const [one, two] = [new Source().on('a', shared).once('a', shared), new Source().on('a', shared)];
  one.fire(1);
  two.fire(1);
  t.ok(seen.length === 3 && seen[0] === one && seen[1] === one && seen[2] === two);
});

t.test('once is once for the ones behind it, too, when the first fires the event itself', async (t) => {
  const source = new Source();
  let calls = 0;
  source.once('a', () => void source.fire(0));
  source.once('a', () => void calls++);
  source.fire(1);
  t.equal(calls, 1);
  t.equal(source.listenerCount('a'), 0);
});

t.test('a listener that is removed runs no more; the last added of several equal ones goes first', async (t) => {
  const source = new Source();
  const log: number[] = [];
  const one = (): void => void log.push(1);
  const two = (): void => void log.push(2);
  source.on('a', one).on('a', two).on('a', one);
  source.off('a', one);
  source.fire(0);
  t.strictSame(log, [1, 2]);
  source.removeListener('a', two).off('a', two).off('b', two);
  source.fire(0);
  t.strictSame(log, [1, 2, 1]);
  source.removeAllListeners('a');
  t.equal(source.listenerCount('a'), 0);
  source.on('a', one).on('b', two).removeAllListeners();
  t.equal(source.listenerCount('b'), 0);
  source.removeAllListeners('a');
});

t.test('who adds or removes while an event is told has an effect on the next one', async (t) => {
  const source = new Source();
  const log: string[] = [];
  const late = (): void => void log.push('late');
  source.once('a', () => {
    log.push('first');
    source.on('a', late);
  });
  source.fire(0);
  t.strictSame(log, ['first']);
  source.fire(0);
  t.strictSame(log, ['first', 'late']);
});

t.test('what listeners return is handed on, and what they throw is thrown', async (t) => {
  const source = new Source();
  const returned: unknown[] = [];
  source.on('a', () => 5).on('a', () => undefined);
  source.fire(0, (value) => returned.push(value));
  t.strictSame(returned, [5]);
  source.on('a', () => {
    throw new RangeError('theirs');
  });
  t.throws(() => source.fire(0), RangeError);
  t.throws(() => source.on('a', 'no function' as unknown as () => void), TypeError);
});
