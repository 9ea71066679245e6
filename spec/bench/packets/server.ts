// The server of a case: plain messages or sessions, with TLS or without; sends back what it gets, but drops what starts with S.
// SERVICE and CREDENTIALS come from the environment, in JSON. Answers `usage` and `tally`.

import type { Session } from '../../../lib/link/session.js';
import type { ServerPacketOptions } from '../../../lib/options/packets-types.js';
import { createServer } from '../../../lib/server/server.js';
import type { Connection } from '../../../lib/websocket/connection.js';
import type { Message } from '../../../lib/websocket/inbox.js';
import { answer, say } from '../lines.js';
import { usage } from '../usage.js';
import type { Service } from './cases.js';
import type { Credentials } from './credentials.js';

/** What the server saw; of sessions the counters of lib/packet say more. */
export interface Tally {
  readonly received: number;
  readonly sent: number;
  readonly failures: number;
  readonly counters: Readonly<Record<string, number>>;
}

const { layer, secure, certificates } = JSON.parse(process.env['SERVICE'] ?? '{}') as Service;
const { server: own, client } = JSON.parse(process.env['CREDENTIALS'] ?? '{}') as Credentials;

const packetsOf = (): ServerPacketOptions => {
  if (layer === 'clear') return { mode: 'none' };
  const identity = certificates === 'none' ? {} : { certificate: own.certificate, key: own.key };
  return certificates === 'both'
    ? { ...identity, clientCertificate: 'required', pins: [client.fingerprint] }
    : identity;
};

const DROPPED = 0x53;
let received = 0;
let sent = 0;
let failures = 0;

/** One for all: a listener is called with its connection as `this`. */
function onMessage(this: Connection, data: Message): void {
  received++;
  if (data[0] === DROPPED) return;
  sent++;
  this.send(data, { binary: true });
}

function onSessionMessage(this: Session, data: Uint8Array, { reliable }: { readonly reliable: boolean }): void {
  received++;
  if (data[0] === DROPPED) return;
  sent++;
  if (this.send(data, { reliable, transfer: true }).status !== 'ok') failures++;
}

// The fastest way to echo plain messages, so that nothing is compared with a slow one.
const server = createServer({ lend: true, text: 'bytes', ...(layer === 'messages' ? {} : { packets: packetsOf() }) });
if (layer === 'messages') server.on('connection', (connection) => void connection.on('message', onMessage));
server.on('session', (session) => void session.on('message', onSessionMessage).on('error', () => void failures++));
server.on('refusedSession', () => void failures++);

const tls = secure ? { tls: { cert: own.certificate, key: own.key } } : {};
const { url } = await server.listen({ port: 0, host: '127.0.0.1', ...tls });
const tally = (): Tally => ({
  received,
  sent,
  failures,
  counters: layer === 'messages' ? {} : { ...server.packetCounters() },
});
answer({ usage, tally });
say(url);
