// Results of many cases → one report with its counts. The cases of the suite and our own on the opening handshake are counted apart.
// Knows no connection.
import type { CaseResult, Verdict } from './case.js';

export interface Report {
  readonly tool: 'wsd conform';
  /** What was tested: a server (we played the client) or a client. */
  readonly mode: 'server' | 'client';
  /** The URL of the server, or the name the client gave itself. */
  readonly target: string;
  /** What the server called itself in its answer, when it did. */
  readonly software: string;
  /** Fewer messages in the cases that repeat themselves. */
  readonly quick: boolean;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly results: readonly CaseResult[];
  /** The opening handshake: cases of our own. */
  readonly opening: readonly CaseResult[];
}

export interface Tally {
  readonly total: number;
  /** Everything but failed and unimplemented. */
  readonly accepted: number;
  readonly by: Readonly<Record<Verdict, number>>;
}

export const tally = (results: readonly CaseResult[]): Tally => {
  const by: Record<Verdict, number> = { passed: 0, 'non-strict': 0, informational: 0, unimplemented: 0, failed: 0 };
  for (const { verdict } of results) by[verdict]++;
  return { total: results.length, accepted: results.length - by.failed - by.unimplemented, by };
};

/** "517 of 517 cases; opening handshake 46 of 46" */
export const summarize = (report: Report): string => {
  const { results, opening } = report;
  const parts: string[] = [];
  if (results.length > 0) parts.push(`${tally(results).accepted} of ${results.length} cases`);
  if (opening.length > 0) parts.push(`opening handshake ${tally(opening).accepted} of ${opening.length}`);
  return parts.length === 0 ? 'no cases were run' : parts.join('; ');
};

/** `strict`: what passes only by leniency fails as well. */
export const hasPassed = (report: Report, strict = false): boolean =>
  [...report.results, ...report.opening].every(
    ({ verdict }) => verdict === 'passed' || verdict === 'informational' || (verdict === 'non-strict' && !strict),
  );

/** Results by family, in the order the cases have. */
export const byFamily = (results: readonly CaseResult[]): ReadonlyMap<string, readonly CaseResult[]> => {
  const families = new Map<string, CaseResult[]>();
  for (const result of results) {
    const family = families.get(result.family);
    if (family === undefined) families.set(result.family, [result]);
    else family.push(result);
  }
  return families;
};

/** 9.10 after 9.9, and H.2 before H.10. */
export const byId = (a: { readonly id: string }, b: { readonly id: string }): number => {
  const left = a.id.split('.');
  const right = b.id.split('.');
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = Number(left[i] ?? -1) - Number(right[i] ?? -1);
    if (order !== 0 && !Number.isNaN(order)) return order;
  }
  return 0;
};
