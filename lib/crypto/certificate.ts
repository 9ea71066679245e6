// A certificate and a key from a configuration → who we are (Own). PEM or DER; what is not usable for a handshake is told at once, in one
// sentence, since it is our own caller's mistake: it throws. How a peer's certificate is judged is judge.ts; both read by x509.ts.
// PROTOCOL.md sections 6.5 and 6.6.
import { createHash, createPrivateKey, KeyObject, X509Certificate } from 'node:crypto';
import type { CertificateInfo, Own } from './identity.js';
import { schemeOf, signWith } from './signature.js';
import { type CertificateParts, readCertificate } from './x509.js';
import { USAGE } from './x509-extensions.js';

/** PEM as text or octets, or DER. */
export type CertificateSource = string | Uint8Array;

export interface OwnSource {
  readonly certificate: CertificateSource;
  /** PEM or DER (PKCS#8, SEC 1 or PKCS#1), or a private KeyObject. */
  readonly key: CertificateSource | KeyObject;
  readonly passphrase?: string | undefined;
}

/** Own, and what one may want to show or to give to others as a pin. */
export interface OwnCertificate extends Own {
  readonly info: CertificateInfo;
  /** Uncompressed SEC1, 65 octets, of a P-256 key: what a portable pin needs. */
  readonly publicKey: Uint8Array | undefined;
}

export interface ReadCertificate {
  readonly x509: X509Certificate;
  readonly parts: CertificateParts;
  readonly publicKey: KeyObject;
}

export const loadOwn = (source: OwnSource): OwnCertificate => {
  const { x509, parts, publicKey } = loadCertificate(source.certificate);
  const key = loadKey(source.key, source.passphrase);
  if (!x509.checkPrivateKey(key)) throw new TypeError('the key does not belong to the certificate');
  const scheme = schemeOf(publicKey);
  if (scheme === undefined) throw new TypeError('the key must be P-256, Ed25519 or RSA of at least 2048 bits');
  if (parts.ca) throw new TypeError('this is the certificate of a CA: make one signed by it for this peer');
  if (parts.unknownCritical.length > 0) {
    throw new TypeError(`no peer will accept the critical extension ${parts.unknownCritical[0]} of this certificate`);
  }
  if (!maySign(parts)) throw new TypeError('the key usage of this certificate does not include signing');
  return {
    certificate: octets(x509.raw),
    scheme,
    sign: (message) => signWith(key, scheme, message),
    info: infoOf(x509, parts),
    publicKey: pointOf(publicKey),
  };
};

/** CERT_VERIFY is a signature: a keyUsage that is there must allow it (RFC 8446 section 4.4.2.2). */
export const maySign = ({ usage }: CertificateParts): boolean =>
  usage === undefined || (usage & USAGE.digitalSignature) !== 0;

/** Of a PEM file with several certificates the first: where there is a chain, that is the leaf. */
export const loadCertificate = (source: CertificateSource): ReadCertificate => {
  const x509 = open(source);
  const parts = readCertificate(x509.raw);
  if (typeof parts === 'string') throw new TypeError(`the certificate is not usable: ${parts}`);
  return { x509, parts, publicKey: x509.publicKey };
};

/** What a certificate says, the pin to give to others among it. Throws a TypeError for what is none. */
export const certificateInfo = (source: CertificateSource): CertificateInfo => {
  const { x509, parts } = loadCertificate(source);
  return infoOf(x509, parts);
};

/** Every certificate of a PEM bundle, or the one of DER. */
export const loadCertificates = (source: CertificateSource): ReadCertificate[] => {
  const blocks = pemOf(source)?.split(BEGIN).slice(1) ?? [];
  return blocks.length === 0 ? [loadCertificate(source)] : blocks.map((block) => loadCertificate(BEGIN + block));
};

const BEGIN = '-----BEGIN CERTIFICATE-----';

/** DER begins with SEQUENCE, 0x30; a text that begins with "0" is no PEM either. */
const pemOf = (source: CertificateSource): string | undefined => {
  if (typeof source === 'string') return source;
  return source[0] === 0x30 ? undefined : Buffer.from(source).toString('latin1');
};

const open = (source: CertificateSource): X509Certificate => {
  const pem = pemOf(source);
  if (pem !== undefined && !pem.includes(BEGIN)) {
    const why = pem.includes('PRIVATE KEY-----') ? 'this is a private key' : 'this is neither PEM nor DER';
    throw new TypeError(`a certificate is expected: ${why}`);
  }
  try {
    return new X509Certificate(pem ?? source);
  } catch (error) {
    throw new TypeError('the certificate cannot be read', { cause: error });
  }
};

export const loadKey = (source: CertificateSource | KeyObject, passphrase?: string): KeyObject => {
  if (source instanceof KeyObject) {
    if (source.type !== 'private') throw new TypeError(`a private key is expected, not a ${source.type} one`);
    return source;
  }
  const pem = pemOf(source);
  if (pem === undefined) return loadDerKey(Buffer.from(source as Uint8Array), passphrase);
  if (!pem.includes('PRIVATE KEY-----')) {
    const why = pem.includes(BEGIN) ? 'this is a certificate' : 'this is neither PEM nor DER';
    throw new TypeError(`a private key is expected: ${why}`);
  }
  if (passphrase === undefined && (pem.includes('ENCRYPTED PRIVATE KEY') || pem.includes('Proc-Type: 4,ENCRYPTED'))) {
    throw new TypeError('the private key is encrypted: a passphrase is needed');
  }
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch (error) {
    throw new TypeError(unreadable(passphrase), { cause: error });
  }
};

const loadDerKey = (key: Buffer, passphrase: string | undefined): KeyObject => {
  for (const type of ['pkcs8', 'sec1', 'pkcs1'] as const) {
    try {
      return createPrivateKey({ key, format: 'der', type, ...(passphrase === undefined ? {} : { passphrase }) });
    } catch {
      // Only the attempt tells which it is.
    }
  }
  throw new TypeError(unreadable(passphrase));
};

const unreadable = (passphrase: string | undefined): string =>
  `the private key cannot be read${passphrase === undefined ? '' : ', or the passphrase is wrong'}`;

/** The pin of a certificate: SHA-256 of its DER in lower-case hexadecimal. */
export const fingerprintOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');

export const infoOf = (x509: X509Certificate, parts: CertificateParts): CertificateInfo => ({
  fingerprint: fingerprintOf(x509.raw),
  subject: x509.subject ?? '',
  issuer: x509.issuer ?? '',
  serialNumber: x509.serialNumber,
  validFrom: parts.validFrom,
  validTo: parts.validTo,
  names: parts.names,
});

/** 0x04, X, Y of a public P-256 key, in whatever form it was encoded. */
export const pointOf = (key: KeyObject): Uint8Array | undefined => {
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined;
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return octets(Buffer.concat([Uint8Array.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]));
};

/** A Uint8Array of its own: what crosses layers is no Buffer. */
const octets = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);
