// A package for another node → signed anew and sent there, and its answer back to who has asked. Each goes to exactly one node; what cannot be
// delivered is told at once to who waits for it. Knows who is here and, by the relay, who is elsewhere; signs by their peers, stores nothing
// but what is pending. PROTOCOL.md sections 8.2 (hop by hop) and 9 (routing); HOSTILE 78.
import { type PackageFault, packageFault } from '../package/codes.js';
import { CLOCK_TOLERANCE } from '../package/limits.js';
import type { NodeLink, Nodes } from '../package/nodes.js';
import type { Outgoing } from '../package/peer-types.js';
import { isForwardable } from '../package/permission.js';
import type { AnyScope } from '../package/scope.js';
import type { ForwardingCounters, Traveller } from './dispatch-types.js';
import type { Asker, Entry, Pending } from './pending.js';
import type { Relay } from './relay.js';

export interface ForwardingGround {
  /** Our own id. */
  readonly self: string;
  readonly nodes: Nodes;
  readonly pending: Pending;
  /** Undefined: there are no other dispatches. */
  readonly relay: Relay | undefined;
  readonly counters: ForwardingCounters;
  readonly wall: () => number;
  /** Undefined: nobody declared it. */
  scope(id: number): AnyScope | undefined;
  /** A deadline came nearer. */
  readonly moved: () => void;
  readonly failed: (error: Error) => void;
}

/** ms a node is asked to wait while the other end takes nothing, or too much is pending. */
const BUSY_DELAY = 1_000;

const busy = (detail: string): PackageFault => packageFault('busy', { delay: BUSY_DELAY, detail });
const gone = (detail?: string): PackageFault => packageFault('unknown_destination', { detail });

export class Forwarding {
  readonly #ground: ForwardingGround;

  constructor(ground: ForwardingGround) {
    this.#ground = ground;
  }

  /** From a node that is here. 'taken': it is under way, and whatever becomes of it will be told. */
  pass(traveller: Traveller, link: NodeLink, node: string, now: number): 'taken' | PackageFault {
    const { nodes, pending, relay, counters } = this.#ground;
    const { header, claims } = traveller;
    const destination = header.destination as string;
    if (!isForwardable(header.scope)) {
      return packageFault('forbidden', { detail: `scope ${header.scope} is for the dispatch` });
    }
    const target = nodes.get(destination);
    if (target === undefined && relay === undefined) return this.#unknown(destination);
    if (target?.choked === true) return this.#busy(`${destination} takes nothing`);
    const loose = this.#ground.scope(header.scope)?.reply === undefined;
    if (!pending.hasRoom(node, loose)) return this.#busy(`too much of ${node} is pending`);
    const asker: Asker = { kind: 'node', node, link, header, claims };
    if (target !== undefined && target.peer.state !== 'open') return this.#unknown(destination);
    const sent = target === undefined ? this.#relay(traveller, asker) : this.#send(target, traveller);
    if (sent === undefined) return packageFault('token_expired');
    if (typeof sent !== 'string') return sent;
    this.#remember(sent, asker, destination, claims.exp, loose, now);
    counters.forwarded++;
    return 'taken';
  }

  /** From another dispatch, for a node that is here. False: it is not. */
  deliver(traveller: Traveller, address: string, now: number): boolean {
    const { nodes, counters } = this.#ground;
    const { header, claims } = traveller;
    const target = header.destination === undefined ? undefined : nodes.get(header.destination);
    const node = target?.peer.record?.node;
    if (target === undefined || node === undefined || target.peer.state !== 'open') return false;
    const asker: Asker = { kind: 'bus', address, header, claims };
    const sent = target.choked ? this.#busy(`${node} takes nothing`) : this.#send(target, traveller);
    // Over, and nobody waits.
    if (sent === undefined) return true;
    if (typeof sent !== 'string') this.refuse(asker, sent);
    else {
      this.#remember(sent, asker, node, claims.exp, true, now);
      counters.forwarded++;
    }
    return true;
  }

