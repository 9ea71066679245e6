// ChaCha20-Poly1305 three times: the WebAssembly module, node:crypto, and the portable suite. Published vectors, each octet changed, sizes on
// both sides of every boundary, and the arithmetic of Poly1305 where random input never comes.

import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { fromHex, toHex } from '../../lib/bytes/hex.js';
import { instantiate } from '../../lib/crypto/assembler.js';
import { AT, chachaPolyModule, MOST_AAD, MOST_PLAIN } from '../../lib/crypto/chacha-poly.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { NodeAead } from '../../lib/crypto/node-aead.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import type { Aead } from '../../lib/crypto/suite.js';

const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const MAKERS: readonly (readonly [name: string, make: (key: Uint8Array) => Aead])[] = [
  ['node', (key) => nodeSuite.aead(key)],
  ['node, without the module', (key) => new NodeAead(key, undefined)],
  ['portable', (key) => portableSuite.aead(key)],
];

const VECTORS = [
  {
    name: 'RFC 8439 section 2.8.2',
    key: '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f',
    nonce: '070000004041424344454647',
    aad: '50515253c0c1c2c3c4c5c6c7',
    plain: ascii(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    ),
    sealed:
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b' +
      '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
      '3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691',
  },
  {
    name: 'RFC 8439 appendix A.5',
    key: '1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0',
    nonce: '000000000102030405060708',
    aad: 'f33388860000000000004e91',
    plain: ascii(
      'Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or obsoleted ' +
        'by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or to cite them ' +
        'other than as /\u201cwork in progress./\u201d',
    ),
    sealed:
      '64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0' +
      'bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855' +
      '9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9' +
      '9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a' +
      '0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130' +
      '305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38',
  },
];

