// What a server keeps with a connection besides the connection itself: who it is, and the seat it holds until it ends.
import type { Connection, ConnectionParts, HandshakeInfo } from '../websocket/connection.js';
import type { Outcome } from '../websocket/link.js';
import type { Seat } from './admission.js';
import type { Opened } from './arrival.js';
import { infoOf } from './opening.js';

/** Told of the end of a connection before its user is. */
export type Leave<Data> = (connection: Connection<Data>, outcome: Outcome) => void;

export class Place<Data> implements ConnectionParts<Data> {
  readonly subprotocol: string;
  readonly extensions: string;
  readonly remoteAddress: string;
  readonly request: HandshakeInfo;
  readonly #seat: Seat;
  readonly #leave: Leave<Data>;

  constructor({ request, terms, address, seat }: Opened, leave: Leave<Data>) {
    this.subprotocol = terms.protocol;
    this.extensions = terms.extensions;
    this.remoteAddress = address;
    this.request = infoOf(request);
    this.#seat = seat;
    this.#leave = leave;
  }

  ended(connection: Connection<Data>, outcome: Outcome): void {
    this.#seat.leave();
    this.#leave(connection, outcome);
  }
}
