// A server and a client that does everything wrong: PROTOCOL.md sections 6.2 to 6.6 and 7, each wrong thing with its code; and a network that
// changes one octet anywhere, or sits in the middle.
import { Buffer } from 'node:buffer';
import t, { type Test } from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { loadOwn } from '../../lib/crypto/certificate.js';
import type { Own } from '../../lib/crypto/identity.js';
import { createJudge } from '../../lib/crypto/judge.js';
import { makeCertificate } from '../../lib/crypto/make-certificate.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { PACKET_CODES, type PacketCode } from '../../lib/packet/codes.js';
import { errorPacket } from '../../lib/packet/error-packet.js';
import type { HandshakeSettings, HandshakeStep } from '../../lib/packet/handshake.js';
import type { ServerHandshake, ServerOptions } from '../../lib/packet/handshake-server.js';
import { FLAG, TYPE } from '../../lib/packet/wire.js';
import type { PacketFields } from '../../lib/packet/write.js';
import {
  ascii,
  clear,
  dont,
  fails,
  fromHex,
  meet,
  NONE,
  newClient,
  newServer,
  openPort,
  Puppet,
  SERVER_SCALAR,
  scripted,
  toHex,
  WALL,
  watched,
} from './handshake-scene.js';

const ownOf = (subject: string): Own => {
  const made = makeCertificate({ now: WALL - 86_400_000, subject, names: ['chat.example.com'], type: 'ed25519' });
  return loadOwn({ certificate: made.certificate, key: made.keyPem });
};
const CLIENT = ownOf('a client');
const SERVER = ownOf('a server');
const STRANGER = ownOf('a stranger');
const pin = (peer: 'server' | 'client', { certificate }: Own) =>
  createJudge({ peer, pins: [toHex(nodeSuite.sha256(certificate))] });
const judge = pin('client', CLIENT);

interface Stage {
  readonly server: ServerHandshake;
  readonly client: Puppet;
}

/** Up to the state of that name. */
function stage(state: 'WAIT_AUTH' | 'WAIT_FIN', options: Partial<ServerOptions> = {}, own?: Own): Stage {
  const server = newServer(options);
  const client = new Puppet('client', own);
  if (state === 'WAIT_AUTH') return { server, client };
  const authC = client.auth();
  const step = server.receive(authC);
  if (step.kind !== 'more') throw new Error(step.kind === 'failed' ? step.fault.detail : 'done');
  const [authS, finS] = step.send as [Uint8Array, Uint8Array];
  client.agree(authC, authS);
  client.hear(finS);
  return { server, client };
}

t.test('every packet that a state does not list', async (t) => {
  const R = FLAG.reliable;
  const E = FLAG.encrypted;
  const kinds: readonly (readonly [string, PacketFields])[] = [
    ['DEFAULT', { type: TYPE.default, flags: 0, sequence: 0, data: ascii('hello') }],
    ['reliable DEFAULT', { type: TYPE.default, flags: R, sequence: 0 }],
    ['PING', { type: TYPE.heartbeat, flags: 0, sequence: 0, heartbeat: 0, data: ascii('12345678') }],
    ['PONG', { type: TYPE.heartbeat, flags: 0, sequence: 0, heartbeat: 1 }],
    ['ACK 0', { type: TYPE.ack, flags: 0, sequence: 0, ackId: 0 }],
    ['ACK 1', { type: TYPE.ack, flags: 0, sequence: 0, ackId: 1 }],
    ['reliable ACK 0', { type: TYPE.ack, flags: R, sequence: 0, ackId: 0 }],
    ['reliable ACK 1', { type: TYPE.ack, flags: R, sequence: 0, ackId: 1 }],
    ['reliable ACK ffff', { type: TYPE.ack, flags: R, sequence: 0, ackId: 0xffff }],
  ];
  for (const [name, fields] of kinds) {
    // Section 2.3: RELIABLE stands on no ACK but FINISHED, and that is sealed.
    const code = name.startsWith('reliable ACK') ? 'FLAGS' : 'CONNECTION';
    fails(t, stage('WAIT_AUTH').server.receive(clear(fields)), code, `${name} in WAIT_AUTH`);
    const sealed = { ...fields, flags: fields.flags | E, initVector: 0, data: new Uint8Array(40) };
    fails(t, stage('WAIT_AUTH').server.receive(clear(sealed)), 'FLAGS', `sealed ${name} in WAIT_AUTH`);
    const a = stage('WAIT_FIN');
    fails(t, a.server.receive(clear(fields)), 'FLAGS', `clear ${name} in WAIT_FIN`, a.client);
    if (name === 'reliable ACK 0') continue;
    const b = stage('WAIT_FIN');
    const bytes = b.client.seal(fields.data ?? NONE, { ...fields, sequence: 1, flags: fields.flags | E });
    fails(t, b.server.receive(bytes), 'CONNECTION', `sealed ${name} in WAIT_FIN`, b.client);
  }
  const { server, client } = stage('WAIT_FIN');
  fails(t, server.receive(client.auth()), 'CONNECTION', 'AUTH in WAIT_FIN', client);
});

