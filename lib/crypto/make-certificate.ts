// A name, a time, a CA or none → a key and an X.509 certificate that peers of ours and TLS accept, without any other program. Decides what a
// good certificate holds (RFC 5280 section 4.2, RFC 9525): names where they are compared, one job for the key, no CA by accident.
// The wall clock is the caller's. Mistakes of the caller are thrown, in one sentence.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { type CertificateSource, infoOf, loadCertificate, loadKey, pointOf } from './certificate.js';
import {
  bitString,
  contextTag,
  element,
  objectId,
  octetString,
  readElements,
  readOne,
  sequence,
  TAG,
  truth,
  unsigned,
} from './der.js';
import { writeGeneralName } from './general-name.js';
import type { CertificateInfo } from './identity.js';
import { maySignCertificates } from './signature.js';
import { EXTENSION, PURPOSE, USAGE } from './x509-extensions.js';
import { algorithmOf, commonName, type Extension, writeCertificate, writePem } from './x509-write.js';

export type KeyType = 'p256' | 'ed25519' | 'rsa2048';

export interface CertificateOptions {
  /** The wall clock: milliseconds since 1970. */
  readonly now: number;
  /** The common name, for people and logs. Without it the first of `names` that is short enough. */
  readonly subject?: string | undefined;
  /** What a server is reached by: DNS names, `*.` before one allowed, and addresses. */
  readonly names?: readonly string[] | undefined;
  /** 365 without it, 3650 for a CA. */
  readonly days?: number | undefined;
  readonly type?: KeyType | undefined;
  /** Who may show the certificate; both without it. A CA shows none. */
  readonly usage?: readonly ('server' | 'client')[] | undefined;
  /** The certificate of a CA: it signs others. */
  readonly ca?: boolean | undefined;
  /** The CA that signs; without it the certificate signs itself. */
  readonly issuer?: CertificateIssuer | undefined;
}

export interface CertificateIssuer {
  /** PEM or DER. */
  readonly certificate: CertificateSource;
  readonly key: CertificateSource;
  readonly passphrase?: string | undefined;
}

export interface MadeCertificate {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly info: CertificateInfo;
  /** Of a P-256 key the 65 octets that a portable pin holds. */
  readonly publicKey: Uint8Array | undefined;
}

const DAY = 86_400_000;
const LONGEST_DAYS = 36_500;
/** RFC 5280 appendix A.1: ub-common-name. */
const LONGEST_SUBJECT = 64;
/** A peer whose clock is late by less accepts it at once. */
const HEAD_START = 3_600_000;

export const makeCertificate = (options: CertificateOptions): MadeCertificate => {
  const { now, names = [], ca = false, days = ca ? 3650 : 365, type = 'p256' } = options;
  if (!Number.isFinite(now)) throw new TypeError('now must be a time in milliseconds');
  if (!(Number.isInteger(days) && days >= 1 && days <= LONGEST_DAYS)) {
    throw new RangeError(`days must be a whole number from 1 to ${LONGEST_DAYS}`);
  }
  const altNames = names.map(writeGeneralName);
  const subject = options.subject ?? names.find((name) => name.length <= LONGEST_SUBJECT) ?? '';
  if (subject.length < 1 || subject.length > LONGEST_SUBJECT || /\p{Cc}/u.test(subject)) {
    throw new RangeError('the subject must have 1 to 64 characters, none of them a control character');
  }
  const issuer = options.issuer === undefined ? undefined : readIssuer(options.issuer, now, ca);
  const keys = newKeys(type);
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  const own = { name: commonName(subject), keyId: keyIdOf(spki), key: keys.privateKey };
  const signer = issuer ?? own;
  const certificate = writeCertificate(
    {
      serial: newSerial(),
      issuer: signer.name,
      subject: own.name,
      validFrom: now - HEAD_START,
      // Nothing holds longer than what vouches for it.
      validTo: Math.min(now + days * DAY, issuer?.validTo ?? Number.POSITIVE_INFINITY),
      spki,
      extensions: [
        ...(ca ? caExtensions(issuer !== undefined) : leafExtensions(options.usage)),
        ...(altNames.length === 0 ? [] : [{ id: EXTENSION.subjectAltName, value: sequence(...altNames) }]),
        { id: EXTENSION.subjectKeyId, value: octetString(own.keyId) },
        ...authorityKeyId(issuer?.keyId),
      ],
    },
    signer.key,
    algorithmOf(signer.key),
  );
  const { x509, parts } = loadCertificate(certificate);
  return {
    certificate,
    certificatePem: writePem('CERTIFICATE', certificate),
    keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    info: infoOf(x509, parts),
    publicKey: pointOf(keys.publicKey),
  };
};

