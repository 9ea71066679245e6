// What stands in a head, read and written: tokens, extensions, targets, hosts, URIs, and whole answers.
// HOSTILE lines 10 to 15. The texts are given by hand, so that each says what it is about.

import t from 'tap';
import { FAULTS, type FaultCode, phraseOf, statusOf } from '../../lib/fault.js';
import { type Extension, parseExtensions, writeExtension } from '../../lib/http/extensions.js';
import { writeField } from '../../lib/http/fields.js';
import { HeadParser } from '../../lib/http/head.js';
import { parseHost } from '../../lib/http/host.js';
import { type Response, reasonOf, refusal, writeResponse } from '../../lib/http/response.js';
import { parseTarget } from '../../lib/http/target.js';
import { hasToken, isToken, parseTokenList } from '../../lib/http/tokens.js';
import { parseWsUri } from '../../lib/http/uri.js';

t.test('a list of tokens is read with its spaces and empty elements, and refused with anything else', async (t) => {
  const cases: readonly (readonly [string, string[] | undefined])[] = [
    ['chat', ['chat']],
    ['chat, superchat', ['chat', 'superchat']],
    [' \tchat\t,,  , superchat , ', ['chat', 'superchat']],
    ['v0.packet.wsd,!#$%&', ['v0.packet.wsd', '!#$%&']],
    ['', []],
    [', ,', []],
    ['a b', undefined],
    ['a;b', undefined],
    ['"a"', undefined],
    ['a,b/c', undefined],
    ['caf\xe9', undefined],
    ['a\0', undefined],
    ['\u0161', undefined],
  ];
  for (const [value, expected] of cases) t.same(parseTokenList(value), expected, JSON.stringify(value));
  t.ok(isToken('a') && isToken("!#$%&'*+-.^_`|~"));
  for (const text of ['', 'a b', 'a,', '(', '\x7f', '\xff', '\u212a', 'a\r\n'])
    t.notOk(isToken(text), JSON.stringify(text));
});

t.test('a token is found in lists of any case, on any line, and never as part of another one', async (t) => {
  for (const values of [
    ['Upgrade'],
    ['upgrade'],
    ['keep-alive, Upgrade'],
    ['keep-alive,UPGRADE ,x'],
    ['keep-alive', '\tuPgRaDe'],
    ['some words, upgrade'],
    [',,upgrade'],
  ]) {
    t.ok(hasToken(values, 'Upgrade'), JSON.stringify(values));
  }
  for (const values of [
    [],
    [''],
    [','],
    ['upgrades'],
    ['xupgrade'],
    ['up grade'],
    ['"upgrade"'],
    ['upgrade;q=1'],
    ['upgrad\u00e9'],
  ]) {
    t.notOk(hasToken(values, 'upgrade'), JSON.stringify(values));
  }
  t.notOk(hasToken(['\u212a'], 'k'), 'the Kelvin sign is no k');
  t.notOk(hasToken([''], ''), 'no token is not a token');
});

