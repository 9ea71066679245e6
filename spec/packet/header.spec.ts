import { crc32 } from 'node:zlib';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import type { PacketCode, PacketFault } from '../../lib/packet/codes.js';
import {
  aadOf,
  checkedOf,
  headerSize,
  type Packet,
  type PacketFields,
  type ParseContext,
  parsePacket,
  writeAad,
  writeChecked,
  writePacket,
  writeTsf,
} from '../../lib/packet/header.js';
import { FLAG, TYPE } from '../../lib/packet/wire.js';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const NONE: ParseContext = { secured: false, keys: false, open: true, maxCertificate: 4096 };
const BEFORE: ParseContext = { secured: true, keys: false, open: false, maxCertificate: 4096 };
const KEYS: ParseContext = { secured: true, keys: true, open: false, maxCertificate: 4096 };
const CLIENT: ParseContext = { ...KEYS, finished: false };
const OPEN: ParseContext = { secured: true, keys: true, open: true, maxCertificate: 4096 };

const R = FLAG.reliable;
const C = FLAG.checksum;
const Z = FLAG.compressed;
const E = FLAG.encrypted;
const F = FLAG.frag;

const isFault = (read: Packet | PacketFault): read is PacketFault => 'kind' in read;

const read = (bytes: Uint8Array, context: ParseContext): Packet => {
  const packet = parsePacket(bytes, context);
  if (isFault(packet)) throw new Error(`${packet.code} ${packet.detail} for ${toHex(bytes)}`);
  return packet;
};

const codeOf = (bytes: Uint8Array, context: ParseContext): PacketCode | 'fine' => {
  const packet = parsePacket(bytes, context);
  return isFault(packet) ? packet.code : 'fine';
};

const KEY_C =
  '0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299';
const KEY_S =
  '041ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9';

