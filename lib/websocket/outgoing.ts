// The sending half of a connection as its user feels it: what `send` may take, what it says, when to wait, what is dropped. Frames are
// made by sender.ts, bytes wait in outbox.ts; this file decides. Nothing is ever dropped silently: the status says so, and a counter.
import { isUtf8 } from '../bytes/utf8.js';
import { fault } from '../fault.js';
import { OPCODE } from '../frame/opcode.js';
import type { Codec } from './codec.js';
import { GATHER } from './gather.js';
import type { Machine } from './machine.js';
import { bytesOf, type Payload } from './payload.js';
import { Prepared } from './prepared.js';
import { PIECE_COST } from './queue.js';
import type { SendOptions } from './sender.js';
import { CLOSED, DROPPED, Full, OK, type SendStatus, type Sent } from './sent.js';
import type { ConnectionSettings } from './settings.js';
import type { Wire } from './wire.js';

export interface MessageOptions extends SendOptions {
  /** Send a string as a binary message, or bytes (which must be UTF-8) as a text message. */
  readonly binary?: boolean | undefined;
}

/** A zlib context that nobody used this long is traded for its window. */
const REST_AFTER = 1_000;

export class Outgoing {
  /** Messages that the policy dropped. */
  dropped = 0;
  /** A chunk is being read: what is owed leaves when it is done, so nobody need be woken. */
  reading = false;
  /** A send was told 'full'. */
  #full = false;
  readonly #machine: Machine;
  readonly #wire: Wire;
  #behind: (() => void)[] | undefined; // messages that wait for a streamed one to end
  #behindSize = 0;
  #drain: { readonly promise: Promise<SendStatus>; readonly resolve: (status: SendStatus) => void } | undefined;
  #restAt = 0; // 0: it rests

  constructor(machine: Machine, wire: Wire) {
    this.#machine = machine;
    this.#wire = wire;
    machine.outbox.dropsNothing = machine.settings.policy === 'close';
  }

