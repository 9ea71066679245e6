// A compact JWS ↔ a package and its claims. Reading goes through the steps of section 8.4 from the size to the jti, in their order and each
// only when those before it have passed; no key is chosen by anything but the kid, and nothing is believed before the signature holds.
// Knows no cryptography and no scope: Signer and Verifier come from token-node.ts or token-portable.ts. PROTOCOL.md sections 8.2 to 8.4;
// RFC 7515, RFC 7519, RFC 8725.
import { fromBase64url, isBase64url } from '../bytes/base64url.js';
import { checkParties, checkTimes } from './claims.js';
import { type PackageFault, packageFault } from './codes.js';
import { escapeJson, isEscaped } from './escape.js';
import { isKid } from './key-ring.js';
import { MAX_NESTING, MAX_PACKAGE } from './limits.js';
import { nestingOf } from './nesting.js';
import type { Algorithm, Claims, KeyRecord, KeySource, Package, Signer } from './package.js';
import type { ReplayCache } from './replay.js';
import { checkClaimLengths, checkClaims, parsePayload } from './schema.js';

export interface SplitToken {
  readonly kind: 'split';
  readonly kid: string;
  readonly alg: Algorithm;
  /** Decoded: JSON text, if the peer is honest. */
  readonly payload: string;
}

/** What the receiving side knows besides the token. */
export interface Terms {
  /** The name of the deployment; undefined: whatever aud says. */
  readonly audience?: string | undefined;
  /** ms since 1970. */
  readonly wall: () => number;
  /** Undefined: repetitions are not noticed. */
  readonly replay?: ReplayCache | undefined;
  /** Whether that is the jti of a package of ours that waits for its answer. */
  readonly asked?: ((re: string) => boolean) | undefined;
}

/** Genuine, fresh, and seen for the first time. Header, body and footer are not checked yet. */
export interface Judged {
  readonly kind: 'judged';
  readonly record: KeyRecord;
  readonly claims: Claims;
  readonly header: unknown;
  /** Undefined: there is none. */
  readonly body: unknown;
  readonly footer: unknown;
}

/** Refused; and what may be believed all the same, so that an answer finds its call: all of it undefined when the signature does not hold. */
export interface RefusedToken extends PackageFault {
  readonly record: KeyRecord | undefined;
  readonly claims: Claims | undefined;
  readonly header: unknown;
}

export type Judgement = Judged | RefusedToken;

const bad = (detail: string): PackageFault => packageFault('bad_token', { detail });

/** RFC 8725 section 3.11 and section 8.2: a fixed set of members, all of them texts of harmless characters. */
const MOST_HEADER = 256;
const QUOTES = 12;

interface JoseHeader {
  readonly alg: Algorithm;
  readonly kid: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decode = (text: string, from: number, end: number): string | undefined => {
  const octets = fromBase64url(text, from, end);
  if (octets === undefined) return undefined;
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
};

/**
 * Exactly alg, typ and kid, in any order: jsonwebtoken ignores crit, and of two members of one name it sees the last. Six texts without a
 * backslash have twelve quotation marks, and anything more has more.
 */
const readHeader = (text: string): JoseHeader | PackageFault => {
  let quotes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) quotes++;
    else if (code === 0x5c) return bad('a backslash in the header');
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    return bad('the header is not JSON');
  }
  if (typeof header !== 'object' || header === null) return bad('the header is not an object');
  const { alg, typ, kid } = header as { readonly [name: string]: unknown };
  if (alg !== 'ES256' && alg !== 'HS256') return bad('alg is neither ES256 nor HS256');
  if (typ !== 'JWT') return bad('typ is not JWT');
  if (typeof kid !== 'string' || !isKid(kid)) return bad('kid is not valid');
  if (Object.keys(header).length !== 3 || quotes !== QUOTES) return bad('the header has more than alg, typ and kid');
  return { alg, kid };
};

