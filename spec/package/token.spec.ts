// Tokens: the vector of PROTOCOL.md section 11.4 by both halves, the steps of section 8.4 from the size to the jti in their order, and that no
// text of a peer is an exception.
import { createHmac, generateKeyPairSync } from 'node:crypto';
import jwt from 'jsonwebtoken';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { makeNodeKey, makeSecret, secretFrom } from '../../lib/crypto/package-keys.js';
import { portableSuite } from '../../lib/crypto/portable.js';
import { oneKey } from '../../lib/package/key-ring.js';
import { MAX_PACKAGE } from '../../lib/package/limits.js';
import type { Signer, Verifier } from '../../lib/package/package.js';
import { ReplayCache } from '../../lib/package/replay.js';
import { judgeToken, splitToken, type Terms, writeToken } from '../../lib/package/token.js';
import { nodeSigner, nodeVerifier } from '../../lib/package/token-node.js';
import { portableSigner, portableVerifier } from '../../lib/package/token-portable.js';
import {
  base64url,
  es256,
  forge,
  forgeEs,
  HEADER,
  HS_HEADER,
  hs256,
  PAIR,
  payloadOf,
  record,
  ringOf,
  SECRET,
  WALL,
} from './forge.js';

const random = seedFromEnv('tokens');
const terms = (more: Partial<Terms> = {}): Terms => ({ wall: () => WALL, ...more });
const seconds = WALL / 1000;

const VECTOR =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InN2Yy1hLjEifQ.eyJoZWFkZXIiOnsic2NvcGUiOjEwMCwiaW50ZXJuYWwiOnRydWUsImJvZHkiOnRydWUsImZvb3RlckluY2x1ZGUiOlsiZHQiXSwiZGVzdGluYXRpb24iOiJkaXNwYXRjaCJ9LCJib2R5Ijp7Im5vZGVJRCI6InN2Yy1hIiwidXNlciI6IjE3NTkyODg0NzI5OTExNzA2MyJ9LCJmb290ZXIiOnsidCI6MTcwMDAwMDAwMDAwMH0sImlzcyI6InN2Yy1hIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDAwNjAsImp0aSI6IkFBQUFBQUFBQUFFIn0.dVePabFogz4Brf5oJPbU8qIIbw4QQRUKHcgJ-zfZJDo';
const VECTOR_PAYLOAD =
  '{"header":{"scope":100,"internal":true,"body":true,"footerInclude":["dt"],"destination":"dispatch"},"body":{"nodeID":"svc-a","user":"175928847299117063"},"footer":{"t":1700000000000},"iss":"svc-a","iat":1700000000,"exp":1700000060,"jti":"AAAAAAAAAAE"}';
const VECTOR_PACKAGE = {
  header: { scope: 100, internal: true, body: true, footerInclude: ['dt'], destination: 'dispatch' },
  body: { nodeID: 'svc-a', user: '175928847299117063' },
  footer: { t: 1_700_000_000_000 },
};
const VECTOR_CLAIMS = { iat: 1_700_000_000, exp: 1_700_000_060, jti: 'AAAAAAAAAAE' };

const HALVES: readonly (readonly [name: string, signer: Signer, verifier: Verifier])[] = [
  [
    'Node',
    nodeSigner({ kid: 'svc-a.1', alg: 'HS256', key: secretFrom(SECRET), node: 'svc-a' }),
    nodeVerifier('HS256', secretFrom(SECRET)),
  ],
  ...[nodeSuite, portableSuite].map(
    (suite) =>
      [
        `portable by the suite ${suite.name}`,
        portableSigner({ kid: 'svc-a.1', secret: SECRET, node: 'svc-a', suite }),
        portableVerifier(SECRET, suite),
      ] as const,
  ),
];

