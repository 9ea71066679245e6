// The files in fixtures/conformance → the list of cases, in their order, and the choice among them. Reads its files once.
// Knows the form of the files and nothing of connections.
import { readFileSync } from 'node:fs';
import type { Case, CloseTerms, DataName, Plan } from './case.js';
import { hexPayload, parsePayload } from './payload.js';
import { parseExpected, parseStep } from './script.js';

interface Entry {
  readonly do?: readonly string[];
  readonly ok?: readonly string[];
  readonly lax?: readonly string[];
  readonly valid?: string;
  readonly invalid?: string;
  readonly big?: string;
  readonly rounds?: string;
  readonly count?: number;
  readonly limit?: number;
  readonly end?: string | { readonly codes: readonly number[]; readonly clean: boolean };
  readonly strictCode?: boolean;
  readonly hold?: boolean;
  readonly always?: 'INFORMATIONAL';
}

interface Family {
  readonly id: string;
  readonly title: string;
  readonly cases?: Readonly<Record<string, Entry>>;
  readonly deflate?: {
    readonly data: DataName;
    readonly type: 'text' | 'binary';
    readonly offer: string;
    readonly accept: number;
  };
}

interface Section {
  readonly section: string;
  readonly title: string;
  /** Of compressed messages: size, how many, seconds, largest frame. */
  readonly sizes?: readonly (readonly [number, number, number, number])[];
  readonly families: readonly Family[];
}

export const SECTIONS: readonly string[] = ['1', '2', '3', '4', '5', '6', '7', '9', '10', '12', '13'];

const CLEAN: CloseTerms = { first: 'fuzzer', codes: [1000], clean: true, closingFirstFails: false };
const PROTOCOL: CloseTerms = { first: 'testee', codes: [1002], clean: false, closingFirstFails: false };
const DATA: CloseTerms = { first: 'testee', codes: [1007], clean: false, closingFirstFails: true };

const closeTerms = (end: Entry['end']): CloseTerms => {
  if (end === undefined || end === 'clean') return CLEAN;
  if (end === 'protocol') return PROTOCOL;
  if (end === 'data') return DATA;
  if (typeof end === 'string') throw new TypeError(`not a way to end: ${end}`);
  return { first: 'fuzzer', codes: end.codes, clean: end.clean, closingFirstFails: false };
};

/** One text message; good text comes back, bad text is refused. Half a second either way. */
const utf8Case = (hex: string, valid: boolean): Pick<Case, 'plan' | 'close' | 'script'> => {
  const payload = hexPayload(hex);
  const plan: Plan = {
    kind: 'script',
    steps: [
      { do: 'message', binary: false, payload, fragment: 0 },
      { do: 'timer', ms: 500, otherwise: 'fail' },
    ],
    ok: valid ? [{ event: 'text', payload }] : [],
    lax: undefined,
  };
  return { plan, close: valid ? CLEAN : DATA, script: [`message text x${hex}`, 'within 0.5 else fail'] };
};

const bigCase = (line: string, limit: number): Pick<Case, 'plan' | 'close' | 'script'> => {
  const step = parseStep(line);
  if (step.do !== 'message' && step.do !== 'frame') throw new TypeError(`not a large message: ${line}`);
  const binary = step.do === 'message' ? step.binary : step.opcode === 2;
  const plan: Plan = { kind: 'big', step, binary, length: step.payload.length, ms: limit * 1000 };
  return { plan, close: CLEAN, script: [line, `within ${limit} else close`] };
};

const roundsCase = (line: string, count: number, limit: number): Pick<Case, 'plan' | 'close' | 'script'> => {
  const space = line.indexOf(' ');
  const payload = parsePayload(line.slice(space + 1));
  const plan: Plan = { kind: 'rounds', binary: line.startsWith('binary'), payload, count, ms: limit * 1000 };
  return { plan, close: CLEAN, script: [`${count} times, one at a time: ${line}`, `within ${limit} else close`] };
};

const readEntry = (id: string, entry: Entry, family: Family, section: Section): Case => {
  const base = {
    id,
    section: section.section,
    family: family.id,
    title: family.title,
    strictCode: entry.strictCode ?? false,
    hold: entry.hold ?? false,
    always: entry.always,
  };
  if (entry.valid !== undefined) return { ...base, ...utf8Case(entry.valid, true) };
  if (entry.invalid !== undefined) return { ...base, ...utf8Case(entry.invalid, false) };
  const limit = entry.limit ?? 0;
  if (entry.big !== undefined) return { ...base, ...bigCase(entry.big, limit) };
  if (entry.rounds !== undefined) return { ...base, ...roundsCase(entry.rounds, entry.count ?? 0, limit) };
  const script = entry.do ?? [];
  const plan: Plan = {
    kind: 'script',
    steps: script.map(parseStep),
    ok: (entry.ok ?? []).map(parseExpected),
    lax: entry.lax?.map(parseExpected),
  };
  return { ...base, script, plan, close: closeTerms(entry.end) };
};

const deflateCases = (family: Family, section: Section): Case[] => {
  const terms = family.deflate;
  if (terms === undefined) return [];
  return (section.sizes ?? []).map(([size, count, limit, fragment], index) => {
    const { data, type, offer, accept } = terms;
    const unit = type === 'binary' ? 'bytes' : 'code points';
    return {
      id: `${family.id}.${index + 1}`,
      section: section.section,
      family: family.id,
      title: family.title,
      script: [
        `${count} times, one at a time: ${type} message of ${size} ${unit} of ${data}, compressed`,
        fragment === 0 ? 'in one frame' : `in frames of ${fragment} bytes`,
        `offer: ${offer}`,
        `within ${limit} else close`,
      ],
      plan: {
        kind: 'deflate',
        data,
        binary: type === 'binary',
        size,
        count,
        ms: limit * 1000,
        fragment,
        offer,
        accept,
      },
      close: CLEAN,
      strictCode: false,
      hold: false,
      always: undefined,
    };
  });
};

const FOLDER = new URL('../../../fixtures/conformance/', import.meta.url);

interface Catalogue {
  readonly cases: readonly Case[];
  /** Title of each section by its number. */
  readonly titles: ReadonlyMap<string, string>;
}

let loaded: Catalogue | undefined;

export const loadCatalogue = (): Catalogue => {
  if (loaded !== undefined) return loaded;
  const cases: Case[] = [];
  const titles = new Map<string, string>();
  for (const name of SECTIONS) {
    const section = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')) as Section;
    titles.set(section.section, section.title);
    for (const family of section.families) {
      for (const [id, entry] of Object.entries(family.cases ?? {})) cases.push(readEntry(id, entry, family, section));
      cases.push(...deflateCases(family, section));
    }
  }
  loaded = { cases, titles };
  return loaded;
};

export const loadCases = (): readonly Case[] => loadCatalogue().cases;

/** Fewer messages where a case repeats itself a thousand times; everything else stays as it is. */
export const quickened = (test: Case, count = 25): Case => {
  const { plan } = test;
  if (plan.kind !== 'rounds' && plan.kind !== 'deflate') return test;
  return { ...test, plan: { ...plan, count: Math.min(count, plan.count) } };
};
