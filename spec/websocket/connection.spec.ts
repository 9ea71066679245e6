// Connections as their users see them: listeners, iterators, pausing, and what a listener of ours may break.
import t, { type Test } from 'tap';
import { encodeFrame } from '../../lib/frame/encode.js';
import type { Message } from '../../lib/websocket/inbox.js';
import type { ConnectionSettings } from '../../lib/websocket/settings.js';
import { Puppet, pairOf } from './pair.js';

const frame = (opcode: number, payload = '', more: object = {}): Uint8Array =>
  encodeFrame({ opcode, payload: Buffer.from(payload), maskKey: 0x01020304, ...more });
const CLOSE = encodeFrame({ opcode: 8, payload: Uint8Array.of(3, 232), maskKey: 5 });
const words = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => frame(1, `m${i}`));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Rejections that nobody caught while the test ran: they would end a process. */
const unhandled = (t: Test): unknown[] => {
  const caught: unknown[] = [];
  const note = (reason: unknown): void => void caught.push(reason);
  process.on('unhandledRejection', note);
  t.teardown(() => process.off('unhandledRejection', note));
  return caught;
};

t.test('what a connection knows of itself', async (t) => {
  const { server, client, network } = pairOf();
  const { connection } = server;
  t.equal(connection.role, 'server');
  t.equal(client.connection.role, 'client');
  t.ok(client.connection.id > connection.id);
  t.equal(connection.subprotocol, '');
  t.equal(connection.extensions, '');
  t.equal(connection.remoteAddress, '192.0.2.1');
  t.equal(connection.request.path, '/');
  t.equal(connection.state, 'open');
  t.notOk(connection.paused);
  t.equal(connection.bufferedAmount, 0);
  t.equal(connection.dropped, 0);
  t.equal(connection.data, undefined);
  const opened: string[] = [];
  connection.on('open', () => void opened.push('open'));
  connection.opened();
  t.strictSame(opened, ['open']);
  const ended = connection[Symbol.asyncDispose]();
  await network.settle();
  await ended;
  t.equal(connection.state, 'closed');
});

t.test('every event has its listener', async (t) => {
  const puppet = new Puppet('server');
  const log: unknown[] = [];
  puppet.end.connection
    .on('message', (data, binary) => void log.push([String(data), binary]))
    .on('ping', (data) => void log.push(['ping', Buffer.from(data).toString()]))
    .on('pong', (data) => void log.push(['pong', Buffer.from(data).toString()]))
    .on('error', (error) => void log.push(['error', (error as { code?: string }).code]))
    .on('close', (outcome) => void log.push(['close', outcome.code]));
  await puppet.say(frame(1, 'a'), frame(2, 'b'), frame(9, 'c'), frame(10, 'd'), frame(3, 'e'));
  await puppet.leave();
  t.strictSame(log, [
    ['a', false],
    ['b', true],
    ['ping', 'c'],
    ['pong', 'd'],
    ['error', 'WSD_FRAME_OPCODE'],
    ['close', 1002],
  ]);
  t.equal(puppet.end.connection.listenerCount('message'), 0, 'and after the end none is kept');
});

t.test('the first message is never lost, however late the listener comes', async (t) => {
  for (const turns of [0, 1, 20]) {
    const puppet = new Puppet('server');
    await puppet.say(...words(3));
    for (let i = 0; i < turns; i++) await turn();
    const got: unknown[] = [];
    puppet.end.connection.on('message', (data) => void got.push(data));
    t.strictSame(got, [], 'never from inside the call');
    await puppet.network.settle();
    await puppet.say(frame(1, 'm3'));
    t.strictSame(got, ['m0', 'm1', 'm2', 'm3'], `${turns} turns later`);
  }
});

t.test('without a listener the peer is no longer read at some point, and read again when there is one', async (t) => {
  const { network, server, client } = pairOf({ capacity: 4000, settings: { maxBuffered: 1 << 24 } });
  for (let i = 0; i < 20_000; i++) client.connection.send(`message ${i}`);
  await network.settle();
  t.ok(server.paused);
  t.ok(client.connection.bufferedAmount > 10_000, 'the rest waits with the sender');
  t.ok(server.link.machine.holding < 70_000);
  const got: unknown[] = [];
  server.connection.on('message', (data) => void got.push(data));
  await network.settle();
  t.equal(got.length, 20_000);
  t.equal(
    got.findIndex((data, i) => data !== `message ${i}`),
    -1,
    'in order',
  );
});

