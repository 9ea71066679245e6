// The promises that the whole of it makes, each with one test of its name. The rooms' own specs go into every corner; these say what
// must never cease to be true. 8 is held by the spec of the documents.
import { once } from 'node:events';
import t from 'tap';
import { byteByByte, randomCuts } from '../fixtures/rig/chunker.js';
import { costCurve } from '../fixtures/rig/exponent.js';
import { Ends, PROLOGUE, Recorder as SessionRecorder, TestCarrier } from '../fixtures/rig/packets.js';
import { seeded, seedFromEnv } from '../fixtures/rig/random.js';
import { encode, upgrade } from '../fixtures/rig/wire.js';
import { nodeSuite } from '../lib/crypto/node.js';
import { encodeFrame } from '../lib/frame/encode.js';
import { DatagramSession } from '../lib/packet/datagram.js';
import { SESSION_LIMITS } from '../lib/packet/settings.js';
import { createServer } from '../lib/server/server.js';
import type { Connection } from '../lib/websocket/connection.js';
import { Model, newTally, RARE } from './dispatch/model.js';
import { round } from './fuzz/fuzzer.js';
import { Puppet, pairOf, SETTINGS } from './websocket/pair.js';
import { Recorder, readTranscripts } from './websocket/transcript.js';

const rng = seedFromEnv('promises');
const transcripts = readTranscripts().filter(({ input }) => input.length < 2_000);
const frame = (opcode: number, payload: string | Uint8Array = '', more: object = {}): Uint8Array =>
  encodeFrame({ opcode, payload: Buffer.from(payload as string), maskKey: 0x01020304, ...more });

t.test('1. the same bytes give the same events however they are cut', async (t) => {
  for (const transcript of transcripts) {
    const run = (chunks: readonly Uint8Array[]): string => {
      const recorder = new Recorder(transcript);
      for (const chunk of chunks) recorder.receive(chunk);
      return recorder.out().join('\n');
    };
    const whole = run([transcript.input]);
    const ways = [byteByByte(transcript.input), ...Array.from({ length: 50 }, () => randomCuts(transcript.input, rng))];
    if (ways.some((chunks) => run(chunks) !== whole)) t.fail(`${transcript.name}, seed ${rng.seed}`);
  }
  // Text that is bad and one message too many: whichever is told, it is told however the octets come.
  const limited = {
    side: 'server',
    settings: { ...SETTINGS, rate: { perSecond: 1, burst: 1 } },
    deflate: undefined,
    closing: undefined,
  } as const;
  const input = Buffer.concat([frame(1, 'a'), frame(1, Uint8Array.of(0x61, 0xff, 0x61))]);
  const [whole, cut] = [[input], byteByByte(input)].map((chunks) => {
    const recorder = new Recorder(limited);
    for (const chunk of chunks) recorder.receive(chunk);
    return recorder.out();
  });
  t.strictSame(cut, whole);
});

t.test('2. bytes from a peer never throw', async (t) => {
  const failures: string[] = [];
  for (let i = 0; i < 2_000; i++) {
    const failure = await round(rng.int(2 ** 32));
    if (failure !== undefined) failures.push(failure);
  }
  t.strictSame(failures, []);
});

t.test('3. nothing is written after the end', async (t) => {
  for (const { input, ...how } of transcripts) {
    const recorder = new Recorder({ ...how, input } as never);
    recorder.receive(input);
    if (recorder.machine.state !== 'failed' && recorder.machine.state !== 'closed') continue;
    const { length } = recorder.written;
    for (const more of transcripts.slice(0, 40)) recorder.receive(more.input);
    recorder.machine.tick(1e9);
    recorder.machine.close(new Uint8Array(0), 1e9);
    recorder.machine.fail({ kind: 'fault', code: 'WSD_HANDLER_FAILED' }, 1e9);
    recorder.receive(new Uint8Array(0));
    if (recorder.written.length !== length) t.fail(how.name);
  }
  const puppet = new Puppet('server');
  const { connection } = puppet.end;
  const writer = connection.stream('text');
  writer.write('a');
  connection.send('behind');
  void connection.close(1000);
  await puppet.network.settle();
  puppet.takeHeard();
  writer.end('b');
  connection.send('late');
  connection.pong('late');
  await connection.ping('late').catch(() => {});
  await puppet.say(frame(9, 'late'));
  await puppet.network.advance(1_000);
  t.equal(puppet.takeHeard().length, 0, 'not a byte after our Close');
});

