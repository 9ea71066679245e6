// What `wsd serve --packets` tells about packet sessions: like the lines about connections in serve-log.ts.
import type { RefusedSession, Session, SessionBreak, SessionOutcome } from '../index.js';
import { nameOf, withDetail } from './packet-words.js';
import type { Log, Tally } from './serve-log.js';
import { clip, count, milliseconds } from './terminal.js';

const whoIs = (session: Session): string => {
  if (session.identity === undefined) return 'in clear';
  return session.peer === undefined ? 'anonymous' : nameOf(session.peer.subject, session.peer.fingerprint);
};

export const logSessionOpened = (log: Log, session: Session, number: number, how: 'new' | 'resumed'): void => {
  const { remoteAddress, id, identity, peer } = session;
  const from = remoteAddress || 'a local peer';
  const text = how === 'new' ? `opened by ${from}, ${whoIs(session)}` : `resumed by ${from}`;
  log.write('info', how === 'new' ? 'session-open' : 'session-resume', `session ${number} ${text}`, {
    session: number,
    id,
    remote: remoteAddress,
    identity,
    subject: peer?.subject === undefined ? undefined : clip(peer.subject),
  });
};

export const logDetached = (log: Log, session: Session, number: number, why: SessionBreak): void => {
  const reason = typeof why === 'string' ? why : why.code;
  log.write('info', 'session-detach', `session ${number} has no connection (${reason}), waits for its client`, {
    session: number,
    reason,
    unacknowledged: session.unacknowledged.messages,
  });
};

const BY: Readonly<Record<SessionOutcome['by'], string>> = {
  local: 'by us',
  remote: 'by the client',
  expiry: 'nobody came back',
  loss: 'its connection was lost',
};

export const logSessionClosed = (
  log: Log,
  session: number,
  { code, by, detail }: SessionOutcome,
  { messages, bytes, since }: Tally,
  undelivered: number,
): void => {
  const ms = Math.round(performance.now() - since);
  const clean = code.startsWith('2.') && (by === 'local' || by === 'remote') && undelivered === 0;
  const left = undelivered === 0 ? '' : `, ${undelivered} undelivered`;
  const text = `session ${session} ${clean ? 'closed' : 'ended'} ${withDetail(code, detail)}, ${BY[by]}, after ${milliseconds(ms)}, ${count(messages, 'message')}, ${count(bytes, 'byte')}${left}`;
  const facts = { session, code, by, detail: detail === undefined ? undefined : clip(detail), clean, undelivered };
  log.write(clean ? 'info' : 'warn', 'session-close', text, { ...facts, ms, messages, bytes });
};

export const logRefusedSession = (log: Log, { code, theirs, detail, remoteAddress }: RefusedSession): void => {
  const from = remoteAddress || 'a local peer';
  const text = `${theirs ? `${from} refused the session` : `refused a session of ${from}`}: ${withDetail(code, detail)}`;
  const facts = { remote: remoteAddress, code, theirs, detail: detail === undefined ? undefined : clip(detail) };
  log.write('warn', 'session-refuse', text, facts);
};
