// The packets of one handshake, the same for both roles: reads the peer's next one (form, number, seal, checksum, in the order of section 7),
// writes AUTH and the sealed ACKs with their numbers, ends with an ERROR, and forgets every secret at the end. Which packet may come
// when is the two machines' business. PROTOCOL.md sections 3.4, 5.1, 6.1, 6.2 and 7.
import type { KeyPair, Suite } from '../crypto/suite.js';
import { type PacketFault, packetFault } from './codes.js';
import { errorPacket, faultOfError, isError } from './error-packet.js';
import type { HandshakeSettings, HandshakeStep, Secrets } from './handshake.js';
import { type Packet, parsePacket } from './header.js';
import { type DirectionKeys, erase } from './keys.js';
import { nearest, numberOf, sequenceOf, vectorOf } from './number.js';
import { sameOctets } from './octets.js';
import { checksumOf, type Head, openBody, Protector, sealBody } from './protect.js';
import { FLAG, KEY_SIZE, MAX_DATA, TAG, TYPE } from './wire.js';
import { writePacket, writeTsf } from './write.js';

type Read = { readonly kind: 'packet'; readonly packet: Packet } | HandshakeStep;
type Opened = { readonly kind: 'opened'; readonly body: Uint8Array } | PacketFault;
type Agreed = { readonly kind: 'agreed'; readonly z: Uint8Array } | PacketFault;

const NOTHING: HandshakeStep = { kind: 'more', send: [] };

export class Exchange {
  readonly suite: Suite;
  readonly datagram: boolean;
  readonly #settings: HandshakeSettings;
  readonly #server: boolean;
  readonly #kept: (Uint8Array | KeyPair)[] = [];
  #send: Protector | undefined;
  #receive: Protector | undefined;
  #nextSend = 0;
  #nextReceive = 0;
  #deadline = Number.POSITIVE_INFINITY;
  #over = false;

  constructor(suite: Suite, settings: HandshakeSettings, role: 'client' | 'server') {
    this.suite = suite;
    this.datagram = settings.profile === 'datagram';
    this.#settings = settings;
    this.#server = role === 'server';
  }

  get over(): boolean {
    return this.#over;
  }

  get deadline(): number {
    return this.#deadline;
  }

  start(now: number): void {
    this.#deadline = now + this.#settings.timeout;
  }

  /** Section 6.1: any state but OPEN, 10 s passed. */
  tick(now: number): HandshakeStep | undefined {
    return now < this.#deadline ? undefined : this.fail(packetFault('CONNECTION', 'timeout'));
  }

  /** To be erased when the handshake ends, however it ends. */
  keep<Secret extends Uint8Array | KeyPair>(secret: Secret): Secret {
    this.#kept.push(secret);
    return secret;
  }

  /** From here on ACKs and our ERRORs are sealed. The schedule's own copies are kept for erasure. */
  secure(send: DirectionKeys, receive: DirectionKeys): void {
    this.#send = new Protector(this.suite, send.key, send.iv);
    this.#receive = new Protector(this.suite, receive.key, receive.iv);
    erase(send.key, send.iv, receive.key, receive.iv);
  }

