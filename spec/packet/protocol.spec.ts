// lib/packet/PROTOCOL.md is normative, so its tables are read here and every row is compared with the code: types, flags, flags by type,
// field sizes, error codes, the order of checks, the key schedule, blocks, limits and vectors. Each comparison is a function of the rows, and
// is itself tested: a row that is left out, or a cell that is changed by one character, must be told.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { SCHEME } from '../../lib/crypto/identity.js';
import { nodeSuite as suite } from '../../lib/crypto/node.js';
import { ACK_REACH } from '../../lib/packet/acks.js';
import { BLOCK, writeBlocks, writeSession } from '../../lib/packet/blocks.js';
import { codeFrom, codeText, isKnownCode, octetOf, PACKET_CODES, type PacketCode } from '../../lib/packet/codes.js';
import { hashOf, writeFinished } from '../../lib/packet/finished.js';
import { headerSize, type PacketFields, parsePacket, writePacket, writeTsf } from '../../lib/packet/header.js';
import { binderOf, deriveKeys, deriveLate } from '../../lib/packet/keys.js';
import { RESERVE } from '../../lib/packet/ledger.js';
import { nearest, sequenceOf, vectorOf } from '../../lib/packet/number.js';
import { Decoder, Encoder } from '../../lib/packet/pipeline.js';
import { checksumOf, Protector, sealBody } from '../../lib/packet/protect.js';
import { RESUME_STATE_SIZE } from '../../lib/packet/resume-state.js';
import { mayCarry, mayCome, type Phase } from '../../lib/packet/rules.js';
import { SESSION_LIMITS } from '../../lib/packet/settings.js';
import { transcriptHash } from '../../lib/packet/transcript.js';
import { WINDOW } from '../../lib/packet/window.js';
import * as wire from '../../lib/packet/wire.js';

const { FLAG, TYPE } = wire;
const DOCUMENT = readFileSync(new URL('../../../lib/packet/PROTOCOL.md', import.meta.url), 'utf8');

type Rows = readonly (readonly string[])[];
/** Every difference between the rows of a table and the code, as a sentence; empty when there is none. */
type Judge = (rows: Rows) => string[];

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    // Emphasis is written with * or with _.
    .map((cell) =>
      cell
        .trim()
        .replaceAll('`', '')
        .replace(/^[*_](.*)\\\*[*_]$/, '$1*'),
    );

