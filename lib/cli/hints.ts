// Lines to try, under one another on stderr: the program stands in them as it was called, so that each can be typed as it is.
import { delimiter, dirname, join, relative } from 'node:path';
import type { Io } from './command.js';
import { quoted } from './shell.js';
import { styleFor } from './style.js';

const NAME = 'wsd';

/** How the script was called: by its name where the shell finds it, by `npx` where that does, by its path elsewhere. */
export const programOf = (script: string | undefined, path: string | undefined, folder: string): string => {
  if (script === undefined) return NAME;
  const home = dirname(script);
  if (home.endsWith(join('node_modules', '.bin'))) return `npx ${NAME}`;
  if (script === join(home, NAME) && path?.split(delimiter).includes(home) === true) return NAME;
  const near = relative(folder, script);
  if (near.startsWith('..')) return quoted(script);
  return quoted(near.includes('/') ? near : `./${near}`);
};

/** A line that begins with the program's name. */
const named = (line: string, program: string): string =>
  line.replace(/^( *)wsd (?=\S)/, (_, before) => `${before}${program} `);

export const writeHints = (io: Io, lines: readonly string[]): void => {
  const style = styleFor(io.stderr, io.env);
  lines.forEach((line, i) => {
    io.stderr.write(`${style.dim(`${i === 0 ? 'try:' : '    '} ${named(line, io.program ?? NAME)}`)}\n`);
  });
};
