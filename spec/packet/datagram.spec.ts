// The datagram profile over a simulated network: whatever is lost, doubled, reordered, damaged or cut, a RELIABLE message is delivered once, or
// its sender is told; memory is bounded; nothing goes on for ever. PROTOCOL.md sections 5.1 to 5.4, 6.1 and 7.
// The thousand seeds are fixed; WSD_SEED=n runs that one alone.
import t from 'tap';
import { VirtualClock } from '../../fixtures/rig/clock.js';
import { LossyWay, type Weather } from '../../fixtures/rig/lossy.js';
import { PROLOGUE, Recorder, TestCarrier } from '../../fixtures/rig/packets.js';
import { type Random, seeded } from '../../fixtures/rig/random.js';
import { RAW, RawPeer } from '../../fixtures/rig/raw-peer.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { DatagramSession, type DatagramSettings } from '../../lib/packet/datagram.js';
import { newClientHandshake } from '../../lib/packet/handshake-new.js';
import { Retransmission, RoundTrip } from '../../lib/packet/retransmission.js';
import type { Leg } from '../../lib/packet/session-types.js';
import { SESSION_LIMITS } from '../../lib/packet/settings.js';

const { reliable: REL, checksum: CK, compressed: COMP, encrypted: ENC } = RAW;
const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);
const reliable = { reliable: true } as const;

const CALM: Weather = { loss: 0, delay: [10, 0] };

/** Two sessions with weather between them. */
class Pair {
  readonly clock = new VirtualClock(1000);
  readonly sinks = { client: new Recorder(), server: new Recorder() };
  readonly client: DatagramSession;
  readonly server: DatagramSession;
  readonly up: LossyWay;
  readonly down: LossyWay;
  readonly clientLeg: Leg;
  readonly serverLeg: Leg;

  constructor(mode: 'required' | 'none', weather: Weather, rng: Random, more: Partial<DatagramSettings> = {}) {
    const settings: DatagramSettings = {
      ...SESSION_LIMITS,
      suite: nodeSuite,
      mode,
      prologue: PROLOGUE,
      anonymous: true,
      ...more,
    };
    this.client = new DatagramSession('client', settings, this.sinks.client);
    this.server = new DatagramSession('server', settings, this.sinks.server);
    const now = this.clock.now;
    this.up = new LossyWay(this.clock, rng, weather, (packet) => this.serverLeg.receive(packet, now()));
    this.down = new LossyWay(this.clock, rng, weather, (packet) => this.clientLeg.receive(packet, now()));
    const carrier = (way: LossyWay) => ({
      transmit: (packet: Uint8Array) => way.send(packet),
      close: () => undefined,
      abort: () => undefined,
    });
    this.serverLeg = this.server.connected(carrier(this.down), now());
    this.clientLeg = this.client.connected(carrier(this.up), now());
  }

  /** Runs until the time is there, or nothing will happen any more. */
  run(ms: number, until: () => boolean = () => false): void {
    const end = this.clock.now() + ms;
    while (!until()) {
      const next = Math.min(
        this.clock.deadline() ?? Number.POSITIVE_INFINITY,
        this.client.deadline(),
        this.server.deadline(),
      );
      if (next > end) break;
      this.clock.advance(Math.max(0, next - this.clock.now()));
      this.client.tick(this.clock.now());
      this.server.tick(this.clock.now());
    }
    if (!until()) this.clock.advance(Math.max(0, end - this.clock.now()));
  }
}

interface Outcome {
  readonly wrong: string | undefined;
  readonly complete: boolean;
  readonly retransmissions: number;
}

const messageOf = (n: number, from: number, rng: Random): Uint8Array => {
  const size = rng.int(12) === 0 ? 900 + rng.int(3000) : 5 + rng.int(80);
  return Uint8Array.from(
    { length: size },
    (_, i) => [from, n & 255, n >> 8, size & 255][i] ?? ((n + from) * 31 + i * (n % 2)) & 255,
  );
};

