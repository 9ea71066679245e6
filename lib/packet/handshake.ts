// What a handshake is given and what it gives: the types its two machines share with the session around them. The machines are
// handshake-client.ts and handshake-server.ts; here is no behaviour. PROTOCOL.md sections 5.5, 6 and 7.
import type { Verified } from '../crypto/identity.js';
import type { Params } from './blocks.js';
import type { PacketFault } from './codes.js';
import type { Protector } from './protect.js';

export interface HandshakeSettings {
  /** What both ends must agree on before they met: the subprotocol's name, and what the embedder adds (section 6.3). */
  readonly prologue: Uint8Array;
  /** Ours: the limits the peer is told. */
  readonly params: Params;
  /** Milliseconds for all of it. */
  readonly timeout: number;
  /** CHECKSUM on what cannot be sealed yet: AUTH and an early ERROR. True unless told otherwise. */
  readonly checksum?: boolean;
  /** Octets the peer's certificate may have. */
  readonly maxCertificate: number;
  /** Section 1; stream unless told otherwise. */
  readonly profile?: 'stream' | 'datagram';
}

/** What one input led to. `send` is in order, each entry one packet. */
export type HandshakeStep =
  /** `dropped`: on datagrams, what was wrong with a packet that is passed over in silence. */
  | { readonly kind: 'more'; readonly send: readonly Uint8Array[]; readonly dropped?: PacketFault }
  | { readonly kind: 'done'; readonly send: readonly Uint8Array[]; readonly secrets: Secrets }
  | {
      readonly kind: 'failed';
      /** Our ERROR, sealed once there are keys; nothing when the peer's packet was one. */
      readonly send: readonly Uint8Array[];
      readonly fault: PacketFault;
      /** The peer said so, and not we. */
      readonly theirs: boolean;
      /** The peer's ERROR was sealed. A clear one is only a hint: anyone could have written it. */
      readonly sealed: boolean;
      /** The peer may have gone on with the session already, so nothing is said and the transport just ends. */
      readonly silent?: true;
    };

/** What an open session starts from. */
export interface Secrets {
  readonly send: Protector;
  readonly receive: Protector;
  /** For keys of the application (section 6.4). */
  readonly exporter: Uint8Array;
  /** Proves on the next connection that this session is ours. */
  readonly binderKey: Uint8Array;
  readonly packageKeys: { readonly c2s: Uint8Array; readonly s2c: Uint8Array };
  /** Of a resumed session: the one it had. */
  readonly sessionId: Uint8Array;
  /** Seconds it survives its connection; undefined when resumed: as before. */
  readonly ttl: number | undefined;
  /** The peer's RS: the session goes on where it stopped. Undefined: a fresh one. */
  readonly resumed: Uint8Array | undefined;
  /** The client asked to resume, and this is a fresh session all the same. */
  readonly refused: boolean;
  /** The peer's: the fingerprint of its certificate, or `anonymous`. */
  readonly identity: string;
  readonly peer: Verified | undefined;
  /** The peer's limits, if it told them. */
  readonly params: Params | undefined;
  /** The numbers after the handshake's own, in both directions. */
  readonly nextSend: number;
  readonly nextReceive: number;
}

/** The identity of a peer that showed no certificate, or whose certificate was not looked at. */
export const ANONYMOUS = 'anonymous';

/** The sessions a server has, as far as a handshake needs to know. */
export interface SessionsPort {
  /** Asked before anything is computed. */
  full(): boolean;
  find(id: Uint8Array): Detached | undefined;
  /** Undefined: it has become full since it was asked. */
  fresh(): { readonly id: Uint8Array; readonly ttl: number } | undefined;
}

/** A session that can be resumed. */
export interface Detached {
  /** More than one while it is unknown whether the newest reached the client: the CONFIRM before it may be lost. */
  readonly binderKeys: readonly Uint8Array[];
  readonly identity: string;
  readonly prologue: Uint8Array;
  /**
   * Called once, when everything else was found right: from here on the session is the new connection's. `binderKey`: the one that the
   * client proved to know. Our RS; undefined: the peer's is inconsistent, or the session ended just now.
   */
  accepts(peerState: Uint8Array, binderKey: Uint8Array): Uint8Array | undefined;
}

/** A session the client would like to go on with. */
export interface ResumeOffer {
  readonly id: Uint8Array;
  readonly binderKey: Uint8Array;
  /** Of the server with which it began. */
  readonly identity: string;
  /** Our RS, asked when it is sent. */
  state(): Uint8Array;
  /** False: the server's RS is inconsistent with what we know. */
  accepts(peerState: Uint8Array): boolean;
}
