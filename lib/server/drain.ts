// The end of many connections: every peer is told, what is queued leaves, and what is left at the deadline is cut and counted.
import { writeClose } from '../frame/close.js';
import { after } from '../net/wait.js';
import { checkTime } from '../websocket/check-time.js';
import type { Outcome } from '../websocket/ending.js';

export interface CloseOptions {
  /** How long in ms the peers have to finish; default 10 s. Infinity: as long as they take, or until the signal. */
  readonly drain?: number | undefined;
  /** Cuts what is left at once when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Default 1001, going away. 1012 asks clients to come back. */
  readonly code?: number | undefined;
  readonly reason?: string | undefined;
}

export interface CloseCounts {
  /** Connections that finished the closing handshake. */
  readonly clean: number;
  /** Connections that had to be cut, or broke. */
  readonly cut: number;
}

/** What can be closed. */
export interface Closable {
  close(code: number, reason: string, within: number): Promise<Outcome>;
  terminate(): void;
}

/** Options with every default filled in. */
export interface Closing {
  readonly drain: number;
  readonly code: number;
  readonly reason: string;
  readonly signal: AbortSignal | undefined;
}

/** Throws for what cannot be done, while nothing has begun. */
export const closingOf = (options: CloseOptions): Closing => {
  const { drain = 10_000, code = 1001, reason = 'server is shutting down', signal } = options;
  writeClose(code, reason);
  checkTime('drain', drain);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal');
  return { drain, code, reason, signal };
};

export const drain = async (connections: readonly Closable[], closing: Closing): Promise<CloseCounts> => {
  const { drain: within, code, reason, signal } = closing;
  const cut = (): void => {
    for (const connection of connections) connection.terminate();
  };
  const ends = connections.map((connection) => connection.close(code, reason, within));
  const cancel = within === Infinity ? undefined : after(within, cut);
  if (signal?.aborted === true) cut();
  signal?.addEventListener('abort', cut, { once: true });
  const outcomes = await Promise.all(ends);
  cancel?.();
  signal?.removeEventListener('abort', cut);
  const clean = outcomes.filter((outcome) => outcome.clean).length;
  return { clean, cut: outcomes.length - clean };
};
