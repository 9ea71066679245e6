// The durable store of one machine: LevelDB in a directory, by classic-level, which is loaded when a store is opened and not before. What
// is resolved has been written to the disk (fsync). PROTOCOL.md section 9.1.
//
// One batch at a time is under way. What is asked meanwhile goes into the next one together, whatever its key, so that a thousand writers
// share an fsync; within a batch each compare-and-set sees the ones before it. A batch is written as a whole or not at all.
//
// After a batch that failed, as on a full disk, LevelDB would go on writing behind what it has written of it, and when it is opened again it loses
// all of that without a word, though it was synced. So nothing is written then before the database was closed and opened, which begins a new log.
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClassicLevel } from 'classic-level';
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

type Database = ClassicLevel<string, string>;
type Change =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string };

/** The one schema there is so far; a directory of another is not touched. */
const SCHEMA = '1';
const SCHEMA_KEY = 'wsd/schema';
const recordKey = (key: string): string => `record/${key}`;
/** Of the number of a conflict copy, so that their order is that of the keys. */
const DIGITS = 16;
const conflictKey = (key: string, number: number): string => `conflict/${key}/${String(number).padStart(DIGITS, '0')}`;
/** All conflict copies of a key: '0' is the character after '/'. */
const conflictRange = (key: string): { readonly gte: string; readonly lt: string } => ({
  gte: `conflict/${key}/`,
  lt: `conflict/${key}0`,
});

/** Operations that share a batch, at most: so much must fit into memory at once. */
const MAX_BATCH = 256;

/** What a batch will have changed: made one operation at a time, each seeing those before it. */
interface Draft {
  readonly heads: Map<string, Head>;
  /** The oldest first. */
  readonly conflicts: Map<string, readonly Numbered[]>;
  readonly changes: Map<string, Change>;
}

interface Numbered {
  readonly number: number;
  readonly copy: ConflictCopy;
}

interface Operation {
  readonly key: string;
  readonly kind: 'commit' | 'conflict';
  readonly draw: (draft: Draft) => boolean;
  readonly resolve: (written: boolean) => void;
  readonly reject: (error: unknown) => void;
}

