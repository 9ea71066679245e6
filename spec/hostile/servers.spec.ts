// Hostile servers, as the client meets them: HOSTILE line 23, and lines 25 to 44 the other way round. Holds for every line: the process lives,
// another connection of the same process keeps being answered, each connection ends in exactly one close event with one cause, the server
// is told the fixed phrase and nothing else, and memory follows what arrived. How each dial fails is in spec/client/dial.spec.ts.

import { constants, deflateRawSync } from 'node:zlib';
import t from 'tap';
import { encode, type Wire, type WireFrameToSend } from '../../fixtures/rig/wire.js';
import {
  type ClientOptions,
  type Connection,
  connect,
  createServer,
  FAULTS,
  type FaultCode,
  type Outcome,
} from '../../lib/index.js';
import { accept, acceptOf, serve } from '../client/raw-server.js';
import { closeBody, closeOf, until, within } from './stage.js';

const MIB = 1024 * 1024;
const plain = (frame: WireFrameToSend): Uint8Array => encode({ ...frame, mask: false });
const frames = (...all: WireFrameToSend[]): Uint8Array => Buffer.concat(all.map(plain));
const packed = (bytes: Uint8Array): Uint8Array =>
  deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const length64 = (first: number, length: bigint): Uint8Array => {
  const bytes = Buffer.alloc(10);
  bytes[0] = first;
  bytes[1] = 127;
  bytes.writeBigUInt64BE(length, 2);
  return bytes;
};
const DEFLATE = 'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const QUIET: ClientOptions = { closeTimeout: 100, pingInterval: 0, timeout: 3_000 };

/** A connection of the same process to a server that behaves. */
const neighbour = async (): Promise<{ answers(): Promise<boolean>; end(): Promise<void> }> => {
  const server = createServer({ closeTimeout: 100 }, (connection) => {
    connection.on('message', (data) => connection.send(data));
  });
  const { url } = await server.listen();
  const connection = await connect(url, QUIET);
  const messages = connection[Symbol.asyncIterator]();
  return {
    answers: async () => {
      connection.send('neighbour');
      return (await within(messages.next(), 'the neighbour')).value === 'neighbour';
    },
    end: async () => {
      connection.terminate();
      await within(server.close({ drain: 50 }), 'the close');
    },
  };
};

const watch = (connection: Connection): Outcome[] => {
  const outcomes: Outcome[] = [];
  connection.on('close', (outcome) => outcomes.push(outcome));
  connection.on('message', () => {});
  return outcomes;
};

const ROWS: readonly (readonly [name: string, bytes: Uint8Array, code: FaultCode, options?: ClientOptions])[] = [
  ['25: a masked frame', encode({ opcode: 1, payload: 'x' }), 'WSD_FRAME_MASK_PRESENT'],
  ['26: RSV1 without deflate', plain({ opcode: 1, rsv: 4 }), 'WSD_FRAME_RSV'],
  ['26: RSV2', plain({ opcode: 1, rsv: 2 }), 'WSD_FRAME_RSV'],
  ['27: opcode 3', plain({ opcode: 3 }), 'WSD_FRAME_OPCODE'],
  ['27: opcode 15', plain({ opcode: 15 }), 'WSD_FRAME_OPCODE'],
  ['28: the top bit of a length', length64(0x82, 1n << 63n), 'WSD_FRAME_LENGTH_RANGE'],
  ['28: 2^62', length64(0x82, 1n << 62n), 'WSD_MESSAGE_SIZE'],
  ['29: 5 in 16 bits', Uint8Array.of(0x82, 126, 0, 5, 1, 2, 3, 4, 5), 'WSD_FRAME_LENGTH_FORM'],
  ['32: a ping of 126 bytes', plain({ opcode: 9, payload: 'x'.repeat(126) }), 'WSD_FRAME_CONTROL_LENGTH'],
  ['32: a Close in parts', plain({ opcode: 8, fin: false }), 'WSD_FRAME_CONTROL_FRAGMENT'],
  ['33: a Close body of one byte', plain({ opcode: 8, payload: 'x' }), 'WSD_FRAME_CLOSE_BODY'],
  ['33: close code 1005', plain({ opcode: 8, payload: closeBody(1005) }), 'WSD_FRAME_CLOSE_CODE'],
  [
    '33: a reason that is not UTF-8',
    plain({ opcode: 8, payload: closeBody(1000, Uint8Array.of(255)) }),
    'WSD_FRAME_CLOSE_REASON',
  ],
  ['38: a continuation of nothing', plain({ opcode: 0 }), 'WSD_FRAME_CONTINUATION'],
  ['38: a message inside a message', frames({ opcode: 1, fin: false }, { opcode: 2 }), 'WSD_FRAME_INTERLEAVED'],
  [
    '39: empty parts without an end',
    frames({ opcode: 1, fin: false }, ...new Array<WireFrameToSend>(20).fill({ opcode: 0, fin: false })),
    'WSD_MESSAGE_FRAGMENTS',
    { maxFragments: 10 },
  ],
  [
    '39: parts that are too large together',
    frames({ opcode: 2, fin: false, payload: 'x'.repeat(60) }, { opcode: 0, payload: 'x'.repeat(60) }),
    'WSD_MESSAGE_SIZE',
    { maxMessage: 100 },
  ],
  ['39: a message that never ends', plain({ opcode: 1, fin: false }), 'WSD_MESSAGE_AGE', { messageTimeout: 80 }],
  [
    '40: too many messages',
    frames(...new Array<WireFrameToSend>(20).fill({ opcode: 1 })),
    'WSD_MESSAGE_RATE',
    { rate: { perSecond: 1, burst: 5 } },
  ],
  ['41: a surrogate', plain({ opcode: 1, payload: Uint8Array.of(0xed, 0xa0, 0x80) }), 'WSD_MESSAGE_UTF8'],
  [
    '43: a bomb',
    plain({ opcode: 2, rsv: 4, payload: packed(new Uint8Array(32 * MIB)) }),
    'WSD_DEFLATE_SIZE',
    { deflate: true, maxMessage: MIB },
  ],
  ['44: noise', plain({ opcode: 2, rsv: 4, payload: Uint8Array.of(255, 255) }), 'WSD_DEFLATE_DATA', { deflate: true }],
];

