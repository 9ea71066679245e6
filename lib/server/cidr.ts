// Text ↔ IP addresses, and lists of CIDR ranges → "is this address inside". RFC 4291 section 2.2 (text forms), RFC 4632 (prefixes),
// RFC 5952 (the one text form written). No regular expressions: the text may come from a header a stranger wrote.
// IPv4-mapped IPv6 (::ffff:a.b.c.d), which a dual-stack socket reports for every IPv4 peer, is IPv4 here, so that one range
// matches and one counter counts both spellings. Knows nothing of sockets, headers or trust.

/** `bytes` has 4 octets for IPv4 and 16 for IPv6; its length is the family. */
export interface Ip {
  readonly bytes: Uint8Array;
}

export interface Cidr extends Ip {
  readonly bits: number;
}

// The longest text is 45 characters; what is over it is a zone (fe80::1%interface).
const LONGEST_TEXT = 96;

const hexDigit = (code: number): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
};

/** Decimal digits without a leading zero, up to `max`; -1 otherwise. A leading zero means octal to some readers: refused. */
export const parseDecimal = (text: string, max: number): number => {
  if (text.length === 0 || text.length > 5 || (text.length > 1 && text.charCodeAt(0) === 0x30)) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= max ? value : -1;
};

/** Four decimal octets, all of them: the short forms of inet_aton (127.1, 0x7f.1) name an address only by accident. */
const isIpv4 = (text: string, bytes?: Uint8Array): boolean => {
  let at = 0;
  for (let octet = 0; octet < 4; octet++) {
    const start = at;
    let value = 0;
    for (; at < text.length && at < start + 3; at++) {
      const digit = text.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    // A leading zero means octal to some readers.
    if (at === start || value > 255 || (at > start + 1 && text.charCodeAt(start) === 0x30)) return false;
    if (bytes !== undefined) bytes[octet] = value;
    if (octet < 3 && text.charCodeAt(at++) !== 0x2e) return false;
  }
  return at === text.length;
};

const parseIpv4 = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(4);
  return isIpv4(text, bytes) ? bytes : undefined;
};

// RFC 4291 section 2.2: up to eight groups of one to four hexadecimal digits, "::" once, the last 32 bits perhaps dotted.
const parseIpv6 = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(16);
  let size = 0;
  let gap = -1;
  let at = 0;
  if (text.startsWith('::')) {
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    if (size > 14) return undefined;
    const colon = text.indexOf(':', at);
    const group = colon < 0 ? text.slice(at) : text.slice(at, colon);
    if (colon < 0 && group.includes('.')) {
      const tail = parseIpv4(group);
      if (tail === undefined || size > 12) return undefined;
      bytes.set(tail, size);
      size += 4;
      break;
    }
    if (group.length === 0 || group.length > 4) return undefined;
    let value = 0;
    for (let i = 0; i < group.length; i++) {
      const digit = hexDigit(group.charCodeAt(i));
      if (digit < 0) return undefined;
      value = value * 16 + digit;
    }
    bytes[size++] = value >> 8;
    bytes[size++] = value & 0xff;
    if (colon < 0) break;
    at = colon + 1;
    if (text.charCodeAt(at) === 0x3a) {
      if (gap >= 0) return undefined;
      gap = size;
      at++;
    } else if (at === text.length) return undefined;
  }
  if (gap < 0) return size === 16 ? bytes : undefined;
  if (size > 14) return undefined; // "::" stands for at least one group
  bytes.copyWithin(16 - (size - gap), gap, size);
  bytes.fill(0, gap, 16 - (size - gap));
  return bytes;
};

const startsWith = (bytes: Uint8Array, prefix: readonly number[]): boolean =>
  prefix.every((octet, i) => bytes[i] === octet);

// RFC 4291 section 2.5.5.2
const MAPPED: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
// RFC 6052 section 2.1: behind a translator every IPv4 client of the world arrives out of this one /96.
const TRANSLATED: readonly number[] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

const isMapped = (bytes: Uint8Array): boolean => bytes.length === 16 && startsWith(bytes, MAPPED);