t.test('an AUTH that may not be taken', async (t) => {
  const good = new Puppet('client').pair.publicKey;
  const off = good.map((octet, at) => (at === 64 ? octet ^ 1 : octet));
  const cases: readonly (readonly [string, Partial<PacketFields>, PacketCode])[] = [
    ['a compressed key', { publicKey: Uint8Array.of(2, ...good.subarray(1, 33)) }, 'CONNECTION'],
    ['a hybrid key', { publicKey: Uint8Array.of(6, ...good.subarray(1)) }, 'CONNECTION'],
    ['a key of 66 octets', { publicKey: Uint8Array.of(...good, 0) }, 'CONNECTION'],
    ['(0, 0)', { publicKey: fromHex(`04${'00'.repeat(64)}`) }, 'CONNECTION'],
    ['a point off the curve', { publicKey: off }, 'CONNECTION'],
    ['number 1', { sequence: 1 }, 'SEQUENCE_ID'],
    ['a wrong checksum', { checksum: 0x1234 }, 'CHECKSUM'],
    ['without RELIABLE', { flags: FLAG.checksum }, 'FLAGS'],
    ['a reserved flag', { flags: FLAG.reliable | 1 }, 'FLAGS'],
    ['another version', { type: 0x12 }, 'VERSION'],
    ['a reserved type', { type: 5 }, 'PACKET_TYPE'],
    ['the last reserved type', { type: 15 }, 'PACKET_TYPE'],
  ];
  for (const [name, fields, code] of cases) {
    const { server, client } = stage('WAIT_AUTH');
    fails(t, server.receive(client.auth(fields)), code, name);
  }
  const server = newServer({}, scripted(nodeSuite, SERVER_SCALAR));
  const mirror = new Puppet('client', undefined, SERVER_SCALAR);
  fails(t, server.receive(mirror.auth()), 'CONNECTION', 'the server’s own key');
});

t.test('a server that is full says 1.1 before it computes anything', async (t) => {
  const watch = watched(nodeSuite);
  const server = newServer({ own: SERVER, judge, sessions: openPort({ full: () => true }) }, watch.suite);
  const client = new Puppet('client', STRANGER);
  fails(t, server.receive(client.auth({ checksum: 0 })), 'NO_SPACE', 'even for one that would fail otherwise');
  t.strictSame(
    watch.calls.filter((name) => name !== 'crc32'),
    [],
    'the checksum of the ERROR is all',
  );
  const later = stage('WAIT_FIN', { sessions: openPort({ fresh: () => undefined }) });
  const bytes = later.client.seal(later.client.finished());
  fails(t, later.server.receive(bytes), 'NO_SPACE', 'full in the meantime', later.client);
});

t.test('what is no AUTH is refused before anything is computed', async (t) => {
  for (const bytes of ['', '00', '02c00000', '02c000000000 0041', '1280', '0580 0000', '00000000', '0290 0000 0000']) {
    const watch = watched(nodeSuite);
    const step = newServer({}, watch.suite).receive(fromHex(bytes));
    t.equal(step.kind, 'failed');
    t.strictSame([...new Set(watch.calls)], ['crc32'], bytes);
  }
});

