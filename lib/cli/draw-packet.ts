// One explained packet → the names, values and colours in its picture, by the wire tables of the packet layer. Where they stand is draw.ts.
import type { ExplainedPacket, ExplainedPacketField, PacketFieldName } from '../index.js';
import { type Cell, centre, drawPicture, labelOf } from './draw.js';
import type { Paint, Style } from './style.js';

/** Names too long for the bits they stand over. */
const SHORT: Partial<Readonly<Record<PacketFieldName, string>>> = {
  'EC Public Key Size (E)': 'Key Size (E)',
  'Certificate Size (C)': 'Cert. Size (C)',
  'Error Major': 'Major',
  'Error Minor': 'Minor',
};

const TYPES: Readonly<Record<string, string>> = { HEARTBEAT: 'HEARTB.' };

const names = (cell: Cell<ExplainedPacketField>, width: number, first: boolean): string[] => {
  const { field } = cell;
  const label = labelOf(cell);
  const name = label.length > width ? (SHORT[field.name] ?? field.name) : label;
  if (!first) return [centre(name, width)];
  return [name, shortValue(field)].map((text) => centre(text, width));
};

const shortValue = ({ name, value, meaning }: ExplainedPacketField): string => {
  if (value === null) return 'cut off';
  if (name === 'Type') return TYPES[meaning] ?? meaning.replace('RESERVED', 'res.');
  return name === 'Flags' ? `0x${value.toString(16).padStart(2, '0')}` : String(value);
};

/** Which fields a fault is about, to show them in red. */
const ACCUSED: Readonly<Record<string, readonly PacketFieldName[]>> = {
  VERSION: ['Version'],
  PACKET_TYPE: ['Type'],
  FLAGS: ['Flags'],
  SEQUENCE_ID: ['Sequence ID'],
  FRAGMENT_ID: ['Fragment ID'],
  FRAGMENT_NUMBER: ['Fragment Number'],
  INIT_VECTOR: ['Init Vector', 'Data'],
  COMPRESSION: ['Data'],
  CHECKSUM: ['Checksum Hash'],
  CONNECTION: ['EC Public Key'],
};

const colourOf = (field: ExplainedPacketField, packet: ExplainedPacket, style: Style): Paint => {
  const accused = packet.faults.some(({ code }) => ACCUSED[code]?.includes(field.name) ?? false);
  if (accused || field.value === null) return (text) => style.bold(style.red(text));
  if (field.name === 'Type') return style.magenta;
  if (field.name === 'Flags') return style.yellow;
  if (field.name === 'Sequence ID' || field.name === 'Init Vector') return style.green;
  return field.name === 'Data' || field.name === 'Certificate' ? style.blue : style.cyan;
};

/** `offset`: where the packet lies in what it was taken from. */
export const drawPacket = (packet: ExplainedPacket, style: Style, offset = 0): string[] =>
  drawPicture(
    { fields: packet.fields, wire: packet.wire, offset },
    { names, paint: (field) => colourOf(field, packet, style) },
    style,
  );
