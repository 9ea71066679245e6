// A session as its user sees it, over real connections: what becomes of each message, what waits for whom, and what a listener of ours can break.
// lib/packet/PROTOCOL.md sections 4, 5 and 10.

import diagnostics from 'node:diagnostics_channel';
import t, { type Test } from 'tap';
import type { Delivery, Session, SessionCounters } from '../../lib/index.js';
import { until, within } from '../hostile/stage.js';
import { ANYBODY, echo, join, open, pair, QUICK, RawClient, roundTrip, textsOf } from './ends.js';
import { Line } from './line.js';

const fates = (deliveries: readonly PromiseLike<string>[]): Promise<string[]> =>
  within(Promise.all(deliveries), 'the fates');

/** One session through a line that can be held and cut. */
const onLine = async (
  test: Test,
  packets: Parameters<typeof open>[1] = {},
  client: Parameters<typeof join>[2] = ANYBODY,
): Promise<{
  readonly line: Line;
  readonly client: Session;
  readonly peer: Session;
  readonly server: Awaited<ReturnType<typeof open>>['server'];
}> => {
  const scene = await open(test, packets);
  const line = await Line.to(test, scene.port);
  const mine = await join(test, line.url, client);
  return { line, client: mine, peer: scene.sessions[0] as Session, server: scene.server };
};

t.test('a delivery tells its status at once and its fate when it is known', async (test) => {
  const { client, peer } = await pair(test);
  const got = textsOf(peer);
  const delivery = client.send('one');
  test.same([delivery.status, delivery.number], ['ok', 2], 'taken, with a number');
  test.equal(await within(delivery, 'before the ACK'), 'acknowledged');
  test.equal(await within(delivery, 'after the ACK'), 'acknowledged', 'and still, for whoever asks late');
  const loose = client.send('two', { reliable: false });
  test.equal(await loose, 'sent', 'nobody knows more of an unreliable one');
  test.ok(await until(() => got.length === 2));
  test.same(got, ['one', 'two']);
  test.same(client.unacknowledged, { messages: 0, bytes: 0 });
  test.same(await client.close('done'), { code: '2.2 CLIENT DISCONNECT', by: 'local', detail: 'done' });
  const late = client.send('three');
  test.same([late.status, late.number, await late], ['closed', undefined, 'closed']);
  test.equal((await within(peer.closed, 'the other end')).code, '2.2 CLIENT DISCONNECT');
  test.equal(await peer.send('four'), 'closed');
  test.equal(peer.ping(), false);
});

t.test('what was sent and not acknowledged is undelivered, what never left is unsent', async (test) => {
  const { line, client } = await onLine(test, {}, { anonymous: true, reconnect: { min: 60_000, max: 60_000 } });
  const lists: unknown[] = [];
  client.on('undelivered', (list) =>
    lists.push(list.map(({ number, data, sent }) => [number, Buffer.from(data).toString(), sent])),
  );
  line.hold();
  const sent = client.send('on its way');
  const left = new Promise((done) => client.on('detached', done));
  line.cut();
  test.equal(await within(left, 'it is detached'), 'lost');
  const waiting = client.send('waits');
  test.equal(client.send('lost', { reliable: false }).status, 'full', 'an unreliable one has nowhere to go');
  test.equal(client.state, 'detached');
  const outcome = await client.close();
  test.same(await fates([sent, waiting]), ['undelivered', 'unsent']);
  test.same(
    lists,
    [
      [
        [2, 'on its way', true],
        [3, 'waits', false],
      ],
    ],
    'one list of both',
  );
  test.equal(outcome.by, 'local');
});

t.test('256 messages or 1 MiB wait for their ACK; then send says full, until there is room', async (test) => {
  for (const [name, size, most] of [
    ['256 messages', 10, 256],
    ['1 MiB', 240_000, 4],
  ] as const) {
    const { line, client, peer } = await onLine(test);
    const got: number[] = [];
    peer.on('message', (data) => got.push(data.length));
    let drains = 0;
    client.on('drain', () => drains++);
    await within(client.drained(), `${name}: nothing is full, nothing to wait for`);
    line.hold();
    const all: Delivery[] = [];
    for (let i = 0; i < most; i++) all.push(client.send(Buffer.alloc(size, i)));
    test.same(
      all.map(({ status }) => status),
      all.map(() => 'ok'),
      `${name}: taken`,
    );
    test.same(client.unacknowledged, { messages: most, bytes: most * size });
    const over = client.send(Buffer.alloc(size));
    test.same([over.status, await over], ['full', 'full'], `${name}: one more is not`);
    const drained = client.drained();
    line.release();
    line.cut();
    await within(drained, `${name}: drained`);
    test.equal(client.send(Buffer.alloc(size)).status, 'ok', `${name}: there is room`);
    test.same(new Set(await fates(all)), new Set(['acknowledged']));
    test.ok(await until(() => got.length === most + 1), `${name}: all are there`);
    test.equal(drains, 1, `${name}: one event`);
    await client.close();
  }
});

