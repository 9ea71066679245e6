// The quick yes beside the schemas it is quick for: whatever they are given, where it says yes they say so too, and change nothing.
import t from 'tap';
import type { $ZodType } from 'zod/v4/core';
import { seeded } from '../../fixtures/rig/random.js';
import { checkWith } from '../../lib/package/issues.js';
import type { JsonObject } from '../../lib/package/package.js';
import { claimsSchema, footerSchema, headerSchema } from '../../lib/package/schema.js';
import { isUsualClaims, isUsualFooter, isUsualHeader } from '../../lib/package/usual.js';

const USER = '175928847299117063';
const JTI = 'abcdefghijkl0001';

interface Kind {
  readonly name: string;
  readonly schema: $ZodType;
  readonly usual: (value: JsonObject) => boolean;
  /** Good ones, to which the quick one must say yes. */
  readonly good: readonly JsonObject[];
  /** Good too, and left to the schema. */
  readonly rare: readonly JsonObject[];
}

const KINDS: readonly Kind[] = [
  {
    name: 'header',
    schema: headerSchema,
    usual: isUsualHeader,
    good: [
      { scope: 0, internal: true, body: false },
      { scope: 1000, internal: true, body: true, destination: 'svc-a' },
      { scope: 1000, internal: false, body: true, user: USER, channel: USER },
      { destination: 'svc-a', scope: 1000, internal: false, body: true, user: USER, channel: '1' },
    ],
    rare: [{ scope: 0, internal: true, body: false, footerInclude: ['dt'] }],
  },
  {
    name: 'footer',
    schema: footerSchema,
    usual: isUsualFooter,
    good: [{ t: 0 }, { t: 1_763_739_000_000, dt: 3 }, { t: 1, dt: 0, op: 7, delay: 1000 }],
    rare: [],
  },
  {
    name: 'claims',
    schema: claimsSchema,
    usual: isUsualClaims,
    good: [
      { iss: 'svc-a', iat: 1, exp: 61, jti: JTI },
      { iss: 'dispatch', iat: 1, exp: 61, jti: JTI, re: JTI },
      { iss: 'dispatch', iat: 1, exp: 61, jti: JTI, re: JTI, org: 'front-1' },
      { iss: 'dispatch', iat: 1, exp: 61, jti: JTI, org: 'front-1', rol: 'front' },
      { iss: 'dispatch', iat: 1, exp: 61, jti: JTI, org: 'svc-a', rol: 'service' },
    ],
    rare: [{ iss: 'svc-a', iat: 1, exp: 61, jti: JTI, aud: 'here' }],
  },
];

const VALUES: readonly unknown[] = [
  ...[0, -0, -1, 1.5, 2 ** 53, Number.NaN, true, false, null, '', 'a', 'a b', '-a', 'a'.repeat(64), 'a'.repeat(65)],
  ...['0', '01', '18446744073709551615', '18446744073709551616', '1'.repeat(21), 'abcdefgh', 'abcdefg', JTI, {}, []],
  ...['abc.defgh', 'svc_a', ['dt'], 'x\u0000y', 'front', 'service', 'dispatch', undefined],
];
const NAMES: readonly string[] = [
  ...['scope', 'internal', 'body', 'destination', 'user', 'channel', 'footerInclude', 't', 'dt', 'op', 'delay'],
  ...['iss', 'iat', 'exp', 'jti', 're', 'org', 'rol', 'aud', 'nbf', 'sub', '__proto__', 'constructor', 'toString', ''],
];

t.test('says yes to what the libraries write, and leaves what is rare to the schema', async (t) => {
  for (const { name, usual, schema, good, rare } of KINDS) {
    for (const value of [...good, ...rare]) t.equal(checkWith(schema, value).kind, 'value', name);
    for (const value of good) t.equal(usual(value), true, `${name} ${JSON.stringify(value)}`);
    for (const value of rare) t.equal(usual(value), false, `${name} ${JSON.stringify(value)}`);
  }
});

t.test('says yes to nothing that the schema refuses or changes', async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  t.comment(`SEED=${seed}`);
  const chance = seeded(seed);
  for (const { name, usual, schema, good } of KINDS) {
    const found = { yes: 0, no: 0 };
    const wrong: string[] = [];
    for (let i = 0; i < 20_000; i++) {
      const value: Record<string, unknown> = { ...chance.pick(good) };
      for (let changes = chance.int(3); changes > 0; changes--) {
        const there = Object.keys(value);
        const at = chance.next() < 0.6 && there.length > 0 ? chance.pick(there) : chance.pick(NAMES);
        if (chance.next() < 0.25) Reflect.deleteProperty(value, at);
        // As JSON.parse does: __proto__ too becomes a member like any other.
        else
          Object.defineProperty(value, at, {
            value: chance.pick(VALUES),
            enumerable: true,
            configurable: true,
            writable: true,
          });
      }
      if (!usual(value)) {
        found.no++;
        continue;
      }
      found.yes++;
      const checked = checkWith(schema, value);
      const kept = checked.kind === 'value' ? JSON.stringify(checked.value, Object.keys(value)) : checked.kind;
      if (kept !== JSON.stringify(value)) wrong.push(`${JSON.stringify(value)}: ${kept}`);
    }
    t.strictSame(wrong, [], name);
    t.ok(found.yes > 1000 && found.no > 1000, `${name}: ${JSON.stringify(found)}`);
  }
});