/** PROTOCOL.md 11.1 to 11.3: what stands on the wire, and its fields. */
const VECTORS: readonly (readonly [name: string, wire: string, fields: PacketFields, context: ParseContext])[] = [
  ['empty DEFAULT', '00000000', { type: 0, flags: 0, sequence: 0 }, NONE],
  ['RELIABLE', '0080abcd', { type: 0, flags: R, sequence: 0xabcd }, NONE],
  ['hello', '00001234 68656c6c6f', { type: 0, flags: 0, sequence: 0x1234, data: hex('68656c6c6f') }, NONE],
  [
    'hello with CHECKSUM',
    '00401234 4f84 68656c6c6f',
    { type: 0, flags: C, sequence: 0x1234, checksum: 0x4f84, data: hex('68656c6c6f') },
    NONE,
  ],
  [
    'compressed',
    '00e0ffff 4f3c 4b4c4a4e1c080400',
    { type: 0, flags: R | C | Z, sequence: 0xffff, checksum: 0x4f3c, data: hex('4b4c4a4e1c080400') },
    NONE,
  ],
  ['ACK', '01000007 0102 a001', { type: 1, flags: 0, sequence: 7, ackId: 0x102, ackBits: 0xa001 }, NONE],
  [
    'PING',
    '03400008 27d6 00 0011223344556677',
    { type: 3, flags: C, sequence: 8, checksum: 0x27d6, heartbeat: 0, data: hex('0011223344556677') },
    NONE,
  ],
  [
    'PONG',
    '03400009 58ab 01 0011223344556677',
    { type: 3, flags: C, sequence: 9, checksum: 0x58ab, heartbeat: 1, data: hex('0011223344556677') },
    NONE,
  ],
  [
    'ERROR 3.9',
    '04000009 39 636865636b73756d',
    { type: 4, flags: 0, sequence: 9, major: 3, minor: 9, data: hex('636865636b73756d') },
    NONE,
  ],
  ['ERROR 2.1', '04400001 28ff 21', { type: 4, flags: C, sequence: 1, checksum: 0x28ff, major: 2, minor: 1 }, NONE],
  [
    'AUTH_C',
    `02c00000 a6e9 00 41 ${KEY_C}`,
    { type: 2, flags: R | C, sequence: 0, checksum: 0xa6e9, publicKey: hex(KEY_C) },
    BEFORE,
  ],
  [
    'AUTH_S',
    `02c00000 dbea 00 41 ${KEY_S}`,
    { type: 2, flags: R | C, sequence: 0, checksum: 0xdbea, publicKey: hex(KEY_S) },
    BEFORE,
  ],
  [
    'FINISHED_S',
    '01100001 0000 0000 0000 ddf6c27c83822f765cabf27517254b1485f7e85492c3d674c9e00c50327ecea9d1535e10b86d80046fd7b37c9e33566be82fc7ffb12e18d71a43bab57e35827d',
    {
      type: 1,
      flags: E,
      sequence: 1,
      initVector: 0,
      ackId: 0,
      ackBits: 0,
      data: hex(
        'ddf6c27c83822f765cabf27517254b1485f7e85492c3d674c9e00c50327ecea9d1535e10b86d80046fd7b37c9e33566be82fc7ffb12e18d71a43bab57e35827d',
      ),
    },
    CLIENT,
  ],
  [
    'FINISHED_C',
    '01900001 0000 0000 0000 92f6829f758a2d6e19d7d3f0a97d14033647c0a23b338ee4e1390dfdfc45007ead51ce7ae4d6adbd44a13809af9299fe1e5467a4d0f1b5bb26ccd8533b0f1931',
    {
      type: 1,
      flags: R | E,
      sequence: 1,
      data: hex(
        '92f6829f758a2d6e19d7d3f0a97d14033647c0a23b338ee4e1390dfdfc45007ead51ce7ae4d6adbd44a13809af9299fe1e5467a4d0f1b5bb26ccd8533b0f1931',
      ),
    },
    KEYS,
  ],
  [
    'CONFIRM',
    '01100002 0000 0001 8000 20ba8d9759f85f0930dd21c75cd748541ab53e3c8407eb97a23a2062a6d14d11df368b8cff35b3',
    {
      type: 1,
      flags: E,
      sequence: 2,
      ackId: 1,
      ackBits: 0x8000,
      data: hex('20ba8d9759f85f0930dd21c75cd748541ab53e3c8407eb97a23a2062a6d14d11df368b8cff35b3'),
    },
    CLIENT,
  ],
  [
    'sealed hello',
    '00d00002 0000 5ed6 dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c',
    {
      type: 0,
      flags: R | C | E,
      sequence: 2,
      initVector: 0,
      checksum: 0x5ed6,
      data: hex('dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c'),
    },
    OPEN,
  ],
  [
    'sealed and compressed',
    '00f00003 0001 1479 c92f30d8c7c69191e1728f425831b1ad310dc2638995deec',
    {
      type: 0,
      flags: R | C | Z | E,
      sequence: 3,
      initVector: 1,
      checksum: 0x1479,
      data: hex('c92f30d8c7c69191e1728f425831b1ad310dc2638995deec'),
    },
    OPEN,
  ],
  ...[0, 1, 2].map((id) => {
    const data = Uint8Array.from({ length: id < 2 ? 988 : 24 }, (_, i) => (id * 988 + i) % 256);
    const fields: PacketFields = {
      type: 0,
      flags: C | F,
      sequence: 0xff,
      fragmentId: id,
      fragmentCount: 3,
      checksum: 0xafb2,
      data,
    };
    return [`fragment ${id}`, `004800ff 0${id}03 afb2 ${toHex(data)}`, fields, NONE] as const;
  }),
];

