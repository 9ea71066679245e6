// Samples → tables: what a message costs in each case, how many times that of plain messages and of TLS it is, and whether the goals are met.
import type { Sample } from '../contest.js';
import { figure, markdownTable, median } from '../figures.js';
import { type Case, GOALS, nameOf } from './cases.js';
import type { PacketOutcome } from './contest.js';

type Samples = readonly (Sample | undefined)[] | undefined;

const middle = (samples: Samples, of: keyof Sample): number => {
  const values = (samples ?? []).flatMap((one) => (one === undefined ? [] : [one[of]]));
  return values.length === 0 ? Number.NaN : median(values);
};

/** The median of the ratios of the rounds: both cases of a ratio were measured in the same minute. */
export const ratioOf = (outcome: PacketOutcome, what: string, beside: string): number => {
  const others = outcome.get(beside) ?? [];
  const ratios = (outcome.get(what) ?? []).flatMap((one, round) => {
    const other = others[round];
    return one === undefined || other === undefined ? [] : [one.cost / other.cost];
  });
  return ratios.length === 0 ? Number.NaN : median(ratios);
};

export const packetTable = (cases: readonly Case[], outcome: PacketOutcome): string => {
  const titles = ['', '', 'CPU of the server, us', 'per second', 'beside ws', 'beside wss'];
  const columns = titles.map((title, at) => ({ title, right: at > 1 }));
  const rows = cases.map((one) => {
    const { workload, service } = one;
    const samples = outcome.get(nameOf(one));
    return [
      workload.title,
      service.title,
      figure(middle(samples, 'cost')),
      middle(samples, 'rate').toFixed(0),
      figure(ratioOf(outcome, nameOf(one), `${workload.name}/ws`)),
      figure(ratioOf(outcome, nameOf(one), `${workload.name}/wss`)),
    ];
  });
  return markdownTable(columns, rows);
};

export interface Judged {
  readonly title: string;
  readonly limit: number;
  readonly value: number;
  readonly met: boolean;
}

/** Those goals whose cases were measured. */
export const judgeGoals = (outcome: PacketOutcome): Judged[] =>
  GOALS.flatMap(({ title, what, beside, by, limit }) => {
    const costOf = (name: string): number => middle(outcome.get(name), 'cost');
    const value = by === 'more' ? costOf(what) - costOf(beside) : ratioOf(outcome, what, beside);
    return Number.isNaN(value) ? [] : [{ title, limit, value, met: value <= limit }];
  });

export const goalTable = (judged: readonly Judged[]): string => {
  const columns = ['goal', 'at most', 'measured', ''].map((title, at) => ({ title, right: at === 1 || at === 2 }));
  const rows = judged.map(({ title, limit, value, met }) => [title, `${limit}`, figure(value), met ? 'met' : 'MISSED']);
  return markdownTable(columns, rows);
};

export const packetJson = (cases: readonly Case[], outcome: PacketOutcome): object => ({
  cases: cases.map((one) => {
    const samples = outcome.get(nameOf(one));
    return { name: nameOf(one), cost: middle(samples, 'cost'), rate: middle(samples, 'rate'), samples };
  }),
  goals: judgeGoals(outcome),
});
