// A socket that has its seat, until its request is read: what a listener does with it before and while TLS is put on. A PROXY header
// stands before everything else, the TLS handshake included.
import type { Socket } from 'node:net';
import { now } from '../net/clock.js';
import { after } from '../net/wait.js';
import type { Seat } from './admission.js';
import { Arrival, type Host } from './arrival.js';
import { ProxyParser } from './proxy-protocol.js';

export class Admitted {
  /** A trusted peer that is to say first for whom it speaks. */
  readonly proxied: boolean;
  readonly #host: Host;
  readonly #arrivals: Set<Arrival>;
  readonly #raw: Socket;
  readonly #seat: Seat;
  readonly #since: number = now();
  #peer: string | undefined;
  #secure = false;
  #read = false; // the PROXY header is behind us

  constructor(host: Host, arrivals: Set<Arrival>, raw: Socket, seat: Seat, proxied: boolean) {
    this.#host = host;
    this.#arrivals = arrivals;
    this.#raw = raw;
    this.#seat = seat;
    this.proxied = proxied;
    this.#peer = raw.remoteAddress;
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
        this.#host.refused(result.code, 400, this.#peer ?? '', result.detail, undefined);
        this.#raw.destroy();
        return;
      }
      this.#read = true;
      this.#secure = result.secure;
      if (result.source !== undefined) this.#peer = result.source.address;
      if (result.rest.length > 0) this.#raw.unshift(result.rest);
      then();
    };
    const cancel = after(this.#host.door.options.rest.handshakeTimeout, () => this.#raw.destroy());
    this.#raw.on('data', onData).once('close', cancel);
  }

  /** The socket went before there was anything to arrive. */
  leave(): void {
    this.#seat.leave();
  }

  /** `socket` is the raw one or what was put around it. */
  arrive(socket: Socket, secure: boolean): Arrival {
    const caller = { peer: this.#peer, local: () => this.#raw.localAddress, secure: secure || this.#secure };
    const arrival = new Arrival(this.#host, socket, this.#seat, caller, {
      since: this.#since,
      proxied: this.proxied && !this.#read,
    });
    this.#arrivals.add(arrival);
    return arrival;
  }
}
