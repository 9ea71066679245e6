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

/** The server cannot be reached at all, or refuses every handshake: told instead of a report of cases that were never played. */
export class UnreachableError extends Error {
  /** A code of the system, or what the answer was. */
  readonly why: string;
  constructor(url: string, why: string, what = 'cannot reach') {
    super(`${what} ${url}: ${why}`);
    this.name = 'UnreachableError';
    this.why = why;
  }
}

/** So many refusals in the same words, and nothing else: the others would be the same. */
const ENOUGH = 5;

interface Played {
  readonly result: CaseResult;
  /** Why the connection was not opened. */
  readonly refused?: string;
}

/** Keeps back what was refused until something else has happened: no results when the server refuses everybody. */
class Refusals {
  #held: CaseResult[] | undefined = [];
  #why: string | undefined;

  /** The same refusal again and again, and nothing else yet. */
  get why(): string | undefined {
    return this.#held !== undefined && this.#held.length >= ENOUGH ? this.#why : undefined;
  }

  /** The results to go on with. */
  take({ result, refused }: Played): readonly CaseResult[] {
    if (this.#held === undefined) return [result];
    if (this.#held.length === 0) this.#why = refused;
    this.#held.push(result);
    return refused !== undefined && refused === this.#why ? [] : this.release();
  }

  /** All that were kept back; from here on none is. */
  release(): readonly CaseResult[] {
    const held = this.#held ?? [];
    this.#held = undefined;
    return held;
  }
}

const maskKey = (): number => Math.floor(Math.random() * 0x100000000);

const runCase = async (
  test: Case,
  target: Target,
  onServer: (name: string) => void,
  signal: AbortSignal | undefined,
): Promise<Played> => {
  const started = clock();
  const opened = await openClient(target, test.plan.kind === 'deflate' ? test.plan.offer : undefined);
  if (opened.kind === 'failed')
    return { result: gradeUnopened(test, opened.why, clock() - started), refused: opened.why };
  onServer(opened.server);
  const run = new CaseRun(test, 'client', maskKey, opened.terms);
  await drive(opened.socket, run, opened.rest, signal);
  return { result: run.result(clock()) };
};

const isHeavy = ({ plan }: Case): boolean => plan.kind !== 'script';

export const runServerCases = async (url: string, options: ServerCasesOptions = {}): Promise<Report> => {
  const { cases: patterns = [], jobs = 4, quick = false, patience = 12_000 } = options;
  const refused = new AbortController();
  const signal = options.signal === undefined ? refused.signal : AbortSignal.any([options.signal, refused.signal]);
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
    if (signal.aborted) return;
    into.push(result);
    options.onResult?.(result, results.length + opening.length, total);
  };
  const onServer = (name: string): void => {
    software ||= name;
  };
  const refusals = new Refusals();
  let always: string | undefined;
  const play = async (test: Case): Promise<void> => {
    const played = await runCase(quick ? quickened(test) : test, target, onServer, signal);
    for (const result of refusals.take(played)) done(results, result);
    always ??= refusals.why;
    if (always !== undefined) refused.abort();
  };
  const playAll = async (some: readonly Case[]): Promise<void> => {
    await inParallel(some, jobs, play, signal);
    if (always !== undefined) throw new UnreachableError(url, always, 'no case can be played at');
  };

  await playAll(chosen.filter((c) => !isHeavy(c)));
  await inParallel(openings, jobs * 2, async (o) => done(opening, await runServerOpening(o, target, patience)), signal);
  await playAll(chosen.filter(isHeavy));
  for (const result of refusals.release()) done(results, result);

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
