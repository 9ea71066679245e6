// A session that is open: what it sends and when, what it keeps, what it tells, and how it ends. Both modes, both ends, on a clock of numbers.
// PROTOCOL.md sections 1, 4, 5 and 7. What bad packets get is faults.spec.ts; what outlives a connection is resume.spec.ts.
import t from 'tap';
import { Ends, Recorder, TestCarrier } from '../../fixtures/rig/packets.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { RAW, rawClient, rawServer } from '../../fixtures/rig/raw-peer.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { Conversation, type Joint } from '../../lib/packet/conversation.js';
import { newCounters } from '../../lib/packet/counters.js';
import { Protector } from '../../lib/packet/protect.js';
import { Session } from '../../lib/packet/session.js';
import { SESSION_LIMITS } from '../../lib/packet/settings.js';
import { LAST_NUMBER } from '../../lib/packet/wire.js';

const { reliable: REL, encrypted: ENC } = RAW;
const MODES = ['required', 'none'] as const;
const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);
const big = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
const reliable = { reliable: true } as const;

t.test('messages of every kind and size arrive as they were sent, in order, both ways', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const wires = ends.open();
    t.strictSame([ends.client.state, ends.server.state], ['open', 'open']);
    const expected: (readonly [number, boolean, number])[] = [];
    for (const size of [0, 1, 956, 971, 972, 973, 987, 988, 989, 1976, 5000, 251_900]) {
      for (const options of [
        {},
        reliable,
        { checksum: true },
        { reliable: true, checksum: true, compress: true },
        { compress: true, transfer: true },
      ]) {
        for (const [from, to] of [
          [ends.client, ends.serverSink],
          [ends.server, ends.sink],
        ] as const) {
          const number = from.send(big(size), options, ends.now);
          wires.pump(ends.now);
          const got = to.messages.at(-1);
          t.equal(got?.number, number);
          t.equal(got?.reliable, 'reliable' in options);
          if (got === undefined || Buffer.compare(got.data, big(size)) !== 0)
            t.fail(`${size} octets, ${JSON.stringify(options)}`);
          if (from === ends.client) expected.push([number as number, got?.reliable === true, size]);
        }
      }
      ends.advance(25, wires);
    }
    t.strictSame(
      ends.serverSink.messages.map(({ number, reliable: r, data }) => [number, r, data.length]),
      expected,
    );
    t.strictSame(
      ends.sink.acks,
      expected.filter(([, r]) => r).map(([n]) => n),
      'every RELIABLE one is acknowledged, once, ascending',
    );
    t.strictSame(ends.client.unacknowledged, { messages: 0, bytes: 0 });
    const { messagesIn, messagesOut, reliableIn, packetsOut } = ends.server.counters();
    t.strictSame([messagesIn, messagesOut, reliableIn], [expected.length, expected.length, expected.length * 0.4]);
    t.ok(packetsOut > 255);
  }
});

t.test('RELIABLE messages may be sent before there is a connection, and leave in order when it opens', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const first = mode === 'none' ? 0 : 2;
    t.equal(ends.client.send(octets(1), reliable, ends.now), first);
    t.equal(ends.client.send(octets(9), {}, ends.now), 'full', 'an unreliable one has nowhere to wait');
    const wires = ends.connect();
    t.equal(ends.client.send(octets(2), reliable, ends.now), first + 1);
    wires.pump(ends.now);
    t.strictSame(
      ends.serverSink.messages.map(({ data, number }) => [number, ...data]),
      [
        [first, 1],
        [first + 1, 2],
      ],
    );
    t.strictSame(ends.sink.log, ['opened new', 'room']);
    t.equal(ends.client.counters().retransmissions, 0);
  }
});

t.test('opened is told before the first message, also when that came with the handshake', async (t) => {
  const ends = new Ends();
  const order: string[] = [];
  ends.sink.onOpened = () => order.push('opened');
  ends.sink.onMessage = () => order.push('message');
  const wires = ends.connect();
  while (ends.serverSinks.length === 0) wires.pump(ends.now, 1);
  ends.server.send(octets(1), {}, ends.now);
  wires.pump(ends.now);
  t.strictSame(order, ['opened', 'message']);
});

