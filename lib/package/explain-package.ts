// One token, or the payload of one, → all that can be said about it: for people who look at captured packages. Never throws on what a peer
// sent and goes on after the first fault, where a receiver stops. The clock, replays and permissions are not judged: a capture is old,
// and says nothing about who may do what. PROTOCOL.md sections 8 and 9.
import { fromBase64url } from '../bytes/base64url.js';
import { checkTimes } from './claims.js';
import { PACKAGE_CODES, type PackageCode, type PackageFault, packageFault } from './codes.js';
import { isEscaped } from './escape.js';
import type {
  ExplainedPackage,
  ExplainedPackageFault,
  ExplainedScope,
  ExplainedSignature,
  ExplainKeys,
} from './explained.js';
import { checkLengths } from './lengths.js';
import { MAX_NESTING, MAX_PACKAGE } from './limits.js';
import { nestingOf } from './nesting.js';
import { octetsOf } from './octets.js';
import type { JsonObject, PackageHeader } from './package.js';
import { checkClaimLengths, checkClaims, checkFooter, checkHeader, isObject, parsePayload } from './schema.js';
import { type AnyScope, type CheckedBody, checkAnyBody, checkBody } from './scope.js';
import { rangeOf, ScopeTable } from './scope-table.js';
import { splitToken } from './token.js';

export interface ExplainPackageOptions {
  /** Where the keys of signatures are found. */
  readonly keys?: ExplainKeys | undefined;
  /** The scopes that are known besides those of the protocol. */
  readonly scopes?: ScopeTable | undefined;
}

const SECTIONS: Partial<Readonly<Record<PackageCode, string>>> = {
  bad_token: '8.2',
  token_expired: '8.2',
  not_escaped: '8.3',
  bad_header: '8.1',
  bad_body: '9',
  unknown_scope: '8.5',
};

const told = ({ code, detail, issues, close }: PackageFault): ExplainedPackageFault => ({
  code,
  phrase: PACKAGE_CODES[code].phrase,
  detail,
  issues,
  close,
  section: `PROTOCOL.md section ${SECTIONS[code] ?? '8.4'}`,
});

/** A text that begins with a brace is the payload by itself, with claims or without. */
export const explainPackage = (text: string, options: ExplainPackageOptions = {}): ExplainedPackage => {
  const octets = octetsOf(text);
  const scopes = options.scopes ?? new ScopeTable();
  if (text.trimStart().startsWith('{')) {
    return { octets, signature: 'none', ...NO_TOKEN, ...explainPayload(text, scopes, false), payload: text };
  }
  const faults: ExplainedPackageFault[] = [];
  const notes: string[] = [];
  const [head, payload] = partsOf(text);
  const { alg, kid } = readJose(head);
  const split = splitToken(text);
  const inner = payload === undefined ? NO_PAYLOAD : explainPayload(payload, scopes, true);
  let signature: ExplainedSignature = 'unreadable';
  if (split.kind === 'package-fault') faults.push(told(split));
  else {
    const key = options.keys?.find(split.kid);
    signature = key === undefined ? 'no key' : judgeSignature(text, split.alg, key, faults);
    if (key === undefined && options.keys !== undefined) notes.push(`there is no key with the kid ${split.kid}`);
    // The node of a hop is the one whose key it is.
    if (key?.node !== undefined && inner.claims['iss'] !== key.node) {
      faults.push(told(packageFault('bad_token', { detail: `iss is not ${key.node}, whose key it is` })));
    }
  }
  return {
    octets,
    signature,
    protectedHeader: head,
    alg,
    kid,
    payload,
    ...inner,
    faults: [...faults, ...inner.faults],
    notes: [...notes, ...inner.notes],
  };
};

const judgeSignature = (
  token: string,
  alg: string,
  { verifier }: NonNullable<ReturnType<ExplainKeys['find']>>,
  faults: ExplainedPackageFault[],
): ExplainedSignature => {
  const detail =
    verifier.alg !== alg
      ? `alg is ${alg}, but the key is for ${verifier.alg}`
      : verifier.verify(token)
        ? undefined
        : 'the signature is not of this key';
  if (detail === undefined) return 'holds';
  faults.push(told(packageFault('bad_token', { detail })));
  return 'wrong';
};

const NO_TOKEN = { protectedHeader: undefined, alg: undefined, kid: undefined } as const;
const NO_PAYLOAD: Inner = {
  escaped: undefined,
  header: undefined,
  body: undefined,
  footer: undefined,
  claims: {},
  scope: undefined,
  faults: [],
  notes: [],
};

