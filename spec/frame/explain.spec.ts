import t from 'tap';
import { fromHex, toHex } from '../../lib/bytes/hex.js';
import { type FaultCode, fault } from '../../lib/fault.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { explainFrames } from '../../lib/frame/explain.js';
import { OPCODE } from '../../lib/frame/opcode.js';

const hex = (text: string): Uint8Array => fromHex(text) as Uint8Array;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));

t.test('the masked Hello of RFC 6455 section 5.7 is told field by field', async (t) => {
  const { frames, rest, missing, unfinished } = explainFrames(hex('818537fa213d7f9f4d5158'));
  t.equal(frames.length, 1);
  const [frame] = frames;
  t.match(frame, {
    offset: 0,
    headerSize: 6,
    size: 11,
    sender: 'client',
    fin: true,
    name: 'text',
    length: 5,
    complete: true,
  });
  t.strictSame(
    frame?.fields.map(({ name, bit, bits, value }) => [name, bit, bits, value]),
    [
      ['FIN', 0, 1, 1],
      ['RSV1', 1, 1, 0],
      ['RSV2', 2, 1, 0],
      ['RSV3', 3, 1, 0],
      ['Opcode', 4, 4, 1],
      ['Mask', 8, 1, 1],
      ['Payload length', 9, 7, 5],
      ['Masking-key', 16, 32, '37fa213d'],
      ['Payload data', 48, 40, 5],
    ],
  );
  t.strictSame(frame?.message, { kind: 'text', compressed: false, frames: 1, data: utf8('Hello'), text: 'Hello' });
  t.strictSame(frame?.faults, []);
  t.strictSame([rest, missing, unfinished], [undefined, undefined, undefined]);
});

t.test('the input is left as it was, a Buffer too', async (t) => {
  for (const bytes of [hex('818537fa213d7f9f4d5158'), Buffer.from('818537fa213d7f9f4d5158', 'hex')]) {
    t.equal(explainFrames(bytes).frames[0]?.message?.text, 'Hello');
    t.equal(toHex(bytes), '818537fa213d7f9f4d5158');
  }
});

t.test('fields lie side by side without a gap, for every form of length', async (t) => {
  for (const length of [0, 1, 125, 126, 65535, 65536]) {
    for (const maskKey of [undefined, 0x01020304]) {
      const payload = new Uint8Array(length);
      const parts = { opcode: OPCODE.binary, payload };
      const [frame] = explainFrames(encodeFrame(maskKey === undefined ? parts : { ...parts, maskKey })).frames;
      let bit = 0;
      for (const field of frame?.fields ?? []) {
        t.equal(field.bit, bit, `${field.name} of ${length} bytes follows the field before it`);
        bit += field.bits;
      }
      t.equal(bit, (frame?.size ?? 0) * 8);
    }
  }
});

t.test('fragments are put together, with control frames between them', async (t) => {
  const bytes = join(
    encodeFrame({ opcode: OPCODE.text, fin: false, payload: utf8('Gr') }),
    encodeFrame({ opcode: OPCODE.continuation, fin: false, payload: Uint8Array.of(0xc3) }),
    encodeFrame({ opcode: OPCODE.ping, payload: utf8('?') }),
    encodeFrame({ opcode: OPCODE.continuation, payload: Uint8Array.of(0xbc, 0xc3, 0x9f) }),
  );
  const { frames, unfinished } = explainFrames(bytes);
  t.strictSame(
    frames.map(({ part }) => part),
    [1, 2, 0, 3],
  );
  t.strictSame(
    frames.map(({ message }) => message?.frames),
    [undefined, undefined, undefined, 3],
  );
  t.equal(frames[3]?.message?.text, 'Grüß');
  t.equal(unfinished, undefined);
});

t.test('a message whose last frame is not there is told as open', async (t) => {
  const { unfinished } = explainFrames(encodeFrame({ opcode: OPCODE.binary, fin: false, payload: hex('0102') }));
  t.strictSame(unfinished, { kind: 'binary', frames: 1, bytes: 2 });
});

