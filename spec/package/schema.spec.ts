// Header, footer, claims and ids by their shapes; the lengths of texts; what is said about what is wrong. PROTOCOL.md sections 8.1, 8.2 and 8.4.
import t from 'tap';
import * as z from 'zod/mini';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import type { PackageFault } from '../../lib/package/codes.js';
import { writeFooter } from '../../lib/package/footer.js';
import { isJti, isNodeID, isSnowflake } from '../../lib/package/identifier.js';
import { checkWith, clipPath } from '../../lib/package/issues.js';
import { checkLengths, type Lengths } from '../../lib/package/lengths.js';
import type { PackageHeader } from '../../lib/package/package.js';
import { checkClaimLengths, checkClaims, checkFooter, checkHeader, parsePayload } from '../../lib/package/schema.js';

t.test('ids are told from what is none', async (t) => {
  const long = 'a'.repeat(64);
  for (const [is, good, bad] of [
    [
      isNodeID,
      ['a', 'A9', 'svc-a', 'a.b_c-d', '0', long],
      ['', '-a', 'a-', '.a', 'a.', 'a b', 'a*', 'a>', 'a\0', 'é', 'a/b', 'a\n', `${long}a`],
    ],
    [
      isSnowflake,
      ['1', '9', '175928847299117063', '9999999999999999999', '18446744073709551615'],
      [
        '',
        '0',
        '01',
        '-1',
        '+1',
        '1.0',
        '1e3',
        ' 1',
        '1 ',
        '١',
        '18446744073709551616',
        '99999999999999999999',
        '1'.repeat(21),
      ],
    ],
    [isJti, ['AAAAAAAA', 'a_-Z09zz', long], ['', 'AAAAAAA', 'AAAAAAA=', 'AAAA.AAAA', 'AAAAAAAé', `${long}a`]],
  ] as const) {
    for (const text of good) t.equal(is(text), true, text);
    for (const text of bad) t.equal(is(text), false, JSON.stringify(text));
  }
});

const ID = '175928847299117063';
const INTERNAL = { scope: 1000, internal: true, body: false };
const OF_USER = { scope: 1000, internal: false, body: false, user: ID, channel: '1' };

t.test('the headers of the seed and their like are valid', async (t) => {
  for (const header of [
    { scope: 0, internal: true, body: false },
    { scope: 1, internal: true, body: false, footerInclude: ['dt'] },
    { scope: 2 ** 53 - 1, internal: true, body: false },
    { ...INTERNAL, destination: 'dispatch', footerInclude: ['dt', 'nonsense', '', 'x'.repeat(16)] },
    OF_USER,
    { ...OF_USER, destination: 'a' },
  ]) {
    t.strictSame(checkHeader(header, false), header);
  }
});

t.test('an internal header loses user and channel, whatever they are', async (t) => {
  for (const user of [ID, 'nobody', 7, null, {}, 'x'.repeat(1000)]) {
    t.strictSame(checkHeader({ ...INTERNAL, user, channel: user }, false), INTERNAL);
    t.strictSame(checkHeader({ ...INTERNAL, channel: user }, false), INTERNAL);
  }
});

const fault = (value: unknown): PackageFault => {
  if (typeof value === 'object' && value !== null && 'kind' in value) return value as PackageFault;
  throw new TypeError(`not a fault: ${JSON.stringify(value)}`);
};
const issuesOf = (value: unknown): string[] =>
  fault(value).issues.map(({ path, message }) => `${path.join('.')} ${message}`);

