// JSON Schema (draft 2020-12) of an object → the zod schema of a body, for scopes that are declared in a configuration file. Strict: a keyword
// that would be ignored is refused by name and place, because a schema that checks less than it says is worse than none. Regular
// expressions are refused, too: they may take exponential time on what a peer sends. Not for a page: it needs the whole of zod.
import { fromJSONSchema } from 'zod';
import type { JsonObject } from './package.js';
import { isObject } from './schema.js';
import type { BodySchema } from './scope.js';

export const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** JSON Schema of an object → the zod schema of a body. Throws a TypeError with the place of what it cannot take. */
export const schemaFromJson = (value: unknown, place = 'schema'): BodySchema => {
  if (!isObject(value)) throw new TypeError(`${place} must be a JSON Schema`);
  const draft = value['$schema'];
  if (draft !== undefined && draft !== DRAFT) throw new TypeError(`${place}.$schema must be ${DRAFT}`);
  const schema = readSchema(value, place) as JsonObject;
  const definitions = value['$defs'];
  try {
    const made = fromJSONSchema(
      definitions === undefined ? schema : { ...schema, $defs: readMembers(definitions, `${place}.$defs`) },
    );
    // A body that is no object is refused before its schema is asked.
    return made as unknown as BodySchema;
  } catch (error) {
    throw new TypeError(`${place}: ${(error as Error).message}`);
  }
};

/** Keywords that say nothing about what is valid. */
const NOTES = ['$schema', '$id', '$comment', 'title', 'description', 'examples', 'default', 'deprecated', '$defs'];
/** Keywords by the type they belong to: without it they would be ignored. */
const OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'propertyNames', 'minProperties', 'maxProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  boolean: [],
  null: [],
};
const CHOICES = ['anyOf', 'oneOf', 'allOf'];
/** All of them are checked in linear time. */
const FORMATS = ['date-time', 'date', 'time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uuid'];
/** Our own become patterns that cannot backtrack. */
const OWN_FORMATS: Readonly<Record<string, string>> = {
  snowflake: '^[1-9][0-9]{0,19}$',
  'node-id': '^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$',
};

/** The format of ours that became this pattern. */
export const ownFormatOf = (pattern: unknown): string | undefined =>
  Object.keys(OWN_FORMATS).find((name) => OWN_FORMATS[name] === pattern);

/** Those that reading takes. */
export const isFormat = (value: unknown): value is string =>
  typeof value === 'string' && (FORMATS.includes(value) || Object.hasOwn(OWN_FORMATS, value));

const refuse = (place: string, keyword: string, why: string): never => {
  throw new TypeError(`${place}.${keyword} ${why}`);
};

/** The same schema without notes, once every keyword of it is known to be obeyed. */
const readSchema = (value: unknown, place: string): JsonObject | boolean => {
  if (typeof value === 'boolean') return value;
  if (!isObject(value)) throw new TypeError(`${place} must be a JSON Schema: an object, true or false`);
  const given = Object.keys(value).filter((name) => !NOTES.includes(name));
  if ('$ref' in value) return readReference(value, given, place);
  const types = typesOf(value, place);
  if ('enum' in value || 'const' in value) return readValues(value, given, types, place);
  const allowed = types.flatMap((type) => OF_TYPE[type] ?? []);
  const out: Record<string, unknown> = types.length === 0 ? {} : { type: value['type'] };
  for (const keyword of given) {
    const inner = `${place}.${keyword}`;
    if (keyword === 'type') continue;
    if (CHOICES.includes(keyword)) {
      const list = value[keyword];
      if (!Array.isArray(list) || list.length === 0) refuse(place, keyword, 'must be a list of schemas');
      out[keyword] = (list as unknown[]).map((one, i) => readSchema(one, `${inner}[${i}]`));
    } else if (!allowed.includes(keyword)) refuse(place, keyword, whyNot(keyword, types));
    else out[keyword] = readKeyword(keyword, value[keyword], inner);
  }
  const own = OWN_FORMATS[String(out['format'])];
  if (own !== undefined) {
    out['pattern'] = own;
    delete out['format'];
  }
  const required = (out['required'] ?? []) as readonly string[];
  const properties = out['properties'] as JsonObject | undefined;
  const missing = required.find((name) => properties === undefined || !Object.hasOwn(properties, name));
  if (missing !== undefined) refuse(place, 'required', `names "${missing}", which properties does not have`);
  return out;
};

