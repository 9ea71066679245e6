// A package whose token, header and footer are good → may it come in, and what its schema makes of the body; section 8.4 from the permission to
// the body. Decides, and changes nothing. PROTOCOL.md sections 8.4 and 8.5.
import { type PackageFault, packageFault } from './codes.js';
import { ERROR, PING } from './core-scopes.js';
import { checkLengths } from './lengths.js';
import type { Claims, PackageFooter, PackageHeader } from './package.js';
import type { PeerSettings } from './peer-settings.js';
import { checkPermission, checkRole } from './permission.js';
import type { Route, Router } from './router.js';
import { type AnyScope, type CheckedBody, checkAnyBody, checkBody, FIRST_OWN_SCOPE, type ScopeReply } from './scope.js';
import { isNeverAnswered } from './scope-table.js';
import type { Judged } from './token.js';

export interface Arrived {
  readonly judged: Judged;
  readonly header: PackageHeader;
  readonly footer: PackageFooter | undefined;
  /** Characters of its token. */
  readonly size: number;
}

/** Good but for its rate. */
export interface Checked<Data> {
  readonly kind: 'checked';
  /** Who handles it; undefined: nobody here. */
  readonly route: Route<Data> | undefined;
  /** Undefined: nobody declared it. */
  readonly scope: AnyScope | undefined;
  /** An answer that somebody waits for. */
  readonly awaited: boolean;
  /** What its schema gave. */
  readonly body: unknown;
}

/** 'stray': an answer, or an error, that nobody waits for. */
export const checkArrived = <Data>(
  { judged, header }: Pick<Arrived, 'judged' | 'header'>,
  settings: PeerSettings<Data>,
): Checked<Data> | PackageFault | 'stray' => {
  const { claims, record, body } = judged;
  const id = header.scope;
  const route = settings.router.find(id);
  const scope = route?.scope ?? settings.router.scope(id);
  const awaited = claims.re !== undefined && settings.awaited?.(claims.re, record) === true;
  if (!awaited) {
    if (isStray(id, claims, route)) return 'stray';
    const fault =
      checkPermission(header, body, record) ??
      checkRole(id, scope?.roles, record.role, claims.org) ??
      checkRole(id, route?.roles, record.role, claims.org);
    if (fault !== undefined) return fault;
  }
  if (route === undefined && !isKnown(id, scope, settings)) return packageFault('unknown_scope');
  // An answer that bears the number of what it answers has a schema of its own.
  const reply = awaited && scope?.reply?.scope === id ? scope.reply : undefined;
  const long = checkLengths(header, body, reply === undefined ? scope?.lengths : undefined);
  if (long !== undefined) return long;
  const checked =
    scope === undefined ? checkUndeclared(body) : checkBody(reply === undefined ? scope.body : reply.body, body);
  return checked.kind === 'body' ? { kind: 'checked', route, scope, awaited, body: checked.body } : checked;
};

/** What came with the jti of a call of ours: its answer, or an ERROR about it. It was asked for, so it needs no permission. */
export const checkAnswer = (
  called: AnyScope,
  { judged, header }: Pick<Arrived, 'judged' | 'header'>,
  router: Pick<Router, 'scope'>,
): CheckedBody => {
  const expected = called.reply as ScopeReply;
  const refused = header.scope === ERROR.id;
  if (!refused && header.scope !== expected.scope) {
    const issue = { path: ['header', 'scope'], message: `must be ${expected.scope} or ${ERROR.id}` };
    return packageFault('bad_header', { issues: [issue] });
  }
  const own = !refused && expected.scope === called.id;
  const long = checkLengths(header, judged.body, own ? undefined : router.scope(header.scope)?.lengths);
  return long ?? checkBody(refused ? ERROR.body : expected.body, judged.body);
};

/** Late answers go to the handler of their scope, unless it would take them for questions. */
const isStray = (id: number, { re }: Claims, route: Route<never> | undefined): boolean =>
  route === undefined ? re !== undefined || isNeverAnswered(id) : re !== undefined && route.scope.reply?.scope === id;

const isKnown = (
  id: number,
  scope: AnyScope | undefined,
  { route, undeclared = 'refuse' }: Pick<PeerSettings<never>, 'route' | 'undeclared'>,
): boolean => {
  if (id === PING.id) return true;
  return route !== undefined && (scope !== undefined || (undeclared === 'route' && id >= FIRST_OWN_SCOPE));
};

const checkUndeclared = (body: unknown): CheckedBody =>
  (body === undefined ? undefined : checkAnyBody(body)) ?? { kind: 'body', body };

/** Who sent it first: claims.org is the dispatch's alone to say. */
export const fromOf = ({ org, iss }: Claims): string => org ?? iss;
