// A dispatch that does what a spec says, on a server of ours: it believes the nodes it knows, keeps documents in a Map, and grants, refuses and asks
// back as it is told. What a real one does is specified in spec/dispatch. Not a spec.

import type { Test } from 'tap';
import { nodeSuite } from '../../lib/crypto/node.js';
import { makeNodeKey, makeSecret, writePem, writeSecret } from '../../lib/crypto/package-keys.js';
import { createServer, type NodeOptions, type Server } from '../../lib/index.js';
import { carryPackages, type PackageLink } from '../../lib/link/packages.js';
import { now, wall } from '../../lib/net/clock.js';
import { Pacer } from '../../lib/net/pacer.js';
import { createNode } from '../../lib/node/create.js';
import type { Node } from '../../lib/node/node.js';
import { type PackageCode, packageFault } from '../../lib/package/codes.js';
import {
  type OwnershipRequest,
  type Transfer,
  UD_REQ_OWNERSHIP,
  UD_REVOKE,
  UD_SAVE,
  UD_TRANSFER,
} from '../../lib/package/core-scopes.js';
import type { Credential } from '../../lib/package/credential.js';
import { KeyRing } from '../../lib/package/key-ring.js';
import type { JsonObject, KeyRecord, Signer } from '../../lib/package/package.js';
import type { Context, Incoming } from '../../lib/package/peer-types.js';
import { Router } from '../../lib/package/router.js';
import { nodeSigner, nodeVerifier } from '../../lib/package/token-node.js';
import type { Connection } from '../../lib/websocket/connection.js';
import { Line } from '../link/line.js';

export const QUICK: { readonly min: number; readonly max: number } = { min: 1, max: 5 };
export const USER = '175928847299117063';

interface Kept {
  epoch: number;
  version: number;
  owner: string | null;
  doc: JsonObject;
}

type Ruled = { readonly code: PackageCode; readonly delay?: number } | 'grant';

/** What is done with a request of ownership instead of granting it. */
export type Ruling = (
  body: OwnershipRequest,
  ctx: Context<typeof UD_REQ_OWNERSHIP, undefined>,
) => Ruled | Promise<Ruled>;

type Link = PackageLink<undefined, Connection<undefined>>;

export class Dispatch {
  readonly server: Server;
  readonly line: Line;
  readonly router: Router<undefined> = new Router<undefined>();
  /** Every connection there was. */
  readonly links: Link[] = [];
  /** Every good package, in order. */
  readonly heard: Incoming[] = [];
  readonly kept: Map<string, Kept> = new Map<string, Kept>();
  readonly conflicts: Transfer[] = [];
  readonly errors: Error[] = [];
  rule: Ruling = () => 'grant';
  /** Before a save is answered. */
  saving: () => Promise<void> = async () => {};
  /** What is sent at once to somebody who has become a node, even before he is told so. */
  greet: ((link: Link) => void) | undefined;
  readonly #ring = new KeyRing(wall);
  readonly #key = makeNodeKey();
  readonly #own: Signer = nodeSigner({ kid: 'dispatch.1', alg: 'ES256', key: this.#key.privateKey, node: 'dispatch' });
  readonly #signers = new Map<string, Signer>();

  /** Made by `open`. */
  constructor(server: Server, line: Line) {
    this.server = server;
    this.line = line;
    this.router.on(UD_REQ_OWNERSHIP, { waits: true }, async (body, ctx) => {
      const ruling = await this.rule(body, ctx);
      if (ruling !== 'grant') return ctx.refuse(packageFault(ruling.code, { delay: ruling.delay }));
      return this.grant(ctx.from, body.user);
    });
    this.router.on(UD_SAVE, async (body, ctx) => {
      await this.saving();
      const kept = this.of(body.user);
      if (kept.owner !== ctx.from || kept.epoch !== body.epoch) return this.#stale(body, ctx);
      kept.doc = body.userData;
      return { ...userOf(body.user), epoch: kept.epoch, version: ++kept.version };
    });
    this.router.on(UD_TRANSFER, (body, ctx) => {
      const kept = this.of(body.user);
      if (kept.owner !== ctx.from || kept.epoch !== body.epoch) return this.#stale(body, ctx);
      Object.assign(kept, { doc: body.userData, owner: null, version: kept.version + 1 });
      return undefined;
    });
  }

