// Our own server and our own client against the cases, over real sockets, through the public door. The complete run is
// `make conformance`; here a thousand messages are a few, and the sizes of compressed messages are sampled.
import t from 'tap';
import {
  type CaseResult,
  hasPassed,
  listenForClients,
  runClient,
  runServerCases,
  summarize,
} from '../../lib/conform/index.js';
import { createServer } from '../../lib/index.js';

const CASES = ['!12.*', '!13.*', '12.*.1', '12.*.4', '12.4.11', '12.5.14', '13.*.3', '13.5.13'];

const failures = (results: readonly CaseResult[]): string[] =>
  results
    .filter((r) => r.verdict !== 'passed' && r.verdict !== 'informational')
    .map((r) => `${r.id} ${r.verdict}: ${r.seen}`);

/** Noted only: what these do is left open by the standards. */
const noted = (results: readonly CaseResult[]): string[] =>
  results.filter((r) => r.verdict === 'informational').map((r) => `${r.id}: ${r.seen}`);

t.test('our server passes every case, strictly', async (t) => {
  const server = createServer({ deflate: true, text: 'bytes', handshakeTimeout: 2000 }, (connection) => {
    connection.on('message', (data, binary) => void connection.send(data, { binary }));
  });
  const { url } = await server.listen();
  const report = await runServerCases(url, { cases: CASES, quick: true, jobs: 8, patience: 4000 });
  t.same(failures([...report.results, ...report.opening]), []);
  t.same(noted(report.opening), []);
  t.equal(noted(report.results).length, 3);
  t.ok(hasPassed(report, true), summarize(report));
  await server.close({ drain: 0 });
});

t.test('our client passes every case, strictly', async (t) => {
  const listener = await listenForClients({ cases: CASES, quick: true, patience: 8000 });
  await runClient(listener.url, 'wsd', { jobs: 8, grades: false });
  const report = listener.report('wsd');
  t.same(failures([...report.results, ...report.opening]), []);
  t.same(noted(report.opening), []);
  t.equal(report.results.length + report.opening.length, listener.count);
  t.ok(hasPassed(report, true), summarize(report));
  await listener.close();
});
