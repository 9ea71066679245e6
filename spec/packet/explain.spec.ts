import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import { explainPackets } from '../../lib/packet/explain.js';
import type { CapturedPacket, ExplainedPacket, ExplainPacketOptions } from '../../lib/packet/explained.js';
import { writePacket } from '../../lib/packet/header.js';
import { Encoder } from '../../lib/packet/pipeline.js';
import { Protector } from '../../lib/packet/protect.js';
import { FLAG } from '../../lib/packet/wire.js';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const explain = (packets: readonly CapturedPacket[], options?: ExplainPacketOptions): ExplainedPacket[] =>
  explainPackets(nodeSuite, packets, options);
const one = (text: string, options?: ExplainPacketOptions): ExplainedPacket =>
  explain([{ bytes: hex(text) }], options)[0] as ExplainedPacket;

/** PROTOCOL.md 11.2. */
const KEYS = {
  c2s: {
    key: hex('fa9785a381b0cd2fec28d6b8c32c1ea010f95e5f2ae6b2422397e94d30e5af40'),
    iv: hex('7dae98ad4bc81c84ddbb81d7'),
  },
  s2c: {
    key: hex('ba52c39ecb4994c0d8a8e61f8b15a8ff4eb1cca36a58687a617c44b04e98b7f4'),
    iv: hex('0674103cc870ee222ac384e5'),
  },
};
const AUTH =
  '02c00000a6e900410460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299';
const SEALED = '00d00002 0000 5ed6 dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c';

const fieldsOf = (packet: ExplainedPacket): string[] =>
  packet.fields.map(({ name, bit, bits, value }) => `${name} ${bit}+${bits} ${value}`);

t.test('every field has its place and its value', async (t) => {
  const cases: readonly (readonly [text: string, fields: readonly string[]])[] = [
    ['', ['Version 0+4 null']],
    ['00', ['Version 0+4 0', 'Type 4+4 0', 'Flags 8+8 null']],
    ['0000 12', ['Version 0+4 0', 'Type 4+4 0', 'Flags 8+8 0', 'Sequence ID 16+16 null']],
    [
      `0058 1112 0203 2122 3132 ${'aa'.repeat(17)}`,
      [
        'Version 0+4 0',
        'Type 4+4 0',
        'Flags 8+8 88',
        'Sequence ID 16+16 4370',
        'Fragment ID 32+8 2',
        'Fragment Number 40+8 3',
        'Init Vector 48+16 8482',
        'Checksum Hash 64+16 12594',
        'Data 80+136 17',
      ],
    ],
    [
      '01000007 0102 a001',
      ['Version 0+4 0', 'Type 4+4 1', 'Flags 8+8 0', 'Sequence ID 16+16 7', 'ACK ID 32+16 258', 'ACK Bits 48+16 40961'],
    ],
    [
      '02800000 0002 aabb 0003 ccddee',
      [
        'Version 0+4 0',
        'Type 4+4 2',
        'Flags 8+8 128',
        'Sequence ID 16+16 0',
        'Reserved 32+8 0',
        'EC Public Key Size (E) 40+8 2',
        'EC Public Key 48+16 2',
        'Certificate Size (C) 64+16 3',
        'Certificate 80+24 3',
      ],
    ],
    [
      '03000000 01 aa',
      ['Version 0+4 0', 'Type 4+4 3', 'Flags 8+8 0', 'Sequence ID 16+16 0', 'Heartbeat 32+8 1', 'Data 40+8 1'],
    ],
    [
      '04000009 39 63',
      [
        'Version 0+4 0',
        'Type 4+4 4',
        'Flags 8+8 0',
        'Sequence ID 16+16 9',
        'Error Major 32+4 3',
        'Error Minor 36+4 9',
        'Data 40+8 1',
      ],
    ],
  ];
  for (const [text, fields] of cases) t.strictSame(fieldsOf(one(text)), fields, text);
});

