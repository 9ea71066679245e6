// The store that forgets: records and conflict copies in memory, for embedders that keep their data elsewhere, and for specs. It keeps
// the same text as the durable one, so that nobody changes a record by changing a document that was handed in or out.
import type { ConflictCopy, OwnershipRecord, Store } from '../dispatch/ports.js';
import {
  checkKey,
  crowdedOut,
  type Head,
  isHead,
  isSameConflict,
  NO_HEAD,
  parseConflict,
  parseHead,
  parseRecord,
  StoreError,
  writeConflict,
  writeRecord,
} from './text.js';

export class MemoryStore implements Store {
  readonly #records = new Map<string, string>();
  readonly #conflicts = new Map<string, readonly string[]>();
  #closed = false;

  async get(key: string): Promise<OwnershipRecord | undefined> {
    this.#check(key);
    const text = this.#records.get(key);
    return text === undefined ? undefined : parseRecord(text, key);
  }

  async commit(key: string, expect: Head, next: OwnershipRecord): Promise<boolean> {
    this.#check(key);
    const text = this.#records.get(key);
    if (!isHead(text === undefined ? NO_HEAD : parseHead(text, key), expect)) return false;
    this.#records.set(key, writeRecord(next));
    return true;
  }

  async keepConflict(copy: ConflictCopy): Promise<void> {
    this.#check(copy.key);
    const kept = this.#conflicts.get(copy.key) ?? [];
    const copies = kept.map((text) => parseConflict(text, copy.key));
    if (copies.some((other) => isSameConflict(other, copy))) return;
    const out = crowdedOut(copies, copy);
    this.#conflicts.set(copy.key, [...kept.filter((_, i) => i !== out), writeConflict(copy)]);
  }

  async conflicts(key: string): Promise<readonly ConflictCopy[]> {
    this.#check(key);
    return (this.#conflicts.get(key) ?? []).map((text) => parseConflict(text, key));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(key: string): void {
    if (this.#closed) throw new StoreError('closed', 'the store is closed');
    checkKey(key);
  }
}

export const memoryStore = (): Store => new MemoryStore();
