import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { main } from '../../lib/cli/main.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { OPCODE } from '../../lib/frame/opcode.js';
import { fakeIo } from './fake-io.js';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const decode = async (args: readonly string[], stdin: string | Uint8Array = ''): Promise<Ran> => {
  const io = fakeIo({ stdin });
  const code = await main(['decode', '--layer', 'packet', ...args], io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

const HELLO = '00401234 4f84 68656c6c6f';
/** PROTOCOL.md 11.2 and 11.3. */
const C2S = {
  key: 'fa9785a381b0cd2fec28d6b8c32c1ea010f95e5f2ae6b2422397e94d30e5af40',
  iv: '7dae98ad4bc81c84ddbb81d7',
};
const S2C = {
  key: 'ba52c39ecb4994c0d8a8e61f8b15a8ff4eb1cca36a58687a617c44b04e98b7f4',
  iv: '0674103cc870ee222ac384e5',
};
const SESSION = [
  '02c00000a6e900410460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  '02c00000dbea0041041ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9',
  '01100001000000000000ddf6c27c83822f765cabf27517254b1485f7e85492c3d674c9e00c50327ecea9d1535e10b86d80046fd7b37c9e33566be82fc7ffb12e18d71a43bab57e35827d',
  '0190000100000000000092f6829f758a2d6e19d7d3f0a97d14033647c0a23b338ee4e1390dfdfc45007ead51ce7ae4d6adbd44a13809af9299fe1e5467a4d0f1b5bb26ccd8533b0f1931',
  '0110000200000001800020ba8d9759f85f0930dd21c75cd748541ab53e3c8407eb97a23a2062a6d14d11df368b8cff35b3',
  '00d00002 0000 5ed6 dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c',
  '00f00003 0001 1479 c92f30d8c7c69191e1728f425831b1ad310dc2638995deec',
];
const LINES = `${SESSION.join('\n')}\n`;
const KEY_LINES = `# keys of a test\nc2s key ${C2S.key}\nc2s iv = ${C2S.iv}\ns2c key: ${S2C.key} iv: ${S2C.iv}\n`;

const fileOf = async (t: Test, name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(t.testdir({}), name);
  await writeFile(path, content);
  return path;
};

t.test('a packet is drawn with every field of the tables where it is on the wire', async (t) => {
  const { code, out, err } = await decode(HELLO.split(' '));
  t.equal(code, 0);
  t.equal(err, '');
  t.equal(
    out,
    `packet 1 · DEFAULT · number 4660 · 11 octets
         0                   1                   2                   3
         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
        ┌───────┬───────┬───────────────┬───────────────────────────────┐
        │Version│ Type  │     Flags     │          Sequence ID          │
        │   0   │DEFAULT│     0x40      │             4660              │
     0  │0 0 0 0│0 0 0 0│0 1 0 0 0 0 0 0│      12              34       │
        ├───────┴───────┴───────────────┼───────────────────────────────┤
        │         Checksum Hash         │             Data              │
     4  │      4f              84       │      68              65       │
        ├───────────────────────────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┬───────────────┘
        │               Data (continued)                │
     8  │      6c              6c              6f       │
        └───────────────────────────────────────────────┘
  Version                 0       version 0
  Type                    0       DEFAULT
  Flags                   0x40    CHECKSUM
  Sequence ID             0x1234  the low half of the number
  Checksum Hash           0x4f84  the low half of a CRC-32
  Data                    5 octets
  checksum                right
  message                 5 octets  "hello"

1 packet · 1 message · no faults
`,
  );
});

t.test('the same packet is read from words, a line, a dump, a file and raw', async (t) => {
  const wanted = (await decode([HELLO])).out;
  const file = await fileOf(t, 'packet.bin', hex(HELLO));
  const ways: [string, Promise<Ran>][] = [
    ['words', decode(HELLO.split(' '))],
    ['a line', decode([], `# one packet\n\n${HELLO}\n`)],
    ['a line, said so', decode(['--hex', '-'], HELLO)],
    ['xxd', decode([], '00000000: 0040 1234 4f84 6865 6c6c 6f              .@.4O.hello\n')],
    ['hexdump -C', decode([], '00000000  00 40 12 34 4f 84 68 65  6c 6c 6f                 |.@.4O.hello|\n0000000b\n')],
    ['od', decode([], '0000000 00 40 12 34 4f 84 68 65\n0000010 6c 6c 6f\n0000013\n')],
    ['raw', decode([], hex(HELLO))],
    ['raw, said so', decode(['--raw', '-'], hex(HELLO))],
    ['a file', decode(['--file', file])],
    ['in a frame', decode([], encodeFrame({ opcode: OPCODE.binary, payload: hex(HELLO) }))],
  ];
  for (const [name, way] of ways) {
    const { code, out, err } = await way;
    t.match({ code, err }, { code: 0, err: '' }, name);
    t.equal(out.replace('server → client · ', ''), wanted.replace('server → client · ', ''), name);
  }
});

t.test('an empty packet of number 0 is no offset of a dump', async (t) => {
  t.match((await decode(['--short'], '00000000\n00000001\n')).out, /^2 packets/m);
  t.match((await decode(['--short'], '00000000 68656c6c6f\n')).out, '"hello"');
});

t.test('a session is opened with a key file, in lines or in JSON', async (t) => {
  const lines = await fileOf(t, 'keys.txt', KEY_LINES);
  const opened = await decode(['--key-file', lines], LINES);
  t.match(opened, { code: 0, err: '' });
  t.match(opened.out, /^packet 3 · ACK · server → client · number 1 · 74 octets$/m);
  t.match(opened.out, /^ {2}PARAMS +messages up to 1048576 octets, a PING after 15000 ms, an ACK within 25 ms$/m);
  t.match(opened.out, /^ {2}SESSION +a fresh session, kept for 60 s$/m);
  t.match(opened.out, /^ {2}message +5 octets {2}"hello"$/m);
  t.match(opened.out, /^packet 7 · DEFAULT · server → client · number 65539 · 32 octets$/m);
  t.match(opened.out, /^ {2}message +120 octets {2}"abcabc/m);
  t.match(opened.out, /^7 packets · 2 messages · no faults$/m);
  for (const [name, json] of [
    ['nested', { c2s: C2S, s2c: S2C }],
    ['flat', { 'c2s key': C2S.key, c2s_iv: C2S.iv, 's2c.key': S2C.key, 's2c-iv': S2C.iv, note: 'more' }],
  ] as const) {
    const file = await fileOf(t, 'keys.json', JSON.stringify(json));
    t.strictSame(await decode(['--key-file', file], LINES), opened, name);
  }
  const half = await fileOf(t, 'half.txt', `c2s key ${C2S.key} iv ${C2S.iv}`);
  const ran = await decode(['--key-file', half, '--short'], LINES);
  t.match(ran, { code: 0, out: /3 not opened/ });
});

t.test('without keys a sealed packet is drawn, and said to be sealed', async (t) => {
  const { code, out } = await decode([SESSION[5] as string]);
  t.equal(code, 0);
  t.match(out, /^ {2}Flags +0xd0 +RELIABLE CHECKSUM ENCRYPTED$/m);
  t.match(out, /^ {2}Init Vector +0x0000 {2}the high half: number 2$/m);
  t.match(out, /^ {2}seal +not opened: no key for it$/m);
  t.match(out, /^1 packet · 0 messages · 1 not opened · no faults$/m);
});

t.test('key files that are none are told, and nothing of a key is', async (t) => {
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    ['nothing here', /has no key/],
    ['{"c2s": ', /begins like JSON but is none/],
    [`c2s key ${C2S.key.slice(2)} iv ${C2S.iv}`, /the c2s key in .* is not 32 octets/],
    [`c2s key ${C2S.key} iv ${C2S.iv}zz`, /the c2s iv in .* is not 12 octets/],
    [`c2s key ${C2S.key}`, /has the c2s key without its iv/],
    [`s2c iv ${S2C.iv}`, /has the s2c iv without its key/],
    [`c2s key ${C2S.key} iv ${C2S.iv}\nc2s key ${C2S.key}`, /the c2s key stands twice/],
  ];
  for (const [text, message] of cases) {
    const ran = await decode(['--key-file', await fileOf(t, 'keys', text), HELLO]);
    t.match(ran, { code: 1, out: '', err: message });
    t.notMatch(ran.err, C2S.key.slice(2, 20));
  }
  t.match(await decode(['--key-file', '/nonexistent', HELLO]), { code: 1, err: /there is no such file/ });
});

t.test('faults are named by code, and the exit code is 1', async (t) => {
  const wrong = await decode(['00401234 4f85 68656c6c6f']);
  t.equal(wrong.code, 1);
  t.match(
    wrong.out,
    /3\.9 CHECKSUM: the checksum does not match \(0x4f85 on the wire, 0x4f84 computed\)\n +PROTOCOL\.md section 3\.2; a receiver closes with 4309\n/,
  );
  const short = await decode(
    ['--short'],
    '10000000\n05000000\n00010000\n00080000 0001\n00080000 0202\n0000\n00200000 ff\n',
  );
  t.equal(short.code, 1);
  t.strictSame(
    short.out.split('\n').flatMap((line) => /\d\.\d [A-Z ]+$/.exec(line)?.[0] ?? []),
    [
      '3.1 VERSION',
      '3.2 PACKET TYPE',
      '3.3 FLAGS',
      '3.6 FRAGMENT NUMBER',
      '3.5 FRAGMENT ID',
      '3.0 PACKET',
      '3.8 COMPRESSION',
    ],
  );
  t.match(short.out, /^7 packets · 0 messages · 7 faults$/m);
  t.strictSame(await decode(['--quiet', '10000000']), { code: 1, out: '', err: '' });
});

t.test('every drawing has closed rows, however the packet is cut', async (t) => {
  for (const whole of [...SESSION, '01000007 0102 a001', '03400008 27d6 00 0011223344556677', '04000009 39 6368']) {
    const bytes = hex(whole);
    for (let size = 1; size < Math.min(bytes.length, 30); size++) {
      const { out } = await decode(['--raw', '--no-frames'], bytes.subarray(0, size));
      for (const row of out.split('\n').filter((line) => /^.{8}│/.test(line))) {
        if (row.at(-1) !== '│' || row.length > 73) t.fail(`${whole} cut to ${size}: ${row}`);
      }
    }
  }
  const certified = await decode(
    ['--raw'],
    Buffer.concat([hex(`02800000 0041 04${'11'.repeat(64)} 0040`), Buffer.alloc(64)]),
  );
  const rows = certified.out.split('\n');
  t.equal(
    rows.slice(rows.indexOf('        ⋮'), rows.indexOf('        ⋮') + 5).join('\n'),
    `        ⋮
                                                        ┌───────────────┐
                                                        │Cert. Size (C) │
    68                                                  │      00       │
        ┌───────────────┬───────────────────────────────┴───────────────┤`,
  );
  t.match(certified.out, /│Cert\. Size \(C\) │ +Certificate +│[\s\S]*Certificate \(53 more bytes\)/);
});

t.test('packets inside frames are unwrapped, masked or not, in parts or whole, after a handshake', async (t) => {
  const keys = await fileOf(t, 'keys.txt', KEY_LINES);
  const sides = ['client', 'server', 'server', 'client', 'server', 'client', 'server'];
  const frames = SESSION.flatMap((line, at) => {
    const payload = hex(line);
    const maskKey = sides[at] === 'client' ? { maskKey: 0x01020304 + at } : {};
    if (at !== 2) return [encodeFrame({ opcode: OPCODE.binary, payload, ...maskKey })];
    return [
      encodeFrame({ opcode: OPCODE.binary, fin: false, payload: payload.subarray(0, 10) }),
      encodeFrame({ opcode: OPCODE.ping, payload: new Uint8Array(0) }),
      encodeFrame({ opcode: OPCODE.continuation, payload: payload.subarray(10) }),
    ];
  });
  const capture = Buffer.concat(frames);
  const ran = await decode(['--key-file', keys, '--short'], capture);
  t.match(ran, { code: 0, err: '' });
  t.strictSame(
    ran.out
      .split('\n')
      .slice(0, 7)
      .map((line) => /client →|← server/.exec(line)?.[0]),
    sides.map((side) => (side === 'client' ? 'client →' : '← server')),
  );
  t.match(ran.out, /^7 packets · 2 messages · no faults$/m);
  t.strictSame(await decode(['--key-file', keys, '--short'], capture.toString('hex')), ran, 'as hexadecimal');
  const head = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: v0.packet.wsd\r\n\r\n');
  const server = Buffer.concat([head, encodeFrame({ opcode: OPCODE.binary, payload: hex(HELLO) })]);
  t.match(await decode([], server), { code: 0, out: /handshake answer[\s\S]*server → client[\s\S]*"hello"/ });
});

t.test('what is wrong around the packets is told', async (t) => {
  const text = encodeFrame({ opcode: OPCODE.text, payload: Buffer.from('hi') });
  const good = encodeFrame({ opcode: OPCODE.binary, payload: hex(HELLO) });
  const cut = Buffer.concat([text, good, good.subarray(0, 6)]);
  const { code, out } = await decode(['--short'], cut);
  t.equal(code, 1);
  t.match(out, /frame 1: a text message, which a packet session closes with 1003/);
  t.match(out, /cut: the last frame lacks 7 bytes/);
  t.match(await decode(['--short', '--frames', 'c2 00']), { code: 1, out: /WSD_FRAME_RSV/ });
  t.match(await decode(['--short', '--no-frames', '82000000']), { code: 1, out: /3\.1 VERSION/ });
});

t.test('JSON has one object a packet, and one that sums up', async (t) => {
  const keys = await fileOf(t, 'keys.txt', KEY_LINES);
  const { code, out } = await decode(['--json', '--key-file', keys], LINES);
  t.equal(code, 0);
  const objects = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.equal(objects.length, 8);
  t.match(objects[4], {
    type: 'packet',
    name: 'ACK',
    sender: 'server',
    acknowledges: [1, 0],
    blocks: [{ name: 'SESSION', value: '00112233445566778899aabbccddeeff0000003c' }],
  });
  t.match(objects[5], {
    index: 5,
    number: 2,
    flagNames: ['RELIABLE', 'CHECKSUM', 'ENCRYPTED'],
    sealed: 'opened',
    checksum: 'right',
    message: { data: '68656c6c6f', text: 'hello', fragments: 1 },
  });
  t.strictSame(objects[7], { type: 'end', packets: 7, messages: 2, notOpened: 0, faults: 0, outside: [] });
});

t.test('foreign text cannot reach the terminal as itself', async (t) => {
  const { out } = await decode(
    [],
    `00000000 ${Buffer.from('\u001b[2J\u202e').toString('hex')}\n04000000 20 1b5b324a\n`,
  );
  t.notMatch(out, '\u001b');
  t.notMatch(out, '\u202e');
});

t.test('wrong words are told in one sentence', async (t) => {
  const cases: readonly (readonly [args: string[], stdin: string, message: RegExp])[] = [
    [[], '', /no packets to decode/],
    [[], '# nothing\n', /no packets to decode/],
    [[], '0000\nhello\n', /line 2 is not hexadecimal/],
    [['--hex', '--raw'], HELLO, /exclude each other/],
    [['--from', 'me', HELLO], '', /--from takes client or server/],
    [['--key-file', '', HELLO], '', /--key-file needs a value/],
  ];
  for (const [args, stdin, message] of cases) t.match(await decode(args, stdin), { code: 2, out: '', err: message });
  const io = fakeIo({});
  t.equal(await main(['decode', '--key-file', 'x', '8100'], io), 2);
  t.match(io.stderr.text, /--key-file goes with --layer packet or package/);
  const other = fakeIo({});
  t.equal(await main(['decode', '--layer', 'message', '8100'], other), 2);
  t.match(other.stderr.text, /--layer takes frame, packet or package/);
});
