// The first bytes of a connection from a trusted proxy → whom it speaks for, and the bytes after the header. PROXY protocol, versions 1
// (text, section 2.1) and 2 (binary, section 2.2) of its specification. A machine: owns no socket and no deadline, never throws for
// bytes. It does not ask who the peer is: only a peer that isTrusted() may be given this parser, and from such a peer the header is
// required (section 2: a receiver must not guess whether one is there, or a client could bring its own).
import { type Fault, fault } from '../fault.js';
import { parseDecimal, parseIp, writeIp } from './cidr.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export type ProxyResult =
  | { readonly kind: 'more' }
  | {
      readonly kind: 'proxy';
      /** undefined: the socket's own peer counts (LOCAL, UNKNOWN, UNSPEC, a Unix socket). */
      readonly source: Endpoint | undefined;
      /** The proxy says its client came over TLS (PP2_TYPE_SSL). */
      readonly secure: boolean;
      /** A view of the chunk: what follows the header. */
      readonly rest: Uint8Array;
    }
  | Fault;

type Verdict = { readonly source: Endpoint | undefined; readonly secure: boolean } | Fault;

// Section 2.2
const SIGNATURE: readonly number[] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const FIXED = 16;
// Section 2.1: 107 characters are the worst case, CR LF included
const LONGEST_TEXT = 107;
// The length field allows 65,535; addresses, a client certificate and some TLVs fit in this.
const LONGEST_BINARY = 8192;
const TEXT_START: readonly number[] = [0x50, 0x52, 0x4f, 0x58, 0x59, 0x20];

const COMMAND = { local: 0, proxy: 1 } as const;
const FAMILY = { unspec: 0, inet: 1, inet6: 2, unix: 3 } as const;
const TRANSPORT = { unspec: 0, stream: 1, dgram: 2 } as const;
const TLV = { crc32c: 0x03, ssl: 0x20 } as const;
/** Both addresses and both ports. */
const ADDRESS_SIZE: readonly number[] = [0, 12, 36, 216];

const bad = (detail: string): Fault => fault('WSD_HTTP_PROXY', detail);
const DIRECT: Verdict = { source: undefined, secure: false };

