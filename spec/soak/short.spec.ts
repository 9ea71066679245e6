// The soak in small: make soak runs the same for a million messages.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { churn, echoInMemory, echoOverSockets } from './echo.js';

/** A short run has hardly come to rest: this finds leaks of whole messages, the long one those of a few bytes. */
const MOST_GROWTH = 16 * 1024 * 1024;

for (const [name, count, part] of [
  ['messages through memory', 20_000, echoInMemory],
  ['messages through sockets', 4_000, echoOverSockets],
  ['connections that come and go', 200, churn],
] as const) {
  t.test(`${count} ${name}: no difference, no growth`, async (t) => {
    const report = await part(count, seedFromEnv(`soak/${name}`));
    t.equal(report.difference, undefined);
    t.ok(report.messages >= count);
    t.ok(report.growth < MOST_GROWTH, `${(report.growth / 1024 / 1024).toFixed(1)} MiB`);
  });
}
