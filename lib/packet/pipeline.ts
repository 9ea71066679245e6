// The transforms of a message in flag order, and back: checksum, deflate, seal, fragments → packets; Data → open, inflate, verify → message.
// Numbers come from outside; which packets belong together is reassembly.ts. Knows no session. The common packet, whole and without
// checksum, costs its own octets and little else: what the seal covers is written into scratch memory. PROTOCOL.md section 3.
import type { Suite } from '../crypto/suite.js';
import type { PacketCode } from './codes.js';
import { sequenceOf, vectorOf } from './number.js';
import type { Packet } from './packet.js';
import { checksumOf, type Head, openBody, type Protector, sealBody } from './protect.js';
import { Slab } from './slab.js';
import { FLAG, MAX_DATA, MAX_FRAGMENTS, TAG, TYPE } from './wire.js';
import { checkedOf, type PacketFields, writePacket, writeTsf } from './write.js';

const EMPTY: Uint8Array = new Uint8Array(0);

/** What leaves, of all sessions. It is gone as soon as its carrier has written it. */
const PACKETS = new Slab(8192, 8192);

/** DEFAULT packets of messages, and single packets of the other types, for one direction. */
export class Encoder {
  readonly #suite: Suite;
  readonly #sealed: boolean;
  #protector: Protector | undefined;
  readonly #aad = new Uint8Array(6);
  // The message that was prepared and not written yet.
  #data = EMPTY;
  #body = EMPTY;
  #flags = 0;
  #count = 1;

  /** `sealed`: the mode, since what a seal adds is counted before there are keys. */
  constructor(suite: Suite, sealed: boolean) {
    this.#suite = suite;
    this.#sealed = sealed;
  }

  /** The keys of the next connection; undefined: none for now. */
  rekey(protector: Protector | undefined): void {
    this.#protector?.erase();
    this.#protector = protector;
  }

  /** Compresses and counts, so that a message that is too large takes no number. False: it needs more than 255 fragments. */
  prepare(data: Uint8Array, flags: number): boolean {
    this.#data = data;
    this.#body = data;
    this.#flags = this.#sealed ? flags | FLAG.encrypted : flags;
    if ((flags & FLAG.compressed) !== 0) {
      const deflated = this.#suite.deflate(data);
      // Section 3.3: the flag is cleared when the result is not shorter.
      if (deflated.length < data.length) this.#body = deflated;
      else this.#flags &= ~FLAG.compressed;
    }
    const length = this.#body.length + (this.#sealed ? TAG : 0);
    this.#count = length <= MAX_DATA ? 1 : Math.ceil(length / MAX_DATA);
    return this.#count <= MAX_FRAGMENTS;
  }

