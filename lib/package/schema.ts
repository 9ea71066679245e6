// The payload of a token → header, body, footer and claims, each checked by its shape. Text in, values or a fault out. Knows no key, no
// scope, no node: whether a token is genuine, fresh and allowed is judged elsewhere. PROTOCOL.md sections 8.1, 8.2 and 8.4.

import * as z from 'zod/mini';
import type { $ZodType } from 'zod/v4/core';
import { type PackageCode, type PackageFault, packageFault } from './codes.js';
import { isCleanText } from './escape.js';
import { isJtiText, isNodeText, isSnowflake, isSnowflakeText } from './identifier.js';
import { checkWith } from './issues.js';
import { LENGTHS, MAX_FOOTER_ITEMS } from './limits.js';
import { isLonger } from './octets.js';
import type { Claims, JsonObject, PackageFooter, PackageHeader } from './package.js';
import { isUsualClaims, isUsualFooter, isUsualHeader } from './usual.js';

/** Longer than their fixed length is another fault, which comes later (section 8.4): so the charset alone is asked here. */
const isSnowflakeOrLong = (text: string): boolean =>
  text.length > LENGTHS.snowflake ? isSnowflakeText(text) : isSnowflake(text);

const SNOWFLAKE_META = {
  format: 'snowflake',
  pattern: '^[1-9][0-9]{0,19}$',
  description: 'an id from 1 to 2^64 - 1, as a decimal string',
};
const NODE_META = {
  format: 'node-id',
  pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$',
  description: 'the id of a node',
};

/** A Snowflake in a header or a body: a decimal string, 1 to 2^64 - 1. */
export const snowflake: z.ZodMiniType<string, string> = z
  .string()
  .check(
    z.refine(isSnowflakeOrLong, 'must be a Snowflake: a decimal string from 1 to 2^64 - 1'),
    z.meta(SNOWFLAKE_META),
  );

/** The id of a node. */
export const nodeID: z.ZodMiniType<string, string> = z
  .string()
  .check(z.refine(isNodeText, 'must be a node id: letters, digits and . _ - between them'), z.meta(NODE_META));

/** Text of a person: well-formed, without control characters. */
const text = z.string().check(z.refine(isCleanText, 'has characters that are not allowed'));

const whole = z.int().check(z.nonnegative());

const common = {
  scope: whole,
  destination: z.optional(nodeID),
  body: z.boolean(),
  footerInclude: z.optional(z.array(text).check(z.maxLength(MAX_FOOTER_ITEMS))),
};

// Section 8.1: internal = true ignores user and channel, whatever they are.
const internalHeader = z.strictObject({
  ...common,
  internal: z.literal(true),
  user: z.optional(z.unknown()),
  channel: z.optional(z.unknown()),
});
const userHeader = z.strictObject({
  ...common,
  internal: z.literal(false),
  user: snowflake,
  channel: snowflake,
});
const anyHeader = z.looseObject({ internal: z.boolean() });

/** For JSON Schema: what a sender may write. */
export const headerSchema: $ZodType = z.union([z.strictObject({ ...common, internal: z.literal(true) }), userHeader]);

export const footerSchema: $ZodType = z.strictObject({
  t: whole,
  dt: z.optional(whole),
  op: z.optional(whole),
  delay: z.optional(whole),
});

/** A fault at a member of the package: its issues get its name before their paths. */
const faultFrom = (
  checked: Exclude<ReturnType<typeof checkWith>, { kind: 'value' }>,
  code: PackageCode,
  member: string,
): PackageFault =>
  checked.kind === 'broken'
    ? packageFault('internal', { detail: String(checked.error) })
    : packageFault(code, {
        issues: checked.issues.map(({ path, message }) => ({ path: [member, ...path], message })),
      });

