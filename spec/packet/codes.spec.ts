import t from 'tap';
import {
  closeCodeOf,
  codeFrom,
  codeText,
  isKnownCode,
  octetOf,
  PACKET_CODES,
  type PacketCode,
  packetFault,
} from '../../lib/packet/codes.js';

/** Seed 001, "Error Codes". */
const TABLE: readonly (readonly [code: PacketCode, octet: number, text: string, close: number])[] = [
  ['CONNECTION', 0x10, '1.0 CONNECTION', 4100],
  ['NO_SPACE', 0x11, '1.1 NO SPACE', 4101],
  ['CERTIFICATE_INVALID', 0x12, '1.2 CERTIFICATE INVALID', 4102],
  ['FINISH_INVALID', 0x13, '1.3 FINISH INVALID', 4103],
  ['DISCONNECT', 0x20, '2.0 DISCONNECT', 4200],
  ['SERVER_DISCONNECT', 0x21, '2.1 SERVER DISCONNECT', 4201],
  ['CLIENT_DISCONNECT', 0x22, '2.2 CLIENT DISCONNECT', 4202],
  ['PACKET', 0x30, '3.0 PACKET', 4300],
  ['VERSION', 0x31, '3.1 VERSION', 4301],
  ['PACKET_TYPE', 0x32, '3.2 PACKET TYPE', 4302],
  ['FLAGS', 0x33, '3.3 FLAGS', 4303],
  ['SEQUENCE_ID', 0x34, '3.4 SEQUENCE ID', 4304],
  ['FRAGMENT_ID', 0x35, '3.5 FRAGMENT ID', 4305],
  ['FRAGMENT_NUMBER', 0x36, '3.6 FRAGMENT NUMBER', 4306],
  ['INIT_VECTOR', 0x37, '3.7 INIT VECTOR', 4307],
  ['COMPRESSION', 0x38, '3.8 COMPRESSION', 4308],
  ['CHECKSUM', 0x39, '3.9 CHECKSUM', 4309],
];

t.test('every code has its octet, its name and its close code', async (t) => {
  t.strictSame(
    TABLE.map(([code]) => code),
    Object.keys(PACKET_CODES),
  );
  for (const [code, octet, text, close] of TABLE) {
    t.equal(octetOf(code), octet);
    t.equal(codeText(code), text);
    t.equal(closeCodeOf(code), close);
    t.equal(codeFrom(octet >> 4, octet & 15), code);
    t.ok(PACKET_CODES[code].phrase.length > 10, `${text} has a phrase`);
  }
});

t.test('what version 0 does not know is read as 2.0', async (t) => {
  const known = new Set(TABLE.map(([, octet]) => octet));
  for (let octet = 0; octet < 256; octet++) {
    t.equal(isKnownCode(octet >> 4, octet & 15), known.has(octet));
    if (!known.has(octet)) t.equal(codeFrom(octet >> 4, octet & 15), 'DISCONNECT', octet.toString(16));
  }
});

t.test('a fault is a value, with a detail only when there is one', async (t) => {
  t.strictSame(packetFault('FLAGS'), { kind: 'packet-fault', code: 'FLAGS' });
  t.strictSame(packetFault('FLAGS', 'why'), { kind: 'packet-fault', code: 'FLAGS', detail: 'why' });
});