t.test('each wrong header is bad_header and says where', async (t) => {
  const without = (name: string): unknown =>
    Object.fromEntries(Object.entries(OF_USER).filter(([other]) => other !== name));
  const whole = 'must be an integer';
  for (const [header, expected] of [
    [undefined, ['header is missing']],
    [null, ['header must be an object']],
    [[], ['header must be an object']],
    ['{}', ['header must be an object']],
    [{ ...INTERNAL, scope: -1 }, ['header.scope must be at least 0']],
    [{ ...INTERNAL, scope: 1.5 }, [`header.scope ${whole}`]],
    [{ ...INTERNAL, scope: 2 ** 53 }, ['header.scope must be at most 9007199254740991']],
    [{ ...INTERNAL, scope: Number.NaN }, ['header.scope must be a number']],
    [{ ...INTERNAL, scope: '1' }, ['header.scope must be a number']],
    [{ ...INTERNAL, scope: null }, ['header.scope must be a number']],
    [{ ...INTERNAL, internal: 1 }, ['header.internal must be a boolean']],
    [{ scope: 1, body: false }, ['header.internal is missing']],
    [without('user'), ['header.user is missing']],
    [without('channel'), ['header.channel is missing']],
    [without('body'), ['header.body is missing']],
    [without('scope'), ['header.scope is missing']],
    [{ ...OF_USER, user: '0' }, ['header.user must be a Snowflake: a decimal string from 1 to 2^64 - 1']],
    [{ ...OF_USER, user: 5 }, ['header.user must be a string']],
    [
      { ...OF_USER, channel: '18446744073709551616' },
      ['header.channel must be a Snowflake: a decimal string from 1 to 2^64 - 1'],
    ],
    [
      { ...INTERNAL, destination: 'a b' },
      ['header.destination must be a node id: letters, digits and . _ - between them'],
    ],
    [{ ...INTERNAL, footerInclude: 'dt' }, ['header.footerInclude must be an array']],
    [{ ...INTERNAL, footerInclude: Array(9).fill('dt') }, ['header.footerInclude must be at most 8 items']],
    [{ ...INTERNAL, footerInclude: ['dt', 1] }, ['header.footerInclude.1 must be a string']],
    [{ ...INTERNAL, footerInclude: ['\0'] }, ['header.footerInclude.0 has characters that are not allowed']],
    [{ ...INTERNAL, usr: 1 }, ['header has unknown members: usr']],
    [JSON.parse('{"scope":1,"internal":true,"body":false,"__proto__":1}'), ['header has unknown members: __proto__']],
    [{ ...INTERNAL, body: true }, ['header.body is true, but there is no body']],
  ] as const) {
    const found = checkHeader(header, false);
    t.equal(fault(found).code, 'bad_header', JSON.stringify(header));
    t.strictSame(issuesOf(found), expected);
  }
  t.strictSame(issuesOf(checkHeader(INTERNAL, true)), ['header.body is false, but there is a body']);
});

t.test('footers are checked, and may be absent', async (t) => {
  for (const good of [{ t: 0 }, { t: 1_700_000_000_000, dt: 3, op: 1, delay: 0 }])
    t.strictSame(checkFooter(good), good);
  t.equal(checkFooter(undefined), undefined);
  for (const bad of [null, {}, { t: -1 }, { t: 1.5 }, { t: '1' }, { t: 1, dt: null }, { t: 1, x: 1 }, []]) {
    t.match(checkFooter(bad), { code: 'bad_header' }, JSON.stringify(bad));
  }
});

t.test('a footer has what is asked for, t always, and a delay when there is one', async (t) => {
  const facts = { t: 1000.4, dt: 2.6, op: 7, delay: 0 };
  for (const [include, more, expected] of [
    [undefined, {}, { t: 1000 }],
    [[], {}, { t: 1000 }],
    [['dt'], {}, { t: 1000, dt: 3 }],
    [['op', 'nonsense', 't'], {}, { t: 1000, op: 7 }],
    [['delay', 'dt', 'op'], {}, { t: 1000, dt: 3, op: 7, delay: 0 }],
    [undefined, { delay: 12.2 }, { t: 1000, delay: 13 }],
    [['dt', 'delay'], { dt: undefined, delay: undefined }, { t: 1000 }],
    [['dt'], { dt: -0.4 }, { t: 1000, dt: 0 }],
  ] as const) {
    const footer = writeFooter(include, { ...facts, ...more });
    t.strictSame(footer, expected);
    t.strictSame(checkFooter(footer), footer, 'and passes its own check');
  }
});

const CLAIMS = { iss: 'svc-a', iat: 1_700_000_000, exp: 1_700_000_060, jti: 'AAAAAAAAAAE' };

