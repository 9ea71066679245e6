// Octets that lie in somebody else's memory → a copy to hand out, in Node. Memory of its own for each would cost as much as sealing it: up to a
// quarter of a pool of the size of Buffer's share one. So a pool holds messages of several sessions, and none of them may be moved to another
// thread with it: that would take the others away from their owners.
import { markAsUntransferable } from 'node:worker_threads';

const POOL = 8192;
let pool = new ArrayBuffer(0);
let used = 0;

/** Nobody writes to it again. */
export function copyOut(bytes: Uint8Array, at: number, size: number): Uint8Array {
  if (size > POOL / 4) return new Uint8Array(bytes.subarray(at, at + size));
  if (used + size > pool.byteLength) {
    pool = new ArrayBuffer(POOL);
    markAsUntransferable(pool);
    used = 0;
  }
  const copy = new Uint8Array(pool, used, size);
  copy.set(bytes.subarray(at, at + size));
  // The next one begins where a word does.
  used = (used + size + 7) & ~7;
  return copy;
}
