import t from 'tap';
import { closeName, isReceivableCode, isSendableCode, parseClose, writeClose } from '../../lib/frame/close.js';

const body = (code: number, reason: string | Uint8Array = ''): Uint8Array =>
  Buffer.concat([Uint8Array.of(code >> 8, code & 255), Buffer.from(reason as string)]);

t.test(
  'of 65,536 codes exactly those may travel that RFC 6455 section 7.4 and the registry name, or leave to us',
  async (t) => {
    const may = (code: number): boolean =>
      [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) ||
      (code >= 3000 && code <= 4999);
    for (let code = 0; code < 65_536; code++) {
      const read = parseClose(body(code));
      const expected = may(code) ? code : 'WSD_FRAME_CLOSE_CODE';
      if (isReceivableCode(code) !== may(code) || read.code !== expected) t.fail(String(code));
      if (may(code)) t.strictSame(Buffer.from(writeClose(code)), body(code));
      else if (code < 6000) t.throws(() => writeClose(code), RangeError);
    }
    t.equal(isSendableCode, isReceivableCode, 'and the same for our own caller');
  },
);

t.test('a body is a code and a reason, or nothing', async (t) => {
  t.strictSame(parseClose(new Uint8Array(0)), { code: 1005, reason: '' });
  t.match(parseClose(Uint8Array.of(3)), { kind: 'fault', code: 'WSD_FRAME_CLOSE_BODY' });
  t.strictSame(parseClose(body(1000, 'Gr\u00fc\u00dfe \ud83d\ude00')), {
    code: 1000,
    reason: 'Gr\u00fc\u00dfe \ud83d\ude00',
  });
  t.match(parseClose(body(1000, Uint8Array.of(0xe2, 0x82))), { kind: 'fault', code: 'WSD_FRAME_CLOSE_REASON' });
  t.match(parseClose(body(1006, 'x')), { kind: 'fault', code: 'WSD_FRAME_CLOSE_CODE', detail: '1006' });
  t.match(parseClose(body(1005, Uint8Array.of(0xff))), { code: 'WSD_FRAME_CLOSE_CODE' }, 'the code is judged first');
  t.strictSame(parseClose(body(4000, 'r'.repeat(123))), { code: 4000, reason: 'r'.repeat(123) });
});

t.test('a Close of ours is refused at the call when it must not travel', async (t) => {
  t.strictSame(Buffer.from(writeClose()), Buffer.alloc(0));
  t.strictSame(Buffer.from(writeClose(1000, '\u00e4'.repeat(61))), body(1000, '\u00e4'.repeat(61)));
  t.throws(() => writeClose(1000, '\u00e4'.repeat(62)), RangeError, '124 octets of reason');
  t.throws(() => writeClose(undefined, 'why'), TypeError, 'a reason without a code');
  for (const code of [999, 1005, 1006, 1015, 5000, -1, 1000.5, Number.NaN, Infinity])
    t.throws(() => writeClose(code), RangeError, String(code));
  t.throws(() => writeClose('1000' as unknown as number), RangeError);
  t.throws(() => writeClose(1000, 5 as unknown as string), TypeError);
});

t.test('every code has a name', async (t) => {
  t.equal(closeName(1000), 'normal closure');
  t.equal(closeName(1006), 'abnormal closure');
  t.equal(closeName(3000), 'registered');
  t.equal(closeName(4999), 'private');
  t.equal(closeName(2000), 'unassigned');
});
