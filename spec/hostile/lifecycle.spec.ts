// Hostile ends, and handlers that fail: HOSTILE lines 34, 35, 50, 51 and 53. Holds for every line, and is asserted by the stage: the process
// lives, the neighbours keep being answered, the connection ends in exactly one close event with one cause, a labelled counter rises, no
// stack trace and no uninitialised byte reaches the peer, and the books return to where they were.

import { createServer as createHttpServer } from 'node:http';
import { Duplex } from 'node:stream';
import t from 'tap';
import { connect, encode, frameSize, upgradeRequest, type Wire } from '../../fixtures/rig/wire.js';
import { type Connection, createServer, type Outcome, type Server, type ServerOptions } from '../../lib/index.js';
import { closeBody, closedWith, closeOf, type Handler, onStage, until, within } from './stage.js';

t.test('50: a reset or an end after each octet of the handshake leaves nothing behind', (test) =>
  onStage(test, {}, async (stage) => {
    const request = stage.request();
    for (let size = 0; size < request.length; size += 3) {
      const wire = await stage.dial();
      if (size > 0) wire.write(request.slice(0, size));
      if (size % 2 === 0) wire.reset();
      else wire.end();
    }
    test.ok(await until(() => stage.server.counts().halfOpen === 0), 'no socket is half-open');
    test.equal(stage.connections.length, 0);
    test.equal(stage.server.counters()['opened'], 1, 'only the neighbour was opened');
  }),
);

t.test('50: a reset or an end after each octet of a frame is one close event with one cause', async (test) => {
  const frames = Buffer.concat([
    encode({ opcode: 1, fin: false, payload: 'ab' }),
    encode({ opcode: 9, payload: 'p' }),
    encode({ opcode: 0, payload: 'cd' }),
  ]);
  await onStage(test, {}, async (stage) => {
    let number = 0;
    for (let size = 0; size <= frames.length; size++) {
      for (const [leave, fault] of [
        ['reset', ['WSD_SOCKET_ERROR', 'WSD_SOCKET_ENDED']],
        ['end', ['WSD_SOCKET_ENDED']],
      ] as const) {
        const wire = await stage.upgrade();
        if (size > 0) wire.write(frames.subarray(0, size));
        wire[leave]();
        const outcome = await stage.outcome(number++);
        test.same([outcome.code, outcome.clean, outcome.initiator], [1006, false, 'none'], `${leave} after ${size}`);
        test.ok(
          (fault as readonly (string | undefined)[]).includes(outcome.fault),
          `${leave} after ${size}: ${outcome.fault}`,
        );
        wire.destroy();
      }
    }
    await stage.counted('closed:1006', number);
  });
});

t.test(
  '35, 50: a peer that half-closes while it owes us reading is cut at closeTimeout, with pings or without',
  (test) =>
    onStage(test, { options: { maxBuffered: 64 * 1024 * 1024 } }, async (stage) => {
      const wire = await stage.upgrade();
      wire.socket.pause();
      stage.connections[0]?.send(new Uint8Array(16 * 1024 * 1024));
      await stage.roundTrip();
      wire.end();
      const outcome = await within(stage.outcome(0), 'the end', 3_000);
      test.equal(outcome.code, 1006);
      await stage.counted('closed:1006');
    }),
);

