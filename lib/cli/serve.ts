// `wsd serve --echo`: a server in one line, for trying clients against. Prints its URL on stdout once it listens, talks on stderr.
// The first SIGINT or SIGTERM drains and exits with 0; the second, which main.ts sees to, ends at once.
import { pid } from 'node:process';
import {
  type Connection,
  createServer,
  describeOptions,
  type Listening,
  type Server,
  type ServerOptions,
  type ServerPacketOptions,
} from '../index.js';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { SERVER_PACKET_FLAGS } from './packet-flags.js';
import { clearStale, listenFailure, readPlace } from './serve-listen.js';
import { createLog, LEVELS, type Log, logClosed, logOpened, logRefused, Tally } from './serve-log.js';
import { connectWords, readServerPackets, serveSessions } from './serve-packets.js';
import { styleFor } from './style.js';
import { count } from './terminal.js';
import { version } from './version.js';

/** Options of createServer that are one number: their flag, and what the number counts. The sentences come from the options. */
const NUMBERS = {
  maxMessage: 'bytes',
  maxBuffered: 'bytes',
  maxConnections: 'integer',
  maxPerAddress: 'integer',
  handshakeTimeout: 'ms',
  messageTimeout: 'ms',
  closeTimeout: 'ms',
  pingInterval: 'ms',
  pingTimeout: 'ms',
  idleTimeout: 'ms',
} as const;
type NumberOption = keyof typeof NUMBERS;

const flagOf = (option: string): string => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const numberFlags = (): Flag[] => {
  const described = new Map(describeOptions('server').map((option) => [option.name, option]));
  return (Object.keys(NUMBERS) as NumberOption[]).map((option) => {
    const row = described.get(option);
    const kind = NUMBERS[option];
    const value = kind === 'bytes' ? 'BYTES' : kind === 'ms' ? 'MS' : 'N';
    return { name: flagOf(option), value, help: `${row?.text ?? option} (default ${showDefault(row?.default, kind)})` };
  });
};

const showDefault = (value: unknown, kind: 'bytes' | 'integer' | 'ms'): string => {
  if (typeof value !== 'number') return 'none';
  if (kind === 'bytes' && value % 1048576 === 0) return `${value / 1048576}m`;
  if (kind === 'ms' && value >= 1000 && value % 1000 === 0) return `${value / 1000}s`;
  return String(value);
};

const FLAGS: readonly Flag[] = [
  { name: 'echo', help: 'send every message back; the one thing this version serves' },
  { name: 'host', value: 'ADDRESS', help: 'listen on this address (default 127.0.0.1; 0.0.0.0 or :: for all)' },
  { name: 'port', short: 'p', value: 'N', help: 'listen on this port (default 8080); 0 takes any free one' },
  { name: 'unix', value: 'PATH', help: 'listen on a Unix socket, mode 0660, instead' },
  { name: 'tls-cert', value: 'FILE', help: 'serve wss with this certificate chain (PEM)' },
  { name: 'tls-key', value: 'FILE', help: 'and its private key (PEM)' },
  { name: 'path', value: 'PATH', many: true, help: "accept WebSockets only at this path; '/chat/*' is a prefix" },
  {
    name: 'origin',
    value: 'URL',
    many: true,
    help: "pages of this origin may connect; 'any' for all (default: only same-origin pages)",
  },
  {
    name: 'subprotocol',
    short: 's',
    value: 'NAME',
    many: true,
    help: 'a subprotocol to accept, in order of preference',
  },
  { name: 'deflate', help: 'accept permessage-deflate' },
  ...SERVER_PACKET_FLAGS,
  ...numberFlags(),
  { name: 'drain', value: 'MS', help: 'how long connections may take to close after the first signal (default 5s)' },
  { name: 'json', help: 'print {url, pid, version} instead of the URL, and log JSON lines' },
  { name: 'log-level', value: 'LEVEL', help: `${LEVELS.join(', ')} (default info)` },
  { name: 'quiet', short: 'q', help: 'no hints, and only errors in the log' },
];

const USAGE = 'wsd serve --echo [options]';

const HELP = `usage: ${USAGE}

Runs a WebSocket server that sends every message back. Prints its URL on stdout once it listens.

${writeFlags(FLAGS)}

times are in ms, or 30s, or 2m; sizes in bytes, or 64k, or 16m

examples:
  wsd serve --echo
  wsd serve --echo --port 0 --json
  wsd serve --echo --host :: --tls-cert cert.pem --tls-key key.pem
  wsd serve --echo --origin https://app.example --deflate
  wsd serve --echo --packets --packet-cert wsd-cert.pem --packet-key wsd-key.pem

exit code: 0 after SIGINT or SIGTERM (the second ends at once), 1 could not listen, 2 usage
`;

const DEFAULT_DRAIN = 5000;

