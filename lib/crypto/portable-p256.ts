// Agreement and the verification of signatures on P-256 in plain JavaScript: elliptic behind checks of our own (PROTOCOL.md section 6.2), as
// it takes compressed and hybrid points, coordinates from p on and signatures that are not DER. Its arithmetic is not constant in time:
// private keys of one connection only, and never a signature made (CVE-2025-14505). Its tables take 0.2 to 0.5 s, so they are made
// when first needed.

import elliptic from 'elliptic';
import { isInteger, readElements, readOne, TAG } from './der.js';
import { checkScalar, FIELD, isBelow, isScalar, isUncompressed } from './sizes.js';
import type { KeyPair } from './suite.js';

let made: elliptic.ec | undefined;

const p256 = (): elliptic.ec => {
  made ??= new elliptic.ec('p256');
  return made;
};

export class PortablePair implements KeyPair {
  readonly publicKey: Uint8Array;
  #scalar: Uint8Array | undefined;

  constructor(scalar: Uint8Array) {
    checkScalar(scalar);
    this.#scalar = Uint8Array.from(scalar);
    this.publicKey = Uint8Array.from(p256().keyFromPrivate(this.#scalar).getPublic().encode('array', false));
  }

  agree(peer: Uint8Array): Uint8Array | undefined {
    if (this.#scalar === undefined) throw new TypeError('this key was erased');
    const point = readPoint(peer);
    if (point === undefined) return undefined;
    // A number of fewer than 32 octets keeps its zeros; the cofactor is 1, so no point but the one at infinity has a small order.
    return Uint8Array.from(p256().keyFromPrivate(this.#scalar).derive(point.getPublic()).toArray('be', 32));
  }

  erase(): void {
    this.#scalar?.fill(0);
    this.#scalar = undefined;
  }
}

/** SEC 1 section 3.2.2.1, without the multiplication by the order: P-256 has the cofactor 1. */
const readPoint = (bytes: Uint8Array): elliptic.ec.KeyPair | undefined => {
  if (!isUncompressed(bytes)) return undefined;
  const x = bytes.subarray(1, 33);
  const y = bytes.subarray(33);
  if (!isBelow(x, FIELD) || !isBelow(y, FIELD)) return undefined;
  const key = p256().keyFromPublic({ x: hex(x), y: hex(y) });
  return key.getPublic().validate() ? key : undefined;
};

/** FIPS 186-5 section 6.4.2, over a digest. Both s and n - s are valid, as everywhere: nothing is named by a signature. */
export const verifyDigest = (publicKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean => {
  const numbers = readSignature(signature);
  if (numbers === undefined) return false;
  return readPoint(publicKey)?.verify(digest, numbers) ?? false;
};

/** RFC 3279 section 2.2.3: SEQUENCE { r INTEGER, s INTEGER } in DER, both from 1 to the order less one. */
const readSignature = (bytes: Uint8Array): { readonly r: string; readonly s: string } | undefined => {
  const sequence = readOne(bytes, TAG.sequence);
  const numbers = sequence === undefined ? undefined : readElements(sequence.body);
  if (numbers?.length !== 2) return undefined;
  const [r, s] = numbers.map(({ tag, body }) =>
    tag === TAG.integer && isInteger(body) ? readNumber(body) : undefined,
  );
  return r === undefined || s === undefined ? undefined : { r, s };
};

const readNumber = (body: Uint8Array): string | undefined => {
  if ((body[0] as number) >= 0x80 || body.length > 33) return undefined;
  const number = new Uint8Array(32);
  const digits = body[0] === 0 ? body.subarray(1) : body;
  if (digits.length > 32) return undefined;
  number.set(digits, 32 - digits.length);
  return isScalar(number) ? hex(number) : undefined;
};

const hex = (bytes: Uint8Array): string => Array.from(bytes, (octet) => octet.toString(16).padStart(2, '0')).join('');
