// One packet: bytes → fields, judged in the order PROTOCOL.md section 7 fixes (steps 1 to 8 as far as one packet shows them, and
// the mode check of step 9). Fields → bytes is write.ts. Knows no numbers, no keys, no other packets: those are number.ts,
// pipeline.ts and reassembly.ts. PROTOCOL.md sections 2.2, 3.5 and 4.
import { type PacketFault, packetFault } from './codes.js';
import type { Packet, ParseContext } from './packet.js';
import { mayCarry, mayCome, suitsMode } from './rules.js';
import { FLAG, HEARTBEAT, MAX_DATA, RESERVED_FLAGS, TAG, TYPE } from './wire.js';

export type { Packet, ParseContext } from './packet.js';
export {
  aadOf,
  checkedOf,
  headerSize,
  type PacketFields,
  writeAad,
  writeChecked,
  writePacket,
  writeTsf,
} from './write.js';

const EMPTY: Uint8Array = new Uint8Array(0);

const u16 = (b: Uint8Array, at: number): number => ((b[at] as number) << 8) | (b[at + 1] as number);

export const parsePacket = (bytes: Uint8Array, context: ParseContext): Packet | PacketFault => {
  const size = bytes.length;
  // Step 1.
  if (size < 4) return packetFault('PACKET', 'shorter than 4 octets');
  const first = bytes[0] as number;
  // Step 2.
  if (first > 15) return packetFault('VERSION', `version ${first >> 4}`);
  const type = first;
  const flags = bytes[1] as number;
  // Step 3.
  if (!mayCome(type, context)) return packetFault('PACKET_TYPE', `type ${type}`);
  // Step 4.
  if (!mayCarry(type, flags, context)) return packetFault('FLAGS', flagDetail(flags));
  // Step 5: the optional fields in the order of section 2.2.
  let at = 4;
  let fragmentId = 0;
  let fragmentCount = 0;
  let initVector = 0;
  let checksum = 0;
  const fragmented = (flags & FLAG.frag) !== 0;
  const sealed = (flags & FLAG.encrypted) !== 0;
  const checked = (flags & FLAG.checksum) !== 0;
  if (size < 4 + (fragmented ? 2 : 0) + (sealed ? 2 : 0) + (checked ? 2 : 0)) {
    return packetFault('PACKET', 'the header is cut off');
  }
  if (fragmented) {
    fragmentId = bytes[at] as number;
    fragmentCount = bytes[at + 1] as number;
    at += 2;
  }
  if (sealed) {
    initVector = u16(bytes, at);
    at += 2;
  }
  if (checked) {
    checksum = u16(bytes, at);
    at += 2;
  }
  const tsfStart = at;
  let ackId = 0;
  let ackBits = 0;
  let heartbeat = 0;
  let major = 0;
  let minor = 0;
  let publicKey: Uint8Array = EMPTY;
  let certificate: Uint8Array | undefined;
  switch (type) {
    case TYPE.ack:
      if (size < at + 4) return packetFault('PACKET', 'ACK ID or ACK Bits are cut off');
      ackId = u16(bytes, at);
      ackBits = u16(bytes, at + 2);
      at += 4;
      // Section 4: only the handshake puts Data into an ACK.
      if (context.open && size - at !== (sealed ? TAG : 0)) return packetFault('PACKET', 'an ACK with Data');
      break;
    case TYPE.auth: {
      const wrong = checkAuth(bytes, at, context.maxCertificate);
      if (wrong !== undefined) return packetFault('PACKET', wrong);
      const keyEnd = at + 2 + (bytes[at + 1] as number);
      publicKey = bytes.subarray(at + 2, keyEnd);
      if (keyEnd < size) certificate = bytes.subarray(keyEnd + 2);
      at = size;
      break;
    }
    case TYPE.heartbeat:
      if (size < at + 1) return packetFault('PACKET', 'the Heartbeat field is cut off');
      heartbeat = bytes[at++] as number;
      if (heartbeat > HEARTBEAT.pong) return packetFault('PACKET', `Heartbeat ${heartbeat}`);
      break;
    case TYPE.error:
      if (size < at + 1) return packetFault('PACKET', 'the error code is cut off');
      major = (bytes[at] as number) >> 4;
      minor = (bytes[at++] as number) & 15;
      break;
    default:
  }
  const length = size - at;
  if (fragmented) {
    // Step 6.
    if (fragmentCount < 2) return packetFault('FRAGMENT_NUMBER', `Fragment Number ${fragmentCount}`);
    // Step 7.
    if (fragmentId >= fragmentCount) {
      return packetFault('FRAGMENT_ID', `Fragment ID ${fragmentId} of ${fragmentCount}`);
    }
    // Step 8: all but the last are full, so every fragment's place follows from its id.
    const last = fragmentId === fragmentCount - 1;
    if (last ? length === 0 || length > MAX_DATA : length !== MAX_DATA) {
      return packetFault('PACKET', `a fragment of ${length} octets`);
    }
  } else if (length > MAX_DATA) return packetFault('PACKET', `Data of ${length} octets`);
  else if (sealed && length < TAG) return packetFault('PACKET', `sealed Data of ${length} octets`);
  // Step 9, as far as the modes of the two ends differ.
  if (!suitsMode(type, context)) return packetFault('CONNECTION', 'the other end has another security mode');
  return {
    type,
    flags,
    sequence: u16(bytes, 2),
    fragmentId,
    fragmentCount,
    initVector,
    checksum,
    ackId,
    ackBits,
    heartbeat,
    major,
    minor,
    publicKey,
    certificate,
    // Not `subarray`: of a Buffer it makes another one, which takes twice as long.
    data: length === 0 ? EMPTY : new Uint8Array(bytes.buffer, bytes.byteOffset + at, length),
    tsfStart,
    tsfEnd: at,
    bytes,
  };
};

const flagDetail = (flags: number): string => {
  const octet = `flags 0x${flags.toString(16).padStart(2, '0')}`;
  return (flags & RESERVED_FLAGS) === 0 ? octet : `${octet}: a reserved bit`;
};

/** Section 4: Reserved, E, the key, then nothing or C ≥ 1 and exactly C octets. What is wrong, or undefined. */
const checkAuth = (bytes: Uint8Array, at: number, maxCertificate: number): string | undefined => {
  const size = bytes.length;
  if (size < at + 2) return 'Reserved or E is cut off';
  if (bytes[at] !== 0) return `Reserved is ${bytes[at]}`;
  const keyEnd = at + 2 + (bytes[at + 1] as number);
  if (size < keyEnd) return 'the key is cut off';
  if (size === keyEnd) return undefined;
  if (size < keyEnd + 2) return 'C is cut off';
  const length = u16(bytes, keyEnd);
  if (length === 0) return 'C is 0';
  if (length > maxCertificate) return `a certificate of ${length} octets`;
  return size === keyEnd + 2 + length ? undefined : 'C does not fit the packet';
};
