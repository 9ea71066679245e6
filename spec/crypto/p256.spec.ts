// Agreement and the verification of signatures on P-256, by both suites: published points, keys that are none (PROTOCOL.md section 6.2, the
// classes of Project Wycheproof's ecdh_secp256r1 and ecdsa_secp256r1_sha256 tests, made here), and random pairs across the suites.

import { createECDH, createPrivateKey, sign } from 'node:crypto';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { fromHex, toHex } from '../../lib/bytes/hex.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import type { KeyPair } from '../../lib/crypto/suite.js';

const SUITES = [nodeSuite, portableSuite];
const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const show = (bytes: Uint8Array | undefined): string | undefined => bytes && toHex(bytes);

// SP 800-186 section 3.2.1.3.
const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const G =
  '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' + // x
  '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5';

const word = (value: bigint): string => value.toString(16).padStart(64, '0');
const pointOf = (x: bigint, y: bigint): Uint8Array => hex(`04${word(x)}${word(y)}`);

/** The y of a point with this x, the other one is p - y; undefined: no such point. */
function yOf(x: bigint): bigint | undefined {
  const square = (x * x * x + (P - 3n) * x + B) % P;
  let y = 1n;
  for (let base = square, rest = (P + 1n) / 4n; rest > 0n; rest >>= 1n) {
    if (rest & 1n) y = (y * base) % P;
    base = (base * base) % P;
  }
  return (y * y) % P === square ? y : undefined;
}

