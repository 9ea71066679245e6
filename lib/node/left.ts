// Documents that were ours until a moment ago, and their last state: a revoke may come a second time over another connection, or cross with a
// release. For some leases, and so many; one whose last state may not be stored, until it is. PROTOCOL.md section 9.1.
import type { Document } from './document.js';

const MOST = 1_024;
const LEASES = 4;

interface Entry {
  readonly document: Document;
  /** Monotonic ms. */
  readonly until: number;
}

export class Left {
  readonly #keep: number;
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>();

  /** `lease`: ms. */
  constructor(lease: number) {
    this.#keep = lease * LEASES;
  }

  add(document: Document, now: number): void {
    this.forget(now);
    const key = keyOf(document);
    this.#entries.delete(key);
    this.#entries.set(key, { document, until: now + this.#keep });
  }

  find(user: string, epoch: number): Document | undefined {
    const found = this.#entries.get(user)?.document;
    return found?.epoch === epoch ? found : undefined;
  }

  /** Those whose last state may not be stored. */
  unsure(): Document[] {
    return [...this.#entries.values()].flatMap(({ document }) => (document.dirty ? [document] : []));
  }

  forget(now: number): void {
    for (const [key, { document, until }] of this.#entries) {
      if (until > now && this.#entries.size < MOST) return;
      if (!document.dirty) this.#entries.delete(key);
    }
  }
}

/** Of the user, or of the document that all share: no Snowflake reads like that. */
export const keyOf = ({ user }: { readonly user?: string | undefined }): string => user ?? 'shared';
