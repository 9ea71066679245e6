// The transforms against the vectors of PROTOCOL.md section 11.1 and 11.3, both ways, and the sizes at which a message begins to be cut.
import { createHash } from 'node:crypto';
import t from 'tap';
import { RawPeer } from '../../fixtures/rig/raw-peer.js';
import { fromHex, toHex } from '../../lib/bytes/hex.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { parsePacket } from '../../lib/packet/header.js';
import { Decoder, Encoder } from '../../lib/packet/pipeline.js';
import { Protector } from '../../lib/packet/protect.js';
import { Slab } from '../../lib/packet/slab.js';
import { FLAG } from '../../lib/packet/wire.js';

const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const ramp = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i & 255);

// Section 11.2.
const C2S = ['fa9785a381b0cd2fec28d6b8c32c1ea010f95e5f2ae6b2422397e94d30e5af40', '7dae98ad4bc81c84ddbb81d7'] as const;
const S2C = ['ba52c39ecb4994c0d8a8e61f8b15a8ff4eb1cca36a58687a617c44b04e98b7f4', '0674103cc870ee222ac384e5'] as const;
type Keys = readonly [key: string, iv: string];
const protector = ([key, iv]: Keys): Protector => new Protector(nodeSuite, hex(key), hex(iv));

const encode = (keys: Keys | undefined, number: number, flags: number, data: Uint8Array): Uint8Array[] | undefined => {
  const encoder = new Encoder(nodeSuite, keys !== undefined);
  if (keys !== undefined) encoder.rekey(protector(keys));
  const packets: Uint8Array[] = [];
  if (!encoder.prepare(data, flags)) return undefined;
  encoder.write(number, (packet) => packets.push(packet));
  return packets;
};

const decode = (
  keys: Keys | undefined,
  number: number,
  packets: readonly Uint8Array[],
  max = 1e6,
): Uint8Array | string => {
  const decoder = new Decoder(nodeSuite, max);
  if (keys !== undefined) decoder.rekey(protector(keys));
  const secured = keys !== undefined;
  const parsed = packets.map((bytes) => parsePacket(bytes, { secured, keys: secured, open: true, maxCertificate: 0 }));
  const [first] = parsed;
  if (first === undefined || 'kind' in first) return 'not parsed';
  const data = Buffer.concat(parsed.map((packet) => ('kind' in packet ? new Uint8Array(0) : packet.data)));
  return decoder.decode(first, number, data, packets.length > 1) ?? decoder.message;
};

const abc = text('abc'.repeat(40));
const { reliable: REL, checksum: CK, compressed: COMP } = FLAG;

t.test('the vectors of sections 11.1 and 11.3, both ways', async (t) => {
  const vectors: readonly (readonly [
    what: string,
    keys: Keys | undefined,
    number: number,
    flags: number,
    data: Uint8Array,
    wire: string,
  ])[] = [
    ['empty', undefined, 0, 0, ramp(0), '00000000'],
    ['empty, RELIABLE', undefined, 0xabcd, REL, ramp(0), '0080abcd'],
    ['hello', undefined, 0x1234, 0, text('hello'), '0000123468656c6c6f'],
    ['hello, CHECKSUM', undefined, 0x1234, CK, text('hello'), '004012344f8468656c6c6f'],
    ['abc, all three', undefined, 0xffff, REL | CK | COMP, abc, '00e0ffff4f3c4b4c4a4e1c080400'],
    ['the low 16 bits of a higher number', undefined, 0x2ffff, REL | CK | COMP, abc, '00e0ffff4f3c4b4c4a4e1c080400'],
    ['sealed hello', C2S, 2, REL | CK, text('hello'), '00d0000200005ed6dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c'],
    [
      'sealed abc',
      S2C,
      0x10003,
      REL | CK | COMP,
      abc,
      '00f000030001' + '1479c92f30d8c7c69191e1728f425831b1ad310dc2638995deec',
    ],
  ];
  for (const [what, keys, number, flags, data, wire] of vectors) {
    t.strictSame(encode(keys, number, flags, data)?.map(toHex), [wire], `${what}: written`);
    const read = decode(keys, number, [hex(wire)]);
    t.ok(read instanceof Uint8Array && toHex(read) === toHex(data), `${what}: read`);
  }
  const fragmented: readonly (readonly [Keys | undefined, number, number[], string[], string])[] = [
    [
      undefined,
      0xff,
      [996, 996, 32],
      ['004800ff0003afb2', '004800ff0103afb2', '004800ff0203afb2'],
      '3323751359e755fa913cb68d5b06b35d116a25ecd73ef3dbe5af11385dd129ff',
    ],
    [
      C2S,
      5,
      [998, 998, 50],
      ['005800050003000003a9', '005800050103000003a9', '005800050203000003a9'],
      '07313bd66d961a93634d458a7ce7618de44ff97f66c99f048fff0e3339c5724b',
    ],
  ];
  for (const [keys, number, sizes, heads, digest] of fragmented) {
    const packets = encode(keys, number, CK, ramp(2000)) ?? [];
    t.strictSame(
      packets.map(({ length }) => length),
      sizes,
    );
    t.strictSame(
      packets.map((packet, i) => toHex(packet).slice(0, heads[i]?.length)),
      heads,
    );
    t.equal(createHash('sha256').update(Buffer.concat(packets)).digest('hex'), digest);
    const read = decode(keys, number, packets);
    t.ok(read instanceof Uint8Array && toHex(read) === toHex(ramp(2000)));
  }
});

