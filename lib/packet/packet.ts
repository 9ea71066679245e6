// One packet as an object, and what must be known to judge it: types only. PROTOCOL.md section 2.2.
import type { Phase } from './rules.js';

/** A packet as it stands on the wire. Fields its type or flags do not have are 0 or empty. */
export interface Packet {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly fragmentId: number;
  /** The field named Fragment Number: how many fragments there are in all. */
  readonly fragmentCount: number;
  readonly initVector: number;
  readonly checksum: number;
  readonly ackId: number;
  readonly ackBits: number;
  readonly heartbeat: number;
  readonly major: number;
  readonly minor: number;
  readonly publicKey: Uint8Array;
  readonly certificate: Uint8Array | undefined;
  /** A view into `bytes`. */
  readonly data: Uint8Array;
  /** Where the type-specific fields stand in `bytes`. */
  readonly tsfStart: number;
  readonly tsfEnd: number;
  readonly bytes: Uint8Array;
}

export interface ParseContext extends Phase {
  /** Octets a certificate may have. */
  readonly maxCertificate: number;
}
