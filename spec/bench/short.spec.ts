// The benches cannot rot: every unit bench runs for a moment, every workload and every case of packages goes over real sockets for a few messages, and what is made
// of the figures is looked at. Nothing here asserts how fast anything is.
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Child } from './child.js';
import { contest, measure, type Outcome, type Sample } from './contest.js';
import { type Contestant, findContestants, nodeServer } from './contestants.js';
import { bytesFigure, figure, markdownTable, median } from './figures.js';
import { goalTable, judgeGoals, middle } from './goals.js';
import { Load } from './load.js';
import type { Usage } from './meter.js';
import { CASES, type Case, GOALS, nameOf } from './packages/cases.js';
import { measureCase, startServer } from './packages/contest.js';
import { PackageLoad } from './packages/load.js';
import { makeKeys } from './packages/nodes.js';
import { isNote, noteOf } from './packages/note.js';
import { packageJson, packageTable } from './packages/report.js';
import type { Tally } from './packages/server.js';
import { plotContest } from './plot.js';
import { BEGIN, contestJson, contestTable, END, gainOf, replacePart } from './report.js';
import { takeTurns } from './rounds.js';
import { groupsOf, runUnits, unitTable } from './stopwatch.js';
import { UNITS } from './units/all.js';
import { suitsFloor, WORKLOADS, type Workload } from './workloads.js';

const ours = nodeServer('wsd', 'wsd', fileURLToPath(new URL('./server.js', import.meta.url)));
const ws = nodeServer('ws', 'ws', fileURLToPath(new URL('./peers/ws.js', import.meta.url)));
const floor = { ...nodeServer('net', 'bare', fileURLToPath(new URL('./peers/net.js', import.meta.url))), raw: true };

const small = (workload: Workload): Workload => ({ ...workload, connections: Math.min(4, workload.connections) });
const named = (name: string): Workload => small(WORKLOADS.find((one) => one.name === name) as Workload);