for (const [name, signer, verifier] of HALVES) {
  t.test(`section 11.4, ${name}: the token is that of the vector, octet by octet`, async (t) => {
    t.equal(signer.sign(VECTOR_PAYLOAD), VECTOR);
    t.equal(writeToken(signer, VECTOR_PACKAGE, VECTOR_CLAIMS), VECTOR);
    t.ok(verifier.verify(VECTOR));
    t.strictSame([signer.kid, signer.alg, signer.node, verifier.alg], ['svc-a.1', 'HS256', 'svc-a', 'HS256']);
    const split = splitToken(VECTOR);
    t.strictSame(split, { kind: 'split', kid: 'svc-a.1', alg: 'HS256', payload: VECTOR_PAYLOAD });
    const owner = { ...record('svc-a.1', { role: 'front' }), verifier };
    t.strictSame(judgeToken(VECTOR, oneKey(owner), terms()), {
      kind: 'judged',
      record: owner,
      claims: { iss: 'svc-a', ...VECTOR_CLAIMS },
      ...VECTOR_PACKAGE,
    });
  });

  t.test(`${name}: a token in which any one character is another is refused`, async (t) => {
    const token = signer.sign(payloadOf());
    const keys = oneKey({ ...record('svc-a.1'), verifier });
    t.equal(judgeToken(token, keys, terms()).kind, 'judged', 'untouched');
    for (let at = 0; at < token.length; at++) {
      const other = random.pick(['A', 'Q', 'g', 'w', '-', '_', '.', '=', 'é'].filter((one) => one !== token[at]));
      const judged = judgeToken(token.slice(0, at) + other + token.slice(at + 1), keys, terms());
      if (judged.kind !== 'package-fault' || judged.code !== 'bad_token' || judged.close !== 1008) {
        t.fail(`${other} at ${at} passes, seed ${random.seed}`);
      }
    }
    for (let size = 0; size < token.length; size++) {
      if (judgeToken(token.slice(0, size), keys, terms()).kind === 'judged') t.fail(`cut to ${size}`);
    }
  });

  t.test(`${name}: a key that is another by one bit verifies nothing`, async (t) => {
    const token = signer.sign(payloadOf());
    for (let bit = 0; bit < 256; bit++) {
      const other = Uint8Array.from(SECRET);
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
      if (nodeVerifier('HS256', secretFrom(other)).verify(token)) t.fail(`bit ${bit}, Node`);
      if (portableVerifier(other, nodeSuite).verify(token)) t.fail(`bit ${bit}, portable`);
    }
  });
}

t.test('both halves make the same of any payload, and each verifies the other', async (t) => {
  const [node, ...portables] = HALVES;
  for (let round = 0; round < 200; round++) {
    const payload = JSON.stringify({ text: String.fromCodePoint(...Array.from(random.bytes(round), (o) => o * 300)) });
    const token = node?.[1].sign(payload) ?? '';
    for (const [name, signer, verifier] of portables) {
      if (signer.sign(payload) !== token) t.fail(`${name} signs otherwise, seed ${random.seed}`);
      if (!verifier.verify(token)) t.fail(`${name} does not verify, seed ${random.seed}`);
    }
  }
});

t.test('ES256: signed and verified, and what others sign and verify is the same', async (t) => {
  const { privateKey, publicKey } = makeNodeKey();
  const signer = nodeSigner({ kid: 'svc-b.1', alg: 'ES256', key: privateKey, node: 'svc-b' });
  const verifier = nodeVerifier('ES256', publicKey);
  const token = writeToken(signer, VECTOR_PACKAGE, VECTOR_CLAIMS);
  t.ok(verifier.verify(token));
  t.equal(token.split('.')[2]?.length, 86, 'r and s of 32 octets each, not DER (RFC 7518 section 3.4)');
  const judged = judgeToken(token, oneKey({ ...record('svc-b.1', { node: 'svc-b' }), verifier }), terms());
  t.equal(judged.kind, 'judged');
  const signed = `${base64url('{"alg":"ES256","typ":"JWT","kid":"svc-b.1"}')}.${base64url(VECTOR_PAYLOAD)}`;
  t.ok(verifier.verify(`${signed}.${es256(signed, privateKey)}`), 'by node:crypto alone');
  t.notOk(verifier.verify(`${signed}.${es256(signed, makeNodeKey().privateKey)}`), 'another key');
  const zero = base64url(new Uint8Array(64));
  const ones = base64url(new Uint8Array(64).fill(0xff));
  const long = base64url(new Uint8Array(65).fill(1));
  for (const signature of [zero, ones, long, base64url(new Uint8Array(63).fill(1)), 'AAAA']) {
    t.notOk(verifier.verify(`${signed}.${signature}`), `the signature ${signature.slice(0, 8)}…`);
  }
});

