// `make bench`: the unit benches, then our server beside the others under the same load; or, with --base, beside another version of itself.
// Tables go to stdout, progress to stderr.
//
//   node build/spec/bench/main.js [--only PATTERN] [--rounds N] [--duration SECONDS] [--servers wsd,ws,…] [--peers FOLDER]
//                                 [--json] [--svg FILE] [--readme] | [--base REF] | [--packets] | [--packages] | [--packages]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareWithBase, comparisonTable } from './base.js';
import { contest, type Outcome, type Timing } from './contest.js';
import { findContestants } from './contestants.js';
import { type Goal, goalTable, judgeGoals } from './goals.js';
import * as packages from './packages/cases.js';
import { packageContest } from './packages/contest.js';
import { packageJson, packageTable } from './packages/report.js';
import * as packets from './packets/cases.js';
import { packetContest } from './packets/contest.js';
import { packetJson, packetTable } from './packets/report.js';
import { plotContest } from './plot.js';
import { BEGIN, circumstances, contestJson, contestTable, END, replacePart } from './report.js';
import type { RoundsOutcome } from './rounds.js';
import { groupsOf, runUnits, type UnitResult, unitTable } from './stopwatch.js';
import { UNITS } from './units/all.js';
import { chosen } from './workloads.js';

const README = fileURLToPath(new URL('../../../README.md', import.meta.url));
const PLOT = 'fixtures/bench/bench.svg';
const PLOT_FILE = fileURLToPath(new URL(`../../../${PLOT}`, import.meta.url));
/** Of one sample of a unit bench. */
const SAMPLE_MS = 20;

const USAGE = `make bench ARGS='…' or BASE=<git ref>
  --only PATTERN      unit benches and workloads whose name matches this regular expression; '^(conns|size)-' shows how
                      cost grows with connections and with the size of messages
  --rounds N          how often each is measured, in turns (5)
  --duration SECONDS  how long each server is measured in a round (2)
  --servers LIST      only these: wsd,ws,deno,bun,uws,net
  --peers FOLDER      where more peers were installed with npm; also WSD_PEERS
  --json              everything as JSON on stdout
  --svg FILE          the plot
  --readme            table and plot into the README; the plot to ${PLOT}
  --base REF          instead of all that: our server against that version; fails when more than 10 % are lost
  --packets           instead of all that: packet sessions beside plain messages and TLS, and the goals; fails when one is missed
  --packages          instead of all that: packages beside JSON over ws and socket.io, and the goals; fails when one is missed`;

class UsageError extends Error {}

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Wishes {
  readonly only: RegExp | undefined;
  readonly timing: Timing;
  readonly servers: readonly string[] | undefined;
  readonly peers: string | undefined;
  readonly json: boolean;
  readonly svg: string | undefined;
  readonly readme: boolean;
  readonly base: string | undefined;
  readonly packets: boolean;
  readonly packages: boolean;
}

const positive = (name: string, text: string | undefined, otherwise: number, whole: boolean): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (value > 0 && value < 1e6 && (!whole || Number.isInteger(value))) return value;
  throw new UsageError(`--${name} takes a ${whole ? 'whole ' : ''}number above 0, not "${text}"`);
};

const parseWishes = (words: readonly string[]): Wishes | undefined => {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...words],
    options: {
      only: text,
      rounds: text,
      duration: text,
      servers: text,
      peers: text,
      svg: text,
      base: text,
      json: flag,
      readme: flag,
      packets: flag,
      packages: flag,
      help: flag,
    },
  });
  if (values.help) return undefined;
  if (values.readme && (values.only !== undefined || values.servers !== undefined || values.base !== undefined)) {
    throw new UsageError('--readme goes with all workloads and all servers');
  }
  return {
    only: values.only === undefined ? undefined : new RegExp(values.only, 'i'),
    timing: {
      rounds: positive('rounds', values.rounds, 5, true),
      duration: positive('duration', values.duration, 2, false),
    },
    servers: values.servers?.split(','),
    peers: values.peers ?? process.env['WSD_PEERS'],
    json: values.json,
    svg: values.svg ?? (values.readme ? PLOT_FILE : undefined),
    readme: values.readme,
    base: values.base,
    packets: values.packets,
    packages: values.packages,
  };
};

const writePlot = (file: string, svg: string): void => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, svg);
  tell(`wrote ${file}`);
};

const writeReadme = (table: string, timing: Timing): void => {
  const part = [
    `![CPU per message of each server against ws](${PLOT})`,
    '',
    table,
    '',
    `Less is better; of idle connections the memory is told. ${circumstances(timing)} Every reply is compared with what was sent.`,
    'Command: `make bench ARGS=--readme`.',
  ].join('\n');
  const readme = replacePart(readFileSync(README, 'utf8'), part);
  if (readme === undefined) throw new Error(`README.md has no part between ${BEGIN} and ${END}`);
  writeFileSync(README, readme);
  tell('wrote README.md');
};

