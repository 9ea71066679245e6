// The road of a packet session in Node: how it dials, waits and draws. What it does with its connections is in lib/link/traveller.ts.
// lib/packet/PROTOCOL.md sections 1 and 5.5.
import { randomFraction } from '../crypto/entropy.js';
import { copyOut } from '../crypto/pool.js';
import { WsdError } from '../fault.js';
import { CARRYING, ConnectionCarrier, carry, isChoked } from '../link/carrier.js';
import type { Session } from '../link/session.js';
import { clientSettings, PACKET_PROTOCOL } from '../link/settings.js';
import { type Paced, Traveller, type Way } from '../link/traveller.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import { after } from '../net/wait.js';
import type { ClientPackets } from '../options/packets-types.js';
import type { ClientRest, Resolved } from '../options/types.js';
import type { Connection } from '../websocket/connection.js';
import { parseDestination } from './destination.js';
import { open } from './open.js';

/** `protocol`: what the packets carry. Rejects with a WsdError when the session cannot be opened, or with a TypeError for options that are wrong. */
export const openSession = async (
  url: string | URL,
  options: Resolved<ClientRest>,
  packets: ClientPackets,
  protocol: string = PACKET_PROTOCOL,
): Promise<Session> => {
  const at = parseDestination(url);
  if ('kind' in at) throw new WsdError(at.code, at.detail);
  const carrying = carryingOf(options, protocol);
  const road = {
    dial: async (signal: AbortSignal) => {
      const { connection } = await open(url, { ...carrying, rest: { ...carrying.rest, signal } });
      if (connection.subprotocol !== protocol) {
        connection.terminate();
        throw new WsdError('WSD_DIAL_PROTOCOL', `the server does not speak ${protocol}`);
      }
      return wayOf(connection);
    },
    now,
    after,
    random: randomFraction,
    keep: (data: Uint8Array) => copyOut(data, 0, data.length),
    pace: (paced: Paced) => new Pacer(paced),
  };
  const settings = clientSettings(packets, at.uri.host, wall, protocol);
  return new Traveller(road, settings, packets.reconnect).begin(options.rest.signal);
};

const carryingOf = ({ settings, rest }: Resolved<ClientRest>, protocol: string): Resolved<ClientRest> => ({
  settings: { ...settings, ...CARRYING },
  deflate: undefined,
  rest: { ...rest, subprotocols: [protocol], packets: undefined },
});

const wayOf = (connection: Connection<undefined>): Way => ({
  carrier: new ConnectionCarrier(connection),
  connection,
  choked: () => isChoked(connection),
  carry: (leg, moved, drained) => {
    carry(connection, leg, now, moved);
    connection.on('drain', drained);
  },
});
