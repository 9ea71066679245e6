// One case on one open connection, as a machine: bytes and ticks in, writes and the next deadline out, a verdict at the end. It
// plays the plan through the strict peer and notes what comes back. Owns no socket, no clock and no timer.
import type { Case, CaseResult, Expected, Step } from './case.js';
import { Codec, type CodecTerms } from './codec.js';
import { messageOf } from './data.js';
import { gradeCase, type Seen } from './grade.js';
import type { Write } from './outbox.js';
import { Peer, type PeerSink } from './peer.js';

interface Timer {
  readonly at: number;
  readonly otherwise: 'fail' | 'close';
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0;

export class CaseRun implements PeerSink {
  readonly test: Case;
  readonly peer: Peer;
  /** Compression was agreed on for this connection. */
  readonly #compressed: boolean;
  readonly #seen: Seen[] = [];
  readonly #wanted: readonly (Uint8Array | undefined)[];
  #timers: Timer[] = [];
  #next = 0; // step to play next
  #waiting = Infinity;
  #tag: string | undefined;
  #sent: Uint8Array = new Uint8Array(0); // what has to come back in rounds
  #round = 0;
  /** Set where the plan itself decides; a script is graded by its events at the end. */
  #decided: 'OK' | 'FAILED' | 'UNIMPLEMENTED' | undefined;
  #why: string | undefined;
  #opened = 0;

  constructor(test: Case, role: 'client' | 'server', key: () => number, terms?: CodecTerms) {
    this.test = test;
    this.#compressed = terms !== undefined;
    this.peer = new Peer(role, this, key, terms === undefined ? undefined : new Codec(terms));
    const { plan } = test;
    this.#wanted = plan.kind === 'script' ? plan.ok.map((e) => ('payload' in e ? e.payload.bytes() : undefined)) : [];
  }

  /** The opening handshake is done: the plan starts. */
  open(now: number): void {
    this.#opened = now;
    this.peer.log.open(now);
    const { plan } = this.test;
    if (plan.kind === 'script') {
      this.#play(now);
      return;
    }
    if (plan.kind === 'deflate' && !this.#compressed) {
      this.#decide('UNIMPLEMENTED', 'compression was not agreed on');
      this.peer.close(1000, '', now);
      return;
    }
    this.#timers.push({ at: now + plan.ms, otherwise: 'close' });
    if (plan.kind === 'big') this.#step(plan.step, now);
    else this.#sendRound(now);
  }

  receive(bytes: Uint8Array, now: number): void {
    this.peer.receive(bytes, now);
  }

  /** TCP is gone, from the other side. */
  end(now: number): void {
    this.peer.end(now);
  }

  get finished(): boolean {
    return this.peer.state === 'gone';
  }

  takeWrites(): Write[] {
    return this.peer.takeWrites();
  }

  deadline(): number {
    if (this.finished) return Infinity;
    let at = Math.min(this.peer.deadline(), this.#waiting);
    for (const timer of this.#timers) at = Math.min(at, timer.at);
    return at;
  }

  tick(now: number): void {
    this.peer.tick(now);
    if (now >= this.#waiting) this.#waited(now);
    const due = this.#timers.filter((t) => now >= t.at);
    if (due.length === 0) return;
    this.#timers = this.#timers.filter((t) => now < t.at);
    for (const timer of due) this.#fire(timer, now);
  }

  #fire(timer: Timer, now: number): void {
    if (timer.otherwise === 'close') {
      if (this.peer.state === 'open') {
        this.peer.log.note('time is up: closing', now);
        this.peer.complaint ??= 'the time of the case was up';
      }
      this.peer.close(undefined, '', now);
    } else this.peer.fail(1001, 'Going Away', 'the time of the case was up', now);
  }

  #waited(now: number): void {
    this.#waiting = Infinity;
    if (this.#tag === undefined) {
      if (!this.finished) this.#play(now);
      return;
    }
    if (this.peer.state !== 'open') return;
    this.#note({ event: 'timeout', tag: this.#tag }, now);
    this.#play(now);
  }

  #play(now: number): void {
    const { plan } = this.test;
    if (plan.kind !== 'script') return;
    while (this.#next < plan.steps.length && this.#waiting === Infinity) {
      this.#step(plan.steps[this.#next++] as Step, now);
    }
  }

  #step(step: Step, now: number): void {
    const { peer } = this;
    switch (step.do) {
      case 'frame':
        peer.sendFrame(step, step.payload.bytes(), now, step.chop, step.alone);
        break;
      case 'message':
        peer.sendMessage(step.binary, step.payload.bytes(), step.fragment, now);
        break;
      case 'header':
        peer.sendHeader({ opcode: step.opcode, fin: step.fin, rsv: 0 }, step.length, now);
        break;
      case 'bytes':
        peer.sendBytes(step.payload.bytes(), now);
        break;
      case 'close':
        peer.sendClose(step.payload.bytes(), now);
        break;
      case 'wait':
        this.#waiting = now + step.ms;
        this.#tag = step.tag;
        break;
      case 'timer':
        this.#timers.push({ at: now + step.ms, otherwise: step.otherwise });
        break;
    }
  }

