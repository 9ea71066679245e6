// The server as its options make it, over real sockets: who gets in (path, origin, host), on which terms (subprotocol, deflate), under which
// address, within which limits; plain requests; and that a handler that fails fails alone.

import { inflateRawSync } from 'node:zlib';
import t from 'tap';
import { connect, encode, upgrade, upgradeRequest } from '../../fixtures/rig/wire.js';
import { type Connection, createServer, type PlainRequest, type ServerOptions } from '../../lib/index.js';
import { ask, askUpgrade, echo, isEmpty, open, plain, readAnswer, roundTrip, until } from './scene.js';

type Headers = Readonly<Record<string, string | undefined>>;

t.test('options that are wrong are told at once, all of them, by name', async (t) => {
  const rows: readonly [unknown, RegExp][] = [
    [{ maxMesage: 1 }, /createServer: .*maxMesage/],
    [{ maxMessage: 0, pingInterval: -1 }, /maxMessage.*pingInterval/],
    [{ path: 'chat' }, /path "chat" must begin with \//],
    [{ path: 7 }, /path/],
    [{ origins: ['good.example/'] }, /origin "good\.example\/"/],
    [{ origins: 'some' }, /origins/],
    [{ hosts: ['a b'] }, /host "a b"/],
    [{ authorize: true }, /authorize: must be a function/],
    [{ subprotocols: 'chat' }, /subprotocols/],
    [{ acceptRate: 5 }, /acceptRate/],
    [{ trustedProxies: ['nowhere'] }, /nowhere/],
    [{ deflate: { level: 10 } }, /level/],
    [{ deflate: { serverBits: 7 } }, /serverBits/],
    [7, /createServer/],
  ];
  for (const [options, message] of rows) {
    let thrown: unknown;
    try {
      createServer(options as ServerOptions);
    } catch (error) {
      thrown = error;
    }
    t.ok(thrown instanceof TypeError || thrown instanceof RangeError, `${JSON.stringify(options)} is refused`);
    t.match(String(thrown), message);
  }
  t.throws(() => createServer({}, 'handler' as never), TypeError);
  t.match(createServer().counts(), { open: 0 }, 'none at all is fine');
});

t.test('a path rule is a path, a list, a prefix or a function, of the path without its query', async (t) => {
  const rows: readonly [ServerOptions['path'], readonly string[], readonly string[]][] = [
    [undefined, ['/', '/a/b?x', '/%E2%82%AC'], []],
    ['/chat', ['/chat', '/chat?x=/', '/%63hat'], ['/', '/chat/', '/Chat', '/chat/x', '/chats']],
    [
      ['/a', '/b/*'],
      ['/a', '/b/', '/b/c/d'],
      ['/b', '/a/', '/c'],
    ],
    [(path) => path.length === 3, ['/ab', '/ab?long'], ['/', '/abc']],
    [() => 'yes' as never, [], ['/']],
  ];
  for (const [path, good, bad] of rows) {
    const { port, refused } = await open(t, { path });
    for (const one of good) t.equal((await askUpgrade(port, { path: one })).status, 101, `${path}: ${one}`);
    for (const one of bad) {
      t.equal((await askUpgrade(port, { path: one })).status, 404, `${path}: not ${one}`);
      t.match(refused.at(-1), { code: 'WSD_UPGRADE_PATH', path: one });
    }
  }
});

t.test('an origin rule is for pages, and asks scheme, host and port', async (t) => {
  const here = 'http://HERE';
  const rows: readonly [ServerOptions['origins'], readonly (string | undefined)[], readonly (string | undefined)[]][] =
    [
      [undefined, [here, undefined], ['http://127.0.0.1', 'http://evil.example', 'null', `${here}.evil.example`]],
      ['any', ['https://a.example', 'null', undefined], []],
      [
        ['https://a.example', 'null'],
        ['https://a.example', 'HTTPS://A.example:443', 'null', undefined],
        [here, 'http://a.example'],
      ],
      [
        (origin, host) => origin === 'https://a.example' && host.startsWith('127.'),
        ['https://a.example'],
        [here, undefined],
      ],
    ];
  for (const [origins, good, bad] of rows) {
    const { port, refused } = await open(t, { origins });
    const asked = async (origin: string | undefined): Promise<number> =>
      (await askUpgrade(port, { headers: { Origin: origin?.replace('HERE', `127.0.0.1:${port}`) } })).status;
    for (const one of good) t.equal(await asked(one), 101, `${origins}: ${one}`);
    for (const one of bad) {
      t.equal(await asked(one), 403, `${origins}: not ${one}`);
      t.match(refused.at(-1), { code: 'WSD_UPGRADE_ORIGIN', status: 403 });
    }
  }
});

t.test('a host rule names the hosts that are served; on loopback a page cannot come under another name', async (t) => {
  const page = { Origin: 'http://evil.example' };
  const rows: readonly [ServerOptions['hosts'], Headers, number][] = [
    [undefined, { Host: 'evil.example' }, 101],
    [undefined, { Host: 'evil.example', ...page }, 403],
    [undefined, { Host: 'localhost', Origin: 'http://localhost' }, 101],
    [undefined, { Host: 'evil.example', Via: '1.1 a', ...page }, 101],
    ['any', { Host: 'evil.example', ...page }, 101],
    ['loopback', { Host: 'evil.example', ...page }, 403],
    [['app.example', '*.app.example'], { Host: 'app.example:81' }, 101],
    [['app.example', '*.app.example'], { Host: 'x.app.example' }, 101],
    [['app.example', '*.app.example'], { Host: 'x-app.example' }, 403],
    [['app.example', '*.app.example'], { Host: '127.0.0.1' }, 403],
  ];
  for (const [hosts, headers, status] of rows) {
    const { port, refused } = await open(t, { hosts });
    t.equal((await askUpgrade(port, { headers })).status, status, `${hosts}: ${JSON.stringify(headers)}`);
    t.same(
      refused.map(({ code }) => code),
      status === 101 ? [] : ['WSD_UPGRADE_HOST'],
    );
  }
});

t.test('the subprotocol is the first of ours that was offered, or what the function chose', async (t) => {
  const rows: readonly [ServerOptions['subprotocols'], string | undefined, number, string | undefined][] = [
    [undefined, 'chat', 101, undefined],
    [['b', 'a'], 'a, b', 101, 'b'],
    [['b', 'a'], 'c', 101, undefined],
    [['a'], undefined, 101, undefined],
    [['A'], 'a', 101, undefined],
    [(offered) => offered.at(-1), 'x, y', 101, 'y'],
    [(_, { path }) => path.slice(1), 'a', 101, 'a'],
    [() => undefined, 'a', 101, undefined],
    [() => '', 'a', 101, undefined],
    [() => 'z', 'a', 500, undefined],
    [() => 'z', undefined, 500, undefined],
    [() => ({}) as never, 'a', 500, undefined],
    [
      () => {
        throw new Error('secret');
      },
      'a',
      500,
      undefined,
    ],
  ];
  for (const [i, [subprotocols, offer, status, chosen]] of rows.entries()) {
    const { port, connections, refused } = await open(t, { subprotocols });
    const answer = await askUpgrade(port, { path: '/a', headers: { 'Sec-WebSocket-Protocol': offer } });
    t.equal(answer.status, status, `row ${i}`);
    t.equal(answer.field('Sec-WebSocket-Protocol'), chosen, `row ${i}: told`);
    if (status === 101) t.equal(connections[0]?.subprotocol, chosen ?? '', `row ${i}: and kept`);
    else t.match(refused, [{ code: 'WSD_UPGRADE_FAILED', detail: String }]);
  }
});

t.test('deflate is agreed when it is offered, switched on, and within our terms', async (t) => {
  const none = 'server_no_context_takeover; client_no_context_takeover';
  const rows: readonly [ServerOptions['deflate'], string | undefined, string | undefined][] = [
    [undefined, 'permessage-deflate', undefined],
    [false, 'permessage-deflate', undefined],
    [true, undefined, undefined],
    [true, 'permessage-deflate', `permessage-deflate; ${none}`],
    [true, 'permessage-deflate; client_max_window_bits', `permessage-deflate; ${none}`],
    [true, 'x-other, permessage-deflate; unknown, permessage-deflate', `permessage-deflate; ${none}`],
    [true, 'permessage-deflate; unknown', undefined],
    [true, 'permessage-deflate; server_max_window_bits=7', undefined],
    [true, 'permessage-deflate; server_max_window_bits=10', `permessage-deflate; ${none}; server_max_window_bits=10`],
    [{ contextTakeover: true }, 'permessage-deflate', 'permessage-deflate'],
    [
      { contextTakeover: true },
      'permessage-deflate; server_no_context_takeover',
      'permessage-deflate; server_no_context_takeover',
    ],
    [{ contextTakeover: true, clientBits: 10 }, 'permessage-deflate', undefined],
    [
      { contextTakeover: true, clientBits: 10 },
      'permessage-deflate; client_max_window_bits',
      'permessage-deflate; client_max_window_bits=10',
    ],
  ];
  for (const [deflate, offer, agreed] of rows) {
    const { port, connections } = await open(t, {
      deflate: typeof deflate === 'object' ? { ...deflate, threshold: 8 } : deflate,
    });
    const wire = await upgrade(port, { headers: { 'Sec-WebSocket-Extensions': offer } });
    const name = `${JSON.stringify(deflate)} and ${offer}`;
    const told = /^Sec-WebSocket-Extensions: (.*)\r$/m.exec(wire.head)?.[1];
    t.equal(told, agreed, name);
    t.equal(connections[0]?.extensions, agreed ?? '', `${name}: kept`);
    const text = 'so much of the same, '.repeat(100);
    wire.sendFrame({ opcode: 1, payload: text });
    const { rsv, payload } = await wire.readFrame();
    t.equal(rsv, agreed === undefined ? 0 : 4, `${name}: used`);
    const plainly =
      rsv === 0
        ? payload
        : inflateRawSync(Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]), { finishFlush: 2 });
    t.equal(Buffer.from(plainly).toString(), text);
    wire.destroy();
  }
});

