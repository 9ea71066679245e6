// When a client dials again: waits that double and are spread over their whole length, so that clients a server lost together do not come
// back together. Pure; the chance comes in. PROTOCOL.md sections 5.5 and 7.
import type { Detachment } from './session-types.js';

export interface Reconnect {
  /** The first wait is up to this many ms; each further one up to twice as much. */
  readonly min: number;
  /** Longest wait in ms. */
  readonly max: number;
  /** How many attempts in a row; then the session is over. */
  readonly attempts: number;
}

export const RECONNECT: Reconnect = { min: 500, max: 30_000, attempts: Number.POSITIVE_INFINITY };

/** PROTOCOL.md section 7, 1.1: a server without room is left alone at least this long. */
const NO_SPACE_MS = 5_000;

/** Before the attempt of this number, counted from 0; `chance`: in [0, 1). */
export const waitBefore = (
  attempt: number,
  { min, max }: Reconnect,
  why: Detachment | undefined,
  chance: number,
): number => {
  const least = typeof why === 'object' && why.fault.code === 'NO_SPACE' ? NO_SPACE_MS : 0;
  return Math.round(least + chance * Math.min(max, min * 2 ** Math.min(attempt, 30)));
};

/** What the next attempt would only meet again. */
const HOPELESS: readonly string[] = ['CERTIFICATE_INVALID', 'FINISH_INVALID', 'VERSION'];

export const isHopeless = (why: Detachment): boolean => typeof why === 'object' && HOPELESS.includes(why.fault.code);
