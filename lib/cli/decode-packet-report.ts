// Explained packets → lines for a person: the drawing with every field and what it says below it, or one line a packet, and a last line
// that sums up. What was wrong with the frames around them is said as well.
import type { ExplainedPacket, ExplainedPacketFault } from '../index.js';
import { drawPacket } from './draw-packet.js';
import type { Style } from './style.js';
import { count, escapeControl, hexDump, hexOf, quote } from './terminal.js';

const LABEL = 24;
const line = (label: string, text: string, style: Style): string => `  ${style.dim(label.padEnd(LABEL))}${text}`;

const SENDERS = { client: 'client → server', server: 'server → client' } as const;

const title = (packet: ExplainedPacket, style: Style): string => {
  const words = [style.bold(`packet ${packet.index + 1}`), style.bold(style.magenta(packet.name))];
  if (packet.sender !== undefined) words.push(SENDERS[packet.sender]);
  if (packet.number !== undefined) words.push(`number ${packet.number}`);
  words.push(count(packet.wire.length, 'octet'));
  return words.join(style.dim(' · '));
};

const valueText = (value: number | null, bits: number): string => {
  if (value === null) return '–';
  return bits <= 4 ? String(value) : `0x${value.toString(16).padStart(bits / 4, '0')}`;
};

/** Fields whose value is a number of octets. */
const STRETCHES = new Set(['EC Public Key', 'Certificate', 'Data']);

const fieldLines = (packet: ExplainedPacket, style: Style): string[] =>
  packet.fields.map(({ name, bits, value, meaning }) => {
    const shown = STRETCHES.has(name) ? '' : `${valueText(value, bits).padEnd(8)}`;
    return line(name, `${shown}${escapeControl(meaning)}`, style);
  });

const CHECKSUMS = {
  right: 'right',
  wrong: 'wrong',
  later: 'with the whole message',
  inside: 'inside the seal',
} as const;

const SEALS = {
  opened: 'opened',
  'no key': 'not opened: no key for it',
  later: 'with the whole message',
  wrong: 'does not open',
} as const;

const dump = (bytes: Uint8Array, style: Style, limit: number): string[] =>
  limit > 0 ? hexDump(bytes, style, { limit }).map((row) => `  ${' '.repeat(LABEL)}${row}`) : [];

const messageLines = (packet: ExplainedPacket, style: Style, limit: number): string[] => {
  const { message } = packet;
  if (message === undefined || packet.blocks !== undefined) return [];
  const from = message.fragments > 1 ? ` from ${message.fragments} fragments` : '';
  const text = message.text === undefined ? '' : `  ${style.green(quote(message.text, Math.max(limit, 40)))}`;
  const lines = [line('message', `${count(message.data.length, 'octet')}${from}${text}`, style)];
  return message.text === undefined ? [...lines, ...dump(message.data, style, limit)] : lines;
};

const faultText = ({ name, phrase, detail }: ExplainedPacketFault): string =>
  `${name}: ${phrase}${detail === undefined ? '' : ` (${escapeControl(detail)})`}`;

export const reportPacket = (packet: ExplainedPacket, style: Style, limit: number): string[] => {
  const lines = [title(packet, style), ...drawPacket(packet, style), ...fieldLines(packet, style)];
  if (packet.sealed !== 'no') {
    const paint = packet.sealed === 'opened' ? style.green : style.yellow;
    lines.push(line('seal', paint(SEALS[packet.sealed]), style));
  }
  if (packet.checksum !== 'none') lines.push(line('checksum', CHECKSUMS[packet.checksum], style));
  if (packet.message === undefined && packet.data.length > 0) {
    lines.push(
      line('data', `${count(packet.data.length, 'octet')} on the wire:`, style),
      ...dump(packet.data, style, limit),
    );
  }
  lines.push(...messageLines(packet, style, limit));
  for (const { name, meaning } of packet.blocks ?? []) lines.push(line(name, meaning, style));
  for (const fault of packet.faults) {
    lines.push(line('fault', style.red(faultText(fault)), style));
    lines.push(line('', style.dim(`${fault.section}; a receiver closes with ${fault.close}`), style));
  }
  for (const note of packet.notes) lines.push(line('note', escapeControl(note), style));
  return lines;
};

/** One packet on one line, in columns. */
export const reportPacketShort = (packet: ExplainedPacket, style: Style): string => {
  const sender = packet.sender === undefined ? '        ' : packet.sender === 'client' ? 'client →' : '← server';
  const columns = [
    style.dim(String(packet.number ?? '–').padStart(8)),
    sender,
    style.magenta(packet.name.padEnd(9)),
    style.yellow(String(packet.data.length).padStart(4)),
    packet.flagNames.join(' ').padEnd(24),
    preview(packet, style),
  ];
  const faults = packet.faults.map(({ name }) => style.red(name)).join(' ');
  return `${columns.join('  ').trimEnd()}${faults === '' ? '' : `  ${faults}`}`;
};

const preview = (packet: ExplainedPacket, style: Style): string => {
  const own = packet.fields.filter(({ name }) => name === 'Heartbeat' || name === 'Error Minor').map((f) => f.meaning);
  if (packet.acknowledges.length > 0) own.push(`acknowledges ${packet.acknowledges.join(' ')}`);
  if (packet.blocks !== undefined) own.push(packet.blocks.map(({ name }) => name).join(' '));
  else if (packet.message?.text !== undefined && packet.message.text !== '') {
    own.push(style.green(quote(packet.message.text, 40)));
  } else {
    const bytes = packet.message?.data ?? packet.data;
    if (bytes.length > 0) own.push(style.blue(hexOf(bytes.subarray(0, 12)) + (bytes.length > 12 ? ' …' : '')));
  }
  if (packet.fields.some(({ name }) => name === 'Fragment ID') && packet.message === undefined) {
    const [id, total] = ['Fragment ID', 'Fragment Number'].map(
      (name) => packet.fields.find((f) => f.name === name)?.value,
    );
    own.push(`fragment ${id} of ${total}`);
  }
  return own.join(' ');
};

export const reportPacketSummary = (
  packets: readonly ExplainedPacket[],
  outside: readonly string[],
  style: Style,
): string[] => {
  const messages = packets.filter(({ message, name }) => message !== undefined && name === 'DEFAULT').length;
  const sealed = packets.filter((packet) => packet.sealed === 'no key').length;
  const faults = packets.reduce((sum, packet) => sum + packet.faults.length, 0) + outside.length;
  const words = [count(packets.length, 'packet'), count(messages, 'message')];
  if (sealed > 0) words.push(style.yellow(`${sealed} not opened`));
  words.push(faults === 0 ? style.green('no faults') : style.red(count(faults, 'fault')));
  return [...outside.map((text) => style.red(escapeControl(text))), words.join(style.dim(' · '))];
};
