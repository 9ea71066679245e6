// What a packet session tells its user and is told by him, as types: options of a send, messages, outcomes, events. The session that speaks
// so is session.ts.
import type { HandshakeInfo } from '../websocket/handshake-info.js';

export interface PacketOptions {
  /** Delivered exactly once and in order, across reconnects, or reported undelivered. Default true. */
  readonly reliable?: boolean | undefined;
  /** A checksum of the data; needless where packets are sealed. Default false. */
  readonly checksum?: boolean | undefined;
  /** Deflated when that makes it shorter. Not for secrets beside what others may choose. Default false. */
  readonly compress?: boolean | undefined;
  /** The bytes are given away and never changed again: saves a copy. */
  readonly transfer?: boolean | undefined;
}

export interface PacketMessage {
  readonly reliable: boolean;
  /** Counts up in the session, with gaps. */
  readonly number: number;
}

/** A message of which no acknowledgement came. */
export interface UndeliveredMessage {
  readonly number: number;
  readonly data: Uint8Array;
  /** False: it never left, so it certainly did not arrive. */
  readonly sent: boolean;
}

/** How a session ended. */
export interface SessionOutcome {
  /** `3.9 CHECKSUM`: the code of the packet layer. */
  readonly code: string;
  /** Who ended it; expiry: nobody came back in time; loss: its connection broke and it cannot be resumed. */
  readonly by: 'local' | 'remote' | 'expiry' | 'loss';
  readonly detail: string | undefined;
}

/** Why a session has no connection at the moment. */
export type SessionBreak = 'lost' | 'silent' | 'taken over' | { readonly code: string; readonly theirs: boolean };

export interface SessionEvents {
  /** It is open. 'new': numbers begin afresh; 'resumed': it goes on where it was cut. */
  open: [how: 'new' | 'resumed'];
  message: [data: Uint8Array, message: PacketMessage];
  /** Without a connection for now; what is sent RELIABLE waits. */
  detached: [why: SessionBreak];
  /** A client is about to dial again, after so many ms. */
  retry: [retry: { readonly attempt: number; readonly wait: number; readonly cause: Error | undefined }];
  /** RELIABLE messages whose session is gone: they may have arrived or not, and are never sent again by themselves. */
  undelivered: [messages: readonly UndeliveredMessage[]];
  /** A round trip in ms. */
  heartbeat: [rtt: number];
  /** There is room again after a send was told 'full'. */
  drain: [];
  error: [error: Error];
  close: [outcome: SessionOutcome];
}

/** Where a session comes from: what is seen of the connection it has now, or had last. */
export interface Origin {
  readonly data: unknown;
  readonly remoteAddress: string;
  readonly request: HandshakeInfo;
}
