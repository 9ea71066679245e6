// The requests that wait for one document, first come, first served: at most 16, at most one of a node. PROTOCOL.md section 9.1. Knows no
// owner and no store; few enough to be looked through.
import type { OwnershipRequest } from './ownership-types.js';

export class Waiting<Request extends OwnershipRequest> {
  #requests: Request[] = [];

  get size(): number {
    return this.#requests.length;
  }

  get head(): Request | undefined {
    return this.#requests[0];
  }

  /** A newer request of the same node takes the place of the older, which is given back. */
  add(request: Request): Request | undefined {
    const at = this.#requests.findIndex(({ node }) => node === request.node);
    const older = this.#requests[at];
    if (older === undefined) this.#requests.push(request);
    else this.#requests[at] = request;
    return older;
  }

  has(node: string): boolean {
    return this.#requests.some((request) => request.node === node);
  }

  takeHead(): Request | undefined {
    return this.#requests.shift();
  }

  /** Back to the front: it was taken, and is not served yet. */
  putBack(request: Request): void {
    this.#requests.unshift(request);
  }

  takeExpired(now: number): readonly Request[] {
    if (this.deadline() > now) return [];
    const expired = this.#requests.filter(({ deadline }) => deadline <= now);
    this.#requests = this.#requests.filter(({ deadline }) => deadline > now);
    return expired;
  }

  takeOf(node: string): readonly Request[] {
    const taken = this.#requests.filter((request) => request.node === node);
    if (taken.length > 0) this.#requests = this.#requests.filter((request) => request.node !== node);
    return taken;
  }

  /** Infinity: nobody waits. */
  deadline(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#requests) first = Math.min(first, deadline);
    return first;
  }

  nodes(): readonly string[] {
    return this.#requests.map(({ node }) => node);
  }
}
