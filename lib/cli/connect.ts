// `wsd connect`: a WebSocket at the command line. At a terminal a conversation, elsewhere a pipe: lines of stdin are text messages,
// text messages are lines of stdout. Exit code 0 after a clean close, 1 if it never opened, ended uncleanly or the server closed it for a fault,
// 2 usage, 130/143 by signal.

import type { Interface } from 'node:readline';
import { connect as dial, type Outcome } from '../index.js';
import { type Command, EXIT, type Io, signalExit, UsageError } from './command.js';
import { attempt, closeLine, createLine, isTerminal } from './connect-dial.js';
import { type CloseWish, completeUrl, readClose, readConnectOptions, withoutQuery } from './connect-options.js';
import { connectPackets } from './connect-packets.js';
import { createScreen } from './connect-screen.js';
import { converse, keepPinging, pump, type Session, sendWhole, waitForQuiet } from './connect-session.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { CLIENT_PACKET_FLAGS, refuseWithoutPackets } from './packet-flags.js';
import { readFileOrSay } from './read-file.js';

const FLAGS: readonly Flag[] = [
  {
    name: 'header',
    short: 'H',
    value: "'NAME: VALUE'",
    many: true,
    help: 'a header of the request; @FILE reads them from a file, one a line, so that no secret stands in the list of processes',
  },
  { name: 'subprotocol', short: 's', value: 'NAME', many: true, help: 'offer a subprotocol' },
  { name: 'origin', short: 'o', value: 'ORIGIN', help: 'send an Origin header' },
  { name: 'deflate', negatable: true, help: 'offer permessage-deflate, or do not' },
  { name: 'text', help: 'stdin lines are text messages (the default)' },
  { name: 'binary', short: 'b', help: 'stdin bytes are binary messages, one a chunk as it arrives' },
  { name: 'hex', help: 'stdin lines are hexadecimal, sent as binary; received binary is shown in hexadecimal' },
  {
    name: 'file',
    short: 'f',
    value: 'PATH',
    many: true,
    help: 'send a file as one message: text if it is UTF-8 and --binary is not given',
  },
  { name: 'ping', value: 'SECONDS', help: 'ping at this interval and tell the round-trip times' },
  { name: 'once', short: '1', help: 'close after the first answer' },
  {
    name: 'wait',
    value: 'MS',
    help: 'after the end of stdin, close once this long nothing has come (default 500); forever: until the server closes',
  },
  { name: 'timeout', value: 'MS', help: 'how long the opening handshake may take' },
  { name: 'close', value: 'CODE[:REASON]', help: 'what to close with (default 1000)' },
  { name: 'max-message', value: 'BYTES', help: 'the largest message to accept, for example 16m' },
  { name: 'insecure', short: 'k', help: 'accept any TLS certificate' },
  { name: 'ca', value: 'FILE', help: 'trust the certificates in this file (PEM)' },
  { name: 'proxy', short: 'x', value: 'URL', help: 'go through an HTTP proxy; @FILE reads the URL from a file' },
  { name: 'json', help: 'every event as one JSON object a line on stdout' },
  { name: 'verbose', short: 'v', help: 'tell the time of everything, and pings' },
  { name: 'quiet', short: 'q', help: 'only messages, no talk' },
  ...CLIENT_PACKET_FLAGS,
];

const USAGE = 'wsd connect URL [options]';

const HELP = `usage: ${USAGE}

Opens a WebSocket. At a terminal: type lines, /help lists what else can be typed.
In a pipe: each line of stdin is sent as a text message, each received text is a line of stdout.
URL may lack its scheme: 8080, :8080/chat and example.org are completed with ws://.

${writeFlags(FLAGS)}

examples:
  wsd connect ws://127.0.0.1:8080
  echo hello | wsd connect --once 8080
  wsd connect wss://example.org/feed -H @token.txt --wait forever < /dev/null
  wsd connect 8080 --ping 1 --quiet
  wsd connect --packets --pin "$(cat pin.txt)" example.org

exit code: 0 closed cleanly, 1 never opened, ended uncleanly, or closed by the server with another code
than 1000 and 1001, 2 usage, 3 a message of a packet session was not delivered (or nobody knows),
130 or 143 by signal
`;

