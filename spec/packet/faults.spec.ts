// PROTOCOL.md section 7 against an open session, row by row: the smallest input that breaks the rule, the code it must get, the code the
// WebSocket is closed with, and that nothing was delivered. Then the rows two by two, since the first failure decides.
import t from 'tap';
import { Ends, type EndsOptions, type Recorder } from '../../fixtures/rig/packets.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { RAW, type RawPeer, rawClient, rawServer } from '../../fixtures/rig/raw-peer.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import { closeCodeOf, octetOf, type PacketCode } from '../../lib/packet/codes.js';
import type { PacketSession } from '../../lib/packet/session-types.js';

const { reliable: REL, checksum: CK, compressed: COMP, encrypted: ENC, frag: FRAG } = RAW;
type Side = 'server' | 'client';
type Mode = 'required' | 'none';

interface Scene {
  readonly ends: Ends;
  readonly peer: RawPeer;
  readonly session: PacketSession;
  readonly sink: Recorder;
  /** ENCRYPTED, in a secured session. */
  readonly enc: number;
}

const scene = (mode: Mode, side: Side, options: EndsOptions = {}): Scene => {
  const ends = new Ends({ mode, ...options });
  const peer = side === 'server' ? rawClient(ends, mode) : rawServer(ends, mode);
  const session = side === 'server' ? ends.server : ends.client;
  const sink = side === 'server' ? ends.serverSink : ends.sink;
  return { ends, peer, session, sink, enc: mode === 'required' ? ENC : 0 };
};

const big = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
const zeros = (n: number): number[] => new Array<number>(n).fill(0);
const bytes = (...octets: (number | readonly number[])[]): Uint8Array => Uint8Array.from(octets.flat());

/** Packets in order; only the last may be wrong. */
type Attack = (scene: Scene) => Uint8Array | readonly Uint8Array[];

interface Row {
  readonly step: string;
  readonly what: string;
  readonly code: PacketCode;
  readonly attack: Attack;
  /** Both unless told. */
  readonly mode?: Mode;
  readonly options?: EndsOptions;
  /** The offending packet calls itself an ERROR, which is never answered with one. */
  readonly silent?: true;
}

const deflated = (data: Uint8Array): Uint8Array => nodeSuite.deflate(data);
const small: EndsOptions = { client: { maxReassemblyBytes: 4000 }, server: { maxReassemblyBytes: 4000 } };

