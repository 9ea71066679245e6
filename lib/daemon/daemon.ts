// The dispatch as a process: data directory and configuration → a server that nodes connect to, until it is told to stop. Opens in this order, and
// whatever fails undoes what came before: the store, which is also the lock of the directory; the keys of the nodes; the dispatch; the listener.
// Tells what happens in lines of a log that is handed in, and nothing of a key in them. PROTOCOL.md sections 8 and 9.
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import type { SecureContextOptions } from 'node:tls';
import type { Store } from '../dispatch/ports.js';
import {
  createDispatch,
  createServer,
  type Dispatch,
  type Listening,
  type ListenOptions,
  type Server,
} from '../index.js';
import { keyEndOf } from '../package/key-change.js';
import { LEASE } from '../package/limits.js';
import { openLevelStore } from '../store/level.js';
import { StoreError } from '../store/text.js';
import type { Config } from './config-types.js';
import { DaemonError } from './daemon-error.js';
import { type Home, placeIn } from './home.js';
import { readLastRun, writeLastRun } from './last-run.js';
import { type Changes, NodeKeySource } from './node-keys.js';
import { privateFolder } from './private-files.js';
import { Rejections, tellRejections } from './rejections.js';
import { refusePlainSessions, serverOptions } from './server-options.js';
import { type DaemonLog, tellDispatch } from './telling.js';

export interface DaemonSettings {
  readonly home: Home;
  readonly config: Config;
  /** With the certificate of wss read, if there is one. */
  readonly where: ListenOptions;
  readonly log: DaemonLog;
  /** Is told of the server before it listens to anybody. */
  readonly watch?: (server: Server) => void;
  /** Why a place cannot be listened to → words. */
  readonly listenFailure?: (error: unknown) => Error;
}

export interface Daemon {
  readonly url: string;
  /** Nodes that are connected. */
  readonly nodes: number;
  /** Takes over what can change while it runs: nodes, scopes, the certificate of wss. Names what a new start is needed for. */
  reload(config: Config, tls: SecureContextOptions | undefined): readonly string[];
  close(options: { readonly drain: number }): Promise<{ readonly clean: number; readonly cut: number }>;
}

/** Nothing for group and others. */
const PRIVATE = 0o077;
/** ms between looks for nodes that were let in or shut out. */
const LOOK = 1000;
const wall = (): number => Date.now();
const now = (): number => performance.now();

/** What was opened, to be closed in the other order. */
type Undo = (() => unknown)[];

export const startDaemon = async (settings: DaemonSettings): Promise<Daemon> => {
  const { home, config, log } = settings;
  const options = await serverOptions(home, config);
  const undo: Undo = [];
  try {
    // What others write for us, the store's files above all, is as private as what we write.
    const umask = process.umask(PRIVATE);
    undo.push(() => process.umask(umask));
    const store = await openStore(home.directory);
    undo.push(() => store.close());
    if (!home.made) await nextSecond();
    let shutOut = (_node: string): void => {};
    const keys = openKeys(home, log, (node) => shutOut(node));
    const { audience, limit, lease, revokeDeadline, undeclared, scopes } = config;
    const dispatch = createDispatch({
      store,
      key: home.signer,
      keys,
      scopes,
      ...(undeclared === undefined ? {} : { undeclared }),
      ...(audience === undefined ? {} : { audience }),
      ...(limit === undefined ? {} : { limit }),
      ...(lease === undefined ? {} : { lease }),
      ...(revokeDeadline === undefined ? {} : { revokeDeadline }),
    });
    undo.push(() => dispatch.close());
    tellDispatch(dispatch, log);
    // Who connected by a key that is gone, or with rights that are, goes with them, and does not wait for its next package (HOSTILE 80).
    shutOut = (node) => {
      const { peer } = dispatch.node(node) ?? {};
      const end = peer?.record === undefined ? undefined : keyEndOf(peer.record, keys.find(peer.record.kid));
      if (end !== undefined) peer?.end(end.code, end.reason);
    };
    const server = createServer({ ...options, packages: tellRejections(dispatch, new Rejections(log, now)) });
    undo.push(() => server.close());
    refusePlainSessions(server, log);
    settings.watch?.(server);
    const listening = await server.listen(settings.where).catch((error: unknown) => {
      throw settings.listenFailure?.(error) ?? error;
    });
    await warnOfLease(home, lease, log);
    await writeLastRun(home.directory, { pid: process.pid, url: config.url ?? listening.url, lease: lease ?? LEASE });
    const timer = setInterval(() => keys.look(), LOOK);
    undo.push(() => clearInterval(timer));
    return daemonOf({ config, store, keys, dispatch, server, listening, timer, umask });
  } catch (error) {
    for (const close of undo.reverse()) await close();
    throw error;
  }
};

