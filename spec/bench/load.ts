// The load: many raw sockets that send pre-masked frames and hold what comes back against what was sent. What one chunk allows is sent in
// one write, and nothing is made per message, so that the generator costs little beside the server. Knows nothing of processes and of
// how time is measured: it counts, whoever asks.
import { Deflate } from '../../lib/deflate/codec.js';
import { type Crew, Peer } from './peer.js';
import { agreementOf, browserRequest, type Takeover, type Traffic, trafficOf } from './traffic.js';
import type { Workload } from './workloads.js';

export interface LoadOptions {
  readonly port: number;
  readonly workload: Workload;
  /** The server speaks no WebSocket and sends back what it gets. */
  readonly raw: boolean;
}

export interface LoadCount {
  readonly messages: number;
  /** Bytes received. */
  readonly bytes: number;
  /** The first thing that went wrong. */
  readonly error?: string;
}

/** Connections that may be opening at once. */
const OPENING = 64;
/** How long a closing handshake may take, and how long a bare server is given to accept what the kernel has accepted already. */
const CLOSE_MS = 2_000;
const ACCEPT_MS = 500;
/** Source addresses where the ports of one could run out; only Linux has more than one without asking. */
const SOURCES = process.platform === 'linux' ? 64 : 1;
const MANY = 5_000;

export class Load implements Crew {
  readonly raw: boolean;
  readonly request: Buffer;
  bytes = 0;
  readonly #workload: Workload;
  readonly #port: number;
  readonly #peers: Peer[] = [];
  #traffic: Traffic | undefined;
  #takeover: Takeover;
  #extensions: string | undefined;
  #dialled = 0;
  #opened = 0;
  #state: 'opening' | 'running' | 'closed' = 'opening';
  #messages = 0;
  #broadcasts = 0;
  #error: string | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;
  #sweeper: NodeJS.Timeout | undefined;

  private constructor({ port, workload, raw }: LoadOptions) {
    this.raw = raw;
    this.request = browserRequest(port, workload.deflate);
    this.#workload = workload;
    this.#port = port;
    if (raw || workload.deflate === '0') this.#traffic = trafficOf(workload, raw, undefined);
  }

  /** Resolves when all connections are open; rejects at the first that does not open as it should. */
  static async open(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    try {
      await new Promise<void>((resolve, reject) => {
        load.#settle = { resolve, reject };
        // The first answer tells whether and how messages are compressed; nobody else dials before.
        if (load.#traffic === undefined) load.#dial();
        else load.#dialSome();
      });
    } catch (error) {
      await load.close();
      throw error;
    }
    const { mode } = options.workload;
    if (options.raw && mode === 'broadcast') await new Promise((resolve) => setTimeout(resolve, ACCEPT_MS));
    return load;
  }

  start(): void {
    const { mode, depth } = this.#workload;
    this.#state = 'running';
    if (mode === 'broadcast') this.#broadcast();
    else if (mode === 'connect') {
      for (const peer of this.#peers) peer.send(1);
      this.#sweeper = setInterval(() => this.#sweep(), CLOSE_MS / 4);
    } else if (mode !== 'idle') for (const peer of this.#peers) peer.send(depth);
  }

  count(): LoadCount {
    const counts = { messages: this.#messages, bytes: this.bytes };
    return this.#error === undefined ? counts : { ...counts, error: this.#error };
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#sweeper);
    for (const peer of this.#peers) peer.destroy();
    await Promise.all(this.#peers.map((peer) => peer.closed()));
  }

  // ---- Crew

  get traffic(): Traffic {
    return this.#traffic as Traffic;
  }

  agreed(extensions: string | undefined): boolean {
    if (this.#traffic !== undefined) return extensions === this.#extensions;
    if (extensions === undefined) return false;
    this.#extensions = extensions;
    this.#takeover = {
      server: !extensions.includes('server_no_context_takeover'),
      client: !extensions.includes('client_no_context_takeover'),
    };
    this.#traffic = trafficOf(this.#workload, false, this.#takeover);
    this.#dialSome();
    return true;
  }

  codec(): Deflate | undefined {
    if (this.#takeover === undefined) return undefined;
    return new Deflate('client', agreementOf(this.#takeover), { level: 6, memLevel: 8 });
  }

  opened(peer: Peer): void {
    if (this.#state === 'running' || this.#workload.mode === 'idle') peer.send(1);
    else this.#ready();
  }

  replied(peer: Peer, count: number): void {
    const { mode } = this.#workload;
    const messages = count * this.traffic.perReply;
    this.#messages += messages;
    if (mode === 'idle') this.#ready();
    else if (mode === 'connect') peer.leave();
    else if (mode === 'broadcast') this.#broadcast();
    else if (this.#state === 'running') peer.send(messages);
  }

  ended(peer: Peer, orderly: boolean): void {
    if (this.#state === 'closed') return;
    if (orderly) this.#peers[peer.index] = this.#newPeer(peer.index);
    else this.fail(peer, 'the server ended the connection');
  }

  fail(peer: Peer, what: string): void {
    if (this.#state === 'closed') return;
    this.#error ??= `connection ${peer.index}: ${what}`;
    this.#settle?.reject(new Error(this.#error));
    peer.destroy();
  }

  // ---- inside

  #newPeer(index: number): Peer {
    const { mode, connections } = this.#workload;
    const many = SOURCES > 1 && (mode === 'connect' || connections > MANY);
    const source = many ? `127.0.0.${2 + (this.#dialled % SOURCES)}` : undefined;
    this.#dialled++;
    return new Peer(this, index, this.#port, source);
  }

  #dial(): void {
    this.#peers.push(this.#newPeer(this.#peers.length));
  }

  #dialSome(): void {
    while (this.#peers.length < Math.min(OPENING, this.#workload.connections)) this.#dial();
  }

  #ready(): void {
    this.#opened++;
    if (this.#opened === this.#workload.connections) this.#settle?.resolve();
    else if (this.#peers.length < this.#workload.connections) this.#dial();
  }

  /** As many broadcasts as may be under way; one is over when all connections have it. */
  #broadcast(): void {
    const over = Math.floor(this.#messages / this.#workload.connections);
    while (this.#state === 'running' && this.#broadcasts - over < this.#workload.depth) {
      this.#broadcasts++;
      this.#peers[0]?.send(1);
    }
  }

  /** A server that does not end TCP is not waited for. */
  #sweep(): void {
    const now = performance.now();
    for (const peer of this.#peers) if (now - peer.leftAt > CLOSE_MS) peer.destroy();
  }
}
