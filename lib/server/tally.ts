// Counters by name. Names come from our own tables (fault codes, close codes), so there are few of them however hostile the peers.

export class Tally {
  readonly #counts: Map<string, number> = new Map();

  count(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
  }

  read(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
