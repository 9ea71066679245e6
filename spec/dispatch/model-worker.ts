// The thread in which histories run: a test runner watches every promise of its own thread, which makes them four times as slow.
import { parentPort, workerData } from 'node:worker_threads';
import { Model, type ModelTerms, newTally } from './model.js';
import { Violation } from './model-store.js';

/** Seeds from `first` on, until one of them is wrong. */
export interface ModelOrder {
  readonly first: number;
  readonly count: number;
  readonly terms: ModelTerms;
}

const { first, count, terms } = workerData as ModelOrder;
const tally = newTally();
let wrong: string | undefined;
for (let seed = first; seed < first + count && wrong === undefined; seed += 1) {
  try {
    await new Model(seed, tally, terms).run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    wrong = `seed ${seed}: ${error.message}`;
  }
}
parentPort?.postMessage({ wrong, tally });
