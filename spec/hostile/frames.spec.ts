// Hostile frames: HOSTILE lines 25 to 35, 37 to 39, 41 and 42. Holds for every line, and is asserted by the stage: the process lives, the
// neighbours keep being answered, the connection ends in exactly one close event with one cause, a labelled counter rises, no stack trace
// and no uninitialised byte reaches the peer (each Close frame is compared whole, and nothing may follow it), and memory returns.

import t from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { encode, type WireFrameToSend } from '../../fixtures/rig/wire.js';
import type { FaultCode, ServerOptions } from '../../lib/index.js';
import { Machine, type Sink } from '../../lib/websocket/machine.js';
import type { ConnectionSettings } from '../../lib/websocket/settings.js';
import { closeBody, closedWith, closeOf, onStage, until } from './stage.js';

/** A header that says what it likes: no payload behind it. */
const header = (first: number, second: number, ...more: number[]): Uint8Array => Uint8Array.of(first, second, ...more);
const bigLength = (first: number, length: bigint): Uint8Array => {
  const bytes = Buffer.alloc(14);
  bytes[0] = first;
  bytes[1] = 0xff;
  bytes.writeBigUInt64BE(length, 2);
  return bytes;
};
const frames = (...all: WireFrameToSend[]): Uint8Array => Buffer.concat(all.map(encode));
const start: WireFrameToSend = { opcode: 1, fin: false, payload: 'a' };

interface Row {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly code: FaultCode;
  readonly options?: ServerOptions<unknown>;
}

