// One connection of the load: dials, upgrades, sends slices of the ring of frames, and holds every byte that comes back against the ring of
// replies. Compressed replies are read frame by frame, and on a sample of the connections inflated. What a reply leads to is the load's.
import { connect, type Socket } from 'node:net';
import { decode, frameSize } from '../../fixtures/rig/wire.js';
import type { Deflate } from '../../lib/deflate/codec.js';
import { ACCEPT, CLOSE_FRAME, type Traffic } from './traffic.js';

/** What a connection asks of the load it belongs to. */
export interface Crew {
  readonly raw: boolean;
  readonly request: Buffer;
  /** From the first answer on. */
  readonly traffic: Traffic;
  bytes: number;
  /** Whether an answer may name these extensions. */
  agreed(extensions: string | undefined): boolean;
  /** A codec of the client's side, when messages are compressed. */
  codec(): Deflate | undefined;
  opened(peer: Peer): void;
  replied(peer: Peer, count: number): void;
  ended(peer: Peer, orderly: boolean): void;
  fail(peer: Peer, what: string): void;
}

const LARGEST_HEAD = 4096;
/** Of so many connections one inflates its replies. */
const SAMPLED = 8;
const MOST_INFLATED = 1 << 24;

/** All sockets read into it: a chunk is done with before the next one arrives. */
const shared = Buffer.allocUnsafeSlow(256 * 1024);

export class Peer {
  readonly index: number;
  readonly #crew: Crew;
  readonly #socket: Socket;
  #state: 'opening' | 'open' | 'leaving' = 'opening';
  #rest: Buffer = Buffer.alloc(0); // of a head or a frame
  #codec: Deflate | undefined;
  #next = 0; // the frame to send
  #at = 0; // where in the ring of replies
  #part = 0; // bytes of the reply under way
  #replies = 0;
  /** When it began to leave. */
  leftAt: number = Infinity;
  over = false;

  constructor(crew: Crew, index: number, port: number, localAddress: string | undefined) {
    this.index = index;
    this.#crew = crew;
    const callback = (size: number): boolean => {
      crew.bytes += size;
      this.#receive(shared.subarray(0, size));
      return true;
    };
    const where = { host: '127.0.0.1', port, ...(localAddress === undefined ? {} : { localAddress }) };
    this.#socket = connect({ ...where, noDelay: true, onread: { buffer: shared, callback } });
    this.#socket.once('connect', () => {
      if (crew.raw) this.#open();
      else this.#socket.write(crew.request);
    });
    this.#socket.on('error', (error) => {
      if (this.#state !== 'leaving') crew.fail(this, error.message);
    });
    this.#socket.once('close', () => {
      this.over = true;
      this.#codec?.close();
      crew.ended(this, this.#state === 'leaving');
    });
  }

  /** Sends the next frames of the ring, in one write. */
  send(count: number): void {
    const { frames, starts, count: all } = this.#crew.traffic;
    this.#socket.write(frames.subarray(starts[this.#next], starts[this.#next + count]));
    this.#next = (this.#next + count) % all;
  }

  /** RFC 6455 section 7.1.1: says Close, and leaves the end of TCP to the server. */
  leave(): void {
    this.#state = 'leaving';
    this.leftAt = performance.now();
    if (this.#crew.raw) this.#socket.end();
    else this.#socket.write(CLOSE_FRAME);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  closed(): Promise<void> {
    if (this.over) return Promise.resolve();
    return new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  #open(): void {
    this.#state = 'open';
    if (this.index % SAMPLED === 0) this.#codec = this.#crew.codec();
    this.#crew.opened(this);
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'opening') this.#readHead(chunk);
    else if (this.#state === 'leaving') this.#readClose(chunk);
    else if (this.#crew.traffic.replies === undefined) this.#readFrames(chunk);
    else this.#compare(chunk, this.#crew.traffic.replies);
  }

  #readHead(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#rest.length > LARGEST_HEAD) this.#crew.fail(this, 'an endless head');
      return;
    }
    const head = this.#rest.toString('latin1', 0, end);
    const more = this.#rest.subarray(end + 4);
    this.#rest = Buffer.alloc(0);
    const value = (name: string): string | undefined => new RegExp(`^${name}: *(.*?) *$`, 'im').exec(head)?.[1];
    if (!head.startsWith('HTTP/1.1 101 ') || value('sec-websocket-accept') !== ACCEPT) {
      return this.#crew.fail(this, `no upgrade: ${head.slice(0, 80)}`);
    }
    if (!this.#crew.agreed(value('sec-websocket-extensions'))) {
      return this.#crew.fail(this, `extensions: ${value('sec-websocket-extensions') ?? 'none'}`);
    }
    this.#open();
    if (more.length > 0) this.#receive(more);
  }

  #compare(chunk: Buffer, replies: Buffer): void {
    const { replySize } = this.#crew.traffic;
    for (let from = 0; from < chunk.length; ) {
      const size = Math.min(chunk.length - from, replies.length - this.#at);
      if (replies.compare(chunk, from, from + size, this.#at, this.#at + size) !== 0) {
        return this.#crew.fail(this, `reply ${this.#replies} or one after it is not what was sent`);
      }
      from += size;
      this.#at = (this.#at + size) % replies.length;
    }
    const received = this.#part + chunk.length;
    this.#part = received % replySize;
    this.#reply(Math.floor(received / replySize));
  }

  #readFrames(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let size = frameSize(bytes); size !== undefined && !this.over; size = frameSize(bytes)) {
      const frame = decode(bytes.subarray(0, size));
      bytes = bytes.subarray(size);
      if (frame.masked || !frame.fin || frame.opcode !== 1) return this.#crew.fail(this, 'not a frame of text');
      const packed = frame.rsv === 4;
      const text = packed ? this.#codec?.inflate(frame.payload, MOST_INFLATED) : frame.payload;
      const { payloads } = this.#crew.traffic;
      if (text !== undefined && ('kind' in text || payloads[this.#replies % payloads.length]?.equals(text) !== true)) {
        return this.#crew.fail(this, `reply ${this.#replies} does not inflate to what was sent`);
      }
      this.#reply(1);
    }
    this.#rest = Buffer.from(bytes);
  }

  #reply(count: number): void {
    if (count === 0) return;
    this.#replies += count;
    this.#crew.replied(this, count);
  }

  #readClose(chunk: Buffer): void {
    if (!this.#crew.raw && chunk[0] !== CLOSE_FRAME[0]) this.#crew.fail(this, 'no Close answers the Close');
  }
}
