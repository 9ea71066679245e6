// make soak: a million messages through memory, a quarter of that through sockets, and thousands of connections that come and go. Every
// message is compared, memory is measured after a tenth of each part and at its end. MESSAGES=… changes the number, WSD_SEED=… the run.
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { churn, echoInMemory, echoOverSockets, type Report } from './echo.js';

const MESSAGES = Number(process.env['MESSAGES'] ?? 1_000_000);
const MOST_GROWTH = 6 * 1024 * 1024;
const LIMIT_MS = 30 * 60_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const run = async (
  name: string,
  total: number,
  part: (total: number, rng: ReturnType<typeof seedFromEnv>, progress: (done: number) => void) => Promise<Report>,
): Promise<boolean> => {
  const started = performance.now();
  let next = total / 10;
  const report = await part(total, seedFromEnv(name), (done) => {
    if (done < next) return;
    next += total / 10;
    const seconds = (performance.now() - started) / 1000;
    say(`  ${name}: ${done} of ${total}, ${seconds.toFixed(0)} s, ${Math.round(done / seconds)}/s`);
  });
  const grown = `${(report.growth / 1024 / 1024).toFixed(1)} MiB`;
  const good = report.difference === undefined && report.growth < MOST_GROWTH;
  say(
    `${good ? 'ok' : 'NOT OK'}  ${name}: ${report.messages}, ${report.difference ?? 'no difference'}, memory grew by ${grown}`,
  );
  return good;
};

const timer = setTimeout(() => {
  say('NOT OK  this takes too long');
  process.exit(1);
}, LIMIT_MS);
const results = [
  await run('echo in memory', MESSAGES, echoInMemory),
  await run('echo over sockets', Math.ceil(MESSAGES / 4), echoOverSockets),
  await run('connections that come and go', Math.ceil(MESSAGES / 100), churn),
];
clearTimeout(timer);
process.exitCode = results.every(Boolean) ? 0 : 1;