t.test('pause and resume, also from inside a handler', async (t) => {
  const { network, server, client } = pairOf();
  const got: unknown[] = [];
  server.connection.on('message', (data) => {
    got.push(data);
    if (data === '3') server.connection.pause();
  });
  for (let i = 0; i < 300; i++) client.connection.send(String(i));
  await network.settle();
  t.strictSame(got, ['0', '1', '2', '3']);
  t.ok(server.connection.paused);
  await network.advance(10_000);
  t.equal(got.length, 4);
  server.connection.resume();
  t.equal(got.length <= 5, true);
  await network.settle();
  t.equal(got.length, 300);
});

t.test('paused, the peer is read until enough waits', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const log: string[] = [];
  connection.on('message', (data) => void log.push(String(data))).on('ping', () => void log.push('ping'));
  connection.pause();
  await puppet.say(...words(127), frame(9));
  t.strictSame(log, ['ping'], 'control frames are heard');
  t.notOk(puppet.end.paused);
  await puppet.say(frame(1, 'm127'), frame(9));
  t.ok(puppet.end.paused, 'the 128th message is the last');
  t.strictSame(log, ['ping']);
  connection.resume();
  t.strictSame(log, ['ping'], 'never from inside the call');
  await puppet.network.settle();
  t.strictSame(log, ['ping', ...Array.from({ length: 128 }, (_, i) => `m${i}`), 'ping']);

  const large = new Puppet('server');
  large.end.connection.pause();
  await large.say(frame(1, 'x'.repeat(200_000)));
  t.notOk(large.end.paused);
  await large.say(frame(1, 'y'.repeat(62_144)));
  t.ok(large.end.paused, 'or 256 KiB');
});

t.test('a listener that returns what send returned is awaited only when the queue is full', async (t) => {
  for (const listeners of [1, 2]) {
    for (const [what, settings, prepare, awaited] of [
      ['ok', {}, 0, false],
      ['full', { highWater: 100 }, 500, true],
      ['dropped', { highWater: 100, maxBuffered: 600, policy: 'drop-newest' }, 600, false],
      ['closed', {}, -1, false],
    ] as const) {
      const puppet = new Puppet('server', { capacity: 10, settings });
      const { connection } = puppet.end;
      puppet.reads = false;
      if (prepare > 0) connection.send(Buffer.alloc(prepare));
      if (prepare < 0) void connection.close();
      const got: string[] = [];
      const statuses = new Set<string>();
      connection.on('message', (data) => {
        got.push(String(data));
        const sent = connection.send('answer');
        statuses.add(sent.status);
        return sent;
      });
      if (listeners === 2) connection.on('message', () => {});
      puppet.end.arrive(Buffer.concat(words(5)));
      t.strictSame([...statuses], [what]);
      t.equal(got.length, awaited ? 1 : 5, `${listeners} listeners, ${what}: within the same read`);
      puppet.reads = true;
      await puppet.network.settle();
      t.strictSame(got, ['m0', 'm1', 'm2', 'm3', 'm4'], 'and in the end all');
    }
  }
  const asynchronous = new Puppet('server');
  const got: unknown[] = [];
  asynchronous.end.connection.on('message', async (data) => void got.push(data));
  asynchronous.end.arrive(Buffer.concat(words(5)));
  t.equal(got.length, 1, 'any other promise is awaited');
  await asynchronous.network.settle();
  t.equal(got.length, 5);
});

const slowly = async (settings: Partial<ConnectionSettings>): Promise<{ order: string[]; most: number }> => {
  const { network, server, client } = pairOf({ settings });
  const order: string[] = [];
  let running = 0;
  let most = 0;
  server.connection.on('message', async (data) => {
    most = Math.max(most, ++running);
    order.push(`+${String(data)}`);
    for (let i = 0; i < Number(data) % 4; i++) await turn();
    order.push(`-${String(data)}`);
    running--;
  });
  for (let i = 0; i < 400; i++) client.connection.send(String(i));
  for (let i = 0; i < 900; i++) await network.settle();
  return { order, most };
};

