// The WebSocket of browsers, for scripts that are written for both: the WebSockets living standard over `open` and a link. Everything that
// the standard leaves to the platform (TLS, headers, limits) may be given as a third argument. Events come in their own turn, never from
// inside a call of the script.
import { WsdError } from '../fault.js';
import { resolveClient } from '../options/options.js';
import type { ClientOptions } from '../options/types.js';
import type { Outcome } from '../websocket/ending.js';
import type { Message } from '../websocket/inbox.js';
import { EventAttributes, type EventHandler } from './event-attributes.js';
import { type CloseEvent, createCloseEvent, FailureEvent } from './events.js';
import { type Opened, open } from './open.js';
import {
  type CloseArguments,
  checkOptions,
  type Decided,
  parseClose,
  parseData,
  parseProtocols,
  parseStandardUrl,
  sizeOf,
} from './standard-arguments.js';
import { Unsent } from './unsent.js';

export interface WebSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
}

/** As for `connect`, but for what the standard decides itself: those are refused. */
export type WebSocketOptions = Omit<ClientOptions, Decided>;

export type BinaryType = 'blob' | 'arraybuffer';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

type Data = ReturnType<typeof parseData>;
type Listener<E extends Event> = (event: E) => unknown;
type ListenerOptions = Parameters<EventTarget['addEventListener']>[2];
type Several = ((event: Event) => void) | { handleEvent(event: Event): void };

export class WebSocket extends EventTarget {
  static readonly CONNECTING: 0 = CONNECTING;
  static readonly OPEN: 1 = OPEN;
  static readonly CLOSING: 2 = CLOSING;
  static readonly CLOSED: 3 = CLOSED;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  readonly #url: string;
  readonly #origin: string;
  readonly #protocols: readonly string[];
  readonly #abort: AbortController = new AbortController();
  readonly #attributes: EventAttributes = new EventAttributes(this);
  readonly #unsent: Unsent = new Unsent();
  #state: 0 | 1 | 2 | 3 = CONNECTING;
  #binaryType: BinaryType = 'blob';
  #opened: Opened | undefined;
  #failure: Error | undefined;
  /** Messages that wait for the bytes of a Blob, their own or one before them. */
  #waiting: Data[] | undefined;
  #waitingSize = 0;
  #closing: CloseArguments | undefined;

  constructor(url: string | URL, protocols: string | Iterable<string> = [], options: WebSocketOptions = {}) {
    super();
    const parsed = parseStandardUrl(String(url));
    this.#url = parsed.href;
    this.#origin = parsed.origin;
    this.#protocols = parseProtocols(protocols);
    checkOptions(options);
    const resolved = resolveClient({
      // What browsers offer: `permessage-deflate; client_max_window_bits`.
      deflate: { contextTakeover: true },
      ...options,
      headers: withAuthorization(options.headers, parsed.authorization),
      subprotocols: this.#protocols,
      signal: this.#abort.signal,
    });
    open(parsed.target, resolved).then(
      (opened) => this.#begin(opened),
      (reason: unknown) => this.#end(reason instanceof WsdError || reason instanceof TypeError ? reason : undefined),
    );
  }

  get url(): string {
    return this.#url;
  }

  get readyState(): 0 | 1 | 2 | 3 {
    // The server may have begun to close, and the script is not told in any other way.
    return this.#state === OPEN && this.#opened?.link.state !== 'open' ? CLOSING : this.#state;
  }

  get protocol(): string {
    return this.#opened?.connection.subprotocol ?? '';
  }

  get extensions(): string {
    return this.#opened?.connection.extensions ?? '';
  }

