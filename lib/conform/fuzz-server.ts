// The fuzzing client: every chosen case against a server, a few at a time → a report. Cases whose time is measured in half seconds run
// before the heavy ones, so that 16 MiB of somebody else's case cannot make a good server look slow.
import type { ConnectionOptions } from 'node:tls';
import type { Case, CaseResult } from './case.js';
import { loadCases, quickened } from './catalogue.js';
import { dial, openClient, parseTarget, type Target } from './dial.js';
import { clock, drive } from './drive.js';
import { gradeUnopened } from './grade.js';
import { runServerOpening, serverOpenings } from './opening-server.js';
import { inParallel } from './pool.js';
import { byId, type Report } from './result.js';
import { CaseRun } from './run.js';
import { isSelected } from './select.js';

export interface ServerCasesOptions {
  /** Anchored patterns such as `6.*` and `!6.4.*`. Default: all. */
  readonly cases?: readonly string[];
  /** How many connections at a time. Default 4. */
  readonly jobs?: number;
  /** Fewer messages in the cases that repeat themselves a thousand times. */
  readonly quick?: boolean;
  /** How long the opening-handshake cases wait for a server that has no reason to hurry, in ms. Default 12,000. */
  readonly patience?: number;
  /** For wss. */
  readonly tls?: ConnectionOptions;
  readonly signal?: AbortSignal;
  readonly onResult?: (result: CaseResult, done: number, total: number) => void;
}

/** The server cannot be reached at all: told before a single case is run. */
export class UnreachableError extends Error {
  constructor(url: string, why: string) {
    super(`cannot reach ${url}: ${why}`);
    this.name = 'UnreachableError';
  }
}

const maskKey = (): number => Math.floor(Math.random() * 0x100000000);

const runCase = async (
  test: Case,
  target: Target,
  onServer: (name: string) => void,
  signal: AbortSignal | undefined,
): Promise<CaseResult> => {
  const started = clock();
  const opened = await openClient(target, test.plan.kind === 'deflate' ? test.plan.offer : undefined);
  if (opened.kind === 'failed') return gradeUnopened(test, opened.why, clock() - started);
  onServer(opened.server);
  const run = new CaseRun(test, 'client', maskKey, opened.terms);
  await drive(opened.socket, run, opened.rest, signal);
  return run.result(clock());
};

const isHeavy = ({ plan }: Case): boolean => plan.kind !== 'script';

export const runServerCases = async (url: string, options: ServerCasesOptions = {}): Promise<Report> => {
  const { cases: patterns = [], jobs = 4, quick = false, patience = 12_000, signal } = options;
  const target = parseTarget(url, options.tls);
  const startedAt = new Date().toISOString();
  const started = clock();
  const probe = await dial(target);
  if (typeof probe === 'string') throw new UnreachableError(url, probe);
  probe.destroy();

  const chosen = loadCases().filter((c) => isSelected(patterns, c.id));
  const openings = serverOpenings(target).filter((o) => isSelected(patterns, o.id));
  const total = chosen.length + openings.length;
  const results: CaseResult[] = [];
  const opening: CaseResult[] = [];
  let software = '';
  const done = (into: CaseResult[], result: CaseResult): void => {
    // A case cut short by our own end says nothing about the server.
    if (signal?.aborted === true) return;
    into.push(result);
    options.onResult?.(result, results.length + opening.length, total);
  };
  const onServer = (name: string): void => {
    software ||= name;
  };
  const play = async (test: Case): Promise<void> =>
    done(results, await runCase(quick ? quickened(test) : test, target, onServer, signal));

  await inParallel(
    chosen.filter((c) => !isHeavy(c)),
    jobs,
    play,
    signal,
  );
  await inParallel(openings, jobs * 2, async (o) => done(opening, await runServerOpening(o, target, patience)), signal);
  await inParallel(chosen.filter(isHeavy), jobs, play, signal);

  return {
    tool: 'wsd conform',
    mode: 'server',
    target: url,
    software,
    quick,
    startedAt,
    durationMs: clock() - started,
    results: results.sort(byId),
    opening: opening.sort(byId),
  };
};
