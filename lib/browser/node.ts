// The door for pages that are nodes: what `createNode` is in Node, with the WebSocket of browsers and portable cryptography. A door of its own, so
// that a page with sessions alone does not load schemas. Its tokens are HS256: by a secret that its login gave it, or by the keys of its packet
// session, of which nothing has to be distributed. PROTOCOL.md section 8.2.
import { fromBase64url } from '../bytes/base64url.js';
import { portableSuite } from '../crypto/portable.js';
import type { PackageCarrier } from '../link/package-carriers.js';
import { PACKAGE_PROTOCOL, SECURE_PACKAGE_PROTOCOL } from '../link/packages.js';
import { Session } from '../link/session.js';
import { sessionKeys } from '../link/session-keys.js';
import { Node } from '../node/node.js';
import type { NodeRoad, NodeWay } from '../node/road.js';
import { isNodeID } from '../package/identifier.js';
import { isKid, oneKey } from '../package/key-ring.js';
import { LEASE } from '../package/limits.js';
import type { AnyScope } from '../package/scope.js';
import { portableSigner, portableVerifier } from '../package/token-portable.js';
import { RECONNECT, type Reconnect } from '../packet/reconnect.js';
import { SocketLine } from './line.js';
import type { PageSessionOptions } from './options.js';
import { after, now, PagePace, random, wall } from './page.js';
import { openSession } from './session.js';
import { openSocket } from './way.js';

export { WsdError } from '../fault.js';
export type { Document, Flush, FlushTerms } from '../node/document.js';
export type { OwnOptions } from '../node/documents.js';
export type { Node, NodeCounters } from '../node/node.js';
export type { NodeEnd, NodeEvents } from '../node/node-events.js';
export { Revoked } from '../node/revoked.js';
export { Unsaved } from '../node/unsaved.js';
export type { NodeState } from '../node/uplink.js';
export { PING, UD_REQ_OWNERSHIP, UD_TRANSFER } from '../package/core-scopes.js';
export { type CallCode, PackageError, Refusal as PackageRefusal } from '../package/errors.js';
export type { Answer, CallOptions, Context, Handler, Middleware, SendOptions } from '../package/peer-types.js';
export { type AnyScope, defineScope, type Scope } from '../package/scope.js';
export type { PageSessionOptions } from './options.js';

/** What a login gives a page. */
export interface PageSecret {
  readonly kid: string;
  /** 32 octets or more, or their base64url. */
  readonly secret: string | Uint8Array;
}

