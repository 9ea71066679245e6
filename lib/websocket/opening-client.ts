// The client's half of the opening handshake: what to dial → the request's bytes, and the head of the answer → accepted,
// redirected, refused, or a fault. A server that answers almost right is not spoken to: the accept value is what tells a
// WebSocket server from one that was tricked into echoing.
// Implements RFC 6455 sections 4.1 and 4.2.2 as the client reads it. The key comes from outside, as entropy does.

import { Buffer } from 'node:buffer';
import { type Fault, fault } from '../fault.js';
import { type Extension, parseExtensions } from '../http/extensions.js';
import { type Fields, writeField } from '../http/fields.js';
import type { ResponseHead } from '../http/head.js';
import { hasToken, isToken } from '../http/tokens.js';
import type { WsUri } from '../http/uri.js';
import { acceptKey, isKey } from './accept.js';
import { writeOwnField } from './opening-field.js';

export interface OpeningRequest {
  readonly uri: WsUri;
  /** Sixteen random bytes in base64, new for every connection. */
  readonly key: string;
  readonly protocols?: readonly string[] | undefined;
  /** The value of Sec-WebSocket-Extensions as the extensions wrote it. */
  readonly extensions?: string | undefined;
  readonly origin?: string | undefined;
  readonly fields?: ReadonlyArray<readonly [name: string, value: string]> | undefined;
}

/** Throws a TypeError on what our own caller must not send: fields of the handshake itself, bad or repeated subprotocols. */
export const writeRequest = (request: OpeningRequest): Uint8Array => {
  const { uri, key, protocols = [], extensions, origin, fields = [] } = request;
  if (!isKey(key)) throw new TypeError('the key must be 16 bytes in base64');
  for (const protocol of protocols) {
    if (!isToken(protocol)) throw new TypeError(`not a subprotocol: ${JSON.stringify(protocol)}`);
  }
  if (new Set(protocols).size < protocols.length) throw new TypeError('a subprotocol is given twice');
  // RFC 6455 section 4.1, items 1 to 12 of the request
  let head = `GET ${uri.resource} HTTP/1.1\r\nHost: ${uri.hostHeader}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`;
  head += `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n`;
  if (protocols.length > 0) head += `Sec-WebSocket-Protocol: ${protocols.join(', ')}\r\n`;
  if (extensions !== undefined && extensions !== '') head += writeField('Sec-WebSocket-Extensions', extensions);
  if (origin !== undefined) head += writeField('Origin', origin);
  for (const [name, value] of fields) head += writeOwnField(name, value);
  return Buffer.from(`${head}\r\n`, 'latin1');
};

export interface ExpectedAnswer {
  readonly key: string;
  readonly protocols: readonly string[];
}

/** Which extensions were offered is known to those who offered them: they judge the list. */
export type OpeningAnswer =
  | { readonly kind: 'accepted'; readonly protocol: string; readonly extensions: readonly Extension[] }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | { readonly kind: 'refused'; readonly status: number; readonly fields: Fields }
  | Fault;

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export const judgeAnswer = (head: ResponseHead, expected: ExpectedAnswer): OpeningAnswer => {
  const { status, fields } = head;
  // RFC 6455 section 4.1, the server's response, item 1
  if (status !== 101) {
    const location = REDIRECTS.includes(status) && fields.count('location') === 1 ? fields.get('location') : undefined;
    return location === undefined ? { kind: 'refused', status, fields } : { kind: 'redirect', status, location };
  }
  // Items 2 and 3: Upgrade is exactly this value, Connection is a list that contains its token.
  if (fields.count('upgrade') !== 1 || fields.get('upgrade')?.toLowerCase() !== 'websocket') {
    return fault('WSD_DIAL_UPGRADE', 'Upgrade');
  }
  if (!hasToken(fields.all('connection'), 'upgrade')) return fault('WSD_DIAL_UPGRADE', 'Connection');

  // Item 4. Two of them are a broken server, whichever is right (section 11.3.3).
  if (fields.count('sec-websocket-accept') !== 1 || fields.get('sec-websocket-accept') !== acceptKey(expected.key)) {
    return fault('WSD_DIAL_ACCEPT');
  }

  // Item 5, the part that any client can judge: the grammar.
  const extensions = parseExtensions(fields.all('sec-websocket-extensions'));
  if (extensions === undefined) return fault('WSD_DIAL_EXTENSION', 'malformed');

  // Item 6 and section 11.3.4: at most one line, one value, and it was offered. Case counts.
  const protocol = fields.get('sec-websocket-protocol');
  if (protocol === undefined) return { kind: 'accepted', protocol: '', extensions };
  if (fields.count('sec-websocket-protocol') > 1 || !expected.protocols.includes(protocol)) {
    return fault('WSD_DIAL_PROTOCOL');
  }
  return { kind: 'accepted', protocol, extensions };
};
