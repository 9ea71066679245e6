// Both suites side by side: published vectors of SHA-256, HMAC and HKDF, CRC-32, randomness, comparison, and what is refused of our own
// caller. Agreement, sealing and compression have files of their own.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { readSource } from '../../fixtures/rig/source.js';
import { fromHex, toHex } from '../../lib/bytes/hex.js';
import { crc32With, nodeSuite } from '../../lib/crypto/node.js';
import { portableSuite } from '../../lib/crypto/portable.js';

const SUITES = [nodeSuite, portableSuite];
const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const times = (count: number, octet: number): Uint8Array => new Uint8Array(count).fill(octet);
const upTo = (from: number, to: number): Uint8Array => Uint8Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** zlib.crc32 forgets the value before when an empty array has no memory. */
const EMPTY: Readonly<Record<string, Uint8Array>> = {
  'an array': new Uint8Array(0),
  'empty memory': new Uint8Array(new ArrayBuffer(0)),
  'a view into something': new Uint8Array(8).subarray(3, 3),
  'a Buffer': Buffer.alloc(0),
};

// NIST's examples for FIPS 180-4 (SHA_All.pdf) and the empty message (SHA256ShortMsg.rsp, Len = 0).
const DIGESTS: readonly (readonly [message: Uint8Array, digest: string])[] = [
  [ascii(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  [ascii('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    ascii('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
  [
    ascii(
      'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
    ),
    'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1',
  ],
  [times(1_000_000, 0x61), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
];

// RFC 4231 section 4, HMAC-SHA-256; the fifth is cut to 128 bits.
const MACS: readonly (readonly [name: string, key: Uint8Array, data: Uint8Array, mac: string])[] = [
  ['4.2', times(20, 0x0b), ascii('Hi There'), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    '4.3',
    ascii('Jefe'),
    ascii('what do ya want for nothing?'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  ['4.4', times(20, 0xaa), times(50, 0xdd), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
  ['4.5', upTo(1, 25), times(50, 0xcd), '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b'],
  ['4.6', times(20, 0x0c), ascii('Test With Truncation'), 'a3b6167473100ee06e0c796c2955552b'],
  [
    '4.7',
    times(131, 0xaa),
    ascii('Test Using Larger Than Block-Size Key - Hash Key First'),
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
  [
    '4.8',
    times(131, 0xaa),
    ascii(
      'This is a test using a larger than block-size key and a larger than block-size data. ' +
        'The key needs to be hashed before being used by the HMAC algorithm.',
    ),
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  ],
];

// RFC 5869 appendix A.1 to A.3.
const DERIVATIONS = [
  {
    name: 'A.1',
    material: times(22, 0x0b),
    salt: upTo(0, 12),
    info: upTo(0xf0, 0xf9),
    prk: '077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5',
    okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  {
    name: 'A.2',
    material: upTo(0, 0x4f),
    salt: upTo(0x60, 0xaf),
    info: upTo(0xb0, 0xff),
    prk: '06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244',
    okm:
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09' +
      'da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  },
  {
    name: 'A.3',
    material: times(22, 0x0b),
    salt: new Uint8Array(0),
    info: new Uint8Array(0),
    prk: '19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04',
    okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  },
];

for (const suite of SUITES) {
  t.test(`${suite.name}: SHA-256 of the published messages`, async (t) => {
    for (const [message, digest] of DIGESTS) t.equal(toHex(suite.sha256(message)), digest, `${message.length} octets`);
  });

  t.test(`${suite.name}: HMAC-SHA-256 of RFC 4231`, async (t) => {
    for (const [name, key, data, mac] of MACS) t.equal(toHex(suite.hmac(key, data)).slice(0, mac.length), mac, name);
  });

  t.test(`${suite.name}: HKDF-SHA-256 of RFC 5869`, async (t) => {
    for (const { name, material, salt, info, prk, okm } of DERIVATIONS) {
      t.equal(toHex(suite.extract(salt, material)), prk, `${name}: PRK`);
      t.equal(toHex(suite.expand(hex(prk), info, okm.length / 2)), okm, `${name}: OKM`);
    }
  });

  t.test(`${suite.name}: HKDF gives as many octets as are asked for, up to 255 digests`, async (t) => {
    const key = times(32, 7);
    const most = suite.expand(key, ascii('x'), 8160);
    t.equal(most.length, 8160);
    for (const size of [0, 1, 31, 32, 33, 64, 65]) {
      t.equal(toHex(suite.expand(key, ascii('x'), size)), toHex(most.subarray(0, size)), `${size}`);
    }
    for (const size of [8161, -1, 1.5, Number.NaN]) t.throws(() => suite.expand(key, ascii('x'), size), RangeError);
    t.throws(() => suite.expand(times(31, 7), ascii('x'), 32), RangeError, 'a key shorter than a digest');
  });

  t.test(`${suite.name}: CRC-32/ISO-HDLC, and over parts as over the whole`, async (t) => {
    t.equal(suite.crc32(ascii('123456789')), 0xcbf43926, 'the check value of the catalogue of CRCs');
    t.equal(suite.crc32(), 0);
    t.equal(suite.crc32(new Uint8Array(0)), 0);
    t.equal(suite.crc32(times(4, 0xff)), 0xffffffff, 'unsigned');
    t.equal(suite.crc32(ascii('1234'), new Uint8Array(0), ascii('5'), ascii('6789')), 0xcbf43926);
    for (const [kind, nothing] of Object.entries(EMPTY)) {
      t.equal(suite.crc32(ascii('123456789'), nothing), 0xcbf43926, `and then nothing: ${kind}`);
    }
    // PROTOCOL.md section 11.1: the field is the low half.
    t.equal(suite.crc32(hex('00401234'), ascii('hello')) & 0xffff, 0x4f84);
    const inside = ascii('..123456789..');
    t.equal(suite.crc32(inside.subarray(2, 11)), 0xcbf43926, 'a view into a larger piece');
  });

  t.test(`${suite.name}: random octets, as many as asked for, other ones each time`, async (t) => {
    for (const size of [0, 1, 16, 65_536, 65_537, 200_000]) t.equal(suite.random(size).length, size);
    t.not(toHex(suite.random(16)), toHex(suite.random(16)));
    const much = suite.random(200_000);
    for (const at of [0, 65_536, 131_072, 199_000]) {
      t.ok(
        much.subarray(at, at + 1000).some((octet) => octet !== 0),
        `filled at ${at}`,
      );
    }
  });

  t.test(`${suite.name}: equal compares all octets`, async (t) => {
    const secret = upTo(1, 32);
    t.equal(suite.equal(secret, Uint8Array.from(secret)), true);
    t.equal(suite.equal(new Uint8Array(0), new Uint8Array(0)), true);
    t.equal(suite.equal(secret, secret.subarray(0, 31)), false);
    t.equal(suite.equal(secret, new Uint8Array(0)), false);
    for (let at = 0; at < 32; at++) {
      const other = Uint8Array.from(secret);
      other[at] = (other[at] as number) ^ 0x80;
      t.equal(suite.equal(secret, other), false, `octet ${at}`);
    }
  });

  t.test(`${suite.name}: what comes back is a plain Uint8Array, so that slice copies`, async (t) => {
    const pair = suite.newPair();
    const aead = suite.aead(times(32, 1));
    const sealed = aead.seal(times(12, 2), ascii(''), ascii('abc'));
    const large = aead.seal(times(12, 2), ascii(''), times(9000, 3));
    const results: Record<string, Uint8Array | undefined> = {
      random: suite.random(4),
      publicKey: pair.publicKey,
      agree: pair.agree(suite.newPair().publicKey),
      seal: sealed,
      open: aead.open(times(12, 2), ascii(''), sealed),
      'seal, large': large,
      'open, large': aead.open(times(12, 2), ascii(''), large),
      sha256: suite.sha256(ascii('')),
      hmac: suite.hmac(ascii('k'), ascii('')),
      extract: suite.extract(ascii('s'), ascii('')),
      expand: suite.expand(times(32, 1), ascii(''), 40),
      deflate: suite.deflate(ascii('abc')),
      inflate: suite.inflate(suite.deflate(ascii('abc')), 100),
    };
    for (const [name, value] of Object.entries(results)) {
      t.equal(value === undefined ? value : Object.getPrototypeOf(value), Uint8Array.prototype, name);
    }
  });
}

t.test('the suites agree on random input of every size', async (t) => {
  const random = seedFromEnv('suites agree');
  for (let size = 0; size < 300; size++) {
    const bytes = random.bytes(size);
    const key = random.bytes(random.int(140));
    const both = SUITES.map((suite) =>
      [
        toHex(suite.sha256(bytes)),
        toHex(suite.hmac(key, bytes)),
        toHex(suite.extract(key, bytes)),
        suite.crc32(bytes, key),
      ].join(),
    );
    if (both[0] !== both[1]) t.fail(`size ${size}, key of ${key.length}`);
  }
});

t.test('without zlib.crc32 Node counts as a page does', async (t) => {
  const slow = crc32With(undefined);
  t.equal(slow([ascii('1234'), ascii('56789')]), 0xcbf43926);
});

t.test('a page has no Buffer, lends one for the time of a call, and has none afterwards', async (t) => {
  const world = globalThis as { Buffer?: unknown };
  const before = Object.getOwnPropertyDescriptor(world, 'Buffer') as PropertyDescriptor;
  const seen: unknown[] = [];
  delete world.Buffer;
  try {
    seen.push(portableSuite.crc32(ascii('1234'), ascii('56789')), 'Buffer' in world);
    const aead = portableSuite.aead(times(32, 1));
    seen.push(aead.open(times(12, 1), ascii('a'), aead.seal(times(12, 1), ascii('a'), ascii('b')))?.[0]);
    seen.push(portableSuite.inflate(portableSuite.deflate(ascii('b')), 10)?.[0]);
    seen.push(portableSuite.newPair(times(32, 1)).agree(portableSuite.newPair(times(32, 2)).publicKey)?.length);
  } finally {
    Object.defineProperty(world, 'Buffer', before);
  }
  t.strictSame(seen, [0xcbf43926, false, 0x62, 0x62, 32]);
});

// The sources are read, not what they were compiled to: types that are imported are none of a page's business.
const LIB = fileURLToPath(new URL('../../../lib/', import.meta.url));

t.test('the portable suite imports nothing of Node, itself or through what it imports', async (t) => {
  const packages = new Set<string>();
  const files = ['crypto/portable.ts'];
  for (const file of files) {
    const path = join(LIB, file);
    if (!existsSync(path)) t.fail(`${file} is not there`);
    const source = readSource(readFileSync(path, 'utf8'));
    t.notMatch(source.code, /(?<![.\w$])(?:Buffer|process|require|setTimeout|__dirname)\s*[.(]/, file);
    for (const { from, typeOnly } of source.imports) {
      if (typeOnly) continue;
      if (!from.startsWith('.')) packages.add(from);
      else {
        const next = join(dirname(file), from).replace(/\.js$/, '.ts');
        if (!files.includes(next)) files.push(next);
      }
    }
  }
  t.strictSame(
    [...packages].sort(),
    [
      '@noble/ciphers/chacha.js',
      '@noble/hashes/hkdf.js',
      '@noble/hashes/hmac.js',
      '@noble/hashes/sha2.js',
      'buffer-crc32',
      'elliptic',
      'pako',
    ],
    'the packages of PROTOCOL.md section 16 and nothing else',
  );
  t.ok(files.length >= 5, `${files.length} files were read`);
});
