// One explained frame → the names, values and colours in its picture. Where they stand is draw.ts.
import type { ExplainedField, ExplainedFrame } from '../index.js';
import { type Cell, centre, drawPicture, labelOf } from './draw.js';
import type { Paint, Style } from './style.js';

const NARROW: Readonly<Record<string, string>> = {
  FIN: 'FIN ',
  RSV1: 'RSV1',
  RSV2: 'RSV2',
  RSV3: 'RSV3',
  Mask: 'MASK',
};

/** Lines of names above the line of values: four in the first row, where names of one-bit fields are read downwards. */
const nameLines = (cell: Cell<ExplainedField>, width: number, first: boolean): string[] => {
  const letters = NARROW[cell.field.name];
  if (letters !== undefined) return [...letters];
  const label = labelOf(cell);
  if (!first) return [centre(label.length > width ? cell.field.name : label, width)];
  const wide = cell.field.bits >= 16;
  const word = cell.field.name === 'Payload length' ? 'Payload len' : cell.field.name;
  const value = wide
    ? `(${cell.field.name === 'Payload data' ? `${cell.field.value} bytes` : `${cell.field.bits} bits`})`
    : shortValue(cell.field);
  return ['', word, value, ''].map((text) => centre(text, width));
};

const shortValue = (field: ExplainedField): string => {
  if (field.name !== 'Opcode') return String(field.value);
  return field.meaning === 'continuation' ? 'contin.' : field.meaning.replace('reserved ', 'res. ');
};

/** Which field a fault is about, to show it in red. */
const isAccused = (field: ExplainedField, frame: ExplainedFrame): boolean =>
  frame.faults.some(({ code }) => {
    if (code === 'WSD_FRAME_RSV') return field.name.startsWith('RSV') && field.value === 1;
    if (code.startsWith('WSD_FRAME_MASK')) return field.name === 'Mask';
    if (code.startsWith('WSD_FRAME_LENGTH')) return field.name === 'Extended payload length';
    if (code === 'WSD_FRAME_CONTROL_LENGTH') return field.name === 'Payload length';
    if (code === 'WSD_FRAME_CONTROL_FRAGMENT') return field.name === 'FIN';
    if (code === 'WSD_FRAME_OPCODE' || code === 'WSD_FRAME_CONTINUATION' || code === 'WSD_FRAME_INTERLEAVED')
      return field.name === 'Opcode';
    return field.name === 'Payload data';
  });

const colourOf = (field: ExplainedField, frame: ExplainedFrame, style: Style): Paint => {
  if (isAccused(field, frame)) return (text) => style.bold(style.red(text));
  if (field.name === 'Opcode') return style.magenta;
  if (field.name.includes('ayload length')) return style.yellow;
  if (field.name === 'Mask' || field.name === 'Masking-key') return style.green;
  return field.name === 'Payload data' ? style.blue : style.cyan;
};

export const drawFrame = (frame: ExplainedFrame, style: Style): string[] =>
  drawPicture(frame, { names: nameLines, paint: (field) => colourOf(field, frame, style) }, style);
