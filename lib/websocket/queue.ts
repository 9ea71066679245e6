// Whole frames that wait to be written, in order: what may be dropped can still be dropped, what has a key can still be replaced, and
// where nothing may be dropped small frames are put together, so that a million of them are not a million objects. Made for a connection
// when more than one frame waits. Counts what waits in the budget that connections share. Knows frames only as bytes.
import type { Budget } from './budget.js';

export interface Piece {
  bytes: Uint8Array;
  /** Whole data messages that nobody has seen yet may be dropped; control frames and parts of messages may not. */
  readonly droppable: boolean;
  readonly key: string | undefined;
}

/** What a piece costs besides its bytes, about; counted against the limits, not told as buffered. */
export const PIECE_COST = 128;

/** Small frames that wait are put together in slabs of this size. */
export const SLAB: number = 16 * 1024;

/** Up to this size many pieces are joined: one copy costs less than a list for the kernel. */
const JOIN_TO = 64 * 1024;

/** The pieces joined last: of several broadcasts that wait on 10,000 connections, the same ones are joined once for all. */
let joined: { readonly pieces: readonly Piece[]; readonly bytes: Uint8Array } | undefined;

const isJoined = (pieces: readonly Piece[]): boolean => {
  if (joined === undefined || joined.pieces.length !== pieces.length) return false;
  for (let i = 0; i < pieces.length; i++) if (joined.pieces[i] !== pieces[i]) return false;
  return true;
};

const join = (pieces: readonly Piece[], size: number): Uint8Array => {
  if (joined === undefined || !isJoined(pieces)) {
    const all = pieces.map((piece) => piece.bytes);
    joined = { pieces, bytes: Buffer.concat(all, size) };
  }
  return joined.bytes;
};

/** Stands where a message was dropped. */
const GONE: Piece = { bytes: new Uint8Array(0), droppable: false, key: undefined };

/** Stands for the empty list. Never changed. */
const NONE: Piece[] = [];

export class Queue {
  readonly #budget: Budget | undefined;
  #pieces: Piece[] = NONE;
  #size = 0;
  #oldest = 0; // up to here nothing is left that may be dropped
  #gone = 0; // pieces that were dropped and leave a gap in the list
  #keys: Map<string, number> | undefined;
  #slab: { readonly memory: Buffer; used: number; readonly piece: Piece } | undefined;

  constructor(budget: Budget | undefined) {
    this.#budget = budget;
  }

  /** Bytes waiting here. */
  get size(): number {
    return this.#size;
  }

  get length(): number {
    return this.#pieces.length - this.#gone;
  }

  add(piece: Piece): void {
    if (piece.key !== undefined) this.#remember(piece.key, this.#pieces.length);
    if (this.#pieces === NONE) this.#pieces = [piece];
    else this.#pieces.push(piece);
    this.#count(piece.bytes.length, PIECE_COST);
  }

  /** Puts the bytes where the message with that key waits; false when none does. */
  replace(key: string, bytes: Uint8Array): boolean {
    const at = this.#keys?.get(key);
    const piece = at === undefined ? undefined : this.#pieces[at];
    if (at === undefined || piece === undefined) return false;
    this.#count(bytes.length - piece.bytes.length, 0);
    this.#pieces[at] = { bytes, droppable: piece.droppable, key };
    return true;
  }

  /** Room for a small frame behind the last one, while that is the last piece: where it begins, in which memory. */
  extend(size: number): { readonly memory: Buffer; readonly at: number } {
    let slab = this.#slab;
    if (slab === undefined || slab.used + size > SLAB || this.#pieces.at(-1) !== slab.piece) {
      const memory = Buffer.allocUnsafeSlow(SLAB);
      slab = { memory, used: 0, piece: { bytes: memory.subarray(0, 0), droppable: false, key: undefined } };
      this.#slab = slab;
      this.add(slab.piece);
    }
    const at = slab.used;
    slab.used += size;
    slab.piece.bytes = slab.memory.subarray(0, slab.used);
    this.#count(size, 0);
    return { memory: slab.memory, at };
  }

  /** Drops the oldest whole messages until `excess` says that there is none; says how many went. Each is looked at once in its life. */
  dropOldest(excess: () => boolean): number {
    const before = this.#gone;
    const pieces = this.#pieces;
    for (; this.#oldest < pieces.length && excess(); this.#oldest++) {
      const piece = pieces[this.#oldest] as Piece;
      if (!piece.droppable) continue;
      if (piece.key !== undefined) this.#keys?.delete(piece.key);
      pieces[this.#oldest] = GONE;
      this.#gone++;
      this.#count(-piece.bytes.length, -PIECE_COST);
    }
    const dropped = this.#gone - before;
    if (this.#gone > pieces.length / 2) this.#closeGaps();
    return dropped;
  }

  /** Moves all there is to `out`, in order. */
  take(out: Uint8Array[]): void {
    const pieces = this.#pieces;
    if (pieces.length === 1) out.push((pieces[0] as Piece).bytes);
    else if (this.#size > JOIN_TO) for (const piece of pieces) out.push(piece.bytes);
    else if (pieces.length > 1) out.push(join(pieces, this.#size));
    this.clear();
  }

  clear(): void {
    this.#count(-this.#size, -this.length * PIECE_COST);
    this.#pieces = NONE;
    this.#oldest = 0;
    this.#gone = 0;
    this.#keys = undefined;
    this.#slab = undefined;
  }

  #count(bytes: number, cost: number): void {
    this.#size += bytes;
    if (this.#budget !== undefined) this.#budget.used += bytes + cost;
  }

  #remember(key: string, at: number): void {
    this.#keys ??= new Map();
    this.#keys.set(key, at);
  }

  #closeGaps(): void {
    const scanned = this.#oldest - this.#gone;
    this.#pieces = this.#pieces.filter((piece) => piece !== GONE);
    this.#oldest = scanned;
    this.#gone = 0;
    this.#keys = undefined;
    for (const [at, { key }] of this.#pieces.entries()) if (key !== undefined) this.#remember(key, at);
  }
}
