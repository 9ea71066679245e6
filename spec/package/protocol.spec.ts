// lib/package/PROTOCOL.md is normative, so its tables are read here and every row is compared with the code: members, the footer, claims, the
// order of the receive path, codes, lengths, numbers and scopes, limits, vectors. Each comparison is a function of the rows, and is itself
// tested: a row that is left out, or a cell that is changed by one character, must be told.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { nodeSuite } from '../../lib/crypto/node.js';
import { PACKAGE_CODES, type PackageFault } from '../../lib/package/codes.js';
import { escapeJson, isEscaped } from '../../lib/package/escape.js';
import { explainPackage } from '../../lib/package/explain-package.js';
import { FOOTER_FIELDS, writeFooter } from '../../lib/package/footer.js';
import { declareScope } from '../../lib/package/json-schema.js';
import { checkLengths } from '../../lib/package/lengths.js';
import * as limits from '../../lib/package/limits.js';
import { checkClaimLengths, checkClaims, checkFooter, checkHeader } from '../../lib/package/schema.js';
import { checkBody } from '../../lib/package/scope.js';
import { CORE_SCOPES, rangeOf, ScopeTable } from '../../lib/package/scope-table.js';
import { portableVerifier } from '../../lib/package/token-portable.js';

const DOCUMENT = readFileSync(new URL('../../../lib/package/PROTOCOL.md', import.meta.url), 'utf8');

type Rows = readonly (readonly string[])[];
/** Every difference between the rows of a table and the code, as a sentence; empty when there is none. */
type Judge = (rows: Rows) => string[];

/** Code is between backticks: nothing is taken from inside it. */
const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));

