// What outlives a connection: a recorded conversation cut wherever it can be cut and resumed, and every way in which a resume is refused. Promise
// 10: a RELIABLE packet is delivered exactly once and in order across reconnects, or its sender learns that it was not.
// PROTOCOL.md sections 5.5 and 6.5.
import t from 'tap';
import { Ends, type EndsOptions, PROLOGUE, type Received, Recorder, type Wires } from '../../fixtures/rig/packets.js';
import { seeded } from '../../fixtures/rig/random.js';
import { RAW, rawClient, rawServer } from '../../fixtures/rig/raw-peer.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import type { ResumeOffer } from '../../lib/packet/handshake.js';
import { writeResumeState } from '../../lib/packet/resume-state.js';
import { Session } from '../../lib/packet/session.js';
import type { PacketSession, SendOptions } from '../../lib/packet/session-types.js';
import { SESSION_LIMITS } from '../../lib/packet/settings.js';
import { NumberWindow } from '../../lib/packet/window.js';

const { reliable: REL, encrypted: ENC } = RAW;
const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);
const reliable = { reliable: true } as const;

interface Line {
  readonly from: 'client' | 'server';
  readonly data: Uint8Array;
  readonly options: SendOptions;
}

/** 200 RELIABLE messages each way, unreliable ones between them; every seventh or so is fragmented, every third compressed. */
const SCRIPT: readonly Line[] = (() => {
  const rng = seeded(20_260_801);
  const lines: Line[] = [];
  const count = { client: 0, server: 0 };
  while (count.client < 200 || count.server < 200) {
    const from = rng.pick(['client', 'server'] as const);
    if (count[from] >= 200) continue;
    const size = rng.int(7) === 0 ? 900 + rng.int(2200) : rng.int(60);
    const n = count[from];
    const data = Uint8Array.from(
      { length: 3 + size },
      (_, i) => [n & 255, n >> 8, size & 255][i] ?? i % (n % 2 === 0 ? 7 : 251),
    );
    const kind = rng.int(12);
    if (kind === 0) lines.push({ from, data: octets(255, 255, 255), options: { checksum: true } });
    lines.push({ from, data, options: { reliable: true, compress: kind < 4, checksum: kind % 5 === 0 } });
    count[from] += 1;
  }
  return lines;
})();
const SAID = {
  client: SCRIPT.filter(({ from, options }) => from === 'client' && options.reliable === true),
  server: SCRIPT.filter(({ from, options }) => from === 'server' && options.reliable === true),
};

/** Compares what arrived with what was said; a word about the first difference. */
const differs = (received: readonly Received[], said: readonly Line[]): string | undefined => {
  const got = received.filter((one) => one.reliable);
  for (const [i, { data }] of said.entries()) {
    const other = got[i]?.data;
    if (other === undefined) return `message ${i} of ${said.length} is missing`;
    if (other.length !== data.length || Buffer.compare(other, data) !== 0) return `message ${i} is another one`;
  }
  return got.length === said.length ? undefined : `${got.length - said.length} too many`;
};

/** Who notices a cut, and what was under way. */
type Cut =
  | 'both at once'
  | 'the server still talks to the dead'
  | 'the client got what was under way'
  | 'the server got what was under way';
const CUTS: readonly Cut[] = [
  'both at once',
  'the server still talks to the dead',
  'the client got what was under way',
  'the server got what was under way',
];

const cut = (ends: Ends, wires: Wires, how: Cut): void => {
  if (how === 'the client got what was under way')
    for (const packet of wires.server.take()) wires.clientLeg.receive(packet, ends.now);
  if (how === 'the server got what was under way')
    for (const packet of wires.client.take()) wires.serverLeg.receive(packet, ends.now);
  wires.client.take();
  wires.clientLeg.lost(ends.now);
  if (how !== 'the server still talks to the dead') {
    wires.server.take();
    wires.serverLeg.lost(ends.now);
  }
};

/**
 * Says the whole script. `cuts`: after how many packets on each connection it is cut; the connection after the last stays. Returns
 * what is wrong, or undefined, and how many packets each connection carried.
 */
