// What a connection owes its peer: frames in, pieces of memory to write out, in order. Knows frames only as bytes and owns no socket.
// Two ways in: while a chunk from the peer is being read, answers are gathered in one buffer that all connections share (gather.ts); at any
// other time frames wait in a list. While the socket takes nothing (`blocked`), the newest pong replaces older ones (RFC 6455
// section 5.5.3 allows it), so that a ping flood cannot make us hold memory, and whole messages can still be dropped or replaced as the
// policy says; where nothing may be dropped, small frames are put together, so that a million of them are not a million objects.
import { own } from '../bytes/loans.js';
import { takeMemory } from '../bytes/spares.js';
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
import { PIECE_COST, type Piece, Queue, SLAB } from './queue.js';
import type { Wire } from './wire.js';

/** Where the last `reserve` made room: one object for all, read at once and never kept. */
export const room: { memory: Buffer; at: number } = { memory: gathered.memory(), at: 0 };

export class Outbox {
  /** Some sender was told to wait until there is room. */
  told = false;
  /** Nothing that waits may be dropped, so small frames may be put together. */
  dropsNothing = true;
  /** Writes at once what does not fit; without it, that waits in memory of its own. */
  wire: Pick<Wire, 'flush'> | undefined;
  /** Shared with other connections: what waits here counts there. */
  budget: Budget | undefined;
  #blocked = false;
  /** Bytes that the socket was given and has not taken. */
  #under = 0;
  /** The frame that waits, as long as it is alone: after a broadcast all connections have one. */
  #one: Piece | undefined;
  #queue: Queue | undefined;
  /** The rest of a frame whose front has left. */
  #tail: Uint8Array | undefined;
  #pong: Uint8Array | undefined;

