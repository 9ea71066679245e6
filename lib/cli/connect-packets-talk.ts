// What goes on while a session of `wsd connect --packets` lasts: stdin into messages, or a conversation at a terminal, what comes, and pings.
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import type { Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '../index.js';
import { CommandError, type Io } from './command.js';
import { linesOf, parseTyped } from './connect-input.js';
import type { Screen } from './connect-screen.js';
import { DEFAULT_WAIT } from './connect-session.js';
import type { Flags } from './flags.js';
import type { Outgoing } from './outgoing.js';
import { readHex } from './read-hex.js';
import { styleFor } from './style.js';
import { escapeControl } from './terminal.js';

export interface Talk {
  readonly session: Session;
  readonly outgoing: Outgoing;
  readonly screen: Screen;
  readonly flags: Flags;
  readonly io: Io;
  readonly close: () => void;
  /** Somebody waits for the round trip. */
  asking: boolean;
  /** When the last message came or stdin ended. */
  lastActivity: number;
}

export const TYPED_HELP: string = `a line                   goes out as a message; write // for a line that begins with /
/ping                    tell the round-trip time
/hex 00 ff               bytes as a message
/file PATH               the file as a message
/close                   end the session; Ctrl-D does so too
/help                    this list`;

/** A packet does not say whether its data is text: UTF-8 is shown as text. */
export const receive = (talk: Talk): void => {
  const { session, screen, flags, close } = talk;
  const asBytes = flags.has('binary') || flags.has('hex');
  let answered = false;
  session.on('message', (data, { reliable, number }) => {
    if (answered) return;
    answered = flags.has('once');
    talk.lastActivity = performance.now();
    const shown = asBytes || !isUtf8(data) ? data : Buffer.from(data).toString('utf8');
    screen.received(shown, { reliable, number });
    if (answered) close();
  });
  session.on('heartbeat', (rtt) => {
    if (talk.asking || flags.has('verbose')) screen.pong(rtt);
    talk.asking = false;
  });
};

/** Bytes of a pipe have no ends of their own: they are cut where a session carries them. */
const LONGEST_CHUNK = 65_536;

/** What stdin says in a pipe. Settles at its end, or when nothing more can be sent. */
export const pump = async ({ outgoing, flags, io }: Talk): Promise<void> => {
  const stdin = io.stdin as AsyncIterable<Uint8Array | string>;
  if (flags.has('binary')) {
    for await (const chunk of stdin) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      for (let at = 0; at < bytes.length; at += LONGEST_CHUNK) {
        if (!(await outgoing.send(bytes.subarray(at, at + LONGEST_CHUNK)))) return;
      }
    }
    return;
  }
  let number = 0;
  for await (const line of linesOf(stdin)) {
    number++;
    const bytes = flags.has('hex') ? readHex(line) : Buffer.from(line);
    if (bytes === undefined) throw new CommandError(`line ${number} of stdin is not hexadecimal`);
    if (!(await outgoing.send(bytes))) return;
  }
};

/** The end is ours to begin once everything has arrived and the answers had their time. */
export const waitForQuiet = async (talk: Talk, signal: AbortSignal): Promise<void> => {
  const { flags, close } = talk;
  if (flags.text('wait') === 'forever' || (flags.has('once') && !flags.has('wait'))) return;
  const wait = flags.duration('wait') ?? DEFAULT_WAIT;
  talk.lastActivity = performance.now();
  for (let left = wait; left > 0; left = talk.lastActivity + wait - performance.now()) {
    await sleep(left, undefined, { signal });
  }
  close();
};

const ask = (talk: Talk): void => {
  // One that is under way by itself answers as well.
  talk.asking = talk.session.ping() || talk.session.state === 'open';
  if (!talk.asking) talk.screen.say('there is no connection at the moment');
};

export const keepAsking = async (talk: Talk, interval: number, signal: AbortSignal): Promise<void> => {
  while (talk.session.state !== 'closed') {
    if (talk.session.state === 'open') ask(talk);
    await sleep(interval, undefined, { signal });
  }
};

export const converse = (talk: Talk, line: Interface, interrupted: () => void): void => {
  const { session, outgoing, screen, io, close } = talk;
  const paint = styleFor(io.stdout, io.env).yellow;
  const failed = (error: unknown): void =>
    screen.say(paint(escapeControl(error instanceof Error ? error.message : String(error))));
  const send = (data: Uint8Array | string): void => {
    try {
      const { status } = outgoing.offer(data);
      if (status === 'full') {
        const why = session.state === 'open' ? 'too much waits for an acknowledgement' : 'there is no connection';
        screen.say(paint(`not sent: ${why}`));
      }
    } catch (error) {
      failed(error);
    }
  };
  line.on('line', (typed) => {
    const input = parseTyped(typed);
    switch (input.kind) {
      case 'text':
        if (input.text !== '') send(input.text);
        break;
      case 'binary':
        send(input.bytes);
        break;
      case 'file':
        readFile(input.path).then(send).catch(failed);
        break;
      case 'ping':
        ask(talk);
        break;
      case 'close':
        close();
        break;
      case 'help':
        screen.say(TYPED_HELP);
        break;
      case 'wrong':
        screen.say(paint(input.why));
    }
    line.prompt();
  });
  line.on('close', close);
  line.on('SIGINT', interrupted);
  line.prompt();
};