// Scalar, public point: RFC 6979 appendix A.2.5; RFC 5903 section 8.1, both sides; the server's key of PROTOCOL.md section 11.2 (FIPS 186-4).
const KEYS = {
  rfc6979: [
    'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
    '0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6' +
      '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  ],
  initiator: [
    'c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433',
    '04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180' +
      '5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
  ],
  responder: [
    'c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53',
    '04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63' +
      '56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab',
  ],
  server: [
    '519b423d715f8b581f4fa8ee59f4771a5b44c8130b4e3eacca54a56dda72b464',
    '041ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83' +
      'ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9',
  ],
} as const satisfies Readonly<Record<string, readonly [scalar: string, point: string]>>;

for (const suite of SUITES) {
  t.test(`${suite.name}: the published points and secrets`, async (t) => {
    const pairs = Object.fromEntries(
      Object.entries(KEYS).map(([name, [scalar, point]]) => {
        const pair = suite.newPair(hex(scalar));
        t.equal(toHex(pair.publicKey), point, name);
        return [name, pair];
      }),
    );
    const agree = (a: keyof typeof KEYS, b: keyof typeof KEYS): string | undefined =>
      show(pairs[a]?.agree(pairs[b]?.publicKey ?? new Uint8Array(0)));
    const rfc5903 = 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de';
    t.equal(agree('initiator', 'responder'), rfc5903, 'RFC 5903 section 8.1');
    t.equal(agree('responder', 'initiator'), rfc5903);
    const z = '874cc88baf56772eba61b4ccb240ed93d96f2345b346d0e7f9d58a3a555535d0';
    t.equal(agree('rfc6979', 'server'), z, 'Z of PROTOCOL.md section 11.2');
    t.equal(agree('server', 'rfc6979'), z);
  });

  t.test(`${suite.name}: what is no point is no key`, async (t) => {
    const pair = suite.newPair(hex(KEYS.rfc6979[0]));
    const good = hex(KEYS.server[1]);
    const x = toHex(good.subarray(1, 33));
    const y = toHex(good.subarray(33));
    const sign = (Number.parseInt(y.slice(-2), 16) & 1) + 6;
    const y0 = yOf(0n) as bigint;
    const y5 = yOf(5n) as bigint;
    const none = [1n, 2n, 3n, 4n, 6n, 7n, 8n].find((one) => yOf(one) === undefined) as bigint;
    const cases: Readonly<Record<string, Uint8Array>> = {
      nothing: new Uint8Array(0),
      infinity: hex('00'),
      'infinity, filled up': new Uint8Array(65),
      '(0, 0)': pointOf(0n, 0n),
      'off the curve': pointOf(BigInt(`0x${x}`), BigInt(`0x${y}`) ^ 1n),
      'on the twist: this x has no y': pointOf(none, 1n),
      '(1, 1)': pointOf(1n, 1n),
      'y of the negative of another': pointOf(BigInt(`0x${x}`), y0),
      'compressed, 02': hex(`02${x}`),
      'compressed, 03': hex(`03${x}`),
      'compressed, filled up': hex(`02${x}${'00'.repeat(32)}`),
      'hybrid, 06': hex(`06${x}${y}`),
      'hybrid, 07': hex(`07${x}${y}`),
      'hybrid, of the right sign': hex(`0${sign}${x}${y}`),
      'prefix 00': hex(`00${x}${y}`),
      'prefix 05': hex(`05${x}${y}`),
      'prefix ff': hex(`ff${x}${y}`),
      '64 octets, no prefix': hex(`${x}${y}`),
      '64 octets, cut': good.subarray(0, 64),
      '66 octets': hex(`04${x}${y}00`),
      '33 octets': hex(`04${x}`),
      'x + p for x = 0': pointOf(P, y0),
      'x + p for x = 5': pointOf(P + 5n, y5),
      'y = p': pointOf(0n, P),
      'x of ones': pointOf(2n ** 256n - 1n, y5),
      'y of ones': pointOf(5n, 2n ** 256n - 1n),
      'of P-384': createECDH('secp384r1').generateKeys(),
      'of secp256k1': createECDH('secp256k1').generateKeys(),
    };
    for (const [name, point] of Object.entries(cases)) {
      t.equal(pair.agree(point), undefined, name);
      t.equal(suite.verifyP256(point, ascii('sample'), hex('3006020101020101')), false, `${name}, for a signature`);
    }
    t.equal(pair.agree(pointOf(0n, y0))?.length, 32, 'the point with x = 0 is one');
    t.equal(pair.agree(pointOf(5n, P - y5))?.length, 32, 'and so is one with x = 5');
    t.equal(pair.agree(pair.publicKey)?.length, 32, 'and our own: the handshake refuses that');
  });

  t.test(`${suite.name}: private keys are numbers from 1 to the order less one`, async (t) => {
    t.equal(toHex(suite.newPair(hex(word(1n))).publicKey), G);
    t.equal(toHex(suite.newPair(hex(word(N - 1n))).publicKey.subarray(0, 33)), G.slice(0, 66), 'minus one: the same x');
    for (const scalar of [
      word(0n),
      word(N),
      word(N + 1n),
      'ff'.repeat(32),
      '01',
      '00'.repeat(31),
      '01'.repeat(33),
      '',
    ]) {
      t.throws(() => suite.newPair(hex(scalar)), RangeError, scalar);
    }
  });

  t.test(`${suite.name}: a pair that was erased is of no more use, its public half is`, async (t) => {
    const given = hex(KEYS.server[0]);
    const pair = suite.newPair(given);
    const peer = suite.newPair();
    given.fill(0);
    t.equal(show(pair.agree(peer.publicKey)), show(peer.agree(pair.publicKey)), 'the scalar was copied');
    pair.erase();
    pair.erase();
    t.throws(() => pair.agree(peer.publicKey), TypeError);
    t.equal(toHex(pair.publicKey), KEYS.server[1]);
  });
}

t.test('200 random pairs agree across the suites', async (t) => {
  const random = seedFromEnv('agreement');
  for (let turn = 0; turn < 200; turn++) {
    const [one, two] = [random.bytes(32), random.bytes(32)];
    // Below the order in any case.
    one[0] = two[0] = random.int(255);
    const [a, b] = [nodeSuite.newPair(one), portableSuite.newPair(two)];
    const [za, zb] = [show(a.agree(b.publicKey)), show(b.agree(a.publicKey))];
    if (za !== zb || za?.length !== 64) t.fail(`${toHex(one)} and ${toHex(two)}: ${za} and ${zb}`);
  }
  const [a, b] = [nodeSuite.newPair(), portableSuite.newPair()];
  t.equal(show(a.agree(b.publicKey)), show(b.agree(a.publicKey)), 'fresh ones');
  t.not(toHex(nodeSuite.newPair().publicKey), toHex(a.publicKey));
  t.not(toHex(portableSuite.newPair().publicKey), toHex(b.publicKey));
});

t.test('leading zeros of secrets and of coordinates stay', async (t) => {
  // The least scalars whose secret with this key, or whose public point, begins with a zero octet; found by Node.
  const peer = hex(KEYS.server[1]);
  const wanted: [name: string, scalar: Uint8Array][] = [];
  const found = new Set<string>();
  for (let scalar = 2n; found.size < 3 && scalar < 5000n; scalar++) {
    const pair = nodeSuite.newPair(hex(word(scalar)));
    const begins = { Z: pair.agree(peer)?.[0], X: pair.publicKey[1], Y: pair.publicKey[33] };
    for (const [name, octet] of Object.entries(begins)) {
      if (octet !== 0 || found.has(name)) continue;
      found.add(name);
      wanted.push([`${name} with the scalar ${scalar}`, hex(word(scalar))]);
    }
  }
  t.equal(wanted.length, 3);
  for (const [name, scalar] of wanted) {
    const [a, b] = SUITES.map((suite) => suite.newPair(scalar)) as [KeyPair, KeyPair];
    t.equal(toHex(b.publicKey), toHex(a.publicKey), name);
    t.equal(show(b.agree(peer)), show(a.agree(peer)), name);
    t.equal(b.agree(peer)?.length, 32);
  }
});

// Signatures

// RFC 6979 appendix A.2.5, SHA-256.
const SIGNATURES = {
  sample: [
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716',
    'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  ],
  test: [
    'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367',
    '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
  ],
} as const;

/** An INTEGER in DER; a number may be given longer than it has to be, or negative. */
const integer = (octets: string): string => `02${(octets.length / 2).toString(16).padStart(2, '0')}${octets}`;
const minimal = (value: bigint): string => {
  const digits = value.toString(16);
  const even = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even;
};
const sequence = (body: string): string => `30${(body.length / 2).toString(16).padStart(2, '0')}${body}`;
const der = (r: bigint, s: bigint): string => sequence(integer(minimal(r)) + integer(minimal(s)));

const PUBLIC = hex(KEYS.rfc6979[1]);
const [R, S] = SIGNATURES.sample.map((text) => BigInt(`0x${text}`)) as [bigint, bigint];
const RAW = { r: minimal(R), s: minimal(S) };
const [r33, s33] = [integer(RAW.r), integer(RAW.s)];

/** Signatures of 'sample': which are accepted, and what is wrong with the others. */
const VERDICTS: readonly (readonly [name: string, signature: string, valid: boolean])[] = [
  ['as published', der(R, S), true],
  // Both are accepted, as by every verifier of CERT_VERIFY: nothing is named by a signature, so that there are two does no harm.
  ['the other s, n - s', der(R, N - S), true],
  ['nothing', '', false],
  ['an empty sequence', '3000', false],
  ['r alone', sequence(r33), false],
  ['three numbers', sequence(r33 + s33 + integer('01')), false],
  ['r and s changed round', der(S, R), false],
  ['r = 0', der(0n, S), false],
  ['s = 0', der(R, 0n), false],
  ['both 0', der(0n, 0n), false],
  ['both 1', der(1n, 1n), false],
  ['r = n', der(N, S), false],
  ['s = n', der(R, N), false],
  ['r + n', der(R + N, S), false],
  ['s + n', der(R, S + N), false],
  ['n - r', der(N - R, S), false],
  ['r = p', der(P, S), false],
  ['r = 2^256', der(2n ** 256n, S), false],
  ['r of 40 octets', der(R + 2n ** 312n, S), false],
  ['r negative: without its zero', sequence(integer(RAW.r.slice(2)) + s33), false],
  ['s negative: without its zero', sequence(r33 + integer(RAW.s.slice(2))), false],
  ['r with a zero more', sequence(integer(`00${RAW.r}`) + s33), false],
  ['s with a zero more', sequence(r33 + integer(`00${RAW.s}`)), false],
  ['r without octets', sequence(`0200${s33}`), false],
  ['s without octets', sequence(`${r33}0200`), false],
  ['r as OCTET STRING', sequence(`04${r33.slice(2)}${s33}`), false],
  ['r as BOOLEAN', sequence(`01${r33.slice(2)}${s33}`), false],
  ['NULL in place of s', sequence(`${r33}0500`), false],
  ['a SET', `31${der(R, S).slice(2)}`, false],
  ['length of the sequence in two octets', `3081${der(R, S).slice(2)}`, false],
  ['length of the sequence in three octets', `308200${der(R, S).slice(2)}`, false],
  ['length of r in two octets', sequence(`028121${RAW.r}${s33}`), false],
  ['indefinite length', `3080${r33}${s33}0000`, false],
  ['length one too much', `30${(r33.length / 2 + s33.length / 2 + 1).toString(16)}${r33}${s33}`, false],
  ['length one too little', `30${(r33.length / 2 + s33.length / 2 - 1).toString(16)}${r33}${s33}`, false],
  ['followed by 00', `${der(R, S)}00`, false],
  ['followed by NULL', `${der(R, S)}0500`, false],
  ['NULL within', sequence(`${r33}${s33}0500`), false],
  ['P1363: r and s of 32 octets', word(R) + word(S), false],
  ['P1363 with 65 octets', `00${word(R)}${word(S)}`, false],
  ['zeros', '00'.repeat(72), false],
];

for (const suite of SUITES) {
  t.test(`${suite.name}: signatures of RFC 6979, and all that are none`, async (t) => {
    for (const [message, [r, s]] of Object.entries(SIGNATURES)) {
      const signature = hex(der(BigInt(`0x${r}`), BigInt(`0x${s}`)));
      t.equal(suite.verifyP256(PUBLIC, ascii(message), signature), true, message);
      t.equal(suite.verifyP256(PUBLIC, ascii(`${message}.`), signature), false, 'another message');
      t.equal(suite.verifyP256(hex(KEYS.server[1]), ascii(message), signature), false, 'another key');
    }
    for (const [name, signature, valid] of VERDICTS) {
      t.equal(suite.verifyP256(PUBLIC, ascii('sample'), hex(signature)), valid, name);
    }
    const whole = hex(der(R, S));
    for (let cut = 0; cut < whole.length; cut++) {
      t.equal(suite.verifyP256(PUBLIC, ascii('sample'), whole.subarray(0, cut)), false, `cut at ${cut}`);
    }
  });
}

t.test('both suites say the same of every signature with one bit changed', async (t) => {
  const random = seedFromEnv('changed signatures');
  const whole = hex(der(R, S));
  for (let at = 0; at < whole.length; at++) {
    const changed = Uint8Array.from(whole);
    changed[at] = (changed[at] as number) ^ (1 << random.int(8));
    const [a, b] = SUITES.map((suite) => suite.verifyP256(PUBLIC, ascii('sample'), changed));
    if (a !== false || b !== false) t.fail(`octet ${at}: ${toHex(changed)}: ${a} and ${b}`);
  }
});

t.test('signatures that Node made hold in both, by keys for which the sums of points meet themselves', async (t) => {
  const random = seedFromEnv('signatures');
  // d = 1 and n - 1: the public key is G or its negative. 2 and (n + 1) / 2: its double, its half.
  const scalars = [1n, 2n, 3n, N - 1n, N - 2n, (N + 1n) / 2n];
  for (let turn = 0; turn < 6; turn++) scalars.push(BigInt(`0x${toHex(random.bytes(31))}`) + 1n);
  for (const scalar of scalars) {
    const point = nodeSuite.newPair(hex(word(scalar))).publicKey;
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
    const key = createPrivateKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-256',
        d: base64(hex(word(scalar))),
        x: base64(point.subarray(1, 33)),
        y: base64(point.subarray(33)),
      },
    });
    for (let turn = 0; turn < 3; turn++) {
      const message = random.bytes(random.int(100));
      const signature = sign('sha256', message, key);
      for (const suite of SUITES) {
        if (!suite.verifyP256(point, message, signature)) t.fail(`${suite.name}: ${scalar}, ${toHex(signature)}`);
        if (suite.verifyP256(point, Uint8Array.of(...message, 0), signature)) t.fail(`${suite.name}: another message`);
      }
    }
  }
  // u1·G + u2·Q is the double of a point, or infinity: with s = 1, u1 = e and u2 = r; Q = G and Q = -G.
  for (const scalar of [1n, N - 1n]) {
    const point = nodeSuite.newPair(hex(word(scalar))).publicKey;
    const message = ascii('duplication');
    const e = BigInt(`0x${toHex(nodeSuite.sha256(message))}`) % N;
    for (const r of [e, N - e]) {
      const verdicts = SUITES.map((suite) => suite.verifyP256(point, message, hex(der(r, 1n))));
      t.strictSame(verdicts, [false, false], `Q = ${scalar === 1n ? '' : '-'}G, r = ${r === e ? '' : '-'}e`);
    }
  }
});
