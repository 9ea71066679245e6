// The only pump between a socket and a link: feeds it, writes what it owes in one write a chunk, waits while the kernel takes nothing,
// arms the wheel. Knows sockets and nothing of frames. Server and client differ only in how they came by the socket.
import { Socket } from 'node:net';
import { recycle } from '../bytes/loans.js';
import type { Link } from '../websocket/link.js';
import type { Outbox } from '../websocket/outbox.js';
import type { Wire } from '../websocket/wire.js';
import { exact, now } from './clock.js';
import { type Receiver, readInto } from './reader.js';
import { arm, disarm, type Timed } from './wheel.js';
import { give, giveAll, isDirect, waitingIn, whenGiven } from './writer.js';

// What a driver owes outside of a read. Numbers and bits, not a field for each: an idle connection is mostly fields.
const NOTHING = 0;
const BYTES = 1;
const WORK = 2;

// What of a socket has ended: the peer has sent its FIN, we have, it is gone.
const THEIRS = 1;
const OURS = 2;
const GONE = 4;

/** Drivers that owe bytes outside of a read: all written in one go, after what runs now. */
let woken: Driver[] = [];
const flushWoken = (): void => {
  const all = woken;
  woken = [];
  for (const driver of all) driver.work();
};

/** What keeps the process while the last messages of a connection wait to be taken. */
const vigils: Map<Driver, NodeJS.Timeout> = new Map();
/** Longer than any of them; it only has to be there. */
const LONG_MS = 2 ** 31 - 1;

const workLater = (driver: Driver): void => driver.work();

export class Driver implements Wire, Timed, Receiver {
  slot = 0;
  place = -1;
  paused = false;
  readonly #socket: Socket;
  readonly #lends: boolean;
  #direct = false;
  #link: Link | undefined;
  #owes = NOTHING;
  #ended = 0; // THEIRS, OURS and GONE, as far as it is so

  constructor(socket: Socket) {
    this.#socket = socket;
    // A TLS socket takes every write without telling when it has copied it, and what is no socket at all may keep what it is given.
    this.#lends = socket instanceof Socket && !('encrypted' in socket);
  }

  /** Begins to pump. `head`: bytes that were read before; `first`: bytes that go out before everything else. */
  start(link: Link, head: Uint8Array, first?: Uint8Array): void {
    this.#link = link;
    const socket = this.#socket;
    readInto(socket, this, link.settings.sharedReads);
    this.#direct = link.settings.directWrites && isDirect(socket);
    arm(this);
    if (head.length > 0) {
      if (first !== undefined) give(socket, this.#direct, first);
      this.read(Buffer.from(head));
    } else this.#flush(first);
    if (socket.destroyed) this.closed(false);
    else if (socket.readableEnded) this.ended();
  }

  // ---- Wire

  now(): number {
    return now();
  }

  exact(): number {
    return exact();
  }

  flush(): void {
    const link = this.#link;
    if (link !== undefined && this.#ended < OURS && !link.machine.outbox.blocked) {
      this.#write(link, link.machine.outbox);
    }
  }

  wake(plain = false): void {
    const awake = this.#owes !== NOTHING;
    if (!awake || !plain) this.#owes = plain ? BYTES : WORK;
    if (awake) return;
    if (woken.push(this) === 1) process.nextTick(flushWoken);
  }

  later(): void {
    const awake = this.#owes !== NOTHING;
    this.#owes = WORK;
    if (awake) return;
    setImmediate(workLater, this);
  }

  pause(): void {
    this.paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.paused = false;
    this.#socket.resume();
  }

  get pending(): number {
    return waitingIn(this.#socket, this.#direct);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  stay(on: boolean): void {
    clearTimeout(vigils.get(this));
    vigils.delete(this);
    if (on)
      vigils.set(
        this,
        setTimeout(() => {}, LONG_MS),
      );
  }

  // ---- Timed

  deadline(): number {
    return this.#link?.deadline() ?? Infinity;
  }

  tick(time: number): void {
    this.#link?.tick(time);
    this.#flush();
  }

  // ---- the socket's side

  read(chunk: Buffer): void {
    if (this.#ended >= GONE) return;
    this.#link?.receive(chunk, now());
    this.#flush();
  }

  /** What was asked for outside of a read. */
  work(): void {
    const plain = this.#owes === BYTES;
    this.#owes = NOTHING;
    if (plain) return this.flush();
    this.#link?.work();
    this.#flush();
  }

  /** The peer's FIN: nothing more will come, and without our side it is over. */
  ended(): void {
    this.#ended |= THEIRS;
    this.#flush();
  }

  closed(failed: boolean): void {
    if (this.#ended >= GONE) return;
    this.#ended |= GONE;
    this.#link?.over(failed ? 'WSD_SOCKET_ERROR' : 'WSD_SOCKET_ENDED');
    disarm(this);
    arm(this);
  }

  #flush(first?: Uint8Array): void {
    const link = this.#link;
    if (link === undefined || this.#ended >= GONE) return;
    const outbox = link.machine.outbox;
    if (!outbox.blocked && this.#ended < OURS) this.#write(link, outbox, first);
    const half = (this.#ended & THEIRS) !== 0;
    if (half) link.halfClosed(now());
    // What was read before the peer's end is read to the end.
    if (!outbox.blocked && (link.wish() === 'end' || (half && !link.machine.unread))) this.#finish(link);
    if (link.takeNearer() && !this.#socket.destroyed) arm(this);
  }

  #write(link: Link, outbox: Outbox, first?: Uint8Array): void {
    const socket = this.#socket;
    const direct = this.#direct;
    const one = first === undefined ? outbox.takeOne(this.#lends) : undefined;
    let pieces: Uint8Array[] | undefined;
    let given: boolean;
    if (one !== undefined) given = give(socket, direct, one);
    else {
      pieces = outbox.take(this.#lends);
      if (first !== undefined) pieces.unshift(first);
      if (pieces.length === 0) return outbox.settle(false);
      given = pieces.length === 1 ? give(socket, direct, pieces[0] as Uint8Array) : giveAll(socket, direct, pieces);
    }
    outbox.settle(!given);
    if (given) {
      if (pieces !== undefined && this.#lends) recycle(pieces);
      if (outbox.told) link.written();
      return;
    }
    outbox.block(waitingIn(socket, direct));
    whenGiven(socket, direct, () => {
      outbox.unblock();
      // TLS is done with them as well; what is no socket at all may keep what it was given.
      if (pieces !== undefined && socket instanceof Socket) recycle(pieces);
      if (this.#ended >= GONE) return;
      // The peer takes what we send: that, too, is a sign of life.
      link.machine.liveness.heard(now());
      this.#flush();
      link.written();
    });
  }

  #finish(link: Link): void {
    if (this.#ended >= OURS) return;
    this.#ended |= OURS;
    // Both Close frames are exchanged and the kernel has ours: nothing more may come that a reset could answer (RFC 6455 section 5.5.1).
    if (this.#lends && link.machine.state === 'closed') {
      this.#socket.destroy();
      return;
    }
    this.#socket.end();
    // Unread bytes would turn our FIN into a reset that can destroy what we just wrote: read on and discard.
    this.resume();
  }
}