t.test('every vector reads as its fields and is written back octet for octet', async (t) => {
  for (const [name, wire, fields, context] of VECTORS) {
    const bytes = hex(wire);
    t.equal(toHex(writePacket(fields)), toHex(bytes), `${name} is written`);
    const packet = read(bytes, context);
    const { bytes: same, tsfStart, tsfEnd, ...rest } = packet;
    t.equal(same, bytes);
    t.strictSame(
      rest,
      {
        fragmentId: 0,
        fragmentCount: 0,
        initVector: 0,
        checksum: 0,
        ackId: 0,
        ackBits: 0,
        heartbeat: 0,
        major: 0,
        minor: 0,
        publicKey: new Uint8Array(0),
        certificate: undefined,
        data: new Uint8Array(0),
        ...fields,
      },
      `${name} is read`,
    );
    t.equal(tsfStart, headerSize(packet.flags));
    t.equal(toHex(bytes.subarray(tsfStart, tsfEnd)), toHex(writeTsf(packet)), `${name}: its own fields`);
    t.equal(toHex(writePacket(packet)), toHex(bytes), `${name} is written from what was read`);
  }
});

t.test('the checksum of every clear vector follows from what it covers', async (t) => {
  const original = new Map([
    ['compressed', Buffer.from('abc'.repeat(40))],
    ['fragment 0', Buffer.from(Array.from({ length: 2000 }, (_, i) => i % 256))],
  ]);
  for (const [name, wire, fields, context] of VECTORS) {
    if ((fields.flags & C) === 0 || (fields.flags & E) !== 0 || /fragment [12]/.test(name)) continue;
    const packet = read(hex(wire), context);
    const head = checkedOf(packet);
    t.strictSame(head, writeChecked(packet.type, packet.flags, packet.sequence, writeTsf(packet)));
    const data = original.get(name) ?? packet.data;
    t.equal(crc32(data, crc32(head)) & 0xffff, packet.checksum, name);
  }
});

t.test('what a seal covers names the whole number and leaves FRAG out', async (t) => {
  const sealed = read(hex('00d00002 0000 5ed6 dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c'), OPEN);
  t.equal(toHex(aadOf(sealed)), '00d000020000');
  const finished = read(hex(`01900001 0000 0000 0000 ${'00'.repeat(20)}`), KEYS);
  t.equal(toHex(aadOf(finished)), '01900001000000000000');
  t.equal(toHex(writeAad(1, R | E, 0x50006, hex('01020304'))), '01900006000501020304');
  const fragment = read(hex(`00580005 0003 0000 03a9 ${'00'.repeat(988)}`), OPEN);
  t.equal(toHex(aadOf(fragment)), '005000050000');
  t.equal(toHex(checkedOf(fragment)), '00500005');
});

t.test('the header takes 4, 6, 8 or 10 octets', async (t) => {
  t.strictSame([0, C, E, F, C | E, C | F, E | F, C | E | F, R | Z].map(headerSize), [4, 6, 6, 6, 8, 8, 8, 10, 4]);
});

t.test('the optional fields stand in the order of the table', async (t) => {
  const packet = read(hex(`0058 1112 0203 2122 3132 ${'aa'.repeat(17)}`), OPEN);
  t.match(packet, { sequence: 0x1112, fragmentId: 2, fragmentCount: 3, initVector: 0x2122, checksum: 0x3132 });
  t.equal(packet.data.length, 17);
});

t.test('a vector cut at any octet is refused as 3.0, or is a shorter packet where Data may be shorter', async (t) => {
  for (const [name, wire, fields, context] of VECTORS) {
    const bytes = hex(wire);
    const fixed = writePacket({ ...fields, data: new Uint8Array(0) }).length;
    const least =
      (fields.flags & F) !== 0 ? ((fields.fragmentId ?? 0) < 2 ? 988 : 1) : (fields.flags & E) !== 0 ? 16 : 0;
    for (let size = 0; size < bytes.length; size++) {
      const expected = size < fixed + least ? 'PACKET' : 'fine';
      const code = codeOf(bytes.subarray(0, size), context);
      if (code !== expected) t.fail(`${name} cut to ${size}: ${code}`);
    }
  }
});

const auth = (rest: string): Uint8Array => hex(`02800000${rest}`);
const key = (size: number): string => `04${'11'.repeat(size - 1)}`;