t.test('what cannot be sent is said at once and takes no number', async (t) => {
  const ends = new Ends({ client: { maxMessage: 600_000 }, server: { maxMessage: 2000 } });
  const wires = ends.open();
  t.equal(ends.client.send(big(2001), {}, ends.now), 'large', 'more than the peer said it takes');
  t.equal(ends.client.send(big(2000), {}, ends.now), 2);
  t.equal(ends.server.send(big(2001), {}, ends.now), 'large', 'more than our own limit');
  const wide = new Ends();
  wide.open();
  const noise = nodeSuite.random(255 * 988 - 15);
  t.equal(wide.client.send(noise, {}, wide.now), 'large', '256 fragments');
  t.equal(wide.client.send(noise.subarray(1), {}, wide.now), 2, '255');
  t.equal(wide.client.send(new Uint8Array(1_048_576), { compress: true }, wide.now), 3, 'large, but short on the wire');
  t.equal(wide.client.send(new Uint8Array(1_048_577), { compress: true }, wide.now), 'large');
  t.equal(wide.client.counters().large, 2);
  wires.pump(ends.now);
  ends.client.end('CLIENT_DISCONNECT', ends.now);
  t.equal(ends.client.send(octets(1), reliable, ends.now), 'closed');
  const tight = new Ends({ client: { maxUnackedBytes: 1000 } });
  tight.open();
  t.equal(tight.client.send(big(1001), reliable, tight.now), 'large', 'it could never be kept');
});

t.test(
  'a peer that never acknowledges: 256 messages or 1 MiB are kept, then send says full, and room when there is',
  async (t) => {
    for (const mode of MODES) {
      for (const [size, most] of [
        [10, 256],
        [100_000, 10],
      ] as const) {
        const ends = new Ends({ mode });
        const peer = rawServer(ends, mode);
        const numbers: unknown[] = [];
        for (let i = 0; i < 300; i += 1) numbers.push(ends.client.send(new Uint8Array(size), reliable, ends.now));
        t.equal(numbers.indexOf('full'), most);
        t.strictSame(ends.client.unacknowledged, { messages: most, bytes: most * size });
        t.equal(
          ends.client.send(octets(), {}, ends.now),
          (numbers[most - 1] as number) + 1,
          'unreliable ones still go',
        );
        const flags = mode === 'none' ? 0 : ENC;
        const id = numbers[0] as number;
        t.strictSame(ends.sink.log, ['opened new']);
        peer.leg.receive(peer.packet({ type: 1, flags, tsf: [0, id, 0, 0] }), ends.now);
        t.strictSame(ends.sink.log, ['opened new', 'room'], 'told once');
        t.type(ends.client.send(new Uint8Array(size), reliable, ends.now), 'number');
        t.equal(ends.client.send(new Uint8Array(size), reliable, ends.now), 'full');
      }
    }
  },
);

t.test(
  'numbers do not run more than 512 ahead of what is not acknowledged, and answers not more than 1,024',
  async (t) => {
    const ends = new Ends();
    const peer = rawServer(ends);
    t.equal(ends.client.send(octets(1), reliable, ends.now), 2);
    for (let i = 0; i < 511; i += 1) t.type(ends.client.send(octets(2), {}, ends.now), 'number');
    t.equal(ends.client.send(octets(3), {}, ends.now), 'full', 'number 514 while 2 is open');
    t.equal(ends.client.ping(ends.now), false, 'no number for a PING either');
    peer.heard();
    peer.leg.receive(peer.packet({ type: 3, flags: ENC, tsf: [0], data: octets(7) }), ends.now);
    peer.leg.receive(peer.packet({ type: 3, flags: ENC, tsf: [0], data: octets(8) }), ends.now);
    t.strictSame(peer.heard(), [], 'nor for a PONG');
    // Each RELIABLE packet of the peer is answered by an ACK of its own when its 25 ms are over: 512 of them until 1,026 would be used.
    let acks = 0;
    for (let i = 0; i < 600; i += 1) {
      peer.leg.receive(peer.packet({ flags: ENC | REL, data: octets(4) }), ends.now);
      ends.now += 25;
      peer.leg.tick(ends.now);
      acks += peer.heard().length;
    }
    t.equal(acks, 512);
    t.equal(ends.client.deadline() > ends.now, true, 'what cannot be paid does not spin');
    t.equal(ends.client.state, 'open');
    peer.leg.receive(peer.packet({ type: 1, flags: ENC, tsf: [0, 2, 0, 0] }), ends.now);
    const heard = peer.heard();
    t.equal(heard.filter(({ type }) => type === 1).length, 6, '88 numbers in six ACKs, newest first');
    t.strictSame(
      heard.filter(({ type }) => type === 3).map(({ tsf, data }) => [...tsf, ...data]),
      [[1, 8]],
      'the newest PING is answered',
    );
    t.strictSame(ends.sink.log, ['opened new', 'room']);
  },
);

