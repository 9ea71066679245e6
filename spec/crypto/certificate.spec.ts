// Our own certificate, and the judgement of a peer's: every rule of PROTOCOL.md section 6.6 fails alone, from a certificate that is good but for
// that one thing; lines 63 and 65 of HOSTILE.md.
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { loadCertificates, loadOwn } from '../../lib/crypto/certificate.js';
import {
  bitString,
  element,
  objectId,
  octetString,
  readElements,
  readOne,
  sequence,
  TAG,
  truth,
  unsigned,
} from '../../lib/crypto/der.js';
import { type PeerJudge, SCHEME, type Verified } from '../../lib/crypto/identity.js';
import { createJudge, type JudgeSettings } from '../../lib/crypto/judge.js';
import { readCertificate } from '../../lib/crypto/x509.js';
import { EXTENSION, PURPOSE } from '../../lib/crypto/x509-extensions.js';
import { writePem } from '../../lib/crypto/x509-write.js';
import {
  basic,
  CA,
  certify,
  curve,
  DAY,
  ed25519,
  type Keys,
  LEAF,
  NOW,
  names,
  purposes,
  rsa,
  usage,
  type Wish,
  withExtension,
  without,
} from './certify.js';
import { badSignatures, sameSignatures } from './ecdsa.js';

const KEYS = { p256: curve('P-256'), other: curve('P-256'), ed25519: ed25519(), rsa2048: rsa(2048) };
const ISSUER = { subject: 'a CA', keys: curve('P-256') };
const ANCHOR = certify({ keys: ISSUER.keys, subject: ISSUER.subject, extensions: CA, to: NOW + 100 * DAY });
const OTHER_ISSUER = { subject: 'another CA', keys: curve('P-256') };

const signed = (wish: Partial<Wish> = {}): Uint8Array => certify({ keys: KEYS.p256, issuer: ISSUER, ...wish });
const pinOf = (der: Uint8Array): string => new X509Certificate(der).fingerprint256;
const judge = (settings: Partial<JudgeSettings> = {}): PeerJudge =>
  createJudge({ peer: 'server', name: 'chat.example.com', anchors: [ANCHOR], ...settings });
const pinned = (der: Uint8Array, settings: Partial<JudgeSettings> = {}): PeerJudge =>
  createJudge({ peer: 'server', pins: [pinOf(der)], ...settings });

const good = (t: Test, verdict: Verified | string, name: string): Verified | undefined => {
  if (typeof verdict !== 'string') {
    t.pass(name);
    return verdict;
  }
  t.fail(`${name}: ${verdict}`);
  return undefined;
};

t.test('a good certificate is accepted, from an anchor and by its pin, and says who it is', async (t) => {
  for (const [kind, keys, scheme] of [
    ['P-256', KEYS.p256, SCHEME.ecdsaP256Sha256],
    ['Ed25519', KEYS.ed25519, SCHEME.ed25519],
    ['RSA', KEYS.rsa2048, SCHEME.rsaPssSha256],
  ] as const) {
    const der = signed({ keys });
    const own = loadOwn({ certificate: der, key: keys.privateKey });
    t.equal(own.scheme, scheme, kind);
    const message = Buffer.from(`of ${kind}`);
    for (const one of [judge(), pinned(der), judge({ peer: 'client' }), pinned(der, { peer: 'client' })]) {
      const verified = good(t, one.judge(der, NOW), kind);
      if (verified === undefined) continue;
      t.match(verified.certificate, {
        fingerprint: pinOf(der).replaceAll(':', '').toLowerCase(),
        subject: 'CN=chat.example.com',
        issuer: 'CN=a CA',
        serialNumber: '01',
        validFrom: NOW - DAY,
        validTo: NOW + DAY,
        names: ['chat.example.com', '*.wild.example.com', '192.0.2.1', '2001:db8::1'],
      });
      t.equal(verified.fingerprint, verified.certificate.fingerprint);
      t.ok(verified.verify(scheme, message, own.sign(message)), `${kind} verifies`);
      t.notOk(verified.verify(scheme, Buffer.from('another'), own.sign(message)), 'another message');
      for (const other of [0, 0x0401, 0x0403, 0x0503, 0x0804, 0x0807, 0x0809, -1, Number.NaN]) {
        if (other !== scheme) t.notOk(verified.verify(other, message, own.sign(message)), `scheme ${other} of ${kind}`);
      }
      for (const junk of [
        [],
        [0],
        own.sign(message).subarray(1),
        [...own.sign(message), 0],
        new Array(2000).fill(255),
      ]) {
        t.notOk(verified.verify(scheme, message, Uint8Array.from(junk)), 'junk');
      }
    }
  }
});

