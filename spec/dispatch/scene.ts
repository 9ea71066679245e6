// One dispatch's ownership machine on a virtual clock, with everything it says written down as lines: what specs look at.
import { Ownership } from '../../lib/dispatch/ownership.js';
import type { OwnershipRequest, OwnershipSettings, OwnershipWrite } from '../../lib/dispatch/ownership-types.js';
import type { OwnershipRecord, Store } from '../../lib/dispatch/ports.js';
import type { JsonObject } from '../../lib/package/package.js';
import { memoryStore } from '../../lib/store/memory.js';

/** Where the wall clock stands when the virtual one is at 0. */
export const WALL = 1_700_000_000_000;

export interface SceneRequest extends OwnershipRequest {
  readonly name: string;
}

/** All that is due without time passing: the answers of a store in memory need a few turns of promises. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Which = keyof Pick<Store, 'get' | 'commit' | 'keepConflict'>;

interface Failure {
  readonly which: Which;
  /** It is done nevertheless. */
  readonly after?: boolean;
  /** It throws, instead of answering. */
  readonly sync?: boolean;
}

/** A store that can be held, and made to fail. */
export class MoodyStore implements Store {
  readonly inner: Store = memoryStore();
  /** These fail once each, in this order. */
  readonly failures: Failure[] = [];
  /** Called before each commit, so that somebody can be faster. */
  before: ((key: string) => Promise<unknown>) | undefined;
  #held: (() => void)[] | undefined;

  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  get(key: string): ReturnType<Store['get']> {
    return this.#run('get', () => this.inner.get(key));
  }

  commit(key: string, expect: Parameters<Store['commit']>[1], next: OwnershipRecord): Promise<boolean> {
    return this.#run('commit', async () => {
      const { before } = this;
      this.before = undefined;
      await before?.(key);
      return this.inner.commit(key, expect, next);
    });
  }

  keepConflict(copy: Parameters<Store['keepConflict']>[0]): Promise<void> {
    return this.#run('keepConflict', () => this.inner.keepConflict(copy));
  }

  conflicts(key: string): ReturnType<Store['conflicts']> {
    return this.inner.conflicts(key);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  #run<Answer>(which: Which, operation: () => Promise<Answer>): Promise<Answer> {
    const failure = this.failures[0]?.which === which ? this.failures.shift() : undefined;
    if (failure?.sync === true) throw new Error(`${which} has thrown`);
    return (async () => {
      if (failure !== undefined && failure.after !== true) throw new Error(`${which} has failed`);
      const held = this.#held;
      if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
      const answer = await operation();
      if (failure !== undefined) throw new Error(`${which} has failed`);
      return answer;
    })();
  }
}

export class Scene {
  readonly store: MoodyStore;
  readonly ownership: Ownership<SceneRequest>;
  now: number;
  /** The wall clock goes wrong by so much. */
  wallError = 0;
  /** Nodes that no 102 can be sent to. */
  readonly deaf: Set<string> = new Set();
  /** Called when something has been said, before it is written down. */
  heard: ((line: string) => void) | undefined;
  #lines: string[] = [];
  #ids = 0;

  constructor(settings: Partial<OwnershipSettings> = {}, store: MoodyStore = new MoodyStore(), now = 0) {
    this.store = store;
    this.now = now;
    const say = (line: string): void => {
      this.#lines.push(line);
      this.heard?.(line);
    };
    this.ownership = new Ownership<SceneRequest>(
      store,
      {
        revoke: (owner, key, { epoch, to, deadline }) => {
          if (this.deaf.has(owner)) return undefined;
          this.#ids += 1;
          say(`revoke#${this.#ids} ${key}/${epoch} of ${owner} for ${to} in ${deadline}`);
          return `#${this.#ids}`;
        },
        granted: ({ name, key }, { epoch, doc, version }) =>
          say(`granted ${key}/${epoch} to ${name}: ${JSON.stringify(doc)} v${version}`),
        saved: ({ kind, node, key }, { epoch, version }) => say(`${kind} ${key}/${epoch} of ${node}: v${version}`),
        refused: (ask, code, delay) =>
          say(`refused ${'name' in ask ? ask.name : `${ask.kind} of ${ask.node}`}: ${code}${delay ? ` ${delay}` : ''}`),
        failed: (error, key) => say(`failed ${key}: ${(error as Error).message}`),
        wake: () => this.ownership.tick(this.now),
      },
      { wall: () => WALL + this.now + this.wallError, ...settings },
      now,
    );
  }

  /** What was said since the last time. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  connect(...nodes: readonly string[]): void {
    for (const node of nodes) this.ownership.connected(node, this.now);
  }

  async disconnect(node: string): Promise<void> {
    this.ownership.disconnected(node, this.now);
    await settle();
  }

  async request(node: string, more: { key?: string; timeout?: number; name?: string } = {}): Promise<void> {
    const { key = '1', timeout = 30_000, name = node } = more;
    this.ownership.request({ key, node, name, deadline: this.now + timeout }, this.now);
    await settle();
  }

  async save(node: string, epoch: number | undefined, doc: JsonObject, key = '1'): Promise<void> {
    this.write({ kind: 'save', key, node, epoch, doc });
    await settle();
  }

  async transfer(node: string, epoch: number | undefined, doc: JsonObject, re?: string, key = '1'): Promise<void> {
    this.write({ kind: 'transfer', key, node, epoch, doc, re });
    await settle();
  }

  write(write: OwnershipWrite): void {
    this.ownership.write(write, this.now);
  }

  /** Time passes; what falls due in it is done when it is due, and `each` ms these nodes are heard. */
  async advance(ms: number, pings: readonly string[] = [], each = 1000): Promise<void> {
    const until = this.now + ms;
    let ping = this.now + each;
    for (;;) {
      const due = Math.min(this.ownership.deadline() ?? Number.POSITIVE_INFINITY, pings.length > 0 ? ping : Infinity);
      if (due > until) break;
      this.now = Math.max(this.now, due);
      if (this.now >= ping) {
        for (const node of pings) this.ownership.heard(node, this.now);
        ping += each;
      }
      this.ownership.tick(this.now);
      await settle();
    }
    this.now = until;
    this.ownership.tick(until);
    await settle();
  }

  record(key = '1'): Promise<OwnershipRecord | undefined> {
    return this.store.inner.get(key);
  }
}
