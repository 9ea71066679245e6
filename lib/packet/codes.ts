// The error codes of the packet layer as one table: name → major, minor, the phrase for people; and a fault as a value. A code is
// what an ERROR packet carries and what the WebSocket is closed with. Knows no packet. PROTOCOL.md section 7.

export const PACKET_CODES = {
  CONNECTION: { major: 1, minor: 0, name: 'CONNECTION', phrase: 'the handshake could not be finished' },
  NO_SPACE: { major: 1, minor: 1, name: 'NO SPACE', phrase: 'the server has no room for another session' },
  CERTIFICATE_INVALID: { major: 1, minor: 2, name: 'CERTIFICATE INVALID', phrase: 'the certificate is not accepted' },
  FINISH_INVALID: { major: 1, minor: 3, name: 'FINISH INVALID', phrase: 'the handshake was not confirmed' },
  DISCONNECT: { major: 2, minor: 0, name: 'DISCONNECT', phrase: 'the session was ended' },
  SERVER_DISCONNECT: { major: 2, minor: 1, name: 'SERVER DISCONNECT', phrase: 'the server is shutting down' },
  CLIENT_DISCONNECT: { major: 2, minor: 2, name: 'CLIENT DISCONNECT', phrase: 'the client is leaving' },
  PACKET: { major: 3, minor: 0, name: 'PACKET', phrase: 'the packet cannot be read' },
  VERSION: { major: 3, minor: 1, name: 'VERSION', phrase: 'the packet has another version' },
  PACKET_TYPE: { major: 3, minor: 2, name: 'PACKET TYPE', phrase: 'the packet type is unknown or has no place here' },
  FLAGS: { major: 3, minor: 3, name: 'FLAGS', phrase: 'the flags are unknown or have no place here' },
  SEQUENCE_ID: { major: 3, minor: 4, name: 'SEQUENCE ID', phrase: 'the sequence id is not the expected one' },
  FRAGMENT_ID: { major: 3, minor: 5, name: 'FRAGMENT ID', phrase: 'the fragment id is invalid' },
  FRAGMENT_NUMBER: { major: 3, minor: 6, name: 'FRAGMENT NUMBER', phrase: 'the fragment number is invalid' },
  INIT_VECTOR: { major: 3, minor: 7, name: 'INIT VECTOR', phrase: 'the packet could not be opened' },
  COMPRESSION: { major: 3, minor: 8, name: 'COMPRESSION', phrase: 'the data could not be inflated' },
  CHECKSUM: { major: 3, minor: 9, name: 'CHECKSUM', phrase: 'the checksum does not match' },
} as const;

export type PacketCode = keyof typeof PACKET_CODES;

/** What a peer's packet did wrong. `detail` is for our own log and never reaches the peer. */
export interface PacketFault {
  readonly kind: 'packet-fault';
  readonly code: PacketCode;
  readonly detail?: string;
}

export const packetFault = (code: PacketCode, detail?: string): PacketFault =>
  detail === undefined ? { kind: 'packet-fault', code } : { kind: 'packet-fault', code, detail };

/** The WebSocket close code: 4309 for 3.9. */
export const closeCodeOf = (code: PacketCode): number => {
  const { major, minor } = PACKET_CODES[code];
  return 4000 + 100 * major + minor;
};

/** The octet of an ERROR packet: major in the high nibble. */
export const octetOf = (code: PacketCode): number => (PACKET_CODES[code].major << 4) | PACKET_CODES[code].minor;

const BY_OCTET: ReadonlyMap<number, PacketCode> = new Map(
  (Object.keys(PACKET_CODES) as PacketCode[]).map((code) => [octetOf(code), code]),
);

/** Whether version 0 gives this pair a meaning. */
export const isKnownCode = (major: number, minor: number): boolean => BY_OCTET.has((major << 4) | minor);

/** PROTOCOL.md section 7: what version 0 does not know is read as 2.0. */
export const codeFrom = (major: number, minor: number): PacketCode =>
  BY_OCTET.get((major << 4) | minor) ?? 'DISCONNECT';

/** `3.9 CHECKSUM`: how a code is written for people. */
export const codeText = (code: PacketCode): string => {
  const { major, minor, name } = PACKET_CODES[code];
  return `${major}.${minor} ${name}`;
};
