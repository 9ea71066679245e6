// What explain.ts says about packets: the types alone, with the field names of the wire tables (PROTOCOL.md section 2.2).
import type { PacketCode } from './codes.js';

/** In the order of the tables. */
export type PacketFieldName =
  | 'Version'
  | 'Type'
  | 'Flags'
  | 'Sequence ID'
  | 'Fragment ID'
  | 'Fragment Number'
  | 'Init Vector'
  | 'Checksum Hash'
  | 'ACK ID'
  | 'ACK Bits'
  | 'Reserved'
  | 'EC Public Key Size (E)'
  | 'EC Public Key'
  | 'Certificate Size (C)'
  | 'Certificate'
  | 'Heartbeat'
  | 'Error Major'
  | 'Error Minor'
  | 'Data';

export interface ExplainedPacketField {
  readonly name: PacketFieldName;
  /** Where the field begins, in bits from the first bit of the packet. */
  readonly bit: number;
  /** As announced: of a packet that is cut, more than is there. */
  readonly bits: number;
  /** Of EC Public Key, Certificate and Data the number of octets that are there; null: cut off. */
  readonly value: number | null;
  readonly meaning: string;
}

export interface ExplainedPacketFault {
  readonly code: PacketCode;
  /** For example `3.9 CHECKSUM`. */
  readonly name: string;
  /** For example `PROTOCOL.md section 3.2`. */
  readonly section: string;
  readonly phrase: string;
  /** What exactly is wrong, for people. */
  readonly detail?: string;
  /** The WebSocket close code that a receiver fails the session with. */
  readonly close: number;
}

/** One block of a FINISHED or a CONFIRM. */
export interface ExplainedBlock {
  readonly type: number;
  readonly name: string;
  readonly value: Uint8Array;
  readonly meaning: string;
}

export interface ExplainedPacket {
  readonly index: number;
  /** Told by the caller, or by the key that opened it. */
  readonly sender: 'client' | 'server' | undefined;
  readonly type: number;
  readonly name: string;
  readonly flags: number;
  /** The names of the set flags, in the order a packet is encoded. */
  readonly flagNames: readonly string[];
  /** Exact when it is sealed, else the nearest to the packets before; undefined when it is cut off. */
  readonly number: number | undefined;
  readonly fields: readonly ExplainedPacketField[];
  readonly wire: Uint8Array;
  /** As it stands on the wire: a view. */
  readonly data: Uint8Array;
  /** Whether it is ENCRYPTED, and if so whether a key opened it; `later`: with the last fragment of its message. */
  readonly sealed: 'no' | 'opened' | 'no key' | 'later' | 'wrong';
  /** `inside`: sealed, and not opened. */
  readonly checksum: 'none' | 'right' | 'wrong' | 'later' | 'inside';
  /** Sequence IDs that an ACK covers, the newest first. */
  readonly acknowledges: readonly number[];
  /** What the sender gave, with all transforms undone: on the packet that completes it. */
  readonly message?: {
    readonly data: Uint8Array;
    /** How many packets it came in. */
    readonly fragments: number;
    /** Only when it is UTF-8. */
    readonly text?: string;
  };
  /** Of an opened FINISHED or CONFIRM. */
  readonly blocks?: readonly ExplainedBlock[];
  /** The first thing that is wrong, by the order of PROTOCOL.md section 7; at most one. */
  readonly faults: readonly ExplainedPacketFault[];
  readonly notes: readonly string[];
}

/** The key and the IV of one direction (PROTOCOL.md section 6.4): 32 and 12 octets. */
export interface PacketKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

export interface ExplainPacketOptions {
  /** Who sent the packets that do not say it themselves. */
  readonly from?: 'client' | 'server' | undefined;
  /** Opens sealed packets. Where the sender is not known, both are tried. */
  readonly keys?: { readonly c2s?: PacketKeys | undefined; readonly s2c?: PacketKeys | undefined } | undefined;
}

/** One packet of a capture. */
export interface CapturedPacket {
  readonly bytes: Uint8Array;
  readonly from?: 'client' | 'server' | undefined;
}
