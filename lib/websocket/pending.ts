// What a listener returned → is it still at work, and what comes of it. Listeners may return anything that can be awaited, not only promises
// of the engine: it may call back at once, twice or never, and its `then` may throw.
import { CLOSED, DROPPED, OK } from './sent.js';

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** A `Sent` that is settled is no reason to wait: a listener may return what `send` returned, and is awaited only when the queue is full. */
export const isPending = (value: unknown): value is PromiseLike<unknown> =>
  isThenable(value) && value !== OK && value !== DROPPED && value !== CLOSED;

/** Calls one of the two, once and never from inside this call. A promise of the engine is asked itself, without another one around it. */
export const whenSettled = (
  pending: PromiseLike<unknown>,
  done: (() => void) | undefined,
  failed: (reason: unknown) => void,
): void => void Promise.resolve(pending).then(done, failed);