/** Section 7, steps 1 to 8 and the modes of step 9: the smallest input for each. */
const REFUSED: readonly (readonly [name: string, bytes: Uint8Array, context: ParseContext, code: PacketCode])[] = [
  ['1: nothing', hex(''), NONE, 'PACKET'],
  ['1: three octets', hex('000000'), NONE, 'PACKET'],
  ['1 before 2: three octets of version 1', hex('100000'), NONE, 'PACKET'],
  ['2: version 1', hex('10000000'), NONE, 'VERSION'],
  ['2: version 15', hex('f0000000'), NONE, 'VERSION'],
  ['2 before 3: version 1, type 5', hex('15000000'), NONE, 'VERSION'],
  ...Array.from(
    { length: 11 },
    (_, i) => [`3: type ${5 + i}`, Uint8Array.of(5 + i, 0, 0, 0), NONE, 'PACKET_TYPE'] as const,
  ),
  ['3: AUTH in an open session', auth(`0041${key(65)}`), OPEN, 'PACKET_TYPE'],
  ['3 before 4: type 5 with a reserved bit', hex('05010000'), NONE, 'PACKET_TYPE'],
  ['3 before 4: AUTH without RELIABLE in an open session', hex('02000000'), OPEN, 'PACKET_TYPE'],
  ['4: reserved bit 0x01', hex('00010000'), NONE, 'FLAGS'],
  ['4: reserved bit 0x02', hex('00020000'), NONE, 'FLAGS'],
  ['4: reserved bit 0x04', hex('00040000'), NONE, 'FLAGS'],
  ['4: AUTH without RELIABLE', hex(`02000000 0041${key(65)}`), BEFORE, 'FLAGS'],
  ['4: ACK with FRAG', hex('01080000'), NONE, 'FLAGS'],
  ['4: HEARTBEAT with RELIABLE', hex('03800000'), NONE, 'FLAGS'],
  ['4: HEARTBEAT with COMPRESSED', hex('03200000'), NONE, 'FLAGS'],
  ['4: ERROR with COMPRESSED', hex('04200000'), NONE, 'FLAGS'],
  ['4: RELIABLE ACK in an open session', hex('01900000'), OPEN, 'FLAGS'],
  ['4: RELIABLE ACK from a server', hex('01900000'), CLIENT, 'FLAGS'],
  ['4: clear DEFAULT although keys exist', hex('00000000'), OPEN, 'FLAGS'],
  ['4: clear ACK although keys exist', hex('01000000 00000000'), KEYS, 'FLAGS'],
  ['4: clear ERROR in an open session', hex('04000000 20'), OPEN, 'FLAGS'],
  ['4: ENCRYPTED without keys', hex('00100000'), BEFORE, 'FLAGS'],
  ['4: ENCRYPTED in a session without security', hex('00100000'), NONE, 'FLAGS'],
  ['4 before 5: reserved bit and a cut header', hex('00490000'), NONE, 'FLAGS'],
  ['5: Fragment ID missing', hex('00080000'), NONE, 'PACKET'],
  ['5: Fragment Number missing', hex('00080000 00'), NONE, 'PACKET'],
  ['5: Init Vector cut', hex('00100000 00'), OPEN, 'PACKET'],
  ['5: Checksum Hash cut', hex('00400000 00'), NONE, 'PACKET'],
  ['5: all three optional fields but one octet', hex('00580000 00020000 00'), OPEN, 'PACKET'],
  ['5: ACK ID cut', hex('01000000 00'), NONE, 'PACKET'],
  ['5: ACK Bits cut', hex('01000000 0000 00'), NONE, 'PACKET'],
  ['5: Heartbeat missing', hex('03000000'), NONE, 'PACKET'],
  ['5: Heartbeat 2', hex('03000000 02'), NONE, 'PACKET'],
  ['5: Heartbeat 0xff', hex('03000000 ff'), NONE, 'PACKET'],
  ['5: error code missing', hex('04000000'), NONE, 'PACKET'],
  ['5: an ACK with Data in a clear open session', hex('01000000 00000000 00'), NONE, 'PACKET'],
  [
    '5: a sealed ACK with 15 octets in an open session',
    hex(`01100000 0000 00000000 ${'00'.repeat(15)}`),
    OPEN,
    'PACKET',
  ],
  [
    '5: a sealed ACK with 17 octets in an open session',
    hex(`01100000 0000 00000000 ${'00'.repeat(17)}`),
    OPEN,
    'PACKET',
  ],
  ['5: AUTH without Reserved', auth(''), BEFORE, 'PACKET'],
  ['5: AUTH without E', auth('00'), BEFORE, 'PACKET'],
  ['5: Reserved 1', auth(`0141${key(65)}`), BEFORE, 'PACKET'],
  ['5: Reserved 0x80 and everything else missing', auth('8041'), BEFORE, 'PACKET'],
  ['5: E lies: 64 octets are there', auth(`0041${key(64)}`), BEFORE, 'PACKET'],
  ['5: E lies: 255 and 65 are there', auth(`00ff${key(65)}`), BEFORE, 'PACKET'],
  ['5: E lies: 64 and 65 are there', auth(`0040${key(65)}`), BEFORE, 'PACKET'],
  ['5: E lies: 0 and 65 are there', auth(`0000${key(65)}`), BEFORE, 'PACKET'],
  ['5: C is cut', auth(`0041${key(65)}00`), BEFORE, 'PACKET'],
  ['5: C is 0', auth(`0041${key(65)}0000`), BEFORE, 'PACKET'],
  ['5: C is 0 and an octet follows', auth(`0041${key(65)}0000aa`), BEFORE, 'PACKET'],
  ['5: C is 1 and nothing follows', auth(`0041${key(65)}0001`), BEFORE, 'PACKET'],
  ['5: C is 1 and two octets follow', auth(`0041${key(65)}0001aabb`), BEFORE, 'PACKET'],
  ['5: C is 2 and one octet follows', auth(`0041${key(65)}0002aa`), BEFORE, 'PACKET'],
  ['5: a certificate longer than it may be', auth(`0041${key(65)}1001${'aa'.repeat(4097)}`), BEFORE, 'PACKET'],
  ['5 before 6: Heartbeat 2 and Data of 989', hex(`03000000 02 ${'00'.repeat(989)}`), NONE, 'PACKET'],
  ['6: Fragment Number 0', hex('00080000 0000'), NONE, 'FRAGMENT_NUMBER'],
  ['6: Fragment Number 1', hex('00080000 0001'), NONE, 'FRAGMENT_NUMBER'],
  ['6 before 7: Fragment ID 5 of 1', hex('00080000 0501'), NONE, 'FRAGMENT_NUMBER'],
  ['6 before 8: Fragment Number 1 and no Data', hex('00080000 0001'), NONE, 'FRAGMENT_NUMBER'],
  ['7: Fragment ID equals Number', hex('00080000 0202'), NONE, 'FRAGMENT_ID'],
  ['7: Fragment ID 255 of 255', hex('00080000 ffff'), NONE, 'FRAGMENT_ID'],
  ['7 before 8: Fragment ID 3 of 2 and Data of 989', hex(`00080000 0302 ${'00'.repeat(989)}`), NONE, 'FRAGMENT_ID'],
  ['8: Data of 989', hex(`00000000 ${'00'.repeat(989)}`), NONE, 'PACKET'],
  ['8: HEARTBEAT Data of 989', hex(`03000000 00 ${'00'.repeat(989)}`), NONE, 'PACKET'],
  ['8: ERROR Data of 989', hex(`04000000 20 ${'00'.repeat(989)}`), NONE, 'PACKET'],
  ['8: ACK Data of 989 in the handshake', hex(`01100000 0000 00000000 ${'00'.repeat(989)}`), KEYS, 'PACKET'],
  ['8: first fragment of 987', hex(`00080000 0002 ${'00'.repeat(987)}`), NONE, 'PACKET'],
  ['8: first fragment of 989', hex(`00080000 0002 ${'00'.repeat(989)}`), NONE, 'PACKET'],
  ['8: middle fragment empty', hex('00080000 0103'), NONE, 'PACKET'],
  ['8: last fragment empty', hex('00080000 0102'), NONE, 'PACKET'],
  ['8: last fragment of 989', hex(`00080000 0102 ${'00'.repeat(989)}`), NONE, 'PACKET'],
  ['8: sealed Data of 0', hex('00100000 0000'), OPEN, 'PACKET'],
  ['8: sealed Data of 15', hex(`00100000 0000 ${'00'.repeat(15)}`), OPEN, 'PACKET'],
  ['8: sealed Data of 989', hex(`00100000 0000 ${'00'.repeat(989)}`), OPEN, 'PACKET'],
  ['9: DEFAULT to an end that waits for AUTH', hex('00000000'), BEFORE, 'CONNECTION'],
  ['9: HEARTBEAT to an end that waits for AUTH', hex('03000000 00'), BEFORE, 'CONNECTION'],
  ['9: ACK to an end that waits for AUTH', hex('01000000 00000000'), BEFORE, 'CONNECTION'],
  ['9: AUTH to an end without security', auth(`0041${key(65)}`), NONE, 'CONNECTION'],
  ['8 before 9: 989 octets to an end that waits for AUTH', hex(`00000000 ${'00'.repeat(989)}`), BEFORE, 'PACKET'],
];

