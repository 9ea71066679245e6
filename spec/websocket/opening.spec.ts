// The opening handshake, both halves: what a request is judged to be, what a 101 says, and which answers a client believes.
// HOSTILE lines 4 to 8, 10, 14, 15 and 23. Heads are parsed from text, as they would come.

import t from 'tap';
import { equalDigest, sha1Base64 } from '../../lib/crypto/digest.js';
import type { FaultCode } from '../../lib/fault.js';
import { Fields, HeadParser, type RequestHead, type ResponseHead } from '../../lib/http/head.js';
import { parseWsUri, type WsUri } from '../../lib/http/uri.js';
import { acceptKey, isKey } from '../../lib/websocket/accept.js';
import { judgeAnswer, writeRequest } from '../../lib/websocket/opening-client.js';
import { judgeRequest, writeAccept } from '../../lib/websocket/opening-server.js';

const LIMITS = { line: 8192, total: 16384, fields: 100 };
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const requestHead = (bytes: Uint8Array): RequestHead => {
  const result = new HeadParser('request', LIMITS).receive(bytes);
  if (result.kind !== 'request') throw new Error(`no request: ${result.kind}`);
  return result.head;
};
const responseHead = (bytes: Uint8Array): ResponseHead => {
  const result = new HeadParser('response', LIMITS).receive(bytes);
  if (result.kind !== 'response') throw new Error(`no response: ${result.kind}`);
  return result.head;
};
const uriOf = (text: string): WsUri => {
  const uri = parseWsUri(text);
  if ('kind' in uri) throw new Error('not a URI');
  return uri;
};