t.test(
  '25 to 44: whatever a server breaks, the client fails the connection with the code for it and goes on with its life',
  async (test) => {
    const other = await neighbour();
    const server = await serve(test, (wire, head) => {
      const row = ROWS[Number(/^GET \/(\d+) /.exec(head)?.[1])];
      wire.write(accept(head, row?.[3]?.deflate === true ? [DEFLATE] : []));
      // Behind the break: nothing of it may be heard.
      wire.write(
        Buffer.concat([
          row?.[1] ?? new Uint8Array(0),
          row?.[2] === 'WSD_MESSAGE_AGE' ? new Uint8Array(0) : frames({ opcode: 9, payload: 'after' }),
        ]),
      );
    });
    for (const [number, [name, , code, options]] of ROWS.entries()) {
      const connection = await connect(`ws://${server.at}/${number}`, { ...QUIET, ...options });
      const outcomes = watch(connection);
      const wire = server.wires.at(-1) as Wire;
      const frame = await wire.readFrame();
      const { close, phrase } = FAULTS[code] as { close: number; phrase: string };
      test.same(
        [frame.opcode, closeOf(frame.payload)],
        [8, { code: close, reason: phrase }],
        `${name}: the server is told`,
      );
      test.ok(frame.masked, `${name}: by a masked frame`);
      test.equal(await wire.ended(), 'end', `${name}: an orderly end`);
      test.equal(wire.unread.length, 0, `${name}: and not a byte more`);
      wire.end();
      const outcome = await within(connection.closed, name);
      test.same([outcome.fault, outcome.code, outcome.clean], [code, close, false], `${name}: one cause`);
      test.equal(outcomes.length, 1, `${name}: one close event`);
      test.ok(await other.answers(), `${name}: the neighbour is answered`);
    }
    await other.end();
  },
);

