// Packages of our own: what a caller asks for → a token, now or when the peer's delay is over, and the promise of an answer. Each call ends
// once: with its answer, an ERROR, its timeout, its signal, or the loss of the peer. PROTOCOL.md sections 8.1, 8.2 and 8.5.
import { describeFault, type PackageFault } from './codes.js';
import { UD_REQ_OWNERSHIP } from './core-scopes.js';
import { ALL, Delays, type Waiting } from './delays.js';
import { type CallCode, PackageError, type PackageErrorParts } from './errors.js';
import { writeFooter } from './footer.js';
import { checkLengths } from './lengths.js';
import { MAX_TOKEN_TTL, OWNERSHIP_TIMEOUT, REQUEST_TIMEOUT, TOKEN_TTL } from './limits.js';
import type { Outbound } from './outbound.js';
import type { Claims, JsonObject, KeyRecord, PackageHeader } from './package.js';
import type { Answer, CallOptions, SendOptions } from './peer-types.js';
import { checkHeader } from './schema.js';
import { type AnyScope, checkBody } from './scope.js';
import { Timeouts } from './timeouts.js';

/** A call without its answer. */
export class PendingCall {
  readonly scope: AnyScope;
  /** The node it is for; undefined: the other end itself. */
  readonly to: string | undefined;
  readonly jti: string;
  readonly deadline: number;
  readonly promise: Promise<Answer<unknown>>;
  /** In the line of a delay. */
  waiting: Waiting | undefined;
  resolve: (answer: Answer<unknown>) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #unhear: (() => void) | undefined;

  constructor(scope: AnyScope, { jti, to }: Pick<Letter, 'jti' | 'to'>, deadline: number) {
    this.scope = scope;
    this.to = to;
    this.jti = jti;
    this.deadline = deadline;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = (answer) => {
        this.#unhear?.();
        resolve(answer);
      };
      this.#reject = reject;
    });
  }

  /** Calls `abort` when the signal is aborted before the call has ended. */
  hear(signal: AbortSignal | undefined, abort: (reason: unknown) => void): void {
    if (signal === undefined) return;
    const listener = (): void => abort(signal.reason);
    signal.addEventListener('abort', listener, { once: true });
    this.#unhear = () => signal.removeEventListener('abort', listener);
  }

  fail(code: CallCode, parts: Omit<PackageErrorParts, 'scope'> = {}): void {
    this.#unhear?.();
    this.#reject(new PackageError(code, { ...parts, scope: this.scope.id }));
  }
}

/** A package on its way. */
interface Letter {
  readonly token: string;
  readonly jti: string;
  readonly exp: number;
  /** The node it is for; undefined: the other end itself. */
  readonly to: string | undefined;
}

/** Of which packages something was said. */
interface About {
  readonly scope: number;
  readonly to: string | undefined;
}

/** What asks for a delay: an answer, or the code of an ERROR. */
export interface Slowing {
  readonly delay: number | undefined;
  readonly code: CallCode | undefined;
  /** Who says so; undefined: the other end itself. */
  readonly org: Claims['org'] | undefined;
}

/** Notes to other nodes of which it is known where they went, should one be refused. */
const MOST_NOTES = 1_024;

export interface CallsPort {
  /** To whom we speak, as far as we know. */
  record(): KeyRecord | undefined;
  ended(): boolean;
  now(): number;
  wall(): number;
  transmit(token: string): void;
  /** A deadline came nearer, or whether answers are waited for has changed. */
  changed(): void;
  failed(error: Error): void;
}

export interface CallsLimits {
  readonly calls: number;
  readonly queued: number;
}

export class Calls {
  readonly #port: CallsPort;
  readonly #outbound: Outbound;
  readonly #limits: CallsLimits;
  readonly #pending: Timeouts<string, PendingCall> = new Timeouts();
  #notes: Map<string, About> | undefined;
  /** Scopes that were asked for as answers of others, of which there are as many as our own callers know. */
  #replies: Set<number> | undefined;
  /** Undefined: the peer has never asked for one. */
  #delays: Delays | undefined;

  constructor(port: CallsPort, outbound: Outbound, limits: CallsLimits) {
    this.#port = port;
    this.#outbound = outbound;
    this.#limits = limits;
  }

  /** Calls without an answer. */
  get size(): number {
    return this.#pending.size;
  }