t.test('extensions are read in order with all their parameters, or not at all', async (t) => {
  const read = (values: string[]): unknown =>
    parseExtensions(values)?.map(({ name, params }) => [name, ...params.map(([key, value]) => [key, value])]);
  const cases: readonly (readonly [string[], unknown])[] = [
    [[], []],
    [['permessage-deflate'], [['permessage-deflate']]],
    [
      ['permessage-deflate; client_max_window_bits; server_max_window_bits=10'],
      [['permessage-deflate', ['client_max_window_bits', true], ['server_max_window_bits', '10']]],
    ],
    [['a;b="10"'], [['a', ['b', '10']]]],
    [['a;b="1\\0"'], [['a', ['b', '10']]]],
    [['a;b="\\1\\0"'], [['a', ['b', '10']]]],
    [
      ['a ; b = c , d\t;\te'],
      [
        ['a', ['b', 'c']],
        ['d', ['e', true]],
      ],
    ],
    [
      ['a, b', 'c'],
      [['a'], ['b'], ['c']],
    ],
    [[',, a ,,', ''], [['a']]],
    [['a; b; b; b=1'], [['a', ['b', true], ['b', true], ['b', '1']]]],
    [['__proto__; constructor=toString'], [['__proto__', ['constructor', 'toString']]]],
    [['a; b=-1'], [['a', ['b', '-1']]]],
    [[''], undefined],
    [[' , '], undefined],
    [['a;'], undefined],
    [[';a'], undefined],
    [['a; ;b'], undefined],
    [['a b'], undefined],
    [['a; b c'], undefined],
    [['a; b='], undefined],
    [['a; b=""'], undefined],
    [['a; b="'], undefined],
    [['a; b="c'], undefined],
    [['a; b="c\\'], undefined],
    [['a; b="c d"'], undefined],
    [['a; b="c"d'], undefined],
    [['a; b="c";'], undefined],
    [['a; =b'], undefined],
    [['a=b'], undefined],
    [['a; b=c=d'], undefined],
    [['"a"'], undefined],
    [['a', '(b)'], undefined],
    [['a\0'], undefined],
  ];
  for (const [values, expected] of cases) t.same(read(values), expected, JSON.stringify(values));
  t.equal(Object.getPrototypeOf(parseExtensions(['__proto__'])?.[0]), Object.prototype, 'no prototype was touched');
});

t.test('an extension is written as it would be read, and never otherwise', async (t) => {
  const extension: Extension = {
    name: 'a',
    params: [
      ['b', true],
      ['c', '15'],
    ],
  };
  t.equal(writeExtension(extension), 'a; b; c=15');
  t.same(parseExtensions([writeExtension(extension)]), [extension]);
  t.throws(() => writeExtension({ name: 'a,b', params: [] }), TypeError);
  t.throws(() => writeExtension({ name: 'a', params: [['b\r\n', true]] }), TypeError);
  t.throws(() => writeExtension({ name: 'a', params: [['b', '']] }), TypeError);
});

t.test('a target becomes one path and one query', async (t) => {
  const cases: readonly (readonly [target: string, path: string, query: string, text?: string, secure?: boolean])[] = [
    ['/', '/', ''],
    ['/chat?room=1&x=%00', '/chat', 'room=1&x=%00'],
    ['/chat?', '/chat', ''],
    ['/a?b?c/../d\\', '/a', 'b?c/../d\\'],
    ['/%63hat/%7Euser', '/chat/~user', ''],
    ['/caf%c3%a9', '/caf%C3%A9', ''],
    ['/a%2etxt', '/a.txt', ''],
    ['/...', '/...', ''],
    ['/..a/.b/c../d.', '/..a/.b/c../d.', ''],
    ['/%2e%2e%2e', '/...', ''],
    ['/100%25', '/100%25', ''],
    ['/100%25/ab', '/100%25/ab', ''],
    ['/100%25%25', '/100%25%25', ''],
    ['/%25a', '/%25a', ''],
    ['/a//b', '/a//b', ''],
    ["/a;b=c,d:e@f!$&'()*+|^[]{}`", "/a;b=c,d:e@f!$&'()*+|^[]{}`", ''],
    ['http://example.com/chat?x', '/chat', 'x', 'example.com', false],
    ['WS://example.com:80', '/', '', 'example.com:80', false],
    ['wss://example.com?x', '/', 'x', 'example.com', true],
    ['https://[::1]:443/', '/', '', '[::1]:443', true],
  ];
  for (const [target, path, query, text, secure] of cases) {
    const authority = text === undefined ? undefined : { text, secure };
    t.same(parseTarget(target), { path, query, authority }, target);
  }
});