  message(binary: boolean, payload: Uint8Array, now: number): void {
    const { plan } = this.test;
    if (plan.kind === 'script') {
      this.#note({ event: binary ? 'binary' : 'text', payload }, now);
      this.#closeWhenDone(now);
      return;
    }
    if (this.#decided !== undefined) return;
    const wrongType =
      binary !== plan.binary
        ? `${binary ? 'binary' : 'text'} came back instead of ${plan.binary ? 'binary' : 'text'}`
        : '';
    if (plan.kind === 'big') {
      const right = wrongType === '' && payload.length === plan.length;
      this.#decide(right ? 'OK' : 'FAILED', wrongType || `a message of ${payload.length} bytes came back`);
      this.peer.close(1000, '', now);
      return;
    }
    // What comes back must be what was sent: its length for plain rounds, every byte for compressed ones.
    const right = plan.kind === 'rounds' ? payload.length === this.#sent.length : sameBytes(payload, this.#sent);
    if (wrongType !== '' || !right) {
      const other = payload.length === this.#sent.length ? 'other bytes' : `${payload.length} bytes`;
      this.#decide(
        'FAILED',
        wrongType || `message ${this.#round} of ${plan.count}: ${other} came back for ${this.#sent.length}`,
      );
      this.peer.close(1000, '', now);
    } else if (this.#round === plan.count) {
      this.#decide('OK', `all ${plan.count} messages came back`);
      this.peer.close(1000, '', now);
    } else this.#sendRound(now);
  }

  pong(payload: Uint8Array, now: number): void {
    if (this.test.plan.kind !== 'script') return;
    this.#note({ event: 'pong', payload }, now);
    this.#closeWhenDone(now);
  }

  #sendRound(now: number): void {
    const { plan } = this.test;
    if (plan.kind === 'rounds') {
      if (this.#round === 0) this.#sent = plan.payload.bytes();
      this.peer.sendMessage(plan.binary, this.#sent, 0, now);
    } else if (plan.kind === 'deflate') {
      this.#sent = messageOf(plan.data, plan.size, this.#round);
      this.peer.sendMessage(plan.binary, this.#sent, plan.fragment, now);
    }
    this.#round++;
  }

  #decide(behavior: 'OK' | 'FAILED' | 'UNIMPLEMENTED', why: string): void {
    this.#decided = behavior;
    this.#why = why;
  }

  #note(seen: Seen, now: number): void {
    this.#seen.push(seen);
    if (seen.event === 'timeout') this.peer.log.note(`timeout ${seen.tag ?? ''}`, now);
  }

  /** Everything expected is there and closing is ours: the closing handshake starts at once. */
  #closeWhenDone(now: number): void {
    const { plan, close, hold } = this.test;
    if (plan.kind !== 'script' || hold || close.first !== 'fuzzer' || plan.lax !== undefined) return;
    if (this.matches(plan.ok)) this.peer.close(close.codes[0], '', now);
  }

  matches(list: readonly Expected[]): boolean {
    if (list.length !== this.#seen.length) return false;
    return list.every((expected, i) => {
      const seen = this.#seen[i] as Seen;
      if (expected.event !== seen.event) return false;
      if (expected.event === 'timeout') return expected.tag === seen.tag;
      const { plan } = this.test;
      const bytes = plan.kind === 'script' && plan.ok === list ? this.#wanted[i] : expected.payload.bytes();
      return bytes !== undefined && seen.payload !== undefined && sameBytes(bytes, seen.payload);
    });
  }

  /** To be asked once, after TCP is gone. */
  result(now: number): CaseResult {
    const { plan } = this.test;
    const { behavior, behaviorClose, expected, seen, verdict } = gradeCase({
      test: this.test,
      peer: this.peer,
      seen: this.#seen,
      matched:
        plan.kind !== 'script'
          ? (this.#decided ?? 'FAILED')
          : this.matches(plan.ok)
            ? 'OK'
            : plan.lax !== undefined && this.matches(plan.lax)
              ? 'NON-STRICT'
              : 'FAILED',
      why: this.#why,
      round: this.#round,
    });
    const { id, section, family, title, script } = this.test;
    return {
      id,
      section,
      family,
      title,
      script,
      behavior,
      behaviorClose,
      verdict,
      expected,
      seen,
      closeCode: this.peer.closeCode,
      durationMs: now - this.#opened,
      wire: this.peer.log.entries(),
    };
  }
}
