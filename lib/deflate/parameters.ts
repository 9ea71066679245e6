// The parameters of permessage-deflate: a list of offers → what was agreed and the answer; terms → an offer; an answer → what was
// agreed. Knows no zlib and no connection. Implements RFC 7692 sections 5 and 7.1. Names and values are compared as text, never
// used as keys, so `__proto__` is an unknown parameter like any other.
//
// Window bits of 8 are agreed like any other number. zlib cannot make raw deflate with 8 and takes 9 instead, but a deflate of w bits
// looks back at most 2^w - 262 bytes (it keeps room for one longest match): 250 for 9, so a window of 256 is never exceeded.
// Inflating with 8 is something zlib can do. A spec measures the distances.

import { type Fault, fault } from '../fault.js';
import type { Extension } from '../http/extensions.js';

export const DEFLATE_NAME = 'permessage-deflate';

/** What holds for one connection, after the handshake. */
export interface DeflateAgreement {
  /** The server forgets its window after each message it sends. */
  readonly serverNoContext: boolean;
  readonly clientNoContext: boolean;
  /** The server refers back at most 2^serverBits bytes. */
  readonly serverBits: number;
  readonly clientBits: number;
}

/**
 * What our side demands, in the same four words. A NoContext that is true is insisted on, one that is false leaves the choice to the
 * peer; bits are upper limits: a peer that cannot keep to them gets no compression (as a server) or no connection (as a client).
 */
export type DeflateTerms = DeflateAgreement;

const WIDEST = 15;

/** Section 7.1.2: a decimal integer from 8 to 15 without leading zeros. */
const parseBits = (value: string | true): number | undefined => {
  if (value === true) return undefined;
  if (value === '8') return 8;
  if (value === '9') return 9;
  if (value.length !== 2 || value[0] !== '1') return undefined;
  const last = value.charCodeAt(1) - 0x30;
  return last >= 0 && last <= 5 ? 10 + last : undefined;
};

interface Parameters {
  serverNoContext: boolean;
  clientNoContext: boolean;
  serverBits: number | undefined;
  /** `true`: the parameter without a value, "I can be limited". */
  clientBits: number | true | undefined;
}

/** Undefined for what section 7.1 calls invalid: an unknown parameter, one that is repeated, or a value that is not one. */
const parseParameters = (params: Extension['params'], bareClientBits: boolean): Parameters | undefined => {
  const read: Parameters = {
    serverNoContext: false,
    clientNoContext: false,
    serverBits: undefined,
    clientBits: undefined,
  };
  for (const [name, value] of params) {
    if (name === 'server_no_context_takeover') {
      if (read.serverNoContext || value !== true) return undefined;
      read.serverNoContext = true;
    } else if (name === 'client_no_context_takeover') {
      if (read.clientNoContext || value !== true) return undefined;
      read.clientNoContext = true;
    } else if (name === 'server_max_window_bits') {
      const bits = parseBits(value);
      if (read.serverBits !== undefined || bits === undefined) return undefined;
      read.serverBits = bits;
    } else if (name === 'client_max_window_bits') {
      const bits = value === true && bareClientBits ? true : parseBits(value);
      if (read.clientBits !== undefined || bits === undefined) return undefined;
      read.clientBits = bits;
    } else return undefined;
  }
  return read;
};

const writeParameters = (read: Parameters): string => {
  let text: string = DEFLATE_NAME;
  if (read.serverNoContext) text += '; server_no_context_takeover';
  if (read.clientNoContext) text += '; client_no_context_takeover';
  if (read.serverBits !== undefined) text += `; server_max_window_bits=${read.serverBits}`;
  if (read.clientBits === true) text += '; client_max_window_bits';
  else if (read.clientBits !== undefined) text += `; client_max_window_bits=${read.clientBits}`;
  return text;
};

const checkTerms = (terms: DeflateTerms): void => {
  for (const bits of [terms.serverBits, terms.clientBits])
    if (!Number.isInteger(bits) || bits < 8 || bits > WIDEST)
      throw new RangeError(`window bits are 8 to 15, not ${bits}`);
};

const belowWidest = (bits: number): number | undefined => (bits < WIDEST ? bits : undefined);

