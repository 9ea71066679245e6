// The fuzzer against an endpoint whose conformance is well known: the ws package, both directions, over real sockets. It must find
// exactly what is known of it, no more and no less. And against servers that are no WebSocket servers at all.
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import {
  type CaseResult,
  type EchoConnection,
  listenForClients,
  type Report,
  runClient,
  runServerCases,
  summarize,
  UnreachableError,
} from '../../lib/conform/index.js';

/** As much of the package as is used here; it ships no types. */
interface WsSocket {
  on(event: 'message', listener: (data: Buffer, binary: boolean) => void): void;
  on(event: 'close' | 'error' | 'open', listener: () => void): void;
  send(data: string | Uint8Array, options?: { binary: boolean }): void;
}
interface WsModule {
  new (url: string, options?: object): WsSocket;
  WebSocketServer: new (
    options: object,
    listening: () => void,
  ) => {
    on(event: 'connection', listener: (socket: WsSocket) => void): void;
    address(): AddressInfo;
    close(done: () => void): void;
    readonly clients: Set<{ terminate(): void }>;
  };
}
const WebSocket = createRequire(import.meta.url)('ws') as WsModule;

const echo = (socket: WsSocket): void => {
  socket.on('error', () => undefined);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
};

const notPassed = (results: readonly CaseResult[]): Record<string, string> =>
  Object.fromEntries(
    results.filter((r) => r.verdict !== 'passed').map((r) => [r.id, `${r.behavior} / ${r.behaviorClose}`]),
  );

/** Everything but most of the sizes of compressed messages, which cost much time here and are alike. */
const CASES = ['!12.*', '!13.*', '12.*.1', '12.*.4', '12.4.11', '13.*.3', '13.5.13', '!H.64', '!H.65', '!H.136'];

const KNOWN: Record<string, string> = {
  '6.4.1': 'NON-STRICT / OK',
  '6.4.2': 'NON-STRICT / OK',
  '6.4.3': 'NON-STRICT / OK',
  '6.4.4': 'NON-STRICT / OK',
  '7.1.6': 'INFORMATIONAL / INFORMATIONAL',
  '7.13.1': 'INFORMATIONAL / INFORMATIONAL',
  '7.13.2': 'INFORMATIONAL / INFORMATIONAL',
  // its limit is 16,384 fragments
  '9.3.1': 'FAILED / FAILED',
  '9.3.2': 'FAILED / FAILED',
  '9.4.1': 'FAILED / FAILED',
  '9.4.2': 'FAILED / FAILED',
};

t.test('the fuzzing client finds in a foreign server exactly what is known of it', async (t) => {
  const server = await new Promise<InstanceType<WsModule['WebSocketServer']>>((resolve) => {
    const made = new WebSocket.WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true }, () =>
      resolve(made),
    );
  });
  server.on('connection', echo);
  const progress: number[] = [];
  const report = await runServerCases(`ws://127.0.0.1:${server.address().port}/`, {
    cases: CASES,
    quick: true,
    jobs: 8,
    onResult: (_result, done) => progress.push(done),
  });
  t.same(notPassed(report.results), KNOWN);
  t.equal(report.results.length, 320);
  t.equal(progress.length, report.results.length + report.opening.length);
  const opening = new Map(report.opening.map((r) => [r.id, r.behavior]));
  t.equal(opening.size, 64);
  // Node's own parser and the package together let these through.
  for (const id of ['H.39', 'H.51', 'H.52', 'H.53']) t.equal(opening.get(id), 'FAILED', id);
  for (const id of ['H.1', 'H.7', 'H.30', 'H.49', 'H.66']) t.equal(opening.get(id), 'OK', id);
  const older = opening.get('H.44') === 'FAILED';
  t.ok(older || opening.get('H.44') === 'OK', 'the parser of Node 20.19.0 lets H.44 through, later ones do not');
  t.equal(opening.get('H.36'), 'INFORMATIONAL', 'it speaks version 8 as well');
  t.equal(summarize(report), `316 of 320 cases; opening handshake ${older ? 59 : 60} of 64`);
  for (const client of server.clients) client.terminate();
  await new Promise<void>((resolve) => server.close(resolve));
});

/**
 * The package's client in the shape that runClient wants. It echoes right in its own event: whoever comes a turn later finds the
 * connection closed where a bad frame follows a good one.
 */
const dialWs = (url: string): Promise<EchoConnection> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { handshakeTimeout: 2000, perMessageDeflate: true });
    const texts: string[] = [];
    const closed = new Promise<void>((settle) => socket.on('close', settle));
    if (url.includes('/runCase')) echo(socket);
    else socket.on('message', (data) => texts.push(data.toString('utf8')));
    socket.on('error', () => reject(new Error('refused')));
    socket.on('open', () => {
      const on: EchoConnection['on'] = (_event, listener) =>
        void closed.then(() => {
          for (const text of texts) listener(text, false);
        });
      resolve({ on, send: () => undefined, closed: closed.then(() => undefined) });
    });
  });

