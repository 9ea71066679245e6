// Servers side by side: for each workload some rounds, in each round every server once, in turns, each time a fresh process on one CPU with the
// load on another. What counts is the CPU that the server needs for a message, from two readings of its own meter; medians over the
// rounds. A machine that others use disturbs all alike, so ratios hold better than figures.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import type { Contestant } from './contestants.js';
import { median } from './figures.js';
import type { LoadCount, LoadOptions } from './load.js';
import type { Usage } from './meter.js';
import type { Workload } from './workloads.js';

export interface Timing {
  /** Seconds that are measured, after half of that, at most one, as a warm-up. */
  readonly duration: number;
  readonly rounds: number;
}

export interface Sample {
  /** Microseconds of CPU per message, or KiB of memory per connection. */
  readonly cost: number;
  /** Messages per second; 0 where nothing is sent. */
  readonly rate: number;
}

/** The samples of one workload by the name of the server; a string tells why there are none. */
export interface Outcome {
  readonly workload: Workload;
  readonly samples: ReadonlyMap<string, readonly Sample[] | string>;
}

export const costOf = (samples: readonly Sample[] | string | undefined): number =>
  samples === undefined || typeof samples === 'string' ? Number.NaN : median(samples.map(({ cost }) => cost));

const SERVER_CPU = 0;
const LOAD_CPU = 1;
/** Until memory has settled: collectors run late. */
const SETTLE_MS = 1_000;
const LOAD = fileURLToPath(new URL('./load-main.js', import.meta.url));

export const measure = async (contestant: Contestant, workload: Workload, duration: number): Promise<Sample> => {
  const env = {
    PORT: '0',
    PMD: workload.deflate,
    BCAST: workload.mode === 'broadcast' ? '1' : '0',
    ...contestant.env,
  };
  const server = await Child.start(contestant.command, SERVER_CPU, env);
  let load: Child | undefined;
  try {
    const idle = workload.mode === 'idle';
    if (idle) await sleep(Math.min(SETTLE_MS, duration * 1000));
    const empty = await server.ask<Usage>('usage');
    const port = Number(new URL(server.greeting).port);
    const options: LoadOptions = { port, workload, raw: contestant.raw };
    load = await Child.start([process.execPath, LOAD, JSON.stringify(options)], LOAD_CPU, {});
    await sleep(idle ? Math.min(SETTLE_MS, duration * 1000) : Math.min(1, duration / 2) * 1000);
    const ask = async (from: Child): Promise<[LoadCount, Usage, number]> => {
      // Both at once: what the answers take is alike at the beginning and at the end.
      const [count, usage] = await Promise.all([from.ask<LoadCount>('count'), server.ask<Usage>('usage')]);
      return [count, usage, performance.now()];
    };
    const [count0, usage0, at0] = await ask(load);
    if (!idle) await sleep(duration * 1000);
    const [count1, usage1, at1] = idle ? [count0, usage0, at0] : await ask(load);
    if (count1.error !== undefined) throw new Error(count1.error);
    if (idle) return { cost: (usage1.memory - empty.memory) / 1024 / workload.connections, rate: 0 };
    const messages = count1.messages - count0.messages;
    if (messages === 0) throw new Error('no message came back');
    return { cost: (usage1.cpu - usage0.cpu) / messages, rate: (messages * 1000) / (at1 - at0) };
  } finally {
    await Promise.all([load?.stop(), server.stop()]);
  }
};

export const contest = async (
  contestants: readonly Contestant[],
  workload: Workload,
  { duration, rounds }: Timing,
  tell: (line: string) => void,
): Promise<Outcome> => {
  const able = contestants.filter((one) => one.suits(workload));
  const samples = new Map<string, Sample[] | string>(able.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const turn = round % Math.max(1, able.length);
    for (const one of [...able.slice(turn), ...able.slice(0, turn)]) {
      const so = samples.get(one.name);
      if (so === undefined || typeof so === 'string') continue;
      try {
        const sample = await measure(one, workload, duration);
        so.push(sample);
        tell(
          `${workload.name} ${round + 1}/${rounds} ${one.name}: ${sample.cost.toFixed(3)}, ${sample.rate.toFixed(0)}/s`,
        );
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        samples.set(one.name, why);
        tell(`${workload.name} ${one.name} failed: ${why}`);
      }
    }
  }
  return { workload, samples };
};
