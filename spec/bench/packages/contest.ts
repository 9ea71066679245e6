// Packages beside other ways to ask and answer, as rounds.ts measures: a server and a load for each case.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import type { Sample, Timing } from '../contest.js';
import { LOAD_CPU, measureMessages, type RoundsOutcome, SERVER_CPU, takeTurns } from '../rounds.js';
import type { Usage } from '../usage.js';
import { type Case, nameOf } from './cases.js';
import type { PackageLoadCount, PackageLoadOptions } from './load.js';
import { type Keys, makeKeys } from './nodes.js';

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
/** ms until memory has settled: collectors run late. */
const SETTLE = 1_000;
/** ms for all connections to open, and between two looks. */
const OPENING = 120_000;
const LOOK = 100;

/** The server of a case, and words for Node before its script. */
export const startServer = ({ service, workload }: Case, keys: Keys, words: readonly string[] = []): Promise<Child> => {
  const env = {
    SERVICE: JSON.stringify(service),
    NODES: String(workload.connections),
    KEYS: JSON.stringify(keys),
  };
  return Child.start([process.execPath, ...words, script('./server.js')], SERVER_CPU, env);
};

const untilOpen = async (load: Child, connections: number): Promise<void> => {
  for (const limit = performance.now() + OPENING; performance.now() < limit; await sleep(LOOK)) {
    const { open, error } = await load.ask<PackageLoadCount>('count');
    if (error !== undefined) throw new Error(error);
    if (open === connections) return;
  }
  throw new Error('not all connections were opened in time');
};

export const measureCase = async (measured: Case, keys: Keys, duration: number): Promise<Sample> => {
  const { mode, connections } = measured.workload;
  const server = await startServer(measured, keys);
  let load: Child | undefined;
  try {
    const settle = Math.min(SETTLE, duration * 1000);
    if (mode === 'idle') await sleep(settle);
    const empty = await server.ask<Usage>('usage');
    const options: PackageLoadOptions = { url: server.greeting, measured, keys };
    load = await Child.start([process.execPath, script('./load-main.js'), JSON.stringify(options)], LOAD_CPU, {});
    await untilOpen(load, connections);
    // It takes some ten thousand requests until the code is compiled for good, and the compiler's threads count.
    if (mode === 'request') return await measureMessages(server, load, { warm: Math.min(3, 2 * duration), duration });
    await sleep(settle);
    const full = await server.ask<Usage>('usage');
    return { cost: (full.memory - empty.memory) / 1024 / connections, rate: 0 };
  } finally {
    await Promise.all([load?.stop(), server.stop()]);
  }
};

export const packageContest = (
  cases: readonly Case[],
  { duration, rounds }: Timing,
  tell: (line: string) => void,
): Promise<RoundsOutcome> => {
  const keys = makeKeys();
  return takeTurns(cases, rounds, nameOf, (one) => measureCase(one, keys, duration), tell);
};
