// The rules against a list of what RFC 6455 section 5 allows, over every first octet, both masks, open or not, with deflate or not.
import t from 'tap';
import { type FrameHeader, parseHeader } from '../../lib/frame/header.js';
import { checkHeader, type FrameContext } from '../../lib/frame/rules.js';

const frame = (first: number, length: number, masked: boolean): FrameHeader => {
  const short = length > 65_535 ? 127 : length > 125 ? 126 : length;
  const head = [first, (masked ? 0x80 : 0) | short];
  if (short === 126) head.push(length >> 8, length & 255);
  if (short === 127) head.push(0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255);
  return parseHeader(Uint8Array.from([...head, 1, 2, 3, 4])) as FrameHeader;
};

const contexts: FrameContext[] = [true, false].flatMap((masked) =>
  [true, false].flatMap((open) => [true, false].map((deflate) => ({ masked, open, deflate }))),
);

/** The rules again, as a table of what may pass. */
const allowed = (
  first: number,
  length: number,
  masked: boolean,
  { open, deflate, ...context }: FrameContext,
): boolean => {
  const fin = first >= 0x80;
  const opcode = first & 15;
  const rsv = (first >> 4) & 7;
  if (masked !== context.masked || ![0, 1, 2, 8, 9, 10].includes(opcode)) return false;
  if (opcode >= 8) return rsv === 0 && fin && length <= 125;
  if (opcode === 0) return rsv === 0 && open;
  return !open && (rsv === 0 || (deflate && rsv === 4));
};

t.test('exactly the frames that section 5 allows pass', async (t) => {
  for (const context of contexts) {
    for (let first = 0; first < 256; first++) {
      for (const masked of [true, false]) {
        for (const length of [0, 125, 126, 65_536]) {
          const verdict = checkHeader(frame(first, length, masked), context);
          if ((verdict === undefined) !== allowed(first, length, masked, context))
            t.fail(
              `${first.toString(16)}, ${length} octets, ${JSON.stringify({ ...context, is: masked })}: ${verdict}`,
            );
        }
      }
    }
  }
  t.pass('16,384 headers');
});

t.test('each rule has a name of its own, and the first broken one is told', async (t) => {
  const closed: FrameContext = { masked: true, open: false, deflate: false };
  const open: FrameContext = { ...closed, open: true };
  const header = (more: Partial<FrameHeader>): FrameHeader => ({ ...frame(0x81, 1, true), ...more });
  const cases: readonly (readonly [code: string | undefined, header: FrameHeader, context: FrameContext])[] = [
    [undefined, header({}), closed],
    ['WSD_FRAME_RSV', header({ rsv: 4, opcode: 3, masked: false }), closed],
    ['WSD_FRAME_OPCODE', header({ opcode: 3, masked: false }), closed],
    ['WSD_FRAME_MASK_MISSING', header({ masked: false, minimal: false }), closed],
    ['WSD_FRAME_MASK_PRESENT', header({ masked: true }), { ...closed, masked: false }],
    ['WSD_FRAME_LENGTH_RANGE', header({ topBit: true, minimal: true, length: Infinity }), closed],
    ['WSD_FRAME_LENGTH_FORM', header({ minimal: false, opcode: 9, fin: false }), closed],
    ['WSD_FRAME_CONTROL_FRAGMENT', header({ opcode: 9, fin: false, length: 126 }), closed],
    ['WSD_FRAME_CONTROL_LENGTH', header({ opcode: 8, length: 126 }), open],
    ['WSD_FRAME_CONTINUATION', header({ opcode: 0 }), closed],
    ['WSD_FRAME_INTERLEAVED', header({ opcode: 2 }), open],
    [undefined, header({ opcode: 10 }), open],
  ];
  for (const [code, h, context] of cases) t.equal(checkHeader(h, context), code, String(code));
});
