// A small typed emitter: the same verbs as Node's, without its special 'error' event (an error nobody listens to is no reason to
// end a process) and without memory until somebody listens. Listeners run in the order in which they were added.

export type AnyListener = (...args: never[]) => unknown;

/** A link of the chain of listeners. Never changed: who runs through a chain is not disturbed by one that is added or removed. */
export interface Entry {
  readonly name: PropertyKey;
  readonly listener: AnyListener;
  readonly once: boolean;
  readonly next: Entry | undefined;
}

const entriesOf = (chain: Entry | undefined): Entry[] => {
  const entries: Entry[] = [];
  for (let entry = chain; entry !== undefined; entry = entry.next) entries.push(entry);
  return entries;
};

const chainOf = (entries: readonly Entry[]): Entry | undefined =>
  entries.reduceRight<Entry | undefined>((next, entry) => ({ ...entry, next }), undefined);

/** The entry made last: where one function serves many emitters, one entry does. */
let latest: Entry = { name: '', listener: () => {}, once: false, next: undefined };

const entryOf = (name: PropertyKey, listener: AnyListener, once: boolean): Entry => {
  if (latest.name !== name || latest.listener !== listener || latest.once !== once) {
    latest = { name, listener, once, next: undefined };
  }
  return latest;
};

export class Emitter<Events extends { [Name in keyof Events]: unknown[] }> {
  /** All listeners in one chain: a connection has few, and an idle one should not own a table or a list for them. */
  #chain: Entry | undefined;

  /** A listener is called with the emitter as `this`, so that one function can serve many: `function (this: Connection, data) {…}`. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.#add(name, listener as AnyListener, false);
  }

  once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.#add(name, listener as AnyListener, true);
  }

  addListener<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.on(name, listener);
  }

  /** Removes the listener that was added last. */
  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    const entries = entriesOf(this.#chain);
    const at = entries.findLastIndex((entry) => entry.name === name && entry.listener === listener);
    if (at >= 0) this.#chain = chainOf(entries.toSpliced(at, 1));
    return this;
  }

  removeListener<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.off(name, listener);
  }

  removeAllListeners(name?: keyof Events): this {
    this.#chain =
      name === undefined ? undefined : chainOf(entriesOf(this.#chain).filter((entry) => entry.name !== name));
    return this;
  }

  listenerCount(name: keyof Events): number {
    let count = 0;
    for (let entry = this.#chain; entry !== undefined; entry = entry.next) if (entry.name === name) count++;
    return count;
  }

  /** Whether anybody listens: asked for every message. */
  protected heard(name: keyof Events): boolean {
    for (let entry = this.#chain; entry !== undefined; entry = entry.next) if (entry.name === name) return true;
    return false;
  }

  /** The listener, where it is the only one of all and stays: the usual case, without a loop. */
  protected get only(): Entry | undefined {
    const entry = this.#chain;
    return entry?.next === undefined && entry?.once === false ? entry : undefined;
  }

  /** The listener, where it is the only one of this name and stays. */
  protected sole(name: keyof Events): Entry | undefined {
    let found: Entry | undefined;
    for (let entry = this.#chain; entry !== undefined; entry = entry.next) {
      if (entry.name !== name) continue;
      if (found !== undefined || entry.once) return undefined;
      found = entry;
    }
    return found;
  }

  /** Calls every listener; what they return goes to `returned`. A listener's exception is the caller's to catch. */
  protected dispatch<Name extends keyof Events>(
    name: Name,
    args: Events[Name],
    returned?: (value: unknown) => void,
  ): boolean {
    let heard = false;
    for (let entry = this.#chain; entry !== undefined; entry = entry.next) {
      if (entry.name !== name) continue;
      if (entry.once && !this.#drop(entry)) continue; // called meanwhile, by one before it
      heard = true;
      const value = (entry.listener as (...args: Events[Name]) => unknown).apply(this, args);
      if (value !== undefined && returned !== undefined) returned(value);
    }
    return heard;
  }

  /** Told when a listener is added. */
  protected added(_name: PropertyKey): void {}

  /** Copies of the chain may have been made since: it is known by what it says. */
  #drop(used: Entry): boolean {
    const entries = entriesOf(this.#chain);
    const at = entries.findIndex((entry) => entry.once && entry.name === used.name && entry.listener === used.listener);
    if (at >= 0) this.#chain = chainOf(entries.toSpliced(at, 1));
    return at >= 0;
  }

  #add(name: PropertyKey, listener: AnyListener, once: boolean): this {
    if (typeof listener !== 'function') throw new TypeError('a listener must be a function');
    const last = entryOf(name, listener, once);
    this.#chain = this.#chain === undefined ? last : chainOf([...entriesOf(this.#chain), last]);
    this.added(name);
    return this;
  }
}
