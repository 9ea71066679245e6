// The shapes a session is used through: the transport below it (Carrier), what a connection's owner calls (Leg), where it tells what
// happened (SessionSink), and the session itself, the same for both profiles of PROTOCOL.md section 1. Types only.
import type { Verified } from '../crypto/identity.js';
import type { PacketCode, PacketFault } from './codes.js';
import type { SessionCounters } from './counters.js';

/** One transport that keeps packets whole: a WebSocket connection with one packet a binary message, or a socket of datagrams. */
export interface Carrier {
  /** The octets are the carrier's from now on. */
  transmit(packet: Uint8Array): void;
  /** In order, after what was transmitted. */
  close(code: number, reason: string): void;
  /** The transport is dead: it is dropped without ceremony. */
  abort(): void;
}

/** What the owner of one connection calls. When the connection was replaced, lost or closed, all of it does nothing. */
export interface Leg {
  /** One packet. The octets stay the caller's. */
  receive(bytes: Uint8Array, now: number): void;
  /** The connection is gone, whoever began. */
  lost(now: number): void;
  tick(now: number): void;
  /** When to tick; Infinity: not at all. It comes nearer only through a call. */
  deadline(): number;
  readonly session: PacketSession | undefined;
}

export interface SendOptions {
  readonly reliable?: boolean;
  readonly checksum?: boolean;
  readonly compress?: boolean;
  /** The session may keep the octets; otherwise it copies what it has to keep. */
  readonly transfer?: boolean;
}

/** The packet number; or there is no room now (room() tells when), the session is over, the message is longer than may be sent. */
export type SendResult = number | 'full' | 'closed' | 'large';

export interface Undelivered {
  readonly number: number;
  readonly data: Uint8Array;
  /** False: it never left, so it certainly did not arrive. */
  readonly sent: boolean;
}

/** Why there is no transport: it ended, it fell silent, another connection of the same session came, or its handshake failed. */
export type Detachment = 'lost' | 'silent' | 'taken over' | HandshakeFailure;

export interface HandshakeFailure {
  readonly fault: PacketFault;
  /** The peer said so. */
  readonly theirs: boolean;
}

export interface SessionEnd {
  /** 2.0 when nobody said one: expiry, or a transport lost in a session that cannot be resumed. */
  readonly code: PacketCode;
  readonly by: 'local' | 'remote' | 'expiry' | 'loss';
  readonly closeCode: number;
  /** For the log: what exactly was wrong, or the peer's text without control characters. */
  readonly detail: string | undefined;
}

export interface SessionSink {
  /** Before the first message. 'new': numbers begin afresh. */
  opened(how: 'new' | 'resumed', session: PacketSession): void;
  /** `owned`: the octets are the receiver's to keep; otherwise a view that is valid until this returns. */
  message(data: Uint8Array, reliable: boolean, number: number, owned: boolean): void;
  /** Once for every RELIABLE message that arrived. */
  acknowledged(number: number): void;
  /** All RELIABLE messages without an ACK, ascending. Whether one that was sent arrived is unknown. */
  undelivered(messages: readonly Undelivered[]): void;
  /** send() said 'full', and would not say so now. */
  room(): void;
  /** A PONG: the round trip in milliseconds. */
  heartbeat(rtt: number): void;
  /** The session goes on with the next connection. */
  detached(why: Detachment): void;
  /** Once, and last. */
  ended(end: SessionEnd): void;
}

/** Who is at the other end, and what both ends have in secret. */
export interface SessionSecurity {
  /** The fingerprint of the peer's certificate, or 'anonymous'. */
  readonly identity: string;
  readonly peer: Verified | undefined;
  readonly exporter: Uint8Array;
  /** Of the handshake that began the session: a resume leaves them as they are. */
  readonly packageKeys: { readonly c2s: Uint8Array; readonly s2c: Uint8Array };
  readonly sessionId: Uint8Array;
}

/**
 * idle: no connection was there yet, or none that was opened; handshake; open; detached: it waits for a connection to be resumed on;
 * ending: the server's farewell, which waits for acknowledgements; closed.
 */
export type SessionState = 'idle' | 'handshake' | 'open' | 'detached' | 'ending' | 'closed';

export type EndCode = 'DISCONNECT' | 'SERVER_DISCONNECT' | 'CLIENT_DISCONNECT';

export interface PacketSession {
  readonly role: 'client' | 'server';
  readonly state: SessionState;
  readonly security: SessionSecurity | undefined;
  /** Of the last heartbeat. */
  readonly rtt: number | undefined;
  readonly unacknowledged: { readonly messages: number; readonly bytes: number };
  send(data: Uint8Array, options: SendOptions, now: number): SendResult;
  /** False: not open, or one is under way already. */
  ping(now: number): boolean;
  /** `detail`: for our own log. `said`: the text of the ERROR, instead of the phrase of the code. */
  end(code: EndCode, now: number, detail?: string, said?: string): void;
  tick(now: number): void;
  deadline(): number;
  counters(): Readonly<SessionCounters>;
}
