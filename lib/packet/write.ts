// Fields → the octets of a packet, and the two octet strings that cover them: what the checksum runs over and what the seal
// authenticates. Writes what it is told, right or wrong: rules.ts and header.ts judge. PROTOCOL.md sections 2.2, 3.2, 3.4 and 4.

import { sequenceOf, vectorOf } from './number.js';
import type { Packet } from './packet.js';
import { FLAG, TYPE } from './wire.js';

/** What a packet is made of; only what its type and flags have is written. */
export interface PacketFields {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly fragmentId?: number;
  /** The field named Fragment Number. */
  readonly fragmentCount?: number;
  readonly initVector?: number;
  readonly checksum?: number;
  readonly ackId?: number;
  readonly ackBits?: number;
  readonly heartbeat?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly publicKey?: Uint8Array;
  readonly certificate?: Uint8Array | undefined;
  readonly data?: Uint8Array;
}

const EMPTY: Uint8Array = new Uint8Array(0);

/** PROTOCOL.md section 2.2: 4, 6, 8 or 10 octets. */
export const headerSize = (flags: number): number =>
  4 +
  ((flags & FLAG.frag) !== 0 ? 2 : 0) +
  ((flags & FLAG.encrypted) !== 0 ? 2 : 0) +
  ((flags & FLAG.checksum) !== 0 ? 2 : 0);

const tsfSize = (p: PacketFields): number => {
  switch (p.type) {
    case TYPE.ack:
      return 4;
    case TYPE.auth:
      return 2 + (p.publicKey?.length ?? 0) + (p.certificate === undefined ? 0 : 2 + p.certificate.length);
    case TYPE.heartbeat:
    case TYPE.error:
      return 1;
    default:
      return 0;
  }
};

const put16 = (out: Uint8Array, at: number, value: number): number => {
  out[at] = value >>> 8;
  out[at + 1] = value;
  return at + 2;
};

/** The type-specific fields at `at`; returns where they end. */
const putTsf = (out: Uint8Array, at: number, p: PacketFields): number => {
  let to = at;
  switch (p.type) {
    case TYPE.ack:
      to = put16(out, to, p.ackId ?? 0);
      return put16(out, to, p.ackBits ?? 0);
    case TYPE.auth: {
      const key = p.publicKey ?? EMPTY;
      to = put16(out, to, key.length & 0xff);
      out.set(key, to);
      to += key.length;
      if (p.certificate === undefined) return to;
      to = put16(out, to, p.certificate.length);
      out.set(p.certificate, to);
      return to + p.certificate.length;
    }
    case TYPE.heartbeat:
      out[to] = p.heartbeat ?? 0;
      return to + 1;
    case TYPE.error:
      out[to] = ((p.major ?? 0) << 4) | (p.minor ?? 0);
      return to + 1;
    default:
      return to;
  }
};

/** The type-specific fields alone. */
export const writeTsf = (p: PacketFields): Uint8Array => {
  const size = tsfSize(p);
  if (size === 0) return EMPTY;
  const out = new Uint8Array(size);
  putTsf(out, 0, p);
  return out;
};

export const writePacket = (p: PacketFields): Uint8Array => {
  const data = p.data ?? EMPTY;
  const out = new Uint8Array(headerSize(p.flags) + tsfSize(p) + data.length);
  out[0] = p.type;
  out[1] = p.flags;
  let to = put16(out, 2, p.sequence);
  if ((p.flags & FLAG.frag) !== 0) {
    out[to] = p.fragmentId ?? 0;
    out[to + 1] = p.fragmentCount ?? 0;
    to += 2;
  }
  if ((p.flags & FLAG.encrypted) !== 0) to = put16(out, to, p.initVector ?? 0);
  if ((p.flags & FLAG.checksum) !== 0) to = put16(out, to, p.checksum ?? 0);
  out.set(data, putTsf(out, to, p));
  return out;
};

const head = (
  type: number,
  flags: number,
  sequence: number,
  vector: number | undefined,
  tsf: Uint8Array,
): Uint8Array => {
  const out = new Uint8Array((vector === undefined ? 4 : 6) + tsf.length);
  out[0] = type;
  // Fragments are made after sealing, so FRAG is not covered.
  out[1] = flags & ~FLAG.frag;
  let to = put16(out, 2, sequence);
  if (vector !== undefined) to = put16(out, to, vector);
  if (tsf.length > 0) out.set(tsf, to);
  return out;
};

/** PROTOCOL.md section 3.4: what the seal authenticates besides Data. */
export const writeAad = (type: number, flags: number, number: number, tsf: Uint8Array): Uint8Array =>
  head(type, flags, sequenceOf(number), vectorOf(number), tsf);

/** PROTOCOL.md section 3.2: what the checksum covers before the original Data. */
export const writeChecked = (type: number, flags: number, sequence: number, tsf: Uint8Array): Uint8Array =>
  head(type, flags, sequence, undefined, tsf);

const tsfOf = (p: Packet): Uint8Array => (p.tsfStart === p.tsfEnd ? EMPTY : p.bytes.subarray(p.tsfStart, p.tsfEnd));

/** The same for a packet that was read. */
export const aadOf = (p: Packet): Uint8Array => head(p.type, p.flags, p.sequence, p.initVector, tsfOf(p));

export const checkedOf = (p: Packet): Uint8Array => head(p.type, p.flags, p.sequence, undefined, tsfOf(p));
