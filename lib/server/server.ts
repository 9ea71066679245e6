// The server for embedders: listeners, admission, connections, broadcast and the end. One object, several listeners. What a socket goes
// through until it is a connection is in arrival.ts; what a connection does is in lib/websocket.
import { EventEmitter } from 'node:events';
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { random32, randomFraction } from '../crypto/entropy.js';
import { Deflate } from '../deflate/codec.js';
import type { FaultCode } from '../fault.js';
import { Fields } from '../http/head.js';
import type { PackageLink } from '../link/packages.js';
import type { Session } from '../link/session.js';
import { Bag } from '../net/bag.js';
import { now } from '../net/clock.js';
import { Driver } from '../net/driver.js';
import { type LoopDelay, loopDelay } from '../net/loop-delay.js';
import { resolveServer } from '../options/options.js';
import type { ServerOptions } from '../options/types.js';
import type { SessionCounters } from '../packet/counters.js';
import { Budget } from '../websocket/budget.js';
import { Connection } from '../websocket/connection.js';
import { Link } from '../websocket/link.js';
import type { Payload } from '../websocket/payload.js';
import { isPending, whenSettled } from '../websocket/pending.js';
import { Prepared } from '../websocket/prepared.js';
import { isTrusted } from './address.js';
import { Admission, type AdmissionCounts } from './admission.js';
import { Admitted } from './admitted.js';
import { refusalOf } from './answers.js';
import type { Host, Opened } from './arrival.js';
import { attach, takeOver } from './attach.js';
import { type CloseCounts, type CloseOptions, type Closing, closingOf, drain } from './drain.js';
import { Announcer, type ServerEvents } from './events.js';
import { Familiar } from './familiar.js';
import { Layers } from './layers.js';
import { type Accept, type Listening, type ListenOptions, listen } from './listen.js';
import { Door } from './opening.js';
import { parsePaths } from './paths.js';
import { type Landlord, Place } from './place.js';
import { Tally } from './tally.js';

export interface BroadcastOptions<Data> {
  readonly except?: Connection<unknown> | undefined;
  readonly filter?: ((connection: Connection<Data>) => boolean) | undefined;
  readonly binary?: boolean | undefined;
  readonly compress?: boolean | undefined;
  readonly key?: string | undefined;
}

/** All open connections. Looping over them sees those that were open when the loop began. */
export interface Connections<Data> extends Iterable<Connection<Data>> {
  readonly size: number;
  has(connection: Connection<unknown>): boolean;
}

export type OnConnection<Data> = (connection: Connection<Data>) => unknown;

export class Server<out Data = unknown> extends EventEmitter<ServerEvents<Data>> {
  readonly #door: Door;
  readonly #admission: Admission;
  /** Of this server's connections; known no closer, so that any server is a `Server`. */
  readonly #onConnection: OnConnection<unknown> | undefined;
  readonly #connections: Bag<Connection<unknown>> = new Bag();
  readonly #listeners: Set<Listening> = new Set();
  readonly #detach: Set<() => void> = new Set();
  readonly #arriving: Bag<Admitted> = new Bag();
  readonly #tally: Tally = new Tally();
  readonly #announcer: Announcer<Data> = new Announcer(this, this.#tally);
  readonly #budget: Budget;
  readonly #host: Host;
  readonly #layers: Layers;
  #closed: Promise<CloseCounts> | undefined;

