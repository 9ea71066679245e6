// The dispatch: stands between all nodes, knows who is here, passes packages on and signs them anew, and keeps the record of who owns which user
// data. A machine over two ports, Store and Bus: peers tell it what comes, the world gives it the time; it owns no connection and no clock.
// What it gives to a server is `packages`. PROTOCOL.md sections 8.2 to 9.1.
import { captureRejectionSymbol, EventEmitter } from 'node:events';
import { textOf } from '../fault.js';
import { type Asked, judgeAnswer } from '../package/asked.js';
import { type PackageFault, packageFault } from '../package/codes.js';
import { UD_REVOKE } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { type NodeEvents, type NodeLink, Nodes } from '../package/nodes.js';
import type { Claims } from '../package/package.js';
import type { Answered, Arguments, CallOptions, Incoming, PeerFace } from '../package/peer-types.js';
import { Rates } from '../package/rates.js';
import { ReplayCache } from '../package/replay.js';
import { Router } from '../package/router.js';
import type { AnyScope, ReplyOf } from '../package/scope.js';
import type {
  DispatchCounters,
  DispatchEvents,
  DispatchOptions,
  DispatchPackages,
  DispatchWorld,
  ForwardingCounters,
  Traveller,
} from './dispatch-types.js';
import { EndpointTable } from './endpoints.js';
import { Forwarding } from './forwarding.js';
import { type Entry, Pending } from './pending.js';
import { keyOf } from './permissions.js';
import type { ConflictCopy, Store } from './ports.js';
import { Relay } from './relay.js';
import { UserData } from './userdata.js';

