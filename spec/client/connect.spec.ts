// The ways to a connection (TLS, a Unix socket, a proxy, redirects), and what a connection is when it is handed out. The peers are raw
// sockets whose bytes are written out here.

import { randomUUID } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { cuttings } from '../../fixtures/rig/chunker.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { encode, type Wire } from '../../fixtures/rig/wire.js';
import { connect } from '../../lib/client/connect.js';
import type { ClientOptions } from '../../lib/options/types.js';
import type { Connection } from '../../lib/websocket/connection.js';
import { accept, closeProperly, fieldOf, LOCALHOST, type RawServer, serve, trickle, WRONG } from './raw-server.js';

const rng = seedFromEnv('connect');

const text = (payload: string): Uint8Array => encode({ opcode: 1, payload, mask: false });

/** Accepts, says one thing, and answers the close. */
const greeter =
  (words: string, more: readonly string[] = []) =>
  (wire: Wire, head: string): Promise<void> => {
    wire.write(accept(head, more));
    wire.write(text(words));
    return closeProperly(wire);
  };

const firstMessage = (connection: Connection<undefined>): Promise<unknown> =>
  new Promise((done) => connection.once('message', done));

/** The connection works, and ends cleanly. */
async function finish(t: Test, connection: Connection<undefined>, words: string): Promise<void> {
  t.equal(await firstMessage(connection), words);
  t.match(await connection.close(), { code: 1000, clean: true, initiator: 'local' });
}

t.test('the request says what RFC 6455 section 4.1 wants, and what the caller adds', async (t) => {
  const server = await serve(t, greeter('hello', ['Sec-WebSocket-Protocol: b']));
  const connection = await connect(`ws://${server.at}/chat/%C3%A9?room=1`, {
    headers: [
      ['X-One', '1'],
      ['X-One', '2'],
      ['Authorization', 'Bearer x'],
    ],
    origin: 'https://page.example',
    subprotocols: ['a', 'b'],
  });
  const head = server.heads[0] as string;
  t.match(head, /^GET \/chat\/%C3%A9\?room=1 HTTP\/1\.1\r\n/);
  t.match(fieldOf(head, 'Host'), server.at);
  t.equal(fieldOf(head, 'Upgrade'), 'websocket');
  t.equal(fieldOf(head, 'Connection'), 'Upgrade');
  t.equal(fieldOf(head, 'Sec-WebSocket-Version'), '13');
  t.equal(Buffer.from(fieldOf(head, 'Sec-WebSocket-Key') ?? '', 'base64').length, 16);
  t.equal(fieldOf(head, 'Sec-WebSocket-Protocol'), 'a, b');
  t.equal(fieldOf(head, 'Sec-WebSocket-Extensions'), undefined);
  t.equal(fieldOf(head, 'Origin'), 'https://page.example');
  t.match(head, /\r\nX-One: 1\r\nX-One: 2\r\nAuthorization: Bearer x\r\n\r\n$/);
  t.equal(connection.subprotocol, 'b');
  t.equal(connection.role, 'client');
  t.equal(connection.remoteAddress, '127.0.0.1');
  t.match(connection.request, { path: '/chat/%C3%A9', query: 'room=1', origin: 'https://page.example' });
  t.equal(connection.request.fields.get('upgrade'), 'websocket', 'the fields are those of the answer');
  await finish(t, connection, 'hello');
  const again = await connect(new URL(`ws://${server.at}`), { subprotocols: ['b'], headers: { 'X-Two': '2' } });
  t.equal(fieldOf(server.heads[1] as string, 'X-Two'), '2');
  t.not(
    fieldOf(server.heads[1] as string, 'Sec-WebSocket-Key'),
    fieldOf(head, 'Sec-WebSocket-Key'),
    'a new key each time',
  );
  t.ok(again.id > connection.id);
  again.terminate();
});

t.test('what is not ASCII is escaped as the platform does it', async (t) => {
  const server = await serve(t, greeter('hello'));
  const connection = await connect(`ws://${server.at}/grüße?ä`);
  t.match(server.heads[0], /^GET \/gr%C3%BC%C3%9Fe\?%C3%A4 HTTP/);
  connection.terminate();
});

