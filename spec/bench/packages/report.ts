// Samples → tables: what a request and its reply cost in each case, and how many times that of JSON over ws and of socket.io it is.
import { figure, markdownTable } from '../figures.js';
import { judgeGoals, middle, ratioOf } from '../goals.js';
import type { RoundsOutcome } from '../rounds.js';
import { type Case, GOALS, nameOf } from './cases.js';

export const packageTable = (cases: readonly Case[], outcome: RoundsOutcome): string => {
  const titles = ['', '', 'CPU of the server, us', 'per second', 'beside ws', 'beside socket.io'];
  const columns = titles.map((title, at) => ({ title, right: at > 1 }));
  const rows = cases.map((one) => {
    const { workload, service } = one;
    const samples = outcome.get(nameOf(one));
    const rate = middle(samples, 'rate');
    return [
      workload.title,
      service.title,
      figure(middle(samples, 'cost')),
      rate > 0 ? rate.toFixed(0) : '-',
      figure(ratioOf(outcome, nameOf(one), `${workload.name}/ws`)),
      figure(ratioOf(outcome, nameOf(one), `${workload.name}/socket.io`)),
    ];
  });
  return markdownTable(columns, rows);
};

export const packageJson = (cases: readonly Case[], outcome: RoundsOutcome): object => ({
  cases: cases.map((one) => {
    const samples = outcome.get(nameOf(one));
    return { name: nameOf(one), cost: middle(samples, 'cost'), rate: middle(samples, 'rate'), samples };
  }),
  goals: judgeGoals(GOALS, outcome),
});
