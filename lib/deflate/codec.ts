// permessage-deflate for one connection: a message ↔ the payload of its frames, both ways, synchronously. It joins the two halves to
// the agreement: which direction keeps its window, and how large it is. Must not know frames, sockets or zlib.
// Implements RFC 7692 section 7.2.
//
// Synchronous because a step has a size: 1 KiB of JSON takes 10 us to make and 3 us to read at level 3, which is less than handing it to
// another thread and taking it back; 1 MiB 6 ms and 1 ms; 16 MiB 100 ms and 21 ms, during which nobody else is served: who allows
// such messages should compress them at level 1 (65 ms) or not at all.
// In return nothing is ever half done: no queue, no message overtaken by a close, no callback that never comes.

import { type Fault, fault } from '../fault.js';
import { DocumentedInbound, DocumentedOutbound } from './documented.js';
import { type Inbound, SteppedInbound } from './inbound.js';
import { type Outbound, OwnOutbound, SharedOutbound } from './outbound.js';
import type { DeflateAgreement } from './parameters.js';
import { type DeflateSettings, LARGEST } from './settings.js';
import { isStepUsable } from './step.js';

const NOTHING: Uint8Array = new Uint8Array(0);

export class Deflate {
  /**
   * Our side sends without takeover: the peer's decoder knows nothing of what `compress` gave, so a result that came out larger than
   * the message may be thrown away and the message sent as it is. With takeover every result must be sent, in order.
   */
  readonly discardable: boolean;
  /** Equal for connections to which one compressed message can be sent as it is; undefined when each has a context of its own. */
  readonly shareKey: string | undefined;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  #ended: Fault | undefined;

  constructor(role: 'server' | 'client', agreement: DeflateAgreement, settings: DeflateSettings) {
    const { serverBits, clientBits, serverNoContext, clientNoContext } = agreement;
    const ours = role === 'server';
    const [outBits, inBits] = ours ? [serverBits, clientBits] : [clientBits, serverBits];
    const [outFresh, inFresh] = ours ? [serverNoContext, clientNoContext] : [clientNoContext, serverNoContext];
    checkRange('window bits', outBits, 8, 15);
    checkRange('window bits', inBits, 8, 15);
    checkRange('level', settings.level, 0, 9);
    checkRange('memLevel', settings.memLevel, 1, 9);
    const maxRatio = settings.maxRatio ?? 0;
    if (!(maxRatio >= 0)) throw new RangeError(`maxRatio is not below 0, so not ${maxRatio}`);
    // zlib has no raw deflate of 8 bits, and 9 stays within its window: see parameters.ts.
    const shape = { bits: Math.max(9, outBits), level: settings.level, memLevel: settings.memLevel };
    this.discardable = outFresh;
    this.shareKey = outFresh ? `${shape.bits}/${shape.level}/${shape.memLevel}` : undefined;
    if (settings.engine !== 'documented' && isStepUsable()) {
      this.#outbound = outFresh ? new SharedOutbound(shape) : new OwnOutbound(shape);
      this.#inbound = new SteppedInbound(inBits, !inFresh, maxRatio);
    } else {
      this.#outbound = new DocumentedOutbound(shape, !outFresh);
      this.#inbound = new DocumentedInbound(inBits, !inFresh, maxRatio);
    }
  }

  /** The payload of the message's frames. A view until the next `compress` in this process: copy it, or write it out, at once. */
  compress(bytes: Uint8Array): Uint8Array {
    if (this.#ended === CLOSED) throw new TypeError('this codec is closed');
    if (bytes.length > LARGEST) throw new RangeError('more than 2 GiB in one message');
    return this.#outbound.compress(bytes);
  }

  /**
   * The message, at most `limit` bytes. A view until the next `inflate` in this process. After a fault the context is unknown, so the
   * fault is the answer to everything that follows.
   */
  inflate(bytes: Uint8Array, limit: number): Uint8Array | Fault {
    if (this.#ended !== undefined) return this.#ended;
    // No octet at all is not DEFLATE, strictly: the message of no bytes is the octet 00. But encoders that flush zlib twice with nothing
    // in between send it and mean that; it says nothing, so it is read as nothing, and the context stays as it was.
    if (bytes.length === 0) return NOTHING;
    const message = this.#inbound.inflate(bytes, limit);
    if ('kind' in message) this.#ended = message;
    return message;
  }

  /** For a connection that has gone quiet: keeps no more than the last window of each direction. The next message goes on from there. */
  rest(): void {
    this.#outbound.rest();
  }

  /** Bytes held for this connection, about: 0 without takeover, both ways; up to 64 KiB at rest. */
  get memory(): number {
    return this.#outbound.memory + this.#inbound.memory;
  }

  close(): void {
    this.#outbound.close();
    this.#ended = CLOSED;
  }
}

const CLOSED: Fault = fault('WSD_DEFLATE_DATA', 'after the end');

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`${name} is ${least} to ${most}, not ${value}`);
}
