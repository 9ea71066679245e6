// Signing and verifying in Node, by jsonwebtoken and nothing else. It is always told the one algorithm of the key, always gets a KeyObject, and
// is asked about the signature alone: times and claims are judged in claims.ts, by a clock that is ours. The payload goes in as text, so the
// octets that are signed are those that escape.ts wrote. The only file that knows jsonwebtoken. PROTOCOL.md section 8.2.
//
// Measured with a payload of 250 octets: HS256 signs in 4 and verifies in 7 microseconds, ES256 in 25 and 56, of which OpenSSL has 2, 2, 21, 51.
import type { KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import type jwt from 'jsonwebtoken';
import { isP256, publicKeyOf, readPrivateKey, readPublicKey, readSecret } from '../crypto/package-keys.js';
import type { Credential } from './credential.js';
import { isNodeID } from './identifier.js';
import { isKid, oneKey } from './key-ring.js';
import { MIN_SECRET } from './limits.js';
import type { Algorithm, KeySource, Signer, Verifier } from './package.js';

let loaded: typeof jwt | undefined;
/** At the first key: it takes a third as long to load as all the rest of the door, and who only sends messages has none. */
const load = (): typeof jwt => {
  loaded ??= createRequire(import.meta.url)('jsonwebtoken') as typeof jwt;
  return loaded;
};

/** RFC 7518 section 3.2; jsonwebtoken takes shorter secrets. */
const checkSecret = (key: KeyObject): void => {
  if (key.type !== 'secret') throw new TypeError('HS256 needs a secret, not a key of a pair');
  if ((key.symmetricKeySize ?? 0) < MIN_SECRET) {
    throw new RangeError(`a secret for HS256 has at least ${MIN_SECRET} octets`);
  }
};

const checkKey = (alg: Algorithm, key: KeyObject, half: 'private' | 'public'): void => {
  if (alg === 'HS256') checkSecret(key);
  else if (alg !== 'ES256') throw new TypeError('the algorithm is ES256 or HS256');
  else if (key.type !== half || !isP256(key)) throw new TypeError(`ES256 needs a ${half} key on the curve P-256`);
};

export interface NodeSignerSettings {
  readonly kid: string;
  readonly alg: Algorithm;
  /** A private key of P-256, or a secret. */
  readonly key: KeyObject;
  /** Ours. */
  readonly node: string;
}

export const nodeSigner = ({ kid, alg, key, node }: NodeSignerSettings): Signer => {
  if (!isKid(kid)) throw new TypeError('a kid has 1 to 64 letters, digits, dots, underscores and dashes');
  if (!isNodeID(node)) throw new TypeError('the node is not a valid nodeID');
  checkKey(alg, key, 'private');
  // Made once. The order of the header's members is alg, typ, kid.
  const options = { algorithm: alg, header: { alg, typ: 'JWT', kid } };
  const { sign } = load();
  return { kid, alg, node, sign: (payload) => sign(payload, key, options) };
};

/** What verifiers have, for one another and for nobody else. */
const keysOf = new WeakMap<Verifier, KeyObject>();

/** `key`: a public key of P-256, or a secret. */
export const nodeVerifier = (alg: Algorithm, key: KeyObject): Verifier => {
  checkKey(alg, key, 'public');
  // RFC 8725 section 3.1.
  const options: jwt.VerifyOptions = { algorithms: [alg], ignoreExpiration: true, ignoreNotBefore: true };
  const { verify } = load();
  const verifier: Verifier = {
    alg,
    isSame: (other) => keysOf.get(other)?.equals(key) === true,
    verify: (token) => {
      try {
        verify(token, key, options);
        return true;
      } catch {
        return false;
      }
    },
  };
  keysOf.set(verifier, key);
  return verifier;
};

export interface NodeCredential {
  readonly signer: Signer;
  /** The one key by which the dispatch signs what it sends to this node. */
  readonly keys: KeySource;
}

/** A key that is none is wrong with its credential as all else that is: told by its place. */
const keyIn = (member: string, read: () => KeyObject): KeyObject => {
  try {
    return read();
  } catch (reason) {
    throw new TypeError(`the credential is not valid: ${member}: ${(reason as Error).message}`);
  }
};

/** A credential → what signs and what verifies with it. Throws a TypeError for keys that are none, without quoting them. */
export const nodeCredential = (credential: Credential): NodeCredential => {
  const { kid, alg, node } = credential;
  const dispatch = { node: 'dispatch', role: 'dispatch' } as const;
  if (credential.alg === 'HS256') {
    const key = keyIn('secret', () => readSecret(credential.secret));
    const verifier = nodeVerifier('HS256', key);
    return { signer: nodeSigner({ kid, alg, key, node }), keys: oneKey({ ...dispatch, kid, verifier }) };
  }
  const key = keyIn('key', () => readPrivateKey(credential.key));
  const theirs = keyIn('dispatch.key', () => readPublicKey(credential.dispatch.key));
  if (publicKeyOf(key).equals(theirs)) {
    throw new TypeError('the credential is not valid: dispatch.key: the key of the dispatch is that of the node');
  }
  return {
    signer: nodeSigner({ kid, alg, key, node }),
    keys: oneKey({ ...dispatch, kid: credential.dispatch.kid, verifier: nodeVerifier('ES256', theirs) }),
  };
};
