// What goes on while a connection of `wsd connect` is open: stdin into messages, or a conversation at a terminal, and pings.
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import type { Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../index.js';
import { CommandError, type Io } from './command.js';
import { linesOf, parseTyped, TYPED_HELP } from './connect-input.js';
import type { CloseWish } from './connect-options.js';
import type { Screen } from './connect-screen.js';
import type { Flags } from './flags.js';
import { readHex } from './read-hex.js';
import { styleFor } from './style.js';
import { escapeControl } from './terminal.js';

export const DEFAULT_WAIT = 500;

export interface Session {
  readonly connection: Connection;
  readonly screen: Screen;
  readonly flags: Flags;
  readonly io: Io;
  /** Begins the end, as the words of the command say or otherwise. */
  readonly close: (as?: CloseWish, within?: number) => void;
  /** When the last message came or stdin ended. */
  lastActivity: number;
}

/** Text if it is UTF-8, unless binary is asked for. */
export const sendWhole = async (bytes: Buffer, binary: boolean, connection: Connection): Promise<void> => {
  if (binary || !isUtf8(bytes)) await connection.send(bytes, { binary: true });
  else await connection.send(bytes.toString('utf8'));
};

/** What stdin says in a pipe. Settles at its end, or when nothing more can be sent. */
export const pump = async ({ connection, flags, io }: Session): Promise<void> => {
  const stdin = io.stdin as AsyncIterable<Uint8Array | string>;
  if (flags.has('binary')) {
    for await (const chunk of stdin) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      if ((await connection.send(bytes, { binary: true })) === 'closed') return;
    }
    return;
  }
  let number = 0;
  for await (const line of linesOf(stdin)) {
    number++;
    const bytes = flags.has('hex') ? readHex(line) : undefined;
    if (flags.has('hex') && bytes === undefined) throw new CommandError(`line ${number} of stdin is not hexadecimal`);
    const status = bytes === undefined ? await connection.send(line) : await connection.send(bytes, { binary: true });
    if (status === 'closed') return;
  }
};

/** Section 7.1.1: the close is ours to begin once the answers had their time. */
export const waitForQuiet = async (session: Session, signal: AbortSignal): Promise<void> => {
  const { flags, close } = session;
  if (flags.text('wait') === 'forever' || (flags.has('once') && !flags.has('wait'))) return;
  const wait = flags.duration('wait') ?? DEFAULT_WAIT;
  session.lastActivity = performance.now();
  for (let left = wait; left > 0; left = session.lastActivity + wait - performance.now()) {
    await sleep(left, undefined, { signal });
  }
  close();
};

export const converse = (session: Session, line: Interface, interrupted: () => void): void => {
  const { connection, screen, io, close } = session;
  const ping = async (data: string): Promise<void> => screen.pong(await connection.ping(data));
  const failed = (error: unknown): void =>
    screen.say(escapeControl(error instanceof Error ? error.message : String(error)));
  line.on('line', (typed) => {
    const input = parseTyped(typed);
    switch (input.kind) {
      case 'text':
        if (input.text !== '') void connection.send(input.text);
        break;
      case 'binary':
        void connection.send(input.bytes, { binary: true });
        break;
      case 'file':
        readFile(input.path)
          .then((bytes) => sendWhole(bytes, false, connection))
          .catch(failed);
        break;
      case 'ping':
        ping(input.data).catch(failed);
        break;
      case 'close':
        close(input.wish);
        break;
      case 'help':
        screen.say(TYPED_HELP);
        break;
      case 'wrong':
        screen.say(styleFor(io.stdout, io.env).yellow(input.why));
    }
    line.prompt();
  });
  line.on('close', () => close());
  line.on('SIGINT', interrupted);
  line.prompt();
};

export const keepPinging = async (
  { connection, screen }: Session,
  interval: number,
  signal: AbortSignal,
): Promise<void> => {
  while (connection.state === 'open') {
    screen.pong(await connection.ping());
    await sleep(interval, undefined, { signal });
  }
};