export interface PageNodeOptions {
  readonly node: string;
  /** Default 'front'. */
  readonly role?: 'front' | 'service' | undefined;
  /** Signs the packages. Without it the session does. */
  readonly login?: PageSecret | undefined;
  /** Packages in a packet session (v0.secure-package.wsd); whom it trusts, as with connectSession. */
  readonly session?: Omit<PageSessionOptions, 'reconnect' | 'timeout' | 'signal'> | undefined;
  readonly audience?: string | undefined;
  readonly scopes?: readonly AnyScope[] | undefined;
  readonly reconnect?: false | Partial<Reconnect> | undefined;
  readonly patient?: boolean | undefined;
  /** ms: the dispatch's. */
  readonly lease?: number | undefined;
  /** ms to open a connection, and again for the first answer. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const NAMES: readonly string[] = [
  ...['node', 'role', 'login', 'session', 'audience', 'scopes', 'reconnect', 'patient', 'lease', 'timeout', 'signal'],
];
const TIMEOUT = 10_000;

/**
 * Becomes a node: resolves when the dispatch has answered. Handlers that are registered right after the `await`, or in `prepare`, miss no
 * package. Rejects with a WsdError when there is no way to the dispatch, a PackageError when it does not believe us, or a TypeError for
 * options that are wrong.
 */
export const connectNode = async (
  url: string | URL,
  options: PageNodeOptions,
  prepare?: (node: Node) => unknown,
): Promise<Node> => {
  check(options);
  const { node: nodeID, role = 'front', audience, scopes = [], patient = false, lease = LEASE } = options;
  const { timeout = TIMEOUT, reconnect: again } = options;
  const reconnect = again === false ? undefined : { ...RECONNECT, ...again };
  const road: NodeRoad = {
    dial: dialler(String(url), options, timeout),
    now,
    wall,
    after,
    chance: random,
    random: (size) => portableSuite.random(size),
    pace: (paced) => new PagePace(paced),
    leave: (carrier) => {
      if (carrier instanceof Session) void carrier.close();
      else carrier.terminate();
    },
  };
  const node = new Node(road, { nodeID, role, audience, scopes, reconnect, patient, lease, timeout });
  await prepare?.(node);
  await node.begin(options.signal);
  return node;
};

const dialler = (url: string, options: PageNodeOptions, timeout: number): NodeRoad['dial'] => {
  const { node, login, session, reconnect } = options;
  const keys = login === undefined ? undefined : loginKeys(node, login);
  if (session === undefined) {
    return async (signal) => {
      const carrier = new SocketLine(await openSocket(url, PACKAGE_PROTOCOL, timeout, signal));
      return wayOf(carrier, node, keys);
    };
  }
  return async (signal) => {
    const carrier = await openSession(url, { ...session, reconnect, timeout, signal }, SECURE_PACKAGE_PROTOCOL);
    return wayOf(carrier, node, keys);
  };
};

const DISPATCH = { node: 'dispatch', role: 'dispatch' } as const;

type Keys = Omit<NodeWay, 'carrier'>;

const loginKeys = (node: string, { kid, secret: given }: PageSecret): Keys => {
  const secret = typeof given === 'string' ? fromBase64url(given) : given;
  if (secret === undefined) throw wrong('login.secret', 'must be base64url without padding');
  return {
    signer: portableSigner({ kid, secret, node, suite: portableSuite }),
    keys: oneKey({ ...DISPATCH, kid, verifier: portableVerifier(secret, portableSuite) }),
  };
};

const wayOf = (carrier: PackageCarrier, node: string, login: Keys | undefined): NodeWay => {
  if (login !== undefined) return { carrier, ...login };
  const own = sessionKeys(carrier as Session, { grant: DISPATCH, node, suite: portableSuite });
  return { carrier, keys: own.keys, signer: () => own.signer() };
};

const wrong = (name: string, why: string): TypeError => new TypeError(`connectNode: ${name} ${why}`);

/** By hand, since a page should not load a library for it. */
const check = (options: PageNodeOptions): void => {
  if (typeof options !== 'object' || options === null) throw new TypeError('connectNode: options are needed');
  for (const name of Object.keys(options)) if (!NAMES.includes(name)) throw wrong(name, 'is no option of a node');
  const { node, role, login, session, scopes, reconnect } = options;
  if (typeof node !== 'string' || !isNodeID(node) || node === DISPATCH.node) throw wrong('node', 'must be a nodeID');
  if (role !== undefined && role !== 'front' && role !== 'service') throw wrong('role', "must be 'front' or 'service'");
  if (login !== undefined && (typeof login.kid !== 'string' || !isKid(login.kid)))
    throw wrong('login.kid', 'is no kid');
  if (login === undefined && (session === undefined || session.mode === 'none'))
    throw wrong('login', 'or a session that is sealed is needed: by the one or the other packages are signed');
  if (scopes !== undefined && !Array.isArray(scopes)) throw wrong('scopes', 'must be a list of scopes');
  for (const name of ['lease', 'timeout'] as const) {
    const ms = options[name];
    if (ms !== undefined && !(Number.isInteger(ms) && ms >= 1)) throw wrong(name, 'must be a whole number from 1 on');
  }
  if (reconnect === undefined || reconnect === false) return;
  if (typeof reconnect !== 'object' || reconnect === null)
    throw wrong('reconnect', 'must be false or {min, max, attempts}');
  const { min = 1, max = 1, attempts = 1, ...more } = reconnect;
  if (![min, max, attempts].every((one) => one >= 1) || Object.keys(more).length > 0)
    throw wrong('reconnect', 'must be {min, max, attempts}, each from 1 on');
};
