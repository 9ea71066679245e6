// What `wsd connect` shows, in one of three ways: to a person at a terminal, as plain data for a pipe, as JSON lines for a program.
// Received data goes to stdout, everything else to stderr; only JSON puts its events on stdout too, since they are data there.
import { isUtf8 } from 'node:buffer';
import type { Interface } from 'node:readline';
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import { closeName, type Outcome } from '../index.js';
import type { Io } from './command.js';
import type { Flags } from './flags.js';
import { type Style, styleFor } from './style.js';
import { count, escapeControl, hexDump, hexOf, milliseconds } from './terminal.js';

export interface Opened {
  readonly url: string;
  readonly subprotocol: string;
  readonly extensions: string;
}

/** Something that only packet sessions have: words for people, facts for programs. */
export interface Told {
  readonly type: string;
  readonly text: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Also when nothing but messages is wanted. */
  readonly always?: boolean;
}

export interface Screen {
  opened(facts: Opened): void;
  /** `facts`: for programs. */
  received(data: string | Uint8Array, facts?: Readonly<Record<string, unknown>>): void;
  told(told: Told): void;
  pong(ms: number): void;
  /** An aside that nobody but a person needs; lines of it are ours, so a peer's text is escaped before. */
  say(text: string): void;
  closed(outcome: Outcome): void;
}

interface ScreenSettings {
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Binary data as hexadecimal lines instead of raw bytes. */
  readonly hex: boolean;
}

const BY: Readonly<Record<Outcome['initiator'], string>> = {
  local: 'by us',
  remote: 'by the server',
  none: 'by nobody',
};

const closedText = (outcome: Outcome, style: Style): string => {
  const reason = outcome.reason === '' ? '' : ` "${escapeControl(outcome.reason)}"`;
  const how = outcome.clean ? style.green('closed') : style.red('closed uncleanly');
  const fault = outcome.fault === undefined ? '' : ` (${outcome.fault})`;
  return `${how} ${outcome.code} ${closeName(outcome.code)}${reason}, ${BY[outcome.initiator]}${fault}`;
};

const openedText = (facts: Opened, style: Style): string => {
  const words = [`${style.green('connected')} ${escapeControl(facts.url)}`];
  if (facts.subprotocol !== '') words.push(`subprotocol ${escapeControl(facts.subprotocol)}`);
  if (facts.extensions !== '') words.push(escapeControl(facts.extensions));
  return words.join(', ');
};

/** For a pipe: a text message is a line, a binary message is its bytes. */
const pipeScreen = (io: Io, settings: ScreenSettings): Screen => {
  const style = styleFor(io.stderr, io.env);
  const talk = (text: string): void => {
    if (!settings.quiet) io.stderr.write(`${text}\n`);
  };
  return {
    opened: (facts) => talk(openedText(facts, style)),
    received: (data) => {
      if (typeof data === 'string') io.stdout.write(`${data}\n`);
      else if (settings.hex) io.stdout.write(`${hexOf(data, '')}\n`);
      // A copy: what is handed to a listener may be reused once it returns, and a stream keeps what it cannot write at once.
      else io.stdout.write(Uint8Array.from(data));
    },
    // whoever asks for pings wants to see them, quiet or not
    pong: (ms) => void io.stderr.write(`${style.dim('pong')} ${milliseconds(ms)}\n`),
    told: ({ text, always }) => (always === true ? void io.stderr.write(`${text}\n`) : talk(text)),
    say: talk,
    closed: (outcome) => talk(closedText(outcome, style)),
  };
};

const jsonScreen = (io: Io, now: () => Date): Screen => {
  const put = (event: Readonly<Record<string, unknown>>): void => {
    io.stdout.write(`${JSON.stringify({ time: now().toISOString(), ...event })}\n`);
  };
  return {
    opened: (facts) => put({ type: 'open', ...facts }),
    received: (data, facts) =>
      put(
        typeof data === 'string'
          ? { type: 'message', binary: false, data, ...facts }
          : { type: 'message', binary: true, base64: Buffer.from(data).toString('base64'), ...facts },
      ),
    told: ({ type, facts }) => put({ type, ...facts }),
    pong: (ms) => put({ type: 'pong', ms: Math.round(ms * 1000) / 1000 }),
    say: (text) => put({ type: 'note', text }),
    closed: ({ code, reason, clean, initiator, fault }) =>
      put({ type: 'close', code, reason, clean, initiator, fault }),
  };
};

/** Asides and messages go above the line being typed, which is drawn again as it was. */
const terminalScreen = (
  io: Io,
  settings: ScreenSettings,
  prompt: () => Interface | undefined,
  now: () => Date,
): Screen => {
  const style = styleFor(io.stdout, io.env);
  const out = io.stdout as unknown as NodeJS.WritableStream;
  const print = (mark: string, lines: readonly string[]): void => {
    const line = prompt();
    if (line !== undefined) {
      const { rows } = line.getCursorPos();
      if (rows > 0) moveCursor(out, 0, -rows);
      cursorTo(out, 0);
      clearScreenDown(out);
    }
    const time = settings.verbose ? `${style.dim(now().toISOString().slice(11, 23))} ` : '';
    lines.forEach((text, i) => {
      io.stdout.write(`${time}${i === 0 ? mark : ' '} ${text}\n`);
    });
    line?.prompt(true);
  };
  const aside = (text: string): void => {
    if (!settings.quiet) print(style.dim('·'), text.split('\n'));
  };
  return {
    opened: (facts) => aside(`${openedText(facts, style)}  ${style.dim('/help for help, Ctrl-D to close')}`),
    received: (data) => {
      const mark = style.green('<');
      if (typeof data === 'string') print(mark, escapeControl(data, '\n\t').split('\n'));
      else {
        const kind = isUtf8(data) ? 'binary, and UTF-8' : 'binary';
        print(mark, [style.dim(`${kind}, ${count(data.length, 'byte')}`), ...hexDump(data, style)]);
      }
    },
    pong: (ms) => print(style.dim('·'), [`${style.dim('pong')} ${milliseconds(ms)}`]),
    told: ({ text, always }) => (always === true ? print(style.yellow('!'), text.split('\n')) : aside(text)),
    say: aside,
    closed: (outcome) => aside(closedText(outcome, style)),
  };
};

/** The one that fits the flags, and where the output goes. */
export const createScreen = (flags: Flags, io: Io, prompt: () => Interface | undefined, terminal: boolean): Screen => {
  const settings = { quiet: flags.has('quiet'), verbose: flags.has('verbose'), hex: flags.has('hex') };
  const now = (): Date => new Date();
  if (flags.has('json')) return jsonScreen(io, now);
  return terminal ? terminalScreen(io, settings, prompt, now) : pipeScreen(io, settings);
};
