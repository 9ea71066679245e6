// A key file → the keys of both directions, for `wsd decode --layer packet --key-file`. Secrets are never taken from the command line, where
// any user of the machine can read them, and never repeated in a message. JSON or lines: see HELP of decode.
import type { ExplainPacketOptions, PacketKeys } from '../index.js';
import { CommandError } from './command.js';
import { readFileOrSay } from './read-file.js';

type Keys = NonNullable<ExplainPacketOptions['keys']>;
type Pair = readonly [name: string, value: string];

const DIRECTIONS = ['c2s', 's2c'] as const;
const SIZES = { key: 32, iv: 12 } as const;

/** Members of members, by their path: `c2s.key`. */
const pairsOfJson = (value: unknown, path = ''): Pair[] => {
  if (typeof value === 'string') return [[path, value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => pairsOfJson(inner, `${path} ${name}`));
};

/** `c2s key 00…`, `c2s iv = 00…`; or both on one line, the direction once. */
const pairsOfLines = (text: string): Pair[] =>
  text.split('\n').flatMap((line) => {
    const direction = /\b(c2s|s2c)\b/i.exec(line)?.[1];
    if (direction === undefined || line.trimStart().startsWith('#')) return [];
    return [...line.matchAll(/\b(key|iv)\b[\s:=]*([^\s,;]+)/gi)].map(
      ([, name = '', value = '']): Pair => [`${direction} ${name}`, value],
    );
  });

const read = (text: string): readonly Pair[] => {
  if (!text.trimStart().startsWith('{')) return pairsOfLines(text);
  try {
    return pairsOfJson(JSON.parse(text));
  } catch {
    throw new CommandError('the key file begins like JSON but is none');
  }
};

export const readKeys = async (path: string): Promise<Keys> => {
  const found = new Map<string, Uint8Array>();
  for (const [path_, value] of read((await readFileOrSay(path)).toString('utf8'))) {
    const name = /(c2s|s2c)[^a-z0-9]*(key|iv)$/i.exec(path_.trim());
    if (name === null) continue;
    const what = `${name[1]} ${name[2]}`.toLowerCase();
    const size = SIZES[what.slice(4) as keyof typeof SIZES];
    if (!/^(?:[0-9a-f]{2})+$/i.test(value) || value.length !== size * 2) {
      throw new CommandError(`the ${what} in ${path} is not ${size} octets in hexadecimal`);
    }
    if (found.has(what)) throw new CommandError(`the ${what} stands twice in ${path}`);
    found.set(what, Uint8Array.from(Buffer.from(value, 'hex')));
  }
  const keys: { c2s?: PacketKeys; s2c?: PacketKeys } = {};
  for (const direction of DIRECTIONS) {
    const key = found.get(`${direction} key`);
    const iv = found.get(`${direction} iv`);
    if (key !== undefined && iv !== undefined) keys[direction] = { key, iv };
    else if (key !== undefined || iv !== undefined) {
      throw new CommandError(
        `${path} has the ${direction} ${key === undefined ? 'iv without its key' : 'key without its iv'}`,
      );
    }
  }
  if (found.size === 0)
    throw new CommandError(`${path} has no key: write lines such as "c2s key 00…" and "c2s iv 00…"`);
  return keys;
};
