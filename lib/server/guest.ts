// One connection or session that carries packages, as its server keeps it: it has so long to show who it is, then it is that node until it
// ends, is replaced, or its key is not good any more. lib/package/PROTOCOL.md sections 8.2 and 9 (HOSTILE 75 and 80).
import type { LinkEnd, Pace, PackageEvents, PackageLink } from '../link/packages.js';
import type { Placed } from '../net/bag.js';
import { type Paced, Pacer } from '../net/pacer.js';
import type { PackageFault } from '../package/codes.js';
import type { PackageError } from '../package/errors.js';
import { keyEndOf } from '../package/key-change.js';
import { type NodeEvents, type Nodes, replace } from '../package/nodes.js';
import type { Claims, KeyRecord, KeySource } from '../package/package.js';
import type { Incoming } from '../package/peer-types.js';

/** What the server does with its nodes. */
export interface PackagesHost {
  node(link: PackageLink): void;
  rejected(fault: PackageFault): void;
  failed(error: Error): void;
}

export interface House {
  /** Our own id: nobody else's. */
  readonly self: string;
  readonly nodes: Nodes;
  readonly events: NodeEvents;
  readonly host: PackagesHost;
  gone(guest: Guest): void;
}

/** The reserved id (section 8.1), whatever we are called ourselves. */
const DISPATCH = 'dispatch';
/** RFC 6455 section 7.4.1 */
const POLICY = 1008;

export class Guest implements PackageEvents, Paced, Placed {
  place = -1;
  link: PackageLink | undefined;
  /** Undefined: it has not shown who it is. */
  node: string | undefined;
  readonly #house: House;
  readonly #keys: KeySource;
  readonly #pacer: Pacer = new Pacer(this);
  #identifyBy: number;
  /** By what it was let in: each package brings the record of that moment, so that of its peer says nothing of what has changed. */
  #known: KeyRecord | undefined;

  constructor(house: House, keys: KeySource, identifyBy: number) {
    this.#house = house;
    this.#keys = keys;
    this.#identifyBy = identifyBy;
  }

  /** The link has deadlines of its own, and is there a moment later. */
  readonly pace = (): Pace => this.#pacer;

  begin(link: PackageLink): void {
    this.link = link;
    this.#pacer.moved();
  }

  deadline(): number {
    return Math.min(this.#identifyBy, this.link?.peer.deadline() ?? Infinity);
  }

  tick(now: number): void {
    if (now >= this.#identifyBy) {
      this.#identifyBy = Infinity;
      return this.link?.peer.end(POLICY, 'no package came in time');
    }
    this.link?.peer.tick(now);
  }

  /** Its key may have been removed or replaced, its time be over, its rights be others. */
  check(): void {
    const { peer } = this.link ?? {};
    const { record } = peer ?? {};
    if (record === undefined) return;
    // It may go on with another key of its own.
    const known = this.#known?.kid === record.kid ? this.#known : record;
    this.#known = known;
    const end = keyEndOf(known, this.#keys.find(record.kid));
    if (end !== undefined) peer?.end(end.code, end.reason);
  }

  // ---- what its peer tells

  identified(record: KeyRecord): void {
    const { link } = this;
    const { self, nodes, events, host } = this.#house;
    if (link === undefined) return;
    this.#identifyBy = Infinity;
    const { node, role } = record;
    this.#known = record;
    // Nobody is the dispatch but the dispatch, whatever a ring of keys says.
    if (role === 'dispatch' || node === DISPATCH || node === self) return link.peer.end(POLICY, 'bad_token');
    this.node = node;
    const older = nodes.arrive(node, link);
    try {
      events.arrived?.(link, node);
    } finally {
      replace(older);
    }
    host.node(link);
  }

  heard(incoming: Incoming): void {
    if (this.link !== undefined) this.#house.events.heard?.(this.link, incoming);
  }

  rejected(fault: PackageFault, claims: Claims | undefined): void {
    this.#house.host.rejected(fault);
    if (this.link !== undefined) this.#house.events.rejected?.(this.link, fault, claims);
  }

  refused(error: PackageError, re: string | undefined): void {
    if (this.link !== undefined) this.#house.events.refused?.(this.link, error, re);
  }

  failed(error: Error, incoming: Incoming | undefined): void {
    this.#house.host.failed(error);
    if (this.link !== undefined) this.#house.events.failed?.(this.link, error, incoming);
  }

  ended(_end: LinkEnd): void {
    const { link, node } = this;
    this.#house.gone(this);
    if (link === undefined || node === undefined) return;
    const replaced = !this.#house.nodes.leave(node, link);
    this.#house.events.left?.(link, node, replaced);
  }
}
