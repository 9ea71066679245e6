// The store of the model check: slow or failing as chance will have it, and it judges every write against the invariants of PROTOCOL.md
// section 9.1. A write happens at one moment and is answered at a later one, so that a crash can fall between the two.

import type { Random } from '../../fixtures/rig/random.js';
import type { ConflictCopy, OwnershipRecord, Store } from '../../lib/dispatch/ports.js';
import type { JsonObject } from '../../lib/package/package.js';

/** What the nodes of the model write. */
export interface ModelDoc {
  readonly by: string;
  readonly epoch: number;
  /** Counts what this node has written of this document. */
  readonly n: number;
}

export interface StoreMood {
  /** ms an operation takes at most. */
  readonly slow: number;
  /** Of 1: how many operations fail. */
  readonly failing: number;
}

/** What the checker must find out: a store that does not compare, one that forgets, one that takes any owner. */
export type Sabotage = 'none' | 'no-compare' | 'forgetful' | 'same-epoch';

export class Violation extends Error {}

/** One dispatch's access; when it crashes, what is under way has happened or not. */
export interface Access extends Store {
  crash(): void;
}

interface Underway {
  act(): void;
}

const NOBODY: OwnershipRecord = { epoch: 0, owner: null, leaseUntil: undefined, doc: {}, version: 0 };

const textOf = (doc: JsonObject): string => JSON.stringify(doc);

export class ModelStore {
  mood: StoreMood = { slow: 2, failing: 0 };
  /** Answers given that the machine has not taken yet. */
  answers = 0;
  /** Called with every change of owner before it happens; `handed`: the owner has let go itself. */
  onTaken: ((key: string, record: OwnershipRecord, handed: boolean) => void) | undefined;
  readonly #records = new Map<string, OwnershipRecord>();
  /** `key/version`: the document. */
  readonly #written = new Map<string, string>();
  /** `key/epoch`: the owner. */
  readonly #owners = new Map<string, string>();
  readonly #conflicts = new Set<string>();
  readonly #documents = new Set<string>();
  readonly #random: Random;
  readonly #sabotage: Sabotage;
  readonly #after: (ms: number, task: () => void) => void;

  constructor(random: Random, after: (ms: number, task: () => void) => void, sabotage: Sabotage) {
    this.#random = random;
    this.#after = after;
    this.#sabotage = sabotage;
  }

  access(): Access {
    const underway = new Set<Underway>();
    let crashed = false;
    const run = <Answer>(act: () => Answer): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const { slow, failing } = this.mood;
        const wrong = this.#random.next() < failing;
        let answer: Answer | undefined;
        const operation: Underway = {
          act: () => {
            underway.delete(operation);
            answer = act();
          },
        };
        const happens = !wrong || this.#random.next() < 0.5;
        if (happens) underway.add(operation);
        const first = this.#random.int(slow);
        this.#after(first, () => {
          if (underway.has(operation)) operation.act();
        });
        this.#after(first + this.#random.int(slow), () => {
          if (crashed) return;
          this.answers += 1;
          if (wrong) reject(new Error('the store has failed'));
          else resolve(answer as Answer);
        });
      });
    return {
      get: (key) => run(() => this.#records.get(key)),
      commit: (key, expect, next) => run(() => this.#commit(key, expect, next)),
      keepConflict: (copy) => run(() => this.#keep(copy)),
      conflicts: async () => [],
      close: async () => {},
      crash: () => {
        crashed = true;
        for (const operation of underway) if (this.#random.next() < 0.5) operation.act();
        underway.clear();
      },
    };
  }

  record(key: string): OwnershipRecord {
    return this.#records.get(key) ?? NOBODY;
  }

  ownerOf(key: string, epoch: number): string | undefined {
    return this.#owners.get(`${key}/${epoch}`);
  }

  wasWritten(key: string, version: number, doc: JsonObject): boolean {
    return this.#written.get(`${key}/${version}`) === textOf(doc);
  }

  /** As the document, or as a conflict copy, whenever that was. */
  wasKept(key: string, doc: JsonObject): boolean {
    const text = `${key} ${textOf(doc)}`;
    return this.#conflicts.has(text) || this.#documents.has(text);
  }

  #keep(copy: ConflictCopy): void {
    const { key, node, epoch } = copy;
    let was = false;
    for (let e = Math.max(1, epoch); e <= this.record(key).epoch; e += 1) was ||= this.ownerOf(key, e) === node;
    if (!was) throw new Violation(`${key}: kept of a node that was no owner: ${JSON.stringify(copy)}`);
    this.#conflicts.add(`${copy.key} ${textOf(copy.doc)}`);
  }

  #commit(key: string, expect: { epoch: number; version: number }, asked: OwnershipRecord): boolean {
    const before = this.record(key);
    const sabotage = this.#sabotage;
    const wins = before.epoch === expect.epoch && before.version === expect.version;
    if (!wins && sabotage !== 'no-compare') return false;
    if (sabotage === 'forgetful' && asked.version > 3 && asked.epoch === before.epoch) return true;
    const next = sabotage === 'same-epoch' ? { ...asked, epoch: Math.max(1, before.epoch) } : asked;
    this.#judge(key, before, next);
    this.#records.set(key, next);
    this.#written.set(`${key}/${next.version}`, textOf(next.doc));
    this.#documents.add(`${key} ${textOf(next.doc)}`);
    if (next.owner !== null) this.#owners.set(`${key}/${next.epoch}`, next.owner);
    return true;
  }

  #judge(key: string, before: OwnershipRecord, next: OwnershipRecord): void {
    const claim = (holds: boolean, what: string): void => {
      if (!holds) throw new Violation(`${key}: ${what}: ${JSON.stringify(before)} → ${JSON.stringify(next)}`);
    };
    claim(next.epoch === before.epoch || next.epoch === before.epoch + 1, 'epochs grow by one');
    claim(next.version === before.version || next.version === before.version + 1, 'versions grow by one');
    const owner = this.ownerOf(key, next.epoch);
    claim(next.owner === null || owner === undefined || owner === next.owner, 'two owners in one epoch');
    if (next.epoch === before.epoch)
      claim(next.owner === before.owner || next.owner === null, 'an owner within an epoch');
    else claim(next.owner !== null, 'an epoch has an owner');
    const handed = next.version > before.version;
    if (handed) {
      const doc = next.doc as unknown as ModelDoc;
      const last = before.doc as unknown as Partial<ModelDoc>;
      claim(doc.by === before.owner && doc.epoch === before.epoch, 'only the owner writes, in its epoch');
      if (last.by === doc.by && last.epoch === doc.epoch) claim(doc.n >= (last.n ?? 0), 'a document goes back');
    } else claim(textOf(next.doc) === textOf(before.doc), 'a document changes without a version');
    if (next.owner !== before.owner && before.owner !== null) this.onTaken?.(key, before, handed);
  }
}
