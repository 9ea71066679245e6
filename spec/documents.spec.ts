// The tables of the README, compared with the code: every fault with how it ends and its phrase, every option and every key of the daemon's
// configuration with its default and its sentence, every member of a server, a connection and a session. A row that is missing, left over, out of order or out of date is a failure,
// and the failure shows the row as it should be. What the code does not say (the meaning of a fault, the values of an option) must be there.

import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { Flags } from '../lib/cli/flags.js';
import { DEFAULT_DRAIN } from '../lib/cli/serve-echo.js';
import { readPlace } from '../lib/cli/serve-listen.js';
import { parseConfig } from '../lib/daemon/config.js';
import { LOG_LEVELS } from '../lib/daemon/config-types.js';
import { Dispatch } from '../lib/dispatch/dispatch.js';
import { type CallCode, describeOptions, FAULTS, type OptionDescription, type PackageCode } from '../lib/index.js';
import { Session } from '../lib/link/session.js';
import { Document } from '../lib/node/document.js';
import { Node } from '../lib/node/node.js';
import { PACKAGE_CODES } from '../lib/package/codes.js';
import { Server } from '../lib/server/server.js';
import { Connection } from '../lib/websocket/connection.js';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8').replace(/^(`{3,})[\s\S]*?^\1/gm, '');

/** The text under a heading, up to the next one of its level or above. */
function sectionOf(markdown: string, heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 1;
  const lines = markdown.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) return '';
  const rest = lines.slice(from + 1);
  const to = rest.findIndex((line) => /^#+ /.test(line) && (/^#+/.exec(line)?.[0].length ?? 0) <= level);
  return (to < 0 ? rest : rest.slice(0, to)).join('\n');
}

/** The cells of every row of every table in a text, without headings and rulers. `\|` is no border. */
function rowsOf(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  const ruler = (line: string | undefined): boolean => line !== undefined && /^\|[-|: ]+$/.test(line);
  return rows
    .filter((line, at) => !ruler(line) && !ruler(rows[at + 1]))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** A value as one would write it in code. */
function literal(value: unknown): string {
  if (typeof value === 'number') return String(value).replace(/\B(?=(\d{3})+$)/g, '_');
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  const inside = Object.entries(value).map(([name, one]) => `${name}: ${literal(one)}`);
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  return inside.length === 0 ? '{}' : `{ ${inside.join(', ')} }`;
}

/** The same number as people say it. */
function spoken({ name, text, default: value }: OptionDescription): string {
  if (typeof value !== 'number' || value < 1000) return '';
  if (/\bbytes\b/.test(text) && value % 1024 === 0) {
    return value % 2 ** 20 === 0 ? ` (${value / 2 ** 20} MiB)` : ` (${value / 1024} KiB)`;
  }
  return /time|interval|heartbeat|ttl/i.test(name) ? ` (${value / 1000} s)` : '';
}

t.test('tables are read', async (t) => {
  const text = '# A\n| a | b |\n|---|---|\n| `1 \\| 2` | 3 |\n\n## B\n| c |\n|--|\n| 4 |\n# C\n| d |\n|--|\n| 5 |';
  t.strictSame(rowsOf(text), [['`1 \\| 2`', '3'], ['4'], ['5']]);
  t.strictSame(rowsOf(sectionOf(text, '# A')), [['`1 \\| 2`', '3'], ['4']]);
  t.strictSame(rowsOf(sectionOf(text, '## B')), [['4']]);
  t.equal(sectionOf(text, '## D'), '');
  t.equal(literal({ a: 16384, b: [1, 'x'] }), "{ a: 16_384, b: [1, 'x'] }");
});

t.test('every fault is in the README with how it ends, its phrase and what it means', async (t) => {
  const rows = rowsOf(sectionOf(README, '## Faults'));
  const expected = Object.entries(FAULTS).map(([code, row]) => {
    const ending = 'status' in row ? String(row.status) : 'close' in row ? String(row.close) : '–';
    return [`\`${code}\``, ending, row.phrase];
  });
  t.strictSame(
    rows.map((cells) => cells.slice(0, 3)),
    expected,
  );
  t.strictSame(
    rows.filter((cells) => (cells[3] ?? '').length < 10).map(([code]) => code),
    [],
    'each is explained',
  );
});

t.test('every fault is brought about by a transcript or a spec', async (t) => {
  const folders = [new URL('../../spec/', import.meta.url), new URL('../../fixtures/transcripts/', import.meta.url)];
  const texts = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:spec\.ts|md)$/.test(name))
      .map((name) => readFileSync(new URL(name, folder), 'utf8')),
  );
  const named = new Set(texts.flatMap((text) => text.match(/\bWSD_[A-Z0-9_]+/g) ?? []));
  t.strictSame(
    Object.keys(FAULTS).filter((code) => !named.has(code)),
    [],
  );
});

