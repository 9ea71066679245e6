// The receiving half: a compressed payload → the message, or a fault (RFC 7692 section 7.2.2), by a zlib object driven directly. One
// object for each window size serves the whole process. With takeover it is primed with the connection's last bytes, written as a stored
// block, which takes 1 us for 32 KiB and nothing when the same connection had it last: so no connection ever owns one.
// Must not know frames. The limit is kept while inflating: never more than one byte above it is made.

import { constants } from 'node:zlib';
import { type Fault, fault } from '../fault.js';
import { History } from './history.js';
import { Scratch } from './scratch.js';
import { LARGEST, RATIO_FLOOR } from './settings.js';
import { openInflate, type Step } from './step.js';

export interface Inbound {
  /** The message: a view until the next inflate in this process. After a fault the half is of no more use. */
  inflate(bytes: Uint8Array, limit: number): Uint8Array | Fault;
  readonly memory: number;
}

/** How much a payload may become, and what it is called when it becomes more. */
export interface Ceiling {
  readonly most: number;
  readonly code: 'WSD_DEFLATE_SIZE' | 'WSD_DEFLATE_RATIO';
}

export const ceilingOf = (size: number, limit: number, maxRatio: number): Ceiling => {
  const guard = maxRatio > 0 ? Math.max(RATIO_FLOOR, size * maxRatio) : Infinity;
  return guard < limit
    ? { most: whole(guard), code: 'WSD_DEFLATE_RATIO' }
    : { most: whole(limit), code: 'WSD_DEFLATE_SIZE' };
};

/** What zlib can count; a limit that is not a number lets nothing through. */
const whole = (limit: number): number => Math.floor(Math.max(0, Math.min(limit, LARGEST))) || 0;

/**
 * Section 7.2.3.4 lets a message consist of several DEFLATE streams, one after the other. Each start costs about as much as half a
 * KiB of data, so a message may have so many; otherwise 2 octets a piece would buy an attacker 1 us each.
 */
export const streamsAllowed = (size: number): number => 16 + (size >>> 9);

/** Section 7.2.2: the octets the sender cut off; and one more, which a decoder that stops at the end of a block leaves unread. */
const TAIL: Uint8Array = Uint8Array.of(0, 0, 0xff, 0xff, 0);
/** More than four octets can ever make (16 longest matches at 2 bits), so that a verdict never depends on the room at hand. */
const TAIL_ROOM = 8192;
/**
 * An empty block with fixed codes, and one octet more. That block did end in the tail, but at its last bit? Read from another bit
 * on, PROBE is a type that does not exist, a header that wants more, or a letter: never two octets that make nothing.
 */
const PROBE: Uint8Array = Uint8Array.of(2, 0, 0);
/** PROBE ends within an octet: its last bits are the header of the stored block that this completes. */
const REALIGN: Uint8Array = Uint8Array.of(0, 0, 0xff, 0xff);

const { Z_BLOCK, Z_NO_FLUSH, Z_SYNC_FLUSH } = constants;
const scratch = new Scratch();
const sink = new Uint8Array(2 ** 15);

interface Lent {
  readonly step: Step;
  /** Whose window it holds. */
  owner: SteppedInbound | undefined;
}
const shared = new Map<number, Lent>();

export class SteppedInbound implements Inbound {
  readonly #bits: number;
  readonly #maxRatio: number;
  readonly #history: History | undefined;

  constructor(bits: number, takeover: boolean, maxRatio: number) {
    this.#bits = bits;
    this.#maxRatio = maxRatio;
    this.#history = takeover ? new History(bits) : undefined;
  }

