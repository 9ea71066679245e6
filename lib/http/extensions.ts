// Sec-WebSocket-Extensions values ↔ a list of extensions with their parameters. One pass with a cursor: unclosed quotes
// and miles of spaces are what this header is attacked with. Names are never keys of an object, so `__proto__` is just an
// extension that nobody knows. Implements RFC 6455 section 9.1. Must not know what any extension means.

import { isSpace } from './ascii.js';
import { isToken, isTokenCode } from './tokens.js';

export interface Extension {
  readonly name: string;
  /** In the order of arrival, repetitions included: whether a parameter may repeat is for the extension to say. */
  readonly params: ReadonlyArray<readonly [name: string, value: string | true]>;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at >= this.#text.length;
  }

  skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++;
  }

  take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  /** A token, or undefined where none stands. */
  takeToken(): string | undefined {
    const start = this.#at;
    while (isTokenCode(this.#text.charCodeAt(this.#at))) this.#at++;
    return this.#at > start ? this.#text.slice(start, this.#at) : undefined;
  }

  /** After the opening quote. RFC 6455 section 9.1: what the quotes hold must be a token once unescaped. */
  takeQuoted(): string | undefined {
    let value = '';
    for (;;) {
      if (this.take(QUOTE)) return value === '' ? undefined : value;
      this.take(BACKSLASH);
      // A token that follows one backslash starts with the escaped character, so runs can be taken whole.
      const run = this.takeToken();
      if (run === undefined) return undefined;
      value += run;
    }
  }
}

const parseExtension = (cursor: Cursor): Extension | undefined => {
  const name = cursor.takeToken();
  if (name === undefined) return undefined;
  const params: (readonly [string, string | true])[] = [];
  for (;;) {
    cursor.skipSpace();
    if (!cursor.take(SEMICOLON)) return { name, params };
    cursor.skipSpace();
    const param = cursor.takeToken();
    if (param === undefined) return undefined;
    cursor.skipSpace();
    if (!cursor.take(EQUALS)) {
      params.push([param, true]);
      continue;
    }
    cursor.skipSpace();
    const value = cursor.take(QUOTE) ? cursor.takeQuoted() : cursor.takeToken();
    if (value === undefined) return undefined;
    params.push([param, value]);
  }
};

/**
 * Every extension of every header line, in order (several lines are one list, RFC 9110 section 5.3). Undefined when the
 * grammar is broken, or when there are lines but no extension on them: the list is `1#extension`.
 */
export const parseExtensions = (values: readonly string[]): Extension[] | undefined => {
  const extensions: Extension[] = [];
  for (const value of values) {
    const cursor = new Cursor(value);
    for (;;) {
      cursor.skipSpace();
      // RFC 9110 section 5.6.1.2: empty elements are ignored.
      if (cursor.take(COMMA)) continue;
      if (cursor.ended) break;
      const extension = parseExtension(cursor);
      if (extension === undefined) return undefined;
      extensions.push(extension);
      if (!cursor.ended && !cursor.take(COMMA)) return undefined;
    }
  }
  return values.length > 0 && extensions.length === 0 ? undefined : extensions;
};

/** One extension as it stands in the header. Throws a TypeError where the wire form would not read back as the same. */
export const writeExtension = (extension: Extension): string => {
  let text = extension.name;
  if (!isToken(text)) throw new TypeError('the name of an extension must be a token');
  for (const [name, value] of extension.params) {
    if (!isToken(name) || (value !== true && !isToken(value))) {
      throw new TypeError('names and values of extension parameters must be tokens');
    }
    text += value === true ? `; ${name}` : `; ${name}=${value}`;
  }
  return text;
};
