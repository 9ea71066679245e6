// A server beside others: on an http.Server or https.Server of the embedder, with other libraries on it, and with sockets that somebody
// else accepted.

import { readFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type ServerOptions as HttpServerOptions,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
} from 'node:http';
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { cuttings } from '../../fixtures/rig/chunker.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { connect as dial, encode, upgrade, upgradeRequest, Wire } from '../../fixtures/rig/wire.js';
import { type Connection, connect, createServer, type OnConnection, type ServerOptions } from '../../lib/index.js';
import { ask, askUpgrade, echo, isEmpty, plain, readAnswer, roundTrip, type Scene, until, within } from './scene.js';

const rng = seedFromEnv('attach');
const pem = (name: string): string =>
  readFileSync(new URL(`../../../fixtures/tls/${name}.pem`, import.meta.url), 'utf8');
const EMPTY = { open: 0, halfOpen: 0, authorizing: 0, addresses: 0 };

/** The npm package, as far as it is used here; it ships no types. */
interface Peer {
  // The name of the package's own class.
  readonly WebSocketServer: new (
    options: object,
  ) => {
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: (socket: PeerSocket) => void): void;
  };
}
interface PeerSocket {
  on(event: 'message', listener: (data: Buffer) => void): void;
  send(data: string): void;
}
const { WebSocketServer } = createRequire(import.meta.url)('ws') as Peer;

const page: RequestListener = (_request, response) => response.end('a page');

/** An http server on 127.0.0.1 that ends with its test. */
const serveHttp = async (
  t: Test,
  options: HttpServerOptions = {},
  listener: RequestListener = page,
): Promise<{ http: HttpServer; port: number }> => {
  const http = createHttpServer(options, listener);
  const sockets = new Set<Socket>();
  http.on('connection', (socket: Socket) => sockets.add(socket));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    http.close();
  });
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  return { http, port: (http.address() as AddressInfo).port };
};

/** A server that listens nowhere by itself. */
const beside = (
  t: Test,
  options: ServerOptions = {},
  onConnection: OnConnection<undefined> = (connection) => echo(connection),
): Omit<Scene<undefined>, 'listening' | 'port'> => {
  const connections: Connection<undefined>[] = [];
  const server = createServer({ closeTimeout: 200, ...options }, (connection) => {
    connections.push(connection);
    return onConnection(connection);
  });
  t.teardown(() => server.close({ drain: 20 }));
  const all = { server, connections, refused: [], errors: [] } as Omit<Scene<undefined>, 'listening' | 'port'>;
  server.on('refused', (one) => all.refused.push(one)).on('error', (error) => all.errors.push(error));
  return all;
};

t.test('on an http server it takes its path, and pages are served as before', async (t) => {
  for (const [name, options, attach] of [
    ['the path of the server', { path: '/chat' }, {}],
    ['a path of its own', {}, { path: '/chat' }],
    ['a list', {}, { path: ['/other', '/chat', '/room/*'] }],
  ] as const) {
    const { http, port } = await serveHttp(t);
    const { server, connections, refused } = beside(t, options);
    server.attach(http, attach);
    const wire = await upgrade(port, { path: '/chat?room=1' });
    t.equal(await roundTrip(wire, 'a word'), 'a word', name);
    t.match(connections[0], { remoteAddress: '127.0.0.1', request: { path: '/chat', query: 'room=1' } });
    t.match(await ask(port, plain('GET', '/', 'Connection: close')), { status: 200 });
    t.match(await ask(port, plain('GET', '/chat', 'Connection: close')), { status: 200 }, 'a page there too');
    // Nobody else listens for upgrades: left alone, this one would never be answered.
    const answer = await askUpgrade(port, { path: '/elsewhere' });
    t.equal(answer.status, 404, `${name}: nobody else could answer`);
    t.equal(answer.body, 'No WebSocket at this path\n');
    t.match(refused, [{ code: 'WSD_UPGRADE_PATH', status: 404, path: '/elsewhere' }]);
    wire.destroy();
    t.ok(await until(() => server.counts().open === 0));
  }
});

