// Hostile openings: HOSTILE lines 1 to 12, 14 to 16, 18 to 22, 24 and 48. Holds for every line, and is asserted by the stage: the process
// lives, the neighbours keep being answered, the connection ends in exactly one close event with one cause, a labelled counter rises, no
// stack trace and no byte that is not part of a fixed answer reaches the peer, and the books return to where they were.

import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { connect, encode, upgradeRequest } from '../../fixtures/rig/wire.js';
import { equalDigest } from '../../lib/crypto/digest.js';
import { createServer, FAULTS, type FaultCode, type ServerOptions } from '../../lib/index.js';
import { echo, onStage, sentAway, until, within } from './stage.js';

const TLS = {
  cert: readFileSync(new URL('../../../fixtures/tls/cert.pem', import.meta.url)),
  key: readFileSync(new URL('../../../fixtures/tls/key.pem', import.meta.url)),
};
const never = (): Promise<never> => new Promise(() => {});
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const GOOD = ['Host: 127.0.0.1', 'Upgrade: websocket', 'Connection: Upgrade', KEY, 'Sec-WebSocket-Version: 13'];
const request = (fields: readonly string[], line = 'GET / HTTP/1.1'): string =>
  `${[line, ...fields].join('\r\n')}\r\n\r\n`;
/** The good request with the named fields replaced by these lines. */
const but = (name: string, ...lines: string[]): string =>
  request([...GOOD.filter((line) => !line.toLowerCase().startsWith(`${name.toLowerCase()}:`)), ...lines]);

interface Row {
  readonly name: string;
  readonly bytes: string | Uint8Array;
  /** Undefined: it is accepted. */
  readonly code: FaultCode | undefined;
}

/** Plays every row against one server; a refused one is followed by a second request, which must not be answered. */
const play = async (test: Test, rows: readonly Row[], options: ServerOptions<unknown> = {}): Promise<void> => {
  let connected = 0;
  await onStage(
    test,
    {
      options,
      onConnection: (connection) => {
        connected++;
        return echo(connection);
      },
    },
    async (stage) => {
      const refused = new Map<FaultCode, number>();
      for (const { name, bytes, code } of rows) {
        const wire = await stage.dial();
        wire.write(bytes);
        if (code === undefined) {
          test.match(await wire.readHead(), /^HTTP\/1\.1 101 /, `${name}: is accepted`);
        } else {
          wire.write(stage.request({ path: '/second' }));
          await sentAway(test, wire, code, name);
          refused.set(code, (refused.get(code) ?? 0) + 1);
        }
        wire.destroy();
      }
      for (const [code, times] of refused) await stage.counted(`refused:${code}`, times);
      test.equal(
        connected,
        rows.filter(({ code }) => code === undefined).length,
        'nothing refused became a connection',
      );
      const texts = stage.refused.map(({ path, detail }) => `${path ?? ''}${detail ?? ''}`).join('');
      test.notMatch(texts, /\p{Cc}/u, 'no control character of a peer reaches the reports (line 22)');
    },
  );
};

t.test(
  '1: a peer that says nothing, or a byte at a time, is sent away at one deadline that bytes do not move',
  (test) =>
    onStage(test, { options: { handshakeTimeout: 150 } }, async (stage) => {
      const silent = await stage.dial();
      const slow = await stage.dial();
      const start = performance.now();
      const letters = stage.request()[Symbol.iterator]();
      const beat = setInterval(() => slow.write(letters.next().value ?? 'x'), 15);
      await Promise.all([sentAway(test, silent, 'WSD_HTTP_TIMEOUT'), sentAway(test, slow, 'WSD_HTTP_TIMEOUT')]);
      clearInterval(beat);
      test.ok(performance.now() - start < 1_500, 'at the deadline');
      await stage.counted('refused:WSD_HTTP_TIMEOUT', 2);
    }),
);

