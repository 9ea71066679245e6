// A report → a file or a text in one of two forms: HTML to look at, JSON for machines. The only writer of files in this room.
import { writeFile } from 'node:fs/promises';
import { writeHtml } from './report-html.js';
import { type Report, summarize, tally } from './result.js';

export { writeHtml } from './report-html.js';

/** One JSON document: the report and its counts. */
export const writeJson = (report: Report): string => {
  const { results, opening, ...head } = report;
  const summary = { text: summarize(report), cases: tally(results), opening: tally(opening) };
  return `${JSON.stringify({ ...head, summary, results, opening }, undefined, 2)}\n`;
};

/** JSON when the name ends in .json, else HTML. */
export const writeReport = (report: Report, file: string): Promise<void> =>
  writeFile(file, file.endsWith('.json') ? writeJson(report) : writeHtml(report));
