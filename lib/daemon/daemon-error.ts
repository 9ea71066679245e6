// What keeps a daemon from starting, or a command from touching its files: one sentence or a few lines for whoever runs it, without a trace and
// without a secret in it.

export class DaemonError extends Error {
  override readonly name = 'DaemonError';
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'it is there already',
  ELOOP: 'it is a symbolic link',
  ENAMETOOLONG: 'the name is too long',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
};

export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? '';

/** Why an operation on a file failed. */
export const reasonOf = (error: unknown): string => {
  const code = codeOf(error);
  return REASONS[code] ?? (code === '' ? String(error) : code);
};