t.test('1: one address cannot hold more half-open sockets than its cap', (test) =>
  onStage(test, { options: { maxHalfOpenPerAddress: 3 } }, async (stage) => {
    const held = [await stage.dial(), await stage.dial(), await stage.dial()];
    await until(() => stage.server.counts().halfOpen === 3);
    await sentAway(test, await stage.dial(), 'WSD_UPGRADE_RATE');
    held[0]?.destroy();
    await until(() => stage.server.counts().halfOpen === 2);
    test.match((await stage.upgrade()).head, /^HTTP\/1\.1 101 /, 'who leaves makes room');
    await stage.counted('refused:WSD_UPGRADE_RATE');
  }),
);

t.test('2: endless lines and endless heads are refused at their limit', (test) =>
  play(test, [
    { name: 'request line', bytes: `GET /${'a'.repeat(200_000)}`, code: 'WSD_HTTP_TARGET_LONG' },
    { name: 'header name', bytes: `GET / HTTP/1.1\r\n${'a'.repeat(200_000)}`, code: 'WSD_HTTP_HEAD_LARGE' },
    { name: 'header value', bytes: `GET / HTTP/1.1\r\na: ${'a'.repeat(200_000)}`, code: 'WSD_HTTP_HEAD_LARGE' },
    { name: 'white space', bytes: `GET / HTTP/1.1\r\na:${' '.repeat(200_000)}`, code: 'WSD_HTTP_HEAD_LARGE' },
    {
      name: 'total',
      bytes: `GET / HTTP/1.1\r\n${`a: ${'a'.repeat(1000)}\r\n`.repeat(20)}`,
      code: 'WSD_HTTP_HEAD_LARGE',
    },
  ]),
);

t.test('3: too many fields, and fields that must be single, are refused', (test) =>
  play(test, [
    { name: '128 fields', bytes: `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(128)}`, code: 'WSD_HTTP_FIELDS' },
    { name: '2,000 fields', bytes: `GET / HTTP/1.1\r\n${'a:\r\n'.repeat(2000)}`, code: 'WSD_HTTP_FIELDS' },
    { name: 'no field at all', bytes: 'GET / HTTP/1.1\r\n\r\n', code: 'WSD_HTTP_HOST' },
    { name: 'two Origins', bytes: but('origin', 'Origin: http://a', 'Origin: http://a'), code: 'WSD_HTTP_DUPLICATE' },
    {
      name: 'two versions',
      bytes: but('x', 'Sec-WebSocket-Version: 13'),
      code: 'WSD_HTTP_DUPLICATE',
    },
  ]),
);

t.test('4: Upgrade and Connection are lists without case, and each must hold its token', (test) =>
  play(test, [
    { name: 'list', bytes: but('connection', 'Connection: keep-alive, Upgrade'), code: undefined },
    { name: 'odd case', bytes: but('upgrade', 'UPGRADE: WebSOCKET'), code: undefined },
    { name: 'empty elements', bytes: but('connection', 'Connection: ,, upgrade ,'), code: undefined },
    { name: 'on two lines', bytes: but('connection', 'Connection: close', 'Connection: upgrade'), code: undefined },
    { name: 'no Connection', bytes: but('connection'), code: 'WSD_UPGRADE_CONNECTION' },
    { name: 'empty Connection', bytes: but('connection', 'Connection:'), code: 'WSD_UPGRADE_CONNECTION' },
    { name: 'other Connection', bytes: but('connection', 'Connection: xupgrade'), code: 'WSD_UPGRADE_CONNECTION' },
    { name: 'empty Upgrade', bytes: but('upgrade', 'Upgrade:'), code: 'WSD_UPGRADE_UPGRADE' },
    { name: 'other Upgrade', bytes: but('upgrade', 'Upgrade: websocket2'), code: 'WSD_UPGRADE_UPGRADE' },
  ]),
);

