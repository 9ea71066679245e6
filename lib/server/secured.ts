// TLS around sockets that were admitted as they are: a tls.Server that listens nowhere and is handed each socket, so that what it knows of
// client certificates, session tickets and renewal holds, while admission and a PROXY header come before any cryptography.
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Admitted } from './admitted.js';

export interface Secured {
  take(raw: Socket, admitted: Admitted): void;
  /** Another certificate, for those who come from now on. */
  renew(tls: SecureContextOptions): void;
}

/** Node keeps the socket below under this name; where it does not, the pair of addresses tells which it is. */
interface Layered extends TLSSocket {
  readonly _parent?: Socket;
}

const addressesOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`;

export const secured = (tls: TlsOptions, handshakeTimeout: number): Secured => {
  const waiting = new Map<Socket, Admitted>();
  const find = (socket: Layered): Socket | undefined => {
    const below = socket._parent;
    if (below !== undefined && waiting.has(below)) return below;
    const addresses = addressesOf(socket);
    for (const raw of waiting.keys()) if (addressesOf(raw) === addresses) return raw;
    return undefined;
  };
  // RFC 7301: WebSocket over TLS is HTTP/1.1.
  const server = createServer({ ALPNProtocols: ['http/1.1'], handshakeTimeout, ...tls }, (socket) => {
    const raw = find(socket);
    const admitted = raw === undefined ? undefined : waiting.get(raw);
    if (raw === undefined || admitted === undefined) {
      socket.destroy();
      return;
    }
    waiting.delete(raw);
    admitted.arrive(socket, true).start(NOTHING);
  });
  // Also for one that takes too long: Node tells, and leaves the socket to us.
  server.on('tlsClientError', (_error, socket) => void socket.destroy());
  return {
    take(raw, admitted) {
      waiting.set(raw, admitted);
      raw.on('error', () => {});
      raw.on('close', () => {
        if (waiting.delete(raw)) admitted.leave();
      });
      if (admitted.proxied) admitted.readProxy(() => server.emit('connection', raw));
      else server.emit('connection', raw);
    },
    renew: (next) => server.setSecureContext(next),
  };
};

const NOTHING = new Uint8Array(0);
