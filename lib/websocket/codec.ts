// What a connection asks of a compression extension: one synchronous step each way. lib/deflate implements it for RFC 7692.
import type { Fault } from '../fault.js';

export interface Codec {
  /** A message's payload; valid until the next call. */
  compress(bytes: Uint8Array): Uint8Array;
  /** The message again, never more than `limit` octets; valid until the next call. */
  inflate(bytes: Uint8Array, limit: number): Uint8Array | Fault;
  /** Lets go of what only speeds up the next message. */
  rest(): void;
  close(): void;
  /** No later message refers back to one, so one may be dropped after it was compressed. */
  readonly discardable: boolean;
  /** Equal for connections to which one compressed message can be sent as it is; undefined when none can. */
  readonly shareKey: string | undefined;
}
