// A connection's settings for unit benches: nothing limits, nothing times out.
import type { ConnectionSettings } from '../../../lib/websocket/settings.js';

export const SETTINGS: ConnectionSettings = {
  maxMessage: 1 << 26,
  maxFragments: 1 << 17,
  messageTimeout: 300_000,
  closeTimeout: 5_000,
  pingInterval: 0,
  pingTimeout: 20_000,
  idleTimeout: 0,
  highWater: 1 << 26,
  maxBuffered: 1 << 27,
  policy: 'close',
  threshold: 64,
  sharedReads: true,
  directWrites: true,
  text: 'bytes',
  lend: true,
  concurrency: 1,
  rate: undefined,
};
