// What a peer is given and whom it tells, as types. The machine is peer.ts. PROTOCOL.md section 8.4.
import type { Rate } from '../bytes/rate.js';
import type { Asked } from './asked.js';
import type { PackageFault } from './codes.js';
import type { PackageError } from './errors.js';
import type { Claims, KeyRecord, KeySource, Signer } from './package.js';
import type { Incoming, PeerFace } from './peer-types.js';
import type { Rates } from './rates.js';
import type { ReplayCache } from './replay.js';
import type { Router } from './router.js';

export interface PeerSettings<Data = unknown> {
  readonly router: Router<Data>;
  /** What signs our packages; a function where that depends on who is there: with HS256 both ends have one secret and one kid. */
  readonly signer: Signer | ((to: KeyRecord | undefined) => Signer);
  /** Who may sign what comes. */
  readonly keys: KeySource;
  /** Name of the deployment, in every package of ours and demanded of theirs. */
  readonly audience?: string | undefined;
  /** One for all peers, or a token could be used again on another connection. */
  readonly replay?: ReplayCache | undefined;
  /** One for all peers as well, or a limit would begin anew with each connection. */
  readonly rates?: Rates | undefined;
  /** Monotonic ms: for what ends or begins without the driver, such as a handler. */
  readonly now: () => number;
  /** ms since 1970. */
  readonly wall: () => number;
  readonly random: (size: number) => Uint8Array;
  /** `ctx.data` of every handler. */
  readonly data: Data;
  /** Asynchronous handlers that run side by side. Default 64. */
  readonly maxConcurrent?: number | undefined;
  /** Packages that wait for one of them to end. Default 256. */
  readonly maxWaiting?: number | undefined;
  /** Calls without an answer. Default 10,000. */
  readonly maxCalls?: number | undefined;
  /** Packages that wait because the peer said so. Default 1,024. */
  readonly maxQueued?: number | undefined;
  /**
   * Of each scope that says none, and for each sender; undefined: no limit. Scopes that nobody declared share one; those by which documents
   * are kept (1, 101 to 104) have none.
   */
  readonly limit?: Rate | undefined;
  /** Scopes from 1000 on that nobody declared: 'route' asks `route`. Default 'refuse'. */
  readonly undeclared?: 'refuse' | 'route' | undefined;
  /**
   * Where a package goes, after its rate and before its handler. Not asked about answers to calls of this peer. Absent: what names another
   * destination than us is refused.
   */
  route?(incoming: Incoming, peer: PeerFace<Data>): 'here' | 'taken' | PackageFault;
  /**
   * What was passed on to this peer under that jti, while it may be answered: its answer needs no permission and has no rate, for it was
   * asked for. Undefined: nothing.
   */
  awaited?(re: string, record: KeyRecord): Asked | undefined;
}

/** What the machine tells while an input or a call runs. */
export interface PeerSink {
  transmit(token: string): void;
  /** Once: nothing comes after it. */
  close(code: number, reason: string): void;
  /** The deadline may have come nearer. */
  moved(): void;
  /** Too many handlers are at work: reading should wait until it is false. */
  pressure(on: boolean): void;
  /** Our fault: a handler failed, an answer of ours is not valid, a package could not be sent any more. */
  failed(error: Error, incoming: Incoming | undefined): void;
  /** Once, with the first valid token. */
  identified?(record: KeyRecord): void;
  /** A good package came: whoever it is lives. */
  heard?(incoming: Incoming): void;
  /** Their fault, for the log. Claims are those of a token whose signature holds. */
  rejected?(fault: PackageFault, claims: Claims | undefined): void;
  /** An ERROR about a package of ours that nobody waits for. */
  refused?(error: PackageError, re: string | undefined): void;
}
