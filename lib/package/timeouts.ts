// Things that wait, each until its own deadline. The earliest one is found when it is asked for and may have changed, and kept too early
// rather than recomputed when a thing leaves: most leave long before they are due. Knows no clock. In the order of their coming. Where nothing has
// ever waited it owns no table: most of them belong to nodes that are idle.

export class Timeouts<Key, Thing extends { readonly deadline: number }> {
  #things: Map<Key, Thing> | undefined;
  /** Never later than the earliest deadline. */
  #next = Infinity;

  get size(): number {
    return this.#things?.size ?? 0;
  }

  /** When to call `due` again; a call too early finds nothing. */
  get deadline(): number {
    return this.size === 0 ? Infinity : this.#next;
  }

  set(key: Key, thing: Thing): void {
    if (this.size === 0) this.#next = Infinity;
    this.#things ??= new Map();
    this.#things.set(key, thing);
    if (thing.deadline < this.#next) this.#next = thing.deadline;
  }

  get(key: Key): Thing | undefined {
    return this.#things?.get(key);
  }

  /** It waits no longer. */
  take(key: Key): Thing | undefined {
    const thing = this.#things?.get(key);
    if (thing !== undefined) this.#things?.delete(key);
    return thing;
  }

  /** Takes all that are due. */
  due(now: number): Thing[] {
    if (this.#things === undefined || now < this.deadline) return [];
    const due: Thing[] = [];
    let next = Infinity;
    for (const [key, thing] of this.#things) {
      if (thing.deadline > now) next = Math.min(next, thing.deadline);
      else {
        this.#things.delete(key);
        due.push(thing);
      }
    }
    this.#next = next;
    return due;
  }

  /** Takes all. */
  clear(): Thing[] {
    const all = [...(this.#things?.values() ?? [])];
    this.#things = undefined;
    return all;
  }
}