/** A good request; `changes` replaces a field by other lines of it (none, one or several), or adds it. */
type Changes = Readonly<Record<string, readonly string[]>>;
const GOOD: Changes = {
  Host: ['server.example.com'],
  Upgrade: ['websocket'],
  Connection: ['Upgrade'],
  'Sec-WebSocket-Key': [KEY],
  'Sec-WebSocket-Version': ['13'],
};
const request = (changes: Changes, method = 'GET', target = '/chat'): RequestHead => {
  const lines = Object.entries({ ...GOOD, ...changes }).flatMap(([name, values]) =>
    values.map((value) => `${name}: ${value}`),
  );
  return requestHead(Buffer.from(`${[`${method} ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`, 'latin1'));
};
const codeOf = (result: object): unknown => ('code' in result ? result.code : (result as { kind: unknown }).kind);

t.test('keys are accepted as RFC 6455 computes it', async (t) => {
  t.equal(acceptKey(KEY), ACCEPT, 'the sample of section 1.3');
  t.equal(acceptKey('x3JJHMbDL1EzLkh9GBhXDw=='), 'HSmrc0sMlYUkAGmm5OPpG2HaGWk=', 'the sample of the protocol overview');
  t.equal(sha1Base64('abc'), 'qZk+NkcGgWq6PiVxeFDCbJzQ2J0=', 'the first vector of FIPS 180');
});

t.test('a key is sixteen bytes in canonical base64 and nothing else', async (t) => {
  for (const key of [
    KEY,
    'x3JJHMbDL1EzLkh9GBhXDw==',
    'AAAAAAAAAAAAAAAAAAAAAA==',
    '/////////////////////w==',
    '++++++++++++++++++++++==',
  ]) {
    t.equal(isKey(key), Buffer.from(key, 'base64').toString('base64') === key, key);
  }
  for (const key of [
    ...[
      '',
      '==',
      'dGhlIHNhbXBsZSBub25jZQ',
      'dGhlIHNhbXBsZSBub25jZQ=',
      'dGhlIHNhbXBsZSBub25jZR==',
      'dGhlIHNhbXBsZSBub25jZQ=A',
    ],
    ...[
      'dGhlIHNhbXBsZSBub25jZQA=',
      'dGhlIHNhbXBsZSBub25jZ-==',
      'dGhlIHNhbXBsZSBub25j ZQ==',
      'dGhlIHNhbXBsZSBub25j\u0161Q==',
    ],
    ...['AAAAAAAAAAAAAAAAAAAA', 'AAAAAAAAAAAAAAAAAAAAAAAA', `${KEY}${KEY}`],
  ]) {
    t.notOk(isKey(key), JSON.stringify(key));
  }
});

t.test('digests compare equal only when they are', async (t) => {
  t.ok(equalDigest(ACCEPT, ACCEPT));
  t.ok(equalDigest('', ''));
  t.notOk(equalDigest(ACCEPT, ACCEPT.toLowerCase()));
  t.notOk(equalDigest('a', 'ab'), 'other lengths do not throw');
});

t.test('a handshake is judged with all that it asks for', async (t) => {
  const head = request(
    {
      Host: ['Server.Example.com:8080'],
      Origin: ['http://example.com'],
      'Sec-WebSocket-Protocol': ['chat, superchat', 'v2.chat'],
      'Sec-WebSocket-Extensions': ['permessage-deflate; client_max_window_bits', 'x-other'],
    },
    'GET',
    '/%63hat?room=1',
  );
  t.same(judgeRequest(head), {
    kind: 'upgrade',
    head,
    path: '/chat',
    query: 'room=1',
    host: { name: 'server.example.com', port: 8080 },
    origin: 'http://example.com',
    key: KEY,
    protocols: ['chat', 'superchat', 'v2.chat'],
    offers: [
      { name: 'permessage-deflate', params: [['client_max_window_bits', true]] },
      { name: 'x-other', params: [] },
    ],
  });
  const bare = judgeRequest(request({}));
  t.match(bare, { kind: 'upgrade', path: '/chat', query: '', origin: undefined, protocols: [], offers: [] });
});

t.test('odd but legal handshakes are taken, all others are refused with one code', async (t) => {
  const cases: readonly (readonly [name: string, changes: Changes, expected: FaultCode | 'upgrade' | 'plain'])[] = [
    ['Upgrade in odd case', { Upgrade: ['WebSocket'] }, 'upgrade'],
    ['Upgrade as a list', { Upgrade: ['h2c, websocket'] }, 'upgrade'],
    ['Upgrade twice', { Upgrade: ['h2c', 'websocket'] }, 'upgrade'],
    ['no Upgrade', { Upgrade: [] }, 'plain'],
    ['an empty Upgrade', { Upgrade: [''] }, 'WSD_UPGRADE_UPGRADE'],
    ['another Upgrade', { Upgrade: ['h2c'] }, 'WSD_UPGRADE_UPGRADE'],
    ['almost the right Upgrade', { Upgrade: ['websockets, xwebsocket, web socket'] }, 'WSD_UPGRADE_UPGRADE'],
    ['Connection as browsers write it', { Connection: ['keep-alive, Upgrade'] }, 'upgrade'],
    ['Connection in odd case', { Connection: ['KEEP-ALIVE,uPGRADE'] }, 'upgrade'],
    ['Connection twice', { Connection: ['keep-alive', 'upgrade'] }, 'upgrade'],
    ['no Connection', { Connection: [] }, 'WSD_UPGRADE_CONNECTION'],
    ['an empty Connection', { Connection: [''] }, 'WSD_UPGRADE_CONNECTION'],
    ['another Connection', { Connection: ['keep-alive'] }, 'WSD_UPGRADE_CONNECTION'],
    ['no version', { 'Sec-WebSocket-Version': [] }, 'WSD_UPGRADE_VERSION'],
    ['version 8', { 'Sec-WebSocket-Version': ['8'] }, 'WSD_UPGRADE_VERSION'],
    ['version 99', { 'Sec-WebSocket-Version': ['99'] }, 'WSD_UPGRADE_VERSION'],
    ['a list of versions', { 'Sec-WebSocket-Version': ['13, 8'] }, 'WSD_UPGRADE_VERSION'],
    ['a version with a zero in front', { 'Sec-WebSocket-Version': ['013'] }, 'WSD_UPGRADE_VERSION'],
    ['an empty version', { 'Sec-WebSocket-Version': [''] }, 'WSD_UPGRADE_VERSION'],
    ['the version twice', { 'Sec-WebSocket-Version': ['13', '13'] }, 'WSD_HTTP_DUPLICATE'],
    ['no key', { 'Sec-WebSocket-Key': [] }, 'WSD_UPGRADE_KEY'],
    ['an empty key', { 'Sec-WebSocket-Key': [''] }, 'WSD_UPGRADE_KEY'],
    ['a key that is not base64', { 'Sec-WebSocket-Key': ['!GhlIHNhbXBsZSBub25jZQ=='] }, 'WSD_UPGRADE_KEY'],
    ['a key of 15 bytes', { 'Sec-WebSocket-Key': ['AAAAAAAAAAAAAAAAAAAA'] }, 'WSD_UPGRADE_KEY'],
    ['the key twice', { 'Sec-WebSocket-Key': [KEY, KEY] }, 'WSD_UPGRADE_KEY'],
    ['another version and no key', { 'Sec-WebSocket-Version': ['8'], 'Sec-WebSocket-Key': [] }, 'WSD_UPGRADE_VERSION'],
    ['no Host', { Host: [] }, 'WSD_HTTP_HOST'],
    ['an empty Host', { Host: [''] }, 'WSD_HTTP_HOST'],
    ['two Hosts', { Host: ['a', 'a'] }, 'WSD_HTTP_HOST'],
    ['two Hosts in one line', { Host: ['a, b'] }, 'WSD_HTTP_HOST'],
    ['a Host with a user', { Host: ['u@a'] }, 'WSD_HTTP_HOST'],
    ['a body', { 'Content-Length': ['5'] }, 'WSD_HTTP_BODY'],
    ['a body of nothing', { 'Content-Length': ['0'] }, 'WSD_HTTP_BODY'],
    ['a length that is none', { 'Content-Length': ['-1'] }, 'WSD_HTTP_BODY'],
    ['two lengths', { 'Content-Length': ['5', '6'] }, 'WSD_HTTP_DUPLICATE'],
    ['a chunked body', { 'Transfer-Encoding': ['chunked'] }, 'WSD_HTTP_BODY'],
    ['both', { 'Transfer-Encoding': ['chunked'], 'Content-Length': ['5'] }, 'WSD_HTTP_BODY'],
    ['a body on a plain page', { Upgrade: [], 'Content-Length': ['5'] }, 'WSD_HTTP_BODY'],
    ['two origins', { Origin: ['http://a', 'http://b'] }, 'WSD_HTTP_DUPLICATE'],
    ['a null origin is for the application to judge', { Origin: ['null'] }, 'upgrade'],
    ['subprotocols on two lines', { 'Sec-WebSocket-Protocol': ['a', 'b'] }, 'upgrade'],
    ['a subprotocol twice', { 'Sec-WebSocket-Protocol': ['a, b, a'] }, 'WSD_UPGRADE_PROTOCOL'],
    ['a subprotocol on two lines twice', { 'Sec-WebSocket-Protocol': ['a', 'a'] }, 'WSD_UPGRADE_PROTOCOL'],
    ['subprotocols that differ in case', { 'Sec-WebSocket-Protocol': ['a, A'] }, 'upgrade'],
    ['a subprotocol that is no token', { 'Sec-WebSocket-Protocol': ['a/b'] }, 'WSD_UPGRADE_PROTOCOL'],
    ['an empty list of subprotocols', { 'Sec-WebSocket-Protocol': [' , '] }, 'WSD_UPGRADE_PROTOCOL'],
    ['a subprotocol named __proto__', { 'Sec-WebSocket-Protocol': ['__proto__, constructor'] }, 'upgrade'],
    ['extensions that nobody knows', { 'Sec-WebSocket-Extensions': ['__proto__; constructor=1'] }, 'upgrade'],
    ['an unclosed quote', { 'Sec-WebSocket-Extensions': ['a; b="'] }, 'WSD_UPGRADE_EXTENSIONS'],
    ['an empty list of extensions', { 'Sec-WebSocket-Extensions': [''] }, 'WSD_UPGRADE_EXTENSIONS'],
  ];
  for (const [name, changes, expected] of cases) t.equal(codeOf(judgeRequest(request(changes))), expected, name);
});

t.test('the method decides first, then what is ambiguous, then the handshake', async (t) => {
  const plain: Changes = { Upgrade: [] };
  const cases: readonly (readonly [name: string, head: RequestHead, expected: string])[] = [
    ['a plain GET', request(plain), 'plain'],
    ['a plain HEAD', request(plain, 'HEAD'), 'plain'],
    [
      'a plain GET that could do with h2c as well',
      request({ Upgrade: ['h2c'], 'Sec-WebSocket-Key': [], 'Sec-WebSocket-Version': [] }),
      'plain',
    ],
    ['a HEAD that asks for an upgrade', request({}, 'HEAD'), 'WSD_HTTP_METHOD'],
    ['a POST', request({ 'Content-Length': ['3'], Host: [] }, 'POST'), 'WSD_HTTP_METHOD'],
    ['a plain POST', request(plain, 'POST'), 'WSD_HTTP_METHOD'],
    ['a CONNECT', request({}, 'CONNECT', 'example.com:80'), 'WSD_HTTP_METHOD'],
    ['a get in lower case', request({}, 'get'), 'WSD_HTTP_METHOD'],
    ['a body before the host', request({ 'Content-Length': ['3'], Host: [] }), 'WSD_HTTP_BODY'],
    ['the host before the target', request({ Host: [] }, 'GET', '/..'), 'WSD_HTTP_HOST'],
    ['the target before the upgrade', request({ Upgrade: ['x'] }, 'GET', '/..'), 'WSD_HTTP_TARGET'],
    ['the upgrade before the connection', request({ Upgrade: ['x'], Connection: [] }), 'WSD_UPGRADE_UPGRADE'],
    ['the target of a plain page', request(plain, 'GET', '/%2e%2e/etc'), 'WSD_HTTP_TARGET'],
    ['an asterisk', request({}, 'GET', '*'), 'WSD_HTTP_TARGET'],
    ['an absolute target', request({}, 'GET', 'http://SERVER.example.com/chat'), 'upgrade'],
    ['an absolute target of another host', request({}, 'GET', 'http://evil.example/chat'), 'WSD_HTTP_HOST'],
    ['an absolute target of another port', request({}, 'GET', 'http://server.example.com:81/'), 'WSD_HTTP_HOST'],
    ['an absolute target with a user', request({}, 'GET', 'http://server.example.com@evil.example/'), 'WSD_HTTP_HOST'],
    ['an absolute target without a host', request({}, 'GET', 'http:///chat'), 'WSD_HTTP_HOST'],
    ['the default port written once', request({}, 'GET', 'wss://server.example.com:443/'), 'upgrade'],
    ['the port of the other scheme', request({}, 'GET', 'http://server.example.com:443/'), 'WSD_HTTP_HOST'],
  ];
  for (const [name, head, expected] of cases) t.equal(codeOf(judgeRequest(head)), expected, name);
});

t.test('a head from another parser is judged like one of ours', async (t) => {
  const pairs = Object.entries(GOOD).flatMap(([name, values]) => values.map((value) => [name, value] as const));
  t.equal(judgeRequest({ method: 'GET', target: '/', fields: Fields.from(pairs) }).kind, 'upgrade');
  t.equal(codeOf(judgeRequest({ method: 'GET', target: '/a b', fields: Fields.from(pairs) })), 'WSD_HTTP_TARGET');
});

t.test('the 101 is written as the RFC orders it, with what was agreed', async (t) => {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const start = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`;
  t.equal(text(writeAccept({ key: KEY })), `${start}\r\n`);
  t.equal(text(writeAccept({ key: KEY, protocol: '', extensions: '' })), `${start}\r\n`);
  t.equal(
    text(
      writeAccept({ key: KEY, protocol: 'chat', extensions: 'permessage-deflate', fields: [['Set-Cookie', 'a=b']] }),
    ),
    `${start}Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSet-Cookie: a=b\r\n\r\n`,
  );
  t.throws(() => writeAccept({ key: KEY, protocol: 'a\r\nX: y' }), TypeError);
  t.throws(() => writeAccept({ key: KEY, protocol: 'a, b' }), TypeError);
  t.throws(() => writeAccept({ key: KEY, extensions: 'a\r\nX: y' }), TypeError);
  t.throws(() => writeAccept({ key: KEY, fields: [['X', 'a\r\nY: z']] }), TypeError);
  for (const name of [
    'Sec-WebSocket-Accept',
    'sec-websocket-anything',
    'UPGRADE',
    'Connection',
    'Content-Length',
    'Transfer-Encoding',
    'Host',
  ]) {
    t.throws(() => writeAccept({ key: KEY, fields: [[name, 'x']] }), TypeError, name);
    t.throws(() => writeRequest({ uri: uriOf('ws://h'), key: KEY, fields: [[name, 'x']] }), TypeError, name);
  }
});

t.test('a request of our client is one that our server accepts', async (t) => {
  const bytes = writeRequest({
    uri: uriOf('ws://Example.com:8080/chat?x=1'),
    key: KEY,
    protocols: ['chat', 'superchat'],
    extensions: 'permessage-deflate; client_max_window_bits',
    origin: 'http://example.com',
    fields: [['Cookie', 'a=b']],
  });
  t.equal(
    Buffer.from(bytes).toString('latin1'),
    [
      'GET /chat?x=1 HTTP/1.1',
      'Host: example.com:8080',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${KEY}`,
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: chat, superchat',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      'Origin: http://example.com',
      'Cookie: a=b',
      '\r\n',
    ].join('\r\n'),
  );
  const judged = judgeRequest(requestHead(bytes));
  if (judged.kind !== 'upgrade') throw new Error('not an upgrade');
  t.same(judged.protocols, ['chat', 'superchat']);
  const answer = responseHead(writeAccept({ key: judged.key, protocol: 'chat', extensions: 'permessage-deflate' }));
  t.same(judgeAnswer(answer, { key: KEY, protocols: ['chat', 'superchat'] }), {
    kind: 'accepted',
    protocol: 'chat',
    extensions: [{ name: 'permessage-deflate', params: [] }],
  });
  const least = judgeRequest(requestHead(writeRequest({ uri: uriOf('wss://[::1]'), key: KEY })));
  t.match(least, { kind: 'upgrade', path: '/', host: { name: '::1', port: undefined } });

  const uri = uriOf('ws://h');
  t.throws(() => writeRequest({ uri, key: 'short' }), TypeError);
  t.throws(() => writeRequest({ uri, key: KEY, protocols: ['a b'] }), TypeError);
  t.throws(() => writeRequest({ uri, key: KEY, protocols: [''] }), TypeError);
  t.throws(() => writeRequest({ uri, key: KEY, protocols: ['a', 'a'] }), TypeError);
  t.throws(() => writeRequest({ uri, key: KEY, origin: 'a\r\nX: y' }), TypeError);
  t.throws(() => writeRequest({ uri, key: KEY, extensions: 'a\nb' }), TypeError);
});

t.test('a client believes only the answer to its own request', async (t) => {
  const good: Changes = { Upgrade: ['websocket'], Connection: ['Upgrade'], 'Sec-WebSocket-Accept': [ACCEPT] };
  const cases: readonly (readonly [name: string, changes: Changes, expected: FaultCode | 'accepted'])[] = [
    ['the least', {}, 'accepted'],
    ['Upgrade in odd case', { Upgrade: ['WebSocket'] }, 'accepted'],
    ['no Upgrade', { Upgrade: [] }, 'WSD_DIAL_UPGRADE'],
    ['Upgrade as a list', { Upgrade: ['h2c, websocket'] }, 'WSD_DIAL_UPGRADE'],
    ['Upgrade twice', { Upgrade: ['websocket', 'websocket'] }, 'WSD_DIAL_UPGRADE'],
    ['Connection as a list', { Connection: ['keep-alive, upgrade'] }, 'accepted'],
    ['no Connection', { Connection: [] }, 'WSD_DIAL_UPGRADE'],
    ['another Connection', { Connection: ['close'] }, 'WSD_DIAL_UPGRADE'],
    ['no accept value', { 'Sec-WebSocket-Accept': [] }, 'WSD_DIAL_ACCEPT'],
    ['the key for the accept value', { 'Sec-WebSocket-Accept': [KEY] }, 'WSD_DIAL_ACCEPT'],
    [
      'the accept value of another key',
      { 'Sec-WebSocket-Accept': ['HSmrc0sMlYUkAGmm5OPpG2HaGWk='] },
      'WSD_DIAL_ACCEPT',
    ],
    ['the accept value in lower case', { 'Sec-WebSocket-Accept': [ACCEPT.toLowerCase()] }, 'WSD_DIAL_ACCEPT'],
    ['the accept value twice', { 'Sec-WebSocket-Accept': [ACCEPT, ACCEPT] }, 'WSD_DIAL_ACCEPT'],
    ['an offered subprotocol', { 'Sec-WebSocket-Protocol': ['chat'] }, 'accepted'],
    ['a subprotocol in another case', { 'Sec-WebSocket-Protocol': ['Chat'] }, 'WSD_DIAL_PROTOCOL'],
    ['a subprotocol that was not offered', { 'Sec-WebSocket-Protocol': ['other'] }, 'WSD_DIAL_PROTOCOL'],
    ['an empty subprotocol', { 'Sec-WebSocket-Protocol': [''] }, 'WSD_DIAL_PROTOCOL'],
    ['both that were offered', { 'Sec-WebSocket-Protocol': ['chat, superchat'] }, 'WSD_DIAL_PROTOCOL'],
    ['the subprotocol twice', { 'Sec-WebSocket-Protocol': ['chat', 'chat'] }, 'WSD_DIAL_PROTOCOL'],
    ['extensions, for others to judge', { 'Sec-WebSocket-Extensions': ['a, b; c'] }, 'accepted'],
    ['broken extensions', { 'Sec-WebSocket-Extensions': ['a; '] }, 'WSD_DIAL_EXTENSION'],
  ];
  for (const [name, changes, expected] of cases) {
    const pairs = Object.entries({ ...good, ...changes }).flatMap(([key, values]) =>
      values.map((value) => [key, value] as const),
    );
    const head: ResponseHead = { status: 101, reason: '', fields: Fields.from(pairs) };
    t.equal(codeOf(judgeAnswer(head, { key: KEY, protocols: ['chat', 'superchat'] })), expected, name);
  }
});

t.test('any other status is a redirect with a place to go, or a refusal', async (t) => {
  const answer = (status: number, fields: [string, string][]): unknown =>
    judgeAnswer({ status, reason: '', fields: Fields.from(fields) }, { key: KEY, protocols: [] });
  for (const status of [301, 302, 303, 307, 308]) {
    t.same(answer(status, [['Location', 'wss://h/']]), { kind: 'redirect', status, location: 'wss://h/' });
  }
  for (const [status, fields] of [
    [302, []],
    [
      302,
      [
        ['Location', 'ws://a'],
        ['Location', 'ws://b'],
      ],
    ],
    [304, [['Location', 'ws://a']]],
    [
      200,
      [
        ['Upgrade', 'websocket'],
        ['Connection', 'Upgrade'],
        ['Sec-WebSocket-Accept', ACCEPT],
      ],
    ],
    [401, [['WWW-Authenticate', 'Basic']]],
    [426, [['Sec-WebSocket-Version', '13']]],
    [503, []],
  ] as const) {
    t.match(answer(status, fields as unknown as [string, string][]), { kind: 'refused', status }, `${status}`);
  }
});
