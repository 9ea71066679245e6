// Waiting that is called off: alone, and where connections and servers offer it.
import { getEventListeners } from 'node:events';
import t from 'tap';
import { upgrade } from '../../fixtures/rig/wire.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { createServer } from '../../lib/server/server.js';
import { orAborted } from '../../lib/websocket/abort.js';
import { Puppet } from './pair.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const listening = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
process.on('unhandledRejection', note);
t.teardown(() => process.off('unhandledRejection', note));

t.test('the promise, or the reason of the signal, whichever is first', async (t) => {
  const stop = new AbortController();
  const { signal } = stop;
  t.equal(await orAborted(Promise.resolve(1), undefined), 1);
  const plain = Promise.resolve(2);
  t.equal(orAborted(plain, undefined), plain, 'without a signal nothing is put around it');
  t.equal(await orAborted(Promise.resolve(3), signal), 3);
  await t.rejects(orAborted(Promise.reject(new Error('its own')), signal), { message: 'its own' });
  const called = orAborted(new Promise(() => {}), signal);
  t.equal(listening(signal), 1);
  stop.abort(new Error('enough'));
  await t.rejects(called, { message: 'enough' });
  t.equal(listening(signal), 0);
  await t.rejects(orAborted(Promise.resolve(4), signal), { message: 'enough' }, 'also when it was aborted before');
  await t.rejects(orAborted(new Promise(() => {}), AbortSignal.abort()), { name: 'AbortError' });
});

t.test('a signal that lives long keeps nothing of what was waited for', async (t) => {
  const { signal } = new AbortController();
  for (let i = 0; i < 50; i++) {
    await orAborted(Promise.resolve(i), signal);
    await orAborted(Promise.reject(new Error('no')), signal).catch(() => {});
  }
  await turn();
  t.equal(listening(signal), 0);
});

t.test('nobody need look at what was called off', async (t) => {
  const stop = new AbortController();
  let fail: (error: Error) => void = () => {};
  const late = new Promise<void>((_, failed) => {
    fail = failed;
  });
  void orAborted(late, stop.signal);
  stop.abort(new Error('enough'));
  fail(new Error('too late'));
  await turn();
  t.strictSame(unhandled, []);
});

t.test('a ping that is called off was sent, and its answer is no surprise', async (t) => {
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const stop = new AbortController();
  const waits = ['a', 'b'].map((data) => connection.ping(data, stop.signal));
  const other = connection.ping('c');
  stop.abort(new Error('enough'));
  t.match(
    await Promise.allSettled(waits),
    waits.map(() => ({ status: 'rejected', reason: { message: 'enough' } })),
  );
  await puppet.network.settle();
  t.equal(puppet.takeHeard().length, 9, 'three pings');
  for (const payload of ['a', 'b', 'c'])
    await puppet.say(encodeFrame({ opcode: 10, payload: Buffer.from(payload), maskKey: 7 }));
  t.equal(await other, 0);
  t.equal(connection.unaskedPongs, 0);
  const { signal } = new AbortController();
  const last = connection.ping('d', signal);
  await puppet.leave();
  await t.rejects(last, { code: 'WSD_SOCKET_ENDED' }, 'the end comes before any signal');
  await turn();
  t.equal(listening(signal), 0);
  t.strictSame(unhandled, []);
});

t.test('waiting for the queue may be called off, by one and not by another', async (t) => {
  const puppet = new Puppet('server', { capacity: 100, settings: { highWater: 500 } });
  const { connection } = puppet.end;
  puppet.reads = false;
  connection.send(Buffer.alloc(5000));
  const stop = new AbortController();
  const log: string[] = [];
  const wait = (name: string, signal?: AbortSignal): Promise<void> =>
    connection.drained(signal).then(
      () => void log.push(`${name} drained`),
      (error: Error) => void log.push(`${name} ${error.message}`),
    );
  const all = [wait('first', stop.signal), wait('second', new AbortController().signal), wait('third')];
  await puppet.network.settle();
  t.strictSame(log, []);
  stop.abort(new Error('was called off'));
  await puppet.network.settle();
  t.strictSame(log, ['first was called off']);
  puppet.reads = true;
  await puppet.network.settle();
  await Promise.all(all);
  t.strictSame(log.slice(1).sort(), ['second drained', 'third drained']);
  await t.rejects(connection.drained(AbortSignal.abort(new Error('before'))), { message: 'before' });
  await turn();
  t.equal(listening(stop.signal), 0);
});

t.test(
  'a server that is closed with a signal cuts who is left when it is aborted, and forgets the signal',
  async (t) => {
    for (const when of ['before', 'later', 'never'] as const) {
      const server = createServer();
      const { port } = await server.listen();
      const wires = [await upgrade(port as number), await upgrade(port as number)] as const;
      const stop = new AbortController();
      if (when === 'before') stop.abort();
      const closing = server.close({ drain: 20_000, signal: stop.signal });
      if (when !== 'before') {
        for (const wire of when === 'later' ? wires.slice(0, 1) : wires) {
          const { payload } = await wire.readFrame();
          wire.sendFrame({ opcode: 8, payload });
          await wire.ended();
          wire.end();
        }
        while (server.connections.size > (when === 'later' ? 1 : 0)) await turn();
      }
      if (when === 'later') stop.abort();
      const counts = { before: { clean: 0, cut: 2 }, later: { clean: 1, cut: 1 }, never: { clean: 2, cut: 0 } }[when];
      t.strictSame(await closing, counts, when);
      t.equal(server.connections.size, 0);
      t.equal(listening(stop.signal), 0);
      for (const wire of wires) wire.destroy();
    }
  },
);
