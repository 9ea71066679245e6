// A key file → what verifies tokens, for those who look at captured packages: a public key in PEM, a JWK, a secret in base64url, or the
// credential of a node, which has two keys: its own and the one of the dispatch. Signs nothing. What is wrong is told without the key.
import { publicKeyOf, readJwk, readPrivateKey, readPublicKey, readSecret } from '../crypto/package-keys.js';
import { parseCredential } from './credential.js';
import type { ExplainKeys } from './explained.js';
import type { Verifier } from './package.js';
import { isObject } from './schema.js';
import { nodeVerifier } from './token-node.js';

/** Throws a TypeError or RangeError for what is none of these. */
export const readKeyFile = (text: string): ExplainKeys => {
  const content = text.trim();
  if (content.startsWith('-----BEGIN ')) return anyKid(nodeVerifier('ES256', readPublicKey(content)));
  if (!content.startsWith('{')) return anyKid(nodeVerifier('HS256', readSecret(content)));
  const value = parse(content);
  return isObject(value) && typeof value['kty'] === 'string' ? fromJwk(value) : fromCredential(content);
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote the text.
    throw new TypeError('it begins like JSON but is none');
  }
};

/** A key without a name is tried on every token. */
const anyKid = (verifier: Verifier): ExplainKeys => ({ find: () => ({ verifier }) });

const fromJwk = (jwk: { readonly [name: string]: unknown }): ExplainKeys => {
  const key = readJwk(jwk);
  const verifier =
    key.type === 'secret'
      ? nodeVerifier('HS256', key)
      : nodeVerifier('ES256', key.type === 'private' ? publicKeyOf(key) : key);
  const { kid } = jwk;
  return typeof kid === 'string' ? { find: (name) => (name === kid ? { verifier } : undefined) } : anyKid(verifier);
};

const fromCredential = (text: string): ExplainKeys => {
  const credential = parseCredential(text);
  const { node, kid } = credential;
  const own =
    credential.alg === 'HS256'
      ? nodeVerifier('HS256', readSecret(credential.secret))
      : nodeVerifier('ES256', publicKeyOf(readPrivateKey(credential.key)));
  // With a secret the dispatch answers by the same kid: whose token it is, its iss tells.
  const keys = new Map([[kid, { verifier: own, node: credential.alg === 'HS256' ? undefined : node }]]);
  if (credential.alg === 'ES256') {
    const { kid: theirs, key } = credential.dispatch;
    keys.set(theirs, { verifier: nodeVerifier('ES256', readPublicKey(key)), node: 'dispatch' });
  }
  return { find: (name) => keys.get(name) };
};
