// daemon.json of a data directory: the process that serves it, or did last, and where it was reached. Not a lock, the store has one: this says who
// holds that, and tells `wsd token` what to write into a credential: its configuration may lie anywhere.

import { placeIn } from './home.js';
import { readPrivate, writePrivate } from './private-files.js';

export interface LastRun {
  readonly pid: number;
  readonly url: string;
  /** ms; undefined: it is not known. */
  readonly lease?: number | undefined;
}

export const readLastRun = async (directory: string): Promise<LastRun | undefined> => {
  try {
    const text = await readPrivate(placeIn(directory, 'daemon'));
    const value: unknown = JSON.parse(text ?? 'null');
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, url, lease } = value as Partial<Record<keyof LastRun, unknown>>;
    if (typeof pid !== 'number' || typeof url !== 'string') return undefined;
    return { pid, url, ...(typeof lease === 'number' ? { lease } : {}) };
  } catch {
    // It only helps; nothing depends on it.
    return undefined;
  }
};

export const writeLastRun = async (directory: string, run: LastRun): Promise<void> =>
  writePrivate(placeIn(directory, 'daemon'), `${JSON.stringify(run)}\n`, 'replace');
