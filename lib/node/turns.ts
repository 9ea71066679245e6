// Work that shares a way: at most so much of it at a time, first come, first served. Whoever gives up waiting never begins. Knows no packages.

interface Waiter {
  enter(): void;
  fail(reason: unknown): void;
}

export class Turns {
  readonly #most: number;
  readonly #waiting = new Set<Waiter>();
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Begins at once where there is room. Rejects with the reason of the signal when it is aborted before. */
  async run<Value>(work: () => Promise<Value>, signal?: AbortSignal): Promise<Value> {
    signal?.throwIfAborted();
    if (this.#running >= this.#most) await this.#turn(signal);
    else this.#running++;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  /** Whoever waits still waits in vain. */
  end(reason: unknown): void {
    for (const waiter of [...this.#waiting]) waiter.fail(reason);
  }

  /** Whoever goes hands its place over: nobody comes in between. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) this.#running--;
    else first.enter();
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter = {
        enter: () => {
          leave();
          resolve();
        },
        fail: (reason) => {
          leave();
          reject(reason);
        },
      };
      const abort = (): void => waiter.fail(signal?.reason);
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', abort);
    });
  }
}
