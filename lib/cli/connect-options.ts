// The words of `wsd connect` → what `connect` of the public door takes. Files are read here, so that a header with a secret, a
// proxy password and a certificate never need to stand among the words, where every user of the machine can read them.
import type { ClientOptions } from '../index.js';
import { UsageError } from './command.js';
import type { Flags } from './flags.js';
import { readFileOrSay } from './read-file.js';

/** A scheme and a host are filled in where people leave them out: `8080`, `:8080/chat`, `example.org`, `https://…`. */
export const completeUrl = (text: string): string => {
  if (/^\d{1,5}(?:\/|$)/.test(text)) return `ws://127.0.0.1:${text}`;
  if (text.startsWith(':')) return `ws://127.0.0.1${text}`;
  if (/^https?:/i.test(text)) return text.replace(/^http/i, 'ws');
  return /^[a-z][a-z0-9+.-]*:\/|^ws\+unix:/i.test(text) ? text : `ws://${text}`;
};

/** For showing: a query often carries a token. */
export const withoutQuery = (url: string): string => {
  const at = url.indexOf('?');
  return at < 0 ? url : `${url.slice(0, at)}?…`;
};

/** What handshake fields are: RFC 9110 sections 5.1 and 5.5. The value is not repeated in what we say, it may be a secret. */
const readHeader = (line: string): [string, string] => {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0)).trim();
  if (colon < 1 || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) {
    throw new UsageError("-H takes 'Name: value', or @FILE with one such line per header");
  }
  const value = line.slice(colon + 1).trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  if (/[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/.test(value)) {
    throw new UsageError(`the value of the header ${name} has a character that no header may have`);
  }
  return [name, value];
};

const readHeaders = async (words: readonly string[]): Promise<[string, string][]> => {
  const headers: [string, string][] = [];
  for (const word of words) {
    if (!word.startsWith('@')) {
      headers.push(readHeader(word));
      continue;
    }
    const text = (await readFileOrSay(word.slice(1))).toString('utf8');
    for (const line of text.split(/\r?\n/)) if (line.trim() !== '') headers.push(readHeader(line));
  }
  return headers;
};

export const readConnectOptions = async (flags: Flags): Promise<ClientOptions> => {
  const headers = await readHeaders(flags.all('header'));
  const subprotocols = flags.all('subprotocol').flatMap((word) => word.split(/[\s,]+/).filter((name) => name !== ''));
  const ca = flags.text('ca');
  const tls = {
    ...(ca === undefined ? {} : { ca: await readFileOrSay(ca) }),
    ...(flags.has('insecure') ? { rejectUnauthorized: false } : {}),
  };
  let proxy = flags.text('proxy');
  if (proxy?.startsWith('@')) proxy = (await readFileOrSay(proxy.slice(1))).toString('utf8').trim();
  const origin = flags.text('origin');
  const deflate = flags.switch('deflate');
  const timeout = flags.duration('timeout');
  const maxMessage = flags.bytes('max-message');
  return {
    ...(headers.length === 0 ? {} : { headers }),
    ...(subprotocols.length === 0 ? {} : { subprotocols }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(origin === undefined ? {} : { origin }),
    ...(deflate === undefined ? {} : { deflate }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(maxMessage === undefined ? {} : { maxMessage }),
  };
};

export interface CloseWish {
  readonly code: number;
  readonly reason: string;
}

/** `1000`, `1000:bye`, and after `/close` also `1000 bye`. RFC 6455 section 7.4: only these may be sent. */
export const readClose = (text: string): CloseWish => {
  const match = /^(\d{1,5})(?:[:\s]\s*([\s\S]*))?$/.exec(text.trim());
  const code = match === null ? Number.NaN : Number(match[1]);
  const allowed = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
  if (!allowed) throw new UsageError(`a close code is 1000-1003, 1007-1014 or 3000-4999, not "${text}"`);
  const reason = match?.[2] ?? '';
  if (Buffer.byteLength(reason) > 123) throw new UsageError('a close reason takes at most 123 bytes');
  return { code, reason };
};
