// A certificate that a peer sent → what it says, and its key. Reading one takes as long as agreeing on a key does, and peers come back with the
// one they had: the last ones are remembered, by the SHA-256 of all their octets. What is remembered is no verdict: time, issuer and name are
// judged anew each time (judge.ts).
import { type KeyObject, X509Certificate } from 'node:crypto';
import { fingerprintOf, infoOf } from './certificate.js';
import type { CertificateInfo } from './identity.js';
import { schemeOf } from './signature.js';
import { type CertificateParts, readCertificate } from './x509.js';

export interface Known {
  readonly parts: CertificateParts;
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  /** Undefined: a key of a kind that is not for handshakes. */
  readonly scheme: number | undefined;
  /** basicConstraints says so, to one of the two readers at least. */
  readonly ca: boolean;
  readonly info: CertificateInfo;
}

/** Some 10 KiB each, whoever sends them. */
const MOST = 256;

export class KnownCertificates {
  readonly #known = new Map<string, Known>();

  /** Or why it cannot be read; throws for a key that the library cannot make anything of. */
  read(der: Uint8Array): Known | string {
    const fingerprint = fingerprintOf(der);
    const known = this.#known.get(fingerprint) ?? readKnown(der);
    if (typeof known === 'string') return known;
    // The latest is the last, and the first goes.
    this.#known.delete(fingerprint);
    this.#known.set(fingerprint, known);
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value as string);
    return known;
  }
}

const readKnown = (der: Uint8Array): Known | string => {
  const parts = readCertificate(der);
  if (typeof parts === 'string') return parts;
  const x509 = new X509Certificate(der);
  // The constructor takes PEM and trailing octets as well; what is judged must be what was signed for.
  if (x509.raw.compare(der) !== 0) return 'it is not one certificate in DER';
  const key = x509.publicKey;
  const info = infoOf(x509, parts);
  // One for all sessions of this peer.
  Object.freeze(info.names);
  return { parts, x509, key, scheme: schemeOf(key), ca: parts.ca || x509.ca, info: Object.freeze(info) };
};
