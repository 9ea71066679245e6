// `wsd connect --packets`: a packet session at the command line. What is typed or piped goes out as RELIABLE messages; connections may be lost
// meanwhile. The exit code tells whether everything arrived. The words of the session are in connect-packets-words.ts.
import type { Interface } from 'node:readline';
import {
  type ClientPacketOptions,
  connect as dial,
  type Session,
  type SessionOutcome,
  type UndeliveredMessage,
  type WsdError,
} from '../index.js';
import { CommandError, EXIT, type Io, signalExit, UsageError } from './command.js';
import { attempt, closeLine, createLine, isTerminal } from './connect-dial.js';
import { readConnectOptions, withoutQuery } from './connect-options.js';
import { converse, keepAsking, pump, receive, type Talk, waitForQuiet } from './connect-packets-talk.js';
import {
  closedWords,
  detachedWords,
  openedWords,
  type Place,
  retryWords,
  undeliveredWords,
} from './connect-packets-words.js';
import { createScreen, type Screen } from './connect-screen.js';
import type { Flags } from './flags.js';
import { Outgoing } from './outgoing.js';
import { readCommon, refuseInClear } from './packet-flags.js';
import { readFileOrSay } from './read-file.js';
import { type Style, styleFor } from './style.js';
import { escapeControl } from './terminal.js';

/** What only plain connections have. */
const PLAIN_ONLY = ['subprotocol', 'deflate', 'close'] as const;
/** In a pipe somebody waits for the end. */
const ATTEMPTS = 10;

const readOptions = async (flags: Flags, terminal: boolean): Promise<ClientPacketOptions> => {
  const plain = PLAIN_ONLY.find((name) => flags.has(name));
  if (plain !== undefined) throw new UsageError(`--packets excludes --${plain}`);
  const anonymous = flags.has('anonymous');
  refuseInClear(['packet-cert', 'pin', 'anchor', 'name', 'anonymous'], flags);
  const trust = ['pin', 'anchor'].find((name) => flags.has(name));
  if (anonymous && trust !== undefined) throw new UsageError(`--anonymous and --${trust} exclude each other`);
  if (flags.has('name') && !flags.has('anchor')) throw new UsageError('--name goes with --anchor');
  if (flags.text('packet-mode') !== 'none' && !anonymous && trust === undefined) {
    throw new UsageError(
      'which server is meant? Add --pin SHA256 (wsd keygen told it) or --anchor FILE (a CA); or --anonymous, which keeps listeners out, but nobody who stands in between',
    );
  }
  const name = flags.text('name');
  const attempts = flags.integer('reconnect', 0, 1_000_000) ?? (terminal ? Number.POSITIVE_INFINITY : ATTEMPTS);
  const timeout = flags.duration('timeout');
  return {
    ...(await readCommon(flags)),
    anonymous,
    ...(name === undefined ? {} : { name }),
    ...(timeout === undefined ? {} : { handshakeTimeout: Math.max(timeout, 1) }),
    reconnect: attempts === 0 ? false : { attempts },
  };
};

const ONE_MODE = 'both ends must be of one --packet-mode';

/** What the codes of a refused session usually come from. */
const hintFor = ({ message, code }: WsdError): string | undefined => {
  if (code === 'WSD_DIAL_PROTOCOL') return 'a server of ours has packet sessions with: wsd serve --echo --packets';
  if (code !== 'WSD_DIAL_SESSION') return undefined;
  // What the other end says about a code begins with its number.
  if (message.includes('1.2 CERTIFICATE INVALID: 1.2')) {
    return 'the server wants another certificate of ours: --packet-cert and --packet-key';
  }
  if (message.includes('shows no certificate')) return 'if that is meant to be: --anonymous';
  if (message.includes('1.2 CERTIFICATE INVALID')) {
    return "compare --pin with the one of the server's certificate, or --anchor and --name";
  }
  if (/security mode|1\.0 CONNECTION: 1\.0|3\.\d /.test(message)) return ONE_MODE;
  return undefined;
};

