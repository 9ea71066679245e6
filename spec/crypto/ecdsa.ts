// A good ECDSA signature on P-256 → others: such as are equally right, and such as nobody may accept (HOSTILE.md line 63). For specs.
import { element, readElements, readOne, sequence, TAG } from '../../lib/crypto/der.js';

/** The order of the base point (SEC 2 section 2.4.2). */
const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

type Row = readonly [title: string, signature: Uint8Array];

const digits = (value: bigint): Uint8Array => {
  const text = value.toString(16);
  const bytes = Buffer.from(text.padStart(text.length + (text.length % 2), '0'), 'hex');
  return (bytes[0] as number) >= 0x80 ? Uint8Array.of(0, ...bytes) : Uint8Array.from(bytes);
};

const pair = (r: Uint8Array, s: Uint8Array): Uint8Array => sequence(element(TAG.integer, r), element(TAG.integer, s));

const numbersOf = (signature: Uint8Array): [bigint, bigint] =>
  (readElements(readOne(signature, TAG.sequence)?.body ?? signature) ?? []).map(({ body }) =>
    BigInt(`0x${Buffer.from(body).toString('hex')}`),
  ) as [bigint, bigint];

/** FIPS 186-5 and RFC 8446 have no low-s rule: a peer's library decides, and the transcript holds whichever it sent. */
export const sameSignatures = (signature: Uint8Array): readonly Row[] => {
  const [r, s] = numbersOf(signature);
  return [
    ['the same, written by hand', pair(digits(r), digits(s))],
    ['n - s instead of s', pair(digits(r), digits(ORDER - s))],
  ];
};

export const badSignatures = (signature: Uint8Array): readonly Row[] => {
  const [r, s] = numbersOf(signature);
  const zero = Uint8Array.of(0);
  const one = Uint8Array.of(1);
  return [
    ['r = 0', pair(zero, digits(s))],
    ['s = 0', pair(digits(r), zero)],
    ['both 0', pair(zero, zero)],
    ['both 1', pair(one, one)],
    ['r = n', pair(digits(ORDER), digits(s))],
    ['s = n', pair(digits(r), digits(ORDER))],
    ['r + n', pair(digits(r + ORDER), digits(s))],
    ['s + n', pair(digits(r), digits(s + ORDER))],
    ['r = n and s = n', pair(digits(ORDER), digits(ORDER))],
    ['r below zero', pair(digits((1n << 256n) - r).subarray(-32), digits(s))],
    ['s below zero', pair(digits(r), Uint8Array.of(0x80, ...digits(s)))],
    ['r with leading zeros', pair(Uint8Array.of(0, 0, ...digits(r)), digits(s))],
    ['s with leading zeros', pair(digits(r), Uint8Array.of(0, 0, ...digits(s)))],
    ['an empty r', pair(new Uint8Array(0), digits(s))],
    ['r and s exchanged', pair(digits(s), digits(r))],
    ['r of another type', sequence(element(TAG.octetString, digits(r)), element(TAG.integer, digits(s)))],
    ['a third number', sequence(...[digits(r), digits(s), zero].map((body) => element(TAG.integer, body)))],
    ['one number', sequence(element(TAG.integer, digits(r)))],
    ['an octet behind it', Uint8Array.of(...signature, 0)],
    ['an octet behind the numbers', sequence(...[r, s].map((n) => element(TAG.integer, digits(n))), zero)],
    ['a SET', Uint8Array.of(TAG.set, ...signature.subarray(1))],
    ['a long form of the length', Uint8Array.of(TAG.sequence, 0x81, ...signature.subarray(1))],
    ['the indefinite length', Uint8Array.of(TAG.sequence, 0x80, ...signature.subarray(2), 0, 0)],
    ['a length that is too long', Uint8Array.of(TAG.sequence, 0x7f, ...signature.subarray(2))],
    ['its last octet is missing', signature.subarray(0, -1)],
    ['IEEE P1363', Uint8Array.from(Buffer.from([r, s].map((n) => n.toString(16).padStart(64, '0')).join(''), 'hex'))],
    ['nothing', new Uint8Array(0)],
    ['an empty SEQUENCE', sequence()],
    ['64 KiB of zeros', new Uint8Array(65_536)],
    ['64 KiB of ones', new Uint8Array(65_536).fill(0xff)],
  ];
};
