// The request of a client under test → where it wants to go, and the answer that opens or refuses it: the fuzzer's own server side of
// the opening handshake (RFC 6455 section 4.2.1). Knows no frames and no socket.
import type { CodecTerms } from './codec.js';
import { acceptFor } from './dial.js';
import { type Head, tokensOf, valuesOf } from './head.js';
import { acceptOffer } from './negotiate.js';

export interface Visit {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly key: string;
  readonly extensions: string | undefined;
  readonly head: Head;
}

const one = (head: Head, name: string): string | undefined => {
  const values = valuesOf(head, name);
  return values.length === 1 ? values[0] : undefined;
};

const isKey = (key: string): boolean =>
  key.length === 24 && key.endsWith('==') && Buffer.from(key, 'base64').length === 16;

/** Where a client wants to go; a sentence when its request is not an opening handshake. */
export const readVisit = (head: Head, port: number): Visit | string => {
  const [method, target = '', version] = head.start.split(' ');
  if (method !== 'GET' || version !== 'HTTP/1.1') return 'GET and HTTP/1.1 are needed';
  const host = one(head, 'host');
  const named = host?.slice(host.lastIndexOf(':') + 1);
  if (host === undefined || Number(named) !== port) return `one Host with the port ${port} is needed`;
  if (!tokensOf(head, 'upgrade').includes('websocket')) return 'Upgrade must list websocket';
  if (!tokensOf(head, 'connection').includes('upgrade')) return 'Connection must list upgrade';
  const wanted = one(head, 'sec-websocket-version');
  if (wanted !== '13' && wanted !== '8') return 'one Sec-WebSocket-Version of 8 or 13 is needed';
  const key = one(head, 'sec-websocket-key');
  if (key === undefined || !isKey(key)) return 'one Sec-WebSocket-Key of 16 bytes in base64 is needed';
  const offers = valuesOf(head, 'sec-websocket-extensions');
  if (offers.length > 1) return 'more than one Sec-WebSocket-Extensions field';
  const question = target.indexOf('?');
  return {
    path: question < 0 ? target : target.slice(0, question),
    query: new URLSearchParams(question < 0 ? '' : target.slice(question + 1)),
    key,
    extensions: offers[0],
    head,
  };
};

export const acceptText = (key: string, extensions: string | undefined): string =>
  [
    'HTTP/1.1 101 Switching Protocols',
    'Server: wsd-conform',
    // This capitalisation on purpose: the token has to be read without regard to case.
    'Upgrade: WebSocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptFor(key)}`,
    ...(extensions === undefined ? [] : [`Sec-WebSocket-Extensions: ${extensions}`]),
    '\r\n',
  ].join('\r\n');

export const refuseText = (status: string, why: string): string =>
  [
    `HTTP/1.1 ${status}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${why.length + 1}`,
    'Connection: close',
    '',
    `${why}\n`,
  ].join('\r\n');

export interface Admission {
  readonly text: string;
  readonly terms: CodecTerms | undefined;
}

/** The answer that opens. `way` is how a compression case wants the offer taken; undefined leaves every extension out. */
export const admit = (visit: Visit, way: number | undefined): Admission | string => {
  const accepted = way === undefined ? undefined : acceptOffer(visit.extensions, way);
  if (typeof accepted === 'string') return accepted;
  return { text: acceptText(visit.key, accepted?.answer), terms: accepted?.terms };
};
