// Keys of packages: made, written and read again without a change; whatever is no such key is refused in words that hold nothing of it. And the
// ring they hang on: several kids a node, keys that retire, kids that are only ever looked up.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { nodeSuite } from '../../lib/crypto/node.js';
import {
  isP256,
  makeNodeKey,
  makeSecret,
  publicKeyOf,
  readJwk,
  readPrivateKey,
  readPublicKey,
  readSecret,
  secretFrom,
  writeJwk,
  writePem,
  writeSecret,
} from '../../lib/crypto/package-keys.js';
import { keyEndOf } from '../../lib/package/key-change.js';
import { isKid, KeyRing, oneKey } from '../../lib/package/key-ring.js';
import type { KeyRecord, Verifier } from '../../lib/package/package.js';
import { judgeToken } from '../../lib/package/token.js';
import { nodeSigner, nodeVerifier } from '../../lib/package/token-node.js';
import { portableVerifier } from '../../lib/package/token-portable.js';
import { payloadOf, record, SECRET, WALL } from './forge.js';

t.test('a pair is on P-256, and comes back from PEM and from JWK', async (t) => {
  const { privateKey, publicKey } = makeNodeKey();
  t.ok(isP256(privateKey) && isP256(publicKey));
  t.match(writePem(privateKey), /^-----BEGIN PRIVATE KEY-----\n/);
  t.match(writePem(publicKey), /^-----BEGIN PUBLIC KEY-----\n/);
  t.ok(readPrivateKey(writePem(privateKey)).equals(privateKey));
  t.ok(readPublicKey(writePem(publicKey)).equals(publicKey));
  t.ok(publicKeyOf(privateKey).equals(publicKey));
  t.match(writeJwk(publicKey), { kty: 'EC', crv: 'P-256', d: undefined });
  t.ok(readJwk(writeJwk(privateKey)).equals(privateKey));
  t.ok(readJwk(writeJwk(publicKey)).equals(publicKey));
  t.notOk(makeNodeKey().publicKey.equals(publicKey), 'the next one is another');
});

t.test('a secret has 32 octets or more, and comes back from base64url and from JWK', async (t) => {
  const secret = makeSecret();
  t.equal(secret.symmetricKeySize, 32);
  t.ok(readSecret(writeSecret(secret)).equals(secret));
  t.ok(readJwk(writeJwk(secret)).equals(secret));
  t.ok(secretFrom(SECRET).equals(readSecret('AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8')));
  t.notOk(makeSecret().equals(secret), 'the next one is another');
  const octets = Uint8Array.from(SECRET);
  const key = secretFrom(octets);
  octets.fill(0);
  t.ok(key.equals(secretFrom(SECRET)), 'the octets were copied');
});

const p256 = makeNodeKey();
const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const pemOf = (key: typeof rsa.privateKey): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const spkiOf = (key: typeof rsa.publicKey): string => key.export({ type: 'spki', format: 'pem' }).toString();
const SHORT = Buffer.from(SECRET.subarray(1)).toString('base64url');
const GOOD = Buffer.from(SECRET).toString('base64url');

const REFUSED: readonly (readonly [name: string, read: () => unknown])[] = [
  ['a private key of another curve', () => readPrivateKey(pemOf(other.privateKey))],
  ['a private RSA key', () => readPrivateKey(pemOf(rsa.privateKey))],
  ['a private Ed25519 key', () => readPrivateKey(pemOf(ed.privateKey))],
  ['a public key as a private one', () => readPrivateKey(writePem(p256.publicKey))],
  ['a private key that is cut', () => readPrivateKey(writePem(p256.privateKey).slice(0, 120))],
  [
    'a private key that needs a passphrase',
    () =>
      readPrivateKey(
        p256.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString(),
      ),
  ],
  ['no private key at all', () => readPrivateKey('')],
  ['a public key of another curve', () => readPublicKey(spkiOf(other.publicKey))],
  ['a public RSA key', () => readPublicKey(spkiOf(rsa.publicKey))],
  ['a private key as a public one', () => readPublicKey(writePem(p256.privateKey))],
  ['no public key at all', () => readPublicKey('hello')],
  ['a secret of 31 octets', () => readSecret(SHORT)],
  ['a secret with padding', () => readSecret(`${GOOD}=`)],
  ['a secret in the other alphabet', () => readSecret(`${'+'.repeat(43)}`)],
  ['a secret with a line end', () => readSecret(`${GOOD}\n`)],
  ['a secret with spare bits', () => readSecret(`${GOOD.slice(0, -1)}9`)],
  ['no secret at all', () => readSecret('')],
  ['31 octets', () => secretFrom(SECRET.subarray(1))],
  ['a JWK without k', () => readJwk({ kty: 'oct' })],
  ['a JWK of a short secret', () => readJwk({ kty: 'oct', k: SHORT })],
  ['a JWK of another curve', () => readJwk(writeJwk(other.publicKey))],
  ['a JWK of RSA', () => readJwk(writeJwk(rsa.publicKey))],
  ['a JWK of a point that is none', () => readJwk({ ...writeJwk(p256.publicKey), x: GOOD })],
  ['an empty JWK', () => readJwk({})],
  ['a secret as PEM', () => writePem(makeSecret())],
  ['a pair as a secret', () => writeSecret(p256.privateKey)],
];

