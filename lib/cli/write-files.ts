// Text → files that belong together: all of them are written or none, what is there already is kept unless it is to be replaced, and a file
// has its permissions from its first moment on, so that nobody can read a key in between.
import { lstat, rename, rm, writeFile } from 'node:fs/promises';
import { pid } from 'node:process';
import { CommandError } from './command.js';
import { reasonOf } from './read-file.js';

export interface FileToWrite {
  readonly path: string;
  readonly text: string;
  /** As of chmod; the umask takes away from it. */
  readonly mode: number;
}

export const writeFiles = async (files: readonly FileToWrite[], replace: boolean): Promise<void> => {
  for (const { path } of files) await checkPlace(path, replace);
  // A replaced file is another file under the same name: the permissions and readers of the old one are not inherited.
  const places = files.map(({ path }) => (replace ? `${path}.${pid}.new` : path));
  const made: string[] = [];
  try {
    for (const [at, file] of files.entries()) await writeNew(places[at] as string, file, made);
    if (replace) for (const [at, { path }] of files.entries()) await move(places[at] as string, path);
  } catch (error) {
    // What went wrong first is what is told.
    await Promise.all(made.map((place) => rm(place, { force: true }).catch(() => {})));
    throw error;
  }
};

const checkPlace = async (path: string, replace: boolean): Promise<void> => {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!replace) throw new CommandError(`${path} exists: choose another name with --out, or replace it with --force`);
  if (found.isDirectory()) throw new CommandError(`cannot write ${path}: it is a folder`);
};

const writeNew = async (place: string, { path, text, mode }: FileToWrite, made: string[]): Promise<void> => {
  try {
    // Fails if anything is there by now, a link to elsewhere too.
    await writeFile(place, text, { flag: 'wx', mode });
    made.push(place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') made.push(place);
    throw cannotWrite(path, error);
  }
};

const move = async (from: string, path: string): Promise<void> => {
  try {
    await rename(from, path);
  } catch (error) {
    throw cannotWrite(path, error);
  }
};

const cannotWrite = (path: string, error: unknown): CommandError => {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new CommandError(`cannot write ${path}: ${missing ? 'its folder does not exist' : reasonOf(error)}`);
};
