// A service of the model check: asks for documents, writes them, answers revokes, or does not; its connections break and come back. What
// it sends arrives in the order it was sent in, or not at all. The word `believes` is the heart of it: a node whose clock and dispatch
// allow it to write. PROTOCOL.md section 9.1.
import type { Random } from '../../fixtures/rig/random.js';
import type { OwnershipGrant, RevokeTerms } from '../../lib/dispatch/ownership-types.js';
import { LEASE } from '../../lib/package/limits.js';

export type Manner =
  /** Answers a revoke at once. */
  | 'honest'
  /** Stops writing at once, and answers when it likes. */
  | 'lazy'
  /** Is connected, sends PINGs, writes, and never answers a revoke. */
  | 'mute'
  /** The same, and when all others are honest it writes without pause. */
  | 'greedy'
  /** Misses the first revoke it gets of an epoch, as by a limit of its own. Then as honest. */
  | 'deaf';

export type ModelPackage =
  | { readonly kind: 'ping'; readonly jti: number; readonly sent: number }
  | {
      readonly kind: 'request';
      readonly jti: number;
      readonly sent: number;
      readonly key: string;
      readonly to: string;
      readonly deadline: number;
    }
  | {
      readonly kind: 'save' | 'transfer';
      readonly jti: number;
      readonly sent: number;
      readonly key: string;
      readonly epoch: number | undefined;
      readonly n: number;
      readonly of: number;
      readonly re: string | undefined;
    };

/** One connection, both ways in order. When it is cut, what is under way is lost. */
export interface Line {
  open: boolean;
  up: number;
  down: number;
}

export interface World {
  readonly random: Random;
  readonly now: number;
  /** More than one dispatch: what a node sends goes two ways, which keep no order between them. */
  readonly several: boolean;
  after(ms: number, task: () => void): void;
  /** Into the dispatch at the other end. */
  arrive(node: ModelNode, line: Line, sent: ModelPackage): void;
  /** Undefined: no dispatch is up. */
  dial(node: ModelNode): Line | undefined;
  hangUp(node: ModelNode, line: Line): void;
}

interface Holding {
  readonly epoch: number;
  stopped: boolean;
  /** It has let go once: what it says again is the same. */
  answered: boolean;
  /** Over which it was granted. */
  readonly line: Line | undefined;
  /** A revoke. */
  missed: boolean;
}

/** Writes of a greedy node that are under way. */
const GREED = 6;

let jtis = 0;

export class ModelNode {
  readonly name: string;
  readonly manner: Manner;
  line: Line | undefined;
  readonly #world: World;
  readonly #holdings = new Map<string, Holding>();
  readonly #counts = new Map<string, number>();
  #reached = Number.NEGATIVE_INFINITY;

  constructor(name: string, manner: Manner, world: World) {
    this.name = name;
    this.manner = manner;
    this.#world = world;
  }

  /** It has the document, was not told to stop, and its dispatch has answered something it sent less than a lease ago. */
  believes(key: string, epoch: number): boolean {
    const holding = this.#holdings.get(key);
    return holding?.epoch === epoch && !holding.stopped && this.#world.now < this.#reached + LEASE;
  }

  /** It has heard everything that was said since it has the document: its connection has never been broken. */
  heardAll(key: string, epoch: number): boolean {
    const holding = this.#holdings.get(key);
    return holding?.epoch === epoch && this.line?.open === true && holding.line === this.line;
  }

  get isMute(): boolean {
    return this.manner === 'mute' || this.manner === 'greedy';
  }

  holds(key: string): boolean {
    return this.#holdings.get(key)?.stopped === false;
  }

