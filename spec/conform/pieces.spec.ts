// The parts of the fuzzer one by one: the catalogue, the choice of cases, the data, the compression terms, and the report.
import { readFileSync } from 'node:fs';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import t from 'tap';
import { isUtf8 } from '../../lib/bytes/utf8.js';
import type { CaseResult, DataName } from '../../lib/conform/case.js';
import { loadCases, loadCatalogue, quickened } from '../../lib/conform/catalogue.js';
import { Codec } from '../../lib/conform/codec.js';
import { dataBytes, messageOf } from '../../lib/conform/data.js';
import { caseIds, hasPassed, type Report, summarize, tally, writeHtml, writeJson } from '../../lib/conform/index.js';
import { acceptOffer, readAnswer } from '../../lib/conform/negotiate.js';
import { parsePayload } from '../../lib/conform/payload.js';
import { byId } from '../../lib/conform/result.js';
import { parseExpected, parseStep } from '../../lib/conform/script.js';
import { isSelected, matches, parsePatterns } from '../../lib/conform/select.js';
import { WireLog } from '../../lib/conform/wire.js';

t.test('there are 517 cases in 11 sections, each once, in order', async (t) => {
  const cases = loadCases();
  const count = (section: string): number => cases.filter((c) => c.section === section).length;
  t.equal(cases.length, 517);
  t.equal(new Set(cases.map((c) => c.id)).size, 517);
  t.same([...loadCatalogue().titles.keys()].map(count), [16, 11, 7, 10, 20, 145, 37, 54, 1, 90, 126]);
  t.same(
    [...cases].sort(byId).map((c) => c.id),
    cases.map((c) => c.id),
  );
  t.equal(
    cases
      .filter((c) => c.always !== undefined)
      .map((c) => c.id)
      .join(),
    '7.1.6,7.13.1,7.13.2',
  );
  t.equal(caseIds('server').filter((id) => id.startsWith('H.')).length, 66);
  t.equal(caseIds('client').filter((id) => id.startsWith('H.')).length, 36);
});

t.test('the result expected of the real suite names the same cases', async (t) => {
  const file = new URL('../../../fixtures/autobahn/expected.json', import.meta.url);
  const expected = JSON.parse(readFileSync(file, 'utf8')) as Record<
    'server' | 'client',
    Record<string, { behavior: string }>
  >;
  for (const direction of ['server', 'client'] as const) {
    t.same(
      Object.keys(expected[direction]),
      loadCases().map((c) => c.id),
    );
    for (const test of loadCases()) {
      const want = test.always ?? 'OK';
      if (expected[direction][test.id]?.behavior !== want) t.fail(`${direction} ${test.id}`);
    }
  }
});

t.test('quick makes a thousand messages a few, and touches nothing else', async (t) => {
  const changed = loadCases().filter((c) => quickened(c) !== c);
  t.equal(changed.length, 228);
  for (const test of changed) {
    const { plan } = quickened(test);
    if (plan.kind !== 'rounds' && plan.kind !== 'deflate') t.fail(test.id);
    else if (plan.count !== 25) t.fail(test.id);
  }
});