t.test('a plain request is told what this is, and how to connect', async (t) => {
  const { server, port, refused } = await open(t, { path: '/chat' });
  const answer = await ask(port, plain('GET', '/chat?x', 'User-Agent: a'));
  t.equal(answer.status, 426);
  t.equal(answer.field('Upgrade'), 'websocket');
  t.equal(answer.field('Sec-WebSocket-Version'), '13');
  t.match(answer.field('Content-Type'), /^text\/plain/);
  t.match(answer.body, /new WebSocket\('ws:\/\/localhost\/chat'\)/);
  t.match(answer.body, /wsd connect ws:\/\/localhost\/chat/);
  const head = await ask(port, plain('HEAD', '/chat?x'));
  t.equal(head.status, 426);
  t.equal(head.body, '', 'HEAD: the head only');
  t.equal(head.field('Content-Length'), answer.field('Content-Length'), 'HEAD: with the length of the rest');
  t.equal((await ask(port, plain('POST', '/chat'))).status, 405);
  t.match(refused.slice(0, 2), [{ code: 'WSD_UPGRADE_REQUIRED', status: 426, path: '/chat' }, {}]);
  t.equal(server.counters()['opened'], undefined);
});

t.test('a request listener may answer plain requests instead', async (t) => {
  const { server, port, refused, errors } = await open(t, { handshakeTimeout: 80 });
  const seen: PlainRequest[] = [];
  server.on('request', (request) => {
    seen.push(request);
    const { path } = request;
    const respond: PlainRequest['respond'] = (answer) => request.respond(answer);
    if (path === '/page') respond({ status: 200, headers: { 'Content-Type': 'text/html' }, body: '<p>é' });
    if (path === '/bytes') respond({ status: 200, body: Uint8Array.of(65, 66) });
    if (path === '/later') setTimeout(() => respond({ status: 203, body: 'later' }), 5);
    if (path === '/twice') for (const status of [201, 202]) respond({ status });
    if (path === '/throws') throw new Error('a mistake');
    if (path === '/wrong') respond({ status: 200, headers: { 'X-Reflected': 'a\r\nX-Evil: 1' } });
    if (path === '/recovers') {
      try {
        respond({ status: 42 });
      } catch (error) {
        respond({ status: 500, body: (error as Error).name });
      }
    }
  });
  const page = await ask(port, plain('GET', '/page?a=b', 'X-A: 1'));
  t.match(page, { status: 200, body: '<p>é' });
  t.equal(page.field('Content-Type'), 'text/html');
  t.equal(page.field('Content-Length'), '5');
  t.equal(page.field('Connection'), 'close');
  t.match(seen[0], {
    method: 'GET',
    path: '/page',
    query: 'a=b',
    host: 'localhost',
    remoteAddress: '127.0.0.1',
    secure: false,
  });
  t.equal(seen[0]?.fields.get('x-a'), '1');
  const head = await ask(port, plain('HEAD', '/page'));
  t.match(head, { status: 200, body: '' });
  t.equal(head.field('Content-Length'), '5');
  t.equal(seen[1]?.method, 'HEAD');
  t.equal((await ask(port, plain('GET', '/bytes'))).body, 'AB');
  t.match(await ask(port, plain('GET', '/later')), { status: 203, body: 'later' });
  t.equal((await ask(port, plain('GET', '/twice'))).status, 201, 'one answer');
  t.match(await ask(port, plain('GET', '/recovers')), { status: 500, body: 'RangeError' });
  t.same(refused, []);

  const start = performance.now();
  const slow = await ask(port, plain('GET', '/silent'));
  t.equal(slow.status, 503, 'who never answers has the deadline of the handshake');
  t.ok(performance.now() - start >= 79);
  t.doesNotThrow(() => seen.at(-1)?.respond({ status: 200 }), 'an answer that comes later is none');
  for (const path of ['/throws', '/wrong']) {
    const before = errors.length;
    t.match(await ask(port, plain('GET', path)), { status: 500 }, `${path}: somebody has to answer`);
    t.equal(errors.length, before + 1, `${path}: the mistake is told`);
  }
  t.equal((await askUpgrade(port)).status, 101, 'upgrades are not its business');
  t.ok(await isEmpty(server));
});