/** One run: both ends say what the seed tells them. */
const play = (seed: number, most: number): Outcome => {
  const rng = seeded(seed);
  const mode = seed % 4 === 3 ? 'none' : 'required';
  const weather: Weather = {
    loss: rng.next() * most,
    duplication: rng.next() * 0.3,
    reordering: rng.next() * 0.5,
    delay: [1 + rng.int(80), rng.int(40)],
    jitter: rng.int(400),
    // Without a seal a damaged header may say anything.
    damage: mode === 'required' ? rng.next() * 0.05 : 0,
  };
  const pair = new Pair(mode, weather, rng);
  const { client, server, sinks } = pair;
  const ends = [
    {
      session: client,
      own: sinks.client,
      other: sinks.server,
      said: new Map<number, Uint8Array>(),
      left: 30 + rng.int(30),
      mark: 1,
    },
    {
      session: server,
      own: sinks.server,
      other: sinks.client,
      said: new Map<number, Uint8Array>(),
      left: 30 + rng.int(30),
      mark: 2,
    },
  ];
  let worst = 0;
  const over = (): boolean =>
    ends.every(
      ({ session, left }) => session.state === 'closed' || (left === 0 && session.unacknowledged.messages === 0),
    );
  for (let turn = 0; turn < 4000 && !over(); turn += 1) {
    for (const end of ends) {
      for (let burst = rng.int(4); burst > 0 && end.left > 0 && end.session.state === 'open'; burst -= 1) {
        const data = messageOf(end.left, end.mark, rng);
        const keep = rng.int(5) > 0;
        const number = end.session.send(
          data,
          { reliable: keep, checksum: rng.int(3) === 0, compress: rng.int(3) === 0 },
          pair.clock.now(),
        );
        if (typeof number !== 'number') break;
        if (keep) end.said.set(number, data);
        end.left -= 1;
      }
      worst = Math.max(worst, end.session.unacknowledged.messages);
    }
    pair.run(50 + rng.int(200), over);
  }
  const complete = ends.every(({ session, left }) => session.state === 'open' && left === 0);
  let wrong: string | undefined;
  const complain = (what: string): void => {
    wrong ??= `${what} (${mode}, loss ${weather.loss.toFixed(2)})`;
  };
  if (worst > 256) complain(`${worst} messages kept`);
  if (!over()) complain('it does not come to an end');
  for (const { own, other, said, session } of ends) {
    const got = other.messages.filter((one) => one.reliable);
    const numbers = new Set(got.map(({ number }) => number));
    if (numbers.size !== got.length) complain('a RELIABLE message was delivered twice');
    if (new Set(other.messages.map(({ number }) => number)).size !== other.messages.length)
      complain('a message was delivered twice');
    for (const { number, data } of got) {
      const was = said.get(number);
      if (was === undefined || Buffer.compare(was, data) !== 0) complain(`message ${number} is not what was said`);
    }
    for (const number of own.acks) if (!numbers.has(number)) complain(`${number} was acknowledged and not delivered`);
    if (new Set(own.acks).size !== own.acks.length) complain('acknowledged twice');
    if (complete && (got.length !== said.size || own.acks.length !== said.size))
      complain('open, and not all of it is there');
    if (own.end !== undefined) {
      // Promise 10: or its sender learns that it was not.
      const list = own.lists.flat().map(({ number }) => number);
      const expected = [...said.keys()].filter((number) => !own.acks.includes(number));
      if (list.join() !== expected.join()) complain('the list of the undelivered is not exact');
      if (session.state !== 'closed') complain('ended and not closed');
    }
  }
  return { wrong, complete, retransmissions: client.counters().retransmissions + server.counters().retransmissions };
};

