// One row of the opening table ∘ a server: sends the request as it stands, watches the answer, and grades it. Keeps its own hands off
// lib/http and lib/websocket. A connection lives for one row.
import type { Socket } from 'node:net';
import { encodeFrame } from '../frame/encode.js';
import { parseHeader } from '../frame/header.js';
import type { Behavior, CaseResult } from './case.js';
import { verdictOf } from './case.js';
import { dial, judgeOpening, makeKey, type Target } from './dial.js';
import { clock } from './drive.js';
import { type Head, HeadReader, valuesOf } from './head.js';
import { type ServerOpening, type Want, wantText } from './opening-requests.js';
import { WireLog } from './wire.js';

export { type ServerOpening, serverOpenings } from './opening-requests.js';

/** How long an answer may take where a server has no reason to wait. */
const ANSWER_MS = 3000;
const PING = encodeFrame({ opcode: 9, payload: Buffer.from('lantern'), maskKey: 0x12345678 });

interface Observed {
  head: Head | undefined;
  ended: boolean;
  bytes: number;
  /** A pong came back on the open connection. */
  pong: boolean;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const isPong = (bytes: Uint8Array): boolean => {
  const header = parseHeader(bytes);
  return header !== undefined && header.opcode === 10 && header.rsv === 0 && header.fin && !header.masked;
};

/** Sends the pieces and waits until the row can be judged, or the time is up. */
const observe = (
  socket: Socket,
  row: ServerOpening,
  target: Target,
  key: string,
  log: WireLog,
  limit: number,
): Promise<Observed> =>
  new Promise((resolve) => {
    const seen: Observed = { head: undefined, ended: false, bytes: 0, pong: false };
    const reader = new HeadReader();
    let after: Uint8Array = new Uint8Array(0);
    const settle = (): void => {
      clearTimeout(timer);
      resolve(seen);
    };
    const timer = setTimeout(settle, limit);
    socket.on('data', (chunk: Buffer) => {
      seen.bytes += chunk.length;
      if (seen.head === undefined) {
        const result = reader.receive(chunk);
        if (result.kind !== 'head') return;
        seen.head = result.head;
        log.raw('in', result.head.start.slice(0, 100), chunk, clock());
        // A refusal is complete for us here. What opened has to show that it works.
        if (!result.head.start.startsWith('HTTP/1.1 101') || row.want.kind === 'refuses') return settle();
        socket.write(PING);
        after = result.rest;
      } else after = Buffer.concat([after, chunk]);
      if (isPong(after)) {
        seen.pong = true;
        log.raw('in', 'pong', after, clock());
        settle();
      }
    });
    socket.on('close', () => {
      seen.ended = true;
      log.note('TCP ended by the server', clock());
      settle();
    });
    const send = async (): Promise<void> => {
      for (const piece of row.pieces(target, key)) {
        if (socket.destroyed || seen.head !== undefined) return;
        if (row.pace === 0) await pause(0);
        const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
        if (bytes.length > 1) log.raw('out', `${bytes.length} bytes of request`, bytes, clock());
        socket.write(bytes);
        if (row.pace > 0) await pause(row.pace);
      }
    };
    void send();
  });

interface Judged {
  readonly behavior: Behavior;
  readonly seen: string;
}

const ok = (seen: string): Judged => ({ behavior: 'OK', seen });
const failed = (seen: string): Judged => ({ behavior: 'FAILED', seen });
const noted = (seen: string): Judged => ({ behavior: 'INFORMATIONAL', seen });

const silence = (seen: Observed): string =>
  seen.ended ? 'the connection was ended without an answer' : 'no answer came in time';

/** What a 101 says must fit the request. */
const judgeOpened = (head: Head, seen: Observed, want: Want, key: string): Judged => {
  const protocol = valuesOf(head, 'sec-websocket-protocol').join();
  const offered = want.kind === 'opens' ? (want.protocols ?? ['']) : [protocol];
  if (!offered.includes(protocol)) return failed(`101 with the subprotocol "${protocol}", which was not offered`);
  const wrong = judgeOpening(
    { ...head, fields: head.fields.filter(([name]) => name !== 'sec-websocket-protocol') },
    key,
  );
  if (wrong !== undefined) return failed(wrong);
  const extensions = valuesOf(head, 'sec-websocket-extensions').join();
  if (extensions !== '') return failed(`101 with the extension "${extensions}"`);
  return seen.pong ? ok('101, and the ping was answered') : failed('101, but the ping was not answered');
};

const judgeRefused = (head: Head, status: number, want: Want & { kind: 'refuses' }): Judged => {
  const answer = head.start.slice(0, 60);
  if (status === 101) {
    const text = '101: the connection was opened';
    return want.must ? failed(text) : noted(text);
  }
  if (!want.status.includes(status)) return noted(`"${answer}"`);
  // RFC 6455 section 4.4: the answer to an unknown version names the known ones.
  if (want.version === true && !valuesOf(head, 'sec-websocket-version').join().includes('13')) {
    return noted(`"${answer}" without Sec-WebSocket-Version: 13`);
  }
  return ok(`"${answer}"`);
};

export const judgeServer = (seen: Observed, want: Want, key: string): Judged => {
  const { head } = seen;
  if (want.kind === 'ends') {
    if (head?.start.includes(' 101 ') === true) return failed('101: the connection was opened');
    if (seen.ended) return ok(head === undefined ? 'the connection was ended' : `"${head.start.slice(0, 60)}"`);
    if (head !== undefined) return ok(`"${head.start.slice(0, 60)}"`);
    return noted('the connection was still open when the time was up');
  }
  if (head === undefined) {
    if (want.kind === 'refuses' && seen.ended) return noted(silence(seen));
    return failed(silence(seen));
  }
  const status = Number(head.start.split(' ')[1]);
  if (want.kind === 'refuses') return judgeRefused(head, status, want);
  if (status === 101) return judgeOpened(head, seen, want, key);
  const answer = `"${head.start.slice(0, 60)}"`;
  if (want.kind === 'either') return want.status.includes(status) ? ok(answer) : noted(answer);
  // An extension that must be declined is not accepted by refusing the whole request: safe, but not what is asked for.
  return want.extension === 'none' && status === 400 ? noted(answer) : failed(answer);
};

export const runServerOpening = async (row: ServerOpening, target: Target, patience: number): Promise<CaseResult> => {
  const started = clock();
  const log = new WireLog();
  log.open(started);
  const key = makeKey();
  const socket = await dial(row.raw ? { ...target, secure: false } : target);
  let judged: Judged;
  if (typeof socket === 'string') judged = failed(`no connection: ${socket}`);
  else {
    const slow = row.want.kind === 'ends' && row.want.slow;
    const seen = await observe(socket, row, target, key, log, slow ? patience : ANSWER_MS);
    socket.destroy();
    judged = judgeServer(seen, row.want, key);
  }
  return openingResult(row.id, row.title, wantText(row.want), judged, clock() - started, log);
};

export const openingResult = (
  id: string,
  title: string,
  expected: string,
  judged: Judged,
  durationMs: number,
  log: WireLog,
): CaseResult => ({
  id,
  section: 'H',
  family: 'H',
  title,
  script: [],
  behavior: judged.behavior,
  behaviorClose: 'OK',
  verdict: verdictOf(judged.behavior, 'OK'),
  expected,
  seen: judged.seen,
  closeCode: undefined,
  durationMs,
  wire: log.entries(),
});
