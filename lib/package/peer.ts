// One node at the other end of one connection or session, as a machine: texts in; texts, a close and the calls of handlers out. Runs the
// receive path in its order, answers what is wrong, and holds what waits: calls, delays, handlers. Owns no socket, no clock and no timer.
// Kinds of methods: driver (receive, tick, lost; they carry the time), reading (deadline, pressure, counters), commands (call, ask, send,
// forward, refuse, end; handlers and users call them at any time, so these ask the clock they were given). PROTOCOL.md sections 8 and 9.
import { textOf } from '../fault.js';
import { Answers, type Refused } from './answers.js';
import { type Arrived, checkAnswer, checkArrived, fromOf } from './arrival.js';
import { Calls, type PendingCall } from './calls.js';
import { describeFault, type PackageFault, packageFault } from './codes.js';
import { ERROR, PING } from './core-scopes.js';
import { readError } from './error-body.js';
import { PackageError } from './errors.js';
import { writeFooter } from './footer.js';
import { Line } from './line.js';
import { Outbound } from './outbound.js';
import type { Claims, JsonObject, KeyRecord, Package } from './package.js';
import { BUSY_DELAY, limitsOf } from './peer-limits.js';
import type { PeerSettings, PeerSink } from './peer-settings.js';
import type {
  Answer,
  Answered,
  Arguments,
  CallOptions,
  Incoming,
  Outgoing,
  PeerCounters,
  PeerFace,
  SendOptions,
} from './peer-types.js';
import { roleOf } from './permission.js';
import { Rates } from './rates.js';
import { Request, type RequestPort } from './request.js';
import type { Route } from './router.js';
import { checkFooter, checkHeader } from './schema.js';
import { type AnyScope, checkBody, type ReplyOf } from './scope.js';
import { Timeouts } from './timeouts.js';
import { judgeToken, type Terms } from './token.js';

export class Peer<Data = unknown> implements PeerFace<Data> {
  readonly #settings: PeerSettings<Data>;
  readonly #sink: PeerSink;
  readonly #terms: Terms;
  readonly #outbound: Outbound;
  readonly #calls: Calls;
  readonly #answers: Answers;
  readonly #line: Line;
  readonly #requests: RequestPort<Data>;
  readonly #rates: Rates;
  /** Requests whose signal somebody looks at. */
  readonly #watched: Timeouts<Request<Data>, Request<Data>> = new Timeouts();
  readonly #counters: PeerCounters = { received: 0, sent: 0, answers: 0, stray: 0, taken: 0, failed: 0, faults: {} };
  #record: KeyRecord | undefined;
  #op = 0;
  #pressed = false;
  #ended = false;

  constructor(settings: PeerSettings<Data>, sink: PeerSink) {
    const { audience, replay, rates = new Rates() } = settings;
    const limits = limitsOf(settings);
    this.#settings = settings;
    this.#rates = rates;
    this.#sink = sink;
    this.#terms = { audience, replay, wall: () => settings.wall(), asked: (re) => this.#calls.get(re) !== undefined };
    this.#outbound = new Outbound(settings);
    const port = {
      record: () => this.#record,
      ended: () => this.#ended,
      now: () => settings.now(),
      wall: () => settings.wall(),
      transmit: (token: string) => this.#transmit(token),
      changed: () => this.#changed(),
      failed: (error: Error) => this.#failed(error, undefined),
    };
    this.#calls = new Calls(port, this.#outbound, limits.calls);
    this.#answers = new Answers(port, this.#outbound);
    this.#requests = {
      face: this,
      data: settings.data,
      reply: (request, body) => this.#reply(request.incoming, request.scope, body, request.wished),
      refuse: ({ incoming, wished }, fault) =>
        this.#refuse(incoming, { ...fault, delay: fault.delay ?? (wished || undefined) }),
      failed: (error, incoming) => this.#failed(error, incoming),
      watch: (request) => {
        if (this.#ended) return false;
        this.#watched.set(request, request);
        sink.moved();
        return true;
      },
      unwatch: (request) => void this.#watched.take(request),
    };
    this.#line = new Line(limits.line, () => this.#press());
  }

  get data(): Data {
    return this.#settings.data;
  }

  get record(): KeyRecord | undefined {
    return this.#record;
  }

  get state(): 'open' | 'ended' {
    return this.#ended ? 'ended' : 'open';
  }

  counters(): Readonly<PeerCounters> {
    return this.#counters;
  }

  /** Handlers are at work, as many as may be: reading should wait. Never while an answer is waited for: it comes the same way. */
  pressure(): boolean {
    return this.#pressed;
  }