/** Castagnoli, reflected. `hole` is where four octets count as zero. By bits: a header is short and a table is 1 KiB. */
const crc32c = (bytes: Uint8Array, end: number, hole: number): number => {
  let crc = 0xffffffff;
  for (let i = 0; i < end; i++) {
    if (i < hole || i >= hole + 4) crc ^= bytes[i]!;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  return ~crc >>> 0;
};

const endpoint = (address: string, port: string, family: 4 | 6): Endpoint | undefined => {
  // A mapped address in a TCP6 line is six by its spelling, four by its value
  if (address.includes('%') || address.includes(':') !== (family === 6)) return undefined;
  const ip = parseIp(address);
  const number = parseDecimal(port, 65535);
  return ip === undefined || number < 0 ? undefined : { address: writeIp(ip), port: number };
};

/** Section 2.1: PROXY TCP4|TCP6 source destination port port, single spaces; after UNKNOWN anything up to the CR LF is ignored. */
const parseText = (line: string): Verdict => {
  const parts = line.split(' ', 7);
  if (parts[1] === 'UNKNOWN') return DIRECT;
  if (parts.length !== 6 || (parts[1] !== 'TCP4' && parts[1] !== 'TCP6')) return bad('malformed PROXY line');
  const family = parts[1] === 'TCP4' ? 4 : 6;
  const source = endpoint(parts[2]!, parts[4]!, family);
  const destination = endpoint(parts[3]!, parts[5]!, family);
  return source === undefined || destination === undefined ? bad('malformed PROXY line') : { source, secure: false };
};

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

/** Section 2.2.3: the checksum must hold when it is there. Section 2.2.6: bit 0 of the SSL block is "over TLS". Others are skipped. */
const parseTlvs = (bytes: Uint8Array, start: number, end: number): { readonly secure: boolean } | Fault => {
  let secure = false;
  let summed = false;
  let at = start;
  while (at < end) {
    if (end - at < 3) return bad('TLV cut short');
    const type = bytes[at]!;
    const size = u16(bytes, at + 1);
    const value = at + 3;
    at = value + size;
    if (at > end) return bad('TLV cut short');
    if (type === TLV.crc32c) {
      // Once: each checksum costs a pass over the header
      if (size !== 4 || summed) return bad('malformed checksum');
      summed = true;
      const given = ((u16(bytes, value) << 16) | u16(bytes, value + 2)) >>> 0;
      if (crc32c(bytes, end, value) !== given) return bad('wrong checksum');
    } else if (type === TLV.ssl) {
      if (size < 5) return bad('TLV cut short');
      secure = (bytes[value]! & 1) === 1;
    }
  }
  return { secure };
};

const parseBinary = (bytes: Uint8Array, end: number): Verdict => {
  // LOCAL: the proxy's own connection, a health check. The whole block is discarded, its family and its TLVs too.
  if ((bytes[12]! & 0x0f) === COMMAND.local) return DIRECT;
  const family = bytes[13]! >> 4;
  const transport = bytes[13]! & 0x0f;
  if (family > FAMILY.unix || transport > TRANSPORT.dgram) return bad('reserved address family');
  // Without a family nobody knows where the addresses end and the TLVs begin
  if (family === FAMILY.unspec) return DIRECT;
  const tlvs = FIXED + ADDRESS_SIZE[family]!;
  if (tlvs > end) return bad('addresses cut short');
  const found = parseTlvs(bytes, tlvs, end);
  if ('kind' in found) return found;
  if (family === FAMILY.unix || transport === TRANSPORT.unspec) return { source: undefined, secure: found.secure };
  // The text form, and IPv4 for a mapped address, come from the one place that knows them
  const size = family === FAMILY.inet ? 4 : 16;
  const ip = parseIp(writeIp({ bytes: bytes.subarray(FIXED, FIXED + size) }));
  if (ip === undefined) return bad('malformed address');
  return { source: { address: writeIp(ip), port: u16(bytes, FIXED + 2 * size) }, secure: found.secure };
};

/** Reads one header. Each byte is looked at once; the first that cannot be right ends it. After a verdict it is spent. */
export class ProxyParser {
  #held = new Uint8Array(LONGEST_TEXT);
  #size = 0;
  /** The size of a version 2 header once its length field is read. */
  #total = 0;
  #spent = false;

  receive(chunk: Uint8Array): ProxyResult {
    if (this.#spent) throw new TypeError('this PROXY parser has given its verdict');
    let at = 0;
    while (at < chunk.length) {
      if (this.#total > 0) {
        const part = Math.min(this.#total - this.#size, chunk.length - at);
        this.#held.set(chunk.subarray(at, at + part), this.#size);
        this.#size += part;
        at += part;
      } else {
        const wrong = this.#receiveByte(chunk[at++]!);
        if (wrong !== undefined) return this.#end(wrong, chunk, at);
      }
      if (this.#total > 0 && this.#size === this.#total) {
        return this.#end(parseBinary(this.#held, this.#total), chunk, at);
      }
    }
    return { kind: 'more' };
  }

  /** A verdict ends version 1 or refuses; undefined asks for the next byte. */
  #receiveByte(byte: number): Verdict | undefined {
    const place = this.#size++;
    this.#held[place] = byte;
    if (this.#held[0] === TEXT_START[0]) return this.#receiveText(byte, place);
    if (place < SIGNATURE.length) return byte === SIGNATURE[place] ? undefined : bad('no PROXY header');
    if (place === 12) return byte === 0x20 || byte === 0x21 ? undefined : bad('unknown PROXY version or command');
    if (place < FIXED - 1) return undefined;
    const total = FIXED + u16(this.#held, 14);
    if (total > LONGEST_BINARY) return bad('PROXY header too long');
    this.#total = total;
    if (total > this.#held.length) {
      const longer = new Uint8Array(total);
      longer.set(this.#held.subarray(0, FIXED));
      this.#held = longer;
    }
    return undefined;
  }

  #receiveText(byte: number, place: number): Verdict | undefined {
    if (place < TEXT_START.length) return byte === TEXT_START[place] ? undefined : bad('no PROXY header');
    if (byte === 0x0a) {
      if (this.#held[place - 1] !== 0x0d) return bad('malformed PROXY line');
      return parseText(String.fromCharCode(...this.#held.subarray(0, place - 1)));
    }
    if (this.#held[place - 1] === 0x0d) return bad('malformed PROXY line');
    if (place === LONGEST_TEXT - 1) return bad('PROXY header too long');
    return undefined;
  }

  #end(verdict: Verdict, chunk: Uint8Array, at: number): ProxyResult {
    this.#spent = true;
    if ('kind' in verdict) return verdict;
    return { kind: 'proxy', source: verdict.source, secure: verdict.secure, rest: chunk.subarray(at) };
  }
}
