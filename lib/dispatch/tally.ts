// How many of something each node has open: at most so many. Nothing is kept of a node that has none.

export class Tally {
  readonly #most: number;
  readonly #open = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** False: it has as many as it may. */
  enter(node: string): boolean {
    const open = this.#open.get(node) ?? 0;
    if (open >= this.#most) return false;
    this.#open.set(node, open + 1);
    return true;
  }

  leave(node: string): void {
    const open = (this.#open.get(node) ?? 0) - 1;
    if (open > 0) this.#open.set(node, open);
    else this.#open.delete(node);
  }
}
