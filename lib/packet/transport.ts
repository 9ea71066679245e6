// The connection a session has right now: its carrier for what leaves, and its leg for what comes. Replacing, closing or dropping it makes the
// old leg deaf, so that late calls of a connection that is history do nothing. Counts and traces every packet. Knows no protocol.
import type { SessionCounters } from './counters.js';
import type { Carrier, Leg, PacketSession } from './session-types.js';
import type { Trace } from './settings.js';

/** What a leg passes on while it is the current one. */
export interface LegTarget {
  receive(bytes: Uint8Array, now: number): void;
  lost(now: number): void;
  tick(now: number): void;
  deadline(): number;
}

export class Transport {
  readonly #session: PacketSession;
  readonly #counters: SessionCounters;
  readonly #trace: Trace | undefined;
  #carrier: Carrier | undefined;
  #leg: Leg | undefined;

  constructor(session: PacketSession, counters: SessionCounters, trace: Trace | undefined) {
    this.#session = session;
    this.#counters = counters;
    this.#trace = trace;
  }

  begin(carrier: Carrier, target: LegTarget): Leg {
    const leg: Leg = {
      session: this.#session,
      receive: (bytes, now) => {
        if (this.#leg !== leg) return;
        this.#counters.packetsIn += 1;
        this.#counters.bytesIn += bytes.length;
        this.#trace?.('in', bytes, this.#session);
        target.receive(bytes, now);
      },
      lost: (now) => {
        if (this.#leg === leg) target.lost(now);
      },
      tick: (now) => {
        if (this.#leg === leg) target.tick(now);
      },
      deadline: () => (this.#leg === leg ? target.deadline() : Number.POSITIVE_INFINITY),
    };
    this.#carrier = carrier;
    this.#leg = leg;
    return leg;
  }

  /** Bound, for it is handed over with the keys of a connection. */
  readonly transmit = (packet: Uint8Array): void => {
    this.#counters.packetsOut += 1;
    this.#counters.bytesOut += packet.length;
    this.#trace?.('out', packet, this.#session);
    this.#carrier?.transmit(packet);
  };

  close(code: number, reason: string): void {
    this.drop()?.close(code, reason);
  }

  /** What was there, for whoever wants to abort it. */
  drop(): Carrier | undefined {
    const carrier = this.#carrier;
    this.#carrier = undefined;
    this.#leg = undefined;
    return carrier;
  }
}
