// `wsd serve --echo`: a server in one line, for trying clients against. Prints its URL on stdout once it listens, talks on stderr.
// The first SIGINT or SIGTERM drains and exits with 0; the second, which main.ts sees to, ends at once.
import { pid } from 'node:process';
import {
  type Connection,
  createServer,
  type Listening,
  type Server,
  type ServerOptions,
  type ServerPacketOptions,
} from '../index.js';
import { CommandError, EXIT, type Io, UsageError } from './command.js';
import type { Flags } from './flags.js';
import { writeHints } from './hints.js';
import { caWords } from './node-words.js';
import { clearStale, listenFailure, readPlace } from './serve-listen.js';
import { createLog, LEVELS, type Log, logClosed, logOpened, logRefused, Tally } from './serve-log.js';
import { readOptions } from './serve-options.js';
import { connectWords, readServerPackets, serveSessions } from './serve-packets.js';
import { selfSigned } from './serve-trust.js';
import { aborted } from './signals.js';
import { count } from './terminal.js';
import { version } from './version.js';

export const DEFAULT_DRAIN = 5000;

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

const announce = async (url: string, packets: ServerPacketOptions | undefined, flags: Flags, io: Io): Promise<void> => {
  const trust = caWords(await selfSigned(flags));
  io.stdout.write(flags.has('json') ? `${JSON.stringify({ url, pid, version })}\n` : `${url}\n`);
  if (flags.has('json') || flags.has('quiet')) return;
  const lines = [`wsd connect ${url}${trust}`];
  if (packets !== undefined) lines.push(`${connectWords(url, packets)}${trust}`);
  if (/^wss?:/.test(url)) {
    lines.push(`open ${new URL(url.replace(/^ws/, 'http')).origin} and in the page's console:`);
    lines.push(
      `  ws = new WebSocket('${url}'); ws.onmessage = (e) => console.log(e.data); ws.onopen = () => ws.send('hello')`,
    );
  }
  writeHints(io, lines);
};

const create = (options: ServerOptions, log: Log): Server => {
  try {
    return createServer(options, (connection) => echo(connection, log));
  } catch (error) {
    // An option that the server refuses came from a flag.
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
};

export const serveEcho = async (flags: Flags, io: Io): Promise<number> => {
  const level = flags.oneOf('log-level', LEVELS) ?? (flags.has('quiet') ? 'error' : 'info');
  const drain = flags.duration('drain') ?? DEFAULT_DRAIN;
  const where = await readPlace(flags);
  const packets = await readServerPackets(flags);
  const log = createLog(io, level, flags.has('json'), () => new Date());
  const server = create(
    {
      ...readOptions(flags),
      // an echo has no use for strings
      text: 'bytes',
      ...(packets === undefined ? {} : { packets }),
    },
    log,
  );
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
  await announce(urlOf(listening, flags), packets, flags, io);
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