  inflate(bytes: Uint8Array, limit: number): Uint8Array | Fault {
    const { most, code } = ceilingOf(bytes.length, limit, this.#maxRatio);
    const lent = this.#borrow();
    const { step } = lent;
    // A guess at the size: it is a few times the payload, and mostly fits into what the last message left.
    let room = scratch.take(Math.min(most + 1, bytes.length * 4));
    let made = 0;
    let streams = streamsAllowed(bytes.length);
    for (let at = 0; ; ) {
      const end = Math.min(room.length, most + 1);
      if (!step.write(Z_SYNC_FLUSH, bytes, at, room, made, end)) return this.#drop(lent, fault('WSD_DEFLATE_DATA'));
      made = end - step.roomLeft;
      at = bytes.length - step.inputLeft;
      if (made > most) return this.#drop(lent, fault(code));
      if (step.roomLeft === 0) room = scratch.grow(room, made, most + 1);
      else if (step.inputLeft === 0) break;
      else {
        // Section 7.2.3.4: a block with BFINAL ended the stream and the message goes on. The window is still the sender's to refer to.
        if (--streams < 0) return this.#drop(lent, fault('WSD_DEFLATE_DATA', 'too many final blocks'));
        this.#prime(step, room.subarray(0, made));
      }
    }
    if (room.length < Math.min(made + TAIL_ROOM, most + 1)) room = scratch.grow(room, made, most + 1);
    made = this.#finish(lent, room, made, Math.min(room.length, most + 1));
    if (made > most) return this.#drop(lent, fault(code));
    if (made < 0) return this.#drop(lent, fault('WSD_DEFLATE_DATA', 'the last block is not complete'));
    const message = room.subarray(0, made);
    this.#history?.push(message);
    return message;
  }

  get memory(): number {
    return this.#history?.memory ?? 0;
  }

  /** The object of our window size, in the state our last message left. */
  #borrow(): Lent {
    let lent = shared.get(this.#bits);
    // Broken here: the report of an error may run other code of ours before it returns to `inflate`.
    if (lent === undefined || lent.step.broken) {
      lent = { step: openInflate(this.#bits), owner: undefined };
      shared.set(this.#bits, lent);
    }
    if (this.#history === undefined) lent.step.reset();
    else if (lent.owner !== this) this.#prime(lent.step, undefined);
    lent.owner = this;
    return lent;
  }

  /** Feeds the tail: how much is made in the end, or -1 when the payload did not end as section 7.2.1 says. */
  #finish(lent: Lent, room: Uint8Array, made: number, end: number): number {
    const { step } = lent;
    if (!step.write(Z_BLOCK, TAIL, 0, room, made, end)) return -1;
    const total = end - step.roomLeft;
    if (step.roomLeft === 0) return total;
    // Nothing of it was taken: the payload's very end was a final block. What follows begins a new stream.
    if (step.inputLeft === TAIL.length) lent.owner = undefined;
    else {
      if (step.inputLeft !== 1 || !step.write(Z_BLOCK, PROBE, 0, room, total, end)) return -1;
      if (step.inputLeft === PROBE.length)
        lent.owner = undefined; // the block in the tail was final
      else if (step.inputLeft !== 1 || end - step.roomLeft !== total) return -1;
      else step.write(Z_SYNC_FLUSH, REALIGN, 0, room, total, end);
    }
    return total;
  }

  /** A fresh state that knows the end of history ++ made. */
  #prime(step: Step, made: Uint8Array | undefined): void {
    step.reset();
    const most = 2 ** this.#bits;
    const late = made === undefined || made.length <= most ? made : made.subarray(made.length - most);
    const [older, newer] = this.#history?.newest(most - (late?.length ?? 0)) ?? [];
    const size = (older?.length ?? 0) + (newer?.length ?? 0) + (late?.length ?? 0);
    if (size === 0) return;
    // RFC 1951 section 3.2.4: a stored block, not final: the header, its length, the length's complement, the bytes.
    step.write(Z_NO_FLUSH, Uint8Array.of(0, size, size >>> 8, ~size, ~size >>> 8), 0, sink, 0, sink.length);
    for (const piece of [older, newer, late])
      if (piece !== undefined && piece.length > 0) step.write(Z_NO_FLUSH, piece, 0, sink, 0, sink.length);
  }

  #drop(lent: Lent, why: Fault): Fault {
    if (shared.get(this.#bits) === lent) shared.delete(this.#bits);
    lent.step.close();
    return why;
  }
}