t.test('frames that are glued to the 101 are the first messages, however the bytes are cut', async (t) => {
  let chunksOf: (bytes: Uint8Array) => Uint8Array[] = (bytes) => [bytes];
  const server = await serve(t, async (wire, head) => {
    const glued = [
      Buffer.from(accept(head)),
      text('one'),
      text('two'),
      encode({ opcode: 9, payload: 'p', mask: false }),
    ];
    await trickle(wire, chunksOf(Buffer.concat(glued)));
    await closeProperly(wire);
  });
  const bytes = new Uint8Array(200);
  for (let way = 0; way < cuttings(bytes, rng).length; way++) {
    chunksOf = (all) => (cuttings(all, rng)[way] as readonly [string, Uint8Array[]])[1];
    const connection = await connect(`ws://${server.at}/`);
    const seen: unknown[] = [];
    connection.on('open', () => seen.push('open'));
    connection.on('message', (data) => seen.push(data));
    await new Promise((done) => connection.once('ping', done));
    t.strictSame(seen, ['open', 'one', 'two'], `way ${way}`);
    t.match(await connection.close(), { clean: true });
  }
});

t.test("a listener that is added right after the dial hears 'open', and nothing before it", async (t) => {
  for (const tls of [undefined, LOCALHOST]) {
    const server = await serve(
      t,
      (wire, head) => {
        wire.write(accept(head));
        // Not glued: the client says something first.
        wire.readFrame().then(
          () => wire.write(text('hello')),
          () => {},
        );
      },
      { tls },
    );
    const url = `${tls === undefined ? 'ws' : 'wss'}://localhost:${server.port}/`;
    const connection = await connect(url, { tls: { ca: LOCALHOST.cert } });
    connection.send('hello?');
    const seen: unknown[] = [];
    connection.on('open', () => seen.push('open'));
    seen.push(await firstMessage(connection));
    t.strictSame(seen, ['open', 'hello'], url.slice(0, 3));
    connection.terminate();
  }
});

t.test('the first message waits for a listener that comes late', async (t) => {
  const server = await serve(t, (wire, head) => {
    wire.write(accept(head));
    wire.write(text('early'));
    wire.sendFrame({ opcode: 9, payload: 'ping', mask: false });
    return closeProperly(wire);
  });
  const connection = await connect(`ws://${server.at}/`);
  await new Promise((done) => connection.once('ping', done));
  await finish(t, connection, 'early');
  const other = await connect(`ws://${server.at}/`);
  for await (const message of other) {
    t.equal(message, 'early', 'an iterator gets it too');
    break;
  }
  other.terminate();
});

t.test('a server that masks is failed with 1002, also in the bytes behind the 101', async (t) => {
  const answers: unknown[] = [];
  const server = await serve(t, async (wire, head) => {
    wire.write(Buffer.concat([Buffer.from(accept(head)), encode({ opcode: 1, payload: 'masked' })]));
    const { opcode, masked, payload } = await wire.readFrame();
    answers.push([opcode, masked, Buffer.from(payload).readUInt16BE(0)]);
    wire.end();
  });
  const connection = await connect(`ws://${server.at}/`);
  const errors: unknown[] = [];
  connection.on('error', (error) => errors.push((error as Error & { code?: unknown }).code));
  const expected = { code: 1002, clean: false, initiator: 'local', fault: 'WSD_FRAME_MASK_PRESENT' };
  t.match(await connection.closed, expected);
  t.strictSame(errors, ['WSD_FRAME_MASK_PRESENT'], 'a listener that was added right after the dial hears of it');
  t.strictSame(answers, [[8, true, 1002]]);
});

t.test('a connection that ends without a close frame is not clean', async (t) => {
  const server = await serve(t, (wire, head) => {
    wire.write(accept(head));
    wire.write(text('last words'));
    wire.end();
  });
  const connection = await connect(`ws://${server.at}/`);
  t.equal(await firstMessage(connection), 'last words');
  t.match(await connection.closed, { code: 1006, clean: false, fault: 'WSD_SOCKET_ENDED' });
});

t.test('over TLS the server is asked for by its name, and by no name when it is an address', async (t) => {
  const server = await serve(t, greeter('sealed'), { tls: LOCALHOST });
  const names: unknown[] = [];
  for (const host of ['localhost', '127.0.0.1']) {
    const connection = await connect(`wss://${host}:${server.port}/`, { tls: { ca: LOCALHOST.cert } });
    const socket = server.wires.at(-1)?.socket as (Socket & { servername?: unknown }) | undefined;
    names.push(socket?.servername || undefined);
    await finish(t, connection, 'sealed');
  }
  t.strictSame(names, ['localhost', undefined]);
  const anyone = await serve(t, greeter('trusted'), { tls: WRONG });
  const waived = await connect(`wss://localhost:${anyone.port}/`, { tls: { rejectUnauthorized: false } });
  await finish(t, waived, 'trusted');
  const named = { ca: WRONG.cert, servername: 'wrong.example' };
  await finish(t, await connect(`wss://localhost:${anyone.port}/`, { tls: named }), 'trusted');
});

