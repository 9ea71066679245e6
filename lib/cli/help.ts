// `wsd help`: the first thing a new person sees, and the whole text about one command.

import { nearest } from '../bytes/nearest.js';
import { type Command, EXIT, type Io, UsageError } from './command.js';
import { layOut, widthOf } from './help-layout.js';
import { styleFor } from './style.js';

const TRY = `try:
  wsd serve --echo                     an echo server on ws://127.0.0.1:8080
  wsd serve                            the dispatch of packages, with what to type next
  wsd connect ws://127.0.0.1:8080      talk to a server, line by line
  wsd decode 81 05 48 65 6c 6c 6f      see what bytes on the wire mean`;

export const writeOverview = (commands: readonly Command[], version: string, io: Io): string => {
  const style = styleFor(io.stdout, io.env);
  const rows = commands.map(({ name, summary }) => `  ${name}\t${summary}`).join('\n');
  return [
    `${style.bold('wsd')} ${version}: WebSocket from the TCP socket up`,
    '',
    'usage: wsd COMMAND [options]',
    '',
    layOut(rows, widthOf(io.stdout, io.env), style.bold),
    '',
    TRY,
    '',
    'wsd help COMMAND tells everything about one; wsd --version prints the version.',
    '',
  ].join('\n');
};

export const findCommand = (commands: readonly Command[], name: string): Command => {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const close = nearest(
    name,
    commands.map((command) => command.name),
  );
  throw new UsageError(
    `unknown command ${JSON.stringify(name)}${close === undefined ? '' : `: did you mean ${close}?`}`,
  );
};

/** Made by main, which knows all commands and the version. */
export const createHelp = (commands: () => readonly Command[], version: string): Command => ({
  name: 'help',
  summary: 'tell about a command',
  usage: 'wsd help [COMMAND]',
  help: 'usage: wsd help [COMMAND]\n\nWithout a command: the list of all commands.\n',
  get words() {
    return commands().map(({ name }) => name);
  },
  run: async (args: readonly string[], io: Io): Promise<number> => {
    const [name, ...more] = args.filter((word) => word !== '--help' && word !== '-h');
    if (more.length > 0) throw new UsageError('wsd help takes one command');
    if (name === undefined) io.stdout.write(writeOverview(commands(), version, io));
    else io.stdout.write(layOut(findCommand(commands(), name).help, widthOf(io.stdout, io.env)));
    return EXIT.ok;
  },
});
