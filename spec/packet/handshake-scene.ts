// What the handshake specs share: the numbers of PROTOCOL.md section 11.2, suites that are scripted or watched, two machines that talk, and
// a puppet that says whatever it is told to say, with the right keys.
import { Buffer } from 'node:buffer';
import type { Test } from 'tap';
import type { Own, PeerJudge } from '../../lib/crypto/identity.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import type { KeyPair, Suite } from '../../lib/crypto/suite.js';
import { PACKET_CODES, type PacketCode } from '../../lib/packet/codes.js';
import { writeFinished } from '../../lib/packet/finished.js';
import type { HandshakeSettings, HandshakeStep, Secrets, SessionsPort } from '../../lib/packet/handshake.js';
import { ClientHandshake, type ClientOptions } from '../../lib/packet/handshake-client.js';
import { ServerHandshake, type ServerOptions } from '../../lib/packet/handshake-server.js';
import { type Packet, parsePacket } from '../../lib/packet/header.js';
import { type DirectionKeys, deriveKeys, type Schedule } from '../../lib/packet/keys.js';
import { sequenceOf, vectorOf } from '../../lib/packet/number.js';
import { checksumOf, openBody, Protector, sealBody } from '../../lib/packet/protect.js';
import { transcriptHash } from '../../lib/packet/transcript.js';
import { FLAG, TYPE } from '../../lib/packet/wire.js';
import { type PacketFields, writePacket, writeTsf } from '../../lib/packet/write.js';

export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
export const toHex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
export const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
export const NONE: Uint8Array = new Uint8Array(0);

export const SUITES: readonly Suite[] = [nodeSuite, portableSuite];
/** Client and server: both halves, and mixed. */
export const PAIRS: readonly (readonly [client: Suite, server: Suite])[] = SUITES.flatMap((a) =>
  SUITES.map((b) => [a, b] as const),
);

export const CLIENT_SCALAR: Uint8Array = fromHex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721');
export const SERVER_SCALAR: Uint8Array = fromHex('519b423d715f8b581f4fa8ee59f4771a5b44c8130b4e3eacca54a56dda72b464');
export const SESSION_ID: Uint8Array = fromHex('00112233445566778899aabbccddeeff');

/** PROTOCOL.md section 11.2. */
export const VECTOR = {
  AUTH_C:
    '02c00000a6e900410460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  AUTH_S:
    '02c00000dbea0041041ccbe91c075fc7f4f033bfa248db8fccd3565de94bbfb12f3c59ff46c271bf83ce4014c68811f9a21a1fdb2c0e6113e06db7ca93b7404e78dc7ccd5ca89a4ca9',
  Z: '874cc88baf56772eba61b4ccb240ed93d96f2345b346d0e7f9d58a3a555535d0',
  H1: '730cad4681925611af52e5f6a4c60eefe6605adddb2e8a2e84216c956097ba07',
  PRK: '86a6063b7655c152465e7b39afe961737417fbc9ec9dbb6e04613a83e3ffe0e8',
  c2sKey: 'fa9785a381b0cd2fec28d6b8c32c1ea010f95e5f2ae6b2422397e94d30e5af40',
  c2sIv: '7dae98ad4bc81c84ddbb81d7',
  s2cKey: 'ba52c39ecb4994c0d8a8e61f8b15a8ff4eb1cca36a58687a617c44b04e98b7f4',
  s2cIv: '0674103cc870ee222ac384e5',
  c2sFinished: 'a0e19a1aa30ce61bf1c4b74c07fba0ccfdaf1227179ca7adce03a879fc3078b4',
  s2cFinished: '6bc56263472849beb4e64cd5db77b2747003808a72b059fe3e0d64c0a6dd9b4e',
  H2: 'bed0778b6c2194aa0dc960d988ca0447c430275f7c0e3d0e98efde1e095999c2',
  FIN_S: '0200207e9c5488184709edfa26223e8acb2f17175c15c917967e2f6a37cbe7a2cfc65e03000a0010000000003a980019',
  packetS:
    '01100001000000000000ddf6c27c83822f765cabf27517254b1485f7e85492c3d674c9e00c50327ecea9d1535e10b86d80046fd7b37c9e33566be82fc7ffb12e18d71a43bab57e35827d',
  H3: '50db5a4a611382af3d125c9fac995f6efe24743bc2c23ae9bc1f2a81e4573d1c',
  H4: '7f6b32cf84c9e0295e6b332b88533187786f5f8e0629c8e3acf4f8c86586fac9',
  verifyC: 'b487d84ad124a72c99ab9fe79e815a38446c71090f02bc99f2f903b9a6e32a1b',
  packetC:
    '0190000100000000000092f6829f758a2d6e19d7d3f0a97d14033647c0a23b338ee4e1390dfdfc45007ead51ce7ae4d6adbd44a13809af9299fe1e5467a4d0f1b5bb26ccd8533b0f1931',
  H5: '434e1d30820926296ba52f129c6d243529ad50758efdb9a586680971e932f643',
  CONFIRM: '0110000200000001800020ba8d9759f85f0930dd21c75cd748541ab53e3c8407eb97a23a2062a6d14d11df368b8cff35b3',
  resumption: '529ed9bfad3911d6d7b57370abac1f5dc67b4392c0283319f6f13b466f1c5925',
  exporter: '7dfb0ec9b4c65d251eb7e7664f917429061d49d2eeff819357b5c0d1a7f7d1a3',
  binderKey: '315b08befb47f9fb410c02430d665052e64719bb1fbc84ca4247344a5a57f163',
  binder: '134de2c44abbd4af2a2cb5c8b051414669318f63d709bd885c34ebd0a8b0a08f',
  packageC2s: 'c0d3d5900b231f633aa9a7ed7b2bbed2584609968a61e76349e9cbd537c50a6c',
  packageS2c: '4619a79a8ed764c9fc9f53062ab4e971019fc7bb2ecd4225de6f90e289842773',
} as const;
/** The client's FINISHED, made of its parts as the section says. */
export const FIN_C: string = `020020${VECTOR.verifyC}03000a0010000000003a980019`;