t.test('what is known of a certificate is not read again, and is judged again', async (t) => {
  const der = signed();
  const one = judge();
  const first = good(t, one.judge(der, NOW), 'once');
  const again = good(t, one.judge(Uint8Array.from(der), NOW), 'again, in other memory');
  t.equal(first?.certificate, again?.certificate, 'read once');
  t.ok(
    Object.isFrozen(first?.certificate) && Object.isFrozen(first?.certificate.names),
    'nobody changes it for others',
  );
  t.equal(one.judge(der, NOW + 2 * DAY), 'the certificate has expired');
  t.equal(one.judge(der, NOW - 2 * DAY), 'the certificate is not yet valid');
  t.equal(judge({ name: 'other.example.com' }).judge(der, NOW), 'the certificate is for another name');
  t.match(one.judge(changed(der, der.length - 1), NOW), /^the (certificate|signature)/, 'one bit makes it another one');
  t.equal(typeof one.judge(der.subarray(1), NOW), 'string', 'what cannot be read');
  t.equal(typeof one.judge(der.subarray(1), NOW), 'string', 'is not read better the second time');
  // Strangers drive out what is known, and nothing else.
  const strangers = Array.from({ length: 300 }, (_, at) => certify({ keys: KEYS.p256, subject: `stranger ${at}` }));
  for (const stranger of strangers) {
    t.equal(one.judge(stranger, NOW), 'the certificate is signed by nobody who is trusted');
  }
  const later = good(t, one.judge(der, NOW), 'after strangers');
  t.not(later?.certificate, first?.certificate, 'read anew');
  t.same(later?.certificate, first?.certificate);
});

t.test('an RSA signature is as long as the modulus, with a zero in front too', async (t) => {
  const own = loadOwn({ certificate: signed({ keys: KEYS.rsa2048 }), key: KEYS.rsa2048.privateKey });
  const verified = good(t, judge().judge(own.certificate, NOW), 'RSA');
  const message = Buffer.from('a message');
  // One of 256 begins with a zero: PSS is salted.
  let signature = own.sign(message);
  for (let i = 0; i < 10_000 && signature[0] !== 0; i++) signature = own.sign(message);
  t.equal(signature[0], 0);
  t.ok(verified?.verify(SCHEME.rsaPssSha256, message, signature));
  t.notOk(verified?.verify(SCHEME.rsaPssSha256, message, signature.subarray(1)), 'without it');
  t.notOk(verified?.verify(SCHEME.rsaPssSha256, message, Uint8Array.of(0, ...signature)), 'one more');
});

const UNKNOWN = { id: '1.3.6.1.4.1.99999.1', value: octetString(Uint8Array.of(1)) };
const changed = (der: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(der);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
};
/** The same with the outer length in a longer form than it needs: what BER allows. */
const asBer = (der: Uint8Array): Uint8Array => Uint8Array.of(0x30, 0x83, 0, der[2] as number, ...der.subarray(3));
const k1 = curve('secp256k1');
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
const e1 = (): Keys => {
  const { n } = KEYS.rsa2048.publicKey.export({ format: 'jwk' });
  return { ...KEYS.rsa2048, publicKey: createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: n ?? '', e: 'AQ' } }) };
};

/** The curve is described in the key, and not named. */
const described = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' });

type Row = readonly [title: string, der: Uint8Array, why: RegExp, settings?: Partial<JudgeSettings>, now?: number];