t.test('exactly once, or the sender is told: loss up to 50 %, duplication, reordering, damage', async (t) => {
  const one = process.env['WSD_SEED'];
  const seeds = one === undefined ? Array.from({ length: 1000 }, (_, i) => i + 1) : [Number(one)];
  let complete = 0;
  let retransmissions = 0;
  let bad = 0;
  for (const seed of seeds) {
    const outcome = play(seed, 0.5);
    complete += outcome.complete ? 1 : 0;
    retransmissions += outcome.retransmissions;
    if (outcome.wrong === undefined) continue;
    bad += 1;
    if (bad < 10) t.fail(`seed ${seed}: ${outcome.wrong} (repeat with WSD_SEED=${seed})`);
  }
  t.equal(bad, 0, `${seeds.length} seeds, ${complete} complete, ${retransmissions} retransmissions`);
  // The rest is ended by the handshake's 10 s, an unanswered PING, or ten transmissions in vain, and both ends know.
  if (one === undefined) t.ok(complete > seeds.length * 0.8, `${complete} of ${seeds.length} got through`);
});

t.test('up to 15 % loss everything gets through', async (t) => {
  for (let seed = 5001; seed <= 5040; seed += 1) {
    const { wrong, complete } = play(seed, 0.15);
    if (wrong !== undefined || !complete) t.fail(`seed ${seed}: ${wrong ?? 'not complete'}`);
  }
  t.pass('forty seeds');
});

t.test('a lossy way does to its packets what its seed says', async (t) => {
  const run = (seed: number): { arrived: string[]; way: LossyWay } => {
    const clock = new VirtualClock();
    const arrived: string[] = [];
    const weather = { loss: 0.3, duplication: 0.2, reordering: 0.3, delay: [5, 5], jitter: 50, damage: 0.1 } as const;
    const way = new LossyWay(clock, seeded(seed), weather, (packet) => arrived.push(`${clock.now()} ${packet}`));
    for (let i = 0; i < 200; i += 1) way.send(octets(i));
    clock.advance(7);
    way.isCut = true;
    clock.advance(30);
    way.isCut = false;
    clock.advance(100);
    return { arrived, way };
  };
  const { arrived, way } = run(1);
  t.strictSame(arrived, run(1).arrived);
  t.notSame(arrived, run(2).arrived);
  const { sent, lost, doubled, late, damaged } = way.counts;
  t.equal(sent, 200);
  for (const [count, chance] of [
    [lost, 0.3],
    [doubled, 0.14],
    [late, 0.25],
    [damaged, 0.084],
  ] as const) {
    t.ok(Math.abs(count - 200 * chance) < 30, `${count} of 200`);
  }
  t.equal(way.counts.arrived, arrived.length);
});

t.test('the round trip is that of RFC 6298', async (t) => {
  const trip = new RoundTrip();
  t.equal(trip.rto, 1000, '(2.1)');
  trip.sample(400);
  t.equal(trip.rto, 400 + 4 * 200, '(2.2)');
  trip.sample(400);
  t.equal(trip.rto, 400 + 4 * 150, '(2.3)');
  trip.sample(600);
  t.equal(trip.rto, 425 + 4 * 162.5);
  for (let i = 0; i < 200; i += 1) trip.sample(5);
  t.equal(trip.rto, 200, 'never below 200 ms');
  for (let i = 0; i < 9; i += 1) trip.sample(60_000);
  t.equal(trip.rto, 10_000, 'never above 10 s');
  const fresh = new RoundTrip();
  t.strictSame(
    [1, 2, 3, 4, 5, 6, 10].map((n) => fresh.backedOff(n)),
    [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000],
  );
});