  /** Bytes of messages that have not left yet; what is sent after the end stays in it for good. */
  get bufferedAmount(): number {
    return this.#unsent.amount(this.#opened?.link.outgoing.buffered ?? 0) + this.#waitingSize;
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(value: BinaryType) {
    // Web IDL: a value that is none of the enumeration is ignored.
    if (value === 'blob' || value === 'arraybuffer') this.#binaryType = value;
  }

  get onopen(): EventHandler {
    return this.#attributes.get('open');
  }

  set onopen(handler: EventHandler) {
    this.#attributes.set('open', handler);
  }

  get onmessage(): EventHandler<MessageEvent> {
    return this.#attributes.get('message');
  }

  set onmessage(handler: EventHandler<MessageEvent>) {
    this.#attributes.set('message', handler);
  }

  get onerror(): EventHandler {
    return this.#attributes.get('error');
  }

  set onerror(handler: EventHandler) {
    this.#attributes.set('error', handler);
  }

  get onclose(): EventHandler<CloseEvent> {
    return this.#attributes.get('close');
  }

  set onclose(handler: EventHandler<CloseEvent>) {
    this.#attributes.set('close', handler);
  }

  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void {
    if (this.#state === CONNECTING) throw new DOMException('the connection is not open yet', 'InvalidStateError');
    const message = parseData(data);
    if (this.readyState !== OPEN) this.#unsent.lost(sizeOf(message));
    else if (this.#waiting !== undefined || message instanceof Blob) this.#sendLater(message);
    else this.#sendNow(message, sizeOf(message));
  }

  close(code?: number, reason?: string): void {
    const how = parseClose(code, reason);
    if (this.#state === CONNECTING) this.#abort.abort();
    if (this.#state === OPEN) {
      this.#closing = how;
      if (this.#waiting === undefined) this.#sendClose(how);
    }
    if (this.#state < CLOSING) this.#state = CLOSING;
  }

  override addEventListener<Name extends keyof WebSocketEventMap>(
    type: Name,
    listener: Listener<WebSocketEventMap[Name]> | null,
    options?: ListenerOptions,
  ): void;
  override addEventListener(type: string, listener: Several | null, options?: ListenerOptions): void;
  override addEventListener(type: string, listener: unknown, options?: ListenerOptions): void {
    super.addEventListener(type, listener as (event: Event) => void, options);
  }

  override removeEventListener<Name extends keyof WebSocketEventMap>(
    type: Name,
    listener: Listener<WebSocketEventMap[Name]> | null,
    options?: ListenerOptions,
  ): void;
  override removeEventListener(type: string, listener: Several | null, options?: ListenerOptions): void;
  override removeEventListener(type: string, listener: unknown, options?: ListenerOptions): void {
    super.removeEventListener(type, listener as (event: Event) => void, options);
  }

  // ---- the connection's side

  #begin(opened: Opened): void {
    const { connection } = opened;
    // Asked for subprotocols, a server that speaks none of them is not the one that was meant.
    const mute = this.#protocols.length > 0 && connection.subprotocol === '';
    if (mute || this.#state !== CONNECTING) {
      opened.link.terminate();
      return this.#end(mute ? new WsdError('WSD_DIAL_PROTOCOL', 'none of those offered') : undefined);
    }
    this.#opened = opened;
    this.#state = OPEN;
    connection.on('error', (error) => {
      this.#failure ??= error;
    });
    connection.closed.then(
      (outcome) => this.#end(outcome.clean ? undefined : this.#failureOf(outcome), outcome),
      () => {},
    );
    this.dispatchEvent(new Event('open'));
    connection.on('message', (data) => this.#receive(data));
  }

  #receive(data: Message): void {
    // What still arrives after the script has closed is not for it any more.
    if (this.#state !== OPEN) return;
    this.dispatchEvent(new MessageEvent('message', { data: this.#shape(data), origin: this.#origin }));
  }

  #shape(data: Message): string | Blob | ArrayBuffer {
    if (typeof data === 'string') return data;
    if (this.#binaryType === 'blob') return new Blob([data as Uint8Array<ArrayBuffer>]);
    const { buffer, byteOffset, byteLength } = data;
    // Small messages share memory with others.
    if (byteLength === buffer.byteLength) return buffer as ArrayBuffer;
    return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  }

  #failureOf({ fault = 'WSD_SOCKET_ENDED' }: Outcome): WsdError {
    return this.#failure instanceof WsdError ? this.#failure : new WsdError(fault, undefined, { cause: this.#failure });
  }

  /** Without an outcome it never opened. */
  #end(error: WsdError | TypeError | undefined, outcome?: Outcome): void {
    this.#state = CLOSED;
    const clean = outcome?.clean === true;
    // A failed connection has the code 1006 whatever we told the server (RFC 6455 section 7.1.5).
    if (!clean) this.dispatchEvent(new FailureEvent(error ?? new WsdError('WSD_DIAL_ABORTED')));
    const told = clean ? { code: outcome.code, reason: outcome.reason } : { code: 1006, reason: '' };
    this.dispatchEvent(createCloseEvent({ wasClean: clean, ...told }));
  }

  // ---- the script's side

  #sendNow(message: Exclude<Data, Blob>, size: number): void {
    const { connection, link } = this.#opened as Opened;
    const before = link.outgoing.buffered;
    const { status } = connection.send(message);
    const total = link.outgoing.buffered;
    if (status === 'ok' || status === 'full') this.#unsent.sent(size, total - before, total);
    else this.#unsent.lost(size);
  }

  #sendLater(message: Data): void {
    const first = this.#waiting === undefined;
    // Its bytes may change before its turn comes.
    const kept = ArrayBuffer.isView(message)
      ? copyOf(message)
      : message instanceof ArrayBuffer
        ? message.slice(0)
        : message;
    this.#waiting ??= [];
    this.#waiting.push(kept);
    this.#waitingSize += sizeOf(kept);
    if (first) this.#sendWaiting(this.#waiting).catch((reason: unknown) => this.#opened?.link.failed(reason));
  }

  async #sendWaiting(waiting: Data[]): Promise<void> {
    try {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        const size = sizeOf(next);
        const bytes = next instanceof Blob ? await next.arrayBuffer() : next;
        waiting.shift();
        this.#waitingSize -= size;
        this.#sendNow(bytes, size);
      }
    } finally {
      // A Blob that cannot be read ends the connection; what waited behind it is lost.
      this.#unsent.lost(this.#waitingSize);
      this.#waitingSize = 0;
      this.#waiting = undefined;
    }
    if (this.#closing !== undefined) this.#sendClose(this.#closing);
  }

  #sendClose({ code, reason }: CloseArguments): void {
    void this.#opened?.link.close(code, reason);
  }
}

for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
  Object.defineProperty(WebSocket.prototype, name, { value, enumerable: true });
}

const copyOf = (view: ArrayBufferView): Uint8Array =>
  Uint8Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));

const withAuthorization = (
  headers: WebSocketOptions['headers'],
  authorization: string | undefined,
): WebSocketOptions['headers'] => {
  if (authorization === undefined) return headers;
  const pairs: ReadonlyArray<readonly [string, string]> = Array.isArray(headers)
    ? headers
    : Object.entries(headers ?? {});
  const given = pairs.some(([name]) => name.toLowerCase() === 'authorization');
  return given ? pairs : [...pairs, ['Authorization', authorization]];
};