/** Wrong whoever trusts it: from the anchor and by the pin. */
const WRONG: readonly Row[] = [
  ['expired', signed({ to: NOW - 1000 }), /has expired/],
  ['not yet valid', signed({ from: NOW + 1000 }), /not yet valid/],
  ['a second too late', signed(), /has expired/, {}, NOW + DAY + 1000],
  ['a millisecond too early', signed(), /not yet valid/, {}, NOW - DAY - 1],
  ['at no time at all', signed(), /not yet valid/, {}, Number.NaN],
  ['a CA as leaf', signed({ extensions: withExtension(LEAF, basic(true)) }), /that of a CA/],
  ['a CA that may not even sign', signed({ extensions: [basic(true), usage(0x80)] }), /that of a CA/],
  ['clientAuth only', signed({ extensions: withExtension(LEAF, purposes(PURPOSE.client)) }), /not for a server/],
  [
    'any purpose is not this one',
    signed({ extensions: withExtension(LEAF, purposes('2.5.29.37.0')) }),
    /not for a server/,
  ],
  [
    'serverAuth only, of a client',
    signed({ extensions: withExtension(LEAF, purposes(PURPOSE.server)) }),
    /not for a client/,
    { peer: 'client' },
  ],
  ['a key that may not sign', signed({ extensions: withExtension(LEAF, usage(0x20)) }), /may not sign/],
  ['RSA 1024', signed({ keys: rsa(1024) }), /key of the certificate/],
  ['RSA with the exponent 1', signed({ keys: e1() }), /key of the certificate/],
  ['EC P-384', signed({ keys: curve('P-384') }), /key of the certificate/],
  ['EC secp256k1', signed({ keys: k1 }), /key of the certificate/],
  ['P-256 by its parameters', signed({ keys: described() }), /does not name its curve/],
  ['Ed448', signed({ keys: generateKeyPairSync('ed448') }), /key of the certificate/],
  ['X25519', signed({ keys: generateKeyPairSync('x25519') }), /key of the certificate/],
  ['RSA-PSS', signed({ keys: pss }), /key of the certificate/],
  ['unknown critical extension', signed({ extensions: [...LEAF, { ...UNKNOWN, critical: true }] }), /not understood/],
  [
    'critical constraints of names',
    signed({ extensions: [...LEAF, { id: EXTENSION.nameConstraints, critical: true, value: sequence() }] }),
    /not understood/,
  ],
  ['an extension twice', signed({ extensions: [...LEAF, basic(false)] }), /an extension twice/],
];

/** Octets that are no certificate, or not exactly one. */
const UNREADABLE: readonly (readonly [title: string, bytes: Uint8Array])[] = [
  ['nothing', new Uint8Array(0)],
  ['PEM', Buffer.from(writePem('CERTIFICATE', signed()))],
  ['a trailing octet', Uint8Array.of(...signed(), 0)],
  ['two certificates', Uint8Array.of(...signed(), ...signed())],
  ['the last octet is missing', signed().subarray(0, -1)],
  ['BER', asBer(signed())],
  ['an empty sequence', sequence()],
  ['three empty sequences', sequence(sequence(), sequence(), sequence())],
  ['a public key', KEYS.p256.publicKey.export({ type: 'spki', format: 'der' })],
  ['a private key', KEYS.p256.privateKey.export({ type: 'pkcs8', format: 'der' })],
  ['64 KiB of zeros', new Uint8Array(65_536)],
];

for (const [title, der, why, settings = {}, now = NOW] of WRONG) {
  t.test(`refused, by anchor and by pin: ${title}`, async (t) => {
    t.match(judge(settings).judge(der, now), why, 'signed by an anchor');
    t.match(pinned(der, settings).judge(der, now), why, 'pinned');
  });
}

t.test('octets that are not exactly one certificate are refused, and nothing is thrown', async (t) => {
  for (const [title, bytes] of UNREADABLE) t.match(judge().judge(bytes, NOW), /cannot be read/, title);
});

const SHA1 = { id: '1.2.840.10045.4.1', hash: 'sha1' };

