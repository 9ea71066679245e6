// The delays a peer asked for → what may be sent now, and what waits. Each counts for the packages of one scope to one node: who asks for it slows
// down nobody else's. After a delay the packages that waited leave one by one, for all at once would earn the next refusal: as far apart as
// the delay was where it tells a rate, else ever closer until somebody says no again. Owns no clock; what is sent is a function of its
// caller. PROTOCOL.md section 8.1 (footer.delay).

/** A package that waits. */
export interface Waiting {
  readonly scope: number;
  readonly to: string | undefined;
  /** Undefined: it was dropped. */
  send: (() => void) | undefined;
}

/** Whose packages are meant: those to that node, undefined: to the other end itself, or to whomever. */
export const ALL: unique symbol = Symbol('all');
export type Whom = string | undefined | typeof ALL;

export interface Delay {
  readonly ms: number;
  /** One in that time is the rate; otherwise it was too much for once. */
  readonly steady: boolean;
  /** Another node than the other end asks for it. */
  readonly foreign: boolean;
}

/** Longer than any package lives: what a peer says beyond it changes nothing. */
const LONGEST = 300_000;
/** Nobody who is merely talked to stops more for longer. */
const LONGEST_FOREIGN = 10_000;
/** At one package a second nobody need be slowed down further; who is told so again waits again. */
const WIDEST_GAP = 1_000;
/** Closer than that they come as they are sent. */
const CLOSEST_GAP = 2;
/** Delays that are kept at a time; a peer that asks for more is not a peer we send so many to. */
const MOST_DELAYS = 1_024;

/** When the next one may leave. */
class Pace {
  until = -Infinity;
  /** ms between two packages that waited. */
  #gap = 0;
  #steady = true;

  told({ ms, steady, foreign }: Delay, now: number): void {
    const wait = Math.min(ms, foreign ? LONGEST_FOREIGN : LONGEST);
    this.until = Math.max(this.until, now + wait);
    this.#gap = Math.min(wait, WIDEST_GAP);
    this.#steady = steady;
  }