t.test('the fuzzing server finds in a foreign client exactly what is known of it', async (t) => {
  const reports: Report[] = [];
  const listener = await listenForClients({ cases: CASES, quick: true, onReport: (report) => reports.push(report) });
  t.equal(listener.count, 355);
  const run = await runClient(listener.url, 'ws', { dial: dialWs, jobs: 8, shutdown: true });
  await listener.closed;
  const [report] = reports;
  if (report === undefined) throw new Error('no report was asked for');
  t.same(notPassed(report.results), KNOWN);
  t.equal(report.target, 'ws');
  t.equal(report.results.length, 320);
  t.same(
    report.opening.filter((r) => r.behavior === 'FAILED').map((r) => r.id),
    [],
  );
  t.equal(report.opening.length, 35);
  t.equal(run.cases, 355);
  t.equal(run.grades.find((g) => g.id === '9.3.1')?.behavior, 'FAILED');
  t.equal(run.grades.filter((g) => g.behavior === 'unknown').length, 0);
});

const listening = (server: Server): Promise<string> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`));
  });

const BEHIND: readonly (readonly [name: string, serve: (socket: Socket) => void, seen: RegExp])[] = [
  ['a server of something else', (socket) => socket.end('* OK ready\r\n\r\n'), /the answer was "\* OK ready"/],
  ['a server that hangs up', (socket) => socket.destroy(), /the opening handshake failed/],
  ['an answer without an end', (socket) => void socket.write('HTTP/1.1 101 '.padEnd(70_000, 'x')), /does not end/],
  [
    'an answer to another key',
    (socket) =>
      void socket.write(
        'HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n',
      ),
    /does not answer our key/,
  ],
  ['an answer without Upgrade', (socket) => void socket.write('HTTP/1.1 101 Ok\r\n\r\n'), /no Upgrade: websocket/],
  [
    'an answer without Connection',
    (socket) => void socket.write('HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\n\r\n'),
    /no Connection/,
  ],
];

for (const [name, serve, seen] of BEHIND) {
  t.test(`${name} fails the case with a sentence that says so`, async (t) => {
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => serve(socket));
    });
    const url = await listening(server);
    const report = await runServerCases(url, { cases: ['1.1.1'] });
    t.match(report.results[0]?.seen, seen);
    t.same([report.results[0]?.behavior, report.results[0]?.behaviorClose], ['FAILED', 'FAILED']);
    for (const socket of sockets) socket.destroy();
    server.close();
  });
}

t.test('a web page is not a WebSocket, and no server is no result', async (t) => {
  const page = createHttpServer((_request, response) => response.end('hello'));
  const url = await listening(page);
  const report = await runServerCases(url, { cases: ['1.1.1', 'H.1'] });
  t.match(report.results[0]?.seen, /the answer was "HTTP\/1.1 200 OK"/);
  t.equal(report.opening[0]?.behavior, 'FAILED');
  page.closeAllConnections();
  await new Promise((resolve) => page.close(resolve));
  await t.rejects(runServerCases(url), UnreachableError);
  await t.rejects(runServerCases('http://127.0.0.1/'), TypeError);
});

/** One request to the fuzzing server, everything it answers. */
const request = (url: string, head: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(head));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      // The Close is answered, so that nobody has to wait for it.
      if (text.endsWith('\x88\x00')) socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    });
    socket.on('close', () => resolve(text));
    socket.on('error', () => undefined);
  });

t.test('the fuzzing server admits only what is an opening handshake', async (t) => {
  const listener = await listenForClients({ cases: ['1.1.1', '12.1.1'] });
  const { host } = new URL(listener.url);
  const key = 'Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==';
  const good = ['Upgrade: websocket', 'Connection: Upgrade', key, 'Sec-WebSocket-Version: 13'];
  const ask = (target: string, ...lines: string[]): Promise<string> =>
    request(listener.url, [`GET ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
  const named = `Host: ${host}`;
  t.ok((await ask('/getCaseCount', named, ...good)).endsWith('\r\n\r\n\x81\x012\x88\x00'), 'a number and a Close');
  t.match(await ask('/nowhere', named, ...good), /^HTTP\/1.1 404 /);
  t.match(await ask('/runCase?case=99', named, ...good), /^HTTP\/1.1 404 /);
  t.match(await ask('/getCaseCount', ...good), /^HTTP\/1.1 400 [\s\S]*one Host/);
  t.match(await ask('/getCaseCount', 'Host: 127.0.0.1:1', ...good), /400/);
  for (let i = 0; i < good.length; i++)
    t.match(await ask('/', named, ...good.filter((_, j) => j !== i)), /^HTTP\/1.1 400 /);
  t.match(await ask('/', named, ...good, key), /^HTTP\/1.1 400 /);
  t.match(await request(listener.url, `POST / HTTP/1.1\r\n${named}\r\n\r\n`), /^HTTP\/1.1 400 /);
  const bad = 'Sec-WebSocket-Extensions: permessage-deflate; depth=1';
  t.match(await ask('/runCase?casetuple=12.1.1&agent=a', named, ...good, bad), /^HTTP\/1.1 400 /);
  t.equal(listener.report('a').results[0]?.verdict, 'failed');
  t.match(await ask('/getCaseStatus?casetuple=12.1.1&agent=a', named, ...good), /"behavior":"FAILED"/);
  t.match(await ask('/getCaseInfo?case=1', named, ...good), /"id":"1.1.1"/);
  t.match(await ask('/stopServer', named, ...good), /101/);
  await listener.closed;
});
