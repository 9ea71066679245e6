// Explained packages → lines for a person: the token, its claims, header, body and footer with what they mean, and what is wrong; or one line
// a package, and a last line that sums up. All that a peer chose is shown as JSON and escaped.
import type { ExplainedPackage, ExplainedPackageFault } from '../index.js';
import type { DecodedPackage } from './decode-package-json.js';
import type { Style } from './style.js';
import { clip, count, escapeControl } from './terminal.js';

const LABEL = 24;
const line = (label: string, text: string, style: Style): string =>
  `  ${style.dim(escapeControl(label).padEnd(LABEL))}${text}`;

const SENDERS = { client: 'client → server', server: 'server → client' } as const;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text without its quotation marks where it cannot be mistaken. */
const shown = (value: unknown): string => {
  if (value === undefined) return '–';
  const plain = typeof value === 'string' && /^[\w.:/@+-]+$/.test(value);
  return clip(escapeControl(plain ? (value as string) : JSON.stringify(value)));
};

/** undefined for what is no time. */
const timeOf = (value: unknown, unit: number): string | undefined => {
  const date = new Date(typeof value === 'number' ? value * unit : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().replace('.000Z', 'Z');
};

const nameOf = ({ scope }: ExplainedPackage): string =>
  scope === undefined ? 'no scope' : `${scope.name ?? (scope.range === 'own' ? 'scope' : scope.range)} ${scope.id}`;

const title = ({ index, sender, explained }: DecodedPackage, style: Style): string => {
  const words = [style.bold(`package ${index + 1}`), style.bold(style.magenta(nameOf(explained)))];
  if (sender !== undefined) words.push(SENDERS[sender]);
  words.push(count(explained.octets, 'octet'));
  return words.join(style.dim(' · '));
};

const SIGNATURES = {
  holds: 'holds',
  wrong: 'does not hold',
  'no key': 'not verified: no key for it',
  unreadable: 'cannot be read',
  none: 'none: a payload by itself',
} as const;

const signatureLine = ({ signature }: ExplainedPackage, style: Style): string => {
  const paint =
    signature === 'holds' ? style.green : signature === 'no key' || signature === 'none' ? style.yellow : style.red;
  return line('signature', paint(SIGNATURES[signature]), style);
};

/** What the claims and members of the header and the footer mean; undefined: what they say is all. */
const MEANINGS: Readonly<Record<string, (value: unknown, claims: ExplainedPackage['claims']) => string | undefined>> = {
  iss: () => 'signed this hop',
  iat: (value) => timeOf(value, 1000),
  exp: (value, { iat }) => {
    const time = timeOf(value, 1000);
    return typeof iat === 'number' && time !== undefined ? `${time}, ${Number(value) - iat} s after iat` : time;
  },
  re: () => 'answers the package of this jti',
  org: () => 'sent it first',
  rol: () => 'the role of org',
  aud: () => 'the deployment it is for',
  internal: (value) => (value === true ? 'not on behalf of a user' : 'on behalf of the user'),
  body: (value) => (value === true ? 'there is a body' : 'there is no body'),
  t: (value) => timeOf(value, 1),
  dt: () => 'ms it took',
  op: () => 'packages of this session so far',
  delay: () => 'ms to wait before the next package of this scope',
};

const memberLines = (members: unknown, style: Style, claims: ExplainedPackage['claims']): string[] => {
  if (members === undefined) return [];
  if (!isObject(members)) return [line('', shown(members), style)];
  return Object.entries(members).map(([name, value]) => {
    const meaning = Object.hasOwn(MEANINGS, name) ? MEANINGS[name]?.(value, claims) : undefined;
    const text = shown(value);
    return line(clip(name), meaning === undefined ? text : `${text.padEnd(12)}  ${style.dim(meaning)}`, style);
  });
};

const bodyLines = (body: unknown, style: Style, limit: number): string[] => {
  if (body === undefined || limit === 0) return [];
  const text = JSON.stringify(body, undefined, 2);
  const rows = (text.length > limit ? text.slice(0, limit) : text).split('\n').map((row) => escapeControl(row));
  if (text.length > limit) rows.push(style.dim(`… ${count(text.length - limit, 'more character')}`));
  return rows.map((row, i) => line(i === 0 ? 'body' : '', style.green(row), style));
};

const section = (name: string, lines: readonly string[], style: Style): string[] =>
  lines.length === 0 ? [] : [style.cyan(name), ...lines];

const faultText = ({ code, phrase, detail }: ExplainedPackageFault): string =>
  `${code}: ${phrase}${detail === undefined ? '' : ` (${clip(escapeControl(detail))})`}`;

const faultLines = (fault: ExplainedPackageFault, style: Style): string[] => [
  line('fault', style.red(faultText(fault)), style),
  ...fault.issues.map(({ path, message }) =>
    line('', style.red(clip(escapeControl(`${path.length === 0 ? 'it' : path.join('.')} ${message}`))), style),
  ),
  line(
    '',
    style.dim(
      `${fault.section}; a receiver ${fault.close === undefined ? 'answers with an ERROR package' : `closes with ${fault.close}`}`,
    ),
    style,
  ),
];

const OF_SCHEMA = ['bad_header', 'too_long', 'bad_body', 'unknown_scope'];

/** undefined: there is no scope to ask. */
const schemaText = ({ scope, faults }: ExplainedPackage): string | undefined => {
  if (scope === undefined) return undefined;
  if (faults.some(({ code }) => OF_SCHEMA.includes(code))) return 'does not fit';
  return scope.name === undefined ? 'not known here' : `fits ${escapeControl(clip(scope.name))}`;
};

export const reportPackage = (one: DecodedPackage, style: Style, limit: number): string[] => {
  const { explained } = one;
  const { scope, alg, kid, claims } = explained;
  const lines = [title(one, style)];
  if (alg !== undefined || kid !== undefined) lines.push(line('token', `${shown(alg)}, kid ${shown(kid)}`, style));
  lines.push(signatureLine(explained, style));
  if (explained.payload !== undefined && explained.escaped !== undefined) {
    lines.push(line('escaped', explained.escaped ? 'yes' : 'no', style));
  }
  const fits = schemaText(explained);
  if (fits !== undefined) lines.push(line('schema', fits, style));
  if (scope?.reply !== undefined) lines.push(line('answered by', `scope ${scope.reply}`, style));
  lines.push(...section('claims', memberLines(claims, style, claims), style));
  lines.push(...section('header', memberLines(explained.header, style, claims), style));
  lines.push(...section('body', bodyLines(explained.body, style, limit), style));
  lines.push(...section('footer', memberLines(explained.footer, style, claims), style));
  if (explained.faults.length + explained.notes.length > 0) lines.push(style.cyan('verdict'));
  for (const fault of explained.faults) lines.push(...faultLines(fault, style));
  for (const note of explained.notes) lines.push(line('note', escapeControl(note), style));
  return lines;
};

const MARKS = { holds: 'signed', wrong: 'forged', 'no key': 'no key', unreadable: 'broken', none: 'bare' } as const;

/** One package on one line, in columns. */
export const reportPackageShort = ({ sender, explained }: DecodedPackage, style: Style): string => {
  const { header, body, claims, signature, faults } = explained;
  const side = sender === undefined ? '        ' : sender === 'client' ? 'client →' : '← server';
  const destination = isObject(header) ? header['destination'] : undefined;
  const way = `${claims['iss'] === undefined ? '–' : shown(claims['iss'])} → ${destination === undefined ? '–' : shown(destination)}`;
  const text = body === undefined ? '' : JSON.stringify(body);
  const columns = [
    side,
    style.magenta(nameOf(explained).padEnd(20)),
    MARKS[signature].padEnd(6),
    way.padEnd(24),
    style.green(escapeControl(text.length > 40 ? `${text.slice(0, 40)}…` : text)),
  ];
  const wrong = faults.map(({ code }) => style.red(code)).join(' ');
  return `${columns.join('  ').trimEnd()}${wrong === '' ? '' : `  ${wrong}`}`;
};

export const reportPackageSummary = (
  packages: readonly DecodedPackage[],
  outside: readonly string[],
  style: Style,
): string[] => {
  const unverified = packages.filter(({ explained }) => explained.signature === 'no key').length;
  const faults = packages.reduce((sum, { explained }) => sum + explained.faults.length, 0) + outside.length;
  const words = [count(packages.length, 'package')];
  if (unverified > 0) words.push(style.yellow(`${unverified} not verified`));
  words.push(faults === 0 ? style.green('no faults') : style.red(count(faults, 'fault')));
  return [...outside.map((text) => style.red(escapeControl(text))), words.join(style.dim(' · '))];
};
