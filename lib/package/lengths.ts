// A package whose header has the right shape → is a text of it longer than its fixed length. The lengths of a body are told by its scope;
// what is at their place and is no text is not judged here, the schema comes after this. PROTOCOL.md section 8.4.
import { type PackageFault, type PackageIssue, packageFault } from './codes.js';
import { escapeJson } from './escape.js';
import { clipPath } from './issues.js';
import { LENGTHS, MAX_ISSUES } from './limits.js';
import { isLonger } from './octets.js';
import type { PackageHeader } from './package.js';
import { isObject } from './schema.js';

/** Of a whole object: its escaped JSON text, and the names of its members at any depth. */
export interface DocumentLengths {
  readonly total: number;
  readonly key: number;
}

/**
 * The most UTF-8 octets of the text at a path of the body, such as `title`, `author.name`, or `tags.*` for each member of `tags`.
 * Longer is `too_long`, shorter is fine, nothing is padded or cut.
 */
export type Lengths = Readonly<Record<string, number | DocumentLengths>>;

const longer = (path: readonly (string | number)[], most: number): PackageIssue => ({
  path: clipPath(path),
  message: `must be at most ${most} octets`,
});

/** `lengths`: those of the body, of the package's scope; undefined: it has none, or nobody knows it. */
export const checkLengths = (
  header: PackageHeader,
  body: unknown,
  lengths: Lengths | undefined,
): PackageFault | undefined => {
  const issues: PackageIssue[] = [];
  const measure = (path: readonly (string | number)[], text: string | undefined, most: number): void => {
    if (text !== undefined && isLonger(text, most)) issues.push(longer(path, most));
  };
  measure(['header', 'destination'], header.destination, LENGTHS.node);
  measure(['header', 'user'], header.user, LENGTHS.snowflake);
  measure(['header', 'channel'], header.channel, LENGTHS.snowflake);
  for (const [i, item] of (header.footerInclude ?? []).entries()) {
    measure(['header', 'footerInclude', i], item, LENGTHS.footerItem);
  }
  if (lengths !== undefined && body !== undefined) {
    for (const [path, most] of Object.entries(lengths)) {
      if (issues.length >= MAX_ISSUES) break;
      walk(body, path.split('.'), 0, ['body'], most, issues);
    }
  }
  return issues.length === 0 ? undefined : packageFault('too_long', { issues: issues.slice(0, MAX_ISSUES) });
};

const walk = (
  value: unknown,
  steps: readonly string[],
  at: number,
  path: readonly (string | number)[],
  most: number | DocumentLengths,
  issues: PackageIssue[],
): void => {
  const step = steps[at];
  if (step === undefined) {
    if (typeof most !== 'number') measureDocument(value, most, path, issues);
    else if (typeof value === 'string' && isLonger(value, most)) issues.push(longer(path, most));
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const list = Array.isArray(value);
  const names = step === '*' ? Object.keys(value) : Object.hasOwn(value, step) ? [step] : [];
  for (const name of names) {
    if (issues.length >= MAX_ISSUES) return;
    const inner = (value as Readonly<Record<string, unknown>>)[name];
    walk(inner, steps, at + 1, [...path, list ? Number(name) : name], most, issues);
  }
};

const measureDocument = (
  value: unknown,
  { total, key }: DocumentLengths,
  path: readonly (string | number)[],
  issues: PackageIssue[],
): void => {
  if (!isObject(value)) return;
  const at = longName(value, key);
  if (at !== undefined) {
    issues.push({ path: clipPath([...path, ...at]), message: `has a name of more than ${key} octets` });
  }
  // The text that is sent on, not the one that came: it decides whether the document can be handed over.
  if (escapeJson(value).length > total) issues.push(longer(path, total));
};

/** The path of the object that has such a name: the name is not repeated. */
const longName = (value: unknown, most: number): (string | number)[] | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && isLonger(name, most)) return [];
    const path = longName(inner, most);
    if (path !== undefined) return [Array.isArray(value) ? Number(name) : name, ...path];
  }
  return undefined;
};