t.test('4: a request without Upgrade is told what this endpoint speaks, and counted', (test) =>
  onStage(test, {}, async (stage) => {
    const wire = await stage.dial();
    wire.write(but('upgrade'));
    const head = await wire.readHead();
    test.match(head, /^HTTP\/1\.1 426 /);
    test.match(head, /^upgrade: websocket\r$/im);
    test.match(head, /^sec-websocket-version: 13\r$/im);
    test.equal(await wire.ended(), 'end');
    await stage.counted('refused:WSD_UPGRADE_REQUIRED');
  }),
);

t.test('5: the key is 16 bytes in canonical base64, once', (test) =>
  play(
    test,
    [
      ['missing'],
      ['empty', 'Sec-WebSocket-Key:'],
      ['not base64', 'Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=='],
      ['15 bytes', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA'],
      ['17 bytes', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA='],
      ['bits behind the end', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB=='],
      ['64 KiB would be', `Sec-WebSocket-Key: ${'A'.repeat(4096)}`],
      ['repeated', KEY, KEY],
    ].map(([name = '', ...lines]) => ({ name, bytes: but('sec-websocket-key', ...lines), code: 'WSD_UPGRADE_KEY' })),
  ),
);

t.test('6: any version but 13 gets 426 with the version we speak, and never a 101', (test) =>
  onStage(test, {}, async (stage) => {
    const values = [undefined, '', '8', '99', '13, 8', '013', '1 3', '13.0', '-13'];
    for (const value of values) {
      const wire = await stage.dial();
      wire.write(but('sec-websocket-version', ...(value === undefined ? [] : [`Sec-WebSocket-Version: ${value}`])));
      const head = await wire.readHead();
      test.match(head, /^HTTP\/1\.1 426 /, `${value}`);
      test.match(head, /^sec-websocket-version: 13\r$/im, `${value}`);
      wire.destroy();
    }
    await stage.counted('refused:WSD_UPGRADE_VERSION', values.length);
  }),
);

t.test(
  '7, 24: other methods, other versions and other protocols are refused; HTTP/2 is not offered and its preface gets 505',
  (test) =>
    play(test, [
      { name: 'POST', bytes: request(GOOD, 'POST / HTTP/1.1'), code: 'WSD_HTTP_METHOD' },
      { name: 'HEAD', bytes: request(GOOD, 'HEAD / HTTP/1.1'), code: 'WSD_HTTP_METHOD' },
      { name: 'CONNECT', bytes: request(GOOD, 'CONNECT a:1 HTTP/1.1'), code: 'WSD_HTTP_METHOD' },
      { name: 'get', bytes: request(GOOD, 'get / HTTP/1.1'), code: 'WSD_HTTP_METHOD' },
      { name: 'HTTP/1.0', bytes: request(GOOD, 'GET / HTTP/1.0'), code: 'WSD_HTTP_VERSION' },
      { name: 'HTTP/2 preface', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', code: 'WSD_HTTP_VERSION' },
      { name: 'HTTP/0.9', bytes: 'GET /\r\n', code: 'WSD_HTTP_REQUEST_LINE' },
      { name: 'TLS hello', bytes: Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3), code: 'WSD_HTTP_TLS' },
      { name: 'a mail server', bytes: '220 mail.example ESMTP\r\n', code: 'WSD_HTTP_NOT_HTTP' },
      { name: 'zeros', bytes: new Uint8Array(100), code: 'WSD_HTTP_NOT_HTTP' },
    ]),
);

t.test('7: plain text on a TLS port ends that socket and nothing else', async (test) => {
  const server = createServer({ handshakeTimeout: 200, closeTimeout: 100 });
  const { port = 0 } = await server.listen({ tls: TLS });
  for (const bytes of [upgradeRequest(port), Uint8Array.of(22, 3, 1, 0), new Uint8Array(1000).fill(255)]) {
    const wire = await connect(port);
    wire.write(bytes);
    await wire.ended();
    test.notMatch(Buffer.from(wire.unread).toString('latin1'), /101 Switching/, 'no handshake in the clear');
    wire.destroy();
  }
  test.ok(await until(() => server.counts().halfOpen === 0 && server.counts().open === 0), 'the seats are free again');
  await server.close({ drain: 50 });
});

t.test('8: whatever two readers could read differently is refused', (test) =>
  play(test, [
    { name: 'bare LF', bytes: 'GET / HTTP/1.1\nHost: a\n\n', code: 'WSD_HTTP_LINE_END' },
    { name: 'bare CR', bytes: 'GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n', code: 'WSD_HTTP_LINE_END' },
    { name: 'LF in a field', bytes: 'GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n', code: 'WSD_HTTP_LINE_END' },
    { name: 'space before the colon', bytes: request(['Host : a']), code: 'WSD_HTTP_FIELD' },
    { name: 'folded line', bytes: request(['Host: a', ' b']), code: 'WSD_HTTP_FIELD' },
    { name: 'NUL in a value', bytes: request(['Host: a\0b']), code: 'WSD_HTTP_FIELD' },
    { name: 'escape in a value', bytes: request(['Host: a', 'X: \x1b[31m']), code: 'WSD_HTTP_FIELD' },
    { name: '8-bit name', bytes: Buffer.from(request(['H\xf6st: a']), 'latin1'), code: 'WSD_HTTP_FIELD' },
    { name: 'empty name', bytes: request([': a']), code: 'WSD_HTTP_FIELD' },
    { name: 'two spaces', bytes: request(GOOD, 'GET  / HTTP/1.1'), code: 'WSD_HTTP_REQUEST_LINE' },
    { name: 'tab', bytes: request(GOOD, 'GET\t/ HTTP/1.1'), code: 'WSD_HTTP_NOT_HTTP' },
    { name: 'Content-Length', bytes: `${but('x', 'Content-Length: 5')}hello`, code: 'WSD_HTTP_BODY' },
    { name: 'Content-Length 0', bytes: but('x', 'Content-Length: 0'), code: 'WSD_HTTP_BODY' },
    { name: 'chunked', bytes: `${but('x', 'Transfer-Encoding: chunked')}0\r\n\r\n`, code: 'WSD_HTTP_BODY' },
    { name: 'both', bytes: but('x', 'Transfer-Encoding: chunked', 'Content-Length: 3'), code: 'WSD_HTTP_BODY' },
    { name: 'two lengths', bytes: but('x', 'Content-Length: 5', 'Content-Length: 6'), code: 'WSD_HTTP_DUPLICATE' },
  ]),
);

t.test('10: Host is there once and valid, and the target is read in one way only', (test) => {
  const at = (target: string): string => request(GOOD, `GET ${target} HTTP/1.1`);
  return play(test, [
    { name: 'no Host', bytes: but('host'), code: 'WSD_HTTP_HOST' },
    { name: 'empty Host', bytes: but('host', 'Host:'), code: 'WSD_HTTP_HOST' },
    { name: 'two Hosts', bytes: but('host', 'Host: a', 'Host: a'), code: 'WSD_HTTP_HOST' },
    { name: 'userinfo', bytes: but('host', 'Host: u@a'), code: 'WSD_HTTP_HOST' },
    { name: 'a list', bytes: but('host', 'Host: a, b'), code: 'WSD_HTTP_HOST' },
    { name: 'a port that is none', bytes: but('host', 'Host: a:99999'), code: 'WSD_HTTP_HOST' },
    { name: 'absolute-form of another host', bytes: at('http://other/'), code: 'WSD_HTTP_HOST' },
    { name: 'absolute-form of this host', bytes: at('http://127.0.0.1/'), code: undefined },
    ...['/a/../b', '/..', '/%2e%2e/b', '/a%2fb', '/a%5cb', '/a\\b', '/%252e', '/%00', '/a%zz', '/#x', '*', 'a:80'].map(
      (target) => ({ name: target, bytes: at(target), code: 'WSD_HTTP_TARGET' }) as const,
    ),
  ]);
});

t.test(
  '11, 12: subprotocols and extensions built against a backtracking reader, or named like a prototype, cost nothing',
  async (test) => {
    const spaces = ' '.repeat(7_000);
    const start = performance.now();
    const rows = (name: string, code: FaultCode, values: readonly string[]): Row[] =>
      values.map((value) => ({ name: value.slice(0, 30), bytes: but('x', `${name}: ${value}`), code }));
    await play(
      test,
      [
        ...rows('Sec-WebSocket-Extensions', 'WSD_UPGRADE_EXTENSIONS', [
          `a${spaces}b`,
          `a;b="${'\\a'.repeat(3_000)}`,
          `a;b="c${spaces}"`,
          `${'a;'.repeat(3_000)}`,
          ',',
          'a;=b',
          'a;b=',
          'a b',
        ]),
        ...rows('Sec-WebSocket-Protocol', 'WSD_UPGRADE_PROTOCOL', [
          `a${spaces}b`,
          'a;b',
          '"a"',
          ',,,',
          'a, b, a',
          'a/b',
        ]),
        ...['__proto__', 'constructor', 'toString; __proto__=1', 'permessage-deflate; constructor'].map((value) => ({
          name: value,
          bytes: but('x', `Sec-WebSocket-Extensions: ${value}`),
          code: undefined,
        })),
        { name: '__proto__', bytes: but('x', 'Sec-WebSocket-Protocol: __proto__, constructor'), code: undefined },
        { name: '__proto__ field', bytes: but('x', '__proto__: x', 'constructor: y'), code: undefined },
      ],
      { deflate: true },
    );
    test.ok(performance.now() - start < 3_000, 'in linear time');
  },
);

t.test('14, 15: the server never answers with what was not offered, nor with a line of somebody else', async (test) => {
  const offers = { headers: { 'Sec-WebSocket-Protocol': 'chat, superchat' } };
  const answer = async (name: string, options: ServerOptions<unknown>, code: FaultCode | RegExp): Promise<void> => {
    await test.test(name, (inner) =>
      onStage(inner, { options }, async (stage) => {
        const wire = await stage.dial();
        wire.write(stage.request(offers));
        if (typeof code === 'string') {
          await sentAway(inner, wire, code);
          await stage.counted(`refused:${code}`);
        } else inner.match(await wire.readHead(), code);
      }),
    );
  };
  await answer(
    'a subprotocol in common is chosen',
    { subprotocols: ['x', 'superchat'] },
    /^sec-websocket-protocol: superchat\r$/im,
  );
  await answer(
    'none in common: none is named',
    { subprotocols: ['x'] },
    /^HTTP\/1\.1 101 (?![\s\S]*sec-websocket-protocol)/i,
  );
  await answer(
    'a chooser that invents one fails',
    { subprotocols: (offered) => (offered.length > 0 ? 'invented' : undefined) },
    'WSD_UPGRADE_FAILED',
  );
  await answer(
    'a chooser that throws fails',
    {
      subprotocols: (offered) => {
        if (offered.length > 0) throw new Error('chooser');
        return undefined;
      },
    },
    'WSD_UPGRADE_FAILED',
  );
  await answer(
    'a header of authorize() that would split the head fails',
    { authorize: () => ({ data: 0, headers: { 'X-Echo': 'a\r\nSet-Cookie: b' } }) },
    'WSD_UPGRADE_FAILED',
  );
  await answer(
    'a header of a refusal that would split the head fails',
    { authorize: () => ({ status: 401, headers: { 'X-Echo': 'a\r\n\r\n<script>' } }) },
    'WSD_UPGRADE_FAILED',
  );
  await answer(
    'a refusal with a status that is none fails',
    { authorize: () => ({ status: 99 }) },
    'WSD_UPGRADE_FAILED',
  );
});

t.test('16: a page of another origin, and a page behind a rebound name, stay outside', async (test) => {
  const origin = (value: string, code?: FaultCode, host = '127.0.0.1'): Row => ({
    name: `${value} at ${host}`,
    bytes: request([...GOOD.slice(1), `Host: ${host}`, `Origin: ${value}`]),
    code,
  });
  const foreign = 'WSD_UPGRADE_ORIGIN';
  await play(test, [
    origin('http://127.0.0.1'),
    origin('null', foreign),
    // A proxy in front may have taken the TLS off: see lib/server/origin.ts.
    origin('https://127.0.0.1'),
    origin('http://127.0.0.1:81', foreign),
    origin('http://127.0.0.1.evil.example', foreign),
    origin('http://evil.example', foreign),
    origin('http://localhost', foreign),
    origin('garbage', foreign),
    origin('http://rebound.example', 'WSD_UPGRADE_HOST', 'rebound.example'),
  ]);
  await play(
    test,
    [
      origin('https://app.example', undefined, 'any.example'),
      origin('https://APP.example', undefined, 'any.example'),
      origin('https://app.example:8443', foreign, 'any.example'),
      origin('http://app.example', foreign, 'any.example'),
      origin('https://evilapp.example', foreign, 'any.example'),
      origin('https://app.example.evil', foreign, 'any.example'),
      origin('https://app.example/', foreign, 'any.example'),
    ],
    { origins: ['https://app.example'], hosts: 'any' },
  );
});

t.test('16: a rule of the embedder that throws refuses that one peer', async (test) => {
  const thrower = (): never => {
    throw new TypeError('Invalid URL');
  };
  const headers = { Origin: 'null' };
  for (const options of [{ origins: thrower }, { path: (path: string) => path === '/' || thrower() }]) {
    await onStage(test, { options: { hosts: 'any', ...options } as ServerOptions<unknown> }, async (stage) => {
      const wire = await stage.dial();
      wire.write(stage.request({ path: '/other', headers }));
      await sentAway(test, wire, 'WSD_UPGRADE_FAILED');
    }).catch((error: Error) => {
      // An origin rule that always throws lets no neighbour in either, and says so with a 500.
      test.match(error.message, /not upgraded: "HTTP\/1\.1 500 /);
    });
  }
});

t.test(
  '9: what comes before the answer waits, is bounded, and is not looked at unless the answer is yes',
  async (test) => {
    const early = Buffer.concat([encode({ opcode: 1, payload: 'one' }), encode({ opcode: 1, payload: 'two' })]);
    let asked = 0;
    let decide: (yes: boolean) => void = () => {};
    const authorize = async (): Promise<{ data: unknown } | { status: number }> => {
      asked++;
      return (await new Promise<boolean>((resolve) => {
        decide = resolve;
      }))
        ? { data: undefined }
        : { status: 401 };
    };
    const heard: unknown[] = [];
    const onConnection = (connection: { on(name: 'message', call: (data: unknown) => void): unknown }): void => {
      connection.on('message', (data) => heard.push(data));
    };
    await onStage(test, { options: { authorize }, onConnection }, async (stage) => {
      const yes = await stage.dial();
      yes.write(Buffer.concat([Buffer.from(stage.request()), early]));
      await until(() => asked === 1);
      for (const byte of encode({ opcode: 1, payload: 'three' })) yes.write(Uint8Array.of(byte));
      test.equal(heard.length, 0, 'not before the 101');
      decide(true);
      test.match(await yes.readHead(), /^HTTP\/1\.1 101 /);
      await until(() => heard.length === 3);
      test.same(heard, ['one', 'two', 'three'], 'each once, in order');
      yes.destroy();

      const no = await stage.dial();
      no.write(Buffer.concat([Buffer.from(stage.request()), early]));
      await until(() => asked === 2);
      decide(false);
      test.match(await no.readHead(), /^HTTP\/1\.1 401 /);
      test.equal(await no.ended(), 'end');
      test.equal(heard.length, 3, 'nothing of a refused peer is delivered');

      const flood = await stage.dial();
      flood.write(stage.request());
      await until(() => asked === 3);
      flood.write(new Uint8Array(200_000));
      await sentAway(test, flood, 'WSD_HTTP_EARLY');
      await stage.counted('refused:WSD_HTTP_EARLY');
      await stage.counted('refused:WSD_UPGRADE_REFUSED');
    });
  },
);

t.test(
  '18: an authorizer that throws, rejects, says nothing sensible or never settles costs its own peer only',
  async (test) => {
    const signals: AbortSignal[] = [];
    const authorize = ({ path }: { path: string }, signal: AbortSignal): never | Promise<never> => {
      signals.push(signal);
      if (path === '/throws') throw new Error('secret of the database\n    at lib.js:1:1');
      if (path === '/rejects') return Promise.reject(new Error('secret'));
      if (path === '/undefined') return undefined as never;
      return never();
    };
    const options = { authorize, authorizeTimeout: 150, maxPendingAuthorize: 3 };
    await onStage(test, { options }, async (stage) => {
      for (const path of ['/throws', '/rejects', '/undefined']) {
        const wire = await stage.dial();
        wire.write(stage.request({ path }));
        await sentAway(test, wire, 'WSD_UPGRADE_FAILED', path);
        wire.destroy();
      }
      signals.length = 0;
      const pending = await Promise.all([stage.dial(), stage.dial(), stage.dial()]);
      for (const wire of pending) wire.write(stage.request());
      await until(() => signals.length === 3);
      const fourth = await stage.dial();
      fourth.write(stage.request());
      await sentAway(test, fourth, 'WSD_UPGRADE_BUSY');
      pending[0]?.reset();
      await until(() => signals[0]?.aborted === true);
      test.equal(signals[0]?.aborted, true, 'who leaves aborts the question');
      for (const wire of pending.slice(1)) {
        const text = await wire.readHead();
        test.match(text, /^HTTP\/1\.1 503 [\s\S]*\r\nretry-after: \d+\r/i, 'too slow: 503, and when to come back');
      }
      test.ok(
        signals.every(({ aborted }) => aborted),
        'and the question is aborted',
      );
      await stage.counted('refused:WSD_UPGRADE_FAILED', 3);
      await stage.counted('refused:WSD_UPGRADE_SLOW', 2);
      await stage.counted('refused:WSD_UPGRADE_BUSY');
    });
  },
);

t.test('18: an answer that comes after the peer has left is written nowhere', (test) => {
  const answers: ((answer: { data: unknown }) => void)[] = [];
  const authorize = (): Promise<{ data: unknown }> => new Promise((resolve) => answers.push(resolve));
  return onStage(test, { options: { authorize } }, async (stage) => {
    for (const leave of ['reset', 'end', 'destroy'] as const) {
      const wire = await stage.dial();
      wire.write(stage.request());
      const before = answers.length;
      await until(() => answers.length > before);
      wire[leave]();
      await until(() => stage.server.counts().authorizing === 0);
      answers.at(-1)?.({ data: undefined });
      await new Promise((resolve) => setImmediate(resolve));
      test.equal(stage.connections.length, 0, `${leave}: no connection came of it`);
    }
  });
});

t.test(
  '19, 21: every spelling of a path is authorized as the path that is served, and odd credentials are only text',
  (test) => {
    const seen: string[] = [];
    const authorize = ({
      path,
      fields,
    }: {
      path: string;
      fields: { get(name: string): string | undefined };
    }): { status: number } => {
      seen.push(`${path} ${fields.get('cookie') ?? ''}${fields.get('authorization') ?? ''}`);
      return { status: 401 };
    };
    return onStage(test, { options: { authorize, path: ['/', '/admin'] } }, async (stage) => {
      const ask = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
        const wire = await stage.dial();
        wire.write(stage.request({ path, headers }));
        const head = await wire.readHead();
        wire.destroy();
        return head.slice(9, 12);
      };
      for (const path of ['/admin', '/%61dmin', '/admi%6E', `http://127.0.0.1:${stage.port}/admin`, '/admin?x=%2e']) {
        test.equal(await ask(path), '401', `${path} is asked about`);
        test.equal(seen.at(-1), '/admin ', `${path} is asked about as /admin`);
      }
      const asked = seen.length;
      for (const path of ['/Admin', '/admin/', '//admin', '/admin;x', '/admin%20'])
        test.equal(await ask(path), '404', path);
      test.equal(seen.length, asked, 'what is not served is not asked about');
      const odd = ['%', '=;=;;', 'a="b', 'Basic !!!', 'Basic Og', 'Bearer', '\xff\xfe', 'x'.repeat(4000)];
      for (const value of odd) {
        test.equal(await ask('/admin', { Cookie: value }), '401', `cookie ${value.slice(0, 20)}`);
        test.equal(await ask('/admin', { Authorization: value }), '401', `authorization ${value.slice(0, 20)}`);
      }
    });
  },
);

t.test('20: secrets are compared by fixed-length digests, whatever their length', (test) => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['', '', true],
    ['secret', 'secret', true],
    ['secret', 'secreT', false],
    ['secret', 'secret ', false],
    ['', 'secret', false],
    ['é', 'e\u0301', false],
    ['x'.repeat(100_000), 'x', false],
  ];
  for (const [a, b, same] of cases) test.equal(equalDigest(a, b), same, `${a.slice(0, 9)} and ${b.slice(0, 9)}`);
  test.end();
});

t.test(
  '48: a storm is turned away before it costs anything, and told to come back at different times',
  async (test) => {
    let asked = 0;
    const authorize = (): { data: undefined } => {
      asked++;
      return { data: undefined };
    };
    const storm = async (options: ServerOptions<unknown>, code: FaultCode): Promise<void> => {
      asked = 0;
      await onStage(test, { options: { authorize, ...options } }, async (stage) => {
        const delays = new Set<string>();
        const wires = await Promise.all(Array.from({ length: 40 }, () => stage.dial()));
        for (const wire of wires) {
          wire.write(stage.request());
          const head = await wire.readHead();
          if (head.startsWith('HTTP/1.1 101')) continue;
          test.ok(head.includes(` ${(FAULTS[code] as { status: number }).status} `), 'the status');
          delays.add(/^retry-after: (\d+)\r$/im.exec(head)?.[1] ?? 'none');
        }
        test.ok(asked <= 3, `the authorizer was asked ${asked} times`);
        test.ok(delays.size > 1 && !delays.has('none'), `they are told to wait ${[...delays]} seconds`);
        test.ok((stage.server.counters()[`refused:${code}`] ?? 0) >= 37, 'and counted');
      });
    };
    await storm({ acceptRate: { perSecond: 1, burst: 3 } }, 'WSD_UPGRADE_BUSY');
    await storm({ acceptRatePerAddress: { perSecond: 0.001, burst: 3 } }, 'WSD_UPGRADE_RATE');
    await storm({ maxPerAddress: 3 }, 'WSD_UPGRADE_RATE');
    await storm({ maxConnections: 3 }, 'WSD_UPGRADE_BUSY');
  },
);

t.test('18, 48: who is still waiting when the server closes is told so, and the close ends', async (test) => {
  const server = createServer({ authorize: never, closeTimeout: 100 });
  const { port = 0 } = await server.listen();
  const asking = await connect(port);
  asking.write(upgradeRequest(port));
  await until(() => server.counts().authorizing === 1);
  const silent = await connect(port);
  await until(() => server.counts().halfOpen === 2);
  const closing = server.close({ drain: 100 });
  await sentAway(test, asking, 'WSD_UPGRADE_CLOSING');
  await sentAway(test, silent, 'WSD_UPGRADE_CLOSING');
  test.same(await within(closing, 'the close'), { clean: 0, cut: 0 });
  test.equal(server.counters()['refused:WSD_UPGRADE_CLOSING'], 2);
  asking.destroy();
  silent.destroy();
});
