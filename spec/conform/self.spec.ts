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
  UnreachableError,
} from '../../lib/conform/index.js';
import { type Connection, connect, createServer } from '../../lib/index.js';
import { CERT, KEY } from '../cli/keys.js';

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
  const report = await runServerCases(url, { cases: CASES, quick: true, jobs: 8, patience: 5000 });
  t.same(failures([...report.results, ...report.opening]), []);
  t.same(noted(report.opening), []);
  t.equal(noted(report.results).length, 3);
  t.ok(hasPassed(report, true), summarize(report));
  await server.close({ drain: 0 });
});

t.test('our client passes every case, strictly', async (t) => {
  const listener = await listenForClients({ cases: CASES, quick: true, patience: 6000 });
  await runClient(listener.url, 'wsd', { jobs: 8, grades: false });
  const report = listener.report('wsd');
  t.same(failures([...report.results, ...report.opening]), []);
  t.same(noted(report.opening), []);
  t.equal(report.results.length + report.opening.length, listener.count);
  t.ok(hasPassed(report, true), summarize(report));
  await listener.close();
});

t.test('the same over TLS, both sides', async (t) => {
  const server = createServer({ deflate: true }, (connection) => {
    connection.on('message', (data, binary) => void connection.send(data, { binary }));
  });
  const { port } = await server.listen({ tls: { cert: CERT, key: KEY } });
  const cases = ['1.*', '3.*', '9.5.6', '12.1.3', 'H.1', 'H.5', 'H.41', 'H.101', 'H.107'];
  const report = await runServerCases(`wss://localhost:${port}`, { cases, quick: true, tls: { ca: CERT } });
  t.same(failures([...report.results, ...report.opening]), []);
  t.equal(report.results.length + report.opening.length, 28);
  await t.rejects(
    runServerCases(`wss://localhost:${port}`, { cases }),
    UnreachableError,
    'an unknown authority is not trusted',
  );
  await server.close({ drain: 0 });

  const listener = await listenForClients({ cases, quick: true, tls: { cert: CERT, key: KEY } });
  const dial = (url: string): Promise<Connection> => connect(url, { deflate: true, tls: { ca: CERT } });
  await runClient(listener.url, 'wsd', { dial, grades: false });
  const client = listener.report('wsd');
  t.same(failures([...client.results, ...client.opening]), []);
  t.equal(client.results.length + client.opening.length, 27);
  await listener.close();
});
