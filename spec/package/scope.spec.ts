// Scopes: their numbers, what their schemas take and give, the bodies of the protocol's own, and scopes as JSON Schema. The types of handlers and
// callers follow from the schemas: the lines marked @ts-expect-error must not compile. PROTOCOL.md sections 8.5 and 9.
import t from 'tap';
import * as zod from 'zod';
import * as z from 'zod/mini';
import type { PackageFault } from '../../lib/package/codes.js';
import * as core from '../../lib/package/core-scopes.js';
import { declareScope, scopesFromDeclarations, scopesToJsonSchema } from '../../lib/package/json-schema.js';
import { schemaFromJson } from '../../lib/package/json-schema-read.js';
import { checkLengths } from '../../lib/package/lengths.js';
import { isObject } from '../../lib/package/schema.js';
import {
  type AnyScope,
  type BodyOf,
  checkAnyBody,
  checkBody,
  defineScope,
  type ReplyOf,
  type SentBodyOf,
  type SentReplyOf,
} from '../../lib/package/scope.js';
import { isNeverAnswered, rangeOf, ScopeTable } from '../../lib/package/scope-table.js';

/** True only of types that are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(verdict: Same<A, B>): boolean => verdict;

const SUM = defineScope({
  id: 1000,
  name: 'SUM',
  body: zod.strictObject({ numbers: zod.array(zod.number()) }),
  reply: z.strictObject({ sum: z.number() }),
});
const NOTE = defineScope({ id: 1001, name: 'NOTE', body: z.object({ text: z.string() }) });
const ASK = defineScope({ id: 1002, name: 'ASK', reply: { scope: 1003, body: z.object({ ok: z.boolean() }) } });
const KNOCK = defineScope({ id: 1004, name: 'KNOCK', reply: { scope: 1005 } });
const DATED = defineScope({
  id: 1006,
  name: 'DATED',
  body: zod.object({ at: zod.string().transform((text) => text.length), n: zod.number().default(1) }),
  reply: zod.object({ n: zod.coerce.number<string>() }),
});

t.test('types follow from schemas', async (t) => {
  t.ok(same<BodyOf<typeof SUM>, { numbers: number[] }>(true));
  t.ok(same<ReplyOf<typeof SUM>, { sum: number }>(true));
  t.ok(same<BodyOf<typeof NOTE>, { text: string }>(true));
  t.ok(same<ReplyOf<typeof NOTE>, never>(true), 'one-way: there is no answer');
  t.ok(same<BodyOf<typeof ASK>, undefined>(true));
  t.ok(same<ReplyOf<typeof ASK>, { ok: boolean }>(true));
  t.ok(same<ReplyOf<typeof KNOCK>, undefined>(true), 'an answer without a body');
  t.ok(same<BodyOf<typeof DATED>, { at: number; n: number }>(true), 'who receives gets what the schema gives');
  t.ok(same<SentBodyOf<typeof DATED>, { at: string; n?: number | undefined }>(true), 'who sends gives what it takes');
  t.ok(same<ReplyOf<typeof DATED>, { n: number }>(true));
  t.ok(same<SentReplyOf<typeof DATED>, { n: string }>(true));
  t.ok(same<ReplyOf<typeof core.UD_SAVE>, core.Saved>(true));
  t.ok(same<ReplyOf<typeof core.PING>, undefined>(true));
  t.ok(same<ReplyOf<typeof core.ERROR>, never>(true));
  const any: AnyScope[] = [SUM, NOTE, ASK, KNOCK, DATED, core.PING, core.UD_SAVE];
  t.equal(any.length, 7);
  // @ts-expect-error a body must be an object
  t.ok(defineScope({ id: 1100, name: 'x', body: z.string() }));
  // @ts-expect-error a wrong body
  const wrongBody: SentBodyOf<typeof SUM> = { numbers: ['1'] };
  // @ts-expect-error a wrong answer
  const wrongReply: SentReplyOf<typeof SUM> = { total: 1 };
  // @ts-expect-error a scope is no number
  const unknown: BodyOf<7> = {};
  t.ok([wrongBody, wrongReply, unknown]);
});

t.test('numbers that are not free are refused when a scope is defined', async (t) => {
  for (const id of [0, 1, 99, 100, 104, 199, 200, 500, 999]) {
    t.throws(() => defineScope({ id, name: 'MINE' }), { name: 'RangeError', message: /is not free/ });
  }
  for (const id of [-1, 1000.5, Number.NaN, 2 ** 53, Infinity]) {
    t.throws(() => defineScope({ id, name: 'MINE' }), { name: 'RangeError', message: /whole number/ });
  }
  t.equal(defineScope({ id: 2 ** 53 - 1, name: 'LAST' }).id, 2 ** 53 - 1);
  t.throws(() => defineScope({ id: 1000, name: '' }), TypeError);
  t.throws(() => defineScope({ id: 1000, name: 'X', body: {} as never }), /body is no zod schema/);
  t.throws(() => defineScope({ id: 1000, name: 'X', reply: { scope: -1 } }), /reply is a zod schema/);
  t.throws(() => defineScope({ id: 1000, name: 'X', limit: { perSecond: 0, burst: 1 } }), RangeError);
});

t.test('a table has the scopes of the protocol, and each number once', async (t) => {
  const table = new ScopeTable([SUM, NOTE]);
  t.equal(table.get(1000), SUM);
  t.equal(table.get(7), undefined);
  t.strictSame(
    table.list().map(({ id }) => id),
    [0, 1, 2, 100, 101, 102, 103, 104, 1000, 1001],
  );
  t.throws(() => table.add(defineScope({ id: 1000, name: 'OTHER' })), /scope 1000 is there already: SUM/);
  t.throws(() => table.add(SUM), RangeError, 'twice');
  t.doesNotThrow(() => table.add(core.PING));
  t.throws(() => table.add({ ...core.PING }), RangeError, 'another one of its number');
  t.throws(() => table.add({ ...SUM, id: 300 }), /reserved/);
  t.throws(() => table.add({ ...SUM, id: 150 }), /userdata/);
  t.equal(table.size, 10);
  for (const [id, range] of [
    [0, 'core'],
    [99, 'core'],
    [100, 'userdata'],
    [199, 'userdata'],
    [200, 'reserved'],
    [999, 'reserved'],
    [1000, 'own'],
  ] as const) {
    t.equal(rangeOf(id), range, `${id}`);
  }
  t.strictSame([0, 1, 2, 100, 1000].filter(isNeverAnswered), [1, 2]);
});

const issuesOf = (found: { readonly kind: string }): string[] =>
  found.kind === 'package-fault'
    ? (found as PackageFault).issues.map(({ path, message }) => `${path.join('.')} ${message}`)
    : [];

t.test('the bodies of section 9: what they take, and what they do not', async (t) => {
  const USER = '175928847299117063';
  const good: readonly (readonly [AnyScope, ...unknown[]])[] = [
    [core.PING, undefined],
    [core.PING_RESPONSE, undefined],
    [
      core.ERROR,
      { code: 'bad_body', message: 'm' },
      { code: 'x', message: '', scope: 5, issues: [{ path: ['a', 0], message: 'm' }] },
    ],
    // As the seed has it.
    [
      core.UD_REQ_OWNERSHIP,
      { endpoint: 'something.url/endpoint' },
      { nodeID: 'a' },
      { nodeID: 'a', endpoint: '', user: USER },
    ],
    [core.UD_TRANSFER, { userData: {} }, { userData: { a: [1, { b: null }] }, user: USER, epoch: 1 }],
    [core.UD_REVOKE, { epoch: 1 }, { epoch: 2 ** 53 - 1, user: USER, to: 'b', deadline: 0 }],
    [core.UD_SAVE, { epoch: 1, userData: {} }, { epoch: 1, userData: {}, user: '1' }],
    [core.UD_SAVED, { epoch: 1, version: 0 }, { epoch: 1, version: 7, user: USER }],
  ];
  for (const [scope, ...bodies] of good) {
    for (const body of bodies) {
      t.strictSame(checkBody(scope.body, body), { kind: 'body', body }, `${scope.name} ${JSON.stringify(body)}`);
    }
  }
  const issue = { path: [], message: '' };
  const bad: readonly (readonly [AnyScope, ...unknown[]])[] = [
    [core.PING, {}, null, []],
    [core.PING_RESPONSE, {}],
    [
      core.ERROR,
      undefined,
      {},
      { code: 'x' },
      { code: 1, message: '' },
      { code: 'x', message: '', issues: Array(9).fill(issue) },
      { code: 'x', message: '', issues: [{ path: [{}], message: '' }] },
      { code: 'x', message: '', scope: -1 },
      { code: 'x', message: '', more: 1 },
    ],
    [
      core.UD_REQ_OWNERSHIP,
      undefined,
      {},
      { user: USER },
      { nodeID: '' },
      { nodeID: 'a', user: 5 },
      { nodeID: 'a', user: '0' },
      { nodeID: 'a', extra: 1 },
      { endpoint: null },
    ],
    [
      core.UD_TRANSFER,
      {},
      { userData: [] },
      { userData: null },
      { userData: 'x' },
      { userData: {}, epoch: 0 },
      { userData: {}, epoch: '1' },
      { userData: {}, x: 1 },
      JSON.parse('{"userData":{"a":{"__proto__":{}}}}'),
      { userData: { a: '\ud800' } },
      { userData: { '\0': 1 } },
    ],
    [core.UD_REVOKE, {}, { epoch: 1.5 }, { epoch: 1, to: 'a b' }, { epoch: 1, deadline: -1 }],
    [core.UD_SAVE, { epoch: 1 }, { userData: {} }, { epoch: -1, userData: {} }],
    [core.UD_SAVED, { epoch: 1 }, { version: 1 }, { epoch: 1, version: -1 }],
  ];
  for (const [scope, ...bodies] of bad) {
    for (const body of bodies) {
      const found = checkBody(scope.body, body);
      t.match(found, { kind: 'package-fault', code: 'bad_body' }, `${scope.name} ${JSON.stringify(body)}`);
      t.ok(
        issuesOf(found).length > 0 && issuesOf(found).every((text) => text.startsWith('body')),
        `${issuesOf(found)}`,
      );
    }
  }
  t.strictSame(issuesOf(checkBody(core.UD_REQ_OWNERSHIP.body, {})), ['body needs nodeID or endpoint']);
});

t.test(
  'an embedder says himself what becomes of unknown members, and a failing schema is no fault of the peer',
  async (t) => {
    t.match(checkBody(NOTE.body, { text: 'a', more: 1 }), { kind: 'body', body: { text: 'a' } });
    t.match(checkBody(SUM.body, { numbers: [], more: 1 }), { code: 'bad_body' });
    t.strictSame(checkBody(DATED.body, { at: 'abc' }), { kind: 'body', body: { at: 3, n: 1 } });
    const broken = z.object({ a: z.optional(z.string()) }).check(
      z.refine(() => {
        throw new Error('mine');
      }),
    );
    t.match(checkBody(broken, {}), { code: 'internal', detail: /mine/, issues: [] });
    t.equal(checkAnyBody({ a: 1 }), undefined);
    for (const body of [undefined, null, 1, 'x', [], { a: '\u0001' }])
      t.match(checkAnyBody(body), { code: 'bad_body' });
  },
);

t.test('documents have their lengths, by the text that is sent on', async (t) => {
  const header = { scope: 103, internal: true, body: true };
  const at = (userData: unknown): PackageFault | undefined =>
    checkLengths(header, { epoch: 1, userData }, core.UD_SAVE.lengths);
  const room = 47_104 - '{"a":""}'.length;
  t.equal(at({ a: 'x'.repeat(room) }), undefined);
  t.match(at({ a: 'x'.repeat(room + 1) }), { code: 'too_long', issues: [{ path: ['body', 'userData'] }] });
  t.match(at({ a: '<'.repeat(room / 6 + 1) }), { code: 'too_long' }, 'six octets each, once escaped');
  t.equal(at({ ['é'.repeat(64)]: 1 }), undefined);
  t.match(at({ x: [{ ['é'.repeat(65)]: 1 }] }), { code: 'too_long', issues: [{ path: ['body', 'userData', 'x', 0] }] });
});

t.test('scopes become JSON Schema and come back from it', async (t) => {
  const FULL = defineScope({
    id: 1010,
    name: 'FULL',
    body: z.strictObject({
      id: z.uuid(),
      kind: z.enum(['a', 'b']),
      at: z.optional(z.iso.datetime()),
      tags: z.array(z.string().check(z.maxLength(5))).check(z.maxLength(2)),
      more: z.record(z.string(), z.nullable(z.int())),
      choice: z.union([z.literal(1), z.strictObject({ x: z.number() })]),
    }),
    reply: { scope: 1011, body: z.looseObject({ n: z.int().check(z.positive()) }) },
    lengths: { 'tags.*': 4, doc: { total: 10, key: 2 } },
    roles: ['front'],
    limit: { perSecond: 2, burst: 5 },
  });
  const declared: unknown = JSON.parse(JSON.stringify([SUM, FULL, ASK, KNOCK].map(declareScope)));
  const read = scopesFromDeclarations(declared);
  const once: unknown = JSON.parse(JSON.stringify(read.map(declareScope)));
  t.strictSame(scopesFromDeclarations(once).map(declareScope), once, 'what was read is written the same again');
  const body = {
    id: '00000000-0000-4000-8000-000000000000',
    kind: 'a',
    tags: ['x'],
    more: { y: 1, z: null },
    choice: 1,
  };
  const cases: readonly (readonly [unknown, boolean])[] = [
    [body, true],
    [{ ...body, choice: { x: 1 }, at: '2026-01-01T00:00:00Z' }, true],
    [{ ...body, id: 'x' }, false],
    [{ ...body, kind: 'c' }, false],
    [{ ...body, at: 'today' }, false],
    [{ ...body, tags: ['123456'] }, false],
    [{ ...body, tags: ['', '', ''] }, false],
    [{ ...body, more: { y: 'x' } }, false],
    [{ ...body, choice: { x: 1, y: 2 } }, false],
    [{ ...body, extra: 1 }, false],
    [{ ...body, kind: undefined }, false],
  ];
  for (const [value, fits] of cases) {
    for (const scope of [FULL, read[1] as AnyScope]) {
      t.equal(checkBody(scope.body, value).kind === 'body', fits, JSON.stringify(value));
    }
  }
  t.match(read[1], { id: 1010, lengths: FULL.lengths, roles: ['front'], limit: FULL.limit, reply: { scope: 1011 } });
  t.equal(read[3]?.reply?.body, undefined);
});

t.test('one schema describes every package', async (t) => {
  const schema = scopesToJsonSchema(new ScopeTable([SUM, NOTE]));
  t.match(schema, {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: {
      header: {
        anyOf: [
          { required: ['scope', 'body', 'internal'] },
          { required: ['scope', 'body', 'internal', 'user', 'channel'] },
        ],
      },
      'scope-103': { $id: 'urn:wsd:scope-103', required: ['epoch', 'userData'], additionalProperties: false },
      'scope-1000-answer': { properties: { sum: { type: 'number' } } },
    },
  });
  const forms = schema['anyOf'] as readonly { readonly title: string; readonly required: readonly string[] }[];
  t.strictSame(
    forms.map(({ title }) => title),
    [
      'PING',
      'PING_RESPONSE',
      'ERROR',
      'UD_REQ_OWNERSHIP',
      'UD_TRANSFER',
      'UD_REVOKE',
      'UD_SAVE',
      'UD_SAVED',
      'SUM',
      'SUM, answer',
      'NOTE',
    ],
  );
  // Every reference of the document leads somewhere.
  const definitions = schema['$defs'] as Readonly<Record<string, unknown>>;
  const references = [...JSON.stringify(schema).matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g)].map(
    (found) => found[1] ?? '',
  );
  t.ok(references.length > 20);
  t.strictSame(
    references.filter((name) => !isObject(definitions[name])),
    [],
  );
});

t.test('what a declared schema says is what is checked', async (t) => {
  for (const [schema, good, bad] of [
    [{ type: 'object', required: ['a'], properties: { a: {} } }, [{ a: null }, { a: 1, b: 2 }], [{}]],
    [
      { type: 'object', properties: { a: { type: 'string', minLength: 1 } }, additionalProperties: false },
      [{}],
      [{ b: 1 }, { a: '' }],
    ],
    [
      { type: 'object', additionalProperties: { type: ['integer', 'null'], maximum: 3 } },
      [{ x: 3, y: null }],
      [{ x: 4 }, { x: 'a' }],
    ],
    [
      { type: 'object', minProperties: 1, propertyNames: { type: 'string', maxLength: 1 } },
      [{ a: 1 }],
      [{}, { ab: 1 }],
    ],
    [
      {
        type: 'object',
        properties: { a: { type: 'array', items: { type: 'boolean' }, uniqueItems: true, minItems: 1 } },
      },
      [{ a: [true, false] }],
      [{ a: [] }, { a: [true, true] }, { a: [1] }],
    ],
    [
      {
        type: 'object',
        properties: { u: { type: 'string', format: 'snowflake' }, n: { type: 'string', format: 'node-id' } },
      },
      [{ u: '1', n: 'svc-a' }],
      [{ u: '01' }, { n: 'a-' }, { n: 'a'.repeat(65) }],
    ],
    [
      { type: 'object', properties: { x: { enum: ['a', 1, null] }, y: { const: true } } },
      [{ x: null, y: true }],
      [{ x: 'b' }, { y: false }],
    ],
    [
      {
        $ref: '#/$defs/node',
        $defs: {
          node: {
            type: 'object',
            properties: { next: { $ref: '#/$defs/node' }, v: { type: 'integer' } },
            required: ['v'],
          },
        },
      },
      [{ v: 1, next: { v: 2 } }],
      [{ v: 1, next: {} }],
    ],
    [
      {
        oneOf: [
          { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
          { type: 'object', properties: { b: { type: 'number' } }, required: ['b'] },
        ],
      },
      [{ a: 1 }],
      [{}, { a: 1, b: 2 }],
    ],
    [
      {
        type: 'object',
        title: 'notes',
        default: {},
        examples: [1],
        properties: { a: { type: 'string', default: 'x', description: 'd' } },
        required: ['a'],
      },
      [{ a: '' }],
      [{}],
    ],
  ] as const) {
    const made = schemaFromJson(schema);
    for (const body of good)
      t.match(checkBody(made, body), { kind: 'body' }, `${JSON.stringify(schema)} takes ${JSON.stringify(body)}`);
    for (const body of bad)
      t.match(checkBody(made, body), { code: 'bad_body' }, `${JSON.stringify(schema)} refuses ${JSON.stringify(body)}`);
  }
});

t.test('a declaration that would check less than it says is refused, with its place', async (t) => {
  const one = (more: object): unknown => [{ id: 1000, name: 'X', ...more }];
  const body = (schema: unknown): unknown => one({ body: schema });
  const inner = (schema: unknown): unknown => body({ type: 'object', properties: { a: schema } });
  for (const [value, message] of [
    [{}, 'scopes must be a list of scopes'],
    [[7], 'scopes[0] must be an object'],
    [one({ id: '1000' }), 'scopes[0].id must be a number'],
    [one({ id: 150 }), 'scopes[0]: scope 150 (X) is not free: your own begin at 1000'],
    [one({ name: 5 }), 'scopes[0].name must be a text'],
    [one({ bdy: {} }), 'scopes[0].bdy is not known: it may have id, name, body, reply, lengths, roles, limit'],
    [one({ roles: ['king'] }), 'scopes[0].roles must be a list of front, service, dispatch'],
    [one({ lengths: { a: -1 } }), 'scopes[0].lengths.a must be a number of octets, or { "total": …, "key": … }'],
    [one({ limit: { perSecond: 1 } }), 'scopes[0].limit must be { "perSecond": …, "burst": … }'],
    [
      one({ limit: { perSecond: 0, burst: 1 } }),
      'scopes[0]: scope 1000 (X): limit needs perSecond above 0 and burst of at least 1',
    ],
    [one({ reply: { scope: 1001, schema: {} } }), 'scopes[0].reply.schema is not known: it may have scope, body'],
    [body(true), 'scopes[0].body must be a JSON Schema'],
    [
      body({ $schema: 'http://json-schema.org/draft-04/schema#' }),
      'scopes[0].body.$schema must be https://json-schema.org/draft/2020-12/schema',
    ],
    [body({ type: 'objekt' }), 'scopes[0].body.type must be of object, array, string, number, integer, boolean, null'],
    [body({ properties: {} }), 'scopes[0].body.properties needs "type": "object" beside it'],
    [body({ type: 'object', minLength: 1 }), 'scopes[0].body.minLength does not go with the type object'],
    [body({ type: 'object', required: ['a'] }), 'scopes[0].body.required names "a", which properties does not have'],
    [body({ type: 'object', if: {} }), 'scopes[0].body.if is not taken: it would not be checked'],
    [body({ type: 'object', not: {} }), 'scopes[0].body.not is not taken: it would not be checked'],
    [
      inner({ type: 'string', pattern: '^(a+)+$' }),
      /^scopes\[0\]\.body\.properties\.a\.pattern is not taken: a regular expression/,
    ],
    [
      inner({ type: 'string', format: 'credit' }),
      /^scopes\[0\]\.body\.properties\.a\.format must be one of date-time, .*node-id$/,
    ],
    [inner({ type: 'string', maxLength: 'x' }), 'scopes[0].body.properties.a.maxLength must be a number'],
    [inner({ $ref: 'https://example.com/x' }), 'scopes[0].body.properties.a.$ref must be "#" or begin with "#/$defs/"'],
    [
      inner({ $ref: '#', type: 'object' }),
      'scopes[0].body.properties.a.type cannot stand beside $ref: put both into allOf',
    ],
    [inner({ $ref: '#/$defs/none' }), /^scopes\[0\]\.body: Reference not found/],
    [inner({ enum: [{}] }), 'scopes[0].body.properties.a.enum takes texts, numbers, booleans and null'],
    [inner({ type: 'string', enum: [1] }), 'scopes[0].body.properties.a.enum has 1, which is not of the type string'],
    [inner({ const: 1, minimum: 0 }), 'scopes[0].body.properties.a.minimum cannot stand beside const'],
    [inner({ anyOf: [] }), 'scopes[0].body.properties.a.anyOf must be a list of schemas'],
    [
      inner({ anyOf: [{ type: 'string' }, { typ: 'x' }] }),
      'scopes[0].body.properties.a.anyOf[1].typ is not taken: it would not be checked',
    ],
    [inner(5), 'scopes[0].body.properties.a must be a JSON Schema: an object, true or false'],
    [
      body(JSON.parse('{"type":"object","properties":{"__proto__":{}}}')),
      'scopes[0].body.properties cannot have a member __proto__',
    ],
  ] as const) {
    t.throws(() => scopesFromDeclarations(value), { name: 'TypeError', message }, String(message));
  }
});
