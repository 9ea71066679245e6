// The header fields of one head, read on demand: the head stays one string with four offsets a field, and a name or
// value becomes a string of its own only when somebody asks. An opening handshake reads ten of twenty fields once, so a
// map of all of them would cost more than the parse. No name is ever used as a key, so `__proto__` is a name like others.
// Also writes a single field, refusing what would split a head. Implements RFC 9110 sections 5.1 to 5.5.

import { isValueCode, matchesAt } from './ascii.js';
import { isToken } from './tokens.js';

const NONE: readonly string[] = [];

export class Fields {
  readonly #text: string;
  readonly #whole: boolean;
  /** Four a field: name from, name to, value from, value to. As the code units of a string they take a quarter of the room. */
  readonly #offsets: readonly number[] | string;

  /** `whole`: the text is all of the head as it came, the start line included. */
  constructor(text: string, offsets: readonly number[] | string, whole = false) {
    this.#text = text;
    this.#offsets = offsets;
    this.#whole = whole;
  }

  /** The fields of another head in which every name and value has the same place. */
  like(text: string): Fields {
    return new Fields(text, this.#offsets, this.#whole);
  }

  /** The head as it came; undefined where somebody else has read it. */
  get head(): string | undefined {
    return this.#whole ? this.#text : undefined;
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

  /** How many field lines there are. */
  get size(): number {
    return this.#offsets.length / 4;
  }

  /** The first value of that name, which must be in lower case. */
  get(name: string): string | undefined {
    const at = this.#find(name, 0);
    return at < 0 ? undefined : this.#value(at);
  }

  /** Where in the head the first value of that name begins; -1 when there is none. */
  at(name: string): number {
    const at = this.#find(name, 0);
    return at < 0 ? -1 : this.#offset(at + 2);
  }

  /** Every value of that name in the order of arrival. */
  all(name: string): readonly string[] {
    let at = this.#find(name, 0);
    if (at < 0) return NONE;
    const values = [this.#value(at)];
    for (at = this.#find(name, at + 4); at >= 0; at = this.#find(name, at + 4)) values.push(this.#value(at));
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
