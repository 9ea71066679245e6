// Who sent a package and what it says → may he. Asked before the scope is known and before the body has been looked at.
// PROTOCOL.md sections 8.4 (role, scope, user) and 9 (roles).
import { type PackageFault, packageFault } from './codes.js';
import { ERROR, UD_REQ_OWNERSHIP } from './core-scopes.js';
import type { Claims, Grant, PackageHeader, Role } from './package.js';
import { isObject } from './schema.js';
import { FIRST_OWN_SCOPE } from './scope.js';
import { rangeOf } from './scope-table.js';

const forbidden = (detail: string): PackageFault => packageFault('forbidden', { detail });

export const checkPermission = (header: PackageHeader, body: unknown, grant: Grant): PackageFault | undefined => {
  const { scope, internal, user } = header;
  // Signs of life and errors are on nobody's behalf, and everyone may send them.
  if (scope > ERROR.id) {
    // Section 9: a front speaks for its users only.
    if (grant.role === 'front' && internal) return forbidden('a front speaks for its users');
    if (grant.scopes !== undefined && !grant.scopes.includes(scope)) return forbidden(`scope ${scope}`);
  }
  if (grant.users === undefined) return undefined;
  if (user !== undefined && !grant.users.includes(user)) return forbidden('header.user');
  // Section 9: body.user decides which document is meant, whoever the header speaks for (HOSTILE 76).
  if (rangeOf(scope) !== 'userdata' || !isObject(body)) return undefined;
  const document = Object.hasOwn(body, 'user') ? body['user'] : undefined;
  if (typeof document === 'string' && !grant.users.includes(document)) return forbidden('body.user');
  // No user at all: the document that all share.
  if (document === undefined && user === undefined) return forbidden('the shared document');
  return undefined;
};

/** Of who sent it first; undefined: a dispatch forwards it, and does not say. */
export const roleOf = ({ role }: Pick<Grant, 'role'>, { org, rol }: Claims): Role | undefined =>
  org === undefined ? role : rol;

/** What a dispatch forwards is asked for the role of its sender: the dispatch may not know the scope, and not have asked. */
export const checkRole = (
  scope: number,
  roles: readonly Role[] | undefined,
  role: Role | undefined,
): PackageFault | undefined => {
  if (roles === undefined || (role !== undefined && roles.includes(role))) return undefined;
  // What the dispatch says itself.
  if (role === 'dispatch' && scope >= FIRST_OWN_SCOPE) return undefined;
  return forbidden(`scope ${scope} of ${role === undefined ? 'no role' : `the role ${role}`}`);
};

/** Ownership is between a node and the dispatch; only a request for it may go to a front, which asks on the node's behalf. */
export const isForwardable = (scope: number): boolean => rangeOf(scope) !== 'userdata' || scope === UD_REQ_OWNERSHIP.id;