t.test(
  'asynchronous handlers of one connection run one after the other, or as many at once as was asked',
  async (t) => {
    const one = await slowly({});
    t.equal(one.most, 1);
    t.strictSame(one.order, Array.from({ length: 400 }, (_, i) => [`+${i}`, `-${i}`]).flat());
    const four = await slowly({ concurrency: 4 });
    t.equal(four.most, 4);
    t.strictSame(
      four.order.filter((line) => line.startsWith('+')),
      Array.from({ length: 400 }, (_, i) => `+${i}`),
    );
  },
);

t.test('for await: all messages in order, then the end', async (t) => {
  const { network, server, client } = pairOf();
  for (let i = 0; i < 500; i++) client.connection.send(String(i));
  void client.connection.close();
  const got: Message[] = [];
  const loop = (async (): Promise<void> => {
    for await (const message of server.connection) {
      got.push(message);
      if (got.length % 50 === 0) await turn();
    }
  })();
  for (let i = 0; i < 30; i++) await network.settle();
  await loop;
  t.strictSame(
    got,
    Array.from({ length: 500 }, (_, i) => String(i)),
  );
  const after: Message[] = [];
  for await (const message of server.connection) after.push(message);
  t.strictSame(after, [], 'after the end there is nothing');
});

t.test('a loop that is left leaves the rest to who comes next', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  await puppet.say(...words(5));
  for await (const message of connection) if (message === 'm1') break;
  const rest: unknown[] = [];
  connection.on('message', (data) => void rest.push(data));
  await puppet.network.settle();
  t.strictSame(rest, ['m2', 'm3', 'm4']);
});

t.test('a consumer that is behind when the peer leaves gets what it had not read', async (t) => {
  const puppet = new Puppet('server');
  const got: unknown[] = [];
  puppet.end.connection.on('message', async (data) => {
    await turn();
    got.push(data);
  });
  let closed = false;
  puppet.end.connection.on('close', () => {
    closed = true;
    t.equal(got.length >= 99, true, 'close comes last');
  });
  await puppet.say(...words(100), CLOSE);
  await puppet.leave();
  for (let i = 0; i < 120; i++) await puppet.network.settle();
  t.equal(got.length, 100);
  t.ok(closed);
});

t.test('we close while the peer is not read: the handshake is complete all the same', async (t) => {
  for (const held of ['paused', 'without a listener'] as const) {
    const { network, server, client } = pairOf();
    client.connection.on('message', () => {});
    if (held === 'paused') {
      server.connection.on('message', () => {});
      server.connection.pause();
    }
    for (let i = 0; i < 200; i++) client.connection.send('x');
    await network.settle();
    const outcome = server.connection.close(1000, 'enough');
    await network.advance(6_000);
    t.match(await outcome, { code: 1000, clean: true, initiator: 'local' }, held);
  }
});

t.test('a listener that throws ends its own connection, whatever the event', async (t) => {
  for (const [event, provoke] of [
    ['message', frame(1, 'x')],
    ['ping', frame(9)],
    ['pong', frame(10)],
  ] as const) {
    for (const how of ['throws', 'rejects', 'throws what is no error'] as const) {
      const puppet = new Puppet('server');
      const errors: unknown[] = [];
      puppet.end.connection.on('error', (error) => void errors.push(error));
      puppet.end.connection.on(event, () => {
        if (how === 'rejects') return Promise.reject(new Error('ours'));
        throw (how === 'throws' ? new Error('ours') : 'ours') as Error;
      });
      await puppet.say(provoke);
      await puppet.leave();
      t.match(await puppet.end.connection.closed, { code: 1011, fault: 'WSD_HANDLER_FAILED' }, `${event} ${how}`);
      t.match(errors[0], { message: 'ours' });
      t.match(puppet.takeHeard().subarray(-17).toString('latin1'), 'internal error', 'the peer learns no more');
    }
  }
});

