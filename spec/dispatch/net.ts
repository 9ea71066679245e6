// A dispatch on a live server and its nodes: honest ones by the library, and raw ones that sign whatever they are told to. Everything ends with
// its test, and every wait is bounded. Not a spec.
import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import { nodeSuite } from '../../lib/crypto/node.js';
import { makeNodeKey, secretFrom } from '../../lib/crypto/package-keys.js';
import type { Dispatch } from '../../lib/dispatch/dispatch.js';
import type { DispatchOptions, OwnerChange } from '../../lib/dispatch/dispatch-types.js';
import type { ConflictCopy, Store } from '../../lib/dispatch/ports.js';
import {
  type Connection,
  connect,
  createServer,
  type Outcome,
  type Server,
  type ServerOptions,
} from '../../lib/index.js';
import { carryPackages, PACKAGE_PROTOCOL, type PackageLink } from '../../lib/link/packages.js';
import { now, wall } from '../../lib/net/clock.js';
import { Pacer } from '../../lib/net/pacer.js';
import { PING } from '../../lib/package/core-scopes.js';
import type { PackageError } from '../../lib/package/errors.js';
import { nodeRecord } from '../../lib/package/key-record.js';
import { KeyRing, oneKey } from '../../lib/package/key-ring.js';
import type { Claims, Grant, JsonObject, KeyRecord, KeySource, Signer } from '../../lib/package/package.js';
import type { PeerSettings } from '../../lib/package/peer-settings.js';
import { ReplayCache } from '../../lib/package/replay.js';
import { Router } from '../../lib/package/router.js';
import { parsePayload } from '../../lib/package/schema.js';
import { splitToken, writeToken } from '../../lib/package/token.js';
import { nodeSigner, nodeVerifier } from '../../lib/package/token-node.js';
import { createDispatch } from '../../lib/server/dispatch.js';
import { memoryStore } from '../../lib/store/memory.js';
import { until, within } from '../hostile/stage.js';

export { until, within };

export const DISPATCH_KEY: ReturnType<typeof makeNodeKey> = makeNodeKey();
export const dispatchSigner = (node = 'dispatch'): Signer =>
  nodeSigner({ kid: 'dispatch.1', alg: 'ES256', key: DISPATCH_KEY.privateKey, node });
/** By what dispatches know one another on a bus. */
export const dispatchRecord: KeyRecord = {
  node: 'dispatch',
  role: 'dispatch',
  kid: 'dispatch.1',
  verifier: nodeVerifier('ES256', DISPATCH_KEY.publicKey),
};

/** What a node is besides its name. `es256`: it has a pair instead of a secret. */
export interface Given extends Partial<Grant> {
  readonly es256?: boolean;
}

const secretOf = (node: string): Uint8Array => createHash('sha256').update(`secret of ${node}`).digest();
const pairs = new Map<string, ReturnType<typeof makeNodeKey>>();
const pairOf = (node: string): ReturnType<typeof makeNodeKey> => {
  const pair = pairs.get(node) ?? makeNodeKey();
  pairs.set(node, pair);
  return pair;
};

/** What the dispatch knows of a node. */
export const recordOf = (node: string, { es256 = false, ...grant }: Given = {}, kid = `${node}.1`): KeyRecord =>
  nodeRecord(
    { node, role: 'service', ...grant },
    es256
      ? { kid, alg: 'ES256', key: pairOf(node).publicKey }
      : { kid, alg: 'HS256', secret: secretFrom(secretOf(node)) },
  );

/** By what a node signs, and whom it believes. */
export const keysOf = (
  node: string,
  { es256 = false }: Given = {},
  kid = `${node}.1`,
): { signer: Signer; keys: KeySource } => {
  const alg = es256 ? 'ES256' : 'HS256';
  const key = es256 ? pairOf(node).privateKey : secretFrom(secretOf(node));
  const theirs = { node: 'dispatch', role: 'dispatch' } as const;
  return {
    signer: nodeSigner({ kid, alg, key, node }),
    keys: oneKey(
      es256 ? dispatchRecord : { ...theirs, kid, verifier: nodeVerifier('HS256', secretFrom(secretOf(node))) },
    ),
  };
};

/** What a token says. */
export interface Read {
  readonly header: JsonObject;
  readonly body: JsonObject | undefined;
  readonly footer: JsonObject | undefined;
  readonly claims: Claims;
}

export const read = (token: string): Read => {
  const split = splitToken(token);
  if (split.kind !== 'split') throw new Error(`no token: ${split.code}`);
  const parsed = parsePayload(split.payload);
  if (parsed.kind !== 'payload') throw new Error(`no payload: ${parsed.code}`);
  return parsed as unknown as Read;
};

export interface Pkg {
  readonly header: JsonObject;
  readonly body?: unknown;
  readonly footer?: unknown;
}

let jtis = 0;

/** A node that says what it is told to, and reads what it gets. */
export class RawNode {
  readonly connection: Connection<undefined>;
  readonly node: string;
  readonly signer: Signer;
  /** Everything it got, in order. */
  readonly got: Read[] = [];
  outcome: Outcome | undefined;
  readonly #audience: string | undefined;

  constructor(connection: Connection<undefined>, node: string, signer: Signer, audience?: string) {
    this.#audience = audience;
    this.connection = connection;
    this.node = node;
    this.signer = signer;
    connection.on('message', (data) => void this.got.push(read(data as string)));
    connection.on('close', (outcome) => {
      this.outcome = outcome;
    });
  }

