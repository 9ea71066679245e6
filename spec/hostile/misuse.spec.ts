// What our own caller gets wrong: HOSTILE line 52. Every mistake is a TypeError or RangeError at the call, with nothing sent, the connection
// unharmed and the neighbours answered; no uninitialised byte and no byte changed after the call ever reaches the peer.

import t from 'tap';
import { encode, type Wire } from '../../fixtures/rig/wire.js';
import { type Connection, createServer, type Payload, Prepared, type ServerOptions } from '../../lib/index.js';
import { closeOf, onStage, type Stage } from './stage.js';

type Call = (connection: Connection<unknown>) => unknown;
type Raises = TypeErrorConstructor | RangeErrorConstructor;

const detached = (): ArrayBuffer => {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
};
const refuses = (call: () => unknown): boolean => {
  try {
    call();
    return false;
  } catch {
    return true;
  }
};
const bad = (value: unknown): Payload => value as Payload;

const CALLS: readonly (readonly [name: string, call: Call, raises: Raises])[] = [
  ...[undefined, null, 42, true, {}, [], Symbol('x'), () => {}, Object.create(null), new Date(0), 10n].map(
    (value, index): readonly [string, Call, Raises] => [
      `52: send of a value that is no message (${index})`,
      (connection) => connection.send(bad(value)),
      TypeError,
    ],
  ),
  ['52: send of shared memory', (c) => c.send(bad(new SharedArrayBuffer(8))), TypeError],
  ['52: send of a view of shared memory', (c) => c.send(bad(new Uint8Array(new SharedArrayBuffer(8)))), TypeError],
  ['52: send of a detached buffer', (c) => c.send(detached()), TypeError],
  [
    '52: send of a view of a detached buffer',
    (c) => {
      const view = new Uint8Array(8);
      structuredClone(view.buffer, { transfer: [view.buffer] });
      return c.send(view);
    },
    TypeError,
  ],
  ['52: a text message of bytes that are not UTF-8', (c) => c.send(Uint8Array.of(0xc3), { binary: false }), TypeError],
  ...[0, -1, Number.NaN, 1.5].map((fragment): readonly [string, Call, Raises] => [
    `52: fragments of ${fragment} bytes`,
    (c) => {
      // A loop that never ends could not be reported: a size that ends at once is tried first.
      if (!refuses(() => c.send('x'.repeat(1_000), { fragment: Number.NaN }))) return undefined;
      return c.send('x'.repeat(1_000), { fragment });
    },
    RangeError,
  ]),
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, Number.NaN, -1, 65536].map(
    (code): readonly [string, Call, Raises] => [`52: close code ${code}`, (c) => c.close(code), RangeError],
  ),
  ['52: a close code that is a string', (c) => c.close(bad('1000') as unknown as number), RangeError],
  ['52: a close reason of 124 bytes', (c) => c.close(1000, 'x'.repeat(124)), RangeError],
  ['52: a close reason of 62 two-byte letters', (c) => c.close(1000, '\u00e9'.repeat(62)), RangeError],
  ['52: a close reason that is a number', (c) => c.close(1000, bad(5) as string), TypeError],
  ['52: a ping of 126 bytes', (c) => c.ping('x'.repeat(126)), RangeError],
  ['52: a ping of a number', (c) => c.ping(bad(5)), TypeError],
  ['52: a pong of 126 bytes', (c) => c.pong(new Uint8Array(126)), RangeError],
  ['52: a listener that is no function', (c) => c.on('message', bad('x') as unknown as () => void), TypeError],
  ['52: two streams at once', (c) => [c.stream('text'), c.stream('text')], TypeError],
  ['52: a prepared message that is none', () => new Prepared(bad(42)), TypeError],
  ['52: a prepared text that is not UTF-8', () => new Prepared(Uint8Array.of(0xff), { binary: false }), TypeError],
];

const works = async (wire: Wire, stage: Stage): Promise<string> => {
  stage.connections.at(-1)?.send('still here');
  const frame = await wire.readFrame();
  return `${frame.opcode} ${Buffer.from(frame.payload).toString()}`;
};

t.test('52: each mistake is told at the call, and costs the connection nothing', async (test) => {
  for (const [name, call, raises] of CALLS) {
    await test.test(name, (inner) =>
      onStage(inner, {}, async (stage) => {
        const wire = await stage.upgrade();
        const connection = stage.connections[0] as Connection<unknown>;
        inner.throws(() => call(connection), raises);
        if (!name.includes('two streams')) inner.equal(await works(wire, stage), '1 still here');
        wire.destroy();
      }),
    );
  }
});

t.test('52: the same mistakes are told when the connection is closed already', (test) =>
  onStage(test, {}, async (stage) => {
    const wire = await stage.upgrade();
    wire.destroy();
    await stage.outcome();
    const connection = stage.connections[0] as Connection<unknown>;
    test.throws(() => connection.send(bad(42)), TypeError);
    test.throws(() => connection.close(1006), RangeError);
    test.throws(() => connection.ping('x'.repeat(126)), RangeError);
    test.equal(connection.send('late').status, 'closed', 'a right call is told that it is too late');
    test.equal((await connection.close(1000)).code, 1006, 'and how it ended');
    connection.terminate();
    connection.pause();
    connection.resume();
    test.equal(connection.bufferedAmount, 0);
  }),
);