  static async open(t: Test): Promise<Dispatch> {
    const server = createServer({ subprotocols: ['v0.package.wsd'], closeTimeout: 100 }, (connection) =>
      dispatch.#carry(connection),
    );
    t.teardown(() => server.close({ drain: 100 }));
    const { port = 0 } = await server.listen();
    const dispatch = new Dispatch(server, await Line.to(t, port));
    return dispatch;
  }

  /** A credential of a node that is known here. */
  credential(
    node: string,
    { role = 'service', alg = 'ES256' }: Partial<Pick<Credential, 'role' | 'alg'>> = {},
  ): Credential {
    const kid = `${node}.${this.#ring.size + 1}`;
    const common = { url: this.line.url, node, role, kid } as const;
    const add = (verifier: KeyRecord['verifier']): void => this.#ring.add({ node, role, kid, verifier });
    if (alg === 'HS256') {
      const secret = makeSecret();
      add(nodeVerifier(alg, secret));
      this.#signers.set(kid, nodeSigner({ kid, alg, key: secret, node: 'dispatch' }));
      return { ...common, alg, secret: writeSecret(secret) };
    }
    const { privateKey, publicKey } = makeNodeKey();
    add(nodeVerifier(alg, publicKey));
    const dispatch = { kid: 'dispatch.1', alg, key: writePem(this.#key.publicKey) } as const;
    return { ...common, alg, key: writePem(privateKey), dispatch };
  }

  /** A node that ends with its test. */
  async node(
    t: Test,
    options: Partial<NodeOptions> & { readonly name?: string } = {},
    prepare?: (node: Node) => unknown,
  ): Promise<Node> {
    const { name = 'svc-a', ...rest } = options;
    const credential = rest.credential ?? this.credential(name);
    const node = await createNode({ reconnect: QUICK, ...rest, credential }, prepare);
    t.teardown(() => node.close({ timeout: 0 }));
    return node;
  }

  /** The newest connection. */
  get link(): Link {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error('nobody is connected');
    return link;
  }

  of(user: string | undefined): Kept {
    const key = user ?? 'shared';
    const kept = this.kept.get(key) ?? { epoch: 0, version: 0, owner: null, doc: {} };
    this.kept.set(key, kept);
    return kept;
  }

  /** The body of a 101. */
  grant(node: string, user: string | undefined): Transfer {
    const kept = this.of(user);
    kept.owner = node;
    kept.epoch++;
    return { ...userOf(user), epoch: kept.epoch, userData: kept.doc };
  }

  /** 101 to the newest connection, which has not asked for it. */
  assign(node: string, user: string): void {
    this.link.peer.send(UD_TRANSFER, this.grant(node, user), { destination: node });
  }

  /** 102 to the newest connection; what comes back is the new state, of nobody. */
  async revoke(
    user: string | undefined,
    more: { readonly deadline?: number; readonly to?: string } = {},
  ): Promise<Transfer> {
    const kept = this.of(user);
    const { peer } = this.link;
    const body = { ...userOf(user), epoch: kept.epoch, ...more };
    const answer = await peer.call(UD_REVOKE, body, { destination: peer.record?.node });
    if (kept.epoch === answer.epoch) Object.assign(kept, { doc: answer.userData, owner: null, epoch: kept.epoch + 1 });
    return answer;
  }

  /** How many packages of that scope came. */
  count(scope: number): number {
    return this.heard.filter(({ header }) => header.scope === scope).length;
  }

  #stale(body: Transfer, ctx: Pick<Context<typeof UD_TRANSFER>, 'refuse'>): ReturnType<typeof ctx.refuse> {
    this.conflicts.push(body);
    return ctx.refuse('stale_epoch');
  }

  #carry(connection: Connection<undefined>): void {
    const link: Link = carryPackages(connection, {
      router: this.router,
      signer: (to) => this.#signers.get(to?.kid ?? '') ?? this.#own,
      keys: this.#ring,
      now,
      wall,
      random: (size) => nodeSuite.random(size),
      pace: (paced) => new Pacer(paced),
      data: undefined,
      events: {
        heard: (incoming) => {
          this.heard.push(incoming);
          if (incoming.op === 1) this.greet?.(link);
        },
        failed: (error) => this.errors.push(error),
      },
    });
    this.links.push(link);
  }
}

const userOf = (user: string | undefined): { readonly user?: string } => (user === undefined ? {} : { user });
