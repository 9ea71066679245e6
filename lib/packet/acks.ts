// Acknowledgements, both halves. What we owe: accepted RELIABLE numbers that no ACK has covered yet, and until when one must (section 5.3:
// many packets, one ACK), and how far apart they may be (5.1). What an ACK says: its 16-bit ID and its bits, read against what we have
// sent. Knows no packet and no key. PROTOCOL.md section 5.3.
import { RESERVE } from './ledger.js';
import { nearest } from './number.js';
import { type NumberWindow, WINDOW } from './window.js';

/** How many numbers below its ID an ACK can tell of. */
export const ACK_REACH = 16;

export class AckDebts {
  /** When the first of them must be covered; Infinity: nothing is owed, or nothing can be paid. */
  due: number = Number.POSITIVE_INFINITY;
  /** Ascending. */
  readonly #owed: number[] = [];
  /** There was no number for an ACK, and there is none before the peer has acknowledged something. */
  #stuck = false;

  /**
   * False: the peer has used this number while another one, too far away, waited for its ACK (section 5.1). Honest peers of a stream never
   * do, since whatever is owed here is unacknowledged there.
   */
  owe(number: number, now: number, delay: number): boolean {
    const owed = this.#owed;
    let at = owed.length;
    while (at > 0 && (owed[at - 1] as number) > number) at -= 1;
    if (owed[at - 1] !== number) owed.splice(at, 0, number);
    // What is older than the window remembers can be told in no ACK.
    if (owed.length > WINDOW) owed.shift();
    if (!this.#stuck && now + delay < this.due) this.due = now + delay;
    return (owed.at(-1) as number) - (owed[0] as number) < RESERVE.message;
  }

  /** Whether waiting any longer could take the oldest out of an ACK's reach. */
  isUrgent(next: number): boolean {
    const [oldest] = this.#owed;
    return oldest !== undefined && !this.#stuck && next - 1 - oldest >= ACK_REACH;
  }

  /**
   * As many ACKs as it takes, newest first. `send` says false when no number may be used now: the debts stay, without a date, until
   * somebody asks again.
   */
  pay(accepted: NumberWindow, send: (id: number, bits: number) => boolean): void {
    const owed = this.#owed;
    let left = owed.length;
    while (left > 0) {
      const id = owed[left - 1] as number;
      if (!send(id, accepted.ackBits(id))) break;
      while (left > 0 && (owed[left - 1] as number) >= id - ACK_REACH) left -= 1;
    }
    // Sending may have cost the connection, and with it all debts.
    if (left < owed.length) owed.length = left;
    this.#stuck = owed.length > 0;
    this.due = Number.POSITIVE_INFINITY;
  }

  /** They could not be paid, and perhaps can now. */
  get stuck(): boolean {
    return this.#stuck;
  }

  clear(): void {
    this.#owed.length = 0;
    this.#stuck = false;
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
