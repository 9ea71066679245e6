// The record by which a node was let in, and the one that stands under its kid now → may its connection go on, and if not, how it ends. A kid
// alone says nothing: it may have been given again, with another key or other rights. PROTOCOL.md sections 8.2 and 12.2 (D25).
import { NODE_CLOSE, RIGHTS_CLOSE } from './codes.js';
import type { Grant, KeyRecord, Verifier } from './package.js';

export interface KeyEnd {
  readonly code: number;
  readonly reason: string;
}

const REVOKED: KeyEnd = { code: NODE_CLOSE.revoked, reason: 'revoked' };
const OTHER_RIGHTS: KeyEnd = { code: RIGHTS_CLOSE, reason: 'its rights have changed' };

/** Undefined: nothing has changed. */
export const keyEndOf = (known: KeyRecord, found: KeyRecord | undefined): KeyEnd | undefined => {
  if (known === found) return undefined;
  if (found?.node !== known.node || !isSameKey(known.verifier, found.verifier)) return REVOKED;
  return hasSameRights(known, found) ? undefined : OTHER_RIGHTS;
};

const isSameKey = (a: Verifier, b: Verifier): boolean => a === b || a.isSame?.(b) === true;

const hasSameRights = (a: Grant, b: Grant): boolean =>
  a.role === b.role &&
  isSameSet(a.scopes, b.scopes) &&
  isSameSet(a.users, b.users) &&
  isSameSet(a.permissions, b.permissions) &&
  isSameSet(a.endpoints, b.endpoints);

/** In whatever order they come from where they are kept. Undefined is no empty list: it often means all. */
const isSameSet = <T>(a: readonly T[] | undefined, b: readonly T[] | undefined): boolean => {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && [...left].every((one) => right.has(one));
};
