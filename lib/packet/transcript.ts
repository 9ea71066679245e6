// What both ends have said so far, as one hash: the byte strings of a handshake in their order, each with its length before it, so that no
// two different conversations have the same input. Knows no packet and no key. PROTOCOL.md section 6.3.
import type { Suite } from '../crypto/suite.js';

/** "wsd/0" and a zero octet: a hash made here is never one of another protocol or version. */
const DOMAIN = Uint8Array.of(0x77, 0x73, 0x64, 0x2f, 0x30, 0x00);

/** TH(x1, …, xk) = SHA-256("wsd/0" 00 ‖ Σ uint32_be(len xi) ‖ xi). */
export function transcriptHash(suite: Suite, ...parts: readonly Uint8Array[]): Uint8Array {
  const input = new Uint8Array(parts.reduce((size, part) => size + 4 + part.length, DOMAIN.length));
  const view = new DataView(input.buffer);
  input.set(DOMAIN);
  let at = DOMAIN.length;
  for (const part of parts) {
    view.setUint32(at, part.length);
    input.set(part, at + 4);
    at += 4 + part.length;
  }
  return suite.sha256(input);
}