t.test(
  'a message is sent ten times, at doubled intervals, and then given up; only first transmissions are samples',
  async (t) => {
    const again = new Retransmission();
    const packet = octets(1, 2);
    again.record(7, packet, 0);
    again.record(7, octets(3), 0);
    packet.fill(0);
    t.equal(again.fragmented, 1);
    const times: number[] = [];
    let alive = true;
    for (let guard = 0; alive && guard < 20; guard += 1) {
      const now = again.deadline();
      alive = again.tick(now, (number, packets) => {
        times.push(now);
        t.strictSame([number, ...packets.map((one) => [...one])], [7, [1, 2], [3]]);
        for (const one of packets) one.fill(9);
      });
    }
    t.strictSame(times, [1000, 3000, 7000, 15_000, 25_000, 35_000, 45_000, 55_000, 65_000]);
    again.acknowledged(7, 70_000);
    t.equal(again.rto, 1000, 'Karn');
    t.strictSame([again.size, again.fragmented, again.deadline()], [0, 0, Number.POSITIVE_INFINITY]);
    again.record(8, packet, 0);
    again.acknowledged(8, 100);
    again.acknowledged(8, 100);
    t.equal(again.rto, 300);
    again.record(9, packet, 0);
    t.equal(again.deadline(), 300);
    again.clear();
    t.equal(again.deadline(), Number.POSITIVE_INFINITY);
  },
);

t.test('without a peer the handshake is sent again, and ends after 10 s', async (t) => {
  const pair = new Pair('required', { ...CALM, loss: 1 }, seeded(1));
  pair.client.send(octets(1), reliable, 1000);
  pair.run(9_999);
  t.equal(pair.up.counts.sent, 6, 'at 0, 1, 3, 5, 7 and 9 s');
  pair.run(1);
  t.match(pair.sinks.client.end, { code: 'CONNECTION', by: 'local' });
  t.strictSame(
    pair.sinks.client.lists[0]?.map(({ sent }) => sent),
    [false],
  );
  t.match(pair.sinks.server.end, { code: 'CONNECTION' });
});

t.test('an open session whose network dies is over when a PING and its repetition stay unanswered', async (t) => {
  const pair = new Pair('required', CALM, seeded(2));
  pair.run(1000);
  t.equal(pair.client.state, 'open');
  pair.up.isCut = true;
  pair.down.isCut = true;
  pair.server.send(octets(1), reliable, pair.clock.now());
  pair.run(60_000);
  t.match(pair.sinks.client.end, { code: 'DISCONNECT', by: 'loss', detail: 'silent' });
  t.equal(pair.client.counters().pingsOut, 2);
  t.strictSame(pair.sinks.server.log.slice(-2), ['undelivered 3', 'ended DISCONNECT by loss 4200']);
  t.equal(pair.server.counters().silent, 1);
});

t.test('ten transmissions in vain end the session with 2.0', async (t) => {
  const pair = new Pair('required', CALM, seeded(3), { heartbeat: 1e9 });
  pair.run(1000);
  pair.up.isCut = true;
  pair.client.send(octets(1), reliable, pair.clock.now());
  pair.run(74_999);
  t.equal(pair.client.state, 'open');
  t.equal(pair.client.counters().retransmissions, 9);
  pair.run(1);
  t.match(pair.sinks.client.end, { code: 'DISCONNECT', by: 'local', closeCode: 4200 });
  t.strictSame(pair.sinks.client.log.slice(-2), ['undelivered 2', 'ended DISCONNECT by local 4200']);
});

t.test('two ends that are both at the end of their numbers help each other out', async (t) => {
  for (const mode of ['required', 'none'] as const) {
    const pair = new Pair(mode, CALM, seeded(4));
    pair.run(500);
    pair.up.isCut = true;
    pair.down.isCut = true;
    for (const session of [pair.client, pair.server]) {
      for (let i = 0; i < 100; i += 1) session.send(octets(i), reliable, pair.clock.now());
      while (typeof session.send(octets(0), {}, pair.clock.now()) === 'number');
      t.equal(session.send(octets(0), reliable, pair.clock.now()), 'full');
    }
    pair.up.isCut = false;
    pair.down.isCut = false;
    pair.run(5000);
    for (const [session, sink] of [
      [pair.client, pair.sinks.client],
      [pair.server, pair.sinks.server],
    ] as const) {
      t.equal(session.unacknowledged.messages, 0);
      t.equal(sink.messages.filter((one) => one.reliable).length, 100);
      t.ok(sink.log.includes('room'));
      t.type(session.send(octets(0), reliable, pair.clock.now()), 'number');
    }
  }
});

