// One direction's seal: packet numbers become nonces, Data becomes ciphertext and back. The nonce is the direction's iv XOR the number, so a
// number must never seal two plaintexts: that is the caller's promise, kept by counting. Also the checksum, which hides inside the seal
// when there is one. Knows no state and no window. PROTOCOL.md sections 3.2 and 3.4.
import type { Suite } from '../crypto/suite.js';
import { sequenceOf } from './number.js';
import { copyOf } from './octets.js';
import { FLAG, TAG } from './wire.js';
import { writeAad, writeChecked } from './write.js';

/** What the seal and the checksum cover of a packet besides its Data. */
export interface Head {
  readonly type: number;
  readonly flags: number;
  readonly number: number;
  readonly tsf: Uint8Array;
}

export class Protector {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly #aead: ReturnType<Suite['aead']>;
  // Made once: a packet's nonce is done with when the call returns.
  readonly #nonce: Uint8Array;
  readonly #view: DataView;
  readonly #high: number;
  readonly #low: number;
  #erased = false;

  /** Takes copies: the caller may erase its own. */
  constructor(suite: Suite, key: Uint8Array, iv: Uint8Array) {
    if (key.length !== 32 || iv.length !== 12) throw new RangeError('a key of 32 and an iv of 12 octets');
    this.key = copyOf(key);
    this.iv = copyOf(iv);
    this.#aead = suite.aead(this.key);
    this.#nonce = copyOf(iv);
    this.#view = new DataView(this.#nonce.buffer);
    this.#high = this.#view.getUint32(4);
    this.#low = this.#view.getUint32(8);
  }

  /** Ciphertext ‖ tag. */
  seal(number: number, aad: Uint8Array, plain: Uint8Array): Uint8Array {
    if (this.#erased) throw new TypeError('sealing with keys that were erased');
    return this.#aead.seal(this.#nonceOf(number), aad, plain);
  }

  /** Undefined when one bit of the number, `aad` or `sealed` is not what was sealed. */
  open(number: number, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (this.#erased || sealed.length < TAG) return undefined;
    return this.#aead.open(this.#nonceOf(number), aad, sealed);
  }

  /** Best effort: the keys are gone, nothing can be sealed or opened any more. */
  erase(): void {
    this.#erased = true;
    this.#aead.erase();
    this.key.fill(0);
    this.iv.fill(0);
    this.#nonce.fill(0);
  }

  /** Section 3.4: iv XOR (00000000 ‖ uint64_be(N)). */
  #nonceOf(number: number): Uint8Array {
    this.#view.setUint32(4, this.#high ^ Math.floor(number / 2 ** 32));
    this.#view.setUint32(8, this.#low ^ number);
    return this.#nonce;
  }
}

/** Section 3.2: the low 16 bits of the CRC-32 over header, type-specific fields and the original Data. */
export function checksumOf(suite: Suite, head: Head, body: Uint8Array): number {
  return suite.crc32(writeChecked(head.type, head.flags, sequenceOf(head.number), head.tsf), body) & 0xffff;
}

/** What the Checksum Hash field (0 without CHECKSUM) and Data of a sealed packet are; `checksum` is left alone without CHECKSUM. */
export function sealBody(
  protector: Protector,
  head: Head,
  checksum: number,
  body: Uint8Array,
): { readonly checksum: number; readonly data: Uint8Array } {
  const aad = writeAad(head.type, head.flags, head.number, head.tsf);
  if ((head.flags & FLAG.checksum) === 0) return { checksum: 0, data: protector.seal(head.number, aad, body) };
  // Section 3.2: a checksum in clear would confirm guesses, so it goes first into the seal and the field shows ciphertext.
  const plain = new Uint8Array(2 + body.length);
  plain[0] = checksum >>> 8;
  plain[1] = checksum;
  plain.set(body, 2);
  const sealed = protector.seal(head.number, aad, plain);
  return { checksum: ((sealed[0] as number) << 8) | (sealed[1] as number), data: sealed.subarray(2) };
}

/** The other way round; undefined when the tag is wrong. `checksum` of the result is what the sender computed (0 without CHECKSUM). */
export function openBody(
  protector: Protector,
  head: Head,
  checksum: number,
  data: Uint8Array,
): { readonly checksum: number; readonly body: Uint8Array } | undefined {
  const aad = writeAad(head.type, head.flags, head.number, head.tsf);
  if ((head.flags & FLAG.checksum) === 0) {
    const body = protector.open(head.number, aad, data);
    return body === undefined ? undefined : { checksum: 0, body };
  }
  // The tag stands in Data alone (section 3.4), so Data below its size is none.
  if (data.length < TAG) return undefined;
  const sealed = new Uint8Array(2 + data.length);
  sealed[0] = checksum >>> 8;
  sealed[1] = checksum;
  sealed.set(data, 2);
  const plain = protector.open(head.number, aad, sealed);
  if (plain === undefined) return undefined;
  return { checksum: ((plain[0] as number) << 8) | (plain[1] as number), body: plain.subarray(2) };
}
