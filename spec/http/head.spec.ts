// The head parser: every case runs whole, byte by byte and at random cuts, and must say the same each time.
// HOSTILE lines 2, 3, 7, 8 and 9 live here; 23 for the answers of a server.

import t, { type Test } from 'tap';
import { cuttings } from '../../fixtures/rig/chunker.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import type { FaultCode } from '../../lib/fault.js';
import { Fields, type HeadLimits, HeadParser } from '../../lib/http/head.js';

const rng = seedFromEnv('http/head');
const LIMITS: HeadLimits = { line: 8192, total: 16384, fields: 100 };

type Side = 'request' | 'response';

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const crlf = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

/** What came of the chunks, as plain data: the rest is everything behind the head, in whatever chunks it came. */
const outcome = (side: Side, chunks: readonly Uint8Array[], limits = LIMITS): unknown => {
  const parser = new HeadParser(side, limits);
  for (const [index, chunk] of chunks.entries()) {
    const result = parser.receive(chunk);
    if (result.kind === 'more') continue;
    if (result.kind === 'fault') return result;
    const { fields, ...line } = result.head;
    const rest = Buffer.concat([result.rest, ...chunks.slice(index + 1)]).toString('latin1');
    return { ...line, fields: [...fields.entries()], rest };
  }
  return 'more';
};

const code = (result: unknown): unknown => (result as { code?: FaultCode }).code;

/** Runs the bytes in every cutting; all must agree with the first, which is returned. */
const everyWay = (test: Test, side: Side, text: string, name: string, limits = LIMITS): unknown => {
  let first: unknown;
  for (const [cut, chunks] of cuttings(latin1(text), rng)) {
    const result = outcome(side, chunks, limits);
    if (first === undefined) first = result;
    else test.same(result, first, `${name}: ${cut}`);
  }
  return first;
};

const SAMPLE = crlf(
  'GET /mychat HTTP/1.1',
  'Host: server.example.com',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==',
  'Sec-WebSocket-Protocol: chat',
  'Sec-WebSocket-Version: 13',
  'Origin: http://example.com',
);

t.test('a request head is read the same however it is cut', async (t) => {
  const cases: readonly (readonly [name: string, text: string, expected: unknown])[] = [
    [
      'the sample of RFC 6455, with frames behind it',
      `${SAMPLE}\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58`,
      {
        method: 'GET',
        target: '/mychat',
        fields: [
          ['Host', 'server.example.com'],
          ['Upgrade', 'websocket'],
          ['Connection', 'Upgrade'],
          ['Sec-WebSocket-Key', 'x3JJHMbDL1EzLkh9GBhXDw=='],
          ['Sec-WebSocket-Protocol', 'chat'],
          ['Sec-WebSocket-Version', '13'],
          ['Origin', 'http://example.com'],
        ],
        rest: '\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58',
      },
    ],
    ['no fields at all', 'GET / HTTP/1.1\r\n\r\n', { method: 'GET', target: '/', fields: [], rest: '' }],
    [
      'one empty line before the request',
      '\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n',
      { method: 'GET', target: '/', fields: [['A', 'b']], rest: '' },
    ],
    [
      'white space around values, inside them, and nothing but it',
      crlf('M-SEARCH * HTTP/1.9', 'a: \t b  c \t ', 'b:', 'c: \t ', 'd:x'),
      {
        method: 'M-SEARCH',
        target: '*',
        fields: [
          ['a', 'b  c'],
          ['b', ''],
          ['c', ''],
          ['d', 'x'],
        ],
        rest: '',
      },
    ],
    [
      '8-bit bytes in a value, every token character in a name',
      crlf('GET /?a=\x7e HTTP/1.1', "!#$%&'*+-.^_`|~09AZaz: caf\xe9 \x80\xff"),
      { method: 'GET', target: '/?a=~', fields: [["!#$%&'*+-.^_`|~09AZaz", 'caf\xe9 \x80\xff']], rest: '' },
    ],
    ['a method of one letter', 'A / HTTP/1.1\r\n\r\n', { method: 'A', target: '/', fields: [], rest: '' }],
    ['nothing', '', 'more'],
    ['a head without its last byte', SAMPLE.slice(0, -1), 'more'],
    ['an empty line and nothing else', '\r\n', 'more'],
  ];
  for (const [name, text, expected] of cases) t.same(everyWay(t, 'request', text, name), expected, name);
});

