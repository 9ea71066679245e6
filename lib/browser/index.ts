// The public door for pages, and for any runtime with the WebSocket of browsers: packet sessions as `connect(url, { packets })` of the main
// door gives them, with portable cryptography. Nothing of Node is reached from here; only packages that run in a page are.
import type { Session } from '../link/session.js';
import { type Paced, Traveller } from '../link/traveller.js';
import { type PageSessionOptions, resolve } from './options.js';
import { after, now, PagePace, random } from './page.js';
import { dial } from './way.js';

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
  const { settings, reconnect, timeout } = resolve(options);
  const road = {
    dial: (signal: AbortSignal) => dial(String(url), timeout, signal),
    now,
    after,
    random,
    pace: (paced: Paced) => new PagePace(paced),
  };
  return new Traveller(road, settings, reconnect).begin(options.signal);
};
