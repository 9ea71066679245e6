// The two packages of the protocol that a node answers by itself: a document is asked back (102), and one is given to us unasked (101). Only the
// dispatch may say so: what it merely forwards has another sender. PROTOCOL.md sections 9 and 9.1.
import type { UD_REVOKE, UD_TRANSFER } from '../package/core-scopes.js';
import type { Handler } from '../package/peer-types.js';
import type { Document } from './document.js';
import type { Documents } from './documents.js';

export const revokes =
  (documents: Pick<Documents, 'handOver'>): Handler<typeof UD_REVOKE, unknown> =>
  async ({ user, epoch, to, deadline }, ctx) => {
    if (ctx.claims.org !== undefined) return ctx.refuse('forbidden');
    const userData = await documents.handOver(user, epoch, { to, deadline });
    // We do not write it: whoever asks may have what is stored.
    if (userData === undefined) return ctx.refuse('stale_epoch');
    return { ...(user === undefined ? {} : { user }), epoch, userData };
  };

export const transfers =
  (
    documents: Pick<Documents, 'granted'>,
    assigned: (document: Document) => void,
  ): Handler<typeof UD_TRANSFER, unknown> =>
  (grant, ctx) => {
    if (ctx.claims.org !== undefined) return ctx.refuse('forbidden');
    const document = documents.granted(grant);
    if (document !== undefined) assigned(document);
    return undefined;
  };
