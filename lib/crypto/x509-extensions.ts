// The extensions of an X.509 certificate → what they allow (RFC 5280 section 4.2): whether it is a CA, what its key may do, which names it
// is for, and which critical extensions nobody here understands. Strict: what is encoded in another than the one way is refused.
import {
  contextTag,
  type Element,
  readBits,
  readBoolean,
  readElements,
  readObjectId,
  readOne,
  readSmall,
  TAG,
} from './der.js';

export const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** Extended key usage (RFC 5280 section 4.2.1.12). */
export const PURPOSE = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

/** Bits of keyUsage as they lie in its first octet (RFC 5280 section 4.2.1.3). */
export const USAGE = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const;

/** The kinds of a GeneralName that are compared with something (RFC 5280 section 4.2.1.6). */
export const GENERAL_NAME: { readonly dns: number; readonly address: number } = {
  dns: contextTag(2, false),
  address: contextTag(7, false),
};

export interface Extensions {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
  /** The first octet of keyUsage; undefined: the extension is not there, and the key may do anything. */
  readonly usage: number | undefined;
  /** The object identifiers of extended key usage; undefined: the extension is not there. */
  readonly purposes: readonly string[] | undefined;
  /** DNS names and addresses. */
  readonly names: readonly string[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly constrainsNames: boolean;
  /** Section 4.2: one critical extension that is not understood makes the certificate unusable. */
  readonly unknownCritical: readonly string[];
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  EXTENSION.keyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.basicConstraints,
  EXTENSION.extendedKeyUsage,
]);

/** A string says what is wrong with them. */
export const readExtensions = (items: readonly Element[]): Extensions | string => {
  const found: Writable<Extensions> = {
    ca: false,
    pathLength: undefined,
    usage: undefined,
    purposes: undefined,
    names: [],
    subjectKeyId: undefined,
    constrainsNames: false,
    unknownCritical: [],
  };
  const seen = new Set<string>();
  for (const item of items) {
    const parts = item.tag === TAG.sequence ? (readElements(item.body) ?? []) : [];
    const [id, flag] = parts;
    const value = parts.at(-1);
    const oid = id?.tag === TAG.objectId ? readObjectId(id.body) : undefined;
    // A default is not encoded (X.690 section 11.5): critical stands there only as TRUE.
    const critical = parts.length === 3 && flag?.tag === TAG.boolean && readBoolean(flag.body) === true;
    if (oid === undefined || value?.tag !== TAG.octetString || parts.length !== (critical ? 3 : 2)) {
      return 'its extensions are bad';
    }
    // Section 4.2: not more than one of a kind.
    if (seen.has(oid)) return 'it has an extension twice';
    seen.add(oid);
    if (critical && !UNDERSTOOD.has(oid)) found.unknownCritical = [...found.unknownCritical, oid];
    const values = READERS[oid]?.(value.body);
    if (values === undefined && oid in READERS) return 'its extensions are bad';
    Object.assign(found, values);
  }
  return found;
};

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Section 4.2.1.9: cA only when TRUE, and a path length only with it. */
const readBasic = (value: Uint8Array): Partial<Extensions> | undefined => {
  const parts = readList(value);
  if (parts === undefined || parts.length > 2) return undefined;
  const [flag, length] = parts;
  if (flag === undefined) return { ca: false };
  if (flag.tag !== TAG.boolean || readBoolean(flag.body) !== true) return undefined;
  if (length === undefined) return { ca: true };
  const pathLength = length.tag === TAG.integer ? readSmall(length.body) : undefined;
  return pathLength === undefined ? undefined : { ca: true, pathLength };
};

/** Section 4.2.1.3: nine bits, at least one of them set. */
const readUsage = (value: Uint8Array): Partial<Extensions> | undefined => {
  const one = readOne(value, TAG.bitString);
  const bits = one === undefined ? undefined : readBits(one.body);
  const [usage] = bits ?? [];
  return usage === undefined || bits === undefined || bits.length > 2 || bits.every((octet) => octet === 0)
    ? undefined
    : { usage };
};

/** Section 4.2.1.12: at least one. */
const readPurposes = (value: Uint8Array): Partial<Extensions> | undefined => {
  const parts = readList(value) ?? [];
  const purposes = parts.flatMap(({ tag, body }) => (tag === TAG.objectId ? (readObjectId(body) ?? []) : []));
  return purposes.length > 0 && purposes.length === parts.length ? { purposes } : undefined;
};

/** Section 4.2.1.6. Kinds that nothing here compares with are passed over. */
const readNames = (value: Uint8Array): Partial<Extensions> | undefined => {
  const parts = readList(value) ?? [];
  const names: string[] = [];
  for (const { tag, body } of parts) {
    if (tag !== GENERAL_NAME.dns && tag !== GENERAL_NAME.address) continue;
    const name = tag === GENERAL_NAME.dns ? readDnsName(body) : readAddress(body);
    if (name === undefined) return undefined;
    names.push(name);
  }
  return parts.length === 0 ? undefined : { names };
};

const readKeyId = (value: Uint8Array): Partial<Extensions> | undefined => {
  const subjectKeyId = readOne(value, TAG.octetString)?.body;
  return subjectKeyId === undefined ? undefined : { subjectKeyId };
};

const READERS: Readonly<Record<string, (value: Uint8Array) => Partial<Extensions> | undefined>> = {
  [EXTENSION.basicConstraints]: readBasic,
  [EXTENSION.keyUsage]: readUsage,
  [EXTENSION.extendedKeyUsage]: readPurposes,
  [EXTENSION.subjectAltName]: readNames,
  [EXTENSION.subjectKeyId]: readKeyId,
  [EXTENSION.nameConstraints]: () => ({ constrainsNames: true }),
};

const readList = (value: Uint8Array): readonly Element[] | undefined => {
  const list = readOne(value, TAG.sequence);
  return list === undefined ? undefined : readElements(list.body);
};

/** Visible ASCII: a name with a NUL or a space in it was made to deceive. */
const readDnsName = (body: Uint8Array): string | undefined =>
  body.length > 0 && body.every((octet) => octet > 0x20 && octet < 0x7f) ? String.fromCharCode(...body) : undefined;

const readAddress = (body: Uint8Array): string | undefined => {
  if (body.length === 4) return body.join('.');
  if (body.length !== 16) return undefined;
  return shortest(Array.from({ length: 8 }, (_, at) => ((body[2 * at] as number) << 8) | (body[2 * at + 1] as number)));
};

/** RFC 5952 section 4.2: the first of the longest runs of zeros, if longer than one, is `::`. */
const shortest = (groups: readonly number[]): string => {
  const text = (from: number, to?: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  let best = { at: 0, size: 1 };
  for (let at = 0; at < 8; at++) {
    let size = 0;
    while (groups[at + size] === 0) size++;
    if (size > best.size) best = { at, size };
  }
  return best.size < 2 ? text(0) : `${text(0, best.at)}::${text(best.at + best.size)}`;
};
