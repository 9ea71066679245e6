// The scopes of the protocol itself: their bodies, their answers and who may send them. PROTOCOL.md section 9.
import * as z from 'zod/mini';
import type { PackageIssue } from './codes.js';
import { isCleanText } from './escape.js';
import type { DocumentLengths, Lengths } from './lengths.js';
import { LENGTHS, MAX_DOCUMENT, MAX_ISSUES } from './limits.js';
import type { JsonObject } from './package.js';
import { nodeID, snowflake } from './schema.js';
import { makeScope, type Scope } from './scope.js';

const text = z.string().check(z.refine(isCleanText, 'has characters that are not allowed'));
const whole = z.int().check(z.nonnegative());
/** Grows from 1. */
const epoch = z.int().check(z.positive());
/** Any JSON object: what is in it is between the services. */
const userData = z.looseObject({});
const DOCUMENT: DocumentLengths = { total: MAX_DOCUMENT, key: LENGTHS.userDataKey };
const USER = { user: LENGTHS.snowflake } satisfies Lengths;

/** Of which document a body speaks: of this user, of the header's, or without both of the shared one. */
interface OfUser {
  readonly user?: string | undefined;
}

export interface ErrorBody {
  /** One of the codes of packages; another one only from a peer that is newer. */
  readonly code: string;
  readonly message: string;
  /** Of the package that was wrong. */
  readonly scope?: number | undefined;
  readonly issues?: readonly PackageIssue[] | undefined;
}

/** nodeID, endpoint, or both where they agree. */
export interface OwnershipRequest extends OfUser {
  readonly nodeID?: string | undefined;
  readonly endpoint?: string | undefined;
}

export interface Transfer extends OfUser {
  readonly userData: JsonObject;
  readonly epoch?: number | undefined;
}

export interface Revoke extends OfUser {
  readonly epoch: number;
  /** Who comes next. */
  readonly to?: string | undefined;
  /** ms from the receipt. */
  readonly deadline?: number | undefined;
}

export interface Save extends OfUser {
  readonly epoch: number;
  readonly userData: JsonObject;
}

export interface Saved extends OfUser {
  readonly epoch: number;
  readonly version: number;
}

/** Registers a node and renews its lease. */
export const PING: Scope<undefined, undefined> = makeScope({ id: 0, name: 'PING', reply: { scope: 1 } });

/** Never answered. */
export const PING_RESPONSE: Scope<undefined, never> = makeScope({ id: 1, name: 'PING_RESPONSE' });

/** Never answered. */
export const ERROR: Scope<ErrorBody, never> = makeScope({
  id: 2,
  name: 'ERROR',
  body: z.strictObject({
    code: text,
    message: text,
    scope: z.optional(whole),
    issues: z.optional(
      z.array(z.strictObject({ path: z.array(z.union([text, whole])), message: text })).check(z.maxLength(MAX_ISSUES)),
    ),
  }),
  lengths: { code: LENGTHS.code, message: LENGTHS.message, 'issues.*.message': LENGTHS.message },
});

const transfer = z.strictObject({ userData, user: z.optional(snowflake), epoch: z.optional(epoch) });
const saved = z.strictObject({ user: z.optional(snowflake), epoch, version: whole });

export const UD_REQ_OWNERSHIP: Scope<OwnershipRequest, Transfer> = makeScope({
  id: 100,
  name: 'UD_REQ_OWNERSHIP',
  body: z
    .strictObject({ nodeID: z.optional(nodeID), endpoint: z.optional(text), user: z.optional(snowflake) })
    .check(
      z.refine(({ nodeID, endpoint }) => nodeID !== undefined || endpoint !== undefined, 'needs nodeID or endpoint'),
    ),
  reply: { scope: 101, body: transfer },
  lengths: { nodeID: LENGTHS.node, endpoint: LENGTHS.endpoint, ...USER },
  roles: ['front', 'service'],
});

/** As an answer, or unasked by the owner that lets go. */
export const UD_TRANSFER: Scope<Transfer, never> = makeScope({
  id: 101,
  name: 'UD_TRANSFER',
  body: transfer,
  lengths: { userData: DOCUMENT, ...USER },
  roles: ['service', 'dispatch'],
});

export const UD_REVOKE: Scope<Revoke, Transfer> = makeScope({
  id: 102,
  name: 'UD_REVOKE',
  body: z.strictObject({
    user: z.optional(snowflake),
    epoch,
    to: z.optional(nodeID),
    deadline: z.optional(whole),
  }),
  reply: { scope: 101, body: transfer },
  lengths: { to: LENGTHS.node, ...USER },
  roles: ['dispatch'],
});

export const UD_SAVE: Scope<Save, Saved> = makeScope({
  id: 103,
  name: 'UD_SAVE',
  body: z.strictObject({ user: z.optional(snowflake), epoch, userData }),
  reply: { scope: 104, body: saved },
  lengths: { userData: DOCUMENT, ...USER },
  roles: ['service'],
});

export const UD_SAVED: Scope<Saved, never> = makeScope({
  id: 104,
  name: 'UD_SAVED',
  body: saved,
  lengths: USER,
  roles: ['dispatch'],
});
