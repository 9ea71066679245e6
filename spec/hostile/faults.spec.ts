// Every fault has happened: one row for each code of lib/fault.ts says how a peer provokes it, and what that peer is told. The row is played on
// a real server over raw TCP, or, for the codes of a failed dial, by connect() against a raw server. A code without a row does not compile, and
// a row whose code does not come fails. Where a peer is told anything it is the fixed phrase, compared to the byte. HOSTILE, all of it.

import { constants, deflateRawSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { encode, type Wire, type WireFrameToSend } from '../../fixtures/rig/wire.js';
import { type ClientOptions, connect, FAULTS, type FaultCode, type ServerOptions } from '../../lib/index.js';
import { accept, serve } from '../client/raw-server.js';
import {
  closeBody,
  closedWith,
  type Handler,
  onStage,
  type Stage,
  type StageOptions,
  sentAway,
  until,
} from './stage.js';

/** An HTTP answer: what is sent, and to which server. */
interface Refusal {
  readonly kind: 'refusal';
  readonly send: string | Uint8Array | ((stage: Stage) => string | Uint8Array);
  readonly setting: StageOptions;
  /** A text of the embedder's, or none at all, in the place of the fixed phrase. */
  readonly told: 'phrase' | 'other' | 'nothing';
}
/** A Close frame, or for 1006 none. */
interface Failure {
  readonly kind: 'failure';
  readonly send: (wire: Wire, stage: Stage) => unknown;
  readonly setting: StageOptions;
  readonly extensions: string | undefined;
}
interface Custom {
  readonly kind: 'custom';
  readonly play: (test: Test) => Promise<void>;
}
/** A dial that is answered with this. */
interface Dial {
  readonly kind: 'dial';
  readonly answer: (wire: Wire, head: string) => unknown;
  readonly options: ClientOptions;
  readonly url: (at: string) => string;
}
type Row = Refusal | Failure | Custom | Dial;

const refusal = (
  send: Refusal['send'],
  options: ServerOptions<unknown> = {},
  told: Refusal['told'] = 'phrase',
  setting: StageOptions = {},
): Refusal => ({ kind: 'refusal', send, setting: { ...setting, options }, told });
const upgrading =
  (headers: Readonly<Record<string, string | undefined>>, path = '/'): Refusal['send'] =>
  (stage) =>
    stage.request({ headers, path });
const failure = (
  send: Failure['send'] | Uint8Array,
  options: ServerOptions<unknown> = {},
  onConnection?: Handler,
): Failure => ({
  kind: 'failure',
  send: send instanceof Uint8Array ? (wire) => wire.write(send) : send,
  setting: { options, ...(onConnection === undefined ? {} : { onConnection }) },
  extensions: options.deflate === undefined ? undefined : 'permessage-deflate',
});
const dial = (
  answer: Dial['answer'] | string,
  options: ClientOptions = {},
  url: Dial['url'] = (at) => `ws://${at}/`,
): Dial => ({
  kind: 'dial',
  answer: typeof answer === 'string' ? (wire) => wire.write(answer) : answer,
  options,
  url,
});
const frames = (...all: WireFrameToSend[]): Uint8Array => Buffer.concat(all.map(encode));
const answered = (change: (lines: string[]) => string[]) => (wire: Wire, head: string) =>
  wire.write(`${change(accept(head).trimEnd().split('\r\n')).join('\r\n')}\r\n\r\n`);
const packed = (bytes: Uint8Array): Uint8Array =>
  deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const compressed = (payload: Uint8Array): Uint8Array => encode({ opcode: 2, rsv: 4, payload });
const never = (): Promise<never> => new Promise(() => {});
const onMessage =
  (act: (...args: Parameters<Handler>) => unknown): Handler =>
  (connection) => {
    connection.on('message', () => {
      act(connection);
    });
  };
const GO = encode({ opcode: 1, payload: 'go' });
const START: WireFrameToSend = { opcode: 1, fin: false, payload: 'x' };

const ROWS: Readonly<Record<FaultCode, Row>> = {
  WSD_HTTP_NOT_HTTP: refusal('220 mail.example ESMTP\r\n'),
  WSD_HTTP_TLS: refusal(Uint8Array.of(22, 3, 1, 2, 0, 1)),
  WSD_HTTP_REQUEST_LINE: refusal('GET / HTTP/x.y\r\n\r\n'),
  WSD_HTTP_LINE_END: refusal('GET / HTTP/1.1\n\n'),
  WSD_HTTP_FIELD: refusal('GET / HTTP/1.1\r\nHost : a\r\n\r\n'),
  WSD_HTTP_DUPLICATE: refusal((stage) =>
    stage.request().replace('\r\n\r\n', '\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n'),
  ),
  WSD_HTTP_BODY: refusal(upgrading({ 'Content-Length': '5' })),
  WSD_HTTP_HOST: refusal(upgrading({ Host: undefined })),
  WSD_HTTP_TARGET: refusal(upgrading({}, '/a/../b')),
  WSD_HTTP_TARGET_LONG: refusal(`GET /${'x'.repeat(10_000)}`),
  WSD_HTTP_HEAD_LARGE: refusal(`GET / HTTP/1.1\r\nX: ${'x'.repeat(10_000)}`),
  WSD_HTTP_FIELDS: refusal(`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(101)}`),
  WSD_HTTP_METHOD: refusal((stage) => stage.request().replace('GET', 'POST')),
  WSD_HTTP_VERSION: refusal((stage) => stage.request().replace('HTTP/1.1', 'HTTP/1.0')),
  WSD_HTTP_TIMEOUT: refusal('GET / HT', { handshakeTimeout: 80 }),
  WSD_HTTP_EARLY: refusal((stage) => Buffer.concat([Buffer.from(stage.request()), new Uint8Array(70_000)]), {
    authorize: never,
  }),
  WSD_HTTP_PROXY: refusal('PROXY NONSENSE\r\n', { proxyProtocol: true, trustedProxies: ['loopback'] }, 'nothing', {
    neighbour: { preface: 'PROXY UNKNOWN\r\n' },
  }),
  WSD_UPGRADE_REQUIRED: refusal(upgrading({ Upgrade: undefined, Connection: undefined }), {}, 'other'),
  WSD_UPGRADE_CONNECTION: refusal(upgrading({ Connection: 'keep-alive' })),
  WSD_UPGRADE_UPGRADE: refusal(upgrading({ Upgrade: 'h2c' })),
  WSD_UPGRADE_KEY: refusal(upgrading({ 'Sec-WebSocket-Key': 'short' })),
  WSD_UPGRADE_VERSION: refusal(upgrading({ 'Sec-WebSocket-Version': '8' })),
  WSD_UPGRADE_PROTOCOL: refusal(upgrading({ 'Sec-WebSocket-Protocol': 'a b' })),
  WSD_UPGRADE_EXTENSIONS: refusal(upgrading({ 'Sec-WebSocket-Extensions': 'a;b="c' })),
  WSD_UPGRADE_ORIGIN: refusal(upgrading({ Origin: 'http://evil.example' })),
  WSD_UPGRADE_HOST: refusal(upgrading({ Host: 'evil.example', Origin: 'http://evil.example' })),
  WSD_UPGRADE_PATH: refusal(upgrading({}, '/elsewhere'), { path: '/' }),
  WSD_UPGRADE_REFUSED: refusal(upgrading({}), { authorize: () => ({ status: 403, body: 'not you' }) }, 'other'),
  WSD_UPGRADE_FAILED: refusal(upgrading({}), { authorize: () => Promise.reject(new Error('secret')) }),
  WSD_UPGRADE_SLOW: refusal(upgrading({}), { authorize: never, authorizeTimeout: 80 }),
  WSD_UPGRADE_BUSY: refusal('', { maxConnections: 1 }),
  WSD_UPGRADE_RATE: refusal('', { maxPerAddress: 1 }),
  WSD_UPGRADE_CLOSING: {
    kind: 'custom',
    play: async (test) => {
      // The stage's own neighbour would be closed with it, so this server has none.
      const { createServer } = await import('../../lib/index.js');
      const { connect: dialRaw, upgradeRequest } = await import('../../fixtures/rig/wire.js');
      const server = createServer({ authorize: never, closeTimeout: 100 });
      const { port = 0 } = await server.listen();
      const wire = await dialRaw(port);
      wire.write(upgradeRequest(port));
      await until(() => server.counts().authorizing === 1);
      const closing = server.close({ drain: 50 });
      await sentAway(test, wire, 'WSD_UPGRADE_CLOSING');
      test.equal(server.counters()['refused:WSD_UPGRADE_CLOSING'], 1);
      wire.destroy();
      await closing;
    },
  },
  WSD_FRAME_RSV: failure(encode({ opcode: 1, rsv: 4 })),
  WSD_FRAME_OPCODE: failure(encode({ opcode: 3 })),
  WSD_FRAME_MASK_MISSING: failure(encode({ opcode: 1, mask: false })),
  WSD_FRAME_MASK_PRESENT: {
    kind: 'custom',
    play: async (test) => {
      // Only a client can see this one.
      const server = await serve(test, (wire, head) => {
        wire.write(accept(head));
        wire.write(encode({ opcode: 1, payload: 'x' }));
      });
      const connection = await connect(`ws://${server.at}/`, { closeTimeout: 100 });
      const frame = await (server.wires[0] as Wire).readFrame();
      test.same(frame.payload, closeBody(1002, FAULTS.WSD_FRAME_MASK_PRESENT.phrase));
      server.wires[0]?.end();
      test.equal((await connection.closed).fault, 'WSD_FRAME_MASK_PRESENT');
    },
  },
  WSD_FRAME_LENGTH_FORM: failure(Uint8Array.of(0x82, 0xfe, 0, 5, 0, 0, 0, 0)),
  WSD_FRAME_LENGTH_RANGE: failure(Uint8Array.of(0x82, 0xff, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
  WSD_FRAME_CONTROL_LENGTH: failure(encode({ opcode: 9, payload: 'x'.repeat(126) })),
  WSD_FRAME_CONTROL_FRAGMENT: failure(encode({ opcode: 9, fin: false })),
  WSD_FRAME_CONTINUATION: failure(encode({ opcode: 0 })),
  WSD_FRAME_INTERLEAVED: failure(frames(START, { opcode: 1 })),
  WSD_FRAME_CLOSE_BODY: failure(encode({ opcode: 8, payload: 'x' })),
  WSD_FRAME_CLOSE_CODE: failure(encode({ opcode: 8, payload: closeBody(1006) })),
  WSD_FRAME_CLOSE_REASON: failure(encode({ opcode: 8, payload: closeBody(1000, Uint8Array.of(255)) })),
  WSD_MESSAGE_UTF8: failure(encode({ opcode: 1, payload: Uint8Array.of(0xc0) })),
  WSD_MESSAGE_SIZE: failure(encode({ opcode: 2, payload: new Uint8Array(200) }), { maxMessage: 100 }),
  WSD_MESSAGE_FRAGMENTS: failure(frames(START, { opcode: 0, fin: false }, { opcode: 0, fin: false }), {
    maxFragments: 2,
  }),
  WSD_MESSAGE_AGE: failure(encode(START), { messageTimeout: 60 }),
  WSD_MESSAGE_RATE: failure(frames(...new Array<WireFrameToSend>(20).fill({ opcode: 10 })), {
    rate: { perSecond: 1, burst: 10 },
  }),
  WSD_MESSAGE_ABORTED: failure(
    (wire) => {
      wire.write(GO);
      return wire.readFrame();
    },
    {},
    onMessage((connection) => {
      const message = connection.stream('text');
      message.write('the first part, and ');
      message.abort();
    }),
  ),
  WSD_DEFLATE_DATA: failure(compressed(Uint8Array.of(255, 255)), { deflate: true }),
  WSD_DEFLATE_SIZE: failure(compressed(packed(new Uint8Array(10_000))), { deflate: true, maxMessage: 1_000 }),
  WSD_DEFLATE_RATIO: failure(compressed(packed(new Uint8Array(2_000_000))), { deflate: { maxRatio: 10 } }),
  WSD_PEER_SILENT: failure(() => {}, { pingInterval: 60, pingTimeout: 60 }),
  WSD_PEER_IDLE: failure(() => {}, { idleTimeout: 80 }),
  WSD_PEER_SLOW: failure(
    async (wire, stage) => {
      wire.socket.pause();
      wire.write(GO);
      await until(() => stage.outcomes[0]?.length === 1 || stage.connections[0]?.state !== 'open');
      wire.socket.resume();
    },
    { maxBuffered: 100_000, closeTimeout: 2_000 },
    onMessage((connection) => {
      for (let i = 0; i < 400 && connection.state === 'open'; i++) connection.send(new Uint8Array(65_536));
    }),
  ),
  WSD_CLOSE_TIMEOUT: failure(
    GO,
    {},
    onMessage((connection) => connection.close(4000)),
  ),
  WSD_SOCKET_ENDED: failure((wire) => wire.end()),
  WSD_SOCKET_ERROR: failure(async (wire, stage) => {
    await stage.roundTrip();
    wire.reset();
  }),
  WSD_TERMINATED: failure(
    GO,
    {},
    onMessage((connection) => connection.terminate()),
  ),
  WSD_HANDLER_FAILED: failure(
    GO,
    {},
    onMessage(() => {
      throw new Error('the password is hunter2');
    }),
  ),
  WSD_DIAL_URL: dial(never, {}, () => 'gopher://127.0.0.1/'),
  WSD_DIAL_CONNECT: dial(never, {}, () => 'ws://127.0.0.1:1/'),
  WSD_DIAL_TLS: {
    kind: 'custom',
    play: async (test) => {
      const server = await serve(test, (wire) => wire.write('HTTP/1.1 400 Bad Request\r\n\r\n'), {}, 'raw');
      await test.rejects(connect(`wss://${server.at}/`, { timeout: 3_000 }), { code: 'WSD_DIAL_TLS' });
    },
  },
  WSD_DIAL_TIMEOUT: dial(never, { timeout: 80 }),
  WSD_DIAL_ABORTED: dial(never, { signal: AbortSignal.abort() }),
  WSD_DIAL_ANSWER: dial('220 mail.example ESMTP\r\n'),
  WSD_DIAL_LARGE: dial(`HTTP/1.1 101 Switching Protocols\r\nX: ${'x'.repeat(100_000)}`),
  WSD_DIAL_STATUS: dial('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
  WSD_DIAL_REDIRECT: dial('HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n'),
  WSD_DIAL_UPGRADE: dial(answered((lines) => lines.filter((line) => !line.startsWith('Upgrade')))),
  WSD_DIAL_ACCEPT: dial(
    answered((lines) =>
      lines.map((line) => (line.startsWith('Sec-') ? 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=' : line)),
    ),
  ),
  WSD_DIAL_PROTOCOL: dial(
    answered((lines) => [...lines, 'Sec-WebSocket-Protocol: other']),
    { subprotocols: ['chat'] },
  ),
  WSD_DIAL_EXTENSION: dial(answered((lines) => [...lines, 'Sec-WebSocket-Extensions: permessage-deflate'])),
  WSD_DIAL_PROXY: {
    kind: 'custom',
    play: async (test) => {
      const server = await serve(test, (wire) => wire.write('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
      await test.rejects(connect('ws://unreachable.example/', { proxy: `http://${server.at}` }), {
        code: 'WSD_DIAL_PROXY',
      });
    },
  },
  WSD_DIAL_SESSION: dial(
    (wire, head) => {
      answered((lines) => [...lines, 'Sec-WebSocket-Protocol: v0.packet.wsd'])(wire, head);
      wire.write(encode({ opcode: 2, mask: false, payload: Uint8Array.of(4, 0, 0, 0, 0x11) }));
    },
    { packets: { anonymous: true } },
  ),
  WSD_DIAL_ENDED: dial((wire) => wire.end()),
};

const play = async (test: Test, code: FaultCode, row: Row): Promise<void> => {
  const entry: { readonly phrase: string; readonly close?: number; readonly status?: number } = FAULTS[code];
  switch (row.kind) {
    case 'custom':
      return row.play(test);
    case 'dial': {
      const server = await serve(test, row.answer);
      await test.rejects(connect(row.url(server.at), { timeout: 3_000, ...row.options }), {
        name: 'WsdError',
        code,
        message: new RegExp(`^${entry.phrase}`),
      });
      return;
    }
    case 'refusal':
      return onStage(test, row.setting, async (stage) => {
        const wire = await stage.dial();
        wire.write(typeof row.send === 'function' ? row.send(stage) : row.send);
        if (row.told === 'phrase') await sentAway(test, wire, code);
        else if (row.told === 'other') test.match(await wire.readHead(), new RegExp(`^HTTP/1\\.1 ${entry.status} `));
        else {
          await wire.ended();
          test.equal(wire.unread.length, 0, 'nothing is told');
        }
        await stage.counted(`refused:${code}`);
        test.same(
          stage.refused.map((refused) => [refused.code, refused.status]),
          [[code, entry.status]],
          'one report, with the code and the status',
        );
        test.equal(stage.connections.length, 0, 'no connection came of it');
      });
    case 'failure':
      return onStage(test, row.setting, async (stage) => {
        const headers = { 'Sec-WebSocket-Extensions': row.extensions };
        const wire = await stage.upgrade({ headers });
        await row.send(wire, stage);
        if (entry.close !== 1006) await closedWith(test, wire, code);
        if (entry.close !== 1006) wire.end();
        const outcome = await stage.outcome();
        test.same([outcome.fault, outcome.code, outcome.clean], [code, entry.close, false], 'the outcome');
        await stage.counted(`fault:${code}`);
        await stage.counted(`closed:${entry.close}`);
      });
  }
};

for (const [code, row] of Object.entries(ROWS) as [FaultCode, Row][]) {
  t.test(`${code}: ${FAULTS[code].phrase}`, (test) => play(test, code, row));
}

t.test('every code of the table has its row, and every row its code', (test) => {
  test.same(Object.keys(ROWS).sort(), Object.keys(FAULTS).sort());
  test.end();
});
