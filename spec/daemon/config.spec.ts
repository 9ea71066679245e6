import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { seeded } from '../../fixtures/rig/random.js';
import { NO_CONFIG, parseConfig, readConfig } from '../../lib/daemon/config.js';
import { DaemonError } from '../../lib/daemon/daemon-error.js';
import { placeOfText } from '../../lib/daemon/document.js';
import { JsonTextError, parseJsonText } from '../../lib/daemon/json-text.js';

const parse = (text: string): ReturnType<typeof parseConfig> => parseConfig(text, 'wsd.json', '/etc/wsd');

t.test('JSON is read as JSON.parse reads it', async (t) => {
  const values: unknown[] = [
    null,
    true,
    -0.5e-3,
    12345678901234567890n.toString(),
    '\u0000\ud83d\ude00"\\/\u2028',
    [],
    {},
    [[], [[]], { a: [1, { b: null }] }],
    { '': 1, 'a b': { c: [false] } },
  ];
  for (const value of values) {
    for (const text of [
      JSON.stringify(value),
      JSON.stringify(value, undefined, 2),
      ` \r\n\t${JSON.stringify(value)} `,
    ]) {
      t.same(parseJsonText(text).value, JSON.parse(text), typeof value);
    }
  }
  const proto = parseJsonText('{"__proto__": {"a": 1}}').value as object;
  t.strictSame(Object.keys(proto), ['__proto__']);
  t.equal(Object.getPrototypeOf(proto), Object.prototype, 'a name is only a name');
  t.strictSame(parseJsonText('\ufeff{}').value, {}, 'with the mark that some editors write');
});

t.test('what is no JSON is told by line and column, and never quoted', async (t) => {
  const cases: readonly [text: string, line: number, column: number, message: RegExp][] = [
    ['', 1, 1, /a value is expected.*but the file ends/],
    ['{', 1, 2, /a name in quotation marks is expected, but the file ends/],
    ['{\n  "a": 1,\n}', 2, 9, /no comma may stand before \}/],
    ['[1,\n2,\n]', 2, 2, /no comma may stand before \]/],
    ['{"a" 1}', 1, 6, /a colon is expected/],
    ['{"a": 1 "b": 2}', 1, 9, /a comma or \} is expected/],
    ['[1 2]', 1, 4, /a comma or \] is expected/],
    ['{a: 1}', 1, 2, /a name in quotation marks/],
    ["{'a': 1}", 1, 2, /a name in quotation marks/],
    ['{"a": tru}', 1, 7, /a value is expected/],
    ['{"a": 01}', 1, 7, /a value is expected/],
    ['{"a": 1.}', 1, 7, /a value is expected/],
    ['{"a": NaN}', 1, 7, /a value is expected/],
    ['{"a": "b\n"}', 1, 9, /a text ends on its line/],
    ['{"a": "b', 1, 7, /this text has no end/],
    ['{"a": "\\x"}', 1, 7, /an escape in this text is not valid/],
    ['{} {}', 1, 4, /nothing may follow/],
    ['{\n  // why\n}', 2, 3, /JSON has no comments/],
    ['{"a": 1,\n "b": 2,\n "a": 3}', 3, 2, /stands here twice/],
    [`${'['.repeat(66)}${']'.repeat(66)}`, 1, 66, /more than 64 objects and lists/],
  ];
  for (const [text, line, column, message] of cases) {
    try {
      parseJsonText(text);
      t.fail(`taken: ${text}`);
    } catch (error) {
      t.ok(error instanceof JsonTextError, text);
      t.match(error, { place: { line, column }, message }, text);
    }
  }
  const secret = 'c2VjcmV0LXNlY3JldA';
  for (const text of [
    `{"key": ${secret}}`,
    `{"key": "${secret}" "b"}`,
    `{"${secret}": 1, "${secret}": 2}`,
    `{"key": "${secret}\n"}`,
  ]) {
    try {
      parseJsonText(text);
      t.fail('taken');
    } catch (error) {
      t.notMatch((error as Error).message, secret);
    }
  }
});

