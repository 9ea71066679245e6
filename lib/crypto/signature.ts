// A key → the one scheme of CERT_VERIFY that fits it, and signing and verifying by that scheme (PROTOCOL.md sections 6.5 and 6.6). What a key
// must be to count at all is said here, once. Octets of a peer that are no signature are false, never an exception.
import { constants, type KeyObject, type SignKeyObjectInput, sign, verify } from 'node:crypto';
import { SCHEME } from './identity.js';

/** Beyond this a verification takes milliseconds: a peer could make us work. */
const LONGEST_RSA = 8192;

/** undefined: none of P-256, Ed25519 and RSA of 2048 bits and more. */
export const schemeOf = (key: KeyObject): number | undefined => {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ec':
      return details?.namedCurve === 'prime256v1' ? SCHEME.ecdsaP256Sha256 : undefined;
    case 'ed25519':
      return SCHEME.ed25519;
    case 'rsa':
      return isStrongRsa(key) ? SCHEME.rsaPssSha256 : undefined;
    default:
      return undefined;
  }
};

/** For a CA's key more curves will do: it signs certificates, not handshakes. */
export const maySignCertificates = (key: KeyObject): boolean => {
  const type = key.asymmetricKeyType;
  if (type === 'rsa') return isStrongRsa(key);
  return type === 'ed25519' || (type === 'ec' && CURVES.includes(key.asymmetricKeyDetails?.namedCurve ?? ''));
};

const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];

const isStrongRsa = ({ asymmetricKeyDetails }: KeyObject): boolean => {
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {};
  // By the exponent 1 everything is a signature of itself.
  return modulusLength >= 2048 && modulusLength <= LONGEST_RSA && publicExponent >= 3n;
};

/** RFC 8446 section 4.2.3: the salt of PSS is as long as the digest. */
const parameters = (key: KeyObject, scheme: number): SignKeyObjectInput =>
  scheme === SCHEME.rsaPssSha256
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { key, dsaEncoding: 'der' };

/** Ed25519 hashes by itself. */
const digestOf = (scheme: number): string | null => (scheme === SCHEME.ed25519 ? null : 'sha256');

export const signWith = (key: KeyObject, scheme: number, message: Uint8Array): Uint8Array => {
  const signature = sign(digestOf(scheme), message, parameters(key, scheme));
  return new Uint8Array(signature.buffer, signature.byteOffset, signature.length);
};

/** `fits` is the scheme of the key; a peer that names another is refused, whatever its octets are. */
export const verifyWith = (
  key: KeyObject,
  fits: number,
  scheme: number,
  message: Uint8Array,
  signature: Uint8Array,
): boolean => {
  if (scheme !== fits || signature.length === 0) return false;
  // RFC 8017 section 8.1.2: as long as the modulus. The library also takes one whose first octet, a zero, is missing.
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && signature.length !== Math.ceil(bits / 8)) return false;
  try {
    return verify(digestOf(scheme), message, parameters(key, scheme), signature);
  } catch {
    return false;
  }
};