/** The lines of the table whose heading row begins so, inside a section; without heading and ruler. */
function linesOf(section: string, heading: string): string[] {
  const lines = DOCUMENT.split('\n');
  const from = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '').startsWith(`${section} `));
  const at = lines.findIndex(
    (line, i) => i > from && line.startsWith('|') && `${cellsOf(line).join(' | ')} |`.startsWith(`${heading} |`),
  );
  const next = lines.findIndex((line, i) => i > from && /^#+ /.test(line));
  if (from < 0 || at < 0 || (next >= 0 && at > next)) return [];
  const end = lines.findIndex((line, i) => i > at && !line.startsWith('|'));
  return lines.slice(at + 2, end < 0 ? lines.length : end);
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const flat = (text: string | undefined): string => (text ?? '').replaceAll(' ', '');
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Two lists, compared as what they are: an order. */
const differ = (what: string, told: readonly string[], known: readonly string[]): string[] => {
  const sins: string[] = [];
  for (let i = 0; i < Math.max(told.length, known.length); i++) {
    if (told[i] !== known[i]) sins.push(`${what}: the document has ${told[i]}, the code ${known[i]}`);
  }
  return sins;
};

const judgeTypes: Judge = (rows) =>
  differ(
    'types',
    rows.map((row) => row.join(' ')),
    [...Object.values(TYPE).map((type) => `${wire.typeName(type)} ${type}`), 'RESERVED 5..15'],
  );

const judgeFlags: Judge = (rows) =>
  differ(
    'flags',
    rows.map((row) => row.join(' ')),
    [
      ...Object.values(FLAG).map(
        (flag, bit) => `${bit} ${wire.flagNames(flag)[0]} 0x${flag.toString(16).padStart(2, '0')}`,
      ),
      `5..7 RESERVED 0x0${wire.RESERVED_FLAGS}`,
    ],
  );

const NONE: Phase = { secured: false, keys: false, open: true };
const PHASES: readonly Phase[] = [
  NONE,
  { secured: true, keys: false, open: false },
  { secured: true, keys: true, open: false },
  { secured: true, keys: true, open: false, finished: false },
  { secured: true, keys: true, open: true },
];

const flagOf = (name: string): number => FLAG[name.toLowerCase() as keyof typeof FLAG] ?? Number.NaN;

/** Section 2.3, from its own words. */
const judgeFlagsByType: Judge = (rows) => {
  const sins = differ(
    'types',
    rows.map(([name]) => name ?? ''),
    Object.values(TYPE).map(wire.typeName),
  );
  for (const [name, allowedText = '', requiredText = ''] of rows) {
    const type = TYPE[(name ?? '').toLowerCase() as keyof typeof TYPE] as number | undefined;
    const [always = '', client = ''] = allowedText.split(';');
    const finished = client.trim() === "RELIABLE in a client's FINISHED";
    const allowed = always.split(' ').map(flagOf);
    const required = /^(\w+) (always|once keys exist|once open)$/.exec(requiredText);
    if (type === undefined || allowed.includes(Number.NaN) || required === null || finished !== (client !== '')) {
      sins.push(`${name}: cannot be read`);
      continue;
    }
    for (const phase of PHASES) {
      if (!mayCome(type, phase)) continue;
      const keys = phase.secured && phase.keys;
      for (let flags = 0; flags < 256; flags++) {
        let mask = allowed.reduce((sum, flag) => sum | flag, 0);
        if (finished && keys && (phase.finished ?? !phase.open)) mask |= FLAG.reliable;
        if (!keys) mask &= ~FLAG.encrypted;
        const needed = required[2] === 'always' || (keys && (required[2] === 'once keys exist' || phase.open));
        const expected = (flags & ~mask) === 0 && (!needed || (flags & flagOf(required[1] ?? '')) !== 0);
        if (mayCarry(type, flags, phase) !== expected) {
          sins.push(`${name} ${flags.toString(16)}: the document says ${expected}`);
        }
      }
    }
  }
  return sins;
};

/** The sizes of the default header follow from the fields and the flags that bring them. */
const judgeDefaultFields: Judge = (rows) => {
  const fields = rows.filter(([name]) => !name?.startsWith('Data'));
  const bits = (flag: string): number =>
    fields.filter((row) => row[3] === flag).reduce((sum, row) => sum + Number(row[1]), 0);
  const sins = differ(
    'fields',
    fields.map(([name, , required]) => `${name} ${required}`),
    [
      'Version 1',
      'Type 1',
      'Flags 1',
      'Sequence ID 1',
      'Fragment ID* 0',
      'Fragment Number* 0',
      'Init Vector* 0',
      'Checksum Hash* 0',
    ],
  );
  if (bits('') !== headerSize(0) * 8) sins.push('the fields that are always there have another size');
  for (const [name, flag] of Object.entries(FLAG)) {
    if (bits(name.toUpperCase()) !== (headerSize(flag) - 4) * 8) sins.push(`${name} brings fields of another size`);
  }
  if (rows.length !== fields.length + 1) sins.push('Data is missing');
  return sins;
};

/** The fixed fields of one type. */
const judgeFields =
  (type: number, names: readonly string[]): Judge =>
  (rows) => {
    const own = rows.slice(1).filter(([name]) => !name?.endsWith('*'));
    const bits = own.reduce((sum, [, size]) => sum + (size === 'E' ? 0 : Number(size)), 0);
    const sins = differ(
      'fields',
      rows.map(([name]) => name ?? ''),
      ['Default Packet Headers', ...names],
    );
    if (rows[0]?.[1] !== `${headerSize(0) * 8}-${headerSize(0xf8) * 8}`)
      sins.push('the default header has another size');
    if (bits !== writeTsf({ type, flags: 0, sequence: 0 }).length * 8) sins.push(`${bits} bits`);
    return sins;
  };

const judgeCodes: Judge = (rows) => [
  ...differ(
    'codes',
    rows.map(([major, minor, name]) => `${major}.${minor} ${name}`),
    (Object.keys(PACKET_CODES) as PacketCode[]).map(codeText),
  ),
  ...rows.filter((row) => (row[3] ?? '').length < 10).map(([, , name]) => `${name}: not explained`),
];

/** The smallest input of each step, through the code that has to notice. */
function codeOfStep(step: number): PacketCode | undefined {
  const inputs: readonly (readonly [octets: string, phase: Phase])[] = [
    ['00', NONE],
    ['10000000', NONE],
    ['05000000', NONE],
    ['00010000', NONE],
    ['00400000', NONE],
    ['000800000001', NONE],
    ['000800000202', NONE],
    [`00000000${'00'.repeat(989)}`, NONE],
    ['00000000', { secured: true, keys: false, open: false }],
  ];
  const input = inputs[step - 1];
  if (input !== undefined) {
    const read = parsePacket(hex(input[0]), { ...input[1], maxCertificate: 4096 });
    return 'kind' in read ? read.code : undefined;
  }
  // The window's two verdicts have no function of their own: they are told apart in spec/packet/session.
  if (step === 10) return 'INIT_VECTOR';
  if (step === 11) return 'SEQUENCE_ID';
  const octets = [`00100000 0000 ${'00'.repeat(16)}`, '00200000', '00400000 ffff'][step - 12];
  if (octets === undefined) return undefined;
  const sealed = step === 12;
  const packet = parsePacket(hex(octets), { secured: sealed, keys: sealed, open: true, maxCertificate: 4096 });
  if ('kind' in packet) return packet.code;
  const decoder = new Decoder(suite, 1000);
  if (sealed) decoder.rekey(new Protector(suite, new Uint8Array(32), new Uint8Array(12)));
  return decoder.decode(packet, 0, packet.data, false);
}

const judgeSteps: Judge = (rows) =>
  differ(
    'steps',
    rows.map(([step, , code]) => `${step}: ${code}`),
    Array.from({ length: 14 }, (_, i) => {
      const code = codeOfStep(i + 1);
      return `${i + 1}: ${code === undefined ? 'none' : codeText(code).split(' ')[0]}`;
    }),
  );

const LIMITS: Readonly<Record<string, number>> = {
  MAX_DATA: wire.MAX_DATA,
  TAG: wire.TAG,
  MAX_FRAGMENTS: wire.MAX_FRAGMENTS,
  KEY_SIZE: wire.KEY_SIZE,
  LAST_NUMBER: wire.LAST_NUMBER,
  WINDOW,
  ACK_REACH,
  'RESERVE.message': RESERVE.message,
  'RESERVE.answer': RESERVE.answer,
  RESUME_STATE_SIZE,
  ...SESSION_LIMITS,
};

const judgeLimits: Judge = (rows) =>
  differ(
    'limits',
    rows.map(([, name, value]) => `${name} ${value}`).sort(),
    Object.entries(LIMITS)
      .map(([name, value]) => `${name} ${value}`)
      .sort(),
  );

/** certVerify is CERT_VERIFY. */
const upper = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

const judgeBlocks: Judge = (rows) =>
  differ(
    'blocks',
    rows.map(([type, name]) => `${type} ${name}`),
    Object.entries(BLOCK).map(([name, type]) => `${type.toString(16)} ${upper(name)}`),
  );

const judgeSchemes: Judge = (rows) =>
  differ(
    'schemes',
    rows.map(([scheme]) => scheme ?? '').sort(),
    Object.values(SCHEME)
      .map((scheme) => scheme.toString(16).padStart(4, '0'))
      .sort(),
  );

/** XL of section 6.4, written a second time. */
const expandLabel = (secret: Uint8Array, label: string, context: Uint8Array, size: number): Uint8Array => {
  const name = ascii(`wsd0 ${label}`);
  return suite.expand(secret, Uint8Array.of(size >> 8, size, name.length, ...name, context.length, ...context), size);
};

const H1 = suite.sha256(ascii('H1'));
const H5 = suite.sha256(ascii('H5'));

const judgeSchedule: Judge = (rows) => {
  const { c2s, s2c, c2sFinished, s2cFinished, prk } = deriveKeys(suite, H1, suite.sha256(ascii('Z')));
  const late = deriveLate(suite, prk, H5);
  const resumption = expandLabel(prk, 'resumption', H5, 32);
  const secrets: Readonly<Record<string, Uint8Array>> = { PRK: prk, resumption, exporter: late.exporter };
  const contexts: Readonly<Record<string, Uint8Array>> = { H1, H5, '–': new Uint8Array(0) };
  const told = rows.map(([, from = '', label = '', context = '', octets]) => {
    const secret = secrets[from];
    const about = contexts[context];
    return secret && about ? toHex(expandLabel(secret, label, about, Number(octets))) : `${from} ${context}`;
  });
  const { exporter, binderKey, packageC2s, packageS2c } = late;
  const made = [c2s.key, c2s.iv, s2c.key, s2c.iv, c2sFinished, s2cFinished, resumption];
  return differ('keys', told, [...made, exporter, binderKey, packageC2s, packageS2c].map(toHex));
};

const judgeNumbers: Judge = (rows) => [
  ...rows
    .filter(
      ([sequence = '', next = '', number = '']) =>
        nearest(Number(`0x${sequence}`), Number(`0x${next}`)) !== Number(`0x${number}`),
    )
    .map((row) => `${row.join(' ')}: not so`),
  ...(rows.length < 9 ? ['a row is missing'] : []),
];

/** Data as the tables of section 11 write it. */
const dataOf = (type: number, text: string): Uint8Array => {
  if (text === '–') return new Uint8Array(0);
  if (text === '120 × abc') return ascii('abc'.repeat(40));
  if (text === '2000 × i') return Uint8Array.from({ length: 2000 }, (_, i) => i % 256);
  return type === TYPE.heartbeat ? hex(text) : ascii(text);
};

const flagsOf = (text: string): number =>
  text === '–' ? 0 : text.split(' ').reduce((sum, name) => sum | flagOf(name), 0);

const fieldsOf = (text: string): Partial<PacketFields> | undefined => {
  const ack = /^ACK ID (\w{4}), ACK Bits (\w{4})$/.exec(text);
  if (ack !== null) return { ackId: Number(`0x${ack[1]}`), ackBits: Number(`0x${ack[2]}`) };
  const error = /^(\d)\.(\d)$/.exec(text);
  if (error !== null) return { major: Number(error[1]), minor: Number(error[2]) };
  const heartbeat = ['PING', 'PONG'].indexOf(text);
  return heartbeat >= 0 ? { heartbeat } : text === '–' ? {} : undefined;
};

const judgeClear: Judge = (rows) => {
  const sins: string[] = rows.length < 10 ? ['a row is missing'] : [];
  for (const [name = '', flagText = '', number = '', fieldText = '', dataText = '', octets] of rows) {
    const type = TYPE[name.toLowerCase() as keyof typeof TYPE] as number | undefined;
    const own = fieldsOf(fieldText);
    if (type === undefined || own === undefined) {
      sins.push(`${name} ${fieldText}: cannot be read`);
      continue;
    }
    const N = Number(`0x${number}`);
    const flags = flagsOf(flagText);
    const fields = { type, flags, sequence: sequenceOf(N), ...own };
    const data = dataOf(type, dataText);
    const tsf = writeTsf(fields);
    const made = writePacket({
      ...fields,
      checksum: checksumOf(suite, { type, flags, number: N, tsf }, data),
      data: (flags & FLAG.compressed) !== 0 ? suite.deflate(data) : data,
    });
    if (toHex(made) !== flat(octets)) sins.push(`${name} ${number}: ${toHex(made)}, not ${flat(octets)}`);
  }
  return sins;
};

const SCALARS = ['client scalar', 'server scalar'];
const text = (bytes: Uint8Array): string => toHex(bytes);

/** Everything in 11.2 that follows from the two scalars, by the modules of the handshake. */
function handshakeOf(clientScalar: Uint8Array, serverScalar: Uint8Array): Map<string, string> {
  const client = suite.newPair(clientScalar);
  const server = suite.newPair(serverScalar);
  const authOf = (publicKey: Uint8Array): Uint8Array => {
    const fields = { type: TYPE.auth, flags: FLAG.reliable | FLAG.checksum, sequence: 0, publicKey };
    const head = { ...fields, number: 0, tsf: writeTsf(fields) };
    return writePacket({ ...fields, checksum: checksumOf(suite, head, new Uint8Array(0)) });
  };
  const ackOf = (
    protector: Protector,
    flags: number,
    number: number,
    ackId: number,
    ackBits: number,
    plain: Uint8Array,
  ) => {
    const fields = { type: TYPE.ack, flags, sequence: number, initVector: 0, ackId, ackBits };
    return writePacket({ ...fields, ...sealBody(protector, { ...fields, number, tsf: writeTsf(fields) }, 0, plain) });
  };
  const prologue = ascii('v0.packet.wsd');
  const params = { maxMessage: 1_048_576, heartbeat: 15_000, ackDelay: 25 };
  const authC = authOf(client.publicKey);
  const authS = authOf(server.publicKey);
  const z = server.agree(client.publicKey) ?? new Uint8Array(32);
  const zText = text(z);
  const saidS = [prologue, authC, authS];
  const h1 = transcriptHash(suite, ...saidS);
  const keys = deriveKeys(suite, h1, z);
  const sealC = new Protector(suite, keys.c2s.key, keys.c2s.iv);
  const sealS = new Protector(suite, keys.s2c.key, keys.s2c.iv);
  const empty = new Uint8Array(0);
  const finS = writeFinished({ suite, role: 'server', said: saidS, key: keys.s2cFinished }, undefined, params);
  const saidC = [...saidS, finS];
  const finishing = { suite, role: 'client', said: saidC, key: keys.c2sFinished } as const;
  const finC = writeFinished(finishing, undefined, params);
  const h3 = hashOf(finishing);
  const h5 = transcriptHash(suite, ...saidC, finC);
  const late = deriveLate(suite, keys.prk, h5);
  const confirm = writeBlocks({ session: writeSession({ id: hex('00112233445566778899aabbccddeeff'), ttl: 60 }) });
  return new Map([
    ['client scalar', text(clientScalar)],
    ['server scalar', text(serverScalar)],
    ['AUTH_C', text(authC)],
    ['AUTH_S', text(authS)],
    ['Z', zText],
    ['H1', text(h1)],
    ['PRK', text(keys.prk)],
    ['c2s key', text(keys.c2s.key)],
    ['c2s iv', text(keys.c2s.iv)],
    ['s2c key', text(keys.s2c.key)],
    ['s2c iv', text(keys.s2c.iv)],
    ['c2s finished', text(keys.c2sFinished)],
    ['s2c finished', text(keys.s2cFinished)],
    ['H2', text(transcriptHash(suite, ...saidS, empty))],
    ['FIN_S', text(finS)],
    ['FINISHED_S', text(ackOf(sealS, FLAG.encrypted, 1, 0, 0, finS))],
    ['H3', text(h3)],
    ['H4', text(transcriptHash(suite, ...saidC, empty))],
    ['VERIFY_DATA of the client', text(finC.subarray(3, 35))],
    ['FINISHED_C', text(ackOf(sealC, FLAG.reliable | FLAG.encrypted, 1, 0, 0, finC))],
    ['H5', text(h5)],
    ['CONFIRM', text(ackOf(sealS, FLAG.encrypted, 2, 1, 0x8000, confirm))],
    ['resumption', text(expandLabel(keys.prk, 'resumption', h5, 32))],
    ['exporter', text(late.exporter)],
    ['binder key', text(late.binderKey)],
    ['binder over this H3', text(binderOf(suite, late.binderKey, h3))],
    ['package c2s', text(late.packageC2s)],
    ['package s2c', text(late.packageS2c)],
  ]);
}

const judgeHandshake: Judge = (rows) => {
  const told = new Map(rows.map(([name = '', octets = '']) => [name, octets]));
  const [clientScalar = '', serverScalar = ''] = SCALARS.map((name) => told.get(name) ?? '');
  if (clientScalar.length !== 64 || serverScalar.length !== 64) return ['there are no scalars to begin with'];
  const known = handshakeOf(hex(clientScalar), hex(serverScalar));
  return differ(
    'handshake',
    rows.map((row) => row.join(' ')),
    [...known].map((row) => row.join(' ')),
  );
};

function protectorOf(side: string): Protector | undefined {
  const keys = new Map(
    linesOf('11.2', 'Value')
      .map(cellsOf)
      .map(([name = '', octets = '']) => [name, octets]),
  );
  const direction = { client: 'c2s', server: 's2c' }[side];
  if (direction === undefined) return undefined;
  return new Protector(suite, hex(keys.get(`${direction} key`) ?? ''), hex(keys.get(`${direction} iv`) ?? ''));
}

/** A DEFAULT by hand: checksum, deflate, seal, in this order. */
function seal(protector: Protector | undefined, flags: number, number: number, data: Uint8Array): PacketFields {
  const head = { type: TYPE.default, flags, number, tsf: new Uint8Array(0) };
  const checksum = checksumOf(suite, head, data);
  const body = (flags & FLAG.compressed) !== 0 ? suite.deflate(data) : data;
  const fields = { type: TYPE.default, flags, sequence: sequenceOf(number), initVector: vectorOf(number) };
  return {
    ...fields,
    ...(protector === undefined ? { checksum, data: body } : sealBody(protector, head, checksum, body)),
  };
}

const judgeSealed: Judge = (rows) => {
  const sins: string[] = rows.length < 2 ? ['a row is missing'] : [];
  for (const [side = '', flagText = '', number = '', dataText = '', octets] of rows) {
    const protector = protectorOf(side);
    if (protector === undefined) return [`${side}: who is that?`];
    const made = toHex(writePacket(seal(protector, flagsOf(flagText), Number(`0x${number}`), dataOf(0, dataText))));
    if (made !== flat(octets)) sins.push(`${number}: ${made}, not ${flat(octets)}`);
  }
  return sins;
};

/** The message of the first row's first cell, cut into packets by the code that does it. */
function packetsOf(title: string): Uint8Array[] | undefined {
  const found = /^(?:(client|server), )?([A-Z ]+), N (\w+), (.+)$/.exec(title);
  if (found === null) return undefined;
  const [, side, flagText = '', number = '', dataText = ''] = found;
  const encoder = new Encoder(suite, side !== undefined);
  if (side !== undefined) encoder.rekey(protectorOf(side));
  if (!encoder.prepare(dataOf(0, dataText), flagsOf(flagText) & ~FLAG.encrypted)) return undefined;
  const packets: Uint8Array[] = [];
  encoder.write(Number(`0x${number}`), (packet) => packets.push(packet));
  return packets;
}

const judgeFragments: Judge = (rows) => {
  const packets = packetsOf(rows[0]?.[0] ?? '');
  if (packets === undefined) return ['the message cannot be read'];
  return differ(
    'fragments',
    rows.map(([, id, size, start]) => `${id} ${size} ${flat(start)}`),
    packets.map((packet, i) => `${i} ${packet.length} ${toHex(packet).slice(0, flat(rows[i]?.[3]).length)}`),
  );
};

interface Table {
  readonly section: string;
  readonly heading: string;
  /** Cells that are compared: a change in one of them must be told. */
  readonly columns: readonly number[];
  readonly judge: Judge;
}

const TABLES: readonly Table[] = [
  { section: '2.2', heading: 'Type | Enum', columns: [0, 1], judge: judgeTypes },
  { section: '2.2', heading: 'Bit', columns: [0, 1, 2], judge: judgeFlags },
  {
    section: '2.2',
    heading: 'Field | Bits | Required | Required flag',
    columns: [0, 1, 3],
    judge: judgeDefaultFields,
  },
  { section: '2.3', heading: 'Type | Allowed', columns: [0, 1, 2], judge: judgeFlagsByType },
  { section: '7.', heading: 'Major', columns: [0, 1, 2], judge: judgeCodes },
  { section: '7.', heading: 'Step', columns: [0, 2], judge: judgeSteps },
  { section: '6.4', heading: 'Secret', columns: [1, 2, 3, 4], judge: judgeSchedule },
  { section: '6.5', heading: 'Type | Block', columns: [0, 1], judge: judgeBlocks },
  { section: '6.5', heading: 'Scheme', columns: [0], judge: judgeSchemes },
  { section: '10.', heading: 'Limit', columns: [1, 2], judge: judgeLimits },
  { section: '11.1', heading: 'Type | Flags', columns: [0, 1, 2, 3, 4, 5], judge: judgeClear },
  { section: '11.1', heading: 'Message', columns: [1, 2, 3], judge: judgeFragments },
  { section: '11.2', heading: 'Value', columns: [0, 1], judge: judgeHandshake },
  { section: '11.3', heading: 'From', columns: [0, 1, 2, 3, 4], judge: judgeSealed },
  { section: '11.3', heading: 'Message', columns: [1, 2, 3], judge: judgeFragments },
  { section: '11.5', heading: 'Sequence ID', columns: [0, 2], judge: judgeNumbers },
];

/** One character of a cell changed, so that it is still a word or a number. */
const changed = (cell: string): string | undefined => {
  const at = [...cell].findLastIndex((letter) => /[0-9a-zA-Z]/.test(letter));
  if (at < 0) return undefined;
  const letter = cell[at] as string;
  const other =
    letter === '0' ? '1' : /[0-9]/.test(letter) ? String((Number(letter) + 1) % 10) : letter === 'a' ? 'b' : 'a';
  return cell.slice(0, at) + other + cell.slice(at + 1);
};

for (const { section, heading, columns, judge } of TABLES) {
  t.test(`the table "${heading}" of section ${section} says what the code does`, async (t) => {
    const rows = linesOf(section, heading).map(cellsOf);
    t.ok(rows.length > 1, 'the table is there');
    t.strictSame(judge(rows), []);
    const missed: string[] = [];
    for (const [at, row] of rows.entries()) {
      if (judge(rows.toSpliced(at, 1)).length === 0) missed.push(`without ${row.join(' | ')}`);
      for (const column of columns) {
        const cell = changed(row[column] ?? '');
        if (cell === undefined) continue;
        if (judge(rows.with(at, row.with(column, cell))).length === 0) missed.push(`${cell} in ${row.join(' | ')}`);
      }
    }
    t.strictSame(missed, [], 'a row left out and a cell changed are told');
  });
}

t.test('the fields of each type are those the code writes', async (t) => {
  const tables = [
    ['**ACK packet**', TYPE.ack, ['ACK ID', 'ACK Bits', 'Data*']],
    [
      '**AUTH packet**',
      TYPE.auth,
      ['Reserved', 'EC Public Key Size (E)', 'EC Public Key', 'Certificate Size (C)*', 'Certificate*'],
    ],
    ['**HEARTBEAT packet**', TYPE.heartbeat, ['Heartbeat', 'Data*']],
    ['**ERROR packet**', TYPE.error, ['Error Major', 'Error Minor', 'Data*']],
  ] as const;
  for (const [title, type, names] of tables) {
    const lines = DOCUMENT.slice(DOCUMENT.indexOf(title)).split('\n').slice(4);
    const rows = lines.slice(0, lines.indexOf('')).map(cellsOf);
    const judge = judgeFields(type, names);
    t.strictSame(judge(rows), [], title);
    for (let at = 0; at < rows.length; at++)
      t.not(judge(rows.toSpliced(at, 1)).length, 0, `${title} without row ${at}`);
  }
});

t.test('the sums under the vectors are those of the packets', async (t) => {
  const sums = [...DOCUMENT.matchAll(/SHA-256 of the three together: `(\w{64})`/g)].map((found) => found[1]);
  const titles = ['11.1', '11.3'].map((section) => cellsOf(linesOf(section, 'Message')[0] ?? '')[0] ?? '');
  t.strictSame(
    titles.map((title) => toHex(suite.sha256(Buffer.concat(packetsOf(title) ?? [])))),
    sums,
  );
});

t.test('every code the text names is a code', async (t) => {
  const prose = DOCUMENT.replace(/```[\s\S]*?```/g, '').replace(/^#+ .*$/gm, '');
  const named = [...prose.matchAll(/(?<![\w.§(])([1-3])\.(\d)(?![\w.])/g)].map((found) =>
    Number(`0x${found[1]}${found[2]}`),
  );
  t.ok(named.length > 30, `${named.length} are named`);
  // Section 6.4 and 6.6 and their like are not codes: no code has a major above 3, and sections 1 to 3 have these.
  const sections = new Set(
    [...DOCUMENT.matchAll(/^### ([1-3])\.(\d)/gm)].map((found) => Number(`0x${found[1]}${found[2]}`)),
  );
  t.strictSame(
    named.filter((octet) => !isKnownCode(octet >> 4, octet & 15) && !sections.has(octet)),
    [],
  );
  for (const code of Object.keys(PACKET_CODES) as PacketCode[]) {
    t.equal(codeFrom(octetOf(code) >> 4, octetOf(code) & 15), code);
  }
});

t.test('every decision has a question and an answer', async (t) => {
  for (const [section, least] of [
    ['12.1', 34],
    ['12.2', 53],
  ] as const) {
    const rows = linesOf(section, '#').map(cellsOf);
    t.ok(rows.length >= least, `${section} has ${rows.length}`);
    t.strictSame(
      rows.map(([number]) => number),
      rows.map((_, i) => `${section === '12.1' ? 'A' : 'D'}${i + 1}`),
    );
    t.strictSame(
      rows.filter((row) => row.length !== 3 || row.some((cell) => cell.length < 2)),
      [],
    );
  }
});