/** What can be said without a key. Section 8.4: size, three canonical base64url parts, header. */
export const splitToken = (text: string): SplitToken | PackageFault => {
  // A token is ASCII: what has fewer characters and more octets than this is bad in the next step.
  if (text.length > MAX_PACKAGE) return packageFault('too_long', { close: 1009, detail: `${text.length} octets` });
  const first = text.indexOf('.');
  const second = text.indexOf('.', first + 1);
  if (first <= 0 || second <= first + 1 || second + 1 === text.length) return bad('not three parts');
  if (first > MOST_HEADER) return bad('the header is too long');
  const head = decode(text, 0, first);
  const payload = decode(text, first + 1, second);
  // A third dot is no digit of base64url.
  if (head === undefined || payload === undefined || !isBase64url(text, second + 1))
    return bad('a part is not base64url');
  const header = readHeader(head);
  return 'kind' in header ? header : { kind: 'split', kid: header.kid, alg: header.alg, payload };
};

/** Section 8.4 from the size to the jti, which is remembered when all else was good. Never throws on anything a peer sends. */
export const judgeToken = (text: string, keys: KeySource, terms: Terms): Judgement => {
  const split = splitToken(text);
  if (split.kind === 'package-fault') return refuse(split);
  const { kid, alg, payload } = split;
  const record = keys.find(kid);
  if (record === undefined) return refuse(bad(`the kid ${kid} is not known`));
  // RFC 8725 section 3.1: the algorithm is the key's, whatever the token asks for.
  if (record.verifier.alg !== alg) return refuse(bad(`alg is not that of the key ${kid}`));
  if (!record.verifier.verify(text)) return refuse(bad(`the signature is not of the key ${kid}`));

  const parsed = parsePayload(payload);
  if (parsed.kind === 'package-fault') return refuse(parsed, record);
  const { value, header, body, footer } = parsed;
  const claims = checkClaims(parsed.claims);
  if ('kind' in claims) return refuse(claims, record, undefined, header);
  const stranger = checkParties(claims, record, terms.audience);
  if (stranger !== undefined) return refuse(stranger, record, claims, header);
  const long = checkClaimLengths(claims);
  // What is too long to be an id is none that an answer could bear.
  if (long !== undefined) return refuse(long, record, undefined, header);
  const wall = terms.wall();
  const asked = claims.re !== undefined && terms.asked?.(claims.re) === true;
  const fault =
    checkTimes(claims, wall) ??
    terms.replay?.checkAge(claims, wall, asked) ??
    checkText(payload, value, record) ??
    terms.replay?.take(claims.iss, claims.jti, claims.exp, wall);
  if (fault !== undefined) return refuse(fault, record, claims, header);
  return { kind: 'judged', record, claims, header, body, footer };
};

const checkText = (payload: string, value: unknown, record: KeyRecord): PackageFault | undefined => {
  if (!nestingOf(payload, MAX_NESTING)) {
    return packageFault('bad_body', { issues: [{ path: [], message: `is nested deeper than ${MAX_NESTING}` }] });
  }
  // Section 8.3: verified of fronts alone.
  if (record.role === 'front' && !isEscaped(payload, value)) return packageFault('not_escaped');
  return undefined;
};

const refuse = (fault: PackageFault, record?: KeyRecord, claims?: Claims, header?: unknown): RefusedToken => ({
  ...fault,
  record,
  claims,
  header,
});

/** All but iss, which is the signer's. What is undefined is not written. */
export interface ClaimsGiven extends Pick<Claims, 'iat' | 'exp' | 'jti'> {
  readonly re?: string | undefined;
  readonly org?: string | undefined;
  readonly rol?: Claims['rol'] | undefined;
  readonly aud?: string | undefined;
}

/** The order of the members is that of section 11.4. A RangeError when the token is longer than a peer may accept. */
export const writeToken = (signer: Signer, { header, body, footer }: Package, claims: ClaimsGiven): string => {
  const { iat, exp, jti, re, org, rol, aud } = claims;
  // JSON leaves out what is undefined.
  const token = signer.sign(escapeJson({ header, body, footer, iss: signer.node, iat, exp, jti, re, org, rol, aud }));
  if (token.length > MAX_PACKAGE) throw new RangeError(`a package of ${token.length} octets; at most ${MAX_PACKAGE}`);
  return token;
};
