// The socket's peer and a forwarding header → the address of the client. RFC 7239 (Forwarded) and X-Forwarded-For, which has no RFC.
// Each proxy appends the address it saw, so only the right end of the list is known to be true: the walk goes from right to left,
// one step for each hop that is itself trusted, and stops at the first that is not. What stands left of it anyone could have written.
// Garbage ends the walk at the last good address. Nothing here throws for what a peer sent. Knows no sockets and no header block.
import { type Cidr, inCidrs, parseCidr, parseDecimal, parseIp, writeIp } from './cidr.js';

/** Whose word is taken. `local` is the peer without an address: a proxy on a Unix socket. */
export interface Trusted {
  readonly cidrs: readonly Cidr[];
  readonly local: boolean;
}

/** The one header the trusted proxies write. The others are not looked at: a proxy passes on what it does not know. */
export type ForwardingHeader = 'x-forwarded-for' | 'forwarded';

export interface ClientAddress {
  /** RFC 5952 text; undefined when all that is known is a Unix socket. */
  readonly address: string | undefined;
  /** How many entries of the header were believed. */
  readonly hops: number;
}

// A chain of own proxies is two or three long. The rest is a list sent to make us read it.
const MOST_HOPS = 64;

const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** Addresses, CIDR ranges, and the words `loopback`, `private` (RFC 1918, RFC 4193) and `unix`. Our own caller's: a bad one throws. */
export const parseTrusted = (list: readonly string[]): Trusted => {
  const cidrs: Cidr[] = [];
  for (const entry of list) {
    for (const text of Object.hasOwn(NAMED, entry) ? NAMED[entry]! : [entry]) {
      if (text === 'unix') continue;
      const cidr = parseCidr(text);
      if (cidr === undefined) {
        throw new RangeError(
          `trusted proxy ${JSON.stringify(text)} is no address, no CIDR range without host bits, and none of unix, loopback, private`,
        );
      }
      cidrs.push(cidr);
    }
  }
  return { cidrs, local: list.includes('unix') };
};

/** Also the question before PROXY is expected of a peer. `peer` is undefined or empty on a Unix socket. */
export const isTrusted = (peer: string | undefined, trusted: Trusted): boolean => {
  if (peer === undefined || peer === '') return trusted.local;
  const ip = parseIp(peer);
  return ip !== undefined && inCidrs(ip, trusted.cidrs);
};

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

const trimmed = (text: string, start: number, end: number): string => {
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
};

/**
 * Where the list element that ends at `end` starts. RFC 9110 section 5.6.4: a comma inside a quoted string separates nothing, and read
 * backwards a quote is escaped when an odd number of backslashes precedes it. Read from the right, because a quote that somebody
 * left open further left must not swallow what our own proxy appended.
 */
const elementStart = (text: string, end: number, quotes: boolean): number => {
  let quoted = false;
  for (let at = end - 1; at >= 0; at--) {
    const code = text.charCodeAt(at);
    if (code === 0x22 && quotes) {
      let slash = at;
      while (quoted && slash > 0 && text.charCodeAt(slash - 1) === 0x5c) slash--;
      if (((at - slash) & 1) === 0) quoted = !quoted;
      at = slash;
    } else if (code === 0x2c && !quoted) return at + 1;
  }
  return 0;
};

/** 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1], [2001:db8::1]:443, or undefined. The port may be obfuscated (section 6.2). */
const parseNode = (text: string): string | undefined => {
  let host = text;
  let port: string | undefined;
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    if (end < 0) return undefined;
    host = text.slice(1, end);
    if (!host.includes(':')) return undefined;
    if (end + 1 < text.length) {
      if (text[end + 1] !== ':') return undefined;
      port = text.slice(end + 2);
    }
  } else {
    const colon = text.indexOf(':');
    if (colon >= 0 && text.indexOf(':', colon + 1) < 0) {
      host = text.slice(0, colon);
      port = text.slice(colon + 1);
    }
  }
  if (port !== undefined && !port.startsWith('_') && parseDecimal(port, 65535) < 0) return undefined;
  const ip = parseIp(host);
  return ip && writeIp(ip);
};

/** RFC 7239 section 4: the pairs of one element. undefined when malformed, without `for`, or with it twice. */
const takeFor = (element: string): string | undefined => {
  let node: string | undefined;
  let at = 0;
  while (at < element.length) {
    const equals = element.indexOf('=', at);
    if (equals < 0) return undefined;
    const name = trimmed(element, at, equals).toLowerCase();
    let value = '';
    at = equals + 1;
    if (element.charCodeAt(at) === 0x22) {
      for (at++; ; at++) {
        if (at >= element.length) return undefined;
        let code = element.charCodeAt(at);
        if (code === 0x22) break;
        if (code === 0x5c) code = element.charCodeAt(++at);
        // An address needs no more; a longer value of another name is read over
        if (value.length < 128) value += String.fromCharCode(code);
      }
      at++;
      while (at < element.length && isBlank(element.charCodeAt(at))) at++;
      if (at < element.length && element.charCodeAt(at) !== 0x3b) return undefined;
    } else {
      const semicolon = element.indexOf(';', at);
      const end = semicolon < 0 ? element.length : semicolon;
      value = trimmed(element, at, end);
      at = end;
    }
    at++; // the semicolon
    if (name !== 'for') continue;
    // Section 4: a parameter must not occur twice; which of the two is true, nobody can say
    if (node !== undefined) return undefined;
    node = value;
  }
  return node;
};

/** `values` are the field lines of that one header, in the order they arrived; together they are one list (RFC 9110 section 5.3). */
export const clientAddress = (
  peer: string | undefined,
  trusted: Trusted,
  header: ForwardingHeader,
  values: readonly string[],
): ClientAddress => {
  const own = peer === undefined ? undefined : parseIp(peer);
  let address = own === undefined ? undefined : writeIp(own);
  let hops = 0;
  if (!isTrusted(peer, trusted)) return { address, hops };
  const rfc7239 = header === 'forwarded';
  let seen = 0;
  for (let line = values.length - 1; line >= 0; line--) {
    const text = values[line]!;
    for (let end = text.length; end >= 0; ) {
      if (++seen > MOST_HOPS) return { address, hops };
      const start = elementStart(text, end, rfc7239);
      const element = trimmed(text, start, end);
      end = start - 1;
      // RFC 9110 section 5.6.1: empty elements of a list are ignored. X-Forwarded-For has no such grammar: there an empty entry is a
      // proxy that named nobody, and what is left of it is unproven.
      if (element === '' && rfc7239) continue;
      const node = rfc7239 ? takeFor(element) : element;
      // Sections 6.2 and 6.3: "unknown" and "_hidden" are valid and tell no address: the walk ends as it does for garbage
      const next = node === undefined ? undefined : parseNode(node);
      if (next === undefined) return { address, hops };
      address = next;
      hops++;
      if (!isTrusted(next, trusted)) return { address, hops };
    }
  }
  return { address, hops };
};
