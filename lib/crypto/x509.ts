// DER octets → the parts of an X.509 certificate that decide whether it is acceptable (RFC 5280 section 4). node:crypto verifies signatures
// and reads keys; what it does not tell (critical extensions it passes over, how usages are encoded) is read here, strictly. Judges nothing:
// judging is certificate.ts. A certificate that is not well-formed gives the reason as a string, never an exception.
import { contextTag, type Element, isInteger, readElements, readObjectId, readOne, readSmall, TAG } from './der.js';
import { readTime } from './der-time.js';
import { type Extensions, readExtensions } from './x509-extensions.js';

export interface CertificateParts extends Extensions {
  /** As many octets as there are, most significant first. */
  readonly serial: Uint8Array;
  readonly signatureAlgorithm: string;
  /** The names as they are encoded: equal names of an issuer and its CA are equal octets here. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly validFrom: number;
  readonly validTo: number;
}

const isSequence = (one: Element | undefined): one is Element => one?.tag === TAG.sequence;

export const readCertificate = (der: Uint8Array): CertificateParts | string => {
  const outer = readOne(der, TAG.sequence);
  if (outer === undefined) return 'it is not one certificate in DER';
  const [signed, algorithm, signature, ...rest] = readElements(outer.body) ?? [];
  if (!isSequence(signed) || !isSequence(algorithm) || signature?.tag !== TAG.bitString || rest.length > 0) {
    return 'it is not a certificate';
  }
  const [version, serial, inner, issuer, validity, subject, key, ...optional] = readElements(signed.body) ?? [];
  // Section 4.1.2.1: only version 3 has extensions, without which nothing says what the key is for.
  const number = version?.tag === contextTag(0, true) ? readOne(version.body, TAG.integer) : undefined;
  if (number === undefined || readSmall(number.body) !== 2) return 'it is not of version 3';
  if (serial?.tag !== TAG.integer || !isInteger(serial.body) || serial.body.length > 21)
    return 'its serial number is bad';
  if (!isSequence(inner) || !isSequence(issuer) || !isSequence(subject) || !isSequence(key)) return 'its body is bad';
  if (!namesCurve(key)) return 'its key does not name its curve';
  // Section 4.1.1.2: what is signed must say how.
  const signatureAlgorithm = readAlgorithm(algorithm);
  if (signatureAlgorithm === undefined || !isSame(algorithm.whole, inner.whole))
    return 'its signature algorithm is bad';
  const [from, to, ...more] = (isSequence(validity) ? readElements(validity.body) : undefined) ?? [];
  const validFrom = from && readTime(from);
  const validTo = to && readTime(to);
  if (validFrom === undefined || validTo === undefined || more.length > 0) return 'its validity is bad';
  const extensions = readOptional(optional);
  if (typeof extensions === 'string') return extensions;
  return {
    serial: serial.body,
    signatureAlgorithm,
    issuer: issuer.whole,
    subject: subject.whole,
    validFrom,
    validTo,
    ...extensions,
  };
};

const readAlgorithm = (one: Element): string | undefined => {
  const [id] = readElements(one.body) ?? [];
  return id?.tag === TAG.objectId ? readObjectId(id.body) : undefined;
};

/**
 * RFC 5480 section 2.1.1: a curve is named, never described. A description that equals a known curve in all but the generator makes any key
 * everybody's (CVE-2020-0601).
 */
const namesCurve = (key: Element): boolean => {
  const [algorithm] = readElements(key.body) ?? [];
  const [id, curve, ...rest] = (isSequence(algorithm) ? readElements(algorithm.body) : undefined) ?? [];
  if (id?.tag !== TAG.objectId) return false;
  return readObjectId(id.body) !== EC_KEY || (curve?.tag === TAG.objectId && rest.length === 0);
};

const EC_KEY = '1.2.840.10045.2.1';

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((octet, at) => octet === b[at]);

/** What may follow the key: two unique identifiers nobody uses, then the extensions (section 4.1). */
const readOptional = (optional: readonly Element[]): Extensions | string => {
  const tags = [contextTag(1, false), contextTag(2, false), contextTag(3, true)];
  const order = optional.map(({ tag }) => tags.indexOf(tag));
  if (order.some((place, at) => place < 0 || place <= (order[at - 1] ?? -1))) return 'its body is bad';
  const wrapped = optional.find(({ tag }) => tag === tags[2]);
  if (wrapped === undefined) return readExtensions([]);
  const list = readOne(wrapped.body, TAG.sequence);
  const items = list === undefined ? undefined : readElements(list.body);
  return items === undefined || items.length === 0 ? 'its extensions are bad' : readExtensions(items);
};
