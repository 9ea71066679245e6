// `wsd conform`: the conformance cases against a server, against any client that connects, or with our own client against somebody
// else's fuzzing server. The verdict is the exit code; the table goes to stdout, progress to stderr.
import { readFile } from 'node:fs/promises';
import {
  type ClientRun,
  caseIds,
  hasPassed,
  isSelected,
  listenForClients,
  parsePatterns,
  type Report,
  runClient,
  runServerCases,
  UnreachableError,
  writeJson,
  writeReport,
} from '../conform/index.js';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.js';
import { Progress, writeScreen } from './conform-screen.js';
import { runSelf } from './conform-self.js';
import { isUntrusted, TRUST_HINT } from './dial-words.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { styleFor } from './style.js';
import { count, escapeControl } from './terminal.js';

const FLAGS: readonly Flag[] = [
  { name: 'cases', short: 'c', value: 'LIST', many: true, help: "only these: '6.*,7.1.*'; '!12.*' takes away" },
  { name: 'jobs', short: 'j', value: 'N', help: 'cases at a time (default 4)' },
  { name: 'quick', help: '25 messages instead of 1,000 in sections 9.7, 9.8, 12 and 13' },
  { name: 'strict', help: 'what passes only by leniency fails' },
  { name: 'patience', value: 'MS', help: 'how long to wait for a peer that should give up by itself (default 12s)' },
  { name: 'listen', value: 'PORT', help: 'be the fuzzing server: test clients that connect; 0 takes any free port' },
  { name: 'host', value: 'ADDRESS', help: 'with --listen: on this address (default 127.0.0.1)' },
  { name: 'once', help: 'with --listen: end after the first report a client asks for' },
  { name: 'client', value: 'URL', help: 'run the client of this package against the fuzzing server at URL' },
  { name: 'agent', value: 'NAME', help: 'with --client: the name to be listed under (default wsd)' },
  { name: 'ca', value: 'FILE', help: 'trust this authority for wss (PEM)' },
  { name: 'insecure', short: 'k', help: 'do not check the certificate of a wss server' },
  { name: 'json', help: 'one JSON document on stdout instead of the table' },
  { name: 'report', short: 'o', value: 'FILE', help: 'write the report there: HTML, or JSON when it ends in .json' },
  { name: 'quiet', short: 'q', help: 'no progress' },
];

const USAGE = 'wsd conform [URL | --listen PORT | --client URL --agent NAME] [options]';

const HELP = `usage: ${USAGE}

Plays the 517 conformance cases of the Autobahn suite, and cases of its own on the opening handshake, against a
server or a client. The tested side has to echo every message. Without a URL the server and the client of this package
are tested.

${writeFlags(FLAGS)}

examples:
  wsd conform --quick
  wsd conform ws://127.0.0.1:8080
  wsd conform ws://127.0.0.1:8080 --cases '6.*,7.*' --report report.html
  wsd conform wss://echo.example --quick --cases '!H.*' --json
  wsd conform --listen 9001
  wsd conform --client ws://127.0.0.1:9001 --agent wsd

exit code: 0 all passed, 1 a case failed or nothing could be reached, 2 usage
`;

interface Settings {
  readonly cases: string[];
  readonly jobs: number;
  readonly quick: boolean;
  readonly strict: boolean;
  readonly patience: number;
}

const readSettings = (flags: Flags): Settings => ({
  cases: parsePatterns(flags.all('cases').join(',')),
  jobs: flags.integer('jobs', 1, 64) ?? 4,
  quick: flags.has('quick'),
  strict: flags.has('strict'),
  patience: flags.duration('patience') ?? 12_000,
});

/** A pattern that names nothing is a slip of the pen, not a run of no cases that all pass. */
const refuseEmpty = (cases: readonly string[], ...testees: ('server' | 'client')[]): void => {
  if (!testees.flatMap(caseIds).some((id) => isSelected(cases, id)))
    throw new UsageError(`no case is named ${cases.join(', ')}`);
};

const readTls = async (flags: Flags): Promise<{ ca?: string; rejectUnauthorized?: boolean }> => {
  const file = flags.text('ca');
  const insecure = flags.has('insecure') ? { rejectUnauthorized: false } : {};
  if (file === undefined) return insecure;
  try {
    return { ...insecure, ca: await readFile(file, 'utf8') };
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}`);
  }
};

/** Everything a finished report leads to; its exit code. */
const tell = async (report: Report, flags: Flags, strict: boolean, io: Io): Promise<number> => {
  io.stdout.write(flags.has('json') ? writeJson(report) : writeScreen(report, io));
  const file = flags.text('report');
  if (file !== undefined) {
    try {
      await writeReport(report, file);
    } catch (error) {
      throw new CommandError(`cannot write ${file}: ${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}`);
    }
    if (!flags.has('quiet')) io.stderr.write(`${styleFor(io.stderr, io.env).dim(`report: ${file}`)}\n`);
  }
  return hasPassed(report, strict) ? EXIT.ok : EXIT.failure;
};

const checkUrl = (url: string): void => {
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol !== 'ws:' && protocol !== 'wss:') throw new UsageError(`not a ws:// or wss:// URL: ${url}`);
};

const stopped = (signal: AbortSignal): number => (signal.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted);