const converse = (
  cuts: readonly number[],
  how: Cut,
  options: EndsOptions = {},
): { wrong: string | undefined; packets: number[] } => {
  const ends = new Ends(options);
  const packets: number[] = [];
  const pending = [...cuts];
  let wires = ends.connect();
  let left = pending.shift() ?? Number.POSITIVE_INFINITY;
  const pump = (limit = Number.POSITIVE_INFINITY): void => {
    for (let allowed = limit; ; ) {
      const moved = wires.pump(ends.now, Math.min(allowed, left));
      allowed -= moved;
      left -= moved;
      packets[packets.length - 1] = (packets.at(-1) ?? 0) + moved;
      if (left > 0) return;
      cut(ends, wires, how);
      wires = ends.connect();
      packets.push(0);
      left = pending.shift() ?? Number.POSITIVE_INFINITY;
    }
  };
  packets.push(0);
  pump(5);
  const waiting = [...SCRIPT];
  for (let turn = 0; waiting.length > 0 && turn < 20_000; turn += 1) {
    // A few lines, then a few packets, so that there is always something under way in both directions.
    for (let i = 0; i < 3; i += 1) {
      const line = waiting[0];
      if (line === undefined) break;
      const session: PacketSession | undefined = line.from === 'client' ? ends.client : theOther(ends);
      if (session === undefined) break;
      const result = session.send(line.data, line.options, ends.now);
      if (typeof result !== 'number' && line.options.reliable === true) break;
      waiting.shift();
    }
    pump(4);
    if (turn % 5 === 0) tick(ends, wires);
  }
  const waits = (session: PacketSession | undefined): boolean => session?.unacknowledged.messages !== 0;
  for (let i = 0; i < 50 && (waits(ends.client) || waits(theOther(ends))); i += 1) {
    pump();
    tick(ends, wires);
    pump();
  }
  // A first CONFIRM that is lost leaves a session at the server that nobody knows of, and in which nothing was said.
  const server = ends.serverSinks[ends.serverSessions.indexOf(theOther(ends) as Session)];
  const others = ends.serverSinks.filter((sink) => sink !== server && sink.messages.length > 0);
  const wrong =
    server === undefined || others.length > 0
      ? `${others.length} other sessions at the server with messages`
      : (differs(server.messages, SAID.client) ??
        differs(ends.sink.messages, SAID.server) ??
        wrongAcks(ends.sink, SAID.client.length) ??
        wrongAcks(server, SAID.server.length) ??
        (waiting.length > 0 ? 'the script did not end' : undefined));
  return { wrong, packets };
};

/** The server's end of the session the client has. */
const theOther = (ends: Ends): Session | undefined => {
  const id = ends.client.security?.sessionId;
  if (id === undefined) return undefined;
  return ends.serverSessions.find(
    ({ security }) => security !== undefined && Buffer.compare(security.sessionId, id) === 0,
  );
};

const tick = (ends: Ends, wires: Wires): void => {
  ends.now += 30;
  ends.client.tick(ends.now);
  wires.serverLeg.tick(ends.now);
};

const wrongAcks = (sink: Recorder, count: number): string | undefined => {
  if (sink.acks.length !== count) return `${sink.acks.length} of ${count} acknowledged`;
  if (new Set(sink.acks).size !== count) return 'acknowledged twice';
  if (sink.lists.length > 0) return 'something undelivered';
  return sink.end === undefined ? undefined : `ended with ${sink.end.code}`;
};

t.test(
  'a conversation of 200 RELIABLE messages each way may be cut after every packet, and so at every octet',
  async (t) => {
    const whole = converse([], 'both at once');
    t.equal(whole.wrong, undefined);
    const total = whole.packets[0] as number;
    t.ok(total > 500, `${total} packets`);
    // A transport delivers whole packets: a cut at any octet of packet k loses packet k and all after it, as the cut before it does. So
    // the cuts after 0, 1, … packets are the cuts at every octet.
    let bad = 0;
    for (let k = 1; k <= total; k += 1) {
      const how = CUTS[k % CUTS.length] as Cut;
      const { wrong } = converse([k], how);
      if (wrong !== undefined) t.fail(`cut after ${k} packets, ${how}: ${wrong}`);
      bad += wrong === undefined ? 0 : 1;
    }
    t.equal(bad, 0, `${total} cuts`);
  },
);

t.test('the connection that resumes may be cut as well, again and again', async (t) => {
  let bad = 0;
  for (const first of [1, 3, 4, 5, 6, 50, 51, 52, 53, 300]) {
    for (let second = 1; second <= 12; second += 1) {
      const how = CUTS[(first + second) % CUTS.length] as Cut;
      const { wrong, packets } = converse([first, second, (second * 5) % 7, 4, 5, 3, 20], how);
      if (packets.length < 8) t.fail('not all cuts were made');
      if (wrong !== undefined) t.fail(`cut after ${first}, ${second}, ${how}: ${wrong}`);
      bad += wrong === undefined ? 0 : 1;
    }
  }
  t.equal(bad, 0);
});

t.test('an octet of the conversation belongs to exactly one packet', async (t) => {
  // The map from octets to cuts, made for the record: the k of every octet is one of the cuts above.
  const ends = new Ends();
  const wires = ends.open();
  for (const line of SCRIPT) {
    (line.from === 'client' ? ends.client : ends.server).send(line.data, line.options, ends.now);
    wires.pump(ends.now);
  }
  const starts: number[] = [0];
  for (const { packet } of wires.record) starts.push((starts.at(-1) as number) + packet.length);
  const size = starts.at(-1) as number;
  let k = 0;
  for (let octet = 0; octet < size; octet += 1) {
    while ((starts[k + 1] as number) <= octet) k += 1;
    if (octet < (starts[k] as number) || k >= wires.record.length) t.fail(`octet ${octet}`);
  }
  t.ok(size > 50_000, `${size} octets in ${wires.record.length} packets`);
});

t.test(
  'a server that never noticed the cut hands the session over, and closes the old connection with 4002',
  async (t) => {
    const ends = new Ends();
    const old = ends.open();
    old.client.take();
    old.clientLeg.lost(ends.now);
    ends.server.send(octets(1), reliable, ends.now);
    ends.client.send(octets(2), reliable, ends.now);
    const wires = ends.open();
    t.match(old.server.closed, { code: 4002, reason: 'taken over' });
    t.equal(ends.registry.size, 1);
    t.strictSame(ends.serverSink.log, ['opened new', 'detached taken over', 'opened resumed']);
    t.strictSame(
      ends.sink.messages.map(({ data }) => data[0]),
      [1],
    );
    t.strictSame(
      ends.serverSink.messages.map(({ data }) => data[0]),
      [2],
    );
    old.serverLeg.receive(octets(1, 2, 3), ends.now);
    old.serverLeg.lost(ends.now);
    t.equal(ends.server.state, 'open', 'the old leg is deaf');
    t.equal(ends.server.counters().takenOver, 1);
    t.equal(wires.serverLeg.session, ends.server);
    ends.advance(30_000, wires);
    t.equal(ends.server.state, 'open');
  },
);

