// How much of one peer may wait here: what the settings say, or the defaults. PROTOCOL.md section 10.
import type { CallsLimits } from './calls.js';
import type { LineLimits } from './line.js';
import type { PeerSettings } from './peer-settings.js';

const CONCURRENT = 64;
const WAITING = 256;
/** Characters of tokens whose handlers wait. */
const WAITING_SIZE = 1024 * 1024;
const CALLS = 10_000;
const QUEUED = 1_024;

/** ms a peer is asked to wait when too many of its packages do. */
export const BUSY_DELAY = 1_000;

export interface PeerLimits {
  readonly line: LineLimits;
  readonly calls: CallsLimits;
}

export const limitsOf = ({
  maxConcurrent = CONCURRENT,
  maxWaiting = WAITING,
  maxCalls = CALLS,
  maxQueued = QUEUED,
}: Pick<PeerSettings, 'maxConcurrent' | 'maxWaiting' | 'maxCalls' | 'maxQueued'>): PeerLimits => {
  for (const [name, value] of Object.entries({ maxConcurrent, maxWaiting, maxCalls, maxQueued })) {
    if (!(value >= 1)) throw new RangeError(`${name} must be at least 1, not ${value}`);
  }
  return {
    line: { concurrent: maxConcurrent, waiting: maxWaiting, size: WAITING_SIZE },
    calls: { calls: maxCalls, queued: maxQueued },
  };
};
