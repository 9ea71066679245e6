// The server's side of a handshake: the client's AUTH, our AUTH and FINISHED, the client's FINISHED, CONFIRM. Bytes in, packets and a verdict
// out; used once and thrown away. Asks whether there is room before it computes anything. No clock, no socket, no randomness but the
// suite's. PROTOCOL.md sections 6.1 to 6.6; resuming: 5.5.
import type { Own, PeerJudge, Verified } from '../crypto/identity.js';
import type { KeyPair, Suite } from '../crypto/suite.js';
import {
  type Blocks,
  parseResume,
  RESUME_STATE_SIZE,
  type Resume,
  writeBlocks,
  writeResumed,
  writeSession,
} from './blocks.js';
import { type PacketCode, type PacketFault, packetFault } from './codes.js';
import { Exchange, neverSent, tooLong } from './exchange.js';
import { type Finishing, hashOf, judgeFinished, writeFinished } from './finished.js';
import {
  ANONYMOUS,
  type Detached,
  type HandshakeSettings,
  type HandshakeStep,
  type SessionsPort,
} from './handshake.js';
import type { Packet } from './header.js';
import { binderOf, deriveKeys, deriveLate, proofOf, type Schedule } from './keys.js';
import { copyOf, sameOctets } from './octets.js';
import { transcriptHash } from './transcript.js';
import { FLAG, TYPE } from './wire.js';

export interface ServerOptions {
  readonly own?: Own;
  readonly judge?: PeerJudge;
  /** `none`: a certificate nobody would look at is refused. */
  readonly clientCertificate: 'none' | 'optional' | 'required';
  readonly sessions: SessionsPort;
}

/** What CONFIRM says. */
interface Grant {
  readonly kind: 'grant';
  readonly body: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly ttl: number | undefined;
  readonly resumed: Uint8Array | undefined;
  readonly refused: boolean;
}

/** The AUTH before it was number 0, and FINISHED is number 1. */
const CONFIRM_BITS = 0x8000;
const NO_KEY = new Uint8Array(32);

export class ServerHandshake {
  readonly #exchange: Exchange;
  readonly #settings: HandshakeSettings;
  readonly #options: ServerOptions;
  #state: 'START' | 'WAIT_AUTH' | 'WAIT_FIN' = 'START';
  #wall = 0;
  #pair: KeyPair | undefined;
  #schedule: Schedule | undefined;
  #shown = false;
  #peer: Verified | undefined;
  /** Everything said so far: prologue, AUTH_C, AUTH_S, FIN_S. */
  #said: Uint8Array[] = [];
  #flight: readonly Uint8Array[] = [];
  /** The client's last packet, to know it again when a datagram comes twice. */
  #seen: Uint8Array | undefined;

  constructor(suite: Suite, settings: HandshakeSettings, options: ServerOptions) {
    if (options.judge === undefined && options.clientCertificate !== 'none') {
      throw new TypeError("a judge, or clientCertificate 'none'");
    }
    this.#exchange = new Exchange(suite, settings, 'server');
    this.#settings = settings;
    this.#options = options;
  }

