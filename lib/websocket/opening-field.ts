// A header field that the application adds to an opening handshake, on either side → its line. Refuses the fields that the
// handshake consists of, which would be sent twice, and those that would give the head a body. Nothing of the peer comes here.

import { writeField } from '../http/fields.js';

const RESERVED: ReadonlySet<string> = new Set(['host', 'upgrade', 'connection', 'content-length', 'transfer-encoding']);

/** Throws a TypeError on a field that is not the application's to give, or that could split the head. */
export const writeOwnField = (name: string, value: string): string => {
  const lower = name.toLowerCase();
  if (RESERVED.has(lower) || lower.startsWith('sec-websocket-')) {
    throw new TypeError(`${name} belongs to the opening handshake and cannot be given`);
  }
  return writeField(name, value);
};