const parseBytes = (text: string): Uint8Array | undefined => {
  if (text.length > LONGEST_TEXT) return undefined;
  if (!text.includes(':')) return parseIpv4(text);
  // RFC 4007 section 11: a zone says which link of this host, not which peer
  const percent = text.indexOf('%');
  if (percent === text.length - 1) return undefined;
  return parseIpv6(percent < 0 ? text : text.slice(0, percent));
};

/** undefined for anything that is not one whole address: no port, no brackets, no blanks around it. */
export const parseIp = (text: string): Ip | undefined => {
  const bytes = parseBytes(text);
  if (bytes === undefined) return undefined;
  return { bytes: isMapped(bytes) ? bytes.subarray(12) : bytes };
};

/** RFC 5952 section 4: lower case, no leading zeros, the first longest run of zero groups shortened. */
export const writeIp = ({ bytes }: Ip): string => {
  if (bytes.length === 4) return bytes.join('.');
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  let start = -1;
  let longest = 1; // a single zero group is written out
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > longest) {
      start = i;
      longest = end - i;
    }
    if (end > i) i = end;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + longest).join(':')}`;
};

const inPrefix = (bytes: Uint8Array, prefix: Uint8Array, bits: number): boolean => {
  if (bytes.length !== prefix.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== prefix[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (bytes[whole]! ^ prefix[whole]!) >> (8 - rest) === 0;
};

const hasHostBits = (bytes: Uint8Array, bits: number): boolean => {
  const prefix = new Uint8Array(bytes.length);
  prefix.set(bytes.subarray(0, bits >> 3));
  if ((bits & 7) !== 0) prefix[bits >> 3] = bytes[bits >> 3]! & (0xff00 >> (bits & 7));
  return !inPrefix(bytes, prefix, bytes.length * 8);
};

/** An address is the range of itself. Bits set beyond the prefix (10.0.0.1/8) are undefined: such a line trusts more than it says. */
export const parseCidr = (text: string): Cidr | undefined => {
  const slash = text.indexOf('/');
  if (slash < 0) {
    const ip = parseIp(text);
    return ip && { bytes: ip.bytes, bits: ip.bytes.length * 8 };
  }
  if (text.includes('%')) return undefined;
  let bytes = parseBytes(text.slice(0, slash));
  if (bytes === undefined) return undefined;
  let bits = parseDecimal(text.slice(slash + 1), bytes.length * 8);
  if (bits < 0 || hasHostBits(bytes, bits)) return undefined;
  if (isMapped(bytes)) {
    // At least 96, or the ones of ::ffff: would have been host bits
    bytes = bytes.subarray(12);
    bits -= 96;
  }
  return { bytes, bits };
};

/** 0.0.0.0/0 is all of IPv4 and ::/0 all of IPv6: neither reaches into the other. */
export const inCidrs = (ip: Ip, cidrs: readonly Cidr[]): boolean => {
  for (const cidr of cidrs) if (inPrefix(ip.bytes, cidr.bytes, cidr.bits)) return true;
  return false;
};

const LOOPBACK: readonly Cidr[] = [
  { bytes: Uint8Array.of(127, 0, 0, 0), bits: 8 },
  { bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), bits: 128 },
];

export const isLoopback = (ip: Ip): boolean => inCidrs(ip, LOOPBACK);

/**
 * The name under which an address is counted: IPv4 itself, IPv6 its /64, because one subscriber owns 2^64 addresses.
 * What is no address is counted under one name together, so that an odd spelling is no way round a limit.
 */
export const accountingKey = (text: string): string => {
  if (isIpv4(text)) return text; // each has one spelling
  const ip = parseIp(text);
  if (ip === undefined) return 'unknown';
  if (ip.bytes.length === 4) return writeIp(ip);
  if (startsWith(ip.bytes, TRANSLATED)) return writeIp({ bytes: ip.bytes.subarray(12) });
  const network = new Uint8Array(16);
  network.set(ip.bytes.subarray(0, 8));
  return `${writeIp({ bytes: network })}/64`;
};
