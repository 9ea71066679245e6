// A conformance run → what a person sees of it: progress while it runs, a table and the failures at the end. What a testee sent is
// escaped. Knows no connection and decides no exit code.
import { type CaseResult, loadCatalogue, type Report, summarize, tally } from '../conform/index.js';
import type { Io } from './command.js';
import { type Style, styleFor } from './style.js';
import { count, escapeControl, milliseconds } from './terminal.js';

const BAR = 24;

/** A bar that redraws itself on a terminal; a line for every hundred cases and every failure elsewhere. */
export class Progress {
  readonly #io: Io;
  readonly #style: Style;
  readonly #live: boolean;
  readonly #quiet: boolean;
  #failed = 0;
  #shown = false;

  constructor(io: Io, quiet: boolean) {
    this.#io = io;
    this.#style = styleFor(io.stderr, io.env);
    this.#live = io.stderr.isTTY === true && io.env['TERM'] !== 'dumb';
    this.#quiet = quiet;
  }

  case(result: CaseResult | undefined, done: number, total: number): void {
    const failed = result?.verdict === 'failed';
    if (failed) this.#failed++;
    if (this.#quiet) return;
    if (!this.#live) {
      if (failed) this.#io.stderr.write(`failed: ${result.id}: ${escapeControl(result.seen)}\n`);
      if (done % 100 === 0 || done === total) this.#io.stderr.write(`${done} of ${count(total, 'case')} done\n`);
      return;
    }
    const filled = Math.round((done / Math.max(1, total)) * BAR);
    const bar = this.#style.green('█'.repeat(filled)) + this.#style.dim('░'.repeat(BAR - filled));
    const failures = this.#failed === 0 ? '' : `  ${this.#style.red(`${this.#failed} failed`)}`;
    const name = result === undefined ? '' : `  ${this.#style.dim(result.id.padEnd(7))}`;
    this.#io.stderr.write(
      `\r\u001b[K${bar} ${String(done).padStart(String(total).length)} of ${total}${name}${failures}`,
    );
    this.#shown = true;
  }

  /** Takes the bar away: what follows begins on a clean line. */
  end(): void {
    if (this.#shown) this.#io.stderr.write('\r\u001b[K');
    this.#shown = false;
    this.#failed = 0;
  }
}

const notes = (results: readonly CaseResult[], style: Style): string => {
  const { by } = tally(results);
  const parts = [
    by.failed > 0 ? style.red(`${by.failed} failed`) : '',
    by.unimplemented > 0 ? style.magenta(`${by.unimplemented} not implemented`) : '',
    by['non-strict'] > 0 ? style.yellow(`${by['non-strict']} not strict`) : '',
    by.informational > 0 ? style.dim(`${by.informational} informational`) : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
};

const sectionRows = (report: Report): (readonly [string, string, readonly CaseResult[]])[] => {
  const rows = [...loadCatalogue().titles].map(
    ([section, title]) => [section, title, report.results.filter((r) => r.section === section)] as const,
  );
  return [...rows, ['H', 'Opening handshake', report.opening] as const].filter(([, , results]) => results.length > 0);
};

const table = (report: Report, style: Style): string[] => {
  const rows = sectionRows(report);
  const width = Math.max(0, ...rows.map(([, title]) => title.length));
  return rows.map(([section, title, results]) => {
    const { accepted, total } = tally(results);
    const score = `${String(accepted).padStart(3)} of ${String(total).padStart(3)}`;
    const mark = accepted === total ? style.green('✓') : style.red('✗');
    return `${mark} ${style.bold(section.padStart(2))}  ${title.padEnd(width)}  ${score}  ${notes(results, style)}`.trimEnd();
  });
};

const failures = (results: readonly CaseResult[], style: Style): string[] =>
  results
    .filter((r) => r.verdict === 'failed')
    .flatMap((r) => {
      const grade = r.section === 'H' ? r.behavior : `${r.behavior}, closing ${r.behaviorClose}`;
      return [
        '',
        `${style.red(r.id)}  ${style.bold(grade)}  ${r.title}`,
        `  expected: ${escapeControl(r.expected)}`,
        `  seen:     ${escapeControl(r.seen)}`,
      ];
    });

/** Ids that belong together on one line: 6.4.1, 6.4.2, …; more than a handful are only counted. */
const idList = (results: readonly CaseResult[], limit: number): string => {
  const ids = results.map((r) => r.id);
  return ids.length <= limit ? ids.join(', ') : `${ids.slice(0, limit).join(', ')} and ${ids.length - limit} more`;
};

const lists = (all: readonly CaseResult[], style: Style): string[] => {
  const lax = all.filter((r) => r.verdict === 'non-strict');
  const missing = all.filter((r) => r.verdict === 'unimplemented');
  const noted = all.filter((r) => r.verdict === 'informational' && r.section === 'H');
  return [
    ...(lax.length === 0 ? [] : ['', `${style.yellow('not strict:')} ${idList(lax, 12)}`]),
    ...(missing.length === 0
      ? []
      : [
          '',
          `${style.magenta('not implemented:')} ${idList(missing, 6)} (compression; leave it out with --cases '!12.*,!13.*')`,
        ]),
    ...(noted.length === 0 ? [] : ['', `${style.cyan('noted:')} ${idList(noted, 16)}`]),
  ];
};

export const writeScreen = (report: Report, io: Io): string => {
  const style = styleFor(io.stdout, io.env);
  const all = [...report.results, ...report.opening];
  const good = all.every((r) => r.verdict !== 'failed' && r.verdict !== 'unimplemented');
  const sum = `${summarize(report)}${report.quick ? ' (quick)' : ''}, ${milliseconds(report.durationMs)}`;
  const lines = [
    ...table(report, style),
    ...failures(all, style),
    ...lists(all, style),
    '',
    style.bold(good ? style.green(sum) : style.red(sum)),
  ];
  return `${lines.join('\n')}\n`;
};
