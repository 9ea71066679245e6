// The nodes of a server: connections and sessions that carry packages → links to nodes that have shown who they are, one for each node. Keeps
// the connections under them, which are no connections of the embedder. lib/package/PROTOCOL.md sections 1, 8.2 and 8.4.
import { nodeSuite } from '../crypto/node.js';
import { carryPackages, type PackageLink, type PackageLinkSettings } from '../link/packages.js';
import { Session } from '../link/session.js';
import { SESSION_KID } from '../link/session-keys.js';
import { Bag } from '../net/bag.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import type { ServerPackages } from '../options/packages-types.js';
import { MAX_PACKAGE } from '../package/limits.js';
import { Nodes } from '../package/nodes.js';
import type { KeyRecord, KeySource, Signer } from '../package/package.js';
import { Rates } from '../package/rates.js';
import { ReplayCache } from '../package/replay.js';
import { Router } from '../package/router.js';
import type { Connection } from '../websocket/connection.js';
import type { ConnectionSettings } from '../websocket/settings.js';
import type { Closable } from './drain.js';
import { Guest, type House, type PackagesHost } from './guest.js';
import { SessionRing } from './session-ring.js';

/** ms between two looks at whether keys are still good. */
const LOOK = 1_000;

type SignerFor = (to: KeyRecord | undefined) => Signer;
/** What the settings of all links have in common. */
type Shared = Omit<PackageLinkSettings<unknown>, 'keys' | 'signer' | 'data' | 'pace' | 'events'>;

export class Packages {
  readonly #options: ServerPackages;
  readonly #host: PackagesHost;
  readonly #house: House;
  readonly #guests: Bag<Guest> = new Bag();
  readonly #shared: Shared;
  readonly #pacer: Pacer;
  #lookAt = Infinity;
  #carrying: ConnectionSettings | undefined;

  constructor(options: ServerPackages, host: PackagesHost) {
    this.#options = options;
    this.#host = host;
    const { key, router = new Router(), replay = new ReplayCache(wall()), nodes = new Nodes(), events = {} } = options;
    const {
      rates = new Rates(),
      audience,
      limit,
      undeclared,
      maxConcurrent,
      maxWaiting,
      maxCalls,
      maxQueued,
      route,
      awaited,
    } = options;
    this.#house = { self: key.node, nodes, events, host, gone: (guest) => this.#guests.delete(guest) };
    const limits = { limit, undeclared, maxConcurrent, maxWaiting, maxCalls, maxQueued };
    const hooks = { ...(route === undefined ? {} : { route }), ...(awaited === undefined ? {} : { awaited }) };
    const random = (size: number): Uint8Array => nodeSuite.random(size);
    this.#shared = { router, replay, rates, audience, ...limits, ...hooks, now, wall, random };
    this.#pacer = new Pacer({ deadline: () => this.#lookAt, tick: (time) => this.#look(time) });
  }

  /** What becomes of the settings of a connection that carries packages: longer messages are 1009 before they are kept. */
  settings(settings: ConnectionSettings): ConnectionSettings {
    this.#carrying ??= { ...settings, maxMessage: MAX_PACKAGE, text: 'string', lend: false };
    return this.#carrying;
  }

  /** Links whose nodes have shown who they are. */
  get links(): readonly PackageLink[] {
    return this.#guests.members.flatMap(({ node, link }) => (node === undefined || link === undefined ? [] : [link]));
  }

  /** A connection that is about to be read. */
  take(connection: Connection<unknown>): void {
    this.#begin(connection, this.#options.keys, this.#signer);
  }

  /** A session that is about to open. */
  takeSession(session: Session): void {
    const ring = new SessionRing(session, this.#options, (error) => this.#host.failed(error));
    this.#begin(session, ring, (to) => (to?.kid === SESSION_KID ? ring.signer() : this.#signer(to)));
  }

  /** What is to be closed when the server goes; sessions end by themselves. */
  end(): readonly Closable[] {
    return [...this.#guests].flatMap(({ link }) => {
      const carrier = link?.carrier;
      if (link === undefined || carrier === undefined || carrier instanceof Session) return [];
      return {
        close: (code, reason) => {
          link.peer.end(code, reason);
          return carrier.closed;
        },
        terminate: () => carrier.terminate(),
      };
    });
  }

  /** HS256: with the secret of whom it is for. */
  readonly #signer: SignerFor = (to) => to?.signer ?? this.#options.key;

  #begin(carrier: Connection<unknown> | Session, keys: KeySource, signer: SignerFor): void {
    const guest = new Guest(this.#house, keys, now() + this.#options.identifyTimeout);
    this.#guests.add(guest);
    const { data } = carrier;
    // What all have in common stands behind it: copied into each it would be half a kilobyte, and a shape of its own.
    const own = { keys, signer, data, pace: guest.pace, events: guest };
    const settings: PackageLinkSettings<unknown> = Object.assign(Object.create(this.#shared), own);
    guest.begin(carryPackages(carrier, settings));
    if (this.#lookAt < Infinity) return;
    this.#lookAt = now() + LOOK;
    this.#pacer.moved();
  }

  /** Who was sent away by his key leaves, though he says nothing (HOSTILE 80). */
  #look(time: number): void {
    for (const guest of this.#guests) guest.check();
    this.#lookAt = this.#guests.size === 0 ? Infinity : time + LOOK;
  }
}
