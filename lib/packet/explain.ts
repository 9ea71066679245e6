// Packets of a capture → what each is, field by field with the names of the wire tables, what it carried once every transform is undone, and
// the first thing that is wrong with it. For people: `wsd decode --layer packet`, tests and bug reports; a session never uses it. Keeps on
// after a fault. Without keys it says what can be said of a sealed packet. PROTOCOL.md sections 2 to 7.
import type { Suite } from '../crypto/suite.js';
import { closeCodeOf, codeText, PACKET_CODES, type PacketCode, type PacketFault, packetFault } from './codes.js';
import { explainBlocks } from './explain-blocks.js';
import { coveredBy, explainFields, hex16 } from './explain-fields.js';
import type {
  CapturedPacket,
  ExplainedPacket,
  ExplainedPacketFault,
  ExplainPacketOptions,
  PacketKeys,
} from './explained.js';
import { checkedOf, type Packet, type ParseContext, parsePacket } from './header.js';
import { nearest, numberOf } from './number.js';
import { Decoder } from './pipeline.js';
import { Protector } from './protect.js';
import { Reassembly } from './reassembly.js';
import { FLAG, flagNames, KEY_SIZE, TYPE, typeName } from './wire.js';

type Side = 'client' | 'server';
type Verdict = Pick<ExplainedPacket, 'sender' | 'sealed' | 'checksum' | 'message' | 'notes'> & {
  readonly fault?: PacketFault | undefined;
};

const SECTIONS: Partial<Readonly<Record<PacketCode, string>>> = {
  CONNECTION: '6.2',
  FLAGS: '2.3',
  SEQUENCE_ID: '5.1',
  FRAGMENT_ID: '3.5',
  FRAGMENT_NUMBER: '3.5',
  INIT_VECTOR: '3.4',
  COMPRESSION: '3.3',
  CHECKSUM: '3.2',
};

/** A capture says nothing of the limits its ends agreed on: these only keep memory bounded. */
const LONGEST = 64 * 1024 * 1024;
const LIMITS = { maxReassemblies: 256, maxReassemblyBytes: LONGEST, reassemblyTimeout: Number.POSITIVE_INFINITY };

const MISFITS = {
  differs: 'the fragments before it have another header',
  large: 'the fragments take too much room',
  many: 'too many messages are not complete',
} as const;

const other = (side: Side): Side => (side === 'client' ? 'server' : 'client');

/** One capture: knows the numbers and the fragments of the packets before. */
class Explainer {
  readonly #suite: Suite;
  readonly #clear: Decoder;
  readonly #open: Partial<Record<Side, Decoder>> = {};
  readonly #next = { client: 0, server: 0, unknown: 0 };
  readonly #groups: Readonly<Record<Side | 'unknown', Reassembly>>;
  #index = 0;

  constructor(suite: Suite, options: ExplainPacketOptions) {
    this.#suite = suite;
    this.#clear = new Decoder(suite, LONGEST);
    this.#groups = { client: new Reassembly(LIMITS), server: new Reassembly(LIMITS), unknown: new Reassembly(LIMITS) };
    this.#use('client', options.keys?.c2s);
    this.#use('server', options.keys?.s2c);
  }

