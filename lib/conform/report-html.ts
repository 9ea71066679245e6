// A report → one HTML file that needs nothing else: score, a table by section with a tile for each case, and every case with what was
// expected, what was seen and what went over the wire. Everything a testee sent is escaped. Knows no connection.
import type { CaseResult, Verdict, WireEntry } from './case.js';
import { loadCatalogue } from './catalogue.js';
import { SCRIPT, STYLE } from './report-style.js';
import { byFamily, type Report, tally } from './result.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Also takes the control characters out that HTML cannot hold. */
export const escapeHtml = (text: string): string => {
  let out = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    out += ENTITIES[char] ?? ((code < 32 && char !== '\n' && char !== '\t') || code === 127 ? '\u00b7' : char);
  }
  return out;
};

const VERDICTS: readonly Verdict[] = ['passed', 'non-strict', 'informational', 'unimplemented', 'failed'];

const LABELS: Readonly<Record<Verdict, string>> = {
  passed: 'passed',
  'non-strict': 'not strict',
  informational: 'informational',
  unimplemented: 'not implemented',
  failed: 'failed',
};

const duration = (ms: number): string =>
  ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;

const scoreCard = (label: string, results: readonly CaseResult[]): string => {
  if (results.length === 0) return '';
  const { accepted, total, by } = tally(results);
  const present = VERDICTS.filter((v) => by[v] > 0);
  const bar = present.map((v) => `<i class="${v}" style="flex:${by[v]}"></i>`).join('');
  const legend = present.map((v) => `<span><i class="${v}"></i>${by[v]} ${LABELS[v]}</span>`).join('');
  return `<div class="card"><div class="label">${label}</div><div class="score">${accepted} <small>of ${total}</small></div>
<div class="bar">${bar}</div><div class="legend">${legend}</div></div>`;
};

const tile = (r: CaseResult): string =>
  `<a class="${r.verdict}" href="#${r.id}" title="${r.id} ${LABELS[r.verdict]}" aria-label="${r.id} ${LABELS[r.verdict]}"></a>`;

const bySection = (results: readonly CaseResult[]): ReadonlyMap<string, readonly CaseResult[]> => {
  const sections = new Map<string, CaseResult[]>();
  for (const r of results) sections.set(r.section, [...(sections.get(r.section) ?? []), r]);
  return sections;
};

const sectionTitle = (section: string): string =>
  section === 'H' ? 'Opening handshake' : (loadCatalogue().titles.get(section) ?? '');

const overview = (results: readonly CaseResult[]): string => {
  const rows = [...bySection(results)].map(([section, list]) => {
    const { accepted, total } = tally(list);
    return `<tr><td class="num">${section}</td><td class="name">${escapeHtml(sectionTitle(section))}</td>
<td><div class="tiles">${list.map(tile).join('')}</div></td><td class="num">${accepted} / ${total}</td></tr>`;
  });
  return `<h2>By section</h2><table class="overview"><tbody>${rows.join('\n')}</tbody></table>`;
};

const ARROWS = { in: '\u2190', out: '\u2192', note: '\u00b7' } as const;

const wireLine = ({ at, way, what, length, head }: WireEntry): string => {
  const size = length === undefined ? '' : String(length).padStart(9);
  const bytes = head === undefined || head === '' ? '' : `  ${head}${(length ?? 0) * 2 > head.length ? '\u2026' : ''}`;
  const text = `${at.toFixed(1).padStart(9)} ms  ${ARROWS[way]} ${length === undefined ? what : what.padEnd(30)}${size}${bytes}`;
  return `<span class="${way}">${escapeHtml(text)}</span>`;
};

const caseDetails = (r: CaseResult): string => {
  const close =
    r.section === 'H'
      ? ''
      : `<dt>Closing</dt><dd>${r.behaviorClose}${r.closeCode === undefined ? '' : `, code ${r.closeCode}`}</dd>`;
  const title = r.section === 'H' ? `<dt>Case</dt><dd>${escapeHtml(r.title)}</dd>` : '';
  const script =
    r.script.length === 0 ? '' : `<dt>Script</dt><dd><code>${r.script.map(escapeHtml).join('<br>')}</code></dd>`;
  const wire = r.wire.length === 0 ? '' : `<pre>${r.wire.map(wireLine).join('\n')}</pre>`;
  return `<details class="case ${r.verdict}" id="${r.id}"><summary><span class="id">${r.id}</span><span class="badge">${LABELS[r.verdict]}</span><span class="seen">${escapeHtml(r.section === 'H' ? r.title : r.seen)}</span><span class="num">${duration(r.durationMs)}</span></summary>
<div class="body"><dl>${title}<dt>Expected</dt><dd>${escapeHtml(r.expected)}</dd><dt>Seen</dt><dd>${escapeHtml(r.seen)}</dd><dt>Grade</dt><dd>${r.behavior}</dd>${close}${script}</dl>${wire}</div></details>`;
};

const familyBlock = (family: string, list: readonly CaseResult[]): string => {
  const title =
    family === 'H'
      ? 'What the other cases leave out: requests and answers, good, odd and hostile.'
      : (list[0]?.title ?? '');
  return `<section class="family"><p><span class="id">${family}</span>${escapeHtml(title)}</p>
${list.map(caseDetails).join('\n')}</section>`;
};

const filters = (results: readonly CaseResult[]): string => {
  const { by, total } = tally(results);
  const button = (value: string, text: string): string =>
    `<button type="button" value="${value}" aria-pressed="${value === ''}">${text}</button>`;
  const rest = VERDICTS.filter((v) => by[v] > 0).map((v) => button(v, `${by[v]} ${LABELS[v]}`));
  return `<div class="filters">${button('', `All ${total}`)}${rest.join('')}</div>`;
};

export const writeHtml = (report: Report): string => {
  const all = [...report.results, ...report.opening];
  const who = report.mode === 'server' ? 'Server' : 'Client';
  const meta = [
    `${who} under test`,
    ...(report.software === '' ? [] : [report.software]),
    report.startedAt.slice(0, 16).replace('T', ' '),
    duration(report.durationMs),
    ...(report.quick ? ['quick: fewer messages in sections 9.7, 9.8, 12 and 13'] : []),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conformance: ${escapeHtml(report.target)}</title><style>${STYLE}</style></head>
<body><main>
<h1>${escapeHtml(report.target)}</h1>
<p class="meta">${meta.map((m) => `<span>${escapeHtml(m)}</span>`).join('')}</p>
<div class="cards">${scoreCard('Conformance cases', report.results)}${scoreCard('Opening handshake', report.opening)}</div>
${overview(all)}
<h2>Every case</h2>
${filters(all)}
${[...byFamily(all)].map(([family, list]) => familyBlock(family, list)).join('\n')}
<footer>Written by wsd conform. The facts of the numbered cases are those of Autobahn|Testsuite 25.10.1; cases named H are our own.</footer>
</main><script>${SCRIPT}</script></body></html>
`;
};
