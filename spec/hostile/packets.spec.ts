// The packet layer on a real server under attack: HOSTILE 54 to 67. A neighbour's session is open before the attack and is answered during and after
// it; every attack ends with the code that section 7 of lib/packet/PROTOCOL.md gives it or is bounded, seats and sessions are given back, and no
// exception gets anywhere.

import { deflateRawSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { RAW } from '../../fixtures/rig/raw-peer.js';
import { encode } from '../../fixtures/rig/wire.js';
import type { ServerOptions, ServerPacketOptions, Session } from '../../lib/index.js';
import { auth, echo, join, open, RawClient, roundTrip } from '../link/ends.js';
import { until } from './stage.js';

const random = seedFromEnv('hostile packets');
const SEALED = RAW.encrypted;
const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);

interface Attack {
  readonly port: number;
  readonly victim: (path?: string) => Promise<RawClient>;
  readonly dial: () => Promise<RawClient>;
  readonly scene: Awaited<ReturnType<typeof open>>;
  readonly neighbour: Session;
}

/** One attack beside one neighbour. */
const attack = async (
  test: Test,
  body: (attack: Attack) => Promise<void>,
  packets: ServerPacketOptions = {},
  options: ServerOptions<undefined> = {},
): Promise<void> => {
  const scene = await open(test, packets, echo, { closeTimeout: 100, maxPerAddress: 5_000, ...options });
  const neighbour = await join(test, scene.url);
  const raws: RawClient[] = [];
  const keep = async (opening: Promise<RawClient>): Promise<RawClient> => {
    const raw = await opening;
    raws.push(raw);
    return raw;
  };
  test.ok(await roundTrip(neighbour), 'the neighbour is answered before');
  const { port, server } = scene;
  let answered = 0;
  const beat = setInterval(
    () => void roundTrip(neighbour, `beat ${answered}`).then((ok) => (answered += Number(ok))),
    50,
  );
  try {
    await body({
      port,
      scene,
      neighbour,
      victim: (path) => keep(RawClient.open(port, path)),
      dial: () => keep(RawClient.dial(port)),
    });
  } finally {
    clearInterval(beat);
  }
  for (const raw of raws) raw.wire.destroy();
  const began = performance.now();
  test.ok(await roundTrip(neighbour, 'after'), 'the neighbour is answered afterwards');
  test.ok(performance.now() - began < 2_000, 'and soon');
  const alone = await until(() => server.counts().open === 1 && server.counts().halfOpen === 0);
  test.ok(alone, `one seat is taken: ${JSON.stringify(server.counts())}`);
  test.equal(neighbour.state, 'open');
  test.equal(server.sessions.filter(({ state }) => state === 'open').length, 1);
  test.same(scene.errors, [], 'nothing of ours failed');
  await neighbour.close();
  await server.close({ drain: 300 });
  test.same(server.sessions, []);
  test.same(Object.values(server.counts()).filter(Boolean), [], 'the books are empty');
};

/** Many packets in few segments; false when the server has hung up. */
const pour = async (raw: RawClient, packets: Iterable<Uint8Array>, pause = 200): Promise<void> => {
  let batch: Uint8Array[] = [];
  for (const packet of packets) {
    batch.push(encode({ opcode: 2, payload: packet, mask: [0, 0, 0, 0] }));
    if (batch.length < pause) continue;
    raw.wire.write(Buffer.concat(batch));
    batch = [];
    await new Promise((done) => setImmediate(done));
    if (raw.wire.socket.destroyed) return;
  }
  raw.wire.write(Buffer.concat(batch));
};

