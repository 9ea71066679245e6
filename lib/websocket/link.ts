// One open connection inside: joins the machine, the inbox and the sending half with a wire, and keeps the promises of the API: back-pressure,
// pings that resolve, one outcome. The wire is given: a socket's driver, or a pair in memory. What users see is connection.ts.
// RFC 6455 sections 5.5 and 7.
import { type Fault, type FaultCode, fault, textOf, WsdError } from '../fault.js';
import { type CloseBody, writeClose } from '../frame/close.js';
import { OPCODE } from '../frame/opcode.js';
import { orAborted } from './abort.js';
import { checkTime } from './check-time.js';
import type { Codec } from './codec.js';
import { Ending, type Outcome } from './ending.js';
import { Inbox, type InboxPort, type Message, messageOf } from './inbox.js';
import { KIND, type Kind, Machine, type Sink } from './machine.js';
import { Outgoing } from './outgoing.js';
import { bytesOf, type Payload } from './payload.js';
import { Pings, refused } from './pings.js';
import type { ConnectionSettings } from './settings.js';
import type { Wire } from './wire.js';

/** Where the link tells what its user should know. */
export interface Listener {
  message(data: Message, binary: boolean): PromiseLike<unknown> | undefined;
  listens(): boolean;
  pinged(payload: Uint8Array): void;
  ponged(payload: Uint8Array): void;
  drainedNow(): void;
  /** `ours`: a handler of ours, not the peer. */
  failed(error: Error, ours: boolean): void;
  ended(outcome: Outcome): void;
  /** Messages wait up to the bound, and nobody has ever taken one. */
  unread(): void;
}

export class Link implements Sink, InboxPort {
  readonly machine: Machine;
  readonly outgoing: Outgoing;
  readonly wire: Wire;
  #listener: Listener | undefined;
  #inbox: Inbox | undefined;
  #releasing = false;
  #held = false;
  #full = false; // the inbox takes nothing
  #pings: Pings | undefined;
  #end: Ending | undefined;

  constructor(
    role: 'server' | 'client',
    settings: ConnectionSettings,
    codec: Codec | undefined,
    wire: Wire,
    entropy: () => number,
  ) {
    this.wire = wire;
    this.machine = new Machine(role, settings, this, codec, entropy, wire.now());
    this.machine.outbox.wire = wire;
    this.outgoing = new Outgoing(this.machine, wire);
  }

  set listener(listener: Listener) {
    this.#listener = listener;
  }

  get settings(): ConnectionSettings {
    return this.machine.settings;
  }

  /** Pongs that answer no ping of ours. */
  get unasked(): number {
    return this.#pings?.unasked ?? 0;
  }

  /** Made when a message cannot be delivered at once, or somebody wants to have a say in it. */
  get inbox(): Inbox {
    this.#inbox ??= new Inbox(this, this.settings);
    return this.#inbox;
  }

