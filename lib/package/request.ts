// One package and its handler → exactly one answer, or none where nobody answers. This is the context that handlers get. What the handler
// returns, or how it fails, is decided here; what is written is the peer's. PROTOCOL.md sections 8.4 and 8.5.
import { textOf } from '../fault.js';
import { type PackageCode, type PackageFault, packageFault } from './codes.js';
import { PackageError, Refusal } from './errors.js';
import type { Claims, Grant, Package, PackageFooter, PackageHeader, Role } from './package.js';
import type { Context, Incoming, PeerFace, Replied } from './peer-types.js';
import type { Route } from './router.js';
import type { AnyScope } from './scope.js';

export interface RequestPort<Data> {
  readonly face: PeerFace<Data>;
  readonly data: Data;
  /** The answer's body is checked there. */
  reply(request: Request<Data>, body: unknown): void;
  refuse(request: Request<Data>, fault: PackageFault): void;
  failed(error: Error, incoming: Incoming): void;
  /** Somebody looks at its signal: it must be aborted in time. False: the peer is gone. */
  watch(request: Request<Data>): boolean;
  unwatch(request: Request<Data>): void;
}

const REPLIED = Object.freeze({}) as Replied;

export class Request<Data> implements Context<AnyScope, Data> {
  readonly incoming: Incoming;
  /** Asked for by `delay`. */
  wished = 0;
  readonly #port: RequestPort<Data>;
  readonly #route: Route<Data>;
  readonly #body: unknown;
  #abort: AbortController | undefined;
  /** It has its answer. */
  #settled = false;

  constructor(port: RequestPort<Data>, route: Route<Data>, incoming: Incoming, body: unknown) {
    this.#port = port;
    this.#route = route;
    this.incoming = incoming;
    this.#body = body;
  }

  get scope(): AnyScope {
    return this.#route.scope;
  }

  get pkg(): Package {
    const { header, body, footer } = this.incoming;
    return { header, ...(body === undefined ? {} : { body }), ...(footer === undefined ? {} : { footer }) };
  }

  get header(): PackageHeader {
    return this.incoming.header;
  }

  get footer(): PackageFooter | undefined {
    return this.incoming.footer;
  }

  get claims(): Claims {
    return this.incoming.claims;
  }

  get from(): string {
    return this.incoming.from;
  }

  get role(): Role | undefined {
    return this.incoming.role;
  }

  get grant(): Grant {
    return this.incoming.record;
  }

  get peer(): PeerFace<Data> {
    return this.#port.face;
  }

  get data(): Data {
    return this.#port.data;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (!this.#settled && !this.#port.watch(this)) this.abort('lost');
    }
    return this.#abort.signal;
  }

  /** Monotonic ms. How long it holds, from when it came: clocks of others may be off by half a minute. */
  get deadline(): number {
    const { iat, exp } = this.claims;
    return this.incoming.receivedAt + (exp - iat) * 1000;
  }

  reply = (body?: unknown): Replied => {
    if (this.scope.reply === undefined) throw new TypeError(`nobody answers scope ${this.scope.id}`);
    this.#settle();
    this.#port.reply(this, body);
    return REPLIED;
  };

  refuse = (what: PackageCode | PackageFault): Replied => {
    this.#settle();
    this.#port.refuse(this, typeof what === 'string' ? packageFault(what) : what);
    return REPLIED;
  };

  delay = (ms: number): void => {
    if (!(ms >= 0)) throw new RangeError(`a delay is a number of ms, not ${ms}`);
    this.wished = ms;
  };

  /** Runs the handler. Undefined: it is done. */
  run(): PromiseLike<void> | undefined {
    try {
      const value = this.#route.run(this.#body, this);
      if (!isThenable(value)) return this.#finish(value);
      return value.then(
        (settled) => this.#finish(settled),
        (reason: unknown) => this.#fail(reason),
      );
    } catch (reason) {
      return this.#fail(reason);
    }
  }

  abort(code: 'lost' | 'timeout'): void {
    this.#abort?.abort(new PackageError(code, { scope: this.scope.id }));
  }

  #settle(): void {
    if (this.#settled) throw new TypeError(`a package of scope ${this.scope.id} was answered twice`);
    this.#settled = true;
    if (this.#abort !== undefined) this.#port.unwatch(this);
  }

  #finish(value: unknown): undefined {
    if (this.#settled) {
      if (value !== undefined && value !== REPLIED) {
        this.#fail(new TypeError(`a handler of scope ${this.scope.id} answered, and returned another answer`));
      }
    } else if (this.scope.reply === undefined) this.#settle();
    else if (value === REPLIED) this.#fail(new TypeError('a handler returned the answer of another package'));
    else this.reply(value);
    return undefined;
  }

  #fail(reason: unknown): undefined {
    const refused = reason instanceof Refusal && !this.#settled;
    if (!refused) this.#port.failed(reason instanceof Error ? reason : new Error(textOf(reason)), this.incoming);
    if (!this.#settled) this.refuse(refused ? reason.fault : 'internal');
    return undefined;
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