t.test('random cuts and changes of JSON give a value or a place inside it', async (t) => {
  const seed = 20_261;
  const random = seeded(seed);
  const text = JSON.stringify({ a: [1, -2.5e3, true, null, 'x\\"\u00e9'], b: { c: {}, d: [[], ['y']] } }, undefined, 1);
  for (let i = 0; i < 3000; i++) {
    const at = random.int(text.length);
    const other = String.fromCharCode(32 + random.int(95));
    const changed = random.int(2) === 0 ? text.slice(0, at) : text.slice(0, at) + other + text.slice(at + 1);
    let ours: unknown;
    let place: { readonly line: number; readonly column: number } | undefined;
    try {
      ours = parseJsonText(changed).value;
    } catch (error) {
      if (!(error instanceof JsonTextError)) throw error;
      place = error.place;
    }
    let theirs: unknown;
    let valid = true;
    try {
      theirs = JSON.parse(changed);
    } catch {
      valid = false;
    }
    if (place === undefined) {
      if (!valid || JSON.stringify(ours) !== JSON.stringify(theirs)) return void t.fail(`seed ${seed}: ${changed}`);
    } else {
      const lines = changed.split('\n');
      const line = lines[place.line - 1];
      if (line === undefined || place.column < 1 || place.column > line.length + 1) {
        return void t.fail(`seed ${seed}: no such place ${place.line}:${place.column} in ${changed}`);
      }
      // What JSON.parse takes and we do not is a member that stands twice.
      if (valid && !/"a".*"a"|"b".*"b"|"c".*"c"|"d".*"d"/s.test(changed))
        return void t.fail(`seed ${seed}: ${changed}`);
    }
  }
  return void t.pass();
});

t.test('members are found by their path, and by the path as an error writes it', async (t) => {
  const json = parseJsonText('{\n  "scopes": [\n    {"id": 1},\n    {"id": 2, "body": {"a-b": {"type": 1}}}\n  ]\n}');
  t.strictSame(json.placeOf(['scopes', 1, 'id']), { line: 4, column: 12 });
  t.strictSame(json.placeOfName(['scopes', 1, 'id']), { line: 4, column: 6 });
  t.strictSame(json.placeOf(['scopes', 1, 'name']), { line: 4, column: 5 }, 'a missing one is where it belongs');
  t.strictSame(placeOfText(json, 'scopes[1].body.a-b.type must be'), { line: 4, column: 40 });
  t.strictSame(placeOfText(json, 'scopes[1].idle'), { line: 4, column: 5 }, 'not the id');
  t.strictSame(placeOfText(json, 'anything else'), { line: 1, column: 1 });
});

t.test('a configuration is taken whole, with its files beside it and its scopes made', async (t) => {
  const config = parse(`{
    "listen": { "host": "::1", "port": 8443, "tls": { "certificate": "tls/cert.pem", "key": "/keys/key.pem" } },
    "url": "wss://dispatch.example.com",
    "audience": "prod",
    "server": { "path": "/wsd", "origins": ["https://app.example"], "maxConnections": 5, "trustedProxies": ["10.0.0.0/8"] },
    "sessions": { "clientCertificate": "none", "maxSessions": 10, "certificate": "s.pem", "key": "s-key.pem", "anchors": ["ca.pem"] },
    "scopes": [
      { "id": 1000, "name": "CHAT", "body": { "type": "object", "properties": { "text": { "type": "string", "maxLength": 5 } }, "required": ["text"] } },
      { "id": 1001, "name": "ASK", "reply": { "scope": 1002 } }
    ],
    "undeclared": "refuse", "limit": { "perSecond": 10, "burst": 20 }, "lease": 15000, "drain": 0,
    "log": { "level": "warn", "json": true }
  }`);
  t.match(config, {
    listen: { host: '::1', port: 8443, tls: { certificate: '/etc/wsd/tls/cert.pem', key: '/keys/key.pem' } },
    url: 'wss://dispatch.example.com',
    sessions: { certificate: '/etc/wsd/s.pem', key: '/etc/wsd/s-key.pem', anchors: ['/etc/wsd/ca.pem'] },
    undeclared: 'refuse',
    lease: 15000,
  });
  t.strictSame(
    config.scopes.map(({ id, name, reply }) => [id, name, reply?.scope]),
    [
      [1000, 'CHAT', undefined],
      [1001, 'ASK', 1002],
    ],
  );
  t.strictSame(parse('{}'), NO_CONFIG);
  t.equal(parse('{"listen": {"unix": "wsd.sock"}}').listen?.unix, '/etc/wsd/wsd.sock');
  t.equal(parse('{"sessions": false}').sessions, false);
});