t.test('what a request through an http server can do wrong has the same answers', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server, refused } = beside(t, { path: '/', origins: ['https://good.example'] });
  server.attach(http);
  const rows: readonly [string, Readonly<Record<string, string | undefined>>, number, string][] = [
    ['an origin', { Origin: 'https://bad.example' }, 403, 'WSD_UPGRADE_ORIGIN'],
    ['a version', { 'Sec-WebSocket-Version': '8' }, 426, 'WSD_UPGRADE_VERSION'],
    ['a key', { 'Sec-WebSocket-Key': 'x' }, 400, 'WSD_UPGRADE_KEY'],
    ['a body', { 'Content-Length': '3' }, 400, 'WSD_HTTP_BODY'],
    ['a rebound name', { Host: 'evil.example', Origin: 'https://good.example' }, 403, 'WSD_UPGRADE_HOST'],
  ];
  for (const [name, headers, status, code] of rows) {
    t.equal((await askUpgrade(port, { headers })).status, status, name);
    t.equal(refused.at(-1)?.code, code, name);
  }
  t.equal((await askUpgrade(port, { headers: { Origin: 'https://good.example' } })).status, 101);
});

t.test('a request through an http server is read as one of our own listeners is', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server } = beside(t, { path: ['/chat', '/room/*'] });
  server.attach(http);
  const { port: own = 0 } = await server.listen();
  const rows: readonly [string, number][] = [
    ['/chat', 101],
    ['/%63hat?a=/x', 101],
    ['http://127.0.0.1/chat', 101],
    ['/room/%61', 101],
    ['/room/../x', 400],
    ['/room', 404],
    ['/CHAT', 404],
  ];
  for (const [path, status] of rows) {
    const headers = { Host: '127.0.0.1' };
    t.equal((await askUpgrade(own, { path, headers })).status, status, path);
    t.equal((await askUpgrade(port, { path, headers })).status, status, `${path}, attached`);
  }
  for (const at of [own, port]) {
    const request = upgradeRequest(at, { path: '/chat' }).replace('HTTP/1.1', 'HTTP/1.0');
    t.equal((await ask(at, request)).status, 505, 'HTTP/1.0 has no upgrade');
  }
});

t.test('other paths and other protocols of other listeners are left alone', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server, connections, refused } = beside(t, { path: '/ours' });
  server.attach(http);
  const theirs = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    if (request.headers.upgrade !== 'websocket') {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: smoke\r\n\r\nsignals');
    } else if (request.url === '/theirs') {
      theirs.handleUpgrade(request, socket, head, (one) => one.on('message', (data) => one.send(`theirs: ${data}`)));
    }
  });
  const ours = await upgrade(port, { path: '/ours' });
  const other = await upgrade(port, { path: '/theirs' });
  t.equal(await roundTrip(ours, 'a word'), 'a word');
  t.equal(await roundTrip(other, 'a word'), 'theirs: a word');
  const smoke = await dial(port);
  smoke.write(plain('GET', '/ours', 'Connection: Upgrade', 'Upgrade: smoke'));
  t.match((await readAnswer(smoke)).field('Upgrade'), 'smoke', 'another protocol, even at our path');
  t.equal(Buffer.from(await smoke.read(7)).toString(), 'signals');
  t.equal(connections.length, 1);
  t.same(refused, []);
  t.equal(server.counters()['accepted'], 1, 'what is not ours is not even counted');
  for (const wire of [ours, other, smoke]) wire.destroy();
});

