// How bytes come from a socket to their receiver. The fast way: all sockets read into one buffer, without a fresh piece of memory, a
// stream event and a Buffer for each read. Node documents this for sockets one opens (`onread`); for accepted ones it takes parts of
// net.Socket that are not documented, so they are looked for once, at load, and where anything is missing the plain 'data' event
// does the same. A chunk is the receiver's until its call returns. Everything undocumented about reading is in this file.
// The listeners are the same functions for all sockets and are put on once: a socket that changes hands only changes its receiver.
import { Socket } from 'node:net';
import { markRestless } from '../bytes/loans.js';
import { SHARED_SIZE, simd } from '../frame/simd.js';
import { now } from './clock.js';

export interface Receiver {
  read(chunk: Buffer): void;
  /** The peer's FIN: nothing more will come. */
  ended(): void;
  /** The socket is gone. */
  closed(failed: boolean): void;
  /** It asked for no more just now. */
  readonly paused: boolean;
}

const RECEIVER: unique symbol = Symbol('receiver');
type Read = Socket & { [RECEIVER]?: Receiver };

/** The one read buffer, in the memory where unmasking is fastest. */
const shared = simd === undefined ? Buffer.allocUnsafeSlow(SHARED_SIZE) : Buffer.from(simd.memory, 0, SHARED_SIZE);

markRestless(shared.buffer);

interface Parts {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

/** The fields in which net.Socket keeps its `onread`, found on a socket that has one. */
const find = (): Parts | undefined => {
  const onread = { buffer: new Uint8Array(1), callback: () => true };
  const probe = new Socket({ onread } as ConstructorParameters<typeof Socket>[0]);
  const symbols = Object.getOwnPropertySymbols(probe);
  probe.destroy();
  const named = (name: string): symbol | undefined => symbols.find((symbol) => symbol.description === name);
  const [buffer, callback, generator] = [named('kBuffer'), named('kBufferCb'), named('kBufferGen')];
  return buffer === undefined || callback === undefined || generator === undefined
    ? undefined
    : { buffer, callback, generator };
};

const parts = find();

/** What Node reads at most at once where it allots the memory. */
const FULL_CHUNK = 64 * 1024;

/** A chunk that took this long was full of work, not of bytes. */
const LONG_MS = 2;

/** A read that fills the buffer is followed by another, up to 32 times, before any other socket has its turn: here one is enough. */
const giveWay = (socket: Read): void => {
  if (socket.destroyed || socket[RECEIVER]?.paused === true) return;
  socket.pause();
  setImmediate(() => {
    if (!socket.destroyed && socket[RECEIVER]?.paused !== true) socket.resume();
  });
};

/** Shared by all sockets; Node calls it with the socket as `this`. */
function onRead(this: Read, size: number): boolean {
  const began = size === SHARED_SIZE ? now() : 0;
  this[RECEIVER]?.read(shared.subarray(0, size));
  if (began > 0 && now() - began > LONG_MS) giveWay(this);
  return true;
}

function onData(this: Read, chunk: Buffer): void {
  const began = chunk.length >= FULL_CHUNK ? now() : 0;
  this[RECEIVER]?.read(chunk);
  if (began > 0 && now() - began > LONG_MS) giveWay(this);
}

function onEnd(this: Read): void {
  this[RECEIVER]?.ended();
}

function onError(this: Read): void {
  // 'close' follows, and tells the receiver.
}

function onClose(this: Read, failed: boolean): void {
  this[RECEIVER]?.closed(failed);
}

interface Handle {
  useUserBuffer?: (buffer: Uint8Array) => void;
}

/** Whether this runtime lets accepted sockets share a read buffer. */
export const canShare: boolean = parts !== undefined;

/** From now on what arrives goes to `receiver`; called again, to the next one. `share`: by the shared buffer, where possible. */
export const readInto = (socket: Socket, receiver: Receiver, share: boolean): void => {
  const read: Read = socket;
  const first = read[RECEIVER] === undefined;
  read[RECEIVER] = receiver;
  if (!first) return;
  socket.on('end', onEnd).on('error', onError).on('close', onClose);
  if (share && parts !== undefined && socket.constructor === Socket) {
    const fields = socket as unknown as Record<symbol, unknown> & { readonly _handle?: Handle | null };
    const handle = fields._handle;
    if (typeof handle?.useUserBuffer === 'function' && fields[parts.buffer] === null && socket.readableLength === 0) {
      fields[parts.buffer] = shared;
      fields[parts.callback] = onRead;
      fields[parts.generator] = null;
      handle.useUserBuffer(shared);
      socket.resume();
      return;
    }
  }
  socket.on('data', onData);
};
