// One bound for all queues of a server: readers that stop, each far below its own cap.
import t, { type Test } from 'tap';
import { upgrade, type Wire } from '../../fixtures/rig/wire.js';
import type { ServerOptions } from '../../lib/options/types.js';
import { createServer, type Server } from '../../lib/server/server.js';
import { Budget } from '../../lib/websocket/budget.js';
import type { Connection } from '../../lib/websocket/connection.js';
import type { SendStatus } from '../../lib/websocket/sent.js';

const TOTAL = 1 << 20;
const PART = Buffer.alloc(16_384, 'part');
/** What one with nothing waiting may take besides. */
const BESIDES = 2 * 16_384;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const until = async (what: () => boolean): Promise<boolean> => {
  const end = performance.now() + 5_000;
  while (!what() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 2));
  return what();
};

interface Stage {
  readonly server: Server;
  readonly wires: readonly Wire[];
  readonly connections: readonly Connection<undefined>[];
}

/** Peers that shook hands and read nothing any more. */
const stage = async (t: Test, count: number, options: ServerOptions = {}): Promise<Stage> => {
  const connections: Connection<undefined>[] = [];
  const server = createServer({ maxBufferedTotal: TOTAL, closeTimeout: 100, ...options }, (connection) => {
    connections.push(connection);
  });
  const { port } = await server.listen();
  const wires: Wire[] = [];
  for (let i = 0; i < count; i++) {
    const wire = await upgrade(port as number);
    wire.socket.pause();
    wires.push(wire);
  }
  t.teardown(async () => {
    for (const wire of wires) wire.destroy();
    await server.close({ drain: 100 });
  });
  return { server, wires, connections };
};

/** Sends until it is told to stop, or much more than all may have together was taken; how much waits then. */
const fill = async (connection: Connection<undefined>, stop: SendStatus): Promise<number> => {
  for (let i = 0; i < 4000; i++) {
    if (connection.send(PART).status === stop) return connection.bufferedAmount;
    if (i % 4 === 0) await turn();
  }
  return Infinity;
};

t.test('the number itself', async (t) => {
  const budget = new Budget(100);
  t.equal(budget.limit, 100);
  t.notOk(budget.exceeds(100));
  t.ok(budget.exceeds(101));
  budget.used = 60;
  t.notOk(budget.exceeds(40));
  t.ok(budget.exceeds(41));
});

t.test('what all wait for together is bounded, and given back when one reads or leaves', async (t) => {
  const { server, wires, connections } = await stage(t, 3, { policy: 'drop-newest' });
  const [first, second, third] = connections as [Connection, Connection, Connection];
  const alone = await fill(first as Connection<undefined>, 'dropped');
  t.ok(alone > TOTAL / 2 && alone <= TOTAL + BESIDES, `the first has ${alone} octets waiting`);
  t.ok(alone < 16 * TOTAL, 'far below its own cap');
  const little = await fill(second as Connection<undefined>, 'dropped');
  t.ok(little <= BESIDES + PART.length, `the second finds nothing left: ${little}`);
  t.equal(first.state, 'open');
  t.equal(second.state, 'open');

  wires[0]?.socket.resume();
  wires[0]?.socket.on('data', () => {});
  t.ok(await until(() => first.bufferedAmount === 0), 'the first reads again');
  const then = await fill(second as Connection<undefined>, 'dropped');
  t.ok(then > TOTAL / 2 && then <= TOTAL + BESIDES, `what it had is there for the second: ${then}`);
  t.ok((await fill(third as Connection<undefined>, 'dropped')) <= BESIDES + PART.length);

  second.terminate();
  t.ok(await until(() => server.connections.size === 2));
  const last = await fill(third as Connection<undefined>, 'dropped');
  t.ok(last > TOTAL / 2 && last <= TOTAL + BESIDES, `and what one takes with it, for the third: ${last}`);
  t.equal(first.send('who reads is not concerned').status, 'ok');
});

t.test('what a socket was given and could not get rid of counts as well', async (t) => {
  const { connections } = await stage(t, 8, { policy: 'drop-newest', maxBuffered: 64 * TOTAL });
  const large = Buffer.alloc(8 * TOTAL);
  const taken: SendStatus[] = [];
  for (const connection of connections) {
    taken.push(connection.send(large).status);
    await turn();
    // Nothing waits before the first one of each, so it is taken; what it leaves waiting is for all to see.
    taken.push(connection.send(PART).status);
  }
  t.same(
    taken,
    connections.flatMap(() => ['full', 'dropped']),
  );
});

t.test('where the policy is to close, it closes who asks for more', async (t) => {
  const { server, connections } = await stage(t, 2);
  const [first, second] = connections as [Connection<undefined>, Connection<undefined>];
  t.ok((await fill(first, 'dropped')) <= TOTAL + BESIDES);
  t.equal(first.state, 'closing');
  t.match(await first.closed, { code: 1008, fault: 'WSD_PEER_SLOW' });
  t.equal(second.state, 'open', 'and nobody else');
  t.equal(server.counters()['fault:WSD_PEER_SLOW'], 1);
  const later = await fill(second, 'dropped');
  t.ok(later > TOTAL / 2 && later <= TOTAL + BESIDES, 'whose place is free again');
  await second.closed;
});

t.test('a broadcast to many that do not read is bounded as well', async (t) => {
  const { server, connections } = await stage(t, 4, { policy: 'drop-newest' });
  let taken = 4;
  for (let i = 0; i < 4000 && taken > 0; i++) {
    taken = server.broadcast(PART);
    if (i % 4 === 0) await turn();
  }
  t.equal(taken, 0);
  const waits = connections.reduce((sum, connection) => sum + connection.bufferedAmount, 0);
  t.ok(waits > TOTAL / 2 && waits <= TOTAL + 4 * BESIDES, `${waits} octets wait for all together`);
  t.equal(server.connections.size, 4);
});
