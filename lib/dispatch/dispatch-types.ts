// The shapes of a dispatch: what it is given, what it tells, what it counts, and what it gives to the servers whose packages it answers for.
// Types only. PROTOCOL.md sections 8.4, 9 and 9.1.
import type { Rate } from '../bytes/rate.js';
import type { NodeEvents, NodeLink, Nodes } from '../package/nodes.js';
import type { Claims, JsonObject, KeySource, PackageFooter, PackageHeader, Role, Signer } from '../package/package.js';
import type { PeerSettings } from '../package/peer-settings.js';
import type { Rates } from '../package/rates.js';
import type { ReplayCache } from '../package/replay.js';
import type { Router } from '../package/router.js';
import type { AnyScope } from '../package/scope.js';
import type { OwnershipCounters } from './ownership-types.js';
import type { Bus, ConflictCopy, Store } from './ports.js';

export interface DispatchOptions {
  /** Where the records of documents are; it stays open when the dispatch is closed. */
  readonly store: Store;
  /** What signs for us; its node is `dispatch`, as nodes and other dispatches know us by no other id. */
  readonly key: Signer;
  /** The nodes: a KeyRing. */
  readonly keys: KeySource;
  /** Scopes from 1000 on that are validated before they are passed on. */
  readonly scopes?: readonly AnyScope[] | undefined;
  /** The other scopes from 1000 on. Default 'forward'. */
  readonly undeclared?: 'forward' | 'refuse' | undefined;
  /** Other names of nodes, besides those of their grants. */
  readonly endpoints?: Readonly<Record<string, string>> | undefined;
  /** The name of the deployment. */
  readonly audience?: string | undefined;
  /** Packages of each scope a node may send, where the scope says nothing itself. */
  readonly limit?: Rate | undefined;
  /** How other dispatches are reached, and whose keys sign there: theirs and ours. Both or neither. */
  readonly bus?: Bus | undefined;
  readonly busKeys?: KeySource | undefined;
  /** ms; the defaults are those of section 10. */
  readonly lease?: number | undefined;
  readonly revokeDeadline?: number | undefined;
  readonly minimumHold?: number | undefined;
  /** Requests for one document that wait. */
  readonly maxWaiting?: number | undefined;
}

/** What a dispatch needs of its surroundings. */
export interface DispatchWorld {
  /** Monotonic ms. */
  readonly now: () => number;
  /** ms since 1970. */
  readonly wall: () => number;
  readonly random: (size: number) => Uint8Array;
  pace(paced: { deadline(): number; tick(now: number): void }): { moved(): void; stop(): void };
}

/** What came and is to be passed on: from a node, or from another dispatch. */
export interface Traveller {
  readonly header: PackageHeader;
  readonly body: JsonObject | undefined;
  readonly footer: PackageFooter | undefined;
  readonly claims: Claims;
  /** Who sent it first. */
  readonly from: string;
  /** In which role. */
  readonly role: Role | undefined;
}

/** For `createServer({ packages })`. */
export interface DispatchPackages
  extends Required<Pick<PeerSettings, 'route' | 'awaited'>>,
    Pick<PeerSettings, 'audience' | 'limit' | 'undeclared'> {
  readonly key: Signer;
  readonly keys: KeySource;
  readonly router: Router;
  readonly nodes: Nodes;
  readonly replay: ReplayCache;
  readonly rates: Rates;
  readonly events: NodeEvents;
}

/** A document has another owner, or none. */
export interface OwnerChange {
  /** Undefined: the shared document. */
  readonly user: string | undefined;
  readonly owner: string | null;
  readonly epoch: number;
}

export interface DispatchEvents {
  /** A node is here. */
  node: [link: NodeLink, node: string];
  /** It is not any longer. */
  gone: [node: string];
  owner: [change: OwnerChange];
  /** A write came too late, and is kept aside. */
  conflict: [copy: ConflictCopy];
  /** The store, the bus, or a listener has failed. Nobody has to listen. */
  error: [error: Error];
}

/** How often each thing has happened. */
export interface ForwardingCounters {
  /** Packages passed on, and answers that found who had asked. */
  forwarded: number;
  answered: number;
  /** Destinations that are not here, that take nothing, or of which too much is pending. */
  unknown: number;
  busy: number;
  /** What nobody has answered in time. */
  expired: number;
  /** Answers to what nobody has asked, or asks any longer. */
  stray: number;
  /** Answers that were not valid. */
  broken: number;
  /** On the bus, and not good. */
  rejected: number;
}

export interface DispatchCounters extends ForwardingCounters {
  readonly nodes: number;
  readonly pending: number;
  /** Entries of the pending that had to make room. */
  readonly forgotten: number;
  readonly ownership: Readonly<OwnershipCounters> & { readonly documents: number; readonly waiting: number };
}
