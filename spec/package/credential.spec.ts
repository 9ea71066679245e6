// Credential files: read back as they were written, usable for tokens both ways, and whatever is wrong is named without quoting a key.
import t from 'tap';
import { makeNodeKey, makeSecret, writePem, writeSecret } from '../../lib/crypto/package-keys.js';
import { type Credential, parseCredential, writeCredential } from '../../lib/package/credential.js';
import { oneKey } from '../../lib/package/key-ring.js';
import { judgeToken, writeToken } from '../../lib/package/token.js';
import { nodeCredential, nodeSigner, nodeVerifier } from '../../lib/package/token-node.js';
import { WALL } from './forge.js';

const node = makeNodeKey();
const dispatch = makeNodeKey();
const secret = makeSecret();

const BY_KEY: Credential = {
  url: 'ws://127.0.0.1:4242',
  node: 'svc-a',
  role: 'service',
  kid: 'svc-a.1',
  alg: 'ES256',
  key: writePem(node.privateKey),
  dispatch: { kid: 'dispatch.1', alg: 'ES256', key: writePem(dispatch.publicKey) },
};
const BY_SECRET: Credential = {
  url: 'wss://dispatch.example/packages',
  node: 'front-a',
  role: 'front',
  kid: 'front-a.1',
  alg: 'HS256',
  secret: writeSecret(secret),
  audience: 'live',
};

t.test('what is written is read again', async (t) => {
  for (const credential of [
    BY_KEY,
    BY_SECRET,
    { ...BY_KEY, audience: 'test' },
    { ...BY_KEY, lease: 2000 },
    { ...BY_SECRET, lease: 1 },
    { ...BY_KEY, url: 'ws+unix:/run/wsd' },
  ]) {
    const text = writeCredential(credential);
    t.strictSame(parseCredential(text), credential);
    t.match(text, /^\{\n {2}"wsd": 1,\n/, 'the version comes first');
    t.ok(text.endsWith('}\n'));
  }
  t.throws(() => writeCredential({ ...BY_KEY, node: 'a b' }), TypeError, 'nothing is written that cannot be read');
  t.throws(() => writeCredential({ ...BY_SECRET, kid: '' }), TypeError);
});

const PACKAGE = { header: { scope: 0, internal: true, body: false } } as const;
const CLAIMS = { iat: WALL / 1000, exp: WALL / 1000 + 60, jti: 'AAAAAAAAAAE' };

t.test('with a key pair the node signs by its own, and believes the dispatch alone', async (t) => {
  const { signer, keys } = nodeCredential(parseCredential(writeCredential(BY_KEY)));
  const terms = { wall: () => WALL };
  const sent = writeToken(signer, PACKAGE, CLAIMS);
  const ring = oneKey({
    kid: 'svc-a.1',
    node: 'svc-a',
    role: 'service',
    verifier: nodeVerifier('ES256', node.publicKey),
  });
  t.match(judgeToken(sent, ring, terms), { kind: 'judged', claims: { iss: 'svc-a' } });
  t.match(judgeToken(sent, keys, terms), { code: 'bad_token' }, 'what it sent itself does not come back');
  const theirs = nodeSigner({ kid: 'dispatch.1', alg: 'ES256', key: dispatch.privateKey, node: 'dispatch' });
  const answer = writeToken(theirs, PACKAGE, { ...CLAIMS, org: 'svc-b', re: 'AAAAAAAAAAE' });
  t.match(judgeToken(answer, keys, terms), { kind: 'judged', record: { role: 'dispatch' }, claims: { org: 'svc-b' } });
});

t.test('with a secret the dispatch answers by the same, and a token turned round is refused', async (t) => {
  const { signer, keys } = nodeCredential(parseCredential(writeCredential(BY_SECRET)));
  const terms = { wall: () => WALL };
  const verifier = nodeVerifier('HS256', secret);
  const sent = writeToken(signer, PACKAGE, CLAIMS);
  const ring = oneKey({ kid: 'front-a.1', node: 'front-a', role: 'front', verifier });
  t.match(judgeToken(sent, ring, terms), { kind: 'judged', claims: { iss: 'front-a' } });
  t.match(judgeToken(sent, keys, terms), { code: 'bad_token' }, 'the other direction (HOSTILE 69)');
  const theirs = nodeSigner({ kid: 'front-a.1', alg: 'HS256', key: secret, node: 'dispatch' });
  t.match(judgeToken(writeToken(theirs, PACKAGE, CLAIMS), keys, terms), {
    kind: 'judged',
    record: { node: 'dispatch' },
  });
});

const change = (credential: Credential, more: object): string =>
  JSON.stringify({ ...JSON.parse(writeCredential(credential)), ...more });
const inDispatch = (more: object): string =>
  change(BY_KEY, { dispatch: { kid: 'dispatch.1', alg: 'ES256', key: writePem(dispatch.publicKey), ...more } });
const SECRET_TEXT = writeSecret(secret);

const WRONG: readonly (readonly [name: string, text: string, says: RegExp])[] = [
  ['no JSON', `secret: ${SECRET_TEXT}`, /not JSON/],
  ['JSON that is cut', writeCredential(BY_SECRET).slice(0, -5), /not JSON/],
  ['a list', '[]', /not an object/],
  ['null', 'null', /not an object/],
  ['no version', change(BY_KEY, { wsd: undefined }), /wsd must be 1/],
  ['a later version', change(BY_KEY, { wsd: 2 }), /wsd must be 1/],
  ['no url', change(BY_KEY, { url: undefined }), /url must be a text/],
  ['another scheme', change(BY_KEY, { url: 'http://x' }), /url must begin with/],
  ['a secret as url', change(BY_SECRET, { url: SECRET_TEXT }), /url must begin with/],
  ['no node', change(BY_KEY, { node: '' }), /node must be a text/],
  ['a node with a dot at the end', change(BY_KEY, { node: 'svc.' }), /node is not a valid nodeID/],
  ['a node called dispatch', change(BY_KEY, { node: 'dispatch' }), /node must not be dispatch/],
  ['the role dispatch', change(BY_KEY, { role: 'dispatch' }), /role must be front or service/],
  ['no role', change(BY_KEY, { role: undefined }), /role must be/],
  ['a kid with a slash', change(BY_KEY, { kid: 'a/b' }), /kid must be/],
  ['alg none', change(BY_KEY, { alg: 'none' }), /alg must be ES256 or HS256/],
  ['a secret with ES256', change(BY_KEY, { secret: SECRET_TEXT }), /the member secret is not known with ES256/],
  ['a key with HS256', change(BY_SECRET, { key: BY_KEY.key }), /the member key is not known with HS256/],
  ['no key', change(BY_KEY, { key: undefined }), /key must be a text/],
  ['a public key as key', change(BY_KEY, { key: writePem(node.publicKey) }), /BEGIN PRIVATE KEY/],
  ['a secret as key', change(BY_KEY, { key: SECRET_TEXT }), /BEGIN PRIVATE KEY/],
  ['no secret', change(BY_SECRET, { secret: 7 }), /secret must be a text/],
  ['no dispatch', change(BY_KEY, { dispatch: undefined }), /dispatch must be an object/],
  ['a dispatch without kid', inDispatch({ kid: undefined }), /dispatch\.kid must be a text/],
  ['a dispatch with HS256', inDispatch({ alg: 'HS256' }), /dispatch\.alg must be ES256/],
  ['a private key as that of the dispatch', inDispatch({ key: BY_KEY.key }), /dispatch\.key must be PEM/],
  ['a stranger in dispatch', inDispatch({ secret: SECRET_TEXT }), /the member secret is not known in dispatch/],
  ['a misspelled member', change(BY_KEY, { audiance: 'x' }), /the member audiance is not known/],
  ['a member that is a secret', change(BY_SECRET, { [SECRET_TEXT]: 1 }), /a member with a strange name/],
  ['a member __proto__', writeCredential(BY_SECRET).replace('{', '{"__proto__":{},'), /not known/],
  ['a lease that is a text', change(BY_KEY, { lease: '2000' }), /lease must be a whole number/],
  ['a lease of nothing', change(BY_KEY, { lease: 0 }), /lease must be a whole number/],
  ['a lease with a fraction', change(BY_KEY, { lease: 1.5 }), /lease must be a whole number/],
  ['an empty audience', change(BY_KEY, { audience: '' }), /audience must be a text/],
  ['an audience of 257', change(BY_KEY, { audience: 'a'.repeat(257) }), /audience must be a text/],
];

const quoted = (text: string): boolean => {
  const body = writePem(node.privateKey).split('\n')[1] ?? '';
  return text.includes(SECRET_TEXT.slice(0, 12)) || text.includes(body.slice(10, 30));
};

const errorOf = (run: () => unknown): Error | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : undefined;
  }
};