t.test(
  '51: a handler that throws or rejects, anywhere, ends its own connection with 1011 and says nothing more',
  async (test) => {
    const secret = 'the password is hunter2';
    const fail = (): never => {
      throw new Error(secret);
    };
    const rejects = async (): Promise<never> => fail();
    const handlers: readonly (readonly [string, Handler])[] = [
      ['the connection handler throws', fail],
      ['the connection handler rejects', rejects],
      ['a message listener throws', (connection) => void connection.on('message', fail)],
      ['a message listener rejects', (connection) => void connection.on('message', rejects)],
      [
        'the second listener throws while the first one rejects',
        (connection) => void connection.on('message', rejects).on('message', fail),
      ],
      ['a ping listener throws', (connection) => void connection.on('ping', fail)],
      ['a ping listener rejects', (connection) => void connection.on('ping', rejects)],
      ['a value that is no Error is thrown', (connection) => void connection.on('message', () => Promise.reject(null))],
      ['the error listener throws too', (connection) => void connection.on('message', fail).on('error', fail)],
    ];
    for (const [name, onConnection] of handlers) {
      await test.test(name, (inner) =>
        onStage(inner, { onConnection }, async (stage) => {
          const wire = await stage.upgrade();
          wire.write(Buffer.concat([encode({ opcode: 9 }), encode({ opcode: 1, payload: 'x' })]));
          await closedWith(inner, wire, 'WSD_HANDLER_FAILED', name);
          await stage.counted('fault:WSD_HANDLER_FAILED');
        }),
      );
    }
    await test.test('a close listener throws or rejects', (inner) =>
      onStage(
        inner,
        { onConnection: (connection) => void connection.on('close', fail).on('close', rejects) },
        async (stage) => {
          const wire = await stage.upgrade();
          wire.sendFrame({ opcode: 8, payload: closeBody(1000) });
          await wire.readFrame();
          await stage.counted('closed:1000');
        },
      ),
    );
  },
);

t.test(
  "51: listeners of the server's own events may throw or reject, and only the connection at hand is the worse for it",
  async (test) => {
    const fail = (): never => {
      throw new Error('listener');
    };
    const rejects = async (): Promise<never> => fail();
    for (const [name, listener] of [
      ['throws', fail],
      ['rejects', rejects],
    ] as const) {
      await test.test(`on('connection') ${name}`, (inner) =>
        onStage(inner, {}, async (stage) => {
          stage.server.once('connection', listener);
          const wire = await stage.upgrade();
          await closedWith(inner, wire, 'WSD_HANDLER_FAILED', name);
          await stage.counted('fault:WSD_HANDLER_FAILED');
        }),
      );
      await test.test(`on('refused') ${name}`, (inner) =>
        onStage(inner, {}, async (stage) => {
          stage.server.once('refused', listener);
          const wire = await stage.dial();
          wire.write('nonsense\r\n\r\n');
          inner.match(await wire.readHead(), /^HTTP\/1\.1 400 /);
        }),
      );
      await test.test(`on('request') ${name}`, (inner) =>
        onStage(inner, { options: { handshakeTimeout: 3_000 } }, async (stage) => {
          stage.server.once('request', listener);
          const wire = await stage.dial();
          wire.write('GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
          const begin = performance.now();
          inner.match(await wire.readHead(), /^HTTP\/1\.1 500 /, 'the one who asked is told at once');
          inner.ok(performance.now() - begin < 1_000);
        }),
      );
    }
  },
);

t.test('51: a handler that blocks delays, and breaks nothing', (test) =>
  onStage(
    test,
    {
      options: { closeTimeout: 300 },
      onConnection: (connection) => {
        connection.on('message', (data) => {
          const end = performance.now() + 250;
          while (performance.now() < end);
          connection.send(data);
        });
      },
    },
    async (stage) => {
      const wire = await stage.upgrade();
      wire.sendFrame({ opcode: 1, payload: 'slow' });
      test.ok((await stage.roundTrip()) < 2_000);
      test.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'slow');
    },
  ),
);

t.test('51: a handler that never comes back holds its own connection only, and not its end', (test) =>
  onStage(
    test,
    {
      // Nothing is read while so much waits, so it is a ping of ours that finds the peer gone.
      options: { pingInterval: 50, pingTimeout: 10_000 },
      onConnection: (connection) => void connection.on('message', () => new Promise(() => {})),
    },
    async (stage) => {
      const wire = await stage.upgrade();
      for (let i = 0; i < 200; i++) wire.sendFrame({ opcode: 1, payload: `${i}` });
      wire.destroy();
      test.equal((await stage.outcome()).code, 1006);
    },
  ),
);

t.test('a connection whose handler does nothing at all is open: its 101 arrives, and its pings are answered', (test) =>
  onStage(test, { onConnection: () => {} }, async (stage) => {
    const wire = await stage.upgrade();
    wire.sendFrame({ opcode: 9, payload: 'hello' });
    test.equal((await wire.readFrame()).opcode, 10);
  }),
);

