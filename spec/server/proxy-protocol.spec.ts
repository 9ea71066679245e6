import t from 'tap';
import { ProxyParser, type ProxyResult } from '../../lib/server/proxy-protocol.js';

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const binary = (command: number, family: number, body: readonly number[], size = body.length): Uint8Array =>
  Uint8Array.of(...SIGNATURE, command, family, size >> 8, size & 0xff, ...body);
const tlv = (type: number, value: readonly number[]): readonly number[] => [
  type,
  value.length >> 8,
  value.length & 0xff,
  ...value,
];

const INET = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];
const V6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const INET6 = [...V6, ...V6, 0x12, 0x67, 0x01, 0xbb];
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
const UNIX = Array.from({ length: 216 }, (_, i) => (i < 5 ? 0x61 : 0));

/** An independent reading of RFC 4960 appendix B: table driven, where the parser goes by bits. */
const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});
const crc32c = (bytes: Uint8Array): number =>
  ~bytes.reduce((crc, byte) => TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8), 0xffffffff) >>> 0;

/** A header with a checksum TLV between two others, `off` added to the true sum. */
const summed = (off = 0): Uint8Array => {
  const before = [...INET, ...tlv(0x04, [0, 0])];
  const bytes = binary(0x21, 0x11, [...before, ...tlv(0x03, [0, 0, 0, 0]), ...tlv(0xee, [7, 7])]);
  new DataView(bytes.buffer).setUint32(16 + before.length + 3, (crc32c(bytes) + off) >>> 0);
  return bytes;
};

interface Expected {
  readonly source?: string;
  readonly secure?: boolean;
}

const GOOD: readonly (readonly [string, Uint8Array, Expected])[] = [
  ['v1 TCP4', ascii('PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n'), { source: '192.0.2.1 4711' }],
  ['v1 TCP6', ascii('PROXY TCP6 2001:DB8::1 ::1 65535 0\r\n'), { source: '2001:db8::1 65535' }],
  ['v1 TCP6 with a mapped address', ascii('PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n'), { source: '192.0.2.1 1' }],
  ['v1 UNKNOWN', ascii('PROXY UNKNOWN\r\n'), {}],
  ['v1 UNKNOWN with anything after it', ascii('PROXY UNKNOWN ffff:: \u00ff  x y z 1 2 3\r\n'), {}],
  ['v1 of 107 octets', ascii(`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`), {}],
  ['v2 TCP4', binary(0x21, 0x11, INET), { source: '192.0.2.1 4711' }],
  ['v2 UDP4', binary(0x21, 0x12, INET), { source: '192.0.2.1 4711' }],
  ['v2 TCP6', binary(0x21, 0x21, INET6), { source: '2001:db8::1 4711' }],
  ['v2 TCP6 with a mapped address', binary(0x21, 0x21, [...MAPPED, ...V6, 0, 80, 0, 80]), { source: '192.0.2.1 80' }],
  ['v2 Unix socket', binary(0x21, 0x31, UNIX), {}],
  ['v2 LOCAL', binary(0x20, 0x00, []), {}],
  ['v2 LOCAL with a block to skip', binary(0x20, 0xff, [1, 2, 3, 4, 5]), {}],
  ['v2 UNSPEC', binary(0x21, 0x00, []), {}],
  ['v2 UNSPEC with a block to skip', binary(0x21, 0x00, [9, 9, 9]), {}],
  ['v2 TCP4 of no transport', binary(0x21, 0x10, INET), {}],
  [
    'v2 with TLVs',
    binary(0x21, 0x11, [...INET, ...tlv(2, [0x61]), ...tlv(4, []), ...tlv(0x20, [1, 0, 0, 0, 0])]),
    { source: '192.0.2.1 4711', secure: true },
  ],
  [
    'v2 with an SSL block that says no',
    binary(0x21, 0x11, [...INET, ...tlv(0x20, [0, 0, 0, 0, 1])]),
    { source: '192.0.2.1 4711' },
  ],
  ['v2 with a true checksum', summed(), { source: '192.0.2.1 4711' }],
  [
    'v2 as long as allowed',
    binary(0x21, 0x11, [
      ...INET,
      ...tlv(
        4,
        Array.from({ length: 8192 - 16 - 12 - 3 }, () => 0),
      ),
    ]),
    { source: '192.0.2.1 4711' },
  ],
];

