// A peer's certificate, the wall clock → acceptable, with a key to verify its CERT_VERIFY by, or the reason why not: every rule of PROTOCOL.md
// section 6.6, for Node. One leaf, no path building, no revocation: intermediates are configured as anchors. Octets of a peer never throw;
// a configuration that could not judge anything does. Reasons hold none of the peer's words.
import type { KeyObject, X509Certificate } from 'node:crypto';
import { type CertificateSource, loadCertificates, maySign, type ReadCertificate } from './certificate.js';
import { isDnsName, readAddress } from './general-name.js';
import type { PeerJudge, Verified } from './identity.js';
import { KnownCertificates } from './known.js';
import { maySignCertificates, verifyWith } from './signature.js';
import type { CertificateParts } from './x509.js';
import { PURPOSE, USAGE } from './x509-extensions.js';

export interface JudgeSettings {
  /** The role of whom is judged. */
  readonly peer: 'server' | 'client';
  /** SHA-256 of the DER of certificates that are trusted as they are: 64 hexadecimal digits, colons allowed. */
  readonly pins?: readonly string[] | undefined;
  /** Certificates of CAs that are trusted to sign others; PEM may hold several. */
  readonly anchors?: readonly CertificateSource[] | undefined;
  /** Of a server whose certificate is signed by an anchor: the DNS name or the address it must be for. */
  readonly name?: string | undefined;
}

export const createJudge = (settings: JudgeSettings): PeerJudge => new CertificateJudge(settings);

class CertificateJudge implements PeerJudge {
  readonly #peer: 'server' | 'client';
  readonly #pins: ReadonlySet<string>;
  readonly #anchors: readonly ReadCertificate[];
  readonly #name: string | undefined;
  readonly #known = new KnownCertificates();

  constructor({ peer, pins = [], anchors = [], name }: JudgeSettings) {
    this.#peer = peer;
    this.#pins = new Set(pins.map(readPin));
    this.#anchors = anchors.flatMap(loadCertificates).map((anchor) => checkAnchor(anchor, peer));
    if (this.#pins.size === 0 && this.#anchors.length === 0) {
      throw new TypeError('nothing says which certificates to trust: give pins or anchors');
    }
    if (peer === 'server' && this.#anchors.length > 0 && name === undefined) {
      throw new TypeError("with anchors the server's name is needed: they sign certificates of others too");
    }
    this.#name = name === undefined ? undefined : checkName(name);
  }

  judge(der: Uint8Array, now: number): Verified | string {
    try {
      return this.#judge(der, now);
    } catch {
      // What is well-formed may still hold a key that the library cannot make anything of.
      return 'the certificate cannot be read';
    }
  }

  #judge(der: Uint8Array, now: number): Verified | string {
    // Rule 1
    const known = this.#known.read(der);
    if (typeof known === 'string') return `the certificate cannot be read: ${known}`;
    const { parts, x509, key, scheme, info } = known;
    // RFC 5280 section 4.2
    if (parts.unknownCritical.length > 0) return 'the certificate has a critical extension that is not understood';
    // Rule 2
    if (scheme === undefined) return 'the key of the certificate is not P-256, Ed25519 or RSA of at least 2048 bits';
    if (known.ca) return 'the certificate is that of a CA';
    if (!maySign(parts)) return 'the key of the certificate may not sign';
    // Rule 3
    const time = judgeTime(parts, now);
    if (time !== undefined) return `the certificate ${time}`;
    // Rule 4
    const pinned = this.#pins.has(info.fingerprint);
    const distrust = pinned ? undefined : this.#judgeIssuer(x509, parts, now);
    if (distrust !== undefined) return distrust;
    // Rule 5
    if (!isFor(parts, this.#peer)) return `the certificate is not for a ${this.#peer}`;
    // Rule 6
    if (!pinned && this.#name !== undefined && !isNamed(x509, this.#name)) return 'the certificate is for another name';
    return {
      fingerprint: info.fingerprint,
      certificate: info,
      verify: (named, message, signature) => verifyWith(key, scheme, named, message, signature),
    };
  }

  #judgeIssuer(x509: X509Certificate, parts: CertificateParts, now: number): string | undefined {
    const issuers = this.#anchors.filter((anchor) => x509.checkIssued(anchor.x509));
    if (issuers.length === 0) return 'the certificate is signed by nobody who is trusted';
    if (!STRONG_SIGNATURES.includes(parts.signatureAlgorithm))
      return 'the certificate is signed in a way that is too weak';
    const signers = issuers.filter(({ publicKey }) => verifies(x509, publicKey));
    if (signers.length === 0) return 'the signature of the certificate is wrong';
    return signers.some((anchor) => judgeTime(anchor.parts, now) === undefined)
      ? undefined
      : 'the CA of the certificate is expired or not yet valid';
  }
}

/** ECDSA and RSA with SHA-2, Ed25519: RFC 5758, RFC 8017, RFC 8410. RSASSA-PSS names its digest elsewhere, and is rare. */
const STRONG_SIGNATURES: readonly string[] = [
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112',
];

/** Another kind of key than that of the signature is an exception of the library. */
const verifies = (x509: X509Certificate, key: KeyObject): boolean => {
  try {
    return x509.verify(key);
  } catch {
    return false;
  }
};

/** RFC 5280 section 4.1.2.5: both ends belong to it; its times are whole seconds. */
const judgeTime = ({ validFrom, validTo }: CertificateParts, now: number): string | undefined => {
  if (!(now >= validFrom)) return 'is not yet valid';
  return now < validTo + 1000 ? undefined : 'has expired';
};

const isFor = ({ purposes }: CertificateParts, peer: 'server' | 'client'): boolean =>
  purposes === undefined || purposes.includes(PURPOSE[peer]);

/** RFC 9525 sections 6.2 and 6.3: only the alternative names count, and a wildcard stands for one whole label. */
const isNamed = (x509: X509Certificate, name: string): boolean =>
  readAddress(name) === undefined
    ? x509.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined
    : x509.checkIP(name) !== undefined;

/** As it stands in a URL: brackets of an address and a dot at the end belong to the URL. */
const checkName = (text: string): string => {
  const name = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text.replace(/\.$/, '');
  if (readAddress(name) === undefined && (name.startsWith('*') || !isDnsName(name))) {
    throw new TypeError(`not a name or an address of a server: ${JSON.stringify(text)}`);
  }
  return name.toLowerCase();
};

const readPin = (text: string): string => {
  const pin = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(pin)) throw new TypeError('a pin is the SHA-256 of a certificate: 64 hexadecimal digits');
  return pin;
};

/** What could never vouch for anyone is a mistake of the configuration, and what asks for rules that are not kept here is refused. */
const checkAnchor = (anchor: ReadCertificate, peer: 'server' | 'client'): ReadCertificate => {
  const { parts, x509 } = anchor;
  const refuse = (why: string): never => {
    throw new TypeError(`the anchor ${JSON.stringify(x509.subject ?? '')} ${why}`);
  };
  if (!parts.ca) refuse('is not the certificate of a CA: to trust it alone, pin it');
  if (!x509.ca || (parts.usage !== undefined && (parts.usage & USAGE.keyCertSign) === 0)) {
    refuse('may not sign certificates');
  }
  if (parts.constrainsNames || parts.unknownCritical.length > 0) refuse('has constraints that are not kept here');
  if (!isFor(parts, peer)) refuse(`may not sign for a ${peer}`);
  if (!maySignCertificates(anchor.publicKey)) refuse('has a key that is too weak or of another kind');
  return anchor;
};