class LevelStore implements Store {
  readonly #database: Database;
  readonly #directory: string;
  #queue: Operation[] = [];
  #writing: Promise<void> | undefined;
  /** Its log ends in what a batch that failed has left. */
  #torn = false;
  #mending: Promise<void> | undefined;
  readonly #reading = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(database: Database, directory: string) {
    this.#database = database;
    this.#directory = directory;
  }

  async get(key: string): Promise<OwnershipRecord | undefined> {
    this.#check(key);
    const text = await this.#look(() => this.#database.get(recordKey(key)));
    return text === undefined ? undefined : parseRecord(text, this.#where(key));
  }

  async commit(key: string, expect: Head, next: OwnershipRecord): Promise<boolean> {
    this.#check(key);
    const value = writeRecord(next);
    const { epoch, version } = next;
    return this.#enqueue(key, 'commit', (draft) => {
      if (!isHead(draft.heads.get(key) ?? NO_HEAD, expect)) return false;
      draft.heads.set(key, { epoch, version });
      draft.changes.set(recordKey(key), { type: 'put', key: recordKey(key), value });
      return true;
    });
  }

  async keepConflict(copy: ConflictCopy): Promise<void> {
    const { key } = copy;
    this.#check(key);
    const value = writeConflict(copy);
    await this.#enqueue(key, 'conflict', (draft) => {
      const kept = draft.conflicts.get(key) ?? [];
      const copies = kept.map((one) => one.copy);
      if (copies.some((other) => isSameConflict(other, copy))) return true;
      const number = (kept.at(-1)?.number ?? 0) + 1;
      const name = conflictKey(key, number);
      draft.changes.set(name, { type: 'put', key: name, value });
      const out = kept[crowdedOut(copies, copy)];
      const gone = out === undefined ? undefined : conflictKey(key, out.number);
      if (gone !== undefined) draft.changes.set(gone, { type: 'del', key: gone });
      draft.conflicts.set(key, [...kept.filter((one) => one !== out), { number, copy }]);
      return true;
    });
  }

  async conflicts(key: string): Promise<readonly ConflictCopy[]> {
    this.#check(key);
    const texts = await this.#look(() => this.#database.values(conflictRange(key)).all());
    return texts.map((text) => parseConflict(text, this.#where(key)));
  }

  /** What was asked before is written first. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#writing;
      await this.#mending?.catch(() => {});
      await this.#database.close();
    })();
    return this.#closing;
  }

  #check(key: string): void {
    if (this.#closing !== undefined) throw new StoreError('closed', 'the store is closed');
    checkKey(key);
  }

  #where(key: string): string {
    return `the record of ${key} in ${this.#directory}`;
  }

  #enqueue(key: string, kind: Operation['kind'], draw: Operation['draw']): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ key, kind, draw, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    // What is asked in the same turn shares the first batch already.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#writeBatch(this.#queue.splice(0, MAX_BATCH));
    this.#writing = undefined;
  }

  /** What cannot be read fails those only who asked for it; a batch that cannot be written fails all. */
  async #writeBatch(operations: readonly Operation[]): Promise<void> {
    const draft: Draft = { heads: new Map(), conflicts: new Map(), changes: new Map() };
    const drawn: { readonly operation: Operation; readonly written: boolean }[] = [];
    try {
      if (this.#torn) await this.#mend();
      const damaged = await this.#read(operations, draft);
      for (const operation of operations) {
        const error = damaged.get(`${operation.kind} ${operation.key}`);
        if (error === undefined) drawn.push({ operation, written: operation.draw(draft) });
        else operation.reject(error);
      }
      if (draft.changes.size > 0) await this.#put([...draft.changes.values()]);
    } catch (cause) {
      const error = new StoreError('failed', `${this.#directory} cannot be written: ${messageOf(cause)}`, cause);
      for (const operation of operations) operation.reject(error);
      return;
    }
    for (const { operation, written } of drawn) operation.resolve(written);
  }

  async #put(changes: Change[]): Promise<void> {
    try {
      await this.#database.batch(changes, { sync: true });
    } catch (error) {
      this.#torn = true;
      throw error;
    }
  }

  /** Readers need no sound log; but while it is mended there is no database. */
  async #look<Found>(read: () => Promise<Found>): Promise<Found> {
    if (this.#mending !== undefined || this.#database.status !== 'open') await this.#mend();
    const found = read();
    this.#reading.add(found);
    try {
      return await found;
    } finally {
      this.#reading.delete(found);
    }
  }

  #mend(): Promise<void> {
    this.#mending ??= this.#reopen().finally(() => {
      this.#mending = undefined;
    });
    return this.#mending;
  }

  /** What is read meanwhile waits. Where there is no room for it, the old one stays as it is, to be read. */
  async #reopen(): Promise<void> {
    if (this.#database.status === 'open') {
      await checkRoom(this.#directory);
      await Promise.allSettled(this.#reading);
      await this.#database.close();
    }
    await this.#database.open();
    this.#torn = false;
  }

  /** What the operations look at, and what of it is damaged. */
  async #read(operations: readonly Operation[], draft: Draft): Promise<ReadonlyMap<string, unknown>> {
    const damaged = new Map<string, unknown>();
    const keysOf = (kind: Operation['kind']): readonly string[] => [
      ...new Set(operations.filter((operation) => operation.kind === kind).map(({ key }) => key)),
    ];
    const keys = keysOf('commit');
    const texts = keys.length === 0 ? [] : await this.#database.getMany(keys.map(recordKey));
    for (const [i, key] of keys.entries()) {
      const text = texts[i];
      try {
        if (text !== undefined) draft.heads.set(key, parseHead(text, this.#where(key)));
      } catch (error) {
        damaged.set(`commit ${key}`, error);
      }
    }
    for (const key of keysOf('conflict')) {
      const entries = await this.#database.iterator(conflictRange(key)).all();
      try {
        const numbered = entries.map(([name, text]) => ({
          number: Number(name.slice(-DIGITS)),
          copy: parseConflict(text, this.#where(key)),
        }));
        draft.conflicts.set(key, numbered);
      } catch (error) {
        damaged.set(`conflict ${key}`, error);
      }
    }
    return damaged;
  }
}

/** Opening writes a table of what is in the logs, and begins a new one. */
async function checkRoom(directory: string): Promise<void> {
  let need = 1024 * 1024;
  for (const name of await readdir(directory)) {
    if (name.endsWith('.log')) need += 2 * (await stat(join(directory, name))).size;
  }
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < need) throw new Error('the disk is full');
}

/** Makes the directory where there is none. Throws a StoreError that says what to do about it. */
export async function openLevelStore(directory: string): Promise<Store> {
  const { ClassicLevel } = await loadLevel();
  const database = new ClassicLevel<string, string>(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
  try {
    await database.open();
  } catch (error) {
    throw whyNotOpen(directory, error);
  }
  try {
    await checkSchema(database, directory);
  } catch (error) {
    await database.close();
    throw error;
  }
  return new LevelStore(database, directory);
}

async function loadLevel(): Promise<typeof import('classic-level')> {
  try {
    return await import('classic-level');
  } catch (cause) {
    throw new StoreError(
      'missing',
      'a durable store needs the package classic-level: npm install classic-level',
      cause,
    );
  }
}

async function checkSchema(database: Database, directory: string): Promise<void> {
  const schema = await database.get(SCHEMA_KEY);
  if (schema === SCHEMA) return;
  if (schema !== undefined) {
    throw new StoreError('version', `${directory} has schema ${schema}, and this version of wsd reads ${SCHEMA}`);
  }
  const [first] = await database.keys({ limit: 1 }).all();
  if (first !== undefined) throw new StoreError('version', `${directory} is a database, but not one of wsd`);
  await database.batch([{ type: 'put', key: SCHEMA_KEY, value: SCHEMA }], { sync: true });
}

/** LevelDB's own errors come as the cause of one that only says that it did not open. */
function whyNotOpen(directory: string, error: unknown): StoreError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'LEVEL_LOCKED') {
    return new StoreError('locked', `${directory} is in use by another process: a store has one`, cause);
  }
  if (code === 'LEVEL_CORRUPTION')
    return new StoreError('corrupt', `${directory} is damaged: ${messageOf(cause)}`, cause);
  return new StoreError('failed', `${directory} cannot be opened: ${messageOf(cause)}`, cause);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
