// Another version of ourselves, for comparison: a git ref is checked out into a worktree under build/, compiled with the packages that are
// installed here, and its server measured in turns with ours. The worktree goes when the comparison is over.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contest, costOf, type Outcome, type Timing } from './contest.js';
import { nodeServer } from './contestants.js';
import { figure, markdownTable } from './figures.js';
import type { Workload } from './workloads.js';

/** What is lost beyond this is a failure. */
const TOLERATED = 1.1;
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SERVER = 'spec/bench/server';

/** Git without what a hook may have told it about another repository. */
const git = (...words: readonly string[]): string => {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')));
  return execFileSync('git', words, { cwd: ROOT, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
};

export interface Base {
  /** The compiled server of that version. */
  readonly server: string;
  remove(): void;
}

export const buildBase = (ref: string): Base => {
  const commit = git('rev-parse', '--verify', '--end-of-options', `${ref}^{commit}`);
  const folder = join(ROOT, 'build', 'base', commit.slice(0, 12));
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true });
    git('worktree', 'prune');
  };
  remove();
  mkdirSync(dirname(folder), { recursive: true });
  git('worktree', 'add', '--detach', '--force', folder, commit);
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    // A version from before there were benches gets the server of today.
    if (!existsSync(join(folder, `${SERVER}.ts`))) {
      mkdirSync(join(folder, dirname(SERVER)), { recursive: true });
      copyFileSync(join(ROOT, `${SERVER}.ts`), join(folder, `${SERVER}.ts`));
    }
    const server = join(folder, 'build', `${SERVER}.js`);
    let complaint: unknown;
    try {
      execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', '.'], { cwd: folder, stdio: 'pipe' });
    } catch (error) {
      // Its specs may not compile with the packages of today, which does not matter to its server.
      complaint = error;
    }
    if (!existsSync(server)) throw new Error(`${ref} does not compile`, { cause: complaint });
    return { server, remove };
  } catch (error) {
    remove();
    throw error;
  }
};

export interface Comparison {
  readonly outcome: Outcome;
  /** Cost now, divided by what it was: below 1 is a gain. NaN when either failed. */
  readonly ratio: number;
  readonly lost: boolean;
}

const compare = (outcome: Outcome): Comparison => {
  const ratio = costOf(outcome.samples.get('now')) / costOf(outcome.samples.get('base'));
  return { outcome, ratio, lost: !(ratio <= TOLERATED) };
};

export const compareWithBase = async (
  ref: string,
  workloads: readonly Workload[],
  timing: Timing,
  tell: (line: string) => void,
): Promise<Comparison[]> => {
  tell(`building ${ref}`);
  const base = buildBase(ref);
  try {
    const now = fileURLToPath(new URL('./server.js', import.meta.url));
    const both = [nodeServer('base', ref, base.server), nodeServer('now', 'now', now)];
    const comparisons: Comparison[] = [];
    for (const workload of workloads) {
      let comparison = compare(await contest(both, workload, timing, tell));
      if (comparison.ratio > TOLERATED) {
        // A machine that others use can fake a loss, but hardly twice: all samples count.
        tell(`${workload.name}: ${figure(comparison.ratio)} of what it was; once more`);
        const again = await contest(both, workload, timing, tell);
        comparison = compare(merge(comparison.outcome, again));
      }
      comparisons.push(comparison);
    }
    return comparisons;
  } finally {
    base.remove();
  }
};

const merge = (one: Outcome, two: Outcome): Outcome => {
  const samples = new Map(one.samples);
  for (const [name, more] of two.samples) {
    const so = samples.get(name);
    samples.set(name, typeof so === 'string' || typeof more === 'string' ? more : [...(so ?? []), ...more]);
  }
  return { workload: one.workload, samples };
};

export const comparisonTable = (ref: string, comparisons: readonly Comparison[]): string => {
  const columns = ['CPU per message, us', ref, 'now', 'now / then', ''].map((title, i) => ({
    title,
    right: i > 0 && i < 4,
  }));
  const rows = comparisons.map(({ outcome, ratio, lost }) => [
    outcome.workload.title,
    figure(costOf(outcome.samples.get('base'))),
    figure(costOf(outcome.samples.get('now'))),
    figure(ratio),
    Number.isNaN(ratio) ? 'failed' : lost ? 'LOST' : '',
  ]);
  return markdownTable(columns, rows);
};
