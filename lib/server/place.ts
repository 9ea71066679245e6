// What a server keeps with a connection besides the connection itself: who it is, and the seat it holds until it ends. Of the request it
// keeps the text, which is read again when somebody asks: most never do.
import type { Connection, ConnectionParts, HandshakeInfo } from '../websocket/connection.js';
import type { Outcome } from '../websocket/ending.js';
import type { Seat } from './admission.js';
import type { Opened } from './arrival.js';
import { type Shared, textOfShared } from './familiar.js';
import { infoOf, readInfo } from './opening.js';

/** What a server hears of its connections. */
export interface Landlord<Data> {
  /** One has ended; its user is told next. */
  left(connection: Connection<Data>, outcome: Outcome): void;
  /** A listener of one failed, and it has none for that. */
  unheard(connection: Connection<Data>, error: Error): void;
}

export class Place<Data> implements ConnectionParts<Data> {
  readonly subprotocol: string;
  readonly extensions: string;
  readonly remoteAddress: string;
  readonly #shared: Shared | undefined;
  /** The text of the head, or what is its own of a head that others have as well: the key. */
  #request: HandshakeInfo | string;
  readonly #seat: Seat;
  readonly #landlord: Landlord<Data>;

  constructor({ request, shared, terms, address, seat }: Opened, landlord: Landlord<Data>) {
    this.subprotocol = terms.protocol;
    this.extensions = terms.extensions;
    this.remoteAddress = address;
    this.#shared = shared;
    this.#request = shared === undefined ? (request.head.fields.head ?? infoOf(request)) : request.key;
    this.#seat = seat;
    this.#landlord = landlord;
  }

  get request(): HandshakeInfo {
    if (typeof this.#request === 'string') {
      this.#request = readInfo(this.#shared === undefined ? this.#request : textOfShared(this.#shared, this.#request));
    }
    return this.#request;
  }

  ended(connection: Connection<Data>, outcome: Outcome): void {
    this.#seat.leave();
    this.#landlord.left(connection, outcome);
  }

  unheard(connection: Connection<Data>, error: Error): void {
    this.#landlord.unheard(connection, error);
  }
}
