// What `wsd decode --json` writes: one object a line, bytes in hexadecimal, names as in the public types.
import type { ExplainedFrame, Explanation } from '../index.js';
import type { Head } from './http-head.js';
import { hexOf } from './terminal.js';

export const jsonHead = (head: Head): string =>
  JSON.stringify({
    type: 'head',
    kind: head.kind,
    first: head.first,
    fields: head.fields,
    size: head.size,
    complete: head.complete,
    deflate: head.deflate,
  });

export const jsonFrame = (frame: ExplainedFrame): string =>
  JSON.stringify({
    type: 'frame',
    index: frame.index,
    offset: frame.offset,
    headerSize: frame.headerSize,
    size: finite(frame.size),
    sender: frame.sender,
    fin: frame.fin,
    rsv: frame.rsv,
    opcode: frame.opcode,
    name: frame.name,
    masked: frame.masked,
    length: finite(frame.length),
    complete: frame.complete,
    fields: frame.fields.map(({ name, bit, bits, value, meaning }) => ({
      name,
      bit,
      bits: finite(bits),
      value: typeof value === 'number' ? finite(value) : value,
      meaning,
    })),
    payload: hexOf(frame.payload, ''),
    close: frame.close,
    message: frame.message && {
      kind: frame.message.kind,
      compressed: frame.message.compressed,
      frames: frame.message.frames,
      data: hexOf(frame.message.data, ''),
      text: frame.message.text,
    },
    part: frame.part,
    faults: frame.faults,
    notes: frame.notes,
  });

export const jsonEnd = (explained: Explanation): string =>
  JSON.stringify({
    type: 'end',
    frames: explained.frames.length,
    messages: explained.frames.filter((frame) => frame.message !== undefined).length,
    faults: explained.frames.reduce((sum, frame) => sum + frame.faults.length, 0),
    missing: explained.missing === undefined ? undefined : finite(explained.missing),
    rest: explained.rest && { offset: explained.rest.offset, bytes: hexOf(explained.rest.bytes, '') },
    unfinished: explained.unfinished,
  });

/** JSON has no Infinity: a length beyond 2^53 is written as null. */
const finite = (n: number): number | null => (Number.isFinite(n) ? n : null);
