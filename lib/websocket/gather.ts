// The one buffer in which answers are gathered while a chunk is being read, so that all it provokes leaves in one write. It belongs to at
// most one outbox at a time, for the length of one read; then it is lent to that outbox's writer until the writer says whether the
// socket still refers to it. Memory that a socket keeps is given away and never written again.

/** Half of a second-level cache, so that what is gathered is still there when the kernel copies it. */
export const GATHER: number = 128 * 1024;

let memory: Buffer = Buffer.allocUnsafeSlow(GATHER);
let size = 0;
let owner: object | undefined;
let borrower: object | undefined;

/** Where the next byte goes. */
export const gathered = { memory: (): Buffer => memory, size: (): number => size } as const;

export const isGathering = (who: object): boolean => owner === who;

/** False while somebody else gathers, or what was gathered is still being written. */
export const beginGather = (who: object): boolean => {
  if (owner !== undefined || borrower !== undefined || size > 0) return false;
  owner = who;
  return true;
};

/** Takes so many bytes more and says where they begin; the caller has seen that they fit. */
export const extendGather = (bytes: number): number => {
  const at = size;
  size += bytes;
  return at;
};

/** Ends the gathering and hands out what there is; `lend`: itself, until `settleGather`; else a copy. */
export const takeGather = (who: object, lend: boolean): Uint8Array | undefined => {
  if (owner !== who) return undefined;
  owner = undefined;
  if (size === 0) return undefined;
  const bytes = memory.subarray(0, size);
  if (lend) {
    borrower = who;
    return bytes;
  }
  size = 0;
  return Buffer.from(bytes);
};

/** The writer is done; `kept`: the socket is not. */
export const settleGather = (who: object, kept: boolean): void => {
  if (borrower !== who) return;
  borrower = undefined;
  if (kept) memory = Buffer.allocUnsafeSlow(GATHER);
  size = 0;
};

/** Ends the gathering; what there is belongs to the caller for good. */
export const keepGather = (who: object): Uint8Array | undefined => {
  const bytes = takeGather(who, true);
  settleGather(who, true);
  return bytes;
};
