// What was passed on and may be answered: the jti it was signed anew with → who asked, by which jti, and who may answer. Bounded for each node
// that asks and for all together; an entry lives until the package's exp and the tolerance of clocks are over. PROTOCOL.md section 8.2
// (the table of what is pending; HOSTILE 78). Signs nothing, sends nothing.
import type { NodeLink } from '../package/nodes.js';
import type { Claims, PackageHeader } from '../package/package.js';
import { Timeouts } from '../package/timeouts.js';

/** Who waits for an answer. */
export type Asker =
  | {
      readonly kind: 'node';
      readonly node: string;
      readonly link: NodeLink;
      readonly header: PackageHeader;
      readonly claims: Claims;
    }
  /** Another dispatch, by its address. */
  | { readonly kind: 'bus'; readonly address: string; readonly header: PackageHeader; readonly claims: Claims }
  /** We ourselves: a document was asked back. */
  | { readonly kind: 'revoke'; readonly key: string };

export interface Entry {
  /** Under which it is passed on. */
  readonly jti: string;
  readonly asker: Asker;
  /** Who may answer. */
  readonly to: string;
  /** Monotonic ms. */
  readonly deadline: number;
  /** Perhaps it will not be answered at all: it makes room for others of the same asker. */
  readonly loose: boolean;
}

/** What one node plays a part in. */
interface Part {
  /** jtis of what it asks and must be answered, of what it asks and may be, and of what it is asked. */
  readonly firm: Set<string>;
  readonly loose: Set<string>;
  readonly owes: Set<string>;
}

/** Of one node: as many calls as a peer may have open. */
const MOST_OF_NODE = 10_000;
const MOST = 262_144;

export class Pending {
  readonly #entries: Timeouts<string, Entry> = new Timeouts();
  readonly #parts = new Map<string, Part>();
  readonly #isHere: (node: string) => boolean;
  readonly #most: number;
  readonly #mostOfNode: number;
  /** Entries that had to make room. */
  forgotten = 0;

  /** `isHere`: a node whose part is kept, since it will play one again. */
  constructor(isHere: (node: string) => boolean, mostOfNode: number = MOST_OF_NODE, most: number = MOST) {
    this.#isHere = isHere;
    this.#mostOfNode = mostOfNode;
    this.#most = most;
  }

  get size(): number {
    return this.#entries.size;
  }

  deadline(): number {
    return this.#entries.deadline;
  }

  /** Whether one more of this node can be remembered; a loose one drives out its oldest. */
  hasRoom(node: string, loose: boolean): boolean {
    const part = this.#parts.get(node);
    const full = this.#entries.size >= this.#most;
    if (!loose) return !full && (part === undefined || part.firm.size < this.#mostOfNode);
    if (!full && (part === undefined || part.loose.size < this.#mostOfNode)) return true;
    const [oldest] = part?.loose ?? [];
    if (oldest === undefined) return false;
    this.forgotten++;
    this.#drop(oldest);
    return true;
  }

  add(entry: Entry): void {
    const { jti } = entry;
    this.#entries.set(jti, entry);
    this.#part(entry.to).owes.add(jti);
    if (entry.asker.kind === 'node') {
      const part = this.#part(entry.asker.node);
      (entry.loose ? part.loose : part.firm).add(jti);
    }
  }

  /** `by`: who answers; undefined: a dispatch, for whomever. */
  get(jti: string, by: string | undefined): Entry | undefined {
    const entry = this.#entries.get(jti);
    return by === undefined || entry?.to === by ? entry : undefined;
  }

  /** One answer, and no second one. */
  take(jti: string, by: string | undefined): Entry | undefined {
    return this.get(jti, by) === undefined ? undefined : this.#drop(jti);
  }

  /** It is gone: what it has asked is forgotten, and what it was asked comes back. */
  takeOf(node: string): readonly Entry[] {
    const part = this.#parts.get(node);
    if (part === undefined) return [];
    for (const jti of [...part.firm, ...part.loose]) this.#drop(jti);
    const owed = [...part.owes].flatMap((jti) => this.#drop(jti) ?? []);
    this.#parts.delete(node);
    return owed;
  }

  /** How many were given up: those who ask have a time of their own, and it is over. */
  tick(now: number): number {
    const due = this.#entries.due(now);
    for (const entry of due) this.#leave(entry);
    return due.length;
  }

  #drop(jti: string): Entry | undefined {
    const entry = this.#entries.take(jti);
    if (entry !== undefined) this.#leave(entry);
    return entry;
  }

  #leave({ jti, to, asker, loose }: Entry): void {
    const target = this.#parts.get(to);
    target?.owes.delete(jti);
    if (target !== undefined) this.#forget(to, target);
    if (asker.kind !== 'node') return;
    const part = this.#parts.get(asker.node);
    if (part === undefined) return;
    (loose ? part.loose : part.firm).delete(jti);
    this.#forget(asker.node, part);
  }

  #part(node: string): Part {
    let part = this.#parts.get(node);
    if (part === undefined) {
      part = { firm: new Set(), loose: new Set(), owes: new Set() };
      this.#parts.set(node, part);
    }
    return part;
  }

  #forget(node: string, { firm, loose, owes }: Part): void {
    if (firm.size + loose.size + owes.size === 0 && !this.#isHere(node)) this.#parts.delete(node);
  }
}
