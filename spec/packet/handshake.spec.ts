// Two machines that make a handshake: the vectors of PROTOCOL.md section 11.2 octet by octet, both crypto halves and mixed, certificates both
// ways, resuming, secrets that are gone afterwards, and what the network does to datagrams.
import { Buffer } from 'node:buffer';
import { createHash, X509Certificate } from 'node:crypto';
import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { loadOwn } from '../../lib/crypto/certificate.js';
import type { Own, PeerJudge } from '../../lib/crypto/identity.js';
import { createJudge } from '../../lib/crypto/judge.js';
import { makeCertificate } from '../../lib/crypto/make-certificate.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { createPinJudge } from '../../lib/crypto/pins.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import type { Detached, HandshakeSettings, ResumeOffer, Secrets } from '../../lib/packet/handshake.js';
import type { ClientOptions } from '../../lib/packet/handshake-client.js';
import { Protector } from '../../lib/packet/protect.js';
import {
  ascii,
  CLIENT_SCALAR,
  fromHex,
  type Meeting,
  meet,
  NONE,
  newClient,
  newServer,
  openPort,
  PAIRS,
  SERVER_SCALAR,
  SESSION_ID,
  SUITES,
  scripted,
  toHex,
  VECTOR,
  WALL,
  watched,
} from './handshake-scene.js';

const certificate = (type: 'p256' | 'ed25519' | 'rsa2048', subject: string): ReturnType<typeof makeCertificate> =>
  makeCertificate({ now: WALL - 86_400_000, subject, names: ['chat.example.com'], type });
const ownOf = (made: ReturnType<typeof makeCertificate>): Own =>
  loadOwn({ certificate: made.certificate, key: made.keyPem });
const fingerprintOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');
const pin = (peer: 'server' | 'client', ...made: readonly { readonly certificate: Uint8Array }[]): PeerJudge =>
  createJudge({ peer, pins: made.map((one) => fingerprintOf(one.certificate)) });

/** Both are open, and each opens what the other seals. */
function areOpen(t: Test, { client, server, failures }: Meeting): void {
  t.strictSame(failures, []);
  if (client === undefined || server === undefined) throw new Error('not open');
  t.equal(toHex(client.exporter), toHex(server.exporter), 'one exporter');
  t.equal(toHex(client.binderKey), toHex(server.binderKey), 'one binder key');
  t.strictSame(client.packageKeys, server.packageKeys);
  t.not(toHex(client.packageKeys.c2s), toHex(client.packageKeys.s2c));
  t.equal(toHex(client.sessionId), toHex(server.sessionId), 'one session');
  t.equal(client.ttl, server.ttl);
  t.strictSame([client.nextSend, client.nextReceive], [2, 3]);
  t.strictSame([server.nextSend, server.nextReceive], [3, 2]);
  const up = client.send.seal(2, NONE, ascii('up'));
  const down = server.send.seal(3, NONE, ascii('down'));
  t.equal(toHex(server.receive.open(2, NONE, up)), toHex(ascii('up')));
  t.equal(toHex(client.receive.open(3, NONE, down)), toHex(ascii('down')));
  t.equal(server.receive.open(3, NONE, down), undefined, 'its own packet, reflected, opens nothing');
  t.equal(client.receive.open(2, NONE, up), undefined);
}

