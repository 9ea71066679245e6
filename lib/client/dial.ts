// A place → a socket that is connected to it, and with TLS where that is asked for. Which of several addresses answers first is decided by
// node:net (RFC 8305). Certificates are verified unless the caller says otherwise, whatever the environment says.
// Knows no HTTP. RFC 6066 section 3 (server name), RFC 7301 (ALPN).
import { connect, isIP, type Socket } from 'node:net';
import { connect as startTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { type FaultCode, WsdError } from '../fault.js';
import type { Attempt } from './attempt.js';
import { readable } from './readable.js';
import { reasonFor } from './reason.js';

export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

const MOST_DETAIL = 300;

/** `who` names another party than the server in messages: `the proxy: `. */
export const dial = (attempt: Attempt, place: Place, who = ''): Promise<Socket> => {
  attempt.stage = `while connecting${who === '' ? '' : ' to the proxy'}`;
  return attempt.wait<Socket>((done, fail) => {
    // Half-open: which side ends TCP, and when, is for the closing handshake to decide.
    const socket = connect({ ...place, allowHalfOpen: true, autoSelectFamily: true });
    attempt.hold(socket);
    const onConnect = (): void => {
      // A pause without a listener keeps what comes until somebody reads.
      socket.setNoDelay(true).pause();
      done(socket);
    };
    const onError = (error: Error): void => fail(failure('WSD_DIAL_CONNECT', error, who));
    socket.once('connect', onConnect).once('error', onError);
    return () => socket.off('connect', onConnect).off('error', onError);
  });
};

/** TLS over a socket that is connected, and nothing was read from it. */
export const secure = (attempt: Attempt, raw: Socket, host: string, options: TlsOptions, who = ''): Promise<Socket> => {
  attempt.stage = `during the TLS handshake${who === '' ? '' : ' with the proxy'}`;
  return attempt.wait<Socket>((done, fail) => {
    const name = host.endsWith('.') ? host.slice(0, -1) : host;
    const onError = (error: Error): void => fail(failure('WSD_DIAL_TLS', error, who));
    let socket: Socket;
    try {
      socket = startTls({
        ALPNProtocols: ['http/1.1'],
        // RFC 6066 section 3: an address is not a server name. It is still what the certificate must be for.
        ...(isIP(name) === 0 ? { servername: name } : {}),
        ...options,
        // Said outright: an environment variable can turn the default around.
        rejectUnauthorized: options.rejectUnauthorized ?? true,
        socket: raw,
        host: name,
      });
    } catch (error) {
      // A key or certificate of our caller's that is none.
      onError(error instanceof Error ? error : new Error(String(error)));
      return () => {};
    }
    attempt.hold(socket);
    const onClose = (): void => fail(new WsdError('WSD_DIAL_TLS', `${who}the connection ended during the handshake`));
    const onSecure = (): void => {
      socket.pause();
      done(socket);
    };
    socket.once('secureConnect', onSecure).once('error', onError).once('close', onClose);
    return () => socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
  });
};

const failure = (code: FaultCode, error: Error, who: string): WsdError =>
  new WsdError(code, readable(reasonFor(error, who), MOST_DETAIL), { cause: error });