const ROWS: readonly Row[] = [
  { step: '1', what: 'no octet', code: 'PACKET', attack: () => bytes() },
  { step: '1', what: '3 octets', code: 'PACKET', attack: ({ enc }) => bytes(0, enc, 2) },
  { step: '2', what: 'version 1', code: 'VERSION', attack: ({ enc }) => bytes(0x10, enc, 0, 2) },
  { step: '2', what: 'version 15', code: 'VERSION', attack: ({ enc }) => bytes(0xf0, enc, 0, 2) },
  { step: '3', what: 'type 5', code: 'PACKET_TYPE', attack: ({ enc }) => bytes(5, enc, 0, 2) },
  { step: '3', what: 'type 15', code: 'PACKET_TYPE', attack: ({ enc }) => bytes(15, enc, 0, 2) },
  {
    step: '3',
    what: 'AUTH in an open session',
    code: 'PACKET_TYPE',
    mode: 'required',
    attack: () => bytes(2, REL, 0, 2, 0, 65, 4, zeros(64)),
  },
  { step: '4', what: 'reserved flag 1', code: 'FLAGS', attack: ({ enc }) => bytes(0, enc | 1, 0, 2) },
  { step: '4', what: 'reserved flag 4', code: 'FLAGS', attack: ({ enc }) => bytes(0, enc | 4, 0, 2) },
  { step: '4', what: 'a RELIABLE ACK', code: 'FLAGS', attack: ({ enc }) => bytes(1, enc | REL, 0, 2) },
  { step: '4', what: 'a RELIABLE HEARTBEAT', code: 'FLAGS', attack: ({ enc }) => bytes(3, enc | REL, 0, 2) },
  { step: '4', what: 'a COMPRESSED HEARTBEAT', code: 'FLAGS', attack: ({ enc }) => bytes(3, enc | COMP, 0, 2) },
  { step: '4', what: 'a FRAG ERROR', code: 'FLAGS', silent: true, attack: ({ enc }) => bytes(4, enc | FRAG, 0, 2) },
  {
    step: '4',
    what: 'a clear DEFAULT after keys exist',
    code: 'FLAGS',
    mode: 'required',
    attack: () => bytes(0, 0, 0, 2),
  },
  {
    step: '4',
    what: 'a clear ACK after keys exist',
    code: 'FLAGS',
    mode: 'required',
    attack: () => bytes(1, 0, 0, 2, zeros(4)),
  },
  {
    step: '4',
    what: 'a clear ERROR in OPEN',
    code: 'FLAGS',
    mode: 'required',
    silent: true,
    attack: () => bytes(4, 0, 0, 2, 0x20),
  },
  { step: '4', what: 'ENCRYPTED without keys', code: 'FLAGS', mode: 'none', attack: () => bytes(0, ENC, 0, 0, 0, 0) },
  { step: '5', what: 'no Init Vector', code: 'PACKET', mode: 'required', attack: () => bytes(0, ENC, 0, 2, 0) },
  {
    step: '5',
    what: 'half a checksum',
    code: 'PACKET',
    attack: ({ enc }) => bytes(0, enc | CK, 0, 2, zeros(enc ? 3 : 1)),
  },
  { step: '5', what: 'half a fragment header', code: 'PACKET', attack: ({ enc }) => bytes(0, enc | FRAG, 0, 2, 0) },
  { step: '5', what: 'half an ACK', code: 'PACKET', attack: ({ enc }) => bytes(1, enc, 0, 2, zeros(enc ? 5 : 3)) },
  {
    step: '5',
    what: 'a HEARTBEAT without its field',
    code: 'PACKET',
    attack: ({ enc }) => bytes(3, enc, 0, 2, zeros(enc ? 2 : 0)),
  },
  {
    step: '5',
    what: 'Heartbeat 2',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.packet({ type: 3, flags: enc, tsf: [2] }),
  },
  {
    step: '5',
    what: 'an ERROR without a code',
    code: 'PACKET',
    silent: true,
    attack: ({ enc }) => bytes(4, enc, 0, 2, zeros(enc ? 2 : 0)),
  },
  {
    step: '5',
    what: 'an ACK with Data',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.packet({ type: 1, flags: enc, tsf: zeros(4), data: bytes(1) }),
  },
  {
    step: '5',
    what: 'a sealed ACK of 15 octets',
    code: 'PACKET',
    mode: 'required',
    attack: () => bytes(1, ENC, 0, 2, 0, 0, zeros(4), zeros(15)),
  },
  {
    step: '6',
    what: 'Fragment Number 0',
    code: 'FRAGMENT_NUMBER',
    attack: ({ peer, enc }) => peer.write(0, enc | FRAG, peer.next, [0, 0], 0, bytes(), big(988)),
  },
  {
    step: '6',
    what: 'Fragment Number 1',
    code: 'FRAGMENT_NUMBER',
    attack: ({ peer, enc }) => peer.write(0, enc | FRAG, peer.next, [0, 1], 0, bytes(), big(988)),
  },
  {
    step: '6',
    what: 'a Fragment Number that differs from its group',
    code: 'FRAGMENT_NUMBER',
    attack: ({ peer, enc }) => {
      const [first, second] = peer.fragments({ flags: enc, data: big(1500) }) as [Uint8Array, Uint8Array];
      second[5] = 3;
      return [first, peer.write(0, enc | FRAG, peer.next - 1, [1, 3], 0, bytes(), big(988))];
    },
  },
  {
    step: '6',
    what: 'a flag that differs from its group',
    code: 'FRAGMENT_NUMBER',
    attack: ({ peer, enc }) => {
      const [first, second] = peer.fragments({ flags: enc, data: big(1500) }) as [Uint8Array, Uint8Array];
      second[1] = (second[1] as number) | REL;
      return [first, second];
    },
  },
  {
    step: '6',
    what: 'a checksum that differs from its group',
    code: 'FRAGMENT_NUMBER',
    attack: ({ peer, enc }) => {
      const [first, second] = peer.fragments({ flags: enc | CK, data: big(1500) }) as [Uint8Array, Uint8Array];
      const at = enc ? 9 : 7;
      second[at] = (second[at] as number) ^ 1;
      return [first, second];
    },
  },
  {
    step: '6',
    what: 'a ninth open group',
    code: 'FRAGMENT_NUMBER',
    attack: ({ peer, enc }) =>
      Array.from({ length: 9 }, () => peer.fragments({ flags: enc, data: big(1500) })[0] as Uint8Array),
  },
  {
    step: '6',
    what: 'more octets in open groups than there may be',
    code: 'FRAGMENT_NUMBER',
    options: small,
    attack: ({ peer, enc }) => peer.fragments({ flags: enc, data: big(5000) }).slice(0, 5),
  },
  {
    step: '7',
    what: 'Fragment ID = Fragment Number',
    code: 'FRAGMENT_ID',
    attack: ({ peer, enc }) => peer.write(0, enc | FRAG, peer.next, [2, 2], 0, bytes(), big(988)),
  },
  {
    step: '7',
    what: 'a fragment again with other content',
    code: 'FRAGMENT_ID',
    attack: ({ peer, enc }) => {
      const first = peer.fragments({ flags: enc, data: big(1500) })[0] as Uint8Array;
      const other = new Uint8Array(first);
      other[500] = (other[500] as number) ^ 1;
      return [first, other];
    },
  },
  {
    step: '7',
    what: 'a fragment again with the same content',
    code: 'FRAGMENT_ID',
    attack: ({ peer, enc }) => {
      const first = peer.fragments({ flags: enc, data: big(1500) })[0] as Uint8Array;
      return [first, new Uint8Array(first)];
    },
  },
  {
    step: '8',
    what: 'Data of 989 octets',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.write(0, enc, peer.next, undefined, 0, bytes(), big(989)),
  },
  {
    step: '8',
    what: 'a HEARTBEAT with 989 octets',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.write(3, enc, peer.next, undefined, 0, bytes(0), big(989)),
  },
  {
    step: '8',
    what: 'a short fragment that is not the last',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.write(0, enc | FRAG, peer.next, [0, 2], 0, bytes(), big(987)),
  },
  {
    step: '8',
    what: 'an empty last fragment',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.write(0, enc | FRAG, peer.next, [1, 2], 0, bytes(), bytes()),
  },
  {
    step: '8',
    what: 'a last fragment of 989 octets',
    code: 'PACKET',
    attack: ({ peer, enc }) => peer.write(0, enc | FRAG, peer.next, [1, 2], 0, bytes(), big(989)),
  },
  {
    step: '8',
    what: 'sealed Data of 15 octets',
    code: 'PACKET',
    mode: 'required',
    attack: ({ peer }) => peer.write(0, ENC, peer.next, undefined, 0, bytes(), big(15)),
  },
  {
    step: '9',
    what: 'AUTH in mode none',
    code: 'CONNECTION',
    mode: 'none',
    attack: () => bytes(2, REL, 0, 0, 0, 65, 4, zeros(64)),
  },
  {
    step: '10',
    what: 'a number with another Init Vector',
    code: 'INIT_VECTOR',
    mode: 'required',
    attack: ({ peer }) => peer.packet({ flags: ENC, number: peer.next + 0x10000 }),
  },
  {
    step: '11',
    what: 'a gap',
    code: 'SEQUENCE_ID',
    attack: ({ peer, enc }) => peer.packet({ flags: enc, number: peer.next + 1 }),
  },
  {
    step: '11',
    what: 'a replay of a HEARTBEAT',
    code: 'SEQUENCE_ID',
    attack: ({ peer, enc }) => {
      const packet = peer.packet({ type: 3, flags: enc, tsf: [1] });
      return [packet, new Uint8Array(packet)];
    },
  },
  {
    step: '11',
    what: 'a number of the past that is RELIABLE',
    code: 'SEQUENCE_ID',
    attack: ({ peer, enc }) => peer.packet({ flags: enc | REL, number: peer.next - 1 < 0 ? 0xffff : peer.next - 1 }),
  },
  {
    step: '11',
    what: 'an ACK of a number that was never sent',
    code: 'SEQUENCE_ID',
    attack: ({ peer, enc }) => peer.packet({ type: 1, flags: enc, tsf: [0, 9, 0, 0] }),
  },
  {
    step: '11',
    what: 'ACK Bits below number 0',
    code: 'SEQUENCE_ID',
    attack: ({ peer, ends, session, enc }) => {
      session.send(bytes(1), { reliable: true }, ends.now);
      return peer.packet({ type: 1, flags: enc, tsf: [0, enc ? 2 : 0, 0, 1] });
    },
  },
  {
    step: '12',
    what: 'a wrong tag',
    code: 'INIT_VECTOR',
    mode: 'required',
    attack: ({ peer }) => {
      const packet = peer.packet({ flags: ENC, data: bytes(1, 2, 3) });
      packet[packet.length - 1] = (packet[packet.length - 1] as number) ^ 1;
      return packet;
    },
  },
  {
    step: '12',
    what: 'a wrong tag on an ERROR',
    code: 'INIT_VECTOR',
    mode: 'required',
    silent: true,
    attack: ({ peer }) => {
      const packet = peer.packet({ type: 4, flags: ENC, tsf: [0x20] });
      packet[packet.length - 1] = (packet[packet.length - 1] as number) ^ 1;
      return packet;
    },
  },
  {
    step: '13',
    what: 'no DEFLATE stream',
    code: 'COMPRESSION',
    attack: ({ peer, enc }) => peer.packet({ flags: enc | COMP, data: bytes(0xff, 0xff) }),
  },
  {
    step: '13',
    what: 'an empty one',
    code: 'COMPRESSION',
    attack: ({ peer, enc }) => peer.packet({ flags: enc | COMP }),
  },
  {
    step: '13',
    what: 'a truncated one',
    code: 'COMPRESSION',
    attack: ({ peer, enc }) => peer.packet({ flags: enc | COMP, data: deflated(big(300)).subarray(0, -2) }),
  },
  {
    step: '13',
    what: 'trailing octets',
    code: 'COMPRESSION',
    attack: ({ peer, enc }) => peer.packet({ flags: enc | COMP, data: bytes([...deflated(big(300))], 0) }),
  },
  {
    step: '13',
    what: 'a bomb of 2 MiB',
    code: 'COMPRESSION',
    attack: ({ peer, enc }) => peer.fragments({ flags: enc | COMP, data: deflated(new Uint8Array(2 ** 21)) }),
  },
  {
    step: '14',
    what: 'a wrong checksum',
    code: 'CHECKSUM',
    attack: ({ peer, enc }) => peer.packet({ flags: enc | CK, data: bytes(1), checksum: 0x1234 }),
  },
  {
    step: '14',
    what: 'a wrong checksum on a PING',
    code: 'CHECKSUM',
    attack: ({ peer, enc }) => peer.packet({ type: 3, flags: enc | CK, tsf: [0], checksum: 0x1234 }),
  },
  {
    step: '14',
    what: 'a wrong checksum on an ERROR',
    code: 'CHECKSUM',
    silent: true,
    attack: ({ peer, enc }) => peer.packet({ type: 4, flags: enc | CK, tsf: [0x20], checksum: 0x1234 }),
  },
];

