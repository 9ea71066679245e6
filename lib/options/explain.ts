// What zod has found wrong with options → one TypeError with a plain sentence for each: what is expected there, and of an option that is not known
// which one was probably meant. What was found is never quoted: there are keys among options.
import type * as z from 'zod';
import { nearest } from '../bytes/nearest.js';
import { didYouMean, type Entry, familiar } from './familiar.js';

/** What a schema says about itself, as far as it matters here. */
interface Schema {
  readonly def: {
    readonly type: string;
    readonly error?: (() => string) | undefined;
    readonly innerType?: Schema;
    readonly in?: Schema;
    readonly options?: readonly Schema[];
    readonly shape?: Readonly<Record<string, Schema>>;
    readonly catchall?: Schema;
    readonly element?: Schema;
    readonly valueType?: Schema;
    readonly values?: readonly unknown[];
    readonly entries?: Readonly<Record<string, string>>;
    readonly format?: string;
    readonly checks?: readonly { readonly _zod: { readonly def: Check } }[];
  };
}

interface Check {
  readonly check: string;
  readonly value?: number;
  readonly inclusive?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
}

export const explain = (entry: Entry, error: z.ZodError, schema: z.ZodType): TypeError =>
  new TypeError(
    `${entry}: ${error.issues.flatMap((issue) => sentencesOf(entry, issue, schema as unknown as Schema)).join('; ')}`,
  );

const sentencesOf = (entry: Entry, issue: z.core.$ZodIssue, schema: Schema): string[] => {
  const found = find(schema, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = found.flatMap((one) => Object.keys(one.def.shape ?? {}));
    return issue.keys.map((name) => unknown(entry, issue.path, name, known));
  }
  const own = found.length === 1 ? found[0]?.def.error : undefined;
  const must = own !== undefined || found.length === 0 ? issue.message : `must be ${choice(found.flatMap(wordsFor))}`;
  return [issue.path.length === 0 ? 'the options must be an object' : `${nameOf(issue.path)}: ${must}`];
};

const unknown = (entry: Entry, path: readonly PropertyKey[], name: string, known: readonly string[]): string => {
  const close = nearest(name, known);
  const hint = familiar(entry, path, name) ?? (close === undefined ? undefined : didYouMean([...path, close]));
  return `${nameOf([...path, name])} is no option${hint === undefined ? '' : `: ${hint}`}`;
};

/** As one would write it; a name that nobody would write is shown as a string. */
const nameOf = (path: readonly PropertyKey[]): string => {
  const text = path.map(String).join('.');
  return /^[\w$.-]{1,80}$/.test(text) ? text : JSON.stringify(text.slice(0, 80));
};

/** Without what only says that it may be absent, or what becomes of it. */
const bare = ({ def }: Schema): Schema | undefined =>
  ['optional', 'default', 'prefault', 'nonoptional', 'readonly'].includes(def.type)
    ? def.innerType
    : def.type === 'pipe'
      ? def.in
      : undefined;

/** What may stand at a place: the alternatives, unless their union has a sentence of its own. */
const find = (schema: Schema, path: readonly PropertyKey[]): readonly Schema[] => {
  const inner = bare(schema);
  if (inner !== undefined) return find(inner, path);
  const { def } = schema;
  if (def.options !== undefined && (path.length > 0 || def.error === undefined)) {
    return def.options.flatMap((option) => find(option, path));
  }
  const [step, ...rest] = path;
  if (step === undefined) return [schema];
  const next = def.shape?.[String(step)] ?? def.element ?? def.valueType;
  return next === undefined ? [] : find(next, rest);
};

const MUST = 'must be ';
/** More names than these say nothing. */
const FEW = 4;

/** The alternatives of one schema that is no union. */
const wordsFor = ({ def }: Schema): string[] => {
  const sentence = def.error?.();
  if (sentence !== undefined) return [sentence.startsWith(MUST) ? sentence.slice(MUST.length) : sentence];
  const checks = (def.checks ?? []).map(({ _zod }) => _zod.def);
  switch (def.type) {
    case 'boolean':
      return ['true', 'false'];
    case 'enum':
      return Object.values(def.entries ?? {}).map((value) => `'${value}'`);
    case 'literal':
      return (def.values ?? []).map((value) => (typeof value === 'string' ? `'${value}'` : String(value)));
    case 'number':
      return [`${def.format === undefined ? 'a number' : 'a whole number'}${rangeOf(checks)}`];
    case 'string':
      return [`a string${lengthOf(checks)}`];
    case 'array':
      return [def.element?.def.type === 'string' ? 'a list of strings' : 'a list'];
    case 'object': {
      const names = Object.keys(def.shape ?? {});
      return [names.length === 0 ? 'an object' : names.length > FEW ? 'an object of options' : `{${names.join(', ')}}`];
    }
    default:
      return ['an object'];
  }
};

const rangeOf = (checks: readonly Check[]): string => {
  const low = checks.find(({ check }) => check === 'greater_than');
  const high = checks.find(({ check }) => check === 'less_than');
  if (low?.inclusive === false) return ` above ${low.value}`;
  if (low === undefined) return high === undefined ? '' : ` of at most ${high.value}`;
  return high === undefined ? ` of at least ${low.value}` : ` from ${low.value} to ${high.value}`;
};

const lengthOf = (checks: readonly Check[]): string => {
  const least = checks.find(({ check }) => check === 'min_length')?.minimum ?? 0;
  const most = checks.find(({ check }) => check === 'max_length')?.maximum;
  return most === undefined ? '' : ` of ${least} to ${most} characters`;
};

const choice = (words: readonly string[]): string => {
  const unique = [...new Set(words)];
  const last = unique.pop() ?? '';
  return unique.length === 0 ? last : `${unique.join(', ')} or ${last}`;
};
