// What a connection owes its peer: frames in, pieces of memory to write out, in order. Knows frames only as bytes and owns no socket.
// Two ways in: while a chunk from the peer is being read, answers are gathered in one buffer that all connections share, so that
// everything a chunk provokes leaves in one write; at any other time each frame has memory of its own and waits in a list.
// While the socket takes nothing (`blocked`), the newest pong replaces older ones (RFC 6455 section 5.5.3 allows it), so that a
// ping flood cannot make us hold memory, and whole messages can still be dropped or replaced as the policy says.
import { mask } from '../frame/mask.js';
import type { Budget } from './budget.js';
import type { Wire } from './wire.js';

/** Half of a second-level cache, so that what is gathered is still there when the kernel copies it. */
export const GATHER: number = 128 * 1024;

/** The shared buffer and who is gathering in it: at most one connection at a time, for the length of one read. */
let gather: Buffer = Buffer.allocUnsafeSlow(GATHER);
let gathered = 0;
let gatherer: Outbox | undefined;

/** Where the last `reserve` made room: one object for all, read at once and never kept. */
export const room: { memory: Buffer; at: number } = { memory: gather, at: 0 };

export interface Piece {
  readonly bytes: Uint8Array;
  /** Whole data messages that nobody has seen yet may be dropped; control frames and parts of messages may not. */
  readonly droppable: boolean;
  readonly key: string | undefined;
}

/** Up to this size many pieces are joined: one copy costs less than a list for the kernel. */
const JOIN_TO = 64 * 1024;

/** The pieces joined last: of several broadcasts that wait on 10,000 connections, the same ones are joined once for all. */
let joined: { readonly pieces: readonly Piece[]; readonly bytes: Uint8Array } | undefined;

const isJoined = (pieces: readonly Piece[]): boolean => {
  if (joined === undefined || joined.pieces.length !== pieces.length) return false;
  for (let i = 0; i < pieces.length; i++) if (joined.pieces[i]?.bytes !== pieces[i]?.bytes) return false;
  return true;
};

const collect = (pieces: readonly Piece[], size: number, out: Uint8Array[]): void => {
  if (size > JOIN_TO) for (const piece of pieces) out.push(piece.bytes);
  else {
    if (joined === undefined || !isJoined(pieces))
      joined = {
        pieces,
        bytes: Buffer.concat(
          pieces.map((piece) => piece.bytes),
          size,
        ),
      };
    out.push(joined.bytes);
  }
};

/** Stands for the empty list, so that a quiet connection has none of its own. Never changed. */
const NONE: Piece[] = [];

export class Outbox {
  /** Set by the driver while the socket has not taken what it was given. */
  blocked = false;
  /** Some sender was told to wait until there is room. */
  told = false;
  /** Writes at once what does not fit; without it, that waits in memory of its own. */
  wire: Pick<Wire, 'flush'> | undefined;
  /** Shared with other connections: what waits here counts there. */
  budget: Budget | undefined;
  #pieces: Piece[] = NONE;
  #queued = 0;
  #pong: Uint8Array | undefined;
  #preface: Uint8Array | undefined;

  /** Bytes waiting here. */
  get size(): number {
    return this.#queued + (this.#pong?.length ?? 0) + (gatherer === this ? gathered : 0);
  }

  get gathering(): boolean {
    return gatherer === this;
  }

