// What a session must remember to be itself again on another connection: its id, who the peer is, and the keys that prove it, of which there
// may be two. Knows no connection. PROTOCOL.md section 5.5.
import type { ResumeOffer, Secrets } from './handshake.js';
import type { SessionSecurity } from './session-types.js';

export class Resumption {
  #security: SessionSecurity | undefined;
  #binderKeys: readonly Uint8Array[] = [];

  /** Undefined: never opened, or a session that cannot be resumed. */
  get security(): SessionSecurity | undefined {
    return this.#security;
  }

  /** The last one the peer certainly knows, and the newest: a CONFIRM may be lost with its connection. */
  get binderKeys(): readonly Uint8Array[] {
    return this.#binderKeys;
  }

  /** A fresh session. */
  begin(secrets: Secrets): void {
    this.#erase();
    this.#remember(secrets);
    this.#binderKeys = [secrets.binderKey];
  }

  /** Resumed, by a peer that used `former`. Undefined: it knows the new key for certain, as a server does when its CONFIRM came here. */
  renew(secrets: Secrets, former: Uint8Array | undefined): void {
    // Section 6.4: a package that was signed before the cut may arrive after it, and must still be good.
    this.#remember({ ...secrets, packageKeys: this.#security?.packageKeys ?? secrets.packageKeys });
    this.#binderKeys = former === undefined ? [secrets.binderKey] : [former, secrets.binderKey];
  }

  /** The peer used the keys of this connection, so it has its CONFIRM. */
  prove(): void {
    if (this.#binderKeys.length > 1) this.#binderKeys = this.#binderKeys.slice(-1);
  }

  offer(state: () => Uint8Array, accepts: (peerState: Uint8Array) => boolean): ResumeOffer | undefined {
    const id = this.#security?.sessionId;
    const [binderKey] = this.#binderKeys;
    return id === undefined || binderKey === undefined ? undefined : { id, binderKey, state, accepts };
  }

  /** Over for good. Who the peer was may still be asked. */
  end(): void {
    this.#erase();
  }

  #remember({ identity, peer, exporter, packageKeys, sessionId }: Secrets): void {
    this.#security = { identity, peer, exporter, packageKeys, sessionId };
  }

  #erase(): void {
    for (const key of this.#binderKeys) key.fill(0);
    this.#binderKeys = [];
  }
}
