// The coverage gate: reads what tap wrote (lcov) and fails when the specs run less than 95 % of lib's lines.
// Not a spec: spec/suite.ts calls it after tap. A file that no spec loads counts as not covered at all;
// a file of nothing but types compiles to nothing, and does not count.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLOOR = 95;
const WORST = 10;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILT = fileURLToPath(new URL('../', import.meta.url));

interface Covered {
  readonly file: string;
  readonly lines: number;
  readonly missed: readonly number[];
}

/** The records of an lcov file that speak of lib. */
function parseLcov(text: string): Covered[] {
  return text.split('end_of_record').flatMap((record) => {
    const named = /^SF:(.*)$/m.exec(record)?.[1];
    const file = named === undefined ? '' : relative(ROOT, join(ROOT, relative(ROOT, named))).replaceAll(sep, '/');
    if (!file.startsWith('lib/')) return [];
    const counts = [...record.matchAll(/^DA:(\d+),(\d+)/gm)].map((hit) => [Number(hit[1]), Number(hit[2])] as const);
    const missed = counts.filter(([, count]) => count === 0).map(([line]) => line);
    return [{ file, lines: counts.length, missed }];
  });
}

/** The files of lib that no spec has loaded, with as many lines as their compiled form has. */
function neverLoaded(loaded: readonly Covered[]): Covered[] {
  const seen = new Set(loaded.map(({ file }) => file));
  const files = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' });
  const names = files.filter((name) => name.endsWith('.ts')).map((name) => `lib/${name.replaceAll(sep, '/')}`);
  return names
    .filter((name) => !seen.has(name))
    .map((file) => ({ file, missed: statementsOf(readFileSync(join(BUILT, file.replace(/\.ts$/, '.js')), 'utf8')) }))
    .map(({ file, missed }) => ({ file, lines: missed.length, missed }))
    .filter(({ lines }) => lines > 0);
}

function statementsOf(compiled: string): number[] {
  const idle = /^\s*(?:$|\/\/|\/?\*|export \{\};)/;
  return compiled.split('\n').flatMap((line, index) => (idle.test(line) ? [] : [index + 1]));
}

/** 3, 4, 5, 9 as `3-5 9`; the first few only. */
function spans(lines: readonly number[]): string {
  const found: [from: number, to: number][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && line === last[1] + 1) last[1] = line;
    else found.push([line, line]);
  }
  const shown = found.slice(0, 6).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return found.length > 6 ? `${shown.join(' ')} …` : shown.join(' ');
}

interface Sum {
  readonly lines: number;
  readonly missed: number;
}

function sum(files: readonly Covered[]): Sum {
  return {
    lines: files.reduce((total, { lines }) => total + lines, 0),
    missed: files.reduce((total, { missed }) => total + missed.length, 0),
  };
}

function percent({ lines, missed }: Sum): number {
  return lines === 0 ? 100 : (100 * (lines - missed)) / lines;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const row = (share: number, lines: number, file: string, rest = ''): void =>
  say(`${share.toFixed(1).padStart(6)} %${String(lines).padStart(7)}  ${file.padEnd(36)}${rest}`.trimEnd());

/** Prints the table; the answer is whether the gate is passed. */
export function reportCoverage(lcov: string): boolean {
  const loaded = parseLcov(readFileSync(lcov, 'utf8'));
  const files = [...loaded, ...neverLoaded(loaded)];

  say('\nCoverage of lib by its specs\n covered   lines  room');
  const roomOf = ({ file }: Covered): string => file.split('/').slice(0, 2).join('/');
  for (const room of [...new Set(files.map(roomOf))].sort()) {
    const inside = sum(files.filter((one) => roomOf(one) === room));
    row(percent(inside), inside.lines, room);
  }

  const worst = files.filter(({ missed }) => missed.length > 0).sort((a, b) => b.missed.length - a.missed.length);
  if (worst.length > 0) say(`\n covered   lines  the ${Math.min(WORST, worst.length)} files that miss most, and where`);
  for (const one of worst.slice(0, WORST)) {
    row(percent(sum([one])), one.lines, one.file, ` ${loaded.includes(one) ? spans(one.missed) : 'never loaded'}`);
  }

  const total = sum(files);
  say('');
  row(percent(total), total.lines, `lib, ${files.length} files`);
  const enough = files.length > 0 && percent(total) >= FLOOR;
  if (!enough) say(`coverage: ${percent(total).toFixed(2)} % of lib is less than the ${FLOOR} % it must be`);
  return enough;
}