t.test('what is no such key is refused, in words that hold nothing of it', async (t) => {
  const secrets = [SHORT, GOOD, writePem(p256.privateKey).split('\n')[1] ?? '', writeJwk(p256.privateKey).d ?? ''];
  for (const [name, read] of REFUSED) {
    let error: unknown;
    try {
      read();
    } catch (thrown) {
      error = thrown;
    }
    t.ok(error instanceof TypeError || error instanceof RangeError, name);
    const said =
      error instanceof Error ? `${error.message} ${error.stack} ${JSON.stringify(error)} ${error.cause}` : '';
    for (const secret of secrets) t.notOk(said.includes(secret.slice(0, 12)), `${name} quotes nothing`);
  }
});

t.test('a kid is 1 to 64 letters, digits, dots, underscores and dashes', async (t) => {
  for (const kid of ['a', '-', 'svc-a.1', 'A_b.C-9', '__proto__', 'k'.repeat(64)]) t.ok(isKid(kid), kid);
  for (const kid of ['', 'k'.repeat(65), 'a b', 'a/b', '../key', "x' or 1=1", 'a\u0000', 'é', 'a+b', 'http://x']) {
    t.notOk(isKid(kid), JSON.stringify(kid));
    t.throws(() => new KeyRing(() => WALL).add(record(kid)), TypeError, JSON.stringify(kid));
  }
});

t.test('keys are found by their kid, and all of a node by its name', async (t) => {
  const ring = new KeyRing(() => WALL, [record('svc-a.1'), record('svc-b.1', { node: 'svc-b' })]);
  const second = record('svc-a.2');
  ring.add(second);
  t.equal(ring.find('svc-a.2'), second);
  t.strictSame(
    ring.of('svc-a').map(({ kid }) => kid),
    ['svc-a.1', 'svc-a.2'],
  );
  t.strictSame(
    ring.of('svc-b').map(({ kid }) => kid),
    ['svc-b.1'],
  );
  for (const name of ['svc-z', '__proto__', 'constructor', 'toString', '']) {
    t.equal(ring.find(name), undefined, name);
    t.strictSame(ring.of(name), [], name);
  }
  t.throws(() => ring.add(record('svc-a.1', { node: 'svc-b' })), /taken/, 'a kid is never given twice');
  t.ok(ring.remove('svc-a.1'));
  t.notOk(ring.remove('svc-a.1'), 'it has gone');
  t.strictSame(
    ring.of('svc-a').map(({ kid }) => kid),
    ['svc-a.2'],
  );
  t.equal(ring.size, 2);
});

