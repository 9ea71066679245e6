// The key of an opening handshake: whether it is one, and the answer that proves a server read it as such.
// Implements RFC 6455 sections 4.1 (item 7 of the request), 4.2.2 (item 5.4) and 1.3.

import { sha1Base64 } from '../crypto/digest.js';
import { isDigit, isLetter } from '../http/ascii.js';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const EQUALS = 0x3d;

export const acceptKey = (key: string): string => sha1Base64(key + GUID);

/** Sixteen bytes in canonical base64: the last digit carries four bits that must be zero (RFC 4648 section 3.5). */
export const isKey = (key: string): boolean => {
  if (key.length !== 24 || key.charCodeAt(22) !== EQUALS || key.charCodeAt(23) !== EQUALS) return false;
  for (let i = 0; i < 22; i++) {
    const code = key.charCodeAt(i);
    if (!isLetter(code) && !isDigit(code) && code !== 0x2b && code !== 0x2f) return false;
  }
  const last = key.charAt(21);
  return last === 'A' || last === 'Q' || last === 'g' || last === 'w';
};