t.test('the address is the client’s where trusted proxies say so, and else the socket’s', async (t) => {
  const v2 = (command: number, family: number, body: readonly number[]): Buffer =>
    Buffer.from([
      0x0d,
      0x0a,
      0x0d,
      0x0a,
      0,
      0x0d,
      0x0a,
      0x51,
      0x55,
      0x49,
      0x54,
      0x0a,
      command,
      family,
      0,
      body.length,
      ...body,
    ]);
  const inet = [192, 0, 2, 9, 127, 0, 0, 1, 0x10, 0, 0x20, 0];
  const trusted: ServerOptions = { trustedProxies: ['loopback'] };
  const proxy: ServerOptions = { ...trusted, proxyProtocol: true };
  const forwarded: ServerOptions = { ...trusted, forwardingHeader: 'forwarded' };
  const rows: readonly [string, ServerOptions, string | Buffer, Headers, string, boolean?][] = [
    ['nobody is trusted', {}, '', { 'X-Forwarded-For': '192.0.2.1' }, '127.0.0.1'],
    ['no header', trusted, '', {}, '127.0.0.1'],
    ['X-Forwarded-For', trusted, '', { 'X-Forwarded-For': '192.0.2.1' }, '192.0.2.1'],
    [
      'the last one that is not trusted',
      trusted,
      '',
      { 'X-Forwarded-For': '6.6.6.6, 192.0.2.1, 127.0.0.2' },
      '192.0.2.1',
    ],
    ['garbage', trusted, '', { 'X-Forwarded-For': '192.0.2.1, garbage' }, '127.0.0.1'],
    ['the header that is not the one', trusted, '', { Forwarded: 'for=192.0.2.1' }, '127.0.0.1'],
    ['Forwarded', forwarded, '', { Forwarded: 'for="[2001:db8::1]:80";proto=https' }, '2001:db8::1'],
    ['PROXY version 1', proxy, 'PROXY TCP4 192.0.2.7 127.0.0.1 4096 8192\r\n', {}, '192.0.2.7'],
    ['PROXY version 1, unknown', proxy, 'PROXY UNKNOWN\r\n', {}, '127.0.0.1'],
    ['PROXY version 2', proxy, v2(0x21, 0x11, inet), {}, '192.0.2.9'],
    ['PROXY version 2, its own health check', proxy, v2(0x20, 0x00, []), {}, '127.0.0.1'],
    ['PROXY version 2 over TLS', proxy, v2(0x21, 0x11, [...inet, 0x20, 0, 5, 1, 0, 0, 0, 0]), {}, '192.0.2.9', true],
  ];
  for (const [name, options, preface, headers, address, secure = false] of rows) {
    const seen: unknown[] = [];
    const { port, connections } = await open(t, {
      ...options,
      authorize: (request) => {
        seen.push(request.remoteAddress, request.secure);
        return { data: undefined };
      },
    });
    for (const cut of [false, true]) {
      const wire = await connect(port);
      const bytes = Buffer.concat([Buffer.from(preface), Buffer.from(upgradeRequest(port, { headers }))]);
      if (cut) for (const byte of bytes) wire.write(Uint8Array.of(byte));
      else wire.write(bytes);
      t.equal((await readAnswer(wire)).status, 101, name);
      t.equal(connections.at(-1)?.remoteAddress, address, `${name}${cut ? ', byte by byte' : ''}`);
      t.same(seen.splice(0), [address, secure], name);
      wire.destroy();
    }
  }
});