for (const [one, other] of PAIRS) {
  t.test(`${one.name} client, ${other.name} server: the packets of section 11.2, octet by octet`, async (t) => {
    const client = newClient({}, scripted(one, CLIENT_SCALAR));
    const server = newServer({}, scripted(other, SERVER_SCALAR));
    const meeting = meet(client, server);
    const said = meeting.packets.map(({ from, bytes }) => [from, toHex(bytes)]);
    t.strictSame(said, [
      ['client', VECTOR.AUTH_C],
      ['server', VECTOR.AUTH_S],
      ['server', VECTOR.packetS],
      ['client', VECTOR.packetC],
      ['server', VECTOR.CONFIRM],
    ]);
    areOpen(t, meeting);
    const secrets = meeting.client as Secrets;
    t.equal(toHex(secrets.exporter), VECTOR.exporter);
    t.equal(toHex(secrets.binderKey), VECTOR.binderKey);
    t.equal(toHex(secrets.packageKeys.c2s), VECTOR.packageC2s);
    t.equal(toHex(secrets.packageKeys.s2c), VECTOR.packageS2c);
    t.equal(toHex(secrets.send.key), VECTOR.c2sKey);
    t.equal(toHex(secrets.send.iv), VECTOR.c2sIv);
    t.equal(toHex(secrets.receive.key), VECTOR.s2cKey);
    t.equal(toHex(secrets.receive.iv), VECTOR.s2cIv);
    t.equal(toHex(secrets.sessionId), '00112233445566778899aabbccddeeff');
    t.equal(secrets.ttl, 60);
    for (const side of [meeting.client, meeting.server]) {
      t.match(side, { identity: 'anonymous', refused: false, params: { maxMessage: 1048576, heartbeat: 15000 } });
      t.equal(side?.peer, undefined);
      t.equal(side?.resumed, undefined);
    }
  });

  t.test(`${one.name} client, ${other.name} server: fresh keys every time`, async (t) => {
    const meetings = [1, 2, 3].map(() => meet(newClient({}, one), newServer({}, other)));
    for (const meeting of meetings) areOpen(t, meeting);
    t.equal(new Set(meetings.map(({ client }) => toHex(client?.exporter))).size, 3);
    t.equal(new Set(meetings.map(({ packets }) => toHex(packets[0]?.bytes))).size, 3);
  });
}

t.test('without CHECKSUM on AUTH it is the same handshake', async (t) => {
  for (const checksum of [true, false]) {
    const client = newClient({}, nodeSuite, { checksum });
    const meeting = meet(client, newServer({}, portableSuite, { checksum: !checksum }));
    areOpen(t, meeting);
    t.equal(meeting.packets[0]?.bytes[1], checksum ? 0xc0 : 0x80);
    t.equal(meeting.packets[1]?.bytes[1], checksum ? 0x80 : 0xc0);
  }
});

t.test('certificates both ways, of every kind of key', async (t) => {
  for (const type of ['p256', 'ed25519', 'rsa2048'] as const) {
    const [c, s] = [certificate(type, 'a client'), certificate(type, 'a server')];
    const client = newClient({ own: ownOf(c), judge: pin('server', s), anonymous: false });
    const server = newServer({ own: ownOf(s), judge: pin('client', c) });
    const meeting = meet(client, server);
    areOpen(t, meeting);
    t.equal(meeting.client?.identity, fingerprintOf(s.certificate), type);
    t.equal(meeting.server?.identity, fingerprintOf(c.certificate));
    t.match(meeting.server?.peer?.certificate.subject, /a client/);
    t.match(meeting.client?.peer?.certificate.subject, /a server/);
    t.ok(new X509Certificate(meeting.packets[0]?.bytes.subarray(6 + 2 + 65 + 2) as Uint8Array), 'DER on the wire');
  }
});

t.test('a page without a parser for X.509 knows the server by its pin', async (t) => {
  const s = certificate('p256', 'a server');
  const pins = [{ sha256: fingerprintOf(s.certificate), publicKey: s.publicKey as Uint8Array }];
  const judge = createPinJudge(portableSuite, pins);
  const meeting = meet(newClient({ judge, anonymous: false }, portableSuite), newServer({ own: ownOf(s) }));
  areOpen(t, meeting);
  t.equal(meeting.client?.identity, fingerprintOf(s.certificate));
  t.equal(meeting.server?.identity, 'anonymous');
});