const againstBase = async (base: string, { only, timing, json }: Wishes): Promise<boolean> => {
  const workloads = chosen(only);
  const comparisons = await compareWithBase(base, workloads, timing, tell);
  if (json) {
    say(
      JSON.stringify(comparisons.map(({ outcome, ratio, lost }) => ({ workload: outcome.workload.name, ratio, lost }))),
    );
  } else say(`${comparisonTable(base, comparisons)}\n\n${circumstances(timing)}`);
  return comparisons.every(({ lost }) => !lost);
};

/** Cases in rounds, their table, and whether their goals are met. */
const inRounds = async <Case>(
  bench: {
    readonly cases: readonly Case[];
    readonly goals: readonly Goal[];
    readonly nameOf: (one: Case) => string;
    readonly measure: (cases: readonly Case[], timing: Timing, tell: (line: string) => void) => Promise<RoundsOutcome>;
    table(cases: readonly Case[], outcome: RoundsOutcome): string;
    json(cases: readonly Case[], outcome: RoundsOutcome): object;
  },
  { only, timing, json }: Wishes,
): Promise<boolean> => {
  const cases = bench.cases.filter((one) => only?.test(bench.nameOf(one)) ?? true);
  if (cases.length === 0) throw new UsageError('nothing has such a name');
  const outcome = await bench.measure(cases, timing, tell);
  const judged = judgeGoals(bench.goals, outcome);
  if (json) say(JSON.stringify({ ...timing, node: process.versions.node, ...bench.json(cases, outcome) }));
  else say([bench.table(cases, outcome), '', goalTable(judged), '', circumstances(timing)].join('\n'));
  return judged.every(({ met }) => met);
};

const PACKETS = {
  cases: packets.CASES,
  goals: packets.GOALS,
  nameOf: packets.nameOf,
  measure: packetContest,
  table: packetTable,
  json: packetJson,
};
const PACKAGES = {
  cases: packages.CASES,
  goals: packages.GOALS,
  nameOf: packages.nameOf,
  measure: packageContest,
  table: packageTable,
  json: packageJson,
};

const sideBySide = async ({ only, timing, servers, peers, json, svg, readme }: Wishes): Promise<boolean> => {
  const results: UnitResult[] = [];
  for (const group of groupsOf(UNITS.filter(({ group, name }) => only?.test(`${group}/${name}`) ?? true))) {
    const some = runUnits(group, SAMPLE_MS, timing.rounds);
    results.push(...some);
    if (!json) say(`${unitTable(some)}\n`);
  }

  const field = findContestants(peers);
  const contestants = field.contestants.filter(({ name }) => servers?.includes(name) ?? true);
  const outcomes: Outcome[] = [];
  for (const workload of chosen(only)) {
    outcomes.push(await contest(contestants, workload, timing, tell));
  }
  if (results.length + outcomes.length === 0) throw new UsageError('nothing has such a name');

  const table = contestTable(contestants, outcomes);
  if (json) {
    const servers = contestJson(outcomes);
    say(JSON.stringify({ ...timing, node: process.versions.node, units: results, servers, missing: field.missing }));
  } else if (outcomes.length > 0) say([table, '', circumstances(timing), ...field.missing].join('\n'));
  const plot = plotContest(contestants, outcomes, 'wsd', 'ws');
  if (svg !== undefined && plot !== undefined) writePlot(svg, plot);
  if (readme) writeReadme(table, timing);
  return outcomes.every(({ samples }) => typeof samples.get('wsd') !== 'string');
};

const main = async (words: readonly string[]): Promise<number> => {
  const wishes = parseWishes(words);
  if (wishes === undefined) {
    say(USAGE);
    return 0;
  }
  const load = loadavg()[0] ?? 0;
  if (load > 0.5) tell(`others use this machine (load ${load.toFixed(1)}): read ratios, not figures`);
  const bench = (): Promise<boolean> => {
    if (wishes.packets) return inRounds(PACKETS, wishes);
    if (wishes.packages) return inRounds(PACKAGES, wishes);
    return wishes.base === undefined ? sideBySide(wishes) : againstBase(wishes.base, wishes);
  };
  return (await bench()) ? 0 : 1;
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const wrong = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  tell(wrong === true ? `${(error as Error).message}\n${USAGE}` : String((error as Error).stack));
  process.exitCode = wrong === true ? 2 : 1;
}
