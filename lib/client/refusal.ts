// An answer that is no 101 → what it says: its status and the beginning of its body, which is where servers explain themselves. Bounded in
// size and time: a body that does not come, or does not end, is not waited for. RFC 9112 sections 6 and 7.1.
import type { Socket } from 'node:net';
import type { ResponseHead } from '../http/head.js';
import { reasonOf } from '../http/response.js';
import { hasToken } from '../http/tokens.js';
import type { Attempt } from './attempt.js';
import { Dechunker } from './dechunker.js';
import { readable } from './readable.js';

const MOST_BODY = 1024;
const MOST_REASON = 100;
const BODY_MS = 1_000;

/** `403 Forbidden: the text of the body`, in one line. */
export const readRefusal = async (attempt: Attempt, socket: Socket, head: ResponseHead): Promise<string> => {
  const said = readable(head.reason === '' ? reasonOf(head.status) : head.reason, MOST_REASON);
  const status = said === '' ? String(head.status) : `${head.status} ${said}`;
  const body = isReadable(head) ? await readBody(attempt, socket, head) : '';
  return body === '' ? status : `${status}: ${body}`;
};

/** What is compressed, though nobody asked for it, would only be noise. */
const isReadable = ({ status, fields }: ResponseHead): boolean =>
  status !== 204 && status !== 304 && (fields.get('content-encoding') ?? 'identity').toLowerCase() === 'identity';

const readBody = (attempt: Attempt, socket: Socket, head: ResponseHead): Promise<string> => {
  const chunked = hasToken(head.fields.all('transfer-encoding'), 'chunked') ? new Dechunker() : undefined;
  const most = Math.min(MOST_BODY, chunked === undefined ? lengthOf(head) : MOST_BODY);
  const parts: Uint8Array[] = [];
  let size = 0;
  const text = (): string => {
    const whole = Buffer.concat(parts);
    const cut = whole.length > most ? whole.subarray(0, most) : whole;
    // The cut may have gone through a character.
    return readable(new TextDecoder().decode(cut, { stream: true }).trim(), MOST_BODY);
  };
  let enough: () => void = () => {};
  return attempt.wait<string>(
    (done) => {
      enough = () => done(text());
      const onData = (chunk: Uint8Array): void => {
        const part = chunked === undefined ? chunk : chunked.receive(chunk, most - size);
        parts.push(part);
        size += part.length;
        if (size >= most || chunked?.ended === true) enough();
      };
      if (most === 0) enough();
      socket.on('data', onData).on('end', enough).on('error', enough).on('close', enough);
      socket.resume();
      return () => socket.pause().off('data', onData).off('end', enough).off('error', enough).off('close', enough);
    },
    { ms: BODY_MS, over: () => enough() },
  );
};

const lengthOf = ({ fields }: ResponseHead): number => {
  const length = Number(fields.get('content-length') ?? MOST_BODY);
  return Number.isInteger(length) && length >= 0 ? length : MOST_BODY;
};
