// Scopes ↔ JSON Schema (draft 2020-12): what `wsd scopes` prints, and what the configuration file of a daemon declares, so that it can
// validate what it only forwards. The printed form can be put into a configuration file. Not for a page: it needs the whole of zod.
// PROTOCOL.md sections 8.5 and 9.
import { type $ZodType, toJSONSchema } from 'zod/v4/core';
import { DRAFT, isFormat, ownFormatOf, schemaFromJson } from './json-schema-read.js';
import type { Lengths } from './lengths.js';
import type { JsonObject, Role } from './package.js';
import { claimsSchema, footerSchema, headerSchema, isObject } from './schema.js';
import { type AnyScope, type BodySchema, defineScope, type ScopeLimit } from './scope.js';
import type { ScopeTable } from './scope-table.js';

export type JsonSchema = JsonObject;

/** A scope as JSON. */
export interface DeclaredScope {
  readonly id: number;
  readonly name: string;
  readonly body?: JsonSchema;
  readonly reply?: { readonly scope: number; readonly body?: JsonSchema };
  readonly lengths?: Lengths;
  readonly roles?: readonly Role[];
  readonly limit?: ScopeLimit;
}

/** What a sender writes; what only a function can check does not appear. */
const schemaOf = (schema: $ZodType): JsonSchema => {
  const { $schema: _, ...rest } = toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
};

/** The pattern that stands beside a format we know says the same again, for validators that do not know it; reading takes no patterns. */
const withoutPatterns = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutPatterns);
  if (!isObject(value)) return value;
  const known = isFormat(value['format']);
  const own = ownFormatOf(value['pattern']);
  if (own !== undefined) {
    const { pattern: _, ...rest } = value;
    return { ...rest, format: own };
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) =>
      known && name === 'pattern' ? [] : [[name, withoutPatterns(inner)] as const],
    ),
  );
};

const declaredSchema = (schema: $ZodType): JsonSchema => withoutPatterns(schemaOf(schema)) as JsonSchema;

export const declareScope = ({ id, name, body, reply, lengths, roles, limit }: AnyScope): DeclaredScope => ({
  id,
  name,
  ...(body === undefined ? {} : { body: declaredSchema(body) }),
  ...(reply === undefined
    ? {}
    : { reply: { scope: reply.scope, ...(reply.body === undefined ? {} : { body: declaredSchema(reply.body) }) } }),
  ...(lengths === undefined ? {} : { lengths }),
  ...(roles === undefined ? {} : { roles }),
  ...(limit === undefined ? {} : { limit }),
});

/** One schema for every package of these scopes: its header, body and footer; the claims beside them are a definition. */
export const scopesToJsonSchema = (table: ScopeTable): JsonSchema => {
  const definitions: Record<string, JsonSchema> = {
    header: schemaOf(headerSchema),
    footer: schemaOf(footerSchema),
    claims: schemaOf(claimsSchema),
  };
  const forms: JsonSchema[] = [];
  const form = (title: string, scope: number, body: $ZodType | undefined, place: string): void => {
    // Its own resource, so that references inside it stay inside.
    if (body !== undefined) definitions[place] = { $id: `urn:wsd:${place}`, ...schemaOf(body) };
    forms.push({
      title,
      type: 'object',
      properties: {
        header: {
          allOf: [
            { $ref: '#/$defs/header' },
            { properties: { scope: { const: scope }, body: { const: body !== undefined } } },
          ],
        },
        ...(body === undefined ? {} : { body: { $ref: `#/$defs/${place}` } }),
        footer: { $ref: '#/$defs/footer' },
      },
      required: body === undefined ? ['header'] : ['header', 'body'],
      additionalProperties: false,
    });
  };
  for (const { id, name, body, reply } of table.list()) {
    form(name, id, body, `scope-${id}`);
    // The answer of another scope is told there.
    if (reply?.scope === id) form(`${name}, answer`, id, reply.body, `scope-${id}-answer`);
  }
  return {
    $schema: DRAFT,
    title: 'Packages of wsd',
    description: 'A package without the claims that stand beside its members in a token.',
    anyOf: forms,
    $defs: definitions,
  };
};