export class Dispatch extends EventEmitter<DispatchEvents> {
  /** For `createServer({ packages })`, of as many servers as there are. */
  readonly packages: DispatchPackages;
  /** Scopes the dispatch itself answers: `dispatch.router.on(scope, handler)`. */
  readonly router: Router = new Router();
  readonly #world: DispatchWorld;
  readonly #store: Store;
  readonly #self: string;
  readonly #nodes = new Nodes();
  readonly #pending: Pending;
  readonly #endpoints: EndpointTable;
  readonly #relay: Relay | undefined;
  readonly #forwarding: Forwarding;
  readonly #userData: UserData;
  readonly #pace: ReturnType<DispatchWorld['pace']>;
  readonly #counters: ForwardingCounters = {
    forwarded: 0,
    answered: 0,
    unknown: 0,
    busy: 0,
    expired: 0,
    stray: 0,
    broken: 0,
    rejected: 0,
  };
  #closed = false;

  constructor(options: DispatchOptions, world: DispatchWorld) {
    super({ captureRejections: true });
    // A listener that rejects is told of, and ends nothing: Node would end the process where nobody listens for 'error'.
    const value = (reason: unknown, event: string): void => {
      if (event !== 'error') this.#failed(reason);
    };
    Object.defineProperty(this, captureRejectionSymbol, { value });
    const { store, key, keys, scopes = [], undeclared = 'forward', audience, limit } = options;
    this.#world = world;
    this.#store = store;
    this.#self = key.node;
    this.#endpoints = new EndpointTable(options.endpoints);
    this.#pending = new Pending((node) => this.#nodes.get(node) !== undefined);
    this.#relay = this.#relayOf(options);
    const { wall, now } = world;
    const ground = {
      self: this.#self,
      nodes: this.#nodes,
      pending: this.#pending,
      relay: this.#relay,
      endpoints: this.#endpoints,
      counters: this.#counters,
      now,
      wall,
      scope: (id: number) => this.router.scope(id),
      moved: () => this.#pace.moved(),
      failed: (error: Error) => this.#failed(error),
      owner: (change: DispatchEvents['owner'][0]) => this.#tell('owner', change),
      conflict: (copy: ConflictCopy) => this.#tell('conflict', copy),
    };
    this.#forwarding = new Forwarding(ground);
    const { lease, revokeDeadline, minimumHold, maxWaiting } = options;
    const given = Object.entries({ lease, revokeDeadline, minimumHold, maxWaiting }).filter(([, v]) => v !== undefined);
    const several = this.#relay === undefined ? {} : { several: true, reachable: () => true };
    this.#userData = new UserData(store, ground, { ...Object.fromEntries(given), ...several });
    this.#userData.serve(this.router);
    this.router.declare(...scopes);
    this.#pace = world.pace({ deadline: () => this.#deadline(), tick: (time) => this.#tick(time) });
    this.packages = {
      key,
      keys,
      router: this.router,
      nodes: this.#nodes,
      replay: new ReplayCache(wall()),
      rates: new Rates(),
      audience,
      limit,
      undeclared: undeclared === 'forward' ? 'route' : 'refuse',
      route: (incoming, peer) => this.#route(incoming, peer),
      awaited: (re, record) => this.#asked(this.#pending.get(re, record.node)),
      events: this.#events(),
    };
  }

  get nodeID(): string {
    return this.#self;
  }

  /** Who is here. */
  get nodes(): readonly NodeLink[] {
    return [...this.#nodes];
  }

  node(id: string): NodeLink | undefined {
    return this.#nodes.get(id);
  }

  counters(): DispatchCounters {
    const ownership = this.#userData.ownership.counters();
    const { size: pending, forgotten } = this.#pending;
    return { ...this.#counters, nodes: this.#nodes.size, pending, forgotten, ownership };
  }

  /** Asks a node that is here. Rejects with a PackageError. */
  call<S extends AnyScope>(
    node: string,
    scope: S & Answered<S>,
    ...rest: Arguments<S, CallOptions>
  ): Promise<ReplyOf<S>> {
    const link = this.#nodes.get(node);
    if (link === undefined) return Promise.reject(new PackageError('unknown_destination', { scope: (scope as S).id }));
    const [body, options] = rest as readonly [unknown, CallOptions?];
    const call = link.peer.call.bind(link.peer) as (...all: unknown[]) => Promise<ReplyOf<S>>;
    return call(scope, body, { destination: node, ...options });
  }

  /** Writes that came too late; without a user, of the shared document. */
  conflicts(user?: string): Promise<readonly ConflictCopy[]> {
    return this.#store.conflicts(keyOf(user));
  }

  /** All nodes are sent away; nothing is half done. The store stays open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#userData.ownership.close();
    this.#pace.stop();
    this.#relay?.close();
    for (const link of [...this.#nodes]) link.peer.end(1001, 'the dispatch is leaving');
  }

  // ---- inside

  #relayOf({ bus, busKeys, key, audience }: DispatchOptions): Relay | undefined {
    if (bus === undefined && busKeys === undefined) return undefined;
    if (bus === undefined || busKeys === undefined) throw new TypeError('bus and busKeys belong together');
    const { wall, random } = this.#world;
    return new Relay(
      { bus, signer: key, keys: busKeys, audience, wall, random },
      {
        arrived: (traveller, from) => this.#arrived(traveller, from),
        failed: (error) => this.#failed(error),
        rejected: () => void this.#counters.rejected++,
      },
    );
  }

  #route(incoming: Incoming, _peer: PeerFace): 'here' | 'taken' | PackageFault {
    if (this.#closed) return packageFault('busy');
    const { header, claims, record } = incoming;
    const link = this.#nodes.get(record.node);
    if (link === undefined) return packageFault('unknown_destination');
    if (claims.re !== undefined) {
      const entry = this.#pending.take(claims.re, record.node);
      if (entry !== undefined) return this.#answer(entry, incoming, (fault) => link.peer.refuse(incoming, fault));
    }
    const { destination } = header;
    if (destination === undefined || destination === this.#self) return 'here';
    // What answers something goes where that came from, and nowhere else.
    if (claims.re !== undefined) {
      this.#counters.stray++;
      return 'taken';
    }
    return this.#forwarding.pass(incoming, link, record.node, incoming.receivedAt);
  }

  #asked(entry: Entry | undefined): Asked | undefined {
    if (entry === undefined) return undefined;
    const { asker } = entry;
    if (asker.kind === 'revoke') return { id: UD_REVOKE.id, scope: UD_REVOKE, internal: true };
    const { scope: id, internal } = asker.header;
    return { id, scope: this.router.scope(id), internal };
  }

  #answer(entry: Entry, traveller: Traveller, refuse: (fault: PackageFault) => void): 'taken' {
    if (entry.asker.kind === 'revoke') this.#userData.answered(entry.asker.key, traveller, refuse);
    else this.#forwarding.answer(entry, traveller);
    return 'taken';
  }

  /** From the bus. */
  #arrived(traveller: Traveller, from: string): boolean {
    if (this.#closed) return false;
    const { re, org } = traveller.claims;
    if (re === undefined) return this.#forwarding.deliver(traveller, from, this.#world.now());
    const entry = this.#pending.take(re, org);
    const asked = this.#asked(entry);
    if (entry === undefined || asked === undefined) this.#counters.stray++;
    // The other one may have declared less than we have, and let it pass.
    else if (typeof judgeAnswer(asked, traveller.header.scope) === 'object') this.#refuseBroken(entry);
    else this.#answer(entry, traveller, (fault) => this.#failed(new PackageError(fault.code, { scope: undefined })));
    return true;
  }

  #events(): NodeEvents {
    const { now } = this.#world;
    const { ownership } = this.#userData;
    const moved = (): void => this.#pace.moved();
    return {
      arrived: (link, node) => {
        if (this.#closed) return link.peer.end(1001, 'the dispatch is leaving');
        this.#forwarding.lost(node);
        this.#relay?.join(node);
        this.#endpoints.set(node, link.peer.record?.endpoints);
        ownership.connected(node, now());
        moved();
        this.#tell('node', link, node);
      },
      left: (_link, node, replaced) => {
        if (replaced || this.#closed) return;
        this.#endpoints.remove(node);
        this.#forwarding.lost(node);
        this.#relay?.leave(node);
        ownership.disconnected(node, now());
        moved();
        this.#tell('gone', node);
      },
      heard: (_link, { record, receivedAt }) => ownership.heard(record.node, receivedAt),
      rejected: (_link, _fault, claims) => this.#broken(claims),
    };
  }

  /** An answer that was not valid: who waits for it need not wait any longer. */
  #broken(claims: Claims | undefined): void {
    const entry = claims?.re === undefined ? undefined : this.#pending.take(claims.re, claims.iss);
    if (entry !== undefined) this.#refuseBroken(entry);
  }

  #refuseBroken(entry: Entry): void {
    this.#counters.broken++;
    this.#forwarding.refuse(entry.asker, packageFault('internal'));
  }

  #deadline(): number {
    return Math.min(this.#userData.ownership.deadline() ?? Infinity, this.#pending.deadline());
  }

  #tick(now: number): void {
    this.#userData.ownership.tick(now);
    this.#counters.expired += this.#pending.tick(now);
  }

  #failed(reason: unknown): void {
    this.#tell('error', reason instanceof Error ? reason : new Error(textOf(reason)));
  }

  /** A listener that fails ends nothing here. */
  #tell<Name extends keyof DispatchEvents>(name: Name, ...args: DispatchEvents[Name]): void {
    if (this.listenerCount(name) === 0) return;
    try {
      (this.emit as (name: string, ...args: readonly unknown[]) => boolean).call(this, name, ...args);
    } catch (reason) {
      if (name !== 'error') this.#failed(reason);
    }
  }
}
