// A document as its holder has it → plain JSON that no later change reaches, checked as the dispatch will check it. What is wrong with it is
// our own caller's mistake. PROTOCOL.md sections 8.3, 8.4 and 9.
import type { $ZodType } from 'zod/v4/core';
import { describeFault } from '../package/codes.js';
import { UD_TRANSFER } from '../package/core-scopes.js';
import { checkWith } from '../package/issues.js';
import { checkLengths } from '../package/lengths.js';
import type { JsonObject, PackageHeader } from '../package/package.js';
import { checkBody } from '../package/scope.js';

/** What every document is before somebody says more of it. */
export interface JsonDocument {
  [name: string]: unknown;
}

/** Of the data of a document: what it gives must be JSON that it takes again. */
export type DocumentSchema<Data extends object = object> = $ZodType<Data, unknown>;

const HEADER: PackageHeader = { scope: UD_TRANSFER.id, internal: true, body: true };

const parse = (data: unknown): JsonObject => {
  const text = JSON.stringify(data);
  if (text === undefined || !text.startsWith('{')) throw new TypeError('the data of a document is an object');
  return JSON.parse(text) as JsonObject;
};

/** A copy. Throws a TypeError for what is no JSON or not what the schema says, a RangeError for what is too long. */
export const stateOf = (data: unknown, schema: DocumentSchema | undefined): JsonObject => {
  if (schema !== undefined) readState(data, schema);
  const userData = parse(data);
  const body = { userData };
  const wrong = checkBody(UD_TRANSFER.body, body);
  if (wrong.kind !== 'body') throw new TypeError(`the document cannot be sent: ${describeFault(wrong)}`);
  const long = checkLengths(HEADER, body, UD_TRANSFER.lengths);
  if (long !== undefined) throw new RangeError(`the document cannot be sent: ${describeFault(long)}`);
  return userData;
};

/** A TypeError: the data is not what the schema says. */
export const readState = (data: unknown, schema: DocumentSchema): object => {
  const checked = checkWith(schema, data);
  if (checked.kind === 'value') return checked.value as object;
  if (checked.kind === 'broken') throw new TypeError(`the schema of a document failed: ${checked.error}`);
  const where = checked.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ');
  throw new TypeError(`the document is not what its schema says: ${where}`);
};