t.test('who is optional may come without a certificate, or with one', async (t) => {
  const c = certificate('ed25519', 'a client');
  const judge = pin('client', c);
  for (const own of [undefined, ownOf(c)]) {
    const options: Partial<ClientOptions> = own === undefined ? {} : { own };
    const meeting = meet(newClient(options), newServer({ judge, clientCertificate: 'optional' }));
    areOpen(t, meeting);
    t.equal(meeting.server?.identity, own === undefined ? 'anonymous' : fingerprintOf(own.certificate));
  }
});

t.test('an anonymous client looks at a certificate only with a judge', async (t) => {
  const s = certificate('ed25519', 'a server');
  const server = () => newServer({ own: ownOf(s) });
  const blind = meet(newClient({ anonymous: true }), server());
  areOpen(t, blind);
  t.equal(blind.client?.identity, 'anonymous', 'what nobody looked at is nobody');
  const judging = meet(newClient({ anonymous: true, judge: pin('server', s) }), server());
  areOpen(t, judging);
  t.equal(judging.client?.identity, fingerprintOf(s.certificate));
  const none = meet(newClient({ anonymous: true, judge: pin('server', s) }), newServer());
  areOpen(t, none);
  t.equal(none.client?.identity, 'anonymous');
});

t.test('misuse by our own side is thrown', async (t) => {
  t.throws(() => newClient({ anonymous: false }), TypeError, 'a client that could trust nobody');
  t.throws(() => newServer({ clientCertificate: 'optional' }), TypeError, 'a server that asks and cannot judge');
  t.throws(() => newServer({ clientCertificate: 'required' }), TypeError);
  const client = newClient();
  client.start(0, WALL);
  t.throws(() => client.start(0, WALL), TypeError);
  t.throws(() => newServer().start(0, WALL), TypeError);
});

t.test('after the end nothing is said any more', async (t) => {
  const [client, server] = [newClient(), newServer()];
  const { packets } = meet(client, server);
  for (const machine of [client, server]) {
    t.equal(machine.deadline(), Number.POSITIVE_INFINITY);
    t.equal(machine.tick(1e9), undefined);
    for (const { bytes } of packets) t.strictSame(machine.receive(bytes), { kind: 'more', send: [] });
    t.strictSame(machine.fail('DISCONNECT'), { kind: 'more', send: [] });
    t.strictSame(machine.flight(), []);
  }
});

t.test('every secret is erased but what the session was given', async (t) => {
  for (const suite of SUITES) {
    const [c, s] = [watched(suite), watched(suite)];
    const meeting = meet(newClient({}, c.suite), newServer({}, s.suite));
    areOpen(t, meeting);
    for (const [watch, given] of [
      [c, meeting.client],
      [s, meeting.server],
    ] as const) {
      const left = watch.secrets.filter(({ array }) => array.some((octet) => octet !== 0));
      const names = left.map(({ name }) => name).sort();
      t.strictSame(names, ['aead key', 'aead key', 'binder', 'exporter', 'package c2s', 'package s2c'], suite.name);
      const keys = [given?.send.key, given?.receive.key].map(toHex).sort();
      t.strictSame(
        left
          .filter(({ name }) => name === 'aead key')
          .map(({ was }) => was)
          .sort(),
        keys,
        'the traffic keys live in the Protectors alone',
      );
      t.ok(watch.erased.pairs >= 1, 'the private half');
    }
  }
});

t.test('a handshake that fails leaves no secret at all', async (t) => {
  for (const place of [1, 2, 3, 4]) {
    const [c, s] = [watched(nodeSuite), watched(nodeSuite)];
    const meeting = meet(newClient({}, c.suite), newServer({}, s.suite), (bytes, at) => {
      if (at === place) bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
      return bytes;
    });
    t.ok(meeting.failures.length > 0);
    // With CONFIRM bent the server is open already.
    for (const { secrets } of place === 4 ? [c] : [c, s]) {
      const left = secrets.filter(({ array }) => array.some((octet) => octet !== 0));
      t.strictSame(
        left.map(({ name }) => name),
        [],
        `packet ${place}`,
      );
    }
  }
});

// Section 5.5.
const RS = new Uint8Array(144).fill(0x11);
const SERVER_RS = new Uint8Array(144).fill(0x22);