t.test('a key can be replaced while its tokens are on the way: from its time on it is refused', async (t) => {
  let now = WALL;
  const old = makeNodeKey();
  const fresh = makeNodeKey();
  const keyOf = (kid: string, { publicKey }: typeof old): void =>
    ring.add({ ...record(kid), verifier: nodeVerifier('ES256', publicKey) });
  const ring = new KeyRing(() => now);
  keyOf('svc-a.1', old);
  keyOf('svc-a.2', fresh);
  const token = (kid: string, { privateKey }: typeof old): string =>
    nodeSigner({ kid, alg: 'ES256', key: privateKey, node: 'svc-a' }).sign(payloadOf());
  const judge = (text: string): string => {
    const judged = judgeToken(text, ring, { wall: () => now });
    return judged.kind === 'judged' ? judged.record.kid : judged.code;
  };
  const [first, second] = [token('svc-a.1', old), token('svc-a.2', fresh)];
  t.ok(ring.retire('svc-a.1', WALL + 10_000));
  t.strictSame([judge(first), judge(second)], ['svc-a.1', 'svc-a.2'], 'both hold');
  t.equal(judge(token('svc-a.2', old)), 'bad_token', 'the old key under the new kid');
  now = WALL + 9_999;
  t.equal(judge(first), 'svc-a.1', 'a millisecond before');
  now = WALL + 10_000;
  t.strictSame([judge(first), judge(second)], ['bad_token', 'svc-a.2'], 'from then on');
  t.strictSame(
    ring.of('svc-a').map(({ kid }) => kid),
    ['svc-a.2'],
  );
  t.equal(ring.size, 1, 'what is over is dropped');
  t.notOk(ring.retire('svc-a.1', now), 'it has gone');
  t.throws(() => ring.retire('svc-a.2', Number.NaN), RangeError);
  ring.retire('svc-a.2', now);
  t.equal(judge(second), 'bad_token', 'at once');
  t.strictSame(ring.of('svc-a'), []);
  t.equal(ring.size, 0);
});

t.test('whether what stands under a kid is still what it was: the key, then the rights', async (t) => {
  const pair = makeNodeKey();
  const again = readPublicKey(writePem(pair.publicKey));
  const verifier = nodeVerifier('ES256', pair.publicKey);
  const known: KeyRecord = { ...record('svc-a.1', { users: ['1', '2'], scopes: [0] }), verifier };
  const codeOf = (change: Partial<KeyRecord>): number | undefined => keyEndOf(known, { ...known, ...change })?.code;
  t.equal(keyEndOf(known, known), undefined);
  t.equal(codeOf({ verifier: nodeVerifier('ES256', again) }), undefined, 'the same key, read once more');
  t.equal(codeOf({ users: ['2', '1'], scopes: [0] }), undefined, 'the same rights in another order');
  t.match(keyEndOf(known, undefined), { code: 4003, reason: 'revoked' });
  t.equal(codeOf({ node: 'svc-b' }), 4003, "another node's");
  t.equal(codeOf({ verifier: nodeVerifier('ES256', makeNodeKey().publicKey) }), 4003, 'another key');
  t.equal(codeOf({ verifier: nodeVerifier('HS256', secretFrom(SECRET)) }), 4003, 'of another kind');
  t.equal(codeOf({ verifier: nodeVerifier('HS256', makeSecret()), users: [] }), 4003, 'the key goes before the rights');
  for (const change of [
    { role: 'front' },
    { users: undefined },
    { users: ['1'] },
    { users: ['1', '2', '3'] },
    { users: ['1', '3'] },
    { scopes: [1] },
    { scopes: [] },
    { permissions: ['assign'] },
    { endpoints: ['b'] },
  ] as const satisfies readonly Partial<KeyRecord>[]) {
    t.equal(codeOf(change), 1012, JSON.stringify(change));
  }
  const bare: KeyRecord['verifier'] = { alg: 'HS256', verify: () => true };
  t.equal(
    keyEndOf({ ...known, verifier: bare }, { ...known, verifier: bare }),
    undefined,
    'one that cannot be compared',
  );
  t.equal(keyEndOf({ ...known, verifier: bare }, { ...known, verifier: { ...bare } })?.code, 4003, 'and another');
});

t.test('a verifier knows its key again, and tells nothing of it', async (t) => {
  const other = Uint8Array.from(SECRET).fill(9);
  const halves = [
    (secret: Uint8Array): Verifier => nodeVerifier('HS256', secretFrom(secret)),
    (secret: Uint8Array): Verifier => portableVerifier(secret, nodeSuite),
  ];
  for (const make of halves) {
    const verifier = make(SECRET);
    t.equal(verifier.isSame?.(verifier), true);
    t.equal(verifier.isSame?.(make(SECRET)), true);
    t.equal(verifier.isSame?.(make(other)), false);
    t.equal(verifier.isSame?.({ alg: 'HS256', verify: () => true }), false, 'one that says yes to everything');
    t.strictSame(Object.keys(verifier).sort(), ['alg', 'isSame', 'verify']);
  }
});

t.test('one key is found under its own kid alone', async (t) => {
  const only = record('session');
  t.equal(oneKey(only).find('session'), only);
  for (const kid of ['Session', '', 'svc-a.1']) t.equal(oneKey(only).find(kid), undefined);
});
