// Signing and verifying by HS256 with a Suite: in a page, where jsonwebtoken does not run, and for the keys that a packet session exports.
// Octet for octet what token-node.ts makes. PROTOCOL.md section 8.2; RFC 7515 section 5, RFC 7518 section 3.2.
import { fromBase64url, toBase64url } from '../bytes/base64url.js';
import type { Suite } from '../crypto/suite.js';
import { isNodeID } from './identifier.js';
import { isKid } from './key-ring.js';
import { MIN_SECRET } from './limits.js';
import type { Signer, Verifier } from './package.js';

type Mac = Pick<Suite, 'hmac' | 'equal'>;

/** A copy: who made it may erase his. */
const copySecret = (secret: Uint8Array): Uint8Array => {
  if (secret.length < MIN_SECRET) throw new RangeError(`a secret for HS256 has at least ${MIN_SECRET} octets`);
  return Uint8Array.from(secret);
};

const utf8 = new TextEncoder();

export interface PortableSignerSettings {
  readonly kid: string;
  /** 32 octets or more. */
  readonly secret: Uint8Array;
  /** Ours. */
  readonly node: string;
  readonly suite: Mac;
}

export const portableSigner = ({ kid, secret, node, suite }: PortableSignerSettings): Signer => {
  if (!isKid(kid)) throw new TypeError('a kid has 1 to 64 letters, digits, dots, underscores and dashes');
  if (!isNodeID(node)) throw new TypeError('the node is not a valid nodeID');
  const key = copySecret(secret);
  const header = `${toBase64url(utf8.encode(JSON.stringify({ alg: 'HS256', typ: 'JWT', kid })))}.`;
  return {
    kid,
    alg: 'HS256',
    node,
    sign: (payload) => {
      const signed = header + toBase64url(utf8.encode(payload));
      return `${signed}.${toBase64url(suite.hmac(key, utf8.encode(signed)))}`;
    },
  };
};

/** What verifiers have, for one another and for nobody else. */
const secretsOf = new WeakMap<Verifier, Uint8Array>();

export const portableVerifier = (secret: Uint8Array, suite: Mac): Verifier => {
  const key = copySecret(secret);
  const verifier: Verifier = {
    alg: 'HS256',
    isSame: (other) => {
      const theirs = secretsOf.get(other);
      return theirs !== undefined && suite.equal(theirs, key);
    },
    verify: (token) => {
      const dot = token.lastIndexOf('.');
      const signature = fromBase64url(token, dot + 1);
      return signature !== undefined && suite.equal(signature, suite.hmac(key, utf8.encode(token.slice(0, dot))));
    },
  };
  secretsOf.set(verifier, key);
  return verifier;
};
