// What handlers, callers and a dispatch see of a peer, as types. The scope that is named decides what a body and an answer are: a wrong body, a
// wrong answer, a call of a scope that nobody answers, and a number in the place of a scope do not compile. PROTOCOL.md section 8.5.
import type { PackageCode, PackageFault } from './codes.js';
import type { Step } from './compose.js';
import type {
  Claims,
  Grant,
  JsonObject,
  KeyRecord,
  Package,
  PackageFooter,
  PackageHeader,
  Role,
  SenderRole,
} from './package.js';
import type { AnyScope, BodyOf, ReplyOf, SentBodyOf, SentReplyOf } from './scope.js';

/** A package that came and passed all of section 8.4 up to its rate. */
export interface Incoming {
  readonly header: PackageHeader;
  /** As it came: what is forwarded. Handlers get what the schema made of it. */
  readonly body: JsonObject | undefined;
  readonly footer: PackageFooter | undefined;
  readonly claims: Claims;
  /** Whose key signed this hop. */
  readonly record: KeyRecord;
  /** Who sent it first. */
  readonly from: string;
  /** In which role, as its key or the dispatch says; undefined: a dispatch forwards it that does not say. */
  readonly role: Role | undefined;
  /** Monotonic ms. */
  readonly receivedAt: number;
  /** The how manyth of this peer. */
  readonly op: number;
}

export interface SendOptions {
  /** Absent: the node at the other end. */
  readonly destination?: string | undefined;
  /** On whose behalf: both or neither. */
  readonly user?: string | undefined;
  readonly channel?: string | undefined;
  /** ms the package is good for, at most 300,000. */
  readonly timeout?: number | undefined;
  /** Footer fields that the answer should have: `dt`, `op`, `delay`. */
  readonly footerInclude?: readonly string[] | undefined;
}

export interface CallOptions extends SendOptions {
  readonly signal?: AbortSignal | undefined;
}

/** An answer with what came beside its body. */
export interface Answer<Reply> {
  readonly body: Reply;
  readonly footer: PackageFooter | undefined;
  readonly claims: Claims;
  /** Who answered. */
  readonly from: string;
}

/** Body and options: a scope without a body takes none. */
export type Arguments<S extends AnyScope, Options> = [SentBodyOf<S>] extends [undefined]
  ? [body?: undefined, options?: Options]
  : [body: SentBodyOf<S>, options?: Options];

/** Only what is answered can be called. */
export type Answered<S extends AnyScope> = [ReplyOf<S>] extends [never]
  ? 'nobody answers this scope: send it instead of calling it'
  : S;

/** What a dispatch passes on: it was checked when it came, and is signed as it is. */
export interface Outgoing {
  readonly header: PackageHeader;
  readonly body?: JsonObject | undefined;
  readonly footer?: PackageFooter | undefined;
  readonly org?: string | undefined;
  readonly rol?: SenderRole | undefined;
  readonly re?: string | undefined;
  /** Seconds since 1970: the deadline travels along. */
  readonly exp: number;
  /** When it was signed first; absent: it is our own. */
  readonly iat?: number | undefined;
}

/** Numbers that only grow. */
export interface PeerCounters {
  received: number;
  sent: number;
  /** Answers that found their call. */
  answers: number;
  /** Answers that nobody waits for, dropped. */
  stray: number;
  /** Packages that were passed to `route` and taken. */
  taken: number;
  /** Handlers that failed, and answers of ours that were not valid. */
  failed: number;
  /** Packages refused, by their codes. */
  readonly faults: Partial<Record<PackageCode, number>>;
}

/** One node at the other end of one connection or session. */
export interface PeerFace<Data = unknown> {
  readonly data: Data;
  readonly state: 'open' | 'ended';
  /** Whose first valid token this peer is bound to; undefined before it came. */
  readonly record: KeyRecord | undefined;
  /** Resolves with the answer's body; rejects with a PackageError, or a TypeError when the body is not what the scope says. */
  call<S extends AnyScope>(scope: S & Answered<S>, ...rest: Arguments<S, CallOptions>): Promise<ReplyOf<S>>;
  /** The same with all that came. */
  ask<S extends AnyScope>(scope: S & Answered<S>, ...rest: Arguments<S, CallOptions>): Promise<Answer<ReplyOf<S>>>;
  /** One way; the package's jti. Throws a TypeError when the body is not what the scope says. */
  send<S extends AnyScope>(scope: S, ...rest: Arguments<S, SendOptions>): string;
  /** Signs and sends as it is; its jti, or undefined when its time is over or the peer is gone. RangeError: it became too long. */
  forward(outgoing: Outgoing): string | undefined;
  /** Answers later, with an ERROR, what `route` took. */
  refuse(incoming: Pick<Incoming, 'header' | 'claims'>, fault: PackageFault): void;
  /** All calls are lost, and the connection is closed. */
  end(code: number, reason: string): void;
  counters(): Readonly<PeerCounters>;
}

declare const replied: unique symbol;
/** What `ctx.reply` and `ctx.refuse` return: the package has its answer. */
export interface Replied {
  readonly [replied]: true;
}

/** What a handler gets beside the body. */
export interface Context<S extends AnyScope = AnyScope, Data = unknown> {
  readonly scope: AnyScope;
  readonly incoming: Incoming;
  readonly pkg: Package;
  readonly header: PackageHeader;
  readonly footer: PackageFooter | undefined;
  readonly claims: Claims;
  readonly peer: PeerFace<Data>;
  /** What the embedder keeps with the peer. */
  readonly data: Data;
  /** Who sent it first. */
  readonly from: string;
  /** In which role: what a dispatch forwards has its sender's, while `grant` is the dispatch's. Undefined: nobody says. */
  readonly role: Role | undefined;
  /** Who signed this hop, and what he may do. */
  readonly grant: Grant;
  /** Aborted when the peer is gone, or when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** At most once, and not beside a returned answer: `return ctx.reply(body)`. */
  reply(body: SentReplyOf<S>): Replied;
  /** An ERROR instead of an answer: `return ctx.refuse('forbidden')`. */
  refuse(what: PackageCode | PackageFault): Replied;
  /** ms in which the sender must not send the next package of this scope: told with the answer. */
  delay(ms: number): void;
}

/** What a handler may return: the body of the answer. Where nobody answers, whatever it is, it is not looked at. */
export type Outcome<S extends AnyScope> = [SentReplyOf<S>] extends [never]
  ? unknown
  : [SentReplyOf<S>] extends [undefined]
    ? // biome-ignore lint/suspicious/noConfusingVoidType: the result of a function that returns nothing
      void | undefined | Replied
    : SentReplyOf<S> | Replied;

export type Handler<S extends AnyScope = AnyScope, Data = unknown> = (
  body: BodyOf<S>,
  ctx: Context<S, Data>,
) => Outcome<S> | PromiseLike<Outcome<S>>;

/** Around every handler: returns what `next()` returned, or refuses. */
export type Middleware<Data = unknown> = Step<Context<AnyScope, Data>>;