t.test('a certificate that may not be taken is 1.2, in clear', async (t) => {
  const cases: readonly (readonly [string, Partial<ServerOptions>, Own | undefined])[] = [
    ['none, though one is required', { judge, clientCertificate: 'required' }, undefined],
    ['a stranger’s', { judge, clientCertificate: 'required' }, STRANGER],
    ['a stranger’s, though none was needed', { judge, clientCertificate: 'optional' }, STRANGER],
    ['one that nobody asked for', { clientCertificate: 'none' }, CLIENT],
    ['one that nobody asked for, with a judge', { judge, clientCertificate: 'none' }, CLIENT],
    ['no DER at all', { judge, clientCertificate: 'required' }, { ...CLIENT, certificate: ascii('x') }],
    ['one with an octet more', { judge }, { ...CLIENT, certificate: join(CLIENT.certificate, Uint8Array.of(0)) }],
    ['refused for a reason of the judge', { judge: dont }, CLIENT],
  ];
  for (const [name, options, own] of cases) {
    const { server, client } = stage('WAIT_AUTH', options, own);
    fails(t, server.receive(client.auth()), 'CERTIFICATE_INVALID', name);
  }
});

t.test('a FINISHED that may not be taken', async (t) => {
  const R = FLAG.reliable | FLAG.encrypted;
  const cases: readonly (readonly [string, (client: Puppet) => Uint8Array, PacketCode])[] = [
    ['COMPRESSED', (c) => c.seal(c.finished(), { flags: R | FLAG.compressed }), 'FLAGS'],
    ['a bit of the tag', (c) => bend(c.seal(c.finished()), -1), 'FINISH_INVALID'],
    ['number 0', (c) => c.seal(c.finished(), {}, 0), 'SEQUENCE_ID'],
    ['number 2', (c) => c.seal(c.finished(), {}, 2), 'SEQUENCE_ID'],
    ['number 10001', (c) => c.seal(c.finished(), {}, 0x10001), 'INIT_VECTOR'],
    ['ACK Bits of packets before the first', (c) => c.seal(c.finished(), { ackBits: 0x8000 }), 'SEQUENCE_ID'],
    ['a wrong checksum', (c) => c.seal(c.finished(), { flags: R | FLAG.checksum }, 1, 0), 'CHECKSUM'],
    ['no block', (c) => c.seal(NONE), 'FINISH_INVALID'],
    ['no VERIFY_DATA', (c) => c.seal(c.finished().subarray(35)), 'FINISH_INVALID'],
    ['another VERIFY_DATA', (c) => c.seal(bend(c.finished(), 10)), 'FINISH_INVALID'],
    ['the server’s VERIFY_DATA, given back', (c) => c.seal(c.said[3] as Uint8Array), 'FINISH_INVALID'],
    ['an unknown block', (c) => c.seal(join(c.finished(), fromHex('7f0000'))), 'CONNECTION'],
    ['SESSION', (c) => c.seal(join(c.finished(), fromHex('050014'), new Uint8Array(20))), 'CONNECTION'],
    ['a RESUME that is cut', (c) => c.seal(join(c.finished(), fromHex('0400bf'), new Uint8Array(191))), 'CONNECTION'],
    [
      'RESUME before the others',
      (c) => c.seal(join(fromHex('0400c0'), new Uint8Array(192), c.finished())),
      'CONNECTION',
    ],
    ['CERT_VERIFY without a certificate', (c) => c.seal(c.finished(undefined, CLIENT)), 'CONNECTION'],
  ];
  for (const [name, write, code] of cases) {
    const { server, client } = stage('WAIT_FIN');
    fails(t, server.receive(write(client)), code, name, client);
  }
  const { server, client } = stage('WAIT_FIN');
  const swapped = new Puppet('client');
  [swapped.said, swapped.schedule, swapped.send] = [client.said, client.schedule, client.receive];
  fails(t, server.receive(swapped.seal(swapped.finished())), 'FINISH_INVALID', 'sealed with the server’s keys', client);
});

