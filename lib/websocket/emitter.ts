// A small typed emitter: the same verbs as Node's, without its special 'error' event (an error nobody listens to is no reason to
// end a process) and without memory until somebody listens. Listeners run in the order in which they were added.

type Listener = (...args: never[]) => unknown;
interface Entry {
  readonly call: Listener;
  readonly once: boolean;
}

export class Emitter<Events extends { [Name in keyof Events]: unknown[] }> {
  #table: Map<keyof Events, readonly Entry[]> | undefined;

  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.#add(name, { call: listener, once: false });
  }

  once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.#add(name, { call: listener, once: true });
  }

  addListener<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.on(name, listener);
  }

  /** Removes the listener that was added last. */
  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    const entries = this.#table?.get(name);
    const at = entries?.findLastIndex((entry) => entry.call === listener) ?? -1;
    if (entries !== undefined && at >= 0) this.#put(name, entries.toSpliced(at, 1));
    return this;
  }

  removeListener<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.off(name, listener);
  }

  removeAllListeners(name?: keyof Events): this {
    if (name === undefined) this.#table = undefined;
    else this.#table?.delete(name);
    return this;
  }

  listenerCount(name: keyof Events): number {
    return this.#table?.get(name)?.length ?? 0;
  }

  /** Calls every listener; what they return goes to `returned`. A listener's exception is the caller's to catch. */
  protected dispatch<Name extends keyof Events>(
    name: Name,
    args: Events[Name],
    returned?: (value: unknown) => void,
  ): boolean {
    const entries = this.#table?.get(name);
    if (entries === undefined) return false;
    for (const entry of entries) {
      if (entry.once) this.off(name, entry.call as (...args: Events[Name]) => unknown);
      const value = (entry.call as (...args: Events[Name]) => unknown)(...args);
      if (value !== undefined && returned !== undefined) returned(value);
    }
    return true;
  }

  /** Told when a listener is added. */
  protected added(_name: keyof Events): void {}

  #add(name: keyof Events, entry: Entry): this {
    if (typeof entry.call !== 'function') throw new TypeError('a listener must be a function');
    this.#put(name, [...(this.#table?.get(name) ?? []), entry]);
    this.added(name);
    return this;
  }

  #put(name: keyof Events, entries: readonly Entry[]): void {
    this.#table ??= new Map();
    if (entries.length === 0) this.#table.delete(name);
    else this.#table.set(name, entries);
  }
}