t.test('every fault is named with its code, and reading goes on after it', async (t) => {
  const start = '0101 61';
  const cases: readonly [why: string, bytes: string, codes: readonly FaultCode[], from?: 'client' | 'server'][] = [
    ['RSV2', 'a1 00', ['WSD_FRAME_RSV']],
    ['RSV1 without deflate', 'c1 00', ['WSD_FRAME_RSV']],
    ['opcode 3', '83 00', ['WSD_FRAME_OPCODE']],
    ['opcode 11', '8b 00', ['WSD_FRAME_OPCODE']],
    ['unmasked from a client', '81 00', ['WSD_FRAME_MASK_MISSING'], 'client'],
    ['masked from a server', '81 80 00000000', ['WSD_FRAME_MASK_PRESENT'], 'server'],
    ['a length of 5 in 16 bits', '82 7e 0005 0000000000', ['WSD_FRAME_LENGTH_FORM']],
    ['a length of 5 in 64 bits', '82 7f 0000000000000005 0000000000', ['WSD_FRAME_LENGTH_FORM']],
    ['a fragmented ping', '09 00', ['WSD_FRAME_CONTROL_FRAGMENT']],
    ['a ping of 126 bytes', `89 7e 007e ${'00'.repeat(126)}`, ['WSD_FRAME_CONTROL_LENGTH']],
    ['a continuation of nothing', '80 00', ['WSD_FRAME_CONTINUATION']],
    ['a start inside a message', `${start} 8100`, ['WSD_FRAME_INTERLEAVED']],
    ['a close body of one byte', '88 01 03', ['WSD_FRAME_CLOSE_BODY']],
    ['close code 1005', '88 02 03ed', ['WSD_FRAME_CLOSE_CODE']],
    ['a close reason that is not UTF-8', '88 03 03e8 ff', ['WSD_FRAME_CLOSE_REASON']],
    ['text that is not UTF-8', '81 01 ff', ['WSD_MESSAGE_UTF8']],
    ['text that ends inside a character', '81 01 c3', ['WSD_MESSAGE_UTF8']],
    ['all at once', 'f9 7e 0001 00', ['WSD_FRAME_RSV', 'WSD_FRAME_MASK_MISSING', 'WSD_FRAME_LENGTH_FORM'], 'client'],
    [
      'fragmented, long and reserved',
      '3b 7e 0001 00',
      ['WSD_FRAME_RSV', 'WSD_FRAME_OPCODE', 'WSD_FRAME_LENGTH_FORM', 'WSD_FRAME_CONTROL_FRAGMENT'],
    ],
  ];
  for (const [why, bytes, codes, from] of cases) {
    const after = encodeFrame(from === 'client' ? { opcode: OPCODE.pong, maskKey: 1 } : { opcode: OPCODE.pong });
    const { frames } = explainFrames(join(hex(bytes), after), { from });
    t.strictSame(
      frames.at(-2)?.faults.map(({ code }) => code),
      codes,
      why,
    );
    t.match(frames.at(-1), { name: 'pong', faults: [] }, `${why}: the next frame is found`);
    for (const { section, phrase, close } of frames.at(-2)?.faults ?? []) {
      t.match(section, /^RFC (6455|7692) section [\d.]+$/);
      t.ok(phrase.length > 0 && close >= 1002);
    }
  }
});

t.test('a length with the top bit set is told as such, and as cut', async (t) => {
  const { frames, missing } = explainFrames(hex('82 7f 8000000000000000 aa'));
  t.equal(frames[0]?.faults[0]?.code, 'WSD_FRAME_LENGTH_RANGE');
  t.equal(frames[0]?.length, Infinity);
  t.equal(missing, Infinity);
});

t.test('close codes are named even where they must not be sent', async (t) => {
  const cases: readonly [string, number, string, string][] = [
    ['88 00', 1005, 'no status received', ''],
    ['88 05 03e8 627965', 1000, 'normal closure', 'bye'],
    ['88 02 03ee', 1006, 'abnormal closure', ''],
    ['88 02 0fa1', 4001, 'private', ''],
  ];
  for (const [bytes, code, name, reason] of cases) {
    t.strictSame(explainFrames(hex(bytes)).frames[0]?.close, { code, name, reason });
  }
});

t.test('a frame after a Close frame gets a note', async (t) => {
  const { frames } = explainFrames(hex('8800 8900'));
  t.match(frames[1]?.notes[0], /after a Close frame/);
});

t.test('every cut of a stream is told: a piece of a header, or missing payload', async (t) => {
  const whole = join(
    encodeFrame({ opcode: OPCODE.text, payload: utf8('first'), maskKey: 0xa1b2c3d4 }),
    encodeFrame({ opcode: OPCODE.binary, payload: new Uint8Array(200), maskKey: 0xa1b2c3d4 }),
  );
  for (let cut = 0; cut <= whole.length; cut++) {
    const { frames, rest, missing } = explainFrames(whole.subarray(0, cut));
    const covered = frames.reduce((sum, frame) => sum + frame.wire.length, 0) + (rest?.bytes.length ?? 0);
    t.equal(covered, cut, `all ${cut} bytes are accounted for`);
    const atBoundary = cut === 0 || cut === 11 || cut === whole.length;
    t.equal(rest === undefined && missing === undefined, atBoundary);
  }
});

