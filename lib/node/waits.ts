// Waiting as promises: for a time, or for something that others settle, and no longer than a signal or a time allows. Whatever ends a wait lets go
// of all it listened to. Knows no clock: timers are the road's.
import type { NodeRoad } from './road.js';

type After = NodeRoad['after'];

export interface Patience {
  readonly signal?: AbortSignal | undefined;
  /** ms; undefined: as long as it takes. */
  readonly timeout?: number | undefined;
  /** What it rejects with. */
  readonly late: () => Error;
  readonly aborted: (reason: unknown) => Error;
}

/** `enter` is given how to end the wait, and returns how to leave it. */
export const waitFor = <Value>(
  after: After,
  { signal, timeout, late, aborted }: Patience,
  enter: (done: (value: Value) => void, failed: (error: Error) => void) => () => void,
): Promise<Value> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(aborted(signal.reason));
    let leave: (() => void) | undefined;
    let over = false;
    const end = (): boolean => {
      if (over) return false;
      over = true;
      cancel?.();
      signal?.removeEventListener('abort', abort);
      leave?.();
      return true;
    };
    const fail = (error: Error): void => {
      if (end()) reject(error);
    };
    const abort = (): void => fail(aborted(signal?.reason));
    const cancel = timeout === undefined ? undefined : after(timeout, () => fail(late()));
    signal?.addEventListener('abort', abort);
    leave = enter((value) => {
      if (end()) resolve(value);
    }, fail);
    if (over) leave();
  });

/** Resolves after so many ms, or as soon as the signal is aborted. */
export const pause = (after: After, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = after(ms, end);
    signal.addEventListener('abort', end);
  });
