// What happens to a packet session, in words for people and facts for programs. A peer's text is escaped here: these lines go to a terminal.
import type { Session, SessionBreak, SessionEvents, SessionOutcome, UndeliveredMessage } from '../index.js';
import type { Told } from './connect-screen.js';
import { nameOf, withDetail } from './packet-words.js';
import type { Style } from './style.js';
import { count, escapeControl, milliseconds, quote } from './terminal.js';

/** Where the session is, as long as the command runs. */
export interface Place {
  readonly url: string;
  readonly terminal: boolean;
  /** TLS has proved who the server is. */
  readonly vouched: boolean;
}

const peerWords = ({ identity, peer }: Session, vouched: boolean, style: Style): string => {
  if (identity === undefined) return style.yellow('in clear: nothing is sealed, and nobody has proved who they are');
  if (peer === undefined && vouched) return 'sealed, with the server that TLS has proved';
  if (peer === undefined)
    return style.yellow('sealed, but the server has proved nothing: somebody in between could read it');
  return `sealed, with ${escapeControl(nameOf(peer.subject, peer.fingerprint))}`;
};

/** `first`: of the command, not of a connection that came back. */
export const openedWords = (
  session: Session,
  how: 'first' | 'new' | 'resumed',
  { url, terminal, vouched }: Place,
  style: Style,
): Told => {
  const { id, identity, peer } = session;
  const facts = { url, session: id, identity, subject: peer?.subject };
  if (how === 'resumed') {
    return { type: 'resume', text: `${style.green('resumed')}: the session goes on where it was cut`, facts };
  }
  const whom = peerWords(session, vouched, style);
  const help = terminal ? `  ${style.dim('/help for help, Ctrl-D to close')}` : '';
  const text =
    how === 'first'
      ? `${style.green('connected')} ${escapeControl(url)}, packet session, ${whom}${help}`
      : `${style.green('connected again')}, ${style.yellow('a new session')}, ${whom}`;
  return { type: 'open', text, facts: { again: how === 'new', ...facts } };
};

const WHY: Readonly<Record<Extract<SessionBreak, string>, string>> = {
  lost: 'the connection is lost',
  silent: 'the server has fallen silent',
  'taken over': 'another connection took the session over',
};

const detachedWhy = (why: SessionBreak): string =>
  typeof why === 'string' ? WHY[why] : `${why.theirs ? 'the server refuses' : 'the server is refused'}: ${why.code}`;

export const detachedWords = (why: SessionBreak, unacknowledged: number, style: Style): Told => {
  const waits = unacknowledged === 0 ? '' : `, ${count(unacknowledged, 'message')} without acknowledgement`;
  const facts =
    typeof why === 'string' ? { why, unacknowledged } : { why: why.code, theirs: why.theirs, unacknowledged };
  return { type: 'detached', text: `${style.yellow('detached')}: ${escapeControl(detachedWhy(why))}${waits}`, facts };
};

export const retryWords = ({ attempt, wait, cause }: SessionEvents['retry'][0]): Told => {
  const why = cause === undefined ? '' : ` (${escapeControl(cause.message)})`;
  const facts = { attempt, wait, message: cause?.message };
  return { type: 'retry', text: `attempt ${attempt} in ${milliseconds(wait)}${why}`, facts };
};

/** More than these are only counted. */
const MOST_SHOWN = 10;

export const undeliveredWords = (messages: readonly UndeliveredMessage[], style: Style): Told => {
  const sent = messages.filter((message) => message.sent).length;
  const all = sent === messages.length ? 'may have arrived' : 'never left';
  const fate = sent > 0 && sent < messages.length ? `${sent} of them may have arrived` : all;
  const shown = messages
    .slice(0, MOST_SHOWN)
    .map(({ data }) => `  ${quote(Buffer.from(data.subarray(0, 400)).toString('utf8'), 72)}`);
  if (messages.length > MOST_SHOWN) shown.push(`  … ${count(messages.length - MOST_SHOWN, 'more message')}`);
  return {
    type: 'undelivered',
    text: [`${style.red('undelivered')}: ${count(messages.length, 'message')}, ${fate}`, ...shown].join('\n'),
    facts: {
      messages: messages.map(({ number, data, sent }) => ({
        number,
        sent,
        base64: Buffer.from(data).toString('base64'),
      })),
    },
    always: true,
  };
};

const BY: Readonly<Record<SessionOutcome['by'], string>> = {
  local: 'by us',
  remote: 'by the server',
  expiry: 'nobody came back',
  loss: 'its connection is lost',
};

/** `asked`: the end was ours to begin, and not the last of several vain attempts. */
export const closedWords = (outcome: SessionOutcome, asked: boolean, lost: number, style: Style): Told => {
  const { code, by, detail } = outcome;
  const gaveUp = by === 'local' && !asked;
  const clean = lost === 0 && !gaveUp && code.startsWith('2.');
  const how = clean ? style.green('closed') : style.red(gaveUp ? 'given up' : 'ended');
  const what = escapeControl(gaveUp ? (detail ?? code) : `${withDetail(code, detail)}, ${BY[by]}`);
  const left = lost === 0 ? '' : `, ${count(lost, 'message')} undelivered`;
  const facts = { code, by, detail, clean, undelivered: lost };
  return { type: 'close', text: `${how}: ${what}${left}`, facts, always: lost > 0 };
};