t.test('only an anchor or a pin makes a certificate trusted', async (t) => {
  const self = certify({ keys: KEYS.p256 });
  const sameName = { subject: ISSUER.subject, keys: KEYS.other };
  const expiredAnchor = certify({ keys: ISSUER.keys, subject: ISSUER.subject, extensions: CA, to: NOW - 1000 });
  const rows: readonly Row[] = [
    ['self-signed without a pin', self, /nobody who is trusted/],
    ['another CA', signed({ issuer: OTHER_ISSUER }), /nobody who is trusted/],
    ['a CA of the same name with another key', signed({ issuer: sameName }), /signature of the certificate is wrong/],
    [
      'a CA of the same name with another kind of key',
      signed({ issuer: { ...sameName, keys: ed25519() } }),
      /nobody who is trusted/,
    ],
    ['a signature that was changed', changed(signed(), signed().length - 3), /wrong|cannot be read/],
    ['signed over SHA-1', signed({ algorithm: SHA1 }), /too weak/],
    ['an anchor that has expired', signed(), /CA of the certificate is expired/, { anchors: [expiredAnchor] }],
    ['an anchor that is not for now', signed({ to: NOW + 200 * DAY }), /CA of the certificate/, {}, NOW + 150 * DAY],
    ['another pin', self, /nobody who is trusted/, { anchors: [], pins: ['ab'.repeat(32)] }],
  ];
  for (const [title, der, why, settings = {}, now = NOW] of rows) {
    t.match(judge(settings).judge(der, now), why, title);
    good(t, pinned(der, {}).judge(der, now), `${title}, pinned`);
  }
  good(t, judge({ anchors: [expiredAnchor, ANCHOR] }).judge(signed(), NOW), 'one of two anchors is enough');
  good(t, judge({ pins: [pinOf(self)] }).judge(self, NOW), 'a pin beside anchors');
  good(t, judge({ pins: [pinOf(self)] }).judge(signed(), NOW), 'an anchor beside pins');
  const bundle = writePem('CERTIFICATE', certify({ keys: OTHER_ISSUER.keys, subject: 'x', extensions: CA }));
  good(
    t,
    judge({ anchors: [bundle + writePem('CERTIFICATE', ANCHOR)] }).judge(signed(), NOW),
    'the second of a bundle',
  );
  for (const keys of [curve('P-384'), curve('P-521'), ed25519(), KEYS.rsa2048]) {
    const issuer = { subject: 'one more CA', keys };
    const anchor = certify({ ...issuer, extensions: CA });
    good(t, judge({ anchors: [anchor] }).judge(signed({ issuer }), NOW), `anchor ${keys.publicKey.asymmetricKeyType}`);
  }
});

t.test('a server must be the one that was dialled, unless it is pinned', async (t) => {
  const der = signed();
  for (const [name, right] of [
    ['chat.example.com', true],
    ['CHAT.example.COM', true],
    ['chat.example.com.', true],
    ['a.wild.example.com', true],
    ['192.0.2.1', true],
    ['2001:db8::1', true],
    ['[2001:DB8:0::1]', true],
    ['example.com', false],
    ['wild.example.com', false],
    ['a.b.wild.example.com', false],
    ['chat.example.com.evil.test', false],
    ['evil.test', false],
    ['192.0.2.2', false],
    ['2001:db8::2', false],
    ['localhost', false],
  ] as const) {
    const verdict = judge({ name }).judge(der, NOW);
    if (right) good(t, verdict, name);
    else t.match(verdict, /for another name/, name);
    good(t, pinned(der, { name }).judge(der, NOW), `${name}, pinned`);
  }
  const nameless = signed({ extensions: without(LEAF, EXTENSION.subjectAltName) });
  t.match(judge().judge(nameless, NOW), /for another name/, 'a common name is no name of a server');
  good(t, judge({ peer: 'client', name: undefined }).judge(nameless, NOW), 'a client needs none');
  const partial = signed({ extensions: withExtension(LEAF, rawName('ch*t.example.com')) });
  t.match(judge().judge(partial, NOW), /for another name/, 'a wildcard is a whole label');
  for (const bad of ['chat.example.com\0.evil.test', 'chat example', 'ch\u00e4t', '']) {
    t.match(
      judge().judge(signed({ extensions: withExtension(LEAF, rawName(bad)) }), NOW),
      /cannot be read/,
      JSON.stringify(bad),
    );
  }
});

