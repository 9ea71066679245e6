// The judge that needs no X.509, over both suites: it says the same of the same octets as the judge of Node does of a pinned certificate.
import { createHash, type KeyObject } from 'node:crypto';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { loadOwn } from '../../lib/crypto/certificate.js';
import { SCHEME } from '../../lib/crypto/identity.js';
import { createJudge } from '../../lib/crypto/judge.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { createPinJudge, type Pin } from '../../lib/crypto/pins.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import { CA, certify, curve, NOW, rsa } from './certify.js';
import { badSignatures, sameSignatures } from './ecdsa.js';

const KEYS = curve('P-256');
const DER = certify({ keys: KEYS });
const OWN = loadOwn({ certificate: DER, key: KEYS.privateKey });
const POINT = OWN.publicKey as Uint8Array;
const pinOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');
const PIN: Pin = { sha256: pinOf(DER), publicKey: POINT };

for (const suite of [nodeSuite, portableSuite]) {
  t.test(`${suite.name}: a pinned certificate is accepted, and signs by the pinned key`, async (t) => {
    const point = Buffer.from(POINT).toString('hex');
    for (const [title, pin] of [
      ['octets', PIN],
      ['hexadecimal', { sha256: PIN.sha256, publicKey: point }],
      ['in capitals, with colons', { sha256: PIN.sha256.toUpperCase().replace(/..(?=.)/g, '$&:'), publicKey: point }],
    ] as const) {
      const verdict = createPinJudge(suite, [{ sha256: 'ab'.repeat(32), publicKey: POINT }, pin]).judge(DER, NOW);
      if (typeof verdict === 'string') return t.fail(`${title}: ${verdict}`);
      t.strictSame([verdict.fingerprint, verdict.certificate], [PIN.sha256, { fingerprint: PIN.sha256 }], title);
      const message = Buffer.from('to be signed');
      const signature = OWN.sign(message);
      t.ok(verdict.verify(SCHEME.ecdsaP256Sha256, message, signature));
      t.notOk(verdict.verify(SCHEME.ecdsaP256Sha256, Buffer.from('another'), signature), 'another message');
      for (const scheme of [0, 0x0401, 0x0503, SCHEME.rsaPssSha256, SCHEME.ed25519, Number.NaN]) {
        t.notOk(verdict.verify(scheme, message, signature), `scheme ${scheme}`);
      }
    }
    return undefined;
  });

  t.test(`${suite.name}: signatures are right or wrong as the judge of Node says`, async (t) => {
    const portable = createPinJudge(suite, [PIN]).judge(DER, NOW);
    const native = createJudge({ peer: 'server', pins: [PIN.sha256] }).judge(DER, NOW);
    if (typeof portable === 'string' || typeof native === 'string') return t.fail('the certificate is refused');
    const message = Buffer.from('to be signed');
    const signature = OWN.sign(message);
    const both = (octets: Uint8Array): readonly boolean[] =>
      [portable, native].map((one) => one.verify(SCHEME.ecdsaP256Sha256, message, octets));
    for (const [title, octets] of sameSignatures(signature)) t.strictSame(both(octets), [true, true], title);
    for (const [title, octets] of badSignatures(signature)) t.strictSame(both(octets), [false, false], title);
    const random = seedFromEnv(`signatures ${suite.name}`);
    for (let i = 0; i < 200; i++) {
      const copy = Uint8Array.from(signature);
      copy[random.int(12)] = random.int(256);
      const [one, other] = both(copy);
      if (one !== other) t.fail(`${Buffer.from(copy).toString('hex')}, seed ${random.seed}`);
    }
    return undefined;
  });

  t.test(`${suite.name}: everything else is refused, and nothing is thrown`, async (t) => {
    const judge = createPinJudge(suite, [PIN]);
    const random = seedFromEnv(`pins ${suite.name}`);
    for (const der of [
      new Uint8Array(0),
      DER.subarray(1),
      DER.subarray(0, -1),
      Uint8Array.of(...DER, 0),
      random.bytes(400),
    ]) {
      t.match(judge.judge(der, NOW), /not one of those that are pinned/);
    }
    t.match(judge.judge(certify({ keys: KEYS }), NOW), /not one of those/, 'the same key in another certificate');
    const another = curve('P-256');
    const wrongKey = createPinJudge(suite, [{ ...PIN, publicKey: pointOf(another.publicKey) }]).judge(DER, NOW);
    if (typeof wrongKey === 'string') return t.fail(wrongKey);
    const message = Buffer.from('x');
    t.notOk(wrongKey.verify(SCHEME.ecdsaP256Sha256, message, OWN.sign(message)), 'a pin with the key of another');
    return undefined;
  });

  t.test(`${suite.name}: pins that pin nothing are refused`, async (t) => {
    const shifted = Uint8Array.from(POINT);
    shifted[64] = (shifted[64] as number) ^ 1;
    const compressed = Uint8Array.of(2 + ((POINT[64] as number) & 1), ...POINT.subarray(1, 33));
    for (const [pins, why] of [
      [[], /give a pin/],
      [[{ sha256: 'abc', publicKey: POINT }], /64 hexadecimal digits/],
      [[{ sha256: `${PIN.sha256}00`, publicKey: POINT }], /64 hexadecimal digits/],
      [[{ sha256: `${PIN.sha256.slice(1)}g`, publicKey: POINT }], /64 hexadecimal digits/],
      [[{ sha256: PIN.sha256, publicKey: '04' }], /65 octets/],
      [[{ sha256: PIN.sha256, publicKey: shifted }], /a point on P-256/],
      [[{ sha256: PIN.sha256, publicKey: compressed }], /65 octets/],
      [[{ sha256: PIN.sha256, publicKey: Uint8Array.of(6, ...POINT.subarray(1)) }], /the first of them 04/],
      [[{ sha256: PIN.sha256, publicKey: Uint8Array.of(...POINT, 0) }], /65 octets/],
      [[{ sha256: PIN.sha256, publicKey: new Uint8Array(65) }], /the first of them 04/],
      [[PIN, { sha256: PIN.sha256, publicKey: Uint8Array.of(4, ...new Uint8Array(64)) }], /a point on P-256/],
    ] as const) {
      t.throws(() => createPinJudge(suite, pins), { name: 'TypeError', message: why });
    }
  });
}

t.test('a pin says nothing of what a certificate says of itself', async (t) => {
  const expired = certify({ keys: KEYS, to: NOW - 1000, extensions: CA });
  const verdict = createPinJudge(nodeSuite, [{ sha256: pinOf(expired), publicKey: POINT }]).judge(expired, NOW);
  t.equal(typeof verdict, 'object');
  const other = certify({ keys: rsa(2048) });
  t.equal(typeof createPinJudge(nodeSuite, [{ sha256: pinOf(other), publicKey: POINT }]).judge(other, NOW), 'object');
});

function pointOf(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ type: 'spki', format: 'der' }).subarray(-65));
}