  /** When to call `tick`. */
  deadline(): number {
    return Math.min(this.#calls.deadline(), this.#watched.deadline);
  }

  tick(now: number): void {
    if (this.#ended) return;
    this.#calls.tick(now);
    for (const request of this.#watched.due(now)) request.abort('timeout');
  }

  /** The connection is gone: nothing is sent any more. */
  lost(_now: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#line.clear();
    this.#calls.lost();
    for (const request of this.#watched.clear()) request.abort('lost');
    this.#press();
  }

  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.lost(this.#settings.now());
    this.#sink.close(code, reason);
  }

  call<S extends AnyScope>(scope: S & Answered<S>, ...rest: Arguments<S, CallOptions>): Promise<ReplyOf<S>> {
    return this.ask<S>(scope, ...rest).then(({ body }) => body);
  }

  ask<S extends AnyScope>(scope: S & Answered<S>, ...rest: Arguments<S, CallOptions>): Promise<Answer<ReplyOf<S>>> {
    const [body, options] = rest as readonly [unknown, CallOptions?];
    return this.#calls.ask(scope as AnyScope, body, options) as Promise<Answer<ReplyOf<S>>>;
  }

  send<S extends AnyScope>(scope: S, ...rest: Arguments<S, SendOptions>): string {
    const [body, options] = rest as readonly [unknown, SendOptions?];
    return this.#calls.send(scope, body, options);
  }

  forward({ header, body, footer, org, rol, re, exp, iat }: Outgoing): string | undefined {
    if (this.#ended) return undefined;
    const pkg: Package = {
      header,
      ...(body === undefined ? {} : { body }),
      footer: footer ?? writeFooter(undefined, { t: this.#settings.wall() }),
    };
    const jti = this.#outbound.jti();
    const token = this.#outbound.sign({ pkg, exp, iat, jti, re, org, rol }, this.#record);
    if (token === undefined) return undefined;
    this.#transmit(token);
    return jti;
  }

  refuse({ header, claims }: Pick<Incoming, 'header' | 'claims'>, fault: PackageFault): void {
    if (this.#record !== undefined) this.#refuse({ record: this.#record, header, claims }, fault);
  }

  /** One text message: a token, or what is taken for one. */
  receive(text: string, now: number): void {
    if (this.#ended) return;
    this.#counters.received++;
    const judged = judgeToken(text, this.#settings.keys, this.#terms);
    const { record } = judged;
    const bound = this.#record;
    // Section 8.2: who it is does not change on a connection (HOSTILE 75).
    if (record !== undefined && bound !== undefined && record.node !== bound.node) {
      return this.#reject(
        packageFault('bad_token', { detail: `${record.node} speaks where ${bound.node} did` }),
        judged,
      );
    }
    if (judged.kind === 'package-fault') return this.#reject(judged, judged);
    this.#record = judged.record;
    if (bound === undefined) this.#sink.identified?.(judged.record);
    if (this.#ended) return;
    const header = checkHeader(judged.header, judged.body !== undefined);
    if ('kind' in header) return this.#reject(header, judged);
    const footer = checkFooter(judged.footer);
    if (footer !== undefined && 'kind' in footer) return this.#reject(footer, judged);
    const { re } = judged.claims;
    const call = re === undefined ? undefined : this.#calls.get(re);
    const arrived = { judged, header, footer, size: text.length };
    const fault = call === undefined ? this.#take(arrived, now) : this.#settle(call, arrived, now);
    if (fault !== undefined) this.#reject(fault, { ...judged, header }, now);
  }

  /** What is no answer to a call of ours. */
  #take(arrived: Arrived, now: number): PackageFault | undefined {
    const checked = checkArrived(arrived, this.#settings, (reply) => this.#calls.hasAsked(reply));
    if (checked === 'stray') return this.#drop(arrived, now);
    if (checked.kind !== 'checked') return checked;
    const { route, scope, body } = checked;
    const { header } = arrived;
    const { claims } = arrived.judged;
    if (!checked.asked) {
      const limit = route?.limit ?? scope?.limit ?? Rates.general(header.scope, this.#settings.limit);
      const delay = this.#rates.take(fromOf(claims), scope?.id ?? Rates.UNDECLARED, limit, now);
      if (delay > 0) return packageFault('rate_limited', { delay });
    }
    const incoming = this.#accept(arrived, now);
    const where = this.#ended ? 'here' : this.#route(incoming);
    // Who was told of it, or asked about it, may have ended the peer.
    if (this.#ended) return undefined;
    if (where === 'taken') this.#counters.taken++;
    if (where !== 'here') return where === 'taken' ? undefined : where;
    if (route !== undefined) return this.#begin(route, incoming, body, arrived.size);
    if (header.scope === PING.id) return this.#reply(incoming, PING, undefined, 0);
    return claims.re === undefined ? packageFault('unknown_scope') : this.#drop(arrived, now);
  }

  #begin(route: Route<Data>, incoming: Incoming, body: unknown, size: number): PackageFault | undefined {
    const request = new Request(this.#requests, route, incoming, body);
    if (route.waits) void request.run();
    else if (!this.#line.enter(() => request.run(), size)) return packageFault('busy', { delay: BUSY_DELAY });
    return undefined;
  }

  /** The answer to a call of ours, or an ERROR about it. */
  #settle(call: PendingCall, arrived: Arrived, now: number): PackageFault | undefined {
    const { judged, header, footer } = arrived;
    const { claims } = judged;
    const checked = checkAnswer(call.scope, arrived, this.#settings.router);
    this.#calls.take(call.jti);
    const from = fromOf(claims);
    if (checked.kind !== 'body') {
      call.fail('bad_answer', { issues: checked.issues, from });
      return checked;
    }
    this.#accept(arrived, now);
    this.#counters.answers++;
    const delay = footer?.delay;
    const error = header.scope === ERROR.id ? readError(checked.body) : undefined;
    const about = { scope: call.scope.id, to: call.to };
    this.#calls.delayed(about, { delay, code: error?.code, org: claims.org }, now);
    if (error === undefined) call.resolve({ body: checked.body, footer, claims, from });
    else call.fail(error.code, { issues: error.issues, delay, from });
    return undefined;
  }

  /** An answer that nobody waits for: never answered itself. */
  #drop({ judged, header, footer }: Arrived, now: number): undefined {
    this.#counters.stray++;
    const { claims, body } = judged;
    const checked = header.scope === ERROR.id ? checkBody(ERROR.body, body) : undefined;
    if (checked?.kind !== 'body') return undefined;
    const { code, scope, issues } = readError(checked.body);
    const delay = footer?.delay;
    this.#calls.refused(claims.re, scope, { delay, code, org: claims.org }, now);
    this.#sink.refused?.(new PackageError(code, { scope, issues, delay, from: fromOf(claims) }), claims.re);
    return undefined;
  }

  #accept({ judged, header, footer }: Arrived, receivedAt: number): Incoming {
    const { claims, record } = judged;
    const body = judged.body as JsonObject | undefined;
    const whose = { from: fromOf(claims), role: roleOf(record, claims) };
    const incoming = { header, body, footer, claims, record, ...whose, receivedAt, op: ++this.#op };
    this.#sink.heard?.(incoming);
    return incoming;
  }

  #route(incoming: Incoming): 'here' | 'taken' | PackageFault {
    const { destination } = incoming.header;
    try {
      if (this.#settings.route !== undefined) return this.#settings.route(incoming, this);
    } catch (reason) {
      this.#failed(reason, incoming);
      return packageFault('internal');
    }
    const here = destination === undefined || destination === this.#outbound.signer(incoming.record).node;
    return here ? 'here' : packageFault('unknown_destination');
  }

  /** A bad answer is our fault: the peer hears no more than that. */
  #reply(incoming: Incoming, { id, name, reply }: AnyScope, body: unknown, wished: number): undefined {
    if (this.#ended || reply === undefined) return undefined;
    const lengths = reply.scope === id ? undefined : this.#settings.router.scope(reply.scope)?.lengths;
    const delay = Math.max(wished, this.#rates.delay(incoming.from, id, this.#settings.now()));
    const fault = this.#answers.reply(incoming, reply, body, lengths, delay);
    if (fault === undefined) return undefined;
    this.#failed(new TypeError(`the answer to scope ${id} (${name}) is not valid: ${describeFault(fault)}`), incoming);
    this.#refuse(incoming, packageFault('internal'));
    return undefined;
  }

  /** Theirs, or the end of it. Section 8.4: `bad_token` closes and says nothing more. */
  #reject(fault: PackageFault, { record, claims, header }: Rejected, receivedAt?: number): void {
    // A schema that throws is ours, whatever it was given.
    if (fault.code === 'internal' && fault.detail !== undefined) this.#failed(new Error(fault.detail), undefined);
    if (fault.close !== undefined && !this.#ended) {
      this.#count(fault, claims);
      this.end(fault.close, fault.code);
    } else if (record === undefined) this.#count(fault, claims);
    else this.#refuse({ record, claims, header, receivedAt }, fault);
  }

  #refuse(refused: Refused, fault: PackageFault): void {
    this.#count(fault, refused.claims);
    if (!this.#ended) this.#answers.refuse(refused, fault);
  }

  #count(fault: PackageFault, claims: Claims | undefined): void {
    const { faults } = this.#counters;
    faults[fault.code] = (faults[fault.code] ?? 0) + 1;
    if (fault.code !== 'internal') this.#sink.rejected?.(fault, claims);
  }

  #failed(reason: unknown, incoming: Incoming | undefined): void {
    this.#counters.failed++;
    this.#sink.failed(reason instanceof Error ? reason : new Error(textOf(reason)), incoming);
  }

  /** Calls came or went. */
  #changed(): void {
    this.#press();
    this.#sink.moved();
  }

  #press(): void {
    const pressed = !this.#ended && this.#line.busy && this.#calls.size === 0;
    if (pressed === this.#pressed) return;
    this.#pressed = pressed;
    this.#sink.pressure(pressed);
  }

  #transmit(token: string): void {
    if (this.#ended) return;
    this.#counters.sent++;
    this.#sink.transmit(token);
  }
}

/** What is known of a package that is refused. */
type Rejected = Omit<Refused, 'record'> & { readonly record: KeyRecord | undefined };