const rawName = (text: string): { id: string; value: Uint8Array } => ({
  id: EXTENSION.subjectAltName,
  value: sequence(element(0x82, Uint8Array.from(Buffer.from(text, 'latin1')))),
});

t.test('extensions that are encoded in another way than the one are refused', async (t) => {
  const { basicConstraints, keyUsage, extendedKeyUsage, subjectAltName, subjectKeyId } = EXTENSION;
  const no = Uint8Array.of(1, 1, 0);
  const yes = Uint8Array.of(1, 1, 0xff);
  const rows: readonly (readonly [title: string, id: string, value: Uint8Array])[] = [
    ['cA FALSE is the default', basicConstraints, sequence(no)],
    ['a path length without cA', basicConstraints, sequence(Uint8Array.of(2, 1, 0))],
    ['a path length below zero', basicConstraints, sequence(yes, Uint8Array.of(2, 1, 0xff))],
    ['three fields', basicConstraints, sequence(yes, Uint8Array.of(2, 1, 0), no)],
    ['no sequence', basicConstraints, octetString(yes)],
    ['no usage', keyUsage, bitString(Uint8Array.of(0))],
    ['usage in three octets', keyUsage, bitString(Uint8Array.of(0x80, 0, 1))],
    ['usage with bits that do not count', keyUsage, bitString(Uint8Array.of(0x81), 7)],
    ['no purposes', extendedKeyUsage, sequence()],
    ['a purpose of another type', extendedKeyUsage, sequence(objectId(PURPOSE.server), yes)],
    ['no names', subjectAltName, sequence()],
    ['an address of five octets', subjectAltName, sequence(element(0x87, new Uint8Array(5)))],
    ['a key id of another type', subjectKeyId, bitString(Uint8Array.of(1))],
    ['something behind it', subjectKeyId, Uint8Array.of(4, 0, 0)],
  ];
  for (const [title, id, value] of rows) {
    const der = signed({ extensions: withExtension(LEAF, { id, value }) });
    t.match(judge().judge(der, NOW), /its extensions are bad/, title);
  }
  const others = sequence(element(0x86, Buffer.from('ws://x')), element(0x82, Buffer.from('chat.example.com')));
  const der = signed({ extensions: withExtension(LEAF, { id: subjectAltName, critical: true, value: others }) });
  t.strictSame(good(t, judge().judge(der, NOW), 'a URI')?.certificate.names, ['chat.example.com']);
  const anonymous = signed({
    subject: '',
    extensions: withExtension(LEAF, { ...names('chat.example.com'), critical: true }),
  });
  t.equal(good(t, judge().judge(anonymous, NOW), 'no subject')?.certificate.subject, '');
  const plain = signed({ extensions: [names('chat.example.com')] });
  good(t, judge().judge(plain, NOW), 'nothing but a name');
  good(t, judge().judge(signed({ extensions: [...LEAF, UNKNOWN] }), NOW), 'an unknown extension that is not critical');
});

t.test('5,000 random and mutated certificates are never accepted, and nothing is thrown', async (t) => {
  const random = seedFromEnv('certificates');
  const der = signed();
  const judges = [judge(), pinned(der), judge({ peer: 'client', name: undefined })];
  const mutate = (): Uint8Array => {
    const copy = Uint8Array.from(der);
    const kind = random.int(5);
    if (kind === 0) return random.bytes(random.int(600));
    if (kind === 1) return copy.subarray(0, random.int(copy.length));
    if (kind === 2) return Uint8Array.of(...copy.subarray(0, random.int(copy.length)), ...random.bytes(random.int(50)));
    for (let i = 0; i <= random.int(4); i++) copy[random.int(copy.length)] = random.int(256);
    return copy;
  };
  const reasons = new Map<string, number>();
  for (let i = 0; i < 5000; i++) {
    const bytes = mutate();
    if (Buffer.compare(bytes, der) === 0) continue;
    const verdict = random.pick(judges).judge(bytes, NOW);
    if (typeof verdict === 'string') reasons.set(verdict, (reasons.get(verdict) ?? 0) + 1);
    else t.fail(`accepted: ${Buffer.from(bytes).toString('hex')}, seed ${random.seed}`);
  }
  t.ok(reasons.size > 8, `${reasons.size} different reasons`);
});

