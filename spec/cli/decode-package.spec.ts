// `wsd decode --layer package`: tokens and payloads from words, lines, files and frames; keys from a file; what is wrong, in words and in JSON.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { main } from '../../lib/cli/main.js';
import { makeNodeKey, makeSecret, writeJwk, writePem, writeSecret } from '../../lib/crypto/package-keys.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { OPCODE } from '../../lib/frame/opcode.js';
import { writeCredential } from '../../lib/package/credential.js';
import { escapeJson } from '../../lib/package/escape.js';
import { nodeSigner } from '../../lib/package/token-node.js';
import { fakeIo } from './fake-io.js';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const decode = async (args: readonly string[], stdin: string | Uint8Array = ''): Promise<Ran> => {
  const io = fakeIo({ stdin });
  const code = await main(['decode', '--layer', 'package', ...args], io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

const fileOf = async (t: Test, name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(t.testdir({}), name);
  await writeFile(path, content);
  return path;
};

const SECRET = Buffer.from(Uint8Array.from({ length: 32 }, (_, at) => at)).toString('base64url');
/** PROTOCOL.md section 11.4. */
const TOKEN =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InN2Yy1hLjEifQ.eyJoZWFkZXIiOnsic2NvcGUiOjEwMCwiaW50ZXJuYWwiOnRydWUsImJvZHkiOnRydWUsImZvb3RlckluY2x1ZGUiOlsiZHQiXSwiZGVzdGluYXRpb24iOiJkaXNwYXRjaCJ9LCJib2R5Ijp7Im5vZGVJRCI6InN2Yy1hIiwidXNlciI6IjE3NTkyODg0NzI5OTExNzA2MyJ9LCJmb290ZXIiOnsidCI6MTcwMDAwMDAwMDAwMH0sImlzcyI6InN2Yy1hIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDAwNjAsImp0aSI6IkFBQUFBQUFBQUFFIn0.dVePabFogz4Brf5oJPbU8qIIbw4QQRUKHcgJ-zfZJDo';
const PING = '{"header":{"scope":0,"internal":true,"body":false}}';
const CLAIMS = { iss: 'svc-a', iat: 1_700_000_000, exp: 1_700_000_060, jti: 'AAAAAAAAAAE' };

const PAIR = makeNodeKey();
const THEIRS = makeNodeKey();
const signed = (payload: object, kid = 'svc-a.1', node = 'svc-a', pair = PAIR): string =>
  nodeSigner({ kid, alg: 'ES256', key: pair.privateKey, node }).sign(escapeJson({ ...payload, ...CLAIMS, iss: node }));

t.test('a token is shown with its claims, its members and its signature', async (t) => {
  const keys = await fileOf(t, 'secret', `${SECRET}\n`);
  const { code, out, err } = await decode(['--key-file', keys, TOKEN]);
  t.equal(code, 0);
  t.equal(err, '');
  t.equal(
    out,
    `package 1 · UD_REQ_OWNERSHIP 100 · 438 octets
  token                   HS256, kid svc-a.1
  signature               holds
  escaped                 yes
  schema                  fits UD_REQ_OWNERSHIP
  answered by             scope 101
claims
  iss                     svc-a         signed this hop
  iat                     1700000000    2023-11-14T22:13:20Z
  exp                     1700000060    2023-11-14T22:14:20Z, 60 s after iat
  jti                     AAAAAAAAAAE
header
  scope                   100
  internal                true          not on behalf of a user
  body                    true          there is a body
  footerInclude           ["dt"]
  destination             dispatch
body
  body                    {
                            "nodeID": "svc-a",
                            "user": "175928847299117063"
                          }
footer
  t                       1700000000000  2023-11-14T22:13:20Z

1 package · no faults
`,
  );
});

t.test('the same token is read from words, lines, a file and frames', async (t) => {
  const wanted = await decode([TOKEN]);
  t.match(wanted, { code: 0, out: /not verified: no key for it[\s\S]*1 package · 1 not verified · no faults/ });
  const file = await fileOf(t, 'token', TOKEN);
  const frame = encodeFrame({ opcode: OPCODE.text, payload: Buffer.from(TOKEN) });
  const parts = Buffer.concat([
    encodeFrame({ opcode: OPCODE.text, fin: false, payload: Buffer.from(TOKEN.slice(0, 99)) }),
    encodeFrame({ opcode: OPCODE.ping, payload: new Uint8Array(0) }),
    encodeFrame({ opcode: OPCODE.continuation, payload: Buffer.from(TOKEN.slice(99)) }),
  ]);
  const head = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: v0.package.wsd\r\n\r\n');
  const ways: readonly (readonly [string, Promise<Ran>])[] = [
    ['a line', decode([], `# captured\n\n${TOKEN}\r\n`)],
    ['a file', decode(['--file', file])],
    ['stdin', decode(['-'], TOKEN)],
    ['a frame', decode([], frame)],
    ['a frame, said so', decode(['--frames', '--raw', '-'], frame)],
    ['a frame in hexadecimal', decode([], Buffer.from(frame).toString('hex'))],
    ['a frame in hexadecimal, said so', decode(['--hex', '-'], Buffer.from(frame).toString('hex'))],
    ['frames', decode([], parts)],
  ];
  for (const [name, way] of ways) {
    const { code, out, err } = await way;
    t.match({ code, err }, { code: 0, err: '' }, name);
    t.equal(out.replace('server → client · ', ''), wanted.out, name);
  }
  const handshake = await decode([], Buffer.concat([head, frame]));
  t.match(handshake, { code: 0, out: /handshake answer[\s\S]*server → client[\s\S]*no faults/ });
  const masked = encodeFrame({ opcode: OPCODE.text, payload: Buffer.from(TOKEN), maskKey: 0x01020304 });
  t.match(await decode(['--short'], masked), { code: 0, out: /^client → {2}UD_REQ_OWNERSHIP 100/ });
});

t.test('several are read from lines, in one line, and as payloads', async (t) => {
  const many = await decode(['--short'], `${TOKEN} ${TOKEN}\n${PING}\n\n# end\n${TOKEN}`);
  t.equal(many.code, 0);
  t.match(many.out, /^4 packages · 3 not verified · no faults$/m);
  t.match(many.out, /^ {10}PING 0 {16}bare {4}– → –$/m);
  const pretty = await decode([], JSON.stringify(JSON.parse(PING), undefined, 2));
  t.match(pretty, { code: 0, out: /none: a payload by itself[\s\S]*fits PING[\s\S]*note +the payload is not escaped/ });
});

t.test('signatures are verified by a public key, a JWK, a secret or a credential', async (t) => {
  const token = signed(JSON.parse(PING));
  const dispatch = signed(JSON.parse(PING), 'dispatch.1', 'dispatch', THEIRS);
  const secret = makeSecret();
  const hs = nodeSigner({ kid: 'front.1', alg: 'HS256', key: secret, node: 'front' }).sign(
    escapeJson({ ...(JSON.parse(PING) as object), ...CLAIMS, iss: 'front' }),
  );
  const credential = writeCredential({
    url: 'ws://localhost',
    node: 'svc-a',
    role: 'service',
    kid: 'svc-a.1',
    alg: 'ES256',
    key: writePem(PAIR.privateKey),
    dispatch: { kid: 'dispatch.1', alg: 'ES256', key: writePem(THEIRS.publicKey) },
  });
  const ofSecret = writeCredential({
    url: 'ws://localhost',
    node: 'front',
    role: 'front',
    kid: 'front.1',
    alg: 'HS256',
    secret: writeSecret(secret),
  });
  for (const [name, content, one] of [
    ['PEM', writePem(PAIR.publicKey), token],
    ['JWK', JSON.stringify(writeJwk(PAIR.publicKey)), token],
    ['JWK with a kid', JSON.stringify({ ...writeJwk(PAIR.publicKey), kid: 'svc-a.1' }), token],
    ['JWK of a secret', JSON.stringify(writeJwk(secret)), hs],
    ['secret', writeSecret(secret), hs],
    ['credential, own', credential, token],
    ['credential, dispatch', credential, dispatch],
    ['credential with a secret', ofSecret, hs],
  ] as const) {
    const file = await fileOf(t, 'key', content);
    t.match(await decode(['--key-file', file, one]), { code: 0, out: /^ {2}signature +holds$/m }, name);
  }
  const keys = await fileOf(t, 'key', credential);
  const stranger = await decode(['--key-file', keys, signed(JSON.parse(PING), 'other.1')]);
  t.match(stranger, { code: 0, out: /note +there is no key with the kid other\.1/ });
  const borrowed = await decode(['--key-file', keys, signed(JSON.parse(PING), 'svc-a.1', 'svc-b')]);
  t.match(borrowed, { code: 1, out: /bad_token: .*\(iss is not svc-a, whose key it is\)/ });
  const forged = `${token.slice(0, token.lastIndexOf('.'))}.${dispatch.slice(dispatch.lastIndexOf('.') + 1)}`;
  t.match(await decode(['--key-file', keys, forged]), { code: 1, out: /does not hold[\s\S]*closes with 1008/ });
  const pem = await fileOf(t, 'pem', writePem(PAIR.publicKey));
  t.match(await decode(['--key-file', pem, hs]), { code: 1, out: /alg is HS256, but the key is for ES256/ });
});

t.test('key files that are none are told, and nothing of a key is', async (t) => {
  const pem = writePem(PAIR.privateKey);
  for (const [text, message] of [
    ['nothing', /there is no key in .*secret/],
    ['{"kty": ', /begins like JSON but is none/],
    ['{"kty":"oct"}', /the JWK has no k/],
    ['{"wsd":2}', /wsd must be 1/],
    [pem, /this is a private key where a public one belongs/],
    [SECRET.slice(0, 20), /at least 32 octets/],
    [`${SECRET}=`, /not base64url/],
  ] as const) {
    const ran = await decode(['--key-file', await fileOf(t, 'keys', text), TOKEN]);
    t.match(ran, { code: 1, out: '', err: message }, text.slice(0, 20));
    t.notMatch(ran.err, SECRET.slice(0, 16));
    t.notOk(ran.err.includes(pem.split('\n')[1] as string));
  }
  t.match(await decode(['--key-file', '/nonexistent', TOKEN]), { code: 1, err: /there is no such file/ });
});

const wrap = (payload: unknown): string => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256', typ: 'JWT', kid: 'a' })}.${part(payload)}.AAAA`;
};

t.test('faults are named by code, in the order a receiver would find them', async (t) => {
  const header = { scope: 100, internal: true, body: true };
  const body = { nodeID: 'a' };
  const deep = JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`) as object;
  for (const [name, text, codes] of [
    ['a good one', wrap({ header, body, ...CLAIMS }), []],
    ['no token', 'abc', ['bad_token']],
    ['four parts', `${TOKEN}.x`, ['bad_token']],
    ['two parts', 'e30.e30', ['bad_token', 'bad_token', 'bad_header']],
    [
      'alg none',
      `${Buffer.from('{"alg":"none","typ":"JWT","kid":"a"}').toString('base64url')}.e30.AAAA`,
      ['bad_token', 'bad_token', 'bad_header'],
    ],
    ['over 64 KiB', `${'a'.repeat(65_537)}.b.c`, ['too_long']],
    ['no JSON', `${wrap(1).split('.')[0]}.YWJj.AAAA`, ['bad_token']],
    ['no claims', wrap({ header, body }), ['bad_token']],
    ['a claim too many', wrap({ header, body, ...CLAIMS, nbf: 1 }), ['bad_token']],
    ['holds for too long', wrap({ header, body, ...CLAIMS, exp: CLAIMS.iat + 301 }), ['token_expired']],
    ['too deep', wrap({ header, body: deep, ...CLAIMS }), ['bad_body']],
    ['header', wrap({ header: { ...header, x: 1 }, body, ...CLAIMS }), ['bad_header']],
    ['no body', wrap({ header, ...CLAIMS }), ['bad_header', 'bad_body']],
    ['reserved', wrap({ header: { ...header, scope: 300 }, body, ...CLAIMS }), ['unknown_scope']],
    ['long', wrap({ header, body: { nodeID: 'a'.repeat(65) }, ...CLAIMS }), ['too_long']],
    ['body', wrap({ header, body: { nodeID: 'a', x: 1 }, ...CLAIMS }), ['bad_body']],
    ['footer', wrap({ header, body, footer: { x: 1 }, ...CLAIMS }), ['bad_header']],
    [
      'all of it',
      wrap({ header: { ...header, internal: 1 }, body: { x: 1 }, ...CLAIMS, exp: 0 }),
      ['token_expired', 'bad_header', 'bad_body'],
    ],
    ['not declared', wrap({ header: { ...header, scope: 1000 }, body: { any: 1 }, ...CLAIMS }), []],
  ] as const) {
    const { code, out } = await decode(['--json', '-'], text);
    const { faults } = JSON.parse(out.split('\n')[0] as string) as {
      readonly faults: readonly { readonly code: string }[];
    };
    t.strictSame(
      faults.map((fault) => fault.code),
      codes,
      name,
    );
    t.equal(code, codes.length === 0 ? 0 : 1, name);
  }
  t.strictSame(await decode(['--quiet', 'abc']), { code: 1, out: '', err: '' });
  const told = await decode([wrap({ header: { ...header, x: 1 }, body: { nodeID: 'a b' }, ...CLAIMS })]);
  t.match(
    told.out,
    /fault +bad_header: the header is not valid\n +header has unknown members: x\n +PROTOCOL\.md section 8\.1; a receiver answers with an ERROR package\n/,
  );
  t.match(told.out, /^ {2}schema +does not fit$/m);
});

t.test('notes tell what is no fault', async (t) => {
  const user = { scope: 0, internal: true, body: false, user: 5 };
  t.match((await decode([`{"header":${JSON.stringify(user)}}`])).out, /note +user is ignored: internal is true/);
  const own = await decode(['{"header":{"scope":1000,"internal":true,"body":true},"body":{}}']);
  t.match(own, { code: 0, out: /^package 1 · scope 1000 ·[\s\S]*note +scope 1000 is not declared here/ });
});

t.test('your own scopes are judged when they are declared', async (t) => {
  const list = [
    { id: 0, name: 'PING' },
    {
      id: 1000,
      name: 'SUM',
      body: { type: 'object', properties: { n: { type: 'array', items: { type: 'number' } } }, required: ['n'] },
      reply: { scope: 1000, body: { type: 'object', properties: { sum: { type: 'number' } }, required: ['sum'] } },
    },
  ];
  const at = (body: object, more: object = {}): string =>
    JSON.stringify({ header: { scope: 1000, internal: true, body: true }, body, ...more });
  for (const content of [list, { scopes: list }]) {
    const file = await fileOf(t, 'scopes.json', JSON.stringify(content));
    t.match(await decode(['--scopes', file, at({ n: [1] })]), { code: 0, out: /fits SUM[\s\S]*note +the body asks/ });
    const answer = at({ sum: 1 }, { ...CLAIMS, re: 'BBBBBBBB' });
    t.match(await decode(['--scopes', file, answer]), { code: 0, out: /note +the body is that of an answer/ });
    t.match(await decode(['--scopes', file, at({ n: ['x'] })]), { code: 1, out: /body\.n\.0 must be a number/ });
  }
  const bad = await fileOf(t, 'bad.json', JSON.stringify([{ id: 1000 }]));
  t.match(await decode(['--scopes', bad, PING]), {
    code: 1,
    err: /there are no scopes in .*: scopes\[0\]\.name must be/,
  });
  const none = await fileOf(t, 'none.json', '{');
  t.match(await decode(['--scopes', none, PING]), { code: 1, err: /there are no scopes in/ });
});

t.test('what is wrong around the packages is told', async (t) => {
  const good = encodeFrame({ opcode: OPCODE.text, payload: Buffer.from(PING) });
  const binary = encodeFrame({ opcode: OPCODE.binary, payload: Buffer.from('00000000', 'hex') });
  const { code, out } = await decode(['--short'], Buffer.concat([good, binary, good.subarray(0, 9)]));
  t.equal(code, 1);
  t.match(out, /frame 2: a binary message, which holds no package; packets are shown by --layer packet/);
  t.match(out, /cut: the last frame lacks 44 bytes/);
  t.match(out, /^1 package · 2 faults$/m);
  t.match(await decode(['--short', '--frames', 'c1 00']), { code: 1, out: /WSD_FRAME_RSV/ });
});

t.test('JSON has one object a package, and one that sums up', async (t) => {
  const { code, out } = await decode(['--json', '-'], `${TOKEN}\nabc`);
  t.equal(code, 1);
  const objects = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(objects[0], {
    type: 'package',
    index: 0,
    octets: 438,
    signature: 'no key',
    alg: 'HS256',
    kid: 'svc-a.1',
    escaped: true,
    claims: CLAIMS,
    header: { scope: 100 },
    scope: { id: 100, name: 'UD_REQ_OWNERSHIP', range: 'userdata', reply: 101 },
    faults: [],
  });
  t.match(objects[1], { signature: 'unreadable', faults: [{ code: 'bad_token', close: 1008 }] });
  t.strictSame(objects[2], { type: 'end', packages: 2, notVerified: 1, faults: 1, outside: [] });
});

t.test('foreign text cannot reach the terminal as itself', async (t) => {
  const evil = '\u001b[2J\u202e\u0007';
  const payload = {
    header: { scope: 100, internal: true, body: true, [evil]: 1 },
    body: { [evil]: evil },
    [evil]: evil,
    footer: { [evil]: evil },
  };
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({ alg: evil, typ: 'JWT', kid: evil })}.${part(payload)}.AAAA`;
  for (const input of [token, JSON.stringify(payload), evil, `x${evil}`]) {
    for (const args of [['-'], ['--short', '-'], ['--json', '-']]) {
      const { out } = await decode(args, input);
      t.notOk(
        [...out].some((character) => (character < ' ' ? character !== '\n' : character === '\u202e')),
        `${args[0]}`,
      );
    }
  }
});

t.test('nothing that was captured makes it fail', async (t) => {
  for (const text of [
    '{',
    '{}',
    '{"header":7}',
    '{"header":{"scope":1e999}}',
    '.',
    '..',
    '...',
    'a.b.c',
    'é.é.é',
    `${'['.repeat(9999)}`,
    `{"a":${'['.repeat(9999)}`,
  ]) {
    t.match(await decode(['-'], text), { code: 1, err: '' }, text.slice(0, 20));
  }
});

t.test('wrong words are told in one sentence', async (t) => {
  for (const [args, stdin, message] of [
    [[], '', /no packages to decode/],
    [[], '# nothing\n', /no packages to decode/],
    [['--hex', '-'], 'hello', /not hexadecimal/],
    [['--hex', '--raw'], PING, /exclude each other/],
    [['--from', 'me', PING], '', /--from takes client or server/],
  ] as const) {
    t.match(await decode(args, stdin), { code: 2, out: '', err: message });
  }
  const io = fakeIo({});
  t.equal(await main(['decode', '--layer', 'packet', '--scopes', 'x', '00000000'], io), 2);
  t.match(io.stderr.text, /--scopes goes with --layer package/);
});
