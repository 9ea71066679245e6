// Header, body and footer → a signed token on its way, and how long it holds. Knows who signs for whom; what may be said is checked before.
// PROTOCOL.md sections 8.1 and 8.2.
import { JtiSource } from './jti.js';
import { CLOCK_TOLERANCE, MAX_TOKEN_TTL } from './limits.js';
import type { KeyRecord, Package, SenderRole, Signer } from './package.js';
import type { PeerSettings } from './peer-settings.js';
import { writeToken } from './token.js';

export type OutboundSettings = Pick<PeerSettings, 'signer' | 'wall' | 'random' | 'audience'>;

export interface Letter {
  readonly pkg: Package;
  /** Seconds since 1970. */
  readonly exp: number;
  /** Of what is passed on, when it was signed first. */
  readonly iat?: number | undefined;
  readonly jti?: string | undefined;
  readonly re?: string | undefined;
  readonly org?: string | undefined;
  readonly rol?: SenderRole | undefined;
}

export class Outbound {
  readonly #settings: OutboundSettings;
  readonly #jtis: JtiSource;

  constructor(settings: OutboundSettings) {
    this.#settings = settings;
    this.#jtis = new JtiSource((size) => settings.random(size));
  }

  /** For a package that is signed next. */
  jti(): string {
    return this.#jtis.next();
  }

  signer(to: KeyRecord | undefined): Signer {
    const { signer } = this.#settings;
    return typeof signer === 'function' ? signer(to) : signer;
  }

  /** When a package that is good for so many ms ends: not before, and less than a second later. */
  expiry(ms: number): number {
    const wall = this.#settings.wall();
    return Math.min(Math.ceil((wall + ms) / 1000), Math.floor(wall / 1000) + MAX_TOKEN_TTL);
  }

  /** Undefined: its time is over. A RangeError when it is longer than a peer may accept. */
  sign(
    { pkg, exp, iat: first, jti = this.jti(), re, org, rol }: Letter,
    to: KeyRecord | undefined,
  ): string | undefined {
    const { audience } = this.#settings;
    const now = Math.floor(this.#settings.wall() / 1000);
    if (exp + (first === undefined ? 0 : CLOCK_TOLERANCE) <= now) return undefined;
    // Over by our clock, and not by one that may be as wrong as the tolerance: whoever gets it decides by his own.
    const iat = exp <= now && first !== undefined ? first : now;
    return writeToken(this.signer(to), pkg, {
      iat,
      exp: Math.min(exp, iat + MAX_TOKEN_TTL),
      jti,
      re,
      org,
      rol,
      aud: audience,
    });
  }
}
