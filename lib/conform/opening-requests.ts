// The opening handshake as cases of our own, H.1 onwards: requests good, odd and hostile, and what a server may answer. What a standard
// demands must hold; what is only prudent is noted when it does not. RFC 6455 section 4.2, RFC 9112, RFC 9110, RFC 7692 section 7.
// A table: the order gives the numbers, so rows are only ever added at the end.
import type { Target } from './dial.js';

export type Want =
  /** 101 with a right answer, and a ping answered on the open connection. */
  | { readonly kind: 'opens'; readonly extension?: 'none'; readonly protocols?: readonly string[] }
  /** Anything but 101. must: a 101 fails the case; else it is noted. Another status is noted. */
  | { readonly kind: 'refuses'; readonly status: readonly number[]; readonly must: boolean; readonly version?: true }
  /** Opens rightly, or refuses with one of these. */
  | { readonly kind: 'either'; readonly status: readonly number[] }
  /** No 101, and the connection is ended in good time. */
  | { readonly kind: 'ends'; readonly slow: boolean };

export interface ServerOpening {
  readonly id: string;
  readonly title: string;
  readonly pieces: (target: Target, key: string) => readonly (string | Uint8Array)[];
  /** Milliseconds between the pieces. */
  readonly pace: number;
  /** On TCP even where the target has TLS. */
  readonly raw: boolean;
  readonly want: Want;
}

interface Change {
  readonly line?: (target: Target) => string;
  readonly drop?: readonly string[];
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: readonly string[];
  readonly eol?: string;
  readonly body?: string;
}

/** A right request with some things changed. `set` replaces the value of a field, `add` puts whole lines at the end. */
const ask =
  (change: Change = {}) =>
  (target: Target, key: string): string[] => {
    const fields: Record<string, string> = {
      Host: target.authority,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': key,
      'Sec-WebSocket-Version': '13',
      ...change.set,
    };
    for (const name of change.drop ?? []) delete fields[name];
    const eol = change.eol ?? '\r\n';
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
    const line = change.line?.(target) ?? `GET ${target.resource} HTTP/1.1`;
    return [[line, ...lines, ...(change.add ?? []), '', change.body ?? ''].join(eol)];
  };

const perByte = (target: Target, key: string): string[] => (ask()(target, key)[0] as string).split('');

const OPENS: Want = { kind: 'opens' };
const PLAIN: Want = { kind: 'opens', extension: 'none' };
const must = (...status: number[]): Want => ({ kind: 'refuses', status, must: true });
const prudent = (...status: number[]): Want => ({ kind: 'refuses', status, must: false });
const either = (...status: number[]): Want => ({ kind: 'either', status });

type Row = readonly [
  title: string,
  pieces: ServerOpening['pieces'],
  want: Want,
  more?: { readonly pace?: number; readonly raw?: boolean },
];

const ext = (value: string): ServerOpening['pieces'] => ask({ add: [`Sec-WebSocket-Extensions: ${value}`] });
const protocol = (value: string): ServerOpening['pieces'] => ask({ add: [`Sec-WebSocket-Protocol: ${value}`] });
/** A masked ping with the payload "early". */
const EARLY = new Uint8Array([0x89, 0x85, 0, 0, 0, 0, 0x65, 0x61, 0x72, 0x6c, 0x79]);
const CLIENT_HELLO = Buffer.from('16030100c8010000c40303'.padEnd(410, '5a'), 'hex');

