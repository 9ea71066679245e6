// A TCP line between a client and a server on 127.0.0.1 that breaks where a spec says so: after an octet of one direction, or beside the end of
// a frame. Counts and reads frame headers, changes nothing. Not a spec.

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';

export type Direction = 'up' | 'down';

/** Where a connection breaks. `up`: of what the client sends; `octets` behind its first one, or behind the end of frame `frame`. */
export interface Cut {
  readonly way: Direction;
  readonly octets: number;
  /** Counted from 1; 0 is the HTTP head. */
  readonly frame?: number;
  /** both: each side sees an end. reset: a reset. client: the server hears nothing, and holds a connection that is dead. */
  readonly how: 'both' | 'reset' | 'client';
}

/** The ends of frames in one direction, by their headers. */
class Frames {
  /** Where the HTTP head ends, then where each frame does, as far as headers were read. */
  readonly ends: number[] = [];
  #head = '';
  /** Octets of the header under way. */
  #header: number[] = [];
  #skip = 0;
  #at = 0;

  read(bytes: Uint8Array): void {
    for (const octet of bytes) {
      this.#at += 1;
      if (this.ends.length === 0) {
        this.#head = (this.#head + String.fromCharCode(octet)).slice(-4);
        if (this.#head === '\r\n\r\n') this.ends.push(this.#at);
      } else if (this.#skip > 0) this.#skip -= 1;
      else this.#readHeader(octet);
    }
  }

  #readHeader(octet: number): void {
    this.#header.push(octet);
    const second = this.#header[1] ?? 0;
    const short = second & 127;
    const size = 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (second > 127 ? 4 : 0);
    if (this.#header.length < 2 || this.#header.length < size) return;
    const extended = this.#header.slice(2, short === 127 ? 10 : short === 126 ? 4 : 2);
    this.#skip = extended.length === 0 ? short : extended.reduce((length, next) => length * 256 + next, 0);
    this.ends.push(this.#at + this.#skip);
    this.#header = [];
  }
}

export class Line {
  readonly port: number;
  /** Of the next connections, in order; afterwards nothing breaks. */
  readonly cuts: (Cut | undefined)[] = [];
  /** How many connections there were, and how many of them broke. */
  connections = 0;
  broken = 0;
  /** What servers said to clients that were gone. */
  readonly unheard: Buffer[] = [];
  /** Octets and frame ends of the last connection. */
  last: Record<Direction, { octets: number; readonly frames: Frames }> = fresh();
  #target: number;
  readonly #sockets: Set<Socket> = new Set();
  readonly #clients: Set<Socket> = new Set();
  readonly #abandoned: WeakSet<Socket> = new WeakSet();
  readonly #server: Server;
  #held = false;

  /** Made by `Line.to`. */
  constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => this.#join(socket));
  }

  static async to(t: Test, port: number): Promise<Line> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const line = new Line(server, port);
    t.teardown(() => line.close());
    return line;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`;
  }

  /** Where the next connections lead. */
  lead(port: number): void {
    this.#target = port;
  }

  /** Nothing passes from now on, in either direction, and nobody is told. */
  hold(): void {
    this.#held = true;
  }

  /** New connections pass again; those that were held are gone for good. */
  release(): void {
    this.#held = false;
  }

  /** Breaks every connection for the client; the server holds what is dead and hears nothing. */
  abandon(): void {
    for (const client of this.#clients) {
      this.#abandoned.add(client);
      client.destroy();
    }
  }

  /** Breaks every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((done) => this.#server.close(() => done()));
  }

  #join(client: Socket): void {
    this.connections += 1;
    const cut = this.cuts.shift();
    const passed = fresh();
    this.last = passed;
    const server = dial({ port: this.#target, host: '127.0.0.1', noDelay: true });
    let over = false;
    const pass = (way: Direction, from: Socket, to: Socket): void => {
      let held = false;
      from.on('data', (chunk: Buffer) => {
        held ||= this.#held;
        if (from === server && this.unheard.length < 1000 && client.destroyed) this.unheard.push(Buffer.from(chunk));
        if (over || held) return;
        const side = passed[way];
        side.frames.read(chunk);
        const limit = cut?.way === way ? limitOf(cut, side.frames.ends) : Number.POSITIVE_INFINITY;
        const part = chunk.subarray(0, Math.max(0, limit - side.octets));
        side.octets += part.length;
        if (part.length > 0) to.write(part);
        if (cut === undefined || side.octets < limit) return;
        over = true;
        this.broken += 1;
        // What was let through must arrive before the end does.
        setImmediate(() => {
          end(client, cut.how);
          if (cut.how !== 'client') end(server, cut.how);
        });
      });
      // A connection whose client is gone stays with the server where that is what the cut says. What is held tells neither side.
      from.on('close', () => {
        if (this.#held) return;
        const kept = (over && cut?.how === 'client') || this.#abandoned.has(client);
        if (!kept || from === server) to.destroy();
      });
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    }
    this.#clients.add(client.on('close', () => this.#clients.delete(client)));
    pass('up', client, server);
    pass('down', server, client);
  }
}

const fresh = (): Record<Direction, { octets: number; readonly frames: Frames }> => ({
  up: { octets: 0, frames: new Frames() },
  down: { octets: 0, frames: new Frames() },
});

const limitOf = ({ frame, octets }: Cut, ends: readonly number[]): number =>
  frame === undefined ? octets : (ends[frame] ?? Number.POSITIVE_INFINITY) + octets;

const end = (socket: Socket, how: Cut['how']): void => {
  if (how === 'reset') socket.resetAndDestroy();
  else socket.destroy();
};