  token(pkg: Pkg, claims: Partial<Claims> = {}): string {
    const iat = Math.floor(Date.now() / 1000);
    const aud = this.#audience === undefined ? {} : { aud: this.#audience };
    const all = { iat, exp: iat + 60, jti: `raw-package-${++jtis}`, ...aud, ...claims };
    return writeToken(this.signer, pkg as never, all);
  }

  /** Its jti. */
  say(pkg: Pkg, claims: Partial<Claims> = {}): string {
    const token = this.token(pkg, claims);
    this.connection.send(token);
    return read(token).claims.jti;
  }

  /** The first that holds, of all that came or will come. */
  async next(what: string, holds: (one: Read) => boolean): Promise<Read> {
    await until(() => this.got.some(holds));
    const found = this.got.find(holds);
    const last = JSON.stringify(this.got.slice(-3).map(({ header, body, claims }) => [header, body, claims.re])).slice(
      0,
      500,
    );
    if (found === undefined) throw new Error(`${this.node} did not get ${what}, but last ${last}`);
    return found;
  }

  /** Says it, and reads the answer. */
  async ask(pkg: Pkg, claims: Partial<Claims> = {}): Promise<Read> {
    const jti = this.say(pkg, claims);
    return this.next(`an answer to ${JSON.stringify(pkg.header)}`, (one) => one.claims.re === jti);
  }

  async ping(): Promise<this> {
    await this.ask({ header: { scope: PING.id, internal: true, body: false } });
    return this;
  }

  async ended(): Promise<Outcome> {
    return within(this.connection.closed, `${this.node} is sent away`);
  }
}

/** A node of the library. */
export interface End {
  readonly node: string;
  readonly link: PackageLink<string, Connection<undefined>>;
  readonly peer: PackageLink<string>['peer'];
  readonly router: Router<string>;
  readonly failed: Error[];
  /** ERRORs that nobody waited for. */
  readonly refused: PackageError[];
}

export interface NetOptions extends Partial<DispatchOptions> {
  readonly server?: ServerOptions<undefined>;
  /** The dispatch has been there for so many ms. */
  readonly age?: number;
}

export class Net {
  readonly t: Test;
  readonly dispatch: Dispatch;
  readonly server: Server;
  readonly store: Store;
  readonly ring: KeyRing;
  readonly errors: Error[] = [];
  readonly owners: OwnerChange[] = [];
  readonly conflicts: ConflictCopy[] = [];
  readonly #given = new Map<string, Given>();
  port = 0;

  constructor(t: Test, { server = {}, age, ...options }: NetOptions) {
    this.t = t;
    this.ring = (options.keys as KeyRing | undefined) ?? new KeyRing(wall);
    this.store = options.store ?? memoryStore();
    this.dispatch = createDispatch({ key: dispatchSigner(), ...options, keys: this.ring, store: this.store });
    this.dispatch.on('error', (error) => this.errors.push(error));
    this.dispatch.on('owner', (change) => this.owners.push(change));
    this.dispatch.on('conflict', (copy) => this.conflicts.push(copy));
    const packages = {
      ...this.dispatch.packages,
      ...(age === undefined ? {} : { replay: new ReplayCache(wall() - age) }),
    };
    this.server = createServer({ closeTimeout: 200, ...server, packages });
    t.teardown(async () => {
      await this.server.close({ drain: 50 });
      this.dispatch.close();
    });
  }

  static async open(t: Test, nodes: Readonly<Record<string, Given>> = {}, options: NetOptions = {}): Promise<Net> {
    const net = new Net(t, options);
    for (const [node, given] of Object.entries(nodes)) net.know(node, given);
    net.port = (await net.server.listen(0)).port ?? 0;
    return net;
  }

  /** The dispatch gets its key. */
  know(node: string, given: Given = {}): void {
    this.#given.set(node, given);
    if (this.ring.find(`${node}.1`) === undefined) this.ring.add(recordOf(node, given));
  }

  async dial(): Promise<Connection<undefined>> {
    const connection = await connect(`ws://127.0.0.1:${this.port}/`, {
      subprotocols: [PACKAGE_PROTOCOL],
      closeTimeout: 200,
    });
    this.t.teardown(() => connection.terminate());
    return connection;
  }

  /** Registered, unless `silent`. */
  async raw(node: string, silent = false): Promise<RawNode> {
    const raw = new RawNode(await this.dial(), node, keysOf(node, this.#given.get(node)).signer);
    return silent ? raw : raw.ping();
  }

  async join(
    node: string,
    router: Router<string> = new Router<string>(),
    more: Partial<PeerSettings<string>> = {},
  ): Promise<End> {
    const failed: Error[] = [];
    const refused: PackageError[] = [];
    const link = carryPackages<string, Connection<undefined>>(await this.dial(), {
      ...keysOf(node, this.#given.get(node)),
      router,
      now,
      wall,
      random: (size) => nodeSuite.random(size),
      data: node,
      pace: (paced) => new Pacer(paced),
      events: { failed: (error) => failed.push(error), refused: (error) => refused.push(error) },
      ...more,
    });
    await link.peer.call(PING);
    return { node, link, peer: link.peer, router, failed, refused };
  }
}
