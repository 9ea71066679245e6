// Outcomes → one SVG: a row for each workload, a mark for each server where its cost stands to that of the base, on a logarithmic scale.
// It brings its own background, so that it is readable wherever it is shown, and follows a page that is dark. Colours are told apart
// without seeing red or green, and the shapes differ as well.

import type { Outcome } from './contest.js';
import type { Contestant } from './contestants.js';
import { figure } from './figures.js';
import { gainOf } from './report.js';

const WIDTH = 900;
const LABELS = 270;
const RIGHT = 60;
const ROW = 30;
const TOP = 84;
const BOTTOM = 44;
const SIZE = 5;

interface Mark {
  readonly light: string;
  readonly dark: string;
  readonly shape: (x: number, y: number, r: number) => string;
}

const path = (d: string): string => `<path d="${d}"`;
const circle = (x: number, y: number, r: number): string => `<circle cx="${x}" cy="${y}" r="${r}"`;
const square = (x: number, y: number, r: number): string =>
  `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}"`;
const diamond = (x: number, y: number, r: number): string =>
  path(`M${x} ${y - r * 1.3}l${r * 1.3} ${r * 1.3}l${-r * 1.3} ${r * 1.3}l${-r * 1.3} ${-r * 1.3}z`);
const triangle = (x: number, y: number, r: number): string =>
  path(`M${x} ${y - r * 1.2}l${r * 1.2} ${r * 2.2}h${-r * 2.4}z`);
const pointDown = (x: number, y: number, r: number): string =>
  path(`M${x} ${y + r * 1.2}l${r * 1.2} ${-r * 2.2}h${-r * 2.4}z`);
const bar = (x: number, y: number, r: number): string =>
  `<rect x="${x - 1.5}" y="${y - r * 1.6}" width="3" height="${r * 3.2}"`;

const MARKS: Readonly<Record<string, Mark>> = {
  wsd: { light: '#c94a00', dark: '#ff8a3d', shape: circle },
  ws: { light: '#6a6a6a', dark: '#a8a8a8', shape: square },
  deno: { light: '#00805c', dark: '#2fc596', shape: triangle },
  bun: { light: '#005f9e', dark: '#5fb4f0', shape: diamond },
  uws: { light: '#a8447f', dark: '#e58fc0', shape: pointDown },
};
const OTHER: Mark = { light: '#8a7a00', dark: '#d8c73f', shape: bar };
const markOf = (name: string): Mark => MARKS[name] ?? OTHER;

const safe = (text: string): string =>
  text.replace(/[&<>"]/g, (one) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[one] ?? '');
const fixed = (value: number): number => Math.round(value * 10) / 10;

const styleOf = (contestants: readonly Contestant[]): string => {
  const rules = (tone: 'light' | 'dark'): string =>
    contestants.map(({ name }) => `.m-${name}{fill:${markOf(name)[tone]}}`).join('');
  const page = (ground: string, ink: string, faint: string): string =>
    `.ground{fill:${ground}}text{fill:${ink}}.faint{fill:${faint}}.line{stroke:${faint};stroke-opacity:.35}.one{stroke:${ink}}`;
  return [
    'text{font:13px system-ui,sans-serif}.small{font-size:11px}.title{font-size:15px;font-weight:600}.value{font-weight:600}',
    `${page('#ffffff', '#1f2328', '#6a737d')}${rules('light')}`,
    `@media (prefers-color-scheme:dark){${page('#161b22', '#e6edf3', '#8b949e')}${rules('dark')}}`,
  ].join('\n');
};

/** Undefined when nothing can be compared with the base. `own` is drawn larger, over the others, with its figure. */
export const plotContest = (
  contestants: readonly Contestant[],
  all: readonly Outcome[],
  own: string,
  base: string,
): string | undefined => {
  const outcomes = all.filter((outcome) => Number.isFinite(gainOf(outcome, own, base)));
  if (outcomes.length === 0) return undefined;
  const gains = outcomes.flatMap((outcome) =>
    contestants.map(({ name }) => gainOf(outcome, name, base)).filter((gain) => Number.isFinite(gain) && gain > 0),
  );
  const low = Math.min(-1, Math.floor(Math.log2(Math.min(...gains))));
  const high = Math.max(1, Math.ceil(Math.log2(Math.max(...gains))));
  const xOf = (gain: number): number =>
    fixed(LABELS + ((Math.log2(gain) - low) / (high - low)) * (WIDTH - LABELS - RIGHT));
  const height = TOP + outcomes.length * ROW + BOTTOM;
  const floorY = TOP + outcomes.length * ROW;
  const out: string[] = [];

  const what = `How many times less than ${base} each server costs`;
  out.push(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="t d">`,
    `<title id="t">${safe(what)}</title>`,
    `<desc id="d">${outcomes.map((o) => safe(`${o.workload.title}: ${own} ${figure(gainOf(o, own, base))}`)).join('; ')}</desc>`,
    `<style>${styleOf(contestants)}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>`,
    `<text class="title" x="16" y="28">${safe(what)}: further right is better</text>`,
  );

  let x = 16;
  for (const { name, title } of contestants) {
    out.push(
      `${markOf(name).shape(x + 6, 50, SIZE)} class="m-${name}"/>`,
      `<text x="${x + 17}" y="54">${safe(title)}</text>`,
    );
    x += 34 + title.length * 7.5;
  }

  for (let power = low; power <= high; power++) {
    const at = xOf(2 ** power);
    const label = power < 0 ? `1/${2 ** -power}` : `${2 ** power}`;
    out.push(
      `<line class="${power === 0 ? 'one' : 'line'}" x1="${at}" x2="${at}" y1="${TOP - 8}" y2="${floorY}"/>`,
      `<text class="small faint" x="${at}" y="${floorY + 18}" text-anchor="middle">${label}x</text>`,
    );
  }

  for (const [i, outcome] of outcomes.entries()) {
    const y = TOP + i * ROW + ROW / 2;
    out.push(`<text x="${LABELS - 16}" y="${y + 4}" text-anchor="end">${safe(outcome.workload.title)}</text>`);
    out.push(`<line class="line" x1="${LABELS}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>`);
    const others = contestants.filter(({ name }) => name !== own);
    for (const { name } of [...others, ...contestants.filter((one) => one.name === own)]) {
      const gain = gainOf(outcome, name, base);
      if (!Number.isFinite(gain) || gain <= 0) continue;
      out.push(`${markOf(name).shape(xOf(gain), y, name === own ? SIZE + 2 : SIZE)} class="m-${name}"/>`);
    }
    out.push(
      `<text class="value" x="${WIDTH - 12}" y="${y + 4}" text-anchor="end">${figure(gainOf(outcome, own, base))}x</text>`,
    );
  }
  out.push(
    `<text class="small faint" x="${WIDTH - 12}" y="${TOP - 14}" text-anchor="end">${safe(own)}</text>`,
    `<text class="small faint" x="${LABELS}" y="${floorY + 36}">CPU of the server per message (idle: memory of a connection) of ${safe(base)}, divided by that of the server</text>`,
    '</svg>',
  );
  return `${out.join('\n')}\n`;
};
