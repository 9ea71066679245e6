// Who can be measured: our server, the npm package ws, a bare socket, and every other peer that is installed. Says of each how it is
// started, and of one that is not there where it was looked for. Nothing is installed by us.
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suitsFloor, type Workload } from './workloads.js';

export interface Contestant {
  readonly name: string;
  /** As a heading. */
  readonly title: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Speaks no WebSocket: gets the same bytes and sends them back. */
  readonly raw: boolean;
  readonly suits: (workload: Workload) => boolean;
}

export interface Field {
  readonly contestants: readonly Contestant[];
  /** A sentence for each peer that is not installed. */
  readonly missing: readonly string[];
}

const METER = new URL('./meter.js', import.meta.url).href;
const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const anything = (): boolean => true;
const plain = ({ deflate }: Workload): boolean => deflate === '0';

/** A server of Node that says its address on stdout; it need not know that it is measured. */
export const nodeServer = (name: string, title: string, file: string): Contestant => ({
  name,
  title,
  command: [process.execPath, '--import', METER, file],
  env: {},
  raw: false,
  suits: anything,
});

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const moduleFile = (folder: string, name: string): string | undefined => {
  try {
    return createRequire(join(folder, 'x.js')).resolve(name);
  } catch {
    // A package that can only be imported is not found by require's rules.
    const file = join(folder, 'node_modules', name, 'dist', 'index.mjs');
    return isReadable(file) ? file : undefined;
  }
};

const isReadable = (path: string): boolean => {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
};

/** `folder`: where peers were installed with npm, outside the project; else only the path and the project itself are searched. */
export const findContestants = (folder: string | undefined): Field => {
  const homes = [...(folder === undefined ? [] : [resolve(folder)]), script('../../..')];
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((one) => one !== '');
  const executable = (name: string): string | undefined =>
    [...homes.map((home) => join(home, 'node_modules', '.bin')), ...onPath]
      .map((one) => join(one, name))
      .find((path) => isExecutable(path));
  const module = (...names: readonly string[]): string | undefined =>
    homes.flatMap((home) => names.map((name) => moduleFile(home, name))).find((path) => path !== undefined);

  const contestants: Contestant[] = [nodeServer('wsd', 'wsd', script('./server.js'))];
  const missing: string[] = [];
  const add = (found: string | undefined, name: string, title: string, make: (found: string) => Contestant): void => {
    if (found === undefined) missing.push(`${title} is not installed`);
    else contestants.push({ ...make(found), name, title });
  };

  add(module('ws'), 'ws', 'ws', () => {
    const server = nodeServer('', '', script('./peers/ws.js'));
    return { ...server, env: { WS_NO_BUFFER_UTIL: '1' } };
  });
  add(executable('deno'), 'deno', 'Deno', (deno) => ({
    ...nodeServer('', '', ''),
    command: [deno, 'run', '-A', '--quiet', script('./peers/deno.js')],
    suits: plain,
  }));
  add(executable('bun'), 'bun', 'Bun', (bun) => ({
    ...nodeServer('', '', ''),
    command: [bun, script('./peers/bun.js')],
  }));
  add(module('uWebSockets.js', 'uws-pack'), 'uws', 'uWebSockets.js', (file) => ({
    ...nodeServer('', '', script('./peers/uws.js')),
    env: { UWS: file },
  }));
  const floor = nodeServer('net', 'bare net.Socket', script('./peers/net.js'));
  return { contestants: [...contestants, { ...floor, raw: true, suits: suitsFloor }], missing };
};
