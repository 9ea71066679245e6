// One command at a time changes what a data directory knows of its nodes: each reads a file and writes it again, and what came in between would be
// lost. A lock file with the number of the process that holds it. Left over by one that was killed it is taken away: its process is gone, or it is
// older than anybody needs. The running daemon takes no part in this: it only reads, and files are there whole or not at all.
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { codeOf, DaemonError, reasonOf } from './daemon-error.js';
import { placeIn } from './home.js';

/** ms for which the others are waited for, and between two tries. */
const PATIENCE = 10_000;
const PAUSE = 20;
/** ms after which nobody is at work any more, whatever process has the number by now. */
const STALE = 60_000;

let last = 0;

/** Does the work while no other command changes the directory. A DaemonError says who is at it when that takes too long. */
export const locked = async <T>(directory: string, work: () => Promise<T>, patience: number = PATIENCE): Promise<T> => {
  const place = placeIn(directory, 'lock');
  const until = performance.now() + patience;
  let mine = await take(place);
  while (mine === undefined) {
    const holder = await look(place);
    if (holder !== undefined && performance.now() > until) {
      const who = Number.isNaN(holder.pid) ? '' : ` (process ${holder.pid})`;
      throw new DaemonError(`another command${who} changes ${directory}: try again; if there is none, remove ${place}`);
    }
    if (holder !== undefined) await setTimeout(PAUSE);
    mine = await take(place);
  }
  try {
    return await work();
  } finally {
    // Whoever thought that we are gone has taken ours away.
    if ((await fileAt(place)) === mine) await rm(place, { force: true });
  }
};

const take = async (place: string): Promise<bigint | undefined> => {
  try {
    const file = await open(place, 'wx', 0o600);
    try {
      await file.writeFile(`${process.pid}\n`);
      return (await file.stat({ bigint: true })).ino;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    throw new DaemonError(`cannot write ${place}: ${reasonOf(error)}`);
  }
};

const fileAt = async (place: string): Promise<bigint | undefined> =>
  stat(place, { bigint: true }).then(
    ({ ino }) => ino,
    () => undefined,
  );

/** Who holds it; undefined: nobody does any more. */
const look = async (place: string): Promise<{ readonly pid: number } | undefined> => {
  try {
    const { ino, mtimeMs } = await stat(place, { bigint: true });
    // Empty for the moment between its making and its number.
    const pid = Number.parseInt(await readFile(place, 'utf8'), 10);
    if (Date.now() - Number(mtimeMs) < STALE && (Number.isNaN(pid) || isAlive(pid))) return { pid };
    await remove(place, ino);
    return undefined;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new DaemonError(`cannot read ${place}: ${reasonOf(error)}`);
  }
};

/** The one that was looked at and no newer one: moved away first, which only one can do, and put back if it was another. */
const remove = async (place: string, ino: bigint): Promise<void> => {
  const aside = join(dirname(place), `.lock.${process.pid}.${++last}.new`);
  await rename(place, aside);
  if ((await fileAt(aside)) !== ino) await link(aside, place).catch(() => {});
  await rm(aside, { force: true });
};

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It is there, and another user's.
    return codeOf(error) === 'EPERM';
  }
};
