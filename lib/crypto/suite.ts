// The primitives the packet layer is built from, behind one small interface, so that the same machines run in Node and in a page: node.ts
// and portable.ts give identical octets. Randomness is the suite's: a machine that is given a scripted suite is fully determined.
// PROTOCOL.md sections 3.2 to 3.4, 6.2 to 6.4. Peer input that is wrong gives undefined, never an exception.

/** A fresh P-256 key pair for one connection. */
export interface KeyPair {
  /** Uncompressed SEC1: 0x04, X, Y. */
  readonly publicKey: Uint8Array;
  /** The X coordinate of the shared point, 32 octets; undefined: the peer's key is not a point that may be used. */
  agree(peer: Uint8Array): Uint8Array | undefined;
  /** Best effort: forgets the private half. */
  erase(): void;
}

/** ChaCha20-Poly1305 under one key (RFC 8439): 12-octet nonces, a 16-octet tag behind the ciphertext. */
export interface Aead {
  seal(nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array;
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
  erase(): void;
}

export interface Suite {
  readonly name: 'node' | 'portable';
  random(size: number): Uint8Array;
  /** `scalar`: 32 octets, for vectors; fresh without it. */
  newPair(scalar?: Uint8Array): KeyPair;
  aead(key: Uint8Array): Aead;
  sha256(bytes: Uint8Array): Uint8Array;
  hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** HKDF-SHA256 (RFC 5869). */
  extract(salt: Uint8Array, material: Uint8Array): Uint8Array;
  expand(key: Uint8Array, info: Uint8Array, size: number): Uint8Array;
  /** In a time that does not depend on where they differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** CRC-32/ISO-HDLC over all parts, unsigned. */
  crc32(...parts: readonly Uint8Array[]): number;
  /** One complete raw DEFLATE stream. */
  deflate(bytes: Uint8Array): Uint8Array;
  /** The stream's content; undefined when it is broken, cut, followed by anything, or longer than `limit`. */
  inflate(bytes: Uint8Array, limit: number): Uint8Array | undefined;
  /** ECDSA on P-256 with SHA-256, DER signature, by a 65-octet public key: for pinned keys. */
  verifyP256(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}
