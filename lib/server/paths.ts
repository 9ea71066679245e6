// What the application says about paths → may a WebSocket open at this one. Exact comparison, or everything below a prefix.
// Compares the path that lib/http has normalised once, the same text an authoriser sees; decodes nothing itself, so there is no second
// reading of a path that could differ from the first. Knows no sockets and no routes of other people: `false` is "not mine".
import type { FaultCode } from '../fault.js';

/** '/chat' is that path only; '/chat/*' is everything below it and not '/chat' itself; '/*' or '*' is every path. */
export type PathOption = string | readonly string[] | ((path: string) => boolean);

/** What a PathOption became. Made once, asked for each request. */
export type PathRule =
  | { readonly kind: 'every' }
  | { readonly kind: 'listed'; readonly exact: ReadonlySet<string>; readonly prefixes: readonly string[] }
  | { readonly kind: 'asked'; readonly ask: (path: string) => boolean };

const fail = (text: string, why: string): never => {
  throw new TypeError(`path ${JSON.stringify(text)} ${why}`);
};

/** Refuses what could never match, so that a slip in a configuration shows at start and not as a 404 later. */
const checkPath = (text: string): void => {
  if (!text.startsWith('/')) fail(text, 'must begin with /');
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x3f || code === 0x23) fail(text, 'must not hold a query or a fragment');
    if (code <= 0x20 || code >= 0x7f || code === 0x5c) fail(text, 'must be percent-encoded');
    if (code === 0x2a && !(i === text.length - 1 && text[i - 1] === '/'))
      fail(text, 'may hold * only as its last segment');
  }
  for (const segment of text.split('/'))
    if (segment === '.' || segment === '..') fail(text, 'must not hold . or .. segments');
};

/** undefined is every path. Our own caller's: a rule that could never match throws. */
export const parsePaths = (option: PathOption | undefined): PathRule => {
  if (option === undefined) return { kind: 'every' };
  if (typeof option === 'function') return { kind: 'asked', ask: option };
  const exact = new Set<string>();
  const prefixes: string[] = [];
  for (const text of typeof option === 'string' ? [option] : option) {
    if (text === '*' || text === '/*') return { kind: 'every' };
    checkPath(text);
    if (text.endsWith('/*')) prefixes.push(text.slice(0, -1));
    else exact.add(text);
  }
  return { kind: 'listed', exact, prefixes };
};

/**
 * undefined when a WebSocket may open here. An application's function that throws (decodeURIComponent('%ff') does) must not let a
 * stranger's path end the server, and must not open the door either; only `true` opens it, so that a promise does not.
 */
export const judgePath = (path: string, rule: PathRule): FaultCode | undefined => {
  switch (rule.kind) {
    case 'every':
      return undefined;
    case 'listed':
      if (rule.exact.has(path)) return undefined;
      for (const prefix of rule.prefixes) if (path.startsWith(prefix)) return undefined;
      return 'WSD_UPGRADE_PATH';
    case 'asked':
      try {
        return rule.ask(path) === true ? undefined : 'WSD_UPGRADE_PATH';
      } catch {
        return 'WSD_UPGRADE_FAILED';
      }
  }
};
