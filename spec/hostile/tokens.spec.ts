// Hostile tokens: HOSTILE lines 68 to 70, at the door where every package comes in. Each forgery is one that some library has fallen for; an
// honest token is judged before and after, and what a forger is told is nothing.
import { createHmac } from 'node:crypto';
import jwt from 'jsonwebtoken';
import t, { type Test } from 'tap';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { makeNodeKey, writeJwk, writePem } from '../../lib/crypto/package-keys.js';
import { KeyRing } from '../../lib/package/key-ring.js';
import type { KeyRecord } from '../../lib/package/package.js';
import { ReplayCache } from '../../lib/package/replay.js';
import { judgeToken, splitToken } from '../../lib/package/token.js';
import { nodeVerifier } from '../../lib/package/token-node.js';
import { portableVerifier } from '../../lib/package/token-portable.js';
import {
  base64url,
  ES_HEADER,
  es256,
  forge,
  forgeEs,
  HS_HEADER,
  hs256,
  PAIR,
  payloadOf,
  record,
  ringOf,
  SECRET,
  WALL,
} from '../package/forge.js';

const random = seedFromEnv('hostile tokens');
const PAYLOAD = payloadOf();
const OURS = payloadOf({ iss: 'svc-b' });

const judge = (token: string, more: object = {}, ring: KeyRing = ringOf()): string => {
  const judged = judgeToken(token, ring, { wall: () => WALL, ...more });
  return judged.kind === 'judged' ? 'judged' : judged.code;
};

/** The honest pass before and after, the forged one never does; whoever cannot sign is told nothing. */
const forged = (test: Test, name: string, token: string, code = 'bad_token'): void => {
  test.equal(judge(forge(PAYLOAD)), 'judged', `${name}: the honest one before`);
  const judged = judgeToken(token, ringOf(), { wall: () => WALL });
  test.match(judged, { kind: 'package-fault', code }, name);
  if (code === 'bad_token') test.match(judged, { close: 1008, issues: [] }, `${name}: and nothing is said`);
  test.equal(judge(forge(PAYLOAD)), 'judged', `${name}: and after`);
};

t.test('68: alg none, with and without something behind the last dot', async (t) => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    const header = base64url(`{"alg":"${alg}","typ":"JWT","kid":"svc-a.1"}`);
    for (const signature of ['', 'AA', hs256(`${header}.${base64url(PAYLOAD)}`)]) {
      forged(t, `${alg} ${signature.length}`, `${header}.${base64url(PAYLOAD)}.${signature}`);
    }
  }
  forged(
    t,
    'by jsonwebtoken',
    jwt.sign(PAYLOAD, '', { algorithm: 'none', header: { alg: 'none', typ: 'JWT', kid: 'svc-a.1' } }),
  );
});

t.test('68: a public key as the secret of an HMAC', async (t) => {
  const pem = writePem(PAIR.publicKey);
  const der = PAIR.publicKey.export({ type: 'spki', format: 'der' });
  const { x = '', y = '' } = writeJwk(PAIR.publicKey);
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  const header = base64url('{"alg":"HS256","typ":"JWT","kid":"svc-b.1"}');
  const signed = `${header}.${base64url(OURS)}`;
  for (const secret of [pem, pem.trim(), der, der.toString('base64'), point]) {
    const signature = createHmac('sha256', secret).update(signed).digest('base64url');
    forged(t, `${typeof secret} of ${secret.length}`, `${signed}.${signature}`);
  }
  t.equal(judge(forgeEs(OURS)), 'judged', 'the pair itself');
  const swapped = `${base64url('{"alg":"ES256","typ":"JWT","kid":"svc-a.1"}')}.${base64url(PAYLOAD)}`;
  forged(t, 'ES256 under the kid of a secret', `${swapped}.${es256(swapped)}`);
  // The portable verifier does not look at the header: that the algorithm is the key's is asked before it.
  const portable = new KeyRing(() => WALL, [{ ...record('svc-a.1'), verifier: portableVerifier(SECRET, nodeSuite) }]);
  t.equal(judge(forge(PAYLOAD), {}, portable), 'judged');
  t.equal(judge(`${swapped}.${hs256(swapped)}`, {}, portable), 'bad_token', 'ES256 above an HMAC');
});

t.test('68: a header that brings its own key, or says where one is', async (t) => {
  const mine = makeNodeKey();
  const extras: Readonly<Record<string, unknown>> = {
    jwk: writeJwk(mine.publicKey),
    jku: 'https://attacker.example/keys',
    x5u: 'https://attacker.example/cert',
    x5c: ['AAAA'],
    x5t: 'AAAA',
    crit: ['b64'],
    b64: false,
    zip: 'DEF',
    enc: 'A128GCM',
    cty: 'JWT',
  };
  for (const [name, value] of Object.entries(extras)) {
    for (const key of [mine.privateKey, PAIR.privateKey]) {
      const header = base64url(JSON.stringify({ ...JSON.parse(ES_HEADER), [name]: value }));
      const signed = `${header}.${base64url(OURS)}`;
      forged(t, name, `${signed}.${es256(signed, key)}`);
    }
  }
});