export const SETTINGS: HandshakeSettings = {
  prologue: ascii('v0.packet.wsd'),
  params: { maxMessage: 1_048_576, heartbeat: 15_000, ackDelay: 25 },
  timeout: 10_000,
  maxCertificate: 4096,
};

/** Its key pair is always the same. */
export const scripted = (suite: Suite, scalar: Uint8Array): Suite => ({
  ...suite,
  newPair: () => suite.newPair(scalar),
});

export interface Watched {
  readonly suite: Suite;
  /** Everything that was called, in order. */
  readonly calls: string[];
  /** Every secret that came out, as it was then, and the array itself. */
  readonly secrets: { readonly name: string; readonly was: string; readonly array: Uint8Array }[];
  readonly erased: { pairs: number };
}

/** Tells what was asked of a suite, and holds on to the arrays it gave out. */
export function watched(suite: Suite, scalar?: Uint8Array): Watched {
  const calls: string[] = [];
  const secrets: { name: string; was: string; array: Uint8Array }[] = [];
  const erased = { pairs: 0 };
  const note = <Bytes extends Uint8Array | undefined>(name: string, array: Bytes): Bytes => {
    if (array !== undefined) secrets.push({ name, was: toHex(array), array });
    return array;
  };
  const seen = <Args extends readonly unknown[], Result>(name: string, call: (...args: Args) => Result) =>
    ((...args: Args): Result => {
      calls.push(name);
      return call(...args);
    }) as (...args: Args) => Result;
  return {
    calls,
    secrets,
    erased,
    suite: {
      name: suite.name,
      random: seen('random', (size) => suite.random(size)),
      newPair: seen('newPair', (given?: Uint8Array): KeyPair => {
        const pair = suite.newPair(given ?? scalar);
        return {
          publicKey: pair.publicKey,
          agree: seen('agree', (peer) => note('Z', pair.agree(peer))),
          erase: () => {
            erased.pairs++;
            pair.erase();
          },
        };
      }),
      aead: seen('aead', (key) => suite.aead(note('aead key', key))),
      sha256: seen('sha256', (bytes) => suite.sha256(bytes)),
      hmac: seen('hmac', (key, bytes) => suite.hmac(key, bytes)),
      extract: seen('extract', (salt, material) => note('PRK', suite.extract(salt, material))),
      expand: seen('expand', (key, info, size) => note(labelOf(info), suite.expand(key, info, size))),
      equal: seen('equal', (a, b) => suite.equal(a, b)),
      crc32: seen('crc32', (...parts) => suite.crc32(...parts)),
      deflate: seen('deflate', (bytes) => suite.deflate(bytes)),
      inflate: seen('inflate', (bytes, limit) => suite.inflate(bytes, limit)),
      verifyP256: seen('verifyP256', (key, message, signature) => suite.verifyP256(key, message, signature)),
    },
  };
}

