// Text → is it the name of a node, a Snowflake, the id of a token. Each character is looked at once, nothing can backtrack: these are asked
// about everything a peer sends before it becomes a key of a Map or a subject of a bus. PROTOCOL.md sections 8.1 and 8.2.
import { LENGTHS } from './limits.js';

const isAlphanumeric = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);

const DASH = 0x2d;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;

/** Letters, digits, `.`, `_`, `-`; the first and the last are a letter or a digit. Of any length: too long is another fault. */
export const isNodeText = (text: string): boolean => {
  const last = text.length - 1;
  if (last < 0 || !isAlphanumeric(text.charCodeAt(0)) || !isAlphanumeric(text.charCodeAt(last))) return false;
  for (let i = 1; i < last; i++) {
    const code = text.charCodeAt(i);
    if (!isAlphanumeric(code) && code !== DOT && code !== UNDERSCORE && code !== DASH) return false;
  }
  return true;
};

/** `[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?` */
export const isNodeID = (text: string): boolean => text.length <= LENGTHS.node && isNodeText(text);

/** Digits that do not begin with 0. Of any length. */
export const isSnowflakeText = (text: string): boolean => {
  if (text.length === 0 || text.charCodeAt(0) === 0x30) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return false;
  }
  return true;
};

/** 2^64 - 1. Texts of the same length compare as their numbers do. */
const GREATEST_SNOWFLAKE = '18446744073709551615';

/** `[1-9][0-9]{0,19}`, at most 2^64 - 1. */
export const isSnowflake = (text: string): boolean =>
  isSnowflakeText(text) &&
  text.length <= LENGTHS.snowflake &&
  (text.length < LENGTHS.snowflake || text <= GREATEST_SNOWFLAKE);

const SHORTEST_JTI = 8;

/** `[A-Za-z0-9_-]{8,}`. Of any length from there. */
export const isJtiText = (text: string): boolean => {
  if (text.length < SHORTEST_JTI) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isAlphanumeric(code) && code !== UNDERSCORE && code !== DASH) return false;
  }
  return true;
};

/** `[A-Za-z0-9_-]{8,64}` */
export const isJti = (text: string): boolean => text.length <= LENGTHS.jti && isJtiText(text);
