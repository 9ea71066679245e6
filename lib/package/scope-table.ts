// The scopes one end knows, by number: those of the protocol always, an embedder's own from 1000 on. A Map, because zod cannot tell schemas
// apart by a nested member, and because trying them one by one would cost four times as much. PROTOCOL.md section 8.5.
import {
  ERROR,
  PING,
  PING_RESPONSE,
  UD_REQ_OWNERSHIP,
  UD_REVOKE,
  UD_SAVE,
  UD_SAVED,
  UD_TRANSFER,
} from './core-scopes.js';
import { type AnyScope, FIRST_OWN_SCOPE } from './scope.js';

export const CORE_SCOPES: readonly AnyScope[] = [
  PING,
  PING_RESPONSE,
  ERROR,
  UD_REQ_OWNERSHIP,
  UD_TRANSFER,
  UD_REVOKE,
  UD_SAVE,
  UD_SAVED,
];

/** Section 8.4: whatever is wrong with them. */
export const isNeverAnswered = (scope: number): boolean => scope === PING_RESPONSE.id || scope === ERROR.id;

/** Of which kind a number is (section 8.5). */
export type ScopeRange = 'core' | 'userdata' | 'reserved' | 'own';

export const rangeOf = (scope: number): ScopeRange =>
  scope < 100 ? 'core' : scope < 200 ? 'userdata' : scope < FIRST_OWN_SCOPE ? 'reserved' : 'own';

export class ScopeTable {
  readonly #scopes = new Map<number, AnyScope>(CORE_SCOPES.map((scope) => [scope.id, scope]));
  /** Scopes that are the answers of others. */
  readonly #replies = new Set<number>();

  constructor(scopes: Iterable<AnyScope> = []) {
    for (const scope of CORE_SCOPES) this.#reply(scope);
    for (const scope of scopes) this.add(scope);
  }

  /** Throws for a number that is taken or not the embedder's. */
  add(scope: AnyScope): void {
    const known = this.#scopes.get(scope.id);
    // Those of the protocol may be named again: they are there.
    if (known === scope && CORE_SCOPES.includes(scope)) return;
    if (known !== undefined) throw new RangeError(`scope ${scope.id} is there already: ${known.name}`);
    const range = rangeOf(scope.id);
    if (range !== 'own') throw new RangeError(`scope ${scope.id} (${scope.name}) is not free: ${range}`);
    this.#scopes.set(scope.id, scope);
    this.#reply(scope);
  }

  /** Another scope than it is answered by it. */
  isReply(id: number): boolean {
    return this.#replies.has(id);
  }

  get(id: number): AnyScope | undefined {
    return this.#scopes.get(id);
  }

  get size(): number {
    return this.#scopes.size;
  }

  /** By number. */
  list(): AnyScope[] {
    return [...this.#scopes.values()].sort((a, b) => a.id - b.id);
  }

  #reply({ id, reply }: AnyScope): void {
    if (reply !== undefined && reply.scope !== id) this.#replies.add(reply.scope);
  }
}
