import t from 'tap';
import { agreeOffer, type DeflateTerms, judgeAnswer, writeOffer } from '../../lib/deflate/parameters.js';
import { parseExtensions } from '../../lib/http/extensions.js';

const OPEN: DeflateTerms = { serverNoContext: false, clientNoContext: false, serverBits: 15, clientBits: 15 };
const FRUGAL: DeflateTerms = { serverNoContext: true, clientNoContext: true, serverBits: 15, clientBits: 15 };
const narrow = (serverBits: number, clientBits: number): DeflateTerms => ({ ...OPEN, serverBits, clientBits });

const parse = (text: string) => {
  const parsed = parseExtensions([text]);
  if (parsed === undefined) throw new TypeError(`not a list of extensions: ${text}`);
  return parsed;
};
/** An agreement in one line: which sides forget, and the bits. */
const short = (agreed: DeflateTerms | undefined): string | undefined =>
  agreed &&
  `${agreed.serverNoContext ? 's' : '-'}${agreed.clientNoContext ? 'c' : '-'} ${agreed.serverBits} ${agreed.clientBits}`;

const OFFERS: readonly (readonly [why: string, offer: string, terms: DeflateTerms, agreed: string, answer: string])[] =
  [
    ['a bare offer', 'permessage-deflate', OPEN, '-- 15 15', ''],
    ['what browsers send', 'permessage-deflate; client_max_window_bits', OPEN, '-- 15 15', ''],
    [
      'what a client demands is answered in kind',
      'permessage-deflate; server_no_context_takeover; server_max_window_bits=10',
      OPEN,
      's- 10 15',
      '; server_no_context_takeover; server_max_window_bits=10',
    ],
    [
      'what a client hints at is taken, because it saves memory',
      'permessage-deflate; client_no_context_takeover; client_max_window_bits=11',
      OPEN,
      '-c 15 11',
      '; client_no_context_takeover; client_max_window_bits=11',
    ],
    [
      'a server may forget, and tell the client to forget, unasked',
      'permessage-deflate',
      FRUGAL,
      'sc 15 15',
      '; server_no_context_takeover; client_no_context_takeover',
    ],
    [
      'a server may say unasked that its window is small',
      'permessage-deflate',
      narrow(9, 15),
      '-- 9 15',
      '; server_max_window_bits=9',
    ],
    [
      'the smaller of two windows holds',
      'permessage-deflate; server_max_window_bits=12',
      narrow(9, 15),
      '-- 9 15',
      '; server_max_window_bits=9',
    ],
    [
      'a client that can be limited is limited',
      'permessage-deflate; client_max_window_bits',
      narrow(15, 10),
      '-- 15 10',
      '; client_max_window_bits=10',
    ],
    [
      'a client never has to use more than it offered',
      'permessage-deflate; client_max_window_bits=9',
      narrow(15, 10),
      '-- 15 9',
      '; client_max_window_bits=9',
    ],
    [
      'eight bits both ways',
      'permessage-deflate; server_max_window_bits=8; client_max_window_bits=8',
      OPEN,
      '-- 8 8',
      '; server_max_window_bits=8; client_max_window_bits=8',
    ],
    [
      'fifteen bits said aloud',
      'permessage-deflate; server_max_window_bits=15; client_max_window_bits=15',
      OPEN,
      '-- 15 15',
      '; server_max_window_bits=15; client_max_window_bits=15',
    ],
    [
      'a value in quotes',
      'permessage-deflate; server_max_window_bits="10"',
      OPEN,
      '-- 10 15',
      '; server_max_window_bits=10',
    ],
    [
      'the first offer that can be taken',
      'permessage-deflate; server_max_window_bits=7, x-other; a=1, permessage-deflate; server_max_window_bits=10, permessage-deflate',
      OPEN,
      '-- 10 15',
      '; server_max_window_bits=10',
    ],
    [
      'the fallback, when the terms rule out what is preferred',
      'permessage-deflate; server_no_context_takeover, permessage-deflate; client_max_window_bits',
      narrow(15, 9),
      '-- 15 9',
      '; client_max_window_bits=9',
    ],
  ];

t.test('a server takes an offer and says what it took', async (t) => {
  for (const [why, offer, terms, agreed, answer] of OFFERS) {
    const taken = agreeOffer(parse(offer), terms);
    t.equal(short(taken?.agreement), agreed, why);
    t.equal(taken?.answer, `permessage-deflate${answer}`, why);
  }
});

const BAD_PARAMETERS: readonly string[] = [
  'server_no_context_takeover; server_no_context_takeover',
  'client_no_context_takeover; client_no_context_takeover',
  'server_max_window_bits=10; server_max_window_bits=10',
  'client_max_window_bits=10; client_max_window_bits=11',
  'client_max_window_bits=10; client_max_window_bits=10',
  'server_no_context_takeover=true',
  'client_no_context_takeover=1',
  'server_max_window_bits',
  'x=1',
  'Server_max_window_bits=10',
  '__proto__',
  '__proto__=1',
  'constructor',
  ...['7', '16', '0', '1', '20', '08', '010', '1000', '-1', '+9', '9.0', '1e1', '0x9', '1a', 'a', '"7"'].flatMap(
    (value) => [`server_max_window_bits=${value}`, `client_max_window_bits=${value}`],
  ),
];

