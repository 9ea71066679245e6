// The two packages of the protocol that a node answers by itself: a document is asked back (102), and one is given to us unasked (101). Only the
// dispatch may say so, and to this node by name: what it merely forwards has another sender, and its key signs for all nodes. PROTOCOL.md sections
// 9 and 9.1.
import type { UD_REVOKE, UD_TRANSFER } from '../package/core-scopes.js';
import type { Context, Handler } from '../package/peer-types.js';
import type { Document } from './document.js';
import type { Documents } from './documents.js';

type Said = Pick<Context, 'claims' | 'header'>;

const isForUs = ({ claims, header }: Said, node: string): boolean =>
  claims.org === undefined && header.destination === node;

export const revokes =
  (documents: Pick<Documents, 'handOver'>, node: string): Handler<typeof UD_REVOKE, unknown> =>
  async ({ user, epoch, to, deadline }, ctx) => {
    if (!isForUs(ctx, node)) return ctx.refuse('forbidden');
    const userData = await documents.handOver(user, epoch, { to, deadline });
    // We do not write it: whoever asks may have what is stored.
    if (userData === undefined) return ctx.refuse('stale_epoch');
    return { ...(user === undefined ? {} : { user }), epoch, userData };
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
