// What `make test` runs (not a spec itself): every spec under tap, one line for each file, what failed in full, then the
// coverage gate, then one last line, `tests: N passed, N failed`. All of tap's output stays in build/tap.txt.
//
//   node build/spec/suite.js             everything
//   node build/spec/suite.js spec/http   only the specs in there; no coverage gate
//   node build/spec/suite.js --coverage  nothing, but the coverage of the last run again

import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { reportCoverage } from './coverage.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LCOV = fileURLToPath(new URL('../../.tap/report/lcov.info', import.meta.url));
const LOG = fileURLToPath(new URL('../tap.txt', import.meta.url));
const MOST_LINES = 300;

interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** tap's own count, in its last comment: `# { total: 20, pass: 18, fail: 1, skip: 1 }`. */
function parseTotals(line: string): Totals | undefined {
  if (!/^# \{ total: \d+.*\}$/.test(line)) return undefined;
  const count = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') };
}

/** Of a spec file's TAP, what a reader of a failure wants: no passed assertion, no plan, no subtest that passed. */
function whatFailed(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let headings: string[] = [];
  let details = false;
  for (const line of lines) {
    const text = line.trimStart();
    const depth = line.length - text.length;
    if (details) {
      kept.push(line);
      details = text !== '...';
    } else if (text === '---') {
      // The details of an assertion that passed (a skipped one, say) are dropped with it.
      details = kept.at(-1)?.trimStart().startsWith('not ok') === true;
      if (details) kept.push(line);
    } else if (text.startsWith('# Subtest: ')) {
      headings = [...headings.filter((heading) => heading.search(/\S/) < depth), line];
    } else if (/^ok \d/.test(text)) {
      headings = headings.filter((heading) => heading.search(/\S/) < depth);
    } else if (text !== '' && !/^(?:1\.\.\d+|# time=.*|TAP version .*)$/.test(text)) {
      kept.push(...headings, line);
      headings = [];
    }
  }
  const more = kept.length - MOST_LINES;
  return more > 0 ? [...kept.slice(0, MOST_LINES), `    … and ${more} lines more in build/tap.txt`] : kept;
}

async function runSpecs(
  only: readonly string[],
): Promise<{ readonly status: number; readonly totals: Totals | undefined }> {
  const log = createWriteStream(LOG);
  const tap = spawn('node_modules/.bin/tap', ['run', '--reporter=tap', '--no-color', ...only], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise<number>((resolve, reject) => {
    tap.once('error', reject);
    tap.once('close', (code) => resolve(code ?? 1));
  });
  let totals: Totals | undefined;
  let lines: string[] = [];
  let ending = false;
  for await (const line of createInterface({ input: tap.stdout })) {
    log.write(`${line}\n`);
    totals = parseTotals(line) ?? totals;
    const ended = /^(not )?ok \d+ - build\/(\S+)\.js(?:.*# time=(\S+))?/.exec(line);
    if (ending) {
      // What tap says of a file that failed: how it was started, and, worth knowing, when it did not end by itself.
      if (/^ {2}(?:exitCode: (?!1$)|signal: (?!null)|failReason|timeout)/.test(line)) say(`  ${line}`);
      ending = line !== '  ...';
    } else if (ended !== null) {
      const skipped = lines.filter((one) => /^\s*ok \d+.*# SKIP/.test(one)).length;
      const bad = ended[1] !== undefined;
      const words = [bad ? 'FAILED' : 'passed', `${ended[2]}.ts`.padEnd(48), ended[3] ?? ''];
      say([...words, skipped > 0 ? `(${skipped} skipped)` : ''].join('  ').trimEnd());
      if (bad) for (const one of whatFailed(lines)) say(one);
      ending = bad;
      lines = [];
    } else if (line.startsWith(' ') || line.startsWith('#') || line === '') lines.push(line);
    else lines = [];
  }
  const status = await closed;
  await new Promise<void>((resolve) => log.end(resolve));
  return { status, totals };
}

async function main(words: readonly string[]): Promise<number> {
  if (words[0] === '--coverage') {
    if (existsSync(LCOV)) return reportCoverage(LCOV) ? 0 : 1;
    say('There is no report yet: make test');
    return 1;
  }
  rmSync(LCOV, { force: true });
  const only = words.map((word) => `build/${word.replace(/\/$/, '').replace(/\.ts$/, '.js')}`);
  const { status, totals } = await runSpecs(only.map((path) => (path.endsWith('.js') ? path : `${path}/**/*.spec.js`)));
  const covered = only.length > 0 || (existsSync(LCOV) && reportCoverage(LCOV));
  const { passed, failed, skipped } = totals ?? { passed: 0, failed: 1, skipped: 0 };
  if (totals === undefined) say('tap did not come to its end: see build/tap.txt');
  say(`tests: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  if (status !== 0) return status;
  return covered && failed === 0 && passed > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