  /** Bytes waiting here. */
  get size(): number {
    const queued = (this.#one?.bytes.length ?? 0) + (this.#queue?.size ?? 0);
    return queued + (this.#tail?.length ?? 0) + (this.#pong?.length ?? 0) + (isGathering(this) ? gathered.size() : 0);
  }

  /** What it costs to hold them. */
  get weight(): number {
    return this.size + ((this.#one === undefined ? 0 : 1) + (this.#queue?.length ?? 0)) * PIECE_COST;
  }

  /** The socket has not taken what it was given. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Of what the socket was given so many bytes wait: until `unblock` they count where those count that wait here. */
  block(bytes: number): void {
    this.#blocked = true;
    this.#under = bytes;
    if (this.budget !== undefined) this.budget.used += bytes;
  }

  unblock(): void {
    this.#blocked = false;
    if (this.budget !== undefined) this.budget.used -= this.#under;
    this.#under = 0;
  }

  get gathering(): boolean {
    return isGathering(this);
  }

  /** A read begins: answers are gathered until `take`. */
  begin(): void {
    if (!this.#blocked && this.#idle && this.#tail === undefined) beginGather(this);
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
    if (size <= SLAB / 4 && key === undefined && (this.dropsNothing || !droppable) && this.#blocked) {
      const { memory, at } = this.#ask().extend(size);
      room.memory = memory;
      room.at = at;
      return;
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
    const rest = takeMemory(payload.length - at).subarray(0, payload.length - at);
    rest.set(payload.subarray(at));
    if (key !== undefined) mask(rest, key, 0, rest.length, at & 3);
    // Where its front has left already, nothing may come in between, not even a pong.
    this.#endGather();
    if (!this.#idle) this.push(rest, false);
    else {
      this.#tail = rest;
      own(rest);
      if (this.budget !== undefined) this.budget.used += rest.length;
    }
  }

  /** A frame whose payload is not copied: two pieces. Neither may be dropped without the other, so neither can be. */
  refer(header: Uint8Array, payload: Uint8Array): void {
    // What was gathered leaves first, so that its memory need not be given away.
    if (isGathering(this) && gathered.size() > 0) this.#spill();
    this.push(header, false);
    this.push(payload, false);
  }

  /** Queues a piece that others may queue as well. */
  share(piece: Piece): void {
    this.#endGather();
    this.#add(piece);
  }

  /** Queues bytes by reference. */
  push(bytes: Uint8Array, droppable: boolean, key?: string): void {
    this.#endGather();
    if (key === undefined || this.#queue?.replace(key, bytes) !== true) this.#add({ bytes, droppable, key });
  }

  /** An answer to a ping: in its place while the peer reads, the newest one only while it does not. */
  pong(frame: Uint8Array): void {
    if (this.#blocked) this.#pong = frame;
    else {
      this.reserve(frame.length, false);
      room.memory.set(frame, room.at);
    }
  }

  /** Drops the oldest whole messages until `bytes` fit under `cap`; says how many went. */
  dropOldest(bytes: number, cap: number): number {
    if (this.#idle) return 0;
    return this.#ask().dropOldest(() => this.weight + bytes > cap);
  }

  /**
   * All that is owed, in the order in which it must be written; empty when nothing is. With `lend` the shared memory is the writer's
   * until `settle`, without it the writer gets a copy.
   */
  take(lend: boolean): Uint8Array[] {
    const out: Uint8Array[] = [];
    if (this.#tail !== undefined) {
      out.push(this.#tail);
      this.#dropTail();
    }
    if (this.#pong !== undefined) {
      out.push(this.#pong);
      this.#pong = undefined;
    }
    if (this.#one !== undefined) {
      out.push(this.#one.bytes);
      this.#dropOne();
    }
    this.#queue?.take(out);
    const bytes = takeGather(this, lend);
    if (bytes !== undefined) out.push(bytes);
    return out;
  }

  /** The same when it is one piece, as nearly always, without a list; undefined: ask `take`. */
  takeOne(lend: boolean): Uint8Array | undefined {
    const others = this.#tail ?? this.#pong;
    if (others !== undefined || (this.#queue?.length ?? 0) > 0) return undefined;
    const one = this.#one;
    if (one === undefined) return takeGather(this, lend);
    if (isGathering(this)) return undefined;
    this.#dropOne();
    return one.bytes;
  }

  /** The writer is done with what `take` gave: `kept` when the socket still refers to it, which gives the shared buffer away. */
  settle(kept: boolean): void {
    settleGather(this, kept);
  }

  /** Forgets everything: the socket is gone. */
  clear(): void {
    takeGather(this, false);
    this.#dropOne();
    this.#queue?.clear();
    this.#dropTail();
    this.#pong = undefined;
  }

  /** Nothing is queued. */
  get #idle(): boolean {
    return this.#one === undefined && (this.#queue === undefined || this.#queue.length === 0);
  }

  #dropOne(): void {
    if (this.budget !== undefined && this.#one !== undefined) this.budget.used -= this.#one.bytes.length + PIECE_COST;
    this.#one = undefined;
  }

  #dropTail(): void {
    if (this.budget !== undefined) this.budget.used -= this.#tail?.length ?? 0;
    this.#tail = undefined;
  }

  /** The queue, with the one that waited alone at its head. */
  #ask(): Queue {
    this.#queue ??= new Queue(this.budget);
    const one = this.#one;
    if (one !== undefined) {
      this.#dropOne();
      this.#queue.add(one);
    }
    return this.#queue;
  }

  #add(piece: Piece): void {
    if (!this.#idle || piece.key !== undefined) return this.#ask().add(piece);
    this.#one = piece;
    if (this.budget !== undefined) this.budget.used += piece.bytes.length + PIECE_COST;
  }

  #spill(): void {
    if (this.wire === undefined) return;
    this.wire.flush();
    this.begin();
  }

  /** The shared buffer is full: its content becomes a piece of its own, the rest of this read goes the other way. */
  #endGather(): void {
    const bytes = isGathering(this) ? keepGather(this) : undefined;
    if (bytes !== undefined) this.#add({ bytes, droppable: false, key: undefined });
  }
}