t.test('what is cut off is announced with its whole size', async (t) => {
  const auth = one('02800000 0041 0411');
  t.match(auth.fields.at(-1), { name: 'EC Public Key', bits: 65 * 8, value: 2, meaning: /: 2 are here$/ });
  t.match(auth.faults, [{ code: 'PACKET', name: '3.0 PACKET', close: 4300, detail: 'the key is cut off' }]);
  t.match(one('01000000 0000 00').fields.at(-1), { name: 'ACK Bits', bits: 16, value: null, meaning: 'cut off' });
  t.match(one('03000000').fields.at(-1), { name: 'Heartbeat', value: null });
  t.match(one('04000000').fields.at(-1), { name: 'Error Major', value: null });
});

t.test('flags, acknowledged numbers and error codes are named', async (t) => {
  t.strictSame(one('00f8').flagNames, ['RELIABLE', 'CHECKSUM', 'COMPRESSED', 'ENCRYPTED', 'FRAG']);
  const ack = one('01000007 0102 a001');
  t.strictSame(ack.acknowledges, [0x102, 0x101, 0xff, 0xf2]);
  t.equal(ack.fields.at(-1)?.meaning, 'and 0x0101 0x00ff 0x00f2');
  t.strictSame(one('01000007 0001 c000').acknowledges, [1, 0, 0xffff], 'IDs wrap');
  t.equal(one('04000009 39').fields.at(-1)?.meaning, '3.9 CHECKSUM');
  t.equal(one('04000009 77').fields.at(-1)?.meaning, '7.7 is reserved, read as 2.0');
});

t.test('checksums of clear packets are verified', async (t) => {
  t.match(one('00401234 4f84 68656c6c6f'), { checksum: 'right', faults: [], message: { text: 'hello', fragments: 1 } });
  t.match(one('00e0ffff 4f3c 4b4c4a4e1c080400'), { checksum: 'right', message: { text: 'abc'.repeat(40) } });
  t.match(one(AUTH), { checksum: 'right', faults: [], message: undefined });
  t.match(one('00401234 4f85 68656c6c6f'), {
    checksum: 'wrong',
    message: undefined,
    faults: [{ code: 'CHECKSUM', close: 4309, detail: '0x4f85 on the wire, 0x4f84 computed' }],
  });
  t.match(one('00e0ffff 4f3d 4b4c4a4e1c080400').faults, [{ detail: '0x4f3d on the wire, 0x4f3c computed' }]);
  t.match(one('00200000 ff').faults, [{ code: 'COMPRESSION', section: 'PROTOCOL.md section 3.3' }]);
  t.equal(one('00000000 68').checksum, 'none');
});

t.test('sealed packets are opened by the key of their sender, who may be told by the key', async (t) => {
  t.match(one(SEALED), { sealed: 'no key', checksum: 'inside', faults: [], notes: [/needs the key$/] });
  t.match(one(SEALED, { keys: KEYS }), { sealed: 'opened', sender: 'client', number: 2, message: { text: 'hello' } });
  t.match(one(SEALED, { keys: KEYS, from: 'client' }), { sealed: 'opened', checksum: 'right' });
  t.match(one(SEALED, { keys: { s2c: KEYS.s2c } }), { sealed: 'no key', faults: [], notes: [/other direction/] });
  t.match(one(SEALED, { keys: KEYS, from: 'server' }), {
    sealed: 'wrong',
    faults: [{ code: 'INIT_VECTOR', close: 4307 }],
    notes: [/was it sent by the client/],
  });
  t.match(one('00d00003 0000 5ed6 dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c', { keys: KEYS }), {
    sealed: 'wrong',
    faults: [{ detail: 'neither key opens it' }],
  });
  t.match(one('00f00003 0001 1479 c92f30d8c7c69191e1728f425831b1ad310dc2638995deec', { keys: KEYS }), {
    sender: 'server',
    number: 0x10003,
    message: { text: 'abc'.repeat(40) },
  });
});

