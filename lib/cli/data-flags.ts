// Where the data directory and the configuration of a daemon are: the same flags for every command that has to do with it.

import { access } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type Config, NO_CONFIG, placeIn, readConfig, readLastRun } from '../daemon/index.js';
import { type Io, UsageError } from './command.js';
import type { Flag, Flags } from './flags.js';

export const DATA_FLAG: Flag = {
  name: 'data',
  value: 'DIR',
  help: 'the data directory: keys, nodes, documents (default $XDG_STATE_HOME/wsd, or ~/.local/state/wsd)',
};

export const CONFIG_FLAG: Flag = {
  name: 'config',
  value: 'FILE',
  help: 'the configuration, JSON (default config.json in the data directory, if it is there)',
};

export const readDirectory = (flags: Flags, env: Io['env']): string => {
  const given = flags.text('data');
  if (given !== undefined) return given;
  const own = homeOf(env);
  if (own === undefined) {
    throw new UsageError('there is no home directory: say with --data where the data directory is');
  }
  return own;
};

const homeOf = (env: Io['env']): string | undefined => {
  // XDG Base Directory Specification: one that is not absolute is ignored.
  const state = env['XDG_STATE_HOME'];
  if (state !== undefined && isAbsolute(state)) return join(state, 'wsd');
  const home = env['HOME'] ?? env['USERPROFILE'];
  return home !== undefined && isAbsolute(home) ? join(home, '.local', 'state', 'wsd') : undefined;
};

export const readConfigOf = async (flags: Flags, directory: string): Promise<Config> => {
  const given = flags.text('config');
  if (given !== undefined) return readConfig(given);
  if (directory === '') return NO_CONFIG;
  const own = placeIn(directory, 'config');
  const there = await access(own).then(
    () => true,
    () => false,
  );
  return there ? readConfig(own) : NO_CONFIG;
};

/** For what needs no data directory: without a home the protocol has its scopes all the same. */
export const readConfigIfAny = (flags: Flags, env: Io['env']): Promise<Config> =>
  readConfigOf(
    flags,
    flags.has('config') || (!flags.has('data') && homeOf(env) === undefined) ? '' : readDirectory(flags, env),
  );

/** The lease that the dispatch has and will have, the shorter one: a node must not count a longer one. Undefined: the usual one. */
export const leaseFor = async ({ lease }: Config, directory: string): Promise<number | undefined> => {
  const last = (await readLastRun(directory))?.lease;
  return lease === undefined || last === undefined ? (lease ?? last) : Math.min(lease, last);
};

const DEFAULT_URL = 'ws://127.0.0.1:8080';

/** Where nodes find the daemon: as the configuration says, or where it ran last, or where it will. */
export const urlFor = async (config: Config, directory: string): Promise<string> => {
  if (config.url !== undefined) return config.url;
  const last = await readLastRun(directory);
  if (last !== undefined) return last.url;
  const { host, port, unix, tls } = config.listen ?? {};
  const scheme = tls === undefined ? 'ws' : 'wss';
  if (unix !== undefined) return `${scheme}+unix:${unix.split('/').map(encodeURIComponent).join('/')}`;
  if (host === undefined && port === undefined && tls === undefined) return DEFAULT_URL;
  const name = host === undefined ? '127.0.0.1' : ['::', '0.0.0.0'].includes(host) ? 'localhost' : host;
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port ?? 8080}`;
};
