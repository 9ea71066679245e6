// When a node was last heard, and so until when its ownership is safe from being taken: 15 s after its last package. PROTOCOL.md section
// 9.1. Knows nodes and times, no document. A node that is gone is remembered for one lease, then its lease is over in any case.
import type { OwnershipSettings } from './ownership-types.js';

interface Heard {
  at: number;
  connected: boolean;
}

export class Leases {
  readonly #nodes = new Map<string, Heard>();
  /** Nodes that have left, the first that did first: what may be forgotten stands in front. */
  readonly #gone = new Map<string, number>();
  readonly #terms: OwnershipSettings;
  readonly #start: number;

  constructor(terms: OwnershipSettings, start: number) {
    this.#terms = terms;
    this.#start = start;
  }

  connected(node: string, now: number): void {
    this.#gone.delete(node);
    this.#nodes.set(node, { at: now, connected: true });
  }

  heard(node: string, now: number): void {
    const heard = this.#nodes.get(node);
    if (heard?.connected === true) heard.at = now;
  }

  disconnected(node: string, now: number): void {
    const heard = this.#nodes.get(node);
    if (heard?.connected === true) {
      heard.connected = false;
      this.#gone.set(node, now);
    }
    this.#forget(now);
  }

  /** Whether a package can be sent to it. */
  reaches(node: string): boolean {
    return this.#nodes.get(node)?.connected === true || this.#terms.reachable(node);
  }

  /**
   * The end of the lease of an owner, as far as anybody here can know. Nothing heard of it since this dispatch has started: then its last
   * package was sent to the dispatch before this one, and a whole lease from the start is the most it can have; the record may know that
   * it is less. A record that speaks of a time longer ago than a lease says nothing: its owner may have been heard after it was written.
   */
  end(owner: string, leaseUntil: number | undefined, now: number): number {
    const { lease, several, wall } = this.#terms;
    const heard = this.#nodes.get(owner);
    if (heard !== undefined) return heard.at + lease;
    const most = (several ? now : this.#start) + lease;
    if (leaseUntil === undefined) return most;
    const left = leaseUntil - wall();
    return left < -lease ? most : Math.min(most, now + Math.max(0, left));
  }

  /** Nodes that are remembered. */
  get size(): number {
    return this.#nodes.size;
  }

  #forget(now: number): void {
    for (const [node, at] of this.#gone) {
      if (at + this.#terms.lease > now) return;
      this.#gone.delete(node);
      this.#nodes.delete(node);
    }
  }
}