t.test('after a resume the keys are others, the numbers go on, and who the peer is does not change', async (t) => {
  const ends = new Ends();
  const wires = ends.open();
  const before = ends.client.security;
  ends.client.send(octets(1), reliable, ends.now);
  wires.pump(ends.now);
  wires.cut(ends.now);
  t.strictSame([ends.client.state, ends.server.state, ends.registry.detached], ['detached', 'detached', 1]);
  t.equal(ends.client.send(octets(2), reliable, ends.now), 3);
  t.equal(ends.client.send(octets(2), {}, ends.now), 'full', 'an unreliable one has nowhere to wait');
  ends.open();
  const after = ends.client.security;
  t.strictSame(before?.sessionId, after?.sessionId);
  t.equal(after?.identity, 'anonymous');
  t.notSame(before?.exporter, after?.exporter);
  t.strictSame(after?.exporter, ends.server.security?.exporter);
  t.strictSame(after?.packageKeys, ends.server.security?.packageKeys);
  t.strictSame(after?.packageKeys, before?.packageKeys, 'but those of packages: one may be on its way');
  t.strictSame(ends.sink.acks, [2], 'the window told');
  t.strictSame(ends.sink.log, ['opened new', 'detached lost', 'opened resumed', 'room']);
  t.strictSame(
    ends.serverSink.messages.map(({ number }) => number),
    [2, 3],
  );
  t.equal(ends.client.counters().retransmissions, 0, 'one was there already, the other never left before');
  t.equal(ends.registry.detached, 0);
});

t.test(
  'a session that is too old, or whose server started anew, is replaced by a fresh one, with the exact list',
  async (t) => {
    for (const restart of [false, true]) {
      const ends = new Ends();
      const wires = ends.open();
      for (let i = 0; i < 5; i += 1) ends.client.send(octets(i), reliable, ends.now);
      wires.pump(ends.now);
      ends.advance(25, wires);
      ends.server.send(octets(100), reliable, ends.now);
      for (let i = 5; i < 8; i += 1) ends.client.send(octets(i), reliable, ends.now);
      // The server has 5 and 6, and the client does not know it.
      wires.pump(ends.now, 2);
      wires.cut(ends.now);
      ends.client.send(octets(8), reliable, ends.now);
      if (restart) ends.restartServer();
      else {
        t.equal(ends.registry.deadline(), ends.now + 60_000);
        ends.registry.tick(ends.now + 59_999);
        t.equal(ends.registry.size, 1);
        ends.registry.tick(ends.now + 60_000);
        t.equal(ends.registry.size, 0);
        t.strictSame(ends.serverSinks[0]?.log, [
          'opened new',
          'detached lost',
          'undelivered 4',
          'ended DISCONNECT by expiry 4200',
        ]);
        t.equal(ends.registry.counters().expired, 1);
      }
      ends.open();
      t.strictSame(ends.sink.log, ['opened new', 'detached lost', 'undelivered 7 8 9 10', 'opened new']);
      t.strictSame(
        ends.sink.lists[0]?.map(({ data, sent }) => [...data, sent]),
        [
          [5, true],
          [6, true],
          [7, true],
          [8, false],
        ],
      );
      t.strictSame(
        ends.serverSinks[0]?.messages.map(({ data }) => data[0]),
        [0, 1, 2, 3, 4, 5, 6],
      );
      t.strictSame(ends.serverSinks[1]?.messages, [], 'nothing is sent again by itself');
      t.equal(ends.client.send(octets(9), reliable, ends.now), 2, 'the numbers begin afresh');
      t.equal(ends.client.counters().resumesRefused, 1);
    }
  },
);

t.test('what is sent again from inside undelivered goes to the fresh session', async (t) => {
  const ends = new Ends();
  const wires = ends.open();
  ends.client.send(octets(1), reliable, ends.now);
  wires.cut(ends.now);
  ends.restartServer();
  const undelivered = ends.sink.undelivered.bind(ends.sink);
  ends.sink.undelivered = (messages) => {
    undelivered(messages);
    for (const { data } of messages) ends.client.send(data, reliable, ends.now);
  };
  ends.open();
  t.strictSame(
    ends.serverSinks[1]?.messages.map(({ data, number }) => [...data, number]),
    [[1, 2]],
  );
});

/** What a client would need to steal or repeat a resume. */
const offer = (
  ends: Ends,
  binderKey: Uint8Array,
  state: Uint8Array,
  id = ends.server.security?.sessionId as Uint8Array,
): ResumeOffer => ({
  id,
  binderKey,
  identity: 'anonymous',
  state: () => state,
  accepts: () => true,
});
const stateOf = (next: number, nextSend: number, accepted: readonly number[] = []): Uint8Array => {
  const window = new NumberWindow(0);
  window.advance(next);
  for (const n of accepted) window.add(n);
  return writeResumeState(window, nextSend);
};

