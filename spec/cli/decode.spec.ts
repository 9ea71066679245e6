import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, deflateRawSync } from 'node:zlib';
import t from 'tap';
import { main } from '../../lib/cli/main.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { OPCODE } from '../../lib/frame/opcode.js';
import { fakeIo } from './fake-io.js';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const decode = async (
  args: readonly string[],
  stdin: string | Uint8Array = '',
  env: Record<string, string> = {},
): Promise<Ran> => {
  const io = fakeIo({ stdin, env });
  const code = await main(['decode', ...args], io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

const HELLO = '81 85 37 fa 21 3d 7f 9f 4d 51 58';

t.test('a masked text frame is drawn with every bit where it is on the wire', async (t) => {
  const { code, out, err } = await decode(HELLO.split(' '));
  t.equal(code, 0);
  t.equal(err, '');
  t.equal(
    out,
    `frame 1 · text · client → server · 5 bytes  bytes 0–10
         0                   1                   2                   3
         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
        ┌─┬─┬─┬─┬───────┬─┬─────────────┬───────────────────────────────┐
        │F│R│R│R│       │M│             │                               │
        │I│S│S│S│Opcode │A│ Payload len │          Masking-key          │
        │N│V│V│V│ text  │S│      5      │           (32 bits)           │
        │ │1│2│3│       │K│             │                               │
     0  │1│0│0│0│0 0 0 1│1│0 0 0 0 1 0 1│      37              fa       │
        ├─┴─┴─┴─┴───────┴─┴─────────────┼───────────────────────────────┤
        │    Masking-key (continued)    │         Payload data          │
     4  │      21              3d       │      7f              9f       │
        ├───────────────────────────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┬───────────────┘
        │           Payload data (continued)            │
     8  │      4d              51              58       │
        └───────────────────────────────────────────────┘
  payload   5 bytes, unmasked:
            00000000  48 65 6c 6c 6f                                    Hello
  message   text, 5 bytes  "Hello"

1 frame · 1 message · no faults
`,
  );
});

t.test('every line of every drawing is equally wide or shorter, whatever the frame', async (t) => {
  for (const length of [0, 1, 2, 3, 4, 5, 125, 126, 65535, 65536]) {
    for (const maskKey of [undefined, 1]) {
      const parts = { opcode: OPCODE.binary, payload: new Uint8Array(length) };
      const { out, code } = await decode(['--raw'], encodeFrame(maskKey === undefined ? parts : { ...parts, maskKey }));
      t.equal(code, 0);
      const rows = out.split('\n').filter((line) => /^.{8}[│├┌└]/.test(line));
      t.ok(rows.length >= 7);
      t.ok(
        rows.every((row) => row.length <= 73),
        `${length} bytes fit into 80 columns`,
      );
      for (const row of rows.filter((line) => line[8] === '│')) t.equal(row.at(-1), '│', 'every row is closed');
    }
  }
});

t.test('the same bytes are read from words, from a dump, from a file and raw', async (t) => {
  const wanted = (await decode([HELLO])).out;
  const raw = Buffer.from(HELLO.replaceAll(' ', ''), 'hex');
  const file = join(t.testdir({}), 'capture.bin');
  await writeFile(file, raw);
  const ways: [string, Promise<Ran>][] = [
    ['raw stdin', decode([], raw)],
    ['raw stdin, said so', decode(['--raw', '-'], raw)],
    ['hexadecimal stdin', decode([], `${HELLO}\n`)],
    ['hexadecimal stdin, said so', decode(['--hex'], HELLO)],
    ['xxd', decode([], '00000000: 8185 37fa 213d 7f9f 4d51 58              ..7.!=..MQX\n')],
    ['a file', decode(['--file', file])],
    ['stdin as a file', decode(['--file', '-'], raw)],
  ];
  for (const [name, way] of ways) t.strictSame(await way, { code: 0, out: wanted, err: '' }, name);
});

t.test('what is no input is told in one sentence', async (t) => {
  const cases: [string[], string | Uint8Array, number, RegExp][] = [
    [['81', '0'], '', 2, /not hexadecimal/],
    [[], '', 2, /no bytes to decode/],
    [[], 'hello there', 2, /text but not hexadecimal/],
    [['--hex'], Uint8Array.of(0x81, 0), 2, /not hexadecimal/],
    [['--hex', '--raw'], '8100', 2, /exclude each other/],
    [['--file', '/nonexistent/x'], '', 1, /cannot read \/nonexistent\/x: there is no such file/],
    [['--file', 'x', '8100'], '', 2, /either bytes or --file/],
    [['--from', 'me', '8100'], '', 2, /--from takes client or server/],
  ];
  for (const [args, stdin, code, message] of cases) {
    const ran = await decode(args, stdin);
    t.match(ran, { code, out: '', err: message }, args.join(' '));
    t.ok(ran.err.split('\n').length <= 3);
  }
  const io = fakeIo({ tty: true });
  t.equal(await main(['decode'], io), 2, 'nothing at a terminal does not wait for typing');
});

t.test('faults are named with code and section, and the exit code is 1', async (t) => {
  const { code, out } = await decode(['--from', 'client', '88', '04', '03', 'ed', '62', '79']);
  t.equal(code, 1);
  t.match(out, /WSD_FRAME_MASK_MISSING: frame not masked\n +RFC 6455 section 5\.1; a receiver closes with 1002\n/);
  t.match(out, /WSD_FRAME_CLOSE_CODE: bad close code\n +RFC 6455 section 7\.4; a receiver closes with 1002\n/);
  t.match(out, '1005 no status received, reason "by"');
  t.match(out, '1 frame · 0 messages · 2 faults');
  t.strictSame(await decode(['--quiet', '8b00']), { code: 1, out: '', err: '' });
});

t.test('cut input and open messages are told', async (t) => {
  t.match(await decode(['8100 09']), { code: 1, out: /cut: 1 byte at 2 \(09\) do not make a whole header/ });
  t.match(await decode(['82 7f 0000000000010000 aabb']), {
    code: 1,
    out: /2 bytes of 65,536 bytes are here[\s\S]*lacks 65,534 bytes/,
  });
  t.match(await decode(['82 7f ffffffffffffffff aabb']), { code: 1, out: /more than 2\^53 bytes/ });
  t.match(await decode(['01 01 61']), {
    code: 0,
    out: /open: a text message of 1 frame and 1 byte so far has not ended/,
  });
});

const compress = (text: string, dictionary?: string): Buffer => {
  const options = {
    finishFlush: constants.Z_SYNC_FLUSH,
    ...(dictionary === undefined ? {} : { dictionary: Buffer.from(dictionary) }),
  };
  return deflateRawSync(text, options).subarray(0, -4);
};

t.test('compressed messages are inflated, with the window taken over from the message before', async (t) => {
  const first = 'the quick brown fox jumps over the lazy dog';
  const bytes = Buffer.concat([
    encodeFrame({ opcode: OPCODE.text, rsv: 4, payload: compress(first) }),
    encodeFrame({ opcode: OPCODE.text, rsv: 4, payload: compress(first, first) }),
  ]);
  const with_ = await decode(['--deflate', '--short'], bytes);
  t.equal(with_.code, 0);
  t.equal(with_.out.split('the quick brown fox').length, 3);
  const without = await decode(['--short'], bytes);
  t.match(without, { code: 1, out: /WSD_FRAME_RSV/ });
  const bad = await decode(
    ['--deflate'],
    encodeFrame({ opcode: OPCODE.text, rsv: 4, payload: Uint8Array.of(0xff, 0xff) }),
  );
  t.match(bad, { code: 1, out: /WSD_DEFLATE_DATA.*\n +RFC 7692 section 7\.2\.2/ });
});

const REQUEST =
  'GET /chat?token=1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nAuthorization: Bearer hunter2\r\nCookie: sid=hunter2\r\n\r\n';
const ANSWER =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\nX-Bad: \u001b[31m\r\n\r\n';

t.test('the handshake before the frames is recognised, and tells who sent them', async (t) => {
  const client = await decode([], Buffer.concat([Buffer.from(REQUEST), encodeFrame({ opcode: OPCODE.ping })]));
  t.match(client, { code: 1, out: /handshake request {2}GET \/chat\?token=1 HTTP\/1\.1/ });
  t.match(client.out, 'WSD_FRAME_MASK_MISSING', 'after a request a client sends');
  t.notMatch(client.out, 'hunter2', 'secrets are not printed');
  t.match(
    client.out,
    `bytes ${REQUEST.length}–${REQUEST.length + 1}`,
    'offsets count from the first byte of the input',
  );
  const server = await decode(
    ['--short'],
    Buffer.concat([Buffer.from(ANSWER), encodeFrame({ opcode: OPCODE.text, rsv: 4, payload: compress('squeezed') })]),
  );
  t.match(server, { code: 0, out: /squeezed/ }, 'an agreed extension needs no flag');
  t.notMatch(server.out, '\u001b');
  const both = await decode([], Buffer.from(REQUEST + ANSWER));
  t.match(both, { code: 0, out: /2 handshake heads · 0 frames/ });
  t.match(await decode([], Buffer.from(REQUEST.slice(0, -2))), {
    code: 1,
    out: /blank line that ends the head is missing/,
  });
});

t.test('JSON has one object a line, with the frame, its message and the end', async (t) => {
  const { out, code } = await decode(['--json', `${HELLO} 827fffffffffffffffff`]);
  t.equal(code, 1);
  const [frame, long, end, ...more] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(frame, {
    type: 'frame',
    name: 'text',
    masked: true,
    length: 5,
    payload: '48656c6c6f',
    message: { text: 'Hello' },
    faults: [],
  });
  t.match(long, { type: 'frame', length: null, faults: [{ code: 'WSD_FRAME_LENGTH_RANGE' }] });
  t.match(end, { type: 'end', frames: 2, messages: 1, faults: 1, missing: null });
  t.strictSame(more, []);
});

t.test('JSON tells of the handshake, too', async (t) => {
  const { out, code } = await decode(['--json'], Buffer.from(ANSWER));
  t.equal(code, 0);
  t.match(JSON.parse(out.split('\n')[0] as string), { type: 'head', kind: 'response', deflate: true, complete: true });
});

t.test('a signal ends the wait for input', async (t) => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const io = fakeIo();
    const done = main(['decode'], io);
    io.raise(signal);
    t.equal(await done, code);
    t.equal(io.stderr.text, '');
  }
});

t.test('one line a frame with --short, and --bytes decides how much of a payload is shown', async (t) => {
  const payload = new Uint8Array(300).fill(0xab);
  const { out } = await decode(
    ['--short', '--raw'],
    Buffer.concat([encodeFrame({ opcode: OPCODE.binary, payload }), encodeFrame({ opcode: OPCODE.pong })]),
  );
  t.equal(out.trimEnd().split('\n').length, 3);
  const shown = async (...args: string[]): Promise<number> =>
    (await decode([...args, '--raw'], encodeFrame({ opcode: OPCODE.binary, payload }))).out
      .split('\n')
      .filter((line) => /^ {12}[0-9a-f]{8} /.test(line)).length;
  t.equal(await shown(), 8);
  t.equal(await shown('--bytes', '1k'), 19);
  t.equal(await shown('--bytes', '0'), 0);
});

t.test('a payload cannot move the cursor', async (t) => {
  const { out } = await decode([], encodeFrame({ opcode: OPCODE.text, payload: Buffer.from('\u001b[2J\u0007') }));
  t.notMatch(out, '\u001b');
  t.match(out, '\\x1b[2J\\x07');
});

t.test('with colour the fault is red and the text stays the same', async (t) => {
  const plain = (await decode(['8b00'])).out;
  const { out } = await decode(['8b00'], '', { FORCE_COLOR: '1' });
  t.match(out, '\u001b[31m');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking the colours out again
  t.equal(out.replace(/\u001b\[\d+m/g, ''), plain);
});
