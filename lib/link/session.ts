// A packet session as its user sees it, the same on both sides: messages that are sealed, acknowledged and survive their connection. Joins
// the machine of lib/packet with listeners and promises. Who makes connections for it is in lib/server and lib/client; time is given.
// lib/packet/PROTOCOL.md sections 1 to 7.
import { toHex } from '../bytes/hex.js';
import type { CertificateInfo } from '../crypto/identity.js';
import { textOf } from '../fault.js';
import { codeText, type PacketCode } from '../packet/codes.js';
import type { SessionCounters } from '../packet/counters.js';
import type {
  Detachment,
  EndCode,
  PacketSession,
  SessionEnd,
  SessionSecurity,
  SessionSink,
  SessionState,
} from '../packet/session-types.js';
import { Emitter } from '../websocket/emitter.js';
import type { HandshakeInfo } from '../websocket/handshake-info.js';
import { bytesOf, type Payload } from '../websocket/payload.js';
import { CLOSED, type Delivery, type Fate, FULL, Taken } from './delivery.js';
import type { Origin, PacketMessage, PacketOptions, SessionEvents, SessionOutcome } from './session-events.js';

/** What a session needs of whoever drives it. */
export interface Drive {
  now(): number;
  /** A deadline may have come nearer. */
  moved(): void;
  /** Bytes that wait below the session: unreliable messages are not taken above the mark. */
  choked(): boolean;
  /** A copy of octets that are gone when this call is over. */
  keep(data: Uint8Array): Uint8Array;
  /** The connection it has now, or had last. */
  readonly connection: Origin | undefined;
}

interface Held {
  readonly data: Uint8Array;
  readonly message: PacketMessage;
}

export type * from './session-events.js';

export class Session extends Emitter<SessionEvents> {
  readonly #drive: Drive;
  #machine: PacketSession | undefined;
  readonly #pending: Map<number, Taken> = new Map();
  #held: Held[] | undefined;
  #heldBytes = 0;
  #waiting: (() => void)[] | undefined;
  /** The machine said 'full' and has not told of room since. */
  #full = false;
  /** The same of the connection. */
  #choked = false;
  /** A server's session was ended while it was being made. */
  #stillborn: { readonly code: EndCode; readonly detail: string | undefined } | undefined;
  #outcome: SessionOutcome | undefined;
  #ends: ((outcome: SessionOutcome) => void)[] | undefined;

  /** Made by `createServer` and `connect` only. */
  constructor(drive: Drive) {
    super();
    this.#drive = drive;
  }

  /** @internal Which machine it is the face of. */
  bind(machine: PacketSession): void {
    this.#machine = machine;
  }

  get role(): 'server' | 'client' {
    return this.#machine?.role ?? 'server';
  }

  get state(): SessionState {
    return this.#machine?.state ?? 'handshake';
  }

  /** The peer's certificate, as far as it was verified; undefined for an anonymous one. */
  get peer(): CertificateInfo | undefined {
    return this.security?.peer?.certificate;
  }

  /** The fingerprint of the peer's certificate, or 'anonymous'; undefined before it is open, and in mode none. */
  get identity(): string | undefined {
    return this.security?.identity;
  }

  /** Sixteen octets in hexadecimal; undefined before it is open, and in mode none. */
  get id(): string | undefined {
    const id = this.security?.sessionId;
    return id === undefined ? undefined : toHex(id);
  }

  /** What `authorize` gave the connection it has now, or had last. */
  get data(): unknown {
    return this.#drive.connection?.data;
  }

  get remoteAddress(): string {
    return this.#drive.connection?.remoteAddress ?? '';
  }

  /** What the opening handshake of that connection said. */
  get request(): HandshakeInfo | undefined {
    return this.#drive.connection?.request;
  }

  /** 32 octets that both ends have and nobody else: to bind other things to this session. */
  get exporter(): Uint8Array | undefined {
    return this.security?.exporter;
  }

  /** The last round trip in ms. */
  get rtt(): number | undefined {
    return this.#machine?.rtt;
  }

