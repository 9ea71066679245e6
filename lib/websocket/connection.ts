// A WebSocket connection as its user sees it, the same on both sides. Thin: what it does is in link.ts. It is handed out open, and
// nothing that the peer sent before a listener was there is lost.
import { orAborted } from './abort.js';
import { Emitter } from './emitter.js';
import type { Outcome } from './ending.js';
import type { HandshakeInfo } from './handshake-info.js';
import type { Message } from './inbox.js';
import type { Link, Listener } from './link.js';
import type { MessageOptions } from './outgoing.js';
import type { Payload } from './payload.js';
import { isPending, whenSettled } from './pending.js';
import { Prepared } from './prepared.js';
import type { SendStatus, Sent } from './sent.js';
import { MessageWriter } from './writer.js';

export type { HandshakeInfo };

export interface ConnectionEvents {
  open: [];
  message: [data: Message, binary: boolean];
  ping: [data: Uint8Array];
  pong: [data: Uint8Array];
  /** The send queue is below the high-water mark again. */
  drain: [];
  error: [error: Error];
  close: [outcome: Outcome];
}

/** What a connection is made of besides its link. */
export interface ConnectionParts<Data = unknown> {
  readonly subprotocol: string;
  readonly extensions: string;
  readonly remoteAddress: string;
  readonly request: HandshakeInfo;
  /** Told of the end before the user is. */
  ended?(connection: Connection<Data>, outcome: Outcome): void;
  /** A listener of the connection failed, and it has none for that; or it needs one. */
  unheard?(connection: Connection<Data>, error: Error): void;
}

let ids = 0;

const UNREAD =
  "messages wait and nobody takes them, so the peer is read no further, not even its close: add a 'message' listener, if an empty one";

export class Connection<Data = unknown> extends Emitter<ConnectionEvents> implements Listener, AsyncIterable<Message> {
  /** @internal Where the server keeps it. */
  place = -1;
  /** Whatever the embedder wants to keep with the connection; `authorize` sets it. */
  data: Data;
  readonly #id: number = ++ids;
  readonly #link: Link;
  readonly #parts: ConnectionParts<Data>;

  /** Made by `createServer` and `connect` only. */
  constructor(link: Link, parts: ConnectionParts<Data>, data: Data) {
    super();
    this.#link = link;
    this.#parts = parts;
    this.data = data;
    link.listener = this;
  }

  get role(): 'server' | 'client' {
    return this.#link.machine.role;
  }

  /** Counts up in one process. */
  get id(): number {
    return this.#id;
  }

  /** The subprotocol that was agreed, or ''. */
  get subprotocol(): string {
    return this.#parts.subprotocol;
  }

  /** The extensions that were agreed, as the answer said it, or ''. */
  get extensions(): string {
    return this.#parts.extensions;
  }

  /** The address of the peer: behind trusted proxies, that of the client they name. */
  get remoteAddress(): string {
    return this.#parts.remoteAddress;
  }

  get request(): HandshakeInfo {
    return this.#parts.request;
  }

  get state(): 'open' | 'closing' | 'closed' {
    return this.#link.state;
  }

  /** Bytes that were sent and have not yet left for the kernel. */
  get bufferedAmount(): number {
    return this.#link.outgoing.buffered;
  }

  /** Messages that the back-pressure policy dropped. */
  get dropped(): number {
    return this.#link.outgoing.dropped;
  }

  /** Pongs that answer no ping of ours. */
  get unaskedPongs(): number {
    return this.#link.unasked;
  }

  /** How the connection ended; resolves after the last message was delivered, and never rejects. */
  get closed(): Promise<Outcome> {
    return this.#link.outcome();
  }

  /**
   * Sends a message: a string as text, bytes as binary. The bytes are copied, unless `transfer` gives them away.
   * `send(…).status` tells at once what became of it; `await send(…)` waits until more may be sent.
   */
  send(data: Payload | Prepared, options?: MessageOptions): Sent {
    if (options?.fragment !== undefined) checkFragment(data, options);
    return this.#link.outgoing.send(data, options);
  }

  /** @internal A broadcast's way in. */
  deliver(message: Prepared): SendStatus {
    return this.#link.outgoing.deliver(message);
  }

