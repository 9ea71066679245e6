// Outcomes → what people and programs read: the table in Markdown, the same as JSON, and the part of the README between its two marks.
import { availableParallelism } from 'node:os';
import { canPin } from './child.js';
import { costOf, type Outcome, type Sample, type Timing } from './contest.js';
import type { Contestant } from './contestants.js';
import { figure, markdownTable, median } from './figures.js';
import { unitOf } from './workloads.js';

export const BEGIN = '<!-- bench:begin -->';
export const END = '<!-- bench:end -->';

/** Where the figures come from, in one sentence; no machine has a name here. */
export const circumstances = ({ rounds, duration }: Timing): string => {
  const cpus = availableParallelism();
  const pinned = canPin() ? ', server and load on one each' : '';
  return `Medians of ${rounds} interleaved rounds of ${duration} s; Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus} CPU${cpus === 1 ? '' : 's'}${pinned}.`;
};

const cellOf = (samples: readonly Sample[] | string | undefined): string =>
  samples === undefined ? '-' : typeof samples === 'string' ? 'failed' : figure(costOf(samples));

/** How many times less `name` costs than `base`. */
export const gainOf = (outcome: Outcome, name: string, base: string): number =>
  costOf(outcome.samples.get(base)) / costOf(outcome.samples.get(name));

export const contestTable = (contestants: readonly Contestant[], outcomes: readonly Outcome[]): string => {
  const compares = ['wsd', 'ws'].every((name) => contestants.some((one) => one.name === name));
  const columns = contestants.flatMap(({ name, title }) => [
    { title, right: true },
    ...(compares && name === 'ws' ? [{ title: 'ws / wsd', right: true }] : []),
  ]);
  const rows = outcomes.map((outcome) => [
    outcome.workload.title,
    ...contestants.flatMap(({ name }) => [
      cellOf(outcome.samples.get(name)),
      ...(compares && name === 'ws' ? [figure(gainOf(outcome, 'wsd', 'ws'))] : []),
    ]),
  ]);
  return markdownTable([{ title: 'CPU of the server per message, us' }, ...columns], rows);
};

const figuresOf = (samples: readonly Sample[] | string): object => {
  if (typeof samples === 'string') return { error: samples };
  const costs = samples.map(({ cost }) => cost);
  const rate = median(samples.map((one) => one.rate));
  return { cost: median(costs), min: Math.min(...costs), max: Math.max(...costs), rate };
};

export const contestJson = (outcomes: readonly Outcome[]): object[] =>
  outcomes.map(({ workload, samples }) => ({
    workload: workload.name,
    title: workload.title,
    unit: unitOf(workload),
    servers: Object.fromEntries([...samples].map(([name, so]) => [name, figuresOf(so)])),
  }));

/** Undefined when the two marks are not there, once each and in order. */
export const replacePart = (readme: string, part: string): string | undefined => {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  const once = readme.indexOf(BEGIN, from + 1) < 0 && readme.indexOf(END, to + 1) < 0;
  if (from < 0 || to < from || !once) return undefined;
  return `${readme.slice(0, from + BEGIN.length)}\n${part.trim()}\n${readme.slice(to)}`;
};