t.test('a Unix socket is dialled by its path', async (t) => {
  const path = join(tmpdir(), `wsd ${randomUUID()}:1.sock`);
  t.teardown(() => {
    try {
      unlinkSync(path);
    } catch {
      // The server has removed it.
    }
  });
  const escaped = path.replaceAll(' ', '%20').replaceAll(':', '%3A');
  const server = await serve(t, greeter('near'), { path });
  for (const [url, resource] of [
    [`ws+unix:${escaped}`, '/'],
    [`ws+unix://${escaped}:/chat?a`, '/chat?a'],
    [`WS+UNIX:${escaped}:?a`, '/?a'],
  ] as const) {
    const connection = await connect(url);
    t.equal(connection.remoteAddress, '');
    t.equal(server.heads.at(-1)?.startsWith(`GET ${resource} HTTP/1.1\r\nHost: localhost\r\n`), true, url);
    await finish(t, connection, 'near');
  }
});

t.test('a redirect on a Unix socket stays on it, and TLS works over one', async (t) => {
  const path = join(tmpdir(), `wsd-${randomUUID()}.sock`);
  const server = await serve(
    t,
    (wire, head) => (head.startsWith('GET /old ') ? wire.write(redirect('/new')) : greeter('here')(wire, head)),
    { path, tls: LOCALHOST },
  );
  const connection = await connect(`wss+unix:${path}:/old`, { redirects: 1, tls: { ca: LOCALHOST.cert } });
  t.match(server.heads[1], /^GET \/new /);
  await finish(t, connection, 'here');
});

// ---- proxies

/** A proxy that does its work. */
async function tunnelling(t: Test, to: RawServer, secure: boolean): Promise<RawServer> {
  const upstreams: Socket[] = [];
  t.teardown(() => {
    for (const upstream of upstreams) upstream.destroy();
  });
  return serve(
    t,
    (wire) => {
      const upstream = connectTcp({ port: to.port, host: '127.0.0.1', allowHalfOpen: true });
      upstreams.push(upstream);
      upstream.on('connect', () => wire.write('HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n'));
      upstream.on('data', (chunk) => wire.write(chunk)).on('end', () => wire.end());
      upstream.on('error', () => wire.destroy());
      wire.socket.on('data', (chunk) => upstream.write(chunk)).on('end', () => upstream.end());
    },
    { tls: secure ? LOCALHOST : undefined },
  );
}

t.test('a proxy tunnels to both kinds of servers, and both kinds of proxies do', async (t) => {
  for (const wss of [false, true]) {
    const server = await serve(t, greeter('through'), { tls: wss ? LOCALHOST : undefined });
    for (const https of [false, true]) {
      const proxy = await tunnelling(t, server, https);
      const connection = await connect(`${wss ? 'wss' : 'ws'}://localhost:${server.port}/path`, {
        proxy: `${https ? 'https' : 'http'}://me:p%40ss%3Aw%C3%B6rd@localhost:${proxy.port}`,
        tls: { ca: LOCALHOST.cert },
      });
      const asked = proxy.heads[0] as string;
      t.match(
        asked,
        new RegExp(`^CONNECT localhost:${server.port} HTTP/1\\.1\\r\\nHost: localhost:${server.port}\\r\\n`),
      );
      const login = Buffer.from('me:p@ss:wörd').toString('base64');
      t.equal(fieldOf(asked, 'Proxy-Authorization'), `Basic ${login}`);
      t.notMatch(server.heads.at(-1), /proxy/i, 'the server does not hear of it');
      await finish(t, connection, 'through');
      const big = await connect(`${wss ? 'wss' : 'ws'}://localhost:${server.port}/`, {
        proxy: `${https ? 'https' : 'http'}://localhost:${proxy.port}`,
        tls: { ca: LOCALHOST.cert },
      });
      t.equal(fieldOf(proxy.heads[1] as string, 'Proxy-Authorization'), undefined);
      big.send('x'.repeat(200_000));
      t.match(await big.close(), { clean: true }, 'large messages go through as well');
    }
  }
});

t.test('the proxy is asked for addresses in their URI form', async (t) => {
  const proxy = await serve(t, (wire) => wire.write('HTTP/1.1 403 No\r\n\r\n'));
  const options = { proxy: `http://user@${proxy.at}` };
  await t.rejects(connect('wss://[2001:db8::1]/', options), { code: 'WSD_DIAL_PROXY', status: 403 });
  await t.rejects(connect('ws://Example.ORG/', options), { code: 'WSD_DIAL_PROXY' });
  t.match(proxy.heads[0], /^CONNECT \[2001:db8::1\]:443 HTTP/);
  t.match(proxy.heads[1], /^CONNECT example\.org:80 HTTP/);
  t.equal(fieldOf(proxy.heads[1] as string, 'Proxy-Authorization'), `Basic ${Buffer.from('user:').toString('base64')}`);
});