  /** An answer, or an ERROR, to what was passed on. */
  answer({ asker }: Entry, traveller: Traveller): void {
    const { relay, counters } = this.#ground;
    const { header, body, footer, claims } = traveller;
    // It is for who has asked, wherever that is.
    const { destination: _, ...bare } = header;
    counters.answered++;
    if (asker.kind === 'revoke') return;
    const { exp, iat } = claims;
    const outgoing = { header: bare, body, footer, ...this.#origin(traveller), re: asker.claims.jti, exp, iat };
    try {
      if (asker.kind === 'node') asker.link.peer.forward(outgoing);
      else relay?.send(asker.address, outgoing);
    } catch (reason) {
      // It grew by who gives it.
      if (reason instanceof RangeError) return this.refuse(asker, packageFault('too_long', { detail: reason.message }));
      this.#failed(reason);
      this.refuse(asker, packageFault('internal'));
    }
  }

  /** Who has asked will get no answer, and hears why. */
  refuse(asker: Asker, fault: PackageFault): void {
    if (asker.kind === 'node') asker.link.peer.refuse(asker, fault);
    else if (asker.kind === 'bus') this.#ground.relay?.refuse(asker.address, asker, fault);
  }

  /** The node is gone, or has come anew: what it was asked will not be answered. */
  lost(node: string): void {
    for (const { asker } of this.#ground.pending.takeOf(node)) this.refuse(asker, this.#unknown(node));
  }

  #send(target: NodeLink, traveller: Traveller): string | undefined | PackageFault {
    try {
      return target.peer.forward(this.#outgoing(traveller));
    } catch (reason) {
      // It grew by who sent it first, and was as long as it may be before.
      if (reason instanceof RangeError) return packageFault('too_long', { detail: reason.message });
      throw reason;
    }
  }

  #relay(traveller: Traveller, asker: Asker): string | undefined | PackageFault {
    const { relay, pending } = this.#ground;
    const { destination = '' } = traveller.header;
    try {
      return relay?.send(destination, this.#outgoing(traveller), (jti) => {
        if (pending.take(jti, undefined) !== undefined) this.refuse(asker, this.#unknown(destination));
      });
    } catch (reason) {
      if (reason instanceof RangeError) return packageFault('too_long', { detail: reason.message });
      throw reason;
    }
  }

  #remember(jti: string, asker: Asker, to: string, exp: number, loose: boolean, now: number): void {
    const { pending, wall, moved } = this.#ground;
    // Whole seconds, so that many are over at one time.
    const left = Math.max(0, exp + CLOCK_TOLERANCE - Math.floor(wall() / 1000));
    const deadline = (Math.ceil(now / 1000) + left) * 1000;
    const first = pending.deadline();
    pending.add({ jti, asker, to, deadline, loose });
    if (deadline < first) moved();
  }

  #unknown(node: string): PackageFault {
    this.#ground.counters.unknown++;
    return gone(node);
  }

  #busy(detail: string): PackageFault {
    this.#ground.counters.busy++;
    return busy(detail);
  }

  #failed(reason: unknown): void {
    this.#ground.failed(reason instanceof Error ? reason : new Error(String(reason)));
  }

  /** Section 8.2: the deadline and the sender travel along; of the footer what is still true. */
  #outgoing(traveller: Traveller): Outgoing {
    const { header, body, footer, claims } = traveller;
    const { exp, iat } = claims;
    return {
      header,
      body,
      footer: footer === undefined ? undefined : { t: footer.t },
      ...this.#origin(traveller),
      exp,
      iat,
    };
  }

  /** Section 8.2: who sent it first, and in which role, is ours to say. */
  #origin({ from, role }: Traveller): Pick<Outgoing, 'org' | 'rol'> {
    if (from === this.#ground.self) return {};
    return { org: from, rol: role === 'dispatch' ? undefined : role };
  }
}
