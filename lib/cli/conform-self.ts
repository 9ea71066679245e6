// `wsd conform` without a word: this package against its own cases, server and client, over real sockets. The fuzzer judges with code of
// its own, so that an endpoint cannot pass by being wrong twice.
import {
  type CaseResult,
  hasPassed,
  listenForClients,
  type Report,
  runClient,
  runServerCases,
  writeJson,
  writeReport,
} from '../conform/index.js';
import { createServer } from '../index.js';
import { EXIT, type Io } from './command.js';
import { Progress, writeScreen } from './conform-screen.js';
import { styleFor } from './style.js';

export interface SelfSettings {
  readonly cases: readonly string[];
  readonly jobs: number;
  readonly quick: boolean;
  readonly strict: boolean;
  readonly patience: number;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly report: string | undefined;
}

/** report.html → report-client.html */
const besides = (file: string, word: string): string => {
  const dot = file.lastIndexOf('.');
  return dot <= file.lastIndexOf('/') + 1 ? `${file}-${word}` : `${file.slice(0, dot)}-${word}${file.slice(dot)}`;
};

type OnResult = (result: CaseResult, done: number, total: number) => void;

const testOwnServer = async (settings: SelfSettings, io: Io, onResult: OnResult): Promise<Report> => {
  const server = createServer({ deflate: true, text: 'bytes' }, (connection) => {
    connection.on('message', (data, binary) => {
      const sent = connection.send(data, { binary });
      return sent.status === 'full' ? sent : undefined;
    });
  });
  try {
    const { url } = await server.listen();
    const report = await runServerCases(url, { ...settings, signal: io.signal, onResult });
    return { ...report, software: 'the server of this package' };
  } finally {
    await server.close({ drain: 0 });
  }
};

const testOwnClient = async (settings: SelfSettings, io: Io, onResult: OnResult): Promise<Report> => {
  const listener = await listenForClients({
    ...settings,
    signal: io.signal,
    onResult: (_agent, result, done, total) => onResult(result, done, total),
  });
  try {
    await runClient(listener.url, 'wsd', { jobs: settings.jobs, grades: false, signal: io.signal });
    return { ...listener.report('wsd'), software: 'the client of this package' };
  } finally {
    await listener.close();
  }
};

export const runSelf = async (settings: SelfSettings, io: Io): Promise<number> => {
  const progress = new Progress(io, settings.quiet);
  const style = styleFor(io.stdout, io.env);
  const reports: Report[] = [];
  for (const [name, test] of [
    ['server', testOwnServer],
    ['client', testOwnClient],
  ] as const) {
    if (io.signal.aborted) break;
    const report = await test(settings, io, (result, done, total) => progress.case(result, done, total));
    progress.end();
    reports.push(report);
    if (!settings.json) io.stdout.write(`${style.bold(name)}\n${writeScreen(report, io)}\n`);
    const file = settings.report;
    if (file !== undefined) await writeReport(report, name === 'server' ? file : besides(file, name));
  }
  // The two documents as one, each as it stands alone.
  if (settings.json) io.stdout.write(`[${reports.map((report) => writeJson(report).trimEnd()).join(',\n')}]\n`);
  if (io.signal.aborted) return io.signal.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
  return reports.every((report) => hasPassed(report, settings.strict)) ? EXIT.ok : EXIT.failure;
};
