// One random history of nodes, dispatches and a store, on a virtual clock, from one seed. It throws a Violation when an invariant of
// PROTOCOL.md section 9.1 does not hold: in the store at every write, in the answers at every answer, and at the end, when all faults
// have ceased, for everybody who still wants a document.
import { type Random, seeded } from '../../fixtures/rig/random.js';
import { Ownership } from '../../lib/dispatch/ownership.js';
import type { OwnershipRequest, OwnershipSettings, OwnershipWrite } from '../../lib/dispatch/ownership-types.js';
import { type Line, type Manner, ModelNode, type ModelPackage, type World } from './model-node.js';
import { type Access, ModelStore, type Sabotage, Violation } from './model-store.js';

const WALL = 1_700_000_000_000;
const KEYS = ['1', 'shared'] as const;
/** ms of a history in which things go wrong. */
const TROUBLE = 45_000;

interface Request extends OwnershipRequest {
  readonly asker: string;
  readonly sent: number;
}

interface Write extends OwnershipWrite {
  /** The epoch it means, said or not. */
  readonly of: number;
}

interface Dispatch {
  readonly ownership: Ownership<Request, Write>;
  readonly access: Access;
  readonly lines: Map<string, Line>;
  readonly seen: Set<number>;
  readonly open: Set<Request | Write>;
  keepFailed: boolean;
}

interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export interface Tally {
  granted: number;
  handedOver: number;
  takenOver: number;
  saved: number;
  stale: number;
  conflicts: number;
  lost: number;
  failed: number;
  crashes: number;
  /** Documents taken of nodes that had missed a revoke. */
  missed: number;
  /** Writes of greedy nodes. */
  greedy: number;
}

export const newTally = (): Tally => ({
  granted: 0,
  handedOver: 0,
  takenOver: 0,
  saved: 0,
  stale: 0,
  conflicts: 0,
  lost: 0,
  failed: 0,
  crashes: 0,
  missed: 0,
  greedy: 0,
});

/** What some histories of a hundred have, or none. */
export const RARE: readonly string[] = ['missed', 'greedy'];

export interface ModelTerms {
  readonly sabotage?: Sabotage;
  readonly settings?: Partial<OwnershipSettings>;
}

export class Model implements World {
  readonly random: Random;
  readonly tally: Tally;
  readonly several: boolean;
  now = 0;
  readonly #store: ModelStore;
  readonly #terms: ModelTerms;
  readonly #nodes = new Map<string, ModelNode>();
  #dispatches: (Dispatch | undefined)[];
  #tasks: Task[] = [];
  #order = 0;
  #troubled = true;
  #beating = true;
  /** What the last request of the last node was answered with, when it was refused. */
  #refusal: string | undefined;
  #delay = 0;
  #wallError = 0;
  #crashes = 0;
  #violation: Violation | undefined;

  constructor(seed: number, tally: Tally, terms: ModelTerms = {}) {
    this.random = seeded(seed);
    this.tally = tally;
    this.#terms = terms;
    const { random } = this;
    this.several = random.int(10) < 3;
    this.#store = new ModelStore(random, (ms, task) => this.after(ms, task), terms.sabotage ?? 'none');
    this.#store.mood = { slow: random.pick([1, 3, 50, 2500]), failing: random.pick([0, 0, 0.02, 0.2]) };
    this.#store.onTaken = (key, record, handed) => this.#judgeTaking(key, record.owner as string, record.epoch, handed);
    this.#dispatches = this.several ? [undefined, undefined] : [undefined];
    for (const name of ['a', 'b', 'c', 'd']) {
      const manner: Manner = random.pick(['honest', 'honest', 'honest', 'lazy', 'mute', 'deaf']);
      // A few only: each of them writes more than all others in a hundred histories.
      const greedy = name === 'd' && random.int(150) === 0;
      this.#nodes.set(name, new ModelNode(name, greedy ? 'greedy' : manner, this));
    }
  }

