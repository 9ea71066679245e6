// ERROR packets: a code → the packet, and a packet → what it means. The text in them is for logs: ours is fixed and tells nothing about our
// state, theirs is cleaned before anyone sees it. PROTOCOL.md sections 4 and 7.
import type { Suite } from '../crypto/suite.js';
import { codeFrom, PACKET_CODES, type PacketCode, type PacketFault, packetFault } from './codes.js';
import type { Packet } from './header.js';
import { sequenceOf, vectorOf } from './number.js';
import { checksumOf, type Protector, sealBody } from './protect.js';
import { FLAG, TYPE } from './wire.js';
import { writePacket, writeTsf } from './write.js';

/** Section 7: no log text is longer. */
export const MAX_TEXT = 123;

/** Sealed when there are keys (`protector`), with CHECKSUM when there are none and `checksum` says so. */
export function errorPacket(
  suite: Suite,
  protector: Protector | undefined,
  number: number,
  code: PacketCode,
  text: string = PACKET_CODES[code].phrase,
  checksum = false,
): Uint8Array {
  const { major, minor } = PACKET_CODES[code];
  const data = new TextEncoder().encode(text).subarray(0, MAX_TEXT);
  const flags = protector !== undefined ? FLAG.encrypted : checksum ? FLAG.checksum : 0;
  const fields = { type: TYPE.error, flags, sequence: sequenceOf(number), major, minor };
  const head = { type: TYPE.error, flags, number, tsf: writeTsf(fields) };
  if (protector !== undefined) {
    return writePacket({ ...fields, initVector: vectorOf(number), ...sealBody(protector, head, 0, data) });
  }
  return writePacket({ ...fields, checksum: checksum ? checksumOf(suite, head, data) : 0, data });
}

/** `body`: the opened Data. The code as it came and the text are in the detail. */
export function faultOfError(packet: Packet, body: Uint8Array): PacketFault {
  const said = `${packet.major}.${packet.minor} ${cleaned(body)}`.trimEnd();
  // Section 7: what version 0 does not know is 2.0, and the code is kept for the log.
  return packetFault(codeFrom(packet.major, packet.minor), said);
}

/** Never answer an ERROR with an ERROR: known by its first octet alone, since the rest may be what is wrong with it. */
export const isError = (bytes: Uint8Array): boolean => ((bytes[0] ?? 0) & 15) === TYPE.error;

/** C0, DEL and C1; marks that turn the direction of writing; line and paragraph separators; the byte order mark; tags. */
const UNSEEN: readonly (readonly [from: number, to: number])[] = [
  [0, 0x1f],
  [0x7f, 0x9f],
  [0x061c, 0x061c],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2066, 0x2069],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe007f],
];

/** A peer's text must not move a terminal's cursor or forge a line of a log. */
function cleaned(body: Uint8Array): string {
  let text = '';
  for (const char of new TextDecoder().decode(body.subarray(0, MAX_TEXT))) {
    const point = char.codePointAt(0) as number;
    text += UNSEEN.some(([from, to]) => point >= from && point <= to) ? ' ' : char;
  }
  return text;
}
