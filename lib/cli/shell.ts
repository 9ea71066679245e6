// A word as a shell reads it back: for commands that are printed to be typed.

export const quoted = (path: string): string => {
  const text = path.startsWith('-') ? `./${path}` : path;
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
};
