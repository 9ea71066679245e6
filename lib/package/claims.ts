// The claims of a token whose signature holds → may they be believed: who signed this hop, for whom, and when. Their shapes are checked in
// schema.ts, repetition is judged in replay.ts. The wall clock is an argument. PROTOCOL.md sections 8.2 and 8.4.
import { type PackageFault, packageFault } from './codes.js';
import { CLOCK_TOLERANCE, MAX_TOKEN_TTL } from './limits.js';
import type { Claims, KeyRecord } from './package.js';

/** False claims about who and for whom are those of a forger, so they end the connection as a false signature does. */
export const checkParties = (
  claims: Claims,
  record: KeyRecord,
  audience: string | undefined,
): PackageFault | undefined => {
  if (claims.iss !== record.node) return packageFault('bad_token', { detail: `iss is not ${record.node}` });
  if (audience !== undefined && claims.aud !== audience) {
    return packageFault('bad_token', { detail: `aud is not ${audience}` });
  }
  // Only the dispatch speaks for others, and says what they are.
  if ((claims.org ?? claims.rol) !== undefined && record.role !== 'dispatch') {
    return packageFault('bad_token', { detail: `org or rol in a token of the role ${record.role}` });
  }
  if (claims.rol !== undefined && claims.org === undefined) {
    return packageFault('bad_token', { detail: 'rol without org' });
  }
  return undefined;
};

/** `wall`: ms since 1970. jsonwebtoken would not notice an iat in the future, nor a token that holds for years. */
export const checkTimes = ({ iat, exp }: Claims, wall: number): PackageFault | undefined => {
  const now = wall / 1000;
  if (exp <= iat || exp - iat > MAX_TOKEN_TTL) {
    return packageFault('token_expired', { detail: `it holds for ${exp - iat} s, not for 1 to ${MAX_TOKEN_TTL} s` });
  }
  if (iat > now + CLOCK_TOLERANCE) return packageFault('token_expired', { detail: 'iat is in the future' });
  // RFC 7519 section 4.1.4: not on the very second either.
  if (now >= exp + CLOCK_TOLERANCE) return packageFault('token_expired', { detail: 'exp is over' });
  return undefined;
};