t.test('jsonwebtoken is told the one algorithm, and asked about the signature alone', async (t) => {
  const key = secretFrom(SECRET);
  const header = { typ: 'JWT', kid: 'svc-a.1' };
  const other = jwt.sign(payloadOf(), key, { algorithm: 'HS512', header: { ...header, alg: 'HS512' } });
  t.notOk(nodeVerifier('HS256', key).verify(other), 'HS512 by the right secret');
  for (const more of [{ exp: 1 }, { nbf: seconds * 2 }]) {
    t.ok(nodeVerifier('HS256', key).verify(forge(payloadOf(more))), 'claims are judged by claims.ts');
  }
});

/** The header, and what is wrong with it. */
const HEADERS: readonly (readonly [name: string, header: string])[] = [
  ['alg none', '{"alg":"none","typ":"JWT","kid":"svc-a.1"}'],
  ['alg None', '{"alg":"None","typ":"JWT","kid":"svc-a.1"}'],
  ['alg HS512', '{"alg":"HS512","typ":"JWT","kid":"svc-a.1"}'],
  ['alg hs256', '{"alg":"hs256","typ":"JWT","kid":"svc-a.1"}'],
  ['no alg', '{"typ":"JWT","kid":"svc-a.1"}'],
  ['alg a list', '{"alg":["HS256"],"typ":"JWT","kid":"svc-a.1"}'],
  ['typ in lower case', '{"alg":"HS256","typ":"jwt","kid":"svc-a.1"}'],
  ['no typ', '{"alg":"HS256","kid":"svc-a.1"}'],
  ['no kid', '{"alg":"HS256","typ":"JWT"}'],
  ['kid a number', '{"alg":"HS256","typ":"JWT","kid":1}'],
  ['an empty kid', '{"alg":"HS256","typ":"JWT","kid":""}'],
  ['a kid of 65', `{"alg":"HS256","typ":"JWT","kid":"${'k'.repeat(65)}"}`],
  ['an unknown kid', '{"alg":"HS256","typ":"JWT","kid":"svc-z.1"}'],
  ['a kid that is a name of every object', '{"alg":"HS256","typ":"JWT","kid":"__proto__"}'],
  ['a second kid', '{"alg":"HS256","typ":"JWT","kid":"svc-z.1","kid":"svc-a.1"}'],
  ['a second alg', '{"alg":"none","alg":"HS256","typ":"JWT","kid":"svc-a.1"}'],
  ['a second alg that is no text', '{"alg":0,"alg":"HS256","typ":"JWT","kid":"svc-a.1"}'],
  ['an escaped name', '{"\\u0061lg":"HS256","typ":"JWT","kid":"svc-a.1"}'],
  ['an escaped value', '{"alg":"HS256","typ":"JWT","kid":"svc\\u002da.1"}'],
  ['crit', '{"alg":"HS256","typ":"JWT","kid":"svc-a.1","crit":["exp"]}'],
  ['b64', '{"alg":"HS256","typ":"JWT","kid":"svc-a.1","b64":false}'],
  ['zip', '{"alg":"HS256","typ":"JWT","kid":"svc-a.1","zip":"DEF"}'],
  ['cty', '{"alg":"HS256","typ":"JWT","kid":"svc-a.1","cty":"JWT"}'],
  ['a member __proto__', '{"alg":"HS256","typ":"JWT","kid":"svc-a.1","__proto__":{}}'],
  ['the three of them inherited', '{"__proto__":{"alg":"HS256","typ":"JWT","kid":"svc-a.1"}}'],
  ['something behind', '{"alg":"HS256","typ":"JWT","kid":"svc-a.1"}x'],
  ['a byte order mark', '\ufeff{"alg":"HS256","typ":"JWT","kid":"svc-a.1"}'],
  ['a list', '["HS256","JWT","svc-a.1"]'],
  ['null', 'null'],
  ['no JSON', '{alg:HS256}'],
  ['longer than any', `${' '.repeat(300)}{"alg":"HS256","typ":"JWT","kid":"svc-a.1"}`],
];

t.test('the header is exactly alg, typ and kid; everything else is bad_token, whatever the signature', async (t) => {
  for (const [name, header] of HEADERS) {
    const judged = judgeToken(forge(payloadOf(), header), ringOf(), terms());
    t.match(judged, { kind: 'package-fault', code: 'bad_token', close: 1008, record: undefined }, name);
  }
  const orders = ['{"kid":"svc-a.1","typ":"JWT","alg":"HS256"}', '{ "typ": "JWT", "kid": "svc-a.1", "alg": "HS256" }'];
  for (const header of orders)
    t.equal(judgeToken(forge(payloadOf(), header), ringOf(), terms()).kind, 'judged', header);
});

