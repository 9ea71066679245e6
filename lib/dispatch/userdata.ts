// Packages of the scopes 100 to 104 ↔ the ownership machine: who asks for which document, whose answer that is, what is told to whom. The machine
// decides; this speaks for it. PROTOCOL.md sections 9 and 9.1.
import { type PackageCode, type PackageFault, packageFault } from '../package/codes.js';
import {
  type OwnershipRequest as AskBody,
  ERROR,
  type Save,
  type Saved,
  type Transfer,
  UD_REQ_OWNERSHIP,
  UD_REVOKE,
  UD_SAVE,
  UD_TRANSFER,
} from '../package/core-scopes.js';
import { CLOCK_TOLERANCE, MAX_NODE_WRITES, MAX_TOKEN_TTL } from '../package/limits.js';
import type { Nodes } from '../package/nodes.js';
import type { Claims, JsonObject } from '../package/package.js';
import type { Context, Incoming, Replied } from '../package/peer-types.js';
import type { Router } from '../package/router.js';
import type { OwnerChange } from './dispatch-types.js';
import type { EndpointTable } from './endpoints.js';
import { Ownership } from './ownership.js';
import {
  OWNERSHIP_DEFAULTS,
  type OwnershipGrant,
  type OwnershipRequest,
  type OwnershipSettings,
  type OwnershipSink,
  type OwnershipWrite,
  type RevokeTerms,
} from './ownership-types.js';
import type { Pending } from './pending.js';
import { keyOf, receiverOf, SHARED, userOf } from './permissions.js';
import type { ConflictCopy, Store } from './ports.js';
import type { Relay } from './relay.js';
import { Tally } from './tally.js';

/** A request, and who gets its answer. */
interface Asking extends OwnershipRequest {
  readonly asker: string;
  granted(grant: OwnershipGrant): void;
  refused(fault: PackageFault): void;
}

interface Writing extends OwnershipWrite {
  saved(at: { readonly epoch: number; readonly version: number }): void;
  refused(fault: PackageFault): void;
}

export interface UserDataGround {
  readonly nodes: Nodes;
  readonly pending: Pending;
  readonly relay: Relay | undefined;
  readonly endpoints: EndpointTable;
  readonly now: () => number;
  readonly wall: () => number;
  readonly moved: () => void;
  owner(change: OwnerChange): void;
  conflict(copy: ConflictCopy): void;
  readonly failed: (error: Error) => void;
}

/** Requests that one node may have open, of all documents together: who asks for more waits. */
const MOST_OPEN = 1_000;
const BUSY_DELAY = 1_000;
const WRITE_DELAY = 100;

const userOfKey = (key: string): string | undefined => (key === SHARED ? undefined : key);
const ofUser = (key: string): { readonly user?: string } => (key === SHARED ? {} : { user: key });
const faultOf = (code: PackageCode, delay: number | undefined): PackageFault => packageFault(code, { delay });

export class UserData implements OwnershipSink<Asking, Writing> {
  readonly ownership: Ownership<Asking, Writing>;
  readonly #ground: UserDataGround;
  readonly #lease: number;
  readonly #asking = new Tally(MOST_OPEN);
  readonly #writing = new Tally(MAX_NODE_WRITES);

  constructor(store: Store, ground: UserDataGround, settings: Partial<OwnershipSettings>) {
    this.#ground = ground;
    this.#lease = settings.lease ?? OWNERSHIP_DEFAULTS.lease;
    this.ownership = new Ownership(store, this, { wall: ground.wall, ...settings }, ground.now());
  }

