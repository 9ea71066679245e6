// The stage on which every hostile input is played: a real server on 127.0.0.1, a neighbour that is connected before the attack, and the
// attackers' raw sockets. When the body is over the stage asks what HOSTILE promises for every input: the process lives (an exception that
// nobody caught fails the spec), the neighbour is answered, each connection had exactly one close event with one cause, the books are back
// to one socket, and no peer was shown a stack trace. Counters and bytes are the body's to assert. Every wait is bounded.

import type { Test } from 'tap';
import { connect, type UpgradeOptions, upgrade, upgradeRequest, type Wire } from '../../fixtures/rig/wire.js';
import {
  type Connection,
  createServer,
  FAULTS,
  type FaultCode,
  type ListenOptions,
  type Outcome,
  type Refused,
  type Server,
  type ServerOptions,
} from '../../lib/index.js';

const WAIT_MS = 15_000;
/** The most of a peer's bytes that are searched for a stack trace. */
const KEPT = 256 * 1024;

export type Handler = (connection: Connection<unknown>) => unknown;

export interface StageOptions {
  readonly options?: ServerOptions<unknown>;
  /** What the server does with an attacker's connection; echo unless told. */
  readonly onConnection?: Handler;
  /** Where the neighbour connects, and what it says before its request. */
  readonly neighbour?: { readonly path?: string; readonly preface?: string };
  readonly listen?: ListenOptions;
}

export const echo: Handler = (connection) => {
  connection.on('message', (data, binary) => connection.send(data, { binary }));
};

/** Polls until it holds; false when it never did. */
export const until = async (holds: () => boolean, ms: number = WAIT_MS): Promise<boolean> => {
  const limit = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > limit) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
};

/** Rejects when it takes too long. */
export const within = <T>(promise: PromiseLike<T>, what: string, ms: number = WAIT_MS): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

export class Stage {
  readonly t: Test;
  readonly server: Server<unknown>;
  readonly port: number;
  /** One entry for each attacker's connection: every outcome that its 'close' told. */
  readonly outcomes: Outcome[][] = [];
  readonly refused: Refused[] = [];
  readonly errors: Error[] = [];
  /** What the attackers' connections delivered. */
  readonly connections: Connection<unknown>[] = [];
  readonly #wires: { wire: Wire; seen: Buffer[]; size: number }[] = [];
  #neighbour: Wire | undefined;
  #beat: NodeJS.Timeout | undefined;

  constructor(t: Test, server: Server<unknown>, port: number) {
    this.t = t;
    this.server = server;
    this.port = port;
    server.on('refused', (refused) => this.refused.push(refused));
    server.on('error', (error) => this.errors.push(error));
  }

  async dial(): Promise<Wire> {
    return this.#watch(await connect(this.port));
  }

  async upgrade(options?: UpgradeOptions): Promise<Wire> {
    return this.#watch(await upgrade(this.port, options));
  }

  request(options?: UpgradeOptions): string {
    return upgradeRequest(this.port, options);
  }

  /** How the attacker's connection with that number ended: the first one unless told. */
  async outcome(number = 0): Promise<Outcome> {
    await until(() => (this.outcomes[number]?.length ?? 0) > 0);
    const outcome = this.outcomes[number]?.[0];
    if (outcome === undefined) throw new Error(`connection ${number} did not end`);
    return outcome;
  }

  /** A labelled counter stands where it should. */
  async counted(name: string, times = 1): Promise<void> {
    await until(() => this.server.counters()[name] === times);
    this.t.equal(this.server.counters()[name], times, `the counter ${name} stands at ${times}`);
  }

  /** One round trip of the neighbour, in ms. */
  async roundTrip(): Promise<number> {
    const wire = this.#neighbour as Wire;
    const start = performance.now();
    wire.sendFrame({ opcode: 1, payload: 'neighbour' });
    for (;;) {
      const frame = await wire.readFrame(10_000);
      if (frame.opcode === 1) break;
    }
    return performance.now() - start;
  }

  async begin({ options = {}, neighbour = {} }: StageOptions): Promise<void> {
    const path = `${neighbour.path ?? '/'}?neighbour`;
    if (neighbour.preface === undefined) this.#neighbour = await upgrade(this.port, { path });
    else {
      const wire = await connect(this.port);
      wire.write(neighbour.preface + upgradeRequest(this.port, { path }));
      wire.head = await wire.readHead();
      this.#neighbour = wire;
    }
    await this.roundTrip();
    const { idleTimeout = 0, pingInterval = 0 } = options;
    if (idleTimeout === 0 && pingInterval === 0) return;
    // Where the server listens for signs of life the neighbour gives some.
    const opcode = idleTimeout > 0 ? 2 : 10;
    this.#beat = setInterval(() => this.#neighbour?.sendFrame({ opcode }), 20);
  }

