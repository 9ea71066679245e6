// The suite of a page, or of any runtime with JavaScript and `crypto.getRandomValues`: no module of Node, no Buffer, no WebAssembly, no
// crypto.subtle (which is asynchronous, and missing on insecure origins). Slower than node.ts and octet for octet the same.
// PROTOCOL.md sections 3.2 to 3.4, 6.2 to 6.4.

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { portableCrc32 } from './portable-crc32.js';
import { portableDeflate, portableInflate } from './portable-deflate.js';
import { PortablePair, verifyDigest } from './portable-p256.js';
import { checkExpand, checkKey, checkNonce, isScalar, TAG_SIZE } from './sizes.js';
import type { Aead, Suite } from './suite.js';

class PortableAead implements Aead {
  #key: Uint8Array | undefined;

  constructor(key: Uint8Array) {
    checkKey(key);
    this.#key = Uint8Array.from(key);
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array {
    return chacha20poly1305(this.#usable(nonce), nonce, aad).encrypt(plain);
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const cipher = chacha20poly1305(this.#usable(nonce), nonce, aad);
    if (sealed.length < TAG_SIZE) return undefined;
    try {
      return cipher.decrypt(sealed);
    } catch {
      return undefined;
    }
  }

  erase(): void {
    this.#key?.fill(0);
    this.#key = undefined;
  }

  #usable(nonce: Uint8Array): Uint8Array {
    checkNonce(nonce);
    if (this.#key === undefined) throw new TypeError('this key was erased');
    return this.#key;
  }
}

/** What the Web Crypto API gives in one call. */
const MOST_RANDOM = 65_536;

const random = (size: number): Uint8Array => {
  const out = new Uint8Array(size);
  for (let at = 0; at < size; at += MOST_RANDOM) crypto.getRandomValues(out.subarray(at, at + MOST_RANDOM));
  return out;
};

/** FIPS 186-5 appendix A.2.2: what is no private key (one in 2^32) is thrown away. */
const randomScalar = (): Uint8Array => {
  for (;;) {
    const scalar = random(32);
    if (isScalar(scalar)) return scalar;
  }
};

const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= (a[at] as number) ^ (b[at] as number);
  return difference === 0;
};

export const portableSuite: Suite = {
  name: 'portable',
  random,
  newPair: (scalar = randomScalar()) => new PortablePair(scalar),
  aead: (key) => new PortableAead(key),
  sha256: (bytes) => sha256(bytes),
  hmac: (key, bytes) => hmac(sha256, key, bytes),
  extract: (salt, material) => extract(sha256, material, salt),
  expand: (key, info, size) => {
    checkExpand(key, size);
    return expand(sha256, key, info, size);
  },
  equal,
  crc32: (...parts) => portableCrc32(parts),
  deflate: portableDeflate,
  inflate: portableInflate,
  verifyP256: (publicKey, message, signature) => verifyDigest(publicKey, sha256(message), signature),
};