t.test(
  '23: an answer that is almost right is not spoken to, and an endless one is not read to its end',
  async (test) => {
    const other = await neighbour();
    const right = (head: string): string[] => accept(head).split('\r\n').slice(0, -2);
    const without = (head: string, name: string): string[] => right(head).filter((line) => !line.startsWith(name));
    const answers: readonly (readonly [
      name: string,
      answer: (head: string) => string,
      code: FaultCode,
      options?: ClientOptions,
    ])[] = [
      [
        'the accept value of another key',
        (head) =>
          [...without(head, 'Sec-WebSocket-Accept'), 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='].join('\r\n'),
        'WSD_DIAL_ACCEPT',
      ],
      [
        'the accept value twice',
        (head) => [...right(head), `Sec-WebSocket-Accept: ${acceptOf(head)}`].join('\r\n'),
        'WSD_DIAL_ACCEPT',
      ],
      ['no Upgrade', (head) => without(head, 'Upgrade').join('\r\n'), 'WSD_DIAL_UPGRADE'],
      ['no Connection', (head) => without(head, 'Connection').join('\r\n'), 'WSD_DIAL_UPGRADE'],
      ['an extension nobody offered', (head) => [...right(head), DEFLATE].join('\r\n'), 'WSD_DIAL_EXTENSION'],
      [
        'deflate with a window nobody offered',
        (head) =>
          [...right(head), 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15'].join('\r\n'),
        'WSD_DIAL_EXTENSION',
        { deflate: { serverBits: 10 } },
      ],
      [
        'deflate with a parameter named __proto__',
        (head) => [...right(head), 'Sec-WebSocket-Extensions: permessage-deflate; __proto__'].join('\r\n'),
        'WSD_DIAL_EXTENSION',
        { deflate: true },
      ],
      [
        'a subprotocol nobody offered',
        (head) => [...right(head), 'Sec-WebSocket-Protocol: evil'].join('\r\n'),
        'WSD_DIAL_PROTOCOL',
        { subprotocols: ['chat'] },
      ],
      ['a field with an escape sequence', (head) => [...right(head), 'X: \x1b[2J'].join('\r\n'), 'WSD_DIAL_ANSWER'],
      [
        '10,000 fields',
        (head) => [...right(head), ...new Array<string>(10_000).fill('X: y')].join('\r\n'),
        'WSD_DIAL_LARGE',
      ],
      ['a field of a megabyte', (head) => [...right(head), `X: ${'y'.repeat(MIB)}`].join('\r\n'), 'WSD_DIAL_LARGE'],
      ['a thousand 1xx answers', () => 'HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n'.repeat(1_000), 'WSD_DIAL_LARGE'],
      ['not HTTP', () => '220 mail.example ESMTP', 'WSD_DIAL_ANSWER'],
      ['a redirect', () => 'HTTP/1.1 302 Found\r\nLocation: ws://evil.example/', 'WSD_DIAL_REDIRECT'],
      ['a refusal', () => 'HTTP/1.1 503 \x1bBusy\r\nContent-Length: 0', 'WSD_DIAL_ANSWER'],
    ];
    const server = await serve(test, (wire, head) => {
      const number = Number(/^GET \/(\d+) /.exec(head)?.[1]);
      wire.write(`${answers[number]?.[1](head)}\r\n\r\n`);
      wire.write(frames({ opcode: 1, payload: 'too early' }));
    });
    for (const [number, [name, , code, options]] of answers.entries()) {
      await test.rejects(
        connect(`ws://${server.at}/${number}`, { ...QUIET, ...options }),
        { name: 'WsdError', code },
        name,
      );
      const wire = server.wires.at(-1) as Wire;
      await wire.ended();
      test.equal(wire.unread.length, 0, `${name}: no frame follows`);
      wire.destroy();
    }
    test.ok(await other.answers());
    await other.end();
  },
);

t.test(
  '23: a server that splits its own head does not make a header of ours, and a caller cannot either',
  async (test) => {
    const headers = { 'X-Token': 'a\r\nX-Admin: yes' };
    await test.rejects(connect('ws://127.0.0.1:1/', { headers }), TypeError);
    await test.rejects(connect('ws://127.0.0.1:1/', { headers: { 'Sec-WebSocket-Key': 'mine' } }), TypeError);
    await test.rejects(connect('ws://127.0.0.1:1/', { headers: { 'Bad Name': 'x' } }), TypeError);
    await test.rejects(connect('ws://127.0.0.1:1/\r\nX-Admin: yes'), { code: 'WSD_DIAL_URL' });
  },
);

t.test('34, 35: a server that never ends is left at closeTimeout, whatever it keeps sending', async (test) => {
  for (const begins of ['client', 'server'] as const) {
    const server = await serve(test, (wire, head) => {
      wire.write(accept(head));
      if (begins === 'server') wire.write(frames({ opcode: 8, payload: closeBody(1000) }));
    });
    const connection = await connect(`ws://${server.at}/`, QUIET);
    const outcomes = watch(connection);
    const wire = server.wires[0] as Wire;
    const beat = setInterval(() => wire.write(frames({ opcode: 9 }, { opcode: 1, payload: 'talk' })), 5);
    if (begins === 'client') void connection.close(1000);
    const outcome = await within(connection.closed, 'the end', 2_000);
    clearInterval(beat);
    const expected =
      begins === 'client' ? [1006, false, 'local', 'WSD_CLOSE_TIMEOUT'] : [1000, true, 'remote', undefined];
    test.same([outcome.code, outcome.clean, outcome.initiator, outcome.fault], expected, `the ${begins} began`);
    test.equal(outcomes.length, 1);
    await wire.ended();
  }
});

t.test('30, 50: lengths that are only announced, and resets in the middle, leave nothing behind', async (test) => {
  const server = await serve(test, (wire, head) => {
    wire.write(Buffer.concat([Buffer.from(accept(head)), length64(0x82, 16_777_216n), new Uint8Array(10)]));
  });
  const before = process.memoryUsage().arrayBuffers;
  const connections = await Promise.all(Array.from({ length: 50 }, () => connect(`ws://${server.at}/`, QUIET)));
  const outcomes = connections.map(watch);
  await until(() => server.wires.length === 50);
  await new Promise((resolve) => setImmediate(resolve));
  const grown = process.memoryUsage().arrayBuffers - before;
  test.ok(grown < 8 * MIB, `50 announcements of 16 MiB take ${grown} bytes`);
  for (const wire of server.wires) wire.reset();
  await within(Promise.all(connections.map((connection) => connection.closed)), 'the ends');
  test.ok(
    outcomes.every((all) => all.length === 1 && all[0]?.code === 1006),
    'one close event each',
  );
});
