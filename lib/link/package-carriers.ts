// What a peer of packages rides on: a connection, one package a text message, or a packet session, one package a RELIABLE message (PROTOCOL.md
// section 1). Made the same here: texts in both directions, an end, and what becomes of too much.
import { Session } from './session.js';

export interface LinkEnd {
  /** Of a connection: the close code. Of a session: its code, such as `2.2 CLIENT DISCONNECT`. */
  readonly code: number | string;
  readonly reason: string;
}

/** Where a carrier tells what comes. */
export interface CarrierSink {
  text(text: string): void;
  /** Not what may come here: the peer is told to go. */
  wrong(code: number, reason: string): void;
  /** A package of ours was not taken, and will not be. */
  lost(error: Error): void;
  ended(end: LinkEnd): void;
}

export interface TextCarrier {
  send(text: string): void;
  /** Its peer takes more slowly than we send. */
  readonly choked: boolean;
  close(code: number, reason: string): void;
  /** Handlers are busy: reading waits, where it can. */
  pressure(on: boolean): void;
}

/** A connection, as far as it is used here: so the types of a page need none of Node. */
export interface TextConnection {
  readonly role: 'server' | 'client';
  on(name: 'message', listener: (data: string | Uint8Array, binary: boolean) => unknown): unknown;
  on(name: 'drain', listener: () => unknown): unknown;
  on(name: 'close', listener: (end: { readonly code: number; readonly reason: string }) => unknown): unknown;
  send(text: string): { readonly status: string };
  close(code: number, reason: string): unknown;
  terminate(): void;
  pause(): void;
  resume(): void;
}

/** What carries texts by itself: the WebSocket of a page. */
export interface TextLine {
  carry(sink: CarrierSink): TextCarrier;
  /** At once; it is told as its end. */
  terminate(): void;
}

/** A connection, one package a text message; a packet session, one package a RELIABLE message; or what makes texts of its own messages. */
export type PackageCarrier = TextConnection | Session | TextLine;

/** RFC 6455 section 7.4.1 */
const UNSUPPORTED = 1003;
const POLICY = 1008;

export const carrierOf = (carrier: PackageCarrier, sink: CarrierSink): TextCarrier => {
  if (carrier instanceof Session) return new SessionText(carrier, sink);
  return 'carry' in carrier ? carrier.carry(sink) : new ConnectionText(carrier, sink);
};

const UTF8 = new TextDecoder();

class ConnectionText implements TextCarrier {
  readonly #connection: TextConnection;
  readonly #sink: CarrierSink;
  #busy = false;
  /** The peer does not read what we send. */
  #choked = false;
  /** By us: what the embedder paused is his to resume. */
  #paused = false;

  constructor(connection: TextConnection, sink: CarrierSink) {
    this.#connection = connection;
    this.#sink = sink;
    connection.on('message', (data, binary) => {
      if (binary) sink.wrong(UNSUPPORTED, 'packages are text');
      else sink.text(typeof data === 'string' ? data : UTF8.decode(data));
    });
    connection.on('drain', () => {
      this.#choked = false;
      this.#read();
    });
    connection.on('close', ({ code, reason }) => sink.ended({ code, reason }));
  }

  send(text: string): void {
    const { status } = this.#connection.send(text);
    if (status === 'dropped') this.#sink.lost(new Error('a package was dropped: its receiver reads too slowly'));
    if (status !== 'full') return;
    this.#choked = true;
    this.#read();
  }

  get choked(): boolean {
    return this.#choked;
  }

  close(code: number, reason: string): void {
    // A paused connection would not read the answer to its Close.
    this.#busy = false;
    this.#choked = false;
    this.#read();
    void this.#connection.close(code, reason);
  }

  pressure(on: boolean): void {
    this.#busy = on;
    this.#read();
  }

  /** Whoever does not take his answers shall ask nothing more. Only where many may come: if both ends stopped reading, neither would go on. */
  #read(): void {
    const pause = this.#busy || (this.#choked && this.#connection.role === 'server');
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#connection.pause();
    else this.#connection.resume();
  }
}

/** What may wait for a session to take it: as much as it holds itself, four times. */
const MOST_TEXTS = 1_024;
const MOST_SIZE = 4 * 1024 * 1024;

class SessionText implements TextCarrier {
  readonly #session: Session;
  readonly #sink: CarrierSink;
  /** It said 'full': first come, first sent. */
  #waiting: string[] = [];
  #size = 0;

  constructor(session: Session, sink: CarrierSink) {
    this.#session = session;
    this.#sink = sink;
    session.on('message', (data, { reliable }) => {
      if (reliable) sink.text(UTF8.decode(data));
      else sink.wrong(POLICY, 'packages are RELIABLE');
    });
    session.on('drain', () => this.#flush());
    session.on('close', ({ code, by, detail = '' }) => {
      this.#waiting = [];
      // Of a peer: its code, and behind it what it said.
      sink.ended({ code, reason: by === 'remote' ? detail.slice(detail.indexOf(' ') + 1) : detail });
    });
  }

  send(text: string): void {
    if (this.#waiting.length === 0 && this.#session.send(text).status !== 'full') return;
    this.#waiting.push(text);
    this.#size += text.length;
    if (this.#waiting.length <= MOST_TEXTS && this.#size <= MOST_SIZE) return;
    this.#waiting = [];
    this.#size = 0;
    this.#sink.lost(new Error('too many packages wait for a session that does not take them'));
    this.#sink.wrong(POLICY, 'the peer takes nothing');
  }

  get choked(): boolean {
    return this.#waiting.length > 0;
  }

  /** The peer is told the reason: it decides whether to come back. */
  close(_code: number, reason: string): void {
    const code = this.#session.role === 'client' ? 'CLIENT_DISCONNECT' : 'DISCONNECT';
    this.#session.end(code, reason, reason === '' ? undefined : reason);
  }

  /** A session reads on, or it would miss the signs of life of its peer: the peer is told `busy`. */
  pressure(): void {}

  #flush(): void {
    let sent = 0;
    for (const text of this.#waiting) {
      if (this.#session.send(text).status === 'full') break;
      this.#size -= text.length;
      sent++;
    }
    this.#waiting = this.#waiting.slice(sent);
  }
}
