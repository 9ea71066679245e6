// Options of an embedder → what the machines of lib/packet are told: keys and certificates read, trust set up, limits filled in. Mistakes throw
// here, at the call that makes them, and no text of theirs holds a secret.
import diagnostics from 'node:diagnostics_channel';
import { loadOwn } from '../crypto/certificate.js';
import type { Own, PeerJudge } from '../crypto/identity.js';
import { createJudge } from '../crypto/judge.js';
import { nodeSuite } from '../crypto/node.js';
import { createPinJudge, type Pin } from '../crypto/pins.js';
import { portableSuite } from '../crypto/portable.js';
import type { Suite } from '../crypto/suite.js';
import type { ClientPackets, PacketLayerOptions, ServerPackets } from '../options/packets-types.js';
import { SESSION_LIMITS, type SessionSettings, type Trace } from '../packet/settings.js';
import { PACKET_PROTOCOL, prologueOf, refuseInClear, refuseTrustless } from './protocol.js';

export { LARGEST_PACKET, PACKET_PROTOCOL } from './protocol.js';

/** Every packet, as `{ direction, packet, session }`; costs nothing while nobody subscribes. */
const channel = diagnostics.channel('wsd:packet');

const trace: Trace = (direction, packet, session) => {
  if (channel.hasSubscribers) channel.publish({ direction, packet: Uint8Array.from(packet), session });
};

const ownOf = ({ certificate, key, passphrase }: PacketLayerOptions): Own | undefined => {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined)
    throw new TypeError('packets: certificate and key belong together');
  return loadOwn({ certificate, key, ...(passphrase === undefined ? {} : { passphrase }) });
};

type Trust = Pick<ServerPackets, 'pins' | 'anchors' | 'crypto'>;

const judgeOf = (trust: Trust, suite: Suite, peer: 'server' | 'client', name?: string): PeerJudge | undefined => {
  const { pins, anchors } = trust;
  if (pins.length === 0 && anchors.length === 0) return undefined;
  const full = pins.filter((pin): pin is Pin => typeof pin !== 'string');
  if (trust.crypto === 'portable') {
    if (anchors.length > 0 || full.length < pins.length) {
      throw new TypeError('packets: portable crypto reads no certificates: give pins of the form {sha256, publicKey}');
    }
    return createPinJudge(suite, full);
  }
  const hashes = pins.map((pin) => (typeof pin === 'string' ? pin : pin.sha256));
  return createJudge({ peer, pins: hashes, anchors, ...(peer === 'server' && name !== undefined ? { name } : {}) });
};

const settingsOf = (
  options: ServerPackets | Omit<ClientPackets, 'reconnect'>,
  peer: 'server' | 'client',
  wall: () => number,
  protocol: string,
  name?: string,
): SessionSettings => {
  refuseInClear(options.mode, { ...options });
  const suite = options.crypto === 'portable' ? portableSuite : nodeSuite;
  const own = ownOf(options);
  const judge = judgeOf(options, suite, peer, name);
  return {
    ...SESSION_LIMITS,
    suite,
    mode: options.mode,
    prologue: prologueOf(options.context, protocol),
    maxMessage: options.maxMessage,
    heartbeat: options.heartbeat,
    heartbeatTimeout: options.heartbeatTimeout,
    handshakeTimeout: options.handshakeTimeout,
    maxUnacked: options.maxUnacked,
    maxUnackedBytes: options.maxUnackedBytes,
    ...(own === undefined ? {} : { own }),
    ...(judge === undefined ? {} : { judge }),
    wall,
    trace,
  };
};

/** Of the sessions of one server, for one of the subprotocols of packets. */
export const serverSettings = (
  options: ServerPackets,
  wall: () => number,
  protocol: string = PACKET_PROTOCOL,
): SessionSettings => {
  const settings = settingsOf(options, 'client', wall, protocol);
  if (options.clientCertificate !== 'none' && settings.judge === undefined) {
    throw new TypeError('packets: clientCertificate needs pins or anchors that say which certificates are trusted');
  }
  if (options.clientCertificate === 'none' && settings.judge !== undefined) {
    throw new TypeError(
      "packets: pins and anchors trust certificates: clientCertificate must be 'required' or 'optional'",
    );
  }
  return settings;
};

/** Of one session of a client; `host`: of the URL. */
export const clientSettings = (
  options: ClientPackets,
  host: string,
  wall: () => number,
  protocol: string = PACKET_PROTOCOL,
): SessionSettings => {
  const settings = settingsOf(options, 'server', wall, protocol, options.name ?? host);
  const { mode, anonymous, name, anchors } = options;
  // A pin is one certificate, whatever it is named.
  if (name !== undefined && anchors.length === 0) throw new TypeError('packets: name goes with anchors');
  if (mode === 'required' && settings.judge === undefined && !anonymous) refuseTrustless();
  return anonymous && settings.judge === undefined ? { ...settings, anonymous } : settings;
};
