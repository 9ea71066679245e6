// Samples → tables: what a message costs in each case, how many times that of plain messages and of TLS it is, and whether the goals are met.
import { figure, markdownTable } from '../figures.js';
import { judgeGoals, middle, ratioOf } from '../goals.js';
import type { RoundsOutcome } from '../rounds.js';
import { type Case, GOALS, nameOf } from './cases.js';

export const packetTable = (cases: readonly Case[], outcome: RoundsOutcome): string => {
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

export const packetJson = (cases: readonly Case[], outcome: RoundsOutcome): object => ({
  cases: cases.map((one) => {
    const samples = outcome.get(nameOf(one));
    return { name: nameOf(one), cost: middle(samples, 'cost'), rate: middle(samples, 'rate'), samples };
  }),
  goals: judgeGoals(GOALS, outcome),
});
