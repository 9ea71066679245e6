import t from 'tap';
import { decode, encode } from '../../fixtures/rig/wire.js';
import { encodeFrame } from '../../lib/frame/encode.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

t.test('the examples of RFC 6455 section 5.7', async (t) => {
  const hello = Buffer.from('Hello');
  t.equal(hex(encodeFrame({ opcode: 1, payload: hello })), '810548656c6c6f');
  t.equal(hex(encodeFrame({ opcode: 1, payload: hello, maskKey: 0x37fa213d })), '818537fa213d7f9f4d5158');
  t.equal(hex(encodeFrame({ opcode: 1, fin: false, payload: Buffer.from('Hel') })), '010348656c');
  t.equal(hex(encodeFrame({ opcode: 0, payload: Buffer.from('lo') })), '80026c6f');
  t.equal(hex(encodeFrame({ opcode: 9, payload: hello })), '890548656c6c6f');
  t.equal(hex(encodeFrame({ opcode: 10, payload: hello, maskKey: 0x37fa213d })), '8a8537fa213d7f9f4d5158');
  t.equal(hex(encodeFrame({ opcode: 2, payload: Buffer.alloc(256) }).subarray(0, 5)), '827e010000');
  t.equal(hex(encodeFrame({ opcode: 2, payload: Buffer.alloc(65_536) }).subarray(0, 10)), '827f0000000000010000');
});

t.test('frames of every shape are what another implementation writes, and leave the payload as it was', async (t) => {
  for (const length of [0, 1, 47, 125, 126, 300, 65_535, 65_536]) {
    const payload = Uint8Array.from({ length }, (_, i) => i * 7);
    const before = payload.slice();
    for (const fin of [true, false]) {
      for (const rsv of [0, 4, 7]) {
        const bare = encodeFrame({ opcode: 2, fin, rsv, payload });
        t.strictSame(Buffer.from(bare), Buffer.from(encode({ opcode: 2, fin, rsv, payload, mask: false })));
        const masked = encodeFrame({ opcode: 2, fin, rsv, payload, maskKey: 0x37fa213d });
        t.strictSame(Buffer.from(masked), Buffer.from(encode({ opcode: 2, fin, rsv, payload })));
      }
    }
    t.strictSame(payload, before);
  }
});

t.test('without a payload a frame is empty, and bad frames can be made', async (t) => {
  t.equal(hex(encodeFrame({ opcode: 8 })), '8800');
  t.match(decode(encodeFrame({ opcode: 15, rsv: 3, fin: false, maskKey: 0 })), {
    opcode: 15,
    rsv: 3,
    fin: false,
    masked: true,
  });
});