t.test('a PROXY header that is wrong or missing ends the socket without a word', async (t) => {
  const { server, port, refused } = await open(t, { trustedProxies: ['loopback'], proxyProtocol: true });
  const prefaces = ['', 'PROXY TCP4 nowhere 127.0.0.1 1 2\r\n', 'PROXY TCP4 192.0.2.7 127.0.0.1 4096 8192\n'];
  for (const preface of prefaces) {
    const wire = await connect(port);
    wire.write(preface + upgradeRequest(port));
    await wire.ended();
    t.equal(wire.unread.length, 0, JSON.stringify(preface));
    t.match(refused.at(-1), { code: 'WSD_HTTP_PROXY' });
  }
  t.ok(await isEmpty(server));

  const outside = await open(t, { trustedProxies: ['192.0.2.1'], proxyProtocol: true });
  const own = await ask(outside.port, `PROXY TCP4 192.0.2.7 127.0.0.1 4096 8192\r\n${upgradeRequest(port)}`);
  t.equal(own.status, 400, 'a client cannot bring its own');
  t.equal((await askUpgrade(outside.port)).status, 101, 'and needs none');
});

t.test('the limits of one address hold for the client that a proxy names', async (t) => {
  const { server, port, refused } = await open(t, { trustedProxies: ['loopback'], maxPerAddress: 1 });
  const from = (address: string): { headers: Headers } => ({ headers: { 'X-Forwarded-For': address } });
  const wires = [await upgrade(port, from('192.0.2.1')), await upgrade(port, from('2001:db8::1'))];
  for (const address of ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::2']) {
    t.equal((await askUpgrade(port, from(address))).status, 429, address);
    t.match(refused.at(-1), { code: 'WSD_UPGRADE_RATE', detail: 'perAddress' });
  }
  wires.push(await upgrade(port, from('192.0.2.2')));
  t.equal(server.counts().addresses, 3);
  for (const wire of wires) wire.destroy();
  t.ok(await isEmpty(server));
  t.equal((await askUpgrade(port, from('192.0.2.1'))).status, 101, 'who leaves makes room');
});