/** How long a close may take after Ctrl-C before the socket is cut. */
const PATIENCE = 1000;

/** Done, leaving, and no code at all: the server ends it, and nothing is wrong. */
const HARMLESS = [1000, 1001, 1005];

/** `sent`: the code that we began the end with. A server echoes it; any other is its verdict on what it got from us. */
const endedWell = ({ clean, code, initiator }: Outcome, sent: number | undefined): boolean =>
  clean && (HARMLESS.includes(code) || (initiator === 'local' && code === sent));

const checkTogether = (flags: Flags): void => {
  const modes = ['text', 'binary', 'hex'].filter((name) => flags.has(name));
  if (modes.length > 1) throw new UsageError(`--${modes.join(' and --')} exclude each other`);
  if (flags.text('wait') !== 'forever') flags.duration('wait');
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  const [text, ...more] = flags.positionals;
  if (text === undefined) throw new UsageError('give a URL, for example: wsd connect ws://127.0.0.1:8080');
  if (more.length > 0) throw new UsageError(`one URL is enough: what is "${more[0]}"?`);
  checkTogether(flags);
  const url = completeUrl(text);
  refuseWithoutPackets(CLIENT_PACKET_FLAGS, flags);
  if (flags.has('packets')) return connectPackets(url, flags, io);
  const wish = readClose(flags.text('close') ?? '1000');
  const interval = flags.duration('ping', 's');
  const terminal = isTerminal(flags, io);
  let line: Interface | undefined;
  const screen = createScreen(flags, io, () => line, terminal);
  const files = await Promise.all(flags.all('file').map(readFileOrSay));
  const options = await readConnectOptions(flags);
  const connection = await attempt(() => dial(url, { ...options, signal: io.signal }), { url, flags, io });
  if (typeof connection === 'number') return connection;
  let sent: CloseWish | undefined;
  const close = (as: CloseWish = wish, within?: number): void => {
    sent ??= as;
    void connection.close(as.code, as.reason, within);
  };
  const session: Session = { connection, screen, flags, io, close, lastActivity: 0 };
  const over = new AbortController();
  let failure: Error | undefined;
  // A failure of ours ends the connection properly; what the end of the connection cuts short is no failure.
  const background = (work: Promise<void>): void => {
    work.catch((error: unknown) => {
      if (over.signal.aborted || connection.state !== 'open') return;
      failure ??= error instanceof Error ? error : new Error(String(error));
      close();
    });
  };
  let interrupted: number | undefined;
  const interrupt = (code: number): void => {
    interrupted ??= code;
    close(wish, PATIENCE);
  };
  const onSignal = (): void => interrupt(signalExit(io.signal));
  io.signal.addEventListener('abort', onSignal, { once: true });

  screen.opened({ url: withoutQuery(url), subprotocol: connection.subprotocol, extensions: connection.extensions });
  let answered = false;
  connection.on('message', (data) => {
    // What comes while the closing handshake is under way is no first answer.
    if (answered) return;
    answered = flags.has('once');
    session.lastActivity = performance.now();
    screen.received(data);
    if (answered) close();
  });
  if (flags.has('verbose')) connection.on('ping', () => screen.say('the server pings'));
  for (const bytes of files) background(sendWhole(bytes, flags.has('binary'), connection));
  if (interval !== undefined) background(keepPinging(session, Math.max(interval, 10), over.signal));
  if (terminal) {
    line = createLine(io);
    converse(session, line, () => interrupt(EXIT.interrupted));
  } else background(pump(session).then(() => waitForQuiet(session, over.signal)));

  const outcome: Outcome = await connection.closed;
  over.abort();
  io.signal.removeEventListener('abort', onSignal);
  const last = line;
  line = undefined;
  if (last !== undefined) closeLine(last, io);
  screen.closed(outcome);
  if (failure !== undefined) throw failure;
  return interrupted ?? (endedWell(outcome, sent?.code) ? EXIT.ok : EXIT.failure);
};

export const connect: Command = {
  name: 'connect',
  summary: 'open a WebSocket: a conversation at a terminal, a pipe elsewhere',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
