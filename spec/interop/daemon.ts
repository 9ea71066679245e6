// The real executable for specs against what others wrote: `bin/wsd serve --echo --deflate --port 0`, its URL, and its end. Not a spec.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { within } from '../hostile/stage.js';

const BIN = fileURLToPath(new URL('../../../bin/wsd', import.meta.url));

export interface Daemon {
  readonly url: string;
  readonly port: number;
  /** Drains, and tells what it wrote to stderr. */
  stop(): Promise<string>;
}

/** Ends with the test, which fails when the daemon does not end well. */
export const startDaemon = async (t: Test, ...flags: readonly string[]): Promise<Daemon> => {
  const child = spawn(process.execPath, [BIN, 'serve', '--echo', '--deflate', '--port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  const closed = once(child, 'close');
  let stopping: Promise<string> | undefined;
  const stop = (): Promise<string> => {
    stopping ??= (async () => {
      child.kill('SIGTERM');
      try {
        const [code] = await within(closed, 'the daemon ends', 10_000);
        if (code !== 0) throw new Error(`the daemon ended with ${code}: ${log}`);
      } finally {
        child.kill('SIGKILL');
      }
      return log;
    })();
    return stopping;
  };
  t.teardown(stop);
  const { value } = await within(
    createInterface({ input: child.stdout })[Symbol.asyncIterator]().next(),
    'the URL',
    10_000,
  );
  const url = String(value);
  if (!/^wss?:\/\/[^/]+:\d+(?:\/.*)?$/.test(url)) throw new Error(`the daemon said no URL: ${url}${log}`);
  return { url, port: Number(new URL(url.replace(/^ws/, 'http')).port), stop };
};

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program of somebody else to its end. */
export const runProgram = async (command: string, args: readonly string[], ms = 20_000): Promise<Ended> => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  try {
    const [code] = (await within(once(child, 'close'), command, ms)) as [number | null];
    return { code, out, err };
  } finally {
    child.kill('SIGKILL');
  }
};