const labelOf = (info: Uint8Array): string => Buffer.from(info.subarray(8, 3 + (info[2] as number))).toString('latin1');

/** A server with room, that knows no session. */
export const openPort = (port: Partial<SessionsPort> = {}): SessionsPort => ({
  full: () => false,
  find: () => undefined,
  fresh: () => ({ id: SESSION_ID, ttl: 60 }),
  ...port,
});

export const newClient = (
  options: Partial<ClientOptions> = {},
  suite: Suite = nodeSuite,
  settings: Partial<HandshakeSettings> = {},
): ClientHandshake => new ClientHandshake(suite, { ...SETTINGS, ...settings }, { anonymous: true, ...options });

export const newServer = (
  options: Partial<ServerOptions> = {},
  suite: Suite = nodeSuite,
  settings: Partial<HandshakeSettings> = {},
): ServerHandshake => {
  const server = new ServerHandshake(
    suite,
    { ...SETTINGS, ...settings },
    { clientCertificate: options.judge === undefined ? 'none' : 'required', sessions: openPort(), ...options },
  );
  server.start(0, WALL);
  return server;
};

export const WALL: number = Date.parse('2030-06-15T12:00:00Z');

export interface Meeting {
  client: Secrets | undefined;
  server: Secrets | undefined;
  /** Who failed first, how, and what the other made of the ERROR. */
  readonly failures: { readonly who: 'client' | 'server'; readonly step: HandshakeStep & { kind: 'failed' } }[];
  readonly packets: { readonly from: 'client' | 'server'; readonly bytes: Uint8Array }[];
}

/** Lets them talk until nobody has anything to say. `edit` is the network: it sees the packet's place in the conversation. */
export function meet(
  client: ClientHandshake,
  server: ServerHandshake,
  edit: (bytes: Uint8Array, place: number) => Uint8Array = (bytes) => bytes,
): Meeting {
  const meeting: Meeting = { client: undefined, server: undefined, failures: [], packets: [] };
  const queue: { to: 'client' | 'server'; bytes: Uint8Array }[] = [{ to: 'server', bytes: client.start(0, WALL) }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { to, bytes } = next;
    meeting.packets.push({ from: to === 'server' ? 'client' : 'server', bytes });
    // The receiver's memory is used again at once: what it wants to keep it must copy.
    const lent = Buffer.from(edit(bytes.slice(), meeting.packets.length - 1));
    const step = (to === 'server' ? server : client).receive(lent);
    lent.fill(0xee);
    for (const answer of step.send) queue.push({ to: to === 'server' ? 'client' : 'server', bytes: answer });
    if (step.kind === 'done') meeting[to] = step.secrets;
    if (step.kind === 'failed') meeting.failures.push({ who: to, step });
  }
  return meeting;
}

/** A peer that is led by hand and has the right keys. */
export class Puppet {
  readonly role: 'client' | 'server';
  readonly suite: Suite = nodeSuite;
  readonly pair: KeyPair;
  readonly own: Own | undefined;
  said: Uint8Array[] = [SETTINGS.prologue];
  schedule: Schedule | undefined;
  send: Protector | undefined;
  receive: Protector | undefined;

  constructor(role: 'client' | 'server', own?: Own, scalar?: Uint8Array) {
    this.role = role;
    this.own = own;
    this.pair = nodeSuite.newPair(scalar);
  }

  auth(fields: Partial<PacketFields> = {}): Uint8Array {
    return clear({
      type: TYPE.auth,
      flags: FLAG.reliable | FLAG.checksum,
      sequence: 0,
      publicKey: this.pair.publicKey,
      certificate: this.own?.certificate,
      ...fields,
    });
  }