/** Throws a TypeError with the place of what it cannot take. */
export const scopesFromDeclarations = (list: unknown, place = 'scopes'): AnyScope[] => {
  if (!Array.isArray(list)) throw new TypeError(`${place} must be a list of scopes`);
  return list.map((one, i) => scopeFrom(one, `${place}[${i}]`));
};

const MEMBERS = ['id', 'name', 'body', 'reply', 'lengths', 'roles', 'limit'];
const ROLES: readonly Role[] = ['front', 'service', 'dispatch'];

const scopeFrom = (value: unknown, place: string): AnyScope => {
  if (!isObject(value)) throw new TypeError(`${place} must be an object`);
  refuseOthers(value, MEMBERS, place);
  const { id, name, body, reply, lengths, roles, limit } = value;
  if (typeof id !== 'number') throw new TypeError(`${place}.id must be a number`);
  if (typeof name !== 'string') throw new TypeError(`${place}.name must be a text`);
  try {
    return defineScope({
      id,
      name,
      ...(body === undefined ? {} : { body: schemaFromJson(body, `${place}.body`) }),
      ...(reply === undefined ? {} : { reply: replyFrom(reply, id, `${place}.reply`) }),
      ...(lengths === undefined ? {} : { lengths: lengthsFrom(lengths, `${place}.lengths`) }),
      ...(roles === undefined ? {} : { roles: rolesFrom(roles, `${place}.roles`) }),
      ...(limit === undefined ? {} : { limit: limitFrom(limit, `${place}.limit`) }),
    });
  } catch (error) {
    // What defineScope says of a number or a limit does not know the place.
    const message = (error as Error).message;
    throw message.startsWith(place) ? error : new TypeError(`${place}: ${message}`);
  }
};

const refuseOthers = (value: JsonObject, known: readonly string[], place: string): void => {
  const other = Object.keys(value).find((name) => !known.includes(name));
  if (other !== undefined) throw new TypeError(`${place}.${other} is not known: it may have ${known.join(', ')}`);
};

/** A schema, or `{ scope, body? }`: no schema has a number called scope. */
const replyFrom = (value: unknown, id: number, place: string): { scope: number; body?: BodySchema } => {
  if (!isObject(value) || typeof value['scope'] !== 'number') return { scope: id, body: schemaFromJson(value, place) };
  refuseOthers(value, ['scope', 'body'], place);
  const { scope, body } = value;
  return { scope, ...(body === undefined ? {} : { body: schemaFromJson(body, `${place}.body`) }) };
};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const lengthsFrom = (value: unknown, place: string): Lengths => {
  if (!isObject(value)) throw new TypeError(`${place} must be an object`);
  for (const [path, most] of Object.entries(value)) {
    const document = isObject(most) && Object.keys(most).length === 2 && isCount(most['total']) && isCount(most['key']);
    if (!isCount(most) && !document) {
      throw new TypeError(`${place}.${path} must be a number of octets, or { "total": …, "key": … }`);
    }
  }
  return value as Lengths;
};

const rolesFrom = (value: unknown, place: string): readonly Role[] => {
  if (Array.isArray(value) && value.every((role) => ROLES.includes(role as Role))) return value as Role[];
  throw new TypeError(`${place} must be a list of ${ROLES.join(', ')}`);
};

const limitFrom = (value: unknown, place: string): ScopeLimit => {
  if (isObject(value)) refuseOthers(value, ['perSecond', 'burst'], place);
  if (isObject(value) && typeof value['perSecond'] === 'number' && typeof value['burst'] === 'number') {
    return { perSecond: value['perSecond'], burst: value['burst'] };
  }
  throw new TypeError(`${place} must be { "perSecond": …, "burst": … }`);
};
