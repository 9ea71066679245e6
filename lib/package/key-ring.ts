// kid → whose key that is and what its holder may do. Several kids a node, so that a key can be replaced while its tokens are still on the
// way: add the new one, let the old one retire. Found in a Map by a checked kid and in no other way: no path, no query, no URL can be made of
// it (HOSTILE 68). Holds verifiers, never key material. PROTOCOL.md section 8.2.
import { base64urlDigit } from '../bytes/base64url.js';
import type { KeyRecord, KeySource } from './package.js';

const MOST_KID = 64;

/** `[A-Za-z0-9._-]{1,64}` */
export const isKid = (text: string): boolean => {
  if (text.length === 0 || text.length > MOST_KID) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (base64urlDigit(code) < 0 && code !== 0x2e) return false;
  }
  return true;
};

interface Slot {
  readonly record: KeyRecord;
  /** ms since 1970; from then on nothing that it signed is good. */
  readonly until: number;
}

export class KeyRing implements KeySource {
  readonly #wall: () => number;
  readonly #slots = new Map<string, Slot>();
  readonly #kids = new Map<string, Set<string>>();

  /** `wall`: ms since 1970. */
  constructor(wall: () => number, records: Iterable<KeyRecord> = []) {
    this.#wall = wall;
    for (const record of records) this.add(record);
  }

  /** How many keys there are, those included whose time is over but that nobody has asked for since. */
  get size(): number {
    return this.#slots.size;
  }

  /** A kid is never given twice: a token of the one key must not be taken for one of the other. */
  add(record: KeyRecord): void {
    const { kid, node } = record;
    if (!isKid(kid)) throw new TypeError('a kid has 1 to 64 letters, digits, dots, underscores and dashes');
    if (this.#slots.has(kid)) throw new TypeError(`the kid ${kid} is taken`);
    this.#slots.set(kid, { record, until: Number.POSITIVE_INFINITY });
    const kids = this.#kids.get(node);
    if (kids === undefined) this.#kids.set(node, new Set([kid]));
    else kids.add(kid);
  }

  /** From `at` on (ms since 1970) the key is refused. False: it is not here. */
  retire(kid: string, at: number): boolean {
    if (Number.isNaN(at)) throw new RangeError('the time a key retires must be a number');
    const slot = this.#slots.get(kid);
    if (slot === undefined) return false;
    this.#slots.set(kid, { record: slot.record, until: at });
    return true;
  }

  /** At once. False: it was not here. */
  remove(kid: string): boolean {
    const slot = this.#slots.get(kid);
    if (slot === undefined) return false;
    this.#slots.delete(kid);
    const kids = this.#kids.get(slot.record.node);
    kids?.delete(kid);
    if (kids?.size === 0) this.#kids.delete(slot.record.node);
    return true;
  }

  find(kid: string): KeyRecord | undefined {
    const slot = this.#slots.get(kid);
    if (slot === undefined) return undefined;
    if (this.#wall() < slot.until) return slot.record;
    this.remove(kid);
    return undefined;
  }

  /** Those that are still good, the oldest first. */
  of(node: string): readonly KeyRecord[] {
    return [...(this.#kids.get(node) ?? [])].flatMap((kid) => this.find(kid) ?? []);
  }
}

/** Of a session, or of a node that knows the dispatch alone. */
export const oneKey = (record: KeyRecord): KeySource => ({
  find: (kid) => (kid === record.kid ? record : undefined),
});
