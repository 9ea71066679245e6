// The two suites' raw DEFLATE (PROTOCOL.md section 3.3): the same octets out, the same answer to every stream that is whole, cut, broken,
// followed by something or too long, and bombs that stop at the limit.

import { constants, deflateRawSync } from 'node:zlib';
import t from 'tap';
import { type Random, seedFromEnv } from '../../fixtures/rig/random.js';
import { fromHex, toHex } from '../../lib/bytes/hex.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { portableSuite } from '../../lib/crypto/portable.js';

const SUITES = [nodeSuite, portableSuite];
const MIB = 1 << 20;
const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const show = (bytes: Uint8Array | undefined): string | undefined => bytes && toHex(bytes);

/** Zeros, noise, few letters, a counter, and noise that repeats. */
const KINDS: readonly ((random: Random, size: number) => Uint8Array)[] = [
  (_, size) => new Uint8Array(size),
  (random, size) => random.bytes(size),
  (random, size) => Uint8Array.from({ length: size }, () => 97 + random.int(4)),
  (_, size) => Uint8Array.from({ length: size }, (_, at) => at % 251),
  (random, size) => {
    const out = random.bytes(size);
    for (let at = 37; at < size; at++) if (random.int(10) > 0) out[at] = out[at - 37] as number;
    return out;
  },
];

t.test('both deflate to the same octets, and inflate what the other deflated', async (t) => {
  const random = seedFromEnv('deflate');
  const sizes = [0, 1, 2, 3, 63, 64, 250, 987, 988, 989, 4000, 16_384, 40_000, 140_000];
  for (const size of sizes) {
    for (const [kind, make] of KINDS.entries()) {
      const plain = make(random, size);
      const [a, b] = SUITES.map((suite) => suite.deflate(plain)) as [Uint8Array, Uint8Array];
      if (toHex(a) !== toHex(b)) t.fail(`deflated ${size}, kind ${kind}`);
      const [c, d] = SUITES.map((suite) => show(suite.inflate(a, size)));
      if (c !== toHex(plain) || d !== c) t.fail(`inflated ${size}, kind ${kind}`);
    }
  }
});