t.test('FINISHED and CONFIRM are shown by their blocks', async (t) => {
  const finished = one(
    '01900001000000000000 92f6829f758a2d6e19d7d3f0a97d14033647c0a23b338ee4e1390dfdfc45007ead51ce7ae4d6adbd44a13809af9299fe1e5467a4d0f1b5bb26ccd8533b0f1931',
    { keys: KEYS },
  );
  t.match(finished.blocks, [{ name: 'VERIFY_DATA' }, { name: 'PARAMS', meaning: /1048576 octets.*15000 ms.*25 ms/ }]);
  const confirm = one(
    '01100002000000018000 20ba8d9759f85f0930dd21c75cd748541ab53e3c8407eb97a23a2062a6d14d11df368b8cff35b3',
    {
      keys: KEYS,
    },
  );
  t.match(confirm.blocks, [{ type: 5, name: 'SESSION', meaning: 'a fresh session, kept for 60 s' }]);
  const blocksOf = (body: string): unknown => {
    const encoder = new Encoder(nodeSuite, true);
    encoder.rekey(new Protector(nodeSuite, KEYS.c2s.key, KEYS.c2s.iv));
    const bytes = encoder.writeOther(9, { type: 1, data: hex(body) });
    return explain([{ bytes }], { keys: KEYS })[0]?.blocks?.map(({ name, meaning }) => `${name}: ${meaning}`);
  };
  t.strictSame(blocksOf('01 0006 0403 aabbccdd 06 0001 00'), [
    'CERT_VERIFY: scheme 0x0403, a signature of 4 octets',
    'RESUMED: the session is not taken up again',
  ]);
  t.strictSame(blocksOf('06 0001 07 90 0000 04 0009 aa'), [
    'RESUMED: 1 octets',
    'block 144: 0 octets',
    'RESUME: cut off',
  ]);
});

const fragmentsOf = (side: 'client' | 'server' | undefined, number: number, size: number): Uint8Array[] => {
  const encoder = new Encoder(nodeSuite, side !== undefined);
  if (side !== undefined) {
    const { key, iv } = side === 'client' ? KEYS.c2s : KEYS.s2c;
    encoder.rekey(new Protector(nodeSuite, key, iv));
  }
  encoder.prepare(
    Uint8Array.from({ length: size }, (_, i) => i % 256),
    FLAG.checksum,
  );
  const packets: Uint8Array[] = [];
  encoder.write(number, (packet) => packets.push(packet));
  return packets;
};

t.test('fragments of several messages find each other, sealed or clear, in any order', async (t) => {
  for (const [a, b] of [
    [undefined, undefined],
    ['client', 'client'],
    ['client', 'server'],
  ] as const) {
    const [a0, a1, a2] = fragmentsOf(a, 5, 2000) as [Uint8Array, Uint8Array, Uint8Array];
    const [b0, b1] = fragmentsOf(b, b === 'server' ? 5 : 6, 1500) as [Uint8Array, Uint8Array];
    const from = (side: 'client' | 'server' | undefined) => (bytes: Uint8Array) => ({ bytes, from: side });
    const capture = [a2, a0].map(from(a)).concat([b0].map(from(b)), [a1].map(from(a)), [b1].map(from(b)));
    const told = explain(capture, { keys: KEYS });
    t.strictSame(
      told.map(({ checksum }) => checksum),
      ['later', 'later', 'later', 'right', 'right'],
    );
    t.strictSame(
      told.map(({ message }) => message && [message.fragments, message.data.length]),
      [undefined, undefined, undefined, [3, 2000], [2, 1500]],
    );
    t.equal(told[0]?.sealed, a === undefined ? 'no' : 'later');
    t.strictSame(
      told.flatMap(({ faults }) => faults),
      [],
    );
  }
});

t.test('fragments that do not belong together are told', async (t) => {
  const [first, second] = fragmentsOf(undefined, 5, 1500) as [Uint8Array, Uint8Array];
  const other = Uint8Array.from(first);
  other[5] = 3;
  const turned = Uint8Array.from(first);
  turned[900] = (turned[900] as number) ^ 1;
  const codes = (...packets: Uint8Array[]): unknown =>
    explain(packets.map((bytes) => ({ bytes }))).map(({ faults }) => faults[0] && [faults[0].code, faults[0].detail]);
  t.strictSame(codes(first, first), [undefined, ['FRAGMENT_ID', 'came before, with the same octets']]);
  t.strictSame(codes(first, turned), [undefined, ['FRAGMENT_ID', 'came before, with other octets']]);
  t.strictSame(codes(first, other), [undefined, ['FRAGMENT_NUMBER', 'the fragments before it have another header']]);
  t.match(codes(turned, second), [undefined, ['CHECKSUM', /computed/]]);
});