t.test('an offer of another protocol that nobody takes up is an ordinary request', async (t) => {
  const { http, port } = await serveHttp(t, {}, (request, response) => {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => response.end(`${request.method} ${request.url} ${Buffer.concat(body).toString()}`));
  });
  const { server, connections, refused } = beside(t, { path: '/chat' });
  const other = beside(t, { path: '/other' });
  server.attach(http);
  other.server.attach(http);
  // What `curl --http2` sends.
  const h2c = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
  const post = (path: string, ...fields: readonly string[]): string => plain('POST', path, ...h2c, ...fields);

  const wire = await dial(port);
  const rows: readonly [string, readonly string[], string][] = [
    ['a page', [plain('GET', '/chat', ...h2c)], 'GET /chat '],
    ['a body with its request', [`${post('/a', 'Content-Length: 5')}hello`], 'POST /a hello'],
    ['a body that comes later', [post('/b', 'Content-Length: 5'), 'he', 'llo'], 'POST /b hello'],
    ['in chunks', [post('/c', 'Transfer-Encoding: chunked'), '3\r\nhel\r\n', '2\r\nlo\r\n0\r\n\r\n'], 'POST /c hello'],
    ['an ordinary request behind it', [plain('GET', '/d')], 'GET /d '],
  ];
  for (const [name, pieces, body] of rows) {
    for (const piece of pieces) {
      wire.write(piece);
      await new Promise((done) => setTimeout(done, 20));
    }
    const answer = await within(readAnswer(wire), name);
    t.match(answer, { status: 200, body }, name);
  }
  wire.write(upgradeRequest(port, { path: '/chat' }));
  t.match(await wire.readHead(), /^HTTP\/1\.1 101 /, 'and on the same socket the one that is ours');
  t.equal(await roundTrip(wire, 'a word'), 'a word');
  wire.destroy();

  const list = await upgrade(port, { path: '/other', headers: { Upgrade: 'h2c, websocket' } });
  t.equal(await roundTrip(list, 'a word'), 'a word', 'a list that names WebSocket asks for one');
  list.destroy();
  t.equal(connections.length, 1);
  t.equal(other.connections.length, 1);
  t.same([...refused, ...other.refused], []);
});

t.test('the same over TLS', async (t) => {
  const https = createHttpsServer({ cert: pem('cert'), key: pem('key') }, (request, response) =>
    response.end(`${request.url} without ${request.headers.upgrade}`),
  );
  t.teardown(() => https.close());
  await new Promise<void>((done) => https.listen(0, '127.0.0.1', done));
  const { port } = https.address() as AddressInfo;
  beside(t, { path: '/chat' }).server.attach(https);
  const body = new Promise<string>((done, failed) => {
    const headers = { Connection: 'Upgrade', Upgrade: 'smoke' };
    const request = httpsRequest({ port, host: '127.0.0.1', path: '/page', ca: pem('cert'), headers }, (answer) => {
      answer.setEncoding('utf8').on('data', done);
    });
    request.on('error', failed).end();
  });
  t.match(await within(body, 'the page'), /^\/page /);
});

t.test('where no page is served, an offer of another protocol is refused', async (t) => {
  const http = createHttpServer();
  t.teardown(() => http.close());
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  const { port } = http.address() as AddressInfo;
  const { server, refused } = beside(t, { path: '/chat' });
  server.attach(http);
  t.equal((await ask(port, plain('GET', '/', 'Connection: Upgrade', 'Upgrade: h2c'))).status, 404);
  t.match(refused, [{ code: 'WSD_UPGRADE_PATH' }]);
});

t.test('a socket is taken once', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server, connections } = beside(t);
  const misuse: unknown[] = [];
  const take = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    try {
      server.upgrade(request, socket, head);
    } catch (error) {
      misuse.push(error);
    }
  };
  const thrown = { name: 'TypeError', message: /taken already/ };

  http.on('upgrade', take);
  const byHand = await upgrade(port);
  t.same(misuse, []);
  server.attach(http);
  http.once('upgrade', take);
  const later = await upgrade(port);
  t.match(misuse, [thrown], 'after attach(), where the first listener has taken it the second is told');
  http.off('upgrade', take);
  http.once('upgrade', (_request, socket) => {
    t.throws(() => server.adopt(socket as Socket), thrown, 'nor can it be adopted');
  });
  const attached = await upgrade(port);
  for (const wire of [byHand, later, attached]) {
    t.equal(await roundTrip(wire, 'a word'), 'a word', 'and it was answered once');
    wire.destroy();
  }
  t.equal(connections.length, 3);
});