for (const suite of SUITES) {
  t.test(`${suite.name}: the vector of PROTOCOL.md section 11.1`, async (t) => {
    t.equal(toHex(suite.deflate(ascii('abc'.repeat(40)))), '4b4c4a4e1c080400');
    t.equal(show(suite.inflate(hex('4b4c4a4e1c080400'), 120)), toHex(ascii('abc'.repeat(40))));
  });

  t.test(`${suite.name}: a stream must end, exactly at the end`, async (t) => {
    const plain = ascii('packet '.repeat(30));
    const whole = suite.deflate(plain);
    t.equal(show(suite.inflate(whole, 1000)), toHex(plain));
    for (let cut = 0; cut < whole.length; cut++) {
      t.equal(suite.inflate(whole.subarray(0, cut), 1000), undefined, `cut at ${cut} of ${whole.length}`);
    }
    for (const tail of ['00', 'ff', '0000ffff', toHex(whole)]) {
      t.equal(suite.inflate(Uint8Array.of(...whole, ...hex(tail)), 1000), undefined, `followed by ${tail.slice(0, 8)}`);
    }
    const open = deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH });
    t.equal(suite.inflate(open, 1000), undefined, 'flushed, and never finished');
    t.equal(suite.inflate(new Uint8Array(0), 1000), undefined, 'nothing at all');
  });

  t.test(`${suite.name}: what is no DEFLATE is refused`, async (t) => {
    const cases: Readonly<Record<string, string>> = {
      'a block of type 3': '07',
      'stored, and the lengths do not match': '010500000048656c6c6f',
      'stored, and longer than there is': '010500faff4865',
      'a distance before the beginning': '4b04120b00',
      'dynamic, with too many length codes': 'fdffffffffff',
      'a zlib header': '789c4b4c4a0600024d0127',
      'a gzip header': '1f8b08000000000000034b4c4a0600c241243503000000',
    };
    for (const [name, text] of Object.entries(cases)) t.equal(suite.inflate(hex(text), 1000), undefined, name);
    t.equal(
      show(suite.inflate(hex('010500faff48656c6c6f'), 5)),
      toHex(ascii('Hello')),
      'a stored block is none of these',
    );
    t.equal(show(suite.inflate(hex('0300'), 5)), '', 'nor is an empty one');
    t.equal(show(suite.inflate(hex('000000ffff0300'), 5)), '', 'nor are two');
  });

  t.test(`${suite.name}: the limit is the longest that is accepted`, async (t) => {
    for (const size of [0, 1, 1000, 4095, 4096, 4097, 70_000]) {
      const packed = suite.deflate(new Uint8Array(size).fill(7));
      t.equal(suite.inflate(packed, size)?.length, size, `${size}, the limit`);
      t.equal(suite.inflate(packed, size + 1)?.length, size, `${size}, below the limit`);
      if (size > 0) t.equal(suite.inflate(packed, size - 1), undefined, `${size}, one beyond the limit`);
    }
    t.equal(suite.inflate(suite.deflate(new Uint8Array(1)), 0), undefined);
  });

  t.test(`${suite.name}: the result is memory of its own`, async (t) => {
    const packed = suite.deflate(ascii('abc'));
    const first = suite.inflate(packed, 10) as Uint8Array;
    suite.inflate(suite.deflate(ascii('xyz')), 10);
    t.equal(toHex(first), toHex(ascii('abc')));
    t.equal(first.buffer.byteLength, 3, 'a short message does not hold a large piece');
    t.ok(packed.buffer.byteLength < 100);
  });
}

t.test('64 MiB in 65 KiB stop at the limit, soon, and with little memory', async (t) => {
  const bomb = deflateRawSync(Buffer.alloc(64 * MIB), { level: 9 });
  t.ok(bomb.length < 66_000, `${bomb.length} octets`);
  for (const suite of SUITES) {
    const before = process.memoryUsage.rss();
    const started = process.hrtime.bigint();
    for (let turn = 0; turn < 3; turn++) t.equal(suite.inflate(bomb, MIB), undefined, suite.name);
    const took = Number(process.hrtime.bigint() - started) / 3e6;
    t.ok(took < 250, `${suite.name}: ${took.toFixed(1)} ms`);
    t.ok(process.memoryUsage.rss() - before < 32 * MIB, 'memory');
  }
  // Many small ones, one after the other, as a peer would send them.
  const small = deflateRawSync(Buffer.alloc(900_000));
  for (const suite of SUITES) t.equal(suite.inflate(small, 4096), undefined);
});

t.test('both give the same answer to streams that were changed', async (t) => {
  const random = seedFromEnv('changed streams');
  const answers = { same: 0, accepted: 0 };
  for (let turn = 0; turn < 1500; turn++) {
    const make = random.pick(KINDS);
    const stream = Uint8Array.from(
      turn % 3 === 0
        ? deflateRawSync(make(random, random.int(600)), { level: random.int(10) })
        : random.bytes(1 + random.int(60)),
    );
    for (let change = random.int(3); change > 0 && stream.length > 0; change--) {
      stream[random.int(stream.length)] = random.int(256);
    }
    const limit = random.pick([10, 700, 5000]);
    const [a, b] = SUITES.map((suite) => show(suite.inflate(stream, limit)));
    if (a !== b) t.fail(`turn ${turn}: ${toHex(stream)} up to ${limit}: ${a} and ${b}`);
    answers.same++;
    if (a !== undefined) answers.accepted++;
  }
  t.ok(answers.accepted > 50 && answers.accepted < 1450, `${answers.accepted} of ${answers.same} accepted`);
});