t.test('an unreliable message is not taken while the connection is choked', async (test) => {
  const { port, sessions } = await open(test);
  const raw = await RawClient.open(port);
  test.teardown(() => raw.wire.destroy());
  test.ok(await until(() => sessions[0]?.state === 'open'));
  const session = sessions[0] as Session;
  let drains = 0;
  session.on('drain', () => drains++);
  raw.wire.socket.pause();
  const data = Buffer.alloc(900);
  let taken = 0;
  for (; taken < 60_000; taken++) {
    if (session.send(data, { reliable: false }).status !== 'ok') break;
    if (taken % 50 === 0) await new Promise((done) => setImmediate(done));
  }
  test.ok(taken < 60_000, `full after ${taken}`);
  test.equal(session.send('but this is', { reliable: true }).status, 'ok', 'a RELIABLE one has its own limit');
  let drained = false;
  const waiting = session.drained().then(() => {
    drained = true;
  });
  await new Promise((done) => setImmediate(done));
  test.notOk(drained, 'not before it is over');
  raw.wire.socket.resume();
  await within(waiting, 'drained');
  test.equal(drains, 1);
  test.equal(session.send(data, { reliable: false }).status, 'ok');
});

t.test('a message that the session can never carry is a mistake of its caller', async (test) => {
  const { client, peer } = await pair(test, { maxMessage: 100_000 }, { ...ANYBODY, maxMessage: 2_000_000 });
  const got = textsOf(peer);
  test.throws(() => client.send(Buffer.alloc(100_001)), RangeError, 'longer than the peer takes');
  test.throws(() => peer.send(Buffer.alloc(100_001)), RangeError, 'longer than we take');
  test.equal(await client.send(Buffer.alloc(100_000, 'a')), 'acknowledged', 'one octet less is none');
  test.ok(await until(() => got.length === 1));
  const wide = await pair(
    test,
    { maxMessage: 2_000_000 },
    { ...ANYBODY, maxMessage: 2_000_000, maxUnackedBytes: 4_000_000 },
  );
  const large = Buffer.alloc(1_500_000, 'b');
  test.throws(() => wide.client.send(large), RangeError, 'longer than 255 fragments');
  test.equal(await wide.client.send(large, { compress: true }), 'acknowledged', 'unless it shrinks');
  test.throws(() => client.send(12 as unknown as string), TypeError);
});

t.test('a message is never lost to a listener that comes late', async (test) => {
  const { url } = await open(test, {}, (session) => {
    session.on('open', () => {
      for (const text of ['a', 'b', 'c']) session.send(text);
    });
  });
  const client = await join(test, url);
  await new Promise((done) => setTimeout(done, 50));
  const first: string[] = [];
  client.once('message', (data) => first.push(Buffer.from(data).toString()));
  await new Promise((done) => setTimeout(done, 20));
  test.same(first, ['a'], 'who wants one gets one');
  const rest = textsOf(client);
  test.ok(await until(() => rest.length === 2));
  test.same(rest, ['b', 'c'], 'and the others wait on');
});

t.test('where nobody listens, what is kept is bounded and then the session ends', async (test) => {
  for (const [name, size] of [
    ['by count', 4],
    ['by size', 100_000],
  ] as const) {
    const { client, peer } = await pair(test);
    let taken = 0;
    while (client.state === 'open' && taken < 3_000) {
      const { status } = client.send(Buffer.alloc(size));
      if (status === 'ok') taken++;
      else await within(client.drained(), 'room');
    }
    test.match(await within(peer.closed, name), { code: '2.0 DISCONNECT', by: 'local', detail: 'nobody listens' });
    test.match(await within(client.closed, name), { code: '2.0 DISCONNECT', by: 'remote' });
    test.ok(taken * size < 8_000_000 && taken <= 1_400, `${name}: after ${taken}`);
  }
});