interface Old {
  readonly offer: ResumeOffer;
  readonly detached: Detached;
  readonly asked: { readonly client: string[]; readonly server: string[] };
}

/** A session that was, as both ends remember it. */
function remembered(change: Partial<Detached> = {}, offered: Partial<ResumeOffer> = {}): Old {
  const binderKey = new Uint8Array(32).fill(0x77);
  const asked = { client: [] as string[], server: [] as string[] };
  return {
    asked,
    offer: {
      id: SESSION_ID,
      binderKey,
      identity: 'anonymous',
      state: () => RS,
      accepts: (state) => {
        asked.client.push(toHex(state));
        return true;
      },
      ...offered,
    },
    detached: {
      binderKeys: [binderKey],
      identity: 'anonymous',
      prologue: ascii('v0.packet.wsd'),
      accepts: (state) => {
        asked.server.push(toHex(state));
        return SERVER_RS;
      },
      ...change,
    },
  };
}

const FRESH = new Uint8Array(16).fill(0xf5);
const knowing = (detached: Detached | undefined): ReturnType<typeof openPort> =>
  openPort({
    find: (id) => (toHex(id) === toHex(SESSION_ID) ? detached : undefined),
    fresh: () => ({ id: FRESH, ttl: 7 }),
  });

for (const [one, other] of PAIRS) {
  t.test(`${one.name} client, ${other.name} server: a session is resumed`, async (t) => {
    const { offer, detached, asked } = remembered();
    const meeting = meet(newClient({ resume: offer }, one), newServer({ sessions: knowing(detached) }, other));
    areOpen(t, meeting);
    for (const side of [meeting.client, meeting.server]) {
      t.equal(toHex(side?.sessionId), toHex(SESSION_ID), 'its id stays');
      t.equal(side?.ttl, undefined);
      t.equal(side?.refused, false);
    }
    t.equal(toHex(meeting.client?.resumed), toHex(SERVER_RS));
    t.equal(toHex(meeting.server?.resumed), toHex(RS));
    t.strictSame(asked, { client: [toHex(SERVER_RS)], server: [toHex(RS)] }, 'each is asked once');
    t.not(toHex(meeting.client?.binderKey), toHex(offer.binderKey), 'the next time needs the new secret');
  });
}

t.test('either of two binder keys will do, since the last CONFIRM may be lost', async (t) => {
  for (const place of [0, 1]) {
    const keys = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const { offer, detached } = remembered({ binderKeys: keys }, { binderKey: keys[place] as Uint8Array });
    const meeting = meet(newClient({ resume: offer }), newServer({ sessions: knowing(detached) }));
    areOpen(t, meeting);
    t.ok(meeting.server?.resumed);
  }
});

t.test('a resume that is refused is a fresh session, and both ends know', async (t) => {
  const cases: readonly (readonly [string, Old, known: boolean])[] = [
    ['an unknown id', remembered({}, { id: FRESH }), true],
    ['a server that was restarted', remembered(), false],
    ['a wrong binder', remembered({}, { binderKey: new Uint8Array(32) }), true],
    ['no binder key any more', remembered({ binderKeys: [] }), true],
    ['another identity', remembered({ identity: 'ab'.repeat(32) }), true],
    ['another prologue', remembered({ prologue: ascii('v0.secure-package.wsd') }), true],
    ['a prologue that goes on', remembered({ prologue: ascii('v0.packet.wsd!') }), true],
  ];
  for (const [name, { offer, detached, asked }, known] of cases) {
    const server = newServer({ sessions: knowing(known ? detached : undefined) });
    const meeting = meet(newClient({ resume: offer }), server);
    areOpen(t, meeting);
    for (const side of [meeting.client, meeting.server]) {
      t.equal(side?.refused, true, name);
      t.equal(side?.resumed, undefined);
      t.equal(toHex(side?.sessionId), toHex(FRESH));
      t.equal(side?.ttl, 7);
    }
    t.strictSame(asked, { client: [], server: [] }, 'nobody’s state was touched');
  }
});

