// What `wsd decode --layer packet --json` writes: one object a line, bytes in hexadecimal, names as in the public types.
import type { ExplainedPacket } from '../index.js';
import { hexOf } from './terminal.js';

export const jsonPacket = (packet: ExplainedPacket): string =>
  JSON.stringify({
    type: 'packet',
    index: packet.index,
    sender: packet.sender,
    packetType: packet.type,
    name: packet.name,
    flags: packet.flags,
    flagNames: packet.flagNames,
    number: packet.number,
    fields: packet.fields,
    wire: hexOf(packet.wire, ''),
    data: hexOf(packet.data, ''),
    sealed: packet.sealed,
    checksum: packet.checksum,
    acknowledges: packet.acknowledges,
    message: packet.message && {
      data: hexOf(packet.message.data, ''),
      fragments: packet.message.fragments,
      text: packet.message.text,
    },
    blocks: packet.blocks?.map(({ type, name, value, meaning }) => ({ type, name, value: hexOf(value, ''), meaning })),
    faults: packet.faults,
    notes: packet.notes,
  });

/** `outside`: what is wrong with the frames around the packets. */
export const jsonPacketEnd = (packets: readonly ExplainedPacket[], outside: readonly string[]): string =>
  JSON.stringify({
    type: 'end',
    packets: packets.length,
    messages: packets.filter(({ message, name }) => message !== undefined && name === 'DEFAULT').length,
    notOpened: packets.filter(({ sealed }) => sealed === 'no key').length,
    faults: packets.reduce((sum, packet) => sum + packet.faults.length, 0) + outside.length,
    outside,
  });
