// The sending half: a message → its compressed payload (RFC 7692 section 7.2.1), by a zlib object driven directly. Two kinds: without
// takeover one object for each shape serves the whole process, reset and wiped for every message; with takeover the connection has its own,
// which `rest` trades for a dictionary of what it last sent. Must not know frames. documented.ts is the same with documented API only.

import { constants } from 'node:zlib';
import { History } from './history.js';
import { Scratch } from './scratch.js';
import { openDeflate, type Shape, type Step } from './step.js';

export interface Outbound {
  /** The payload, without the final 00 00 FF FF: a view until the next compress in this process. */
  compress(bytes: Uint8Array): Uint8Array;
  rest(): void;
  close(): void;
  readonly memory: number;
}

/** Section 7.2.3.6: a message of no bytes is one octet, the header of the empty block whose other four octets are cut off. */
export const EMPTY_MESSAGE: Uint8Array = Uint8Array.of(0);
const TAIL = 4;

const scratch = new Scratch();
const shared = new Map<number, Step>();

const sharedStep = (shape: Shape): Step => {
  const key = shape.bits * 256 + shape.level * 16 + shape.memLevel;
  let step = shared.get(key);
  if (step === undefined || step.broken) {
    step = openDeflate(shape, undefined);
    shared.set(key, step);
  } else step.reset();
  return step;
};

/** zlib's own bound for any window and memLevel, and room enough that a flush is never cut in two. */
const bound = (size: number): number => size + ((size + 7) >>> 3) + ((size + 63) >>> 6) + 64;

const squeeze = (step: Step, bytes: Uint8Array): Uint8Array => {
  const room = scratch.take(bound(bytes.length));
  // zlib refuses data only when inflating: what fails here is memory.
  if (!step.write(constants.Z_SYNC_FLUSH, bytes, 0, room, 0, room.length) || step.roomLeft === 0)
    throw new RangeError('zlib could not compress');
  return room.subarray(0, room.length - step.roomLeft - TAIL);
};

/** Twice the largest window: what zlib allots for one. */
const ZEROS: Uint8Array = new Uint8Array(2 ** 16);
const sink = new Uint8Array(1024);

/**
 * A reset forgets the hash table but leaves the bytes in the window, and zlib's search for a match looks up to 258 bytes past the end of
 * a message before it cuts the match to size: so what another connection sent decided, now and then, which of two equal matches was
 * taken, and showed in the length of the payload (1 in 300 messages of different kinds). Zeros over them, 0.6 us, make the object as new.
 */
const wipe = (step: Step, size: number, bits: number): void => {
  step.reset();
  step.write(constants.Z_NO_FLUSH, ZEROS.subarray(0, Math.min(size, 2 ** (bits + 1))), 0, sink, 0, sink.length);
};

export class SharedOutbound implements Outbound {
  readonly memory = 0;
  readonly #shape: Shape;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  compress(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return EMPTY_MESSAGE;
    const step = sharedStep(this.#shape);
    const payload = squeeze(step, bytes);
    wipe(step, bytes.length, this.#shape.bits);
    return payload;
  }

  rest(): void {}
  close(): void {}
}

/**
 * Contexts that own a zlib object just now. A few are fast, because they stay in the processor's cache; of many each has to be fetched
 * from memory for every message (64 connections in turn, 1 KiB: 80 us instead of 10), and holds 216 KiB. So all others use the shared
 * object, which is warm, and which first compresses the last bytes they sent, for nobody: after that it knows what the peer knows.
 */
const MOST_AWAKE = 8;
const awake = new Set<OwnOutbound>();

/** How much of the past the shared object is told: the last messages matter most, and each byte costs. */
const PRIMED = 2048;
const primedRoom = new Uint8Array(bound(PRIMED));

const squeezePrimed = (shape: Shape, history: History, bytes: Uint8Array): Uint8Array => {
  const step = sharedStep(shape);
  let told = 0;
  for (const piece of history.newest(PRIMED)) {
    if (piece.length === 0) continue;
    step.write(constants.Z_SYNC_FLUSH, piece, 0, primedRoom, 0, primedRoom.length);
    told += piece.length;
  }
  const payload = squeeze(step, bytes);
  wipe(step, told + bytes.length, shape.bits);
  return payload;
};

export class OwnOutbound implements Outbound {
  readonly #shape: Shape;
  readonly #history: History;
  #step: Step | undefined;

  constructor(shape: Shape) {
    this.#shape = shape;
    this.#history = new History(shape.bits);
  }

  compress(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return EMPTY_MESSAGE;
    if (this.#step === undefined && awake.size < MOST_AWAKE) this.#step = this.#wake();
    const payload =
      this.#step === undefined ? squeezePrimed(this.#shape, this.#history, bytes) : squeeze(this.#step, bytes);
    // Copied for `rest`: zlib does not show its window.
    this.#history.push(bytes);
    return payload;
  }

  rest(): void {
    this.#step?.close();
    this.#step = undefined;
    awake.delete(this);
  }

  #wake(): Step {
    awake.add(this);
    return openDeflate(this.#shape, this.#history.dictionary());
  }

  close(): void {
    this.rest();
  }

  /** zlib's own formula, with the hash table at its least size in Node's zlib, and the object in JavaScript around it. */
  get memory(): number {
    const { bits, memLevel } = this.#shape;
    const zlib = 2 ** (bits + 2) + 2 ** Math.max(memLevel + 8, 16) + 2 ** (memLevel + 8) + 8192;
    return this.#history.memory + (this.#step === undefined ? 0 : zlib);
  }
}