t.test('three parts in canonical base64url, or bad_token', async (t) => {
  const [head = '', body = '', signature = ''] = forge(payloadOf()).split('.');
  // Of 32 octets the last character has two bits that say nothing: four texts would be one signature.
  const twin = signature.slice(0, -1) + String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1);
  t.strictSame(Buffer.from(twin, 'base64url'), Buffer.from(signature, 'base64url'), 'another text of the same octets');
  const texts = [
    '',
    '.',
    '..',
    '...',
    head,
    `${head}.${body}`,
    `${head}.${body}.`,
    `.${body}.${signature}`,
    `${head}..${signature}`,
    `${head}.${body}.${signature}.`,
    `${head}.${body}.${signature}.${signature}`,
    `${head}.${body}.${signature}=`,
    `${head}.${body}.${twin}`,
    `${head}.${body}.${signature}\n`,
    ` ${head}.${body}.${signature}`,
    `${head}.${body}=.${signature}`,
    `${head}.${base64url(Uint8Array.of(0x22, 0xff, 0x22))}.${signature}`,
    `Bearer ${head}.${body}.${signature}`,
    '{"header":{}}',
    '\u{1f600}.\u{1f600}.\u{1f600}',
  ];
  for (const text of texts) {
    t.match(judgeToken(text, ringOf(), terms()), { code: 'bad_token', close: 1008 }, JSON.stringify(text.slice(-30)));
  }
});

t.test('65,536 octets are a token, one more is too_long and ends the connection with 1009', async (t) => {
  const filled = (size: number): string => forge(payloadOf({ body: { a: 'x'.repeat(size) } }));
  // Three octets of payload are four of the token.
  let size = 48_000;
  while (filled(size).length < MAX_PACKAGE) size++;
  const longest = filled(size).length === MAX_PACKAGE ? size : size - 1;
  t.equal(judgeToken(filled(longest), ringOf(), terms()).kind, 'judged', `${filled(longest).length} octets`);
  const over = filled(size + 3);
  t.match(judgeToken(over, ringOf(), terms()), { code: 'too_long', close: 1009, record: undefined });
  t.match(judgeToken('x'.repeat(MAX_PACKAGE + 1), ringOf(), terms()), { code: 'too_long', close: 1009 });
  const [, signer] = HALVES[0] as (typeof HALVES)[number];
  t.throws(
    () => writeToken(signer, { ...VECTOR_PACKAGE, body: { a: 'x'.repeat(50_000) } }, VECTOR_CLAIMS),
    RangeError,
    'ours are not longer either',
  );
});

t.test('a payload that is no object of JSON in UTF-8 is bad_token, though the signature holds', async (t) => {
  const keys = [ringOf(), oneKey({ ...record('svc-a.1'), verifier: portableVerifier(SECRET, portableSuite) })];
  const payloads = ['null', '1', '"text"', '[]', '', '{', `${payloadOf()} x`, `\ufeff${payloadOf()}`, 'NaN'];
  for (const payload of payloads) {
    for (const key of keys)
      t.match(judgeToken(forge(payload), key, terms()), { code: 'bad_token' }, payload.slice(0, 9));
  }
  const broken = Buffer.concat([Buffer.from('{"iss":"'), Buffer.of(0xff), Buffer.from('"}')]);
  for (const key of keys) t.match(judgeToken(forge(broken), key, terms()), { code: 'bad_token' }, 'an octet ff');
});

const CLAIMS: readonly (readonly [name: string, more: Readonly<Record<string, unknown>>])[] = [
  ['no iss', { iss: undefined }],
  ['the iss of another node', { iss: 'svc-b' }],
  ['no iat', { iat: undefined }],
  ['no exp', { exp: undefined }],
  ['exp a text', { exp: String(seconds + 60) }],
  ['exp null', { exp: null }],
  ['exp with a fraction', { exp: seconds + 0.5 }],
  ['iat below zero', { iat: -1 }],
  ['iat above all safe numbers', { iat: 2 ** 53 }],
  ['no jti', { jti: undefined }],
  ['a jti of 7', { jti: 'AAAAAAA' }],
  ['a jti with a dot', { jti: 'AAAA.AAAA' }],
  ['re a number', { re: 1 }],
  ['org without the right', { org: 'svc-b' }],
  ['rol without the right', { rol: 'service' }],
  ['both without the right', { org: 'svc-b', rol: 'service' }],
  ['aud a list', { aud: ['a'] }],
  ['nbf', { nbf: seconds }],
  ['sub', { sub: 'x' }],
  ['an unknown member', { extra: 1 }],
  ['a member __proto__', JSON.parse('{"__proto__":1}')],
];

