// What Node and a page have in common of the options of sessions: the subprotocol, the prologue, the largest packet, and what may not be left
// out. Needs nothing of Node.
import { SESSION_LIMITS } from '../packet/settings.js';

/** The subprotocol whose messages are packets with opaque data (PROTOCOL.md section 1). */
export const PACKET_PROTOCOL = 'v0.packet.wsd';

/** The largest packet: AUTH with the largest certificate (PROTOCOL.md section 10). */
export const LARGEST_PACKET: number = 6 + 2 + 65 + 2 + SESSION_LIMITS.maxCertificate;

/** PROTOCOL.md section 6.3: the negotiated subprotocol, and what the embedder adds behind a zero octet. */
export const prologueOf = (
  context: string | Uint8Array | undefined,
  protocol: string = PACKET_PROTOCOL,
): Uint8Array => {
  const encoder = new TextEncoder();
  if (context === undefined) return encoder.encode(protocol);
  const name = encoder.encode(`${protocol}\0`);
  const more = typeof context === 'string' ? encoder.encode(context) : context;
  const prologue = new Uint8Array(name.length + more.length);
  prologue.set(name);
  prologue.set(more, name.length);
  return prologue;
};

/** In mode none nobody shows anything, and nothing is agreed on: whoever gives one of these believes to be safe. */
export const refuseInClear = (mode: 'required' | 'none', options: Readonly<Record<string, unknown>>): void => {
  if (mode === 'required') return;
  const idle = IDLE.find((name) => {
    const value = options[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== 'none';
  });
  if (idle !== undefined) throw new TypeError(`packets: mode 'none' has no handshake: ${idle} would do nothing`);
};

const IDLE = ['certificate', 'key', 'passphrase', 'pins', 'anchors', 'name', 'clientCertificate', 'context'];

/** A client that does not say whom it means is told so at the call. */
export const refuseTrustless = (): never => {
  throw new TypeError(
    'packets: say which server is meant, by pins or anchors; or anonymous: true, which stops listeners but nobody in between',
  );
};