t.test('a target that two readers could read differently is refused', async (t) => {
  const targets = [
    ...['', '*', 'chat', 'example.com:80', '?x', 'ftp://example.com/', 'http:/x', 'javascript:alert(1)'],
    ...['/..', '/.', '/a/../b', '/a/./b', '/a/..', '/../', '/./?x', '/..?x'],
    ...['/%2e%2e/a', '/%2E', '/.%2e', '/a/%2e./b', 'http://x/%2e%2e'],
    ...['/%2f', '/a%2Fb', '/%5c', '/a\\b', '/..\\a'],
    ...['/%00', '/%0d%0a', '/%1f', '/%7f', '/\0', '/\x7f', '/a b', '/caf\xe9', '/?\xe9', '/?\0', '/? '],
    ...['/%', '/%4', '/%zz', '/%4g', '/a%', '/%u0041', '/%%34%31'],
    ...['/%252e', '/%252E%252e', '/%2500', '/%25%32%65', '/%25%32e', '/%252%65', '/%25252e', '/a%25%41%62'],
    ...['/a#b', '/a?b#c', '/<script>', '/a"b'],
  ];
  for (const target of targets) {
    const result = parseTarget(target);
    t.equal('code' in result && result.code, 'WSD_HTTP_TARGET', JSON.stringify(target));
  }
});