t.test('what others accepted sends small frames at once', async (t) => {
  const { http, port } = await serveHttp(t, { noDelay: false });
  const { server } = beside(t);
  const told: boolean[] = [];
  const listen = (socket: Socket): void => {
    socket.setNoDelay = (on = true) => {
      told.push(on);
      return socket;
    };
  };
  http.on('connection', listen);
  server.attach(http);
  const attached = await upgrade(port);
  t.same(told, [true], 'attached');
  const tcp = createTcpServer((socket) => {
    listen(socket);
    server.adopt(socket);
  });
  t.teardown(() => tcp.close());
  await new Promise<void>((done) => tcp.listen(0, '127.0.0.1', done));
  const adopted = await upgrade((tcp.address() as AddressInfo).port);
  t.same(told, [true, true], 'adopted');
  for (const wire of [attached, adopted]) wire.destroy();
});

t.test('two servers of this library share an http server by path', async (t) => {
  const { http, port } = await serveHttp(t);
  const one = beside(t, { path: '/one' });
  const two = beside(t, { path: '/two' });
  one.server.attach(http);
  two.server.attach(http);
  for (const path of ['/one', '/two']) {
    const wire = await upgrade(port, { path });
    t.equal(await roundTrip(wire, path), path);
    wire.destroy();
  }
  t.equal(one.connections.length, 1);
  t.equal(two.connections.length, 1);
  t.equal((await askUpgrade(port, { path: '/three' })).status, 404, 'what neither takes is answered all the same');
});

t.test('detached it takes nothing more, and keeps what it has', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server, connections } = beside(t);
  const detach = server.attach(http);
  const wire = await upgrade(port);
  detach();
  detach();
  t.equal(http.listenerCount('upgrade'), 0);
  const answer = await ask(port, plain('GET', '/', 'Connection: Upgrade, close', 'Upgrade: websocket'));
  t.equal(answer.status, 200, 'the upgrade is ignored, as it was before');
  t.equal(await roundTrip(wire, 'still here'), 'still here');
  t.equal(connections.length, 1);
  wire.destroy();

  server.attach(http);
  await server.close();
  t.equal(http.listenerCount('upgrade'), 0, 'a server that closes detaches itself');
});

t.test('the first message may come with the request', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server } = beside(t);
  server.attach(http);
  const wire = await dial(port);
  wire.write(Buffer.concat([Buffer.from(upgradeRequest(port)), encode({ opcode: 1, payload: 'early' })]));
  t.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
  t.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'early');
  wire.destroy();
});

t.test('a socket that was kept alive by a page can be upgraded', async (t) => {
  const { http, port } = await serveHttp(t);
  beside(t).server.attach(http);
  const wire = await dial(port);
  for (let i = 0; i < 2; i++) {
    wire.write(plain('GET', '/'));
    t.equal((await readAnswer(wire)).body, 'a page');
  }
  wire.write(upgradeRequest(port));
  t.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
  t.equal(await roundTrip(wire, 'a word'), 'a word');
  wire.destroy();
});

t.test('the timeouts of the http server end with the upgrade', async (t) => {
  const { http, port } = await serveHttp(t, { keepAliveTimeout: 50 });
  http.timeout = 100;
  const { server, connections } = beside(t);
  server.attach(http);
  const wire = await upgrade(port);
  await new Promise((done) => setTimeout(done, 250));
  t.equal(connections[0]?.state, 'open', 'a WebSocket may be silent');
  t.equal(await roundTrip(wire, 'still here'), 'still here');
  wire.destroy();
});

t.test('it serves wss on an https server', async (t) => {
  const https = createHttpsServer({ cert: pem('cert'), key: pem('key') }, page);
  t.teardown(() => https.close());
  await new Promise<void>((done) => https.listen(0, '127.0.0.1', done));
  const { port } = https.address() as AddressInfo;
  const secure: boolean[] = [];
  const { server } = beside(t, {
    path: '/chat',
    authorize: (request) => {
      secure.push(request.secure);
      return { data: undefined };
    },
  });
  server.attach(https);
  const tls = { ca: pem('cert') };
  const connection = await connect(`wss://127.0.0.1:${port}/chat`, { tls, origin: `https://127.0.0.1:${port}` });
  connection.send('a word');
  t.equal(await new Promise((done) => connection.once('message', done)), 'a word');
  t.match(await connection.close(), { clean: true });
  t.same(secure, [true]);
  const insecure = connect(`wss://127.0.0.1:${port}/chat`, { tls, origin: `http://127.0.0.1:${port}` });
  await t.rejects(
    insecure,
    { code: 'WSD_DIAL_STATUS', status: 403 },
    'the page of the same host without TLS is another',
  );
  const ended = await new Promise((done) => {
    const request = httpRequest({ port, host: '127.0.0.1' });
    request.on('error', () => done('refused')).end();
  });
  t.equal(ended, 'refused');
  await server.close();
});

