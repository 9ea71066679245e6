// What a connection owes its peer: frames in, pieces of memory to write out, in order. Knows frames only as bytes and owns no socket.
// Two ways in: while a chunk from the peer is being read, answers are gathered in one buffer that all connections share (gather.ts); at any
// other time frames wait in a list. While the socket takes nothing (`blocked`), the newest pong replaces older ones (RFC 6455
// section 5.5.3 allows it), so that a ping flood cannot make us hold memory, and whole messages can still be dropped or replaced as the
// policy says; where nothing may be dropped, small frames are put together, so that a million of them are not a million objects.
import { mask } from '../frame/mask.js';
import type { Budget } from './budget.js';
import {
  beginGather,
  extendGather,
  GATHER,
  gathered,
  isGathering,
  keepGather,
  settleGather,
  takeGather,
} from './gather.js';
import type { Wire } from './wire.js';

/** Where the last `reserve` made room: one object for all, read at once and never kept. */
export const room: { memory: Buffer; at: number } = { memory: gathered.memory(), at: 0 };

export interface Piece {
  bytes: Uint8Array;
  /** Whole data messages that nobody has seen yet may be dropped; control frames and parts of messages may not. */
  readonly droppable: boolean;
  readonly key: string | undefined;
}

/** What a piece costs besides its bytes, about; counted against the limits, not told as buffered. */
export const PIECE_COST = 128;

/** Small frames that wait are put together in slabs of this size. */
const SLAB = 16 * 1024;

/** Up to this size many pieces are joined: one copy costs less than a list for the kernel. */
const JOIN_TO = 64 * 1024;

/** The pieces joined last: of several broadcasts that wait on 10,000 connections, the same ones are joined once for all. */
let joined: { readonly pieces: readonly Piece[]; readonly bytes: Uint8Array } | undefined;

const isJoined = (pieces: readonly Piece[]): boolean => {
  if (joined === undefined || joined.pieces.length !== pieces.length) return false;
  for (let i = 0; i < pieces.length; i++) if (joined.pieces[i] !== pieces[i]) return false;
  return true;
};

const collect = (pieces: readonly Piece[], size: number, out: Uint8Array[]): void => {
  if (size > JOIN_TO) {
    for (const piece of pieces) out.push(piece.bytes);
    return;
  }
  if (joined === undefined || !isJoined(pieces)) {
    joined = {
      pieces,
      bytes: Buffer.concat(
        pieces.map((piece) => piece.bytes),
        size,
      ),
    };
  }
  out.push(joined.bytes);
};

/** Stands where a message was dropped. */
const GONE: Piece = { bytes: new Uint8Array(0), droppable: false, key: undefined };

/** Stands for the empty list, so that a quiet connection has none of its own. Never changed. */
const NONE: Piece[] = [];

export class Outbox {
  /** Set by the driver while the socket has not taken what it was given. */
  blocked = false;
  /** Some sender was told to wait until there is room. */
  told = false;
  /** Nothing that waits may be dropped, so small frames may be put together. */
  dropsNothing = true;
  /** Writes at once what does not fit; without it, that waits in memory of its own. */
  wire: Pick<Wire, 'flush'> | undefined;
  /** Shared with other connections: what waits here counts there. */
  budget: Budget | undefined;
  #pieces: Piece[] = NONE;
  #queued = 0;
  #oldest = 0; // up to here nothing is left that may be dropped
  #gone = 0; // pieces that were dropped and leave a gap in the list
  #keys: Map<string, number> | undefined;
  #slab: { readonly memory: Buffer; used: number; readonly piece: Piece } | undefined;
  /** The rest of a frame whose front has left. */
  #tail: Uint8Array | undefined;
  #pong: Uint8Array | undefined;
  #preface: Uint8Array | undefined;

  /** Bytes waiting here. */
  get size(): number {
    return (
      this.#queued + (this.#tail?.length ?? 0) + (this.#pong?.length ?? 0) + (isGathering(this) ? gathered.size() : 0)
    );
  }

