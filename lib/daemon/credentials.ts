// Nodes are let in, given new keys, and shut out: a credential file for the node, and what the dispatch must know of it in the data directory. The
// credential is written first, so that nobody is let in by a key that nobody has. A running daemon sees all of this by itself.
import { rm } from 'node:fs/promises';
import { random32 } from '../crypto/entropy.js';
import { makeNodeKey, makeSecret, writePem, writeSecret } from '../crypto/package-keys.js';
import { type Credential, parseCredential, writeCredential } from '../package/credential.js';
import { isNodeID, isSnowflake } from '../package/identifier.js';
import { LEASE } from '../package/limits.js';
import type { Algorithm, Permission } from '../package/package.js';
import { DaemonError } from './daemon-error.js';
import { DISPATCH, fileOfCredential, fileOfNode, type Home } from './home.js';
import { locked } from './lock.js';
import { type KeyEntry, type NodeFile, parseNodeFile, writeNodeFile } from './node-file.js';
import { readPrivate, writePrivate } from './private-files.js';

/** What a node may do, besides what its role may. */
export interface Grants {
  readonly users?: readonly string[] | undefined;
  readonly scopes?: readonly number[] | undefined;
  readonly permissions?: readonly Permission[] | undefined;
  readonly endpoints?: readonly string[] | undefined;
}

export interface NewCredential extends Grants {
  readonly node: string;
  readonly role: 'front' | 'service';
  /** Without it: ES256 of a service, HS256 of a front (PROTOCOL.md section 8.2). */
  readonly alg?: Algorithm | undefined;
  readonly url: string;
  readonly audience?: string | undefined;
  /** ms: that of the dispatch. */
  readonly lease?: number | undefined;
  /** Where the credential is written. Default: in the data directory. */
  readonly out?: string | undefined;
}

export interface Handed {
  /** Where the credential lies. */
  readonly file: string;
  readonly credential: Credential;
}

/** Throws a RangeError for what is no node. */
export const addNode = async (home: Home, wanted: NewCredential): Promise<Handed> =>
  locked(home.directory, () => addLocked(home, wanted));

/** The directory is locked already. */
export const addLocked = async (home: Home, wanted: NewCredential): Promise<Handed> => {
  checkNames(wanted);
  const { node, role, users, scopes, permissions, endpoints } = wanted;
  const place = fileOfNode(home.directory, node);
  if ((await readPrivate(place)) !== undefined) throw known(node);
  const { credential, entry } = makeKey(home, wanted, 1);
  const file: NodeFile = { wsd: 1, node, role, users, scopes, permissions, endpoints, keys: [entry] };
  return handOut(home, wanted, credential, async () => {
    try {
      await writePrivate(place, writeNodeFile(file), 'keep');
    } catch (error) {
      throw (await readPrivate(place)) === undefined ? error : known(node);
    }
  });
};

const known = (node: string): DaemonError =>
  new DaemonError(`${node} is known already: --rotate gives it a new key, --revoke shuts it out`);

export interface Rotation extends Pick<NewCredential, 'node' | 'alg' | 'url' | 'audience' | 'lease' | 'out'> {
  /** ms for which the old keys are still good. */
  readonly grace: number;
  /** ms since 1970 */
  readonly wall: number;
}

/** A new key for a node that is known; its rights stay. The credential replaces the old one if it lies in the same place. */
export const rotateKey = async (home: Home, wanted: Rotation): Promise<Handed> =>
  locked(home.directory, () => rotateLocked(home, wanted));

const rotateLocked = async (home: Home, wanted: Rotation): Promise<Handed> => {
  const { node, grace, wall } = wanted;
  const { place, file } = await findNode(home, node);
  const last = file.keys.at(-1);
  const number = Math.max(0, ...file.keys.map(({ kid }) => numberOf(kid))) + 1;
  const alg = wanted.alg ?? last?.alg;
  const { credential, entry } = makeKey(home, { ...wanted, role: file.role, alg }, number);
  const until = new Date(wall + grace).toISOString();
  // Keys whose time is over long ago are forgotten; one that ends sooner keeps its end.
  const old = file.keys
    .filter((key) => key.until === undefined || Date.parse(key.until) > wall)
    .map((key) => (key.until !== undefined && key.until < until ? key : { ...key, until }));
  const next = { ...file, keys: [...old, entry] };
  return handOut(home, wanted, credential, () => writePrivate(place, writeNodeFile(next), 'replace'), 'replace');
};