t.test('claims are strict, and their lengths are another fault', async (t) => {
  for (const good of [CLAIMS, { ...CLAIMS, re: 'BBBBBBBB', org: 'front-1', rol: 'front' as const, aud: 'here' }]) {
    t.strictSame(checkClaims(good), good);
    t.equal(checkClaimLengths(good), undefined);
  }
  for (const [more, code] of [
    [{ exp: undefined }, 'bad_token'],
    [{ exp: '1700000060' }, 'bad_token'],
    [{ exp: 1.5 }, 'bad_token'],
    [{ iat: -1 }, 'bad_token'],
    [{ iat: 1e300 }, 'bad_token'],
    [{ iss: undefined }, 'bad_token'],
    [{ iss: 'a*' }, 'bad_token'],
    [{ jti: 'short' }, 'bad_token'],
    [{ jti: 5 }, 'bad_token'],
    [{ re: 'AAAA AAAA' }, 'bad_token'],
    [{ org: '' }, 'bad_token'],
    [{ rol: 'dispatch' }, 'bad_token'],
    [{ rol: true }, 'bad_token'],
    [{ aud: ['a'] }, 'bad_token'],
    [{ nbf: 1 }, 'bad_token'],
    [{ sub: 'x' }, 'bad_token'],
    [{ boddy: {} }, 'bad_token'],
    [{ jti: 'A'.repeat(65) }, 'too_long'],
    [{ re: 'A'.repeat(65) }, 'too_long'],
    [{ iss: 'a'.repeat(65) }, 'too_long'],
    [{ org: 'a'.repeat(65) }, 'too_long'],
    [{ aud: 'é'.repeat(129) }, 'too_long'],
  ] as const) {
    const claims = Object.fromEntries(
      Object.entries({ ...CLAIMS, ...more }).filter(([, value]) => value !== undefined),
    );
    const checked = checkClaims(claims);
    const fault = 'kind' in checked ? checked : checkClaimLengths(checked);
    t.match(fault, { kind: 'package-fault', code }, JSON.stringify(more).slice(0, 60));
  }
});

t.test('a payload comes apart into its members', async (t) => {
  t.match(parsePayload('{"header":1,"body":null,"iss":"a","x":2}'), {
    kind: 'payload',
    header: 1,
    body: null,
    footer: undefined,
    claims: { iss: 'a', x: 2 },
  });
  const sly = parsePayload('{"header":{},"__proto__":{"iss":"a"}}');
  t.match(sly, { kind: 'payload' });
  if (sly.kind === 'payload') {
    t.strictSame(Object.keys(sly.claims), ['__proto__']);
    t.match(checkClaims({ ...sly.claims, ...CLAIMS }), { code: 'bad_token' });
  }
  for (const bad of ['', '{', '[]', 'null', '"x"', '1', '{} {}', '\ufeff{}', '{"a":1,}']) {
    t.match(parsePayload(bad), { kind: 'package-fault', code: 'bad_token' }, bad);
  }
});

const header = (more: object = {}): PackageHeader => ({ ...INTERNAL, ...more });

t.test('texts longer than their fixed length are too_long, at the limit they are not', async (t) => {
  for (const [name, most, wrap] of [
    ['destination', 64, (text: string) => header({ destination: text })],
    ['user', 20, (text: string) => header({ user: text })],
    ['channel', 20, (text: string) => header({ channel: text })],
    ['footerInclude.1', 16, (text: string) => header({ footerInclude: ['dt', text] })],
  ] as const) {
    t.equal(checkLengths(wrap('1'.repeat(most)), undefined, undefined), undefined, `${name} of ${most}`);
    const found = checkLengths(wrap('1'.repeat(most + 1)), undefined, undefined);
    t.match(found, { code: 'too_long' });
    t.strictSame(issuesOf(found), [`header.${name} must be at most ${most} octets`]);
  }
  t.match(checkLengths(header({ footerInclude: ['é'.repeat(8)] }), undefined, undefined), undefined);
  t.match(checkLengths(header({ footerInclude: ['é'.repeat(9)] }), undefined, undefined), { code: 'too_long' });
});

t.test('an id that is too long passes the header, so that the lengths can tell', async (t) => {
  for (const more of [{ destination: 'a'.repeat(65) }, { user: '1'.repeat(21) }, { footerInclude: ['x'.repeat(17)] }]) {
    const given = { ...OF_USER, ...more };
    t.strictSame(checkHeader(given, false), given);
    t.match(checkLengths(given as PackageHeader, undefined, undefined), { code: 'too_long' });
  }
});

