// Values ↔ DER octets (X.690 section 10), as far as X.509 needs them. The writer gives one element at a time; the reader accepts what the
// writer could have written and nothing else: definite lengths in the shortest form, low tag numbers, exactly as many octets as there are.
// Foreign octets that are not DER give undefined, never an exception. Knows no X.509.

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]` with the form of what it stands for: constructed when explicit, or implicit for a sequence. */
export const contextTag = (n: number, constructed: boolean): number => (constructed ? 0xa0 : 0x80) | n;

// Writing

export const element = (tag: number, ...contents: readonly Uint8Array[]): Uint8Array => {
  const size = contents.reduce((sum, part) => sum + part.length, 0);
  const length = size < 0x80 ? [size] : longLength(size);
  const out = new Uint8Array(1 + length.length + size);
  out[0] = tag;
  out.set(length, 1);
  let at = 1 + length.length;
  for (const part of contents) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

/** X.690 section 8.1.3.5, in the fewest octets (section 10.1). */
const longLength = (size: number): number[] => {
  const octets: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
};

export const sequence = (...contents: readonly Uint8Array[]): Uint8Array => element(TAG.sequence, ...contents);
export const setOfOne = (content: Uint8Array): Uint8Array => element(TAG.set, content);
export const octetString = (bytes: Uint8Array): Uint8Array => element(TAG.octetString, bytes);
export const bitString = (bytes: Uint8Array, unused = 0): Uint8Array =>
  element(TAG.bitString, Uint8Array.of(unused), bytes);
export const truth = (): Uint8Array => element(TAG.boolean, Uint8Array.of(0xff));
export const nothing = (): Uint8Array => element(TAG.null);
export const utf8String = (text: string): Uint8Array => element(TAG.utf8String, new TextEncoder().encode(text));

/** A number that is not negative, given as its octets, most significant first. */
export const unsigned = (bytes: Uint8Array): Uint8Array => {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const digits = bytes.subarray(from);
  // Section 8.3: two's complement, so a leading one would make it negative.
  return digits.length === 0 || (digits[0] as number) >= 0x80
    ? element(TAG.integer, Uint8Array.of(0), digits)
    : element(TAG.integer, digits);
};

/** `1.2.840.10045.4.3.2`: section 8.19. */
export const objectId = (text: string): Uint8Array => {
  const arcs = text.split('.').map(Number);
  const [first = 0, second = 0, ...more] = arcs;
  if (arcs.length < 2 || arcs.some((arc) => !Number.isSafeInteger(arc) || arc < 0) || first > 2) {
    throw new TypeError(`not an object identifier: ${text}`);
  }
  return element(TAG.objectId, Uint8Array.from([first * 40 + second, ...more].flatMap(base128)));
};

const base128 = (arc: number): number[] => {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 | (rest % 128));
  return octets;
};

// Reading

export interface Element {
  readonly tag: number;
  /** The contents octets, a view. */
  readonly body: Uint8Array;
  /** With tag and length, a view. */
  readonly whole: Uint8Array;
}

/** The elements that fill these octets without a rest. */
export const readElements = (bytes: Uint8Array): readonly Element[] | undefined => {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const one = readElement(bytes, at);
    if (one === undefined) return undefined;
    found.push(one);
    at += one.whole.length;
  }
  return found;
};

/** The one element of this tag that fills these octets. */
export const readOne = (bytes: Uint8Array, tag: number): Element | undefined => {
  const one = readElement(bytes, 0);
  return one !== undefined && one.tag === tag && one.whole.length === bytes.length ? one : undefined;
};

const readElement = (bytes: Uint8Array, at: number): Element | undefined => {
  const tag = bytes[at];
  const first = bytes[at + 1];
  // Tag numbers of 31 and more go on in further octets: X.509 has none.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  let size = first;
  let from = at + 2;
  if (first >= 0x80) {
    // 0x80 is the indefinite form, which DER does not have; nothing here needs more than three octets of length.
    const count = first & 0x7f;
    if (count === 0 || count > 3 || from + count > bytes.length) return undefined;
    size = 0;
    for (let i = 0; i < count; i++) size = size * 256 + (bytes[from + i] as number);
    if (size < 0x80 || bytes[from] === 0) return undefined;
    from += count;
  }
  const end = from + size;
  return end > bytes.length ? undefined : { tag, body: bytes.subarray(from, end), whole: bytes.subarray(at, end) };
};

/** The contents octets of a BOOLEAN: section 11.1. */
export const readBoolean = (body: Uint8Array): boolean | undefined =>
  body.length === 1 && (body[0] === 0 || body[0] === 0xff) ? body[0] === 0xff : undefined;

/** Whether the contents octets of an INTEGER are the shortest form of a number: section 8.3.2. */
export const isInteger = (body: Uint8Array): boolean => {
  const [first, second] = body;
  if (first === undefined) return false;
  return second === undefined || !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
};

/** A number from 0 to 2^31 - 1. */
export const readSmall = (body: Uint8Array): number | undefined =>
  isInteger(body) && body.length <= 4 && (body[0] as number) < 0x80
    ? body.reduce((sum, octet) => sum * 256 + octet, 0)
    : undefined;

/** The octets of a BIT STRING; section 11.2 wants the bits that do not count to be zero. */
export const readBits = (body: Uint8Array): Uint8Array | undefined => {
  const unused = body[0];
  if (unused === undefined || unused > 7 || (body.length === 1 && unused > 0)) return undefined;
  const last = body.length === 1 ? 0 : (body[body.length - 1] as number);
  return (last & ((1 << unused) - 1)) === 0 ? body.subarray(1) : undefined;
};

export const readObjectId = (body: Uint8Array): string | undefined => {
  const arcs: number[] = [];
  let arc = 0;
  let open = false;
  for (const octet of body) {
    // A leading 0x80 adds nothing: not the shortest form. An arc beyond 2^53 is nobody we know.
    if ((!open && octet === 0x80) || arc > 2 ** 45) return undefined;
    arc = arc * 128 + (octet & 0x7f);
    open = octet >= 0x80;
    if (open) continue;
    if (arcs.length > 0) arcs.push(arc);
    else if (arc < 80) arcs.push(Math.floor(arc / 40), arc % 40);
    else arcs.push(2, arc - 80);
    arc = 0;
  }
  return open || arcs.length === 0 ? undefined : arcs.join('.');
};
