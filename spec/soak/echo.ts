// Long echoes, checked message by message, and what they leave behind. Not a spec: main.ts runs them long, short.spec.ts short.
import { collectGarbage } from '../../fixtures/rig/garbage.js';
import type { Random } from '../../fixtures/rig/random.js';
import { connect } from '../../lib/client/connect.js';
import { createServer } from '../../lib/server/server.js';
import type { Connection } from '../../lib/websocket/connection.js';
import { type EndOptions, pairOf } from '../websocket/pair.js';

/** Bytes of heap and buffers after a collection. */
export const memory = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

export interface Report {
  readonly messages: number;
  /** What came back otherwise than it was sent; undefined: nothing. */
  readonly difference: string | undefined;
  /** Bytes that are held at the end and were not after a tenth of the way. */
  readonly growth: number;
}

type Progress = (done: number) => void;

interface Item {
  readonly data: string | Uint8Array;
  readonly binary: boolean;
  readonly fragment: number | undefined;
}

/** Messages of all sizes, small ones mostly. */
class Source {
  readonly #rng: Random;
  readonly #bytes: Uint8Array;
  readonly #texts: readonly string[];

  constructor(rng: Random) {
    this.#rng = rng;
    this.#bytes = rng.bytes(1 << 18);
    const alphabets = ['abcdefgh ', 'aä€ß', '\u{1f600}\u{10ffff}x', 'z'];
    this.#texts = alphabets.map((letters) => {
      const characters = [...letters];
      return Array.from({ length: 1 << 15 }, () => rng.pick(characters)).join('');
    });
  }

  next(): Item {
    const rng = this.#rng;
    const most = rng.int(400) === 0 ? 1 << 17 : rng.int(20) === 0 ? 5000 : rng.pick([0, 8, 130, 300]);
    const size = rng.int(most + 1);
    const fragment = rng.int(6) === 0 ? 1 + rng.int(Math.max(20, size)) : undefined;
    if (rng.int(2) === 0) {
      const at = rng.int(this.#bytes.length - size);
      return { data: this.#bytes.subarray(at, at + size), binary: true, fragment };
    }
    const text = rng.pick(this.#texts);
    const at = rng.int(Math.max(1, text.length - size));
    return { data: text.slice(at, at + size), binary: false, fragment };
  }
}

/** Lone surrogates become U+FFFD on the way, as everywhere. */
const wellFormed = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

const differs = (sent: Item | undefined, data: string | Uint8Array, binary: boolean): boolean => {
  if (sent === undefined || sent.binary !== binary) return true;
  if (typeof data === 'string') return data !== sent.data && data !== wellFormed(sent.data as string);
  return Buffer.compare(data, sent.data as Uint8Array) !== 0;
};

/** The sending and comparing side of an echo. */
class Asker {
  done = 0;
  difference: string | undefined;
  #sent: Item[] = [];
  #head = 0;
  readonly #connection: Connection<unknown>;
  readonly #source: Source;

  constructor(connection: Connection<unknown>, source: Source) {
    this.#connection = connection;
    this.#source = source;
    connection.on('message', (data, binary) => {
      const sent = this.#sent[this.#head++];
      if (this.difference === undefined && differs(sent, data, binary))
        this.difference = `message ${this.done}: ${sent?.data.length ?? 'none'} sent, ${data.length} came back`;
      this.done++;
      if (this.#head === this.#sent.length) {
        this.#sent = [];
        this.#head = 0;
      }
    });
    connection.on('close', (outcome) => {
      if (outcome.code !== 1000) this.difference ??= `closed with ${outcome.code} ${outcome.reason}`;
    });
  }

  get waiting(): number {
    return this.#sent.length - this.#head;
  }

  ask(count: number): void {
    for (let i = 0; i < count; i++) {
      const item = this.#source.next();
      this.#sent.push(item);
      this.#connection.send(item.data, { binary: item.binary, fragment: item.fragment });
    }
  }
}

/** How much memory there is after the first tenth, and at the end. */
class Meter {
  #first: number | undefined;
  readonly #total: number;

  constructor(total: number) {
    this.#total = total;
  }

  at(done: number): void {
    if (this.#first === undefined && done >= this.#total / 10) this.#first = memory();
  }

  growth(): number {
    return memory() - (this.#first ?? 0);
  }
}

const WAYS: readonly EndOptions[] = [{}, { capacity: 4000 }, { takeover: false }, { takeover: true, capacity: 50_000 }];

/** Through a wire in memory that cuts at random and says no at random. */
export const echoInMemory = async (messages: number, rng: Random, progress: Progress = () => {}): Promise<Report> => {
  const meter = new Meter(messages);
  const source = new Source(rng);
  let finished = 0;
  let difference: string | undefined;
  for (const way of WAYS) {
    const { network, server, client } = pairOf({ ...way, settings: { maxBuffered: 1 << 26 } });
    const longest = (): number => rng.pick([3, 200, 65_536, 65_536]);
    server.cut = () => 1 + rng.int(longest());
    client.cut = () => 1 + rng.int(longest());
    server.connection.on('message', (data, binary) => {
      server.connection.send(data, { binary, fragment: rng.int(9) === 0 ? 1 + rng.int(5000) : undefined });
    });
    const asker = new Asker(client.connection, source);
    const share = Math.ceil(messages / WAYS.length);
    while (asker.done < share && asker.difference === undefined) {
      asker.ask(1 + rng.int(Math.min(80, share - asker.done)));
      if (rng.int(8) === 0) void client.connection.ping().catch(() => {});
      await network.settle();
      if (asker.waiting > 0) asker.difference ??= `${asker.waiting} messages never came back`;
      meter.at(finished + asker.done);
      progress(finished + asker.done);
    }
    const closed = client.connection.close(1000);
    await network.settle();
    if (!(await closed).clean) asker.difference ??= 'the end was not clean';
    difference ??= asker.difference;
    finished += asker.done;
  }
  return { messages: finished, difference, growth: meter.growth() };
};

/** Through sockets of this machine: several clients at once, of which each waits when it should. */
export const echoOverSockets = async (
  messages: number,
  rng: Random,
  progress: Progress = () => {},
): Promise<Report> => {
  const meter = new Meter(messages);
  const server = createServer({ deflate: true }, (connection) => {
    connection.on('message', async (data, binary) => {
      await connection.send(data, { binary });
    });
  });
  const { url } = await server.listen();
  const clients = await Promise.all([false, true, false, true].map((deflate) => connect(url, { deflate })));
  const askers = clients.map((client) => new Asker(client, new Source(rng)));
  const share = Math.ceil(messages / askers.length);
  const done = (): number => askers.reduce((sum, asker) => sum + asker.done, 0);
  await Promise.all(
    askers.map(async (asker, i) => {
      let asked = 0;
      let still = 0;
      while (asker.done < share && asker.difference === undefined) {
        const before = asker.done;
        if (asked < share && asker.waiting < 500) {
          const count = Math.min(share - asked, 1 + rng.int(50));
          asker.ask(count);
          asked += count;
        }
        await clients[i]?.drained();
        await new Promise((resolve) => setImmediate(resolve));
        still = asker.done === before ? still + 1 : 0;
        if (still > 2_000_000) asker.difference ??= 'nothing came back any more';
        meter.at(done());
        progress(done());
      }
    }),
  );
  await Promise.all(clients.map((client) => client.close(1000)));
  const { cut } = await server.close({ drain: 2_000 });
  const difference = askers.find((asker) => asker.difference !== undefined)?.difference;
  return {
    messages: done(),
    difference: difference ?? (cut > 0 ? `${cut} were cut` : undefined),
    growth: meter.growth(),
  };
};

/** Connections that come and go in every way, over sockets. */
export const churn = async (count: number, rng: Random, progress: Progress = () => {}): Promise<Report> => {
  const meter = new Meter(count);
  const server = createServer({ deflate: { contextTakeover: true } }, (connection) => {
    connection.on('message', (data) => connection.send(data));
  });
  const { url } = await server.listen();
  const one = async (): Promise<void> => {
    const client = await connect(url, { deflate: rng.int(2) === 0 });
    // Without a consumer the echo would wait for one, and the end with it.
    client.on('message', () => {});
    const how = rng.int(4);
    client.send('x'.repeat(rng.int(3000)));
    if (how === 0) client.terminate();
    else if (how === 1) await client.close(4000, 'bye');
    else if (how === 2) for (const connection of server.connections) void connection.close(1001);
    else
      await client.ping().then(
        () => client.close(),
        () => client.close(),
      );
    await client.closed;
  };
  for (let i = 0; i < count; i += 10) {
    await Promise.all(Array.from({ length: 10 }, one));
    meter.at(i);
    progress(i);
  }
  const { cut } = await server.close({ drain: 2_000 });
  const left = server.counts().open;
  const difference = left > 0 || cut > 0 ? `${left} connections were left, ${cut} were cut` : undefined;
  return { messages: count, difference, growth: meter.growth() };
};
