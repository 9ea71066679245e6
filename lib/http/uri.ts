// The text of a ws or wss URI → what a client needs to dial: where to connect, whether with TLS, what to ask for.
// Takes only what the two schemes allow: no fragment, no user name, no zone, and ASCII only, since how other text becomes
// ASCII (IDNA, UTF-8 escapes) is for whoever made the URI, and the platform's own URL class does it.
// Implements RFC 6455 section 3 and RFC 3986 section 3. Resolves nothing.

import { type Fault, fault } from '../fault.js';
import { hexOf, matchesAt } from './ascii.js';
import { parseHost } from './host.js';
import { isTargetCode } from './target.js';

export interface WsUri {
  readonly secure: boolean;
  /** In lower case; IPv6 without brackets. */
  readonly host: string;
  /** Always a number: 80 and 443 are filled in. */
  readonly port: number;
  /** The resource name: path and query, `/` when both are empty. Written into the request as it stands. */
  readonly resource: string;
  /** The value of the Host header: brackets around IPv6, no port where it is the scheme's own. */
  readonly hostHeader: string;
  readonly href: string;
}

const refuse = (why: string): Fault => fault('WSD_DIAL_URL', why);

export const parseWsUri = (text: string): WsUri | Fault => {
  const secure = matchesAt(text, 0, 'wss://');
  if (!secure && !matchesAt(text, 0, 'ws://')) return refuse('it must start with ws:// or wss://');
  const start = secure ? 6 : 5;

  let end = start;
  while (end < text.length && !'/?#'.includes(text[end]!)) end++;
  const authority = text.slice(start, end);
  // The authority is not repeated in any message: a password would end up in logs.
  if (authority.includes('@')) return refuse('it must not hold a user name or password');
  const host = parseHost(authority, secure);
  if (host?.port === undefined) return refuse('the host or port is malformed');

  let inPath = true;
  for (let i = end; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // RFC 6455 section 3: fragment identifiers are meaningless here and must not be used.
    if (code === 0x23) return refuse('it must not hold a fragment');
    if (code === 0x3f) inPath = false;
    if (!isTargetCode(code, inPath)) return refuse('path and query must be escaped to plain ASCII');
    if (code === 0x25 && inPath && (hexOf(text.charCodeAt(i + 1)) < 0 || hexOf(text.charCodeAt(i + 2)) < 0)) {
      return refuse('a percent sign must be followed by two hexadecimal digits');
    }
  }
  // RFC 6455 section 3: the resource name starts with `/` even where the path is empty.
  const resource = text.charCodeAt(end) === 0x2f ? text.slice(end) : `/${text.slice(end)}`;
  const bracketed = host.name.includes(':') ? `[${host.name}]` : host.name;
  const hostHeader = host.port === (secure ? 443 : 80) ? bracketed : `${bracketed}:${host.port}`;
  return {
    secure,
    host: host.name,
    port: host.port,
    resource,
    hostHeader,
    href: `${secure ? 'wss' : 'ws'}://${hostHeader}${resource}`,
  };
};