const ROWS: readonly Row[] = [
  {
    name: '25: an unmasked frame',
    bytes: encode({ opcode: 1, payload: 'a', mask: false }),
    code: 'WSD_FRAME_MASK_MISSING',
  },
  { name: '25: an unmasked empty frame', bytes: header(0x81, 0), code: 'WSD_FRAME_MASK_MISSING' },
  { name: '26: RSV1 without deflate', bytes: encode({ opcode: 1, rsv: 4 }), code: 'WSD_FRAME_RSV' },
  { name: '26: RSV2', bytes: encode({ opcode: 2, rsv: 2 }), code: 'WSD_FRAME_RSV' },
  { name: '26: RSV3', bytes: encode({ opcode: 2, rsv: 1 }), code: 'WSD_FRAME_RSV' },
  { name: '26: RSV1 on a control frame', bytes: encode({ opcode: 9, rsv: 4 }), code: 'WSD_FRAME_RSV' },
  { name: '26: RSV1 on a continuation', bytes: frames(start, { opcode: 0, rsv: 4 }), code: 'WSD_FRAME_RSV' },
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode): Row => ({ name: `27: opcode ${opcode}`, bytes: encode({ opcode }), code: 'WSD_FRAME_OPCODE' }),
  ),
  { name: '28: the top bit of a length', bytes: bigLength(0x82, 1n << 63n), code: 'WSD_FRAME_LENGTH_RANGE' },
  { name: '28: all bits of a length', bytes: bigLength(0x82, (1n << 64n) - 1n), code: 'WSD_FRAME_LENGTH_RANGE' },
  { name: '28: 2^63-1', bytes: bigLength(0x82, (1n << 63n) - 1n), code: 'WSD_MESSAGE_SIZE' },
  { name: '28: 2^53+1', bytes: bigLength(0x82, (1n << 53n) + 1n), code: 'WSD_MESSAGE_SIZE' },
  { name: '28: 2^32', bytes: bigLength(0x82, 1n << 32n), code: 'WSD_MESSAGE_SIZE' },
  { name: '28: 2^31', bytes: bigLength(0x82, 1n << 31n), code: 'WSD_MESSAGE_SIZE' },
  { name: '28: one above the limit', bytes: bigLength(0x82, 16_777_217n), code: 'WSD_MESSAGE_SIZE' },
  { name: '29: 125 in 16 bits', bytes: header(0x82, 0xfe, 0, 125, 0, 0, 0, 0), code: 'WSD_FRAME_LENGTH_FORM' },
  { name: '29: 0 in 16 bits', bytes: header(0x82, 0xfe, 0, 0, 0, 0, 0, 0), code: 'WSD_FRAME_LENGTH_FORM' },
  { name: '29: 65,535 in 64 bits', bytes: bigLength(0x82, 65_535n), code: 'WSD_FRAME_LENGTH_FORM' },
  { name: '29: 5 in 16 bits, of a ping', bytes: header(0x89, 0xfe, 0, 5, 0, 0, 0, 0), code: 'WSD_FRAME_LENGTH_FORM' },
  {
    name: '32: a ping of 126 bytes',
    bytes: encode({ opcode: 9, payload: 'x'.repeat(126) }),
    code: 'WSD_FRAME_CONTROL_LENGTH',
  },
  { name: '32: a Close of 2^40 bytes', bytes: bigLength(0x88, 1n << 40n), code: 'WSD_FRAME_CONTROL_LENGTH' },
  { name: '32: a ping in parts', bytes: encode({ opcode: 9, fin: false }), code: 'WSD_FRAME_CONTROL_FRAGMENT' },
  { name: '32: a Close in parts', bytes: encode({ opcode: 8, fin: false }), code: 'WSD_FRAME_CONTROL_FRAGMENT' },
  { name: '33: a Close body of one byte', bytes: encode({ opcode: 8, payload: 'x' }), code: 'WSD_FRAME_CLOSE_BODY' },
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535].map(
    (code): Row => ({
      name: `33: close code ${code} is refused, and not echoed`,
      bytes: encode({ opcode: 8, payload: closeBody(code) }),
      code: 'WSD_FRAME_CLOSE_CODE',
    }),
  ),
  {
    name: '33: a close reason that is not UTF-8',
    bytes: encode({ opcode: 8, payload: closeBody(1000, Uint8Array.of(0x61, 0xc3)) }),
    code: 'WSD_FRAME_CLOSE_REASON',
  },
  { name: '38: a continuation of nothing', bytes: encode({ opcode: 0 }), code: 'WSD_FRAME_CONTINUATION' },
  {
    name: '38: a continuation after the end',
    bytes: frames(start, { opcode: 0 }, { opcode: 0 }),
    code: 'WSD_FRAME_CONTINUATION',
  },
  { name: '38: a message inside a message', bytes: frames(start, { opcode: 1 }), code: 'WSD_FRAME_INTERLEAVED' },
  { name: '38: a binary one inside a text', bytes: frames(start, { opcode: 2 }), code: 'WSD_FRAME_INTERLEAVED' },
  {
    name: '39: empty parts without an end',
    bytes: frames(start, ...new Array<WireFrameToSend>(16).fill({ opcode: 0, fin: false })),
    code: 'WSD_MESSAGE_FRAGMENTS',
    options: { maxFragments: 16 },
  },
  {
    name: '39: parts that are too large together',
    bytes: frames(
      { opcode: 2, fin: false, payload: 'x'.repeat(60) },
      { opcode: 0, fin: false, payload: 'x'.repeat(41) },
    ),
    code: 'WSD_MESSAGE_SIZE',
    options: { maxMessage: 100 },
  },
  ...(
    [
      ['overlong', [0xc0, 0xaf]],
      ['overlong of three', [0xe0, 0x80, 0xaf]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
      ['a lone continuation', [0x80]],
      ['an octet that never occurs', [0xfe]],
      ['cut at the end', [0x61, 0xe2, 0x82]],
    ] as const
  ).flatMap(([name, bytes]): Row[] => [
    { name: `41: ${name}`, bytes: encode({ opcode: 1, payload: Uint8Array.from(bytes) }), code: 'WSD_MESSAGE_UTF8' },
    {
      name: `41: ${name}, an octet a frame`,
      bytes: frames(
        { opcode: 1, fin: false },
        ...bytes.map((byte) => ({ opcode: 0, fin: false, payload: Uint8Array.of(byte) })),
        { opcode: 0 },
      ),
      code: 'WSD_MESSAGE_UTF8',
    },
  ]),
];

