// Samples of rounds → figures, ratios, and whether the goals are met that somebody set before it was measured. Knows cases by their names alone.
import type { Sample } from './contest.js';
import { figure, markdownTable, median } from './figures.js';
import type { RoundsOutcome } from './rounds.js';

export interface Goal {
  readonly title: string;
  /** Names of cases. */
  readonly what: string;
  readonly beside: string;
  /** ratio: of both. more: by how much the first costs more. adds: the same, in times of the second. is: the first alone. */
  readonly by: 'ratio' | 'more' | 'adds' | 'is';
  readonly limit: number;
}

export interface Judged {
  readonly title: string;
  readonly limit: number;
  readonly value: number;
  readonly met: boolean;
}

type Samples = readonly (Sample | undefined)[] | undefined;

/** NaN: there are none. */
export const middle = (samples: Samples, of: keyof Sample): number => {
  const values = (samples ?? []).flatMap((one) => (one === undefined ? [] : [one[of]]));
  return values.length === 0 ? Number.NaN : median(values);
};

/** The median of the ratios of the rounds: both cases of a ratio were measured in the same minute. */
export const ratioOf = (outcome: RoundsOutcome, what: string, beside: string): number => {
  const others = outcome.get(beside) ?? [];
  const ratios = (outcome.get(what) ?? []).flatMap((one, round) => {
    const other = others[round];
    return one === undefined || other === undefined ? [] : [one.cost / other.cost];
  });
  return ratios.length === 0 ? Number.NaN : median(ratios);
};

/** Those goals whose cases were measured. */
export const judgeGoals = (goals: readonly Goal[], outcome: RoundsOutcome): Judged[] => {
  const costOf = (name: string): number => middle(outcome.get(name), 'cost');
  const measure = ({ what, beside, by }: Goal): number => {
    if (by === 'is') return costOf(what);
    if (by === 'more') return costOf(what) - costOf(beside);
    return ratioOf(outcome, what, beside) - (by === 'adds' ? 1 : 0);
  };
  return goals.flatMap((goal) => {
    const value = measure(goal);
    const { title, limit } = goal;
    return Number.isNaN(value) ? [] : [{ title, limit, value, met: value <= limit }];
  });
};

export const goalTable = (judged: readonly Judged[]): string => {
  const columns = ['goal', 'at most', 'measured', ''].map((title, at) => ({ title, right: at === 1 || at === 2 }));
  const rows = judged.map(({ title, limit, value, met }) => [title, `${limit}`, figure(value), met ? 'met' : 'MISSED']);
  return markdownTable(columns, rows);
};