const OWN_CODES: Record<Exclude<CallCode, PackageCode>, true> = {
  timeout: true,
  aborted: true,
  lost: true,
  bad_answer: true,
};

t.test('every code of a package is in the README, and explained', async (t) => {
  const rows = rowsOf(sectionOf(README, '### Package errors'));
  t.strictSame(
    rows.flatMap((cells) => (cells[0] ?? '').match(/\w+/g) ?? []),
    [...Object.keys(PACKAGE_CODES), ...Object.keys(OWN_CODES)],
  );
  t.strictSame(
    rows.filter((cells) => (cells[1] ?? '').length < 10).map(([code]) => code),
    [],
  );
});

const server = describeOptions('server');
const client = describeOptions('client');
const serverPackets = describeOptions('serverPackets');
const clientPackets = describeOptions('clientPackets');
/** What a dispatch brings with it, and nobody writes: it is named in the table of its members. */
const OF_DISPATCH = ['nodes', 'replay', 'rates', 'route', 'awaited', 'events'];
const packages = describeOptions('packages').filter(({ name }) => !OF_DISPATCH.includes(name));
const isIn = (list: readonly OptionDescription[], { name, text }: OptionDescription): boolean =>
  list.some((other) => other.name === name && other.text === text);

const TABLES: readonly (readonly [heading: string, options: readonly OptionDescription[]])[] = [
  ['### Of both sides', server.filter((option) => isIn(client, option))],
  ['### Of a server', server.filter((option) => !isIn(client, option))],
  ['### Of a client', client.filter((option) => !isIn(server, option))],
  ['### Of deflate', describeOptions('deflate')],
  ['### Of packet sessions', [...serverPackets, ...clientPackets.filter((option) => !isIn(serverPackets, option))]],
  ['### Of packages', packages],
  ['### Of a dispatch', describeOptions('dispatch').filter((option) => !isIn(packages, option))],
  ['### Of a node', describeOptions('node').filter((option) => !isIn(packages, option))],
];

for (const [heading, options] of TABLES) {
  t.test(`the options under "${heading}" are those of the code`, async (t) => {
    const rows = rowsOf(sectionOf(README, heading));
    t.strictSame(
      rows.map(([name, value, , text]) => [name, value, text]),
      options.map((option, at) => [
        `\`${option.name}\``,
        option.default === undefined ? '–' : `\`${literal(option.default)}\`${spoken(option)}`,
        // What the options do not explain themselves is explained here, in any words.
        option.text === '' ? rows[at]?.[3] : option.text,
      ]),
    );
    t.strictSame(
      rows.filter((cells) => cells.length !== 4 || cells.some((cell) => cell.length === 0)),
      [],
      'no cell is empty',
    );
  });
}

/** Where the value of a member ends: the comma of its own level, or the end of the object. */
function endOfValue(code: string, from: number): number {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    const char = code[at] as string;
    if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char) && --depth < 0) return at;
    else if (char === ',' && depth === 0) return at;
  }
  return code.length;
}