t.test('68: a kid that is a path, a query, a URL, or a name of every object', async (t) => {
  const kids = [
    '../../../../dev/null',
    '/proc/self/environ',
    "' UNION SELECT 'AAAA' --",
    '; DROP TABLE keys',
    'https://attacker.example/k',
    '$(id)',
    'svc-a.1\u0000',
    'SVC-A.1',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    '*',
    '',
    'k'.repeat(10_000),
  ];
  for (const kid of kids) {
    const header = JSON.stringify({ alg: 'HS256', typ: 'JWT', kid });
    const signed = `${base64url(header)}.${base64url(PAYLOAD)}`;
    // An empty file is the classic secret behind such a kid.
    for (const secret of [SECRET, new Uint8Array(0)]) forged(t, kid.slice(0, 30), `${signed}.${hs256(signed, secret)}`);
  }
});

t.test('68: a token of a megabyte costs nothing, and the cost of the largest grows with its size alone', async (t) => {
  const judged = judgeToken(forge(payloadOf({ body: { a: 'x'.repeat(2 ** 20) } })), ringOf(), { wall: () => WALL });
  t.match(judged, { code: 'too_long', close: 1009 });
  const kinds: Readonly<Record<string, (size: number) => string>> = {
    'one text': (size) => forge(`"${'x'.repeat(size)}`),
    'dots alone': (size) => '.'.repeat(size),
    'no dot': (size) => 'A'.repeat(size),
    'a long header': (size) => `${'A'.repeat(size)}.AA.AA`,
    brackets: (size) => forge('['.repeat(size)),
    quotation: (size) => forge('"'.repeat(size)),
  };
  const ring = ringOf();
  for (const [name, make] of Object.entries(kinds)) {
    const sizes = [2_000, 8_000, 32_000];
    const texts = new Map(sizes.map((size) => [size, make(size)]));
    const { exponent } = await costCurve(
      (size) => void judgeToken(texts.get(size) ?? '', ring, { wall: () => WALL }),
      sizes,
      { repeats: 2, floor: 1 },
    );
    t.ok(exponent < 1.3, `${name}: size to the ${exponent.toFixed(2)}`);
  }
});

t.test('68: claims that are missing, of another type, or of another time', async (t) => {
  const now = WALL / 1000;
  for (const more of [
    { exp: undefined },
    { exp: `${now + 60}` },
    { exp: null },
    { exp: [now + 60] },
    { iat: undefined },
  ]) {
    forged(t, JSON.stringify(more), forge(payloadOf(more)));
  }
  forged(t, 'nbf in the future', forge(payloadOf({ nbf: now + 1000 })));
  forged(t, 'nbf in the past', forge(payloadOf({ nbf: now - 1000 })));
  for (const more of [
    { exp: now + 10 ** 9 },
    { exp: Number.MAX_SAFE_INTEGER },
    { iat: 0, exp: now + 1 },
    { iat: now + 1000, exp: now + 1060 },
    { iat: now - 1000, exp: now - 940 },
  ]) {
    forged(t, JSON.stringify(more), forge(payloadOf(more)), 'token_expired');
  }
});

t.test('69: the same token again, in another text, and in the name of another', async (t) => {
  const replay = new ReplayCache(WALL);
  const token = forgeEs(OURS);
  t.equal(judge(token, { replay }), 'judged');
  for (let again = 0; again < 3; again++) t.equal(judge(token, { replay }), 'replayed');
  // ECDSA signs anew each time, and r with n - s is a signature as well: the memory is of ids, not of texts.
  const twin = `${token.slice(0, -86)}${base64url(turned(Buffer.from(token.slice(-86), 'base64url')))}`;
  t.not(twin, token);
  t.equal(judge(twin), 'judged', 'the other signature holds');
  t.equal(judge(twin, { replay }), 'replayed', 'and is the same token');
  t.equal(judge(forgeEs(OURS), { replay }), 'replayed', 'signed once more');
  t.equal(judge(forgeEs(OURS.replace('"jti":', '"re":"12345678","jti":')), { replay }), 'replayed', 'with more in it');
});

