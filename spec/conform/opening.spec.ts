// The judge of opening handshakes is judged: endpoints that take anything, or nothing, must be found out by just the cases that are
// there for it. The endpoints here are a few lines on TCP, and wrong on purpose.
import { createHash } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { parseTarget } from '../../lib/conform/dial.js';
import { type CaseResult, listenForClients, runServerCases } from '../../lib/conform/index.js';
import { answerOpenings } from '../../lib/conform/opening-answers.js';
import { serverOpenings, type Want, wantText } from '../../lib/conform/opening-requests.js';
import { judgeServer } from '../../lib/conform/opening-server.js';
import { encodeFrame } from '../../lib/frame/encode.js';

const acceptFor = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

const PONG = encodeFrame({ opcode: 10, payload: Buffer.from('lantern') });

interface Raw {
  readonly url: string;
  close(): void;
}

/** A TCP server that gives `answer` to whatever looks like the end of a head. */
const serve = (answer: (head: string, socket: Socket) => string): Promise<Raw> =>
  new Promise((resolve) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      let head = '';
      let opened = false;
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        if (opened) {
          socket.write(PONG);
          return;
        }
        head += chunk.toString('latin1');
        if (!/\r?\n\r?\n/.test(head)) return;
        opened = true;
        socket.write(answer(head, socket), 'latin1');
      });
    });
    server.listen(0, '127.0.0.1', () =>
      resolve({
        url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
        close: () => {
          for (const socket of sockets) socket.destroy();
          server.close();
        },
      }),
    );
  });

const opened = (head: string, ...more: string[]): string => {
  const key = /sec-websocket-key: *([^\r\n]*)/i.exec(head)?.[1] ?? '';
  const accept = `Sec-WebSocket-Accept: ${acceptFor(key)}`;
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    accept,
    ...more,
    '',
    '',
  ].join('\r\n');
};

const grades = (results: readonly CaseResult[]): Map<string, string> => new Map(results.map((r) => [r.id, r.behavior]));
const rows = serverOpenings(parseTarget('ws://127.0.0.1/'));

/** All openings but those that take their time on purpose. */
const QUICK = ['H.*', '!H.41', '!H.61', '!H.64', '!H.65'];

t.test('a server that opens to anybody fails wherever a refusal is demanded', async (t) => {
  const server = await serve((head) => opened(head));
  const { opening } = await runServerCases(server.url, { cases: QUICK });
  const got = grades(opening);
  for (const row of rows.filter(({ id }) => got.has(id))) {
    const { want } = row;
    // An answer to the right key opens; without a key, or with two, no answer is right.
    const expected = want.kind !== 'refuses' ? 'OK' : want.must ? 'FAILED' : 'INFORMATIONAL';
    t.equal(got.get(row.id), expected, `${row.id} ${row.title}`);
  }
  server.close();
});

t.test('a server that opens to nobody fails wherever it should have opened', async (t) => {
  const server = await serve((_head, socket) => {
    setImmediate(() => socket.end());
    return 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n';
  });
  const { opening } = await runServerCases(server.url, { cases: QUICK });
  const got = grades(opening);
  for (const { id, title, want } of rows.filter((row) => got.has(row.id))) {
    const expected =
      want.kind === 'opens'
        ? want.extension === 'none'
          ? 'INFORMATIONAL'
          : 'FAILED'
        : want.kind === 'refuses' && (!want.status.includes(400) || want.version)
          ? 'INFORMATIONAL'
          : 'OK';
    t.equal(got.get(id), expected, `${id} ${title}`);
  }
  server.close();
});

const ANSWERS: readonly (readonly [name: string, answer: (head: string) => string, id: string, seen: RegExp])[] = [
  [
    'an extension that must be declined',
    (h) => opened(h, 'Sec-WebSocket-Extensions: permessage-deflate'),
    'H.12',
    /101 with the extension/,
  ],
  [
    'a subprotocol nobody offered',
    (h) => opened(h, 'Sec-WebSocket-Protocol: other'),
    'H.20',
    /"other", which was not offered/,
  ],
  [
    'a subprotocol where none was offered',
    (h) => opened(h, 'Sec-WebSocket-Protocol: other'),
    'H.1',
    /which was not offered/,
  ],
  ['an answer to another key', () => opened('sec-websocket-key: x\r\n'), 'H.1', /does not answer our key/],
  ['two Sec-WebSocket-Accept', (h) => opened(h, 'Sec-WebSocket-Accept: x'), 'H.1', /2 Sec-WebSocket-Accept/],
  ['HTTP/1.0', (h) => opened(h).replace('HTTP/1.1', 'HTTP/1.0'), 'H.1', /HTTP\/1.0 101/],
  [
    'an unknown version refused without the known ones',
    () => 'HTTP/1.1 426 Upgrade Required\r\n\r\n',
    'H.35',
    /without Sec-WebSocket-Version: 13/,
  ],
];