/** One offer, judged by a server; undefined: declined. */
const judgeOffer = (offer: Extension, terms: DeflateTerms): Parameters | undefined => {
  const asked = parseParameters(offer.params, true);
  if (asked === undefined) return undefined;
  // Section 7.1.2.2: without client_max_window_bits in the offer the answer MUST NOT contain it, and the client may use 15.
  if (asked.clientBits === undefined && terms.clientBits < WIDEST) return undefined;
  const clientBits = Math.min(typeof asked.clientBits === 'number' ? asked.clientBits : WIDEST, terms.clientBits);
  return {
    // Section 7.1.1.1: what was asked for is answered in kind; a server may say it unasked.
    serverNoContext: asked.serverNoContext || terms.serverNoContext,
    // Section 7.1.1.2: a hint from the client that costs us nothing to take, and saves the window.
    clientNoContext: asked.clientNoContext || terms.clientNoContext,
    // Section 7.1.2.1: the same or smaller. Said unasked when it is small, so that the client can save memory.
    serverBits:
      asked.serverBits === undefined ? belowWidest(terms.serverBits) : Math.min(asked.serverBits, terms.serverBits),
    clientBits: typeof asked.clientBits === 'number' ? clientBits : belowWidest(clientBits),
  };
};

const agreementOf = (read: Parameters): DeflateAgreement => ({
  serverNoContext: read.serverNoContext,
  clientNoContext: read.clientNoContext,
  serverBits: read.serverBits ?? WIDEST,
  clientBits: typeof read.clientBits === 'number' ? read.clientBits : WIDEST,
});

/** The server's side. Section 5: the order is the client's preference, so the first offer that can be taken is. */
export const agreeOffer = (
  offers: readonly Extension[],
  terms: DeflateTerms,
): { readonly agreement: DeflateAgreement; readonly answer: string } | undefined => {
  checkTerms(terms);
  for (const offer of offers) {
    if (offer.name !== DEFLATE_NAME) continue;
    const taken = judgeOffer(offer, terms);
    if (taken !== undefined) return { agreement: agreementOf(taken), answer: writeParameters(taken) };
  }
  return undefined;
};

/**
 * The client's one offer. client_max_window_bits always goes along, or a server that limits its windows would have to decline.
 * A second, laxer offer is not made: the terms are limits.
 */
export const writeOffer = (terms: DeflateTerms): string => {
  checkTerms(terms);
  return writeParameters({
    serverNoContext: terms.serverNoContext,
    clientNoContext: terms.clientNoContext,
    serverBits: belowWidest(terms.serverBits),
    clientBits: belowWidest(terms.clientBits) ?? true,
  });
};

/**
 * The client's side of the answer. Without terms nothing was offered. Undefined: the server wants no compression, which is its right.
 * Section 7.1: a client MUST fail the connection when the answer is not one that its offer allows.
 */
export const judgeAnswer = (
  answer: readonly Extension[],
  terms: DeflateTerms | undefined,
): DeflateAgreement | Fault | undefined => {
  const [first, second] = answer;
  if (first === undefined) return undefined;
  if (terms === undefined) return fault('WSD_DIAL_EXTENSION', 'none was offered');
  checkTerms(terms);
  if (first.name !== DEFLATE_NAME) return fault('WSD_DIAL_EXTENSION', 'not permessage-deflate');
  if (second !== undefined) return fault('WSD_DIAL_EXTENSION', 'more than one');
  // Section 7.1.2.2: in an answer client_max_window_bits has a value.
  const read = parseParameters(first.params, false);
  if (read === undefined) return fault('WSD_DIAL_EXTENSION', 'a parameter of permessage-deflate is invalid');
  // Sections 7.1.1.1 and 7.1.2.1: the server accepts these two by repeating them, the bits not larger.
  if (terms.serverNoContext && !read.serverNoContext)
    return fault('WSD_DIAL_EXTENSION', 'server_no_context_takeover was not accepted');
  if ((read.serverBits ?? WIDEST) > terms.serverBits)
    return fault('WSD_DIAL_EXTENSION', 'server_max_window_bits exceeds the offer');
  // Section 7.1.2.2: equal to or smaller than the value offered; without it in the answer, our own limit stays.
  if (typeof read.clientBits === 'number' && read.clientBits > terms.clientBits)
    return fault('WSD_DIAL_EXTENSION', 'client_max_window_bits exceeds the offer');
  return {
    ...agreementOf(read),
    clientNoContext: read.clientNoContext || terms.clientNoContext,
    clientBits: typeof read.clientBits === 'number' ? read.clientBits : terms.clientBits,
  };
};
