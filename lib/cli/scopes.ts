// `wsd scopes`: the scopes that a dispatch knows, those of the protocol and those its configuration declares, as a table for people or as JSON Schema.
import { type AnyScope, declareScope, ScopeTable, scopesToJsonSchema } from '../index.js';
import { type Command, EXIT, type Io, UsageError } from './command.js';
import { CONFIG_FLAG, DATA_FLAG, readConfigIfAny } from './data-flags.js';
import { type Flag, longFlags, parseFlags, writeFlags } from './flags.js';
import { styleFor } from './style.js';
import { escapeControl } from './terminal.js';

const FLAGS: readonly Flag[] = [
  CONFIG_FLAG,
  DATA_FLAG,
  { name: 'json', help: 'JSON Schema of every package, draft 2020-12' },
  { name: 'declare', help: 'the declared scopes as a configuration file has them' },
];

const USAGE = 'wsd scopes [options]';

const HELP = `usage: ${USAGE}

Shows the scopes of packages: those of the protocol, and those that the configuration declares.
Checks the configuration on the way.

${writeFlags(FLAGS)}

examples:
  wsd scopes
  wsd scopes --config wsd.json
  wsd scopes --config wsd.json --json > packages.schema.json

exit code: 0 shown, 1 the configuration is not valid, 2 usage
`;

type Schema = Readonly<Record<string, unknown>>;

/** `{user?, epoch, userData}` */
const membersOf = (schema: Schema | undefined): string => {
  if (schema === undefined) return '';
  const properties = schema['properties'];
  if (typeof properties !== 'object' || properties === null) return 'object';
  const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]) : [];
  const names = Object.keys(properties).map((name) => `${name}${required.includes(name) ? '' : '?'}`);
  const open = schema['additionalProperties'] !== false;
  return `{${[...names, ...(open ? ['…'] : [])].join(', ')}}`;
};

const ANSWER_NONE = 'none';

const rowOf = (scope: AnyScope): readonly string[] => {
  const { id, name, body, reply, roles, limit } = declareScope(scope);
  const answer =
    reply === undefined
      ? ANSWER_NONE
      : [reply.scope === id ? '' : `scope ${reply.scope}`, membersOf(reply.body)]
          .filter((part) => part !== '')
          .join(' ');
  return [
    String(id),
    name,
    body === undefined ? ANSWER_NONE : membersOf(body),
    answer === '' ? 'empty' : answer,
    roles === undefined ? 'all' : roles.join(', '),
    limit === undefined ? '' : `${limit.perSecond}/s, ${limit.burst} at once`,
  ];
};

const HEAD = ['SCOPE', 'NAME', 'BODY', 'ANSWER', 'FROM', 'LIMIT'];

const writeTable = (scopes: readonly AnyScope[], io: Io): string => {
  const rows = [HEAD, ...scopes.map(rowOf)].map((row) => row.map((cell) => escapeControl(cell)));
  const width = HEAD.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const style = styleFor(io.stdout, io.env);
  return rows
    .map((row, i) => {
      const cells = row.map((cell, column) =>
        column === 0 ? cell.padStart(width[0] as number) : cell.padEnd(width[column] as number),
      );
      const line = cells.join('  ').trimEnd();
      return `${i === 0 ? style.dim(line) : line}\n`;
    })
    .join('');
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  const [word] = flags.positionals;
  if (word !== undefined) throw new UsageError(`what is "${word}"? wsd scopes takes options only`);
  if (flags.has('json') && flags.has('declare')) throw new UsageError('--json excludes --declare');
  const { scopes } = await readConfigIfAny(flags, io.env);
  const table = new ScopeTable(scopes);
  if (flags.has('json')) io.stdout.write(`${JSON.stringify(scopesToJsonSchema(table), undefined, 2)}\n`);
  else if (flags.has('declare')) {
    io.stdout.write(`${JSON.stringify({ scopes: scopes.map(declareScope) }, undefined, 2)}\n`);
  } else io.stdout.write(writeTable(table.list(), io));
  return EXIT.ok;
};

export const scopes: Command = {
  name: 'scopes',
  summary: 'show the scopes of packages, and their JSON Schema',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
