// The end of a server: it ends, in time, and says how many it had to cut. Promise 12 of the README.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import t from 'tap';
import { connect as dial, upgrade, upgradeRequest, type Wire } from '../../fixtures/rig/wire.js';
import { connect, createServer } from '../../lib/index.js';
import { askUpgrade, echo, isEmpty, open, readAnswer, roundTrip, until, within } from './scene.js';

const closeOf = (payload: Uint8Array): { code: number; reason: string } => ({
  code: Buffer.from(payload).readUInt16BE(0),
  reason: Buffer.from(payload.subarray(2)).toString(),
});

/** Reads up to the Close frame, answers it, and hangs up. */
const leave = async (wire: Wire): Promise<{ code: number; reason: string; texts: string[] }> => {
  const texts: string[] = [];
  for (;;) {
    const { opcode, payload } = await wire.readFrame();
    if (opcode === 1) texts.push(Buffer.from(payload).toString());
    if (opcode !== 8) continue;
    wire.sendFrame({ opcode: 8, payload: payload.subarray(0, 2) });
    wire.end();
    return { ...closeOf(payload), texts };
  }
};

t.test('peers that answer are closed cleanly, and the server says how many', async (t) => {
  const { server, port, connections } = await open(t);
  const wires = await Promise.all([1, 2, 3].map(() => upgrade(port)));
  let closed = 0;
  server.on('close', () => closed++);
  const closing = server.close({ drain: 5_000 });
  const goodbyes = await Promise.all(wires.map(leave));
  for (const goodbye of goodbyes) t.same(goodbye, { code: 1001, reason: 'server is shutting down', texts: [] });
  t.same(await within(closing, 'the close'), { clean: 3, cut: 0 });
  t.equal(closed, 1, 'one close event');
  t.equal(server.connections.size, 0);
  for (const { closed: outcome } of connections)
    t.match(await outcome, { code: 1001, clean: true, initiator: 'local' });
  t.equal(server.counters()['closed:1001'], 3);
});

t.test('who does not answer is cut at the deadline, whatever it does meanwhile', async (t) => {
  const { server, port, connections } = await open(t, { closeTimeout: 60_000 });
  const [good, silent, talker, left, full] = await Promise.all([1, 2, 3, 4, 5].map(() => upgrade(port)));
  left?.reset();
  full?.socket.pause();
  await until(() => server.connections.size === 4);
  connections[4]?.send(Buffer.alloc(8 * 1024 * 1024), { transfer: true });
  const start = performance.now();
  const closing = server.close({ drain: 150 });
  const talk = setInterval(() => talker?.sendFrame({ opcode: 1, payload: 'and another thing' }), 10);
  await leave(good as Wire);
  t.same(await within(closing, 'the close'), { clean: 1, cut: 3 });
  const took = performance.now() - start;
  clearInterval(talk);
  t.ok(took >= 149 && took < 1_500, `after ${took.toFixed(0)} ms`);
  for (const wire of [silent, talker]) {
    t.match(closeOf((await wire?.readFrame())?.payload as Uint8Array), { code: 1001 }, 'it had been told');
    await wire?.ended();
  }
  for (const wire of [good, silent, talker, full]) wire?.destroy();
  t.ok(await isEmpty(server));
});

t.test('a signal cuts what is left before the time is over', async (t) => {
  for (const early of [true, false]) {
    const { server, port } = await open(t, { closeTimeout: 60_000 });
    const [good, silent] = (await Promise.all([upgrade(port), upgrade(port)])) as [Wire, Wire];
    const impatient = new AbortController();
    if (early) impatient.abort();
    const closing = server.close({ drain: 60_000, signal: impatient.signal });
    if (!early) {
      await leave(good);
      await until(() => server.connections.size === 1);
      impatient.abort();
    }
    t.same(await within(closing, 'the close'), early ? { clean: 0, cut: 2 } : { clean: 1, cut: 1 });
    for (const wire of [good, silent]) wire.destroy();
  }
});

t.test('the code and the reason can be chosen, and no time given', async (t) => {
  const { server, port } = await open(t);
  const wire = await upgrade(port);
  const closing = server.close({ drain: 2_000, code: 1012, reason: 'back in a minute' });
  t.match(await leave(wire), { code: 1012, reason: 'back in a minute' });
  t.same(await closing, { clean: 1, cut: 0 });

  const hasty = await open(t);
  const cut = await upgrade(hasty.port);
  const start = performance.now();
  t.same(await within(hasty.server.close({ drain: 0 }), 'the close'), { clean: 0, cut: 1 });
  t.ok(performance.now() - start < 1_000);
  await cut.ended();
  cut.destroy();
});

