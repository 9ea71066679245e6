// One explained frame → the picture of RFC 6455 section 5.2, thirty-two bits a row, with the frame's own bits and bytes in it.
// Every cell stands under the bits it takes on the wire. Knows characters and fields, not what a frame means.
import type { ExplainedField, ExplainedFrame } from '../index.js';
import type { Paint, Style } from './style.js';

const BITS = 32;
/** Rows of payload that are drawn; the hex dump below the picture has the rest. */
const PAYLOAD_ROWS = 2;
const GUTTER = 8;

interface Cell {
  readonly field: ExplainedField;
  /** Bits from the left edge of the row. */
  readonly from: number;
  readonly to: number;
  readonly continued: boolean;
  /** Bytes of the field that are not drawn, after this cell. */
  readonly left: number;
}

const JUNCTION = ' ╵╷│╴┘┐┤╶└┌├─┴┬┼';

/** The fields cut into rows of thirty-two bits. */
const layRows = (frame: ExplainedFrame): Cell[][] => {
  const rows: Cell[][] = [];
  for (const field of frame.fields) {
    const drawn =
      field.name === 'Payload data' ? Math.min(field.bits, (PAYLOAD_ROWS + 1) * BITS - (field.bit % BITS)) : field.bits;
    for (let bit = field.bit; bit < field.bit + drawn; ) {
      const row = Math.floor(bit / BITS);
      const end = Math.min(field.bit + drawn, (row + 1) * BITS);
      const cells = rows[row] ?? [];
      rows[row] = cells;
      const left = end === field.bit + drawn ? (field.bits - drawn) / 8 : 0;
      cells.push({ field, from: bit - row * BITS, to: end - row * BITS, continued: bit > field.bit, left });
      bit = end;
    }
  }
  return rows;
};

const fieldAt = (row: readonly Cell[] | undefined, bit: number): ExplainedField | undefined =>
  row?.find((cell) => bit >= cell.from && bit < cell.to)?.field;

/** The line between two rows: solid between fields, dashed where one field goes on, and a junction wherever cells meet. */
const drawBorder = (above: readonly Cell[] | undefined, below: readonly Cell[] | undefined): string => {
  const line = (bit: number): '' | '─' | '╌' => {
    const up = fieldAt(above, bit);
    const down = fieldAt(below, bit);
    if (up === undefined && down === undefined) return '';
    return up === down ? '╌' : '─';
  };
  const edge = (row: readonly Cell[] | undefined, at: number): boolean =>
    row?.some((cell) => cell.from === at || cell.to === at) ?? false;
  let out = '';
  for (let at = 0; at <= BITS; at++) {
    const left = at > 0 ? line(at - 1) : '';
    const right = at < BITS ? line(at) : '';
    const up = edge(above, at);
    const down = edge(below, at);
    const shape = (up ? 1 : 0) | (down ? 2 : 0) | (left === '' ? 0 : 4) | (right === '' ? 0 : 8);
    out += left === '╌' && right === '╌' && !up && !down ? '╌' : JUNCTION[shape];
    if (at < BITS) out += right === '' ? ' ' : right;
  }
  return out.trimEnd();
};

const centre = (text: string, width: number): string => {
  const shown = text.length > width ? text.slice(0, width) : text;
  const left = Math.floor((width - shown.length) / 2);
  return ' '.repeat(left) + shown + ' '.repeat(width - left - shown.length);
};

const NARROW: Readonly<Record<string, string>> = {
  FIN: 'FIN ',
  RSV1: 'RSV1',
  RSV2: 'RSV2',
  RSV3: 'RSV3',
  Mask: 'MASK',
};

/** The last drawn cell of a long payload says how much is left out. */
const labelOf = (cell: Cell): string => {
  if (cell.left > 0)
    return `Payload data (${cell.left === Infinity ? 'more than 2^53' : cell.left.toLocaleString('en-US')} more bytes)`;
  return cell.continued ? `${cell.field.name} (continued)` : cell.field.name;
};

/** Lines of names above the line of values: four in the first row, where names of one-bit fields are read downwards. */
const nameLines = (cell: Cell, width: number, first: boolean): string[] => {
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

/** Bits for the first two octets, hexadecimal octets in the middle of their eight bits for the rest. */
const valueLine = (cell: Cell, row: number, wire: Uint8Array): string => {
  const start = row * BITS + cell.from;
  if (start < 16) {
    const bits: number[] = [];
    for (let bit = start; bit < row * BITS + cell.to; bit++)
      bits.push(((wire[bit >> 3] as number) >> (7 - (bit & 7))) & 1);
    return bits.join(' ');
  }
  const slots: string[] = [];
  for (let bit = start; bit < row * BITS + cell.to; bit += 8) {
    const octet = wire[bit >> 3];
    slots.push(centre(octet === undefined ? '··' : octet.toString(16).padStart(2, '0'), 15));
  }
  return slots.join(' ');
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

/** The ruler of bits, tens above ones. */
const ruler = (style: Style): string[] => {
  const tens = Array.from({ length: BITS }, (_, i) => (i % 10 === 0 ? String(i / 10) : ' ')).join(' ');
  const ones = Array.from({ length: BITS }, (_, i) => String(i % 10)).join(' ');
  return [tens.trimEnd(), ones].map((line) => ' '.repeat(GUTTER + 1) + style.dim(line));
};

export const drawFrame = (frame: ExplainedFrame, style: Style): string[] => {
  const rows = layRows(frame);
  const lines = ruler(style);
  const pad = ' '.repeat(GUTTER);
  const bar = style.dim('│');
  for (const [index, row] of rows.entries()) {
    lines.push(pad + style.dim(drawBorder(rows[index - 1], row)));
    const columns = row.map((cell) => {
      const width = (cell.to - cell.from) * 2 - 1;
      const paint = colourOf(cell.field, frame, style);
      const names = nameLines(cell, width, index === 0).map((text) => style.dim(text));
      return [...names, paint(valueLine(cell, index, frame.wire))];
    });
    const height = columns[0]?.length ?? 0;
    for (let line = 0; line < height; line++) {
      const last = line === height - 1;
      const offset = last ? style.dim(String(frame.offset + index * 4).padStart(GUTTER - 2)) : ' '.repeat(GUTTER - 2);
      lines.push(`${offset}  ${bar}${columns.map((column) => column[line] ?? '').join(bar)}${bar}`);
    }
  }
  lines.push(pad + style.dim(drawBorder(rows.at(-1), undefined)));
  return lines;
};
