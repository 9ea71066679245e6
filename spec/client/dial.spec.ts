// What can go wrong before there is a connection: every WSD_DIAL_ code is provoked here by a peer that does exactly that, and each time
// the promise rejects once, in time, with nothing left open.

import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { cuttings } from '../../fixtures/rig/chunker.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import type { Wire } from '../../fixtures/rig/wire.js';
import { connect } from '../../lib/client/connect.js';
import { FAULTS, type FaultCode, WsdError } from '../../lib/fault.js';
import type { ClientOptions } from '../../lib/options/types.js';
import { accept, acceptOf, closeProperly, LOCALHOST, type RawOptions, serve, trickle, WRONG } from './raw-server.js';

const rng = seedFromEnv('dial');
const provoked = new Set<FaultCode>();

/** The error that the dial rejects with. */
async function failure(url: string, options: ClientOptions = {}): Promise<WsdError> {
  try {
    const connection = await connect(url, { timeout: 4_000, ...options });
    if ('terminate' in connection) connection.terminate();
  } catch (error) {
    if (!(error instanceof WsdError)) throw error;
    provoked.add(error.code);
    return error;
  }
  throw new Error(`${url} was opened`);
}

interface Case {
  readonly says: string;
  /** The whole answer. */
  readonly answer: (head: string) => string | Uint8Array;
  readonly code: FaultCode;
  readonly detail?: RegExp;
  readonly options?: ClientOptions;
  /** The server ends after it. */
  readonly ends?: boolean;
}

const HEAD = 'HTTP/1.1 101 Switching Protocols\r\n';
const lines = (head: string, replace: Readonly<Record<string, string | undefined>>): string => {
  const fields: Record<string, string | undefined> = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': acceptOf(head),
    ...replace,
  };
  const written = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  return `${HEAD}${written.join('')}\r\n`;
};