for (const [name, make] of MAKERS) {
  t.test(`${name}: the vectors of RFC 8439, both ways`, async (t) => {
    for (const vector of VECTORS) {
      const aead = make(hex(vector.key));
      const [nonce, aad] = [hex(vector.nonce), hex(vector.aad)];
      t.equal(toHex(aead.seal(nonce, aad, vector.plain)), vector.sealed, vector.name);
      t.strictSame(aead.open(nonce, aad, hex(vector.sealed)), vector.plain, vector.name);
    }
  });

  t.test(`${name}: no octet can be changed, nor one left away or added`, async (t) => {
    const random = seedFromEnv(`${name}: tampering`);
    const key = random.bytes(32);
    const aead = make(key);
    for (const size of [0, 1, 15, 16, 17, 64, 250]) {
      const [nonce, aad, plain] = [random.bytes(12), random.bytes(6), random.bytes(size)];
      const sealed = aead.seal(nonce, aad, plain);
      t.strictSame(aead.open(nonce, aad, sealed), plain);
      const flip = (bytes: Uint8Array, at: number): Uint8Array =>
        bytes.map((octet, place) => (place === at ? octet ^ (1 << random.int(8)) : octet));
      let opened = 0;
      const count = (result: Uint8Array | undefined): number => (opened += result === undefined ? 0 : 1);
      for (let at = 0; at < sealed.length; at++) count(aead.open(nonce, aad, flip(sealed, at)));
      for (let at = 0; at < 12; at++) count(aead.open(flip(nonce, at), aad, sealed));
      for (let at = 0; at < 6; at++) count(aead.open(nonce, flip(aad, at), sealed));
      for (let cut = 0; cut < sealed.length; cut++) count(aead.open(nonce, aad, sealed.subarray(0, cut)));
      count(aead.open(nonce, aad, Uint8Array.of(...sealed, 0)));
      count(aead.open(nonce, aad.subarray(0, 5), sealed));
      count(aead.open(nonce, Uint8Array.of(...aad, 0), sealed));
      count(make(flip(key, 31)).open(nonce, aad, sealed));
      t.equal(opened, 0, `${size} octets`);
    }
  });

  t.test(`${name}: keys and nonces of other sizes are our own mistake, and so is a key that was erased`, async (t) => {
    for (const size of [0, 16, 31, 33]) t.throws(() => make(new Uint8Array(size)), RangeError);
    const key = new Uint8Array(32).fill(9);
    const aead = make(key);
    const [aad, plain] = [new Uint8Array(0), new Uint8Array(4)];
    for (const size of [0, 8, 11, 13, 24]) {
      t.throws(() => aead.seal(new Uint8Array(size), aad, plain), RangeError, `seal, nonce of ${size}`);
      t.throws(() => aead.open(new Uint8Array(size), aad, new Uint8Array(20)), RangeError, `open, nonce of ${size}`);
      t.throws(() => aead.seal(new Uint8Array(size), aad, new Uint8Array(9000)), RangeError, `large, nonce of ${size}`);
    }
    const nonce = new Uint8Array(12);
    const sealed = aead.seal(nonce, aad, plain);
    key.fill(0);
    t.strictSame(aead.open(nonce, aad, sealed), plain, 'the key was copied');
    aead.erase();
    aead.erase();
    t.throws(() => aead.seal(nonce, aad, plain), TypeError);
    t.throws(() => aead.open(nonce, aad, sealed), TypeError);
    t.throws(() => aead.seal(nonce, aad, new Uint8Array(9000)), TypeError);
  });

  t.test(`${name}: two keys do not mix, erased or not, and results stay what they were`, async (t) => {
    const random = seedFromEnv(`${name}: two keys`);
    const keys = [random.bytes(32), random.bytes(32), random.bytes(32)];
    const aeads = keys.map(make);
    const made = Array.from({ length: 90 }, (_, at) => {
      const [nonce, aad, plain] = [random.bytes(12), random.bytes(at % 8), random.bytes(random.int(1500))];
      return { at, nonce, aad, plain, sealed: (aeads[at % 3] as Aead).seal(nonce, aad, plain) };
    });
    (aeads[2] as Aead).erase();
    const fresh = keys.map(make);
    const opened = made.map(({ at, nonce, aad, sealed }) => (fresh[at % 3] as Aead).open(nonce, aad, sealed));
    t.strictSame(
      opened.map((bytes) => bytes && toHex(bytes)),
      made.map(({ plain }) => toHex(plain)),
    );
    const { nonce, aad, sealed } = made[0] as (typeof made)[number];
    t.equal((fresh[1] as Aead).open(nonce, aad, sealed), undefined, 'the key of another');
    t.ok((aeads[0] as Aead).open(nonce, aad, sealed), 'after another was erased');
  });
}

t.test('all three give the same octets, on both sides of each boundary', async (t) => {
  const random = seedFromEnv('AEAD sizes');
  const sizes = [
    ...Array.from({ length: 270 }, (_, size) => size),
    ...[447, 448, 449, 704, 705, 960, 972, 973, 987, 988, 989],
    ...[MOST_PLAIN - 1, MOST_PLAIN, MOST_PLAIN + 1, 10_000, 65_535],
  ];
  for (const size of sizes) {
    const key = random.bytes(32);
    const [nonce, aad, plain] = [random.bytes(12), random.bytes(size % (MOST_AAD + 4)), random.bytes(size)];
    const sealed = MAKERS.map(([, make]) => toHex(make(key).seal(nonce, aad, plain)));
    if (new Set(sealed).size !== 1) t.fail(`sealed ${size}, aad ${aad.length}`);
    const opened = MAKERS.map(([, make]) => make(key).open(nonce, aad, hex(sealed[0] as string)));
    if (opened.some((one) => one === undefined || toHex(one) !== toHex(plain))) t.fail(`opened ${size}`);
  }
});

t.test('input that lies within a larger piece of memory, at any place, is taken as it is', async (t) => {
  const random = seedFromEnv('AEAD views');
  const key = random.bytes(32);
  const whole = random.bytes(400);
  for (let at = 0; at < 16; at++) {
    const [nonce, aad, plain] = [
      whole.subarray(at, at + 12),
      whole.subarray(at + 20, at + 26),
      whole.subarray(at + 40),
    ];
    const copies = [nonce.slice(), aad.slice(), plain.slice()] as const;
    const expected = toHex(new NodeAead(key, undefined).seal(...copies));
    t.equal(toHex(nodeSuite.aead(key).seal(nonce, aad, plain)), expected);
    t.equal(toHex(portableSuite.aead(key).seal(nonce, aad, plain)), expected);
  }
});