t.test('claims that are missing, mistyped, unknown or another’s are bad_token', async (t) => {
  for (const [name, more] of CLAIMS) {
    t.match(judgeToken(forge(payloadOf(more)), ringOf(), terms()), { code: 'bad_token', close: 1008 }, name);
  }
  t.equal(
    judgeToken(forge(payloadOf({ org: 'svc-b' })), ringOf({ role: 'dispatch' }), terms()).kind,
    'judged',
    'the dispatch speaks for others',
  );
  t.equal(
    judgeToken(forge(payloadOf({ org: 'svc-b', rol: 'front' })), ringOf({ role: 'dispatch' }), terms()).kind,
    'judged',
    'and says what they are',
  );
  for (const more of [{ rol: 'front' }, { org: 'svc-b', rol: 'dispatch' }]) {
    t.match(judgeToken(forge(payloadOf(more)), ringOf({ role: 'dispatch' }), terms()), { code: 'bad_token' });
  }
  const long = 'A'.repeat(65);
  const codeOf = (more: Readonly<Record<string, unknown>>, audience?: string): string => {
    const judged = judgeToken(forge(payloadOf(more)), ringOf(), terms({ audience }));
    return judged.kind === 'judged' ? 'judged' : `${judged.code} ${judged.close}`;
  };
  t.equal(codeOf({ jti: long }), 'too_long undefined');
  t.equal(codeOf({ re: long }), 'too_long undefined');
  t.equal(codeOf({ aud: 'a'.repeat(257) }), 'too_long undefined');
  // Section 8.4: whose it is comes before how long it is.
  t.equal(codeOf({ jti: long, iss: 'svc-b' }), 'bad_token 1008');
  t.equal(codeOf({ jti: long, org: 'svc-b' }), 'bad_token 1008');
  t.equal(codeOf({ jti: long }, 'live'), 'bad_token 1008');
  t.equal(codeOf({ aud: 'a'.repeat(257) }, 'live'), 'bad_token 1008');
  t.equal(codeOf({ iss: 'b'.repeat(65) }), 'bad_token 1008');
});

t.test('the audience has to match where one is configured', async (t) => {
  const of = (aud: string | undefined, audience: string | undefined): string => {
    const judged = judgeToken(forge(payloadOf({ aud })), ringOf(), terms({ audience }));
    return judged.kind === 'judged' ? 'judged' : judged.code;
  };
  t.equal(of('live', 'live'), 'judged');
  t.equal(of('test', 'live'), 'bad_token');
  t.equal(of(undefined, 'live'), 'bad_token');
  t.equal(of('anything', undefined), 'judged');
});

/** iat and exp relative to now, in seconds. */
const TIMES: readonly (readonly [iat: number, exp: number, good: boolean])[] = [
  [0, 60, true],
  [0, 1, true],
  [0, 300, true],
  [0, 301, false],
  [0, 0, false],
  [0, -1, false],
  [30, 60, true],
  [31, 60, false],
  [-89, -29, true],
  [-90, -30, false],
  [-300, 0, true],
];

t.test('times: 1 to 300 seconds, and a tolerance of 30 on both sides', async (t) => {
  for (const [iat, exp, good] of TIMES) {
    const judged = judgeToken(forge(payloadOf({ iat: seconds + iat, exp: seconds + exp })), ringOf(), terms());
    if (good) t.equal(judged.kind, 'judged', `${iat} to ${exp}`);
    else {
      t.match(judged, { code: 'token_expired', close: undefined, claims: { jti: 'AAAAAAAAAAE' } }, `${iat} to ${exp}`);
    }
  }
  const late = terms({ wall: () => WALL + 89_999 });
  t.equal(judgeToken(forge(payloadOf()), ringOf(), late).kind, 'judged', 'the last millisecond');
});

