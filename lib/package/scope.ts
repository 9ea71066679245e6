// What a scope is: its number, its name, the schemas of its body and of its answer, and who may send it how often. `defineScope` gives
// handlers and callers their types; nothing is cast. What a package says is checked here against its scope. PROTOCOL.md sections 8.5 and 9.
//
// On the wire is what a schema takes (its input); who receives it gets what the schema gives (its output). So a schema may transform, and the
// sender gives, and is checked against, the plain JSON.
import type { $ZodType, input, output } from 'zod/v4/core';
import { type PackageFault, packageFault } from './codes.js';
import { uncleanPath } from './escape.js';
import { checkWith, clipPath } from './issues.js';
import type { Lengths } from './lengths.js';
import type { Role } from './package.js';
import { isObject } from './schema.js';

/** A schema of zod or zod/mini for a body: what it takes is an object. */
export type BodySchema = $ZodType<unknown, object>;

/** So many packages of the scope a peer may send: on average, and at once. */
export interface ScopeLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** The answer comes as another scope. */
export interface ReplyElsewhere<Body extends BodySchema | undefined = BodySchema | undefined> {
  readonly scope: number;
  /** Absent: the answer has no body. */
  readonly body?: Body;
}

type ReplyGiven = BodySchema | ReplyElsewhere | undefined;

export interface ScopeDefinition<Body extends BodySchema | undefined, Reply extends ReplyGiven> {
  /** From 1000 on; the same on both sides. */
  readonly id: number;
  readonly name: string;
  /** Absent: packages of this scope have no body. */
  readonly body?: Body;
  /** Absent: nobody answers. A schema: the answer has the same scope. */
  readonly reply?: Reply;
  /** Fixed lengths of texts in the body. */
  readonly lengths?: Lengths;
  /** Who may send it unasked. Absent: every node. */
  readonly roles?: readonly Role[];
  readonly limit?: ScopeLimit;
}

/** What the four places of a scope hold. Only a type: no scope has such a member. */
interface ScopeTypes<Body, Reply, SentBody, SentReply> {
  readonly body: Body;
  readonly reply: Reply;
  readonly sentBody: SentBody;
  readonly sentReply: SentReply;
}

/** The answer of a scope, whatever way it was given. */
export interface ScopeReply {
  readonly scope: number;
  readonly body: BodySchema | undefined;
}

/**
 * `Body`: what a handler gets. `Reply`: what a caller gets. `SentBody`, `SentReply`: what they give. Undefined: no body; never: no answer.
 */
export interface Scope<Body = unknown, Reply = unknown, SentBody = Body, SentReply = Reply> {
  readonly id: number;
  readonly name: string;
  readonly body: BodySchema | undefined;
  /** Undefined: never answered. */
  readonly reply: ScopeReply | undefined;
  readonly lengths: Lengths | undefined;
  readonly roles: readonly Role[] | undefined;
  readonly limit: ScopeLimit | undefined;
  readonly types?: ScopeTypes<Body, Reply, SentBody, SentReply>;
}

export type AnyScope = Scope<unknown, unknown, unknown, unknown>;

type TypesOf<S extends AnyScope> = NonNullable<S['types']>;
/** What a handler of the scope gets. */
export type BodyOf<S extends AnyScope> = TypesOf<S>['body'];
/** What a caller of the scope gets. */
export type ReplyOf<S extends AnyScope> = TypesOf<S>['reply'];
/** What a caller gives. */
export type SentBodyOf<S extends AnyScope> = TypesOf<S>['sentBody'];
/** What a handler gives back. */
export type SentReplyOf<S extends AnyScope> = TypesOf<S>['sentReply'];

type Out<S> = S extends $ZodType ? output<S> : undefined;
type In<S> = S extends $ZodType ? input<S> : undefined;
type ReplySchema<R> = R extends $ZodType ? R : R extends { readonly body: infer B } ? B : undefined;
type ReplyOut<R> = R extends undefined ? never : Out<ReplySchema<R>>;
type ReplyIn<R> = R extends undefined ? never : In<ReplySchema<R>>;