t.test('a message is cut into fragments above 988 octets of Data, and refused above 255 of them', async (t) => {
  const sizes: readonly (readonly [clear: number, fragments: number | undefined])[] = [
    [0, 1],
    [1, 1],
    [987, 1],
    [988, 1],
    [989, 2],
    [2 * 988, 2],
    [2 * 988 + 1, 3],
    [255 * 988, 255],
    [255 * 988 + 1, undefined],
  ];
  for (const [size, fragments] of sizes) {
    for (const keys of [undefined, C2S]) {
      // A seal adds 16 octets to the Data; a checksum in it stands in the header and adds none.
      for (const flags of [0, CK]) {
        const data = ramp(keys === undefined ? size : Math.max(0, size - 16));
        const count = keys !== undefined && size < 16 ? 1 : fragments;
        const packets = encode(keys, 7, flags, data);
        t.equal(packets?.length, count, `${data.length} octets, ${keys ? 'sealed' : 'clear'}: ${count} packets`);
        if (packets === undefined) continue;
        const read = decode(keys, 7, packets);
        t.ok(read instanceof Uint8Array && toHex(read) === toHex(data));
        for (const [id, packet] of packets.entries()) {
          if (packets.length === 1) t.equal((packet[1] as number) & FLAG.frag, 0, 'one encoding a message: no FRAG');
          else t.strictSame([packet[4], packet[5]], [id, packets.length]);
        }
      }
    }
  }
});

t.test('972 octets are the largest message that is sealed into one packet', async (t) => {
  t.strictSame(
    [972, 973].map((size) => encode(C2S, 2, 0, ramp(size))?.length),
    [1, 2],
  );
});

t.test('COMPRESSED is cleared when the result is not shorter', async (t) => {
  for (const data of [ramp(0), ramp(1), ramp(200)]) {
    for (const keys of [undefined, C2S]) {
      const [packet] = encode(keys, 3, COMP, data) ?? [];
      t.equal(((packet as Uint8Array)[1] as number) & COMP, 0, `${data.length} octets`);
    }
  }
  const [shorter] = encode(undefined, 3, COMP, abc) ?? [];
  t.equal((shorter?.[1] ?? 0) & COMP, COMP);
});

t.test('a message may inflate to exactly the limit and not to one octet more', async (t) => {
  for (const keys of [undefined, C2S]) {
    const packets = encode(keys, 3, COMP, new Uint8Array(5000)) ?? [];
    t.ok(decode(keys, 3, packets, 5000) instanceof Uint8Array);
    t.equal(decode(keys, 3, packets, 4999), 'COMPRESSION');
    t.equal(
      decode(keys, 3, encode(keys, 3, 0, ramp(2000)) ?? [], 1999),
      'FRAGMENT_NUMBER',
      'not compressed, too large to be put together',
    );
    t.equal(decode(keys, 3, encode(keys, 3, 0, ramp(900)) ?? [], 899), 'PACKET');
  }
});

t.test('a seal covers its number, and erased keys open nothing', async (t) => {
  const [packet] = encode(C2S, 2, 0, text('hello')) as [Uint8Array];
  t.equal(decode(C2S, 3, [packet]), 'INIT_VECTOR');
  t.equal(decode(S2C, 2, [packet]), 'INIT_VECTOR');
  const decoder = new Decoder(nodeSuite, 1000);
  const parsed = parsePacket(packet, { secured: true, keys: true, open: true, maxCertificate: 0 });
  if ('kind' in parsed) throw new Error('not parsed');
  t.equal(decoder.decode(parsed, 2, parsed.data, false), 'INIT_VECTOR', 'no keys yet');
  decoder.rekey(protector(C2S));
  t.equal(decoder.decode(parsed, 2, parsed.data, false), undefined);
  t.equal(decoder.owned, true, 'what was opened is memory of its own');
  decoder.rekey(undefined);
  t.equal(decoder.decode(parsed, 2, parsed.data, false), 'INIT_VECTOR');
});

t.test('the packets of a test peer are those of the encoder', async (t) => {
  const peer = new RawPeer();
  for (const flags of [0, CK, REL, REL | CK]) {
    t.strictSame(
      [peer.packet({ flags, number: 9, data: text('x') })].map(toHex),
      encode(undefined, 9, flags, text('x'))?.map(toHex),
    );
    t.strictSame(
      peer.fragments({ flags, number: 9, data: ramp(3000) }).map(toHex),
      encode(undefined, 9, flags, ramp(3000))?.map(toHex),
    );
  }
});

t.test('a slab gives out every octet once, as zeros, and grows only while it is used', async (t) => {
  const slab = new Slab(64, 256);
  const pieces = [40, 40, 0, 7, 100, 200, 3000].map((size) => slab.take(size));
  for (const [i, piece] of pieces.entries()) {
    t.ok(
      piece.every((octet) => octet === 0),
      'zeros',
    );
    piece.fill(i + 1);
  }
  for (const [i, piece] of pieces.entries())
    t.ok(
      piece.every((octet) => octet === i + 1),
      'no overlap',
    );
  t.equal(pieces[0]?.buffer.byteLength, 64);
  t.equal(pieces[1]?.buffer, pieces[3]?.buffer, 'together in one');
  t.equal(pieces[5]?.buffer.byteLength, 256, 'twice the one before, up to the largest');
  t.equal(pieces[6]?.buffer.byteLength, 3000, 'a large piece has memory of its own');
  slab.reset();
  t.equal(slab.take(1).buffer.byteLength, 64);
  const original = Uint8Array.of(1, 2, 3);
  const copy = slab.copy(original);
  original.fill(0);
  t.strictSame([...copy], [1, 2, 3]);
});
