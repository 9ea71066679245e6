// A client and a server that does everything wrong: PROTOCOL.md sections 6.2 to 6.6 and 7, each wrong thing with its code.
import { Buffer } from 'node:buffer';
import t, { type Test } from 'tap';
import { loadOwn } from '../../lib/crypto/certificate.js';
import type { Own } from '../../lib/crypto/identity.js';
import { createJudge } from '../../lib/crypto/judge.js';
import { makeCertificate } from '../../lib/crypto/make-certificate.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { writeBlocks, writeResumed, writeSession } from '../../lib/packet/blocks.js';
import type { PacketCode } from '../../lib/packet/codes.js';
import { errorPacket } from '../../lib/packet/error-packet.js';
import type { HandshakeStep, ResumeOffer } from '../../lib/packet/handshake.js';
import type { ClientHandshake, ClientOptions } from '../../lib/packet/handshake-client.js';
import { proofOf } from '../../lib/packet/keys.js';
import { transcriptHash } from '../../lib/packet/transcript.js';
import { FLAG, TYPE } from '../../lib/packet/wire.js';
import type { PacketFields } from '../../lib/packet/write.js';
import {
  ascii,
  clear,
  dont,
  fails,
  fromHex,
  NONE,
  newClient,
  Puppet,
  SESSION_ID,
  toHex,
  WALL,
} from './handshake-scene.js';

const certificate = (subject: string, type: 'ed25519' | 'p256' = 'ed25519') =>
  makeCertificate({ now: WALL - 86_400_000, subject, names: ['chat.example.com'], type });
const ownOf = (made: ReturnType<typeof certificate>): Own =>
  loadOwn({ certificate: made.certificate, key: made.keyPem });
const SERVER = ownOf(certificate('a server'));
const STRANGER = ownOf(certificate('a stranger'));
const judge = createJudge({ peer: 'server', pins: [fingerprintOf(SERVER)] });

function fingerprintOf({ certificate }: Own): string {
  return Buffer.from(nodeSuite.sha256(certificate)).toString('hex');
}

interface Stage {
  readonly client: ClientHandshake;
  readonly server: Puppet;
  readonly authC: Uint8Array;
}

/** Up to the state of that name. */
function stage(
  state: 'WAIT_AUTH' | 'WAIT_FIN' | 'WAIT_CONFIRM',
  options: Partial<ClientOptions> = {},
  own?: Own,
): Stage {
  const client = newClient(options);
  const server = new Puppet('server', own);
  const authC = client.start(0, WALL);
  if (state === 'WAIT_AUTH') return { client, server, authC };
  const authS = server.auth();
  server.agree(authC, authS);
  expectMore(client.receive(authS));
  if (state === 'WAIT_FIN') return { client, server, authC };
  const body = server.finished();
  const answer = expectMore(client.receive(server.seal(body)));
  server.said.push(body);
  server.hear(answer[0] as Uint8Array);
  return { client, server, authC };
}

function expectMore(step: HandshakeStep): readonly Uint8Array[] {
  if (step.kind !== 'more') throw new Error(`${step.kind}: ${step.kind === 'failed' ? step.fault.detail : ''}`);
  return step.send;
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
    ['ACK 2', { type: TYPE.ack, flags: 0, sequence: 0, ackId: 2 }],
    ['ACK ffff', { type: TYPE.ack, flags: 0, sequence: 0, ackId: 0xffff }],
  ];
  for (const [name, fields] of kinds) {
    fails(t, stage('WAIT_AUTH').client.receive(clear(fields)), 'CONNECTION', `${name} in WAIT_AUTH`);
    const sealed = { ...fields, flags: fields.flags | E, initVector: 0, data: new Uint8Array(40) };
    fails(t, stage('WAIT_AUTH').client.receive(clear(sealed)), 'FLAGS', `sealed ${name} in WAIT_AUTH`);
    for (const [state, listed, number] of [
      ['WAIT_FIN', 'ACK 0', 1],
      ['WAIT_CONFIRM', 'ACK 1', 2],
    ] as const) {
      const a = stage(state);
      fails(t, a.client.receive(clear(fields)), 'FLAGS', `clear ${name} in ${state}`, a.server);
      if (name === listed) continue;
      const b = stage(state);
      const bytes = b.server.seal(
        fields.data ?? NONE,
        { ...fields, sequence: number, flags: fields.flags | E },
        number,
      );
      fails(t, b.client.receive(bytes), 'CONNECTION', `sealed ${name} in ${state}`, b.server);
    }
  }
  for (const state of ['WAIT_FIN', 'WAIT_CONFIRM'] as const) {
    const { client, server } = stage(state);
    fails(t, client.receive(server.auth()), 'CONNECTION', `AUTH in ${state}`, server);
  }
  fails(t, newClient().receive(new Puppet('server').auth()), 'CONNECTION', 'before the start');
});