/** The rows of the table whose heading row begins so, inside a section. */
function rowsOf(section: string, heading: string): string[][] {
  const lines = DOCUMENT.split('\n');
  const from = lines.findIndex((line) => /^#+ /.test(line) && line.split(' ')[1]?.replace(/\.$/, '') === section);
  const at = lines.findIndex((line, i) => i > from && line.startsWith('|') && cellsOf(line)[0] === heading);
  const next = lines.findIndex((line, i) => i > from && /^#+ /.test(line));
  if (from < 0 || at < 0 || (next >= 0 && at > next)) return [];
  const end = lines.findIndex((line, i) => i > at && !line.startsWith('|'));
  return lines.slice(at + 2, end < 0 ? lines.length : end).map(cellsOf);
}

const differ = (what: string, told: readonly unknown[], known: readonly unknown[]): string[] => {
  const sins: string[] = [];
  for (let i = 0; i < Math.max(told.length, known.length); i++) {
    if (told[i] !== known[i]) sins.push(`${what}: the document has ${told[i]}, the code ${known[i]}`);
  }
  return sins;
};

const isFault = (value: unknown): value is PackageFault =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'package-fault';

type Members = Readonly<Record<string, unknown>>;
const without = (members: Members, name: string): Members =>
  Object.fromEntries(Object.entries(members).filter(([other]) => other !== name));

/** Whether members may be left out: every one is, alone. `check` is true for what is valid. */
const judgeMembers =
  (whole: Members, optional: (when: string) => boolean, check: (members: Members) => boolean): Judge =>
  (rows) => {
    const sins = differ('members', rows.map(([name]) => name ?? '').sort(), Object.keys(whole).sort());
    for (const [name = '', when = ''] of rows) {
      if (check(without(whole, name)) !== optional(when)) sins.push(`${name}: ${when}, says the document`);
    }
    return check(whole) ? sins : [...sins, 'the whole is not valid'];
  };

const HEADER = {
  scope: 5,
  internal: false,
  destination: 'a',
  user: '1',
  channel: '2',
  body: false,
  footerInclude: ['dt'],
};
const CLAIMS = { iss: 'a', iat: 5, exp: 6, jti: 'AAAAAAAA', re: 'BBBBBBBB', org: 'b', rol: 'front', aud: 'c' };

const judgeHeader: Judge = (rows) => {
  const whens = ['always', 'optional', 'when internal is false'];
  const sins = judgeMembers(
    HEADER,
    (when) => when === 'optional',
    (members) => !isFault(checkHeader(members, false)),
  )(rows);
  for (const [name = '', when = ''] of rows) {
    if (!whens.includes(when)) sins.push(`${name}: comes ${when}`);
    // The same of an internal header.
    const may = !isFault(
      checkHeader({ ...without(HEADER, name), ...(name === 'internal' ? {} : { internal: true }) }, false),
    );
    if (may !== (when !== 'always')) sins.push(`${name}: ${when}, also when internal is true`);
  }
  const most = Number(/^at most (\d+) names/.exec(rows.find(([name]) => name === 'footerInclude')?.[2] ?? '')?.[1]);
  return [...sins, ...differ('footerInclude', [most], [limits.MAX_FOOTER_ITEMS])];
};

const FACTS = { t: 1, dt: 2, op: 3, delay: 4 };

const judgeFooter: Judge = (rows) => {
  const sins = differ(
    'footer',
    rows.map(([name]) => name),
    Object.keys(FACTS),
  );
  if (isFault(checkFooter(FACTS))) sins.push('the whole is not valid');
  for (const [name = '', comes = ''] of rows) {
    const unasked = name in writeFooter(undefined, FACTS);
    const nothing = name in writeFooter([name], { ...FACTS, delay: 0 });
    const expected = { always: true, 'when asked for': false, 'when there is one, or when asked for': true }[comes];
    if (unasked !== expected || !nothing) sins.push(`${name}: comes ${comes}, says the document`);
    if ((comes === 'always') === FOOTER_FIELDS.includes(name)) sins.push(`${name}: ${comes}`);
    if (isFault(checkFooter(without(FACTS, name))) !== (comes === 'always')) sins.push(`${name}: ${comes}`);
  }
  return sins;
};

const judgeClaims: Judge = (rows) => {
  const sins = judgeMembers(
    CLAIMS,
    (when) => when === 'optional',
    (members) => !isFault(checkClaims(members)),
  )(rows);
  for (const [name, when] of rows) if (when !== 'always' && when !== 'optional') sins.push(`${name}: ${when}`);
  const most = Number(/≤ (\d+)$/.exec(rows.find(([name]) => name === 'exp')?.[2] ?? '')?.[1]);
  return [...sins, ...differ('exp', [most], [limits.MAX_TOKEN_TTL])];
};

const judgeCodes: Judge = (rows) =>
  differ(
    'codes',
    rows.map((row) => row.join(' | ')),
    Object.entries(PACKAGE_CODES).map(([code, { phrase, close }]) => `${code} | ${phrase} | ${close ?? '–'}`),
  );

/** The order of section 8.4 of the project's law. That the code keeps to it, token.spec and peer.spec show, each fault against the next. */
const ORDER =
  'too_long bad_token bad_token bad_token bad_token too_long token_expired bad_body not_escaped replayed bad_header ' +
  'forbidden unknown_scope too_long bad_body rate_limited unknown_destination';

const judgeOrder: Judge = (rows) => {
  const sins = differ(
    'order',
    rows.map(([, code]) => code),
    ORDER.split(' '),
  );
  for (const [check = '', code = '', after = ''] of rows) {
    const close = PACKAGE_CODES[code as keyof typeof PACKAGE_CODES]?.close;
    const expected = check.startsWith('the token has')
      ? 'close 1009'
      : close === undefined
        ? 'ERROR'
        : `close ${close}`;
    if (after !== expected && after !== `${expected} with a delay`) sins.push(`${check}: ${after}, not ${expected}`);
    if (after.endsWith('with a delay') !== (code === 'rate_limited')) sins.push(`${check}: ${after}`);
  }
  const size = Number(/at most ([\d,]+) octets/.exec(rows[0]?.[0] ?? '')?.[1]?.replaceAll(',', ''));
  const nesting = Number(/nesting of at most (\d+)/.exec(rows.map(([check]) => check).join())?.[1]);
  return [...sins, ...differ('order', [size, nesting], [limits.MAX_PACKAGE, limits.MAX_NESTING])];
};

/** What has each length, as the code checks it: a package with a text of so many octets at that place. */
const PLACES: Readonly<Record<string, (text: string) => unknown>> = {
  destination: (text) => checkLengths({ ...HEADER, destination: text }, undefined, undefined),
  user: (text) => checkLengths({ ...HEADER, user: text }, undefined, undefined),
  channel: (text) => checkLengths({ ...HEADER, channel: text }, undefined, undefined),
  'an item of footerInclude': (text) => checkLengths({ ...HEADER, footerInclude: [text] }, undefined, undefined),
  nodeID: (text) => inBody(100, { nodeID: text }),
  endpoint: (text) => inBody(100, { endpoint: text }),
  to: (text) => inBody(102, { to: text }),
  code: (text) => inBody(2, { code: text }),
  message: (text) => inBody(2, { message: text }),
  iss: (text) => longClaim({ iss: text }),
  org: (text) => longClaim({ org: text }),
  jti: (text) => longClaim({ jti: text }),
  re: (text) => longClaim({ re: text }),
  aud: (text) => longClaim({ aud: text }),
  'a name of a member inside userData': (text) => inBody(103, { userData: { [text]: 1 } }),
};
const longClaim = (more: object): unknown => {
  const claims = checkClaims({ ...CLAIMS, ...more });
  return 'kind' in claims ? claims : checkClaimLengths(claims);
};
const TABLE = new ScopeTable();
const inBody = (scope: number, body: unknown): unknown => checkLengths(HEADER, body, TABLE.get(scope)?.lengths);

const judgeLengths: Judge = (rows) => {
  const names = rows.flatMap(([name = '']) => name.split(', ').filter((one) => one !== 'as escaped JSON'));
  const sins = differ('lengths', [...names].sort(), [...Object.keys(PLACES), 'userData'].sort());
  for (const [name = '', octets = ''] of rows) {
    const most = Number(octets.replaceAll(',', ''));
    if (name.startsWith('userData')) {
      sins.push(...differ(name, [most], [limits.LENGTHS.userData]));
      continue;
    }
    for (const one of name.split(', ')) {
      const check = PLACES[one];
      if (check === undefined || !(most > 0)) sins.push(`${one}: cannot be read`);
      else if (isFault(check('1'.repeat(most)))) sins.push(`${one}: less than ${most} octets are refused`);
      else if ((check('1'.repeat(most + 1)) as PackageFault | undefined)?.code !== 'too_long') {
        sins.push(`${one}: more than ${most} octets are taken`);
      }
    }
  }
  return sins;
};

const judgeRanges: Judge = (rows) => {
  const sins: string[] = [];
  let next = 0;
  for (const [numbers = '', range = ''] of rows) {
    const [first = Number.NaN, last] = numbers.replace('from ', '').split('–').map(Number);
    sins.push(...differ('ranges', [first, rangeOf(first), rangeOf(last ?? 2 ** 52)], [next, range, range]));
    next = (last ?? Number.NaN) + 1;
  }
  return rows.at(-1)?.[0]?.startsWith('from') === true ? sins : [...sins, 'ranges: the last has no end'];
};

const judgeScopes: Judge = (rows) =>
  differ(
    'scopes',
    rows.map((row) => row.join(' | ')),
    CORE_SCOPES.map((scope) => {
      const { body, reply, roles } = declareScope(scope);
      const required = (body?.['required'] ?? []) as readonly string[];
      const members = Object.keys((body?.['properties'] ?? {}) as object).map((name) =>
        required.includes(name) ? name : `${name}?`,
      );
      const cells = [scope.id, scope.name, members.join(' ') || 'none', reply?.scope ?? '–', roles?.join(' ') ?? 'all'];
      return cells.join(' | ');
    }),
  );

const judgeBodyMembers: Judge = (rows) => {
  const known = new Set(
    CORE_SCOPES.flatMap((scope) => Object.keys((declareScope(scope).body?.['properties'] ?? {}) as object)),
  );
  const sins = differ('members of bodies', rows.map(([name = '']) => name).sort(), [...known].sort());
  for (const [name = '', value = ''] of rows) {
    const from = /an integer from (\d) on/.exec(value);
    if (from === null) continue;
    const takes = (n: number): boolean =>
      checkBody(TABLE.get(104)?.body, { epoch: 1, version: 0, [name]: n }).kind === 'body';
    sins.push(...differ(name, [true, false], [takes(Number(from[1])), takes(Number(from[1]) - 1)]));
  }
  return sins;
};

const judgeLimits: Judge = (rows) =>
  differ(
    'limits',
    rows.map(([, limit]) => limit),
    [
      limits.MAX_PACKAGE,
      limits.MAX_DOCUMENT,
      limits.MAX_NESTING,
      limits.MAX_FOOTER_ITEMS,
      limits.MAX_ISSUES,
      limits.MIN_SECRET,
      `${limits.TOKEN_TTL} s`,
      `${limits.MAX_TOKEN_TTL} s`,
      `${limits.CLOCK_TOLERANCE} s`,
      limits.MAX_JTIS,
      ...[
        limits.REQUEST_TIMEOUT,
        limits.OWNERSHIP_TIMEOUT,
        limits.LEASE,
        limits.REVOKE_DEADLINE,
        limits.MINIMUM_HOLD,
      ].map((ms) => `${ms.toLocaleString('en-US')} ms`),
      limits.MAX_WAITING,
      limits.MAX_CONFLICTS,
      limits.MAX_NODE_CONFLICTS,
      limits.MAX_PAST_OWNERS,
      limits.MAX_NODE_WRITES,
    ].map((limit) => (typeof limit === 'number' ? limit.toLocaleString('en-US') : limit)),
  );

const SECRET = Uint8Array.from({ length: 32 }, (_, at) => at);
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

const judgeVector: Judge = (rows) => {
  const sins = differ(
    'vector',
    rows.map(([part]) => part),
    ['header', 'payload', 'signature'],
  );
  const [header = '', payload = '', signature = ''] = rows.map(([, text = '']) => text);
  const token = `${base64url(header)}.${base64url(payload)}.${signature}`;
  const verifier = portableVerifier(SECRET, nodeSuite);
  const {
    signature: verdict,
    faults,
    escaped,
    kid,
  } = explainPackage(token, {
    keys: { find: () => ({ verifier, node: 'svc-a' }) },
  });
  if (verdict !== 'holds' || faults.length > 0 || escaped !== true || kid !== 'svc-a.1') {
    sins.push(`vector: ${verdict} ${faults.map(({ code }) => code).join()}`);
  }
  return sins;
};

const judgeEscaped: Judge = (rows) =>
  rows.flatMap(([payload = '', told = '']) => {
    const is = isEscaped(payload, JSON.parse(payload)) ? 'yes' : 'no';
    return is === told ? [] : [`${payload}: ${told}, but ${is}`];
  });

/** Changed by one character: told by every judge. Words that only explain may be written in another way, so these columns are named. */
const TABLES: readonly (readonly [section: string, heading: string, judge: Judge, columns: readonly number[]])[] = [
  ['8.1', 'header', judgeHeader, [0, 1]],
  ['8.1', 'footer', judgeFooter, [0, 1]],
  ['8.2', 'claim', judgeClaims, [0, 1]],
  ['8.4', 'Check', judgeOrder, [1, 2]],
  ['8.4', 'Code', judgeCodes, [0, 1, 2]],
  ['8.4', 'Text', judgeLengths, [0, 1]],
  ['8.5', 'Numbers', judgeRanges, [0, 1]],
  ['9', 'Scope', judgeScopes, [0, 1, 2, 3, 4]],
  ['9', 'Member', judgeBodyMembers, [0]],
  ['10', 'What', judgeLimits, [1]],
  ['11.4', 'Part', judgeVector, [0, 1]],
  ['11.4', 'Payload', judgeEscaped, [1]],
];

for (const [section, heading, judge, columns] of TABLES) {
  t.test(`section ${section}, the table of ${heading}, is what the code does`, async (t) => {
    const rows = rowsOf(section, heading);
    t.ok(rows.length > 2, `${rows.length} rows`);
    t.strictSame(judge(rows), []);
    // Which texts are examples is free.
    for (let at = 0; heading !== 'Payload' && at < rows.length; at++) {
      t.not(judge(rows.toSpliced(at, 1)).length, 0, `without row ${at} it is told`);
    }
    for (const [at, row] of rows.entries()) {
      for (const column of columns) {
        const cell = row[column] ?? '';
        const changed = `${cell.slice(0, -1)}${cell.endsWith('x') ? 'y' : 'x'}`;
        t.not(judge(rows.with(at, row.with(column, changed))).length, 0, `row ${at}: ${changed} is told`);
      }
    }
  });
}

t.test('numbers in the text are those of the code', async (t) => {
  const prose = DOCUMENT.replace(/```[\s\S]*?```/g, '').replaceAll(/\s+/g, ' ');
  for (const [pattern, value] of [
    [/more than ([\d,]+) octets are `too_long` in 101 and 103/, limits.MAX_DOCUMENT],
    [/too_long` in both above ([\d,]+) octets/, limits.MAX_DOCUMENT],
    [/A lease ends (\d+) s after/, limits.LEASE / 1000],
    [/At most (\d+) wait, else/, limits.MAX_WAITING],
    [/the newest (\d+) of each document/, limits.MAX_CONFLICTS],
    [/of one node the newest (\d+) of them/, limits.MAX_NODE_CONFLICTS],
    [/the latest (\d+) nodes that have owned it/, limits.MAX_PAST_OWNERS],
    [/at most (\d+) issues with paths/, limits.MAX_ISSUES],
    [/paths of at most (\d+) octets/, limits.LENGTHS.message],
    [/Secrets shorter than (\d+) octets/, limits.MIN_SECRET],
  ] as const) {
    t.equal(Number(pattern.exec(prose)?.[1]?.replaceAll(',', '')), value, String(pattern));
  }
});

t.test('a document at its limit fits the token that hands it over', async (t) => {
  const id = 'a'.repeat(64);
  const jti = 'A'.repeat(64);
  const n = 2 ** 53 - 1;
  const user = '9'.repeat(20);
  const userData = { a: 'x'.repeat(limits.MAX_DOCUMENT - '{"a":""}'.length) };
  const header = { scope: 101, internal: false, destination: id, user, channel: user, body: true };
  const footer = { t: n, dt: n, op: n, delay: n };
  const claims = { iss: id, iat: n, exp: n, jti, re: jti, org: id, rol: 'service', aud: 'x'.repeat(256) };
  const payload = escapeJson({ header, body: { userData, user, epoch: n }, footer, ...claims });
  t.equal(escapeJson(userData).length, limits.MAX_DOCUMENT);
  const jose = JSON.stringify({ alg: 'ES256', typ: 'JWT', kid: 'k'.repeat(64) });
  const octets = base64url(jose).length + base64url(payload).length + 86 + 2;
  t.ok(octets <= limits.MAX_PACKAGE, `${octets} octets`);
});

t.test('every decision has a question and an answer, and every code of the text is one', async (t) => {
  for (const [section, letter, least] of [
    ['12.1', 'B', 20],
    ['12.2', 'D', 16],
  ] as const) {
    const rows = rowsOf(section, '#');
    t.ok(rows.length >= least, `${section} has ${rows.length}`);
    t.strictSame(
      rows.map(([number]) => number),
      rows.map((_, i) => `${letter}${i + 1}`),
    );
    t.strictSame(
      rows.filter((row) => row.length !== 3 || row.some((cell) => cell.length < 2)),
      [],
    );
  }
  const named = [...DOCUMENT.matchAll(/`([a-z]+_[a-z_]+)`/g)].map((found) => found[1] ?? '');
  t.ok(named.length > 20);
  t.strictSame(
    named.filter((code) => code !== '__proto__' && !Object.hasOwn(PACKAGE_CODES, code)),
    [],
  );
});
