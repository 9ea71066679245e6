// Where `wsd serve` listens: flags → a place, and what went wrong there in one sentence. Certificates are tried before the port is
// opened, so that a bad one is told at once and not by every client.
import { createSecureContext } from 'node:tls';
import type { ListenOptions } from '../index.js';
import { CommandError, UsageError } from './command.js';
import type { Flags } from './flags.js';
import { readFileOrSay } from './read-file.js';

export const readPlace = async (flags: Flags): Promise<ListenOptions> => {
  const path = flags.text('unix');
  const port = flags.integer('port', 0, 65535);
  const host = flags.text('host');
  if (path !== undefined && (port !== undefined || host !== undefined)) {
    throw new UsageError('--unix excludes --host and --port');
  }
  const certFile = flags.text('tls-cert');
  const keyFile = flags.text('tls-key');
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new UsageError('--tls-cert and --tls-key go together');
  const where = path === undefined ? { host: host ?? '127.0.0.1', port: port ?? 8080 } : { path };
  if (certFile === undefined || keyFile === undefined) return where;
  const [cert, key] = await Promise.all([readFileOrSay(certFile), readFileOrSay(keyFile)]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new CommandError(`${certFile} and ${keyFile} are not usable for TLS: ${tlsReason(error)}`);
  }
  return { ...where, tls: { cert, key } };
};

/** The words of the TLS library mean nothing to most people. */
const tlsReason = (error: unknown): string => {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') return 'the key does not belong to the certificate';
  if (code.includes('NO_START_LINE') || code.includes('UNSUPPORTED') || message.includes('DECODER')) {
    return 'both must be PEM files, and the key must not have a passphrase';
  }
  return message;
};

const place = (where: ListenOptions): string =>
  where.path === undefined ? `${where.host}:${where.port}` : `the socket ${where.path}`;

export const listenFailure = (error: unknown, where: ListenOptions): CommandError => {
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
    case 'ENOENT':
      return say(`cannot make the socket ${where.path}: its folder does not exist`);
    case 'ENOTSOCK':
    case 'EEXIST':
      return say(`${where.path} exists and is not a socket: it is left alone`);
    default:
      return say(`cannot listen on ${place(where)}: ${error instanceof Error ? error.message : String(error)}`);
  }
};
