// Where `wsd serve` listens: flags → a place, and what went wrong there in one sentence.
import { lstat, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { platform } from 'node:process';
import type { ListenConfig } from '../daemon/index.js';
import { connect, type ListenOptions } from '../index.js';
import { CommandError, UsageError } from './command.js';
import type { Flags } from './flags.js';
import { readFileOrSay } from './read-file.js';

/** What fits into sockaddr_un, with its NUL. */
const LONGEST_PATH = platform === 'linux' ? 107 : 103;

/** Flags go before the configuration; a place that they name replaces the one there. */
export const readPlace = async (flags: Flags, listen: ListenConfig = {}): Promise<ListenOptions> => {
  if (flags.has('unix') && (flags.has('port') || flags.has('host'))) {
    throw new UsageError('--unix excludes --host and --port');
  }
  const inet = flags.has('port') || flags.has('host');
  const unix = flags.text('unix') ?? (inet ? undefined : listen.unix);
  const path = unix === undefined ? undefined : resolve(unix);
  const port = flags.integer('port', 0, 65535) ?? listen.port;
  const host = flags.text('host') ?? listen.host;
  // A longer one would be cut off in silence, and the socket would appear under another name.
  if (path !== undefined && Buffer.byteLength(path) > LONGEST_PATH) {
    throw new UsageError(
      `--unix: a path of ${Buffer.byteLength(path)} bytes is too long for a socket, ${LONGEST_PATH} fit`,
    );
  }
  if (flags.has('tls-cert') !== flags.has('tls-key')) throw new UsageError('--tls-cert and --tls-key go together');
  const certFile = flags.text('tls-cert') ?? listen.tls?.certificate;
  const keyFile = flags.text('tls-key') ?? listen.tls?.key;
  const where = path === undefined ? { host: host ?? '127.0.0.1', port: port ?? 8080 } : { path };
  if (certFile === undefined || keyFile === undefined) return where;
  const [cert, key] = await Promise.all([readFileOrSay(certFile), readFileOrSay(keyFile)]);
  return { ...where, tls: { cert, key } };
};

const PROBE_MS = 1000;

/** Only a refused connection proves that nobody is there: whoever answers, in whatever protocol, is alive. */
const isAlive = async (path: string): Promise<boolean> => {
  try {
    const url = `ws+unix:${path.split('/').map(encodeURIComponent).join('/')}`;
    const connection = await connect(url, { timeout: PROBE_MS });
    connection.terminate();
    return true;
  } catch (error) {
    return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code !== 'ECONNREFUSED';
  }
};

/** Makes room for a socket: one that nobody listens on any more is removed; anything else is left alone. */
export const clearStale = async (path: string): Promise<void> => {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) {
    // The runtime reports a missing folder as a missing permission.
    const folder = await stat(dirname(path)).catch(() => undefined);
    if (folder?.isDirectory() !== true)
      throw new CommandError(`cannot make the socket ${path}: its folder does not exist`);
    return;
  }
  if (!found.isSocket()) throw new CommandError(`${path} exists and is not a socket: it is left alone`);
  if (await isAlive(path)) throw new CommandError(`another process listens on ${path}`);
  await unlink(path);
};

/** The words of the TLS library mean nothing to most people. */
const tlsReason = (error: unknown): string | undefined => {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') return 'the key does not belong to the certificate';
  if (/PEM|NO_START_LINE|DECODER|UNSUPPORTED|CANCELLED|BAD_PASSWORD/.test(code)) {
    return 'both must be PEM files, and the key must not have a passphrase';
  }
  return code.startsWith('ERR_OSSL') ? message : undefined;
};

const place = (where: ListenOptions): string =>
  where.path === undefined ? `${where.host}:${where.port}` : `the socket ${where.path}`;

export const listenFailure = (error: unknown, where: ListenOptions): CommandError => {
  const tls = where.tls === undefined ? undefined : tlsReason(error);
  if (tls !== undefined) return new CommandError(`the certificate and key are not usable: ${tls}`, { cause: error });
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const say = (text: string): CommandError => new CommandError(text, { cause: error });
  switch (code) {
    case 'EADDRINUSE':
      return where.path === undefined
        ? say(
            `port ${where.port} of ${where.host} is in use: choose another with --port, or any free one with --port 0`,
          )
        : say(`another process listens on ${where.path}`);
    case 'EACCES':
    case 'EPERM':
      return say(
        `not allowed to listen on ${place(where)}${(where.port ?? 8080) < 1024 ? ': ports below 1024 need a privilege' : ''}`,
      );
    case 'EADDRNOTAVAIL':
      return say(`this machine has no address ${where.host}`);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return say(`the host name ${where.host} is unknown`);
    default:
      return say(`cannot listen on ${place(where)}: ${error instanceof Error ? error.message : String(error)}`);
  }
};