  /** What holds for every line. */
  async settle(): Promise<void> {
    const { t, server } = this;
    const trip = await this.roundTrip();
    t.ok(trip < 2_000, `the neighbour is answered, in ${trip.toFixed(0)} ms`);
    for (const { wire } of this.#wires) wire.destroy();
    const alone = await until(() => {
      const { open, halfOpen, authorizing, addresses } = server.counts();
      return open === 1 && halfOpen === 0 && authorizing === 0 && addresses <= 1 && server.connections.size === 1;
      // What arrived before is handled to its end, by slow handlers too.
    }, 2 * WAIT_MS);
    t.ok(alone, `only the neighbour is left in the books: ${JSON.stringify(server.counts())}`);
    t.same(
      this.outcomes.map((all) => all.length),
      this.outcomes.map(() => 1),
      'each connection had exactly one close event',
    );
    this.#judgeWhatPeersSaw();
  }

  async end(): Promise<void> {
    clearInterval(this.#beat);
    for (const { wire } of this.#wires) wire.destroy();
    this.#neighbour?.destroy();
    await within(this.server.close({ drain: 50 }), 'the server closes');
  }

  /** Counts the outcomes of one connection of an attacker. */
  meet(connection: Connection<unknown>): void {
    const mine: Outcome[] = [];
    this.outcomes.push(mine);
    this.connections.push(connection);
    connection.on('close', (outcome) => mine.push(outcome));
  }

  #watch(wire: Wire): Wire {
    const watched = { wire, seen: [] as Buffer[], size: 0 };
    this.#wires.push(watched);
    wire.socket.on('data', (chunk: Buffer) => {
      if (watched.size < KEPT) watched.seen.push(Buffer.from(chunk));
      watched.size += chunk.length;
    });
    return wire;
  }

  #judgeWhatPeersSaw(): void {
    const trace = /\n\s+at |node:internal|node_modules|\.[cm]?[jt]s:\d/;
    const shown = this.#wires.filter(({ seen }) => trace.test(Buffer.concat(seen).toString('latin1')));
    this.t.equal(shown.length, 0, 'no peer was shown a stack trace');
  }
}

const isNeighbour = (query: string): boolean => query === 'neighbour';

/** Plays one body on a fresh stage. */
export const onStage = async (
  t: Test,
  setting: StageOptions,
  body: (stage: Stage) => Promise<void> | void,
): Promise<void> => {
  const { onConnection = echo, listen = {} } = setting;
  const { authorize, ...others } = setting.options ?? {};
  const options: ServerOptions<unknown> = {
    closeTimeout: 100,
    pingInterval: 0,
    ...others,
    // The neighbour is let in at once: it is no part of the attack.
    ...(authorize === undefined
      ? {}
      : {
          authorize: (request, signal) =>
            isNeighbour(request.query) ? { data: undefined } : authorize(request, signal),
        }),
  };
  let stage: Stage | undefined;
  const server = createServer<unknown>(options, (connection) => {
    if (isNeighbour(connection.request.query)) return echo(connection);
    stage?.meet(connection);
    return onConnection(connection);
  });
  const { port = 0 } = await server.listen(listen);
  stage = new Stage(t, server, port);
  try {
    await stage.begin({ ...setting, options });
    await body(stage);
    await stage.settle();
  } finally {
    await stage.end();
  }
};

/** The peer was sent away with that fault's status and fixed phrase, and nothing else; the socket ended and is not used again. */
export const sentAway = async (t: Test, wire: Wire, code: FaultCode, name: string = code): Promise<void> => {
  const row: { readonly phrase: string; readonly status?: number } = FAULTS[code];
  const head = await wire.readHead();
  const size = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? Number.NaN);
  const body = Buffer.from(await wire.read(size)).toString();
  t.match(head, new RegExp(`^HTTP/1\\.1 ${row.status} `), `${name}: the status`);
  t.match(head, /^connection: close/im, `${name}: the end is announced`);
  t.equal(body, `${row.phrase}\n`, `${name}: the fixed phrase`);
  t.equal(await wire.ended(), 'end', `${name}: an orderly end`);
  t.equal(wire.unread.length, 0, `${name}: and not a byte more`);
};

/** The connection was failed with that fault's close code and fixed phrase; the socket ended behind it. */
export const closedWith = async (t: Test, wire: Wire, code: FaultCode, name: string = code): Promise<void> => {
  const row: { readonly phrase: string; readonly close?: number } = FAULTS[code];
  let frame = await wire.readFrame();
  while (frame.opcode !== 8) frame = await wire.readFrame();
  t.same(closeOf(frame.payload), { code: row.close, reason: row.phrase }, `${name}: the Close frame says why`);
  t.ok(frame.fin && frame.rsv === 0 && !frame.masked, `${name}: a plain frame of a server`);
  t.equal(await wire.ended(), 'end', `${name}: an orderly end`);
  t.equal(wire.unread.length, 0, `${name}: and not a byte more`);
};

export const closeOf = (payload: Uint8Array): { code: number; reason: string } => ({
  code: payload.length < 2 ? 1005 : Buffer.from(payload).readUInt16BE(0),
  reason: Buffer.from(payload.subarray(2)).toString(),
});

/** The body of a Close frame, legal or not. */
export const closeBody = (code: number, reason: string | Uint8Array = ''): Uint8Array =>
  Buffer.concat([Uint8Array.of(code >> 8, code & 255), Buffer.from(reason)]);
