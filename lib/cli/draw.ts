// Fields with their places in bits → the picture of RFC 6455 section 5.2, thirty-two bits a row, with the bits and bytes of the wire in it.
// Every cell stands under the bits it takes. Knows characters and places; what a field is called and coloured is the look's to say.
import type { Paint, Style } from './style.js';

export const BITS = 32;
/** Rows that are drawn of a long field; the hex dump below the picture has the rest. */
const LONG_ROWS = 2;
const GUTTER = 8;

export interface DrawnField {
  readonly name: string;
  /** From the first bit of the picture. */
  readonly bit: number;
  readonly bits: number;
}

export interface Drawn<Field extends DrawnField> {
  readonly fields: readonly Field[];
  /** As far as the bytes are there. */
  readonly wire: Uint8Array;
  /** Where the first of them lies in the input. */
  readonly offset: number;
}

/** A part of a field on one row. */
export interface Cell<Field extends DrawnField> {
  readonly field: Field;
  /** Bits from the left edge of the row. */
  readonly from: number;
  readonly to: number;
  readonly continued: boolean;
  /** Bytes of the field that are not drawn, after this cell. */
  readonly left: number;
}

export interface Look<Field extends DrawnField> {
  /** The lines above the line of values: as many in every cell of a row, each as wide as told. */
  names(cell: Cell<Field>, width: number, first: boolean): string[];
  paint(field: Field): Paint;
}

const JUNCTION = ' ╵╷│╴┘┐┤╶└┌├─┴┬┼';

/** The fields cut into rows of thirty-two bits; a row between the parts of a long field may be missing. */
const layRows = <Field extends DrawnField>(fields: readonly Field[]): Map<number, Cell<Field>[]> => {
  const rows = new Map<number, Cell<Field>[]>();
  for (const field of fields) {
    const drawn = Math.min(field.bits, (LONG_ROWS + 1) * BITS - (field.bit % BITS));
    for (let bit = field.bit; bit < field.bit + drawn; ) {
      const row = Math.floor(bit / BITS);
      const end = Math.min(field.bit + drawn, (row + 1) * BITS);
      const cells = rows.get(row) ?? [];
      rows.set(row, cells);
      const left = end === field.bit + drawn ? (field.bits - drawn) / 8 : 0;
      cells.push({ field, from: bit - row * BITS, to: end - row * BITS, continued: bit > field.bit, left });
      bit = end;
    }
  }
  return rows;
};

type Row = readonly Cell<DrawnField>[] | undefined;

const fieldAt = (row: Row, bit: number): DrawnField | undefined =>
  row?.find((cell) => bit >= cell.from && bit < cell.to)?.field;

/** The line between two rows: solid between fields, dashed where one field goes on, and a junction wherever cells meet. */
const drawBorder = (above: Row, below: Row): string => {
  const line = (bit: number): '' | '─' | '╌' => {
    const up = fieldAt(above, bit);
    const down = fieldAt(below, bit);
    if (up === undefined && down === undefined) return '';
    return up === down ? '╌' : '─';
  };
  const edge = (row: Row, at: number): boolean => row?.some((cell) => cell.from === at || cell.to === at) ?? false;
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

export const centre = (text: string, width: number): string => {
  const shown = text.length > width ? text.slice(0, width) : text;
  const left = Math.floor((width - shown.length) / 2);
  return ' '.repeat(left) + shown + ' '.repeat(width - left - shown.length);
};

/** The last drawn cell of a long field says how much is left out. */
export const labelOf = (cell: Cell<DrawnField>): string => {
  if (cell.left > 0)
    return `${cell.field.name} (${cell.left === Infinity ? 'more than 2^53' : cell.left.toLocaleString('en-US')} more bytes)`;
  return cell.continued ? `${cell.field.name} (continued)` : cell.field.name;
};

/** Bits for the first two octets, hexadecimal octets in the middle of their eight bits for the rest. */
const valueLine = (cell: Cell<DrawnField>, row: number, wire: Uint8Array): string => {
  const start = row * BITS + cell.from;
  if (start < 16) {
    const bits: string[] = [];
    for (let bit = start; bit < row * BITS + cell.to; bit++) {
      const octet = wire[bit >> 3];
      bits.push(octet === undefined ? '·' : String((octet >> (7 - (bit & 7))) & 1));
    }
    return bits.join(' ');
  }
  const slots: string[] = [];
  for (let bit = start; bit < row * BITS + cell.to; bit += 8) {
    const octet = wire[bit >> 3];
    slots.push(centre(octet === undefined ? '··' : octet.toString(16).padStart(2, '0'), 15));
  }
  return slots.join(' ');
};

/** The ruler of bits, tens above ones. */
const ruler = (style: Style): string[] => {
  const tens = Array.from({ length: BITS }, (_, i) => (i % 10 === 0 ? String(i / 10) : ' ')).join(' ');
  const ones = Array.from({ length: BITS }, (_, i) => String(i % 10)).join(' ');
  return [tens.trimEnd(), ones].map((line) => ' '.repeat(GUTTER + 1) + style.dim(line));
};

export const drawPicture = <Field extends DrawnField>(
  drawn: Drawn<Field>,
  look: Look<Field>,
  style: Style,
): string[] => {
  const rows = layRows(drawn.fields);
  const lines = ruler(style);
  const pad = ' '.repeat(GUTTER);
  const bar = style.dim('│');
  let above = -1;
  for (const [index, row] of rows) {
    // A field that follows a long one that was not drawn whole.
    if (index > above + 1)
      lines.push(pad + style.dim(drawBorder(rows.get(above), undefined)), `${pad}${style.dim('⋮')}`);
    lines.push(pad + style.dim(drawBorder(rows.get(index - 1), row)));
    above = index;
    const columns = row.map((cell) => {
      const width = (cell.to - cell.from) * 2 - 1;
      const names = look.names(cell, width, index === 0).map((text) => style.dim(text));
      return [...names, look.paint(cell.field)(valueLine(cell, index, drawn.wire))];
    });
    const height = columns[0]?.length ?? 0;
    // After a gap a row may begin in the middle.
    const indent = '  '.repeat(row[0]?.from ?? 0);
    for (let line = 0; line < height; line++) {
      const last = line === height - 1;
      const offset = last ? style.dim(String(drawn.offset + index * 4).padStart(GUTTER - 2)) : ' '.repeat(GUTTER - 2);
      lines.push(`${offset}  ${indent}${bar}${columns.map((column) => column[line] ?? '').join(bar)}${bar}`);
    }
  }
  lines.push(pad + style.dim(drawBorder(rows.get(above), undefined)));
  return lines;
};