/** What is readable of a token that may be none. */
const partsOf = (text: string): [head: string | undefined, payload: string | undefined] => {
  // Of more than a token can have nothing is read.
  if (text.length > MAX_PACKAGE) return [undefined, undefined];
  const first = text.indexOf('.');
  if (first < 0) return [undefined, undefined];
  const second = text.indexOf('.', first + 1);
  return [decode(text.slice(0, first)), decode(text.slice(first + 1, second < 0 ? text.length : second))];
};

const decode = (part: string): string | undefined => {
  const octets = fromBase64url(part);
  return octets === undefined || octets.length === 0 ? undefined : new TextDecoder().decode(octets);
};

const readJose = (head: string | undefined): { alg: string | undefined; kid: string | undefined } => {
  try {
    const value: unknown = JSON.parse(head ?? '');
    if (!isObject(value)) return { alg: undefined, kid: undefined };
    const { alg, kid } = value;
    return {
      alg: typeof alg === 'string' ? alg : undefined,
      kid: typeof kid === 'string' ? kid : undefined,
    };
  } catch {
    return { alg: undefined, kid: undefined };
  }
};

type Inner = Pick<ExplainedPackage, 'escaped' | 'header' | 'body' | 'footer' | 'claims' | 'scope' | 'faults' | 'notes'>;

/** `signed`: it stood in a token, so there must be claims. */
const explainPayload = (text: string, scopes: ScopeTable, signed: boolean): Inner => {
  const faults: ExplainedPackageFault[] = [];
  const add = (fault: PackageFault | undefined): void => {
    if (fault !== undefined) faults.push(told(fault));
  };
  if (!nestingOf(text, MAX_NESTING)) {
    // Nor is it read: what writes and measures values calls itself for each step down.
    add(packageFault('bad_body', { detail: `it is nested deeper than ${MAX_NESTING}` }));
    return { ...NO_PAYLOAD, faults };
  }
  const parsed = parsePayload(text);
  if (parsed.kind === 'package-fault') {
    add(parsed);
    return { ...NO_PAYLOAD, faults };
  }
  const { value, header, body, footer, claims } = parsed;
  const notes: string[] = [];
  if (signed || Object.keys(claims).length > 0) add(judgeClaims(claims));
  const escaped = isEscaped(text.trim(), value);
  if (!escaped) notes.push('the payload is not escaped: of a front it would be refused with not_escaped (8.3)');
  const checked = checkHeader(header, body !== undefined);
  if ('kind' in checked) add(checked);
  const id = isObject(header) ? header['scope'] : undefined;
  const known = typeof id === 'number' ? scopes.get(id) : undefined;
  const scope = typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? scopeOf(id, known) : undefined;
  if (scope !== undefined && scope.name === undefined) {
    if (scope.range === 'own') notes.push(`scope ${scope.id} is not declared here: what its body must be is not known`);
    else add(packageFault('unknown_scope', { detail: `${scope.id} is ${scope.range}` }));
  }
  if (!('kind' in checked)) add(checkLengths(checked, body, known?.lengths));
  if (scope !== undefined) add(judgeBody(known, body, claims['re'] !== undefined, notes));
  const foot = checkFooter(footer);
  if (foot !== undefined && 'kind' in foot) add(foot);
  if (!('kind' in checked)) noteIgnored(header as PackageHeader, checked, notes);
  return { escaped, header, body, footer, claims, scope, faults, notes };
};

const judgeClaims = (value: JsonObject): PackageFault | undefined => {
  const claims = checkClaims(value);
  if ('kind' in claims) return claims;
  const long = checkClaimLengths(claims);
  if (long !== undefined) return long;
  // At its own time, so that only how long it holds is judged.
  return checkTimes(claims, claims.iat * 1000);
};

const scopeOf = (id: number, known: AnyScope | undefined): ExplainedScope => ({
  id,
  name: known?.name,
  range: rangeOf(id),
  reply: known?.reply?.scope,
});

/** What an embedder's scope is asked and what it is answered may both stand here. */
const judgeBody = (
  scope: AnyScope | undefined,
  body: unknown,
  isAnswer: boolean,
  notes: string[],
): PackageFault | undefined => {
  if (scope === undefined) return body === undefined ? undefined : checkAnyBody(body);
  const ways = [scope.body, ...(scope.reply?.scope === scope.id ? [scope.reply.body] : [])];
  const results = (isAnswer ? ways.reverse() : ways).map((schema): CheckedBody => checkBody(schema, body));
  const good = results.findIndex(({ kind }) => kind === 'body');
  if (good < 0) return results[0] as PackageFault;
  if (ways.length > 1) notes.push((good === 0) === isAnswer ? 'the body is that of an answer' : 'the body asks');
  return undefined;
};

const noteIgnored = (given: PackageHeader, taken: PackageHeader, notes: string[]): void => {
  for (const name of ['user', 'channel'] as const) {
    if (given[name] !== undefined && taken[name] === undefined) notes.push(`${name} is ignored: internal is true`);
  }
};