  constructor(options: ServerOptions<Data>, onConnection?: OnConnection<Data>) {
    super({ captureRejections: true });
    if (onConnection !== undefined && typeof onConnection !== 'function')
      throw new TypeError('onConnection must be a function');
    this.#door = new Door(resolveServer(options));
    const { rest } = this.#door.options;
    this.#admission = new Admission({
      total: rest.maxConnections,
      perAddress: rest.maxPerAddress,
      halfOpen: rest.maxHalfOpen,
      halfOpenPerAddress: rest.maxHalfOpenPerAddress,
      pendingAuthorize: rest.maxPendingAuthorize,
      acceptRate: rest.acceptRate,
      acceptRatePerAddress: rest.acceptRatePerAddress,
    });
    this.#budget = new Budget(rest.maxBufferedTotal);
    this.#onConnection = onConnection as OnConnection<unknown> | undefined;
    this.#host = this.#hostOf();
    this.#layers = new Layers(rest, {
      session: (session) => void this.#announcer.tell('session', session),
      refused: (refused) => void this.#announcer.tell('refusedSession', refused),
      node: (link) => void this.#announcer.tell('node', link),
      rejected: ({ code }) => this.#tally.count(`package:${code}`),
      failed: (error) => this.#announcer.report(error),
    });
  }

  /** Every open connection, until its 'close'. */
  get connections(): Connections<Data> {
    return this.#connections as Bag<Connection<Data>>;
  }

  /** Where the server listens. */
  get listening(): ReadonlySet<Listening> {
    return this.#listeners;
  }

  /** Listens at one more place; may be called several times. Rejects with the system's error, such as EADDRINUSE. */
  async listen(where: number | ListenOptions = {}): Promise<Listening> {
    if (this.#closed !== undefined) throw new TypeError('this server is closed');
    const listener = await listen(typeof where === 'number' ? { port: where } : where, this.#accept());
    if (this.#closed !== undefined) {
      listener.close();
      throw new TypeError('this server was closed meanwhile');
    }
    this.#listeners.add(listener);
    return listener;
  }

  /**
   * Serves WebSockets on an http.Server (or https.Server) of yours. What is not its own is left alone: other paths, other upgrades. An
   * upgrade that nobody else could answer gets a 404. Returns a function that detaches.
   */
  attach(http: HttpServer, options: { readonly path?: string | readonly string[] } = {}): () => void {
    if (this.#closed !== undefined) throw new TypeError('this server is closed');
    const paths = parsePaths(options.path ?? this.#door.options.rest.path);
    const off = attach(http, paths, (request, socket, head, claimed) =>
      this.#take(request, socket, head, claimed ? undefined : 'WSD_UPGRADE_PATH'),
    );
    const detach = (): void => {
      off();
      this.#detach.delete(detach);
    };
    this.#detach.add(detach);
    return detach;
  }

  /** Takes over one upgrade of an http.Server: the arguments of its 'upgrade' event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    takeOver(socket);
    this.#take(request, socket, head, undefined);
  }

  /** Takes over a socket whose request nobody has read yet; `head`: bytes of it that were read. */
  adopt(socket: Socket, head: Uint8Array = new Uint8Array(0)): void {
    takeOver(socket);
    this.#admit(socket)
      ?.arrive(socket, 'encrypted' in socket)
      .start(head);
  }

  /** Sends to all: encoded once, compressed once for each set of parameters. Returns how many took it. */
  broadcast(data: Payload | Prepared, options: BroadcastOptions<Data> = {}): number {
    const message = data instanceof Prepared ? data : new Prepared(data, options);
    const how = options.key === undefined ? undefined : { key: options.key };
    let taken = 0;
    for (const connection of this.#connections.members as readonly Connection<Data>[]) {
      if (connection === options.except || options.filter?.(connection) === false) continue;
      const status = how === undefined ? connection.deliver(message) : connection.send(message, how).status;
      if (status === 'ok' || status === 'full') taken++;
    }
    return taken;
  }

  /** Stops listening, tells every peer, lets what is queued leave, cuts what is left at the deadline, and says how many that were. */
  close(options: CloseOptions = {}): Promise<CloseCounts> {
    let closing: Closing;
    try {
      closing = closingOf(options);
    } catch (reason) {
      return Promise.reject(reason); // while nothing has begun
    }
    if (this.#closed !== undefined) return this.#closed;
    let begin: (counts: Promise<CloseCounts>) => void = () => {};
    this.#closed = new Promise((resolve) => {
      begin = resolve;
    });
    // Only now: who is told of its beginning may close as well.
    begin(this.#end(closing));
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** How many sockets there are, by state. */
  counts(): AdmissionCounts {
    return this.#admission.counts();
  }

  /** Counters since the start: `accepted`, `opened`, `refused:CODE`, `closed:1000`, `fault:CODE`. */
  counters(): Readonly<Record<string, number>> {
    return this.#tally.read();
  }

  /** Packet sessions, those between two connections included. */
  get sessions(): readonly Session[] {
    return this.#layers.packets?.sessions ?? [];
  }

  /** What the packet layer counted: one number for each reason to drop or fail, and what went in and out. */
  packetCounters(): Readonly<SessionCounters> | undefined {
    return this.#layers.packets?.counters();
  }

  /** Nodes that have shown who they are, by their links. */
  get nodes(): readonly PackageLink[] {
    return this.#layers.links;
  }

  /** How late the event loop was, in ms, since this was last asked; all 0 the first time, which starts the measurement. */
  loopDelay(): LoopDelay {
    return loopDelay();
  }

  // ---- inside

  #accept(): Accept {
    return {
      handshakeTimeout: this.#door.options.rest.handshakeTimeout,
      admit: (raw) => this.#admit(raw),
      ended: (listener) => this.#listeners.delete(listener),
      failed: (error) => this.#announcer.report(error),
    };
  }

  /** A seat for a socket, or an answer that there is none: before any byte is read and any cryptography is done. */
  #admit(raw: Socket): Admitted | undefined {
    // Whoever hands it over may have taken time.
    if (raw.destroyed) return undefined;
    this.#tally.count('accepted');
    const peer = raw.remoteAddress;
    const trusted = !this.#door.trustsNobody && isTrusted(peer, this.#door.trusted);
    const seat = this.#admission.arrive(peer === undefined || trusted ? undefined : peer, now());
    if (seat.kind === 'fault') {
      const answer = refusalOf(seat.code, () => this.#host.retryAfter());
      this.#host.refused(seat.code, answer.status, peer ?? '', seat.detail, undefined);
      raw.on('error', () => {});
      raw.end(answer.bytes, () => raw.destroy());
      return undefined;
    }
    const proxied = trusted && this.#door.options.rest.proxyProtocol;
    return new Admitted(this.#host, this.#arriving, raw, seat, proxied);
  }

  #take(request: IncomingMessage, socket: Duplex, head: Uint8Array, wrong: FaultCode | undefined): void {
    const admitted = this.#admit(socket as Socket);
    if (admitted === undefined) return;
    const pairs: [string, string][] = [];
    for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
      pairs.push([request.rawHeaders[i] as string, request.rawHeaders[i + 1] as string]);
    }
    // RFC 6455 section 4.2.1, item 1: Node takes an upgrade of HTTP/1.0 as well.
    const old = request.httpVersionMajor < 1 || (request.httpVersionMajor === 1 && request.httpVersionMinor < 1);
    admitted
      .arrive(socket as Socket, 'encrypted' in socket)
      .take(
        { method: request.method ?? '', target: request.url ?? '', fields: Fields.from(pairs) },
        head,
        old ? 'WSD_HTTP_VERSION' : wrong,
      );
  }

  #hostOf(): Host {
    const server = this;
    return {
      door: this.#door,
      familiar: new Familiar(),
      get closing() {
        return server.#closed !== undefined;
      },
      retryAfter: () => this.#admission.retryAfter(now(), randomFraction()),
      plain: (request) => this.listenerCount('request') > 0 && this.#announcer.tell('request', request),
      refused: (code, status, remoteAddress, detail, path) => {
        this.#tally.count(`refused:${code}`);
        this.#announcer.tell('refused', { code, status, remoteAddress, path, detail });
      },
      opened: (socket, opened) => this.#open(socket, opened),
      unanswered: () => this.#tally.count('left'),
    };
  }

  #open(socket: Socket, opened: Opened): void {
    const { deflate, settings } = this.#door.options;
    const { terms } = opened;
    const codec =
      deflate === undefined || terms.agreement === undefined
        ? undefined
        : new Deflate('server', terms.agreement, deflate.settings);
    const driver = new Driver(socket);
    const layer = this.#layers.of(terms.protocol);
    const link = new Link('server', layer?.settings(settings) ?? settings, codec, driver, random32);
    const connection = new Connection<Data>(link, new Place(opened, this.#landlord), opened.data as Data);
    this.#tally.count('opened');
    link.machine.outbox.budget = this.#budget;
    if (layer !== undefined) {
      driver.start(link, opened.head, opened.accept);
      return layer.take(connection as Connection<unknown>);
    }
    this.#connections.add(connection);
    this.#greet(connection, link);
    // Before the driver reads what came with the request. The 101 leaves with whatever is sent in here.
    connection.opened();
    driver.start(link, opened.head, opened.accept);
  }

  /** A handler that fails ends its own connection and no other. */
  #greet(connection: Connection<Data>, link: Link): void {
    try {
      const returned = this.#onConnection?.(connection);
      if (isPending(returned)) whenSettled(returned, undefined, (reason) => link.failed(reason));
      this.emit('connection', connection);
    } catch (reason) {
      link.failed(reason);
    }
  }

  /** One for all connections of the server. */
  readonly #landlord: Landlord<unknown> = {
    left: (connection, outcome) => {
      this.#connections.delete(connection);
      this.#tally.count(`closed:${outcome.code}`);
      if (connection.unaskedPongs > 0) this.#tally.count('pongs:unasked', connection.unaskedPongs);
      if (outcome.fault !== undefined) this.#tally.count(`fault:${outcome.fault}`);
    },
    unheard: (connection, error) => this.#announcer.report(error, connection as Connection<Data>),
  };

  async #end(closing: Closing): Promise<CloseCounts> {
    for (const detach of this.#detach) detach();
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
    for (const admitted of this.#arriving) admitted.turnAway();
    const counts = await drain([...this.#connections, ...this.#layers.end()], closing);
    this.#announcer.closed();
    return counts;
  }
}

/** Options are checked at once: a TypeError names each that is wrong. Listens nowhere until `listen`, `attach` or `adopt`. */
export const createServer = <Data = undefined>(
  options: ServerOptions<Data> = {},
  onConnection?: OnConnection<Data>,
): Server<Data> => new Server<Data>(options, onConnection);