t.test('a session of a certificate is resumed by that certificate alone', async (t) => {
  const [c, d] = [certificate('ed25519', 'the client'), certificate('ed25519', 'another client')];
  const judge = pin('client', c, d);
  for (const [own, resumed] of [
    [c, true],
    [d, false],
    [undefined, false],
  ] as const) {
    const { offer, detached } = remembered({ identity: fingerprintOf(c.certificate) });
    const options = own === undefined ? { resume: offer } : { resume: offer, own: ownOf(own) };
    const server = newServer({ judge, clientCertificate: 'optional', sessions: knowing(detached) });
    const meeting = meet(newClient(options), server);
    areOpen(t, meeting);
    t.equal(meeting.server?.resumed !== undefined, resumed);
    t.equal(meeting.client?.refused, !resumed);
  }
});

t.test('states that contradict each other end the handshake with 1.0', async (t) => {
  const server = remembered({ accepts: () => undefined });
  const first = meet(newClient({ resume: server.offer }), newServer({ sessions: knowing(server.detached) }));
  t.match(first.failures, [
    { who: 'server', step: { fault: { code: 'CONNECTION' }, theirs: false } },
    { who: 'client', step: { fault: { code: 'CONNECTION' }, theirs: true, sealed: true } },
  ]);
  const client = remembered({}, { accepts: () => false });
  const second = meet(newClient({ resume: client.offer }), newServer({ sessions: knowing(client.detached) }));
  t.match(second.failures, [{ who: 'client', step: { fault: { code: 'CONNECTION' }, theirs: false } }]);
  t.ok(second.server, 'the server was open before');
});

t.test('a resume state of the wrong size is our own mistake', async (t) => {
  const { offer } = remembered({}, { state: () => NONE });
  t.throws(() => meet(newClient({ resume: offer }), newServer()), RangeError);
  const { offer: good, detached } = remembered({ accepts: () => NONE });
  t.throws(() => meet(newClient({ resume: good }), newServer({ sessions: knowing(detached) })), RangeError);
});

// Section 6.1, datagrams.
const LOOSE: Partial<HandshakeSettings> = { profile: 'datagram' };

t.test('datagram: what comes twice gets the same answer, and keys are made once', async (t) => {
  const watch = watched(nodeSuite);
  const client = newClient({}, nodeSuite, LOOSE);
  const server = newServer({}, watch.suite, LOOSE);
  const auth = client.start(0, WALL);
  t.strictSame(client.flight(), [auth]);
  const first = server.receive(auth);
  const again = server.receive(auth);
  t.strictSame(again.send.map(toHex), first.send.map(toHex), 'AUTH and FINISHED, verbatim');
  t.strictSame(server.flight().map(toHex), first.send.map(toHex));
  t.equal(watch.calls.filter((name) => name === 'agree').length, 1);
  const [authS, finS] = first.send as [Uint8Array, Uint8Array];
  t.match(client.receive(finS), { kind: 'more', send: [], dropped: { code: 'FLAGS' } }, 'FINISHED overtook AUTH');
  t.strictSame(client.receive(authS), { kind: 'more', send: [] });
  t.strictSame(client.receive(authS), { kind: 'more', send: [] }, 'AUTH twice says nothing new');
  t.strictSame(client.flight(), [auth], 'until FINISHED is there, ours is asked for again');
  const finC = client.receive(finS).send[0] as Uint8Array;
  t.strictSame(client.receive(finS).send.map(toHex), [toHex(finC)], 'FINISHED twice asks for ours');
  t.strictSame(client.flight().map(toHex), [toHex(finC)]);
  t.strictSame(client.receive(authS), { kind: 'more', send: [] });
  const done = server.receive(finC);
  t.equal(done.kind, 'done');
  t.ok(server.repeats(finC), 'CONFIRM was lost');
  t.notOk(server.repeats(auth));
  t.strictSame(server.flight().map(toHex), done.send.map(toHex));
  t.equal(client.receive(done.send[0] as Uint8Array).kind, 'done');
  t.strictSame(client.flight(), []);
});