t.test('54. 100,000 junk packets: each session ends with its first, and nothing is thrown', async (test) => {
  await attack(test, async ({ victim, dial, scene }) => {
    // In one session, and in one handshake, far more than it will ever read.
    for (const raw of [await victim(), await dial()]) {
      function* junk(): Iterable<Uint8Array> {
        for (let i = 0; i < 50_000; i++) yield random.bytes(1 + (i % 40));
      }
      await pour(raw, junk(), 1_000);
      test.ok([4_100, 4_300, 4_301, 4_302, 4_303, 4_304, 4_306, 4_307].includes((await raw.closed()).code));
    }
    // And as many sessions as time allows, each with a packet of its own kind of wrong.
    const codes = new Set<number>();
    for (let i = 0; i < 60; i++) {
      const raw = await victim();
      const good = raw.packet({ flags: SEALED | RAW.reliable, data: random.bytes(i) });
      const at = i < good.length ? i : random.int(good.length);
      good[at] = (good[at] ?? 0) ^ (1 << random.int(8));
      raw.say(good);
      codes.add((await raw.closed()).code);
    }
    test.ok(
      [...codes].every((code) => code >= 4_300 && code <= 4_309),
      `codes ${[...codes].join(' ')}`,
    );
    test.ok(
      scene.sessions.slice(1).every((session) => session.counters()?.messagesIn === 0),
      'nothing was delivered',
    );
  });
});

t.test('54. a packet cut off after any of its octets', async (test) => {
  await attack(test, async ({ victim }) => {
    const whole = RAW.encrypted | RAW.reliable | RAW.checksum;
    for (let size = 0; size < 28; size++) {
      const raw = await victim();
      const packet = raw.packet({ flags: whole, data: octets(1, 2, 3, 4) });
      if (size === 0) test.equal(packet.length, 28);
      raw.say(packet.subarray(0, size));
      const { code } = await raw.closed();
      test.ok(code === 4_300 || code === 4_307, `${size} octets: ${code}`);
    }
  });
});

t.test(
  '55. reassembly floods: groups, gaps, overlaps and totals that change are bounded or end the session',
  async (test) => {
    await attack(test, async ({ victim }) => {
      const part = new Uint8Array(988);
      const head = SEALED | RAW.reliable | RAW.frag;
      const many = await victim();
      // The ninth open group is one too many; more follow.
      function* groups(): Iterable<Uint8Array> {
        for (let i = 0; i < 5_000; i++) yield many.write(0, head, many.next++, [0, 255], 0, octets(), part);
      }
      await pour(many, groups());
      test.same(await many.closed(), { code: 4_306, reason: 'FRAGMENT NUMBER' }, 'too many groups');
      const large = await victim();
      function* octetsOfAll(): Iterable<Uint8Array> {
        for (let id = 0; id < 254; id++)
          for (let group = 0; group < 8; group++) yield large.write(0, head, 2 + group, [id, 255], 0, octets(), part);
      }
      await pour(large, octetsOfAll());
      test.same(await large.closed(), { code: 4_306, reason: 'FRAGMENT NUMBER' }, 'too many octets');
      const wrong = [
        ['the same twice', [0, 3], [0, 3], 4_305],
        ['the total changes', [0, 3], [1, 4], 4_306],
        ['an id beyond the total', [0, 3], [3, 3], 4_305],
        ['a total of nothing', [0, 3], [1, 0], 4_306],
      ] as const;
      for (const [name, first, second, code] of wrong) {
        const raw = await victim();
        raw.say(raw.write(0, head, 2, first, 0, octets(), part));
        raw.say(raw.write(0, head, 2, second, 0, octets(), part));
        test.equal((await raw.closed()).code, code, name);
      }
    });
  },
);

t.test('56. ACK storms cost nothing and end nothing; an ACK of what was never sent does', async (test) => {
  await attack(test, async ({ victim, scene }) => {
    const raw = await victim();
    raw.say(raw.packet({ flags: SEALED | RAW.reliable, data: octets(7) }));
    const echoed = await raw.hear();
    test.equal(echoed.type === 0 || echoed.type === 1, true);
    const ack = (id: number, bits: number): Uint8Array =>
      raw.packet({ type: 1, flags: SEALED, tsf: [id >> 8, id & 255, bits >> 8, bits & 255] });
    function* storm(): Iterable<Uint8Array> {
      for (let i = 0; i < 30_000; i++) yield ack(3, 0x8000);
    }
    await pour(raw, storm());
    raw.say(ack(2, 0xffff));
    raw.say(ack(60_000, 0));
    test.same(await raw.closed(), { code: 4_304, reason: 'SEQUENCE ID' });
    const counters = scene.sessions.at(-1)?.counters();
    test.ok((counters?.acksIn ?? 0) >= 30_000, `${counters?.acksIn} were read`);
    test.ok((counters?.packetsOut ?? 0) < 20, 'and none was answered');
  });
});