t.test('nine fragmented RELIABLE messages at once are one too many, and room comes', async (t) => {
  const pair = new Pair('required', CALM, seeded(5));
  pair.run(500);
  const results = Array.from({ length: 9 }, () => pair.client.send(new Uint8Array(2000), reliable, pair.clock.now()));
  t.strictSame(
    results.map((one) => typeof one === 'number'),
    [true, true, true, true, true, true, true, true, false],
  );
  t.type(pair.client.send(new Uint8Array(972), reliable, pair.clock.now()), 'number', 'a small one has room');
  pair.run(100);
  t.strictSame(pair.sinks.client.log, ['opened new', 'room']);
});

t.test('a lost CONFIRM is sent again, and messages that overtake it come again', async (t) => {
  for (let lost = 0; lost < 5; lost += 1) {
    const pair = new Pair('required', CALM, seeded(6));
    let count = 0;
    const send = pair.down.send.bind(pair.down);
    // AUTH_S, FINISHED_S, CONFIRM, …: one of them never arrives.
    pair.down.send = (packet) => {
      count += 1;
      if (count !== lost + 1) send(packet);
    };
    pair.sinks.server.onOpened = () => pair.server.send(octets(7), reliable, pair.clock.now());
    pair.client.send(octets(8), reliable, pair.clock.now());
    pair.run(8000);
    t.strictSame([pair.client.state, pair.server.state], ['open', 'open'], `without packet ${lost}`);
    t.strictSame(
      pair.sinks.client.messages.map(({ data }) => data[0]),
      [7],
    );
    t.strictSame(
      pair.sinks.server.messages.map(({ data }) => data[0]),
      [8],
    );
    t.strictSame([pair.client.unacknowledged.messages, pair.server.unacknowledged.messages], [0, 0]);
  }
});

t.test('ends are told once; a server that goes waits for what is not acknowledged', async (t) => {
  const pair = new Pair('required', CALM, seeded(7));
  pair.run(500);
  pair.server.send(octets(1), reliable, pair.clock.now());
  pair.server.end('SERVER_DISCONNECT', pair.clock.now());
  t.equal(pair.server.state, 'ending');
  t.equal(pair.server.send(octets(1), {}, pair.clock.now()), 'closed');
  pair.run(2500);
  t.strictSame(pair.sinks.server.log, ['opened new', 'ended SERVER_DISCONNECT by local 4201']);
  t.strictSame(pair.sinks.client.log, ['opened new', 'ended SERVER_DISCONNECT by remote 4201']);
  t.equal(pair.sinks.client.messages.length, 1);

  const lone = new Pair('required', CALM, seeded(8));
  lone.run(500);
  lone.down.isCut = true;
  lone.server.send(octets(1), reliable, lone.clock.now());
  lone.server.end('SERVER_DISCONNECT', lone.clock.now());
  lone.run(2000);
  t.strictSame(lone.sinks.server.log.slice(1), ['undelivered 3', 'ended SERVER_DISCONNECT by local 4201']);

  const early = new Pair('required', CALM, seeded(9));
  early.client.end('CLIENT_DISCONNECT', early.clock.now());
  early.client.end('CLIENT_DISCONNECT', early.clock.now());
  early.run(100);
  t.match(early.sinks.server.end, { code: 'CLIENT_DISCONNECT', by: 'remote' });
  const gone = new Pair('none', CALM, seeded(10));
  gone.clientLeg.lost(gone.clock.now());
  t.match(gone.sinks.client.end, { code: 'DISCONNECT', by: 'loss' });
  t.throws(() => gone.server.connected(new TestCarrier(), 0), TypeError);
});