t.test('nesting: 32 levels pass, 33 and 5000 are bad_body', async (t) => {
  // header, body and claims stand one deep already.
  const nested = (levels: number): string =>
    `${payloadOf().slice(0, -1)},"body":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  t.equal(judgeToken(forge(nested(31)), ringOf(), terms()).kind, 'judged');
  for (const levels of [32, 5000, 24_000]) {
    for (const role of ['service', 'front'] as const) {
      const judged = judgeToken(forge(nested(levels)), ringOf({ role }), terms());
      t.match(judged, { code: 'bad_body', close: undefined, record: { node: 'svc-a' }, header: HEADER }, `${levels}`);
    }
  }
});

t.test('of a front every payload is escaped, and of nobody else', async (t) => {
  const texts = [
    payloadOf({ body: { a: '<b>' } }),
    payloadOf({ body: { a: 'é' } }),
    ` ${payloadOf()}`,
    payloadOf().replace('"scope":1000', '"scope":1,"scope":1000'),
    payloadOf().replace('1000', '1e3'),
    payloadOf().replace('1000', '1000.0'),
  ];
  for (const text of texts) {
    t.match(
      judgeToken(forge(text), ringOf({ role: 'front' }), terms()),
      { code: 'not_escaped', close: undefined },
      text,
    );
    t.equal(judgeToken(forge(text), ringOf(), terms()).kind, 'judged', text);
  }
  const [, signer] = HALVES[0] as (typeof HALVES)[number];
  const nasty = { ...VECTOR_PACKAGE, body: { a: '<script>\u2028é"\\\n\u{1f600}&\'' } };
  const judged = judgeToken(writeToken(signer, nasty, VECTOR_CLAIMS), ringOf({ role: 'front' }), terms());
  t.match(judged, { kind: 'judged', body: nasty.body }, 'what is written is escaped, and comes back as it was');
});

t.test('a repeated jti is replayed, and told with the claims of the token', async (t) => {
  const replay = new ReplayCache(WALL);
  const token = forge(payloadOf());
  t.equal(judgeToken(token, ringOf(), terms({ replay })).kind, 'judged');
  t.match(judgeToken(token, ringOf(), terms({ replay })), {
    code: 'replayed',
    close: undefined,
    claims: { iss: 'svc-a' },
  });
  t.match(
    judgeToken(forge(payloadOf({ header: {} })), ringOf(), terms({ replay })),
    { code: 'replayed' },
    'in another',
  );
  const theirs = forgeEs(payloadOf({ iss: 'svc-b' }));
  t.equal(judgeToken(theirs, ringOf(), terms({ replay })).kind, 'judged', 'the same jti of another node');
});

interface Parts {
  payload: Record<string, unknown>;
  /** Behind the members of the payload. */
  text: string;
  secret: Uint8Array;
  behind: string;
}

/** Each ruins one step. In the order of section 8.4; what comes later must not be told first. */
const STEPS: readonly (readonly [code: string, ruin: (parts: Parts) => Partial<Parts>])[] = [
  ['too_long', () => ({ behind: 'A'.repeat(MAX_PACKAGE) })],
  ['bad_token', () => ({ secret: new Uint8Array(32) })],
  ['token_expired', ({ payload }) => ({ payload: { ...payload, iat: 1, exp: 2 } })],
  ['token_expired', ({ payload }) => ({ payload: { ...payload, iat: seconds - 1 } })],
  ['bad_body', () => ({ text: `,"body":${'['.repeat(40)}${']'.repeat(40)}` })],
  ['not_escaped', ({ payload }) => ({ payload: { ...payload, header: '<' } })],
  ['replayed', ({ payload }) => ({ payload: { ...payload, jti: 'seen-before' } })],
];

t.test('of two things that are wrong the earlier step is told, and a refused token leaves no trace', async (t) => {
  const judge = (ruins: readonly (typeof STEPS)[number][1][], replay: ReplayCache): string => {
    let parts: Parts = { payload: JSON.parse(payloadOf()), text: '', secret: SECRET, behind: '' };
    for (const ruin of ruins) parts = { ...parts, ...ruin(parts) };
    const signed = `${base64url(HS_HEADER)}.${base64url(`${JSON.stringify(parts.payload).slice(0, -1)}${parts.text}}`)}`;
    const token = `${signed}.${hs256(signed, parts.secret)}${parts.behind}`;
    const judged = judgeToken(token, ringOf({ role: 'front' }), terms({ replay }));
    return judged.kind === 'judged' ? 'judged' : judged.code;
  };
  for (const [at, [code, ruin]] of STEPS.entries()) {
    for (const [, later] of STEPS.slice(at)) {
      const replay = new ReplayCache(WALL);
      replay.take('svc-a', 'seen-before', seconds + 60, WALL);
      t.equal(judge([ruin, later], replay), code, code);
      t.equal(replay.size, 1, 'nothing was remembered');
      t.equal(judge([], replay), 'judged', 'and the honest one still comes through');
    }
  }
});

t.test('no text is an exception', async (t) => {
  const seeds = [VECTOR, forge(payloadOf()), forgeEs(payloadOf({ iss: 'svc-b' })), '..', '{}'];
  const characters = 'AZaz09-_.{}[]":,\\=\n\u0000\u00ff\ud800\ufeff';
  for (let round = 0; round < 5_000; round++) {
    let text = random.pick(seeds);
    for (let change = random.int(4); change >= 0; change--) {
      const at = random.int(text.length + 1);
      const put = random.int(3) === 0 ? '' : (characters[random.int(characters.length)] ?? '');
      text = text.slice(0, at) + put + text.slice(at + random.int(3));
    }
    const judged = judgeToken(text, ringOf(), terms());
    if (judged.kind === 'judged' && !seeds.includes(text)) t.fail(`${text} passes, seed ${random.seed}`);
  }
  // And the same for what is signed: anything at all as header and payload.
  for (let round = 0; round < 2_000; round++) {
    const change = (text: string): string => {
      const at = random.int(text.length);
      return text.slice(0, at) + (characters[random.int(characters.length)] ?? '') + text.slice(at + random.int(2));
    };
    const token = random.int(2) === 0 ? forge(change(payloadOf())) : forge(payloadOf(), change(HS_HEADER));
    judgeToken(token, ringOf({ role: random.pick(['front', 'service'] as const) }), terms());
  }
  t.pass('7000 texts');
});

t.test('keys that do not fit are refused when signers and verifiers are made', async (t) => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const good = { kid: 'svc-a.1', alg: 'ES256', key: PAIR.privateKey, node: 'svc-a' } as const;
  nodeSigner(good);
  for (const [name, wrong] of [
    ['a public key', { key: PAIR.publicKey }],
    ['a secret', { key: makeSecret() }],
    ['another curve', { key: p384.privateKey }],
    ['RSA', { key: rsa.privateKey }],
    ['a private key for HS256', { alg: 'HS256' }],
    ['an algorithm of neither kind', { alg: 'none' as 'HS256' }],
    ['a kid with a slash', { kid: '../svc-a' }],
    ['an empty kid', { kid: '' }],
    ['a node with a space', { node: 'svc a' }],
  ] as const) {
    t.throws(() => nodeSigner({ ...good, ...wrong }), TypeError, name);
  }
  t.throws(() => nodeVerifier('ES256', PAIR.privateKey), TypeError, 'a private key to verify');
  t.throws(() => nodeVerifier('ES256', p384.publicKey), TypeError, 'another curve to verify');
  t.throws(() => nodeVerifier('HS256', PAIR.publicKey), TypeError, 'a public key as a secret');
  t.throws(() => nodeVerifier('ES256', makeSecret()), TypeError, 'a secret as a public key');
  const portable = { kid: 'session', secret: SECRET, node: 'svc-a', suite: portableSuite };
  t.throws(() => portableSigner({ ...portable, secret: SECRET.subarray(1) }), RangeError, '31 octets');
  t.throws(() => portableVerifier(SECRET.subarray(1), portableSuite), RangeError, '31 octets to verify');
  t.throws(() => portableSigner({ ...portable, kid: 'a/b' }), TypeError);
  t.throws(() => portableSigner({ ...portable, node: '' }), TypeError);
});

t.test('the secret that is handed over may be erased afterwards', async (t) => {
  const secret = Uint8Array.from(SECRET);
  const signer = portableSigner({ kid: 'svc-a.1', secret, node: 'svc-a', suite: portableSuite });
  const verifier = portableVerifier(secret, portableSuite);
  secret.fill(0);
  t.equal(signer.sign(VECTOR_PAYLOAD), VECTOR);
  t.ok(verifier.verify(VECTOR));
  t.notOk(
    verifier.verify(
      `${VECTOR.slice(0, -43)}${createHmac('sha256', secret).update(VECTOR.slice(0, -44)).digest('base64url')}`,
    ),
  );
});
