// The public door for pages, and for any runtime with the WebSocket of browsers: packet sessions as `connect(url, { packets })` of the main
// door gives them, with portable cryptography. Nothing of Node is reached from here; only packages that run in a page are.
import { PACKET_PROTOCOL } from '../link/protocol.js';
import type { Session } from '../link/session.js';
import type { PageSessionOptions } from './options.js';
import { openSession } from './session.js';

export type { CertificateInfo } from '../crypto/identity.js';
export type { Pin } from '../crypto/pins.js';
export { type FaultCode, WsdError } from '../fault.js';
export type { Delivery, Fate } from '../link/delivery.js';
export type { Session } from '../link/session.js';
export type {
  PacketMessage,
  PacketOptions,
  SessionBreak,
  SessionEvents,
  SessionOutcome,
  UndeliveredMessage,
} from '../link/session-events.js';
export type { Reconnect } from '../packet/reconnect.js';
export type { PageSessionOptions } from './options.js';

/**
 * Opens a session with a server of packets; resolves once it is open. It finds its way back by itself when its connection is lost. Rejects
 * with a WsdError when it cannot be opened, or with a TypeError for options that are wrong.
 */
export const connectSession = async (url: string | URL, options: PageSessionOptions): Promise<Session> => {
  if (typeof options !== 'object' || options === null) throw new TypeError('connectSession: options are needed');
  return openSession(url, options, PACKET_PROTOCOL);
};