t.test(
  '25 to 41: each broken frame fails its connection with its own code, whole or an octet at a time',
  async (test) => {
    const groups = new Map<string, Row[]>();
    for (const row of ROWS) {
      const key = JSON.stringify(row.options ?? {});
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    for (const rows of groups.values()) {
      await onStage(test, { options: { maxMessage: 16_777_216, ...rows[0]?.options } }, async (stage) => {
        let number = 0;
        for (const { name, bytes, code } of rows) {
          for (const chunks of [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))]) {
            const wire = await stage.upgrade();
            for (const chunk of chunks) wire.write(chunk);
            // Line 34: what follows is not read, and changes nothing.
            wire.write(frames({ opcode: 1, payload: 'after' }, { opcode: 9 }, { opcode: 8, payload: closeBody(1000) }));
            await closedWith(test, wire, code, name);
            wire.destroy();
            const outcome = await stage.outcome(number++);
            test.equal(outcome.fault, code, `${name}: one cause`);
            test.equal(outcome.clean, false);
          }
        }
        for (const code of new Set(rows.map((row) => row.code))) {
          await stage.counted(`fault:${code}`, 2 * rows.filter((row) => row.code === code).length);
        }
      });
    }
  },
);

t.test('28, 30: a length that is only announced takes no memory', (test) =>
  onStage(test, {}, async (stage) => {
    const wires = await Promise.all(Array.from({ length: 100 }, () => stage.upgrade()));
    const before = process.memoryUsage().arrayBuffers;
    for (const wire of wires) wire.write(Buffer.concat([bigLength(0x82, 16_777_216n), new Uint8Array(100)]));
    await stage.roundTrip();
    await stage.roundTrip();
    const grown = process.memoryUsage().arrayBuffers - before;
    test.ok(grown < 8 * 1024 * 1024, `100 announcements of 16 MiB take ${grown} bytes`);
  }),
);

t.test('30, 39: a message that trickles is cut at its age, however lively the trickle', (test) =>
  onStage(test, { options: { messageTimeout: 150 } }, async (stage) => {
    const trickle = await stage.upgrade();
    const fragments = await stage.upgrade();
    const begin = performance.now();
    trickle.write(bigLength(0x82, 1_000_000n));
    fragments.write(encode(start));
    const beat = setInterval(() => {
      trickle.write('x');
      fragments.write(encode({ opcode: 0, fin: false }));
      fragments.write(encode({ opcode: 10 }));
    }, 10);
    await Promise.all([closedWith(test, trickle, 'WSD_MESSAGE_AGE'), closedWith(test, fragments, 'WSD_MESSAGE_AGE')]);
    clearInterval(beat);
    test.ok(performance.now() - begin < 2_000);
    await stage.counted('fault:WSD_MESSAGE_AGE', 2);
  }),
);

t.test('31: the same bytes give the same events however they are cut', async (test) => {
  const bytes = frames(
    { opcode: 1, payload: 'h\u00e9llo' },
    { opcode: 2, payload: new Uint8Array(300).fill(7) },
    { opcode: 1, fin: false, payload: Buffer.from('\u20ac').subarray(0, 1) },
    { opcode: 9, payload: 'ping' },
    { opcode: 0, payload: Buffer.from('\u20ac').subarray(1) },
    { opcode: 1 },
    { opcode: 8, payload: closeBody(4321, 'bye') },
  );
  const events: string[][] = [];
  await onStage(
    test,
    {
      onConnection: (connection) => {
        const mine: string[] = [];
        events.push(mine);
        connection.on('message', (data, binary) => mine.push(`${binary} ${Buffer.from(data).toString('hex')}`));
        connection.on('ping', (data) => mine.push(`ping ${Buffer.from(data).toString('hex')}`));
        connection.on('close', ({ code, reason, clean }) => mine.push(`close ${code} ${reason} ${clean}`));
      },
    },
    async (stage) => {
      const cuts = [0, 1, 2, 3, 5, 7, 13, 64, 127];
      for (const size of cuts) {
        const wire = await stage.upgrade();
        for (let at = 0; at < bytes.length; at += size || bytes.length)
          wire.write(bytes.slice(at, at + (size || bytes.length)));
        const pong = await wire.readFrame();
        test.same([pong.opcode, Buffer.from(pong.payload).toString()], [10, 'ping']);
        test.same(closeOf((await wire.readFrame()).payload), { code: 4321, reason: '' }, 'the code is echoed');
        await wire.ended();
        wire.destroy();
      }
      await stage.counted('closed:4321', cuts.length);
      for (const mine of events) test.same(mine, events[0]);
      test.equal(events[0]?.length, 6);
    },
  );
});

