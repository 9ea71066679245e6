// The two packages of the protocol that a node answers by itself: a document is asked back (102), and one is given to us unasked (101). Only the
// dispatch may say so, and to this node by name: what it merely forwards has another sender, and its key signs for all nodes. PROTOCOL.md sections
// 9 and 9.1.
import { UD_REVOKE, UD_TRANSFER } from '../package/core-scopes.js';
import { isSnowflake } from '../package/identifier.js';
import type { Context, Handler, Middleware } from '../package/peer-types.js';
import { isObject, parsePayload } from '../package/schema.js';
import { splitToken } from '../package/token.js';
import type { Document } from './document.js';
import type { Documents } from './documents.js';

type Said = Pick<Context, 'claims' | 'header'>;

const isForUs = ({ claims, header }: Said, node: string): boolean =>
  claims.org === undefined && header.destination === node;

export const revokes =
  (documents: Pick<Documents, 'handOver' | 'sendOff'>, node: string): Handler<typeof UD_REVOKE, unknown> =>
  async ({ user, epoch, to, deadline }, ctx) => {
    if (!isForUs(ctx, node)) return ctx.refuse('forbidden');
    const found = await documents.handOver(user, epoch, { to, deadline });
    // We do not write it: whoever asks may have what is stored.
    if (found === undefined) return ctx.refuse('stale_epoch');
    // Whoever has asked is not there to be answered: it goes unasked.
    if (ctx.peer.state === 'ended') documents.sendOff(found);
    return { ...(user === undefined ? {} : { user }), epoch, userData: found.kept };
  };

export const transfers =
  (
    documents: Pick<Documents, 'granted'>,
    node: string,
    assigned: (document: Document) => void,
  ): Handler<typeof UD_TRANSFER, unknown> =>
  (grant, ctx) => {
    if (!isForUs(ctx, node)) return ctx.refuse('forbidden');
    const document = documents.granted(grant);
    if (document !== undefined) assigned(document);
    return undefined;
  };

/** Around the handlers of a user, and not around these: who loses a document must hear of it at once, whatever else is refused. */
export const aroundOthers = <Data>(middleware: Middleware<Data>): Middleware<Data> => {
  if (typeof middleware !== 'function') throw new TypeError('a middleware must be a function');
  return (ctx, next) => (OURS.includes(ctx.scope.id) ? next() : middleware(ctx, next));
};

const OURS: readonly number[] = [UD_REVOKE.id, UD_TRANSFER.id];

/**
 * A token of the dispatch whose signature holds, and which was refused all the same: for its time, for a limit, for a member that is newer
 * than we are. Of a 102 to this node this is what it asks for; undefined: it is none, or of nobody knows whom.
 */
export const revokeIn = (
  text: string | undefined,
  node: string,
): { readonly user?: string; readonly epoch?: number } | undefined => {
  if (text === undefined) return undefined;
  const split = splitToken(text);
  const parsed = split.kind === 'split' ? parsePayload(split.payload) : split;
  if (parsed.kind !== 'payload') return undefined;
  const { header, body, claims } = parsed;
  if (!isObject(header) || header['scope'] !== UD_REVOKE.id || !isObject(body)) return undefined;
  const { user, epoch } = body;
  if ((claims as { readonly org?: unknown }).org !== undefined || header['destination'] !== node) return undefined;
  if (user !== undefined && (typeof user !== 'string' || !isSnowflake(user))) return undefined;
  return {
    ...(user === undefined ? {} : { user }),
    ...(Number.isSafeInteger(epoch) ? { epoch: epoch as number } : {}),
  };
};