const DEFLATE = { deflate: true } as const;
const ANSWERS: readonly Case[] = [
  { says: 'SSH', answer: () => 'SSH-2.0-OpenSSH_9.2\r\n', code: 'WSD_DIAL_ANSWER' },
  { says: 'a TLS alert', answer: () => Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70), code: 'WSD_DIAL_ANSWER' },
  { says: 'a TLS handshake', answer: () => Uint8Array.of(0x16, 3, 1, 0, 2), code: 'WSD_DIAL_ANSWER' },
  {
    says: 'a folded field',
    answer: () => `${HEAD}A: b\r\n c\r\n\r\n`,
    code: 'WSD_DIAL_ANSWER',
    detail: /field line 2/,
  },
  { says: 'a bare LF', answer: () => 'HTTP/1.1 101 x\nUpgrade: websocket\r\n\r\n', code: 'WSD_DIAL_ANSWER' },
  {
    says: 'a line without end',
    answer: () => `${HEAD}X: ${'x'.repeat(600)}`,
    code: 'WSD_DIAL_LARGE',
    options: { head: { line: 512 } },
  },
  {
    says: 'fields without end',
    answer: () => HEAD + 'X: y\r\n'.repeat(30),
    code: 'WSD_DIAL_LARGE',
    options: { head: { fields: 20 } },
  },
  {
    says: 'a head without end',
    answer: () => HEAD + `X: ${'y'.repeat(90)}\r\n`.repeat(30),
    code: 'WSD_DIAL_LARGE',
    options: { head: { total: 2000 } },
  },
  {
    says: 'a hundred early hints',
    answer: () => 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(100),
    code: 'WSD_DIAL_LARGE',
    options: { head: { total: 2000 } },
  },
  {
    says: 'no Upgrade',
    answer: (head) => lines(head, { Upgrade: undefined }),
    code: 'WSD_DIAL_UPGRADE',
    detail: /Upgrade/,
  },
  { says: 'another Upgrade', answer: (head) => lines(head, { Upgrade: 'h2c' }), code: 'WSD_DIAL_UPGRADE' },
  {
    says: 'no Connection',
    answer: (head) => lines(head, { Connection: 'close' }),
    code: 'WSD_DIAL_UPGRADE',
    detail: /Connection/,
  },
  {
    says: 'no accept value',
    answer: (head) => lines(head, { 'Sec-WebSocket-Accept': undefined }),
    code: 'WSD_DIAL_ACCEPT',
  },
  {
    says: 'the accept value of another key',
    answer: (head) => lines(head, { 'Sec-WebSocket-Accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' }),
    code: 'WSD_DIAL_ACCEPT',
  },
  {
    says: 'two accept values',
    answer: (head) => accept(head, [`Sec-WebSocket-Accept: ${acceptOf(head)}`]),
    code: 'WSD_DIAL_ACCEPT',
  },
  {
    says: 'a subprotocol that was not offered',
    answer: (head) => accept(head, ['Sec-WebSocket-Protocol: chat']),
    code: 'WSD_DIAL_PROTOCOL',
  },
  {
    says: 'a subprotocol in another case',
    answer: (head) => accept(head, ['Sec-WebSocket-Protocol: Chat']),
    code: 'WSD_DIAL_PROTOCOL',
    options: { subprotocols: ['chat'] },
  },
  {
    says: 'two subprotocols',
    answer: (head) => accept(head, ['Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: b']),
    code: 'WSD_DIAL_PROTOCOL',
    options: { subprotocols: ['a', 'b'] },
  },
  {
    says: 'deflate that was not offered',
    answer: (head) => accept(head, ['Sec-WebSocket-Extensions: permessage-deflate']),
    code: 'WSD_DIAL_EXTENSION',
  },
  ...[
    'x-webkit-deflate-frame',
    '__proto__',
    'permessage-deflate, permessage-deflate',
    'permessage-deflate; server_no_context_takeover; client_max_window_bits=7',
    'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
    'permessage-deflate; server_no_context_takeover; server_max_window_bits=16',
    'permessage-deflate; server_no_context_takeover; mystery=1',
    'permessage-deflate; "',
  ].map(
    (value): Case => ({
      says: value,
      answer: (head) => accept(head, [`Sec-WebSocket-Extensions: ${value}`]),
      code: 'WSD_DIAL_EXTENSION',
      options: DEFLATE,
    }),
  ),
  { says: 'nothing', answer: () => '', code: 'WSD_DIAL_ENDED', ends: true },
  { says: 'half a head', answer: (head) => accept(head).slice(0, 60), code: 'WSD_DIAL_ENDED', ends: true },
  {
    says: '403 with a reason',
    answer: () => 'HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nnot today\r\nmy friend!more that is not read',
    code: 'WSD_DIAL_STATUS',
    detail: /^the server refused the upgrade: 403 Forbidden: not today\\r\\nmy friend$/,
  },
  {
    says: '401 without a phrase or a body',
    answer: () => 'HTTP/1.1 401 \r\nContent-Length: 0\r\n\r\n',
    code: 'WSD_DIAL_STATUS',
    detail: /: 401 Unauthorized$/,
  },
  {
    says: '200 in chunks',
    answer: () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
    code: 'WSD_DIAL_STATUS',
    detail: /: 200 OK: hello world$/,
  },
  {
    says: '500 until the end of the connection',
    answer: () => 'HTTP/1.1 500 Oops\r\n\r\nit broke',
    code: 'WSD_DIAL_STATUS',
    detail: /: 500 Oops: it broke$/,
    ends: true,
  },
  {
    says: '502 in colours',
    answer: () => 'HTTP/1.1 502 Bad\r\nContent-Length: 18\r\n\r\n\u001b[31mred\u0007\u202eeul\u0000\u0085',
    code: 'WSD_DIAL_STATUS',
    detail: /: 502 Bad: \\u\{1b\}\[31mred\\u\{7\}\\u\{202e\}eul\\u\{0\}\\u\{85\}$/,
  },
  {
    says: '503 with a long body',
    answer: () => `HTTP/1.1 503 Busy\r\nContent-Length: 5000000\r\n\r\n${'é'.repeat(3000)}`,
    code: 'WSD_DIAL_STATUS',
    detail: /: 503 Busy: é{512}$/,
  },
  {
    says: '404 compressed',
    answer: () => 'HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\u001f\u008b\u0008',
    code: 'WSD_DIAL_STATUS',
    detail: /: 404 Not Found$/,
  },
  {
    says: 'a redirect',
    answer: () => 'HTTP/1.1 302 Found\r\nLocation: https://other.example/secret?token=1\r\n\r\n',
    code: 'WSD_DIAL_REDIRECT',
    detail: /^redirect not followed: 302 to wss:\/\/other\.example$/,
  },
  {
    says: 'a redirect to a mail address',
    answer: () => 'HTTP/1.1 308 x\r\nLocation: mailto:a@b.example\r\n\r\n',
    code: 'WSD_DIAL_REDIRECT',
    detail: /308 with a Location that cannot be followed/,
    options: { redirects: 5 },
  },
  {
    says: 'a redirect with a password',
    answer: () => 'HTTP/1.1 307 x\r\nLocation: ws://me:hunter2@other.example/\r\n\r\n',
    code: 'WSD_DIAL_REDIRECT',
    detail: /^(?!.*hunter2)/,
    options: { redirects: 5 },
  },
  {
    says: 'a redirect without a place',
    answer: () => 'HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n',
    code: 'WSD_DIAL_STATUS',
    detail: /301 Moved$/,
  },
];