t.test('a ping of ours that nobody awaits may go unanswered: no rejection ends the process', (test) =>
  onStage(
    test,
    {
      onConnection: (connection) => {
        connection.on('message', () => {});
        void connection.ping();
      },
    },
    async (stage) => {
      const wire = await stage.upgrade();
      await wire.readFrame();
      wire.reset();
      await stage.outcome();
      void stage.connections[0]?.ping();
      await new Promise((resolve) => setImmediate(resolve));
      await test.rejects(async () => stage.connections[0]?.ping(), { code: 'WSD_SOCKET_ENDED' }, 'who awaits is told');
    },
  ),
);

t.test('a peer that we do not read is not called silent, nor its message old', async (test) => {
  const options: ServerOptions<unknown> = { pingInterval: 60, pingTimeout: 60, messageTimeout: 100 };
  await onStage(test, { options, onConnection: (connection) => connection.pause() }, async (stage) => {
    const wire = await stage.upgrade();
    const beat = setInterval(() => wire.sendFrame({ opcode: 10 }), 20);
    const ended = await until(() => (stage.outcomes[0]?.length ?? 0) > 0, 500);
    clearInterval(beat);
    test.notOk(ended, `still open, not ${JSON.stringify(stage.outcomes[0]?.[0])}`);
  });
});

t.test('35: a connection that is paused can still be closed cleanly by either side', async (test) => {
  for (const side of ['local', 'remote'] as const) {
    await onStage(
      test,
      { options: { closeTimeout: 400 }, onConnection: (connection) => connection.pause() },
      async (stage) => {
        const wire = await stage.upgrade();
        if (side === 'local') {
          const closing = stage.connections[0]?.close(4001) as Promise<Outcome>;
          const frame = await wire.readFrame();
          wire.sendFrame({ opcode: 8, payload: frame.payload });
          const outcome = await within(closing, 'the close');
          test.same([outcome.code, outcome.clean], [4001, true], 'ours');
        } else {
          wire.sendFrame({ opcode: 8, payload: closeBody(4002) });
          stage.connections[0]?.resume();
          test.equal(closeOf((await wire.readFrame()).payload).code, 4002, 'theirs, once we read again');
        }
      },
    );
  }
});

t.test(
  '53: sending and closing inside callbacks neither recurses, nor loses the Close, nor sends behind it',
  async (test) => {
    const statuses: string[] = [];
    const again = (connection: Connection<unknown>): void => {
      statuses.push(connection.send('late').status);
      void connection.close(4009, 'again');
      connection.terminate();
    };
    const endings: readonly (readonly [string, Handler, number])[] = [
      ['close in message', (connection) => void connection.on('message', () => void connection.close(4000, 'x')), 4000],
      [
        'two closes and a send in message',
        (connection) =>
          void connection.on('message', () => {
            void connection.close(4000, 'x');
            void connection.close(4001, 'y');
            statuses.push(connection.send('behind').status);
          }),
        4000,
      ],
      [
        'send, then close, in message',
        (connection) =>
          void connection.on('message', () => {
            connection.send('before');
            void connection.close(4000, 'x');
          }),
        4000,
      ],
      ['close at once', (connection) => void connection.close(4000, 'x'), 4000],
    ];
    for (const [name, act, code] of endings) {
      await onStage(
        test,
        {
          onConnection: (connection) => {
            connection.on('close', () => again(connection));
            act(connection);
          },
        },
        async (stage) => {
          const wire = await stage.upgrade();
          for (let i = 0; i < 5; i++) wire.sendFrame({ opcode: 1, payload: 'go' });
          const opcodes: number[] = [];
          for (;;) {
            const frame = await wire.readFrame();
            opcodes.push(frame.opcode);
            if (frame.opcode !== 8) continue;
            test.same(closeOf(frame.payload), { code, reason: 'x' }, `${name}: the first close decides`);
            wire.sendFrame({ opcode: 8, payload: frame.payload });
            break;
          }
          test.equal(opcodes.filter((opcode) => opcode === 8).length, 1, `${name}: one Close`);
          test.equal(await wire.ended(), 'end');
          test.equal(wire.unread.length, 0, `${name}: and nothing behind it`);
          await stage.counted(`closed:${code}`);
        },
      );
    }
    test.ok(
      statuses.every((status) => status === 'closed'),
      'a send behind the decision says so',
    );
  },
);

