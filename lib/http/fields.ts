// The header fields of one head, read on demand: the head stays one string with four offsets a field, and a name or
// value becomes a string of its own only when somebody asks. An opening handshake reads ten of twenty fields once, so a
// map of all of them would cost more than the parse. No name is ever used as a key, so `__proto__` is a name like others.
// Also writes a single field, refusing what would split a head. Implements RFC 9110 sections 5.1 to 5.5.

import { isValueCode, matchesAt } from './ascii.js';
import { isToken } from './tokens.js';

export class Fields {
  readonly #text: string;
  /** Four a field: name from, name to, value from, value to. */
  #offsets: readonly number[] | string;

  constructor(text: string, offsets: readonly number[]) {
    this.#text = text;
    this.#offsets = offsets;
  }

  /** Fields from name and value pairs that somebody else has parsed, such as node's `rawHeaders` taken in twos. */
  static from(pairs: Iterable<readonly [name: string, value: string]>): Fields {
    const parts: string[] = [];
    const offsets: number[] = [];
    let at = 0;
    for (const [name, value] of pairs) {
      parts.push(name, value);
      const middle = at + name.length;
      offsets.push(at, middle, middle, middle + value.length);
      at = middle + value.length;
    }
    return new Fields(parts.join(''), offsets);
  }

  /** For a head that is kept for long: two bytes an offset instead of eight. */
  compact(): this {
    if (typeof this.#offsets !== 'string' && this.#text.length < 0x10000) {
      this.#offsets = String.fromCharCode(...this.#offsets);
    }
    return this;
  }

  /** How many field lines there are. */
  get size(): number {
    return this.#offsets.length / 4;
  }

  /** The first value of that name, which must be in lower case. */
  get(name: string): string | undefined {
    const at = this.#find(name, 0);
    return at < 0 ? undefined : this.#value(at);
  }

  /** Every value of that name in the order of arrival. */
  all(name: string): string[] {
    const values: string[] = [];
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at + 4)) values.push(this.#value(at));
    return values;
  }

  count(name: string): number {
    let count = 0;
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at + 4)) count++;
    return count;
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0;
  }

  /** Names as the peer wrote them, with their values, in the order of arrival. */
  *entries(): Generator<[name: string, value: string]> {
    for (let at = 0; at < this.#offsets.length; at += 4) {
      yield [this.#text.slice(this.#offset(at), this.#offset(at + 1)), this.#value(at)];
    }
  }

  #offset(at: number): number {
    const offsets = this.#offsets;
    return typeof offsets === 'string' ? offsets.charCodeAt(at) : offsets[at]!;
  }

  #value(at: number): string {
    return this.#text.slice(this.#offset(at + 2), this.#offset(at + 3));
  }

  #find(name: string, from: number): number {
    const size = this.#offsets.length;
    for (let at = from; at < size; at += 4) {
      const start = this.#offset(at);
      if (this.#offset(at + 1) - start === name.length && matchesAt(this.#text, start, name)) return at;
    }
    return -1;
  }
}

/**
 * One field line with its CR LF. Throws a TypeError on a name or value that could start a line of its own: values that
 * come from a request must not be able to write a second field (RFC 9110 section 5.5).
 */
export const writeField = (name: string, value: string): string => {
  if (typeof value !== 'string') throw new TypeError(`the value of ${String(name)} must be a string`);
  if (!isToken(name)) throw new TypeError(`not a header field name: ${JSON.stringify(name)}`);
  for (let i = 0; i < value.length; i++) {
    if (!isValueCode(value.charCodeAt(i))) throw new TypeError(`the value of ${name} holds a character it must not`);
  }
  return `${name}: ${value}\r\n`;
};