  /** RELIABLE messages without an acknowledgement so far. */
  get unacknowledged(): { readonly messages: number; readonly bytes: number } {
    return this.#machine?.unacknowledged ?? NONE;
  }

  /** How the session ended; never rejects. */
  get closed(): Promise<SessionOutcome> {
    if (this.#outcome !== undefined) return Promise.resolve(this.#outcome);
    return new Promise((resolve) => {
      this.#ends ??= [];
      this.#ends.push(resolve);
    });
  }

  /** One number for each reason to drop or fail, and what went in and out. */
  counters(): Readonly<SessionCounters> | undefined {
    return this.#machine?.counters();
  }

  /**
   * Sends a message; a string as UTF-8. RELIABLE unless told otherwise: `await` then tells whether the peer has it. Throws a RangeError for a
   * message that is longer than the session can carry.
   */
  send(data: Payload, options: PacketOptions = {}): Delivery {
    const machine = this.#machine;
    if (machine === undefined || this.#stillborn !== undefined) return CLOSED;
    const text = typeof data === 'string';
    const bytes = text ? UTF8.encode(data) : bytesOf(data);
    const { reliable = true, checksum = false, compress = false, transfer = false } = options;
    if (!reliable && this.#drive.choked()) {
      this.#choked = true;
      return FULL;
    }
    const result = machine.send(bytes, { reliable, checksum, compress, transfer: transfer || text }, this.#drive.now());
    if (typeof result === 'number') {
      // On a stream nothing becomes due by sending.
      if (!reliable) return new Taken(result, 'sent');
      const taken = new Taken(result);
      this.#pending.set(result, taken);
      return taken;
    }
    this.#drive.moved();
    if (result === 'large')
      throw new RangeError(`a message of ${bytes.length} bytes is longer than this session carries`);
    this.#full ||= result === 'full';
    return result === 'full' ? FULL : CLOSED;
  }

  /** Resolves when a send that was told 'full' would be taken, or the session is over: at once, when none was. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#outcome !== undefined || !(this.#full || this.#choked)) return resolve();
      this.#waiting ??= [];
      this.#waiting.push(resolve);
    });
  }

  /** Asks the peer for a sign of life; 'heartbeat' tells the round trip. False when one is under way, or nobody is there. */
  ping(): boolean {
    const asked = this.#machine?.ping(this.#drive.now()) ?? false;
    this.#drive.moved();
    return asked;
  }

  /** Ends the session for good: it cannot be resumed. Resolves with how it ended. */
  close(detail?: string): Promise<SessionOutcome> {
    const { closed } = this;
    this.end(this.#farewell, detail);
    return closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal A listener of ours failed: that ends this session and no other. */
  fail(reason: unknown): void {
    this.tell('error', [reason instanceof Error ? reason : new Error(textOf(reason))]);
    this.end(this.#farewell, 'a listener failed');
  }

  /** @internal */
  end(code: EndCode, detail?: string, said?: string): void {
    if (this.role === 'server' && this.state === 'idle') {
      this.#stillborn ??= { code, detail };
      return;
    }
    this.#machine?.end(code, this.#drive.now(), detail, said);
    this.#drive.moved();
  }

  /** @internal What the machine tells. */
  readonly sink: SessionSink = {
    opened: (how) => {
      if (this.#stillborn !== undefined)
        return this.#machine?.end(this.#stillborn.code, this.#drive.now(), this.#stillborn.detail);
      this.tell('open', [how]);
      this.unchoked();
    },
    message: (data, reliable, number, owned) => {
      const kept = owned ? data : this.#drive.keep(data);
      const message = { reliable, number };
      const sole = this.#held === undefined ? this.sole('message') : undefined;
      if (sole !== undefined) this.#give(sole.listener as MessageListener, kept, message);
      else if (this.#held === undefined && this.heard('message')) this.tell('message', [kept, message]);
      else this.#hold({ data: kept, message });
    },
    acknowledged: (number) => this.#settle(number, 'acknowledged'),
    undelivered: (messages) => {
      for (const { number, sent } of messages) this.#settle(number, sent ? 'undelivered' : 'unsent');
      this.tell('undelivered', [messages]);
    },
    room: () => {
      this.#full = false;
      this.#drain();
    },
    heartbeat: (rtt) => this.tell('heartbeat', [rtt]),
    detached: (why) => this.broke(why),
    ended: (end) => this.over(end),
  };

  /** @internal The connection has room again, or is another one. */
  unchoked(): void {
    if (!this.#choked) return;
    this.#choked = false;
    this.#drain();
  }

  /** @internal */
  broke(why: Detachment): void {
    this.tell('detached', [typeof why === 'string' ? why : { code: codeText(why.fault.code), theirs: why.theirs }]);
  }

  /** @internal */
  over({ code, by, detail }: { code: PacketCode; by: SessionEnd['by']; detail: string | undefined }): void {
    if (this.#outcome !== undefined) return;
    const outcome: SessionOutcome = { code: codeText(code), by, detail };
    this.#outcome = outcome;
    for (const waiting of this.#waiting ?? []) waiting();
    for (const taken of this.#pending.values()) taken.settle('undelivered');
    this.#pending.clear();
    for (const resolve of this.#ends ?? []) resolve(outcome);
    this.tell('close', [outcome]);
    this.removeAllListeners();
  }

  /** @internal A listener of ours that throws, or rejects, ends this session and no other. */
  tell<Name extends keyof SessionEvents>(name: Name, args: SessionEvents[Name]): void {
    const failed = (reason: unknown): void => {
      if (name !== 'error' && name !== 'close') this.fail(reason);
    };
    try {
      this.dispatch(name, args, (value) => {
        if (value instanceof Promise) value.catch(failed);
      });
    } catch (reason) {
      failed(reason);
    }
  }

  /** The usual case, one listener that stays, without what `tell` makes for many. */
  #give(listener: MessageListener, data: Uint8Array, message: PacketMessage): void {
    try {
      const value = listener.call(this, data, message);
      if (value instanceof Promise) value.catch((reason: unknown) => this.fail(reason));
    } catch (reason) {
      this.fail(reason);
    }
  }

  protected override added(name: PropertyKey): void {
    if (name === 'message' && this.#held !== undefined) void Promise.resolve().then(() => this.#release());
  }

  /** @internal What both ends have in secret: the keys of packages are among it. */
  get security(): SessionSecurity | undefined {
    return this.#machine?.security;
  }

  /** The first message is never lost, however late a listener comes. */
  #hold(held: Held): void {
    this.#held ??= [];
    this.#heldBytes += held.data.length;
    const few = this.#held.length < MOST_HELD && this.#heldBytes <= MOST_HELD_BYTES;
    if (few || this.#held.length === 0) this.#held.push(held);
    else this.end(this.#farewell, 'nobody listens');
  }

  #release(): void {
    // A listener may be gone after the first of them.
    while (this.#held !== undefined && this.heard('message')) {
      const next = this.#held.shift();
      if (next === undefined) {
        this.#held = undefined;
        this.#heldBytes = 0;
        return;
      }
      this.#heldBytes -= next.data.length;
      this.tell('message', [next.data, next.message]);
    }
  }

  #drain(): void {
    if (this.#full || this.#choked) return;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const resolve of waiting) resolve();
    this.tell('drain', []);
  }

  get #farewell(): EndCode {
    return this.role === 'client' ? 'CLIENT_DISCONNECT' : 'DISCONNECT';
  }

  #settle(number: number, fate: Fate): void {
    this.#pending.get(number)?.settle(fate);
    this.#pending.delete(number);
  }
}

type MessageListener = (this: Session, data: Uint8Array, message: PacketMessage) => unknown;

/** What is kept for a listener that does not come. */
const MOST_HELD = 1024;
const MOST_HELD_BYTES = 4 * 1024 * 1024;

const NONE = { messages: 0, bytes: 0 };

const UTF8 = new TextEncoder();
