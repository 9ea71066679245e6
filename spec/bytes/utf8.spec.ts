// The check against a decoder written a second time, the slow way, from the table of RFC 3629 section 4.
import t from 'tap';
import { cuttings } from '../../fixtures/rig/chunker.js';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { isUtf8, Utf8Check } from '../../lib/bytes/utf8.js';

const rng = seedFromEnv('bytes/utf8');

type Range = readonly [number, number];
const TAIL: Range = [0x80, 0xbf];
const TABLE: readonly (readonly Range[])[] = [
  [[0x00, 0x7f]],
  [[0xc2, 0xdf], TAIL],
  [[0xe0, 0xe0], [0xa0, 0xbf], TAIL],
  [[0xe1, 0xec], TAIL, TAIL],
  [[0xed, 0xed], [0x80, 0x9f], TAIL],
  [[0xee, 0xef], TAIL, TAIL],
  [[0xf0, 0xf0], [0x90, 0xbf], TAIL, TAIL],
  [[0xf1, 0xf3], TAIL, TAIL, TAIL],
  [[0xf4, 0xf4], [0x80, 0x8f], TAIL, TAIL],
];

/** How many octets of the text are possible: its length when all are, and whether it ends between characters. */
const plain = (bytes: Uint8Array): { readonly possible: number; readonly finished: boolean } => {
  let at = 0;
  while (at < bytes.length) {
    let longest = 0;
    let whole = 0;
    for (const form of TABLE) {
      let n = 0;
      while (n < form.length && at + n < bytes.length) {
        const [low, high] = form[n] as Range;
        const byte = bytes[at + n] as number;
        if (byte < low || byte > high) break;
        n++;
      }
      longest = Math.max(longest, n);
      if (n === form.length) whole = n;
    }
    if (whole === 0) return { possible: at + longest, finished: false };
    at += whole;
  }
  return { possible: at, finished: true };
};

const judge = (chunks: readonly Uint8Array[]): { readonly refusedIn: number; readonly finished: boolean } => {
  const check = new Utf8Check();
  for (const [i, chunk] of chunks.entries()) if (!check.push(chunk)) return { refusedIn: i, finished: false };
  return { refusedIn: -1, finished: check.finish() };
};

/** The same verdict in every cutting, and at the very octet that proves it. */
const compare = (bytes: Uint8Array): string | undefined => {
  const { possible, finished } = plain(bytes);
  if (isUtf8(bytes) !== finished) return 'whole';
  for (const [name, chunks] of cuttings(bytes, rng)) {
    const got = judge(chunks);
    if (got.refusedIn < 0 !== (possible === bytes.length)) return name;
    if (got.finished !== finished) return `${name}, at the end`;
    if (name === 'byte by byte' && got.refusedIn >= 0 && got.refusedIn !== possible) return `${name}, too late`;
  }
  return undefined;
};

t.test(
  'every pair of octets, and every continuation of the leads, is judged as the table of RFC 3629 says',
  async (t) => {
    const leads = [
      0x41, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
    ];
    const edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xff];
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b += 1) {
        const bytes = Uint8Array.of(a, b);
        const { possible, finished } = plain(bytes);
        if (isUtf8(bytes) !== finished || judge([bytes]).refusedIn < 0 !== (possible === 2)) t.fail(`${a} ${b}`);
      }
    }
    for (const a of leads)
      for (const b of edges)
        for (const c of edges)
          for (const d of edges) {
            const bytes = Uint8Array.of(a, b, c, d);
            const { possible, finished } = plain(bytes);
            for (let cut = 0; cut <= 4; cut++) {
              const got = judge([bytes.subarray(0, cut), bytes.subarray(cut)]);
              if (got.refusedIn < 0 !== (possible === 4) || got.finished !== finished)
                t.fail(`${bytes.join(' ')} at ${cut}`);
            }
          }
    t.pass('65,536 pairs, 31,104 quadruples');
  },
);

t.test('random texts, with and without damage, give one verdict however they are cut', async (t) => {
  const alphabet = ['a', '~', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\uffff', '\ud800\udc00', '\udbff\udfff'];
  for (let i = 0; i < 1500; i++) {
    const text = Buffer.from(Array.from({ length: rng.int(40) }, () => rng.pick(alphabet)).join(''));
    if (rng.int(2) === 0 && text.length > 0) text[rng.int(text.length)] = rng.int(256);
    const bytes = rng.int(4) === 0 ? text.subarray(0, rng.int(text.length + 1)) : text;
    const wrong = compare(bytes);
    if (wrong !== undefined) t.fail(`${Buffer.from(bytes).toString('hex')}: ${wrong}, seed ${rng.seed}`);
  }
  t.pass('1,500 texts');
});

t.test('after a reset an open sequence is forgotten', async (t) => {
  const check = new Utf8Check();
  t.ok(check.push(Uint8Array.of(0xf0, 0x9f)));
  t.notOk(check.finish());
  check.reset();
  t.ok(check.finish());
  t.ok(check.push(Uint8Array.of(0xc3)));
  t.ok(check.push(new Uint8Array(0)), 'an empty piece says nothing');
  t.ok(check.push(Uint8Array.of(0xa4)));
  t.ok(check.finish());
});

t.test('a fork stands at the same place, and the check does not move with it', async (t) => {
  const check = new Utf8Check();
  t.ok(check.push(Uint8Array.of(0xf0)));
  const bad = check.fork();
  t.notOk(bad.push(Uint8Array.of(0x80)), 'overlong, as the first octet says');
  const good = check.fork();
  t.ok(good.push(Uint8Array.of(0x9f, 0x98, 0x80)));
  t.ok(good.finish());
  t.notOk(check.finish());
  t.notOk(check.fork().push(Uint8Array.of(0x80)));
  t.ok(check.push(Uint8Array.of(0x9f, 0x98, 0x80)));
});

t.test('the check takes the same time for every octet', async (t) => {
  const sizes = [1024, 16_384, 262_144, 1 << 22, 1 << 24];
  const euros = new Map(sizes.map((size) => [size, Buffer.alloc(size, '\u20ac')]));
  for (const chunk of [65_536, 1000]) {
    const { exponent } = await costCurve(
      (size) => {
        const check = new Utf8Check();
        const bytes = euros.get(size) as Buffer;
        for (let at = 0; at < size; at += chunk) if (!check.push(bytes.subarray(at, at + chunk))) throw new Error();
      },
      sizes,
      { repeats: 3, floor: 2 },
    );
    t.ok(exponent < 1.15, `chunks of ${chunk}: size^${exponent.toFixed(2)}`);
  }
});