// The module alone

const P = 2n ** 130n - 5n;
const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x0${toHex(Uint8Array.from(bytes).reverse())}`);
const octetsOf = (value: bigint, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn));

/** RFC 8439 section 2.5, as it stands there. */
function poly1305(oneTimeKey: Uint8Array, message: Uint8Array): string {
  const r = littleEndian(oneTimeKey.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let h = 0n;
  for (let at = 0; at < message.length; at += 16) {
    h = ((h + littleEndian(message.subarray(at, at + 16)) + 2n ** 128n) * r) % P;
  }
  return toHex(octetsOf(h + littleEndian(oneTimeKey.subarray(16)), 16));
}

t.test('Poly1305 is right where the sum lies at the modulus, and with the largest keys and texts', async (t) => {
  const instance = instantiate(chachaPolyModule());
  if (instance === undefined) throw new Error('no WebAssembly here');
  const bytes = new Uint8Array(instance.memory);
  const authenticate = instance.routine('authenticate');
  const KEY_AT = 32_768;
  const tagOf = (oneTimeKey: Uint8Array, text: Uint8Array): string => {
    bytes.set(oneTimeKey, KEY_AT);
    bytes.set(text, AT.data);
    authenticate(text.length, 0, KEY_AT);
    return toHex(bytes.subarray(AT.tag, AT.tag + 16));
  };
  const check = (name: string, oneTimeKey: Uint8Array, text: Uint8Array): void => {
    const lengths = Uint8Array.of(...octetsOf(0n, 8), ...octetsOf(BigInt(text.length), 8));
    const padded = new Uint8Array((text.length + 15) & ~15);
    padded.set(text);
    t.equal(tagOf(oneTimeKey, text), poly1305(oneTimeKey, Uint8Array.of(...padded, ...lengths)), name);
  };
  const keyOf = (r: bigint, s: bigint): Uint8Array => Uint8Array.of(...octetsOf(r, 16), ...octetsOf(s, 16));
  const ones = 2n ** 128n - 1n;
  for (const r of [0n, 1n, 2n, 4n, 0x0ffffffc0ffffffc0ffffffc0fffffffn, ones]) {
    for (const s of [0n, 1n, ones]) {
      for (const octet of [0, 1, 0x80, 0xfb, 0xff]) {
        for (const size of [0, 16, 32, 48, 1024]) {
          check(`r ${r}, s ${s}, ${size} times ${octet}`, keyOf(r, s), new Uint8Array(size).fill(octet));
        }
      }
    }
  }
  // With r = 1 the sum of the blocks is the number itself: two blocks are chosen so that it ends from 2^130 - 8 to 2^130 + 4.
  for (let off = -3n; off <= 9n; off++) {
    const rest = P + off - 3n * 2n ** 128n - (32n << 64n);
    const first = rest / 2n;
    const text = Uint8Array.of(...octetsOf(first, 16), ...octetsOf(rest - first, 16));
    for (const s of [0n, ones]) check(`the sum is p ${off}`, keyOf(1n, s), text);
  }
  const random = seedFromEnv('Poly1305');
  for (let turn = 0; turn < 300; turn++) check(`turn ${turn}`, random.bytes(32), random.bytes(random.int(200)));
});

t.test('where WebAssembly is missing or takes no such module, there is none', async (t) => {
  t.equal(instantiate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 0, 0, 0)), undefined);
  const world = globalThis as { WebAssembly?: unknown };
  const before = Object.getOwnPropertyDescriptor(world, 'WebAssembly') as PropertyDescriptor;
  delete world.WebAssembly;
  let found: unknown;
  try {
    found = instantiate(chachaPolyModule());
  } finally {
    Object.defineProperty(world, 'WebAssembly', before);
  }
  t.equal(found, undefined);
});