/**
 * What was signed before we began is refused, and tokens say that in whole seconds: of the second in which a daemon before us may have ended,
 * those that it has heard could not be told from new ones.
 */
const nextSecond = async (): Promise<void> => {
  const second = Math.floor(wall() / 1000);
  while (Math.floor(wall() / 1000) === second) await setTimeout(1000 - (wall() % 1000));
};

/** Credentials say the lease that there was when they were made. */
const warnOfLease = async ({ directory }: Home, lease = LEASE, log: DaemonLog): Promise<void> => {
  const before = (await readLastRun(directory))?.lease;
  if (before === undefined || lease >= before) return;
  const risk = 'nodes whose credentials are older count the longer one, and two may own a document for a while';
  const text = `the lease is ${lease} ms and was ${before}: ${risk}; wsd token --rotate renews a credential`;
  log.write('warn', 'lease', text, { lease, before });
};

const openStore = async (directory: string): Promise<Store> => {
  await privateFolder(placeIn(directory, 'store'));
  try {
    return await openLevelStore(placeIn(directory, 'store'));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code !== 'locked') throw new DaemonError(error.message);
    const run = await readLastRun(directory);
    const who = run === undefined ? '' : ` (process ${run.pid}, ${run.url})`;
    throw new DaemonError(
      `another wsd serves the data directory ${directory}${who}: stop it, or choose another with --data`,
    );
  }
};

const openKeys = ({ directory }: Home, log: DaemonLog, shutOut: (node: string) => void): NodeKeySource => {
  const tell = (nodes: readonly string[], event: string, what: string): void => {
    for (const node of nodes) log.write('info', event, `${node} ${what}`, { node });
  };
  const changed = ({ added, changed, removed }: Changes): void => {
    tell(added, 'node-add', 'is let in');
    tell(changed, 'node-change', 'has other keys or rights');
    tell(removed, 'node-remove', 'is shut out');
    for (const node of [...changed, ...removed]) shutOut(node);
  };
  const failed = ({ message }: Error): void =>
    log.write('error', 'nodes', `${message}: what was known of it is kept`, { message });
  return new NodeKeySource({ folder: placeIn(directory, 'nodes'), wall, now, changed, failed });
};

interface Parts {
  config: Config;
  readonly store: Store;
  readonly keys: NodeKeySource;
  readonly dispatch: Dispatch;
  readonly server: Server;
  readonly listening: Listening;
  readonly timer: NodeJS.Timeout;
  readonly umask: number;
}

/** Taken over while it runs, or not by the daemon: the rest is what it was started with. */
const LIVE: readonly string[] = ['scopes', 'url', 'drain', 'log'];

const daemonOf = (parts: Parts): Daemon => {
  const { store, keys, dispatch, server, listening, timer, umask } = parts;
  let closing: ReturnType<Daemon['close']> | undefined;
  const close: Daemon['close'] = async ({ drain }) => {
    clearInterval(timer);
    // Nodes go first, and what they write while they go is kept.
    const counts = await server.close({ drain });
    dispatch.close();
    await store.close();
    process.umask(umask);
    return counts;
  };
  return {
    url: listening.url,
    get nodes() {
      return dispatch.nodes.length;
    },
    reload: (next, tls) => {
      // First what can fail: then nothing has changed.
      if (tls !== undefined && listening.secure) listening.renew(tls);
      dispatch.router.redeclare(next.scopes);
      keys.look(true);
      const before = parts.config;
      parts.config = next;
      const names = new Set([...Object.keys(before), ...Object.keys(next)]) as Set<keyof Config>;
      return [...names].filter(
        (name) => !LIVE.includes(name) && JSON.stringify(before[name]) !== JSON.stringify(next[name]),
      );
    },
    close: (options) => (closing ??= close(options)),
  };
};