t.test('a listener that throws or rejects ends its session and no other', async (test) => {
  const ways: Record<string, (session: Session) => unknown> = {
    'the listener of the session throws': () => {
      throw new Error('broken');
    },
    'it rejects': () => Promise.reject(new Error('broken')),
    'a message listener throws': (session) => {
      session.on('message', () => {
        throw new Error('broken');
      });
    },
    'a message listener rejects': (session) => {
      session.on('message', () => Promise.reject(new Error('broken')));
    },
    'an open listener throws': (session) => {
      session.on('open', () => {
        throw new Error('broken');
      });
    },
    'it throws something that is no Error': (session) => {
      session.on('message', () => {
        throw 'broken' as unknown;
      });
    },
    'and the error listener throws as well': (session) => {
      session.on('error', () => {
        throw new Error('twice');
      });
      session.on('message', () => {
        throw new Error('broken');
      });
    },
  };
  for (const [name, way] of Object.entries(ways)) {
    let bad = false;
    const errors: string[] = [];
    const { url, server, sessions } = await open(test, {}, (session) => {
      if (!bad) return echo(session);
      if (!name.startsWith('and')) session.on('error', (error) => errors.push(error.message));
      return way(session);
    });
    const neighbour = await join(test, url);
    bad = true;
    const victim = await join(test, url, { anonymous: true, reconnect: false }).catch(() => undefined);
    victim?.send('hello');
    const own = sessions[1] as Session;
    test.match(
      await within(own.closed, name),
      { code: '2.0 DISCONNECT', by: 'local', detail: 'a listener failed' },
      name,
    );
    if (victim !== undefined) test.match(await within(victim.closed, name), { code: '2.0 DISCONNECT', by: 'remote' });
    test.same(errors, name.startsWith('and') ? [] : ['broken'], 'the error is told once');
    test.ok(await roundTrip(neighbour), 'the neighbour lives');
    test.same(server.sessions.length, 1);
    await neighbour.close();
  }
});

t.test('a session that is ended before it opens never opens', async (test) => {
  const { url, sessions, server } = await open(test, {}, (session) => {
    session.on('open', () => test.fail('it opened'));
    void session.close('not you');
    test.equal(session.send('x').status, 'closed');
  });
  const client = await join(test, url, { anonymous: true, reconnect: false }).catch(() => undefined);
  if (client !== undefined) await within(client.closed, 'the client');
  test.match(await within((sessions[0] as Session).closed, 'the server'), {
    code: '2.0 DISCONNECT',
    detail: 'not you',
  });
  test.same(server.sessions, []);
});

t.test('every packet is published while somebody subscribes, and none otherwise', async (test) => {
  const { client, peer } = await pair(test);
  const seen: string[] = [];
  const subscribe = (message: unknown): void => {
    const { direction, packet } = message as { direction: 'in' | 'out'; packet: Uint8Array };
    seen.push(`${direction} ${Buffer.from(packet).toString('hex')}`);
  };
  const total = (): number =>
    [client, peer].reduce((sum, one) => sum + (one.counters()?.packetsIn ?? 0) + (one.counters()?.packetsOut ?? 0), 0);
  await client.send('not heard');
  test.same(seen, []);
  const before = total();
  diagnostics.subscribe('wsd:packet', subscribe);
  try {
    await client.send(Buffer.alloc(3_000));
    await peer.send('x');
    test.equal(seen.length, total() - before, 'as many as were counted');
    const outs = seen.filter((line) => line.startsWith('out')).map((line) => line.slice(4));
    const ins = seen.filter((line) => line.startsWith('in')).map((line) => line.slice(3));
    test.same(ins.sort(), outs.sort(), 'what left is what came');
    test.ok(outs.length >= 7);
  } finally {
    diagnostics.unsubscribe('wsd:packet', subscribe);
  }
  const heard = seen.length;
  await client.send('not heard');
  test.equal(seen.length, heard);
});

t.test('what both ends counted adds up, while sessions live and afterwards', async (test) => {
  const { server, url, sessions } = await open(test, {}, echo);
  const clients = [await join(test, url), await join(test, url), await join(test, url)];
  for (const client of clients) {
    textsOf(client);
    for (let i = 0; i < 20; i++) client.send(Buffer.alloc(i * 100), { reliable: i % 2 === 0 });
  }
  const idle = (session: Session): boolean => session.unacknowledged.messages === 0;
  test.ok(
    await until(() => clients.every((one) => one.counters()?.messagesIn === 20 && idle(one)) && sessions.every(idle)),
  );
  const sum = (name: keyof SessionCounters): number =>
    clients.reduce((all, client) => all + (client.counters()?.[name] ?? 0), 0);
  const same = (name: keyof SessionCounters, other: keyof SessionCounters): void => {
    test.equal(server.packetCounters()?.[name], sum(other), `${name} of the server is ${other} of the clients`);
  };
  const judge = (): void => {
    same('packetsIn', 'packetsOut');
    same('packetsOut', 'packetsIn');
    same('bytesIn', 'bytesOut');
    same('bytesOut', 'bytesIn');
    same('messagesIn', 'messagesOut');
    same('reliableOut', 'reliableIn');
    same('acknowledged', 'reliableIn');
    same('acksOut', 'acksIn');
    same('opened', 'opened');
  };
  judge();
  test.equal(sum('reliableOut'), 30);
  for (const client of clients) await client.close();
  test.ok(await until(() => server.sessions.length === 0));
  judge();
  test.equal(server.packetCounters()?.['remote.CLIENT_DISCONNECT'], 3);
});

