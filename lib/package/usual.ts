// A quick yes to what nearly every package looks like: header, footer and claims as the libraries write them. No only means: ask the schema, which
// has the last word, and the words for what is wrong. So these say yes to nothing that the schema refuses or changes; a spec compares them.
// They cost a tenth of the schemas, which were an eighth of all work on a package. PROTOCOL.md sections 8.1 and 8.2.
import { isJti, isNodeID, isSnowflake } from './identifier.js';
import type { Claims, JsonObject, PackageFooter, PackageHeader } from './package.js';

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isNode = (value: unknown): value is string => typeof value === 'string' && isNodeID(value);
const isID = (value: unknown): value is string => typeof value === 'string' && isSnowflake(value);
const isToken = (value: unknown): value is string => typeof value === 'string' && isJti(value);

/** How many of them there are: when all names that are known were counted, there is no other member. */
const present = (...values: readonly unknown[]): number => {
  let count = 0;
  for (const value of values) if (value !== undefined) count++;
  return count;
};

/** Without footerInclude, which is rare. A header on nobody's behalf that names a user all the same is no usual one: they are taken out. */
export const isUsualHeader = (value: JsonObject): boolean => {
  const { scope, internal, body, destination, user, channel } = value as {
    readonly [Name in keyof PackageHeader]: unknown;
  };
  if (!isWhole(scope) || typeof body !== 'boolean' || (destination !== undefined && !isNode(destination))) return false;
  if (internal === false) {
    if (!isID(user) || !isID(channel)) return false;
  } else if (internal !== true || user !== undefined || channel !== undefined) return false;
  return Object.keys(value).length === 3 + present(destination, user, channel);
};

export const isUsualFooter = (value: JsonObject): boolean => {
  const { t, dt, op, delay } = value as { readonly [Name in keyof PackageFooter]: unknown };
  if (!isWhole(t) || (dt !== undefined && !isWhole(dt))) return false;
  if ((op !== undefined && !isWhole(op)) || (delay !== undefined && !isWhole(delay))) return false;
  return Object.keys(value).length === 1 + present(dt, op, delay);
};

/** Without aud. Of no id longer than it may be. */
export const isUsualClaims = (value: JsonObject): boolean => {
  const { iss, iat, exp, jti, re, org, rol } = value as { readonly [Name in keyof Claims]: unknown };
  if (!isNode(iss) || !isWhole(iat) || !isWhole(exp) || !isToken(jti)) return false;
  if ((re !== undefined && !isToken(re)) || (org !== undefined && !isNode(org))) return false;
  if (rol !== undefined && rol !== 'front' && rol !== 'service') return false;
  return Object.keys(value).length === 4 + present(re, org, rol);
};