/** The keys of a strictObject in the source of the configuration, `listen.tls.key`; `at` is where it is made. */
function keysOfSchema(code: string, at: number): string[] {
  const keys: string[] = [];
  const member = /\s*([$\w]+): /y;
  member.lastIndex = code.indexOf('strictObject({', at) + 'strictObject({'.length;
  for (let found = member.exec(code); found !== null; found = member.exec(code)) {
    const [, key = ''] = found;
    const end = endOfValue(code, member.lastIndex);
    const value = code.slice(member.lastIndex, end);
    const other = /^(?:z\.union\(\[z\.literal\(false\), )?(listen|server|sessions)\b/.exec(value)?.[1];
    const inner =
      other !== undefined
        ? keysOfSchema(code, code.indexOf(`const ${other} = z`))
        : value.includes('strictObject(')
          ? keysOfSchema(code, member.lastIndex)
          : [];
    if (inner.length === 0 || value.startsWith('z.union')) keys.push(key);
    keys.push(...inner.map((name) => `${key}.${name}`));
    member.lastIndex = end + 1;
  }
  return keys;
}

t.test('the configuration of the daemon is in the README, every key of it', async (t) => {
  const code = readFileSync(new URL('../../lib/daemon/config.ts', import.meta.url), 'utf8').replace(
    /^\s*\/\/.*|\/\*[\s\S]*?\*\//gm,
    '',
  );
  const keys = keysOfSchema(code, code.indexOf('const schema = z'));
  t.ok(keys.includes('listen.tls.key') && keys.includes('log.level') && keys.length > 30, 'the keys are found');
  const rows = rowsOf(sectionOf(README, '### Of the daemon'));
  t.strictSame(
    rows.map(([name]) => name),
    keys.map((key) => `\`${key}\``),
  );
  t.strictSame(
    rows.filter((cells) => cells.length !== 4 || cells.some((cell) => cell.length === 0)),
    [],
    'no cell is empty',
  );
  for (const key of keys) {
    const path = key.split('.');
    const wrong = path.reduceRight<unknown>((value, name) => ({ [name]: value }), { neither: 'this nor that' });
    const told = t.throws(() => parseConfig(JSON.stringify(wrong), 'c.json', '/')) as Error;
    t.notMatch(told.message, new RegExp(`${path.at(-1)} is not known`.replace('$', '\\$')), `${key} is known`);
  }
});

t.test('what the daemon hands on has the defaults and the words of the options', async (t) => {
  const rows = new Map(rowsOf(sectionOf(README, '### Of the daemon')).map((cells) => [cells[0]?.slice(1, -1), cells]));
  const dispatch = describeOptions('dispatch').filter(({ name }) => name !== 'scopes');
  const handed = [
    ...server.map((option) => [`server.${option.name}`, option] as const),
    ...serverPackets.map((option) => [`sessions.${option.name}`, option] as const),
    ...dispatch.map((option) => [option.name, option] as const),
  ].filter(([key]) => rows.has(key));
  t.ok(handed.length > 25, 'there are such');
  for (const [key, option] of handed) {
    const [, value = '', , text = ''] = rows.get(key) ?? [];
    t.equal(value, option.default === undefined ? '–' : `\`${literal(option.default)}\`${spoken(option)}`, key);
    // Files instead of what is in them, and one option that is only a switch here.
    if (!/^(?:audience|sessions\.(?:certificate|key)|server\.deflate)$/.test(key)) t.equal(text, option.text, key);
  }
  const { host, port } = await readPlace(new Flags([], new Map()));
  t.equal(rows.get('listen.host')?.[1], `\`${literal(host)}\``);
  t.equal(rows.get('listen.port')?.[1], `\`${literal(port)}\``);
  t.equal(rows.get('drain')?.[1], `\`${literal(DEFAULT_DRAIN)}\` (${DEFAULT_DRAIN / 1000} s)`);
  t.equal(rows.get('log.level')?.[2], LOG_LEVELS.map((level) => `\`'${level}'\``).join(', '));
});

/** The members of a class for its users: what its declaration marks as internal, and what no user can reach, is left out. */
function membersOf(prototype: object, declaration: string): string[] {
  const code = readFileSync(new URL(`../lib/${declaration}`, import.meta.url), 'utf8');
  const hidden = [
    ...code.matchAll(/\/\*\* @internal\b[^*]*\*\/\s*(?:get |set )?(\w+)|\bprotected (?:override )?(\w+)/g),
  ];
  const inner = new Set(['constructor', ...hidden.map((found) => found[1] ?? found[2])]);
  return Object.getOwnPropertyNames(prototype).filter((name) => !inner.has(name));
}

/** What the first cells of a table name: `send(data, options?)` is send. */
function namedIn(rows: readonly (readonly string[])[]): Set<string> {
  const spans = rows.flatMap((cells) => [...(cells[0] ?? '').matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? ''));
  return new Set(spans.map((span) => /^\w+/.exec(span)?.[0] ?? ''));
}

const CLASSES = [
  ['### Server', membersOf(Server.prototype, 'server/server.d.ts')],
  ['### Connection', membersOf(Connection.prototype, 'websocket/connection.d.ts')],
  ['### Session', membersOf(Session.prototype, 'link/session.d.ts')],
  ['### Dispatch', membersOf(Dispatch.prototype, 'dispatch/dispatch.d.ts')],
  ['### Node', membersOf(Node.prototype, 'node/node.d.ts')],
  ['### Document', membersOf(Document.prototype, 'node/document.d.ts')],
] as const;

for (const [heading, members] of CLASSES) {
  t.test(`the members under "${heading}" are those of the class`, async (t) => {
    const named = namedIn(rowsOf(sectionOf(README, heading)));
    t.ok(members.length > 2, 'members are found');
    t.strictSame(
      members.filter((name) => !named.has(name)),
      [],
    );
  });
}

t.test('every event is in the README', async (t) => {
  const events = (declaration: string, name: string): string[] => {
    const code = readFileSync(new URL(`../lib/${declaration}`, import.meta.url), 'utf8');
    const body = new RegExp(`interface ${name}\\b[^{]*\\{([^]*?)\\n\\}`).exec(code)?.[1] ?? '';
    return [...body.matchAll(/^\s*(\w+): \[/gm)].map((found) => found[1] ?? '');
  };
  for (const [heading, declaration, name] of [
    ['### Server', 'server/events.d.ts', 'ServerEvents'],
    ['### Connection', 'websocket/connection.d.ts', 'ConnectionEvents'],
    ['### Session', 'link/session-events.d.ts', 'SessionEvents'],
    ['### Dispatch', 'dispatch/dispatch-types.d.ts', 'DispatchEvents'],
    ['### Node', 'node/node-events.d.ts', 'NodeEvents'],
  ] as const) {
    const expected = events(declaration, name);
    const rows = rowsOf(sectionOf(README, heading)).filter((cells) => cells[0]?.startsWith('event '));
    t.ok(expected.length > 3, `${name} are found`);
    t.strictSame([...namedIn(rows)].sort(), [...expected].sort(), name);
  }
});

t.test('each promise that holds names the spec that proves it', async (t) => {
  const rows = rowsOf(sectionOf(README, '## Promises'));
  t.ok(rows.length > 5, 'there are promises');
  t.strictSame(
    rows.filter((cells) => !/\]\(spec\/[^)]+\.spec\.ts\)/.test(cells.at(-1) ?? '')),
    [],
  );
});

t.test('no address of one machine, and no place for what is still to come', async (t) => {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  t.notMatch(text, /\/(?:home|root|tmp|Users)\//, 'no path of one machine');
  t.notMatch(text, /\b(?:TODO|FIXME|TBD)\b/);
});
