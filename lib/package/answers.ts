// What came → its answer, or an ERROR about it: header, footer and claims so that it finds its way back. Says whether our own answer is what
// its scope promises; what then happens is the peer's. PROTOCOL.md sections 8.1, 8.2 and 9.
import { type PackageFault, packageFault } from './codes.js';
import { ERROR, UD_TRANSFER } from './core-scopes.js';
import { writeError } from './error-body.js';
import { writeFooter } from './footer.js';
import { checkLengths, type Lengths } from './lengths.js';
import { TOKEN_TTL } from './limits.js';
import type { Outbound } from './outbound.js';
import type { Claims, JsonObject, KeyRecord, Package, PackageHeader } from './package.js';
import type { Incoming } from './peer-types.js';
import { isObject } from './schema.js';
import { checkBody, type ScopeReply } from './scope.js';
import { isNeverAnswered } from './scope-table.js';

/** What is known of a package that is refused: of one that is not valid, little. */
export interface Refused {
  readonly record: KeyRecord;
  readonly claims: Claims | undefined;
  /** As it came, checked or not. */
  readonly header: unknown;
  /** Monotonic ms; undefined: it is not told how long it took. */
  readonly receivedAt?: number | undefined;
  readonly op?: number | undefined;
}

export interface AnswersPort {
  now(): number;
  wall(): number;
  transmit(token: string): void;
}

export class Answers {
  readonly #port: AnswersPort;
  readonly #outbound: Outbound;

  constructor(port: AnswersPort, outbound: Outbound) {
    this.#port = port;
    this.#outbound = outbound;
  }

  /** The fault is ours: the answer is not what the scope says, or too long. Nothing was sent then. */
  reply(
    incoming: Incoming,
    reply: ScopeReply,
    body: unknown,
    lengths: Lengths | undefined,
    delay: number,
  ): PackageFault | undefined {
    const checked = checkBody(reply.body, body);
    if (checked.kind !== 'body') return checked;
    const { internal, user, channel, footerInclude } = incoming.header;
    const header: PackageHeader = {
      scope: reply.scope,
      internal,
      body: body !== undefined,
      // Who gets it late looks for whom it was: the key of a dispatch signs for all its nodes.
      ...(reply.scope === UD_TRANSFER.id ? { destination: incoming.claims.iss } : {}),
      ...(user === undefined ? {} : { user }),
      ...(channel === undefined ? {} : { channel }),
    };
    const long = checkLengths(header, body, lengths);
    if (long !== undefined) return long;
    const { op, receivedAt } = incoming;
    const footer = writeFooter(footerInclude, { t: this.#port.wall(), dt: this.#port.now() - receivedAt, op, delay });
    const pkg: Package = body === undefined ? { header, footer } : { header, body: body as JsonObject, footer };
    return this.#send(pkg, incoming.claims.jti, incoming.record);
  }

  /** Says nothing where nothing may be said. */
  refuse({ record, claims, header, receivedAt, op }: Refused, fault: PackageFault): void {
    const { scope, footerInclude } = isObject(header) ? header : NOTHING;
    const known = Number.isSafeInteger(scope) && (scope as number) >= 0 ? (scope as number) : undefined;
    // Section 8.4: never answer scopes 1 and 2.
    if (known !== undefined && isNeverAnswered(known)) return;
    const include = Array.isArray(footerInclude) ? footerInclude : undefined;
    const dt = receivedAt === undefined ? undefined : this.#port.now() - receivedAt;
    const footer = writeFooter(include, { t: this.#port.wall(), dt, op, delay: fault.delay });
    const body = writeError(fault, known);
    this.#send({ header: { scope: ERROR.id, internal: true, body: true }, body, footer }, claims?.jti, record);
  }

  #send(pkg: Package, re: string | undefined, to: KeyRecord): PackageFault | undefined {
    try {
      const exp = this.#outbound.expiry(TOKEN_TTL * 1000);
      const token = this.#outbound.sign({ pkg, exp, re }, to);
      if (token !== undefined) this.#port.transmit(token);
      return undefined;
    } catch (reason) {
      if (reason instanceof RangeError) return packageFault('too_long', { detail: reason.message });
      throw reason;
    }
  }
}

const NOTHING: JsonObject = {};