t.test('a peer that acknowledges nothing cannot make us owe more than 512 numbers', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const peer = rawClient(ends, mode);
    const flags = mode === 'none' ? 0 : ENC;
    const first = ends.server.send(octets(1), reliable, ends.now) as number;
    for (let i = 1; i < 512; i += 1) ends.server.send(octets(2), {}, ends.now);
    const receive = (bytes: Uint8Array): void => peer.leg.receive(bytes, ends.now);
    // Now it has 512 ACKs left, one for each of these.
    for (let i = 0; i < 512; i += 1) {
      receive(peer.packet({ flags: flags | REL, data: octets(3) }));
      ends.now += 25;
      peer.leg.tick(ends.now);
    }
    t.equal(ends.server.counters().acksOut, 512);
    const oldest = peer.next;
    for (let i = 0; i < 512; i += 1) receive(peer.packet({ flags: flags | REL, data: octets(4) }));
    for (let i = 0; i < 100; i += 1) receive(peer.packet({ flags, data: octets(5) }));
    t.equal(ends.server.state, 'open', 'as far as section 5.1 lets it go');
    t.equal(ends.serverSink.messages.length, 1124);
    peer.carrier.take();
    const tell = (): void => receive(peer.packet({ type: 1, flags, tsf: [first >> 8, first & 255, 0, 0] }));
    if (mode === 'none') {
      tell();
      t.equal(peer.heard().length, 31, 'and honest it is forgiven: 512 numbers in ACKs of 17');
      continue;
    }
    receive(peer.packet({ flags: flags | REL, number: peer.next, data: octets(6) }));
    t.match(ends.serverSink.end, { code: 'SEQUENCE_ID', by: 'local', closeCode: 4304 });
    t.ok(peer.next > oldest + 511);
    t.equal(ends.serverSink.messages.length, 1124, 'and that one is not delivered');
  }
});

t.test('two ends that go as far as they may, and acknowledge late, never break the rule of 512', async (t) => {
  const rng = seedFromEnv('packet reserve');
  const limits = { maxUnacked: 1024, heartbeat: 1e9 };
  for (let round = 0; round < 6; round += 1) {
    const ends = new Ends({ client: limits, server: limits });
    let wires = ends.open();
    const said = { client: 0, server: 0 };
    let full = 0;
    const deliver = (to: 'client' | 'server', most: number): void => {
      const from = to === 'server' ? wires.client : wires.server;
      const leg = to === 'server' ? wires.serverLeg : wires.clientLeg;
      for (let i = 0; i < most && from.sent.length > 0; i += 1) leg.receive(from.sent.shift() as Uint8Array, ends.now);
    };
    for (let step = 0; step < 400; step += 1) {
      const side = rng.pick(['client', 'server'] as const);
      const session = side === 'client' ? ends.client : ends.server;
      for (let i = rng.int(300); i > 0; i -= 1) {
        const keep = rng.int(3) > 0;
        const number = session.send(octets(said[side] & 255, said[side] >> 8), { reliable: keep }, ends.now);
        if (typeof number === 'number' && keep) said[side] += 1;
        full += number === 'full' ? 1 : 0;
      }
      // One direction may rest for long, and then all of it comes at once.
      deliver(rng.pick(['client', 'server']), rng.pick([0, 1, 30, 700]));
      ends.now += rng.pick([0, 1, 25]);
      ends.client.tick(ends.now);
      wires.serverLeg.tick(ends.now);
      if (rng.int(40) === 0) {
        wires.cut(ends.now);
        wires = ends.open();
      }
    }
    for (let i = 0; i < 200; i += 1) {
      wires.pump(ends.now);
      ends.now += 25;
      ends.client.tick(ends.now);
      wires.serverLeg.tick(ends.now);
    }
    const arrived = ({ messages }: Recorder): number => messages.filter((one) => one.reliable).length;
    t.strictSame([ends.sink.end, ends.serverSink.end], [undefined, undefined]);
    t.strictSame([arrived(ends.serverSink), arrived(ends.sink)], [said.client, said.server]);
    t.ok(full > 1000, `${full} times there was no room`);
  }
});

t.test('many packets, one ACK: after 25 ms, or when the oldest is 16 behind', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const peer = rawClient(ends, mode);
    const flags = REL | (mode === 'none' ? 0 : ENC);
    const first = peer.next;
    for (let i = 0; i < 16; i += 1) peer.leg.receive(peer.packet({ flags, data: octets(i) }), ends.now + i);
    t.strictSame(peer.heard(), []);
    t.equal(peer.leg.deadline(), ends.now + 25);
    peer.leg.receive(peer.packet({ flags, data: octets(16) }), ends.now + 16);
    const [ack, ...more] = peer.heard();
    t.strictSame([ack?.type, ...(ack?.tsf ?? [])], [1, 0, first + 16, 255, 255]);
    t.equal(more.length, 0);
    peer.leg.receive(peer.packet({ flags, data: octets(17) }), ends.now + 20);
    peer.leg.tick(ends.now + 44);
    t.strictSame(peer.heard(), []);
    peer.leg.tick(ends.now + 45);
    t.strictSame([...(peer.heard()[0]?.tsf ?? [])], [0, first + 17, 255, 255]);
    for (let i = 0; i < 1700; i += 1) peer.leg.receive(peer.packet({ flags, data: octets(1) }), ends.now + 50);
    t.equal(peer.heard().length, 100, 'one in 17 under load');
    t.ok(peer.leg.deadline() > ends.now + 75, 'nothing owed');
  }
});