/** A raw client of a datagram server. */
const scene = (
  mode: 'required' | 'none',
  more: Partial<DatagramSettings> = {},
): { peer: RawPeer; server: DatagramSession; sink: Recorder } => {
  const settings: DatagramSettings = {
    ...SESSION_LIMITS,
    suite: nodeSuite,
    mode,
    prologue: PROLOGUE,
    anonymous: true,
    ...more,
  };
  const sink = new Recorder();
  const server = new DatagramSession('server', settings, sink);
  const peer = new RawPeer();
  peer.leg = server.connected(peer.carrier, 0);
  if (mode === 'none') return { peer, server, sink };
  const handshake = newClientHandshake(settings, 'datagram', undefined);
  peer.leg.receive(handshake.start(0, 0), 0);
  while (peer.secrets === undefined) {
    for (const packet of peer.carrier.take()) {
      const step = handshake.receive(packet);
      for (const answer of step.send) peer.leg.receive(answer, 0);
      if (step.kind === 'done') peer.secrets = step.secrets;
    }
  }
  peer.next = 2;
  return { peer, server, sink };
};

t.test('what is wrong before it is authentic is dropped, counted and never answered', async (t) => {
  const { peer, server, sink } = scene('required');
  const good = peer.packet({ flags: ENC | REL, data: octets(1) });
  const broken = (change: (packet: Uint8Array) => void): Uint8Array => {
    const packet = new Uint8Array(good);
    change(packet);
    return packet;
  };
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ['droppedUnreadable', octets()],
    ['droppedUnreadable', octets(0x10, ENC, 0, 2)],
    ['droppedUnreadable', octets(0, 0, 0, 2)],
    ['droppedUnreadable', octets(2, REL, 0, 2, 0, 65)],
    ['droppedUnreadable', octets(4, 0, 0, 2, 0x20)],
    ['droppedUnopened', broken((packet) => packet.fill(0, 6))],
    ['droppedUnopened', broken((packet) => packet.set([0, 1], 4))],
    ['droppedUnopened', broken((packet) => packet.set([0xff, 0xff], 2))],
    [
      'droppedUnopened',
      peer.packet({ flags: ENC, number: 2 ** 31 }).map((octet, i, all) => (i === all.length - 1 ? octet ^ 1 : octet)),
    ],
    ['droppedDuplicate', peer.packet({ flags: ENC, number: 1, data: octets(1) })],
  ];
  for (const [counter, packet] of cases) {
    const before = server.counters()[counter as 'droppedOld'];
    peer.leg.receive(packet, 5);
    t.equal(server.counters()[counter as 'droppedOld'], before + 1, counter);
  }
  t.strictSame(peer.heard(), []);
  t.equal(server.state, 'open');
  t.equal(server.deadline(), 15_000, 'and none of it counts as life');
  peer.leg.receive(good, 6);
  t.equal(sink.messages.length, 1, 'the window has not moved');
});

t.test('authentic nonsense ends the session', async (t) => {
  const cases: readonly (readonly [string, (peer: RawPeer) => Uint8Array])[] = [
    ['COMPRESSION', (peer) => peer.packet({ flags: ENC | COMP, data: octets(0xff) })],
    ['CHECKSUM', (peer) => peer.packet({ flags: ENC | CK, data: octets(1), checksum: 1 })],
    ['SEQUENCE_ID', (peer) => peer.packet({ type: 1, flags: ENC, tsf: [0, 9, 0, 0] })],
  ];
  for (const [code, make] of cases) {
    const { peer, sink } = scene('required');
    peer.heard();
    peer.leg.receive(make(peer), 5);
    t.match(sink.end, { code, by: 'local' });
    t.strictSame(
      peer.heard().map(({ type }) => type),
      [4],
    );
    const clear = scene('none');
    clear.peer.leg.receive(
      make(clear.peer).map((octet, i) => (i === 1 ? octet & ~ENC : octet)),
      5,
    );
    t.equal(clear.server.state, 'open', 'without a seal it may have been the network');
  }
});

