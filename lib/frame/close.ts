// The body of a Close frame, RFC 6455 sections 5.5.1 and 7.4: bytes ↔ code and reason, and which codes may travel.
// Later registrations (1012-1014) are in the IANA registry of close codes.
import { isUtf8 } from '../bytes/utf8.js';
import { type Fault, fault } from '../fault.js';

export interface CloseBody {
  /** 1005 when the frame had no body (section 7.1.5). */
  readonly code: number;
  readonly reason: string;
}

const NAMES: Readonly<Record<number, string>> = {
  1000: 'normal closure',
  1001: 'going away',
  1002: 'protocol error',
  1003: 'unsupported data',
  1005: 'no status received',
  1006: 'abnormal closure',
  1007: 'invalid payload data',
  1008: 'policy violation',
  1009: 'message too big',
  1010: 'mandatory extension',
  1011: 'internal error',
  1012: 'service restart',
  1013: 'try again later',
  1014: 'bad gateway',
  1015: 'TLS handshake failed',
};

export const closeName = (code: number): string =>
  NAMES[code] ?? (code >= 3000 && code < 4000 ? 'registered' : code >= 4000 && code < 5000 ? 'private' : 'unassigned');

/** Section 7.4.1: 1004-1006 and 1015 never appear in a frame; 7.4.2: 0-999 are not used, 3000-4999 are for libraries and applications. */
export const isReceivableCode = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);

/** What our own caller may ask for: the same codes. */
export const isSendableCode: (code: number) => boolean = isReceivableCode;

/** Section 5.5.1: either empty, or a two-octet code followed by a UTF-8 reason. */
export const parseClose = (payload: Uint8Array): CloseBody | Fault => {
  if (payload.length === 0) return { code: 1005, reason: '' };
  if (payload.length === 1) return fault('WSD_FRAME_CLOSE_BODY');
  const code = ((payload[0] as number) << 8) | (payload[1] as number);
  if (!isReceivableCode(code)) return fault('WSD_FRAME_CLOSE_CODE', String(code));
  const reason = payload.subarray(2);
  if (!isUtf8(reason)) return fault('WSD_FRAME_CLOSE_REASON');
  return { code, reason: Buffer.from(reason.buffer, reason.byteOffset, reason.byteLength).toString('utf8') };
};

/** Throws for a code that must not travel and for a reason over 123 octets: both are mistakes of our own caller. */
export const writeClose = (code?: number, reason = ''): Uint8Array => {
  if (code === undefined) {
    if (reason !== '') throw new TypeError('a close reason needs a close code');
    return new Uint8Array(0);
  }
  if (typeof code !== 'number' || !Number.isInteger(code) || !isSendableCode(code)) {
    throw new RangeError(`close code ${String(code)} must not be sent: use 1000-1003, 1007-1014 or 3000-4999`);
  }
  if (typeof reason !== 'string') throw new TypeError('a close reason must be a string');
  const text = Buffer.from(reason, 'utf8');
  // Section 5.5: a control frame carries at most 125 octets, two of which are the code.
  if (text.length > 123)
    throw new RangeError(`a close reason takes at most 123 bytes of UTF-8, this one has ${text.length}`);
  const body = new Uint8Array(2 + text.length);
  body[0] = code >> 8;
  body[1] = code & 255;
  body.set(text, 2);
  return body;
};
