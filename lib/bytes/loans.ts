// Memory that is lent for the length of a call, and what becomes of it when its borrower passes it on: the lender uses it again when the
// last holder is done, not before. Memory that cannot wait, because its owner writes it again whatever happens, is marked as such: it is never
// kept, only copied. Who never gives back is no harm: the collector finds what nobody holds.
import { giveMemory } from './spares.js';

export interface Loan {
  readonly memory: Uint8Array;
  holders: number;
  /** What was lent when this one began: a borrower may be handed another's memory. */
  readonly outer: Loan | undefined;
}

const restless: WeakSet<ArrayBufferLike> = new WeakSet();
/** The pieces that were passed on, each with what it is a part of. */
const pieces: WeakMap<Uint8Array, Loan> = new WeakMap();
/** What is lent now. */
let current: Loan | undefined;

/** Its owner writes it again, whoever refers to it. */
export const markRestless = (memory: ArrayBufferLike): void => {
  restless.add(memory);
};

/** The lender is its first holder, until `endLoan`. */
export const lend = (memory: Uint8Array): Loan => {
  current = { memory, holders: 1, outer: current };
  return current;
};

export const endLoan = (loan: Loan): void => {
  current = loan.outer;
  drop(loan);
};

/** Whether these bytes may be referred to for longer than this call; where they are lent, they are held from now on until `recycle`. */
export const hold = (bytes: Uint8Array): boolean => {
  const { buffer } = bytes;
  if (restless.has(buffer)) return false;
  let loan = current;
  while (loan !== undefined && loan.memory.buffer !== buffer) loan = loan.outer;
  if (loan !== undefined) {
    loan.holders++;
    pieces.set(bytes, loan);
  }
  return true;
};

/** This piece is all there is of its memory, and nobody but its holder refers to it. */
export const own = (piece: Uint8Array): void => {
  pieces.set(piece, { memory: piece, holders: 1, outer: undefined });
};

/** Their holder has got rid of these: memory that was only for them can be used again. */
export const recycle = (all: readonly Uint8Array[]): void => {
  for (const piece of all) {
    const loan = pieces.get(piece);
    if (loan !== undefined) drop(loan);
  }
};

const drop = (loan: Loan): void => {
  loan.holders--;
  if (loan.holders === 0) giveMemory(loan.memory);
};