  /**
   * Its handlers. A request waits for other nodes, and is bounded here. So are writes: what stands in no line behind handlers is with the
   * machine before anything that comes after it is answered, a PING above all.
   */
  serve(router: Router): void {
    router.on(UD_REQ_OWNERSHIP, { waits: true }, (body, ctx) => this.#ask(body, ctx));
    router.on(UD_SAVE, { waits: true }, (body, ctx) => this.#save(body, ctx));
    router.on(UD_TRANSFER, { waits: true }, (body, ctx) => this.#transfer(body, ctx));
  }

  /** The answer to a 102, or an ERROR about it. */
  answered(
    key: string,
    incoming: Pick<Incoming, 'header' | 'body' | 'claims' | 'from'>,
    refuse: (fault: PackageFault) => void,
  ): void {
    const { header, claims, from } = incoming;
    // It will not let go: then its lease ends.
    if (header.scope === ERROR.id) return;
    if (header.scope !== UD_TRANSFER.id) {
      const issue = { path: ['header', 'scope'], message: `must be ${UD_TRANSFER.id}` };
      return refuse(packageFault('bad_header', { issues: [issue] }));
    }
    const { userData, epoch, user } = incoming.body as unknown as Transfer;
    if (user !== undefined && user !== key) {
      const issue = { path: ['body', 'user'], message: 'must be that of the request' };
      return refuse(packageFault('bad_body', { issues: [issue] }));
    }
    this.#write({
      kind: 'transfer',
      key,
      node: from,
      epoch,
      doc: userData,
      re: claims.re,
      saved: () => {},
      refused: refuse,
    });
  }

  #ask(body: AskBody, ctx: Context<typeof UD_REQ_OWNERSHIP>): Promise<Transfer | Replied> | Replied {
    const { nodes, endpoints, now } = this.#ground;
    const { grant: asker, incoming } = ctx;
    const user = userOf(body, ctx.header);
    const node = receiverOf(body, user, asker, endpoints, nodes);
    if (typeof node !== 'string') return ctx.refuse(node);
    if (!this.#asking.enter(asker.node)) return ctx.refuse(packageFault('busy', { delay: BUSY_DELAY }));
    const key = keyOf(user);
    return new Promise((resolve) => {
      const done = (answer: Transfer | Replied): void => {
        this.#asking.leave(asker.node);
        resolve(answer);
      };
      const request: Asking = {
        key,
        node,
        asker: asker.node,
        deadline: incoming.receivedAt + lifeOf(ctx.claims),
        granted: ({ epoch, doc }) => done({ ...ofUser(key), epoch, userData: doc }),
        refused: (fault) => done(ctx.refuse(fault)),
      };
      this.ownership.request(request, now());
      this.#ground.moved();
    });
  }

  #save(body: Save, ctx: Context<typeof UD_SAVE>): Promise<Saved | Replied> | Replied {
    const { epoch, userData: doc } = body;
    const { node } = ctx.grant;
    const key = keyOf(userOf(body, ctx.header));
    if (!this.#writing.enter(node)) return ctx.refuse(packageFault('busy', { delay: WRITE_DELAY }));
    return new Promise((resolve) => {
      const done = (answer: Saved | Replied): void => {
        this.#writing.leave(node);
        resolve(answer);
      };
      this.#write({
        kind: 'save',
        key,
        node,
        epoch,
        doc,
        saved: ({ version }) => done({ ...ofUser(key), epoch, version }),
        refused: (fault) => done(ctx.refuse(fault)),
      });
    });
  }

  /** Unasked, or too late for its 102. */
  #transfer(body: Transfer, ctx: Context<typeof UD_TRANSFER>): Promise<void> | Replied {
    const { node } = ctx.grant;
    const key = keyOf(userOf(body, ctx.header));
    if (!this.#writing.enter(node)) return ctx.refuse(packageFault('busy', { delay: WRITE_DELAY }));
    return new Promise((resolve) => {
      const done = (): void => {
        this.#writing.leave(node);
        resolve();
      };
      this.#write({
        kind: 'transfer',
        key,
        node,
        epoch: body.epoch,
        doc: body.userData,
        re: ctx.claims.re,
        saved: done,
        refused: (fault) => {
          ctx.refuse(fault);
          done();
        },
      });
    });
  }

  #write(write: Writing): void {
    this.ownership.write(write, this.#ground.now());
    this.#ground.moved();
  }

  // ---- what the machine says

  revoke(owner: string, key: string, { epoch, to, deadline }: RevokeTerms): string | undefined {
    const { nodes, pending, relay, now, wall } = this.#ground;
    const body: JsonObject = { ...ofUser(key), epoch, to, deadline: Math.ceil(deadline) };
    const life = Math.min(deadline + this.#lease, MAX_TOKEN_TTL * 1000);
    // One key signs for all nodes: without a name, what is said to one could be said again to another.
    const header = { scope: UD_REVOKE.id, internal: true, body: true, destination: owner };
    const outgoing = { header, body, exp: Math.ceil((wall() + life) / 1000) };
    const link = nodes.get(owner);
    const jti = link === undefined ? relay?.send(owner, outgoing) : link.peer.forward(outgoing);
    if (jti === undefined) return undefined;
    const until = now() + life + CLOCK_TOLERANCE * 1000;
    pending.add({ jti, asker: { kind: 'revoke', key }, to: owner, deadline: until, loose: false });
    return jti;
  }

  granted(request: Asking, grant: OwnershipGrant): void {
    const { key, node, asker } = request;
    // Somebody else has asked: who shall work with it gets it unasked.
    if (node !== asker) this.#assign(node, key, grant);
    request.granted(grant);
    this.#ground.owner({ user: userOfKey(key), owner: node, epoch: grant.epoch });
  }

  saved(write: Writing, at: { readonly epoch: number; readonly version: number; readonly released: boolean }): void {
    write.saved(at);
    if (at.released) this.#ground.owner({ user: userOfKey(write.key), owner: null, epoch: at.epoch });
  }

  refused(ask: Asking | Writing, code: PackageCode, delay: number | undefined): void {
    ask.refused(faultOf(code, delay));
  }

  conflict(copy: ConflictCopy): void {
    this.#ground.conflict(copy);
  }

  failed(error: unknown, key: string): void {
    this.#ground.failed(new Error(`the store has failed with the document ${key}`, { cause: error }));
  }

  wake(): void {
    this.ownership.tick(this.#ground.now());
    this.#ground.moved();
  }

  #assign(node: string, key: string, { epoch, doc }: OwnershipGrant): void {
    const { nodes, relay, wall, failed } = this.#ground;
    const body: Transfer = { ...ofUser(key), epoch, userData: doc };
    const link = nodes.get(node);
    try {
      if (link !== undefined) link.peer.send(UD_TRANSFER, body, { destination: node });
      else {
        const header = { scope: UD_TRANSFER.id, internal: true, body: true, destination: node };
        relay?.send(node, { header, body: body as unknown as JsonObject, exp: Math.ceil(wall() / 1000) + 60 });
      }
    } catch (error) {
      // It is the owner until its lease ends, and gets the document when it asks.
      failed(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** ms a package is good for, from its receipt: clocks of others may be off by half a minute. */
const lifeOf = ({ iat, exp }: Claims): number => (exp - iat) * 1000;