t.test('a code or reason that cannot be sent is refused before anything is closed', async (t) => {
  for (const wrong of [{ code: 1006 }, { code: 5_000 }, { code: 1.5 }, { reason: 'x'.repeat(124) }]) {
    const { server, port } = await open(t);
    const wire = await upgrade(port);
    const refused = await within(
      Promise.resolve()
        .then(() => server.close(wrong))
        .then(
          () => 'accepted',
          (error: Error) => error.name,
        ),
      'the refusal',
    );
    t.match(refused, /^(?:Type|Range)Error$/, JSON.stringify(wrong));
    t.equal((await askUpgrade(port).catch(() => ({ status: 0 }))).status, 101, 'it still listens');
    const closing = server.close({ drain: 1_000 }).catch((error: Error) => error);
    await Promise.race([leave(wire).catch(() => undefined), closing]);
    t.match(await closing, { clean: 1 }, 'and can be closed rightly');
    wire.destroy();
  }
});

t.test('a time that is none is refused before anything is closed', async (t) => {
  const { server, port } = await open(t);
  const wire = await upgrade(port);
  for (const drain of [Number.NaN, -1, 2 ** 31, '5000', null, {}])
    await t.rejects(server.close({ drain: drain as number }), { name: /^(?:Type|Range)Error$/ }, JSON.stringify(drain));
  await t.rejects(server.close({ signal: {} as AbortSignal }), { name: 'TypeError' });
  t.equal((await askUpgrade(port)).status, 101, 'it still listens');
  t.equal(await roundTrip(wire, 'a word'), 'a word');
  wire.destroy();
});

t.test('without a deadline the server waits for its peers, or for the signal', async (t) => {
  const { server, port } = await open(t, { closeTimeout: 1 });
  const [good, silent] = (await Promise.all([upgrade(port), upgrade(port)])) as [Wire, Wire];
  const enough = new AbortController();
  let over = false;
  const closing = server.close({ drain: Infinity, signal: enough.signal });
  void closing.then(() => {
    over = true;
  });
  t.match(closeOf((await silent.readFrame()).payload), { code: 1001 });
  // Long after what a timer makes of Infinity, and after closeTimeout.
  await new Promise((done) => setTimeout(done, 100));
  t.notOk(over, 'nobody is cut');
  await leave(good);
  await until(() => server.connections.size === 1);
  t.notOk(over);
  enough.abort();
  t.same(await within(closing, 'the close'), { clean: 1, cut: 1 });
  for (const wire of [good, silent]) wire.destroy();
});

t.test('a listener of the end that fails does not make it a failure', async (t) => {
  for (const how of ['throws', 'rejects'] as const) {
    const { server, errors } = await open(t);
    server.on('close', (): unknown => {
      if (how === 'rejects') return Promise.reject(new Error('a close listener'));
      throw new Error('a close listener');
    });
    t.same(await server.close({ drain: 100 }), { clean: 0, cut: 0 }, how);
    await until(() => errors.length > 0);
    t.match(errors, [{ message: 'a close listener' }]);
    t.equal(server.counters()['errors'], 1);
  }
});

