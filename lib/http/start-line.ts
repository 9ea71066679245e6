// The first line of a head, already cut out and free of control characters → what is wrong with it, or its numbers.
// Reads only the few bytes that the scanner in head.ts has not judged: the method, the version, the status.
// Implements RFC 9112 sections 2.3 (version), 3 (request line) and 4 (status line). Knows nothing of chunks or fields.

import type { FaultCode } from '../fault.js';
import { isDigit, isLetter, SP } from './ascii.js';
import { isTokenCode } from './tokens.js';

/** No registered method is half as long; what is longer is some other protocol talking. */
export const METHOD_LIMIT = 32;

const PREFIX = [0x48, 0x54, 0x54, 0x50, 0x2f]; // HTTP/

/** Major and minor as 11 for HTTP/1.1; undefined when the eight bytes at `at` are no version. */
const parseVersion = (bytes: Uint8Array, at: number, end: number): number | undefined => {
  if (end - at < 8) return undefined;
  for (let i = 0; i < 5; i++) if (bytes[at + i] !== PREFIX[i]) return undefined;
  const major = bytes[at + 5]!;
  const minor = bytes[at + 7]!;
  if (!isDigit(major) || bytes[at + 6] !== 0x2e || !isDigit(minor)) return undefined;
  return (major - 0x30) * 10 + (minor - 0x30);
};

/**
 * A method is a token (RFC 9110 section 9.1). That it starts with a letter is our own rule: it tells the greetings of
 * mail and other servers (`220 …`, `+OK …`, `* OK …`) from HTTP at their first byte.
 */
export const checkMethod = (bytes: Uint8Array, from: number, to: number): FaultCode | undefined => {
  if (from === to || to - from > METHOD_LIMIT || !isLetter(bytes[from]!)) return 'WSD_HTTP_NOT_HTTP';
  for (let i = from; i < to; i++) if (!isTokenCode(bytes[i]!)) return 'WSD_HTTP_NOT_HTTP';
  return undefined;
};

/** RFC 6455 section 4.2.1: HTTP/1.1 or higher. A higher minor number reads as 1.1 (RFC 9110 section 2.5). */
export const checkRequestVersion = (bytes: Uint8Array, from: number, to: number): FaultCode | undefined => {
  const version = to - from === 8 ? parseVersion(bytes, from, to) : undefined;
  if (version === undefined) return 'WSD_HTTP_REQUEST_LINE';
  // The preface of HTTP/2 is a well-formed request line with version 2.0, made for this answer (RFC 9113 section 3.4).
  return version < 11 || version > 19 ? 'WSD_HTTP_VERSION' : undefined;
};

/**
 * The status of a status line, or undefined when it is none. HTTP/1.0 is let through because proxies still answer
 * CONNECT with it, but it has no 1xx answers (RFC 9110 section 15.2). A missing space before an empty reason is forgiven.
 */
export const parseStatus = (bytes: Uint8Array, from: number, to: number): number | undefined => {
  const version = parseVersion(bytes, from, to);
  if (version === undefined || version < 10 || version > 19) return undefined;
  if (to - from < 12 || bytes[from + 8] !== SP) return undefined;
  let status = 0;
  for (let i = from + 9; i < from + 12; i++) {
    if (!isDigit(bytes[i]!)) return undefined;
    status = status * 10 + bytes[i]! - 0x30;
  }
  if (to - from > 12 && bytes[from + 12] !== SP) return undefined;
  if (status < 100 || status > 599 || (status < 200 && version === 10)) return undefined;
  return status;
};