t.test('a pattern is anchored at both ends, and only the star is special', async (t) => {
  for (const [pattern, id, want] of [
    ['6.*', '6.1.1', true],
    ['6.*', '16.1', false],
    ['1.1*', '1.1.1', true],
    ['1.1', '1.1.1', false],
    ['*', '12.5.18', true],
    ['*.1', '12.1.1', true],
    ['*.1', '12.1.11', false],
    ['*.1.1', '12.1.11', false],
    ['12.*.3', '12.4.3', true],
    ['12.*.3', '12.4.13', false],
    ['1.?.1', '1.1.1', false],
    ['**', '', true],
    ['', '', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
  ] as const) {
    t.equal(matches(pattern, id), want, `${pattern} ${want ? 'takes' : 'leaves'} ${id}`);
  }
  t.ok(matches(`${'*a'.repeat(2000)}*b`, `${'a'.repeat(4000)}b`), 'and costs no more than it must');
});

t.test('patterns are read in order, and the last that fits decides', async (t) => {
  const chosen = (text: string): number => loadCases().filter((c) => isSelected(parsePatterns(text), c.id)).length;
  t.equal(chosen(''), 517);
  t.equal(chosen('1.*,7.*'), 53);
  t.equal(chosen('!12.*, !13.*'), 301);
  t.equal(chosen('!12.*,!13.*,12.1.*'), 319);
  t.equal(chosen('6.*,!6.4.*'), 141);
  t.equal(chosen('none'), 0);
});

t.test('lines of a script that make no sense are refused', async (t) => {
  for (const line of [
    'texts',
    'op16',
    'opx',
    'wait no',
    'text nothing',
    'text zz*4',
    'text xabc',
    'within 0 else fail',
  ]) {
    t.throws(() => parseStep(line), TypeError, line);
  }
  t.throws(() => parseExpected('ping'), TypeError);
  t.equal(Buffer.from(parsePayload("'a b'").bytes()).toString(), 'a b');
  t.equal(Buffer.from(parsePayload('6162*5').bytes()).toString(), 'ababa');
  t.equal(parsePayload('').length, 0);
});

const SIZES: Readonly<Record<DataName, readonly [bytes: number, points: number | undefined]>> = {
  json: [194_056, 194_056],
  html: [263_647, 263_620],
  prose: [222_218, 222_218],
  bitmap: [263_222, undefined],
  dense: [1_042_328, undefined],
};

t.test('the data has the sizes the cases were written for', async (t) => {
  for (const [name, [bytes, points]] of Object.entries(SIZES) as [DataName, (typeof SIZES)[DataName]][]) {
    const data = dataBytes(name);
    t.equal(data.length, bytes, name);
    if (points !== undefined) t.equal([...Buffer.from(data).toString('utf8')].length, points, `${name} in code points`);
  }
});

t.test('messages wrap round the data and never cut a code point', async (t) => {
  const json = Buffer.from(dataBytes('json')).toString();
  t.equal(Buffer.from(messageOf('json', 131_072, 1)).toString(), (json + json).slice(131_072, 262_144));
  for (let k = 0; k < 200; k++) {
    const message = messageOf('html', 16_384, k);
    if (!isUtf8(message)) t.fail(`message ${k} is not UTF-8`);
    if ([...Buffer.from(message).toString()].length !== 16_384) t.fail(`message ${k} is too short`);
  }
  t.equal(messageOf('dense', 131_072, 999).length, 131_072);
});

t.test('compression keeps its context only where both sides agreed to', async (t) => {
  for (const bits of [9, 12, 15]) {
    for (const noContext of [false, true]) {
      const terms = { sendBits: bits, sendNoContext: noContext, receiveBits: bits, receiveNoContext: noContext };
      const [one, other] = [new Codec(terms), new Codec(terms)];
      let same = 0;
      for (let k = 0; k < 20; k++) {
        const message = messageOf('json', 4096, k);
        const got = other.inflate(one.compress(message));
        if (got !== undefined && Buffer.compare(got, message) === 0) same++;
      }
      t.equal(same, 20, `${bits} bits, ${noContext ? 'without' : 'with'} context`);
    }
  }
});

t.test('what a smaller window cannot hold is not inflated', async (t) => {
  const codec = new Codec({ sendBits: 15, sendNoContext: false, receiveBits: 9, receiveNoContext: false });
  const noise = dataBytes('dense').subarray(2048, 10_240);
  const twice = Buffer.concat([noise, noise]);
  const wide = deflateRawSync(twice, { windowBits: 15, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  t.equal(codec.inflate(wide), undefined);
  t.equal(codec.inflate(Buffer.from([0xff, 0xff, 0xff])), undefined);
});

t.test('a final block is followed by more on the same window (RFC 7692 section 7.2.3.4)', async (t) => {
  const codec = new Codec({ sendBits: 15, sendNoContext: false, receiveBits: 15, receiveNoContext: false });
  const final = Buffer.concat([deflateRawSync(Buffer.from('Hello')), Buffer.from([0])]);
  t.equal(Buffer.from(codec.inflate(final) ?? []).toString(), 'Hello');
  t.equal(inflateRawSync(final).toString(), 'Hello');
  const again = deflateRawSync(Buffer.from('Hello'), {
    dictionary: Buffer.from('Hello'),
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  t.equal(Buffer.from(codec.inflate(again.subarray(0, -4)) ?? []).toString(), 'Hello');
});

t.test('the answer of a server gives the terms, or the reason why not', async (t) => {
  t.same(readAnswer('permessage-deflate'), {
    sendBits: 15,
    sendNoContext: false,
    receiveBits: 15,
    receiveNoContext: false,
  });
  t.same(
    readAnswer('permessage-deflate; client_no_context_takeover; client_max_window_bits=9;server_max_window_bits="10"'),
    {
      sendBits: 9,
      sendNoContext: true,
      receiveBits: 10,
      receiveNoContext: false,
    },
  );
  for (const bad of [
    'x-lantern',
    '',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; server_max_window_bits=7',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; server_max_window_bits=09',
    'permessage-deflate; server_no_context_takeover=1',
    'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
    'permessage-deflate; depth=1',
    'permessage-deflate, permessage-deflate',
  ]) {
    t.type(readAnswer(bad), 'string', bad);
  }
});

t.test('the offer of a client is accepted in seven ways', async (t) => {
  const full = 'permessage-deflate; client_max_window_bits';
  const answer = (offer: string | undefined, way: number): string => {
    const accepted = acceptOffer(offer, way);
    return accepted === undefined
      ? 'none'
      : typeof accepted === 'string'
        ? 'refused'
        : accepted.answer.replace('permessage-deflate', 'pmd');
  };
  t.same(
    [1, 2, 3, 4, 5, 6, 7, 8].map((way) => answer(full, way)),
    [
      'pmd',
      'pmd; client_no_context_takeover',
      'pmd; client_max_window_bits=9',
      'pmd; client_max_window_bits=15',
      'pmd; client_no_context_takeover; client_max_window_bits=9',
      'pmd; client_no_context_takeover; client_max_window_bits=15',
      'pmd; client_no_context_takeover; client_max_window_bits=9',
      'none',
    ],
  );
  t.same(
    [3, 4, 5, 6].map((way) => answer('permessage-deflate', way)),
    ['none', 'none', 'none', 'none'],
  );
  t.equal(answer('permessage-deflate', 7), 'pmd; client_no_context_takeover');
  t.equal(
    answer('x-lantern, permessage-deflate; server_max_window_bits=10; server_no_context_takeover', 1),
    'pmd; server_no_context_takeover; server_max_window_bits=10',
  );
  t.equal(answer(undefined, 1), 'none');
  t.equal(answer('x-lantern', 1), 'none');
  t.equal(answer('permessage-deflate; depth=1', 1), 'refused');
  t.equal(answer('permessage-deflate; ;', 1), 'refused');
});

t.test('the wire log keeps the beginning and the end', async (t) => {
  const log = new WireLog();
  log.open(100);
  for (let i = 0; i < 1000; i++) log.note(String(i), 100 + i);
  const entries = log.entries();
  t.equal(entries.length, 65);
  t.equal(entries[0]?.at, 0);
  t.equal(entries[40]?.what, '936 entries not shown');
  t.equal(entries.at(-1)?.what, '999');
});

const result = (id: string, verdict: CaseResult['verdict'], seen = 'nothing'): CaseResult => ({
  id,
  section: id.split('.')[0] ?? '',
  family: id.split('.').slice(0, 2).join('.'),
  title: 'A title.',
  script: ["text '<script>'"],
  behavior: 'OK',
  behaviorClose: 'OK',
  verdict,
  expected: 'something',
  seen,
  closeCode: 1000,
  durationMs: 1.5,
  wire: [{ at: 0.5, way: 'in', what: 'text', length: 5, head: '48656c6c6f' }],
});

const report = (...results: CaseResult[]): Report => ({
  tool: 'wsd conform',
  mode: 'server',
  target: 'ws://127.0.0.1:1/"><script>alert(1)</script>',
  software: '<b>',
  quick: true,
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1234,
  results: results.filter((r) => r.section !== 'H'),
  opening: results.filter((r) => r.section === 'H'),
});

t.test('cases and openings are counted apart, and leniency is a choice', async (t) => {
  const mixed = report(result('1.1.1', 'passed'), result('6.4.1', 'non-strict'), result('H.1', 'informational'));
  t.equal(summarize(mixed), '2 of 2 cases; opening handshake 1 of 1');
  t.ok(hasPassed(mixed));
  t.notOk(hasPassed(mixed, true));
  t.notOk(hasPassed(report(result('1.1.1', 'failed'))));
  t.notOk(hasPassed(report(result('12.1.1', 'unimplemented'))));
  t.equal(tally(mixed.results).by['non-strict'], 1);
  t.equal(summarize(report()), 'no cases were run');
});

t.test('the report is one file, and nothing a testee sent can become markup', async (t) => {
  const html = writeHtml(
    report(
      result('1.1.1', 'passed'),
      result('9.1.1', 'failed', '<img src=x onerror=1>\u0000&'),
      result('H.1', 'passed'),
    ),
  );
  t.notMatch(html, /<img|<script>alert|"><script|<b>/);
  t.match(html, '&lt;img src=x onerror=1&gt;·&amp;');
  t.notMatch(html, /(?:src|href)="(?!#)|@import|url\(/);
  for (const id of ['1.1.1', '9.1.1', 'H.1']) t.match(html, `id="${id}"`);
  t.match(html, '48656c6c6f');
  const json = JSON.parse(writeJson(report(result('1.1.1', 'passed')))) as {
    summary: { text: string };
    results: unknown[];
  };
  t.equal(json.summary.text, '1 of 1 cases');
  t.equal(json.results.length, 1);
});
