// The request target → the one path and query that routing, authorisation and logs all see. Two readers that normalise a
// path differently are how a check is walked around, so whatever could still be read in two ways afterwards is refused:
// dot segments, encoded slashes, controls, a percent sign that would decode a second time.
// Implements RFC 9112 section 3.2 (origin-form, absolute-form) and RFC 3986 section 6.2.2 (case and percent-encoding
// normalisation). Knows no routes.

import { type Fault, fault } from '../fault.js';
import { hexOf, isDigit, isLetter, matchesAt } from './ascii.js';

export interface Target {
  /** Starts with `/`. Unreserved characters are decoded, every other escape is kept in upper case. */
  readonly path: string;
  /** Without the `?`, as it came; empty when there is none. */
  readonly query: string;
  /** Host and port of an absolute-form target, which must agree with the Host header, and whether its scheme is secure. */
  readonly authority: { readonly text: string; readonly secure: boolean } | undefined;
}

const SLASH = 0x2f;
const QUESTION = 0x3f;
const PERCENT = 0x25;

/** A character that may stand in a path or query: visible ASCII but `#`, and in a path not `\`, `"`, `<`, `>` either. */
export const isTargetCode = (code: number, path: boolean): boolean => {
  if (code <= 0x20 || code >= 0x7f || code === 0x23) return false;
  return !path || (code !== 0x5c && code !== 0x22 && code !== 0x3c && code !== 0x3e);
};

// RFC 3986 section 2.3
const isUnreserved = (code: number): boolean =>
  isLetter(code) || isDigit(code) || code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e;

/** Whether an octet may be written as an escape: not a control, and not a slash of either kind. */
const mayEscape = (octet: number): boolean => octet >= 0x20 && octet !== 0x7f && octet !== SLASH && octet !== 0x5c;

const refuse = (why: string): Fault => fault('WSD_HTTP_TARGET', why);

const normalisePath = (text: string): string | Fault => {
  let path = '';
  let copied = 0;
  // Where the segment began in `text`, and the dots in it while it is nothing but dots (-1 once it is not).
  let dots = -1;
  // How many hex digits have come out since a kept `%25`: at two of them a second decoding would find an escape.
  let digits = -1;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    let plain = true;
    if (code === PERCENT) {
      const high = hexOf(text.charCodeAt(i + 1));
      const low = hexOf(text.charCodeAt(i + 2));
      if (high < 0 || low < 0) return refuse('a percent sign without two hexadecimal digits');
      code = high * 16 + low;
      if (!mayEscape(code)) return refuse('an escaped slash or control character');
      plain = isUnreserved(code);
      path += text.slice(copied, i);
      path += plain ? String.fromCharCode(code) : text.slice(i, i + 3).toUpperCase();
      i += 2;
      copied = i + 1;
    } else if (!isTargetCode(code, true)) return refuse('a character that must not stand in a path');
    if (plain && code === SLASH) {
      if (dots === 1 || dots === 2) return refuse('a dot segment');
      dots = 0;
    } else if (dots >= 0) dots = plain && code === 0x2e ? dots + 1 : -1;
    if (!plain) digits = code === PERCENT ? 0 : -1;
    else if (digits >= 0) digits = hexOf(code) < 0 ? -1 : digits + 1;
    if (digits === 2) return refuse('an escaped percent sign before two hexadecimal digits');
  }
  if (dots === 1 || dots === 2) return refuse('a dot segment');
  return copied === 0 ? text : path + text.slice(copied);
};

const SCHEMES = [
  { prefix: 'http://', secure: false },
  { prefix: 'https://', secure: true },
  { prefix: 'ws://', secure: false },
  { prefix: 'wss://', secure: true },
] as const;

export const parseTarget = (target: string): Target | Fault => {
  let start = 0;
  let authority: Target['authority'];
  if (target.charCodeAt(0) !== SLASH) {
    // RFC 9112 section 3.2.2: a server must take the absolute-form too. `*` and authority-form name no resource of ours.
    const scheme = SCHEMES.find(({ prefix }) => matchesAt(target, 0, prefix));
    if (scheme === undefined) return refuse('neither a path nor an absolute URI');
    start = scheme.prefix.length;
    let end = start;
    while (end < target.length && target.charCodeAt(end) !== SLASH && target.charCodeAt(end) !== QUESTION) end++;
    authority = { text: target.slice(start, end), secure: scheme.secure };
    start = end;
  }
  const mark = target.indexOf('?', start);
  const query = mark < 0 ? '' : target.slice(mark + 1);
  for (let i = 0; i < query.length; i++) {
    if (!isTargetCode(query.charCodeAt(i), false)) return refuse('a character that must not stand in a query');
  }
  const raw = target.slice(start, mark < 0 ? target.length : mark);
  const path = raw === '' ? '/' : normalisePath(raw);
  return typeof path === 'string' ? { path, query, authority } : path;
};