  /** Section 7 steps 1 to 8; an ERROR ends here. */
  read(bytes: Uint8Array): Read {
    if (this.#over) return NOTHING;
    const packet = parsePacket(bytes, {
      secured: true,
      keys: this.#receive !== undefined,
      open: false,
      // Section 2.3: RELIABLE stands on one ACK only, the client's FINISHED.
      finished: this.#server,
      maxCertificate: this.#settings.maxCertificate,
    });
    if ('kind' in packet) return this.reject(packet, bytes);
    if (packet.type !== TYPE.error) return { kind: 'packet', packet };
    const opened = this.open(packet);
    if (opened.kind === 'packet-fault') return this.reject(opened, bytes);
    const fault = faultOfError(packet, opened.body);
    this.#end();
    return { kind: 'failed', send: [], fault, theirs: true, sealed: (packet.flags & FLAG.encrypted) !== 0 };
  }

  /** The peer's AUTH: section 6.2 (step 9), its number and its checksum. The X coordinate of the shared point. */
  agree(packet: Packet, pair: KeyPair): Agreed {
    const { publicKey } = packet;
    if (publicKey.length !== KEY_SIZE) return packetFault('CONNECTION', `a key of ${publicKey.length} octets`);
    // A key of ours that comes back: whoever sends it need not know anything.
    if (sameOctets(publicKey, pair.publicKey)) return packetFault('CONNECTION', 'our own key');
    const z = pair.agree(publicKey);
    if (z === undefined) return packetFault('CONNECTION', 'the key is not a point of the curve');
    const opened = this.open(packet);
    if (opened.kind === 'opened') return { kind: 'agreed', z: this.keep(z) };
    erase(z);
    return opened;
  }

  /** Section 7 steps 10, 11, 12 and 14; `tag`: what a wrong tag means. */
  open(packet: Packet, tag: 'INIT_VECTOR' | 'FINISH_INVALID' = 'INIT_VECTOR'): Opened {
    const { type, flags } = packet;
    const sealed = (flags & FLAG.encrypted) !== 0;
    const next = this.#nextReceive;
    const number = sealed ? numberOf(packet.initVector, packet.sequence) : nearest(packet.sequence, next);
    // Section 5.1. A datagram that overtakes others may be an ERROR all the same.
    if (number !== next && !(this.datagram && type === TYPE.error)) {
      const vector = sealed && packet.initVector !== vectorOf(next);
      return packetFault(vector ? 'INIT_VECTOR' : 'SEQUENCE_ID', `number ${number}, not ${next}`);
    }
    const head: Head = { type, flags, number, tsf: packet.bytes.subarray(packet.tsfStart, packet.tsfEnd) };
    let body = packet.data;
    let checksum = packet.checksum;
    if (sealed) {
      const opened = openBody(this.#receive as Protector, head, checksum, body);
      if (opened === undefined) return packetFault(tag, 'the tag does not match');
      ({ body, checksum } = opened);
    }
    if ((flags & FLAG.checksum) !== 0 && checksum !== checksumOf(this.suite, head, body)) {
      return packetFault('CHECKSUM');
    }
    this.#nextReceive = next + 1;
    return { kind: 'opened', body };
  }

  /** Our AUTH, number 0. */
  auth(publicKey: Uint8Array, certificate: Uint8Array | undefined): Uint8Array {
    const checked = this.#settings.checksum !== false;
    const flags = FLAG.reliable | (checked ? FLAG.checksum : 0);
    const number = this.#nextSend++;
    const fields = { type: TYPE.auth, flags, sequence: sequenceOf(number), publicKey, certificate };
    const head = { type: TYPE.auth, flags, number, tsf: writeTsf(fields) };
    return writePacket({ ...fields, checksum: checked ? checksumOf(this.suite, head, new Uint8Array(0)) : 0 });
  }

  /** FINISHED or CONFIRM; undefined when the blocks are more than one packet holds. */
  ack(ackId: number, ackBits: number, flags: number, body: Uint8Array): Uint8Array | undefined {
    if (body.length > MAX_DATA - TAG) return undefined;
    const number = this.#nextSend++;
    const fields = { type: TYPE.ack, flags: flags | FLAG.encrypted, sequence: sequenceOf(number), ackId, ackBits };
    const head = { type: TYPE.ack, flags: fields.flags, number, tsf: writeTsf(fields) };
    const { data } = sealBody(this.#send as Protector, head, 0, body);
    return writePacket({ ...fields, initVector: vectorOf(number), data });
  }

  more(...send: readonly Uint8Array[]): HandshakeStep {
    return { kind: 'more', send };
  }

  /** Section 6.1: what the state does not list. */
  unexpected(packet: Packet): HandshakeStep {
    return this.reject(packetFault('CONNECTION', 'the state does not expect this packet'), packet.bytes);
  }

  /** A fault in what nobody vouches for yet. Section 7: datagrams are passed over, a stream is at its end. */
  reject(fault: PacketFault, bytes: Uint8Array): HandshakeStep {
    if (this.datagram) return { kind: 'more', send: [], dropped: fault };
    if (!isError(bytes)) return this.fail(fault);
    this.#end();
    return { kind: 'failed', send: [], fault, theirs: false, sealed: false };
  }

  /** Ends it with our ERROR. */
  fail(fault: PacketFault): HandshakeStep {
    if (this.#over) return NOTHING;
    const checksum = this.#settings.checksum !== false;
    const packet = errorPacket(this.suite, this.#send, this.#nextSend, fault.code, undefined, checksum);
    this.#end();
    return { kind: 'failed', send: [packet], fault, theirs: false, sealed: false };
  }

  /** Section 6.4: everything but what the session is given is erased. */
  done(
    send: readonly Uint8Array[],
    rest: Omit<Secrets, 'send' | 'receive' | 'nextSend' | 'nextReceive'>,
  ): HandshakeStep {
    const secrets: Secrets = {
      ...rest,
      send: this.#send as Protector,
      receive: this.#receive as Protector,
      nextSend: this.#nextSend,
      nextReceive: this.#nextReceive,
    };
    this.#send = undefined;
    this.#receive = undefined;
    this.#end();
    return { kind: 'done', send, secrets };
  }

  #end(): void {
    this.#over = true;
    this.#deadline = Number.POSITIVE_INFINITY;
    for (const secret of this.#kept.splice(0)) {
      if ('agree' in secret) secret.erase();
      else erase(secret);
    }
    this.#send?.erase();
    this.#receive?.erase();
    this.#send = undefined;
    this.#receive = undefined;
  }
}

/** Section 7 step 11: the peer acknowledges what it cannot have got. */
export const neverSent: PacketFault = packetFault('SEQUENCE_ID', 'an ACK of a number that was never sent');

/** Our own fault: RSA beyond 4096 bits. */
export const tooLong: PacketFault = packetFault('CERTIFICATE_INVALID', 'our signature does not fit into one packet');