const BAD: readonly (readonly [string, Uint8Array])[] = [
  ['HTTP', ascii('GET / HTTP/1.1\r\n')],
  ['almost a v1 start', ascii('PROXX')],
  ['lower case', ascii('proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n')],
  ['a POST', ascii('POST / HTTP/1.1\r\n')],
  ['v1 with a bare line feed', ascii('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n')],
  ['v1 with a bare carriage return', ascii('PROXY UNKNOWN \rx\r\n')],
  ['v1 of 108 octets', ascii(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`)],
  ['v1 without an end', ascii(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['v1 UNKNOWN glued', ascii('PROXY UNKNOWNS\r\n')],
  ['v1 of another family', ascii('PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n')],
  ['v1 without anything', ascii('PROXY \r\n')],
  ['v1 with two spaces', ascii('PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n')],
  ['v1 with a word too many', ascii('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n')],
  ['v1 with a word too few', ascii('PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n')],
  ['v1 with a space at the end', ascii('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n')],
  ['v1 with a port too big', ascii('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n')],
  ['v1 with a zero in front', ascii('PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n')],
  ['v1 with a bad destination', ascii('PROXY TCP4 1.1.1.1 2.2.2 1 2\r\n')],
  ['v1 TCP4 with IPv6', ascii('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['v1 TCP6 with IPv4', ascii('PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n')],
  ['v1 TCP6 with a zone', ascii('PROXY TCP6 fe80::1%a ::1 1 2\r\n')],
  ['a wrong signature', Uint8Array.of(...SIGNATURE.slice(0, 11), 0x0b)],
  ['version 1 in binary', binary(0x11, 0x11, INET)],
  ['version 3', binary(0x31, 0x11, INET)],
  ['an unknown command', binary(0x22, 0x11, INET)],
  ['a reserved family', binary(0x21, 0x41, INET)],
  ['a reserved transport', binary(0x21, 0x13, INET)],
  ['addresses cut short', binary(0x21, 0x11, INET.slice(0, 11))],
  ['IPv6 addresses cut short', binary(0x21, 0x21, INET)],
  ['Unix addresses cut short', binary(0x21, 0x31, INET)],
  ['a TLV of two octets', binary(0x21, 0x11, [...INET, 4, 0])],
  ['a TLV longer than the header', binary(0x21, 0x11, [...INET, 4, 0, 2, 0])],
  ['an SSL block too short', binary(0x21, 0x11, [...INET, ...tlv(0x20, [1])])],
  ['a wrong checksum', summed(1)],
  ['a checksum of three octets', binary(0x21, 0x11, [...INET, ...tlv(3, [0, 0, 0])])],
  ['longer than allowed', binary(0x21, 0x11, [], 8192 - 16 + 1)],
  ['65,535 octets', binary(0x21, 0x11, [], 65_535)],
];

let seed = 4_711;
const below = (limit: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * limit);
};

type Cut = (left: number) => number;
const CUTS: readonly (readonly [string, Cut])[] = [
  ['whole', (left) => left],
  ['byte by byte', () => 1],
  ['at random', (left) => 1 + below(Math.min(left, 40))],
];

/** Feeds until a verdict; what was not fed counts to the rest. */
const feed = (bytes: Uint8Array, cut: Cut): { readonly result: ProxyResult; readonly rest: Uint8Array } => {
  const parser = new ProxyParser();
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + cut(bytes.length - at));
    const result = parser.receive(bytes.subarray(at, end));
    at = end;
    if (result.kind === 'more') continue;
    const rest = result.kind === 'proxy' ? result.rest : new Uint8Array(0);
    return { result, rest: Uint8Array.of(...rest, ...bytes.subarray(at)) };
  }
  return { result: { kind: 'more' }, rest: new Uint8Array(0) };
};

t.test('a header tells the client and leaves what follows it alone, however it is cut', (t) => {
  t.comment(`seed ${seed}`);
  const tails = ['', 'G', 'GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 6.6.6.6 6.6.6.6 1 1\r\n'];
  for (const [name, bytes, expected] of GOOD) {
    for (const [how, cut] of CUTS) {
      for (const tail of tails) {
        const { result, rest } = feed(Uint8Array.of(...bytes, ...ascii(tail)), cut);
        if (result.kind !== 'proxy') {
          t.fail(`${name}, ${how}: ${JSON.stringify(result)}`);
          continue;
        }
        const source = result.source && `${result.source.address} ${result.source.port}`;
        t.strictSame([source, result.secure], [expected.source, expected.secure ?? false], `${name}, ${how}`);
        t.equal(Buffer.from(rest).toString('latin1'), tail, `${name}, ${how}: the tail`);
      }
    }
  }
  t.end();
});

t.test('a header cut short asks for more and keeps nothing it need not', (t) => {
  for (const [name, bytes] of GOOD) {
    for (const size of [0, 1, 5, 12, 15, bytes.length - 1]) {
      t.equal(
        feed(bytes.subarray(0, Math.min(size, bytes.length - 1)), (left) => left).result.kind,
        'more',
        `${name}, ${size}`,
      );
    }
  }
  t.equal(new ProxyParser().receive(new Uint8Array(0)).kind, 'more');
  t.end();
});

t.test('what is no header is refused, however it is cut', (t) => {
  for (const [name, bytes] of BAD) {
    for (const [how, cut] of CUTS) {
      const { result } = feed(Uint8Array.of(...bytes, ...ascii('tail\r\n')), cut);
      t.match(result, { kind: 'fault', code: 'WSD_HTTP_PROXY', detail: String }, `${name}, ${how}`);
    }
  }
  t.end();
});

t.test('a second checksum is refused, true or not', (t) => {
  const bytes = binary(0x21, 0x11, [...INET, ...tlv(3, [0, 0, 0, 0]), ...tlv(3, [0, 0, 0, 0])]);
  new DataView(bytes.buffer).setUint32(16 + 12 + 3, crc32c(bytes));
  t.match(feed(bytes, (left) => left).result, { kind: 'fault', detail: 'malformed checksum' });
  t.end();
});

t.test('the first octet that cannot be right ends it', (t) => {
  t.equal(new ProxyParser().receive(ascii('G')).kind, 'fault');
  t.equal(new ProxyParser().receive(Uint8Array.of(0x16, 0x03)).kind, 'fault', 'TLS');
  t.equal(new ProxyParser().receive(Uint8Array.of(...SIGNATURE, 0x2f)).kind, 'fault');
  t.end();
});

t.test('no bytes throw', (t) => {
  t.comment(`seed ${seed}`);
  for (let round = 0; round < 3000; round++) {
    const [, sample] = GOOD[below(GOOD.length - 1)]!;
    const bytes = Uint8Array.from(sample);
    for (let flips = below(3); flips >= 0; flips--) bytes[below(bytes.length)] = below(256);
    const { kind } = feed(bytes, (left) => 1 + below(left)).result;
    if (kind !== 'proxy' && kind !== 'fault' && kind !== 'more') t.fail(kind);
  }
  t.end();
});

t.test('a parser that has given its verdict is not asked again', (t) => {
  const parser = new ProxyParser();
  t.equal(parser.receive(ascii('PROXY UNKNOWN\r\n')).kind, 'proxy');
  t.throws(() => parser.receive(ascii('x')), TypeError);
  const refused = new ProxyParser();
  refused.receive(ascii('x'));
  t.throws(() => refused.receive(ascii('x')), TypeError);
  t.end();
});