t.test('datagram: what nobody vouches for is dropped without an answer', async (t) => {
  const random = seedFromEnv('handshake datagrams');
  const client = newClient({}, nodeSuite, LOOSE);
  const server = newServer({}, nodeSuite, LOOSE);
  const noise = (machine: typeof client | typeof server, good: readonly Uint8Array[]): void => {
    for (let i = 0; i < 40; i++) {
      const bytes = i % 2 === 0 ? random.bytes(random.int(120)) : new Uint8Array(random.pick(good));
      if (i % 2 === 1) bytes[random.int(bytes.length)] = random.int(256);
      if (bytes[0] === 4 || good.some((one) => toHex(one) === toHex(bytes))) continue;
      const step = machine.receive(bytes);
      t.match(step, { kind: 'more', send: [], dropped: { kind: 'packet-fault' } }, toHex(bytes));
    }
  };
  const auth = client.start(0, WALL);
  const bent = new Uint8Array(auth);
  bent[20] = (bent[20] as number) ^ 1;
  noise(server, [bent]);
  const flight = server.receive(auth).send;
  const [authS, finS] = flight as [Uint8Array, Uint8Array];
  noise(client, [bent]);
  t.strictSame(client.receive(authS), { kind: 'more', send: [] });
  noise(client, flight);
  const finC = client.receive(finS).send[0] as Uint8Array;
  noise(server, [auth, finC]);
  const early = new Protector(nodeSuite, new Uint8Array(32), new Uint8Array(12));
  const overtaking = Buffer.concat([fromHex('001000020000'), early.seal(2, NONE, ascii('early'))]);
  t.match(server.receive(overtaking), { kind: 'more', send: [], dropped: { code: 'CONNECTION' } });
  const confirm = server.receive(finC).send[0] as Uint8Array;
  t.match(client.receive(overtaking), { kind: 'more', send: [], dropped: { code: 'CONNECTION' } });
  noise(client, [confirm, finS]);
  t.equal(client.receive(confirm).kind, 'done');
});

t.test('datagram: certificates and room are answered, since the packet itself is good', async (t) => {
  const full = meet(
    newClient({}, nodeSuite, LOOSE),
    newServer({ sessions: openPort({ full: () => true }) }, nodeSuite, LOOSE),
  );
  t.match(full.failures, [
    { who: 'server', step: { fault: { code: 'NO_SPACE' } } },
    { who: 'client', step: { fault: { code: 'NO_SPACE' }, theirs: true, sealed: false } },
  ]);
});

t.test('the server’s share of a handshake is cryptography for the greater part', async (t) => {
  const spent: number[] = [];
  const agreed: number[] = [];
  const [one, other] = [nodeSuite.newPair(), nodeSuite.newPair()];
  for (let i = 0; i < 60; i++) {
    const [client, server] = [newClient(), newServer()];
    const auth = client.start(0, WALL);
    const begin = performance.now();
    const flight = server.receive(auth).send;
    const middle = performance.now();
    for (const packet of flight.slice(0, -1)) client.receive(packet);
    const finished = client.receive(flight.at(-1) as Uint8Array).send[0] as Uint8Array;
    const resumed = performance.now();
    t.equal(server.receive(finished).kind, 'done');
    const done = performance.now();
    one.agree(other.publicKey);
    agreed.push(performance.now() - done);
    spent.push(middle - begin + (done - resumed));
  }
  const [share, agreement] = [Math.min(...spent), Math.min(...agreed)];
  t.comment(`${(share * 1000).toFixed(0)} us, one agreement ${(agreement * 1000).toFixed(0)} us`);
  // Agreement, signature, verification and a new key are about three agreements. The best of many, beside the best of many: what
  // other work on the machine takes belongs to neither.
  t.ok(share < 10 * agreement);
});
