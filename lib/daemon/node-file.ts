// nodes/NAME.json of a data directory: who a node is to the dispatch, what it may do and by which keys it is known. Of ES256 the public half lies
// here; of HS256 the secret itself, since there is no other half. Text ↔ values; errors have line and column and quote nothing.
import * as z from 'zod';
import { readPublicKey, readSecret } from '../crypto/package-keys.js';
import { type NodeKeyGiven, nodeRecord } from '../package/key-record.js';
import { isKid } from '../package/key-ring.js';
import type { KeyRecord, Permission } from '../package/package.js';
import { nodeID, snowflake } from '../package/schema.js';
import { checkDocument, mistakesIn, parseDocument } from './document.js';

interface KeyCommon {
  readonly kid: string;
  /** From then on it is refused: a day and time of ISO 8601. */
  readonly until?: string | undefined;
}
export type KeyEntry = KeyCommon &
  (
    | { readonly alg: 'ES256' /** SPKI in PEM. */; readonly key: string }
    | { readonly alg: 'HS256' /** base64url */; readonly secret: string }
  );

export interface NodeFile {
  readonly wsd: 1;
  readonly node: string;
  readonly role: 'front' | 'service';
  readonly users?: readonly string[] | undefined;
  readonly scopes?: readonly number[] | undefined;
  readonly permissions?: readonly Permission[] | undefined;
  readonly endpoints?: readonly string[] | undefined;
  readonly keys: readonly KeyEntry[];
}

const kid = z.string().refine(isKid, 'must be 1 to 64 letters, digits, dots, underscores and dashes');
const until = z.iso.datetime().optional();

const schema = z.strictObject({
  wsd: z.literal(1),
  node: nodeID,
  role: z.enum(['front', 'service']),
  users: z.array(snowflake).optional(),
  scopes: z.array(z.int().min(0)).optional(),
  permissions: z.array(z.enum(['assign'])).optional(),
  endpoints: z.array(z.string().min(1).max(256)).optional(),
  keys: z.array(
    z.discriminatedUnion('alg', [
      z.strictObject({ kid, alg: z.literal('ES256'), key: z.string(), until }),
      z.strictObject({ kid, alg: z.literal('HS256'), secret: z.string(), until }),
    ]),
  ),
});

/** A record of each key, and until when it is good: ms since 1970. */
export interface NodeKeys {
  readonly file: NodeFile;
  readonly records: readonly { readonly record: KeyRecord; readonly until: number | undefined }[];
}

/** `path` is for errors; `name` is what the file is called, which must be the node's. */
export const parseNodeFile = (path: string, name: string, text: string): NodeKeys => {
  const json = parseDocument(path, text);
  const file: NodeFile = checkDocument(path, json, schema);
  const wrong = (at: readonly PropertyKey[], message: string): Error =>
    mistakesIn(path, [{ place: json.placeOf(at), text: message }]);
  if (file.node !== name) throw wrong(['node'], `node must be ${name}, as the file is called`);
  if (file.node === 'dispatch') throw wrong(['node'], 'node must not be dispatch: that name is the dispatch itself');
  const { node, role, users, scopes, permissions, endpoints } = file;
  const grant = { node, role, users, scopes, permissions, endpoints };
  const records = file.keys.map((entry, i) => {
    try {
      return {
        record: nodeRecord(grant, keyOf(entry)),
        until: entry.until === undefined ? undefined : Date.parse(entry.until),
      };
    } catch (error) {
      throw wrong(['keys', i, entry.alg === 'ES256' ? 'key' : 'secret'], `keys[${i}]: ${(error as Error).message}`);
    }
  });
  return { file, records };
};

const keyOf = (entry: KeyEntry): NodeKeyGiven =>
  entry.alg === 'ES256'
    ? { kid: entry.kid, alg: 'ES256', key: readPublicKey(entry.key) }
    : { kid: entry.kid, alg: 'HS256', secret: readSecret(entry.secret) };

export const writeNodeFile = (file: NodeFile): string => `${JSON.stringify(file, undefined, 2)}\n`;
