// Keys of package tokens: P-256 pairs for ES256 and secrets for HS256, made, read and written as PEM, JWK and base64url, always as KeyObjects
// of Node: signing by anything else reads the key anew with every token. What is wrong with a key is thrown, without the key.
// RFC 7517, RFC 7518 sections 3.2 and 3.4.
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

/** RFC 7518 section 3.2: as long as the hash at least. */
const SHORTEST_SECRET = 32;

export interface NodeKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export const makeNodeKey = (): NodeKey => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** RFC 7518 section 3.4: ES256 is P-256 and nothing else. */
export const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';

const checkCurve = (key: KeyObject): KeyObject => {
  if (!isP256(key)) throw new TypeError('the key is not on the curve P-256');
  return key;
};

/** What OpenSSL says of a broken key may quote it: so its words are replaced. */
const read = (what: string, make: () => KeyObject): KeyObject => {
  try {
    return make();
  } catch {
    throw new TypeError(`this is not ${what}`);
  }
};

/** PKCS#8 or SEC1, not encrypted. */
export const readPrivateKey = (pem: string): KeyObject =>
  checkCurve(read('a private key in PEM', () => createPrivateKey({ key: pem, format: 'pem' })));

/** SPKI. A private key is refused, though it has a public half: it must not lie where public keys lie. */
export const readPublicKey = (pem: string): KeyObject => {
  if (pem.includes('PRIVATE KEY')) throw new TypeError('this is a private key where a public one belongs');
  return checkCurve(read('a public key in PEM', () => createPublicKey({ key: pem, format: 'pem' })));
};

/** PKCS#8 of a private key, SPKI of a public one. */
export const writePem = (key: KeyObject): string => {
  if (key.type === 'secret') throw new TypeError('a secret is not written as PEM');
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }).toString();
};

export const publicKeyOf = (privateKey: KeyObject): KeyObject => createPublicKey(privateKey);

export const makeSecret = (): KeyObject => createSecretKey(randomBytes(SHORTEST_SECRET));

/** The octets are copied. */
export const secretFrom = (octets: Uint8Array): KeyObject => {
  if (octets.length < SHORTEST_SECRET) throw new RangeError(`a secret has at least ${SHORTEST_SECRET} octets`);
  return createSecretKey(octets);
};

export const readSecret = (base64url: string): KeyObject => {
  const octets = Buffer.from(base64url, 'base64url');
  // Buffer skips what it does not know.
  if (octets.toString('base64url') !== base64url) throw new TypeError('the secret is not base64url without padding');
  return secretFrom(octets);
};

export const writeSecret = (secret: KeyObject): string => {
  if (secret.type !== 'secret') throw new TypeError('a key of a pair is not a secret');
  return secret.export().toString('base64url');
};

/** Of all three kinds: `kty` "EC" with or without `d`, or "oct". */
export const readJwk = (jwk: JsonWebKey): KeyObject => {
  if (jwk.kty === 'oct') {
    if (typeof jwk.k !== 'string') throw new TypeError('the JWK has no k');
    return readSecret(jwk.k);
  }
  const make = jwk.d === undefined ? createPublicKey : createPrivateKey;
  return checkCurve(read('a JWK of a key of P-256', () => make({ key: jwk, format: 'jwk' })));
};

export const writeJwk = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' });