t.test('a wrong binder or a wrong id gets a fresh session; the old one does not notice', async (t) => {
  const ends = new Ends();
  const wires = ends.open();
  ends.server.send(octets(1), reliable, ends.now);
  wires.cut(ends.now);
  const { server } = ends;
  const right = server.binderKeys[0] as Uint8Array;
  const wrong = new Uint8Array(right);
  wrong[31] = (wrong[31] as number) ^ 1;
  for (const [binderKey, id] of [
    [wrong, undefined],
    [right, new Uint8Array(16)],
  ] as const) {
    const thief = rawClient(
      ends,
      'required',
      offer(ends, binderKey, stateOf(3, 2), id ?? (server.security?.sessionId as Uint8Array)),
    );
    t.equal(thief.secrets?.refused, true);
    t.notSame(thief.secrets?.sessionId, server.security?.sessionId);
    t.equal(server.state, 'detached');
    t.strictSame(thief.heard(), []);
  }
  t.equal(ends.registry.counters().resumesRefused, 2);
  ends.open();
  t.equal(server.state, 'open', 'and can still be resumed by its owner');
  t.strictSame(ends.sink.messages.length, 1);
});

t.test(
  'two connections that resume the same session at once: the session has one at a time, and nothing is delivered twice',
  async (t) => {
    const ends = new Ends();
    const wires = ends.open();
    ends.server.send(octets(1), reliable, ends.now);
    wires.cut(ends.now);
    const key = new Uint8Array(ends.server.binderKeys[0] as Uint8Array);
    const first = rawClient(ends, 'required', offer(ends, key, stateOf(3, 2)));
    t.equal(first.secrets?.resumed !== undefined, true);
    // The CONFIRM of the first may have been lost, so the key it used is good until the first has used its new keys.
    const second = rawClient(ends, 'required', offer(ends, key, stateOf(3, 2)));
    t.equal(second.secrets?.resumed !== undefined, true);
    t.match(first.carrier.closed, { code: 4002 });
    first.leg.receive(first.packet({ flags: ENC | REL, data: octets(66) }), ends.now);
    t.equal(ends.serverSink.messages.length, 0, 'the first is deaf');
    second.leg.receive(second.packet({ flags: ENC | REL, data: octets(5) }), ends.now);
    t.strictSame(
      ends.serverSink.messages.map(({ data }) => data[0]),
      [5],
    );
    t.equal(ends.server.binderKeys.length, 1);
    const third = rawClient(ends, 'required', offer(ends, key, stateOf(3, 2)));
    t.equal(third.secrets?.refused, true, 'the second has proved its new key: the old one opens nothing any more');
    t.equal(second.carrier.closed, undefined);
    t.equal(ends.serverSessions.length, 2);
  },
);

t.test('a stolen binder key is worth nothing without the certificate', async (t) => {
  const certificate = octets(48, 3, 2, 1, 1);
  const judge = { judge: () => ({ fingerprint: 'aa', certificate: { fingerprint: 'aa' }, verify: () => true }) };
  const own = { certificate, scheme: 0x0403, sign: () => octets(1) };
  const ends = new Ends({ client: { own }, server: { clientCertificate: 'optional', judge } });
  ends.open().cut(ends.now);
  t.equal(ends.server.security?.identity, 'aa');
  const thief = rawClient(ends, 'required', offer(ends, ends.server.binderKeys[0] as Uint8Array, stateOf(3, 2)));
  t.equal(thief.secrets?.refused, true);
  ends.open();
  t.strictSame(ends.sink.log, ['opened new', 'detached lost', 'opened resumed']);
  t.equal(ends.serverSessions[0]?.state, 'open');
});

t.test('CONFIRM may be lost on every resume in a row', async (t) => {
  const ends = new Ends();
  ends.open().cut(ends.now);
  for (let i = 0; i < 5; i += 1) {
    const wires = ends.connect();
    // AUTH, AUTH, FINISHED, FINISHED: the server has resumed, and the client does not know it.
    wires.pump(ends.now, 4);
    t.equal(ends.server.state, 'open');
    wires.cut(ends.now);
    // Every other time the client gets its CONFIRM and then says nothing.
    if (i % 2 === 0) ends.open().cut(ends.now);
    t.ok(ends.server.binderKeys.length <= 2);
  }
  ends.open();
  t.equal(ends.client.counters().resumes, 4);
  t.equal(ends.server.counters().resumes, 9);
  t.equal(ends.serverSessions.length, 1);
});

t.test('halves that contradict each other end the session with 1.0', async (t) => {
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ['expects a number that was never sent', stateOf(5, 2)],
    ['forgets what it sent', stateOf(3, 1)],
    ['has used up more than there are numbers', stateOf(3, 2 ** 33)],
  ];
  for (const [what, state] of cases) {
    const ends = new Ends();
    const wires = ends.open();
    ends.server.send(octets(1), reliable, ends.now);
    wires.cut(ends.now);
    const key = new Uint8Array(ends.server.binderKeys[0] as Uint8Array);
    t.throws(() => rawClient(ends, 'required', offer(ends, key, state)));
    t.match(ends.serverSink.end, { code: 'CONNECTION', closeCode: 4100 }, what);
    t.strictSame(
      ends.serverSink.lists[0]?.map(({ number }) => number),
      [3],
      what,
    );
    t.equal(ends.registry.size, 0);
  }
});

