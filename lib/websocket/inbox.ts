// Messages in the order of their arrival to one consumer: listeners or an async iterator. A message waits until there is a consumer
// (the first one is never lost), until the consumer is not paused, and until fewer than `concurrency` handlers are at work. When
// much waits, the machine is held, so what waits is bounded. Knows no frames and owns no clock.
import { KIND, type Kind } from './machine.js';
import { whenSettled } from './pending.js';
import type { ConnectionSettings } from './settings.js';

export type Message = string | Uint8Array;

interface Waiting {
  readonly data: Message;
  readonly binary: boolean;
}

/** What the inbox asks of its connection. */
export interface InboxPort {
  /** Calls the listeners; returns what an asynchronous one returned, or undefined when all are done. */
  deliver(data: Message, binary: boolean): PromiseLike<unknown> | undefined;
  hasListener(): boolean;
  hold(): void;
  release(): void;
  /** An asynchronous handler rejected. */
  failed(reason: unknown): void;
}

/** Above either of these the machine is held, below a quarter of both it is released. */
const MOST_WAITING = 128;
const MOST_SIZE = 256 * 1024;

type Result = IteratorResult<Message, undefined>;

/** An iterator, as far as the inbox knows it. */
interface Reader {
  stopped: boolean;
}

/** Somebody waits for one message. */
interface Pull {
  readonly reader: Reader;
  readonly settle: (result: Result) => void;
}

const done = (): Result => ({ value: undefined, done: true });

export type InboxSettings = Pick<ConnectionSettings, 'concurrency' | 'text' | 'lend'>;

/** What the consumer gets: a string, or bytes that are its own unless `lent`. */
export const messageOf = (
  bytes: Buffer,
  start: number,
  end: number,
  kind: Kind,
  lent: boolean,
  settings: InboxSettings,
): Message =>
  kind === KIND.binary || settings.text === 'bytes'
    ? copyOf(bytes, start, end, lent)
    : bytes.toString(kind === KIND.ascii ? 'latin1' : 'utf8', start, end);

export class Inbox {
  readonly #port: InboxPort;
  readonly #settings: InboxSettings;
  #queue: (Waiting | undefined)[] | undefined;
  #head = 0;
  #size = 0; // string and byte lengths in the queue
  #pulls: Pull[] | undefined;
  #iterators = 0;
  #paused = false;
  #held = false;
  #running = 0;
  #whenEmpty: (() => void) | undefined;
  #ended = false;
  /** How many messages were handed out: whether a consumer still makes progress. */
  delivered = 0;
  #closing = false;
  #delivering = false; // a listener is running

  constructor(port: InboxPort, settings: InboxSettings) {
    this.#port = port;
    this.#settings = settings;
  }

  get paused(): boolean {
    return this.#paused;
  }

