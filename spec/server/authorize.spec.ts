// The authoriser: what it is shown, what it may answer, and what it cannot break. The byte-level attacks on it are in spec/hostile.

import t from 'tap';
import { connect, encode, upgrade, upgradeRequest } from '../../fixtures/rig/wire.js';
import type { Admit, Authorize, OpeningRequest, Refusal, ServerOptions } from '../../lib/index.js';
import { askUpgrade, isEmpty, open, readAnswer, roundTrip, until } from './scene.js';

interface User {
  readonly name: string;
}

/** An authoriser that answers when the spec says so. */
const deferred = (): {
  readonly authorize: Authorize<User>;
  readonly asked: { readonly request: OpeningRequest; readonly signal: AbortSignal; answer(what: unknown): void }[];
} => {
  const asked: { request: OpeningRequest; signal: AbortSignal; answer(what: unknown): void }[] = [];
  const authorize: Authorize<User> = (request, signal) =>
    new Promise((resolve, reject) => {
      const answer = (what: unknown): void => (what instanceof Error ? reject(what) : resolve(what as Admit<User>));
      asked.push({ request, signal, answer });
    });
  return { authorize, asked };
};

t.test('it sees the request as the server understood it', async (t) => {
  const seen: OpeningRequest[] = [];
  const options: ServerOptions<User> = {
    authorize: (request) => {
      seen.push(request);
      return { data: { name: 'ada' } };
    },
  };
  const { port } = await open<User>(t, options);
  const headers = {
    Origin: `http://127.0.0.1:${port}`,
    Cookie: 'a=1; b=2',
    'Sec-WebSocket-Protocol': 'chat, superchat',
    'X-Two': 'x',
  };
  const wire = await upgrade(port, { path: '/ro%6Fms/1?token=a%20b&x', headers });
  const [request] = seen as [OpeningRequest];
  t.match(request, {
    path: '/rooms/1',
    query: 'token=a%20b&x',
    origin: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    remoteAddress: '127.0.0.1',
    secure: false,
    subprotocols: ['chat', 'superchat'],
  });
  t.equal(request.fields.get('cookie'), 'a=1; b=2');
  t.equal(request.fields.get('x-two'), 'x');
  wire.destroy();
});

t.test('its data is the connection’s, and its headers are in the 101', async (t) => {
  const headers = { 'Set-Cookie': 'session=1; HttpOnly', 'X-Node': 'a' };
  const answers: Readonly<Record<string, () => Admit<User> | Promise<Admit<User>>>> = {
    '/now': () => ({ data: { name: 'ada' }, headers }),
    '/later': async () => ({ data: { name: 'ada' }, headers }),
  };
  const { port, connections } = await open<User>(
    t,
    { authorize: ({ path }) => (answers[path] as () => Admit<User>)() },
    (connection) => connection.send(`hello ${connection.data.name}`),
  );
  for (const path of Object.keys(answers)) {
    const wire = await upgrade(port, { path });
    t.match(wire.head, /^Set-Cookie: session=1; HttpOnly\r$/m, path);
    t.match(wire.head, /^X-Node: a\r$/m, path);
    t.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'hello ada', path);
    t.same(connections.at(-1)?.data, { name: 'ada' }, path);
    wire.destroy();
  }
});

t.test('a refusal is its own answer', async (t) => {
  const refusals: Readonly<Record<string, Refusal>> = {
    '/401': { status: 401, headers: { 'WWW-Authenticate': 'Bearer realm="a"' }, body: 'log in first\n' },
    '/302': { status: 302, headers: { Location: 'https://other.example/' } },
    '/200': { status: 200, headers: { 'Content-Type': 'application/json' }, body: '{"é":1}' },
    '/204': { status: 204 },
    '/599': { status: 599 },
  };
  const { server, port, connections, refused } = await open<User>(t, {
    authorize: ({ path }) => refusals[path] as Refusal,
  });
  for (const [path, { status, headers = {}, body = '' }] of Object.entries(refusals)) {
    const answer = await askUpgrade(port, { path });
    t.equal(answer.status, status, path);
    t.equal(answer.body, body, `${path}: the body`);
    for (const [name, value] of Object.entries(headers)) t.equal(answer.field(name), value, `${path}: ${name}`);
    t.equal(answer.field('Connection'), 'close');
    t.match(refused.at(-1), { code: 'WSD_UPGRADE_REFUSED', status, path, remoteAddress: '127.0.0.1' });
  }
  t.equal(connections.length, 0);
  t.equal(server.counters()['refused:WSD_UPGRADE_REFUSED'], Object.keys(refusals).length);
});

