import t from 'tap';
import { encode, frameSize } from '../../fixtures/rig/wire.js';
import { type FrameHeader, headerSize, parseHeader, writeHeader } from '../../lib/frame/header.js';
import { isControl, isKnownOpcode, OPCODE, opcodeName } from '../../lib/frame/opcode.js';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
const plain: FrameHeader = {
  fin: true,
  rsv: 0,
  opcode: 1,
  masked: false,
  length: 0,
  maskKey: 0,
  size: 2,
  minimal: true,
  topBit: false,
};

t.test('every form of a header is read, and nothing before its last octet is there', async (t) => {
  const cases: readonly (readonly [text: string, expected: Partial<FrameHeader>])[] = [
    ['81 05', { length: 5 }],
    ['01 00', { fin: false }],
    ['f2 7d', { opcode: 2, rsv: 7, length: 125 }],
    ['c1 01', { rsv: 4, length: 1 }],
    ['a0 00', { rsv: 2, opcode: 0 }],
    ['9f 00', { rsv: 1, opcode: 15 }],
    ['81 85 37 fa 21 3d', { masked: true, length: 5, maskKey: 0x37fa213d, size: 6 }],
    ['81 80 ff ff ff ff', { masked: true, maskKey: 0xffffffff, size: 6 }],
    ['82 7e 00 7e', { opcode: 2, length: 126, size: 4 }],
    ['82 7e ff ff', { opcode: 2, length: 65_535, size: 4 }],
    ['82 7e 00 7d', { opcode: 2, length: 125, size: 4, minimal: false }],
    ['82 7f 00 00 00 00 00 01 00 00', { opcode: 2, length: 65_536, size: 10 }],
    ['82 7f 00 00 00 00 00 00 ff ff', { opcode: 2, length: 65_535, size: 10, minimal: false }],
    ['82 7f 00 00 00 00 80 00 00 00', { opcode: 2, length: 2 ** 31, size: 10 }],
    ['82 7f 00 00 00 01 00 00 00 00', { opcode: 2, length: 2 ** 32, size: 10 }],
    ['82 7f 00 1f ff ff ff ff ff ff', { opcode: 2, length: 2 ** 53 - 1, size: 10 }],
    ['82 7f 00 20 00 00 00 00 00 00', { opcode: 2, length: Infinity, size: 10 }],
    ['82 7f 7f ff ff ff ff ff ff ff', { opcode: 2, length: Infinity, size: 10 }],
    ['82 7f 80 00 00 00 00 00 00 00', { opcode: 2, length: Infinity, size: 10, topBit: true }],
    ['82 fe 01 00 01 02 03 04', { opcode: 2, masked: true, length: 256, maskKey: 0x01020304, size: 8 }],
    [
      '82 ff 00 00 00 00 00 01 00 00 80 00 00 01',
      { opcode: 2, masked: true, length: 65_536, maskKey: 0x80000001, size: 14 },
    ],
  ];
  for (const [text, expected] of cases) {
    const bytes = hex(text);
    t.strictSame(parseHeader(bytes), { ...plain, ...expected }, text);
    for (let n = 0; n < bytes.length; n++)
      t.equal(parseHeader(bytes.subarray(0, n)), undefined, `${n} octets of ${text}`);
    const inside = Buffer.concat([hex('ffff'), bytes, hex('ffff')]);
    t.strictSame(parseHeader(inside, 2), { ...plain, ...expected }, 'in the middle of something');
    t.equal(parseHeader(inside, 2, 1 + bytes.length), undefined, 'with an end that cuts it');
  }
});

t.test('what is written is what another implementation writes, and is read again', async (t) => {
  for (const length of [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000]) {
    for (const key of [undefined, 0, 1, 0x37fa213d, 0xffffffff]) {
      const out = new Uint8Array(20).fill(0xaa);
      const size = writeHeader(out, 3, 0x82, length, key);
      t.equal(size, headerSize(length, key !== undefined));
      const octets = [24, 16, 8, 0].map((shift) => ((key ?? 0) >>> shift) & 255) as [number, number, number, number];
      const other = encode({ opcode: 2, payload: new Uint8Array(length), mask: key === undefined ? false : octets });
      t.strictSame(
        Buffer.from(out.subarray(3, 3 + size)),
        Buffer.from(other.subarray(0, size)),
        `${length}, key ${key}`,
      );
      t.equal(frameSize(other), size + length);
      t.ok(out[2] === 0xaa && out[3 + size] === 0xaa, 'and nothing around it');
      const read = { ...plain, opcode: 2, length, size, masked: key !== undefined, maskKey: key ?? 0 };
      t.strictSame(parseHeader(out, 3), read);
    }
  }
  const out = new Uint8Array(14);
  t.equal(writeHeader(out, 0, 0x82, 2 ** 40 + 5), 10, 'lengths above 32 bits');
  t.equal(parseHeader(out)?.length, 2 ** 40 + 5);
});

t.test('opcodes have names, and are data, control or unknown', async (t) => {
  const all = Array.from({ length: 16 }, (_, opcode) => opcode);
  t.strictSame(all.filter(isKnownOpcode), Object.values(OPCODE));
  t.strictSame(all.filter(isControl), [8, 9, 10, 11, 12, 13, 14, 15]);
  t.strictSame(
    Object.entries(OPCODE).map(([name, opcode]) => opcodeName(opcode) === name),
    Array(6).fill(true),
  );
  t.equal(opcodeName(3), 'reserved 3');
});
