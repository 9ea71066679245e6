// The packet sessions of a client: whom it believes, when it gives up, how it finds its way back, and what it says of messages that a server which
// is gone never acknowledged. lib/packet/PROTOCOL.md sections 5.5, 6.6 and 7.

import { type ChildProcess, spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { type ClientPacketOptions, connect, type Session } from '../../lib/index.js';
import { until, within } from '../hostile/stage.js';
import { ANYBODY, certificate, echo, join, NEVER, open, QUICK, roundTrip, shown, textsOf } from '../link/ends.js';
import { Line } from '../link/line.js';
import { accept, serve } from './raw-server.js';

const told = (session: Session): unknown[] => {
  const all: unknown[] = [];
  session.on('detached', (why) => all.push(['detached', why]));
  session.on('retry', ({ attempt }) => all.push(['retry', attempt]));
  session.on('open', (how) => all.push(['open', how]));
  session.on('undelivered', (list) => all.push(['undelivered', list.map(({ data }) => Buffer.from(data).toString())]));
  session.on('close', ({ code, by, detail }) => all.push(['close', code, by, detail]));
  return all;
};

t.test('whom a client believes: pins, anchors, names, and nobody without being told', async (test) => {
  const ca = await certificate(test, { subject: 'ca', names: [], ca: true, now: Date.now() - 10 * 86_400_000 });
  const issuer = { certificate: ca.certificatePem, key: ca.keyPem };
  const alone = await certificate(test);
  const signed = await certificate(test, { issuer, type: 'rsa2048' });
  const named = await certificate(test, { issuer, names: ['chat.example.com'] });
  const forClients = await certificate(test, { issuer, usage: ['client'] });
  const expired = await certificate(test, { issuer, now: Date.now() - 3 * 86_400_000, days: 1 });
  const anchors = [ca.certificatePem];
  const bad = /1\.2 CERTIFICATE INVALID/;
  const rows = [
    ['pinned', alone, { pins: [alone.info.fingerprint] }, undefined],
    ['another pin', alone, { pins: [NEVER] }, bad],
    ['one of several pins', alone, { pins: [NEVER, alone.info.fingerprint] }, undefined],
    ['signed by an anchor', signed, { anchors }, undefined],
    ['signed by itself, with anchors', alone, { anchors }, bad],
    ['another name', named, { anchors }, bad],
    ['the name that is expected', named, { anchors, name: 'chat.example.com' }, undefined],
    ['a pin needs no name', named, { pins: [named.info.fingerprint] }, undefined],
    ['signed for another use', forClients, { anchors }, bad],
    ['expired', expired, { anchors }, bad],
    ['expired, and pinned', expired, { pins: [expired.info.fingerprint] }, bad],
    ['no certificate at all', undefined, { pins: [NEVER] }, bad],
    ['no certificate, and none wanted', undefined, { anonymous: true }, undefined],
    ['a certificate for somebody who wants none', alone, { anonymous: true }, undefined],
    ['both, and it must be good', alone, { anonymous: true, pins: [NEVER] }, bad],
  ] as const;
  for (const [name, own, packets, wrong] of rows) {
    const { url, server, refused } = await open(test, own === undefined ? {} : shown(own));
    if (wrong === undefined) {
      const client = await join(test, url, packets);
      const known = 'anonymous' in packets ? 'anonymous' : own?.info.fingerprint;
      test.equal(client.identity, known, name);
      await client.close();
    } else {
      await test.rejects(join(test, url, packets), { code: 'WSD_DIAL_SESSION', message: wrong }, name);
      test.ok(await until(() => refused.length === 1), 'the server is told');
      test.match(refused[0], { code: '1.2 CERTIFICATE INVALID', theirs: true });
    }
    await server.close({ drain: 500 });
  }
  await test.rejects(connect('ws://127.0.0.1:1/', { packets: {} }), TypeError, 'trust has to be said');
  const clear = { mode: 'none' } as const;
  const idle: readonly (readonly [what: string, packets: ClientPacketOptions, message: RegExp])[] = [
    ['pins in clear', { ...clear, pins: [NEVER] }, /mode 'none' has no handshake: pins would do nothing/],
    ['anchors in clear', { ...clear, anchors: ['x'] }, /: anchors would do nothing/],
    ['our own in clear', { ...clear, certificate: 'x', key: 'x' }, /: certificate would do nothing/],
    ['a name in clear', { ...clear, name: 'a.example' }, /: name would do nothing/],
    ['a name with pins', { pins: [NEVER], name: 'a.example' }, /name goes with anchors/],
    ['a name of anybody', { anonymous: true, name: 'a.example' }, /name goes with anchors/],
  ];
  for (const [what, packets, message] of idle) {
    await test.rejects(connect('ws://127.0.0.1:1/', { packets }), { name: 'TypeError', message }, what);
  }
});

t.test('a certificate that is not accepted is not tried again', async (test) => {
  const good = await certificate(test);
  const other = await certificate(test);
  const first = await open(test, shown(good));
  const line = await Line.to(test, first.port);
  const client = await join(test, line.url, { pins: [good.info.fingerprint], reconnect: QUICK });
  const all = told(client);
  const second = await open(test, shown(other));
  line.lead(second.port);
  line.cut();
  test.same(await within(client.closed, 'it gives up'), {
    code: '2.2 CLIENT DISCONNECT',
    by: 'local',
    detail: 'refused',
  });
  test.same(all, [
    ['detached', 'lost'],
    ['retry', 1],
    ['detached', { code: '1.2 CERTIFICATE INVALID', theirs: false }],
    ['close', '2.2 CLIENT DISCONNECT', 'local', 'refused'],
  ]);
  const { connections } = line;
  await new Promise((done) => setTimeout(done, 60));
  test.equal(line.connections, connections, 'nobody dials any more');
});

t.test('a server without room is left alone for 5 s', async (test) => {
  const { url, port, sessions } = await open(test, { maxSessions: 1, resumeTtl: 1 });
  const line = await Line.to(test, port);
  const client = await join(test, line.url);
  const waits: { attempt: number; wait: number; cause: string | undefined }[] = [];
  line.hold();
  client.on('retry', ({ attempt, wait, cause }) => waits.push({ attempt, wait, cause: cause?.message }));
  line.cut();
  test.ok(await until(() => sessions[0]?.state === 'closed'), 'its session is forgotten, its seat free');
  const other = await join(test, url);
  line.release();
  line.cut();
  test.ok(await until(() => waits.some(({ cause }) => cause?.includes('1.1 NO SPACE') === true)));
  const last = waits.at(-1);
  test.ok((last?.wait ?? 0) >= 5_000 && (last?.wait ?? 0) <= 6_000, `it waits ${last?.wait} ms`);
  test.equal(client.state, 'detached');
  await Promise.all([client.close(), other.close()]);
});

t.test('attempts end: never, so many, or when a listener has had enough', async (test) => {
  const rows = [
    [
      'never',
      false,
      [
        ['detached', 'lost'],
        ['close', '2.2 CLIENT DISCONNECT', 'local', 'connection lost'],
      ],
    ],
    [
      'twice',
      { ...QUICK, attempts: 2 },
      [
        ['detached', 'lost'],
        ['retry', 1],
        ['retry', 2],
        ['close', '2.2 CLIENT DISCONNECT', 'local', 'no way back'],
      ],
    ],
  ] as const;
  for (const [name, reconnect, events] of rows) {
    const { port, server } = await open(test);
    const line = await Line.to(test, port);
    const client = await join(test, line.url, { anonymous: true, reconnect });
    const all = told(client);
    await line.close();
    await within(client.closed, name);
    test.same(all, events, name);
    test.equal((await within(server.close({ drain: 500 }), 'the server')).cut, 0);
  }
  const { port } = await open(test);
  const line = await Line.to(test, port);
  const client = await join(test, line.url);
  client.on('retry', () => client.close('enough'));
  const { connections } = line;
  line.cut();
  test.match(await within(client.closed, 'enough'), { by: 'local', detail: 'enough' });
  await new Promise((done) => setTimeout(done, 30));
  test.equal(line.connections, connections, 'and nobody dials');
});

t.test('waits grow and are spread, and begin afresh when it was open', async (test) => {
  const { port } = await open(test);
  const line = await Line.to(test, port);
  const client = await join(test, line.url, { anonymous: true, reconnect: { min: 2, max: 16 } });
  const waits: number[] = [];
  const attempts: number[] = [];
  client.on('retry', ({ attempt, wait }) => {
    attempts.push(attempt);
    waits.push(wait);
  });
  line.lead(1);
  line.cut();
  test.ok(await until(() => attempts.length >= 12));
  test.same(attempts.slice(0, 12), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  for (const [i, wait] of waits.entries()) test.ok(wait <= Math.min(16, 2 * 2 ** i), `attempt ${i + 1}: ${wait} ms`);
  test.ok(new Set(waits).size > 2, 'jitter');
  line.lead(port);
  test.ok(await until(() => client.state === 'open'));
  const before = attempts.length;
  line.cut();
  test.ok(await until(() => attempts.length > before));
  test.equal(attempts[before], 1);
});

t.test('a first opening is given up at once: wrong subprotocol, signal, a server that says nothing', async (test) => {
  const plain = await serve(test, (wire, head) => wire.write(accept(head)));
  await test.rejects(join(test, `ws://${plain.at}/`), { code: 'WSD_DIAL_PROTOCOL' });
  const mute = await serve(test, (wire, head) => wire.write(accept(head, ['Sec-WebSocket-Protocol: v0.packet.wsd'])));
  const abort = new AbortController();
  const opening = join(test, `ws://${mute.at}/`, ANYBODY, { signal: abort.signal });
  test.ok(
    await until(() => mute.wires.length === 1 && (mute.wires[0]?.unread.length ?? 0) > 70),
    'the handshake began',
  );
  abort.abort();
  await test.rejects(within(opening, 'aborted'), { code: 'WSD_DIAL_ABORTED' });
  test.ok(await mute.wires[0]?.ended(), 'and its connection is gone');
  await test.rejects(join(test, `ws://${mute.at}/`, { ...ANYBODY, handshakeTimeout: 50 }), {
    code: 'WSD_DIAL_SESSION',
    message: /1\.0 CONNECTION/,
  });
  await test.rejects(join(test, `ws://${mute.at}/`, ANYBODY, { signal: AbortSignal.abort() }), {
    code: 'WSD_DIAL_ABORTED',
  });
  await test.rejects(join(test, 'ws://127.0.0.1:1/'), { code: 'WSD_DIAL_CONNECT' });
});

t.test('a signal is about the first opening: aborted later it changes nothing', async (test) => {
  const { port } = await open(test, {}, echo);
  const line = await Line.to(test, port);
  const abort = new AbortController();
  const client = await join(test, line.url, ANYBODY, { signal: abort.signal });
  const all = told(client);
  abort.abort();
  line.cut();
  test.ok(await until(() => all.length === 3));
  test.same(all.at(-1), ['open', 'resumed']);
  test.ok(await roundTrip(client));
});

t.test(
  'a session without security cannot be resumed: it opens anew and says what is not known to have arrived',
  async (test) => {
    const { port, sessions } = await open(test, { mode: 'none' });
    const line = await Line.to(test, port);
    const client = await join(test, line.url, { mode: 'none', reconnect: QUICK });
    const all = told(client);
    await client.send('arrives');
    line.hold();
    const lost = client.send('lost');
    line.cut();
    line.release();
    test.equal(await within(lost, 'its fate'), 'undelivered');
    test.ok(await until(() => all.some((one) => (one as unknown[])[0] === 'open')));
    const kinds = all.map((one) => (one as unknown[])[0]).filter((kind) => kind !== 'retry');
    test.same(kinds.slice(0, 2), ['undelivered', 'detached']);
    test.same(all.at(-1), ['open', 'new']);
    test.equal(await within(client.send('after'), 'the next one'), 'acknowledged');
    test.equal(sessions.length, 2);
    test.match(await within((sessions[0] as Session).closed, 'the first'), { by: 'loss' });
  },
);

const start = async (test: Test, port: number): Promise<{ readonly child: ChildProcess; readonly port: number }> => {
  const script = new URL('../link/restart-server.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  test.teardown(() => child.kill('SIGKILL'));
  const told = await within(new Promise((done) => child.stdout?.once('data', done)), 'the process listens', 10_000);
  return { child, port: Number(String(told)) };
};

t.test(
  'when the server is killed and started again the client has a new session, and the exact list of the undelivered',
  async (test) => {
    const first = await start(test, 0);
    const client = await join(test, `ws://127.0.0.1:${first.port}/`, {
      anonymous: true,
      reconnect: { min: 5, max: 20 },
    });
    const got = textsOf(client);
    const all = told(client);
    const { id } = client;
    for (const text of ['one', 'two', 'three']) test.equal(await within(client.send(text), text), 'acknowledged');
    const gone = new Promise((done) => first.child.once('close', done));
    const last = ['die', 'four', 'x'.repeat(3_000), ''].map((text) => client.send(text, { compress: true }));
    await within(gone, 'the process is killed');
    test.ok(await until(() => client.state === 'detached'));
    const waiting = client.send('five');
    const second = await start(test, first.port);
    const fates = await within(Promise.all([...last, waiting]), 'the fates', 10_000);
    test.same(fates, ['undelivered', 'undelivered', 'undelivered', 'undelivered', 'unsent']);
    test.ok(await until(() => client.state === 'open'));
    const lists = all.filter((one) => (one as unknown[])[0] === 'undelivered');
    test.same(lists, [['undelivered', ['die', 'four', 'x'.repeat(3_000), '', 'five']]], 'one list, in order');
    test.same(all.at(-1), ['open', 'new'], 'a new session, told after the list');
    test.not(client.id, id);
    test.equal(client.counters()?.resumesRefused, 1);
    test.equal(await within(client.send('six'), 'six'), 'acknowledged');
    test.ok(await until(() => got.includes('six')));
    test.notOk(got.includes('five'), 'nothing is sent again by itself');
    await client.close();
    second.child.kill('SIGKILL');
  },
);
