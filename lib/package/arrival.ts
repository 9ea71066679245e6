// A package whose token, header and footer are good → may it come in, and what its schema makes of the body; section 8.4 from the permission to
// the body. Decides, and changes nothing. PROTOCOL.md sections 8.4 and 8.5.
import { type Asked, judgeAnswer } from './asked.js';
import { type PackageFault, packageFault } from './codes.js';
import { ERROR, PING } from './core-scopes.js';
import { checkLengths } from './lengths.js';
import type { Claims, PackageFooter, PackageHeader, Role } from './package.js';
import type { PeerSettings } from './peer-settings.js';
import { checkPermission, checkRole, isForwardable, roleOf } from './permission.js';
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
  /** It was asked for, so that no rate of who sends it counts. */
  readonly asked: boolean;
  /** What its schema gave. */
  readonly body: unknown;
}

/** 'stray': an answer, or an error, that nobody waits for. `called`: whether a call of ours has ever asked for answers of that scope. */
export const checkArrived = <Data>(
  { judged, header }: Pick<Arrived, 'judged' | 'header'>,
  settings: PeerSettings<Data>,
  called: (reply: number) => boolean,
): Checked<Data> | PackageFault | 'stray' => {
  const { claims, record, body } = judged;
  const id = header.scope;
  const route = settings.router.find(id);
  const scope = route?.scope ?? settings.router.scope(id);
  const asked = claims.re === undefined ? undefined : settings.awaited?.(claims.re, record);
  const due = asked === undefined ? undefined : judgeAnswer(asked, id);
  if (typeof due === 'object') return due;
  if (asked === undefined && isStray(id, claims, route, () => settings.router.isReply(id) || called(id)))
    return 'stray';
  if (due !== 'due') {
    const fault = checkSender(asked, header, judged, scope?.roles, route?.roles);
    if (fault !== undefined) return fault;
  }
  if (route === undefined && !isKnown(id, scope, settings)) return packageFault('unknown_scope');
  const reply = due === 'due' && id !== ERROR.id ? asked?.scope?.reply : undefined;
  // An answer that bears the number of what it answers has a schema of its own.
  const own = reply !== undefined && id === asked?.id;
  const long = checkLengths(header, body, own ? undefined : scope?.lengths);
  if (long !== undefined) return long;
  const checked =
    scope === undefined && reply === undefined
      ? checkUndeclared(body)
      : checkBody(reply === undefined ? scope?.body : reply.body, body);
  if (checked.kind !== 'body') return checked;
  const free = due === 'due' || (due === 'open' && scope === undefined);
  return { kind: 'checked', route, scope, asked: free, body: checked.body };
};

const checkSender = (
  asked: Asked | undefined,
  header: PackageHeader,
  { claims, record, body }: Judged,
  ...roles: readonly (readonly Role[] | undefined)[]
): PackageFault | undefined => {
  // The answer to what was asked on nobody's behalf is on nobody's behalf as well, whoever gives it.
  const due = asked?.internal === true && asked.id === header.scope;
  const fault = checkPermission(due ? { ...header, internal: false } : header, body, record);
  if (fault !== undefined) return fault;
  if (claims.org !== undefined && !isForwardable(header.scope)) {
    return packageFault('forbidden', { detail: `scope ${header.scope} of ${claims.org}` });
  }
  const role = roleOf(record, claims);
  for (const of of roles) {
    const wrong = checkRole(header.scope, of, role);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
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

/**
 * A late answer of the other end goes to the handler of its scope, if that is the answer of something: it would take a question for one. Of
 * another node nothing tells any more what it was asked, so it would be a package of a scope that this node has chosen.
 */
const isStray = (id: number, { re, org }: Claims, route: Route<never> | undefined, isReply: () => boolean): boolean => {
  if (route === undefined) return re !== undefined || isNeverAnswered(id);
  if (re === undefined || id === ERROR.id) return false;
  return org !== undefined || route.scope.reply?.scope === id || !isReply();
};

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
