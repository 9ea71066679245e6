// A file the user named → its bytes, or one sentence about why not: for files that are written, too.
import { readFile } from 'node:fs/promises';
import { CommandError } from './command.js';

export const readFileOrSay = async (path: string): Promise<Buffer> => {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(`cannot read ${path}: ${reasonOf(error)}`);
  }
};

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'it is there already',
  ENAMETOOLONG: 'the name is too long',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
};

export const reasonOf = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return REASONS[code] ?? (code === '' ? String(error) : code);
};