t.test('an ACK storm, duplicates, ACKs of unreliable numbers and of the handshake change nothing', async (t) => {
  const ends = new Ends();
  const peer = rawServer(ends);
  ends.client.send(octets(1), reliable, ends.now);
  ends.client.send(octets(2), {}, ends.now);
  ends.client.send(octets(3), reliable, ends.now);
  for (let i = 0; i < 3000; i += 1)
    peer.leg.receive(peer.packet({ type: 1, flags: ENC, tsf: [0, 4, 0xf0, 0] }), ends.now);
  t.strictSame(ends.sink.acks, [2, 4]);
  t.strictSame(ends.client.unacknowledged, { messages: 0, bytes: 0 });
  t.equal(ends.client.state, 'open');
  t.equal(ends.client.counters().droppedAck, 3000 * 5 - 2);
  t.equal(peer.heard().filter(({ type }) => type === 1).length, 0, 'ACKs are never acknowledged');
  // An ACK, and then the same packet again: a replay, not an ACK.
  const replay = peer.packet({ type: 1, flags: ENC, tsf: [0, 4, 0, 0] });
  peer.leg.receive(new Uint8Array(replay), ends.now);
  peer.leg.receive(replay, ends.now);
  t.equal(ends.sink.end?.code, 'SEQUENCE_ID');
});

t.test('a replay of a RELIABLE packet ends the session and is not delivered twice', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const peer = rawClient(ends, mode);
    const packet = peer.packet({ flags: REL | (mode === 'none' ? 0 : ENC), data: octets(1) });
    peer.leg.receive(new Uint8Array(packet), ends.now);
    peer.leg.receive(packet, ends.now);
    t.equal(ends.serverSink.messages.length, 1);
    t.equal(ends.serverSink.end?.code, 'SEQUENCE_ID');
  }
});

t.test(
  'large and small RELIABLE messages that are interleaved come in ascending order; unreliable ones do not wait',
  async (t) => {
    for (const mode of MODES) {
      const ends = new Ends({ mode });
      const peer = rawClient(ends, mode);
      const enc = mode === 'none' ? 0 : ENC;
      const base = peer.next;
      const a = peer.fragments({ flags: enc | REL, data: big(3000) });
      const b = peer.fragments({ flags: enc | REL, data: big(2500) });
      const c = peer.fragments({ flags: enc, data: big(1500) });
      const give = (...packets: (Uint8Array | undefined)[]): void => {
        for (const packet of packets) peer.leg.receive(packet as Uint8Array, ends.now);
      };
      give(a[0], b[0], c[0]);
      give(peer.packet({ flags: enc | REL, data: octets(3) }), peer.packet({ flags: enc, data: octets(4) }));
      const seen = (): number[] => ends.serverSink.messages.map(({ number }) => number - base);
      t.strictSame(seen(), [4]);
      give(b[1], b[2], c[1]);
      t.strictSame(seen(), [4, 2], 'b is complete and waits for a; c is not RELIABLE');
      give(a[3], a[1]);
      t.strictSame(seen(), [4, 2]);
      give(a[2]);
      t.strictSame(seen(), [4, 2, 0, 1, 3]);
      peer.leg.tick(ends.now + 25);
      t.strictSame(
        peer.heard().map(({ tsf }) => [...tsf]),
        [[0, base + 3, 0b0110_0000, 0]],
        'one ACK for the three',
      );
    }
  },
);

t.test('what waits for a message that never becomes complete is bounded', async (t) => {
  const limits = { maxReassemblyBytes: 10_000, maxMessage: 20_000, heartbeat: 1e9 };
  for (const size of [0, 900]) {
    const ends = new Ends({ mode: 'none', server: limits });
    const peer = rawClient(ends, 'none');
    peer.leg.receive(peer.fragments({ flags: REL, data: big(1500) })[0] as Uint8Array, ends.now);
    let taken = 0;
    while (ends.server.state === 'open' && taken < 1000) {
      peer.leg.receive(peer.packet({ flags: REL, data: new Uint8Array(size) }), ends.now);
      taken += 1;
    }
    t.equal(taken, size === 0 ? 513 : 34);
    t.equal(ends.serverSink.end?.code, 'FRAGMENT_NUMBER');
    t.equal(ends.serverSink.messages.length, taken - 1, 'what was acknowledged is delivered at the end');
  }
});

