// Origin and Host of a request → may this page, under this name, open a WebSocket here. RFC 6454 (origins), RFC 6455 sections 4.2.2 and
// 10.2. A browser sends cookies along with a WebSocket from any page, and does not ask the server first (no CORS): this check is all
// that stands between a stranger's page and a visitor's session. It says nothing about clients that are no browser: they write any
// Origin they like, or none. Takes plain texts; knows no header block and no socket.
import type { FaultCode } from '../fault.js';
import { isLoopback, parseDecimal, parseIp, writeIp } from './cidr.js';

/**
 * 'same' (the default): the page comes from the host the request was made to. A list: exactly these origins
 * ('https://app.example.com', and 'null' where sandboxed and file pages are meant). A function: asked also when there is no Origin.
 * 'same' and a list let a request without Origin pass, for every browser sends one with a WebSocket.
 */
export type OriginOption = 'same' | 'any' | readonly string[] | ((origin: string | undefined, host: string) => boolean);

/** What an OriginOption became. Made once, asked for each request. */
export type OriginRule =
  | { readonly kind: 'same' }
  | { readonly kind: 'any' }
  | { readonly kind: 'listed'; readonly origins: ReadonlySet<string> }
  | { readonly kind: 'asked'; readonly ask: (origin: string | undefined, host: string) => boolean };

export interface OriginInput {
  /** The value of the (first) Origin header. */
  readonly origin: string | undefined;
  /** How many Origin headers there were. */
  readonly originCount: number;
  /** The value of the Host header. */
  readonly host: string;
  /** The request is known to have come over TLS: our own socket's, or a trusted proxy says so. */
  readonly secure: boolean;
  readonly rule: OriginRule;
}

/** `port` is -1 where none is written. */
interface Authority {
  readonly name: string;
  readonly port: number;
}

const LONGEST = 512;

const isHostCode = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) ||
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  code === 0x2d ||
  code === 0x2e ||
  code === 0x5f;

/**
 * host[:port], lower case. Letters, digits, '-', '.', '_' and IP literals only: a browser sends a name in its ASCII form, and every
 * other character (@ / \ % , blank) is a way to make two readers see two hosts. An IPv6 literal keeps its brackets, so that
 * [::ffff:10.0.0.1] stays another host than 10.0.0.1, as it is for a browser.
 */
const parseAuthority = (text: string): Authority | undefined => {
  let name: string;
  let rest: string;
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    if (end < 0 || text.includes('%')) return undefined;
    const literal = text.slice(1, end);
    const ip = literal.includes(':') ? parseIp(literal) : undefined;
    if (ip === undefined) return undefined;
    name = `[${writeIp(ip)}]`;
    rest = text.slice(end + 1);
  } else {
    const colon = text.indexOf(':');
    name = (colon < 0 ? text : text.slice(0, colon)).toLowerCase();
    rest = colon < 0 ? '' : text.slice(colon);
    if (name === '') return undefined;
    for (let i = 0; i < name.length; i++) if (!isHostCode(name.charCodeAt(i))) return undefined;
  }
  if (rest === '') return { name, port: -1 };
  // RFC 3986 section 3.2.3 allows an empty port; no browser writes it
  const port = rest.startsWith(':') ? parseDecimal(rest.slice(1), 65535) : -1;
  return port < 0 ? undefined : { name, port };
};

const defaultPort = (scheme: string): number =>
  scheme === 'https' || scheme === 'wss' ? 443 : scheme === 'http' || scheme === 'ws' ? 80 : -1;

interface Origin extends Authority {
  readonly scheme: string;
}

/** RFC 6454 section 6.2: scheme "://" host [":" port] and nothing after it. The port is filled in where the scheme has one. */
const parseOrigin = (text: string): Origin | undefined => {
  if (text.length > LONGEST) return undefined;
  const mark = text.indexOf('://');
  if (mark < 1) return undefined;
  const scheme = text.slice(0, mark).toLowerCase();
  for (let i = 0; i < scheme.length; i++) {
    const code = scheme.charCodeAt(i);
    if (!isHostCode(code) && code !== 0x2b) return undefined;
  }
  const after = text.slice(mark + 3);
  // Some browsers say file:// for a file
  const authority = after === '' && defaultPort(scheme) < 0 ? { name: '', port: -1 } : parseAuthority(after);
  if (authority === undefined) return undefined;
  return { scheme, name: authority.name, port: authority.port < 0 ? defaultPort(scheme) : authority.port };
};