t.test('a client refuses a server whose half contradicts its own', async (t) => {
  const ends = new Ends();
  const wires = ends.open();
  ends.client.send(octets(1), reliable, ends.now);
  wires.pump(ends.now);
  wires.cut(ends.now);
  // The server takes the session over with another past: its state is bent on the way to CONFIRM.
  const { server } = ends;
  const takeOver = server.takeOver.bind(server);
  server.takeOver = (state, key) => {
    takeOver(state, key);
    return stateOf(99, 3);
  };
  const again = ends.open();
  t.match(ends.sink.detachments.at(-1), { fault: { code: 'CONNECTION' }, theirs: false });
  t.ok(again.client.aborted, 'without a word: the server has its connection');
  t.strictSame([ends.client.state, server.state], ['detached', 'detached']);
  ends.client.end('CLIENT_DISCONNECT', ends.now);
  t.strictSame(
    ends.sink.lists[0]?.map(({ number }) => number),
    [2],
  );
});

t.test('a group that was cut holds back what is complete, until it comes again', async (t) => {
  const ends = new Ends();
  const peer = rawClient(ends);
  const data = Uint8Array.from({ length: 2000 }, (_, i) => i & 255);
  const [head] = peer.fragments({ flags: ENC | REL, data }) as [Uint8Array];
  peer.leg.receive(head, ends.now);
  peer.leg.receive(peer.packet({ flags: ENC | REL, data: octets(3) }), ends.now);
  peer.leg.receive(peer.fragments({ flags: ENC, data })[0] as Uint8Array, ends.now);
  ends.now += 25;
  peer.leg.tick(ends.now);
  t.strictSame(
    peer.heard().map(({ tsf }) => [...tsf]),
    [[0, 3, 0, 0]],
    'the complete one is acknowledged',
  );
  t.equal(ends.serverSink.messages.length, 0);
  peer.leg.lost(ends.now);
  const resume = (state: Uint8Array): ReturnType<typeof rawClient> =>
    rawClient(ends, 'required', offer(ends, new Uint8Array(ends.server.binderKeys.at(-1) as Uint8Array), state));

  const again = resume(stateOf(4, 5));
  t.equal(again.leg.deadline(), ends.now + 15_000, 'the heartbeat comes first');
  again.leg.receive(again.packet({ flags: ENC, number: 5, data: octets(9) }), ends.now);
  t.strictSame(
    ends.serverSink.messages.map(({ number }) => number),
    [5],
    'unreliable ones do not wait',
  );
  // Cut once more in the middle of the retransmission.
  again.leg.receive(again.fragments({ flags: ENC | REL, number: 2, data })[0] as Uint8Array, ends.now);
  again.leg.lost(ends.now);
  const last = resume(stateOf(4, 6));
  for (const packet of last.fragments({ flags: ENC | REL, number: 2, data })) last.leg.receive(packet, ends.now);
  t.strictSame(
    ends.serverSink.messages.map(({ number }) => number),
    [5, 2, 3],
  );
  last.heard();
  last.leg.receive(last.packet({ flags: ENC | REL, number: 2, data: octets(1) }), ends.now);
  t.equal(ends.serverSink.end?.code, 'SEQUENCE_ID', 'and again is a replay');

  const stalled = new Ends({ server: { heartbeat: 1e9 } });
  const slow = rawClient(stalled);
  slow.leg.receive(slow.fragments({ flags: ENC | REL, data })[0] as Uint8Array, stalled.now);
  slow.leg.receive(slow.packet({ flags: ENC | REL, data: octets(3) }), stalled.now);
  slow.leg.lost(stalled.now);
  const silent = rawClient(
    stalled,
    'required',
    offer(stalled, new Uint8Array(stalled.server.binderKeys[0] as Uint8Array), stateOf(3, 4)),
  );
  t.equal(silent.leg.deadline(), stalled.now + 30_000);
  silent.leg.tick(stalled.now + 30_000);
  t.equal(stalled.serverSink.end?.code, 'FRAGMENT_NUMBER', 'it has 30 s to come again');

  const late = new Ends({ server: { heartbeat: 1e9 } });
  const begun = rawClient(late);
  begun.leg.receive(begun.fragments({ flags: ENC | REL, data })[0] as Uint8Array, late.now);
  begun.leg.receive(begun.packet({ flags: ENC | REL, data: octets(3) }), late.now);
  begun.leg.lost(late.now);
  const lateKey = new Uint8Array(late.server.binderKeys[0] as Uint8Array);
  const going = rawClient(late, 'required', offer(late, lateKey, stateOf(3, 4)));
  const [one, two, three] = going.fragments({ flags: ENC | REL, number: 2, data: new Uint8Array(2900) }) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  going.leg.receive(one, late.now + 29_000);
  going.leg.tick(late.now + 30_000);
  going.leg.receive(two, late.now + 58_000);
  going.leg.tick(late.now + 59_000);
  t.equal(late.server.state, 'open', 'and once it has begun, 30 s from fragment to fragment');
  going.leg.receive(three, late.now + 87_000);
  t.strictSame(
    late.serverSink.messages.map(({ number }) => number),
    [2, 3],
  );
});

