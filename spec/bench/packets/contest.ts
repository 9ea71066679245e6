// Packet sessions beside plain messages and TLS: in each round every case once, in turns, each time a fresh server on one CPU with a fresh
// client on another. What counts is the CPU the server needs for a message, and ratios of cases within one round: a machine that others
// use disturbs neighbours alike.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import type { Sample, Timing } from '../contest.js';
import { figure } from '../figures.js';
import type { Usage } from '../usage.js';
import { type Case, nameOf } from './cases.js';
import { type Credentials, makeCredentials } from './credentials.js';
import type { PacketLoadCount, PacketLoadOptions } from './load.js';

const SERVER_CPU = 0;
const LOAD_CPU = 1;
const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const WITHOUT = new URL('./without-wasm.js', import.meta.url).href;

/** The samples of each case by its name, one a round; undefined where it failed. */
export type PacketOutcome = ReadonlyMap<string, readonly (Sample | undefined)[]>;

/** The server of a case, and words for Node before its script. */
export const startServer = (
  { service }: Case,
  credentials: Credentials,
  words: readonly string[] = [],
): Promise<Child> => {
  const without = service.webAssembly ? [] : ['--import', WITHOUT];
  const env = { SERVICE: JSON.stringify(service), CREDENTIALS: JSON.stringify(credentials) };
  return Child.start([process.execPath, ...words, ...without, script('./server.js')], SERVER_CPU, env);
};

export const measureCase = async (measured: Case, credentials: Credentials, duration: number): Promise<Sample> => {
  const server = await startServer(measured, credentials);
  let load: Child | undefined;
  try {
    const options: PacketLoadOptions = { url: server.greeting, measured, credentials };
    load = await Child.start([process.execPath, script('./load-main.js'), JSON.stringify(options)], LOAD_CPU, {});
    // Openings are few a second: it takes that long until their code is compiled.
    await sleep(Math.min(measured.workload.mode === 'open' ? 2 : 1, duration) * 1000);
    const ask = async (from: Child): Promise<[PacketLoadCount, Usage, number]> => {
      const [count, usage] = await Promise.all([from.ask<PacketLoadCount>('count'), server.ask<Usage>('usage')]);
      return [count, usage, performance.now()];
    };
    const [count0, usage0, at0] = await ask(load);
    await sleep(duration * 1000);
    const [count1, usage1, at1] = await ask(load);
    if (count1.error !== undefined) throw new Error(count1.error);
    const messages = count1.messages - count0.messages;
    if (messages === 0) throw new Error('no message came back');
    return { cost: (usage1.cpu - usage0.cpu) / messages, rate: (messages * 1000) / (at1 - at0) };
  } finally {
    await Promise.all([load?.stop(), server.stop()]);
  }
};

export const packetContest = async (
  cases: readonly Case[],
  { duration, rounds }: Timing,
  tell: (line: string) => void,
): Promise<PacketOutcome> => {
  const credentials = makeCredentials();
  const outcome = new Map<string, (Sample | undefined)[]>(cases.map((one) => [nameOf(one), []]));
  for (let round = 0; round < rounds; round++) {
    // Up and down: neighbours stay neighbours, and nobody is always the first.
    for (const one of round % 2 === 0 ? cases : cases.toReversed()) {
      const name = nameOf(one);
      let sample: Sample | undefined;
      try {
        sample = await measureCase(one, credentials, duration);
        tell(`${name} ${round + 1}/${rounds}: ${figure(sample.cost)} us, ${sample.rate.toFixed(0)}/s`);
      } catch (error) {
        tell(`${name} ${round + 1}/${rounds} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
      outcome.get(name)?.push(sample);
    }
  }
  return outcome;
};
