// What `wsd serve` tells while it runs, on stderr: one line an event for a person, or one JSON object a line for a machine. Peers
// choose their paths and headers, so everything of theirs is escaped (a forged line or a colour must not reach the log).
import { type Connection, FAULTS, type Outcome, type Refused } from '../index.js';
import type { Io } from './command.js';
import { styleFor } from './style.js';
import { clip, count, escapeControl, milliseconds } from './terminal.js';

export const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type Level = (typeof LEVELS)[number];

type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  write(level: Level, event: string, text: string, facts: Facts): void;
}

const JSON_CONTROL = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** JSON.stringify escapes C0 by itself; the rest of what a terminal obeys is escaped here. */
const safeJson = (value: unknown): string =>
  JSON.stringify(value).replace(JSON_CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Lines a second; a flood of connections must not become a flood of lines. */
const MOST = 200;

export const createLog = (io: Io, level: Level, json: boolean, now: () => Date): Log => {
  const least = LEVELS.indexOf(level);
  const style = styleFor(io.stderr, io.env);
  const marks = {
    debug: style.dim('·'),
    info: style.cyan('·'),
    warn: style.yellow('!'),
    error: style.red('!'),
    silent: '',
  };
  let second = 0;
  let lines = 0;
  let lost = 0;
  const put = (time: Date, at: Level, event: string, text: string, facts: Facts): void => {
    if (json) io.stderr.write(`${safeJson({ time: time.toISOString(), level: at, event, ...facts })}\n`);
    else io.stderr.write(`${style.dim(time.toISOString().slice(11, 23))} ${marks[at]} ${escapeControl(text)}\n`);
  };
  return {
    write: (at, event, text, facts) => {
      if (LEVELS.indexOf(at) < least) return;
      const time = now();
      const current = Math.floor(time.getTime() / 1000);
      if (current !== second) {
        if (lost > 0) put(time, 'warn', 'skipped', `${count(lost, 'line')} left out`, { lines: lost });
        second = current;
        lines = 0;
        lost = 0;
      }
      if (++lines > MOST && at !== 'error') lost++;
      else put(time, at, event, text, facts);
    },
  };
};

/** What one connection did, counted for the line that tells its end. */
export class Tally {
  messages = 0;
  bytes = 0;
  readonly since: number;
  constructor(since: number) {
    this.since = since;
  }
}

export const logOpened = (log: Log, connection: Connection<undefined>): void => {
  const { id, remoteAddress, request, subprotocol, extensions } = connection;
  const words = [`#${id} opened by ${remoteAddress || 'a local peer'} at ${clip(request.path)}`];
  if (request.origin !== undefined) words.push(`origin ${clip(request.origin)}`);
  if (subprotocol !== '') words.push(`subprotocol ${subprotocol}`);
  if (extensions !== '') words.push(extensions);
  log.write('info', 'open', words.join(', '), {
    connId: id,
    remote: remoteAddress,
    path: clip(request.path),
    origin: request.origin === undefined ? undefined : clip(request.origin),
    subprotocol: subprotocol === '' ? undefined : subprotocol,
    extensions: extensions === '' ? undefined : extensions,
  });
};

export const logClosed = (log: Log, id: number, outcome: Outcome, tally: Tally, now: number): void => {
  const { code, reason, clean, initiator, fault } = outcome;
  const took = Math.round(now - tally.since);
  const why = `${fault === undefined ? '' : ` ${fault}`}${reason === '' ? '' : ` "${reason}"`}`;
  const text = `#${id} ${clean ? 'closed' : 'ended'} ${code}${why} after ${milliseconds(took)}, ${count(tally.messages, 'message')}, ${count(tally.bytes, 'byte')}`;
  log.write(clean ? 'info' : 'warn', 'close', text, {
    connId: id,
    code,
    reason: reason === '' ? undefined : reason,
    clean,
    initiator,
    fault,
    ms: took,
    messages: tally.messages,
    bytes: tally.bytes,
  });
};

export const logRefused = (log: Log, refused: Refused): void => {
  const { code, status, remoteAddress, path, detail } = refused;
  const where = path === undefined ? '' : ` at ${clip(path)}`;
  const why = detail === undefined ? '' : ` (${clip(detail)})`;
  const text = `refused ${remoteAddress || 'a local peer'}${where}: ${status} ${FAULTS[code].phrase}${why}`;
  log.write('warn', 'refuse', text, {
    remote: remoteAddress,
    status,
    code,
    path: path === undefined ? undefined : clip(path),
    detail: detail === undefined ? undefined : clip(detail),
  });
};