t.test('every single-packet row of section 7 has its code, in the order of the steps', async (t) => {
  for (const [name, bytes, context, code] of REFUSED) {
    const fault = parsePacket(bytes, context);
    t.match(fault, { kind: 'packet-fault', code, detail: String }, name);
  }
});

t.test('what lies on the right side of each boundary is taken', async (t) => {
  const taken: readonly (readonly [name: string, bytes: Uint8Array, context: ParseContext])[] = [
    ...[0, 1, 987, 988].map((n) => [`Data of ${n}`, hex(`00000000 ${'00'.repeat(n)}`), NONE] as const),
    ...[16, 17, 987, 988].map((n) => [`sealed ${n}`, hex(`00100000 0000 ${'00'.repeat(n)}`), OPEN] as const),
    ['HEARTBEAT Data of 988', hex(`03000000 01 ${'00'.repeat(988)}`), NONE],
    ['ERROR Data of 988', hex(`04000000 20 ${'00'.repeat(988)}`), NONE],
    ['ERROR with a code nobody knows', hex('04000000 ff'), NONE],
    ['FINISHED of 988', hex(`01900000 0000 00000000 ${'00'.repeat(988)}`), KEYS],
    ['a sealed ACK of 16', hex(`01100000 0000 00000000 ${'00'.repeat(16)}`), OPEN],
    ['a sealed ACK with CHECKSUM', hex(`01500000 0000 0000 00000000 ${'00'.repeat(16)}`), OPEN],
    ['a clear ERROR while the handshake goes on', hex('04000000 10'), KEYS],
    ['a clear ERROR before any keys', hex('04000000 11'), BEFORE],
    ['last fragment of 1', hex('00080000 0102 00'), NONE],
    ['last fragment of 988', hex(`00080000 0102 ${'00'.repeat(988)}`), NONE],
    ['fragment 253 of 255', hex(`00080000 fdff ${'00'.repeat(988)}`), NONE],
    ['the last of 255 fragments', hex('00080000 feff 00'), NONE],
    ['a sealed last fragment of 1', hex('00180000 0102 0000 00'), OPEN],
  ];
  for (const [name, bytes, context] of taken) t.equal(codeOf(bytes, context), 'fine', name);
});