t.test('the server’s own FINISHED does not come back as the client’s', async (t) => {
  const { server, client } = stage('WAIT_FIN');
  const [, finS] = server.flight() as [Uint8Array, Uint8Array];
  fails(t, server.receive(finS), 'CONNECTION', 'without RELIABLE', client);
  const again = stage('WAIT_FIN');
  const reliable = new Uint8Array((again.server.flight() as Uint8Array[])[1] as Uint8Array);
  reliable[1] = FLAG.reliable | FLAG.encrypted;
  fails(t, again.server.receive(reliable), 'FINISH_INVALID', 'with it', again.client);
});

t.test('a certificate whose key did not sign this very handshake is 1.2', async (t) => {
  const cases: readonly (readonly [string, Partial<Own>])[] = [
    ['a copied certificate, signed by the key of the thief', { sign: (m) => STRANGER.sign(m) }],
    ['a scheme of another key', { scheme: 0x0403 }],
    ['a signature of zeros', { sign: () => new Uint8Array(64) }],
    ['another transcript', { sign: (m) => CLIENT.sign(bend(m, -1)) }],
    ['the server’s label', { sign: (m) => CLIENT.sign(relabel(m, 'server')) }],
  ];
  for (const [name, change] of cases) {
    const { server, client } = stage('WAIT_FIN', { judge }, CLIENT);
    const bytes = client.seal(client.finished(undefined, { ...CLIENT, ...change }));
    fails(t, server.receive(bytes), 'CERTIFICATE_INVALID', name, client);
  }
  const { server, client } = stage('WAIT_FIN', { judge }, CLIENT);
  const silent = new Puppet('client');
  [silent.said, silent.schedule] = [client.said, client.schedule];
  fails(t, server.receive(client.seal(silent.finished())), 'CERTIFICATE_INVALID', 'no CERT_VERIFY', client);

  // A whole recorded flight, said again to the same server: its fresh key makes another transcript.
  const old: Uint8Array[] = [];
  const recorder: Own = {
    ...CLIENT,
    sign: (message) => {
      const signature = CLIENT.sign(message);
      old.push(signature);
      return signature;
    },
  };
  const recorded = stage('WAIT_FIN', { judge }, recorder);
  t.equal(recorded.server.receive(recorded.client.seal(recorded.client.finished())).kind, 'done');
  const replay = stage('WAIT_FIN', { judge }, CLIENT);
  const stolen = replay.client.finished(undefined, { ...CLIENT, sign: () => old[0] as Uint8Array });
  fails(t, replay.server.receive(replay.client.seal(stolen)), 'CERTIFICATE_INVALID', 'replayed', replay.client);
});

t.test('a signature that fits no packet is our own fault, and ends it all the same', async (t) => {
  const own: Own = { ...SERVER, sign: () => new Uint8Array(1024) };
  const client = new Puppet('client');
  const step = newServer({ own }).receive(client.auth());
  t.match(step, { kind: 'failed', fault: { code: 'CERTIFICATE_INVALID' }, theirs: false, send: { length: 1 } });
  const { failures } = meet(newClient({ own: { ...CLIENT, sign: () => new Uint8Array(1024) } }), newServer({ judge }));
  t.match(failures, [{ who: 'client', step: { fault: { code: 'CERTIFICATE_INVALID' } } }, { who: 'server' }]);
});

t.test('ten seconds are enough: 1.0, sealed as soon as there are keys', async (t) => {
  for (const state of ['WAIT_AUTH', 'WAIT_FIN'] as const) {
    const { server, client } = stage(state);
    t.equal(server.deadline(), 10_000);
    t.equal(server.tick(9_999), undefined);
    const step = server.tick(10_000);
    fails(t, step, 'CONNECTION', `timeout in ${state}`, state === 'WAIT_AUTH' ? undefined : client);
    t.match(step, { fault: { detail: 'timeout' } });
    t.equal(server.deadline(), Number.POSITIVE_INFINITY);
    t.strictSame(server.receive(client.auth()), { kind: 'more', send: [] }, 'and nothing comes after it');
  }
});

