// The ownership machine against random histories: requests, saves, hand-overs, broken connections, restarts of nodes, crashes of the
// dispatch between any two steps, owners that never answer, that miss a revoke or write without pause, lies about epochs, copies, late packages, one dispatch or two, a store that is slow or fails.
// PROTOCOL.md sections 9.1 and 15.11. A failure names its seed: `WSD_SEED=… node build/spec/dispatch/model.spec.js` runs that one history.
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { type ModelTerms, RARE, type Tally } from './model.js';
import type { ModelOrder } from './model-worker.js';

const HISTORIES = 10_000;

interface Verdict {
  /** Of the first history in which something is wrong. */
  readonly wrong: string | undefined;
  readonly tally: Tally;
}

function judge(workerData: ModelOrder): Promise<Verdict> {
  const worker = new Worker(new URL('./model-worker.js', import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread has ended without a verdict')));
  });
}

t.test('what it looks for it finds: a store or a lease that is not what it should be', async (t) => {
  const cases: readonly (readonly [what: string, terms: ModelTerms, found: RegExp])[] = [
    [
      'a store that does not compare',
      { sabotage: 'no-compare' },
      /grow by one|owners? in|only the owner|goes back|without a version/,
    ],
    ['a store that forgets', { sabotage: 'forgetful' }, /acknowledged, and not there/],
    ['a store without epochs', { sabotage: 'same-epoch' }, /two owners in one epoch|not the owner/],
    ['a lease shorter than the nodes think', { settings: { lease: 4000 } }, /rightly believes/],
    ['requests that nobody may wait with', { settings: { maxWaiting: 0 } }, /nobody lets z have it/],
  ];
  for (const [what, terms, found] of cases) {
    const { wrong } = await judge({ first: 1, count: 300, terms });
    t.match(wrong, found, what);
  }
});

t.test(
  `in ${HISTORIES} histories there is one owner, and nothing acknowledged is lost`,
  { timeout: 120_000 },
  async (t) => {
    const given = process.env['WSD_SEED'] !== undefined;
    const { seed } = seedFromEnv('the first history');
    const { wrong, tally } = await judge({ first: seed, count: given ? 1 : HISTORIES, terms: {} });
    t.equal(wrong, undefined);
    t.comment(JSON.stringify(tally));
    // A model in which nothing happens proves nothing.
    if (given) return;
    for (const [name, count] of Object.entries(tally)) {
      t.ok(count > HISTORIES / (RARE.includes(name) ? 100 : 20), `${name}: ${count}`);
    }
  },
);