t.test('4. one close, always last, with one cause', async (t) => {
  const endings: readonly ((puppet: Puppet) => unknown)[] = [
    (puppet) => puppet.leave('fin'),
    (puppet) => puppet.leave('reset'),
    (puppet) => puppet.say(frame(8, Uint8Array.of(3, 232))),
    (puppet) => puppet.say(frame(3)),
    (puppet) => void puppet.end.connection.close(),
    (puppet) => puppet.end.connection.terminate(),
    (puppet) => puppet.end.link.failed(new Error('ours')),
    (puppet) => puppet.network.advance(60_000),
  ];
  for (let i = 0; i < 400; i++) {
    const seed = rng.int(2 ** 32);
    const draw = seeded(seed);
    const puppet = new Puppet('server', { settings: { idleTimeout: 30_000 } });
    const log: string[] = [];
    for (const name of ['message', 'ping', 'pong', 'error', 'close'] as const)
      puppet.end.connection.on(name, () => void log.push(name));
    await puppet.say(frame(1, 'a'), frame(9), frame(10));
    for (let n = 1 + draw.int(3); n > 0; n--) await draw.pick(endings)(puppet);
    await puppet.network.advance(60_000);
    const closes = log.filter((name) => name === 'close').length;
    const outcome = await puppet.end.connection.closed;
    if (closes !== 1 || log.at(-1) !== 'close') t.fail(`${log.join(' ')}, seed ${seed}`);
    if (outcome.clean === 'fault' in outcome) t.fail(`${JSON.stringify(outcome)}, seed ${seed}`);
  }
  t.pass('400 ends');
});

t.test('5. memory is bounded by the given limits for any input', async (t) => {
  const settings = { maxMessage: 10_000, maxFragments: 100, maxBuffered: 50_000, highWater: 10_000 };
  const floods: readonly (readonly [name: string, chunk: () => Uint8Array, reads: boolean])[] = [
    ['a message that never ends', () => frame(0, 'x'.repeat(90), { fin: false }), true],
    ['one large message, announced', () => Buffer.from('82ff00000000000027100102030461', 'hex'), true],
    [
      'pings from a peer that does not read',
      () => Buffer.concat(Array<Uint8Array>(50).fill(frame(9, 'p'.repeat(125)))),
      false,
    ],
    [
      'questions from a peer that does not read',
      () => Buffer.concat(Array<Uint8Array>(50).fill(frame(1, 'q'.repeat(100)))),
      false,
    ],
    ['messages for nobody', () => Buffer.concat(Array<Uint8Array>(50).fill(frame(2, 'n'.repeat(100)))), true],
  ];
  for (const [name, chunk, reads] of floods) {
    const puppet = new Puppet('server', { settings, capacity: 1_000 });
    puppet.reads = reads;
    const { connection, link } = puppet.end;
    if (!name.endsWith('nobody')) connection.on('message', (data) => void connection.send(data));
    if (name.startsWith('a message')) await puppet.say(frame(1, '', { fin: false }));
    let [held, queued] = [0, 0];
    for (let i = 0; i < 300; i++) {
      // A held connection is not read: one chunk is on its way at most.
      if (!puppet.end.paused) await puppet.say(chunk());
      held = Math.max(held, link.machine.holding);
      queued = Math.max(queued, connection.bufferedAmount);
    }
    t.ok(held <= 10_000 + 10_000, `${name}: ${held} octets unread`);
    t.ok(queued <= 50_000 + 1_000, `${name}: ${queued} octets queued`);
  }
});