t.test('what a server can answer wrongly is told by its code, however the answer is cut', async (t) => {
  for (const { says, answer, code, detail, options, ends } of ANSWERS) {
    let turn = 0;
    const server = await serve(t, async (wire, head) => {
      const bytes = Buffer.from(answer(head));
      const ways = cuttings(bytes, rng);
      const [, chunks] = ways[turn % ways.length] as (typeof ways)[number];
      await trickle(wire, chunks);
      if (ends === true) wire.end();
    });
    // Byte by byte only what is short: it costs a turn a byte.
    const ways = answer('').length < 400 ? 4 : 1;
    for (turn = 0; turn < ways; turn++) {
      const error = await failure(`ws://${server.at}/`, options);
      t.equal(error.code, code, `${says}: ${error.message}`);
      if (detail !== undefined) t.match(error.message, detail, says);
    }
    for (const wire of server.wires) await wire.ended();
    await server.close();
  }
});

t.test('a refusal has its status, a fault has none', async (t) => {
  const server = await serve(t, (wire) => wire.write('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'));
  t.equal((await failure(`ws://${server.at}/`)).status, 418);
  const mute = await serve(t, (wire) => wire.reset());
  const reset = await failure(`ws://${mute.at}/`);
  t.equal(reset.code, 'WSD_DIAL_ENDED');
  t.equal(reset.status, undefined);
  t.match(reset.message, /ECONNRESET/);
});

t.test('a body that does not come is not waited for', async (t) => {
  const server = await serve(t, (wire) => wire.write('HTTP/1.1 403 No\r\nContent-Length: 500\r\n\r\nbeca'));
  const began = performance.now();
  const error = await failure(`ws://${server.at}/`);
  t.match(error.message, /403 No: beca$/);
  t.ok(performance.now() - began < 3_000);
  const sooner = await failure(`ws://${server.at}/`, { timeout: 200 });
  t.equal(sooner.code, 'WSD_DIAL_STATUS', 'the status is told though the time is over');
});

t.test('a URL that is none is refused before anything is dialled', async (t) => {
  const urls = [
    'http://127.0.0.1/',
    'ws:/127.0.0.1/',
    'ws://',
    'ws://host:0/',
    'ws://host:99999/',
    'ws://me:secret@127.0.0.1/',
    'ws://127.0.0.1/#part',
    'ws://127.0.0.1/a b',
    'ws://exämple .org/',
    'ws+unix:relative',
    'ws+unix:',
    'ws+unix:/a:resource',
    'ws+unix:/a%zz',
    'ws+unix:/a%00b',
  ];
  for (const url of urls) {
    const error = await failure(url);
    t.equal(error.code, 'WSD_DIAL_URL', url);
    t.notMatch(error.message, /secret/);
  }
});