t.test('an AUTH that may not be taken', async (t) => {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const good = new Puppet('server').pair.publicKey;
  const first = (octet: number): Uint8Array => Uint8Array.of(octet, ...good.subarray(1));
  const off = good.map((octet, at) => (at === 64 ? octet ^ 1 : octet));
  const origin = fromHex(`04${'00'.repeat(64)}`);
  const prime = fromHex(`04${p.toString(16)}${toHex(good.subarray(33))}`);
  const cases: readonly (readonly [string, Partial<PacketFields>, PacketCode])[] = [
    ['a compressed key', { publicKey: Uint8Array.of(2, ...good.subarray(1, 33)) }, 'CONNECTION'],
    ['a hybrid key 06', { publicKey: first(6) }, 'CONNECTION'],
    ['a hybrid key 07', { publicKey: first(7) }, 'CONNECTION'],
    ['a key of 64 octets', { publicKey: good.subarray(0, 64) }, 'CONNECTION'],
    ['a key of 66 octets', { publicKey: Uint8Array.of(...good, 0) }, 'CONNECTION'],
    ['no key', { publicKey: NONE }, 'CONNECTION'],
    ['infinity', { publicKey: Uint8Array.of(0) }, 'CONNECTION'],
    ['(0, 0)', { publicKey: origin }, 'CONNECTION'],
    ['a point off the curve', { publicKey: off }, 'CONNECTION'],
    ['an X that is p', { publicKey: prime }, 'CONNECTION'],
    ['number 1', { sequence: 1 }, 'SEQUENCE_ID'],
    ['number ffff', { sequence: 0xffff }, 'SEQUENCE_ID'],
    ['a wrong checksum', { checksum: 0x1234 }, 'CHECKSUM'],
    ['without RELIABLE', { flags: FLAG.checksum }, 'FLAGS'],
    ['a fragment of AUTH', { flags: FLAG.reliable | FLAG.frag, fragmentCount: 2 }, 'FLAGS'],
    ['compressed', { flags: FLAG.reliable | FLAG.compressed }, 'FLAGS'],
    ['an empty certificate', { certificate: NONE }, 'PACKET'],
    ['a certificate that is too large', { certificate: new Uint8Array(4097) }, 'PACKET'],
    ['a bad key and a bad number', { publicKey: off, sequence: 1 }, 'CONNECTION'],
    ['a bad number and a bad checksum', { sequence: 1, checksum: 0 }, 'SEQUENCE_ID'],
  ];
  for (const [name, fields, code] of cases) {
    const { client, server } = stage('WAIT_AUTH');
    fails(t, client.receive(server.auth(fields)), code, name);
  }
  const { client, server, authC } = stage('WAIT_AUTH');
  fails(t, client.receive(server.auth({ publicKey: authC.subarray(8, 73) })), 'CONNECTION', 'our own key');
  const mirror = newClient();
  fails(t, mirror.receive(mirror.start(0, WALL)), 'CONNECTION', 'our own AUTH, mirrored');
  for (const size of [0, 1, 3]) {
    const { client } = stage('WAIT_AUTH');
    fails(t, client.receive(server.auth().subarray(0, size)), 'PACKET', `${size} octets`);
  }
});

t.test('a certificate that may not be taken is 1.2, in clear, before any key', async (t) => {
  const cases: readonly (readonly [string, Partial<ClientOptions>, Own | undefined])[] = [
    ['none, though one is required', { anonymous: false, judge }, undefined],
    ['a stranger’s', { anonymous: false, judge }, STRANGER],
    ['a stranger’s, though none was needed', { anonymous: true, judge }, STRANGER],
    ['no DER at all', { anonymous: false, judge }, { ...SERVER, certificate: ascii('x') }],
    ['refused for a reason of the judge', { anonymous: false, judge: dont }, SERVER],
  ];
  for (const [name, options, own] of cases) {
    const { client, server } = stage('WAIT_AUTH', options, own);
    fails(t, client.receive(server.auth()), 'CERTIFICATE_INVALID', name);
  }
});