for (const side of ['server', 'client'] as const) {
  for (const mode of ['required', 'none'] as const) {
    t.test(`section 7 at an open ${side}, mode ${mode}`, async (t) => {
      for (const row of ROWS) {
        if (row.mode !== undefined && row.mode !== mode) continue;
        const at = scene(mode, side, row.options);
        const { peer, session, sink, ends } = at;
        const packets = row.attack(at);
        peer.heard();
        for (const packet of packets instanceof Uint8Array ? [packets] : packets) peer.leg.receive(packet, ends.now);
        const name = `step ${row.step}, ${row.what}: `;
        t.equal(sink.end?.code, row.code, `${name}${row.code}`);
        t.equal(sink.end?.by, 'local', `${name}found here`);
        t.equal(peer.carrier.closed?.code, closeCodeOf(row.code), `${name}the WebSocket's close code`);
        t.equal(sink.messages.length, 0, `${name}nothing delivered`);
        t.equal(session.counters()[row.code], 1, `${name}counted`);
        const said = peer.heard();
        const errors = said.filter(({ type }) => type === 4);
        t.equal(said.at(-1)?.type ?? 4, 4, `${name}nothing after the ERROR`);
        t.strictSame(
          errors.map(({ tsf }) => tsf[0]),
          row.silent ? [] : [octetOf(row.code)],
          `${name}the ERROR packet`,
        );
        t.equal(session.state, 'closed', `${name}over`);
        peer.leg.receive(peer.packet({ flags: at.enc, data: bytes(1) }), ends.now);
        t.equal(sink.messages.length, 0, `${name}deaf afterwards`);
        t.equal(peer.leg.deadline(), Number.POSITIVE_INFINITY, `${name}no deadline`);
      }
    });
  }
}