t.test('a listener may return what only looks like a promise: it fails like others, and escapes nowhere', async (t) => {
  const caught = unhandled(t);
  const thrower = {
    // biome-ignore lint/suspicious/noThenProperty: what other libraries return
    then: (): never => {
      throw new Error('ours');
    },
  };
  for (const [event, provoke] of [
    ['message', frame(1, 'x')],
    ['ping', frame(9)],
  ] as const) {
    for (const listeners of [1, 2]) {
      const puppet = new Puppet('server');
      const { connection } = puppet.end;
      const log: unknown[] = [];
      connection.on('error', ({ message }) => void log.push(message));
      connection.on(event, () => thrower);
      if (listeners === 2) connection.on(event, () => void log.push('the other'));
      await puppet.say(provoke);
      await puppet.leave();
      const told = [...(listeners === 2 ? ['the other'] : []), 'ours', 'internal error'];
      t.strictSame(log, told, `${event}, ${listeners} listeners`);
      t.match(await connection.closed, { code: 1011, fault: 'WSD_HANDLER_FAILED' });
    }
  }
  t.strictSame(caught, []);
});

t.test('a listener for drain or open that throws ends its connection as well', async (t) => {
  const puppet = new Puppet('server', { capacity: 100, settings: { highWater: 500 } });
  puppet.reads = false;
  puppet.end.connection.on('drain', () => {
    throw new Error('ours');
  });
  const sent = puppet.end.connection.send(Buffer.alloc(1000));
  void sent.then(() => {});
  await puppet.network.settle();
  puppet.reads = true;
  await puppet.network.settle();
  t.equal(puppet.end.connection.state, 'closing');
});

t.test('an error listener that throws or rejects is the end of nothing', async (t) => {
  const caught = unhandled(t);
  for (const how of ['throws', 'rejects'] as const) {
    const puppet = new Puppet('server');
    let told = 0;
    puppet.end.connection.on('error', (): unknown => {
      // Without a bound, a listener that is told of its own failure would never let go of the process.
      if (++told > 10) return undefined;
      if (how === 'rejects') return Promise.reject(new Error('ours'));
      throw new Error('ours');
    });
    await puppet.say(frame(3));
    await puppet.leave();
    t.ok(told <= 2, `told ${told} times`);
    t.match(await puppet.end.connection.closed, { code: 1002 });
  }
  t.strictSame(caught, []);
});

t.test('close is last, also when its listener fails', async (t) => {
  const caught = unhandled(t);
  for (const how of ['throws', 'rejects'] as const) {
    const puppet = new Puppet('server');
    const log: string[] = [];
    puppet.end.connection.on('error', () => void log.push('error'));
    puppet.end.connection.on('close', (): unknown => {
      log.push('close');
      if (how === 'rejects') return Promise.reject(new Error('ours'));
      throw new Error('ours');
    });
    await puppet.leave();
    await turn();
    t.strictSame(log, ['close'], how);
  }
  t.strictSame(caught, []);
});

t.test('several listeners may fail in several ways at once', async (t) => {
  const caught = unhandled(t);
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  connection.on('message', () => Promise.reject(new Error('first')));
  connection.on('message', () => Promise.reject(new Error('second')));
  connection.on('message', () => {
    throw new Error('third');
  });
  await puppet.say(frame(1, 'x'));
  await puppet.leave();
  await turn();
  t.match(await connection.closed, { code: 1011 });
  t.strictSame(caught, []);
});

t.test('a handler may send, close and terminate from inside, in any order', async (t) => {
  const { network, server, client } = pairOf();
  const got: unknown[] = [];
  client.connection.on('message', (data) => void got.push(data));
  server.connection.on('message', (data) => {
    server.connection.send(`re: ${String(data)}`);
    void server.connection.close(4001, 'said all');
    t.equal(server.connection.send('never').status, 'closed');
    t.equal(server.connection.state, 'closing');
  });
  client.connection.send('hello');
  await network.settle();
  t.strictSame(got, ['re: hello']);
  t.match(await client.connection.closed, { code: 4001, reason: 'said all', clean: true, initiator: 'remote' });
  const other = pairOf();
  other.server.connection.on('message', () => other.server.connection.terminate());
  other.server.connection.on('close', () => other.server.connection.send('late'));
  other.client.connection.send('hello');
  await other.network.settle();
  t.match(await other.server.connection.closed, { fault: 'WSD_TERMINATED' });
  t.match(await other.client.connection.closed, { code: 1006, clean: false });
});