t.test('6. time per byte is constant', async (t) => {
  const sizes = [1 << 12, 1 << 15, 1 << 18, 1 << 21];
  const shapes: readonly (readonly [name: string, make: (size: number) => Buffer])[] = [
    ['one message', (size) => Buffer.from(encodeFrame({ opcode: 2, payload: Buffer.alloc(size) }))],
    [
      'messages',
      (size) => Buffer.concat(Array<Uint8Array>(size >> 6).fill(encodeFrame({ opcode: 2, payload: Buffer.alloc(62) }))),
    ],
    [
      'fragments',
      (size) => {
        const part = encodeFrame({ opcode: 0, fin: false, payload: Buffer.alloc(254) });
        const first = encodeFrame({ opcode: 2, fin: false });
        return Buffer.concat([first, ...Array<Uint8Array>(size >> 8).fill(part), encodeFrame({ opcode: 0 })]);
      },
    ],
  ];
  for (const [name, make] of shapes) {
    const inputs = new Map(sizes.map((size) => [size, make(size)]));
    const { exponent } = await costCurve(
      (size) => {
        const { machine } = new Recorder({
          side: 'client',
          settings: { ...SETTINGS, maxMessage: 1 << 23 },
          deflate: undefined,
          closing: undefined,
        });
        const input = inputs.get(size) as Buffer;
        // Told to nobody: what a listener does with a message is not the parser's time.
        machine.receive(input.subarray(0, input.length - 1), 1_000);
        if (machine.state !== 'open') throw new Error(name);
      },
      sizes,
      { repeats: 3, floor: 2 },
    );
    t.ok(exponent < 1.15, `${name}: size^${exponent.toFixed(2)}`);
  }
});

t.test('7. the window of packet numbers moves only after the tag was found right', async (t) => {
  const settings = {
    ...SESSION_LIMITS,
    suite: nodeSuite,
    mode: 'required',
    prologue: PROLOGUE,
    anonymous: true,
  } as const;
  const [here, there] = [new SessionRecorder(), new SessionRecorder()];
  const [up, down] = [new TestCarrier(), new TestCarrier()];
  const client = new DatagramSession('client', settings, here);
  const serverLeg = new DatagramSession('server', settings, there).connected(down, 0);
  const clientLeg = client.connected(up, 0);
  for (let i = 0; i < 4; i++) {
    for (const packet of up.take()) serverLeg.receive(packet, 0);
    for (const packet of down.take()) clientLeg.receive(packet, 0);
  }
  t.equal(client.state, 'open');
  for (let i = 0; i < 200; i++) {
    client.send(Uint8Array.of(i), { reliable: true }, i);
    for (const packet of up.take()) {
      // Far ahead and right here, with a tag that nobody made.
      for (let forged = 0; forged < 10; forged++) {
        const other = Uint8Array.from(packet, (octet, at) => (at < 2 ? octet : rng.int(256)));
        if (forged === 0) other.set(packet.subarray(2, 6), 2);
        serverLeg.receive(other, i);
      }
      serverLeg.receive(packet, i);
    }
    for (const packet of down.take()) clientLeg.receive(packet, i);
  }
  t.strictSame(
    there.messages.map(({ data }) => data[0]),
    Array.from({ length: 200 }, (_, i) => i),
    `seed ${rng.seed}`,
  );
});

t.test("9. a handler's first message is never lost, and handlers of one peer run in order", async (t) => {
  const server = createServer();
  const { port } = await server.listen();
  t.teardown(() => server.close({ drain: 100 }));
  const opened = once(server, 'connection');
  const wire = await upgrade(port as number);
  wire.write(Buffer.concat(['1', '2', '3'].map((payload) => encode({ opcode: 1, payload }))));
  const [connection] = (await opened) as [Connection];
  // The messages are here before their listener is.
  await new Promise((resolve) => setTimeout(resolve, 30));
  const log: string[] = [];
  const all = new Promise<void>((resolve) => {
    connection.on('message', async (data) => {
      log.push(`+${String(data)}`);
      await new Promise((done) => setTimeout(done, 5 - Number(data)));
      log.push(`-${String(data)}`);
      if (data === '3') resolve();
    });
  });
  await all;
  t.strictSame(log, ['+1', '-1', '+2', '-2', '+3', '-3']);
  wire.destroy();
  const { network, server: one, client: other } = pairOf();
  const order: unknown[] = [];
  for (let i = 0; i < 1_000; i++) other.connection.send(String(i));
  await network.settle();
  one.connection.on('message', async (data) => {
    await new Promise((resolve) => setImmediate(resolve));
    order.push(Number(data));
  });
  for (let i = 0; i < 1_200 && order.length < 1_000; i++) await network.settle();
  t.strictSame(
    order,
    Array.from({ length: 1_000 }, (_, i) => i),
  );
});

