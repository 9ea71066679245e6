// One open connection inside: joins the machine, the inbox and the outbox with a wire, and keeps the promises of the API: back-pressure,
// pings that resolve, one outcome. The wire is given: a socket's driver, or a pair in memory. What users see is connection.ts.
// RFC 6455 sections 5.5 and 7.
import { isUtf8 } from '../bytes/utf8.js';
import { closeCodeOf, type Fault, type FaultCode, fault, phraseOf, WsdError } from '../fault.js';
import { type CloseBody, writeClose } from '../frame/close.js';
import { OPCODE } from '../frame/opcode.js';
import type { Codec } from './codec.js';
import { Inbox, type InboxPort, type Message } from './inbox.js';
import { type Kind, Machine, type Sink } from './machine.js';
import { GATHER } from './outbox.js';
import { bytesOf, type Payload } from './payload.js';
import { Pings } from './pings.js';
import { Prepared } from './prepared.js';
import type { SendOptions } from './sender.js';
import { CLOSED, DROPPED, Full, OK, type SendStatus, type Sent } from './sent.js';
import type { ConnectionSettings } from './settings.js';

/** How a connection ended. */
export interface Outcome {
  /** The code of the peer's Close frame; without one, the code we failed the connection with, or 1006. */
  readonly code: number;
  readonly reason: string;
  /** Both Close frames were exchanged. */
  readonly clean: boolean;
  /** Who sent the first Close frame; none: the connection broke. */
  readonly initiator: 'local' | 'remote' | 'none';
  readonly fault?: FaultCode;
}

/** What carries the bytes. It never calls back from inside a call of ours. */
export interface Wire {
  now(): number;
  /** Writes what is owed now. */
  flush(): void;
  /** Something is owed outside of a read: come back for it soon, once for all that comes until then. */
  wake(): void;
  pause(): void;
  resume(): void;
  /** Bytes it has taken and not got rid of. */
  readonly pending: number;
  destroy(): void;
}

/** Where the link tells what its user should know. */
export interface Listener {
  message(data: Message, binary: boolean): PromiseLike<unknown> | undefined;
  listens(): boolean;
  pinged(payload: Uint8Array): void;
  ponged(payload: Uint8Array): void;
  drainedNow(): void;
  failed(error: Error): void;
  ended(outcome: Outcome): void;
}

export class Link implements Sink, InboxPort {
  readonly machine: Machine;
  readonly inbox: Inbox;
  readonly settings: ConnectionSettings;
  readonly wire: Wire;
  dropped = 0;
  /** Told of the outcome before the user is. */
  onEnd: ((outcome: Outcome) => void) | undefined;
  #listener: Listener | undefined;
  readonly #codec: Codec | undefined;
  #reading = false;
  #releasing = false;
  #pings: Pings | undefined;
  #behind: (() => void)[] | undefined; // messages that wait for a streamed one to end
  #drain: { promise: Promise<SendStatus>; resolve: (status: SendStatus) => void } | undefined;
  #initiator: Outcome['initiator'] = 'none';
  #theirs: CloseBody | undefined;
  #fault: FaultCode | undefined;
  #over = false; // the wire is gone
  #giveUpAt = 0;
  #outcome: Outcome | undefined;
  #waiters: ((outcome: Outcome) => void)[] | undefined;

  constructor(
    role: 'server' | 'client',
    settings: ConnectionSettings,
    codec: Codec | undefined,
    wire: Wire,
    entropy: () => number,
  ) {
    this.settings = settings;
    this.wire = wire;
    this.#codec = codec;
    this.machine = new Machine(role, settings, this, codec, entropy, wire.now());
    this.machine.outbox.spill = () => wire.flush();
    this.inbox = new Inbox(this, settings);
  }

  set listener(listener: Listener) {
    this.#listener = listener;
  }

  // ---- for the wire

  /** Bytes arrived: reads them, and leaves what they provoked in the outbox. */
  receive(chunk: Buffer, now: number): void {
    this.#reading = true;
    this.machine.outbox.begin();
    this.machine.receive(chunk, now);
    this.#reading = false;
  }

