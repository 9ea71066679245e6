// `make autobahn`: the real suite against our server and our client, compared case by case with fixtures/autobahn/expected.json.
// Not a spec: it needs `wstest`, or Docker. Uses the executable only, as any user would. Without a way to run the suite it says how to
// get one and ends with 3, or with 1 where everything is required (WSD_REQUIRE_ALL=1). Durations are not compared.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const WORK = fileURLToPath(new URL('../../autobahn/', import.meta.url));
const IMAGE = 'crossbario/autobahn-testsuite:25.10.1';
const WSD = `${ROOT}bin/wsd`;
const PORT = 9001;

interface Grade {
  readonly behavior: string;
  readonly behaviorClose: string;
}
type Grades = Readonly<Record<string, Grade>>;
type Direction = 'server' | 'client';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const works = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore', timeout: 20_000 }).status === 0;

/** The words before `-m fuzzing… -s FILE`, and how the suite sees our folder. */
const findSuite = ():
  | { readonly command: string; readonly args: readonly string[]; readonly folder: string }
  | undefined => {
  if (works('wstest', ['--help'])) return { command: 'wstest', args: [], folder: WORK };
  if (works('docker', ['image', 'inspect', IMAGE]) || works('docker', ['pull', IMAGE])) {
    const args = ['run', '--rm', '--init', '--network', 'host', '-v', `${WORK}:/suite`, IMAGE, 'wstest'];
    return { command: 'docker', args, folder: '/suite/' };
  }
  return undefined;
};

const ended = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));

/** Our echo server; settles with its URL, its first line. */
const startServer = async (): Promise<{ readonly child: ChildProcess; readonly url: string }> => {
  const child = spawn(process.execPath, [WSD, 'serve', '--echo', '--deflate', '--port', '0', '--quiet'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('close', () => reject(new Error('the server did not start')));
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
  });
  return { child, url };
};

const suite = findSuite();

const runSuite = (mode: 'fuzzingclient' | 'fuzzingserver', settings: object): ChildProcess => {
  if (suite === undefined) throw new Error('no suite');
  writeFileSync(`${WORK}${mode}.json`, JSON.stringify({ outdir: `${suite.folder}${mode}`, cases: ['*'], ...settings }));
  return spawn(suite.command, [...suite.args, '-m', mode, '-s', `${suite.folder}${mode}.json`], { stdio: 'inherit' });
};

/** The only agent of the report the suite wrote. */
const readGrades = (mode: string): Grades => {
  const index = JSON.parse(readFileSync(`${WORK}${mode}/index.json`, 'utf8')) as Record<string, Grades>;
  const grades = Object.values(index)[0];
  if (grades === undefined) throw new Error(`the suite wrote no report for ${mode}`);
  return grades;
};

const testServer = async (): Promise<Grades> => {
  const { child, url } = await startServer();
  try {
    await ended(runSuite('fuzzingclient', { servers: [{ agent: 'wsd', url }] }));
  } finally {
    child.kill();
  }
  return readGrades('fuzzingclient');
};

const testClient = async (): Promise<Grades> => {
  const fuzzer = runSuite('fuzzingserver', { url: `ws://127.0.0.1:${PORT}` });
  try {
    // The suite takes a while to listen: the client is sent again until it gets through.
    for (let attempt = 0; attempt < 20; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const args = [WSD, 'conform', '--client', `ws://127.0.0.1:${PORT}`, '--agent', 'wsd', '--quiet', '--json'];
      const client = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      let out = '';
      client.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
      await ended(client);
      if (out !== '') break;
    }
  } finally {
    fuzzer.kill();
  }
  return readGrades('fuzzingserver');
};

/** One line for each case that is not as expected. */
const compare = (expected: Grades, got: Grades): string[] => {
  const ids = [...new Set([...Object.keys(expected), ...Object.keys(got)])];
  const text = (grade: Grade | undefined): string =>
    grade === undefined ? 'missing' : `${grade.behavior}, closing ${grade.behaviorClose}`;
  return ids
    .filter((id) => text(expected[id]) !== text(got[id]))
    .map((id) => `${id}: expected ${text(expected[id])}; got ${text(got[id])}`);
};

const main = async (): Promise<number> => {
  if (suite === undefined) {
    say('The Autobahn suite is not here, so NOTHING WAS TESTED.');
    say(`Get it with Docker:  docker pull ${IMAGE}`);
    say('or with Python:      a virtual environment in which `wstest` from the package autobahntestsuite runs');
    say('Its cases without it: make conformance');
    return process.env['WSD_REQUIRE_ALL'] === '1' ? 1 : 3;
  }
  const expected = JSON.parse(readFileSync(`${ROOT}fixtures/autobahn/expected.json`, 'utf8')) as Record<
    Direction,
    Grades
  >;
  rmSync(WORK, { recursive: true, force: true });
  mkdirSync(WORK, { recursive: true });
  let bad = 0;
  for (const [direction, test] of [
    ['server', testServer],
    ['client', testClient],
  ] as const) {
    const got = await test();
    const wrong = compare(expected[direction], got);
    bad += wrong.length;
    for (const line of wrong) say(`${direction} ${line}`);
    say(
      `${direction}: ${Object.keys(expected[direction]).length - wrong.length} of ${Object.keys(expected[direction]).length} as expected`,
    );
  }
  return bad === 0 ? 0 : 1;
};

process.exitCode = await main();