t.test('an offer with an invalid parameter is declined, alone', async (t) => {
  for (const bad of [...BAD_PARAMETERS, 'client_max_window_bits; client_max_window_bits']) {
    t.equal(agreeOffer(parse(`permessage-deflate; ${bad}`), OPEN), undefined, bad);
    const next = agreeOffer(parse(`permessage-deflate; ${bad}, permessage-deflate`), OPEN);
    t.equal(next?.answer, 'permessage-deflate', `${bad}, and the next one is taken`);
  }
});

t.test('nothing is agreed without an offer that fits', async (t) => {
  t.equal(agreeOffer([], OPEN), undefined);
  t.equal(agreeOffer(parse('x-webkit-deflate-frame, __proto__; a=1, permessage-deflated'), OPEN), undefined);
  t.equal(agreeOffer(parse('permessage-deflate'), narrow(15, 14)), undefined, 'a client that cannot be limited');
  t.equal(
    agreeOffer([{ name: 'permessage-deflate', params: [['server_max_window_bits', '']] }], OPEN),
    undefined,
    'an empty value',
  );
});

t.test('a client offers what its terms say', async (t) => {
  const offers: readonly (readonly [DeflateTerms, string])[] = [
    [OPEN, '; client_max_window_bits'],
    [FRUGAL, '; server_no_context_takeover; client_no_context_takeover; client_max_window_bits'],
    [narrow(8, 9), '; server_max_window_bits=8; client_max_window_bits=9'],
  ];
  for (const [terms, text] of offers) t.equal(writeOffer(terms), `permessage-deflate${text}`);
});

const ANSWERS: readonly (readonly [why: string, answer: string, terms: DeflateTerms, agreed: string])[] = [
  ['the bare answer', 'permessage-deflate', OPEN, '-- 15 15'],
  ['a server that forgets unasked', 'permessage-deflate; server_no_context_takeover', OPEN, 's- 15 15'],
  ['a server that wants us to forget', 'permessage-deflate; client_no_context_takeover', OPEN, '-c 15 15'],
  ['we may forget without being told', 'permessage-deflate; server_no_context_takeover', FRUGAL, 'sc 15 15'],
  ['a server with a small window', 'permessage-deflate; server_max_window_bits=8', OPEN, '-- 8 15'],
  ['smaller than asked', 'permessage-deflate; server_max_window_bits=9', narrow(10, 15), '-- 9 15'],
  ['we are limited', 'permessage-deflate; client_max_window_bits=8', OPEN, '-- 15 8'],
  ['we limit ourselves', 'permessage-deflate', narrow(15, 11), '-- 15 11'],
  ['in quotes', 'permessage-deflate; client_max_window_bits="12"', OPEN, '-- 15 12'],
];

t.test('a client takes the answers that its offer allows', async (t) => {
  for (const [why, answer, terms, agreed] of ANSWERS) {
    const verdict = judgeAnswer(parse(answer), terms);
    t.equal(verdict !== undefined && 'kind' in verdict ? verdict.detail : short(verdict), agreed, why);
  }
  t.equal(judgeAnswer([], OPEN), undefined, 'a server may want no compression');
  t.equal(judgeAnswer([], undefined), undefined);
});

const FAILING: readonly (readonly [why: string, answer: string, terms: DeflateTerms | undefined])[] = [
  ['not offered', 'permessage-deflate', undefined],
  ['another extension', 'x-other', OPEN],
  ['one more extension', 'permessage-deflate, x-other', OPEN],
  ['twice', 'permessage-deflate, permessage-deflate', OPEN],
  ['no takeover was demanded', 'permessage-deflate', FRUGAL],
  ['a smaller window was demanded', 'permessage-deflate', narrow(10, 15)],
  ['a larger window than demanded', 'permessage-deflate; server_max_window_bits=11', narrow(10, 15)],
  ['a larger window for us than offered', 'permessage-deflate; client_max_window_bits=12', narrow(15, 11)],
  ['a hint is not an answer', 'permessage-deflate; client_max_window_bits', OPEN],
  ...BAD_PARAMETERS.map((bad) => [bad, `permessage-deflate; ${bad}`, OPEN] as const),
];

t.test('a client fails the connection on any other answer', async (t) => {
  for (const [why, answer, terms] of FAILING)
    t.match(judgeAnswer(parse(answer), terms), { kind: 'fault', code: 'WSD_DIAL_EXTENSION' }, why);
});

t.test('terms out of range are the caller’s mistake', async (t) => {
  for (const bits of [7, 16, 9.5, Number.NaN]) {
    t.throws(() => agreeOffer([], narrow(bits, 15)), RangeError);
    t.throws(() => writeOffer(narrow(15, bits)), RangeError);
    t.throws(() => judgeAnswer(parse('permessage-deflate'), narrow(bits, 15)), RangeError);
  }
});

t.test('both sides of this library agree on the same, whatever their terms', async (t) => {
  const choices: DeflateTerms[] = [];
  for (const serverNoContext of [false, true])
    for (const clientNoContext of [false, true])
      for (const serverBits of [8, 12, 15])
        for (const clientBits of [8, 12, 15])
          choices.push({ serverNoContext, clientNoContext, serverBits, clientBits });
  const different: unknown[] = [];
  for (const client of choices)
    for (const server of choices) {
      const taken = agreeOffer(parse(writeOffer(client)), server);
      const seen = taken && judgeAnswer(parse(taken.answer), client);
      if (taken === undefined || JSON.stringify(seen) !== JSON.stringify(taken.agreement))
        different.push([client, server, taken, seen]);
    }
  t.strictSame(different, []);
});