t.test('each limit has its status, its name and its counter, and lets go again', async (t) => {
  const rows: readonly [string, ServerOptions, number, 'open' | 'half-open', boolean][] = [
    ['total', { maxConnections: 2 }, 503, 'open', true],
    ['perAddress', { maxPerAddress: 2 }, 429, 'open', true],
    ['halfOpen', { maxHalfOpen: 2 }, 503, 'half-open', true],
    ['halfOpenPerAddress', { maxHalfOpenPerAddress: 2 }, 429, 'half-open', true],
    ['acceptRate', { acceptRate: { perSecond: 0.01, burst: 2 } }, 503, 'open', false],
    ['acceptRatePerAddress', { acceptRatePerAddress: { perSecond: 0.01, burst: 2 } }, 429, 'open', false],
  ];
  for (const [limit, options, status, state, lets] of rows) {
    const { server, port, refused } = await open(t, options);
    const wires = await Promise.all([1, 2].map(() => (state === 'open' ? upgrade(port) : connect(port))));
    await until(() => server.counts()[state === 'open' ? 'open' : 'halfOpen'] === 2);
    const answer = await askUpgrade(port);
    t.equal(answer.status, status, limit);
    t.match(answer.field('Retry-After'), /^[1-9]\d*$/, `${limit}: when to come back`);
    const code = status === 503 ? 'WSD_UPGRADE_BUSY' : 'WSD_UPGRADE_RATE';
    t.match(refused, [{ code, status, detail: limit, remoteAddress: '127.0.0.1', path: undefined }]);
    t.equal(server.counters()[`refused:${code}`], 1);
    for (const wire of wires) wire.destroy();
    t.ok(await isEmpty(server), `${limit}: nothing is left`);
    t.equal((await askUpgrade(port)).status, lets ? 101 : status, `${limit}: afterwards`);
  }
});

