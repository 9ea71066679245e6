// What a person types at `wsd connect`, and the lines of a pipe → what is to be done. Pure but for the stream it reads lines from.

import { nearest } from '../bytes/nearest.js';
import { UsageError } from './command.js';
import { type CloseWish, readClose } from './connect-options.js';
import { readHex } from './read-hex.js';

export type Input =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'binary'; readonly bytes: Uint8Array }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'ping'; readonly data: string }
  | { readonly kind: 'close'; readonly wish: CloseWish }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly why: string };

const WORDS: readonly string[] = ['/ping', '/close', '/hex', '/file', '/help', '/quit'];

export const TYPED_HELP: string = `a line                   goes out as a text message; write // for a line that begins with /
/ping [DATA]             ping, and tell the round-trip time
/hex 00 ff               a binary message
/file PATH               the file as a message: text if it is UTF-8, else binary
/close [CODE [REASON]]   close with this (1000); Ctrl-D does so too
/help                    this list`;

export const parseTyped = (line: string): Input => {
  if (!line.startsWith('/')) return { kind: 'text', text: line };
  if (line.startsWith('//')) return { kind: 'text', text: line.slice(1) };
  const space = line.search(/\s/);
  const word = space < 0 ? line : line.slice(0, space);
  const rest = space < 0 ? '' : line.slice(space + 1).trim();
  switch (word) {
    case '/help':
      return { kind: 'help' };
    case '/ping':
      if (Buffer.byteLength(rest) > 125) return { kind: 'wrong', why: 'a ping carries at most 125 bytes' };
      return { kind: 'ping', data: rest };
    case '/quit':
      return { kind: 'close', wish: { code: 1000, reason: '' } };
    case '/file':
      return rest === '' ? { kind: 'wrong', why: '/file takes a path' } : { kind: 'file', path: rest };
    case '/hex': {
      const bytes = readHex(rest);
      return bytes === undefined
        ? { kind: 'wrong', why: 'that is not hexadecimal: /hex 00 ff' }
        : { kind: 'binary', bytes };
    }
    case '/close':
      try {
        return { kind: 'close', wish: rest === '' ? { code: 1000, reason: '' } : readClose(rest) };
      } catch (error) {
        return { kind: 'wrong', why: error instanceof UsageError ? error.message : String(error) };
      }
    default: {
      const close = nearest(word, WORDS);
      return {
        kind: 'wrong',
        why: `unknown ${word}${close === undefined ? '' : `: did you mean ${close}?`} (/help lists all)`,
      };
    }
  }
};

/** Chunks of a stream → its lines, without their ends. The last line needs no end; an empty last one is none. */
export async function* linesOf(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let held: string[] = [];
  for await (const chunk of stream) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      const line = held.join('') + text.slice(from, end);
      held = [];
      from = end + 1;
      yield line.endsWith('\r') ? line.slice(0, -1) : line;
    }
    if (from < text.length) held.push(text.slice(from));
  }
  const last = held.join('') + decoder.decode();
  if (last !== '') yield last;
}
