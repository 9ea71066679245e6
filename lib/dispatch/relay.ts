// Between two dispatches: a package → a signed token in an envelope on the bus, and back. What comes is judged as a token of a node is, by the
// keys of the dispatches: signed, fresh, and seen for the first time, so that a bus which delivers twice or late does no harm. At most four
// dispatches, then it is told undeliverable. At most once: what the bus loses, its sender misses when its time is over. PROTOCOL.md
// sections 8.2 and 8.4; HOSTILE 74, 78 and 81.

import { toBase64url } from '../bytes/base64url.js';
import { textOf } from '../fault.js';
import { type PackageFault, packageFault } from '../package/codes.js';
import { ERROR } from '../package/core-scopes.js';
import { writeError } from '../package/error-body.js';
import { writeFooter } from '../package/footer.js';
import { TOKEN_TTL } from '../package/limits.js';
import { Outbound, type OutboundSettings } from '../package/outbound.js';
import type { Claims, KeySource, PackageHeader, Signer } from '../package/package.js';
import type { Outgoing } from '../package/peer-types.js';
import { roleOf } from '../package/permission.js';
import { ReplayCache } from '../package/replay.js';
import { checkFooter, checkHeader } from '../package/schema.js';
import { judgeToken } from '../package/token.js';
import type { Traveller } from './dispatch-types.js';
import type { Bus, BusMessage } from './ports.js';

export const MAX_HOPS = 4;
/** Runs of jtis: each dispatch has one. */
const MOST_RUNS = 10_000;
const GONE = packageFault('unknown_destination');

export interface RelayHost {
  /** An answer; or a package for a node. False: that node is not here. */
  arrived(traveller: Traveller, from: string): boolean;
  readonly failed: (error: Error) => void;
  /** What is on the bus and does not belong there. */
  rejected(fault: PackageFault): void;
}

export interface RelaySettings extends Pick<OutboundSettings, 'wall' | 'random' | 'audience'> {
  readonly bus: Bus;
  readonly signer: Signer;
  /** Those of the dispatches, our own among them. */
  readonly keys: KeySource;
}

export class Relay {
  /** Ours on the bus: no node is called so. */
  readonly address: string;
  readonly #settings: RelaySettings;
  readonly #host: RelayHost;
  readonly #outbound: Outbound;
  readonly #replay: ReplayCache;
  readonly #attached = new Map<string, () => void>();

  constructor(settings: RelaySettings, host: RelayHost) {
    this.#settings = settings;
    this.#host = host;
    this.#outbound = new Outbound(settings);
    this.#replay = new ReplayCache(settings.wall(), { perIssuer: MOST_RUNS });
    this.address = `@${toBase64url(settings.random(12))}`;
    this.#attach(this.address);
  }

  /** It is here. */
  join(node: string): void {
    this.#attach(node);
  }

  leave(node: string): void {
    this.#attached.get(node)?.();
    this.#attached.delete(node);
  }

  close(): void {
    for (const detach of this.#attached.values()) detach();
    this.#attached.clear();
  }

  /** Its jti; undefined: its time is over. `undelivered`: nobody has it. A RangeError when it is too long. */
  send(to: string, outgoing: Outgoing, undelivered?: (jti: string) => void): string | undefined {
    const { header, body, footer, org, rol, re, exp, iat } = outgoing;
    const t = this.#settings.wall();
    const pkg = { header, ...(body === undefined ? {} : { body }), footer: footer ?? writeFooter(undefined, { t }) };
    const jti = this.#outbound.jti();
    const token = this.#outbound.sign({ pkg, exp, iat, jti, re, org, rol }, undefined);
    if (token === undefined) return undefined;
    this.#deliver(to, { token, hops: 1, from: this.address }, () => undelivered?.(jti));
    return jti;
  }

  /** To the dispatch that asks. */
  refuse(
    address: string,
    asked: { readonly header: PackageHeader; readonly claims: Claims },
    fault: PackageFault,
  ): void {
    const t = this.#settings.wall();
    this.send(address, {
      header: { scope: ERROR.id, internal: true, body: true },
      body: writeError(fault, asked.header.scope),
      footer: writeFooter(undefined, { t, delay: fault.delay }),
      re: asked.claims.jti,
      exp: this.#outbound.expiry(TOKEN_TTL * 1000),
    });
  }

  #attach(name: string): void {
    this.leave(name);
    const detach = this.#settings.bus.attach(name, (message) => this.#receive(message));
    this.#attached.set(name, detach);
  }

  #receive(message: BusMessage): void {
    const judged = judgeToken(message.token, this.#settings.keys, { ...this.#settings, replay: this.#replay });
    if (judged.kind === 'package-fault') return this.#host.rejected(judged);
    const { claims, record } = judged;
    if (record.role !== 'dispatch') return this.#host.rejected(packageFault('bad_token', { detail: record.node }));
    const header = checkHeader(judged.header, judged.body !== undefined);
    if ('kind' in header) return this.#host.rejected(header);
    const footer = checkFooter(judged.footer);
    if (footer !== undefined && 'kind' in footer) return this.#host.rejected(footer);
    const traveller = {
      header,
      body: judged.body as Traveller['body'],
      footer,
      claims,
      from: claims.org ?? claims.iss,
      role: roleOf(record, claims),
    };
    if (this.#host.arrived(traveller, message.from)) return;
    const { destination } = header;
    if (destination === undefined) return;
    // It was here a moment ago: the bus may know better by now, and must not come back to us.
    this.leave(destination);
    if (message.hops >= MAX_HOPS) this.#undeliverable(message, traveller);
    else
      this.#deliver(destination, { ...message, hops: message.hops + 1 }, () => this.#undeliverable(message, traveller));
  }

  #undeliverable({ from }: BusMessage, traveller: Traveller): void {
    this.refuse(from, traveller, GONE);
  }

  /** `undelivered` is never called from within: who sends has not written down yet what he sends. */
  #deliver(to: string, message: BusMessage, undelivered: () => void): void {
    const { bus } = this.#settings;
    const deliver = async (): Promise<boolean> => bus.deliver(to, message);
    deliver().then(
      (taken) => (taken ? undefined : undelivered()),
      (reason: unknown) => {
        this.#host.failed(reason instanceof Error ? reason : new Error(textOf(reason)));
        undelivered();
      },
    );
  }
}
