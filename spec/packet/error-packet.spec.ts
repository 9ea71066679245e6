// ERROR packets, written and understood: PROTOCOL.md sections 4, 7 and 11.1.
import t from 'tap';
import { nodeSuite } from '../../lib/crypto/node.js';
import { PACKET_CODES, type PacketCode } from '../../lib/packet/codes.js';
import { errorPacket, faultOfError, isError } from '../../lib/packet/error-packet.js';
import { Protector } from '../../lib/packet/protect.js';
import { ascii, clear, fromHex, Puppet, readPacket, toHex } from './handshake-scene.js';

t.test('the ERROR packets of section 11.1', async (t) => {
  const plain = errorPacket(nodeSuite, undefined, 9, 'CHECKSUM', 'checksum');
  t.equal(toHex(plain), '0400000939636865636b73756d');
  const checked = errorPacket(nodeSuite, undefined, 1, 'SERVER_DISCONNECT', '', true);
  t.equal(toHex(checked), '0440000128ff21');
});

t.test('every code goes over and comes back', async (t) => {
  const puppet = new Puppet('client');
  const [c2s, s2c] = [1, 2].map((n) => new Protector(nodeSuite, new Uint8Array(32).fill(n), new Uint8Array(12)));
  puppet.receive = s2c;
  for (const code of Object.keys(PACKET_CODES) as PacketCode[]) {
    const { major, minor, phrase } = PACKET_CODES[code];
    const clearly = readPacket(errorPacket(nodeSuite, undefined, 3, code), false);
    const fault = { kind: 'packet-fault', code, detail: `${major}.${minor} ${phrase}` };
    t.strictSame(faultOfError(clearly, clearly.data), fault);
    t.ok(phrase.length <= 123);
    const bytes = errorPacket(nodeSuite, s2c, 0x12345, code);
    t.equal(toHex(bytes.subarray(0, 6)), '041023450001', 'sealed under its number');
    t.strictSame(faultOfError(readPacket(bytes, true), puppet.open(bytes)), fault);
  }
  puppet.receive = c2s;
  t.throws(() => puppet.open(errorPacket(nodeSuite, s2c, 1, 'DISCONNECT')));
});

t.test('a code that version 0 does not know is 2.0, and is kept for the log', async (t) => {
  for (const octet of [0x00, 0x05, 0x14, 0x1f, 0x23, 0x3a, 0x3f, 0x40, 0x99, 0xff]) {
    const packet = readPacket(fromHex(`04000000${octet.toString(16).padStart(2, '0')}`), false);
    const detail = `${octet >> 4}.${octet & 15}`;
    t.strictSame(faultOfError(packet, packet.data), { kind: 'packet-fault', code: 'DISCONNECT', detail });
  }
});

t.test('a text cannot move the cursor of a terminal, forge a line of a log or fill it', async (t) => {
  const said = (text: Uint8Array): string | undefined => {
    const packet = readPacket(clear({ type: 4, flags: 0x40, sequence: 0, major: 2, minor: 0, data: text }), false);
    return faultOfError(packet, packet.data).detail;
  };
  t.equal(said(ascii('a\u001b[2Jb\r\nc\u0000d\u007fe\u0085f')), '2.0 a [2Jb  c d e\ufffdf');
  t.equal(said(new TextEncoder().encode('a\u0085b\u202ec\u2028d\u2066e')), '2.0 a b c d e');
  const tagged = 'a\u200eb\u200fc\u061cd\ufeffe\u{e0041}f\u{e007f}g\u200dh';
  t.equal(said(new TextEncoder().encode(tagged)), '2.0 a b c d e f g\u200dh', 'a joiner belongs to letters');
  t.equal(said(new TextEncoder().encode('grüße 😀')), '2.0 grüße 😀');
  t.equal(said(fromHex('fffe41')), '2.0 \ufffd\ufffdA', 'not UTF-8');
  t.equal(said(ascii('x'.repeat(900)))?.length, 4 + 123);
});

t.test('a long text of ours is cut', async (t) => {
  const packet = readPacket(errorPacket(nodeSuite, undefined, 0, 'DISCONNECT', 'y'.repeat(500)), false);
  t.equal(packet.data.length, 123);
});

t.test('an ERROR is known by its type, whatever is wrong with the rest', async (t) => {
  for (const text of ['04', '0407', '14000000', 'f4ff']) t.ok(isError(fromHex(text)), text);
  for (const text of ['', '00', '02c0', '40000000']) t.notOk(isError(fromHex(text)), text);
});