t.test('a fragment that nobody has opened moves nothing that outlives its connection', async (t) => {
  // Somebody in between, who has no key: the number is no secret.
  const forged = (number: number): Uint8Array => {
    const bytes = new Uint8Array(8 + 988);
    bytes.set([0, ENC | REL | RAW.frag, number >> 8, number & 255, 0, 2, 0, 0]);
    return bytes;
  };
  const ends = new Ends({ server: { heartbeat: 1e9 } });
  const wires = ends.open();
  ends.client.send(octets(1), reliable, ends.now);
  wires.pump(ends.now);
  wires.serverLeg.receive(forged(3), ends.now);
  wires.cut(ends.now);
  const resuming = ends.connect();
  resuming.pump(ends.now, 4);
  t.equal(ends.server.binderKeys.length, 2, 'CONFIRM is on its way');
  resuming.serverLeg.receive(forged(3), ends.now);
  t.equal(ends.server.binderKeys.length, 2, 'it is not the client who has used its new keys');
  resuming.cut(ends.now);
  const last = ends.open();
  t.strictSame(ends.sink.log, ['opened new', 'detached lost', 'detached lost', 'opened resumed']);
  ends.client.send(octets(2), {}, ends.now);
  ends.client.send(octets(3), reliable, ends.now);
  last.pump(ends.now);
  ends.advance(40_000, last);
  t.strictSame([ends.client.state, ends.server.state], ['open', 'open'], 'nor does anything wait for it');
  t.strictSame(
    ends.serverSink.messages.map(({ number }) => number),
    [2, 3, 4],
  );
  t.equal(ends.server.binderKeys.length, 1);
});

/** A session that was cut, and is resumed on these wires; CONFIRM has left the server and not reached the client. */
const halfResumed = (messages = 3): { readonly ends: Ends; readonly wires: Wires } => {
  const ends = new Ends();
  const first = ends.open();
  for (let i = 0; i < messages; i += 1) ends.client.send(octets(i), reliable, ends.now);
  first.cut(ends.now);
  const wires = ends.connect();
  wires.pump(ends.now, 4);
  return { ends, wires };
};

t.test('a CONFIRM that comes too late costs the connection, and not the session', async (t) => {
  for (const messages of [0, 3]) {
    const { ends, wires } = halfResumed(messages);
    t.strictSame([ends.client.state, ends.server.state], ['handshake', 'open']);
    ends.now += 10_000;
    ends.client.tick(ends.now);
    t.match(ends.sink.detachments.at(-1), { fault: { code: 'CONNECTION', detail: 'timeout' }, theirs: false });
    t.strictSame([wires.client.sent.length, wires.client.aborted], [0, true], 'nothing is said');
    wires.server.take();
    wires.pump(ends.now);
    t.strictSame([ends.client.state, ends.server.state], ['detached', 'detached']);
    ends.open();
    t.equal(ends.sink.log.at(-1), 'opened resumed');
    t.equal(ends.serverSink.messages.length, messages);
    t.strictSame(ends.sink.lists, []);
  }
});

t.test('who leaves while CONFIRM is on its way has left', async (t) => {
  const { ends, wires } = halfResumed();
  ends.client.end('CLIENT_DISCONNECT', ends.now);
  t.equal(wires.client.closed?.code, 4202);
  wires.pump(ends.now);
  t.match(ends.serverSink.end, { code: 'CLIENT_DISCONNECT', by: 'remote', closeCode: 4202 });
  t.equal(ends.registry.size, 0);
});

t.test('a client that says why its handshake failed, although the server has resumed', async (t) => {
  /** ERROR, as the handshake numbers it. */
  const error = (code: number, number = 2) => ({ type: 4, flags: ENC, number, tsf: [code], data: octets(120) });
  const resumed = (messages: number): { ends: Ends; peer: ReturnType<typeof rawClient>; next: number } => {
    const ends = new Ends();
    const wires = ends.open();
    for (let i = 0; i < messages; i += 1) ends.client.send(octets(i), reliable, ends.now);
    wires.pump(ends.now);
    wires.cut(ends.now);
    const key = new Uint8Array(ends.server.binderKeys[0] as Uint8Array);
    const next = 2 + messages;
    return { ends, peer: rawClient(ends, 'required', offer(ends, key, stateOf(3, next))), next };
  };
  for (const messages of [0, 4]) {
    for (const [code, name, state] of [
      [0x10, 'CONNECTION', 'detached'],
      [0x37, 'INIT_VECTOR', 'detached'],
      [0x20, 'DISCONNECT', 'closed'],
      [0x22, 'CLIENT_DISCONNECT', 'closed'],
      [0x77, 'DISCONNECT', 'closed'],
    ] as const) {
      const { ends, peer, next } = resumed(messages);
      peer.leg.receive(peer.packet(error(code)), ends.now);
      t.equal(ends.server.state, state, `${name} after ${messages} messages`);
      t.equal(ends.server.counters()[`remote.${name}`], 1);
      t.ok(peer.carrier.closed);
      if (state === 'closed') continue;
      t.match(ends.serverSink.detachments.at(-1), { fault: { code: name }, theirs: true });
      t.equal(ends.server.binderKeys.length, 2, 'it has thrown its new keys away');
      const again = offer(ends, new Uint8Array(ends.server.binderKeys[0] as Uint8Array), stateOf(3, next));
      t.ok(rawClient(ends, 'required', again).secrets?.resumed, 'and comes back with the old ones');
    }
  }
  const late = resumed(4);
  late.peer.leg.receive(late.peer.packet({ flags: ENC | REL, number: 6, data: octets(9) }), late.ends.now);
  late.peer.leg.receive(late.peer.packet(error(0x10)), late.ends.now);
  t.equal(late.ends.serverSink.end?.code, 'SEQUENCE_ID', 'whoever has used the session knows its numbers');
  const other = resumed(4);
  other.peer.leg.receive(other.peer.packet(error(0x10, 3)), other.ends.now);
  t.equal(other.ends.serverSink.end?.code, 'SEQUENCE_ID', 'number 3 is none of the handshake');
  const forged = resumed(4);
  const bytes = forged.peer.packet(error(0x22));
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  forged.peer.leg.receive(bytes, forged.ends.now);
  t.equal(forged.ends.serverSink.end?.code, 'INIT_VECTOR', 'it must be sealed, and by the client');
  const fresh = new Ends();
  const peer = rawClient(fresh);
  peer.leg.receive(peer.packet(error(0x10)), fresh.now);
  t.match(fresh.serverSink.end, { code: 'CONNECTION', by: 'remote' }, 'in a fresh session it is the end');
});

