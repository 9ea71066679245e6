// Of a write that its node was not entitled to any longer: whether it is worth keeping, which is so if the node once was. PROTOCOL.md section
// 9.1, conflict copies.
import { MAX_PAST_OWNERS } from '../package/limits.js';
import type { JsonObject } from '../package/package.js';
import type { OwnershipWrite } from './ownership-types.js';
import type { ConflictCopy, OwnershipRecord, PastOwner } from './ports.js';

/** Both have been parsed from JSON; members in another order make another document, which only means that a copy more is kept. */
export function isSameDocument(a: JsonObject, b: JsonObject): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** What the record says of its past when its owner is one no longer: of nodes, not of epochs, so that two that take turns oust no third. */
export function pastOf({ owner, epoch, past }: OwnershipRecord): readonly PastOwner[] | undefined {
  if (owner === null) return past;
  const others = (past ?? []).filter(({ node }) => node !== owner);
  return [...others, { node: owner, epoch }].slice(-MAX_PAST_OWNERS);
}

/**
 * An epoch that is over has had an owner, and this must have been it: what others say is no late write but a false one, and must not push
 * the copies of real ones out. The current epoch is over as well when its owner has let go. A record that knows nothing of its past was
 * written before there was one: then any epoch that is over will do.
 */
function isLateWrite(node: string, epoch: number | undefined, record: OwnershipRecord): boolean {
  const { owner, past } = record;
  const was = past?.find((one) => one.node === node);
  if (epoch === undefined) return record.epoch > 0 && (node === owner || past === undefined || was !== undefined);
  const over = epoch >= 1 && (epoch < record.epoch || (epoch === record.epoch && owner === null));
  return over && (past === undefined || (was !== undefined && epoch <= was.epoch));
}

/** What of it is kept aside; undefined: it is not worth that. */
export function copyOf(
  { key, node, doc }: OwnershipWrite,
  epoch: number | undefined,
  record: OwnershipRecord,
  at: number,
): ConflictCopy | undefined {
  if (!isLateWrite(node, epoch, record)) return undefined;
  return { key, node, epoch: epoch ?? 0, currentEpoch: record.epoch, doc, at };
}