const ROWS: readonly Row[] = [
  ['A plain request opens, and the connection works.', ask(), OPENS],
  [
    'Names and tokens are read without regard to case.',
    ask({ set: { Upgrade: 'wEbSoCkEt', Connection: 'uPGRADE' } }),
    OPENS,
  ],
  ['Connection may list more than one token.', ask({ set: { Connection: 'keep-alive, Upgrade' } }), OPENS],
  ['Connection may come on two lines.', ask({ add: ['Connection: keep-alive'] }), OPENS],
  ['A request that arrives byte by byte opens.', perByte, OPENS],
  [
    'White space around values is not part of them.',
    ask({ set: { Upgrade: ' \twebsocket \t', 'Sec-WebSocket-Version': '  13  ' } }),
    OPENS,
  ],
  ['Fields nobody knows do no harm.', ask({ add: ['X-Lantern: 1', 'DNT: 1', 'Accept: */*'] }), OPENS],
  [
    'A frame behind the request is kept until the answer, or refused.',
    (t, k) => [Buffer.concat([Buffer.from(ask()(t, k)[0] as string), EARLY])],
    either(400),
  ],
  [
    'A target in absolute form is understood, or refused.',
    ask({ line: (t) => `GET http://${t.authority}${t.resource} HTTP/1.1` }),
    either(400),
  ],
  ['An extension nobody knows is left out of the answer.', ext('x-lantern; depth=3'), PLAIN],
  [
    'Extensions named like properties of objects are left out of the answer.',
    ext('__proto__, constructor; __proto__=1, toString'),
    PLAIN,
  ],
  ['permessage-deflate with an unknown parameter is declined.', ext('permessage-deflate; depth=3'), PLAIN],
  [
    'permessage-deflate with a parameter given twice is declined.',
    ext('permessage-deflate; server_no_context_takeover; server_no_context_takeover'),
    PLAIN,
  ],
  [
    'permessage-deflate with a window of 7 bits is declined.',
    ext('permessage-deflate; server_max_window_bits=7'),
    PLAIN,
  ],
  [
    'permessage-deflate with a window of 16 bits is declined.',
    ext('permessage-deflate; client_max_window_bits=16'),
    PLAIN,
  ],
  [
    'permessage-deflate with a window of -1 bits is declined.',
    ext('permessage-deflate; server_max_window_bits=-1'),
    PLAIN,
  ],
  [
    'permessage-deflate with a value where none belongs is declined.',
    ext('permessage-deflate; client_no_context_takeover=1'),
    PLAIN,
  ],
  [
    'An extension list that cannot be parsed is refused or ignored at once.',
    ext('permessage-deflate; x="never closed'),
    either(400),
  ],
  ['8 KiB of separators in the extensions are read in no time.', ext(`a${' ;,'.repeat(2600)}b`), either(400, 431)],
  [
    'A subprotocol is chosen only from those offered.',
    protocol('lantern.v1, lantern.v2'),
    { kind: 'opens', protocols: ['', 'lantern.v1', 'lantern.v2'] },
  ],
  ['A subprotocol that is no token is refused or ignored.', protocol('lantern v1, (x)'), either(400)],
  ['A subprotocol offered twice is refused or ignored.', protocol('lantern, lantern'), either(400)],
  [
    '7 KiB of white space in the subprotocols are read in no time.',
    protocol(`a${' '.repeat(7000)},${'\t'.repeat(100)}b`),
    either(400, 431),
  ],
  ['A request without Upgrade does not open.', ask({ drop: ['Upgrade'] }), must(400, 404, 426, 200, 403)],
  ['Upgrade to something else does not open.', ask({ set: { Upgrade: 'h2c' } }), must(400, 404, 426, 200, 403)],
  ['A request without Connection does not open.', ask({ drop: ['Connection'] }), must(400, 404, 426, 200, 403)],
  [
    'Connection without the token upgrade does not open.',
    ask({ set: { Connection: 'keep-alive' } }),
    must(400, 404, 426, 200, 403),
  ],
  ['An empty Upgrade does not open.', ask({ set: { Upgrade: '' } }), must(400, 404, 426, 200, 403)],
  ['A request without a key is refused.', ask({ drop: ['Sec-WebSocket-Key'] }), must(400)],
  [
    'A key that is not base64 is refused.',
    ask({ set: { 'Sec-WebSocket-Key': 'not*base64*not*base64*==' } }),
    must(400),
  ],
  ['A key of 15 bytes is refused.', ask({ set: { 'Sec-WebSocket-Key': 'AQIDBAUGBwgJCgsMDQ4P' } }), must(400)],
  ['A key of 17 bytes is refused.', ask({ set: { 'Sec-WebSocket-Key': 'AQIDBAUGBwgJCgsMDQ4PEBE=' } }), must(400)],
  ['Two keys are refused.', ask({ add: ['Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=='] }), must(400)],
  ['A request without a version is refused.', ask({ drop: ['Sec-WebSocket-Version'] }), must(426, 400)],
  [
    'Version 99 is refused with the versions the server speaks.',
    ask({ set: { 'Sec-WebSocket-Version': '99' } }),
    { kind: 'refuses', status: [426, 400], must: true, version: true },
  ],
  ['Version 8, a draft, is refused.', ask({ set: { 'Sec-WebSocket-Version': '8' } }), prudent(426, 400)],
  ['A list of versions is refused.', ask({ set: { 'Sec-WebSocket-Version': '13, 8' } }), must(426, 400)],
  [
    'POST does not open.',
    ask({ line: (t) => `POST ${t.resource} HTTP/1.1`, add: ['Content-Length: 0'] }),
    must(405, 400, 501, 404, 426),
  ],
  ['HTTP/1.0 does not open.', ask({ line: (t) => `GET ${t.resource} HTTP/1.0` }), must(505, 400, 426, 404)],
  ['The first bytes of HTTP/2 do not open.', () => ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], must(505, 400, 501)],
  [
    'A greeting in the wrong protocol for the port ends the connection.',
    () => [CLIENT_HELLO],
    { kind: 'ends', slow: false },
    { raw: true },
  ],
  ['Lines that end in LF alone are refused.', ask({ eol: '\n' }), prudent(400)],
  ['A bare CR inside a value is refused.', ask({ add: ['X-Lantern: a\rb'] }), prudent(400)],
  ['A space before the colon is refused.', ask({ add: ['X-Lantern : 1'] }), must(400)],
  ['A folded line is refused.', ask({ add: ['X-Lantern: a', ' b'] }), prudent(400)],
  ['A NUL in a value is refused.', ask({ add: ['X-Lantern: a\0b'] }), prudent(400)],
  ['A field name beyond ASCII is refused.', ask({ add: ['X-L\u00e4ntern: 1'] }), must(400)],
  [
    'A body announced by Content-Length is refused.',
    ask({ add: ['Content-Length: 5'], body: 'abcde' }),
    prudent(400, 413),
  ],
  [
    'Two different lengths are refused.',
    ask({ add: ['Content-Length: 5', 'Content-Length: 6'], body: 'abcdef' }),
    must(400),
  ],
  [
    'A length together with chunks is refused.',
    ask({ add: ['Content-Length: 5', 'Transfer-Encoding: chunked'], body: '0\r\n\r\n' }),
    prudent(400, 501),
  ],
  ['A request without Host is refused.', ask({ drop: ['Host'] }), must(400)],
  ['Two hosts are refused.', ask({ add: ['Host: elsewhere.example'] }), must(400)],
  ['A Host that is none is refused.', ask({ set: { Host: 'a b/c' } }), must(400)],
  ['A NUL in the target is refused.', ask({ line: () => 'GET /a\0b HTTP/1.1' }), must(400, 404)],
  ['A path that climbs is refused.', ask({ line: () => 'GET /../../etc/passwd HTTP/1.1' }), prudent(400, 403, 404)],
  [
    'A path that climbs in disguise is refused.',
    ask({ line: () => 'GET /%2e%2e/%252e%252e/x HTTP/1.1' }),
    prudent(400, 403, 404),
  ],
  [
    'Two origins are refused.',
    ask({ add: ['Origin: http://a.example', 'Origin: http://b.example'] }),
    prudent(400, 403),
  ],
  [
    'A request line of 64 KiB is refused.',
    ask({ line: () => `GET /${'a'.repeat(65_536)} HTTP/1.1` }),
    prudent(400, 414, 431),
  ],
  [
    '256 KiB of fields are refused.',
    ask({ add: Array.from({ length: 64 }, (_, i) => `X-Big-${i}: ${'b'.repeat(4090)}`) }),
    prudent(400, 431),
  ],
  ['2,000 fields are refused.', ask({ add: Array.from({ length: 2000 }, (_, i) => `X-${i}: 1`) }), prudent(400, 431)],
  [
    'A line that never ends ends the connection.',
    () => [`GET /${'a'.repeat(1_048_576)}`],
    { kind: 'ends', slow: false },
  ],
  [
    'A thousand forwarding hops do no harm.',
    ask({ add: [`X-Forwarded-For: ${'10.0.0.1,'.repeat(600)}::1`, 'Forwarded: for="[::1";by=,'] }),
    either(400, 431, 403),
  ],
  [
    'Broken credentials and cookies do no harm.',
    ask({ add: ['Authorization: Basic %%%', 'Cookie: =;;a=%E0%A4%A;b'] }),
    either(400, 401, 403),
  ],
  ['A client that says nothing is not waited for without end.', () => [], { kind: 'ends', slow: true }],
  [
    'A client that says one byte at a time is not waited for without end.',
    (t, k) => [...perByte(t, k)].slice(0, -4),
    { kind: 'ends', slow: true },
    { pace: 250 },
  ],
  ['After all of this the server still opens.', ask(), OPENS],
];

export const openingIds = (): readonly string[] => ROWS.map((_, i) => `H.${i + 1}`);

export const serverOpenings = (target: Target): readonly ServerOpening[] =>
  ROWS.map(([title, pieces, want, more], i) => ({
    id: `H.${i + 1}`,
    title,
    // The wrong protocol for a port with TLS is plain text.
    pieces: more?.raw === true && target.secure ? ask() : pieces,
    pace: more?.pace ?? 0,
    raw: more?.raw ?? false,
    want,
  }));

/** How a right request looks, for reports. */
export const wantText = (want: Want): string => {
  switch (want.kind) {
    case 'opens':
      return want.extension === 'none' ? '101 without an extension, and a ping answered' : '101, and a ping answered';
    case 'refuses':
      return `no 101, but ${want.status.slice(0, 2).join(' or ')}${want.version ? ' with Sec-WebSocket-Version: 13' : ''}${want.must ? '' : ' (prudent, not demanded)'}`;
    case 'either':
      return `101 with nothing odd in it, or ${want.status.join(' or ')}`;
    case 'ends':
      return want.slow ? 'the connection ended in good time' : 'no 101, and the connection ended';
  }
};