const SETTINGS: ConnectionSettings = {
  maxMessage: 64 * 1024 * 1024,
  maxFragments: 1_000_000,
  messageTimeout: 60_000,
  closeTimeout: 1_000,
  pingInterval: 0,
  pingTimeout: 0,
  idleTimeout: 0,
  highWater: 65_536,
  maxBuffered: 1_000_000,
  policy: 'close',
  threshold: 1_000,
  text: 'string',
  lend: false,
  sharedReads: false,
  directWrites: false,
  concurrency: 1,
  rate: undefined,
};
const nobody: Sink = { message() {}, pinged() {}, ponged() {}, closing() {}, broken() {} };

t.test('31, 39: the cost of a message is linear in its size, however many parts and cuts it has', async (test) => {
  const part = encode({ opcode: 0, fin: false, payload: new Uint8Array(256) });
  const run = (count: number, cut: number): void => {
    let got = 0;
    const sink: Sink = {
      ...nobody,
      message: (_, from, to) => {
        got = to - from;
      },
    };
    const machine = new Machine('server', SETTINGS, sink, undefined, () => 0, 0);
    machine.receive(Buffer.from(encode({ opcode: 2, fin: false })), 0);
    for (let i = 0; i < count; i++) {
      const bytes = Buffer.from(part);
      for (let at = 0; at < bytes.length; at += cut) machine.receive(bytes.subarray(at, at + cut), 0);
    }
    machine.receive(Buffer.from(encode({ opcode: 0 })), 0);
    if (got !== count * 256) throw new Error(`${got} bytes arrived`);
  };
  const sizes = [256, 512, 1024, 2048];
  for (const cut of [1_000, 20]) {
    const { exponent, seconds } = await costCurve((size) => run(size, cut), sizes, { repeats: 5, floor: 1 });
    test.ok(
      exponent < 1.5,
      `parts cut by ${cut}: size^${exponent.toFixed(2)}, ${seconds.map((s) => (1000 * s).toFixed(1))} ms`,
    );
  }
});

t.test(
  '34, 35: after our Close a peer that talks on, or says nothing, is cut at the deadline, which does not move',
  (test) =>
    onStage(
      test,
      {
        onConnection: (connection) => {
          connection.on('message', () => void connection.close(4000, 'enough'));
        },
      },
      async (stage) => {
        const flood = frames({ opcode: 1, payload: 'go' }, { opcode: 9, payload: 'p' }, { opcode: 10 });
        const silent = await stage.upgrade();
        silent.sendFrame({ opcode: 1, payload: 'go' });
        const talker = await stage.upgrade();
        const begin = performance.now();
        const beat = setInterval(() => talker.write(flood), 5);
        for (const wire of [silent, talker]) {
          let closes = 0;
          let others = 0;
          const frame = await wire.readFrame();
          if (frame.opcode === 8) closes++;
          await wire.ended();
          while (wire.unread.length > 0) {
            if ((await wire.readFrame()).opcode === 8) closes++;
            else others++;
          }
          test.same([closes, others], [1, 0], 'one Close frame, and nothing after it');
        }
        clearInterval(beat);
        test.ok(performance.now() - begin < 1_500, 'in time');
        for (const number of [0, 1]) {
          const { code, fault, initiator } = await stage.outcome(number);
          test.same([code, fault, initiator], [1006, 'WSD_CLOSE_TIMEOUT', 'local']);
        }
        await stage.counted('fault:WSD_CLOSE_TIMEOUT', 2);
      },
    ),
);

