// The parts of an X.509 certificate → DER octets, signed (RFC 5280 section 4.1). Writes what it is given, sensible or not: what a good
// certificate holds is decided in make-certificate.ts, and specs write bad ones.
import { type KeyObject, sign } from 'node:crypto';
import {
  bitString,
  contextTag,
  element,
  nothing,
  objectId,
  octetString,
  sequence,
  setOfOne,
  truth,
  unsigned,
  utf8String,
} from './der.js';
import { writeTime } from './der-time.js';

export interface Extension {
  readonly id: string;
  readonly critical?: boolean;
  readonly value: Uint8Array;
}

export interface CertificateBody {
  readonly serial: Uint8Array;
  /** Names as `commonName` writes them, or the octets of a CA's subject. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly validFrom: number;
  readonly validTo: number;
  /** SubjectPublicKeyInfo of the key that is certified. */
  readonly spki: Uint8Array;
  readonly extensions: readonly Extension[];
}

export interface SignatureAlgorithm {
  readonly id: string;
  readonly hash: string | null;
  /** NULL where the algorithm wants it: RSA does, the others must not have it (RFC 4055 section 5, RFC 5758 section 3.2, RFC 8410 section 3). */
  readonly parameters?: Uint8Array;
}

const RSA_SHA256: SignatureAlgorithm = { id: '1.2.840.113549.1.1.11', hash: 'sha256', parameters: nothing() };
const ED25519: SignatureAlgorithm = { id: '1.3.101.112', hash: null };
const ECDSA: Readonly<Record<string, SignatureAlgorithm>> = {
  prime256v1: { id: '1.2.840.10045.4.3.2', hash: 'sha256' },
  secp384r1: { id: '1.2.840.10045.4.3.3', hash: 'sha384' },
  secp521r1: { id: '1.2.840.10045.4.3.4', hash: 'sha512' },
};

export const algorithmOf = (key: KeyObject): SignatureAlgorithm => {
  if (key.asymmetricKeyType === 'rsa') return RSA_SHA256;
  if (key.asymmetricKeyType === 'ed25519') return ED25519;
  const algorithm = ECDSA[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (algorithm === undefined) throw new TypeError('no certificate is signed with a key of this kind');
  return algorithm;
};

const COMMON_NAME = '2.5.4.3';

/** A Name of one attribute; without text the empty one. */
export const commonName = (text: string): Uint8Array =>
  text === '' ? sequence() : sequence(setOfOne(sequence(objectId(COMMON_NAME), utf8String(text))));

export const writeCertificate = (
  body: CertificateBody,
  signer: KeyObject,
  algorithm: SignatureAlgorithm,
): Uint8Array => {
  const how = sequence(objectId(algorithm.id), ...(algorithm.parameters === undefined ? [] : [algorithm.parameters]));
  const signed = sequence(
    element(contextTag(0, true), unsigned(Uint8Array.of(2))),
    unsigned(body.serial),
    how,
    body.issuer,
    sequence(writeTime(body.validFrom), writeTime(body.validTo)),
    body.subject,
    body.spki,
    ...(body.extensions.length === 0
      ? []
      : [element(contextTag(3, true), sequence(...body.extensions.map(writeExtension)))]),
  );
  return sequence(signed, how, bitString(sign(algorithm.hash, signed, signer)));
};

const writeExtension = ({ id, critical, value }: Extension): Uint8Array =>
  sequence(objectId(id), ...(critical === true ? [truth()] : []), octetString(value));

/** `-----BEGIN …-----` around base64 in lines of 64: RFC 7468. */
export const writePem = (label: string, der: Uint8Array): string => {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
};