t.test('certificates are judged by the wall clock, and see a copy', async (t) => {
  const asked: (readonly [string, number])[] = [];
  const options = {
    anonymous: false,
    judge: {
      judge: (der: Uint8Array, now: number) => {
        asked.push([toHex(der), now]);
        der.fill(0);
        return judge.judge(SERVER.certificate, now);
      },
    },
  };
  stage('WAIT_CONFIRM', options, SERVER);
  t.strictSame(asked, [[toHex(SERVER.certificate), WALL]]);
});

t.test('a FINISHED that may not be taken', async (t) => {
  const R = FLAG.reliable | FLAG.encrypted;
  const E = FLAG.encrypted;
  const cases: readonly (readonly [string, (server: Puppet) => Uint8Array, PacketCode])[] = [
    ['with RELIABLE, which only the client’s has', (s) => s.seal(s.finished(), { flags: R }), 'FLAGS'],
    ['COMPRESSED', (s) => s.seal(s.finished(), { flags: E | FLAG.compressed }), 'FLAGS'],
    ['a bit of the tag', (s) => bend(s.seal(s.finished()), -1), 'FINISH_INVALID'],
    ['a bit of the ciphertext', (s) => bend(s.seal(s.finished()), 12), 'FINISH_INVALID'],
    ['number 0', (s) => s.seal(s.finished(), {}, 0), 'SEQUENCE_ID'],
    ['number 2', (s) => s.seal(s.finished(), {}, 2), 'SEQUENCE_ID'],
    ['number 10001', (s) => s.seal(s.finished(), {}, 0x10001), 'INIT_VECTOR'],
    ['ACK Bits of packets before the first', (s) => s.seal(s.finished(), { ackBits: 0x8000 }), 'SEQUENCE_ID'],
    ['the last of these bits', (s) => s.seal(s.finished(), { ackBits: 1 }), 'SEQUENCE_ID'],
    ['a wrong checksum', (s) => s.seal(s.finished(), { flags: E | FLAG.checksum }, 1, 0), 'CHECKSUM'],
    ['less than a tag', (s) => s.seal(s.finished()).subarray(0, 25), 'PACKET'],
    ['no block', (s) => s.seal(NONE), 'FINISH_INVALID'],
    ['no VERIFY_DATA', (s) => s.seal(s.finished().subarray(35)), 'FINISH_INVALID'],
    ['another VERIFY_DATA', (s) => s.seal(bend(s.finished(), 10)), 'FINISH_INVALID'],
    ['blocks twice', (s) => s.seal(join(s.finished(), s.finished())), 'CONNECTION'],
    ['an unknown block', (s) => s.seal(join(s.finished(), fromHex('7f0000'))), 'CONNECTION'],
    ['RESUME', (s) => s.seal(join(s.finished(), fromHex('0400c0'), new Uint8Array(192))), 'CONNECTION'],
    ['blocks that are cut', (s) => s.seal(s.finished().subarray(0, 40)), 'CONNECTION'],
    ['CERT_VERIFY without a certificate', (s) => s.seal(s.finished(undefined, SERVER)), 'CONNECTION'],
  ];
  for (const [name, write, code] of cases) {
    const { client, server } = stage('WAIT_FIN');
    fails(t, client.receive(write(server)), code, name, server);
  }
});

t.test('what a FINISHED may have', async (t) => {
  const E = FLAG.encrypted;
  const cases: readonly (readonly [string, (server: Puppet) => Uint8Array])[] = [
    ['no PARAMS', (s) => s.seal(s.finished().subarray(0, 35))],
    ['a block for later versions', (s) => s.seal(join(s.finished(), fromHex('80000142')))],
    ['a checksum inside the seal', (s) => s.seal(s.finished(), { flags: E | FLAG.checksum })],
  ];
  for (const [name, write] of cases) {
    const { client, server } = stage('WAIT_FIN');
    t.match(client.receive(write(server)), { kind: 'more', send: { length: 1 } }, name);
  }
});

