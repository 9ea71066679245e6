// A node in Node: reads its credential, and dials by lib/client. Everything that a page does as well is in node.ts. PROTOCOL.md sections 1 and 8.
import { open } from '../client/open.js';
import { openSession } from '../client/session.js';
import { randomFraction } from '../crypto/entropy.js';
import { nodeSuite } from '../crypto/node.js';
import { WsdError } from '../fault.js';
import { PACKAGE_PROTOCOL, type PackageCarrier, SECURE_PACKAGE_PROTOCOL } from '../link/packages.js';
import { Session } from '../link/session.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import { after } from '../net/wait.js';
import { resolveNode } from '../options/node.js';
import type { NodeOptions, ResolvedNode } from '../options/node-types.js';
import { resolveClient } from '../options/options.js';
import { parseCredential, writeCredential } from '../package/credential.js';
import { LEASE, MAX_PACKAGE } from '../package/limits.js';
import { nodeCredential } from '../package/token-node.js';
import { Node } from './node.js';
import type { NodeRoad } from './road.js';

/**
 * Becomes a node: resolves when the dispatch has answered. Handlers that are registered right after the `await`, or in `prepare`, which runs
 * before anything is dialled and can call nobody yet, miss no package. It comes back by itself when its connection is lost.
 *
 * Rejects with a WsdError when the dispatch cannot be reached, a PackageError when it does not believe the credential (`bad_token`), or a
 * TypeError for options or a credential that are wrong.
 */
export const createNode = async (options: NodeOptions, prepare?: (node: Node) => unknown): Promise<Node> => {
  const resolved = resolveNode(options);
  const { credential: given, scopes, reconnect, patient, timeout } = resolved;
  // What was made by hand is checked as what was read.
  const credential = parseCredential(typeof given === 'string' ? given : writeCredential(given));
  const { node: nodeID, role, audience, url } = credential;
  const { signer, keys } = nodeCredential(credential);
  const lease = leaseOf(resolved.lease, credential.lease);
  const dial = dialler(resolved.url ?? url, resolved);
  const road: NodeRoad = {
    dial: async (signal) => ({ carrier: await dial(signal), signer, keys }),
    now,
    wall,
    after,
    chance: randomFraction,
    random: (size) => nodeSuite.random(size),
    pace: (paced) => new Pacer(paced),
    leave: (carrier) => {
      if (carrier instanceof Session) void carrier.close();
      else carrier.terminate();
    },
  };
  const { maxConcurrent, maxWaiting, maxCalls, limit } = resolved;
  const limits = { maxConcurrent, maxWaiting, maxCalls, limit };
  const node = new Node(road, { nodeID, role, audience, scopes, reconnect, patient, lease, timeout, ...limits });
  await prepare?.(node);
  await node.begin(resolved.signal);
  return node;
};

/** Who counts a longer lease than the dispatch believes that he owns what another has been given. */
const leaseOf = (wished: number | undefined, theirs: number | undefined): number => {
  if (wished !== undefined && theirs !== undefined && wished > theirs) {
    throw new TypeError(`createNode: lease must be at most ${theirs}, the lease of the dispatch by the credential`);
  }
  return wished ?? theirs ?? LEASE;
};

/** Options of connections are checked here, once. */
const dialler = (
  url: string | URL,
  { connection, packets, timeout, reconnect }: ResolvedNode,
): ((signal: AbortSignal) => Promise<PackageCarrier>) => {
  if (packets === undefined) {
    const own = { subprotocols: [PACKAGE_PROTOCOL], maxMessage: MAX_PACKAGE, timeout };
    const resolved = resolveClient({ ...connection, ...own });
    return async (signal) => {
      const opened = await open(url, { ...resolved, rest: { ...resolved.rest, signal } });
      if (opened.connection.subprotocol === PACKAGE_PROTOCOL) return opened.connection;
      opened.connection.terminate();
      throw new WsdError('WSD_DIAL_PROTOCOL', `the server does not speak ${PACKAGE_PROTOCOL}`);
    };
  }
  const again = reconnect ?? (false as const);
  const resolved = resolveClient({ ...connection, timeout, packets: { ...packets, reconnect: again } });
  const settings = resolved.rest.packets;
  if (settings === undefined) throw new TypeError('createNode: packets must be an object');
  return (signal) =>
    openSession(url, { ...resolved, rest: { ...resolved.rest, signal } }, settings, SECURE_PACKAGE_PROTOCOL);
};
