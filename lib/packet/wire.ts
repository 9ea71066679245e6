// The numbers a packet is written with: types, flags and the fixed sizes around them. Names ↔ numbers and nothing else: what may
// stand beside what is rules.ts, where it stands is header.ts. PROTOCOL.md sections 2.2, 2.3 and 10.

/** PROTOCOL.md section 2.2: the low nibble of the first octet; 5..15 are reserved. */
export const TYPE = { default: 0, ack: 1, auth: 2, heartbeat: 3, error: 4 } as const;

/** PROTOCOL.md section 2.2: the second octet, in the order a packet is encoded. */
export const FLAG = { reliable: 0x80, checksum: 0x40, compressed: 0x20, encrypted: 0x10, frag: 0x08 } as const;

/** Bits of the second octet that are 0 in version 0. */
export const RESERVED_FLAGS = 0x07;

/** PROTOCOL.md section 4: the one octet of a HEARTBEAT. */
export const HEARTBEAT = { ping: 0, pong: 1 } as const;

/** PROTOCOL.md section 2.2: Data on the wire, the tag counted. */
export const MAX_DATA = 988;
/** PROTOCOL.md section 3.4: the tag at the end of sealed Data. */
export const TAG = 16;
/** PROTOCOL.md section 3.5: so a message is at most 251,940 octets on the wire. */
export const MAX_FRAGMENTS = 255;
/** PROTOCOL.md section 6.2: an uncompressed P-256 point. */
export const KEY_SIZE = 65;
/** PROTOCOL.md section 3.4: the number at which a sealed session ends, 2^16 short of the end of its number space. */
export const LAST_NUMBER: number = 2 ** 32 - 2 ** 16;

const TYPE_NAMES = ['DEFAULT', 'ACK', 'AUTH', 'HEARTBEAT', 'ERROR'] as const;
const FLAG_NAMES = ['RELIABLE', 'CHECKSUM', 'COMPRESSED', 'ENCRYPTED', 'FRAG', 'bit 5', 'bit 6', 'bit 7'] as const;

export const typeName = (type: number): string => TYPE_NAMES[type] ?? `RESERVED ${type}`;

/** The names of the set bits, from the left; a reserved bit is named by its place. */
export const flagNames = (flags: number): string[] => FLAG_NAMES.filter((_, bit) => (flags & (0x80 >> bit)) !== 0);