t.test('clear numbers are counted on, each direction by itself', async (t) => {
  const at = (sequence: number, from: 'client' | 'server'): CapturedPacket => ({
    bytes: writePacket({ type: 0, flags: 0, sequence }),
    from,
  });
  const told = explain([at(0xffff, 'client'), at(0, 'client'), at(0, 'server'), at(1, 'client')]);
  t.strictSame(
    told.map(({ number }) => number),
    [0xffff, 0x10000, 0, 0x10001],
  );
});

t.test('keys that are none are told', async (t) => {
  const detail = (text: string): string | undefined => one(text).faults[0]?.detail;
  t.equal(detail(`02800000 0040 04${'11'.repeat(63)}`), 'a key of 64 octets');
  t.equal(detail(`02800000 0041 06${'11'.repeat(64)}`), 'the key is not an uncompressed point');
  t.equal(detail(`02800000 0041 04${'11'.repeat(64)}`), 'the key is not a point of the curve');
  t.equal(one(`02800000 0041 04${'11'.repeat(64)}`).faults[0]?.code, 'CONNECTION');
});

t.test('the first fault by the order of the checks is told, with its section', async (t) => {
  const cases: readonly (readonly [text: string, name: string, section: string])[] = [
    ['15000000', '3.1 VERSION', '2.2'],
    ['05010000', '3.2 PACKET TYPE', '2.2'],
    ['00010000', '3.3 FLAGS', '2.3'],
    ['00080000 0501', '3.6 FRAGMENT NUMBER', '3.5'],
    ['00080000 0502', '3.5 FRAGMENT ID', '3.5'],
    ['01000000 00000000 aa', '3.0 PACKET', '2.2'],
    ['00100000 0000 aa', '3.0 PACKET', '2.2'],
  ];
  for (const [text, name, section] of cases) {
    t.match(one(text).faults, [{ name, section: `PROTOCOL.md section ${section}` }], text);
  }
  t.match(one(`01900001 0000 0000 0000 ${'00'.repeat(16)}`, { from: 'server' }).faults, [{ code: 'FLAGS' }]);
});

t.test('both halves of crypto explain alike', async (t) => {
  const packets = [AUTH, SEALED, '00e0ffff 4f3c 4b4c4a4e1c080400', '00401234 4f85 68656c6c6f'].map((text) => ({
    bytes: hex(text),
  }));
  t.strictSame(explainPackets(portableSuite, packets, { keys: KEYS }), explain(packets, { keys: KEYS }));
});

t.test('random octets are explained, whatever they are', async (t) => {
  const random = seedFromEnv('explain');
  for (let i = 0; i < 3000; i++) {
    const bytes = random.bytes(random.int(120));
    if (bytes.length > 1 && random.int(4) > 0) bytes.set([random.int(5), random.int(32) << 3]);
    const [packet] = explain([{ bytes }], { keys: KEYS, from: random.pick(['client', 'server', undefined]) });
    const ends = packet?.fields.map(({ bit, bits }) => bit + bits) ?? [];
    const starts = packet?.fields.map(({ bit }) => bit) ?? [];
    if (packet === undefined || packet.faults.length > 1) t.fail(Buffer.from(bytes).toString('hex'));
    if (starts[0] !== 0 || starts.slice(1).some((start, at) => start !== ends[at])) {
      t.fail(`fields do not follow each other: ${Buffer.from(bytes).toString('hex')}`);
    }
    if (packet?.fields.every(({ value }) => value !== null) && (ends.at(-1) ?? 0) < bytes.length * 8) {
      t.fail(`octets that are in no field: ${Buffer.from(bytes).toString('hex')}`);
    }
  }
});
