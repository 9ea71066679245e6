// The client's side of a handshake: AUTH, then the server's AUTH and FINISHED, then our FINISHED, then CONFIRM. Bytes in, packets and a
// verdict out; used once and thrown away. No clock (a tick brings it), no socket, no randomness but the suite's.
// PROTOCOL.md sections 6.1 to 6.6; resuming: 5.5.
import type { Own, PeerJudge, Verified } from '../crypto/identity.js';
import type { KeyPair, Suite } from '../crypto/suite.js';
import { type Params, parseBlocks, parseResumed, parseSession, RESUME_STATE_SIZE, writeResume } from './blocks.js';
import { type PacketCode, packetFault } from './codes.js';
import { Exchange, neverSent, tooLong } from './exchange.js';
import { type Finishing, hashOf, judgeFinished, writeFinished } from './finished.js';
import { ANONYMOUS, type HandshakeSettings, type HandshakeStep, type ResumeOffer } from './handshake.js';
import type { Packet } from './header.js';
import { binderOf, deriveKeys, deriveLate, eraseLate, type Late, proofOf, type Schedule } from './keys.js';
import { copyOf, sameOctets } from './octets.js';
import { transcriptHash } from './transcript.js';
import { FLAG, TYPE } from './wire.js';

export interface ClientOptions {
  readonly own?: Own;
  readonly judge?: PeerJudge;
  /** A server may show no certificate; without a judge the one it shows is not looked at. Section 6.6: open to a man in the middle. */
  readonly anonymous: boolean;
  readonly resume?: ResumeOffer;
}

const otherServer = packetFault('CONNECTION', 'who accepts the resume is not the server of the session');
const wrongConfirm = packetFault('CONNECTION', 'CONFIRM: SESSION and RESUMED are not what was asked');

/** Bits of an ACK that name numbers before any that were sent. */
const BEFORE_AUTH = 0xffff;
const BEFORE_FINISHED = 0x7fff;

export class ClientHandshake {
  readonly #exchange: Exchange;
  readonly #settings: HandshakeSettings;
  readonly #options: ClientOptions;
  #state: 'START' | 'WAIT_AUTH' | 'WAIT_FIN' | 'WAIT_CONFIRM' = 'START';
  #wall = 0;
  #pair: KeyPair | undefined;
  #schedule: Schedule | undefined;
  #late: Late | undefined;
  /** What a server that knows the session's secret says. */
  #proof: Uint8Array | undefined;
  #shown = false;
  #peer: Verified | undefined;
  #params: Params | undefined;
  /** Everything said so far: prologue, AUTH_C, AUTH_S, FIN_S. */
  #said: Uint8Array[] = [];
  #flight: readonly Uint8Array[] = [];
  /** The server's packets, to know them again when a datagram comes twice. */
  #seen: readonly Uint8Array[] = [];

  constructor(suite: Suite, settings: HandshakeSettings, options: ClientOptions) {
    if (options.judge === undefined && !options.anonymous) throw new TypeError('a judge, or anonymous');
    this.#exchange = new Exchange(suite, settings, 'client');
    this.#settings = settings;
    this.#options = options;
  }