t.test('the handshake has one deadline', async (t) => {
  const { server, port, refused } = await open(t, { handshakeTimeout: 70 });
  const wire = await connect(port);
  const start = performance.now();
  wire.write(upgradeRequest(port).slice(0, -2));
  const answer = await readAnswer(wire);
  t.equal(answer.status, 408);
  t.equal(answer.body, 'The request did not arrive in time\n');
  t.ok(performance.now() - start >= 69);
  t.match(refused, [{ code: 'WSD_HTTP_TIMEOUT', status: 408 }]);
  wire.write('\r\n');
  await wire.ended();
  t.equal(wire.unread.length, 0, 'it came too late');
  wire.end();
  t.ok(await isEmpty(server));
});

t.test('a handler that fails ends its own connection with 1011, and nobody else', async (t) => {
  const mistake = (): never => {
    throw new Error('a mistake of the handler');
  };
  const late = async (): Promise<never> => {
    await new Promise((done) => setImmediate(done));
    return mistake();
  };
  const handlers: Readonly<Record<string, (connection: Connection<undefined>) => unknown>> = {
    '/throws': mistake,
    '/rejects': late,
    // biome-ignore lint/suspicious/noThenProperty: what other libraries return
    '/awaited': () => ({ then: (_done: unknown, failed: (reason: Error) => void) => failed(new Error('a mistake')) }),
    // biome-ignore lint/suspicious/noThenProperty: what other libraries return
    '/thenable': (connection) => void connection.on('message', () => ({ then: mistake })),
    '/message': (connection) => void connection.on('message', mistake),
    '/later': (connection) => void connection.on('message', late),
    '/open': (connection) => void connection.on('open', mistake),
    '/ping': (connection) => void connection.on('ping', mistake),
    '/sends': (connection) => {
      connection.send('before');
      mistake();
    },
  };
  const { server, port, connections } = await open(t, {}, (connection) => {
    connection.on('error', () => {});
    return (handlers[connection.request.path] ?? echo)(connection as never);
  });
  const neighbour = await upgrade(port);
  for (const path of Object.keys(handlers)) {
    const wire = await connect(port);
    wire.write(upgradeRequest(port, { path }));
    wire.sendFrame({ opcode: 9 });
    wire.sendFrame({ opcode: 1, payload: 'a word' });
    t.equal((await readAnswer(wire)).status, 101, `${path}: accepted`);
    const frames: string[] = [];
    for (;;) {
      const { opcode, payload } = await wire.readFrame();
      if (opcode === 1) frames.push(Buffer.from(payload).toString());
      if (opcode !== 8) continue;
      t.equal(Buffer.from(payload).readUInt16BE(0), 1011, `${path}: 1011`);
      t.equal(Buffer.from(payload.subarray(2)).toString(), 'internal error', `${path}: and no details`);
      break;
    }
    t.same(frames, path === '/sends' ? ['before'] : [], `${path}: what was sent before`);
    wire.sendFrame({ opcode: 8, payload: Uint8Array.of(3, 0xf3) });
    t.equal(await wire.ended(), 'end');
    wire.destroy();
    t.match(await connections.at(-1)?.closed, { initiator: 'local' }, `${path}: the outcome`);
    t.equal(await roundTrip(neighbour, path), path, `${path}: the neighbour is answered`);
  }
  const { 'closed:1011': closed, opened } = server.counters();
  t.equal(opened, Object.keys(handlers).length + 1);
  t.equal(closed, Object.keys(handlers).length);
  neighbour.destroy();
});

