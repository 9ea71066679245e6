// Bytes → is this UTF-8? Whole, or judged while it arrives in pieces. Knows no protocol and makes no strings.
// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. The verdict falls at the first octet that no valid text
// can have at its place, which RFC 6455 section 8.1 allows and which tells a peer early that its text is bad.
import { isUtf8 as isUtf8Whole } from 'node:buffer';

export const isUtf8 = (bytes: Uint8Array): boolean => isUtf8Whole(bytes);

/** Octets a lead octet announces after it; -1 for one that can never lead. */
const following = (lead: number): number => {
  if (lead < 0x80) return 0;
  if (lead < 0xc2) return -1; // continuation octets, and C0/C1 which could only be overlong
  if (lead < 0xe0) return 1;
  if (lead < 0xf0) return 2;
  return lead < 0xf5 ? 3 : -1;
};

/** The range of the octet right after a lead: this is where overlong forms, surrogates and U+110000 upwards are cut off. */
const secondLow = (lead: number): number => (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80);
const secondHigh = (lead: number): number => (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf);

/** UTF-8 judged piece by piece; a sequence may be cut anywhere. */
export class Utf8Check {
  #missing = 0; // octets still due in the open sequence
  #low = 0x80; // range of the next octet of the open sequence
  #high = 0xbf;

  /** False as soon as the text is provably bad; after that the check is of no use until `reset`. */
  push(bytes: Uint8Array): boolean {
    let at = 0;
    while (this.#missing > 0) {
      if (at === bytes.length) return true;
      if (!this.#continue(bytes[at++] as number)) return false;
    }
    // The middle goes to the engine's own vectorised check; only a sequence cut off at the end is looked at by hand.
    const tail = tailStart(bytes, at);
    if (tail > at && !isUtf8Whole(at === 0 && tail === bytes.length ? bytes : bytes.subarray(at, tail))) return false;
    if (tail < bytes.length) {
      const lead = bytes[tail] as number;
      this.#missing = following(lead);
      this.#low = secondLow(lead);
      this.#high = secondHigh(lead);
      for (let i = tail + 1; i < bytes.length; i++) if (!this.#continue(bytes[i] as number)) return false;
    }
    return true;
  }

  /** True when no sequence is open. */
  finish(): boolean {
    return this.#missing === 0;
  }

  reset(): void {
    this.#missing = 0;
  }

  /** Another one at the same place of the same text: to judge bytes that may yet be refused. */
  fork(): Utf8Check {
    const fork = new Utf8Check();
    fork.#missing = this.#missing;
    fork.#low = this.#low;
    fork.#high = this.#high;
    return fork;
  }

  #continue(octet: number): boolean {
    if (octet < this.#low || octet > this.#high) return false;
    this.#missing--;
    this.#low = 0x80;
    this.#high = 0xbf;
    return true;
  }
}

/** Where an unfinished but so far possible sequence at the end begins; bytes.length when there is none. */
const tailStart = (bytes: Uint8Array, from: number): number => {
  for (let back = 1; back <= 3 && bytes.length - back >= from; back++) {
    const octet = bytes[bytes.length - back] as number;
    if (octet < 0x80) return bytes.length;
    if (octet >= 0xc0) return following(octet) >= back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
};
