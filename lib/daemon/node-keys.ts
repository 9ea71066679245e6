// The folder of nodes → the keys a running daemon knows them by. It looks again at what has changed: at an unknown kid, so that a credential is good
// the moment it is made, and when it is told to, so that a revoked one is not for long. A look asks for the folder's time of change, which costs
// some microseconds; nothing is read again unless that has changed, whatever peers send. What cannot be read keeps what was known of it.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KeyRing } from '../package/key-ring.js';
import type { KeyRecord, KeySource } from '../package/package.js';
import { codeOf, DaemonError, reasonOf } from './daemon-error.js';
import { type NodeKeys, parseNodeFile } from './node-file.js';
import { checkPrivate } from './private-files.js';

export const SUFFIX = '.json';
const isNodeName = (name: string): boolean => name.endsWith(SUFFIX) && !name.startsWith('.');

interface Known {
  /** Of the file, as it was read. */
  readonly stamp: string;
  readonly keys: NodeKeys;
}

/** What has changed, by node. */
export interface Changes {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface NodeKeysSettings {
  readonly folder: string;
  /** ms since 1970 */
  wall(): number;
  /** ms of a clock that only goes forward. */
  now(): number;
  changed(changes: Changes): void;
  /** A file, or the folder, cannot be read: told once for each state of it. */
  failed(error: Error): void;
}

/** A folder that has changed this short a time ago may change again within the same time: it is read again, but not at once. */
const SETTLED = 2000;
const PAUSE = 100;

export class NodeKeySource implements KeySource {
  readonly #settings: NodeKeysSettings;
  #ring: KeyRing;
  #known = new Map<string, Known>();
  #broken = new Map<string, string>();
  #stamp = '';
  #settled = false;
  #readAt = -Infinity;

  /** Throws a DaemonError when any file of the folder is not as it should be. */
  constructor(settings: NodeKeysSettings) {
    this.#settings = settings;
    this.#ring = new KeyRing(() => settings.wall());
    const broken: Error[] = [];
    this.#read((error) => void broken.push(error));
    if (broken.length > 0) throw new DaemonError(broken.map(({ message }) => message).join('\n'));
  }

  get nodes(): readonly string[] {
    return [...this.#known.keys()];
  }

  find(kid: string): KeyRecord | undefined {
    const found = this.#ring.find(kid);
    if (found !== undefined) return found;
    this.look();
    return this.#ring.find(kid);
  }

  /** Reads again what has changed. `closely`: also what was changed in its place, which a folder does not show. */
  look(closely = false): void {
    const same = !closely && this.#stamp === this.#stampOf().stamp;
    if (same && (this.#settled || this.#settings.now() - this.#readAt < PAUSE)) return;
    const changes = this.#read((error, name) => this.#failed(error, name));
    if (changes.added.length + changes.changed.length + changes.removed.length > 0) this.#settings.changed(changes);
  }

  /** Says of each state of a file once that it is broken. */
  #failed(error: Error, name: string): void {
    if (this.#broken.get(name) === error.message) return;
    this.#broken.set(name, error.message);
    this.#settings.failed(error);
  }

  #stampOf(): { readonly stamp: string; readonly settled: boolean } {
    try {
      const { mtimeNs, ino } = statSync(this.#settings.folder, { bigint: true });
      const age = this.#settings.wall() - Number(mtimeNs / 1_000_000n);
      return { stamp: `${ino} ${mtimeNs}`, settled: age > SETTLED };
    } catch {
      return { stamp: 'gone', settled: false };
    }
  }

  #read(failed: (error: Error, name: string) => void): Changes {
    const { folder } = this.#settings;
    // Before it is read: what comes meanwhile is seen the next time.
    const { stamp, settled } = this.#stampOf();
    this.#stamp = stamp;
    this.#settled = settled;
    this.#readAt = this.#settings.now();
    const known = new Map<string, Known>();
    const changes = { added: [] as string[], changed: [] as string[], removed: [] as string[] };
    let names: readonly string[];
    try {
      names = readdirSync(folder).filter(isNodeName).sort();
    } catch (error) {
      failed(new DaemonError(`cannot read ${folder}: ${reasonOf(error)}`), '');
      return changes;
    }
    for (const name of names) {
      const node = name.slice(0, -SUFFIX.length);
      const before = this.#known.get(node);
      try {
        const now = readNode(join(folder, name), node, before);
        known.set(node, now);
        this.#broken.delete(node);
        if (before === undefined) changes.added.push(node);
        else if (before !== now) changes.changed.push(node);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') continue;
        if (before !== undefined) known.set(node, before);
        failed(error as Error, node);
      }
    }
    for (const node of this.#known.keys()) if (!known.has(node)) changes.removed.push(node);
    // What is gone, and comes back broken, is told again.
    for (const node of this.#broken.keys()) {
      if (node !== '' && !names.includes(`${node}${SUFFIX}`)) this.#broken.delete(node);
    }
    try {
      this.#ring = ringOf(known, () => this.#settings.wall());
    } catch (error) {
      failed(error as Error, '');
      return { added: [], changed: [], removed: [] };
    }
    this.#known = known;
    this.#broken.delete('');
    return changes;
  }
}

const readNode = (path: string, node: string, before: Known | undefined): Known => {
  const found = statSync(path, { bigint: true });
  const stamp = `${found.ino} ${found.mtimeNs} ${found.size}`;
  if (before?.stamp === stamp) return before;
  checkPrivate(path, found);
  return { stamp, keys: parseNodeFile(path, node, readFileSync(path, 'utf8')) };
};

const ringOf = (known: ReadonlyMap<string, Known>, wall: () => number): KeyRing => {
  const ring = new KeyRing(wall);
  const holders = new Map<string, string>();
  for (const [node, { keys }] of known) {
    for (const { record, until } of keys.records) {
      const holder = holders.get(record.kid);
      if (holder !== undefined)
        throw new DaemonError(`the kid ${record.kid} is given twice: to ${holder} and to ${node}`);
      holders.set(record.kid, node);
      ring.add(record);
      if (until !== undefined) ring.retire(record.kid, until);
    }
  }
  return ring;
};
