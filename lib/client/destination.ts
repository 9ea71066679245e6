// What a caller or a redirect names → where to connect to and what to ask for there. ws and wss URIs, and ws+unix:/path/of/socket:/resource
// (also wss+unix), as `listen` reports them. Also says when two places are one origin, and what may be told of a place in a message: never
// its query, where tokens live. RFC 6455 section 3, RFC 9110 section 10.2.2. Dials nothing.
import { type Fault, fault } from '../fault.js';
import { matchesAt } from '../http/ascii.js';
import { parseWsUri, type WsUri } from '../http/uri.js';

export interface Destination {
  readonly uri: WsUri;
  /** The Unix socket that is dialled instead of host and port. */
  readonly socketPath: string | undefined;
}

const UNIX = '+unix:';

/** Text that is not ASCII goes through the platform's URL class, which knows how it becomes so; the rest is taken by the letter. */
export const parseDestination = (url: string | URL): Destination | Fault => {
  let text = typeof url === 'string' ? url : url.href;
  if (typeof url === 'string' && !isAscii(url)) {
    if (!URL.canParse(url)) return fault('WSD_DIAL_URL', 'it is malformed');
    text = new URL(url).href;
  }
  for (const scheme of ['ws', 'wss']) {
    if (matchesAt(text, 0, scheme + UNIX)) return parseUnix(scheme === 'wss', text.slice(scheme.length));
  }
  const uri = parseWsUri(text);
  return 'kind' in uri ? uri : { uri, socketPath: undefined };
};

/** `+unix:/path:/resource`; a colon or any other octet of the path may be percent-encoded. */
const parseUnix = (secure: boolean, rest: string): Destination | Fault => {
  const begin = rest.startsWith('//', UNIX.length) ? UNIX.length + 2 : UNIX.length;
  const colon = rest.indexOf(':', begin);
  const path = decode(colon < 0 ? rest.slice(begin) : rest.slice(begin, colon));
  if (path === undefined || !path.startsWith('/') || path.includes('\0'))
    return fault('WSD_DIAL_URL', 'the path of the Unix socket must be absolute');
  const uri = parseWsUri(`${secure ? 'wss' : 'ws'}://localhost${colon < 0 ? '' : rest.slice(colon + 1)}`);
  if ('kind' in uri) return uri;
  // A resource without its slash would have become part of the host.
  if (uri.hostHeader !== 'localhost') return fault('WSD_DIAL_URL', 'the resource must start with a slash');
  return { uri, socketPath: path };
};

const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['http:', 'ws:'],
  ['https:', 'wss:'],
  ['ws:', 'ws:'],
  ['wss:', 'wss:'],
]);

/** Where a Location header leads. Servers write it as http or https, or without a scheme at all. */
export const resolveLocation = (location: string, from: Destination): Destination | Fault => {
  if (!URL.canParse(location, from.uri.href)) return fault('WSD_DIAL_URL', 'it is malformed');
  const url = new URL(location, from.uri.href);
  const scheme = SCHEMES.get(url.protocol);
  if (scheme === undefined) return fault('WSD_DIAL_URL', 'it is not http, https, ws or wss');
  if (url.username !== '' || url.password !== '') return fault('WSD_DIAL_URL', 'it holds a user name or password');
  // RFC 9110 section 10.2.2: a fragment would be for a page, and there is none.
  const uri = parseWsUri(`${scheme}//${url.host}${url.pathname}${url.search}`);
  if ('kind' in uri) return uri;
  // Behind a Unix socket is one server; what stays on its origin stays on its socket.
  return { uri, socketPath: isSameHost(uri, from.uri) ? from.socketPath : undefined };
};

const isSameHost = (a: WsUri, b: WsUri): boolean => a.secure === b.secure && a.host === b.host && a.port === b.port;

export const isSameOrigin = (a: Destination, b: Destination): boolean =>
  a.socketPath === b.socketPath && isSameHost(a.uri, b.uri);

/** What a message may tell. */
export const originOf = ({ uri, socketPath }: Destination): string => {
  const scheme = uri.secure ? 'wss' : 'ws';
  return socketPath === undefined ? `${scheme}://${uri.hostHeader}` : `${scheme}${UNIX}${socketPath}`;
};

const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
};

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};
