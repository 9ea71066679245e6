// The data directory of a daemon: its own key, the certificate of its packet sessions, the nodes it knows, the credentials it has handed out, and its
// store. Opening it makes what is missing; nothing in it is ever replaced by itself. Folders have the mode 0700, files 0600,
// those of the store among them.
//
//   dispatch.json          the key by which the dispatch signs
//   session.pem            the certificate of packet sessions and its key
//   nodes/NAME.json        who may connect (node-file.ts)
//   credentials/NAME.json  what a node connects with: to be moved to where the node runs
//   store/                 the documents (classic-level)
//   daemon.json            who ran last: process and URL
//   config.json            the configuration, if it lies here
//   lock                   while a command changes what is known of the nodes (lock.ts)
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { makeNodeKey, publicKeyOf, readPrivateKey, writePem } from '../crypto/package-keys.js';
import { certificateInfo, makeCertificate } from '../index.js';
import { isKid } from '../package/key-ring.js';
import type { Signer } from '../package/package.js';
import { nodeSigner } from '../package/token-node.js';
import { DaemonError } from './daemon-error.js';
import { checkDocument, parseDocument } from './document.js';
import { privateFolder, readPrivate, sweepFolder, writePrivate } from './private-files.js';

export const DISPATCH = 'dispatch';

export interface Home {
  /** Absolute. */
  readonly directory: string;
  /** The keys were made just now. */
  readonly made: boolean;
  /** Nobody has ever been let in: the folder of nodes was made just now, or is empty of everything. */
  readonly unknown: boolean;
  readonly signer: Signer;
  /** SPKI in PEM: what credentials say. */
  readonly publicKey: string;
  /** Of packet sessions, in PEM. */
  readonly session: { readonly certificate: string; readonly key: string; readonly pin: string };
}

const at = {
  key: 'dispatch.json',
  session: 'session.pem',
  nodes: 'nodes',
  credentials: 'credentials',
  store: 'store',
  daemon: 'daemon.json',
  config: 'config.json',
  lock: 'lock',
} as const;

export const placeIn = (directory: string, what: keyof typeof at): string => join(directory, at[what]);
export const fileOfNode = (directory: string, node: string): string => join(directory, at.nodes, `${node}.json`);
export const fileOfCredential = (directory: string, node: string): string =>
  join(directory, at.credentials, `${node}.json`);

const keySchema = z.strictObject({
  wsd: z.literal(1),
  kid: z.string().refine(isKid, 'must be 1 to 64 letters, digits, dots, underscores and dashes'),
  alg: z.literal('ES256'),
  key: z.string(),
});

/** `make`: false refuses a directory that has no keys. `wall`: ms since 1970. */
export const openHome = async (
  path: string,
  { make, wall }: { readonly make: boolean; readonly wall: number },
): Promise<Home> => {
  const directory = resolve(path);
  const keyFile = placeIn(directory, 'key');
  if (!make && (await readPrivate(keyFile)) === undefined) {
    throw new DaemonError(`${directory} is no data directory: wsd init makes one, --data says where it is`);
  }
  await privateFolder(directory);
  await sweepFolder(directory, wall);
  const known = await privateFolder(placeIn(directory, 'nodes'));
  await sweepFolder(placeIn(directory, 'nodes'), wall);
  await privateFolder(placeIn(directory, 'credentials'));
  await sweepFolder(placeIn(directory, 'credentials'), wall);
  const { made, text } = await takeOrMake(keyFile, () => {
    const key = writePem(makeNodeKey().privateKey);
    return `${JSON.stringify({ wsd: 1, kid: `${DISPATCH}.1`, alg: 'ES256', key }, undefined, 2)}\n`;
  });
  const unknown = known === 'made' || (made && (await readdir(placeIn(directory, 'nodes'))).length === 0);
  return { directory, made, unknown, ...readKey(keyFile, text), session: await takeSession(directory, wall) };
};

const readKey = (path: string, text: string): Pick<Home, 'signer' | 'publicKey'> => {
  const json = parseDocument(path, text);
  const { kid, alg, key: pem } = checkDocument(path, json, keySchema);
  try {
    const key = readPrivateKey(pem);
    return { signer: nodeSigner({ kid, alg, key, node: DISPATCH }), publicKey: writePem(publicKeyOf(key)) };
  } catch (error) {
    const { line, column } = json.placeOf(['key']);
    throw new DaemonError(`${path}:${line}:${column}: key: ${(error as Error).message}`);
  }
};

/** Two that start at once agree on what the first has made. */
const takeOrMake = async (
  path: string,
  make: () => string,
): Promise<{ readonly made: boolean; readonly text: string }> => {
  const found = await readPrivate(path);
  if (found !== undefined) return { made: false, text: found };
  const text = make();
  try {
    await writePrivate(path, text, 'keep');
    return { made: true, text };
  } catch (error) {
    const theirs = await readPrivate(path);
    if (theirs === undefined) throw error;
    return { made: false, text: theirs };
  }
};

/** As long as a CA's: it is trusted by its pin, which a new one would change. */
const CERTIFICATE_DAYS = 3650;

const PRIVATE_KEY = '-----BEGIN PRIVATE KEY-----';

const takeSession = async (directory: string, wall: number): Promise<Home['session']> => {
  const path = placeIn(directory, 'session');
  const { text } = await takeOrMake(path, () => {
    const made = makeCertificate({ now: wall, subject: 'wsd dispatch', days: CERTIFICATE_DAYS, usage: ['server'] });
    return made.certificatePem + made.keyPem;
  });
  const split = text.indexOf(PRIVATE_KEY);
  if (split < 0) throw new DaemonError(`${path} has no private key: a PEM certificate and its key belong there`);
  const [certificate, key] = [text.slice(0, split), text.slice(split)];
  try {
    return { certificate, key, pin: certificateInfo(certificate).fingerprint };
  } catch (error) {
    throw new DaemonError(`${path}: ${(error as Error).message}`);
  }
};