t.test('an ERROR of the client ends it, in clear or sealed, and is never answered', async (t) => {
  const theirs = (t: Test, step: HandshakeStep, code: PacketCode, sealed: boolean): void =>
    void t.match(step, { kind: 'failed', send: [], fault: { code }, theirs: true, sealed });
  const first = stage('WAIT_AUTH');
  theirs(
    t,
    first.server.receive(errorPacket(nodeSuite, undefined, 0, 'CLIENT_DISCONNECT')),
    'CLIENT_DISCONNECT',
    false,
  );
  const second = stage('WAIT_FIN');
  const hint = errorPacket(nodeSuite, undefined, 1, 'CERTIFICATE_INVALID', undefined, true);
  theirs(t, second.server.receive(hint), 'CERTIFICATE_INVALID', false);
  const third = stage('WAIT_FIN');
  const sealed = errorPacket(nodeSuite, third.client.send, 1, 'FINISH_INVALID');
  theirs(t, third.server.receive(sealed), 'FINISH_INVALID', true);
  const unknown = stage('WAIT_AUTH');
  theirs(t, unknown.server.receive(fromHex('0400000077')), 'DISCONNECT', false);
  for (const bytes of ['04', '1400', '0400000120', '0410000000000020', '0480', '0408000020', '04000000']) {
    const { server } = stage('WAIT_AUTH');
    t.match(server.receive(fromHex(bytes)), { kind: 'failed', send: [], theirs: false }, bytes);
  }
});

t.test('each end hears why the other gave up', async (t) => {
  const port = openPort();
  const cases: readonly (readonly [string, PacketCode, () => ReturnType<typeof meet>, sealed: boolean])[] = [
    ['no room', 'NO_SPACE', () => meet(newClient(), newServer({ sessions: { ...port, full: () => true } })), false],
    ['no certificate', 'CERTIFICATE_INVALID', () => meet(newClient(), newServer({ judge })), false],
    [
      'a server nobody trusts',
      'CERTIFICATE_INVALID',
      () => meet(newClient({ anonymous: false, judge: dont }), newServer({ own: SERVER })),
      false,
    ],
  ];
  for (const [name, code, run, sealed] of cases) {
    const { failures, client, server } = run();
    t.match(
      failures,
      [{ step: { theirs: false, fault: { code } } }, { step: { theirs: true, sealed, fault: { code } } }],
      name,
    );
    t.not(failures[0]?.who, failures[1]?.who);
    t.strictSame([client, server], [undefined, undefined]);
  }
});

t.test('ends of different prologues do not meet: 1.3', async (t) => {
  const other: Partial<HandshakeSettings> = { prologue: ascii('v0.secure-package.wsd') };
  for (const [a, b] of [
    [{}, other],
    [other, {}],
    [{ prologue: NONE }, {}],
  ]) {
    const { failures, server } = meet(newClient({}, nodeSuite, a), newServer({}, nodeSuite, b));
    t.match(failures[0], { who: 'client', step: { fault: { code: 'FINISH_INVALID' } } });
    // The ERROR is sealed with keys the server does not have: it does not open, and is not answered.
    t.match(failures[1], { who: 'server', step: { fault: { code: 'INIT_VECTOR' }, send: [], theirs: false } });
    t.equal(server, undefined);
  }
});

t.test('one in the middle who puts his own keys between them is found out', async (t) => {
  // Towards the client he has no certificate of the server; towards the server none of the client.
  const client = newClient({ own: CLIENT, judge: pin('server', SERVER), anonymous: false });
  const middle = new Puppet('server', SERVER);
  const authC = client.start(0, WALL);
  const authS = middle.auth();
  middle.agree(authC, authS);
  client.receive(authS);
  const thief = middle.finished(undefined, { ...SERVER, sign: (m) => STRANGER.sign(m) });
  fails(t, client.receive(middle.seal(thief)), 'CERTIFICATE_INVALID', 'he cannot sign for the server', middle);
});