  accept(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): void {
    const binary = kind === KIND.binary;
    const direct = this.#queue === undefined && this.#mayDeliver();
    const lent = owned || (direct && this.#settings.lend);
    const data = messageOf(bytes, start, end, kind, lent, this.#settings);
    if (direct) {
      this.#deliver(data, binary);
      if (this.#queue !== undefined) this.pump();
      return;
    }
    const full = this.#waiting >= MOST_WAITING || this.#size >= MOST_SIZE;
    if (full && this.#closing) return; // we said our last word, and reading goes on only to find theirs
    this.#queue ??= [];
    this.#queue.push({ data, binary });
    this.#size += data.length;
    this.pump();
    if (!this.#held && (this.#waiting >= MOST_WAITING || this.#size >= MOST_SIZE)) {
      this.#held = true;
      this.#port.hold();
    }
  }

  pause(): void {
    this.#paused = true;
  }

  /** Never delivers by itself: the call may come from inside a listener. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#held = false;
    this.#port.release();
  }

  /** We are closing: what is too much to keep is dropped from now on, so that reading can go on. */
  close(): void {
    this.#closing = true;
  }

  /** Delivers what may be delivered now. */
  pump(): void {
    if (this.#delivering) return;
    while (this.#queue !== undefined && !this.#paused) {
      const pull = this.#pulls?.shift();
      if (pull === undefined && !this.#mayDeliver()) break;
      const next = this.#shift();
      if (pull !== undefined) pull.settle({ value: next.data, done: false });
      else this.#deliver(next.data, next.binary);
    }
    if (this.#held && !this.#paused && this.#waiting <= MOST_WAITING / 4 && this.#size <= MOST_SIZE / 4) {
      this.#held = false;
      this.#port.release();
    }
    if (this.#queue === undefined && this.#ended) this.#empty();
  }

  /** No more messages will come; `then` runs when the last one is delivered. */
  end(then: () => void): void {
    this.#ended = true;
    this.#whenEmpty = then;
    this.#paused = false;
    // We have closed, and nobody is there who could take what waits.
    if (this.#closing && !this.isTaken) return this.discard();
    this.pump();
  }

  /** Gives up on a consumer that does not come back: what waits is lost. */
  discard(): void {
    this.#queue = undefined;
    this.#head = 0;
    this.#size = 0;
    this.pump();
  }

  /** The asynchronous way: a message a call, and while nobody asks, reading stops at the bound. */
  iterate(): AsyncIterableIterator<Message> {
    this.#iterators++;
    const reader: Reader = { stopped: false };
    const next = (): Promise<Result> =>
      new Promise((resolve) => {
        if (reader.stopped || (this.#ended && this.#queue === undefined)) return resolve(done());
        this.#pulls ??= [];
        this.#pulls.push({ reader, settle: resolve });
        this.pump();
      });
    const stop = (): Promise<Result> => {
      if (!reader.stopped) {
        reader.stopped = true;
        this.#iterators--;
        this.#letGo(reader);
        this.pump();
      }
      return Promise.resolve(done());
    };
    return {
      next,
      return: stop,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** There is somebody who takes messages, or has. */
  get isTaken(): boolean {
    return this.#iterators > 0 || this.delivered > 0 || this.#port.hasListener();
  }

  get #waiting(): number {
    return this.#queue === undefined ? 0 : this.#queue.length - this.#head;
  }

  /** Whether listeners may get a message now: an iterator, where there is one, comes first. */
  #mayDeliver(): boolean {
    return (
      !this.#delivering &&
      !this.#paused &&
      this.#iterators === 0 &&
      this.#running < this.#settings.concurrency &&
      this.#port.hasListener()
    );
  }

  #shift(): Waiting {
    const queue = this.#queue as (Waiting | undefined)[];
    const next = queue[this.#head] as Waiting;
    this.delivered++;
    queue[this.#head++] = undefined;
    this.#size -= next.data.length;
    if (this.#head === queue.length) {
      this.#queue = undefined;
      this.#head = 0;
      this.#size = 0;
    }
    return next;
  }

  #deliver(data: Message, binary: boolean): void {
    this.#delivering = true;
    const later = this.#port.deliver(data, binary);
    this.#delivering = false;
    if (later !== undefined) this.began(later);
  }

  /** A handler is at work on a message it was given. */
  began(later: PromiseLike<unknown>): void {
    this.#running++;
    const settled = (): void => {
      this.#running--;
      this.pump();
    };
    whenSettled(later, settled, (reason) => {
      this.#port.failed(reason);
      settled();
    });
  }

  /** Who has stopped takes no message any more: the next one is somebody else's. */
  #letGo(reader: Reader): void {
    const pulls = this.#pulls;
    this.#pulls = pulls?.filter((pull) => pull.reader !== reader);
    for (const pull of pulls ?? []) if (pull.reader === reader) pull.settle(done());
  }

  #empty(): void {
    const then = this.#whenEmpty;
    if (then === undefined) return;
    this.#whenEmpty = undefined;
    for (const pull of this.#pulls ?? []) pull.settle(done());
    this.#pulls = undefined;
    then();
  }
}

const copyOf = (bytes: Buffer, start: number, end: number, owned: boolean): Uint8Array => {
  if (owned) return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  const size = end - start;
  const copy = size < 4096 ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
  bytes.copy(copy, 0, start, end);
  return copy;
};
