// Text → digest, and the comparison of two secrets. The opening handshake needs SHA-1 only as a fingerprint that a server
// understood the request (RFC 6455 section 1.3); nothing here relies on its strength.

import { hash, timingSafeEqual } from 'node:crypto';

export const sha1Base64 = (text: string): string => hash('sha1', text, 'base64');

/**
 * Whether two secrets are equal, in a time that tells neither where they differ nor how long the right one is: both are
 * hashed to a fixed length first.
 */
export const equalDigest = (a: string, b: string): boolean =>
  timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'));

/** Whether bytes are equal, in a time that does not tell where they differ. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