const dialSession = (url: string, packets: ClientPacketOptions, flags: Flags, io: Io): Promise<Session | number> => {
  const opening = async (): Promise<Session> => {
    const options = await readConnectOptions(flags);
    try {
      return await dial(url, { ...options, packets, signal: io.signal });
    } catch (error) {
      // Of the files: flags were looked at before.
      if (!(error instanceof TypeError) || error.message.startsWith('connect:')) throw error;
      throw new CommandError(`the certificates are not usable: ${error.message}`, { cause: error });
    }
  };
  return attempt(opening, { url, flags, io, hint: hintFor });
};

/** Tells what happens to the session. */
const watch = (session: Session, screen: Screen, place: Place, style: Style): void => {
  session.on('open', (how) => screen.told(openedWords(session, how, place, style)));
  session.on('error', (error) => screen.say(style.red(escapeControl(error.message))));
  session.on('detached', (why) => screen.told(detachedWords(why, session.unacknowledged.messages, style)));
  session.on('retry', (retry) => screen.told(retryWords(retry)));
  session.on('undelivered', (messages: readonly UndeliveredMessage[]) =>
    screen.told(undeliveredWords(messages, style)),
  );
};

const exitOf = (outcome: SessionOutcome, asked: boolean, lost: number): number => {
  if (lost > 0) return EXIT.undelivered;
  const clean = outcome.by === 'local' ? asked : outcome.by === 'remote' && outcome.code.startsWith('2.');
  return clean ? EXIT.ok : EXIT.failure;
};

export const connectPackets = async (url: string, flags: Flags, io: Io): Promise<number> => {
  const terminal = isTerminal(flags, io);
  const packets = await readOptions(flags, terminal);
  const interval = flags.duration('ping', 's');
  let line: Interface | undefined;
  const screen = createScreen(flags, io, () => line, terminal);
  const files = await Promise.all(flags.all('file').map(readFileOrSay));
  const session = await dialSession(url, packets, flags, io);
  if (typeof session === 'number') return session;

  const over = new AbortController();
  let asked = false;
  let failure: Error | undefined;
  let interrupted: number | undefined;
  const outgoing = new Outgoing(session, flags);
  const close = (): void => {
    asked = true;
    void outgoing.leave();
  };
  const talk: Talk = { session, outgoing, screen, flags, io, close, asking: false, lastActivity: 0 };
  const background = (work: Promise<void>): void => {
    work.catch((error: unknown) => {
      if (over.signal.aborted || session.state === 'closed') return;
      failure ??= error instanceof Error ? error : new Error(String(error));
      close();
    });
  };
  const interrupt = (code: number): void => {
    interrupted ??= code;
    asked = true;
    void session.close();
  };
  const onSignal = (): void => interrupt(signalExit(io.signal));
  const closed = session.closed;
  io.signal.addEventListener('abort', onSignal, { once: true });
  if (io.signal.aborted) onSignal();

  const style = styleFor(terminal ? io.stdout : io.stderr, io.env);
  const place = { url: withoutQuery(url), terminal, vouched: /^wss:/i.test(url) && !flags.has('insecure') };
  screen.told(openedWords(session, 'first', place, style));
  watch(session, screen, place, style);
  receive(talk);
  if (interval !== undefined) background(keepAsking(talk, Math.max(interval, 10), over.signal));
  const sent = files.map((bytes) => outgoing.send(bytes));
  if (terminal) {
    line = createLine(io);
    converse(talk, line, () => interrupt(EXIT.interrupted));
  } else {
    background(
      Promise.all(sent)
        .then(() => pump(talk))
        .then(() => outgoing.settled())
        .then(() => waitForQuiet(talk, over.signal)),
    );
  }

  const outcome = await closed;
  over.abort();
  io.signal.removeEventListener('abort', onSignal);
  const last = line;
  line = undefined;
  if (last !== undefined) closeLine(last, io);
  await outgoing.settled();
  screen.told(closedWords(outcome, asked, outgoing.lost, style));
  // A session in clear opens by itself: only what the server makes of the first packet tells.
  if (packets.mode === 'none' && outcome.by === 'remote' && !outcome.code.startsWith('2.')) screen.say(ONE_MODE);
  if (failure !== undefined) throw failure;
  return interrupted ?? exitOf(outcome, asked, outgoing.lost);
};
