// The opening handshake as cases of our own, H.101 onwards: what a good, odd or hostile server answers, and what a client must make of
// it. RFC 6455 section 4.1 (what the client must check), RFC 9112, RFC 7692 section 7.
// A table: the order gives the numbers, so rows are only ever added at the end.
import { encodeFrame } from '../frame/encode.js';
import { acceptFor } from './dial.js';

/** A text frame as a server sends it. Whoever echoes it has taken the connection for open. */
export const PROBE: Uint8Array = encodeFrame({ opcode: 1, payload: Buffer.from('lantern') });

export interface AnswerOpening {
  readonly id: string;
  readonly title: string;
  /** Each piece is a write of its own; the probe is not among them unless the row is about it. */
  readonly pieces: (key: string) => readonly (string | Uint8Array)[];
  /**
   * opens: the probe has to come back. must: taking the connection fails the case. prudent: it is noted.
   * patience: the client has to give up by itself; noted when it does not in the time there is.
   */
  readonly want: 'opens' | 'must' | 'prudent' | 'patience';
}

interface Change {
  readonly line?: string;
  readonly drop?: readonly string[];
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: readonly string[];
  readonly eol?: string;
}

const text = (key: string, change: Change): string => {
  const fields: Record<string, string> = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': acceptFor(key),
    ...change.set,
  };
  for (const name of change.drop ?? []) delete fields[name];
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return [change.line ?? 'HTTP/1.1 101 Switching Protocols', ...lines, ...(change.add ?? []), '', ''].join(
    change.eol ?? '\r\n',
  );
};

const say =
  (change: Change = {}) =>
  (key: string): string[] => [text(key, change)];

const plain = (words: string) => (): string[] => [words];

/** The right answer and the probe in one piece of memory, cut at some places. */
const glued =
  (...cuts: readonly number[]) =>
  (key: string): Uint8Array[] => {
    const head = Buffer.from(text(key, {}), 'latin1');
    const whole = Buffer.concat([head, PROBE]);
    const places = [0, ...cuts.map((cut) => head.length + cut), whole.length];
    return places.slice(1).map((end, i) => whole.subarray(places[i], end));
  };

type Row = readonly [title: string, want: AnswerOpening['want'], pieces: AnswerOpening['pieces']];

const ext = (value: string): AnswerOpening['pieces'] => say({ add: [`Sec-WebSocket-Extensions: ${value}`] });

const ROWS: readonly Row[] = [
  ['A plain answer opens.', 'opens', say()],
  [
    'Names and tokens are read without regard to case.',
    'opens',
    say({ set: { Upgrade: 'WebSOCKET', Connection: 'uPGRADE' } }),
  ],
  ['Connection may list more than one token.', 'opens', say({ set: { Connection: 'keep-alive, Upgrade' } })],
  ['Fields nobody knows do no harm.', 'opens', say({ add: ['Server: lantern', 'X-Lantern: 1', 'Set-Cookie: a=b'] })],
  ['A status line without a reason opens.', 'opens', say({ line: 'HTTP/1.1 101 ' })],
  ['An answer that arrives byte by byte opens.', 'opens', (key) => text(key, {}).split('')],
  ['A frame glued to the answer is delivered.', 'opens', glued()],
  ['A frame whose header is cut at the answer is delivered.', 'opens', glued(1)],
  ['A frame whose payload is cut at the answer is delivered.', 'opens', glued(4)],
  [
    'A wrong Sec-WebSocket-Accept is not taken.',
    'must',
    say({ set: { 'Sec-WebSocket-Accept': acceptFor('AQIDBAUGBwgJCgsMDQ4PEA==') } }),
  ],
  [
    'An answer in other letters is not the same Sec-WebSocket-Accept.',
    'must',
    (key) => say({ set: { 'Sec-WebSocket-Accept': acceptFor(key).toLowerCase() } })(key),
  ],
  ['No Sec-WebSocket-Accept is not taken.', 'must', say({ drop: ['Sec-WebSocket-Accept'] })],
  [
    'Two different Sec-WebSocket-Accept are not taken.',
    'must',
    say({ add: ['Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA='] }),
  ],
  ['An extension that was not offered is not taken.', 'must', ext('x-lantern')],
  ['permessage-deflate with an unknown parameter is not taken.', 'must', ext('permessage-deflate; depth=3')],
  [
    'permessage-deflate with a window of 7 bits is not taken.',
    'must',
    ext('permessage-deflate; server_max_window_bits=7'),
  ],
  [
    'permessage-deflate with a parameter given twice is not taken.',
    'must',
    ext('permessage-deflate; server_no_context_takeover; server_no_context_takeover'),
  ],
  ['permessage-deflate answered twice is not taken.', 'prudent', ext('permessage-deflate, permessage-deflate')],
  ['Extensions that cannot be parsed are not taken.', 'must', ext('permessage-deflate; x="')],
  ['A subprotocol that was not offered is not taken.', 'must', say({ add: ['Sec-WebSocket-Protocol: lantern'] })],
  ['An answer without Upgrade is not taken.', 'must', say({ drop: ['Upgrade'] })],
  ['Upgrade to something else is not taken.', 'must', say({ set: { Upgrade: 'h2c' } })],
  ['An answer without Connection is not taken.', 'must', say({ drop: ['Connection'] })],
  ['Connection without the token upgrade is not taken.', 'must', say({ set: { Connection: 'keep-alive' } })],
  ['200 with the right fields is not taken.', 'must', say({ line: 'HTTP/1.1 200 OK', add: ['Content-Length: 0'] })],
  [
    'A redirect does not open this connection.',
    'must',
    plain('HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n'),
  ],
  [
    'A refusal ends the connection.',
    'must',
    plain('HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n'),
  ],
  ['Bytes that are not HTTP end the connection.', 'must', plain('* OK lantern ready\r\n\r\n')],
  ['A status of four digits is not taken.', 'must', say({ line: 'HTTP/1.1 1010 Switching Protocols' })],
  ['HTTP/1.0 is not taken.', 'prudent', say({ line: 'HTTP/1.0 101 Switching Protocols' })],
  ['Lines that end in LF alone are not taken.', 'prudent', say({ eol: '\n' })],
  ['A space before the colon is not taken.', 'prudent', say({ add: ['X-Lantern : 1'] })],
  ['A NUL in a value is not taken.', 'prudent', say({ add: ['X-Lantern: a\0b'] })],
  [
    '1 MiB of fields is not swallowed.',
    'prudent',
    say({ add: Array.from({ length: 256 }, (_, i) => `X-Big-${i}: ${'b'.repeat(4080)}`) }),
  ],
  ['A line that never ends is not swallowed.', 'prudent', plain(`HTTP/1.1 101 ${'a'.repeat(1_048_576)}`)],
  ['A server that never answers is not waited for without end.', 'patience', () => []],
];

export const answerOpenings = (): readonly AnswerOpening[] =>
  ROWS.map(([title, want, pieces], i) => ({ id: `H.${i + 101}`, title, pieces, want }));

export const answerWantText = (want: AnswerOpening['want']): string => {
  switch (want) {
    case 'opens':
      return 'the client opens and echoes the first message';
    case 'must':
      return 'the client ends the connection and sends nothing more';
    case 'prudent':
      return 'the client ends the connection and sends nothing more (prudent, not demanded)';
    case 'patience':
      return 'the client gives up by itself';
  }
};
