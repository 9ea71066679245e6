// The handshakes of a session and of a registry, made from their settings: which of our settings a handshake is told, and what it may offer.
// PROTOCOL.md sections 5.5 and 6.

import type { HandshakeSettings, ResumeOffer, SessionsPort } from './handshake.js';
import { ClientHandshake } from './handshake-client.js';
import { ServerHandshake } from './handshake-server.js';
import type { SessionSettings } from './settings.js';

type Profile = 'stream' | 'datagram';

const settingsOf = (settings: SessionSettings, profile: Profile): HandshakeSettings => {
  const { prologue, maxMessage, heartbeat, ackDelay, handshakeTimeout, maxCertificate } = settings;
  return { prologue, params: { maxMessage, heartbeat, ackDelay }, timeout: handshakeTimeout, maxCertificate, profile };
};

export const newClientHandshake = (
  settings: SessionSettings,
  profile: Profile,
  resume: ResumeOffer | undefined,
): ClientHandshake => {
  const { suite, own, judge, anonymous } = settings;
  return new ClientHandshake(suite, settingsOf(settings, profile), {
    anonymous: anonymous === true,
    ...(own !== undefined && { own }),
    ...(judge !== undefined && { judge }),
    ...(resume !== undefined && { resume }),
  });
};

export const newServerHandshake = (
  settings: SessionSettings,
  profile: Profile,
  clientCertificate: 'none' | 'optional' | 'required',
  sessions: SessionsPort,
): ServerHandshake => {
  const { suite, own, judge } = settings;
  return new ServerHandshake(suite, settingsOf(settings, profile), {
    clientCertificate,
    sessions,
    ...(own !== undefined && { own }),
    ...(judge !== undefined && { judge }),
  });
};