t.test('numbers go on across 0xffff, sealed and clear', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode, client: { heartbeat: 1e9 }, server: { heartbeat: 1e9 } });
    const wires = ends.open();
    const first = mode === 'none' ? 0 : 2;
    let wrong = 0;
    ends.serverSink.message = (data, _reliable, number) => {
      if (number - first !== data[0]! + data[1]! * 256 + data[2]! * 65536) wrong += 1;
    };
    const data = new Uint8Array(3);
    for (let i = 0; i < 66_000; i += 1) {
      data.set([i & 255, (i >> 8) & 255, i >> 16]);
      const options = i > 65_000 && i % 3 === 0 ? reliable : {};
      if (ends.client.send(data, options, ends.now) !== first + i) t.fail(`number of message ${i}`);
      if (i % 100 === 0) {
        wires.pump(ends.now);
        ends.advance(25, wires);
        wires.record.length = 0;
      }
    }
    wires.pump(ends.now);
    ends.advance(25, wires);
    t.equal(wrong, 0);
    t.equal(ends.server.counters().messagesIn, 66_000);
    t.equal(ends.client.unacknowledged.messages, 0);
    t.equal(ends.client.state, 'open');
  }
});

t.test('near 2^32 the sender of sealed packets stops, and a clear one goes on', async (t) => {
  for (const mode of MODES) {
    const settings = { ...SESSION_LIMITS, suite: nodeSuite, mode, prologue: octets() };
    const first = LAST_NUMBER - 3;
    const sinks = [new Recorder(), new Recorder()] as const;
    const [a, b] = sinks.map((sink) => new Conversation(settings, newCounters(), first, () => sink)) as [
      Conversation,
      Conversation,
    ];
    const keys = (n: number): Protector | undefined =>
      mode === 'none' ? undefined : new Protector(nodeSuite, new Uint8Array(32).fill(n), new Uint8Array(12));
    const verdicts: unknown[] = [];
    const joint = (n: number, to: Conversation): Joint => ({
      send: keys(n),
      receive: keys(1 - n),
      peerMax: 1e6,
      transmit: (packet) => verdicts.push(to.receive(packet, 0)),
    });
    b.begin(joint(1, a), first, 0);
    a.begin(joint(0, b), first, 0);
    for (let i = 0; i < 3; i += 1) t.equal(a.send(octets(i), reliable, 0), first + i);
    t.strictSame(
      sinks[1].messages.map(({ number }) => number),
      [first, first + 1, first + 2],
    );
    t.equal(a.isExhausted, mode === 'required');
    b.payDebts();
    t.strictSame(sinks[0].acks, [first, first + 1, first + 2], 'ACKs are understood there');
    t.match(
      verdicts.at(-1) ?? {},
      mode === 'required' ? { fault: { code: 'DISCONNECT' } } : {},
      'the next packet ends it',
    );
    t.ok(a.sendError('DISCONNECT'), 'the farewell has a number');
    if (mode === 'none') {
      for (let i = 0; i < 70_000; i += 1) a.send(octets(1), {}, 0);
      t.equal(sinks[1].messages.at(-1)?.number, first + 4 + 69_999);
    }
  }
});

t.test('silence: a PING after 15 s, and 10 s later the transport is dead and the session resumable', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const peer = rawServer(ends, mode);
    const begin = ends.now;
    t.equal(ends.client.deadline(), begin + 15_000);
    ends.client.tick(begin + 14_999);
    t.strictSame(peer.heard(), []);
    ends.client.tick(begin + 15_000);
    const [ping] = peer.heard();
    t.strictSame([ping?.type, ping?.tsf[0], ping?.data.length], [3, 0, 8]);
    t.equal(ends.client.deadline(), begin + 25_000);
    t.equal(ends.client.ping(begin + 16_000), false, 'one is under way');
    const enc = mode === 'none' ? 0 : ENC;
    const pong = peer.packet({ type: 3, flags: enc, tsf: [1], data: ping?.data as Uint8Array });
    peer.leg.receive(pong, begin + 15_120);
    t.strictSame(ends.sink.rtts, [120]);
    t.equal(ends.client.rtt, 120);
    t.equal(ends.client.deadline(), begin + 30_120);
    peer.leg.receive(peer.packet({ type: 3, flags: enc, tsf: [1], data: ping?.data as Uint8Array }), begin + 15_130);
    t.strictSame(ends.sink.rtts, [120], 'a PONG nobody asked for is ignored');
    t.equal(ends.client.counters().droppedPong, 1);
    ends.client.tick(begin + 30_130);
    ends.client.tick(begin + 40_129);
    t.equal(ends.client.state, 'open');
    ends.client.tick(begin + 40_130);
    t.equal(peer.carrier.aborted, true);
    t.strictSame(ends.sink.log, ['opened new', 'detached silent']);
    t.equal(ends.client.state, mode === 'none' ? 'idle' : 'detached');
    t.equal(ends.client.counters().silent, 1);
  }
});

