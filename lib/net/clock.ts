// The one clock: monotonic milliseconds, so that a clock set back or forward neither kills a peer nor keeps a dead one.
import { performance } from 'node:perf_hooks';

export const now = (): number => performance.now();