t.test('misuse is a TypeError', async (t) => {
  const CASES: readonly (readonly [unknown, unknown, RegExp])[] = [
    [42, {}, /URL must be a string/],
    ['ws://127.0.0.1:1/', { nonsense: 1 }, /nonsense/],
    ['ws://127.0.0.1:1/', { redirects: -1 }, /redirects/],
    ['ws://127.0.0.1:1/', { headers: { 'Sec-WebSocket-Key': 'x' } }, /Sec-WebSocket-Key/],
    ['ws://127.0.0.1:1/', { headers: { 'X-A': 'b\r\nC: d' } }, /X-A/],
    ['ws://127.0.0.1:1/', { headers: [['bad name', 'x']] }, /bad name/],
    ['ws://127.0.0.1:1/', { subprotocols: ['a', 'a'] }, /twice/],
    ['ws://127.0.0.1:1/', { subprotocols: ['a b'] }, /subprotocol/],
    ['ws://127.0.0.1:1/', { proxy: 'socks5://me:secret@127.0.0.1' }, /^(?!.*secret).*proxy/],
    ['ws://127.0.0.1:1/', { proxy: 'http://%zz:secret@127.0.0.1' }, /^(?!.*secret).*percent/],
    ['ws+unix:/tmp/none', { proxy: 'http://127.0.0.1:1' }, /Unix/],
  ];
  for (const [url, options, message] of CASES) {
    await t.rejects(connect(url as string, options as ClientOptions), { name: 'TypeError', message });
  }
});

t.test('where nobody listens the message says who was asked', async (t) => {
  const server = await serve(t, () => {});
  await server.close();
  const error = await failure(`ws://${server.at}/`);
  t.equal(error.code, 'WSD_DIAL_CONNECT');
  t.match(error.message, new RegExp(`ECONNREFUSED 127\\.0\\.0\\.1:${server.port}`));
  t.equal((error.cause as { code?: string }).code, 'ECONNREFUSED');
  const named = await failure(`ws://localhost:${server.port}/`);
  t.match(named.message, /ECONNREFUSED/, 'also where a name has several addresses');
  const unix = await failure(`ws+unix:${join(tmpdir(), randomUUID())}`);
  t.equal(unix.code, 'WSD_DIAL_CONNECT');
  t.match(unix.message, /ENOENT/);
});

t.test('TLS is verified unless the caller says otherwise', async (t) => {
  const CASES: readonly (readonly [string, RawOptions, ClientOptions, RegExp])[] = [
    ['a certificate that nobody vouches for', { tls: LOCALHOST }, {}, /self-signed/],
    ['a certificate for another name', { tls: WRONG }, { tls: { ca: WRONG.cert } }, /does not match/],
    ['our own certificate that is none', { tls: LOCALHOST }, { tls: { cert: 'x', key: 'y' } }, /PEM|ASN1|asn1/],
    [
      'no TLS',
      {},
      { tls: { ca: LOCALHOST.cert } },
      /^TLS failed: the server does not speak TLS on this port: try ws:\/\/$/,
    ],
  ];
  for (const [says, how, options, message] of CASES) {
    const server = await serve(t, (wire) => wire.write('HTTP/1.1 400 Bad\r\n\r\n'), how, how.tls ? 'head' : 'raw');
    for (const host of ['localhost', '127.0.0.1']) {
      const error = await failure(`wss://${host}:${server.port}/`, options);
      t.equal(error.code, 'WSD_DIAL_TLS', `${says}: ${error.message}`);
      t.match(error.message, message);
      t.notMatch(error.message, /\n|\\n|openssl/, 'one line, and nothing of the library behind it');
      t.ok(error.cause instanceof Error);
    }
    t.strictSame(server.heads, [], 'no request was sent');
    await server.close();
  }
  const gone = await serve(t, (wire) => wire.end(), {}, 'raw');
  t.equal((await failure(`wss://${gone.at}/`)).code, 'WSD_DIAL_TLS');
  const wants = await serve(t, () => {}, { tls: { ...LOCALHOST, requestCert: true } });
  const options = { tls: { ca: LOCALHOST.cert } };
  t.equal((await failure(`wss://localhost:${wants.port}/`, { ...options, timeout: 500 })).code.slice(0, 8), 'WSD_DIAL');
});

