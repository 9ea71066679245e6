// What may be asked of a dispatch, and for whom: which document is meant, and who shall receive it. What concerns the
// sender alone (role, scopes, users) was asked before, by his peer. PROTOCOL.md sections 9 and 9.1; HOSTILE 76.
import { type PackageFault, packageFault } from '../package/codes.js';
import type { Nodes } from '../package/nodes.js';
import type { Grant, PackageHeader } from '../package/package.js';

/** The store's key of the one document that is nobody's. No user is called so. */
export const SHARED = 'shared';

/** body.user, else the header's; undefined: the shared document. */
export const userOf = (body: { readonly user?: string | undefined }, header: PackageHeader): string | undefined =>
  body.user ?? header.user;

export const keyOf = (user: string | undefined): string => user ?? SHARED;

const forbidden = (detail: string): PackageFault => packageFault('forbidden', { detail });

/** Names under which nodes may be meant besides their ids: looked up, never dialled. */
export interface Endpoints {
  find(endpoint: string): string | undefined;
}

/** Who shall receive a document: the id, or why not. */
export const receiverOf = (
  body: { readonly nodeID?: string | undefined; readonly endpoint?: string | undefined },
  user: string | undefined,
  asker: Grant,
  endpoints: Endpoints,
  nodes: Pick<Nodes, 'get'>,
): string | PackageFault => {
  const { nodeID, endpoint } = body;
  const meant = endpoint === undefined ? nodeID : endpoints.find(endpoint);
  if (meant === undefined) return packageFault('unknown_destination', { detail: 'the endpoint is not known' });
  if (nodeID !== undefined && nodeID !== meant) {
    const issue = { path: ['body', 'endpoint'], message: 'must mean the same node as nodeID' };
    return packageFault('bad_body', { issues: [issue] });
  }
  if (meant !== asker.node && asker.permissions?.includes('assign') !== true) {
    return forbidden(`${asker.node} may not assign to ${meant}`);
  }
  const receiver = meant === asker.node ? asker : nodes.get(meant)?.peer.record;
  // What it is only its connection tells: of a node of another dispatch nobody knows here whether it may have the document, or is there.
  if (receiver === undefined) return packageFault('unknown_destination', { detail: `${meant} is not connected here` });
  if (receiver.role !== 'service') return forbidden(`${meant} is no service`);
  const mayHave = receiver.users === undefined || (user !== undefined && receiver.users.includes(user));
  return mayHave ? meant : forbidden(`${meant} may not have that document`);
};
