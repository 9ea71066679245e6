// The options of packages as types; their checks, defaults and texts are in packages.ts. The last group is for whoever stands between
// the nodes: a dispatch gives them all at once, an embedder with a router of his own needs none of them.
import type { CertificateInfo } from '../crypto/identity.js';
import type { NodeEvents, Nodes } from '../package/nodes.js';
import type { Grant, KeySource, Signer } from '../package/package.js';
import type { PeerSettings } from '../package/peer-settings.js';
import type { Rates } from '../package/rates.js';
import type { ReplayCache } from '../package/replay.js';
import type { Router } from '../package/router.js';
import type { HandshakeInfo } from '../websocket/handshake-info.js';

/** What is known of a packet session when it is asked whose it is. */
export interface SessionIdentity {
  /** The fingerprint of its certificate, or 'anonymous'; undefined in mode none. */
  readonly identity: string | undefined;
  readonly peer: CertificateInfo | undefined;
  /** What `authorize` gave its connection. */
  readonly data: unknown;
  readonly remoteAddress: string;
  readonly request: HandshakeInfo | undefined;
}

type PeerOptions<Data> = Pick<
  PeerSettings<Data>,
  'audience' | 'limit' | 'undeclared' | 'maxConcurrent' | 'maxWaiting' | 'maxCalls' | 'maxQueued' | 'route' | 'awaited'
>;

/** Packages on `v0.package.wsd`, and with `packets` on `v0.secure-package.wsd`. */
export interface PackageOptions<Data = unknown> extends PeerOptions<Data> {
  /** Who we are, and what signs for us. */
  readonly key: Signer;
  /** Who may sign what comes: a KeyRing. */
  readonly keys: KeySource;
  /** One that does not look at `ctx.data` serves connections with any. */
  readonly router?: Router<Data> | Router | undefined;
  readonly identifyTimeout?: number | undefined;
  /** Whose session that is, for packages signed by its own keys (kid `session`); undefined: nobody's. */
  readonly sessionNode?: ((session: SessionIdentity) => Grant | undefined) | undefined;
  readonly nodes?: Nodes | undefined;
  readonly replay?: ReplayCache | undefined;
  readonly rates?: Rates | undefined;
  readonly events?: NodeEvents | undefined;
}

/** With its defaults. */
export interface ServerPackages extends PackageOptions<unknown> {
  readonly identifyTimeout: number;
}
