// A zod schema and a value of a peer → the value as the schema gives it, or what is wrong with it: few issues, short paths, our own phrases.
// Nothing of the value is repeated beyond names of members, and those only so far; so megabytes of nonsense get a short answer.
// zod/mini has no phrases of its own and zod's repeat every unknown member: a phrase the author of a schema wrote goes before these.
import type { $ZodIssue, $ZodRawIssue, $ZodType } from 'zod/v4/core';
import { safeParse } from 'zod/v4/core';
import type { PackageIssue } from './codes.js';
import { isCleanText } from './escape.js';
import { LENGTHS, MAX_ISSUES } from './limits.js';
import { octetsOf } from './octets.js';

/** What may become of a value: the code of a fault is the caller's. */
export type Checked =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'issues'; readonly issues: readonly PackageIssue[] }
  /** The schema itself threw, or would have to be awaited: not the peer's fault. */
  | { readonly kind: 'broken'; readonly error: unknown };

const MAX_NAME = 64;

export const checkWith = (schema: $ZodType, value: unknown): Checked => {
  try {
    // Without phrases first: to be given them costs zod more than most schemas take, and nearly all values are good.
    const good = safeParse(schema, value);
    if (good.success) return { kind: 'value', value: good.data };
    const result = safeParse(schema, value, { error: phraseOf });
    if (result.success) return { kind: 'value', value: result.data };
    return { kind: 'issues', issues: result.error.issues.slice(0, MAX_ISSUES).map(issueOf) };
  } catch (error) {
    return { kind: 'broken', error };
  }
};

const issueOf = ({ path, message }: $ZodIssue): PackageIssue => ({
  path: clipPath(path),
  message: clip(message, LENGTHS.message),
});

/** Paths go back to the peer: at most 256 octets of them, written as JSON, and no text of it that is not clean. */
export const clipPath = (path: readonly PropertyKey[]): (string | number)[] => {
  const kept: (string | number)[] = [];
  let size = 2;
  for (const step of path) {
    const part = typeof step === 'number' ? step : clip(String(step), MAX_NAME);
    // The brackets, and after each part a comma.
    size += octetsOf(JSON.stringify(part)) + 1;
    if (size > LENGTHS.message) break;
    kept.push(part);
  }
  return kept;
};

const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e) return false;
  return true;
};

/** At most so many octets, whatever the text; one that is not clean is not repeated. */
const clip = (text: string, most: number): string => {
  if (!isCleanText(text)) return '…';
  if (text.length * 3 <= most || (isAscii(text) && text.length <= most)) return text;
  const characters = isAscii(text) ? most - 3 : Math.floor(most / 3) - 1;
  const code = text.charCodeAt(characters - 1);
  // Never half a surrogate pair.
  return `${text.slice(0, code >= 0xd800 && code <= 0xdbff ? characters - 1 : characters)}…`;
};

const NOUNS: Readonly<Record<string, string>> = {
  int: 'an integer',
  object: 'an object',
  record: 'an object',
  array: 'an array',
  tuple: 'an array',
  null: 'null',
  never: 'nothing',
};
const nounOf = (expected: string): string => NOUNS[expected] ?? `a ${expected}`;

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' items', set: ' items' };

/** Our own words for what is wrong; nothing of the value is in them. */
export const phraseOf = (issue: $ZodRawIssue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${nounOf(String(issue.expected))}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${UNITS[String(issue.origin)] ?? ''}`;
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${UNITS[String(issue.origin)] ?? ''}`;
    case 'invalid_format':
      return issue.format === 'regex' ? 'has not the right form' : `must be of the form ${String(issue.format)}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'unrecognized_keys':
      return `has unknown members: ${namesOf(issue.keys as readonly string[])}`;
    case 'invalid_value': {
      const values = (issue.values as readonly unknown[]).map((value) => JSON.stringify(value) ?? String(value));
      return values.length === 1 ? `must be ${values[0]}` : `must be one of ${values.join(', ')}`;
    }
    case 'invalid_union':
      return 'fits none of the allowed forms';
    default:
      return 'is not valid';
  }
};

const MOST_NAMES = 4;

const namesOf = (names: readonly string[]): string => {
  const shown = names.slice(0, MOST_NAMES).map((name) => clip(name, 48));
  return shown.join(', ') + (names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '');
};