t.test(
  '34: after the Close of the peer its frames and further Closes are ignored, and the socket ends in time',
  (test) => {
    let heard = 0;
    return onStage(
      test,
      {
        onConnection: (connection) => {
          connection.on('message', () => heard++);
          connection.on('ping', () => heard++);
        },
      },
      async (stage) => {
        const wire = await stage.upgrade();
        wire.write(frames({ opcode: 8, payload: closeBody(1000, 'bye') }, { opcode: 1, payload: 'x' }, { opcode: 9 }));
        const beat = setInterval(() => wire.write(frames({ opcode: 8, payload: closeBody(1001) }, { opcode: 2 })), 5);
        test.same(closeOf((await wire.readFrame()).payload), { code: 1000, reason: '' });
        const outcome = await stage.outcome();
        clearInterval(beat);
        test.same(outcome, { code: 1000, reason: 'bye', clean: true, initiator: 'remote' }, 'the first one counts');
        test.equal(heard, 0);
        test.equal(wire.unread.length, 0);
        await stage.counted('closed:1000');
      },
    );
  },
);

t.test('33: a Close without a code is answered without one, and every legal code comes back', (test) =>
  onStage(test, {}, async (stage) => {
    const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    for (const code of codes) {
      const wire = await stage.upgrade();
      wire.sendFrame({ opcode: 8, payload: closeBody(code, 'r'.repeat(123)) });
      test.same(closeOf((await wire.readFrame()).payload), { code, reason: '' });
      wire.destroy();
    }
    const wire = await stage.upgrade();
    wire.sendFrame({ opcode: 8 });
    test.equal((await wire.readFrame()).payload.length, 0);
    wire.destroy();
    test.equal((await stage.outcome(codes.length)).code, 1005);
    await stage.counted('closed:1005');
  }),
);

t.test('37: pongs that nobody asked for change nothing, and count against the rate', async (test) => {
  await onStage(test, {}, async (stage) => {
    const wire = await stage.upgrade();
    wire.write(
      frames(...new Array<WireFrameToSend>(1000).fill({ opcode: 10, payload: 'x' }), { opcode: 1, payload: 'echo' }),
    );
    test.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'echo');
  });
  for (const opcode of [10, 9, 1]) {
    await onStage(test, { options: { rate: { perSecond: 1, burst: 10 } } }, async (stage) => {
      const wire = await stage.upgrade();
      wire.write(frames(...new Array<WireFrameToSend>(20).fill({ opcode })));
      await closedWith(test, wire, 'WSD_MESSAGE_RATE', `opcode ${opcode}`);
      await stage.counted('fault:WSD_MESSAGE_RATE');
    });
  }
});

t.test('38: control frames between the parts of a message stay legal', (test) =>
  onStage(test, {}, async (stage) => {
    const wire = await stage.upgrade();
    wire.write(frames(start, { opcode: 9, payload: '1' }, { opcode: 10 }, { opcode: 0, payload: 'b' }));
    test.equal((await wire.readFrame()).opcode, 10);
    test.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'ab');
  }),
);

t.test('41: bad UTF-8 is told as soon as it is certain, while the frame is still under way', (test) =>
  onStage(test, {}, async (stage) => {
    const wire = await stage.upgrade();
    wire.write(
      encode({ opcode: 1, payload: Uint8Array.of(0x61, 0xed, 0xa0, 0x80, ...new Uint8Array(50)) }).subarray(0, 6 + 3),
    );
    await closedWith(test, wire, 'WSD_MESSAGE_UTF8');
    await stage.counted('fault:WSD_MESSAGE_UTF8');
  }),
);

t.test('42: a text longer than any string is refused by its header', (test) =>
  onStage(test, { options: { maxMessage: 2 ** 31 - 1 } }, async (stage) => {
    const wire = await stage.upgrade();
    wire.write(bigLength(0x81, 0x1fffffe9n));
    await closedWith(test, wire, 'WSD_MESSAGE_SIZE');
    const parts = await stage.upgrade();
    parts.write(Buffer.concat([encode({ opcode: 1, fin: false, payload: 'x' }), bigLength(0x80, 0x1fffffe8n)]));
    await closedWith(test, parts, 'WSD_MESSAGE_SIZE');
    const binary = await stage.upgrade();
    binary.write(bigLength(0x82, 0x1fffffe9n));
    test.notOk(
      await until(() => stage.outcomes.length > 2 && (stage.outcomes[2]?.length ?? 0) > 0, 50),
      'bytes may be longer',
    );
    await stage.counted('fault:WSD_MESSAGE_SIZE', 2);
  }),
);
