// The options of packages: types, defaults, limits, texts. What is an object of the package layer is known by what it can do.
import * as z from 'zod';
import { LEASE, MAX_WAITING, MINIMUM_HOLD, REVOKE_DEADLINE } from '../package/limits.js';
import type { NodeEvents } from '../package/nodes.js';

const count = (text: string): z.ZodNumber =>
  z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .describe(text);
const callable = (): z.ZodType => z.custom((value) => typeof value === 'function', 'must be a function');

const has = (value: unknown, ...names: readonly string[]): boolean =>
  typeof value === 'object' &&
  value !== null &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');

const capable = (what: string, ...names: readonly string[]): z.ZodType =>
  z.custom((value) => has(value, ...names), `must be ${what}`);

const EVENTS = ['arrived', 'left', 'heard', 'rejected', 'refused', 'failed'] as const satisfies (keyof NodeEvents)[];

const keyring = capable('a KeyRing', 'find');
const signer = capable('a Signer: nodeSigner({ kid, alg, key, node })', 'sign');
/** Nodes believe no other id, so that one would be a dispatch nobody can talk to. */
const ofDispatch = signer.refine(
  (key) => !has(key, 'sign') || (key as { readonly node?: unknown }).node === 'dispatch',
  'must be a Signer of the node `dispatch`',
);
const rate = z.strictObject({ perSecond: z.number().positive(), burst: z.number().min(1) });
const audience = z.string().min(1).max(256);

export const serverPackages: z.ZodObject = z.strictObject({
  key: signer.describe('who we are, and what signs for us'),
  keys: keyring.describe('who may sign what comes: a KeyRing'),
  router: capable('a Router', 'find', 'scope').optional().describe('scopes and their handlers: a Router'),
  audience: audience.optional().describe('name of the deployment, in every package of ours and demanded of theirs'),
  limit: rate
    .optional()
    .describe('packages of each scope a node may send, {perSecond, burst}, where the scope says nothing itself'),
  identifyTimeout: count('time in ms for the first good package of a connection; then 1008').default(10_000),
  sessionNode: callable()
    .optional()
    .describe('whose packet session that is, for packages signed by its own keys: (session) => Grant'),
  maxConcurrent: count('asynchronous handlers of one node that run side by side').default(64),
  maxWaiting: count('packages of one node that wait for one of them to end').default(256),
  maxCalls: count('calls of ours to one node without an answer').default(10_000),
  maxQueued: count('packages of ours that wait because a node said so').default(1_024),
  undeclared: z
    .enum(['refuse', 'route'])
    .default('refuse')
    .describe('scopes from 1000 on that nobody declared: route asks `route`'),
  nodes: capable('Nodes', 'arrive').optional().describe('where nodes are registered, when several servers share it'),
  replay: capable('a ReplayCache', 'take', 'checkAge')
    .optional()
    .describe('which tokens were seen, when several servers share it'),
  rates: capable('Rates', 'take', 'delay')
    .optional()
    .describe('how often each node has sent each scope, when several servers share it'),
  route: callable().optional().describe('where a package goes before its handler: what a dispatch does'),
  awaited: callable().optional().describe('what somebody else has asked under that jti: the same'),
  events: z
    .strictObject(Object.fromEntries(EVENTS.map((name) => [name, callable().optional()])))
    .optional()
    .describe('what a dispatch is told'),
});

const ms = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

/** What `createDispatch` is given. */
export const dispatchOptions: z.ZodObject = z.strictObject({
  store: capable('a Store', 'get', 'commit', 'keepConflict', 'conflicts').describe(
    'where the records of documents are; it stays open when the dispatch is closed',
  ),
  key: ofDispatch.describe('who we are, and what signs for us'),
  keys: keyring.describe('who may sign what comes: a KeyRing'),
  scopes: z
    .array(
      z.custom(
        (value) => typeof (value as { id?: unknown } | null)?.id === 'number',
        'must be a scope: what defineScope returns',
      ),
    )
    .default([])
    .describe('scopes from 1000 on that are validated before they are passed on'),
  undeclared: z.enum(['forward', 'refuse']).default('forward').describe('what becomes of the others from 1000 on'),
  endpoints: z
    .record(z.string(), z.string())
    .optional()
    .describe('other names of nodes, {name: node}, besides those of their keys'),
  audience: audience.optional().describe('name of the deployment, in every package of ours and demanded of theirs'),
  limit: rate
    .optional()
    .describe('packages of each scope a node may send, {perSecond, burst}, where the scope says nothing itself'),
  lease: ms.default(LEASE).describe('an owner that was not heard for so many ms may be replaced'),
  revokeDeadline: ms.default(REVOKE_DEADLINE).describe('ms in which an owner should let go'),
  minimumHold: z.int().min(0).default(MINIMUM_HOLD).describe('ms for which an owner is not asked to let go'),
  maxWaiting: z.int().min(1).default(MAX_WAITING).describe('requests for one document that wait; then `busy`'),
  bus: capable('a Bus', 'attach', 'deliver').optional().describe('how other dispatches are reached; with busKeys'),
  busKeys: keyring.optional().describe('whose keys sign there: theirs and ours'),
});
