// How bytes go from their giver to a socket. The fast way: straight to the socket's handle, which tries the kernel at once, without the
// state, the callback and the turn of the loop that a stream has for each write. It takes parts of net.Socket that are not documented, so
// each is looked for, and where anything is missing the stream does the same. Everything undocumented about writing is in this file.
// Once bytes have gone this way nobody may write to the stream, and nothing may be given while something is under way.
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** What Node calls a write that is under way. It is used up only when the kernel does not take all at the first try. */
interface Request {
  /** `UNUSED` until it is used up: a second use would end the process. */
  getAsyncId(): number;
  oncomplete: (this: Request, status: number) => void;
  /** The memory is the kernel's until it is done. */
  kept: unknown;
  socket: Socket | undefined;
  done: (() => void) | undefined;
}

interface Handle {
  writeBuffer(request: Request, bytes: Uint8Array): number;
  writev(request: Request, pieces: readonly Uint8Array[], allBytes: true): number;
  /** Bytes that the kernel has not taken. */
  readonly writeQueueSize: number;
}

const UNUSED = -1;

type Holder = { readonly _handle?: Partial<Handle> | null };

let NewRequest: (new () => Request) | undefined;
/** One for all sockets, until a write is under way with it. */
let spare: Request | undefined;
/** The last one that was not done at once. */
let underway: Request | undefined;

function onComplete(this: Request, status: number): void {
  const { socket, done } = this;
  this.kept = undefined;
  this.socket = undefined;
  this.done = undefined;
  if (status < 0 && socket?.destroyed === false) socket.destroy(errorOf(status));
  done?.();
}

const errorOf = (status: number): Error => {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' });
};

const newRequest = (Made: new () => Request): Request => {
  const request = new Made();
  request.oncomplete = onComplete;
  return request;
};

/** A runtime whose streams write without such requests has a fast way of its own. */
let barred = false;

/** Node makes such a request for each write of a stream, and nowhere else can one be had: the first write of all shows how. */
const learn = (handle: Handle): void => {
  handle.writeBuffer = function learning(this: Handle, request: Request | null, bytes) {
    delete (handle as Partial<Handle>).writeBuffer;
    const Made = request?.constructor as (new () => Request) | undefined;
    barred = Made?.name !== 'WriteWrap';
    if (Made !== undefined && !barred) {
      const first = newRequest(Made);
      barred = typeof first.getAsyncId !== 'function' || first.getAsyncId() !== UNUSED;
      if (!barred) {
        NewRequest = Made;
        spare = first;
      }
    }
    return this.writeBuffer(request as Request, bytes);
  };
};

/** Whether this socket can be given bytes past its stream; asked once, before the first. */
export const isDirect = (socket: Socket): boolean => {
  if (barred || socket.constructor !== Socket || socket.writableLength > 0) return false;
  const handle = (socket as unknown as Holder)._handle;
  return (
    typeof handle?.writeBuffer === 'function' &&
    typeof handle.writev === 'function' &&
    typeof handle.writeQueueSize === 'number'
  );
};

/** True: the kernel has taken all of it. False: it may not change until `whenGiven` tells. */
export const give = (socket: Socket, direct: boolean, bytes: Uint8Array): boolean => {
  if (direct) {
    const handle = (socket as unknown as { readonly _handle: Handle | null })._handle;
    if (handle === null) return true;
    if (spare !== undefined) return judge(socket, handle, bytes, handle.writeBuffer(spare, bytes));
    if (!barred) learn(handle);
  }
  socket.write(bytes);
  return socket.writableLength === 0;
};

/** The same of several, in one write. */
export const giveAll = (socket: Socket, direct: boolean, pieces: readonly Uint8Array[]): boolean => {
  if (direct && spare !== undefined) {
    const handle = (socket as unknown as { readonly _handle: Handle | null })._handle;
    return handle === null || judge(socket, handle, pieces, handle.writev(spare, pieces, true));
  }
  socket.cork();
  for (const piece of pieces) socket.write(piece);
  socket.uncork();
  return socket.writableLength === 0;
};

const judge = (socket: Socket, handle: Handle, given: unknown, status: number): boolean => {
  const request = spare as Request;
  if (status === 0 && request.getAsyncId() === UNUSED) return true;
  spare = newRequest(NewRequest as new () => Request);
  if (status !== 0) {
    socket.destroy(errorOf(status));
    return true;
  }
  // Taken at the second try, which comes right behind the first: a reader that keeps up has made room in between.
  if (handle.writeQueueSize === 0) return true;
  request.kept = given;
  request.socket = socket;
  underway = request;
  return false;
};

const EMPTY = new Uint8Array(0);

/** Right after bytes were given that the kernel did not take: tells when it has, or never will. */
export const whenGiven = (socket: Socket, direct: boolean, done: () => void): void => {
  if (direct && underway?.socket === socket) underway.done = done;
  // An empty write behind it calls back when the kernel took all: 'drain' would stay away below the socket's own mark.
  else socket.write(EMPTY, done);
  underway = undefined;
};

/** Bytes that were given and that the kernel has not taken. */
export const waitingIn = (socket: Socket, direct: boolean): number => {
  const below = direct ? (socket as unknown as Holder)._handle?.writeQueueSize : undefined;
  return below === undefined ? socket.writableLength : below + socket.writableLength;
};