  /** Sends one message in parts, as they come. Other messages wait until it is finished; control frames do not. */
  stream(kind: 'text' | 'binary'): MessageWriter {
    return new MessageWriter(this.#link, kind);
  }

  /** Resolves with the round trip in ms; rejects when the connection ends first, or the signal is aborted. */
  ping(data?: Payload, signal?: AbortSignal): Promise<number> {
    return this.#link.ping(data, signal);
  }

  /** A Pong that nobody asked for: a one-way sign of life. Pings of the peer are answered by themselves. */
  pong(data?: Payload): void {
    this.#link.sendPong(data);
  }

  /** Resolves when the queue is below the high-water mark, or the connection is closed. */
  async drained(signal?: AbortSignal): Promise<void> {
    await orAborted(this.#link.outgoing.drained(), signal);
  }

  /**
   * Starts the closing handshake after what is queued; resolves with how it ended. `within`: ms until the socket is cut, instead of
   * the option closeTimeout; Infinity: never.
   */
  close(code = 1000, reason = '', within?: number): Promise<Outcome> {
    return this.#link.close(code, reason, within);
  }

  /** Cuts the connection at once. */
  terminate(): void {
    this.#link.terminate();
  }

  /** Messages wait; when enough of them do, the peer is no longer read. */
  pause(): void {
    this.#link.inbox.pause();
  }

  resume(): void {
    this.#link.inbox.resume();
  }

  get paused(): boolean {
    return this.#link.inbox.paused;
  }

  /** Messages one by one, each read when it is asked for; ends when the connection does. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.#link.inbox.iterate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ---- Listener: called by the link

  /** @internal */
  message(data: Message, binary: boolean): PromiseLike<unknown> | undefined {
    const { only } = this;
    const sole = only?.name === 'message' ? only : this.sole('message');
    if (sole !== undefined) {
      const value = (sole.listener as (data: Message, binary: boolean) => unknown).call(this, data, binary);
      return isPending(value) ? value : undefined;
    }
    const outer = later; // a listener may have another connection deliver
    later = undefined;
    try {
      this.dispatch('message', [data, binary], collect);
      return later;
    } catch (reason) {
      // The connection fails for this reason; what the other listeners began has nobody left to tell.
      ignore(later);
      throw reason;
    } finally {
      later = outer;
    }
  }

  /** @internal A handler of the connection failed elsewhere. */
  fail(reason: unknown): void {
    this.#link.failed(reason);
  }

  /** @internal */
  listens(): boolean {
    return this.heard('message');
  }

  /** @internal */
  pinged(payload: Uint8Array): void {
    this.#tell('ping', [payload]);
  }

  /** @internal */
  ponged(payload: Uint8Array): void {
    this.#tell('pong', [payload]);
  }

  /** @internal */
  drainedNow(): void {
    this.#tell('drain', []);
  }

  /** @internal */
  failed(error: Error, ours: boolean): void {
    if (ours && !this.heard('error')) this.#parts.unheard?.(this, error);
    else this.#tell('error', [error]);
  }

  /** @internal */
  unread(): void {
    this.#parts.unheard?.(this, new Error(UNREAD));
  }

  /** @internal */
  ended(outcome: Outcome): void {
    this.#parts.ended?.(this, outcome);
    this.#tell('close', [outcome]);
    this.removeAllListeners();
  }

  /** @internal */
  opened(): void {
    this.#tell('open', []);
  }

  protected override added(name: PropertyKey): void {
    if (name === 'message') this.#link.wire.wake();
  }

  /** Whoever fails while being told of a failure or of the end is told of nothing more. */
  #tellFailure(name: keyof ConnectionEvents, reason: unknown): void {
    if (name !== 'error' && name !== 'close') this.#link.failed(reason);
  }

  /** A listener of ours that throws ends this connection and no other. */
  #tell<Name extends keyof ConnectionEvents>(name: Name, args: ConnectionEvents[Name]): void {
    try {
      this.dispatch(name, args, (value) => {
        if (isPending(value)) whenSettled(value, undefined, (reason) => this.#tellFailure(name, reason));
      });
    } catch (reason) {
      this.#tellFailure(name, reason);
    }
  }
}

/** Frames of which one is replaced or dropped would be no message, and a message that was encoded for many has its one frame. */
const checkFragment = (data: Payload | Prepared, { key }: MessageOptions): void => {
  if (data instanceof Prepared) throw new TypeError('a Prepared message is one frame: it cannot be sent in fragments');
  if (key !== undefined)
    throw new TypeError('a message with a key is replaced as one frame: it cannot be sent in fragments');
};

/** What asynchronous listeners of the message at hand returned, joined; shared, since the listeners of one message run in one go. */
let later: PromiseLike<unknown> | undefined;
const collect = (value: unknown): void => {
  if (isPending(value)) later = later === undefined ? value : Promise.all([later, value]);
};

const ignore = (pending: PromiseLike<unknown> | undefined): void => {
  if (pending !== undefined) whenSettled(pending, undefined, () => {});
};
