// DER both ways: X.690 sections 8 and 10. What the reader takes is what the writer gives, and nothing else.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import {
  bitString,
  element,
  isInteger,
  nothing,
  objectId,
  octetString,
  readBits,
  readBoolean,
  readElements,
  readObjectId,
  readOne,
  readSmall,
  sequence,
  setOfOne,
  TAG,
  truth,
  unsigned,
  utf8String,
} from '../../lib/crypto/der.js';
import { readTime, writeTime } from '../../lib/crypto/der-time.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const from = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

t.test('values are written in their one form', async (t) => {
  for (const [written, octets] of [
    [sequence(), '3000'],
    [sequence(nothing(), truth()), '3005 0500 0101ff'],
    [setOfOne(nothing()), '3102 0500'],
    [octetString(from('0102')), '0402 0102'],
    [bitString(from('80'), 7), '0302 0780'],
    [utf8String('ü'), '0c02 c3bc'],
    [unsigned(from('00')), '020100'],
    [unsigned(from('')), '020100'],
    [unsigned(from('7f')), '02017f'],
    [unsigned(from('80')), '02020080'],
    [unsigned(from('000001')), '020101'],
    [objectId('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
    [objectId('2.5.29.17'), '0603551d11'],
    [objectId('2.999.3'), '0603883703'],
  ] as const) {
    t.equal(hex(written), octets.replaceAll(' ', ''));
  }
  for (const bad of ['', '1', '3.1.2', '1.-2', '1.x', '1.2.99999999999999999999']) {
    t.throws(() => objectId(bad), TypeError, `not an object identifier: ${bad}`);
  }
});

t.test('lengths take the fewest octets, and only those are read', async (t) => {
  for (const [size, head] of [
    [0, '0400'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_535, '0482ffff'],
    [65_536, '0483010000'],
  ] as const) {
    const written = octetString(new Uint8Array(size));
    t.equal(hex(written.subarray(0, head.length / 2)), head);
    t.equal(readOne(written, TAG.octetString)?.body.length, size, `${size} octets are read`);
    t.equal(readOne(written.subarray(0, -1), TAG.octetString), undefined, 'one octet is missing');
    t.equal(readOne(from(`${hex(written)}00`), TAG.octetString), undefined, 'one octet is too much');
  }
});

t.test('what is not DER is not read', async (t) => {
  for (const [octets, why] of [
    ['04', 'no length'],
    ['0401', 'no contents'],
    ['04810101', 'a long form for a short length'],
    ['0482000101', 'a length with a leading zero'],
    ['0480 0000', 'the indefinite form'],
    ['0481', 'a length that is cut'],
    ['04ff', 'a length of 127 octets'],
    ['0484 00000001 01', 'a length of four octets'],
    ['0484 ffffffff', 'a length beyond everything'],
    ['1f0100', 'a tag number in further octets'],
    ['3000 00', 'half an element behind a whole one'],
  ] as const) {
    t.equal(readElements(from(octets)), undefined, why);
  }
  t.strictSame(readElements(from('')), [], 'nothing is no element');
  t.equal(readOne(from('0500'), TAG.integer), undefined, 'another tag');
  t.equal(readElements(from('0500 0101ff 3000'))?.length, 3);
});

t.test('contents are read in their one form', async (t) => {
  for (const [octets, value] of [
    ['ff', true],
    ['00', false],
    ['01', undefined],
    ['', undefined],
    ['ffff', undefined],
  ] as const) {
    t.equal(readBoolean(from(octets)), value, `BOOLEAN ${octets}`);
  }
  for (const [octets, good, small] of [
    ['00', true, 0],
    ['7f', true, 127],
    ['0080', true, 128],
    ['7fffffff', true, 0x7fffffff],
    ['0080000000', true, undefined],
    ['80', true, undefined],
    ['ff7f', true, undefined],
    ['', false, undefined],
    ['007f', false, undefined],
    ['ff80', false, undefined],
  ] as const) {
    t.equal(isInteger(from(octets)), good, `INTEGER ${octets}`);
    t.equal(readSmall(from(octets)), small, `as a small number ${octets}`);
  }
  for (const [octets, value] of [
    ['00', ''],
    ['0780', '80'],
    ['0001', '01'],
    ['', undefined],
    ['01', undefined],
    ['0801', undefined],
    ['0781', undefined],
  ] as const) {
    const bits = readBits(from(octets));
    t.equal(bits === undefined ? undefined : hex(bits), value, `BIT STRING ${octets}`);
  }
  for (const [octets, value] of [
    ['2a8648ce3d040302', '1.2.840.10045.4.3.2'],
    ['551d11', '2.5.29.17'],
    ['883703', '2.999.3'],
    ['00', '0.0'],
    ['', undefined],
    ['86', undefined],
    ['558011', undefined],
    ['55ffffffffffffffffff7f', undefined],
  ] as const) {
    t.equal(readObjectId(from(octets)), value, `OBJECT IDENTIFIER ${octets}`);
  }
});

t.test('times are whole seconds, in two digits of the year up to 2049 and in four from then on', async (t) => {
  for (const [time, text, tag] of [
    ['1970-01-01T00:00:00Z', '700101000000Z', TAG.utcTime],
    ['1950-01-01T00:00:00Z', '500101000000Z', TAG.utcTime],
    ['2000-02-29T23:59:59Z', '000229235959Z', TAG.utcTime],
    ['2049-12-31T23:59:59Z', '491231235959Z', TAG.utcTime],
    ['2050-01-01T00:00:00Z', '20500101000000Z', TAG.generalizedTime],
    ['2100-03-01T12:34:56Z', '21000301123456Z', TAG.generalizedTime],
    ['9999-12-31T23:59:59Z', '99991231235959Z', TAG.generalizedTime],
  ] as const) {
    const written = writeTime(Date.parse(time));
    t.strictSame([written[0], Buffer.from(written.subarray(2)).toString()], [tag, text], time);
    const read = readOne(written, tag);
    t.equal(read === undefined ? undefined : readTime(read), Date.parse(time), `${text} is read`);
  }
  t.throws(() => writeTime(Date.parse('1949-12-31T23:59:59Z')), RangeError);
  t.throws(() => writeTime(Date.parse('9999-12-31T23:59:59Z') + 1000), RangeError);
  t.throws(() => writeTime(Number.NaN), RangeError);
  for (const [text, tag] of [
    ['7001010000Z', TAG.utcTime],
    ['700101000000', TAG.utcTime],
    ['700101000000+0100', TAG.utcTime],
    ['700230000000Z', TAG.utcTime],
    ['230229000000Z', TAG.utcTime],
    ['701301000000Z', TAG.utcTime],
    ['700001000000Z', TAG.utcTime],
    ['700100000000Z', TAG.utcTime],
    ['700132000000Z', TAG.utcTime],
    ['700101240000Z', TAG.utcTime],
    ['700101006000Z', TAG.utcTime],
    ['700101000060Z', TAG.utcTime],
    ['70010100000 Z', TAG.utcTime],
    ['20500101000000.5Z', TAG.generalizedTime],
    ['2050010100000Z', TAG.generalizedTime],
    ['700101000000Z', TAG.octetString],
  ] as const) {
    const body = new Uint8Array(Buffer.from(text));
    t.equal(readTime({ tag, body, whole: element(tag, body) }), undefined, `${text} is no time`);
  }
});

t.test('every second that is written is read again', async (t) => {
  const random = seedFromEnv('times');
  const [low, high] = [Date.parse('1950-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59Z')];
  let wrong = 0;
  for (let i = 0; i < 2000; i++) {
    const at = low + Math.floor((random.next() * (high - low)) / 1000) * 1000;
    const [one] = readElements(writeTime(at + random.int(1000))) ?? [];
    if (one === undefined || readTime(one) !== at) wrong++;
  }
  t.equal(wrong, 0, `seed ${random.seed}`);
});

t.test('whatever is read is written again to the same octets, and random octets do not throw', async (t) => {
  const random = seedFromEnv('der');
  const again = (bytes: Uint8Array, depth: number): Uint8Array | undefined => {
    const parts = readElements(bytes);
    if (parts === undefined) return undefined;
    const written = parts.map(({ tag, body }) =>
      element(tag, (tag & 0x20) !== 0 && depth < 20 ? (again(body, depth + 1) ?? body) : body),
    );
    return Uint8Array.from(Buffer.concat(written));
  };
  let read = 0;
  for (let i = 0; i < 5000; i++) {
    const bytes = random.bytes(random.int(40));
    // Half of them begin as an element does.
    if (random.int(2) === 0 && bytes.length > 1) [bytes[0], bytes[1]] = [0x30, bytes.length - 2];
    const written = again(bytes, 0);
    if (written === undefined) continue;
    read++;
    if (hex(written) !== hex(bytes)) t.fail(`${hex(bytes)}, seed ${random.seed}`);
    for (const { body } of readElements(bytes) ?? []) {
      const id = readObjectId(body);
      if (id !== undefined && hex(objectId(id)) !== hex(element(TAG.objectId, body))) t.fail(hex(body));
    }
  }
  t.ok(read > 1000, `${read} of 5000 were DER`);
});
