// What a session is told by its owner: the primitives, the mode, who we are, and every limit. The numbers of PROTOCOL.md section 10 are
// here once, as a value to spread; the machines themselves have no defaults. Knows no packet.
import type { Own, PeerJudge } from '../crypto/identity.js';
import type { Suite } from '../crypto/suite.js';
import type { PacketSession } from './session-types.js';

/** Milliseconds and octets, unless said otherwise. */
export interface SessionLimits {
  /** Longest message, decoded; told to the peer, and never exceeded towards a peer that told a smaller one. */
  readonly maxMessage: number;
  readonly maxCertificate: number;
  /** Silence after which a PING is sent, and how long it may stay unanswered. */
  readonly heartbeat: number;
  readonly heartbeatTimeout: number;
  readonly ackDelay: number;
  readonly handshakeTimeout: number;
  /** RELIABLE messages that wait for an ACK: how many, and their octets together. */
  readonly maxUnacked: number;
  readonly maxUnackedBytes: number;
  readonly maxReassemblies: number;
  readonly maxReassemblyBytes: number;
  readonly reassemblyTimeout: number;
}

/** PROTOCOL.md section 10. */
export const SESSION_LIMITS: SessionLimits = {
  maxMessage: 1_048_576,
  maxCertificate: 4096,
  heartbeat: 15_000,
  heartbeatTimeout: 10_000,
  ackDelay: 25,
  handshakeTimeout: 10_000,
  maxUnacked: 256,
  maxUnackedBytes: 1_048_576,
  maxReassemblies: 8,
  maxReassemblyBytes: 1_048_576,
  reassemblyTimeout: 30_000,
};

/** Told of every packet, as it stands on the wire; the octets may be neither kept nor changed. `session`: none before a server has one. */
export type Trace = (direction: 'in' | 'out', packet: Uint8Array, session: PacketSession | undefined) => void;

export interface SessionSettings extends SessionLimits {
  readonly suite: Suite;
  /** PROTOCOL.md section 1: both ends must be of one mode. */
  readonly mode: 'required' | 'none';
  /** PROTOCOL.md section 6.3: both ends must agree on it. */
  readonly prologue: Uint8Array;
  readonly own?: Own;
  readonly judge?: PeerJudge;
  /** Client: a server without a certificate is accepted. */
  readonly anonymous?: boolean;
  /** Milliseconds since 1970, for the validity of certificates. */
  readonly wall?: () => number;
  readonly trace?: Trace;
}
