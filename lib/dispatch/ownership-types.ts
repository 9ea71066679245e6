// The shapes of the ownership machine: what it is asked, what it tells, and its terms. PROTOCOL.md sections 9 and 9.1. Types only, but for
// the defaults of the terms. Knows no package: who makes 100, 101, 102 and 103 of these is the dispatch.
import type { PackageCode } from '../package/codes.js';
import { LEASE, MAX_WAITING, MINIMUM_HOLD, REVOKE_DEADLINE } from '../package/limits.js';
import type { JsonObject } from '../package/package.js';
import type { ConflictCopy } from './ports.js';

/** Somebody shall become the owner (scope 100). A richer object may be handed in: the same one comes back with the answer. */
export interface OwnershipRequest {
  /** The user, or `shared`. */
  readonly key: string;
  /** Who shall receive the document. */
  readonly node: string;
  /** Monotonic ms: then the request dies. */
  readonly deadline: number;
}

/** The owner writes: it goes on (103, save), or it lets go (101, transfer). */
export interface OwnershipWrite {
  readonly kind: 'save' | 'transfer';
  readonly key: string;
  /** Who has sent it. */
  readonly node: string;
  /** A transfer may leave it out when it answers a revoke: then that one's holds. */
  readonly epoch: number | undefined;
  readonly doc: JsonObject;
  /** Of a transfer: the id of the revoke it answers. */
  readonly re?: string | undefined;
}

export interface RevokeTerms {
  readonly epoch: number;
  /** Who waits for the document. */
  readonly to: string;
  /** ms from now. */
  readonly deadline: number;
}

export interface OwnershipGrant {
  readonly epoch: number;
  readonly doc: JsonObject;
  readonly version: number;
}

/** Where the machine's outputs go. What is called here may call the machine back. */
export interface OwnershipSink<Request, Write> {
  /** Sends 102. The answer is its id; undefined: it could not be sent. */
  revoke(owner: string, key: string, terms: RevokeTerms): string | undefined;
  /** Committed. It may come after the request's deadline, when the store was slow: the node is the owner all the same, and is to be told. */
  granted(request: Request, grant: OwnershipGrant): void;
  /** Durable. `released`: it has let go, and nobody is the owner now. */
  saved(write: Write, at: { readonly epoch: number; readonly version: number; readonly released: boolean }): void;
  /** `delay`: ms after which another try makes sense. */
  refused(ask: Request | Write, code: PackageCode, delay: number | undefined): void;
  /** A write that came too late is kept aside; `refused` follows. */
  conflict?(copy: ConflictCopy): void;
  /** The store has failed; who asked was told `internal`, unless nobody has to wait for it. */
  failed(error: unknown, key: string): void;
  /** The store has answered: `tick(now)` is wanted. It may be called from within. */
  wake(): void;
}

export interface OwnershipSettings {
  /** ms since 1970. */
  readonly wall: () => number;
  /** ms; so are the next two. */
  readonly lease: number;
  readonly revokeDeadline: number;
  /** A new owner is left in peace for so long. */
  readonly minimumHold: number;
  /** Requests for one document; more are told `busy`. */
  readonly maxWaiting: number;
  /** Writes of one document that wait for the store; more are told `busy`. */
  readonly maxWrites: number;
  /** Documents about which something is going on; a request for one more is told `busy`. */
  readonly maxKeys: number;
  /**
   * More than one dispatch uses the store: an owner of whom nothing was heard here may live elsewhere. Between two dispatches there is no
   * order: a node that connects to another one asks again for what it owns, so that what it sent before is fenced by the new epoch.
   */
  readonly several: boolean;
  /** Whether a node that is not connected here can be reached by the bus. */
  readonly reachable: (node: string) => boolean;
}

export const OWNERSHIP_DEFAULTS: Omit<OwnershipSettings, 'wall'> = {
  lease: LEASE,
  revokeDeadline: REVOKE_DEADLINE,
  minimumHold: MINIMUM_HOLD,
  maxWaiting: MAX_WAITING,
  maxWrites: 64,
  maxKeys: 100_000,
  several: false,
  reachable: () => false,
};

/** How often each thing has happened. */
export interface OwnershipCounters {
  granted: number;
  /** Of these, after an owner has let go in time. */
  handedOver: number;
  /** Of these, after the owner's lease was over. */
  takenOver: number;
  saved: number;
  released: number;
  revoked: number;
  refused: number;
  stale: number;
  conflicts: number;
  /** Another dispatch was faster at the store. */
  lost: number;
  failed: number;
}