t.test('everything that is wrong with one is told by file, line and column', async (t) => {
  const cases: readonly [text: string, message: string][] = [
    ['{\n "lisen": {}\n}', 'wsd.json:2:2: lisen is not known'],
    ['{\n "listen": { "port": 70000 }\n}', 'wsd.json:2:22: listen.port must be at most 65535'],
    ['{"listen": {"port": "8080"}}', 'wsd.json:1:21: listen.port must be a number'],
    ['{"listen": {"unix": "a", "port": 1}}', 'wsd.json:1:21: listen.unix has unix, which excludes host and port'],
    ['{"server": {"origins": 5}}', 'wsd.json:1:24: server.origins must be "same", "any" or a list of origins'],
    ['{"sessions": true}', 'wsd.json:1:14: sessions must be false or an object'],
    ['{"url": "http://a"}', 'wsd.json:1:9: url must begin with ws://, wss:// or ws+unix:'],
    ['{"undeclared": "drop"}', 'wsd.json:1:16: undeclared must be one of "forward", "refuse"'],
    ['[]', 'wsd.json:1:1: the whole must be an object'],
    ['{"limit": {"perSecond": 0}}', 'wsd.json:1:11: limit.burst is missing'],
    [
      '{"server": {"maxConnections": 5,\n "origins": ["nonsense"]}}',
      'wsd.json:2:13: server.origins: origin "nonsense" must',
    ],
    ['{"server": {"trustedProxies": ["10.0.0.0/99"]}}', 'wsd.json:1:31: server.trustedProxies: '],
    ['{"sessions": {"pins": ["ab", "x"]}}', 'sessions.pins[1] must be a SHA-256: 64 hexadecimal digits'],
    ['{"scopes": [{"id": 1000}]}', 'wsd.json:1:13: scopes[0].name must be a text'],
    ['{"scopes": [\n{"id": 5, "name": "A"}]}', 'wsd.json:2:1: scopes[0]: scope 5 (A) is not free'],
    [
      '{"scopes": [{"id": 1000, "name": "A"},\n {"id": 1000, "name": "B"}]}',
      'wsd.json:2:2: scopes[1]: scope 1000 is there already: A',
    ],
    [
      '{"scopes": [{"id": 1000, "name": "A", "body":\n{"type": "object", "properties": {"a":\n {"type": "string", "pattern": "(a+)+"}}}}]}',
      'wsd.json:3:32: scopes[0].body.properties.a.pattern is not taken',
    ],
    ['{\n\n"a": }', 'wsd.json:3:6: a value is expected'],
  ];
  for (const [text, message] of cases) {
    try {
      parse(text);
      t.fail(`taken: ${text}`);
    } catch (error) {
      t.ok(error instanceof DaemonError, text);
      t.ok((error as Error).message.includes(message), `${(error as Error).message}\nhas: ${message}`);
    }
  }
  const several = '{\n "b": 1,\n "listen": {"port": -1},\n "lease": 5\n}';
  t.throws(() => parse(several), {
    message:
      'wsd.json:2:2: b is not known\nwsd.json:3:21: listen.port must be at least 0\nwsd.json:4:11: lease must be at least 1000',
  });
  const many = `{${Array.from({ length: 12 }, (_, i) => `"x${i}": 1`).join(', ')}}`;
  t.throws(() => parse(many), { message: /x7 is not known\nand 4 more$/ });
  t.throws(() => parse('{"-----BEGIN PRIVATE KEY-----MIG": 1}'), {
    message: 'wsd.json:1:2: (a strange name) is not known',
  });
});

t.test('a file that cannot be read is told with why', async (t) => {
  const folder = t.testdir({ 'wsd.json': '{"listen": {"unix": "a.sock"}}' });
  t.equal((await readConfig(join(folder, 'wsd.json'))).listen?.unix, join(folder, 'a.sock'));
  await t.rejects(readConfig(join(folder, 'no.json')), { message: /cannot read .*no.json: it does not exist/ });
  await mkdir(join(folder, 'd'));
  await t.rejects(readConfig(join(folder, 'd')), { message: /it is a folder/ });
  await writeFile(join(folder, 'bad.json'), '{"a"');
  await t.rejects(readConfig(join(folder, 'bad.json')), {
    message: /bad.json:1:5: a colon is expected, but the file ends/,
  });
});