const until = async (holds: () => boolean, what: string): Promise<void> => {
  const limit = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > limit) throw new Error(`${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

t.test('every unit bench runs and gives a figure', async (t) => {
  for (const group of groupsOf(UNITS)) {
    const results = runUnits(group, 0.1, 1);
    t.ok(
      results.every((one) => one.median > 0 && one.min <= one.median && one.median <= one.max),
      group[0]?.group ?? '',
    );
    t.equal(unitTable(results).split('\n').length, group.length + 2);
  }
  t.equal(new Set(UNITS.map(({ group, name }) => `${group}/${name}`)).size, UNITS.length, 'no name is there twice');
});

for (const contestant of [ours, ws, floor]) {
  t.test(`every workload suits ${contestant.name}, and each reply is what was sent`, async (t) => {
    const settings = contestant.raw ? (['0', 'all'] as const) : (['0', 'noctx', 'ctx'] as const);
    const servers = await Promise.all(
      settings.map((set) =>
        Child.start(contestant.command, 0, { PMD: set === 'all' ? '0' : set, BCAST: set === 'all' ? '1' : '0' }),
      ),
    );
    t.teardown(() => Promise.all(servers.map((server) => server.stop())));
    for (const workload of WORKLOADS.map(small)) {
      if (contestant.raw && !suitsFloor(workload)) continue;
      const wanted = contestant.raw ? (workload.mode === 'broadcast' ? 'all' : '0') : workload.deflate;
      const server = servers[(settings as readonly string[]).indexOf(wanted)] as Child;
      const load = await Load.open({ port: Number(new URL(server.greeting).port), workload, raw: contestant.raw });
      const enough = workload.mode === 'idle' ? 4 : 20 * Math.max(1, workload.depth);
      load.start();
      await until(() => load.count().messages >= enough || load.count().error !== undefined, workload.name);
      t.equal(load.count().error, undefined, workload.name);
      await load.close();
    }
    const usage = await (servers[0] as Child).ask<Usage>('usage');
    t.ok(usage.cpu > 0 && usage.memory > 1e6, 'it tells what it has used');
  });
}

t.test('the load notices a server that does not echo', async (t) => {
  const serve = (answer: (chunk: Buffer) => Buffer | undefined): Promise<NetServer> =>
    new Promise((resolve) => {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (chunk) => {
          const bytes = answer(chunk);
          if (bytes === undefined) socket.end();
          else socket.write(bytes);
        });
      });
      server.listen(0, '127.0.0.1', () => resolve(server));
    });
  const flip = (chunk: Buffer): Buffer => {
    chunk[chunk.length - 1] = (chunk.at(-1) as number) ^ 1;
    return chunk;
  };
  for (const [what, answer] of [
    ['not what was sent', flip],
    ['the server ended the connection', (): undefined => undefined],
  ] as const) {
    const server = await serve(answer);
    const { port } = server.address() as AddressInfo;
    const load = await Load.open({ port, workload: named('echo64'), raw: true });
    load.start();
    await until(() => load.count().error !== undefined, what);
    t.match(load.count().error, what);
    await load.close();
    server.close();
  }
  const server = await serve(() => Buffer.from('HTTP/1.1 404 Not Found\r\n\r\n'));
  const { port } = server.address() as AddressInfo;
  await t.rejects(Load.open({ port, workload: named('echo64'), raw: false }), /no upgrade: HTTP\/1\.1 404/);
  server.close();
});

t.test('a server without deflate fails the workloads that ask for it', async (t) => {
  await t.rejects(measure({ ...ours, env: { PMD: '0' } }, named('defl-ctx'), 0.01), /extensions: none/);
});

const asked = (name: string): Case => CASES.find((one) => nameOf(one) === name) as Case;
const few = ({ service, workload }: Case): Case => ({ service, workload: { ...workload, connections: 3 } });

t.test('packages: each reply is what was asked for, by every way to ask', async (t) => {
  const keys = makeKeys();
  const judge = async (measured: Case): Promise<void> => {
    const name = nameOf(measured);
    const { service, workload } = measured;
    const server = await startServer(measured, keys);
    t.teardown(() => server.stop());
    const load = new PackageLoad({ url: server.greeting, measured, keys });
    await load.start();
    const enough = workload.mode === 'idle' ? 0 : 20 * workload.depth;
    await until(() => load.count().messages >= enough || load.count().error !== undefined, name);
    const tally = await server.ask<Tally>('tally');
    await load.finish();
    t.match(load.count(), { error: undefined, open: 3 }, name);
    t.equal(tally.failures, 0, name);
    t.equal(workload.mode === 'idle' ? tally.asked : Math.min(tally.asked, enough), enough, name);
    const pairs = service.kind === 'dispatch' && workload.mode === 'request' ? 2 : 1;
    t.equal(tally.nodes, service.alg === undefined ? 0 : 3 * pairs, name);
  };
  const names = ['request-d8/hs256', 'idle/forward-hs256'];
  const cases = CASES.filter((one) => one.workload.name === 'request' || names.includes(nameOf(one))).map(few);
  t.equal(cases.length, 9);
  const half = async (which: number): Promise<void> => {
    for (const one of cases.filter((_, at) => at % 2 === which)) await judge(one);
  };
  await Promise.all([half(0), half(1)]);
  t.ok(isNote(noteOf(1), noteOf(1)));
  t.notOk(isNote(noteOf(1), noteOf(2)), 'a reply to another request is not taken for it');
});

t.test('packages: a load whose key is not known is told so', async (t) => {
  const measured = few(asked('request/hs256'));
  const server = await startServer(measured, makeKeys());
  t.teardown(() => server.stop());
  const load = new PackageLoad({ url: server.greeting, measured, keys: makeKeys() });
  await load.start();
  t.match(load.count().error, /lost|1008/);
  await load.finish();
});

t.test('packages: rounds, tables and goals', async (t) => {
  const cases = [few(asked('request/hs256')), few(asked('idle/forward-hs256'))];
  const names = cases.map(nameOf);
  const order: string[] = [];
  const lines: string[] = [];
  const turns = await takeTurns(
    cases,
    2,
    nameOf,
    async (one) => {
      order.push(nameOf(one));
      if (order.length === 4) throw new Error('it broke');
      return { cost: order.length, rate: 1 };
    },
    (line) => void lines.push(line),
  );
  t.strictSame(order, [...names, ...names.toReversed()], 'up and down');
  t.match(lines[3], /request\/hs256 2\/2 failed: it broke/);
  t.strictSame(turns.get('request/hs256'), [{ cost: 1, rate: 1 }, undefined]);

  const keys = makeKeys();
  const measured = (one: Case): Promise<Sample> => measureCase(one, keys, 0.02);
  const outcome = await takeTurns(cases, 1, nameOf, measured, () => {});
  t.ok(middle(outcome.get('request/hs256'), 'cost') > 0);
  t.match(packageTable(cases, outcome), /request and reply +\| package, HS256 +\| +[0-9.]+ \| +\d+ \|/);
  t.match(packageJson(cases, outcome), { cases: [{ name: 'request/hs256' }, { rate: 0 }] });

  const told = new Map([
    ['request/hs256', [{ cost: 50, rate: 1 }, undefined, { cost: 40, rate: 1 }]],
    [
      'request/forward-hs256',
      [
        { cost: 100, rate: 1 },
        { cost: 1, rate: 1 },
        { cost: 140, rate: 1 },
      ],
    ],
    ['idle/forward-hs256', [{ cost: 13, rate: 0 }]],
  ]);
  const judged = judgeGoals(GOALS, told);
  t.strictSame(
    judged.map(({ value, met }) => [value, met]),
    [
      [45, true],
      [1.75, true],
      [13, false],
    ],
  );
  t.match(goalTable(judged), /idle node, KiB +\| +12 \| +13\.0 \| MISSED/);
  t.strictSame(judgeGoals(GOALS, new Map()), [], 'what was not measured is neither met nor missed');
});

const outcomeOf = (name: string, costs: Readonly<Record<string, number | string>>): Outcome => ({
  workload: named(name),
  samples: new Map(
    Object.entries(costs).map(([server, cost]) => [server, typeof cost === 'string' ? cost : [{ cost, rate: 1 }]]),
  ),
});

t.test('a contest takes turns, and a server that fails is left out and named', async (t) => {
  const broken: Contestant = { ...ours, name: 'broken', command: [process.execPath, '-e', 'process.exit(3)'] };
  const lines: string[] = [];
  const timing = { duration: 0.02, rounds: 2 };
  const { samples } = await contest([ours, broken], named('echo64'), timing, (line) => void lines.push(line));
  t.equal(samples.get('wsd')?.length, 2);
  t.match(samples.get('broken'), /the process ended \(3\)/);
  t.equal(lines.length, 3);
  const idle = await measure(ours, named('idle'), 0.01);
  t.equal(idle.rate, 0);
});

t.test('the peers that are here are found, the others are named', async (t) => {
  const { contestants, missing } = findContestants(undefined);
  const names = contestants.map(({ name }) => name);
  t.match(names, ['wsd', 'ws']);
  t.equal(names.at(-1), 'net');
  t.equal(contestants.length + missing.length, 6);
});

t.test('tables, JSON, README and plot show what was measured', async (t) => {
  const contestants = [ours, ws, { ...floor, title: 'bare <net> & co' }];
  const outcomes = [
    outcomeOf('echo64', { wsd: 8, ws: 12, net: 10 }),
    outcomeOf('echo64-d32', { wsd: 0.5, ws: 8, net: 0.4 }),
    outcomeOf('sink64', { wsd: 0.3, ws: 'it broke' }),
  ];
  t.equal(gainOf(outcomes[1] as Outcome, 'wsd', 'ws'), 16);
  const table = contestTable(contestants, outcomes);
  t.match(table, /\| 64 B text, 32 in flight +\| +0\.500 \| +8\.00 \| +16\.0 \| +0\.400 \|/);
  t.match(table, /\| +0\.300 \| failed \| +- \| +- \|/);
  t.match(contestJson(outcomes), [{ workload: 'echo64', unit: 'us', servers: { wsd: { cost: 8 } } }]);

  const readme = `# A\n\n${BEGIN}\nold\n${END}\n\nrest\n`;
  t.equal(replacePart(readme, table), `# A\n\n${BEGIN}\n${table}\n${END}\n\nrest\n`);
  t.equal(replacePart(`# A\n${END}\n${BEGIN}\n`, table), undefined);
  t.equal(replacePart(`${readme}${BEGIN}`, table), undefined);

  const svg = plotContest(contestants, outcomes, 'wsd', 'ws') ?? '';
  t.match(svg, /^<svg [^>]*role="img"/);
  t.match(svg, 'bare &lt;net&gt; &amp; co');
  t.match(svg, 'prefers-color-scheme:dark');
  t.notMatch(svg, /NaN|Infinity|undefined/);
  t.equal(svg.match(/<(text|title|desc|style|svg)\b/g)?.length, svg.match(/<\/(text|title|desc|style|svg)>/g)?.length);
  t.equal(plotContest(contestants, [outcomeOf('echo64', { wsd: 8 })], 'wsd', 'ws'), undefined);
});

t.test('figures', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.throws(() => median([]), RangeError);
  for (const [value, text] of [
    [0.4123, '0.412'],
    [8.492, '8.49'],
    [59.24, '59.2'],
    [99.96, '100'],
    [3450.4, '3450'],
    [0, '0.00'],
    [Number.NaN, '-'],
  ] as const)
    t.equal(figure(value), text);
  t.strictSame([64, 1024, 1 << 20].map(bytesFigure), ['64 B', '1 KiB', '1 MiB']);
  t.equal(
    markdownTable([{ title: 'a' }, { title: 'b', right: true }], [['x|y', '1']]),
    '| a    |   b |\n| ---- | --: |\n| x\\|y |   1 |',
  );
});
