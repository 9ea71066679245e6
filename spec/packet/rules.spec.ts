import t from 'tap';
import { parsePacket, writePacket } from '../../lib/packet/header.js';
import { mayCarry, mayCome, type Phase, suitsMode } from '../../lib/packet/rules.js';
import { FLAG, flagNames, RESERVED_FLAGS, TYPE, typeName } from '../../lib/packet/wire.js';

/**
 * PROTOCOL.md section 2.3 once more, as the list of what is allowed, written by hand and not by the bits of the code.
 * R reliable, C checksum, Z compressed, E encrypted, F frag. Every subset of the optional letters beside all of the required ones.
 */
interface Row {
  readonly required: string;
  readonly optional: string;
}

const NONE: Phase = { secured: false, keys: false, open: true };
const BEFORE: Phase = { secured: true, keys: false, open: false };
const SERVER: Phase = { secured: true, keys: true, open: false };
const CLIENT: Phase = { secured: true, keys: true, open: false, finished: false };
const OPEN: Phase = { secured: true, keys: true, open: true };

const TABLES: readonly (readonly [name: string, phase: Phase, rows: Readonly<Record<number, readonly Row[]>>])[] = [
  [
    'a session without security',
    NONE,
    {
      0: [{ required: '', optional: 'RCZF' }],
      1: [{ required: '', optional: 'C' }],
      2: [{ required: 'R', optional: 'C' }],
      3: [{ required: '', optional: 'C' }],
      4: [{ required: '', optional: 'RC' }],
    },
  ],
  [
    'a handshake without keys',
    BEFORE,
    {
      0: [{ required: '', optional: 'RCZF' }],
      1: [{ required: '', optional: 'C' }],
      2: [{ required: 'R', optional: 'C' }],
      3: [{ required: '', optional: 'C' }],
      4: [{ required: '', optional: 'RC' }],
    },
  ],
  [
    'a server that waits for FINISHED',
    SERVER,
    {
      0: [{ required: 'E', optional: 'RCZF' }],
      1: [{ required: 'E', optional: 'RC' }],
      2: [{ required: 'R', optional: 'C' }],
      3: [{ required: 'E', optional: 'C' }],
      4: [{ required: '', optional: 'RCE' }],
    },
  ],
  [
    'a client that waits for FINISHED or CONFIRM',
    CLIENT,
    {
      0: [{ required: 'E', optional: 'RCZF' }],
      1: [{ required: 'E', optional: 'C' }],
      2: [{ required: 'R', optional: 'C' }],
      3: [{ required: 'E', optional: 'C' }],
      4: [{ required: '', optional: 'RCE' }],
    },
  ],
  [
    'an open session',
    OPEN,
    {
      0: [{ required: 'E', optional: 'RCZF' }],
      1: [{ required: 'E', optional: 'C' }],
      3: [{ required: 'E', optional: 'C' }],
      4: [{ required: 'E', optional: 'RC' }],
    },
  ],
];

const BITS: Readonly<Record<string, number>> = { R: 0x80, C: 0x40, Z: 0x20, E: 0x10, F: 0x08 };
const octetOf = (letters: readonly string[]): number => letters.reduce((sum, letter) => sum + (BITS[letter] ?? 0), 0);

const octetsOf = ({ required, optional }: Row): number[] => {
  let octets = [octetOf([...required])];
  for (const letter of optional) octets = [...octets, ...octets.map((octet) => octet + octetOf([letter]))];
  return octets;
};

for (const [name, phase, rows] of TABLES) {
  t.test(`${name}: all 256 flag octets of all 16 types`, async (t) => {
    const wrong: string[] = [];
    for (let type = 0; type < 16; type++) {
      const row = rows[type];
      const allowed = new Set((row ?? []).flatMap(octetsOf));
      if (mayCome(type, phase) !== (row !== undefined)) wrong.push(`type ${type}`);
      for (let flags = 0; flags < 256; flags++) {
        const expected = allowed.has(flags);
        const told = mayCome(type, phase) && mayCarry(type, flags, phase);
        if (told !== expected) wrong.push(`${typeName(type)} ${flags.toString(16)}: ${told}`);
      }
    }
    t.strictSame(wrong, []);
  });
}

t.test('a whole packet of any type and flags is refused by just these rules', async (t) => {
  const wrong: string[] = [];
  for (const [name, phase, rows] of TABLES) {
    for (let octets = 0; octets < 16 * 256; octets++) {
      const type = octets >> 8;
      const flags = octets & 255;
      const row = rows[type];
      const allowed = row?.some((one) => octetsOf(one).includes(flags)) ?? false;
      // A last fragment of sixteen octets, so that nothing but type and flags can be wrong.
      const tag = type === TYPE.ack && phase.open && (flags & FLAG.encrypted) === 0 ? 0 : 16;
      const data = new Uint8Array(type === TYPE.auth ? 0 : tag);
      const bytes = writePacket({ type, flags, sequence: 0, fragmentId: 1, fragmentCount: 2, data });
      const read = parsePacket(bytes, { ...phase, maxCertificate: 4096 });
      const code = 'kind' in read ? read.code : 'fine';
      const expected =
        row === undefined ? 'PACKET_TYPE' : allowed ? (suitsMode(type, phase) ? 'fine' : 'CONNECTION') : 'FLAGS';
      if (code !== expected) wrong.push(`${name}: ${typeName(type)} ${flags.toString(16)}: ${code}, not ${expected}`);
    }
  }
  t.strictSame(wrong.slice(0, 10), []);
});

t.test('a secured end begins with AUTH or ERROR, an open one never hears AUTH', async (t) => {
  const table: readonly (readonly [phase: Phase, types: readonly number[]])[] = [
    [NONE, [0, 1, 3, 4]],
    [BEFORE, [2, 4]],
    [SERVER, [0, 1, 2, 3, 4]],
    [OPEN, [0, 1, 2, 3, 4]],
  ];
  for (const [phase, types] of table) {
    t.strictSame(
      [0, 1, 2, 3, 4].filter((type) => suitsMode(type, phase)),
      types,
    );
  }
});

t.test('types and flags have the numbers and the names of the seed', async (t) => {
  t.strictSame(TYPE, { default: 0, ack: 1, auth: 2, heartbeat: 3, error: 4 });
  t.strictSame(FLAG, { reliable: 0x80, checksum: 0x40, compressed: 0x20, encrypted: 0x10, frag: 0x08 });
  t.strictSame([0, 1, 2, 3, 4, 5, 15].map(typeName), [
    'DEFAULT',
    'ACK',
    'AUTH',
    'HEARTBEAT',
    'ERROR',
    'RESERVED 5',
    'RESERVED 15',
  ]);
  t.strictSame(flagNames(0xf8), ['RELIABLE', 'CHECKSUM', 'COMPRESSED', 'ENCRYPTED', 'FRAG']);
  t.strictSame(flagNames(RESERVED_FLAGS), ['bit 5', 'bit 6', 'bit 7']);
  t.strictSame(flagNames(0), []);
});
