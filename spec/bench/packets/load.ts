// The load of a case: our own client, connections or sessions, each with a number of messages under way; holds what comes back against what
// was sent. Knows nothing of processes and of how time is measured: it counts, whoever asks.
import { connect } from '../../../lib/client/connect.js';
import type { Session } from '../../../lib/link/session.js';
import type { ClientPacketOptions } from '../../../lib/options/packets-types.js';
import type { Connection } from '../../../lib/websocket/connection.js';
import type { Case } from './cases.js';
import type { Credentials } from './credentials.js';

export interface PacketLoadOptions {
  readonly url: string;
  readonly measured: Case;
  readonly credentials: Credentials;
}

export interface PacketLoadCount {
  /** Messages the server has seen for certain; or sessions that were opened and closed. */
  readonly messages: number;
  readonly sent: number;
  readonly replies: number;
  /** The first thing that went wrong. */
  readonly error?: string;
}

/** Different messages of one load. */
const RING = 16;
const DROPPED = 0x53;

const packetsOf = ({ service }: Case, { server, client }: Credentials): ClientPacketOptions => {
  const { layer, certificates } = service;
  const reconnect = false;
  if (layer === 'clear') return { mode: 'none', reconnect };
  if (certificates === 'none') return { anonymous: true, reconnect };
  const pins = [server.fingerprint];
  if (certificates === 'server') return { pins, reconnect };
  return { pins, certificate: client.certificate, key: client.key, reconnect };
};

/** What is sent, and comes back in this order: octets that do not repeat within a message, its place in front. */
const ringOf = (size: number): Buffer[] =>
  Array.from({ length: RING }, (_, place) => Buffer.from(Uint8Array.from({ length: size }, (_, at) => at * 7 + place)));

class Line {
  next = 0;
  expected = 0;
  underway = 0;
  send: (message: Uint8Array) => void = () => {};
  close: () => Promise<unknown> = () => Promise.resolve();
}

export class PacketLoad {
  readonly #options: PacketLoadOptions;
  readonly #ring: readonly Buffer[];
  readonly #dropped: Buffer;
  readonly #lines: Line[] = [];
  #state: 'running' | 'finishing' = 'running';
  #messages = 0;
  #sent = 0;
  #replies = 0;
  #error: string | undefined;
  #quiet: (() => void) | undefined;
  #loops: Promise<void>[] = [];

  private constructor(options: PacketLoadOptions) {
    this.#options = options;
    this.#ring = ringOf(options.measured.workload.size);
    this.#dropped = Buffer.alloc(options.measured.workload.size, DROPPED);
  }

  /** Resolves when all connections are open. */
  static async open(options: PacketLoadOptions): Promise<PacketLoad> {
    const load = new PacketLoad(options);
    const { mode, connections } = options.measured.workload;
    if (mode !== 'open') for (let i = 0; i < connections; i++) load.#lines.push(await load.#dial());
    return load;
  }

  start(): void {
    const { mode, connections, depth } = this.#options.measured.workload;
    if (mode === 'open') this.#loops = Array.from({ length: connections }, () => this.#openAndClose());
    else for (const line of this.#lines) this.#send(line, depth);
  }

  count(): PacketLoadCount {
    const counts = { messages: this.#messages, sent: this.#sent, replies: this.#replies };
    return this.#error === undefined ? counts : { ...counts, error: this.#error };
  }

  /** Sends nothing more, waits for what is under way, closes everything. */
  async finish(): Promise<void> {
    this.#state = 'finishing';
    await Promise.all(this.#loops);
    if (this.#error === undefined && this.#lines.some(({ underway }) => underway > 0)) {
      await new Promise<void>((resolve) => {
        this.#quiet = resolve;
      });
    }
    await Promise.all(this.#lines.map((line) => line.close()));
  }

  async #dial(): Promise<Line> {
    const { url, measured, credentials } = this.#options;
    const { service } = measured;
    const line = new Line();
    const tls = service.secure ? { tls: { rejectUnauthorized: false } } : {};
    const heard = (data: Uint8Array | string): void => this.#heard(line, data);
    if (service.layer === 'messages') {
      const connection: Connection<undefined> = await connect(url, { ...tls, lend: true, text: 'bytes' });
      connection.on('message', heard).on('error', (error) => this.#fail(error.message));
      line.send = (message) => void connection.send(message, BINARY);
      line.close = () => connection.close();
    } else {
      const session: Session = await connect(url, { ...tls, packets: packetsOf(measured, credentials) });
      session.on('message', heard).on('error', (error) => this.#fail(error.message));
      const options = { reliable: service.reliable, transfer: true };
      line.send = (message) => {
        const { status } = session.send(message, options);
        if (status !== 'ok') this.#fail(`a message was not taken: ${status}`);
      };
      line.close = () => session.close();
    }
    return line;
  }

  #send(line: Line, count: number): void {
    const { mode } = this.#options.measured.workload;
    line.underway += count;
    this.#sent += count;
    if (mode === 'in') for (let i = 1; i < count; i++) line.send(this.#dropped);
    for (let i = mode === 'in' ? 1 : count; i > 0; i--) {
      line.send(this.#ring[line.next] as Buffer);
      line.next = (line.next + 1) % RING;
    }
  }

  #heard(line: Line, data: Uint8Array | string): void {
    const { mode, depth } = this.#options.measured.workload;
    const own = this.#ring[line.expected] as Buffer;
    if (typeof data === 'string' || !own.equals(data)) return this.#fail('a reply is not what was sent');
    line.expected = (line.expected + 1) % RING;
    const count = mode === 'in' ? depth : 1;
    line.underway -= count;
    this.#replies++;
    this.#messages += count;
    if (this.#state === 'running') this.#send(line, count);
    else if (this.#quiet !== undefined && this.#lines.every(({ underway }) => underway === 0)) this.#quiet();
  }

  async #openAndClose(): Promise<void> {
    try {
      while (this.#state === 'running' && this.#error === undefined) {
        const line = await this.#dial();
        await line.close();
        this.#messages++;
      }
    } catch (reason) {
      this.#fail(String(reason));
    }
  }

  #fail(what: string): void {
    this.#error ??= what;
    this.#quiet?.();
  }
}

const BINARY = { binary: true, transfer: true } as const;