t.test('AUTH is read with and without a certificate, and a key of any size the lengths agree on', async (t) => {
  const plain = read(auth(`0041${key(65)}`), BEFORE);
  t.equal(plain.publicKey.length, 65);
  t.equal(plain.certificate, undefined);
  t.equal(plain.data.length, 0);
  const certified = read(auth(`0041${key(65)}1000${'aa'.repeat(4096)}`), BEFORE);
  t.equal(certified.certificate?.length, 4096);
  t.equal(certified.tsfEnd, certified.bytes.length);
  t.equal(toHex(writePacket(certified)), toHex(certified.bytes));
  // What is wrong with a key is for the agreement to say: 1.0.
  for (const size of [33, 64, 66, 255])
    t.equal(read(auth(`00${size.toString(16)}${key(size)}`), BEFORE).publicKey.length, size);
  t.equal(read(auth('0000'), BEFORE).publicKey.length, 0);
  // An empty key, and the rest of the packet taken for a certificate whose length is right.
  t.equal(read(auth(`0000 0041${key(65)}`), BEFORE).certificate?.length, 65);
});

t.test('the fields of a packet are views of its bytes, never copies', async (t) => {
  const bytes = auth(`0041${key(65)}0002aabb`);
  const packet = read(bytes, BEFORE);
  t.equal(packet.publicKey.buffer, bytes.buffer);
  t.equal(packet.certificate?.buffer, bytes.buffer);
  t.equal(packet.certificate?.byteOffset, bytes.byteOffset + bytes.length - 2);
  const inside = hex(`ffff 00000000 6869 ffff`).subarray(2, 8);
  t.equal(Buffer.from(read(inside, NONE).data).toString(), 'hi', 'a view inside a larger buffer');
});

