// A packet session as its user sees it, the same on both sides: messages that are sealed, acknowledged and survive their connection. Joins
// the machine of lib/packet with listeners and promises. Who makes connections for it is in lib/server and lib/client; time is given.
// lib/packet/PROTOCOL.md sections 1 to 7.
import type { CertificateInfo } from '../crypto/identity.js';
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
import type { Connection, HandshakeInfo } from '../websocket/connection.js';
import { Emitter } from '../websocket/emitter.js';
import { bytesOf, type Payload } from '../websocket/payload.js';
import { CLOSED, type Delivery, type Fate, FULL, Taken } from './delivery.js';

export interface PacketOptions {
  /** Delivered exactly once and in order, across reconnects, or reported undelivered. Default true. */
  readonly reliable?: boolean | undefined;
  /** A checksum of the data; needless where packets are sealed. Default false. */
  readonly checksum?: boolean | undefined;
  /** Deflated when that makes it shorter. Not for secrets beside what others may choose. Default false. */
  readonly compress?: boolean | undefined;
  /** The bytes are given away and never changed again: saves a copy. */
  readonly transfer?: boolean | undefined;
}

export interface PacketMessage {
  readonly reliable: boolean;
  /** Counts up in the session, with gaps. */
  readonly number: number;
}

/** A message of which no acknowledgement came. */
export interface UndeliveredMessage {
  readonly number: number;
  readonly data: Uint8Array;
  /** False: it never left, so it certainly did not arrive. */
  readonly sent: boolean;
}

/** How a session ended. */
export interface SessionOutcome {
  /** `3.9 CHECKSUM`: the code of the packet layer. */
  readonly code: string;
  /** Who ended it; expiry: nobody came back in time; loss: its connection broke and it cannot be resumed. */
  readonly by: 'local' | 'remote' | 'expiry' | 'loss';
  readonly detail: string | undefined;
}

/** Why a session has no connection at the moment. */
export type SessionBreak = 'lost' | 'silent' | 'taken over' | { readonly code: string; readonly theirs: boolean };

export interface SessionEvents {
  /** It is open. 'new': numbers begin afresh; 'resumed': it goes on where it was cut. */
  open: [how: 'new' | 'resumed'];
  message: [data: Uint8Array, message: PacketMessage];
  /** Without a connection for now; what is sent RELIABLE waits. */
  detached: [why: SessionBreak];
  /** A client is about to dial again, after so many ms. */
  retry: [retry: { readonly attempt: number; readonly wait: number; readonly cause: Error | undefined }];
  /** RELIABLE messages whose session is gone: they may have arrived or not, and are never sent again by themselves. */
  undelivered: [messages: readonly UndeliveredMessage[]];
  /** A round trip in ms. */
  heartbeat: [rtt: number];
  /** There is room again after a send was told 'full'. */
  drain: [];
  error: [error: Error];
  close: [outcome: SessionOutcome];
}

/** What a session needs of whoever drives it. */
export interface Drive {
  now(): number;
  /** A deadline may have come nearer. */
  moved(): void;
  /** Bytes that wait below the session: unreliable messages are not taken above the mark. */
  choked(): boolean;
  /** The connection it has now, or had last. */
  readonly connection: Connection<unknown> | undefined;
}

interface Held {
  readonly data: Uint8Array;
  readonly message: PacketMessage;
}

export class Session extends Emitter<SessionEvents> {
  readonly #drive: Drive;
  #machine: PacketSession | undefined;
  readonly #pending: Map<number, Taken> = new Map();
  #held: Held[] | undefined;
  #waiting: (() => void)[] | undefined;
  #outcome: SessionOutcome | undefined;
  #ends: ((outcome: SessionOutcome) => void)[] | undefined;
  #failed: ((reason: unknown) => void) | undefined;

  /** Made by `createServer` and `connect` only. */
  constructor(drive: Drive) {
    super();
    this.#drive = drive;
  }

  /** @internal Which machine it is the face of; `failed`: where exceptions of listeners go. */
  bind(machine: PacketSession, failed: (reason: unknown) => void): void {
    this.#machine = machine;
    this.#failed = failed;
  }

  get role(): 'server' | 'client' {
    return this.#machine?.role ?? 'server';
  }

  get state(): SessionState {
    return this.#machine?.state ?? 'handshake';
  }

