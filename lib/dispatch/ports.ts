// The two things a dispatch needs of the world: where the records of user data are kept (Store), and how it reaches the nodes of other
// machines (Bus). PROTOCOL.md section 9.1. Types only; lib/store and lib/bus have the implementations.
import type { JsonObject } from '../package/package.js';

/** Who owned a document before, and in which epoch last. */
export interface PastOwner {
  readonly node: string;
  readonly epoch: number;
}

/** Of one user, or of the shared document. */
export interface OwnershipRecord {
  /** Grows with every change of owner. */
  readonly epoch: number;
  readonly owner: string | null;
  /**
   * ms since 1970: the end of the lease of an owner that was asked to let go and has not answered in time, so that who asks after a restart
   * waits for what is left of it. Undefined otherwise.
   */
  readonly leaseUntil: number | undefined;
  readonly doc: JsonObject;
  /** Grows with every write of the document. */
  readonly version: number;
  /** The latest last, a few of them: of these a write that comes too late is kept. Undefined: whoever wrote the record did not know. */
  readonly past?: readonly PastOwner[] | undefined;
}

/** A write that came too late, kept. */
export interface ConflictCopy {
  readonly key: string;
  readonly node: string;
  readonly epoch: number;
  /** What was current when it came. */
  readonly currentEpoch: number;
  readonly doc: JsonObject;
  /** ms since 1970. */
  readonly at: number;
}

export interface Store {
  /** Undefined: nobody has written it yet. */
  get(key: string): Promise<OwnershipRecord | undefined>;
  /**
   * Atomic compare-and-set, durable when it resolves. `expectEpoch` and `expectVersion` are those of the record that is replaced, 0 for
   * none. False: somebody else wrote meanwhile, nothing has changed.
   */
  commit(
    key: string,
    expect: { readonly epoch: number; readonly version: number },
    next: OwnershipRecord,
  ): Promise<boolean>;
  /** Durable when it resolves. Of one key the newest MAX_CONFLICTS are kept, of one node in it MAX_NODE_CONFLICTS, and nothing twice. */
  keepConflict(copy: ConflictCopy): Promise<void>;
  /** The oldest first. */
  conflicts(key: string): Promise<readonly ConflictCopy[]>;
  close(): Promise<void>;
}

/** A package on its way between two dispatches. */
export interface BusMessage {
  readonly token: string;
  /** How many dispatches it has passed. */
  readonly hops: number;
  /** Where an answer to it goes: the address of the dispatch that asks. */
  readonly from: string;
}

export interface Bus {
  /** This node is reachable here, or this dispatch: its address begins with `@`, which no node's id does. The returned function ends that. */
  attach(node: string, receive: (message: BusMessage) => void): () => void;
  /** False: nobody has attached that node. */
  deliver(node: string, message: BusMessage): Promise<boolean>;
  close(): Promise<void>;
}