t.test('57. a peer that never acknowledges: what waits for it is bounded, and the sender is told', async (test) => {
  await attack(
    test,
    async ({ victim, scene }) => {
      const raw = await victim();
      const session = scene.sessions.at(-1) as Session;
      const statuses = Array.from({ length: 400 }, () => session.send(Buffer.alloc(100)).status);
      test.equal(statuses.filter((status) => status === 'ok').length, 256);
      test.equal(statuses.at(-1), 'full');
      raw.wire.destroy();
      test.ok(await until(() => session.state === 'closed'), 'it expires');
      test.equal(session.counters()?.undelivered, 256);
    },
    { resumeTtl: 200 },
  );
});

t.test('58 to 61. replays, jumps, changed tags and cleartext end the session and deliver nothing', async (test) => {
  await attack(test, async ({ victim, scene }) => {
    const good = await victim();
    const packet = good.packet({ flags: SEALED | RAW.reliable, data: octets(1) });
    good.say(packet);
    good.say(packet);
    test.equal((await good.closed()).code, 4_304, 'a replay');
    test.equal(scene.sessions.at(-1)?.counters()?.messagesIn, 1, 'delivered once');
    for (const [name, number, code] of [
      ['a number that is over', 0, 4_304],
      ['the last number of all', 2 ** 32 - 1, 4_307],
      ['half the space ahead', 2 + 32_768, 4_304],
    ] as const) {
      const raw = await victim();
      raw.say(raw.packet({ flags: SEALED, number, data: octets(1) }));
      test.equal((await raw.closed()).code, code, name);
    }
    for (const size of [0, 1, 15, 16]) {
      const raw = await victim();
      raw.say(raw.write(0, SEALED, 2, undefined, 0, octets(), new Uint8Array(size)));
      test.equal((await raw.closed()).code, size < 16 ? 4_300 : 4_307, `a tag of ${size} octets`);
    }
    const other = await victim();
    const foreign = await victim();
    other.say(foreign.packet({ flags: SEALED, data: octets(1) }));
    test.equal((await other.closed()).code, 4_307, "a packet of another session's keys");
    const mirror = await victim();
    scene.sessions.at(-1)?.send('reflect me');
    const frame = await mirror.wire.readFrame();
    mirror.say(frame.payload);
    test.ok((await mirror.closed()).code >= 4_300, 'its own packet reflected');
  });
});

t.test('62 and 64. keys that are none, reflected keys, and a second key exchange', async (test) => {
  await attack(test, async ({ dial, scene }) => {
    const form = auth();
    const changed = (change: (bytes: Uint8Array) => void): Uint8Array => {
      const bytes = Uint8Array.from(form);
      change(bytes);
      return bytes;
    };
    const at = form.length - 65;
    const keys: Readonly<Record<string, Uint8Array>> = {
      'all zero': changed((bytes) => bytes.fill(0, at + 1)),
      'all ones': changed((bytes) => bytes.fill(255, at + 1)),
      'off the curve': changed((bytes) => bytes.set([(bytes.at(-1) ?? 0) ^ 1], bytes.length - 1)),
      hybrid: changed((bytes) => bytes.set([6], at)),
      infinity: changed((bytes) => bytes.set([0], at)),
    };
    for (const [name, bytes] of Object.entries(keys)) {
      const raw = await dial();
      // Without the checksum, that the key is what is judged.
      const clear = Buffer.concat([octets(2, RAW.reliable, 0, 0), bytes.subarray(at - 2)]);
      raw.say(clear);
      test.equal((await raw.closed()).code, 4_100, name);
    }
    const twice = await dial();
    twice.say(form);
    twice.say(form);
    test.ok((await twice.closed()).code >= 4_100, 'a second AUTH');
    const echoing = await dial();
    echoing.say(form);
    const answer = await echoing.wire.readFrame();
    echoing.say(answer.payload);
    test.ok((await echoing.closed()).code >= 4_100, 'its own AUTH reflected');
    test.equal(scene.sessions.length, 1, 'no session came of any');
  });
});

