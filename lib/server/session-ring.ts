// The keys that are good in one packet session: those of the ring, and under the kid `session` its own, once the embedder has said whose session
// it is. Asked anew each time, so that a node that is sent away is no node any more. lib/package/PROTOCOL.md section 8.2.
import { nodeSuite } from '../crypto/node.js';
import { textOf } from '../fault.js';
import type { Session } from '../link/session.js';
import { SESSION_KID, type SessionKeys, sessionKeys } from '../link/session-keys.js';
import type { ServerPackages } from '../options/packages-types.js';
import type { Grant, KeyRecord, KeySource, Signer } from '../package/package.js';

export class SessionRing implements KeySource {
  readonly #session: Session;
  readonly #options: Pick<ServerPackages, 'keys' | 'key' | 'sessionNode'>;
  readonly #failed: (error: Error) => void;
  #made: { readonly grant: Grant; readonly keys: SessionKeys } | undefined;

  constructor(
    session: Session,
    options: Pick<ServerPackages, 'keys' | 'key' | 'sessionNode'>,
    failed: (error: Error) => void,
  ) {
    this.#session = session;
    this.#options = options;
    this.#failed = failed;
  }

  find(kid: string): KeyRecord | undefined {
    return kid === SESSION_KID ? this.#own()?.keys.find(kid) : this.#options.keys.find(kid);
  }

  signer(): Signer {
    const { keys } = this.#made ?? {};
    if (keys === undefined) throw new TypeError('nobody has said whose session this is');
    return keys.signer();
  }

  /** Without a grant the session has no key: what fails here is our own, and lets nobody in. */
  #own(): SessionKeys | undefined {
    const grant = this.#ask();
    if (grant === undefined) return undefined;
    // The same one as before keeps its keys: making them costs a copy of each.
    if (this.#made?.grant !== grant) {
      const { key } = this.#options;
      this.#made = { grant, keys: sessionKeys(this.#session, { grant, node: key.node, suite: nodeSuite }) };
    }
    return this.#made?.keys;
  }

  #ask(): Grant | undefined {
    const { sessionNode } = this.#options;
    try {
      return this.#session.security === undefined ? undefined : sessionNode?.(this.#session);
    } catch (reason) {
      this.#failed(reason instanceof Error ? reason : new Error(textOf(reason)));
      return undefined;
    }
  }
}