// ---- redirects

const redirect = (to: string, status = 302): string =>
  `HTTP/1.1 ${status} Moved\r\nLocation: ${to}\r\nContent-Length: 0\r\n\r\n`;

const SECRETS: ClientOptions['headers'] = {
  Authorization: 'Bearer a',
  cookie: 'b',
  'Proxy-Authorization': 'c',
  'X-Own': 'd',
};
const secretsIn = (head: string): string[] =>
  ['Authorization', 'Cookie', 'Proxy-Authorization', 'X-Own'].filter((name) => fieldOf(head, name) !== undefined);

t.test('a redirect within the origin keeps the credentials', async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const server = await serve(t, (wire, head) =>
      head.startsWith('GET /old') ? wire.write(redirect('new?x#part', status)) : greeter('moved')(wire, head),
    );
    const connection = await connect(`ws://${server.at}/old`, { redirects: 1, headers: SECRETS });
    t.match(server.heads[1], /^GET \/new\?x HTTP/);
    t.strictSame(secretsIn(server.heads[1] as string), ['Authorization', 'Cookie', 'Proxy-Authorization', 'X-Own']);
    t.equal(connection.request.path, '/new');
    await server.wires[0]?.ended();
    await finish(t, connection, 'moved');
  }
});

t.test('credentials do not follow to another origin, and do not come back', async (t) => {
  let home = '';
  const other = await serve(t, (wire) => wire.write(redirect(`http://${home}/again`)));
  const server = await serve(t, (wire, head) =>
    head.startsWith('GET /again') ? greeter('home')(wire, head) : wire.write(redirect(`//${other.at}/`)),
  );
  home = server.at;
  const connection = await connect(`ws://${server.at}/`, {
    redirects: 2,
    headers: SECRETS,
    origin: 'https://a.example',
  });
  t.strictSame(secretsIn(server.heads[0] as string), ['Authorization', 'Cookie', 'Proxy-Authorization', 'X-Own']);
  t.strictSame(secretsIn(other.heads[0] as string), ['X-Own']);
  t.strictSame(secretsIn(server.heads[1] as string), ['X-Own']);
  await finish(t, connection, 'home');
});

t.test("the client's certificate does not follow either", async (t) => {
  const tls = { ...LOCALHOST, requestCert: true, ca: LOCALHOST.cert };
  const subjects: unknown[] = [];
  const note = (wire: Wire): void => {
    subjects.push((wire.socket as TLSSocket).getPeerCertificate().subject?.CN);
  };
  const other = await serve(
    t,
    (wire, head) => {
      note(wire);
      return greeter('there')(wire, head);
    },
    { tls },
  );
  const server = await serve(
    t,
    (wire) => {
      note(wire);
      wire.write(redirect(`https://localhost:${other.port}/`, 307));
    },
    { tls },
  );
  const options = { ca: LOCALHOST.cert, ...LOCALHOST, servername: 'localhost' };
  const connection = await connect(`wss://localhost:${server.port}/`, { redirects: 1, tls: options });
  t.strictSame(subjects, ['localhost', undefined]);
  await finish(t, connection, 'there');
});

t.test('a redirect never leads from wss to ws, and may lead the other way', async (t) => {
  const plain = await serve(t, (wire) => wire.write(redirect(`https://localhost:${secure.port}/`)));
  const secure: RawServer = await serve(
    t,
    (wire, head) =>
      head.startsWith('GET /down') ? wire.write(redirect(`http://${plain.at}/`)) : greeter('up')(wire, head),
    { tls: LOCALHOST },
  );
  const options = { redirects: 5, tls: { ca: LOCALHOST.cert } };
  const refused = connect(`wss://localhost:${secure.port}/down`, options);
  await t.rejects(refused, { code: 'WSD_DIAL_REDIRECT', status: 302, message: /from wss to ws/ });
  t.equal(plain.heads.length, 0, 'nobody was asked');
  await finish(t, await connect(`ws://${plain.at}/`, options), 'up');
});

t.test('a loop of redirects ends where the caller said', async (t) => {
  const server = await serve(t, (wire) => wire.write(redirect('/round')));
  const error = { code: 'WSD_DIAL_REDIRECT', status: 302, message: `redirect not followed: 302 to ws://${server.at}` };
  await t.rejects(connect(`ws://${server.at}/`, { redirects: 3 }), error);
  t.equal(server.heads.length, 4);
  for (const wire of server.wires) await wire.ended();
});
