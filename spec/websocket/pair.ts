// Two ends of a connection in memory, on a clock that moves only when told to. Not a spec: a rig for specs of links and connections.
// The wire does what a socket's driver does, and is as unkind: it delivers later and never from inside a call, cuts where it likes,
// takes only so many bytes, and what it has not taken it still refers to.
import { VirtualClock } from '../../fixtures/rig/clock.js';
import { Deflate } from '../../lib/deflate/codec.js';
import type { DeflateAgreement } from '../../lib/deflate/parameters.js';
import { Fields } from '../../lib/http/fields.js';
import { Connection } from '../../lib/websocket/connection.js';
import { Link } from '../../lib/websocket/link.js';
import type { ConnectionSettings } from '../../lib/websocket/settings.js';
import type { Wire } from '../../lib/websocket/wire.js';

export const SETTINGS: ConnectionSettings = {
  maxMessage: 1 << 20,
  maxFragments: 1 << 17,
  messageTimeout: 300_000,
  closeTimeout: 5_000,
  pingInterval: 0,
  pingTimeout: 20_000,
  idleTimeout: 0,
  highWater: 64 * 1024,
  maxBuffered: 1 << 20,
  policy: 'close',
  threshold: 64,
  sharedReads: false,
  directWrites: false,
  text: 'string',
  lend: false,
  concurrency: 1,
  rate: undefined,
};

export const agreement = (takeover: boolean): DeflateAgreement => ({
  serverNoContext: !takeover,
  clientNoContext: !takeover,
  serverBits: 15,
  clientBits: 15,
});

export const codecOf = (role: 'server' | 'client', takeover: boolean): Deflate =>
  new Deflate(role, agreement(takeover), { level: 3, memLevel: 8 });

/** Runs what is due, one turn of the loop after the other, until nothing is due any more. */
export class Network {
  readonly clock: VirtualClock = new VirtualClock(1_000);
  #tasks: (() => void)[] = [];
  readonly #ends: End[] = [];

  schedule(task: () => void): void {
    this.#tasks.push(task);
  }

  add(end: End): void {
    this.#ends.push(end);
  }

  async settle(): Promise<void> {
    for (let idle = 0; idle < 2; ) {
      const due = this.#tasks;
      this.#tasks = [];
      for (const task of due) task();
      // Promises of handlers, and what they set off, get their turn.
      await new Promise((resolve) => setImmediate(resolve));
      idle = due.length === 0 && this.#tasks.length === 0 ? idle + 1 : 0;
    }
  }

