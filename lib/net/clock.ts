// The one clock: monotonic milliseconds, so that a clock set back or forward neither kills a peer nor keeps a dead one.
import { performance } from 'node:perf_hooks';

export const now = (): number => Math.floor(performance.now());

/** The same clock with its fractions: for what is measured. Where times are kept, whole numbers cost an object each less. */
export const exact = (): number => performance.now();

/** Milliseconds since 1970: for the validity of certificates, and for nothing else. */
export const wall = (): number => Date.now();