t.test('anything that is heard counts as life', async (t) => {
  const ends = new Ends();
  const peer = rawServer(ends);
  ends.client.tick(ends.now + 15_000);
  peer.leg.receive(peer.packet({ flags: ENC, data: octets(1) }), ends.now + 24_999);
  ends.client.tick(ends.now + 25_000);
  t.equal(ends.client.state, 'open');
  t.equal(ends.client.deadline(), ends.now + 39_999);
});

t.test('two idle ends keep each other alive for an hour', async (t) => {
  const ends = new Ends();
  const wires = ends.open();
  ends.advance(3_600_000, wires);
  t.strictSame([ends.client.state, ends.server.state], ['open', 'open']);
  t.ok(ends.client.counters().pongsIn + ends.server.counters().pongsIn >= 239);
});

t.test('a PING is answered at once with its own Data', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const peer = rawClient(ends, mode);
    const enc = mode === 'none' ? 0 : ENC;
    for (const data of [octets(), octets(1), big(mode === 'none' ? 988 : 972)]) {
      peer.leg.receive(peer.packet({ type: 3, flags: enc, tsf: [0], data }), ends.now);
      const [pong] = peer.heard();
      t.strictSame([pong?.type, pong?.tsf[0], Buffer.compare(pong?.data as Uint8Array, data)], [3, 1, 0]);
    }
  }
});

t.test('more than ten PINGs within a second end the session with 2.0', async (t) => {
  const ends = new Ends();
  const peer = rawClient(ends);
  for (let i = 0; i < 10; i += 1) peer.leg.receive(peer.packet({ type: 3, flags: ENC, tsf: [0] }), ends.now + i);
  t.equal(ends.server.state, 'open');
  t.equal(peer.heard().length, 10);
  peer.leg.receive(peer.packet({ type: 3, flags: ENC, tsf: [0] }), ends.now + 999);
  t.match(ends.serverSink.end, { code: 'DISCONNECT', by: 'local', closeCode: 4200 });
  t.strictSame(
    peer.heard().map(({ type, tsf }) => [type, tsf[0]]),
    [[4, 0x20]],
  );
  t.equal(peer.carrier.closed?.code, 4200);
});

t.test('the round trip is told when it is asked for', async (t) => {
  const ends = new Ends();
  t.equal(ends.client.ping(ends.now), false, 'not open');
  const wires = ends.open();
  t.equal(ends.client.ping(ends.now), true);
  wires.pump(ends.now + 7);
  t.strictSame(ends.sink.rtts, [7]);
});

t.test('an end says ERROR once, closes with its code, and lists what is not acknowledged', async (t) => {
  for (const mode of MODES) {
    for (const [code, closeCode] of [
      ['DISCONNECT', 4200],
      ['CLIENT_DISCONNECT', 4202],
    ] as const) {
      const ends = new Ends({ mode });
      const wires = ends.open();
      const first = mode === 'none' ? 0 : 2;
      ends.client.send(octets(1), reliable, ends.now);
      wires.pump(ends.now);
      ends.client.send(octets(2), { reliable: true, compress: true }, ends.now);
      ends.client.send(octets(3), {}, ends.now);
      ends.client.end(code, ends.now, 'because');
      ends.client.end(code, ends.now);
      t.strictSame(ends.sink.log, [
        'opened new',
        `undelivered ${first} ${first + 1}`,
        `ended ${code} by local ${closeCode}`,
      ]);
      t.strictSame(
        ends.sink.lists[0]?.map(({ data, sent }) => [...data, sent]),
        [
          [1, true],
          [2, true],
        ],
      );
      t.equal(ends.sink.end?.detail, 'because');
      wires.pump(ends.now);
      t.strictSame(ends.serverSink.log, ['opened new', `ended ${code} by remote ${closeCode}`]);
      t.strictSame(
        ends.serverSink.messages.map(({ data }) => data[0]),
        [1, 2, 3],
        'what was sent before still arrives',
      );
      t.equal(ends.server.counters()[`remote.${code}`], 1);
      t.equal(wires.record.filter(({ packet }) => ((packet[0] as number) & 15) === 4).length, 1, 'never answered');
      t.equal(wires.client.closed?.code, closeCode);
      t.equal(wires.server.closed?.code, closeCode);
      t.equal(ends.registry.size, 0);
    }
  }
});

