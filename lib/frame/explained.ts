// What explain.ts says about frames: the types alone, with the names of RFC 6455 section 5.2.
import type { Fault, FaultCode } from '../fault.js';

export type Sender = 'client' | 'server';

/** The names of RFC 6455 section 5.2, in the order of the wire. */
export type FieldName =
  | 'FIN'
  | 'RSV1'
  | 'RSV2'
  | 'RSV3'
  | 'Opcode'
  | 'Mask'
  | 'Payload length'
  | 'Extended payload length'
  | 'Masking-key'
  | 'Payload data';

export interface ExplainedField {
  readonly name: FieldName;
  /** Where the field begins, in bits from the first bit of the frame. */
  readonly bit: number;
  readonly bits: number;
  /** Hexadecimal for Masking-key; for Payload data the number of bytes; a length beyond 2^53 is Infinity. */
  readonly value: number | string;
  readonly meaning: string;
}

export interface ExplainedFault {
  readonly code: FaultCode;
  /** For example `RFC 6455 section 5.2`. */
  readonly section: string;
  readonly phrase: string;
  /** The close code that a receiver fails the connection with. */
  readonly close: number;
}

export interface ExplainedMessage {
  readonly kind: 'text' | 'binary';
  readonly compressed: boolean;
  /** How many frames it came in. */
  readonly frames: number;
  /** Inflated when it was compressed and could be inflated, else as it came. */
  readonly data: Uint8Array;
  /** Only of a text message that is UTF-8 and readable. */
  readonly text?: string;
}

export interface ExplainedFrame {
  readonly index: number;
  /** Where it begins in the input. */
  readonly offset: number;
  readonly headerSize: number;
  /** Header and payload as announced. */
  readonly size: number;
  readonly sender: Sender;
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly name: string;
  readonly masked: boolean;
  readonly length: number;
  readonly fields: readonly ExplainedField[];
  /** The bytes of the frame as they lie in the input, as far as they are there: a view. */
  readonly wire: Uint8Array;
  /** Unmasked, as far as it is there: a copy. */
  readonly payload: Uint8Array;
  readonly complete: boolean;
  readonly close?: { readonly code: number; readonly name: string; readonly reason: string };
  /** On the last frame of a message. */
  readonly message?: ExplainedMessage;
  /** Which frame of its message this is, from 1; 0 for a control frame. */
  readonly part: number;
  readonly faults: readonly ExplainedFault[];
  readonly notes: readonly string[];
}

export interface ExplainOptions {
  /** Who sent the bytes. Left out: told from each frame's own mask bit, so that the masking rule finds nothing. */
  readonly from?: Sender | undefined;
  /** permessage-deflate was agreed. */
  readonly deflate?: boolean | undefined;
  /** Inflates one whole message; called in the order of the messages of one sender, so that a context can be taken over. */
  readonly inflate?: ((payload: Uint8Array, from: Sender) => Uint8Array | Fault) | undefined;
}

export interface Explanation {
  readonly frames: readonly ExplainedFrame[];
  /** Bytes after the last whole header that do not make a header. */
  readonly rest?: { readonly offset: number; readonly bytes: Uint8Array };
  /** The last frame is cut: this many bytes of its payload are missing. */
  readonly missing?: number;
  /** A fragmented message whose last frame is not in the input. */
  readonly unfinished?: { readonly kind: 'text' | 'binary'; readonly frames: number; readonly bytes: number };
}