t.test('what the owner does while its connection is taken over counts', async (t) => {
  const taken = (act: (ends: Ends) => void): { ends: Ends; next: Wires } => {
    const ends = new Ends();
    const old = ends.open();
    old.client.take();
    old.clientLeg.lost(ends.now);
    const sink = ends.serverSink;
    const detached = sink.detached.bind(sink);
    sink.detached = (why) => {
      detached(why);
      act(ends);
    };
    return { ends, next: ends.open() };
  };
  const ended = taken(({ server, now }) => server.end('DISCONNECT', now));
  t.equal(ended.ends.server.state, 'closed');
  t.strictSame(ended.ends.serverSink.log, ['opened new', 'detached taken over', 'ended DISCONNECT by local 4200']);
  t.match(ended.next.server.closed, { code: 4100 }, 'what is over is not resumed');
  t.match(ended.ends.sink.detachments.at(-1), { fault: { code: 'CONNECTION' }, theirs: true });
  t.equal(ended.ends.registry.size, 0);
  ended.ends.open();
  t.equal(ended.ends.sink.log.at(-1), 'opened new');
  const said = taken(({ server, now }) => {
    t.equal(server.send(octets(1), {}, now), 'full', 'there is no connection for it');
    t.equal(server.send(octets(2), reliable, now), 3);
  });
  t.strictSame(
    said.ends.sink.messages.map(({ data }) => data[0]),
    [2],
  );
});

t.test('what may come again after a resume, and what may not', async (t) => {
  const open = (): { ends: Ends; peer: ReturnType<typeof rawClient> } => {
    const ends = new Ends();
    const before = rawClient(ends);
    // 2 and 4 arrived, 3 was unreliable, 5 to 7 were lost.
    for (const n of [2, 3, 4])
      before.leg.receive(before.packet({ flags: n === 3 ? ENC : ENC | REL, number: n, data: octets(n) }), ends.now);
    before.leg.lost(ends.now);
    const peer = rawClient(
      ends,
      'required',
      offer(ends, new Uint8Array(ends.server.binderKeys[0] as Uint8Array), stateOf(3, 8)),
    );
    return { ends, peer };
  };
  const cases: readonly (readonly [
    what: string,
    numbers: readonly number[],
    flags: number,
    code: string | undefined,
  ])[] = [
    ['the lost ones ascending, and then a new one', [5, 6, 7, 8], ENC | REL, undefined],
    ['not all of them', [6, 8], ENC | REL, undefined],
    ['an accepted one', [4], ENC | REL, 'SEQUENCE_ID'],
    ['one below what was delivered', [3], ENC | REL, 'SEQUENCE_ID'],
    ['descending', [6, 5], ENC | REL, 'SEQUENCE_ID'],
    ['twice', [6, 6], ENC | REL, 'SEQUENCE_ID'],
    ['an unreliable one', [5], ENC, 'SEQUENCE_ID'],
    ['a number of this connection', [8, 8], ENC | REL, 'SEQUENCE_ID'],
    ['one that was unreliable on this connection', [9], ENC | REL, 'SEQUENCE_ID'],
  ];
  for (const [what, numbers, flags, code] of cases) {
    const { ends, peer } = open();
    for (const number of numbers) peer.leg.receive(peer.packet({ flags, number, data: octets(number) }), ends.now);
    t.equal(ends.serverSink.end?.code, code, what);
    const seen = ends.serverSink.messages.map(({ number }) => number);
    t.strictSame(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
      `${what}: ascending, once`,
    );
    if (code === undefined) t.strictSame(seen.slice(3), numbers);
  }
});

