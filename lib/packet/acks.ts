// Acknowledgements, both halves. What we owe: accepted RELIABLE numbers that no ACK has covered yet, and until when one must (section 5.3:
// many packets, one ACK). What an ACK says: its 16-bit ID and its bits, read against what we have sent. Knows no packet and no key.
// PROTOCOL.md section 5.3.
import { nearest } from './number.js';
import type { NumberWindow } from './window.js';

/** How many numbers below its ID an ACK can tell of. */
export const ACK_REACH = 16;

export class AckDebts {
  /** When the first of them must be covered; Infinity: nothing is owed. */
  due: number = Number.POSITIVE_INFINITY;
  #owed: number[] = [];
  #oldest = Number.POSITIVE_INFINITY;

  owe(number: number, now: number, delay: number): void {
    this.#owed.push(number);
    if (number < this.#oldest) this.#oldest = number;
    if (now + delay < this.due) this.due = now + delay;
  }

  /** Whether waiting any longer could take the oldest out of an ACK's reach. */
  isUrgent(next: number): boolean {
    return next - 1 - this.#oldest >= ACK_REACH;
  }

  /**
   * As many ACKs as it takes, newest first. `send` says false when no number may be used now: the debts stay, without a date, until
   * somebody asks again.
   */
  pay(accepted: NumberWindow, send: (id: number, bits: number) => boolean): void {
    const owed = this.#owed.sort((a, b) => b - a);
    let at = 0;
    while (at < owed.length) {
      const id = owed[at] as number;
      if (!send(id, accepted.ackBits(id))) break;
      while (at < owed.length && (owed[at] as number) >= id - ACK_REACH) at += 1;
    }
    this.#owed = owed.slice(at);
    this.#oldest = this.#owed.at(-1) ?? Number.POSITIVE_INFINITY;
    this.due = Number.POSITIVE_INFINITY;
  }

  /** They could not be paid, and perhaps can now. */
  get stuck(): boolean {
    return this.#owed.length > 0 && this.due === Number.POSITIVE_INFINITY;
  }

  clear(): void {
    this.#owed = [];
    this.#oldest = Number.POSITIVE_INFINITY;
    this.due = Number.POSITIVE_INFINITY;
  }
}

/**
 * Calls `acknowledged` for every number an ACK covers, ascending. False: it covers a number that was never sent, and nothing was
 * called. `next`: the number we would use next.
 */
export const readAck = (id: number, bits: number, next: number, acknowledged: (number: number) => void): boolean => {
  const newest = nearest(id, next);
  if (newest >= next) return false;
  const oldest = bits === 0 ? newest : newest - ACK_REACH + trailingZeros(bits);
  if (oldest < 0) return false;
  for (let i = ACK_REACH; i >= 1; i -= 1) if ((bits & (1 << (ACK_REACH - i))) !== 0) acknowledged(newest - i);
  acknowledged(newest);
  return true;
};

const trailingZeros = (bits: number): number => 31 - Math.clz32(bits & -bits);
