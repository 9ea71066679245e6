// base64url both ways, beside Node's: the same for what is canonical, and nothing for all that Node's takes besides.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import {
  base64urlCharacter,
  base64urlDigit,
  fromBase64url,
  isBase64url,
  toBase64url,
} from '../../lib/bytes/base64url.js';

const random = seedFromEnv('base64url');

t.test('what is written is what Node writes, and is read again', async (t) => {
  for (let size = 0; size < 300; size++) {
    const bytes = random.bytes(size);
    const text = Buffer.from(bytes).toString('base64url');
    if (toBase64url(bytes) !== text) t.fail(`${size} octets are written otherwise, seed ${random.seed}`);
    if (!isBase64url(text)) t.fail(`${text} is not taken, seed ${random.seed}`);
    const read = fromBase64url(text);
    if (read === undefined || Buffer.compare(read, bytes) !== 0)
      t.fail(`${text} is read otherwise, seed ${random.seed}`);
    const part = fromBase64url(`.${text}~`, 1, text.length + 1);
    if (part === undefined || Buffer.compare(part, bytes) !== 0) t.fail(`${text} as a part, seed ${random.seed}`);
  }
  // RFC 4648 section 10, in the other alphabet.
  t.equal(toBase64url(Buffer.from('foobar')), 'Zm9vYmFy');
  t.equal(toBase64url(Uint8Array.of(0xfb, 0xff)), '-_8');
});

const BAD: readonly (readonly [name: string, text: string])[] = [
  ['one character alone', 'A'],
  ['five characters', 'AAAAA'],
  ['padding', 'AA=='],
  ['the other alphabet', '+/+/'],
  ['white space', 'AA AA'],
  ['a line end', 'AAAA\n'],
  ['a dot', 'AA.A'],
  ['a spare bit after one octet', 'AB'],
  ['a spare bit after two octets', 'AAB'],
  ['a character above ASCII', 'AAA\u00c1'],
  ['a character that is A in its last seven bits', 'AAA\u0141'],
  ['an astral one', 'AA\u{1f600}'],
  ['NUL', 'AAA\u0000'],
];

t.test('nothing but the canonical text is taken', async (t) => {
  for (const [name, text] of BAD) {
    t.equal(fromBase64url(text), undefined, name);
    t.notOk(isBase64url(text), `${name}, judged alone`);
  }
});

t.test('of all texts of two characters those are taken that somebody writes', async (t) => {
  const written = new Set(Array.from({ length: 256 }, (_, octet) => toBase64url(Uint8Array.of(octet))));
  for (let a = 0; a < 200; a++) {
    for (let b = 0; b < 200; b++) {
      const text = String.fromCharCode(a, b);
      if (isBase64url(text) !== written.has(text) || (fromBase64url(text) !== undefined) !== written.has(text)) {
        t.fail(`${JSON.stringify(text)}`);
      }
    }
  }
});

t.test('digits and characters are each the other turned round', async (t) => {
  for (let digit = 0; digit < 64; digit++) t.equal(base64urlDigit(base64urlCharacter(digit).charCodeAt(0)), digit);
  for (const code of [0x2b, 0x2f, 0x3d, 0x7f, 0x80, 0x141, 0xffff]) t.equal(base64urlDigit(code), -1);
});