  /** What it costs to hold them. */
  get weight(): number {
    return this.size + (this.#pieces.length - this.#gone) * PIECE_COST;
  }

  get gathering(): boolean {
    return isGathering(this);
  }

  /** A read begins: answers are gathered until `take`. */
  begin(): void {
    if (!this.blocked && this.#pieces.length === 0 && this.#tail === undefined) beginGather(this);
  }

  /** Room for a frame of that many bytes: write it to `room`, all of it, before anything else is asked of the outbox. */
  reserve(size: number, droppable: boolean, key?: string): void {
    if (isGathering(this)) {
      if (gathered.size() + size > GATHER && size <= GATHER) this.#spill();
      if (isGathering(this) && gathered.size() + size <= GATHER) {
        room.memory = gathered.memory();
        room.at = extendGather(size);
        return;
      }
      this.#endGather();
    }
    if (size <= SLAB / 4 && key === undefined && (this.dropsNothing || !droppable) && this.blocked)
      return this.#reserveSlab(size);
    const own = size < 4096 ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
    this.push(own, droppable, key);
    room.memory = own;
    room.at = 0;
  }

  /** A payload of any size behind what was reserved last, masked with `key` if there is one: through the shared buffer, slice by
   * slice, as long as the socket takes them, so that a large message that can leave at once needs no memory. */
  append(payload: Uint8Array, key: number | undefined): void {
    let at = 0;
    while (isGathering(this) && at < payload.length) {
      if (gathered.size() === GATHER) {
        this.#spill();
        if (!isGathering(this) || gathered.size() === GATHER) break;
      }
      const size = Math.min(GATHER - gathered.size(), payload.length - at);
      const to = extendGather(size);
      gathered.memory().set(payload.subarray(at, at + size), to);
      if (key !== undefined) mask(gathered.memory(), key, to, to + size, at & 3);
      at += size;
    }
    if (at === payload.length) return;
    const rest = Buffer.allocUnsafeSlow(payload.length - at);
    rest.set(payload.subarray(at));
    if (key !== undefined) mask(rest, key, 0, rest.length, at & 3);
    // Where its front has left already, nothing may come in between, not even a pong.
    this.#endGather();
    if (this.#pieces.length > 0) this.push(rest, false);
    else {
      this.#tail = rest;
      if (this.budget !== undefined) this.budget.used += rest.length;
    }
  }

  /** Goes out before everything else and counts as nothing queued: the answer that opens the connection. */
  preface(bytes: Uint8Array): void {
    this.#preface = bytes;
  }

  /** Queues a piece that others may queue as well. */
  share(piece: Piece): void {
    this.#endGather();
    this.#count(piece.bytes.length);
    this.#add(piece);
  }

  /** Queues bytes by reference. */
  push(bytes: Uint8Array, droppable: boolean, key?: string): void {
    this.#endGather();
    if (key !== undefined && this.#replace(key, bytes)) return;
    if (key !== undefined) this.#remember(key, this.#pieces.length);
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

  /** Drops the oldest whole messages until `bytes` fit under `cap`; says how many went. Each message is looked at once in its life. */
  dropOldest(bytes: number, cap: number): number {
    const before = this.#gone;
    const pieces = this.#pieces;
    for (; this.#oldest < pieces.length && this.weight + bytes > cap; this.#oldest++) {
      const piece = pieces[this.#oldest] as Piece;
      if (!piece.droppable) continue;
      this.#count(-piece.bytes.length);
      if (this.budget !== undefined) this.budget.used -= PIECE_COST;
      if (piece.key !== undefined) this.#keys?.delete(piece.key);
      pieces[this.#oldest] = GONE;
      this.#gone++;
    }
    const dropped = this.#gone - before;
    if (this.#gone > pieces.length / 2) this.#closeGaps();
    return dropped;
  }

  #closeGaps(): void {
    const scanned = this.#oldest - this.#gone;
    this.#pieces = this.#pieces.filter((piece) => piece !== GONE);
    this.#oldest = scanned;
    this.#gone = 0;
    this.#keys = undefined;
    for (const [at, { key }] of this.#pieces.entries()) if (key !== undefined) this.#remember(key, at);
  }

  #remember(key: string, at: number): void {
    this.#keys ??= new Map();
    this.#keys.set(key, at);
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
    if (this.#tail !== undefined) {
      out.push(this.#tail);
      this.#dropTail();
    }
    if (this.#pong !== undefined) {
      out.push(this.#pong);
      this.#pong = undefined;
    }
    if (this.#pieces.length === 1) out.push((this.#pieces[0] as Piece).bytes);
    else if (this.#pieces.length > 1) collect(this.#pieces, this.#queued, out);
    this.#clearPieces();
    const bytes = takeGather(this, lend);
    if (bytes !== undefined) out.push(bytes);
    return out;
  }

  /** What is owed when that is one queued frame and nothing else, as after a broadcast; undefined: ask `take`. */
  takeOne(): Uint8Array | undefined {
    const pieces = this.#pieces;
    const slots = this.#tail ?? this.#pong ?? this.#preface;
    const alone = pieces.length === 1 && slots === undefined && !isGathering(this);
    if (!alone) return undefined;
    this.#clearPieces();
    return (pieces[0] as Piece).bytes;
  }

  /** The writer is done with what `take` gave: `kept` when the socket still refers to it, which gives the shared buffer away. */
  settle(kept: boolean): void {
    settleGather(this, kept);
  }

  /** Forgets everything: the socket is gone. */
  clear(): void {
    takeGather(this, false);
    this.#clearPieces();
    this.#dropTail();
    this.#pong = undefined;
    this.#preface = undefined;
  }

  #dropTail(): void {
    if (this.budget !== undefined) this.budget.used -= this.#tail?.length ?? 0;
    this.#tail = undefined;
  }

  #clearPieces(): void {
    if (this.budget !== undefined) this.budget.used -= this.#queued + (this.#pieces.length - this.#gone) * PIECE_COST;
    this.#queued = 0;
    this.#pieces = NONE;
    this.#oldest = 0;
    this.#gone = 0;
    this.#keys = undefined;
    this.#slab = undefined;
  }

  /** Behind the last small frame, while it is the last piece. */
  #reserveSlab(size: number): void {
    let slab = this.#slab;
    if (slab === undefined || slab.used + size > SLAB || this.#pieces.at(-1) !== slab.piece) {
      const memory = Buffer.allocUnsafeSlow(SLAB);
      slab = { memory, used: 0, piece: { bytes: memory.subarray(0, 0), droppable: false, key: undefined } };
      this.#slab = slab;
      this.#add(slab.piece);
    }
    room.memory = slab.memory;
    room.at = slab.used;
    slab.used += size;
    slab.piece.bytes = slab.memory.subarray(0, slab.used);
    this.#count(size);
  }

  #count(bytes: number): void {
    this.#queued += bytes;
    if (this.budget !== undefined) this.budget.used += bytes;
  }

  #add(piece: Piece): void {
    if (this.#pieces === NONE) this.#pieces = [piece];
    else this.#pieces.push(piece);
    if (this.budget !== undefined) this.budget.used += PIECE_COST;
  }

  #spill(): void {
    if (this.wire === undefined) return;
    this.wire.flush();
    this.begin();
  }

  /** The shared buffer is full: its content becomes a piece of its own, the rest of this read goes the other way. */
  #endGather(): void {
    const bytes = isGathering(this) ? keepGather(this) : undefined;
    if (bytes === undefined) return;
    this.#add({ bytes, droppable: false, key: undefined });
    this.#count(bytes.length);
  }

  #replace(key: string, bytes: Uint8Array): boolean {
    const at = this.#keys?.get(key);
    const piece = at === undefined ? undefined : this.#pieces[at];
    if (at === undefined || piece === undefined) return false;
    this.#count(bytes.length - piece.bytes.length);
    this.#pieces[at] = { bytes, droppable: piece.droppable, key };
    return true;
  }
}
