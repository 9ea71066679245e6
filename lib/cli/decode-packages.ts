// `wsd decode --layer package`: captured tokens → packages a person can read. Tokens or payloads as text, one a line, or WebSocket frames with
// text messages in them, which are unwrapped first. What is wrong is named by code; exit code 1 says so.
import {
  type ExplainKeys,
  explainFrames,
  explainPackage,
  readKeyFile,
  ScopeTable,
  type Sender,
  scopesFromDeclarations,
} from '../index.js';
import { CommandError, EXIT, type Io, UsageError } from './command.js';
import { jsonHead } from './decode-json.js';
import { type DecodedPackage, jsonPackage, jsonPackageEnd } from './decode-package-json.js';
import { reportPackage, reportPackageShort, reportPackageSummary } from './decode-package-report.js';
import { reportHead } from './decode-report.js';
import type { Flags } from './flags.js';
import { type Head, takeHeads } from './http-head.js';
import { Inflater } from './inflate.js';
import { readFileOrSay } from './read-file.js';
import { readHex } from './read-hex.js';
import { SIDES } from './sides.js';
import { styleFor } from './style.js';
import { count } from './terminal.js';

/** A token, and who sent it, if the capture tells. */
interface Captured {
  readonly text: string;
  readonly sender: Sender | undefined;
}

interface Capture {
  readonly packages: readonly Captured[];
  readonly heads: readonly Head[];
  /** What is wrong around the packages, a sentence each. */
  readonly outside: readonly string[];
}

/** The most of a body that is shown unless told otherwise. */
const SHOWN = 4096;

const unwrap = (bytes: Uint8Array, flags: Flags): Capture => {
  const { heads, at } = takeHeads(bytes);
  const only = heads.length === 1 ? heads[0] : undefined;
  const from =
    flags.oneOf('from', SIDES) ?? (only === undefined ? undefined : only.kind === 'request' ? 'client' : 'server');
  const deflate = flags.switch('deflate') ?? heads.some((head) => head.deflate);
  const inflaters = { client: new Inflater(), server: new Inflater() };
  const explained = explainFrames(bytes.subarray(at), {
    from,
    inflate: deflate ? (payload, side) => inflaters[side].inflate(payload) : undefined,
  });
  const packages: Captured[] = [];
  const outside: string[] = [];
  for (const { index, faults, message, sender } of explained.frames) {
    const frame = `frame ${index + 1}`;
    for (const { code, phrase } of faults) outside.push(`${frame}: ${code}: ${phrase}`);
    if (message?.kind === 'text') packages.push({ text: Buffer.from(message.data).toString('utf8'), sender });
    else if (message !== undefined) {
      outside.push(`${frame}: a binary message, which holds no package; packets are shown by --layer packet`);
    }
  }
  if (heads.some((head) => !head.complete)) outside.push('cut: the blank line that ends the head is missing');
  if (explained.rest !== undefined) outside.push('cut: the last octets do not make a whole frame header');
  if (explained.missing !== undefined) outside.push(`cut: the last frame lacks ${count(explained.missing, 'byte')}`);
  return { packages, heads, outside };
};

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** A payload over several lines, or a token or payload a line. Several tokens may share one. */
const partsOf = (text: string): string[] => {
  const whole = text.trim();
  if (whole.startsWith('{') && isJson(whole)) return [whole];
  return text.split('\n').flatMap((raw) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return [];
    return line.startsWith('{') ? [line] : line.split(/\s+/);
  });
};

const read = (bytes: Uint8Array, isText: boolean, flags: Flags): Capture => {
  const framed = flags.switch('frames');
  const raw = flags.has('raw') || !isText;
  if (!raw) {
    const text = Buffer.from(bytes).toString('latin1');
    // A token has dots, a payload has braces: what is hexadecimal all through is frames.
    const octets = framed === false ? undefined : readHex(text);
    if (octets !== undefined && octets.length > 0) return unwrap(octets, flags);
    if (flags.has('hex')) throw new UsageError('this is not hexadecimal: write the frames as 81 05 48 65 6c 6c 6f');
  }
  const isHead = takeHeads(bytes).heads.length > 0;
  if (framed ?? (!isText || isHead)) return unwrap(bytes, flags);
  const packages = partsOf(Buffer.from(bytes).toString('utf8')).map((text) => ({ text, sender: undefined }));
  return { packages, heads: [], outside: [] };
};

const readKeys = async (path: string): Promise<ExplainKeys> => {
  const text = (await readFileOrSay(path)).toString('utf8');
  try {
    return readKeyFile(text);
  } catch (error) {
    throw new CommandError(`there is no key in ${path}: ${(error as Error).message}`);
  }
};

/** The list that `wsd scopes --json` prints, or a configuration file with it. */
const readScopes = async (path: string): Promise<ScopeTable> => {
  const text = (await readFileOrSay(path)).toString('utf8');
  try {
    const value = JSON.parse(text) as { readonly scopes?: unknown } | readonly { readonly id?: unknown }[];
    const list = Array.isArray(value) ? value : ((value as { readonly scopes?: unknown } | null)?.scopes ?? value);
    // Those of the protocol are in every table, and may stand in a printed list.
    const own = Array.isArray(list)
      ? list.filter((one) => !(Number((one as { id?: unknown } | null)?.id) < 200))
      : list;
    return new ScopeTable(scopesFromDeclarations(own));
  } catch (error) {
    throw new CommandError(`there are no scopes in ${path}: ${(error as Error).message}`);
  }
};

export const decodePackages = async (bytes: Uint8Array, isText: boolean, flags: Flags, io: Io): Promise<number> => {
  const keyFile = flags.text('key-file');
  const scopeFile = flags.text('scopes');
  const keys = keyFile === undefined ? undefined : await readKeys(keyFile);
  const scopes = scopeFile === undefined ? undefined : await readScopes(scopeFile);
  const capture = read(bytes, isText, flags);
  if (capture.packages.length === 0 && capture.heads.length === 0 && capture.outside.length === 0) {
    throw new UsageError('there are no packages to decode');
  }
  const packages = capture.packages.map(
    ({ text, sender }, index): DecodedPackage => ({ index, sender, explained: explainPackage(text, { keys, scopes }) }),
  );
  if (!flags.has('quiet')) write(packages, capture, flags, io);
  const wrong = capture.outside.length > 0 || packages.some(({ explained }) => explained.faults.length > 0);
  return wrong ? EXIT.failure : EXIT.ok;
};

const write = (packages: readonly DecodedPackage[], capture: Capture, flags: Flags, io: Io): void => {
  const say = (lines: readonly string[]): void => {
    io.stdout.write(`${lines.join('\n')}\n`);
  };
  if (flags.has('json')) {
    for (const head of capture.heads) say([jsonHead(head)]);
    for (const one of packages) say([jsonPackage(one)]);
    say([jsonPackageEnd(packages, capture.outside)]);
    return;
  }
  const style = styleFor(io.stdout, io.env);
  const limit = flags.bytes('bytes') ?? SHOWN;
  for (const head of capture.heads) say([...reportHead(head, style), '']);
  for (const one of packages)
    say(flags.has('short') ? [reportPackageShort(one, style)] : [...reportPackage(one, style, limit), '']);
  say(reportPackageSummary(packages, capture.outside, style));
};
