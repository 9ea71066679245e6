// One packet → its fields by the names of the wire tables, each with its place in bits and what its value says. Goes by the octets alone:
// it judges nothing and shows as much as there is, also of a packet no receiver would take. PROTOCOL.md sections 2.2 and 4.
import { codeFrom, codeText, isKnownCode } from './codes.js';
import type { ExplainedPacketField, PacketFieldName } from './explained.js';
import { numberOf } from './number.js';
import { FLAG, flagNames, KEY_SIZE, TAG, TYPE, typeName } from './wire.js';

export const hex16 = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;

const octets = (n: number): string => `${n} octet${n === 1 ? '' : 's'}`;

/** PROTOCOL.md section 5.3: the Sequence IDs an ACK covers, the newest first. */
export const coveredBy = (id: number, bits: number): number[] => {
  const covered = [id];
  for (let i = 1; i <= 16; i++) if ((bits & (1 << (16 - i))) !== 0) covered.push((id - i) & 0xffff);
  return covered;
};

class Walk {
  readonly fields: ExplainedPacketField[] = [];
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  /** A number of whole octets; null ends the walk: there is nothing after what is cut off. */
  take(name: PacketFieldName, size: number, meaning: (value: number) => string): number | null {
    if (this.left < size) {
      this.#cut(name, size);
      return null;
    }
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[this.at + i] as number);
    this.fields.push({ name, bit: this.at * 8, bits: size * 8, value, meaning: meaning(value) });
    this.at += size;
    return value;
  }

  /** Two fields in one octet. */
  nibbles(
    names: readonly [high: PacketFieldName, low: PacketFieldName],
    meanings: (high: number, low: number) => readonly [high: string, low: string],
  ): boolean {
    if (this.left < 1) {
      this.#cut(names[0], 0.5);
      return false;
    }
    const octet = this.#bytes[this.at] as number;
    const [high, low] = meanings(octet >> 4, octet & 15);
    const bit = this.at * 8;
    this.fields.push({ name: names[0], bit, bits: 4, value: octet >> 4, meaning: high });
    this.fields.push({ name: names[1], bit: bit + 4, bits: 4, value: octet & 15, meaning: low });
    this.at++;
    return true;
  }

  /** Octets that are shown as such: what is there of what was announced. */
  stretch(name: PacketFieldName, size: number, meaning: string): boolean {
    const there = Math.min(size, this.left);
    const told = there < size ? `${meaning}: ${there} are here` : meaning;
    if (size > 0) this.fields.push({ name, bit: this.at * 8, bits: size * 8, value: there, meaning: told });
    this.at += there;
    return there === size;
  }

  #cut(name: PacketFieldName, size: number): void {
    this.fields.push({ name, bit: this.at * 8, bits: size * 8, value: null, meaning: 'cut off' });
    this.at = this.#bytes.length;
  }
}

export const explainFields = (bytes: Uint8Array): ExplainedPacketField[] => {
  const walk = new Walk(bytes);
  walkPacket(walk, (bytes[0] ?? 0) & 15, bytes[1] ?? 0);
  return walk.fields;
};

const walkPacket = (walk: Walk, type: number, flags: number): void => {
  const sealed = (flags & FLAG.encrypted) !== 0;
  const first = walk.nibbles(['Version', 'Type'], (version) => [
    version === 0 ? 'version 0' : 'a version nobody speaks',
    typeName(type),
  ]);
  if (!first) return;
  const named = flagNames(flags).join(' ');
  if (walk.take('Flags', 1, () => (named === '' ? 'none' : named)) === null) return;
  const sequence = walk.take('Sequence ID', 2, () => 'the low half of the number');
  if (sequence === null) return;
  if ((flags & FLAG.frag) !== 0) {
    if (walk.take('Fragment ID', 1, (id) => `place ${id}, from 0`) === null) return;
    if (walk.take('Fragment Number', 1, (n) => `${n} fragments in all`) === null) return;
  }
  if (sealed) {
    const meaning = (vector: number): string => `the high half: number ${numberOf(vector, sequence)}`;
    if (walk.take('Init Vector', 2, meaning) === null) return;
  }
  if ((flags & FLAG.checksum) !== 0) {
    const meaning = (): string => (sealed ? 'the first two octets of what is sealed' : 'the low half of a CRC-32');
    if (walk.take('Checksum Hash', 2, meaning) === null) return;
  }
  if (!walkOwn(walk, type)) return;
  if (walk.left === 0) return;
  const tag = sealed && (flags & FLAG.frag) === 0 && walk.left >= TAG ? `, the last ${TAG} are the tag` : '';
  walk.stretch('Data', walk.left, `${octets(walk.left)}${sealed ? ', sealed' : ''}${tag}`);
};

/** The type-specific fields. False: they are cut off, or nothing may follow them. */
const walkOwn = (walk: Walk, type: number): boolean => {
  switch (type) {
    case TYPE.ack: {
      const id = walk.take('ACK ID', 2, (value) => `acknowledges ${hex16(value)}`);
      if (id === null) return false;
      const meaning = (bits: number): string => {
        const more = coveredBy(id, bits).slice(1).map(hex16).join(' ');
        return more === '' ? 'and none before it' : `and ${more}`;
      };
      return walk.take('ACK Bits', 2, meaning) !== null;
    }
    case TYPE.auth:
      return walkAuth(walk);
    case TYPE.heartbeat: {
      const meaning = (value: number): string => ['PING', 'PONG'][value] ?? 'neither PING nor PONG';
      return walk.take('Heartbeat', 1, meaning) !== null;
    }
    case TYPE.error:
      return walk.nibbles(['Error Major', 'Error Minor'], (major, minor) => [
        ['handshake', 'disconnect', 'packet'][major - 1] ?? 'reserved',
        isKnownCode(major, minor) ? codeText(codeFrom(major, minor)) : `${major}.${minor} is reserved, read as 2.0`,
      ]);
    default:
      return true;
  }
};

const walkAuth = (walk: Walk): boolean => {
  if (walk.take('Reserved', 1, (value) => (value === 0 ? 'for padding' : 'must be 0')) === null) return false;
  const right = (size: number): string => (size === KEY_SIZE ? octets(size) : `${octets(size)}, must be ${KEY_SIZE}`);
  const size = walk.take('EC Public Key Size (E)', 1, right);
  if (size === null) return false;
  if (!walk.stretch('EC Public Key', size, `${octets(size)}, a point of P-256`)) return false;
  if (walk.left === 0) return false;
  const length = walk.take('Certificate Size (C)', 2, (value) => (value === 0 ? 'must not be 0' : octets(value)));
  if (length === null || !walk.stretch('Certificate', length, `${octets(length)}, X.509 in DER`)) return false;
  // What follows is too much, and is shown as what it is not.
  return walk.left > 0;
};