t.test('what comes with the request is delivered, however much a handler is asynchronous', async (t) => {
  const words = ['one', 'two', 'three'];
  const heard: string[] = [];
  const { port } = await open(t, {}, async (connection) => {
    await new Promise((done) => setTimeout(done, 5));
    for await (const word of connection) {
      heard.push(String(word));
      connection.send(word);
    }
  });
  const wire = await connect(port);
  wire.write(
    Buffer.concat([Buffer.from(upgradeRequest(port)), ...words.map((payload) => encode({ opcode: 1, payload }))]),
  );
  t.equal((await readAnswer(wire)).status, 101);
  for (const word of words) t.equal(Buffer.from((await wire.readFrame()).payload).toString(), word);
  t.same(heard, words);
  wire.destroy();
});

t.test('open comes before what came with the request, and both answers leave with the 101', async (t) => {
  const log: string[] = [];
  const { port } = await open(t, {}, (connection) => {
    connection.send('from the handler');
    connection.on('open', () => {
      log.push('open');
      connection.send('from open');
    });
    connection.on('message', (data) => void log.push(`message ${data}`));
    connection.on('ping', () => void log.push('ping'));
  });
  const wire = await connect(port);
  const chunks: Buffer[] = [];
  wire.socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  wire.write(
    Buffer.concat([
      Buffer.from(upgradeRequest(port)),
      encode({ opcode: 9, payload: 'p' }),
      encode({ opcode: 1, payload: 'early' }),
    ]),
  );
  t.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
  for (const text of ['from the handler', 'from open', 'p'])
    t.equal(Buffer.from((await wire.readFrame()).payload).toString(), text);
  t.same(log, ['open', 'ping', 'message early']);
  wire.destroy();

  const late = await connect(port);
  late.write(upgradeRequest(port));
  t.match(await late.readHead(), /^HTTP\/1\.1 101 /);
  for (const text of ['from the handler', 'from open'])
    t.equal(Buffer.from((await late.readFrame()).payload).toString(), text);
  late.destroy();
});

