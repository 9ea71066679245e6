// The words SCOPE and --body of `wsd call` → a scope and a body. A scope of the protocol or of the configuration goes by number or name; any other by
// number: what the other end makes of it is between the two, so its body and answer are any object.

import { nearest } from '../bytes/nearest.js';
import { type AnyScope, ScopeTable, scopesFromDeclarations } from '../index.js';
import { CommandError, type Io, UsageError } from './command.js';
import { readFileOrSay } from './read-file.js';

export type Body = Readonly<Record<string, unknown>> | undefined;

export const findScope = (word: string, declared: readonly AnyScope[], hasBody: boolean): AnyScope => {
  const scopes = new ScopeTable(declared).list();
  if (/^\d{1,15}$/.test(word)) {
    const id = Number(word);
    return scopes.find((scope) => scope.id === id) ?? undeclared(id, hasBody);
  }
  const named = scopes.find(({ name }) => name.toLowerCase() === word.toLowerCase());
  if (named !== undefined) return named;
  const close = nearest(
    word.toUpperCase(),
    scopes.map(({ name }) => name),
  );
  const hint =
    close === undefined ? ': wsd scopes shows them, and any from 1000 on goes by number' : `: did you mean ${close}?`;
  throw new UsageError(`no scope is called ${JSON.stringify(word)}${hint}`);
};

const undeclared = (id: number, hasBody: boolean): AnyScope => {
  const object = { type: 'object' };
  try {
    const [scope] = scopesFromDeclarations([
      { id, name: `scope ${id}`, ...(hasBody ? { body: object } : {}), reply: object },
    ]);
    return scope as AnyScope;
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/^scopes\[0\]: /, ''));
  }
};

/** `{"a":1}`, `@FILE`, or `-` for stdin. */
export const readBody = async (word: string | undefined, io: Io): Promise<Body> => {
  if (word === undefined) return undefined;
  const [text, where] =
    word === '-'
      ? [await readAll(io.stdin), 'stdin']
      : word.startsWith('@')
        ? [(await readFileOrSay(word.slice(1))).toString('utf8'), word.slice(1)]
        : [word, '--body'];
  const wrong = (why: string): Error =>
    where === '--body' ? new UsageError(`--body ${why}`) : new CommandError(`${where} ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('must be a JSON object');
  return value as Body;
};

const readAll = async (stdin: Io['stdin']): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks).toString('utf8');
};
