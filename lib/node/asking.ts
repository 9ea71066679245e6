// The documents that a node asks for: one request for each, however many callers wait, and what is granted when nobody waits any longer.
// What a request is over time is acquire.ts's; what becomes of a grant is the port's. PROTOCOL.md section 9.1.
import { type Transfer, UD_REQ_OWNERSHIP } from '../package/core-scopes.js';
import { PackageError } from '../package/errors.js';
import { OWNERSHIP_TIMEOUT } from '../package/limits.js';
import { Acquire } from './acquire.js';
import type { Document } from './document.js';
import { keyOf } from './left.js';
import type { PartingPort } from './parting.js';

export interface AskingPort
  extends Pick<PartingPort, 'after' | 'chance' | 'now' | 'over' | 'peer' | 'opened' | 'prove'> {
  readonly node: string;
}

/** `Wanted`: what the caller knows of the document. */
export interface AskingSink<Wanted> {
  /** What is to be over before that document is asked for. */
  before(key: string): Promise<unknown> | undefined;
  /** It is ours. */
  adopt(grant: Transfer, wanted: Wanted): Document;
}

/** How long a grant may come late, in ms. */
const UNWANTED_MS = 2 * OWNERSHIP_TIMEOUT;

export class Asking<Wanted> {
  readonly #port: AskingPort;
  readonly #sink: AskingSink<Wanted>;
  readonly #asked = new Map<string, Acquire>();
  /** Asked for and given up: what is granted all the same goes back. */
  readonly #unwanted = new Map<string, number>();

  constructor(port: AskingPort, sink: AskingSink<Wanted>) {
    this.#port = port;
    this.#sink = sink;
  }

  get size(): number {
    return this.#asked.size;
  }

  has(key: string): boolean {
    return this.#asked.has(key);
  }

  wait(user: string | undefined, wanted: Wanted, signal: AbortSignal | undefined, timeout: number): Promise<Document> {
    const asked = this.#asked.get(keyOf({ user }));
    const acquire = asked ?? this.#ask(user, wanted);
    const waiting = acquire.wait(signal, timeout);
    if (asked === undefined) acquire.begin(this.#port.over);
    return waiting;
  }

  /** Whether it was asked for, and given up since. */
  takeUnwanted(key: string): boolean {
    return this.#unwanted.delete(key);
  }

  forget(now: number): void {
    for (const [key, until] of this.#unwanted) if (until <= now) this.#unwanted.delete(key);
  }

  /** Nobody shall wait any longer. */
  cancel(): void {
    for (const acquire of [...this.#asked.values()]) acquire.cancel();
  }

  #ask(user: string | undefined, wanted: Wanted): Acquire {
    const key = keyOf({ user });
    const { after, chance, now } = this.#port;
    const acquire: Acquire = new Acquire({
      after,
      chance,
      now,
      ask: (signal, timeout) => this.#askOnce(user, wanted, signal, timeout),
      over: (which, settled) => {
        if (this.#asked.get(key) === which) this.#asked.delete(key);
        if (!settled) this.#unwanted.set(key, now() + UNWANTED_MS);
      },
    });
    this.#asked.set(key, acquire);
    this.#unwanted.delete(key);
    return acquire;
  }

  async #askOnce(
    user: string | undefined,
    wanted: Wanted,
    signal: AbortSignal,
    timeout: number,
  ): Promise<Document | undefined> {
    const { node } = this.#port;
    // What we had saved of it before is to be in what we get: it is sent when there is a connection, and not asked for before it is there.
    await this.#port.opened(UD_REQ_OWNERSHIP.id, signal);
    await unless(signal, this.#sink.before(keyOf({ user })));
    const peer = this.#port.peer ?? (await this.#port.opened(UD_REQ_OWNERSHIP.id, signal));
    const sentAt = this.#port.now();
    const body = { nodeID: node, ...(user === undefined ? {} : { user }) };
    const grant = await peer.call(UD_REQ_OWNERSHIP, body, { signal, timeout });
    this.#port.prove(sentAt);
    if (grant.user !== user || grant.epoch === undefined) {
      throw new PackageError('bad_answer', { scope: UD_REQ_OWNERSHIP.id, from: 'dispatch' });
    }
    const document = this.#sink.adopt(grant, wanted);
    // It may have waited long for an owner that did not let go, longer than our own lease is proven: then the next try proves it.
    return document.revoked.aborted ? undefined : document;
  }
}

const unless = (signal: AbortSignal, done: Promise<unknown> | undefined): Promise<unknown> | undefined =>
  done === undefined || signal.aborted
    ? undefined
    : Promise.race([done, new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))]);