  /** The packets of the prepared message. */
  write(number: number, emit: (packet: Uint8Array) => void): void {
    const flags = this.#flags;
    let checksum = 0;
    let data = this.#body;
    if ((flags & FLAG.checksum) !== 0) {
      const head: Head = { type: TYPE.default, flags, number, tsf: EMPTY };
      checksum = checksumOf(this.#suite, head, this.#data);
      if (this.#protector !== undefined) ({ checksum, data } = sealBody(this.#protector, head, checksum, data));
    } else if (this.#protector !== undefined) {
      data = this.#protector.seal(number, this.#cover(flags, number), data);
    }
    this.#data = EMPTY;
    this.#body = EMPTY;
    if (this.#count === 1) {
      emit(writeDefault(flags, number, checksum, data, 0, 0));
      return;
    }
    // Section 3.5: all but the last are full.
    for (let id = 0; id < this.#count; id += 1) {
      const part = data.subarray(id * MAX_DATA, (id + 1) * MAX_DATA);
      emit(writeDefault(flags | FLAG.frag, number, checksum, part, id, this.#count));
    }
  }

  /** ACK, HEARTBEAT or ERROR, sealed when there are keys. */
  writeOther(number: number, fields: Omit<PacketFields, 'flags' | 'sequence'>): Uint8Array {
    const data = fields.data ?? EMPTY;
    if (this.#protector === undefined) return writePacket({ ...fields, flags: 0, sequence: sequenceOf(number) });
    const flags = FLAG.encrypted;
    const all: PacketFields = { ...fields, flags, sequence: sequenceOf(number), initVector: vectorOf(number) };
    const sealed = sealBody(this.#protector, { type: fields.type, flags, number, tsf: writeTsf(all) }, 0, data);
    return writePacket({ ...all, data: sealed.data });
  }

  #cover(flags: number, number: number): Uint8Array {
    const aad = this.#aad;
    aad[0] = TYPE.default;
    aad[1] = flags;
    put32(aad, number);
    return aad;
  }
}

/** Section 3.4: Sequence ID and Init Vector of a sealed packet, in the order of the header. */
const put32 = (out: Uint8Array, number: number): void => {
  out[2] = number >>> 8;
  out[3] = number;
  out[4] = number >>> 24;
  out[5] = number >>> 16;
};

const writeDefault = (
  flags: number,
  number: number,
  checksum: number,
  data: Uint8Array,
  id: number,
  count: number,
): Uint8Array => {
  const fragmented = (flags & FLAG.frag) !== 0;
  const sealed = (flags & FLAG.encrypted) !== 0;
  const checked = (flags & FLAG.checksum) !== 0;
  const size = 4 + (fragmented ? 2 : 0) + (sealed ? 2 : 0) + (checked ? 2 : 0);
  const out = PACKETS.take(size + data.length);
  out[0] = TYPE.default;
  out[1] = flags;
  out[2] = number >>> 8;
  out[3] = number;
  let at = 4;
  if (fragmented) {
    out[4] = id;
    out[5] = count;
    at = 6;
  }
  if (sealed) {
    out[at] = number >>> 24;
    out[at + 1] = number >>> 16;
    at += 2;
  }
  if (checked) {
    out[at] = checksum >>> 8;
    out[at + 1] = checksum;
  }
  out.set(data, size);
  return out;
};

/** The way back, for the other direction. The result is in `message` until the next call. */
export class Decoder {
  readonly #suite: Suite;
  readonly #maxMessage: number;
  #protector: Protector | undefined;
  readonly #aad = new Uint8Array(6);
  message: Uint8Array = EMPTY;
  /** Whether `message` is memory of its own, and not a view of what came in. */
  owned = false;

  constructor(suite: Suite, maxMessage: number) {
    this.#suite = suite;
    this.#maxMessage = maxMessage;
  }

  rekey(protector: Protector | undefined): void {
    this.#protector?.erase();
    this.#protector = protector;
  }

  /** Section 7 steps 12 to 14. `data`: the packet's, or that of all fragments, which are `joined` then. */
  decode(packet: Packet, number: number, data: Uint8Array, joined: boolean): PacketCode | undefined {
    const { flags } = packet;
    let body = data;
    let { checksum } = packet;
    this.owned = joined;
    if ((flags & FLAG.encrypted) !== 0) {
      const opened = this.#open(packet, number, data);
      if (opened === undefined) return 'INIT_VECTOR';
      ({ body, checksum } = opened);
      this.owned = true;
    }
    if ((flags & FLAG.compressed) !== 0) {
      const inflated = this.#suite.inflate(body, this.#maxMessage);
      if (inflated === undefined) return 'COMPRESSION';
      body = inflated;
      this.owned = true;
    } else if (body.length > this.#maxMessage) {
      // Longer than PARAMS allows, and there is nothing to stop at earlier: what it came in is too large.
      return joined ? 'FRAGMENT_NUMBER' : 'PACKET';
    }
    if ((flags & FLAG.checksum) !== 0 && (this.#suite.crc32(checkedOf(packet), body) & 0xffff) !== checksum) {
      return 'CHECKSUM';
    }
    this.message = body;
    return undefined;
  }

  #open(
    packet: Packet,
    number: number,
    data: Uint8Array,
  ): { readonly body: Uint8Array; readonly checksum: number } | undefined {
    const protector = this.#protector;
    if (protector === undefined) return undefined;
    const { type, flags, tsfStart, tsfEnd } = packet;
    if ((flags & FLAG.checksum) !== 0 || tsfStart !== tsfEnd) {
      const tsf = tsfStart === tsfEnd ? EMPTY : packet.bytes.subarray(tsfStart, tsfEnd);
      return openBody(protector, { type, flags, number, tsf }, packet.checksum, data);
    }
    const aad = this.#aad;
    aad[0] = type;
    aad[1] = flags & ~FLAG.frag;
    put32(aad, number);
    const body = protector.open(number, aad, data);
    return body === undefined ? undefined : { body, checksum: 0 };
  }
}
