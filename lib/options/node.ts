// The options of a node: types, defaults, limits, texts. What goes to the connection under it is checked where connections are.
import * as z from 'zod';
import { explain } from './explain.js';
import type { NodeOptions, ResolvedNode } from './node-types.js';
import { clientPackets, reconnect } from './packets.js';

const count = (text: string): z.ZodNumber =>
  z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .describe(text);

const scope = z.custom(
  (value) => typeof value === 'object' && value !== null && typeof (value as { id?: unknown }).id === 'number',
  'must be a scope: what defineScope returns',
);

export const nodeOptions: z.ZodObject = z.strictObject({
  credential: z
    .union([z.string(), z.looseObject({})], 'must be the text of a credential, or what parseCredential made of it')
    .describe('who it is: the text of a credential file'),
  url: z
    .union([z.string(), z.instanceof(URL)], 'must be a string or a URL')
    .optional()
    .describe('where the dispatch is; default: what the credential says'),
  packets: clientPackets
    .optional()
    .describe('packages in a packet session (v0.secure-package.wsd) instead of text messages'),
  connection: z
    .looseObject({})
    .default({})
    .describe('options of connect() for the connections of this node, such as headers, tls and proxy'),
  scopes: z.array(scope).default([]).describe('scopes that are known here without a handler'),
  reconnect: z
    .union([z.literal(false), reconnect])
    .prefault({})
    .transform((value) => (value === false ? undefined : value))
    .describe('waits between attempts, {min, max, attempts}, with jitter; false: closed with its connection'),
  patient: z.boolean().default(false).describe('try again also when the first attempt fails, until `signal`'),
  lease: count('the lease of the dispatch in ms: so long an owner that is not heard stays one')
    .optional()
    .describe(
      'so many ms an owner that is not heard stays one: not longer than the lease of the dispatch; default: what the credential says, or 15,000',
    ),
  timeout: count('time in ms to open a connection, and again for the first answer').default(10_000),
  signal: z
    .custom<AbortSignal>((value) => value instanceof AbortSignal, 'must be an AbortSignal')
    .optional()
    .describe('calls the first opening off; a node that is open is not touched'),
  maxConcurrent: count('asynchronous handlers of one node that run side by side').default(64),
  maxWaiting: count('packages of one node that wait for one of them to end').default(256),
  maxCalls: count('calls of ours to one node without an answer').default(10_000),
  limit: z
    .strictObject({ perSecond: z.number().positive(), burst: z.number().min(1) })
    .optional()
    .describe('packages of each scope a node may send, {perSecond, burst}, where the scope says nothing itself'),
});

/** Throws a TypeError that names every option that is wrong or unknown, and quotes none of a credential. */
export const resolveNode = (options: NodeOptions): ResolvedNode => {
  const parsed = nodeOptions.safeParse(options);
  if (!parsed.success) throw explain('createNode', parsed.error, nodeOptions);
  return parsed.data as unknown as ResolvedNode;
};
