// The file that makes somebody a node: where the dispatch is, who he is there, what he signs with, and by what he knows the dispatch again.
// JSON text ↔ values; whoever writes it to a disk gives it the mode 0600. What is wrong is named by its place, and never quoted: a key
// that was pasted into the wrong member must not end in a log. Whether keys are keys is found out where they are used (token-node.ts).
import { isNodeID } from './identifier.js';
import { isKid } from './key-ring.js';

interface CredentialOf {
  /** ws:, wss: or ws+unix: */
  readonly url: string;
  readonly node: string;
  readonly role: 'front' | 'service';
  readonly kid: string;
  /** The name of the deployment, if it has one. */
  readonly audience?: string | undefined;
  /** ms: the lease of the dispatch, where it is not the usual one. */
  readonly lease?: number | undefined;
}

export interface KeyCredential extends CredentialOf {
  readonly alg: 'ES256';
  /** PKCS#8 in PEM. */
  readonly key: string;
  readonly dispatch: { readonly kid: string; readonly alg: 'ES256' /** SPKI in PEM. */; readonly key: string };
}

/** The dispatch answers by the same secret and kid. */
export interface SecretCredential extends CredentialOf {
  readonly alg: 'HS256';
  /** base64url of at least 32 octets. */
  readonly secret: string;
}

export type Credential = KeyCredential | SecretCredential;

type Members = { readonly [name: string]: unknown };

const VERSION = 1;
const COMMON = ['wsd', 'url', 'node', 'role', 'kid', 'alg', 'audience', 'lease'];
const OF_KEY = [...COMMON, 'key', 'dispatch'];
const OF_SECRET = [...COMMON, 'secret'];
const OF_DISPATCH = ['kid', 'alg', 'key'];
const SCHEMES = ['ws://', 'wss://', 'ws+unix:'];
const MOST_NAME = 32;
const MOST_AUDIENCE = 256;
const MOST_MS = 2 ** 31 - 1;

const wrong = (what: string): TypeError => new TypeError(`the credential is not valid: ${what}`);

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A name that looks like one is told; anything else could be half a key. */
const nameOf = (name: string): string =>
  name.length <= MOST_NAME && isKid(name) ? `the member ${name}` : 'a member with a strange name';

const checkMembers = (value: Members, known: readonly string[], where: string): void => {
  const stranger = Object.keys(value).find((name) => !known.includes(name));
  if (stranger !== undefined) throw wrong(`${nameOf(stranger)} is not known${where}`);
};

const takeText = (value: Members, name: string, where = ''): string => {
  const found = value[name];
  if (typeof found !== 'string' || found === '') throw wrong(`${where}${name} must be a text`);
  return found;
};

const takeKid = (value: Members, where = ''): string => {
  const kid = takeText(value, 'kid', where);
  if (!isKid(kid)) throw wrong(`${where}kid must be 1 to 64 letters, digits, dots, underscores and dashes`);
  return kid;
};

const takeUrl = (value: Members): string => {
  const url = takeText(value, 'url');
  if (!SCHEMES.some((scheme) => url.startsWith(scheme))) throw wrong('url must begin with ws://, wss:// or ws+unix:');
  return url;
};

const takeNode = (value: Members): string => {
  const node = takeText(value, 'node');
  if (!isNodeID(node)) throw wrong('node is not a valid nodeID');
  if (node === 'dispatch') throw wrong('node must not be dispatch: that name is the dispatch itself');
  return node;
};

const takePem = (value: Members, label: string, where = ''): string => {
  const pem = takeText(value, 'key', where);
  if (!pem.trimStart().startsWith(`-----BEGIN ${label}-----`)) {
    throw wrong(`${where}key must be PEM that begins with -----BEGIN ${label}-----`);
  }
  return pem;
};

const takeLease = ({ lease }: Members): { readonly lease?: number } => {
  if (lease === undefined) return {};
  if (typeof lease === 'number' && Number.isInteger(lease) && lease >= 1 && lease <= MOST_MS) return { lease };
  throw wrong('lease must be a whole number of ms, from 1 on');
};

const takeDispatch = (value: Members): KeyCredential['dispatch'] => {
  const { dispatch } = value;
  if (!isObject(dispatch)) throw wrong('dispatch must be an object with kid, alg and key');
  checkMembers(dispatch, OF_DISPATCH, ' in dispatch');
  if (dispatch['alg'] !== 'ES256') throw wrong('dispatch.alg must be ES256');
  return {
    kid: takeKid(dispatch, 'dispatch.'),
    alg: 'ES256',
    key: takePem(dispatch, 'PUBLIC KEY', 'dispatch.'),
  };
};

/** A TypeError says what is wrong, and quotes nothing of the text. */
export const parseCredential = (text: string): Credential => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  if (!isObject(value)) throw wrong('it is not an object');
  if (value['wsd'] !== VERSION) throw wrong(`wsd must be ${VERSION}, the version of the format`);
  const { alg, role, audience } = value;
  if (alg !== 'ES256' && alg !== 'HS256') throw wrong('alg must be ES256 or HS256');
  checkMembers(value, alg === 'ES256' ? OF_KEY : OF_SECRET, ` with ${alg}`);
  if (role !== 'front' && role !== 'service') throw wrong('role must be front or service');
  if (audience !== undefined && (typeof audience !== 'string' || audience === '' || audience.length > MOST_AUDIENCE)) {
    throw wrong(`audience must be a text of at most ${MOST_AUDIENCE} characters`);
  }
  const common = {
    url: takeUrl(value),
    node: takeNode(value),
    role,
    kid: takeKid(value),
    ...(audience === undefined ? {} : { audience }),
    ...takeLease(value),
  } as const;
  return alg === 'ES256'
    ? { ...common, alg, key: takePem(value, 'PRIVATE KEY'), dispatch: takeDispatch(value) }
    : { ...common, alg, secret: takeText(value, 'secret') };
};

/** Checked as it will be when it is read. */
export const writeCredential = (credential: Credential): string => {
  const { url, node, role, kid, audience, lease, alg } = credential;
  const own = alg === 'ES256' ? { key: credential.key, dispatch: credential.dispatch } : { secret: credential.secret };
  const text = `${JSON.stringify({ wsd: VERSION, url, node, role, kid, alg, ...own, audience, lease }, undefined, 2)}\n`;
  parseCredential(text);
  return text;
};