t.test(
  'a window of 1,024 numbers: older is dropped, seen is not delivered again, seen RELIABLE is acknowledged again',
  async (t) => {
    for (const mode of ['required', 'none'] as const) {
      const { peer, server, sink } = scene(mode);
      const enc = mode === 'none' ? 0 : ENC;
      const give = (number: number, flags: number): void =>
        peer.leg.receive(peer.packet({ flags: enc | flags, number, data: octets(1) }), 5);
      give(2000, 0);
      give(2000 - 1023, REL);
      give(2000 - 1024, REL);
      t.strictSame(
        sink.messages.map(({ number }) => number),
        [2000, 977],
      );
      t.equal(server.counters().droppedOld, 1);
      peer.heard();
      give(977, REL);
      give(977, REL);
      t.strictSame(
        peer.heard().map(({ tsf }) => tsf[0]! * 256 + tsf[1]!),
        [977],
        'at once, and once in 25 ms',
      );
      peer.leg.receive(peer.packet({ flags: enc | REL, number: 977, data: octets(1) }), 30);
      t.equal(peer.heard().length, 1);
      give(2000, 0);
      t.strictSame(peer.heard(), [], 'nothing to say about an unreliable one');
      t.equal(sink.messages.length, 2);
      t.equal(server.counters().droppedDuplicate, 4);
    }
  },
);

t.test('fragments in any order, twice, and of too many messages: the lowest RELIABLE one always gets on', async (t) => {
  const { peer, server, sink } = scene('required', { heartbeat: 1e9 });
  const data = Uint8Array.from({ length: 3500 }, (_, i) => (i * 13) & 255);
  const parts = peer.fragments({ flags: ENC | REL, number: 5, data });
  for (const i of [3, 0, 0, 3, 2]) peer.leg.receive(parts[i] as Uint8Array, 1);
  t.equal(server.counters().droppedDuplicate, 2);
  const other = new Uint8Array(parts[1] as Uint8Array);
  other[3] = 6;
  // Seven unreliable ones that miss a fragment, then RELIABLE ones.
  for (let n = 100; n < 107; n += 1)
    peer.leg.receive(peer.fragments({ flags: ENC, number: n, data })[0] as Uint8Array, 2);
  for (let n = 50; n < 60; n += 1)
    peer.leg.receive(peer.fragments({ flags: ENC | REL, number: n, data })[0] as Uint8Array, 3);
  t.equal(server.counters().droppedReassembly, 7, 'the unreliable ones went, and nothing RELIABLE');
  t.equal(server.counters().droppedFragment, 3, 'the highest found no room');
  for (const part of peer.fragments({ flags: ENC | REL, number: 4, data })) peer.leg.receive(part, 4);
  t.strictSame(
    sink.messages.map(({ number }) => number),
    [4],
    'a lower one takes the place of the highest',
  );
  peer.leg.receive(parts[1] as Uint8Array, 5);
  t.strictSame(
    sink.messages.map(({ number }) => number),
    [4, 5],
  );
  t.ok(Buffer.compare(sink.messages[1]?.data as Uint8Array, data) === 0);
  t.equal(server.deadline(), 29, 'their ACK');
  peer.leg.tick(29);
  t.equal(server.deadline(), 30_003);
  peer.leg.tick(30_003);
  t.equal(server.deadline() > 1e8, true, 'groups without progress are forgotten after 30 s');
  t.equal(server.state, 'open');
});

t.test('a spoiled group is forgotten, and the message comes again', async (t) => {
  const { peer, server, sink } = scene('required');
  const data = new Uint8Array(1500).fill(5);
  const [first, second] = peer.fragments({ flags: ENC | REL, number: 3, data }) as [Uint8Array, Uint8Array];
  const forged = new Uint8Array(first);
  forged.fill(1, 20);
  peer.leg.receive(forged, 1);
  peer.leg.receive(first, 1);
  t.equal(server.counters().droppedFragment, 1, 'other octets in its place');
  peer.leg.receive(second, 1);
  t.equal(server.counters().droppedUnopened, 1);
  t.equal(sink.messages.length, 0);
  peer.leg.receive(first, 2);
  peer.leg.receive(second, 2);
  t.equal(sink.messages.length, 1);
});
