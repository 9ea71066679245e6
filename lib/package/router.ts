// Scopes and who is asked about them: a Map from the number to a handler, with everything around it composed once. One router may serve many
// peers. Knows no peer, no token and no clock. PROTOCOL.md section 8.5.
import type { Rate } from '../bytes/rate.js';
import { compose } from './compose.js';
import type { Role } from './package.js';
import type { Context, Handler, Middleware } from './peer-types.js';
import { type AnyScope, type BodySchema, defineScope, type ReplyElsewhere, type ScopeDefinition } from './scope.js';
import { ScopeTable } from './scope-table.js';

export interface RouteOptions {
  /** Who may send it, besides what the scope says. Of what a dispatch forwards, the role of its sender. */
  readonly roles?: readonly Role[];
  /** Instead of the scope's own limit. */
  readonly limit?: Rate;
  /**
   * Its handler waits for other nodes, so it is not one of the `maxConcurrent`: else who waits would keep off those it waits for. Who says so
   * bounds it himself.
   */
  readonly waits?: boolean;
}

export type ReplyGiven = BodySchema | ReplyElsewhere | undefined;

/** A scope that is declared where it is handled. */
export interface RouteDefinition<Body extends BodySchema | undefined, Reply extends ReplyGiven>
  extends Omit<ScopeDefinition<Body, Reply>, 'id' | 'name' | 'roles' | 'limit'>,
    RouteOptions {
  readonly name?: string;
}

export interface Route<Data> {
  readonly scope: AnyScope;
  readonly roles: readonly Role[] | undefined;
  readonly limit: Rate | undefined;
  readonly waits: boolean;
  /** The middleware and the handler in it. */
  run(body: unknown, ctx: Context<AnyScope, Data>): unknown;
}

type LooseHandler<Data> = (body: unknown, ctx: Context<AnyScope, Data>) => unknown;

export class Router<Data = unknown> {
  #table = new ScopeTable();
  readonly #routes = new Map<number, Route<Data>>();
  readonly #middleware: Middleware<Data>[] = [];

  /** Throws for a number that is not free, or has a handler already. */
  on<S extends AnyScope>(scope: S, handler: Handler<S, Data>): this;
  on<S extends AnyScope>(scope: S, options: RouteOptions, handler: Handler<S, Data>): this;
  on<const Body extends BodySchema | undefined = undefined, const Reply extends ReplyGiven = undefined>(
    id: number,
    definition: RouteDefinition<Body, Reply>,
    handler: Handler<ReturnType<typeof defineScope<Body, Reply>>, Data>,
  ): this;
  on(
    scope: AnyScope | number,
    options: RouteOptions | RouteDefinition<BodySchema | undefined, ReplyGiven> | LooseHandler<Data>,
    handler?: LooseHandler<Data>,
  ): this {
    const last = typeof options === 'function' ? options : handler;
    const told = typeof options === 'function' ? {} : options;
    if (typeof last !== 'function') throw new TypeError('a handler must be a function');
    if (typeof scope === 'number') {
      const { waits: _, ...rest } = told as RouteDefinition<BodySchema | undefined, ReplyGiven>;
      return this.#add(defineScope({ name: `scope ${scope}`, ...rest, id: scope }), told, last);
    }
    return this.#add(scope, told, last);
  }

  /** Known and checked, without a handler: what is only forwarded. */
  declare(...scopes: readonly AnyScope[]): this {
    for (const scope of scopes) this.#table.add(scope);
    return this;
  }

  /** Replaces all that is declared without a handler. Throws, and changes nothing, where a number is taken. */
  redeclare(scopes: Iterable<AnyScope>): this {
    const table = new ScopeTable([...this.#routes.values()].map(({ scope }) => scope));
    for (const scope of scopes) if (table.get(scope.id) !== scope) table.add(scope);
    this.#table = table;
    return this;
  }

  /** Runs around every handler, also around those that are there already, in the order of use. */
  use(middleware: Middleware<Data>): this {
    if (typeof middleware !== 'function') throw new TypeError('a middleware must be a function');
    this.#middleware.push(middleware);
    for (const route of this.#routes.values()) (route as Composed<Data>).compose(this.#middleware);
    return this;
  }

  /** The handler of a scope. */
  find(id: number): Route<Data> | undefined {
    return this.#routes.get(id);
  }

  /** A scope that is known, with a handler or without. */
  scope(id: number): AnyScope | undefined {
    return this.#table.get(id);
  }

  /** The answer of another scope that is known. */
  isReply(id: number): boolean {
    return this.#table.isReply(id);
  }

  /** By number; those of the protocol too. */
  list(): readonly AnyScope[] {
    return this.#table.list();
  }

  #add(scope: AnyScope, options: RouteOptions, handler: LooseHandler<Data>): this {
    const taken = this.#routes.get(scope.id)?.scope;
    if (taken !== undefined) throw new RangeError(`scope ${taken.id} (${taken.name}) has a handler already`);
    // One that was declared before is the same object.
    if (this.#table.get(scope.id) !== scope) this.#table.add(scope);
    this.#routes.set(scope.id, new Composed(scope, options, handler, this.#middleware));
    return this;
  }
}

class Composed<Data> implements Route<Data> {
  readonly scope: AnyScope;
  readonly roles: readonly Role[] | undefined;
  readonly limit: Rate | undefined;
  readonly waits: boolean;
  readonly #handler: LooseHandler<Data>;
  #around: ((call: Call<Data>) => unknown) | undefined;

  constructor(
    scope: AnyScope,
    { roles, limit = scope.limit, waits = false }: RouteOptions,
    handler: LooseHandler<Data>,
    middleware: readonly Middleware<Data>[],
  ) {
    this.scope = scope;
    this.roles = roles;
    this.limit = limit;
    this.waits = waits;
    this.#handler = handler;
    this.compose(middleware);
  }

  compose(middleware: readonly Middleware<Data>[]): void {
    if (middleware.length === 0) return;
    const steps = middleware.map((step) => (call: Call<Data>, next: () => unknown) => step(call.ctx, next));
    this.#around = compose(steps, ({ body, ctx }) => this.#handler(body, ctx));
  }

  run(body: unknown, ctx: Context<AnyScope, Data>): unknown {
    return this.#around === undefined ? this.#handler(body, ctx) : this.#around({ body, ctx });
  }
}

interface Call<Data> {
  readonly body: unknown;
  readonly ctx: Context<AnyScope, Data>;
}
