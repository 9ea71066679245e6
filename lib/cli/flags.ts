// One table of flags per command → its parsed words, its help text and its shell completion, so that none can disagree.
// Unknown words are refused with the nearest known one. Knows no command.
import { parseArgs } from 'node:util';
import { nearest } from '../bytes/nearest.js';
import { type FlagWord, UsageError } from './command.js';

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** The word for the value in the help, for example `MS`; absent for a switch. */
  readonly value?: string;
  /** The only values there are, instead of a word for them: what `oneOf` is given. */
  readonly choices?: readonly string[];
  /** May be given several times. */
  readonly many?: boolean;
  /** `--no-NAME` exists as well. */
  readonly negatable?: boolean;
  readonly help: string;
}

/** What the value is called: in the help, and where it is missing. */
const wordFor = ({ value, choices }: Flag): string | undefined => choices?.join('|') ?? value;

/** Values that name a file or a folder. */
const FILES: readonly string[] = ['FILE', 'PATH', 'DIR'];

export const HELP_FLAG: Flag = { name: 'help', short: 'h', help: 'show this help' };

/** What was given, by name. Every reader checks and refuses in one sentence. */
export class Flags {
  readonly positionals: readonly string[];
  readonly #given: ReadonlyMap<string, readonly (string | boolean)[]>;

  constructor(positionals: readonly string[], given: ReadonlyMap<string, readonly (string | boolean)[]>) {
    this.positionals = positionals;
    this.#given = given;
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** undefined when neither `--name` nor `--no-name` was given. */
  switch(name: string): boolean | undefined {
    const last = this.#given.get(name)?.at(-1);
    return last === undefined ? undefined : last !== false;
  }

  text(name: string): string | undefined {
    const last = this.#given.get(name)?.at(-1);
    return typeof last === 'string' ? last : undefined;
  }

  all(name: string): string[] {
    return (this.#given.get(name) ?? []).filter((value) => typeof value === 'string');
  }

  integer(name: string, low: number, high: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) {
      throw new UsageError(`--${name} takes a whole number from ${low} to ${high}, not "${text}"`);
    }
    return value;
  }

  /** Bytes: `65536`, `64k`, `16m`, `1g`, by 1024. */
  bytes(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const match = /^(\d{1,12})(?:([kmg])(?:i?b)?|b)?$/i.exec(text);
    if (match === null) throw new UsageError(`--${name} takes a size such as 65536, 64k or 16m, not "${text}"`);
    const unit = (match[2] ?? '').toLowerCase();
    return Number(match[1]) * (unit === 'k' ? 1024 : unit === 'm' ? 1024 ** 2 : unit === 'g' ? 1024 ** 3 : 1);
  }

  /** Milliseconds: `500`, `500ms`, `30s`, `2m`; a bare number counts in `unit`. */
  duration(name: string, unit: 'ms' | 's' = 'ms'): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(text);
    if (match === null) throw new UsageError(`--${name} takes a time such as 500ms, 30s or 2m, not "${text}"`);
    const scale = match[2] ?? unit;
    const value = Math.round(Number(match[1]) * (scale === 'm' ? 60_000 : scale === 's' ? 1000 : 1));
    // the longest time a timer of the runtime can hold
    if (value > 0x7fffffff) throw new UsageError(`--${name}: "${text}" is too long`);
    return value;
  }

  oneOf<const Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = words.find((one) => one === text);
    if (word === undefined)
      throw new UsageError(`--${name} takes ${words.slice(0, -1).join(', ')} or ${words.at(-1)}, not "${text}"`);
    return word;
  }
}

export const parseFlags = (table: readonly Flag[], args: readonly string[]): Flags => {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {};
  for (const flag of [...table, HELP_FLAG]) {
    const type = wordFor(flag) === undefined ? 'boolean' : 'string';
    options[flag.name] = flag.short === undefined ? { type } : { type, short: flag.short };
  }
  const byName = new Map([...table, HELP_FLAG].map((flag) => [flag.name, flag]));
  // Not strict: the verdicts below are worded for people and know the nearest flag.
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const given = new Map<string, (string | boolean)[]>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const negated = token.name.startsWith('no-') && byName.get(token.name.slice(3))?.negatable === true;
    const name = negated ? token.name.slice(3) : token.name;
    const flag = byName.get(name);
    if (flag === undefined) throw new UsageError(unknown(token.rawName, [...byName.values()]));
    const wantsValue = wordFor(flag) !== undefined && !negated;
    if (wantsValue && (token.value === undefined || token.value === '')) {
      throw new UsageError(`${token.rawName} needs a value: ${wordFor(flag)}`);
    }
    if (!wantsValue && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
    const values = given.get(name) ?? [];
    values.push(wantsValue ? (token.value as string) : !negated);
    if (values.length > 1 && wantsValue && flag.many !== true) throw new UsageError(`${token.rawName} is given twice`);
    given.set(name, values);
  }
  return new Flags(positionals, given);
};

const unknown = (rawName: string, flags: readonly Flag[]): string => {
  const names = flags.flatMap((flag) =>
    flag.negatable ? [`--${flag.name}`, `--no-${flag.name}`] : [`--${flag.name}`],
  );
  const close = nearest(rawName, names);
  return `unknown option ${rawName}${close === undefined ? '' : `: did you mean ${close}?`}`;
};

/** The rows of the help, a tab between their columns: help-layout.ts makes them fit. */
export const writeFlags = (table: readonly Flag[]): string =>
  [...table, HELP_FLAG]
    .map((flag) => {
      const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
      const value = wordFor(flag);
      return `  ${short}--${flag.negatable ? '[no-]' : ''}${flag.name}${value === undefined ? '' : ` ${value}`}\t${flag.help}`;
    })
    .join('\n');

/** Every word that begins with a dash, and what may stand behind it. */
export const longFlags = (table: readonly Flag[]): FlagWord[] =>
  [...table, HELP_FLAG].flatMap((flag) => {
    const { name, short, value, choices = [] } = flag;
    const takes = wordFor(flag) === undefined ? 'nothing' : FILES.includes(value ?? '') ? 'file' : 'word';
    const long: FlagWord = { word: `--${name}`, short: short === undefined ? undefined : `-${short}`, takes, choices };
    const negated: FlagWord = { word: `--no-${name}`, short: undefined, takes: 'nothing', choices: [] };
    return flag.negatable === true ? [long, negated] : [long];
  });
