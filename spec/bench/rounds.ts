// Cases side by side: in each round every case once, in turns, each time a fresh server on one CPU with a fresh load on another. What counts is
// the CPU the server needs for a message, and ratios of cases within one round: a machine that others use disturbs neighbours alike. Knows
// what a case is called, and nothing else of it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './child.js';
import type { Sample } from './contest.js';
import { figure } from './figures.js';
import type { Usage } from './usage.js';

export const SERVER_CPU = 0;
export const LOAD_CPU = 1;

/** The samples of each case by its name, one a round; undefined where it failed. */
export type RoundsOutcome = ReadonlyMap<string, readonly (Sample | undefined)[]>;

/** What every load answers when it is asked to `count`. */
export interface LoadMessages {
  readonly messages: number;
  /** The first thing that went wrong. */
  readonly error?: string;
}

/** What the server uses for a message between two readings, after `warm` seconds. */
export const measureMessages = async (
  server: Child,
  load: Child,
  { warm, duration }: { readonly warm: number; readonly duration: number },
): Promise<Sample> => {
  await sleep(warm * 1000);
  const ask = async (): Promise<[LoadMessages, Usage, number]> => {
    // Both at once: what the answers take is alike at the beginning and at the end.
    const [count, usage] = await Promise.all([load.ask<LoadMessages>('count'), server.ask<Usage>('usage')]);
    return [count, usage, performance.now()];
  };
  const [count0, usage0, at0] = await ask();
  await sleep(duration * 1000);
  const [count1, usage1, at1] = await ask();
  if (count1.error !== undefined) throw new Error(count1.error);
  const messages = count1.messages - count0.messages;
  if (messages === 0) throw new Error('no message came back');
  return { cost: (usage1.cpu - usage0.cpu) / messages, rate: (messages * 1000) / (at1 - at0) };
};

export const takeTurns = async <Case>(
  cases: readonly Case[],
  rounds: number,
  nameOf: (one: Case) => string,
  measure: (one: Case) => Promise<Sample>,
  tell: (line: string) => void,
): Promise<RoundsOutcome> => {
  const outcome = new Map<string, (Sample | undefined)[]>(cases.map((one) => [nameOf(one), []]));
  for (let round = 0; round < rounds; round++) {
    // Up and down: neighbours stay neighbours, and nobody is always the first.
    for (const one of round % 2 === 0 ? cases : cases.toReversed()) {
      const name = nameOf(one);
      let sample: Sample | undefined;
      try {
        sample = await measure(one);
        const { cost, rate } = sample;
        tell(
          `${name} ${round + 1}/${rounds}: ${rate === 0 ? `${figure(cost)} KiB` : `${figure(cost)} us, ${rate.toFixed(0)}/s`}`,
        );
      } catch (error) {
        tell(`${name} ${round + 1}/${rounds} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
      outcome.get(name)?.push(sample);
    }
  }
  return outcome;
};
