// A failure of the embedder's own code that nobody listens to → a warning of the process, with its stack, so that a bug is not silent. Each text
// once, and a bounded number of them: a peer may be able to provoke it again and again.
import { emitWarning } from 'node:process';

const MOST = 100;
const told: Set<string> = new Set();

export const warn = (error: Error): void => {
  const { message, name } = error;
  const text = `${name}: ${message}`;
  if (told.size >= MOST || told.has(text)) return;
  told.add(text);
  const warning = new Error(`${text} (nobody listens to 'error'; told once)`, { cause: error });
  warning.name = 'WsdWarning';
  if (error.stack !== undefined)
    warning.stack = `${warning.name}: nobody listens to 'error'; told once: ${error.stack}`;
  emitWarning(warning);
};