t.test('what is written is masked into its field, never beside it', async (t) => {
  t.equal(toHex(writePacket({ type: 0, flags: 0, sequence: 0x12345 })), '00002345');
  t.equal(toHex(writePacket({ type: 1, flags: 0, sequence: 0, ackId: 0x10001, ackBits: 0xf0002 })), '0100000000010002');
  t.equal(toHex(writePacket({ type: TYPE.auth, flags: R, sequence: 0 })), '028000000000', 'an AUTH without a key');
});

const CONTEXTS = [NONE, BEFORE, KEYS, CLIENT, OPEN];

/** What must hold for any input: a fault with a code and a detail, or a packet that is written back as it was. */
const isDefined = (bytes: Uint8Array, context: ParseContext): boolean => {
  const packet = parsePacket(bytes, context);
  if (isFault(packet)) return packet.detail !== undefined;
  return packet.data.length <= 988 && packet.tsfEnd <= bytes.length && Buffer.compare(writePacket(packet), bytes) === 0;
};

t.test('flipping any bit of any vector never throws and always has a defined result', async (t) => {
  let tried = 0;
  for (const [name, wire, , own] of VECTORS) {
    const bytes = hex(wire);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (0x80 >> (bit & 7));
      // Far into Data a bit changes nothing for the header: one context is enough there.
      for (const context of bit < 128 ? CONTEXTS : [own]) {
        tried++;
        if (!isDefined(flipped, context)) t.fail(`${name}, bit ${bit}`);
      }
    }
  }
  t.ok(tried > 20_000, `${tried} tried`);
});

t.test('20,000 random packets never throw', async (t) => {
  const random = seedFromEnv('packets');
  const seen = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const size = random.pick([0, 3, 4, 5, 8, 12, 24, 90, 988, 1000]) + random.int(8);
    const bytes = new Uint8Array(size);
    const start = random.bytes(Math.min(size, 16));
    bytes.set(start);
    // Mostly of version 0 and a known type, or nothing but 3.1 would be tried.
    if (random.int(8) !== 0 && size > 1) {
      bytes[0] = random.int(6);
      bytes[1] = random.int(4) === 0 ? random.int(256) : random.int(32) << 3;
    }
    const context = random.pick(CONTEXTS);
    if (!isDefined(bytes, context)) t.fail(`${toHex(bytes)} (seed ${random.seed})`);
    seen.add(codeOf(bytes, context));
  }
  t.strictSame(
    [...seen].sort(),
    ['CONNECTION', 'FLAGS', 'FRAGMENT_ID', 'FRAGMENT_NUMBER', 'PACKET', 'PACKET_TYPE', 'VERSION', 'fine'],
    'every verdict was met',
  );
});