t.test('a single upgrade can be handed over', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server, connections } = beside(t, { path: '/chat' });
  http.on('upgrade', (request, socket, head) => {
    if (request.headers['x-user'] === 'ada') server.upgrade(request, socket, head);
    else socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
  t.equal((await askUpgrade(port, { path: '/chat' })).status, 401);
  const wire = await upgrade(port, { path: '/chat', headers: { 'X-User': 'ada' } });
  t.equal(await roundTrip(wire, 'a word'), 'a word');
  t.equal(connections[0]?.request.fields.get('x-user'), 'ada');
  t.equal((await askUpgrade(port, { path: '/', headers: { 'X-User': 'ada' } })).status, 404);
  wire.destroy();
});

t.test('an upgrade that is handed over when its client has left is nothing, and holds no seat', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server, connections } = beside(t, { path: '/chat', maxConnections: 1 });
  for (const path of ['/chat', '/refused']) {
    const wire = await dial(port);
    const late = new Promise<void>((done) => {
      http.once('upgrade', (request, socket, head) => {
        socket.on('error', () => {}).resume();
        // Somebody looked up a session meanwhile.
        socket.once('close', () => {
          server.upgrade(request, socket, head);
          done();
        });
        wire.reset();
      });
    });
    wire.write(upgradeRequest(port, { path }));
    await late;
    const none = await until(() => server.counts().open + server.counts().halfOpen === 0, 2_500);
    t.ok(none, `${path}: ${JSON.stringify(server.counts())}`);
    t.equal(connections.length, 0, `${path}: nobody is told of a connection`);
  }
  server.attach(http);
  t.equal((await askUpgrade(port, { path: '/chat' })).status, 101, 'there is room for the next one');
});

t.test('a socket can be adopted with what was read of its request, however that was cut', async (t) => {
  const { server, connections } = beside(t);
  const hello = encode({ opcode: 1, payload: 'a word' });
  let taken = 0;
  const tcp = createTcpServer((socket) => {
    // What a sniffer of protocols read before it knew whose the socket is.
    socket.once('readable', () => {
      const head = (socket.read() as Buffer | null) ?? Buffer.alloc(0);
      taken = head.length;
      server.adopt(socket, head);
    });
  });
  t.teardown(() => tcp.close());
  await new Promise<void>((done) => tcp.listen(0, '127.0.0.1', done));
  const { port } = tcp.address() as AddressInfo;
  const request = Buffer.concat([Buffer.from(upgradeRequest(port)), hello]);
  const ways = [...cuttings(request, rng)];
  for (const cut of [1, 100, request.length - hello.length, request.length - 1]) {
    ways.push([`cut at ${cut}`, [request.subarray(0, cut), request.subarray(cut)]]);
  }
  for (const [name, pieces] of ways) {
    const wire = await dial(port);
    const before = server.counters()['accepted'] ?? 0;
    const [first, ...rest] = pieces.filter((piece) => piece.length > 0);
    wire.write(first as Uint8Array);
    await until(() => (server.counters()['accepted'] ?? 0) > before);
    t.ok(taken > 0, `${name}: the sniffer took ${taken} bytes`);
    for (const piece of rest) {
      wire.write(piece);
      await new Promise((done) => setImmediate(done));
    }
    t.match(await wire.readHead(), /^HTTP\/1\.1 101 /, name);
    t.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'a word', `${name}: the first message`);
    wire.destroy();
  }
  t.equal(connections.length, ways.length);
  t.ok(await until(() => server.counts().open === 0));
  t.same(server.counts(), EMPTY);
});