  async run(): Promise<void> {
    for (const i of this.#dispatches.keys()) this.#start(i);
    for (const node of this.#nodes.values()) {
      node.connect();
      this.#live(node);
      this.#beat(node);
    }
    if (this.random.int(2) === 0) this.after(this.random.int(TROUBLE), () => this.#crash());
    if (this.random.int(8) === 0) {
      this.after(this.random.int(TROUBLE), () => {
        this.#wallError = this.random.int(120_000) - 60_000;
      });
    }
    await this.#until(TROUBLE);
    await this.#calm();
  }

  after(ms: number, run: () => void): void {
    this.#order += 1;
    const task: Task = { at: this.now + ms, order: this.#order, run };
    let i = this.#tasks.length;
    // The next task stands last; most new ones are due soon.
    while (i > 0 && isBefore(this.#tasks[i - 1] as Task, task)) i -= 1;
    this.#tasks.splice(i, 0, task);
  }

  dial(node: ModelNode): Line | undefined {
    const up = this.#dispatches.filter((one) => one !== undefined);
    if (up.length === 0) return undefined;
    const dispatch = this.random.pick(up);
    const line = { open: true, up: this.now, down: this.now };
    // The newer connection takes the place of the older; another dispatch notices by itself that it is gone.
    dispatch.lines.set(node.name, line);
    dispatch.ownership.connected(node.name, this.now);
    return line;
  }

  hangUp(node: ModelNode, line: Line): void {
    this.after(this.random.int(3000), () => {
      for (const dispatch of this.#dispatches) {
        if (dispatch?.lines.get(node.name) !== line) continue;
        dispatch.lines.delete(node.name);
        dispatch.ownership.disconnected(node.name, this.now);
      }
    });
  }

  arrive(node: ModelNode, line: Line, sent: ModelPackage): void {
    const dispatch = this.#dispatches.find((one) => one?.lines.get(node.name) === line);
    if (dispatch === undefined || dispatch.seen.has(sent.jti)) return;
    dispatch.seen.add(sent.jti);
    dispatch.ownership.heard(node.name, this.now);
    if (sent.kind === 'ping') return this.#down(line, () => node.ponged(sent.sent));
    if (sent.kind === 'request') {
      const { key, to, deadline } = sent;
      const request = { key, node: to, deadline, asker: node.name, sent: sent.sent };
      dispatch.open.add(request);
      return dispatch.ownership.request(request, this.now);
    }
    const { kind, key, epoch, n, of, re } = sent;
    const doc = { by: node.name, epoch: of, n };
    const write: Write = { kind, key, node: node.name, epoch, doc, of, ...(re === undefined ? {} : { re }) };
    // The answer to a revoke of the other dispatch is sent on to it, or dealt with here.
    const other = this.#dispatches.find((one) => one !== undefined && one !== dispatch);
    const target = re !== undefined && other !== undefined && this.random.int(2) === 0 ? other : dispatch;
    target.open.add(write);
    target.ownership.write(write, this.now);
  }

  #start(i: number): void {
    const access = this.#store.access();
    const lines = new Map<string, Line>();
    const open = new Set<Request | Write>();
    const answer = (ask: Request | Write): void => {
      if (!open.delete(ask)) this.#fail(`answered twice: ${JSON.stringify(ask)}`);
    };
    const ownership = new Ownership<Request, Write>(
      access,
      {
        revoke: (owner, key, terms) => {
          this.#order += 1;
          const id = `r${this.#order}`;
          const sent = this.#tell(owner, (node) => node.revoked(key, id, terms), self);
          return sent ? id : undefined;
        },
        granted: (request, grant) => {
          answer(request);
          this.tally.granted += 1;
          if (grant.version > 0 && !this.#store.wasWritten(request.key, grant.version, grant.doc)) {
            this.#fail(`granted what was never written: ${JSON.stringify(grant)}`);
          }
          if (this.#store.ownerOf(request.key, grant.epoch) !== request.node) this.#fail('granted, and not the owner');
          this.#tell(
            request.node,
            (node) => node.granted(request.key, grant, request.asker === node.name ? request.sent : 0),
            self,
          );
        },
        saved: (write, at) => {
          answer(write);
          this.tally.saved += 1;
          this.#greed(write);
          if (this.#store.wasWritten(write.key, at.version, write.doc)) return;
          this.#fail(`acknowledged, and not there: ${JSON.stringify(write)} ${JSON.stringify(at)}`);
        },
        refused: (ask, code, delay) => {
          answer(ask);
          if (!('kind' in ask)) {
            if (code === 'owner_timeout' && this.now < ask.deadline) this.#fail('timed out before its time');
            if (ask.asker === 'z') [this.#refusal, this.#delay] = [code, delay ?? 1];
          } else if (code === 'stale_epoch') this.#judgeStale(ask, self);
          else if (this.#isGreedy(ask)) this.#greed(ask);
          else this.#nodes.get(ask.node)?.again(ask.kind, ask.key, ask.of);
        },
        failed: () => {
          self.keepFailed = true;
        },
        wake: () => {
          this.#store.answers -= 1;
          ownership.tick(this.now);
        },
      },
      {
        wall: () => WALL + this.now + this.#wallError,
        several: this.several,
        reachable: (node) => this.#dispatches.some((one) => one !== self && one?.lines.has(node) === true),
        ...this.#terms.settings,
      },
      this.now,
    );
    const self: Dispatch = { ownership, access, lines, open, seen: new Set(), keepFailed: false };
    this.#dispatches[i] = self;
  }

  /** False: it is connected nowhere. By the bus, when it is connected to another dispatch. */
  #tell(name: string, what: (node: ModelNode) => void, from: Dispatch): boolean {
    const node = this.#nodes.get(name);
    const dispatch = from.lines.has(name) ? from : this.#dispatches.find((one) => one?.lines.has(name) === true);
    const line = dispatch?.lines.get(name);
    if (node === undefined || line === undefined) return false;
    this.#down(line, () => what(node));
    return true;
  }

  #down(line: Line, what: () => void): void {
    const { random } = this;
    line.down = Math.max(line.down, this.now + 1 + (random.int(20) === 0 ? random.int(1500) : random.int(30)));
    this.after(line.down - this.now, () => {
      if (line.open) what();
    });
  }
  /** A node's days in a world of trouble. */
  #live(node: ModelNode): void {
    const { random } = this;
    this.after(200 + random.int(5000), () => {
      if (!this.#troubled) return;
      const key = random.pick(KEYS);
      const dice = random.int(100);
      if (dice < 32) node.request(key, random.pick([2000, 10_000, 30_000]));
      else if (dice < 35) node.request(key, 10_000, random.pick(['a', 'b', 'c', 'd']));
      else if (dice < 75) node.save(key);
      else if (dice < 80) node.letGo(key);
      else if (dice < 84) node.save(key, true);
      else if (dice < 85) node.lie(key, random.int(this.#store.record(key).epoch + 1));
      else if (dice < 92) node.cut();
      else if (dice < 95) node.restart();
      else node.connect();
      this.#live(node);
    });
  }

  #beat(node: ModelNode): void {
    this.after(3000 + this.random.int(2000), () => {
      if (!this.#beating) return;
      if (node.line?.open === true) node.ping();
      else if (this.random.int(3) > 0) node.connect();
      this.#beat(node);
    });
  }

  #crash(): void {
    if (!this.#troubled) return;
    const i = this.random.int(this.#dispatches.length);
    const dispatch = this.#dispatches[i];
    if (dispatch !== undefined) {
      this.#crashes += 1;
      this.tally.crashes += 1;
      this.#count(dispatch);
      dispatch.ownership.close();
      dispatch.access.crash();
      for (const line of dispatch.lines.values()) line.open = false;
      this.#dispatches[i] = undefined;
      this.after(this.random.int(4000), () => this.#start(i));
    }
    if (this.random.int(2) === 0) this.after(this.random.int(20_000), () => this.#crash());
  }

  #count(dispatch: Dispatch): void {
    const counters = dispatch.ownership.counters();
    for (const name of ['handedOver', 'takenOver', 'stale', 'conflicts', 'lost', 'failed'] as const) {
      this.tally[name] += counters[name];
    }
  }

  /** One owner in time, and not only in epochs: whoever may still believe that it has the document keeps it. */
  #judgeTaking(key: string, owner: string, epoch: number, handed: boolean): void {
    // Two dispatches share no memory, a second crash may lose what the first has left, and a wall clock that jumps tells nothing: there
    // the epoch alone fences.
    if (handed || this.several || this.#crashes > 1 || this.#wallError !== 0) return;
    const node = this.#nodes.get(owner);
    if (node === undefined || node.isMute || !node.believes(key, epoch)) return;
    if (node.manner === 'deaf') return this.#mustHear(node, key, epoch);
    this.#fail(`${key}/${epoch} is taken at ${this.now}, and ${owner} rightly believes that it is its own`);
  }

  /** It has missed that it was asked: then it is told that it has lost it, as long as it can be told anything. */
  #mustHear(node: ModelNode, key: string, epoch: number): void {
    this.tally.missed += 1;
    if (!node.heardAll(key, epoch)) return;
    this.after(4000, () => {
      if (!node.heardAll(key, epoch) || !node.believes(key, epoch)) return;
      this.#fail(`${key}/${epoch} was taken, and ${node.name} is not told, whatever it is told else`);
    });
  }

  #isGreedy(write: Write): boolean {
    return !this.#troubled && this.#beating && this.#nodes.get(write.node)?.manner === 'greedy';
  }

  #greed(write: Write): void {
    if (!this.#isGreedy(write)) return;
    this.tally.greedy += 1;
    this.#nodes.get(write.node)?.greed(write.key, 1);
  }

  #judgeStale(write: Write, { keepFailed }: Dispatch): void {
    const { key, node, of, doc } = write;
    const record = this.#store.record(key);
    const was = this.#store.ownerOf(key, of) === node;
    if (write.epoch !== undefined && record.owner === node && record.epoch === of) this.#fail('refused the owner');
    if (was && !keepFailed && !this.#store.wasKept(key, doc))
      this.#fail(`late, and not kept: ${JSON.stringify(write)}`);
  }

  #fail(what: string): void {
    this.#violation ??= new Violation(what);
  }

  async #until(end: number): Promise<void> {
    for (;;) {
      const task = this.#tasks.at(-1);
      let at = task?.at ?? Number.POSITIVE_INFINITY;
      let due: Dispatch | undefined;
      for (const dispatch of this.#dispatches) {
        const deadline = dispatch?.ownership.deadline();
        if (deadline === undefined || deadline > at) continue;
        at = deadline;
        due = dispatch;
      }
      if (at > end) break;
      this.now = Math.max(this.now, at);
      if (due !== undefined) due.ownership.tick(this.now);
      else {
        this.#tasks.pop();
        task?.run();
      }
      for (let turn = 0; this.#store.answers > 0; turn += 1) {
        if (turn > 100) throw new Violation('an answer of the store was not taken');
        await Promise.resolve();
      }
      if (this.#violation !== undefined) throw this.#violation;
    }
    this.now = end;
  }

  /** Nothing fails any longer: whoever asks is served, whatever has happened, and nothing remains of it all. */
  async #calm(): Promise<void> {
    this.#troubled = false;
    const greedy = this.#nodes.get('d')?.manner === 'greedy' ? this.#nodes.get('d') : undefined;
    this.#store.mood = { slow: greedy === undefined ? 2 : 20, failing: 0 };
    greedy?.connect();
    for (const key of KEYS) greedy?.request(key, 30_000);
    await this.#until(this.now + 10_000);
    for (const key of KEYS) greedy?.greed(key);
    const z = new ModelNode('z', 'honest', this);
    this.#nodes.set('z', z);
    z.connect();
    this.#beat(z);
    for (const key of KEYS) await this.#demand(z, key);
    this.#beating = false;
    for (const node of this.#nodes.values()) node.cut();
    await this.#until(this.now + 90_000);
    for (const dispatch of this.#dispatches) {
      if (dispatch === undefined) throw new Violation('a dispatch is still down');
      this.#count(dispatch);
      const { documents, waiting } = dispatch.ownership.counters();
      if (dispatch.open.size > 0) throw new Violation(`never answered: ${JSON.stringify([...dispatch.open])}`);
      if (documents + waiting > 0 || dispatch.ownership.deadline() !== undefined)
        throw new Violation('something remains');
    }
  }

  async #demand(z: ModelNode, key: string): Promise<void> {
    for (let tries = 1; !z.holds(key); tries += 1) {
      if (tries > 6) throw new Violation(`${key}: nobody lets z have it: ${JSON.stringify(this.#store.record(key))}`);
      this.#refusal = undefined;
      z.request(key, 30_000);
      for (let i = 0; i < 40 && !z.holds(key) && this.#refusal === undefined; i += 1)
        await this.#until(this.now + 1000);
      if (this.#refusal === undefined) continue;
      if (this.#refusal !== 'owner_timeout' && this.#refusal !== 'busy') throw new Violation(`z: ${this.#refusal}`);
      await this.#until(this.now + this.#delay);
    }
    z.save(key);
    await this.#until(this.now + 200);
    z.letGo(key);
    await this.#until(this.now + 3000);
    const { owner } = this.#store.record(key);
    if (owner === 'z') throw new Violation(`${key}: z has let go, and is the owner`);
  }
}

const isBefore = (a: Task, b: Task): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
