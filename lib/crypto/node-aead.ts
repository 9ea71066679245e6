// Key → ChaCha20-Poly1305 in Node (RFC 8439), by size: what a packet carries goes through chacha-poly.ts, larger messages through node:crypto,
// whose cost a call matters less there and whose code for long runs is faster. One memory serves all keys of the process: calls do not overlap.
// The module is tried against node:crypto before its first use; where WebAssembly or its SIMD is missing, node:crypto does all.
//
// Measured (Node 20.20, x64, microseconds of CPU a call, garbage collection included), this / node:crypto / @noble:
//   seal 64 octets 0.7 / 6.5 / 8.4    988 octets 1.9 / 8.6 / 15.7
//   open 64 octets 0.4 / 3.4 / 6.7    988 octets 2.0 / 4.2 / 14.3
// node:crypto is the faster one from about 6 KiB on.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { instantiate } from './assembler.js';
import { AT, chachaPolyModule, MOST_AAD, MOST_PLAIN } from './chacha-poly.js';
import { copyOut } from './pool.js';
import { checkKey, checkNonce, TAG_SIZE } from './sizes.js';
import type { Aead } from './suite.js';

export interface Module {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly seal: (size: number, aadSize: number) => number;
  /** Not 0: the tag is wrong. */
  readonly open: (size: number, aadSize: number) => number;
}

let found: Module | undefined;
let isTried = false;
/** Whose key lies in the module's memory. */
let holder: NodeAead | undefined;

export const nodeAead = (key: Uint8Array): Aead => new NodeAead(key, moduleOrNone());

/** Without a module: node:crypto for all sizes. */
export class NodeAead implements Aead {
  #key: Uint8Array | undefined;
  readonly #words: Uint32Array;
  readonly #module: Module | undefined;

  constructor(key: Uint8Array, use: Module | undefined) {
    checkKey(key);
    this.#key = Uint8Array.from(key);
    this.#words = new Uint32Array(this.#key.buffer);
    this.#module = use;
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array {
    const size = plain.length;
    const use = this.#module;
    if (use === undefined || size > MOST_PLAIN || aad.length > MOST_AAD) {
      return sealWithNode(this.#usable(nonce), nonce, aad, plain);
    }
    this.#put(use, nonce, aad, plain);
    use.seal(size, aad.length);
    return copyOut(use.bytes, AT.data, size + TAG_SIZE);
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const size = sealed.length - TAG_SIZE;
    const use = this.#module;
    if (use === undefined || size > MOST_PLAIN || aad.length > MOST_AAD || size < 0) {
      return openWithNode(this.#usable(nonce), nonce, aad, sealed);
    }
    this.#put(use, nonce, aad, sealed);
    return use.open(size, aad.length) === 0 ? copyOut(use.bytes, AT.plain, size) : undefined;
  }

  erase(): void {
    this.#key?.fill(0);
    this.#key = undefined;
    if (holder !== this) return;
    // What it sealed or opened last goes too.
    this.#module?.bytes.fill(0);
    holder = undefined;
  }

  #usable(nonce: Uint8Array): Uint8Array {
    checkNonce(nonce);
    if (this.#key === undefined) throw new TypeError('this key was erased');
    return this.#key;
  }

  #put({ bytes, words }: Module, nonce: Uint8Array, aad: Uint8Array, input: Uint8Array): void {
    this.#usable(nonce);
    if (holder !== this) {
      words.set(this.#words, AT.key / 4);
      holder = this;
    }
    bytes.set(nonce, AT.nonce);
    words[AT.aad / 4] = words[AT.aad / 4 + 1] = words[AT.aad / 4 + 2] = words[AT.aad / 4 + 3] = 0;
    bytes.set(aad, AT.aad);
    bytes.set(input, AT.data);
  }
}

function sealWithNode(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_SIZE });
  cipher.setAAD(aad, { plaintextLength: plain.length });
  const sealed = new Uint8Array(plain.length + TAG_SIZE);
  sealed.set(cipher.update(plain));
  cipher.final();
  sealed.set(cipher.getAuthTag(), plain.length);
  return sealed;
}

function openWithNode(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const size = sealed.length - TAG_SIZE;
  if (size < 0) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_SIZE });
  decipher.setAAD(aad, { plaintextLength: size });
  decipher.setAuthTag(sealed.subarray(size));
  const plain = decipher.update(sealed.subarray(0, size));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
}

function moduleOrNone(): Module | undefined {
  if (!isTried) {
    isTried = true;
    found = openModule();
  }
  return found;
}

/** undefined: not to be had here, or not what it should be. */
function openModule(): Module | undefined {
  const instance = instantiate(chachaPolyModule());
  if (instance === undefined) return undefined;
  const module: Module = {
    bytes: new Uint8Array(instance.memory),
    words: new Uint32Array(instance.memory),
    seal: instance.routine('seal'),
    open: instance.routine('open'),
  };
  return isRight(module) ? module : undefined;
}

/** Some sizes on both sides of its boundaries, against node:crypto. */
function isRight(module: Module): boolean {
  const octets = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, (_, at) => (at * 167 + count) & 0xff);
  const key = octets(32);
  const aead = new NodeAead(key, module);
  const good = [0, 1, 192, 193, 988].every((size) => {
    const [nonce, aad, plain] = [octets(12), octets(size % MOST_AAD), octets(size)];
    const sealed = aead.seal(nonce, aad, plain);
    const expected = sealWithNode(key, nonce, aad, plain);
    const opened = aead.open(nonce, aad, expected);
    const forged = expected.slice();
    forged[size + TAG_SIZE - 1] = (forged[size + TAG_SIZE - 1] as number) ^ 0x80;
    const refused = aead.open(nonce, aad, forged) === undefined;
    return refused && isSame(sealed, expected) && opened !== undefined && isSame(opened, plain);
  });
  aead.erase();
  return good;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}
