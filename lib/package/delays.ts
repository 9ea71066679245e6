// The delays a peer asked for, scope by scope → what may be sent now, and what waits. After a delay the packages that waited leave one by
// one, as far apart as the delay was: all at once would earn the next refusal. Owns no clock; what is sent is a function of its caller.
// PROTOCOL.md section 8.1 (footer.delay).

/** A package that waits. */
export interface Waiting {
  readonly scope: number;
  /** Undefined: it was dropped. */
  send: (() => void) | undefined;
}

interface Scope {
  until: number;
  /** ms between two packages that waited. */
  gap: number;
  queue: Waiting[];
}

/** Longer than any package lives: what a peer says beyond it changes nothing. */
const LONGEST = 300_000;
/** At one package a second nobody need be slowed down further; who is told so again waits again. */
const WIDEST_GAP = 1_000;
/** Scopes a peer may have slowed down at a time; a peer that names more is not a peer we send so many to. */
const MOST_SCOPES = 1_024;

export class Delays {
  readonly #most: number;
  readonly #scopes = new Map<number, Scope>();
  #waiting = 0;

  /** `most`: packages that may wait, all scopes together. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Packages that wait. */
  get size(): number {
    return this.#waiting;
  }

  /** The peer asked for it. */
  told(scope: number, delay: number, now: number): void {
    if (!(delay > 0)) return;
    const ms = Math.min(delay, LONGEST);
    const known = this.#scopes.get(scope);
    if (known !== undefined) {
      known.until = Math.max(known.until, now + ms);
      known.gap = Math.min(ms, WIDEST_GAP);
      return;
    }
    if (this.#scopes.size >= MOST_SCOPES) this.#forget(now);
    if (this.#scopes.size < MOST_SCOPES)
      this.#scopes.set(scope, { until: now + ms, gap: Math.min(ms, WIDEST_GAP), queue: [] });
  }

  /** 'now': nothing waits, and `send` was not called. 'full': it may not wait either. */
  wait(scope: number, send: () => void, now: number): Waiting | 'now' | 'full' {
    const slow = this.#scopes.get(scope);
    if (slow === undefined || (slow.until <= now && slow.queue.length === 0)) return 'now';
    if (this.#waiting >= this.#most) return 'full';
    const waiting = { scope, send };
    slow.queue.push(waiting);
    this.#waiting++;
    return waiting;
  }

  /** It shall not be sent any more. */
  drop(waiting: Waiting): void {
    const queue = this.#scopes.get(waiting.scope)?.queue;
    const at = queue?.indexOf(waiting) ?? -1;
    if (at < 0) return;
    queue?.splice(at, 1);
    waiting.send = undefined;
    this.#waiting--;
  }

  deadline(): number {
    if (this.#waiting === 0) return Infinity;
    let next = Infinity;
    for (const { until, queue } of this.#scopes.values()) if (queue.length > 0) next = Math.min(next, until);
    return next;
  }

  /** Sends what is due. */
  tick(now: number): void {
    for (const [scope, slow] of this.#scopes) {
      while (slow.until <= now) {
        const next = slow.queue.shift();
        if (next === undefined) {
          this.#scopes.delete(scope);
          break;
        }
        this.#waiting--;
        // From the moment it was due: a late tick makes up for it, and what was not used is not saved up.
        slow.until = Math.max(slow.until + slow.gap, now - WIDEST_GAP);
        const { send } = next;
        next.send = undefined;
        send?.();
      }
    }
  }

  clear(): void {
    this.#scopes.clear();
    this.#waiting = 0;
  }

  #forget(now: number): void {
    for (const [scope, { until, queue }] of this.#scopes) {
      if (until <= now && queue.length === 0) this.#scopes.delete(scope);
    }
  }
}
