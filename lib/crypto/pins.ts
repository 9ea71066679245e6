// Pins → the judge of a page, or of any runtime without a parser for X.509 (PROTOCOL.md section 6.6): a certificate is the one that was pinned
// or it is nobody's, and its key is the one that was pinned with it. So nothing of the certificate is read, its validity neither: a pin holds
// until it is taken away. Runs wherever its suite runs.
import { type PeerJudge, SCHEME, type Verified } from './identity.js';
import type { Suite } from './suite.js';

export interface Pin {
  /** SHA-256 of the certificate's DER: 64 hexadecimal digits, colons allowed. */
  readonly sha256: string;
  /** Its P-256 key: 65 octets, 0x04 ‖ X ‖ Y, or 130 hexadecimal digits. */
  readonly publicKey: Uint8Array | string;
}

interface ReadPin {
  readonly fingerprint: string;
  readonly digest: Uint8Array;
  readonly publicKey: Uint8Array;
}

export const createPinJudge = (suite: Suite, pins: readonly Pin[]): PeerJudge => {
  if (pins.length === 0) throw new TypeError('no certificate could be trusted: give a pin');
  const known = pins.map((pin) => readPin(suite, pin));
  return {
    judge: (der) => {
      const digest = suite.sha256(der);
      const pin = known.find((one) => suite.equal(one.digest, digest));
      return pin === undefined ? 'the certificate is not one of those that are pinned' : verifiedBy(suite, pin);
    },
  };
};

const verifiedBy = (suite: Suite, { fingerprint, publicKey }: ReadPin): Verified => ({
  fingerprint,
  certificate: { fingerprint },
  verify: (scheme, message, signature) =>
    scheme === SCHEME.ecdsaP256Sha256 && suite.verifyP256(publicKey, message, signature),
});

const readPin = (suite: Suite, { sha256, publicKey }: Pin): ReadPin => {
  const digest = readHex(sha256);
  if (digest?.length !== 32) {
    throw new TypeError('sha256 of a pin is the digest of a certificate: 64 hexadecimal digits');
  }
  const point = typeof publicKey === 'string' ? readHex(publicKey) : Uint8Array.from(publicKey);
  if (point?.length !== 65 || point[0] !== 4 || !isOnCurve(suite, point)) {
    throw new TypeError('publicKey of a pin is a point on P-256: 65 octets, the first of them 04');
  }
  return { fingerprint: writeHex(digest), digest, publicKey: point };
};

/** Agreement makes every check of section 6.2; nothing comes of it. */
const isOnCurve = (suite: Suite, point: Uint8Array): boolean => {
  const pair = suite.newPair();
  const isPoint = pair.agree(point) !== undefined;
  pair.erase();
  return isPoint;
};

const readHex = (text: string): Uint8Array | undefined => {
  const digits = text.replaceAll(':', '');
  if (!/^(?:[0-9a-fA-F]{2})+$/.test(digits)) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
};

const writeHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (octet) => octet.toString(16).padStart(2, '0')).join('');
