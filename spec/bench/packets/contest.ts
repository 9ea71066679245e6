// Packet sessions beside plain messages and TLS, as rounds.ts measures: a server and a client for each case.
import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import type { Sample, Timing } from '../contest.js';
import { LOAD_CPU, measureMessages, type RoundsOutcome, SERVER_CPU, takeTurns } from '../rounds.js';
import { type Case, nameOf } from './cases.js';
import { type Credentials, makeCredentials } from './credentials.js';
import type { PacketLoadOptions } from './load.js';

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const WITHOUT = new URL('./without-wasm.js', import.meta.url).href;

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
    // Openings are few a second: for the first ten seconds most of their time goes into compiling their code.
    const warm = measured.workload.mode === 'open' ? Math.min(12, duration * 8) : Math.min(1, duration);
    return await measureMessages(server, load, { warm, duration });
  } finally {
    await Promise.all([load?.stop(), server.stop()]);
  }
};

export const packetContest = (
  cases: readonly Case[],
  { duration, rounds }: Timing,
  tell: (line: string) => void,
): Promise<RoundsOutcome> => {
  const credentials = makeCredentials();
  return takeTurns(cases, rounds, nameOf, (one) => measureCase(one, credentials, duration), tell);
};