t.test('what is no HTTP/1.1 request is refused with the code that says why', async (t) => {
  const line = (field: string): string => crlf('GET / HTTP/1.1', 'Host: x', field);
  const cases: readonly (readonly [name: string, text: string, expected: FaultCode])[] = [
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'WSD_HTTP_TLS'],
    ['the greeting of a mail server', '220 mail.example.com ESMTP ready\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['a mail client', 'EHLO client.example.com\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['the greeting of SSH', 'SSH-2.0-OpenSSH_9.2p1\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['the greetings of POP3 and IMAP', '+OK ready\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['a Redis command', '*1\r\n$4\r\nPING\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['RTSP', 'OPTIONS rtsp://x/ RTSP/1.0\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a PROXY line where none is expected', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a PROXY v2 header', '\r\n\r\n\0\r\nQUIT\n\x21\x11', 'WSD_HTTP_NOT_HTTP'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'WSD_HTTP_VERSION'],
    ['a masked frame', '\x81\x85\x37\xfa\x21\x3d', 'WSD_HTTP_NOT_HTTP'],
    ['zeros', '\0\0\0\0', 'WSD_HTTP_NOT_HTTP'],
    ['noise that starts like a word', 'ab\x00\xff', 'WSD_HTTP_NOT_HTTP'],
    ['HTTP/1.0', crlf('GET / HTTP/1.0', 'Host: x'), 'WSD_HTTP_VERSION'],
    ['HTTP/0.9', 'GET /\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['HTTP/3.0', 'GET / HTTP/3.0\r\n', 'WSD_HTTP_VERSION'],
    ['a version in lower case', 'GET / http/1.1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a version of too many digits', 'GET / HTTP/1.10\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a version that is cut short', 'GET / HTTP/1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a version with letters', 'GET / HTTP/x.1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a space behind the version', 'GET / HTTP/1.1 \r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a space inside the target', 'GET /a b HTTP/1.1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['two spaces', 'GET  / HTTP/1.1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['an empty target', 'GET  HTTP/1.1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['tabs for spaces', 'GET\t/\tHTTP/1.1\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['a space in front', ' GET / HTTP/1.1\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['two empty lines in front', '\r\n\r\nGET / HTTP/1.1\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['a carriage return and no line feed in front', '\rGET / HTTP/1.1\r\n', 'WSD_HTTP_LINE_END'],
    ['a method that is no token', 'G(T / HTTP/1.1\r\n', 'WSD_HTTP_NOT_HTTP'],
    ['a method that never ends', 'A'.repeat(33), 'WSD_HTTP_NOT_HTTP'],
    ['a NUL in the target', 'GET /\0 HTTP/1.1\r\n', 'WSD_HTTP_TARGET'],
    ['8-bit bytes in the target', 'GET /caf\xc3\xa9 HTTP/1.1\r\n', 'WSD_HTTP_TARGET'],
    ['a control character in the version', 'GET / HTTP/\x01.1\r\n', 'WSD_HTTP_REQUEST_LINE'],
    ['a bare LF behind the method', 'GET\n', 'WSD_HTTP_LINE_END'],
    ['a bare LF in front', '\nGET / HTTP/1.1\r\n', 'WSD_HTTP_LINE_END'],
    ['a bare LF behind the request line', 'GET / HTTP/1.1\nHost: x\n\n', 'WSD_HTTP_LINE_END'],
    ['a bare CR behind the request line', 'GET / HTTP/1.1\rHost: x\r\n\r\n', 'WSD_HTTP_LINE_END'],
    ['a bare LF behind a field', 'GET / HTTP/1.1\r\nHost: x\n\r\n', 'WSD_HTTP_LINE_END'],
    ['a bare CR inside a value', line('A: b\rc'), 'WSD_HTTP_LINE_END'],
    ['a bare LF inside a name', line('A\nb: c'), 'WSD_HTTP_LINE_END'],
    ['a bare LF for the blank line', 'GET / HTTP/1.1\r\nHost: x\r\n\nX', 'WSD_HTTP_LINE_END'],
    ['a bare CR for the blank line', 'GET / HTTP/1.1\r\nHost: x\r\n\rX', 'WSD_HTTP_LINE_END'],
    ['two CRs', 'GET / HTTP/1.1\r\r\n', 'WSD_HTTP_LINE_END'],
    ['a space before the colon', line('Content-Length : 0'), 'WSD_HTTP_FIELD'],
    ['a tab before the colon', line('Content-Length\t: 0'), 'WSD_HTTP_FIELD'],
    ['a folded line', line('A: b\r\n c'), 'WSD_HTTP_FIELD'],
    ['a line folded with a tab', line('A: b\r\n\tc'), 'WSD_HTTP_FIELD'],
    ['a fold before the first field', 'GET / HTTP/1.1\r\n Host: x\r\n\r\n', 'WSD_HTTP_FIELD'],
    ['a field without a name', line(': x'), 'WSD_HTTP_FIELD'],
    ['a field without a colon', line('Upgrade'), 'WSD_HTTP_FIELD'],
    ['an 8-bit name', line('\xdcpgrade: websocket'), 'WSD_HTTP_FIELD'],
    ['a NUL in a name', line('Upg\0rade: websocket'), 'WSD_HTTP_FIELD'],
    ['a NUL in a value', line('Upgrade: web\0socket'), 'WSD_HTTP_FIELD'],
    ['an escape sequence in a value', line('X: \x1b[31mred'), 'WSD_HTTP_FIELD'],
    ['DEL in a value', line('X: \x7f'), 'WSD_HTTP_FIELD'],
  ];
  for (const [name, text, expected] of cases) t.equal(code(everyWay(t, 'request', text, name)), expected, name);
});

t.test('the limits bind to the byte, and name what was too large', async (t) => {
  const limits: HeadLimits = { line: 64, total: 200, fields: 3 };
  const target = (length: number): string => crlf(`GET /${'a'.repeat(length - 14)} HTTP/1.1`);
  const field = (length: number): string => crlf('GET / HTTP/1.1', `A: ${'b'.repeat(length - 3)}`);
  const total = (length: number): string => {
    const text = crlf('GET / HTTP/1.1', `A: ${'b'.repeat(60)}`, `C: ${'d'.repeat(60)}`, 'E: ');
    return text.replace('E: ', `E: ${'f'.repeat(length - text.length)}`);
  };
  const cases: readonly (readonly [name: string, text: string, expected: FaultCode | undefined])[] = [
    ['a request line at the limit', target(64), undefined],
    ['a request line one byte longer', target(65), 'WSD_HTTP_TARGET_LONG'],
    ['a request line without end', `GET /${'a'.repeat(500)}`, 'WSD_HTTP_TARGET_LONG'],
    ['a field line at the limit', field(64), undefined],
    ['a field line one byte longer', field(65), 'WSD_HTTP_HEAD_LARGE'],
    ['a name without end', `GET / HTTP/1.1\r\n${'a'.repeat(100)}`, 'WSD_HTTP_HEAD_LARGE'],
    ['a colon beyond the limit', `GET / HTTP/1.1\r\n${'a'.repeat(64)}:`, 'WSD_HTTP_HEAD_LARGE'],
    ['a value of nothing but spaces', `GET / HTTP/1.1\r\na:${' '.repeat(100)}`, 'WSD_HTTP_HEAD_LARGE'],
    ['a head at the total limit', total(200), undefined],
    ['a head one byte larger', total(201), 'WSD_HTTP_HEAD_LARGE'],
    ['as many fields as allowed', crlf('GET / HTTP/1.1', 'a:', 'b:', 'c:'), undefined],
    ['one field more', crlf('GET / HTTP/1.1', 'a:', 'b:', 'c:', 'd:'), 'WSD_HTTP_FIELDS'],
  ];
  for (const [name, text, expected] of cases) t.equal(code(everyWay(t, 'request', text, name, limits)), expected, name);
  const long = { line: 4096, total: 100, fields: 3 };
  t.equal(code(everyWay(t, 'request', `GET /${'a'.repeat(200)}`, 'total', long)), 'WSD_HTTP_TARGET_LONG');
  const many = crlf('GET / HTTP/1.1', ...Array.from({ length: 2000 }, (_, index) => `a${index}: b`));
  t.equal(code(everyWay(t, 'request', many, '2,000 fields')), 'WSD_HTTP_FIELDS', '2,000 fields');
  const bomb = crlf('HTTP/1.1 101 Go', ...Array.from({ length: 2000 }, (_, index) => `a${index}: b`));
  t.equal(code(everyWay(t, 'response', bomb, 'a server that sends 2,000 fields')), 'WSD_DIAL_LARGE');
});

t.test('an answer of a server is read the same however it is cut', async (t) => {
  const answer = (status: number, reason: string, fields: [string, string][] = [], rest = ''): unknown => ({
    status,
    reason,
    fields,
    rest,
  });
  const cases: readonly (readonly [name: string, text: string, expected: unknown])[] = [
    [
      'a 101 with a frame behind it',
      `${crlf('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket')}\x81\x00`,
      answer(101, 'Switching Protocols', [['Upgrade', 'websocket']], '\x81\x00'),
    ],
    ['an empty reason', 'HTTP/1.1 400 \r\n\r\n', answer(400, '')],
    ['no reason and no space', 'HTTP/1.1 400\r\n\r\n', answer(400, '')],
    ['a reason of 8-bit bytes and tabs', 'HTTP/1.1 404 Nicht\tda\xdf\r\n\r\n', answer(404, 'Nicht\tda\xdf')],
    [
      'a proxy that speaks HTTP/1.0',
      'HTTP/1.0 200 Connection established\r\n\r\n',
      answer(200, 'Connection established'),
    ],
    [
      'interim answers are passed over',
      `${crlf('HTTP/1.1 103 Early Hints', 'Link: </a>')}${crlf('HTTP/1.1 100')}${crlf('HTTP/1.1 101 Go', 'A: b')}`,
      answer(101, 'Go', [['A', 'b']]),
    ],
  ];
  for (const [name, text, expected] of cases) t.same(everyWay(t, 'response', text, name), expected, name);
});

t.test('what is no HTTP answer fails the dial', async (t) => {
  const cases: readonly (readonly [name: string, text: string, expected: FaultCode])[] = [
    ['the greeting of a mail server', '220 mail.example.com ESMTP ready\r\n', 'WSD_DIAL_ANSWER'],
    ['a TLS alert', '\x15\x03\x03\x00\x02\x02\x28', 'WSD_DIAL_ANSWER'],
    ['a TLS hello', '\x16\x03\x03\x00', 'WSD_DIAL_ANSWER'],
    ['an empty line in front', '\r\nHTTP/1.1 200 OK\r\n\r\n', 'WSD_DIAL_ANSWER'],
    ['a status of two digits', 'HTTP/1.1 99 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a status of four digits', 'HTTP/1.1 1010 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a status out of range', 'HTTP/1.1 600 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a status below the range', 'HTTP/1.1 099 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a status with a letter', 'HTTP/1.1 1o1 x\r\n', 'WSD_DIAL_ANSWER'],
    ['HTTP/2', 'HTTP/2.0 101 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a 101 of HTTP/1.0, which has none', 'HTTP/1.0 101 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a version that is none', 'HTTPS1.1 101 x\r\n', 'WSD_DIAL_ANSWER'],
    ['a bare LF', 'HTTP/1.1 101 x\nUpgrade: websocket\n\n', 'WSD_DIAL_ANSWER'],
    ['a folded line', 'HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n', 'WSD_DIAL_ANSWER'],
    ['a reason without end', `HTTP/1.1 101 ${'x'.repeat(9000)}`, 'WSD_DIAL_LARGE'],
    ['interim answers without end', crlf('HTTP/1.1 103 Early Hints').repeat(1000), 'WSD_DIAL_LARGE'],
  ];
  for (const [name, text, expected] of cases) t.equal(code(everyWay(t, 'response', text, name)), expected, name);
});

t.test('damaged heads never throw and never depend on the cuts', async (t) => {
  const spice = latin1('\r\n\r\n: \t\0\x7f\x80\xff,;="/\\');
  let differing = 0;
  for (let round = 0; round < 400; round++) {
    const side: Side = round % 2 === 0 ? 'request' : 'response';
    const base = side === 'request' ? SAMPLE : SAMPLE.replace('GET /mychat HTTP/1.1', 'HTTP/1.1 101 Go');
    const bytes = latin1(base);
    for (let change = rng.int(3); change >= 0; change--) {
      bytes[rng.int(bytes.length)] = rng.int(2) === 0 ? spice[rng.int(spice.length)]! : rng.int(256);
    }
    const results = cuttings(bytes, rng).map(([, chunks]) => JSON.stringify(outcome(side, chunks)));
    if (new Set(results).size > 1) differing++;
  }
  t.equal(differing, 0, `seed ${rng.seed}`);
});

t.test('the rest is a view of the last chunk, and an ended parser takes no more', async (t) => {
  const bytes = latin1(`${SAMPLE}tail`);
  const parser = new HeadParser('request', LIMITS);
  const result = parser.receive(bytes);
  if (result.kind !== 'request') throw new Error('not a request');
  t.equal(result.rest.buffer, bytes.buffer, 'nothing was copied');
  t.throws(() => parser.receive(bytes), TypeError);
  const refused = new HeadParser('request', LIMITS);
  refused.receive(latin1('\0'));
  t.throws(() => refused.receive(bytes), TypeError);
});

t.test('the strings of a head do not change when its chunk is reused', async (t) => {
  const bytes = latin1(SAMPLE);
  const result = new HeadParser('request', LIMITS).receive(bytes);
  bytes.fill(0x58);
  if (result.kind !== 'request') throw new Error('not a request');
  t.equal(result.head.fields.get('origin'), 'http://example.com');
  const parser = new HeadParser('request', LIMITS);
  const half = latin1(SAMPLE.slice(0, 60));
  parser.receive(half);
  half.fill(0x58);
  const second = parser.receive(latin1(SAMPLE.slice(60)));
  t.equal(second.kind === 'request' && second.head.fields.get('host'), 'server.example.com');
});

t.test('fields answer by name in any case, and a missing one is missing', async (t) => {
  const pairs: [string, string][] = [
    ['Host', 'a'],
    ['X-A', '1'],
    ['__proto__', 'p'],
    ['x-a', '2'],
    ['constructor', 'c'],
    ['X^A', 'caret'],
  ];
  const parsed = new HeadParser('request', LIMITS).receive(
    latin1(crlf('GET / HTTP/1.1', ...pairs.map(([name, value]) => `${name}: ${value}`))),
  );
  if (parsed.kind !== 'request') throw new Error('not a request');
  for (const fields of [parsed.head.fields, Fields.from(pairs)]) {
    t.equal(fields.size, 6);
    t.same([...fields.entries()], pairs, 'names as they were written');
    t.equal(fields.get('x-a'), '1', 'the first');
    t.same(fields.all('x-a'), ['1', '2']);
    t.equal(fields.count('x-a'), 2);
    t.equal(fields.get('x~a'), undefined, 'a caret is not a tilde in another case');
    t.equal(fields.get('__proto__'), 'p');
    t.equal(fields.get('constructor'), 'c');
    t.equal(fields.get('tostring'), undefined);
    t.equal(fields.has('host'), true);
    t.equal(fields.has('hos'), false);
    t.same(fields.all('nothing'), []);
    t.equal(fields.count('nothing'), 0);
  }
});