  deadline(): number {
    return Math.min(this.#pending.deadline, this.#delays?.deadline() ?? Infinity);
  }

  get(jti: string): PendingCall | undefined {
    return this.#pending.get(jti);
  }

  /** A call has asked for an answer of that scope, which is not its own: late, it goes to the handler of it. */
  hasAsked(reply: number): boolean {
    return this.#replies?.has(reply) === true;
  }

  /** Its answer is here, or will never be: who takes it ends it. */
  take(jti: string): PendingCall | undefined {
    const call = this.#pending.take(jti);
    if (call !== undefined) this.#port.changed();
    return call;
  }

  /** Such packages shall wait. */
  delayed({ scope, to }: About, { delay: ms, code, org }: Slowing, now: number): void {
    if (ms === undefined || ms === 0) return;
    this.#delays ??= new Delays(this.#limits.queued);
    const steady = code === undefined || code === 'rate_limited';
    // A rate of the other end itself counts all that passes it, wherever that goes.
    const whom = code === 'rate_limited' && org === undefined ? ALL : to;
    this.#delays.told(scope, whom, { ms, steady, foreign: org !== undefined }, now);
  }

  /** The same of what nobody waits for. Another node is believed about what was sent to it, the other end about what it says. */
  refused(re: string | undefined, scope: number | undefined, slowing: Slowing, now: number): void {
    const note = re === undefined ? undefined : this.#notes?.get(re);
    if (note !== undefined) this.delayed(note, slowing, now);
    else if (scope !== undefined && slowing.org === undefined) this.delayed({ scope, to: undefined }, slowing, now);
  }

  ask(scope: AnyScope, body: unknown, options: CallOptions = {}): Promise<Answer<unknown>> {
    try {
      if (scope.reply === undefined) throw new TypeError(`nobody answers scope ${scope.id} (${scope.name})`);
      const { signal } = options;
      const timeout = timeoutOf(options, scope.id === UD_REQ_OWNERSHIP.id ? OWNERSHIP_TIMEOUT : REQUEST_TIMEOUT);
      const header = headerOf(scope, body, options);
      const letter = this.#sign(header, body, timeout);
      const call = new PendingCall(scope, letter, this.#port.now() + timeout);
      if (this.#port.ended()) call.fail('lost');
      else if (signal?.aborted === true) call.fail('aborted', { cause: signal.reason });
      else if (this.#pending.size >= this.#limits.calls) call.fail('busy');
      else {
        call.hear(signal, (reason) => this.#drop(call, 'aborted', reason));
        this.#pending.set(call.jti, call);
        if (scope.reply.scope !== scope.id) {
          this.#replies ??= new Set();
          this.#replies.add(scope.reply.scope);
        }
        const waiting = this.#post(scope, letter);
        if (waiting === 'full') this.#drop(call, 'rate_limited');
        else if (waiting !== 'now') call.waiting = waiting;
        this.#port.changed();
      }
      return call.promise;
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  send(scope: AnyScope, body: unknown, options: SendOptions = {}): string {
    const header = headerOf(scope, body, options);
    const timeout = timeoutOf(options, TOKEN_TTL * 1000);
    if (this.#port.ended()) throw new PackageError('lost', { scope: scope.id });
    const letter = this.#sign(header, body, timeout);
    if (this.#post(scope, letter) === 'full') throw new PackageError('rate_limited', { scope: scope.id });
    if (letter.to !== undefined) this.#note(letter.jti, { scope: scope.id, to: letter.to });
    this.#port.changed();
    return letter.jti;
  }

  tick(now: number): void {
    for (const call of this.#pending.due(now)) {
      this.#unqueue(call);
      call.fail('timeout');
      this.#port.changed();
    }
    this.#delays?.tick(now);
  }

  /** The peer is gone. */
  lost(): void {
    this.#delays?.clear();
    this.#notes = undefined;
    for (const call of this.#pending.clear()) call.fail('lost');
  }

  /** Signed before it is known whether it must wait: its time runs, and what is too long is told at once. */
  #sign(header: PackageHeader, body: unknown, timeout: number): Letter {
    const exp = this.#outbound.expiry(timeout);
    const footer = writeFooter(undefined, { t: this.#port.wall() });
    const pkg = body === undefined ? { header, footer } : { header, body: body as JsonObject, footer };
    const jti = this.#outbound.jti();
    const record = this.#port.record();
    const to = header.destination === record?.node ? undefined : header.destination;
    return { token: this.#outbound.sign({ pkg, exp, jti }, record) as string, jti, exp, to };
  }

  #note(jti: string, about: About): void {
    this.#notes ??= new Map();
    this.#notes.set(jti, about);
    if (this.#notes.size <= MOST_NOTES) return;
    for (const oldest of this.#notes.keys()) return void this.#notes.delete(oldest);
  }

  #post(scope: AnyScope, { token, exp, to }: Letter): Waiting | 'now' | 'full' {
    const late = (): void => {
      if (this.#port.wall() < exp * 1000) this.#port.transmit(token);
      else this.#port.failed(new PackageError('timeout', { scope: scope.id }));
    };
    const waiting = this.#delays?.wait(scope.id, to, late, this.#port.now()) ?? 'now';
    if (waiting === 'now') this.#port.transmit(token);
    return waiting;
  }

  #drop(call: PendingCall, code: CallCode, cause?: unknown): void {
    if (this.#pending.take(call.jti) === undefined) return;
    this.#unqueue(call);
    call.fail(code, { cause });
    this.#port.changed();
  }

  #unqueue({ waiting }: PendingCall): void {
    if (waiting !== undefined) this.#delays?.drop(waiting);
  }
}

const timeoutOf = ({ timeout }: SendOptions, usual: number): number => {
  if (timeout === undefined) return usual;
  if (timeout > 0 && timeout <= MAX_TOKEN_TTL * 1000) return timeout;
  throw new RangeError(`timeout must be above 0 and at most ${MAX_TOKEN_TTL * 1000} ms, not ${timeout}`);
};

const misuse = ({ id, name }: AnyScope, fault: PackageFault): TypeError =>
  new TypeError(`scope ${id} (${name}): ${describeFault(fault)}`);

/** What a caller of ours says wrongly is his mistake, and goes to nobody. */
const headerOf = (scope: AnyScope, body: unknown, options: SendOptions): PackageHeader => {
  const { destination, user, channel, footerInclude } = options;
  const checked = checkBody(scope.body, body);
  if (checked.kind !== 'body') throw misuse(scope, checked);
  const plain = { scope: scope.id, internal: true, body: body !== undefined };
  const header =
    (destination ?? user ?? channel ?? footerInclude) === undefined
      ? plain
      : checkHeader(
          {
            ...plain,
            ...(destination === undefined ? {} : { destination }),
            ...(user === undefined && channel === undefined ? {} : { internal: false, user, channel }),
            ...(footerInclude === undefined ? {} : { footerInclude }),
          },
          plain.body,
        );
  if ('kind' in header) throw misuse(scope, header);
  const long = checkLengths(header, body, scope.lengths);
  if (long !== undefined) throw misuse(scope, long);
  return header;
};
