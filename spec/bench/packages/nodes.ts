// Who the nodes of a measurement are: both processes make the same ones from one secret and two keys. Each has a key record of its own, as it would
// in life, though the octets of the keys are the same for all.
import type { KeyObject } from 'node:crypto';
import {
  makeNodeKey,
  makeSecret,
  publicKeyOf,
  readPrivateKey,
  readSecret,
  writePem,
  writeSecret,
} from '../../../lib/crypto/package-keys.js';
import { nodeRecord } from '../../../lib/package/key-record.js';
import { oneKey } from '../../../lib/package/key-ring.js';
import type { Algorithm, KeyRecord, KeySource, Signer } from '../../../lib/package/package.js';
import { nodeSigner, nodeVerifier } from '../../../lib/package/token-node.js';

/** Goes to both processes as JSON. */
export interface Keys {
  readonly secret: string;
  /** PEM. */
  readonly node: string;
  readonly dispatch: string;
}

export const makeKeys = (): Keys => ({
  secret: writeSecret(makeSecret()),
  node: writePem(makeNodeKey().privateKey),
  dispatch: writePem(makeNodeKey().privateKey),
});

export type NodeRole = 'front' | 'service';
export const nodeOf = (role: NodeRole, place: number): string => `${role}-${place}`;
const kidOf = (node: string): string => `${node}.1`;

/** For whom fronts speak. */
export const USER = { user: '175928847299117063', channel: '175928847299117064' } as const;

const DISPATCH = 'dispatch';

/** Those of the server. */
export const dispatchSigner = (alg: Algorithm, { secret, dispatch }: Keys): Signer => {
  const key: KeyObject = alg === 'HS256' ? readSecret(secret) : readPrivateKey(dispatch);
  return nodeSigner({ kid: 'dispatch.1', alg, key, node: DISPATCH });
};

export const recordOf = (alg: Algorithm, role: NodeRole, place: number, keys: Keys): KeyRecord => {
  const node = nodeOf(role, place);
  const kid = kidOf(node);
  const grant = { node, role } as const;
  if (alg === 'HS256') return nodeRecord(grant, { kid, alg, secret: readSecret(keys.secret) });
  return nodeRecord(grant, { kid, alg, key: publicKeyOf(readPrivateKey(keys.node)) });
};

/** Those of a node. */
export const nodeSecurity = (
  alg: Algorithm,
  role: NodeRole,
  place: number,
  keys: Keys,
): { readonly signer: Signer; readonly keys: KeySource } => {
  const node = nodeOf(role, place);
  const kid = kidOf(node);
  const dispatch = { node: DISPATCH, role: 'dispatch' } as const;
  if (alg === 'HS256') {
    const key = readSecret(keys.secret);
    const verifier = nodeVerifier(alg, key);
    return { signer: nodeSigner({ kid, alg, key, node }), keys: oneKey({ ...dispatch, kid, verifier }) };
  }
  const verifier = nodeVerifier(alg, publicKeyOf(readPrivateKey(keys.dispatch)));
  return {
    signer: nodeSigner({ kid, alg, key: readPrivateKey(keys.node), node }),
    keys: oneKey({ ...dispatch, kid: 'dispatch.1', verifier }),
  };
};
