// What a script gives to a standard WebSocket → what can be dialled, sent or closed with, or the exception that the standard wants for it.
// WebSockets living standard, sections 3.1 (constructor, send, close); HTML: URL parsing. Connects to nothing.
import { isToken } from '../http/tokens.js';
import { authorizationOf } from './proxy.js';

export interface StandardUrl {
  /** What the `url` attribute says. */
  readonly href: string;
  readonly origin: string;
  /** Without user name and password, which a ws URI must not hold. */
  readonly target: string;
  readonly authorization: string | undefined;
}

const syntax = (message: string): DOMException => new DOMException(message, 'SyntaxError');

const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['http:', 'ws:'],
  ['https:', 'wss:'],
]);

export const parseStandardUrl = (text: string): StandardUrl => {
  if (!URL.canParse(text)) throw syntax('the URL is malformed');
  const url = new URL(text);
  url.protocol = SCHEMES.get(url.protocol) ?? url.protocol;
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw syntax('the URL must be a ws, wss, http or https URL');
  // An empty fragment is one too, and `hash` does not tell.
  if (url.href.includes('#')) throw syntax('the URL must not have a fragment');
  const { href, origin } = url;
  const authorization = authorizationOf(url);
  url.username = '';
  url.password = '';
  return { href, origin, target: url.href, authorization };
};

/** Equal in any case is twice. */
export const parseProtocols = (given: unknown): string[] => {
  const isList = typeof given === 'object' && given !== null && Symbol.iterator in given;
  const protocols = (isList ? [...(given as Iterable<unknown>)] : given === undefined ? [] : [given]).map(String);
  for (const protocol of protocols) {
    if (!isToken(protocol)) throw syntax(`not a subprotocol: ${JSON.stringify(protocol)}`);
  }
  const distinct = new Set(protocols.map((protocol) => protocol.toLowerCase()));
  if (distinct.size < protocols.length) throw syntax('a subprotocol is given twice');
  return protocols;
};

/**
 * What the standard has in another place (the argument of subprotocols, `close`) or leaves no choice in: an event's data is the script's
 * own for good, text is a string, and a listener is not waited for.
 */
const DECIDED = ['subprotocols', 'signal', 'text', 'concurrency', 'lend', 'packets'] as const;
export type Decided = (typeof DECIDED)[number];

/** Ignored without a word they would be mistaken for effective. */
export const checkOptions = (options: object): void => {
  const decided = DECIDED.filter((name) => (options as Partial<Record<Decided, unknown>>)[name] !== undefined);
  if (decided.length > 0) throw new TypeError(`WebSocket: ${decided.join(', ')}: the standard decides this`);
};

export interface CloseArguments {
  /** Undefined: a Close frame without a body. */
  readonly code: number | undefined;
  readonly reason: string;
}

/** RFC 6455 section 5.5: the reason shares 125 octets with the code. */
const MOST_REASON = 123;

export const parseClose = (code: unknown, reason: unknown): CloseArguments => {
  const number = code === undefined ? undefined : Math.round(Math.min(Math.max(Number(code) || 0, 0), 65535));
  if (number !== undefined && number !== 1000 && (number < 3000 || number > 4999))
    throw new DOMException(`a script may close with 1000 or 3000 to 4999, not ${number}`, 'InvalidAccessError');
  const text = reason === undefined ? '' : String(reason);
  if (Buffer.byteLength(text, 'utf8') > MOST_REASON)
    throw syntax(`the reason must not be longer than ${MOST_REASON} bytes`);
  return { code: number ?? (text === '' ? undefined : 1000), reason: text };
};

/** Bytes and Blobs as they are, anything else as the text it converts to. */
export const parseData = (data: unknown): string | ArrayBuffer | ArrayBufferView | Blob =>
  ArrayBuffer.isView(data) || data instanceof ArrayBuffer || data instanceof Blob ? data : String(data);

export const sizeOf = (data: ReturnType<typeof parseData>): number =>
  typeof data === 'string' ? Buffer.byteLength(data, 'utf8') : data instanceof Blob ? data.size : data.byteLength;