t.test('the first failure decides', async (t) => {
  const cases: readonly (readonly [what: string, code: PacketCode, attack: Attack])[] = [
    ['version before type', 'VERSION', () => bytes(0x1f, 0xff, 0, 2)],
    ['type before flags', 'PACKET_TYPE', () => bytes(0x05, 0xff, 0, 2)],
    ['flags before a truncated header', 'FLAGS', () => bytes(0, 0x18 | 1, 0, 2)],
    ['truncated before Fragment Number', 'PACKET', () => bytes(0, ENC | FRAG, 0, 2, 0, 0)],
    ['Fragment Number before Fragment ID', 'FRAGMENT_NUMBER', () => bytes(0, ENC | FRAG, 0, 2, 9, 1, 0, 0)],
    ['Fragment ID before size', 'FRAGMENT_ID', () => bytes(0, ENC | FRAG, 0, 2, 9, 2, 0, 0)],
    ['size before number', 'PACKET', () => bytes(0, ENC, 0xff, 0xff, 0xff, 0xff, zeros(15))],
    ['Init Vector before tag', 'INIT_VECTOR', () => bytes(0, ENC, 0, 9, 0, 1, zeros(16))],
    ['number before tag', 'SEQUENCE_ID', () => bytes(0, ENC, 0, 9, 0, 0, zeros(16))],
    [
      'a fragment that differs from its group before its own Fragment ID',
      'FRAGMENT_NUMBER',
      ({ peer }) => {
        const first = peer.fragments({ flags: ENC, data: big(1500) })[0] as Uint8Array;
        return [first, peer.write(0, ENC | FRAG, peer.next - 1, [9, 3], 0, bytes(), big(988))];
      },
    ],
    [
      'a fragment that differs from its group before its own size',
      'FRAGMENT_NUMBER',
      ({ peer }) => {
        const first = peer.fragments({ flags: ENC, data: big(1500) })[0] as Uint8Array;
        return [first, peer.write(0, ENC | FRAG | REL, peer.next - 1, [1, 2], 0, bytes(), bytes())];
      },
    ],
    ...[500, 989, 0].map((size): readonly [string, PacketCode, Attack] => [
      `a place that is taken before a size of ${size}`,
      'FRAGMENT_ID',
      ({ peer }) => {
        const first = peer.fragments({ flags: ENC, data: big(1500) })[0] as Uint8Array;
        return [first, peer.write(0, ENC | FRAG, peer.next - 1, [0, 2], 0, bytes(), big(size))];
      },
    ]),
    [
      'a group that may not be opened before its number',
      'FRAGMENT_NUMBER',
      ({ peer }) => [
        ...Array.from({ length: 8 }, () => peer.fragments({ flags: ENC, data: big(1500) })[0] as Uint8Array),
        peer.fragments({ flags: ENC, data: big(1500), number: 5000 })[0] as Uint8Array,
      ],
    ],
    [
      'tag before inflating',
      'INIT_VECTOR',
      ({ peer }) => {
        const packet = peer.packet({ flags: ENC | COMP | CK, data: bytes(0xff), checksum: 1 });
        packet[8] = (packet[8] as number) ^ 1;
        return packet;
      },
    ],
    [
      'inflating before checksum',
      'COMPRESSION',
      ({ peer }) => peer.packet({ flags: ENC | COMP | CK, data: bytes(0xff), checksum: 1 }),
    ],
  ];
  for (const [what, code, attack] of cases) {
    const at = scene('required', 'server');
    const packets = attack(at);
    for (const packet of packets instanceof Uint8Array ? [packets] : packets) at.peer.leg.receive(packet, at.ends.now);
    t.equal(at.sink.end?.code, code, what);
    t.equal(at.sink.messages.length, 0, `${what}: nothing delivered`);
  }
});

