// A name or an address as people write it → a GeneralName of a certificate (RFC 5280 section 4.2.1.6). Only what can be compared with what one
// dials: DNS names (RFC 9525 section 6.3 for the wildcard), IPv4 and IPv6 addresses. Mistakes of the caller are thrown.
import { element } from './der.js';
import { GENERAL_NAME } from './x509-extensions.js';

export const writeGeneralName = (text: string): Uint8Array => {
  const address = readAddress(text);
  if (address !== undefined) return element(GENERAL_NAME.address, Uint8Array.from(address));
  if (!isDnsName(text)) {
    throw new RangeError(
      `not a DNS name or an address: ${JSON.stringify(text)}${isAscii(text) ? '' : ' (write xn--…)'}`,
    );
  }
  return element(GENERAL_NAME.dns, new TextEncoder().encode(text.toLowerCase()));
};

/** Its 4 or 16 octets; in brackets as in a URL, too. */
export const readAddress = (text: string): readonly number[] | undefined => {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  return bare.includes(':') ? readV6(bare) : readV4(text);
};

const isAscii = (text: string): boolean => [...text].every((letter) => letter < '\u0080');

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;

/** A wildcard is the whole first label, with two more at least: `*.com` would be everybody. */
export const isDnsName = (text: string): boolean => {
  const wild = text.startsWith('*.');
  const labels = (wild ? text.slice(2) : text).split('.');
  // A last label of digits makes it a broken IPv4 address.
  return (
    text.length <= 253 &&
    labels.length >= (wild ? 2 : 1) &&
    labels.every((label) => LABEL.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  );
};

const readV4 = (text: string): number[] | undefined => {
  const parts = text.split('.');
  const isOctet = (part: string): boolean => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(isOctet) ? parts.map(Number) : undefined;
};

/** RFC 4291 section 2.2: groups, one `::`, an IPv4 address as the last two groups; no zone. */
const readV6 = (text: string): number[] | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, at) => (half === '' ? [] : readGroups(half, at === halves.length - 1)));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  if (tail === undefined) return head.length === 16 ? head : undefined;
  const gap = 16 - head.length - tail.length;
  return gap >= 2 ? [...head, ...new Array<number>(gap).fill(0), ...tail] : undefined;
};

/** An IPv4 address can be the end of the whole. */
const readGroups = (text: string, last: boolean): number[] | undefined => {
  const groups = text.split(':');
  const octets: number[] = [];
  for (const [at, group] of groups.entries()) {
    const v4 = last && at === groups.length - 1 ? readV4(group) : undefined;
    if (v4 !== undefined) octets.push(...v4);
    else if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    else octets.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff);
  }
  return octets;
};
