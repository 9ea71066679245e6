// The look of the HTML report: one style sheet, light and dark, no fonts and no images from elsewhere. Knows the classes that
// report-html.ts writes and nothing else.

export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d1f24; --soft: #666a73; --line: #e4e1db; --code: #f4f2ee;
  --passed: #2f8f5b; --nonstrict: #c98a12; --informational: #4a7fc1; --unimplemented: #8d8f96; --failed: #c8372d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --card: #1c1f25; --ink: #e7e6e3; --soft: #9a9da6; --line: #2d3139; --code: #15181d;
    --passed: #46b77b; --nonstrict: #e0a93a; --informational: #6aa2e6; --unimplemented: #83868f; --failed: #ef6a5e;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 96px; }
code, pre, .id, .num { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; font-variant-numeric: tabular-nums; }
h1 { margin: 0 0 4px; font-size: 28px; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { margin: 48px 0 12px; font-size: 18px; }
.meta { color: var(--soft); margin: 0 0 28px; }
.meta span + span::before { content: "·"; margin: 0 8px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 22px; }
.card .label { color: var(--soft); font-size: 13px; }
.card .score { font-size: 40px; font-weight: 650; letter-spacing: -0.03em; line-height: 1.15; }
.card .score small { font-size: 18px; font-weight: 450; color: var(--soft); letter-spacing: 0; }
.bar { display: flex; height: 8px; border-radius: 4px; overflow: hidden; margin: 12px 0 10px; background: var(--line); gap: 1px; }
.bar i { display: block; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px; }
.passed { --c: var(--passed); } .non-strict { --c: var(--nonstrict); } .informational { --c: var(--informational); }
.unimplemented { --c: var(--unimplemented); } .failed { --c: var(--failed); }
i.passed, i.non-strict, i.informational, i.unimplemented, i.failed { background: var(--c); }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.overview td { padding: 10px 14px; border-top: 1px solid var(--line); vertical-align: top; }
.overview tr:first-child td { border-top: 0; }
.overview .num { white-space: nowrap; text-align: right; }
.overview .name { width: 15em; }
.tiles { display: flex; flex-wrap: wrap; gap: 3px; padding-top: 5px; }
.tiles a { width: 13px; height: 13px; border-radius: 3px; background: var(--c); opacity: 0.9; }
.tiles a:hover { opacity: 1; outline: 2px solid var(--ink); outline-offset: 1px; }
.filters { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: 8px; padding: 12px 0; background: var(--paper); }
.filters button { font: inherit; font-size: 13px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 999px; padding: 4px 14px; cursor: pointer; }
.filters button[aria-pressed="true"] { background: var(--ink); color: var(--paper); border-color: var(--ink); }
.family { margin: 20px 0 0; }
.family > p { margin: 0 0 8px; }
.family > p .id { font-weight: 600; margin-right: 8px; }
details.case { scroll-margin-top: 64px; background: var(--card); border: 1px solid var(--line); border-bottom-width: 0; }
details.case:first-of-type { border-radius: 8px 8px 0 0; }
details.case:last-of-type { border-radius: 0 0 8px 8px; border-bottom-width: 1px; }
details.case[hidden] { display: none; }
summary { display: flex; gap: 14px; align-items: baseline; padding: 7px 14px; cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:hover { background: var(--code); }
summary .id { width: 5.5em; flex: none; }
summary .seen { flex: 1; min-width: 0; color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
summary .num { color: var(--soft); font-size: 13px; flex: none; }
.badge { flex: none; width: 8.6em; font-size: 12px; font-weight: 600; color: var(--c); }
.badge::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--c); margin-right: 7px; }
.body { padding: 4px 14px 16px; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: 7em 1fr; gap: 6px 12px; margin: 12px 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: 12px 14px; background: var(--code); border-radius: 8px; overflow-x: auto; font-size: 12.5px; line-height: 1.55; }
pre .in { color: var(--informational); } pre .out { color: var(--ink); } pre .note { color: var(--soft); }
footer { margin-top: 56px; color: var(--soft); font-size: 13px; }
@media (max-width: 640px) { .overview .name { width: auto; } summary .seen { display: none; } summary .badge { flex: 1; } }
@media print { .filters { display: none; } }
`;

/** Shows the cases of one verdict, and opens the one the address names. The report is complete without it. */
export const SCRIPT = `
const show = (want) => {
  for (const b of document.querySelectorAll('.filters button')) b.setAttribute('aria-pressed', String(b.value === want));
  for (const c of document.querySelectorAll('details.case')) c.hidden = want !== '' && !c.classList.contains(want);
  for (const f of document.querySelectorAll('.family')) f.hidden = !f.querySelector('details.case:not([hidden])');
};
const openNamed = () => {
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named) { if (named.hidden) show(''); named.open = true; named.scrollIntoView({ block: 'start' }); }
};
for (const b of document.querySelectorAll('.filters button')) b.addEventListener('click', () => show(b.value));
addEventListener('hashchange', openNamed);
openNamed();
`;