t.test('a socket that is paused when it is adopted is read, wherever its bytes wait', async (t) => {
  const { server } = beside(t);
  const adopt = (socket: Socket): void => {
    // A sniffer that gives back what it has read, and stops until it knows whose the socket is.
    socket.once('data', (bytes) => {
      socket.pause();
      socket.unshift(bytes);
      setImmediate(() => server.adopt(socket));
    });
  };
  const tls = createTlsServer({ cert: pem('cert'), key: pem('key') }, (socket) => {
    socket.pause();
    server.adopt(socket);
  });
  for (const listener of [createTcpServer(adopt), tls]) {
    t.teardown(() => listener.close());
    await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
    const { port } = listener.address() as AddressInfo;
    const secure = listener === tls;
    const connection = await connect(`${secure ? 'wss' : 'ws'}://127.0.0.1:${port}/`, {
      tls: { ca: pem('cert') },
      timeout: 3_000,
    });
    connection.send('a word');
    t.equal(await new Promise((done) => connection.once('message', done)), 'a word', secure ? 'TLS' : 'TCP');
    connection.terminate();
  }
});

t.test('a peer that has said its last word hears all of ours, whoever accepted its socket', async (t) => {
  const size = 4 * 1024 * 1024;
  const { server } = beside(t, { closeTimeout: 20_000 }, (connection) => {
    connection.on('message', () => {
      for (let i = 0; i < 3; i++) connection.send(new Uint8Array(size));
    });
  });
  const https = createHttpsServer({ cert: pem('cert'), key: pem('key') });
  server.attach(https);
  const tcp = createTcpServer((socket) => server.adopt(socket));
  for (const listener of [tcp, https]) {
    t.teardown(() => listener.close());
    await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
    const { port } = listener.address() as AddressInfo;
    const tls = { port, host: '127.0.0.1', ca: pem('cert'), allowHalfOpen: true };
    const wire = listener === https ? new Wire(connectTls(tls)) : await dial(port);
    wire.write(upgradeRequest(port));
    t.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
    wire.socket.pause();
    wire.sendFrame({ opcode: 1, payload: 'all of it' });
    wire.end();
    // Enough for the server to hear the end while most of its answer waits.
    await new Promise((done) => setTimeout(done, 200));
    wire.socket.resume();
    for (let i = 0; i < 3; i++) t.equal((await wire.readFrame()).payload.length, size, `part ${i}`);
    wire.destroy();
  }
});

t.test('a server that is closed is attached to nothing', async (t) => {
  const { http } = await serveHttp(t);
  const { server } = beside(t);
  await server.close();
  t.throws(() => server.attach(http), { name: 'TypeError', message: 'this server is closed' });
  t.equal(http.listenerCount('upgrade'), 0);
});

t.test('a socket that is gone when it is adopted is nothing, and holds no seat', async (t) => {
  const { server } = beside(t, { handshakeTimeout: 50 });
  const tcp = createTcpServer();
  t.teardown(() => tcp.close());
  const adopted = new Promise<void>((done) => {
    tcp.on('connection', (socket) => {
      socket.on('error', () => {}).resume();
      socket.once('close', () => {
        server.adopt(socket);
        done();
      });
    });
  });
  await new Promise<void>((done) => tcp.listen(0, '127.0.0.1', done));
  const wire = await dial((tcp.address() as AddressInfo).port);
  wire.reset();
  await adopted;
  t.ok(await isEmpty(server), JSON.stringify(server.counts()));
});

t.test('admission holds for sockets that others accepted', async (t) => {
  const { http, port } = await serveHttp(t);
  const { server } = beside(t, { maxConnections: 1 });
  server.attach(http);
  const wire = await upgrade(port);
  const answer = await askUpgrade(port);
  t.equal(answer.status, 503);
  t.match(answer.field('Retry-After'), /^\d+$/);
  t.equal(server.counters()['refused:WSD_UPGRADE_BUSY'], 1);
  wire.destroy();
});