  /** Both AUTHs as they went over the wire. */
  agree(client: Uint8Array, server: Uint8Array): void {
    const theirs = readPacket(this.role === 'client' ? server : client, false).publicKey;
    this.said.push(client.slice(), server.slice());
    const z = this.pair.agree(theirs) as Uint8Array;
    this.schedule = deriveKeys(nodeSuite, transcriptHash(nodeSuite, ...this.said), z);
    const protector = ({ key, iv }: DirectionKeys): Protector => new Protector(nodeSuite, key, iv);
    const [c2s, s2c] = [protector(this.schedule.c2s), protector(this.schedule.s2c)];
    [this.send, this.receive] = this.role === 'client' ? [c2s, s2c] : [s2c, c2s];
  }

  /** The peer's FINISHED: its body belongs to what was said. */
  hear(finished: Uint8Array): Uint8Array {
    const body = this.open(finished);
    this.said.push(body);
    return body;
  }

  open(bytes: Uint8Array): Uint8Array {
    const packet = readPacket(bytes, true);
    const number = packet.initVector * 65536 + packet.sequence;
    const tsf = bytes.subarray(packet.tsfStart, packet.tsfEnd);
    const head = { type: packet.type, flags: packet.flags, number, tsf };
    const opened = openBody(this.receive as Protector, head, packet.checksum, packet.data);
    if (opened === undefined) throw new Error('a packet that does not open');
    return opened.body.slice();
  }

  /** The blocks of our FINISHED, as they should be but for `own`. */
  finished(resume?: Uint8Array, own: Own | undefined = this.own): Uint8Array {
    const { role, said, schedule } = this;
    const key = role === 'client' ? schedule?.c2sFinished : schedule?.s2cFinished;
    return writeFinished({ suite: nodeSuite, role, said, key: key as Uint8Array }, own, SETTINGS.params, resume);
  }

  /** An ACK number 1 for number 0, sealed, unless told otherwise. */
  seal(body: Uint8Array, fields: Partial<PacketFields> = {}, number = 1, checksum?: number): Uint8Array {
    const flags = this.role === 'client' ? FLAG.reliable | FLAG.encrypted : FLAG.encrypted;
    const all: PacketFields = {
      type: TYPE.ack,
      flags,
      ackId: 0,
      ackBits: 0,
      sequence: sequenceOf(number),
      initVector: vectorOf(number),
      ...fields,
    };
    const head = { type: all.type, flags: all.flags, number, tsf: writeTsf(all) };
    const sealed = sealBody(this.send as Protector, head, checksum ?? checksumOf(nodeSuite, head, body), body);
    return writePacket({ ...all, ...sealed });
  }
}

/** A packet in clear, with the right checksum if its flags want one. */
export function clear(fields: PacketFields): Uint8Array {
  const head = { type: fields.type, flags: fields.flags, number: fields.sequence, tsf: writeTsf(fields) };
  return writePacket({ checksum: checksumOf(nodeSuite, head, fields.data ?? NONE), ...fields });
}

export function readPacket(bytes: Uint8Array, keys: boolean): Packet {
  const packet = parsePacket(bytes, { secured: true, keys, open: false, maxCertificate: 65535 });
  if ('kind' in packet) throw new Error(`no packet: ${packet.code} ${packet.detail ?? ''}`);
  return packet;
}

/** The step is a failure of that code, told to the peer by one ERROR; sealed iff `puppet` is there to open it. */
export function fails(t: Test, step: HandshakeStep | undefined, code: PacketCode, name: string, puppet?: Puppet): void {
  if (step?.kind !== 'failed') {
    t.fail(`${name}: ${step?.kind ?? 'nothing'} instead of a failure`);
    return;
  }
  t.equal(step.fault.code, code, `${name}: ${code}, ${step.fault.detail ?? ''}`);
  t.notOk(step.theirs);
  t.equal(step.send.length, 1);
  const bytes = step.send[0] as Uint8Array;
  const packet = readPacket(bytes, puppet !== undefined);
  const { major, minor, phrase } = PACKET_CODES[code];
  const body = puppet === undefined ? packet.data : puppet.open(bytes);
  t.strictSame([packet.type, packet.major, packet.minor], [TYPE.error, major, minor], `${name}: the ERROR says so`);
  t.equal(Buffer.from(body).toString(), phrase, 'its text is fixed');
}

export const dont: PeerJudge = { judge: () => 'never good enough' };