const testServer = async (url: string, flags: Flags, io: Io): Promise<number> => {
  checkUrl(url);
  const { strict, ...settings } = readSettings(flags);
  refuseEmpty(settings.cases, 'server');
  const tls = await readTls(flags);
  const progress = new Progress(io, flags.has('quiet'));
  try {
    const report = await runServerCases(url, {
      ...settings,
      tls,
      signal: io.signal,
      onResult: (result, done, total) => progress.case(result, done, total),
    });
    progress.end();
    const code = await tell(report, flags, strict, io);
    return io.signal.aborted ? stopped(io.signal) : code;
  } catch (error) {
    progress.end();
    if (!(error instanceof UnreachableError)) throw error;
    throw new CommandError(`${error.message}${isUntrusted(error.why) ? `; ${TRUST_HINT}` : ''}`);
  }
};

const testClients = async (flags: Flags, io: Io): Promise<number> => {
  const { strict, jobs: _, ...settings } = readSettings(flags);
  refuseEmpty(settings.cases, 'client');
  const progress = new Progress(io, flags.has('quiet'));
  let code: number = EXIT.ok;
  let reported = false;
  const tellers: Promise<void>[] = [];
  const onReport = (report: Report): void => {
    progress.end();
    reported = true;
    const told = tell(report, flags, strict, io).then((result) => {
      code = Math.max(code, result);
    });
    // It is awaited when the listener has ended; until then its failure must not count as one nobody saw.
    told.catch(() => undefined);
    tellers.push(told);
    if (flags.has('once')) void listener.close();
  };
  const host = flags.text('host') ?? '127.0.0.1';
  const port = flags.integer('listen', 0, 65535) ?? 0;
  const listener = await listenForClients({
    ...settings,
    port,
    host,
    signal: io.signal,
    onResult: (_agent, result, done, total) => progress.case(result, done, total),
    onReport,
  }).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`cannot listen on ${host}:${port}: ${error.code ?? error.message}`);
  });
  if (flags.has('json')) io.stderr.write(`${listener.url}\n`);
  else io.stdout.write(`${listener.url}\n`);
  if (!flags.has('quiet')) {
    const hint = `${count(listener.count, 'case')}: connect to /runCase?case=N&agent=NAME, then /updateReports?agent=NAME`;
    io.stderr.write(`${styleFor(io.stderr, io.env).dim(hint)}\n`);
  }
  await listener.closed;
  progress.end();
  // Ended by a signal before a client asked for its report: what is known is told all the same.
  const report = listener.report();
  if (!reported && report.results.length + report.opening.length > 0) code = await tell(report, flags, strict, io);
  await Promise.all(tellers);
  return code;
};

const tellClientRun = (run: ClientRun, url: string, agent: string, flags: Flags, io: Io): number => {
  const strict = flags.has('strict');
  const accepted = ['OK', 'INFORMATIONAL', ...(strict ? [] : ['NON-STRICT'])];
  const bad = run.grades.filter((g) => !accepted.includes(g.behavior));
  if (flags.has('json')) {
    const document = { tool: 'wsd conform', mode: 'own client', target: url, agent, ...run };
    io.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  } else {
    const style = styleFor(io.stdout, io.env);
    for (const { id, behavior } of bad) io.stdout.write(`${style.red(escapeControl(id))}  ${behavior}\n`);
    const sum = `${run.cases - bad.length} of ${count(run.cases, 'case')}`;
    io.stdout.write(`${style.bold(bad.length === 0 ? style.green(sum) : style.red(sum))}\n`);
  }
  return bad.length === 0 ? EXIT.ok : EXIT.failure;
};

const runOwnClient = async (url: string, flags: Flags, io: Io): Promise<number> => {
  checkUrl(url);
  for (const name of ['report', 'cases', 'quick', 'patience'] as const) {
    if (flags.has(name))
      throw new UsageError(`--${name} is for the fuzzing side, and with --client that is the other one`);
  }
  const { jobs } = readSettings(flags);
  const agent = flags.text('agent') ?? 'wsd';
  const progress = new Progress(io, flags.has('quiet'));
  try {
    const onCase = (done: number, total: number): void => progress.case(undefined, done, total);
    const result = await runClient(url, agent, { jobs, signal: io.signal, onCase });
    progress.end();
    return io.signal.aborted ? stopped(io.signal) : tellClientRun(result, url, agent, flags, io);
  } catch (error) {
    progress.end();
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`cannot run the cases of ${url}: ${why}`, { cause: error });
  }
};

const testOurselves = (flags: Flags, io: Io): Promise<number> => {
  const settings = readSettings(flags);
  refuseEmpty(settings.cases, 'server', 'client');
  return runSelf({ ...settings, json: flags.has('json'), quiet: flags.has('quiet'), report: flags.text('report') }, io);
};

const run = (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  const [url, ...more] = flags.positionals;
  const ways = [url, flags.text('listen'), flags.text('client')].filter((way) => way !== undefined);
  if (more.length > 0) throw new UsageError(`what is "${more[0]}"? one URL at a time`);
  if (ways.length > 1) throw new UsageError('give one of these: a URL to test, --listen PORT, --client URL');
  if (ways.length === 0) return testOurselves(flags, io);
  if (url !== undefined) return testServer(url, flags, io);
  const client = flags.text('client');
  return client === undefined ? testClients(flags, io) : runOwnClient(client, flags, io);
};

export const conform: Command = {
  name: 'conform',
  summary: 'play the conformance cases against a server or a client',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  // What parsing throws has to be a rejection like everything else.
  run: async (args, io) => run(args, io),
};
