// Of a write that its node was not entitled to any longer: whether it is worth keeping. PROTOCOL.md section 9.1, conflict copies.
import type { JsonObject } from '../package/package.js';
import type { OwnershipRecord } from './ports.js';

/** Both have been parsed from JSON; members in another order make another document, which only means that a copy more is kept. */
export function isSameDocument(a: JsonObject, b: JsonObject): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/**
 * An epoch that is over has had an owner, and this may be it. The current epoch is over as well when its owner has let go. An epoch that
 * never was, or that is another's, is no late write but a false one, and must not push the copies of real ones out.
 */
export function isLateWrite(epoch: number | undefined, record: OwnershipRecord): boolean {
  if (epoch === undefined) return record.epoch > 0;
  return epoch >= 1 && (epoch < record.epoch || (epoch === record.epoch && record.owner === null));
}
