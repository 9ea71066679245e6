// make fuzz: for SECONDS (60), with what WSD_SEED says; WSD_ROUND repeats one round that failed. Prints its seed, and what did not hold.
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { fuzz, round } from './fuzzer.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const main = async (): Promise<number> => {
  const again = process.env['WSD_ROUND'];
  if (again !== undefined) {
    const failure = await round(Number(again));
    say(failure ?? 'ok  all holds in this round');
    return failure === undefined ? 0 : 1;
  }
  const seconds = Number(process.env['SECONDS'] ?? 60);
  const started = performance.now();
  let next = 10_000;
  const { rounds, counts, failures } = await fuzz({
    seconds,
    rng: seedFromEnv('fuzz'),
    progress: (done) => {
      if (performance.now() - started < next) return;
      next += 10_000;
      say(`  ${Math.round((performance.now() - started) / 1000)} s, ${done} inputs`);
    },
  });
  for (const [name, count] of Object.entries(counts)) say(`  ${String(count).padStart(9)}  ${name}`);
  for (const failure of failures) say(`NOT OK  ${failure}`);
  say(
    `${failures.length === 0 ? 'ok' : 'NOT OK'}  ${rounds} inputs, ${failures.length} of which something did not hold`,
  );
  return failures.length === 0 ? 0 : 1;
};

process.exitCode = await main();
