// explain.ts with Node's primitives: what the public door offers, and `wsd decode --layer packet` shows.
import { nodeSuite } from '../crypto/node.js';
import { explainPackets as explain } from '../packet/explain.js';
import type { CapturedPacket, ExplainedPacket, ExplainPacketOptions } from '../packet/explained.js';

/** The packets of one capture, in the order they were sent: fragments find each other, and clear numbers are counted on. */
export const explainPackets = (
  packets: Iterable<CapturedPacket>,
  options: ExplainPacketOptions = {},
): ExplainedPacket[] => explain(nodeSuite, packets, options);

/** One packet by itself. */
export const explainPacket = (bytes: Uint8Array, options: ExplainPacketOptions = {}): ExplainedPacket =>
  explain(nodeSuite, [{ bytes }], options)[0] as ExplainedPacket;