/** `hasBody`: the package has a body. A header that says otherwise is not valid. */
export const checkHeader = (value: unknown, hasBody: boolean): PackageHeader | PackageFault => {
  if (isObject(value) && isUsualHeader(value) && value['body'] === hasBody) return value as unknown as PackageHeader;
  const internal = isObject(value) && value['internal'] === true;
  const checked = checkWith(internal ? internalHeader : userHeader, value);
  if (checked.kind !== 'value') {
    // Nothing is said about user and channel as long as it is open whether they are needed.
    const first = checkWith(anyHeader, value);
    return faultFrom(first.kind === 'value' ? checked : first, 'bad_header', 'header');
  }
  const header = checked.value as PackageHeader;
  if (header.body !== hasBody) {
    const message = hasBody ? 'is false, but there is a body' : 'is true, but there is no body';
    return packageFault('bad_header', { issues: [{ path: ['header', 'body'], message }] });
  }
  if (!internal || (header.user === undefined && header.channel === undefined)) return header;
  const { user: _, channel: __, ...rest } = header;
  return rest;
};

/** No footer is as good as one: it only informs. */
export const checkFooter = (value: unknown): PackageFooter | undefined | PackageFault => {
  if (value === undefined) return undefined;
  if (isObject(value) && isUsualFooter(value)) return value as unknown as PackageFooter;
  const checked = checkWith(footerSchema, value);
  return checked.kind === 'value' ? (checked.value as PackageFooter) : faultFrom(checked, 'bad_header', 'footer');
};

const AUDIENCE = 256;
const jti = z.string().check(z.refine(isJtiText));

export const claimsSchema: $ZodType = z.strictObject({
  iss: nodeID,
  iat: whole,
  exp: whole,
  jti,
  re: z.optional(jti),
  org: z.optional(nodeID),
  rol: z.optional(z.enum(['front', 'service'])),
  aud: z.optional(text),
});

const CLAIM_LENGTHS = [
  ['jti', LENGTHS.jti],
  ['re', LENGTHS.jti],
  ['iss', LENGTHS.node],
  ['org', LENGTHS.node],
  ['aud', AUDIENCE],
] as const;

/**
 * The shape alone; their lengths are another step, behind whose they are (section 8.4). Unknown claims are refused, `nbf` and `sub` among them: what
 * is not understood is not ignored.
 */
export const checkClaims = (value: JsonObject): Claims | PackageFault => {
  if (isUsualClaims(value)) return value as unknown as Claims;
  const checked = checkWith(claimsSchema, value);
  if (checked.kind !== 'value') return packageFault('bad_token', { detail: detailOf(checked) });
  return checked.value as Claims;
};

export const checkClaimLengths = (claims: Claims): PackageFault | undefined => {
  for (const [name, most] of CLAIM_LENGTHS) {
    const found = claims[name];
    if (found !== undefined && isLonger(found, most)) {
      return packageFault('too_long', { issues: [{ path: [name], message: `must be at most ${most} octets` }] });
    }
  }
  return undefined;
};

const detailOf = (checked: Exclude<ReturnType<typeof checkWith>, { kind: 'value' }>): string =>
  checked.kind === 'broken'
    ? String(checked.error)
    : `claims: ${checked.issues.map(({ path, message }) => [...path, message].join(' ')).join('; ')}`;

/** The members of a payload, not checked yet. */
export interface Payload {
  readonly kind: 'payload';
  /** All of it, as it was parsed: for the comparison of section 8.3. */
  readonly value: JsonObject;
  readonly header: unknown;
  /** Undefined: there is none. */
  readonly body: unknown;
  readonly footer: unknown;
  readonly claims: JsonObject;
}

/** The nesting must have been counted before. */
export const parsePayload = (payload: string): Payload | PackageFault => {
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return packageFault('bad_token', { detail: 'the payload is not JSON' });
  }
  if (!isObject(value)) return packageFault('bad_token', { detail: 'the payload is not an object' });
  const { header, body, footer, ...claims } = value;
  return { kind: 'payload', value, header, body, footer, claims };
};

/** What JSON calls an object. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