t.test('messages the peer has without our knowing are acknowledged by its window, also far back', async (t) => {
  const ends = new Ends();
  const peer = rawServer(ends);
  const { sessionId, binderKey } = peer.secrets as NonNullable<typeof peer.secrets>;
  t.ok(sessionId && binderKey);
  for (let n = 2; n < 200; n += 1) ends.client.send(octets(n), reliable, ends.now);
  for (let n = 200; n < 514; n += 1) ends.client.send(octets(1), {}, ends.now);
  peer.leg.lost(ends.now);
  // A server that has the even ones.
  const accepted = Array.from({ length: 99 }, (_, i) => 2 + 2 * i);
  const state = stateOf(514, 3, accepted);
  const again = rawServer(ends, 'required', { sessionId, binderKey, state });
  const sent = again.heard().filter(({ type }) => type === 0);
  t.strictSame(ends.sink.acks, accepted);
  t.strictSame(
    sent.map(({ number }) => number),
    Array.from({ length: 99 }, (_, i) => 3 + 2 * i),
    'the others come again, ascending',
  );
  t.equal(ends.client.counters().retransmissions, 99);
});

t.test(
  'a registry keeps a quarter of its sessions without a connection, and refuses what is above its limit',
  async (t) => {
    const ends = new Ends({ server: { maxSessions: 8 } });
    const peers = Array.from({ length: 8 }, () => rawClient(ends));
    t.throws(() => rawClient(ends));
    t.equal(ends.registry.counters().NO_SPACE, 1);
    for (const [i, peer] of peers.slice(0, 4).entries()) {
      ends.now += 1;
      peer.leg.lost(ends.now);
      t.equal(ends.registry.detached, Math.min(i + 1, 2));
    }
    t.strictSame(
      ends.serverSinks.slice(0, 4).map(({ end }) => end?.by),
      ['expiry', 'expiry', undefined, undefined],
      'the oldest goes first',
    );
    t.equal(ends.registry.size, 6);
    t.doesNotThrow(() => [1, 2, 3, 4].map(() => rawClient(ends)), 'detached ones take no seat');
    t.throws(() => rawClient(ends));
    t.equal([...ends.registry.sessions()].length, 10);
    const half = new Ends({ server: { maxSessions: 1 } });
    const first = half.connect();
    first.pump(half.now, 1);
    t.equal(half.open().server.closed?.code, 4101, 'a handshake that has begun to cost counts');
    first.serverLeg.lost(half.now);
    t.equal(half.open().server.closed, undefined, 'until it comes to nothing');
  },
);

t.test('strangers cannot push out the sessions of those who showed a certificate', async (t) => {
  const judge = {
    judge: (der: Uint8Array) => {
      const fingerprint = `${der[4]}`;
      return { fingerprint, certificate: { fingerprint }, verify: () => true };
    },
  };
  const ends = new Ends({ server: { maxSessions: 8, clientCertificate: 'optional', judge } });
  const known = (n: number): Session => {
    const own = { certificate: octets(48, 3, 2, 1, n), scheme: 0x0403, sign: () => octets(1) };
    const settings = {
      ...SESSION_LIMITS,
      suite: nodeSuite,
      mode: 'required',
      prologue: PROLOGUE,
      anonymous: true,
    } as const;
    return new Session('client', { ...settings, own }, new Recorder());
  };
  const left = (): (string | undefined)[] => [...ends.registry.sessions()].map(({ security }) => security?.identity);
  const come = (client?: Session): void => {
    const wires = ends.connect(client);
    wires.pump(ends.now);
    wires.cut(ends.now);
  };
  come(known(1));
  for (let i = 0; i < 5; i += 1) rawClient(ends).leg.lost(ends.now);
  t.strictSame(left(), ['1', 'anonymous'], 'the last of five strangers, and who is known');
  come(known(2));
  t.strictSame(left(), ['1', '2']);
  rawClient(ends).leg.lost(ends.now);
  t.strictSame(left(), ['1', '2'], 'a stranger finds no room');
  come(known(3));
  t.strictSame(left(), ['2', '3'], 'among themselves the oldest goes');
});

t.test('a registry that ends says so to sessions and to handshakes, and takes nothing new', async (t) => {
  for (const mode of ['required', 'none'] as const) {
    const ends = new Ends({ mode });
    const wires = ends.open();
    const early = mode === 'required' ? new Ends() : undefined;
    const half = early?.connect();
    half?.pump(early?.now ?? 0, 1);
    early?.registry.end('SERVER_DISCONNECT', early.now);
    if (half !== undefined) t.equal(half.server.closed?.code, 1001, 'a handshake under way');
    ends.registry.end('SERVER_DISCONNECT', ends.now);
    wires.pump(ends.now);
    t.equal(ends.sink.end?.code, 'SERVER_DISCONNECT');
    t.equal(ends.registry.size, 0);
    const late = new Ends({ mode });
    late.registry.end('DISCONNECT', late.now);
    const refused = late.open();
    t.equal(refused.server.closed?.code, 4101);
    t.equal(late.client.state, mode === 'none' ? 'closed' : 'idle');
  }
});

t.test('a prologue of its own belongs to the session: another one cannot resume it', async (t) => {
  const prologue = new TextEncoder().encode('v0.secure-package.wsd');
  const ends = new Ends({ client: { prologue } });
  const own = (): Wires => {
    const wires = ends.connect();
    wires.serverLeg = ends.registry.accept(wires.server, ends.now, { prologue });
    wires.pump(ends.now);
    return wires;
  };
  own().cut(ends.now);
  t.equal(ends.client.state, 'detached');
  own();
  t.strictSame(ends.sink.log, ['opened new', 'detached lost', 'opened resumed']);
});
