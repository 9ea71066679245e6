// The shape of lib, kept by a test: who may import whom, what lives only in its home, and how large a file may grow.
// The tables below are the law; lib/ is read as text. The checker is a function, and is itself tested on a tree full of sins.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { lineAt, readSource, type Source } from '../fixtures/rig/source.js';

/**
 * Which rooms a room may import from. A room is a folder of lib, or a file of lib itself ('fault', 'index').
 * Within a room everything may be imported, without cycles. No arrow leads back up.
 */
const BELOW_HTTP = ['fault', 'bytes', 'crypto'];
const BELOW_DEFLATE = [...BELOW_HTTP, 'http', 'frame'];
const BELOW_NET = [...BELOW_DEFLATE, 'deflate', 'websocket'];
const BELOW_LINK = ['fault', 'bytes', 'crypto', 'packet', 'package', 'websocket'];
const BELOW_DOOR = [...BELOW_NET, 'net', 'options', 'packet', 'package', 'link'];
const BEHIND_PORTS = ['package', 'dispatch/ports'];
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  fault: [],
  bytes: ['fault'],
  crypto: ['fault'],
  packet: ['fault', 'bytes', 'crypto/suite', 'crypto/identity'],
  package: ['fault', 'bytes', 'crypto/suite', 'crypto/package-keys'],
  dispatch: ['fault', 'bytes', 'package'],
  store: BEHIND_PORTS,
  bus: BEHIND_PORTS,
  http: BELOW_HTTP,
  frame: BELOW_HTTP,
  deflate: BELOW_DEFLATE,
  websocket: [...BELOW_DEFLATE, 'deflate'],
  options: [...BELOW_NET, 'packet', 'package'],
  link: [...BELOW_LINK, 'options'],
  browser: [...BELOW_LINK, 'link', 'node'],
  net: BELOW_NET,
  server: [...BELOW_DOOR, 'dispatch'],
  client: BELOW_DOOR,
  node: [...BELOW_LINK, 'net', 'options', 'link', 'client'],
  index: [...BELOW_DOOR, 'server', 'client', 'node', 'dispatch', 'store', 'bus'],
  daemon: ['index', 'package', 'dispatch', 'store', 'bus', 'crypto/entropy', 'crypto/package-keys'],
  conform: [...BELOW_DEFLATE, 'deflate', 'index'],
  cli: ['index', 'conform/index', 'daemon/index', 'bytes/nearest'],
};

/** Rooms that parse what a peer sends: linear, so no regular expression. */
const PARSER_ROOMS = ['bytes', 'http', 'frame', 'deflate', 'websocket', 'packet', 'package'];

/** The only packages that lib needs at run time, and the files that may import them. What one file of a package may be asked for by stands first. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  'zod/mini': /^package\/(?:core-scopes|schema)$/,
  'zod/v4/core': /^(?:package\/(?:issues|json-schema|schema|scope)|node\/state|daemon\/document)$/,
  zod: /^(?:options\/(?:explain|node|options|packages|packets)|package\/json-schema-read|daemon\/(?:config|home|node-file))$/,
  jsonwebtoken: /^package\/token-node$/,
  'classic-level': /^store\/level$/,
  elliptic: /^crypto\/portable-p256$/,
  pako: /^crypto\/portable-deflate$/,
  'buffer-crc32': /^crypto\/portable-crc32$/,
  '@noble/ciphers': /^crypto\/portable$/,
  '@noble/hashes': /^crypto\/portable$/,
};
const packageOf = (from: string): string => /^(?:@[^/]+\/)?[^/]+/.exec(from)?.[0] ?? from;

/** What a page can do without `lib/browser` reaching it yet: it needs nothing of Node either. */
const PORTABLE = [
  'link/packages.ts',
  'link/session-keys.ts',
  'node/node.ts',
  'package/explain-package.ts',
  'package/json-schema.ts',
];

const SOCKETS = ['net', 'server', 'client', 'conform'];
const IMPURE = ['net', 'cli', 'conform', 'daemon'];
/** The one file in which a page has its clock and its timers. */
const IMPURE_FILES = ['browser/page.ts'];
/** Modules of Node that only some rooms may import. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  'node:net': SOCKETS,
  'node:tls': SOCKETS,
  'node:http': SOCKETS,
  'node:https': SOCKETS,
  'node:crypto': ['crypto'],
  'node:diagnostics_channel': ['link'],
  'node:module': ['package'],
  'node:process': IMPURE,
  'node:timers': IMPURE,
  'node:timers/promises': IMPURE,
  'node:console': IMPURE,
};

/** Time, chance and the world have one home: everywhere else they are arguments. */
const IMPURITIES: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['Date.now', /\bDate\s*\.\s*now\b/g],
  ['new Date', /\bnew\s+Date\s*\(/g],
  ['performance', /(?<![.\w$])performance\s*\./g],
  ['Math.random', /\bMath\s*\.\s*random\b/g],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'].map(
    (name) => [name, new RegExp(`(?<![.\\w$])${name}\\b(?!\\s*[:?])`, 'g')] as const,
  ),
  ['console', /(?<![.\w$])console\s*\./g],
  ['process', /(?<![.\w$])process\s*\./g],
  [
    'globalThis',
    /(?<![.\w$])globalThis\s*\.\s*(?:set\w+|queueMicrotask|console|process|performance|Date|Math|crypto)\b/g,
  ],
];