t.test('a message that stalls for 30 s ends the session with 3.6', async (t) => {
  for (const mode of ['required', 'none'] as const) {
    const { ends, peer, sink, enc } = scene(mode, 'server', { server: { heartbeat: 1e9 } });
    const [first] = peer.fragments({ flags: enc, data: big(3000) }) as [Uint8Array];
    peer.leg.receive(first, ends.now);
    t.equal(peer.leg.deadline(), ends.now + 30_000);
    peer.leg.tick(ends.now + 29_999);
    t.equal(sink.end, undefined);
    peer.leg.tick(ends.now + 30_000);
    t.match(sink.end, { code: 'FRAGMENT_NUMBER', by: 'local', closeCode: 4306 });
    t.equal(peer.carrier.closed?.code, 4306);
  }
});

t.test('a flipped bit anywhere in a sealed packet never delivers and gives a defined code', async (t) => {
  const kinds: readonly (readonly [name: string, make: (peer: RawPeer) => Uint8Array[]])[] = [
    ['plain', (peer) => [peer.packet({ flags: ENC, data: bytes(1, 2, 3) })]],
    ['empty', (peer) => [peer.packet({ flags: ENC })]],
    [
      'RELIABLE, CHECKSUM, COMPRESSED',
      (peer) => [peer.packet({ flags: ENC | REL | CK | COMP, data: deflated(big(40)) })],
    ],
    ['a PING', (peer) => [peer.packet({ type: 3, flags: ENC, tsf: [0], data: bytes(zeros(8)) })]],
    ['an ERROR', (peer) => [peer.packet({ type: 4, flags: ENC, tsf: [0x20], data: bytes(65) })]],
    ['an ACK', (peer) => [peer.packet({ type: 1, flags: ENC, tsf: [0, 3, 0, 0] })]],
  ];
  for (const [name, make] of kinds) {
    const codes = new Map<string, number>();
    const size = make(rawClient(new Ends()))[0]?.length as number;
    for (let bit = 0; bit < size * 8; bit += 1) {
      const { ends, peer, sink, session } = scene('required', 'server');
      session.send(bytes(1), { reliable: true }, ends.now);
      const [packet] = make(peer) as [Uint8Array];
      packet[bit >> 3] = (packet[bit >> 3] as number) ^ (0x80 >> (bit & 7));
      peer.leg.receive(packet, ends.now);
      const code = sink.end?.code ?? 'none';
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (
        sink.messages.length > 0 ||
        sink.acks.length > 0 ||
        sink.end?.by !== 'local' ||
        !/^43/.test(`${sink.end.closeCode}`)
      ) {
        t.fail(`${name}: bit ${bit} gave ${code}, ${sink.messages.length} messages`);
      }
    }
    t.notOk(codes.has('none'), `${name}: ${[...codes].map(([code, count]) => `${code} ${count}`).join(', ')}`);
    t.ok((codes.get('INIT_VECTOR') ?? 0) > (size * 8) / 2, `${name}: most of them 3.7`);
  }
});