  /** One leaves. From the moment it was due: a late tick makes up for it, and what was not used is not saved up. */
  step(now: number): void {
    if (!this.#steady) this.#gap = Math.max(this.#gap / 2, CLOSEST_GAP);
    this.until = Math.max(this.until + this.#gap, now - WIDEST_GAP);
  }
}

class Lane extends Pace {
  readonly queue: Waiting[] = [];

  isIdle(now: number): boolean {
    return this.until <= now && this.queue.length === 0;
  }

  isDue(now: number): boolean {
    return this.until <= now && this.queue.length > 0;
  }
}

interface Scope {
  whole: Pace | undefined;
  readonly lanes: Map<string | undefined, Lane>;
}

export class Delays {
  readonly #most: number;
  readonly #scopes = new Map<number, Scope>();
  #kept = 0;
  #waiting = 0;
  /** Lanes in which some wait. */
  #queues = 0;
  /** Never later than the first that is due. */
  #next = Infinity;

  /** `most`: packages that may wait; above it nobody has more than his share of it. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Packages that wait. */
  get size(): number {
    return this.#waiting;
  }

  /** The peer asked for it. */
  told(scope: number, whom: Whom, delay: Delay, now: number): void {
    if (!(delay.ms > 0)) return;
    const known = this.#scopes.get(scope);
    const pace = whom === ALL ? known?.whole : known?.lanes.get(whom);
    if (pace !== undefined) return pace.told(delay, now);
    if (this.#kept >= MOST_DELAYS) this.#forget(now);
    if (this.#kept >= MOST_DELAYS) return;
    const slow = this.#scopeOf(scope);
    if (whom !== ALL) return this.#laneOf(slow, whom).told(delay, now);
    slow.whole = new Pace();
    slow.whole.told(delay, now);
    this.#kept++;
  }

  /** 'now': nothing waits, and `send` was not called. 'full': it may not wait either. */
  wait(scope: number, to: string | undefined, send: () => void, now: number): Waiting | 'now' | 'full' {
    const slow = this.#scopes.get(scope);
    if (slow === undefined) return 'now';
    const { whole, lanes } = slow;
    const known = lanes.get(to);
    const free = whole === undefined || (whole.until <= now && ![...lanes.values()].some((lane) => lane.isDue(now)));
    if (free && (known === undefined || known.isIdle(now))) return 'now';
    const length = known?.queue.length ?? 0;
    const queues = length === 0 ? this.#queues + 1 : this.#queues;
    if (this.#waiting >= this.#most && length >= this.#most / queues) return 'full';
    const lane = this.#laneOf(slow, to);
    const waiting = { scope, to, send };
    lane.queue.push(waiting);
    this.#waiting++;
    this.#queues = queues;
    this.#next = Math.min(this.#next, Math.max(lane.until, whole?.until ?? -Infinity));
    return waiting;
  }

  /** It shall not be sent any more. */
  drop(waiting: Waiting): void {
    const lane = this.#scopes.get(waiting.scope)?.lanes.get(waiting.to);
    const at = lane?.queue.indexOf(waiting) ?? -1;
    if (lane === undefined || at < 0) return;
    lane.queue.splice(at, 1);
    this.#left(lane, waiting);
  }

  deadline(): number {
    return this.#waiting === 0 ? Infinity : this.#next;
  }

  /** Sends what is due. */
  tick(now: number): void {
    if (now < this.deadline()) return;
    for (const slow of this.#scopes.values()) this.#drain(slow, now);
    this.#forget(now);
    this.#next = Infinity;
    for (const { whole, lanes } of this.#scopes.values()) {
      for (const { until, queue } of lanes.values()) {
        if (queue.length > 0) this.#next = Math.min(this.#next, Math.max(until, whole?.until ?? -Infinity));
      }
    }
  }

  clear(): void {
    // Whoever is being sent may have ended all.
    for (const { lanes } of this.#scopes.values()) for (const { queue } of lanes.values()) queue.length = 0;
    this.#scopes.clear();
    this.#kept = 0;
    this.#waiting = 0;
    this.#queues = 0;
    this.#next = Infinity;
  }

  /** Who has sent one is last then, so that none goes before all others. */
  #drain({ whole, lanes }: Scope, now: number): void {
    for (const [to, lane] of lanes) {
      if (whole !== undefined && whole.until > now) return;
      const next = lane.isDue(now) ? lane.queue.shift() : undefined;
      if (next === undefined) continue;
      lanes.delete(to);
      lanes.set(to, lane);
      lane.step(now);
      whole?.step(now);
      const { send } = next;
      this.#left(lane, next);
      send?.();
    }
  }

  #left(lane: Lane, waiting: Waiting): void {
    waiting.send = undefined;
    this.#waiting--;
    if (lane.queue.length === 0) this.#queues--;
  }

  #scopeOf(id: number): Scope {
    const known = this.#scopes.get(id);
    if (known !== undefined) return known;
    const slow = { whole: undefined, lanes: new Map() };
    this.#scopes.set(id, slow);
    return slow;
  }

  #laneOf({ lanes }: Scope, to: string | undefined): Lane {
    const known = lanes.get(to);
    if (known !== undefined) return known;
    const lane = new Lane();
    lanes.set(to, lane);
    this.#kept++;
    return lane;
  }

  /** What is over. */
  #forget(now: number): void {
    for (const [id, slow] of this.#scopes) {
      for (const [to, lane] of slow.lanes) {
        if (!lane.isIdle(now)) continue;
        slow.lanes.delete(to);
        this.#kept--;
      }
      if (slow.whole !== undefined && slow.whole.until <= now) {
        slow.whole = undefined;
        this.#kept--;
      }
      if (slow.whole === undefined && slow.lanes.size === 0) this.#scopes.delete(id);
    }
  }
}