  connect(): void {
    if (this.line?.open === true) return;
    this.line = this.#world.dial(this);
    this.ping();
    if (!this.#world.several) return;
    // What it has sent by another dispatch may still be on its way into the store: under a new epoch it cannot come after what follows.
    for (const [key, holding] of this.#holdings) {
      if (!holding.stopped) this.request(key, 30_000);
      holding.stopped = true;
    }
  }

  cut(): void {
    const { line } = this;
    if (line?.open !== true) return;
    line.open = false;
    this.#world.hangUp(this, line);
  }

  /** The process ends, and another begins that knows nothing. */
  restart(): void {
    this.cut();
    this.#holdings.clear();
    this.#reached = Number.NEGATIVE_INFINITY;
  }

  ping(): void {
    this.#send({ kind: 'ping', ...this.#stamp() });
  }

  request(key: string, timeout: number, to: string = this.name): void {
    this.#send({ kind: 'request', ...this.#stamp(), key, to, deadline: this.#world.now + timeout });
  }

  /** `late`: with no regard to whether it may. */
  save(key: string, late = false): void {
    const holding = this.#holdings.get(key);
    if (holding === undefined || (holding.stopped && this.#world.several)) return;
    if (!late && !this.isMute && !this.believes(key, holding.epoch)) return;
    this.#write('save', key, holding.epoch, holding.epoch, undefined);
  }

  /** Writes without pause from now on: whatever was answered is followed by another one, which is there at once. */
  greed(key: string, count: number = GREED): void {
    const { line } = this;
    const holding = this.#holdings.get(key);
    if (line?.open !== true || holding === undefined || holding.stopped) return;
    const { epoch } = holding;
    for (let i = 0; i < count; i += 1) {
      const n = this.#count(key);
      this.#world.arrive(this, line, { kind: 'save', ...this.#stamp(), key, epoch, n, of: epoch, re: undefined });
    }
  }

  /** A write of an epoch that it may never have had. */
  lie(key: string, epoch: number): void {
    if (this.#world.several || epoch < 1) return;
    this.#write('save', key, epoch, epoch, undefined);
  }

  letGo(key: string): void {
    const holding = this.#holdings.get(key);
    if (holding === undefined || holding.stopped || this.isMute) return;
    holding.stopped = true;
    holding.answered = true;
    this.#write('transfer', key, holding.epoch, holding.epoch, undefined);
  }

  /** `asked`: when it has asked for it itself; that the dispatch answers others says nothing about what it hears of this one. */
  granted(key: string, { epoch }: OwnershipGrant, asked: number): void {
    const holding = this.#holdings.get(key);
    this.#reached = Math.max(this.#reached, asked);
    if (holding === undefined || holding.epoch < epoch)
      this.#holdings.set(key, { epoch, stopped: false, answered: false, line: this.line, missed: false });
  }

  revoked(key: string, id: string, { epoch }: RevokeTerms): void {
    const { random } = this.#world;
    const holding = this.#holdings.get(key);
    if (holding?.epoch !== epoch || this.isMute) return;
    if (this.manner === 'deaf' && !holding.missed) {
      holding.missed = true;
      return;
    }
    const flushes = !holding.stopped && random.int(3) === 0;
    holding.stopped = true;
    const { line } = this;
    const answer = (): void => {
      if (flushes && !holding.answered && line === this.line) this.#write('save', key, epoch, epoch, undefined);
      holding.answered = true;
      // Which epoch a revoke was about is known to the dispatch that has sent it only.
      const said = random.int(4) === 0 && !this.#world.several ? undefined : epoch;
      this.#write('transfer', key, said, epoch, id);
      // It takes a while to notice that it has lost it.
      if (random.int(4) === 0) this.#world.after(random.int(4000), () => this.save(key, true));
    };
    if (this.manner !== 'lazy') answer();
    else this.#world.after(random.int(9000), answer);
  }

  ponged(sent: number): void {
    this.#reached = Math.max(this.#reached, sent);
  }

  /** What it has sent was refused for no fault of its own: once more, as it is now. */
  again(kind: 'save' | 'transfer', key: string, epoch: number): void {
    this.#world.after(300, () => {
      const holding = this.#holdings.get(key);
      if (holding?.epoch !== epoch || (kind === 'save' && holding.stopped && this.#world.several)) return;
      this.#write(kind, key, epoch, epoch, undefined);
    });
  }

  #write(kind: 'save' | 'transfer', key: string, epoch: number | undefined, of: number, re: string | undefined): void {
    this.#send({ kind, ...this.#stamp(), key, epoch, n: this.#count(key), of, re });
  }

  #count(key: string): number {
    const n = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, n);
    return n;
  }

  #stamp(): { readonly jti: number; readonly sent: number } {
    jtis += 1;
    return { jti: jtis, sent: this.#world.now };
  }

  #send(sent: ModelPackage): void {
    const { random } = this.#world;
    const { line } = this;
    if (line?.open !== true) return;
    const copies = random.int(12) === 0 ? 2 : 1;
    for (let i = 0; i < copies; i += 1) {
      line.up = Math.max(line.up, this.#world.now + 1 + (random.int(20) === 0 ? random.int(2000) : random.int(30)));
      this.#world.after(line.up - this.#world.now, () => {
        if (line.open) this.#world.arrive(this, line, sent);
      });
    }
  }
}
