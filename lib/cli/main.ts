// The words of the command line → one command run, its exit code out. `run` ties a real process to it: signals, a reader that
// went away, and an exit that waits for what was written.
import { DaemonError } from '../daemon/index.js';
import { call } from './call.js';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.js';
import { completion } from './completion.js';
import { conform } from './conform.js';
import { connect } from './connect.js';
import { decode } from './decode.js';
import { createHelp, findCommand, writeOverview } from './help.js';
import { layOut, widthOf } from './help-layout.js';
import { programOf } from './hints.js';
import { init } from './init.js';
import { keygen } from './keygen.js';
import { scopes } from './scopes.js';
import { serve } from './serve.js';
import { styleFor } from './style.js';
import { escapeControl } from './terminal.js';
import { token } from './token.js';
import { version } from './version.js';

const commands = (): readonly Command[] => COMMANDS;
const COMMANDS: readonly Command[] = [
  serve,
  connect,
  decode,
  conform,
  keygen,
  init,
  token,
  call,
  scopes,
  completion(commands),
  createHelp(commands, version),
];

const isHelp = (word: string): boolean => word === '--help' || word === '-h';

/** Settles with the exit code; never rejects. */
export const main = async (argv: readonly string[], io: Io): Promise<number> => {
  const [first, ...rest] = argv;
  let command: Command | undefined;
  try {
    if (first === undefined) {
      io.stderr.write(writeOverview(COMMANDS, version, { ...io, stdout: io.stderr }));
      return EXIT.usage;
    }
    if (isHelp(first)) {
      io.stdout.write(writeOverview(COMMANDS, version, io));
      return EXIT.ok;
    }
    if (first === '--version' || first === '-V') {
      io.stdout.write(`${version}\n`);
      return EXIT.ok;
    }
    command = findCommand(COMMANDS, first);
    const end = rest.indexOf('--');
    if (rest.slice(0, end < 0 ? rest.length : end).some(isHelp)) {
      io.stdout.write(layOut(command.help, widthOf(io.stdout, io.env)));
      return EXIT.ok;
    }
    return await command.run(rest, io);
  } catch (error) {
    return tell(error, command, io);
  }
};

const tell = (error: unknown, command: Command | undefined, io: Io): number => {
  const style = styleFor(io.stderr, io.env);
  const text = error instanceof Error ? error.message : String(error);
  io.stderr.write(`${style.red('wsd:')} ${escapeControl(text, error instanceof DaemonError ? '\n' : '')}\n`);
  if (error instanceof UsageError) {
    io.stderr.write(`${style.dim(command === undefined ? 'see: wsd help' : `see: wsd help ${command.name}`)}\n`);
    return EXIT.usage;
  }
  // Anything that is not meant for people is a mistake of this program: its trace helps whoever mends it.
  if (
    !(error instanceof CommandError) &&
    !(error instanceof DaemonError) &&
    error instanceof Error &&
    error.name !== 'WsdError' &&
    error.stack !== undefined
  ) {
    io.stderr.write(`${style.dim(escapeControl(error.stack, '\n'))}\n`);
  }
  return EXIT.failure;
};

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Ties the process to `main`. Leaves it by exit, since an open stdin would keep it alive. */
export const run = async (process: NodeJS.Process): Promise<void> => {
  const controller = new AbortController();
  const hangups = new Set<() => void>();
  for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) {
    process.on(name, () => {
      if (name === 'SIGHUP' && hangups.size > 0 && !controller.signal.aborted) {
        for (const listener of hangups) listener();
        return;
      }
      // The second signal means now.
      if (controller.signal.aborted) process.exit(128 + NUMBERS[name]);
      controller.abort(name);
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader went away, as `| head` does: nothing is left to say.
      process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failure);
    });
  }
  const { stdin, stdout, stderr, env } = process;
  const program = programOf(process.argv[1], env['PATH'], process.cwd());
  const onHangup = (listener: () => void): (() => void) => {
    hangups.add(listener);
    return () => void hangups.delete(listener);
  };
  const io = { stdin, stdout, stderr, env, program, signal: controller.signal, onHangup };
  const code = await main(process.argv.slice(2), io);
  await Promise.all([stdout, stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))));
  process.exit(code);
};