t.test('an ECDSA signature is one in DER, with both numbers in their range', async (t) => {
  const der = signed();
  const own = loadOwn({ certificate: der, key: KEYS.p256.privateKey });
  const verified = good(t, judge().judge(der, NOW), 'the certificate');
  const message = Buffer.from('to be signed');
  const signature = own.sign(message);
  const says = (octets: Uint8Array): boolean | undefined => verified?.verify(SCHEME.ecdsaP256Sha256, message, octets);
  for (const [title, octets] of sameSignatures(signature)) t.equal(says(octets), true, title);
  for (const [title, octets] of badSignatures(signature)) t.equal(says(octets), false, title);
  const random = seedFromEnv('signatures');
  for (let i = 0; i < 300; i++) {
    const copy = Uint8Array.from(signature);
    copy[random.int(copy.length)] = random.int(256);
    if (Buffer.compare(copy, signature) !== 0 && says(copy) !== false) t.fail(`accepted, seed ${random.seed}`);
  }
});

/** The fields of the signed part, as they are or otherwise, in a certificate whose signature nobody looks at. */
const rebuilt = (
  change: (fields: Uint8Array[]) => Uint8Array[],
  rest?: (parts: Uint8Array[]) => Uint8Array[],
): Uint8Array => {
  const wholes = (bytes: Uint8Array): Uint8Array[] => (readElements(bytes) ?? []).map(({ whole }) => whole);
  const parts = wholes(readOne(signed(), TAG.sequence)?.body ?? new Uint8Array(0));
  const fields = wholes(readOne(parts[0] as Uint8Array, TAG.sequence)?.body ?? new Uint8Array(0));
  const changed = [sequence(...change(fields)), ...parts.slice(1)];
  return sequence(...(rest === undefined ? changed : rest(changed)));
};

t.test('a certificate has the form of RFC 5280, to the last field', async (t) => {
  const at =
    (place: number, ...instead: Uint8Array[]) =>
    (list: Uint8Array[]): Uint8Array[] =>
      list.toSpliced(place, 1, ...instead);
  const same = (list: Uint8Array[]): Uint8Array[] => list;
  const version = (n: number): Uint8Array => element(0xa0, unsigned(Uint8Array.of(n)));
  const time = (text: string): Uint8Array => element(TAG.utcTime, Buffer.from(text));
  const [from, to] = [time('290101000000Z'), time('310101000000Z')];
  const bad = element(0xa3, sequence(sequence(objectId('1.2.3'))));
  t.equal(typeof readCertificate(rebuilt(same)), 'object', 'rebuilt as it was');
  for (const [title, der, why] of [
    ['no version', rebuilt(at(0)), /of version 3/],
    ['version 1', rebuilt(at(0, version(0))), /of version 3/],
    ['version 2', rebuilt(at(0, version(1))), /of version 3/],
    ['version 4', rebuilt(at(0, version(3))), /of version 3/],
    ['a serial of 22 octets', rebuilt(at(1, element(2, new Uint8Array(22).fill(1)))), /serial number/],
    ['a serial in a longer form', rebuilt(at(1, element(2, Uint8Array.of(0, 1)))), /serial number/],
    ['a serial of another type', rebuilt(at(1, octetString(Uint8Array.of(1)))), /serial number/],
    ['another algorithm inside', rebuilt(at(2, sequence(objectId('1.2.840.10045.4.3.3')))), /signature algorithm/],
    ['no algorithm', rebuilt(at(2, sequence()), at(1, sequence())), /signature algorithm/],
    ['no issuer', rebuilt(at(3)), /its/],
    ['one time', rebuilt(at(4, sequence(from))), /validity/],
    ['three times', rebuilt(at(4, sequence(from, to, to))), /validity/],
    ['a time that is none', rebuilt(at(4, sequence(from, time('310001000000Z')))), /validity/],
    ['no key', rebuilt(at(6)), /body/],
    ['extensions in another tag', rebuilt((list) => [...list.slice(0, -1), element(0xa4, sequence())]), /body/],
    ['extensions twice', rebuilt((list) => [...list, list.at(-1) as Uint8Array]), /body/],
    ['identifiers in the wrong order', rebuilt(at(7, element(0x82, from), element(0x81, from))), /body/],
    ['an empty list of extensions', rebuilt(at(7, element(0xa3, sequence()))), /extensions/],
    ['an extension without a value', rebuilt(at(7, bad)), /extensions/],
    ['critical FALSE is the default', rebuilt(at(7, extension(Uint8Array.of(1, 1, 0)))), /extensions/],
    ['four fields', rebuilt(at(7, extension(truth(), truth()))), /extensions/],
    ['a fourth part', rebuilt(same, (list) => [...list, from]), /not a certificate/],
    ['no signature', rebuilt(same, (list) => list.slice(0, 2)), /not a certificate/],
  ] as const) {
    t.match(readCertificate(der), why, title);
  }
  const old = rebuilt(at(7, element(0x81, Uint8Array.of(0, 1)), element(0x82, Uint8Array.of(0, 1))));
  t.match(readCertificate(old), { ca: false, usage: undefined, names: [] }, 'unique identifiers are passed over');
});