t.test('what is wrong is named, and no key is quoted', async (t) => {
  for (const [name, text, says] of WRONG) {
    const error = errorOf(() => parseCredential(text));
    t.ok(error instanceof TypeError, name);
    t.match(error?.message, says, name);
    t.notOk(quoted(`${error?.message} ${error?.stack} ${error?.cause}`), `${name}: nothing is quoted`);
  }
});

const BROKEN: readonly (readonly [name: string, credential: Credential])[] = [
  ['a short secret', { ...BY_SECRET, secret: SECRET_TEXT.slice(0, 40) }],
  ['a secret that is not base64url', { ...BY_SECRET, secret: `${SECRET_TEXT}==` }],
  ['a key that is cut', { ...BY_KEY, key: BY_KEY.key.slice(0, 100) }],
  [
    'a dispatch whose key is cut',
    { ...BY_KEY, dispatch: { ...BY_KEY.dispatch, key: BY_KEY.dispatch.key.slice(0, 60) } },
  ],
  [
    'a dispatch with the key of the node',
    { ...BY_KEY, dispatch: { ...BY_KEY.dispatch, key: writePem(node.publicKey) } },
  ],
];

t.test('keys that are none are found when they are used', async (t) => {
  for (const [name, credential] of BROKEN) {
    const error = errorOf(() => nodeCredential(parseCredential(writeCredential(credential))));
    t.ok(error instanceof TypeError, name);
    t.match(error?.message, /^the credential is not valid: (?:secret|key|dispatch\.key): /, name);
    t.notOk(quoted(`${error?.message} ${error?.stack} ${error?.cause}`), `${name}: nothing is quoted`);
  }
});