for (const [name, answer, id, seen] of ANSWERS) {
  t.test(`a server is found out by ${id}: ${name}`, async (t) => {
    const server = await serve(answer);
    const { opening } = await runServerCases(server.url, { cases: [id] });
    t.not(opening[0]?.behavior, 'OK');
    t.match(opening[0]?.seen, seen);
    server.close();
  });
}

t.test('what was seen of a server is judged by what was wanted', async (t) => {
  type Observed = Parameters<typeof judgeServer>[0];
  const silent: Observed = { head: undefined, ended: false, bytes: 0, pong: false };
  const gone = { ...silent, ended: true };
  const said = (start: string): Observed => ({
    ...silent,
    head: { start, fields: [] },
  });
  const ends: Want = { kind: 'ends', slow: true };
  const table: readonly (readonly [seen: Observed, want: Want, grade: string])[] = [
    [silent, { kind: 'opens' }, 'FAILED'],
    [gone, { kind: 'opens' }, 'FAILED'],
    [silent, { kind: 'either', status: [400] }, 'FAILED'],
    [said('HTTP/1.1 500 Oops'), { kind: 'either', status: [400] }, 'INFORMATIONAL'],
    [silent, { kind: 'refuses', status: [400], must: true }, 'FAILED'],
    [gone, { kind: 'refuses', status: [400], must: true }, 'INFORMATIONAL'],
    [said('HTTP/1.1 500 Oops'), { kind: 'refuses', status: [400], must: true }, 'INFORMATIONAL'],
    [silent, ends, 'INFORMATIONAL'],
    [gone, ends, 'OK'],
    [said('HTTP/1.1 408 Request Timeout'), ends, 'OK'],
    [said('HTTP/1.1 101 Ok'), ends, 'FAILED'],
  ];
  for (const [seen, want, grade] of table) t.equal(judgeServer(seen, want, '').behavior, grade, wantText(want));
});

/** A client that takes any answer for an opening, or none at all; it echoes the payload of the probe in a masked frame. */
const visit = (url: string, path: string, takes: boolean): Promise<void> =>
  new Promise((resolve) => {
    const { host, port } = new URL(url);
    const echo = encodeFrame({ opcode: 1, payload: Buffer.from('lantern'), maskKey: 0x01020304 });
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(
        [
          `GET ${path} HTTP/1.1`,
          `Host: ${host}`,
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==',
          'Sec-WebSocket-Version: 13',
          '',
          '',
        ].join('\r\n'),
      ),
    );
    let told = '';
    let done = false;
    socket.on('data', (chunk: Buffer) => {
      told += chunk.toString('latin1');
      if (done || !told.includes('lantern')) return;
      done = true;
      if (takes) socket.write(echo);
      else socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
  });

t.test('a client that takes any answer, and one that takes none, are found out', async (t) => {
  const cases = ['H.*', '!H.104', '!H.128', '!H.136'];
  let graded: (() => void) | undefined;
  const listener = await listenForClients({
    cases,
    onResult: (_agent, _result, done, total) => (done === total ? graded?.() : undefined),
  });
  const chosen = answerOpenings().filter(({ id }) => !['H.104', 'H.128', 'H.136'].includes(id));
  t.equal(listener.count, chosen.length);
  for (const [agent, takes] of [
    ['gullible', true],
    ['shy', false],
  ] as const) {
    const all = new Promise<void>((resolve) => {
      graded = resolve;
    });
    await Promise.all(chosen.map(({ id }) => visit(listener.url, `/runCase?casetuple=${id}&agent=${agent}`, takes)));
    await all;
    const got = grades(listener.report(agent).opening);
    for (const { id, title, want } of chosen) {
      const expected = (want === 'opens') === takes ? 'OK' : want === 'prudent' ? 'INFORMATIONAL' : 'FAILED';
      t.equal(got.get(id), expected, `${agent}: ${id} ${title}`);
    }
  }
  await listener.close();
});