  /** A read begins: answers are gathered until `take`. */
  begin(): void {
    if (gatherer === undefined && !this.blocked && this.#pieces.length === 0) gatherer = this;
  }

  /** Room for a frame of that many bytes: write it to `room`, all of it, before anything else is asked of the outbox. */
  reserve(size: number, droppable: boolean, key?: string): void {
    if (gatherer === this) {
      if (gathered + size > GATHER && size <= GATHER) this.#spill();
      if (gatherer === this && gathered + size <= GATHER) {
        room.memory = gather;
        room.at = gathered;
        gathered += size;
        return;
      }
      this.#endGather();
    }
    const own = size < 4096 ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
    this.push(own, droppable, key);
    room.memory = own;
    room.at = 0;
  }

  /** A payload of any size behind what was reserved last, masked with `key` if there is one: through the shared buffer, slice by
   * slice, as long as the socket takes them, so that a large message that can leave at once needs no memory. */
  append(payload: Uint8Array, key: number | undefined): void {
    let at = 0;
    while (gatherer === this && at < payload.length) {
      if (gathered === GATHER) {
        this.#spill();
        if (gatherer !== this || gathered === GATHER) break;
      }
      const size = Math.min(GATHER - gathered, payload.length - at);
      gather.set(payload.subarray(at, at + size), gathered);
      if (key !== undefined) mask(gather, key, gathered, gathered + size, at & 3);
      gathered += size;
      at += size;
    }
    if (at === payload.length) return;
    const rest = Buffer.allocUnsafeSlow(payload.length - at);
    rest.set(payload.subarray(at));
    if (key !== undefined) mask(rest, key, 0, rest.length, at & 3);
    this.push(rest, false);
  }

  /** Goes out before everything else and counts as nothing queued: the answer that opens the connection. */
  preface(bytes: Uint8Array): void {
    this.#preface = bytes;
  }

  /** Queues a piece that others may queue as well. */
  share(piece: Piece): void {
    if (gatherer === this) this.#endGather();
    this.#count(piece.bytes.length);
    this.#add(piece);
  }

  /** Queues bytes by reference. */
  push(bytes: Uint8Array, droppable: boolean, key?: string): void {
    if (gatherer === this) this.#endGather();
    if (key !== undefined && this.#replace(key, bytes)) return;
    this.#add({ bytes, droppable, key });
    this.#count(bytes.length);
  }

  /** An answer to a ping: in its place while the peer reads, the newest one only while it does not. */
  pong(frame: Uint8Array): void {
    if (this.blocked) this.#pong = frame;
    else {
      this.reserve(frame.length, false);
      room.memory.set(frame, room.at);
    }
  }

  /** Drops the oldest whole messages until `bytes` fit under `cap`; says how many went. */
  dropOldest(bytes: number, cap: number): number {
    let dropped = 0;
    const kept: Piece[] = [];
    for (const piece of this.#pieces) {
      if (piece.droppable && this.#queued + bytes > cap) {
        this.#count(-piece.bytes.length);
        dropped++;
      } else kept.push(piece);
    }
    this.#pieces = kept;
    return dropped;
  }

  /**
   * All that is owed, in the order in which it must be written; empty when nothing is. With `lend` the shared memory is the writer's
   * until `settle`, without it the writer gets a copy.
   */
  take(lend: boolean): Uint8Array[] {
    const out: Uint8Array[] = [];
    if (this.#preface !== undefined) {
      out.push(this.#preface);
      this.#preface = undefined;
    }
    if (this.#pong !== undefined) {
      out.push(this.#pong);
      this.#pong = undefined;
    }
    if (this.#pieces.length === 1) out.push((this.#pieces[0] as Piece).bytes);
    else if (this.#pieces.length > 1) collect(this.#pieces, this.#queued, out);
    this.#pieces = NONE;
    this.#count(-this.#queued);
    if (gatherer === this) {
      gatherer = undefined;
      if (gathered > 0) out.push(lend ? gather.subarray(0, gathered) : Buffer.from(gather.subarray(0, gathered)));
      if (!lend) gathered = 0;
    }
    return out;
  }

  /** What is owed when that is one queued frame and nothing else, as after a broadcast; undefined: ask `take`. */
  takeOne(): Uint8Array | undefined {
    const pieces = this.#pieces;
    if (pieces.length !== 1 || gatherer === this || this.#pong !== undefined || this.#preface !== undefined)
      return undefined;
    this.#pieces = NONE;
    this.#count(-this.#queued);
    return (pieces[0] as Piece).bytes;
  }

  /** The writer is done with what `take` gave: `kept` when the socket still refers to it, which gives the shared buffer away. */
  settle(kept: boolean): void {
    if (gatherer !== undefined) return;
    if (kept && gathered > 0) gather = Buffer.allocUnsafeSlow(GATHER);
    gathered = 0;
  }

  /** Forgets everything: the socket is gone. */
  clear(): void {
    if (gatherer === this) {
      gatherer = undefined;
      gathered = 0;
    }
    this.#pieces = NONE;
    this.#count(-this.#queued);
    this.#pong = undefined;
  }

  #count(bytes: number): void {
    this.#queued += bytes;
    if (this.budget !== undefined) this.budget.used += bytes;
  }

  #add(piece: Piece): void {
    if (this.#pieces === NONE) this.#pieces = [piece];
    else this.#pieces.push(piece);
  }

  #spill(): void {
    if (this.wire === undefined) return;
    this.wire.flush();
    this.begin();
  }

  /** The shared buffer is full: its content becomes a piece of its own, the rest of this read goes the other way. */
  #endGather(): void {
    gatherer = undefined;
    if (gathered === 0) return;
    const bytes = gather.subarray(0, gathered);
    gather = Buffer.allocUnsafeSlow(GATHER);
    gathered = 0;
    this.#add({ bytes, droppable: false, key: undefined });
    this.#count(bytes.length);
  }

  #replace(key: string, bytes: Uint8Array): boolean {
    for (let i = this.#pieces.length - 1; i >= 0; i--) {
      const piece = this.#pieces[i] as Piece;
      if (piece.key !== key) continue;
      this.#count(bytes.length - piece.bytes.length);
      this.#pieces[i] = { bytes, droppable: piece.droppable, key };
      return true;
    }
    return false;
  }
}
