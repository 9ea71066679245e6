// The configuration file of a daemon: JSON, every member optional, checked before anything is begun with it. What is wrong is told with file, line and
// column. Files that it names are looked for beside it. It holds no secrets: those lie in files of their own, which it names.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { type AnyScope, createServer, ScopeTable, scopesFromDeclarations } from '../index.js';
import { type Config, type ListenConfig, LOG_LEVELS, type ServerConfig, type SessionsConfig } from './config-types.js';
import { DaemonError, reasonOf } from './daemon-error.js';
import { checkDocument, mistakesIn, parseDocument, placeOfText } from './document.js';
import type { JsonText } from './json-text.js';

const MAX_MS = 2 ** 31 - 1;
const ms = z.int().min(1).max(MAX_MS);
const msOrNever = z.int().min(0).max(MAX_MS);
const count = z.int().min(1).max(MAX_MS);
const text = z.string().min(1);
const rate = z.strictObject({ perSecond: z.number().positive(), burst: z.number().min(1) });
const texts = z.array(text);

const isPin = (value: string): boolean => /^[0-9a-f]{64}$/i.test(value.replaceAll(':', ''));
const isUrl = (value: string): boolean => /^wss?:\/\/[^/\s]|^ws\+unix:\S/.test(value);

const listen = z
  .strictObject({
    host: text.optional(),
    port: z.int().min(0).max(65535).optional(),
    unix: text.optional(),
    tls: z.strictObject({ certificate: text, key: text }).optional(),
  })
  .refine(({ host, port, unix }) => unix === undefined || (host === undefined && port === undefined), {
    error: 'has unix, which excludes host and port',
    path: ['unix'],
  });

/** Named as the options of createServer, whose words explain them. */
const server = z.strictObject({
  path: z.union([text, texts], 'must be a path or a list of paths').optional(),
  origins: z.union([z.enum(['same', 'any']), texts], 'must be "same", "any" or a list of origins').optional(),
  hosts: z.union([z.enum(['any', 'loopback']), texts], 'must be "any", "loopback" or a list of names').optional(),
  deflate: z.boolean().optional(),
  maxConnections: count.optional(),
  maxPerAddress: count.optional(),
  maxHalfOpen: count.optional(),
  handshakeTimeout: ms.optional(),
  messageTimeout: ms.optional(),
  closeTimeout: ms.optional(),
  pingInterval: msOrNever.optional(),
  pingTimeout: ms.optional(),
  idleTimeout: msOrNever.optional(),
  acceptRate: rate.optional(),
  acceptRatePerAddress: rate.optional(),
  trustedProxies: texts.optional(),
  forwardingHeader: z.enum(['x-forwarded-for', 'forwarded']).optional(),
  proxyProtocol: z.boolean().optional(),
});

const sessions = z
  .strictObject({
    certificate: text.optional(),
    key: text.optional(),
    clientCertificate: z.enum(['none', 'optional', 'required']).optional(),
    pins: z.array(z.string().refine(isPin, 'must be a SHA-256: 64 hexadecimal digits')).optional(),
    anchors: texts.optional(),
    maxSessions: count.optional(),
    resumeTtl: ms.optional(),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    error: 'go together: certificate and key',
  });

const schema = z.strictObject({
  $schema: z.string().optional(),
  listen: listen.optional(),
  url: z.string().refine(isUrl, 'must begin with ws://, wss:// or ws+unix:').optional(),
  audience: z.string().min(1).max(256).optional(),
  server: server.optional(),
  sessions: z.union([z.literal(false), sessions], 'must be false or an object').optional(),
  scopes: z.array(z.unknown()).optional(),
  undeclared: z.enum(['forward', 'refuse']).optional(),
  limit: rate.optional(),
  lease: z.int().min(1000).max(3_600_000).optional(),
  revokeDeadline: z.int().min(100).max(600_000).optional(),
  drain: msOrNever.optional(),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).optional(),
      json: z.boolean().optional(),
    })
    .optional(),
});

export const NO_CONFIG: Config = { scopes: [] };

export const readConfig = async (path: string): Promise<Config> => {
  const file = resolve(path);
  let written: string;
  try {
    written = await readFile(file, 'utf8');
  } catch (error) {
    throw new DaemonError(`cannot read ${path}: ${reasonOf(error)}`);
  }
  return parseConfig(written, path, dirname(file));
};

/** `path` is for error texts, `folder` is where relative paths begin. */
export const parseConfig = (written: string, path: string, folder: string): Config => {
  const json = parseDocument(path, written);
  const { $schema: _, scopes, ...rest } = checkDocument(path, json, schema);
  checkServer(rest.server ?? {}, path, json);
  const made = scopesOf(scopes ?? [], path, json);
  const from = (name: string): string => resolve(folder, name);
  const { listen, sessions } = rest;
  return {
    ...rest,
    ...(listen === undefined ? {} : { listen: absoluteListen(listen, from) }),
    ...(sessions === undefined || sessions === false ? {} : { sessions: absoluteSessions(sessions, from) }),
    scopes: made,
  };
};

type From = (name: string) => string;

const absoluteListen = (listen: ListenConfig, from: From): ListenConfig => ({
  ...listen,
  ...(listen.unix === undefined ? {} : { unix: from(listen.unix) }),
  ...(listen.tls === undefined
    ? {}
    : { tls: { certificate: from(listen.tls.certificate), key: from(listen.tls.key) } }),
});

const absoluteSessions = (sessions: SessionsConfig, from: From): SessionsConfig => ({
  ...sessions,
  ...(sessions.certificate === undefined ? {} : { certificate: from(sessions.certificate) }),
  ...(sessions.key === undefined ? {} : { key: from(sessions.key) }),
  ...(sessions.anchors === undefined ? {} : { anchors: sessions.anchors.map(from) }),
});

/** What only the server itself can say of its options: it looks at them and listens to nothing. */
const checkServer = (server: ServerConfig, path: string, json: JsonText): void => {
  const complaint = (options: ServerConfig): string | undefined => {
    try {
      createServer(options);
      return undefined;
    } catch (error) {
      return (error as Error).message.replace(/^createServer: /, '');
    }
  };
  const all = complaint(server);
  if (all === undefined) return;
  for (const name of Object.keys(server) as (keyof ServerConfig)[]) {
    const alone = complaint({ [name]: server[name] });
    if (alone === undefined) continue;
    throw mistakesIn(path, [{ place: json.placeOf(['server', name]), text: `server.${name}: ${alone}` }]);
  }
  throw mistakesIn(path, [{ place: json.placeOf(['server']), text: `server: ${all}` }]);
};

const scopesOf = (declared: readonly unknown[], path: string, json: JsonText): readonly AnyScope[] => {
  const table = new ScopeTable();
  return declared.map((_, i) => {
    // One at a time, so that each error has its place; the others are looked at only for their number.
    try {
      const [scope] = scopesFromDeclarations(declared.slice(i, i + 1));
      table.add(scope as AnyScope);
      return scope as AnyScope;
    } catch (error) {
      const message = (error as Error).message.replace(/^scopes\[0\]/, `scopes[${i}]`);
      const told = message.startsWith('scopes[') ? message : `scopes[${i}]: ${message}`;
      throw mistakesIn(path, [{ place: placeOfText(json, told), text: told }]);
    }
  });
};