t.test('a ping tells the round trip', async (test) => {
  const { client } = await pair(test);
  test.equal(client.rtt, undefined);
  const trip = new Promise<number>((done) => client.on('heartbeat', done));
  test.equal(client.ping(), true);
  test.equal(client.ping(), false, 'one at a time');
  const rtt = await within(trip, 'the PONG');
  test.ok(rtt >= 0 && rtt < 2_000);
  test.equal(client.rtt, rtt);
  const quick = await pair(test, {}, { ...ANYBODY, heartbeat: 30, heartbeatTimeout: 1_000 });
  await within(new Promise((done) => quick.client.on('heartbeat', done)), 'by itself, after silence');
});

t.test('a peer that falls silent is found out, and the session goes on when it is back', async (test) => {
  // Longer than a busy machine keeps an answer waiting.
  const times = { heartbeat: 100, heartbeatTimeout: 300 };
  const { line, client, peer, server } = await onLine(
    test,
    { ...times },
    { ...ANYBODY, ...times, handshakeTimeout: 200, reconnect: { min: 20, max: 200 } },
  );
  const got = textsOf(peer);
  const told: unknown[] = [];
  client.on('detached', (why) => told.push(why)).on('open', (how) => told.push(how));
  line.hold();
  const waiting = client.send('through the night');
  test.ok(await until(() => told.length > 0 && peer.state === 'detached'));
  test.equal(told[0], 'silent');
  test.equal(client.counters()?.silent, 1);
  test.equal(peer.counters()?.silent, 1, 'by both');
  test.same(server.sessions.length, 1, 'it is still listed');
  line.release();
  test.equal(await within(waiting, 'its fate'), 'acknowledged');
  test.equal(told.at(-1), 'resumed');
  test.same(got, ['through the night']);
});

t.test('messages share memory with those of other sessions, and nobody can give it away', async (test) => {
  for (const mode of ['required', 'none'] as const) {
    const kept: Uint8Array[] = [];
    const { url } = await open(test, { mode }, (session) => session.on('message', (data) => kept.push(data)));
    const trust = mode === 'none' ? { mode } : ANYBODY;
    const [one, other] = [await join(test, url, trust), await join(test, url, trust)];
    // Once more where a pool ended between the two.
    for (let i = 0; i < 10 && (i === 0 || kept.at(-1)?.buffer !== kept.at(-2)?.buffer); i++) {
      await within(one.send('a secret'), 'its ACK');
      await within(other.send('said by the other'), 'its ACK');
    }
    const [mine, theirs] = kept.slice(-2) as [Uint8Array, Uint8Array];
    test.equal(mine.buffer, theirs.buffer, 'the same 8 KiB');
    const { port1, port2 } = new MessageChannel();
    let thrown = false;
    try {
      port1.postMessage(theirs.length, [theirs.buffer as ArrayBuffer]);
    } catch {
      thrown = true;
    }
    port1.close();
    port2.close();
    // Node 20 passes over it in silence.
    test.equal(thrown, Number(process.versions.node.split('.')[0]) > 20);
    test.equal(Buffer.from(mine).toString(), 'a secret', 'nothing is taken from anybody');
    test.equal(Buffer.from(theirs.slice()).toString(), 'said by the other');
  }
});

t.test('a resumed session knows its new connection when it says so', async (test) => {
  let visits = 0;
  const seen: unknown[] = [];
  const scene = await open(
    test,
    {},
    (session) => session.on('open', (how) => seen.push([how, session.data, session.request?.query, session.state])),
    { authorize: () => ({ data: ++visits as unknown as undefined }) },
  );
  const line = await Line.to(test, scene.port);
  const client = await join(test, `${line.url}?q`, { anonymous: true, reconnect: QUICK });
  const { id, exporter } = client;
  line.cut();
  test.ok(await until(() => seen.length === 2));
  test.same(seen, [
    ['new', 1, 'q', 'open'],
    ['resumed', 2, 'q', 'open'],
  ]);
  test.ok(await until(() => client.state === 'open'));
  test.equal(client.id, id, 'the same session');
  test.equal(scene.sessions[0]?.id, id);
  test.same(Buffer.from(client.exporter ?? []), Buffer.from(scene.sessions[0]?.exporter ?? []), 'the same secret');
  test.ok(exporter !== undefined && exporter.length === 32);
});