t.test('what is queued leaves before the Close, and what arrives before the answer is heard', async (t) => {
  const heard: unknown[] = [];
  const { server, port, connections } = await open(t, {}, (connection) => {
    connection.on('message', (data) => void heard.push(data));
  });
  const wire = await upgrade(port);
  const texts = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(20_000)}`);
  for (const text of texts) connections[0]?.send(text);
  const closing = server.close({ drain: 5_000 });
  t.equal(connections[0]?.send('too late').status, 'closed');
  wire.sendFrame({ opcode: 1, payload: 'last words' });
  const goodbye = await leave(wire);
  t.strictSame(goodbye.texts, texts, 'all of it, in order');
  t.same(await closing, { clean: 1, cut: 0 });
  t.same(heard, ['last words']);
});

t.test('a second close is the first one', async (t) => {
  const { server, port } = await open(t);
  const wire = await upgrade(port);
  const first = server.close({ drain: 2_000 });
  const second = server.close({ drain: 0, code: 1012 });
  t.equal(first, second, 'the same promise');
  t.match(await leave(wire), { code: 1001 });
  t.same(await second, { clean: 1, cut: 0 });
  t.equal(server.close(), first, 'also afterwards');
  t.same(await createServer().close(), { clean: 0, cut: 0 }, 'a server that never listened has nothing to do');
});

t.test('a listener of its own may close the server from within', async (t) => {
  const { server, port } = await open(t, {}, (connection) => {
    connection.on('message', () => server.close({ drain: 1_000 }));
    connection.on('close', () => server.close());
  });
  const wire = await upgrade(port);
  wire.sendFrame({ opcode: 1, payload: 'stop' });
  t.match(await leave(wire), { code: 1001 });
  t.same(await within(server.close(), 'the close'), { clean: 1, cut: 0 });
});

t.test('whoever is told that it begins may close it as well, and it is one close', async (t) => {
  const { server, port } = await open(t);
  const calls: Promise<unknown>[] = [];
  let closed = 0;
  server.on('close', () => closed++);
  server.on('refused', () => void calls.push(server.close({ drain: 50 })));
  const wires = await Promise.all([dial(port), dial(port), upgrade(port)]);
  await until(() => server.counts().halfOpen === 2);
  const first = server.close({ drain: 50 });
  t.same(await within(first, 'the close'), { clean: 0, cut: 1 });
  t.equal(calls.length, 2);
  for (const call of calls) t.equal(call, first, 'the same promise');
  t.equal(closed, 1);
  for (const wire of wires) wire.destroy();
});

t.test('who closes because somebody was refused refuses nobody twice', async (t) => {
  for (const [request, status] of [
    ['nonsense\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 426],
    [undefined, 403],
  ] as const) {
    const authorize = (): { status: number } => ({ status: 403 });
    const { server, port, refused, errors } = await open<unknown>(t, { authorize });
    const closes: Promise<unknown>[] = [];
    server.on('refused', () => void closes.push(server.close({ drain: 50 })));
    const wire = await dial(port);
    wire.write(request ?? upgradeRequest(port));
    t.equal((await readAnswer(wire)).status, status);
    await wire.ended();
    t.equal(wire.unread.length, 0, 'one answer');
    t.equal(refused.length, 1, 'one report');
    t.same(await within(Promise.all(closes), 'the close'), [{ clean: 0, cut: 0 }]);
    t.same(errors, []);
    wire.destroy();
  }
});

t.test('handshakes that are under way get 503, and nobody new is let in', async (t) => {
  let asked = 0;
  const { server, port, refused } = await open(t, {
    authorize: () => {
      asked++;
      return new Promise<never>(() => {});
    },
  });
  const [silent, half, asking] = await Promise.all([dial(port), dial(port), dial(port)]);
  half.write(upgradeRequest(port).slice(0, 30));
  asking.write(upgradeRequest(port));
  await until(() => asked === 1 && server.counts().halfOpen === 3);
  t.same(await within(server.close({ drain: 100 }), 'the close'), { clean: 0, cut: 0 });
  for (const wire of [silent, half, asking]) {
    const answer = await readAnswer(wire);
    t.equal(answer.status, 503);
    t.equal(answer.body, 'The server is shutting down\n');
    t.match(answer.field('Retry-After'), /^\d+$/);
    t.equal(await wire.ended(), 'end');
    wire.end();
  }
  t.same(
    refused.map(({ code }) => code),
    ['WSD_UPGRADE_CLOSING', 'WSD_UPGRADE_CLOSING', 'WSD_UPGRADE_CLOSING'],
  );
  await t.rejects(askUpgrade(port), { code: 'ECONNREFUSED' }, 'the port is closed');
  t.ok(await isEmpty(server));
});

t.test('await using closes it', async (t) => {
  const server = createServer({}, echo);
  const { url, port = 0 } = await server.listen();
  const connection = await connect(url);
  const wire = await upgrade(port);
  const disposing = server[Symbol.asyncDispose]();
  t.match(await connection.closed, { code: 1001, clean: true });
  await leave(wire);
  t.equal(await within(disposing, 'the disposal'), undefined);
  t.same(await server.close(), { clean: 2, cut: 0 });
});

t.test('a process has nothing left to do when its server is closed', async (t) => {
  const lib = new URL('../../lib/index.js', import.meta.url).href;
  const program = `
    import { createServer } from ${JSON.stringify(lib)};
    const server = createServer({ pingInterval: 60_000, deflate: true, authorize: () => ({ data: 1 }) }, (c) => c.send('hi'));
    const { port } = await server.listen();
    await server.listen({ host: '127.0.0.1' });
    console.log(port);
    process.stdin.once('data', async () => {
      process.stdin.destroy();
      console.log(JSON.stringify(await server.close({ drain: 200 })));
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = Number((await within(lines.next(), 'the port')).value);
  const polite = await upgrade(port);
  const rude = await upgrade(port);
  const silent = await dial(port);
  const ended = once(child, 'exit');
  child.stdin.write('stop\n');
  await leave(polite);
  t.same(JSON.parse(String((await within(lines.next(), 'the counts')).value)), { clean: 1, cut: 1 });
  silent.end();
  t.same(await within(ended, 'the end of the process'), [0, null], 'it ends by itself');
  for (const wire of [polite, rude, silent]) wire.destroy();
});