t.test('whatever else it does is a 500 without details, and the reason is in the report', async (t) => {
  const crlf = { 'X-Reflected': 'a\r\nSet-Cookie: stolen=1' };
  const answers: Readonly<Record<string, () => unknown>> = {
    throws: () => {
      throw new Error('secret');
    },
    'throws no error': () => {
      throw undefined as unknown as Error;
    },
    rejects: () => Promise.reject(new Error('secret')),
    undefined: () => undefined,
    null: () => null,
    true: () => true,
    'a text': () => 'secret',
    'no data': () => ({}),
    'a status in words': () => ({ status: '401' }),
    'a status below': () => ({ status: 101 }),
    'a status above': () => ({ status: 600 }),
    'a status that is no number': () => ({ status: Number.NaN }),
    'a body where none may be': () => ({ status: 204, body: 'secret' }),
    'a line of somebody else in the 101': () => ({ data: 1, headers: crlf }),
    'a line of somebody else in a refusal': () => ({ status: 401, headers: crlf }),
    'a name that is none': () => ({ data: 1, headers: { 'X Y': 'a' } }),
    'a header that is no text': () => ({ data: 1, headers: { 'X-N': 1 } }),
    'a header of the handshake': () => ({ data: 1, headers: { 'Sec-WebSocket-Accept': 'x' } }),
    'an extension': () => ({ data: 1, headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } }),
    'a subprotocol': () => ({ data: 1, headers: { 'sec-websocket-protocol': 'x' } }),
    'a connection header': () => ({ data: 1, headers: { Connection: 'close' } }),
    'a length': () => ({ status: 401, headers: { 'Content-Length': '5' } }),
    'data that cannot be read': () => ({
      get data() {
        throw new Error('secret');
      },
    }),
    'a status that cannot be read': () => ({
      get status() {
        throw new Error('secret');
      },
    }),
    'a body that cannot be read': () => ({
      status: 401,
      get body() {
        throw new Error('secret');
      },
    }),
    'headers that cannot be read': () => ({
      data: 1,
      headers: {
        get x() {
          throw new Error('secret');
        },
      },
    }),
    'headers of a refusal that cannot be read': () => ({
      status: 401,
      headers: {
        get x() {
          throw new Error('secret');
        },
      },
    }),
  };
  const names = Object.keys(answers);
  const { server, port, connections, refused } = await open<unknown>(t, {
    authorize: ({ query }) => (answers[names[Number(query)] as string] as () => Admit<unknown>)(),
  });
  for (const [i, name] of names.entries()) {
    const answer = await askUpgrade(port, { path: `/?${i}` });
    t.equal(answer.status, 500, name);
    t.equal(answer.body, 'The connection could not be authorized\n', `${name}: no details`);
    t.notMatch(answer.head, /stolen|secret/, `${name}: nothing of it`);
    t.match(refused.at(-1), { code: 'WSD_UPGRADE_FAILED', status: 500, path: '/', detail: String }, name);
  }
  t.equal(refused.length, names.length);
  t.match(refused[0]?.detail, /secret/);
  t.equal(connections.length, 0);
  t.ok(await isEmpty(server));
});

t.test('its time is limited by its own option, and by that of the handshake', async (t) => {
  for (const [name, options] of [
    ['authorizeTimeout', { authorizeTimeout: 60 }],
    ['handshakeTimeout', { handshakeTimeout: 60 }],
  ] as const) {
    const { authorize, asked } = deferred();
    const { server, port, connections } = await open<User>(t, { authorize, ...options });
    const start = performance.now();
    const answer = await askUpgrade(port);
    const took = performance.now() - start;
    t.equal(answer.status, 503, name);
    t.equal(answer.body, 'Authorization took too long\n');
    t.match(answer.field('Retry-After'), /^\d+$/);
    t.ok(took >= 59 && took < 1_000, `${name}: after ${took.toFixed(0)} ms`);
    t.ok(asked[0]?.signal.aborted, `${name}: it is told`);
    t.type(asked[0]?.signal.reason, Error);
    asked[0]?.answer({ data: { name: 'ada' } });
    await new Promise((done) => setImmediate(done));
    t.equal(connections.length, 0, `${name}: an answer that comes later is none`);
    t.ok(await isEmpty(server));
  }
});

