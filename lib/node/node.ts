// A node as its user sees it: handlers, calls, documents, and a connection to the dispatch that comes back by itself. Joins what lib/node is made
// of; the same in Node and in a page, which differ in how they reach the dispatch (create.ts, lib/browser). PROTOCOL.md sections 8.5 and 9.
import type { Rate } from '../bytes/rate.js';
import { textOf } from '../fault.js';
import type { Pace } from '../link/traveller.js';
import { PING, UD_REQ_OWNERSHIP, UD_REVOKE, UD_TRANSFER } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { OWNERSHIP_TIMEOUT, REQUEST_TIMEOUT, REVOKE_DEADLINE } from '../package/limits.js';
import type {
  Answer,
  Answered,
  Arguments,
  CallOptions,
  Handler,
  Middleware,
  PeerCounters,
  SendOptions,
} from '../package/peer-types.js';
import { Rates } from '../package/rates.js';
import { ReplayCache } from '../package/replay.js';
import { type ReplyGiven, type RouteDefinition, type RouteOptions, Router } from '../package/router.js';
import type { AnyScope, BodySchema, defineScope, ReplyOf } from '../package/scope.js';
import type { Reconnect } from '../packet/reconnect.js';
import type { Document } from './document.js';
import { type DocumentCounters, Documents, type OwnOptions } from './documents.js';
import { Gate } from './gate.js';
import { Lease } from './lease.js';
import { NodeBell, type NodeEnd, type NodeEvents } from './node-events.js';
import type { NodeRoad } from './road.js';
import type { DocumentSchema, JsonDocument } from './state.js';
import { type NodeState, Uplink } from './uplink.js';
import { aroundOthers, revokeIn, revokes, transfers } from './userdata.js';
import { pause } from './waits.js';

/** Who it is and how it behaves, every default filled in. */
export interface NodeSettings {
  readonly nodeID: string;
  readonly role: 'front' | 'service';
  readonly audience: string | undefined;
  readonly scopes: readonly AnyScope[];
  readonly reconnect: Reconnect | undefined;
  readonly patient: boolean;
  /** The dispatch's, in ms. */
  readonly lease: number;
  /** ms for the first answer on a connection. */
  readonly timeout: number;
  readonly maxConcurrent?: number | undefined;
  readonly maxWaiting?: number | undefined;
  readonly maxCalls?: number | undefined;
  readonly limit?: Rate | undefined;
}

export interface NodeCounters extends Readonly<DocumentCounters> {
  /** Connections that were opened. */
  readonly opened: number;
  /** Of the connection it has now. */
  readonly peer: Readonly<PeerCounters> | undefined;
}

type Listener<Name extends keyof NodeEvents> = (...args: NodeEvents[Name]) => unknown;

export class Node {
  readonly nodeID: string;
  readonly role: 'front' | 'service';
  readonly #road: NodeRoad;
  readonly #router: Router<Node> = new Router<Node>();
  readonly #bell = new NodeBell();
  readonly #uplink: Uplink<Node>;
  readonly #lease: Lease;
  readonly #pace: Pace;
  readonly #documents: Documents;
  #opened = 0;
  #closing: Promise<NodeEnd> | undefined;
  #ended: (end: NodeEnd) => void = () => {};
  /** How it ended; never rejects. */
  readonly closed: Promise<NodeEnd> = new Promise((resolve) => {
    this.#ended = resolve;
  });