const newKeys = (type: KeyType): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
  switch (type) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    case 'rsa2048':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    default:
      throw new TypeError('the type of a key is p256, ed25519 or rsa2048');
  }
};

/** RFC 5280 section 4.1.2.2: positive, and nobody can guess it. The first bit is fixed, so that it always has sixteen octets. */
const newSerial = (): Uint8Array => {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] as number) & 0x3f) | 0x40;
  return serial;
};

/** RFC 7093 section 2, method 1: 160 bits of the SHA-256 of the key itself, which is the BIT STRING at the end of the SPKI. */
const keyIdOf = (spki: Uint8Array): Uint8Array => {
  const [, bits] = readElements(readOne(spki, TAG.sequence)?.body ?? spki) ?? [];
  return createHash('sha256')
    .update(bits?.body.subarray(1) ?? spki)
    .digest()
    .subarray(0, 20);
};

interface Signer {
  readonly name: Uint8Array;
  readonly keyId: Uint8Array | undefined;
  readonly key: KeyObject;
  readonly validTo: number;
}

const readIssuer = (issuer: CertificateIssuer, now: number, ca: boolean): Signer => {
  const { x509, parts, publicKey } = loadCertificate(issuer.certificate);
  const key = loadKey(issuer.key, issuer.passphrase);
  if (!x509.checkPrivateKey(key)) throw new TypeError('the key of the CA does not belong to its certificate');
  if (!parts.ca) throw new TypeError('the certificate of the CA is not that of a CA');
  if (parts.usage !== undefined && (parts.usage & USAGE.keyCertSign) === 0) {
    throw new TypeError('the key of the CA may not sign certificates');
  }
  if (!maySignCertificates(publicKey)) throw new TypeError('the key of the CA is too weak or of another kind');
  if (ca && parts.pathLength === 0) throw new TypeError('this CA may not sign other CAs');
  if (now < parts.validFrom) throw new TypeError('the certificate of the CA is not yet valid');
  if (now >= parts.validTo) throw new TypeError('the certificate of the CA has expired');
  return { name: parts.subject, keyId: parts.subjectKeyId, key, validTo: parts.validTo };
};

/** A CA that was signed by another signs leaves only (section 4.2.1.9). */
const caExtensions = (signedByOther: boolean): Extension[] => [
  {
    id: EXTENSION.basicConstraints,
    critical: true,
    value: sequence(truth(), ...(signedByOther ? [unsigned(Uint8Array.of(0))] : [])),
  },
  // Bits 5 and 6; one bit is unused.
  { id: EXTENSION.keyUsage, critical: true, value: bitString(Uint8Array.of(USAGE.keyCertSign | USAGE.cRLSign), 1) },
];

const leafExtensions = (usage: CertificateOptions['usage'] = ['server', 'client']): Extension[] => {
  if (usage.length === 0) throw new TypeError('usage must be server, client or both');
  return [
    { id: EXTENSION.basicConstraints, critical: true, value: sequence() },
    { id: EXTENSION.keyUsage, critical: true, value: bitString(Uint8Array.of(USAGE.digitalSignature), 7) },
    { id: EXTENSION.extendedKeyUsage, value: sequence(...usage.map((role) => objectId(purposeOf(role)))) },
  ];
};

const purposeOf = (role: 'server' | 'client'): string => {
  const purpose: string | undefined = Object.hasOwn(PURPOSE, role) ? PURPOSE[role] : undefined;
  if (purpose === undefined) throw new TypeError('usage must be server, client or both');
  return purpose;
};

/** Section 4.2.1.1: what signs itself needs none. */
const authorityKeyId = (keyId: Uint8Array | undefined): Extension[] =>
  keyId === undefined ? [] : [{ id: EXTENSION.authorityKeyId, value: sequence(element(contextTag(0, false), keyId)) }];