  /** Moves the clock from deadline to deadline, as the wheel would. */
  async advance(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    await this.settle();
    for (;;) {
      const next = Math.min(...this.#ends.map((end) => end.deadline()), until);
      this.clock.advance(Math.max(0, next - this.clock.now()));
      if (next >= until) break;
      for (const end of this.#ends) if (end.deadline() <= next) end.tick();
      await this.settle();
    }
    for (const end of this.#ends) if (end.deadline() <= until) end.tick();
    await this.settle();
  }
}

/** What is at the other end of a wire. */
export interface Far {
  /** How many bytes it takes now; 0: none, it will say when. */
  readonly appetite: number;
  /** The other side reads again. */
  resumed(): void;
  arrive(chunk: Buffer): void;
  fin(): void;
  reset(): void;
}

const NOBODY: Far = { appetite: 0, resumed: () => {}, arrive: () => {}, fin: () => {}, reset: () => {} };

/** A link with its wire: the driver's part, in memory. */
export class End implements Wire, Far {
  readonly link: Link;
  readonly connection: Connection<undefined>;
  far: Far = NOBODY;
  /** The largest chunk that arrives at once, drawn anew for each. */
  cut: () => number = () => 65_536;
  /** Every piece that was written, when somebody wants to know. */
  log: Uint8Array[] | undefined;
  writes = 0;
  pauses = 0;
  readonly #network: Network;
  readonly #capacity: number;
  #flight: Uint8Array[] = [];
  #inFlight = 0;
  #blocked = false;
  #awake = false;
  #paused = false;
  #delivering = false;
  #finished = false;
  #finSent = false;
  #finHeard = false;
  #gone = false;
  #armed: number;

  constructor(network: Network, role: 'server' | 'client', options: EndOptions = {}) {
    this.#network = network;
    this.#capacity = options.capacity ?? 256 * 1024;
    const codec = options.takeover === undefined ? undefined : codecOf(role, options.takeover);
    let number = 1;
    const entropy = (): number => {
      number = (Math.imul(number, 0x2c1b3c6d) + 0x297a2d39) >>> 0;
      return number;
    };
    this.link = new Link(role, { ...SETTINGS, ...options.settings }, codec, this, entropy);
    this.connection = new Connection(
      this.link,
      {
        subprotocol: '',
        extensions: '',
        remoteAddress: '192.0.2.1',
        request: { path: '/', query: '', origin: undefined, fields: Fields.from([]) },
      },
      undefined,
    );
    this.#armed = this.link.deadline();
    network.add(this);
  }

  // ---- Wire

  now(): number {
    return this.#network.clock.now();
  }

  exact(): number {
    return this.now();
  }

  later(): void {
    this.wake();
  }

  wake(): void {
    // Also when the wire is gone: a consumer that comes late gets what waits.
    if (this.#awake) return;
    this.#awake = true;
    this.#network.schedule(() => {
      this.#awake = false;
      this.link.work();
      this.flush();
    });
  }

  pause(): void {
    this.#paused = true;
    this.pauses++;
  }

  resume(): void {
    this.#paused = false;
    this.#network.schedule(() => this.far.resumed());
  }

  get pending(): number {
    return Math.max(0, this.#inFlight - this.#capacity);
  }

  /** How often it was asked to keep the process, less how often to let it go. */
  stays = 0;

  stay(on: boolean): void {
    this.stays += on ? 1 : -1;
  }

  destroy(): void {
    this.#network.schedule(() => this.closed(false));
  }

  // ---- as the driver

  /** As on the wheel: a deadline that moved later is noticed when the earlier one falls due, one that came nearer has to be told. */
  deadline(): number {
    return this.#armed;
  }

  tick(): void {
    if (this.link.deadline() <= this.now()) {
      this.link.tick(this.now());
      this.flush();
    }
    this.#armed = this.link.deadline();
  }

  get gone(): boolean {
    return this.#gone;
  }

  get paused(): boolean {
    return this.#paused;
  }

  flush(): void {
    if (this.#gone) return;
    const { outbox } = this.link.machine;
    if (!outbox.blocked && !this.#finished) this.#write();
    if (!outbox.blocked && this.link.wish() === 'end') this.#finish();
    if (this.link.takeNearer()) this.#armed = Math.min(this.#armed, this.link.deadline());
  }

  #write(): void {
    const { outbox } = this.link.machine;
    const pieces = outbox.take(true);
    if (pieces.length === 0) return outbox.settle(false);
    this.writes++;
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const kept = this.#inFlight + size > this.#capacity;
    this.#inFlight += size;
    for (const piece of pieces) {
      this.log?.push(Uint8Array.from(piece));
      this.#flight.push(kept ? piece : Uint8Array.from(piece));
    }
    outbox.settle(kept);
    this.#blocked = kept;
    if (kept) outbox.block(size);
    else this.link.written();
    this.#network.schedule(() => this.deliver());
  }

  /** Gives the far end what it takes now. */
  deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#flight.length > 0 && this.far.appetite > 0) {
      const first = this.#flight[0] as Uint8Array;
      const size = Math.min(first.length, this.far.appetite);
      const chunk = Buffer.from(first.subarray(0, size));
      if (size === first.length) this.#flight.shift();
      else this.#flight[0] = first.subarray(size);
      this.#inFlight -= size;
      this.far.arrive(chunk);
      // What was lent is gone for good: whoever kept a view of it reads nonsense from here on.
      chunk.fill(0xee);
    }
    this.#delivering = false;
    if (this.#blocked && this.pending === 0) {
      this.#blocked = false;
      this.link.machine.outbox.unblock();
      if (!this.#gone) {
        this.flush();
        this.link.written();
      }
    }
    if (this.#flight.length === 0 && this.#finished && !this.#finSent) {
      this.#finSent = true;
      this.far.fin();
      this.#both();
    }
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#paused = false;
    this.#network.schedule(() => this.deliver());
  }

  #both(): void {
    if (this.#finSent && this.#finHeard) this.#network.schedule(() => this.closed(false));
  }

  /** The socket is gone. */
  closed(failed: boolean): void {
    if (this.#gone) return;
    this.#gone = true;
    const flight = this.#flight;
    this.#flight = [];
    const { far } = this;
    // What the kernel had taken still arrives.
    for (const piece of flight) if (far.appetite > 0) far.arrive(Buffer.from(piece));
    if (!this.#finSent) far.fin();
    this.#finSent = true;
    this.link.over(failed ? 'WSD_SOCKET_ERROR' : 'WSD_SOCKET_ENDED');
    this.#armed = this.link.deadline();
  }

  // ---- Far

  get appetite(): number {
    return this.#paused || this.#gone ? 0 : Math.max(1, this.cut());
  }

  resumed(): void {
    this.deliver();
  }

  arrive(chunk: Buffer): void {
    if (this.#gone) return;
    this.link.receive(chunk, this.now());
    this.flush();
  }

  fin(): void {
    this.#network.schedule(() => {
      if (this.#gone) return;
      this.#finHeard = true;
      this.flush();
      this.#finish();
      this.#both();
    });
  }

  reset(): void {
    this.#network.schedule(() => {
      this.#flight = [];
      this.closed(true);
    });
  }
}

export interface EndOptions {
  readonly settings?: Partial<ConnectionSettings>;
  /** With deflate, and whether the windows are kept. */
  readonly takeover?: boolean;
  /** What the wire takes before it says no. */
  readonly capacity?: number;
}

export interface Pair {
  readonly network: Network;
  readonly server: End;
  readonly client: End;
}

export const pairOf = (both: EndOptions = {}, server: EndOptions = {}, client: EndOptions = {}): Pair => {
  const network = new Network();
  const pair = {
    network,
    server: new End(network, 'server', { ...both, ...server, settings: { ...both.settings, ...server.settings } }),
    client: new End(network, 'client', { ...both, ...client, settings: { ...both.settings, ...client.settings } }),
  };
  pair.server.far = pair.client;
  pair.client.far = pair.server;
  return pair;
};

/** A peer that is no link: it says what the spec says, and keeps what it hears. */
export class Puppet implements Far {
  heard: Buffer[] = [];
  over: 'fin' | 'reset' | undefined;
  readonly end: End;
  readonly network: Network;
  #hungry = true;

  constructor(role: 'server' | 'client', options: EndOptions = {}) {
    this.network = new Network();
    this.end = new End(this.network, role, options);
    this.end.far = this;
  }

  get appetite(): number {
    return this.#hungry ? 65_536 : 0;
  }

  /** Stops to read, or reads on. */
  set reads(reads: boolean) {
    this.#hungry = reads;
    if (reads) this.network.schedule(() => this.end.deliver());
  }

  resumed(): void {}

  arrive(chunk: Buffer): void {
    this.heard.push(Buffer.from(chunk));
  }

  fin(): void {
    this.over ??= 'fin';
  }

  reset(): void {
    this.over ??= 'reset';
  }

  /** Bytes to the link, in one chunk. Pausing is not obeyed: one chunk was always on its way. */
  async say(...bytes: readonly Uint8Array[]): Promise<void> {
    this.network.schedule(() => this.end.arrive(Buffer.concat(bytes)));
    await this.network.settle();
  }

  async leave(how: 'fin' | 'reset' = 'fin'): Promise<void> {
    if (how === 'fin') this.end.fin();
    else this.end.reset();
    await this.network.settle();
  }

  /** Everything heard so far, taken away. */
  takeHeard(): Buffer {
    const all = Buffer.concat(this.heard);
    this.heard = [];
    return all;
  }
}