t.test('a certificate whose key did not sign this very handshake is 1.2', async (t) => {
  const cases: readonly (readonly [string, Own | undefined])[] = [
    ['no CERT_VERIFY', undefined],
    ['a copied certificate, signed by the key of the thief', { ...STRANGER, certificate: SERVER.certificate }],
    ['a scheme of another key', { ...SERVER, scheme: 0x0403 }],
    ['a scheme that is none', { ...SERVER, scheme: 0 }],
    ['an empty signature', { ...SERVER, sign: () => NONE }],
    ['a signature of zeros', { ...SERVER, sign: () => new Uint8Array(64) }],
    ['the client’s label', { ...SERVER, sign: (m) => SERVER.sign(relabel(m, 'client')) }],
    ['another transcript', { ...SERVER, sign: (m) => SERVER.sign(bend(m, -1)) }],
    ['an octet more', { ...SERVER, sign: (m) => join(SERVER.sign(m), Uint8Array.of(0)) }],
  ];
  for (const [name, own] of cases) {
    const { client, server } = stage('WAIT_FIN', { anonymous: false, judge }, SERVER);
    const blocks = own === undefined ? withoutProof(server) : server.finished(undefined, own);
    fails(t, client.receive(server.seal(blocks)), 'CERTIFICATE_INVALID', name, server);
  }
  const blind = stage('WAIT_FIN', { anonymous: true }, SERVER);
  const blocks = withoutProof(blind.server);
  fails(t, blind.client.receive(blind.server.seal(blocks)), 'CERTIFICATE_INVALID', 'also unseen', blind.server);
});

t.test('the signed text is that of section 6.5', async (t) => {
  const signed: Uint8Array[] = [];
  const spy: Own = {
    ...SERVER,
    sign: (message) => {
      signed.push(message);
      return SERVER.sign(message);
    },
  };
  const { server } = stage('WAIT_FIN', { anonymous: false, judge }, spy);
  server.finished();
  const text = Buffer.from(signed[0] as Uint8Array);
  t.equal(text.subarray(0, -32).toString('latin1'), `${' '.repeat(64)}wsd/0, server CertificateVerify\0`);
});

t.test('our own FINISHED does not come back as the server’s', async (t) => {
  const { client, server } = stage('WAIT_CONFIRM');
  const flight = client.flight()[0] as Uint8Array;
  fails(t, client.receive(flight), 'FLAGS', 'RELIABLE and not from a client', server);
});

const BINDER_KEY = new Uint8Array(32).fill(0x42);
const offer = (accepts = true, identity = 'anonymous'): ResumeOffer => ({
  id: SESSION_ID,
  binderKey: BINDER_KEY,
  identity,
  state: () => new Uint8Array(144),
  accepts: () => accepts,
});
const session = writeSession({ id: SESSION_ID, ttl: 60 });
const accepted = writeResumed({ accepted: true, state: new Uint8Array(144) });
const refused = writeResumed({ accepted: false, state: NONE });
/** What a server that knows the secret of the session says in CONFIRM. */
const proved = (server: Puppet, binderKey: Uint8Array = BINDER_KEY): Uint8Array =>
  proofOf(nodeSuite, binderKey, transcriptHash(nodeSuite, ...server.said));

/** A failure about which nothing is said, since the server may have gone on with the session. */
const hushes = (t: Test, step: HandshakeStep | undefined, code: PacketCode, name: string): void => {
  t.match(step, { kind: 'failed', send: [], fault: { code }, theirs: false, silent: true }, name);
  if (step?.kind === 'failed') t.equal(step.send.length, 0, name);
};

