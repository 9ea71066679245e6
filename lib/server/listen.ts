// Listening sockets: where to listen → sockets as they are accepted, TLS or not, before any byte of theirs is read. TLS is put on after
// admission, so a flood costs no cryptography. Knows no HTTP and no WebSocket.
import { chmodSync } from 'node:fs';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import type { Admitted } from './admitted.js';
import { secured } from './secured.js';

export interface ListenOptions {
  /** Default 0: a free one. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1: nothing is reachable from outside unless asked for. */
  readonly host?: string | undefined;
  /** A Unix socket, instead of host and port. */
  readonly path?: string | undefined;
  /** The mode of the Unix socket. Default 0o660. */
  readonly mode?: number | undefined;
  /** An inherited descriptor that listens already. */
  readonly fd?: number | undefined;
  readonly backlog?: number | undefined;
  /** With this the listener speaks TLS: `key` and `cert` at least. */
  readonly tls?: TlsOptions | undefined;
  /** Ends the listener, and nothing else. */
  readonly signal?: AbortSignal | undefined;
}

/** A listener that is ready. */
export interface Listening {
  /** `ws://127.0.0.1:8080`, `wss://…` or `ws+unix:/path`: what a client dials. */
  readonly url: string;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path: string | undefined;
  readonly secure: boolean;
  /** Changes the certificate for new connections. */
  renew(tls: SecureContextOptions): void;
  /** Stops listening; connections stay. */
  close(): void;
}

/** What becomes of accepted sockets. */
export interface Accept {
  /** Time for TLS, as for everything else before the answer. */
  readonly handshakeTimeout: number;
  /** Undefined when it was refused, before any cryptography. */
  admit(raw: Socket): Admitted | undefined;
  /** The listener ended, by itself or not. */
  ended(listener: Listening): void;
  failed(error: Error): void;
}

const NOTHING = new Uint8Array(0);

/** What fits into sun_path on every system. */
const LONGEST_PATH = 103;

export const listen = async (options: ListenOptions, accept: Accept): Promise<Listening> => {
  const { tls, signal, path } = options;
  signal?.throwIfAborted();
  // A longer one would be cut off without a word, and listen somewhere else.
  if (path !== undefined && Buffer.byteLength(path) > LONGEST_PATH) {
    throw new RangeError(
      `the path of a Unix socket has at most ${LONGEST_PATH} bytes, this one has ${Buffer.byteLength(path)}`,
    );
  }
  const secure = tls !== undefined ? secured(tls, accept.handshakeTimeout) : undefined;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (raw) => {
    const admitted = accept.admit(raw);
    if (admitted === undefined) return;
    if (secure === undefined) admitted.arrive(raw, false).start(NOTHING);
    else secure.take(raw, admitted);
  });
  await ready(server, options);
  try {
    if (path !== undefined) chmodSync(path, options.mode ?? 0o660);
  } catch (reason) {
    server.close();
    throw reason;
  }
  // Too many open files, for example: the listener recovers by itself when some are closed.
  server.on('error', (error) => accept.failed(error));
  // net.Server would report the end only when its last connection is gone; not to listen any more takes no time.
  const close = (): void => {
    if (!server.listening) return;
    server.close();
    signal?.removeEventListener('abort', close);
    accept.ended(listener);
  };
  signal?.addEventListener('abort', close, { once: true });
  const where = server.address();
  const inet = typeof where === 'object' && where !== null && where.port !== undefined ? where : undefined;
  const unix = typeof where === 'string' ? where : undefined;
  const listener: Listening = {
    url: urlOf(secure !== undefined, inet, unix),
    host: inet?.address,
    port: inet?.port,
    path: unix,
    secure: secure !== undefined,
    renew: (next) => {
      if (secure === undefined) throw new TypeError('this listener does not speak TLS');
      secure.renew(next);
    },
    close,
  };
  if (signal?.aborted === true) {
    close();
    throw signal.reason;
  }
  return listener;
};

const ready = (server: NetServer, options: ListenOptions): Promise<void> =>
  new Promise((done, failed) => {
    const { port = 0, host = '127.0.0.1', path, fd, backlog = 511 } = options;
    server.once('error', failed);
    const listening = (): void => {
      server.off('error', failed);
      done();
    };
    if (fd !== undefined) server.listen({ fd }, listening);
    else if (path !== undefined) server.listen({ path, backlog }, listening);
    else server.listen({ port, host, backlog }, listening);
  });

const urlOf = (secure: boolean, inet: AddressInfo | undefined, unix: string | undefined): string => {
  const scheme = secure ? 'wss' : 'ws';
  if (inet === undefined) return `${scheme}+unix:${(unix ?? '').split('/').map(encodeURIComponent).join('/')}`;
  const every = inet.address === '::' || inet.address === '0.0.0.0';
  const host = every ? 'localhost' : inet.family === 'IPv6' ? `[${inet.address}]` : inet.address;
  return `${scheme}://${host}:${inet.port}`;
};
