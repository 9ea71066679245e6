// One frame header → its fields by the names of RFC 6455 section 5.2, each with its place in bits and what its value says.
// Judges nothing: that is rules.ts.
import type { ExplainedField, FieldName } from './explained.js';
import type { FrameHeader } from './header.js';
import { isControl, opcodeName } from './opcode.js';

export const explainFields = (h: FrameHeader, bytes: Uint8Array, at: number): ExplainedField[] => {
  const bit = (n: number, on: boolean, yes: string, no: string, name: FieldName): ExplainedField => ({
    name,
    bit: n,
    bits: 1,
    value: on ? 1 : 0,
    meaning: on ? yes : no,
  });
  const short = (bytes[at + 1] as number) & 0x7f;
  const extended = short < 126 ? 0 : short === 126 ? 16 : 64;
  const fields: ExplainedField[] = [
    bit(0, h.fin, isControl(h.opcode) ? 'whole' : 'last frame of its message', 'more frames follow', 'FIN'),
    // RFC 7692 section 6: permessage-deflate takes RSV1 and calls it "Per-Message Compressed".
    bit(1, (h.rsv & 4) !== 0, 'compressed, with permessage-deflate', 'not compressed', 'RSV1'),
    bit(2, (h.rsv & 2) !== 0, 'set', 'unused', 'RSV2'),
    bit(3, (h.rsv & 1) !== 0, 'set', 'unused', 'RSV3'),
    { name: 'Opcode', bit: 4, bits: 4, value: h.opcode, meaning: opcodeName(h.opcode) },
    bit(8, h.masked, 'masked: a client sent it', 'not masked: a server sent it', 'Mask'),
    {
      name: 'Payload length',
      bit: 9,
      bits: 7,
      value: short,
      meaning: extended === 0 ? bytesOf(short) : `the length is in the next ${extended} bits`,
    },
  ];
  if (extended > 0) {
    const meaning = bytesOf(h.length) + (h.minimal ? '' : ', which fits a shorter form');
    fields.push({ name: 'Extended payload length', bit: 16, bits: extended, value: h.length, meaning });
  }
  if (h.masked) {
    const value = h.maskKey.toString(16).padStart(8, '0');
    const meaning = h.maskKey === 0 ? 'all zero: masks nothing' : 'XORed over the payload';
    fields.push({ name: 'Masking-key', bit: 16 + extended, bits: 32, value, meaning });
  }
  if (h.length > 0) {
    const meaning = h.masked ? 'masked on the wire' : 'as it is';
    fields.push({ name: 'Payload data', bit: h.size * 8, bits: h.length * 8, value: h.length, meaning });
  }
  return fields;
};

const bytesOf = (n: number): string => (n === Infinity ? 'more than 2^53 bytes' : `${n} byte${n === 1 ? '' : 's'}`);
