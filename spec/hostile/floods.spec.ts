// Floods and readers that do not read: HOSTILE lines 31, 36, 40, 45, 47 to 49. Holds for every line, and is asserted by the stage: the process
// lives, the neighbours keep their latency, memory returns to where it was, the connection ends in exactly one close event with one cause,
// a labelled counter rises, no stack trace and no uninitialised byte reaches the peer. Volumes are bounded: some tens of MiB on loopback.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { constants, deflateRawSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { median } from '../../fixtures/rig/exponent.js';
import { connect, encode, upgrade, type WireFrameToSend } from '../../fixtures/rig/wire.js';
import { type Connection, createServer, type ServerOptions } from '../../lib/index.js';
import { closedWith, type Handler, onStage, type Stage, until, within } from './stage.js';

const MIB = 1024 * 1024;
const repeat = (frame: WireFrameToSend, count: number): Buffer =>
  Buffer.concat(new Array<Uint8Array>(count).fill(encode(frame)));
const packed = (bytes: Uint8Array): Uint8Array =>
  deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const DEFLATE = { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } };

/** The other program: line 49 runs the server under a limit on open files. */
if (process.argv[2] === 'few-files') await runWithFewFiles();
else {
  // Attackers live in a thread of their own: in this one they would wait for their victim.
  const FLOOD = `
    const { workerData: { port, request, bytes, reads, rounds }, parentPort } = require('node:worker_threads');
    const socket = require('node:net').connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(request);
    socket.once('data', () => {
      parentPort.postMessage('open');
      if (reads) socket.resume(); else socket.pause();
      let left = rounds;
      const go = () => {
        while (left-- > 0) if (!socket.write(bytes)) return socket.once('drain', go);
      };
      go();
    });`;

  interface Flood {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly rounds: number;
    readonly reads?: boolean;
    readonly options?: ServerOptions<unknown>;
    readonly onConnection?: Handler;
  }
  const count: Handler = (connection) => {
    connection.on('message', () => {});
  };
  const FLOODS: readonly Flood[] = [
    { name: '36: a flood of pings', bytes: repeat({ opcode: 9 }, 100_000), rounds: 60, reads: true },
    { name: '36: a flood of pings by a peer that does not read', bytes: repeat({ opcode: 9 }, 100_000), rounds: 60 },
    { name: '37: a flood of pongs', bytes: repeat({ opcode: 10 }, 100_000), rounds: 60 },
    { name: '40: a flood of empty messages', bytes: repeat({ opcode: 1 }, 100_000), rounds: 60, onConnection: count },
    {
      name: '40: a flood of empty messages that are echoed',
      bytes: repeat({ opcode: 1 }, 100_000),
      rounds: 40,
      reads: true,
    },
    {
      name: '45: a flood of small compressed messages',
      bytes: repeat({ opcode: 2, rsv: 4, payload: packed(Buffer.from('hello hello hello')) }, 50_000),
      rounds: 20,
      options: { deflate: true },
      onConnection: count,
    },
    {
      name: '43: a flood of messages that each inflate to the limit',
      bytes: repeat({ opcode: 2, rsv: 4, payload: packed(new Uint8Array(8 * MIB)) }, 20),
      rounds: 5,
      options: { deflate: true, maxMessage: 8 * MIB },
      onConnection: count,
    },
  ];

  t.test('36, 40, 45: a flood takes no more than its share of the event loop', async (test) => {
    for (const { name, bytes, rounds, reads = false, options = {}, onConnection } of FLOODS) {
      await test.test(name, (inner) =>
        onStage(inner, { options, ...(onConnection === undefined ? {} : { onConnection }) }, async (stage) => {
          const request = stage.request(options.deflate === undefined ? {} : DEFLATE);
          const worker = new Worker(FLOOD, {
            eval: true,
            workerData: { port: stage.port, request, bytes, reads, rounds },
          });
          await within(new Promise((resolve) => worker.once('message', resolve)), 'the attacker connects');
          const trips: number[] = [];
          const limit = performance.now() + 600;
          while (performance.now() < limit || trips.length < 3) trips.push(await stage.roundTrip());
          await worker.terminate();
          const [middle, worst] = [median(trips), Math.max(...trips)];
          inner.ok(
            worst < 700,
            `neighbour: ${trips.length} round trips, median ${middle.toFixed(1)}, worst ${worst.toFixed(0)} ms`,
          );
        }),
      );
    }
  });

  t.test('36: a peer that pings and does not read costs no memory, and gets the newest answer', (test) =>
    onStage(test, {}, async (stage) => {
      const wire = await stage.upgrade();
      wire.socket.pause();
      const payload = (n: number): string => `${n}`.padStart(125, '-');
      const rounds = 64;
      for (let round = 0; round < rounds; round++) {
        wire.write(
          Buffer.concat(
            Array.from({ length: 2_000 }, (_, i) => encode({ opcode: 9, payload: payload(round * 2_000 + i) })),
          ),
        );
        await turn();
      }
      let most = 0;
      const connection = stage.connections[0] as Connection<unknown>;
      await until(() => {
        most = Math.max(most, connection.bufferedAmount);
        return wire.socket.writableLength === 0;
      });
      test.equal(wire.socket.writableLength, 0, 'the server reads on');
      test.ok(most < 2 * MIB, `at most ${most} bytes of pongs wait`);
      wire.socket.resume();
      let pongs = 0;
      let last = '';
      while (last !== payload(rounds * 2_000 - 1)) {
        last = Buffer.from((await wire.readFrame()).payload).toString();
        pongs++;
      }
      test.ok(pongs <= rounds * 2_000, `${pongs} answers to ${rounds * 2_000} pings, the last to the last`);
    }),
  );

  const unread = async (stage: Stage): Promise<Awaited<ReturnType<Stage['upgrade']>>> => {
    const wire = await stage.upgrade();
    wire.socket.pause();
    return wire;
  };

  t.test('47: in a broadcast a reader that stopped is closed at its cap, and nobody else is', (test) =>
    onStage(test, { options: { maxBuffered: 4 * MIB } }, async (stage) => {
      const slow = await unread(stage);
      const quick = await stage.upgrade();
      const message = new Uint8Array(256 * 1024).fill(1);
      let most = 0;
      for (let i = 0; i < 128 && stage.connections[0]?.state === 'open'; i++) {
        stage.server.broadcast(message, { filter: (connection) => connection.request.query === '' });
        most = Math.max(most, stage.connections[0]?.bufferedAmount ?? 0);
        test.equal((await quick.readFrame()).payload.length, message.length);
      }
      test.equal((await stage.outcome(0)).fault, 'WSD_PEER_SLOW');
      test.ok(most <= 5 * MIB, `at most ${most} bytes were queued for it`);
      test.equal(stage.connections[1]?.state, 'open');
      await stage.counted('fault:WSD_PEER_SLOW');
      slow.destroy();
    }),
  );

  for (const policy of ['drop-newest', 'drop-oldest'] as const) {
    t.test(
      `47: with ${policy} a reader that stopped keeps its connection and its memory bound, and what arrives is whole`,
      (test) =>
        onStage(test, { options: { maxBuffered: MIB, policy } }, async (stage) => {
          const wire = await unread(stage);
          const connection = stage.connections[0] as Connection<unknown>;
          let most = 0;
          let last = -1;
          for (let i = 0; i < 300; i++) {
            const sent = connection.send(new Uint8Array(64 * 1024).fill(i & 255));
            if (sent.status !== 'dropped') last = i;
            most = Math.max(most, connection.bufferedAmount);
            if (i % 8 === 0) await turn();
          }
          test.ok(connection.dropped > 0, `${connection.dropped} messages were dropped, and counted`);
          test.ok(most <= 2 * MIB, `at most ${most} bytes were queued`);
          wire.socket.resume();
          let got = 0;
          for (let frame = await wire.readFrame(); ; frame = await wire.readFrame()) {
            got++;
            const [first] = frame.payload;
            if (frame.payload.length !== 64 * 1024 || !frame.payload.every((byte) => byte === first))
              test.fail('a broken message');
            if (first === (last & 255) && got === 300 - connection.dropped) break;
          }
          test.equal(got, 300 - connection.dropped, 'what was not dropped arrives');
          test.equal(connection.state, 'open');
        }),
    );
  }

  t.test('47: a message that is streamed to a reader that stopped is bound by the same cap', (test) =>
    onStage(test, { options: { maxBuffered: MIB } }, async (stage) => {
      await unread(stage);
      const connection = stage.connections[0] as Connection<unknown>;
      const stream = connection.stream('binary');
      const part = new Uint8Array(64 * 1024);
      for (let i = 0; i < 400; i++) {
        stream.write(part);
        if (i % 8 === 0) await turn();
      }
      test.ok(connection.bufferedAmount <= 2 * MIB, `after 25 MiB ${connection.bufferedAmount} bytes are queued`);
    }),
  );

  t.test('47: many small messages for a reader that stopped take memory in proportion to their bytes', (test) =>
    onStage(test, { options: { maxBuffered: 64 * MIB } }, async (stage) => {
      const wire = await unread(stage);
      const connection = stage.connections[0] as Connection<unknown>;
      connection.send(new Uint8Array(16 * MIB));
      await turn();
      const before = process.memoryUsage();
      const count = 300_000;
      for (let i = 0; i < count; i++) connection.send('x');
      const after = process.memoryUsage();
      const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
      test.ok(grown < 24 * MIB, `${3 * count} bytes of frames take ${(grown / MIB).toFixed(1)} MiB`);
      wire.socket.resume();
      test.equal((await wire.readFrame()).payload.length, 16 * MIB);
      const begin = performance.now();
      await wire.read(3 * count);
      test.ok((await stage.roundTrip()) < 700, 'the neighbour is answered');
      test.ok(performance.now() - begin < 1_500, `they leave in ${(performance.now() - begin).toFixed(0)} ms`);
    }),
  );

  t.test('47: all queues together are bound by one budget, also where each reader is below its own', (test) =>
    onStage(test, { options: { maxBuffered: 8 * MIB, maxBufferedTotal: 8 * MIB } }, async (stage) => {
      for (let i = 0; i < 12; i++) await unread(stage);
      let most = 0;
      for (let i = 0; i < 160; i++) {
        stage.server.broadcast(new Uint8Array(64 * 1024), { filter: ({ request }) => request.query === '' });
        await turn();
        most = Math.max(
          most,
          stage.connections.reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0),
        );
      }
      // What the sockets have taken at once, up to one message each, is on top.
      test.ok(most < 10 * MIB, `at most ${(most / MIB).toFixed(1)} MiB were queued`);
    }),
  );

  t.test('47: what waits behind a streamed message is bound by the same cap', (test) =>
    onStage(test, { options: { maxBuffered: MIB } }, async (stage) => {
      await unread(stage);
      const connection = stage.connections[0] as Connection<unknown>;
      connection.stream('binary').write(new Uint8Array(10));
      let taken = 0;
      for (let i = 0; i < 400; i++) {
        const { status } = connection.send(new Uint8Array(64 * 1024));
        if (status === 'ok' || status === 'full') taken++;
      }
      test.ok(taken * 64 * 1024 <= 2 * MIB, `${taken} messages of 64 KiB were taken`);
    }),
  );

  const slowConsumer = async (test: Test, options: ServerOptions<unknown>): Promise<void> => {
    let got = 0;
    const onConnection: Handler = (connection) => {
      connection.on('message', async () => {
        got++;
        await turn();
      });
    };
    await onStage(test, { options, onConnection }, async (stage) => {
      const wire = await stage.upgrade();
      const chunk = repeat({ opcode: 1, payload: 'x'.repeat(10) }, 16_384);
      for (let i = 0; i < 96; i++) wire.write(chunk);
      const limit = performance.now() + 700;
      await until(() => performance.now() > limit);
      const taken = 96 * chunk.length - wire.socket.writableLength;
      const waiting = taken - got * 16;
      // The kernel keeps up to some 6 MiB for a pair of loopback sockets.
      test.ok(
        waiting < 10 * MIB,
        `${got} messages were handled, and ${(waiting / MIB).toFixed(1)} MiB wait on the way`,
      );
      // With an end that throws away what waits, not after a million turns.
      wire.reset();
    });
  };
  t.test('40: a handler that is slower than its peer holds the peer back', (test) => slowConsumer(test, {}));
  t.test('40: the same where reads are not shared', (test) => slowConsumer(test, { sharedReads: false }));

  t.test('48: a flood of connections is answered at its cap, and seats come back', (test) =>
    onStage(test, { options: { maxConnections: 50 } }, async (stage) => {
      for (let wave = 0; wave < 3; wave++) {
        const wires = await Promise.all(Array.from({ length: 120 }, () => connect(stage.port)));
        for (const wire of wires) wire.write(stage.request());
        const heads = await Promise.all(wires.map((wire) => wire.readHead().catch(() => 'HTTP/1.1 reset')));
        const opened = heads.filter((head) => head.startsWith('HTTP/1.1 101')).length;
        test.equal(opened, 49, `wave ${wave}: as many as there are seats`);
        for (const wire of wires) wire.reset();
        await until(() => stage.server.counts().open === 1);
      }
      await stage.counted('refused:WSD_UPGRADE_BUSY', 3 * 71);
    }),
  );

  t.test('49: a server that runs out of files sheds connections without spinning, and recovers', async (test) => {
    const self = fileURLToPath(import.meta.url);
    const child = spawn('/bin/sh', ['-c', 'ulimit -n 256; exec "$0" "$1" few-files', process.execPath, self], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)));
    try {
      await until(() => lines.length > 0);
      const port = Number(lines[0]);
      const neighbour = await upgrade(port);
      const crowd = (await Promise.allSettled(Array.from({ length: 80 }, () => connect(port)))).flatMap((one) =>
        one.status === 'fulfilled' ? [one.value] : [],
      );
      neighbour.sendFrame({ opcode: 1, payload: 'still there' });
      test.equal(Buffer.from((await neighbour.readFrame()).payload).toString(), 'still there');
      for (const wire of crowd) wire.destroy();
      let late: Awaited<ReturnType<typeof upgrade>> | undefined;
      const limit = performance.now() + 4_000;
      while (late === undefined && performance.now() < limit) late = await upgrade(port).catch(() => undefined);
      test.ok(late !== undefined, 'when the crowd is gone there is room again');
      late?.destroy();
      neighbour.destroy();
      child.stdin.end();
      await until(() => lines.length > 1);
      const cpu = Number(lines[1]);
      test.ok(cpu < 2_000, `it used ${cpu.toFixed(0)} ms of processor time`);
    } finally {
      child.kill();
    }
  });

  t.test('36, 47: with a rate the flood is closed, and told why', (test) =>
    onStage(test, { options: { rate: { perSecond: 100, burst: 1_000 } } }, async (stage) => {
      for (const opcode of [1, 9]) {
        const wire = await stage.upgrade();
        wire.write(repeat({ opcode }, 5_000));
        await closedWith(test, wire, 'WSD_MESSAGE_RATE', `opcode ${opcode}`);
        wire.destroy();
      }
      await stage.counted('fault:WSD_MESSAGE_RATE', 2);
    }),
  );
}

/** Holds all files that the limit allows, but for a dozen. */
async function runWithFewFiles(): Promise<void> {
  const held: number[] = [];
  try {
    while (held.length < 1_000) held.push(openSync('/dev/null', 'r'));
  } catch {
    for (const file of held.splice(0, 12)) closeSync(file);
  }
  const server = createServer({ closeTimeout: 100 }, (connection) => {
    connection.on('message', (data) => connection.send(data));
  });
  server.on('error', () => {});
  const { port } = await server.listen();
  process.stdout.write(`${port}\n`);
  process.stdin.resume().on('end', () => {
    const { user, system } = process.cpuUsage();
    process.stdout.write(`${(user + system) / 1000}\n`, () => process.exit(0));
  });
}
