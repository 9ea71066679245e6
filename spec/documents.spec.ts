// The tables of the README, compared with the code: every fault with how it ends and its phrase, every option with its default and its
// sentence, every member of a server, a connection and a session. A row that is missing, left over, out of order or out of date is a failure,
// and the failure shows the row as it should be. What the code does not say (the meaning of a fault, the values of an option) must be there.

import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
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