  /** Made by `createNode` and `connectNode` only. */
  constructor(road: NodeRoad, settings: NodeSettings) {
    const { nodeID, role, lease, reconnect, patient } = settings;
    this.nodeID = nodeID;
    this.role = role;
    this.#road = road;
    this.#router.declare(...settings.scopes);
    this.#uplink = new Uplink(road, { reconnect, patient, hello: settings.timeout }, this.#sink(settings));
    this.#lease = new Lease(lease, {
      ping: () => void this.#beat(),
      fenced: () => this.#documents.revokeAll('fenced'),
      holds: () => this.#documents.list.length > 0,
    });
    this.#pace = road.pace(this.#lease);
    this.#documents = new Documents(this.#documentsPort(), lease);
    this.#router.on(UD_REVOKE, { waits: true }, revokes(this.#documents, nodeID));
    this.#router.on(
      UD_TRANSFER,
      transfers(this.#documents, nodeID, (document) => this.#assigned(document)),
    );
  }

  get state(): NodeState {
    return this.#uplink.state;
  }

  /** What this node owns now. */
  get documents(): readonly Document[] {
    return this.#documents.list;
  }

  counters(): NodeCounters {
    return { ...this.#documents.counters, opened: this.#opened, peer: this.#uplink.peer?.counters() };
  }

  /** Listens to what happens to this node. */
  on<Name extends keyof NodeEvents>(name: Name, listener: Listener<Name>): this;
  /** Declares a scope and handles it. */
  on<const Body extends BodySchema | undefined = undefined, const Reply extends ReplyGiven = undefined>(
    scope: number,
    definition: RouteDefinition<Body, Reply>,
    handler: Handler<ReturnType<typeof defineScope<Body, Reply>>, Node>,
  ): this;
  on<S extends AnyScope>(scope: S, options: RouteOptions, handler: Handler<S, Node>): this;
  /** Handles a scope: the handler returns the body of the answer. Throws for a scope that has a handler already. */
  on<S extends AnyScope>(scope: S, handler: Handler<S, Node>): this;
  on(first: AnyScope | number | keyof NodeEvents, ...rest: readonly unknown[]): this {
    if (typeof first === 'string') this.#bell.on(first, rest[0] as Listener<typeof first>);
    else (this.#router.on as (...all: unknown[]) => unknown).call(this.#router, first, ...rest);
    return this;
  }

  once<Name extends keyof NodeEvents>(name: Name, listener: Listener<Name>): this {
    this.#bell.once(name, listener);
    return this;
  }

  off<Name extends keyof NodeEvents>(name: Name, listener: Listener<Name>): this {
    this.#bell.off(name, listener);
    return this;
  }

  /** Runs around every handler, in the order of use. */
  use(middleware: Middleware<Node>): this {
    this.#router.use(aroundOthers(middleware));
    return this;
  }

  /**
   * Resolves with the body of the answer; rejects with a PackageError, or a TypeError when the body is not what the scope says. Without a
   * connection it waits for the next one, within its timeout. What was under way when the connection was lost is rejected with `lost`:
   * whether it was done is not known.
   */
  call<S extends AnyScope>(scope: S & Answered<S>, ...rest: Arguments<S, CallOptions>): Promise<ReplyOf<S>> {
    return this.ask<S>(scope, ...rest).then(({ body }) => body);
  }

  /** The same with all that came. */
  async ask<S extends AnyScope>(
    scope: S & Answered<S>,
    ...rest: Arguments<S, CallOptions>
  ): Promise<Answer<ReplyOf<S>>> {
    const { peer } = this.#uplink;
    if (peer === undefined) return this.#askLater<S>(scope, ...rest);
    const sentAt = this.#road.now();
    const answer = await peer.ask<S>(scope, ...rest);
    this.#lease.prove(sentAt);
    return answer;
  }

  /** One way; the package's jti. Throws a PackageError, `lost`, without a connection, and a TypeError when the body is not what the scope says. */
  send<S extends AnyScope>(scope: S, ...rest: Arguments<S, SendOptions>): string {
    const { peer } = this.#uplink;
    if (peer === undefined) throw new PackageError('lost', { scope: scope.id });
    return peer.send<S>(scope, ...rest);
  }

  /**
   * Asks for the document of a user, or without one for the document that all services share, and resolves when this node owns it. Asked
   * twice it is the same document. Rejects with a PackageError that says what kept it, such as `owner_timeout`.
   */
  own<Data extends object>(
    user: string | undefined,
    options: OwnOptions<Data> & { readonly schema: DocumentSchema<Data> },
  ): Promise<Document<Data>>;
  own(user?: string, options?: OwnOptions & { readonly schema?: undefined }): Promise<Document>;
  async own<Data extends object = JsonDocument>(
    user?: string,
    options: OwnOptions<Data> = {},
  ): Promise<Document<Data>> {
    if (this.role === 'front') throw new TypeError('own: a front owns no documents, services do');
    if (this.#closing !== undefined) throw new PackageError('lost', { scope: UD_REQ_OWNERSHIP.id });
    return this.#documents.own(user, options);
  }

  /**
   * Lets every document go, with its last state, so that the next owner need not wait, and closes. `timeout`: ms for that, and for the
   * connection to come back if it is lost; 0: at once. Resolves with how it ended, and how many last states may not be stored.
   */
  close({ timeout = REVOKE_DEADLINE }: { readonly timeout?: number | undefined } = {}): Promise<NodeEnd> {
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  begin(signal: AbortSignal | undefined): Promise<void> {
    return this.#uplink.begin(signal);
  }

  async #close(timeout: number): Promise<NodeEnd> {
    if (timeout > 0 && this.#documents.busy && this.state !== 'closed') {
      const gone = new AbortController();
      const late = pause((ms, call) => this.#road.after(ms, call), timeout, gone.signal);
      await Promise.race([this.#documents.closeAll(timeout).catch((reason: unknown) => this.#failed(reason)), late]);
      gone.abort();
    }
    await this.#uplink.close(1000, '');
    return this.closed;
  }

  async #askLater<S extends AnyScope>(scope: S, ...rest: Arguments<S, CallOptions>): Promise<Answer<ReplyOf<S>>> {
    const [body, options = {}] = rest as readonly [unknown, CallOptions?];
    const { signal, timeout = scope.id === UD_REQ_OWNERSHIP.id ? OWNERSHIP_TIMEOUT : REQUEST_TIMEOUT } = options;
    const kept = body === undefined ? undefined : structuredClone(body);
    const since = this.#road.now();
    const peer = await this.#uplink.opened(scope.id, signal, timeout);
    const left = Math.max(1, timeout - (this.#road.now() - since));
    const ask = peer.ask.bind(peer) as (...all: unknown[]) => Promise<Answer<ReplyOf<S>>>;
    return ask(scope, kept, { ...options, timeout: left });
  }

  #documentsPort(): ConstructorParameters<typeof Documents>[0] {
    const uplink = this.#uplink;
    return {
      after: (ms, call) => this.#road.after(ms, call),
      chance: () => this.#road.chance(),
      now: () => this.#road.now(),
      node: this.nodeID,
      over: uplink.over,
      get peer() {
        return uplink.peer;
      },
      opened: (scope, signal, timeout) => uplink.opened(scope, signal, timeout),
      prove: (sentAt) => this.#lease.prove(sentAt),
      isOver: (now) => this.#lease.isOver(now),
      ping: () => this.#ping(),
      moved: () => this.#pace.moved(),
      refused: (error, re) => this.#bell.tell('refused', error, re),
      failed: (error) => this.#failed(error),
    };
  }

  #sink(settings: NodeSettings): ConstructorParameters<typeof Uplink<Node>>[2] {
    const replay = new ReplayCache(this.#road.wall());
    const rates = new Rates();
    const { audience, maxConcurrent, maxWaiting, maxCalls, limit } = settings;
    const gate = new Gate((ms, call) => this.#road.after(ms, call));
    const limits = { maxConcurrent, maxWaiting, maxCalls, limit };
    return {
      settings: ({ signer, keys }) => ({
        ...limits,
        router: this.#router,
        signer,
        keys,
        audience,
        replay,
        rates,
        now: () => this.#road.now(),
        wall: () => this.#road.wall(),
        random: (size) => this.#road.random(size),
        pace: (paced) => this.#road.pace(paced),
        data: this,
        gate: (text, pass) => gate.take(text, pass),
        events: {
          failed: (error) => this.#failed(error),
          refused: (error, re) => {
            if (!this.#documents.refused(error, re)) this.#bell.tell('refused', error, re);
          },
          rejected: (fault, claims) => {
            // With claims its signature holds.
            const asked = claims === undefined ? undefined : revokeIn(gate.current, this.nodeID);
            if (asked !== undefined) this.#documents.askedInVain(asked.user, asked.epoch);
            this.#bell.tell('rejected', fault, claims);
          },
        },
      }),
      opened: (sentAt) => {
        this.#opened++;
        gate.open();
        this.#lease.prove(sentAt);
        this.#lease.up();
        this.#documents.returned();
        this.#pace.moved();
        this.#bell.tell('open');
      },
      lost: (why) => {
        this.#lease.down();
        this.#bell.tell('lost', why);
      },
      retry: (retry) => this.#bell.tell('retry', retry),
      closed: (end) => {
        this.#lease.down();
        this.#documents.end();
        this.#pace.stop();
        const { unsaved } = this.#documents.counters;
        this.#bell.tell('close', { ...end, unsaved });
        this.#ended({ ...end, unsaved });
        this.#bell.removeAllListeners();
      },
      failed: (error) => this.#failed(error),
    };
  }

  async #ping(): Promise<void> {
    const peer = await this.#uplink.opened(PING.id, undefined, this.#lease.beat);
    const sentAt = this.#road.now();
    await peer.call(PING, undefined, { timeout: this.#lease.beat });
    this.#lease.prove(sentAt);
    this.#pace.moved();
  }

  /** The sign of life that is due. */
  async #beat(): Promise<void> {
    try {
      await this.#ping();
    } catch (reason) {
      // Time enough is left of the lease to come back.
      if (reason instanceof PackageError && reason.code === 'timeout') this.#uplink.drop();
    }
    this.#lease.answered();
    this.#documents.forget(this.#road.now());
    this.#pace.moved();
  }

  #assigned(document: Document): void {
    if (this.#closing !== undefined || this.#bell.listenerCount('assigned') === 0) this.#documents.giveBack(document);
    else this.#bell.tell('assigned', document);
  }

  #failed(reason: unknown): void {
    this.#bell.tell('error', reason instanceof Error ? reason : new Error(textOf(reason)));
  }
}
