// A packet session and who is at its other end → the keys of packages in it: HS256 with what both ends have exported, one key a direction, so
// that no package can be sent back to its sender. Nothing to distribute. PROTOCOL.md section 8.2 (kid `session`).
import type { Suite } from '../crypto/suite.js';
import type { Grant, KeyRecord, KeySource, Signer } from '../package/package.js';
import { portableSigner, portableVerifier } from '../package/token-portable.js';
import type { Session } from './session.js';

export const SESSION_KID = 'session';

export interface SessionKeys {
  readonly keys: KeySource;
  signer(): Signer;
}

interface Made {
  /** What it was made of: a session that begins afresh has other keys. */
  readonly from: Uint8Array;
  readonly record: KeyRecord;
  readonly signer: Signer;
}

/**
 * `grant`: who the other end is, which the embedder alone can say (`sessionNode`); `node`: who we are. The keys are looked up when they are
 * needed: the session may still be about to open. A session without encryption has none, and nothing in it is believed.
 */
export const sessionKeys = (
  session: Session,
  {
    grant,
    node,
    suite,
  }: { readonly grant: Grant; readonly node: string; readonly suite: Pick<Suite, 'hmac' | 'equal'> },
): SessionKeys => {
  let made: Made | undefined;
  const make = (): Made | undefined => {
    const both = session.security?.packageKeys;
    if (both === undefined || made?.from === both.c2s) return made;
    const [theirs, ours] = session.role === 'server' ? [both.c2s, both.s2c] : [both.s2c, both.c2s];
    made = {
      from: both.c2s,
      record: { ...grant, kid: SESSION_KID, verifier: portableVerifier(theirs, suite) },
      signer: portableSigner({ kid: SESSION_KID, secret: ours, node, suite }),
    };
    return made;
  };
  return {
    keys: { find: (kid) => (kid === SESSION_KID ? make()?.record : undefined) },
    signer: () => {
      const now = make();
      if (now === undefined) throw new TypeError('the session has no keys: it is not open, or not encrypted');
      return now.signer;
    },
  };
};
