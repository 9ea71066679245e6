// When a connection must do something by itself: ping a silent peer, give up on a dead one, end a message or a closing handshake
// that takes too long, refuse a flood. Numbers only: the time comes in as an argument, and one deadline goes out.
// Any octet from the peer is a sign of life, not only a Pong.
import type { FaultCode } from '../fault.js';
import type { ConnectionSettings } from './settings.js';

export class Liveness {
  readonly #settings: ConnectionSettings;
  #heard: number;
  #active: number; // last message in either direction
  #pinged = 0; // when the unanswered keep-alive ping went out; 0: none
  #began = 0; // when the message under way began; 0: none
  #closeBy = 0; // when the closing handshake must be over; 0: not closing
  /** A deadline may have come nearer since this was last set to false. */
  nearer = true;
  #allowance: { tokens: number; filled: number } | undefined;

  constructor(settings: ConnectionSettings, now: number) {
    this.#settings = settings;
    this.#heard = now;
    this.#active = now;
    if (settings.rate !== undefined) this.#allowance = { tokens: settings.rate.burst, filled: now };
  }

  heard(now: number): void {
    this.#heard = now;
    this.#pinged = 0;
  }

  message(now: number): void {
    this.#active = now;
  }

  messageBegan(now: number): void {
    this.#began = Math.max(now, Number.MIN_VALUE);
    this.nearer = true;
  }

  messageEnded(): void {
    this.#began = 0;
  }

  closing(now: number, within: number = this.#settings.closeTimeout): void {
    // Whatever the peer still sends, the time does not start again.
    if (this.#closeBy === 0) this.#closeBy = now + within;
    this.nearer = true;
    this.#began = 0;
  }

  /** Takes one frame off the allowance; false when it is used up. */
  count(now: number): boolean {
    const allowance = this.#allowance;
    const rate = this.#settings.rate;
    if (allowance === undefined || rate === undefined) return true;
    allowance.tokens = Math.min(rate.burst, allowance.tokens + ((now - allowance.filled) * rate.perSecond) / 1000);
    allowance.filled = now;
    if (allowance.tokens < 1) return false;
    allowance.tokens--;
    return true;
  }

  /** True when the closing handshake took too long: the socket is to be cut. */
  overdue(now: number): boolean {
    return this.#closeBy > 0 && now >= this.#closeBy;
  }

  /** What is due now. `held`: we do not read at present, so neither silence nor slowness is the peer's fault. */
  tick(now: number, open: boolean, held = false): FaultCode | 'ping' | undefined {
    const { pingInterval, pingTimeout, idleTimeout, messageTimeout } = this.#settings;
    if (!open) return undefined;
    if (held) {
      // No answer can be heard, so none is waited for; but a ping that cannot be written any more finds out that the peer is gone.
      this.#pinged = 0;
      if (this.#began > 0) this.#began = now;
      if (pingInterval > 0 && now >= this.#heard + pingInterval) {
        this.#heard = now;
        return 'ping';
      }
    }
    if (this.#pinged > 0 && now >= this.#pinged + pingTimeout) return 'WSD_PEER_SILENT';
    if (this.#began > 0 && now >= this.#began + messageTimeout) return 'WSD_MESSAGE_AGE';
    if (idleTimeout > 0 && now >= this.#active + idleTimeout) return 'WSD_PEER_IDLE';
    if (pingInterval > 0 && this.#pinged === 0 && now >= this.#heard + pingInterval) {
      this.#pinged = now;
      return 'ping';
    }
    return undefined;
  }

  /** The next time at which `tick` or `overdue` could have something to say; Infinity: never by itself. */
  deadline(): number {
    if (this.#closeBy > 0) return this.#closeBy;
    const { pingInterval, pingTimeout, idleTimeout, messageTimeout } = this.#settings;
    let next = Infinity;
    if (this.#pinged > 0) next = this.#pinged + pingTimeout;
    else if (pingInterval > 0) next = this.#heard + pingInterval;
    if (idleTimeout > 0) next = Math.min(next, this.#active + idleTimeout);
    if (this.#began > 0) next = Math.min(next, this.#began + messageTimeout);
    return next;
  }
}