const FORMS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['default export', /^\s*export\s+default\b|\bas\s+default\b/gm],
  ['enum', /^\s*(?:export\s+|declare\s+|const\s+)*enum\s/gm],
  ['any', /(?:[:<|&,=(]|\bas|\bextends|=>)\s*any\b(?!\s*[.(:])/g],
];

const MAX_LINES = 350;

/** Paths are relative to lib, with slashes; the answer is one line for each sin, empty when there is none. */
function judgeArchitecture(files: ReadonlyMap<string, string>): string[] {
  const sins: string[] = [];
  const edges = new Map<string, string[]>();
  for (const [path, text] of files) {
    const source = readSource(text);
    const room = roomOf(path);
    if (ARROWS[room] === undefined) sins.push(`${path}: room ${room} has no line in the table of arrows`);
    if (source.lines > MAX_LINES) sins.push(`${path}: ${source.lines} lines, at most ${MAX_LINES}`);
    if (PARSER_ROOMS.includes(room)) {
      for (const line of source.regexLines) sins.push(`${path}:${line}: regular expression in a parser`);
    }
    sins.push(...judgeImports(path, source, files, edges), ...judgeWords(path, source));
  }
  return [...sins, ...judgePages(files), ...cyclesOf(edges)];
}

/** What a page loads needs nothing of Node, however deep: types excepted, since they are gone by then. */
function judgePages(files: ReadonlyMap<string, string>): string[] {
  const sins: string[] = [];
  const seen = new Set([...files.keys()].filter((path) => roomOf(path) === 'browser' || PORTABLE.includes(path)));
  for (const path of seen) {
    for (const { from, typeOnly, line } of readSource(files.get(path) ?? '').imports) {
      if (typeOnly) continue;
      if (from.startsWith('node:')) sins.push(`${path}:${line}: ${from} in a page`);
      if (from.startsWith('.')) seen.add(targetOf(path, from));
    }
  }
  return sins;
}

const targetOf = (path: string, from: string): string =>
  join(dirname(path), from).replaceAll(sep, '/').replace(/\.js$/, '.ts');

function judgeImports(
  path: string,
  source: Source,
  files: ReadonlyMap<string, string>,
  edges: Map<string, string[]>,
): string[] {
  const sins: string[] = [];
  const targets: string[] = [];
  edges.set(path, targets);
  for (const { from, typeOnly, line } of source.imports) {
    const complain = (what: string): number => sins.push(`${path}:${line}: ${what}`);
    if (from.startsWith('.')) {
      const target = targetOf(path, from);
      if (!files.has(target)) complain(`imports ${from}, which is not in lib`);
      else {
        targets.push(target);
        if (!mayImport(roomOf(path), target)) complain(`${roomOf(path)} must not import ${target}`);
      }
    } else if (from.startsWith('node:')) {
      const homes = MODULES[from];
      if (homes !== undefined && !typeOnly && !homes.includes(roomOf(path))) {
        complain(`${from} is only for ${homes.join(', ')}`);
      }
    } else {
      const home = PACKAGES[from] ?? PACKAGES[packageOf(from)];
      if (home === undefined) complain(`needs the package ${from} at run time`);
      else if (!home.test(path.replace(/\.ts$/, ''))) complain(`${from} is only for ${home.source}`);
    }
  }
  return sins;
}

function judgeWords(path: string, source: Source): string[] {
  const rules = IMPURE.includes(roomOf(path)) || IMPURE_FILES.includes(path) ? FORMS : [...FORMS, ...IMPURITIES];
  return rules.flatMap(([name, pattern]) =>
    [...source.code.matchAll(pattern)].map((found) => {
      const at = found.index + found[0].length - found[0].trimStart().length;
      return `${path}:${lineAt(source.code, at)}: ${name}`;
    }),
  );
}

function roomOf(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? path.replace(/\.ts$/, '') : path.slice(0, slash);
}

function mayImport(room: string, target: string): boolean {
  const to = roomOf(target);
  // The door of the cases is importable as a file; what lies behind it is not.
  return to === room || (ARROWS[room] ?? []).some((allowed) => allowed === to || `${allowed}.ts` === target);
}

/** Every way back to where it started, each told once, from its first file in alphabetical order. */
function cyclesOf(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file);
    if (at >= 0) {
      const ring = trail.slice(at);
      const first = ring.indexOf([...ring].sort()[0] as string);
      const turned = [...ring.slice(first), ...ring.slice(0, first)];
      found.add(`cycle: ${[...turned, turned[0]].join(' -> ')}`);
      return;
    }
    if (done.has(file)) return;
    for (const target of edges.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
  return [...found].sort();
}

// The specs run compiled, in build/spec; the sources are two folders up.
const LIB = fileURLToPath(new URL('../../lib/', import.meta.url));

function sourcesOfLib(): Map<string, string> {
  const files = readdirSync(LIB, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => relative(LIB, join(entry.parentPath, entry.name)).replaceAll(sep, '/')).sort();
  return new Map(
    paths.filter((path) => path.endsWith('.ts')).map((path) => [path, readFileSync(join(LIB, path), 'utf8')]),
  );
}

t.test('lib keeps to its architecture', async (t) => {
  const files = sourcesOfLib();
  t.ok(files.size > 0, 'there are files to judge');
  t.strictSame(judgeArchitecture(files), []);
});

t.test('every file of lib says first what it is', async (t) => {
  const silent = [...sourcesOfLib()].filter(([, text]) => !/^(?:#!.*\n)?(?:\/\/ \S|\/\*\*)/.test(text));
  t.strictSame(
    silent.map(([path]) => path),
    [],
  );
});

const HARMLESS: Readonly<Record<string, string>> = {
  'fault.ts': "// setTimeout(process.exit) in a comment\nexport const a = 'console.log(Math.random())';\n",
  'crypto/suite.ts': 'export interface Suite {}\n',
  'crypto/node.ts': "import * as c from 'node:crypto';\nexport const s = c;\n",
  'crypto/portable.ts': "import { c } from '@noble/ciphers/chacha.js';\nvoid c;\n",
  'packet/keys.ts': "import type { Suite } from '../crypto/suite.js';\nexport type Keys = Suite;\n",
  'bytes/view.ts': "import type { a } from '../fault.js';\nexport const half = (n: number): number => n / 2 / 1;\n",
  'options/options.ts': "import * as z from 'zod';\nexport const o: unknown = z.string();\n",
  'net/clock.ts': "import { connect } from 'node:net';\nexport const now = (): number => Date.now();\nvoid connect;\n",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a program
  'http/text.ts': 'export const text = (a: string): string => `any / ${a + `${a} /x/`} import("x")`;\n',
  'package/token-node.ts':
    "import jwt from 'jsonwebtoken';\nimport { createRequire } from 'node:module';\nvoid [jwt, createRequire];\n",
  'package/issues.ts': "import { safeParse } from 'zod/v4/core';\nvoid safeParse;\n",
  'dispatch/ports.ts': "import type {} from '../package/issues.js';\nexport interface Store {}\n",
  'store/level.ts':
    "import type { Store } from '../dispatch/ports.js';\nexport const s: Promise<Store> = import('classic-level');\n",
  'daemon/index.ts': "export { s } from '../store/level.js';\nsetTimeout(() => {}, 1);\n",
  'conform/index.ts': "export { a } from '../fault.js';\n",
  'index.ts': "export { half } from './bytes/view.js';\nexport type { a } from './fault.js';\n",
  'cli/main.ts': "import { half } from '../index.js';\nimport { a } from '../conform/index.js';\nvoid [half, a];\n",
};

t.test('a tree without sins is not accused', async (t) => {
  t.strictSame(judgeArchitecture(new Map(Object.entries(HARMLESS))), []);
});

const SINS: readonly (readonly [path: string, text: string, expected: string])[] = [
  ['bytes/up.ts', "import { text } from '../http/text.js';", 'bytes/up.ts:1: bytes must not import http/text.ts'],
  ['http/up.ts', "\nimport type { a } from '../index.js';", 'http/up.ts:2: http must not import index.ts'],
  ['frame/up.ts', "export * from '../http/text.js';", 'frame/up.ts:1: frame must not import http/text.ts'],
  ['cli/deep.ts', "import { a } from '../fault.js';", 'cli/deep.ts:1: cli must not import fault.ts'],
  ['cli/lazy.ts', "const x = await import('../bytes/view.js');", 'cli/lazy.ts:1: cli must not import bytes/view.ts'],
  ['attic/old.ts', 'export const a = 1;', 'attic/old.ts: room attic has no line in the table of arrows'],
  ['http/gone.ts', "import { a } from './nowhere.js';", 'http/gone.ts:1: imports ./nowhere.js, which is not in lib'],
  ['http/self.ts', "import { a } from './self.js';", 'cycle: http/self.ts -> http/self.ts'],
  [
    'http/net.ts',
    "import { connect } from 'node:net';",
    'http/net.ts:1: node:net is only for net, server, client, conform',
  ],
  ['http/sha.ts', "import * as c from 'node:crypto';", 'http/sha.ts:1: node:crypto is only for crypto'],
  [
    'server/z.ts',
    "import * as z from 'zod';",
    'server/z.ts:1: zod is only for ^(?:options\\/(?:explain|node|options|packages|packets)|package\\/json-schema-read|daemon\\/(?:config|home|node-file))$',
  ],
  [
    'packet/suite.ts',
    "import { s } from '../crypto/node.js';",
    'packet/suite.ts:1: packet must not import crypto/node.ts',
  ],
  [
    'packet/chacha.ts',
    "import { c } from '@noble/ciphers/chacha.js';",
    'packet/chacha.ts:1: @noble/ciphers/chacha.js is only for ^crypto\\/portable$',
  ],
  [
    'packet/trace.ts',
    "import { channel } from 'node:diagnostics_channel';",
    'packet/trace.ts:1: node:diagnostics_channel is only for link',
  ],
  [
    'dispatch/up.ts',
    "import { s } from '../store/level.js';",
    'dispatch/up.ts:1: dispatch must not import store/level.ts',
  ],

  ['bus/door.ts', "import { half } from '../index.js';", 'bus/door.ts:1: bus must not import index.ts'],
  ['cli/store.ts', "import { s } from '../store/level.js';", 'cli/store.ts:1: cli must not import store/level.ts'],
  [
    'package/jwt.ts',
    "import jwt from 'jsonwebtoken';",
    'package/jwt.ts:1: jsonwebtoken is only for ^package\\/token-node$',
  ],
  [
    'package/zod.ts',
    "import * as z from 'zod/mini';",
    'package/zod.ts:1: zod/mini is only for ^package\\/(?:core-scopes|schema)$',
  ],
  ['server/level.ts', "await import('classic-level');", 'server/level.ts:1: classic-level is only for ^store\\/level$'],
  [
    'server/require.ts',
    "import { createRequire } from 'node:module';",
    'server/require.ts:1: node:module is only for package',
  ],
  ['node/node.ts', "import { n } from '../net/clock.js';", 'net/clock.ts:1: node:net in a page'],
  ['dispatch/now.ts', 'export const n = Date.now();', 'dispatch/now.ts:1: Date.now'],
  ['package/regex.ts', 'export const a = /^a+$/.test(b);', 'package/regex.ts:1: regular expression in a parser'],
  ['browser/page.ts', "import { s } from '../crypto/node.js';", 'crypto/node.ts:1: node:crypto in a page'],
  ['server/ws.ts', "import {\n  WebSocket,\n} from 'ws';", 'server/ws.ts:1: needs the package ws at run time'],
  ['frame/now.ts', 'export const n = Date.now();', 'frame/now.ts:1: Date.now'],
  ['frame/dice.ts', '\n\nexport const n = Math.random();', 'frame/dice.ts:3: Math.random'],
  ['frame/wait.ts', 'setTimeout(() => {}, 1);', 'frame/wait.ts:1: setTimeout'],
  ['frame/micro.ts', 'queueMicrotask(() => {});', 'frame/micro.ts:1: queueMicrotask'],
  ['server/log.ts', "console.log('x');", 'server/log.ts:1: console'],
  ['server/glob.ts', 'globalThis.setTimeout(f, 1);', 'server/glob.ts:1: globalThis'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a program
  ['server/env.ts', 'const home = `${process.env}`;', 'server/env.ts:1: process'],
  ['server/def.ts', 'export default 1;', 'server/def.ts:1: default export'],
  ['server/enum.ts', 'export const enum A { B }', 'server/enum.ts:1: enum'],
  ['server/any.ts', 'export const a = (x: any): void => {};', 'server/any.ts:1: any'],
  ['server/as.ts', 'export const a = b as any;', 'server/as.ts:1: any'],
  ['http/regex.ts', 'export const a = /^a+$/.test(b);', 'http/regex.ts:1: regular expression in a parser'],
  ['http/long.ts', '\n'.repeat(351), 'http/long.ts: 351 lines, at most 350'],
];

t.test('every sin is found, and told once', async (t) => {
  for (const [path, text, expected] of SINS) {
    const sins = judgeArchitecture(new Map([...Object.entries(HARMLESS), [path, text]]));
    t.strictSame(sins, [expected], expected);
  }
});

t.test('a cycle through three files is found', async (t) => {
  const ring = new Map([
    ['http/a.ts', "import { b } from './b.js';"],
    ['http/b.ts', "import { c } from './c.js';"],
    ['http/c.ts', "import type { a } from './a.js';"],
  ]);
  t.strictSame(judgeArchitecture(ring), ['cycle: http/a.ts -> http/b.ts -> http/c.ts -> http/a.ts']);
});