t.test('a flipped bit in any fragment never delivers', async (t) => {
  const data = big(2000);
  for (let bit = 0; bit < 80; bit += 1) {
    for (let which = 0; which < 3; which += 1) {
      const { ends, peer, sink } = scene('required', 'server', { server: { heartbeat: 1e9 } });
      const packets = peer.fragments({ flags: ENC | CK | REL, data });
      const packet = packets[which] as Uint8Array;
      const at = bit < 72 ? bit : 500 * 8 + bit;
      if (at >> 3 >= packet.length) continue;
      packet[at >> 3] = (packet[at >> 3] as number) ^ (0x80 >> (at & 7));
      for (const one of packets) peer.leg.receive(one, ends.now);
      // What does not fit at once leaves a group that never becomes complete.
      if (sink.end === undefined) peer.leg.tick(ends.now + 30_000);
      if (sink.messages.length > 0 || !/^43/.test(`${sink.end?.closeCode}`))
        t.fail(`bit ${at} of fragment ${which}: ${sink.end?.code}`);
    }
  }
  t.pass('all of them');
});

t.test('whatever comes, nothing is thrown, and the session ends once or goes on', async (t) => {
  const rng = seedFromEnv('packet faults');
  const codes = new Map<string, number>();
  for (let round = 0; round < 600; round += 1) {
    const { ends, peer, sink, session, enc } = scene(
      round % 2 === 0 ? 'required' : 'none',
      round % 4 < 2 ? 'server' : 'client',
    );
    session.send(bytes(1), { reliable: true }, ends.now);
    for (let i = 0; i < 12 && session.state === 'open'; i += 1) {
      const flags = enc | rng.pick([0, REL, CK, COMP, REL | CK]);
      const good =
        rng.int(4) === 0
          ? (peer.fragments({ flags, data: big(989 + rng.int(2000)) })[rng.int(2)] as Uint8Array)
          : peer.packet(
              rng.pick([
                { flags, data: rng.bytes(rng.int(40)) },
                { type: 3, flags: enc, tsf: [rng.int(2)] },
                { type: 1, flags: enc, tsf: [0, rng.int(5), rng.int(256), 0] },
              ]),
            );
      const packet =
        rng.int(3) > 0
          ? good
          : rng.int(4) === 0
            ? rng.bytes(rng.int(30))
            : good.map((octet) => (rng.int(30) === 0 ? rng.int(256) : octet));
      ends.now += rng.int(20);
      peer.leg.receive(packet, ends.now);
      peer.leg.tick(ends.now);
    }
    const told = sink.log.filter((line) => line.startsWith('ended'));
    const code = sink.end?.code ?? 'open';
    codes.set(code, (codes.get(code) ?? 0) + 1);
    if (told.length !== (session.state === 'closed' ? 1 : 0))
      t.fail(`seed ${rng.seed}, round ${round}: ${sink.log.join(', ')}`);
  }
  t.ok(codes.size > 5, [...codes].map(([code, count]) => `${code} ${count}`).join(', '));
});

t.test('flags two by two in an open session', async (t) => {
  // Section 2.3 as a table of its own: by type, the flags that may be set in a secured session beside ENCRYPTED, which must.
  const allowed: readonly number[] = [REL | CK | COMP | FRAG, CK, 0, CK, REL | CK];
  for (let type = 0; type < 16; type += 1) {
    for (let flags = 0; flags < 256; flags += 1) {
      const { ends, peer, sink } = scene('required', 'server');
      peer.leg.receive(bytes(type, flags, 0, 2), ends.now);
      const fine = type < 5 && type !== 2 && (flags & ENC) !== 0 && (flags & ~(allowed[type] as number) & ~ENC) === 0;
      const expected = type > 4 || type === 2 ? 'PACKET_TYPE' : fine ? 'PACKET' : 'FLAGS';
      if (sink.end?.code !== expected)
        t.fail(`type ${type} flags ${flags.toString(16)}: ${sink.end?.code} instead of ${expected}`);
    }
  }
  t.pass('all 4,096 pairs');
});