const extension = (...flags: readonly Uint8Array[]): Uint8Array =>
  element(0xa3, sequence(sequence(objectId('1.2.3'), ...flags, octetString(Uint8Array.of(1)))));

t.test('our own certificate is loaded from every form of it', async (t) => {
  const der = signed();
  const pem = writePem('CERTIFICATE', der);
  const { privateKey, publicKey } = KEYS.p256;
  const chain = pem + writePem('CERTIFICATE', ANCHOR);
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  for (const certificate of [der, Buffer.from(der), pem, Buffer.from(pem), `a comment\n${pem}`, chain]) {
    for (const key of [
      privateKey,
      keyPem,
      Buffer.from(keyPem),
      privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      privateKey.export({ type: 'pkcs8', format: 'der' }),
      privateKey.export({ type: 'sec1', format: 'der' }),
    ]) {
      const own = loadOwn({ certificate, key });
      t.strictSame(Buffer.from(own.certificate), Buffer.from(der));
      t.equal(own.scheme, SCHEME.ecdsaP256Sha256);
    }
  }
  t.notOk(Buffer.isBuffer(loadOwn({ certificate: der, key: privateKey }).certificate), 'a plain Uint8Array');
  const own = loadOwn({ certificate: der, key: privateKey });
  t.strictSame(
    Buffer.from(own.publicKey ?? []),
    publicKey.export({ type: 'spki', format: 'der' }).subarray(-65),
    'the point, for pins',
  );
  t.equal(own.info.subject, 'CN=chat.example.com');
  const rsaDer = KEYS.rsa2048.privateKey.export({ type: 'pkcs1', format: 'der' });
  const rsaOwn = loadOwn({ certificate: signed({ keys: KEYS.rsa2048 }), key: rsaDer });
  t.equal(rsaOwn.publicKey, undefined, 'RSA has no point');
  for (const format of ['pem', 'der'] as const) {
    const secret = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' });
    const key =
      format === 'pem'
        ? secret.toString()
        : privateKey.export({ type: 'pkcs8', format: 'der', cipher: 'aes-128-cbc', passphrase: 'x' });
    t.ok(loadOwn({ certificate: der, key, passphrase: 'x' }), `an encrypted key in ${format}`);
    t.throws(() => loadOwn({ certificate: der, key, passphrase: 'y' }), /or the passphrase is wrong/);
  }
  const file = (name: string): string =>
    readFileSync(new URL(`../../../fixtures/tls/${name}.pem`, import.meta.url), 'utf8');
  t.throws(() => loadOwn({ certificate: file('cert'), key: file('key') }), /certificate of a CA|signing|not usable/);
});