t.test(
  '66. a flood of key exchanges is stopped before the curve: by seats, and by what an address may open',
  async (test) => {
    await attack(
      test,
      async ({ dial, scene }) => {
        const raws = await Promise.all(Array.from({ length: 200 }, () => dial()));
        for (const raw of raws) raw.say(auth());
        const codes: number[] = [];
        let waiting = 0;
        for (const raw of raws) {
          const frame = await raw.wire.readFrame();
          if (frame.opcode === 2 && ((frame.payload[0] ?? 0) & 15) === 4) codes.push((await raw.closed()).code);
          else waiting += 1;
        }
        test.equal(waiting, 19, 'as many handshakes as there is room for');
        test.same(new Set(codes), new Set([4_101]), 'the others are 1.1');
        test.equal(scene.server.packetCounters()?.NO_SPACE, 181);
      },
      { maxSessions: 20 },
    );
    await attack(
      test,
      async ({ dial, scene }) => {
        const raws = await Promise.allSettled(Array.from({ length: 100 }, () => dial()));
        const opened = raws.filter(({ status }) => status === 'fulfilled').length;
        test.ok(opened <= 45, `${opened} of 100 were let in`);
        test.ok((scene.server.counters()['refused:WSD_UPGRADE_RATE'] ?? 0) >= 55, 'the others got a 429');
      },
      {},
      { acceptRatePerAddress: { perSecond: 1, burst: 40 } },
    );
  },
);

t.test('67. compressed bombs, floods of PINGs and messages that stay half', async (test) => {
  await attack(test, async ({ victim, scene }) => {
    const bomb = await victim();
    const zeros = deflateRawSync(new Uint8Array(50_000_000), { level: 9 });
    for (const packet of bomb.fragments({ flags: SEALED | RAW.compressed | RAW.reliable, data: zeros }))
      bomb.say(packet);
    test.same(await bomb.closed(), { code: 4_308, reason: 'COMPRESSION' }, '50 MB in 50 KB');
    const trailing = await victim();
    const data = Buffer.concat([deflateRawSync(Buffer.from('fine')), octets(0)]);
    trailing.say(trailing.packet({ flags: SEALED | RAW.compressed, data }));
    test.equal((await trailing.closed()).code, 4_308, 'an octet behind the stream');
    test.ok(scene.sessions.slice(1).every((one) => one.counters()?.messagesIn === 0));
    const pings = await victim();
    function* flood(): Iterable<Uint8Array> {
      for (let i = 0; i < 2_000; i++)
        yield pings.packet({ type: 3, flags: SEALED, tsf: [0], data: new Uint8Array(900) });
    }
    await pour(pings, flood());
    test.same(await pings.closed(), { code: 4_200, reason: 'DISCONNECT' }, 'a flood of PINGs');
    test.ok((scene.sessions.at(-1)?.counters()?.pongsOut ?? 99) <= 10, 'few were answered');
  });
});

t.test('sessions that come and go by the hundred leave nothing', async (test) => {
  await attack(
    test,
    async ({ victim, scene }) => {
      for (let i = 0; i < 100; i++) {
        const raw = await victim();
        if (i % 2 === 0) raw.wire.reset();
        else raw.wire.destroy();
      }
      test.ok(await until(() => scene.server.sessions.length <= 11), 'a quarter of maxSessions is kept');
      test.ok(await until(() => scene.server.sessions.length === 1), 'and that not for long');
      test.equal(scene.server.packetCounters()?.expired, 100);
    },
    { maxSessions: 40, resumeTtl: 300 },
  );
});