t.test('a CONFIRM that may not be taken', async (t) => {
  const E = FLAG.encrypted;
  const fresh = writeBlocks({ session });
  const ack = { ackId: 1, ackBits: 0x8000 };
  const cases: readonly (readonly [string, boolean, (server: Puppet) => Uint8Array, PacketCode])[] = [
    ['a bit of the tag', false, (s) => bend(s.seal(fresh, ack, 2), -1), 'INIT_VECTOR'],
    ['RELIABLE', false, (s) => s.seal(fresh, { ...ack, flags: E | FLAG.reliable }, 2), 'FLAGS'],
    ['number 1 again', false, (s) => s.seal(fresh, ack, 1), 'SEQUENCE_ID'],
    ['number 3', false, (s) => s.seal(fresh, ack, 3), 'SEQUENCE_ID'],
    ['number 10002', false, (s) => s.seal(fresh, ack, 0x10002), 'INIT_VECTOR'],
    ['ACK Bits of what was never sent', false, (s) => s.seal(fresh, { ackId: 1, ackBits: 0xc000 }, 2), 'SEQUENCE_ID'],
    ['a wrong checksum', false, (s) => s.seal(fresh, { ...ack, flags: E | FLAG.checksum }, 2, 1), 'CHECKSUM'],
    ['no block', false, (s) => s.seal(NONE, ack, 2), 'CONNECTION'],
    ['RESUMED unasked', false, (s) => s.seal(writeBlocks({ session, resumed: refused }), ack, 2), 'CONNECTION'],
    ['accepted unasked', false, (s) => s.seal(writeBlocks({ resumed: accepted }), ack, 2), 'CONNECTION'],
    ['no answer to RESUME', true, (s) => s.seal(fresh, ack, 2), 'CONNECTION'],
    ['refused without a session', true, (s) => s.seal(writeBlocks({ resumed: refused }), ack, 2), 'CONNECTION'],
    ['accepted with one', true, (s) => s.seal(writeBlocks({ session, resumed: accepted }), ack, 2), 'CONNECTION'],
    ['status 2', true, (s) => s.seal(writeBlocks({ session, resumed: Uint8Array.of(2) }), ack, 2), 'CONNECTION'],
    ['VERIFY_DATA', false, (s) => s.seal(s.finished().subarray(0, 35), ack, 2), 'CONNECTION'],
  ];
  for (const [name, resume, write, code] of cases) {
    const { client, server } = stage('WAIT_CONFIRM', resume ? { resume: offer() } : {});
    const step = client.receive(write(server));
    if (resume) hushes(t, step, code, name);
    else fails(t, step, code, name, server);
  }
  for (const ackBits of [0x8000, 0]) {
    const { client, server } = stage('WAIT_CONFIRM');
    t.equal(client.receive(server.seal(fresh, { ackId: 1, ackBits }, 2)).kind, 'done');
  }
});

t.test('an accepted resume is taken from the server of the session alone', async (t) => {
  const ack = { ackId: 1, ackBits: 0x8000 };
  const wrong = new Uint8Array(32).fill(1);
  const other = new Uint8Array(BINDER_KEY).fill(7, 31);
  type Case = readonly [
    what: string,
    options: Partial<ClientOptions>,
    own: Own | undefined,
    (s: Puppet) => Uint8Array | undefined,
    good: boolean,
  ];
  const none = (): undefined => undefined;
  const cases: readonly Case[] = [
    ['nobody shows anything: it knows the secret', { resume: offer() }, undefined, (s) => proved(s), true],
    ['it says nothing about the secret', { resume: offer() }, undefined, none, false],
    ['it knows another secret', { resume: offer() }, undefined, (s) => proved(s, other), false],
    ['it makes something up', { resume: offer() }, undefined, () => wrong, false],
    [
      'it gives the binder back',
      { resume: offer() },
      undefined,
      (s) => nodeSuite.hmac(BINDER_KEY, transcriptHash(nodeSuite, ...s.said.slice(0, -1))),
      false,
    ],
    ['a certificate that nobody looked at', { resume: offer() }, SERVER, none, false],
    ['the same, and it knows the secret', { resume: offer() }, SERVER, (s) => proved(s), true],
    [
      'the certificate of the session',
      { judge, anonymous: false, resume: offer(true, fingerprintOf(SERVER)) },
      SERVER,
      none,
      true,
    ],
    [
      'the same, and it knows another secret',
      { judge, anonymous: false, resume: offer(true, fingerprintOf(SERVER)) },
      SERVER,
      () => wrong,
      false,
    ],
    [
      'a good certificate, but another one',
      { judge, anonymous: false, resume: offer(true, fingerprintOf(STRANGER)) },
      SERVER,
      (s) => proved(s),
      false,
    ],
    ['a certificate, and the session had none', { judge, resume: offer() }, SERVER, (s) => proved(s), false],
    [
      'no certificate, and the session had one',
      { resume: offer(true, fingerprintOf(SERVER)) },
      undefined,
      (s) => proved(s),
      false,
    ],
    ['a state that contradicts ours', { resume: offer(false) }, undefined, (s) => proved(s), false],
  ];
  for (const [what, options, own, proof, good] of cases) {
    const { client, server } = stage('WAIT_CONFIRM', options, own);
    const step = client.receive(server.seal(writeBlocks({ resumed: accepted, proof: proof(server) }), ack, 2));
    if (good) t.match(step, { kind: 'done', secrets: { sessionId: SESSION_ID, refused: false } }, what);
    else hushes(t, step, 'CONNECTION', what);
  }
});