  /** AUTH_C. `wall`: milliseconds since 1970, by which certificates are judged. */
  start(now: number, wall: number): Uint8Array {
    if (this.#state !== 'START') throw new TypeError('a handshake is started once');
    this.#exchange.start(now);
    this.#wall = wall;
    this.#pair = this.#exchange.keep(this.#exchange.suite.newPair());
    const packet = this.#exchange.auth(this.#pair.publicKey, this.#options.own?.certificate);
    this.#said = [this.#settings.prologue, copyOf(packet)];
    this.#flight = [packet];
    this.#state = 'WAIT_AUTH';
    return packet;
  }

  /** The bytes are only read during the call. */
  receive(bytes: Uint8Array): HandshakeStep {
    const read = this.#exchange.read(bytes);
    if (read.kind !== 'packet') return this.#settle(this.#hush(read));
    const { packet } = read;
    if (this.#exchange.datagram && this.#seen.some((seen) => sameOctets(seen, bytes))) {
      // Section 6.1: AUTH alone tells nothing new; FINISHED again asks for ours again.
      return this.#exchange.more(...(packet.type === TYPE.ack ? this.#flight : []));
    }
    return this.#settle(this.#hush(this.#take(packet)));
  }

  tick(now: number): HandshakeStep | undefined {
    const step = this.#exchange.tick(now);
    return step && this.#settle(this.#hush(step));
  }

  deadline(): number {
    return this.#exchange.deadline;
  }

  /** What is sent again when a datagram may be lost, octet by octet. */
  flight(): readonly Uint8Array[] {
    return this.#flight;
  }

  /** We end it. */
  fail(code: PacketCode, detail?: string): HandshakeStep {
    return this.#settle(this.#exchange.fail(packetFault(code, detail)));
  }

  /**
   * Once RESUME is out, the server may have gone on with the session, and its next number is not that of this handshake: our ERROR could end
   * what both ends are to keep. Whoever ends the session by `fail` means it.
   */
  #hush(step: HandshakeStep): HandshakeStep {
    const asked = this.#state === 'WAIT_CONFIRM' && this.#options.resume !== undefined;
    return asked && step.kind === 'failed' && !step.theirs ? { ...step, send: [], silent: true } : step;
  }

