// The text of a help as a command has it → lines that fit the terminal. Rows with a tab are a table of two columns, prose is filled; usage and
// examples stay as they are, since they are to be typed.
import type { Io, Out } from './command.js';
import type { Paint } from './style.js';

/** Wider lines are hard to read, narrower ones hold no word. */
const WIDEST = 100;
const NARROWEST = 40;
const USUAL = 80;

export const widthOf = (out: Out, env: Io['env']): number => {
  const said = Number(env['COLUMNS'] ?? '');
  const width = Number.isInteger(said) && said > 0 ? said : (out.columns ?? USUAL);
  return Math.min(WIDEST, Math.max(NARROWEST, width));
};

/** `paint`: for the left column of tables. */
export const layOut = (text: string, width: number, paint: Paint = (plain) => plain): string => {
  const end = text.endsWith('\n') ? '\n' : '';
  const blocks = text.slice(0, text.length - end.length).split('\n\n');
  const laid = blocks
    .map((block) => {
      const lines = block.split('\n');
      if (lines.some((line) => line.includes('\t'))) return writeTable(lines, width, paint);
      const fixed = block.startsWith('usage: ') || lines.some((line) => line.startsWith(' '));
      return fixed ? block : fill(lines.join(' '), width).join('\n');
    })
    .join('\n\n');
  return laid + end;
};

/** Of what stands on the right, when it stands on lines of its own. */
const INDENT = 8;
/** Less than this beside the left column is not worth its room. */
const NARROW = 36;

const writeTable = (lines: readonly string[], width: number, paint: Paint): string => {
  const rows = lines.map((line) => line.split('\t'));
  const longest = Math.max(...rows.map(([left = '']) => left.length)) + 2;
  const beside = Math.min(longest, Math.floor(width * 0.36));
  const column = width - beside < NARROW ? INDENT : beside;
  const indent = `\n${' '.repeat(column)}`;
  return rows
    .map(([left = '', right]) => {
      if (right === undefined) return left;
      const text = fill(right, width - column).join(indent);
      return left.length + 2 > column
        ? `${paint(left)}${indent}${text}`
        : `${paint(left)}${' '.repeat(column - left.length)}${text}`;
    })
    .join('\n');
};

const fill = (text: string, width: number): string[] => {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
};