t.test('a server that goes waits up to 2 s for acknowledgements, and the client gives what it owes', async (t) => {
  for (const mode of MODES) {
    const ends = new Ends({ mode });
    const wires = ends.open();
    ends.server.send(octets(1), reliable, ends.now);
    ends.server.end('SERVER_DISCONNECT', ends.now);
    t.equal(ends.server.state, 'ending');
    t.equal(wires.server.closed, undefined);
    t.equal(ends.server.send(octets(1), reliable, ends.now), 'closed');
    t.equal(ends.client.send(octets(2), reliable, ends.now), mode === 'none' ? 0 : 2);
    wires.pump(ends.now);
    t.equal(ends.sink.messages.length, 1);
    t.strictSame(ends.sink.log.slice(1), [
      `undelivered ${mode === 'none' ? 0 : 2}`,
      'ended SERVER_DISCONNECT by remote 4201',
    ]);
    t.strictSame(ends.serverSink.log, ['opened new', 'ended SERVER_DISCONNECT by local 1001'], 'nothing undelivered');
    t.equal(ends.serverSink.acks.length, 1);
    t.equal(ends.serverSink.messages.length, 0, 'what comes after the farewell is not taken');
    t.equal(wires.server.closed?.code, 1001);

    const slow = new Ends({ mode });
    const peer = rawClient(slow, mode);
    slow.server.send(octets(1), reliable, slow.now);
    slow.server.end('SERVER_DISCONNECT', slow.now);
    t.equal(peer.leg.deadline(), slow.now + 2000);
    peer.leg.tick(slow.now + 1999);
    t.equal(slow.server.state, 'ending');
    peer.leg.tick(slow.now + 2000);
    t.equal(peer.carrier.closed?.code, 1001);
    t.strictSame(slow.serverSink.log.slice(1), [
      `undelivered ${mode === 'none' ? 0 : 3}`,
      'ended SERVER_DISCONNECT by local 1001',
    ]);

    const quiet = new Ends({ mode });
    quiet.open();
    quiet.server.end('SERVER_DISCONNECT', quiet.now);
    t.equal(quiet.server.state, 'closed', 'nothing to wait for');

    const cut = new Ends({ mode });
    const lost = cut.open();
    cut.server.send(octets(1), reliable, cut.now);
    cut.server.end('SERVER_DISCONNECT', cut.now);
    lost.cut(cut.now);
    t.equal(cut.server.state, 'closed');
    const bad = new Ends({ mode });
    const liar = rawClient(bad, mode);
    bad.server.send(octets(1), reliable, bad.now);
    bad.server.end('SERVER_DISCONNECT', bad.now);
    liar.heard();
    liar.leg.receive(octets(1, 2), bad.now);
    t.equal(bad.server.state, 'closed', 'no patience for nonsense');
    t.strictSame(liar.heard(), []);
  }
});