  get #ending(): Ending {
    this.#end ??= new Ending();
    return this.#end;
  }

  get #over(): boolean {
    return this.#end?.over === true;
  }

  // ---- for the wire

  /** Bytes arrived: reads them, and leaves what they provoked in the outbox. */
  receive(chunk: Buffer, now: number): void {
    this.outgoing.reading = true;
    if (this.machine.reads) this.machine.outbox.begin();
    this.machine.receive(chunk, now);
    this.outgoing.reading = false;
  }

  /** Once before the wire writes what is owed outside of a read. */
  work(): void {
    this.#inbox?.pump();
    if (!this.#releasing) return;
    this.#releasing = false;
    if (this.#full) return;
    this.#held = false;
    this.outgoing.reading = true;
    this.machine.outbox.begin();
    this.machine.release(this.wire.now());
    this.outgoing.reading = false;
    // Only now: what was read before must not pile up behind what waits.
    if (!this.#held) this.wire.resume();
  }

  tick(now: number): void {
    const end = this.#end;
    if (end?.over === true) {
      if (now < end.giveUpAt) return;
      // A consumer that is slow but at work may finish.
      if (this.inbox.delivered === end.deliveredBefore) return this.inbox.discard();
      end.deliveredBefore = this.inbox.delivered;
      end.giveUpAt = now + this.settings.closeTimeout;
    } else if (this.machine.liveness.overdue(now)) {
      this.#ending.blame('WSD_CLOSE_TIMEOUT');
      this.wire.destroy();
    } else {
      if (now >= this.outgoing.restAt) this.outgoing.rest();
      this.machine.tick(now);
    }
  }

  /** True once after a deadline may have come nearer; later ones need not be told. */
  takeNearer(): boolean {
    const { liveness } = this.machine;
    const { nearer } = liveness;
    liveness.nearer = false;
    return nearer;
  }

  deadline(): number {
    if (this.#end?.over === true) return this.#end.known ? Infinity : this.#end.giveUpAt;
    return Math.min(this.machine.liveness.deadline(), this.outgoing.restAt);
  }

  /** What the wire should do once all that is owed is written. A server ends TCP first (section 7.1.1). */
  wish(): 'stay' | 'end' {
    const state = this.machine.state;
    return state === 'failed' || (state === 'closed' && this.machine.role === 'server') ? 'end' : 'stay';
  }

  /** The peer will send nothing more; what is still owed has the time of a closing handshake to leave. */
  halfClosed(now: number): void {
    if (!this.machine.unread) this.machine.liveness.closing(now);
  }

  /** The wire got rid of bytes. */
  written(): void {
    // Later, because this may run inside a send.
    if (this.outgoing.written()) void Promise.resolve().then(() => this.#listener?.drainedNow());
  }

  /** The wire is gone; nothing more comes and nothing more can leave. */
  over(cause: FaultCode): void {
    const end = this.#ending;
    if (end.over) return;
    end.over = true;
    end.giveUpAt = this.wire.now() + this.settings.closeTimeout;
    end.deliveredBefore = this.#inbox?.delivered ?? 0;
    // The end is only a fault where no closing handshake was complete.
    if (this.machine.state !== 'closed') end.blame(cause);
    this.machine.end();
    this.#settleAll();
    if (this.#inbox === undefined) return this.#close();
    // Its end is told even if nothing else keeps the process.
    this.wire.stay(true);
    this.#inbox.end(() => {
      this.wire.stay(false);
      this.#close();
    });
  }

  // ---- for the user

  get state(): 'open' | 'closing' | 'closed' {
    if (this.#end?.over === true || this.#end?.cut === true) return 'closed';
    return this.machine.state === 'open' ? 'open' : 'closing';
  }

  /** A ping that resolves with the round trip in ms. */
  ping(data: Payload | undefined, signal?: AbortSignal): Promise<number> {
    this.#pings ??= new Pings();
    if (this.#pings.full) return this.#pings.wait(NOTHING, 0);
    const payload = data === undefined ? this.#pings.nextData() : controlBytes(data);
    if (this.state !== 'open') return refused('WSD_SOCKET_ENDED', 'the connection is not open');
    const answered = this.#pings.wait(payload, this.wire.exact());
    this.machine.sender.control(OPCODE.ping, payload);
    this.outgoing.owe();
    return orAborted(answered, signal);
  }

  sendPong(data: Payload | undefined): void {
    const payload = controlBytes(data ?? '');
    if (this.state !== 'open') return;
    this.machine.sender.pong(payload);
    this.outgoing.owe();
  }

  close(code: number | undefined, reason: string, within: number = this.settings.closeTimeout): Promise<Outcome> {
    const body = writeClose(code, reason);
    checkTime('within', within);
    if (!this.#over && this.machine.close(body, this.wire.now(), within)) {
      this.#ending.begunBy('local');
      // The peer's Close may lie behind what nobody reads.
      this.inbox.close();
      this.outgoing.abandon();
      this.release();
      this.outgoing.owe();
    }
    return this.outcome();
  }

  fail(what: Fault): void {
    if (this.#over) return;
    this.machine.fail(what, this.wire.now());
    this.outgoing.owe();
  }

  terminate(): void {
    if (this.#over) return this.#inbox?.discard();
    if (this.#end?.cut === true) return;
    this.#ending.blame('WSD_TERMINATED');
    this.#ending.cut = true;
    this.machine.end();
    this.#inbox?.discard();
    this.wire.destroy();
  }

  outcome(): Promise<Outcome> {
    return this.#ending.outcome();
  }

  // ---- Sink

  message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): void {
    if (this.#inbox !== undefined || !this.hasListener()) return this.inbox.accept(bytes, start, end, kind, owned);
    const data = messageOf(bytes, start, end, kind, owned || this.settings.lend, this.settings);
    const later = this.deliver(data, kind === KIND.binary);
    if (later !== undefined) this.inbox.began(later);
  }

  pinged(payload: Uint8Array): void {
    this.#listener?.pinged(payload);
  }

  ponged(payload: Uint8Array): void {
    this.#pings ??= new Pings();
    this.#pings.answer(payload, this.wire.exact());
    this.#listener?.ponged(payload);
  }

  tired(): void {
    if (this.state === 'closed') return;
    this.#stop();
    this.#releasing = true;
    this.wire.later();
  }

  closing(body: CloseBody): void {
    this.#ending.begunBy('remote');
    this.#ending.theirs(body);
  }

  broken(what: Fault): void {
    this.#ending.begunBy('local');
    this.#ending.blame(what.code);
    this.#pings?.end(new WsdError(what.code));
    this.#listener?.failed(new WsdError(what.code, what.detail), false);
  }

  // ---- InboxPort

  deliver(data: Message, binary: boolean): PromiseLike<unknown> | undefined {
    try {
      return this.#listener?.message(data, binary);
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  hasListener(): boolean {
    return this.#listener?.listens() === true;
  }

  hold(): void {
    if (this.machine.state !== 'open') return;
    if (!this.inbox.isTaken && !this.inbox.paused) this.#listener?.unread();
    this.#full = true;
    this.#stop();
  }

  release(): void {
    if (this.#end?.cut === true) return;
    this.#full = false;
    this.#releasing = !this.#over;
    this.wire.later();
  }

  /** A handler of ours threw: this connection ends with 1011, and the peer learns no more than that. */
  failed(reason: unknown): void {
    this.#listener?.failed(reason instanceof Error ? reason : new Error(textOf(reason)), true);
    this.fail(fault('WSD_HANDLER_FAILED'));
  }

  // ---- inside

  #stop(): void {
    this.#held = true;
    this.machine.hold();
    this.wire.pause();
  }

  #settleAll(): void {
    this.#pings?.end(new WsdError(this.#end?.fault ?? 'WSD_SOCKET_ENDED'));
    this.outgoing.end();
  }

  #close(): void {
    this.#listener?.ended(this.#ending.settle(this.machine.state === 'closed'));
  }
}

const NOTHING = new Uint8Array(0);

const controlBytes = (data: Payload): Uint8Array => {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : bytesOf(data);
  // RFC 6455 section 5.5
  if (bytes.length > 125)
    throw new RangeError(`a control frame carries at most 125 bytes, this one has ${bytes.length}`);
  return bytes;
};
