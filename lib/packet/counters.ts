// What a session counts: packets, octets and messages each way, and one number for each reason to drop or to fail, so that an operator
// sees what went wrong without a log. Plain numbers in one flat object; adding up sessions is the only arithmetic.
import { PACKET_CODES, type PacketCode } from './codes.js';

const NAMES = [
  'packetsIn',
  'packetsOut',
  'bytesIn',
  'bytesOut',
  'messagesIn',
  'messagesOut',
  'reliableIn',
  'reliableOut',
  'acknowledged',
  'undelivered',
  'acksIn',
  'acksOut',
  'pingsIn',
  'pingsOut',
  'pongsIn',
  'pongsOut',
  'retransmissions',
  'opened',
  'resumes',
  'resumesRefused',
  'takenOver',
  'detached',
  'silent',
  'expired',
  'full',
  'large',
  // Dropped without failing the session.
  'droppedPong',
  'droppedAck',
  'droppedAfterEnd',
  'droppedDuplicate',
  'droppedOld',
  'droppedUnreadable',
  'droppedUnopened',
  'droppedFragment',
  'droppedReassembly',
  'droppedEarly',
] as const;

/** A code names the failure we found ourselves; with `remote.` before it, the one the peer told. */
type FailureName = PacketCode | `remote.${PacketCode}`;

export type CounterName = (typeof NAMES)[number] | FailureName;
export type SessionCounters = Record<CounterName, number>;

const CODES = Object.keys(PACKET_CODES) as PacketCode[];

export const COUNTER_NAMES: readonly CounterName[] = [
  ...NAMES,
  ...CODES,
  ...CODES.map((code): FailureName => `remote.${code}`),
];

/** Made at once, and not property by property: then the engine keeps it, and its copies, as an object and not as a table. */
const ZEROS = Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as SessionCounters;

export const newCounters = (): SessionCounters => ({ ...ZEROS });

/** `theirs`: the peer said so. */
export const countFailure = (counters: SessionCounters, code: PacketCode, theirs: boolean): void => {
  if (theirs) counters[`remote.${code}`] += 1;
  else counters[code] += 1;
};

export const addCounters = (sum: SessionCounters, more: Readonly<SessionCounters>): void => {
  for (const name of COUNTER_NAMES) sum[name] += more[name];
};
