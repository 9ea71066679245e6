// Promise 10 over real sockets: a conversation of 200 RELIABLE messages both ways, some fragmented and some compressed, whose connection breaks
// after any octet. Whatever breaks, each message arrives once and in order, and every `await send` says so. `WSD_LONG=1`: every octet there is.
// lib/packet/PROTOCOL.md section 5.5.

import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { connect, createServer, type Delivery, type Server, type Session, WsdError } from '../../lib/index.js';
import { until, within } from '../hostile/stage.js';
import { type Cut, type Direction, Line } from './line.js';

const LONG = process.env['WSD_LONG'] === '1';
const random = seedFromEnv('cuts of connections');
if (LONG) t.setTimeout(12 * 3_600_000);
const HOW: readonly Cut['how'][] = ['both', 'reset', 'client'];
const AT_ONCE = 8;

interface Said {
  readonly data: Buffer;
  readonly compress: boolean;
  readonly reliable: boolean;
}

/** 200 RELIABLE messages, and a few unreliable ones between them that begin with 0xff. */
const script = (name: number): Said[] => {
  const all: Said[] = [];
  for (let n = 0; n < 200; n++) {
    const size = n % 9 === 4 ? 989 + 97 * (n % 23) : n % 50;
    const data = Buffer.alloc(3 + size, n % 2 === 0 ? `message ${n} ` : undefined);
    if (n % 2 === 1) for (let i = 3; i < data.length; i++) data[i] = (i * 197 + n * 31 + (i >> 3)) & 255;
    data.writeUInt8(name);
    data.writeUInt16BE(n, 1);
    all.push({ data, compress: n % 3 === 0, reliable: true });
    if (n % 20 === 7) all.push({ data: Buffer.from([255, name]), compress: false, reliable: false });
  }
  return all;
};
const SAID = { client: script(1), server: script(2) };
const RELIABLE = {
  client: SAID.client.filter(({ reliable }) => reliable),
  server: SAID.server.filter(({ reliable }) => reliable),
};

/** One end of one conversation. */
class End {
  readonly got: Buffer[] = [];
  readonly fates: Delivery[] = [];
  readonly #said: readonly Said[];

  constructor(said: readonly Said[]) {
    this.#said = said;
  }

  listen(session: Session): void {
    session.on('message', (data, { reliable }) => {
      if (reliable) this.got.push(Buffer.from(data));
    });
  }

  /** A few lines a turn, so that both directions are busy at once. */
  async say(session: Session): Promise<string[]> {
    for (const [i, { data, compress, reliable }] of this.#said.entries()) {
      const delivery = session.send(data, { compress, reliable });
      if (reliable) this.fates.push(delivery);
      if (i % 12 === 11) await new Promise((done) => setImmediate(done));
    }
    return Promise.all(this.fates);
  }
}

/** What is wrong with what arrived; undefined: nothing. */
const differs = (got: readonly Buffer[], said: readonly Said[]): string | undefined => {
  for (const [i, { data }] of said.entries()) {
    const one = got[i];
    if (one === undefined) return `message ${i} is missing`;
    if (!one.equals(data)) return `message ${i} is ${one.subarray(0, 3).toString('hex')}, ${one.length} octets`;
  }
  return got.length === said.length ? undefined : `${got.length - said.length} too many`;
};

interface Scene {
  readonly server: Server;
  readonly line: Line;
  /** By the query of the request. */
  readonly sessions: Map<string, (session: Session) => void>;
}

const open = async (test: Test): Promise<Scene> => {
  const sessions: Scene['sessions'] = new Map();
  const server = createServer({
    maxPerAddress: 1000,
    closeTimeout: 100,
    acceptRatePerAddress: undefined,
    packets: { resumeTtl: 20_000 },
  });
  server.on('session', (session) => sessions.get(session.request?.query ?? '')?.(session));
  test.teardown(() => server.close({ drain: 100 }));
  const { port = 0 } = await server.listen();
  return { server, line: await Line.to(test, port), sessions };
};

const PACKETS = { anonymous: true, reconnect: { min: 1, max: 1 } } as const;
let runs = 0;