t.test('53: after terminate() the connection is closed at once: nothing is sent, nothing is delivered', (test) => {
  const states: string[] = [];
  let after = 0;
  return onStage(
    test,
    {
      onConnection: (connection) => {
        connection.on('message', (data) => {
          if (data !== 'end') return after++;
          connection.terminate();
          return states.push(connection.state, connection.send('late').status);
        });
      },
    },
    async (stage) => {
      const wire = await stage.upgrade();
      wire.write(Buffer.concat(['end', 'a', 'b'].map((payload) => encode({ opcode: 1, payload }))));
      test.equal((await stage.outcome()).fault, 'WSD_TERMINATED');
      test.same(states, ['closed', 'closed']);
      test.equal(after, 0, 'messages of the same chunk are not delivered');
      await stage.counted('fault:WSD_TERMINATED');
    },
  );
});

t.test('53: a drain callback that sends and closes keeps the order', (test) => {
  let drained = 0;
  return onStage(
    test,
    {
      options: { highWater: 1_000, maxBuffered: 64 * 1024 * 1024 },
      onConnection: (connection) => {
        connection.on('drain', () => {
          drained++;
          connection.send('drained');
          void connection.close(4000);
        });
        connection.on('message', () => void connection.send(new Uint8Array(12 * 1024 * 1024)).then(() => {}));
      },
    },
    async (stage) => {
      const wire = await stage.upgrade();
      wire.socket.pause();
      wire.sendFrame({ opcode: 1, payload: 'go' });
      await until(() => (stage.connections[0]?.bufferedAmount ?? 0) > 0);
      wire.socket.resume();
      test.equal((await wire.readFrame()).payload.length, 12 * 1024 * 1024);
      test.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'drained');
      test.equal(closeOf((await wire.readFrame()).payload).code, 4000);
      test.equal(drained, 1);
    },
  );
});

/** Two ends in memory, where a write reaches the other side before it returns. */
const pair = (): [Duplex, Duplex] => {
  const make = (): { end: Duplex; join(other: Duplex): void } => {
    let peer: Duplex | undefined;
    const join = (other: Duplex): void => {
      peer = other;
    };
    const end = new Duplex({
      read() {},
      write(chunk, _, done) {
        peer?.push(chunk);
        done();
      },
      final(done) {
        peer?.push(null);
        done();
      },
    });
    return { end, join };
  };
  const [a, b] = [make(), make()];
  a.join(b.end);
  b.join(a.end);
  return [a.end, b.end];
};

t.test('50: no byte of one connection ever goes to another, even where sockets call each other back', async (test) => {
  const server = createServer({ closeTimeout: 100, pingInterval: 0 }, (connection) => {
    connection.on('message', (data) => connection.send(`secret of ${Buffer.from(data).toString()}`));
  });
  const ends = [pair(), pair()];
  const seen: Buffer[][] = [[], []];
  let chained = false;
  for (const [index, [ours, theirs]] of ends.entries()) {
    theirs.on('data', (chunk: Buffer) => {
      seen[index]?.push(Buffer.from(chunk));
      if (index !== 0 || !chained) return;
      chained = false;
      // While the first connection writes, the second one is given something to answer.
      ends[1]?.[1].write(encode({ opcode: 1, payload: 'two' }));
    });
    server.adopt(ours as unknown as Parameters<typeof server.adopt>[0], Buffer.from(upgradeRequest(80)));
  }
  await until(() => seen.every((chunks) => Buffer.concat(chunks).includes('\r\n\r\n')));
  for (const chunks of seen) chunks.length = 0;
  chained = true;
  ends[0]?.[1].write(encode({ opcode: 1, payload: 'one' }));
  await until(() => seen.every((chunks) => chunks.length > 0));
  const texts = seen.map((chunks) => {
    const bytes = Buffer.concat(chunks);
    return frameSize(bytes) === bytes.length
      ? bytes.subarray(2).toString()
      : `not one frame: ${bytes.toString('latin1')}`;
  });
  test.same(texts, ['secret of one', 'secret of two']);
  const closing = server.close({ drain: 100 });
  for (const [, theirs] of ends) theirs.destroy();
  for (const [ours] of ends) ours.destroy();
  await within(closing, 'the close');
});