t.test('ten seconds are enough: 1.0, sealed as soon as there are keys', async (t) => {
  for (const state of ['WAIT_AUTH', 'WAIT_FIN', 'WAIT_CONFIRM'] as const) {
    const { client, server } = stage(state);
    t.equal(client.deadline(), 10_000);
    t.equal(client.tick(9_999), undefined);
    const step = client.tick(10_000);
    fails(t, step, 'CONNECTION', `timeout in ${state}`, state === 'WAIT_AUTH' ? undefined : server);
    t.match(step, { fault: { detail: 'timeout' } });
    t.equal(client.deadline(), Number.POSITIVE_INFINITY);
    t.equal(client.tick(20_000), undefined);
  }
  const early = stage('WAIT_FIN', { resume: offer() });
  fails(t, early.client.tick(10_000), 'CONNECTION', 'RESUME is not out yet', early.server);
  hushes(t, stage('WAIT_CONFIRM', { resume: offer() }).client.tick(10_000), 'CONNECTION', 'RESUME is out');
});

t.test('we may end it ourselves', async (t) => {
  const early = stage('WAIT_AUTH');
  fails(t, early.client.fail('CLIENT_DISCONNECT', 'enough'), 'CLIENT_DISCONNECT', 'in clear');
  const later = stage('WAIT_CONFIRM');
  fails(t, later.client.fail('CLIENT_DISCONNECT'), 'CLIENT_DISCONNECT', 'sealed', later.server);
  const resuming = stage('WAIT_CONFIRM', { resume: offer() });
  const why = 'who leaves says so, whatever became of RESUME';
  fails(t, resuming.client.fail('CLIENT_DISCONNECT'), 'CLIENT_DISCONNECT', why, resuming.server);
});

const isTheirs = (t: Test, step: HandshakeStep, code: PacketCode, sealed: boolean, name: string): void => {
  t.match(step, { kind: 'failed', send: [], fault: { code }, theirs: true, sealed }, name);
};

t.test('an ERROR of the server ends it, in clear or sealed, and is not answered', async (t) => {
  for (const [state, number] of [
    ['WAIT_AUTH', 0],
    ['WAIT_FIN', 1],
    ['WAIT_CONFIRM', 2],
  ] as const) {
    for (const checksum of [true, false]) {
      const { client } = stage(state);
      const bytes = errorPacket(nodeSuite, undefined, number, 'NO_SPACE', undefined, checksum);
      isTheirs(t, client.receive(bytes), 'NO_SPACE', false, `clear in ${state}`);
    }
    if (state === 'WAIT_AUTH') continue;
    const { client, server } = stage(state);
    isTheirs(
      t,
      client.receive(errorPacket(nodeSuite, server.send, number, 'FINISH_INVALID')),
      'FINISH_INVALID',
      true,
      state,
    );
  }
});

t.test('an ERROR that is wrong itself is not answered either', async (t) => {
  const cases: readonly (readonly [string, (server: Puppet) => Uint8Array, PacketCode])[] = [
    ['a wrong tag', (s) => bend(errorPacket(nodeSuite, s.send, 1, 'DISCONNECT'), -1), 'INIT_VECTOR'],
    ['a wrong number', (s) => errorPacket(nodeSuite, s.send, 9, 'DISCONNECT'), 'SEQUENCE_ID'],
    ['a wrong number in clear', () => errorPacket(nodeSuite, undefined, 9, 'DISCONNECT'), 'SEQUENCE_ID'],
    ['a number far away', (s) => errorPacket(nodeSuite, s.send, 0x70001, 'DISCONNECT'), 'INIT_VECTOR'],
    ['a wrong checksum', () => fromHex('0440000100 0020'), 'CHECKSUM'],
    ['no code', () => fromHex('04000001'), 'PACKET'],
    ['a reserved flag', () => fromHex('0401000120'), 'FLAGS'],
    ['another version', () => fromHex('1400000120'), 'VERSION'],
    ['its type alone', () => fromHex('04'), 'PACKET'],
  ];
  for (const [name, write, code] of cases) {
    const { client, server } = stage('WAIT_FIN');
    const step = client.receive(write(server));
    t.match(step, { kind: 'failed', send: [], fault: { code }, theirs: false }, name);
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

/** The FINISHED of one whose certificate was in its AUTH, as if it had none. */
function withoutProof(server: Puppet): Uint8Array {
  const silent = new Puppet('server');
  silent.said = server.said;
  silent.schedule = server.schedule;
  return silent.finished();
}

function relabel(message: Uint8Array, role: string): Uint8Array {
  return Uint8Array.from(Buffer.from(Buffer.from(message).toString('latin1').replace('server', role), 'latin1'));
}
