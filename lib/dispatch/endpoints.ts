// Other names of nodes → their ids: those the operator has given, and those of the nodes that are here. A table and nothing else: what stands in
// it is never dialled (PROTOCOL.md section 9, B11).
export class EndpointTable {
  readonly #fixed: ReadonlyMap<string, string>;
  /** By name: where several nodes have it, the first that came is meant. */
  readonly #nodes = new Map<string, Set<string>>();
  readonly #names = new Map<string, readonly string[]>();

  constructor(fixed: Readonly<Record<string, string>> = {}) {
    this.#fixed = new Map(Object.entries(fixed));
  }

  find(endpoint: string): string | undefined {
    const fixed = this.#fixed.get(endpoint);
    if (fixed !== undefined) return fixed;
    const [first] = this.#nodes.get(endpoint) ?? [];
    return first;
  }

  /** The node is here, under these names and no others. */
  set(node: string, endpoints: readonly string[] = []): void {
    this.remove(node);
    if (endpoints.length === 0) return;
    this.#names.set(node, endpoints);
    for (const endpoint of endpoints) {
      const nodes = this.#nodes.get(endpoint);
      if (nodes === undefined) this.#nodes.set(endpoint, new Set([node]));
      else nodes.add(node);
    }
  }

  remove(node: string): void {
    for (const endpoint of this.#names.get(node) ?? []) {
      const nodes = this.#nodes.get(endpoint);
      nodes?.delete(node);
      if (nodes?.size === 0) this.#nodes.delete(endpoint);
    }
    this.#names.delete(node);
  }
}