t.test('what cannot be our certificate is told in one sentence', async (t) => {
  const der = signed();
  const { privateKey, publicKey } = KEYS.p256;
  const pem = writePem('CERTIFICATE', der);
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const secret = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString();
  const p384 = curve('P-384');
  for (const [certificate, key, why] of [
    [pem, KEYS.other.privateKey, /the key does not belong to the certificate/],
    [pem, publicKey, /a private key is expected, not a public one/],
    [pem, pem, /a private key is expected: this is a certificate/],
    [pem, 'secret', /a private key is expected: this is neither PEM nor DER/],
    [pem, secret, /encrypted: a passphrase is needed/],
    [pem, keyPem.replace(/[\w+/]{20}/, ''), /the private key cannot be read$/],
    [pem, Uint8Array.of(0x30, 0), /the private key cannot be read$/],
    [keyPem, keyPem, /a certificate is expected: this is a private key/],
    ['', keyPem, /a certificate is expected: this is neither PEM nor DER/],
    [pem.replace(/[\w+/]{20}/, ''), keyPem, /the certificate cannot be read/],
    [Uint8Array.of(0x30, 0), keyPem, /the certificate cannot be read/],
    [certify({ keys: p384 }), p384.privateKey, /must be P-256, Ed25519 or RSA of at least 2048 bits/],
    [certify({ keys: KEYS.p256, extensions: CA }), privateKey, /the certificate of a CA/],
    [signed({ extensions: [...LEAF, { ...UNKNOWN, critical: true }] }), privateKey, /critical extension 1\.3\.6\.1\.4/],
    [signed({ extensions: withExtension(LEAF, usage(0x20)) }), privateKey, /does not include signing/],
    [signed({ extensions: [...LEAF, basic(false)] }), privateKey, /it has an extension twice/],
    [certify({ keys: described() }), privateKey, /its key does not name its curve/],
  ] as const) {
    t.throws(() => loadOwn({ certificate, key }), { name: 'TypeError', message: why });
  }
});

t.test('a judge that could judge nothing, or wrongly, is not made', async (t) => {
  const anchorWith = (extensions: Wish['extensions'] & object, keys = ISSUER.keys): Uint8Array =>
    certify({ keys, subject: 'CA', extensions });
  const settings: readonly (readonly [Partial<JudgeSettings>, RegExp])[] = [
    [{ anchors: [] }, /nothing says which certificates to trust/],
    [{ pins: ['abc'] }, /64 hexadecimal digits/],
    [{ pins: [`${'ab'.repeat(31)}zz`] }, /64 hexadecimal digits/],
    [{ name: undefined }, /the server's name is needed/],
    ...[
      '',
      '.example.com',
      'a b',
      'a\0b',
      '*.example.com',
      '-x',
      'x-',
      'a..b',
      '..',
      'http://x',
      '[::1',
      '192.0.2',
      '1.2.3.4.5',
      ':::',
      'fe80::1%eth0',
      '1:2:3:4:5:6:7:8:9',
      'x'.repeat(64),
    ].map((name) => [{ name }, /not a name or an address/] as const),
    [{ anchors: [signed()] }, /"CN=chat.example.com" is not the certificate of a CA: to trust it alone, pin it/],
    [{ anchors: ['nothing'] }, /neither PEM nor DER/],
    [{ anchors: [anchorWith([basic(true), usage(0x80)])] }, /the anchor "CN=CA" may not sign certificates/],
    [{ anchors: [anchorWith([...CA, { ...UNKNOWN, critical: true }])] }, /constraints that are not kept here/],
    [
      { anchors: [anchorWith([...CA, { id: EXTENSION.nameConstraints, value: sequence() }])] },
      /constraints that are not kept here/,
    ],
    [{ anchors: [anchorWith([...CA, purposes(PURPOSE.client)])] }, /may not sign for a server/],
    [{ anchors: [anchorWith(CA, rsa(1024))] }, /too weak or of another kind/],
    [{ anchors: [anchorWith(CA, KEYS.rsa2048), signed()] }, /not the certificate of a CA/],
  ];
  for (const [some, why] of settings) t.throws(() => judge(some), { name: 'TypeError', message: why });
  t.ok(createJudge({ peer: 'client', anchors: [ANCHOR] }), 'the name of a client is not known before');
  t.equal(loadCertificates(writePem('CERTIFICATE', ANCHOR).repeat(3)).length, 3);
});
