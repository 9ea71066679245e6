// Who we are and who the peer is, as the handshake sees it: two octet strings, a signature, a judgement. The handshake knows neither X.509
// nor key formats: certificate.ts (Node) and pins.ts (portable) turn those into these shapes. PROTOCOL.md sections 6.5 and 6.6.

/** Signature schemes of CERT_VERIFY (section 6.5), numbered as in TLS 1.3 (RFC 8446 section 4.2.3). */
export const SCHEME = {
  ecdsaP256Sha256: 0x0403,
  rsaPssSha256: 0x0804,
  ed25519: 0x0807,
} as const;

/** Our certificate and what its private key can do. */
export interface Own {
  /** DER, the leaf only: what the AUTH packet carries. */
  readonly certificate: Uint8Array;
  /** The one scheme that fits the key. */
  readonly scheme: number;
  /** By the private key, over the message itself: hashing is the scheme's. */
  sign(message: Uint8Array): Uint8Array;
}

/** What a certificate says about its holder; without a parser for X.509 only the fingerprint is known. */
export interface CertificateInfo {
  /** SHA-256 of the DER in lower-case hexadecimal: the pin. */
  readonly fingerprint: string;
  /** One attribute a line, `CN=…`. */
  readonly subject?: string;
  readonly issuer?: string;
  readonly serialNumber?: string;
  /** Milliseconds since 1970. */
  readonly validFrom?: number;
  readonly validTo?: number;
  /** The DNS names, and the addresses, of the alternative names. */
  readonly names?: readonly string[];
}

/** A certificate that was judged good. It proves nothing until `verify` has said yes to the peer's CERT_VERIFY. */
export interface Verified {
  readonly fingerprint: string;
  readonly certificate: CertificateInfo;
  /** False as well for a scheme that does not fit the key, and for octets that are no signature; never throws. */
  verify(scheme: number, message: Uint8Array, signature: Uint8Array): boolean;
}

/** Decides whether a peer's certificate is acceptable (section 6.6). */
export interface PeerJudge {
  /** `now`: wall clock, milliseconds since 1970. A string is the reason for the refusal, for our own log; never throws. */
  judge(der: Uint8Array, now: number): Verified | string;
}
