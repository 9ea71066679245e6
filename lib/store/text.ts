// Records of ownership and conflict copies as text, and back; which keys there are. What every store keeps, whatever it keeps it in.
// PROTOCOL.md section 9.1. A record is two lines of JSON: what a compare-and-set looks at, then the document, which it need not parse.
import type { ConflictCopy, OwnershipRecord, PastOwner } from '../dispatch/ports.js';
import { MAX_CONFLICTS, MAX_NODE_CONFLICTS } from '../package/limits.js';
import type { JsonObject } from '../package/package.js';

export type StoreErrorCode = 'locked' | 'corrupt' | 'version' | 'closed' | 'missing' | 'failed';

/** The store cannot be used, or what it holds cannot be read. The text is for whoever runs it. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What a compare-and-set compares: 0 and 0 of a record that is not there. */
export interface Head {
  readonly epoch: number;
  readonly version: number;
}

export const NO_HEAD: Head = { epoch: 0, version: 0 };

const MAX_KEY = 128;

/** Users are numbers and the shared document has a name: nothing else gets into a store, so no key can mean another's. Ours to keep: throws. */
export function checkKey(key: string): void {
  if (key.length === 0 || key.length > MAX_KEY) throw new TypeError('the key of a record has 1 to 128 characters');
  for (let i = 0; i < key.length; i += 1) {
    if (!isKeyCode(key.charCodeAt(i))) throw new TypeError('the key of a record has only letters, digits, - and _');
  }
}

const isKeyCode = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x61 && code <= 0x7a) ||
  code === 0x2d ||
  code === 0x5f;

/** What is undefined is not written: a record without a past is one as it was written before there was one. */
export function writeRecord({ epoch, version, owner, leaseUntil, past, doc }: OwnershipRecord): string {
  return `${JSON.stringify({ epoch, version, owner, leaseUntil, past })}\n${JSON.stringify(doc)}`;
}

/** `where` names the record in the error. */
export function parseRecord(text: string, where: string): OwnershipRecord {
  const at = text.indexOf('\n');
  const head = parseObject(text.slice(0, Math.max(at, 0)), where);
  const { epoch, version, owner, leaseUntil, past } = head;
  const doc = parseObject(text.slice(at + 1), where);
  if (!isCount(epoch) || !isCount(version) || !(owner === null || typeof owner === 'string')) throw corrupt(where);
  if (leaseUntil !== undefined && !Number.isFinite(leaseUntil)) throw corrupt(where);
  if (past !== undefined && !isPast(past)) throw corrupt(where);
  const record = { epoch, owner, leaseUntil: leaseUntil as number | undefined, doc, version };
  return past === undefined ? record : { ...record, past };
}

/** As much of a record as a compare-and-set needs. */
export function parseHead(text: string, where: string): Head {
  const { epoch, version } = parseObject(text.slice(0, Math.max(text.indexOf('\n'), 0)), where);
  if (!isCount(epoch) || !isCount(version)) throw corrupt(where);
  return { epoch, version };
}

export const isHead = (a: Head, b: Head): boolean => a.epoch === b.epoch && a.version === b.version;

export function writeConflict({ key, node, epoch, currentEpoch, doc, at }: ConflictCopy): string {
  return JSON.stringify({ key, node, epoch, currentEpoch, doc, at });
}

export function parseConflict(text: string, where: string): ConflictCopy {
  const { key, node, epoch, currentEpoch, doc, at } = parseObject(text, where);
  if (typeof key !== 'string' || typeof node !== 'string' || !isCount(epoch) || !isCount(currentEpoch))
    throw corrupt(where);
  if (!isObject(doc) || typeof at !== 'number') throw corrupt(where);
  return { key, node, epoch, currentEpoch, doc, at };
}

/** The same write, come twice: one copy of it is enough. */
export function isSameConflict(a: ConflictCopy, b: ConflictCopy): boolean {
  return a.node === b.node && a.epoch === b.epoch && JSON.stringify(a.doc) === JSON.stringify(b.doc);
}

/**
 * Which of these copies makes room for one more; -1: none has to. A node that has as many as it may loses its own oldest. Else, when there are
 * too many in all, whoever has the most does: so nobody pushes out what others have written.
 */
export function crowdedOut(copies: readonly ConflictCopy[], { node }: ConflictCopy): number {
  const counts = new Map<string, number>();
  for (const one of copies) counts.set(one.node, (counts.get(one.node) ?? 0) + 1);
  let most = node;
  if ((counts.get(node) ?? 0) < MAX_NODE_CONFLICTS) {
    if (copies.length < MAX_CONFLICTS) return -1;
    for (const [other, count] of counts) if (count > (counts.get(most) ?? 0)) most = other;
  }
  return copies.findIndex((one) => one.node === most);
}

function parseObject(text: string, where: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (cause) {
    throw corrupt(where, cause);
  }
  throw corrupt(where);
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isPast = (value: unknown): value is readonly PastOwner[] =>
  Array.isArray(value) &&
  value.every((one: unknown) => isObject(one) && typeof one['node'] === 'string' && isCount(one['epoch']));

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const corrupt = (where: string, cause?: unknown): StoreError =>
  new StoreError('corrupt', `${where} is not what was written: the store is damaged`, cause);
