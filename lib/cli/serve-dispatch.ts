// `wsd serve`: data directory, configuration and flags → a dispatch that runs until a signal. Flags go before the configuration. SIGHUP reads the
// configuration again; one that is broken is told and changes nothing, and a storm of signals costs two readings. The clock is read here.
import { pid } from 'node:process';
import {
  type Config,
  type Daemon,
  type DaemonLog,
  firstNodes,
  firstService,
  type Home,
  openHome,
  pinOf,
  startDaemon,
} from '../daemon/index.js';
import type { ListenOptions } from '../index.js';
import { EXIT, type Io } from './command.js';
import { readConfigOf, readDirectory } from './data-flags.js';
import type { Flags } from './flags.js';
import { writeHints } from './hints.js';
import { callWords, tryAgain, tryNodes } from './node-words.js';
import { DEFAULT_DRAIN } from './serve-echo.js';
import { clearStale, listenFailure, readPlace } from './serve-listen.js';
import { createLog, LEVELS, type Log, logRefused } from './serve-log.js';
import { readOptions } from './serve-options.js';
import { selfSigned } from './serve-trust.js';
import { quoted } from './shell.js';
import { aborted } from './signals.js';
import { count } from './terminal.js';
import { version } from './version.js';

interface Settings {
  readonly config: Config;
  readonly where: ListenOptions;
  readonly drain: number;
}

const readSettings = async (flags: Flags, directory: string): Promise<Settings> => {
  const written = await readConfigOf(flags, directory);
  const config = { ...written, server: { ...written.server, ...serverFlags(flags) } };
  const where = await readPlace(flags, written.listen);
  return { config, where, drain: flags.duration('drain') ?? written.drain ?? DEFAULT_DRAIN };
};

const serverFlags = (flags: Flags): NonNullable<Config['server']> =>
  readOptions(flags) as NonNullable<Config['server']>;

/** The level and the form may change while it runs. */
class ChangingLog implements Log {
  readonly #flags: Flags;
  readonly #io: Io;
  #log: Log;

  constructor(flags: Flags, io: Io) {
    this.#flags = flags;
    this.#io = io;
    this.#log = this.#make({});
  }

  change(config: Pick<Config, 'log'>): void {
    this.#log = this.#make(config);
  }

  readonly write: Log['write'] = (level, event, text, facts) => this.#log.write(level, event, text, facts);

  #make({ log = {} }: Pick<Config, 'log'>): Log {
    const { level = 'info', json = false } = log;
    const given = this.#flags.oneOf('log-level', LEVELS) ?? (this.#flags.has('quiet') ? 'error' : undefined);
    return createLog(this.#io, given ?? level, this.#flags.has('json') || json, () => new Date());
  }
}

export const serveDispatch = async (flags: Flags, io: Io): Promise<number> => {
  const log = new ChangingLog(flags, io);
  const directory = readDirectory(flags, io.env);
  let settings = await readSettings(flags, directory);
  log.change(settings.config);
  // From here on SIGHUP means this, also while it starts.
  let reload: Reload | undefined;
  const unhear = io.onHangup?.(() => reload?.ask());
  const home = await openHome(directory, { make: true, wall: Date.now() });
  const daemon = await start(home, settings, log);
  try {
    await announce(home, daemon, settings, flags, io);
    reload = new Reload(log, async () => {
      const next = await readSettings(flags, directory);
      const later = daemon.reload(next.config, next.where.tls);
      log.change(next.config);
      settings = next;
      return later;
    });
    await aborted(io.signal);
    await reload.idle;
  } finally {
    log.write('info', 'drain', `${String(io.signal.reason ?? 'an error')}: ${count(daemon.nodes, 'node')} are told`, {
      nodes: daemon.nodes,
    });
    const { clean, cut } = await daemon.close({ drain: settings.drain });
    unhear?.();
    log.write('info', 'stop', `closed ${clean} cleanly, cut ${cut}`, { clean, cut });
  }
  return EXIT.ok;
};

const start = async (home: Home, { config, where }: Settings, log: Log): Promise<Daemon> => {
  if (where.path !== undefined) await clearStale(where.path);
  return startDaemon({
    home,
    config,
    where,
    log: log as DaemonLog,
    watch: (server) => {
      server.on('refused', (refused) => logRefused(log, refused));
      server.on('error', ({ message }) => log.write('error', 'error', message, { message }));
    },
    listenFailure: (error) => listenFailure(error, where),
  });
};

/** One reading at a time, and one more for all that asked meanwhile. */
class Reload {
  readonly #log: Log;
  readonly #read: () => Promise<readonly string[]>;
  #again = false;
  #running: Promise<void> | undefined;

  constructor(log: Log, read: () => Promise<readonly string[]>) {
    this.#log = log;
    this.#read = read;
  }

  /** Settles when nothing is being read. */
  get idle(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  ask(): void {
    this.#again = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#once();
    }
    this.#running = undefined;
  }

  async #once(): Promise<void> {
    try {
      const names = await this.#read();
      const later = names.length === 0 ? '' : `; changed, but only at the next start: ${names.join(', ')}`;
      this.#log.write(names.length === 0 ? 'info' : 'warn', 'reload', `the configuration was read again${later}`, {
        later: names.length === 0 ? undefined : names.join(' '),
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#log.write('error', 'reload', `the old configuration is kept: ${message}`, { message });
    }
  }
}

const announce = async (home: Home, { url }: Daemon, { config }: Settings, flags: Flags, io: Io): Promise<void> => {
  const reached = config.url ?? url;
  const first = await firstNodes(home, { url: reached, audience: config.audience, lease: config.lease });
  const [pin, ca] = [await pinOf(home, config), await selfSigned(flags, config.listen)];
  const { directory, made } = home;
  if (flags.has('json')) {
    const files = first === undefined ? {} : { service: first.service.file, front: first.front.file };
    io.stdout.write(`${JSON.stringify({ url, pid, version, directory, pin, ...files })}\n`);
    return;
  }
  io.stdout.write(`${url}\n`);
  if (flags.has('quiet')) return;
  const say = (text: string): boolean => io.stderr.write(`${text}\n`);
  if (made) say(`made the keys of a new dispatch in ${directory} (only you can read them)`);
  const data = flags.has('data') ? ` --data ${quoted(directory)}` : '';
  const lines =
    first === undefined ? tryAgain(await firstService(home), reached, data, ca) : tryNodes(first, reached, data, ca);
  if (first !== undefined) {
    say(`  a first service: ${first.service.file}`);
    say(`  a first front:   ${first.front.file}`);
    lines.splice(1, 0, callWords(first.front, reached, ca));
    if (pin !== undefined)
      lines.push('sealed from end to end:', `  ${callWords(first.service, reached, ca)} --packets --pin ${pin}`);
  }
  writeHints(io, lines);
};
