// A zlib object driven directly: bytes in, bytes out, at once, into memory of ours. The only file that touches undocumented parts of
// node:zlib: the `_handle` of a stream object with its `writeSync`, `reset` and `onerror`, and `_writeState`, where it leaves what remains.
// Everything it relies on is tried once before first use; where a trial fails, documented.ts does the work instead, slower.
// Why: through the stream a message costs 3 to 10 times as much and arrives later (no order kept against a close), and the one-shot
// functions make and destroy a zlib object for each message. Knows nothing of messages.

import { constants, DeflateRaw, deflateRawSync, InflateRaw } from 'node:zlib';

interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void;
  reset(): void;
  onerror: (message: string, number: number, code: string) => void;
}

interface Internals {
  _handle: Handle;
  readonly _writeState: Uint32Array;
  _processChunk(chunk: Uint8Array, flush: number): Uint8Array;
}

export interface Shape {
  /** 9 to 15 for deflate, 8 to 15 for inflate. */
  readonly bits: number;
  readonly level: number;
  readonly memLevel: number;
}

// The object's own output buffer is never used: the smallest allowed, not 16 KiB.
const CHUNK = 64;

export class Step {
  readonly #zlib: DeflateRaw | InflateRaw;
  readonly #handle: Handle;
  readonly #left: Uint32Array;
  #broken = false;
  /** Bytes of input the last write did not take, and bytes of room it did not fill. */
  inputLeft = 0;
  roomLeft = 0;

  constructor(zlib: DeflateRaw | InflateRaw) {
    const { _handle, _writeState } = zlib as unknown as Internals;
    this.#zlib = zlib;
    this.#handle = _handle;
    this.#left = _writeState;
    _handle.onerror = () => {
      this.#broken = true;
    };
  }

  /** False: zlib refused the data, and the step is of no more use. */
  write(flush: number, input: Uint8Array, at: number, output: Uint8Array, from: number, to: number): boolean {
    this.#handle.writeSync(flush, input, at, input.length - at, output, from, to - from);
    this.roomLeft = this.#left[0] as number;
    this.inputLeft = this.#left[1] as number;
    return !this.#broken;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** As new, the dictionary it was made with included. */
  reset(): void {
    this.#handle.reset();
  }

  /** Gives the memory back at once. */
  close(): void {
    this.#zlib.close();
  }
}

export const openDeflate = (shape: Shape, dictionary: Uint8Array | undefined): Step => {
  const { bits, level, memLevel } = shape;
  const options = { windowBits: bits, level, memLevel, chunkSize: CHUNK };
  return new Step(new DeflateRaw(dictionary === undefined ? options : { ...options, dictionary }));
};

export const openInflate = (bits: number): Step => new Step(new InflateRaw({ windowBits: bits, chunkSize: CHUNK }));

/**
 * Node's own call of `writeSync`, seen from inside: the native side aborts the process when it is called with other arguments than it
 * expects, so these are looked at before we make our first call.
 */
const isCalledAsKnown = (): boolean => {
  const zlib = new DeflateRaw({ chunkSize: CHUNK });
  const internals = zlib as unknown as Internals;
  const handle = internals._handle;
  const input = Uint8Array.of(1, 2, 3);
  let known = false;
  internals._handle = {
    writeSync(...args: unknown[]): void {
      const [flush, bytes, at, length, output, from, room] = args;
      known =
        args.length === 7 &&
        flush === constants.Z_SYNC_FLUSH &&
        bytes instanceof Uint8Array &&
        bytes.length === 3 &&
        at === 0 &&
        length === 3 &&
        output instanceof Uint8Array &&
        from === 0 &&
        room === CHUNK;
      handle.writeSync(...(args as Parameters<Handle['writeSync']>));
    },
    close(): void {},
  } as unknown as Handle;
  internals._processChunk(input, constants.Z_SYNC_FLUSH);
  internals._handle = handle;
  zlib.close();
  return known && typeof handle.reset === 'function' && internals._writeState instanceof Uint32Array;
};

/** A message there and back, twice from a fresh state, a cut at a block's end, and data that is none. */
const isAnswerAsKnown = (): boolean => {
  const { Z_SYNC_FLUSH, Z_BLOCK } = constants;
  const text = Uint8Array.from({ length: 600 }, (_, i) => (i * i) & 31);
  const shape: Shape = { bits: 15, level: 6, memLevel: 8 };
  const expected = deflateRawSync(text, { level: 6, memLevel: 8, finishFlush: Z_SYNC_FLUSH });
  const deflate = openDeflate(shape, undefined);
  const inflate = openInflate(15);
  const room = new Uint8Array(2048);
  let good = true;
  for (let turn = 0; turn < 2; turn++) {
    good &&= deflate.write(Z_SYNC_FLUSH, text, 0, room, 10, 2048) && deflate.inputLeft === 0;
    const packed = room.slice(10, 2048 - deflate.roomLeft);
    good &&= expected.equals(packed);
    const more = Uint8Array.from([...packed, 0]);
    good &&= inflate.write(Z_SYNC_FLUSH, more.subarray(0, -5), 0, room, 0, 300) && inflate.roomLeft === 0;
    good &&= inflate.write(Z_SYNC_FLUSH, more.subarray(0, -5), more.length - 5 - inflate.inputLeft, room, 300, 2048);
    good &&= inflate.inputLeft === 0 && inflate.write(Z_BLOCK, more, more.length - 5, room, 600, 2048);
    good &&= inflate.inputLeft === 1 && text.every((byte, i) => byte === room[i]);
    deflate.reset();
    inflate.reset();
  }
  good &&= !inflate.write(Z_SYNC_FLUSH, Uint8Array.of(255, 255), 0, room, 0, 2048);
  deflate.close();
  inflate.close();
  return good;
};

let usable: boolean | undefined;

/** Whether this runtime's zlib is what this file takes it for; tried once, about a millisecond. */
export const isStepUsable = (): boolean => {
  if (usable === undefined) {
    try {
      usable = isCalledAsKnown() && isAnswerAsKnown();
    } catch {
      usable = false;
    }
  }
  return usable;
};