t.test('the environment cannot switch the verification of TLS off', async (t) => {
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  // Node warns of the variable, whether or not it has an effect.
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning');
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  t.teardown(() => {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    for (const listener of listeners) process.on('warning', listener);
  });
  const server = await serve(t, () => {}, { tls: LOCALHOST });
  t.equal((await failure(`wss://localhost:${server.port}/`)).code, 'WSD_DIAL_TLS');
});

const PROXY_ANSWERS: readonly (readonly [says: string, answer: string, code: FaultCode, message: RegExp])[] = [
  ['407', 'HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n', 'WSD_DIAL_PROXY', /: 407 Who are you$/],
  ['502 without a phrase', 'HTTP/1.1 502 \r\n\r\n', 'WSD_DIAL_PROXY', /: 502 Bad Gateway$/],
  ['a redirect', 'HTTP/1.1 302 x\r\nLocation: ws://a/\r\n\r\n', 'WSD_DIAL_PROXY', /302/],
  ['an answer in the name of the server', 'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 x\r\n', 'WSD_DIAL_PROXY', /of its own/],
  ['no HTTP', '220 ready\r\n', 'WSD_DIAL_ANSWER', /the proxy: /],
  ['too much', `HTTP/1.1 200 ${'x'.repeat(20_000)}`, 'WSD_DIAL_LARGE', /the proxy: /],
];

t.test('a proxy that gives no tunnel is told apart from the server', async (t) => {
  for (const [says, answer, code, message] of PROXY_ANSWERS) {
    const proxy = await serve(t, (wire) => wire.write(answer));
    const error = await failure('ws://example.org/', { proxy: `http://me:hunter2@${proxy.at}` });
    t.equal(error.code, code, `${says}: ${error.message}`);
    t.match(error.message, message);
    t.notMatch(`${error.message} ${error.stack}`, /hunter2|bWU6/);
    await proxy.wires[0]?.ended();
    await proxy.close();
    const gone = await failure('ws://example.org/', { proxy: `http://me:hunter2@${proxy.at}` });
    t.equal(gone.code, 'WSD_DIAL_CONNECT');
    t.match(gone.message, /the proxy: .*ECONNREFUSED/);
  }
  const mute = await serve(t, (wire) => wire.end());
  const ended = await failure('ws://example.org/', { proxy: `http://${mute.at}` });
  t.equal(ended.code, 'WSD_DIAL_ENDED');
  t.match(ended.message, /the proxy/);
  const plain = await serve(t, (wire) => wire.write('HTTP/1.1 400 Bad\r\n\r\n'), {}, 'raw');
  const clear = await failure('ws://example.org/', { proxy: `https://${plain.at}` });
  t.equal(clear.message, 'TLS failed: the proxy: it does not speak TLS on this port: try http://');
  const secure = await serve(t, () => {}, { tls: LOCALHOST });
  const waived = { proxy: `https://localhost:${secure.port}`, tls: { rejectUnauthorized: false } };
  const untrusted = await failure('ws://example.org/', waived);
  t.equal(untrusted.code, 'WSD_DIAL_TLS', 'a waiver for the server is none for the proxy');
  t.match(untrusted.message, /the proxy: /);
});

/** A peer that falls silent at one stage; the address to dial, and what the message of a timeout says. */
type Silent = (
  t: Test,
  server: (when: 'raw' | 'head', how?: RawOptions) => Promise<string>,
) => Promise<[string, ClientOptions]>;
const STAGES: readonly (readonly [stage: RegExp, silent: Silent])[] = [
  [/waiting for the answer$/, async (_, server) => [`ws://${await server('raw')}/`, {}]],
  [/during the TLS handshake$/, async (_, server) => [`wss://${await server('raw')}/`, {}]],
  [/of the proxy$/, async (_, server) => ['ws://example.org/', { proxy: `http://${await server('raw')}` }]],
  [/with the proxy$/, async (_, server) => ['ws://example.org/', { proxy: `https://${await server('raw')}` }]],
  [/^.*while connecting/, async () => ['ws://10.255.255.1:81/', {}]],
];