t.test('compressed messages go to the caller once each, whole, and in order', async (t) => {
  const seen: string[] = [];
  const bytes = join(
    encodeFrame({ opcode: OPCODE.text, rsv: 4, fin: false, payload: hex('f248') }),
    encodeFrame({ opcode: OPCODE.continuation, payload: hex('cdc9c90700') }),
    encodeFrame({ opcode: OPCODE.text, payload: utf8('plain') }),
    encodeFrame({ opcode: OPCODE.binary, rsv: 4, payload: hex('f2') }),
    encodeFrame({ opcode: OPCODE.text, rsv: 4, payload: hex('00') }),
  );
  const { frames } = explainFrames(bytes, {
    inflate: (payload, from) => {
      seen.push(`${from} ${toHex(payload)}`);
      if (payload.length === 1 && payload[0] === 0xf2) return fault('WSD_DEFLATE_DATA', 'invalid stored block lengths');
      return payload.length === 1 ? Uint8Array.of(0xff) : utf8('Hello');
    },
  });
  t.strictSame(seen, ['server f248cdc9c90700', 'server f2', 'server 00']);
  t.match(frames[1]?.message, { compressed: true, frames: 2, text: 'Hello' });
  t.match(frames[2]?.message, { compressed: false, text: 'plain' });
  t.match(frames[3], { faults: [{ code: 'WSD_DEFLATE_DATA' }], notes: ['invalid stored block lengths'] });
  t.match(frames[4]?.faults, [{ code: 'WSD_MESSAGE_UTF8' }], 'what comes out must be UTF-8 as well');
});

t.test('without a way to inflate, a compressed message is shown as it came', async (t) => {
  const { frames } = explainFrames(hex('c1 07 f248cdc9c90700'), { deflate: true });
  t.strictSame(frames[0]?.faults, []);
  t.equal(frames[0]?.message?.text, undefined);
  t.match(frames[0]?.notes, [/shown as it came/]);
});

t.test('both directions in one capture keep their messages apart', async (t) => {
  const bytes = join(
    encodeFrame({ opcode: OPCODE.text, fin: false, payload: utf8('cli'), maskKey: 7 }),
    encodeFrame({ opcode: OPCODE.text, fin: false, payload: utf8('ser') }),
    encodeFrame({ opcode: OPCODE.continuation, payload: utf8('ent'), maskKey: 7 }),
    encodeFrame({ opcode: OPCODE.continuation, payload: utf8('ver') }),
  );
  const { frames } = explainFrames(bytes);
  t.strictSame(
    frames.map(({ message }) => message?.text),
    [undefined, undefined, 'client', 'server'],
  );
  t.strictSame(
    frames.flatMap(({ faults }) => faults),
    [],
  );
});

t.test('random bytes never throw, and every byte is accounted for', async (t) => {
  let seed = 20240607;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed;
  };
  t.comment(`seed ${seed}`);
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: random() % 40 }, () => random() >>> 24);
    const { frames, rest } = explainFrames(bytes, round % 2 === 0 ? {} : { from: 'client', deflate: true });
    const covered = frames.reduce((sum, frame) => sum + frame.wire.length, 0) + (rest?.bytes.length ?? 0);
    if (covered !== bytes.length) t.fail(`${covered} of ${bytes.length} bytes of ${toHex(bytes)}`);
  }
  t.pass('2000 inputs');
});

t.test('time stays linear in the number of frames', async (t) => {
  const many = (n: number): Uint8Array =>
    new Uint8Array(n * 2).map((_, i) => (i % 2 === 0 ? (i === 0 ? 0x02 : 0x00) : 0x00));
  const run = (n: number): number => {
    const bytes = many(n);
    const start = process.hrtime.bigint();
    explainFrames(bytes);
    return Number(process.hrtime.bigint() - start);
  };
  run(2000);
  const small = Math.min(run(4000), run(4000));
  const large = Math.min(run(32000), run(32000));
  t.ok(large < small * 40, `8 times the frames took ${(large / small).toFixed(1)} times as long`);
});