t.test(
  "attached to an http.Server: another path gets 404, a body or a bad key 400, and the server's own routes live",
  async (test) => {
    const server = createServer({ closeTimeout: 100 }, (connection) => {
      connection.on('message', (data) => connection.send(data));
    });
    const http = createHttpServer((_, response) => response.end('page'));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const detach = server.attach(http, { path: '/ws' });
    const { port } = http.address() as { port: number };
    const ask = async (request: string | Uint8Array): Promise<Wire> => {
      const wire = await connect(port);
      wire.write(request);
      return wire;
    };
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ['another path', upgradeRequest(port, { path: '/other' }), / 404 /],
      ['another spelling that escapes', upgradeRequest(port, { path: '/ws/../ws' }), / 40[04] /],
      ['a body', upgradeRequest(port, { path: '/ws', headers: { 'Content-Length': '3' } }), / 400 /],
      ['a bad key', upgradeRequest(port, { path: '/ws', headers: { 'Sec-WebSocket-Key': 'x' } }), / 400 /],
      ['a bad version', upgradeRequest(port, { path: '/ws', headers: { 'Sec-WebSocket-Version': '8' } }), / 426 /],
      ['a page', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', / 200 /],
    ];
    for (const [name, request, status] of cases) {
      const wire = await ask(request);
      test.match((await wire.readHead()).split('\r\n')[0], status, name);
      wire.destroy();
    }
    const early = await ask(
      Buffer.concat([Buffer.from(upgradeRequest(port, { path: '/ws' })), encode({ opcode: 1, payload: 'early' })]),
    );
    test.match(await early.readHead(), / 101 /);
    test.equal(
      Buffer.from((await early.readFrame()).payload).toString(),
      'early',
      'what came with the head is not lost',
    );
    early.reset();
    await until(() => server.connections.size === 0);
    detach();
    await within(server.close({ drain: 50 }), 'the close');
    await new Promise<void>((resolve) => {
      http.close(() => resolve());
      http.closeAllConnections();
    });
  },
);

t.test('12: a close with a drain ends, whatever the peers do, and says how many it had to cut', async (test) => {
  const make = async (): Promise<{ server: Server; port: number }> => {
    const server = createServer({ closeTimeout: 100, pingInterval: 0 }, (connection) => {
      connection.on('message', () => {});
    });
    return { server, port: (await server.listen()).port ?? 0 };
  };
  const open = async (port: number): Promise<Wire> => {
    const wire = await connect(port);
    wire.write(upgradeRequest(port));
    await wire.readHead();
    return wire;
  };
  const { server, port } = await make();
  const polite = await open(port);
  const silent = await open(port);
  const chatty = await open(port);
  const beat = setInterval(() => chatty.sendFrame({ opcode: 1, payload: 'blah' }), 5);
  const closing = server.close({ drain: 200, code: 1012, reason: 'restart' });
  const frame = await polite.readFrame();
  test.same(closeOf(frame.payload), { code: 1012, reason: 'restart' });
  polite.sendFrame({ opcode: 8, payload: frame.payload });
  test.same(await within(closing, 'the close'), { clean: 1, cut: 2 });
  clearInterval(beat);
  test.same(server.counters()['fault:WSD_CLOSE_TIMEOUT'] ?? server.counters()['fault:WSD_TERMINATED'], 2);
  for (const wire of [polite, silent, chatty]) wire.destroy();

  const second = await make();
  const held = await open(second.port);
  await test.rejects(second.server.close({ code: 1006 }), RangeError, 'a code that must not be sent');
  await test.rejects(second.server.close({ reason: 'x'.repeat(124) }), RangeError, 'a reason that is too long');
  held.sendFrame({ opcode: 9 });
  test.equal((await held.readFrame()).opcode, 10, 'and nothing has happened yet');
  test.same(await within(second.server.close({ drain: 50 }), 'the close'), { clean: 0, cut: 1 });
  held.destroy();
});