t.test('counters and counts tell what happened and what there is', async (t) => {
  const { server, port, connections } = await open(t, { path: '/' });
  t.same(server.counters(), {});
  const [one, two, three] = [await upgrade(port), await upgrade(port), await upgrade(port)] as const;
  const half = await connect(port);
  await until(() => server.counts().halfOpen === 1);
  t.same(server.counts(), { open: 3, halfOpen: 1, authorizing: 0, addresses: 1 });
  t.equal(server.connections.size, 3);
  await askUpgrade(port, { path: '/x' });
  one.sendFrame({ opcode: 8, payload: Uint8Array.of(3, 0xe8) });
  await one.ended();
  one.end();
  two.sendFrame({ opcode: 3 });
  await two.ended();
  two.end();
  three.reset();
  half.destroy();
  t.ok(await isEmpty(server));
  t.equal(server.connections.size, 0);
  t.same(server.counters(), {
    left: 1,
    accepted: 5,
    'closed:1000': 1,
    'closed:1002': 1,
    'closed:1006': 1,
    'fault:WSD_FRAME_OPCODE': 1,
    [`fault:${(await connections[2]?.closed)?.fault}`]: 1,
    opened: 3,
    'refused:WSD_UPGRADE_PATH': 1,
  });
  t.ok(
    connections.every((connection, i) => connection.id > (connections[i - 1]?.id ?? 0)),
    'ids count up',
  );
});

t.test('a listener of the server that is asynchronous may fail without ending the process', async (t) => {
  const { server, port, errors } = await open(t, { path: '/chat', handshakeTimeout: 80 });
  server.on('request', async () => {
    throw new Error('a request listener');
  });
  server.on('refused', async () => {
    throw new Error('a refused listener');
  });
  server.on('connection', async (connection) => {
    connection.on('close', async () => {
      throw new Error('a close listener');
    });
    throw new Error('a connection listener');
  });
  t.equal((await ask(port, plain('GET', '/'))).status, 500);
  t.equal((await askUpgrade(port, { path: '/' })).status, 404);
  const wire = await upgrade(port, { path: '/chat' });
  t.equal((await wire.readFrame()).opcode, 8, 'the connection of a handler that fails is closed');
  wire.destroy();
  await until(() => errors.length >= 2);
  t.match(errors.map(({ message }) => message).join(), /request listener/);
});

t.test('a reason that cannot even be shown is a reason like others', async (t) => {
  const odd = (): Promise<never> => Promise.reject(Object.create(null));
  const { port, connections } = await open(t, {}, (connection) => {
    if (connection.request.path === '/handler') return odd();
    connection.on('message', connection.request.path === '/message' ? odd : () => Promise.reject(Symbol('reason')));
    return undefined;
  });
  for (const path of ['/handler', '/message', '/symbol']) {
    const wire = await upgrade(port, { path });
    wire.sendFrame({ opcode: 1, payload: 'a word' });
    const { opcode, payload } = await wire.readFrame();
    t.equal(opcode, 8, path);
    t.equal(Buffer.from(payload).readUInt16BE(0), 1011, path);
    wire.sendFrame({ opcode: 8, payload: Uint8Array.of(3, 0xf3) });
    wire.end();
    t.match(await connections.at(-1)?.closed, { initiator: 'local' });
    wire.destroy();
  }
});

t.test(
  'a handler that blocks shows in the loop delay, and a client that leaves unanswered in the counters',
  async (t) => {
    const { server, port } = await open(t, {}, (connection) => {
      connection.on('message', () => {
        const until = performance.now() + 120;
        while (performance.now() < until);
        connection.send('done');
      });
    });
    t.same(server.loopDelay(), { mean: 0, p99: 0, max: 0 }, 'the first question starts the measurement');
    // The measurement has a grain: it needs a turn or two of its timer before and after what it is to see.
    const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));
    await tick();
    const wire = await upgrade(port);
    wire.sendFrame({ opcode: 1, payload: 'block' });
    await wire.readFrame();
    await tick();
    const late = server.loopDelay().max;
    t.ok(late > 60, `${late.toFixed(0)} ms late`);
    wire.destroy();

    const half = await connect(port);
    half.write('GET / HTTP/1.1\r\n');
    await until(() => server.counts().halfOpen === 1);
    half.reset();
    t.ok(await until(() => server.counters()['left'] === 1), 'it left before it had an answer');
  },
);
