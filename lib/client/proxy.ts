// A tunnel through an HTTP proxy: its URL and where to go → a socket that reaches it. The user name and password of the URL go to the proxy
// and nowhere else, not into a message either. RFC 9110 section 9.3.6 (CONNECT), RFC 7617 (Basic).
import type { Socket } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { WsdError } from '../fault.js';
import type { HeadLimits } from '../http/head.js';
import { reasonOf } from '../http/response.js';
import type { WsUri } from '../http/uri.js';
import type { Attempt } from './attempt.js';
import { dial, secure } from './dial.js';
import { exchange } from './exchange.js';
import { readable } from './readable.js';

export interface HttpProxy {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly authorization: string | undefined;
}

const WHO = 'the proxy: ';
const MOST_REASON = 100;

/** Throws a TypeError that repeats nothing of the URL. */
export const parseProxy = (text: string): HttpProxy => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    throw new TypeError('connect: proxy: it must be an http:// or https:// URL');
  const tls = url.protocol === 'https:';
  return {
    secure: tls,
    host: url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname,
    port: url.port === '' ? (tls ? 443 : 80) : Number(url.port),
    authorization: authorizationOf(url),
  };
};

/** RFC 7617 section 2: the two in UTF-8 with a colon between them. */
export const authorizationOf = (url: URL): string | undefined => {
  if (url.username === '' && url.password === '') return undefined;
  let both: string;
  try {
    both = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  } catch {
    throw new TypeError('the user name or password of the URL is not properly percent-encoded');
  }
  return `Basic ${Buffer.from(both, 'utf8').toString('base64')}`;
};

/** Of the caller's TLS options the proxy gets only the authorities: keys, and a waived verification, are meant for the server. */
export const tunnel = async (
  attempt: Attempt,
  proxy: HttpProxy,
  uri: WsUri,
  limits: HeadLimits,
  tls: TlsOptions,
): Promise<Socket> => {
  const raw = await dial(attempt, { host: proxy.host, port: proxy.port }, WHO);
  const socket = proxy.secure
    ? await secure(attempt, raw, proxy.host, tls.ca === undefined ? {} : { ca: tls.ca }, WHO)
    : raw;
  // RFC 9112 section 3.2.3: the authority form, always with a port.
  const authority = `${uri.host.includes(':') ? `[${uri.host}]` : uri.host}:${uri.port}`;
  const login = proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  const request = Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${login}\r\n`, 'latin1');
  const { status, reason } = await exchange(attempt, socket, request, limits, WHO);
  if (status < 200 || status > 299) {
    const said = readable(reason === '' ? reasonOf(status) : reason, MOST_REASON);
    throw new WsdError('WSD_DIAL_PROXY', `${status} ${said}`.trimEnd(), { status });
  }
  // In the tunnel we speak first: what is there already is not the server's, and must not be taken for its answer.
  if (socket.readableLength > 0) throw new WsdError('WSD_DIAL_PROXY', 'it sent bytes of its own into the tunnel');
  return socket;
};
