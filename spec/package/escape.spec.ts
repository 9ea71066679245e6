// The escaped text of packages, what counts as clean, and how deep a text is nested: PROTOCOL.md sections 8.3, 8.4 and 11.4.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { escapeJson, isCleanText, isEscaped, uncleanPath } from '../../lib/package/escape.js';
import { nestingOf } from '../../lib/package/nesting.js';
import { isLonger, octetsOf } from '../../lib/package/octets.js';

t.test('what is not harmless is written as an escape, and reads back as it was', async (t) => {
  const value = { a: '<script>\u2028é"\\\n\0😀&\'' };
  const text = escapeJson(value);
  t.equal(text, String.raw`{"a":"\u003cscript\u003e\u2028\u00e9\"\\\n\u0000\ud83d\ude00\u0026\u0027"}`);
  t.strictSame(JSON.parse(text), value);
  t.equal(escapeJson({ '<é': 1 }), String.raw`{"\u003c\u00e9":1}`, 'names of members as well');
  t.equal(escapeJson('\u007f~'), String.raw`"\u007f~"`);
  t.throws(() => escapeJson(undefined), TypeError);
});

t.test('every value survives, its text is printable ASCII, and is the only one', async (t) => {
  const random = seedFromEnv('escape');
  const text = (): string =>
    Array.from({ length: random.int(8) }, () =>
      String.fromCharCode(random.int(4) === 0 ? random.int(0x10000) : random.int(0x100)),
    ).join('');
  const value = (depth: number): unknown => {
    switch (random.int(depth > 3 ? 4 : 6)) {
      case 0:
        return text();
      case 1:
        return random.int(2) === 0 ? random.int(1000) - 500 : random.next() * 10 ** (random.int(60) - 30);
      case 2:
        return null;
      case 3:
        return random.int(2) === 0;
      case 4:
        return Array.from({ length: random.int(4) }, () => value(depth + 1));
      default:
        return Object.fromEntries(Array.from({ length: random.int(4) }, () => [text(), value(depth + 1)]));
    }
  };
  for (let run = 0; run < 2000; run++) {
    const given = value(0);
    const escaped = escapeJson(given);
    const read: unknown = JSON.parse(escaped);
    if (!/^[ -~]*$/.test(escaped) || /[<>&']/.test(escaped)) t.fail(escaped);
    if (!isEscaped(escaped, read) || escapeJson(read) !== escaped) t.fail(escaped);
    if (JSON.stringify(read) !== JSON.stringify(given)) t.fail(escaped);
    // One more octet anywhere is another text.
    const at = random.int(escaped.length + 1);
    const other = `${escaped.slice(0, at)} ${escaped.slice(at)}`;
    let again: unknown;
    try {
      again = JSON.parse(other);
    } catch {
      continue;
    }
    if (isEscaped(other, again) && JSON.stringify(again) === JSON.stringify(read)) t.fail(other);
  }
  t.pass('2000 values');
});

t.test('texts are clean without control characters and lone surrogates', async (t) => {
  for (let code = 0; code < 0x100; code++) {
    const bad = code <= 8 || (code >= 0x0b && code <= 0x1f) || code === 0x7f;
    t.equal(isCleanText(`a${String.fromCharCode(code)}b`), !bad, `U+00${code.toString(16).padStart(2, '0')}`);
  }
  for (const [text, clean] of [
    ['', true],
    ['😀', true],
    ['\ud83d', false],
    ['\ude00', false],
    ['\ude00\ud83d', false],
    ['\ud83d\ud83d\ude00', false],
    ['\ud83dx', false],
    ['\uffff\ufeff', true],
  ] as const) {
    t.equal(isCleanText(text), clean, JSON.stringify(text));
  }
});

t.test('the place of what is unclean is told, and its text is not', async (t) => {
  const deep: unknown = { a: [{ b: 'fine' }, { c: ['x', 'bad\u0000'] }] };
  t.strictSame(uncleanPath(deep), ['a', 1, 'c', 1]);
  t.strictSame(uncleanPath({ a: { '\ud800': 1 } }), ['a'], 'a name: the place of its object');
  t.strictSame(uncleanPath(JSON.parse('{"a":{"__proto__":{"x":1}}}')), ['a']);
  t.strictSame(uncleanPath('\u0007'), []);
  for (const good of [1, null, true, '', [], {}, { constructor: 1, prototype: 'é\n\t' }]) {
    t.equal(uncleanPath(good), undefined, JSON.stringify(good));
  }
});

t.test('nesting is counted on the text, outside of strings', async (t) => {
  const deep = (n: number): string => '['.repeat(n) + ']'.repeat(n);
  for (const [text, most, fits] of [
    [deep(32), 32, true],
    [deep(33), 32, false],
    ['{"a":'.repeat(33), 32, false],
    [`[${'[],'.repeat(100)}[]]`, 2, true],
    ['1', 0, true],
    ['[]', 0, false],
    [`["${'['.repeat(99)}"]`, 1, true],
    [String.raw`["\"[[[[", []]`, 2, true],
    [String.raw`["\\", [[]]]`, 2, false],
    [String.raw`["\\\"[", []]`, 2, true],
    ['["[[[[', 1, true],
    ['', 1, true],
  ] as const) {
    t.equal(nestingOf(text, most), fits, `${text.slice(0, 40)} within ${most}`);
  }
});

t.test('nesting takes linear time, whatever the text', async (t) => {
  const cost = (make: (size: number) => string, size: number): number => {
    const text = make(size);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5; i++) {
      const from = performance.now();
      nestingOf(text, size);
      best = Math.min(best, performance.now() - from);
    }
    return best;
  };
  for (const [name, make] of [
    ['escaped quotation marks', (size: number) => `"${'\\"'.repeat(size / 2)}"`],
    ['backslashes', (size: number) => `"${'\\'.repeat(size)}"`],
    ['no end of a string', (size: number) => `"${'\\"'.repeat(size / 2)}`],
    ['brackets', (size: number) => '['.repeat(size)],
  ] as const) {
    const small = cost(make, 20_000);
    const large = cost(make, 320_000);
    t.ok(
      large < Math.max(small, 0.05) * 16 * 5,
      `${name}: ${small.toFixed(3)} ms, 16 times as much ${large.toFixed(3)} ms`,
    );
  }
});

t.test('octets are those of UTF-8', async (t) => {
  const random = seedFromEnv('octets');
  for (let run = 0; run < 500; run++) {
    const text = Array.from({ length: random.int(12) }, () =>
      random.pick(['a', '\u007f', '\u0080', 'é', '\u07ff', '\u0800', '€', '\uffff', '😀', '\ud83d', '\ude00']),
    ).join('');
    const octets = Buffer.byteLength(text);
    if (octetsOf(text) !== octets) t.fail(JSON.stringify(text));
    for (const most of [octets - 1, octets, octets + 1]) {
      if (isLonger(text, most) !== octets > most) t.fail(`${JSON.stringify(text)} within ${most}`);
    }
  }
  t.pass('500 texts');
});
