// Which of many things is due next: a binary heap. A thing has one deadline; when it gets another, the old entry stays in the heap and is
// passed over when it comes up, since an entry counts only while it is the thing's latest. Knows numbers, no clock.

interface Entry<Thing> {
  readonly at: number;
  readonly thing: Thing;
}

export class Deadlines<Thing> {
  readonly #heap: Entry<Thing>[] = [];
  readonly #latest = new Map<Thing, Entry<Thing>>();

  /** Undefined: it is not due at any time. */
  set(thing: Thing, at: number | undefined): void {
    if (at === undefined) {
      this.#latest.delete(thing);
    } else if (this.#latest.get(thing)?.at !== at) {
      const entry = { at, thing };
      this.#latest.set(thing, entry);
      this.#heap.push(entry);
      this.#rise(this.#heap.length - 1);
    }
    // More dead entries than living ones: the heap is made anew, so that it stays as small as what it is for.
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#latest.size) this.#renew();
  }

  /** Undefined: nothing is due at any time. */
  next(): number | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#latest.get(top.thing) === top) return top.at;
      this.#pop();
    }
    return undefined;
  }

  /** The thing that is due, first come first; it has no deadline then. */
  take(now: number): Thing | undefined {
    const at = this.next();
    if (at === undefined || at > now) return undefined;
    const thing = (this.#heap[0] as Entry<Thing>).thing;
    this.#pop();
    this.#latest.delete(thing);
    return thing;
  }

  /** Things that have a deadline. */
  get size(): number {
    return this.#latest.size;
  }

  /** Entries kept, dead ones with them. */
  get weight(): number {
    return this.#heap.length;
  }

  #renew(): void {
    this.#heap.length = 0;
    for (const entry of this.#latest.values()) {
      this.#heap.push(entry);
      this.#rise(this.#heap.length - 1);
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink();
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const entry = this.#heap[a] as Entry<Thing>;
    this.#heap[a] = this.#heap[b] as Entry<Thing>;
    this.#heap[b] = entry;
  }

  #rise(from: number): void {
    let child = from;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (this.#at(parent) <= this.#at(child)) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  #sink(): void {
    let parent = 0;
    for (;;) {
      const left = 2 * parent + 1;
      const child = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(child) >= this.#at(parent)) return;
      this.#swap(parent, child);
      parent = child;
    }
  }
}