/** The first scope of an embedder. */
export const FIRST_OWN_SCOPE = 1000;

/** Throws for a number that is not the embedder's, and for what no scope can be. */
export const defineScope = <
  const Body extends BodySchema | undefined = undefined,
  const Reply extends ReplyGiven = undefined,
>(
  definition: ScopeDefinition<Body, Reply>,
): Scope<Out<Body>, ReplyOut<Reply>, In<Body>, ReplyIn<Reply>> => {
  const { id, name } = definition;
  if (!Number.isSafeInteger(id) || id < 0) throw new RangeError(`a scope is a whole number, not ${id}`);
  if (id < FIRST_OWN_SCOPE) {
    throw new RangeError(`scope ${id} (${name}) is not free: your own begin at ${FIRST_OWN_SCOPE}`);
  }
  return makeScope(definition);
};

/** The same for every number: the scopes of the protocol are made with it. */
export const makeScope = <
  const Body extends BodySchema | undefined = undefined,
  const Reply extends ReplyGiven = undefined,
>(
  definition: ScopeDefinition<Body, Reply>,
): Scope<Out<Body>, ReplyOut<Reply>, In<Body>, ReplyIn<Reply>> => {
  const { id, name, body, reply, lengths, roles, limit } = definition;
  if (typeof name !== 'string' || name === '') throw new TypeError(`scope ${id} needs a name`);
  if (body !== undefined && !isSchema(body)) throw new TypeError(`scope ${id} (${name}): body is no zod schema`);
  if (limit !== undefined && !(limit.perSecond > 0 && limit.burst >= 1)) {
    throw new RangeError(`scope ${id} (${name}): limit needs perSecond above 0 and burst of at least 1`);
  }
  return Object.freeze({ id, name, body, reply: replyOf(id, name, reply), lengths, roles, limit });
};

const isSchema = (value: unknown): value is BodySchema =>
  typeof value === 'object' && value !== null && '_zod' in value;

const replyOf = (id: number, name: string, reply: ReplyGiven): ScopeReply | undefined => {
  if (reply === undefined) return undefined;
  if (isSchema(reply)) return { scope: id, body: reply };
  const { scope, body } = reply;
  if (!Number.isSafeInteger(scope) || scope < 0 || (body !== undefined && !isSchema(body))) {
    throw new TypeError(`scope ${id} (${name}): reply is a zod schema, or { scope, body? }`);
  }
  return { scope, body };
};

export type CheckedBody = { readonly kind: 'body'; readonly body: unknown } | PackageFault;

/**
 * A body against its schema; no schema: there must be none. The result is what the schema gives. Faults are `bad_body` with issues, or
 * `internal` when the schema itself fails.
 */
export const checkBody = (schema: BodySchema | undefined, body: unknown): CheckedBody => {
  if (schema === undefined) {
    if (body === undefined) return { kind: 'body', body: undefined };
    return packageFault('bad_body', { issues: [{ path: ['body'], message: 'this scope has no body' }] });
  }
  const clean = checkAnyBody(body);
  if (clean !== undefined) return clean;
  const checked = checkWith(schema, body);
  if (checked.kind === 'value') return { kind: 'body', body: checked.value };
  if (checked.kind === 'broken') return packageFault('internal', { detail: `a schema failed: ${checked.error}` });
  return packageFault('bad_body', {
    issues: checked.issues.map(({ path, message }) => ({ path: clipPath(['body', ...path]), message })),
  });
};

/** What holds for every body, also where nobody knows the scope: an object, and its texts are clean. */
export const checkAnyBody = (body: unknown): PackageFault | undefined => {
  if (!isObject(body)) {
    const message = body === undefined ? 'is missing' : 'must be an object';
    return packageFault('bad_body', { issues: [{ path: ['body'], message }] });
  }
  const path = uncleanPath(body);
  if (path === undefined) return undefined;
  const message = 'has characters, or a name of a member, that are not allowed';
  return packageFault('bad_body', { issues: [{ path: clipPath(['body', ...path]), message }] });
};