/** The whole conversation on a line of its own, whose connections break so. Returns what went wrong. */
const converse = async (scene: Scene, cuts: readonly Cut[]): Promise<string | undefined> => {
  const { line, sessions } = scene;
  const query = `run=${runs++}`;
  let client: Session | undefined;
  let ends: { client: End; server: End; heard: Promise<string[]> } | undefined;
  line.cuts.push(...cuts);
  for (let attempt = 0; client === undefined; attempt++) {
    // A first opening that breaks is the caller's to repeat, and its session another one.
    const server = new End(SAID.server);
    const heard = new Promise<string[]>((done) => {
      sessions.set(query, (session) => {
        server.listen(session);
        session.once('open', () => void server.say(session).then(done));
      });
    });
    try {
      client = await connect(`${line.url}?${query}`, { packets: PACKETS });
      ends = { client: new End(SAID.client), server, heard };
    } catch (reason) {
      if (!(reason instanceof WsdError) || attempt > cuts.length) return `connect: ${String(reason)}`;
    }
  }
  if (ends === undefined) return 'not opened';
  const undelivered: number[] = [];
  client.on('undelivered', (list) => undelivered.push(list.length));
  ends.client.listen(client);
  const said = ends.client.say(client);
  try {
    const [mine, theirs] = await within(Promise.all([said, ends.heard]), 'everything is acknowledged', 15_000);
    const fates = [...mine, ...theirs].filter((fate) => fate !== 'acknowledged');
    if (fates.length > 0) return `${fates.length} fates are ${[...new Set(fates)].join(', ')}`;
    if (undelivered.length > 0) return 'a list of undelivered messages';
    // What is acknowledged may still be on its way to the listener of the other end's last turn.
    await until(() => ends.client.got.length >= 200 && ends.server.got.length >= 200, 2_000);
    return differs(ends.client.got, RELIABLE.server) ?? differs(ends.server.got, RELIABLE.client);
  } catch (reason) {
    return `${String(reason)}: ${ends.client.got.length} and ${ends.server.got.length} arrived, ${client.state}`;
  } finally {
    sessions.delete(query);
    await client.close();
  }
};

