// The files of a data directory: read only if nobody else can, and written as a whole or not at all. A file is there under its name once it is
// complete on the disk, with the mode 0600 from its first moment; a crash leaves at most a leftover under another name, swept later.
import { type BigIntStats, constants } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { codeOf, DaemonError, reasonOf } from './daemon-error.js';

/** What group and others may do. Windows has no such bits. */
const FOREIGN = process.platform === 'win32' ? 0 : 0o077;
const LEFTOVER = /^\..+\.new$/;
/** Nobody writes that long. */
const LEFTOVER_AGE = 3_600_000;
/** No file of ours is longer; a pipe or a device in its place would have no end. */
const LONGEST = 16 * 1024 * 1024;

/** Makes it with mode 0700 where there is none; one that others can look into is refused. */
export const privateFolder = async (path: string): Promise<'made' | 'found'> => {
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    if (made !== undefined) return 'made';
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' || code === 'ENOTDIR') throw new DaemonError(`${path} is not a folder`);
    throw new DaemonError(`cannot make the folder ${path}: ${reasonOf(error)}`);
  }
  await checkFolder(path);
  return 'found';
};

const checkFolder = async (path: string): Promise<void> => {
  const found = await stat(path);
  if (!found.isDirectory()) throw new DaemonError(`${path} is not a folder`);
  if ((found.mode & FOREIGN) === 0) return;
  const mode = (found.mode & 0o777).toString(8);
  throw new DaemonError(
    `${path} is open to others (mode ${mode}), and keys lie in it: chmod 700 it, or choose a folder inside it`,
  );
};

/** undefined: there is none. One that others can read holds no secret any more. */
export const readPrivate = async (path: string): Promise<string | undefined> => {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new DaemonError(`cannot read ${path}: ${reasonOf(error)}`);
  }
  try {
    checkPrivate(path, await file.stat({ bigint: true }));
    return await file.readFile('utf8');
  } catch (error) {
    throw error instanceof DaemonError ? error : new DaemonError(`cannot read ${path}: ${reasonOf(error)}`);
  } finally {
    await file.close();
  }
};

/** Throws unless it is a file of ours alone. */
export const checkPrivate = (path: string, found: BigIntStats): void => {
  if (!found.isFile()) throw new DaemonError(`${path} is not a file`);
  if (found.size > LONGEST) throw new DaemonError(`${path} is too long to be a file of a data directory`);
  const mode = Number(found.mode);
  if ((mode & FOREIGN) !== 0) {
    const bits = (mode & 0o777).toString(8);
    throw new DaemonError(
      `${path} is open to others (mode ${bits}): chmod 600 it, and if they may have read it, renew it`,
    );
  }
  const us = process.geteuid?.();
  if (us !== undefined && us !== 0 && Number(found.uid) !== us) {
    throw new DaemonError(`${path} belongs to another user`);
  }
};

let last = 0;

/** `keep`: fails if the name is taken. Durable when it resolves. */
export const writePrivate = async (path: string, text: string, how: 'keep' | 'replace'): Promise<void> => {
  const folder = dirname(path);
  const place = join(folder, `.${basename(path)}.${process.pid}.${++last}.new`);
  try {
    await writeDurably(place, text);
    // A link fails where the name is taken; a rename replaces.
    if (how === 'replace') await rename(place, path);
    else await link(place, path);
    await syncFolder(folder);
  } catch (error) {
    if (how === 'keep' && codeOf(error) === 'EEXIST') throw new DaemonError(`${path} exists already`);
    const missing = codeOf(error) === 'ENOENT';
    throw new DaemonError(`cannot write ${path}: ${missing ? 'its folder does not exist' : reasonOf(error)}`);
  } finally {
    await rm(place, { force: true }).catch(() => {});
  }
};

const writeDurably = async (place: string, text: string): Promise<void> => {
  await rm(place, { force: true });
  const file = await open(place, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
};

/** A name is durable when its folder is. Not every system lets a folder be opened. */
const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r').catch(() => undefined);
  try {
    await folder?.sync();
  } catch (error) {
    if (!['EINVAL', 'EPERM', 'ENOTSUP', 'EISDIR'].includes(codeOf(error))) throw error;
  } finally {
    await folder?.close();
  }
};

/** Removes what writers that were killed have left. `wall`: ms since 1970. */
export const sweepFolder = async (path: string, wall: number): Promise<void> => {
  for (const name of await readdir(path).catch(() => [])) {
    if (!LEFTOVER.test(name)) continue;
    const place = join(path, name);
    const found = await stat(place).catch(() => undefined);
    if (found !== undefined && wall - found.mtimeMs > LEFTOVER_AGE) await rm(place, { force: true }).catch(() => {});
  }
};