  /** Nothing of a handshake outlives it but what the session was given. */
  #settle(step: HandshakeStep): HandshakeStep {
    if (!this.#exchange.over) return step;
    if (step.kind === 'failed' && this.#late !== undefined) eraseLate(this.#late);
    this.#pair = undefined;
    this.#schedule = undefined;
    this.#late = undefined;
    this.#proof = undefined;
    this.#said = [];
    this.#seen = [];
    this.#flight = [];
    return step;
  }

  #take(packet: Packet): HandshakeStep {
    if (this.#state === 'WAIT_AUTH' && packet.type === TYPE.auth) return this.#takeAuth(packet);
    if (packet.type === TYPE.ack) {
      if (this.#state === 'WAIT_FIN' && packet.ackId === 0) return this.#takeFinished(packet);
      if (this.#state === 'WAIT_CONFIRM' && packet.ackId === 1) return this.#takeConfirm(packet);
    }
    return this.#exchange.unexpected(packet);
  }

  #takeAuth(packet: Packet): HandshakeStep {
    const exchange = this.#exchange;
    const pair = this.#pair as KeyPair;
    const agreed = exchange.agree(packet, pair);
    if (agreed.kind === 'packet-fault') return exchange.reject(agreed, packet.bytes);
    const wrong = this.#judge(packet.certificate);
    if (wrong !== undefined) return exchange.fail(packetFault('CERTIFICATE_INVALID', wrong));
    const auth = copyOf(packet.bytes);
    this.#said.push(auth);
    this.#seen = [auth];
    const schedule = deriveKeys(exchange.suite, transcriptHash(exchange.suite, ...this.#said), agreed.z);
    for (const secret of [schedule.prk, schedule.c2sFinished, schedule.s2cFinished]) exchange.keep(secret);
    exchange.secure(schedule.c2s, schedule.s2c);
    pair.erase();
    this.#schedule = schedule;
    this.#state = 'WAIT_FIN';
    return exchange.more();
  }

  /** Section 6.6; what is wrong. */
  #judge(certificate: Uint8Array | undefined): string | undefined {
    const { judge, anonymous } = this.#options;
    this.#shown = certificate !== undefined;
    if (certificate === undefined) return anonymous ? undefined : 'the server shows no certificate';
    if (judge === undefined) return undefined;
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
    if ((packet.ackBits & BEFORE_AUTH) !== 0) return exchange.fail(neverSent);
    const theirs: Finishing = { suite, role: 'server', said: this.#said, key: schedule.s2cFinished };
    const finished = judgeFinished(theirs, opened.body, this.#shown, this.#peer);
    if (finished.kind === 'packet-fault') return exchange.fail(finished);
    this.#params = finished.params;
    this.#said.push(copyOf(opened.body));
    const ours: Finishing = { suite, role: 'client', said: this.#said, key: schedule.c2sFinished };
    const body = writeFinished(ours, this.#options.own, this.#settings.params, this.#resume(ours));
    const answer = exchange.ack(0, 0, FLAG.reliable, body);
    if (answer === undefined) return exchange.fail(tooLong);
    const h5 = transcriptHash(suite, ...this.#said, body);
    this.#late = deriveLate(suite, schedule.prk, h5);
    const { resume } = this.#options;
    this.#proof = resume && proofOf(suite, resume.binderKey, h5);
    this.#seen = [...this.#seen, copyOf(packet.bytes)];
    this.#flight = [answer];
    this.#state = 'WAIT_CONFIRM';
    return exchange.more(answer);
  }

  /** Section 6.5: the block RESUME. */
  #resume(ours: Finishing): Uint8Array | undefined {
    const { resume } = this.#options;
    if (resume === undefined) return undefined;
    const state = resume.state();
    if (state.length !== RESUME_STATE_SIZE) throw new RangeError(`a resume state of ${state.length} octets`);
    return writeResume({ id: resume.id, binder: binderOf(ours.suite, resume.binderKey, hashOf(ours)), state });
  }

  #takeConfirm(packet: Packet): HandshakeStep {
    const exchange = this.#exchange;
    const opened = exchange.open(packet);
    if (opened.kind === 'packet-fault') return exchange.reject(opened, packet.bytes);
    if ((packet.ackBits & BEFORE_FINISHED) !== 0) return exchange.fail(neverSent);
    const blocks = parseBlocks(opened.body, 'CONFIRM');
    if (blocks.kind === 'packet-fault') return exchange.fail(blocks);
    const { resume } = this.#options;
    const resumed = blocks.resumed && parseResumed(blocks.resumed);
    // Section 6.5: RESUMED answers RESUME, and what is not resumed is a fresh session.
    if ((resume === undefined) !== (blocks.resumed === undefined)) return exchange.fail(wrongConfirm);
    if (blocks.resumed !== undefined && resumed === undefined) return exchange.fail(wrongConfirm);
    if ((resumed?.accepted === true) === (blocks.session !== undefined)) return exchange.fail(wrongConfirm);
    if (resume !== undefined && resumed?.accepted === true) {
      if (!this.#isSame(resume, blocks.proof)) return exchange.fail(otherServer);
      if (!resume.accepts(resumed.state))
        return exchange.fail(packetFault('CONNECTION', 'the resume state is inconsistent'));
    }
    const late = this.#late as Late;
    const session = blocks.session && parseSession(blocks.session);
    return exchange.done([], {
      exporter: late.exporter,
      binderKey: late.binderKey,
      packageKeys: { c2s: late.packageC2s, s2c: late.packageS2c },
      sessionId: session?.id ?? (resume as ResumeOffer).id,
      ttl: session?.ttl,
      resumed: resumed?.accepted === true ? resumed.state : undefined,
      refused: resumed?.accepted === false,
      identity: this.#identity,
      peer: this.#peer,
      params: this.#params,
    });
  }

  get #identity(): string {
    return this.#peer?.fingerprint ?? ANONYMOUS;
  }

  /** Section 5.5: the server's certificate tells, and where nobody looked at one, that it knows the secret. */
  #isSame(resume: ResumeOffer, proof: Uint8Array | undefined): boolean {
    if (resume.identity !== this.#identity) return false;
    if (proof === undefined) return this.#peer !== undefined;
    return this.#exchange.suite.equal(proof, this.#proof as Uint8Array);
  }
}