  get #settings(): ConnectionSettings {
    return this.#machine.settings;
  }

  get #codec(): Codec | undefined {
    return this.#machine.codec;
  }

  /** Bytes that were sent and have not left for the kernel. */
  get buffered(): number {
    const { outbox } = this.#machine;
    return this.#behindSize + (outbox.blocked ? outbox.size + this.#wire.pending : outbox.size);
  }

  send(data: Payload | Prepared, options: MessageOptions | undefined): Sent {
    const prepared = data instanceof Prepared ? data : undefined;
    const body = typeof data === 'string' || prepared !== undefined ? undefined : bytesOf(data as ArrayBufferView);
    if (body !== undefined && options?.binary === false && !isUtf8(body))
      throw new TypeError('a text message must be UTF-8');
    if (options?.fragment !== undefined && !(Number.isInteger(options.fragment) && options.fragment > 0)) {
      throw new RangeError(`a message is cut into fragments of at least one byte, not ${options.fragment}`);
    }
    if (this.#machine.state !== 'open') return CLOSED;
    const size = body?.length ?? prepared?.payload.length ?? (data as string).length;
    const buffered = this.buffered;
    if (buffered > 0 && this.#isTooMuch(buffered, size) && !this.#makeRoom(size)) return DROPPED;
    if (this.#behind !== undefined) {
      // Its bytes may change before its turn comes.
      const kept = prepared ?? (body === undefined ? (data as string) : Buffer.from(body));
      this.#behind.push(() => void this.send(kept, options));
      this.#behindSize += size + PIECE_COST;
      return this.#taken();
    }
    // A large message leaves at once, through the shared buffer.
    const large = size > GATHER && !this.reading;
    if (large) this.#machine.outbox.begin();
    this.#encode(data, prepared, body, this.#howTo(options, buffered));
    if (large) this.#wire.flush();
    return this.#sent();
  }

  /** One of many receivers of a broadcast: `send` without what cannot matter here. */
  deliver(message: Prepared): SendStatus {
    const { outbox, state } = this.#machine;
    const plain = this.#codec === undefined && this.#behind === undefined && !outbox.blocked;
    if (!plain || state !== 'open' || this.#machine.role === 'client' || outbox.size > this.#settings.highWater) {
      return this.send(message, undefined).status;
    }
    outbox.share(message.plain());
    this.#sent();
    return 'ok';
  }

  /** A message in parts begins: others wait behind it. */
  beginStream(): void {
    if (this.#behind !== undefined) throw new TypeError('another message is being streamed on this connection');
    this.#behind = [];
  }

  sendPart(opcode: number, bytes: Uint8Array, fin: boolean): Sent {
    const buffered = this.buffered;
    // A part cannot be dropped without its message.
    if (buffered > 0 && this.#isTooMuch(buffered, bytes.length)) {
      this.#giveUp();
      return CLOSED;
    }
    this.#machine.sender.part(opcode, bytes, fin);
    if (fin) this.endStream();
    return this.#sent();
  }

  /** The streamed message is finished, or was given up before any of it was sent: the others may go. */
  endStream(): void {
    const behind = this.#behind ?? [];
    this.#behind = undefined;
    this.#behindSize = 0;
    for (const send of behind) send();
  }

  /** We close in the middle of a streamed message: what waits behind it can never leave. */
  abandon(): void {
    this.dropped += this.#behind?.length ?? 0;
    this.#behind = undefined;
    this.#behindSize = 0;
  }

  /** Something was put into the outbox: it leaves with the chunk being read, or soon. */
  owe(plain = false): void {
    if (!this.reading) this.#wire.wake(plain);
  }

  /** Resolves when the queue is below the high-water mark, or never will be. */
  drained(): Promise<SendStatus> {
    if (this.#machine.state === 'failed' || this.#machine.state === 'closed') return Promise.resolve('closed');
    if (this.buffered <= this.#settings.highWater) return Promise.resolve('ok');
    if (this.#drain === undefined) {
      let resolve: (status: SendStatus) => void = () => {};
      const promise = new Promise<SendStatus>((done) => {
        resolve = done;
      });
      this.#drain = { promise, resolve };
      this.#machine.outbox.told = true;
    }
    return this.#drain.promise;
  }

  /** The wire got rid of bytes. True when a send was told 'full' and that is over. */
  written(): boolean {
    if (!this.#machine.outbox.told || this.buffered > this.#settings.highWater) return false;
    this.#machine.outbox.told = false;
    this.#drain?.resolve('ok');
    this.#drain = undefined;
    const full = this.#full;
    this.#full = false;
    return full;
  }

  end(): void {
    this.#drain?.resolve('closed');
    this.#drain = undefined;
    this.#behind = undefined;
    this.#behindSize = 0;
  }

  /** When the compressor may be put to rest. */
  get restAt(): number {
    return this.#restAt === 0 ? Infinity : this.#restAt;
  }

  rest(): void {
    this.#restAt = 0;
    this.#codec?.rest();
  }

  #sent(): Sent {
    this.owe(this.#codec === undefined);
    const { idleTimeout } = this.#settings;
    if (idleTimeout > 0 || this.#codec?.discardable === false) {
      const now = this.#wire.now();
      this.#machine.liveness.message(now);
      if (this.#codec?.discardable === false) {
        this.#restAt = now + REST_AFTER;
        this.#machine.liveness.nearer = true;
      }
    }
    return this.#taken();
  }

  #taken(): Sent {
    if (this.buffered <= this.#settings.highWater) return OK;
    this.#machine.outbox.told = true;
    this.#full = true;
    return new Full(() => this.drained());
  }

  #encode(
    data: Payload | Prepared,
    prepared: Prepared | undefined,
    body: Uint8Array | undefined,
    options: MessageOptions | undefined,
  ): void {
    const { sender } = this.#machine;
    if (prepared !== undefined) this.#sendPrepared(prepared, options);
    else if (body !== undefined) sender.bytes(body, options?.binary === false ? OPCODE.text : OPCODE.binary, options);
    else if (options?.binary === true) sender.bytes(Buffer.from(data as string, 'utf8'), OPCODE.binary, options);
    else sender.text(data as string, options);
  }

  /** A message that may yet be dropped must not be one that later ones refer back to. */
  #howTo(options: MessageOptions | undefined, buffered: number): MessageOptions | undefined {
    if (this.#codec === undefined || this.#codec.discardable) return options;
    const loose = options?.key !== undefined || (this.#settings.policy === 'drop-oldest' && buffered > 0);
    return loose ? { ...options, compress: false } : options;
  }

  #sendPrepared(message: Prepared, options: SendOptions | undefined): void {
    const { sender, role } = this.#machine;
    const compress = options?.compress ?? message.compress;
    const codec = this.#codec;
    const wanted = codec !== undefined && (compress ?? message.payload.length >= this.#settings.threshold);
    if (role === 'client' || (wanted && codec.shareKey === undefined)) {
      sender.bytes(message.payload, message.opcode, { ...options, compress: wanted });
    } else sender.prepared(wanted ? message.packed(codec) : message.plain(), options?.key);
  }

  /** Above the cap of the connection, or, with something waiting already, above what all may have together. */
  #isTooMuch(buffered: number, size: number): boolean {
    const { outbox } = this.#machine;
    const cost = outbox.weight - outbox.size;
    return buffered + cost + size > this.#settings.maxBuffered || outbox.budget?.exceeds(size + PIECE_COST) === true;
  }

  /** The cap is reached: what the policy does about it. True when the message may be queued after all. */
  #makeRoom(size: number): boolean {
    const { policy, maxBuffered } = this.#settings;
    // What can never fit is no reason to drop others.
    if (policy === 'drop-oldest' && size + this.#wire.pending <= maxBuffered) {
      this.dropped += this.#machine.outbox.dropOldest(size + this.#wire.pending, maxBuffered);
      if (!this.#isTooMuch(this.buffered, size)) return true;
    }
    this.dropped++;
    if (policy === 'close') this.#giveUp();
    return false;
  }

  #giveUp(): void {
    this.#machine.fail(fault('WSD_PEER_SLOW', `${this.buffered} bytes are queued`), this.#wire.now());
    this.owe();
  }
}
