// What a connection is told when it is made. No defaults here: they are in options.ts, once.

export type Policy = 'close' | 'drop-newest' | 'drop-oldest';

export interface ConnectionSettings {
  /** Largest message in bytes, after inflating. */
  readonly maxMessage: number;
  /** Most frames of one message, empty ones included. */
  readonly maxFragments: number;
  /** Longest time in ms from the first to the last frame of a message. */
  readonly messageTimeout: number;
  /** Time in ms for the closing handshake; then the socket is cut. */
  readonly closeTimeout: number;
  /** A ping goes out after this many ms without a byte from the peer; 0: never. */
  readonly pingInterval: number;
  /** A peer that stays silent this long after such a ping is dead. */
  readonly pingTimeout: number;
  /** Close after this many ms without a message in either direction; 0: never. */
  readonly idleTimeout: number;
  /** `send` reports 'full' above this many queued bytes. */
  readonly highWater: number;
  /** What may be queued at most; then the policy decides. */
  readonly maxBuffered: number;
  readonly policy: Policy;
  /** Messages of at least this many bytes are compressed when deflate was agreed. */
  readonly threshold: number;
  /** Read into one buffer that all connections share, where the runtime allows it. */
  readonly sharedReads: boolean;
  readonly directWrites: boolean;
  /** Text arrives as a string, or as its UTF-8 bytes. */
  readonly text: 'string' | 'bytes';
  /** Bytes handed to a 'message' listener are only good until it returns: saves a copy. */
  readonly lend: boolean;
  /** How many messages of one connection may be in asynchronous handlers at once. */
  readonly concurrency: number;
  /** Messages and control frames a peer may send: per second and in a burst; undefined: no limit. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | undefined;
}