t.test('52: what is sent is what was there at the call, to the last byte, in every form and size', (test) =>
  onStage(test, { options: { maxBuffered: 64 * 1024 * 1024 } }, async (stage) => {
    const wire = await stage.upgrade();
    const connection = stage.connections[0] as Connection<unknown>;
    for (const size of [0, 1, 41, 42, 125, 126, 4_095, 4_096, 65_535, 65_536, 131_072, 200_000]) {
      const memory = new Uint8Array(size + 16).fill(0xee);
      const forms: readonly Payload[] = [
        memory.subarray(8, 8 + size),
        new DataView(memory.buffer, 8, size),
        memory.slice(8, 8 + size).buffer,
        Buffer.from(memory.buffer, 8, size),
      ];
      memory.fill(7, 8, 8 + size);
      const copy = forms[2] as ArrayBuffer;
      new Uint8Array(copy).fill(7);
      for (const form of forms) connection.send(form);
      memory.fill(0xdd);
      new Uint8Array(copy).fill(0xdd);
      for (const form of forms) {
        const { payload, opcode } = await wire.readFrame();
        test.ok(
          opcode === 2 && payload.length === size && payload.every((byte) => byte === 7),
          `${size} bytes of ${form.constructor.name}`,
        );
      }
    }
    const texts = [
      '',
      'a',
      '\u00e9'.repeat(41),
      '\u{1f600}'.repeat(41),
      `${'a'.repeat(41)}\u20ac`,
      '\u20ac'.repeat(70_000),
    ];
    for (const text of texts) {
      connection.send(text);
      test.equal(Buffer.from((await wire.readFrame()).payload).toString(), text, `a text of ${text.length}`);
    }
    for (const text of ['\ud800', 'a\udc00b'.repeat(50), `${'x'.repeat(100)}\ud83d`]) {
      connection.send(text);
      test.equal(
        Buffer.from((await wire.readFrame()).payload).toString(),
        Buffer.from(text).toString(),
        'half a pair becomes U+FFFD',
      );
    }
  }),
);

t.test('52: streams and queued messages keep what was written, whatever the caller does with the memory', (test) =>
  onStage(test, {}, async (stage) => {
    const wire = await stage.upgrade();
    const connection = stage.connections[0] as Connection<unknown>;
    const memory = new Uint8Array(8).fill(1);
    const stream = connection.stream('binary');
    stream.write(memory);
    connection.send(memory);
    memory.fill(2);
    stream.end(memory);
    memory.fill(3);
    test.throws(() => stream.write('more'), TypeError, 'a finished stream takes no more');
    const frames = [await wire.readFrame(), await wire.readFrame(), await wire.readFrame()];
    test.same(
      frames.map(({ opcode, fin, payload }) => [opcode, fin, payload[0], payload.length]),
      [
        [2, false, 1, 8],
        [0, true, 2, 8],
        [2, true, 1, 8],
      ],
    );
    const text = connection.stream('text');
    text.write('ok');
    test.throws(() => text.write(Uint8Array.of(0xff)), TypeError, 'a text stream takes UTF-8 only');
    await connection.close(1000, '', 100);
    test.equal(text.end().status, 'closed');
  }),
);

t.test('52: wrong options are named, all of them, before anything listens', (test) => {
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ maxMesage: 1 }, /maxMesage/],
    [{ maxMessage: -1, closeTimeout: 'x' }, /maxMessage[\s\S]*closeTimeout/],
    [{ deflate: { serverBits: 7 } }, /deflate/],
    [{ trustedProxies: ['300.1.1.1'] }, /300\.1\.1\.1/],
    [{ origins: ['not an origin'] }, /origin/i],
    [{ rate: { perSecond: 0, burst: 1 } }, /rate/],
    [{ authorize: true }, /authorize/],
    [{ subprotocols: [1] }, /subprotocols/],
    [{ pingInterval: Number.NaN }, /pingInterval/],
    [{ closeTimeout: 2 ** 31 }, /closeTimeout/],
  ];
  for (const [options, message] of wrong) {
    test.throws(() => createServer(options as ServerOptions), { message }, JSON.stringify(options));
  }
  test.throws(() => createServer({}, 5 as unknown as () => void), TypeError);
  test.end();
});

t.test('52: a broadcast of something wrong is told at once and reaches nobody', (test) =>
  onStage(test, {}, async (stage) => {
    const wire = await stage.upgrade();
    test.throws(() => stage.server.broadcast(bad(42)), TypeError);
    test.throws(() => stage.server.broadcast(bad(new SharedArrayBuffer(4))), TypeError);
    wire.write(encode({ opcode: 9 }));
    test.equal((await wire.readFrame()).opcode, 10, 'nothing came before');
    void stage.connections[0]?.close(4000, 'x'.repeat(123));
    test.same(
      closeOf((await wire.readFrame()).payload),
      { code: 4000, reason: 'x'.repeat(123) },
      '123 bytes are a legal reason',
    );
  }),
);
