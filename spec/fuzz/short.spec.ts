// The fuzzer for two seconds: make fuzz runs it as long as one likes.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { fuzz } from './fuzzer.js';

t.test('two seconds of mutated bytes: an event, an answer or a close, never a throw', async (t) => {
  const { rounds, counts, failures } = await fuzz({ seconds: 2, rng: seedFromEnv('fuzz') });
  t.strictSame(failures, []);
  t.ok(rounds > 200, `${rounds} inputs`);
  t.equal(Object.keys(counts).length, 6, 'every target had its share');
});
