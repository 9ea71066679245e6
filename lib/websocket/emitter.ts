// A small typed emitter: the same verbs as Node's, without its special 'error' event (an error nobody listens to is no reason to
// end a process) and without memory until somebody listens. Listeners run in the order in which they were added.

export type AnyListener = (...args: never[]) => unknown;
export interface Entry {
  readonly name: PropertyKey;
  readonly call: AnyListener;
  readonly once: boolean;
}

const NONE: readonly Entry[] = [];

export class Emitter<Events extends { [Name in keyof Events]: unknown[] }> {
  /** All listeners in one list, never changed in place: a connection has few, and an idle one should not own a table for them. */
  #entries: readonly Entry[] = NONE;

  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.#add({ name, call: listener, once: false });
  }

  once<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.#add({ name, call: listener, once: true });
  }

  addListener<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.on(name, listener);
  }

  /** Removes the listener that was added last. */
  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    const at = this.#entries.findLastIndex((entry) => entry.name === name && entry.call === listener);
    if (at >= 0) this.#entries = this.#entries.toSpliced(at, 1);
    return this;
  }

  removeListener<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): this {
    return this.off(name, listener);
  }

  removeAllListeners(name?: keyof Events): this {
    this.#entries = name === undefined ? NONE : this.#entries.filter((entry) => entry.name !== name);
    return this;
  }

  listenerCount(name: keyof Events): number {
    let count = 0;
    for (const entry of this.#entries) if (entry.name === name) count++;
    return count;
  }

  /** Whether anybody listens: asked for every message. */
  protected heard(name: keyof Events): boolean {
    for (const entry of this.#entries) if (entry.name === name) return true;
    return false;
  }

  /** The listener, where it is the only one of all and stays: the usual case, without a loop. */
  protected get only(): Entry | undefined {
    const entry = this.#entries.length === 1 ? this.#entries[0] : undefined;
    return entry?.once === false ? entry : undefined;
  }

  /** Calls every listener; what they return goes to `returned`. A listener's exception is the caller's to catch. */
  protected dispatch<Name extends keyof Events>(
    name: Name,
    args: Events[Name],
    returned?: (value: unknown) => void,
  ): boolean {
    let heard = false;
    for (const entry of this.#entries) {
      if (entry.name !== name) continue;
      heard = true;
      if (entry.once) this.#entries = this.#entries.filter((other) => other !== entry);
      const value = (entry.call as (...args: Events[Name]) => unknown)(...args);
      if (value !== undefined && returned !== undefined) returned(value);
    }
    return heard;
  }

  /** Told when a listener is added. */
  protected added(_name: PropertyKey): void {}

  #add(entry: Entry): this {
    if (typeof entry.call !== 'function') throw new TypeError('a listener must be a function');
    this.#entries = this.#entries === NONE ? [entry] : [...this.#entries, entry];
    this.added(entry.name);
    return this;
  }
}
