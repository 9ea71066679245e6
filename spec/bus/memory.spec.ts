// The bus within one process: who has attached a node receives what is for it, in order and never at once.
import t from 'tap';
import { memoryBus } from '../../lib/bus/memory.js';
import type { BusMessage } from '../../lib/dispatch/ports.js';

const message = (token: string): BusMessage => ({ token, hops: 1, from: '@a' });

t.test('what is for a node goes to whoever has attached it, in order, and not from within deliver', async (t) => {
  const bus = memoryBus();
  const got: BusMessage[] = [];
  const detach = bus.attach('a', (one) => got.push(one));
  const delivered = ['1', '2', '3'].map((token) => bus.deliver('a', message(token)));
  t.strictSame(got, [], 'not yet');
  t.strictSame(await Promise.all(delivered), [true, true, true]);
  t.strictSame(got, ['1', '2', '3'].map(message));
  t.equal(await bus.deliver('b', message('4')), false, 'nobody has attached that one');
  t.equal(await bus.deliver('constructor', message('4')), false);
  const late = bus.deliver('a', message('5'));
  detach();
  t.equal(await late, false, 'it has left before it came');
  t.equal(got.length, 3);
});

t.test('the newer receiver of a node takes the place of the older, whose end changes nothing then', async (t) => {
  const bus = memoryBus();
  const got: string[] = [];
  const receive = (one: BusMessage): number => got.push(one.token);
  const older = bus.attach('a', receive);
  const newer = bus.attach('a', receive);
  older();
  t.equal(await bus.deliver('a', message('1')), true);
  newer();
  newer();
  t.equal(await bus.deliver('a', message('2')), false);
  t.strictSame(got, ['1']);
});

t.test('a bus that is closed delivers nothing and attaches nobody', async (t) => {
  const bus = memoryBus();
  const end = bus.attach('a', () => t.fail('delivered'));
  await bus.close();
  t.equal(await bus.deliver('a', message('1')), false);
  t.throws(() => bus.attach('a', () => {}), TypeError);
  end();
});
