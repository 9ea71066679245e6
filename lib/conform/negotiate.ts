// The compression terms of a connection as the fuzzer agrees to them: offers and answers as text ↔ codec terms. Strict about what a
// testee may say. RFC 7692 section 7.1. Knows no HTTP beyond the value of one field.
import type { CodecTerms } from './codec.js';

type Params = ReadonlyMap<string, string | true>;

interface Named {
  readonly name: string;
  readonly params: Params;
}

const unquoted = (value: string): string =>
  value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;

/** undefined for a parameter that comes twice or has no name. */
const parseOne = (text: string): Named | undefined => {
  const [name = '', ...rest] = text.split(';').map((part) => part.trim());
  const params = new Map<string, string | true>();
  for (const part of rest) {
    const equals = part.indexOf('=');
    const key = equals < 0 ? part : part.slice(0, equals).trim();
    if (key === '' || params.has(key)) return undefined;
    params.set(key, equals < 0 ? true : unquoted(part.slice(equals + 1).trim()));
  }
  return name === '' ? undefined : { name, params };
};

const bitsOf = (value: string | true): number | undefined => {
  if (value === true) return undefined;
  const bits = Number(value);
  return String(bits) === value && Number.isInteger(bits) && bits >= 8 && bits <= 15 ? bits : undefined;
};

const SWITCHES: readonly string[] = ['server_no_context_takeover', 'client_no_context_takeover'];

interface Terms {
  readonly serverNoContext: boolean;
  readonly clientNoContext: boolean;
  readonly serverBits: number | undefined;
  /** true: named without a value, which only an offer may do. */
  readonly clientBits: number | true | undefined;
}

/** undefined for a parameter that is unknown or has no legal value. */
const readTerms = (params: Params, side: 'offer' | 'answer'): Terms | undefined => {
  let serverBits: number | undefined;
  let clientBits: number | true | undefined;
  for (const [key, value] of params) {
    if (SWITCHES.includes(key)) {
      if (value !== true) return undefined;
    } else if (key === 'server_max_window_bits') {
      serverBits = bitsOf(value);
      if (serverBits === undefined) return undefined;
    } else if (key === 'client_max_window_bits') {
      clientBits = value === true && side === 'offer' ? true : bitsOf(value);
      if (clientBits === undefined) return undefined;
    } else return undefined;
  }
  return {
    serverNoContext: params.has('server_no_context_takeover'),
    clientNoContext: params.has('client_no_context_takeover'),
    serverBits,
    clientBits,
  };
};

/** What a server answered to an offer of ours. A sentence when it said something it may not say. */
export const readAnswer = (value: string): CodecTerms | string => {
  if (value.includes(',')) return 'more than one extension in the answer';
  const one = parseOne(value);
  if (one === undefined) return 'the extensions of the answer cannot be read';
  if (one.name !== 'permessage-deflate') return `the extension ${one.name} was not offered`;
  const terms = readTerms(one.params, 'answer');
  if (terms === undefined) return 'the answer has an unknown or illegal parameter of permessage-deflate';
  return {
    sendBits: typeof terms.clientBits === 'number' ? terms.clientBits : 15,
    sendNoContext: terms.clientNoContext,
    receiveBits: terms.serverBits ?? 15,
    receiveNoContext: terms.serverNoContext,
  };
};

interface Accepted {
  readonly answer: string;
  readonly terms: CodecTerms;
}

/** What each of the seven ways to accept asks of the client. 5 and 6 join 2 with 3 and 4. */
const ASKS: Readonly<Record<number, { readonly noContext: boolean; readonly bits: number | undefined }>> = {
  1: { noContext: false, bits: undefined },
  2: { noContext: true, bits: undefined },
  3: { noContext: false, bits: 9 },
  4: { noContext: false, bits: 15 },
  5: { noContext: true, bits: 9 },
  6: { noContext: true, bits: 15 },
};

const acceptOne = (offer: Terms, way: number): Accepted | undefined => {
  const asks = ASKS[way];
  if (asks === undefined) return undefined;
  // Section 7.1.2.2: a window for the client only where the client said that it understands this.
  if (asks.bits !== undefined && offer.clientBits === undefined) return undefined;
  const words = ['permessage-deflate'];
  if (offer.serverNoContext) words.push('server_no_context_takeover');
  if (offer.serverBits !== undefined) words.push(`server_max_window_bits=${offer.serverBits}`);
  if (asks.noContext) words.push('client_no_context_takeover');
  if (asks.bits !== undefined) words.push(`client_max_window_bits=${asks.bits}`);
  return {
    answer: words.join('; '),
    terms: {
      sendBits: offer.serverBits ?? 15,
      sendNoContext: offer.serverNoContext,
      receiveBits: asks.bits ?? 15,
      receiveNoContext: asks.noContext,
    },
  };
};

/** What we answer to the offers of a client. undefined: no compression. A sentence: the offer itself is wrong (400). */
export const acceptOffer = (value: string | undefined, way: number): Accepted | string | undefined => {
  if (value === undefined) return undefined;
  const offers: Terms[] = [];
  for (const text of value.split(',')) {
    const one = parseOne(text.trim());
    if (one === undefined) return 'the extensions of the request cannot be read';
    if (one.name !== 'permessage-deflate') continue;
    const terms = readTerms(one.params, 'offer');
    if (terms === undefined) return 'an unknown or illegal parameter of permessage-deflate is offered';
    offers.push(terms);
  }
  const first = offers[0];
  if (first === undefined) return undefined;
  if (way !== 7) return acceptOne(first, way);
  return acceptOne(first, 5) ?? acceptOne(first, 2) ?? acceptOne(first, 1);
};
