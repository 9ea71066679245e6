// What a session must remember to be itself again on another connection: its id, who the peer is, the keys that prove it, of which there
// may be two, and what the peer said when both agreed to go on. Knows no connection. PROTOCOL.md section 5.5.
import type { ResumeOffer, Secrets } from './handshake.js';
import type { ResumeState } from './resume-state.js';
import type { SessionSecurity } from './session-types.js';

export class Resumption {
  #security: SessionSecurity | undefined;
  #binderKeys: readonly Uint8Array[] = [];
  /** The peer's half of a resume that was agreed on, and at a server the key with which the client proved that the session is its own. */
  #agreed: { readonly state: ResumeState; readonly usedKey: Uint8Array | undefined } | undefined;

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

  /** Server: the halves of RS fit, and this is the client's. */
  agree(state: ResumeState, usedKey: Uint8Array | undefined): void {
    this.#agreed = { state, usedKey };
  }

  /**
   * Resumed; the peer's half of RS, if there was an agreement. A server whose CONFIRM came here knows the new key for certain; what a client
   * knows is seen from its next packet.
   */
  renew(secrets: Secrets): ResumeState | undefined {
    if (this.#agreed === undefined) return undefined;
    const { state, usedKey: former } = this.#agreed;
    this.#agreed = undefined;
    // Section 6.4: a package that was signed before the cut may arrive after it, and must still be good.
    this.#remember({ ...secrets, packageKeys: this.#security?.packageKeys ?? secrets.packageKeys });
    this.#binderKeys = former === undefined ? [secrets.binderKey] : [former, secrets.binderKey];
    return state;
  }

  /** The peer used the keys of this connection, so it has its CONFIRM. */
  prove(): void {
    if (this.#binderKeys.length > 1) this.#binderKeys = this.#binderKeys.slice(-1);
  }

  /** Client: what the next handshake asks for. `judge`: the server's half; undefined when it contradicts ours. */
  offer(state: () => Uint8Array, judge: (peerState: Uint8Array) => ResumeState | undefined): ResumeOffer | undefined {
    const security = this.#security;
    const [binderKey] = this.#binderKeys;
    if (security === undefined || binderKey === undefined) return undefined;
    const accepts = (bytes: Uint8Array): boolean => {
      const theirs = judge(bytes);
      if (theirs !== undefined) this.agree(theirs, undefined);
      return theirs !== undefined;
    };
    return { id: security.sessionId, identity: security.identity, binderKey, state, accepts };
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
