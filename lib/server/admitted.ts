// A socket that has its seat, until its request is read: what a listener does with it before and while TLS is put on. A PROXY header
// stands before everything else, the TLS handshake included.
import type { Socket } from 'node:net';
import type { Bag, Placed } from '../net/bag.js';
import { now } from '../net/clock.js';
import { after } from '../net/wait.js';
import type { Seat } from './admission.js';
import { Arrival, type Beginning, type Host } from './arrival.js';
import { ProxyParser } from './proxy-protocol.js';

export class Admitted implements Beginning, Placed {
  place = -1;
  /** A trusted peer that is to say first for whom it speaks. */
  proxied: boolean;
  peer: string | undefined;
  secure = false;
  readonly since: number = now();
  readonly seat: Seat;
  readonly #host: Host;
  readonly #arriving: Bag<Admitted>;
  readonly #raw: Socket;
  #arrival: Arrival | undefined;

  constructor(host: Host, arriving: Bag<Admitted>, raw: Socket, seat: Seat, proxied: boolean) {
    this.#host = host;
    this.#arriving = arriving;
    this.#raw = raw;
    this.seat = seat;
    this.proxied = proxied;
    this.peer = raw.remoteAddress;
  }

  local(): string | undefined {
    return this.#raw.localAddress;
  }

  /** Reads the PROXY header from the raw socket, gives back what follows it, and calls `then`. */
  readProxy(then: () => void): void {
    const parser = new ProxyParser();
    const onData = (chunk: Buffer): void => {
      const result = parser.receive(chunk);
      if (result.kind === 'more') return;
      cancel();
      this.#raw.off('data', onData).pause();
      if (result.kind === 'fault') {
        this.#host.refused(result.code, 400, this.peer ?? '', result.detail, undefined);
        this.#raw.destroy();
        return;
      }
      this.proxied = false;
      this.secure = result.secure;
      if (result.source !== undefined) this.peer = result.source.address;
      if (result.rest.length > 0) this.#raw.unshift(result.rest);
      then();
    };
    const cancel = after(this.#host.door.options.rest.handshakeTimeout, () => this.#raw.destroy());
    this.#raw.on('data', onData).once('close', cancel);
  }

  /** The socket went before there was anything to arrive. */
  leave(): void {
    this.seat.leave();
  }

  /** `socket` is the raw one or what was put around it. */
  arrive(socket: Socket, secure: boolean): Arrival {
    if (secure) this.secure = true;
    this.#arrival = new Arrival(this.#host, socket, this);
    this.#arriving.add(this);
    return this.#arrival;
  }

  /** The server is closing: who has no answer yet gets this one. */
  turnAway(): void {
    this.#arrival?.turnAway();
  }

  over(unanswered: boolean): void {
    this.#arriving.delete(this);
    if (unanswered) this.#host.unanswered();
  }
}