t.test('lengths of a body go by paths', async (t) => {
  const lengths: Lengths = { title: 4, 'author.name': 3, 'tags.*': 2, 'rows.*.id': 1, doc: { total: 20, key: 3 } };
  const at = (body: unknown): string[] => {
    const found = checkLengths(header(), body, lengths);
    return found === undefined ? [] : issuesOf(found);
  };
  for (const fine of [
    {},
    { title: 'abcd', author: { name: 'éa' }, tags: ['ab', 'é'], rows: [{ id: 'a' }, {}], doc: { abc: 'x' } },
    { title: 5, author: 'no object', tags: 7, rows: null, doc: 'text' },
    { other: 'x'.repeat(99) },
  ]) {
    t.strictSame(at(fine), []);
  }
  t.strictSame(at({ title: 'abcde', author: { name: 'éé' }, tags: ['ab', 'abc'], rows: [{}, { id: 'ab' }] }), [
    'body.title must be at most 4 octets',
    'body.author.name must be at most 3 octets',
    'body.tags.1 must be at most 2 octets',
    'body.rows.1.id must be at most 1 octets',
  ]);
  t.strictSame(at({ doc: { a: [{ long: 1 }] } }), ['body.doc.a.0 has a name of more than 3 octets']);
  t.strictSame(at({ doc: { a: 'é'.repeat(3) } }), ['body.doc must be at most 20 octets'], 'escaped, é is six');
  t.equal(at({ tags: Array(50).fill('abc') }).length, 8, 'eight are told');
  t.strictSame(at(JSON.parse('{"__proto__":{"title":"abcdef"}}')), [], 'only its own members');
});

t.test('megabytes of nonsense get a short answer', async (t) => {
  const name = 'é'.repeat(5000);
  const schema = z.strictObject({ a: z.array(z.string()), b: z.optional(z.record(z.string(), z.string())) });
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`${name.slice(0, 100)}${i}`, 1]));
  for (const value of [{ a: Array(3000).fill(1), ...many }, { a: [], [name]: 1 }, { a: [], b: { [name]: 1 } }, many]) {
    const checked = checkWith(schema, value);
    if (checked.kind !== 'issues') throw new TypeError('it must be refused');
    t.ok(checked.issues.length <= 8);
    for (const { path, message } of checked.issues) {
      t.ok(Buffer.byteLength(message) <= 256, message);
      t.ok(Buffer.byteLength(JSON.stringify(path)) <= 256);
    }
  }
  t.strictSame(clipPath(['a', 3, '\0bad', Symbol('s')]), ['a', 3, '…', 'Symbol(s)']);
  t.equal(clipPath(Array(500).fill('abc')).length, 42);
});

t.test('the phrase of who wrote the schema goes before ours', async (t) => {
  const schema = z.object({ a: z.string('a text, please'), b: z.int().check(z.minimum(3, 'three at least')) });
  t.match(checkWith(schema, { a: 1, b: 2 }), {
    issues: [{ message: 'a text, please' }, { message: 'three at least' }],
  });
});

t.test('a schema that throws, or has to be awaited, is not the fault of the peer', async (t) => {
  const throws = z.object({ a: z.string().check(z.refine(() => JSON.parse('{') as boolean)) });
  t.match(checkWith(throws, { a: 'x' }), { kind: 'broken' });
  const waits = z.object({ a: z.string().check(z.refine(async () => true)) });
  t.match(checkWith(waits, { a: 'x' }), { kind: 'broken' });
});

t.test('nothing that JSON can hold makes a check throw', async (t) => {
  const random = seedFromEnv('schema');
  const names = ['scope', 'internal', 'body', 'user', 'channel', 'destination', 'footerInclude', '__proto__', 't', 'x'];
  const value = (depth: number): unknown => {
    switch (random.int(depth > 2 ? 6 : 8)) {
      case 0:
        return random.pick(['', 'a', '1', 'dispatch', '\ud800', 'x'.repeat(70)]);
      case 1:
        return random.pick([0, -0, 1, 1000, -1, 1.5, 1e300, 2 ** 53]);
      case 2:
        return null;
      case 3:
      case 4:
        return random.int(2) === 0;
      case 5:
        return random.pick([[], {}]);
      case 6:
        return Array.from({ length: random.int(3) }, () => value(depth + 1));
      default:
        return JSON.parse(
          `{${names
            .filter(() => random.int(3) > 0)
            .map((name) => `"${name}":${JSON.stringify(value(depth + 1))}`)
            .join(',')}}`,
        );
    }
  };
  const counts = { good: 0, bad: 0 };
  for (let run = 0; run < 3000; run++) {
    const given = value(0);
    const found = checkHeader(given, random.int(2) === 0);
    if ('kind' in found) counts.bad++;
    else {
      counts.good++;
      checkLengths(found, given, { '*.*': 1, x: { total: 1, key: 1 } });
    }
    checkFooter(given);
  }
  t.ok(counts.bad > 2000, `${counts.good} good, ${counts.bad} bad`);
});