t.test('10. RELIABLE is delivered once and in order across reconnects, or its sender is told', async (t) => {
  for (let round = 0; round < 40; round++) {
    const ends = new Ends();
    let wires = ends.open();
    const said: string[] = [];
    const replies: string[] = [];
    for (let i = 0; i < 150; i++) {
      const text = `${i} ${'x'.repeat(rng.int(10) === 0 ? 2_000 : rng.int(50))}`;
      const taken = [ends.client, ends.server].map((end) => end.send(Buffer.from(text), { reliable: true }, ends.now));
      if (typeof taken[0] === 'number') said.push(text);
      if (typeof taken[1] === 'number') replies.push(text);
      wires.pump(ends.now, rng.int(6));
      if (rng.int(8) > 0) continue;
      wires.cut(ends.now);
      wires = ends.connect();
      wires.pump(ends.now, rng.int(12));
    }
    wires.pump(ends.now);
    const heard = (sink: SessionRecorder): string[] => sink.messages.map(({ data }) => Buffer.from(data).toString());
    t.strictSame([heard(ends.serverSink), heard(ends.sink)], [said, replies], `seed ${rng.seed}`);
    t.equal(ends.serverSinks.length, 1, 'one session all the while');
    ends.advance(100, wires);
    // And now a server that knows nothing any more.
    const [first, second] = [10, 20].map((n) => ends.client.send(Uint8Array.of(n), { reliable: true }, ends.now));
    wires.cut(ends.now);
    ends.restartServer();
    ends.open();
    const told = ends.sink.lists.flat().map(({ number, data, sent }) => [number, [...data], sent]);
    t.strictSame(
      told,
      [
        [first, [10], true],
        [second, [20], true],
      ],
      'exactly those, once',
    );
  }
});

t.test('11. never two owners in one epoch, and no acknowledged save is lost', async (t) => {
  const tally = newTally();
  for (let i = 0; i < 100; i++) {
    const seed = rng.int(2 ** 31);
    // What the model sees go wrong it throws; spec/dispatch shows that it sees.
    await new Model(seed, tally).run().catch((error: Error) => t.fail(`seed ${seed}: ${error.message}`));
  }
  t.strictSame(
    Object.entries(tally).filter(([name, count]) => count === 0 && !RARE.includes(name)),
    [],
    'each thing has happened',
  );
});

t.test('12. a close with a drain ends, and says how many it had to cut', async (t) => {
  const server = createServer({ closeTimeout: 60_000 });
  const { port } = await server.listen();
  const polite = await upgrade(port as number);
  const silent = await Promise.all([1, 2].map(() => upgrade(port as number)));
  const talking = await upgrade(port as number);
  t.equal(server.connections.size, 4);
  const answered = (async (): Promise<void> => {
    const { payload } = await polite.readFrame();
    polite.sendFrame({ opcode: 8, payload });
    await polite.ended();
    polite.end();
  })();
  const chatter = setInterval(() => talking.sendFrame({ opcode: 1, payload: 'still here' }), 20);
  const started = performance.now();
  const counts = await server.close({ drain: 400, reason: 'maintenance' });
  const took = performance.now() - started;
  clearInterval(chatter);
  await answered;
  t.strictSame(counts, { clean: 1, cut: 3 });
  t.ok(took >= 399 && took < 2_000, `${Math.round(took)} ms`);
  t.equal(server.connections.size, 0);
  t.equal(
    Buffer.from((await (silent[0] as typeof polite).readFrame()).payload)
      .subarray(2)
      .toString(),
    'maintenance',
  );
  for (const wire of [polite, talking, ...silent]) wire.destroy();
  t.strictSame(await createServer().close(), { clean: 0, cut: 0 }, 'and at once where there is nobody');
});