/** Several conversations at a time, each on a line of its own. */
const converseAll = async (test: Test, cuts: readonly (readonly Cut[])[]): Promise<void> => {
  const queue = cuts.map((list, i) => ({ list, i }));
  const wrong: string[] = [];
  let done = 0;
  const { server, line, sessions } = await open(test);
  const work = async (): Promise<void> => {
    const own = { server, line: await Line.to(test, server.listening.values().next().value?.port ?? 0), sessions };
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const bad = await converse(own, next.list);
      if (bad !== undefined) wrong.push(`${JSON.stringify(next.list)}: ${bad}`);
      if (++done % 1_000 === 0) process.stderr.write(`${done} of ${cuts.length}, ${wrong.length} went wrong\n`);
      own.line.cuts.length = 0;
      own.line.cut();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await line.close();
  test.same(wrong.slice(0, 5), [], `${cuts.length} conversations, ${wrong.length} went wrong`);
  test.ok(await until(() => server.sessions.every(({ state }) => state === 'detached')), 'no session is left open');
};

/** One uncut conversation: how many octets and frames each direction has. */
const record = async (test: Test): Promise<Line['last']> => {
  const scene = await open(test);
  test.equal(await converse(scene, []), undefined, 'nothing breaks, nothing is wrong');
  return scene.line.last;
};

t.test('the conversation, cut beside the end of a frame or after an octet', async (test) => {
  const recorded = await record(test);
  const points: Cut[] = [];
  for (const way of ['up', 'down'] as Direction[]) {
    const { octets, frames } = recorded[way];
    test.comment(`${way}: ${octets} octets, ${frames.ends.length} frames`);
    test.ok(frames.ends.length > 250, 'fragments and acknowledgements among the frames');
    for (let frame = 0; frame < frames.ends.length; frame++) {
      for (const beside of [-1, 0, 1]) {
        if (!LONG && frame > 6 && random.int(24) > 0) continue;
        points.push({ way, frame, octets: beside, how: random.pick(HOW) });
      }
    }
    for (let at = 1; at <= octets; at++) {
      if (LONG || random.int(octets) < 80) points.push({ way, octets: at, how: random.pick(HOW) });
    }
  }
  await converseAll(
    test,
    points.map((point) => [point]),
  );
});

t.test('cut again and again, at random', async (test) => {
  const lists = Array.from({ length: LONG ? 500 : 40 }, () =>
    Array.from(
      { length: 1 + random.int(12) },
      (): Cut => ({
        way: random.pick(['up', 'down']),
        octets: 1 + random.int(random.pick([1_500, 6_000, 40_000])),
        how: random.pick(HOW),
      }),
    ),
  );
  await converseAll(test, lists);
});

/** One session whose connections break after so many octets, one length after the other, each in both directions. */
const comeBack = async (
  test: Test,
  { server, sessions }: Scene,
  name: string,
  lengths: readonly number[],
): Promise<void> => {
  const line = await Line.to(test, server.listening.values().next().value?.port ?? 0);
  let theirs: Session | undefined;
  sessions.set(name, (session) => {
    theirs = session;
  });
  const client = await connect(`${line.url}?${name}`, { packets: PACKETS });
  if (theirs === undefined) throw new Error('no session');
  const other = theirs as Session;
  const ends: string[] = [];
  const got: Record<'client' | 'server', number[]> = { client: [], server: [] };
  for (const [side, session] of [['client', client] as const, ['server', other] as const]) {
    session.on('message', (data) => got[side].push(Buffer.from(data).readUInt32BE()));
    session.on('close', ({ code, detail }) => ends.push(`${side}: ${code} ${detail}`));
  }
  const fates: Delivery[] = [];
  let sent = 0;
  const say = (): void => {
    // Now and then in fragments.
    const data = Buffer.alloc(sent % 5 === 0 ? 2_500 : 4);
    data.writeUInt32BE(sent++);
    fates.push(client.send(data), other.send(data));
  };
  const isQuiet = (): boolean =>
    client.state === 'open' && client.unacknowledged.messages === 0 && other.unacknowledged.messages === 0;
  for (let i = 0; i < lengths.length && ends.length === 0; i += 8) {
    for (const octets of lengths.slice(i, i + 8)) {
      for (const way of ['up', 'down'] as const) line.cuts.push({ way, octets, how: HOW[octets % 3] ?? 'both' });
      say();
    }
    if (client.state === 'open') line.cut();
    const through = await until(() => {
      if (line.cuts.length > 0 && client.state === 'open' && client.unacknowledged.messages < 100) say();
      return (line.cuts.length === 0 && isQuiet()) || ends.length > 0;
    }, 15_000);
    if (!through) ends.push(`stuck near octet ${lengths[i]}: ${client.state} ${client.unacknowledged.messages}`);
  }
  const all = await within(Promise.all(fates), 'all fates', 15_000).catch((reason: unknown) => [String(reason)]);
  test.same(ends, [], 'one session from the beginning to the end');
  test.ok(
    line.broken >= lengths.length,
    `${line.broken} connections broke, ${client.counters()?.resumes} were resumed`,
  );
  test.same([...new Set(all)], ['acknowledged'], `${all.length} messages are acknowledged`);
  const numbers = Array.from({ length: sent }, (_, n) => n);
  test.same(got.client, numbers, 'the client has each once, in order');
  test.same(got.server, numbers, 'the server has each once, in order');
  await client.close();
};

t.test('the way back, cut after every octet of the first KiB and a half of each direction', async (test) => {
  const scene = await open(test);
  const lengths = Array.from({ length: LONG ? 6_000 : 1_536 }, (_, i) => i + 1);
  const lanes = [0, 1, 2, 3].map((lane) => lengths.filter((octets) => octets % 4 === lane));
  await Promise.all(lanes.map((lane, i) => comeBack(test, scene, `lane=${i}`, lane)));
  test.ok(await until(() => scene.server.sessions.length === 0), 'nothing is left');
});
