// How late the event loop comes back to its work: the sign of a handler that blocks it. Measured from the first question on, so that who
// never asks pays nothing.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** Milliseconds since the last question. */
export interface LoopDelay {
  readonly mean: number;
  readonly p99: number;
  readonly max: number;
}

const GRAIN_MS = 10;
let histogram: IntervalHistogram | undefined;

export const loopDelay = (): LoopDelay => {
  if (histogram === undefined) {
    histogram = monitorEventLoopDelay({ resolution: GRAIN_MS });
    histogram.enable();
  }
  // It measures from timer to timer: the timer's own time is no delay.
  const beyond = (ns: number): number => (Number.isFinite(ns) ? Math.max(0, ns / 1e6 - GRAIN_MS) : 0);
  const delay = { mean: beyond(histogram.mean), p99: beyond(histogram.percentile(99)), max: beyond(histogram.max) };
  histogram.reset();
  return delay;
};