const writeOrigin = ({ scheme, name, port }: Origin): string => `${scheme}://${name}:${port}`;

/** Our own caller's: an origin that no browser would send throws, so that a trailing slash is found at start. */
export const parseOriginRule = (option: OriginOption | undefined): OriginRule => {
  if (option === undefined || option === 'same') return { kind: 'same' };
  if (option === 'any') return { kind: 'any' };
  if (typeof option === 'function') return { kind: 'asked', ask: option };
  if (!Array.isArray(option)) throw new TypeError("origins must be 'same', 'any', a list of origins, or a function");
  const origins = new Set<string>();
  for (const text of option as readonly string[]) {
    const origin = text === 'null' ? undefined : parseOrigin(text);
    if (origin === undefined && text !== 'null') {
      throw new TypeError(
        `origin ${JSON.stringify(text)} must be scheme://host or scheme://host:port, without a path or a wildcard`,
      );
    }
    origins.add(origin === undefined ? text : writeOrigin(origin));
  }
  return { kind: 'listed', origins };
};

/**
 * The page's origin against the host the request was made to.
 *
 * Over TLS the scheme must be https. Without TLS both pass: http, and https because something in front may have taken TLS off, and we
 * would see http where the page says https. That opens nothing: an https page of the same host and port is the same
 * site with better proof, and a browser lets no https page open a ws: URL of another machine. It cannot be stricter either, for a
 * proxy that hides TLS hides it for http pages too; a trusted one that says so in its PROXY header (PP2_TYPE_SSL) makes `secure` true,
 * and the comparison exact. X-Forwarded-Proto is not looked at. Host without a port means the default port of the page's scheme, which
 * is the one scheme both sides know; a written port must be that very port.
 */
const isSame = (origin: Origin, host: string, secure: boolean): boolean => {
  // ws and wss: what some libraries write that are no browser
  const implied = defaultPort(origin.scheme);
  if (implied < 0 || (secure && implied !== 443)) return false;
  const own = parseAuthority(host);
  return own !== undefined && own.name === origin.name && (own.port < 0 ? implied : own.port) === origin.port;
};

const askFor = (ask: () => boolean): FaultCode | undefined => {
  // new URL('null') throws in many a function written for this: that must neither end the server nor open the door.
  // Only `true` opens it: a promise is not an answer here.
  try {
    return ask() === true ? undefined : 'WSD_UPGRADE_ORIGIN';
  } catch {
    return 'WSD_UPGRADE_FAILED';
  }
};

/** undefined when the page may connect. */
export const judgeOrigin = ({ origin, originCount, host, secure, rule }: OriginInput): FaultCode | undefined => {
  // RFC 6454 section 7.3: never more than one. Which of two a proxy in front has judged, nobody knows: refused under every rule.
  if (originCount > 1) return 'WSD_UPGRADE_ORIGIN';
  if (rule.kind === 'any') return undefined;
  if (rule.kind === 'asked') return askFor(() => rule.ask(origin, host));
  if (origin === undefined) return undefined;
  if (rule.kind === 'listed' && origin === 'null') return rule.origins.has('null') ? undefined : 'WSD_UPGRADE_ORIGIN';
  const parsed = parseOrigin(origin);
  if (parsed === undefined) return 'WSD_UPGRADE_ORIGIN';
  const passes = rule.kind === 'listed' ? rule.origins.has(writeOrigin(parsed)) : isSame(parsed, host, secure);
  return passes ? undefined : 'WSD_UPGRADE_ORIGIN';
};

/** A list of names ('app.example.com', with ':8443' that port only, '*.example.com' every name below), 'loopback', or 'any'. */
export type HostOption = 'any' | 'loopback' | readonly string[];

