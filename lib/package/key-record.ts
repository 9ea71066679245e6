// A node and its key → what the key ring of a dispatch holds of it. By ES256 the dispatch has the public half and answers by a key of its own;
// by HS256 both ends have the secret, so what verifies the node's tokens also signs the answers. Node only. PROTOCOL.md section 8.2.
import type { KeyObject } from 'node:crypto';
import { isNodeID } from './identifier.js';
import { isKid } from './key-ring.js';
import type { Grant, KeyRecord } from './package.js';
import { nodeSigner, nodeVerifier } from './token-node.js';

export type NodeKeyGiven =
  | { readonly kid: string; readonly alg: 'ES256' /** Public. */; readonly key: KeyObject }
  | { readonly kid: string; readonly alg: 'HS256'; readonly secret: KeyObject };

/** `dispatch`: the id of whoever answers, the issuer of what is signed by the secret. */
export const nodeRecord = (grant: Grant, given: NodeKeyGiven, dispatch = 'dispatch'): KeyRecord => {
  const { kid, alg } = given;
  if (!isKid(kid)) throw new TypeError('a kid has 1 to 64 letters, digits, dots, underscores and dashes');
  if (!isNodeID(grant.node)) throw new TypeError('the node is not a valid nodeID');
  if (grant.node === dispatch) throw new TypeError(`${dispatch} is the dispatch itself`);
  const verifier = nodeVerifier(alg, alg === 'ES256' ? given.key : given.secret);
  const signer = alg === 'ES256' ? undefined : nodeSigner({ kid, alg, key: given.secret, node: dispatch });
  const { node, role, scopes, users, permissions, endpoints } = grant;
  // Written out: a spread would give each record a shape of its own, which is larger than the record.
  return { kid, verifier, signer, node, role, scopes, users, permissions, endpoints };
};
