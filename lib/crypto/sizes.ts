// What both suites refuse of their own caller: a key, nonce or length that a primitive is not defined for. A misuse, so it is thrown; without
// the check some would be accepted in silence (node:crypto takes shorter nonces, elliptic reduces any number modulo the order).

/** RFC 8439 section 2.8. */
export const TAG_SIZE = 16;

export const checkKey = (key: Uint8Array): void => {
  if (key.length !== 32) throw new RangeError('a key of ChaCha20-Poly1305 has 32 octets');
};

export const checkNonce = (nonce: Uint8Array): void => {
  if (nonce.length !== 12) throw new RangeError('a nonce of ChaCha20-Poly1305 has 12 octets');
};

/** RFC 5869 section 2.3. */
export const checkExpand = (key: Uint8Array, size: number): void => {
  if (key.length < 32) throw new RangeError('HKDF expands a key of 32 octets or more');
  if (!Number.isInteger(size) || size < 0 || size > 255 * 32) throw new RangeError('HKDF gives 0 to 8160 octets');
};

/** The order of P-256 (SP 800-186 section 3.2.1.3), and p, the order of its field. */
const ORDER: Uint8Array = octets('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
export const FIELD: Uint8Array = octets('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff');

/** A private key of P-256: 1 to the order less one. */
export const isScalar = (bytes: Uint8Array): boolean =>
  bytes.length === 32 && bytes.some((octet) => octet !== 0) && isBelow(bytes, ORDER);

/** Big-endian, of the same length. */
export const isBelow = (bytes: Uint8Array, bound: Uint8Array): boolean => {
  for (let at = 0; at < bound.length; at++) {
    const difference = (bytes[at] as number) - (bound[at] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
};

export const checkScalar = (scalar: Uint8Array): void => {
  if (!isScalar(scalar))
    throw new RangeError('a private key of P-256 is a number from 1 to the order less one, in 32 octets');
};

/** PROTOCOL.md section 6.2: uncompressed SEC1 and nothing else; libraries take the compressed and hybrid forms too. */
export const isUncompressed = (point: Uint8Array): boolean => point.length === 65 && point[0] === 4;

function octets(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16));
}
