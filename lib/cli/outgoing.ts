// What `wsd connect --packets` sends: waits for room, and counts what became of it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Delivery, Fate, PacketOptions, Session } from '../index.js';
import type { Flags } from './flags.js';

/** How long a farewell may wait for acknowledgements, ms. */
const LONGEST_LEAVE = 2000;

export class Outgoing {
  /** Messages of which it is not known that they arrived, though it should be. */
  lost = 0;
  readonly #session: Session;
  readonly #options: PacketOptions;
  #waiting = 0;
  #told: (() => void)[] = [];

  constructor(session: Session, flags: Flags) {
    this.#session = session;
    this.#options = { reliable: !flags.has('unreliable'), compress: flags.has('compress'), transfer: true };
  }

  /** Settles when it was taken: true; false when the session is over. Throws a RangeError for what is too long. */
  async send(data: Uint8Array | string): Promise<boolean> {
    for (;;) {
      const { status } = this.offer(data);
      if (status !== 'full') return status === 'ok';
      await this.#room();
    }
  }

  /** At once, or not at all. */
  offer(data: Uint8Array | string): Delivery {
    const delivery = this.#session.send(data, this.#options);
    if (delivery.status === 'closed') this.lost++;
    else if (delivery.status === 'ok') this.#follow(delivery);
    return delivery;
  }

  /** Settles when the fate of everything that was taken is known; the end of a session decides all. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting === 0) resolve();
      else this.#told.push(resolve);
    });
  }

  /** Ends the session when what is under way has arrived; a connection that is lost, or too slow for that, ends it at once. */
  async leave(): Promise<void> {
    const session = this.#session;
    const timer = new AbortController();
    const { signal } = timer;
    const cut = new Promise<void>((resolve) => {
      session.on('detached', () => resolve());
      if (session.state !== 'open') resolve();
    });
    const late = sleep(LONGEST_LEAVE, undefined, { signal }).catch(() => {});
    await Promise.race([this.settled(), cut, late]);
    timer.abort();
    await session.close();
  }

  #follow(delivery: Delivery): void {
    this.#waiting++;
    void delivery.then((fate: Fate) => {
      if (fate !== 'acknowledged' && fate !== 'sent') this.lost++;
      this.#waiting--;
      if (this.#waiting > 0) return;
      for (const tell of this.#told.splice(0)) tell();
    });
  }

  /** Unreliable messages need a connection, and nothing tells of room when it comes back but its opening. */
  #room(): Promise<void> {
    const session = this.#session;
    return new Promise((resolve) => {
      const done = (): void => {
        for (const name of ['drain', 'open', 'close'] as const) session.off(name, done);
        resolve();
      };
      for (const name of ['drain', 'open', 'close'] as const) session.on(name, done);
      if (session.state === 'closed') done();
    });
  }
}
