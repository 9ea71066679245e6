// A request head → what it asks for: an upgrade to WebSocket, a plain page, or a fault with the status to refuse it with.
// Judges everything that can be judged without asking the application; origin, path and admission come after it. Also
// writes the 101 that accepts an upgrade. The order of the checks is part of the behaviour: what makes a request ambiguous
// (body, host, target) is told before what merely makes it no handshake.
// Implements RFC 6455 sections 4.2.1, 4.2.2 and 4.4. Owns no socket and takes heads from node's own parser as well.

import { Buffer } from 'node:buffer';
import { type Fault, fault } from '../fault.js';
import { type Extension, parseExtensions } from '../http/extensions.js';
import { writeField } from '../http/fields.js';
import type { RequestHead } from '../http/head.js';
import { type Host, parseHost } from '../http/host.js';
import { parseTarget, type Target } from '../http/target.js';
import { hasToken, isToken, parseTokenList } from '../http/tokens.js';
import { acceptKey, isKey } from './accept.js';
import { writeOwnField } from './opening-field.js';

export interface UpgradeRequest {
  readonly kind: 'upgrade';
  readonly head: RequestHead;
  readonly path: string;
  readonly query: string;
  readonly host: Host;
  readonly origin: string | undefined;
  readonly key: string;
  /** In the client's order of preference. */
  readonly protocols: readonly string[];
  readonly offers: readonly Extension[];
}

/** A GET or HEAD that asks for no upgrade at all. */
export interface PlainRequestHead {
  readonly kind: 'plain';
  readonly head: RequestHead;
  readonly path: string;
  readonly query: string;
  readonly host: Host;
}

/** The first value, a fault when there are two: of two values each box on the way may have obeyed another one. */
const single = (head: RequestHead, name: string): string | undefined | Fault =>
  head.fields.count(name) > 1 ? fault('WSD_HTTP_DUPLICATE', name) : head.fields.get(name);

/** RFC 9112 section 3.2: one Host, valid; 3.2.2: an absolute-form target carries the same one, and must not differ. */
const judgeHost = (head: RequestHead, authority: Target['authority']): Host | Fault => {
  const value = head.fields.count('host') === 1 ? (head.fields.get('host') ?? '') : '';
  const host = parseHost(value);
  if (host === undefined) return fault('WSD_HTTP_HOST');
  if (authority === undefined) return host;
  const named = parseHost(authority.text, authority.secure);
  // The RFC would have the Host header ignored. A difference means that somebody routed by the other one: refuse it.
  const same = named?.name === host.name && named.port === parseHost(value, authority.secure)?.port;
  return same ? host : fault('WSD_HTTP_HOST', 'differs from the target');
};

const judgeProtocols = (head: RequestHead): string[] | Fault => {
  const protocols: string[] = [];
  const values = head.fields.all('sec-websocket-protocol');
  for (const value of values) {
    const list = parseTokenList(value);
    if (list === undefined) return fault('WSD_UPGRADE_PROTOCOL', 'not a token');
    for (const protocol of list) protocols.push(protocol);
  }
  // RFC 6455 section 4.1, item 10: at least one element, and all of them unique.
  if (values.length > 0 && protocols.length === 0) return fault('WSD_UPGRADE_PROTOCOL', 'empty');
  if (protocols.length > 1 && new Set(protocols).size < protocols.length) {
    return fault('WSD_UPGRADE_PROTOCOL', 'repeated');
  }
  return protocols;
};

export const judgeRequest = (head: RequestHead): UpgradeRequest | PlainRequestHead | Fault => {
  const { fields, method } = head;
  const upgrades = fields.all('upgrade');
  // RFC 6455 section 4.2.1, item 1
  if (method !== 'GET' && (method !== 'HEAD' || upgrades.length > 0)) return fault('WSD_HTTP_METHOD');

  // A body would be read as frames by us and as a body by a proxy before us, or the other way round: never both.
  if (fields.count('content-length') > 1) return fault('WSD_HTTP_DUPLICATE', 'content-length');
  if (fields.has('content-length') || fields.has('transfer-encoding')) return fault('WSD_HTTP_BODY');

  const target = parseTarget(head.target);
  const host = judgeHost(head, 'kind' in target ? undefined : target.authority);
  if ('kind' in host) return host;
  if ('kind' in target) return target;
  const { path, query } = target;

  // Items 3 and 4: both are lists, may stand on several lines, and compare without case.
  if (!hasToken(upgrades, 'websocket')) {
    // RFC 9110 section 7.8: an upgrade to something else (curl offers h2c) may be ignored; what tries to be a handshake is told.
    const handshake = fields.has('sec-websocket-key') || fields.has('sec-websocket-version');
    if (handshake && upgrades.length > 0) return fault('WSD_UPGRADE_UPGRADE');
    return { kind: 'plain', head, path, query, host };
  }
  if (!hasToken(fields.all('connection'), 'upgrade')) return fault('WSD_UPGRADE_CONNECTION');

  // Item 6 and section 4.4. Before the key: other versions had other keys, and must be told which version to speak.
  const version = single(head, 'sec-websocket-version');
  if (typeof version === 'object') return version;
  if (version !== '13') return fault('WSD_UPGRADE_VERSION');

  // Item 5
  const key = fields.get('sec-websocket-key');
  if (key === undefined || fields.count('sec-websocket-key') > 1 || !isKey(key)) return fault('WSD_UPGRADE_KEY');

  const origin = single(head, 'origin');
  if (typeof origin === 'object') return origin;
  const protocols = judgeProtocols(head);
  if ('kind' in protocols) return protocols;
  const offers = parseExtensions(fields.all('sec-websocket-extensions'));
  if (offers === undefined) return fault('WSD_UPGRADE_EXTENSIONS');
  return { kind: 'upgrade', head, path, query, host, origin, key, protocols, offers };
};

export interface Acceptance {
  readonly key: string;
  /** One of the request's; the caller has chosen it. */
  readonly protocol?: string | undefined;
  /** The value of Sec-WebSocket-Extensions as the extensions wrote it. */
  readonly extensions?: string | undefined;
  readonly fields?: ReadonlyArray<readonly [name: string, value: string]> | undefined;
}

/** The 101. Throws a TypeError on fields that belong to the handshake itself or that could split the head. */
export const writeAccept = (acceptance: Acceptance): Uint8Array => {
  const { key, protocol, extensions, fields = [] } = acceptance;
  // RFC 6455 section 4.2.2, item 5
  let head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\n`;
  if (protocol !== undefined && protocol !== '') {
    if (!isToken(protocol)) throw new TypeError('a subprotocol must be a token');
    head += `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  }
  if (extensions !== undefined && extensions !== '') head += writeField('Sec-WebSocket-Extensions', extensions);
  for (const [name, value] of fields) head += writeOwnField(name, value);
  return Buffer.from(`${head}\r\n`, 'latin1');
};
