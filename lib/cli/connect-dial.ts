// One attempt of `wsd connect` to open something, and what is said when it fails: a usage error, or a sentence and exit code 1.
import { createInterface, type Interface } from 'node:readline';
import { WsdError } from '../index.js';
import { EXIT, type Io, signalExit, UsageError } from './command.js';
import { withoutQuery } from './connect-options.js';
import { dialReason, trustHint } from './dial-words.js';
import type { Flags } from './flags.js';
import { styleFor } from './style.js';
import { escapeControl } from './terminal.js';

/** Settles with what was opened, or with the exit code. `hint`: what may help, after the reason. */
export const attempt = async <T extends object>(
  opening: () => Promise<T>,
  { url, flags, io, hint }: { url: string; flags: Flags; io: Io; hint?: (error: WsdError) => string | undefined },
): Promise<T | number> => {
  try {
    return await opening();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message);
    if (io.signal.aborted) return signalExit(io.signal);
    if (!(error instanceof WsdError)) throw error;
    if (error.code === 'WSD_DIAL_URL') throw new UsageError(error.message);
    const { code, status, message } = error;
    const help = hint?.(error) ?? trustHint(error);
    if (flags.has('json')) io.stdout.write(`${JSON.stringify({ type: 'error', code, status, message, hint: help })}\n`);
    else {
      const style = styleFor(io.stderr, io.env);
      const where = escapeControl(withoutQuery(url));
      io.stderr.write(`${style.red('wsd:')} cannot connect to ${where}: ${escapeControl(dialReason(error))}\n`);
      if (help !== undefined) io.stderr.write(`${style.dim(help)}\n`);
    }
    return EXIT.failure;
  }
};

/** Somebody types here. */
export const isTerminal = (flags: Flags, io: Io): boolean =>
  io.stdin.isTTY === true && io.stdout.isTTY === true && !flags.has('json') && !flags.has('binary');

export const createLine = ({ stdin, stdout, env }: Io): Interface =>
  createInterface({
    input: stdin,
    output: stdout as unknown as NodeJS.WritableStream,
    prompt: styleFor(stdout, env).cyan('> '),
    historySize: 500,
  });

/** The conversation is over: nothing typed counts any more, and its prompt goes. */
export const closeLine = (line: Interface, io: Io): void => {
  line.removeAllListeners('close');
  line.close();
  io.stdout.write('\r\u001b[J');
};