const readOptions = (flags: Flags): ServerOptions => {
  const numbers: Record<string, number> = {};
  for (const option of Object.keys(NUMBERS) as NumberOption[]) {
    const name = flagOf(option);
    const kind = NUMBERS[option];
    const value =
      kind === 'bytes' ? flags.bytes(name) : kind === 'ms' ? flags.duration(name) : flags.integer(name, 1, 2 ** 31);
    if (value !== undefined) numbers[option] = value;
  }
  const paths = flags.all('path');
  const origins = flags.all('origin');
  const subprotocols = flags.all('subprotocol');
  return {
    ...numbers,
    ...(paths.length === 0 ? {} : { path: paths }),
    ...(origins.length === 0 ? {} : { origins: origins.includes('any') ? 'any' : origins }),
    ...(subprotocols.length === 0 ? {} : { subprotocols }),
    ...(flags.has('deflate') ? { deflate: true } : {}),
    // an echo has no use for strings
    text: 'bytes',
  };
};

const echo = (connection: Connection<undefined>, log: Log): void => {
  const tally = new Tally(performance.now());
  logOpened(log, connection);
  connection.on('message', (data, binary) => {
    tally.messages++;
    tally.bytes += data.length;
    const sent = connection.send(data, { binary });
    // Waiting for a slow reader stops our own reading: what a peer does not take back it cannot pile up here.
    return sent.status === 'full' ? sent : undefined;
  });
  connection.on('close', (outcome) => logClosed(log, connection.id, outcome, tally, performance.now()));
};

/** The URL to give to a client: with the path, where there is exactly one. */
const urlOf = ({ url, port }: Listening, flags: Flags): string => {
  const [path, ...more] = flags.all('path');
  if (path === undefined || more.length > 0 || path.includes('*')) return url;
  return port === undefined ? `${url}:${path}` : url + path;
};

const announce = (url: string, packets: ServerPacketOptions | undefined, flags: Flags, io: Io): void => {
  io.stdout.write(flags.has('json') ? `${JSON.stringify({ url, pid, version })}\n` : `${url}\n`);
  if (flags.has('json') || flags.has('quiet')) return;
  const style = styleFor(io.stderr, io.env);
  const insecure = flags.has('tls-cert') ? ' --insecure' : '';
  const lines = [`wsd connect ${url}${insecure}`];
  if (packets !== undefined) lines.push(`${connectWords(url, packets)}${insecure}`);
  if (/^wss?:/.test(url)) {
    lines.push(`open ${new URL(url.replace(/^ws/, 'http')).origin} and in the page's console:`);
    lines.push(
      `  ws = new WebSocket('${url}'); ws.onmessage = (e) => console.log(e.data); ws.onopen = () => ws.send('hello')`,
    );
  }
  lines.forEach((line, i) => {
    io.stderr.write(`${style.dim(`${i === 0 ? 'try:' : '    '} ${line}`)}\n`);
  });
};

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

const create = (options: ServerOptions, log: Log): Server => {
  try {
    return createServer(options, (connection) => echo(connection, log));
  } catch (error) {
    // An option that the server refuses came from a flag.
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  if (flags.positionals.length > 0)
    throw new UsageError(`what is "${flags.positionals[0]}"? wsd serve takes options only`);
  if (!flags.has('echo')) throw new UsageError('this version serves an echo only: wsd serve --echo');
  const level = flags.oneOf('log-level', LEVELS) ?? (flags.has('quiet') ? 'error' : 'info');
  const drain = flags.duration('drain') ?? DEFAULT_DRAIN;
  const where = await readPlace(flags);
  const packets = await readServerPackets(flags);
  const log = createLog(io, level, flags.has('json'), () => new Date());
  const server = create({ ...readOptions(flags), ...(packets === undefined ? {} : { packets }) }, log);
  serveSessions(server, log);
  server.on('refused', (refused) => logRefused(log, refused));
  server.on('error', (error) => log.write('error', 'error', error.message, { message: error.message }));
  let listening: Listening;
  try {
    if (where.path !== undefined) await clearStale(where.path);
    listening = await server.listen(where);
  } catch (error) {
    await server.close();
    throw error instanceof CommandError ? error : listenFailure(error, where);
  }
  announce(urlOf(listening, flags), packets, flags, io);
  await aborted(io.signal);
  const open = server.connections.size;
  const sessions = server.sessions.length;
  const what = `${count(open, 'connection')}${packets === undefined ? '' : `, ${count(sessions, 'session')}`}`;
  log.write('info', 'drain', `${String(io.signal.reason)}: closing ${what}`, {
    connections: open,
    sessions: packets === undefined ? undefined : sessions,
  });
  const { clean, cut } = await server.close({ drain });
  log.write('info', 'stop', `closed ${clean} cleanly, cut ${cut}`, { clean, cut });
  return EXIT.ok;
};

export const serve: Command = {
  name: 'serve',
  summary: 'run an echo server to try clients against',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