  /** The connection is there. `wall`: milliseconds since 1970, by which certificates are judged. */
  start(now: number, wall: number): void {
    if (this.#state !== 'START') throw new TypeError('a handshake is started once');
    this.#exchange.start(now);
    this.#wall = wall;
    this.#state = 'WAIT_AUTH';
  }

  /** The bytes are only read during the call. */
  receive(bytes: Uint8Array): HandshakeStep {
    if (!this.#exchange.over && this.repeats(bytes)) return this.#exchange.more(...this.#flight);
    const read = this.#exchange.read(bytes);
    return this.#settle(read.kind === 'packet' ? this.#take(read.packet) : read);
  }

  tick(now: number): HandshakeStep | undefined {
    const step = this.#exchange.tick(now);
    return step && this.#settle(step);
  }

  deadline(): number {
    return this.#exchange.deadline;
  }

  /** What is sent again when a datagram may be lost, octet by octet; after the end: CONFIRM. */
  flight(): readonly Uint8Array[] {
    return this.#flight;
  }

  /** Datagram, also after the end: the client's last packet once more, so our flight was lost. Section 6.1: keys are never made twice. */
  repeats(bytes: Uint8Array): boolean {
    return this.#exchange.datagram && this.#seen !== undefined && sameOctets(this.#seen, bytes);
  }

  /** We end it. */
  fail(code: PacketCode, detail?: string): HandshakeStep {
    return this.#settle(this.#exchange.fail(packetFault(code, detail)));
  }

  /** Nothing of a handshake outlives it but what the session was given, and CONFIRM where it may be lost. */
  #settle(step: HandshakeStep): HandshakeStep {
    if (!this.#exchange.over) return step;
    this.#pair = undefined;
    this.#schedule = undefined;
    this.#said = [];
    if (step.kind !== 'failed' && this.#exchange.datagram) return step;
    this.#seen = undefined;
    this.#flight = [];
    return step;
  }

  #take(packet: Packet): HandshakeStep {
    if (this.#state === 'WAIT_AUTH' && packet.type === TYPE.auth) return this.#takeAuth(packet);
    const finished = packet.type === TYPE.ack && packet.ackId === 0 && (packet.flags & FLAG.reliable) !== 0;
    if (this.#state === 'WAIT_FIN' && finished) return this.#takeFinished(packet);
    return this.#exchange.unexpected(packet);
  }

  #takeAuth(packet: Packet): HandshakeStep {
    const exchange = this.#exchange;
    const { suite } = exchange;
    const { own, sessions } = this.#options;
    // Section 7, code 1.1: before any crypto.
    if (sessions.full()) return exchange.fail(noSpace);
    this.#pair ??= exchange.keep(suite.newPair());
    const pair = this.#pair;
    const agreed = exchange.agree(packet, pair);
    if (agreed.kind === 'packet-fault') return exchange.reject(agreed, packet.bytes);
    const wrong = this.#judge(packet.certificate);
    if (wrong !== undefined) return exchange.fail(packetFault('CERTIFICATE_INVALID', wrong));
    const theirs = copyOf(packet.bytes);
    const auth = exchange.auth(pair.publicKey, own?.certificate);
    this.#said = [this.#settings.prologue, theirs, copyOf(auth)];
    const schedule = deriveKeys(suite, transcriptHash(suite, ...this.#said), agreed.z);
    for (const secret of [schedule.prk, schedule.c2sFinished, schedule.s2cFinished]) exchange.keep(secret);
    exchange.secure(schedule.s2c, schedule.c2s);
    pair.erase();
    const ours: Finishing = { suite, role: 'server', said: this.#said, key: schedule.s2cFinished };
    const body = writeFinished(ours, own, this.#settings.params);
    const finished = exchange.ack(0, 0, 0, body);
    if (finished === undefined) return exchange.fail(tooLong);
    this.#said.push(body);
    this.#schedule = schedule;
    this.#seen = theirs;
    this.#flight = [auth, finished];
    this.#state = 'WAIT_FIN';
    return exchange.more(auth, finished);
  }

  /** Section 6.6; what is wrong. */
  #judge(certificate: Uint8Array | undefined): string | undefined {
    const { judge, clientCertificate } = this.#options;
    this.#shown = certificate !== undefined;
    if (certificate === undefined) {
      return clientCertificate === 'required' ? 'the client shows no certificate' : undefined;
    }
    if (judge === undefined || clientCertificate === 'none') return 'nobody asked for a certificate';
    const verdict = judge.judge(copyOf(certificate), this.#wall);
    if (typeof verdict === 'string') return verdict;
    this.#peer = verdict;
    return undefined;
  }

  #takeFinished(packet: Packet): HandshakeStep {
    const exchange = this.#exchange;
    const { suite } = exchange;
    const schedule = this.#schedule as Schedule;
    const opened = exchange.open(packet, 'FINISH_INVALID');
    if (opened.kind === 'packet-fault') return exchange.reject(opened, packet.bytes);
    // Our AUTH was number 0: nothing lies before it.
    if (packet.ackBits !== 0) return exchange.fail(neverSent);
    const theirs: Finishing = { suite, role: 'client', said: this.#said, key: schedule.c2sFinished };
    const finished = judgeFinished(theirs, opened.body, this.#shown, this.#peer);
    if (finished.kind === 'packet-fault') return exchange.fail(finished);
    const h5 = transcriptHash(suite, ...this.#said, opened.body);
    const grant = this.#grant(finished.blocks, hashOf(theirs), h5);
    if (grant.kind === 'packet-fault') return exchange.fail(grant);
    const confirm = exchange.ack(1, CONFIRM_BITS, 0, grant.body) as Uint8Array;
    const late = deriveLate(suite, schedule.prk, h5);
    this.#seen = copyOf(packet.bytes);
    this.#flight = [confirm];
    return exchange.done([confirm], {
      exporter: late.exporter,
      binderKey: late.binderKey,
      packageKeys: { c2s: late.packageC2s, s2c: late.packageS2c },
      sessionId: grant.sessionId,
      ttl: grant.ttl,
      resumed: grant.resumed,
      refused: grant.refused,
      identity: this.#identity,
      peer: this.#peer,
      params: finished.params,
    });
  }

  get #identity(): string {
    return this.#peer?.fingerprint ?? ANONYMOUS;
  }

  /** Section 5.5: goes on with the session the client names, or makes a fresh one. */
  #grant(blocks: Blocks, h3: Uint8Array, h5: Uint8Array): Grant | PacketFault {
    const { sessions } = this.#options;
    const resume = blocks.resume && parseResume(blocks.resume);
    const found = resume && this.#find(resume, h3);
    if (resume !== undefined && found !== undefined) {
      const state = found.detached.accepts(copyOf(resume.state), found.binderKey);
      if (state === undefined) return packetFault('CONNECTION', 'the session cannot go on');
      if (state.length !== RESUME_STATE_SIZE) throw new RangeError(`a resume state of ${state.length} octets`);
      const proof = proofOf(this.#exchange.suite, found.binderKey, h5);
      const body = writeBlocks({ resumed: writeResumed({ accepted: true, state }), proof });
      const { id } = resume;
      return {
        kind: 'grant',
        body,
        sessionId: copyOf(id),
        ttl: undefined,
        resumed: copyOf(resume.state),
        refused: false,
      };
    }
    const session = sessions.fresh();
    if (session === undefined) return noSpace;
    const refused = resume !== undefined;
    const body = writeBlocks({
      session: writeSession(session),
      resumed: refused ? writeResumed({ accepted: false, state: new Uint8Array(0) }) : undefined,
    });
    return { kind: 'grant', body, sessionId: session.id, ttl: session.ttl, resumed: undefined, refused };
  }

  /** The session of that id, if it is this client's: same identity, same prologue, and the binder. All or nothing is told. */
  #find(resume: Resume, h3: Uint8Array): { readonly detached: Detached; readonly binderKey: Uint8Array } | undefined {
    const { suite } = this.#exchange;
    const detached = this.#options.sessions.find(copyOf(resume.id));
    // An unknown id costs as much as a wrong binder.
    const keys = detached?.binderKeys ?? [NO_KEY];
    let binderKey: Uint8Array | undefined;
    for (const key of keys) if (suite.equal(binderOf(suite, key, h3), resume.binder)) binderKey = key;
    if (detached === undefined || binderKey === undefined || detached.identity !== this.#identity) return undefined;
    return sameOctets(detached.prologue, this.#settings.prologue) ? { detached, binderKey } : undefined;
  }
}

const noSpace: PacketFault = packetFault('NO_SPACE');
