// Who is there: one link for each node, the newest. A node has one connection; when it comes again, the older one is told that it was replaced
// and is gone before the newer one is heard. One of these serves all servers of a dispatch. PROTOCOL.md sections 8.2 and 9 (HOSTILE 75).
import { NODE_CLOSE, type PackageFault } from './codes.js';
import type { PackageError } from './errors.js';
import type { Claims } from './package.js';
import type { Incoming, PeerFace } from './peer-types.js';

/** A connection or session whose other end has shown who it is. */
export interface NodeLink {
  readonly peer: Pick<PeerFace, 'record' | 'state' | 'call' | 'send' | 'forward' | 'refuse' | 'end' | 'counters'>;
  /** It takes more slowly than we send. */
  readonly choked: boolean;
}

/** What a server tells whoever stands between the nodes. */
export interface NodeEvents {
  /** It has shown who it is; an older connection of the same node ends as soon as this returns. Nothing was answered to it yet. */
  arrived?(link: NodeLink, node: string): void;
  /** It is gone. `replaced`: a newer connection of the same node is there. */
  left?(link: NodeLink, node: string, replaced: boolean): void;
  heard?(link: NodeLink, incoming: Incoming): void;
  /** Claims are those of a token whose signature holds. */
  rejected?(link: NodeLink, fault: PackageFault, claims: Claims | undefined): void;
  /** An ERROR about a package of ours that nobody waits for. */
  refused?(link: NodeLink, error: PackageError, re: string | undefined): void;
  failed?(link: NodeLink, error: Error, incoming: Incoming | undefined): void;
}

export class Nodes<Link extends NodeLink = NodeLink> implements Iterable<Link> {
  readonly #links = new Map<string, Link>();

  get size(): number {
    return this.#links.size;
  }

  get(node: string): Link | undefined {
    return this.#links.get(node);
  }

  /** In the order of their coming. */
  [Symbol.iterator](): IterableIterator<Link> {
    return this.#links.values();
  }

  /** It is that node's from now on. The older link comes back, still to be ended: by `replace`, when whoever asks about it knows the newer one. */
  arrive(node: string, link: Link): Link | undefined {
    const older = this.#links.get(node);
    this.#links.delete(node);
    this.#links.set(node, link);
    return older === link ? undefined : older;
  }

  /** False: another link had taken its place. */
  leave(node: string, link: Link): boolean {
    return this.#links.get(node) === link && this.#links.delete(node);
  }
}

export const replace = (older: NodeLink | undefined): void => older?.peer.end(NODE_CLOSE.replaced, 'replaced');