  #use(side: Side, keys: PacketKeys | undefined): void {
    if (keys === undefined) return;
    const decoder = new Decoder(this.#suite, LONGEST);
    decoder.rekey(new Protector(this.#suite, keys.key, keys.iv));
    this.#open[side] = decoder;
  }

  explain(bytes: Uint8Array, from: Side | undefined): ExplainedPacket {
    const type = (bytes[0] ?? 0) & 15;
    const flags = bytes[1] ?? 0;
    const packet = parsePacket(bytes, contextOf(type, flags, from));
    const whole = !('kind' in packet);
    const number = whole ? this.#numberOf(packet, from) : undefined;
    const verdict: Verdict =
      whole && number !== undefined
        ? this.#judge(packet, number, from)
        : { sender: from, sealed: 'no', checksum: 'none', notes: [], fault: packet as PacketFault };
    const { fault, message, ...rest } = verdict;
    const finish = whole && type === TYPE.ack && message !== undefined && message.data.length > 0;
    return {
      index: this.#index++,
      type,
      name: typeName(type),
      flags,
      flagNames: flagNames(flags),
      number,
      fields: explainFields(bytes),
      wire: bytes,
      data: whole ? packet.data : new Uint8Array(0),
      acknowledges: whole && type === TYPE.ack ? coveredBy(packet.ackId, packet.ackBits) : [],
      ...rest,
      ...(message === undefined ? {} : { message }),
      ...(finish ? { blocks: explainBlocks(message.data) } : {}),
      faults: fault === undefined ? [] : [explainFault(fault)],
    };
  }

  /** Section 5.1. */
  #numberOf(packet: Packet, from: Side | undefined): number {
    const line = from ?? 'unknown';
    const sealed = (packet.flags & FLAG.encrypted) !== 0;
    const number = sealed ? numberOf(packet.initVector, packet.sequence) : nearest(packet.sequence, this.#next[line]);
    this.#next[line] = Math.max(this.#next[line], number + 1);
    return number;
  }

  #judge(packet: Packet, number: number, from: Side | undefined): Verdict {
    const { flags } = packet;
    const sealed = (flags & FLAG.encrypted) !== 0;
    const checked = (flags & FLAG.checksum) !== 0;
    const wait: Verdict = {
      sender: from,
      sealed: sealed ? 'later' : 'no',
      checksum: checked ? 'later' : 'none',
      notes: [],
    };
    if (packet.type === TYPE.auth) {
      const bad = this.#badKey(packet.publicKey);
      if (bad !== undefined) return { ...wait, checksum: 'none', fault: packetFault('CONNECTION', bad) };
    }
    if ((flags & FLAG.frag) === 0) return this.#decode(packet, number, packet.data, 1, from);
    const groups = this.#groups[from ?? 'unknown'];
    const misfit = groups.check(number, packet, packet.data.length);
    if (misfit !== undefined) return { ...wait, fault: packetFault('FRAGMENT_NUMBER', MISFITS[misfit]) };
    const repeats = groups.repeats(number, packet.fragmentId, packet.data);
    if (repeats !== 'no') {
      const how = repeats === 'same' ? 'the same octets' : 'other octets';
      return { ...wait, fault: packetFault('FRAGMENT_ID', `came before, with ${how}`) };
    }
    const data = groups.add(number, packet, 0);
    if (data === undefined) return { ...wait, notes: ['the message is not complete yet'] };
    return this.#decode(packet, number, data, packet.fragmentCount, from);
  }

  #decode(packet: Packet, number: number, data: Uint8Array, fragments: number, from: Side | undefined): Verdict {
    const sealed = (packet.flags & FLAG.encrypted) !== 0;
    const checked = (packet.flags & FLAG.checksum) !== 0;
    if (!sealed) return this.#undo(this.#clear, from, packet, number, data, fragments);
    const sides: readonly Side[] = from === undefined ? ['client', 'server'] : [from];
    let tried: Verdict | undefined;
    for (const side of sides) {
      const decoder = this.#open[side];
      if (decoder === undefined) continue;
      tried = this.#undo(decoder, side, packet, number, data, fragments);
      if (tried.fault?.code !== 'INIT_VECTOR') return tried;
    }
    const checksum = checked ? 'inside' : 'none';
    if (tried === undefined || (from === undefined && Object.keys(this.#open).length < 2)) {
      const half = tried === undefined ? '' : ' of the other direction';
      return { sender: from, sealed: 'no key', checksum, notes: [`sealed: needs the key${half}`] };
    }
    const turned = from !== undefined && this.#open[other(from)];
    const mirrored =
      turned && this.#undo(turned, from, packet, number, data, fragments).fault?.code !== 'INIT_VECTOR'
        ? [`the key of the ${other(from)} opens it: was it sent by the ${other(from)}?`]
        : [];
    const detail = from === undefined ? 'neither key opens it' : `the key of the ${from} does not open it`;
    return { sender: from, sealed: 'wrong', checksum, notes: mirrored, fault: packetFault('INIT_VECTOR', detail) };
  }

  /** The transforms backwards, by the code a session uses. */
  #undo(
    decoder: Decoder,
    sender: Side | undefined,
    packet: Packet,
    number: number,
    data: Uint8Array,
    fragments: number,
  ): Verdict {
    const { flags } = packet;
    const sealed = (flags & FLAG.encrypted) !== 0;
    const checked = (flags & FLAG.checksum) !== 0;
    const code = decoder.decode(packet, number, data, fragments > 1);
    const known = { sender, sealed: sealed ? 'opened' : 'no', notes: [] } as const;
    if (code === undefined) {
      const message = { data: new Uint8Array(decoder.message), fragments, ...textOf(decoder.message) };
      // An ACK outside the handshake, an AUTH: there is nothing to show.
      const empty = packet.type === TYPE.auth || (packet.type === TYPE.ack && message.data.length === 0);
      return { ...known, checksum: checked ? 'right' : 'none', ...(empty ? {} : { message }) };
    }
    if (code === 'CHECKSUM') {
      return {
        ...known,
        checksum: 'wrong',
        fault: packetFault(code, sealed ? undefined : this.#expected(packet, data)),
      };
    }
    return { ...known, checksum: checked ? 'inside' : 'none', fault: packetFault(code) };
  }

  /** What the checksum of a clear packet would be. */
  #expected(packet: Packet, data: Uint8Array): string | undefined {
    const compressed = (packet.flags & FLAG.compressed) !== 0;
    const body = compressed ? this.#suite.inflate(data, LONGEST) : data;
    if (body === undefined) return undefined;
    const computed = this.#suite.crc32(checkedOf(packet), body) & 0xffff;
    return `${hex16(packet.checksum)} on the wire, ${hex16(computed)} computed`;
  }

  /** Section 6.2; undefined for a key that may be used. */
  #badKey(key: Uint8Array): string | undefined {
    if (key.length !== KEY_SIZE) return `a key of ${key.length} octets`;
    if (key[0] !== 4) return 'the key is not an uncompressed point';
    const pair = this.#suite.newPair();
    const shared = pair.agree(key);
    pair.erase();
    return shared === undefined ? 'the key is not a point of the curve' : undefined;
  }
}