const whyNot = (keyword: string, types: readonly string[]): string => {
  if (keyword === 'pattern' || keyword === 'patternProperties') {
    return 'is not taken: a regular expression may take endless time on what a peer sends; use format, enum or maxLength';
  }
  const type = Object.keys(OF_TYPE).find((name) => OF_TYPE[name]?.includes(keyword));
  if (type === undefined) return 'is not taken: it would not be checked';
  return types.length === 0 ? `needs "type": "${type}" beside it` : `does not go with the type ${types.join(' or ')}`;
};

const typesOf = (value: JsonObject, place: string): readonly string[] => {
  const type = value['type'];
  if (type === undefined) return [];
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  const bad = types.find((one) => typeof one !== 'string' || !Object.hasOwn(OF_TYPE, one));
  if (bad !== undefined || types.length === 0) {
    refuse(place, 'type', `must be of ${Object.keys(OF_TYPE).join(', ')}`);
  }
  return types as readonly string[];
};

/** Beside a reference nothing else would be obeyed. */
const readReference = (value: JsonObject, given: readonly string[], place: string): JsonObject => {
  const other = given.find((name) => name !== '$ref');
  if (other !== undefined) refuse(place, other, 'cannot stand beside $ref: put both into allOf');
  const reference = value['$ref'];
  if (typeof reference !== 'string' || !(reference === '#' || reference.startsWith('#/$defs/'))) {
    refuse(place, '$ref', 'must be "#" or begin with "#/$defs/"');
  }
  return { $ref: reference };
};

const readValues = (
  value: JsonObject,
  given: readonly string[],
  types: readonly string[],
  place: string,
): JsonObject => {
  const keyword = 'enum' in value ? 'enum' : 'const';
  const other = given.find((name) => name !== keyword && name !== 'type');
  if (other !== undefined) refuse(place, other, `cannot stand beside ${keyword}`);
  const values = keyword === 'enum' ? value['enum'] : [value['const']];
  if (!Array.isArray(values) || values.length === 0) refuse(place, keyword, 'must be a list of values');
  for (const one of values as readonly unknown[]) {
    if (typeof one === 'object' && one !== null) refuse(place, keyword, 'takes texts, numbers, booleans and null');
    if (types.length > 0 && !types.some((type) => isOfType(one, type))) {
      refuse(place, keyword, `has ${JSON.stringify(one)}, which is not of the type ${types.join(' or ')}`);
    }
  }
  return { enum: values };
};

const isOfType = (value: unknown, type: string): boolean =>
  type === 'null' ? value === null : type === 'integer' ? Number.isInteger(value) : typeof value === type;

const readKeyword = (keyword: string, value: unknown, place: string): unknown => {
  switch (keyword) {
    case 'properties':
      return readMembers(value, place);
    case 'additionalProperties':
    case 'propertyNames':
    case 'items':
      return readSchema(value, place);
    case 'prefixItems':
      if (!Array.isArray(value)) throw new TypeError(`${place} must be a list of schemas`);
      return value.map((one, i) => readSchema(one, `${place}[${i}]`));
    case 'uniqueItems':
      if (typeof value === 'boolean') return value;
      throw new TypeError(`${place} must be true or false`);
    case 'required':
      if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
      throw new TypeError(`${place} must be a list of names`);
    case 'format':
      if (isFormat(value)) return value;
      throw new TypeError(`${place} must be one of ${[...FORMATS, ...Object.keys(OWN_FORMATS)].join(', ')}`);
    default:
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      throw new TypeError(`${place} must be a number`);
  }
};

const readMembers = (value: unknown, place: string): JsonObject => {
  if (!isObject(value)) throw new TypeError(`${place} must be an object of schemas`);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      if (name === '__proto__') throw new TypeError(`${place} cannot have a member __proto__`);
      return [name, readSchema(inner, `${place}.${name}`)];
    }),
  );
};