/** The daemon ends its connection and lets it in no more. */
export const removeNode = async (home: Home, node: string): Promise<void> =>
  locked(home.directory, async () => {
    const { place } = await findNode(home, node);
    await rm(place);
    await rm(fileOfCredential(home.directory, node), { force: true });
  });

const findNode = async (home: Home, node: string): Promise<{ readonly place: string; readonly file: NodeFile }> => {
  checkNode(node);
  const place = fileOfNode(home.directory, node);
  const text = await readPrivate(place);
  if (text === undefined) throw new DaemonError(`${node} is not known in ${home.directory}`);
  return { place, file: parseNodeFile(place, node, text).file };
};

const checkNode = (node: string): void => {
  if (!isNodeID(node)) {
    throw new RangeError(
      'a node is named by 1 to 64 letters, digits, dots, underscores and dashes, a letter or digit first and last',
    );
  }
  if (node === DISPATCH) throw new RangeError('dispatch is the name of the dispatch itself');
};

const checkNames = ({ node, users, scopes, endpoints }: NewCredential): void => {
  checkNode(node);
  const user = users?.find((one) => !isSnowflake(one));
  if (user !== undefined) throw new RangeError('a user is a Snowflake: a number from 1 to 18446744073709551615');
  if (scopes?.some((scope) => !Number.isSafeInteger(scope) || scope < 0)) {
    throw new RangeError('a scope is a whole number');
  }
  if (endpoints?.some((endpoint) => endpoint === '' || Buffer.byteLength(endpoint) > 256)) {
    throw new RangeError('an endpoint has 1 to 256 bytes');
  }
};

/**
 * `svc-a.1.9f3c2a7d`: whose, the how manyth, and digits that no other has, since who is shut out and let in again must not be taken for who he was.
 * Of a long name only the beginning fits: the digits tell it from others that begin so.
 */
const LONGEST_NAME = 46;
const kidOf = (node: string, number: number): string =>
  `${node.slice(0, LONGEST_NAME)}.${number}.${random32().toString(16).padStart(8, '0')}`;
const numberOf = (kid: string): number => Number(/\.(\d{1,7})(?:\.[0-9a-f]{8})?$/.exec(kid)?.[1] ?? 0);

const makeKey = (
  home: Home,
  { node, role, alg, url, audience, lease }: Omit<NewCredential, keyof Grants | 'out'>,
  number: number,
): { readonly credential: Credential; readonly entry: KeyEntry } => {
  const kid = kidOf(node, number);
  const common = {
    ...{ url, node, role, kid },
    ...(audience === undefined ? {} : { audience }),
    ...(lease === undefined || lease === LEASE ? {} : { lease }),
  };
  if ((alg ?? (role === 'front' ? 'HS256' : 'ES256')) === 'HS256') {
    const secret = writeSecret(makeSecret());
    return { credential: { ...common, alg: 'HS256', secret }, entry: { kid, alg: 'HS256', secret } };
  }
  const { privateKey, publicKey } = makeNodeKey();
  const dispatch = { kid: home.signer.kid, alg: 'ES256', key: home.publicKey } as const;
  return {
    credential: { ...common, alg: 'ES256', key: writePem(privateKey), dispatch },
    entry: { kid, alg: 'ES256', key: writePem(publicKey) },
  };
};

const isCredentialOf = (node: string, text: string): boolean => {
  try {
    return parseCredential(text).node === node;
  } catch {
    return false;
  }
};

const handOut = async (
  home: Home,
  { node, out }: Pick<NewCredential, 'node' | 'out'>,
  credential: Credential,
  letIn: () => Promise<void>,
  how: 'keep' | 'replace' = 'keep',
): Promise<Handed> => {
  const file = out ?? fileOfCredential(home.directory, node);
  const before = how === 'replace' ? await readPrivate(file) : undefined;
  if (before !== undefined && !isCredentialOf(node, before)) {
    throw new DaemonError(`${file} is not a credential of ${node}: it is left alone`);
  }
  await writePrivate(file, writeCredential(credential), how);
  try {
    await letIn();
  } catch (error) {
    // As if nothing had been tried.
    if (before === undefined) await rm(file, { force: true }).catch(() => {});
    else await writePrivate(file, before, 'replace').catch(() => {});
    throw error;
  }
  return { file, credential };
};