/** The state in which such a packet could be right at all, as far as one packet shows. */
const contextOf = (type: number, flags: number, from: Side | undefined): ParseContext => {
  const sealed = (flags & FLAG.encrypted) !== 0;
  const secured = sealed || type === TYPE.auth;
  const finished = from !== 'server';
  return { secured, keys: secured && type !== TYPE.auth, open: !secured, finished, maxCertificate: 0xffff };
};

const explainFault = ({ code, detail }: PacketFault): ExplainedPacketFault => ({
  code,
  name: codeText(code),
  section: `PROTOCOL.md section ${SECTIONS[code] ?? '2.2'}`,
  phrase: PACKET_CODES[code].phrase,
  ...(detail === undefined ? {} : { detail }),
  close: closeCodeOf(code),
});

const textOf = (bytes: Uint8Array): { readonly text: string } | object => {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return {};
  }
};

/** In the order they were sent. Takes time linear in the input; nothing in a packet makes it throw. */
export const explainPackets = (
  suite: Suite,
  packets: Iterable<CapturedPacket>,
  options: ExplainPacketOptions = {},
): ExplainedPacket[] => {
  const explainer = new Explainer(suite, options);
  return Array.from(packets, ({ bytes, from }) => explainer.explain(bytes, from ?? options.from));
};