t.test("the peer's text is kept without control characters, and an unknown code is 2.0", async (t) => {
  const ends = new Ends();
  const peer = rawClient(ends);
  peer.leg.receive(
    peer.packet({ type: 4, flags: ENC | REL, tsf: [0x97], data: new TextEncoder().encode('a\u001b[31m\nb') }),
    ends.now,
  );
  t.match(ends.serverSink.end, { code: 'DISCONNECT', by: 'remote', closeCode: 4200 });
  t.match(ends.serverSink.end?.detail, /9\.7 a \[31m b/);
});

t.test('a receiver may send, end and be cut off inside its own callback', async (t) => {
  for (const mode of MODES) {
    const echo = new Ends({ mode });
    const wires = echo.open();
    echo.serverSink.onMessage = ({ data }) => echo.server.send(data, reliable, echo.now);
    for (let i = 0; i < 50; i += 1) echo.client.send(octets(i), reliable, echo.now);
    wires.pump(echo.now);
    t.strictSame(
      echo.sink.messages.map(({ data }) => data[0]),
      Array.from({ length: 50 }, (_, i) => i),
    );

    const ends = new Ends({ mode });
    const pipe = ends.open();
    ends.serverSink.onMessage = () => ends.server.end('DISCONNECT', ends.now);
    for (let i = 0; i < 20; i += 1) ends.client.send(octets(i), reliable, ends.now);
    pipe.pump(ends.now);
    t.equal(ends.serverSink.messages.length, 1);
    t.equal(ends.serverSink.log.at(-1), 'ended DISCONNECT by local 4200', 'the last event');
    t.strictSame(ends.sink.acks, [mode === 'none' ? 0 : 2], 'what was delivered was acknowledged with the farewell');
    t.equal(ends.sink.lists[0]?.length, 19);
  }
});

t.test('a handshake that fails leaves the client where it was, with the reason', async (t) => {
  const ends = new Ends({ server: { maxSessions: 0 } });
  ends.client.send(octets(1), reliable, ends.now);
  const wires = ends.open();
  t.match(ends.sink.detachments, [{ fault: { code: 'NO_SPACE' }, theirs: true }]);
  t.equal(wires.server.closed?.code, 4101);
  t.equal(ends.client.state, 'idle');
  t.equal(ends.client.unacknowledged.messages, 1, 'what waits still waits');
  const peer = new TestCarrier();
  const leg = ends.client.connected(peer, ends.now);
  t.equal(ends.client.deadline(), ends.now + 10_000);
  ends.client.tick(ends.now + 10_000);
  t.match(ends.sink.detachments[1], { fault: { code: 'CONNECTION', detail: 'timeout' }, theirs: false });
  t.equal(peer.closed?.code, 4100);
  t.equal(leg.deadline(), Number.POSITIVE_INFINITY);
  ends.client.connected(new TestCarrier(), ends.now);
  ends.client.end('CLIENT_DISCONNECT', ends.now);
  t.strictSame(ends.sink.log.slice(-2), ['undelivered 2', 'ended CLIENT_DISCONNECT by local 4202']);
  t.strictSame(
    ends.sink.lists[0]?.map(({ sent }) => sent),
    [false],
    'it never left',
  );
});

t.test('the two modes do not meet', async (t) => {
  const clear = new Ends({ mode: 'none', client: { mode: 'required' } });
  const wires = clear.open();
  t.equal(clear.serverSink.end?.code, 'CONNECTION');
  t.equal(wires.server.closed?.code, 4100);
  t.match(clear.sink.detachments[0], { fault: { code: 'CONNECTION' }, theirs: true });
  const sealed = new Ends({ client: { mode: 'none' } });
  const other = sealed.connect();
  sealed.client.send(octets(1), {}, sealed.now);
  other.pump(sealed.now);
  t.equal(other.server.closed?.code, 4100);
  t.match(sealed.sink.end, { code: 'CONNECTION', by: 'remote' });
});

t.test('a leg whose connection was replaced or lost is deaf', async (t) => {
  const ends = new Ends();
  const old = ends.open();
  const wires = ends.connect();
  t.equal(old.client.aborted, true);
  t.strictSame(ends.sink.log.slice(-1), ['detached taken over']);
  old.clientLeg.receive(octets(1, 2, 3, 4, 5), ends.now);
  old.clientLeg.lost(ends.now);
  old.clientLeg.tick(ends.now + 1e6);
  t.equal(old.clientLeg.deadline(), Number.POSITIVE_INFINITY);
  wires.pump(ends.now);
  t.equal(ends.client.state, 'open');
  t.equal(ends.client.counters().resumes, 1);
  ends.client.end('CLIENT_DISCONNECT', ends.now);
  const late = new TestCarrier();
  ends.client.connected(late, ends.now);
  t.match(late.closed, { code: 1001 });
  t.equal(ends.client.state, 'closed');
  t.throws(() => ends.server.connected(late, ends.now), TypeError);
  t.throws(
    () =>
      new Session(
        'client',
        { ...SESSION_LIMITS, suite: nodeSuite, mode: 'required', prologue: octets() },
        new Recorder(),
      ).connected(late, 0),
    TypeError,
    'neither a judge nor anonymous',
  );
});

t.test(
  'without security a lost connection is the end of its session: the list is exact and the numbers begin afresh',
  async (t) => {
    const ends = new Ends({ mode: 'none' });
    const wires = ends.open();
    for (let i = 0; i < 5; i += 1) ends.client.send(octets(i), reliable, ends.now);
    wires.pump(ends.now);
    ends.advance(25, wires);
    ends.client.send(octets(5), reliable, ends.now);
    ends.server.send(octets(6), reliable, ends.now);
    wires.cut(ends.now);
    t.strictSame(ends.sink.log, ['opened new', 'undelivered 5', 'detached lost']);
    t.strictSame(ends.serverSink.log, ['opened new', 'undelivered 1', 'ended DISCONNECT by loss 4200']);
    t.equal(ends.client.state, 'idle');
    ends.open();
    t.equal(ends.client.send(octets(1), reliable, ends.now), 0);
  },
);

t.test('every packet is traced when somebody wants it, and counted always', async (t) => {
  const lines: string[] = [];
  const trace = (side: string) => (direction: string, packet: Uint8Array, session: unknown) => {
    lines.push(`${side} ${direction} ${(packet[0] as number) & 15} ${session === undefined ? 'none' : 'session'}`);
  };
  const ends = new Ends({ client: { trace: trace('c') }, server: { trace: trace('s') } });
  const wires = ends.open();
  ends.client.send(octets(1), {}, ends.now);
  wires.pump(ends.now);
  t.strictSame(lines, [
    'c out 2 session',
    's in 2 none',
    's out 2 none',
    's out 1 none',
    'c in 2 session',
    'c in 1 session',
    'c out 1 session',
    's in 1 none',
    's out 1 none',
    'c in 1 session',
    'c out 0 session',
    's in 0 session',
  ]);
  const { packetsIn, packetsOut, bytesIn, bytesOut } = ends.client.counters();
  const sum = ends.registry.counters();
  t.strictSame([sum.packetsOut, sum.packetsIn, sum.bytesOut, sum.bytesIn], [packetsIn, packetsOut, bytesIn, bytesOut]);
});
