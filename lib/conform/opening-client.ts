// One row of the answer table ∘ a client that has just sent its request: gives the answer as it stands, offers a message, watches whether
// the client takes the connection for open, and grades it.
import type { Socket } from 'node:net';
import { parseHeader } from '../frame/header.js';
import { mask } from '../frame/mask.js';
import type { Behavior, CaseResult } from './case.js';
import { clock } from './drive.js';
import { type AnswerOpening, answerWantText, PROBE } from './opening-answers.js';
import { openingResult } from './opening-server.js';
import { WireLog } from './wire.js';

export { type AnswerOpening, answerOpenings } from './opening-answers.js';

/** How long a client may take to see that an answer is wrong, or to echo. */
const REACTION_MS = 2000;

interface Seen {
  /** Bytes after the answer: a client that refuses sends none. */
  bytes: Uint8Array;
  ended: boolean;
}

/** The probe came back in one masked frame. */
const isEcho = (bytes: Uint8Array): boolean => {
  const header = parseHeader(bytes);
  if (header === undefined || !header.masked || header.opcode !== 1 || !header.fin) return false;
  if (bytes.length < header.size + header.length) return false;
  const payload = new Uint8Array(bytes.subarray(header.size, header.size + header.length));
  // With compression agreed the echo could look different; no answer in the table agrees to any.
  mask(payload, header.maskKey);
  return Buffer.compare(payload, PROBE.subarray(2)) === 0;
};

const judge = (want: AnswerOpening['want'], seen: Seen): { readonly behavior: Behavior; readonly seen: string } => {
  if (want === 'opens') {
    if (isEcho(seen.bytes)) return { behavior: 'OK', seen: 'the client echoed the message' };
    const why = seen.ended ? 'the client ended the connection' : 'the message did not come back';
    return {
      behavior: 'FAILED',
      seen: seen.bytes.length > 0 ? `${seen.bytes.length} bytes came that are no echo` : why,
    };
  }
  if (seen.bytes.length > 0) {
    const behavior = want === 'must' ? 'FAILED' : 'INFORMATIONAL';
    return { behavior, seen: `the client took the connection and sent ${seen.bytes.length} bytes` };
  }
  if (seen.ended) return { behavior: 'OK', seen: 'the client ended the connection' };
  return { behavior: want === 'must' ? 'FAILED' : 'INFORMATIONAL', seen: 'the client kept the connection' };
};

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const runClientOpening = async (
  row: AnswerOpening,
  socket: Socket,
  key: string,
  patience: number,
): Promise<CaseResult> => {
  const started = clock();
  const log = new WireLog();
  log.open(started);
  const seen: Seen = { bytes: new Uint8Array(0), ended: false };
  await new Promise<void>((resolve) => {
    const limit = row.want === 'patience' ? patience : REACTION_MS;
    const timer = setTimeout(resolve, limit);
    const settle = (): void => {
      clearTimeout(timer);
      resolve();
    };
    socket.on('data', (chunk: Buffer) => {
      log.raw('in', 'bytes after the answer', chunk, clock());
      seen.bytes = Buffer.concat([seen.bytes, chunk]);
      if (row.want !== 'opens' || isEcho(seen.bytes)) settle();
    });
    const ended = (): void => {
      if (!seen.ended) log.note('TCP ended by the client', clock());
      seen.ended = true;
      settle();
    };
    socket.on('error', () => undefined);
    socket.on('end', ended).on('close', ended);
    const send = async (): Promise<void> => {
      const pieces = row.pieces(key);
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
        await pause();
      }
      log.note(`out: an answer of ${size} bytes in ${pieces.length} writes`, clock());
      // A client that takes the answer is given something to echo, unless the row glued it on.
      if (row.want !== 'patience' && typeof (pieces.at(-1) ?? '') === 'string' && !socket.destroyed)
        socket.write(PROBE);
    };
    socket.resume();
    void send();
  });
  socket.end();
  setTimeout(() => socket.destroy(), 200).unref();
  return openingResult(row.id, row.title, answerWantText(row.want), judge(row.want, seen), clock() - started, log);
};