t.test('the deadline holds at every stage, and says at which', async (t) => {
  for (const [stage, silent] of STAGES.slice(0, 4)) {
    const wires: Wire[] = [];
    const [url, options] = await silent(
      t,
      async (when, how) => (await serve(t, (wire) => wires.push(wire), how, when)).at,
    );
    const began = performance.now();
    const error = await failure(url, { ...options, timeout: 150 });
    t.equal(error.code, 'WSD_DIAL_TIMEOUT');
    t.match(error.message, stage);
    const took = performance.now() - began;
    t.ok(took >= 149 && took < 1_500, `took ${took} ms`);
    for (const wire of wires) await wire.ended();
  }
});

t.test('bytes that keep coming do not move the deadline', async (t) => {
  const server = await serve(t, async (wire, head) => {
    const bytes = Buffer.from(accept(head, [`X: ${'x'.repeat(4000)}`]));
    for (let i = 0; i < bytes.length && !wire.socket.destroyed; i++) {
      wire.write(bytes.subarray(i, i + 1));
      await new Promise((done) => setTimeout(done, 10));
    }
  });
  t.equal((await failure(`ws://${server.at}/`, { timeout: 200 })).code, 'WSD_DIAL_TIMEOUT');
});

t.test('the signal aborts at every stage, with its reason as the cause', async (t) => {
  for (const [, silent] of STAGES) {
    const wires: Wire[] = [];
    const came: (() => void)[] = [];
    const arrived = new Promise<void>((done) => came.push(done));
    const [url, options] = await silent(t, async (when, how) => {
      const server = await serve(
        t,
        (wire) => {
          wires.push(wire);
          came[0]?.();
        },
        how,
        when,
      );
      return server.at;
    });
    const control = new AbortController();
    const reason = new Error('enough');
    const failed = failure(url, { ...options, signal: control.signal });
    // Where nobody answers there is nobody to wait for.
    if (!url.includes('10.255')) await arrived;
    control.abort(reason);
    const error = await failed;
    t.equal(error.code, 'WSD_DIAL_ABORTED', url);
    t.equal(error.cause, reason);
    for (const wire of wires) await wire.ended();
  }
});

t.test('a signal that is aborted already dials nothing, and one that is aborted later does nothing', async (t) => {
  const server = await serve(t, (wire, head) => {
    wire.write(accept(head));
    return closeProperly(wire);
  });
  const before = await failure(`ws://${server.at}/`, { signal: AbortSignal.abort('no') });
  t.equal(before.code, 'WSD_DIAL_ABORTED');
  t.equal(before.cause, 'no');
  const control = new AbortController();
  const connection = await connect(`ws://${server.at}/`, { signal: control.signal });
  t.equal(server.wires.length, 1);
  control.abort();
  t.equal(connection.state, 'open');
  t.match(await connection.close(), { code: 1000, clean: true, initiator: 'local' });
});

t.test('WSD_DIAL_SESSION: a server that speaks packets and never shakes hands', async (t) => {
  const server = await serve(t, (wire, head) => wire.write(accept(head, ['Sec-WebSocket-Protocol: v0.packet.wsd'])));
  const packets = { anonymous: true, handshakeTimeout: 50 };
  const error = await failure(`ws://${server.at}/`, { packets });
  t.equal(error.code, 'WSD_DIAL_SESSION');
  t.match(error.message, /1\.0 CONNECTION/);
});

t.test('every code of a failed dial was provoked', async (t) => {
  const codes = Object.entries(FAULTS).flatMap(([code, row]) => ('dial' in row ? [code] : []));
  t.strictSame([...provoked].sort(), codes.sort());
});