  /** Once before the wire writes what is owed outside of a read. */
  work(now: number): void {
    this.inbox.pump();
    if (!this.#releasing) return;
    this.#releasing = false;
    this.#reading = true;
    this.machine.outbox.begin();
    this.machine.release(now);
    this.#reading = false;
  }

  tick(now: number): void {
    if (this.#over) {
      if (now >= this.#giveUpAt) this.inbox.discard();
    } else if (this.machine.liveness.overdue(now)) {
      this.#fault ??= 'WSD_CLOSE_TIMEOUT';
      this.wire.destroy();
    } else this.machine.tick(now);
  }

  deadline(): number {
    if (this.#over) return this.#outcome === undefined ? this.#giveUpAt : Infinity;
    return this.machine.liveness.deadline();
  }

  /** What the wire should do once all that is owed is written. A server ends TCP first (section 7.1.1). */
  wish(): 'stay' | 'end' {
    const state = this.machine.state;
    return state === 'failed' || (state === 'closed' && this.machine.role === 'server') ? 'end' : 'stay';
  }

  /** The wire got rid of bytes. */
  written(): void {
    if (this.#drain === undefined || this.buffered > this.settings.highWater) return;
    const drain = this.#drain;
    this.#drain = undefined;
    drain.resolve('ok');
    this.#listener?.drainedNow();
  }

  /** The wire is gone; nothing more comes and nothing more can leave. */
  over(cause: FaultCode): void {
    if (this.#over) return;
    this.#over = true;
    this.#giveUpAt = this.wire.now() + this.settings.closeTimeout;
    // The end is only a fault where no closing handshake was complete.
    if (this.machine.state !== 'closed') this.#fault ??= cause;
    this.machine.end();
    this.#settleAll();
    this.inbox.end(() => this.#close());
  }

  // ---- for the user

  get state(): 'open' | 'closing' | 'closed' {
    if (this.#over) return 'closed';
    return this.machine.state === 'open' ? 'open' : 'closing';
  }

  get buffered(): number {
    return this.machine.outbox.size + this.wire.pending;
  }

  send(data: Payload | Prepared, options: (SendOptions & { readonly binary?: boolean | undefined }) | undefined): Sent {
    const prepared = data instanceof Prepared ? data : undefined;
    const body = typeof data === 'string' || prepared !== undefined ? undefined : bytesOf(data as ArrayBufferView);
    if (body !== undefined && options?.binary === false && !isUtf8(body))
      throw new TypeError('a text message must be UTF-8');
    if (this.machine.state !== 'open' || this.#over) return CLOSED;
    const buffered = this.buffered;
    const size = body?.length ?? prepared?.payload.length ?? (data as string).length;
    if (buffered > 0 && buffered + size > this.settings.maxBuffered && !this.#makeRoom(size)) return DROPPED;
    if (this.#behind !== undefined) {
      // Its bytes may change before its turn comes.
      const kept = prepared ?? (body === undefined ? (data as string) : Buffer.from(body));
      this.#behind.push(() => this.send(kept, options));
      return OK;
    }
    // A message that may yet be dropped must not be one that later ones refer back to.
    const loose =
      (options?.key !== undefined || (this.settings.policy === 'drop-oldest' && buffered > 0)) &&
      this.#codec?.discardable === false;
    const how = loose ? { ...options, compress: false } : options;
    // A large message leaves at once, through the shared buffer.
    const large = size > GATHER && !this.#reading;
    if (large) this.machine.outbox.begin();
    if (prepared !== undefined) this.#sendPrepared(prepared, how);
    else if (body !== undefined)
      this.machine.sender.bytes(body, options?.binary === false ? OPCODE.text : OPCODE.binary, how);
    else if (options?.binary === true)
      this.machine.sender.bytes(Buffer.from(data as string, 'utf8'), OPCODE.binary, how);
    else this.machine.sender.text(data as string, how);
    if (large) this.wire.flush();
    return this.#sent();
  }

  /** A message in parts begins: others wait behind it. */
  beginStream(): void {
    if (this.#behind !== undefined) throw new TypeError('another message is being streamed on this connection');
    this.#behind = [];
  }

  sendPart(opcode: number, bytes: Uint8Array, fin: boolean): Sent {
    this.machine.sender.part(opcode, bytes, fin);
    if (fin) {
      const behind = this.#behind ?? [];
      this.#behind = undefined;
      for (const send of behind) send();
    }
    return this.#sent();
  }

  /** After something was put into the outbox: has it written, and says how full things are. */
  #sent(): Sent {
    if (!this.#reading) this.wire.wake();
    if (this.settings.idleTimeout > 0) this.machine.liveness.message(this.wire.now());
    return this.buffered > this.settings.highWater ? new Full(() => this.drained()) : OK;
  }

  /** Resolves when the queue is below the high-water mark. */
  drained(): Promise<SendStatus> {
    if (this.#over || this.machine.state === 'failed') return Promise.resolve('closed');
    if (this.buffered <= this.settings.highWater) return Promise.resolve('ok');
    if (this.#drain === undefined) {
      let resolve: (status: SendStatus) => void = () => {};
      const promise = new Promise<SendStatus>((done) => {
        resolve = done;
      });
      this.#drain = { promise, resolve };
    }
    return this.#drain.promise;
  }

  /** A ping that resolves with the round trip in ms. */
  ping(data: Payload | undefined): Promise<number> {
    this.#pings ??= new Pings();
    const payload = data === undefined ? this.#pings.nextData() : controlBytes(data);
    if (this.state !== 'open') return Promise.reject(new WsdError('WSD_SOCKET_ENDED', 'the connection is not open'));
    const answered = this.#pings.wait(payload, this.wire.now());
    this.machine.sender.control(OPCODE.ping, payload);
    if (!this.#reading) this.wire.wake();
    return answered;
  }

  sendPong(data: Payload | undefined): void {
    const payload = controlBytes(data ?? '');
    if (this.state !== 'open') return;
    this.machine.sender.pong(payload);
    if (!this.#reading) this.wire.wake();
  }

  close(code: number | undefined, reason: string, within: number = this.settings.closeTimeout): Promise<Outcome> {
    const body = writeClose(code, reason);
    if (!this.#over && this.machine.close(body, this.wire.now(), within)) {
      this.#initiator = 'local';
      if (!this.#reading) this.wire.wake();
    }
    return this.outcome();
  }

  fail(what: Fault): void {
    if (this.#over) return;
    this.machine.fail(what, this.wire.now());
    if (!this.#reading) this.wire.wake();
  }

  terminate(): void {
    if (this.#over) return;
    this.#fault ??= 'WSD_TERMINATED';
    this.wire.destroy();
  }

  outcome(): Promise<Outcome> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome);
    return new Promise((resolve) => {
      this.#waiters ??= [];
      this.#waiters.push(resolve);
    });
  }

  // ---- Sink

  message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): void {
    this.inbox.accept(bytes, start, end, kind, owned);
  }

  pinged(payload: Uint8Array): void {
    this.#listener?.pinged(payload);
  }

  ponged(payload: Uint8Array): void {
    this.#pings?.answer(payload, this.wire.now());
    this.#listener?.ponged(payload);
  }

  closing(body: CloseBody): void {
    if (this.#initiator === 'none') this.#initiator = 'remote';
    this.#theirs = body;
  }

  broken(what: Fault): void {
    if (this.#initiator === 'none') this.#initiator = 'local';
    this.#fault ??= what.code;
    this.#pings?.end(new WsdError(what.code));
    this.#listener?.failed(new WsdError(what.code, what.detail));
  }

  // ---- InboxPort

  deliver(data: Message, binary: boolean): PromiseLike<unknown> | undefined {
    try {
      return this.#listener?.message(data, binary);
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  hasListener(): boolean {
    return this.#listener?.listens() === true;
  }

  hold(): void {
    this.machine.hold();
    this.wire.pause();
  }

  release(): void {
    if (this.#over) return;
    this.#releasing = true;
    this.wire.resume();
    this.wire.wake();
  }

  /** A handler of ours threw: this connection ends with 1011, and the peer learns no more than that. */
  failed(reason: unknown): void {
    this.#listener?.failed(reason instanceof Error ? reason : new Error(String(reason)));
    this.fail(fault('WSD_HANDLER_FAILED'));
  }

  // ---- inside

  #sendPrepared(message: Prepared, options: SendOptions | undefined): void {
    const sender = this.machine.sender;
    const compress = options?.compress ?? message.compress;
    const wanted = this.#codec !== undefined && (compress ?? message.payload.length >= this.settings.threshold);
    const shareKey = this.#codec?.shareKey;
    if (this.machine.role === 'client' || (wanted && shareKey === undefined)) {
      sender.bytes(message.payload, message.opcode, { ...options, compress: wanted });
    } else if (wanted && this.#codec !== undefined && shareKey !== undefined) {
      sender.prepared(message.packed(this.#codec, shareKey), options?.key);
    } else sender.prepared(message.plain(), options?.key);
  }

  /** The cap is reached: what the policy does about it. True when the message may be queued after all. */
  #makeRoom(size: number): boolean {
    const { policy, maxBuffered } = this.settings;
    if (policy === 'drop-oldest') {
      this.dropped += this.machine.outbox.dropOldest(size + this.wire.pending, maxBuffered);
      if (this.buffered + size <= maxBuffered) return true;
    }
    this.dropped++;
    if (policy === 'close') this.fail(fault('WSD_PEER_SLOW', `${this.buffered} bytes are queued`));
    return false;
  }

  #settleAll(): void {
    this.#pings?.end(new WsdError(this.#fault ?? 'WSD_SOCKET_ENDED'));
    this.#drain?.resolve('closed');
    this.#drain = undefined;
  }

  #close(): void {
    const clean = this.machine.state === 'closed' && this.#theirs !== undefined;
    const failedWith = this.#fault === undefined ? 1006 : closeCodeOf(this.#fault);
    const outcome: Outcome = {
      code: this.#theirs?.code ?? failedWith,
      reason: this.#theirs?.reason ?? (this.#fault === undefined ? '' : phraseOf(this.#fault)),
      clean,
      initiator: this.#initiator,
      ...(this.#fault === undefined || clean ? {} : { fault: this.#fault }),
    };
    this.#outcome = outcome;
    this.onEnd?.(outcome);
    for (const waiter of this.#waiters ?? []) waiter(outcome);
    this.#waiters = undefined;
    this.#listener?.ended(outcome);
  }
}

const controlBytes = (data: Payload): Uint8Array => {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : bytesOf(data);
  // RFC 6455 section 5.5
  if (bytes.length > 125)
    throw new RangeError(`a control frame carries at most 125 bytes, this one has ${bytes.length}`);
  return bytes;
};