t.test('a client that leaves meanwhile aborts the question, and is never written to', async (t) => {
  const { authorize, asked } = deferred();
  const { server, port, connections, refused } = await open<User>(t, { authorize });
  const late: unknown[] = [{ data: { name: 'ada' } }, { status: 401 }, new Error('late'), undefined];
  for (const [i, leave] of (['reset', 'destroy', 'end', 'reset'] as const).entries()) {
    const wire = await connect(port);
    wire.write(upgradeRequest(port));
    await until(() => asked.length === i + 1);
    t.notOk(asked[i]?.signal.aborted);
    wire[leave]();
    t.ok(await until(() => asked[i]?.signal.aborted === true), `${leave}: it is told`);
    asked[i]?.answer(late[i]);
    await new Promise((done) => setImmediate(done));
    t.equal(wire.unread.length, 0, `${leave}: nothing is written`);
    wire.destroy();
  }
  t.equal(connections.length, 0);
  t.same(refused, [], 'nobody was refused: they left');
  t.ok(await isEmpty(server));
});

t.test('only so many are asked at once, and each answer makes room', async (t) => {
  const { authorize, asked } = deferred();
  const { server, port, refused } = await open<User>(t, { authorize, maxPendingAuthorize: 2 });
  const wires = await Promise.all([connect(port), connect(port)]);
  for (const wire of wires) wire.write(upgradeRequest(port));
  await until(() => asked.length === 2);
  t.match(server.counts(), { open: 0, halfOpen: 2, authorizing: 2 });
  const third = await askUpgrade(port);
  t.equal(third.status, 503);
  t.match(third.field('Retry-After'), /^\d+$/);
  t.match(refused, [{ code: 'WSD_UPGRADE_BUSY', detail: 'pendingAuthorize' }]);
  asked[0]?.answer({ data: { name: 'ada' } });
  t.equal((await readAnswer(wires[0] as never)).status, 101);
  t.ok(await until(() => server.counts().open === 1));
  t.match(server.counts(), { halfOpen: 1, authorizing: 1 });
  const fourth = await connect(port);
  fourth.write(upgradeRequest(port));
  t.ok(await until(() => asked.length === 3), 'the next one is asked about');
  for (const wire of [...wires, fourth]) wire.destroy();
});

t.test('who may not come in anyway is not asked about', async (t) => {
  const { authorize, asked } = deferred();
  const { port } = await open<User>(t, {
    authorize,
    path: '/chat',
    origins: ['https://good.example'],
    hosts: ['127.0.0.1'],
  });
  for (const [status, path, headers] of [
    [404, '/', {}],
    [403, '/chat', { Origin: 'https://bad.example' }],
    [403, '/chat', { Host: 'localhost' }],
    [426, '/chat', { 'Sec-WebSocket-Version': '7' }],
  ] as const) {
    t.equal((await askUpgrade(port, { path, headers })).status, status);
  }
  t.equal(asked.length, 0);
});

t.test('messages that come before its answer wait for it, and are delivered in order', async (t) => {
  const { authorize, asked } = deferred();
  const heard: unknown[] = [];
  const { port } = await open<User>(t, { authorize }, (connection) => {
    connection.on('message', (data) => {
      heard.push(data);
      connection.send(data);
    });
  });
  const wire = await connect(port);
  wire.write(Buffer.concat([Buffer.from(upgradeRequest(port)), encode({ opcode: 1, payload: 'one' })]));
  await until(() => asked.length === 1);
  wire.sendFrame({ opcode: 1, payload: 'two' });
  await new Promise((done) => setTimeout(done, 10));
  t.equal(heard.length, 0);
  asked[0]?.answer({ data: { name: 'ada' } });
  t.equal((await readAnswer(wire)).status, 101);
  for (const word of ['one', 'two']) t.equal(Buffer.from((await wire.readFrame()).payload).toString(), word);
  t.equal(await roundTrip(wire, 'three'), 'three');
  t.same(heard, ['one', 'two', 'three']);
  wire.destroy();
});

t.test('a reason that cannot even be shown costs its own peer only', async (t) => {
  const { port, refused } = await open<User>(t, { authorize: () => Promise.reject(Object.create(null)) });
  t.equal((await askUpgrade(port)).status, 500);
  t.match(refused, [{ code: 'WSD_UPGRADE_FAILED' }]);
});