export type HostRule =
  | { readonly kind: 'any' }
  | { readonly kind: 'loopback' }
  | { readonly kind: 'listed'; readonly hosts: ReadonlySet<string>; readonly below: readonly string[] };

const ANY: HostRule = { kind: 'any' };
const LOOPBACK: HostRule = { kind: 'loopback' };

/** Our own caller's: a host that could never be sent throws. */
export const parseHostRule = (option: HostOption): HostRule => {
  if (option === 'any') return ANY;
  if (option === 'loopback') return LOOPBACK;
  if (!Array.isArray(option)) throw new TypeError("hosts must be 'any', 'loopback' or a list of host names");
  const hosts = new Set<string>();
  const below: string[] = [];
  for (const text of option as readonly string[]) {
    const wild = text.startsWith('*.');
    const parsed = parseAuthority(wild ? text.slice(2) : text);
    if (parsed === undefined || (wild && parsed.port >= 0)) {
      throw new TypeError(`host ${JSON.stringify(text)} must be a name, an IP literal, either with a port, or *.name`);
    }
    if (wild) below.push(`.${parsed.name}`);
    else hosts.add(parsed.port < 0 ? parsed.name : `${parsed.name}:${parsed.port}`);
  }
  return { kind: 'listed', hosts, below };
};

/**
 * The rule when none is given, by the socket's own address (localAddress, so that a listener on every address is covered too).
 *
 * DNS rebinding: the page http://evil.example makes its own name resolve to 127.0.0.1 and connects. Origin and Host then agree, 'same'
 * passes, and a program that listens on loopback because only this machine should reach it, is reached by every page its user
 * visits. The name gives it away: it is none of a loopback host's.
 */
export const defaultHostRule = (localAddress: string | undefined): HostRule => {
  const ip = localAddress === undefined ? undefined : parseIp(localAddress);
  return ip !== undefined && isLoopback(ip) ? LOOPBACK : ANY;
};

export interface PageSigns {
  /** A WebSocket upgrade, not a plain request. */
  readonly upgrade: boolean;
  readonly origin: string | undefined;
  /** There is a Forwarded, X-Forwarded-For or Via header. */
  readonly forwarded: boolean;
}

/**
 * Could a page in this machine's own browser have sent this, straight to this socket? A page cannot open a WebSocket without Origin,
 * and cannot add a header to one: a forwarding header proves a proxy in between, the usual one on this machine that passes the public
 * name on. A plain request of a rebound page carries no Origin (GET of its "own" site) and any header fetch() likes: it always could.
 */
export const couldBePage = ({ upgrade, origin, forwarded }: PageSigns): boolean =>
  !upgrade || (origin !== undefined && !forwarded);

/** RFC 6761 section 6.3: localhost and all names below it. */
const isLoopbackName = (name: string): boolean => {
  if (name.startsWith('[')) return isLoopbackIp(name.slice(1, -1));
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  return bare === 'localhost' || bare.endsWith('.localhost') || isLoopbackIp(bare);
};

const isLoopbackIp = (text: string): boolean => {
  const ip = parseIp(text);
  return ip !== undefined && isLoopback(ip);
};

/** A list binds every request; 'loopback' only what could be a page, for no other client is led here by a name. */
export const judgeHost = (host: string, rule: HostRule, page = true): FaultCode | undefined => {
  if (rule.kind === 'any' || (rule.kind === 'loopback' && !page)) return undefined;
  const own = parseAuthority(host);
  if (own === undefined) return 'WSD_UPGRADE_HOST';
  if (rule.kind === 'loopback') return isLoopbackName(own.name) ? undefined : 'WSD_UPGRADE_HOST';
  if (rule.hosts.has(own.name) || (own.port >= 0 && rule.hosts.has(`${own.name}:${own.port}`))) return undefined;
  return rule.below.some((suffix) => own.name.endsWith(suffix) && own.name.length > suffix.length)
    ? undefined
    : 'WSD_UPGRADE_HOST';
};
