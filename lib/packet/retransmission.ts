// RELIABLE packets on a transport that loses some: the octets of each message as they were sent, and when to send them again. The timer is
// that of RFC 6298, the samples are Karn's, a message is given up after ten transmissions. Knows no packet format and no clock.
// PROTOCOL.md section 5.4.

/** RFC 6298 section 2, with the bounds of PROTOCOL.md section 5.4. */
const FIRST_RTO = 1000;
const LEAST_RTO = 200;
const MOST_RTO = 10_000;
const MOST_TRANSMISSIONS = 10;

export class RoundTrip {
  #srtt: number | undefined;
  #rttvar = 0;
  rto: number = FIRST_RTO;

  /** RFC 6298 (2.2) and (2.3): alpha 1/8, beta 1/4. */
  sample(rtt: number): void {
    if (this.#srtt === undefined) {
      this.#srtt = rtt;
      this.#rttvar = rtt / 2;
    } else {
      this.#rttvar += (Math.abs(this.#srtt - rtt) - this.#rttvar) / 4;
      this.#srtt += (rtt - this.#srtt) / 8;
    }
    this.rto = Math.min(MOST_RTO, Math.max(LEAST_RTO, this.#srtt + 4 * this.#rttvar));
  }

  /** (5.5): after that many transmissions. */
  backedOff(transmissions: number): number {
    return Math.min(MOST_RTO, this.rto * 2 ** (transmissions - 1));
  }
}

interface Flight {
  readonly number: number;
  readonly packets: Uint8Array[];
  readonly sentAt: number;
  transmissions: number;
  due: number;
}

export class Retransmission {
  readonly #roundTrip = new RoundTrip();
  /** In the order of their numbers. */
  readonly #flights = new Map<number, Flight>();
  #deadline = Number.POSITIVE_INFINITY;
  #fragmented = 0;

  /** How many messages of more than one packet are under way: the receiver puts so many together and no more. */
  get fragmented(): number {
    return this.#fragmented;
  }

  get size(): number {
    return this.#flights.size;
  }

  /** The timeout for a first transmission, in milliseconds. */
  get rto(): number {
    return this.#roundTrip.rto;
  }

  /** A packet of a RELIABLE message leaves for the first time; it is copied. */
  record(number: number, packet: Uint8Array, now: number): void {
    let flight = this.#flights.get(number);
    if (flight === undefined) {
      flight = { number, packets: [], sentAt: now, transmissions: 1, due: now + this.#roundTrip.rto };
      this.#flights.set(number, flight);
      this.#deadline = Math.min(this.#deadline, flight.due);
    }
    flight.packets.push(new Uint8Array(packet));
    if (flight.packets.length === 2) this.#fragmented += 1;
  }

  acknowledged(number: number, now: number): void {
    const flight = this.#flights.get(number);
    if (flight === undefined) return;
    this.#flights.delete(number);
    if (flight.packets.length > 1) this.#fragmented -= 1;
    // Karn: nobody knows which transmission the ACK of a repeated message answers.
    if (flight.transmissions === 1) this.#roundTrip.sample(now - flight.sentAt);
    if (flight.due === this.#deadline) this.#findDeadline();
  }

  deadline(): number {
    return this.#deadline;
  }

  /** Sends again what is due, ascending and octet by octet. False: something was sent ten times in vain. */
  tick(now: number, send: (number: number, packets: readonly Uint8Array[]) => void): boolean {
    if (now < this.#deadline) return true;
    for (const flight of this.#flights.values()) {
      if (flight.due > now) continue;
      if (flight.transmissions >= MOST_TRANSMISSIONS) return false;
      flight.transmissions += 1;
      flight.due = now + this.#roundTrip.backedOff(flight.transmissions);
      send(
        flight.number,
        flight.packets.map((packet) => new Uint8Array(packet)),
      );
    }
    this.#findDeadline();
    return true;
  }

  clear(): void {
    this.#flights.clear();
    this.#fragmented = 0;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  #findDeadline(): void {
    this.#deadline = Number.POSITIVE_INFINITY;
    for (const { due } of this.#flights.values()) this.#deadline = Math.min(this.#deadline, due);
  }
}
