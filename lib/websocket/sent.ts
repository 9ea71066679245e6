// What `send` says: a status at once, and something to await. Nothing is allocated unless there is something to wait for.

/**
 * ok: taken. full: taken, but the queue is above the high-water mark: wait before sending more. dropped: not taken, the policy dropped
 * it. closed: not taken, the connection is no longer open.
 */
export type SendStatus = 'ok' | 'full' | 'dropped' | 'closed';

/** `sent.status` tells at once; `await sent` waits until the queue is below the mark again, and tells `closed` if it never will be. */
export interface Sent extends PromiseLike<SendStatus> {
  readonly status: SendStatus;
}

const settled = (status: SendStatus): Sent => {
  const promise = Promise.resolve(status);
  // A thenable on purpose: `await connection.send(data)` is the back-pressure.
  // biome-ignore lint/suspicious/noThenProperty: awaiting a send is the point of it
  return Object.freeze({ status, then: promise.then.bind(promise) as PromiseLike<SendStatus>['then'] });
};

export const OK: Sent = settled('ok');
export const DROPPED: Sent = settled('dropped');
export const CLOSED: Sent = settled('closed');

/** Taken, and waiting is advised; the promise is made only if somebody waits. */
export class Full implements Sent {
  readonly status = 'full';
  readonly #wait: () => Promise<SendStatus>;

  constructor(wait: () => Promise<SendStatus>) {
    this.#wait = wait;
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a send is the point of it
  then<A = SendStatus, B = never>(
    done?: ((status: SendStatus) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    return this.#wait().then(done, failed);
  }
}