  /** The peer's certificate, as far as it was verified; undefined for an anonymous one. */
  get peer(): CertificateInfo | undefined {
    return this.#security?.peer?.certificate;
  }

  /** The fingerprint of the peer's certificate, or 'anonymous'; undefined before it is open, and in mode none. */
  get identity(): string | undefined {
    return this.#security?.identity;
  }

  /** Sixteen octets in hexadecimal; undefined before it is open, and in mode none. */
  get id(): string | undefined {
    const id = this.#security?.sessionId;
    return id === undefined ? undefined : Buffer.from(id).toString('hex');
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
    return this.#security?.exporter;
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
    if (machine === undefined) return CLOSED;
    const text = typeof data === 'string';
    const bytes = text ? Buffer.from(data, 'utf8') : bytesOf(data);
    const { reliable = true, checksum = false, compress = false, transfer = false } = options;
    if (!reliable && this.#drive.choked()) return FULL;
    const result = machine.send(bytes, { reliable, checksum, compress, transfer: transfer || text }, this.#drive.now());
    this.#drive.moved();
    if (typeof result === 'number') {
      if (!reliable) return new Taken(result, 'sent');
      const taken = new Taken(result);
      this.#pending.set(result, taken);
      return taken;
    }
    if (result === 'large')
      throw new RangeError(`a message of ${bytes.length} bytes is longer than this session carries`);
    return result === 'full' ? FULL : CLOSED;
  }

  /** Resolves when a send would be taken again, or the session is over. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      const { messages } = this.unacknowledged;
      if (this.#outcome !== undefined || messages === 0) return resolve();
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
    this.end(this.role === 'client' ? 'CLIENT_DISCONNECT' : 'DISCONNECT', detail);
    return closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  end(code: EndCode, detail?: string): void {
    this.#machine?.end(code, this.#drive.now(), detail);
    this.#drive.moved();
  }

  /** @internal What the machine tells. */
  readonly sink: SessionSink = {
    opened: (how) => this.tell('open', [how]),
    message: (data, reliable, number, owned) => {
      const kept = owned ? data : Uint8Array.from(data);
      const message = { reliable, number };
      if (this.#held === undefined && this.heard('message')) this.tell('message', [kept, message]);
      else this.#hold({ data: kept, message });
    },
    acknowledged: (number) => this.#settle(number, 'acknowledged'),
    undelivered: (messages) => {
      for (const { number, sent } of messages) this.#settle(number, sent ? 'undelivered' : 'unsent');
      this.tell('undelivered', [messages]);
    },
    room: () => {
      const { length } = this.#waiting ?? [];
      for (const waiting of this.#waiting?.splice(0, length) ?? []) waiting();
      this.tell('drain', []);
    },
    heartbeat: (rtt) => this.tell('heartbeat', [rtt]),
    detached: (why) => this.broke(why),
    ended: (end) => this.over(end),
  };

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

  /** A listener of ours that throws, or rejects, ends this session and no other. */
  tell<Name extends keyof SessionEvents>(name: Name, args: SessionEvents[Name]): void {
    const failed = (reason: unknown): void => {
      if (name !== 'error' && name !== 'close') this.#failed?.(reason);
    };
    try {
      this.dispatch(name, args, (value) => {
        if (value instanceof Promise) value.catch(failed);
      });
    } catch (reason) {
      failed(reason);
    }
  }

  protected override added(name: PropertyKey): void {
    if (name === 'message' && this.#held !== undefined) void Promise.resolve().then(() => this.#release());
  }

  get #security(): SessionSecurity | undefined {
    return this.#machine?.security;
  }

  /** The first message is never lost, however late a listener comes. */
  #hold(held: Held): void {
    this.#held ??= [];
    if (this.#held.length < MOST_HELD) this.#held.push(held);
    else this.end('DISCONNECT', 'nobody listens');
  }

  #release(): void {
    const held = this.#held;
    if (held === undefined || !this.heard('message')) return;
    for (let next = held.shift(); next !== undefined; next = held.shift())
      this.tell('message', [next.data, next.message]);
    this.#held = undefined;
  }

  #settle(number: number, fate: Fate): void {
    this.#pending.get(number)?.settle(fate);
    this.#pending.delete(number);
  }
}

/** What is kept for a listener that does not come. */
const MOST_HELD = 1024;

const NONE = { messages: 0, bytes: 0 };
