// The host and port of a Host header, an origin or a URI: text → lower-case name and port, or undefined.
// Stricter than the grammar where the grammar is wider than DNS: no percent signs, no sub-delims, no empty labels, and a
// name that ends in a number must be a plain IPv4 address, so that `0x7f.1` and `2130706433` cannot pass as names that
// differ from 127.0.0.1. Implements RFC 3986 section 3.2.2, RFC 9110 section 7.2, RFC 5952. Resolves nothing.

import { hexOf, isDigit, isLetter, matchesAt } from './ascii.js';

export interface Host {
  /** In lower case; IPv6 without brackets and in its shortest form. */
  readonly name: string;
  readonly port: number | undefined;
}

const NAME_LIMIT = 255;

/** 1 to 65535, or undefined. Leading zeros are legal in a URI. */
const parsePort = (text: string, from: number): number | undefined => {
  let port = 0;
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isDigit(code)) return undefined;
    port = port * 10 + code - 0x30;
    if (port > 65535) return undefined;
  }
  return port === 0 ? undefined : port;
};

/** The four octets of a dotted quad without leading zeros, as two 16-bit groups. */
const parseIpv4 = (text: string): [number, number] | undefined => {
  const parts = text.split('.', 5);
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (part.length === 0 || part.length > 3 || (part.length > 1 && part.startsWith('0'))) return undefined;
    let octet = 0;
    for (let i = 0; i < part.length; i++) {
      if (!isDigit(part.charCodeAt(i))) return undefined;
      octet = octet * 10 + part.charCodeAt(i) - 0x30;
    }
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return [Math.floor(value / 0x10000), value % 0x10000];
};

/** One side of `::`, or the whole address: groups of up to four hex digits, an IPv4 address allowed in last place. */
const parseGroups = (text: string, tail: boolean): number[] | undefined => {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':', 9);
  for (const [index, part] of parts.entries()) {
    if (tail && index === parts.length - 1 && part.includes('.')) {
      const quad = parseIpv4(part);
      if (quad === undefined) return undefined;
      groups.push(...quad);
      continue;
    }
    if (part.length === 0 || part.length > 4) return undefined;
    let group = 0;
    for (let i = 0; i < part.length; i++) {
      const digit = hexOf(part.charCodeAt(i));
      if (digit < 0) return undefined;
      group = group * 16 + digit;
    }
    groups.push(group);
  }
  return groups;
};

/** An IPv6 address in the form of RFC 5952, so that equal addresses are equal text. No zone: it means nothing here. */
const parseIpv6 = (text: string): string | undefined => {
  if (text.length > 45) return undefined;
  const gap = text.indexOf('::');
  const head = parseGroups(gap < 0 ? text : text.slice(0, gap), gap < 0);
  const tail = gap < 0 ? [] : parseGroups(text.slice(gap + 2), true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (gap < 0 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  // RFC 5952 section 4.2: the longest run of two or more zero groups, the first of equals, becomes `::`.
  let best = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) {
      best = i;
      length = run;
    }
    i += run;
  }
  const write = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  return best < 0 ? write(groups) : `${write(groups.slice(0, best))}::${write(groups.slice(best + length))}`;
};

/** Letters, digits, `-` and `_` in labels that are not empty; one dot may end it all, the root of DNS. */
const isName = (name: string): boolean => {
  if (name.length > NAME_LIMIT) return false;
  const end = name.endsWith('.') ? name.length - 1 : name.length;
  let label = 0;
  let digits = true;
  for (let i = 0; i < end; i++) {
    const code = name.charCodeAt(i);
    if (code === 0x2e) {
      if (i === label) return false;
      label = i + 1;
      digits = true;
    } else {
      if (!isLetter(code) && !isDigit(code) && code !== 0x2d && code !== 0x5f) return false;
      digits &&= isDigit(code);
    }
  }
  if (label >= end) return false;
  return digits || matchesAt(name, label, '0x') ? parseIpv4(name) !== undefined : true;
};

/**
 * `host[:port]`. With `secure` given, a port that is not written is the one of the scheme, 443 or 80; without it, it is
 * undefined. An empty port (`host:`) counts as not written (RFC 3986 section 3.2.3).
 */
export const parseHost = (value: string, secure?: boolean): Host | undefined => {
  // A port of more digits than five is all zeros in front: nobody writes that.
  if (value.length > NAME_LIMIT + 6) return undefined;
  let end: number;
  let name: string | undefined;
  if (value.startsWith('[')) {
    const close = value.indexOf(']');
    if (close < 0 || (close + 1 < value.length && value.charCodeAt(close + 1) !== 0x3a)) return undefined;
    name = parseIpv6(value.slice(1, close));
    end = close + 1;
  } else {
    const colon = value.indexOf(':');
    end = colon < 0 ? value.length : colon;
    name = value.slice(0, end);
    name = isName(name) ? name.toLowerCase() : undefined;
  }
  if (name === undefined) return undefined;
  if (end + 1 >= value.length) return { name, port: secure === undefined ? undefined : secure ? 443 : 80 };
  const port = parsePort(value, end + 1);
  return port === undefined ? undefined : { name, port };
};