t.test('a host is read in lower case with its port, and must be a name that DNS could hold', async (t) => {
  const cases: readonly (readonly [value: string, name: string, port?: number])[] = [
    ['example.com', 'example.com'],
    ['Example.COM:8080', 'example.com', 8080],
    ['example.com:', 'example.com'],
    ['example.com.', 'example.com.'],
    ['my_host-1', 'my_host-1'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['127.0.0.1:0080', '127.0.0.1', 80],
    ['1a', '1a'],
    ['127.example', '127.example'],
    ['[::1]', '::1'],
    ['[::1]:65535', '::1', 65535],
    ['[::]', '::'],
    ['[2001:DB8:0:0:1:0:0:1]:', '2001:db8::1:0:0:1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['[1:0:0:0:0:0:0:0]', '1::'],
    ['[1:2:3:4:5:6:7:8]', '1:2:3:4:5:6:7:8'],
    ['[1:0:3:4:5:6:7:8]', '1:0:3:4:5:6:7:8'],
    ['[1:2:3:4:5:6:7::]', '1:2:3:4:5:6:7:0'],
    ['[::ffff:192.0.2.1]', '::ffff:c000:201'],
    ['[1:2:3:4:5:6:1.2.3.4]', '1:2:3:4:5:6:102:304'],
  ];
  for (const [value, name, port] of cases) t.same(parseHost(value), { name, port }, value);
  t.same(parseHost('h', true), { name: 'h', port: 443 });
  t.same(parseHost('[::1]:', false), { name: '::1', port: 80 });
  t.same(parseHost('h:81', true), { name: 'h', port: 81 });

  const refused = [
    ...['', ':', ':80', '.', '.a', 'a..b', 'a..', ' a', 'a b', 'a,b', 'a/b', 'a@b', 'user@a', 'a%62', 'a\0', 'caf\xe9'],
    ...[
      '\u212a',
      'a:0',
      'a:00000',
      'a:65536',
      'a:x',
      'a:-1',
      'a:+1',
      'a:8 0',
      'a:80:80',
      'a'.repeat(256),
      `a:${'0'.repeat(400)}1`,
    ],
    ...[
      '127.1',
      '2130706433',
      '0x7f.1',
      '0X7F000001',
      '256.1.1.1',
      '127.0.0.01',
      '1.2.3.4.5',
      '1.2.3.4.',
      'a.1',
      '1.2.3',
    ],
    ...['[', '[]', '[::1', '::1', '[::1]x', '[::1]80', '[fe80::1%eth0]', '[fe80::1%25eth0]', '[:::]', '[1::2::3]'],
    ...['[12345::]', '[g::]', '[1:2:3:4:5:6:7]', '[1:2:3:4:5:6:7:8:9]', '[1:2:3:4::5:6:7:8]', '[:1]', '[1:]', '[v1.x]'],
    ...[
      '[::1.2.3]',
      '[::1.2.3.256]',
      '[::1.2.3.04]',
      '[::1.2.3.x]',
      '[1.2.3.4::]',
      '[::1..2.3]',
      '[127.0.0.1]',
      `[${'0'.repeat(50)}]`,
    ],
  ];
  for (const value of refused) t.equal(parseHost(value), undefined, JSON.stringify(value));
});

t.test('a ws URI becomes what there is to dial', async (t) => {
  const read = (text: string): unknown => {
    const uri = parseWsUri(text);
    return 'kind' in uri ? uri.code : [uri.secure, uri.host, uri.port, uri.resource, uri.hostHeader, uri.href];
  };
  const cases: readonly (readonly [string, unknown[]])[] = [
    ['ws://example.com', [false, 'example.com', 80, '/', 'example.com', 'ws://example.com/']],
    ['wss://example.com', [true, 'example.com', 443, '/', 'example.com', 'wss://example.com/']],
    ['WSS://Example.com:443/A?b', [true, 'example.com', 443, '/A?b', 'example.com', 'wss://example.com/A?b']],
    ['ws://example.com:443', [false, 'example.com', 443, '/', 'example.com:443', 'ws://example.com:443/']],
    ['wss://h:80?q', [true, 'h', 80, '/?q', 'h:80', 'wss://h:80/?q']],
    ['ws://h:?', [false, 'h', 80, '/?', 'h', 'ws://h/?']],
    ['ws://127.0.0.1:4242/chat', [false, '127.0.0.1', 4242, '/chat', '127.0.0.1:4242', 'ws://127.0.0.1:4242/chat']],
    ['ws://[::1]:8080/', [false, '::1', 8080, '/', '[::1]:8080', 'ws://[::1]:8080/']],
    ['wss://[2001:DB8::]', [true, '2001:db8::', 443, '/', '[2001:db8::]', 'wss://[2001:db8::]/']],
    ['ws://h/a%20b?c=%&d={"e":1}', [false, 'h', 80, '/a%20b?c=%&d={"e":1}', 'h', 'ws://h/a%20b?c=%&d={"e":1}']],
  ];
  for (const [text, expected] of cases) t.same(read(text), expected, text);
  for (const text of [
    ...['', 'example.com', '/chat', 'http://h/', 'ws:h', 'ws:/h', 'ws://', 'ws:///x', ' ws://h', 'ws://h ', 'wsss://h'],
    ...[
      'ws://u@h/',
      'ws://u:p@h/',
      'ws://@h/',
      'ws://h#',
      'ws://h/#a',
      'ws://h/?a#b',
      'ws://h:0',
      'ws://h:99999',
      'ws://h:x',
    ],
    ...[
      'ws://[fe80::1%25eth0]/',
      'ws://[::1',
      'ws://h/a b',
      'ws://h/\r\nX: y',
      'ws://h/?\n',
      'ws://h/caf\xe9',
      'ws://h/?\u2603',
    ],
    ...['ws://b\xfccher/', 'ws://h/%', 'ws://h/%zz', 'ws://h/a\\b', 'ws://h\\a', 'ws://h/\0'],
  ]) {
    t.equal(read(text), 'WSD_DIAL_URL', JSON.stringify(text));
  }
  const hidden = parseWsUri('ws://user:secret@h/');
  t.notMatch(JSON.stringify(hidden), /secret/, 'a password does not reach the message');
});

const split = (bytes: Uint8Array): { status: number; reason: string; fields: string[][]; body: string } => {
  const result = new HeadParser('response', { line: 8192, total: 16384, fields: 100 }).receive(bytes);
  if (result.kind !== 'response') throw new Error('our own answer does not parse');
  const { fields, ...line } = result.head;
  return { ...line, fields: [...fields.entries()], body: Buffer.from(result.rest).toString() };
};

t.test('an answer tells its length, its type and that it is the last', async (t) => {
  const end = (length: number): string[][] => [
    ['Content-Length', `${length}`],
    ['Connection', 'close'],
  ];
  const text = ['Content-Type', 'text/plain; charset=utf-8'];
  const cases: readonly (readonly [string, Response, unknown])[] = [
    [
      'a text',
      { status: 200, body: 'h\xfc\n' },
      { status: 200, reason: 'OK', fields: [text, ...end(4)], body: 'h\xfc\n' },
    ],
    ['nothing', { status: 404 }, { status: 404, reason: 'Not Found', fields: end(0), body: '' }],
    [
      'HEAD',
      { status: 200, body: 'abc', head: true },
      { status: 200, reason: 'OK', fields: [text, ...end(3)], body: '' },
    ],
    ['204', { status: 204 }, { status: 204, reason: 'No Content', fields: [['Connection', 'close']], body: '' }],
    ['an unknown status', { status: 299 }, { status: 299, reason: '', fields: end(0), body: '' }],
    [
      'bytes with a type and a reason of their own',
      {
        status: 200,
        reason: 'Fine',
        fields: [
          ['content-type', 'text/html'],
          ['X', '\xe9'],
        ],
        body: Buffer.from('<p>'),
      },
      { status: 200, reason: 'Fine', fields: [['content-type', 'text/html'], ['X', '\xe9'], ...end(3)], body: '<p>' },
    ],
  ];
  for (const [name, response, expected] of cases) t.same(split(writeResponse(response)), expected, name);
  t.equal(reasonOf(431), 'Request Header Fields Too Large');
});

t.test('nothing reflected into an answer can start a line of its own', async (t) => {
  for (const value of ['a\r\nSet-Cookie: b', 'a\nb', 'a\rb', 'a\0b', '\x1b[31m', '\x7f', '\u010a', '\u{1f4a9}']) {
    t.throws(() => writeResponse({ status: 200, fields: [['X', value]] }), TypeError, JSON.stringify(value));
    t.throws(() => writeResponse({ status: 200, reason: value }), TypeError, `reason ${JSON.stringify(value)}`);
    t.throws(() => writeField('X', value), TypeError);
  }
  for (const name of ['', 'a b', 'a:', 'a\r\n', 'caf\xe9']) {
    t.throws(() => writeResponse({ status: 200, fields: [[name, 'x']] }), TypeError, JSON.stringify(name));
  }
  for (const name of ['Content-Length', 'transfer-encoding', 'CONNECTION', 'Keep-Alive']) {
    t.throws(() => writeResponse({ status: 200, fields: [[name, '0']] }), TypeError, name);
  }
  for (const status of [101, 199, 600, 200.5, Number.NaN])
    t.throws(() => writeResponse({ status }), RangeError, `${status}`);
  t.throws(() => writeResponse({ status: 204, body: 'x' }), TypeError);
  t.throws(() => writeResponse({ status: 304, body: 'x' }), TypeError);
});

t.test('every fault that answers has its status, its fixed phrase, and what that status must carry', async (t) => {
  const carried: Readonly<Record<number, string[][]>> = {
    405: [['Allow', 'GET']],
    426: [
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', '13'],
    ],
    429: [['Retry-After', '5']],
    503: [['Retry-After', '5']],
  };
  for (const code of Object.keys(FAULTS) as FaultCode[]) {
    if (!('status' in FAULTS[code])) continue;
    const { status, reason, fields, body } = split(refusal(code));
    t.equal(status, statusOf(code), code);
    t.equal(reason, reasonOf(status), `${code} has a reason`);
    t.equal(body, `${phraseOf(code)}\n`, `${code} says its phrase`);
    t.same(
      fields.filter(([name]) => !name?.startsWith('Con')),
      carried[status] ?? [],
      `${code} carries what ${status} must`,
    );
  }
  t.same(split(refusal('WSD_UPGRADE_VERSION')).fields.at(-1), ['Connection', 'close, Upgrade']);
  t.same(split(refusal('WSD_UPGRADE_BUSY', [['retry-after', '17']])).fields[0], ['retry-after', '17'], 'replaced');
  t.same(split(refusal('WSD_HTTP_FIELD', [['X-Id', '1']])).fields[0], ['X-Id', '1'], 'added');
});