t.test('roles do not swap: two clients, and two servers, never meet', async (t) => {
  const [a, b] = [newClient(), newClient()];
  const [authA, authB] = [a.start(0, WALL), b.start(0, WALL)];
  t.equal(a.receive(authB).kind, 'more', 'an AUTH tells no role');
  t.equal(b.receive(authA).kind, 'more');
  t.strictSame([a.receive(authB).kind, b.receive(authA).kind], ['failed', 'failed'], 'neither has more to say');
  const server = newServer();
  const flight = server.receive(new Puppet('client').auth()).send as [Uint8Array, Uint8Array];
  const answer = newServer().receive(flight[0]);
  t.equal(answer.kind, 'more');
  t.match(server.receive(answer.send[0] as Uint8Array), { kind: 'failed', fault: { code: 'CONNECTION' } });
});

t.test('one octet changed anywhere: a defined code, and never two open ends', async (t) => {
  const random = seedFromEnv('handshake edits');
  const kinds: readonly (readonly [string, () => [ReturnType<typeof newClient>, ServerHandshake]])[] = [
    ['anonymous', () => [newClient(), newServer()]],
    [
      'anonymous, without checksums',
      () => [newClient({}, nodeSuite, { checksum: false }), newServer({}, nodeSuite, { checksum: false })],
    ],
    [
      'certificates both ways, without checksums',
      () => [
        newClient({ own: CLIENT, judge: pin('server', SERVER), anonymous: false }, nodeSuite, { checksum: false }),
        newServer({ own: SERVER, judge }, nodeSuite, { checksum: false }),
      ],
    ],
  ];
  for (const [name, ends] of kinds) {
    const sizes = meet(...ends()).packets.map(({ bytes }) => bytes.length);
    t.equal(sizes.length, 5);
    const codes = new Set<string>();
    for (const [place, size] of sizes.entries()) {
      for (let at = 0; at < size; at++) {
        const flip = 1 + random.int(255);
        const meeting = meet(...ends(), (bytes, packet) => {
          if (packet === place) bytes[at] = (bytes[at] as number) ^ flip;
          return bytes;
        });
        const where = `${name}: packet ${place} octet ${at} ^ ${flip}`;
        const [first] = meeting.failures;
        if (first === undefined || meeting.client !== undefined) t.fail(where);
        // The server is open as soon as it has said CONFIRM: what happens to CONFIRM it hears from the client.
        if (place < 4 && meeting.server !== undefined) t.fail(`${where}: the server is open`);
        if (first !== undefined && !(first.step.fault.code in PACKET_CODES)) t.fail(where);
        if (first !== undefined) codes.add(first.step.fault.code);
      }
    }
    t.comment(`${name}: ${[...codes].sort().join(' ')}`);
    t.ok(codes.size > 5, name);
  }
});

t.test('a packet cut anywhere, or with more behind it: the same', async (t) => {
  const ends = (): [ReturnType<typeof newClient>, ServerHandshake] => [newClient(), newServer()];
  for (const [place, { bytes: whole }] of meet(...ends()).packets.entries()) {
    for (let size = 0; size <= whole.length + 1; size++) {
      if (size === whole.length) continue;
      const meeting = meet(...ends(), (bytes, packet) => {
        if (packet !== place) return bytes;
        return size > bytes.length ? join(bytes, Uint8Array.of(0)) : bytes.subarray(0, size);
      });
      if (meeting.failures.length === 0 || meeting.client !== undefined) t.fail(`packet ${place}, ${size} octets`);
    }
    t.pass(`packet ${place}`);
  }
});

function bend(bytes: Uint8Array, at: number): Uint8Array {
  const bent = new Uint8Array(bytes);
  const place = at < 0 ? bent.length + at : at;
  bent[place] = (bent[place] as number) ^ 1;
  return bent;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function relabel(message: Uint8Array, role: string): Uint8Array {
  return Uint8Array.from(Buffer.from(Buffer.from(message).toString('latin1').replace('client', role), 'latin1'));
}
