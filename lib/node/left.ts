// Documents that were ours until a moment ago, and their last state: a revoke may come a second time over another connection, or cross with a
// release. For some leases, and so many. PROTOCOL.md section 9.1.
import type { Document } from './document.js';

const MOST = 1_024;
const LEASES = 4;

interface Entry {
  readonly document: Document;
  /** Monotonic ms. */
  readonly until: number;
  /** When it was handed over; a package sent later that was answered proves that it has arrived. */
  handedAt: number | undefined;
  /** It was brought again. */
  brought: boolean;
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
    this.#entries.set(key, { document, until: now + this.#keep, handedAt: undefined, brought: false });
  }

  find(user: string, epoch: number): Document | undefined {
    const found = this.#entries.get(user)?.document;
    return found?.epoch === epoch ? found : undefined;
  }

  handed(document: Document, now: number): void {
    const entry = this.#entries.get(keyOf(document));
    if (entry?.document === document) entry.handedAt = now;
  }

  /** Those whose last state may not be stored, each once. `proven`: what was sent until then has arrived. */
  unsure(proven: number): Document[] {
    const unsure: Document[] = [];
    for (const entry of this.#entries.values()) {
      const { document, handedAt, brought } = entry;
      const lost = document.why === 'fenced' || (handedAt !== undefined && handedAt >= proven);
      if (brought || !lost || !document.dirty) continue;
      entry.brought = true;
      unsure.push(document);
    }
    return unsure;
  }

  forget(now: number): void {
    for (const [key, { until }] of this.#entries) {
      if (until > now && this.#entries.size < MOST) return;
      this.#entries.delete(key);
    }
  }
}

/** Of the user, or of the document that all share: no Snowflake reads like that. */
export const keyOf = ({ user }: { readonly user?: string | undefined }): string => user ?? 'shared';