/** The other signature of the same message. */
const turned = (signature: Buffer): Buffer => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = BigInt(`0x${signature.subarray(32).toString('hex')}`);
  return Buffer.concat([signature.subarray(0, 32), Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')]);
};

t.test('69: on another deployment, from another node, and in the other direction', async (t) => {
  const token = forge(payloadOf({ aud: 'live' }));
  t.equal(judge(token, { audience: 'live' }), 'judged');
  t.equal(judge(token, { audience: 'test' }), 'bad_token', 'meant for another deployment');
  t.equal(judge(forge(PAYLOAD), { audience: 'live' }), 'bad_token', 'meant for none');
  forged(t, 'a node in the name of another', forge(payloadOf({ iss: 'svc-b' })));
  forged(t, 'a node in the name of the dispatch', forge(payloadOf({ iss: 'dispatch' })));
  forged(t, 'a node that says on whose behalf', forge(payloadOf({ org: 'front-a' })));
  const theirs: KeyRecord = { ...record('svc-a.1'), node: 'dispatch', role: 'dispatch' };
  t.equal(
    judge(forge(PAYLOAD), {}, new KeyRing(() => WALL, [theirs])),
    'bad_token',
    'turned round, by the same secret',
  );
});

t.test('69: a key that was taken away is refused with its next token', async (t) => {
  const ring = ringOf();
  t.equal(judge(forge(PAYLOAD), {}, ring), 'judged');
  ring.retire('svc-a.1', WALL);
  t.equal(judge(forge(PAYLOAD), {}, ring), 'bad_token');
});

t.test('70: the signature covers every octet: parts of two good tokens make none', async (t) => {
  const tokens = [
    forge(payloadOf({ body: { amount: 1 } })),
    forge(payloadOf({ body: { amount: 1000 }, jti: 'BBBBBBBB' })),
    forge(payloadOf({ footer: { t: 1 } }), '{"kid":"svc-a.1","alg":"HS256","typ":"JWT"}'),
    forgeEs(OURS),
  ].map((token) => token.split('.'));
  let mixed = 0;
  for (const [a, [header]] of tokens.entries()) {
    for (const [b, [, payload]] of tokens.entries()) {
      for (const [c, [, , signature]] of tokens.entries()) {
        const token = `${header}.${payload}.${signature}`;
        const own = tokens.some((parts) => parts.join('.') === token);
        t.equal(judge(token), own ? 'judged' : 'bad_token', `${a} ${b} ${c}`);
        if (!own) mixed += 1;
      }
    }
  }
  // 64, less the four, less two more that are good because two of them have the same header.
  t.equal(mixed, 58);
});

t.test('70: another text of the same value is another token', async (t) => {
  const [header = '', payload = '', signature = ''] = forge(PAYLOAD).split('.');
  const texts: Readonly<Record<string, string>> = {
    'a space in the payload': `${header}.${base64url(PAYLOAD.replace(':', ': '))}.${signature}`,
    'members in another order': `${header}.${base64url(JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(PAYLOAD)).reverse())))}.${signature}`,
    'a member twice': `${header}.${base64url(PAYLOAD.replace('{', '{"iss":"svc-b",'))}.${signature}`,
    'the dot moved': `${header}${payload[0]}.${payload.slice(1)}.${signature}`,
    'spare bits in the signature': `${header}.${payload}.${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : 'A'}`,
    'the other alphabet': `${header}.${payload}.${signature}`
      .replaceAll('-', '+')
      .replaceAll('_', '/')
      .replace(/^e/, '+'),
    padding: `${header}.${payload}.${signature}=`,
  };
  for (const [name, text] of Object.entries(texts)) forged(t, name, text);
  const bits = forge(PAYLOAD, HS_HEADER);
  for (let round = 0; round < 500; round++) {
    const at = random.int(bits.length);
    const flipped = String.fromCharCode(bits.charCodeAt(at) ^ (1 << random.int(7)));
    const token = bits.slice(0, at) + flipped + bits.slice(at + 1);
    if (judge(token) !== 'bad_token') t.fail(`a bit at ${at}, seed ${random.seed}`);
  }
});

t.test('68: nothing that a token says chooses a key, reaches a key, or is kept', async (t) => {
  const asked: string[] = [];
  const ring = ringOf();
  const spy = {
    find: (kid: string): KeyRecord | undefined => {
      asked.push(kid);
      return ring.find(kid);
    },
  };
  const verifier = nodeVerifier('ES256', PAIR.publicKey);
  t.strictSame(Object.keys(verifier).sort(), ['alg', 'isSame', 'verify'], 'no key can be read from a verifier');
  for (let n = 0; n < 1_000; n++) {
    const kid = `stranger-${n}`;
    judgeToken(forge(PAYLOAD, `{"alg":"HS256","typ":"JWT","kid":"${kid}"}`), spy, { wall: () => WALL });
  }
  t.equal(asked.length, 1_000);
  t.equal(ring.size, 2, 'nobody’s kid is remembered');
  t.equal(splitToken(forge(PAYLOAD)).kind, 'split');
});
